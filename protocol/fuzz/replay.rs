//! The fuzz targets' seeds, and whatever fuzzing found before, through the targets' own functions: an ordinary
//! test, so that they are run without cargo-fuzz as well.

use std::fs;
use std::path::Path;

use lymph_protocol::fuzzing;

fn check(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let entries = fs::read_dir(&folder).expect("the folder of the seeds");
    let mut seeds: Vec<_> = entries
        .map(|entry| entry.expect("an entry of it").path())
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 4, "{} has no seeds", folder.display());
    for seed in seeds {
        let bytes = fs::read(&seed).expect("a seed");
        // The last one that is named is the one that failed.
        eprintln!("{}", seed.display());
        run(&bytes);
        // Cut anywhere, it must not hurt either.
        for length in (0..bytes.len()).step_by(bytes.len() / 8 + 1) {
            run(&bytes[..length]);
        }
    }
}

#[test]
fn envelope() {
    check("envelope", fuzzing::envelope);
}

#[test]
fn ask() {
    check("ask", fuzzing::ask);
}

#[test]
fn answer() {
    check("answer", fuzzing::answer);
}

#[test]
fn ticket() {
    check("ticket", fuzzing::ticket);
}

#[test]
fn sync() {
    check("sync", fuzzing::sync);
}

#[test]
fn sealed() {
    check("sealed", fuzzing::sealed);
}

//! What reading costs beside the copy out of the page cache: `cargo bench -p lymph-node --bench tail [-- LINES]`.
//!
//! A file of sshd lines is read whole by `Sources`, as the daemon reads it, without an engine behind it.
#![expect(clippy::print_stdout, reason = "a bench tells its figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "it measures the time that passes"
)]

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

use lymph_node::daemon::sources::{SourceSpec, Sources, What};
use lymph_node::daemon::tail::Start;

fn main() {
    let lines: u64 = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(3_000_000);
    let directory = tempfile::tempdir().expect("there is room for a folder");
    let log = directory.path().join("auth.log");
    write(&log, lines);
    let bytes = copy(&log);
    for _ in 0..5 {
        let before = cpu_ns();
        copy(&log);
        let copied = cpu_ns() - before;
        let before = cpu_ns();
        let began = Instant::now();
        read(&log, lines);
        let (cpu, wall) = (cpu_ns() - before, began.elapsed());
        println!(
            "{lines} lines, {} MB: {} ns CPU per line, of which {} ns are the copy; {:.0} MB/s",
            bytes / 1_000_000,
            cpu / lines,
            copied / lines,
            bytes as f64 / 1e6 / wall.as_secs_f64()
        );
    }
}

fn write(log: &Path, lines: u64) {
    let mut file = BufWriter::new(File::create(log).expect("a file can be made"));
    for number in 0..lines {
        writeln!(file, "Mar  1 10:{:02}:{:02} host sshd[{number}]: Failed password for invalid user admin from 203.0.113.9 port {} ssh2", number / 60 % 60, number % 60, number % 60000)
            .expect("there is room for a file");
    }
}

fn copy(log: &Path) -> u64 {
    let mut file = File::open(log).expect("it was written");
    let mut buffer = vec![0; 128 * 1024];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer).expect("it can be read") {
            0 => return bytes,
            more => bytes += more as u64,
        }
    }
}

fn read(log: &Path, lines: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut spec = SourceSpec::new(What::Files(log.display().to_string()), "syslog");
        spec.start = Start::Beginning;
        let (mut sources, _) = Sources::new(vec![spec], None);
        let mut read = 0;
        while read < lines {
            let batch = sources.next().await.expect("the reader goes on");
            read += batch.len() as u64;
            sources.taken(batch);
        }
    });
}

/// What this process has used of the processors, threads that have ended among it: to the 10 ms of the kernel's count.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    ticks * 10_000_000
}

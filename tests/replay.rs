//! How well the bundled rules tell attackers from everybody else, on generated logs whose truth is known.
//!
//! A debug build reads 200,000 lines of each service; CI repeats it with a release build and a million
//! (`LYMPH_BINARY`, `LYMPH_CORPUS_LINES`), which a debug build would need minutes for.

#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "shared by several programs, each of which uses a part"
)]
#[path = "../scenarios/benches/corpus/mod.rs"]
pub(crate) mod corpus;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use corpus::judge::{Found, Judgement, judge};
use corpus::{Corpus, Header, OpenSsh, Service, Style, Wanted};

#[test]
fn generated_sshd_log() {
    check(Service::Sshd, 1, Style::default());
}

#[test]
fn generated_sshd_log_of_a_newer_openssh() {
    check(
        Service::Sshd,
        2,
        Style {
            header: Header::Iso8601,
            openssh: OpenSsh::Split,
            folds: false,
            ..Style::default()
        },
    );
}

#[test]
fn generated_nginx_log() {
    check(Service::Nginx, 1, Style::default());
}

/// Every loud attacker is found, and no benign client is to be acted upon.
fn check(service: Service, seed: u64, style: Style) {
    let lines = std::env::var("LYMPH_CORPUS_LINES").map_or(200_000, |lines| lines.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut out = BufWriter::new(File::create(&log).unwrap());
    let truth = Corpus::new(Wanted {
        style,
        ..Wanted::new(service, lines, seed)
    })
    .write(&mut out)
    .unwrap();
    out.flush().unwrap();

    let found = replay(&log, service.name());
    let Judgement {
        table,
        missed,
        wronged,
    } = judge(&truth, &found);
    println!("{table}");
    assert!(
        missed.is_empty(),
        "{} loud attackers were missed, such as {:#?}\n{table}",
        missed.len(),
        &missed[..missed.len().min(5)]
    );
    assert!(
        wronged.is_empty(),
        "{} benign clients were blamed, such as {:#?}\n{table}",
        wronged.len(),
        &wronged[..wronged.len().min(5)]
    );
}

fn replay(log: &Path, kind: &str) -> Found {
    let binary = std::env::var("LYMPH_BINARY").unwrap_or(env!("CARGO_BIN_EXE_lymph").to_owned());
    let output = Command::new(binary)
        .arg("replay")
        .arg(log)
        .args(["--type", kind, "--json"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut found = Found::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| {
            row.get(key)
                .and_then(|value| value.as_str())
                .map(str::to_owned)
        };
        let acts = row
            .get("remediation")
            .is_none_or(|remediation| remediation == &serde_json::Value::Bool(true));
        if let (Some(scenario), Some(subject), true) = (text("scenario"), text("subject"), acts) {
            found.entry(subject).or_default().insert(scenario);
        }
    }
    found
}

//! Writes a generated log and the truth about it:
//! `cargo bench -p lymph-scenarios --bench corpus -- sshd 1000000 --seed 1 --out FILE --truth FILE`.
//!
//! `--openssh split` and `--header iso` choose the newer forms. Without arguments it only proves that it runs.
#![expect(clippy::print_stdout, reason = "a command for people")]

#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "shared by several programs, each of which uses a part"
)]
#[path = "mod.rs"]
mod corpus;

use std::fs::File;
use std::io::{self, BufWriter, Write};

use corpus::{Corpus, Header, OpenSsh, Service, Wanted};

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let (wanted, out, truth_file) = read(&arguments)?;
    let said = |error: io::Error| error.to_string();
    let truth = match &out {
        Some(path) => {
            let mut out = BufWriter::new(File::create(path).map_err(said)?);
            let truth = Corpus::new(wanted).write(&mut out).map_err(said)?;
            out.flush().map_err(said)?;
            truth
        }
        None => Corpus::new(wanted).write(&mut io::sink()).map_err(said)?,
    };
    if let Some(path) = truth_file {
        let mut out = BufWriter::new(File::create(path).map_err(said)?);
        truth
            .write_json(&mut out)
            .and_then(|()| out.flush())
            .map_err(said)?;
    }
    let count =
        |keep: fn(&corpus::Record) -> bool| truth.actors.iter().filter(|actor| keep(actor)).count();
    println!(
        "{} lines of {}, {} % hostile, {} hostile clients ({} loud), {} benign ones",
        truth.lines,
        truth.service,
        truth.hostile_lines * 100 / truth.lines.max(1),
        count(|actor| !actor.benign),
        count(|actor| actor.loud),
        count(|actor| actor.benign),
    );
    Ok(())
}

type Files = (Wanted, Option<String>, Option<String>);

fn read(arguments: &[String]) -> Result<Files, String> {
    let mut wanted = Wanted::new(Service::Sshd, 10_000, 1);
    let (mut out, mut truth) = (None, None);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .cloned()
                .ok_or(format!("{argument} wants a value"))
        };
        match argument.as_str() {
            "sshd" => wanted.service = Service::Sshd,
            "nginx" => wanted.service = Service::Nginx,
            "--seed" => wanted.seed = number(&value()?)?,
            "--out" => out = Some(value()?),
            "--truth" => truth = Some(value()?),
            "--openssh" => {
                wanted.style.openssh = if value()? == "split" {
                    OpenSsh::Split
                } else {
                    OpenSsh::Classic
                }
            }
            "--header" => {
                wanted.style.header = if value()? == "iso" {
                    Header::Iso8601
                } else {
                    Header::Rfc3164
                }
            }
            lines => wanted.lines = number(lines)?,
        }
    }
    Ok((wanted, out, truth))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("expected a number, a service or an option, found {text}"))
}

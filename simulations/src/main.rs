//! `lymph-sim`: some hosts, each with the engine that ships, under one virtual clock, from one seed.
//!
//! Attackers and ordinary users write log lines on the hosts (`world`, with the clients of the generated logs of
//! `scenarios/benches/corpus`); every host's engine decides (`host`); who is banned on a host gets no further
//! there. After each step `checkers` look for what must never happen; `measures` tell at the end what came of it.
//! The same seed gives the same run, action by action: its hash is printed.
//!
//! What it does not cover: hosts do not speak to one another, since there is no mesh yet; hosts do not crash, and
//! their clocks agree; nothing is read from files and nothing goes through a firewall (the tests of the built
//! program do that); attackers do not adapt to what they meet. The simulator is neither a proof nor a record of
//! a real network.
#![expect(clippy::print_stdout, reason = "a command for people")]

mod checkers;
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "shared by several programs, each of which uses a part"
)]
#[path = "../../scenarios/benches/corpus/mod.rs"]
mod corpus;
mod host;
mod measures;
mod world;

use std::process::ExitCode;

use world::{Plan, World};

const USAGE: &str = "usage: lymph-sim run [--hosts N] [--hours H] [--seed S] [--json]

  --hosts N  how many hosts there are (default 5)
  --hours H  how long it lasts, in virtual hours from Monday 07:30 (default 6)
  --seed S   where all chance comes from (default 1)
  --json     one JSON object in place of a table

Exit code: 0 done, 1 something happened that never must, 2 wrong usage.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (plan, json) = match read(&arguments) {
        Ok(wanted) => wanted,
        Err(error) => {
            println!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match World::new(&plan).and_then(World::run) {
        Ok(measures) => {
            print!(
                "{}",
                if json {
                    measures.json()
                } else {
                    measures.table()
                }
            );
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!(
                "{failure}\nin {plan:?}, lymph {}",
                env!("CARGO_PKG_VERSION")
            );
            ExitCode::FAILURE
        }
    }
}

fn read(arguments: &[String]) -> Result<(Plan, bool), String> {
    let (mut plan, mut json) = (Plan::default(), false);
    let mut arguments = arguments.iter();
    if arguments.next().map(String::as_str) != Some("run") {
        return Err("expected the command run".to_owned());
    }
    while let Some(argument) = arguments.next() {
        let mut number = |least: u64| {
            let value = arguments
                .next()
                .and_then(|value| value.parse().ok())
                .filter(|value| *value >= least);
            value.ok_or(format!("{argument} wants a whole number from {least} on"))
        };
        match argument.as_str() {
            "--hosts" => plan.hosts = number(1)?,
            "--hours" => plan.hours = number(1)?,
            "--seed" => plan.seed = number(0)?,
            "--json" => json = true,
            other => return Err(format!("there is no option {other}")),
        }
    }
    Ok((plan, json))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seed: u64) -> measures::Measures {
        let plan = Plan {
            hosts: 2,
            hours: 1,
            seed,
        };
        World::new(&plan).and_then(World::run).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let (first, again, other) = (run(1), run(1), run(2));
        assert_eq!(first.hash, again.hash);
        assert_eq!(first.json(), again.json());
        assert_ne!(first.hash, other.hash);
        assert!(first.lines > 1000, "{}", first.lines);
    }

    #[test]
    fn usage_is_checked() {
        let read = |text: &str| {
            read(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
                .map(|(plan, _)| plan.hosts)
        };
        assert_eq!(read("run --hosts 3"), Ok(3));
        assert!(read("run --hosts 0").is_err());
        assert!(read("run --hsots 3").is_err());
        assert!(read("walk").is_err());
    }
}

//! `lymph-sim`: some hosts, each with the engine that ships, under one virtual clock, from one seed.
//!
//! Attackers and ordinary users write log lines on the hosts (`world`, with the clients of the generated logs of
//! `scenarios/benches/corpus`); every host's engine decides (`host`); who is banned on a host gets no further
//! there. After each step `checkers` look for what must never happen; `measures` tell at the end what came of it.
//! The same seed gives the same run, action by action: its hash is printed.
//!
//! What that does not cover: these hosts do not speak to one another; hosts do not crash, and their clocks agree; nothing is
//! read from files and nothing goes through a firewall (the tests of the built program do that); attackers do not adapt to
//! what they meet. Whom nodes believe that do speak to one another is asked apart from it, without time, over the production
//! trust code: `flow` says how, and what it leaves out. The simulator is neither a proof nor a record of a real network.
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
mod flow;
mod host;
mod measures;
mod progress;
mod world;

use std::process::ExitCode;

use flow::{Grid, Outcome};
use progress::Progress;
use world::{Plan, World};

const USAGE: &str = "usage: lymph-sim run [--hosts N] [--hours H] [--seed S] [--json]
       lymph-sim flow PLAN [--seed S | --seeds K] [--json]
       lymph-sim grid [--nodes N] [--egos E] [--afar P] [--seed S | --seeds K] [--json]
       lymph-sim list

run: hosts under one virtual clock, each with the engine that ships; they do not speak to one another.
  --hosts N  how many hosts there are (default 5)
  --hours H  how long it lasts, in virtual hours from Monday 07:30 (default 6)

flow: who is believed in a mesh, by the trust code that ships. PLAN is the name of a plan that comes along, or a file.
grid: the same over all values of the numbers that decide, in one table.
  --nodes N  nodes of the mesh (default 2000)
  --egos E   nodes that are asked in each mesh (default 10)
  --afar P   percent of the vouches that go to anybody, the others to the nearest of a ring (default 10)

list: the plans that come along.

  --seed S   where all chance comes from (default 1)
  --seeds K  the seeds from 1 to K, one after another
  --json     one JSON object in place of a table

flow and grid have no time, no gossip and no experience: all vouches and reports are heard at once by everybody, nothing ages,
every reporter is a newcomer, one attacker reports one address. What is measured is who is believed, not how fast.

Examples:
  lymph-sim run --hosts 5 --hours 6 --seed 20261124
  lymph-sim flow slander --seeds 10
  lymph-sim flow my-plan.toml --seed 7 --json
  lymph-sim grid --nodes 500 --seeds 3

Exit code: 0 done, 1 something happened that never must, 2 wrong usage.";

/// What is asked for.
#[derive(Debug, PartialEq)]
enum Wanted {
    Run(Plan),
    Flow { plan: String },
    Grid(Grid),
    List,
}

/// All that stands on the command line.
#[derive(Debug, PartialEq)]
struct Command {
    wanted: Wanted,
    seeds: Vec<u64>,
    json: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_help = |argument: &String| ["--help", "-h", "help"].contains(&argument.as_str());
    if arguments.iter().any(is_help) {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let command = match read(&arguments) {
        Ok(command) => command,
        Err(error) => {
            println!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match &command.wanted {
        Wanted::Run(plan) => hosts(plan, command.json),
        Wanted::Flow { plan } => match plan_of(plan) {
            Ok(plan) => mesh(&plan, &command, flow::as_table),
            Err(error) => {
                println!("{error}");
                ExitCode::from(2)
            }
        },
        Wanted::Grid(grid) => mesh(&grid.plan(), &command, flow::as_grid),
        Wanted::List => {
            for (name, text) in flow::plan::BUNDLED {
                let about = flow::Plan::read(text).map(|plan| plan.about);
                println!("{name:<12}{}", about.unwrap_or_else(|error| error));
            }
            ExitCode::SUCCESS
        }
    }
}

fn hosts(plan: &Plan, json: bool) -> ExitCode {
    match World::new(plan).and_then(World::run) {
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

fn mesh(plan: &flow::Plan, command: &Command, table: fn(&Outcome) -> String) -> ExitCode {
    let mut progress = Progress::new();
    match flow::run(plan, &command.seeds, &mut |done, all| {
        progress.say(done, all)
    }) {
        Ok(outcome) if command.json => print!("{}", flow::as_json(&outcome)),
        Ok(outcome) => print!("{}", table(&outcome)),
        Err(failure) => {
            println!("{failure}, lymph {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// A plan that comes along, or one in a file.
fn plan_of(name: &str) -> Result<flow::Plan, String> {
    let bundled = flow::plan::BUNDLED.iter().find(|(known, _)| *known == name);
    let text = match bundled {
        Some((_, text)) => (*text).to_owned(),
        None => std::fs::read_to_string(name).map_err(|error| {
            format!("{name}: {error}; `lymph-sim list` names those that come along")
        })?,
    };
    flow::Plan::read(&text).map_err(|error| format!("{name}: {error}"))
}

fn read(arguments: &[String]) -> Result<Command, String> {
    let mut arguments = arguments.iter();
    let mut wanted = match arguments.next().map(String::as_str) {
        Some("run") => Wanted::Run(Plan::default()),
        Some("flow") => {
            let plan = arguments.next().filter(|plan| !plan.starts_with("--"));
            let plan = plan.ok_or("flow wants a plan")?.clone();
            Wanted::Flow { plan }
        }
        Some("grid") => Wanted::Grid(Grid {
            nodes: 2000,
            egos: 10,
            rewired: 10,
        }),
        Some("list") => Wanted::List,
        Some(_) | None => return Err("expected the command run, flow, grid or list".to_owned()),
    };
    let (mut seeds, mut json) = (vec![1], false);
    while let Some(argument) = arguments.next() {
        let mut number = |least: u64, most: u64| {
            let value = arguments
                .next()
                .and_then(|value| value.parse().ok())
                .filter(|value| (least..=most).contains(value));
            value.ok_or(match most {
                u64::MAX => format!("{argument} wants a whole number from {least} on"),
                most => format!("{argument} wants a whole number from {least} to {most}"),
            })
        };
        match (argument.as_str(), &mut wanted) {
            ("--hosts", Wanted::Run(plan)) => plan.hosts = number(1, u64::MAX)?,
            ("--hours", Wanted::Run(plan)) => plan.hours = number(1, u64::MAX)?,
            ("--nodes", Wanted::Grid(grid)) => grid.nodes = number(20, 50_000)?,
            ("--egos", Wanted::Grid(grid)) => grid.egos = number(1, 50_000)?,
            ("--afar", Wanted::Grid(grid)) => grid.rewired = number(0, 100)?,
            ("--seed", _) => seeds = vec![number(0, u64::MAX)?],
            ("--seeds", Wanted::Flow { .. } | Wanted::Grid(_)) => {
                seeds = (1..=number(1, 10_000)?).collect();
            }
            ("--json", _) => json = true,
            (other, _) => return Err(format!("there is no option {other} here")),
        }
    }
    if let (Wanted::Run(plan), [seed]) = (&mut wanted, seeds.as_slice()) {
        plan.seed = *seed;
    }
    Ok(Command {
        wanted,
        seeds,
        json,
    })
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
        let read = |text: &str| read(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let run = read("run --hosts 3 --seed 4 --json").unwrap();
        let plan = Plan {
            hosts: 3,
            seed: 4,
            ..Plan::default()
        };
        assert_eq!((run.wanted, run.json), (Wanted::Run(plan), true));
        let grid = read("grid --nodes 50 --seeds 3").unwrap();
        let wanted = Wanted::Grid(Grid {
            nodes: 50,
            egos: 10,
            rewired: 10,
        });
        assert_eq!((grid.wanted, grid.seeds), (wanted, vec![1, 2, 3]));
        for wrong in [
            "run --hosts 0",
            "run --hsots 3",
            "run --seeds 3",
            "flow",
            "flow --json",
            "flow slander --hosts 3",
            "grid --nodes 1",
            "walk",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_plan_has_a_name_or_is_a_file() {
        assert!(plan_of("slander").is_ok());
        assert!(
            plan_of("no-such-plan")
                .unwrap_err()
                .contains("lymph-sim list")
        );
    }
}

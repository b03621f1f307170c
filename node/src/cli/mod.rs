//! The command line: `args` is what is typed, then one file a command, named as the command.
//!
//! Commands print through `out`. An error says what was wrong and what to do next; it is printed once, in
//! `main`, and its exit code is 1. A reader who has heard enough (a broken pipe) is no error.

mod alerts;
mod allow;
mod apply;
pub mod args;
mod backup;
mod ban;
mod client;
mod decisions;
mod explain;
mod id;
mod import;
mod input;
mod lists;
mod log_type;
mod mesh;
mod out;
mod pages;
mod pairing;
mod panic;
mod progress;
mod replay;
mod rules;
mod run;
mod status;
mod trust;
mod what_if;
mod why;

use std::io::{self, Write};

use anyhow::Result;
use lymph_scenarios::date::Zone;

use crate::config::Settings;
use crate::config::rules::RuleSet;
use crate::config::settings::Flags;
use crate::config::zone;
use args::{Cli, Command, Global, RuleArgs};
use out::Out;
pub use out::safe_lines;

/// Do what was typed.
pub fn run(cli: Cli) -> Result<()> {
    let Cli { global, command } = cli;
    let mut out = Out::new(global.json);
    let done = match command {
        Command::Run(args) => run::run(&global, args),
        Command::Status => status::run(&global, &mut out),
        Command::Replay(args) => replay::run(&global, &args, &mut out),
        Command::Explain(args) => explain::run(&global, &args, &mut out),
        Command::Rules(command) => rules::run(&global, command, &mut out),
        Command::Decisions(command) => decisions::run(&global, &command, &mut out),
        Command::Alerts(command) => alerts::run(&global, &command, &mut out),
        Command::Why { address } => why::run(&global, &address, &mut out),
        Command::Ban(args) => ban::ban(&global, &args, &mut out),
        Command::Unban {
            subject,
            false_positive,
            reach,
        } => ban::unban(&global, &subject, false_positive, reach, &mut out),
        Command::Undo { id, reach } => ban::undo(&global, id.as_deref(), reach, &mut out),
        Command::Allow(command) => allow::run(&global, &command, &mut out),
        Command::Invite(args) => pairing::invite(&global, &args, &mut out),
        Command::Join(args) => pairing::join(&global, &args, &mut out),
        Command::Peers => mesh::peers(&global, &mut out),
        Command::Share(command) => mesh::share(&global, &command, &mut out),
        Command::Trust(command) => trust::run(&global, &command, &mut out),
        Command::Fleet(command) => mesh::fleet(&global, &command, &mut out),
        Command::Circle { command } => mesh::circle(&global, command.as_ref(), &mut out),
        Command::Apply { file, check } => apply::run(&global, &file, check, &mut out),
        Command::Panic(reach) => panic::panic(&global, reach, &mut out),
        Command::Resume(reach) => panic::resume(&global, reach, &mut out),
        Command::Firewall(command) => panic::firewall(&global, &command, &mut out),
        Command::Id { command } => id::run(&global, command.as_ref(), &mut out),
        Command::Backup(args) => backup::backup(&global, &args, &mut out),
        Command::Restore(args) => backup::restore(&global, &args, &mut out),
        Command::Completions { shell } => pages::completions(shell, &mut out),
        Command::Man { dir } => pages::man(dir.as_deref(), &mut out),
    };
    match done.and_then(|()| Ok(out.flush()?)) {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        done => done,
    }
}

/// Whoever read our output has gone away.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    io.into_iter()
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The flags that every command has, over the configuration file.
fn settings(global: &Global, rules: Option<&RuleArgs>) -> Result<Settings> {
    Settings::load(Flags {
        state: global.state.clone(),
        config: global.config.clone(),
        rules: rules.and_then(|rules| rules.rules.clone()),
        no_bundled_rules: rules.is_some_and(|rules| rules.no_bundled_rules),
        ..Flags::default()
    })
}

/// The zone that was typed, or else this machine's.
fn zone(typed: Option<&Zone>) -> Zone {
    if let Some(zone) = typed {
        return zone.clone();
    }
    let (zone, warning) = zone::of_this_machine();
    if let Some(warning) = warning {
        // It is no reason to stop, and nobody may be there to hear it.
        let _ = writeln!(io::stderr(), "{warning}");
    }
    zone
}

/// The state folder, also where the configuration is broken: what opens the firewall must not depend on it.
fn settings_or_default(global: &Global) -> std::path::PathBuf {
    match settings(global, None) {
        Ok(settings) => settings.state,
        Err(_) => global
            .state
            .clone()
            .unwrap_or_else(crate::config::places::default_state),
    }
}

/// The rules that a command without a daemon works with.
fn rule_set(global: &Global, args: &RuleArgs) -> Result<RuleSet> {
    let settings = settings(global, Some(args))?;
    Ok(RuleSet {
        bundled: settings.bundled_rules,
        folder: settings.rules,
    })
}

//! Before the loop: which logs are watched, what is said about it in plain words, what is restored.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use lymph_scenarios::date::Zone;
use lymph_scenarios::{Rules, nearest};

use super::discover::{Found, FoundState, ThisMachine, discover};
use super::firewall::{Backend, Command, DryRun, Nftables};
use super::journal::JournalSpec;
use super::sources::{SourceSpec, What};
use crate::config::settings::LOG_TYPES;
use crate::config::{Firewall, Settings, SourceSetting, Where};
use crate::text::safe;

/// What enforces decisions, and what is said about it.
pub(super) struct Enforcing {
    /// What does it.
    pub(super) backend: Box<dyn Backend>,
    /// Its name.
    pub(super) name: &'static str,
    /// The same in more words, for `status`.
    pub(super) text: String,
    /// Why it is not what was hoped for.
    pub(super) why_not: Option<String>,
}

/// What is to enforce decisions: what the operator wants, or else the best that is possible here.
pub(super) fn firewall(settings: &Settings) -> anyhow::Result<Enforcing> {
    let dry_run = |why_not| Enforcing {
        backend: Box::new(DryRun),
        name: "dry-run",
        text: "dry run".to_owned(),
        why_not,
    };
    let nftables = |backend| Enforcing {
        backend: Box::new(backend),
        name: "nftables",
        text: "nftables (table inet lymph)".to_owned(),
        why_not: None,
    };
    match settings.firewall {
        Firewall::DryRun => Ok(dry_run(None)),
        Firewall::Auto => Ok(match Nftables::new() {
            Ok(backend) => nftables(backend),
            Err(why) => dry_run(Some(why)),
        }),
        Firewall::Nftables => match Nftables::new() {
            Ok(backend) => Ok(nftables(backend)),
            Err(why) => bail!(
                "nftables cannot be used: {why}; with --firewall dry-run lymph decides and blocks nobody"
            ),
        },
        Firewall::Command => {
            let Some((program, arguments)) = settings.firewall_command.split_first() else {
                bail!(
                    "--firewall command needs firewall_command = [\"/path/to/program\", \"argument\"] in the configuration"
                );
            };
            Ok(Enforcing {
                backend: Box::new(Command::new(program, arguments)),
                name: "command",
                text: format!("the program {program}"),
                why_not: None,
            })
        }
    }
}

/// The file whose being there keeps everybody from being blocked.
pub(crate) fn panic_flag(state: &Path) -> PathBuf {
    state.join("panic")
}

/// Raise the flag. It survives a power cut: it is on disk when this returns.
pub(crate) fn raise_panic(state: &Path) -> io::Result<()> {
    let mut file = std::fs::File::create(panic_flag(state))?;
    file.write_all(b"`lymph panic` made this file; `lymph resume` takes it away\n")?;
    file.sync_all()?;
    std::fs::File::open(state)?.sync_all()
}

/// The logs to watch, and what was found on the machine if nobody named any.
pub(super) struct Watched {
    /// What is read.
    pub(super) specs: Vec<SourceSpec>,
    /// What discovery found.
    pub(super) found: Vec<Found>,
}

/// The logs that the operator named, or else those that are here.
///
/// Dates without an offset are in the machine's `zone`, unless a source says otherwise. What a container writes is
/// in UTC: few are given another zone.
pub(super) fn sources(settings: &Settings, zone: &Zone) -> anyhow::Result<Watched> {
    if settings.sources.is_empty() {
        let found = discover(&ThisMachine);
        let readable = found
            .iter()
            .filter(|found| found.state == FoundState::Readable);
        let specs = readable
            .map(|found| in_zone(SourceSpec::new(found.what.clone(), found.log_type), zone))
            .collect();
        return Ok(Watched { specs, found });
    }
    let specs = settings
        .sources
        .iter()
        .map(|setting| spec(setting, zone))
        .collect::<anyhow::Result<_>>()?;
    Ok(Watched {
        specs,
        found: Vec::new(),
    })
}

fn in_zone(mut spec: SourceSpec, zone: &Zone) -> SourceSpec {
    if !matches!(spec.what, What::Docker(_) | What::Container(_)) {
        spec.zone = zone.clone();
    }
    spec
}

fn spec(setting: &SourceSetting, zone: &Zone) -> anyhow::Result<SourceSpec> {
    let what = match &setting.place {
        Where::Path(pattern) => What::Files(absolute(pattern)?),
        Where::Journal(unit) => What::Journal(JournalSpec {
            units: vec![unit.clone()],
            ..JournalSpec::default()
        }),
        // No name of a container holds a slash.
        Where::Docker(log) if log.contains('/') => What::Docker(log.clone()),
        Where::Docker(name) => What::Container(name.clone()),
        Where::Stdin => What::Stdin,
    };
    let spec = SourceSpec::new(what, setting.log_type.as_deref().unwrap_or("syslog"));
    let mut spec = in_zone(spec, zone);
    if let Some(zone) = &setting.zone {
        spec.zone = zone.clone();
    }
    spec.labels.extend(setting.labels.clone());
    spec.trusted_proxies.clone_from(&setting.trusted_proxies);
    Ok(spec)
}

/// A path that stays the same wherever the daemon is started next time.
fn absolute(pattern: &str) -> anyhow::Result<String> {
    let path =
        std::path::absolute(pattern).with_context(|| format!("no such path: {pattern:?}"))?;
    Ok(path.to_str().context("paths must be UTF-8")?.to_owned())
}

/// A word about a type that no rule of ours knows.
pub(super) fn unknown_type(setting: &SourceSetting) -> Option<String> {
    let name = setting
        .log_type
        .as_deref()
        .filter(|name| !LOG_TYPES.contains(name))?;
    Some(match nearest(name, LOG_TYPES) {
        Some(near) => {
            format!("no bundled rule reads logs of type {name:?}, did you mean {near:?}?")
        }
        None => format!(
            "no bundled rule reads logs of type {name:?}; they do read {}",
            LOG_TYPES.join(", ")
        ),
    })
}

/// A word about each scenario that the configuration treats differently and that there is none of.
pub(super) fn unknown_scenarios(settings: &Settings, rules: &Rules) -> Vec<String> {
    let infos = rules.infos().iter();
    let known: Vec<&str> = infos
        .filter(|info| info.kind == "scenario")
        .map(|info| info.name.as_str())
        .collect();
    let configured = settings.engine.policy.overrides.keys();
    let unknown = configured.filter(|name| !known.contains(&name.as_str()));
    let word = |name: &String| {
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "`lymph rules list` shows all".to_owned(),
        };
        format!(
            "the configuration has [scenario.{name:?}], but no loaded rule is called that: {hint}"
        )
    };
    unknown.map(word).collect()
}

/// In plain words: what is watched, what may not be read and what to do about it. Names of files are whatever
/// somebody gave them, so each line is made safe.
pub(super) fn introduce(
    out: &mut dyn Write,
    settings: &Settings,
    watched: &Watched,
    enforcing: &Enforcing,
) -> io::Result<()> {
    let say = |out: &mut dyn Write, line: &str| writeln!(out, "{}", safe(line));
    writeln!(out, "lymph {} watches", env!("CARGO_PKG_VERSION"))?;
    for spec in &watched.specs {
        let log_type = spec.labels.get("type").map_or("", String::as_str);
        say(out, &format!("  {log_type:<9} {}", spec.what))?;
    }
    if watched.specs.is_empty() {
        writeln!(
            out,
            "  nothing yet: no log of a service it knows can be read here"
        )?;
        writeln!(
            out,
            "  name one yourself, such as: lymph run --source sshd=/var/log/auth.log"
        )?;
    }
    let list = |out: &mut dyn Write, title: &str, text: &dyn Fn(&Found) -> Option<String>| {
        let lines: Vec<String> = watched.found.iter().filter_map(text).collect();
        if lines.is_empty() {
            return Ok(());
        }
        writeln!(out, "{title}")?;
        lines
            .iter()
            .try_for_each(|line| say(out, &format!("  {line}")))
    };
    list(out, "It may not read", &|found| match &found.state {
        FoundState::Denied(what_to_do) => {
            Some(format!("{:<9} {}: {what_to_do}", found.service, found.what))
        }
        FoundState::Readable | FoundState::Covered(_) | FoundState::Missing => None,
    })?;
    list(out, "It leaves out", &|found| match &found.state {
        FoundState::Covered(why) => Some(format!("{:<9} {}: {why}", found.service, found.what)),
        FoundState::Readable | FoundState::Denied(_) | FoundState::Missing => None,
    })?;
    if !watched.found.is_empty() {
        let mut missing: Vec<_> = watched.found.iter().map(|found| found.service).collect();
        missing.retain(|service| {
            watched
                .found
                .iter()
                .filter(|found| found.service == *service)
                .all(|found| found.state == FoundState::Missing)
        });
        missing.dedup();
        if !missing.is_empty() {
            writeln!(out, "It found no log of {}", missing.join(", "))?;
        }
    }
    for setting in &settings.sources {
        if let Some(warning) = unknown_type(setting) {
            say(out, &format!("Note: {warning}"))?;
        }
    }
    let state = settings.state.display();
    say(out, &format!("Its state is in {state}"))?;
    match &settings.config {
        Some(config) => say(out, &format!("Its configuration is {}", config.display()))?,
        None => writeln!(out, "It has no configuration file and needs none")?,
    }
    if panic_flag(&settings.state).exists() {
        writeln!(
            out,
            "PANIC: it decides, but it blocks nobody until `lymph resume`"
        )?;
    } else if enforcing.name == "dry-run" {
        if let Some(why) = &enforcing.why_not {
            writeln!(out, "It may not use the firewall: {why}")?;
        }
        writeln!(
            out,
            "It decides and writes down whom it would block, but it does not block anybody (dry run)"
        )?;
    } else {
        writeln!(
            out,
            "It blocks attackers with {}; `lymph panic` opens everything at once",
            enforcing.text
        )?;
    }
    if settings.mesh.enabled {
        let places = settings.mesh.listen.join(", ");
        say(
            out,
            &format!(
                "Other machines may join it (`lymph invite`) at {places}; nothing is shared until you say so"
            ),
        )?;
    }
    writeln!(
        out,
        "Ask it with: lymph status, lymph decisions list, lymph why ADDRESS"
    )?;
    out.flush()
}

//! `lymph replay`: the attackers in log files, by the files' own clock.
//!
//! Lines are read in big pieces and put through the detector one after the other; nothing is written down but
//! what is printed. Parsing needs only the shared rules and could be spread over threads a piece at a time;
//! pouring is in order.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use lymph_protocol::Timestamp;
use lymph_scenarios::date::Zone;
use lymph_scenarios::line::{Line, Source};
use lymph_scenarios::overflow::Overflow;
use lymph_scenarios::{Detector, Limits, Rules};
use serde::Serialize;

use super::args::{Global, Replay};
use super::input::{Input, lines};
use super::log_type;
use super::out::{Out, Style, count, duration, moment, thousands};
use super::progress::Progress;
use crate::daemon::clock::Stopwatch;
use crate::engine::policy;

/// Seed of the detector's hashes: a replay is the same whenever it is run.
const SEED: u64 = 1;

pub(super) fn run(global: &Global, args: &Replay, out: &mut Out) -> Result<()> {
    let rules = Arc::new(super::rule_set(global, &args.rules)?.load()?);
    let zone = super::zone(args.timezone.as_ref());
    let mut replayed = Replayed::new(Arc::clone(&rules), zone);
    let sizes = args.files.iter().map(|path| {
        std::fs::metadata(path)
            .ok()
            .filter(std::fs::Metadata::is_file)
    });
    let total = sizes
        .map(|metadata| metadata.map(|metadata| metadata.len()))
        .sum::<Option<u64>>();
    let progress = Progress::new(total);
    let mut done = 0;
    for path in &args.files {
        let mut input = Input::open(path)?;
        replayed
            .file(
                path,
                args.log_type.as_deref(),
                &mut input,
                &progress,
                done,
                out,
            )
            .with_context(|| format!("cannot read {}", path.display()))?;
        done += input.raw_bytes();
    }
    let late = replayed.detector.tick(Timestamp::MAX);
    replayed.print(late, &progress, out)?;
    progress.finish();
    replayed.summary(out)
}

/// One detection of one subject.
#[derive(Debug, Serialize)]
struct Row<'a> {
    scenario: &'a str,
    subject: String,
    first_seen: String,
    last_seen: String,
    events: u32,
    remediation: bool,
}

/// What was replayed so far.
struct Replayed {
    rules: Arc<Rules>,
    zone: Zone,
    detector: Detector,
    lines: u64,
    started: Stopwatch,
    found: BTreeMap<Arc<str>, Found>,
    subjects: BTreeSet<String>,
    span: Option<(Timestamp, Timestamp)>,
}

/// What one scenario found.
#[derive(Default)]
struct Found {
    detections: u64,
    subjects: BTreeSet<String>,
    remediation: bool,
}

impl Replayed {
    fn new(rules: Arc<Rules>, zone: Zone) -> Self {
        Replayed {
            detector: Detector::new(Arc::clone(&rules), Limits::default(), SEED),
            rules,
            zone,
            lines: 0,
            started: Stopwatch::start(),
            found: BTreeMap::new(),
            subjects: BTreeSet::new(),
            span: None,
        }
    }

    fn file(
        &mut self,
        path: &Path,
        log_type: Option<&str>,
        input: &mut Input,
        progress: &Progress,
        done: u64,
        out: &mut Out,
    ) -> Result<()> {
        let (name, received_at) = (path.display().to_string(), input.modified);
        let mut source: Option<Arc<Source>> = None;
        while let Some(piece) = input.next_piece()? {
            let source = match &source {
                Some(source) => source,
                None => {
                    let log_type = match log_type {
                        Some(log_type) => log_type,
                        None => log_type::guess(&self.rules, lines(piece), received_at, &name)?,
                    };
                    source.insert(Arc::new(Source {
                        log_time: true,
                        zone: self.zone.clone(),
                        ..Source::file(&name, log_type)
                    }))
                }
            };
            for text in lines(piece) {
                self.lines += 1;
                if text.is_empty() {
                    continue;
                }
                let line = Line {
                    text,
                    source,
                    id: self.lines,
                    received_at,
                };
                let overflows = self.detector.handle(&line, received_at);
                if !overflows.is_empty() {
                    self.print(overflows, progress, out)?;
                }
            }
            progress.set(done + input.raw_bytes(), || {
                format!(
                    "{} lines, {} subjects",
                    thousands(self.lines),
                    self.subjects.len()
                )
            });
        }
        Ok(())
    }

    fn print(
        &mut self,
        overflows: Vec<Overflow>,
        progress: &Progress,
        out: &mut Out,
    ) -> io::Result<()> {
        for overflow in overflows
            .iter()
            .filter(|overflow| overflow.whitelisted.is_none())
        {
            for attacker in &overflow.attackers {
                let subject = policy::target(attacker)
                    .map_or_else(|| attacker.value.clone(), |target| target.to_string());
                let found = self
                    .found
                    .entry(Arc::clone(&overflow.scenario))
                    .or_default();
                found.detections += 1;
                found.remediation = overflow.remediation;
                found.subjects.insert(subject.clone());
                self.subjects.insert(subject.clone());
                let (first, last) = self
                    .span
                    .unwrap_or((overflow.first_seen, overflow.last_seen));
                self.span = Some((first.min(overflow.first_seen), last.max(overflow.last_seen)));
                progress.pause(|| print_one(overflow, subject, out))?;
            }
        }
        Ok(())
    }

    fn summary(&self, out: &mut Out) -> Result<()> {
        let seconds = self.started.elapsed().as_secs_f64();
        let understood = self.detector.counters().parsed;
        let share = understood as f64 * 100.0 / self.lines.max(1) as f64;
        let mut text = vec![
            format!(
                "{} lines in {seconds:.1} s ({} a second), {} understood ({share:.1} %)",
                thousands(self.lines),
                thousands((self.lines as f64 / seconds.max(0.001)) as u64),
                thousands(understood)
            ),
            match self.subjects.len() as u64 {
                0 => "no attack was found".to_owned(),
                subjects => format!(
                    "attacks by {} found",
                    count(subjects, "subject", "subjects")
                ),
            },
        ];
        if self.lines > 0 && understood == 0 {
            text.push(
                "no line was understood: is the type right? `lymph explain --file FILE` shows why"
                    .to_owned(),
            );
        }
        if out.json {
            use io::Write;
            text.iter()
                .try_for_each(|line| writeln!(io::stderr(), "{line}"))?;
            return Ok(());
        }
        if !self.found.is_empty() {
            out.line("")?;
            let rows = self.found.iter().map(|(scenario, found)| {
                let asks = if found.remediation { "ban" } else { "note" };
                [
                    scenario.to_string(),
                    asks.to_owned(),
                    thousands(found.detections),
                    thousands(found.subjects.len() as u64),
                ]
            });
            out.table(["SCENARIO", "ASKS FOR", "DETECTIONS", "SUBJECTS"], rows)?;
            out.line("")?;
        }
        out.styled(Style::Bold, &text[1], "")?;
        out.line(&text[0])?;
        text[2..]
            .iter()
            .try_for_each(|line| out.styled(Style::Warning, line, ""))?;
        Ok(())
    }
}

fn print_one(overflow: &Overflow, subject: String, out: &mut Out) -> io::Result<()> {
    if out.json {
        return out.json(&Row {
            scenario: &overflow.scenario,
            subject,
            first_seen: overflow.first_seen.to_string(),
            last_seen: overflow.last_seen.to_string(),
            events: overflow.events_count,
            remediation: overflow.remediation,
        });
    }
    let took = overflow.last_seen.since(overflow.first_seen).as_secs();
    out.line(format!(
        "{}  {:<24} {subject}  {} events in {}",
        moment(&overflow.last_seen.to_string()),
        overflow.scenario,
        overflow.events_count,
        duration(took)
    ))
}

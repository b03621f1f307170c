//! `lymph explain`: how rules understand a log, line by line, and where they give up.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use lymph_scenarios::line::{LINE_BYTES_MAX, Line, Source};
use lymph_scenarios::{Detector, Limits, Scratch, Step, Trace};
use serde::Serialize;

use super::args::{Explain, Global};
use super::input::{Input, lines};
use super::log_type;
use super::out::{Out, Style};

/// Longest piece of a line or pattern that is shown to people, in characters.
const SHOWN_MAX: usize = 160;

/// What became of one line.
#[derive(Debug, Serialize)]
struct Explained {
    line: u64,
    parsed: bool,
    time: Option<String>,
    meta: BTreeMap<String, String>,
    scenarios: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    whitelisted: Option<String>,
}

pub(super) fn run(global: &Global, args: &Explain, out: &mut Out) -> Result<()> {
    let rules = Arc::new(super::rule_set(global, &args.rules)?.load()?);
    let detector = Detector::new(Arc::clone(&rules), Limits::default(), 1);
    let (mut event, mut scratch) = (rules.new_event(), Scratch::default());
    let mut input = Input::open(&args.file)?;
    let (name, received_at) = (args.file.display().to_string(), input.modified);
    let zone = super::zone(args.timezone.as_ref());
    let mut source: Option<Arc<Source>> = None;
    let mut id = 0;
    while let Some(piece) = input
        .next_piece()
        .with_context(|| format!("cannot read {name}"))?
    {
        let source = match &source {
            Some(source) => source,
            None => {
                let log_type = match &args.log_type {
                    Some(log_type) => log_type,
                    None => log_type::guess(&rules, lines(piece), received_at, &name)?,
                };
                source.insert(Arc::new(Source {
                    log_time: true,
                    zone: zone.clone(),
                    ..Source::file(&name, log_type)
                }))
            }
        };
        for text in lines(piece) {
            id += 1;
            let line = Line {
                text: &text[..text.len().min(LINE_BYTES_MAX)],
                source,
                id,
                received_at,
            };
            let (parsed, trace) = rules.trace(&line, &mut event, &mut scratch, detector.stash());
            let scenarios = match parsed && event.whitelisted.is_none() {
                true => detector
                    .matching(&event, received_at)
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                false => Vec::new(),
            };
            let explained = Explained {
                line: id,
                parsed,
                time: event
                    .log_time
                    .filter(|_| parsed)
                    .map(|time| time.to_string()),
                meta: if parsed {
                    event.meta_text()
                } else {
                    BTreeMap::new()
                },
                scenarios,
                whitelisted: event.whitelisted.as_ref().map(ToString::to_string),
            };
            match out.json {
                true => out.json(&explained)?,
                false => show(&explained, text, &trace, out)?,
            }
        }
    }
    Ok(())
}

fn show(explained: &Explained, text: &[u8], trace: &Trace, out: &mut Out) -> Result<()> {
    let text = String::from_utf8_lossy(text);
    out.styled(
        Style::Bold,
        &format!("line {}", explained.line),
        &format!(": {}", shortened(&text)),
    )?;
    let mut stage = "";
    for step in &trace.steps {
        if step.stage != stage {
            stage = &step.stage;
            out.line(format!("  {stage}"))?;
        }
        show_step(step, out)?;
    }
    if !explained.parsed {
        out.styled(Style::Warning, "  not understood", "")?;
        return Ok(out.line("")?);
    }
    out.styled(
        Style::Good,
        "  understood",
        &explained
            .time
            .as_ref()
            .map(|time| format!(" at {time}"))
            .unwrap_or_default(),
    )?;
    for (key, value) in &explained.meta {
        out.line(format!("    {key}: {}", shortened(value)))?;
    }
    match &explained.whitelisted {
        Some(reason) => out.line(format!("  harmless, says a rule: {reason}"))?,
        None if explained.scenarios.is_empty() => out.line("  no scenario takes it")?,
        None => out.line(format!(
            "  scenarios that take it: {}",
            explained.scenarios.join(", ")
        ))?,
    }
    Ok(out.line("")?)
}

fn show_step(step: &Step, out: &mut Out) -> Result<()> {
    // A tree that lists all nodes of all services would hide the one that matters.
    if let (Some(filter), true) = (&step.filtered, step.depth > 0 || step.pattern.is_none()) {
        let text = format!("{}- {}", "  ".repeat(step.depth + 2), step.node);
        return Ok(out.styled(
            Style::Dim,
            &text,
            &format!(": not tried, {} does not hold", shortened(filter)),
        )?);
    }
    let indent = "  ".repeat(step.depth + 2);
    let pattern = match &step.pattern {
        Some((pattern, true)) => format!(": matches {}", shortened(pattern)),
        Some((pattern, false)) => format!(": does not match {}", shortened(pattern)),
        None => String::new(),
    };
    match step.understood {
        true => out.styled(Style::Good, &format!("{indent}+ {}", step.node), &pattern)?,
        false => out.styled(Style::Dim, &format!("{indent}- {}", step.node), &pattern)?,
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    let text = text.trim_end();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

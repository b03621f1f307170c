//! `lymph decisions` and `lymph unban`: what stands, and lifting it.

use anyhow::{Result, bail};
use serde_json::json;

use super::args::{Decisions, Global};
use super::client;
use super::out::{Out, duration, moment};
use crate::daemon::api::views::{DecisionView, UnbannedView};
use crate::engine::target::Target;

pub(super) fn run(global: &Global, command: &Decisions, out: &mut Out) -> Result<()> {
    match command {
        Decisions::List => list(global, out),
    }
}

fn list(global: &Global, out: &mut Out) -> Result<()> {
    let decisions: Vec<DecisionView> = client::get(global, "/decisions")?;
    if out.json {
        return Ok(out.json(&decisions)?);
    }
    if decisions.is_empty() {
        return Ok(out.line("no decision stands")?);
    }
    Ok(table(&decisions, out)?)
}

pub(super) fn table(decisions: &[DecisionView], out: &mut Out) -> std::io::Result<()> {
    let row = |decision: &DecisionView| {
        [
            decision.subject.clone(),
            decision.kind.clone(),
            duration(decision.seconds_left),
            decision.reason.clone(),
            decision.origin.clone(),
            decision.step.to_string(),
            moment(&decision.since),
            decision.id.clone(),
        ]
    };
    out.table(
        [
            "SUBJECT", "KIND", "LEFT", "REASON", "ORIGIN", "VISIT", "SINCE", "ID",
        ],
        decisions.iter().map(row),
    )
}

pub(super) fn unban(global: &Global, subject: &str, out: &mut Out) -> Result<()> {
    let target = match subject.parse::<Target>() {
        Ok(target) => target,
        Err(error) => bail!("{subject:?} is no subject: {error}"),
    };
    let done: UnbannedView =
        client::post(global, "/unban", &json!({ "subject": target.to_string() }))?;
    if out.json {
        out.json(&done)?;
    } else {
        for decision in &done.lifted {
            out.line(format!(
                "lifted: {} of {} for {}",
                decision.kind, decision.subject, decision.reason
            ))?;
        }
        for decision in &done.remaining {
            out.line(format!(
                "still stands: {} of {}; lift it with: lymph unban {}",
                decision.kind, decision.subject, decision.subject
            ))?;
        }
    }
    if done.lifted.is_empty() {
        bail!("no decision stands about {target}; `lymph why {target}` says what is known");
    }
    Ok(())
}

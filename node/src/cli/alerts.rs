//! `lymph alerts`: what was seen, and what came of it.

use anyhow::Result;

use super::args::{Alerts, Global};
use super::client;
use super::out::{Out, count, moment};
use crate::daemon::api::views::AlertView;
use crate::engine::decision::DetectionId;

pub(super) fn run(global: &Global, command: &Alerts, out: &mut Out) -> Result<()> {
    match command {
        Alerts::List { limit } => list(global, *limit, out),
        Alerts::Inspect { id } => inspect(global, id, out),
    }
}

fn list(global: &Global, limit: usize, out: &mut Out) -> Result<()> {
    let alerts: Vec<AlertView> = client::get(global, &format!("/alerts?limit={limit}"))?;
    if out.json {
        return Ok(out.json(&alerts)?);
    }
    if alerts.is_empty() {
        return Ok(out.line("nothing was detected")?);
    }
    Ok(table(&alerts, out)?)
}

pub(super) fn table(alerts: &[AlertView], out: &mut Out) -> std::io::Result<()> {
    let row = |alert: &AlertView| {
        [
            moment(&alert.last_seen),
            alert.subject.clone(),
            alert.scenario.clone(),
            alert.events.to_string(),
            alert.outcome.clone(),
            alert.id.clone(),
        ]
    };
    out.table(
        ["LAST SEEN", "SUBJECT", "SCENARIO", "LINES", "OUTCOME", "ID"],
        alerts.iter().map(row),
    )
}

fn inspect(global: &Global, id: &str, out: &mut Out) -> Result<()> {
    let id: DetectionId = id
        .parse()
        .map_err(|error| anyhow::anyhow!("{id:?}: {error}; `lymph alerts list` shows them"))?;
    let alert: AlertView = client::get(global, &format!("/alerts/{id}"))?;
    if out.json {
        return Ok(out.json(&alert)?);
    }
    out.line(format!(
        "{} by {} ({})",
        alert.scenario, alert.subject, alert.scope
    ))?;
    out.line(format!("  {}", alert.description))?;
    out.line(format!(
        "  {} from {} to {}",
        count(u64::from(alert.events), "line", "lines"),
        moment(&alert.first_seen),
        moment(&alert.last_seen)
    ))?;
    out.line(format!(
        "  judged at {}: {}",
        moment(&alert.at),
        alert.outcome_text
    ))?;
    for (key, values) in &alert.meta {
        out.line(format!("  {key}: {}", values.join(", ")))?;
    }
    Ok(())
}

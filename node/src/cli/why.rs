//! `lymph why ADDRESS`: why it is banned, or is not.

use anyhow::{Result, bail};

use super::args::Global;
use super::out::{Out, Style, count, duration, moment};
use super::trust::through;
use super::{alerts, client, decisions};
use crate::daemon::api::trust_views::{ReporterView, WeighedView};
use crate::daemon::api::views::{ToldView, WhyView};
use crate::engine::target::Target;

pub(super) fn run(global: &Global, address: &str, out: &mut Out) -> Result<()> {
    let target = match address.parse::<Target>() {
        Ok(target) => target,
        Err(error) => bail!("{address:?}: {error}"),
    };
    let why: WhyView = client::get(global, &format!("/why/{target}"))?;
    if out.json {
        return Ok(out.json(&why)?);
    }
    out.styled(Style::Bold, &why.summary, "")?;
    if !why.decisions.is_empty() {
        out.line("")?;
        decisions::table(&why.decisions, out)?;
    }
    if let Some(enforcement) = &why.enforcement {
        out.line(format!("Enforcement: {enforcement}"))?;
    }
    if why.refused > 0 {
        let last = why.last_refused.as_deref().map(moment).unwrap_or_default();
        let refused = count(why.refused, "connection", "connections");
        out.line(format!(
            "Refused: {refused} since the daemon was started, the last at {last}"
        ))?;
    }
    for held in &why.held {
        out.line(format!(
            "Held back: {} for {} because {}",
            held.decision.kind, held.decision.reason, held.text
        ))?;
    }
    if let Some(login) = &why.login {
        out.line(format!(
            "Somebody logged in from there: {}, last at {}",
            login.service,
            moment(&login.at)
        ))?;
    }
    for raised in &why.raised {
        out.line(format!(
            "Raised threshold: {} must run over {} times within an hour, until {}",
            raised.scenario, raised.factor, raised.until
        ))?;
    }
    if !why.reports.is_empty() {
        out.line("")?;
        out.line("Reported by:")?;
        let row = |told: &ToldView| {
            let taken_back = if told.retracted { "taken back" } else { "" };
            [
                told.name.clone(),
                told.standing.clone(),
                told.family.clone(),
                told.evidence.clone(),
                moment(&told.seen),
                moment(&told.expires),
                taken_back.to_owned(),
            ]
        };
        let header = ["NODE", "IS", "FOR", "EVIDENCE", "SEEN", "UNTIL", ""];
        out.table(header, why.reports.iter().map(row))?;
    }
    if let Some(weighed) = &why.weighed {
        tell(weighed, out)?;
    }
    if why.visits > 0 || !why.alerts.is_empty() {
        out.line("")?;
        let last_seen = why
            .last_seen
            .map(|last_seen| format!(", last seen at {}", moment(&last_seen)))
            .unwrap_or_default();
        let visits = count(u64::from(why.visits), "visit", "visits");
        out.line(format!(
            "{visits}{last_seen}; a new ban would last {}",
            duration(why.next_ban_seconds)
        ))?;
    }
    if !why.alerts.is_empty() {
        let (shown, all) = (why.alerts.len(), why.alerts_count);
        let of = if shown < all {
            format!(" (the newest {shown} of {all})")
        } else {
            String::new()
        };
        out.line(format!("Detections{of}:"))?;
        alerts::table(&why.alerts, out)?;
        let newest = &why.alerts[0];
        out.line(format!("The newest: {}", newest.description))?;
        for (key, values) in &newest.meta {
            out.line(format!("  {key}: {}", values.join(", ")))?;
        }
    }
    let weighed = why.weighed.iter().flat_map(|weighed| &weighed.undo);
    let undo: Vec<_> = why.undo.iter().chain(weighed).collect();
    if let [undo] = undo[..] {
        out.line("")?;
        out.line(format!("To lift it: {undo}"))?;
    } else if !undo.is_empty() {
        out.line("")?;
        out.line("To lift it, one of:")?;
        for undo in undo {
            out.line(format!("  {undo}"))?;
        }
    }
    Ok(())
}

/// What this node makes of what others report.
fn tell(weighed: &WeighedView, out: &mut Out) -> Result<()> {
    out.line("")?;
    let style = match weighed.level.as_str() {
        "clear" => Style::Dim,
        _ => Style::Warning,
    };
    out.styled(style, "What that adds up to: ", &weighed.text)?;
    let mut more = vec![
        format!("score {:.2}", weighed.score),
        format!("confidence {:.2}", weighed.confidence),
    ];
    if let Some(since) = weighed
        .since
        .as_deref()
        .filter(|_| weighed.level != "clear")
    {
        more.push(format!("since {}", moment(since)));
    }
    if let Some(until) = &weighed.until {
        more.push(format!("until {} at most", moment(until)));
    }
    out.line(format!("  {}", more.join(", ")))?;
    if weighed.held_out {
        out.styled(
            Style::Warning,
            "  Nothing is done about it",
            ": one address in twenty is left alone whatever others say, to measure what the mesh is worth; this is one",
        )?;
    }
    let row = |reporter: &ReporterView| {
        [
            reporter.name.clone(),
            format!("{:.2}", reporter.quality),
            format!("{:.2}", reporter.evidence),
            match reporter.through.is_empty() {
                true => "nobody, so it counts for nothing".to_owned(),
                false => through(&reporter.through),
            },
        ]
    };
    let header = [
        "REPORTER",
        "QUALITY",
        "WORTH NOW",
        "HEARD THROUGH, WITH WEIGHT",
    ];
    Ok(out.table(header, weighed.reporters.iter().map(row))?)
}

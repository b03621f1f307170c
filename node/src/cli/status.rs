//! `lymph status`: one screen on how the daemon is.

use anyhow::Result;

use super::args::Global;
use super::client;
use super::out::{Out, Style, count, moment, thousands};
use crate::daemon::api::views::StatusView;
use crate::daemon::panic_flag;

pub(super) fn run(global: &Global, out: &mut Out) -> Result<()> {
    let status: StatusView = match client::get(global, "/status") {
        Ok(status) => status,
        // With the daemon dead, this is what somebody who looks must not miss.
        Err(error) if panic_flag(&super::settings_or_default(global)).exists() => {
            return Err(error.context("PANIC: nothing is enforced until `lymph resume`"));
        }
        Err(error) => return Err(error),
    };
    if out.json {
        return Ok(out.json(&status)?);
    }
    out.styled(
        Style::Good,
        "lymph runs",
        &format!(
            " (version {}, pid {}) since {}",
            status.version,
            status.pid,
            moment(&status.started_at)
        ),
    )?;
    let enforcement = &status.enforcement;
    match (status.enforcing, enforcement.state.as_str()) {
        (true, _) => out.line(format!("Decisions are enforced by {}", status.firewall))?,
        (false, "panic") => out.styled(
            Style::Warning,
            "PANIC",
            ": nothing is enforced until `lymph resume`",
        )?,
        (false, "failing") => out.styled(
            Style::Warning,
            "What is new is not enforced",
            &format!(
                ": {} refuses ({})",
                status.firewall,
                enforcement.detail.as_deref().unwrap_or("no reason given")
            ),
        )?,
        (false, _) => out.styled(
            Style::Warning,
            "Nobody is blocked",
            &format!(": decisions are only written down ({})", status.firewall),
        )?,
    }
    let by_origin: Vec<_> = status
        .decisions_by_origin
        .iter()
        .map(|(origin, count)| format!("{origin} {count}"))
        .collect();
    let by_origin = if by_origin.is_empty() {
        String::new()
    } else {
        format!(" ({})", by_origin.join(", "))
    };
    out.line(format!(
        "{}{by_origin}, {} remembered",
        count(
            status.decisions as u64,
            "decision stands",
            "decisions stand"
        ),
        count(status.alerts as u64, "detection", "detections")
    ))?;
    if status.enforcing || enforcement.packets > 0 {
        out.line(format!(
            "{} and {} refused; {} on the allowlist",
            count(enforcement.connections, "connection", "connections"),
            count(enforcement.packets, "packet", "packets"),
            count(status.allowed as u64, "entry", "entries"),
        ))?;
    }
    let counters = status.counters;
    out.line(format!(
        "{} read, {} understood; {}, {} of protected addresses",
        count(counters.lines, "line", "lines"),
        thousands(counters.parsed),
        count(counters.detections, "detection", "detections"),
        thousands(counters.protected)
    ))?;
    out.line(format!(
        "{} parsers and {} scenarios; {} buckets in about {} kB",
        status.parsers,
        status.scenarios,
        thousands(counters.buckets),
        thousands(counters.bucket_bytes / 1000)
    ))?;
    if let Some(trust) = status.trust.as_ref().filter(|_| status.mesh.on) {
        out.line(format!("Trust: {}", trust.text))?;
        if let Some(benefit) = trust.benefit.as_ref().filter(|_| trust.branches > 0) {
            out.line(format!("  measured: {}", benefit.text))?;
        }
        if let Some(advice) = &trust.advice {
            out.line(format!("  better with: {advice}"))?;
        }
    }
    out.line(format!(
        "State in {}, configuration {}",
        status.state,
        status.config.as_deref().unwrap_or("none")
    ))?;
    out.line("")?;
    let rows = status.health.iter().map(|part| {
        let state = if part.ok { "ok" } else { "LOOK" };
        [part.part.clone(), state.to_owned(), part.text.clone()]
    });
    out.table(["PART", "STATE", "WHAT TO KNOW"], rows)?;
    out.line("")?;
    let rows = status
        .sources
        .into_iter()
        .map(|source| [source.name, thousands(source.lines), source.note]);
    out.table(["LOG", "LINES", "LAST WORD"], rows)?;
    if !status.attention.is_empty() {
        out.line("")?;
        out.styled(Style::Warning, "Needs a look", "")?;
        status
            .attention
            .iter()
            .try_for_each(|text| out.line(format!("  {text}")))?;
    }
    Ok(())
}

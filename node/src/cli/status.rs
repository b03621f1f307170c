//! `lymph status`: one screen on how the daemon is.

use anyhow::Result;

use super::args::Global;
use super::client;
use super::out::{Out, Style, count, moment, thousands};
use crate::daemon::api::views::StatusView;

pub(super) fn run(global: &Global, out: &mut Out) -> Result<()> {
    let status: StatusView = client::get(global, "/status")?;
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
    match status.enforcing {
        true => out.line(format!("Decisions are enforced by {}", status.firewall))?,
        false => out.styled(
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
    out.line(format!(
        "State in {}, configuration {}",
        status.state,
        status.config.as_deref().unwrap_or("none")
    ))?;
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

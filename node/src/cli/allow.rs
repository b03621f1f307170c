//! `lymph allow`: who is never blocked.

use anyhow::{Result, bail};

use super::args::{Allow, Global, Reach};
use super::out::{Out, moment};
use super::{ban, client, mesh};
use crate::daemon::api::requests::AllowRequest;
use crate::daemon::api::views::{AllowedDoneView, AllowedView};
use crate::engine::allowlist::Allowed;

pub(super) fn run(global: &Global, command: &Allow, out: &mut Out) -> Result<()> {
    match command {
        Allow::List => list(global, out),
        Allow::Add {
            what,
            reason,
            reach,
        } => add(global, what, reason.clone(), *reach, out),
        Allow::Remove { what, reach } => remove(global, what, *reach, out),
    }
}

fn list(global: &Global, out: &mut Out) -> Result<()> {
    let allowed: Vec<AllowedView> = client::get(global, "/allow")?;
    if out.json {
        return Ok(out.json(&allowed)?);
    }
    if allowed.is_empty() {
        out.line("nothing is on the allowlist; this machine's own addresses, private networks, gateways, resolvers and SSH peers are never blocked anyway")?;
        return Ok(());
    }
    let row = |entry: &AllowedView| {
        let since = entry.since.as_deref().map(moment).unwrap_or_default();
        [
            entry.what.clone(),
            entry.from.clone(),
            since,
            entry.addresses.join(" "),
            entry.reason.clone(),
        ]
    };
    Ok(out.table(
        ["ALLOWED", "BY", "SINCE", "NOW", "REASON"],
        allowed.iter().map(row),
    )?)
}

fn add(
    global: &Global,
    what: &str,
    reason: Option<String>,
    reach: Reach,
    out: &mut Out,
) -> Result<()> {
    let what: Allowed = what.parse()?;
    let request = AllowRequest {
        what: what.to_string(),
        reason,
        here: mesh::is_here(global, reach)?,
    };
    let done: AllowedDoneView = client::post(global, "/allow/add", &request)?;
    if out.json {
        return Ok(out.json(&done)?);
    }
    out.line(format!("{what} is never blocked from now on"))?;
    for decision in &done.lifted {
        out.line(format!(
            "lifted: {} of {} for {}",
            decision.kind, decision.subject, decision.reason
        ))?;
    }
    ban::reservations(done.not_saved.as_deref(), done.not_enforced.as_deref(), out)
}

fn remove(global: &Global, what: &str, reach: Reach, out: &mut Out) -> Result<()> {
    let what: Allowed = what.parse()?;
    let request = AllowRequest {
        what: what.to_string(),
        reason: None,
        here: mesh::is_here(global, reach)?,
    };
    let done: AllowedDoneView = client::post(global, "/allow/remove", &request)?;
    if out.json {
        out.json(&done)?;
    }
    if !done.changed {
        bail!(
            "{what} is not on the list that commands change; `lymph allow list` shows it, and what the configuration allows"
        );
    }
    if !out.json {
        out.line(format!("{what} is no longer on the allowlist"))?;
        ban::reservations(done.not_saved.as_deref(), done.not_enforced.as_deref(), out)?;
    }
    Ok(())
}

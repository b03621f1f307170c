//! `lymph decisions`: what stands, what is held back, lists in and out.

use anyhow::{Result, bail};

use super::args::{Decisions, Delete, Global, HeldArgs, Written};
use super::out::{Out, count, duration, moment};
use super::{ban, client, import, lists};
use crate::daemon::api::requests::{HeldRequest, LiftRequest};
use crate::daemon::api::views::{DecisionView, HeldDoneView, HeldView, LiftedView};

pub(super) fn run(global: &Global, command: &Decisions, out: &mut Out) -> Result<()> {
    match command {
        Decisions::List { origin, reason } => {
            list(global, origin.as_deref(), reason.as_deref(), out)
        }
        Decisions::Add(args) => ban::ban(global, args, out),
        Decisions::Delete(args) => delete(global, args, out),
        Decisions::Import(args) => import::run(global, args, out),
        Decisions::Export { format } => export(global, *format, out),
        Decisions::Held => held(global, out),
        Decisions::Release(args) => have_held(global, "release", args, out),
        Decisions::Drop(args) => have_held(global, "drop", args, out),
    }
}

fn list(global: &Global, origin: Option<&str>, reason: Option<&str>, out: &mut Out) -> Result<()> {
    let mut decisions: Vec<DecisionView> = client::get(global, "/decisions")?;
    decisions.retain(|decision| {
        origin.is_none_or(|origin| decision.origin == origin)
            && reason.is_none_or(|reason| decision.reason == reason)
    });
    if out.json {
        return Ok(out.json(&decisions)?);
    }
    if decisions.is_empty() {
        return Ok(out.line("no decision stands")?);
    }
    Ok(table(&decisions, out)?)
}

fn delete(global: &Global, args: &Delete, out: &mut Out) -> Result<()> {
    let request = LiftRequest {
        subject: args.subject.clone(),
        id: args.id.clone(),
        origin: args.origin.clone(),
        reason: args.reason.clone(),
        all: args.all,
        false_positive: false,
    };
    let done: LiftedView = client::post(global, "/decisions/lift", &request)?;
    ban::lifted(&done, out)?;
    if done.count == 0 {
        bail!("no decision fits; `lymph decisions list` shows those that stand");
    }
    Ok(())
}

fn export(global: &Global, format: Written, out: &mut Out) -> Result<()> {
    let decisions: Vec<DecisionView> = client::get(global, "/decisions")?;
    let rows = decisions.iter().map(|decision| lists::write::Row {
        subject: &decision.subject,
        scope: &decision.scope,
        kind: &decision.kind,
        seconds_left: decision.seconds_left,
        reason: &decision.reason,
        origin: &decision.origin,
    });
    match format {
        Written::Json => lists::write::write_json(&mut *out, rows)?,
        Written::Csv => lists::write::write_csv(&mut *out, rows)?,
        Written::Plain => lists::write::write_plain(&mut *out, rows)?,
    }
    Ok(out.flush()?)
}

fn held(global: &Global, out: &mut Out) -> Result<()> {
    let held: Vec<HeldView> = client::get(global, "/held")?;
    if out.json {
        return Ok(out.json(&held)?);
    }
    if held.is_empty() {
        return Ok(out.line("nothing is held back")?);
    }
    let row = |held: &HeldView| {
        [
            held.decision.subject.clone(),
            held.decision.kind.clone(),
            duration(held.decision.seconds_left),
            held.decision.reason.clone(),
            moment(&held.decision.since),
            held.text.clone(),
        ]
    };
    out.table(
        ["SUBJECT", "KIND", "LEFT", "REASON", "SINCE", "HELD BECAUSE"],
        held.iter().map(row),
    )?;
    out.line("")?;
    out.line("Carry out: lymph decisions release --all   forget: lymph decisions drop --all   or a SUBJECT, --reason or --origin of either")?;
    Ok(())
}

fn have_held(global: &Global, what: &str, args: &HeldArgs, out: &mut Out) -> Result<()> {
    let request = HeldRequest {
        all: args.all,
        reason: args.reason.clone(),
        subject: args.subject.clone(),
        origin: args.origin.clone(),
    };
    let done: HeldDoneView = client::post(global, &format!("/held/{what}"), &request)?;
    if out.json {
        out.json(&done)?;
    } else {
        let done_what = match what {
            "release" => "carried out",
            _ => "forgotten",
        };
        let number = count(done.count as u64, "decision", "decisions");
        out.line(format!("{number} {done_what}"))?;
        ban::reservations(done.not_saved.as_deref(), done.not_enforced.as_deref(), out)?;
    }
    if done.count == 0 {
        bail!("nothing of that is held back; `lymph decisions held` shows what is");
    }
    Ok(())
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

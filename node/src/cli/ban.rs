//! `lymph ban`, `unban` and `undo`: what the operator decides, and takes back.

use anyhow::{Result, bail};

use super::args::{Ban, Global, Reach};
use super::out::{Out, Style, count, duration};
use super::{client, mesh};
use crate::daemon::api::requests::{BanRequest, LiftRequest, UndoRequest, WishRequest};
use crate::daemon::api::views::{BannedView, LiftedView};
use crate::engine::target::Target;

pub(super) fn ban(global: &Global, args: &Ban, out: &mut Out) -> Result<()> {
    let target = target(&args.subject)?;
    let wish = WishRequest {
        subject: target.to_string(),
        kind: Some(args.kind.clone()),
        seconds: Some(args.length.as_secs().max(1)),
        reason: args.reason.clone(),
    };
    let request = BanRequest {
        here: mesh::is_here(global, args.reach)?,
        force: args.force,
        entries: vec![wish],
        ..BanRequest::default()
    };
    let done: BannedView = client::post(global, "/decisions/add", &request)?;
    if out.json {
        out.json(&done)?;
    } else if done.new + done.longer + done.unchanged > 0 {
        let (kind, length) = (&args.kind, duration(args.length.as_secs()));
        match done.unchanged {
            0 => out.line(format!(
                "{kind} of {target} for {length}; take it back with: lymph undo"
            ))?,
            _ => out.line(format!(
                "{target} is under a {kind} for longer than that already; lymph why {target} shows until when"
            ))?,
        }
        reservations(done.not_saved.as_deref(), done.not_enforced.as_deref(), out)?;
    }
    if let Some(refused) = done.examples.first() {
        let advice = match refused.yields_to_force {
            true => "if you are sure, say it again with --force".to_owned(),
            false if refused.protected.reason == "allowlist" => {
                "take it off the allowlist first (lymph allow list)".to_owned()
            }
            false => "that is never blocked".to_owned(),
        };
        bail!(
            "{target} is not blocked: {} is {}; {advice}",
            refused.protected.network,
            refused.protected.text
        );
    }
    if done.too_wide > 0 {
        bail!(
            "{target} is not blocked: so wide a network is more likely a slip of the pen; if you are sure, say it again with --force"
        );
    }
    if done.no_room > 0 {
        bail!(
            "{target} is not blocked: there is no room for another decision ([limits] decisions in the configuration)"
        );
    }
    Ok(())
}

pub(super) fn unban(
    global: &Global,
    subject: &str,
    false_positive: bool,
    reach: Reach,
    out: &mut Out,
) -> Result<()> {
    let target = target(subject)?;
    let request = LiftRequest {
        subject: Some(target.to_string()),
        false_positive,
        here: mesh::is_here(global, reach)?,
        ..LiftRequest::default()
    };
    let done: LiftedView = client::post(global, "/decisions/lift", &request)?;
    lifted(&done, out)?;
    if done.count + done.held + done.refuted.len() == 0 {
        bail!("no decision stands about {target}; `lymph why {target}` says what is known");
    }
    Ok(())
}

pub(super) fn undo(global: &Global, id: Option<&str>, reach: Reach, out: &mut Out) -> Result<()> {
    let request = UndoRequest {
        here: mesh::is_here(global, reach)?,
        id: id.map(str::to_owned),
    };
    let done: LiftedView = client::post(global, "/decisions/undo", &request)?;
    lifted(&done, out)?;
    if done.count + done.held == 0 {
        match id {
            Some(id) => {
                bail!("no decision with the id {id} stands; `lymph decisions list` shows ids")
            }
            None => bail!("no decision stands"),
        }
    }
    Ok(())
}

/// How many decisions are named one by one.
const NAMED_MAX: usize = 10;

/// What was taken back.
pub(super) fn lifted(done: &LiftedView, out: &mut Out) -> Result<()> {
    if out.json {
        return Ok(out.json(done)?);
    }
    for decision in done.lifted.iter().take(NAMED_MAX) {
        out.line(format!(
            "lifted: {} of {} for {}",
            decision.kind, decision.subject, decision.reason
        ))?;
    }
    if done.count > NAMED_MAX {
        let more = count((done.count - NAMED_MAX) as u64, "other", "others");
        out.line(format!("and {more}"))?;
    }
    if done.held > 0 {
        let held = count(done.held as u64, "decision", "decisions");
        out.line(format!("{held} that were held back are forgotten"))?;
    }
    for raised in &done.raised {
        out.line(format!(
            "{} must now run over {} times within an hour before it bans {}, until {}",
            raised.scenario, raised.factor, raised.subject, raised.until
        ))?;
    }
    if !done.refuted.is_empty() {
        let mut names: Vec<_> = done.refuted.iter().map(String::as_str).collect();
        let more = names.len().saturating_sub(NAMED_MAX);
        names.truncate(NAMED_MAX);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        out.line(format!(
            "believed less from now on, since they were wrong about it: {}{more}",
            names.join(", ")
        ))?;
    }
    for decision in &done.remaining {
        out.line(format!(
            "still stands: {} of {}; lift it with: lymph unban {}",
            decision.kind, decision.subject, decision.subject
        ))?;
    }
    reservations(done.not_saved.as_deref(), done.not_enforced.as_deref(), out)
}

/// It is done, but.
pub(super) fn reservations(
    not_saved: Option<&str>,
    not_enforced: Option<&str>,
    out: &mut Out,
) -> Result<()> {
    if let Some(why) = not_saved {
        let rest = format!(": it would be forgotten if the daemon stopped now ({why})");
        out.styled(Style::Warning, "Not saved", &rest)?;
    }
    if let Some(why) = not_enforced {
        let rest = match why {
            "panic" => ": panic, nothing is enforced until `lymph resume`".to_owned(),
            "dry run" => ": dry run, nobody is blocked".to_owned(),
            why => format!(" by the firewall yet: {why}"),
        };
        out.styled(Style::Warning, "Not done", &rest)?;
    }
    Ok(())
}

fn target(subject: &str) -> Result<Target> {
    match subject.parse::<Target>() {
        Ok(target) => Ok(target),
        Err(error) => bail!("{subject:?} is no subject: {error}"),
    }
}

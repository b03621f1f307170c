//! `lymph invite` and `lymph join`: two machines come together in two commands.

use std::io::{IsTerminal, Read, Write};
use std::time::Duration;

use anyhow::{Result, bail};
use qrcode::QrCode;
use qrcode::render::unicode;

use super::args::{Global, Invite, Join};
use super::client;
use super::out::{Out, Style, duration};
use crate::daemon::api::mesh_requests::{InviteRequest, JoinRequest, ShareRequest};
use crate::daemon::api::mesh_views::{
    InvitedView, JoiningView, MeshDoneView, MeshView, PairingView,
};
use crate::daemon::clock::Stopwatch;

/// How often the daemon is asked how a pairing goes on.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// How long a join may take: a minute of trying to reach the other machine, and a little.
const JOIN_PATIENCE: Duration = Duration::from_secs(75);
/// Largest ticket that is read from the standard input.
const TICKET_BYTES_MAX: u64 = 8 * 1024;

pub(super) fn invite(global: &Global, args: &Invite, out: &mut Out) -> Result<()> {
    let relation = match (args.fleet, args.circle) {
        (true, _) => "fleet",
        (false, true) => "circle",
        (false, false) => "friend",
    };
    let request = InviteRequest {
        relation: Some(relation.to_owned()),
        uses: Some(args.uses),
        seconds: Some(args.life.as_secs().max(1)),
    };
    let before: MeshView = client::get(global, "/mesh")?;
    let invited: InvitedView = client::post(global, "/mesh/invite", &request)?;
    if out.json {
        return Ok(out.json(&invited)?);
    }
    let makes = match relation {
        "fleet" => {
            "another machine of your own: it will share bans, unbans, allowlist and panic with this one"
        }
        "circle" => "a member of the circle that this machine curates",
        _ => "a friend's machine: you will vouch for each other",
    };
    out.line(format!("For {makes}."))?;
    let times = if args.uses == 1 {
        "once".to_owned()
    } else {
        format!("{} times", args.uses)
    };
    out.line(format!(
        "Run this there, within {} ({times}):",
        duration(args.life.as_secs())
    ))?;
    out.line("")?;
    out.styled(Style::Bold, &format!("  lymph join {}", invited.ticket), "")?;
    out.line("")?;
    if std::io::stdout().is_terminal() {
        if let Ok(code) = QrCode::new(invited.ticket.to_ascii_uppercase()) {
            out.text(&code.render::<unicode::Dense1x2>().quiet_zone(true).build())?;
        }
        if !before.addresses.is_empty() {
            out.line(format!(
                "This machine is reached at {}.",
                before.addresses.join(", ")
            ))?;
        }
    }
    if args.no_wait || !std::io::stdout().is_terminal() {
        return Ok(());
    }
    out.line("Waiting for it (Ctrl-C stops waiting; the ticket stays good) …")?;
    out.flush()?;
    let waited = Stopwatch::start();
    let mut seen = before.paired_count;
    let mut left = usize::from(args.uses);
    while waited.elapsed() < args.life && left > 0 {
        std::thread::sleep(ASK_EVERY);
        let view: MeshView = client::get(global, "/mesh")?;
        let new = view.paired_count.saturating_sub(seen);
        for pairing in view.paired.iter().rev().take(new).rev() {
            done(pairing, out)?;
            out.flush()?;
        }
        left = left.saturating_sub(new);
        seen = view.paired_count;
    }
    if left == usize::from(args.uses) {
        bail!("nobody came; the ticket is over");
    }
    Ok(())
}

pub(super) fn join(global: &Global, args: &Join, out: &mut Out) -> Result<()> {
    let ticket = match args.ticket.as_str() {
        "-" => {
            let mut text = String::new();
            std::io::stdin()
                .take(TICKET_BYTES_MAX)
                .read_to_string(&mut text)?;
            text
        }
        text => text.to_owned(),
    };
    let joining: JoiningView = client::post(global, "/mesh/join", &JoinRequest { ticket })?;
    let waited = Stopwatch::start();
    let pairing = loop {
        let pairing: PairingView =
            client::get(global, &format!("/mesh/pairing/{}", joining.token))?;
        match pairing.state.as_str() {
            "asking" if waited.elapsed() < JOIN_PATIENCE => std::thread::sleep(ASK_EVERY),
            "done" => break pairing,
            "failed" => bail!(
                "{}",
                pairing.why.unwrap_or_else(|| "the join failed".to_owned())
            ),
            _ => bail!("the other machine did not answer; look at its `lymph status`"),
        }
    };
    let view: MeshView = client::get(global, "/mesh")?;
    let asks = joining.relation == "friend" && !view.public.publish && !view.public.consume;
    let shares = asks && (args.share || !args.no_share && !out.json && wants_to_share(out)?);
    if shares {
        let request = ShareRequest {
            audience: None,
            publish: true,
            consume: true,
        };
        let _: MeshDoneView = client::post(global, "/mesh/share", &request)?;
    }
    if out.json {
        return Ok(out.json(&pairing)?);
    }
    done(&pairing, out)?;
    if shares {
        out.line(
            "This machine shares with the public mesh from now on; `lymph share off` ends it.",
        )?;
    } else if asks {
        out.line("Nothing is shared yet, so your friend hears nothing and you neither: `lymph share on` changes that, `lymph share preview` shows what would leave.")?;
    }
    Ok(())
}

fn done(pairing: &PairingView, out: &mut Out) -> Result<()> {
    let name = pairing.name.as_deref().unwrap_or("?");
    let what = match pairing.degree.as_deref() {
        Some("sibling") => "is a machine of your fleet now",
        Some("member") => "is a member of your circle now",
        _ => "and this machine vouch for each other now",
    };
    out.styled(Style::Good, "Done", &format!(": {name} {what}."))?;
    out.line("Both machines must show the same four words:")?;
    out.styled(
        Style::Bold,
        &format!("  {}", pairing.words.as_deref().unwrap_or("")),
        "",
    )?;
    out.line("If they differ, somebody sits between you: undo it with `lymph trust revoke` or `lymph fleet expel`.")?;
    Ok(())
}

/// Asked only where somebody can answer.
fn wants_to_share(out: &mut Out) -> Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Ok(false);
    }
    out.line("Share with the public mesh? Reports of attackers' addresses go out, never anything about this machine's users or")?;
    write!(out, "logs, and others' reports come in. [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

//! `lymph trust`: whom this machine believes, how much, and why.

use anyhow::{Result, bail};

use super::args::{Global, Ids, Trust};
use super::client;
use super::mesh::{about, tell};
use super::out::{Out, Style, count};
use crate::daemon::api::mesh_requests::VouchRequest;
use crate::daemon::api::mesh_views::MeshDoneView;
use crate::daemon::api::trust_views::{
    ExperienceView, FriendView, PeerTrustView, SuggestedView, ThroughView, TrustView,
};

/// Branches that are named in a line.
const THROUGH_SHOWN: usize = 4;

pub(super) fn run(global: &Global, command: &Trust, out: &mut Out) -> Result<()> {
    match command {
        Trust::WhatIf { file } => super::what_if::run(file, out),
        Trust::List => list(global, out),
        Trust::Explain { node } => explain(global, node, out),
        Trust::Suggest => suggest(global, out),
        Trust::Circle => super::mesh::circle(global, None, out),
        Trust::KillKey { yes } => super::id::run(global, Some(&Ids::Kill { yes: *yes }), out),
        Trust::Vouch {
            node,
            weight,
            unlisted,
        } => {
            let request = VouchRequest {
                node: node.clone(),
                weight: Some(*weight),
                unlisted: *unlisted,
            };
            let done: MeshDoneView = client::post(global, "/mesh/vouch", &request)?;
            tell(
                &done,
                &format!("this machine vouches for {node} with weight {weight}"),
                "no room for one more vouch, or it is this machine itself",
                out,
            )
        }
        Trust::Revoke { node } => {
            let done = about(global, "/mesh/revoke", node, false)?;
            tell(
                &done,
                &format!("this machine vouches for {node} no longer"),
                &format!(
                    "this machine does not vouch for {node} as a friend; a machine of the fleet goes with `lymph fleet expel`"
                ),
                out,
            )
        }
        Trust::Mute { node } => {
            let done = about(global, "/mesh/mute", node, false)?;
            tell(
                &done,
                &format!("nothing that {node} says is believed"),
                &format!("{node} is muted already"),
                out,
            )
        }
        Trust::Unmute { node } => {
            let done = about(global, "/mesh/mute", node, true)?;
            tell(
                &done,
                &format!("{node} is heard again"),
                &format!("{node} is not muted"),
                out,
            )
        }
    }
}

fn view(global: &Global) -> Result<TrustView> {
    let view: TrustView = client::get(global, "/trust")?;
    match view.failure {
        Some(why) => bail!("{why}"),
        None => Ok(view),
    }
}

fn list(global: &Global, out: &mut Out) -> Result<()> {
    let view = view(global)?;
    if out.json {
        return Ok(out.json(&view.friends)?);
    }
    if view.friends.is_empty() {
        out.line("This machine vouches for nobody yet: `lymph invite` here, `lymph join` on a friend's machine.")?;
    } else {
        let row = |friend: &FriendView| {
            let peer = &friend.peer;
            let what = match (peer.muted, peer.listed) {
                (true, _) => "muted",
                (false, true) => "",
                (false, false) => "unlisted",
            };
            [
                peer.node[..peer.node.len().min(16)].to_owned(),
                peer.name.clone(),
                peer.degree.clone(),
                format!("{:.2}", peer.weight),
                format!("{:.2}", friend.experience.quality),
                friend.experience.hits.to_string(),
                friend.experience.refutations.to_string(),
                match peer.vouches_until {
                    Some(_) => "yes".to_owned(),
                    None => "no".to_owned(),
                },
                what.to_owned(),
            ]
        };
        let header = [
            "NODE",
            "NAME",
            "IS A",
            "WEIGHT",
            "QUALITY",
            "HITS",
            "REFUTED",
            "VOUCHES BACK",
            "",
        ];
        out.table(header, view.friends.iter().map(row))?;
    }
    for muted in &view.muted {
        out.line(format!("muted: {muted}"))?;
    }
    out.line("")?;
    out.line(&view.standing.text)?;
    if let Some(advice) = &view.standing.advice {
        out.line(format!("Better with: {advice}"))?;
    }
    if !view.suggested.is_empty() {
        let strangers = count(
            view.suggested.len() as u64,
            "stranger has",
            "strangers have",
        );
        out.line(format!("{strangers} earned a vouch: `lymph trust suggest`"))?;
    }
    Ok(())
}

fn suggest(global: &Global, out: &mut Out) -> Result<()> {
    let view = view(global)?;
    if out.json {
        return Ok(out.json(&view.suggested)?);
    }
    if view.suggested.is_empty() {
        out.line("Nobody to propose: who is not vouched for here has to be proved right by own detections five times, about addresses of three networks, over a week.")?;
        return Ok(());
    }
    let row = |suggested: &SuggestedView| {
        [
            suggested.node.clone(),
            format!("{:.2}", suggested.experience.quality),
            suggested.experience.hits.to_string(),
            suggested.experience.refutations.to_string(),
            through(&suggested.through),
        ]
    };
    let header = [
        "NODE",
        "QUALITY",
        "HITS",
        "REFUTED",
        "HEARD THROUGH, WITH WEIGHT",
    ];
    out.table(header, view.suggested.iter().map(row))?;
    out.line("")?;
    out.line("Own detections proved them right. Vouch for whom you know, or begin small: lymph trust vouch NODE --weight 0.25")?;
    Ok(())
}

fn explain(global: &Global, node: &str, out: &mut Out) -> Result<()> {
    if node.is_empty() {
        bail!("which node? Its id, its name, or the first digits of its id (`lymph peers`)");
    }
    let letter = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    let path: String = node.bytes().map(letter).collect();
    let peer: PeerTrustView = client::get(global, &format!("/trust/{path}"))?;
    if out.json {
        return Ok(out.json(&peer)?);
    }
    out.styled(Style::Bold, &peer.summary, "")?;
    out.line(format!("Node       {}", peer.node))?;
    out.line(format!("Quality    {}", experience(&peer.experience)))?;
    for refuted in &peer.refuted {
        out.line(format!(
            "           wrong about {} ({})",
            refuted.subject, refuted.day
        ))?;
    }
    if !peer.through.is_empty() {
        out.line(format!("Heard by   {}", through(&peer.through)))?;
    }
    let vouchers: Vec<_> = peer
        .vouched_by
        .iter()
        .take(THROUGH_SHOWN * 2)
        .map(|voucher| format!("{} {:.2}", voucher.name, voucher.weight))
        .collect();
    let more = peer.vouched_by_count.saturating_sub(vouchers.len());
    let vouchers = match (vouchers.is_empty(), more) {
        (true, _) => "nobody else that is known here".to_owned(),
        (false, 0) => vouchers.join(", "),
        (false, more) => format!("{} and {more} more", vouchers.join(", ")),
    };
    out.line(format!("Vouchers   {vouchers}"))?;
    out.line(format!(
        "Vouches    for {}",
        count(peer.vouches_for as u64, "node", "nodes")
    ))?;
    out.line(format!(
        "Reports    {} alive",
        count(peer.reports as u64, "is", "are")
    ))?;
    Ok(())
}

fn experience(experience: &ExperienceView) -> String {
    let seen = match (experience.hits, experience.refutations) {
        (0, 0) => "a newcomer's: nothing was seen of it at first hand yet".to_owned(),
        (hits, refutations) => format!(
            "right {}, wrong {} as far as was seen here; what is left of that: {:.1} and {:.1}",
            times(hits),
            times(refutations),
            experience.hits_left,
            experience.refutations_left
        ),
    };
    format!("{:.2} ({seen})", experience.quality)
}

fn times(count: usize) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

/// `anna 1.00, ben 0.20 and 3 more`.
pub(super) fn through(through: &[ThroughView]) -> String {
    let mut words: Vec<_> = through.iter().collect();
    words.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    let more = words.len().saturating_sub(THROUGH_SHOWN);
    let words: Vec<_> = words
        .iter()
        .take(THROUGH_SHOWN)
        .map(|through| format!("{} {:.2}", through.name, through.weight))
        .collect();
    match (words.is_empty(), more) {
        (true, _) => "nobody".to_owned(),
        (false, 0) => words.join(", "),
        (false, more) => format!("{} and {more} more", words.join(", ")),
    }
}

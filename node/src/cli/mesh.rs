//! `lymph peers`, `share`, `fleet` and `circle`: whom this machine knows and tells. Whom it believes is in `trust`.

use anyhow::{Result, bail};

use super::args::{Circle, Fleet, Global, Reach, Share};
use super::client;
use super::out::{Out, Style, count, moment};
use crate::daemon::api::mesh_requests::{LeaveRequest, NodeRequest, ShareRequest};
use crate::daemon::api::mesh_views::{ConsentView, MeshDoneView, MeshView, PeerView};

fn view(global: &Global) -> Result<MeshView> {
    client::get(global, "/mesh")
}

pub(super) fn peers(global: &Global, out: &mut Out) -> Result<()> {
    let view = view(global)?;
    if out.json {
        return Ok(out.json(&view.peers)?);
    }
    if let Some(failure) = &view.failure {
        out.styled(Style::Warning, "The mesh: ", failure)?;
    }
    if view.peers.is_empty() {
        out.line("This machine knows nobody yet: `lymph invite` here, `lymph join` on the other machine.")?;
        return Ok(());
    }
    rows(&view.peers, out)?;
    out.line("")?;
    out.line(format!(
        "{} connected in all; {} of others and this machine's own are remembered",
        count(view.connections as u64, "peer", "peers"),
        count(view.reports as u64, "report", "reports")
    ))?;
    Ok(())
}

fn rows(peers: &[PeerView], out: &mut Out) -> Result<()> {
    let row = |peer: &PeerView| {
        let how = match (peer.muted, peer.connected) {
            (true, _) => "muted",
            (false, true) => "connected",
            (false, false) => "away",
        };
        [
            peer.node[..peer.node.len().min(16)].to_owned(),
            peer.name.clone(),
            peer.degree.clone(),
            how.to_owned(),
            format!("{:.2}", peer.weight),
            peer.vouches_until.as_deref().map_or_else(
                || "no".to_owned(),
                |until| format!("until {}", moment(until)),
            ),
            peer.reports.to_string(),
            peer.addresses.first().cloned().unwrap_or_default(),
        ]
    };
    Ok(out.table(
        [
            "NODE",
            "NAME",
            "IS A",
            "STATE",
            "WEIGHT",
            "VOUCHES FOR THIS ONE",
            "REPORTS",
            "ADDRESS",
        ],
        peers.iter().map(row),
    )?)
}

pub(super) fn share(global: &Global, command: &Share, out: &mut Out) -> Result<()> {
    let change = |audience: &Option<String>, publish: bool, consume: bool| {
        let request = ShareRequest {
            audience: audience.clone(),
            publish,
            consume,
        };
        client::post::<MeshDoneView>(global, "/mesh/share", &request)
    };
    match command {
        Share::On {
            publish_only,
            consume_only,
            circle,
        } => {
            change(circle, !consume_only, !publish_only)?;
        }
        Share::Off { circle } => {
            change(circle, false, false)?;
        }
        Share::Status => {}
        Share::Preview => return preview(global, out),
    }
    let view = view(global)?;
    if out.json {
        let circles: Vec<_> = view
            .circles
            .iter()
            .map(|circle| (circle.name.clone(), circle.consent))
            .collect();
        return Ok(out.json(
            &serde_json::json!({ "public": view.public, "circles": circles, "fleet": view.fleet }),
        )?);
    }
    let words = |consent: ConsentView| match (consent.publish, consent.consume) {
        (true, true) => "own reports go out, others' come in",
        (true, false) => "own reports go out, others' do not come in",
        (false, true) => "own reports stay here, others' come in",
        (false, false) => "nothing goes out or comes in",
    };
    out.line(format!("public: {}", words(view.public)))?;
    for circle in &view.circles {
        out.line(format!("{}: {}", circle.name, words(circle.consent)))?;
    }
    match &view.fleet {
        Some(fleet) => out.line(format!(
            "{fleet}: everything, sealed, among your own machines"
        ))?,
        None => out.line("fleet: none; `lymph invite --fleet` makes one")?,
    }
    Ok(())
}

fn preview(global: &Global, out: &mut Out) -> Result<()> {
    let view = view(global)?;
    if out.json {
        return Ok(out.json(&view.waiting)?);
    }
    out.line("A report says: an address, a family of behaviour, the hash of the rule, how sure, how many (as a power of two), when")?;
    out.line("(to five minutes), for how long, a number, and this machine's key and signature. Never more.")?;
    if view.waiting.is_empty() {
        out.line(match view.public.publish {
            true => "None waits to be said.",
            false => "None waits, since nothing goes out (`lymph share on`).",
        })?;
    }
    for report in &view.waiting {
        out.line(format!(
            "to {} at {}: {}",
            report.audience,
            moment(&report.at),
            report.fields
        ))?;
    }
    Ok(())
}

pub(super) fn fleet(global: &Global, command: &Fleet, out: &mut Out) -> Result<()> {
    match command {
        Fleet::List => {
            let view = view(global)?;
            let siblings: Vec<_> = view
                .peers
                .into_iter()
                .filter(|peer| peer.degree == "sibling")
                .collect();
            if out.json {
                return Ok(out.json(&siblings)?);
            }
            match &view.fleet {
                Some(fleet) => out.line(format!(
                    "{fleet}: this machine and {}",
                    count(siblings.len() as u64, "other", "others")
                ))?,
                None => {
                    out.line("This machine is in no fleet: `lymph invite --fleet` makes one.")?
                }
            }
            if siblings.is_empty() {
                Ok(())
            } else {
                rows(&siblings, out)
            }
        }
        Fleet::Leave => {
            let request = LeaveRequest {
                audience: "fleet".to_owned(),
            };
            let done: MeshDoneView = client::post(global, "/mesh/leave", &request)?;
            tell(
                &done,
                "this machine is in no fleet any more",
                "this machine is in no fleet",
                out,
            )
        }
        Fleet::Expel { node } => {
            let done = expel(global, node, "fleet")?;
            tell(
                &done,
                &format!("{node} is sent away, and the others have a new secret"),
                &format!("{node} is not known"),
                out,
            )
        }
    }
}

pub(super) fn circle(global: &Global, command: Option<&Circle>, out: &mut Out) -> Result<()> {
    match command.unwrap_or(&Circle::List) {
        Circle::List => {
            let view = view(global)?;
            if out.json {
                return Ok(out.json(&view.circles)?);
            }
            if view.circles.is_empty() {
                out.line("This machine is in no circle: `lymph invite --circle --uses 20 --for 24h` founds one.")?;
                return Ok(());
            }
            let members = view
                .peers
                .iter()
                .filter(|peer| peer.degree == "member")
                .count();
            let row = |circle: &crate::daemon::api::mesh_views::CircleView| {
                let by = match circle.curated {
                    true => format!(
                        "this machine ({})",
                        count(members as u64, "member", "members")
                    ),
                    false => circle.founder[..16].to_owned(),
                };
                [
                    circle.name.clone(),
                    by,
                    circle.consent.publish.to_string(),
                    circle.consent.consume.to_string(),
                ]
            };
            out.table(
                ["CIRCLE", "CURATED BY", "OUT", "IN"],
                view.circles.iter().map(row),
            )?;
            let members: Vec<_> = view
                .peers
                .into_iter()
                .filter(|peer| peer.degree == "member")
                .collect();
            if members.is_empty() {
                return Ok(());
            }
            out.line("")?;
            out.line("This machine vouches for these members; all of them together are one branch, and block nobody alone:")?;
            rows(&members, out)
        }
        Circle::Leave { circle } => {
            let request = LeaveRequest {
                audience: circle.clone(),
            };
            let done: MeshDoneView = client::post(global, "/mesh/leave", &request)?;
            tell(
                &done,
                &format!("this machine has left {circle}"),
                &format!("this machine is not in {circle}"),
                out,
            )
        }
        Circle::Expel { node } => {
            let done = expel(global, node, "circle")?;
            tell(
                &done,
                &format!(
                    "{node} is vouched for no longer, so nobody goes by what it says; it can still read what the circle says"
                ),
                &format!("{node} is not known"),
                out,
            )
        }
    }
}

fn expel(global: &Global, node: &str, from: &str) -> Result<MeshDoneView> {
    let request = NodeRequest {
        node: node.to_owned(),
        undo: false,
        from: Some(from.to_owned()),
    };
    client::post(global, "/mesh/expel", &request)
}

pub(super) fn about(global: &Global, path: &str, node: &str, undo: bool) -> Result<MeshDoneView> {
    client::post(
        global,
        path,
        &NodeRequest {
            node: node.to_owned(),
            undo,
            from: None,
        },
    )
}

pub(super) fn tell(done: &MeshDoneView, yes: &str, no: &str, out: &mut Out) -> Result<()> {
    if out.json {
        out.json(done)?;
    }
    if !done.done {
        bail!("{no}");
    }
    if !out.json {
        out.line(yes)?;
        super::ban::reservations(done.not_saved.as_deref(), None, out)?;
    }
    Ok(())
}

/// Whether something holds here alone. An error if the whole fleet is meant and there is none.
pub(super) fn is_here(global: &Global, reach: Reach) -> Result<bool> {
    if reach.fleet && view(global)?.fleet.is_none() {
        bail!(
            "this machine is in no fleet: `lymph invite --fleet` makes one; without --fleet it is done here"
        );
    }
    Ok(reach.here)
}

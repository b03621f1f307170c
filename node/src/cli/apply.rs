//! `lymph apply`: allowlist, vouches and sharing as a file says, for configuration management.
//!
//! What the file names is made so; what it does not name is left alone, but for lists: an `allow` that is there is the whole
//! allowlist that commands change, and `[[vouch]]` is whom this machine vouches for beside its fleet and circles. Applying
//! twice changes nothing.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::args::Global;
use super::client;
use super::out::Out;
use crate::daemon::api::mesh_requests::{NodeRequest, ShareRequest, VouchRequest};
use crate::daemon::api::mesh_views::{MeshDoneView, MeshView};
use crate::daemon::api::requests::AllowRequest;
use crate::daemon::api::views::{AllowedDoneView, AllowedView};
use crate::engine::allowlist::Allowed;

/// Largest file.
const BYTES_MAX: u64 = 1024 * 1024;

/// What the file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    allow: Option<Vec<String>>,
    share: Option<WantedShare>,
    vouch: Option<Vec<WantedVouch>>,
    /// Known to be asked for, and refused with a reason.
    source: Option<serde_json::Value>,
    bouncers: Option<serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WantedShare {
    publish: bool,
    consume: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedVouch {
    node: String,
    #[serde(default = "one")]
    weight: f64,
    #[serde(default)]
    unlisted: bool,
}

fn one() -> f64 {
    1.0
}

/// One thing to change.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    Allow(String),
    Disallow(String),
    Vouch {
        node: String,
        weight: f64,
        unlisted: bool,
    },
    Revoke(String),
    Share {
        publish: bool,
        consume: bool,
    },
}

pub(super) fn run(global: &Global, file: &Path, check: bool, out: &mut Out) -> Result<()> {
    let mut text = String::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().take(BYTES_MAX).read_to_string(&mut text),
        _ => std::fs::File::open(file)
            .and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text)),
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    let wanted: Wanted = crate::config::file::parse_toml(&text)
        .map_err(|why| anyhow::anyhow!("{}: {why}", file.display()))?;
    if wanted.source.is_some() {
        bail!(
            "logs to watch belong into the configuration (lymph.toml), as [[source]]; lymph reads it when it starts"
        );
    }
    if wanted.bouncers.is_some() {
        bail!("there are no bouncers yet: leave them out");
    }
    let allowed: Vec<AllowedView> = client::get(global, "/allow")?;
    let mesh: MeshView = client::get(global, "/mesh")?;
    let changes = changes(&wanted, &allowed, &mesh)?;
    if out.json {
        out.json(&serde_json::json!({ "changes": changes, "applied": !check }))?;
    }
    for change in &changes {
        if !out.json {
            out.line(describe(change))?;
        }
        if !check {
            carry_out(global, change)?;
        }
    }
    if changes.is_empty() && !out.json {
        out.line("Everything is as the file says.")?;
    }
    Ok(())
}

fn changes(wanted: &Wanted, allowed: &[AllowedView], mesh: &MeshView) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    if let Some(allow) = &wanted.allow {
        let wanted = allow
            .iter()
            .map(|text| Ok(text.parse::<Allowed>()?.to_string()))
            .collect::<Result<BTreeSet<_>>>()?;
        let have: BTreeSet<_> = allowed
            .iter()
            .filter(|entry| entry.from != "configuration")
            .map(|entry| entry.what.clone())
            .collect();
        changes.extend(wanted.difference(&have).cloned().map(Change::Allow));
        changes.extend(have.difference(&wanted).cloned().map(Change::Disallow));
    }
    if (wanted.share.is_some() || wanted.vouch.is_some())
        && let Some(failure) = mesh.failure.as_ref().filter(|_| !mesh.on)
    {
        bail!("{failure}");
    }
    if let Some(share) = &wanted.share
        && (share.publish, share.consume) != (mesh.public.publish, mesh.public.consume)
    {
        changes.push(Change::Share {
            publish: share.publish,
            consume: share.consume,
        });
    }
    if let Some(vouches) = &wanted.vouch {
        let mut named = BTreeSet::new();
        for vouch in vouches {
            let by_name = mesh
                .peers
                .iter()
                .filter(|peer| !peer.name.is_empty() && peer.name == vouch.node);
            if by_name.count() > 1 {
                bail!(
                    "several nodes call themselves {:?}: name the one by its id",
                    vouch.node
                );
            }
            let known = mesh.peers.iter().find(|peer| {
                peer.node == vouch.node || !peer.name.is_empty() && peer.name == vouch.node
            });
            let node = known.map_or_else(|| vouch.node.clone(), |peer| peer.node.clone());
            let is_so = known.is_some_and(|peer| {
                (peer.weight - vouch.weight).abs() < 0.000_1
                    && (peer.degree == "sibling" || peer.listed != vouch.unlisted)
            });
            if !is_so {
                changes.push(Change::Vouch {
                    node: node.clone(),
                    weight: vouch.weight,
                    unlisted: vouch.unlisted,
                });
            }
            named.insert(node);
        }
        let friends = mesh
            .peers
            .iter()
            .filter(|peer| peer.degree == "friend" && !named.contains(&peer.node));
        changes.extend(friends.map(|peer| Change::Revoke(peer.node.clone())));
    }
    Ok(changes)
}

fn describe(change: &Change) -> String {
    match change {
        Change::Allow(what) => format!("allow {what}"),
        Change::Disallow(what) => format!("no longer allow {what}"),
        Change::Vouch {
            node,
            weight,
            unlisted,
        } => {
            format!(
                "vouch for {node} with weight {weight}{}",
                if *unlisted { ", unlisted" } else { "" }
            )
        }
        Change::Revoke(node) => format!("no longer vouch for {node}"),
        Change::Share { publish, consume } => {
            format!("share: publish {publish}, consume {consume}")
        }
    }
}

fn carry_out(global: &Global, change: &Change) -> Result<()> {
    let allow = |what: &str| AllowRequest {
        what: what.to_owned(),
        reason: Some("apply".to_owned()),
        here: true,
    };
    match change {
        Change::Allow(what) => drop(client::post::<AllowedDoneView>(
            global,
            "/allow/add",
            &allow(what),
        )?),
        Change::Disallow(what) => drop(client::post::<AllowedDoneView>(
            global,
            "/allow/remove",
            &allow(what),
        )?),
        Change::Vouch {
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
            if !done.done {
                bail!("{node} cannot be vouched for: no room, or it is this machine itself");
            }
        }
        Change::Revoke(node) => {
            let request = NodeRequest {
                node: node.clone(),
                ..NodeRequest::default()
            };
            drop(client::post::<MeshDoneView>(
                global,
                "/mesh/revoke",
                &request,
            )?);
        }
        Change::Share { publish, consume } => {
            let request = ShareRequest {
                audience: None,
                publish: *publish,
                consume: *consume,
            };
            drop(client::post::<MeshDoneView>(
                global,
                "/mesh/share",
                &request,
            )?);
        }
    }
    Ok(())
}

//! What the operator is told about the mesh.

use lymph_protocol::Timestamp;
use lymph_protocol::vouch::Degree;

use super::api::mesh_views::{silenced, words};
use super::api::views::HealthView;
use super::mesh::Network;
use crate::engine::Engine;
use crate::engine::mesh::{Mesh, Notice, Silenced};

/// How the mesh is, in one line.
pub(super) fn mesh_health(engine: &Engine, network: Option<&Network>) -> HealthView {
    let (ok, text) = match (engine.mesh(), network) {
        (Some(mesh), Some(network)) => match &network.failure {
            Some(why) => (false, why.clone()),
            None => {
                let listens = network.listening().count() > 0;
                let of = mesh
                    .known()
                    .filter(|(_, known)| known.transport.is_some_and(|at| mesh.is_connected(at)))
                    .count();
                let known = mesh.known().count();
                let text = match known {
                    0 => "nobody is paired with yet: `lymph invite` on this machine, `lymph join` on the other".to_owned(),
                    _ => format!("{of} of {known} known nodes are connected, {} peers in all", mesh.connections()),
                };
                match listens {
                    true => (true, text),
                    false => (
                        network.not_listening().next().is_none(),
                        format!("{text}; it listens nowhere"),
                    ),
                }
            }
        },
        (None, _) | (_, None) => (true, "off (--no-mesh)".to_owned()),
    };
    HealthView {
        part: "mesh".to_owned(),
        ok,
        text,
    }
}

/// What somebody should look at.
pub(super) fn mesh_attention(
    engine: &Engine,
    network: Option<&Network>,
    now: Timestamp,
) -> Vec<String> {
    let (Some(mesh), Some(network)) = (engine.mesh(), network) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    all.extend(mesh.silenced().map(|why| silenced(why).to_owned()));
    all.extend(
        network
            .not_listening()
            .map(|(address, why)| format!("the mesh does not listen at {address}: {why}")),
    );
    for (node, until) in mesh.lapsing(now) {
        let name = mesh.name_of(node);
        all.push(format!(
            "{name:?} vouches for this node only until {}: is lymph running there?",
            until.start()
        ));
    }
    if network.reachable() == Some(false) && mesh.known().next().is_some() {
        all.push("no other node could reach this one: let port 4747, TCP and UDP, in through the firewall of this machine and of its provider or router".to_owned());
    }
    all
}

/// Something happened.
pub(super) fn tell_mesh(notice: &Notice, mesh: Option<&Mesh>) {
    let name = |node| mesh.map(|mesh| mesh.name_of(node)).unwrap_or_default();
    match notice {
        Notice::Paired {
            node,
            degree,
            words: numbers,
        } => {
            let what = match degree {
                Degree::Sibling => "is a machine of this fleet now",
                Degree::Friend => "is a friend now",
                Degree::Member => "is a member of this node's circle now",
            };
            tracing::info!(
                "{:?} ({node}) {what}; both machines show: {}",
                name(*node),
                words(*numbers)
            );
        }
        Notice::SiblingCame(node) => {
            tracing::info!("{:?} ({node}) has come to the fleet", name(*node))
        }
        Notice::SiblingWent(node) => tracing::warn!("{node} has left the fleet"),
        Notice::Equivocated(node) => {
            tracing::warn!(
                "{:?} ({node}) SAYS DIFFERENT THINGS to different nodes; what it said is believed no more until it expires",
                name(*node)
            );
        }
        Notice::KeyDied { node, successor } => {
            let goes_on = successor.map_or_else(String::new, |successor| {
                format!(" and goes on as {successor}, if you know that it is them: `lymph trust vouch {successor}`")
            });
            let is_sibling = mesh.is_some_and(|mesh| {
                mesh.known()
                    .any(|(known, about)| known == *node && about.degree == Degree::Sibling)
            });
            if is_sibling {
                tracing::warn!(
                    "if it was stolen, the thief knows the fleet's secret too: `lymph fleet expel {node}` gives the others a new one"
                );
            }
            tracing::warn!(
                "THE KEY of {:?} ({node}) IS DEAD: its owner says so{goes_on}",
                name(*node)
            );
        }
        Notice::Cloned => tracing::error!("{}", silenced(Silenced::Cloned)),
        Notice::WeAreDead => tracing::error!("{}", silenced(Silenced::Dead)),
        Notice::Full(what) => tracing::warn!("no room: {what}"),
    }
}

//! What the API is asked for about the mesh, as JSON, and what the engine is then asked for.

use std::time::Duration;

use lymph_protocol::NodeId;
use lymph_protocol::audience::{Audience, CircleId};
use lymph_protocol::ticket::Relation;
use lymph_protocol::vouch::{Degree, VouchWeight};
use serde::{Deserialize, Serialize};

use crate::engine::mesh::{Consent, Mesh};
use crate::engine::request::{MeshRequest, Request};

/// How long an invitation lives if nobody says.
pub const INVITED_FOR: Duration = Duration::from_secs(10 * 60);

/// An invitation to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InviteRequest {
    /// `friend` (default), `fleet` or `circle`.
    pub relation: Option<String>,
    /// How often it can be used; once if it does not say.
    pub uses: Option<u16>,
    /// For so many seconds; ten minutes if it does not say.
    pub seconds: Option<u64>,
}

/// An invitation to take.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JoinRequest {
    /// What `lymph invite` printed.
    pub ticket: String,
}

/// What goes into and out of an audience.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShareRequest {
    /// `public` (default), or a circle as `circle-0123456789abcdef`.
    pub audience: Option<String>,
    /// Own reports go out.
    pub publish: bool,
    /// Others' come in.
    pub consume: bool,
}

/// Whom to vouch for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VouchRequest {
    /// The node's id, or the beginning of one that is known.
    pub node: String,
    /// From 0.0001 to 1; 1 if it does not say.
    pub weight: Option<f64>,
    /// Nobody else hears of it.
    pub unlisted: bool,
}

/// Which node.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeRequest {
    /// Its id, its name, or the beginning of its id.
    pub node: String,
    /// The opposite: unmute.
    pub undo: bool,
    /// What it is to be sent away from: `fleet` or `circle`.
    pub from: Option<String>,
}

/// What to leave.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeaveRequest {
    /// `fleet`, or a circle as `circle-0123456789abcdef`.
    pub audience: String,
}

/// Whether the fleet enforces.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnforceRequest {
    /// `resume` rather than `panic`.
    pub on: bool,
}

impl InviteRequest {
    /// What is meant. `token` and `secret` are fresh.
    pub fn meant(&self, token: [u8; 16], secret: [u8; 32]) -> Result<Request, String> {
        let offer = match self.relation.as_deref() {
            None | Some("friend") => Relation::Friend,
            Some("fleet") => Relation::Fleet,
            Some("circle") => Relation::Circle,
            Some(other) => {
                return Err(format!(
                    "an invitation is for a friend, a fleet or a circle, not {other:?}"
                ));
            }
        };
        let life = self.seconds.map_or(INVITED_FOR, Duration::from_secs);
        if life.is_zero() {
            return Err("an invitation that lives no time invites nobody".to_owned());
        }
        Ok(Request::Mesh(MeshRequest::Invite {
            offer,
            uses: self.uses.unwrap_or(1),
            life,
            token,
            secret,
        }))
    }
}

impl VouchRequest {
    /// What is meant.
    pub fn meant(&self, mesh: &Mesh) -> Result<Request, String> {
        let weight = self.weight.unwrap_or(1.0);
        if !(weight > 0.0 && weight <= 1.0) {
            return Err(format!("a weight is over 0 and at most 1, not {weight}"));
        }
        let weight = VouchWeight(((weight * 10_000.0).round() as u16).max(1));
        let node = node(&self.node, mesh)?;
        Ok(Request::Mesh(MeshRequest::Vouch {
            node,
            weight,
            is_listed: !self.unlisted,
        }))
    }
}

impl ShareRequest {
    /// What is meant.
    pub fn meant(&self, mesh: &Mesh) -> Result<Request, String> {
        let audience = match self.audience.as_deref() {
            None | Some("public") => Audience::Public,
            Some(name) => Audience::Circle(circle(name, mesh)?),
        };
        let consent = Consent {
            publish: self.publish,
            consume: self.consume,
        };
        Ok(Request::Mesh(MeshRequest::Share(audience, consent)))
    }
}

impl LeaveRequest {
    /// What is meant.
    pub fn meant(&self, mesh: &Mesh) -> Result<Request, String> {
        let audience = match self.audience.as_str() {
            "fleet" => mesh.fleet().ok_or("this machine is in no fleet")?,
            name => Audience::Circle(circle(name, mesh)?),
        };
        Ok(Request::Mesh(MeshRequest::Leave(audience)))
    }
}

impl NodeRequest {
    /// The node that is meant, if it is what it is to be sent away from.
    pub fn expelled(&self, mesh: &Mesh) -> Result<NodeId, String> {
        let node = node(&self.node, mesh)?;
        let is_sibling = mesh
            .known()
            .any(|(known, about)| known == node && about.degree == Degree::Sibling);
        match (self.from.as_deref(), is_sibling) {
            (Some("fleet"), false) => Err(format!(
                "{} is no machine of the fleet; a friend goes with `lymph trust revoke`",
                self.node
            )),
            (Some("circle"), true) => Err(format!(
                "{} is a machine of the fleet: `lymph fleet expel` sends it away",
                self.node
            )),
            _ => Ok(node),
        }
    }
}

fn circle(name: &str, mesh: &Mesh) -> Result<CircleId, String> {
    let mut found = mesh
        .circles()
        .filter(|(id, _)| Audience::Circle(*id).to_string().starts_with(name));
    match (found.next(), found.next()) {
        (Some((id, _)), None) => Ok(id),
        (Some(_), Some(_)) => Err(format!(
            "several circles begin with {name:?}; say more of the name"
        )),
        (None, _) => Err(format!(
            "this node is in no circle {name:?}; `lymph share status` lists those it is in"
        )),
    }
}

/// The node that a text names: its whole id, its name, or the beginning of an id, among those that are known.
pub fn node(text: &str, mesh: &Mesh) -> Result<NodeId, String> {
    if let Ok(node) = text.parse() {
        return Ok(node);
    }
    let by_name = mesh
        .known()
        .filter(|(_, known)| known.name == text && !text.is_empty())
        .map(|(node, _)| node);
    let heard = mesh.known().map(|(node, _)| node).chain(mesh.muted());
    let by_id = heard.filter(|node| text.len() >= 4 && node.to_string().starts_with(text));
    let mut found: Vec<_> = by_name.chain(by_id).collect();
    found.sort();
    found.dedup();
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(format!(
            "no node {text:?} is known; give its id, its name or the first digits of its id, as `lymph peers` shows them"
        )),
        _ => Err(format!(
            "several nodes are meant by {text:?}; give more digits of the id, as `lymph peers` shows them"
        )),
    }
}

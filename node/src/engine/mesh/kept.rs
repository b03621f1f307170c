//! What of the mesh outlives the process. Most of it is the operator's word and is kept as carefully.

use std::net::IpAddr;
use std::sync::Arc;

use lymph_protocol::audience::{Audience, CircleId};
use lymph_protocol::ticket::Token;
use lymph_protocol::vouch::{Degree, Minute, VouchWeight};
use lymph_protocol::word::Net;
use lymph_protocol::{NodeId, ObjectId, Timestamp, TransportId};
use serde::{Deserialize, Serialize};

use super::pairing::Invitation;

/// Something to keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kept {
    /// A node that was paired with.
    Known(NodeId, Known),
    /// A node that nothing is believed.
    Muted(NodeId),
    /// A dead key, and its successor.
    Dead(NodeId, Option<NodeId>),
    /// The fleet's secret, and when it was made.
    Fleet([u8; 32], u64),
    /// A circle.
    Circle(CircleId, Circle),
    /// What goes into and out of the public mesh.
    Public(Consent),
    /// An invitation that is open.
    Invitation(Token, Invitation),
    /// Something that was said, ours or about whom to believe.
    Object(ObjectId, Audience, Arc<[u8]>),
    /// Numbers up to this may have been given out.
    Sequence(u64),
    /// The operator has lifted what stood about this, under this number: what siblings reported before brings it not back.
    Lifted(Net, u64),
    /// A sibling that has not heard the fleet's newest secret yet.
    Behind(NodeId),
    /// A node that was sent away from the fleet or left it, and how.
    Away(NodeId, Away),
    /// A node that said different things under one number, and until when it is not believed.
    Barred(NodeId, Timestamp),
}

/// How a node has left the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Away {
    /// Under which number: what it said before that brings it not back.
    pub seq: u64,
    /// Whether it was sent away on this machine: a new secret that somebody else makes must not be its own.
    pub is_ours: bool,
}

/// Where it is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum KeptKey {
    /// A node that was paired with.
    Known(NodeId),
    /// A node that nothing is believed.
    Muted(NodeId),
    /// A dead key.
    Dead(NodeId),
    /// The fleet's secret.
    Fleet,
    /// A circle.
    Circle(CircleId),
    /// What goes into and out of the public mesh.
    Public,
    /// An invitation that is open.
    Invitation(Token),
    /// Something that was said.
    Object(ObjectId),
    /// Numbers.
    Sequence,
    /// What the operator has lifted.
    Lifted(Net),
    /// A sibling that has not heard the fleet's newest secret yet.
    Behind(NodeId),
    /// A node that was sent away from the fleet or left it.
    Away(NodeId),
    /// A node that said different things under one number.
    Barred(NodeId),
}

impl Kept {
    /// Where it is kept.
    #[must_use]
    pub fn key(&self) -> KeptKey {
        match self {
            Kept::Known(node, _) => KeptKey::Known(*node),
            Kept::Muted(node) => KeptKey::Muted(*node),
            Kept::Dead(node, _) => KeptKey::Dead(*node),
            Kept::Fleet(..) => KeptKey::Fleet,
            Kept::Circle(id, _) => KeptKey::Circle(*id),
            Kept::Public(_) => KeptKey::Public,
            Kept::Invitation(token, _) => KeptKey::Invitation(*token),
            Kept::Object(id, _, _) => KeptKey::Object(*id),
            Kept::Sequence(_) => KeptKey::Sequence,
            Kept::Lifted(net, _) => KeptKey::Lifted(*net),
            Kept::Behind(node) => KeptKey::Behind(*node),
            Kept::Away(node, _) => KeptKey::Away(*node),
            Kept::Barred(node, _) => KeptKey::Barred(*node),
        }
    }
}

impl KeptKey {
    /// Whether the operator said it: nothing else could bring it back.
    #[must_use]
    pub const fn is_operators(&self) -> bool {
        !matches!(self, KeptKey::Object(_) | KeptKey::Sequence)
    }
}

/// A node that was paired with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// What it is to us.
    pub degree: Degree,
    /// How much it is believed.
    pub weight: VouchWeight,
    /// Whether others hear that we vouch for it.
    pub is_listed: bool,
    /// Since when.
    pub since: Timestamp,
    /// Its transport, once it has said which.
    pub transport: Option<TransportId>,
    /// Where it may be reached.
    pub addresses: Vec<String>,
    /// What its owner calls it.
    pub name: String,
    /// The number of its contact; a later one holds.
    pub contact_seq: u64,
    /// Until when its contact holds.
    pub contact_expires: Minute,
    /// The circle that it is a member of, if it is one.
    pub circle: Option<CircleId>,
    /// Until when it vouches for us, as far as we heard.
    pub vouches_until: Option<Minute>,
    /// Addresses at which it was met, the newest last.
    pub seen: Vec<IpAddr>,
    /// It is new in a circle, and weighs less until it is not.
    #[serde(default)]
    pub is_on_probation: bool,
}

impl Known {
    /// One of whom nothing else is known yet.
    #[must_use]
    pub fn new(degree: Degree, weight: VouchWeight, is_listed: bool, since: Timestamp) -> Self {
        Known {
            degree,
            weight,
            is_listed,
            since,
            transport: None,
            addresses: Vec::new(),
            name: String::new(),
            contact_seq: 0,
            contact_expires: Minute(0),
            circle: None,
            vouches_until: None,
            seen: Vec::new(),
            is_on_probation: degree == Degree::Member,
        }
    }
}

/// A circle that this node is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circle {
    /// Who founded and curates it.
    pub founder: NodeId,
    /// What goes into and out of it.
    pub consent: Consent,
    /// Since when.
    pub since: Timestamp,
}

/// What the operator lets out of and into this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Own reports go out.
    pub publish: bool,
    /// Others' come in.
    pub consume: bool,
}

impl Consent {
    /// Both.
    pub const BOTH: Consent = Consent {
        publish: true,
        consume: true,
    };

    /// Whether there is anything to it.
    #[must_use]
    pub const fn is_any(self) -> bool {
        self.publish || self.consume
    }
}

//! What the operator asks for, and what they hear back. `operator` carries it out.

use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::NodeId;
use lymph_protocol::audience::Audience;
use lymph_protocol::ticket::{Relation, Token};
use lymph_protocol::vouch::VouchWeight;

use super::allowlist::{self, AllowError, Allowed};
use super::breaker::Held;
use super::decision::{Decision, DetectionId, Kind, Origin};
use super::leniency::Raised;
use super::mesh::Consent;
use super::protected::Shield;
use super::target::Target;

/// Something that the operator asks for.
#[derive(Clone, Debug)]
pub enum Request {
    /// Do something about these.
    Ban(Ban),
    /// Take decisions back.
    Lift {
        /// Which.
        which: Selection,
        /// They were wrong: it shall take more before the same scenario decides about the same target again.
        false_positive: bool,
    },
    /// Take back what was decided last, or everything with this id.
    Undo(Option<DetectionId>),
    /// Never block this; what stands about it ends.
    Allow(allowlist::Entry),
    /// Take it off the allowlist.
    Disallow(Allowed),
    /// Carry out what is held.
    Release(HeldSelection),
    /// Forget what is held.
    Drop(HeldSelection),
    /// Do it here, and have the whole fleet do it.
    Everywhere(Box<Request>),
    /// Something about the mesh.
    Mesh(MeshRequest),
}

/// Something about the mesh that the operator asks for.
#[derive(Clone, Debug)]
pub enum MeshRequest {
    /// Make an invitation.
    Invite {
        /// What it makes of who takes it.
        offer: Relation,
        /// How often it can be used.
        uses: u16,
        /// For how long.
        life: Duration,
        /// Fresh, and nobody can guess it.
        token: [u8; 16],
        /// The same, for a fleet that is founded by this.
        secret: [u8; 32],
    },
    /// Take one.
    Join(String),
    /// What goes into and out of an audience of many.
    Share(Audience, Consent),
    /// Vouch for a node.
    Vouch {
        /// Which.
        node: NodeId,
        /// How much.
        weight: VouchWeight,
        /// Whether others hear of it.
        is_listed: bool,
    },
    /// Vouch for it no longer.
    Revoke(NodeId),
    /// Believe nothing that it says, or again.
    Mute(NodeId, bool),
    /// Send a node away from the fleet or circle; the secret is fresh.
    Expel(NodeId, [u8; 32]),
    /// Leave the fleet or a circle.
    Leave(Audience),
    /// Have the whole fleet enforce nothing, or enforce again.
    Enforce(bool),
    /// Declare this node's key dead, with the certificate that was made with it.
    Kill(Vec<u8>),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeshAnswer {
    /// A ticket.
    Invited(String, Token),
    /// The join goes on under this token.
    Joining(Token, NodeId, Relation),
    /// Whether anything came of it.
    Done(bool),
    /// The fleet is told: so many siblings there are, and so many are connected and hear it now.
    Told {
        /// Siblings.
        siblings: usize,
        /// Of them connected.
        connected: usize,
    },
    /// Not done, and why.
    No(String),
}

/// Decisions to make, all of one origin.
#[derive(Clone, Debug)]
pub struct Ban {
    /// The id that all of them get, so that they can be undone together.
    pub id: DetectionId,
    /// Whose they are.
    pub origin: Origin,
    /// Also about those that are protected, as far as that is possible.
    pub force: bool,
    /// About whom, and what.
    pub wishes: Vec<Wish>,
}

/// One decision to make.
#[derive(Clone, Debug)]
pub struct Wish {
    /// About whom.
    pub target: Target,
    /// What.
    pub kind: Kind,
    /// For how long.
    pub length: Duration,
    /// Why, in the operator's words or the list's.
    pub reason: Arc<str>,
}

/// Which decisions: those that fit everything that is said. Nothing said is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// About exactly this target.
    pub target: Option<Target>,
    /// With this id.
    pub id: Option<DetectionId>,
    /// Of this origin.
    pub origin: Option<Origin>,
    /// For this reason.
    pub reason: Option<String>,
    /// Every one, as far as nothing else is said.
    pub all: bool,
}

impl Selection {
    /// Whether the decision is meant.
    #[must_use]
    pub fn fits(&self, decision: &Decision) -> bool {
        let fits = [
            self.target.map(|target| target == decision.target),
            self.id.map(|id| id == decision.id),
            self.origin.map(|origin| origin == decision.origin),
            self.reason
                .as_ref()
                .map(|reason| **reason == *decision.reason),
        ];
        (self.all || fits.iter().any(Option::is_some))
            && fits.into_iter().all(|fits| fits != Some(false))
    }
}

/// Which of the decisions that are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldSelection {
    /// All.
    All,
    /// Of this scenario or list.
    Reason(String),
    /// About this target.
    Target(Target),
    /// Of this origin.
    Origin(Origin),
    /// With this id.
    Id(DetectionId),
}

impl HeldSelection {
    /// Whether it is meant.
    #[must_use]
    pub fn fits(&self, held: &Held) -> bool {
        match self {
            HeldSelection::All => true,
            HeldSelection::Reason(reason) => **reason == *held.decision.reason,
            HeldSelection::Target(target) => *target == held.decision.target,
            HeldSelection::Origin(origin) => *origin == held.decision.origin,
            HeldSelection::Id(id) => *id == held.decision.id,
        }
    }
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What came of the wishes.
    Banned(Banned),
    /// What was taken back.
    Lifted(Lifted),
    /// It is allowed; these decisions ended. Or it is not, and why.
    Allowed(Result<Vec<Decision>, AllowError>),
    /// Whether it was on the list.
    Disallowed(bool),
    /// About the mesh.
    Mesh(MeshAnswer),
    /// So many were released or dropped.
    Held(usize),
}

/// What came of wishes, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Banned {
    /// Decisions that are new.
    pub new: usize,
    /// Decisions that were made longer.
    pub longer: usize,
    /// Decisions that stood already for as long or longer.
    pub unchanged: usize,
    /// For want of room.
    pub no_room: usize,
    /// Held, because somebody has logged in from there.
    pub held: usize,
    /// Held, because the origin has made too many new ones within a short time.
    pub over_budget: usize,
    /// Neither in force nor held: they would be held, and there was no room for that.
    pub not_held: usize,
    /// Networks too wide.
    pub too_wide: usize,
    /// Protected.
    pub protected: usize,
    /// The first of the protected ones, and why.
    pub examples: Vec<(Target, Shield)>,
}

/// How many examples an answer gives.
pub const EXAMPLES_MAX: usize = 20;
/// How many decisions an answer shows.
pub const SHOWN_MAX: usize = 1_000;

/// What was taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifted {
    /// How many decisions.
    pub count: usize,
    /// The first of them.
    pub decisions: Vec<Decision>,
    /// How many that were held back are forgotten.
    pub held: usize,
    /// Thresholds that were raised, by scenario.
    pub raised: Vec<(Arc<str>, Target, Raised)>,
    /// Nodes that were held to have been wrong: what they are called here.
    pub refuted: Vec<String>,
}

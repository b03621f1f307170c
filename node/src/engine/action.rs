//! Everything that a node can do to the world.

use std::sync::Arc;

use lymph_scenarios::Skewed;

use super::alerts::Alert;
use super::breaker::Held;
use super::decision::{Decision, Kind, Origin};
use super::mesh;
use super::record::{Record, RecordKey};
use super::request::Answer;
use super::target::Target;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Enforce this, in place of whatever is enforced of the same kind about the same target.
    Ban(Decision),
    /// Stop enforcing it.
    Unban {
        /// About whom.
        target: Target,
        /// What.
        kind: Kind,
        /// Why it ends.
        why: Lifted,
    },
    /// Keep this record, in place of the one with the same key.
    Save(Record),
    /// Drop this record.
    Remove(RecordKey),
    /// Tell the operator.
    Notice(Notice),
    /// For the network.
    Net(mesh::Net),
    /// Enforce what is decided, or nothing: the operator wants it on all their machines.
    Enforce(bool),
    /// Tell whoever asked.
    Answer(Answer),
}

/// Why something is no longer enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifted {
    /// Its time is over.
    Ended,
    /// The operator lifted it.
    ByOperator,
    /// Its target is protected, as it turned out later.
    Protected,
    /// The table was full.
    NoRoom,
    /// What it rested on, others' word, weighs too little by now.
    Disbelieved,
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A scenario ran over.
    Detected(Arc<Alert>),
    /// The dates of a source are off, or right again.
    Skewed(Skewed),
    /// A decision had to give way for another: the table is full.
    GaveWay(Decision),
    /// A decision is held back.
    Held(Held),
    /// An import was more than its origin may add.
    ImportStopped {
        /// Whose.
        origin: Origin,
        /// How many are held for that.
        held: usize,
        /// For how many there was no room among what is held.
        not_held: usize,
    },
    /// An own ban lasts longer, since its target keeps knocking.
    Prolonged(Decision),
    /// Something about the mesh.
    Mesh(mesh::Notice),
    /// A sibling passes on what the operator wants, and it is done here.
    FromSibling {
        /// Which.
        node: lymph_protocol::NodeId,
        /// What.
        what: String,
    },
    /// The clock was set, and so many decisions were moved along with it.
    ClockFollowed {
        /// How many.
        decisions: usize,
    },
}

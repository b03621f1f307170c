//! What outlives the process: one record a decision, an alert, a place on the ladder, and so on.
//!
//! The daemon keeps them, the simulator has a map. Neither looks into them, but for one question: what the operator
//! said cannot be learned again, so it is kept apart and more carefully ([`RecordKey::is_operators`]).

use std::sync::Arc;

use lymph_protocol::{NodeId, Subject};
use serde::{Deserialize, Serialize};

use super::alerts::Alert;
use super::allowlist::{self, Allowed};
use super::breaker::Held;
use super::decision::{Decision, DecisionKey, DetectionId, Origin};
use super::familiar::Logins;
use super::ladder::Rung;
use super::leniency::{Case, Raised};
use super::mesh::{Kept, KeptKey};
use super::target::Target;
use super::trusting::KeptExperience;

/// Something to keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A live decision.
    Decision(Decision),
    /// A detection of the past.
    Alert(Arc<Alert>),
    /// Where a target stands on the ladder.
    Rung(Target, Rung),
    /// What the operator has allowed.
    Allow(allowlist::Entry),
    /// A threshold that the operator raised.
    Raised(Case, Raised),
    /// A protected target that the operator wants blocked all the same.
    Forced(Target),
    /// A decision that is held back.
    Held(Held),
    /// When somebody logged in here.
    Familiar(Subject, Logins),
    /// Whom this node knows, and what was said.
    Mesh(Kept),
    /// How often a node was right and wrong.
    Experience(NodeId, KeptExperience),
    /// How many attacks came in a day from those whom others would have had shut out and who were left alone.
    HeldOut(u32, u64),
}

/// Where it is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RecordKey {
    /// A live decision.
    Decision(DecisionKey),
    /// A detection of the past.
    Alert(DetectionId),
    /// Where a target stands on the ladder.
    Rung(Target),
    /// What the operator has allowed.
    Allow(Allowed),
    /// A threshold that the operator raised.
    Raised(Case),
    /// A protected target that the operator wants blocked all the same.
    Forced(Target),
    /// A decision that is held back.
    Held(DecisionKey),
    /// When somebody logged in here.
    Familiar(Subject),
    /// Whom this node knows, and what was said.
    Mesh(KeptKey),
    /// How often a node was right and wrong.
    Experience(NodeId),
    /// What happened on a day to those who were left alone.
    HeldOut(u32),
}

impl RecordKey {
    /// Whether the operator said it, or had it read from a list: nothing else could bring it back.
    #[must_use]
    pub const fn is_operators(&self) -> bool {
        match self {
            RecordKey::Decision((_, _, origin)) => match origin {
                Origin::Operator | Origin::Lists | Origin::Crowdsec => true,
                Origin::Lymph | Origin::Mesh | Origin::Predicted => false,
            },
            // Whom the operator has found wrong is theirs to say, and nothing would say it again.
            RecordKey::Allow(_)
            | RecordKey::Raised(_)
            | RecordKey::Forced(_)
            | RecordKey::Experience(_) => true,
            RecordKey::Mesh(key) => key.is_operators(),
            RecordKey::Alert(_)
            | RecordKey::Rung(_)
            | RecordKey::Held(_)
            | RecordKey::Familiar(_)
            | RecordKey::HeldOut(_) => false,
        }
    }
}

impl Record {
    /// Where it is kept.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        match self {
            Record::Decision(decision) => RecordKey::Decision(decision.key()),
            Record::Alert(alert) => RecordKey::Alert(alert.id),
            Record::Rung(target, _) => RecordKey::Rung(*target),
            Record::Allow(entry) => RecordKey::Allow(entry.what.clone()),
            Record::Raised(case, _) => RecordKey::Raised(case.clone()),
            Record::Forced(target) => RecordKey::Forced(*target),
            Record::Held(held) => RecordKey::Held(held.decision.key()),
            Record::Familiar(subject, _) => RecordKey::Familiar(*subject),
            Record::Mesh(kept) => RecordKey::Mesh(kept.key()),
            Record::Experience(node, _) => RecordKey::Experience(*node),
            Record::HeldOut(day, _) => RecordKey::HeldOut(*day),
        }
    }
}

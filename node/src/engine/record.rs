//! What outlives the process: one record a decision, an alert, a place on the ladder.
//!
//! The daemon keeps them in its store, the simulator in a map. Neither looks into them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::alerts::Alert;
use super::decision::{Decision, DecisionKey, DetectionId};
use super::ladder::Rung;
use super::target::Target;

/// Something to keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A live decision.
    Decision(Decision),
    /// A detection of the past.
    Alert(Arc<Alert>),
    /// Where a target stands on the ladder.
    Rung(Target, Rung),
}

/// Where it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RecordKey {
    /// A live decision.
    Decision(DecisionKey),
    /// A detection of the past.
    Alert(DetectionId),
    /// Where a target stands on the ladder.
    Rung(Target),
}

impl Record {
    /// Where it is kept.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        match self {
            Record::Decision(decision) => RecordKey::Decision(decision.key()),
            Record::Alert(alert) => RecordKey::Alert(alert.id),
            Record::Rung(target, _) => RecordKey::Rung(*target),
        }
    }
}

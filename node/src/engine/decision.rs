//! One decision: what is done about whom, by whom, until when, and the detection that it began with.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use lymph_protocol::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::target::Target;

/// What is done about a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Fewer new connections.
    Throttle,
    /// A riddle first, where a web server asks for one.
    Captcha,
    /// No packets.
    Ban,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Throttle, Kind::Captcha, Kind::Ban];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Throttle => "throttle",
            Kind::Captcha => "captcha",
            Kind::Ban => "ban",
        }
    }
}

/// Whose decision it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// This node's own logs.
    Lymph,
    /// Other nodes' reports.
    Mesh,
    /// The person in charge.
    Operator,
    /// An imported list.
    Lists,
    /// This node's guess at what comes next.
    Predicted,
    /// A CrowdSec engine.
    Crowdsec,
}

impl Origin {
    /// All of them.
    pub const ALL: [Origin; 6] = [
        Origin::Lymph,
        Origin::Mesh,
        Origin::Operator,
        Origin::Lists,
        Origin::Predicted,
        Origin::Crowdsec,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Origin::Lymph => "lymph",
            Origin::Mesh => "mesh",
            Origin::Operator => "operator",
            Origin::Lists => "lists",
            Origin::Predicted => "predicted",
            Origin::Crowdsec => "crowdsec",
        }
    }

    /// Whether it was read from a list, and can be read again.
    #[must_use]
    pub const fn is_import(self) -> bool {
        match self {
            Origin::Lists | Origin::Crowdsec => true,
            Origin::Lymph | Origin::Mesh | Origin::Operator | Origin::Predicted => false,
        }
    }
}

/// Names a detection and the decision that came of it; 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DetectionId(pub u64);

impl DetectionId {
    /// The id of a detection of `scenario` about `value`, whose first line was `first_line`: the same
    /// whenever the same lines are read again, so that reading twice adds nothing.
    #[must_use]
    pub fn of(scenario: &str, value: &str, first_line: u64) -> Self {
        let mut hash = Sha256::new();
        for part in [scenario, value] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(first_line.to_le_bytes());
        let digest = hash.finalize();
        DetectionId(
            digest
                .iter()
                .take(8)
                .fold(0, |id, byte| id << 8 | u64::from(*byte)),
        )
    }
}

impl fmt::Display for DetectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for DetectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no detection's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 16 hexadecimal digits")]
pub struct ParseDetectionIdError;

impl FromStr for DetectionId {
    type Err = ParseDetectionIdError;

    fn from_str(text: &str) -> Result<Self, ParseDetectionIdError> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits
            .then(|| u64::from_str_radix(text, 16).ok())
            .flatten()
            .map(DetectionId)
            .ok_or(ParseDetectionIdError)
    }
}

/// Something is done about a target for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The detection that it began with.
    pub id: DetectionId,
    /// About whom.
    pub target: Target,
    /// What.
    pub kind: Kind,
    /// Whose.
    pub origin: Origin,
    /// The scenario that ran over, or the operator's reason.
    pub reason: Arc<str>,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The target's step on the ladder, from 1; 0 where there is none.
    pub step: u8,
}

impl Decision {
    /// Where it stands in the table.
    #[must_use]
    pub const fn key(&self) -> DecisionKey {
        (self.target, self.kind, self.origin)
    }
}

/// A place in the table: one decision a target, kind and origin.
pub type DecisionKey = (Target, Kind, Origin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_follows_from_scenario_subject_and_first_line() {
        let id = DetectionId::of("a/b", "192.0.2.1", 7);
        assert_eq!(id, DetectionId::of("a/b", "192.0.2.1", 7));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_ne!(id, DetectionId::of("a/b", "192.0.2.1", 8));
        assert_ne!(id, DetectionId::of("a/b1", "92.0.2.1", 7));
        assert!(
            "0123".parse::<DetectionId>().is_err()
                && "+123456789abcdef".parse::<DetectionId>().is_err()
        );
    }
}

//! A detection: the moment a bucket runs over, with the lines that filled it.
//!
//! This is what leaves the crate; `node::engine` makes a decision of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use lymph_protocol::{Subject, Timestamp};
use serde::{Deserialize, Serialize};

/// What a scenario is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// An address.
    Ip,
    /// A network.
    Range,
    /// Anything else that a rule names, such as a user.
    Other(Arc<str>),
}

impl Scope {
    /// The name as CrowdSec writes it: `Ip`, `Range`, or the rule's own word.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Scope::Ip => "Ip",
            Scope::Range => "Range",
            Scope::Other(name) => name,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attacker {
    /// What kind of thing `value` is.
    pub scope: Scope,
    /// The address, range or other text that is spoken about, in canonical form.
    pub value: String,
    /// The last address seen, where there is one.
    pub address: Option<IpAddr>,
    /// `Meta.SourceRange`, if the rules set it.
    pub range: Option<String>,
}

impl Attacker {
    /// The subject, if this is about an address.
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        match self.scope {
            Scope::Ip => self.address.map(Subject::of),
            Scope::Range | Scope::Other(_) => None,
        }
    }
}

/// A line that was poured, as it leaves with the detection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poured {
    /// When it happened, by the bucket's clock.
    pub at: Timestamp,
    /// The line's id.
    pub line: u64,
    /// The log's own text form of the time, if it gave one.
    pub log_time: Option<String>,
    /// `evt.Meta`, by key.
    pub meta: BTreeMap<String, String>,
}

/// One detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// Name of the scenario, `author/name`.
    pub scenario: Arc<str>,
    /// The scenario's one-line description.
    pub description: Arc<str>,
    /// The scenario's labels, as written.
    pub labels: Arc<BTreeMap<String, String>>,
    /// The scenario's meaning, hashed; see [`crate::scenario::Scenario::hash`].
    pub rule: [u8; 8],
    /// Whether the scenario asks for a remedy (`labels.remediation: true`); the others only inform.
    pub remediation: bool,
    /// Who did it: one, unless the scenario groups by something else than the source.
    pub attackers: Vec<Attacker>,
    /// How many lines were poured; at least as many as are kept.
    pub events_count: u32,
    /// The lines that were kept, oldest first.
    pub events: Vec<Poured>,
    /// Id of the first line that was poured.
    pub first_line: u64,
    /// Time of the first line, by the bucket's clock.
    pub first_seen: Timestamp,
    /// Time of the last line, by the bucket's clock.
    pub last_seen: Timestamp,
    /// What a full bucket holds; -1 for a bucket without a bound.
    pub capacity: i64,
    /// Milliseconds in which one token leaks away.
    pub leakspeed_ms: u64,
    /// Set by a postoverflow: this is not to be acted upon, and why.
    pub whitelisted: Option<String>,
    /// The bucket would have held, but for what others say of the attacker: it is no evidence for anybody else.
    pub is_primed: bool,
}

/// What an entry of a map costs beside its texts, about.
const ENTRY_BYTES: usize = 64;

impl Overflow {
    /// The services that the kept lines are about, by their `Meta.service`.
    #[must_use]
    pub fn services(&self) -> BTreeSet<&str> {
        let services = self
            .events
            .iter()
            .filter_map(|event| event.meta.get("service"));
        services
            .map(String::as_str)
            .filter(|service| !service.is_empty())
            .collect()
    }

    /// What it costs to keep it, about.
    pub(crate) fn bytes(&self) -> usize {
        let attackers = self.attackers.iter().map(|attacker| {
            let range = attacker.range.as_ref().map_or(0, String::len);
            size_of::<Attacker>() + attacker.value.len() + range
        });
        let events = self.events.iter().map(|event| {
            let meta = event.meta.iter();
            let time = event.log_time.as_ref().map_or(0, String::len);
            let fields = meta.map(|(key, value)| ENTRY_BYTES + key.len() + value.len());
            size_of::<Poured>() + time + fields.sum::<usize>()
        });
        size_of::<Overflow>() + attackers.sum::<usize>() + events.sum::<usize>()
    }
}

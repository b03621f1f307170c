//! A report: what one node saw one address do. And the retraction that takes it back.
//!
//! On the wire, after the envelope's head (see [`crate::signed`]):
//!
//! | bytes | field |
//! |---|---|
//! | 1 + 4, or 1 + 8 | subject: 4 and an IPv4 address, or 6 and the upper half of an IPv6 address |
//! | 1 | family |
//! | 8 | rule: hash of the scenario's meaning, see [`RuleHash`] |
//! | 1 | evidence: 0 spoofable, 1 handshake |
//! | 1 | log2 of the number of events |
//! | 4 | time, in slots of five minutes since the epoch |
//! | 1 | life in hours |
//! | 8 | number of the author |
//!
//! In all 127 bytes for IPv4 and 131 for IPv6, signature included. Never in it: who was attacked, where, by which name,
//! with which words.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::codec::CodecError;
use crate::family::Family;
use crate::id::hex;
use crate::limits;
use crate::subject::{Subject, wire};
use crate::time::Timestamp;

/// The meaning of a scenario, hashed: the first 8 bytes of a SHA-256 of the checked scenario without its name,
/// description and labels. Two nodes with the same rule agree on it, whatever they call it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleHash(pub [u8; 8]);

impl fmt::Display for RuleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for RuleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RuleHash({self})")
    }
}

/// How sure it is that the subject is who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// The sender's address may be forged: UDP, unfinished TCP, an address out of a header.
    Spoofable,
    /// A connection was completed: the address is where the answers went.
    Handshake,
}

/// A time in slots of five minutes since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot(pub u32);

impl Slot {
    /// The slot that a time is in.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        Slot(u32::try_from(time.secs() / limits::SLOT.as_secs()).unwrap_or(u32::MAX))
    }

    /// When it begins.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp::from_secs(u64::from(self.0) * limits::SLOT.as_secs())
    }
}

/// What one node saw one address do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Report {
    /// Who did it.
    pub subject: Subject,
    /// What kind of thing.
    pub family: Family,
    /// By which rule that was seen.
    pub rule: RuleHash,
    /// How sure it is that it was them.
    pub evidence: Evidence,
    /// Log2 of how many events there were, rounded down.
    pub count_log2: u8,
    /// When, rounded down to five minutes.
    pub slot: Slot,
    /// For how many hours it is to be remembered, from then on.
    pub ttl_hours: u8,
    /// Its number: an author never gives one twice, and later reports have larger ones.
    pub seq: u64,
}

/// Why an object can be no honest one, whoever looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Nonsense {
    /// An address that nobody on the Internet has.
    #[error("its subject is no public address")]
    NotPublic,
    /// Longer than a report may live.
    #[error("its life is longer than allowed, or nothing")]
    Life,
    /// A number that no count has.
    #[error("its count is out of range")]
    Count,
    /// A list with too many entries, or none.
    #[error("its list is empty or too long")]
    Length,
    /// Weight over 1, or none.
    #[error("its weight is out of range")]
    Weight,
    /// About its own author.
    #[error("it is about its own author")]
    OwnAuthor,
    /// A text that is not what it should be.
    #[error("one of its texts is malformed")]
    Text,
    /// Numbers of a batch that do not rise, or the like.
    #[error("its parts are not in order")]
    Order,
}

impl Report {
    /// When it says it was.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.slot.start()
    }

    /// For how long it is remembered.
    #[must_use]
    pub const fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl_hours as u64 * 60 * 60)
    }

    /// When it is forgotten.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.time() + self.ttl()
    }

    /// Whether every node of this version sees that it can be no honest one.
    pub fn check(&self) -> Result<(), Nonsense> {
        if !self.subject.is_public() {
            return Err(Nonsense::NotPublic);
        }
        if !(1..=limits::TTL_HOURS_MAX).contains(&self.ttl_hours) {
            return Err(Nonsense::Life);
        }
        if self.count_log2 > 63 {
            return Err(Nonsense::Count);
        }
        Ok(())
    }
}

/// The author takes back what they reported about a subject, up to this number. It lives as long as what it takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Retraction {
    /// About whom.
    pub subject: Subject,
    /// What kind of thing it was said to have done.
    pub family: Family,
    /// When it was taken back.
    pub slot: Slot,
    /// For how many hours it is to be remembered.
    pub ttl_hours: u8,
    /// Its number: reports with smaller ones are taken back.
    pub seq: u64,
}

impl Retraction {
    /// When it is forgotten.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.slot.start() + Duration::from_secs(u64::from(self.ttl_hours) * 60 * 60)
    }

    /// See [`Report::check`].
    pub fn check(&self) -> Result<(), Nonsense> {
        if !self.subject.is_public() {
            return Err(Nonsense::NotPublic);
        }
        if !(1..=limits::TTL_HOURS_MAX).contains(&self.ttl_hours) {
            return Err(Nonsense::Life);
        }
        Ok(())
    }
}

/// The fields in the order of the wire.
pub(crate) type ReportWire = (wire::SubjectWire, u8, RuleHash, u8, u8, u32, u8, u64);
pub(crate) type RetractionWire = (wire::SubjectWire, u8, u32, u8, u64);

impl From<&Report> for ReportWire {
    fn from(report: &Report) -> Self {
        let evidence = match report.evidence {
            Evidence::Spoofable => 0,
            Evidence::Handshake => 1,
        };
        (
            wire::SubjectWire(report.subject),
            report.family.number(),
            report.rule,
            evidence,
            report.count_log2,
            report.slot.0,
            report.ttl_hours,
            report.seq,
        )
    }
}

impl TryFrom<ReportWire> for Report {
    type Error = CodecError;

    fn try_from(wire: ReportWire) -> Result<Self, CodecError> {
        let (subject, family, rule, evidence, count_log2, slot, ttl_hours, seq) = wire;
        let evidence = match evidence {
            0 => Evidence::Spoofable,
            1 => Evidence::Handshake,
            other => return Err(CodecError::Malformed(format!("evidence {other}"))),
        };
        Ok(Report {
            subject: subject.0,
            family: Family::from_number(family),
            rule,
            evidence,
            count_log2,
            slot: Slot(slot),
            ttl_hours,
            seq,
        })
    }
}

impl From<&Retraction> for RetractionWire {
    fn from(retraction: &Retraction) -> Self {
        (
            wire::SubjectWire(retraction.subject),
            retraction.family.number(),
            retraction.slot.0,
            retraction.ttl_hours,
            retraction.seq,
        )
    }
}

impl From<RetractionWire> for Retraction {
    fn from((subject, family, slot, ttl_hours, seq): RetractionWire) -> Self {
        Retraction {
            subject: subject.0,
            family: Family::from_number(family),
            slot: Slot(slot),
            ttl_hours,
            seq,
        }
    }
}

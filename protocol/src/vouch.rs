//! Whom a node believes: a vouch, and the revocation that ends it. And the certificate by which a key declares itself dead.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::codec::CodecError;
use crate::id::NodeId;
use crate::limits;
use crate::report::Nonsense;
use crate::time::Timestamp;

/// How much of an issuer's trust a vouch asks for: ten-thousandths, over 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VouchWeight(pub u16);

impl VouchWeight {
    /// All of it.
    pub const ONE: VouchWeight = VouchWeight(10_000);
}

/// What the vouched one is to the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Degree {
    /// Somebody they know.
    Friend,
    /// A member of a circle that they curate.
    Member,
    /// Their own machine.
    Sibling,
}

impl Degree {
    const fn number(self) -> u8 {
        match self {
            Degree::Friend => 0,
            Degree::Member => 1,
            Degree::Sibling => 2,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Degree::Friend => "friend",
            Degree::Member => "member",
            Degree::Sibling => "sibling",
        }
    }
}

/// A time in minutes since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Minute(pub u32);

impl Minute {
    /// The minute that a time is in.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        Minute(u32::try_from(time.secs() / 60).unwrap_or(u32::MAX))
    }

    /// When it begins.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp::from_secs(self.0 as u64 * 60)
    }
}

/// "Believe them."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vouch {
    /// Whom.
    pub subject: NodeId,
    /// What they are to the issuer.
    pub degree: Degree,
    /// How much.
    pub weight: VouchWeight,
    /// When it was given.
    pub issued: Minute,
    /// Until when.
    pub expires: Minute,
    /// Its number: of two by the same issuer about the same node the higher one holds.
    pub seq: u64,
}

impl Vouch {
    /// Whether every node of this version sees that it can be no honest one.
    pub fn check(&self, author: NodeId) -> Result<(), Nonsense> {
        if self.subject == author {
            return Err(Nonsense::OwnAuthor);
        }
        if self.weight.0 == 0 || self.weight > VouchWeight::ONE {
            return Err(Nonsense::Weight);
        }
        check_life(self.issued, self.expires, limits::VOUCH_LIFE_MAX)
    }
}

/// "I no longer say so." Kept until what it revokes would have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revocation {
    /// About whom.
    pub subject: NodeId,
    /// When it was revoked.
    pub issued: Minute,
    /// The end of what is revoked.
    pub expires: Minute,
    /// Its number: vouches about this node with smaller ones are revoked.
    pub seq: u64,
}

impl Revocation {
    /// See [`Vouch::check`].
    pub fn check(&self, author: NodeId) -> Result<(), Nonsense> {
        if self.subject == author {
            return Err(Nonsense::OwnAuthor);
        }
        check_life(self.issued, self.expires, limits::VOUCH_LIFE_MAX)
    }
}

/// "This key is dead, for ever." Signed when the key is made and kept apart, for the day that it is stolen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kill {
    /// When it was signed.
    pub issued: Minute,
    /// The key that its owner goes on with, if they say so.
    pub successor: Option<NodeId>,
}

impl Kill {
    /// See [`Vouch::check`].
    pub fn check(&self, author: NodeId) -> Result<(), Nonsense> {
        match self.successor {
            Some(successor) if successor == author => Err(Nonsense::OwnAuthor),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether it begins before it ends, and lives no longer than allowed.
pub(crate) fn check_life(
    issued: Minute,
    expires: Minute,
    longest: Duration,
) -> Result<(), Nonsense> {
    let life = expires.start().since(issued.start());
    match !life.is_zero() && life <= longest {
        true => Ok(()),
        false => Err(Nonsense::Life),
    }
}

pub(crate) type VouchWire = (NodeId, u8, u16, u32, u32, u64);
pub(crate) type RevocationWire = (NodeId, u32, u32, u64);
/// A successor of zeros is none: no key has that name.
pub(crate) type KillWire = (u32, [u8; 32]);

impl From<&Vouch> for VouchWire {
    fn from(vouch: &Vouch) -> Self {
        (
            vouch.subject,
            vouch.degree.number(),
            vouch.weight.0,
            vouch.issued.0,
            vouch.expires.0,
            vouch.seq,
        )
    }
}

impl TryFrom<VouchWire> for Vouch {
    type Error = CodecError;

    fn try_from(
        (subject, degree, weight, issued, expires, seq): VouchWire,
    ) -> Result<Self, CodecError> {
        let degree = match degree {
            0 => Degree::Friend,
            1 => Degree::Member,
            2 => Degree::Sibling,
            other => return Err(CodecError::Malformed(format!("degree {other}"))),
        };
        Ok(Vouch {
            subject,
            degree,
            weight: VouchWeight(weight),
            issued: Minute(issued),
            expires: Minute(expires),
            seq,
        })
    }
}

impl From<&Revocation> for RevocationWire {
    fn from(revocation: &Revocation) -> Self {
        (
            revocation.subject,
            revocation.issued.0,
            revocation.expires.0,
            revocation.seq,
        )
    }
}

impl From<RevocationWire> for Revocation {
    fn from((subject, issued, expires, seq): RevocationWire) -> Self {
        Revocation {
            subject,
            issued: Minute(issued),
            expires: Minute(expires),
            seq,
        }
    }
}

impl From<&Kill> for KillWire {
    fn from(kill: &Kill) -> Self {
        let successor = kill.successor.map_or([0; 32], |id| *id.as_bytes());
        (kill.issued.0, successor)
    }
}

impl From<KillWire> for Kill {
    fn from((issued, successor): KillWire) -> Self {
        Kill {
            issued: Minute(issued),
            successor: (successor != [0; 32]).then(|| NodeId::from_bytes(successor)),
        }
    }
}

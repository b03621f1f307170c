//! What two peers ask each other directly, beside gossip: who are you, may I join, what do I miss.
//!
//! Questions and answers are not signed: the connection is encrypted and says whose transport it is, and what has to be
//! believed later comes in envelopes. One version byte, then the value; at most [`limits::ASK_BYTES_MAX`] bytes.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::audience::Audience;
use crate::codec::{self, CodecError};
use crate::digest::Epoch;
use crate::id::{NodeId, ObjectId};
use crate::limits;
use crate::report::Slot;
use crate::sync::{self, Salt};
use crate::ticket::{Relation, Token};

const VERSION: u8 = 1;

/// An envelope's bytes.
pub type Envelope = Vec<u8>;

/// A question. Printed without its secrets, and bytes as their number.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// "This is who I am": a contact, signed for the audience that both are in.
    Hello {
        /// Which.
        audience: Audience,
        /// The contact.
        contact: Envelope,
    },
    /// "I was given this ticket."
    Join {
        /// What it said.
        token: Token,
        /// Where the joiner can be reached, signed for the public.
        contact: Envelope,
    },
    /// "Here is what I have since then, in short": one frame of a negentropy exchange over what an audience was told.
    Reconcile {
        /// Which audience.
        audience: Audience,
        /// Since when.
        since: Slot,
        /// The frame.
        frame: Vec<u8>,
    },
    /// "Give me these."
    Fetch {
        /// Of which audience.
        audience: Audience,
        /// Their names, at most [`limits::FETCH_MAX`]: salted, or, if the salt is zeros, plain object ids.
        ids: Vec<[u8; 32]>,
        /// The salt of the reconciliation that named them; see [`crate::sync::resolve`].
        salt: Salt,
        /// Since when that looked; says nothing about plain ids.
        since: Slot,
    },
    /// "Take these": what the other side was found to miss.
    Push {
        /// Of which audience.
        audience: Audience,
        /// The envelopes.
        objects: Vec<Envelope>,
    },
    /// "Who vouches for whom", from a place in the other's list on.
    Vouches {
        /// Of which audience.
        audience: Audience,
        /// The place; 0 at first, then as the answer says.
        cursor: u64,
    },
    /// "What does this author have live?"
    Digest {
        /// Of which audience.
        audience: Audience,
        /// Whose.
        author: NodeId,
        /// Newer than this.
        after: Epoch,
    },
    /// "We have a new secret", to a sibling that stays.
    Rekey {
        /// The new secret.
        secret: [u8; 32],
        /// When it was made, in milliseconds: of two the later one holds.
        epoch: u64,
        /// Who was sent away: more than 256 are not read.
        expelled: Vec<NodeId>,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// "And I am."
    Hello {
        /// A contact.
        contact: Envelope,
    },
    /// "Welcome."
    Joined(Box<Joined>),
    /// "No", and why.
    Refused(Refusal),
    /// The other side's frame; empty when nothing is left to say.
    Reconcile {
        /// The frame.
        frame: Vec<u8>,
    },
    /// Envelopes, and where to go on, if that was asked.
    Objects {
        /// The envelopes.
        objects: Vec<Envelope>,
        /// The next place in the list; the same as asked when there is no more.
        cursor: u64,
    },
    /// "Thank you."
    Taken,
}

/// What a joiner hears. Printed without the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// What they are to each other now.
    pub relation: Relation,
    /// The issuer's contact, signed for the public.
    pub contact: Envelope,
    /// The fleet's secret, for a sibling.
    pub secret: Option<[u8; 32]>,
    /// The circle, for a member.
    pub circle: Option<[u8; 32]>,
    /// Contacts of the others, signed for the fleet or the circle, and words to the fleet that still hold.
    pub objects: Vec<Envelope>,
    /// Whether a curator has still to say yes.
    pub pending: bool,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The token was never given out here, or is forgotten.
    #[error(
        "the other node does not know this ticket: it may have expired, or the node was set up anew; ask for a new one"
    )]
    UnknownTicket,
    /// Its time is over.
    #[error(
        "the ticket has expired; ask for a new one (`lymph invite --for 1h` makes one that lives longer)"
    )]
    Expired,
    /// All its uses are used.
    #[error(
        "the ticket was used already; ask for a new one (`lymph invite --uses N` makes one for several)"
    )]
    Used,
    /// The joiner holds the issuer's own key.
    #[error(
        "this is the key of the node that made the ticket; run `lymph join` on the other machine"
    )]
    OwnTicket,
    /// The contact is not what it should be.
    #[error("the other node could not read this node's contact; are both of the same version?")]
    BadContact,
    /// There is no room.
    #[error("the other node has no room for one more")]
    Full,
    /// The asker may not know.
    #[error("that is not for you")]
    NotYours,
    /// Too much was asked for.
    #[error("too many questions; later again")]
    Busy,
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ask::Hello { audience, contact } => f
                .debug_struct("Hello")
                .field("audience", audience)
                .field("contact_bytes", &contact.len())
                .finish(),
            Ask::Join { token, contact } => f
                .debug_struct("Join")
                .field("token", token)
                .field("contact_bytes", &contact.len())
                .finish(),
            Ask::Reconcile {
                audience,
                since,
                frame,
            } => f
                .debug_struct("Reconcile")
                .field("audience", audience)
                .field("since", since)
                .field("frame_bytes", &frame.len())
                .finish(),
            Ask::Fetch {
                audience,
                ids,
                salt: _,
                since,
            } => f
                .debug_struct("Fetch")
                .field("audience", audience)
                .field("ids", &ids.len())
                .field("since", since)
                .finish_non_exhaustive(),
            Ask::Push { audience, objects } => f
                .debug_struct("Push")
                .field("audience", audience)
                .field("objects", &objects.len())
                .finish(),
            Ask::Vouches { audience, cursor } => f
                .debug_struct("Vouches")
                .field("audience", audience)
                .field("cursor", cursor)
                .finish(),
            Ask::Digest {
                audience,
                author,
                after,
            } => f
                .debug_struct("Digest")
                .field("audience", audience)
                .field("author", author)
                .field("after", after)
                .finish(),
            Ask::Rekey { .. } => f.debug_struct("Rekey").finish_non_exhaustive(),
        }
    }
}

impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joined")
            .field("relation", &self.relation)
            .field("contact_bytes", &self.contact.len())
            .field("has_secret", &self.secret.is_some())
            .field("has_circle", &self.circle.is_some())
            .field("objects", &self.objects.len())
            .field("pending", &self.pending)
            .finish()
    }
}

/// The salt of ids that are not salted.
pub const PLAIN: Salt = [0; 16];

/// Which of `held` a [`Ask::Fetch`] asks for, in the order of `held`. `held` is what is here of its audience and, if the
/// ids are salted, since its time.
#[must_use]
pub fn fetched(
    held: impl Iterator<Item = ObjectId>,
    salt: Salt,
    ids: &[[u8; 32]],
) -> Vec<ObjectId> {
    let ids = &ids[..ids.len().min(limits::FETCH_MAX)];
    match salt == PLAIN {
        true => {
            let wanted: BTreeSet<&[u8; 32]> = ids.iter().collect();
            held.filter(|id| wanted.contains(&id.0)).collect()
        }
        false => sync::resolve(held, salt, ids),
    }
}

impl Ask {
    /// As bytes.
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        codec::encode::<_, { limits::ASK_BYTES_MAX }>(VERSION, self)
    }

    /// From bytes that anybody may have sent.
    pub fn decode(bytes: &[u8]) -> Result<Ask, CodecError> {
        codec::decode::<_, { limits::ASK_BYTES_MAX }>(VERSION, bytes)
    }
}

impl Answer {
    /// As bytes.
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        codec::encode::<_, { limits::ASK_BYTES_MAX }>(VERSION, self)
    }

    /// From bytes that anybody may have sent.
    pub fn decode(bytes: &[u8]) -> Result<Answer, CodecError> {
        codec::decode::<_, { limits::ASK_BYTES_MAX }>(VERSION, bytes)
    }
}

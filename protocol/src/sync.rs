//! How two nodes find out what each lacks, in bytes that follow the difference and not the whole: range-based set
//! reconciliation. The only user of negentropy.
//!
//! The one who asks ([`Initiator`]) sends fingerprints of ranges; the other ([`respond`]) answers with finer ones where
//! they differ, down to lists of ids. The other remembers nothing between questions. Nothing here sends anything.
//!
//! Ids are hashed with a salt that the initiator throws anew for each session: who crafts objects cannot know which
//! fingerprints they will collide in. So what the initiator lacks it knows by its salted id only, and fetches by that
//! ([`resolve`]). The salt stands before every frame of the initiator; 16 bytes, then negentropy's own message.
//!
//! A session ends after [`limits::SYNC_ROUNDS_MAX`] questions or [`limits::SYNC_BYTES_MAX`] bytes, whichever the other
//! side says. What was found until then is good; the next session goes on from there.

use std::collections::BTreeSet;
use std::sync::Arc;

use negentropy::{Id, Negentropy, NegentropyStorageVector};
use sha2::{Digest as _, Sha256};

use crate::id::ObjectId;
use crate::limits;

const SALT: usize = 16;

/// What ids are hashed with for one session.
pub type Salt = [u8; SALT];
/// An id, hashed with a session's salt.
pub type Salted = [u8; 32];

/// Why a frame is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// Longer than frames are.
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    /// Without a salt.
    #[error("a frame is cut short")]
    Short,
    /// No message of the protocol.
    #[error("no frame: {0}")]
    Malformed(String),
    /// The session was over.
    #[error("the session is over")]
    Over,
}

/// What a node has, of one audience and since some time, under a salt. Cheap to clone: who answers may keep it for the
/// next question with the same salt.
#[derive(Clone, Debug)]
pub struct Items(Arc<Sorted>);

#[derive(Debug)]
struct Sorted {
    salt: Salt,
    by_time: NegentropyStorageVector,
    /// Sorted.
    names: Vec<(Salted, ObjectId)>,
}

impl Items {
    /// Those with their times in seconds, in any order. `salt` is random to an initiator, and the frame's to who answers.
    #[must_use]
    pub fn new(items: impl Iterator<Item = (u64, ObjectId)>, salt: Salt) -> Self {
        let mut by_time = NegentropyStorageVector::new();
        let mut names = Vec::new();
        for (secs, id) in items {
            let salted = salted(&salt, &id);
            // The largest time stands for "all" in ranges, so nothing may have it. That it fails once sealed only is why
            // it cannot fail here.
            let _ = by_time.insert(secs.min(u64::MAX - 1), Id::from_byte_array(salted));
            names.push((salted, id));
        }
        let _ = by_time.seal();
        names.sort_unstable();
        names.dedup();
        Items(Arc::new(Sorted {
            salt,
            by_time,
            names,
        }))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.names.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.names.is_empty()
    }

    /// The salt that they are under.
    #[must_use]
    pub fn salt(&self) -> Salt {
        self.0.salt
    }

    /// Those of these that are here.
    #[must_use]
    pub fn resolve(&self, ids: &[Salted]) -> Vec<ObjectId> {
        ids.iter().filter_map(|salted| self.name(salted)).collect()
    }

    fn name(&self, salted: &Salted) -> Option<ObjectId> {
        let names = &self.0.names;
        let at = names.binary_search_by_key(salted, |(salted, _)| *salted);
        Some(names[at.ok()?].1)
    }

    fn negentropy(&self) -> Result<Negentropy<'_, NegentropyStorageVector>, SyncError> {
        let bytes_max = limits::SYNC_FRAME_MAX - SALT;
        Negentropy::borrowed(&self.0.by_time, bytes_max as u64).map_err(malformed)
    }
}

/// Which of `held` were asked for by their salted ids.
#[must_use]
pub fn resolve(held: impl Iterator<Item = ObjectId>, salt: Salt, ids: &[Salted]) -> Vec<ObjectId> {
    let wanted: BTreeSet<&Salted> = ids.iter().collect();
    held.filter(|id| wanted.contains(&salted(&salt, id)))
        .collect()
}

/// An id under a salt.
#[must_use]
pub fn salted(salt: &Salt, id: &ObjectId) -> Salted {
    Sha256::new()
        .chain_update(salt)
        .chain_update(id.0)
        .finalize()
        .into()
}

/// What is to be done after an answer. Ids come sorted, and each once in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask on.
    Ask {
        /// With this.
        frame: Vec<u8>,
        /// What they lack.
        have: Vec<ObjectId>,
        /// What is lacking here.
        need: Vec<Salted>,
    },
    /// That was all, or all for this session: [`Initiator::is_whole`].
    Done {
        /// What they lack.
        have: Vec<ObjectId>,
        /// What is lacking here.
        need: Vec<Salted>,
    },
}

/// Who asks.
#[derive(Debug)]
pub struct Initiator {
    items: Items,
    rounds: u32,
    bytes: usize,
    is_over: bool,
    is_whole: bool,
    told: BTreeSet<Salted>,
}

impl Initiator {
    /// The first question.
    pub fn start(items: Items) -> Result<(Initiator, Vec<u8>), SyncError> {
        let message = items.negentropy()?.initiate().map_err(malformed)?;
        let frame = [items.salt().as_slice(), &message].concat();
        let initiator = Initiator {
            rounds: 1,
            bytes: frame.len(),
            is_over: false,
            is_whole: false,
            told: BTreeSet::new(),
            items,
        };
        Ok((initiator, frame))
    }

    /// What follows from an answer. After an error the session is over.
    pub fn next(&mut self, answer: &[u8]) -> Result<Step, SyncError> {
        if self.is_over {
            return Err(SyncError::Over);
        }
        self.is_over = true;
        check_length(answer)?;
        self.bytes += answer.len();
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let mut negentropy = self.items.negentropy()?;
        negentropy.set_initiator();
        let message = negentropy
            .reconcile_with_ids(answer, &mut have, &mut need)
            .map_err(malformed)?;
        let (have, need) = (self.have(have), self.need(need));
        let Some(message) = message else {
            self.is_whole = true;
            return Ok(Step::Done { have, need });
        };
        let frame = [self.items.salt().as_slice(), &message].concat();
        self.bytes += frame.len();
        if self.rounds >= limits::SYNC_ROUNDS_MAX || self.bytes > limits::SYNC_BYTES_MAX {
            return Ok(Step::Done { have, need });
        }
        self.rounds += 1;
        self.is_over = false;
        Ok(Step::Ask { frame, have, need })
    }

    /// Whether the sets were compared to the end; `false` while that goes on, and when the session's limits ended it.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Questions so far.
    #[must_use]
    pub const fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Bytes so far, both ways.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The salt of the session.
    #[must_use]
    pub fn salt(&self) -> Salt {
        self.items.salt()
    }

    fn have(&mut self, ids: Vec<Id>) -> Vec<ObjectId> {
        let new = self.new_ones(ids);
        let names = new.iter().filter_map(|id| self.items.name(id));
        let sorted: BTreeSet<ObjectId> = names.collect();
        sorted.into_iter().collect()
    }

    /// Whoever answers may claim to have what is here already, under another time.
    fn need(&mut self, ids: Vec<Id>) -> Vec<Salted> {
        let mut new = self.new_ones(ids);
        new.retain(|id| self.items.name(id).is_none());
        new
    }

    /// Sorted, because negentropy's order hangs on a hash seed.
    fn new_ones(&mut self, ids: Vec<Id>) -> Vec<Salted> {
        let ids: BTreeSet<Salted> = ids.into_iter().map(|id| id.to_bytes()).collect();
        ids.into_iter().filter(|id| self.told.insert(*id)).collect()
    }
}

/// Answers a question; `items_of` gathers what is here under the salt in it.
pub fn respond(items_of: impl FnOnce(Salt) -> Items, frame: &[u8]) -> Result<Vec<u8>, SyncError> {
    check_length(frame)?;
    let (salt, message) = frame.split_first_chunk::<SALT>().ok_or(SyncError::Short)?;
    // Asked before anything is gathered: what is no message costs nothing.
    if message.first() != Some(&VERSION) {
        return Err(SyncError::Malformed("another version".to_owned()));
    }
    let items = items_of(*salt);
    items.negentropy()?.reconcile(message).map_err(malformed)
}

/// The version of negentropy's messages that is spoken here; one byte, and it fits.
const VERSION: u8 = negentropy::PROTOCOL_VERSION as u8;

fn check_length(frame: &[u8]) -> Result<(), SyncError> {
    match frame.len() <= limits::SYNC_FRAME_MAX {
        true => Ok(()),
        false => Err(SyncError::TooLong(frame.len())),
    }
}

fn malformed(error: negentropy::Error) -> SyncError {
    SyncError::Malformed(error.to_string())
}

//! What was said and is still alive, by audience: to answer who asks for it, to catch up others, and to know who reported
//! whom.
//!
//! Full, it gives up what strangers said before what known nodes said, and of those what expires soonest; what this node
//! said itself and whom anybody vouches for goes last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lymph_protocol::audience::Audience;
use lymph_protocol::family::Family;
use lymph_protocol::limits;
use lymph_protocol::report::Report;
use lymph_protocol::signed::{Kind, Object, Verified};
use lymph_protocol::{NodeId, ObjectId, Subject, Timestamp};

use super::Bytes;
use super::kept::{Kept, KeptKey};

/// Places of what is gone that are not worth looking for.
const IN_ORDER_SPARE: usize = 1_024;

/// How dear an object is: who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Somebody.
    Stranger,
    /// Somebody we, or those we vouch for, know.
    Known,
    /// This node, or a sibling, or it says whom to believe.
    Own,
}

/// Where an object is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// It is kept on disk.
    pub(super) is_kept: bool,
    /// Others of its audience may hear of it.
    pub(super) is_open: bool,
}

/// One object.
#[derive(Clone, Debug)]
struct Item {
    audience: Audience,
    author: NodeId,
    kind: Kind,
    rank: Rank,
    secs: u64,
    expires: Timestamp,
    bytes: Bytes,
    is_kept: bool,
}

/// A report that is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// What it says.
    pub report: Report,
    /// To whom it was said.
    pub audience: Audience,
    /// When we heard it.
    pub heard_at: Timestamp,
    /// Whether its author took it back.
    pub is_retracted: bool,
}

type Voice = (Subject, NodeId, Family);

/// Everything that is alive.
#[derive(Debug)]
pub struct Shelf {
    max: usize,
    items: BTreeMap<ObjectId, Item>,
    /// By audience and the time that it says, for catching up.
    by_time: BTreeSet<(Audience, u64, ObjectId)>,
    /// Whom to give up first.
    by_worth: BTreeSet<(Rank, Timestamp, ObjectId)>,
    by_expiry: BTreeSet<(Timestamp, ObjectId)>,
    /// The newest report of each author about each subject and family, and how long it is remembered.
    live: BTreeMap<Voice, Live>,
    live_by_expiry: BTreeSet<(Timestamp, Voice)>,
    /// How many of each kind an author has said.
    counts: BTreeMap<(Audience, Kind, NodeId), usize>,
    /// Vouches, revocations, contacts and words in the order in which they came, for cursors.
    in_order: BTreeMap<u64, ObjectId>,
    next_place: u64,
}

impl Shelf {
    /// `first_place` is higher than any place of an earlier run: who read that list to its end reads this one anew.
    pub(super) fn new(max: usize, first_place: u64) -> Self {
        Shelf {
            max,
            items: BTreeMap::new(),
            by_time: BTreeSet::new(),
            by_worth: BTreeSet::new(),
            by_expiry: BTreeSet::new(),
            live: BTreeMap::new(),
            live_by_expiry: BTreeSet::new(),
            counts: BTreeMap::new(),
            in_order: BTreeMap::new(),
            next_place: first_place.max(1),
        }
    }

    /// Put it there. What had to give way for it is told; nothing happens if it is there already.
    pub(super) fn add(
        &mut self,
        object: &Verified<Object>,
        rank: Rank,
        place: Place,
        now: Timestamp,
    ) -> Vec<KeptKey> {
        let (id, mut expires) = (object.id(), object.object().expires());
        // What never ends, or not for months, would otherwise push out all that strangers say later.
        if rank == Rank::Stranger {
            expires = expires.min(now + limits::WORD_LIFE);
        }
        if self.items.contains_key(&id) || expires <= now {
            return Vec::new();
        }
        let mut dropped = Vec::new();
        while self.items.len() >= self.max {
            let Some((worth, soonest, first)) = self.by_worth.first().copied() else {
                break;
            };
            if (worth, soonest) > (rank, expires) {
                return dropped;
            }
            dropped.extend(self.remove(first));
        }
        let item = Item {
            audience: object.audience(),
            author: object.author(),
            kind: object.object().kind(),
            rank,
            secs: object.object().time().secs(),
            expires,
            bytes: Arc::clone(object.bytes()),
            is_kept: place.is_kept,
        };
        *self
            .counts
            .entry((item.audience, item.kind, item.author))
            .or_default() += 1;
        self.by_worth.insert((rank, expires, id));
        self.by_expiry.insert((expires, id));
        self.items.insert(id, item);
        if place.is_open {
            self.open(id);
        }
        dropped
    }

    /// From now on others may hear of it.
    pub(super) fn open(&mut self, id: ObjectId) {
        let Some(item) = self.items.get(&id) else {
            return;
        };
        let is_news = self.by_time.insert((item.audience, item.secs, id));
        let is_in_order = matches!(
            item.kind,
            Kind::Vouch | Kind::Revocation | Kind::Contact | Kind::Word | Kind::Kill
        );
        if is_news && is_in_order {
            self.in_order.insert(self.next_place, id);
            self.next_place += 1;
            self.tidy_order();
        }
    }

    /// A report is alive; of two by one author about one subject and family the one with the higher number is.
    pub(super) fn report(
        &mut self,
        author: NodeId,
        report: &Report,
        audience: Audience,
        now: Timestamp,
    ) {
        let voice = (report.subject, author, report.family);
        if self
            .live
            .get(&voice)
            .is_some_and(|live| live.report.seq >= report.seq)
        {
            return;
        }
        if self.live.len() >= self.max
            && !self.live.contains_key(&voice)
            && let Some((_, first)) = self.live_by_expiry.pop_first()
        {
            self.live.remove(&first);
        }
        let live = Live {
            report: *report,
            audience,
            heard_at: now,
            is_retracted: false,
        };
        if let Some(old) = self.live.insert(voice, live) {
            self.live_by_expiry.remove(&(old.report.expires(), voice));
        }
        self.live_by_expiry.insert((report.expires(), voice));
    }

    /// An author takes back what they said before.
    pub(super) fn retract(&mut self, author: NodeId, subject: Subject, family: Family, seq: u64) {
        if let Some(live) = self.live.get_mut(&(subject, author, family))
            && live.report.seq < seq
        {
            live.is_retracted = true;
        }
    }

    fn remove(&mut self, id: ObjectId) -> Option<KeptKey> {
        let item = self.items.remove(&id)?;
        let key = (item.audience, item.kind, item.author);
        if let Some(count) = self.counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&key);
            }
        }
        self.by_time.remove(&(item.audience, item.secs, id));
        self.by_worth.remove(&(item.rank, item.expires, id));
        self.by_expiry.remove(&(item.expires, id));
        item.is_kept.then_some(KeptKey::Object(id))
    }

    /// Forget what is over.
    pub(super) fn forget_before(&mut self, now: Timestamp) -> Vec<KeptKey> {
        let mut dropped = Vec::new();
        while let Some((expires, id)) = self.by_expiry.first().copied()
            && expires <= now
        {
            dropped.extend(self.remove(id));
        }
        while let Some((expires, voice)) = self.live_by_expiry.first().copied()
            && expires <= now
        {
            self.live_by_expiry.pop_first();
            self.live.remove(&voice);
        }
        self.tidy_order();
        dropped
    }

    fn tidy_order(&mut self) {
        if self.in_order.len() > 2 * self.items.len() + IN_ORDER_SPARE {
            self.in_order.retain(|_, id| self.items.contains_key(id));
        }
    }

    /// Forget all that was said to an audience: what that was, and what of it is kept on disk.
    pub(super) fn forget_audience(
        &mut self,
        audience: Audience,
    ) -> Vec<(ObjectId, Option<KeptKey>)> {
        let of = self
            .items
            .iter()
            .filter(|(_, item)| item.audience == audience);
        let ids: Vec<_> = of.map(|(id, _)| *id).collect();
        let forget = |id| (id, self.remove(id));
        ids.into_iter().map(forget).collect()
    }

    /// Names and times of what an audience was told since a second.
    pub(super) fn ids_since(
        &self,
        audience: Audience,
        secs: u64,
    ) -> impl Iterator<Item = (u64, ObjectId)> + '_ {
        let range = self.by_time.range((audience, secs, ObjectId([0; 32]))..);
        range
            .take_while(move |(of, _, _)| *of == audience)
            .map(|(_, secs, id)| (*secs, *id))
    }

    /// The envelope of an object that an audience was told.
    #[must_use]
    pub fn envelope(&self, audience: Audience, id: ObjectId) -> Option<&Bytes> {
        self.items
            .get(&id)
            .filter(|item| item.audience == audience)
            .map(|item| &item.bytes)
    }

    /// When an object is over.
    pub(super) fn expires(&self, id: ObjectId) -> Option<Timestamp> {
        self.items.get(&id).map(|item| item.expires)
    }

    /// The same, if others may hear of it.
    pub(super) fn envelope_for_others(&self, audience: Audience, id: ObjectId) -> Option<&Bytes> {
        let item = self.items.get(&id)?;
        let is_open = self.by_time.contains(&(audience, item.secs, id));
        is_open.then_some(&item.bytes)
    }

    /// Vouches and the like that an audience was told, from a place on, and the place after them.
    pub(super) fn after_place(
        &self,
        audience: Audience,
        cursor: u64,
        max: usize,
    ) -> (Vec<Bytes>, u64) {
        // A place beyond the end is one of a list that a restart has ended.
        let cursor = if cursor > self.next_place { 0 } else { cursor };
        let mut next = cursor;
        let mut envelopes = Vec::new();
        for (place, id) in self.in_order.range(cursor..) {
            if envelopes.len() >= max {
                break;
            }
            next = place + 1;
            envelopes.extend(self.envelope(audience, *id).cloned());
        }
        (envelopes, next)
    }

    /// All that an audience was told of one kind.
    pub(super) fn of_kind(
        &self,
        audience: Audience,
        kind: Kind,
    ) -> impl Iterator<Item = (NodeId, &Bytes)> + '_ {
        let all = self.ids_since(audience, 0);
        all.filter_map(move |(_, id)| self.items.get(&id).filter(|item| item.kind == kind))
            .map(|item| (item.author, &item.bytes))
    }

    /// How many objects of a kind an author has said to an audience.
    pub(super) fn count_of(&self, audience: Audience, kind: Kind, author: NodeId) -> usize {
        self.counts
            .get(&(audience, kind, author))
            .copied()
            .unwrap_or(0)
    }

    /// Live reports about a subject.
    pub fn about(&self, subject: Subject) -> impl Iterator<Item = (NodeId, &Live)> {
        let first = (subject, NodeId::from_bytes([0; 32]), Family::from_number(0));
        let range = self
            .live
            .range(first..)
            .take_while(move |((about, _, _), _)| *about == subject);
        range.map(|((_, author, _), live)| (*author, live))
    }

    /// Live reports that were said to an audience.
    pub(super) fn live_of(
        &self,
        audience: Audience,
        now: Timestamp,
    ) -> impl Iterator<Item = (NodeId, Report)> + '_ {
        let live = self.live.iter().filter(move |(_, live)| {
            live.audience == audience && !live.is_retracted && live.report.expires() > now
        });
        live.map(|((_, author, _), live)| (*author, live.report))
    }

    /// Live reports of one author.
    pub fn by(&self, author: NodeId) -> impl Iterator<Item = &Live> {
        self.live
            .iter()
            .filter(move |((_, by, _), _)| *by == author)
            .map(|(_, live)| live)
    }

    #[cfg(test)]
    pub(super) fn check_bounds(&self) {
        assert_eq!(self.items.len(), self.by_worth.len());
        assert_eq!(self.items.len(), self.by_expiry.len());
        assert!(self.by_time.len() <= self.items.len());
        assert!(self.in_order.len() <= 2 * self.items.len() + IN_ORDER_SPARE + 1);
        assert_eq!(self.live.len(), self.live_by_expiry.len());
    }

    /// How many reports are alive.
    #[must_use]
    pub fn reports(&self) -> usize {
        self.live.len()
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What of it is kept on disk.
    pub(super) fn kept(&self) -> impl Iterator<Item = Kept> + '_ {
        let kept = self.items.iter().filter(|(_, item)| item.is_kept);
        kept.map(|(id, item)| Kept::Object(*id, item.audience, Arc::clone(&item.bytes)))
    }
}

//! What of all that is heard is let in: the cheap questions first, and who pays for them.
//!
//! [`Admission::first`] is asked before a signature is checked, and reads only; whoever handed the bytes over pays for
//! it, because the author may be anybody's invention. [`Admission::verified`] is told once the signature was found good;
//! then the author pays, the object is remembered until it expires, and its numbers are compared with those known. Two
//! copies of an object may be between the two at the same time; the second is told that it was seen.
//!
//! *Rejected* is only what every honest node must see the same way: what is malformed, nonsense, on a wrong channel, or
//! signed by somebody else. What depends on this node's clock, version, memory or taste is *ignored*: were it punished,
//! an attacker could make honest relays punish each other.
//!
//! Who has how much room flows along trust. A sibling has all that this node can bear; a vouched author what their weight
//! is worth; all strangers have a tenth together, so that it does not help to be many. A stranger leaves no trace of
//! their own in the table of authors. What is remembered is dropped strangers first, then the least vouched, and among
//! equals what expires soonest: dropped too early, something is heard twice, or a lie found later.
//!
//! After a start, tell [`Admission::restored`] of what was kept, the node's own live objects above all: one that comes
//! back by gossip and is not known here looks like a clone's ([`Why::OwnKey`]).

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::audience::Audience;
use crate::codec::{CodecError, encode_body};
use crate::family::Family;
use crate::id::{NodeId, ObjectId, TransportId};
use crate::ledger::Ledger;
use crate::limits;
use crate::rate::{Bucket, Rate};
use crate::report::{Nonsense, Report, ReportWire, RetractionWire};
use crate::signed::{BadSignature, Object, ParseError, Signed, Verified};
use crate::subject::{Subject, wire::SubjectWire};
use crate::time::Timestamp;
use crate::vouch::{RevocationWire, VouchWire};

/// What an author is to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// This node itself.
    Own,
    /// A machine of the same operator.
    Sibling,
    /// Trusted with so many ten-thousandths.
    Vouched(u16),
    /// Nobody who is trusted knows them.
    Stranger,
    /// The operator does not want to hear them.
    Muted,
}

impl Standing {
    /// What of theirs is dropped first: strangers', then by tenths of trust.
    fn rank(self) -> u8 {
        match self {
            Standing::Muted | Standing::Stranger | Standing::Vouched(0) => 0,
            Standing::Vouched(weight) => 1 + (weight.min(9_999) / 1_000) as u8,
            Standing::Sibling => 11,
            Standing::Own => 12,
        }
    }
}

/// How something came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Handed on by a peer, unasked.
    Gossip,
    /// This node asked for it: reconciliation, a fetch, its own backup. Who asks keeps a budget of their own, so neither
    /// peer nor author pays; all that is still alive is taken, also what newer words have overtaken, or two sets would
    /// never become equal.
    Asked,
}

/// Why bytes are not the one spelling of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Flaw {
    /// They end too early.
    #[error("cut short")]
    Short,
    /// They are no value of the kind.
    #[error("no value of its kind")]
    NoValue,
    /// They spell a value as nobody signs it.
    #[error("not in its canonical form")]
    NotCanonical,
    /// They go on behind it.
    #[error("bytes too many behind the value")]
    TrailingBytes,
}

/// Why something is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Why {
    /// More bytes than its kind may have.
    #[error("too long")]
    TooLong,
    /// Not the one spelling of an object.
    #[error("malformed: {0}")]
    Malformed(Flaw),
    /// Nothing that an honest node says.
    #[error("nonsense: {0}")]
    Nonsense(Nonsense),
    /// Said where such things are not said.
    #[error("not for this channel")]
    WrongChannel,
    /// Not signed by who it says.
    #[error("the signature is wrong")]
    BadSignature,
    /// Of a later version, perhaps.
    #[error("of an unknown version")]
    UnknownVersion,
    /// Of a kind that a later version may know.
    #[error("of an unknown kind")]
    UnknownKind,
    /// Of a behaviour that a later version may know.
    #[error("of an unknown family of behaviour")]
    UnknownFamily,
    /// Known.
    #[error("seen before")]
    Seen,
    /// From further ahead than clocks should differ.
    #[error("from the future")]
    Ahead,
    /// Its time is over.
    #[error("expired")]
    Expired,
    /// The operator does not want to hear the author.
    #[error("its author is muted")]
    Muted,
    /// Signed, it says, by this node, which does not know it: an echo of another life, or a clone.
    #[error("signed with this node's own key, but not known here")]
    OwnKey,
    /// Overtaken by a newer word of the same author about the same.
    #[error("older than what is known")]
    Stale,
    /// The peer hands over more than it may.
    #[error("its peer sends too fast")]
    PeerTooFast,
    /// The author says more than their share.
    #[error("its author sends too fast")]
    AuthorTooFast,
}

/// What becomes of what is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not handed on, and nobody is to blame.
    #[error("ignored: {0}")]
    Ignore(Why),
    /// It is not handed on, and who handed it over is to blame: they should have seen it too.
    #[error("rejected: {0}")]
    Reject(Why),
}

impl Refusal {
    /// Why.
    #[must_use]
    pub const fn why(self) -> Why {
        match self {
            Refusal::Ignore(why) | Refusal::Reject(why) => why,
        }
    }
}

impl From<BadSignature> for Refusal {
    fn from(_: BadSignature) -> Self {
        Refusal::Reject(Why::BadSignature)
    }
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Version(_) => Refusal::Ignore(Why::UnknownVersion),
            ParseError::Kind(_) => Refusal::Ignore(Why::UnknownKind),
            ParseError::Short => Refusal::Reject(Why::Malformed(Flaw::Short)),
            ParseError::Nonsense(nonsense) => Refusal::Reject(Why::Nonsense(nonsense)),
            ParseError::Codec(error) => Refusal::Reject(match error {
                CodecError::TooLong { .. } => Why::TooLong,
                CodecError::Empty => Why::Malformed(Flaw::Short),
                CodecError::NotCanonical => Why::Malformed(Flaw::NotCanonical),
                CodecError::TrailingBytes(_) => Why::Malformed(Flaw::TrailingBytes),
                CodecError::Malformed(_) | CodecError::Version { .. } => {
                    Why::Malformed(Flaw::NoValue)
                }
            }),
        }
    }
}

/// How much is remembered, and how much is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Objects that are remembered, about 100 bytes each: 100,000 live reports is what a node is built for.
    pub seen_max: usize,
    /// Newest numbers by author and subject, about 120 bytes each; as many as objects, for most hold one report.
    pub newest_max: usize,
    /// Numbers with what was said under them, about 180 bytes each; as many.
    pub numbers_max: usize,
    /// Trusted authors whose pace is known. Trust reaches a few thousand; who finds no room pays as strangers do.
    pub authors_max: usize,
    /// Peers whose pace is known: several times the connections that a node holds.
    pub peers_max: usize,
    /// Objects that were asked for and whose signatures are being checked: a few answers' worth.
    pub asked_max: usize,
    /// Reports, or other objects, that are let in a second. A public mesh of 10,000 nodes that make 200 reports a day
    /// each brings 23, and strangers have a tenth of this.
    pub whole_per_sec: u32,
}

impl Default for Caps {
    fn default() -> Self {
        Caps {
            seen_max: 131_072,
            newest_max: 131_072,
            numbers_max: 131_072,
            authors_max: 4_096,
            peers_max: 1_024,
            asked_max: 4 * limits::FETCH_MAX,
            whole_per_sec: 256,
        }
    }
}

/// Seconds' worth that a bucket holds: a wave of attacks comes in minutes.
const BURST_SECS: u64 = 60;
/// What even the least trusted may say at once.
const BURST_MIN: u64 = 4;
/// The part of the whole that a weight of one may take. Eight branches with all that flows through them stay under nine
/// tenths.
const FULL_WEIGHT_PART: u64 = 32;
/// The part that all strangers may take together.
const STRANGERS_PART: u64 = 10;
/// A signature that was to be checked is not waited for any longer.
const CHECK_SECS: u64 = 60;

/// A hash that stands for a longer name, so that tables stay small. 128 bits: nobody finds another name with the same
/// hash as a given one.
type Short = [u8; 16];

/// What was said under a number, and by which object.
#[derive(Clone, Copy, Debug)]
struct Spoken {
    content: Short,
    object: ObjectId,
}

/// What an object says under one number.
struct Numbered {
    number: Short,
    content: Short,
    until: Timestamp,
}

/// What is known of what was let in. See the head of the file.
#[derive(Clone, Debug)]
pub struct Admission {
    whole_per_sec: u64,
    seen: Ledger<Short, ()>,
    newest: Ledger<Short, u64>,
    numbers: Ledger<Short, Spoken>,
    authors: Ledger<NodeId, Bucket>,
    strangers: Option<Bucket>,
    peers: Ledger<TransportId, Bucket>,
    asked: Ledger<ObjectId, ()>,
}

/// What there is to know about an object that is let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// Its author said something else under the same number before: the earlier object and this one.
    pub equivocation: Option<(ObjectId, ObjectId)>,
    /// Which of its reports say something new, by index: alive, of a known family, and the newest of the author about
    /// the subject and family.
    pub fresh_reports: Vec<usize>,
    /// A newer word of the author about the same is known: this one is only kept so that sets become equal.
    pub is_overtaken: bool,
}

impl Admission {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(caps: Caps) -> Self {
        Admission {
            whole_per_sec: u64::from(caps.whole_per_sec),
            seen: Ledger::new(caps.seen_max),
            newest: Ledger::new(caps.newest_max),
            numbers: Ledger::new(caps.numbers_max),
            authors: Ledger::new(caps.authors_max),
            strangers: None,
            peers: Ledger::new(caps.peers_max),
            asked: Ledger::new(caps.asked_max),
        }
    }

    /// All that can be asked without checking a signature. `from` handed the bytes over and pays for it.
    pub fn first(
        &mut self,
        from: TransportId,
        path: Path,
        audience: Audience,
        bytes: &[u8],
        now: Timestamp,
        standing: impl Fn(NodeId) -> Standing,
    ) -> Result<Signed<Object>, Refusal> {
        if path == Path::Gossip {
            self.charge_peer(from, now)?;
        }
        let signed = Signed::parse(bytes, audience)?;
        let (author, object) = (signed.author(), signed.unverified());
        if !is_said_there(object, path, audience) {
            return Err(Refusal::Reject(Why::WrongChannel));
        }
        if is_all_unknown(object) {
            return Err(Refusal::Ignore(Why::UnknownFamily));
        }
        if self.has_seen(&signed.id()) {
            return Err(Refusal::Ignore(Why::Seen));
        }
        check_time(object, path, now).map_err(Refusal::Ignore)?;
        let standing = standing(author);
        match standing {
            Standing::Own => return Err(Refusal::Ignore(Why::OwnKey)),
            Standing::Muted => return Err(Refusal::Ignore(Why::Muted)),
            Standing::Sibling | Standing::Vouched(_) | Standing::Stranger => {}
        }
        match path {
            Path::Gossip => {
                // What contradicts something known is let through even if it is old: it is a proof.
                if self.is_overtaken(author, object)
                    && self
                        .equivocation(&signed_numbers(author, audience, object))
                        .is_none()
                {
                    return Err(Refusal::Ignore(Why::Stale));
                }
                self.check_author(author, standing, now)?;
            }
            Path::Asked => {
                let until = now + Duration::from_secs(CHECK_SECS);
                self.asked.keep(signed.id(), (), 0, until);
            }
        }
        Ok(signed)
    }

    /// The signature is good: the author pays, the object is remembered.
    pub fn verified(
        &mut self,
        object: &Verified<Object>,
        now: Timestamp,
        standing: Standing,
    ) -> Result<Admitted, Refusal> {
        let was_asked = self.asked.get(&object.id()).is_some();
        self.asked.remove(&object.id());
        if standing == Standing::Muted {
            return Err(Refusal::Ignore(Why::Muted));
        }
        if self.has_seen(&object.id()) {
            return Err(Refusal::Ignore(Why::Seen));
        }
        if !was_asked && standing != Standing::Own {
            self.check_author(object.author(), standing, now)?;
            self.charge_author(object.author(), standing, object.object(), now);
        }
        Ok(self.remember(object, now, standing.rank()))
    }

    /// Something that this node kept from a run before: it was let in then, and nobody pays again.
    pub fn restored(
        &mut self,
        object: &Verified<Object>,
        now: Timestamp,
        standing: Standing,
    ) -> Admitted {
        self.remember(object, now, standing.rank())
    }

    /// Forgets what has expired by then.
    pub fn forget_before(&mut self, now: Timestamp) {
        self.seen.forget_before(now);
        self.newest.forget_before(now);
        self.numbers.forget_before(now);
        // A bucket that is full again tells no more than one that is not there.
        self.authors.forget_before(now);
        self.peers.forget_before(now);
        self.asked.forget_before(now);
    }

    /// Lets an object in once more: this node has left where it was said, and may come back.
    pub fn forget(&mut self, id: &ObjectId) {
        self.seen.remove(&short_id(id));
    }

    /// When there is something to forget next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let ends = [
            self.seen.next_end(),
            self.newest.next_end(),
            self.numbers.next_end(),
        ];
        ends.into_iter().flatten().min()
    }

    /// Whether this object was let in before and is still remembered.
    #[must_use]
    pub fn has_seen(&self, id: &ObjectId) -> bool {
        self.seen.get(&short_id(id)).is_some()
    }

    /// The highest number under which an author said something about a subject and a family.
    #[must_use]
    pub fn newest(&self, author: NodeId, subject: Subject, family: Family) -> Option<u64> {
        self.newest
            .get(&topic_of_report(author, subject, family))
            .copied()
    }

    /// How many objects are remembered.
    #[must_use]
    pub fn seen_len(&self) -> usize {
        self.seen.len()
    }

    /// How full its tables are, in the order of [`Caps`].
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> [usize; 6] {
        [
            self.seen.len(),
            self.newest.len(),
            self.numbers.len(),
            self.authors.len(),
            self.peers.len(),
            self.asked.len(),
        ]
    }

    fn charge_peer(&mut self, from: TransportId, now: Timestamp) -> Result<(), Refusal> {
        let rate = Rate::new(
            u64::from(limits::PEER_RATE),
            1,
            u64::from(limits::PEER_BURST),
        );
        let known = self.peers.get(&from).copied();
        let mut bucket = known.unwrap_or(Bucket::full(rate, now));
        if !bucket.has_token(rate, now) {
            return Err(Refusal::Ignore(Why::PeerTooFast));
        }
        bucket.pay(1, rate, now);
        self.peers.put(from, bucket, 0, bucket.full_at(rate));
        Ok(())
    }

    fn check_author(
        &self,
        author: NodeId,
        standing: Standing,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let (bucket, rate) = match self.own_rate(author, standing) {
            Some(rate) => (self.authors.get(&author).copied(), rate),
            None => (self.strangers, self.strangers_rate()),
        };
        match bucket.is_none_or(|bucket| bucket.has_token(rate, now)) {
            true => Ok(()),
            false => Err(Refusal::Ignore(Why::AuthorTooFast)),
        }
    }

    fn charge_author(
        &mut self,
        author: NodeId,
        standing: Standing,
        object: &Object,
        now: Timestamp,
    ) {
        let tokens = object.reports().len().max(1);
        if let Some(rate) = self.own_rate(author, standing) {
            let known = self.authors.get(&author).copied();
            let mut bucket = known.unwrap_or(Bucket::full(rate, now));
            bucket.pay(tokens, rate, now);
            self.authors
                .put(author, bucket, standing.rank(), bucket.full_at(rate));
        } else {
            let rate = self.strangers_rate();
            let bucket = self.strangers.get_or_insert(Bucket::full(rate, now));
            bucket.pay(tokens, rate, now);
        }
    }

    /// The rate of an author who pays from a bucket of their own.
    fn own_rate(&self, author: NodeId, standing: Standing) -> Option<Rate> {
        let whole = self.whole_per_sec;
        let rate = match standing {
            Standing::Own | Standing::Sibling => Rate::new(whole, 1, whole * BURST_SECS),
            Standing::Vouched(weight @ 1..) => {
                let part = whole * u64::from(weight.min(10_000));
                let whole_part = 10_000 * FULL_WEIGHT_PART;
                let burst = (part * BURST_SECS / whole_part).max(BURST_MIN);
                Rate::new(part, whole_part, burst)
            }
            Standing::Vouched(0) | Standing::Stranger | Standing::Muted => return None,
        };
        // Among equals nobody is displaced: whose bucket were dropped would have a full one again.
        self.authors
            .has_room(&author, standing.rank(), Timestamp::EPOCH)
            .then_some(rate)
    }

    fn strangers_rate(&self) -> Rate {
        let whole = self.whole_per_sec;
        let burst = whole * BURST_SECS / STRANGERS_PART;
        Rate::new(whole, STRANGERS_PART, burst)
    }

    /// Whether newer words are known about all that it speaks of. A digest is a state, and never is.
    fn is_overtaken(&self, author: NodeId, object: &Object) -> bool {
        let is_older =
            |topic: Short, seq: u64| self.newest.get(&topic).is_some_and(|newest| seq < *newest);
        match object {
            Object::Report(_) | Object::Batch(_) => object.reports().iter().all(|report| {
                is_older(
                    topic_of_report(author, report.subject, report.family),
                    report.seq,
                )
            }),
            Object::Retraction(retraction) => is_older(
                topic_of_report(author, retraction.subject, retraction.family),
                retraction.seq,
            ),
            Object::Vouch(vouch) => is_older(topic_of_vouch(author, vouch.subject), vouch.seq),
            Object::Revocation(revocation) => {
                is_older(topic_of_vouch(author, revocation.subject), revocation.seq)
            }
            Object::Kill(_)
            | Object::Digest(_)
            | Object::Root(_)
            | Object::Contact(_)
            | Object::Word(_) => false,
        }
    }

    /// The earlier object that says something else under one of these numbers.
    fn equivocation(&self, numbers: &[Numbered]) -> Option<ObjectId> {
        numbers.iter().find_map(|said| {
            let spoken = self.numbers.get(&said.number)?;
            (spoken.content != said.content).then_some(spoken.object)
        })
    }

    fn remember(&mut self, verified: &Verified<Object>, now: Timestamp, rank: u8) -> Admitted {
        let (author, object) = (verified.author(), verified.object());
        let numbers = signed_numbers(author, verified.audience(), object);
        let admitted = Admitted {
            equivocation: self
                .equivocation(&numbers)
                .map(|earlier| (earlier, verified.id())),
            is_overtaken: self.is_overtaken(author, object),
            fresh_reports: self.raise_newest(author, object, now, rank),
        };
        for said in numbers {
            if self.numbers.get(&said.number).is_none() {
                let spoken = Spoken {
                    content: said.content,
                    object: verified.id(),
                };
                self.numbers.keep(said.number, spoken, rank, said.until);
            }
        }
        let until = remembered_until(object.expires(), now);
        self.seen.keep(short_id(&verified.id()), (), rank, until);
        admitted
    }

    /// Raises the newest numbers; which reports did so.
    fn raise_newest(
        &mut self,
        author: NodeId,
        object: &Object,
        now: Timestamp,
        rank: u8,
    ) -> Vec<usize> {
        match object {
            Object::Retraction(retraction) => {
                let topic = topic_of_report(author, retraction.subject, retraction.family);
                self.raise(topic, retraction.seq, retraction.expires(), rank);
            }
            Object::Vouch(vouch) => {
                let topic = topic_of_vouch(author, vouch.subject);
                self.raise(topic, vouch.seq, vouch.expires.start(), rank);
            }
            Object::Revocation(revocation) => {
                let topic = topic_of_vouch(author, revocation.subject);
                self.raise(topic, revocation.seq, revocation.expires.start(), rank);
            }
            Object::Report(_)
            | Object::Batch(_)
            | Object::Digest(_)
            | Object::Kill(_)
            | Object::Root(_)
            | Object::Contact(_)
            | Object::Word(_) => {}
        }
        // Numbers rise within an object: from the end on, the newest about a subject comes first.
        let mut fresh: Vec<usize> = Vec::new();
        for (index, report) in object.reports().iter().enumerate().rev() {
            if report.family.name().is_none() || report.expires() <= now {
                continue;
            }
            let topic = topic_of_report(author, report.subject, report.family);
            if self.raise(topic, report.seq, report.expires(), rank) {
                fresh.push(index);
            }
        }
        fresh.reverse();
        fresh
    }

    /// Whether the number is higher than the one that was known. It is remembered until the last of what it overtook
    /// has expired too, or that would rise again.
    fn raise(&mut self, topic: Short, seq: u64, expires: Timestamp, rank: u8) -> bool {
        let known = self.newest.get(&topic).copied();
        if known.is_some_and(|known| seq <= known) {
            return false;
        }
        let until = self.newest.until(&topic).unwrap_or_default().max(expires);
        self.newest.keep(topic, seq, rank, until);
        true
    }
}

/// What never ends is remembered as long as the longest-lived of the rest, and taken for new then.
fn remembered_until(expires: Timestamp, now: Timestamp) -> Timestamp {
    expires.min(now + limits::VOUCH_LIFE_MAX)
}

/// Whether such a thing is said to such an audience in such a way at all.
fn is_said_there(object: &Object, path: Path, audience: Audience) -> bool {
    let is_gossip = path == Path::Gossip;
    match object {
        Object::Word(_) => matches!(audience, Audience::Fleet(_)),
        // Where somebody can be reached is told to strangers only face to face; digests are asked for.
        Object::Contact(_) => !(is_gossip && audience == Audience::Public),
        Object::Digest(_) => !is_gossip,
        Object::Report(_)
        | Object::Batch(_)
        | Object::Retraction(_)
        | Object::Vouch(_)
        | Object::Revocation(_)
        | Object::Kill(_)
        | Object::Root(_) => true,
    }
}

/// Whether it speaks of nothing that this version knows. One that does so in part is let in for the rest.
fn is_all_unknown(object: &Object) -> bool {
    let is_unknown = |family: Family| family.name().is_none();
    match object {
        Object::Retraction(retraction) => is_unknown(retraction.family),
        Object::Report(_) | Object::Batch(_) => object
            .reports()
            .iter()
            .all(|report| is_unknown(report.family)),
        Object::Vouch(_)
        | Object::Revocation(_)
        | Object::Kill(_)
        | Object::Digest(_)
        | Object::Root(_)
        | Object::Contact(_)
        | Object::Word(_) => false,
    }
}

fn check_time(object: &Object, path: Path, now: Timestamp) -> Result<(), Why> {
    let ahead_max = match path {
        Path::Gossip => limits::AHEAD_MAX,
        Path::Asked => limits::SIGNED_AHEAD_MAX,
    };
    // A key that declares itself dead is believed at once, whatever the clock said when that was signed.
    if object.time() > now + ahead_max && !matches!(object, Object::Kill(_)) {
        return Err(Why::Ahead);
    }
    match object.expires() > now {
        true => Ok(()),
        false => Err(Why::Expired),
    }
}

/// Every number in an object, with what is said under it. The content is that of the report or vouch alone: whether it
/// came by itself, in a batch or in a digest, and to which audience, makes no difference.
fn signed_numbers(author: NodeId, audience: Audience, object: &Object) -> Vec<Numbered> {
    let numbered = |space: u8, seq: u64, content: Short, expires: Timestamp| Numbered {
        number: short(&[author.as_bytes(), &[space], &seq.to_be_bytes()]),
        content,
        until: expires,
    };
    let of_report = |report: &Report| {
        let content = content(0, &ReportWire::from(report));
        numbered(REPORTS, report.seq, content, report.expires())
    };
    match object {
        Object::Report(_) | Object::Batch(_) => object.reports().iter().map(of_report).collect(),
        Object::Retraction(retraction) => {
            let content = content(1, &RetractionWire::from(retraction));
            vec![numbered(
                REPORTS,
                retraction.seq,
                content,
                retraction.expires(),
            )]
        }
        Object::Vouch(vouch) => {
            let content = content(0, &VouchWire::from(vouch));
            vec![numbered(VOUCHES, vouch.seq, content, vouch.expires.start())]
        }
        Object::Revocation(revocation) => {
            let content = content(1, &RevocationWire::from(revocation));
            let expires = revocation.expires.start();
            vec![numbered(VOUCHES, revocation.seq, content, expires)]
        }
        Object::Digest(digest) => {
            let root = Object::Root(digest.root());
            let mut numbers = signed_numbers(author, audience, &root);
            numbers.extend(digest.reports.iter().map(of_report));
            numbers
        }
        // What an author has live differs from audience to audience.
        Object::Root(root) => vec![Numbered {
            number: short(&[
                author.as_bytes(),
                &[ROOTS],
                &audience.preimage(),
                &root.epoch.0.to_be_bytes(),
            ]),
            content: content(0, root),
            until: object.expires(),
        }],
        Object::Kill(_) | Object::Contact(_) | Object::Word(_) => Vec::new(),
    }
}

/// Numbers of reports and retractions.
const REPORTS: u8 = 0;
/// Numbers of vouches and revocations.
const VOUCHES: u8 = 1;
/// Hours of digests.
const ROOTS: u8 = 2;

fn content(tag: u8, wire: &impl serde::Serialize) -> Short {
    // Encoding a value of fixed length cannot fail; if it ever did, two such would only look alike.
    short(&[&[tag], &encode_body(wire).unwrap_or_default()])
}

fn topic_of_report(author: NodeId, subject: Subject, family: Family) -> Short {
    let subject = encode_body(&SubjectWire(subject)).unwrap_or_default();
    short(&[author.as_bytes(), &[REPORTS, family.number()], &subject])
}

fn topic_of_vouch(issuer: NodeId, subject: NodeId) -> Short {
    short(&[issuer.as_bytes(), &[VOUCHES], subject.as_bytes()])
}

fn short_id(id: &ObjectId) -> Short {
    first_half(id.0)
}

fn short(parts: &[&[u8]]) -> Short {
    let hash = parts
        .iter()
        .fold(Sha256::new(), |hash, part| hash.chain_update(part));
    first_half(hash.finalize().into())
}

fn first_half(hash: [u8; 32]) -> Short {
    std::array::from_fn(|i| hash[i])
}

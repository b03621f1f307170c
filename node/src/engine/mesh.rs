//! A node among others: whom it knows, what it hears and says, what it remembers of it. A pure state machine of its own.
//!
//! The engine gives it what the network brings ([`Input`]) and tells it what this machine saw; it answers with what the
//! network is to do ([`Net`]), what is to be kept ([`Kept`]), and what was heard and is believed to come from whom it says
//! ([`Heard`]). What follows from what was heard, the engine's policy decides; nothing here blocks anybody.
//!
//! The way of a frame: [`lymph_protocol::admission`] looks at it cheaply, the shell checks the signature
//! ([`Net::Verify`], back as [`Input::Verified`]), admission charges the author, `hear` puts it on the [`shelf`] and tells
//! the engine. `pairing` brings nodes together, `fleet` carries what one operator wants on all their machines,
//! `reporting` turns detections into reports, `catching_up` asks peers for what was missed.

mod catching_up;
mod fleet;
mod hear;
pub mod kept;
pub mod pairing;
pub(super) mod peers;
mod reporting;
mod rng;
pub mod shelf;
mod vouching;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::admission::{Admission, Caps, Standing, Why};
use lymph_protocol::audience::{Audience, Channel, CircleId};
use lymph_protocol::digest::Epoch;
use lymph_protocol::limits;
use lymph_protocol::report::Report;
use lymph_protocol::seal::FleetSecret;
use lymph_protocol::signed::{
    BadSignature, Keypair, OLDEST_VERSION, Object, Signed, Verified, WIRE_VERSION,
};
use lymph_protocol::ticket::Relation as Offer;
use lymph_protocol::vouch::{Degree, Kill, VouchWeight};
use lymph_protocol::word::Wish;
use lymph_protocol::{NodeId, ObjectId, Timestamp, TransportId};

pub use kept::{Consent, Kept, KeptKey, Known};
pub use reporting::Seen;

use catching_up::CatchingUp;
use fleet::Fleet;
use pairing::Pairing;
use reporting::Reporting;
use rng::Rng;
use shelf::Shelf;

/// What the network brings.
#[derive(Debug)]
pub enum Input {
    /// This machine can be reached at these addresses, all of them: multiaddresses without a peer's id.
    Reachable(Vec<String>),
    /// The first connection to a peer is there.
    Connected(TransportId),
    /// The last one is gone.
    Disconnected(TransportId),
    /// A peer that is connected is at this address: it was not only said, the connection comes from there or leads there.
    SeenAt(TransportId, IpAddr),
    /// Somebody handed something on, by gossip.
    Frame {
        /// What to answer under.
        message: u64,
        /// Who handed it on: not who said it.
        from: TransportId,
        /// On which topic.
        topic: String,
        /// What.
        bytes: Vec<u8>,
    },
    /// A signature was checked.
    Verified {
        /// As in [`Net::Verify`].
        number: u64,
        /// What came of it.
        object: Result<Verified<Object>, BadSignature>,
    },
    /// A peer asks.
    Asked {
        /// What to answer under.
        channel: u64,
        /// Who.
        from: TransportId,
        /// What.
        bytes: Vec<u8>,
    },
    /// A peer answers, or does not.
    Answered {
        /// As in [`Net::Ask`].
        number: u64,
        /// What, or why not.
        answer: Result<Vec<u8>, String>,
    },
}

/// What the network is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Net {
    /// Check a signature.
    Verify {
        /// What to come back under.
        number: u64,
        /// Whose and over what.
        object: Signed<Object>,
    },
    /// Tell what to make of a gossiped message.
    Judge {
        /// Which.
        message: u64,
        /// Hand it on, forget it, or hold it against who handed it on.
        verdict: Judgement,
    },
    /// Listen to a topic.
    Join(String),
    /// No longer.
    Leave(String),
    /// Say something to all who listen.
    Publish {
        /// Where.
        topic: String,
        /// What.
        bytes: Vec<u8>,
    },
    /// Stay connected to a peer.
    Befriend {
        /// Which.
        peer: TransportId,
        /// Where it may be reached.
        addresses: Vec<String>,
        /// It is a sibling, or both vouch for each other: each message goes to it directly.
        is_mutual: bool,
    },
    /// No longer.
    Unfriend(TransportId),
    /// Think so much of a peer, from 0 to 50: whose frames come first when there are too many.
    Score {
        /// Of whom.
        peer: TransportId,
        /// How much.
        score: u8,
    },
    /// Have nothing to do with a peer.
    Block(TransportId),
    /// No longer.
    Unblock(TransportId),
    /// Ask a peer.
    Ask {
        /// What to come back under.
        number: u64,
        /// Whom.
        peer: TransportId,
        /// Where they may be reached; may be empty for one who is connected.
        addresses: Vec<String>,
        /// What.
        bytes: Vec<u8>,
    },
    /// Answer a peer.
    Reply {
        /// As in [`Input::Asked`].
        channel: u64,
        /// What.
        bytes: Vec<u8>,
    },
}

/// What to make of a gossiped message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Hand it on.
    Accept,
    /// Forget it.
    Ignore,
    /// Forget it, and hold it against who handed it on.
    Reject,
}

/// What comes of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// For the network.
    Net(Net),
    /// Keep this.
    Save(Kept),
    /// Keep it no longer.
    Remove(KeptKey),
    /// For the engine.
    Heard(Heard),
    /// For the operator.
    Notice(Notice),
}

/// What was heard, checked, and new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Somebody reports an address.
    Report {
        /// What, and whose.
        report: Verified<Report>,
        /// Who that is to us.
        standing: Standing,
    },
    /// What was said before the operator wanted to hear it, and is still alive.
    Live {
        /// Who said it.
        author: NodeId,
        /// What.
        report: Report,
    },
    /// Somebody takes a report back.
    Retracted {
        /// Who.
        author: NodeId,
        /// Who that is to us.
        standing: Standing,
        /// About whom.
        subject: lymph_protocol::Subject,
        /// Doing what.
        family: lymph_protocol::family::Family,
        /// The retraction's number: what was said before it is taken back.
        seq: u64,
    },
    /// Somebody vouches for somebody, or no longer.
    Vouch(lymph_trust::Statement),
    /// Nobody should believe this node until then: it says different things under one number, or its key is dead.
    Barred {
        /// Who.
        node: NodeId,
        /// Until when.
        until: Timestamp,
    },
    /// A sibling passes on what the operator wants.
    Word {
        /// Who.
        author: NodeId,
        /// When, in the author's milliseconds.
        seq: u64,
        /// What.
        wish: Wish,
    },
    /// What the operator wanted before a restart, so that nothing older undoes it.
    Remembered {
        /// When, in the author's milliseconds.
        seq: u64,
        /// What.
        wish: Wish,
    },
    /// Whom we vouch for, and where they are, has changed.
    SiblingsChanged,
}

/// What the operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A pairing is done.
    Paired {
        /// With whom.
        node: NodeId,
        /// What they are now.
        degree: Degree,
        /// The words that both sides show.
        words: [u16; 4],
    },
    /// A sibling has come to the fleet through another one.
    SiblingCame(NodeId),
    /// A node has left the fleet.
    SiblingWent(NodeId),
    /// Somebody says different things under one number.
    Equivocated(NodeId),
    /// A key declared itself dead.
    KeyDied {
        /// Whose.
        node: NodeId,
        /// With which they go on.
        successor: Option<NodeId>,
    },
    /// Another machine speaks with our key: we say nothing any more.
    Cloned,
    /// Our own key is dead: we say nothing any more.
    WeAreDead,
    /// A table was full, and what was dropped for it.
    Full(&'static str),
}

/// Why this node says nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silenced {
    /// Another machine speaks with its key.
    Cloned,
    /// Its key is dead.
    Dead,
}

/// Bounds of one node's mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeshLimits {
    /// Objects on the shelf.
    pub objects_max: usize,
    /// Signatures that wait to be checked.
    pub verifying_max: usize,
    /// Nodes that were paired with.
    pub known_max: usize,
    /// Own reports that wait.
    pub waiting_max: usize,
}

impl Default for MeshLimits {
    fn default() -> Self {
        MeshLimits {
            // A day of a busy public mesh; about 400 bytes each.
            objects_max: 150_000,
            // A tenth of a second of one core's work.
            verifying_max: 2_048,
            known_max: 1_024,
            waiting_max: 4_096,
        }
    }
}

/// Who this node is on the mesh.
#[derive(Debug)]
pub struct Identity {
    /// Its key.
    pub keypair: Keypair,
    /// Its transport's.
    pub transport: TransportId,
    /// What its owner calls the machine; may be empty.
    pub name: String,
    /// What the machine calls itself; only its siblings hear that.
    pub host: String,
    /// The largest number that it may have given out before.
    pub sequence: u64,
}

/// Something that waits for its signature to be checked.
#[derive(Debug)]
struct Checking {
    from: TransportId,
    purpose: Purpose,
}

/// What is to be done with it then.
#[derive(Debug)]
enum Purpose {
    /// Answer gossip, and hear it.
    Gossip { message: u64 },
    /// It was ours before a restart.
    Restored,
    /// Hear it: it was asked for, or given by somebody who may.
    Given,
    /// Keep the contact; answer with our own, if asked.
    Hello { channel: Option<u64> },
    /// Let the joiner in.
    Join {
        channel: u64,
        token: lymph_protocol::ticket::Token,
    },
    /// Finish what we joined.
    Joined {
        token: lymph_protocol::ticket::Token,
        joined: Box<lymph_protocol::ask::Joined>,
    },
}

/// Why a peer was asked.
#[derive(Debug)]
enum Question {
    Hello(Audience),
    Join(lymph_protocol::ticket::Token),
    CatchUp,
    Fetch(Audience),
    Push,
    Vouches {
        audience: Audience,
        /// Pages that are asked for after this one, at most.
        pages: u32,
    },
    Digest(Audience),
    Rekey(NodeId),
}

/// How many milliseconds of numbers are reserved ahead: a write to disk so often at most, and so far a restart lets the
/// numbers run ahead of the clock.
const RESERVE: u64 = 2_000;
/// Questions of ours that wait for an answer.
const ASKING_MAX: usize = 256;
/// Own objects whose numbers are remembered, to tell a clone's from them.
const SPOKEN_MAX: usize = 16_384;
/// Targets that were lifted here and are remembered; beyond that the first of them is forgotten.
const LIFTED_MAX: usize = 10_000;
/// How often siblings are told where this node is, if nothing changes.
const ANNOUNCE: Duration = Duration::from_secs(24 * 60 * 60);
/// How often expired things are looked for.
const TIDY: Duration = Duration::from_secs(60);

/// One node's place among the others.
#[derive(Debug)]
pub struct Mesh {
    keypair: Keypair,
    transport: TransportId,
    name: String,
    host: String,
    limits: MeshLimits,
    /// The last number that was given, and up to where they are reserved on disk.
    last_seq: u64,
    reserved_seq: u64,
    /// What was said in this run, by number: the only objects that may have a number from `own_from` on.
    spoken: BTreeSet<(u64, ObjectId)>,
    own_from: u64,
    rng: Rng,
    addresses: Vec<String>,
    announced_at: Timestamp,
    connected: BTreeSet<TransportId>,
    /// Where those who are connected were met.
    met: BTreeMap<TransportId, IpAddr>,
    admission: Admission,
    known: BTreeMap<NodeId, Known>,
    transports: BTreeMap<TransportId, NodeId>,
    /// Of those who are known: whom the network was told to be mutual.
    mutual: BTreeSet<NodeId>,
    muted: BTreeSet<NodeId>,
    /// Friends of friends, and what they weigh in ten-thousandths.
    reach: BTreeMap<NodeId, u16>,
    distrusted: BTreeMap<NodeId, Timestamp>,
    dead: BTreeMap<NodeId, Kill>,
    silenced: Option<Silenced>,
    fleet: Option<Fleet>,
    /// Who was sent away from the fleet or left it.
    away: BTreeMap<NodeId, kept::Away>,
    circles: BTreeMap<CircleId, kept::Circle>,
    public: Consent,
    pairing: Pairing,
    reporting: Reporting,
    shelf: Shelf,
    own_vouches: BTreeMap<NodeId, Verified<Object>>,
    catching_up: CatchingUp,
    /// Digests are made from this hour on: of one that has begun already an earlier run may have made another.
    digests_from: Epoch,
    last_digest: Epoch,
    checking: BTreeMap<u64, Checking>,
    /// What the operator has lifted here within a week.
    lifted: BTreeMap<lymph_protocol::word::Net, u64>,
    /// What was kept on disk and is to be checked again, what matters most first.
    restoring: BTreeMap<(bool, usize), (ObjectId, Audience, Bytes)>,
    asking: BTreeMap<u64, (TransportId, Question)>,
    next_number: u64,
    next_tidy: Timestamp,
    heard: u64,
    /// What was given to us lately and has not come by gossip: those who hear us by gossip may lack it.
    given_lately: BTreeMap<ObjectId, Timestamp>,
    /// How many gossiped frames were not let in, by reason: as many entries as there are reasons.
    refused: BTreeMap<Why, u64>,
}

impl Mesh {
    /// A node that knows nobody yet.
    #[must_use]
    pub fn new(identity: Identity, limits: MeshLimits, seed: u64, now: Timestamp) -> Self {
        Mesh {
            last_seq: identity.sequence,
            reserved_seq: identity.sequence,
            keypair: identity.keypair,
            transport: identity.transport,
            name: identity.name,
            host: identity.host,
            spoken: BTreeSet::new(),
            own_from: now.millis().max(identity.sequence.saturating_add(1)),
            rng: Rng::new(seed),
            addresses: Vec::new(),
            announced_at: now,
            connected: BTreeSet::new(),
            met: BTreeMap::new(),
            admission: Admission::new(Caps::default()),
            known: BTreeMap::new(),
            transports: BTreeMap::new(),
            mutual: BTreeSet::new(),
            muted: BTreeSet::new(),
            reach: BTreeMap::new(),
            distrusted: BTreeMap::new(),
            dead: BTreeMap::new(),
            silenced: None,
            fleet: None,
            away: BTreeMap::new(),
            circles: BTreeMap::new(),
            public: Consent::default(),
            pairing: Pairing::default(),
            reporting: Reporting::new(limits.waiting_max),
            shelf: Shelf::new(limits.objects_max, now.millis()),
            own_vouches: BTreeMap::new(),
            catching_up: CatchingUp::default(),
            digests_from: Epoch::of(now).next(),
            last_digest: Epoch(0),
            checking: BTreeMap::new(),
            lifted: BTreeMap::new(),
            restoring: BTreeMap::new(),
            asking: BTreeMap::new(),
            next_number: 1,
            next_tidy: now + TIDY,
            heard: 0,
            given_lately: BTreeMap::new(),
            refused: BTreeMap::new(),
            limits,
        }
    }

    /// Take in what the network brings.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Reachable(addresses) => self.reachable(addresses, now, &mut effects),
            Input::Connected(peer) => {
                self.connected.insert(peer);
                self.greet(peer, now, &mut effects);
            }
            Input::Disconnected(peer) => {
                self.connected.remove(&peer);
                self.met.remove(&peer);
                self.catching_up.gone(peer);
                self.give_up_asking(|of| of == peer, now, &mut effects);
            }
            Input::SeenAt(peer, address) => self.seen_at(peer, address, &mut effects),
            Input::Frame {
                message,
                from,
                topic,
                bytes,
            } => {
                self.frame(message, from, &topic, &bytes, now, &mut effects);
            }
            Input::Verified { number, object } => self.verified(number, object, now, &mut effects),
            Input::Asked {
                channel,
                from,
                bytes,
            } => self.asked(channel, from, &bytes, now, &mut effects),
            Input::Answered { number, answer } => self.answered(number, answer, now, &mut effects),
        }
        effects
    }

    /// Do what is due.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.release_reports(now, &mut effects);
        self.catch_up(now, &mut effects);
        self.pairing.tick(now, &mut effects);
        self.retry_joins(now, &mut effects);
        self.check_restored(now, &mut effects);
        if self.next_tidy <= now {
            self.next_tidy = now + TIDY;
            self.tidy(now, &mut effects);
        }
        effects
    }

    /// When [`Mesh::tick`] is due next, and what for.
    #[must_use]
    pub fn next_deadline(&self) -> (Timestamp, &'static str) {
        let all = [
            (Some(self.next_tidy), "the mesh is tidied"),
            (self.reporting.next_due(), "a report is due"),
            (
                self.catching_up
                    .next_due(|peer| self.transports.contains_key(&peer)),
                "it is time to catch up",
            ),
            (self.pairing.next_end(), "an invitation ends"),
        ];
        let all = all.into_iter().filter_map(|(at, why)| Some((at?, why)));
        all.min_by_key(|(at, _)| *at)
            .unwrap_or((self.next_tidy, "the mesh is tidied"))
    }

    /// The clock was set: what waits begins anew.
    pub fn clock_stepped(&mut self, now: Timestamp) {
        self.next_tidy = now + TIDY;
        // An earlier run may have given what lies between the two times.
        self.own_from = self.own_from.max(now.millis());
        self.admission = Admission::new(Caps::default());
        self.digests_from = Epoch::of(now).max(self.last_digest).next();
        self.reporting.clock_stepped(now);
        self.catching_up = CatchingUp::default();
        for peer in self.connected.iter().copied().collect::<Vec<_>>() {
            let node = self.node_at(peer);
            let shared = node.map_or_else(Vec::new, |node| self.shared_with(node));
            for audience in shared {
                self.catching_up.want(peer, audience, now, true);
            }
        }
    }

    fn tidy(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.admission.forget_before(now);
        for key in self.shelf.forget_before(now) {
            effects.push(Effect::Remove(key));
        }
        let over = self.distrusted.iter().filter(|(_, until)| **until <= now);
        for node in over.map(|(node, _)| *node).collect::<Vec<_>>() {
            self.distrusted.remove(&node);
            effects.push(Effect::Remove(KeptKey::Barred(node)));
        }
        let is_over = |seq: u64| Timestamp::from_millis(seq) + limits::WORD_LIFE <= now;
        let over = self.lifted.iter().filter(|(_, seq)| is_over(**seq));
        for net in over.map(|(net, _)| *net).collect::<Vec<_>>() {
            self.lifted.remove(&net);
            effects.push(Effect::Remove(KeptKey::Lifted(net)));
        }
        self.end_probations(now, effects);
        self.renew(now, effects);
        self.befriend_anew(now, effects);
        let behind = self.fleet.iter().flat_map(|fleet| &fleet.behind);
        for node in behind.copied().collect::<Vec<_>>() {
            let transport = self.known.get(&node).and_then(|known| known.transport);
            if let Some(peer) = transport.filter(|peer| self.connected.contains(peer)) {
                self.rekey_if_behind(node, peer, effects);
            }
        }
        // Whoever was away when it was last said hears it within a day.
        if now.since(self.announced_at) >= ANNOUNCE {
            self.announce(now, effects);
        }
    }

    /// Whoever these peers were asked will not hear an answer.
    fn give_up_asking(
        &mut self,
        is_one: impl Fn(TransportId) -> bool,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let asked = self.asking.iter().filter(|(_, (peer, _))| is_one(*peer));
        let numbers: Vec<_> = asked.map(|(number, _)| *number).collect();
        for number in numbers {
            let why = "the connection is gone".to_owned();
            self.answered(number, Err(why), now, effects);
        }
    }

    /// The operator lifts what stands about this here, whether or not siblings are told.
    pub fn lifted(&mut self, net: lymph_protocol::word::Net, now: Timestamp) -> Vec<Effect> {
        let seq = now.millis().max(self.last_seq);
        let mut effects = vec![Effect::Save(Kept::Lifted(net, seq))];
        self.lifted.insert(net, seq);
        while self.lifted.len() > LIFTED_MAX
            && let Some((first, _)) = self.lifted.pop_first()
        {
            effects.push(Effect::Remove(KeptKey::Lifted(first)));
        }
        effects.push(Effect::Heard(Heard::Remembered {
            seq,
            wish: Wish::Lift {
                net,
                false_positive: false,
            },
        }));
        effects
    }

    /// Ask a peer something, if there is room for one more question.
    fn ask(
        &mut self,
        peer: TransportId,
        addresses: Vec<String>,
        ask: &lymph_protocol::ask::Ask,
        question: Question,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Ok(bytes) = ask.encode() else {
            return false;
        };
        if self.asking.len() >= ASKING_MAX {
            return false;
        }
        let number = self.number();
        self.asking.insert(number, (peer, question));
        effects.push(Effect::Net(Net::Ask {
            number,
            peer,
            addresses,
            bytes,
        }));
        true
    }

    /// Have a signature checked, if there is room.
    fn check(
        &mut self,
        object: Signed<Object>,
        from: TransportId,
        purpose: Purpose,
        effects: &mut Vec<Effect>,
    ) -> bool {
        // What this node kept itself is not more than its shelf holds, and comes only once.
        let max = match purpose {
            Purpose::Restored => self.limits.verifying_max + self.limits.objects_max,
            _ => self.limits.verifying_max,
        };
        if self.checking.len() >= max {
            return false;
        }
        let number = self.number();
        self.checking.insert(number, Checking { from, purpose });
        effects.push(Effect::Net(Net::Verify { number, object }));
        true
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// The next number of ours. What is given out is reserved on disk before, so that no crash gives one twice.
    fn next_seq(&mut self, now: Timestamp, effects: &mut Vec<Effect>) -> u64 {
        self.last_seq = now.millis().max(self.last_seq.saturating_add(1));
        if self.last_seq > self.reserved_seq {
            self.reserved_seq = self.last_seq.saturating_add(RESERVE);
            effects.push(Effect::Save(Kept::Sequence(self.reserved_seq)));
        }
        self.last_seq
    }

    /// Sign something for an audience, put it on the shelf, and say it there.
    fn say(
        &mut self,
        object: Object,
        audience: Audience,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Option<Verified<Object>> {
        let said = self.sign(object, audience, now, effects)?;
        self.publish(&said, effects);
        Some(said)
    }

    /// Sign something for an audience and put it on the shelf.
    fn sign(
        &mut self,
        object: Object,
        audience: Audience,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Option<Verified<Object>> {
        if self.silenced.is_some() {
            return None;
        }
        let mut newest = None;
        for version in OLDEST_VERSION..=WIRE_VERSION {
            let said = self.keypair.sign_as(version, object.clone(), audience);
            let said = said.ok()?;
            self.spoke(&said);
            // What comes back to us by another way is known then.
            let _ = self.admission.verified(&said, now, Standing::Own);
            self.shelve(&said, now, effects);
            newest = Some(said);
        }
        newest
    }

    /// Remember what a number was given to. Full, the oldest is taken for an earlier run's.
    fn spoke(&mut self, said: &Verified<Object>) {
        if let Some(seq) = hear::number_of(said.object()) {
            self.spoken.insert((seq, said.id()));
        }
        while self.spoken.len() > SPOKEN_MAX
            && let Some((oldest, _)) = self.spoken.pop_first()
        {
            self.own_from = self.own_from.max(oldest.saturating_add(1));
        }
    }

    /// Say it on the topics of every version that this build speaks, in that version's words.
    fn publish(&self, said: &Verified<Object>, effects: &mut Vec<Effect>) {
        let audience = said.audience();
        let channel = match audience {
            Audience::Fleet(_) => Channel::All,
            Audience::Public | Audience::Circle(_) => said.object().channel(),
        };
        for version in OLDEST_VERSION..=WIRE_VERSION {
            let Some(bytes) = self.in_version(said, version) else {
                continue;
            };
            let bytes = match (audience, self.secret_of(audience)) {
                (_, Some(secret)) => secret.seal(&bytes),
                (Audience::Fleet(_), None) => return,
                (Audience::Public | Audience::Circle(_), None) => bytes.to_vec(),
            };
            let topic = audience.topic(channel, version);
            effects.push(Effect::Net(Net::Publish { topic, bytes }));
        }
    }

    /// What an audience's frames are sealed with. A circle's is its id, which only its members have: a topic names no more
    /// than the beginning of it.
    fn secret_of(&self, audience: Audience) -> Option<FleetSecret> {
        match audience {
            Audience::Fleet(id) => {
                let fleet = self.fleet.as_ref();
                let fleet = fleet.filter(|fleet| fleet.secret.fleet() == id);
                fleet.map(|fleet| fleet.secret.clone())
            }
            Audience::Circle(id) => Some(FleetSecret::from_bytes(id.0)),
            Audience::Public => None,
        }
    }

    /// What was said, in the words of a version. Only its author can say it in others than it was said in.
    fn in_version(&self, said: &Verified<Object>, version: u8) -> Option<Bytes> {
        if said.bytes().first() == Some(&version) {
            return Some(Arc::clone(said.bytes()));
        }
        if said.author() != self.keypair.id() {
            return None;
        }
        let object = said.object().clone();
        let again = self.keypair.sign_as(version, object, said.audience());
        again.ok().map(|again| Arc::clone(again.bytes()))
    }

    /// Own words as every node that this one gets on with can read them.
    fn for_all(&self, said: &Verified<Object>) -> Vec<u8> {
        self.in_version(said, OLDEST_VERSION)
            .map_or_else(|| said.bytes().to_vec(), |bytes| bytes.to_vec())
    }

    /// This node.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.keypair.id()
    }

    /// The last number that it gave out.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// This node's transport.
    #[must_use]
    pub fn transport(&self) -> TransportId {
        self.transport
    }

    /// Where this node can be reached.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Nodes that were paired with.
    pub fn known(&self) -> impl Iterator<Item = (NodeId, &Known)> + Clone {
        self.known.iter().map(|(node, known)| (*node, known))
    }

    /// Whether a peer is connected.
    #[must_use]
    pub fn is_connected(&self, transport: TransportId) -> bool {
        self.connected.contains(&transport)
    }

    /// Whether no sibling that is connected has a smaller id.
    #[must_use]
    pub fn is_first(&self) -> bool {
        let siblings = self.known.iter();
        let siblings = siblings.filter(|(_, known)| known.degree == Degree::Sibling);
        let mut there = siblings.filter(|(_, known)| {
            let transport = known.transport;
            transport.is_some_and(|transport| self.connected.contains(&transport))
        });
        there.all(|(node, _)| *node > self.keypair.id())
    }

    /// How many peers are connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connected.len()
    }

    /// Whom nothing is believed.
    pub fn muted(&self) -> impl Iterator<Item = NodeId> {
        self.muted.iter().copied()
    }

    /// Whether this node is in a fleet.
    #[must_use]
    pub fn fleet(&self) -> Option<Audience> {
        self.fleet
            .as_ref()
            .map(|fleet| Audience::Fleet(fleet.secret.fleet()))
    }

    /// Circles that this node is in.
    pub fn circles(&self) -> impl Iterator<Item = (CircleId, &kept::Circle)> {
        self.circles.iter().map(|(id, circle)| (*id, circle))
    }

    /// What the operator lets into and out of the public mesh.
    #[must_use]
    pub fn public(&self) -> Consent {
        self.public
    }

    /// What was heard and is still alive.
    #[must_use]
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Invitations that are open, and pairings that go on or are over.
    #[must_use]
    pub fn pairing(&self) -> &Pairing {
        &self.pairing
    }

    /// Why this node says nothing any more, if so.
    #[must_use]
    pub fn silenced(&self) -> Option<Silenced> {
        self.silenced
    }

    /// How many objects were heard since the start.
    #[must_use]
    pub fn heard_count(&self) -> u64 {
        self.heard
    }

    /// How many gossiped frames were not let in since the start, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (Why, u64)> + '_ {
        self.refused.iter().map(|(why, count)| (*why, *count))
    }

    /// Count what was not let in.
    fn count_refused(&mut self, why: Why) {
        *self.refused.entry(why).or_default() += 1;
    }

    /// Own reports that wait for their time.
    pub fn waiting(&self) -> impl Iterator<Item = (Timestamp, Audience, &Report)> {
        self.reporting.waiting()
    }

    /// Addresses at which siblings were met. What they only say is not believed: others may have talked them into it.
    #[must_use]
    pub fn sibling_addresses(&self) -> Vec<IpAddr> {
        let is_sibling = |node: &NodeId| self.standing(*node) == Standing::Sibling;
        let siblings = self.known.iter().filter(|(node, _)| is_sibling(node));
        let mut all: Vec<_> = siblings.flat_map(|(_, known)| known.seen.clone()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What somebody is called: their name, or the beginning of their key.
    #[must_use]
    pub fn name_of(&self, node: NodeId) -> String {
        let known = self.known.get(&node).filter(|known| !known.name.is_empty());
        known.map_or_else(
            || node.to_string()[..12].to_owned(),
            |known| known.name.clone(),
        )
    }

    /// Everything to keep, to fill an empty store with.
    pub fn records(&self) -> impl Iterator<Item = Kept> + '_ {
        let known = self
            .known
            .iter()
            .map(|(node, known)| Kept::Known(*node, known.clone()));
        let muted = self.muted.iter().map(|node| Kept::Muted(*node));
        let dead = self
            .dead
            .iter()
            .map(|(node, kill)| Kept::Dead(*node, kill.successor));
        let fleet = self
            .fleet
            .iter()
            .map(|fleet| Kept::Fleet(*fleet.secret.as_bytes(), fleet.epoch));
        let behind = self.fleet.iter().flat_map(|fleet| &fleet.behind);
        let behind = behind.map(|node| Kept::Behind(*node));
        let away = self.away.iter();
        let away = away.map(|(node, away)| Kept::Away(*node, *away));
        let barred = self.distrusted.iter();
        let barred = barred.map(|(node, until)| Kept::Barred(*node, *until));
        let away = away.chain(barred);
        let circles = self
            .circles
            .iter()
            .map(|(id, circle)| Kept::Circle(*id, circle.clone()));
        let public = std::iter::once(Kept::Public(self.public));
        let objects = self.shelf.kept();
        let lifted = self.lifted.iter();
        let lifted = lifted.map(|(net, seq)| Kept::Lifted(*net, *seq));
        let invitations = self.pairing.kept().chain(lifted);
        known
            .chain(muted)
            .chain(dead)
            .chain(fleet)
            .chain(behind)
            .chain(away)
            .chain(circles)
            .chain(public)
            .chain(invitations)
            .chain(objects)
    }
}

/// Shorthand that the parts share.
fn degree_of(offer: Offer) -> Degree {
    match offer {
        Offer::Friend => Degree::Friend,
        Offer::Fleet => Degree::Sibling,
        Offer::Circle => Degree::Member,
    }
}

/// An envelope's bytes, shared.
type Bytes = Arc<[u8]>;

/// The weight that an invitation gives: a friend's and a sibling's is 1, a new member's a quarter.
fn first_weight(degree: Degree) -> VouchWeight {
    match degree {
        Degree::Friend | Degree::Sibling => VouchWeight::ONE,
        Degree::Member => VouchWeight(2_500),
    }
}

#[cfg(test)]
mod tests;

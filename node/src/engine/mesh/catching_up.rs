//! What was missed: asked for when a peer is there, again every ten minutes, and given to others within a budget.
//!
//! With whom we are paired, everything that is alive is compared at once; with strangers the last day, one of them at a
//! time; later the last two hours, with one that is drawn at random. The comparison is [`lymph_protocol::sync`]'s; what
//! comes of it passes admission like everything else.
//!
//! A node compares with one that it knows at a time, whoever began: what two gave at once they would both give. Whoever
//! asks meanwhile is told that we are busy, and begins anew later, after longer and longer pauses. Nobody waits for one
//! that waits in turn: a comparison that has not got on yet keeps only smaller names from beginning.
//!
//! Who asks us pays: each peer has a budget of questions, all strangers together have one more, and what is costly to
//! gather is kept between the frames of one comparison.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use lymph_protocol::ask::{self, Answer, Ask, Refusal as No};
use lymph_protocol::audience::Audience;
use lymph_protocol::limits;
use lymph_protocol::report::Slot;
use lymph_protocol::signed::Signed;
use lymph_protocol::sync::{self, Initiator, Items, Salted, Step};
use lymph_protocol::{ObjectId, Timestamp, TransportId};

use super::{Effect, Mesh, Question};

/// Comparisons that go on at once.
const SESSIONS_MAX: usize = 4;
/// How many of them with strangers.
const STRANGERS_MAX: usize = 1;
/// Comparisons of others that are answered from what is kept.
const ANSWERING_MAX: usize = 4;
/// Peers and audiences that wait to be compared.
const WANTED_MAX: usize = 512;
/// How long after one comparison the next follows.
const AGAIN: Duration = Duration::from_secs(10 * 60);
/// How far back the later ones look.
const LATELY: Duration = Duration::from_secs(2 * 60 * 60);
/// How far back the first one looks with a stranger.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A comparison that has not got on for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// A comparison that has not ended after so long is given up.
const SESSION_MAX: Duration = Duration::from_secs(5 * 60);
/// How soon to look again whether a comparison with somebody else is over.
const IN_TURN: Duration = Duration::from_millis(500);
/// How long one comparison may keep others from beginning.
const TURN_MAX: Duration = Duration::from_secs(30);
/// How soon to ask again whom we asked too much; after twice that the next time, and so on.
const BUSY: Duration = Duration::from_millis(250);
/// The longest such pause with somebody we know.
const BUSY_MAX: Duration = Duration::from_secs(8);
/// The same with a stranger.
const BUSY_STRANGER_MAX: Duration = Duration::from_secs(120);
/// What is kept for a comparison of others is not given up for another one as long as it was asked for so lately.
const FRESH: Duration = Duration::from_secs(3);
/// Objects that are asked for or given at once.
const PART: usize = 500;
/// How soon to look again while signatures wait to be checked.
const SOON: Duration = Duration::from_millis(50);
/// Questions that a node we know may ask at once, and a second: 100,000 objects are 200 of them.
const QUESTIONS_OF_KNOWN: (f64, f64) = (400.0, 40.0);
/// The same of a stranger.
const QUESTIONS: (f64, f64) = (60.0, 4.0);
/// And of all strangers together.
const QUESTIONS_OF_STRANGERS: (f64, f64) = (120.0, 8.0);
/// What it costs to gather what is here: as much as so many questions.
const GATHERING: f64 = 20.0;
/// Peers whose questions are counted.
const METERS_MAX: usize = 1_024;

/// One comparison.
#[derive(Debug)]
struct Session {
    audience: Audience,
    back: Duration,
    since: Slot,
    salt: [u8; 16],
    initiator: Option<Initiator>,
    need: VecDeque<Salted>,
    have: VecDeque<ObjectId>,
    /// What was last asked: a frame, ids, or objects that were given. Asked again if the other side is busy.
    asked: Asked,
    is_known: bool,
    is_asking: bool,
    began: Timestamp,
    last_step: Timestamp,
    retry_at: Option<Timestamp>,
    /// Whether there was an answer yet, and how often in a row there was none but that they are busy.
    has_begun: bool,
    busy: u32,
}

/// Something to compare.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    at: Timestamp,
    /// How far back.
    back: Duration,
    /// How often in a row they were busy.
    busy: u32,
}

/// What was last asked.
#[derive(Debug)]
enum Asked {
    Frame(Vec<u8>),
    Fetch(Vec<Salted>),
    Push(Vec<ObjectId>),
}

/// What is here, gathered for a comparison that somebody else has begun.
#[derive(Debug)]
struct Gathered {
    audience: Audience,
    since: Slot,
    items: Items,
    is_known: bool,
    began: Timestamp,
    at: Timestamp,
}

impl Gathered {
    /// Whether it is in use, and has not been for too long.
    fn is_in_use(&self, lately: Duration, now: Timestamp) -> bool {
        now.since(self.at) < lately && now.since(self.began) < TURN_MAX
    }
}

/// How long to wait for somebody who was busy so often.
fn pause_after(busy: u32, is_known: bool) -> Duration {
    let most = if is_known {
        BUSY_MAX
    } else {
        BUSY_STRANGER_MAX
    };
    (BUSY * 2_u32.pow(busy.min(10))).min(most)
}

/// Comparisons that go on, and those to come.
#[derive(Debug, Default)]
pub(super) struct CatchingUp {
    wanted: BTreeMap<(TransportId, Audience), Wanted>,
    sessions: BTreeMap<TransportId, Session>,
    next_round: Option<Timestamp>,
    meters: BTreeMap<TransportId, (f64, Timestamp)>,
    strangers: Option<(f64, Timestamp)>,
    answering: BTreeMap<TransportId, Gathered>,
    /// How far a peer's list of vouches was read.
    cursors: BTreeMap<(TransportId, Audience), u64>,
    wake_at: Option<Timestamp>,
}

impl CatchingUp {
    /// Compare with a peer soon.
    pub(super) fn want(
        &mut self,
        peer: TransportId,
        audience: Audience,
        now: Timestamp,
        is_known: bool,
    ) {
        if self.wanted.len() < WANTED_MAX || self.wanted.contains_key(&(peer, audience)) {
            let back = if is_known {
                limits::SLOT * 12 * 24 * 7
            } else {
                A_DAY
            };
            let wanted = Wanted {
                at: now,
                back,
                busy: 0,
            };
            self.wanted.insert((peer, audience), wanted);
        }
        self.next_round.get_or_insert(now + AGAIN);
    }

    /// From where on a peer's list of vouches is to be read.
    pub(super) fn cursor(&self, peer: TransportId, audience: Audience) -> u64 {
        self.cursors.get(&(peer, audience)).copied().unwrap_or(0)
    }

    /// It was read up to there. Full, one that anybody may read again from its beginning is forgotten.
    pub(super) fn read_to(&mut self, peer: TransportId, audience: Audience, cursor: u64) {
        self.cursors.insert((peer, audience), cursor);
        while self.cursors.len() > WANTED_MAX {
            self.cursors.pop_first();
        }
    }

    /// A peer is gone.
    pub(super) fn gone(&mut self, peer: TransportId) {
        self.wanted.retain(|(of, _), _| *of != peer);
        self.sessions.remove(&peer);
        self.answering.remove(&peer);
    }

    #[cfg(test)]
    pub(super) fn is_at_rest(&self) -> bool {
        self.sessions.is_empty()
    }

    #[cfg(test)]
    pub(super) fn check_bounds(&self) {
        assert!(self.wanted.len() <= WANTED_MAX && self.sessions.len() <= SESSIONS_MAX);
        assert!(self.meters.len() <= METERS_MAX && self.cursors.len() <= WANTED_MAX);
    }

    /// Whether what an audience was told is being compared with somebody we know, whoever began.
    fn is_at(&self, audience: Audience, now: Timestamp) -> bool {
        let mut begun = self.sessions.values();
        let mut answered = self.answering.values();
        begun.any(|session| session.is_known && session.audience == audience)
            || answered.any(|kept| {
                kept.is_known && kept.audience == audience && now.since(kept.at) < IN_TURN
            })
    }

    /// Whether somebody we know is to begin later: what they would compare is being compared with somebody else.
    fn is_busy_for(
        &self,
        peer: TransportId,
        me: TransportId,
        audience: Audience,
        now: Timestamp,
    ) -> bool {
        let mut begun = self.sessions.iter();
        let mut answered = self.answering.iter();
        begun.any(|(with, session)| {
            let is_ours = session.is_known && session.audience == audience;
            let has_begun = session.has_begun && *with != peer;
            is_ours && now.since(session.began) < TURN_MAX && (has_begun || me > peer)
        }) || answered.any(|(with, kept)| {
            let is_others = kept.is_known && kept.audience == audience && *with != peer;
            is_others && kept.is_in_use(IN_TURN, now)
        })
    }

    /// They were busy: once more, later.
    fn want_later(
        &mut self,
        (peer, audience): (TransportId, Audience),
        (back, busy): (Duration, u32),
        is_known: bool,
        now: Timestamp,
    ) {
        let at = now + pause_after(busy, is_known);
        let busy = busy.saturating_add(1);
        if self.wanted.len() < WANTED_MAX {
            let wanted = Wanted { at, back, busy };
            self.wanted.entry((peer, audience)).or_insert(wanted);
        }
    }

    /// Whether one more comparison may begin.
    fn has_room(&self, is_known: bool) -> bool {
        let strangers = self.sessions.values().filter(|session| !session.is_known);
        self.sessions.len() < SESSIONS_MAX && (is_known || strangers.count() < STRANGERS_MAX)
    }

    pub(super) fn next_due(&self, is_known: impl Fn(TransportId) -> bool) -> Option<Timestamp> {
        let wanted = self.wanted.iter().filter(|((peer, _), _)| {
            !self.sessions.contains_key(peer) && self.has_room(is_known(*peer))
        });
        let wanted = wanted.map(|(_, wanted)| wanted.at);
        let sessions = self.sessions.values();
        let stuck = sessions
            .clone()
            .map(|session| (session.last_step + PATIENCE).min(session.began + SESSION_MAX));
        let retries = sessions.filter_map(|session| session.retry_at);
        wanted
            .chain(stuck)
            .chain(retries)
            .chain(self.next_round)
            .chain(self.wake_at)
            .min()
    }

    /// Whether a peer may ask one more thing; large questions count more.
    /// Full, those who asked lately are not forgotten for strangers; for one we know, any of them is.
    pub(super) fn may_ask(
        &mut self,
        peer: TransportId,
        is_known: bool,
        bytes: usize,
        now: Timestamp,
    ) -> bool {
        self.may_spend(peer, is_known, 1.0 + bytes as f64 / 65_536.0, now)
    }

    fn may_spend(&mut self, peer: TransportId, is_known: bool, cost: f64, now: Timestamp) -> bool {
        let budget = if is_known {
            QUESTIONS_OF_KNOWN
        } else {
            QUESTIONS
        };
        if self.meters.len() >= METERS_MAX && !self.meters.contains_key(&peer) {
            // Whoever has asked nothing lately has all questions anyway.
            let (_, rate) = QUESTIONS;
            self.meters
                .retain(|_, (spent, since)| *spent > now.since(*since).as_secs_f64() * rate);
        }
        if self.meters.len() >= METERS_MAX && !self.meters.contains_key(&peer) {
            if !is_known {
                return false;
            }
            self.meters.pop_first();
        }
        let mut meter = self.meters.get(&peer).copied();
        let may = spend(&mut meter, budget, cost, now);
        self.meters.extend(meter.map(|meter| (peer, meter)));
        // Who has no budget of their own left costs the others nothing.
        may && (is_known || spend(&mut self.strangers, QUESTIONS_OF_STRANGERS, cost, now))
    }
}

/// Spend from a budget of so many at once and so many a second. A meter holds what is spent and not yet earned again.
fn spend(
    meter: &mut Option<(f64, Timestamp)>,
    (full, rate): (f64, f64),
    cost: f64,
    now: Timestamp,
) -> bool {
    let (spent, since) = meter.get_or_insert((0.0, now));
    *spent = (*spent - now.since(*since).as_secs_f64() * rate).max(0.0);
    *since = now;
    let may = *spent + cost <= full;
    if may {
        *spent += cost;
    }
    may
}

impl Mesh {
    /// Begin what is due, go on with what waited, give up what is stuck.
    pub(super) fn catch_up(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.catching_up.wake_at = None;
        if self.catching_up.next_round.is_some_and(|at| at <= now) {
            self.next_round(now);
        }
        let is_over = |session: &Session| {
            now.since(session.last_step) >= PATIENCE || now.since(session.began) >= SESSION_MAX
        };
        let over = self.catching_up.sessions.iter();
        let over = over.filter(|(_, session)| is_over(session));
        let over: Vec<_> = over
            .map(|(peer, session)| (*peer, session.audience, session.is_known))
            .collect();
        for (peer, audience, is_known) in over {
            self.catching_up.sessions.remove(&peer);
            // Somebody we know is asked again for what is still missing.
            if is_known {
                self.catching_up.want(peer, audience, now + PATIENCE, true);
            }
        }
        let is_old = |gathered: &Gathered| now.since(gathered.at) >= PATIENCE;
        self.catching_up
            .answering
            .retain(|_, gathered| !is_old(gathered));
        for peer in self
            .catching_up
            .sessions
            .keys()
            .copied()
            .collect::<Vec<_>>()
        {
            self.go_on(peer, now, effects);
        }
        let due = self.catching_up.wanted.iter();
        let due = due.filter(|(_, wanted)| wanted.at <= now);
        let mut due: Vec<_> = due.map(|(key, wanted)| (*key, *wanted)).collect();
        // Those we know first.
        due.sort_by_key(|((peer, _), _)| !self.transports.contains_key(peer));
        for ((peer, audience), wanted) in due {
            let is_known = self.transports.contains_key(&peer);
            if !self.catching_up.has_room(is_known) || self.catching_up.sessions.contains_key(&peer)
            {
                continue;
            }
            // One after the other: what two have at once they would both give.
            if is_known && self.catching_up.is_at(audience, now) {
                let at = now + IN_TURN;
                let later = Wanted { at, ..wanted };
                self.catching_up.wanted.insert((peer, audience), later);
                continue;
            }
            self.catching_up.wanted.remove(&(peer, audience));
            self.compare(peer, audience, wanted, now, effects);
        }
    }

    /// Once in a while: one peer of each audience, drawn at random.
    fn next_round(&mut self, now: Timestamp) {
        self.catching_up.next_round = Some(now + AGAIN);
        for audience in self.joined() {
            let fits = |peer: &&TransportId| match (audience, self.node_at(**peer)) {
                (Audience::Public, _) => true,
                (_, Some(node)) => self.shared_with(node).contains(&audience),
                (_, None) => false,
            };
            let peers: Vec<_> = self.connected.iter().filter(fits).copied().collect();
            if let Some(last) = peers.len().checked_sub(1) {
                let peer = peers[self.rng.below(last as u64 + 1) as usize];
                let wanted = &mut self.catching_up.wanted;
                if wanted.len() < WANTED_MAX {
                    wanted.entry((peer, audience)).or_insert(Wanted {
                        at: now,
                        back: LATELY,
                        busy: 0,
                    });
                }
            }
        }
    }

    fn compare(
        &mut self,
        peer: TransportId,
        audience: Audience,
        wanted: Wanted,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let since = Slot::of(now - wanted.back);
        let salt = self.rng.bytes();
        let items = Items::new(self.shelf.ids_since(audience, since.start().secs()), salt);
        let Ok((initiator, frame)) = Initiator::start(items) else {
            return;
        };
        let session = Session {
            audience,
            since,
            salt,
            initiator: Some(initiator),
            need: VecDeque::new(),
            have: VecDeque::new(),
            asked: Asked::Frame(frame),
            is_known: self.transports.contains_key(&peer),
            is_asking: false,
            began: now,
            last_step: now,
            retry_at: None,
            has_begun: false,
            back: wanted.back,
            busy: wanted.busy,
        };
        self.catching_up.sessions.insert(peer, session);
        self.ask_on(peer, now, effects);
    }

    /// Ask what is to be asked, once more if need be.
    fn ask_on(&mut self, peer: TransportId, now: Timestamp, effects: &mut Vec<Effect>) {
        let Some(session) = self.catching_up.sessions.get_mut(&peer) else {
            return;
        };
        let (audience, since, salt) = (session.audience, session.since, session.salt);
        (session.is_asking, session.last_step, session.retry_at) = (true, now, None);
        let (ask, question) = match &session.asked {
            Asked::Frame(frame) => {
                let frame = frame.clone();
                let ask = Ask::Reconcile {
                    audience,
                    since,
                    frame,
                };
                (ask, Question::CatchUp)
            }
            Asked::Fetch(ids) => {
                let ids = ids.clone();
                let ask = Ask::Fetch {
                    audience,
                    ids,
                    salt,
                    since,
                };
                (ask, Question::Fetch(audience))
            }
            Asked::Push(ids) => {
                let envelopes = ids.iter();
                let envelopes = envelopes.filter_map(|id| self.shelf.envelope(audience, *id));
                let objects = envelopes.map(|bytes| bytes.to_vec()).collect();
                (Ask::Push { audience, objects }, Question::Fetch(audience))
            }
        };
        if !self.ask(peer, Vec::new(), &ask, question, effects) {
            self.catching_up.sessions.remove(&peer);
        }
    }

    /// A peer answered a comparison.
    pub(super) fn caught_up(
        &mut self,
        peer: TransportId,
        answer: Option<Answer>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some(session) = self.catching_up.sessions.get_mut(&peer) else {
            return;
        };
        (session.is_asking, session.last_step) = (false, now);
        let step = match (answer, session.initiator.as_mut()) {
            (Some(Answer::Refused(No::Busy)), _) if session.has_begun => {
                session.retry_at = Some(now + pause_after(session.busy, session.is_known));
                session.busy = session.busy.saturating_add(1);
                return;
            }
            // What is compared then is what is here then.
            (Some(Answer::Refused(No::Busy)), _) => {
                let (audience, is_known) = (session.audience, session.is_known);
                let again = (session.back, session.busy);
                self.catching_up.sessions.remove(&peer);
                let catching_up = &mut self.catching_up;
                return catching_up.want_later((peer, audience), again, is_known, now);
            }
            (Some(Answer::Reconcile { frame }), Some(initiator)) => initiator.next(&frame).ok(),
            _ => None,
        };
        (session.has_begun, session.busy) = (true, 0);
        match step {
            Some(Step::Ask { frame, have, need }) => {
                session.have.extend(have);
                session.need.extend(need);
                session.asked = Asked::Frame(frame);
                self.ask_on(peer, now, effects);
            }
            Some(Step::Done { have, need }) => {
                session.have.extend(have);
                session.need.extend(need);
                // What one session could not hold is for the next one.
                let is_whole = session.initiator.as_ref().is_some_and(Initiator::is_whole);
                let (audience, is_known) = (session.audience, session.is_known);
                session.initiator = None;
                if !is_whole {
                    let pause = if is_known { BUSY } else { AGAIN };
                    self.catching_up.want(peer, audience, now + pause, is_known);
                }
                self.go_on(peer, now, effects);
            }
            // They would not, or could not, go on: what was found until then is asked for.
            None => {
                session.initiator = None;
                self.go_on(peer, now, effects);
            }
        }
    }

    /// The comparison is over: ask for what we lack, part by part, as fast as signatures are checked; then give what
    /// they lack.
    fn go_on(&mut self, peer: TransportId, now: Timestamp, effects: &mut Vec<Effect>) {
        let is_full = self.checking.len() + PART > self.limits.verifying_max / 4 * 3;
        let Some(session) = self.catching_up.sessions.get_mut(&peer) else {
            return;
        };
        if session.is_asking {
            return;
        }
        if let Some(at) = session.retry_at {
            if at <= now {
                self.ask_on(peer, now, effects);
            }
            return;
        }
        if session.initiator.is_some() {
            return;
        }
        let audience = session.audience;
        if !session.need.is_empty() {
            if is_full {
                self.catching_up.wake_at = Some(now + SOON);
                return;
            }
            let count = session.need.len().min(PART);
            session.asked = Asked::Fetch(session.need.drain(..count).collect());
            return self.ask_on(peer, now, effects);
        }
        // A stranger asks for what it lacks, if it wants it.
        if !session.is_known {
            session.have.clear();
        }
        let mut part = Vec::new();
        let mut bytes = 0;
        while let Some(id) = session.have.pop_front() {
            let length = self.shelf.envelope(audience, id).map(|bytes| bytes.len());
            bytes += length.map_or(0, |length| length + 16);
            part.extend(length.map(|_| id));
            if part.len() >= PART || bytes > limits::ASK_BYTES_MAX / 2 {
                break;
            }
        }
        if part.is_empty() {
            self.catching_up.sessions.remove(&peer);
            return;
        }
        session.asked = Asked::Push(part);
        self.ask_on(peer, now, effects);
    }

    /// A part was given or taken.
    pub(super) fn fetched(
        &mut self,
        peer: TransportId,
        audience: Audience,
        answer: Option<Answer>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some(session) = self.catching_up.sessions.get_mut(&peer) else {
            return;
        };
        (session.is_asking, session.last_step) = (false, now);
        match answer {
            Some(Answer::Refused(No::Busy)) => {
                let at = now + pause_after(session.busy, session.is_known);
                session.retry_at = Some(at);
                session.busy = session.busy.saturating_add(1);
                return;
            }
            Some(Answer::Objects { objects, .. }) => {
                session.busy = 0;
                let salt = session.salt;
                let ids = objects.iter().filter_map(|bytes| {
                    let signed = Signed::parse(bytes, audience).ok()?;
                    Some(sync::salted(&salt, &signed.id()))
                });
                let came: BTreeSet<Salted> = ids.collect();
                // An answer has only so much room. Whoever gives nothing of what they said to have has no more.
                if let Asked::Fetch(ids) = &session.asked {
                    let missing: Vec<_> = ids.iter().filter(|id| !came.contains(*id)).collect();
                    if missing.len() < ids.len() {
                        session.need.extend(missing);
                    }
                }
                self.given(peer, audience, &objects, true, now, effects);
            }
            Some(Answer::Taken) => session.busy = 0,
            _ => {
                self.catching_up.sessions.remove(&peer);
            }
        }
        self.go_on(peer, now, effects);
    }

    /// A peer compares, or fetches what it found to lack.
    pub(super) fn reconcile_asked(
        &mut self,
        channel: u64,
        from: TransportId,
        ask: Ask,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let is_known = self.transports.contains_key(&from);
        // Strangers may ask for the last day, no further.
        let limited = |since: Slot| match is_known {
            true => since,
            false => since.max(Slot::of(now - A_DAY - limits::SLOT)),
        };
        match ask {
            Ask::Reconcile {
                audience,
                since,
                frame,
            } => {
                let since = limited(since);
                let salt = frame.first_chunk::<16>().copied().unwrap_or_default();
                let Some(items) = self.gathered(from, audience, since, salt, now) else {
                    return self.refuse(channel, No::Busy, effects);
                };
                match sync::respond(|_| items, &frame) {
                    Ok(frame) => self.reply(channel, &Answer::Reconcile { frame }, effects),
                    Err(_) => self.refuse(channel, No::NotYours, effects),
                }
            }
            Ask::Fetch {
                audience,
                since,
                salt,
                ids,
            } => {
                let found = if salt == ask::PLAIN {
                    let ids = ids.iter().take(limits::FETCH_MAX);
                    ids.map(|id| ObjectId(*id)).collect()
                } else {
                    let since = limited(since);
                    let Some(items) = self.gathered(from, audience, since, salt, now) else {
                        return self.refuse(channel, No::Busy, effects);
                    };
                    items.resolve(&ids[..ids.len().min(limits::FETCH_MAX)])
                };
                let mut bytes = 0;
                let mut objects = Vec::new();
                for id in found {
                    let Some(envelope) = self.shelf.envelope_for_others(audience, id) else {
                        continue;
                    };
                    bytes += envelope.len() + 16;
                    if bytes > limits::ASK_BYTES_MAX - 1024 {
                        break;
                    }
                    objects.push(envelope.to_vec());
                }
                let answer = Answer::Objects { objects, cursor: 0 };
                self.reply(channel, &answer, effects);
            }
            Ask::Hello { .. }
            | Ask::Join { .. }
            | Ask::Push { .. }
            | Ask::Vouches { .. }
            | Ask::Digest { .. }
            | Ask::Rekey { .. } => {}
        }
    }

    /// What is here for a comparison: kept from its last frame, or gathered for it.
    fn gathered(
        &mut self,
        peer: TransportId,
        audience: Audience,
        since: Slot,
        salt: [u8; 16],
        now: Timestamp,
    ) -> Option<Items> {
        if let Some(kept) = self.catching_up.answering.get_mut(&peer)
            && (kept.audience, kept.since, kept.items.salt()) == (audience, since, salt)
        {
            kept.at = now;
            return Some(kept.items.clone());
        }
        let is_known = self.transports.contains_key(&peer);
        let me = self.transport;
        if is_known && self.catching_up.is_busy_for(peer, me, audience, now) {
            return None;
        }
        // What somebody else is in the middle of is not given up for one more.
        let others = self.catching_up.answering.iter();
        let others = others.filter(|(with, kept)| **with != peer && kept.is_in_use(FRESH, now));
        let (known, strangers): (Vec<_>, Vec<_>) = others.partition(|(_, kept)| kept.is_known);
        let is_full = match is_known {
            true => known.len() >= ANSWERING_MAX,
            false => {
                strangers.len() >= STRANGERS_MAX || known.len() + strangers.len() >= ANSWERING_MAX
            }
        };
        if is_full || !self.catching_up.may_spend(peer, is_known, GATHERING, now) {
            return None;
        }
        let items = Items::new(self.shelf.ids_since(audience, since.start().secs()), salt);
        let answering = &mut self.catching_up.answering;
        answering.remove(&peer);
        while answering.len() >= ANSWERING_MAX
            || !is_known
                && answering.values().filter(|kept| !kept.is_known).count() >= STRANGERS_MAX
        {
            // A stranger's goes first, and of those the one that was used longest ago.
            let oldest = answering.iter();
            let oldest = oldest.min_by_key(|(_, kept)| (kept.is_known, kept.at));
            let Some(oldest) = oldest.map(|(peer, _)| *peer) else {
                break;
            };
            answering.remove(&oldest);
        }
        let kept = Gathered {
            audience,
            since,
            items: items.clone(),
            is_known,
            began: now,
            at: now,
        };
        answering.insert(peer, kept);
        Some(items)
    }
}

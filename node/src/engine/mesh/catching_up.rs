//! What was missed: asked for when a peer is there, again every ten minutes, and given to others within a budget.
//!
//! With whom we are paired, everything that is alive is compared at once; with strangers the last day, one of them at a
//! time; later the last two hours, with one that is drawn at random. The comparison is [`lymph_protocol::sync`]'s; what
//! comes of it passes admission like everything else.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use lymph_protocol::ask::{Answer, Ask, Refusal as No};
use lymph_protocol::audience::Audience;
use lymph_protocol::limits;
use lymph_protocol::report::Slot;
use lymph_protocol::sync::{self, Initiator, Items, Salted, Step};
use lymph_protocol::{ObjectId, Timestamp, TransportId};

use super::{Effect, Mesh, Question};

/// Comparisons that go on at once.
const SESSIONS_MAX: usize = 4;
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
/// Objects that are asked for or given at once.
const PART: usize = 500;
/// How soon to look again while signatures wait to be checked.
const SOON: Duration = Duration::from_millis(50);
/// Questions that a peer may ask at once, and a second.
const QUESTIONS: (f64, f64) = (60.0, 4.0);
/// Peers whose questions are counted.
const METERS_MAX: usize = 1_024;

/// One comparison.
#[derive(Debug)]
struct Session {
    audience: Audience,
    since: Slot,
    salt: [u8; 16],
    initiator: Option<Initiator>,
    need: VecDeque<Salted>,
    have: VecDeque<ObjectId>,
    is_asking: bool,
    last_step: Timestamp,
}

/// Comparisons that go on, and those to come.
#[derive(Debug, Default)]
pub(super) struct CatchingUp {
    /// When, and how far back.
    wanted: BTreeMap<(TransportId, Audience), (Timestamp, Duration)>,
    sessions: BTreeMap<TransportId, Session>,
    next_round: Option<Timestamp>,
    meters: BTreeMap<TransportId, (f64, Timestamp)>,
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
            self.wanted.insert((peer, audience), (now, back));
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

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let can_start = self.sessions.len() < SESSIONS_MAX;
        let wanted = self
            .wanted
            .iter()
            .filter(|((peer, _), _)| can_start && !self.sessions.contains_key(peer));
        let wanted = wanted.map(|(_, (at, _))| *at);
        let stuck = self
            .sessions
            .values()
            .map(|session| session.last_step + PATIENCE);
        wanted
            .chain(stuck)
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
        let (full, rate) = QUESTIONS;
        if self.meters.len() >= METERS_MAX && !self.meters.contains_key(&peer) {
            // Whoever has asked nothing lately has all questions anyway.
            self.meters
                .retain(|_, (left, since)| *left + now.since(*since).as_secs_f64() * rate < full);
        }
        if self.meters.len() >= METERS_MAX && !self.meters.contains_key(&peer) {
            if !is_known {
                return false;
            }
            self.meters.pop_first();
        }
        let (left, since) = self.meters.entry(peer).or_insert((full, now));
        *left = (*left + now.since(*since).as_secs_f64() * rate).min(full);
        *since = now;
        let cost = 1.0 + bytes as f64 / 65_536.0;
        let may = *left >= cost;
        if may {
            *left -= cost;
        }
        may
    }
}

impl Mesh {
    /// Begin what is due, go on with what waited, give up what is stuck.
    pub(super) fn catch_up(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.catching_up.wake_at = None;
        if self.catching_up.next_round.is_some_and(|at| at <= now) {
            self.next_round(now);
        }
        let stuck = self
            .catching_up
            .sessions
            .iter()
            .filter(|(_, session)| now.since(session.last_step) >= PATIENCE);
        for peer in stuck.map(|(peer, _)| *peer).collect::<Vec<_>>() {
            self.catching_up.sessions.remove(&peer);
        }
        for peer in self
            .catching_up
            .sessions
            .keys()
            .copied()
            .collect::<Vec<_>>()
        {
            self.go_on(peer, now, effects);
        }
        let due = self
            .catching_up
            .wanted
            .iter()
            .filter(|(_, (at, _))| *at <= now)
            .map(|(key, (_, back))| (*key, *back));
        for ((peer, audience), back) in due.collect::<Vec<_>>() {
            if self.catching_up.sessions.len() >= SESSIONS_MAX {
                break;
            }
            if self.catching_up.sessions.contains_key(&peer) {
                continue;
            }
            self.catching_up.wanted.remove(&(peer, audience));
            self.compare(peer, audience, back, now, effects);
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
                    wanted.entry((peer, audience)).or_insert((now, LATELY));
                }
            }
        }
    }

    fn compare(
        &mut self,
        peer: TransportId,
        audience: Audience,
        back: Duration,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let since = Slot::of(now - back);
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
            is_asking: true,
            last_step: now,
        };
        if self.ask(
            peer,
            Vec::new(),
            &Ask::Reconcile {
                audience,
                since,
                frame,
            },
            Question::CatchUp,
            effects,
        ) {
            self.catching_up.sessions.insert(peer, session);
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
            (Some(Answer::Reconcile { frame }), Some(initiator)) => initiator.next(&frame).ok(),
            _ => None,
        };
        match step {
            Some(Step::Ask { frame, have, need }) => {
                session.have.extend(have);
                session.need.extend(need);
                let (audience, since) = (session.audience, session.since);
                session.is_asking = true;
                if !self.ask(
                    peer,
                    Vec::new(),
                    &Ask::Reconcile {
                        audience,
                        since,
                        frame,
                    },
                    Question::CatchUp,
                    effects,
                ) {
                    self.catching_up.sessions.remove(&peer);
                }
            }
            Some(Step::Done { have, need }) => {
                session.have.extend(have);
                session.need.extend(need);
                session.initiator = None;
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
        let is_busy = self.checking.len() + PART > self.limits.verifying_max;
        let Some(session) = self.catching_up.sessions.get_mut(&peer) else {
            return;
        };
        if session.is_asking || session.initiator.is_some() {
            return;
        }
        let (audience, since, salt) = (session.audience, session.since, session.salt);
        if !session.need.is_empty() {
            if is_busy {
                self.catching_up.wake_at = Some(now + SOON);
                return;
            }
            let count = session.need.len().min(PART);
            let ids = session.need.drain(..count).collect();
            (session.is_asking, session.last_step) = (true, now);
            let ask = Ask::Fetch {
                audience,
                since,
                salt,
                ids,
            };
            if !self.ask(peer, Vec::new(), &ask, Question::Fetch(audience), effects) {
                self.catching_up.sessions.remove(&peer);
            }
            return;
        }
        if !session.have.is_empty() {
            let mut objects = Vec::new();
            let mut bytes = 0;
            while let Some(id) = session.have.pop_front() {
                if let Some(envelope) = self.shelf.envelope(audience, id) {
                    bytes += envelope.len() + 16;
                    objects.push(envelope.to_vec());
                }
                if objects.len() >= PART || bytes > limits::ASK_BYTES_MAX / 2 {
                    break;
                }
            }
            (session.is_asking, session.last_step) = (true, now);
            let ask = Ask::Push { audience, objects };
            if !self.ask(peer, Vec::new(), &ask, Question::Fetch(audience), effects) {
                self.catching_up.sessions.remove(&peer);
            }
            return;
        }
        self.catching_up.sessions.remove(&peer);
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
        if let Some(session) = self.catching_up.sessions.get_mut(&peer) {
            (session.is_asking, session.last_step) = (false, now);
        }
        match answer {
            Some(Answer::Objects { objects, .. }) => {
                self.given(peer, audience, &objects, now, effects);
            }
            Some(Answer::Taken) => {}
            _ => {
                self.catching_up.sessions.remove(&peer);
            }
        }
        self.go_on(peer, now, effects);
    }

    /// A peer compares, or fetches what it found to lack.
    pub(super) fn reconcile_asked(&mut self, channel: u64, ask: Ask, effects: &mut Vec<Effect>) {
        match ask {
            Ask::Reconcile {
                audience,
                since,
                frame,
            } => {
                let items =
                    |salt| Items::new(self.shelf.ids_since(audience, since.start().secs()), salt);
                match sync::respond(items, &frame) {
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
                let all = self.shelf.ids_since(audience, since.start().secs());
                let found = sync::resolve(all.map(|(_, id)| id), salt, &ids);
                let mut bytes = 0;
                let mut objects = Vec::new();
                for envelope in found
                    .into_iter()
                    .filter_map(|id| self.shelf.envelope(audience, id))
                {
                    bytes += envelope.len() + 16;
                    if bytes > limits::ASK_BYTES_MAX - 1024 {
                        break;
                    }
                    objects.push(envelope.to_vec());
                }
                self.reply(channel, &Answer::Objects { objects, cursor: 0 }, effects);
            }
            Ask::Hello { .. }
            | Ask::Join { .. }
            | Ask::Push { .. }
            | Ask::Vouches { .. }
            | Ask::Digest { .. }
            | Ask::Rekey { .. } => {}
        }
    }
}

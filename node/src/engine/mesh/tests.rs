//! Several nodes on a table, with a network that is a queue: what they do to each other, seen from all sides at once.
//!
//! [`Table`] holds whole engines, so that bans are seen as well. Time is virtual, everything is drawn from pinned seeds,
//! every signature is really checked, and every byte that leaves a node is kept on [`Table::wire`].

mod bounds;
mod catching_up;
mod clone;
mod fleet;
mod leaks;
mod pairing;
mod props;
mod public;
mod trusting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::ask::{Answer, Ask};
use lymph_protocol::audience::Audience;
use lymph_protocol::family::Family;
use lymph_protocol::report::{Evidence, Report, RuleHash, Slot};
use lymph_protocol::signed::{Keypair, Object, Signed, Verified};
use lymph_protocol::ticket::{Relation, Token};
use lymph_protocol::vouch::{Degree, Minute, VouchWeight};
use lymph_protocol::{NodeId, Subject, Timestamp, TransportId};
use lymph_scenarios::RulesBuilder;

use super::super::decision::{Decision, Kind, Origin};
use super::super::record::{Record, RecordKey};
use super::super::request::{
    Answer as Said, Ban, MeshAnswer, MeshRequest, Request, Selection, Wish as BanWish,
};
use super::super::target::Target;
use super::super::testing::overflow;
use super::super::{Action, Engine, Input as EngineInput, Notice as EngineNotice, Settings};
use super::pairing::Progress;
use super::*;

impl Mesh {
    /// What holds of any node at any time: every table within its bound.
    #[cfg(feature = "daemon")]
    pub(crate) fn check_bounds(&self) {
        bounds::check(self, self.limits);
    }
}

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Attackers: addresses that the Internet routes.
const EVIL: &str = "5.9.1.1";
const EVIL_TOO: &str = "5.9.1.2";

/// What is under way to a node.
#[derive(Debug)]
enum Event {
    Mesh(Input),
    /// A question arrives; the node may be down or out of reach by then.
    Ask {
        from: usize,
        number: u64,
        bytes: Vec<u8>,
    },
}

/// How bytes left a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Published,
    Asked,
    Replied,
}

/// Bytes that left a node.
#[derive(Clone, Debug)]
struct Left {
    at: Timestamp,
    from: usize,
    /// To whom; nobody in particular if it was published.
    to: Option<usize>,
    how: How,
    topic: String,
    bytes: Vec<u8>,
}

/// One machine.
#[derive(Debug)]
struct Machine {
    secret: [u8; 32],
    transport: TransportId,
    address: String,
    limits: MeshLimits,
    settings: Settings,
    engine: Option<Box<Engine>>,
    disk: BTreeMap<RecordKey, Record>,
    sequence: u64,
    topics: BTreeSet<String>,
    friends: BTreeSet<TransportId>,
    /// What it thinks of its peers.
    scores: BTreeMap<TransportId, u8>,
    mutual: BTreeSet<TransportId>,
    blocked: BTreeSet<TransportId>,
    /// Gossip that was here, as libp2p remembers it.
    gossip: BTreeSet<(String, Vec<u8>)>,
    notices: Vec<Notice>,
    enforce: Vec<bool>,
    bans: Vec<(Timestamp, Decision)>,
}

/// All of them.
#[derive(Debug)]
struct Table {
    now: Timestamp,
    queue: BTreeMap<(Timestamp, u64), (usize, Event)>,
    next: u64,
    draw: u64,
    machines: Vec<Machine>,
    links: BTreeSet<(usize, usize)>,
    cut: BTreeSet<(usize, usize)>,
    messages: BTreeMap<u64, (usize, usize, String, Vec<u8>)>,
    channels: BTreeMap<u64, (usize, u64, usize)>,
    wire: Vec<Left>,
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

fn target(text: &str) -> Target {
    text.parse().unwrap()
}

fn subject(text: &str) -> Subject {
    text.parse().unwrap()
}

impl Table {
    fn new(machines: usize) -> Self {
        let mut table = Table {
            now: NOW,
            queue: BTreeMap::new(),
            next: 0,
            draw: 7,
            machines: Vec::new(),
            links: BTreeSet::new(),
            cut: BTreeSet::new(),
            messages: BTreeMap::new(),
            channels: BTreeMap::new(),
            wire: Vec::new(),
        };
        for _ in 0..machines {
            table.add(MeshLimits::default());
        }
        table
    }

    fn add(&mut self, limits: MeshLimits) -> usize {
        let n = self.machines.len();
        let number = u8::try_from(n + 1).unwrap();
        self.machines.push(Machine {
            secret: [number; 32],
            transport: Keypair::from_secret(&[number ^ 0x80; 32]).transport_id(),
            address: format!("45.9.0.{number}"),
            limits,
            // Nothing follows from what friends say: that has its own tests (`engine::trusting`).
            settings: Settings {
                holdout: 1,
                ..Settings::default()
            },
            engine: None,
            disk: BTreeMap::new(),
            sequence: 0,
            topics: BTreeSet::new(),
            friends: BTreeSet::new(),
            scores: BTreeMap::new(),
            mutual: BTreeSet::new(),
            blocked: BTreeSet::new(),
            gossip: BTreeSet::new(),
            notices: Vec::new(),
            enforce: Vec::new(),
            bans: Vec::new(),
        });
        self.start(n);
        n
    }

    /// Start a machine with what is on its disk.
    fn start(&mut self, n: usize) {
        let machine = &mut self.machines[n];
        let rules = RulesBuilder::new(BTreeMap::new()).finish().unwrap();
        let mut engine = Engine::new(Arc::new(rules), machine.settings.clone(), n as u64 + 1);
        let identity = Identity {
            keypair: Keypair::from_secret(&machine.secret),
            transport: machine.transport,
            name: String::new(),
            host: format!("host-of-{n}"),
            sequence: machine.sequence,
        };
        engine.enter_mesh(identity, machine.limits, self.now);
        machine.engine = Some(Box::new(engine));
        let (operators, rest): (Vec<_>, Vec<_>) = machine
            .disk
            .values()
            .cloned()
            .partition(|record| record.key().is_operators());
        for record in operators.into_iter().chain(rest) {
            self.handle(n, EngineInput::Restored(record));
        }
        self.handle(n, EngineInput::Started);
        let address = format!("/ip4/{}/tcp/4747", self.machines[n].address);
        self.handle(n, EngineInput::Mesh(Input::Reachable(vec![address])));
    }

    /// Pull the plug.
    fn kill(&mut self, n: usize) {
        self.machines[n].engine = None;
        let others: Vec<_> = (0..self.machines.len()).collect();
        for other in others {
            self.disconnect(n, other);
        }
        let machine = &mut self.machines[n];
        machine.topics.clear();
        machine.friends.clear();
        machine.gossip.clear();
        self.queue.retain(|_, (to, _)| *to != n);
    }

    fn restart(&mut self, n: usize) {
        self.kill(n);
        self.start(n);
    }

    fn engine(&self, n: usize) -> &Engine {
        self.machines[n].engine.as_deref().expect("it runs")
    }

    fn mesh(&self, n: usize) -> &Mesh {
        self.engine(n).mesh().expect("it has one")
    }

    fn id(&self, n: usize) -> NodeId {
        Keypair::from_secret(&self.machines[n].secret).id()
    }

    fn keypair(&self, n: usize) -> Keypair {
        Keypair::from_secret(&self.machines[n].secret)
    }

    fn machine_at(&self, transport: TransportId) -> Option<usize> {
        self.machines
            .iter()
            .position(|machine| machine.transport == transport)
    }

    fn later(&mut self, delay: Duration, to: usize, event: Event) {
        self.draw = self
            .draw
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let jitter = Duration::from_millis(self.draw >> 61);
        self.next += 1;
        let key = (self.now + delay + jitter, self.next);
        self.queue.insert(key, (to, event));
    }

    /// Before anything else that is to come, but behind what was said at once before.
    fn at_once(&mut self, to: usize, event: Event) {
        self.next += 1;
        self.queue.insert((self.now, self.next), (to, event));
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn connect(&mut self, a: usize, b: usize) -> bool {
        let refuses = |table: &Table, a: usize, b: usize| {
            table.machines[a].engine.is_none()
                || table.machines[a]
                    .blocked
                    .contains(&table.machines[b].transport)
        };
        if a == b || self.cut.contains(&pair(a, b)) || refuses(self, a, b) || refuses(self, b, a) {
            return false;
        }
        if self.links.insert(pair(a, b)) {
            for (to, from) in [(a, b), (b, a)] {
                let peer = self.machines[from].transport;
                let address = self.machines[from].address.parse().unwrap();
                self.at_once(to, Event::Mesh(Input::Connected(peer)));
                self.at_once(to, Event::Mesh(Input::SeenAt(peer, address)));
            }
        }
        true
    }

    fn disconnect(&mut self, a: usize, b: usize) {
        if self.links.remove(&pair(a, b)) {
            for (to, from) in [(a, b), (b, a)] {
                let peer = self.machines[from].transport;
                self.at_once(to, Event::Mesh(Input::Disconnected(peer)));
            }
        }
    }

    /// Nothing goes between two groups any more.
    fn part(&mut self, left: &[usize], right: &[usize]) {
        for a in left {
            for b in right {
                self.cut.insert(pair(*a, *b));
                self.disconnect(*a, *b);
            }
        }
    }

    /// Everything goes again; who are friends find each other.
    fn heal(&mut self) {
        self.cut.clear();
        for a in 0..self.machines.len() {
            for friend in self.machines[a].friends.clone() {
                if let Some(b) = self.machine_at(friend) {
                    self.connect(a, b);
                }
            }
        }
    }

    /// Give a machine something, and do what it wants then.
    fn handle(&mut self, n: usize, input: EngineInput<'_>) -> Vec<Action> {
        let now = self.now;
        let Some(engine) = self.machines[n].engine.as_mut() else {
            return Vec::new();
        };
        let actions = engine.handle(input, now);
        self.act(n, &actions);
        actions
    }

    fn act(&mut self, n: usize, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Save(Record::Mesh(Kept::Sequence(seq))) => {
                    self.machines[n].sequence = *seq;
                }
                Action::Save(record) => {
                    self.machines[n].disk.insert(record.key(), record.clone());
                }
                Action::Remove(key) => {
                    self.machines[n].disk.remove(key);
                }
                Action::Notice(EngineNotice::Mesh(notice)) => {
                    self.machines[n].notices.push(notice.clone());
                }
                Action::Enforce(is_on) => self.machines[n].enforce.push(*is_on),
                Action::Ban(decision) => {
                    let at = self.now;
                    self.machines[n].bans.push((at, decision.clone()));
                }
                Action::Net(net) => self.net(n, net.clone()),
                Action::Unban { .. } | Action::Notice(_) | Action::Answer(_) => {}
            }
        }
    }

    fn net(&mut self, n: usize, net: Net) {
        let ms = Duration::from_millis;
        match net {
            Net::Verify { number, object } => {
                let object = object.verify();
                self.later(ms(1), n, Event::Mesh(Input::Verified { number, object }));
            }
            Net::Judge { message, verdict } => {
                if let Some((to, from, topic, bytes)) = self.messages.remove(&message)
                    && verdict == Judgement::Accept
                {
                    self.gossip(to, Some(from), &topic, &bytes);
                }
            }
            Net::Join(topic) => drop(self.machines[n].topics.insert(topic)),
            Net::Leave(topic) => drop(self.machines[n].topics.remove(&topic)),
            Net::Publish { topic, bytes } => {
                self.wire.push(Left {
                    at: self.now,
                    from: n,
                    to: None,
                    how: How::Published,
                    topic: topic.clone(),
                    bytes: bytes.clone(),
                });
                if self.machines[n]
                    .gossip
                    .insert((topic.clone(), bytes.clone()))
                {
                    self.gossip(n, None, &topic, &bytes);
                }
            }
            Net::Befriend {
                peer,
                addresses: _,
                is_mutual,
            } => {
                match is_mutual {
                    true => self.machines[n].mutual.insert(peer),
                    false => self.machines[n].mutual.remove(&peer),
                };
                self.machines[n].friends.insert(peer);
                if let Some(other) = self.machine_at(peer) {
                    self.connect(n, other);
                }
            }
            Net::Unfriend(peer) => drop(self.machines[n].friends.remove(&peer)),
            Net::Score { peer, score } => drop(self.machines[n].scores.insert(peer, score)),
            Net::Block(peer) => {
                self.machines[n].blocked.insert(peer);
                if let Some(other) = self.machine_at(peer) {
                    self.disconnect(n, other);
                }
            }
            Net::Unblock(peer) => drop(self.machines[n].blocked.remove(&peer)),
            Net::Ask {
                number,
                peer,
                addresses: _,
                bytes,
            } => match self.machine_at(peer) {
                Some(other) if self.connect(n, other) => {
                    self.wire.push(Left {
                        at: self.now,
                        from: n,
                        to: Some(other),
                        how: How::Asked,
                        topic: String::new(),
                        bytes: bytes.clone(),
                    });
                    let event = Event::Ask {
                        from: n,
                        number,
                        bytes,
                    };
                    self.later(ms(10), other, event);
                }
                Some(_) | None => {
                    let answer = Err("connection refused".to_owned());
                    self.later(SECOND, n, Event::Mesh(Input::Answered { number, answer }));
                }
            },
            Net::Reply { channel, bytes } => {
                let Some((asker, number, asked)) = self.channels.remove(&channel) else {
                    panic!("{n} replies twice, or to nobody");
                };
                assert_eq!(n, asked);
                self.wire.push(Left {
                    at: self.now,
                    from: n,
                    to: Some(asker),
                    how: How::Replied,
                    topic: String::new(),
                    bytes: bytes.clone(),
                });
                let answer = match self.links.contains(&pair(asker, n)) {
                    true => Ok(bytes),
                    false => Err("connection lost".to_owned()),
                };
                self.later(
                    ms(10),
                    asker,
                    Event::Mesh(Input::Answered { number, answer }),
                );
            }
        }
    }

    /// Hand something on to everybody who listens and is connected.
    fn gossip(&mut self, n: usize, except: Option<usize>, topic: &str, bytes: &[u8]) {
        for other in 0..self.machines.len() {
            let listens = self.machines[other].topics.contains(topic);
            if Some(other) == except || !self.links.contains(&pair(n, other)) || !listens {
                continue;
            }
            let key = (topic.to_owned(), bytes.to_vec());
            if !self.machines[other].gossip.insert(key) {
                continue;
            }
            let message = self.number();
            let from = self.machines[n].transport;
            self.messages
                .insert(message, (other, n, topic.to_owned(), bytes.to_vec()));
            let (topic, bytes) = (topic.to_owned(), bytes.to_vec());
            let frame = Input::Frame {
                message,
                from,
                topic,
                bytes,
            };
            self.later(Duration::from_millis(10), other, Event::Mesh(frame));
        }
    }

    /// Let so much time pass.
    fn run(&mut self, length: Duration) {
        let end = self.now + length;
        for step in 0.. {
            assert!(step < 400_000, "it never comes to rest");
            let deadlines = self.machines.iter().enumerate().filter_map(|(n, machine)| {
                let (at, _) = machine.engine.as_ref()?.next_deadline()?;
                Some((at, n))
            });
            let deadline = deadlines.min();
            let event = self.queue.keys().next().map(|(at, _)| *at);
            let tick_first = match (deadline, event) {
                (Some((at, _)), Some(event)) => at < event,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if let (true, Some((at, n))) = (tick_first, deadline) {
                if at > end {
                    break;
                }
                self.now = self.now.max(at);
                self.handle(n, EngineInput::Tick);
                let next = self.engine(n).next_deadline();
                assert!(
                    next.is_none_or(|(next, _)| next > at || next > self.now - SECOND),
                    "{n} does not do what is due: {next:?}"
                );
                continue;
            }
            let Some(entry) = self
                .queue
                .first_entry()
                .filter(|entry| entry.key().0 <= end)
            else {
                break;
            };
            let ((at, _), (to, event)) = entry.remove_entry();
            self.now = self.now.max(at);
            self.deliver(to, event);
        }
        self.now = end;
    }

    fn deliver(&mut self, to: usize, event: Event) {
        match event {
            Event::Mesh(input) => drop(self.handle(to, EngineInput::Mesh(input))),
            Event::Ask {
                from,
                number,
                bytes,
            } => {
                let is_there = self.links.contains(&pair(from, to));
                if !is_there || self.machines[to].engine.is_none() {
                    let answer = Err("connection lost".to_owned());
                    let event = Event::Mesh(Input::Answered { number, answer });
                    return self.later(SECOND, from, event);
                }
                let channel = self.number();
                self.channels.insert(channel, (from, number, to));
                let from = self.machines[from].transport;
                let asked = Input::Asked {
                    channel,
                    from,
                    bytes,
                };
                self.handle(to, EngineInput::Mesh(asked));
            }
        }
    }

    /// The operator asks for something.
    fn ask(&mut self, n: usize, request: Request) -> Said {
        let actions = self.handle(n, EngineInput::Asked(request));
        match actions.last() {
            Some(Action::Answer(answer)) => answer.clone(),
            other => panic!("no answer but {other:?}"),
        }
    }

    fn ask_mesh(&mut self, n: usize, request: MeshRequest) -> MeshAnswer {
        match self.ask(n, Request::Mesh(request)) {
            Said::Mesh(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn invite(&mut self, n: usize, offer: Relation, uses: u16, life: Duration) -> (String, Token) {
        let number = self.number();
        let mut token = [0; 16];
        token[..8].copy_from_slice(&number.to_le_bytes());
        let mut secret = [0x5e; 32];
        secret[..8].copy_from_slice(&number.to_le_bytes());
        let request = MeshRequest::Invite {
            offer,
            uses,
            life,
            token,
            secret,
        };
        match self.ask_mesh(n, request) {
            MeshAnswer::Invited(text, token) => (text, token),
            other => panic!("{other:?}"),
        }
    }

    /// Pair two, and look after a while how that stands on the joiner's side.
    fn join(&mut self, n: usize, text: &str) -> Result<Progress, String> {
        match self.ask_mesh(n, MeshRequest::Join(text.to_owned())) {
            MeshAnswer::Joining(token, ..) => {
                self.run(SECOND * 2);
                Ok(self.mesh(n).pairing().progress(token))
            }
            MeshAnswer::No(why) => Err(why),
            other => panic!("{other:?}"),
        }
    }

    fn pair(&mut self, issuer: usize, joiner: usize, offer: Relation) {
        let (text, _) = self.invite(issuer, offer, 1, MINUTE * 10);
        let progress = self.join(joiner, &text).unwrap();
        assert!(matches!(progress, Progress::Done(_)), "{progress:?}");
        self.run(SECOND * 2);
    }

    /// So many machines that are one fleet.
    fn fleet(machines: usize) -> Self {
        let mut table = Table::new(machines);
        for joiner in 1..machines {
            table.pair(0, joiner, Relation::Fleet);
        }
        table.run(SECOND * 5);
        table
    }

    /// A scenario runs over on a machine.
    fn detect(&mut self, n: usize, who: &str) -> Vec<Action> {
        self.detect_as(n, who, "test/ssh", "ssh:bruteforce")
    }

    fn detect_as(&mut self, n: usize, who: &str, scenario: &str, behavior: &str) -> Vec<Action> {
        let now = self.now;
        let mut overflow = overflow(scenario, who, self.number());
        (overflow.first_seen, overflow.last_seen) = (now, now);
        let labels = [("behavior", behavior), ("spoofable", "0")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        overflow.labels = Arc::new(labels.into());
        let engine = self.machines[n].engine.as_mut().unwrap();
        engine.started_at.get_or_insert(now);
        let mut actions = Vec::new();
        engine.take(vec![overflow], now, &mut actions);
        self.act(n, &actions);
        actions
    }

    /// Until when a machine bans somebody.
    fn banned(&self, n: usize, who: &str) -> Option<Timestamp> {
        self.engine(n).decisions().until(target(who), Kind::Ban)
    }

    fn all_banned(&self, who: &str) -> Vec<bool> {
        (0..self.machines.len())
            .map(|n| self.banned(n, who).is_some())
            .collect()
    }

    fn unban(&mut self, n: usize, who: &str, false_positive: bool) {
        let which = Selection {
            target: Some(target(who)),
            ..Selection::default()
        };
        let request = Request::Lift {
            which,
            false_positive,
        };
        self.ask(n, Request::Everywhere(Box::new(request)));
    }

    fn share(&mut self, n: usize, consent: Consent) {
        let answer = self.ask_mesh(n, MeshRequest::Share(Audience::Public, consent));
        assert_eq!(answer, MeshAnswer::Done(true));
    }

    /// What a machine has published to an audience, opened.
    fn published(&self, n: usize, audience: Audience) -> Vec<(Timestamp, Object)> {
        let topics = audience.topics();
        let all = self.wire.iter().filter(|left| {
            left.from == n && left.how == How::Published && topics.contains(&left.topic)
        });
        all.filter_map(|left| {
            let plain = match audience {
                Audience::Fleet(_) => self.mesh(n).fleet.as_ref()?.secret.open(&left.bytes)?,
                Audience::Public | Audience::Circle(_) => left.bytes.clone(),
            };
            let signed = Signed::parse(&plain, audience).ok()?;
            Some((left.at, signed.unverified().clone()))
        })
        .collect()
    }

    /// The reports a machine has published to everybody.
    fn public_reports(&self, n: usize) -> Vec<(Timestamp, Subject)> {
        let all = self.published(n, Audience::Public);
        let of = |(at, object): (Timestamp, Object)| {
            let subjects: Vec<_> = object
                .reports()
                .iter()
                .map(|report| (at, report.subject))
                .collect();
            subjects
        };
        all.into_iter().flat_map(of).collect()
    }

    /// Somebody hands a frame to a machine, as a peer might.
    fn frame(&mut self, to: usize, from: TransportId, topic: &str, bytes: &[u8]) -> Judgement {
        let message = self.number();
        let frame = Input::Frame {
            message,
            from,
            topic: topic.to_owned(),
            bytes: bytes.to_vec(),
        };
        let verdict = |actions: &[Action]| {
            actions.iter().find_map(|action| match action {
                Action::Net(Net::Judge {
                    message: of,
                    verdict,
                }) if *of == message => Some(*verdict),
                _ => None,
            })
        };
        let first = self.handle(to, EngineInput::Mesh(frame));
        if let Some(verdict) = verdict(&first) {
            return verdict;
        }
        let (number, object) = first
            .iter()
            .find_map(|action| match action {
                Action::Net(Net::Verify { number, object }) => Some((*number, object.clone())),
                _ => None,
            })
            .expect("judged at once, or looked at more closely");
        let object = object.verify();
        let checked = Input::Verified { number, object };
        let second = self.handle(to, EngineInput::Mesh(checked));
        verdict(&second).expect("judged in the end")
    }

    /// A machine is asked something, and answers at once or after checking a signature.
    fn question(&mut self, to: usize, from: TransportId, ask: &Ask) -> Answer {
        let bytes = ask.encode().unwrap();
        self.question_bytes(to, from, bytes)
    }

    fn question_bytes(&mut self, to: usize, from: TransportId, bytes: Vec<u8>) -> Answer {
        let now = self.now;
        let channel = self.number();
        let asked = Input::Asked {
            channel,
            from,
            bytes,
        };
        let engine = self.machines[to].engine.as_mut().unwrap();
        let mut inputs = vec![asked];
        let mut reply = None;
        while let Some(input) = inputs.pop() {
            let mut rest = Vec::new();
            for action in engine.handle(EngineInput::Mesh(input), now) {
                match action {
                    Action::Net(Net::Verify { number, object }) => {
                        let object = object.verify();
                        inputs.push(Input::Verified { number, object });
                    }
                    Action::Net(Net::Reply { channel: of, bytes }) if of == channel => {
                        assert!(reply.is_none(), "answered twice");
                        reply = Some(bytes);
                    }
                    other => rest.push(other),
                }
            }
            drop(rest);
        }
        Answer::decode(&reply.expect("every question is answered")).unwrap()
    }
}

/// A report as somebody may sign it.
fn report(who: &str, seq: u64) -> Report {
    Report {
        subject: subject(who),
        family: Family::SSH_AUTH,
        rule: RuleHash([7; 8]),
        evidence: Evidence::Handshake,
        count_log2: 3,
        slot: Slot::of(NOW),
        ttl_hours: 24,
        seq,
    }
}

fn sign(keypair: &Keypair, object: Object, audience: Audience) -> Verified<Object> {
    keypair.sign(object, audience).unwrap()
}

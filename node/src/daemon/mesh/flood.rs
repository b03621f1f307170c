//! Peers that are nothing but a nuisance: ten thousand frames of junk a second over real connections, of every kind at
//! once, while a friend has something to say.
//!
//! Each flooder is a bare [`Net`] that publishes one kind of junk. Who is flooded is a whole node but for its engine: a
//! mesh, the threads that check signatures, the queues and the wire.

use std::net::Ipv4Addr;
use std::time::Duration;

use lymph_protocol::ask::{Answer, Ask};
use lymph_protocol::audience::Audience;
use lymph_protocol::family::Family;
use lymph_protocol::limits;
use lymph_protocol::report::{Evidence, Report, RuleHash, Slot};
use lymph_protocol::signed::{Keypair, Object};
use lymph_protocol::ticket::Relation;
use lymph_protocol::{NodeId, Subject};

use super::super::clock::{Stopwatch, wall_clock};
use super::super::net::peer_text;
use super::*;
use crate::engine::mesh::{Consent, Effect, Identity, Mesh, MeshLimits};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many frames each flooder has.
const EACH: u32 = 6_000;
/// How many it gives in a tenth of a second: 10,000 a second of all kinds.
const AT_ONCE: u32 = 143;
/// How many reports the friend makes meanwhile.
const HONEST: u32 = 40;

/// What a flooder says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Junk {
    Truncated,
    Oversized,
    NotCanonical,
    WronglySigned,
    Replayed,
    FutureDated,
    Equivocating,
}

impl Junk {
    const ALL: [Junk; 7] = [
        Junk::Truncated,
        Junk::Oversized,
        Junk::NotCanonical,
        Junk::WronglySigned,
        Junk::Replayed,
        Junk::FutureDated,
        Junk::Equivocating,
    ];

    /// Where the `n`th frame of its kind is said. The same bytes on the same topic go no further than gossip's own memory.
    fn topic(self, n: u32) -> String {
        match self {
            Junk::Replayed => {
                let topics = Audience::Public.topics();
                topics[n as usize % topics.len()].clone()
            }
            _ => topic(),
        }
    }

    /// What it says.
    fn frame(self, key: &Keypair, n: u32) -> Vec<u8> {
        let report = report(0x2e00_0000 + n, u64::from(n));
        match self {
            Junk::Truncated => {
                let whole = sign(key, report);
                whole[..whole.len() - 1 - n as usize % 60].to_vec()
            }
            Junk::Oversized => {
                let mut whole = sign(key, report);
                whole.resize(limits::OBJECT_BYTES_MAX + 1, 7);
                whole
            }
            Junk::NotCanonical => {
                let mut whole = sign(key, report);
                whole.insert(whole.len() - 64, 0);
                whole
            }
            Junk::WronglySigned => {
                let mut whole = sign(key, report);
                let last = whole.len() - 2;
                whole[last] ^= 1;
                whole
            }
            // Few objects, each on all topics.
            Junk::Replayed => sign(key, self::report(0x2e10_0000 + n / 6, u64::from(n / 6))),
            Junk::FutureDated => {
                let slot = Slot::of(wall_clock() + Duration::from_secs(24 * 60 * 60));
                sign(key, Report { slot, ..report })
            }
            Junk::Equivocating => sign(key, Report { seq: 7, ..report }),
        }
    }
}

fn report(address: u32, seq: u64) -> Report {
    Report {
        subject: Subject::V4(Ipv4Addr::from(address)),
        family: Family::SSH_AUTH,
        rule: RuleHash([1; 8]),
        evidence: Evidence::Handshake,
        count_log2: 3,
        slot: Slot::of(wall_clock()),
        ttl_hours: 24,
        seq: Slot::of(wall_clock()).start().millis() + seq,
    }
}

fn sign(key: &Keypair, report: Report) -> Vec<u8> {
    let said = key.sign(Object::Report(report), Audience::Public);
    said.unwrap().bytes().to_vec()
}

fn topic() -> String {
    let report = Object::Report(report(1, 1));
    Audience::Public.topic(report.channel(), 1)
}

/// A node of its own, but for what an engine would decide.
struct Here {
    mesh: Mesh,
    network: Network,
    _state: tempfile::TempDir,
    /// How many frames were looked at, and how they were judged.
    frames: u64,
    judged: [u64; 3],
    waiting_max: usize,
}

impl Here {
    fn new(number: u8) -> Here {
        let secret = [number; 32];
        let keypair = Keypair::from_secret(&secret);
        let transport = Keypair::from_secret(&secret).transport_id();
        let identity = Identity {
            keypair,
            transport,
            name: String::new(),
            host: String::new(),
            sequence: 0,
        };
        let mesh = Mesh::new(identity, MeshLimits::default(), number.into(), wall_clock());
        let settings = MeshSettings {
            listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
            kademlia: false,
            ..MeshSettings::default()
        };
        let state = tempfile::tempdir().unwrap();
        let network = Network::start(settings, state.path(), Zeroizing::new(secret), true);
        let mut here = Here {
            mesh,
            network,
            _state: state,
            frames: 0,
            judged: [0; 3],
            waiting_max: 0,
        };
        let (_, effects) = here
            .mesh
            .share(Audience::Public, Consent::BOTH, wall_clock());
        here.carry(effects);
        let effects = here.mesh.start(wall_clock());
        here.carry(effects);
        here
    }

    fn carry(&mut self, effects: Vec<Effect>) {
        let wishes: Vec<_> = effects
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Net(wish) => Some(wish),
                _ => None,
            })
            .collect();
        for wish in &wishes {
            if let Wish::Judge { verdict, .. } = wish {
                self.judged[*verdict as usize] += 1;
            }
        }
        self.network.carry(wishes.into_iter());
        self.waiting_max = self.waiting_max.max(self.network.waiting.len());
    }

    /// Take in what is there or comes within a moment, and do what is due.
    async fn step(&mut self) {
        let pause = Duration::from_millis(5);
        let moment = tokio::time::sleep(pause);
        tokio::pin!(moment);
        for _ in 0..500 {
            let input = tokio::select! {
                biased;
                input = self.network.event() => input,
                () = &mut moment => break,
            };
            let Some(input) = input else { continue };
            self.frames += u64::from(matches!(input, Input::Frame { .. }));
            let effects = self.mesh.handle(input, wall_clock());
            self.carry(effects);
        }
        if self.mesh.next_deadline().0 <= wall_clock() {
            let effects = self.mesh.tick(wall_clock());
            self.carry(effects);
        }
        self.network.flush();
    }

    /// Say a report as its own daemon would once it is due.
    fn say(&mut self, key: &Keypair, n: u32) {
        let bytes = sign(key, report(0x2d00_0000 + n, n.into()));
        let topic = topic();
        let wishes = [Wish::Publish { topic, bytes }];
        self.network.carry(wishes.into_iter());
    }

    fn reports_of(&self, node: NodeId) -> usize {
        self.mesh.shelf().by(node).count()
    }
}

/// A report of the friend: which, when it was said, and after how long it was heard.
type Said = (u32, Duration, Option<Duration>);

/// Note which of the friend's reports have been heard by now.
fn note(bob: &Here, friend: NodeId, late: &mut [Said], now: Duration) {
    for (n, since, heard) in late.iter_mut().filter(|(.., heard)| heard.is_none()) {
        let about = Subject::V4(Ipv4Addr::from(0x2d00_0000 + *n));
        if bob.mesh.shelf().about(about).any(|(by, _)| by == friend) {
            *heard = Some(now - *since);
        }
    }
}

/// Run both until it is so.
async fn until(one: &mut Here, two: &mut Here, what: &str, is_so: impl Fn(&Here, &Here) -> bool) {
    let started = Stopwatch::start();
    while !is_so(one, two) {
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::join!(one.step(), two.step());
    }
}

/// A peer that publishes junk of one kind at its pace, and hands the same over unasked now and then. Returns how much it
/// could say.
async fn flood(kind: Junk, number: u8, address: String, victim: TransportId) -> (Junk, u64, u64) {
    let key = Keypair::from_secret(&[number; 32]);
    let frames: Vec<_> = (0..EACH).map(|n| kind.frame(&key, n)).collect();
    let mut config = NetConfig::new(Zeroizing::new([number; 32]));
    config.memory_bytes_max = usize::MAX;
    let mut net = Net::start(config).unwrap();
    for topic in Audience::Public.topics() {
        let flood = true;
        net.order(Order::Join { topic, flood });
    }
    net.order(Order::Befriend {
        explicit: true,
        peer: victim,
        addresses: vec![address],
    });
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    let mut handed = 0;
    // Until it is connected and knows what the other one listens to, nothing counts.
    let started = Stopwatch::start();
    while net.figures().messages_out == 0 {
        assert!(started.elapsed() < PATIENCE, "{kind:?} is not let in");
        pace.tick().await;
        let (topic, bytes) = (topic(), frames[0].clone());
        net.order(Order::Publish { topic, bytes });
        while let Ok(Some(_)) = tokio::time::timeout(Duration::ZERO, net.word()).await {}
    }
    for (round, part) in (0_u64..).zip(frames.chunks(AT_ONCE as usize)) {
        pace.tick().await;
        for (n, bytes) in (0..).zip(part) {
            let order = Order::Publish {
                topic: kind.topic(n),
                bytes: bytes.clone(),
            };
            while !net.order(order.clone()) {
                tokio::task::yield_now().await;
            }
        }
        let audience = Audience::Public;
        let objects = part.iter().take(20).cloned().collect();
        let bytes = Ask::Push { audience, objects }.encode().unwrap();
        net.order(Order::Ask {
            id: round,
            peer: victim,
            addresses: Vec::new(),
            bytes,
        });
        while let Ok(Some(word)) = tokio::time::timeout(Duration::ZERO, net.word()).await {
            if let Word::Answered { answer, .. } = word {
                let answer = answer.ok().and_then(|bytes| Answer::decode(&bytes).ok());
                handed += u64::from(answer == Some(Answer::Taken));
            }
        }
    }
    let sent = net.figures().messages_out;
    // It stays, so that it shows what is thought of it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    net.stop().await;
    (kind, sent, handed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_junk_frames_a_second_do_not_keep_a_friend_from_being_heard() {
    let (mut bob, mut alice) = (Here::new(1), Here::new(2));
    until(&mut bob, &mut alice, "both listen", |bob, alice| {
        !bob.mesh.addresses().is_empty() && !alice.mesh.addresses().is_empty()
    })
    .await;
    let life = PATIENCE;
    let invited = bob
        .mesh
        .invite(Relation::Friend, 1, life, [1; 16], [2; 32], wall_clock());
    let (ticket, effects) = invited.unwrap();
    bob.carry(effects);
    let (_, effects) = alice.mesh.join(&ticket, wall_clock()).unwrap();
    alice.carry(effects);
    let (friend, key) = (alice.mesh.id(), Keypair::from_secret(&[2; 32]));
    until(&mut bob, &mut alice, "they are friends", |bob, alice| {
        bob.mesh.known().count() == 1 && alice.mesh.known().count() == 1
    })
    .await;
    // Topics are told a moment after the connection.
    let mut said = 0;
    while bob.reports_of(friend) == 0 {
        alice.say(&key, said);
        said += 1;
        assert!(said < 200, "the friend is heard at all");
        tokio::join!(bob.step(), alice.step());
    }

    let victim = bob.mesh.transport();
    let address = format!("{}/p2p/{}", bob.mesh.addresses()[0], peer_text(victim));
    let mut flooders = tokio::task::JoinSet::new();
    for (number, kind) in Junk::ALL.into_iter().enumerate() {
        let number = u8::try_from(number).unwrap() + 100;
        flooders.spawn(flood(kind, number, address.clone(), victim));
    }
    let started = Stopwatch::start();
    let mut sent = Vec::new();
    let (mut honest, mut pending_max, mut graylisted_max) = (0, 0, 0);
    let mut late: Vec<Said> = Vec::new();
    while sent.len() < Junk::ALL.len() {
        assert!(started.elapsed() < PATIENCE * 2, "the flood never ends");
        if honest < HONEST && started.elapsed() > Duration::from_millis(200) * honest {
            alice.say(&key, 1_000 + honest);
            late.push((1_000 + honest, started.elapsed(), None));
            honest += 1;
        }
        tokio::join!(bob.step(), alice.step());
        note(&bob, friend, &mut late, started.elapsed());
        let figures = bob.network.figures().unwrap();
        pending_max = pending_max.max(figures.judgements_pending);
        graylisted_max = graylisted_max.max(figures.graylisted);
        if let Some(ended) = flooders.try_join_next() {
            sent.push(ended.unwrap());
        }
    }
    let lasted = started.elapsed().as_secs_f64();
    // What it said last is under way still.
    let ended = Stopwatch::start();
    while late.iter().any(|(.., heard)| heard.is_none()) && ended.elapsed() < PATIENCE / 6 {
        tokio::join!(bob.step(), alice.step());
        note(&bob, friend, &mut late, started.elapsed());
    }

    let figures = bob.network.figures().unwrap();
    let all: u64 = sent.iter().map(|(_, sent, _)| sent).sum();
    eprintln!(
        "{all} junk frames in {lasted:.1} s, most while {honest} reports of a friend came: {figures:?}"
    );
    for (kind, sent, handed) in &sent {
        eprintln!("{kind:?}: {sent} published, {handed} handfuls handed over");
    }
    let [accepted, ignored, rejected] = bob.judged;
    eprintln!(
        "{} frames were looked at: {accepted} accepted, {ignored} ignored, {rejected} rejected; at most {pending_max} waited, \
         {} orders, {graylisted_max} peers were graylisted",
        bob.frames, bob.waiting_max
    );
    for (why, count) in bob.mesh.refused() {
        eprintln!("refused, {why}: {count}");
    }
    let heard: Vec<_> = late.iter().filter_map(|(.., heard)| *heard).collect();
    eprintln!(
        "{} reports of the friend were heard, after {:?} at most; on the shelf {}; alice: {:?}",
        heard.len(),
        heard.iter().max(),
        bob.mesh.shelf().len(),
        alice.network.figures()
    );

    assert_eq!(heard.len(), honest as usize, "the friend is heard");
    bob.mesh.check_bounds();
    assert!(all > u64::from(EACH), "{all} were no flood");
    assert!(figures.judgements_pending <= 65_536 && bob.waiting_max <= ORDERS_MAX);
    assert_eq!(bob.network.lost_orders, 0);
    assert!(
        bob.frames < all / 2,
        "most is dropped before it is looked at"
    );
    // Whose frames every node sees to be wrong is not listened to any more, or was sent away.
    let dealt_with = graylisted_max + figures.flooders;
    assert!(dealt_with >= 4, "{figures:?}");
    let blamed = bob.mesh.known().any(|(node, _)| node != friend);
    assert!(!blamed && bob.mesh.is_connected(alice.mesh.transport()));
    bob.network.stop().await;
    alice.network.stop().await;
}

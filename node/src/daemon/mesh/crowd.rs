//! Two thousand false nodes behind a few fooled friends report somebody innocent, over real connections: behind two they
//! have nobody shut out, behind three they do, and it is said who was fooled.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::audience::Audience;
use lymph_protocol::family::Family;
use lymph_protocol::report::{Evidence, Report, RuleHash, Slot};
use lymph_protocol::signed::{Keypair, Object};
use lymph_protocol::vouch::{Degree, Minute, Vouch, VouchWeight};
use lymph_protocol::{NodeId, Subject};
use lymph_scenarios::RulesBuilder;
use lymph_trust::{Branch, Level};

use super::super::clock::{Stopwatch, wall_clock};
use super::super::net::peer_text;
use super::*;
use crate::engine::decision::Kind;
use crate::engine::mesh::{Consent, Identity, MeshLimits};
use crate::engine::request::{MeshRequest, Request};
use crate::engine::target::Target;
use crate::engine::{Action, Engine, Input as EngineInput, Settings};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// False nodes.
const CROWD: u32 = 2_000;
/// Peers that hand on what they say.
const MOUTHS: u32 = 8;
/// What each of these says in a fifth of a second: no more than a peer may.
const AT_ONCE: u32 = 8;

/// A node, whole but for its files.
struct Here {
    engine: Engine,
    network: Network,
    _state: tempfile::TempDir,
}

impl Here {
    fn new() -> Here {
        let rules = Arc::new(RulesBuilder::new(Default::default()).finish().unwrap());
        let settings = Settings {
            holdout: 0,
            ..Settings::default()
        };
        let mut engine = Engine::new(rules, settings, 1);
        let keypair = || Keypair::from_secret(&[1; 32]);
        let identity = Identity {
            transport: keypair().transport_id(),
            keypair: keypair(),
            name: String::new(),
            host: String::new(),
            sequence: 0,
        };
        engine.enter_mesh(identity, MeshLimits::default(), wall_clock());
        let settings = MeshSettings {
            listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
            kademlia: false,
            ..MeshSettings::default()
        };
        let state = tempfile::tempdir().unwrap();
        let network = Network::start(settings, state.path(), Zeroizing::new([1; 32]), true);
        let mut here = Here {
            engine,
            network,
            _state: state,
        };
        here.ask(MeshRequest::Share(Audience::Public, Consent::BOTH));
        here.handle(EngineInput::Started);
        here
    }

    fn handle(&mut self, input: EngineInput<'_>) {
        let actions = self.engine.handle(input, wall_clock());
        let wishes = actions.into_iter().filter_map(|action| match action {
            Action::Net(wish) => Some(wish),
            _ => None,
        });
        self.network.carry(wishes);
    }

    fn ask(&mut self, request: MeshRequest) {
        self.handle(EngineInput::Asked(Request::Mesh(request)));
    }

    /// Take in what is there or comes within a moment, and do what is due.
    async fn step(&mut self) {
        let moment = tokio::time::sleep(Duration::from_millis(5));
        tokio::pin!(moment);
        for _ in 0..500 {
            let input = tokio::select! {
                biased;
                input = self.network.event() => input,
                () = &mut moment => break,
            };
            if let Some(input) = input {
                self.handle(EngineInput::Mesh(input));
            }
        }
        let deadline = self.engine.next_deadline();
        if deadline.is_some_and(|(at, _)| at <= wall_clock()) {
            self.handle(EngineInput::Tick);
        }
        self.network.flush();
    }
}

fn key(number: u32) -> Keypair {
    let mut secret = [0x5b; 32];
    secret[..4].copy_from_slice(&number.to_be_bytes());
    Keypair::from_secret(&secret)
}

fn frame(key: &Keypair, object: Object) -> (String, Vec<u8>) {
    let topic = Audience::Public.topic(object.channel(), 1);
    let said = key.sign(object, Audience::Public).unwrap();
    (topic, said.bytes().to_vec())
}

fn vouch(by: &Keypair, subject: NodeId, seq: u64) -> (String, Vec<u8>) {
    let now = wall_clock();
    let vouch = Vouch {
        subject,
        degree: Degree::Friend,
        weight: VouchWeight::ONE,
        issued: Minute::of(now),
        expires: Minute::of(now + Duration::from_secs(24 * 60 * 60)),
        seq: now.millis() + seq,
    };
    frame(by, Object::Vouch(vouch))
}

fn report(by: &Keypair, about: Subject) -> (String, Vec<u8>) {
    let report = Report {
        subject: about,
        family: Family::SSH_AUTH,
        rule: RuleHash([1; 8]),
        evidence: Evidence::Handshake,
        count_log2: 3,
        slot: Slot::of(wall_clock()),
        ttl_hours: 24,
        seq: wall_clock().millis(),
    };
    frame(by, Object::Report(report))
}

/// Say all of it, at the pace that a peer may have.
async fn say(number: u8, address: String, victim: TransportId, frames: Vec<(String, Vec<u8>)>) {
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
    let mut pace = tokio::time::interval(Duration::from_millis(200));
    let started = Stopwatch::start();
    // Until it is known what the other one listens to, nothing counts.
    while net.figures().messages_out == 0 {
        assert!(started.elapsed() < PATIENCE, "it is not let in");
        pace.tick().await;
        let (topic, bytes) = frames[0].clone();
        net.order(Order::Publish { topic, bytes });
        while let Ok(Some(_)) = tokio::time::timeout(Duration::ZERO, net.word()).await {}
    }
    for part in frames.chunks(AT_ONCE as usize) {
        pace.tick().await;
        for (topic, bytes) in part {
            let (topic, bytes) = (topic.clone(), bytes.clone());
            net.order(Order::Publish { topic, bytes });
        }
        while let Ok(Some(_)) = tokio::time::timeout(Duration::ZERO, net.word()).await {}
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    net.stop().await;
}

/// What a node makes of it that has eight friends, so many of them fooled.
async fn behind(fooled: u32) -> (Here, Subject) {
    let mut here = Here::new();
    let innocent: Subject = "8.8.4.4".parse().unwrap();
    let friends: Vec<_> = (0..8).map(|friend| key(1_000_000 + friend)).collect();
    for friend in &friends {
        here.ask(MeshRequest::Vouch {
            node: friend.id(),
            weight: VouchWeight::ONE,
            is_listed: true,
        });
    }
    let started = Stopwatch::start();
    while here.engine.mesh().unwrap().addresses().is_empty() {
        assert!(started.elapsed() < PATIENCE, "it listens");
        here.step().await;
    }
    let victim = here.engine.mesh().unwrap().transport();
    let address = format!(
        "{}/p2p/{}",
        here.engine.mesh().unwrap().addresses()[0],
        peer_text(victim)
    );
    // A fooled friend vouches for one of them; that one and the next vouch for hundreds, and everybody for the first.
    let heads = 8;
    let mut frames: Vec<Vec<_>> = vec![Vec::new(); MOUTHS as usize];
    for (n, friend) in (0..fooled).zip(&friends) {
        frames[0].push(vouch(friend, key(n).id(), u64::from(n)));
    }
    let mut say_at = |n: u32, frame| frames[(n % MOUTHS) as usize].push(frame);
    for n in 0..CROWD {
        let head = match n < heads {
            true => n % fooled,
            false => n % heads,
        };
        if head != n {
            say_at(n, vouch(&key(head), key(n).id(), u64::from(n)));
            say_at(n, vouch(&key(n), key(head).id(), 1));
        }
        say_at(n, report(&key(n), innocent));
    }
    let mut mouths = tokio::task::JoinSet::new();
    for (number, frames) in (100..).zip(frames) {
        mouths.spawn(say(number, address.clone(), victim, frames));
    }
    let started = Stopwatch::start();
    while !mouths.is_empty() {
        assert!(started.elapsed() < PATIENCE * 2, "they never end");
        here.step().await;
        while let Some(ended) = mouths.try_join_next() {
            ended.unwrap();
        }
    }
    for _ in 0..100 {
        here.step().await;
    }
    (here, innocent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_behind_two_fooled_friends_blocks_nobody_and_behind_three_it_does() {
    for (fooled, is_blocked) in [(2, false), (3, true)] {
        let (here, innocent) = behind(fooled).await;
        let trust = here.engine.trust().unwrap();
        let voices = trust.voices(innocent).count();
        let assessment = here.engine.assess(innocent, wall_clock()).unwrap();
        eprintln!(
            "{fooled} fooled: {voices} of {CROWD} were heard and are remembered, {} ways, {:?} of {:?}",
            assessment.strict_paths, assessment.strict, assessment.kappa
        );
        assert!(voices > 100, "a crowd was heard: {voices}");
        assert_eq!(assessment.strict_paths, fooled);
        let ban = here
            .engine
            .decisions()
            .until(Target::from(innocent), Kind::Ban);
        assert_eq!(ban.is_some(), is_blocked, "{fooled} fooled");
        assert_eq!(assessment.level == Level::Block, is_blocked);
        assert!(assessment.level >= Level::Throttle);
        let named: BTreeSet<_> = assessment
            .branches
            .iter()
            .map(|share| share.branch)
            .collect();
        let expected: BTreeSet<_> = (0..fooled)
            .map(|friend| Branch::Of(key(1_000_000 + friend).id()))
            .collect();
        assert_eq!(named, expected, "it is said through whom");
        here.network.stop().await;
    }
}

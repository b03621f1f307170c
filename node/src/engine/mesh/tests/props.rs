//! Whatever happens, in whatever order: nothing panics, and every table keeps its bound.

use proptest::prelude::*;

use lymph_protocol::digest::Epoch;

use super::*;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Happening {
    Connected(u8),
    Disconnected(u8),
    /// Something that really was said, by one of a few, to be handed on by another; perhaps with a byte changed.
    Frame {
        from: u8,
        what: u8,
        topic: u8,
        bend: Option<(u16, u8)>,
    },
    Noise(u8, Vec<u8>),
    Asked {
        from: u8,
        what: u8,
        bend: Option<(u16, u8)>,
    },
    Answer {
        which: u8,
        what: u8,
        bend: Option<(u16, u8)>,
    },
    WrongAnswer(u64, Vec<u8>),
    Verify(u8),
    WrongVerify(u64),
    Tick(u32),
    Step(i32),
    Operator(u8, u8),
    Detect(u8),
}

fn bend() -> impl Strategy<Value = Option<(u16, u8)>> {
    prop::option::weighted(0.3, (any::<u16>(), 1_u8..))
}

fn happening() -> impl Strategy<Value = Happening> {
    let noise = || prop::collection::vec(any::<u8>(), 0..64);
    prop_oneof![
        1 => any::<u8>().prop_map(Happening::Connected),
        1 => any::<u8>().prop_map(Happening::Disconnected),
        4 => (any::<u8>(), any::<u8>(), any::<u8>(), bend())
            .prop_map(|(from, what, topic, bend)| Happening::Frame { from, what, topic, bend }),
        1 => (any::<u8>(), noise()).prop_map(|(from, bytes)| Happening::Noise(from, bytes)),
        4 => (any::<u8>(), any::<u8>(), bend())
            .prop_map(|(from, what, bend)| Happening::Asked { from, what, bend }),
        4 => (any::<u8>(), any::<u8>(), bend())
            .prop_map(|(which, what, bend)| Happening::Answer { which, what, bend }),
        1 => (any::<u64>(), noise()).prop_map(|(number, bytes)| Happening::WrongAnswer(number, bytes)),
        6 => any::<u8>().prop_map(Happening::Verify),
        1 => any::<u64>().prop_map(Happening::WrongVerify),
        2 => (0_u32..4_000_000).prop_map(Happening::Tick),
        1 => (-100_000_000_i32..100_000_000).prop_map(Happening::Step),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(what, whom)| Happening::Operator(what, whom)),
        1 => any::<u8>().prop_map(Happening::Detect),
    ]
}

fn bent(mut bytes: Vec<u8>, bend: Option<(u16, u8)>) -> Vec<u8> {
    if let Some((at, by)) = bend
        && !bytes.is_empty()
    {
        let at = usize::from(at) % bytes.len();
        bytes[at] ^= by;
    }
    bytes
}

const SMALL: MeshLimits = MeshLimits {
    objects_max: 20,
    verifying_max: 8,
    known_max: 3,
    waiting_max: 4,
};

/// A node, with everything that it has asked for and not got yet.
struct World {
    engine: Box<Engine>,
    now: Timestamp,
    peers: Vec<Keypair>,
    objects: Vec<(Vec<u8>, Audience)>,
    verify: Vec<(u64, Signed<Object>)>,
    asks: Vec<u64>,
    open: BTreeSet<u64>,
    number: u64,
    tickets: Vec<String>,
}

impl World {
    fn new() -> Self {
        let mut table = Table::new(0);
        for _ in 0..3 {
            table.add(SMALL);
        }
        table.pair(0, 1, Relation::Fleet);
        table.pair(0, 2, Relation::Friend);
        for n in 0..3 {
            table.share(n, Consent::BOTH);
        }
        let fleet = table.mesh(0).fleet().unwrap();
        table.detect(1, EVIL);
        table.unban(1, EVIL, true);
        table.detect(2, EVIL_TOO);
        table.detect(0, "5.9.1.9");
        table.run(MINUTE * 7);
        let (text, _) = table.invite(2, Relation::Circle, 2, HOUR);
        let mut objects = Vec::new();
        for n in 0..3 {
            for audience in [fleet, Audience::Public] {
                let shelf = table.mesh(n).shelf();
                let ids: Vec<_> = shelf.ids_since(audience, 0).collect();
                let said = ids
                    .iter()
                    .filter_map(|(_, id)| shelf.envelope(audience, *id));
                objects.extend(said.map(|bytes| (bytes.to_vec(), audience)));
            }
        }
        let peers = (0..3).map(|n| table.keypair(n)).collect();
        World {
            engine: table.machines[0].engine.take().unwrap(),
            now: table.now,
            peers,
            objects,
            verify: Vec::new(),
            asks: Vec::new(),
            open: BTreeSet::new(),
            number: 1_000_000,
            tickets: vec![text, "lymph1nonsense".to_owned()],
        }
    }

    fn peer(&self, which: u8) -> TransportId {
        match which % 5 {
            n @ 0..3 => Keypair::from_secret(&[(n + 1) ^ 0x80; 32]).transport_id(),
            n => TransportId::from_bytes([n; 32]),
        }
    }

    fn handle(&mut self, input: EngineInput<'_>) -> usize {
        let actions = self.engine.handle(input, self.now);
        let mut answered = 0;
        for action in actions {
            if let Action::Net(net) = action {
                match net {
                    Net::Verify { number, object } => self.verify.push((number, object)),
                    Net::Ask { number, .. } => self.asks.push(number),
                    Net::Judge { message, .. } => {
                        assert!(self.open.remove(&message), "judged twice, or what is none");
                        answered += 1;
                    }
                    Net::Reply { channel, .. } => {
                        assert!(self.open.remove(&channel), "answered twice, or nobody");
                        answered += 1;
                    }
                    _ => {}
                }
            }
        }
        answered
    }

    fn fresh(&mut self) -> u64 {
        self.number += 1;
        self.open.insert(self.number);
        self.number
    }

    fn happen(&mut self, happening: Happening) {
        let mesh = |input| EngineInput::Mesh(input);
        match happening {
            Happening::Connected(peer) => {
                let peer = self.peer(peer);
                self.handle(mesh(Input::Connected(peer)));
            }
            Happening::Disconnected(peer) => {
                let peer = self.peer(peer);
                self.handle(mesh(Input::Disconnected(peer)));
            }
            Happening::Frame {
                from,
                what,
                topic,
                bend,
            } => {
                let (bytes, audience) =
                    self.objects[usize::from(what) % self.objects.len()].clone();
                let bytes = bent(bytes, bend);
                let node = self.engine.mesh().unwrap();
                let bytes = match (audience, &node.fleet) {
                    (Audience::Fleet(_), Some(fleet)) => fleet.secret.seal(&bytes),
                    _ => bytes,
                };
                let topics = audience.topics();
                let topic = topics[usize::from(topic) % topics.len()].clone();
                let from = self.peer(from);
                let message = self.fresh();
                self.handle(mesh(Input::Frame {
                    message,
                    from,
                    topic,
                    bytes,
                }));
            }
            Happening::Noise(from, bytes) => {
                let from = self.peer(from);
                let (message, channel) = (self.fresh(), self.fresh());
                let topic = Audience::Public.topics().remove(0);
                self.handle(mesh(Input::Frame {
                    message,
                    from,
                    topic,
                    bytes: bytes.clone(),
                }));
                self.handle(mesh(Input::Asked {
                    channel,
                    from,
                    bytes,
                }));
            }
            Happening::Asked { from, what, bend } => {
                let bytes = bent(self.ask(what), bend);
                let from = self.peer(from);
                let channel = self.fresh();
                self.handle(mesh(Input::Asked {
                    channel,
                    from,
                    bytes,
                }));
            }
            Happening::Answer { which, what, bend } => {
                if self.asks.is_empty() {
                    return;
                }
                let number = self.asks.remove(usize::from(which) % self.asks.len());
                let bytes = bent(self.answer(what), bend);
                let answer = if what % 5 == 0 {
                    Err("gone".to_owned())
                } else {
                    Ok(bytes)
                };
                self.handle(mesh(Input::Answered { number, answer }));
            }
            Happening::WrongAnswer(number, bytes) => {
                let answer = Ok(bytes);
                if !self.asks.contains(&number) {
                    self.handle(mesh(Input::Answered { number, answer }));
                }
            }
            Happening::Verify(which) => {
                if self.verify.is_empty() {
                    return;
                }
                let at = usize::from(which) % self.verify.len();
                let (number, object) = self.verify.remove(at);
                let object = object.verify();
                self.handle(mesh(Input::Verified { number, object }));
            }
            Happening::WrongVerify(number) => {
                if self.verify.iter().all(|(of, _)| *of != number) {
                    let object = Err(BadSignature);
                    self.handle(mesh(Input::Verified { number, object }));
                }
            }
            Happening::Tick(millis) => {
                self.now = self.now + Duration::from_millis(millis.into());
                self.handle(EngineInput::Tick);
            }
            Happening::Step(millis) => {
                let before = self.now;
                let by = Duration::from_millis(millis.unsigned_abs().into());
                self.now = if millis < 0 { before - by } else { before + by };
                self.handle(EngineInput::ClockStepped { before });
            }
            Happening::Operator(what, whom) => self.operator(what, whom),
            Happening::Detect(who) => {
                let mut overflow = overflow("a/b", &format!("5.9.7.{who}"), self.now.millis());
                (overflow.first_seen, overflow.last_seen) = (self.now, self.now);
                let labels = [("behavior", "ssh:bruteforce"), ("spoofable", "0")];
                let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
                overflow.labels = Arc::new(labels.into());
                self.engine.take(vec![overflow], self.now, &mut Vec::new());
            }
        }
    }

    fn operator(&mut self, what: u8, whom: u8) {
        let node = self.peers[usize::from(whom) % self.peers.len()].id();
        let fleet = self.engine.mesh().unwrap().fleet();
        let number = self.number;
        let mut token = [0; 16];
        token[..8].copy_from_slice(&number.to_le_bytes());
        self.number += 1;
        let consent = Consent {
            publish: whom & 1 == 0,
            consume: whom & 2 == 0,
        };
        let request = match what % 10 {
            0 => MeshRequest::Invite {
                offer: [Relation::Friend, Relation::Fleet, Relation::Circle][usize::from(whom % 3)],
                uses: whom.into(),
                life: Duration::from_secs(u64::from(whom) * 10),
                token,
                secret: [whom; 32],
            },
            1 => MeshRequest::Join(self.tickets[usize::from(whom) % self.tickets.len()].clone()),
            2 => MeshRequest::Share(Audience::Public, consent),
            3 => MeshRequest::Vouch {
                node,
                weight: VouchWeight(u16::from(whom) * 39 + 1),
                is_listed: whom & 1 == 0,
            },
            4 => MeshRequest::Revoke(node),
            5 => MeshRequest::Mute(node, whom & 4 == 0),
            6 => MeshRequest::Enforce(whom & 4 == 0),
            7 if whom < 20 => MeshRequest::Expel(node, [whom; 32]),
            8 if whom < 5 => MeshRequest::Leave(fleet.unwrap_or(Audience::Public)),
            _ => MeshRequest::Mute(node, false),
        };
        self.handle(EngineInput::Asked(Request::Mesh(request)));
    }

    fn ask(&self, what: u8) -> Vec<u8> {
        let (bytes, audience) = self.objects[usize::from(what) % self.objects.len()].clone();
        let ask = match what % 8 {
            0 => Ask::Hello {
                audience,
                contact: bytes,
            },
            1 => Ask::Join {
                token: Token([what; 16]),
                contact: bytes,
            },
            2 => Ask::Reconcile {
                audience,
                since: Slot(0),
                frame: bytes,
            },
            3 => Ask::Fetch {
                audience,
                ids: vec![[what; 32]; usize::from(what)],
                salt: [what; 16],
                since: Slot(what.into()),
            },
            4 => Ask::Push {
                audience,
                objects: self
                    .objects
                    .iter()
                    .map(|(bytes, _)| bytes.clone())
                    .collect(),
            },
            5 => Ask::Vouches {
                audience,
                cursor: u64::MAX / u64::from(what.max(1)),
            },
            6 => Ask::Digest {
                audience,
                author: self.peers[0].id(),
                after: Epoch(what.into()),
            },
            _ => Ask::Rekey {
                secret: [what; 32],
                epoch: u64::from(what),
                expelled: Vec::new(),
            },
        };
        ask.encode().unwrap()
    }

    fn answer(&self, what: u8) -> Vec<u8> {
        let (bytes, _) = self.objects[usize::from(what) % self.objects.len()].clone();
        let answer = match what % 6 {
            0 => Answer::Hello { contact: bytes },
            1 => Answer::Taken,
            2 => Answer::Reconcile { frame: bytes },
            3 => Answer::Objects {
                objects: self
                    .objects
                    .iter()
                    .map(|(bytes, _)| bytes.clone())
                    .collect(),
                cursor: what.into(),
            },
            4 => Answer::Refused(lymph_protocol::ask::Refusal::Busy),
            _ => Answer::Reconcile { frame: Vec::new() },
        };
        answer.encode().unwrap()
    }

    fn check(&self) {
        super::bounds::check(self.engine.mesh().unwrap(), SMALL);
        // Every message and question is settled, but for those whose signature is looked at.
        let node = self.engine.mesh().unwrap();
        assert!(
            self.open.len() <= node.checking.len(),
            "one is left without an answer"
        );
        assert!(node.checking.len() <= self.verify.len());
        assert!(node.asking.len() <= self.asks.len());
        let (at, why) = self.engine.next_deadline().unwrap();
        assert!(at > Timestamp::EPOCH, "{why}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_nothing_panics_and_bounds_hold(
        happenings in prop::collection::vec(happening(), 1..150)
    ) {
        let mut world = World::new();
        for happening in happenings {
            world.happen(happening);
            world.check();
        }
    }
}

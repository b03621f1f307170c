//! What was missed is made up for, and who does not help with that is given up.

use lymph_protocol::sync::{Items, respond};

use super::*;

fn reports_of(table: &Table, n: usize) -> BTreeSet<(NodeId, Subject)> {
    let nodes = (0..table.machines.len()).map(|other| table.id(other));
    nodes
        .flat_map(|node| {
            let by = table.mesh(n).shelf().by(node);
            let subjects: Vec<_> = by.map(|live| (node, live.report.subject)).collect();
            subjects
        })
        .collect()
}

#[test]
fn after_a_partition_everybody_has_everything() {
    for seed in [7, 8, 9] {
        let mut table = Table::fleet(5);
        table.draw = seed;
        table.part(&[0, 1], &[2, 3, 4]);
        table.run(SECOND);
        for n in 0..5 {
            for i in 0..20 {
                table.detect(n, &format!("5.9.{n}.{i}"));
                table.run(SECOND);
            }
        }
        let bytes_before: usize = table.wire.iter().map(|left| left.bytes.len()).sum();
        assert!(reports_of(&table, 0).len() < 100);
        table.heal();
        table.run(MINUTE);
        for n in 0..5 {
            assert_eq!(reports_of(&table, n).len(), 100, "{n}, seed {seed}");
            assert_eq!(table.engine(n).decisions().len(), 100, "{n}, seed {seed}");
        }
        let bytes_after: usize = table.wire.iter().map(|left| left.bytes.len()).sum();
        assert!(
            bytes_after - bytes_before < 200_000,
            "it costs what differs"
        );
    }
}

#[test]
fn healing_costs_less_than_twice_what_was_missing() {
    const EACH: usize = 250;
    for seed in [7, 8, 9] {
        let mut table = Table::fleet(4);
        table.draw = seed;
        table.part(&[0, 1], &[2, 3]);
        table.run(SECOND);
        for n in 0..4 {
            for i in 0..EACH {
                table.detect(n, &format!("5.{n}.{}.{}", i / 200, i % 200));
                table.run(SECOND / 5);
            }
        }
        let sum = |table: &Table| {
            table
                .wire
                .iter()
                .map(|left| left.bytes.len())
                .sum::<usize>()
        };
        let envelope = {
            let fleet = table.mesh(0).fleet().unwrap();
            let mut all = table
                .mesh(0)
                .shelf()
                .of_kind(fleet, lymph_protocol::signed::Kind::Report);
            all.next().unwrap().1.len()
        };
        let missing = 4 * 2 * EACH * envelope;
        let before = sum(&table);
        table.heal();
        table.run(MINUTE);
        for n in 0..4 {
            assert_eq!(reports_of(&table, n).len(), 4 * EACH, "{n}, seed {seed}");
        }
        let spent = sum(&table) - before;
        // Four pairs meet at once, and each takes its turn: 1.77 times, names and comparisons included.
        assert!(
            spent <= missing * 2,
            "{spent} bytes for {missing} that were missing"
        );
    }
}

#[test]
fn a_public_mesh_heals_too() {
    let mut table = Table::new(4);
    table.pair(0, 1, Relation::Friend);
    table.pair(2, 3, Relation::Friend);
    for n in 0..4 {
        table.share(n, Consent::BOTH);
    }
    for n in 0..4 {
        for i in 0..10 {
            table.detect(n, &format!("5.9.{n}.{i}"));
        }
    }
    table.run(MINUTE * 10);
    table.connect(1, 2);
    table.run(MINUTE * 22);
    for n in 0..4 {
        assert_eq!(reports_of(&table, n).len(), 40, "{n}");
    }
}

#[test]
fn a_late_joiner_gets_thousands_of_objects_within_a_minute() {
    const OBJECTS: u32 = 5_000;
    for starts in [0, 1] {
        let mut table = Table::new(3);
        table.share(0, Consent::BOTH);
        let now = table.now;
        let key = Keypair::from_secret(&[0x55; 32]);
        let engine = table.machines[0].engine.as_mut().unwrap();
        let mesh = engine.mesh.as_mut().unwrap();
        for i in 0..OBJECTS {
            let who = std::net::Ipv4Addr::from_bits(0x0509_0000 + i).to_string();
            let said = Object::Report(report(&who, 1_000 + u64::from(i)));
            let said = sign(&key, said, Audience::Public);
            let _ = mesh.admission.verified(&said, now, Standing::Sibling);
            mesh.shelve(&said, now, &mut Vec::new());
        }
        // Whoever has the smaller name of the two asks.
        let late = (1..3)
            .find(|n| {
                let is_asked = table.machines[0].transport < table.machines[*n].transport;
                is_asked == (starts == 0)
            })
            .or(Some(1));
        let late = late.unwrap();
        table.share(late, Consent::BOTH);
        table.connect(0, late);
        table.run(MINUTE);
        let has = table.mesh(late).shelf().len();
        assert!(has >= OBJECTS as usize, "{has}");
    }
}

/// A node that is friends with a peer that a test plays.
fn with_a_peer() -> (Table, TransportId) {
    let mut table = Table::new(2);
    table.pair(0, 1, Relation::Fleet);
    table.run(SECOND * 5);
    let peer = table.machines[1].transport;
    table.kill(1);
    table.run(SECOND);
    (table, peer)
}

/// Questions that the node asks its peer, answered by `answer` as long as there are any; how many there were.
fn play(
    table: &mut Table,
    peer: TransportId,
    mut answer: impl FnMut(Ask) -> Option<Result<Vec<u8>, String>>,
) -> usize {
    let mut asked = 0;
    let end = table.now + MINUTE * 15;
    let mut inputs = vec![EngineInput::Mesh(Input::Connected(peer))];
    for _ in 0..20_000 {
        let input = match inputs.pop() {
            Some(input) => input,
            None => {
                let (at, _) = table.engine(0).next_deadline().unwrap();
                if at > end {
                    return asked;
                }
                table.now = table.now.max(at);
                EngineInput::Tick
            }
        };
        let now = table.now;
        let engine = table.machines[0].engine.as_mut().unwrap();
        for action in engine.handle(input, now) {
            match action {
                Action::Net(Net::Verify { number, object }) => {
                    let object = object.verify();
                    inputs.push(EngineInput::Mesh(Input::Verified { number, object }));
                }
                Action::Net(Net::Ask {
                    number,
                    peer: to,
                    bytes,
                    ..
                }) if to == peer => {
                    asked += 1;
                    let ask = Ask::decode(&bytes).unwrap();
                    if let Some(answer) = answer(ask) {
                        inputs.push(EngineInput::Mesh(Input::Answered { number, answer }));
                    }
                }
                _ => {}
            }
        }
    }
    panic!("it asks for ever");
}

#[test]
fn a_peer_that_is_no_use_is_given_up() {
    let encode = |answer: Answer| Some(Ok(answer.encode().unwrap()));
    type Play = Box<dyn FnMut(Ask) -> Option<Result<Vec<u8>, String>>>;
    let plays: Vec<(&str, Play)> = vec![
        ("nothing", Box::new(|_| Some(Err("timeout".to_owned())))),
        ("garbage", Box::new(|_| Some(Ok(vec![0xff; 100])))),
        ("empty", Box::new(|_| Some(Ok(Vec::new())))),
        ("something else", Box::new(move |_| encode(Answer::Taken))),
        (
            "the same objects for ever",
            Box::new(move |_| {
                encode(Answer::Objects {
                    objects: vec![vec![1; 200]; 10],
                    cursor: 1,
                })
            }),
        ),
        ("objects and more to come for ever", {
            let mut cursor = 0;
            Box::new(move |_| {
                cursor += 1;
                encode(Answer::Objects {
                    objects: vec![vec![1; 200]; 10],
                    cursor,
                })
            })
        }),
        (
            "frames that are none",
            Box::new(move |_| {
                encode(Answer::Reconcile {
                    frame: vec![0x61; 3_000],
                })
            }),
        ),
        ("other ids for ever, and no objects", {
            let mut round = 0_u64;
            Box::new(move |ask| match ask {
                Ask::Reconcile { frame, .. } => {
                    round += 1;
                    let items = |salt| {
                        let ids = (0..2_000_u64).map(|i| {
                            let mut id = [0; 32];
                            id[..8].copy_from_slice(&i.to_le_bytes());
                            id[8..16].copy_from_slice(&round.to_le_bytes());
                            (NOW.secs() + i % 7, ObjectId(id))
                        });
                        Items::new(ids, salt)
                    };
                    match respond(items, &frame) {
                        Ok(frame) => encode(Answer::Reconcile { frame }),
                        Err(_) => encode(Answer::Refused(lymph_protocol::ask::Refusal::NotYours)),
                    }
                }
                _ => encode(Answer::Objects {
                    objects: Vec::new(),
                    cursor: 0,
                }),
            })
        }),
        ("new vouches of new keys for ever", {
            let mut round = 0_u64;
            Box::new(move |ask| match ask {
                Ask::Vouches { audience, .. } => {
                    round += 1;
                    let mut secret = [0x31; 32];
                    secret[..8].copy_from_slice(&round.to_le_bytes());
                    let vouch = lymph_protocol::vouch::Vouch {
                        subject: NodeId::from_bytes([9; 32]),
                        degree: Degree::Friend,
                        weight: VouchWeight::ONE,
                        issued: Minute::of(NOW),
                        expires: Minute::of(NOW + HOUR),
                        seq: round,
                    };
                    let said = sign(
                        &Keypair::from_secret(&secret),
                        Object::Vouch(vouch),
                        audience,
                    );
                    encode(Answer::Objects {
                        objects: vec![said.bytes().to_vec()],
                        cursor: round,
                    })
                }
                _ => Some(Err("no".to_owned())),
            })
        }),
    ];
    for (name, play_it) in plays {
        let (mut table, peer) = with_a_peer();
        let friend = Degree::Friend;
        let mesh = table.machines[0].engine.as_mut().unwrap();
        let mesh = mesh.mesh.as_mut().unwrap();
        mesh.public = Consent::BOTH;
        for known in mesh.known.values_mut() {
            if name.contains("vouches") {
                known.degree = friend;
            }
        }
        let asked = play(&mut table, peer, play_it);
        assert!((1..1_500).contains(&asked), "{name}: {asked} questions");
        let mesh = table.mesh(0);
        assert!(mesh.catching_up.is_at_rest(), "{name}");
        assert!(mesh.checking.is_empty(), "{name}");
        assert!(mesh.asking.is_empty(), "{name}");
    }
}

#[test]
fn a_peer_that_never_answers_holds_up_nobody_else() {
    let (mut table, peer) = with_a_peer();
    let asked = play(&mut table, peer, |_| None);
    assert!(asked >= 1);
    assert!(table.mesh(0).catching_up.is_at_rest());
}

#[test]
fn who_is_busy_is_asked_less_and_less() {
    for (is_known, expected) in [(true, 100..150), (false, 8..25)] {
        let (mut table, mut peer) = with_a_peer();
        if !is_known {
            table.share(0, Consent::BOTH);
            peer = Keypair::from_secret(&[0x71; 32]).transport_id();
        }
        let mut compared = 0;
        play(&mut table, peer, |ask| {
            compared += usize::from(matches!(ask, Ask::Reconcile { .. }));
            let busy = Answer::Refused(lymph_protocol::ask::Refusal::Busy);
            Some(Ok(busy.encode().unwrap()))
        });
        assert!(
            expected.contains(&compared),
            "{is_known}: {compared} in 15 minutes"
        );
    }
}

#[test]
fn one_comparison_is_not_given_up_for_the_next() {
    // Whom a fleet knows, and strangers in public.
    for is_known in [true, false] {
        let mut table = Table::fleet(3);
        table.share(0, Consent::BOTH);
        table.run(MINUTE * 2);
        let (peers, audience) = if is_known {
            let fleet = table.mesh(0).fleet().unwrap();
            ([1, 2].map(|n| table.machines[n].transport), fleet)
        } else {
            let keys = [[0x71; 32], [0x72; 32]];
            let peers = keys.map(|key| Keypair::from_secret(&key).transport_id());
            (peers, Audience::Public)
        };
        let compare = |table: &mut Table, n: usize| {
            let salt = [u8::try_from(n).unwrap() + 1; 16];
            let items = Items::new(std::iter::empty(), salt);
            let (_, frame) = lymph_protocol::sync::Initiator::start(items).unwrap();
            let since = Slot::of(NOW - HOUR);
            let ask = Ask::Reconcile {
                audience,
                since,
                frame,
            };
            matches!(table.question(0, peers[n], &ask), Answer::Reconcile { .. })
        };
        assert!(compare(&mut table, 0), "{is_known}");
        for _ in 0..10 {
            assert!(!compare(&mut table, 1), "{is_known}: in turn");
            assert!(compare(&mut table, 0), "{is_known}: it goes on");
            table.now = table.now + SECOND / 10;
        }
        // Who is done is in nobody's way, nor is who is never done.
        table.now = table.now + SECOND * 5;
        assert!(compare(&mut table, 1), "{is_known}");
        for _ in 0..400 {
            compare(&mut table, 1);
            table.now = table.now + SECOND / 10;
        }
        assert!(compare(&mut table, 0), "{is_known}: not for ever");
    }
}

#[test]
fn answers_to_nothing_are_nothing() {
    let mut table = Table::fleet(2);
    for number in [0, 1, 7, u64::MAX] {
        let answer = Ok(Answer::Taken.encode().unwrap());
        let input = Input::Answered { number, answer };
        assert!(table.handle(0, EngineInput::Mesh(input)).is_empty());
        let object = Err(BadSignature);
        let input = Input::Verified { number, object };
        assert!(table.handle(0, EngineInput::Mesh(input)).is_empty());
    }
}

#[test]
fn who_asks_too_much_is_refused_and_may_again_later() {
    let mut table = Table::fleet(2);
    table.run(MINUTE);
    let peer = table.machines[1].transport;
    let ask = Ask::Vouches {
        audience: table.mesh(0).fleet().unwrap(),
        cursor: 0,
    };
    let mut answered = 0;
    for _ in 0..1_000 {
        answered += usize::from(!matches!(
            table.question(0, peer, &ask),
            Answer::Refused(lymph_protocol::ask::Refusal::Busy)
        ));
    }
    assert!((350..=400).contains(&answered), "{answered}");
    table.now = table.now + SECOND * 10;
    assert!(!matches!(
        table.question(0, peer, &ask),
        Answer::Refused(lymph_protocol::ask::Refusal::Busy)
    ));
    // Large questions count more.
    table.now = table.now + MINUTE;
    let big = vec![0xff; 300_000];
    let answered = (0..200)
        .filter(|_| {
            let answer = table.question_bytes(0, peer, big.clone());
            answer != Answer::Refused(lymph_protocol::ask::Refusal::Busy)
        })
        .count();
    assert!((1..100).contains(&answered), "{answered}");
}

#[test]
fn what_is_restored_has_no_consequence_a_second_time() {
    let mut table = Table::fleet(3);
    for i in 0..10 {
        table.detect(i % 3, &format!("5.9.1.{i}"));
    }
    table.unban(1, "5.9.1.3", false);
    table.ask_mesh(2, MeshRequest::Enforce(false));
    table.run(MINUTE);
    for n in 0..3 {
        table.machines[n].bans.clear();
        let notices = table.machines[n].notices.len();
        let enforced = table.machines[n].enforce.len();
        let standing = table.engine(n).decisions().len();
        table.restart(n);
        table.run(MINUTE * 12);
        assert_eq!(table.engine(n).decisions().len(), standing, "{n}");
        assert_eq!(table.machines[n].enforce.len(), enforced, "{n}");
        assert_eq!(table.machines[n].notices.len(), notices, "{n}");
        // Only what stood is put back into the firewall.
        let put_back: BTreeSet<_> = table.machines[n]
            .bans
            .iter()
            .map(|(_, decision)| decision.key())
            .collect();
        assert_eq!(put_back.len(), table.machines[n].bans.len(), "{n}");
        assert!(!put_back.iter().any(|(of, ..)| *of == target("5.9.1.3")));
    }
}

#[test]
fn everything_kept_comes_back_however_slowly_signatures_are_checked() {
    let mut table = Table::fleet(2);
    table.machines[0].settings.budget = None;
    table.restart(0);
    table.run(SECOND);
    let fleet = table.mesh(0).fleet().unwrap();
    for i in 0..3_000_u32 {
        let who = std::net::Ipv4Addr::from_bits(0x0509_0000 + i).to_string();
        table.detect(0, &who);
    }
    table.unban(0, "5.9.0.7", false);
    let count = |table: &Table| table.mesh(0).shelf().ids_since(fleet, 0).count();
    let before = count(&table);
    assert!(before > 3_000);
    table.part(&[0], &[1]);
    // All records are restored before the first signature is checked.
    table.restart(0);
    table.run(SECOND);
    assert_eq!(count(&table), before + 1, "and a new contact");
}

//! Every table filled to its bound, and who has to go then.

use super::*;

/// What holds of any node at any time.
pub(super) fn check(mesh: &Mesh, limits: MeshLimits) {
    assert!(mesh.shelf.len() <= limits.objects_max);
    assert!(mesh.shelf.reports() <= limits.objects_max);
    assert!(mesh.checking.len() <= limits.verifying_max + limits.objects_max);
    assert!(mesh.asking.len() <= ASKING_MAX);
    assert!(mesh.known.len() <= limits.known_max);
    assert!(mesh.muted.len() <= limits.known_max);
    assert!(mesh.own_vouches.len() <= limits.known_max);
    assert!(mesh.transports.len() <= limits.known_max);
    assert!(mesh.waiting().count() <= limits.waiting_max);
    assert!(mesh.given_lately.len() <= 4_096);
    assert!(mesh.spoken.len() <= SPOKEN_MAX);
    assert!(mesh.away.len() <= crate::engine::mesh::fleet::EXPELLED_MAX);
    mesh.catching_up.check_bounds();
    mesh.pairing.check_bounds();
    mesh.shelf.check_bounds();
}

fn alone(limits: MeshLimits) -> Table {
    let mut table = Table::new(0);
    table.add(limits);
    table.share(0, Consent::BOTH);
    table
}

fn mesh(table: &mut Table) -> &mut Mesh {
    table.machines[0]
        .engine
        .as_mut()
        .unwrap()
        .mesh
        .as_mut()
        .unwrap()
}

fn peer(n: u16) -> TransportId {
    let mut bytes = [0xff; 32];
    bytes[30..].copy_from_slice(&n.to_be_bytes());
    TransportId::from_bytes(bytes)
}

/// What a key says about the `n`th address, to live for so many hours.
fn said(key: &Keypair, n: u32, hours: u8) -> Verified<Object> {
    let who = std::net::Ipv4Addr::from_bits(0x0509_0000 + n).to_string();
    let report = Report {
        ttl_hours: hours,
        ..report(&who, u64::from(n) + 1)
    };
    sign(key, Object::Report(report), Audience::Public)
}

#[test]
fn a_full_shelf_gives_up_strangers_first_and_what_expires_soonest() {
    let mut table = alone(MeshLimits {
        objects_max: 10,
        ..MeshLimits::default()
    });
    let (stranger, friend) = (
        Keypair::from_secret(&[0x51; 32]),
        Keypair::from_secret(&[0x52; 32]),
    );
    let request = MeshRequest::Vouch {
        node: friend.id(),
        weight: VouchWeight::ONE,
        is_listed: true,
    };
    // Our vouch for the friend is the first object, and stays.
    table.ask_mesh(0, request);
    let fill = table.mesh(0).shelf().len();
    let shelve = |table: &mut Table, said: &Verified<Object>| {
        let now = table.now;
        mesh(table).shelve(said, now, &mut Vec::new());
    };
    let has = |table: &Table, said: &Verified<Object>| {
        table
            .mesh(0)
            .shelf()
            .envelope(Audience::Public, said.id())
            .is_some()
    };
    let strangers: Vec<_> = (0..10)
        .map(|n| said(&stranger, n, 10 + u8::try_from(n).unwrap()))
        .collect();
    for said in &strangers {
        shelve(&mut table, said);
    }
    let missing = |table: &Table| strangers.iter().filter(|said| !has(table, said)).count();
    assert_eq!(missing(&table), fill);
    assert!(!has(&table, &strangers[0]) && has(&table, &strangers[9]));
    // Another stranger that would be the first to go is not taken in.
    let short = said(&stranger, 99, 1);
    shelve(&mut table, &short);
    assert!(!has(&table, &short));
    // The friend's, however short their life, take strangers' places, then the friend's own.
    let friends: Vec<_> = (100..110)
        .map(|n| said(&friend, n, 2 + u8::try_from(n - 100).unwrap()))
        .collect();
    for said in &friends {
        shelve(&mut table, said);
    }
    assert_eq!(missing(&table), 10);
    assert!(!has(&table, &friends[0]) && has(&table, &friends[9]));
    shelve(&mut table, &strangers[9]);
    assert!(
        !has(&table, &strangers[9]),
        "a stranger takes nobody's place"
    );
    let kinds = table
        .mesh(0)
        .shelf()
        .of_kind(Audience::Public, lymph_protocol::signed::Kind::Vouch);
    assert_eq!((kinds.count(), table.mesh(0).shelf().len()), (1, 10));
    mesh(&mut table).shelf.check_bounds();
}

#[test]
fn no_more_live_reports_than_objects_and_the_soonest_over_goes() {
    let mut shelf = Shelf::new(3, 1);
    let author = NodeId::from_bytes([1; 32]);
    for (n, hours) in [(1, 20), (2, 5), (3, 10), (4, 30)] {
        let report = Report {
            ttl_hours: hours,
            ..report(&format!("5.9.1.{n}"), n)
        };
        shelf.report(author, &report, Audience::Public, NOW);
    }
    let left: Vec<_> = shelf.by(author).map(|live| live.report.seq).collect();
    assert_eq!(left, [1, 3, 4]);
    shelf.check_bounds();
}

#[test]
fn strangers_deaths_do_not_shut_the_shelf_for_strangers() {
    let mut table = alone(MeshLimits {
        objects_max: 10,
        ..MeshLimits::default()
    });
    let now = table.now;
    for n in 0..20 {
        let kill = Object::Kill(lymph_protocol::vouch::Kill {
            issued: Minute::of(NOW),
            successor: None,
        });
        let said = sign(
            &Keypair::from_secret(&[n + 0x60; 32]),
            kill,
            Audience::Public,
        );
        mesh(&mut table).shelve(&said, now, &mut Vec::new());
    }
    table.run(HOUR * 24 * 8);
    let key = Keypair::from_secret(&[99; 32]);
    let report = Report {
        slot: Slot::of(table.now),
        ..report(EVIL, 1)
    };
    let said = sign(&key, Object::Report(report), Audience::Public);
    let now = table.now;
    mesh(&mut table).shelve(&said, now, &mut Vec::new());
    assert!(
        table
            .mesh(0)
            .shelf()
            .envelope(Audience::Public, said.id())
            .is_some()
    );
}

#[test]
fn more_signatures_than_can_be_checked_are_ignored_and_nobody_is_blamed() {
    let mut table = alone(MeshLimits {
        verifying_max: 5,
        ..MeshLimits::default()
    });
    let key = Keypair::from_secret(&[0x51; 32]);
    let topic = Audience::Public.topic(said(&key, 0, 24).object().channel(), 1);
    let mut verdicts = Vec::new();
    for n in 0..8 {
        let frame = Input::Frame {
            message: n.into(),
            from: peer(1),
            topic: topic.clone(),
            bytes: said(&key, n, 24).bytes().to_vec(),
        };
        let now = table.now;
        for effect in mesh(&mut table).handle(frame, now) {
            match effect {
                Effect::Net(Net::Judge { message, verdict }) => verdicts.push((message, verdict)),
                Effect::Net(Net::Verify { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    let expected: Vec<_> = (5..8).map(|message| (message, Judgement::Ignore)).collect();
    assert_eq!(verdicts, expected);
    assert_eq!(table.mesh(0).checking.len(), 5);
}

#[test]
fn of_more_reports_than_may_wait_the_last_is_not_said() {
    let mut table = alone(MeshLimits {
        waiting_max: 5,
        ..MeshLimits::default()
    });
    for n in 0..12 {
        let seen = Seen {
            subject: subject(&format!("5.9.1.{n}")),
            family: Family::SSH_AUTH,
            rule: RuleHash([7; 8]),
            evidence: Evidence::Handshake,
            count: 5,
            at: table.now,
            until: table.now + HOUR,
            others_until: (n < 5).then_some(table.now + HOUR),
        };
        let now = table.now;
        drop(mesh(&mut table).saw(&seen, now));
    }
    let waiting: Vec<_> = table.mesh(0).waiting().map(|(at, ..)| at).collect();
    assert_eq!(waiting.len(), 5);
    assert!(
        waiting.iter().all(|at| *at < NOW + HOUR),
        "what is blocked anyway went first"
    );
}

#[test]
fn so_many_invitations_and_joins_and_no_more() {
    let mut table = Table::new(2);
    let invite = |table: &mut Table, n: u8| {
        table.ask_mesh(
            0,
            MeshRequest::Invite {
                offer: Relation::Friend,
                uses: 1,
                life: MINUTE * 5,
                token: [n; 16],
                secret: [0; 32],
            },
        )
    };
    let mut tickets = Vec::new();
    for n in 0..64 {
        match invite(&mut table, n) {
            MeshAnswer::Invited(text, _) => tickets.push(text),
            other => panic!("{n}: {other:?}"),
        }
    }
    let refused = invite(&mut table, 64);
    assert!(matches!(&refused, MeshAnswer::No(why) if why.contains("invitations are open")));
    table.part(&[0], &[1]);
    let mut joining = 0;
    for text in &tickets {
        match table.ask_mesh(1, MeshRequest::Join(text.clone())) {
            MeshAnswer::Joining(..) => joining += 1,
            MeshAnswer::No(why) => assert!(why.contains("too many joins")),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(joining, 16);
    // All of them fail; then there is room at once.
    table.run(MINUTE * 2);
    let answer = table.ask_mesh(1, MeshRequest::Join(tickets[40].clone()));
    assert!(matches!(answer, MeshAnswer::Joining(..)), "{answer:?}");
    table.run(MINUTE * 7);
    assert!(matches!(invite(&mut table, 65), MeshAnswer::Invited(..)));
    for round in 0..10 {
        for n in 0..64 {
            invite(&mut table, 66_u8.wrapping_add(n).wrapping_add(round));
        }
        table.run(MINUTE * 7);
        mesh(&mut table).pairing.check_bounds();
    }
}

#[test]
fn a_fleet_has_so_many_siblings() {
    let mut table = alone(MeshLimits::default());
    let contact = |n: u8| lymph_protocol::contact::Contact {
        transport: peer(n.into()),
        issued: Minute::of(NOW),
        expires: Minute::of(NOW + HOUR),
        seq: 1,
        addresses: Vec::new(),
        name: String::new(),
    };
    let now = table.now;
    let mut effects = Vec::new();
    let known: Vec<_> = (0..70)
        .map(|n| {
            let node = NodeId::from_bytes([n; 32]);
            mesh(&mut table).know(node, Degree::Sibling, &contact(n), now, &mut effects)
        })
        .collect();
    let fleet_max = lymph_protocol::limits::FLEET_MAX;
    assert_eq!(known.iter().filter(|known| **known).count(), fleet_max - 1);
    let full = effects.iter().filter(
        |effect| matches!(effect, Effect::Notice(Notice::Full(what)) if what.contains("fleet")),
    );
    assert_eq!(full.count(), 70 - (fleet_max - 1));
}

#[test]
fn so_many_questions_wait_and_so_many_comparisons_go_on() {
    let mut table = alone(MeshLimits::default());
    let now = table.now;
    for n in 0..600 {
        mesh(&mut table).handle(Input::Connected(peer(n)), now);
    }
    for _ in 0..10 {
        mesh(&mut table).tick(now);
    }
    let node = mesh(&mut table);
    node.catching_up.check_bounds();
    assert_eq!(node.asking.len(), 1, "one comparison with a stranger");
    let mut effects = Vec::new();
    let ask = Ask::Vouches {
        audience: Audience::Public,
        cursor: 0,
    };
    let asked = (0..400)
        .filter(|_| node.ask(peer(1), Vec::new(), &ask, Question::Push, &mut effects))
        .count();
    assert_eq!((asked, node.asking.len()), (ASKING_MAX - 1, ASKING_MAX));
}

#[test]
fn cursors_and_meters_are_forgotten_as_they_say() {
    let mut table = alone(MeshLimits::default());
    let node = mesh(&mut table);
    for n in 0..700 {
        node.catching_up.read_to(peer(n), Audience::Public, 5);
    }
    assert_eq!(node.catching_up.cursor(peer(0), Audience::Public), 0);
    assert_eq!(node.catching_up.cursor(peer(699), Audience::Public), 5);
    for n in 0..1_024 {
        assert!(node.catching_up.may_ask(peer(n), true, 200_000, NOW));
    }
    assert!(
        !node.catching_up.may_ask(peer(5_000), false, 0, NOW),
        "a stranger"
    );
    assert!(
        node.catching_up.may_ask(peer(6_000), true, 0, NOW),
        "one we know"
    );
    node.catching_up.check_bounds();
    assert!(
        node.catching_up
            .may_ask(peer(5_000), false, 0, NOW + MINUTE)
    );
    node.catching_up.check_bounds();
}

#[test]
fn strangers_lies_and_deaths_are_remembered_up_to_a_bound_and_our_friends_always() {
    let mut table = Table::new(2);
    table.pair(0, 1, Relation::Friend);
    table.share(0, Consent::BOTH);
    let now = table.now;
    for n in 0..4_096_u32 {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_le_bytes());
        let node = NodeId::from_bytes(bytes);
        let kill = lymph_protocol::vouch::Kill {
            issued: Minute(0),
            successor: None,
        };
        mesh(&mut table).dead.insert(node, kill);
        mesh(&mut table).distrusted.insert(node, now + HOUR);
    }
    let friend = table.keypair(1);
    for (key, expected) in [(Keypair::from_secret(&[0x44; 32]), 4_096), (friend, 4_097)] {
        let seq = table.now.millis() + 5;
        for who in [EVIL, EVIL_TOO] {
            let report = Report {
                slot: Slot::of(table.now),
                ..report(who, seq)
            };
            let said = sign(&key, Object::Report(report), Audience::Public);
            let topic = Audience::Public.topic(said.object().channel(), 1);
            table.frame(0, peer(1), &topic, said.bytes());
        }
        assert_eq!(table.mesh(0).distrusted.len(), expected);
        mesh(&mut table).distrusted.remove(&key.id());
        let kill = Object::Kill(lymph_protocol::vouch::Kill {
            issued: Minute::of(NOW),
            successor: None,
        });
        let said = sign(&key, kill, Audience::Public);
        let topic = Audience::Public.topic(said.object().channel(), 1);
        table.frame(0, peer(1), &topic, said.bytes());
        // A stranger's death makes room for one that counts.
        assert_eq!(table.mesh(0).dead.len(), 4_096);
        let is_dead = table.mesh(0).dead.contains_key(&key.id());
        assert_eq!(is_dead, expected > 4_096);
    }
}

#[test]
fn of_more_own_words_than_are_remembered_the_oldest_are_an_earlier_runs() {
    let mut table = alone(MeshLimits::default());
    let now = table.now;
    let mut effects = Vec::new();
    let first = mesh(&mut table)
        .own_contact(Audience::Public, now, &mut effects)
        .unwrap();
    for n in 0..SPOKEN_MAX as u64 {
        mesh(&mut table)
            .spoken
            .insert((now.millis() + 10 + n, ObjectId([1; 32])));
    }
    let last = mesh(&mut table)
        .own_contact(Audience::Public, now, &mut effects)
        .unwrap();
    check(table.mesh(0), MeshLimits::default());
    for said in [first, last] {
        let node = mesh(&mut table);
        let _ = node.own_voice(&said, now, &mut effects);
        assert_eq!(node.silenced(), None);
    }
}

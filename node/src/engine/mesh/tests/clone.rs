//! One key on two machines, keys that lie, and keys that are dead.

use lymph_protocol::contact::Contact;
use lymph_protocol::report::Retraction;
use lymph_protocol::vouch::Kill;

use super::*;

/// A certificate for a machine's key, as made when the key was.
fn certificate(table: &Table, n: usize, successor: Option<NodeId>) -> Vec<u8> {
    let issued = Minute::of(NOW - HOUR * 24 * 300);
    let kill = Object::Kill(Kill { issued, successor });
    let said = sign(&table.keypair(n), kill, Audience::Public);
    said.bytes().to_vec()
}

#[test]
fn a_clone_is_noticed_and_stops() {
    // 0 and 2 have one key, and a sibling between them.
    let mut table = Table::fleet(2);
    let clone = table.add(MeshLimits::default());
    table.machines[clone].secret = table.machines[0].secret;
    table.machines[clone].disk = table.machines[0].disk.clone();
    table.machines[clone].sequence = table.machines[0].sequence;
    table.restart(clone);
    for (a, b) in [(0, 1), (1, clone)] {
        table.connect(a, b);
    }
    table.run(MINUTE * 2);
    table.detect(clone, EVIL);
    table.run(MINUTE);
    table.detect(0, EVIL_TOO);
    table.run(MINUTE);
    let silenced: Vec<_> = [0, clone]
        .into_iter()
        .filter(|n| table.mesh(*n).silenced() == Some(Silenced::Cloned))
        .collect();
    assert!(!silenced.is_empty());
    for n in silenced {
        assert!(table.machines[n].notices.contains(&Notice::Cloned));
        let before = table.wire.len();
        table.detect(n, "5.9.9.9");
        let answer = table.ask_mesh(n, MeshRequest::Join("lymph1".to_owned()));
        assert!(matches!(answer, MeshAnswer::No(_)));
        table.run(HOUR);
        let said: Vec<_> = table.wire[before..]
            .iter()
            .filter(|left| left.from == n && left.how == How::Published)
            .collect();
        assert!(said.is_empty(), "{n} goes on: {said:?}");
    }
    assert_eq!(table.mesh(1).silenced(), None);
}

#[test]
fn own_words_that_come_back_are_no_clone() {
    for (name, lose_store, lose_more) in [
        ("restarted", false, false),
        ("without its store", true, false),
        ("within a minute twice", true, true),
    ] {
        let mut table = Table::fleet(2);
        for i in 0..5 {
            table.detect(0, &format!("5.9.1.{i}"));
        }
        table.unban(0, "5.9.1.1", true);
        table.run(SECOND * 5);
        for _ in 0..=usize::from(lose_more) {
            if lose_store {
                // The operator's book is left; sled is not.
                table.machines[0].disk.retain(|key, _| key.is_operators());
            }
            table.restart(0);
            table.run(SECOND * 3);
            table.detect(0, "5.9.1.77");
            table.run(SECOND * 3);
        }
        table.part(&[0], &[1]);
        table.run(SECOND);
        table.heal();
        table.run(MINUTE * 25);
        assert_eq!(table.mesh(0).silenced(), None, "{name}");
        assert!(table.mesh(0).shelf().by(table.id(0)).count() >= 4, "{name}");
        assert_eq!(
            table.mesh(1).standing(table.id(0)),
            Standing::Sibling,
            "{name}"
        );
    }
}

#[test]
fn a_step_of_the_clock_makes_no_clone_of_oneself() {
    for forward in [true, false] {
        let mut table = Table::new(2);
        table.pair(0, 1, Relation::Friend);
        for n in 0..2 {
            table.share(n, Consent::BOTH);
        }
        table.detect(0, EVIL);
        table.run(MINUTE * 6);
        let before = table.now;
        let now = match forward {
            true => before + MINUTE * 3,
            false => before - MINUTE * 3,
        };
        for n in 0..2 {
            let engine = table.machines[n].engine.as_mut().unwrap();
            let actions = engine.handle(EngineInput::ClockStepped { before }, now);
            drop(actions);
        }
        table.now = now;
        // Everything that it ever said is handed back to it.
        let from = table.machines[1].transport;
        let said: Vec<_> = table
            .wire
            .iter()
            .filter(|left| left.from == 0 && left.how != How::Replied)
            .filter_map(|left| match Ask::decode(&left.bytes) {
                Ok(Ask::Hello { contact, .. } | Ask::Join { contact, .. }) => Some(contact),
                Ok(Ask::Push { objects, .. }) => objects.into_iter().next(),
                _ => Some(left.bytes.clone()),
            })
            .collect();
        assert!(said.len() > 3);
        for bytes in said {
            let ask = Ask::Push {
                audience: Audience::Public,
                objects: vec![bytes],
            };
            table.question(0, from, &ask);
            table.now = table.now + SECOND;
        }
        assert_eq!(table.mesh(0).silenced(), None, "forward {forward}");
    }
}

#[test]
fn nobody_silences_a_node_with_its_own_contact() {
    let mut table = Table::new(2);
    table.pair(0, 1, Relation::Friend);
    table.run(MINUTE);
    let contacts: Vec<_> = table
        .wire
        .iter()
        .filter(|left| left.from == 0)
        .flat_map(|left| {
            let asked = match Ask::decode(&left.bytes) {
                Ok(Ask::Hello { contact, .. }) => Some(contact),
                _ => None,
            };
            let replied = match Answer::decode(&left.bytes) {
                Ok(Answer::Joined(joined)) => Some(joined.contact),
                Ok(Answer::Hello { contact }) => Some(contact),
                _ => None,
            };
            asked.into_iter().chain(replied)
        })
        .collect();
    assert!(!contacts.is_empty());
    let from = table.machines[1].transport;
    let ask = Ask::Push {
        audience: Audience::Public,
        objects: contacts,
    };
    table.question(0, from, &ask);
    assert_eq!(table.mesh(0).silenced(), None);
}

#[test]
fn who_says_two_things_under_one_number_is_distrusted_until_they_expire() {
    let mut table = Table::fleet(3);
    let (fleet, liar) = (table.mesh(0).fleet().unwrap(), table.id(2));
    let topic = fleet.topics().remove(0);
    let key = table.keypair(2);
    let seq = table.now.millis() + 5;
    let from = table.machines[1].transport;
    for (who, expected) in [
        (EVIL, Standing::Sibling),
        (EVIL_TOO, Standing::Muted),
        ("5.9.1.3", Standing::Muted),
    ] {
        let seq = if who == "5.9.1.3" { seq + 1 } else { seq };
        let said = Report {
            slot: Slot::of(table.now),
            ttl_hours: 2,
            ..report(who, seq)
        };
        let said = sign(&key, Object::Report(said), fleet);
        let sealed = table
            .mesh(0)
            .fleet
            .as_ref()
            .unwrap()
            .secret
            .seal(said.bytes());
        table.frame(0, from, &topic, &sealed);
        assert_eq!(table.mesh(0).standing(liar), expected, "{who}");
    }
    assert!(
        table.machines[0]
            .notices
            .contains(&Notice::Equivocated(liar))
    );
    assert!(table.banned(0, EVIL).is_some());
    assert!(table.banned(0, EVIL_TOO).is_none() && table.banned(0, "5.9.1.3").is_none());
    table.run(HOUR * 2 + MINUTE * 2);
    assert_eq!(table.mesh(0).standing(liar), Standing::Sibling);
}

#[test]
fn one_retraction_and_one_report_with_the_same_number_are_a_lie_too() {
    let mut table = Table::fleet(2);
    let fleet = table.mesh(0).fleet().unwrap();
    let (key, liar) = (table.keypair(1), table.id(1));
    let from = table.machines[1].transport;
    let seq = table.now.millis() + 5;
    let slot = Slot::of(table.now);
    let said = Report {
        slot,
        ..report(EVIL, seq)
    };
    let retraction = Retraction {
        subject: subject(EVIL),
        family: Family::SSH_AUTH,
        slot,
        ttl_hours: 24,
        seq,
    };
    let objects = [Object::Report(said), Object::Retraction(retraction)];
    let objects = objects.map(|object| sign(&key, object, fleet).bytes().to_vec());
    let ask = Ask::Push {
        audience: fleet,
        objects: objects.to_vec(),
    };
    assert_eq!(table.question(0, from, &ask), Answer::Taken);
    assert_eq!(table.mesh(0).standing(liar), Standing::Muted);
}

#[test]
fn a_dead_key_is_silent_for_ever_and_everybody_hears_of_it() {
    for relation in [Relation::Friend, Relation::Fleet] {
        let mut table = Table::new(4);
        for other in [1, 2, 3] {
            table.pair(0, other, relation);
        }
        let dead = table.id(0);
        table.part(&[2], &[0, 1, 3]);
        table.run(SECOND);
        let bytes = certificate(&table, 0, None);
        assert_eq!(
            table.ask_mesh(0, MeshRequest::Kill(bytes.clone())),
            MeshAnswer::Done(true)
        );
        table.run(SECOND * 2);
        assert_eq!(table.mesh(0).silenced(), Some(Silenced::Dead));
        for n in [1, 3] {
            assert_eq!(
                table.mesh(n).standing(dead),
                Standing::Muted,
                "{relation:?}"
            );
            let notice = Notice::KeyDied {
                node: dead,
                successor: None,
            };
            assert!(table.machines[n].notices.contains(&notice));
        }
        // Who was away hears of it when it comes back.
        table.heal();
        table.run(MINUTE * 12);
        assert_eq!(
            table.mesh(2).standing(dead),
            Standing::Muted,
            "{relation:?}"
        );
        for n in 0..4 {
            table.restart(n);
        }
        table.run(MINUTE);
        assert_eq!(table.mesh(0).silenced(), Some(Silenced::Dead));
        for n in 1..4 {
            assert_eq!(
                table.mesh(n).standing(dead),
                Standing::Muted,
                "{relation:?}: {n}"
            );
        }
        let before = table.wire.len();
        table.detect(0, EVIL);
        table.run(MINUTE * 6);
        assert!(
            !table.wire[before..]
                .iter()
                .any(|left| left.from == 0 && left.how == How::Published)
        );
        assert!(table.banned(1, EVIL).is_none());
    }
}

#[test]
fn a_siblings_death_is_handed_on_by_the_others() {
    let mut table = Table::fleet(3);
    let dead = table.id(0);
    table.part(&[2], &[0, 1]);
    table.run(SECOND);
    let bytes = certificate(&table, 0, None);
    table.ask_mesh(0, MeshRequest::Kill(bytes));
    table.run(SECOND * 2);
    table.kill(0);
    table.heal();
    table.run(MINUTE);
    assert_eq!(table.mesh(2).standing(dead), Standing::Muted);
}

#[test]
fn a_certificate_that_is_none_kills_nobody() {
    let mut table = Table::new(2);
    table.pair(0, 1, Relation::Friend);
    let bytes = certificate(&table, 0, None);
    for at in [0, 1, 40, bytes.len() - 1] {
        let mut bent = bytes.clone();
        bent[at] ^= 1;
        let answer = table.ask_mesh(0, MeshRequest::Kill(bent));
        assert_eq!(answer, MeshAnswer::Done(false), "byte {at}");
    }
    assert_eq!(table.mesh(0).silenced(), None);
}

#[test]
fn strangers_deaths_fill_no_book() {
    let mut table = Table::new(2);
    table.share(0, Consent::BOTH);
    let from = table.machines[1].transport;
    let kept = table.machines[0].disk.len();
    for n in 0..300_u32 {
        let mut secret = [0x77; 32];
        secret[..4].copy_from_slice(&n.to_le_bytes());
        let kill = Object::Kill(Kill {
            issued: Minute::of(NOW),
            successor: None,
        });
        let said = sign(&Keypair::from_secret(&secret), kill, Audience::Public);
        let topic = Audience::Public.topic(said.object().channel(), 1);
        table.frame(0, from, &topic, said.bytes());
        table.now = table.now + SECOND;
    }
    assert_eq!(table.machines[0].disk.len(), kept);
}

/// Whatever is on disk when it dies, no number is given twice.
#[test]
fn numbers_never_repeat_whenever_it_dies() {
    let mut persisted = 0;
    let mut given = BTreeSet::new();
    let mut now = NOW;
    for life in 0_u64..40 {
        let identity = Identity {
            keypair: Keypair::from_secret(&[5; 32]),
            transport: TransportId::from_bytes([6; 32]),
            name: String::new(),
            host: String::new(),
            sequence: persisted,
        };
        let mut mesh = Mesh::new(identity, MeshLimits::default(), life, now);
        let mut effects = mesh.start(now);
        // Without an address there is no invitation; the fleet is there all the same.
        mesh.enter_fleet([2; 32], 1, now, &mut effects);
        for step in 0..30 {
            // Also while the clock stands still, or is put back.
            now = match (life + step) % 7 {
                0 => now + SECOND * 40,
                1 if life % 3 == 0 => now - SECOND * 90,
                _ => now,
            };
            let seen = Seen {
                subject: subject(EVIL),
                family: Family::SSH_AUTH,
                rule: RuleHash([7; 8]),
                evidence: Evidence::Handshake,
                count: 5,
                at: now,
                until: now + HOUR,
                others_until: None,
            };
            effects.extend(mesh.saw(&seen, now));
        }
        // It dies somewhere on the way: what was not done by then is lost, in order.
        let dies_at = usize::try_from(life * 7).unwrap() % (effects.len() + 1);
        for effect in effects.into_iter().take(dies_at) {
            match effect {
                Effect::Save(Kept::Sequence(seq)) => persisted = seq,
                Effect::Net(Net::Publish { bytes, .. }) => {
                    let plain = mesh.fleet.as_ref().unwrap().secret.open(&bytes).unwrap();
                    let signed = Signed::parse(&plain, mesh.fleet().unwrap()).unwrap();
                    let seq = match signed.unverified() {
                        Object::Report(report) => report.seq,
                        Object::Contact(Contact { seq, .. }) => *seq,
                        other => panic!("{other:?}"),
                    };
                    assert!(seq <= persisted, "said before it was reserved");
                    assert!(given.insert(seq), "life {life} gives {seq} again");
                }
                _ => {}
            }
        }
    }
    assert!(given.len() > 200);
}

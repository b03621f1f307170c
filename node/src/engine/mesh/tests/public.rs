//! What the public hears of this machine: nothing before the operator says so, late, and no more than it must.

use lymph_protocol::digest::Epoch;

use super::*;

const PUBLISH: Consent = Consent {
    publish: true,
    consume: false,
};
const CONSUME: Consent = Consent {
    publish: false,
    consume: true,
};
const NOTHING: Consent = Consent {
    publish: false,
    consume: false,
};

/// Strangers, all connected, all in the public mesh; the first `friends` of the others are friends of 0.
fn public(machines: usize, friends: usize) -> Table {
    let mut table = Table::new(machines);
    for friend in 1..=friends {
        table.pair(0, friend, Relation::Friend);
    }
    for n in 0..machines {
        table.share(n, Consent::BOTH);
        for other in 0..n {
            table.connect(n, other);
        }
    }
    table.run(MINUTE);
    table
}

/// A decision because of what others say, as a later policy may make it.
fn block_for_others(table: &mut Table, n: usize, who: &str, length: Duration) {
    let decision = Decision {
        id: super::super::super::decision::DetectionId(5),
        target: target(who),
        kind: Kind::Ban,
        origin: Origin::Mesh,
        reason: "others".into(),
        since: table.now,
        until: table.now + length,
        step: 0,
    };
    let mut actions = Vec::new();
    let engine = table.machines[n].engine.as_mut().unwrap();
    engine.decide(decision, &mut actions);
    table.act(n, &actions);
}

#[test]
fn nothing_is_published_before_the_operator_says_so() {
    for (consent, expected) in [
        (None, false),
        (Some(NOTHING), false),
        (Some(CONSUME), false),
        (Some(PUBLISH), true),
        (Some(Consent::BOTH), true),
    ] {
        let mut table = Table::new(3);
        table.pair(0, 1, Relation::Friend);
        if let Some(consent) = consent {
            table.share(0, consent);
        }
        table.share(2, Consent::BOTH);
        table.connect(0, 2);
        table.detect(0, EVIL);
        table.run(MINUTE * 6);
        // A friend asks for everything.
        let from = table.machines[1].transport;
        let author = table.id(0);
        let ask = Ask::Digest {
            audience: Audience::Public,
            author,
            after: Epoch(0),
        };
        table.question(0, from, &ask);
        table.run(HOUR * 2);
        table.question(0, from, &ask);
        table.run(MINUTE);
        let said = table.published(0, Audience::Public);
        assert_eq!(!said.is_empty(), expected, "{consent:?}: {said:?}");
        let heard = table.mesh(2).shelf().about(subject(EVIL)).count();
        assert_eq!(heard, usize::from(expected), "{consent:?}");
    }
}

#[test]
fn the_public_hears_half_a_minute_to_five_later() {
    let mut table = public(2, 0);
    let mut delays = Vec::new();
    for i in 0..60 {
        let who = format!("5.9.1.{i}");
        let at = table.now;
        table.detect(0, &who);
        table.run(MINUTE * 6);
        let said = table.public_reports(0);
        let (when, _) = said
            .into_iter()
            .find(|(_, about)| *about == subject(&who))
            .expect("it was said");
        delays.push(when.since(at));
    }
    let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
    assert!(
        *least >= SECOND * 30 && *most <= SECOND * 300,
        "{least:?} to {most:?}"
    );
    assert!(*most > *least + MINUTE * 2, "it is drawn");
}

#[test]
fn two_known_nodes_make_it_no_secret_and_strangers_do_not() {
    for (friends, reporters, at_once) in [
        (2, vec![1, 2], true),
        (2, vec![1], false),
        (0, vec![1, 2], false),
        (1, vec![1, 2, 3], false),
    ] {
        for before in [false, true] {
            let mut table = public(4, friends);
            if !before {
                table.detect(0, EVIL);
            }
            for reporter in &reporters {
                // They say so whenever they like.
                let said = Object::Report(Report {
                    slot: Slot::of(table.now),
                    ..report(EVIL, table.now.millis() + 1)
                });
                let said = sign(&table.keypair(*reporter), said, Audience::Public);
                let topic = Audience::Public.topic(said.object().channel(), 1);
                let from = table.machines[*reporter].transport;
                let verdict = table.frame(0, from, &topic, said.bytes());
                assert_eq!(verdict, Judgement::Accept);
            }
            if before {
                table.detect(0, EVIL);
            }
            table.run(SECOND * 2);
            let is_said = !table.public_reports(0).is_empty();
            assert_eq!(
                is_said, at_once,
                "{friends} friends, {reporters:?}, {before}"
            );
        }
    }
}

#[test]
fn what_others_block_anyway_is_said_when_that_lapses() {
    for company in [false, true] {
        let mut table = public(3, 2);
        block_for_others(&mut table, 0, EVIL, MINUTE * 50);
        table.detect(0, EVIL);
        if company {
            for reporter in 1..3 {
                let said = Object::Report(Report {
                    slot: Slot::of(table.now),
                    ..report(EVIL, table.now.millis() + 1)
                });
                let said = sign(&table.keypair(reporter), said, Audience::Public);
                let topic = Audience::Public.topic(said.object().channel(), 1);
                let from = table.machines[reporter].transport;
                table.frame(0, from, &topic, said.bytes());
            }
        }
        table.run(MINUTE * 49);
        assert!(
            table.public_reports(0).is_empty(),
            "too early, company {company}"
        );
        table.run(MINUTE * 6);
        assert_eq!(table.public_reports(0).len(), 1, "company {company}");
    }
}

#[test]
fn what_is_due_together_is_signed_together() {
    let mut table = public(2, 0);
    for i in 0..100 {
        block_for_others(&mut table, 0, &format!("5.9.1.{i}"), HOUR);
        table.detect(0, &format!("5.9.1.{i}"));
    }
    let others = [("5.9.8.1", "http:scan"), ("5.9.8.2", "http:bruteforce")];
    for (who, behavior) in others {
        block_for_others(&mut table, 0, who, HOUR);
        table.detect_as(0, who, "test/web", behavior);
    }
    table.run(HOUR * 2);
    let said = table.published(0, Audience::Public);
    let mut sizes: Vec<_> = said
        .iter()
        .map(|(_, object)| object.reports().len())
        .filter(|reports| *reports > 0)
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [2, 36, 64]);
    assert_eq!(table.mesh(1).shelf().by(table.id(0)).count(), 102);
}

#[test]
fn what_was_said_wrongly_is_taken_back_where_it_was_said() {
    for (wait, expected) in [(MINUTE * 6, 1), (SECOND, 0)] {
        let mut table = public(2, 0);
        let (text, _) = table.invite(0, Relation::Fleet, 1, MINUTE * 10);
        drop(text);
        table.detect(0, EVIL);
        table.run(wait);
        let which = Selection {
            target: Some(target(EVIL)),
            ..Selection::default()
        };
        let lift = Request::Lift {
            which,
            false_positive: true,
        };
        table.ask(0, lift);
        table.run(MINUTE * 6);
        let said = table.published(0, Audience::Public);
        let retracted = said
            .iter()
            .filter(|(_, object)| matches!(object, Object::Retraction(_)))
            .count();
        assert_eq!(retracted, expected, "after {wait:?}");
        assert_eq!(table.public_reports(0).len(), expected, "after {wait:?}");
        let live = table.mesh(1).shelf().about(subject(EVIL));
        assert!(live.into_iter().all(|(_, live)| live.is_retracted));
    }
}

fn digest(table: &mut Table, from: usize, after: u32) -> Option<lymph_protocol::digest::Digest> {
    let from = table.machines[from].transport;
    let author = table.id(0);
    let ask = Ask::Digest {
        audience: Audience::Public,
        author,
        after: Epoch(after),
    };
    let objects = match table.question(0, from, &ask) {
        Answer::Objects { objects, .. } => objects,
        // It knows nobody any more.
        _ => return None,
    };
    let signed = Signed::parse(objects.first()?, Audience::Public).unwrap();
    match signed.unverified() {
        Object::Digest(digest) => Some(digest.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_digest_is_made_once_an_hour_and_is_the_same_for_everybody() {
    let mut table = public(3, 0);
    table.pair(0, 1, Relation::Friend);
    table.pair(0, 2, Relation::Friend);
    assert_eq!(digest(&mut table, 1, 0), None, "of the hour of the start");
    table.run(HOUR);
    table.detect(0, EVIL);
    table.run(MINUTE * 6);
    let first = digest(&mut table, 1, 0).unwrap();
    assert_eq!(first.reports.len(), 1);
    table.detect(0, EVIL_TOO);
    table.run(MINUTE * 6);
    let second = digest(&mut table, 2, 0).unwrap();
    assert_eq!(first, second);
    assert_eq!(digest(&mut table, 2, first.epoch.0), None, "known already");
    table.restart(0);
    table.run(SECOND);
    if let Some(third) = digest(&mut table, 2, 0) {
        assert_eq!(first, third);
    }
    // Even if everything but the number is lost.
    table.machines[0].disk.clear();
    table.restart(0);
    table.share(0, Consent::BOTH);
    if let Some(fourth) = digest(&mut table, 2, 0) {
        assert_eq!(first, fourth);
    }
}

#[test]
fn unlisted_vouches_are_never_told() {
    for is_listed in [true, false] {
        let mut table = public(3, 1);
        let friend = table.id(1);
        let request = MeshRequest::Vouch {
            node: friend,
            weight: VouchWeight::ONE,
            is_listed: false,
        };
        if !is_listed {
            // Unlisted from the beginning: an acquaintance who is vouched for by hand.
            table = Table::new(3);
            let request = MeshRequest::Vouch {
                node: table.id(1),
                weight: VouchWeight::ONE,
                is_listed: false,
            };
            assert_eq!(table.ask_mesh(0, request), MeshAnswer::Done(true));
            for n in 0..3 {
                table.share(n, Consent::BOTH);
                for other in 0..n {
                    table.connect(n, other);
                }
            }
            table.run(MINUTE * 12);
        } else {
            drop(request);
        }
        let (author, subject) = (table.id(0), table.id(1));
        let is_vouch = |bytes: &[u8]| {
            Signed::parse(bytes, Audience::Public).is_ok_and(|signed| {
                signed.author() == author
                    && matches!(signed.unverified(), Object::Vouch(vouch) if vouch.subject == subject)
            })
        };
        let said = table.published(0, Audience::Public);
        let is_said = said
            .iter()
            .any(|(_, object)| matches!(object, Object::Vouch(vouch) if vouch.subject == subject));
        let stranger = table.machines[2].transport;
        let ask = Ask::Vouches {
            audience: Audience::Public,
            cursor: 0,
        };
        let Answer::Objects { objects, .. } = table.question(0, stranger, &ask) else {
            panic!("refused");
        };
        let is_given = objects.iter().any(|bytes| is_vouch(bytes));
        let reconciled = table
            .mesh(2)
            .shelf()
            .of_kind(Audience::Public, lymph_protocol::signed::Kind::Vouch)
            .any(|(_, bytes)| is_vouch(bytes));
        assert_eq!(
            (is_said, is_given, reconciled),
            (is_listed, is_listed, is_listed)
        );
        // Nor is it told when it is taken back.
        let before = table.published(0, Audience::Public).len();
        assert_eq!(
            table.ask_mesh(0, MeshRequest::Revoke(subject)),
            MeshAnswer::Done(true)
        );
        table.run(MINUTE * 12);
        let after = table.published(0, Audience::Public).len();
        assert_eq!(after > before, is_listed);
        let Answer::Objects { objects, .. } = table.question(0, stranger, &ask) else {
            panic!("refused");
        };
        let is_revoked = objects.iter().any(|bytes| {
            Signed::parse(bytes, Audience::Public)
                .is_ok_and(|signed| matches!(signed.unverified(), Object::Revocation(_)))
        });
        assert_eq!(is_revoked, is_listed);
    }
}

#[test]
fn an_unlisted_vouch_still_reaches_whom_it_is_for() {
    let mut table = Table::new(2);
    table.pair(0, 1, Relation::Friend);
    let request = MeshRequest::Vouch {
        node: table.id(1),
        weight: VouchWeight(5_000),
        is_listed: false,
    };
    table.run(MINUTE);
    table.ask_mesh(0, request);
    table.run(MINUTE);
    let newest = table
        .mesh(1)
        .shelf()
        .of_kind(Audience::Public, lymph_protocol::signed::Kind::Vouch)
        .count();
    assert_eq!(newest, 0, "and is told to nobody there either");
    assert!(
        table
            .mesh(1)
            .known()
            .all(|(_, known)| known.vouches_until.is_some())
    );
}

#[test]
fn share_off_drops_what_waits() {
    let mut table = public(2, 0);
    table.detect(0, EVIL);
    assert_eq!(table.mesh(0).waiting().count(), 1);
    table.share(0, CONSUME);
    assert_eq!(table.mesh(0).waiting().count(), 0);
    table.run(MINUTE * 6);
    table.share(0, Consent::BOTH);
    table.run(MINUTE * 6);
    assert!(table.public_reports(0).is_empty());
    table.share(0, NOTHING);
    assert!(
        table.machines[0]
            .topics
            .iter()
            .all(|topic| !topic.contains("public"))
    );
}

#[test]
fn what_is_protected_or_unsure_is_not_said() {
    let mut table = public(2, 0);
    for (who, behavior) in [
        ("192.0.2.1", "ssh:bruteforce"),
        ("10.1.2.3", "ssh:bruteforce"),
        (EVIL, "something:else"),
    ] {
        table.detect_as(0, who, "test/any", behavior);
    }
    table.run(MINUTE * 6);
    assert!(table.public_reports(0).is_empty());
}

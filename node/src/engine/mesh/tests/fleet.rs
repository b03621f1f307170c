//! One operator's machines: what happens on one happens on all, and nobody else has a say.

use lymph_protocol::word::Wish;

use super::super::super::allowlist::{Allowed, Entry};
use super::super::super::breaker::Budget;
use super::*;

fn entry(what: &str) -> Entry {
    Entry {
        what: what.parse().unwrap(),
        reason: "ours".into(),
        since: NOW,
        addresses: Vec::new(),
    }
}

fn allow(table: &mut Table, n: usize, what: &str) {
    let request = Request::Allow(entry(what));
    table.ask(n, Request::Everywhere(Box::new(request)));
}

fn allows(table: &Table, n: usize, what: &str) -> bool {
    let what: Allowed = what.parse().unwrap();
    table.engine(n).allowlist().get(&what).is_some()
}

fn enforce(table: &mut Table, n: usize, is_on: bool) {
    let answer = table.ask_mesh(n, MeshRequest::Enforce(is_on));
    assert!(
        matches!(answer, MeshAnswer::Told { siblings: 2, .. }),
        "{answer:?}"
    );
}

#[test]
fn what_one_detects_all_ban_and_no_longer_than_it() {
    for offset in [0, 1, 149, 299] {
        let mut table = Table::fleet(3);
        table.run(Duration::from_secs(
            600 - table.now.since(NOW).as_secs() + offset,
        ));
        table.detect(0, EVIL);
        let own = table.banned(0, EVIL).unwrap();
        table.run(SECOND);
        for n in 1..3 {
            let heard = table.banned(n, EVIL).expect("banned within a second");
            assert!(heard <= own, "{offset}: {heard} > {own}");
            assert!(heard + MINUTE * 5 >= own, "{offset}: {heard} << {own}");
        }
        table.run(HOUR + MINUTE);
        assert_eq!(table.all_banned(EVIL), [false; 3]);
    }
}

#[test]
fn a_longer_ban_is_not_made_longer_still() {
    let mut table = Table::new(0);
    for _ in 0..2 {
        table.add(MeshLimits::default());
    }
    table.pair(0, 1, Relation::Fleet);
    for minutes in [60, 89, 90, 91, 119, 150, 60 * 24 + 40] {
        let who = format!("5.9.2.{}", minutes % 250);
        let seen = Seen {
            subject: subject(&who),
            family: Family::SSH_AUTH,
            rule: RuleHash([7; 8]),
            evidence: Evidence::Handshake,
            count: 5,
            at: table.now,
            until: table.now + MINUTE * minutes,
            others_until: None,
        };
        let now = table.now;
        let mut actions = Vec::new();
        let engine = table.machines[0].engine.as_mut().unwrap();
        engine.with_mesh(now, &mut actions, |mesh| mesh.saw(&seen, now));
        table.act(0, &actions);
        table.run(SECOND);
        let heard = table.banned(1, &who).unwrap();
        assert!(heard <= seen.until, "{minutes} minutes: {heard}");
    }
}

#[test]
fn an_unban_everywhere_holds_whatever_comes_late() {
    for (restart, skew) in [(false, 0), (true, 0), (true, 45)] {
        let mut table = Table::fleet(2);
        // The clock of the one that saw it may be ahead.
        let ahead = table.now + Duration::from_secs(skew);
        table.machines[0]
            .engine
            .as_mut()
            .unwrap()
            .mesh
            .as_mut()
            .unwrap()
            .last_seq = ahead.millis();
        table.detect(0, EVIL);
        table.run(SECOND);
        assert_eq!(table.all_banned(EVIL), [true, true]);
        let report = table
            .published(0, table.mesh(0).fleet().unwrap())
            .into_iter()
            .any(|(_, object)| !object.reports().is_empty());
        assert!(report);
        table.unban(1, EVIL, false);
        table.run(SECOND);
        assert_eq!(table.all_banned(EVIL), [false, false]);
        if restart {
            table.restart(1);
        } else {
            table.part(&[0], &[1]);
            table.run(MINUTE);
            table.heal();
        }
        table.run(MINUTE * 12);
        assert_eq!(
            table.all_banned(EVIL),
            [false, false],
            "restart {restart}, {skew} s ahead"
        );
        assert!(
            table.mesh(1).shelf().about(subject(EVIL)).next().is_some(),
            "it is known, and means nothing"
        );
        // A new one is a new matter.
        table.run(MINUTE);
        table.detect(0, EVIL);
        table.run(SECOND);
        assert_eq!(table.all_banned(EVIL), [true, true]);
    }
}

#[test]
fn a_false_positive_is_taken_back_by_who_said_it() {
    for on in [0, 1] {
        let mut table = Table::fleet(3);
        table.detect(0, EVIL);
        table.run(SECOND);
        assert_eq!(table.all_banned(EVIL), [true; 3]);
        table.unban(on, EVIL, true);
        table.run(SECOND);
        assert_eq!(table.all_banned(EVIL), [false; 3]);
        let fleet = table.mesh(0).fleet().unwrap();
        let retracted = table
            .published(0, fleet)
            .into_iter()
            .filter(|(_, object)| matches!(object, Object::Retraction(_)))
            .count();
        assert_eq!(retracted, 1, "unban on {on}");
        for n in 0..3 {
            let live = table.mesh(n).shelf().about(subject(EVIL));
            assert!(live.into_iter().all(|(_, live)| live.is_retracted), "{n}");
        }
    }
}

#[test]
fn a_retraction_leaves_what_another_sibling_says() {
    let mut table = Table::fleet(3);
    table.detect(0, EVIL);
    table.detect(1, EVIL);
    table.run(SECOND);
    // The operator takes it back on one machine only.
    let which = Selection {
        target: Some(target(EVIL)),
        ..Selection::default()
    };
    let request = Request::Lift {
        which,
        false_positive: true,
    };
    table.ask(0, request);
    table.run(SECOND);
    assert_eq!(table.all_banned(EVIL), [false, true, true]);
}

#[test]
fn the_allowlist_is_one_list() {
    let mut table = Table::new(4);
    // Both sides of a pairing bring theirs.
    for (n, what) in [(0, "45.1.0.0/24"), (1, "45.2.0.0/24")] {
        table.ask(n, Request::Allow(entry(what)));
    }
    table.pair(0, 1, Relation::Fleet);
    table.run(SECOND * 5);
    for n in 0..2 {
        assert!(
            allows(&table, n, "45.1.0.0/24") && allows(&table, n, "45.2.0.0/24"),
            "{n}"
        );
    }
    table.detect(0, EVIL);
    table.run(SECOND);
    allow(&mut table, 1, EVIL);
    table.run(SECOND);
    assert_eq!(table.all_banned(EVIL), [false; 4]);
    assert!(allows(&table, 0, EVIL));
    // Newcomers, through either of the two.
    table.pair(1, 2, Relation::Fleet);
    table.pair(0, 3, Relation::Fleet);
    table.run(SECOND * 5);
    for n in 0..4 {
        for what in [EVIL, "45.1.0.0/24", "45.2.0.0/24"] {
            assert!(allows(&table, n, what), "{n}: {what}");
        }
    }
    table.detect(2, EVIL);
    table.run(SECOND);
    assert_eq!(table.all_banned(EVIL), [false; 4]);
    let off = Request::Disallow(EVIL.parse().unwrap());
    table.ask(3, Request::Everywhere(Box::new(off)));
    table.run(SECOND);
    assert!((0..4).all(|n| !allows(&table, n, EVIL)));
}

#[test]
fn of_panic_and_resume_the_newest_holds() {
    let mut table = Table::fleet(3);
    enforce(&mut table, 0, false);
    table.run(SECOND);
    assert_eq!(
        (1..3)
            .map(|n| table.machines[n].enforce.clone())
            .collect::<Vec<_>>(),
        [vec![false], vec![false]]
    );
    // One is away while all is well again.
    table.part(&[2], &[0, 1]);
    table.run(SECOND);
    enforce(&mut table, 1, true);
    table.run(SECOND);
    assert_eq!(table.machines[0].enforce, [true]);
    table.heal();
    table.run(MINUTE);
    assert_eq!(table.machines[2].enforce, [false, true]);
    // Everything once more, and after a restart.
    table.restart(2);
    table.run(MINUTE * 12);
    assert_eq!(table.machines[2].enforce, [false, true]);
}

#[test]
fn an_old_panic_that_comes_late_does_nothing() {
    let mut table = Table::fleet(3);
    table.part(&[0], &[1, 2]);
    table.run(SECOND);
    enforce(&mut table, 0, false);
    table.run(SECOND);
    enforce(&mut table, 1, true);
    table.run(SECOND);
    table.heal();
    table.run(MINUTE);
    assert!(
        table.machines[1].enforce.is_empty(),
        "its own word is newer"
    );
    assert_eq!(table.machines[2].enforce, [true]);
    assert_eq!(table.machines[0].enforce, [true]);
}

#[test]
fn a_word_follows_whatever_clock_the_last_one_had() {
    // The first one's numbers run ahead, as after a restart: they are reserved a minute at a time.
    let mut table = Table::fleet(3);
    let ahead = table.now.millis() + 50_000;
    table.machines[0]
        .engine
        .as_mut()
        .unwrap()
        .mesh
        .as_mut()
        .unwrap()
        .last_seq = ahead;
    enforce(&mut table, 0, false);
    table.run(SECOND);
    enforce(&mut table, 1, true);
    table.run(SECOND);
    assert_eq!(table.machines[0].enforce, [true]);
    assert_eq!(table.machines[2].enforce, [false, true]);
}

#[test]
fn an_operators_ban_is_everywhere_but_where_it_would_hit_the_protected() {
    let mut table = Table::fleet(2);
    table.ask(1, Request::Allow(entry(EVIL_TOO)));
    for who in [EVIL, EVIL_TOO, "5.10.0.0/16"] {
        let ban = Ban {
            id: super::super::super::decision::DetectionId(7),
            origin: Origin::Operator,
            force: false,
            wishes: vec![BanWish {
                target: target(who),
                kind: Kind::Ban,
                length: HOUR * 3,
                reason: "because".into(),
            }],
        };
        table.ask(0, Request::Everywhere(Box::new(Request::Ban(ban))));
    }
    table.run(SECOND);
    assert_eq!(table.all_banned(EVIL), [true, true]);
    assert_eq!(table.all_banned("5.10.0.0/16"), [true, true]);
    assert_eq!(table.all_banned(EVIL_TOO), [true, false]);
    let until = table.banned(0, EVIL).unwrap();
    let heard = table.banned(1, EVIL).unwrap();
    assert!(heard <= until + SECOND && heard + MINUTE > until);
}

#[test]
fn who_is_expelled_hears_nothing_any_more_and_all_others_do() {
    for restart in [false, true] {
        let mut table = Table::fleet(4);
        // 3 is away when 2 has to go.
        table.part(&[3], &[0, 1, 2]);
        table.run(SECOND);
        let gone = table.id(2);
        let answer = table.ask_mesh(0, MeshRequest::Expel(gone, [0xee; 32]));
        assert_eq!(answer, MeshAnswer::Done(true));
        table.run(SECOND * 5);
        assert_eq!(table.mesh(0).fleet(), table.mesh(1).fleet());
        assert_ne!(table.mesh(0).fleet(), table.mesh(2).fleet());
        assert!(
            table.mesh(1).known().all(|(node, _)| node != gone),
            "the others have heard at once that it is gone"
        );
        if restart {
            table.restart(0);
            table.run(SECOND);
        }
        table.heal();
        table.run(SECOND * 5);
        assert_eq!(
            table.mesh(0).fleet(),
            table.mesh(3).fleet(),
            "restart {restart}"
        );
        table.run(MINUTE * 11);
        assert!(table.mesh(3).known().all(|(node, _)| node != gone));
        let before = table.wire.len();
        table.detect(0, EVIL);
        table.detect(1, EVIL_TOO);
        table.run(MINUTE * 11);
        for who in [EVIL, EVIL_TOO] {
            assert_eq!(table.all_banned(who), [true, true, false, true]);
        }
        table.detect(2, "5.9.7.7");
        table.run(MINUTE * 11);
        assert_eq!(table.all_banned("5.9.7.7"), [false, false, true, false]);
        let told = table.wire[before..]
            .iter()
            .filter(|left| left.to == Some(2) && left.how == How::Replied)
            .filter(|left| {
                !matches!(
                    Answer::decode(&left.bytes),
                    Ok(Answer::Refused(_) | Answer::Hello { .. })
                )
            })
            .count();
        assert_eq!(told, 0, "it is answered nothing");
    }
}

fn ban(table: &mut Table, n: usize, who: &str) {
    let ban = Ban {
        id: super::super::super::decision::DetectionId(7),
        origin: Origin::Operator,
        force: false,
        wishes: vec![BanWish {
            target: target(who),
            kind: Kind::Ban,
            length: HOUR * 3,
            reason: "because".into(),
        }],
    };
    table.ask(n, Request::Everywhere(Box::new(Request::Ban(ban))));
}

#[test]
fn what_was_said_under_the_old_secret_is_heard_under_the_new_one() {
    for restart in [false, true] {
        let mut table = Table::fleet(4);
        for who in ["5.9.8.1", "5.9.8.2", "5.9.8.3"] {
            ban(&mut table, 1, who);
            table.run(SECOND);
        }
        // 3 is away while much is said, and says something itself.
        table.part(&[3], &[0, 1, 2]);
        table.run(SECOND);
        ban(&mut table, 1, EVIL);
        table.run(SECOND);
        ban(&mut table, 0, EVIL_TOO);
        table.unban(1, "5.9.8.1", false);
        table.unban(0, "5.9.8.2", false);
        allow(&mut table, 1, "45.1.0.0/24");
        table.unban(3, "5.9.8.3", false);
        let over = Duration::from_secs(if restart { 3 * 60 * 60 } else { 0 });
        table.run(MINUTE);
        let gone = table.id(2);
        table.ask_mesh(0, MeshRequest::Expel(gone, [0xee; 32]));
        table.run(SECOND * 5);
        // What was lifted by word may be banned again by one, and that holds.
        ban(&mut table, 1, "5.9.8.2");
        table.run(SECOND * 5);
        if restart {
            for n in [0, 1, 3] {
                table.restart(n);
            }
            table.run(over);
        }
        table.heal();
        table.run(MINUTE);
        assert_eq!(table.mesh(3).fleet(), table.mesh(0).fleet());
        for n in [0, 1, 3] {
            assert!(allows(&table, n, "45.1.0.0/24"), "{n}");
            for (who, is_banned) in [
                (EVIL, true),
                (EVIL_TOO, true),
                ("5.9.8.1", false),
                ("5.9.8.2", true),
                ("5.9.8.3", false),
            ] {
                // Three hours later all of that is over.
                let expected = is_banned && !restart;
                assert_eq!(table.banned(n, who).is_some(), expected, "{n}: {who}");
            }
        }
        let ends = [0, 1, 3].map(|n| table.banned(n, EVIL).map(|end| end.secs() / 90));
        assert!(
            ends.iter().all(|end| *end == ends[0]),
            "{ends:?}: as long as it was said for"
        );
        assert_eq!(table.mesh(0).away.len(), 1);
    }
}

#[test]
fn who_was_sent_away_stays_away_after_restarts() {
    for restart in [false, true] {
        let mut table = Table::fleet(5);
        table.part(&[0, 3, 4], &[1, 2]);
        table.run(SECOND);
        // Each of the two learns the secret that the other side makes.
        for (n, gone, secret) in [(0, 2, [0xee; 32]), (1, 3, [0xdd; 32])] {
            let gone = table.id(gone);
            let answer = table.ask_mesh(n, MeshRequest::Expel(gone, secret));
            assert_eq!(answer, MeshAnswer::Done(true));
        }
        table.run(SECOND * 5);
        assert_eq!(table.mesh(3).fleet(), table.mesh(0).fleet());
        assert_eq!(table.mesh(2).fleet(), table.mesh(1).fleet());
        if restart {
            for n in 0..5 {
                table.restart(n);
            }
        }
        table.heal();
        table.run(MINUTE);
        let fleet = table.mesh(0).fleet();
        for n in [1, 4] {
            assert_eq!(table.mesh(n).fleet(), fleet, "{n}, restart {restart}");
        }
        for n in [2, 3] {
            assert_ne!(table.mesh(n).fleet(), fleet, "{n}, restart {restart}");
        }
        table.detect(4, EVIL);
        table.run(SECOND * 2);
        let expected = [true, true, false, false, true];
        assert_eq!(table.all_banned(EVIL), expected, "restart {restart}");
    }
}

#[test]
fn of_two_secrets_of_the_same_millisecond_all_take_one() {
    for (first, second) in [(0xee, 0xdd), (0xdd, 0xee)] {
        let mut table = Table::fleet(5);
        table.run(MINUTE);
        let gone = table.id(4);
        for (n, secret) in [(0, first), (1, second)] {
            let answer = table.ask_mesh(n, MeshRequest::Expel(gone, [secret; 32]));
            assert_eq!(answer, MeshAnswer::Done(true));
        }
        let epoch = |n: usize| table.mesh(n).fleet.as_ref().unwrap().epoch;
        assert_eq!(epoch(0), epoch(1));
        assert_ne!(table.mesh(0).fleet(), table.mesh(1).fleet());
        table.run(SECOND * 5);
        for n in 1..4 {
            assert_eq!(table.mesh(n).fleet(), table.mesh(0).fleet(), "{n}");
        }
        table.detect(3, EVIL);
        table.run(SECOND * 2);
        assert_eq!(table.all_banned(EVIL), [true, true, true, true, false]);
    }
}

#[test]
fn who_leaves_is_one_of_them_no_longer_and_may_come_back() {
    let mut table = Table::fleet(3);
    let fleet = table.mesh(0).fleet().unwrap();
    let leaver = table.id(2);
    assert_eq!(
        table.ask_mesh(2, MeshRequest::Leave(fleet)),
        MeshAnswer::Done(true)
    );
    table.run(SECOND * 2);
    assert_eq!(
        (table.mesh(2).fleet(), table.mesh(2).known().count()),
        (None, 0)
    );
    for n in 0..2 {
        assert!(table.mesh(n).known().all(|(node, _)| node != leaver), "{n}");
    }
    table.detect(0, EVIL);
    table.detect(2, EVIL_TOO);
    table.run(SECOND * 2);
    assert_eq!(table.all_banned(EVIL), [true, true, false]);
    assert_eq!(table.all_banned(EVIL_TOO), [false, false, true]);
    table.pair(0, 2, Relation::Fleet);
    table.run(MINUTE * 11);
    for n in 0..3 {
        assert_eq!(table.mesh(n).known().count(), 2, "{n}");
    }
    table.detect(2, "5.9.3.3");
    table.run(SECOND * 2);
    assert_eq!(table.all_banned("5.9.3.3"), [true; 3]);
}

#[test]
fn a_mad_sibling_bans_no_more_than_its_budget() {
    let mut table = Table::new(0);
    for _ in 0..2 {
        table.add(MeshLimits::default());
    }
    table.machines[1].settings.budget = Some(Budget {
        per_minute: 2,
        burst: 5,
    });
    table.restart(1);
    table.pair(0, 1, Relation::Fleet);
    for i in 0..40 {
        table.detect(0, &format!("5.9.1.{i}"));
    }
    table.run(SECOND * 2);
    assert_eq!(table.engine(0).decisions().len(), 40);
    let (banned, held) = (
        table.engine(1).decisions().len(),
        table.engine(1).held().len(),
    );
    assert_eq!(banned + held, 40);
    assert!((5..=6).contains(&banned), "{banned} of {held}");
    // Its own detections are not charged to it.
    table.detect(1, EVIL_TOO);
    assert!(table.banned(1, EVIL_TOO).is_some());
}

#[test]
fn nobody_who_is_protected_is_banned_for_a_siblings_word() {
    let mut table = Table::fleet(3);
    table.ask(1, Request::Allow(entry("5.9.4.0/24")));
    // Somebody has logged in on 1 from there.
    let now = table.now;
    let engine = table.machines[1].engine.as_mut().unwrap();
    let mut actions = Vec::new();
    engine.logged_in("5.9.5.5".parse().unwrap(), "ssh", now, &mut actions);
    let sibling = table.machines[2].address.clone();
    for (who, expected) in [
        ("5.9.4.4", [true, false, true]),
        ("5.9.5.5", [true, false, true]),
        (sibling.as_str(), [false, false, true]),
    ] {
        table.detect(0, who);
        if who == sibling {
            table.detect(2, who);
        }
        table.run(SECOND);
        assert_eq!(table.all_banned(who), expected, "{who}");
    }
    assert_eq!(table.engine(1).held().len(), 1, "the familiar one is held");
}

#[test]
fn a_friend_who_becomes_a_sibling_is_protected_as_one() {
    let mut table = Table::new(2);
    table.pair(0, 1, Relation::Friend);
    table.pair(0, 1, Relation::Fleet);
    let address = table.machines[1].address.clone();
    table.detect(0, &address);
    assert_eq!(table.banned(0, &address), None);
}

#[test]
fn nobody_but_a_sibling_has_anybody_banned() {
    let mut table = Table::new(5);
    table.pair(0, 1, Relation::Friend);
    table.pair(0, 2, Relation::Circle);
    table.pair(0, 3, Relation::Fleet);
    for n in 0..5 {
        table.share(n, Consent::BOTH);
        for other in 0..n {
            table.connect(n, other);
        }
    }
    table.run(MINUTE);
    for (n, who, audience) in [
        (1, "5.9.6.1", "friend"),
        (2, "5.9.6.2", "member"),
        (4, "5.9.6.4", "stranger"),
    ] {
        table.detect(n, who);
        table.run(MINUTE * 7);
        assert_eq!(table.banned(0, who), None, "{audience}");
        let mut about = table.mesh(0).shelf().about(subject(who));
        let author = table.id(n);
        assert!(about.any(|(by, _)| by == author), "{audience}");
    }
    table.detect(3, "5.9.6.3");
    table.run(SECOND);
    assert!(table.banned(0, "5.9.6.3").is_some());
    // Nor does a friend's retraction lift anything.
    let retraction = lymph_protocol::report::Retraction {
        subject: subject("5.9.6.3"),
        family: Family::SSH_AUTH,
        slot: Slot::of(table.now),
        ttl_hours: 2,
        seq: table.now.millis() + 1,
    };
    let said = sign(
        &table.keypair(1),
        Object::Retraction(retraction),
        Audience::Public,
    );
    let topic = Audience::Public.topic(said.object().channel(), 1);
    let from = table.machines[1].transport;
    table.frame(0, from, &topic, said.bytes());
    assert!(table.banned(0, "5.9.6.3").is_some());
}

#[test]
fn a_word_from_outside_the_fleet_is_none() {
    let mut table = Table::fleet(2);
    table.pair(0, 1, Relation::Friend);
    let fleet = table.mesh(0).fleet().unwrap();
    let word = lymph_protocol::word::Word {
        issued: Minute::of(table.now),
        seq: table.now.millis(),
        wish: Wish::Panic,
    };
    let mallory = Keypair::from_secret(&[0x66; 32]);
    let said = sign(&mallory, Object::Word(word), fleet);
    let topics = fleet.topics();
    let stranger = mallory.transport_id();
    let verdict = table.frame(0, stranger, &topics[0], said.bytes());
    assert_eq!(verdict, Judgement::Reject, "it is not sealed");
    let ask = Ask::Push {
        audience: fleet,
        objects: vec![said.bytes().to_vec()],
    };
    let answer = table.question(0, stranger, &ask);
    assert!(matches!(answer, Answer::Refused(_)));
    assert!(table.machines[0].enforce.is_empty());
}

#[test]
fn siblings_know_each_other_soon_after_the_last_one_has_joined() {
    let table = Table::fleet(6);
    let known = (0..6).map(|n| table.mesh(n).known().count());
    assert_eq!(known.collect::<Vec<_>>(), [5; 6]);
}

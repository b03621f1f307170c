//! What the operator asks for, who is spared, who is held back and who gets a second chance.

use std::net::IpAddr;

use lymph_scenarios::overflow::Poured;

use super::super::allowlist::{Allowed, Entry};
use super::super::breaker::Budget;
use super::super::protected::Protection;
use super::super::request::{Answer, Ban, Banned, HeldSelection, Request, Selection, Wish};
use super::*;

fn ask(engine: &mut Engine, request: Request, secs: u64) -> (Answer, Vec<Action>) {
    let mut actions = engine.handle(Input::Asked(request), at(secs));
    match actions.pop() {
        Some(Action::Answer(answer)) => (answer, actions),
        other => panic!("no answer but {other:?}"),
    }
}

fn wish(target: &str) -> Wish {
    Wish {
        target: target.parse().unwrap(),
        kind: Kind::Ban,
        length: HOUR * 4,
        reason: "because".into(),
    }
}

fn ban_all(
    engine: &mut Engine,
    origin: Origin,
    force: bool,
    targets: &[&str],
) -> (Banned, Vec<Action>) {
    let request = Request::Ban(Ban {
        id: DetectionId(7),
        origin,
        force,
        wishes: targets.iter().map(|target| wish(target)).collect(),
    });
    let secs = engine.last_now.since(NOW).as_secs();
    match ask(engine, request, secs) {
        (Answer::Banned(banned), actions) => (banned, actions),
        (other, _) => panic!("{other:?}"),
    }
}

fn lift(engine: &mut Engine, which: Selection, false_positive: bool, secs: u64) -> Vec<String> {
    let request = Request::Lift {
        which,
        false_positive,
    };
    unbans(&ask(engine, request, secs).1)
}

fn shield(network: &str, protection: Protection) -> Shield {
    Shield {
        network: target::parse_network(network).unwrap(),
        protection,
    }
}

#[test]
fn the_operator_bans_and_takes_it_back() {
    let mut engine = engine(Settings::default());
    let (banned, actions) = ban_all(
        &mut engine,
        Origin::Operator,
        false,
        &[
            "192.0.2.1",
            "2001:db8::1",
            "198.51.100.0/24",
            "2.0.0.0/7",
            "10.0.0.1",
        ],
    );
    let expected = Banned {
        new: 3,
        too_wide: 1,
        protected: 1,
        examples: banned.examples.clone(),
        ..Banned::default()
    };
    assert_eq!(banned, expected);
    assert_eq!(banned.examples[0].1.protection, Protection::Private);
    assert_eq!(bans(&actions).len(), 3);
    let (banned, actions) = ban_all(&mut engine, Origin::Operator, false, &["192.0.2.1"]);
    assert_eq!((banned.unchanged, bans(&actions).len()), (1, 0));
    detect(&mut engine, "a/b", "192.0.2.1", 1);
    let operators = Selection {
        origin: Some(Origin::Operator),
        ..Selection::default()
    };
    assert!(lift(&mut engine, Selection::default(), false, 2).is_empty());
    assert_eq!(
        lift(&mut engine, operators, false, 2),
        ["2001:db8::/64", "198.51.100.0/24"],
        "the rule's own ban of the third still stands"
    );
    assert_eq!(engine.decisions().len(), 1);
}

#[test]
fn undo_takes_back_the_last_thing_whole() {
    let mut engine = engine(Settings::default());
    ban_all(
        &mut engine,
        Origin::Lists,
        false,
        &["192.0.2.1", "192.0.2.2"],
    );
    detect(&mut engine, "a/b", "192.0.2.3", 5);
    assert_eq!(
        unbans(&ask(&mut engine, Request::Undo(None), 6).1),
        ["192.0.2.3"]
    );
    let (answer, actions) = ask(&mut engine, Request::Undo(None), 7);
    assert_eq!(unbans(&actions), ["192.0.2.1", "192.0.2.2"]);
    assert!(matches!(answer, Answer::Lifted(lifted) if lifted.count == 2));
    let (answer, actions) = ask(&mut engine, Request::Undo(None), 8);
    assert!(actions.is_empty() && matches!(answer, Answer::Lifted(lifted) if lifted.count == 0));
}

#[test]
fn force_overcomes_what_yields_and_a_rule_still_does_not() {
    let mut engine = engine(Settings {
        allowlist: vec![target::parse_network("203.0.113.9").unwrap()],
        ..Settings::default()
    });
    let own = vec![
        shield("203.0.113.5", Protection::OwnAddress),
        shield("203.0.113.1", Protection::Gateway),
        shield("203.0.113.7", Protection::SshPeer),
    ];
    engine.handle(Input::Surroundings(own.clone()), at(0));
    let all = [
        "203.0.113.5",
        "203.0.113.1",
        "203.0.113.7",
        "203.0.113.9",
        "127.0.0.1",
        "203.0.113.0/24",
    ];
    for origin in [Origin::Operator, Origin::Lists, Origin::Crowdsec] {
        let (banned, actions) = ban_all(&mut engine, origin, false, &all);
        assert_eq!((banned.protected, actions.len()), (6, 0), "{origin:?}");
    }
    for who in &all[..5] {
        assert!(
            bans(&detect(&mut engine, "a/b", who, 1)).is_empty(),
            "{who}"
        );
    }
    let (banned, _) = ban_all(&mut engine, Origin::Lists, true, &all);
    assert_eq!(banned.protected, 6, "a list has no force");
    let (banned, actions) = ban_all(&mut engine, Origin::Operator, true, &all);
    assert_eq!(
        (banned.new, banned.protected),
        (3, 3),
        "{:?}",
        banned.examples
    );
    let mut disk = BTreeMap::new();
    save(&mut disk, &actions);
    let other = vec![shield("203.0.113.1", Protection::Gateway)];
    assert!(unbans(&engine.handle(Input::Surroundings(other), at(2))).is_empty());
    assert!(bans(&detect(&mut engine, "a/c", "203.0.113.1", 3)).is_empty());

    // It survives a restart, and the force ends with the ban.
    let mut again = super::engine(Settings::default());
    again.handle(Input::Surroundings(own), at(3));
    let mut records: Vec<_> = disk.into_values().collect();
    records.sort_by_key(|record| matches!(record, Record::Decision(_)));
    for record in records {
        again.handle(Input::Restored(record), at(3));
    }
    assert_eq!((again.decisions().len(), again.forced.len()), (3, 3));
    let actions = again.handle(Input::Tick, at(5 * 3600));
    assert_eq!((unbans(&actions).len(), again.forced.len()), (3, 0));
}

fn allow(what: &str) -> Request {
    Request::Allow(Entry {
        what: what.parse().unwrap(),
        reason: "ours".into(),
        since: NOW,
        addresses: Vec::new(),
    })
}

#[test]
fn the_allowlist_beats_everything_and_lifts_what_stands() {
    let mut engine = engine(Settings::default());
    detect(&mut engine, "a/b", "192.0.2.1", 0);
    ban_all(
        &mut engine,
        Origin::Operator,
        false,
        &["192.0.2.1", "192.0.2.0/24"],
    );
    let (answer, actions) = ask(&mut engine, allow("192.0.2.1"), 1);
    let lifted: BTreeSet<_> = unbans(&actions).into_iter().collect();
    assert_eq!(
        lifted.into_iter().collect::<Vec<_>>(),
        ["192.0.2.0/24", "192.0.2.1"]
    );
    assert!(bans(&actions).is_empty());
    assert!(matches!(answer, Answer::Allowed(Ok(lifted)) if lifted.len() == 3));
    assert!(bans(&detect(&mut engine, "a/c", "192.0.2.1", 2)).is_empty());
    assert_eq!(
        ban_all(&mut engine, Origin::Operator, true, &["192.0.2.1"])
            .0
            .protected,
        1
    );

    let mut disk = BTreeMap::new();
    save(&mut disk, &ask(&mut engine, allow("home.example.org"), 3).1);
    ban_all(&mut engine, Origin::Lists, false, &["198.51.100.7"]);
    let resolved = Input::Resolved {
        name: "home.example.org".into(),
        addresses: vec!["198.51.100.7".parse().unwrap()],
    };
    let actions = engine.handle(resolved, at(4));
    assert_eq!(unbans(&actions), ["198.51.100.7"]);
    save(&mut disk, &actions);
    let mut again = super::engine(Settings::default());
    for record in disk.into_values() {
        again.handle(Input::Restored(record), at(4));
    }
    assert_eq!(
        ban_all(&mut again, Origin::Lists, false, &["198.51.100.7"])
            .0
            .protected,
        1,
        "before the name could be looked up again"
    );

    let name: Allowed = "home.example.org".parse().unwrap();
    assert_eq!(
        ask(&mut engine, Request::Disallow(name.clone()), 5).0,
        Answer::Disallowed(true)
    );
    assert_eq!(
        ask(&mut engine, Request::Disallow(name), 6).0,
        Answer::Disallowed(false)
    );
    assert_eq!(
        ban_all(&mut engine, Origin::Lists, false, &["198.51.100.7"])
            .0
            .new,
        1
    );
}

#[test]
fn a_rule_gone_wild_is_held_and_one_request_releases_or_drops() {
    let budget = Some(Budget {
        per_minute: 2,
        burst: 3,
    });
    let mut engine = engine(Settings {
        budget,
        ..Settings::default()
    });
    let mut disk = BTreeMap::new();
    let mut enforced = Vec::new();
    for n in 1..=10 {
        let actions = detect(&mut engine, "wild/rule", &format!("192.0.2.{n}"), 0);
        save(&mut disk, &actions);
        enforced.extend(bans(&actions));
    }
    assert_eq!((enforced.len(), engine.held().len()), (3, 7));
    assert_eq!(
        bans(&detect(&mut engine, "calm/rule", "192.0.2.100", 0)).len(),
        1
    );
    assert_eq!(
        bans(&detect(&mut engine, "wild/rule", "192.0.2.1", 60)).len(),
        1,
        "longer, not new"
    );
    assert_eq!(
        bans(&detect(&mut engine, "wild/rule", "192.0.2.101", 61)).len(),
        1
    );

    let mut again = super::engine(Settings::default());
    for record in disk.into_values() {
        again.handle(Input::Restored(record), at(62));
    }
    assert_eq!((again.held().len(), again.decisions().len()), (7, 3));
    let one = HeldSelection::Target("192.0.2.4".parse().unwrap());
    let (answer, actions) = ask(&mut again, Request::Release(one), 63);
    assert_eq!((answer, bans(&actions).len()), (Answer::Held(1), 1));
    let rule = HeldSelection::Reason("wild/rule".to_owned());
    let (answer, actions) = ask(&mut again, Request::Drop(rule), 64);
    assert_eq!(
        (answer, bans(&actions).len(), again.held().len()),
        (Answer::Held(6), 0, 0)
    );
    assert_eq!(
        unbans(&engine.handle(Input::Tick, at(3630))).len(),
        3,
        "what was held ends unseen; one was made longer, one came later"
    );
    assert!(engine.held().is_empty());
}

/// A range of subjects that an import asks for: from the first, so many, for so many hours.
type Rows = (u32, u32, u64);

fn import(engine: &mut Engine, origin: Origin, rows: Rows, secs: u64) -> (Banned, Vec<Action>) {
    let (first, count, hours) = rows;
    let target = |n: u32| Target::of_address(std::net::Ipv4Addr::from_bits(0x0b00_0000 + n).into());
    let wish = |n: u32| Wish {
        target: target(n),
        kind: Kind::Ban,
        length: HOUR * u32::try_from(hours).unwrap(),
        reason: format!("list of {secs}").into(),
    };
    let request = Request::Ban(Ban {
        id: DetectionId(secs),
        origin,
        force: false,
        wishes: (first..first + count).map(wish).collect(),
    });
    match ask(engine, request, secs) {
        (Answer::Banned(banned), actions) => (banned, actions),
        (other, _) => panic!("{other:?}"),
    }
}

fn stopped(actions: &[Action]) -> Vec<(usize, usize)> {
    let stopped = |action: &Action| match action {
        Action::Notice(Notice::ImportStopped { held, not_held, .. }) => Some((*held, *not_held)),
        Action::Ban(_)
        | Action::Unban { .. }
        | Action::Save(_)
        | Action::Remove(_)
        | Action::Notice(_)
        | Action::Answer(_)
        | Action::Net(_)
        | Action::Enforce(_) => None,
    };
    actions.iter().filter_map(stopped).collect()
}

#[test]
fn an_import_gone_wild_is_held_and_what_stands_costs_nothing() {
    let mut engine = engine(Settings {
        import_budget: Some(Budget {
            per_minute: 2,
            burst: 10,
        }),
        held_max: 5,
        ..Settings::default()
    });
    detect(&mut engine, "a/b", "11.0.0.50", 0);
    let (lists, crowdsec) = (Origin::Lists, Origin::Crowdsec);
    // New, longer, unchanged, held, without room; and what is held then.
    for (secs, origin, rows, expected, held) in [
        (1, lists, (0, 8, 1), [8, 0, 0, 0, 0], 0),
        (2, lists, (0, 8, 1), [0, 8, 0, 0, 0], 0),
        (3, lists, (0, 8, 9), [0, 8, 0, 0, 0], 0),
        (4, lists, (0, 8, 1), [0, 0, 8, 0, 0], 0),
        // A rule's ban stands there already.
        (5, lists, (50, 1, 1), [1, 0, 0, 0, 0], 0),
        (6, lists, (0, 14, 9), [2, 8, 0, 4, 0], 4),
        // Nobody else pays for that, and what is held stays held.
        (7, crowdsec, (10, 10, 1), [10, 0, 0, 0, 0], 4),
        (8, lists, (100, 3, 1), [0, 0, 0, 1, 2], 5),
        (8, lists, (100, 3, 1), [0, 0, 0, 1, 2], 5),
        (8, Origin::Operator, (200, 20, 1), [20, 0, 0, 0, 0], 5),
        // Two more after a minute: what was held takes the place it wants.
        (68, lists, (100, 3, 1), [2, 0, 0, 1, 0], 5),
        (69, crowdsec, (300, 2, 1), [2, 0, 0, 0, 0], 5),
        (70, crowdsec, (400, 1, 1), [0, 0, 0, 0, 1], 5),
    ] {
        let (banned, actions) = import(&mut engine, origin, rows, secs);
        let found = [
            banned.new,
            banned.longer,
            banned.unchanged,
            banned.over_budget,
            banned.not_held,
        ];
        let case = format!("{rows:?} of {origin:?} after {secs} s");
        assert_eq!((found, engine.held().len()), (expected, held), "{case}");
        let said = Some((expected[3], expected[4])).filter(|said| *said != (0, 0));
        assert_eq!(stopped(&actions), Vec::from_iter(said), "{case}");
    }
    let (answer, actions) = ask(&mut engine, Request::Undo(Some(DetectionId(68))), 71);
    assert!(
        matches!(&answer, Answer::Lifted(lifted) if (lifted.count, lifted.held) == (2, 1)),
        "{answer:?}"
    );
    assert_eq!((unbans(&actions).len(), engine.held().len()), (2, 4));
}

#[test]
fn a_large_list_passes_and_what_is_beyond_is_released_or_dropped_by_origin() {
    let (lists, crowdsec) = (Origin::Lists, Origin::Crowdsec);
    let mut large = engine(Settings::default());
    // A list of 100,000, one that makes it 150,000, and one address too many; then far too many.
    for (rows, new, held, not_held) in [
        ((0, 100_000, 24), 100_000, 0, 0),
        ((100_000, 50_000, 24), 50_000, 0, 0),
        ((150_000, 1, 24), 0, 1, 0),
        ((150_001, 12_000, 24), 0, 9_999, 2_001),
    ] {
        let (banned, actions) = import(&mut large, lists, rows, 0);
        let found = (banned.new, banned.over_budget, banned.not_held);
        assert_eq!(found, (new, held, not_held), "{rows:?}");
        assert_eq!(bans(&actions).len(), new);
    }
    assert_eq!(
        (large.held().len(), large.held().turned_away()),
        (10_000, 2_001)
    );

    let settings = || Settings {
        import_budget: Some(Budget {
            per_minute: 1,
            burst: 2,
        }),
        ..Settings::default()
    };
    let (mut first, mut disk) = (engine(settings()), BTreeMap::new());
    save(&mut disk, &import(&mut first, lists, (0, 6, 24), 0).1);
    save(&mut disk, &import(&mut first, crowdsec, (10, 5, 24), 1).1);
    let mut engine = engine(settings());
    for record in disk.into_values() {
        engine.handle(Input::Restored(record), at(2));
    }
    assert_eq!((engine.decisions().len(), engine.held().len()), (4, 7));
    let released = Request::Release(HeldSelection::Origin(crowdsec));
    let (answer, actions) = ask(&mut engine, released, 3);
    assert_eq!((answer, bans(&actions).len()), (Answer::Held(3), 3));
    let dropped = Request::Drop(HeldSelection::Origin(lists));
    let (answer, actions) = ask(&mut engine, dropped, 4);
    assert_eq!((answer, bans(&actions).len()), (Answer::Held(4), 0));
    assert_eq!((engine.decisions().len(), engine.held().len()), (7, 0));
}

/// A detection of attacks on one service.
fn attack(engine: &mut Engine, service: &str, who: &str, secs: u64) -> Vec<Action> {
    let mut overflow = overflow("a/b", who, secs);
    (overflow.first_seen, overflow.last_seen) = (at(secs), at(secs));
    let meta = BTreeMap::from([("service".to_owned(), service.to_owned())]);
    overflow.events = vec![Poured {
        meta,
        ..overflow.events[0].clone()
    }];
    let mut actions = Vec::new();
    engine.take(vec![overflow], at(secs), &mut actions);
    actions
}

fn kinds(actions: &[Action]) -> Vec<Kind> {
    let kind = |action: &Action| match action {
        Action::Ban(decision) => Some(decision.kind),
        Action::Unban { .. }
        | Action::Save(_)
        | Action::Remove(_)
        | Action::Notice(_)
        | Action::Answer(_)
        | Action::Net(_)
        | Action::Enforce(_) => None,
    };
    actions.iter().filter_map(kind).collect()
}

#[test]
fn who_has_logged_in_is_slowed_down_first_but_not_for_the_service_under_attack() {
    let mut engine = engine(Settings::default());
    let home: IpAddr = "192.0.2.1".parse().unwrap();
    let mut actions = Vec::new();
    engine.logged_in(home, "ssh", at(0), &mut actions);
    assert!(matches!(actions[..], [Action::Save(Record::Familiar(..))]));
    assert_eq!(
        kinds(&attack(&mut engine, "http", "192.0.2.1", 1)),
        [Kind::Throttle]
    );
    assert_eq!(
        kinds(&attack(&mut engine, "http", "192.0.2.1", 2)),
        [Kind::Ban]
    );
    engine.logged_in("192.0.2.2".parse().unwrap(), "ssh", at(3), &mut actions);
    assert_eq!(
        kinds(&attack(&mut engine, "ssh", "192.0.2.2", 4)),
        [Kind::Ban]
    );

    engine.logged_in(
        "198.51.100.77".parse().unwrap(),
        "imap",
        at(5),
        &mut actions,
    );
    let (banned, _) = ban_all(
        &mut engine,
        Origin::Lists,
        false,
        &["198.51.100.0/24", "198.51.100.77", "198.51.101.0/24"],
    );
    assert_eq!((banned.held, banned.new), (2, 1));
    let (_, actions) = ask(&mut engine, Request::Release(HeldSelection::All), 6);
    assert_eq!(bans(&actions).len(), 2);
}

#[test]
fn a_false_positive_takes_twice_as_much_the_next_time() {
    let mut engine = engine(Settings::default());
    detect(&mut engine, "a/b", "192.0.2.1", 0);
    let which = Selection {
        target: Some("192.0.2.1".parse().unwrap()),
        ..Selection::default()
    };
    assert_eq!(lift(&mut engine, which.clone(), true, 1).len(), 1);
    assert!(bans(&detect(&mut engine, "a/b", "192.0.2.1", 10)).is_empty());
    let newest = engine.alerts().iter().next_back().unwrap();
    assert_eq!(newest.outcome, Outcome::Tolerated { seen: 1, needed: 2 });
    assert_eq!(
        bans(&detect(&mut engine, "a/b", "192.0.2.1", 20)),
        [("192.0.2.1".to_owned(), 20 + 3600)],
        "the wrong one was no visit"
    );
    assert_eq!(
        bans(&detect(&mut engine, "a/c", "192.0.2.2", 30)).len(),
        1,
        "others are treated as ever"
    );
    let why = engine.explain("192.0.2.1".parse().unwrap(), at(40));
    assert_eq!(why.raised[0].1.factor, 2);
}

#[test]
fn who_keeps_knocking_stays_out_longer_but_not_for_ever() {
    let mut engine = engine(Settings::default());
    detect(&mut engine, "a/b", "192.0.2.1", 0);
    let knock = |engine: &mut Engine, count: u64, secs: u64| {
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        bans(&engine.handle(Input::Refused(vec![(address, count)]), at(secs)))
    };
    assert!(knock(&mut engine, 50, 60).is_empty(), "it has just begun");
    assert!(knock(&mut engine, 2, 3000).is_empty(), "too little");
    assert_eq!(
        knock(&mut engine, 3, 3000),
        [("192.0.2.1".to_owned(), 3000 + 1800)]
    );
    assert_eq!(
        knock(&mut engine, 9, 4500),
        [("192.0.2.1".to_owned(), 4500 + 1800)]
    );
    assert_eq!(
        knock(&mut engine, 9, 6000),
        [("192.0.2.1".to_owned(), 7200)],
        "twice its length at most"
    );
    assert!(knock(&mut engine, 900, 7000).is_empty());
    assert_eq!(unbans(&engine.handle(Input::Tick, at(7200))), ["192.0.2.1"]);
    let why = engine.explain("192.0.2.1".parse().unwrap(), at(7201));
    assert_eq!(why.refused.unwrap().connections, 50 + 2 + 3 + 9 + 9 + 900);
}

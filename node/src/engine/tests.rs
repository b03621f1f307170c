mod operator;

use std::collections::BTreeMap;

use lymph_scenarios::line::{Line, Source};
use lymph_scenarios::{RuleFile, RulesBuilder};

use super::request::{Request, Selection};
use super::testing::overflow;
use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn engine(settings: Settings) -> Engine {
    Engine::new(Arc::new(no_rules()), settings, 1)
}

fn no_rules() -> Rules {
    RulesBuilder::new(BTreeMap::new()).finish().unwrap()
}

fn at(secs: u64) -> Timestamp {
    NOW + Duration::from_secs(secs)
}

/// A detection whose last line came at `secs` after `NOW`, when it is also handled.
fn detect(engine: &mut Engine, scenario: &str, who: &str, secs: u64) -> Vec<Action> {
    detect_late(engine, scenario, who, secs, at(secs))
}

fn detect_late(
    engine: &mut Engine,
    scenario: &str,
    who: &str,
    secs: u64,
    now: Timestamp,
) -> Vec<Action> {
    let mut overflow = overflow(scenario, who, secs);
    (overflow.first_seen, overflow.last_seen) = (at(secs), at(secs));
    let mut actions = Vec::new();
    engine.started_at.get_or_insert(now);
    engine.take(vec![overflow], now, &mut actions);
    actions
}

fn bans(actions: &[Action]) -> Vec<(String, u64)> {
    let ban = |action: &Action| match action {
        Action::Ban(decision) => Some((
            decision.target.to_string(),
            decision.until.since(NOW).as_secs(),
        )),
        Action::Unban { .. }
        | Action::Save(_)
        | Action::Remove(_)
        | Action::Notice(_)
        | Action::Answer(_)
        | Action::Net(_)
        | Action::Enforce(_) => None,
    };
    actions.iter().filter_map(ban).collect()
}

fn unbans(actions: &[Action]) -> Vec<String> {
    let unban = |action: &Action| match action {
        Action::Unban { target, .. } => Some(target.to_string()),
        Action::Ban(_)
        | Action::Save(_)
        | Action::Remove(_)
        | Action::Notice(_)
        | Action::Answer(_)
        | Action::Net(_)
        | Action::Enforce(_) => None,
    };
    actions.iter().filter_map(unban).collect()
}

fn unban(target: Target) -> Input<'static> {
    let which = Selection {
        target: Some(target),
        ..Selection::default()
    };
    Input::Asked(Request::Lift {
        which,
        false_positive: false,
    })
}

/// A disk: what a daemon would have saved.
fn save(disk: &mut BTreeMap<RecordKey, Record>, actions: &[Action]) {
    for action in actions {
        match action {
            Action::Save(record) => drop(disk.insert(record.key(), record.clone())),
            Action::Remove(key) => drop(disk.remove(key)),
            Action::Ban(_)
            | Action::Unban { .. }
            | Action::Notice(_)
            | Action::Answer(_)
            | Action::Net(_)
            | Action::Enforce(_) => {}
        }
    }
}

#[test]
fn a_detection_bans_for_an_hour_and_a_return_for_two() {
    let mut engine = engine(Settings::default());
    assert_eq!(
        bans(&detect(&mut engine, "a/b", "192.0.2.1", 0)),
        [("192.0.2.1".to_owned(), 3600)]
    );
    assert_eq!(
        bans(&detect(&mut engine, "a/c", "192.0.2.1", 60)),
        [("192.0.2.1".to_owned(), 3660)]
    );
    assert_eq!(engine.next_deadline(), Some((at(3660), "a decision ends")));
    assert!(unbans(&engine.handle(Input::Tick, at(3659))).is_empty());
    assert_eq!(unbans(&engine.handle(Input::Tick, at(3660))), ["192.0.2.1"]);
    assert_eq!(
        bans(&detect(&mut engine, "a/b", "192.0.2.1", 4000)),
        [("192.0.2.1".to_owned(), 4000 + 7200)]
    );
    assert_eq!((engine.decisions().len(), engine.alerts().len()), (1, 3));
}

#[test]
fn the_same_lines_read_again_add_nothing() {
    let mut engine = engine(Settings::default());
    detect(&mut engine, "a/b", "192.0.2.1", 0);
    assert!(detect_late(&mut engine, "a/b", "192.0.2.1", 0, at(100)).is_empty());
    assert!(
        engine
            .handle(unban("192.0.2.1".parse().unwrap()), at(200))
            .len()
            >= 2
    );
    assert!(
        detect_late(&mut engine, "a/b", "192.0.2.1", 0, at(300)).is_empty(),
        "lifted, and still known"
    );
    assert_eq!(engine.counters().detections, 1);
}

#[test]
fn what_was_saved_is_there_after_a_restart() {
    let (mut disk, mut first) = (BTreeMap::new(), engine(Settings::default()));
    for (who, secs) in [
        ("192.0.2.1", 0),
        ("192.0.2.2", 10),
        ("192.0.2.1", 4000),
        ("2001:db8::1", 4100),
    ] {
        save(&mut disk, &first.handle(Input::Tick, at(secs)));
        save(&mut disk, &detect(&mut first, "a/b", who, secs));
    }
    assert_eq!(
        disk.into_values().collect::<Vec<_>>().len(),
        first.records().count()
    );
    let mut second = engine(Settings::default());
    let mut enforced = Vec::new();
    for record in first.records() {
        let actions = second.handle(Input::Restored(record), at(5000));
        assert!(
            !actions
                .iter()
                .any(|action| matches!(action, Action::Save(_)))
        );
        enforced.extend(bans(&actions));
    }
    assert_eq!(
        enforced,
        [
            ("192.0.2.1".to_owned(), 4000 + 7200),
            ("2001:db8::/64".to_owned(), 4100 + 3600)
        ]
    );
    assert!(second.records().eq(first.records()));
    let returns = detect(&mut second, "a/b", "192.0.2.2", 5000);
    assert_eq!(
        bans(&returns),
        [("192.0.2.2".to_owned(), 5000 + 7200)],
        "the ladder was restored"
    );
}

#[test]
fn records_that_no_longer_hold_are_removed_instead() {
    let mut first = engine(Settings::default());
    detect(&mut first, "a/b", "192.0.2.1", 0);
    detect(&mut first, "a/b", "198.51.100.1", 0);
    let allowlist = vec![target::parse_network("198.51.100.0/24").unwrap()];
    let mut second = engine(Settings {
        allowlist,
        ..Settings::default()
    });
    let later = NOW + HOUR * 24 * 40;
    let mut third = engine(Settings::default());
    for record in first.records() {
        second.handle(Input::Restored(record.clone()), at(1));
        let actions = third.handle(Input::Restored(record.clone()), later);
        assert_eq!(actions, [Action::Remove(record.key())]);
    }
    assert_eq!(
        second
            .decisions()
            .iter()
            .map(|d| d.target.to_string())
            .collect::<Vec<_>>(),
        ["192.0.2.1"]
    );
    assert_eq!(third.records().count(), 0);
}

#[test]
fn nothing_is_ever_decided_about_the_protected() {
    let mut engine = engine(Settings::default());
    let who = ["127.0.0.1", "10.0.0.1", "::1", "fe80::1", "192.168.1.1"];
    for who in who {
        assert!(
            bans(&detect(&mut engine, "a/b", who, 0)).is_empty(),
            "{who}"
        );
    }
    assert_eq!(
        (
            engine.decisions().len(),
            engine.alerts().len(),
            engine.counters().protected
        ),
        (0, 5, 5)
    );
}

#[test]
fn new_surroundings_lift_what_stands() {
    let mut engine = engine(Settings::default());
    detect(&mut engine, "a/b", "203.0.113.5", 0);
    let shield = Shield {
        network: target::parse_network("203.0.113.5").unwrap(),
        protection: protected::Protection::OwnAddress,
    };
    assert_eq!(
        unbans(&engine.handle(Input::Surroundings(vec![shield]), at(1))),
        ["203.0.113.5"]
    );
    assert!(bans(&detect(&mut engine, "a/c", "203.0.113.5", 2)).is_empty());
}

#[test]
fn an_unban_lifts_and_a_return_still_counts_but_forgotten_is_forgotten() {
    let mut engine = engine(Settings::default());
    let target = "192.0.2.1".parse().unwrap();
    detect(&mut engine, "a/b", "192.0.2.1", 0);
    assert_eq!(unbans(&engine.handle(unban(target), at(10))), ["192.0.2.1"]);
    assert_eq!(
        bans(&detect(&mut engine, "a/b", "192.0.2.1", 20)),
        [("192.0.2.1".to_owned(), 20 + 7200)]
    );
    assert_eq!(
        unbans(&engine.handle(Input::Forget(target), at(30))),
        ["192.0.2.1"]
    );
    assert_eq!(engine.records().count(), 0);
    assert_eq!(
        bans(&detect(&mut engine, "a/b", "192.0.2.1", 40)),
        [("192.0.2.1".to_owned(), 40 + 3600)]
    );
}

#[test]
fn late_lines_are_recorded_and_not_enforced() {
    let mut engine = engine(Settings::default());
    let actions = detect_late(&mut engine, "a/b", "192.0.2.1", 0, at(4000));
    assert!(bans(&actions).is_empty());
    let outcome = &engine.alerts().iter().next().unwrap().outcome;
    assert_eq!(
        *outcome,
        Outcome::Ended {
            kind: Kind::Ban,
            until: at(3600),
            step: 1
        }
    );
    assert_eq!(
        bans(&detect(&mut engine, "a/b", "192.0.2.1", 4100)),
        [("192.0.2.1".to_owned(), 4100 + 7200)]
    );
}

/// Six events of one source at once are too many.
const SIX: &str = "\
type: leaky
name: test/six
description: six of the same
filter: evt.Meta.source_ip != ''
groupby: evt.Meta.source_ip
capacity: 5
leakspeed: 10s
labels:
  remediation: true
";
const FIRST_WORD: &str = "\
name: test/first-word
description: the first word is the source
onsuccess: next_stage
grok:
  pattern: '^%{IP:source}'
  apply_on: Line.Raw
statics:
  - meta: source_ip
    expression: evt.Parsed.source
";

fn six() -> Arc<Rules> {
    let mut builder = RulesBuilder::new(BTreeMap::new());
    for (path, text) in [
        ("parsers/s00-raw/first.yaml", FIRST_WORD),
        ("scenarios/six.yaml", SIX),
    ] {
        builder
            .add(&RuleFile {
                path: path.to_owned(),
                text: text.to_owned(),
            })
            .unwrap();
    }
    Arc::new(builder.finish().unwrap())
}

/// Lines of three sources that take turns: those of the last one come late and are one too few.
fn lines() -> impl Iterator<Item = (u64, String)> {
    let who = |n: u64| if n < 12 { n % 2 } else { 2 };
    (0..17).map(move |n| (n, format!("192.0.2.{} did it", who(n))))
}

fn read(
    engine: &mut Engine,
    disk: &mut BTreeMap<RecordKey, Record>,
    range: std::ops::Range<u64>,
) -> Vec<(String, u64)> {
    let source = Arc::new(Source::file("log", "test"));
    let mut all = Vec::new();
    for (id, text) in lines().filter(|(n, _)| range.contains(n)) {
        let now = at(1);
        let line = Line {
            text: text.as_bytes(),
            source: &source,
            id,
            received_at: now,
        };
        let actions = engine.handle(Input::Line(line), now);
        save(disk, &actions);
        all.extend(bans(&actions));
    }
    all
}

/// The daemon dies after any line, with its records on disk and its checkpoint from any line before: the lines
/// since are read again, and what is decided is what would have been decided anyway.
#[test]
fn whenever_it_dies_the_same_is_decided() {
    let rules = six();
    let mut undisturbed = BTreeMap::new();
    read(
        &mut Engine::new(rules.clone(), Settings::default(), 1),
        &mut undisturbed,
        0..17,
    );
    let targets = |disk: &BTreeMap<RecordKey, Record>| {
        let step = |record: &Record| match record {
            Record::Decision(decision) => Some((decision.id, decision.target, decision.step)),
            Record::Alert(_)
            | Record::Rung(..)
            | Record::Allow(_)
            | Record::Raised(..)
            | Record::Forced(_)
            | Record::Held(_)
            | Record::Familiar(..)
            | Record::Mesh(_)
            | Record::Experience(..)
            | Record::HeldOut(..) => None,
        };
        disk.values().filter_map(step).collect::<Vec<_>>()
    };
    assert_eq!(targets(&undisturbed).len(), 2);
    for dies_at in 0..=17 {
        for checkpoint_at in 0..=dies_at {
            let mut disk = BTreeMap::new();
            let mut engine = Engine::new(rules.clone(), Settings::default(), 1);
            read(&mut engine, &mut disk, 0..checkpoint_at);
            let snapshot = engine.snapshot().encode().unwrap();
            read(&mut engine, &mut disk, checkpoint_at..dies_at);

            let mut engine = Engine::new(rules.clone(), Settings::default(), 2);
            for record in disk.clone().into_values() {
                engine.handle(Input::Restored(record), at(0));
            }
            let snapshot = Snapshot::decode(&snapshot).unwrap();
            engine.handle(Input::Resumed(Box::new(snapshot)), at(0));
            read(&mut engine, &mut disk, checkpoint_at..17);
            assert_eq!(
                targets(&disk),
                targets(&undisturbed),
                "dies at {dies_at}, checkpoint at {checkpoint_at}"
            );
            assert_eq!(engine.alerts().len(), 2);
        }
    }
}

#[test]
fn every_table_has_an_end() {
    let settings = Settings {
        decisions_max: 50,
        alerts_max: 40,
        ladder_max: 60,
        ..Settings::default()
    };
    let (mut disk, mut engine) = (BTreeMap::new(), engine(settings));
    for n in 0..500u32 {
        let who = std::net::Ipv4Addr::from_bits(0xcb00_7100 + n).to_string();
        save(&mut disk, &detect(&mut engine, "a/b", &who, u64::from(n)));
    }
    assert_eq!(
        (
            engine.decisions().len(),
            engine.alerts().len(),
            engine.ladder.len()
        ),
        (50, 40, 60)
    );
    assert_eq!(
        disk.len(),
        150,
        "what gives way is removed from the disk too"
    );
    save(&mut disk, &engine.handle(Input::Tick, NOW + HOUR * 24 * 40));
    assert_eq!((engine.records().count(), disk.len()), (0, 0));
    assert_eq!(engine.next_deadline(), None);
}

#[test]
fn a_ban_keeps_its_length_when_the_clock_is_put_right() {
    let year = HOUR * 24 * 365;
    for back in [false, true] {
        let mut engine = engine(Settings::default());
        let restored = detect(&mut engine, "a/b", "192.0.2.9", 0);
        let mut engine = self::engine(Settings::default());
        for action in restored {
            if let Action::Save(record) = action {
                engine.handle(Input::Restored(record), at(1));
            }
        }
        detect(&mut engine, "a/b", "192.0.2.1", 10);
        let now = if back { at(100) - year } else { at(100) + year };
        engine.handle(Input::ClockStepped { before: at(100) }, now);
        let mine = engine
            .decisions()
            .about("192.0.2.1".parse().unwrap())
            .next()
            .unwrap();
        assert_eq!(mine.until, now + HOUR - Duration::from_secs(90));
        let old = engine
            .decisions()
            .about("192.0.2.9".parse().unwrap())
            .next()
            .map(|decision| decision.until);
        assert_eq!(
            old,
            back.then(|| at(3600)),
            "an earlier run's times were right"
        );
    }
}

//! What follows from what others say: levels, what each does, what undoes it, and what is learned from it. With real
//! signatures, over the whole engine.

use lymph_protocol::vouch::Vouch;
use lymph_scenarios::overflow::Overflow;
use lymph_trust::{Level, policy as numbers};

use super::super::super::breaker::Why;
use super::*;

/// Eight friends at most; `lone` says whether 0 acts on what they say in every case.
fn friends(count: usize) -> Table {
    let mut table = Table::new(count + 1);
    table.machines[0].settings.holdout = 0;
    table.restart(0);
    for friend in 1..=count {
        table.pair(0, friend, Relation::Friend);
    }
    for n in 0..=count {
        table.share(n, Consent::BOTH);
    }
    table.run(MINUTE);
    table
}

impl Table {
    /// A machine reports somebody, and 0 hears it.
    fn says(&mut self, n: usize, who: &str) {
        self.says_as(n, who, Family::SSH_AUTH, Evidence::Handshake);
    }

    fn says_as(&mut self, n: usize, who: &str, family: Family, evidence: Evidence) {
        let said = Report {
            slot: Slot::of(self.now),
            family,
            evidence,
            ..report(who, self.now.millis() + 1)
        };
        self.says_object(n, Object::Report(said));
    }

    fn says_object(&mut self, n: usize, object: Object) {
        let said = sign(&self.keypair(n), object, Audience::Public);
        let topic = Audience::Public.topic(said.object().channel(), 1);
        let from = self.machines[n].transport;
        assert_eq!(self.frame(0, from, &topic, said.bytes()), Judgement::Accept);
        self.tick();
    }

    fn vouches(&mut self, n: usize, subject: NodeId) {
        let vouch = Vouch {
            subject,
            degree: Degree::Friend,
            weight: VouchWeight::ONE,
            issued: Minute::of(self.now),
            expires: Minute::of(self.now + HOUR * 24 * 60),
            seq: self.now.millis() + 5,
        };
        self.says_object(n, Object::Vouch(vouch));
    }

    fn tick(&mut self) {
        self.now = self.now + Duration::from_millis(10);
        self.handle(0, EngineInput::Tick);
    }

    fn level(&self, who: &str) -> Level {
        self.engine(0).trust().unwrap().level(subject(who))
    }

    fn throttled(&self, who: &str) -> bool {
        let decisions = self.engine(0).decisions();
        decisions.until(target(who), Kind::Throttle).is_some()
    }

    /// Level, whether the detector looks closer, whether it is slowed down, whether it is shut out.
    fn state(&self, who: &str) -> (Level, bool, bool, bool) {
        (
            self.level(who),
            self.engine(0).detector.is_primed(subject(who)),
            self.throttled(who),
            self.banned(0, who).is_some(),
        )
    }

    fn quality(&self, n: usize) -> f64 {
        let trust = self.engine(0).trust().unwrap();
        let counts = trust.counts(self.id(n), self.now);
        counts.quality().to_f64()
    }
}

const CLEAR: (Level, bool, bool, bool) = (Level::Clear, false, false, false);
const PRIMED: (Level, bool, bool, bool) = (Level::Prime, true, false, false);
const THROTTLED: (Level, bool, bool, bool) = (Level::Throttle, true, true, false);
const BLOCKED: (Level, bool, bool, bool) = (Level::Block, true, true, true);

#[test]
fn the_first_friend_primes_the_second_throttles_the_third_blocks() {
    let mut table = friends(8);
    assert_eq!(table.state(EVIL), CLEAR);
    for (friend, expected) in [(1, PRIMED), (2, THROTTLED), (3, BLOCKED), (4, BLOCKED)] {
        table.says(friend, EVIL);
        assert_eq!(table.state(EVIL), expected, "after friend {friend}");
    }
    let ban = table
        .engine(0)
        .decisions()
        .about(target(EVIL))
        .find(|decision| decision.kind == Kind::Ban)
        .unwrap();
    assert_eq!((ban.origin, ban.step), (Origin::Mesh, 1));
    assert_eq!(ban.until.since(ban.since), HOUR, "as the first own ban");
    assert!(
        ban.reason.starts_with("ssh-auth seen by "),
        "{}",
        ban.reason
    );
    // It ends as an own one does, and what is said again of it later shuts it out for longer.
    table.run(HOUR + MINUTE);
    assert_eq!(table.banned(0, EVIL), None);
    for friend in [1, 2, 3] {
        table.says(friend, EVIL);
    }
    let until = table.banned(0, EVIL).unwrap();
    assert!(until.since(table.now) > HOUR + MINUTE * 55);
    // Everything ends.
    table.run(HOUR * 24 * 8);
    assert_eq!(table.state(EVIL), CLEAR);
}

#[test]
fn two_friends_never_block_and_a_sibling_does_at_once() {
    let mut table = friends(2);
    for _ in 0..5 {
        table.says(1, EVIL);
        table.says(2, EVIL);
    }
    assert_eq!(table.state(EVIL), THROTTLED);
    let sibling = table.add(MeshLimits::default());
    table.pair(0, sibling, Relation::Fleet);
    table.detect(sibling, "5.9.1.9");
    table.run(SECOND * 5);
    assert!(table.banned(0, "5.9.1.9").is_some());
}

#[test]
fn what_cannot_be_proved_or_was_made_to_happen_blocks_nobody() {
    let mut table = friends(8);
    let cases = [
        ("5.9.1.2", Family::SSH_AUTH, Evidence::Spoofable, CLEAR),
        ("5.9.1.3", Family::WEB_SCAN, Evidence::Handshake, THROTTLED),
        (
            "5.9.1.4",
            Family::WEB_EXPLOIT,
            Evidence::Handshake,
            THROTTLED,
        ),
        ("5.9.1.5", Family::MAIL_AUTH, Evidence::Handshake, BLOCKED),
    ];
    for (who, family, evidence, expected) in cases {
        for friend in 1..=8 {
            table.says_as(friend, who, family, evidence);
        }
        assert_eq!(table.state(who), expected, "{family} {evidence:?}");
    }
}

#[test]
fn the_protected_and_those_left_alone_are_never_touched() {
    let mut table = friends(4);
    let allow = super::super::super::allowlist::Entry {
        what: "5.9.1.0/29".parse().unwrap(),
        reason: "mine".into(),
        since: table.now,
        addresses: Vec::new(),
    };
    table.ask(0, Request::Allow(allow));
    for friend in 1..=4 {
        table.says(friend, "5.9.1.7");
    }
    assert_eq!(table.level("5.9.1.7"), Level::Block);
    assert!(!table.throttled("5.9.1.7") && table.banned(0, "5.9.1.7").is_none());
    let mut table = friends(4);
    table.machines[0].settings.holdout = 1;
    table.restart(0);
    table.run(MINUTE);
    for friend in 1..=4 {
        table.says(friend, EVIL);
    }
    assert_eq!(table.state(EVIL), (Level::Block, false, false, false));
    // What happens then is counted, and those who said so are proved right.
    assert_eq!(
        table.engine(0).benefit(),
        None,
        "nobody at all is measured against"
    );
    table.machines[0].settings.holdout = 1;
    let before = table.quality(1);
    table.detect(0, EVIL);
    assert!(table.quality(1) > before);
}

#[test]
fn what_happens_to_those_left_alone_says_what_the_mesh_is_worth() {
    let mut table = friends(4);
    table.machines[0].settings.holdout = 20;
    table.restart(0);
    table.run(MINUTE);
    let all = (1..=200).map(|n| format!("5.9.2.{n}"));
    let is_left = |table: &Table, who: &str| table.engine(0).is_held_out(subject(who));
    let left: Vec<_> = all.filter(|who| is_left(&table, who)).collect();
    assert!(
        (3..=20).contains(&left.len()),
        "about one in twenty: {}",
        left.len()
    );
    for who in &left[..3] {
        for friend in 1..=4 {
            table.says(friend, who);
        }
        assert_eq!(table.banned(0, who), None);
        table.detect(0, who);
        assert!(table.banned(0, who).is_some(), "its own detector guards it");
    }
    let benefit = table.engine(0).benefit().unwrap();
    assert_eq!(
        (benefit.seen, benefit.stopped, benefit.give_or_take),
        (3, 57, 19)
    );
    table.restart(0);
    assert_eq!(table.engine(0).benefit().unwrap().seen, 3);
    table.run(HOUR * 24 * 31);
    assert_eq!(table.engine(0).benefit().unwrap().seen, 0);
}

#[test]
fn own_detections_prove_friends_right_once_a_day_and_network() {
    let mut table = friends(4);
    let before = table.quality(1);
    table.says(1, "5.9.1.1");
    table.detect(0, "5.9.1.1");
    let once = table.quality(1);
    assert!(once > before, "{once} {before}");
    table.says(1, "5.9.1.2");
    table.detect(0, "5.9.1.2");
    assert_eq!(table.quality(1), once);
    // Whoever is right is listened to first.
    table.run(MINUTE * 2);
    let score = |table: &Table, n: usize| table.machines[0].scores[&table.machines[n].transport];
    assert!(score(&table, 1) > score(&table, 2) && score(&table, 2) > 20);
    table.restart(0);
    assert_eq!(table.quality(1), once, "it is kept");
    assert_eq!(table.quality(2), before, "silence is neutral");
    // Whoever is slowed down for what others say has proved nothing by it.
    table.says(1, "5.10.1.1");
    table.says(2, "5.10.1.1");
    assert_eq!(table.level("5.10.1.1"), Level::Throttle);
    table.detect(0, "5.10.1.1");
    assert_eq!(table.quality(2), before);
}

#[test]
fn a_friend_who_lied_is_believed_less_and_recovers_over_weeks() {
    let mut table = friends(5);
    for friend in [1, 2, 3] {
        table.says(friend, EVIL);
    }
    assert_eq!(table.state(EVIL), BLOCKED);
    table.unban(0, EVIL, true);
    assert_eq!(table.state(EVIL), CLEAR);
    for friend in [1, 2, 3] {
        assert!(table.quality(friend) < 0.05, "{}", table.quality(friend));
    }
    assert!(table.quality(4) > 0.5);
    // The same three are not believed about somebody else either, not after a restart, and not for weeks.
    let again = |table: &mut Table, who: &str| {
        for friend in [1, 2, 3] {
            table.says(friend, who);
        }
        table.level(who)
    };
    assert_eq!(again(&mut table, "5.9.1.2"), Level::Clear);
    table.restart(0);
    table.run(MINUTE);
    assert_eq!(again(&mut table, "5.9.1.3"), Level::Clear);
    // They need not run for it: 0 has their word already.
    (1..=5).for_each(|friend| table.kill(friend));
    for (days, who, quality, level) in [
        (21, "5.9.1.4", 0.1..0.25, Level::Prime),
        (28, "5.9.1.5", 0.3..0.45, Level::Throttle),
        (21, "5.9.1.6", 0.45..0.53, Level::Block),
    ] {
        (0..days).for_each(|_| table.run(HOUR * 24));
        assert!(quality.contains(&table.quality(1)), "{}", table.quality(1));
        assert_eq!(again(&mut table, who), level, "{days} days later");
    }
}

#[test]
fn what_rests_on_somebody_ends_with_the_belief_in_them() {
    type Undo = fn(&mut Table);
    let undo: [(&str, Undo); 4] = [
        ("revoke", |table| {
            let friend = table.id(1);
            table.ask_mesh(0, MeshRequest::Revoke(friend));
        }),
        ("mute", |table| {
            let friend = table.id(2);
            table.ask_mesh(0, MeshRequest::Mute(friend, true));
        }),
        ("kill", |table| {
            let kill = Kill {
                issued: Minute::of(table.now),
                successor: None,
            };
            table.says_object(3, Object::Kill(kill));
        }),
        ("retraction", |table| {
            let retraction = lymph_protocol::report::Retraction {
                subject: subject(EVIL),
                family: Family::SSH_AUTH,
                slot: Slot::of(table.now),
                ttl_hours: 24,
                seq: table.now.millis() + 9,
            };
            table.says_object(3, Object::Retraction(retraction));
        }),
    ];
    for (what, undo) in undo {
        let mut table = friends(4);
        for friend in [1, 2, 3] {
            table.says(friend, EVIL);
        }
        assert_eq!(table.state(EVIL), BLOCKED, "{what}");
        undo(&mut table);
        table.tick();
        table.tick();
        assert_eq!(table.state(EVIL), THROTTLED, "{what}");
        table.says(4, EVIL);
        assert_eq!(table.state(EVIL), BLOCKED, "{what}: one more says so");
    }
}

#[test]
fn what_the_operator_lifted_is_shut_out_again_by_as_many_new_words_only() {
    let mut table = friends(4);
    for friend in [1, 2, 3] {
        table.says(friend, EVIL);
    }
    table.unban(0, EVIL, false);
    assert!(!table.throttled(EVIL) && table.banned(0, EVIL).is_none());
    table.says(4, EVIL);
    table.says(1, EVIL);
    assert!(table.throttled(EVIL) && table.banned(0, EVIL).is_none());
    table.says(2, EVIL);
    assert!(table.banned(0, EVIL).is_some());
    assert!(table.quality(1) > 0.5, "nobody was said to be wrong");
}

#[test]
fn who_logs_in_here_is_slowed_down_and_held_back() {
    let mut table = friends(4);
    let now = table.now;
    let address = EVIL.parse().unwrap();
    let engine = table.machines[0].engine.as_mut().unwrap();
    engine.logged_in(address, "ssh", now, &mut Vec::new());
    for friend in [1, 2, 3, 4] {
        table.says(friend, EVIL);
    }
    assert_eq!(table.state(EVIL), (Level::Block, true, true, false));
    let held: Vec<_> = table.engine(0).held().iter().cloned().collect();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].why, Why::GoodSession);
}

#[test]
fn a_crowd_behind_two_fooled_friends_never_blocks_and_behind_three_it_does() {
    for (fooled, expected) in [(2, false), (3, true)] {
        let mut table = friends(4);
        let now = table.now;
        let sybil = |n: u16| {
            let mut bytes = [0x66; 32];
            bytes[..2].copy_from_slice(&n.to_be_bytes());
            NodeId::from_bytes(bytes)
        };
        // Each fooled friend vouches for one of them, and these for hundreds, and these for each other.
        let heads: Vec<_> = (0..fooled).map(sybil).collect();
        for (friend, head) in (1..).zip(&heads) {
            table.vouches(friend, *head);
        }
        let engine = table.machines[0].engine.as_mut().unwrap();
        let mut say = |issuer: NodeId, subject: NodeId| {
            let statement = lymph_trust::Statement {
                issuer,
                subject,
                weight: 10_000,
                seq: 1,
                expires: Minute::of(now + HOUR),
                kept_until: Minute::of(now + HOUR),
            };
            engine.heard_vouch(&statement, now);
        };
        for n in fooled..2_000 {
            for head in &heads {
                say(*head, sybil(n));
            }
            say(sybil(n), sybil(n + 1));
            say(sybil(n), heads[0]);
        }
        for n in 0..2_000 {
            let said = Report {
                slot: Slot::of(now),
                ..report(EVIL, 1)
            };
            engine.weigh_report(sybil(n), &said, now, &mut Vec::new());
        }
        table.tick();
        assert_eq!(table.banned(0, EVIL).is_some(), expected, "{fooled} fooled");
        assert!(table.level(EVIL) >= Level::Throttle);
        let seen = table.engine(0).assess(subject(EVIL), table.now).unwrap();
        let named: BTreeSet<_> = seen.branches.iter().map(|share| share.branch).collect();
        let fooled: BTreeSet<_> = (1..=usize::from(fooled))
            .map(|friend| lymph_trust::Branch::Of(table.id(friend)))
            .collect();
        assert_eq!(named, fooled, "it names those who were fooled");
        assert!(usize::try_from(seen.strict_paths).unwrap() == fooled.len());
    }
}

#[test]
fn what_only_a_lowered_threshold_caught_is_told_to_nobody() {
    let mut table = friends(4);
    table.says(1, EVIL);
    let mut seen = overflow("test/ssh", EVIL, 77);
    (seen.first_seen, seen.last_seen) = (table.now, table.now);
    let labels = [("behavior", "ssh:bruteforce"), ("spoofable", "0")];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    seen.labels = Arc::new(labels.into());
    for (is_primed, expected) in [(true, 0), (false, 1)] {
        let before = table.quality(1);
        let overflow = Overflow {
            is_primed,
            first_line: 77 + u64::from(!is_primed),
            ..seen.clone()
        };
        let now = table.now;
        let engine = table.machines[0].engine.as_mut().unwrap();
        let mut actions = Vec::new();
        engine.take(vec![overflow], now, &mut actions);
        table.act(0, &actions);
        assert!(table.banned(0, EVIL).is_some(), "it is acted upon");
        assert_eq!(table.quality(1) > before, !is_primed, "{is_primed}");
        table.run(MINUTE * 6);
        let said = table.public_reports(0);
        assert_eq!(said.len(), expected, "{is_primed}: {said:?}");
        table.unban(0, EVIL, false);
    }
}

#[test]
fn friends_of_friends_have_room_apart_from_strangers() {
    let mut table = friends(2);
    let [honest, stranger] = [0x71, 0x72].map(|number| Keypair::from_secret(&[number; 32]));
    table.vouches(1, honest.id());
    table.run(MINUTE * 2);
    let standing = |table: &Table, who: &Keypair| table.mesh(0).standing(who.id());
    assert!(matches!(standing(&table, &honest), Standing::Vouched(1..)));
    assert_eq!(standing(&table, &stranger), Standing::Stranger);
    // Strangers say as much as they may; the friend's friend is heard all the same.
    let topic = Audience::Public.topic(Object::Report(report(EVIL, 1)).channel(), 1);
    let now = table.now;
    let hear = |table: &mut Table, who: &Keypair, n: u64| {
        let said = Report {
            slot: Slot::of(now),
            ..report(&format!("5.9.{}.{}", n / 250, n % 250), now.millis() + n)
        };
        let said = sign(who, Object::Report(said), Audience::Public);
        let from = table.machines[usize::try_from(n % 2).unwrap() + 1].transport;
        table.frame(0, from, &topic, said.bytes())
    };
    let mut heard = 0;
    for n in 1..4_000 {
        // The peers that hand it on are not slowed down themselves.
        table.now = table.now + Duration::from_millis(12);
        heard += u32::from(hear(&mut table, &stranger, n) == Judgement::Accept);
    }
    assert!(heard < 3_500, "strangers have their pool: {heard}");
    assert_eq!(hear(&mut table, &stranger, 4_001), Judgement::Ignore);
    assert_eq!(hear(&mut table, &honest, 4_002), Judgement::Accept);
    // Nor is anybody no stranger any more for whom nobody vouches.
    let friend = table.id(1);
    table.ask_mesh(0, MeshRequest::Revoke(friend));
    table.run(MINUTE * 2);
    assert_eq!(standing(&table, &honest), Standing::Stranger);
}

#[test]
fn thresholds_are_the_policys() {
    assert_eq!(numbers::BLOCK_PATHS, 3);
    assert_eq!(numbers::THROTTLE_PATHS, 2);
}

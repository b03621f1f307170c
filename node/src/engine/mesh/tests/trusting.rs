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

    fn says_object_refused(&mut self, n: usize, object: Object) {
        let said = sign(&self.keypair(n), object, Audience::Public);
        let topic = Audience::Public.topic(said.object().channel(), 1);
        let from = self.machines[n].transport;
        let verdict = self.frame(0, from, &topic, said.bytes());
        assert_ne!(verdict, Judgement::Accept);
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
fn the_members_of_a_circle_are_one_voice_and_new_ones_a_soft_one() {
    let mut table = Table::new(5);
    table.machines[0].settings.holdout = 0;
    table.restart(0);
    let (text, _) = table.invite(0, Relation::Circle, 10, HOUR);
    for member in 1..=4 {
        let progress = table.join(member, &text).unwrap();
        assert!(matches!(progress, Progress::Done(_)), "{progress:?}");
    }
    table.share(0, Consent::BOTH);
    table.run(MINUTE);
    let weights = |table: &Table| {
        let vouchees = table.engine(0).trust().unwrap().vouchees();
        let all = vouchees.map(|(_, vouchee)| (vouchee.kin, vouchee.weight));
        all.collect::<BTreeSet<_>>()
    };
    assert_eq!(weights(&table), [(lymph_trust::Kin::Member, 2_500)].into());
    for member in 1..=4 {
        table.says(member, EVIL);
    }
    assert_eq!(table.state(EVIL), PRIMED, "bad members are one liar");
    (1..=4).for_each(|member| table.kill(member));
    (0..15).for_each(|_| table.run(HOUR * 24));
    assert_eq!(weights(&table), [(lymph_trust::Kin::Member, 10_000)].into());
    table.restart(0);
    assert_eq!(weights(&table), [(lymph_trust::Kin::Member, 10_000)].into());
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

/// A sibling's old ban, and one that was decided before a restart: what rests on somebody ends with the belief in them.
#[test]
fn what_stands_for_long_ends_with_the_belief_too() {
    let mut table = friends(3);
    let sibling = table.add(MeshLimits::default());
    table.pair(0, sibling, Relation::Fleet);
    let said = Report {
        slot: Slot::of(table.now),
        ttl_hours: 168,
        ..report("5.9.1.9", table.now.millis() + 1)
    };
    let fleet = table.mesh(0).fleet().unwrap();
    let object = sign(&table.keypair(sibling), Object::Report(said), fleet);
    let topic = fleet.topic(object.object().channel(), 1);
    let sealed = table.mesh(sibling).fleet.as_ref().unwrap().secret.clone();
    let sealed = sealed.seal(object.bytes());
    let from = table.machines[sibling].transport;
    assert_eq!(table.frame(0, from, &topic, &sealed), Judgement::Accept);
    assert!(table.banned(0, "5.9.1.9").is_some());
    table.kill(sibling);
    (0..3).for_each(|_| table.run(HOUR * 24));
    assert!(
        table.banned(0, "5.9.1.9").is_some(),
        "it holds as long as it lives"
    );
    let id = table.id(sibling);
    table.ask_mesh(0, MeshRequest::Expel(id, [9; 32]));
    table.tick();
    assert_eq!(
        table.banned(0, "5.9.1.9"),
        None,
        "and ends with the sibling"
    );

    // Shut out before a restart, and one of the three is believed no longer after it.
    for friend in [1, 2, 3] {
        table.says(friend, EVIL);
    }
    assert!(table.banned(0, EVIL).is_some());
    table.restart(0);
    table.tick();
    assert!(table.banned(0, EVIL).is_some(), "a restart lifts nothing");
    let friend = table.id(1);
    table.ask_mesh(0, MeshRequest::Revoke(friend));
    table.tick();
    assert_eq!(table.banned(0, EVIL), None);
}

#[test]
fn what_was_decided_before_a_restart_is_looked_at_once_it_is_heard_again() {
    for (again, expected) in [(2, false), (3, true), (0, true)] {
        let mut table = friends(3);
        for friend in [1, 2, 3] {
            table.says(friend, EVIL);
        }
        table.restart(0);
        // Nobody else is there to hand over what was said.
        (1..=3).for_each(|friend| table.kill(friend));
        for friend in 1..=again {
            table.says(friend, EVIL);
        }
        table.run(MINUTE * 16);
        assert_eq!(
            table.banned(0, EVIL).is_some(),
            expected,
            "{again} say so again"
        );
    }
}

#[test]
fn strangers_bring_nothing_back_that_the_operator_lifted() {
    let mut table = friends(4);
    for friend in [1, 2, 3, 4] {
        table.says(friend, EVIL);
    }
    table.unban(0, EVIL, false);
    let now = table.now;
    for number in 0..20 {
        let said = Report {
            slot: Slot::of(now),
            ..report(EVIL, now.millis() + 60_000)
        };
        let engine = table.machines[0].engine.as_mut().unwrap();
        let stranger = Keypair::from_secret(&[0xa0 + number; 32]).id();
        let mut actions = Vec::new();
        engine.weigh_report(stranger, &said, now, &mut actions);
        table.act(0, &actions);
    }
    assert!(!table.throttled(EVIL) && table.banned(0, EVIL).is_none());
    // Nor do those who were just said to be wrong, within the same command.
    let mut table = friends(4);
    for (friend, day) in [(1, 1), (2, 1), (1, 2), (2, 2)] {
        let who = format!("5.{}.1.1", 20 + day);
        table.says(friend, &who);
        table.detect(0, &who);
        table.unban(0, &who, false);
    }
    for friend in [1, 2, 3, 4] {
        table.says(friend, EVIL);
    }
    table.unban(0, EVIL, true);
    assert!(!table.throttled(EVIL) && table.banned(0, EVIL).is_none());
}

#[test]
fn a_slowed_attacker_is_still_news_to_others() {
    let mut table = friends(2);
    for friend in [1, 2] {
        table.says_as(friend, EVIL, Family::WEB_SCAN, Evidence::Handshake);
    }
    assert!(table.throttled(EVIL));
    table.detect(0, EVIL);
    table.run(MINUTE * 6);
    assert_eq!(table.public_reports(0).len(), 1);
}

#[test]
fn dead_keys_of_strangers_leave_room_for_those_that_count() {
    let mut table = friends(1);
    let [near, stranger] = [0x71, 0x72].map(|number| Keypair::from_secret(&[number; 32]));
    table.vouches(1, near.id());
    table.run(MINUTE * 2);
    let kill = Object::Kill(Kill {
        issued: Minute::of(table.now),
        successor: None,
    });
    let engine = table.machines[0].engine.as_mut().unwrap();
    let mesh = engine.mesh.as_mut().unwrap();
    for n in 0..4_096_u32 {
        let mut id = [3; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let none = Kill {
            issued: Minute(1),
            successor: None,
        };
        mesh.dead.insert(NodeId::from_bytes(id), none);
    }
    for (key, is_heard) in [(&stranger, false), (&near, true)] {
        let said = sign(key, kill.clone(), Audience::Public);
        let topic = Audience::Public.topic(said.object().channel(), 1);
        let from = table.machines[1].transport;
        table.frame(0, from, &topic, said.bytes());
        let is_dead = table.mesh(0).standing(key.id()) == Standing::Muted;
        assert_eq!(is_dead, is_heard);
    }
    assert!(table.mesh(0).dead.len() <= 4_096);
    table.restart(0);
    assert_eq!(
        table.mesh(0).standing(near.id()),
        Standing::Muted,
        "and it is kept"
    );
}

#[test]
fn who_says_two_things_is_not_believed_again_after_a_restart() {
    let mut table = friends(1);
    // The one that was said first lives longer.
    for (weight, hours) in [(10_000, 24), (5_000, 1)] {
        let vouch = Vouch {
            subject: NodeId::from_bytes([8; 32]),
            degree: Degree::Friend,
            weight: VouchWeight(weight),
            issued: Minute::of(table.now),
            expires: Minute::of(table.now + HOUR * hours),
            seq: NOW.millis() + 7,
        };
        let said = sign(&table.keypair(1), Object::Vouch(vouch), Audience::Public);
        let topic = Audience::Public.topic(said.object().channel(), 1);
        let from = table.machines[1].transport;
        table.frame(0, from, &topic, said.bytes());
    }
    let liar = table.id(1);
    assert_eq!(table.mesh(0).standing(liar), Standing::Muted);
    table.restart(0);
    table.run(HOUR * 3);
    assert_eq!(table.mesh(0).standing(liar), Standing::Muted);
    table.says_object_refused(1, Object::Report(report(EVIL, NOW.millis() + 9)));
    assert_eq!(table.level(EVIL), Level::Clear);
}

#[test]
fn what_is_no_longer_listened_to_does_nothing_and_what_was_there_counts_when_it_is() {
    let mut table = friends(3);
    for friend in [1, 2, 3] {
        table.says(friend, EVIL);
    }
    assert_eq!(table.state(EVIL), BLOCKED);
    let publish = Consent {
        publish: true,
        consume: false,
    };
    table.share(0, publish);
    table.tick();
    assert_eq!(table.state(EVIL), CLEAR);
    table.share(0, Consent::BOTH);
    table.tick();
    assert_eq!(table.state(EVIL), BLOCKED);
}

#[test]
fn the_clock_is_put_right_and_what_was_primed_is() {
    for (step, is_ahead, expected) in [
        (SECOND, true, PRIMED),
        (HOUR, true, PRIMED),
        // By the right clock the report is long over.
        (HOUR * 24 * 100, true, CLEAR),
        (HOUR * 24, false, PRIMED),
    ] {
        let mut table = friends(3);
        table.says(1, EVIL);
        assert_eq!(table.state(EVIL), PRIMED);
        let before = table.now;
        table.now = match is_ahead {
            true => table.now + step,
            false => table.now - step,
        };
        table.handle(0, EngineInput::ClockStepped { before });
        table.tick();
        assert_eq!(table.state(EVIL), expected, "{step:?} {is_ahead}");
        (1..=3).for_each(|friend| table.kill(friend));
        (0..4).for_each(|_| table.run(HOUR * 24));
        assert_eq!(table.state(EVIL), CLEAR, "it ends: {step:?} {is_ahead}");
    }
}

#[test]
fn thresholds_are_the_policys() {
    assert_eq!(numbers::BLOCK_PATHS, 3);
    assert_eq!(numbers::THROTTLE_PATHS, 2);
}

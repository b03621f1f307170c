//! What nobody can make a node do, whatever they send.

use std::collections::BTreeMap;

use lymph_protocol::Timestamp;
use lymph_trust::policy::RECORDS_MAX;
use lymph_trust::{Kin, Level, Voice};

use crate::world::{DAY, HOUR, START, World, node, statement, subject, voice};

#[test]
fn that_strangers_are_barred_costs_nothing_and_holds_once_somebody_vouches_for_them() {
    let mut world = World::with_friends(1..=3);
    for about in 0..50 {
        world.reports(1..=3, about);
    }
    world.wait(HOUR);
    // Of the half of them something is known, but nobody vouches for them whom this node hears.
    for stranger in 1_000..1_100 {
        world.vouch(stranger, stranger + 1_000);
        world.vouch(stranger + 1_000, stranger);
        world.report(stranger, 7);
    }
    world.wait(HOUR);
    let (version, due) = (world.trust.version(), world.trust.next_deadline());
    for stranger in 1_000..1_200 {
        world.trust.bar(node(stranger), world.now + DAY);
    }
    world.trust.branches();
    assert_eq!(world.trust.version(), version);
    assert_eq!(world.trust.next_deadline(), due);

    world.vouch(1, 1_000);
    world.vouch(2, 1_199);
    assert_eq!(world.trust.weights(node(1_000)).len(), 0);
    assert_eq!(world.trust.weights(node(2_000)).len(), 0);
    assert_eq!(world.trust.weights(node(1_199)).len(), 0);
    world.wait(2 * DAY);
    assert_eq!(world.trust.weights(node(1_000)).len(), 1);
    assert_eq!(world.trust.weights(node(2_000)).len(), 1);
    assert_eq!(world.trust.weights(node(1_199)).len(), 1);
    // Who is heard is heard no longer.
    world.trust.bar(node(1_000), Timestamp::MAX);
    assert_eq!(world.trust.weights(node(1_000)).len(), 0);
    assert_eq!(world.trust.weights(node(2_000)).len(), 0);
}

#[test]
fn however_much_rests_on_somebody_it_is_looked_at_in_parts_and_at_once() {
    let mut world = World::with_friends(1..=8);
    for about in 0..2_000 {
        world.reports(1..=3, about);
    }
    world.wait(HOUR);
    world.trust.revoke(node(1));
    let changes = world.trust.tick(world.now);
    assert!((1..2_000).contains(&changes.len()), "{}", changes.len());
    assert!(world.trust.next_deadline() <= Some(world.now));
    world.settle();
    for about in 0..2_000 {
        assert_eq!(world.level(about), Level::Throttle, "{about}");
    }
}

#[test]
fn whatever_changes_between_two_looks_weighs_as_if_it_had_always_been_so() {
    let mut chance = 1_u64;
    let mut draw = |most: u32| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005) + 1;
        (chance >> 33) as u32 % most
    };
    let mut world = World::with_friends(1..=3);
    world.kin(4, Kin::Member, 5_000);
    let (mut said, mut barred) = (Vec::new(), BTreeMap::new());
    for turn in 0..300 {
        // Everybody is weighed, then several change at once.
        for peer in 1..=30 {
            world.trust.weights(node(peer));
        }
        for _ in 0..=draw(4) {
            let seq = world.next_seq();
            let weight = [0, 5_000, 10_000][draw(3) as usize];
            let statement = statement(1 + draw(30), 1 + draw(30), weight, seq);
            world.trust.hear_vouch(&statement, world.now);
            said.push(statement);
        }
        if turn % 10 == 0 {
            let (peer, until) = (5 + draw(26), world.now + HOUR * draw(40));
            world.trust.bar(node(peer), until);
            let known = barred.entry(peer).or_insert(until);
            *known = until.max(*known);
        }
        world.wait(HOUR / 10);
        let mut fresh = World::with_friends(1..=3);
        fresh.kin(4, Kin::Member, 5_000);
        fresh.now = world.now;
        for statement in &said {
            fresh.trust.hear_vouch(statement, world.now);
        }
        barred.retain(|_, until| *until > world.now);
        for peer in barred.keys() {
            fresh.trust.mute(node(*peer), true);
        }
        for peer in 1..=30 {
            let (is, expected) = (
                world.trust.weights(node(peer)),
                fresh.trust.weights(node(peer)),
            );
            assert_eq!(is, expected, "{peer} in turn {turn}");
        }
    }
}

#[test]
fn one_corrupt_friend_leaves_the_others_room() {
    let mut world = World::with_friends(1..=8);
    let room = 10_000;
    world.trust.set_room(room);
    world.reports(2..=4, 0);
    // As many as there are, for as long as can be.
    let flood = |world: &mut World, by: u32, addresses: std::ops::Range<u32>| {
        for about in addresses {
            let expires = world.now + 7 * DAY;
            let voice = voice(by, world.next_seq(), world.now);
            world.hear(about, Voice { expires, ..voice });
        }
    };
    flood(&mut world, 1, 1..20_000);
    let of = |world: &World, by: u32| {
        let said = |about: &u32| {
            let mut voices = world.trust.voices(subject(*about));
            voices.any(|voice| voice.by == node(by))
        };
        (0..40_000).filter(said).count()
    };
    assert_eq!((of(&world, 1), of(&world, 2)), (room / 32, 1));
    assert_eq!(world.trust.reports(), room / 32 + 3);
    world.wait(HOUR);
    assert_eq!(world.level(0), Level::Block);
    // Who weighs less has less of it.
    world.vouch(2, 9);
    flood(&mut world, 9, 20_000..21_000);
    assert_eq!(of(&world, 9), 64);
    // Who is believed no longer gives way to everybody.
    for (by, how) in [(1, 0), (5, 1), (6, 2)] {
        flood(&mut world, by, 20_000..20_300);
        world.trust.set_room(world.trust.reports());
        match how {
            0 => world.trust.mute(node(by), true),
            1 => world.trust.bar(node(by), Timestamp::MAX),
            _ => world.trust.revoke(node(by)),
        }
        let believed_no_longer = |world: &World| of(world, 1) + of(world, 5) + of(world, 6);
        let before = (believed_no_longer(&world), of(&world, 2));
        flood(&mut world, 7, 30_000 + 10 * by..30_010 + 10 * by);
        let after = (believed_no_longer(&world), of(&world, 2));
        assert_eq!(after, (before.0 - 10, before.1), "{by}");
        world.trust.set_room(room);
    }
}

#[test]
fn only_whose_word_counts_makes_news() {
    let mut world = World::with_friends(1..=8);
    for (by, about) in [(1, 1), (1, 2), (2, 2), (1, 3), (2, 3), (3, 3)] {
        world.report(by, about);
    }
    let refuted = world.trust.refute(subject(1), world.now);
    assert_eq!(refuted, [node(1)]);
    for (about, level) in [(2, Level::Prime), (3, Level::Throttle)] {
        world.settle();
        assert_eq!(world.level(about), level);
    }
    for by in 4..=6 {
        world.report(by, 4);
    }
    assert_eq!(world.level(4), Level::Block);
    for about in 2..=4 {
        // A stranger, somebody who was wrong, what anybody can have sent.
        for (by, is_spoofable) in [(100, false), (1, false), (7, true)] {
            for _ in 0..2 {
                let said = Voice {
                    is_spoofable,
                    ..voice(by, world.next_seq(), world.now)
                };
                let change = world.hear(about, said);
                assert_eq!(change, None, "{by} of {about}");
            }
        }
        let said = voice(5, world.next_seq(), world.now);
        assert!(world.hear(about, said).is_some(), "{about}");
    }
}

/// What the credits are worth that a node has.
fn worth(world: &World, of: u32) -> u32 {
    let record = world.trust.record(node(of));
    let credits = record.into_iter().flat_map(|record| record.credits());
    credits.map(|credit| credit.worth).sum()
}

#[test]
fn a_crowd_takes_no_credit_from_those_who_are_heard_and_little_memory() {
    let mut world = World::with_friends(1..=3);
    let soon = std::time::Duration::from_secs(1);
    for stranger in 100..150 {
        world.report(stranger, 1);
        world.wait(soon);
    }
    // Nor does what could itself not be credited.
    let spoofable = Voice {
        is_spoofable: true,
        ..voice(2, world.next_seq(), world.now)
    };
    world.hear(1, spoofable);
    world.wait(soon);
    world.report(1, 1);
    world.wait(soon);
    world.report(3, 1);
    world.wait(soon);
    let credited = world.trust.confirm(subject(1), world.now);
    assert_eq!(credited.len(), 8 + 2);
    assert_eq!(world.trust.records().count(), 10);
    assert_eq!(worth(&world, 1), 1 << 16);
    assert_eq!(worth(&world, 2), 0);
    assert_eq!(worth(&world, 3), 46_340);
    assert_eq!(worth(&world, 100), 1 << 16, "the first of all");
    assert!((108..150).all(|late| worth(&world, late) == 0));
    // Strangers' records are small, however often they are right.
    for about in 0..100 {
        world.reports([1, 100], 256 * about);
        world.trust.confirm(subject(256 * about), world.now);
    }
    let credits = |of| world.trust.record(node(of)).unwrap().credits().count();
    assert_eq!((credits(1), credits(100)), (101, 32));
}

#[test]
fn whose_record_is_dropped_is_told_once() {
    let mut world = World::with_friends(1..=3);
    world.reports([1, 2, 100], 1);
    world.trust.confirm(subject(1), world.now);
    assert_eq!(world.trust.take_forgotten(), []);
    world.wait(80 * DAY);
    world.reports([1], 2);
    world.trust.confirm(subject(2), world.now);
    world.wait(5 * DAY);
    world.trust.tick(world.now);
    world.now = world.now + HOUR;
    world.trust.tick(world.now);
    let mut gone = vec![node(2), node(100)];
    gone.sort_unstable();
    assert_eq!(world.trust.take_forgotten(), gone);
    assert_eq!(world.trust.take_forgotten(), []);
    // For lack of room; and who has a record again has not lost it.
    let one = world.trust.record(node(1)).unwrap().clone();
    let now = world.now;
    for stranger in 0..RECORDS_MAX as u32 {
        world
            .trust
            .restore_record(node(1_000 + stranger), one.clone(), now);
    }
    let kept = world.trust.records().count();
    for stranger in 0..RECORDS_MAX as u32 {
        let node = node(1_000 + stranger);
        if world.trust.record(node).is_none() {
            world.trust.restore_record(node, one.clone(), now);
            break;
        }
    }
    let gone = world.trust.take_forgotten();
    assert_eq!(gone.len() + kept, RECORDS_MAX);
    assert!(gone.iter().all(|node| world.trust.record(*node).is_none()));
}

#[test]
fn what_was_noted_down_by_a_wrong_clock_moves_along_with_it() {
    let days = |days: u32| START + DAY * days;
    // Put right after a boot in 1970, an hour ahead, a few minutes behind, and back from next year.
    for (before, now) in [
        (Timestamp::from_secs(3_600), START),
        (START, START + HOUR),
        (START + HOUR / 10, START),
        (days(400), START),
    ] {
        let mut world = World::with_friends(1..=8);
        world.now = before;
        for by in 1..=3 {
            let said_at = before.max(now);
            let voice = voice(by, world.next_seq(), before);
            world.hear(1, Voice { said_at, ..voice });
        }
        world.trust.bar(node(8), before + HOUR);
        world.trust.bar(node(7), days(5_000));
        world.trust.bar(node(6), Timestamp::MAX);
        world.settle();
        assert_eq!(world.level(1), Level::Block);
        world.trust.clock_stepped(before, now);
        world.now = now;
        world.settle();
        assert_eq!(world.level(1), Level::Block, "{before} {now}");
        assert_eq!(world.trust.since(subject(1)), Some(now));
        for voice in world.trust.voices(subject(1)) {
            assert_eq!((voice.heard_at, voice.expires), (now, now + DAY));
        }
        for (wait, heard) in [(0, [0, 0, 0]), (61, [1, 0, 0])] {
            world.wait(HOUR / 60 * wait);
            let weights = [8, 7, 6].map(|by| world.trust.weights(node(by)).len());
            assert_eq!(weights, heard, "{before} {now}");
        }
        // It is looked at in time, and ends in time.
        world.wait(3 * DAY);
        assert_eq!(world.level(1), Level::Clear);
    }
}

#[test]
fn a_clock_that_jumps_ahead_makes_nobody_forgotten_at_once() {
    let mut world = World::with_friends(1..=3);
    world.vouch(1, 9);
    world.reports([1], 1);
    world.trust.confirm(subject(1), world.now);
    world.settle();
    let knows = |world: &mut World| {
        (
            world.trust.weights(node(9)).len(),
            world.trust.records().count(),
        )
    };
    let before = world.now;
    world.now = before + 400 * DAY;
    world.trust.tick(world.now);
    world.settle();
    assert_eq!(knows(&mut world), (1, 1));
    assert!(world.trust.next_deadline() > Some(world.now));
    world.wait(HOUR / 2);
    assert_eq!(knows(&mut world), (1, 1));
    // It goes back.
    world.now = before + HOUR;
    world.trust.tick(world.now);
    world.wait(DAY);
    assert_eq!(knows(&mut world), (1, 1));
    // It stays.
    world.now = before + 400 * DAY;
    world.trust.tick(world.now);
    world.wait(HOUR);
    assert_eq!(knows(&mut world), (0, 0));
}

#[test]
fn what_is_not_kept_is_forgotten_with_all_that_rests_on_it() {
    let mut world = World::with_friends(1..=4);
    for about in 0..1_200 {
        world.reports(1..=3, about);
    }
    world.report(3, 2_000);
    world.report(100, 2_001);
    world.report(4, 0);
    world.wait(HOUR);
    world
        .trust
        .keep_voices(|voice| voice.by != node(3) && voice.by != node(100));
    assert_eq!(world.trust.reports(), 2 * 1_200 + 1);
    assert!(world.trust.next_deadline() <= Some(world.now));
    world.settle();
    assert_eq!(world.level(0), Level::Block);
    assert!((1..1_200).all(|about| world.level(about) == Level::Throttle));
    assert_eq!(world.level(2_000), Level::Clear);
    assert_eq!(world.trust.voices(subject(2_001)).count(), 0);
    // They may say it again.
    assert_eq!(world.report(3, 1), Level::Block);
}

#[test]
fn what_others_say_through_a_sibling_blocks_nobody() {
    // Whom one's own machines vouch for: 11, 12 and 13, whoever they are.
    let mut world = World::with_friends(4..=5);
    for sibling in 1..=3 {
        world.kin(sibling, Kin::Sibling, 10_000);
        world.vouch(sibling, 10 + sibling);
    }
    let standing = world.trust.standing();
    assert_eq!((standing.branches, standing.siblings), (2, 3));
    assert_eq!(standing.must_be_fooled, None);
    assert_eq!(world.reports(11..=13, 1), Level::Throttle);
    assert_eq!(world.reports(4..=5, 1), Level::Throttle);
    let assessment = world.trust.assess(subject(1), world.now);
    assert_eq!((assessment.paths, assessment.strict_paths), (5, 2));
    assert!(assessment.strict < assessment.evidence);
    // Their own word does, and what is said through a friend as well.
    assert_eq!(world.report(1, 2), Level::Block);
    world.kin(6, Kin::Friend, 10_000);
    world.vouch(6, 13);
    world.settle();
    assert_eq!(world.level(1), Level::Block);
    assert_eq!(world.trust.standing().must_be_fooled, Some(3));
}

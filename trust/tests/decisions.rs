//! Who can have an address blocked, and who cannot.

use lymph_protocol::family::Family;
use lymph_trust::{Kin, Level, Rule};

use crate::world::{DAY, HOUR, World, node, subject, voice};

#[test]
fn of_eight_friends_the_first_primes_the_second_throttles_the_third_blocks() {
    let mut world = World::with_friends(1..=8);
    assert_eq!(world.report(1, 1), Level::Prime);
    assert_eq!(world.report(2, 1), Level::Throttle);
    assert_eq!(world.report(3, 1), Level::Block);
    let assessment = world.trust.assess(subject(1), world.now);
    assert_eq!(assessment.rule, Some(Rule::Paths));
    assert_eq!(assessment.strict_paths, 3);
}

#[test]
fn who_takes_back_one_report_by_many_ways_refutes_nobody() {
    // 9 is heard through three friends.
    let mut world = World::with_friends(1..=4);
    for friend in 1..=3 {
        world.vouch(friend, 9);
    }
    assert_eq!(world.reports([9, 1, 2, 3, 4], 1), Level::Block);
    assert_eq!(world.retract(9, 1), []);
    // Of three who share nobody it counts, and all are held to have been wrong.
    assert_eq!(world.retract(1, 1), []);
    assert_eq!(world.retract(2, 1).len(), 5);
    assert!(world.trust.quality(node(4), world.now, world.now).to_f64() < 0.01);
}

#[test]
fn a_crowd_that_weighs_little_keeps_nobody_from_being_heard() {
    // 9 was fooled by a crowd, which reports its own address under every name that there is.
    let mut world = World::with_friends(1..=8);
    world.vouch(1, 9);
    for sybil in 0..4 {
        world.vouch(9, 100 + sybil);
    }
    for sybil in 0..4 {
        for family in 0..=255 {
            let seq = world.next_seq();
            let family = Family::from_number(family);
            world.hear(
                1,
                lymph_trust::Voice {
                    family,
                    ..voice(100 + sybil, seq, world.now)
                },
            );
        }
    }
    assert!(world.trust.voices(subject(1)).count() <= lymph_trust::policy::VOICES_MAX);
    assert_eq!(world.reports(2..=4, 1), Level::Block);
}

#[test]
fn a_crowd_that_weighs_little_pushes_nobody_out_who_weighs_more() {
    let mut world = World::with_friends(1..=8);
    world.trust.set_room(100);
    world.vouch(1, 9);
    for sybil in 0..4 {
        world.vouch(9, 100 + sybil);
    }
    assert_eq!(world.reports(2..=4, 1), Level::Block);
    for about in 2..300 {
        let seq = world.next_seq();
        let late = lymph_trust::Voice {
            expires: world.now + 7 * DAY,
            ..voice(100 + about % 4, seq, world.now)
        };
        world.hear(about, late);
    }
    assert_eq!(world.trust.reports(), 100);
    world.wait(HOUR);
    assert_eq!(world.level(1), Level::Block);
}

#[test]
fn a_block_lasts_no_longer_than_the_reports_that_it_rests_on() {
    // A sibling's own report, not that of whoever says so too.
    let mut world = World::with_friends([1]);
    world.kin(5, Kin::Sibling, 10_000);
    let (one, two) = (world.next_seq(), world.next_seq());
    let week = world.now + 7 * DAY;
    world.hear(
        1,
        lymph_trust::Voice {
            expires: week,
            ..voice(1, one, world.now)
        },
    );
    let hour = world.now + HOUR;
    let change = world.hear(
        1,
        lymph_trust::Voice {
            expires: hour,
            ..voice(5, two, world.now)
        },
    );
    assert_eq!(
        change.map(|change| (change.to, change.until)),
        Some((Level::Block, hour))
    );

    // The third of those whose evidence blocks, not of those who saw something that a page can cause.
    let mut world = World::with_friends(1..=8);
    let web = |world: &mut World, by: u32| {
        let seq = world.next_seq();
        let (family, expires) = (Family::WEB_SCAN, world.now + 7 * DAY);
        world.hear(
            1,
            lymph_trust::Voice {
                family,
                expires,
                ..voice(by, seq, world.now)
            },
        );
    };
    for by in 4..=8 {
        web(&mut world, by);
    }
    let mut until = None;
    for by in 1..=3 {
        let seq = world.next_seq();
        let expires = world.now + HOUR * by;
        until = world.hear(
            1,
            lymph_trust::Voice {
                expires,
                ..voice(by, seq, world.now)
            },
        );
    }
    let until = until.map(|change| (change.to, change.until));
    assert_eq!(until, Some((Level::Block, world.now + HOUR)));
}

#[test]
fn what_anybody_can_have_sent_makes_no_other_report_last_longer() {
    let mut world = World::with_friends(1..=8);
    let hour = world.now + HOUR;
    for by in 1..=3 {
        let (one, two) = (world.next_seq(), world.next_seq());
        let spoofable = lymph_trust::Voice {
            family: Family::DNS,
            is_spoofable: true,
            expires: world.now + 7 * DAY,
            ..voice(by, one, world.now)
        };
        world.hear(1, spoofable);
        world.hear(
            1,
            lymph_trust::Voice {
                expires: hour,
                ..voice(by, two, world.now)
            },
        );
    }
    assert_eq!(world.level(1), Level::Block);
    assert_eq!(world.trust.assess(subject(1), world.now).until, hour);
}

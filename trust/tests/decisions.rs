//! Who can have an address blocked, and who cannot.

use lymph_protocol::family::Family;
use lymph_trust::policy::RECORDS_MAX;
use lymph_trust::record::{Credit, Network};
use lymph_trust::{Graph, Kin, Level, Parameters, Record, Rule, Trust};

use crate::world::{DAY, HOUR, World, node, statement, subject, voice};

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

/// A node in a graph with little room.
fn cramped(nodes: usize, vouches: usize) -> World {
    let parameters = Parameters::default();
    let graph = Graph::new(&parameters).with_room(nodes, vouches);
    let mut world = World::new();
    world.trust = Trust::with_graph(node(0), parameters, graph);
    world
}

#[test]
fn revocations_of_strangers_take_nobodys_place() {
    let mut world = cramped(1_000, 200);
    for friend in 1..=3 {
        world.kin(friend, Kin::Friend, 10_000);
        world.vouch(friend, 10 + friend);
    }
    for about in 0..400 {
        let seq = world.next_seq();
        world.trust.hear_vouch(
            &statement(500 + about / 100, 600 + about, 0, seq),
            world.now,
        );
    }
    for friend in 1..=3 {
        world.vouch(friend, 20 + friend);
        world.vouch(20 + friend, 30 + friend);
    }
    world.settle();
    for known in [11, 12, 13, 21, 22, 23, 31, 32, 33] {
        assert!(!world.trust.weights(node(known)).is_empty(), "{known}");
    }
}

#[test]
fn nobody_takes_the_place_of_somebody_nearer() {
    let mut world = cramped(1_000, 40);
    world.kin(1, Kin::Friend, 10_000);
    world.vouch(1, 2);
    world.vouch(2, 3);
    for sybil in 0..100 {
        let seq = world.next_seq();
        world
            .trust
            .hear_vouch(&statement(3, 100 + sybil, 10_000, seq), world.now);
        world
            .trust
            .hear_vouch(&statement(100 + sybil, 300 + sybil, 10_000, seq), world.now);
    }
    assert_eq!(world.trust.graph().vouches_of(node(1)).count(), 1);
    assert_eq!(world.trust.graph().vouches_of(node(2)).count(), 1);
    assert!(world.trust.graph().statements() <= 40);
}

#[test]
fn who_found_no_place_in_a_full_graph_is_heard_or_muted_when_there_is_one() {
    let mut world = cramped(3, 100);
    world.vouch(8, 9);
    // Nobody's words can be forgotten for these: nobody has said anything but 8, and then nobody at all.
    world.kin(1, Kin::Friend, 10_000);
    world.kin(2, Kin::Friend, 10_000);
    world.kin(3, Kin::Friend, 10_000);
    world.trust.mute(node(4), true);
    assert_eq!(world.trust.branches().len(), 2);
    world.trust.revoke(node(1));
    assert_eq!(world.trust.branches().len(), 2);
    world.trust.revoke(node(2));
    world.vouch(3, 4);
    assert_eq!(world.trust.weights(node(4)).len(), 0);
    assert_eq!(world.trust.weights(node(3)).len(), 1);
}

#[test]
fn who_was_wrong_is_not_forgotten_for_a_crowd() {
    let mut world = World::with_friends(1..=3);
    assert_eq!(world.reports(1..=3, 1), Level::Block);
    world.trust.revoke(node(3));
    assert_eq!(world.trust.refute(subject(1), world.now).len(), 3);
    world.now = world.now + DAY;
    let credit = Credit {
        day: 20_701,
        near: Network(1),
        worth: 65_536,
    };
    for stranger in 0..2 * RECORDS_MAX as u32 {
        let record = Record::restore(vec![credit], vec![]);
        world
            .trust
            .restore_record(node(1_000 + stranger), record, world.now);
    }
    assert!(world.trust.records().count() <= RECORDS_MAX);
    for liar in 1..=3 {
        assert!(world.trust.record(node(liar)).is_some(), "{liar}");
    }
}

#[test]
fn who_is_forgotten_has_earned_nothing() {
    let mut world = World::with_friends(1..=3);
    let credits = |ago: u32| {
        let of = |n: u64| Credit {
            day: 20_700 - ago + n as u32 * 2,
            near: Network(n << 8),
            worth: 65_536,
        };
        Record::restore((0..5).map(of).collect(), vec![])
    };
    world.trust.restore_record(node(9), credits(20), world.now);
    assert!(world.trust.earned().contains(&node(9)));
    for stranger in 0..RECORDS_MAX as u32 {
        world
            .trust
            .restore_record(node(1_000 + stranger), credits(8), world.now);
    }
    assert!(world.trust.record(node(9)).is_none());
    assert!(!world.trust.earned().contains(&node(9)));
}

#[test]
fn every_address_is_looked_at_again_however_often_vouches_change() {
    let mut world = World::with_friends(1..=4);
    // The last of many addresses is reported by three whom the friends do not know yet.
    for about in 0..2_000 {
        world.report(900, about);
    }
    assert_eq!(world.reports([11, 12, 13], 1_999), Level::Clear);
    for friend in 1..=3 {
        world.vouch(friend, 10 + friend);
    }
    for turn in 0..50 {
        world.vouch(4, 100 + turn);
        world.trust.tick(world.now);
    }
    assert_eq!(world.level(1_999), Level::Block);
}

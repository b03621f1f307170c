//! Who can have an address blocked, and who cannot.

use lymph_protocol::family::Family;
use lymph_trust::fixed::Fixed;
use lymph_trust::policy::RECORDS_MAX;
use lymph_trust::record::{Credit, Network};
use lymph_trust::{Branch, Graph, Kin, Level, Parameters, Record, Rule, Trust, Voice};

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
fn the_same_reports_are_judged_by_other_thresholds() {
    let mut world = World::with_friends(1..=8);
    world.reports(1..=3, 1);
    let assessment = world.trust.assess(subject(1), world.now);
    let default = Parameters::default();
    for (parameters, expected) in [
        (default, Level::Block),
        (
            Parameters {
                block_paths: 4,
                ..default
            },
            Level::Throttle,
        ),
        (
            Parameters {
                block_at: Fixed::ratio(7, 2),
                ..default
            },
            Level::Throttle,
        ),
        // What three of them say is less than one branch may.
        (
            Parameters {
                kappa: Some(Fixed::ratio(4, 1)),
                ..default
            },
            Level::Clear,
        ),
    ] {
        let level = assessment.level_under(&parameters, world.trust.branches());
        assert_eq!(level, expected, "{parameters:?}");
    }
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
                Voice {
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
        let late = Voice {
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
        Voice {
            expires: week,
            ..voice(1, one, world.now)
        },
    );
    let hour = world.now + HOUR;
    let change = world.hear(
        1,
        Voice {
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
            Voice {
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
            Voice {
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
        let spoofable = Voice {
            family: Family::DNS,
            is_spoofable: true,
            expires: world.now + 7 * DAY,
            ..voice(by, one, world.now)
        };
        world.hear(1, spoofable);
        world.hear(
            1,
            Voice {
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
fn a_crowd_that_weighs_little_gives_way_to_who_weighs_more_further_away() {
    let mut world = cramped(1_000, 40);
    world.kin(1, Kin::Friend, 10_000);
    world.kin(2, Kin::Friend, 10_000);
    for (issuer, about) in [(1, 11), (11, 12), (12, 13), (13, 14)] {
        world.vouch(issuer, about);
    }
    // 20 was fooled by a crowd, and is hardly believed itself.
    let seq = world.next_seq();
    world
        .trust
        .hear_vouch(&statement(2, 20, 100, seq), world.now);
    for sybil in 100..117 {
        world.vouch(20, sybil);
        world.vouch(sybil, sybil + 100);
    }
    for about in 0..10 {
        world.vouch(1, 300 + about);
    }
    for honest in [11, 12, 13] {
        assert_eq!(
            world.trust.graph().vouches_of(node(honest)).count(),
            1,
            "{honest}"
        );
    }
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

#[test]
fn two_friends_never_block_whatever_they_report_and_however_often() {
    let mut world = World::with_friends(1..=8);
    for _ in 0..50 {
        assert!(world.reports(1..=2, 1) <= Level::Throttle);
        world.wait(HOUR / 2);
    }
    assert_eq!(world.level(1), Level::Throttle);
    // And who has but two branches is never made to block.
    let mut world = World::with_friends(1..=2);
    assert_eq!(world.trust.standing().must_be_fooled, None);
    for member in 10..=20 {
        world.vouch(1, member);
        world.vouch(2, member);
    }
    assert_eq!(world.reports((1..=2).chain(10..=20), 1), Level::Throttle);
}

#[test]
fn a_revoked_vouch_lifts_at_once_what_rested_on_it() {
    // The third way leads through 3, whom the owner knows, to 30, and the vouch for 30 is taken back.
    let mut world = World::with_friends(1..=8);
    world.vouch(3, 30);
    assert_eq!(world.reports([1, 2, 30], 1), Level::Block);
    world.revoke(3, 30);
    let changes = world.wait(std::time::Duration::ZERO);
    assert_eq!(world.level(1), Level::Throttle);
    let lifted = changes.iter().map(|change| (change.from, change.to));
    assert_eq!(
        lifted.collect::<Vec<_>>(),
        [(Level::Block, Level::Throttle)]
    );
    // The same by the owner's own word, and by muting.
    assert_eq!(world.report(4, 1), Level::Block);
    world.trust.revoke(node(4));
    world.settle();
    assert_eq!(world.level(1), Level::Throttle);
    assert_eq!(world.report(5, 1), Level::Block);
    world.trust.mute(node(1), true);
    world.settle();
    assert_eq!(world.level(1), Level::Throttle);
    world.trust.mute(node(1), false);
    world.settle();
    assert_eq!(world.level(1), Level::Block);
    world.trust.bar(node(2), lymph_protocol::Timestamp::MAX);
    world.settle();
    assert_eq!(world.level(1), Level::Throttle);
}

#[test]
fn two_thousand_false_nodes_block_behind_three_fooled_friends_and_never_behind_two() {
    for (fooled, expected) in [(1, Level::Prime), (2, Level::Throttle), (3, Level::Block)] {
        let mut world = World::with_friends(1..=8);
        for sybil in 0..2_000 {
            if sybil < 200 {
                world.vouch(1 + sybil % fooled, 100 + sybil);
            }
            world.vouch(100 + sybil, 100 + (sybil + 1) % 2_000);
            world.vouch(100 + sybil, 100 + (sybil * 7 + 3) % 2_000);
        }
        let reporters = (1..=fooled).chain(100..2_100);
        assert_eq!(world.reports(reporters, 1), expected, "{fooled}");
    }
}

#[test]
fn members_of_a_circle_are_one_branch() {
    let mut world = World::new();
    for member in 1..=20 {
        world.kin(member, Kin::Member, 2_500);
    }
    assert_eq!(world.trust.branches().len(), 1);
    assert_eq!(world.reports(1..=20, 1), Level::Prime);
    world.kin(30, Kin::Friend, 10_000);
    world.kin(31, Kin::Friend, 10_000);
    assert_eq!(world.report(30, 1), Level::Throttle);
    assert_eq!(world.report(31, 1), Level::Block);
}

#[test]
fn a_siblings_own_report_blocks_and_no_other_through_it() {
    let check = |voices: &[(u32, Family)], expected: Option<Rule>| {
        let mut world = World::with_friends(2..=4);
        world.kin(1, Kin::Sibling, 10_000);
        world.vouch(1, 10);
        for (by, family) in voices {
            let seq = world.next_seq();
            world.hear(
                1,
                Voice {
                    family: *family,
                    ..voice(*by, seq, world.now)
                },
            );
        }
        let assessment = world.trust.assess(subject(1), world.now);
        assert_eq!(assessment.rule, expected, "{voices:?}");
        assert_eq!(world.level(1), assessment.level);
    };
    check(&[(1, Family::SSH_AUTH)], Some(Rule::Sibling(node(1))));
    check(&[(1, Family::WEB_SCAN)], Some(Rule::Sibling(node(1))));
    check(&[(10, Family::SSH_AUTH)], Some(Rule::Evidence));
    check(
        &[(2, Family::SSH_AUTH), (10, Family::SSH_AUTH)],
        Some(Rule::TwoPaths),
    );
}

#[test]
fn what_a_page_can_cause_primes_and_throttles_and_never_blocks() {
    for (family, expected) in [
        (Family::SSH_AUTH, Level::Block),
        (Family::EXPLOIT, Level::Block),
        (Family::WEB_SCAN, Level::Throttle),
        (Family::WEB_AUTH, Level::Throttle),
        (Family::WEB_EXPLOIT, Level::Throttle),
        (Family::WEB_FLOOD, Level::Throttle),
    ] {
        let mut world = World::with_friends(1..=8);
        for by in 1..=8 {
            let seq = world.next_seq();
            world.hear(
                1,
                Voice {
                    family,
                    ..voice(by, seq, world.now)
                },
            );
        }
        assert_eq!(world.level(1), expected, "{family}");
    }
}

#[test]
fn a_level_holds_until_half_of_what_it_took_is_gone() {
    // Capped at kappa each, three friends' evidence stays so until a newcomer's 11/21 has become 0.04: for 22 hours. It is
    // half of 2.5 kappa when it is 0.0167 each: 29.8 hours; half of kappa after 34.6.
    let mut world = World::with_friends(1..=8);
    for by in 1..=3 {
        let seq = world.next_seq();
        world.hear(
            1,
            Voice {
                expires: world.now + 7 * DAY,
                ..voice(by, seq, world.now)
            },
        );
    }
    let mut since = 0;
    for (hours, expected) in [
        (22, Level::Block),
        (29, Level::Block),
        (31, Level::Throttle),
        (37, Level::Throttle),
        (39, Level::Prime),
        (43, Level::Prime),
        (45, Level::Clear),
    ] {
        world.wait(HOUR * (hours - since));
        since = hours;
        let evidence = world.trust.assess(subject(1), world.now).evidence;
        assert_eq!(world.level(1), expected, "after {hours} hours: {evidence}");
    }
}

#[test]
fn who_was_wrong_counts_less_and_so_does_all_that_they_say() {
    let mut world = World::with_friends(1..=3);
    world.kin(4, Kin::Sibling, 10_000);
    assert_eq!(world.reports(1..=4, 1), Level::Block);
    assert_eq!(world.reports(1..=2, 2), Level::Throttle);
    // The operator says that it was wrong; one's own machines are not blamed.
    assert_eq!(world.trust.refute(subject(1), world.now).len(), 3);
    world.settle();
    assert_eq!(world.level(2), Level::Clear);
    assert_eq!(world.trust.refute(subject(1), world.now), [], "once a day");
    assert!(world.trust.record(node(4)).is_none());
    assert_eq!(world.report(4, 3), Level::Block);
}

#[test]
fn strangers_that_earned_it_prime_and_no_more() {
    let mut world = World::with_friends(1..=2);
    for stranger in 100..150 {
        let of = |n: u32| Credit {
            day: 20_690 + 2 * n,
            near: Network(u64::from(n) << 8),
            worth: 65_536,
        };
        let record = Record::restore((0..5).map(of).collect(), vec![]);
        world
            .trust
            .restore_record(node(stranger), record, world.now);
    }
    assert_eq!(world.trust.earned().len(), 50);
    assert_eq!(world.reports(100..150, 1), Level::Prime);
    assert_eq!(world.report(1, 1), Level::Prime);
    assert_eq!(world.report(2, 1), Level::Throttle);
    // Whom a friend vouches for is no stranger.
    world.vouch(1, 100);
    let weights = world.trust.weights(node(100)).to_vec();
    assert_eq!(
        weights
            .iter()
            .map(|(branch, _)| *branch)
            .collect::<Vec<_>>(),
        [Branch::Of(node(1))]
    );
}

#[test]
fn what_could_be_forged_or_is_taken_back_or_over_counts_for_nothing() {
    let check = |change: &dyn Fn(&mut Voice), expected: Level| {
        let mut world = World::with_friends(1..=8);
        for by in 1..=4 {
            let seq = world.next_seq();
            let mut said = voice(by, seq, world.now);
            change(&mut said);
            world.hear(1, said);
        }
        assert_eq!(world.level(1), expected);
    };
    check(&|_| {}, Level::Block);
    check(&|voice| voice.is_rule_known = false, Level::Block);
    check(&|voice| voice.is_spoofable = true, Level::Clear);
    check(&|voice| voice.expires = voice.heard_at, Level::Clear);
    // Old news is old news however late it comes; a clock that is ahead or two minutes behind makes no difference.
    check(
        &|voice| voice.said_at = voice.said_at - 3 * DAY,
        Level::Clear,
    );
    check(
        &|voice| voice.said_at = voice.said_at + 3 * DAY,
        Level::Block,
    );
    let mut world = World::with_friends(1..=8);
    assert_eq!(world.reports(1..=4, 1), Level::Block);
    world.retract(1, 1);
    assert_eq!(world.level(1), Level::Block);
    world.retract(2, 1);
    assert_ne!(world.level(1), Level::Block);
}

#[test]
fn a_full_ledger_drops_whom_nobody_believes_first_and_of_those_what_ends_soonest() {
    let mut world = World::with_friends([1]);
    world.trust.set_room(3);
    let hear = |world: &mut World, by: u32, about: u32, hours: u32| {
        let seq = world.next_seq();
        world.hear(
            about,
            Voice {
                expires: world.now + HOUR * hours,
                ..voice(by, seq, world.now)
            },
        );
    };
    let spoken_of = |world: &World| -> Vec<u32> {
        (0..10)
            .filter(|about| world.trust.voices(subject(*about)).count() > 0)
            .collect()
    };
    hear(&mut world, 1, 1, 1);
    hear(&mut world, 90, 2, 9);
    hear(&mut world, 91, 3, 2);
    assert_eq!(spoken_of(&world), [1, 2, 3]);
    hear(&mut world, 92, 4, 5);
    assert_eq!(spoken_of(&world), [1, 2, 4]);
    hear(&mut world, 1, 5, 3);
    hear(&mut world, 1, 6, 2);
    assert_eq!(spoken_of(&world), [1, 5, 6]);
    hear(&mut world, 93, 7, 9);
    assert_eq!(spoken_of(&world), [1, 5, 6]);
    hear(&mut world, 1, 8, 4);
    assert_eq!(spoken_of(&world), [5, 6, 8]);
    assert_eq!(world.trust.reports(), 3);
    world.wait(DAY);
    assert_eq!((world.trust.reports(), spoken_of(&world)), (0, vec![]));
}

#[test]
fn of_one_address_no_more_is_heard_than_there_is_room_for() {
    let mut world = World::with_friends(1..=3);
    for by in 1_000..2_000 {
        world.report(by, 1);
    }
    assert_eq!(
        world.trust.voices(subject(1)).count(),
        lymph_trust::policy::VOICES_MAX
    );
    assert_eq!(world.reports(1..=3, 1), Level::Block);
    assert_eq!(
        world.trust.voices(subject(1)).count(),
        lymph_trust::policy::VOICES_MAX
    );
}

#[test]
fn nothing_is_believed_of_oneself_or_by_a_nonsensical_vouch() {
    let mut world = World::new();
    let vouchee = |weight| lymph_trust::Vouchee {
        kin: Kin::Friend,
        weight,
    };
    assert!(!world.trust.vouch_for(node(0), vouchee(1)));
    assert!(!world.trust.vouch_for(node(1), vouchee(0)));
    assert!(!world.trust.vouch_for(node(1), vouchee(10_001)));
    for friend in 1..=lymph_trust::policy::VOUCHES_PER_ISSUER as u32 {
        assert!(world.trust.vouch_for(node(friend), vouchee(10_000)));
    }
    assert!(!world.trust.vouch_for(node(999), vouchee(10_000)));
    assert!(
        world.trust.vouch_for(node(1), vouchee(5_000)),
        "who has a place already"
    );
    world.trust.mute(node(0), true);
    world.settle();
    assert_eq!(world.report(0, 1), Level::Clear);
}

#[test]
fn members_and_one_whom_two_friends_share_are_two_ways() {
    let mut world = World::with_friends(1..=2);
    for member in 10..=12 {
        world.kin(member, Kin::Member, 10_000);
    }
    world.vouch(1, 9);
    world.vouch(2, 9);
    assert_eq!(world.reports(9..=12, 1), Level::Throttle);
    let assessment = world.trust.assess(subject(1), world.now);
    assert_eq!((assessment.branches.len(), assessment.paths), (3, 2));
}

#[test]
fn a_report_is_judged_by_what_was_vouched_just_before() {
    let mut world = World::with_friends(1..=4);
    assert_eq!(world.reports([11, 12, 13], 1), Level::Clear);
    for friend in 1..=3 {
        world.vouch(friend, 10 + friend);
    }
    assert_eq!(world.report(900, 1), Level::Block);
}

#[test]
fn a_crowd_hides_nobody_who_was_wrong() {
    // A crowd behind the fourth friend, whose reports count for a little, is heard first.
    let mut world = World::with_friends(1..=4);
    for sybil in 0..500 {
        world.vouch(4, 100 + sybil % 200);
        world.vouch(100 + sybil % 200, 400 + sybil);
        world.report(400 + sybil, 1);
    }
    assert_eq!(world.reports(1..=3, 1), Level::Block);
    let refuted = world.trust.refute(subject(1), world.now);
    assert!(
        (1..=3).all(|friend| refuted.contains(&node(friend))),
        "{}",
        refuted.len()
    );
}

#[test]
fn liars_who_take_something_back_refute_nobody() {
    let mut world = World::with_friends(1..=8);
    assert_eq!(world.reports(1..=3, 1), Level::Block);
    assert_eq!(world.trust.refute(subject(1), world.now).len(), 3);
    assert_eq!(world.reports(1..=6, 2), Level::Block);
    for liar in 1..=3 {
        assert_eq!(world.retract(liar, 2), [], "{liar}");
    }
    assert_eq!(world.level(2), Level::Block);
}

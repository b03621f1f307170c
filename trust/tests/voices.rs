//! What counts of all that one author says, and where a level begins.

use lymph_trust::{Kin, Level, Voice};

use crate::world::{World, subject, voice};

#[test]
fn what_is_seen_badly_takes_nothing_from_what_was_seen_well() {
    let worse: [fn(Voice) -> Voice; 2] = [
        |voice| Voice {
            is_spoofable: true,
            ..voice
        },
        |voice| Voice {
            is_rule_known: false,
            ..voice
        },
    ];
    for worse in worse {
        let mut world = World::with_friends(1..=8);
        assert_eq!(world.reports(1..=3, 1), Level::Block);
        let before = world.trust.assess(subject(1), world.now).evidence;
        for by in 1..=3 {
            let seq = world.next_seq();
            world.hear(1, worse(voice(by, seq, world.now)));
        }
        let after = world.trust.assess(subject(1), world.now);
        assert_eq!(after.evidence, before);
        assert_eq!(after.level, Level::Block);
        assert_eq!(after.reporters.len(), 3);
    }
}

#[test]
fn whoever_takes_it_back_takes_all_of_it_back_and_may_say_it_again() {
    let mut world = World::with_friends(1..=8);
    let old = voice(1, world.next_seq(), world.now);
    world.report(1, 1);
    let unknown = Voice {
        is_rule_known: false,
        ..voice(1, world.next_seq(), world.now)
    };
    world.hear(1, unknown);
    assert_eq!(world.level(1), Level::Prime);
    world.retract(1, 1);
    assert_eq!(world.level(1), Level::Clear);
    // What was said before it stays taken back, however late and however well it was seen.
    for late in [
        old,
        unknown,
        Voice {
            is_rule_known: true,
            ..unknown
        },
    ] {
        world.hear(1, late);
        assert_eq!(world.level(1), Level::Clear);
    }
    let seq = world.next_seq();
    world.hear(
        1,
        Voice {
            is_rule_known: false,
            ..voice(1, seq, world.now)
        },
    );
    assert_eq!(world.level(1), Level::Prime);
    assert_eq!(world.trust.voices(subject(1)).count(), 1);
}

#[test]
fn halves_make_a_whole() {
    // Friends whose word counts half: five say as much as two and a half, and rounding takes nothing away.
    for (weight, levels) in [
        (
            5_000,
            [
                Level::Prime,
                Level::Throttle,
                Level::Throttle,
                Level::Throttle,
                Level::Block,
            ],
        ),
        (
            6_250,
            [
                Level::Prime,
                Level::Throttle,
                Level::Throttle,
                Level::Block,
                Level::Block,
            ],
        ),
        (
            2_500,
            [
                Level::Clear,
                Level::Prime,
                Level::Prime,
                Level::Throttle,
                Level::Throttle,
            ],
        ),
    ] {
        let mut world = World::new();
        for friend in 1..=8 {
            world.kin(friend, Kin::Friend, weight);
        }
        for (by, level) in (1..).zip(levels) {
            assert_eq!(
                world.report(by, 1),
                level,
                "{by} friends of weight {weight}"
            );
        }
    }
}

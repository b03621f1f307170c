//! Two sets become one, whatever they are and whatever the other side sends.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::ObjectId;
use crate::limits;
use crate::sync::{Initiator, Items, Salted, Step, SyncError, resolve, respond, salted};

type Set = BTreeMap<ObjectId, u64>;

const SALT: [u8; 16] = [0x5a; 16];

fn items(set: &Set, salt: [u8; 16]) -> Items {
    Items::new(set.iter().map(|(id, secs)| (*secs, *id)), salt)
}

/// An id that says its number; hashed, so that they are spread.
fn id(number: u64) -> ObjectId {
    let salt = [0; 16];
    let mut name = [0; 32];
    name[..8].copy_from_slice(&number.to_be_bytes());
    ObjectId(salted(&salt, &ObjectId(name)))
}

struct Outcome {
    have: Vec<ObjectId>,
    need: Vec<Salted>,
    rounds: u32,
    bytes: usize,
    is_whole: bool,
}

fn kept(items: &Items, salt: [u8; 16]) -> Items {
    assert_eq!(items.salt(), salt);
    items.clone()
}

/// A whole session.
fn session(ours: &Set, theirs: &Set) -> Outcome {
    let (mut initiator, mut frame) = Initiator::start(items(ours, SALT)).unwrap();
    // Who answers may keep what it gathered for the first question.
    let answerer = items(theirs, SALT);
    let (mut all_have, mut all_need) = (Vec::new(), Vec::new());
    loop {
        assert!(frame.len() <= limits::SYNC_FRAME_MAX, "{}", frame.len());
        let answer = respond(|salt| kept(&answerer, salt), &frame).unwrap();
        assert!(answer.len() <= limits::SYNC_FRAME_MAX, "{}", answer.len());
        let (next, have, need) = match initiator.next(&answer).unwrap() {
            Step::Ask { frame, have, need } => (Some(frame), have, need),
            Step::Done { have, need } => (None, have, need),
        };
        assert!(have.is_sorted() && need.is_sorted());
        all_have.extend(have);
        all_need.extend(need);
        match next {
            Some(next) => frame = next,
            None => break,
        }
    }
    assert_eq!(initiator.next(&[]), Err(SyncError::Over));
    Outcome {
        have: all_have,
        need: all_need,
        rounds: initiator.rounds(),
        bytes: initiator.bytes(),
        is_whole: initiator.is_whole(),
    }
}

/// A session, and each side takes what it lacks.
fn exchange(ours: &mut Set, theirs: &mut Set) -> Outcome {
    let outcome = session(ours, theirs);
    let fetched = resolve(theirs.keys().copied(), SALT, &outcome.need);
    assert_eq!(
        fetched.len(),
        outcome.need.len(),
        "nothing is asked for that is not there"
    );
    assert!(fetched.iter().all(|id| !ours.contains_key(id)));
    assert!(outcome.have.iter().all(|id| !theirs.contains_key(id)));
    let pushed: Vec<_> = outcome.have.iter().map(|id| (*id, ours[id])).collect();
    ours.extend(fetched.into_iter().map(|id| (id, theirs[&id])));
    theirs.extend(pushed);
    outcome
}

/// Numbers and times; times are few, so that many ids share one.
fn sets() -> impl Strategy<Value = (Set, Set)> {
    let item = (0..3_000u64, 0..8u8);
    prop::collection::vec(item, 0..600).prop_map(|all| {
        let (mut ours, mut theirs) = (Set::new(), Set::new());
        for (number, side) in all {
            // The same id has the same time everywhere: it says it itself.
            let secs = number % 40 * 300;
            if side != 0 {
                ours.insert(id(number), secs);
            }
            if side != 1 {
                theirs.insert(id(number), secs);
            }
        }
        (ours, theirs)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_two_sets_end_equal((mut ours, mut theirs) in sets()) {
        let before: BTreeSet<_> = ours.keys().chain(theirs.keys()).copied().collect();
        let outcome = exchange(&mut ours, &mut theirs);
        prop_assert!(outcome.is_whole);
        prop_assert_eq!(&ours, &theirs);
        prop_assert!(ours.keys().eq(before.iter()));
    }

    #[test]
    fn any_frame_is_answered_or_an_error(tail in prop::collection::vec(any::<u8>(), 0..600), size in 0..300u64) {
        let set: Set = (0..size).map(|number| (id(number), number)).collect();
        for head in [&[][..], &[0x61], &[0x61, 0], &[0x61, 0, 0, 2]] {
            let message = [head, &tail].concat();
            let frame = [SALT.as_slice(), &message].concat();
            if let Ok(answer) = respond(|salt| items(&set, salt), &frame) {
                prop_assert!(answer.len() <= limits::SYNC_FRAME_MAX);
            }
            let (mut initiator, _) = Initiator::start(items(&set, SALT)).unwrap();
            match initiator.next(&message) {
                Ok(Step::Ask { frame, have, need }) => {
                    prop_assert!(frame.len() <= limits::SYNC_FRAME_MAX);
                    prop_assert!(have.len() <= set.len() && need.len() * 32 <= message.len());
                }
                Ok(Step::Done { .. }) => {}
                Err(_) => prop_assert_eq!(initiator.next(&[0x61]), Err(SyncError::Over)),
            }
        }
    }
}

#[test]
fn a_hundred_differences_among_a_hundred_thousand_take_few_bytes() {
    let common: Set = (0..100_000)
        .map(|number| (id(number), number / 7))
        .collect();
    let (mut ours, mut theirs) = (common.clone(), common);
    ours.extend((200_000..200_050).map(|number| (id(number), (number - 200_000) * 285)));
    theirs.extend((300_000..300_050).map(|number| (id(number), (number - 300_000) * 277)));
    let outcome = exchange(&mut ours, &mut theirs);
    assert_eq!(ours, theirs);
    assert_eq!((outcome.have.len(), outcome.need.len()), (50, 50));
    eprintln!("{} rounds, {} bytes", outcome.rounds, outcome.bytes);
    assert!(outcome.rounds <= 6, "{}", outcome.rounds);
    assert!(outcome.bytes <= 200_000, "{}", outcome.bytes);
}

#[test]
fn equal_sets_take_one_question() {
    let set: Set = (0..10_000).map(|number| (id(number), number)).collect();
    let outcome = session(&set, &set);
    assert_eq!(
        (outcome.rounds, outcome.have.len(), outcome.need.len()),
        (1, 0, 0)
    );
    assert!(outcome.bytes < 600, "{}", outcome.bytes);
    assert!(session(&Set::new(), &Set::new()).is_whole);
}

#[test]
fn who_has_nothing_gets_all_in_several_sessions() {
    let mut theirs: Set = (0..100_000)
        .map(|number| (id(number), number / 100))
        .collect();
    let mut ours = Set::new();
    let first = exchange(&mut ours, &mut theirs);
    assert!(!first.is_whole && first.rounds <= limits::SYNC_ROUNDS_MAX);
    assert!(first.bytes <= limits::SYNC_BYTES_MAX + limits::SYNC_FRAME_MAX);
    assert!(ours.len() > 50_000, "{}", ours.len());
    let mut sessions = 1;
    while !exchange(&mut ours, &mut theirs).is_whole {
        sessions += 1;
        assert!(sessions < 5);
    }
    assert_eq!(ours, theirs);
    // And the other way round.
    let mut theirs = Set::new();
    while !exchange(&mut ours, &mut theirs).is_whole {
        sessions += 1;
        assert!(sessions < 10);
    }
    assert_eq!(ours, theirs);
}

#[test]
fn who_answers_without_end_is_left() {
    // An answer that always differs: the fingerprint of nothing that anybody has, over everything.
    let set: Set = (0..1_000).map(|number| (id(number), number)).collect();
    let (mut initiator, _) = Initiator::start(items(&set, SALT)).unwrap();
    let mut rounds = 0;
    loop {
        rounds += 1;
        let mut answer = vec![0x61, 0, 0, 1];
        answer.extend([rounds; 16]);
        match initiator.next(&answer).unwrap() {
            Step::Ask { .. } => {}
            Step::Done { .. } => break,
        }
    }
    assert!(u32::from(rounds) == limits::SYNC_ROUNDS_MAX && !initiator.is_whole());
}

#[test]
fn invented_ids_are_named_once_and_within_the_budget() {
    let (mut initiator, _) = Initiator::start(items(&Set::new(), SALT)).unwrap();
    let mut named = 0;
    let mut rounds = 0u64;
    loop {
        rounds += 1;
        let mut answer = vec![0x61, 0, 0, 2, 0x80 | 14, 8];
        let ids = (0..1_800).flat_map(|i| id(if i < 900 { i } else { rounds * 10_000 + i }).0);
        answer.extend(ids);
        // And then a range that differs, so that it goes on.
        answer.extend([0, 0, 1]);
        answer.extend([1; 16]);
        let step = initiator.next(&answer).unwrap();
        let (is_done, need) = match step {
            Step::Ask { need, .. } => (false, need),
            Step::Done { need, .. } => (true, need),
        };
        named += need.len();
        if is_done {
            break;
        }
    }
    assert_eq!(rounds, u64::from(limits::SYNC_ROUNDS_MAX));
    assert_eq!(named as u64, 900 + rounds * 900);
}

#[test]
fn who_makes_us_talk_is_left_when_the_bytes_are_spent() {
    let set: Set = (0..4_000).map(|number| (id(number), number)).collect();
    let (mut initiator, _) = Initiator::start(items(&set, SALT)).unwrap();
    // Two thousand ranges of two seconds, none of which has our fingerprint.
    let mut answer = vec![0x61];
    for _ in 0..2_000 {
        answer.extend([3, 0, 1]);
        answer.extend([1; 16]);
    }
    while let Step::Ask { .. } = initiator.next(&answer).unwrap() {}
    assert!(initiator.rounds() < limits::SYNC_ROUNDS_MAX && !initiator.is_whole());
    assert!(initiator.bytes() > limits::SYNC_BYTES_MAX);
    assert!(initiator.bytes() < limits::SYNC_BYTES_MAX + 2 * limits::SYNC_FRAME_MAX);
}

#[test]
fn what_is_here_is_not_needed_whatever_time_they_say_it_has() {
    let set = Set::from([(id(1), 5), (id(2), 6)]);
    let (mut initiator, _) = Initiator::start(items(&set, SALT)).unwrap();
    // Up to the second 2, where nothing is: a list of two.
    let mut answer = vec![0x61, 3, 0, 2, 2];
    answer.extend(salted(&SALT, &id(1)));
    answer.extend(salted(&SALT, &id(3)));
    let expected = Step::Done {
        have: vec![],
        need: vec![salted(&SALT, &id(3))],
    };
    assert_eq!(initiator.next(&answer), Ok(expected));
}

#[test]
fn the_last_second_there_is_is_compared_too() {
    let mut ours = Set::from([(id(1), u64::MAX), (id(2), 0)]);
    let mut theirs = Set::from([(id(3), u64::MAX), (id(4), u64::MAX - 1)]);
    theirs.extend((10..100).map(|number| (id(number), u64::MAX)));
    exchange(&mut ours, &mut theirs);
    assert_eq!((ours.len(), &ours), (94, &theirs));
}

#[test]
fn frames_that_are_none() {
    let never = |_| -> Items { panic!("nothing is gathered for it") };
    assert_eq!(respond(never, &[]), Err(SyncError::Short));
    assert_eq!(
        respond(never, &[0; 16]),
        Err(SyncError::Malformed("another version".to_owned()))
    );
    let long = vec![0; limits::SYNC_FRAME_MAX + 1];
    assert_eq!(respond(never, &long), Err(SyncError::TooLong(long.len())));
    let empty = |salt| items(&Set::new(), salt);
    let cut = [SALT.as_slice(), &[0x61, 0, 0, 1, 7]].concat();
    assert!(matches!(respond(empty, &cut), Err(SyncError::Malformed(_))));
}

#[test]
fn salted_ids_say_nothing_without_the_salt() {
    let set: Set = (0..10).map(|number| (id(number), number)).collect();
    let wanted: Vec<Salted> = (3..5).map(|number| salted(&SALT, &id(number))).collect();
    let found: BTreeSet<_> = resolve(set.keys().copied(), SALT, &wanted)
        .into_iter()
        .collect();
    assert_eq!(found, BTreeSet::from([id(3), id(4)]));
    let same: BTreeSet<_> = items(&set, SALT).resolve(&wanted).into_iter().collect();
    assert_eq!(same, found);
    assert!(resolve(set.keys().copied(), [1; 16], &wanted).is_empty());
    assert!(items(&set, [1; 16]).resolve(&wanted).is_empty());
}

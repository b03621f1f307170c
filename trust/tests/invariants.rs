//! What holds in every mesh, whoever lies in it.
//!
//! Two promises are the node's to keep and are tested there: that nobody on the never-block list is decided about (13; here:
//! that a subject is never a network), and that nothing which was dropped, primed, throttled or predicted becomes a report
//! (19; here: what of others' words can earn a credit).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use lymph_protocol::family::Family;
use lymph_protocol::{Subject, Timestamp};
use lymph_trust::fixed::Fixed;
use lymph_trust::record::newcomer;
use lymph_trust::{Branch, Kin, Level, Record, bound};
use proptest::prelude::*;
use proptest::sample::subsequence;

use crate::plan::{FAMILIES, Heard, Plan, evidence, plan, weights};
use crate::world::{DAY, HOUR, START, World, node, statement, subject, voice};

/// So many, or as many as `PROPTEST_CASES` says.
pub(crate) fn cases(default: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    let cases = asked
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(default);
    ProptestConfig {
        max_shrink_iters: 4_096,
        ..ProptestConfig::with_cases(cases)
    }
}

/// What a branch gives all of these together.
fn sum(world: &mut World, branch: Branch, nodes: impl IntoIterator<Item = u32>) -> f64 {
    let mut all = 0.0;
    for who in nodes {
        let weights = world.trust.weights(node(who));
        let of = weights.iter().filter(|(of, _)| *of == branch);
        all += of.map(|(_, weight)| weight.to_f64()).sum::<f64>();
    }
    all
}

fn friends(plan: &Plan) -> Vec<u32> {
    let kin = plan.last_kin().into_iter();
    let kin = kin.filter(|(who, kin, _)| *kin != Kin::Member && !plan.muted.contains(who));
    kin.map(|(who, _, _)| who).collect()
}

fn report(by: u32, about: u32, family: usize) -> Heard {
    Heard {
        by,
        about,
        family,
        hours_ago: 0,
        ttl_hours: 24,
        is_spoofable: false,
        is_rule_known: true,
    }
}

/// Vouches among a few, of any weight.
fn vouches(
    from: std::ops::RangeInclusive<u32>,
    to: std::ops::RangeInclusive<u32>,
    most: usize,
) -> impl Strategy<Value = Vec<(u32, u32, u16)>> {
    prop::collection::vec((from, to, 1..=10_000_u16), 0..=most)
}

/// A mesh in which some speak to ego only through others, of whom there are so many: the plan, these, and whom they speak for.
fn behind(fooled: usize) -> impl Strategy<Value = (Plan, Vec<u32>, std::ops::RangeInclusive<u32>)> {
    let crowd = 40_u32;
    (
        plan(60),
        prop::collection::vec(any::<prop::sample::Index>(), fooled),
    )
        .prop_flat_map(move |(plan, fooled)| {
            let honest = plan.nodes;
            let fooled: Vec<u32> = fooled
                .iter()
                .map(|index| 1 + index.index(honest as usize) as u32)
                .collect();
            let entries = (
                subsequence(fooled.clone(), 0..=fooled.len()),
                vouches(1..=1, honest + 1..=honest + crowd, 60),
            );
            let inner = vouches(honest + 1..=honest + crowd, 1..=honest + crowd, 120);
            (Just((plan, fooled)), entries, inner).prop_map(
                move |((mut plan, fooled), (_, entries), inner)| {
                    for (turn, (_, sybil, weight)) in entries.into_iter().enumerate() {
                        if let Some(by) = fooled.get(turn % fooled.len().max(1)) {
                            plan.vouches.push((*by, sybil, weight));
                        }
                    }
                    plan.vouches.extend(inner);
                    plan.nodes = honest + crowd;
                    (plan, fooled, honest + 1..=honest + crowd)
                },
            )
        })
}

proptest! {
    #![proptest_config(cases(48))]

    // 1.
    #[test]
    fn a_crowd_weighs_no_more_than_what_leads_into_it(
        plan in plan(200),
        crowd in prop::collection::btree_set(1..=200_u32, 1..60),
        inner in vouches(1..=200, 1..=200, 100),
        more in vouches(1..=260, 201..=260, 100),
    ) {
        let names: BTreeSet<_> = crowd.iter().map(|who| node(*who)).collect();
        let mut world = plan.build();
        // More vouches among the crowd, and more of them.
        let is_in = |who: &u32| crowd.contains(who) || *who > 200;
        let mut larger = plan.clone();
        larger.nodes = 260;
        let within = inner.into_iter().chain(more).filter(|(issuer, about, _)| is_in(issuer) && is_in(about));
        // A crowd has not said the same before, so that whom it vouches for outside stays.
        larger.vouches.extend(within);
        let larger_crowd: BTreeSet<_> = crowd.iter().copied().chain(201..=260).collect();
        let larger_names: BTreeSet<_> = larger_crowd.iter().map(|who| node(*who)).collect();
        let mut larger_world = larger.build();
        for friend in friends(&plan) {
            let most = bound::bound(&mut world.trust, node(friend), &names).to_f64();
            let larger_most = bound::bound(&mut larger_world.trust, node(friend), &larger_names).to_f64();
            prop_assert!((most - larger_most).abs() < 1e-12, "{} is not {}", most, larger_most);
            let branch = Branch::Of(node(friend));
            prop_assert!(sum(&mut world, branch, crowd.iter().copied()) <= most + 1e-9);
            prop_assert!(sum(&mut larger_world, branch, larger_crowd.iter().copied()) <= most + 1e-9);
        }
    }

    // 2.
    #[test]
    fn no_peer_and_no_crowd_weighs_more_than_its_branch(plan in plan(200)) {
        let mut world = plan.build();
        for (branch, weight) in world.trust.branches().clone() {
            for who in 1..=plan.nodes {
                prop_assert!(sum(&mut world, branch, [who]) <= weight.to_f64());
            }
            prop_assert!(sum(&mut world, branch, 1..=plan.nodes) <= weight.to_f64() / 0.2 + 1e-9);
            if let Branch::Of(root) = branch {
                let own: Vec<_> = world.trust.weights(root).to_vec();
                prop_assert_eq!(own, vec![(branch, weight)]);
            }
        }
    }

    // 3.
    #[test]
    fn what_somebody_says_does_not_make_them_weigh_more(plan in plan(100), says in vouches(1..=1, 0..=100, 20), peer in 1..=100_u32) {
        let weights = |plan: &Plan| plan.build().trust.weights(node(peer)).to_vec();
        let mut other = plan.clone();
        other.vouches.retain(|(issuer, _, _)| *issuer != peer);
        let silent = weights(&other);
        other.vouches.extend(says.into_iter().map(|(_, about, weight)| (peer, about, weight)));
        other.vouches.push((peer, peer, 10_000));
        let by_vouches = |weights: Vec<(Branch, Fixed)>| -> Vec<_> {
            weights.into_iter().filter(|(branch, _)| *branch != Branch::Strangers).collect()
        };
        let expected = by_vouches(weights(&plan));
        prop_assert_eq!(&by_vouches(silent), &expected);
        prop_assert_eq!(&by_vouches(weights(&other)), &expected);
    }

    // 4.
    #[test]
    fn fewer_than_three_separating_nodes_never_block(
        (plan, fooled, crowd) in (0..=2_usize).prop_flat_map(behind),
        about in prop::collection::vec((0..3_u32, 0..FAMILIES.len()), 1..4),
    ) {
        let mut plan = plan;
        plan.reports.clear();
        plan.kin.iter_mut().filter(|(who, _, _)| fooled.contains(who)).for_each(|(_, kin, _)| *kin = Kin::Friend);
        for by in crowd.chain(fooled) {
            plan.reports.extend(about.iter().map(|(about, family)| report(by, *about, *family)));
        }
        let mut world = World::new();
        world.trust = plan.build().trust;
        for about in 0..3 {
            prop_assert!(world.level(about) < Level::Block);
            prop_assert!(world.trust.assess(subject(about), START).strict_paths < 3);
        }
    }

    // 5.
    #[test]
    fn one_branch_gives_kappa_at_most_and_two_never_block(plan in plan(100)) {
        let plan = plan.without_siblings_reports();
        let mut world = plan.build();
        let kappa = world.trust.kappa();
        for about in 0..3 {
            let assessment = world.trust.assess(subject(about), START);
            for share in &assessment.branches {
                prop_assert!(share.evidence <= kappa.times(share.weight));
                prop_assert!(share.strict <= share.evidence);
            }
            let strict = assessment.branches.iter().filter(|share| share.strict > Fixed::ZERO).count();
            prop_assert!(strict >= 3 || world.level(about) < Level::Block);
        }
    }

    // 6.
    #[test]
    fn one_more_report_never_lowers_evidence(plan in plan(60), by in 1..=60_u32, about in 0..3_u32) {
        let mut world = plan.build();
        let before = world.trust.assess(subject(about), START);
        let level = world.level(about);
        let (weights, quality) = (world.trust.weights(node(by)), world.trust.quality(node(by), START, START));
        let seq = 1_000_000;
        world.hear(about, lymph_trust::Voice { family: Family::SIP, ..voice(by, seq, START) });
        let after = world.trust.assess(subject(about), START);
        prop_assert!(after.evidence >= before.evidence && after.strict >= before.strict);
        prop_assert!(after.paths >= before.paths && after.strict_paths >= before.strict_paths);
        prop_assert!(world.level(about) >= level);
        if weights.is_empty() || quality == Fixed::ZERO || plan.muted.contains(&by) {
            prop_assert_eq!((after.evidence, after.strict), (before.evidence, before.strict));
            prop_assert_eq!((after.paths, after.strict_paths), (before.paths, before.strict_paths));
            prop_assert_eq!(world.level(about), level);
        }
    }

    /// A newer word is no report more where it takes the place of an older one of its author, family and class: it may weigh
    /// less, and then all is as if the older one had never been.
    #[test]
    fn a_newer_word_takes_the_place_of_an_older_one(plan in plan(60), which in any::<prop::sample::Index>(), age in 0..24_u32) {
        prop_assume!(!plan.reports.is_empty());
        let old = plan.reports[which.index(plan.reports.len())];
        let newer = lymph_trust::Voice {
            heard_at: START,
            said_at: START - HOUR * age,
            expires: START + HOUR * old.ttl_hours,
            ..old.voice(old.by, 1_000_000)
        };
        let kind = |report: &Heard| {
            let is_rule_known = report.is_rule_known && !report.is_spoofable;
            (report.by, report.about, report.family, report.is_spoofable, is_rule_known)
        };
        let others = plan.reports.iter().filter(|report| kind(report) != kind(&old));
        let never = Plan { reports: others.copied().collect(), ..plan.clone() };
        let (mut world, mut never) = (plan.build(), never.build());
        world.hear(old.about, newer);
        never.hear(old.about, newer);
        let is = world.trust.assess(subject(old.about), START);
        let expected = never.trust.assess(subject(old.about), START);
        prop_assert_eq!((is.evidence, is.strict), (expected.evidence, expected.strict));
        prop_assert_eq!((is.paths, is.strict_paths), (expected.paths, expected.strict_paths));
        prop_assert_eq!(world.level(old.about), is.level);
    }

    // 7.
    #[test]
    fn another_nodes_vouch_takes_from_nobody_while_trust_is_left(plan in plan(100), issuer in 1..=100_u32, about in 1..=100_u32) {
        let mut plan = plan;
        plan.seen.clear();
        let mut spent = std::collections::BTreeMap::<u32, u32>::new();
        plan.vouches = plan.last_vouches();
        plan.vouches.retain(|(issuer, _, weight)| {
            let spent = spent.entry(*issuer).or_default();
            *spent += u32::from(*weight);
            *spent <= 30_000
        });
        let mut more = plan.clone();
        more.vouches.push((issuer, about, 10_000));
        let (mut world, mut other) = (plan.build(), more.build());
        for (branch, _) in world.trust.branches().clone() {
            for who in 1..=plan.nodes {
                prop_assert!(sum(&mut world, branch, [who]) <= sum(&mut other, branch, [who]));
            }
        }
    }

    // 8.
    #[test]
    fn what_is_revoked_or_over_might_as_well_never_have_been(plan in plan(60), gone in any::<prop::sample::Index>(), how in 0..2) {
        prop_assume!(!plan.vouches.is_empty());
        let (issuer, about, _) = plan.vouches[gone.index(plan.vouches.len())];
        let mut without = plan.clone();
        without.vouches.retain(|(by, of, _)| (*by, *of) != (issuer, about));
        let mut world = without.build();
        // Said and ended while reports are already heard.
        let number = 100_000;
        for (by, of, weight) in plan.vouches.iter().filter(|(by, of, _)| (*by, *of) == (issuer, about)) {
            let mut said = statement(*by, *of, *weight, number);
            if how == 0 {
                said.expires = lymph_protocol::vouch::Minute::of(START + Duration::from_secs(120));
            }
            world.trust.hear_vouch(&said, START);
        }
        world.trust.tick(START);
        if how == 1 {
            world.trust.hear_vouch(&statement(issuer, about, 0, number + 1), START);
        }
        let later = START + Duration::from_secs(180);
        world.now = later;
        world.settle();
        let mut expected = without.build();
        expected.now = later;
        expected.settle();
        prop_assert_eq!(weights(&mut world, &plan), weights(&mut expected, &plan));
        prop_assert_eq!(evidence(&mut world), evidence(&mut expected));
    }

    // 8.
    #[test]
    fn who_is_muted_might_as_well_not_exist(plan in plan(60), muted in 1..=60_u32) {
        let mut world = plan.build();
        world.trust.mute(node(muted), true);
        world.settle();
        let mut without = plan.clone();
        without.kin.retain(|(who, _, _)| *who != muted);
        without.vouches.retain(|(by, of, _)| *by != muted && *of != muted);
        without.reports.retain(|report| report.by != muted);
        without.seen.retain(|seen| seen.of != muted);
        let mut expected = without.build();
        prop_assert_eq!(weights(&mut world, &plan), weights(&mut expected, &plan));
        prop_assert_eq!(evidence(&mut world), evidence(&mut expected));
        // And it can be taken back.
        if !plan.muted.contains(&muted) {
            world.trust.mute(node(muted), false);
            world.settle();
            let mut before = plan.build();
            prop_assert_eq!(weights(&mut world, &plan), weights(&mut before, &plan));
            prop_assert_eq!(evidence(&mut world), evidence(&mut before));
        }
    }

    // 9.
    #[test]
    fn bit_by_bit_is_as_all_at_once(
        plan in plan(40),
        order in Just((0..400_usize).collect::<Vec<_>>()).prop_shuffle(),
        ends in prop::collection::vec(any::<bool>(), 400),
        looks in prop::collection::vec(0..8_u8, 400),
    ) {
        // Some vouches end after two minutes; all are heard in some order, with looks at what follows between.
        let mut world = Plan { vouches: Vec::new(), muted: Vec::new(), ..plan.clone() }.build();
        let soon = lymph_protocol::vouch::Minute::of(START + Duration::from_secs(120));
        let said = |number: usize| {
            let (issuer, about, weight) = *plan.vouches.get(number)?;
            let mut said = statement(issuer, about, if weight % 7 == 3 { 0 } else { weight }, 1 + number as u64);
            if ends[number] {
                said.expires = soon;
            }
            Some(said)
        };
        for (number, look) in order.iter().zip(&looks) {
            if let Some(said) = said(*number) {
                world.trust.hear_vouch(&said, START);
            }
            match look {
                0 => drop(world.trust.tick(START)),
                1 => drop(weights(&mut world, &plan)),
                2 => drop(evidence(&mut world)),
                3 => if let Some(muted) = plan.muted.first() {
                    world.trust.mute(node(*muted), *number % 2 == 0);
                },
                4 => if let Some((who, kin, weight)) = plan.kin.first() {
                    world.trust.revoke(node(*who));
                    world.trust.tick(START);
                    world.kin(*who, *kin, *weight);
                },
                _ => {}
            }
        }
        for muted in &plan.muted {
            world.trust.mute(node(*muted), true);
        }
        for (who, kin, weight) in &plan.kin {
            world.kin(*who, *kin, *weight);
        }
        let mut batch = Plan { reports: Vec::new(), vouches: Vec::new(), ..plan.clone() }.build();
        for number in 0..plan.vouches.len() {
            batch.trust.hear_vouch(&said(number).unwrap(), START);
        }
        plan.hear(&mut batch, |number| number);
        for later in [Duration::ZERO, Duration::from_secs(200)] {
            world.now = START + later;
            world.settle();
            batch.now = START + later;
            batch.settle();
            prop_assert_eq!(weights(&mut world, &plan), weights(&mut batch, &plan));
            prop_assert_eq!(world.trust.branches(), batch.trust.branches());
            prop_assert_eq!(evidence(&mut world), evidence(&mut batch));
            // Levels remember, and so may differ; but nobody is at one that would not hold.
            for about in 0..3 {
                let is = world.trust.assess(subject(about), world.now).level;
                prop_assert_eq!(world.level(about), is);
            }
        }
    }

    // 10.
    #[test]
    fn names_do_not_matter(plan in plan(60), key in 1..=1_000_000_u32) {
        let name = |number: u32| if number == 0 { 0 } else { (number * 7_919).wrapping_add(key) };
        let (mut world, mut other) = (plan.build(), plan.build_as(name));
        for who in 1..=plan.nodes {
            let mut expected: Vec<_> = world.trust.weights(node(who)).iter().map(|(branch, weight)| match branch {
                Branch::Of(root) => {
                    let root = (1..=plan.nodes).find(|number| node(*number) == *root).unwrap();
                    (Branch::Of(node(name(root))), *weight)
                }
                Branch::Members | Branch::Strangers => (*branch, *weight),
            }).collect();
            expected.sort_unstable_by_key(|(branch, _)| *branch);
            prop_assert_eq!(other.trust.weights(node(name(who))).to_vec(), expected);
        }
        prop_assert_eq!(evidence(&mut world), evidence(&mut other));
    }

    // 10.
    #[test]
    fn of_whose_trust_is_spent_only_proportions_count(plan in plan(60), issuer in 1..=60_u32) {
        let mut plan = plan;
        plan.vouches = plan.last_vouches();
        plan.vouches.retain(|(by, _, _)| *by != issuer);
        let subjects = (1..=plan.nodes).filter(|who| *who != issuer).take(12);
        // Eight at least, and so more than four in all also when halved.
        prop_assume!(plan.nodes > 12);
        let mut half = plan.clone();
        for about in subjects.filter(|who| !plan.muted.contains(who)) {
            plan.vouches.push((issuer, about, 10_000 - 2 * about as u16));
            half.vouches.push((issuer, about, 5_000 - about as u16));
        }
        prop_assert_eq!(weights(&mut plan.build(), &plan), weights(&mut half.build(), &plan));
    }

    // 11.
    #[test]
    fn without_news_evidence_falls_and_every_block_ends(plan in plan(40), steps in prop::collection::vec((0..40_u64, -1..=1_i64), 1..12)) {
        let mut world = plan.build();
        let mut last = [Fixed::ONE; 3];
        for (hours, _) in &steps {
            world.wait(HOUR * *hours as u32);
            for (about, last) in (0..).zip(&mut last) {
                // Strangers' weights change when one of them is forgotten.
                if plan.seen.is_empty() {
                    let now = world.trust.assess(subject(about), world.now).evidence;
                    prop_assert!(now <= *last);
                    *last = now;
                }
            }
        }
        // The clock leaps by a day, forward and back, while reports are heard.
        let mut world = plan.build();
        for (hours, leap) in &steps {
            world.now = match leap {
                -1 => world.now - DAY,
                0 => world.now,
                _ => world.now + DAY,
            };
            let seq = world.next_seq();
            world.hear(0, voice(1 + *hours as u32 % plan.nodes, seq, world.now));
            world.trust.tick(world.now);
            world.wait(HOUR * *hours as u32);
        }
        world.wait(DAY * 21);
        prop_assert_eq!(world.trust.levels().count(), 0);
        prop_assert_eq!(world.trust.reports(), 0);
    }

    // 12.
    #[test]
    fn what_is_heard_twice_or_in_another_order_is_the_same(
        plan in plan(40),
        order in Just((0..60_usize).collect::<Vec<_>>()).prop_shuffle(),
        vouched in Just((0..200_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let silent = Plan { reports: Vec::new(), vouches: Vec::new(), ..plan.clone() };
        let (mut one, mut other) = (silent.build(), silent.build());
        let vouch = |world: &mut World, number: usize| {
            if let Some((issuer, about, weight)) = plan.vouches.get(number) {
                world.trust.hear_vouch(&statement(*issuer, *about, *weight, 1 + number as u64), START);
            }
        };
        let hear = |world: &mut World, number: usize| {
            let count = plan.reports.len().max(1);
            if let Some(report) = plan.reports.get(number % count).filter(|_| number < 2 * count) {
                let now = Heard { hours_ago: 0, ..*report };
                world.hear(report.about, now.voice(report.by, 1 + (number % count) as u64));
            }
        };
        (0..plan.vouches.len()).for_each(|number| vouch(&mut one, number));
        (0..plan.reports.len()).for_each(|number| hear(&mut one, number));
        let (first, rest) = vouched.split_at(100);
        first.iter().for_each(|number| vouch(&mut other, *number));
        order.iter().for_each(|number| hear(&mut other, *number));
        rest.iter().chain(first).for_each(|number| vouch(&mut other, *number));
        one.settle();
        other.settle();
        prop_assert_eq!(weights(&mut one, &plan), weights(&mut other, &plan));
        prop_assert_eq!(evidence(&mut one), evidence(&mut other));
        prop_assert_eq!(one.trust.reports(), other.trust.reports());
        // The last reporters' words alone decide where hysteresis has nothing to remember.
        let levels = |world: &World| (0..3).map(|about| world.level(about)).collect::<Vec<_>>();
        let mut fresh = plan.clone();
        fresh.reports.iter_mut().for_each(|report| report.hours_ago = 0);
        let seqs = fresh.build();
        prop_assert_eq!(levels(&one), levels(&seqs));
    }

    // 13. The rest of it is tested where the never-block list is.
    #[test]
    fn a_subject_is_an_address_and_never_a_network(bits in any::<u128>()) {
        let subject = Subject::of(IpAddr::V6(Ipv6Addr::from_bits(bits)));
        prop_assert!(matches!((subject, subject.prefix_len()), (Subject::V4(_), 32) | (Subject::V6(_), 64)));
    }

    // 14.
    #[test]
    fn quality_is_a_share_and_follows_what_was_seen(events in prop::collection::vec((any::<bool>(), 0..4_u32, 0..4_u32, 0..9_usize, 0..30_u32), 0..80)) {
        let mut record = Record::default();
        let mut day = 100;
        for (is_right, wide, near, earlier, later) in events {
            day += later / 20;
            let at = Timestamp::from_secs(u64::from(day) * 24 * 60 * 60);
            let address = subject(wide << 8 | near);
            let before = record.counts(day).quality();
            match is_right {
                true => {
                    record.confirm(address, earlier, at);
                    prop_assert!(record.counts(day).quality() >= before);
                }
                false => {
                    record.refute(address, at);
                    prop_assert!(record.counts(day).quality() <= before);
                }
            }
            prop_assert!(record.counts(day).quality() <= Fixed::ONE);
            prop_assert!(record.quality(day - 3, day) <= record.counts(day).quality());
            let of_day = || record.credits().filter(|credit| credit.day == day);
            for credit in of_day() {
                prop_assert_eq!(of_day().filter(|other| other.near == credit.near).count(), 1);
                prop_assert!(of_day().filter(|other| other.near.wide() == credit.near.wide()).count() <= 5);
            }
            prop_assert!(record.refutations().filter(|refuted| refuted.day == day).count() <= 3);
        }
    }

    // 15.
    #[test]
    fn levels_hold_for_half_a_half_life_while_nothing_changes(
        reporters in prop::collection::vec((1..=8_u32, 1..=20_u64, 0..20_u64, any::<bool>()), 1..=8),
    ) {
        let mut world = World::with_friends(1..=8);
        let step = Duration::from_secs(20 * 60);
        let mut rose: Option<Timestamp> = None;
        let mut last = Level::Clear;
        for tick in 0..(5 * 24 * 3) {
            for (by, hours, shift, is_known) in &reporters {
                if (tick + shift) % (3 * hours) == 0 {
                    let seq = world.next_seq();
                    let said = lymph_trust::Voice {
                        is_rule_known: *is_known,
                        expires: world.now + HOUR * (*hours as u32 + 1),
                        ..voice(*by, seq, world.now)
                    };
                    world.hear(1, said);
                }
            }
            world.wait(step);
            let level = world.level(1);
            if level > last {
                rose = Some(world.now);
            } else if level < last {
                prop_assert!(rose.is_none_or(|rose| world.now.since(rose) >= 3 * HOUR), "{:?} to {:?}", last, level);
            }
            last = level;
        }
    }

    /// A level is what a full look says, wherever the clock is set to, and ends.
    #[test]
    fn levels_are_right_after_every_step_of_the_clock(plan in plan(40), steps in prop::collection::vec((any::<bool>(), 0..5_usize, 0..100_u64), 1..6)) {
        let mut world = plan.build();
        for (is_ahead, size, wait) in steps {
            let step = [Duration::from_secs(1), HOUR / 10, 3 * HOUR, 5 * DAY, 10_000 * DAY][size];
            let before = world.now;
            world.now = if is_ahead { before + step } else { before - step };
            world.trust.clock_stepped(before, world.now);
            world.settle();
            for about in 0..3 {
                let is = world.trust.assess(subject(about), world.now);
                prop_assert_eq!(world.level(about), is.level);
            }
            world.wait(Duration::from_secs(60 * wait));
        }
        world.wait(9 * DAY);
        prop_assert_eq!(world.trust.reports(), 0);
        prop_assert_eq!(world.trust.levels().count(), 0);
    }

    // 16.
    #[test]
    fn a_dead_key_weighs_nothing_in_whatever_order_that_is_heard(plan in plan(40), dead in 1..=40_u32, when in 0..3) {
        let empty = Plan { vouches: Vec::new(), reports: Vec::new(), kin: Vec::new(), ..plan.clone() };
        let mut world = empty.build();
        let until = [Timestamp::MAX, START + DAY][(dead % 2) as usize];
        let bar = |world: &mut World, at: i32| if at == when {
            world.trust.bar(node(dead), until);
        };
        bar(&mut world, 0);
        for (who, kin, weight) in &plan.kin {
            world.kin(*who, *kin, *weight);
        }
        bar(&mut world, 1);
        for (seq, (issuer, about, weight)) in (1..).zip(&plan.vouches) {
            world.trust.hear_vouch(&statement(*issuer, *about, *weight, seq), START);
        }
        plan.hear(&mut world, |number| number);
        bar(&mut world, 2);
        world.settle();
        prop_assert!(world.trust.weights(node(dead)).is_empty());
        let mut muted = plan.clone();
        muted.muted.push(dead);
        let mut expected = muted.build();
        prop_assert_eq!(weights(&mut world, &plan), weights(&mut expected, &plan));
        prop_assert_eq!(evidence(&mut world), evidence(&mut expected));
        // A liar is heard again when what proves it is over; a dead key never.
        let (mut before, later) = (plan.build(), START + DAY + HOUR);
        for world in [&mut world, &mut expected, &mut before] {
            world.now = later;
            world.settle();
        }
        let after = if until == Timestamp::MAX { &mut expected } else { &mut before };
        prop_assert_eq!(weights(&mut world, &plan), weights(after, &plan));
    }

    // 17.
    #[test]
    fn strangers_and_members_say_no_more_than_one_friend(
        plan in plan(60),
        strangers in 1..40_u32,
        members in 1..20_u32,
        is_by_members in any::<bool>(),
    ) {
        // Two friends report too: strangers never make it a block, and neither do the members of one circle.
        let mut plan = Plan { reports: Vec::new(), kin: vec![(1, Kin::Friend, 10_000), (2, Kin::Friend, 10_000)], ..plan };
        plan.nodes = plan.nodes.max(2);
        plan.muted.clear();
        plan.vouches.retain(|(by, of, _)| *by > 2 && *of > 2);
        plan.kin.extend((0..members).map(|n| (100 + n, Kin::Member, 10_000)));
        let crowd = match is_by_members {
            true => 100..100 + members,
            false => 200..200 + strangers,
        };
        plan.seen.extend((200..200 + strangers).map(|of| crate::plan::Seen { of, confirmed: 9, refuted: 0, days_ago: 0 }));
        plan.reports.extend(crowd.clone().map(|by| report(by, 0, 0)));
        let mut world = plan.build();
        let kappa = world.trust.kappa();
        let assessment = world.trust.assess(subject(0), START);
        prop_assert!(assessment.evidence <= kappa);
        prop_assert!(world.level(0) <= Level::Prime);
        if !is_by_members {
            prop_assert!(assessment.evidence > Fixed::ZERO);
            prop_assert_eq!((assessment.strict, assessment.paths), (Fixed::ZERO, 0));
        }
        world.reports(if is_by_members { 1..=1 } else { 1..=2 }, 0);
        prop_assert!(world.level(0) < Level::Block);
    }

    // 18.
    #[test]
    fn a_corrupt_friend_reaches_no_branch_but_their_own(
        plan in plan(60),
        corrupt in any::<prop::sample::Index>(),
        says in vouches(1..=1, 1..=100, 20),
        inner in vouches(61..=100, 1..=100, 40),
    ) {
        let friends = friends(&plan);
        prop_assume!(!friends.is_empty());
        let corrupt = friends[corrupt.index(friends.len())];
        let mut lied = plan.clone();
        lied.nodes = 100;
        lied.vouches.retain(|(by, _, _)| *by != corrupt);
        lied.vouches.extend(says.into_iter().map(|(_, about, weight)| (corrupt, about, weight)));
        lied.vouches.extend(inner);
        let others = |world: &mut World| {
            let mut weights = weights(world, &lied);
            weights.iter_mut().for_each(|weights| weights.retain(|(branch, _)| {
                *branch != Branch::Of(node(corrupt)) && *branch != Branch::Strangers
            }));
            weights
        };
        prop_assert_eq!(others(&mut lied.build()), others(&mut plan.build()));
    }

    // 19. That nothing but our own first-hand detections is reported or confirms is tested in the node.
    #[test]
    fn only_fresh_words_that_could_have_been_wrong_earn_a_credit(plan in plan(40), about in 0..3_u32, by in 1..=40_u32) {
        let mut world = plan.build();
        let credited = world.trust.confirm(subject(about), START);
        for node in &credited {
            let has_earned = world.trust.voices(subject(about)).any(|voice| {
                voice.by == *node && !voice.is_spoofable && !voice.is_retracted && START.since(voice.heard_at) <= DAY
            });
            prop_assert!(has_earned);
        }
        // What ego itself says is no other's word.
        let seq = world.next_seq();
        prop_assert_eq!(world.hear(about, voice(0, seq, START)), None);
        prop_assert!(world.trust.voices(subject(about)).all(|voice| voice.by != node(0)));
        // A credit a day, however often it comes true.
        prop_assert_eq!(world.trust.confirm(subject(about), START), vec![]);
        // What is said after it was seen, or was taken back, earns nothing.
        world.now = START + DAY;
        world.report(by, about);
        world.retract(by, about);
        prop_assert!(!world.trust.confirm(subject(about), world.now).contains(&node(by)) || plan.reports.iter().any(|report| report.by == by && report.about == about));
    }
}

#[test]
fn a_newcomer_counts_a_little_more_than_half() {
    assert!((newcomer().to_f64() - 11.0 / 21.0).abs() < 1e-9);
}

proptest! {
    #![proptest_config(cases(48))]

    /// What is not looked at in full, because it cannot matter, would not have mattered.
    #[test]
    fn a_level_is_what_a_full_look_says_after_each_report(plan in plan(40)) {
        let mut world = Plan { reports: Vec::new(), ..plan.clone() }.build();
        for (seq, report) in (1..).zip(&plan.reports) {
            let now = Heard { hours_ago: 0, ..*report };
            world.hear(now.about, now.voice(now.by, seq));
            for about in 0..3 {
                prop_assert_eq!(world.trust.assess(subject(about), START).level, world.level(about));
            }
        }
    }
}

//! The model once more, as it is written down: every walk and every way tried, in floating point, beside the fast one.

use std::collections::BTreeMap;

use lymph_protocol::NodeId;
use lymph_trust::fixed::Fixed;
use lymph_trust::record::day_of;
use lymph_trust::{Branch, Kin, Level};
use proptest::prelude::*;

use crate::plan::{FAMILIES, Plan, Seen, plan};
use crate::world::{START, node, subject};

const ALPHA: f64 = 0.8;
const W0: f64 = 4.0;
const HOPS: u32 = 4;

struct Reference<'a> {
    plan: &'a Plan,
    kin: Vec<(u32, Kin, f64)>,
    /// Who is there for ego, with the share of a walk that goes from one to the other.
    shares: BTreeMap<u32, Vec<(u32, f64)>>,
}

impl<'a> Reference<'a> {
    fn new(plan: &'a Plan) -> Self {
        let is_there = |who: &u32| *who != 0 && !plan.muted.contains(who);
        let mut out: BTreeMap<u32, Vec<(u32, f64)>> = BTreeMap::new();
        for (issuer, about, weight) in plan.last_vouches() {
            if is_there(&issuer) && is_there(&about) {
                let weight = f64::from(weight) / 10_000.0;
                out.entry(issuer).or_default().push((about, weight));
            }
        }
        for vouches in out.values_mut() {
            let total: f64 = vouches.iter().map(|(_, weight)| weight).sum();
            for (_, weight) in vouches {
                *weight *= ALPHA / total.max(W0);
            }
        }
        let kin = plan.last_kin().into_iter();
        let kin = kin.filter(|(who, _, _)| is_there(who));
        let kin = kin.map(|(who, kin, weight)| (who, kin, f64::from(weight) / 10_000.0));
        Reference {
            plan,
            kin: kin.collect(),
            shares: out,
        }
    }

    fn out(&self, who: u32) -> &[(u32, f64)] {
        self.shares.get(&who).map_or(&[], Vec::as_slice)
    }

    /// Whether a branch has a say in a block.
    fn is_blocking(&self, branch: Branch) -> bool {
        let is_sibling = |(who, kin, _): &(u32, Kin, f64)| {
            *kin == Kin::Sibling && branch == Branch::Of(node(*who))
        };
        branch != Branch::Strangers && !self.kin.iter().any(is_sibling)
    }

    fn branch_of(&self, who: u32) -> Option<Branch> {
        let kin = self.kin.iter().find(|(node, _, _)| *node == who);
        kin.map(|(who, kin, _)| match kin {
            Kin::Member => Branch::Members,
            Kin::Friend | Kin::Sibling => Branch::Of(node(*who)),
        })
    }

    /// The chance that a walk which is there gets to somebody in so many steps: all walks, one by one.
    fn chance(&self, at: u32, to: u32, branch: Branch, steps: u32) -> f64 {
        if at == to {
            return 1.0;
        }
        if steps == 0 {
            return 0.0;
        }
        let is_open = |next: u32| self.branch_of(next).is_none_or(|of| of == branch);
        let next = self.out(at).iter().filter(|(next, _)| is_open(*next));
        next.map(|(next, share)| share * self.chance(*next, to, branch, steps - 1))
            .sum()
    }

    fn members(&self) -> f64 {
        let members = self.kin.iter().filter(|(_, kin, _)| *kin == Kin::Member);
        members.map(|(_, _, weight)| weight).sum()
    }

    /// What each branch gives somebody, without strangers.
    fn weights(&self, to: u32) -> BTreeMap<Branch, f64> {
        let mut weights = BTreeMap::new();
        for (root, kin, weight) in &self.kin {
            let (branch, part) = match kin {
                Kin::Member => (Branch::Members, weight / self.members().max(1.0)),
                Kin::Friend | Kin::Sibling => (Branch::Of(node(*root)), *weight),
            };
            *weights.entry(branch).or_insert(0.0) += part * self.chance(*root, to, branch, HOPS);
        }
        if to == 0 || self.plan.muted.contains(&to) {
            weights.clear();
        }
        weights.retain(|_, weight| *weight > 0.0);
        weights
    }

    /// `r` on a day.
    fn right(seen: Option<&Seen>, day: u32) -> f64 {
        let left = |at: u32| match at <= day && day - at < 84 {
            true => (-f64::from(day - at) / 14.0).exp2(),
            false => 0.0,
        };
        let (mut a, mut b) = (0.0, 0.0);
        if let Some(seen) = seen {
            let last = day_of(START) - seen.days_ago;
            a = (0..seen.confirmed).map(|n| left(last - n)).sum();
            b = f64::from(seen.refuted) * left(last);
        }
        (2.0 + a) / (3.0 + a + 5.0 * b)
    }

    fn seen(&self, who: u32) -> Option<&Seen> {
        self.plan.seen.iter().rev().find(|seen| seen.of == who)
    }

    /// The lowest quality since so many hours ago.
    fn quality(&self, who: u32, hours_ago: u32) -> f64 {
        let first = day_of(START - crate::world::HOUR * hours_ago);
        let days = first..=day_of(START);
        let of_day = |day| ((Self::right(self.seen(who), day) - 0.3) / 0.7).max(0.0);
        days.map(of_day).fold(1.0, f64::min)
    }

    fn strangers(&self) -> Vec<u32> {
        let has_earned = |who: &u32| {
            let Some(seen) = self.seen(*who) else {
                return false;
            };
            seen.confirmed >= 8 && Self::right(Some(seen), day_of(START)) >= 0.8
        };
        let is_far = |who: &u32| self.weights(*who).is_empty() && !self.plan.muted.contains(who);
        (1..=self.plan.nodes)
            .filter(has_earned)
            .filter(is_far)
            .collect()
    }

    fn branches(&self) -> BTreeMap<Branch, f64> {
        let mut branches = BTreeMap::new();
        for (who, kin, weight) in &self.kin {
            if *kin != Kin::Member {
                branches.insert(Branch::Of(node(*who)), *weight);
            }
        }
        if self.members() > 0.0 {
            branches.insert(Branch::Members, self.members().min(1.0));
        }
        if !self.strangers().is_empty() {
            branches.insert(Branch::Strangers, 1.0);
        }
        branches
    }

    fn kappa(&self) -> f64 {
        (self.branches().values().sum::<f64>() / 200.0).clamp(0.02, 0.08)
    }

    /// The reporters of an address: what their word is worth, what of it nobody can be made to do, and their quality.
    fn reporters(&self, about: u32) -> BTreeMap<u32, (f64, f64, f64)> {
        let mut last = BTreeMap::new();
        let mut reports: Vec<_> = self.plan.reports.iter().enumerate().collect();
        reports.sort_by_key(|(_, report)| std::cmp::Reverse(report.hours_ago));
        // Of one author about one family the report with the highest number holds, among those that are as good.
        for (seq, report) in reports {
            let class = (
                report.is_spoofable,
                report.is_rule_known && !report.is_spoofable,
            );
            let key = (report.by, report.family, class);
            if report.about == about && last.get(&key).is_none_or(|(old, _)| *old < seq) {
                last.insert(key, (seq, report));
            }
        }
        let mut reporters = BTreeMap::new();
        for ((by, family, _), (_, report)) in last {
            if report.ttl_hours <= report.hours_ago || self.plan.muted.contains(&by) {
                continue;
            }
            let quality = self.quality(by, report.hours_ago);
            let sure = f64::from(u8::from(!report.is_spoofable));
            let known = if report.is_rule_known { 1.0 } else { 0.5 };
            let evidence = quality * sure * known * (-f64::from(report.hours_ago) / 6.0).exp2();
            let entry = reporters.entry(by).or_insert((0.0_f64, 0.0_f64, 0.0_f64));
            entry.0 = entry.0.max(evidence);
            if !FAMILIES[family].is_inducible() {
                entry.1 = entry.1.max(evidence);
            }
            if sure > 0.0 {
                entry.2 = entry.2.max(quality);
            }
        }
        reporters
    }

    /// Each branch's evidence, and of that what nobody can be made to do.
    fn evidence(&self, about: u32) -> BTreeMap<Branch, (f64, f64)> {
        let strangers = self.strangers();
        let mut sums: BTreeMap<Branch, [f64; 4]> = BTreeMap::new();
        for (by, (evidence, strict, quality)) in self.reporters(about) {
            let mut weights = self.weights(by);
            if strangers.contains(&by) {
                weights.insert(Branch::Strangers, 1.0 / strangers.len() as f64);
            }
            for (branch, weight) in weights {
                let sum = sums.entry(branch).or_default();
                if evidence > 0.0 {
                    sum[0] += weight * evidence;
                    sum[1] = sum[1].max(quality);
                }
                if strict > 0.0 && self.is_blocking(branch) {
                    sum[2] += weight * strict;
                    sum[3] = sum[3].max(quality);
                }
            }
        }
        let (kappa, branches) = (self.kappa(), self.branches());
        let capped = |(branch, [all, best, strict, strict_best]): (Branch, [f64; 4])| {
            let cap = |best: f64| kappa * branches[&branch] * (best / (11.0 / 21.0)).min(1.0);
            (branch, (all.min(cap(best)), strict.min(cap(strict_best))))
        };
        sums.into_iter().map(capped).collect()
    }

    /// Those at whom a way ends.
    fn ends(&self, about: u32, is_strict: bool) -> Vec<u32> {
        let reporters = self.reporters(about).into_iter();
        let counts = reporters.filter(|(by, (evidence, strict, quality))| {
            let worth = if is_strict { strict } else { evidence };
            *worth > 1e-12
                && *quality >= 0.25
                && self
                    .weights(*by)
                    .keys()
                    .any(|branch| !is_strict || self.is_blocking(*branch))
        });
        counts.map(|(by, _)| by).collect()
    }

    /// The most ways of at most so many vouches, ego's included, that share nobody: all ways, and all choices of them.
    fn ways(&self, ends: &[u32], is_strict: bool, longest: u32) -> u32 {
        let mut found = Vec::new();
        let roots = self.kin.iter();
        for (root, kin, _) in roots.filter(|(_, kin, _)| !is_strict || *kin != Kin::Sibling) {
            let members = u64::from(*kin == Kin::Member) << 63;
            self.extend(*root, 1 << root | members, ends, longest - 1, &mut found);
        }
        // Of two ways one of which has all of the other's nodes the other will do.
        found.sort_unstable_by_key(|way| way.count_ones());
        let mut least: Vec<u64> = Vec::new();
        for way in found {
            if least.iter().all(|less| less & way != *less) {
                least.push(way);
            }
        }
        most_disjoint(&least, 0)
    }

    fn extend(&self, at: u32, way: u64, ends: &[u32], left: u32, found: &mut Vec<u64>) {
        if ends.contains(&at) {
            found.push(way);
            return;
        }
        if left > 0 {
            for (next, _) in self.out(at) {
                if way & 1 << next == 0 && self.branch_of(*next).is_none() {
                    self.extend(*next, way | 1 << next, ends, left - 1, found);
                }
            }
        }
    }
}

fn most_disjoint(ways: &[u64], used: u64) -> u32 {
    let Some((way, rest)) = ways.split_first() else {
        return 0;
    };
    let without = most_disjoint(rest, used);
    match way & used {
        0 => without.max(1 + most_disjoint(rest, used | way)),
        _ => without,
    }
}

fn close(is: Fixed, expected: f64) -> Result<(), TestCaseError> {
    prop_assert!(
        (is.to_f64() - expected).abs() < 1e-6,
        "{} is not {}",
        is,
        expected
    );
    Ok(())
}

fn cases(default: u32) -> ProptestConfig {
    crate::invariants::cases(default)
}

proptest! {
    #![proptest_config(cases(200))]

    /// `T_b(j)` for every branch and peer.
    #[test]
    fn weights_are_those_of_all_walks(plan in plan(9)) {
        let reference = Reference::new(&plan);
        let mut world = plan.build();
        for peer in 0..=plan.nodes {
            let mut expected = reference.weights(peer);
            let strangers = reference.strangers();
            if strangers.contains(&peer) {
                expected.insert(Branch::Strangers, 1.0 / strangers.len() as f64);
            }
            expected.retain(|_, weight| *weight > 1e-9);
            let is: BTreeMap<Branch, Fixed> = world.trust.weights(node(peer)).iter().copied()
                .filter(|(_, weight)| weight.to_f64() > 1e-9).collect();
            prop_assert_eq!(is.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
            for (branch, weight) in is {
                close(weight, expected[&branch])?;
            }
        }
    }

    /// `kappa`, `E_b`, `E`, `E'`, and the level that follows.
    #[test]
    fn evidence_and_level_are_those_of_the_formulas(plan in plan(9)) {
        let reference = Reference::new(&plan);
        let mut world = plan.build();
        close(world.trust.kappa(), reference.kappa())?;
        for about in 0..3 {
            let was = world.level(about);
            let assessment = world.trust.assess(subject(about), START);
            let expected = reference.evidence(about);
            for share in &assessment.branches {
                let expected = expected.get(&share.branch).copied().unwrap_or_default();
                close(share.evidence, expected.0)?;
                close(share.strict, expected.1)?;
            }
            let (evidence, strict) = expected.values().fold((0.0, 0.0), |sum, each| (sum.0 + each.0, sum.1 + each.1));
            close(assessment.evidence, evidence)?;
            close(assessment.strict, strict)?;
            let kappa = reference.kappa();
            let sibling = reference.reporters(about).into_iter().any(|(by, (evidence, _, quality))| {
                plan.is_sibling(by) && evidence >= kappa && quality >= 0.25
            });
            let is_over = |evidence: f64, at: f64, level: Level| {
                evidence > 0.0 && evidence >= if was >= level { at / 2.0 } else { at }
            };
            let level = if sibling || is_over(strict, 2.5 * kappa, Level::Block) && assessment.strict_paths >= 3 {
                Level::Block
            } else if is_over(evidence, kappa, Level::Throttle) && assessment.paths >= 2 {
                Level::Throttle
            } else if is_over(evidence, kappa / 2.0, Level::Prime) {
                Level::Prime
            } else {
                Level::Clear
            };
            let halves = |evidence: f64| evidence / kappa * 20.0;
            let is_on_edge = |evidence: f64| (halves(evidence) - halves(evidence).round()).abs() < 1e-6;
            if !is_on_edge(evidence) && !is_on_edge(strict) {
                prop_assert_eq!(assessment.level, level);
            }
        }
    }

    /// No way of at most five vouches is missed, and no way is counted that does not exist.
    #[test]
    fn ways_lie_between_those_of_five_vouches_and_those_of_any_length(plan in plan(10)) {
        let reference = Reference::new(&plan);
        let mut world = plan.build();
        for about in 0..3 {
            let assessment = world.trust.assess(subject(about), START);
            for (is_strict, counted) in [(false, assessment.paths), (true, assessment.strict_paths)] {
                let ends = reference.ends(about, is_strict);
                prop_assert!(reference.ways(&ends, is_strict, HOPS + 1) <= counted);
                prop_assert!(counted <= reference.ways(&ends, is_strict, 12));
            }
        }
    }

    /// With nobody to be walked through but a few, both are the same.
    #[test]
    fn in_small_graphs_the_ways_are_exactly_those(plan in plan(4)) {
        let reference = Reference::new(&plan);
        let mut world = plan.build();
        for about in 0..3 {
            let assessment = world.trust.assess(subject(about), START);
            prop_assert_eq!(assessment.paths, reference.ways(&reference.ends(about, false), false, HOPS + 1));
            prop_assert_eq!(assessment.strict_paths, reference.ways(&reference.ends(about, true), true, HOPS + 1));
        }
    }
}

/// The names of branches are those of nodes.
#[test]
fn a_friend_of_eight_gives_what_can_be_worked_out_by_hand() {
    let plan = Plan {
        nodes: 12,
        kin: vec![(1, Kin::Friend, 10_000), (2, Kin::Friend, 5_000)],
        vouches: vec![
            (1, 3, 10_000),
            (1, 2, 10_000),
            (2, 3, 10_000),
            (3, 4, 10_000),
            (4, 3, 10_000),
            (3, 1, 10_000),
        ],
        ..Plan::default()
    };
    let mut world = plan.build();
    let mut check = |peer: u32, expected: &[(u32, f64)]| {
        let weights = world.trust.weights(node(peer));
        assert_eq!(weights.len(), expected.len());
        for (root, weight) in expected {
            let branch = Branch::Of(node(*root));
            let is = weights
                .iter()
                .find(|(of, _)| *of == branch)
                .map(|(_, weight)| weight.to_f64());
            assert!(
                (is.unwrap_or(0.0) - weight).abs() < 1e-8,
                "{peer} by {root}: {is:?} is not {weight}"
            );
        }
    };
    check(1, &[(1, 1.0)]);
    check(2, &[(2, 0.5)]);
    check(3, &[(1, 0.2), (2, 0.1)]);
    // Through 3, and from there back to 1 and through 3 again.
    check(4, &[(1, 0.04 + 0.04 * 0.04), (2, 0.02)]);
    check(5, &[]);
    let unknown: NodeId = node(99);
    assert_eq!(world.trust.weights(unknown).len(), 0);
}

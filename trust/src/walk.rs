//! What a branch gives a peer: the chance that a walk which leaves the branch's root ever comes by.
//!
//! From the root each of at most `hops` steps survives with probability `alpha` and moves along the issuer's shares; the
//! share that nobody is given vanishes. It never enters another vouchee of ego. First passage: the peer ends the walk, so
//! what it says itself cannot matter. Worked out backward from the peer over the vertices that lie between, layer by layer:
//! `x[t](u)` is the chance to get there from `u` within `t` steps. (Friedman and Resnick's entry fee, Nasrulin's MeritRank;
//! first passage in place of visits, so that nobody gains by vouching in rings.)

use std::collections::{BTreeMap, BTreeSet};

use crate::fixed::Fixed;
use crate::graph::{Graph, Index};
use crate::view::{Branch, Kin, View};

/// What each branch gives a peer, those that give nothing left out.
pub(crate) fn weights(graph: &Graph, view: &View, peer: Index) -> Vec<(Branch, Fixed)> {
    let mut weights = Vec::new();
    if view.is_hidden(peer) {
        return weights;
    }
    let root = view.root(peer);
    if let Some(root) = root.filter(|root| root.kin != Kin::Member) {
        weights.push((
            Branch::Of(root.id),
            Fixed::ratio(root.weight.into(), 10_000),
        ));
        return weights;
    }
    let between = view.between(graph, &[peer]);
    if between.nodes.is_empty() {
        return weights;
    }
    // A root's place, and what it is; the peer itself ends the walk.
    let found: Vec<_> = view
        .roots()
        .iter()
        .filter_map(|root| Some((root, between.find(root.index)?)))
        .collect();
    let mut is_root = vec![false; between.nodes.len()];
    for (_, place) in &found {
        is_root[*place] = true;
    }
    // Which roots a walk can come by on its way. Few: it has to get there and back in time. Of the others all are worked out
    // at once, since nobody who is on the way enters them.
    let mut is_passed = vec![false; between.nodes.len()];
    for (_, to, _) in &between.edges {
        is_passed[*to] |= *to != 0;
    }
    // The chance to get there from each vertex, with these roots open and all others closed to whoever is on the way.
    let chance = |starts: &[usize]| {
        let mut is_open: Vec<bool> = is_root.iter().map(|is_root| !is_root).collect();
        for start in starts {
            is_open[*start] = true;
        }
        let mut now = vec![0_u64; between.nodes.len()];
        now[0] = Fixed::ONE.to_bits();
        for _ in 0..view.hops() {
            let mut next = vec![0_u64; between.nodes.len()];
            next[0] = Fixed::ONE.to_bits();
            for (from, to, share) in &between.edges {
                if *from != 0 && is_open[*from] && is_open[*to] && now[*to] > 0 {
                    let step = (u128::from(now[*to]) * u128::from(*share)) >> 32;
                    next[*from] += u64::try_from(step).unwrap_or(0);
                }
            }
            now = next;
        }
        now
    };
    let places = found.iter().map(|(_, place)| *place);
    let unpassed: Vec<_> = places.filter(|place| !is_passed[*place]).collect();
    let shared = chance(&unpassed);
    if root.is_none() {
        for (root, place) in found.iter().filter(|(root, _)| root.kin != Kin::Member) {
            let chance = match is_passed[*place] {
                true => chance(&[*place])[*place],
                false => shared[*place],
            };
            let chance = Fixed::from_bits(chance);
            let weight = Fixed::ratio(root.weight.into(), 10_000).times(chance);
            weights.push((Branch::Of(root.id), weight));
        }
    }
    let members = || view.roots().iter().filter(|root| root.kin == Kin::Member);
    let all: u64 = members().map(|root| u64::from(root.weight)).sum();
    let starts: Vec<_> = found
        .iter()
        .filter(|(root, _)| root.kin == Kin::Member)
        .collect();
    if !starts.is_empty() {
        let places: Vec<_> = starts.iter().map(|(_, place)| *place).collect();
        let chances = match places.iter().any(|place| is_passed[*place]) {
            true => chance(&places),
            false => shared,
        };
        let weight = starts
            .iter()
            .map(|(root, place)| {
                let part = Fixed::ratio(root.weight.into(), all.max(10_000));
                part.times(Fixed::from_bits(chances[*place]))
            })
            .sum();
        weights.push((Branch::Members, weight));
    }
    weights.retain(|(_, weight)| *weight > Fixed::ZERO);
    weights.sort_unstable_by_key(|(branch, _)| *branch);
    weights
}

/// How often a walk that leaves a root is expected to step into a crowd, if it ends there.
pub(crate) fn entries(graph: &Graph, view: &View, root: Index, crowd: &BTreeSet<Index>) -> Fixed {
    let mut now = BTreeMap::from([(root, Fixed::ONE)]);
    let mut entries = Fixed::ZERO;
    for _ in 0..view.hops() {
        let mut next: BTreeMap<Index, Fixed> = BTreeMap::new();
        for (from, there) in now {
            for edge in graph.out(from) {
                let is_shut = view
                    .root(edge.node)
                    .is_some_and(|other| other.index != root);
                if is_shut || view.is_hidden(edge.node) {
                    continue;
                }
                let share = Fixed::from_bits(u64::from(view.share(graph, from, edge)) << 16);
                let step = there.times(share);
                match crowd.contains(&edge.node) {
                    true => entries += step,
                    false => *next.entry(edge.node).or_default() += step,
                }
            }
        }
        now = next;
    }
    entries
}

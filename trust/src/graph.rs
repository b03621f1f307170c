//! Who vouches for whom: what every node may know, seen from nowhere.
//!
//! Of everything that an issuer ever said about a node the highest number holds. What is believed of an issuer is a function
//! of the set of their statements, whatever the order in which they came: the newest [`RECORDS_PER_ISSUER`] vouches and as
//! many revocations are kept, and of the vouches that are alive and not revoked the newest [`VOUCHES_PER_ISSUER`] count. A
//! revocation that had to be dropped revokes all that is older than those that were kept: nothing comes back.
//!
//! Two graphs share what they have in common: a clone costs a few pointers, and the first change of a part copies that part.
//! The next step of the path is `view`, which looks at it from one node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lymph_protocol::vouch::Minute;
use lymph_protocol::{NodeId, Timestamp};

use crate::policy::{NODES_MAX, Parameters, RECORDS_PER_ISSUER, VOUCHES_MAX, VOUCHES_PER_ISSUER};

/// A node's place in a graph, as long as anybody says anything about it or it says anything.
pub(crate) type Index = u32;

/// Vertices that are copied together.
const CHUNK: usize = 32;
/// Parts of the table of names that are copied together.
const SHARDS: usize = 256;

/// What one node says about another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Statement {
    /// Who.
    pub issuer: NodeId,
    /// About whom.
    pub subject: NodeId,
    /// Ten-thousandths; 0 revokes.
    pub weight: u16,
    /// Its number: of two about the same node the higher one holds.
    pub seq: u64,
    /// Until when it holds.
    pub expires: Minute,
    /// Until when it is remembered, so that nothing older comes back: no earlier than the end of whatever was said before.
    pub kept_until: Minute,
}

/// A statement as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    seq: u64,
    subject: Index,
    expires: u32,
    kept_until: u32,
    weight: u16,
}

impl Record {
    fn is_vouch(&self) -> bool {
        self.weight > 0
    }

    /// Of two statements under one number, which no honest node makes, the same one holds everywhere.
    fn order(&self) -> (u64, std::cmp::Reverse<u16>, u32, u32) {
        (
            self.seq,
            std::cmp::Reverse(self.weight),
            self.expires,
            self.kept_until,
        )
    }
}

/// A vouch that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    /// For whom, or by whom.
    pub(crate) node: Index,
    /// 2^-32ths of a walk that take this step, the walk's survival included.
    pub(crate) share: u32,
    /// Ten-thousandths.
    pub(crate) weight: u16,
}

#[derive(Clone, Debug)]
struct Vertex {
    id: NodeId,
    records: Vec<Record>,
    /// Sorted by node.
    out: Vec<Edge>,
    /// Sorted by node.
    into: Vec<Edge>,
    /// Sum of the weights in `out`.
    total: u32,
    /// The minute at which something of it ends.
    next: u32,
    /// How many records name it, and what else needs its place.
    named: u32,
    is_used: bool,
}

/// Everybody's vouches. See the head of the file.
#[derive(Clone, Debug)]
pub struct Graph {
    alpha: u32,
    w0: u32,
    names: Vec<Arc<BTreeMap<NodeId, Index>>>,
    chunks: Vec<Arc<Vec<Vertex>>>,
    free: Arc<BTreeSet<Index>>,
    by_end: Arc<BTreeSet<(u32, Index)>>,
    nodes: usize,
    records: usize,
    nodes_max: usize,
    records_max: usize,
}

/// What a statement changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// Whose vouches are others than before.
    pub(crate) issuers: Vec<Index>,
    /// There was no room for it.
    pub(crate) is_full: bool,
}

impl Graph {
    /// Nobody vouches for anybody.
    #[must_use]
    pub fn new(parameters: &Parameters) -> Self {
        Graph {
            alpha: parameters.alpha.min(1_000_000),
            w0: parameters.w0.max(1),
            names: vec![Arc::default(); SHARDS],
            chunks: Vec::new(),
            free: Arc::default(),
            by_end: Arc::default(),
            nodes: 0,
            records: 0,
            nodes_max: NODES_MAX,
            records_max: VOUCHES_MAX,
        }
    }

    /// With less room than usual.
    #[must_use]
    pub fn with_room(mut self, nodes: usize, vouches: usize) -> Self {
        (self.nodes_max, self.records_max) = (nodes, vouches);
        self
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes == 0
    }

    /// How many statements are kept.
    #[must_use]
    pub fn statements(&self) -> usize {
        self.records
    }

    /// Everybody.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.names.iter().flat_map(|shard| shard.keys().copied())
    }

    /// Whom a node vouches for, with what weight in ten-thousandths.
    pub fn vouches_of(&self, issuer: NodeId) -> impl Iterator<Item = (NodeId, u16)> + '_ {
        let edges = self
            .index(issuer)
            .map_or(&[][..], |issuer| self.out(issuer));
        edges.iter().map(|edge| (self.id(edge.node), edge.weight))
    }

    /// Who vouches for a node, with what weight in ten-thousandths.
    pub fn vouchers_of(&self, subject: NodeId) -> impl Iterator<Item = (NodeId, u16)> + '_ {
        let edges = self
            .index(subject)
            .map_or(&[][..], |subject| self.into(subject));
        edges.iter().map(|edge| (self.id(edge.node), edge.weight))
    }

    /// Whether anything that a node said is kept, be it a revocation or over.
    pub(crate) fn has_said(&self, issuer: NodeId) -> bool {
        let issuer = self.index(issuer);
        issuer.is_some_and(|issuer| !self.vertex(issuer).records.is_empty())
    }

    /// One past the largest index.
    pub(crate) fn bound(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    pub(crate) fn index(&self, node: NodeId) -> Option<Index> {
        self.names[shard_of(node)].get(&node).copied()
    }

    fn vertex(&self, index: Index) -> &Vertex {
        &self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }

    fn vertex_mut(&mut self, index: Index) -> &mut Vertex {
        &mut Arc::make_mut(&mut self.chunks[index as usize / CHUNK])[index as usize % CHUNK]
    }

    pub(crate) fn id(&self, index: Index) -> NodeId {
        self.vertex(index).id
    }

    /// Whom a node vouches for, sorted by place.
    pub(crate) fn out(&self, index: Index) -> &[Edge] {
        &self.vertex(index).out
    }

    /// Who vouches for a node, sorted by place.
    pub(crate) fn into(&self, index: Index) -> &[Edge] {
        &self.vertex(index).into
    }

    /// Sum of the weights of a node's vouches.
    pub(crate) fn total(&self, index: Index) -> u32 {
        self.vertex(index).total
    }

    /// 2^-32ths of a walk that go from an issuer of that much in all to one whom they vouch for.
    pub(crate) fn share(&self, weight: u16, total: u32) -> u32 {
        let whole = (u128::from(self.alpha) * u128::from(weight)) << 32;
        let share = whole / (1_000_000 * u128::from(total.max(self.w0)));
        u32::try_from(share).unwrap_or(u32::MAX)
    }

    /// The place of a node, made for it if there is none; `None` if there is no room.
    pub(crate) fn place(&mut self, node: NodeId) -> Option<Index> {
        if let Some(index) = self.index(node) {
            return Some(index);
        }
        if self.nodes >= self.nodes_max {
            return None;
        }
        if self.free.is_empty() {
            let first = self.bound();
            let unused = |_| Vertex {
                id: node,
                records: Vec::new(),
                out: Vec::new(),
                into: Vec::new(),
                total: 0,
                next: u32::MAX,
                named: 0,
                is_used: false,
            };
            self.chunks.push(Arc::new((0..CHUNK).map(unused).collect()));
            let places = (first..first + CHUNK).filter_map(|place| u32::try_from(place).ok());
            Arc::make_mut(&mut self.free).extend(places);
        }
        let index = Arc::make_mut(&mut self.free).pop_first()?;
        let vertex = self.vertex_mut(index);
        (vertex.id, vertex.is_used) = (node, true);
        Arc::make_mut(&mut self.names[shard_of(node)]).insert(node, index);
        self.nodes += 1;
        Some(index)
    }

    /// The place of a node, which keeps it until [`Graph::unpin`].
    pub(crate) fn pin(&mut self, node: NodeId) -> Option<Index> {
        let index = self.place(node)?;
        self.vertex_mut(index).named += 1;
        Some(index)
    }

    /// See [`Graph::pin`].
    pub(crate) fn unpin(&mut self, index: Index) {
        let vertex = self.vertex_mut(index);
        vertex.named = vertex.named.saturating_sub(1);
        self.leave(index);
    }

    /// Give up the place of a node that says nothing and about whom nothing is said.
    fn leave(&mut self, index: Index) {
        let vertex = self.vertex(index);
        if !vertex.is_used || !vertex.records.is_empty() || vertex.named > 0 {
            return;
        }
        let id = vertex.id;
        self.vertex_mut(index).is_used = false;
        Arc::make_mut(&mut self.names[shard_of(id)]).remove(&id);
        Arc::make_mut(&mut self.free).insert(index);
        self.nodes -= 1;
    }

    /// Somebody says something about somebody.
    pub(crate) fn say(&mut self, statement: &Statement, now: Timestamp) -> Changed {
        let minute = minute_of(now);
        let mut changed = Changed::default();
        let kept_until = statement.kept_until.0.max(statement.expires.0);
        if statement.issuer == statement.subject || kept_until <= minute {
            return changed;
        }
        let is_known = self.index(statement.issuer).is_some_and(|issuer| {
            let subject = self.index(statement.subject);
            let records = &self.vertex(issuer).records;
            subject.is_some_and(|subject| records.iter().any(|record| record.subject == subject))
        });
        if !is_known && self.records >= self.records_max {
            changed.is_full = true;
            return changed;
        }
        let (Some(issuer), Some(subject)) =
            (self.place(statement.issuer), self.place(statement.subject))
        else {
            changed.is_full = true;
            self.tidy(statement.issuer);
            return changed;
        };
        let record = Record {
            seq: statement.seq,
            subject,
            expires: statement.expires.0,
            kept_until,
            weight: statement.weight.min(10_000),
        };
        let records = &mut self.vertex_mut(issuer).records;
        let same = records
            .iter_mut()
            .find(|old| old.subject == subject && old.is_vouch() == record.is_vouch());
        let (mut gone, is_new) = (None, same.is_none());
        match same {
            // No record is remembered for less time than one it took the place of.
            Some(old) if old.order() < record.order() => {
                *old = Record {
                    kept_until: old.kept_until.max(record.kept_until),
                    ..record
                };
            }
            Some(old) => old.kept_until = old.kept_until.max(record.kept_until),
            None => {
                push_tight(records, record);
                let of_kind = || {
                    let of = records.iter().enumerate();
                    of.filter(|(_, old)| old.is_vouch() == record.is_vouch())
                };
                if of_kind().count() > RECORDS_PER_ISSUER {
                    let oldest = of_kind().min_by_key(|(_, old)| (old.order(), old.subject));
                    gone = oldest.map(|(place, _)| place);
                }
            }
        }
        let dropped = gone.map(|place| self.vertex_mut(issuer).records.remove(place).subject);
        if is_new {
            self.vertex_mut(subject).named += 1;
            self.records += 1;
        }
        self.records -= usize::from(dropped.is_some());
        if self.settle(issuer, minute) {
            changed.issuers.push(issuer);
        }
        if let Some(dropped) = dropped {
            self.unpin(dropped);
        }
        changed
    }

    /// Forget what is over.
    pub(crate) fn forget_before(&mut self, now: Timestamp) -> Changed {
        let minute = minute_of(now);
        let mut changed = Changed::default();
        while let Some((end, issuer)) = self.by_end.first().copied()
            && end <= minute
        {
            let vertex = self.vertex_mut(issuer);
            let before = vertex.records.len();
            let over: Vec<_> = vertex
                .records
                .extract_if(.., |record| record.kept_until <= minute)
                .map(|record| record.subject)
                .collect();
            self.records -= before - self.vertex(issuer).records.len();
            if self.settle(issuer, minute) {
                changed.issuers.push(issuer);
            }
            for subject in over {
                self.unpin(subject);
            }
            self.leave(issuer);
        }
        changed
    }

    /// Forget all that an issuer said, to make room.
    pub(crate) fn forget(&mut self, issuer: NodeId, now: Timestamp) -> Changed {
        let mut changed = Changed::default();
        let Some(index) = self.index(issuer) else {
            return changed;
        };
        let records = std::mem::take(&mut self.vertex_mut(index).records);
        self.records -= records.len();
        if self.settle(index, minute_of(now)) {
            changed.issuers.push(index);
        }
        for record in records {
            self.unpin(record.subject);
        }
        self.leave(index);
        changed
    }

    /// When something ends.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let first = self.by_end.first();
        first.map(|(minute, _)| Minute(*minute).start())
    }

    fn tidy(&mut self, node: NodeId) {
        if let Some(index) = self.index(node) {
            self.leave(index);
        }
    }

    /// Work out what holds of an issuer's statements. Whether that is something else than before.
    fn settle(&mut self, issuer: Index, minute: u32) -> bool {
        let vertex = self.vertex(issuer);
        let revoked: BTreeMap<Index, u64> = vertex
            .records
            .iter()
            .filter(|record| !record.is_vouch() && record.kept_until > minute)
            .map(|record| (record.subject, record.seq))
            .collect();
        let floor = match revoked.len() >= RECORDS_PER_ISSUER {
            true => revoked.values().min().copied().unwrap_or(0),
            false => 0,
        };
        let mut holds: Vec<&Record> = vertex
            .records
            .iter()
            .filter(|record| record.is_vouch() && record.expires > minute && record.seq >= floor)
            .filter(|record| {
                let revoked = revoked.get(&record.subject);
                revoked.is_none_or(|revoked| *revoked < record.seq)
            })
            .collect();
        if holds.len() > VOUCHES_PER_ISSUER {
            holds.sort_unstable_by_key(|record| std::cmp::Reverse(record.order()));
            holds.truncate(VOUCHES_PER_ISSUER);
        }
        let total: u32 = holds.iter().map(|record| u32::from(record.weight)).sum();
        let mut out: Vec<Edge> = Vec::with_capacity(holds.len());
        out.extend(holds.iter().map(|record| Edge {
            node: record.subject,
            share: self.share(record.weight, total),
            weight: record.weight,
        }));
        out.sort_unstable_by_key(|edge| edge.node);
        let next = vertex
            .records
            .iter()
            .map(
                |record| match record.expires > minute && record.is_vouch() {
                    true => record.expires,
                    false => record.kept_until,
                },
            )
            .min()
            .unwrap_or(u32::MAX);
        let last = vertex.next;
        if next != last {
            let by_end = Arc::make_mut(&mut self.by_end);
            by_end.remove(&(last, issuer));
            if next != u32::MAX {
                by_end.insert((next, issuer));
            }
            self.vertex_mut(issuer).next = next;
        }
        if self.vertex(issuer).out == out {
            return false;
        }
        let vertex = self.vertex_mut(issuer);
        vertex.total = total;
        let old = std::mem::replace(&mut vertex.out, out.clone());
        for edge in &old {
            if out
                .binary_search_by_key(&edge.node, |edge| edge.node)
                .is_err()
            {
                let into = &mut self.vertex_mut(edge.node).into;
                if let Ok(place) = into.binary_search_by_key(&issuer, |edge| edge.node) {
                    into.remove(place);
                }
            }
        }
        for edge in &out {
            let back = Edge {
                node: issuer,
                ..*edge
            };
            let into = &self.vertex(edge.node).into;
            match into.binary_search_by_key(&issuer, |edge| edge.node) {
                Ok(place) if into[place] == back => {}
                Ok(place) => self.vertex_mut(edge.node).into[place] = back,
                Err(place) => {
                    let into = &mut self.vertex_mut(edge.node).into;
                    make_tight(into);
                    into.insert(place, back);
                }
            }
        }
        true
    }
}

fn shard_of(node: NodeId) -> usize {
    usize::from(node.as_bytes()[0]) % SHARDS
}

fn minute_of(now: Timestamp) -> u32 {
    Minute::of(now).0
}

/// Grow by a quarter, not by doubling: there are many of these lists.
fn make_tight<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact(list.len() / 4 + 1);
    }
}

fn push_tight<T>(list: &mut Vec<T>, item: T) {
    make_tight(list);
    list.push(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 minutes after some midnight.
    const NOW: u32 = 29_000_000;

    fn node(number: u32) -> NodeId {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
        bytes[4..8].copy_from_slice(&number.to_be_bytes());
        NodeId::from_bytes(bytes)
    }

    /// Issuer, subject, weight, number, and for how many minutes it holds and is kept.
    type Said = (u32, u32, u16, u64, u32, u32);

    fn statement((issuer, subject, weight, seq, holds, kept): Said) -> Statement {
        Statement {
            issuer: node(issuer),
            subject: node(subject),
            weight,
            seq,
            expires: Minute(NOW + holds),
            kept_until: Minute(NOW + kept),
        }
    }

    fn hear(graph: &mut Graph, said: &[Said], after: u32) {
        for said in said {
            graph.say(&statement(*said), Minute(NOW + after).start());
        }
    }

    fn graph() -> Graph {
        Graph::new(&Parameters::default())
    }

    /// Whom node 1 vouches for, with what weight.
    fn of_one(graph: &Graph) -> Vec<(u32, u16)> {
        let number = |node: NodeId| {
            let bytes = node.as_bytes();
            u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])
        };
        let vouches = graph.vouches_of(node(1));
        let mut vouches: Vec<_> = vouches
            .map(|(node, weight)| (number(node), weight))
            .collect();
        vouches.sort_unstable();
        vouches
    }

    /// What holds of node 1's statements, in whichever order they come, so many minutes later.
    fn check(said: &[Said], after: u32, expected: &[(u32, u16)]) {
        let mut orders = vec![said.to_vec(), said.iter().rev().copied().collect()];
        for turn in 1..said.len() {
            orders.push([&said[turn..], &said[..turn]].concat());
        }
        for order in orders {
            let mut graph = graph();
            hear(&mut graph, &order, 0);
            graph.forget_before(Minute(NOW + after).start());
            assert_eq!(of_one(&graph), expected, "{order:?}");
            sound(&graph);
        }
    }

    /// Both directions say the same, sums are sums, and nobody has a place for nothing.
    fn sound(graph: &Graph) {
        let (mut nodes, mut records) = (0, 0);
        for index in 0..u32::try_from(graph.bound()).unwrap() {
            let vertex = graph.vertex(index);
            nodes += usize::from(vertex.is_used);
            records += vertex.records.len();
            let total: u32 = vertex.out.iter().map(|edge| u32::from(edge.weight)).sum();
            assert_eq!(vertex.total, total);
            for edge in &vertex.out {
                let back = graph.into(edge.node).iter().find(|back| back.node == index);
                assert_eq!(
                    back.map(|back| (back.share, back.weight)),
                    Some((edge.share, edge.weight))
                );
                assert_eq!(edge.share, graph.share(edge.weight, total));
            }
            for edge in &vertex.into {
                assert!(graph.out(edge.node).iter().any(|out| out.node == index));
            }
            if vertex.is_used {
                assert_eq!(graph.index(vertex.id), Some(index));
                assert!(!vertex.records.is_empty() || vertex.named > 0);
            } else {
                assert!(
                    vertex.out.is_empty() && vertex.into.is_empty() && vertex.records.is_empty()
                );
            }
        }
        assert_eq!((nodes, records), (graph.len(), graph.statements()));
    }

    #[test]
    fn of_two_statements_the_one_with_the_higher_number_holds() {
        check(
            &[(1, 2, 5_000, 1, 9, 9), (1, 2, 7_000, 2, 9, 9)],
            0,
            &[(2, 7_000)],
        );
        check(
            &[(1, 2, 5_000, 2, 9, 9), (1, 2, 7_000, 1, 9, 9)],
            0,
            &[(2, 5_000)],
        );
        // Under one number the smaller weight holds everywhere, and nothing at all if one of them revokes.
        check(
            &[(1, 2, 5_000, 1, 9, 9), (1, 2, 7_000, 1, 9, 9)],
            0,
            &[(2, 5_000)],
        );
        check(&[(1, 2, 5_000, 1, 9, 9), (1, 2, 0, 1, 9, 9)], 0, &[]);
        // No more than one.
        check(&[(1, 2, u16::MAX, 1, 9, 9)], 0, &[(2, 10_000)]);
    }

    #[test]
    fn a_revocation_holds_against_all_that_is_older() {
        let vouch = (1, 2, 5_000, 3, 9, 9);
        check(&[vouch, (1, 2, 0, 4, 9, 9)], 0, &[]);
        check(&[vouch, (1, 2, 0, 2, 9, 9)], 0, &[(2, 5_000)]);
        check(
            &[vouch, (1, 2, 0, 4, 9, 9), (1, 2, 6_000, 5, 9, 9)],
            0,
            &[(2, 6_000)],
        );
        check(&[vouch, (1, 3, 0, 4, 9, 9)], 0, &[(2, 5_000)]);
        check(&[vouch, (3, 2, 0, 4, 9, 9)], 0, &[(2, 5_000)]);
    }

    #[test]
    fn nobody_speaks_for_themselves() {
        check(&[(1, 1, 5_000, 1, 9, 9)], 0, &[]);
        let mut graph = graph();
        hear(&mut graph, &[(1, 1, 5_000, 1, 9, 9)], 0);
        assert!(graph.is_empty());
    }

    #[test]
    fn what_is_over_holds_no_longer() {
        let said = [(1, 2, 5_000, 1, 5, 9), (1, 3, 5_000, 2, 9, 9)];
        check(&said, 4, &[(2, 5_000), (3, 5_000)]);
        check(&said, 5, &[(3, 5_000)]);
        check(&said, 9, &[]);
        // Nothing older comes back while the newer one is remembered.
        check(&[(1, 2, 5_000, 1, 8, 9), (1, 2, 7_000, 2, 5, 9)], 6, &[]);
        check(
            &[(1, 2, 5_000, 1, 9, 9), (1, 2, 0, 2, 3, 3)],
            5,
            &[(2, 5_000)],
        );
        let mut graph = graph();
        hear(&mut graph, &[(1, 2, 5_000, 1, 5, 9), (1, 3, 0, 2, 7, 7)], 0);
        let deadline = |graph: &Graph| graph.next_deadline().map(|at| Minute::of(at).0 - NOW);
        for (at, next) in [(5, Some(7)), (7, Some(9)), (9, None)] {
            assert_eq!(deadline(&graph), Some(at));
            graph.forget_before(Minute(NOW + at).start());
            assert_eq!(deadline(&graph), next);
        }
        assert!(graph.is_empty());
        hear(&mut graph, &[(1, 2, 5_000, 1, 5, 9)], 9);
        assert!(graph.is_empty());
    }

    #[test]
    fn of_too_many_vouches_the_newest_count_whatever_the_order() {
        let live = VOUCHES_PER_ISSUER as u32;
        let all: Vec<Said> = (0..3 * live)
            .map(|n| (1, 10 + n, 100, n.into(), 9, 9))
            .collect();
        let mut mixed = all.clone();
        mixed.sort_unstable_by_key(|said| said.3.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for order in [all.clone(), all.iter().rev().copied().collect(), mixed] {
            let mut graph = graph();
            hear(&mut graph, &order, 0);
            let subjects: Vec<_> = of_one(&graph)
                .into_iter()
                .map(|(subject, _)| subject)
                .collect();
            assert_eq!(subjects, (10 + 2 * live..10 + 3 * live).collect::<Vec<_>>());
            assert_eq!(graph.statements(), RECORDS_PER_ISSUER);
            sound(&graph);
        }
        // Of those kept some count again when newer ones are revoked.
        let mut graph = graph();
        hear(&mut graph, &all, 0);
        hear(&mut graph, &[(1, 9 + 3 * live, 0, 10_000, 9, 9)], 0);
        assert_eq!(of_one(&graph).len(), VOUCHES_PER_ISSUER);
        assert_eq!(of_one(&graph)[0].0, 9 + 2 * live);
    }

    #[test]
    fn a_revocation_that_had_to_be_dropped_still_revokes() {
        let kept = RECORDS_PER_ISSUER as u32;
        let mut said: Vec<Said> = vec![(1, 5, 100, 1, 9, 9), (1, 5, 0, 2, 9, 9)];
        said.extend((0..kept).map(|n| (1, 10 + n, 0, 10 + u64::from(n), 9, 9)));
        said.push((1, 6, 100, 10_000, 9, 9));
        for order in [said.clone(), said.iter().rev().copied().collect()] {
            let mut graph = graph();
            hear(&mut graph, &order, 0);
            assert_eq!(of_one(&graph), [(6, 100)]);
            hear(&mut graph, &[(1, 5, 100, 1, 9, 9)], 0);
            assert_eq!(of_one(&graph), [(6, 100)]);
            sound(&graph);
        }
    }

    #[test]
    fn a_full_table_takes_no_more_and_places_are_used_again() {
        let mut graph = graph().with_room(4, 3);
        let say =
            |graph: &mut Graph, said| graph.say(&statement(said), Minute(NOW).start()).is_full;
        assert!(!say(&mut graph, (1, 2, 100, 1, 9, 9)));
        assert!(!say(&mut graph, (3, 4, 100, 1, 9, 9)));
        assert!(say(&mut graph, (1, 5, 100, 2, 9, 9)), "a fifth node");
        assert!(say(&mut graph, (5, 6, 100, 2, 9, 9)), "two more nodes");
        assert!(!say(&mut graph, (1, 4, 100, 2, 9, 9)));
        assert!(say(&mut graph, (1, 3, 100, 3, 9, 9)), "a fourth statement");
        // What is known already may be said anew, and be taken back.
        assert!(!say(&mut graph, (1, 2, 200, 4, 9, 9)));
        assert!(!say(&mut graph, (1, 2, 0, 5, 9, 9)));
        assert_eq!(of_one(&graph), [(4, 100)]);
        sound(&graph);
        graph.forget(node(3), Minute(NOW).start());
        sound(&graph);
        graph.forget(node(1), Minute(NOW).start());
        sound(&graph);
        assert!(graph.is_empty() && graph.bound() == CHUNK);
        for round in 0..100 {
            assert!(!say(&mut graph, (10 + round, 11 + round, 100, 1, 9, 9)));
            graph.forget(node(10 + round), Minute(NOW).start());
        }
        assert_eq!((graph.len(), graph.bound()), (0, CHUNK));
        sound(&graph);
    }

    #[test]
    fn who_is_pinned_keeps_their_place() {
        let mut graph = graph();
        let place = graph.pin(node(7)).unwrap();
        hear(&mut graph, &[(1, 7, 100, 1, 9, 9)], 0);
        graph.forget_before(Minute(NOW + 9).start());
        assert_eq!((graph.index(node(7)), graph.len()), (Some(place), 1));
        graph.unpin(place);
        assert!(graph.is_empty());
        sound(&graph);
    }

    #[test]
    fn a_clone_shares_what_it_does_not_change() {
        let mut graph = graph();
        for issuer in 0..1_000 {
            hear(
                &mut graph,
                &[(issuer, (issuer + 1) % 1_000, 100, 1, 9, 9)],
                0,
            );
        }
        let mut other = graph.clone();
        hear(&mut other, &[(1, 500, 100, 2, 9, 9)], 0);
        assert_eq!(of_one(&graph), [(2, 100)]);
        assert_eq!(of_one(&other), [(2, 100), (500, 100)]);
        sound(&graph);
        sound(&other);
        let chunks = graph.chunks.iter().zip(&other.chunks);
        let copied = chunks
            .filter(|(one, other)| !Arc::ptr_eq(one, other))
            .count();
        assert!(copied <= 3, "{copied}");
    }
}

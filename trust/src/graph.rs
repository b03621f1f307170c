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

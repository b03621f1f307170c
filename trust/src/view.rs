//! The graph as one node sees it: without itself and without whom it muted, from its own friends on.
//!
//! Ego and whoever is muted, dead or a proven liar are taken out *before* shares are made: an issuer's trust is divided
//! among the others. What a branch gives a reporter is worked out in `walk`, how many independent ways lead to them in
//! `paths`; both look at the few vertices that lie between here and there, which `between` finds.

use std::collections::BTreeMap;

use lymph_protocol::NodeId;

use crate::graph::{Edge, Graph, Index};

/// What a vouchee is to their voucher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kin {
    /// The operator's own machine.
    Sibling,
    /// Somebody they know: a branch of their own.
    Friend,
    /// Somebody they merely curate: all of these together are one branch.
    Member,
}

/// A way by which a node hears of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Branch {
    /// A friend or a sibling, and whom these vouch for.
    Of(NodeId),
    /// All whom this node merely curates.
    Members,
    /// Strangers that earned it.
    Strangers,
}

/// Nobody is that far away.
pub(crate) const FAR: u8 = u8::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) index: Index,
    pub(crate) id: NodeId,
    /// Ten-thousandths.
    pub(crate) weight: u16,
    pub(crate) kin: Kin,
}

/// See the head of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// Sorted by index.
    roots: Vec<Root>,
    /// Who is not there, one bit each.
    hidden: Bits,
    /// Whose trust is divided by another sum here, because they vouch for somebody who is not there.
    totals: BTreeMap<Index, u32>,
    /// Steps from the nearest root.
    distance: Vec<u8>,
    hops: u8,
}

#[derive(Clone, Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn set(&mut self, index: Index) {
        let word = index as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (index % 64);
    }

    fn has(&self, index: Index) -> bool {
        let word = self.0.get(index as usize / 64);
        word.is_some_and(|word| word & (1 << (index % 64)) != 0)
    }
}

impl View {
    pub(crate) fn new(
        graph: &Graph,
        hidden: impl Iterator<Item = Index>,
        roots: impl Iterator<Item = Root>,
        hops: u32,
    ) -> Self {
        let mut view = View {
            hops: u8::try_from(hops).unwrap_or(FAR - 1).min(FAR - 1),
            ..View::default()
        };
        for index in hidden {
            view.hidden.set(index);
            for edge in graph.into(index) {
                let total = view.totals.entry(edge.node);
                let total = total.or_insert_with(|| graph.total(edge.node));
                *total = total.saturating_sub(u32::from(edge.weight));
            }
        }
        view.roots = roots.filter(|root| !view.hidden.has(root.index)).collect();
        view.roots.sort_unstable_by_key(|root| root.index);
        view.measure(graph);
        view
    }

    fn measure(&mut self, graph: &Graph) {
        self.distance = vec![FAR; graph.bound()];
        let mut last: Vec<Index> = self.roots.iter().map(|root| root.index).collect();
        for root in &last {
            self.distance[*root as usize] = 0;
        }
        for distance in 1..=self.hops {
            let mut next = Vec::new();
            for from in last {
                for edge in graph.out(from) {
                    let at = &mut self.distance[edge.node as usize];
                    if *at == FAR && !self.hidden.has(edge.node) {
                        *at = distance;
                        next.push(edge.node);
                    }
                }
            }
            last = next;
        }
    }

    pub(crate) fn roots(&self) -> &[Root] {
        &self.roots
    }

    pub(crate) fn root(&self, index: Index) -> Option<&Root> {
        let place = self.roots.binary_search_by_key(&index, |root| root.index);
        place.ok().map(|place| &self.roots[place])
    }

    pub(crate) fn hops(&self) -> u8 {
        self.hops
    }

    pub(crate) fn is_hidden(&self, index: Index) -> bool {
        self.hidden.has(index)
    }

    /// Steps from the nearest root; [`FAR`] if that is more than a walk has.
    pub(crate) fn distance(&self, index: Index) -> u8 {
        self.distance.get(index as usize).copied().unwrap_or(FAR)
    }

    /// 2^-32ths of a walk that take a step.
    pub(crate) fn share(&self, graph: &Graph, from: Index, edge: &Edge) -> u32 {
        let total = match self.totals.is_empty() {
            true => None,
            false => self.totals.get(&from),
        };
        match total {
            Some(total) => graph.share(edge.weight, *total),
            None => edge.share,
        }
    }

    /// Everybody who can be reached from a node in as many steps as a walk has left that came there in so many, the node
    /// itself left out; `None` if these are more than so many.
    pub(crate) fn beyond(
        &self,
        graph: &Graph,
        from: Index,
        steps: u8,
        most: usize,
    ) -> Option<Vec<Index>> {
        let mut seen = Between::default();
        seen.place(from);
        let mut done = 0;
        for _ in steps..self.hops {
            let end = seen.nodes.len();
            for at in done..end {
                for edge in graph.out(seen.nodes[at]) {
                    if !self.is_hidden(edge.node) {
                        seen.place(edge.node);
                    }
                }
                if seen.nodes.len() > most {
                    return None;
                }
            }
            done = end;
        }
        Some(seen.nodes.split_off(1))
    }

    /// All that lies on the way from a root to one of the targets in as many steps as a walk has.
    pub(crate) fn between(&self, graph: &Graph, targets: &[Index]) -> Between {
        let mut between = Between::default();
        for target in targets {
            if !self.is_hidden(*target) && self.distance(*target) <= self.hops {
                between.place(*target);
            }
        }
        between.targets = between.nodes.len();
        let mut done = 0;
        for depth in 0..self.hops {
            let end = between.nodes.len();
            for to in done..end {
                for edge in graph.into(between.nodes[to]) {
                    let from = edge.node;
                    if self.distance(from).saturating_add(depth + 1) <= self.hops
                        && !self.is_hidden(from)
                    {
                        let from_place = between.place(from);
                        let share = self.share(graph, from, edge);
                        between.edges.push((from_place, to, share));
                    }
                }
            }
            done = end;
            between.ends.push(between.edges.len());
        }
        between
    }
}

/// A part of the graph: see [`View::between`].
#[derive(Debug, Default)]
pub(crate) struct Between {
    /// The targets first.
    pub(crate) nodes: Vec<Index>,
    pub(crate) targets: usize,
    /// From, to (places in `nodes`) and share.
    pub(crate) edges: Vec<(usize, usize, u32)>,
    /// How many of the edges lead to whoever is at most so many steps from a target: 0, 1, 2 and so on.
    pub(crate) ends: Vec<usize>,
    places: Places,
}

/// Where each vertex is in a list: a table with open addresses, since this is asked for each vouch on the way.
#[derive(Debug)]
struct Places {
    /// A vertex and its place, at most three in four of them used.
    slots: Vec<(Index, u32)>,
    used: usize,
}

const UNUSED: u32 = u32::MAX;

impl Default for Places {
    fn default() -> Self {
        Places {
            slots: vec![(0, UNUSED); 64],
            used: 0,
        }
    }
}

impl Places {
    /// The slot of a vertex, or the one that it would have.
    fn slot(&self, node: Index) -> usize {
        let mask = self.slots.len() - 1;
        // Fibonacci hashing (Knuth 1973): whoever chooses places in the graph gains nothing but longer looks at themselves.
        let mut slot = (node.wrapping_mul(0x9e37_79b9) >> 7) as usize & mask;
        while self.slots[slot].1 != UNUSED && self.slots[slot].0 != node {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn get(&self, node: Index) -> Option<usize> {
        let (_, place) = self.slots[self.slot(node)];
        (place != UNUSED).then_some(place as usize)
    }

    /// The place of a vertex; this one, if it had none.
    fn get_or_put(&mut self, node: Index, place: usize) -> usize {
        if self.used * 4 >= self.slots.len() * 3 {
            let larger = vec![(0, UNUSED); self.slots.len() * 4];
            for (node, place) in std::mem::replace(&mut self.slots, larger) {
                if place != UNUSED {
                    let slot = self.slot(node);
                    self.slots[slot] = (node, place);
                }
            }
        }
        let slot = self.slot(node);
        if self.slots[slot].1 == UNUSED {
            self.slots[slot] = (node, u32::try_from(place).unwrap_or(UNUSED));
            self.used += 1;
        }
        self.slots[slot].1 as usize
    }
}

impl Between {
    fn place(&mut self, node: Index) -> usize {
        let next = self.nodes.len();
        let place = self.places.get_or_put(node, next);
        if place == next {
            self.nodes.push(node);
        }
        place
    }

    pub(crate) fn find(&self, node: Index) -> Option<usize> {
        self.places.get(node)
    }
}

//! How many ways lead from here to those who report, with nobody but ego in two of them.
//!
//! If fewer than `k` nodes, fooled and corrupt ones together, stand between ego and all lying reporters, fewer than `k` such
//! ways exist (Menger 1927), so `k` ways are proof that as many would have to be fooled. Exactly bounding the length of
//! each way is NP-hard (Itai, Perl and Shiloach 1982): the flow goes over the vertices through which a way of at most five
//! vouches passes. All whom ego merely curates are one vertex.

use std::collections::VecDeque;

use crate::graph::{Graph, Index};
use crate::view::{Kin, View};

/// The most ways to any of these that share nobody; stops at `most`. Those that count for a block lead through no sibling.
pub(crate) fn disjoint(
    graph: &Graph,
    view: &View,
    targets: &[Index],
    is_strict: bool,
    most: u32,
) -> u32 {
    let between = view.between(graph, targets);
    let nodes = between.nodes.len();
    // Each vertex is two, with room for one way between them; then ego, the members together (also two), and the end.
    let (into, out) = (|node: usize| 2 * node, |node: usize| 2 * node + 1);
    let (ego, members_in, members_out, end) =
        (2 * nodes, 2 * nodes + 1, 2 * nodes + 2, 2 * nodes + 3);
    let mut flow = Flow::new(2 * nodes + 4);
    for node in 0..nodes {
        flow.edge(into(node), out(node));
    }
    for target in 0..between.targets {
        flow.edge(out(target), end);
    }
    flow.edge(members_in, members_out);
    flow.edge(ego, members_in);
    let mut is_root = vec![false; nodes];
    for root in view.roots() {
        if let Some(place) = between.find(root.index) {
            is_root[place] = true;
            match root.kin {
                Kin::Member => flow.edge(members_out, into(place)),
                Kin::Sibling if is_strict => {}
                Kin::Sibling | Kin::Friend => flow.edge(ego, into(place)),
            }
        }
    }
    for (from, to, _) in &between.edges {
        // As a walk does, a way enters no other branch.
        if !is_root[*to] {
            flow.edge(out(*from), into(*to));
        }
    }
    let mut ways = 0;
    while ways < most && flow.add_way(ego, end) {
        ways += 1;
    }
    ways
}

/// A network in which every edge carries one way at most.
struct Flow {
    edges: Vec<(usize, bool)>,
    of: Vec<Vec<usize>>,
}

impl Flow {
    fn new(nodes: usize) -> Self {
        Flow {
            edges: Vec::new(),
            of: vec![Vec::new(); nodes],
        }
    }

    /// An edge, and beside it the one that takes it back.
    fn edge(&mut self, from: usize, to: usize) {
        self.of[from].push(self.edges.len());
        self.edges.push((to, true));
        self.of[to].push(self.edges.len());
        self.edges.push((from, false));
    }

    /// One way more, if there is one (Edmonds and Karp 1972).
    fn add_way(&mut self, start: usize, end: usize) -> bool {
        let mut by = vec![None; self.of.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            for edge in &self.of[at] {
                let (to, is_free) = self.edges[*edge];
                if is_free && to != start && by[to].is_none() {
                    by[to] = Some(*edge);
                    queue.push_back(to);
                }
            }
        }
        let mut at = end;
        while at != start {
            let Some(edge) = by[at] else { return false };
            self.edges[edge].1 = false;
            self.edges[edge ^ 1].1 = true;
            at = self.edges[edge ^ 1].0;
        }
        true
    }
}

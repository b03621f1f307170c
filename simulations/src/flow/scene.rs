//! One mesh with one attacker in it: everybody's vouches, and who reports.
//!
//! The attacker's names stand in trees behind the nodes that were fooled: each name vouches for four more, which spends all
//! that it was given (`W0` is 4) on names that no walk has seen, so that the sum of what they weigh is as large as any shape
//! makes it. The next step of the path is `ask`, where one node is asked what it makes of it.

use std::collections::{BTreeSet, VecDeque};

use lymph_protocol::vouch::Minute;
use lymph_protocol::{NodeId, Timestamp};
use lymph_trust::{Graph, Kin, Parameters, Statement, Trust};

use super::nets::Net;
use super::plan::Slander;
use crate::corpus::chance::Chance;

/// When everything is said.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
/// Names of the attacker that one of their names vouches for.
const CHILDREN: usize = 4;
/// Where the numbers of the attacker's names begin.
const SYBILS: u64 = 1 << 32;
/// Where the numbers begin of those that stand behind friends of the one who is asked.
const BEHIND_FRIENDS: u64 = 1 << 33;
/// Where those begin that are strangers.
const STRANGERS: u64 = 1 << 34;
/// A tree of depth two: more is out of reach for a walk that has gone two steps.
const TREE: u64 = 21;

/// What is the same for everybody who is asked.
#[derive(Debug)]
pub(crate) struct Scene {
    /// Vouches that the attacker's names and those who were fooled give.
    pub(crate) edges: Vec<(u64, u64)>,
    /// Vouches that are taken back.
    pub(crate) revoked: Vec<(u64, u64)>,
    /// Who reports the address.
    pub(crate) reporters: Vec<u64>,
    /// Names of the attacker.
    pub(crate) sybils: BTreeSet<u64>,
    /// Nodes that were fooled.
    pub(crate) fooled: BTreeSet<u64>,
    /// Nodes whose keys the attacker has.
    pub(crate) owned: BTreeSet<u64>,
}

impl Scene {
    /// Some honest nodes report an attacker.
    pub(crate) fn immunity(net: &Net, reporters: u64, chance: &mut Chance) -> Scene {
        Scene {
            edges: Vec::new(),
            revoked: Vec::new(),
            reporters: some(net.nodes(), reporters, chance),
            sybils: BTreeSet::new(),
            fooled: BTreeSet::new(),
            owned: BTreeSet::new(),
        }
    }

    /// The attacker has some nodes vouch for him, and reports an innocent.
    pub(crate) fn slander(net: &Net, slander: &Slander, chance: &mut Chance) -> Scene {
        let count = slander.fooled.of(net.nodes());
        let mut chosen = some(net.nodes(), count + slander.owned, chance);
        let owned = chosen.split_off(chosen.len().min(count as usize));
        let fooled = chosen;
        let sybils: Vec<u64> = (SYBILS..SYBILS + slander.sybils).collect();
        // Ways count if they share nobody: each who was fooled knows another name, as long as there are any. Whoever has a key
        // vouches by it for four names, and for nobody else.
        let speakers = fooled.iter().copied();
        let keys = owned.iter().flat_map(|key| [*key; CHILDREN]);
        let mut edges: Vec<_> = speakers
            .chain(keys)
            .zip(sybils.iter().copied().cycle())
            .collect();
        let entries = sybils.len().min(edges.len());
        grow(&sybils, entries, &mut edges);
        let mut revoked = Vec::new();
        for key in &owned {
            revoked.extend(said_by(net, *key));
        }
        Scene {
            edges,
            revoked,
            reporters: owned.iter().copied().chain(sybils.clone()).collect(),
            sybils: sybils.into_iter().collect(),
            fooled: fooled.into_iter().collect(),
            owned: owned.into_iter().collect(),
        }
    }
}

/// The vouches of an honest node.
fn said_by(net: &Net, node: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
    let own = net.vouches[node as usize].iter();
    own.map(move |(about, _)| (node, *about))
}

/// What the attacker does to one node in particular.
#[derive(Debug, Default)]
pub(crate) struct Aimed {
    pub(crate) edges: Vec<(u64, u64)>,
    pub(crate) revoked: Vec<(u64, u64)>,
    pub(crate) reporters: Vec<u64>,
    pub(crate) sybils: BTreeSet<u64>,
    /// Friends that were fooled, and those whose keys he has.
    pub(crate) corrupt: BTreeSet<u64>,
    pub(crate) strangers: Vec<u64>,
}

impl Aimed {
    /// At this node, through friends of its own.
    pub(crate) fn at(ego: u64, net: &Net, slander: &Slander, chance: &mut Chance) -> Aimed {
        let mut aimed = Aimed::default();
        let friends: Vec<u64> = net.vouches[ego as usize]
            .iter()
            .filter(|(_, kin)| *kin == Kin::Friend)
            .map(|(friend, _)| *friend)
            .collect();
        let chosen = some(
            friends.len() as u64,
            slander.fooled_friends + slander.owned_friends,
            chance,
        );
        for (nth, friend) in (0..).zip(chosen) {
            let friend = friends[friend as usize];
            aimed.corrupt.insert(friend);
            let first = BEHIND_FRIENDS + nth * CHILDREN as u64 * TREE;
            if nth < slander.fooled_friends {
                let tree: Vec<u64> = (first..first + TREE).collect();
                aimed.edges.push((friend, first));
                grow(&tree, 1, &mut aimed.edges);
                aimed.sybils.extend(tree);
            } else {
                // Whoever has the key says what he likes: he vouches for names of his own only, and reports himself.
                aimed.revoked.extend(said_by(net, friend));
                let trees: Vec<u64> = (first..first + CHILDREN as u64 * TREE).collect();
                let entries = trees.iter().take(CHILDREN);
                aimed.edges.extend(entries.map(|entry| (friend, *entry)));
                grow(&trees, CHILDREN, &mut aimed.edges);
                aimed.sybils.extend(trees);
                aimed.reporters.push(friend);
            }
        }
        aimed.strangers = (STRANGERS..STRANGERS + slander.strangers).collect();
        aimed.reporters.extend(&aimed.sybils);
        aimed.reporters.extend(&aimed.strangers);
        aimed
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.edges.is_empty() && self.revoked.is_empty()
    }
}

/// Names behind the first so many of them, each of which vouches for four until all are vouched for.
fn grow(names: &[u64], entries: usize, edges: &mut Vec<(u64, u64)>) {
    let mut open: VecDeque<u64> = names.iter().take(entries).copied().collect();
    for children in names[entries..].chunks(CHILDREN) {
        let Some(parent) = open.pop_front() else {
            return;
        };
        edges.extend(children.iter().map(|child| (parent, *child)));
        open.extend(children);
    }
}

/// Everybody's vouches as the trust code keeps them.
pub(crate) fn graph(net: &Net, scene: &Scene, parameters: &Parameters) -> Graph {
    let nodes = net.vouches.len() + scene.sybils.len() + 1024;
    let honest = net.vouches.iter().map(Vec::len).sum::<usize>();
    let room = Graph::new(parameters).with_room(nodes, honest + scene.edges.len() + 16_384);
    let honest = (0..net.nodes()).flat_map(|node| said_by(net, node));
    let edges = honest.chain(scene.edges.iter().copied());
    said(room, parameters, edges, &scene.revoked)
}

/// The same, with what is aimed at one node.
pub(crate) fn aimed(graph: &Graph, parameters: &Parameters, aimed: &Aimed) -> Graph {
    let edges = aimed.edges.iter().copied();
    said(graph.clone(), parameters, edges, &aimed.revoked)
}

/// Only a node hears vouches; this one believes nobody and is nobody.
fn said(
    graph: Graph,
    parameters: &Parameters,
    edges: impl Iterator<Item = (u64, u64)>,
    revoked: &[(u64, u64)],
) -> Graph {
    let mut nobody = Trust::with_graph(id(u64::MAX), *parameters, graph);
    let end = Minute::of(NOW + std::time::Duration::from_secs(7 * 24 * 60 * 60));
    let statement = |(issuer, about): (u64, u64), weight, seq| Statement {
        issuer: id(issuer),
        subject: id(about),
        weight,
        seq,
        expires: end,
        kept_until: end,
    };
    for edge in edges {
        let is_heard = nobody.hear_vouch(&statement(edge, 10_000, 1), NOW);
        assert!(is_heard, "there is room for all vouches of a plan");
    }
    for edge in revoked {
        nobody.hear_vouch(&statement(*edge, 0, 2), NOW);
    }
    nobody.graph().clone()
}

/// A name of a number.
pub(crate) fn id(number: u64) -> NodeId {
    let mut bytes = [0; 32];
    // Spread over the graph's table of names.
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bytes[..8].copy_from_slice(&spread.to_be_bytes());
    bytes[8..16].copy_from_slice(&number.to_be_bytes());
    NodeId::from_bytes(bytes)
}

/// The number of a name.
pub(crate) fn number(id: NodeId) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&id.as_bytes()[8..16]);
    u64::from_be_bytes(bytes)
}

/// So many of that many numbers, in any order. A seed's first ones are the same, however many are drawn.
pub(crate) fn some(of: u64, count: u64, chance: &mut Chance) -> Vec<u64> {
    let mut all: Vec<u64> = (0..of).collect();
    let count = count.min(of);
    for place in 0..count {
        let other = chance.between(place, of - 1);
        all.swap(place as usize, other as usize);
    }
    all.truncate(count as usize);
    all
}

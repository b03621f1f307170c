//! Who vouches for whom among honest nodes, in the shapes that a mesh may take.
//!
//! A node is a number from 0 on. Weights are 1: a shape says only for whom, and as what. The next step of the path is
//! `scene`, which puts an attacker beside it.

use std::collections::BTreeSet;

use lymph_trust::Kin;
use serde::Deserialize;

use crate::corpus::chance::Chance;

/// Members of one circle on average.
const CIRCLE: u64 = 50;
/// Curators whom a curator vouches for as friends.
const FELLOWS: u64 = 3;
/// Most vouches of one node, as in the product.
const VOUCHES_MAX: usize = lymph_trust::policy::VOUCHES_PER_ISSUER;

/// A shape, as a plan names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "shape", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Shape {
    /// Each vouches for its nearest in a ring; some vouches go to anybody (Watts and Strogatz 1998).
    SmallWorld {
        /// Vouches of a node.
        vouches: u64,
        /// Percent of them that go to anybody. 100 is a mesh in which everybody knows whom chance will have it.
        #[serde(default = "rewired")]
        rewired: u64,
    },
    /// Each vouches for others in proportion to how many did before (Barabási and Albert 1999).
    Preferential {
        /// Vouches of a node.
        vouches: u64,
    },
    /// Groups of twice as many as a node vouches for; one vouch in five leaves the group.
    Groups {
        /// Vouches of a node.
        vouches: u64,
    },
    /// One node in fifty is a curator of about fifty members for each curator that a node has; curators vouch for three
    /// of each other.
    Circles {
        /// Curators of a node, of circles that have nothing to do with each other.
        curators: u64,
        /// Friends of a node besides: anybody.
        friends: u64,
        /// Whether all curators of a node are those of one circle.
        #[serde(default)]
        is_one: bool,
    },
}

/// As in most of the literature.
fn rewired() -> u64 {
    10
}

impl Shape {
    /// In a few words.
    pub(crate) fn name(&self) -> String {
        match self {
            Shape::SmallWorld { vouches, rewired } => {
                format!("small world ({rewired} % afar), {vouches} vouches")
            }
            Shape::Preferential { vouches } => format!("preferential, {vouches} vouches"),
            Shape::Groups { vouches } => format!("groups, {vouches} vouches"),
            Shape::Circles {
                curators,
                friends,
                is_one,
            } => {
                let circles = if *is_one { "one circle" } else { "circles" };
                format!("{circles}, {curators} curators + {friends} friends")
            }
        }
    }
}

/// Who vouches for whom.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    /// By node: whom, and as what.
    pub(crate) vouches: Vec<Vec<(u64, Kin)>>,
}

impl Net {
    /// So many nodes in that shape.
    pub(crate) fn new(shape: &Shape, nodes: u64, chance: &mut Chance) -> Net {
        let mut net = Net {
            vouches: (0..nodes).map(|_| Vec::new()).collect(),
        };
        match *shape {
            Shape::SmallWorld { vouches, rewired } => net.small_world(vouches, rewired, chance),
            Shape::Preferential { vouches } => net.preferential(vouches, chance),
            Shape::Groups { vouches } => net.groups(vouches, chance),
            Shape::Circles {
                curators,
                friends,
                is_one,
            } => {
                match is_one {
                    true => net.one_circle_each(curators),
                    false => net.circles(curators, chance),
                }
                for node in 0..nodes {
                    net.befriend_anybody(node, friends, chance);
                }
            }
        }
        net
    }

    /// How many there are.
    pub(crate) fn nodes(&self) -> u64 {
        self.vouches.len() as u64
    }

    fn of(&self, node: u64) -> &[(u64, Kin)] {
        &self.vouches[node as usize]
    }

    /// Whether there was need and room for it.
    fn vouch(&mut self, node: u64, about: u64, kin: Kin) -> bool {
        let vouches = &mut self.vouches[node as usize];
        let is_new = node != about && vouches.iter().all(|(old, _)| *old != about);
        let is_added = is_new && vouches.len() < VOUCHES_MAX;
        if is_added {
            vouches.push((about, kin));
        }
        is_added
    }

    /// Friends more, as far as there are any.
    fn befriend_anybody(&mut self, node: u64, friends: u64, chance: &mut Chance) {
        let room = (self.nodes() - 1).saturating_sub(self.of(node).len() as u64);
        let mut left = friends.min(room);
        while left > 0 {
            let about = chance.below(self.nodes());
            left -= u64::from(self.vouch(node, about, Kin::Friend));
        }
    }

    fn small_world(&mut self, vouches: u64, rewired: u64, chance: &mut Chance) {
        let nodes = self.nodes();
        for node in 0..nodes {
            for nth in 0..vouches {
                let step = nth / 2 + 1;
                let near = match nth % 2 {
                    0 => (node + step) % nodes,
                    _ => (node + nodes - step % nodes) % nodes,
                };
                if chance.percent(rewired) || !self.vouch(node, near, Kin::Friend) {
                    self.befriend_anybody(node, 1, chance);
                }
            }
        }
    }

    fn preferential(&mut self, vouches: u64, chance: &mut Chance) {
        let nodes = self.nodes();
        // Each once, and once more for each vouch that it was given.
        let mut urn: Vec<u64> = (0..nodes).collect();
        for node in 0..nodes {
            let mut left = vouches.min(nodes - 1);
            while left > 0 {
                let about = *chance.pick(&urn);
                if self.vouch(node, about, Kin::Friend) {
                    urn.push(about);
                    left -= 1;
                }
            }
        }
    }

    fn groups(&mut self, vouches: u64, chance: &mut Chance) {
        let nodes = self.nodes();
        let size = 2 * vouches.max(2);
        for node in 0..nodes {
            let first = node / size * size;
            // Who is left over belongs to a smaller group.
            let last = (first + size).min(nodes);
            let inside = (last - first - 1).min(vouches);
            for nth in 0..vouches {
                if nth >= inside || chance.one_in(5) {
                    self.befriend_anybody(node, 1, chance);
                    continue;
                }
                // By chance it may be everybody inside already.
                let is_added = (0..8 * size)
                    .any(|_| self.vouch(node, chance.between(first, last - 1), Kin::Friend));
                if !is_added {
                    self.befriend_anybody(node, 1, chance);
                }
            }
        }
    }

    /// Curators are the first nodes.
    fn circles(&mut self, curators: u64, chance: &mut Chance) {
        let nodes = self.nodes();
        let all = (nodes / CIRCLE).max(curators.max(1)).min(nodes);
        for node in 0..nodes {
            let others = all - u64::from(node < all);
            let wanted = match node < all {
                true => FELLOWS,
                false => curators,
            };
            let mut chosen = BTreeSet::new();
            while (chosen.len() as u64) < wanted.min(others) {
                let curator = chance.below(all);
                if curator != node && chosen.insert(curator) {
                    self.vouch(node, curator, Kin::Friend);
                    if node >= all {
                        self.vouch(curator, node, Kin::Member);
                    }
                }
            }
        }
    }

    /// Circles of fifty that share nobody, with all their curators each.
    fn one_circle_each(&mut self, curators: u64) {
        let nodes = self.nodes();
        for node in 0..nodes {
            let first = node / CIRCLE * CIRCLE;
            for curator in first..(first + curators).min(nodes) {
                self.vouch(node, curator, Kin::Friend);
                if node >= first + curators {
                    self.vouch(curator, node, Kin::Member);
                }
            }
        }
    }

    /// Steps from a node along vouches, up to so many.
    pub(crate) fn within(&self, node: u64, steps: u32) -> BTreeSet<u64> {
        let mut seen = BTreeSet::from([node]);
        let mut last = vec![node];
        for _ in 0..steps {
            let mut next = Vec::new();
            for from in last {
                for (to, _) in self.of(from) {
                    if seen.insert(*to) {
                        next.push(*to);
                    }
                }
            }
            last = next;
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_the_vouches_that_the_shape_says() {
        for nodes in [5, 23, 400] {
            for vouches in [1, 2, 3, 4, 8] {
                for shape in [
                    Shape::SmallWorld {
                        vouches,
                        rewired: 10,
                    },
                    Shape::Preferential { vouches },
                    Shape::Groups { vouches },
                ] {
                    let net = Net::new(&shape, nodes, &mut Chance::new(7, 0));
                    for (node, own) in (0..).zip(&net.vouches) {
                        let others: BTreeSet<_> = own.iter().map(|(about, _)| *about).collect();
                        let name = shape.name();
                        assert_eq!(own.len() as u64, vouches.min(nodes - 1), "{name}, {nodes}");
                        assert_eq!(others.len(), own.len());
                        assert!(!others.contains(&node));
                    }
                }
            }
        }
    }

    #[test]
    fn curators_and_members_vouch_for_each_other() {
        for is_one in [false, true] {
            let shape = Shape::Circles {
                curators: 3,
                friends: 1,
                is_one,
            };
            let net = Net::new(&shape, 500, &mut Chance::new(7, 0));
            let is_member =
                |curator: u64, node: u64| net.of(curator).contains(&(node, Kin::Member));
            for node in 0..500 {
                let own = net.of(node);
                if own.iter().any(|(_, kin)| *kin == Kin::Member) {
                    continue;
                }
                assert_eq!(own.len(), 4);
                let curators = own.iter().filter(|(about, _)| is_member(*about, node));
                assert_eq!(curators.count(), 3);
            }
        }
    }
}

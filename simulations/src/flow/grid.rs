//! The grid from which the defaults are chosen: what a branch can say at most, how much a block takes, how many vouches a
//! node has, and how far one vouch carries; each point is two experiments of each kind.
//!
//! Whether branches are exclusive is not one of the axes: the production code has no switch for it.

use super::nets::Shape;
use super::plan::{Amount, Experiment, Plan, Slander};

/// Names of the attacker for each node that was fooled.
const SYBILS: u64 = 100;

/// How large it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Grid {
    pub(crate) nodes: u64,
    pub(crate) egos: u64,
    /// Percent of all vouches that go to anybody, in the small worlds.
    pub(crate) rewired: u64,
}

impl Grid {
    /// As a plan.
    pub(crate) fn plan(self) -> Plan {
        let mut net: Vec<Shape> = [2, 3, 4, 5, 8, 12]
            .map(|vouches| Shape::SmallWorld {
                vouches,
                rewired: self.rewired,
            })
            .into();
        net.push(Shape::Circles {
            curators: 2,
            friends: 2,
            is_one: false,
        });
        let mut policies = Vec::new();
        for w0 in ["3", "4", "6", "10"] {
            for kappa in ["kappa=0.02", "kappa=0.05", "kappa=0.1", ""] {
                for block in ["2.01", "2.5", "3"] {
                    let words = [
                        "ours",
                        &format!("w0={w0}"),
                        &format!("block_at={block}"),
                        kappa,
                    ];
                    policies.push(words.join(" ").trim_end().to_owned());
                }
            }
        }
        let immunity = |part| Experiment::Immunity {
            reported: Amount::Part(part),
            at_least: None,
        };
        let slander = |part| {
            Experiment::Slander(Slander {
                fooled: Amount::Part(part),
                sybils: SYBILS,
                ..Slander::default()
            })
        };
        Plan {
            about: format!(
                "percent that block; a policy without kappa takes a 200th of its branches; {} nodes, {} of them asked",
                self.nodes, self.egos
            ),
            nodes: vec![self.nodes],
            egos: self.egos,
            policies,
            net,
            experiment: vec![
                immunity(0.025),
                immunity(0.05),
                slander(0.01),
                slander(0.025),
            ],
        }
    }
}

//! A plan: which meshes, which experiments, which policies. TOML, one file each in `simulations/plans`.

use serde::Deserialize;

use super::nets::Shape;
use super::policies::Named;

/// Nodes of a mesh at most: what the trust code keeps, less the attacker's.
const NODES_MAX: u64 = 50_000;
/// Names of the attacker at most.
const SYBILS_MAX: u64 = 200_000;

/// The plans that come with the program.
pub(crate) const BUNDLED: &[(&str, &str)] = &[
    ("immunity", include_str!("../../plans/immunity.toml")),
    ("slander", include_str!("../../plans/slander.toml")),
    ("sybils", include_str!("../../plans/sybils.toml")),
    ("targeted", include_str!("../../plans/targeted.toml")),
    ("keys", include_str!("../../plans/keys.toml")),
    ("small", include_str!("../../plans/small.toml")),
    ("ablation", include_str!("../../plans/ablation.toml")),
    ("large", include_str!("../../plans/large.toml")),
];

/// See the head of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// What it is for, in a sentence.
    pub(crate) about: String,
    /// Sizes of the mesh.
    pub(crate) nodes: Vec<u64>,
    /// How many nodes are asked what they would do, in each mesh.
    pub(crate) egos: u64,
    /// By name: see [`Named::read`].
    pub(crate) policies: Vec<String>,
    /// Shapes of the mesh.
    pub(crate) net: Vec<Shape>,
    /// What happens in it.
    pub(crate) experiment: Vec<Experiment>,
}

/// How many of the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Amount {
    /// So many.
    Count(u64),
    /// That part of them: 0.025.
    Part(f64),
}

impl Default for Amount {
    fn default() -> Self {
        Amount::Count(0)
    }
}

impl Amount {
    /// Of so many nodes, rounded up.
    pub(crate) fn of(self, nodes: u64) -> u64 {
        match self {
            Amount::Count(count) => count.min(nodes),
            // A part of a thousandth is a thousandth: 2.5 % of 1,000 is 25, whatever a float makes of it.
            Amount::Part(part) => {
                let thousandths = (part * 1000.0).round() as u64;
                (nodes * thousandths).div_ceil(1000)
            }
        }
    }

    fn is_valid(self) -> bool {
        match self {
            Amount::Count(_) => true,
            Amount::Part(part) => (0.0..=1.0).contains(&part),
        }
    }

    pub(crate) fn name(self) -> String {
        match self {
            Amount::Count(count) => count.to_string(),
            Amount::Part(part) => format!("{} %", (part * 1000.0).round() / 10.0),
        }
    }
}

/// One question.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Experiment {
    /// So many honest nodes have reported a true attacker: who of the others blocks them?
    Immunity {
        /// Who has reported.
        reported: Amount,
        /// At least this part of the nodes should.
        at_least: Option<f64>,
    },
    /// An attacker has some nodes vouch for him once each, and reports an innocent under all his names: who blocks them?
    Slander(Slander),
}

/// See [`Experiment::Slander`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Slander {
    /// Nodes anywhere that were fooled into one vouch.
    pub(crate) fooled: Amount,
    /// Nodes anywhere whose keys the attacker has.
    pub(crate) owned: u64,
    /// Friends of the node that is asked which were fooled as well, each into a vouch of its own.
    pub(crate) fooled_friends: u64,
    /// Friends of the node that is asked whose keys the attacker has.
    pub(crate) owned_friends: u64,
    /// Names of the attacker.
    pub(crate) sybils: u64,
    /// Names of the attacker more, which earned a place among the strangers that are heard.
    pub(crate) strangers: u64,
    /// At most this part of the nodes should.
    pub(crate) at_most: Option<f64>,
}

impl Experiment {
    /// In a few words.
    pub(crate) fn name(&self) -> String {
        match self {
            Experiment::Immunity { reported, .. } => format!("{} reported", reported.name()),
            Experiment::Slander(slander) => {
                let mut name = format!("{} fooled", slander.fooled.name());
                for (count, what) in [
                    (slander.owned, "keys owned"),
                    (slander.fooled_friends, "friends fooled"),
                    (slander.owned_friends, "friend's key owned"),
                    (slander.strangers, "strangers earned"),
                ] {
                    if count > 0 {
                        name += &format!(" + {count} {what}");
                    }
                }
                name + &format!(", {} Sybils", slander.sybils)
            }
        }
    }

    /// What is wanted, and whether that much holds it.
    pub(crate) fn target(&self) -> Option<Target> {
        match self {
            Experiment::Immunity { at_least, .. } => at_least.map(Target::AtLeast),
            Experiment::Slander(slander) => slander.at_most.map(Target::AtMost),
        }
    }

    fn check(&self) -> Result<(), String> {
        let amount = match self {
            Experiment::Immunity { reported, .. } => *reported,
            Experiment::Slander(slander) => slander.fooled,
        };
        if !amount.is_valid() {
            return Err("a part is from 0 to 1".to_owned());
        }
        if let Experiment::Slander(slander) = self
            && slander.sybils.max(slander.strangers) > SYBILS_MAX
        {
            return Err(format!("at most {SYBILS_MAX} names of the attacker"));
        }
        Ok(())
    }
}

/// What a plan wants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    pub(crate) fn is_met(self, part: f64) -> bool {
        match self {
            Target::AtLeast(least) => part >= least,
            Target::AtMost(most) => part <= most,
        }
    }

    pub(crate) fn name(self) -> String {
        match self {
            Target::AtLeast(least) => format!(">= {:.1} %", least * 100.0),
            Target::AtMost(most) => format!("<= {:.1} %", most * 100.0),
        }
    }
}

impl Plan {
    /// A plan as written.
    pub(crate) fn read(text: &str) -> Result<Plan, String> {
        let plan: Plan = toml::from_str(text).map_err(|error| error.to_string())?;
        if plan.egos == 0 {
            return Err("egos: at least one node has to be asked".to_owned());
        }
        if plan
            .nodes
            .iter()
            .any(|nodes| !(2..=NODES_MAX).contains(nodes))
        {
            return Err(format!("nodes: from 2 to {NODES_MAX}"));
        }
        plan.named()?;
        plan.experiment.iter().try_for_each(Experiment::check)?;
        Ok(plan)
    }

    /// Its policies.
    pub(crate) fn named(&self) -> Result<Vec<Named>, String> {
        self.policies.iter().map(|name| Named::read(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_that_come_along_can_be_read() {
        for (name, text) in BUNDLED {
            let plan = Plan::read(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(
                !plan.net.is_empty() && !plan.experiment.is_empty(),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let whole = "about = 'x'\nnodes = [50]\negos = 5\npolicies = ['ours']\n\
            [[net]]\nshape = 'groups'\nvouches = 3\n[[experiment]]\nkind = 'slander'\nfooled = 0.01\n";
        assert!(Plan::read(whole).is_ok());
        for (part, wrong) in [
            ("[50]", "[1]"),
            ("egos = 5", "egos = 0"),
            ("'ours'", "'theirs'"),
            ("'groups'", "'crowds'"),
            ("0.01", "1.01"),
            ("fooled", "foolde"),
        ] {
            assert!(Plan::read(&whole.replace(part, wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_part_is_rounded_up() {
        for (part, nodes, expected) in [
            (0.025, 1000, 25),
            (0.025, 2000, 50),
            (0.01, 50, 1),
            (0.0, 9, 0),
        ] {
            assert_eq!(Amount::Part(part).of(nodes), expected);
        }
        assert_eq!(Amount::Count(10).of(5), 5);
    }
}

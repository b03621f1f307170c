//! A plan is gone through: each mesh, seed and experiment, and each node that is asked.

use std::collections::BTreeMap;

use lymph_trust::{Level, Parameters};
use sha2::{Digest, Sha256};

use super::ask::{Answer, check_liars};
use super::nets::{Net, Shape};
use super::plan::{Experiment, Plan};
use super::policies::{AVERAGE, COUNT, Named, Policy, Walk};
use super::scene::{Aimed, Scene, aimed, graph, some};
use crate::corpus::chance::Chance;

/// What chance is for. The one who is aimed at has a source of their own, from `AIMED` on.
const NET: u64 = 1;
const REPORTERS: u64 = 2;
const FOOLED: u64 = 3;
const EGOS: u64 = 4;
const AIMED: u64 = 1 << 32;

/// Answers of a policy to one question.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) asked: u64,
    /// At this level or a higher one.
    pub(crate) primed: u64,
    pub(crate) throttled: u64,
    pub(crate) blocked: u64,
    /// The sum of what the attacker's names weigh for those who were asked; none where no node of ours was.
    pub(crate) weight: f64,
    /// The sum of how many nodes those hear who were asked.
    pub(crate) heard: u64,
    /// Part of those asked that block, by seed.
    pub(crate) by_seed: Vec<f64>,
}

/// A question under one policy.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) net: String,
    pub(crate) nodes: u64,
    pub(crate) experiment: Experiment,
    pub(crate) policy: String,
    pub(crate) tally: Tally,
}

impl Row {
    pub(crate) fn blocked(&self) -> f64 {
        part(self.tally.blocked, self.tally.asked)
    }
}

/// What came of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) about: String,
    pub(crate) seeds: Vec<u64>,
    pub(crate) rows: Vec<Row>,
    /// SHA-256 of all answers in order.
    pub(crate) hash: String,
}

/// One mesh under one seed.
struct Mesh<'a> {
    net: &'a Net,
    egos: u64,
    seed: u64,
}

/// Go through a plan. `step` is told after each node that was asked how many of how many are done.
///
/// # Errors
///
/// What never must happen has happened; it says where.
pub(crate) fn run(
    plan: &Plan,
    seeds: &[u64],
    step: &mut dyn FnMut(u64, u64),
) -> Result<Outcome, String> {
    let policies = plan.named()?;
    let mut walks: BTreeMap<Walk, Parameters> = BTreeMap::new();
    for named in &policies {
        if let Policy::Ours(parameters) = &named.policy {
            walks.entry(Walk::of(parameters)).or_insert(*parameters);
        }
    }
    let meshes = plan.net.len() * plan.experiment.len() * seeds.len() * walks.len();
    let egos: u64 = plan.nodes.iter().map(|nodes| plan.egos.min(*nodes)).sum();
    let (mut done, all) = (0, meshes as u64 * egos);
    let mut hash = Sha256::new();
    let mut rows = Vec::new();
    for shape in &plan.net {
        for nodes in &plan.nodes {
            let mut tallies = vec![vec![Tally::default(); policies.len()]; plan.experiment.len()];
            for seed in seeds {
                let net = Net::new(shape, *nodes, &mut Chance::new(*seed, NET));
                let mesh = Mesh {
                    net: &net,
                    egos: plan.egos.min(*nodes),
                    seed: *seed,
                };
                for (experiment, tallies) in plan.experiment.iter().zip(&mut tallies) {
                    let mut asked = || {
                        done += 1;
                        step(done, all);
                    };
                    mesh.ask(
                        experiment, &policies, &walks, tallies, &mut hash, &mut asked,
                    )
                    .map_err(|error| failure(&error, plan, shape, *nodes, *seed))?;
                }
            }
            for (experiment, tallies) in plan.experiment.iter().zip(tallies) {
                for (named, tally) in policies.iter().zip(tallies) {
                    rows.push(Row {
                        net: shape.name(),
                        nodes: *nodes,
                        experiment: experiment.clone(),
                        policy: named.name.clone(),
                        tally,
                    });
                }
            }
        }
    }
    let hash = hash.finalize();
    Ok(Outcome {
        about: plan.about.clone(),
        seeds: seeds.to_vec(),
        rows,
        hash: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
    })
}

fn failure(error: &str, plan: &Plan, shape: &Shape, nodes: u64, seed: u64) -> String {
    format!(
        "{error}\nin {:?}, {}, {nodes} nodes, seed {seed}",
        plan.about,
        shape.name()
    )
}

impl Mesh<'_> {
    fn ask(
        &self,
        experiment: &Experiment,
        policies: &[Named],
        walks: &BTreeMap<Walk, Parameters>,
        tallies: &mut [Tally],
        hash: &mut Sha256,
        asked: &mut dyn FnMut(),
    ) -> Result<(), String> {
        let Mesh { net, egos, seed } = *self;
        let nodes = net.nodes();
        let scene = match experiment {
            Experiment::Immunity { reported, .. } => {
                Scene::immunity(net, reported.of(nodes), &mut Chance::new(seed, REPORTERS))
            }
            Experiment::Slander(slander) => {
                Scene::slander(net, slander, &mut Chance::new(seed, FOOLED))
            }
        };
        // Who has seen it blocks it, whatever others say.
        let is_asked = |ego: &u64| !scene.reporters.contains(ego);
        let egos: Vec<u64> = some(nodes, nodes, &mut Chance::new(seed, EGOS))
            .into_iter()
            .filter(is_asked)
            .take(egos as usize)
            .collect();
        let mut blocked = vec![0; policies.len()];
        for walk in walks.values() {
            let graph = graph(net, &scene, walk);
            for ego in &egos {
                let aim = aim(*ego, net, experiment, seed);
                let mine = match aim.is_nothing() {
                    true => graph.clone(),
                    false => aimed(&graph, walk, &aim),
                };
                let place = (&scene, &aim);
                let mut answer = Answer::new(*ego, net, &mine, walk, place);
                for number in answer.digest() {
                    hash.update(number.to_be_bytes());
                }
                let mut crowd = scene.sybils.clone();
                crowd.extend(&aim.sybils);
                let weight = answer.weight_of(&crowd)?.to_f64();
                let heard = answer.heard();
                for ((named, tally), blocked) in
                    policies.iter().zip(&mut *tallies).zip(&mut blocked)
                {
                    let Policy::Ours(parameters) = &named.policy else {
                        continue;
                    };
                    if Walk::of(parameters) != Walk::of(walk) {
                        continue;
                    }
                    let level = answer.level(parameters);
                    if parameters == walk && level != answer.own_level() {
                        return Err(format!(
                            "node {ego}: {level:?} when asked, {:?} when it heard",
                            answer.own_level()
                        ));
                    }
                    if level == Level::Block && matches!(experiment, Experiment::Slander(_)) {
                        check_liars(*ego, net, parameters, place)?;
                    }
                    tally.count(level);
                    tally.weight += weight;
                    tally.heard += heard;
                    *blocked += u64::from(level == Level::Block);
                    hash.update([level as u8]);
                }
                asked();
            }
        }
        for (tally, (named, blocked)) in tallies.iter_mut().zip(policies.iter().zip(&mut blocked)) {
            for ego in &egos {
                let aim = aim(*ego, net, experiment, seed);
                if let Some(level) = others(&named.policy, nodes, &scene, &aim) {
                    tally.count(level);
                    *blocked += u64::from(level == Level::Block);
                    hash.update([level as u8]);
                }
            }
            if !egos.is_empty() {
                tally.by_seed.push(part(*blocked, egos.len() as u64));
            }
        }
        Ok(())
    }
}

fn aim(ego: u64, net: &Net, experiment: &Experiment, seed: u64) -> Aimed {
    match experiment {
        Experiment::Immunity { .. } => Aimed::default(),
        Experiment::Slander(slander) => {
            Aimed::at(ego, net, slander, &mut Chance::new(seed, AIMED + ego))
        }
    }
}

/// What policies say that ask no node.
fn others(policy: &Policy, nodes: u64, scene: &Scene, aim: &Aimed) -> Option<Level> {
    let all = (scene.reporters.len() + aim.reporters.len()) as u64;
    let is_name = |reporter: &&u64| **reporter >= nodes;
    let names = scene.reporters.iter().chain(&aim.reporters).filter(is_name);
    let names = names.count() as u64;
    let blocks = match policy {
        Policy::Ours(_) => return None,
        Policy::Naive => all >= COUNT,
        Policy::Average => all * AVERAGE >= nodes + names,
        Policy::Central => all - names >= COUNT,
    };
    Some(if blocks { Level::Block } else { Level::Clear })
}

impl Tally {
    fn count(&mut self, level: Level) {
        self.asked += 1;
        self.primed += u64::from(level >= Level::Prime);
        self.throttled += u64::from(level >= Level::Throttle);
        self.blocked += u64::from(level >= Level::Block);
    }
}

pub(crate) fn part(of: u64, all: u64) -> f64 {
    match all {
        0 => 0.0,
        all => of as f64 / all as f64,
    }
}

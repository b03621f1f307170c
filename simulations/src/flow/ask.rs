//! One node is asked what it makes of an address, by the production code, and what never must happen is looked for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use lymph_protocol::family::Family;
use lymph_protocol::{NodeId, Subject};
use lymph_trust::bound::bound;
use lymph_trust::fixed::Fixed;
use lymph_trust::{Assessment, Branch, Graph, Kin, Level, Parameters, Trust, Voice, Vouchee};

use super::nets::Net;
use super::scene::{Aimed, NOW, Scene, id, number};

const SUBJECT: Subject = Subject::V4(Ipv4Addr::new(203, 0, 113, 7));
/// What sums that are rounded down may differ by.
const ROUNDING: Fixed = Fixed::from_bits(1 << 16);

/// What a node makes of it.
#[derive(Debug)]
pub(crate) struct Answer {
    trust: Trust,
    assessment: Assessment,
}

impl Answer {
    /// A node hears all reports.
    pub(crate) fn new(
        ego: u64,
        net: &Net,
        graph: &Graph,
        parameters: &Parameters,
        (scene, aimed): (&Scene, &Aimed),
    ) -> Answer {
        let mut trust = Trust::with_graph(id(ego), *parameters, graph.clone());
        for (about, kin) in &net.vouches[ego as usize] {
            vouch(&mut trust, *about, *kin);
        }
        // Whoever was fooled is asked as well, and believes what fooled them.
        for (_, about) in scene.edges.iter().filter(|(issuer, _)| *issuer == ego) {
            vouch(&mut trust, *about, Kin::Friend);
        }
        if !aimed.strangers.is_empty() {
            trust.assume_strangers(aimed.strangers.iter().map(|stranger| id(*stranger)));
        }
        let reporters = scene.reporters.iter().chain(&aimed.reporters);
        for (seq, reporter) in (1..).zip(reporters) {
            if *reporter != ego {
                trust.hear(SUBJECT, voice(id(*reporter), seq), NOW);
            }
        }
        let assessment = trust.assess(SUBJECT, NOW);
        Answer { trust, assessment }
    }

    /// What would be done under these thresholds.
    pub(crate) fn level(&mut self, parameters: &Parameters) -> Level {
        self.assessment
            .level_under(parameters, self.trust.branches())
    }

    /// What the node itself does.
    pub(crate) fn own_level(&self) -> Level {
        self.trust.level(SUBJECT)
    }

    /// Evidence, ways and branches: for the hash.
    pub(crate) fn digest(&self) -> [u64; 3] {
        let Assessment {
            evidence,
            strict_paths,
            branches,
            ..
        } = &self.assessment;
        [
            evidence.to_bits(),
            u64::from(*strict_paths),
            branches.len() as u64,
        ]
    }

    /// How many nodes it hears.
    pub(crate) fn heard(&mut self) -> u64 {
        self.trust.standing().heard as u64
    }

    /// What all names of the attacker are given by the node's branches: the sum of T, whether or not there is room for their
    /// reports.
    ///
    /// # Errors
    ///
    /// A branch gives them more than the theorem allows.
    pub(crate) fn weight_of(&mut self, crowd: &BTreeSet<u64>) -> Result<Fixed, String> {
        let ids: BTreeSet<NodeId> = crowd.iter().map(|sybil| id(*sybil)).collect();
        let mut given: BTreeMap<Branch, Fixed> = BTreeMap::new();
        for sybil in &ids {
            for (branch, weight) in self.trust.weights(*sybil).iter() {
                *given.entry(*branch).or_default() += *weight;
            }
        }
        for (branch, given) in &given {
            let Branch::Of(friend) = branch else {
                continue;
            };
            let most = bound(&mut self.trust, *friend, &ids);
            if *given > most + ROUNDING {
                return Err(format!(
                    "the Sybil bound: branch {} gives {given}, at most {most}",
                    number(*friend)
                ));
            }
        }
        Ok(given.into_values().sum())
    }
}

fn vouch(trust: &mut Trust, about: u64, kin: Kin) {
    trust.vouch_for(
        id(about),
        Vouchee {
            kin,
            weight: 10_000,
        },
    );
}

/// A handshake at SSH's door, seen by a rule that everybody knows, heard at once.
fn voice(by: NodeId, seq: u64) -> Voice {
    Voice {
        by,
        family: Family::SSH_AUTH,
        heard_at: NOW,
        said_at: NOW,
        expires: NOW + Duration::from_secs(24 * 60 * 60),
        is_spoofable: false,
        is_rule_known: true,
        seq,
        is_retracted: false,
    }
}

/// Nobody is blocked for the word of fewer than so many who were fooled or are corrupt: those within five vouches count.
pub(crate) fn check_liars(
    ego: u64,
    net: &Net,
    parameters: &Parameters,
    (scene, aimed): (&Scene, &Aimed),
) -> Result<(), String> {
    let near = net.within(ego, parameters.hops + 1);
    // Ego's own mistake is one way for each name that it vouches for.
    let own = scene.edges.iter().filter(|(issuer, _)| *issuer == ego);
    let mut liars: BTreeSet<u64> = scene.fooled.union(&scene.owned).copied().collect();
    liars.extend(&aimed.corrupt);
    liars.retain(|node| *node != ego && near.contains(node));
    let liars = (own.count() + liars.len()) as u64;
    match liars < u64::from(parameters.block_paths) {
        true => Err(format!(
            "node {ego} blocks an innocent for the word of {liars} liars"
        )),
        false => Ok(()),
    }
}

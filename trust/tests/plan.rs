//! A node's whole situation as plain data: what chance makes, what can be changed a little, and what both the model and the
//! reference are made from.

use std::net::Ipv4Addr;

use lymph_protocol::family::Family;
use lymph_protocol::{NodeId, Subject};
use lymph_trust::record::{Credit, Network, Refutation, day_of};
use lymph_trust::{Branch, Kin, Record, Voice};
use proptest::prelude::*;

use crate::world::{HOUR, START, World, node, statement, subject};

pub(crate) const FAMILIES: [Family; 3] = [Family::SSH_AUTH, Family::MAIL_AUTH, Family::WEB_SCAN];

/// A report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) by: u32,
    pub(crate) about: u32,
    pub(crate) family: usize,
    pub(crate) hours_ago: u32,
    pub(crate) ttl_hours: u32,
    pub(crate) is_spoofable: bool,
    pub(crate) is_rule_known: bool,
}

/// What was seen of a peer: so many confirmations, one on each of the days up to `days_ago`, and refutations on that day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) of: u32,
    pub(crate) confirmed: u32,
    pub(crate) refuted: u32,
    pub(crate) days_ago: u32,
}

/// See the head of the file. Ego is 0; of two things said about the same the later one holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) nodes: u32,
    pub(crate) kin: Vec<(u32, Kin, u16)>,
    pub(crate) vouches: Vec<(u32, u32, u16)>,
    pub(crate) muted: Vec<u32>,
    pub(crate) seen: Vec<Seen>,
    pub(crate) reports: Vec<Heard>,
}

impl Plan {
    /// A node in that situation; what others say of others is said in the order of the plan.
    pub(crate) fn build(&self) -> World {
        self.build_as(|number| number)
    }

    /// The same with other names.
    pub(crate) fn build_as(&self, name: impl Fn(u32) -> u32) -> World {
        let mut world = World::new();
        for (who, kin, weight) in &self.kin {
            world.kin(name(*who), *kin, *weight);
        }
        for (seq, (issuer, about, weight)) in (1..).zip(&self.vouches) {
            let statement = statement(name(*issuer), name(*about), *weight, seq);
            assert!(world.trust.hear_vouch(&statement, START));
        }
        for muted in &self.muted {
            world.trust.mute(node(name(*muted)), true);
        }
        for seen in &self.seen {
            world
                .trust
                .restore_record(node(name(seen.of)), seen.record(), START);
        }
        self.hear(&mut world, name);
        world
    }

    /// All reports, the oldest first.
    pub(crate) fn hear(&self, world: &mut World, name: impl Fn(u32) -> u32) {
        let mut reports: Vec<_> = self.reports.iter().enumerate().collect();
        reports.sort_by_key(|(_, report)| std::cmp::Reverse(report.hours_ago));
        for (seq, report) in reports {
            let seq = 10_000 + seq as u64;
            world.now = START - HOUR * report.hours_ago;
            world.hear(report.about, report.voice(name(report.by), seq));
        }
        world.now = START;
        world.settle();
    }

    pub(crate) fn everybody(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..=self.nodes).map(node)
    }

    /// Vouches that can be a walk's step, and that hold: the last of each pair.
    pub(crate) fn last_vouches(&self) -> Vec<(u32, u32, u16)> {
        let mut last = std::collections::BTreeMap::new();
        for (issuer, about, weight) in &self.vouches {
            last.insert((*issuer, *about), *weight);
        }
        let last = last
            .into_iter()
            .map(|((issuer, about), weight)| (issuer, about, weight));
        last.filter(|(issuer, about, weight)| issuer != about && *weight > 0)
            .collect()
    }

    /// What ego's owner says of each, once.
    pub(crate) fn last_kin(&self) -> Vec<(u32, Kin, u16)> {
        let kin = self
            .kin
            .iter()
            .map(|(who, kin, weight)| (*who, (*kin, *weight)));
        let last: std::collections::BTreeMap<_, _> = kin.collect();
        last.into_iter()
            .map(|(who, (kin, weight))| (who, kin, weight))
            .collect()
    }

    pub(crate) fn is_sibling(&self, who: u32) -> bool {
        let kin = self.last_kin();
        kin.iter()
            .any(|(node, kin, _)| *node == who && *kin == Kin::Sibling)
    }

    /// Without reports of the operator's own machines.
    pub(crate) fn without_siblings_reports(mut self) -> Self {
        let siblings = self.clone();
        self.reports
            .retain(|report| !siblings.is_sibling(report.by));
        self
    }
}

impl Heard {
    pub(crate) fn voice(&self, by: u32, seq: u64) -> Voice {
        let at = START - HOUR * self.hours_ago;
        Voice {
            by: node(by),
            family: FAMILIES[self.family],
            heard_at: at,
            said_at: at,
            expires: at + HOUR * self.ttl_hours,
            is_spoofable: self.is_spoofable,
            is_rule_known: self.is_rule_known,
            seq,
            is_retracted: false,
        }
    }
}

impl Seen {
    pub(crate) fn record(&self) -> Record {
        let last = day_of(START) - self.days_ago;
        let credits = (0..self.confirmed).map(|n| Credit {
            day: last - n,
            near: Network(u64::from(n + 1) << 8),
            worth: 1 << 16,
        });
        let refutations = (0..self.refuted).map(|n| Refutation {
            day: last,
            subject: Subject::V4(Ipv4Addr::from_bits(n + 1)),
        });
        Record::restore(credits.collect(), refutations.collect())
    }
}

/// What each branch gives each node.
pub(crate) fn weights(world: &mut World, plan: &Plan) -> Vec<Vec<(Branch, u64)>> {
    let bits = |weights: &[(Branch, lymph_trust::fixed::Fixed)]| {
        weights
            .iter()
            .map(|(branch, weight)| (*branch, weight.to_bits()))
            .collect()
    };
    plan.everybody()
        .map(|node| bits(&world.trust.weights(node)))
        .collect()
}

/// What is said about each of the addresses, bit for bit.
pub(crate) fn evidence(world: &mut World) -> Vec<(u64, u64, u32, u32)> {
    let assess = |about| {
        let assessment = world.trust.assess(subject(about), world.now);
        let (evidence, strict) = (assessment.evidence, assessment.strict);
        (
            evidence.to_bits(),
            strict.to_bits(),
            assessment.paths,
            assessment.strict_paths,
        )
    };
    (0..3).map(assess).collect()
}

/// From 1 to so many nodes beside ego.
pub(crate) fn plan(nodes_max: u32) -> impl Strategy<Value = Plan> {
    (1..=nodes_max, 1..=4_usize).prop_flat_map(|(nodes, degree)| {
        let somebody = 1..=nodes;
        let kin =
            prop_oneof![6 => Just(Kin::Friend), 2 => Just(Kin::Member), 1 => Just(Kin::Sibling)];
        let weight = prop_oneof![3 => Just(10_000_u16), 1 => 1..=10_000_u16];
        let heard = (
            somebody.clone(),
            0..3_u32,
            0..FAMILIES.len(),
            0..48_u32,
            1..=168_u32,
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.8),
        );
        let heard = heard.prop_map(
            |(by, about, family, hours_ago, ttl_hours, is_spoofable, is_rule_known)| Heard {
                by,
                about,
                family,
                hours_ago,
                ttl_hours,
                is_spoofable,
                is_rule_known,
            },
        );
        let seen = (
            somebody.clone(),
            0..10_u32,
            prop::bool::weighted(0.3),
            0..6_u32,
        );
        let seen = seen.prop_map(|(of, confirmed, is_refuted, days_ago)| Seen {
            of,
            confirmed,
            refuted: u32::from(is_refuted),
            days_ago,
        });
        (
            Just(nodes),
            prop::collection::vec((somebody.clone(), kin, weight.clone()), 0..=10),
            prop::collection::vec(
                (somebody.clone(), 0..=nodes, weight),
                0..=degree * nodes as usize + 3,
            ),
            prop::collection::vec(somebody, 0..=3),
            prop::collection::vec(seen, 0..=12),
            prop::collection::vec(heard, 0..=30),
        )
            .prop_map(|(nodes, kin, vouches, muted, seen, reports)| Plan {
                nodes,
                kin,
                vouches,
                muted,
                seen,
                reports,
            })
    })
}

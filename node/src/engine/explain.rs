//! Why an address is where it is: everything that the engine knows about it, in one read-only view.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::admission::Standing;
use lymph_protocol::{NodeId, Subject, Timestamp};
use lymph_trust::fixed::Fixed;
use lymph_trust::{Assessment, Branch};

use super::Engine;
use super::alerts::Alert;
use super::breaker::Held;
use super::decision::Decision;
use super::drops::Refused;
use super::familiar;
use super::ladder::Rung;
use super::leniency::Raised;
use super::mesh::shelf::Live;
use super::protected::Shield;
use super::target::Target;

/// How many detections an explanation shows, the newest.
pub const ALERTS_SHOWN: usize = 20;

/// A report that is alive, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Who says so.
    pub author: NodeId,
    /// What they are called here.
    pub name: String,
    /// Who they are to this node.
    pub standing: Standing,
    /// What they say.
    pub live: Live,
}

/// What this node makes of all that others say about an address.
#[derive(Clone, Debug)]
pub struct Weighed {
    /// From what each says to what follows.
    pub assessment: Assessment,
    /// Since when the address is at that level.
    pub since: Option<Timestamp>,
    /// Whether nothing is done about it whatever others say, to see what happens.
    pub is_held_out: bool,
    /// Whether one of the operator's own machines has shut it out, which is followed whatever else is said.
    pub sibling_says: bool,
    /// How much evidence a block takes.
    pub evidence_needed: Fixed,
    /// By how many ways that share nobody it has to come.
    pub ways_needed: u32,
    /// What reporters and those through whom they are heard are called here.
    pub names: BTreeMap<NodeId, String>,
}

/// How many reports an explanation shows, the newest.
pub const REPORTS_SHOWN: usize = 50;

/// Everything about one target.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// About whom.
    pub target: Target,
    /// The protected network that it falls into: nothing is ever decided about it.
    pub shield: Option<Shield>,
    /// Decisions that it falls under, the narrowest first.
    pub decisions: Vec<Decision>,
    /// Decisions about it that are held back.
    pub held: Vec<Held>,
    /// Connections that the firewall has refused.
    pub refused: Option<Refused>,
    /// The last login from there that counts: to which service, and when.
    pub login: Option<(Arc<str>, Timestamp)>,
    /// Thresholds that the operator raised for it, by scenario.
    pub raised: Vec<(Arc<str>, Raised)>,
    /// Where it stands on the ladder.
    pub rung: Option<Rung>,
    /// How long the next ban would last if it came now.
    pub next_ban: Duration,
    /// What others, and this node to others, report of it.
    pub reports: Vec<Told>,
    /// What that adds up to, if anybody else says anything.
    pub weighed: Option<Weighed>,
    /// Its newest detections, newest first.
    pub alerts: Vec<Arc<Alert>>,
    /// How many detections of it are remembered.
    pub alerts_count: usize,
}

impl Engine {
    /// Why `target` is where it is.
    #[must_use]
    pub fn explain(&self, target: Target, now: Timestamp) -> Explanation {
        let decisions = match target {
            Target::Subject(subject) => self.decisions().covering(subject.network_address()),
            Target::Range(_) => self.decisions().about(target).collect(),
        };
        let mut alerts: Vec<_> = self
            .alerts()
            .iter()
            .rev()
            .filter(|alert| alert.target == Some(target))
            .collect();
        let alerts_count = alerts.len();
        alerts.truncate(ALERTS_SHOWN);
        let (refused, login) = match target {
            Target::Subject(subject) => {
                let login = self.familiar.get(subject).and_then(|logins| logins.last());
                let login = login.filter(|(_, at)| now.since(*at) <= familiar::COUNTS_FOR);
                let login = login.map(|(service, at)| (Arc::clone(service), at));
                (self.drops.of(subject), login)
            }
            Target::Range(_) => (None, None),
        };
        let held = self
            .held
            .iter()
            .filter(|held| held.decision.target == target);
        let raised = self.leniency.iter();
        let raised = raised.filter(|((_, about), raised)| *about == target && raised.until > now);
        let mut reports: Vec<_> = match (target, self.mesh()) {
            (Target::Subject(subject), Some(mesh)) => mesh
                .shelf()
                .about(subject)
                .map(|(author, live)| Told {
                    author,
                    name: mesh.name_of(author),
                    standing: mesh.standing(author),
                    live: live.clone(),
                })
                .collect(),
            (Target::Subject(_) | Target::Range(_), _) => Vec::new(),
        };
        reports.sort_by_key(|told| std::cmp::Reverse(told.live.heard_at));
        reports.truncate(REPORTS_SHOWN);
        let terms = &self.settings.policy.terms;
        let rung = self.ladder.get(target);
        Explanation {
            target,
            shield: self.protected.shield_of(target),
            decisions: decisions
                .into_iter()
                .filter(|decision| decision.until > now)
                .cloned()
                .collect(),
            held: held.cloned().collect(),
            refused,
            login,
            raised: raised
                .map(|((scenario, _), raised)| (Arc::clone(scenario), raised))
                .collect(),
            next_ban: terms.length(terms.first, Rung::after(rung, now, terms).step),
            rung: rung.filter(|rung| now.since(rung.last_seen) <= terms.forget_after),
            reports,
            weighed: match target {
                Target::Subject(subject) => self.weighed(subject, now),
                Target::Range(_) => None,
            },
            alerts: alerts.into_iter().cloned().collect(),
            alerts_count,
        }
    }
    fn weighed(&self, subject: Subject, now: Timestamp) -> Option<Weighed> {
        let (trust, mesh) = (self.trust()?, self.mesh()?);
        trust.voices(subject).next()?;
        let assessment = self.assess(subject, now)?;
        let reporters = assessment.reporters.iter();
        let nodes = reporters.flat_map(|reporter| {
            let through = reporter
                .weights
                .iter()
                .filter_map(|(branch, _)| match branch {
                    Branch::Of(node) => Some(*node),
                    Branch::Members | Branch::Strangers => None,
                });
            through.chain([reporter.node])
        });
        Some(Weighed {
            names: nodes.map(|node| (node, mesh.name_of(node))).collect(),
            since: trust.since(subject),
            is_held_out: self.is_held_out(subject),
            sibling_says: self.sibling_says(subject),
            evidence_needed: assessment.kappa.times(trust.parameters().block_at),
            ways_needed: trust.parameters().block_paths,
            assessment,
        })
    }
}

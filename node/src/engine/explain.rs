//! Why an address is where it is: everything that the engine knows about it, in one read-only view.

use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::admission::Standing;
use lymph_protocol::{NodeId, Timestamp};

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
            alerts: alerts.into_iter().cloned().collect(),
            alerts_count,
        }
    }
}

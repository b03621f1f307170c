//! What the API says, as JSON: the shapes that scripts and the commands read. Nothing inside has these shapes.

use std::collections::BTreeMap;

use lymph_protocol::Timestamp;
use lymph_scenarios::RuleInfo;
use serde::{Deserialize, Serialize};

use crate::engine::alerts::Alert;
use crate::engine::decision::Decision;
use crate::engine::explain::Explanation;
use crate::engine::policy::Outcome;
use crate::engine::protected::Shield;
use crate::engine::target::Target;

/// How the daemon is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// Version of the daemon.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since when it runs.
    pub started_at: String,
    /// Its time.
    pub now: String,
    /// Its folder.
    pub state: String,
    /// Its configuration file, if it has one.
    pub config: Option<String>,
    /// What enforces decisions.
    pub firewall: String,
    /// Whether anything is really blocked.
    pub enforcing: bool,
    /// The logs it watches.
    pub sources: Vec<SourceView>,
    /// Decisions that stand.
    pub decisions: usize,
    /// The same by origin.
    pub decisions_by_origin: BTreeMap<String, usize>,
    /// Detections that are remembered.
    pub alerts: usize,
    /// Parsers and postoverflows in use.
    pub parsers: usize,
    /// Scenarios in use.
    pub scenarios: usize,
    /// What has happened since it was started.
    pub counters: CountersView,
    /// What somebody should look at.
    pub attention: Vec<String>,
}

/// What has happened since the daemon was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountersView {
    /// Lines read.
    pub lines: u64,
    /// Lines that some rule understood.
    pub parsed: u64,
    /// Lines that were longer than what is looked at.
    pub cut: u64,
    /// Scenarios that ran over.
    pub detections: u64,
    /// Detections of protected addresses.
    pub protected: u64,
    /// Buckets that hold something now.
    pub buckets: u64,
    /// The memory they take, about.
    pub bucket_bytes: u64,
    /// Buckets given up because memory was spent.
    pub evicted: u64,
}

/// One log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceView {
    /// Its path or name.
    pub name: String,
    /// Lines read from it.
    pub lines: u64,
    /// What was last said about it.
    pub note: String,
    /// Whether that needs a look.
    pub warning: bool,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionView {
    /// Id of the detection it began with.
    pub id: String,
    /// Address or network.
    pub subject: String,
    /// `Ip` or `Range`.
    pub scope: String,
    /// `ban`, `throttle` or `captcha`.
    pub kind: String,
    /// Whose decision it is.
    pub origin: String,
    /// The scenario, or the operator's reason.
    pub reason: String,
    /// Since when.
    pub since: String,
    /// Until when.
    pub until: String,
    /// Seconds that are left.
    pub seconds_left: u64,
    /// The how-manieth visit it is; 0 if nobody counts.
    pub step: u8,
}

/// One detection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertView {
    /// Its id.
    pub id: String,
    /// When it was judged.
    pub at: String,
    /// The scenario that ran over.
    pub scenario: String,
    /// What that is about.
    pub description: String,
    /// `Ip`, `Range`, or a rule's own word.
    pub scope: String,
    /// Who did it.
    pub subject: String,
    /// Time of the first line.
    pub first_seen: String,
    /// Time of the last line.
    pub last_seen: String,
    /// How many lines there were.
    pub events: u32,
    /// What came of it, in a word.
    pub outcome: String,
    /// The same in a sentence.
    pub outcome_text: String,
    /// What the lines said.
    pub meta: BTreeMap<String, Vec<String>>,
}

/// Why a target is where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyView {
    /// About whom.
    pub subject: String,
    /// In a sentence.
    pub summary: String,
    /// The protected network it falls into.
    pub protected: Option<ProtectedView>,
    /// Decisions that it falls under, the narrowest first.
    pub decisions: Vec<DecisionView>,
    /// How often it was here; 0 if it is not remembered.
    pub visits: u8,
    /// When it was last detected.
    pub last_seen: Option<String>,
    /// How long the next ban would be, in seconds.
    pub next_ban_seconds: u64,
    /// What lifts the decisions.
    pub undo: Option<String>,
    /// Detections that are remembered.
    pub alerts_count: usize,
    /// The newest of them, newest first.
    pub alerts: Vec<AlertView>,
}

/// A protected network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectedView {
    /// The network.
    pub network: String,
    /// Why nothing in it is blocked, in a word.
    pub reason: String,
    /// The same, as the end of "it is …".
    pub text: String,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleView {
    /// `parser`, `postoverflow` or `scenario`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Its stage, if it has one.
    pub stage: String,
    /// Its file.
    pub file: String,
}

/// What was lifted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnbannedView {
    /// The decisions that no longer stand.
    pub lifted: Vec<DecisionView>,
    /// Wider decisions that the target still falls under.
    pub remaining: Vec<DecisionView>,
}

/// A request that was refused or failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorView {
    /// Why.
    pub error: String,
}

impl DecisionView {
    /// As seen at `now`.
    #[must_use]
    pub fn new(decision: &Decision, now: Timestamp) -> Self {
        let scope = match decision.target {
            Target::Subject(_) => "Ip",
            Target::Range(_) => "Range",
        };
        DecisionView {
            id: decision.id.to_string(),
            subject: decision.target.to_string(),
            scope: scope.to_owned(),
            kind: decision.kind.name().to_owned(),
            origin: decision.origin.name().to_owned(),
            reason: decision.reason.to_string(),
            since: decision.since.to_string(),
            until: decision.until.to_string(),
            seconds_left: decision.until.since(now).as_secs(),
            step: decision.step,
        }
    }
}

impl From<&Alert> for AlertView {
    fn from(alert: &Alert) -> Self {
        let (outcome, outcome_text) = outcome(&alert.outcome);
        AlertView {
            id: alert.id.to_string(),
            at: alert.at.to_string(),
            scenario: alert.scenario.to_string(),
            description: alert.description.to_string(),
            scope: alert.scope.clone(),
            subject: alert
                .target
                .map_or_else(|| alert.value.clone(), |target| target.to_string()),
            first_seen: alert.first_seen.to_string(),
            last_seen: alert.last_seen.to_string(),
            events: alert.events,
            outcome: outcome.to_owned(),
            outcome_text,
            meta: alert.meta.clone(),
        }
    }
}

/// What came of a detection, in a word and in a sentence.
fn outcome(outcome: &Outcome) -> (&'static str, String) {
    match outcome {
        Outcome::Decided { kind, until, step } => (
            kind.name(),
            format!(
                "{} until {} ({})",
                kind.name(),
                moment(*until),
                visit(*step)
            ),
        ),
        Outcome::Ended { kind, until, step } => (
            "late",
            format!(
                "{} would have ended at {}, before the lines were read ({})",
                kind.name(),
                moment(*until),
                visit(*step)
            ),
        ),
        Outcome::Protected(shield) => (
            "protected",
            format!("nothing: it is {}", shield.protection.describe()),
        ),
        Outcome::Whitelisted(reason) => (
            "whitelisted",
            format!("nothing: a rule finds it harmless ({reason})"),
        ),
        Outcome::Informed => ("informed", "nothing: the scenario only informs".to_owned()),
        Outcome::NoAddress => (
            "no-address",
            "nothing: it is not about an address".to_owned(),
        ),
        Outcome::TooWide => (
            "too-wide",
            "nothing: the network is too wide to be blocked by a rule".to_owned(),
        ),
        Outcome::NoRoom => (
            "no-room",
            "nothing: there was no room for another decision".to_owned(),
        ),
    }
}

/// A time for sentences: without its milliseconds.
fn moment(time: Timestamp) -> Timestamp {
    Timestamp::from_secs(time.secs())
}

fn visit(step: u8) -> String {
    if step == 1 {
        "first visit".to_owned()
    } else {
        format!("visit {step}")
    }
}

impl From<Shield> for ProtectedView {
    fn from(shield: Shield) -> Self {
        ProtectedView {
            network: shield.network.to_string(),
            reason: shield.protection.name().to_owned(),
            text: shield.protection.describe().to_owned(),
        }
    }
}

impl From<&RuleInfo> for RuleView {
    fn from(info: &RuleInfo) -> Self {
        RuleView {
            kind: info.kind.to_owned(),
            name: info.name.clone(),
            description: info.description.clone(),
            stage: info.stage.clone(),
            file: info.path.clone(),
        }
    }
}

impl WhyView {
    /// As seen at `now`.
    #[must_use]
    pub fn new(why: &Explanation, now: Timestamp) -> Self {
        let decisions: Vec<_> = why
            .decisions
            .iter()
            .map(|decision| DecisionView::new(decision, now))
            .collect();
        let summary = match (why.shield, why.decisions.first(), why.alerts.first()) {
            (Some(shield), ..) => format!(
                "{} is never blocked: it is {}",
                why.target,
                shield.protection.describe()
            ),
            (None, Some(decision), _) => {
                let (kind, by) = (decision.kind.name(), decision.origin.name());
                format!(
                    "{} is under a {kind} by {by} until {} for {}",
                    why.target,
                    moment(decision.until),
                    decision.reason
                )
            }
            (None, None, Some(alert)) => {
                format!(
                    "nothing stands about {}; it was last seen at {} by {}",
                    why.target,
                    moment(alert.last_seen),
                    alert.scenario
                )
            }
            (None, None, None) => format!("nothing is known about {}", why.target),
        };
        WhyView {
            subject: why.target.to_string(),
            summary,
            protected: why.shield.map(ProtectedView::from),
            undo: decisions
                .first()
                .map(|decision| format!("lymph unban {}", decision.subject)),
            decisions,
            visits: why.rung.map_or(0, |rung| rung.step),
            last_seen: why.rung.map(|rung| rung.last_seen.to_string()),
            next_ban_seconds: why.next_ban.as_secs(),
            alerts_count: why.alerts_count,
            alerts: why
                .alerts
                .iter()
                .map(|alert| AlertView::from(&**alert))
                .collect(),
        }
    }
}

//! What the API says, as JSON: the shapes that scripts and the commands read. Nothing inside has these shapes.

use std::collections::BTreeMap;

use lymph_protocol::Timestamp;
use lymph_protocol::admission::Standing;
use lymph_scenarios::RuleInfo;
use serde::{Deserialize, Serialize};

use super::Asked;
use super::mesh_views::MeshLine;
use super::trust_views::{StandingView, WeighedView};
use crate::engine::alerts::Alert;
use crate::engine::allowlist::{self, Allowed};
use crate::engine::breaker::Held;
use crate::engine::decision::{Decision, DetectionId};
use crate::engine::explain::{Explanation, Told};
use crate::engine::leniency::Raised;
use crate::engine::policy::Outcome;
use crate::engine::protected::Shield;
use crate::engine::request::Answer;
use crate::engine::target::{IpNet, Target};

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
    /// How it stands with the firewall.
    pub enforcement: EnforcementView,
    /// Decisions that are held back.
    pub held: usize,
    /// Decisions that would be held back, had there been room.
    pub not_held: u64,
    /// Entries of the allowlist, those of the configuration included.
    pub allowed: usize,
    /// How each part is.
    pub health: Vec<HealthView>,
    /// Its place among others.
    #[serde(default)]
    pub mesh: MeshLine,
    /// How well others' word protects it, if it hears them.
    #[serde(default)]
    pub trust: Option<StandingView>,
    /// What somebody should look at.
    pub attention: Vec<String>,
}

/// How it stands with the firewall.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnforcementView {
    /// `sound`, `failing`, `panic` or `dry-run`.
    pub state: String,
    /// What is wrong, if something is.
    pub detail: Option<String>,
    /// Changes that are not in force yet.
    pub behind: usize,
    /// Entries that somebody else took out and that were put back.
    pub mended: u64,
    /// Packets that were dropped.
    pub packets: u64,
    /// Connections that were refused.
    pub connections: u64,
}

/// How one part is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthView {
    /// Its name.
    pub part: String,
    /// Whether it works.
    pub ok: bool,
    /// What to know about it.
    pub text: String,
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
    /// Decisions that were held back.
    pub held: u64,
    /// Successful logins that were seen.
    pub logins: u64,
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyView {
    /// About whom.
    pub subject: String,
    /// In a sentence.
    pub summary: String,
    /// The protected network it falls into.
    pub protected: Option<ProtectedView>,
    /// Decisions that it falls under, the narrowest first.
    pub decisions: Vec<DecisionView>,
    /// What the firewall itself says about the decisions, in a sentence.
    pub enforcement: Option<String>,
    /// Connections that were refused since the daemon was started.
    pub refused: u64,
    /// When the last ones were counted.
    pub last_refused: Option<String>,
    /// Decisions about it that are held back.
    pub held: Vec<HeldView>,
    /// When somebody last logged in from there, and to what.
    pub login: Option<LoginView>,
    /// Thresholds that are raised for it.
    pub raised: Vec<RaisedView>,
    /// How often it was here; 0 if it is not remembered.
    pub visits: u8,
    /// When it was last detected.
    pub last_seen: Option<String>,
    /// How long the next ban would be, in seconds.
    pub next_ban_seconds: u64,
    /// What lifts the decisions.
    pub undo: Option<String>,
    /// What nodes report of it, the newest first.
    #[serde(default)]
    pub reports: Vec<ToldView>,
    /// What this node makes of what others report, if anybody does.
    #[serde(default)]
    pub weighed: Option<WeighedView>,
    /// Detections that are remembered.
    pub alerts_count: usize,
    /// The newest of them, newest first.
    pub alerts: Vec<AlertView>,
}

/// What a node reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldView {
    /// Which node.
    pub node: String,
    /// What it is called here.
    pub name: String,
    /// `this-node`, `sibling`, `vouched`, `stranger` or `muted`.
    pub standing: String,
    /// What kind of thing was seen.
    pub family: String,
    /// `handshake` or `spoofable`.
    pub evidence: String,
    /// When it was seen, to five minutes.
    pub seen: String,
    /// When it was heard here.
    pub heard: String,
    /// Until when it is remembered.
    pub expires: String,
    /// To whom it was said.
    pub audience: String,
    /// Whether it was taken back.
    pub retracted: bool,
}

impl ToldView {
    fn new(told: &Told) -> Self {
        let standing = match told.standing {
            Standing::Own => "this-node",
            Standing::Sibling => "sibling",
            Standing::Vouched(_) => "vouched",
            Standing::Stranger => "stranger",
            Standing::Muted => "muted",
        };
        let report = &told.live.report;
        ToldView {
            node: told.author.to_string(),
            name: told.name.clone(),
            standing: standing.to_owned(),
            family: report.family.to_string(),
            evidence: format!("{:?}", report.evidence).to_lowercase(),
            seen: report.time().to_string(),
            heard: moment(told.live.heard_at).to_string(),
            expires: report.expires().to_string(),
            audience: told.live.audience.to_string(),
            retracted: told.live.is_retracted,
        }
    }
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

/// A login that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginView {
    /// To which service.
    pub service: String,
    /// When.
    pub at: String,
}

/// A threshold that is raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaisedView {
    /// Of which scenario.
    pub scenario: String,
    /// For whom.
    pub subject: String,
    /// How many times as often it must run over.
    pub factor: u8,
    /// Until when.
    pub until: String,
}

/// A decision that is held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldView {
    /// The decision.
    #[serde(flatten)]
    pub decision: DecisionView,
    /// Why it is held, in a word.
    pub why: String,
    /// The same in a sentence.
    pub text: String,
}

/// An entry of the allowlist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedView {
    /// Address, network or name.
    pub what: String,
    /// Why.
    pub reason: String,
    /// Since when; none if the configuration says so.
    pub since: Option<String>,
    /// What a name stands for.
    pub addresses: Vec<String>,
    /// `command` or `configuration`.
    pub from: String,
}

/// What came of a request for decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BannedView {
    /// The id that all of them have.
    pub id: String,
    /// Decisions that are new.
    pub new: usize,
    /// Decisions that were made longer.
    pub longer: usize,
    /// Decisions that stood for as long or longer.
    pub unchanged: usize,
    /// For want of room.
    pub no_room: usize,
    /// Held back, since somebody has logged in from there.
    pub held: usize,
    /// Held back, since the origin has made too many new ones within a short time.
    pub over_budget: usize,
    /// Neither in force nor held, since too many are held already.
    pub not_held: usize,
    /// Networks too wide.
    pub too_wide: usize,
    /// Protected.
    pub protected: usize,
    /// Why, for the first of them.
    pub examples: Vec<RefusedView>,
    /// Why it would be forgotten if the machine stopped now, if it would.
    pub not_saved: Option<String>,
    /// Why the firewall does not do it yet, if it does not.
    pub not_enforced: Option<String>,
}

/// A target that nothing is decided about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedView {
    /// The target.
    pub subject: String,
    /// The protected network.
    pub protected: ProtectedView,
    /// Whether force would help.
    pub yields_to_force: bool,
}

/// What was taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiftedView {
    /// How many decisions no longer stand.
    pub count: usize,
    /// The first of them.
    pub lifted: Vec<DecisionView>,
    /// How many that were held back are forgotten.
    pub held: usize,
    /// Wider decisions that the target still falls under.
    pub remaining: Vec<DecisionView>,
    /// Thresholds that are raised now.
    pub raised: Vec<RaisedView>,
    /// Nodes that are believed less from now on, since they were wrong about it: what they are called here.
    #[serde(default)]
    pub refuted: Vec<String>,
    /// Why it would be forgotten if the machine stopped now, if it would.
    pub not_saved: Option<String>,
    /// Why the firewall does not do it yet, if it does not.
    pub not_enforced: Option<String>,
}

/// What came of a change of the allowlist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedDoneView {
    /// Whether the list is different now.
    pub changed: bool,
    /// Decisions that ended.
    pub lifted: Vec<DecisionView>,
    /// Why it would be forgotten if the machine stopped now, if it would.
    pub not_saved: Option<String>,
    /// Why the firewall does not do it yet, if it does not.
    pub not_enforced: Option<String>,
}

/// What came of a request about what is held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldDoneView {
    /// How many it was about.
    pub count: usize,
    /// Why it would be forgotten if the machine stopped now, if it would.
    pub not_saved: Option<String>,
    /// Why the firewall does not do it yet, if it does not.
    pub not_enforced: Option<String>,
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

impl HeldView {
    /// As seen at `now`.
    #[must_use]
    pub fn new(held: &Held, now: Timestamp) -> Self {
        HeldView {
            decision: DecisionView::new(&held.decision, now),
            why: held.why.name().to_owned(),
            text: held.why.describe().to_owned(),
        }
    }
}

impl RaisedView {
    fn new(scenario: &str, target: Target, raised: Raised) -> Self {
        RaisedView {
            scenario: scenario.to_owned(),
            subject: target.to_string(),
            factor: raised.factor,
            until: moment(raised.until).to_string(),
        }
    }
}

impl From<&allowlist::Entry> for AllowedView {
    fn from(entry: &allowlist::Entry) -> Self {
        AllowedView {
            what: entry.what.to_string(),
            reason: entry.reason.to_string(),
            since: Some(entry.since.to_string()),
            addresses: entry.addresses.iter().map(ToString::to_string).collect(),
            from: "command".to_owned(),
        }
    }
}

impl AllowedView {
    /// An entry of the configuration file.
    #[must_use]
    pub fn configured(network: IpNet) -> Self {
        AllowedView {
            what: Allowed::Network(network).to_string(),
            reason: String::new(),
            since: None,
            addresses: Vec::new(),
            from: "configuration".to_owned(),
        }
    }
}

/// What the engine says about anything else than it was asked for.
const ODD_ANSWER: &str = "the daemon gave no answer to this";

impl BannedView {
    /// What came of a request for decisions with this id.
    pub fn new(asked: Asked, id: DetectionId) -> Result<Self, String> {
        let Some(Answer::Banned(banned)) = asked.answer else {
            return Err(ODD_ANSWER.to_owned());
        };
        let example = |(target, shield): &(Target, Shield)| RefusedView {
            subject: target.to_string(),
            protected: ProtectedView::from(*shield),
            yields_to_force: shield.protection.yields_to_force(),
        };
        Ok(BannedView {
            id: id.to_string(),
            new: banned.new,
            longer: banned.longer,
            unchanged: banned.unchanged,
            no_room: banned.no_room,
            held: banned.held,
            over_budget: banned.over_budget,
            not_held: banned.not_held,
            too_wide: banned.too_wide,
            protected: banned.protected,
            examples: banned.examples.iter().map(example).collect(),
            not_saved: asked.not_saved,
            not_enforced: asked.not_enforced,
        })
    }
}

impl LiftedView {
    /// What was taken back.
    pub fn new(asked: Asked) -> Result<Self, String> {
        let Some(Answer::Lifted(lifted)) = asked.answer else {
            return Err(ODD_ANSWER.to_owned());
        };
        let view = |decision: &Decision| DecisionView::new(decision, asked.at);
        let raised = lifted.raised.iter();
        Ok(LiftedView {
            count: lifted.count,
            lifted: lifted.decisions.iter().map(view).collect(),
            held: lifted.held,
            remaining: asked.remaining.iter().map(view).collect(),
            raised: raised
                .map(|(scenario, target, raised)| RaisedView::new(scenario, *target, *raised))
                .collect(),
            refuted: lifted.refuted,
            not_saved: asked.not_saved,
            not_enforced: asked.not_enforced,
        })
    }
}

impl AllowedDoneView {
    /// What came of a change of the allowlist.
    pub fn new(asked: Asked) -> Result<Self, String> {
        let (changed, lifted) = match asked.answer {
            Some(Answer::Allowed(Ok(lifted))) => (true, lifted),
            Some(Answer::Allowed(Err(error))) => return Err(error.to_string()),
            Some(Answer::Disallowed(was_there)) => (was_there, Vec::new()),
            Some(Answer::Banned(_) | Answer::Lifted(_) | Answer::Held(_) | Answer::Mesh(_))
            | None => {
                return Err(ODD_ANSWER.to_owned());
            }
        };
        let view = |decision: &Decision| DecisionView::new(decision, asked.at);
        Ok(AllowedDoneView {
            changed,
            lifted: lifted.iter().map(view).collect(),
            not_saved: asked.not_saved,
            not_enforced: asked.not_enforced,
        })
    }
}

impl HeldDoneView {
    /// What came of a request about what is held.
    pub fn new(asked: Asked) -> Result<Self, String> {
        let Some(Answer::Held(count)) = asked.answer else {
            return Err(ODD_ANSWER.to_owned());
        };
        Ok(HeldDoneView {
            count,
            not_saved: asked.not_saved,
            not_enforced: asked.not_enforced,
        })
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
        Outcome::Held { kind, why } => (
            "held",
            format!("a {} is held: {}", kind.name(), why.describe()),
        ),
        Outcome::Tolerated { seen, needed } => (
            "tolerated",
            format!("nothing yet: {seen} of {needed} within the hour, by a raised threshold"),
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
        // The first of the strongest: a ban says more than a throttle beside it.
        let strongest = why
            .decisions
            .iter()
            .rev()
            .max_by_key(|decision| decision.kind);
        let summary = match (why.shield, strongest, why.alerts.first()) {
            (Some(shield), None, _) => format!(
                "{} is never blocked: it is {}",
                why.target,
                shield.protection.describe()
            ),
            (_, Some(decision), _) => {
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
            (None, None, None) if !why.reports.is_empty() => format!(
                "nothing stands about {}; others have reported it",
                why.target
            ),
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
            enforcement: None,
            reports: why.reports.iter().map(ToldView::new).collect(),
            weighed: why
                .weighed
                .as_ref()
                .map(|weighed| WeighedView::new(why.target, weighed)),
            refused: why.refused.map_or(0, |refused| refused.connections),
            last_refused: why.refused.map(|refused| refused.last.to_string()),
            held: why
                .held
                .iter()
                .map(|held| HeldView::new(held, now))
                .collect(),
            login: why.login.as_ref().map(|(service, at)| LoginView {
                service: service.to_string(),
                at: at.to_string(),
            }),
            raised: why
                .raised
                .iter()
                .map(|(scenario, raised)| RaisedView::new(scenario, why.target, *raised))
                .collect(),
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

//! The engine with everything it asks for: records into the store, decisions into the firewall, words to the
//! operator, answers to the API.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use lymph_protocol::Timestamp;
use lymph_scenarios::Skewed;
use tokio::sync::oneshot;

use super::api::mesh_views::{MeshLine, MeshView, PairingView};
use super::api::trust_views::{PeerTrustView, StandingView, TrustView};
use super::api::views::{
    AlertView, AllowedView, CountersView, DecisionView, EnforcementView, HealthView, HeldView,
    RuleView, SourceView, StatusView, WhyView,
};
use super::api::{Asked, Question};
use super::enforcer::{Enforcer, Settled, State};
use super::identity::HighWater;
use super::keeper::Keeper;
use super::mesh::Network;
use super::mesh_words::{mesh_attention, mesh_health, tell_mesh};
use super::sources::{Batch, Counters, Notice, NoticeKind, Sources};
use crate::engine::alerts::Alert;
use crate::engine::decision::Decision;
use crate::engine::mesh::Kept;
use crate::engine::policy::Outcome;
use crate::engine::record::Record;
use crate::engine::request::{Answer, Request};
use crate::engine::target::Target;
use crate::engine::{self, Action, Engine, Input, Lifted};

/// Sources whose last words are remembered. The tail follows no more paths than this.
const NOTES_MAX: usize = 2000;

/// How long somebody who asks waits for the firewall.
const PATIENCE: Duration = Duration::from_secs(10);

/// What does not change while the daemon runs.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// Its folder.
    pub(super) state: PathBuf,
    /// Its configuration file, if it has one.
    pub(super) config: Option<PathBuf>,
    /// What enforces decisions, as `status` shows it.
    pub(super) firewall: String,
    /// Since when it runs.
    pub(super) started_at: Timestamp,
}

/// The engine and what serves it.
#[derive(Debug)]
pub(super) struct Node {
    /// The engine.
    pub(super) engine: Engine,
    /// Its records.
    pub(super) keeper: Keeper,
    /// The firewall.
    pub(super) enforcer: Enforcer,
    facts: Facts,
    /// Numbers that may have been given out.
    high_water: Option<HighWater>,
    /// What the network is to do.
    pub(super) outgoing: Vec<engine::mesh::Net>,
    /// What the engine has answered to the request that is being carried out.
    answer: Option<Answer>,
    /// Names of the allowlist that could not be looked up, and why.
    pub(super) unresolved: BTreeMap<std::sync::Arc<str>, String>,
    /// The last word about each source.
    notes: BTreeMap<String, Notice>,
    /// What went wrong with a checkpoint, while it does.
    pub(super) checkpoint_failure: Option<String>,
}

impl Node {
    /// An engine with its store.
    #[must_use]
    pub(super) fn new(
        engine: Engine,
        keeper: Keeper,
        enforcer: Enforcer,
        high_water: Option<HighWater>,
        facts: Facts,
    ) -> Self {
        Node {
            engine,
            keeper,
            enforcer,
            high_water,
            outgoing: Vec::new(),
            facts,
            answer: None,
            unresolved: BTreeMap::new(),
            notes: BTreeMap::new(),
            checkpoint_failure: None,
        }
    }

    /// Have the engine take in what happened, and do what it says.
    pub(super) fn take(&mut self, input: Input<'_>, now: Timestamp) {
        for action in self.engine.handle(input, now) {
            self.perform(action);
        }
    }

    /// Have the engine take in lines, one after the other.
    pub(super) fn take_lines(&mut self, batch: &Batch, now: Timestamp) {
        for notice in &batch.notices {
            self.note(notice.clone());
        }
        for line in batch.lines(now) {
            self.take(Input::Line(line), now);
        }
        self.enforce(now);
        self.write();
    }

    /// Have the firewall do what was decided.
    pub(super) fn enforce(&mut self, now: Timestamp) {
        self.enforcer.flush(self.engine.decisions(), now);
    }

    /// The firewall has said something.
    pub(super) fn heard(&mut self, word: super::firewall::Word, now: Timestamp) {
        let heard = self.enforcer.heard(word);
        if let Some(warning) = heard.warning {
            tracing::warn!("{warning}");
        }
        if let Some(info) = heard.info {
            tracing::info!("{info}");
        }
        if !heard.hits.is_empty() {
            let hits = heard.hits.into_iter();
            let refused = hits.map(|hit| (hit.address, hit.connections)).collect();
            self.take(Input::Refused(refused), now);
        }
        self.enforce(now);
    }

    /// Write what the engine wanted kept.
    pub(super) fn write(&mut self) {
        if let Some(failure) = self.keeper.write() {
            tracing::warn!("{failure}");
        }
    }

    /// Try a failed store or book again.
    pub(super) fn mend_store(&mut self, now: Timestamp) {
        let of_book = self.keeper.mend_book(self.engine.records(), now);
        let of_store = self.keeper.retry(self.engine.records(), now);
        for retried in [of_book, of_store].into_iter().flatten() {
            if let Some(said) = retried.said {
                tracing::warn!("{said}");
            }
            for record in retried.restored {
                self.take(Input::Restored(record), now);
            }
            self.write();
        }
    }

    /// Tell the operator about a source, and remember the last word while there is one.
    pub(super) fn note(&mut self, notice: Notice) {
        if notice.kind == NoticeKind::Forgotten {
            tracing::debug!("{}: {}", notice.source, notice.message);
            self.notes.remove(&notice.source);
            return;
        }
        match notice.is_warning() {
            true => tracing::warn!("{}: {}", notice.source, notice.message),
            false => tracing::info!("{}: {}", notice.source, notice.message),
        }
        if self.notes.len() < NOTES_MAX || self.notes.contains_key(&notice.source) {
            self.notes.insert(notice.source.clone(), notice);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Save(Record::Mesh(Kept::Sequence(up_to))) => self.reserve(up_to),
            Action::Save(record) => self.keeper.save(record),
            Action::Remove(key) => self.keeper.remove(key),
            Action::Ban(decision) => self.enforcer.ban(&decision),
            Action::Unban { target, kind, why } => {
                self.enforcer.unban(target, kind, why);
                let why = match why {
                    Lifted::Ended => "its time is over",
                    Lifted::ByOperator => "lifted by the operator",
                    Lifted::Protected => "it is protected",
                    Lifted::NoRoom => "the table is full",
                    Lifted::Disbelieved => "what others say of it weighs too little by now",
                };
                tracing::debug!("{} of {target} ends: {why}", kind.name());
            }
            Action::Notice(engine::Notice::Skewed(skewed)) => self.note(words_for(&skewed)),
            Action::Notice(notice) => self.tell(&notice),
            Action::Answer(answer) => self.answer = Some(answer),
            Action::Net(net) => self.outgoing.push(net),
            Action::Enforce(is_on) => self.enforce_by_fleet(is_on),
        }
    }

    /// Numbers up to this may be given out: on disk before the first of them is.
    fn reserve(&mut self, up_to: u64) {
        if let Some(Err(error)) = self
            .high_water
            .as_mut()
            .map(|high_water| high_water.raise(up_to))
        {
            // The wall clock keeps the numbers apart all the same, unless it is set back while lymph is down.
            tracing::warn!("the numbers of this node's reports are not saved: {error}");
        }
    }

    /// A sibling passes on `lymph panic` or `lymph resume`.
    fn enforce_by_fleet(&mut self, is_on: bool) {
        let done = match is_on {
            true => match std::fs::remove_file(super::panic_flag(&self.facts.state)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                done => done,
            },
            false => super::start::raise_panic(&self.facts.state),
        };
        if let Err(error) = done {
            tracing::error!(
                "the fleet's {} cannot be carried out: {error}",
                if is_on { "resume" } else { "panic" }
            );
        }
    }

    /// Answer a question of the API.
    pub(super) fn answer(
        &mut self,
        question: Question,
        sources: &Sources,
        network: Option<&Network>,
        now: Timestamp,
    ) {
        // An asker who has gone away is no error.
        match question {
            Question::Status(reply) => drop(reply.send(self.status(sources, network, now))),
            Question::Mesh(reply) => drop(reply.send(MeshView::new(&self.engine, network, now))),
            Question::Meant(meaning, reply) => {
                let without =
                    || "this node runs without the mesh: start it without --no-mesh".to_owned();
                let meant = self.engine.mesh().ok_or_else(without).and_then(meaning);
                drop(reply.send(meant));
            }
            Question::Trust(reply) => drop(reply.send(TrustView::new(&self.engine, now))),
            Question::Peer(node, reply) => {
                drop(reply.send(PeerTrustView::new(&self.engine, &node, now)));
            }
            Question::Pairing(token, reply) => {
                drop(reply.send(PairingView::new(&self.engine, token)))
            }
            Question::Decisions(reply) => drop(reply.send(self.decisions(now))),
            Question::Alerts(limit, reply) => {
                let newest = self.engine.alerts().iter().rev().take(limit);
                drop(reply.send(newest.map(|alert| AlertView::from(&**alert)).collect()));
            }
            Question::Alert(id, reply) => {
                drop(
                    reply.send(
                        self.engine
                            .alerts()
                            .get(id)
                            .map(|alert| AlertView::from(&**alert)),
                    ),
                );
            }
            Question::Why(target, reply) => self.why(target, reply, now),
            Question::Rules(reply) => {
                drop(
                    reply.send(
                        self.engine
                            .rules()
                            .infos()
                            .iter()
                            .map(RuleView::from)
                            .collect(),
                    ),
                );
            }
            Question::Allowlist(reply) => {
                let configured = self.engine.allowed_by_configuration().iter();
                let configured = configured.map(|network| AllowedView::configured(*network));
                let added = self.engine.allowlist().iter().map(AllowedView::from);
                drop(reply.send(configured.chain(added).collect()));
            }
            Question::Held(reply) => {
                let held = self.engine.held().iter();
                drop(reply.send(held.map(|held| HeldView::new(held, now)).collect()));
            }
            Question::Ask(request, reply) => self.ask(request, reply, now),
        }
    }

    fn decisions(&self, now: Timestamp) -> Vec<DecisionView> {
        self.engine
            .decisions()
            .iter()
            .map(|decision| DecisionView::new(decision, now))
            .collect()
    }

    /// Carry out what the operator asks for. It is on disk and in force before they hear that it is done, or
    /// they hear that it is not.
    fn ask(&mut self, request: Request, reply: oneshot::Sender<Asked>, now: Timestamp) {
        let about = match &request {
            Request::Lift { which, .. } => which.target,
            Request::Ban(_)
            | Request::Undo(_)
            | Request::Allow(_)
            | Request::Disallow(_)
            | Request::Release(_)
            | Request::Drop(_)
            | Request::Mesh(_) => None,
            Request::Everywhere(request) => match &**request {
                Request::Lift { which, .. } => which.target,
                _ => None,
            },
        };
        self.answer = None;
        self.take(Input::Asked(request), now);
        self.enforce(now);
        let not_saved = self.save_now();
        let remaining = about.map(|target| self.engine.explain(target, now).decisions);
        let mut asked = Asked {
            at: now,
            answer: self.answer.take(),
            not_saved,
            not_enforced: None,
            remaining: remaining.unwrap_or_default(),
        };
        let settled = self.enforcer.settled();
        tokio::spawn(async move {
            asked.not_enforced = match tokio::time::timeout(PATIENCE, settled).await {
                Ok(Ok(Settled::InForce)) => None,
                Ok(Ok(Settled::NotInForce(why))) => Some(why),
                Ok(Err(_)) => Some("the daemon is stopping".to_owned()),
                Err(_) => Some("the firewall is busy; it is on its way".to_owned()),
            };
            // An asker who has gone away is no error.
            let _ = reply.send(asked);
        });
    }

    /// Have everything on disk. Says why it is not, if so.
    fn save_now(&mut self) -> Option<String> {
        self.write();
        if let Some(Err(error)) = self.keeper.flusher().map(|store| store.flush())
            && let Some(failure) = self.keeper.fail(&error)
        {
            tracing::warn!("{failure}");
        }
        self.keeper.failure()
    }

    /// Say why somebody is where they are; the firewall is asked too.
    fn why(&mut self, target: Target, reply: oneshot::Sender<WhyView>, now: Timestamp) {
        let why = self.engine.explain(target, now);
        let mut view = WhyView::new(&why, now);
        let strongest = why.decisions.iter().max_by_key(|decision| decision.kind);
        let asked = strongest.map(|decision| self.look(decision));
        tokio::spawn(async move {
            view.enforcement = match asked {
                None => None,
                Some(Err(known)) => Some(known),
                Some(Ok(told)) => Some(match tokio::time::timeout(PATIENCE, told).await {
                    Ok(Ok(Ok(found))) if found == [true] => "the firewall has it".to_owned(),
                    Ok(Ok(Ok(_))) => "NO, the firewall does not have it".to_owned(),
                    Ok(Ok(Err(error))) => format!("the firewall does not say: {error}"),
                    Ok(Err(_)) | Err(_) => "the firewall does not answer".to_owned(),
                }),
            };
            // An asker who has gone away is no error.
            let _ = reply.send(view);
        });
    }

    /// Ask the firewall about a decision, or say what is known without asking.
    fn look(&mut self, decision: &Decision) -> Result<super::enforcer::Looked, String> {
        match self.enforcer.state() {
            State::Panic => Err("not in force: panic".to_owned()),
            State::Failing(why) => Err(format!("not in force: {why}")),
            State::Sound if self.enforcer.name != "nftables" => {
                Err(match self.enforcer.is_enforcing() {
                    true => format!("handed to {}", self.facts.firewall),
                    false => "not in force: dry run".to_owned(),
                })
            }
            State::Sound => self
                .enforcer
                .look(decision.target, decision.kind)
                .ok_or_else(|| "a firewall does nothing about this kind".to_owned()),
        }
    }

    fn status(&self, sources: &Sources, network: Option<&Network>, now: Timestamp) -> StatusView {
        let mut by_origin = BTreeMap::new();
        for decision in self.engine.decisions().iter() {
            *by_origin
                .entry(decision.origin.name().to_owned())
                .or_default() += 1;
        }
        let infos = self.engine.rules().infos();
        let scenarios = infos.iter().filter(|info| info.kind == "scenario").count();
        let (own, detector) = (self.engine.counters(), self.engine.detector_counters());
        StatusView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: self.facts.started_at.to_string(),
            now: now.to_string(),
            state: self.facts.state.display().to_string(),
            config: self
                .facts
                .config
                .as_ref()
                .map(|path| path.display().to_string()),
            firewall: self.facts.firewall.clone(),
            enforcing: self.enforcer.is_enforcing(),
            enforcement: self.enforcement(),
            held: self.engine.held().len(),
            not_held: self.engine.held().turned_away(),
            allowed: self.engine.allowlist().iter().count()
                + self.engine.allowed_by_configuration().len(),
            health: self.health(network),
            mesh: MeshLine::new(&self.engine, network),
            trust: StandingView::new(&self.engine),
            sources: self.source_views(sources.counters()),
            decisions: self.engine.decisions().len(),
            decisions_by_origin: by_origin,
            alerts: self.engine.alerts().len(),
            parsers: infos.len() - scenarios,
            scenarios,
            counters: CountersView {
                lines: own.lines,
                parsed: detector.parsed,
                cut: detector.cut,
                detections: own.detections,
                protected: own.protected,
                held: own.held,
                logins: own.logins,
                buckets: detector.buckets,
                bucket_bytes: detector.bucket_bytes,
                evicted: detector.evicted,
            },
            attention: self.attention(network, now),
        }
    }

    fn source_views(&self, counters: &BTreeMap<String, Counters>) -> Vec<SourceView> {
        let names: std::collections::BTreeSet<&String> =
            counters.keys().chain(self.notes.keys()).collect();
        let view = |name: &String| {
            let note = self.notes.get(name);
            SourceView {
                name: name.clone(),
                lines: counters.get(name).map_or(0, |counters| counters.lines),
                note: note.map(|note| note.message.clone()).unwrap_or_default(),
                warning: note.is_some_and(Notice::is_warning),
            }
        };
        names
            .into_iter()
            .filter(|name| !name.is_empty())
            .map(view)
            .collect()
    }

    fn enforcement(&self) -> EnforcementView {
        let (state, detail) = match self.enforcer.state() {
            State::Panic => ("panic", None),
            State::Failing(why) => ("failing", Some(why.clone())),
            State::Sound if self.enforcer.is_enforcing() => ("sound", None),
            State::Sound => ("dry-run", None),
        };
        EnforcementView {
            state: state.to_owned(),
            detail,
            behind: self.enforcer.behind(),
            mended: self.enforcer.mended,
            packets: self.enforcer.packets,
            connections: self.engine.drops().total(),
        }
    }

    fn health(&self, network: Option<&Network>) -> Vec<HealthView> {
        let part = |part: &str, wrong: Option<String>, right: String| HealthView {
            part: part.to_owned(),
            ok: wrong.is_none(),
            text: wrong.unwrap_or(right),
        };
        let firewall = match self.enforcer.state() {
            State::Panic => Some("panic: off until `lymph resume`".to_owned()),
            State::Failing(why) => Some(why.clone()),
            State::Sound => None,
        };
        let behind = match self.enforcer.behind() {
            0 => "everything that is decided is in force".to_owned(),
            behind => format!("{behind} changes are on their way"),
        };
        let right = match self.enforcer.is_enforcing() {
            true => format!("{}: {behind}", self.facts.firewall),
            false => "dry run: nothing is enforced".to_owned(),
        };
        let sources = self.notes.values().filter(|note| note.is_warning()).count();
        let logs = (sources > 0).then(|| format!("{sources} of the logs need a look"));
        vec![
            part("firewall", firewall, right),
            part("store", self.keeper.failure(), "saved".to_owned()),
            part(
                "checkpoint",
                self.checkpoint_failure.clone(),
                "saved".to_owned(),
            ),
            part("logs", logs, "read as they grow".to_owned()),
            mesh_health(&self.engine, network),
        ]
    }

    fn attention(&self, network: Option<&Network>, now: Timestamp) -> Vec<String> {
        let mut all = mesh_attention(&self.engine, network, now);
        match self.enforcer.state() {
            State::Panic => {
                all.push("PANIC: nothing is enforced until `lymph resume`".to_owned());
            }
            State::Failing(why) => all.push(format!(
                "THE FIREWALL REFUSES, so what is new is not enforced: {why}"
            )),
            State::Sound => {}
        }
        if !self.engine.held().is_empty() {
            let held = self.engine.held().len();
            let not_held = match self.engine.held().turned_away() {
                0 => String::new(),
                not_held => format!(" ({not_held} more found no room there and are forgotten)"),
            };
            all.push(format!(
                "{held} decisions are held back{not_held}: look with `lymph decisions held`, then `lymph decisions release` or `lymph decisions drop`"
            ));
        }
        let unresolved = self.unresolved.iter();
        all.extend(
            unresolved
                .map(|(name, why)| format!("{name} on the allowlist cannot be looked up: {why}")),
        );
        let warnings = self.notes.values().filter(|note| note.is_warning());
        all.extend(warnings.map(|note| format!("{}: {}", note.source, note.message)));
        all.extend(
            self.keeper
                .failure()
                .map(|why| format!("decisions are not saved: {why}")),
        );
        all.extend(self.checkpoint_failure.clone());
        all
    }

    /// Tell the operator what the engine wants told.
    fn tell(&self, notice: &engine::Notice) {
        match notice {
            engine::Notice::Detected(alert) => {
                tell_detection(alert, self.enforcer.is_enforcing());
            }
            // A matter of its source, and kept with that.
            engine::Notice::Skewed(_) => {}
            engine::Notice::GaveWay(decision) => {
                tracing::warn!(
                    "the table of decisions is full: {} of {} is dropped early",
                    decision.kind.name(),
                    decision.target
                );
            }
            engine::Notice::Held(held) => {
                let (kind, target) = (held.decision.kind.name(), held.decision.target);
                tracing::warn!(
                    "a {kind} of {target} is HELD: {}; `lymph decisions held` lists, release or drop ends it",
                    held.why.describe()
                );
            }
            engine::Notice::ImportStopped {
                origin,
                held,
                not_held,
            } => {
                let origin = origin.name();
                tracing::warn!(
                    "an import is more than {origin} may add at once: {held} of its decisions are HELD, {not_held} found no room there and are forgotten; `lymph decisions release --origin {origin}` or `lymph decisions drop --origin {origin}` ends it"
                );
            }
            engine::Notice::Prolonged(decision) => {
                tracing::info!(
                    "{} of {} lasts until {}: it keeps knocking",
                    decision.kind.name(),
                    decision.target,
                    moment(decision.until)
                );
            }
            engine::Notice::Mesh(notice) => tell_mesh(notice, self.engine.mesh()),
            engine::Notice::FromSibling { node, what } => {
                let name = self
                    .engine
                    .mesh()
                    .map(|mesh| mesh.name_of(*node))
                    .unwrap_or_default();
                tracing::info!("{what}: said on {name:?}, done here");
            }
            engine::Notice::ClockFollowed { decisions } => {
                tracing::warn!(
                    "the system's clock was set: {decisions} decisions are moved along with it, half-full buckets are given up"
                );
            }
        }
    }
}

fn words_for(skewed: &Skewed) -> Notice {
    let source = &*skewed.source;
    if skewed.late_secs == 0 {
        let message = "its dates are about right again";
        return Notice::new(NoticeKind::Following, source, message);
    }
    let minutes = skewed.late_secs.unsigned_abs() / 60;
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let way = if skewed.late_secs > 0 {
        "behind"
    } else {
        "ahead of"
    };
    let message = format!(
        "its dates are {hours} h {minutes:02} min {way} this machine's time, line after line, so its clock or its time zone looks \
         wrong and nobody is banned for as long as they should be: set `timezone` of its [[source]] in the configuration to the \
         zone it is written in, or the clock of the host that writes it"
    );
    Notice::new(NoticeKind::Skewed, source, message)
}

/// A time for people: without its milliseconds.
fn moment(time: Timestamp) -> Timestamp {
    Timestamp::from_secs(time.secs())
}

fn tell_detection(alert: &Alert, is_enforcing: bool) {
    let Alert {
        scenario, events, ..
    } = alert;
    // A value that is no address may hold anything that an attacker wrote.
    let who = alert.target.map_or_else(
        || format!("{} {:?}", alert.scope, alert.value),
        |target| target.to_string(),
    );
    match &alert.outcome {
        Outcome::Decided { kind, until, step } => {
            let would = if is_enforcing { "" } else { "would " };
            tracing::info!(
                "{scenario}: {who}, {events} lines: {would}{} until {} (visit {step})",
                kind.name(),
                moment(*until)
            );
        }
        Outcome::Ended { kind, until, .. } => {
            tracing::info!(
                "{scenario}: {who}, {events} lines, read late: a {} would have ended at {}",
                kind.name(),
                moment(*until)
            );
        }
        Outcome::Protected(shield) => {
            tracing::warn!(
                "{scenario}: {who}, {events} lines: never blocked, it is {}",
                shield.protection.describe()
            );
        }
        Outcome::Whitelisted(_) => {
            tracing::debug!("{scenario}: {who}, {events} lines: whitelisted by a rule")
        }
        Outcome::Informed | Outcome::NoAddress => {
            tracing::info!("{scenario}: {who}, {events} lines: noted")
        }
        Outcome::TooWide => {
            tracing::warn!("{scenario}: {who}, {events} lines: too wide a network to block")
        }
        // Said by the notice about what is held.
        Outcome::Held { .. } => {}
        Outcome::Tolerated { seen, needed } => {
            tracing::info!(
                "{scenario}: {who}, {events} lines: {seen} of {needed} times, by a raised threshold"
            );
        }
        Outcome::NoRoom => {
            tracing::warn!("{scenario}: {who}, {events} lines: no room for another decision")
        }
    }
}

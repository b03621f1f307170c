//! The engine with everything it asks for: records into the store, words to the operator, answers to the API.
//!
//! Enforcement will be done here too; until there is a firewall, a decision is only said and kept.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lymph_protocol::Timestamp;
use lymph_scenarios::Skewed;

use super::api::Question;
use super::api::views::{
    AlertView, CountersView, DecisionView, RuleView, SourceView, StatusView, UnbannedView, WhyView,
};
use super::keeper::Keeper;
use super::sources::{Batch, Counters, Notice, NoticeKind, Sources};
use crate::engine::alerts::Alert;
use crate::engine::policy::Outcome;
use crate::engine::target::Target;
use crate::engine::{self, Action, Engine, Input, Lifted};

/// Sources whose last words are remembered. The tail follows no more paths than this.
const NOTES_MAX: usize = 2000;

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
    facts: Facts,
    /// The last word about each source.
    notes: BTreeMap<String, Notice>,
    /// What went wrong with a checkpoint, while it does.
    pub(super) checkpoint_failure: Option<String>,
}

impl Node {
    /// An engine with its store.
    #[must_use]
    pub(super) fn new(engine: Engine, keeper: Keeper, facts: Facts) -> Self {
        Node {
            engine,
            keeper,
            facts,
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
        self.write(now);
    }

    /// Write what the engine wanted kept.
    pub(super) fn write(&mut self, now: Timestamp) {
        if let Some(failure) = self.keeper.write(now) {
            tracing::warn!("{failure}");
        }
    }

    /// Try a failed store again.
    pub(super) fn mend_store(&mut self, now: Timestamp) {
        let Some(retried) = self.keeper.retry(self.engine.records(), now) else {
            return;
        };
        if let Some(said) = retried.said {
            tracing::warn!("{said}");
        }
        for record in retried.restored {
            self.take(Input::Restored(record), now);
        }
        self.write(now);
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
            Action::Save(record) => self.keeper.save(record),
            Action::Remove(key) => self.keeper.remove(key),
            // Said with the detection; enforced once there is a firewall.
            Action::Ban(decision) => {
                tracing::debug!(target = %decision.target, kind = decision.kind.name(), until = %decision.until, "would be enforced")
            }
            Action::Unban { target, kind, why } => {
                let why = match why {
                    Lifted::Ended => "its time is over",
                    Lifted::ByOperator => "lifted by the operator",
                    Lifted::Protected => "it is protected",
                    Lifted::NoRoom => "the table is full",
                };
                tracing::info!("{} of {target} ends: {why}", kind.name());
            }
            Action::Notice(engine::Notice::Skewed(skewed)) => self.note(words_for(&skewed)),
            Action::Notice(notice) => tell(&notice),
        }
    }

    /// Answer a question of the API.
    pub(super) fn answer(&mut self, question: Question, sources: &Sources, now: Timestamp) {
        // An asker who has gone away is no error.
        match question {
            Question::Status(reply) => drop(reply.send(self.status(sources, now))),
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
            Question::Why(target, reply) => {
                drop(reply.send(WhyView::new(&self.engine.explain(target, now), now)))
            }
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
            Question::Unban(target, reply) => drop(reply.send(self.unban(target, now))),
        }
    }

    fn decisions(&self, now: Timestamp) -> Vec<DecisionView> {
        self.engine
            .decisions()
            .iter()
            .map(|decision| DecisionView::new(decision, now))
            .collect()
    }

    /// Lift what stands about exactly this target. It is on disk before the operator hears that it is done.
    fn unban(&mut self, target: Target, now: Timestamp) -> UnbannedView {
        let lifted = self
            .engine
            .decisions()
            .about(target)
            .map(|decision| DecisionView::new(decision, now))
            .collect();
        self.take(Input::Unban(target), now);
        self.write(now);
        if let Some(Err(error)) = self.keeper.flusher().map(|store| store.flush())
            && let Some(failure) = self.keeper.fail(&error, now)
        {
            tracing::warn!("{failure}");
        }
        let remaining = self.engine.explain(target, now).decisions;
        UnbannedView {
            lifted,
            remaining: remaining
                .iter()
                .map(|decision| DecisionView::new(decision, now))
                .collect(),
        }
    }

    fn status(&self, sources: &Sources, now: Timestamp) -> StatusView {
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
            enforcing: false,
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
                buckets: detector.buckets,
                bucket_bytes: detector.bucket_bytes,
                evicted: detector.evicted,
            },
            attention: self.attention(),
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

    fn attention(&self) -> Vec<String> {
        let warnings = self.notes.values().filter(|note| note.is_warning());
        let mut all: Vec<String> = warnings
            .map(|note| format!("{}: {}", note.source, note.message))
            .collect();
        all.extend(
            self.keeper
                .failure()
                .map(|why| format!("decisions are not saved: {why}")),
        );
        all.extend(self.checkpoint_failure.clone());
        all
    }
}

/// Tell the operator what the engine wants told.
fn tell(notice: &engine::Notice) {
    match notice {
        engine::Notice::Detected(alert) => tell_detection(alert),
        // A matter of its source, and kept with that.
        engine::Notice::Skewed(_) => {}
        engine::Notice::GaveWay(decision) => {
            tracing::warn!(
                "the table of decisions is full: {} of {} is dropped early",
                decision.kind.name(),
                decision.target
            );
        }
        engine::Notice::ClockFollowed { decisions } => {
            tracing::warn!(
                "the system's clock was set: {decisions} decisions are moved along with it, half-full buckets are given up"
            );
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

fn tell_detection(alert: &Alert) {
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
            tracing::info!(
                "{scenario}: {who}, {events} lines: would {} until {} (visit {step})",
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
        Outcome::NoRoom => {
            tracing::warn!("{scenario}: {who}, {events} lines: no room for another decision")
        }
    }
}

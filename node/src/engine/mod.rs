//! The whole behaviour of a node: one `handle`, two closed enums, one deadline.
//!
//! `handle` takes what happened ([`Input`]) and the time, and says what is to be done ([`Action`]); the
//! daemon and the simulator are two loops round it. Nothing here asks a clock, reads a file or opens a
//! socket. `now` never goes back, but for [`Input::ClockStepped`].
//!
//! A line goes to the detector (`lymph_scenarios`). What runs over there is judged by [`policy`], which asks
//! [`protected`] first and [`ladder`] how often the target was here; what is decided stands in [`decisions`],
//! what was seen in [`alerts`]. [`explain`] reads all of them for `lymph why`.

mod action;
pub mod alerts;
pub mod decision;
pub mod decisions;
pub mod explain;
mod input;
pub mod ladder;
pub mod policy;
pub mod protected;
pub mod record;
mod snapshot;
mod step;
pub mod target;
#[cfg(test)]
mod testing;

use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::Timestamp;
use lymph_scenarios::overflow::{Attacker, Overflow};
use lymph_scenarios::{Counters as DetectorCounters, Detector, Limits, Rules};

pub use action::{Action, Lifted, Notice};
pub use input::Input;
pub use snapshot::Snapshot;

use alerts::{Alert, Alerts};
use decision::{Decision, DetectionId, Kind, Origin};
use decisions::{Applied, Decisions};
use ladder::Ladder;
use policy::{Outcome, Policy};
use protected::{Protected, Shield};
use record::{Record, RecordKey};
use target::{IpNet, Target};

/// How long detections are remembered.
pub const ALERTS_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What the operator wants, and how much memory may go into it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who is blocked for how long.
    pub policy: Policy,
    /// Networks that are never blocked.
    pub allowlist: Vec<IpNet>,
    /// Reverse proxies of all sources: never blocked either.
    pub trusted_proxies: Vec<IpNet>,
    /// How many decisions stand at most.
    pub decisions_max: usize,
    /// How many detections are remembered at most.
    pub alerts_max: usize,
    /// In about how many bytes.
    pub alerts_bytes_max: usize,
    /// How many targets the ladder remembers at most.
    pub ladder_max: usize,
    /// Bounds of the detector.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            policy: Policy::default(),
            allowlist: Vec::new(),
            trusted_proxies: Vec::new(),
            // More than one machine meets in a week of bans; about 100 MB if it ever does.
            decisions_max: 200_000,
            // Some hundred a day for a month.
            alerts_max: 10_000,
            // About a third of what the whole node should take.
            alerts_bytes_max: 8 * 1024 * 1024,
            // Every decision's target has its place.
            ladder_max: 200_000,
            limits: Limits::default(),
        }
    }
}

/// What happened since the start, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Lines that were handled.
    pub lines: u64,
    /// Scenarios that ran over.
    pub detections: u64,
    /// Decisions that were made or made longer by own detections.
    pub decisions: u64,
    /// Detections of protected targets.
    pub protected: u64,
}

/// One node.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<Rules>,
    detector: Detector,
    seed: u64,
    settings: Settings,
    protected: Protected,
    decisions: Decisions,
    ladder: Ladder,
    alerts: Alerts,
    counters: Counters,
    /// When this engine first heard of the time; see `step`.
    started_at: Option<Timestamp>,
    last_now: Timestamp,
}

impl Engine {
    /// A node that knows nothing yet. `seed` makes its hashes unpredictable from outside.
    #[must_use]
    pub fn new(rules: Arc<Rules>, settings: Settings, seed: u64) -> Self {
        Engine {
            detector: Detector::new(Arc::clone(&rules), settings.limits, seed),
            rules,
            seed,
            protected: Protected::new(&settings.allowlist, &settings.trusted_proxies),
            decisions: Decisions::new(settings.decisions_max),
            ladder: Ladder::new(settings.ladder_max),
            alerts: Alerts::new(settings.alerts_max, settings.alerts_bytes_max),
            settings,
            counters: Counters::default(),
            started_at: None,
            last_now: Timestamp::EPOCH,
        }
    }

    /// Take in one thing that happened and say what is to be done about it.
    pub fn handle(&mut self, input: Input<'_>, now: Timestamp) -> Vec<Action> {
        debug_assert!(
            now >= self.last_now || matches!(input, Input::ClockStepped { .. }),
            "time went back"
        );
        self.last_now = now;
        self.started_at.get_or_insert(now);
        let mut actions = Vec::new();
        match input {
            Input::Line(line) => {
                self.counters.lines += 1;
                let overflows = self.detector.handle(&line, now);
                self.take(overflows, now, &mut actions);
                let skewed = self.detector.skewed().map(Notice::Skewed);
                actions.extend(skewed.map(Action::Notice));
            }
            Input::Tick => self.tick(now, &mut actions),
            Input::Restored(record) => self.restore(record, now, &mut actions),
            Input::Resumed(snapshot) => self.detector.restore(snapshot.buckets),
            Input::Surroundings(shields) => self.surround(shields, &mut actions),
            Input::Unban(target) => self.unban(target, now, &mut actions),
            Input::Forget(target) => self.forget(target, &mut actions),
            Input::ClockStepped { before } => self.follow_clock(before, now, &mut actions),
        }
        actions
    }

    /// When [`Input::Tick`] is due next, and what for.
    #[must_use]
    pub fn next_deadline(&self) -> Option<(Timestamp, &'static str)> {
        let tidy =
            |oldest: Option<Timestamp>, kept: Duration| oldest.map(|oldest| oldest + kept + MOMENT);
        let forget_after = self.settings.policy.terms.forget_after;
        let own = [
            (self.decisions.next_end(), "a decision ends"),
            (
                tidy(self.alerts.oldest(), ALERTS_KEPT),
                "a detection is old",
            ),
            (
                tidy(self.ladder.oldest(), forget_after),
                "somebody's past is forgotten",
            ),
        ];
        let own = own.into_iter().filter_map(|(at, why)| Some((at?, why)));
        own.chain(self.detector.next_deadline())
            .min_by_key(|(at, _)| *at)
    }

    /// What goes into a checkpoint together with the positions in the logs.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            buckets: self.detector.snapshot(),
        }
    }

    /// Every record there is, to fill an empty store with.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let decisions = self.decisions.iter().cloned().map(Record::Decision);
        let alerts = self.alerts.iter().cloned().map(Record::Alert);
        let rungs = self
            .ladder
            .iter()
            .map(|(target, rung)| Record::Rung(target, rung));
        decisions.chain(alerts).chain(rungs)
    }

    /// What stands.
    #[must_use]
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// What was seen.
    #[must_use]
    pub fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    /// The rules it goes by.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// What happened so far, in numbers.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What the detector did so far, in numbers.
    #[must_use]
    pub fn detector_counters(&self) -> DetectorCounters {
        self.detector.counters()
    }

    fn tick(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let overflows = self.detector.tick(now);
        self.take(overflows, now, actions);
        while let Some(decision) = self.decisions.pop_ended(now) {
            self.lifted(&decision, Lifted::Ended, actions);
        }
        while let Some(id) = self.alerts.pop_before(now - ALERTS_KEPT) {
            actions.push(Action::Remove(RecordKey::Alert(id)));
        }
        while let Some(target) = self
            .ladder
            .pop_seen_before(now - self.settings.policy.terms.forget_after)
        {
            actions.push(Action::Remove(RecordKey::Rung(target)));
        }
    }

    fn take(&mut self, overflows: Vec<Overflow>, now: Timestamp, actions: &mut Vec<Action>) {
        for overflow in &overflows {
            for attacker in &overflow.attackers {
                self.detected(overflow, attacker, now, actions);
            }
        }
    }

    /// One scenario ran over for one attacker: judge it, unless it was judged before.
    fn detected(
        &mut self,
        overflow: &Overflow,
        attacker: &Attacker,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let id = DetectionId::of(&overflow.scenario, &attacker.value, overflow.first_line);
        let target = policy::target(attacker);
        if self.knows(id, target) {
            return;
        }
        self.counters.detections += 1;
        let past = target.and_then(|target| self.ladder.get(target));
        let (mut outcome, rung) = policy::judge(
            &self.settings.policy,
            &self.protected,
            overflow,
            target,
            past,
            now,
        );
        if let (Outcome::Decided { kind, until, step }, Some(target)) = (&mut outcome, target) {
            let (kind, since) = (*kind, overflow.last_seen.min(now));
            let reason = Arc::clone(&overflow.scenario);
            let decision = Decision {
                id,
                target,
                kind,
                origin: Origin::Lymph,
                reason,
                since,
                until: *until,
                step: *step,
            };
            match self.decide(decision, actions) {
                Applied::Full => outcome = Outcome::NoRoom,
                Applied::New | Applied::Longer => self.counters.decisions += 1,
                Applied::Nothing => *until = self.decisions.until(target, kind).unwrap_or(*until),
            }
        }
        self.counters.protected += u64::from(matches!(outcome, Outcome::Protected(_)));
        if let (Some(rung), Some(target)) = (rung, target) {
            let forgotten = self.ladder.set(target, rung);
            actions.extend(forgotten.map(|target| Action::Remove(RecordKey::Rung(target))));
            actions.push(Action::Save(Record::Rung(target, rung)));
        }
        let alert = Arc::new(Alert::new(id, overflow, attacker, target, outcome, now));
        let dropped = self.alerts.add(Arc::clone(&alert));
        actions.extend(
            dropped
                .into_iter()
                .map(|id| Action::Remove(RecordKey::Alert(id))),
        );
        actions.push(Action::Save(Record::Alert(Arc::clone(&alert))));
        actions.push(Action::Notice(Notice::Detected(alert)));
    }

    fn knows(&self, id: DetectionId, target: Option<Target>) -> bool {
        let decided = |target| {
            Kind::ALL
                .into_iter()
                .any(|kind| self.decisions.has((target, kind, Origin::Lymph), id))
        };
        self.alerts.get(id).is_some() || target.is_some_and(decided)
    }

    /// Put a decision into the table, and have it enforced if that changes anything for its target.
    fn decide(&mut self, decision: Decision, actions: &mut Vec<Action>) -> Applied {
        assert!(
            self.protected.shield_of(decision.target).is_none(),
            "decided about somebody who is protected"
        );
        let (key, before) = (
            decision.key(),
            self.decisions.until(decision.target, decision.kind),
        );
        let (applied, dropped) = self.decisions.apply(decision);
        if let Some(dropped) = dropped {
            self.lifted(&dropped, Lifted::NoRoom, actions);
            actions.push(Action::Notice(Notice::GaveWay(dropped)));
        }
        let stands = self
            .decisions
            .about(key.0)
            .find(|decision| decision.key() == key);
        if let (Applied::New | Applied::Longer, Some(stands)) = (applied, stands) {
            actions.push(Action::Save(Record::Decision(stands.clone())));
            if before.is_none_or(|before| before < stands.until) {
                actions.push(Action::Ban(stands.clone()));
            }
        }
        applied
    }

    /// A decision is out of the table: enforce whatever else stands about its target.
    fn lifted(&self, decision: &Decision, why: Lifted, actions: &mut Vec<Action>) {
        actions.push(Action::Remove(RecordKey::Decision(decision.key())));
        let (target, kind) = (decision.target, decision.kind);
        let others = self
            .decisions
            .about(target)
            .filter(|other| other.kind == kind);
        match others.max_by_key(|other| other.until) {
            None => actions.push(Action::Unban { target, kind, why }),
            Some(other) if other.until < decision.until => actions.push(Action::Ban(other.clone())),
            Some(_) => {}
        }
    }

    fn restore(&mut self, record: Record, now: Timestamp, actions: &mut Vec<Action>) {
        let key = record.key();
        let out_of_date = match record {
            Record::Decision(decision) if decision.until <= now => true,
            Record::Decision(decision) if self.protected.shield_of(decision.target).is_some() => {
                true
            }
            Record::Decision(decision) => {
                self.decide(decision, actions);
                false
            }
            Record::Alert(alert) if now.since(alert.at) > ALERTS_KEPT => true,
            Record::Alert(alert) => {
                let dropped = self.alerts.add(alert);
                actions.extend(
                    dropped
                        .into_iter()
                        .map(|id| Action::Remove(RecordKey::Alert(id))),
                );
                false
            }
            Record::Rung(_, rung)
                if now.since(rung.last_seen) > self.settings.policy.terms.forget_after =>
            {
                true
            }
            // A store that opens late holds what was before the rung that is known meanwhile.
            Record::Rung(target, rung)
                if self
                    .ladder
                    .get(target)
                    .is_some_and(|known| known.last_seen >= rung.last_seen) =>
            {
                false
            }
            Record::Rung(target, rung) => {
                let forgotten = self.ladder.set(target, rung);
                actions.extend(forgotten.map(|target| Action::Remove(RecordKey::Rung(target))));
                false
            }
        };
        if out_of_date {
            actions.push(Action::Remove(key));
        }
        // What was just read need not be written again.
        actions.retain(|action| !matches!(action, Action::Save(saved) if saved.key() == key));
    }

    fn surround(&mut self, shields: Vec<Shield>, actions: &mut Vec<Action>) {
        self.protected.surround(shields);
        let hit = self
            .decisions
            .iter()
            .filter(|decision| self.protected.shield_of(decision.target).is_some());
        for key in hit.map(Decision::key).collect::<Vec<_>>() {
            if let Some(decision) = self.decisions.remove(key) {
                self.lifted(&decision, Lifted::Protected, actions);
            }
        }
    }

    /// Whatever stands about exactly this target ends; a detection after this one is a return.
    fn unban(&mut self, target: Target, now: Timestamp, actions: &mut Vec<Action>) {
        for key in self
            .decisions
            .about(target)
            .map(Decision::key)
            .collect::<Vec<_>>()
        {
            if let Some(decision) = self.decisions.remove(key) {
                self.lifted(&decision, Lifted::ByOperator, actions);
            }
        }
        if let Some(mut rung) = self.ladder.get(target) {
            rung.free_at = rung.free_at.min(now);
            self.ladder.set(target, rung);
            actions.push(Action::Save(Record::Rung(target, rung)));
        }
    }

    /// As if the target had never been here.
    fn forget(&mut self, target: Target, actions: &mut Vec<Action>) {
        for key in self
            .decisions
            .about(target)
            .map(Decision::key)
            .collect::<Vec<_>>()
        {
            if let Some(decision) = self.decisions.remove(key) {
                self.lifted(&decision, Lifted::ByOperator, actions);
            }
        }
        if self.ladder.remove(target).is_some() {
            actions.push(Action::Remove(RecordKey::Rung(target)));
        }
        for id in self.alerts.about(target) {
            self.alerts.remove(id);
            actions.push(Action::Remove(RecordKey::Alert(id)));
        }
    }
}

/// The smallest step of time.
const MOMENT: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests;

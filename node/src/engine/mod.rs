//! The whole behaviour of a node: one `handle`, two closed enums, one deadline.
//!
//! `handle` takes what happened ([`Input`]) and the time, and says what is to be done ([`Action`]); the
//! daemon and the simulator are two loops round it. Nothing here asks a clock, reads a file or opens a
//! socket. `now` never goes back, but for [`Input::ClockStepped`].
//!
//! A line goes to the detector (`lymph_scenarios`). What runs over there is judged by [`policy`], which asks
//! [`protected`] first and [`ladder`] how often the target was here; [`leniency`] and [`familiar`] know who deserves
//! a second chance, and the [`breaker`] holds back what comes too fast. What is decided stands in [`decisions`], what
//! was seen in [`alerts`]. What the operator asks for ([`request`]) takes the way of `operator`. [`explain`] reads
//! all of them for `lymph why`.

mod action;
pub mod alerts;
pub mod allowlist;
pub mod breaker;
pub mod decision;
pub mod decisions;
pub mod drops;
pub mod explain;
pub mod familiar;
pub mod families;
mod heard;
mod input;
pub mod ladder;
pub mod leniency;
pub mod mesh;
pub mod networks;
mod operator;
pub mod policy;
pub mod protected;
pub mod record;
pub mod request;
mod snapshot;
mod step;
pub mod target;
#[cfg(test)]
mod testing;
pub mod trusting;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::{Subject, Timestamp};
use lymph_scenarios::overflow::{Attacker, Overflow};
use lymph_scenarios::{Counters as DetectorCounters, Detector, Limits, Rules};

pub use action::{Action, Lifted, Notice};
pub use input::Input;
pub use snapshot::Snapshot;

use alerts::{Alert, Alerts};
use allowlist::Allowlist;
use breaker::{Breaker, Budget, HeldBack, Spender, Why};
use decision::{Decision, DetectionId, Kind, Origin};
use decisions::{Applied, Decisions};
use drops::Drops;
use familiar::Familiar;
use ladder::Ladder;
use leniency::{Leniency, Verdict};
use mesh::Mesh;
use policy::{Outcome, Policy};
use protected::{Protected, Shield};
use record::{Record, RecordKey};
use target::{IpNet, Target};
use trusting::Trusting;

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
    /// How many new bans a rule may make; `None` for as many as it likes.
    pub budget: Option<Budget>,
    /// How many new decisions the imports of one origin may make; `None` for as many as they like.
    pub import_budget: Option<Budget>,
    /// How many decisions are held at most.
    pub held_max: usize,
    /// How many subjects that have logged in are remembered at most.
    pub familiar_max: usize,
    /// Of how many subjects refused connections are counted.
    pub drops_max: usize,
    /// One subject in so many is left alone whatever others say, to measure what that is worth; 0 for none.
    pub holdout: u32,
    /// How much others are believed.
    pub trust: lymph_trust::Parameters,
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
            budget: Some(Budget::default()),
            import_budget: Some(Budget::of_imports()),
            // Somebody has to look through them.
            held_max: 10_000,
            // A small company's people at home and on their way.
            familiar_max: 4_096,
            // Twice what the firewall counts between two readings.
            drops_max: 20_000,
            holdout: lymph_trust::policy::HOLDOUT,
            trust: lymph_trust::Parameters::default(),
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
    /// Decisions that were held back.
    pub held: u64,
    /// Successful logins that were seen.
    pub logins: u64,
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
    allowlist: Allowlist,
    /// Protected targets that the operator wants blocked all the same.
    forced: BTreeSet<Target>,
    breaker: Breaker,
    held: HeldBack,
    familiar: Familiar,
    leniency: Leniency,
    drops: Drops,
    /// Its place among others, if it has one.
    mesh: Option<Box<Mesh>>,
    /// What it makes of what they say.
    trusting: Option<Box<Trusting>>,
    /// The newest thing that the operator wants of each target and entry, by the number it was said under: what was said
    /// before and comes later is out of date.
    newest_words: heard::NewestWords,
    /// When the fleet is told the allowlist again.
    retell_at: Option<Timestamp>,
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
            allowlist: Allowlist::default(),
            forced: BTreeSet::new(),
            breaker: Breaker::new(settings.budget, settings.import_budget),
            held: HeldBack::new(settings.held_max),
            familiar: Familiar::new(settings.familiar_max),
            leniency: Leniency::default(),
            drops: Drops::new(settings.drops_max),
            mesh: None,
            trusting: None,
            newest_words: heard::NewestWords::default(),
            retell_at: None,
            settings,
            counters: Counters::default(),
            started_at: None,
            last_now: Timestamp::EPOCH,
        }
    }

    /// Give it a place among others.
    pub fn enter_mesh(
        &mut self,
        identity: mesh::Identity,
        limits: mesh::MeshLimits,
        now: Timestamp,
    ) {
        let me = identity.keypair.id();
        let secret = identity.keypair.secret_number("holdout");
        let trusting = Trusting::new(me, self.settings.trust, &self.rules, secret);
        self.trusting = Some(Box::new(trusting));
        self.mesh = Some(Box::new(Mesh::new(identity, limits, self.seed, now)));
    }

    /// Its place among others.
    #[must_use]
    pub fn mesh(&self) -> Option<&Mesh> {
        self.mesh.as_deref()
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
                for login in self.detector.take_logins() {
                    self.logged_in(login.address, &login.service, now, &mut actions);
                }
                self.take(overflows, now, &mut actions);
                let skewed = self.detector.skewed().map(Notice::Skewed);
                actions.extend(skewed.map(Action::Notice));
            }
            Input::Tick => self.tick(now, &mut actions),
            Input::Restored(record) => self.restore(record, now, &mut actions),
            Input::Resumed(snapshot) => self.detector.restore(snapshot.buckets),
            Input::Surroundings(shields) => self.surround(shields, &mut actions),
            Input::Asked(request) => self.asked(request, now, &mut actions),
            Input::Resolved { name, addresses } => self.resolved(&name, &addresses, &mut actions),
            Input::Refused(all) => self.refused(&all, now, &mut actions),
            Input::Forget(target) => self.forget(target, &mut actions),
            Input::Mesh(input) => self.with_mesh(now, &mut actions, |mesh| mesh.handle(input, now)),
            Input::Started => self.with_mesh(now, &mut actions, |mesh| mesh.start(now)),
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
            (self.held.next_end(), "a held decision ends"),
            (self.leniency.next_end(), "a raised threshold ends"),
            (
                tidy(self.familiar.oldest(), familiar::COUNTS_FOR),
                "a login is old",
            ),
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
            .chain(self.mesh.as_ref().map(|mesh| mesh.next_deadline()))
            .chain(
                self.trust_deadline()
                    .map(|at| (at, "what others say grows old")),
            )
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
        let allowed = self.allowlist.iter().cloned().map(Record::Allow);
        let raised = self.leniency.iter();
        let raised = raised.map(|(case, raised)| Record::Raised(case.clone(), raised));
        let forced = self.forced.iter().copied().map(Record::Forced);
        let held = self.held.iter().cloned().map(Record::Held);
        let familiar = self.familiar.iter();
        let familiar = familiar.map(|(subject, logins)| Record::Familiar(subject, logins.clone()));
        let mesh = self
            .mesh
            .iter()
            .flat_map(|mesh| mesh.records())
            .map(Record::Mesh);
        let before = allowed.chain(forced).chain(raised);
        before
            .chain(decisions)
            .chain(alerts)
            .chain(rungs)
            .chain(held)
            .chain(familiar)
            .chain(mesh)
            .chain(self.trust_records())
    }

    /// What the operator has allowed.
    #[must_use]
    pub fn allowlist(&self) -> &Allowlist {
        &self.allowlist
    }

    /// What the configuration allows.
    #[must_use]
    pub fn allowed_by_configuration(&self) -> &[IpNet] {
        &self.settings.allowlist
    }

    /// What is held back.
    #[must_use]
    pub fn held(&self) -> &HeldBack {
        &self.held
    }

    /// Who keeps knocking.
    #[must_use]
    pub fn drops(&self) -> &Drops {
        &self.drops
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
        self.with_mesh(now, actions, |mesh| mesh.tick(now));
        self.retell(now, actions);
        self.tick_trust(now, actions);
        while let Some(decision) = self.decisions.pop_ended(now) {
            self.lifted(&decision, Lifted::Ended, actions);
        }
        let by_operator = |target: &Target| {
            let mut about = self.decisions.about(*target);
            about.any(|decision| decision.origin == Origin::Operator)
        };
        let idle: Vec<_> = self
            .forced
            .iter()
            .copied()
            .filter(|target| !by_operator(target))
            .collect();
        for target in idle {
            self.forced.remove(&target);
            actions.push(Action::Remove(RecordKey::Forced(target)));
        }
        while let Some(held) = self.held.pop_ended(now) {
            actions.push(Action::Remove(RecordKey::Held(held.decision.key())));
        }
        while let Some(case) = self.leniency.pop_ended(now) {
            actions.push(Action::Remove(RecordKey::Raised(case)));
        }
        while let Some(subject) = self.familiar.pop_before(now - familiar::COUNTS_FOR) {
            actions.push(Action::Remove(RecordKey::Familiar(subject)));
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
        let (mut outcome, mut rung) = policy::judge(
            &self.settings.policy,
            &self.protected,
            overflow,
            target,
            past,
            now,
        );
        if let (Outcome::Decided { kind, until, step }, Some(target)) = (&outcome, target) {
            let decision = Decision {
                id,
                target,
                kind: *kind,
                origin: Origin::Lymph,
                reason: Arc::clone(&overflow.scenario),
                since: overflow.last_seen.min(now),
                until: *until,
                step: *step,
            };
            let is_visit;
            (outcome, is_visit) = self.weigh(decision, overflow, now, actions);
            rung = rung.filter(|_| is_visit);
        }
        self.counters.protected += u64::from(matches!(outcome, Outcome::Protected(_)));
        if let (Some(Target::Subject(subject)), false) = (
            target,
            matches!(outcome, Outcome::Whitelisted(_) | Outcome::Protected(_)),
        ) {
            self.confirm(overflow, subject, now, actions);
        }
        if let (Some(rung), Some(target)) = (rung, target) {
            let forgotten = self.ladder.set(target, rung);
            actions.extend(forgotten.map(|target| Action::Remove(RecordKey::Rung(target))));
            actions.push(Action::Save(Record::Rung(target, rung)));
        }
        let alert = Arc::new(Alert::new(id, overflow, attacker, target, outcome, now));
        let dropped = self.remember(Arc::clone(&alert));
        actions.extend(
            dropped
                .into_iter()
                .map(|id| Action::Remove(RecordKey::Alert(id))),
        );
        actions.push(Action::Save(Record::Alert(Arc::clone(&alert))));
        actions.push(Action::Notice(Notice::Detected(alert)));
    }

    /// What scenario and ladder ask for is weighed once more: leniency for some, the budget for all. Says what
    /// comes of it, and whether it counts as a visit.
    fn weigh(
        &mut self,
        mut decision: Decision,
        overflow: &Overflow,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) -> (Outcome, bool) {
        let target = decision.target;
        let attacked = overflow.services();
        let is_familiar = self
            .familiar
            .login_elsewhere(target, &attacked, now)
            .is_some();
        let case = (Arc::clone(&overflow.scenario), target);
        let mut is_visit = true;
        match self.leniency.judge(&case, is_familiar, now) {
            Verdict::Full => {}
            Verdict::Tolerated { seen, needed } => {
                return (Outcome::Tolerated { seen, needed }, false);
            }
            Verdict::Throttle => {
                decision.until = decision.until.min(now + leniency::THROTTLED_FOR);
                (decision.kind, decision.step) = (Kind::Throttle, 0);
                is_visit = false;
            }
        }
        let (kind, step) = (decision.kind, decision.step);
        let is_new = self.decisions.until(target, kind).is_none();
        let within = || match target {
            Target::Range(_) => self.familiar.within(target, now),
            Target::Subject(_) => None,
        };
        if is_new && within().is_some() {
            return (self.held_back(decision, Why::GoodSession, actions), false);
        }
        if is_new && !self.breaker.spend(&Spender::Rule(case.0), now) {
            return (self.held_back(decision, Why::Budget, actions), false);
        }
        let mut until = decision.until;
        match self.decide(decision, actions) {
            Applied::Full => return (Outcome::NoRoom, is_visit),
            Applied::New | Applied::Longer => {
                self.counters.decisions += 1;
                if kind == Kind::Ban {
                    self.tell_others(overflow, target, until, now, actions);
                }
            }
            Applied::Nothing => until = self.decisions.until(target, kind).unwrap_or(until),
        }
        (Outcome::Decided { kind, until, step }, is_visit)
    }

    fn held_back(&mut self, decision: Decision, why: Why, actions: &mut Vec<Action>) -> Outcome {
        let kind = decision.kind;
        self.counters.held += 1;
        actions.push(Action::Notice(Notice::Held(breaker::Held {
            decision: decision.clone(),
            why,
        })));
        self.hold(decision, why, actions);
        Outcome::Held { kind, why }
    }

    /// Somebody has logged in.
    fn logged_in(
        &mut self,
        address: IpAddr,
        service: &str,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        self.counters.logins += 1;
        let subject = Subject::of(address);
        let (is_news, forgotten) = self.familiar.logged_in(subject, service, now);
        actions.extend(forgotten.map(|subject| Action::Remove(RecordKey::Familiar(subject))));
        if let Some(logins) = self.familiar.get(subject).filter(|_| is_news) {
            actions.push(Action::Save(Record::Familiar(subject, logins.clone())));
        }
    }

    /// The firewall refused connections. They are counted; an own ban that is about to end lasts longer while its
    /// target keeps knocking, but never more than twice its length, since the sender's address may be forged.
    fn refused(&mut self, all: &[(IpAddr, u64)], now: Timestamp, actions: &mut Vec<Action>) {
        for (address, connections) in all {
            let subject = Subject::of(*address);
            self.drops.add(subject, *connections, now);
            if *connections < KNOCKS_MIN {
                continue;
            }
            let key = (Target::from(subject), Kind::Ban, Origin::Lymph);
            let ban = self
                .decisions
                .about(key.0)
                .find(|decision| decision.key() == key);
            let Some(ban) = ban else { continue };
            let terms = &self.settings.policy.terms;
            let length = terms.length(terms.first, ban.step);
            let until = (now + length / 2).min(ban.since + length * 2);
            if ban.until.since(now) >= length / 4 || until <= ban.until {
                continue;
            }
            let longer = Decision {
                until,
                ..ban.clone()
            };
            if self.decide(longer.clone(), actions) == Applied::Longer {
                actions.push(Action::Notice(Notice::Prolonged(longer)));
            }
            if let Some(mut rung) = self.ladder.get(key.0) {
                rung.free_at = rung.free_at.max(until);
                self.ladder.set(key.0, rung);
                actions.push(Action::Save(Record::Rung(key.0, rung)));
            }
        }
    }

    /// Add to the history; what a standing decision rests on goes last.
    fn remember(&mut self, alert: Arc<Alert>) -> Vec<DetectionId> {
        let decisions = &self.decisions;
        self.alerts.add(alert, |alert| {
            alert.target.is_some_and(|target| {
                Kind::ALL
                    .into_iter()
                    .any(|kind| decisions.has((target, kind, Origin::Lymph), alert.id))
            })
        })
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
            self.shield_against(decision.key()).is_none(),
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
    fn lifted(&mut self, decision: &Decision, why: Lifted, actions: &mut Vec<Action>) {
        actions.push(Action::Remove(RecordKey::Decision(decision.key())));
        let (target, kind) = (decision.target, decision.kind);
        let by_operator = |other: &Decision| other.origin == Origin::Operator;
        if self.forced.contains(&target) && !self.decisions.about(target).any(by_operator) {
            self.forced.remove(&target);
            actions.push(Action::Remove(RecordKey::Forced(target)));
        }
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
            Record::Decision(decision) if self.shield_against(decision.key()).is_some() => true,
            Record::Decision(decision) => {
                self.decide(decision, actions);
                false
            }
            Record::Alert(alert) if now.since(alert.at) > ALERTS_KEPT => true,
            Record::Alert(alert) => {
                let dropped = self.remember(alert);
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
            Record::Allow(entry) => {
                // What the list's cap refuses stays in the book and is said by nobody: it was full before.
                let _ = self.allowlist.add(entry);
                self.allowlist_changed(actions);
                false
            }
            Record::Raised(_, raised) if raised.until <= now => true,
            Record::Raised(case, raised) => {
                let dropped = self.leniency.restore(case, raised);
                actions.extend(dropped.map(|case| Action::Remove(RecordKey::Raised(case))));
                false
            }
            Record::Forced(target) => {
                self.forced.insert(target);
                false
            }
            Record::Held(held) if held.decision.until <= now => true,
            Record::Held(held) => !self.hold(held.decision, held.why, actions),
            Record::Experience(node, kept) => {
                self.restore_experience(node, kept, now);
                false
            }
            Record::HeldOut(day, count) => self.restore_held_out(day, count, now),
            Record::Mesh(kept) => {
                self.learn_kept(&kept, true);
                self.with_mesh(now, actions, |mesh| mesh.restore(kept, now));
                false
            }
            Record::Familiar(subject, logins) => {
                let known = self.familiar.get(subject).and_then(|logins| logins.last());
                let saved = logins.last();
                let is_old = saved.is_none_or(|(_, at)| now.since(at) > familiar::COUNTS_FOR);
                // A store that opens late knows what was before the login that is known meanwhile.
                if !is_old && known.map(|(_, at)| at) < saved.map(|(_, at)| at) {
                    let forgotten = self.familiar.restore(subject, logins);
                    actions.extend(
                        forgotten.map(|subject| Action::Remove(RecordKey::Familiar(subject))),
                    );
                }
                is_old
            }
        };
        if out_of_date {
            actions.push(Action::Remove(key.clone()));
        }
        // What was just read need not be written again.
        actions.retain(|action| !matches!(action, Action::Save(saved) if saved.key() == key));
    }

    fn surround(&mut self, shields: Vec<Shield>, actions: &mut Vec<Action>) {
        if self.protected.surround(shields) {
            self.lift_protected(actions);
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
        if let Target::Subject(subject) = target
            && self.familiar.remove(subject).is_some()
        {
            actions.push(Action::Remove(RecordKey::Familiar(subject)));
        }
        for id in self.alerts.about(target) {
            self.alerts.remove(id);
            actions.push(Action::Remove(RecordKey::Alert(id)));
        }
    }
}

/// Fewer connections than this between two readings are no knocking: a forgotten client tries as often.
const KNOCKS_MIN: u64 = 3;

/// The smallest step of time.
const MOMENT: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests;

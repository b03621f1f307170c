//! What others say becomes what is done: between what was heard (`heard`) and what is decided (`decisions`) stands the trust
//! of this node in others ([`lymph_trust`]).
//!
//! A level rises with a report and falls with time, with a friend who is believed no longer, or with a word of the operator.
//! What each level does is policy's: from *prime* on the detector looks closer, from *throttle* on new connections are slowed
//! down, at *block* the address is shut out. The never-block list comes first; who has good sessions here is held back.
//!
//! One address in twenty is left alone whatever others say: what happens there measures what the mesh is worth, and credits
//! those who would otherwise never be proved right, since whoever is shut out can attack no more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::admission::Standing;
use lymph_protocol::report::{Evidence, RuleHash};
use lymph_protocol::vouch::Degree;
use lymph_protocol::{NodeId, Subject, Timestamp};
use lymph_scenarios::overflow::Overflow;
use lymph_trust::record::{Credit, Network, Refutation, day_of};
use lymph_trust::{
    Assessment, Change, Kin, Level, Record as Experience, Rule, Statement, Trust, Voice, Vouchee,
    policy as numbers,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::breaker::{Spender, Why};
use super::decision::{Decision, DetectionId, Kind, Origin};
use super::ladder::Rung;
use super::mesh::peers::{REACH_MAX, SCORE_MAX};
use super::mesh::{Kept, KeptKey};
use super::record::Record;
use super::target::Target;
use super::{Action, Engine, Lifted, families, policy};

/// Days of which it is remembered what happened to those who were left alone: a month.
const HELD_OUT_DAYS: u32 = 30;
/// How often the mesh is told anew who is no stranger: it is worked out for thousands.
const REACH_EVERY: Duration = Duration::from_secs(60);
/// By then what others say has been heard again after a start, if they are there.
const SETTLED_AFTER: Duration = Duration::from_secs(15 * 60);
/// Names in a reason.
const NAMES_MAX: usize = 4;

/// First-hand experience with a node, as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptExperience {
    /// Day, network and worth of each report that was right.
    pub credits: Vec<(u32, u64, u32)>,
    /// Day and address of each that was wrong.
    pub refutations: Vec<(u32, Subject)>,
}

impl From<&Experience> for KeptExperience {
    fn from(experience: &Experience) -> Self {
        let credit = |credit: &Credit| (credit.day, credit.near.0, credit.worth);
        let refutation = |refuted: &Refutation| (refuted.day, refuted.subject);
        KeptExperience {
            credits: experience.credits().map(credit).collect(),
            refutations: experience.refutations().map(refutation).collect(),
        }
    }
}

impl From<KeptExperience> for Experience {
    fn from(kept: KeptExperience) -> Self {
        let credits = kept.credits.into_iter().map(|(day, near, worth)| Credit {
            day,
            near: Network(near),
            worth,
        });
        let refutations = kept.refutations.into_iter();
        let refutations = refutations.map(|(day, subject)| Refutation { day, subject });
        Experience::restore(credits.collect(), refutations.collect())
    }
}

/// What the mesh is worth, measured on those who were left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Benefit {
    /// Attacks in thirty days by addresses that others would have had shut out, and that were left alone.
    pub seen: u64,
    /// What that makes of all others.
    pub stopped: u64,
    /// And how far that may be off: one standard deviation.
    pub give_or_take: u64,
}

/// What this node believes, and what it needs to act on it.
#[derive(Debug)]
pub(super) struct Trusting {
    pub(super) trust: Trust,
    /// The rules that this node has too.
    known_rules: BTreeSet<[u8; 8]>,
    secret: u64,
    /// The version of trust at which the mesh was told who is no stranger, and when it is told next.
    reached: u64,
    /// Whom this node believes has changed since it was looked at what rests on others' word.
    is_belief_changed: bool,
    /// When what stands since before the start is looked at.
    settle_at: Option<Timestamp>,
    /// Counts up with what is learned at first hand; and what both were when peers were thought of last.
    learned: u64,
    thought_at: (u64, u64),
    reach_at: Timestamp,
    /// Attacks by those who were left alone, by day.
    held_out: BTreeMap<u32, u64>,
}

impl Trusting {
    pub(super) fn new(
        me: NodeId,
        parameters: numbers::Parameters,
        rules: &lymph_scenarios::Rules,
        secret: u64,
    ) -> Self {
        Trusting {
            trust: Trust::new(me, parameters),
            known_rules: rules
                .scenarios()
                .iter()
                .map(|scenario| scenario.hash)
                .collect(),
            secret,
            reached: 0,
            is_belief_changed: false,
            settle_at: None,
            learned: 0,
            thought_at: (0, 0),
            reach_at: Timestamp::from_millis(1),
            held_out: BTreeMap::new(),
        }
    }

    fn is_held_out(&self, subject: Subject, one_in: u32) -> bool {
        if one_in == 0 {
            return false;
        }
        let hash = Sha256::new_with_prefix(self.secret.to_be_bytes())
            .chain_update(subject.to_string())
            .finalize();
        let number = hash
            .iter()
            .take(8)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        number % u64::from(one_in) == 0
    }
}

fn kin_of(degree: Degree) -> Kin {
    match degree {
        Degree::Friend => Kin::Friend,
        Degree::Member => Kin::Member,
        Degree::Sibling => Kin::Sibling,
    }
}

impl Engine {
    /// What this node believes, if it hears others at all.
    #[must_use]
    pub fn trust(&self) -> Option<&Trust> {
        self.trusting.as_ref().map(|trusting| &trusting.trust)
    }

    /// What is to be made of what others say about an address, ways counted in full.
    #[must_use]
    pub fn assess(&self, subject: Subject, now: Timestamp) -> Option<Assessment> {
        let trust = self.trust()?;
        Some(trust.glance(Some(subject)).assess(subject, now))
    }

    /// Whether others' word about an address is not acted upon, to see what happens.
    #[must_use]
    pub fn is_held_out(&self, subject: Subject) -> bool {
        let trusting = self.trusting.as_ref();
        trusting.is_some_and(|trusting| trusting.is_held_out(subject, self.settings.holdout))
    }

    /// What the mesh has been worth lately, if that is measured.
    #[must_use]
    pub fn benefit(&self) -> Option<Benefit> {
        let trusting = self
            .trusting
            .as_ref()
            .filter(|_| self.settings.holdout > 1)?;
        let seen: u64 = trusting.held_out.values().sum();
        let others = u64::from(self.settings.holdout - 1);
        Some(Benefit {
            seen,
            stopped: seen * others,
            give_or_take: seen.isqrt() * others,
        })
    }

    /// The operator's word about whom this node knows has changed.
    pub(super) fn learn_kept(&mut self, kept: &Kept, is_restored: bool) {
        let Some(trusting) = &mut self.trusting else {
            return;
        };
        match kept {
            Kept::Known(node, known) => {
                let now = Vouchee {
                    kin: kin_of(known.degree),
                    weight: known.weight.0,
                };
                let before = trusting.trust.vouchee(*node);
                trusting.trust.vouch_for(*node, now);
                // Where somebody is and what they are called changes often, and nothing about whether they are believed.
                if before.is_none_or(|before| before == now) {
                    return;
                }
            }
            Kept::Muted(node) => trusting.trust.mute(*node, true),
            Kept::Dead(node, _) => trusting.trust.bar(*node, Timestamp::MAX),
            Kept::Barred(node, until) => trusting.trust.bar(*node, *until),
            _ => return,
        }
        trusting.is_belief_changed |= !is_restored;
    }

    /// See [`Engine::learn_kept`].
    pub(super) fn learn_removed(&mut self, key: &KeptKey) {
        let Some(trusting) = &mut self.trusting else {
            return;
        };
        match key {
            KeptKey::Known(node) => trusting.trust.revoke(*node),
            KeptKey::Muted(node) => trusting.trust.mute(*node, false),
            _ => return,
        }
        trusting.is_belief_changed = true;
    }

    /// Somebody vouches for somebody, or no longer.
    pub(super) fn heard_vouch(&mut self, statement: &Statement, now: Timestamp) {
        if let Some(trusting) = &mut self.trusting {
            // Without room it is heard again when the mesh is caught up with.
            trusting.trust.hear_vouch(statement, now);
        }
    }

    /// Nobody believes this node any more: its key is dead, or it lied and was caught.
    pub(super) fn heard_barred(&mut self, node: NodeId, until: Timestamp) {
        if let Some(trusting) = &mut self.trusting {
            trusting.trust.bar(node, until);
            trusting.is_belief_changed = true;
        }
    }

    /// A checked report: what this node makes of it.
    pub(super) fn weigh_report(
        &mut self,
        by: NodeId,
        report: &lymph_protocol::report::Report,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let Some(trusting) = &mut self.trusting else {
            return;
        };
        let RuleHash(rule) = report.rule;
        let voice = Voice::of(report, by, trusting.known_rules.contains(&rule), now);
        if let Some(change) = trusting.trust.hear(report.subject, voice, now) {
            self.follow(change, now, actions);
        }
    }

    /// A report was taken back.
    pub(super) fn weigh_retraction(
        &mut self,
        by: NodeId,
        subject: Subject,
        family: lymph_protocol::family::Family,
        seq: u64,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let Some(trusting) = &mut self.trusting else {
            return;
        };
        let (change, refuted) = trusting
            .trust
            .hear_retraction(by, subject, family, seq, now);
        self.save_experience(&refuted, actions);
        if let Some(change) = change {
            self.follow(change, now, actions);
        }
    }

    /// Time has passed, or whom this node believes has changed.
    pub(super) fn tick_trust(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let Some(trusting) = &mut self.trusting else {
            return;
        };
        let today = day_of(now);
        trusting
            .held_out
            .retain(|day, _| today.saturating_sub(*day) < HELD_OUT_DAYS);
        let changes = trusting.trust.tick(now);
        let forgotten = trusting.trust.take_forgotten().into_iter();
        actions.extend(
            forgotten.map(|node| Action::Remove(super::record::RecordKey::Experience(node))),
        );
        if trusting.trust.version() != trusting.reached && trusting.reach_at <= now {
            trusting.reached = trusting.trust.version();
            trusting.reach_at = now + REACH_EVERY;
            if let Some(mesh) = &mut self.mesh {
                mesh.set_reach(trusting.trust.reach(REACH_MAX).into_iter());
            }
        }
        self.think_of_peers(now, actions);
        for change in changes {
            self.follow(change, now, actions);
        }
        self.look_at_what_stands(now, actions);
    }

    /// What rests on others' word and nobody stands for any more ends: when somebody is believed no longer; and, of what was
    /// decided before a restart, when the reports were heard again and are too few.
    fn look_at_what_stands(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let Some(trusting) = &mut self.trusting else {
            return;
        };
        let settle_at = *trusting.settle_at.get_or_insert(now + SETTLED_AFTER);
        let is_settling = settle_at <= now;
        if is_settling {
            trusting.settle_at = Some(Timestamp::MAX);
        }
        let is_changed = std::mem::take(&mut trusting.is_belief_changed);
        if !is_changed && !is_settling {
            return;
        }
        let by_mesh = self.decisions.iter().filter(|decision| {
            decision.origin == Origin::Mesh && matches!(decision.kind, Kind::Ban | Kind::Throttle)
        });
        let stands: Vec<_> = by_mesh
            .map(|decision| (decision.target, decision.kind))
            .collect();
        for (target, kind) in stands {
            let Target::Subject(subject) = target else {
                continue;
            };
            let Some(trust) = self.trust() else { return };
            let is_heard_again = trust.voices(subject).next().is_some();
            let level = trust.level(subject);
            let is_said = match kind {
                Kind::Ban => self.sibling_says(subject) || self.others_say(subject),
                Kind::Throttle | Kind::Captcha => level >= Level::Throttle,
            };
            if !is_said && (is_changed || is_heard_again) {
                self.lift_mesh(target, kind, actions);
            }
        }
    }

    /// Whether others' word is enough to shut an address out here, and is acted upon.
    pub(super) fn others_say(&self, subject: Subject) -> bool {
        let is_at_block = self
            .trust()
            .is_some_and(|trust| trust.level(subject) == Level::Block);
        let needed = numbers::BLOCK_PATHS as usize;
        is_at_block
            && !self.is_held_out(subject)
            && self.voices_since_lifted(Target::from(subject), subject) >= needed
    }

    /// Those who are right are listened to first, where the wire has to choose.
    fn think_of_peers(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let Some(trusting) = &mut self.trusting else {
            return;
        };
        let at = (trusting.reached, trusting.learned);
        if std::mem::replace(&mut trusting.thought_at, at) == at {
            return;
        }
        let Some(mesh) = &self.mesh else { return };
        let effects = mesh.think_of(|node| {
            let quality = trusting.trust.counts(node, now).quality().to_f64();
            (quality * f64::from(SCORE_MAX)) as u8
        });
        self.with_mesh(now, actions, |_| effects);
    }

    /// The clock was put right, and the detector begins anew.
    pub(super) fn trust_clock_stepped(&mut self, before: Timestamp, now: Timestamp) {
        let Some(trusting) = &mut self.trusting else {
            return;
        };
        trusting.trust.clock_stepped(before, now);
        trusting.reach_at = now;
        trusting.settle_at = trusting.settle_at.map(|at| match at {
            Timestamp::MAX => at,
            _ => now + SETTLED_AFTER,
        });
        let levels = trusting.trust.levels();
        let primed: Vec<_> = levels.map(|(subject, _)| subject).collect();
        for subject in primed {
            let is_primed = !self.is_held_out(subject);
            self.detector.prime(subject, is_primed);
        }
    }

    /// The operator no longer listens to some: once only own machines are heard, only their word is kept.
    pub(super) fn forget_unheard(&mut self) {
        let (Some(trusting), Some(mesh)) = (&mut self.trusting, &self.mesh) else {
            return;
        };
        let is_heard =
            mesh.public().consume || mesh.circles().any(|(_, circle)| circle.consent.consume);
        if !is_heard {
            let is_sibling = |voice: &Voice| mesh.standing(voice.by) == Standing::Sibling;
            trusting.trust.keep_voices(is_sibling);
            trusting.is_belief_changed = true;
        }
    }

    /// When [`Engine::tick_trust`] is due.
    pub(super) fn trust_deadline(&self) -> Option<Timestamp> {
        let trusting = self.trusting.as_ref()?;
        let is_behind = trusting.trust.version() != trusting.reached;
        let reach_at = Some(trusting.reach_at).filter(|_| is_behind);
        let own = trusting.trust.next_deadline();
        let settle_at = trusting.settle_at.or(Some(trusting.reach_at));
        let settle_at = settle_at.filter(|at| *at < Timestamp::MAX);
        let at_once = trusting
            .is_belief_changed
            .then_some(Timestamp::from_millis(1));
        own.into_iter()
            .chain(reach_at)
            .chain(settle_at)
            .chain(at_once)
            .min()
    }

    /// An address is at another level, or was spoken of again.
    fn follow(&mut self, change: Change, now: Timestamp, actions: &mut Vec<Action>) {
        let subject = change.subject;
        let target = Target::from(subject);
        let is_left_alone = self.is_held_out(subject);
        let level = match is_left_alone {
            true => Level::Clear,
            false => change.to,
        };
        self.detector.prime(subject, level >= Level::Prime);
        // What stands since before a restart waits for what others say to be heard again.
        if change.from == Level::Block && level < Level::Block && !self.sibling_says(subject) {
            self.lift_mesh(target, Kind::Ban, actions);
        }
        if change.from >= Level::Throttle && level < Level::Throttle {
            self.lift_mesh(target, Kind::Throttle, actions);
        }
        if self.protected.shield_of(target).is_some() || change.until <= now {
            return;
        }
        let since_lifted = self.voices_since_lifted(target, subject);
        if level >= Level::Throttle && since_lifted >= numbers::THROTTLE_PATHS as usize {
            let decision = self.mesh_decision(Kind::Throttle, &change, change.until, 0, now);
            let stands = self.decisions.until(target, Kind::Throttle);
            if stands.is_none_or(|until| until < change.until) {
                self.decide(decision, actions);
            }
        }
        // What siblings say, `heard` carries out.
        if level < Level::Block
            || change.rule != Some(Rule::Paths)
            || since_lifted < numbers::BLOCK_PATHS as usize
        {
            return;
        }
        let key = (target, Kind::Ban, Origin::Mesh);
        let stands = self
            .decisions
            .about(target)
            .any(|decision| decision.key() == key);
        if stands || self.held.get(key).is_some() {
            return;
        }
        let terms = self.settings.policy.terms;
        let mut rung = Rung::after(self.ladder.get(target), now, &terms);
        let until = policy::mesh_ban_until(&terms, rung, change.until, now);
        let decision = self.mesh_decision(Kind::Ban, &change, until, rung.step, now);
        let is_new = self.decisions.until(target, Kind::Ban).is_none();
        if is_new && self.familiar.within(target, now).is_some() {
            self.held_back(decision, Why::GoodSession, actions);
            return;
        }
        if is_new && !self.breaker.spend(&Spender::Mesh, now) {
            self.held_back(decision, Why::Budget, actions);
            return;
        }
        self.decide(decision, actions);
        rung.free_at = rung.free_at.max(until);
        let forgotten = self.ladder.set(target, rung);
        actions
            .extend(forgotten.map(|target| Action::Remove(super::record::RecordKey::Rung(target))));
        actions.push(Action::Save(Record::Rung(target, rung)));
    }

    fn mesh_decision(
        &self,
        kind: Kind,
        change: &Change,
        until: Timestamp,
        step: u8,
        now: Timestamp,
    ) -> Decision {
        let digest = Sha256::new_with_prefix(now.millis().to_be_bytes())
            .chain_update(change.subject.to_string())
            .chain_update(kind.name())
            .finalize();
        let id = digest
            .iter()
            .take(8)
            .fold(0, |id, byte| id << 8 | u64::from(*byte));
        Decision {
            id: DetectionId(id),
            target: Target::from(change.subject),
            kind,
            origin: Origin::Mesh,
            reason: Arc::from(self.told_by(change.subject)),
            since: now,
            until,
            step,
        }
    }

    /// `ssh-auth seen by anna, ben, carl and 2 more`.
    fn told_by(&self, subject: Subject) -> String {
        let (Some(trusting), Some(mesh)) = (&self.trusting, &self.mesh) else {
            return String::new();
        };
        let counted: BTreeSet<_> = trusting.trust.contributors(subject).collect();
        let voices = || {
            let voices = trusting.trust.voices(subject);
            voices.filter(|voice| !voice.is_retracted && counted.contains(&voice.by))
        };
        let families: BTreeSet<_> = voices().map(|voice| voice.family).collect();
        let families: Vec<_> = families.iter().map(ToString::to_string).collect();
        let by: BTreeSet<_> = voices().map(|voice| voice.by).collect();
        let mut names: Vec<_> = by.iter().map(|node| mesh.name_of(*node)).collect();
        let more = names.len().saturating_sub(NAMES_MAX);
        names.truncate(NAMES_MAX);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{} seen by {}{more}", families.join(", "), names.join(", "))
    }

    /// Whether one of the operator's own machines says that it has shut an address out.
    pub(super) fn sibling_says(&self, subject: Subject) -> bool {
        let (Some(trusting), Some(mesh)) = (&self.trusting, &self.mesh) else {
            return false;
        };
        trusting.trust.voices(subject).any(|voice| {
            !voice.is_retracted
                && !voice.is_spoofable
                && mesh.standing(voice.by) == Standing::Sibling
        })
    }

    /// How many nodes have spoken of an address since the operator lifted what stood about it.
    fn voices_since_lifted(&self, target: Target, subject: Subject) -> usize {
        let lifted = self.lifted_under(target);
        if lifted == 0 {
            return usize::MAX;
        }
        let Some(trust) = self.trust() else { return 0 };
        let since = trust
            .voices(subject)
            .filter(|voice| !voice.is_retracted && !voice.is_spoofable && voice.seq > lifted);
        let since: BTreeSet<_> = since.map(|voice| voice.by).collect();
        // Whoever is not believed lifts nothing the operator has put down.
        let mut glance = trust.glance(None);
        let gate = trust.parameters().gate_quality;
        let counts = |node: &&NodeId| {
            trust.counts(**node, self.last_now).quality() >= gate
                && !glance.weights(**node).is_empty()
        };
        since.iter().filter(counts).count()
    }

    fn lift_mesh(&mut self, target: Target, kind: Kind, actions: &mut Vec<Action>) {
        if let Some(decision) = self.decisions.remove((target, kind, Origin::Mesh)) {
            self.lifted(&decision, Lifted::Disbelieved, actions);
        }
        if let Some(held) = self.held.remove((target, kind, Origin::Mesh)) {
            let key = held.decision.key();
            actions.push(Action::Remove(super::record::RecordKey::Held(key)));
        }
    }

    /// This node's own detector has seen somebody: those who said so before were right.
    pub(super) fn confirm(
        &mut self,
        overflow: &Overflow,
        subject: Subject,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let target = Target::from(subject);
        let is_left_alone = self.is_held_out(subject);
        let Some(trusting) = &mut self.trusting else {
            return;
        };
        // What a lowered threshold or a slowed connection let through proves nothing, nor what anybody can have sent.
        let by_mesh = self
            .decisions
            .about(target)
            .any(|decision| decision.origin == Origin::Mesh);
        if overflow.is_primed
            || by_mesh
            || families::evidence(&overflow.labels) == Evidence::Spoofable
            || now.since(overflow.last_seen) > numbers::CONFIRM_WITHIN
        {
            return;
        }
        if is_left_alone && trusting.trust.level(subject) == Level::Block {
            let count = trusting.held_out.entry(day_of(now)).or_default();
            *count += 1;
            actions.push(Action::Save(Record::HeldOut(day_of(now), *count)));
            if trusting.held_out.len() > HELD_OUT_DAYS as usize
                && let Some((day, _)) = trusting.held_out.pop_first()
            {
                actions.push(Action::Remove(super::record::RecordKey::HeldOut(day)));
            }
        }
        let credited = trusting.trust.confirm(subject, now);
        self.save_experience(&credited, actions);
    }

    /// The operator says that somebody is innocent: those whose word counted were wrong. What they are called here.
    pub(super) fn refute(
        &mut self,
        target: Target,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) -> Vec<String> {
        let (Target::Subject(subject), Some(trusting)) = (target, &mut self.trusting) else {
            return Vec::new();
        };
        let refuted = trusting.trust.refute(subject, now);
        self.save_experience(&refuted, actions);
        self.tick_trust(now, actions);
        let names = self.mesh.iter().flat_map(|mesh| {
            let refuted = refuted.iter();
            refuted.map(|node| mesh.name_of(*node))
        });
        names.collect()
    }

    fn save_experience(&mut self, nodes: &[NodeId], actions: &mut Vec<Action>) {
        if let Some(trusting) = &mut self.trusting {
            trusting.learned += nodes.len() as u64;
        }
        for node in nodes {
            if let Some(record) = self.trust().and_then(|trust| trust.record(*node)) {
                actions.push(Action::Save(Record::Experience(*node, record.into())));
            }
        }
    }

    /// What was known of a node before a restart.
    pub(super) fn restore_experience(
        &mut self,
        node: NodeId,
        kept: KeptExperience,
        now: Timestamp,
    ) {
        if let Some(trusting) = &mut self.trusting {
            trusting.trust.restore_record(node, kept.into(), now);
        }
    }

    /// What happened to those who were left alone before a restart; whether it is too long ago.
    pub(super) fn restore_held_out(&mut self, day: u32, count: u64, now: Timestamp) -> bool {
        let is_over = day_of(now).saturating_sub(day) >= HELD_OUT_DAYS;
        if let Some(trusting) = self.trusting.as_mut().filter(|_| !is_over) {
            trusting.held_out.insert(day, count);
        }
        is_over
    }

    /// Records of trust, to fill an empty store with.
    pub(super) fn trust_records(&self) -> impl Iterator<Item = Record> {
        self.trusting.iter().flat_map(|trusting| {
            let records = trusting.trust.records();
            let experience = records.map(|(node, record)| Record::Experience(node, record.into()));
            let held_out = trusting.held_out.iter();
            experience.chain(held_out.map(|(day, count)| Record::HeldOut(*day, *count)))
        })
    }
}

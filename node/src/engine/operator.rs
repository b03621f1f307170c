//! What the operator asks for, carried out. The allowlist stands above the operator too.

use std::collections::BTreeSet;
use std::sync::Arc;

use lymph_protocol::Timestamp;

use super::allowlist::{self, Allowed};
use super::breaker::{Held, Spender, Why};
use super::decision::{Decision, DecisionKey, DetectionId, Origin};
use super::decisions::Applied;
use super::protected::Shield;
use super::record::{Record, RecordKey};
use super::request::{
    Answer, Ban, Banned, EXAMPLES_MAX, HeldSelection, Lifted as TakenBack, Request, SHOWN_MAX,
    Selection, Wish,
};
use super::target::{IpNet, Target};
use super::{Action, Engine, Lifted, Notice};

/// Widest IPv4 network that the operator or a list may block without force: what a registry hands out at once.
const RANGE_V4_PREFIX_MIN: u8 = 8;
/// Widest IPv6 network that the operator or a list may block without force.
const RANGE_V6_PREFIX_MIN: u8 = 19;
/// How many protected targets may be blocked by force. Each is a mistake that nobody needs twice.
const FORCED_MAX: usize = 1_000;

impl Engine {
    /// Carry out a request. What is to be told comes last among the actions.
    pub(super) fn asked(&mut self, request: Request, now: Timestamp, actions: &mut Vec<Action>) {
        let answer = match request {
            Request::Ban(ban) => Answer::Banned(self.ban(ban, now, actions)),
            Request::Lift {
                which,
                false_positive,
            } => {
                let mut taken_back = self.lift(&which, false_positive, now, actions);
                self.note_lifted(&taken_back, which.target, now, actions);
                if false_positive {
                    self.refute_lifted(&which, &mut taken_back, now, actions);
                }
                Answer::Lifted(taken_back)
            }
            Request::Undo(id) => {
                let taken_back = self.undo(id, now, actions);
                self.note_lifted(&taken_back, None, now, actions);
                Answer::Lifted(taken_back)
            }
            Request::Allow(entry) => Answer::Allowed(self.allow(entry, actions)),
            Request::Disallow(what) => Answer::Disallowed(self.disallow(&what, actions)),
            Request::Release(which) => Answer::Held(self.release(&which, now, actions)),
            Request::Drop(which) => Answer::Held(self.drop_held(&which, actions)),
            Request::Everywhere(request) => return self.asked_everywhere(*request, now, actions),
            Request::Mesh(request) => Answer::Mesh(self.asked_mesh(request, now, actions)),
        };
        actions.push(Action::Answer(answer));
    }

    pub(super) fn ban(&mut self, ban: Ban, now: Timestamp, actions: &mut Vec<Action>) -> Banned {
        let mut banned = Banned::default();
        let spender = Spender::Import(ban.origin);
        for wish in ban.wishes {
            let Wish {
                target,
                kind,
                length,
                reason,
            } = wish;
            if let Some(shield) = self.protected.shield_of(target) {
                let forced = ban.force
                    && ban.origin == Origin::Operator
                    && shield.protection.yields_to_force();
                if !forced || !self.force(target, actions) {
                    banned.protected += 1;
                    if banned.examples.len() < EXAMPLES_MAX {
                        banned.examples.push((target, shield));
                    }
                    continue;
                }
            }
            if !ban.force && too_wide(target) {
                banned.too_wide += 1;
                continue;
            }
            let decision = Decision {
                id: ban.id,
                target,
                kind,
                origin: ban.origin,
                reason,
                since: now,
                until: now + length,
                step: 0,
            };
            if ban.origin != Origin::Operator && self.familiar.within(target, now).is_some() {
                match self.hold(decision, Why::GoodSession, actions) {
                    true => banned.held += 1,
                    false => banned.not_held += 1,
                }
                continue;
            }
            // Whoever stands already is hit no harder by one more list.
            let costs = ban.origin.is_import() && self.decisions.until(target, kind).is_none();
            if costs && !self.breaker.spend(&spender, now) {
                match self.hold(decision, Why::Budget, actions) {
                    true => banned.over_budget += 1,
                    false => banned.not_held += 1,
                }
                continue;
            }
            let key = decision.key();
            match self.decide(decision, actions) {
                Applied::New => {
                    // An earlier import of the same may have come too soon.
                    if self.held.remove(key).is_some() {
                        actions.push(Action::Remove(RecordKey::Held(key)));
                    }
                    banned.new += 1;
                }
                Applied::Longer => banned.longer += 1,
                Applied::Nothing => banned.unchanged += 1,
                Applied::Full => banned.no_room += 1,
            }
        }
        self.counters.held += (banned.held + banned.over_budget) as u64;
        if banned.over_budget + banned.not_held > 0 {
            actions.push(Action::Notice(Notice::ImportStopped {
                origin: ban.origin,
                held: banned.over_budget,
                not_held: banned.not_held,
            }));
        }
        banned
    }

    /// The operator wants this one blocked although it is protected. Says whether there was room for that.
    fn force(&mut self, target: Target, actions: &mut Vec<Action>) -> bool {
        if !self.forced.contains(&target) {
            if self.forced.len() >= FORCED_MAX {
                return false;
            }
            self.forced.insert(target);
            actions.push(Action::Save(Record::Forced(target)));
        }
        true
    }

    /// What forbids this decision, if anything does.
    pub(super) fn shield_against(&self, (target, _, origin): DecisionKey) -> Option<Shield> {
        let is_forced = origin == Origin::Operator && self.forced.contains(&target);
        let shield = self.protected.shield_of(target);
        shield.filter(|shield| !(is_forced && shield.protection.yields_to_force()))
    }

    /// Take back every decision that fits; a detection after this one is a return.
    pub(super) fn lift(
        &mut self,
        which: &Selection,
        false_positive: bool,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) -> TakenBack {
        let keys: Vec<_> = match which.target {
            Some(target) => {
                let about = self.decisions.about(target);
                about
                    .filter(|decision| which.fits(decision))
                    .map(Decision::key)
                    .collect()
            }
            None => {
                let all = self.decisions.iter();
                all.filter(|decision| which.fits(decision))
                    .map(Decision::key)
                    .collect()
            }
        };
        let mut taken_back = TakenBack::default();
        for key in keys {
            let Some(decision) = self.decisions.remove(key) else {
                continue;
            };
            self.lifted(&decision, Lifted::ByOperator, actions);
            self.climb_down(&decision, false_positive, now, actions);
            if false_positive && let Target::Subject(subject) = decision.target {
                self.with_mesh(now, actions, |mesh| mesh.retract(subject, now).1);
            }
            if false_positive && decision.origin == Origin::Lymph {
                let case = (Arc::clone(&decision.reason), decision.target);
                let (raised, dropped) = self.leniency.raise(&case, now);
                actions.push(Action::Save(Record::Raised(case, raised)));
                actions.extend(dropped.map(|case| Action::Remove(RecordKey::Raised(case))));
                taken_back
                    .raised
                    .push((Arc::clone(&decision.reason), decision.target, raised));
            }
            taken_back.count += 1;
            if taken_back.decisions.len() < SHOWN_MAX {
                taken_back.decisions.push(decision);
            }
        }
        taken_back
    }

    /// Those who said so were wrong, also if what rested on it has ended by itself. After it is noted that it was lifted, or
    /// what they said would count again at once.
    pub(super) fn refute_lifted(
        &mut self,
        which: &Selection,
        taken_back: &mut TakenBack,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let targets = taken_back.decisions.iter().map(|decision| decision.target);
        let targets: BTreeSet<_> = targets.chain(which.target).collect();
        for target in targets {
            let refuted = self.refute(target, now, actions);
            taken_back.refuted.extend(refuted);
        }
    }

    /// A ban that was lifted is over for the ladder as well; one that was wrong was no visit.
    fn climb_down(
        &mut self,
        decision: &Decision,
        false_positive: bool,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let target = decision.target;
        let is_own = decision.origin == Origin::Lymph;
        // What a sibling reports is its visit, not one here.
        let is_by_many = decision.origin == Origin::Mesh && decision.step > 0;
        let Some(mut rung) = self.ladder.get(target).filter(|_| is_own || is_by_many) else {
            return;
        };
        rung.free_at = rung.free_at.min(now);
        if false_positive {
            rung.step = rung.step.saturating_sub(1);
        }
        if rung.step == 0 {
            self.ladder.remove(target);
            return actions.push(Action::Remove(RecordKey::Rung(target)));
        }
        self.ladder.set(target, rung);
        actions.push(Action::Save(Record::Rung(target, rung)));
    }

    fn undo(
        &mut self,
        id: Option<DetectionId>,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) -> TakenBack {
        let newest = || {
            let all = self.decisions.iter();
            all.max_by_key(|decision| (decision.since, decision.id))
                .map(|newest| newest.id)
        };
        let Some(id) = id.or_else(newest) else {
            return TakenBack::default();
        };
        let which = Selection {
            id: Some(id),
            ..Selection::default()
        };
        let mut taken_back = self.lift(&which, false, now, actions);
        taken_back.held = self.drop_held(&HeldSelection::Id(id), actions);
        taken_back
    }

    pub(super) fn allow(
        &mut self,
        entry: allowlist::Entry,
        actions: &mut Vec<Action>,
    ) -> Result<Vec<Decision>, allowlist::AllowError> {
        self.allowlist.add(entry.clone())?;
        actions.push(Action::Save(Record::Allow(entry)));
        Ok(self.allowlist_changed(actions))
    }

    pub(super) fn disallow(&mut self, what: &Allowed, actions: &mut Vec<Action>) -> bool {
        let was_there = self.allowlist.remove(what).is_some();
        if was_there {
            actions.push(Action::Remove(RecordKey::Allow(what.clone())));
            self.allowlist_changed(actions);
        }
        was_there
    }

    /// A name of the allowlist was looked up.
    pub(super) fn resolved(
        &mut self,
        name: &str,
        addresses: &[std::net::IpAddr],
        actions: &mut Vec<Action>,
    ) {
        if let Some(entry) = self.allowlist.resolved(name, addresses) {
            actions.push(Action::Save(Record::Allow(entry.clone())));
            self.allowlist_changed(actions);
        }
    }

    /// What stands about anybody who is on the list now ends.
    pub(super) fn allowlist_changed(&mut self, actions: &mut Vec<Action>) -> Vec<Decision> {
        self.protected.allow(self.allowlist.networks());
        self.lift_protected(actions)
    }

    /// What stands about anybody who is protected ends.
    pub(super) fn lift_protected(&mut self, actions: &mut Vec<Action>) -> Vec<Decision> {
        let hit = |decision: &&Decision| self.shield_against(decision.key()).is_some();
        let keys: Vec<_> = self
            .decisions
            .iter()
            .filter(hit)
            .map(Decision::key)
            .collect();
        let mut lifted = Vec::new();
        for decision in keys
            .into_iter()
            .filter_map(|key| self.decisions.remove(key))
            .collect::<Vec<_>>()
        {
            self.lifted(&decision, Lifted::Protected, actions);
            if lifted.len() < SHOWN_MAX {
                lifted.push(decision);
            }
        }
        let held: Vec<_> = self.held.iter().map(|held| held.decision.key()).collect();
        for key in held {
            if self.shield_against(key).is_some() {
                self.held.remove(key);
                actions.push(Action::Remove(RecordKey::Held(key)));
            }
        }
        lifted
    }

    /// Hold a decision back, or one about the same that lasts longer. Says whether there was room.
    pub(super) fn hold(&mut self, decision: Decision, why: Why, actions: &mut Vec<Action>) -> bool {
        let (key, held) = (decision.key(), Held { decision, why });
        if let Some(dropped) = self.held.hold(held.clone()) {
            let dropped = dropped.decision.key();
            if dropped == key {
                return false;
            }
            actions.push(Action::Remove(RecordKey::Held(dropped)));
        }
        if self.held.get(key) == Some(&held) {
            actions.push(Action::Save(Record::Held(held)));
        }
        true
    }

    fn take_held(&mut self, which: &HeldSelection, actions: &mut Vec<Action>) -> Vec<Held> {
        let keys: Vec<_> = self
            .held
            .iter()
            .filter(|held| which.fits(held))
            .map(|held| held.decision.key())
            .collect();
        actions.extend(keys.iter().map(|key| Action::Remove(RecordKey::Held(*key))));
        keys.into_iter()
            .filter_map(|key| self.held.remove(key))
            .collect()
    }

    fn release(
        &mut self,
        which: &HeldSelection,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) -> usize {
        let held = self.take_held(which, actions);
        let count = held.len();
        for Held { decision, .. } in held {
            if decision.until > now && self.shield_against(decision.key()).is_none() {
                self.decide(decision, actions);
            }
        }
        count
    }

    fn drop_held(&mut self, which: &HeldSelection, actions: &mut Vec<Action>) -> usize {
        self.take_held(which, actions).len()
    }
}

fn too_wide(target: Target) -> bool {
    match target {
        Target::Subject(_) => false,
        Target::Range(IpNet::V4(network)) => network.prefix_len() < RANGE_V4_PREFIX_MIN,
        Target::Range(IpNet::V6(network)) => network.prefix_len() < RANGE_V6_PREFIX_MIN,
    }
}

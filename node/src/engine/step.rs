//! What a step of the wall clock does to what is remembered.
//!
//! A machine without a clock of its own boots in 1970 or at the time of its last shutdown, and is put right
//! once it has a network. Whatever this run has noted down in the wrong time moves along with the clock: a ban
//! keeps the rest of its length. What was restored from an earlier run stays as it is. Half-full buckets are
//! given up, since their events can no longer be told apart from those to come.

use lymph_protocol::Timestamp;
use lymph_scenarios::Detector;

use super::decision::Decision;
use super::record::{Record, RecordKey};
use super::{Action, Engine, Lifted, Notice};

impl Engine {
    pub(super) fn follow_clock(
        &mut self,
        before: Timestamp,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let this_run = self.started_at.unwrap_or(before)..=before;
        let moved = |time: Timestamp| match now >= before {
            true => time + now.since(before),
            false => time - before.since(now),
        };
        self.detector = Detector::new(self.rules.clone(), self.settings.limits, self.seed);
        self.started_at = self.started_at.map(moved);
        self.trust_clock_stepped(before, now);

        let of_this_run = self
            .decisions
            .iter()
            .filter(|decision| this_run.contains(&decision.since));
        let keys: Vec<_> = of_this_run.map(Decision::key).collect();
        for key in &keys {
            let Some(old) = self.decisions.remove(*key) else {
                continue;
            };
            let decision = Decision {
                since: moved(old.since),
                until: moved(old.until),
                ..old
            };
            self.decisions.apply(decision.clone());
            actions.push(Action::Save(Record::Decision(decision.clone())));
            actions.push(Action::Ban(decision));
        }
        let rungs: Vec<_> = self
            .ladder
            .iter()
            .filter(|(_, rung)| this_run.contains(&rung.last_seen))
            .collect();
        for (target, mut rung) in rungs {
            (rung.last_seen, rung.free_at) = (moved(rung.last_seen), moved(rung.free_at));
            self.ladder.set(target, rung);
            actions.push(Action::Save(Record::Rung(target, rung)));
        }
        let alerts: Vec<_> = self
            .alerts
            .iter()
            .filter(|alert| this_run.contains(&alert.at))
            .cloned()
            .collect();
        for mut alert in alerts {
            let in_place = std::sync::Arc::make_mut(&mut alert);
            in_place.at = moved(in_place.at);
            self.remember(alert.clone());
            actions.push(Action::Save(Record::Alert(alert)));
        }
        while let Some(decision) = self.decisions.pop_ended(now) {
            self.lifted(&decision, Lifted::Ended, actions);
            actions.push(Action::Remove(RecordKey::Decision(decision.key())));
        }
        if let Some(mesh) = &mut self.mesh {
            mesh.clock_stepped(now);
        }
        actions.push(Action::Notice(Notice::ClockFollowed {
            decisions: keys.len(),
        }));
    }
}

//! The circuit breaker: how many new bans a minute one origin may make, and what is held back beyond that.
//!
//! A rule that suddenly finds every visitor guilty, a peer gone mad, or a job that imports a poisoned list does less
//! harm if only so many of its bans are carried out. Every origin has a token bucket; a ban that finds no token is
//! held: it is shown, it ends when the ban would have ended, and the operator releases or drops it. Bans that would
//! hit somebody who has logged in here are held as well. What is held is not enforced. What finds no room among it
//! is counted: a list can be read again, so it gives way to everything else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use lymph_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use super::decision::{Decision, DecisionKey, Origin};

/// How many bans an origin may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// A minute, for as long as it likes.
    pub per_minute: u32,
    /// At once, after a quiet time.
    pub burst: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            // A busy site meets some hundred new attackers an hour of one kind; a large botnet some hundred a minute.
            per_minute: 120,
            // One wave of a botnet, or the log of a night that is read after a restart.
            burst: 600,
        }
    }
}

impl Budget {
    /// What lists of one origin may add.
    #[must_use]
    pub const fn of_imports() -> Self {
        Budget {
            // Makes a burst of two and a half hours: lists may be new from top to bottom several times a day, but a
            // job that goes wild within an hour adds no more than a fair list would.
            per_minute: 1_000,
            // A list of a hundred thousand and some smaller ones at once; below the 200,000 decisions that stand at
            // most, so that no import alone fills the table and pushes out all earlier ones.
            burst: 150_000,
        }
    }
}

/// Who spends tokens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spender {
    /// One of the rules.
    Rule(Arc<str>),
    /// All reports of others together.
    Mesh,
    /// All guesses together.
    Predicted,
    /// All imports of one origin, whatever list they are from: a job that goes wild may name each anew.
    Import(Origin),
}

/// How many spenders are remembered; there are not so many rules.
const SPENDERS_MAX: usize = 2_000;
/// A token, in the parts of it that a budget of one a minute earns in a millisecond.
const TOKEN: u64 = 60_000;

/// All budgets.
#[derive(Clone, Debug)]
pub struct Breaker {
    budget: Option<Budget>,
    imports: Option<Budget>,
    /// What is left, in sixty-thousandths of a ban, and since when that is so.
    left: BTreeMap<Spender, (u64, Timestamp)>,
}

impl Breaker {
    /// One budget for each, another one for each origin of imports; `None` lets everything pass.
    #[must_use]
    pub fn new(budget: Option<Budget>, imports: Option<Budget>) -> Self {
        Breaker {
            budget,
            imports,
            left: BTreeMap::new(),
        }
    }

    /// Spend a token, if there is one.
    pub fn spend(&mut self, spender: &Spender, now: Timestamp) -> bool {
        let Some(budget) = self.budget_of(spender) else {
            return true;
        };
        let full = full(budget);
        if self.left.len() >= SPENDERS_MAX && !self.left.contains_key(spender) {
            self.forget_the_full(now);
        }
        if self.left.len() >= SPENDERS_MAX && !self.left.contains_key(spender) {
            return false;
        }
        let (left, since) = self.left.entry(spender.clone()).or_insert((full, now));
        *left = refilled(*left, *since, u64::from(budget.per_minute), now).min(full);
        *since = now;
        let has_one = *left >= TOKEN;
        if has_one {
            *left -= TOKEN;
        }
        has_one
    }

    const fn budget_of(&self, spender: &Spender) -> Option<Budget> {
        match spender {
            Spender::Rule(_) | Spender::Mesh | Spender::Predicted => self.budget,
            Spender::Import(_) => self.imports,
        }
    }

    /// Whoever has spent nothing lately has a full bucket anyway.
    fn forget_the_full(&mut self, now: Timestamp) {
        let mut remembered = std::mem::take(&mut self.left);
        remembered.retain(|spender, (left, since)| {
            self.budget_of(spender).is_some_and(|budget| {
                refilled(*left, *since, u64::from(budget.per_minute), now) < full(budget)
            })
        });
        self.left = remembered;
    }
}

fn full(budget: Budget) -> u64 {
    u64::from(budget.burst) * TOKEN
}

/// `per_minute` tokens of sixty thousand a minute are `per_minute` a millisecond.
fn refilled(left: u64, since: Timestamp, per_minute: u64, now: Timestamp) -> u64 {
    let millis = u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX);
    left.saturating_add(millis.saturating_mul(per_minute))
}

/// Why a ban is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// Its origin has made too many bans within a short time.
    Budget,
    /// Somebody has logged in from there lately.
    GoodSession,
}

impl Why {
    /// In a word, as commands print it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Why::Budget => "budget",
            Why::GoodSession => "good-session",
        }
    }

    /// As the end of "it is held because …".
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Why::Budget => "its origin made too many new bans within a short time",
            Why::GoodSession => "somebody has logged in from there lately",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A decision that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// What would be done.
    pub decision: Decision,
    /// Why it is not.
    pub why: Why,
}

/// Everything that is held.
#[derive(Clone, Debug)]
pub struct HeldBack {
    by_key: BTreeMap<DecisionKey, Held>,
    /// Who ends next: imports, and the others, who do not give way to them.
    ends: [BTreeSet<(Timestamp, DecisionKey)>; 2],
    max: usize,
    turned_away: u64,
}

impl HeldBack {
    /// At most so many. An import that finds no room is turned away; for others imports give way, then the one that
    /// ends soonest.
    #[must_use]
    pub fn new(max: usize) -> Self {
        HeldBack {
            by_key: BTreeMap::new(),
            ends: Default::default(),
            max: max.max(1),
            turned_away: 0,
        }
    }

    /// For how many there was no room since nothing was held.
    #[must_use]
    pub fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// All of them, by target.
    pub fn iter(&self) -> impl Iterator<Item = &Held> {
        self.by_key.values()
    }

    /// The one in this place.
    #[must_use]
    pub fn get(&self, key: DecisionKey) -> Option<&Held> {
        self.by_key.get(&key)
    }

    /// Hold a decision, the longer one if there are two. Returns the one that had to give way, which may be itself.
    pub fn hold(&mut self, held: Held) -> Option<Held> {
        let key = held.decision.key();
        let known = self.by_key.get(&key).map(|known| known.decision.until);
        if known.is_some_and(|until| until >= held.decision.until) {
            return None;
        }
        let is_full = known.is_none() && self.by_key.len() >= self.max;
        if is_full && held.decision.origin.is_import() {
            self.turned_away += 1;
            return Some(held);
        }
        self.take(key);
        self.ends[rank(key)].insert((held.decision.until, key));
        self.by_key.insert(key, held);
        if !is_full {
            return None;
        }
        self.turned_away += 1;
        let (_, weakest) = *self.ends.iter().find_map(BTreeSet::first)?;
        self.take(weakest)
    }

    /// Hold it no longer.
    pub fn remove(&mut self, key: DecisionKey) -> Option<Held> {
        let held = self.take(key)?;
        if self.by_key.is_empty() {
            self.turned_away = 0;
        }
        Some(held)
    }

    /// When the next one is over.
    #[must_use]
    pub fn next_end(&self) -> Option<Timestamp> {
        self.soonest().map(|(until, _)| until)
    }

    /// Take out one that is over, one a call.
    pub fn pop_ended(&mut self, now: Timestamp) -> Option<Held> {
        let (_, key) = self.soonest().filter(|(until, _)| *until <= now)?;
        self.remove(key)
    }

    fn soonest(&self) -> Option<(Timestamp, DecisionKey)> {
        self.ends.iter().filter_map(BTreeSet::first).min().copied()
    }

    fn take(&mut self, key: DecisionKey) -> Option<Held> {
        let held = self.by_key.remove(&key)?;
        self.ends[rank(key)].remove(&(held.decision.until, key));
        Some(held)
    }
}

/// Who gives way to whom: the lower rank to the higher.
const fn rank((_, _, origin): DecisionKey) -> usize {
    match origin.is_import() {
        true => 0,
        false => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::decision::{DetectionId, Kind};
    use super::super::target::Target;
    use super::*;

    fn rule(name: &str) -> Spender {
        Spender::Rule(name.into())
    }

    #[test]
    fn an_origin_spends_its_burst_and_then_so_many_a_minute() {
        let (a, b) = (rule("a"), rule("b"));
        let (lists, crowdsec) = (
            Spender::Import(Origin::Lists),
            Spender::Import(Origin::Crowdsec),
        );
        let budget = |per_minute, burst| Some(Budget { per_minute, burst });
        let mut breaker = Breaker::new(budget(6, 3), budget(12, 5));
        let spent = |breaker: &mut Breaker, spender: &Spender, secs: u64| {
            let now = Timestamp::from_secs(1000 + secs);
            (0..10).filter(|_| breaker.spend(spender, now)).count()
        };
        for (spender, secs, expected, why) in [
            (&a, 0, 3, "the burst"),
            (&lists, 0, 5, "imports have another one"),
            (&a, 9, 0, "not yet"),
            (&a, 10, 1, "six a minute"),
            (&lists, 10, 2, "twelve a minute"),
            (&b, 10, 3, "each its own"),
            (&crowdsec, 10, 5, "each its own"),
            (&a, 3600, 3, "no more than the burst"),
            (&lists, 3600, 5, "no more than the burst"),
        ] {
            let found = spent(&mut breaker, spender, secs);
            assert_eq!(found, expected, "{spender:?} after {secs} s: {why}");
        }
        let mut open = Breaker::new(None, budget(6, 3));
        assert_eq!(
            (spent(&mut open, &a, 0), spent(&mut open, &lists, 0)),
            (10, 3)
        );
        let mut open = Breaker::new(budget(6, 3), None);
        assert_eq!(
            (spent(&mut open, &a, 0), spent(&mut open, &lists, 0)),
            (3, 10)
        );
    }

    #[test]
    fn remembers_only_so_many_origins() {
        let budget = Budget {
            per_minute: 60,
            burst: 2,
        };
        let mut breaker = Breaker::new(Some(budget), Some(budget));
        let now = Timestamp::from_secs(1000);
        for n in 0..SPENDERS_MAX {
            assert!(breaker.spend(&rule(&n.to_string()), now));
        }
        assert!(
            !breaker.spend(&rule("one more"), now),
            "nobody is forgotten"
        );
        let later = now + Duration::from_secs(2);
        assert!(
            breaker.spend(&rule("one more"), later),
            "all are full again"
        );
        assert_eq!(breaker.left.len(), 1);
    }

    fn held(n: u32, until: u64) -> Held {
        let target = Target::of_address(std::net::Ipv4Addr::from_bits(0xc000_0200 | n).into());
        let (since, until) = (Timestamp::EPOCH, Timestamp::from_secs(until));
        let (kind, origin, reason) = (Kind::Ban, Origin::Lymph, "a/b".into());
        let decision = Decision {
            id: DetectionId(1),
            target,
            kind,
            origin,
            reason,
            since,
            until,
            step: 1,
        };
        Held {
            decision,
            why: Why::Budget,
        }
    }

    #[test]
    fn holds_so_many_and_each_until_it_is_over() {
        let mut table = HeldBack::new(2);
        assert_eq!(table.hold(held(1, 50)), None);
        assert_eq!(table.hold(held(1, 40)), None, "the longer one stays");
        assert_eq!(table.hold(held(2, 60)), None);
        assert_eq!(
            table.hold(held(3, 55)),
            Some(held(1, 50)),
            "the soonest gives way"
        );
        assert_eq!((table.len(), table.ends[1].len()), (2, 2));
        assert_eq!(table.pop_ended(Timestamp::from_secs(54)), None);
        assert_eq!(table.pop_ended(Timestamp::from_secs(56)), Some(held(3, 55)));
        assert_eq!(table.next_end(), Some(Timestamp::from_secs(60)));
    }

    #[test]
    fn lists_push_nobody_out_and_give_way_first() {
        let import = |n: u32, until: u64| {
            let mut held = held(n, until);
            held.decision.origin = Origin::Lists;
            held
        };
        let mut table = HeldBack::new(3);
        for (newcomer, gives_way, turned_away) in [
            (held(1, 50), None, 0),
            (import(2, 90), None, 0),
            (import(3, 80), None, 0),
            (import(4, 99), Some(import(4, 99)), 1),
            (import(3, 85), None, 1),
            (held(5, 40), Some(import(3, 85)), 2),
            (held(6, 30), Some(import(2, 90)), 3),
            (held(7, 60), Some(held(6, 30)), 4),
            (import(8, 99), Some(import(8, 99)), 5),
        ] {
            assert_eq!(table.hold(newcomer.clone()), gives_way, "{newcomer:?}");
            assert_eq!((table.len() <= 3, table.turned_away()), (true, turned_away));
        }
        while table.pop_ended(Timestamp::from_secs(100)).is_some() {}
        assert_eq!((table.len(), table.turned_away()), (0, 0));
        assert!(table.ends.iter().all(BTreeSet::is_empty));
        table.hold(import(1, 70));
        table.hold(held(2, 80));
        assert_eq!(table.next_end(), Some(Timestamp::from_secs(70)));
    }
}

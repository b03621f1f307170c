//! The circuit breaker: how many new bans a minute one origin may make, and what is held back beyond that.
//!
//! A rule that suddenly finds every visitor guilty, or a peer gone mad, does less harm if only so many of its bans
//! are carried out. Every origin has a token bucket; a ban that finds no token is held: it is shown, it ends when
//! the ban would have ended, and the operator releases or drops it. Bans that would hit somebody who has logged in
//! here are held as well. What is held is not enforced.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use lymph_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use super::decision::{Decision, DecisionKey};

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

/// Who spends tokens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spender {
    /// One of the rules.
    Rule(Arc<str>),
    /// All reports of others together.
    Mesh,
    /// All guesses together.
    Predicted,
}

/// How many spenders are remembered; there are not so many rules.
const SPENDERS_MAX: usize = 2_000;
/// A token, in the parts of it that a budget of one a minute earns in a millisecond.
const TOKEN: u64 = 60_000;

/// All budgets.
#[derive(Clone, Debug)]
pub struct Breaker {
    budget: Option<Budget>,
    /// What is left, in sixty-thousandths of a ban, and since when that is so.
    left: BTreeMap<Spender, (u64, Timestamp)>,
}

impl Breaker {
    /// The same budget for each; `None` lets everything pass.
    #[must_use]
    pub fn new(budget: Option<Budget>) -> Self {
        Breaker {
            budget,
            left: BTreeMap::new(),
        }
    }

    /// Spend a token, if there is one.
    pub fn spend(&mut self, spender: &Spender, now: Timestamp) -> bool {
        let Some(budget) = self.budget else {
            return true;
        };
        let full = u64::from(budget.burst) * TOKEN;
        if self.left.len() >= SPENDERS_MAX && !self.left.contains_key(spender) {
            // Whoever has spent nothing lately has a full bucket anyway.
            let per_minute = u64::from(budget.per_minute);
            self.left
                .retain(|_, (left, since)| refilled(*left, *since, per_minute, now) < full);
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
    ends: BTreeSet<(Timestamp, DecisionKey)>,
    max: usize,
}

impl HeldBack {
    /// At most so many; the one that ends soonest gives way.
    #[must_use]
    pub fn new(max: usize) -> Self {
        HeldBack {
            by_key: BTreeMap::new(),
            ends: BTreeSet::new(),
            max: max.max(1),
        }
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

    /// Hold a decision, the longer one if there are two. Returns the one that had to give way.
    pub fn hold(&mut self, held: Held) -> Option<Held> {
        let key = held.decision.key();
        let known = self.by_key.get(&key).map(|known| known.decision.until);
        if known.is_some_and(|until| until >= held.decision.until) {
            return None;
        }
        self.remove(key);
        self.ends.insert((held.decision.until, key));
        self.by_key.insert(key, held);
        if self.by_key.len() <= self.max {
            return None;
        }
        let (_, soonest) = *self.ends.first()?;
        self.remove(soonest)
    }

    /// Hold it no longer.
    pub fn remove(&mut self, key: DecisionKey) -> Option<Held> {
        let held = self.by_key.remove(&key)?;
        self.ends.remove(&(held.decision.until, key));
        Some(held)
    }

    /// When the next one is over.
    #[must_use]
    pub fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|(until, _)| *until)
    }

    /// Take out one that is over, one a call.
    pub fn pop_ended(&mut self, now: Timestamp) -> Option<Held> {
        let (_, key) = *self.ends.first().filter(|(until, _)| *until <= now)?;
        self.remove(key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::decision::{DetectionId, Kind, Origin};
    use super::super::target::Target;
    use super::*;

    fn rule(name: &str) -> Spender {
        Spender::Rule(name.into())
    }

    #[test]
    fn an_origin_spends_its_burst_and_then_so_many_a_minute() {
        let mut breaker = Breaker::new(Some(Budget {
            per_minute: 6,
            burst: 3,
        }));
        let spent = |breaker: &mut Breaker, name: &str, secs: u64| {
            let now = Timestamp::from_secs(1000 + secs);
            (0..10).filter(|_| breaker.spend(&rule(name), now)).count()
        };
        assert_eq!(spent(&mut breaker, "a", 0), 3);
        assert_eq!(spent(&mut breaker, "a", 9), 0);
        assert_eq!(spent(&mut breaker, "a", 10), 1, "six a minute");
        assert_eq!(spent(&mut breaker, "b", 10), 3, "each its own");
        assert_eq!(spent(&mut breaker, "a", 3600), 3, "no more than the burst");
        let mut open = Breaker::new(None);
        assert_eq!(spent(&mut open, "a", 0), 10);
    }

    #[test]
    fn remembers_only_so_many_origins() {
        let mut breaker = Breaker::new(Some(Budget {
            per_minute: 60,
            burst: 2,
        }));
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
        assert_eq!((table.len(), table.ends.len()), (2, 2));
        assert_eq!(table.pop_ended(Timestamp::from_secs(54)), None);
        assert_eq!(table.pop_ended(Timestamp::from_secs(56)), Some(held(3, 55)));
        assert_eq!(table.next_end(), Some(Timestamp::from_secs(60)));
    }
}

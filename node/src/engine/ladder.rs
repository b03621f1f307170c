//! How long a ban lasts: longer each time somebody returns, and forgotten when they stay away.
//!
//! A target's first ban lasts `first`. Detections while it lasts prolong it but are the same visit; the
//! first detection after its end is a return, and each return doubles the length, up to `max`. Whoever is
//! not detected at all for `forget_after` starts anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lymph_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use super::target::Target;

/// The lengths that the ladder is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Length of the first ban.
    pub first: Duration,
    /// Length that no return makes longer.
    pub max: Duration,
    /// Time without a detection after which a target's past no longer counts.
    pub forget_after: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Terms {
            // Long enough that a guessing tool moves on, short enough that a person with a forgotten
            // password is not lost for a day.
            first: Duration::from_secs(60 * 60),
            // A dynamic address has changed hands after a week; a static one will be back and is caught again.
            max: Duration::from_secs(7 * 24 * 60 * 60),
            // As long as detections are kept: what `why` can no longer show does not count either.
            forget_after: Duration::from_secs(30 * 24 * 60 * 60),
        }
    }
}

impl Terms {
    /// Length of a ban on this step, counted from 1. A `first` longer than `max` (a scenario's own) stays as
    /// long as it is.
    #[must_use]
    pub fn length(&self, first: Duration, step: u8) -> Duration {
        let doublings = u32::from(step.saturating_sub(1)).min(31);
        first
            .saturating_mul(1 << doublings)
            .min(self.max.max(first))
    }
}

/// Where a target stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// How many visits there were, this one included.
    pub step: u8,
    /// When its last ban ends or ended.
    pub free_at: Timestamp,
    /// When it was last detected.
    pub last_seen: Timestamp,
}

impl Rung {
    /// The rung of a detection at `at`, given the target's last one.
    #[must_use]
    pub fn after(last: Option<Rung>, at: Timestamp, terms: &Terms) -> Rung {
        match last {
            Some(last) if at.since(last.last_seen) <= terms.forget_after => Rung {
                step: if at < last.free_at {
                    last.step
                } else {
                    last.step.saturating_add(1)
                },
                free_at: last.free_at,
                last_seen: last.last_seen.max(at),
            },
            _ => Rung {
                step: 1,
                free_at: at,
                last_seen: at,
            },
        }
    }
}

/// Where all targets stand.
#[derive(Clone, Debug)]
pub struct Ladder {
    rungs: BTreeMap<Target, Rung>,
    by_last_seen: BTreeSet<(Timestamp, Target)>,
    max: usize,
}

impl Ladder {
    /// A ladder that remembers at most `max` targets; the one that was not seen for longest gives way.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Ladder {
            rungs: BTreeMap::new(),
            by_last_seen: BTreeSet::new(),
            max: max.max(1),
        }
    }

    /// Where the target stands, if it is remembered.
    #[must_use]
    pub fn get(&self, target: Target) -> Option<Rung> {
        self.rungs.get(&target).copied()
    }

    /// How many targets are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rungs.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rungs.is_empty()
    }

    /// Put a target on a rung. Returns who was forgotten to make room.
    pub fn set(&mut self, target: Target, rung: Rung) -> Option<Target> {
        if let Some(old) = self.rungs.insert(target, rung) {
            self.by_last_seen.remove(&(old.last_seen, target));
        }
        self.by_last_seen.insert((rung.last_seen, target));
        if self.rungs.len() <= self.max {
            return None;
        }
        let (_, longest_away) = self.by_last_seen.pop_first()?;
        self.rungs.remove(&longest_away);
        Some(longest_away)
    }

    /// Forget a target's past.
    pub fn remove(&mut self, target: Target) -> Option<Rung> {
        let rung = self.rungs.remove(&target)?;
        self.by_last_seen.remove(&(rung.last_seen, target));
        Some(rung)
    }

    /// Forget who was last seen before `horizon`, one a call.
    pub fn pop_seen_before(&mut self, horizon: Timestamp) -> Option<Target> {
        let (_, target) = *self
            .by_last_seen
            .first()
            .filter(|(last_seen, _)| *last_seen < horizon)?;
        self.remove(target);
        Some(target)
    }

    /// When the one who was not seen for longest was last seen.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.by_last_seen.first().map(|(last_seen, _)| *last_seen)
    }

    /// Everybody, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Target, Rung)> {
        self.rungs.iter().map(|(target, rung)| (*target, *rung))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3600;

    fn at(hours: u64) -> Timestamp {
        Timestamp::from_secs(hours * HOUR)
    }

    /// The whole rule once more, as plainly as can be: walk through all detections and keep three numbers.
    fn reference(hours: &[u64], terms: &Terms) -> (u64, u64) {
        let (mut visits, mut free_at, mut last_seen) = (0u64, 0u64, 0u64);
        for &hour in hours {
            let forgotten = visits > 0 && (hour - last_seen) * HOUR > terms.forget_after.as_secs();
            if forgotten {
                visits = 0;
            }
            if visits == 0 || hour >= free_at {
                visits += 1;
            }
            last_seen = hour;
            let mut length = 1u64;
            for _ in 1..visits {
                length = (length * 2).min(168);
            }
            free_at = if visits == 1 && forgotten {
                hour + length
            } else {
                free_at.max(hour + length)
            };
        }
        (visits, free_at)
    }

    fn climb(hours: &[u64], terms: &Terms) -> (u64, u64) {
        let mut rung = None;
        for &hour in hours {
            let mut next = Rung::after(rung, at(hour), terms);
            next.free_at = next
                .free_at
                .max(at(hour) + terms.length(terms.first, next.step));
            rung = Some(next);
        }
        rung.map_or((0, 0), |rung| {
            (u64::from(rung.step), rung.free_at.secs() / HOUR)
        })
    }

    proptest! {
        #[test]
        fn climbs_as_the_plain_rule_does(gaps in prop::collection::vec(prop_oneof![0u64..3, 0u64..200, 700u64..800], 0..60)) {
            let terms = Terms::default();
            let hours: Vec<u64> = gaps.iter().scan(1000, |hour, gap| { *hour += gap; Some(*hour) }).collect();
            prop_assert_eq!(climb(&hours, &terms), reference(&hours, &terms));
        }

        #[test]
        fn a_length_only_grows_and_has_an_end(first in 1u64..10_000_000, step in 1u8..255) {
            let terms = Terms::default();
            let first = Duration::from_secs(first);
            let (this, next) = (terms.length(first, step), terms.length(first, step + 1));
            prop_assert!(this >= first && this <= next && next <= terms.max.max(first));
        }
    }

    #[test]
    fn doubles_up_to_a_week() {
        let terms = Terms::default();
        let hours: Vec<u64> = (1..=10)
            .map(|step| terms.length(terms.first, step).as_secs() / HOUR)
            .collect();
        assert_eq!(hours, [1, 2, 4, 8, 16, 32, 64, 128, 168, 168]);
    }

    #[test]
    fn forgets_the_longest_unseen_when_full() {
        let mut ladder = Ladder::new(3);
        let target = |n: u32| Target::of_address(std::net::Ipv4Addr::from_bits(n).into());
        let seen = |hours| Rung {
            step: 1,
            free_at: at(hours),
            last_seen: at(hours),
        };
        assert_eq!(ladder.set(target(1), seen(5)), None);
        assert_eq!(ladder.set(target(2), seen(4)), None);
        assert_eq!(ladder.set(target(3), seen(9)), None);
        assert_eq!(
            ladder.set(target(2), seen(6)),
            None,
            "seen again, not a new target"
        );
        assert_eq!(ladder.set(target(4), seen(7)), Some(target(1)));
        assert_eq!((ladder.len(), ladder.oldest()), (3, Some(at(6))));
        assert_eq!(ladder.pop_seen_before(at(7)), Some(target(2)));
        assert_eq!(ladder.pop_seen_before(at(7)), None);
        assert_eq!(ladder.remove(target(9)), None);
        assert_eq!(
            ladder.iter().map(|(target, _)| target).collect::<Vec<_>>(),
            [target(3), target(4)]
        );
    }
}

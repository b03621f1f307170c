//! Who gets away with more: how often a scenario must run over for one target before anything is done.
//!
//! Once is enough, as a rule. The operator who lifts a ban as a false positive doubles that for this scenario and
//! this target, for thirty days. Somebody who has logged in here (`familiar`) is slowed down first and banned the
//! next time. Runs that lie further apart than an hour do not add up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use super::target::Target;

/// A scenario and whom it is about.
pub type Case = (Arc<str>, Target);

/// How long a raised threshold holds.
pub const RAISED_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Highest factor: beyond it, an entry on the allowlist says better what is meant.
pub const FACTOR_MAX: u8 = 8;
/// Time within which runs add up.
pub const WINDOW: Duration = Duration::from_secs(60 * 60);
/// How long somebody familiar is slowed down before it comes to a ban.
pub const THROTTLED_FOR: Duration = Duration::from_secs(15 * 60);
/// Raised thresholds that are kept, and counts that are kept: operators raise them one by one.
const CASES_MAX: usize = 5_000;

/// A threshold that the operator raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    /// How many times as often the scenario must run over.
    pub factor: u8,
    /// Until when.
    pub until: Timestamp,
}

/// What a further run of a scenario amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet: so many of so many.
    Tolerated {
        /// Runs so far.
        seen: u8,
        /// Runs it takes.
        needed: u8,
    },
    /// Slow it down.
    Throttle,
    /// What the scenario asks for.
    Full,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Leniency {
    raised: BTreeMap<Case, Raised>,
    raised_ends: BTreeSet<(Timestamp, Case)>,
    counts: BTreeMap<Case, (u8, Timestamp)>,
    counts_begun: BTreeSet<(Timestamp, Case)>,
}

impl Leniency {
    /// Every raised threshold.
    pub fn iter(&self) -> impl Iterator<Item = (&Case, Raised)> {
        self.raised.iter().map(|(case, raised)| (case, *raised))
    }

    /// How many times as often a scenario must run over for this target.
    #[must_use]
    pub fn factor(&self, case: &Case, now: Timestamp) -> u8 {
        let raised = self.raised.get(case).filter(|raised| raised.until > now);
        raised.map_or(1, |raised| raised.factor)
    }

    /// A ban was a false positive: double the threshold. Returns what holds now, and what was dropped for it.
    pub fn raise(&mut self, case: &Case, now: Timestamp) -> (Raised, Option<Case>) {
        let factor = self.factor(case, now).saturating_mul(2).min(FACTOR_MAX);
        let raised = Raised {
            factor,
            until: now + RAISED_FOR,
        };
        (raised, self.restore(case.clone(), raised))
    }

    /// Put back what was saved. Returns what was dropped for it: the one that ends soonest.
    pub fn restore(&mut self, case: Case, raised: Raised) -> Option<Case> {
        self.remove(&case);
        self.raised_ends.insert((raised.until, case.clone()));
        self.raised.insert(case, raised);
        if self.raised.len() <= CASES_MAX {
            return None;
        }
        let (_, soonest) = self.raised_ends.first().cloned()?;
        self.remove(&soonest);
        Some(soonest)
    }

    /// The usual threshold again.
    pub fn remove(&mut self, case: &Case) -> Option<Raised> {
        let raised = self.raised.remove(case)?;
        self.raised_ends.remove(&(raised.until, case.clone()));
        Some(raised)
    }

    /// When the next one ends.
    #[must_use]
    pub fn next_end(&self) -> Option<Timestamp> {
        self.raised_ends.first().map(|(until, _)| *until)
    }

    /// Take out one that has ended, one a call.
    pub fn pop_ended(&mut self, now: Timestamp) -> Option<Case> {
        let (_, case) = self
            .raised_ends
            .first()
            .filter(|(until, _)| *until <= now)
            .cloned()?;
        self.remove(&case);
        Some(case)
    }

    /// A scenario ran over once more. Nothing is counted of those who get no leniency.
    pub fn judge(&mut self, case: &Case, is_familiar: bool, now: Timestamp) -> Verdict {
        let factor = self.factor(case, now);
        if factor == 1 && !is_familiar {
            return Verdict::Full;
        }
        let seen = self.count(case, now);
        match seen.cmp(&factor) {
            std::cmp::Ordering::Less => Verdict::Tolerated {
                seen,
                needed: factor,
            },
            std::cmp::Ordering::Equal if is_familiar => Verdict::Throttle,
            std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => Verdict::Full,
        }
    }

    fn count(&mut self, case: &Case, now: Timestamp) -> u8 {
        if let Some((count, begun)) = self.counts.get_mut(case) {
            if now.since(*begun) < WINDOW {
                *count = count.saturating_add(1);
                return *count;
            }
            self.counts_begun.remove(&(*begun, case.clone()));
        }
        self.counts_begun.insert((now, case.clone()));
        self.counts.insert(case.clone(), (1, now));
        if self.counts.len() > CASES_MAX
            && let Some((_, oldest)) = self.counts_begun.pop_first()
        {
            self.counts.remove(&oldest);
        }
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn case(n: u32) -> Case {
        let address = std::net::Ipv4Addr::from_bits(0xc000_0200 + n);
        ("a/b".into(), Target::of_address(address.into()))
    }

    fn minutes(n: u64) -> Timestamp {
        NOW + Duration::from_secs(n * 60)
    }

    #[test]
    fn a_raised_threshold_takes_as_many_runs_within_the_hour() {
        let mut leniency = Leniency::default();
        assert_eq!(leniency.judge(&case(1), false, NOW), Verdict::Full);
        assert_eq!(leniency.raise(&case(1), NOW).0.factor, 2);
        let tolerated = |seen, needed| Verdict::Tolerated { seen, needed };
        assert_eq!(leniency.judge(&case(1), false, minutes(1)), tolerated(1, 2));
        assert_eq!(
            leniency.judge(&case(1), false, minutes(61)),
            tolerated(1, 2),
            "an hour later"
        );
        assert_eq!(leniency.judge(&case(1), false, minutes(62)), Verdict::Full);
        assert_eq!(
            leniency.judge(&case(2), false, minutes(62)),
            Verdict::Full,
            "another target"
        );
        for expected in [4, 8, 8] {
            assert_eq!(leniency.raise(&case(1), NOW).0.factor, expected);
        }
        assert_eq!(leniency.pop_ended(NOW), None);
        assert_eq!(
            leniency.factor(&case(1), NOW + RAISED_FOR),
            1,
            "it has an end"
        );
        assert_eq!(leniency.pop_ended(NOW + RAISED_FOR), Some(case(1)));
    }

    #[test]
    fn who_is_familiar_is_slowed_down_first() {
        let mut leniency = Leniency::default();
        assert_eq!(leniency.judge(&case(1), true, NOW), Verdict::Throttle);
        assert_eq!(leniency.judge(&case(1), true, minutes(1)), Verdict::Full);
        assert_eq!(
            leniency.judge(&case(1), true, minutes(70)),
            Verdict::Throttle,
            "anew"
        );
        leniency.raise(&case(1), minutes(200));
        assert_eq!(
            leniency.judge(&case(1), true, minutes(200)),
            Verdict::Tolerated { seen: 1, needed: 2 }
        );
        assert_eq!(
            leniency.judge(&case(1), true, minutes(201)),
            Verdict::Throttle
        );
        assert_eq!(leniency.judge(&case(1), true, minutes(202)), Verdict::Full);
    }

    #[test]
    fn both_tables_have_an_end() {
        let mut leniency = Leniency::default();
        let many = u32::try_from(CASES_MAX).unwrap();
        for n in 0..=many {
            let dropped = leniency
                .raise(&case(n), NOW + Duration::from_secs(u64::from(n)))
                .1;
            assert_eq!(dropped, (n == many).then(|| case(0)));
            leniency.judge(
                &case(n),
                true,
                NOW + Duration::from_millis(500 * u64::from(n)),
            );
        }
        assert_eq!(
            (leniency.raised.len(), leniency.raised_ends.len()),
            (CASES_MAX, CASES_MAX)
        );
        assert_eq!(
            (leniency.counts.len(), leniency.counts_begun.len()),
            (CASES_MAX, CASES_MAX)
        );
    }
}

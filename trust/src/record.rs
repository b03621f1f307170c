//! What this node itself saw of a peer's reports: how often they were right, how often wrong.
//!
//! Only what was seen here counts; that others agree is never evidence, or a crowd of liars would confirm each other. A beta
//! reputation (Jøsang and Ismail 2002) with decay: with `a` confirmations and `b` refutations that are left of what was
//! credited, `r = (2 + a) / (3 + a + 5b)`, and a report of the peer is worth `q = max(0, (r - 0.3) / 0.7)`. Silence is
//! neutral: an attacker who avoids this machine must not hurt those who saw him.
//!
//! Everything is kept by the day, so that a record is the same in whatever order it came about, and the quality with which a
//! report counts is the lowest that its author had since: that a lie is slowly forgotten makes no old report heavier.

use std::collections::{BTreeMap, BTreeSet};

use lymph_protocol::{Subject, Timestamp};

use crate::fixed::{Fixed, decay};
use crate::policy::{
    CONFIRMS_PER_NETWORK, CREDITS_MAX, EXPERIENCE_DAYS, EXPERIENCE_HALF_LIFE_DAYS, PRIOR_ALL,
    PRIOR_GOOD, QUALITY_FROM, REFUTED, REFUTES_A_DAY, STRANGER_CREDITS, STRANGER_DAYS,
    STRANGER_NETWORKS, STRANGER_RIGHT,
};

/// A network as credits are counted: the upper bits of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(pub u64);

impl Network {
    /// The /24 of an IPv4, the /48 of an IPv6 address: one credit a day.
    #[must_use]
    pub fn near(subject: Subject) -> Network {
        match subject {
            Subject::V4(address) => Network(u64::from(address.to_bits() >> 8)),
            Subject::V6(prefix) => Network(1 << 63 | (prefix >> 16)),
        }
    }

    /// The /16 of an IPv4, the /32 of an IPv6 address: about what one provider has.
    #[must_use]
    pub fn wide(self) -> Network {
        match self.0 >> 63 {
            0 => Network(self.0 >> 8),
            _ => Network(1 << 63 | (self.0 & !(1 << 63)) >> 16),
        }
    }
}

/// A report that was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credit {
    /// Days since the epoch.
    pub day: u32,
    /// Where the attacker was.
    pub near: Network,
    /// What it is worth, in 65,536ths: the first who reports an address earns one, whoever comes after three others half.
    pub worth: u32,
}

/// A report that was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Refutation {
    /// Days since the epoch.
    pub day: u32,
    /// About whom.
    pub subject: Subject,
}

/// What is known of one peer at first hand. See the head of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    credits: BTreeSet<Credit>,
    refutations: BTreeSet<Refutation>,
}

/// What is left of confirmations and refutations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Confirmations.
    pub a: Fixed,
    /// Refutations.
    pub b: Fixed,
}

impl Counts {
    /// The share of reports that are right, as far as is known: `r`.
    #[must_use]
    pub fn right(self) -> Fixed {
        let whole = |number| Fixed::ratio(number, 1);
        let all = whole(PRIOR_ALL) + self.a + whole(REFUTED).times(self.b);
        (whole(PRIOR_GOOD) + self.a).over(all)
    }

    /// What a report of theirs is worth: `q`, from 0 to 1.
    #[must_use]
    pub fn quality(self) -> Fixed {
        let over = self.right().minus(Fixed::ratio(QUALITY_FROM, 10));
        let share = Fixed::ratio(10 - QUALITY_FROM, 10);
        over.over(share).min(Fixed::ONE)
    }
}

/// What a newcomer's report is worth: 11/21.
#[must_use]
pub fn newcomer() -> Fixed {
    Counts::default().quality()
}

/// Days since the epoch.
#[must_use]
pub fn day_of(time: Timestamp) -> u32 {
    u32::try_from(time.secs() / (24 * 60 * 60)).unwrap_or(u32::MAX)
}

/// `1 / sqrt(1 + earlier)` in 65,536ths.
fn worth(earlier: usize) -> u32 {
    // The root of 2^32 / (1 + earlier), rounded down.
    let square = (1_u64 << 32) / (1 + earlier as u64);
    u32::try_from(square.isqrt()).unwrap_or(u32::MAX)
}

impl Record {
    /// From what was kept.
    #[must_use]
    pub fn restore(credits: Vec<Credit>, refutations: Vec<Refutation>) -> Self {
        let mut record = Record {
            credits: credits.into_iter().collect(),
            refutations: refutations.into_iter().collect(),
        };
        record.bound();
        record
    }

    /// Reports that were right.
    pub fn credits(&self) -> impl DoubleEndedIterator<Item = &Credit> {
        self.credits.iter()
    }

    /// Reports that were wrong.
    pub fn refutations(&self) -> impl DoubleEndedIterator<Item = &Refutation> {
        self.refutations.iter()
    }

    /// A report was right, and so many others had said so before. Whether that is credited: once for each network and day,
    /// a few times for each wider one.
    pub fn confirm(&mut self, subject: Subject, earlier: usize, now: Timestamp) -> bool {
        let (day, near) = (day_of(now), Network::near(subject));
        let of_day = || self.credits.iter().rev().filter(|credit| credit.day == day);
        let wide = of_day().filter(|credit| credit.near.wide() == near.wide());
        if of_day().any(|credit| credit.near == near) || wide.count() >= CONFIRMS_PER_NETWORK {
            return false;
        }
        self.credits.insert(Credit {
            day,
            near,
            worth: worth(earlier),
        });
        self.bound();
        true
    }

    /// A report was wrong. Whether that is held against them: once for each address and day, and a few times a day.
    pub fn refute(&mut self, subject: Subject, now: Timestamp) -> bool {
        let day = day_of(now);
        let of_day = self
            .refutations
            .iter()
            .filter(|refutation| refutation.day == day);
        if of_day.count() >= REFUTES_A_DAY as usize {
            return false;
        }
        let is_new = self.refutations.insert(Refutation { day, subject });
        self.bound();
        is_new
    }

    /// What is left on a day, of what had happened by then.
    #[must_use]
    pub fn counts(&self, day: u32) -> Counts {
        let left = |at: u32| decay(u64::from(day - at), u64::from(EXPERIENCE_HALF_LIFE_DAYS));
        let is_in = |at: u32| at <= day && day - at < EXPERIENCE_DAYS;
        let mut counts = Counts::default();
        for credit in self.credits.iter().filter(|credit| is_in(credit.day)) {
            counts.a += Fixed::ratio(credit.worth.into(), 1 << 16).times(left(credit.day));
        }
        for refutation in self.refutations.iter().filter(|refuted| is_in(refuted.day)) {
            counts.b += left(refutation.day);
        }
        counts
    }

    /// The lowest quality from one day to another.
    #[must_use]
    pub fn quality(&self, from: u32, to: u32) -> Fixed {
        // A report lives for a week, and what was before that is over.
        let from = from.clamp(to.saturating_sub(8), to);
        let days = (from..=to).map(|day| self.counts(day).quality());
        days.min().unwrap_or(Fixed::ZERO)
    }

    /// Whether a stranger with this record is heard among strangers.
    #[must_use]
    pub fn has_earned(&self, day: u32) -> bool {
        let is_in = |credit: &&Credit| day.saturating_sub(credit.day) < EXPERIENCE_DAYS;
        let credits = || self.credits.iter().filter(is_in);
        let networks: BTreeSet<_> = credits().map(|credit| credit.near.wide()).collect();
        let (first, last) = (credits().next(), credits().next_back());
        let days = match (first, last) {
            (Some(first), Some(last)) => last.day - first.day,
            _ => 0,
        };
        credits().count() >= STRANGER_CREDITS
            && networks.len() >= STRANGER_NETWORKS
            && days >= STRANGER_DAYS
            && self.counts(day).right() >= Fixed::ratio(STRANGER_RIGHT, 10)
    }

    /// Whether something of it is too old to matter on a day.
    pub(crate) fn has_old(&self, day: u32) -> bool {
        let is_old = |at: u32| day.saturating_sub(at) >= EXPERIENCE_DAYS;
        self.credits.first().is_some_and(|it| is_old(it.day))
            || self.refutations.first().is_some_and(|it| is_old(it.day))
    }

    /// Whether all of it is.
    pub(crate) fn is_over(&self, day: u32) -> bool {
        let is_in = |at: u32| day.saturating_sub(at) < EXPERIENCE_DAYS;
        !self.credits.last().is_some_and(|it| is_in(it.day))
            && !self.refutations.last().is_some_and(|it| is_in(it.day))
    }

    /// Forget what is too old to matter; whether nothing is left.
    pub fn forget_before(&mut self, day: u32) -> bool {
        let is_in = |at: u32| day.saturating_sub(at) < EXPERIENCE_DAYS;
        self.credits.retain(|credit| is_in(credit.day));
        self.refutations.retain(|refutation| is_in(refutation.day));
        self.credits.is_empty() && self.refutations.is_empty()
    }

    /// Refutations are bounded by the day.
    fn bound(&mut self) {
        self.keep_credits(CREDITS_MAX);
        while self.refutations.len() > (REFUTES_A_DAY * EXPERIENCE_DAYS) as usize {
            self.refutations.pop_first();
        }
    }

    /// Keep no more credits than that: of the day with the most of them one goes first, so that the days over which they were
    /// earned remain.
    pub(crate) fn keep_credits(&mut self, most: usize) {
        while self.credits.len() > most {
            let mut days: BTreeMap<u32, (usize, Credit)> = BTreeMap::new();
            for credit in &self.credits {
                days.entry(credit.day).or_insert((0, *credit)).0 += 1;
            }
            let days = days.into_values();
            let fullest = days.min_by_key(|(count, first)| (std::cmp::Reverse(*count), first.day));
            let Some((_, credit)) = fullest else { return };
            self.credits.remove(&credit);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    fn on(day: u32) -> Timestamp {
        Timestamp::from_secs(u64::from(day) * 24 * 60 * 60)
    }

    /// In the `wide`th /16 the `near`th /24.
    fn subject(wide: u32, near: u32) -> Subject {
        Subject::V4(Ipv4Addr::from_bits(wide << 16 | near << 8 | 1))
    }

    fn close(is: Fixed, expected: f64) {
        assert!(
            (is.to_f64() - expected).abs() < 1e-4,
            "{is} is not {expected}"
        );
    }

    #[test]
    fn networks_are_as_wide_as_said() {
        let check = |one: &str, other: &str, near: bool, wide: bool| {
            let network = |text: &str| Network::near(text.parse().unwrap());
            let (one, other) = (network(one), network(other));
            assert_eq!((one == other, one.wide() == other.wide()), (near, wide));
        };
        check("1.2.3.4", "1.2.3.255", true, true);
        check("1.2.3.4", "1.2.4.4", false, true);
        check("1.2.3.4", "1.3.3.4", false, false);
        check("2a00:1:2:3::1", "2a00:1:2:ffff::1", true, true);
        check("2a00:1:2::1", "2a00:1:3::1", false, true);
        check("2a00:1::1", "2a00:2::1", false, false);
        check("0.0.1.2", "::1:1:0:0:0:0", false, false);
    }

    #[test]
    fn quality_follows_what_was_seen() {
        // Confirmations and refutations on day 100, quality on a later one.
        let check = |confirmed: u32, refuted: u32, day: u32, right: f64, quality: f64| {
            let mut record = Record::default();
            for at in 0..confirmed {
                assert!(record.confirm(subject(1 + at, 0), 0, on(100)));
            }
            for at in 0..refuted {
                assert!(record.refute(subject(1, at), on(100)));
            }
            close(record.counts(day).right(), right);
            close(record.counts(day).quality(), quality);
        };
        check(0, 0, 100, 2.0 / 3.0, 11.0 / 21.0);
        check(1, 0, 100, 0.75, 0.642_857);
        check(97, 0, 100, 0.99, 0.985_714);
        check(0, 1, 100, 0.25, 0.0);
        check(0, 3, 100, 2.0 / 18.0, 0.0);
        // Half of it is left after 14 days, nothing after 84; what is yet to come does not count.
        check(2, 0, 114, 0.75, 0.642_857);
        check(0, 1, 114, 2.0 / 5.5, 0.090_909);
        check(0, 1, 183, 2.0 / (3.0 + 5.0 * 0.016_417), 0.498_44);
        check(5, 3, 184, 2.0 / 3.0, 11.0 / 21.0);
        check(5, 3, 99, 2.0 / 3.0, 11.0 / 21.0);
    }

    #[test]
    fn the_later_of_many_reporters_is_credited_less() {
        for (earlier, expected) in [
            (0, 1.0),
            (1, std::f64::consts::FRAC_1_SQRT_2),
            (3, 0.5),
            (99, 0.1),
            (usize::MAX - 1, 0.0),
        ] {
            let mut record = Record::default();
            record.confirm(subject(1, 0), earlier, on(100));
            close(record.counts(100).a, expected);
        }
    }

    #[test]
    fn credits_are_capped_by_network_and_day() {
        let mut record = Record::default();
        let credited =
            |record: &mut Record, wide, near, day| record.confirm(subject(wide, near), 0, on(day));
        assert!(credited(&mut record, 1, 0, 100));
        assert!(!credited(&mut record, 1, 0, 100), "the same /24");
        assert!((1..5).all(|near| credited(&mut record, 1, near, 100)));
        assert!(!credited(&mut record, 1, 5, 100), "the same /16");
        assert!(credited(&mut record, 2, 5, 100));
        assert!(credited(&mut record, 1, 0, 101));
        assert_eq!(record.credits().count(), 7);
    }

    #[test]
    fn refutations_are_capped_by_address_and_day() {
        let mut record = Record::default();
        assert!(record.refute(subject(1, 1), on(100)));
        assert!(!record.refute(subject(1, 1), on(100)), "the same address");
        assert!(record.refute(subject(1, 2), on(100)));
        assert!(record.refute(subject(1, 3), on(100)));
        assert!(
            !record.refute(subject(1, 4), on(100)),
            "the fourth of a day"
        );
        assert!(record.refute(subject(1, 1), on(101)));
        for day in 0..2_000 {
            record.refute(subject(1, 1), on(day));
        }
        assert_eq!(
            record.refutations().count(),
            (REFUTES_A_DAY * EXPERIENCE_DAYS) as usize
        );
    }

    #[test]
    fn a_report_counts_with_the_lowest_quality_since() {
        let mut record = Record::default();
        record.refute(subject(1, 1), on(100));
        for day in 101..=106 {
            for wide in 0..10 {
                record.confirm(subject(wide, 0), 0, on(day));
            }
        }
        assert_eq!(record.quality(100, 106), record.counts(100).quality());
        assert_eq!(record.quality(99, 106), Fixed::ZERO);
        assert_eq!(record.quality(106, 106), record.counts(106).quality());
        assert!(record.quality(105, 106) > record.quality(101, 106));
        // A clock that was set back, and times that do not exist.
        assert_eq!(record.quality(200, 106), record.counts(106).quality());
        assert_eq!(record.quality(0, 0), newcomer());
        assert_eq!(record.quality(0, u32::MAX), newcomer());
    }

    #[test]
    fn strangers_earn_a_place_by_credits_of_many_networks_and_days() {
        let check = |credits: &[(u32, u32)], refuted: u32, expected: bool| {
            let mut record = Record::default();
            for (wide, day) in credits {
                record.confirm(subject(*wide, 0), 0, on(*day));
            }
            for at in 0..refuted {
                record.refute(subject(9, at), on(107));
            }
            assert_eq!(record.has_earned(107), expected, "{credits:?}");
        };
        let enough = [(1, 100), (2, 102), (3, 103), (1, 106), (2, 107)];
        check(&[], 0, false);
        check(&enough, 0, true);
        check(&enough[..4], 0, false);
        check(
            &[(1, 100), (2, 102), (1, 103), (1, 106), (2, 107)],
            0,
            false,
        );
        check(
            &[(1, 101), (2, 102), (3, 103), (1, 106), (2, 107)],
            0,
            false,
        );
        check(&enough, 1, false);
    }

    #[test]
    fn who_is_right_very_often_has_earned_it_too() {
        let mut record = Record::default();
        for day in 100..130 {
            for wide in 0..40 {
                record.confirm(subject(wide, 0), 0, on(day));
            }
        }
        assert_eq!(record.credits().count(), CREDITS_MAX);
        assert!(record.has_earned(129));
    }

    #[test]
    fn what_was_kept_is_what_there_was() {
        let mut record = Record::default();
        record.confirm(subject(1, 1), 2, on(100));
        record.refute(subject(1, 2), on(100));
        let kept = (
            record.credits().copied().collect(),
            record.refutations().copied().collect(),
        );
        assert_eq!(Record::restore(kept.0, kept.1), record);
        assert!(!record.forget_before(183));
        assert!(record.forget_before(184));
        assert_eq!(record, Record::default());
        let never = on(100) + Duration::MAX;
        record.confirm(subject(1, 1), 2, never);
        assert!(!record.forget_before(0));
    }
}

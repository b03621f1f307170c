//! How much is allowed in a time: a bucket that fills steadily and is paid from. Time is an argument.

use std::time::Duration;

use crate::time::Timestamp;

/// Micro-tokens in a token: the share of a small weight is a fraction of a token a second.
const TOKEN: i64 = 1_000_000;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    micro_per_sec: i64,
    micro_max: i64,
}

impl Rate {
    /// `numerator / denominator` tokens a second, and at most `burst` at once, at least one.
    pub(crate) fn new(numerator: u64, denominator: u64, burst: u64) -> Self {
        let micro = u128::from(numerator) * TOKEN as u128 / u128::from(denominator.max(1));
        Rate {
            // Both stay far enough from the end that sums with a debt do not overflow.
            micro_per_sec: i64::try_from(micro).unwrap_or(i64::MAX / 4),
            micro_max: i64::try_from(burst.max(1))
                .unwrap_or(i64::MAX)
                .saturating_mul(TOKEN)
                .min(i64::MAX / 4),
        }
    }
}

/// What is left, and since when that is known. It may be a debt: who has a token may spend more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    micro: i64,
    at: Timestamp,
}

impl Bucket {
    /// A full one.
    pub(crate) const fn full(rate: Rate, now: Timestamp) -> Self {
        Bucket {
            micro: rate.micro_max,
            at: now,
        }
    }

    /// Whether there is a token.
    pub(crate) fn has_token(&self, rate: Rate, now: Timestamp) -> bool {
        self.level(rate, now) >= TOKEN
    }

    /// Takes `tokens`, of which the last may be owed.
    pub(crate) fn pay(&mut self, tokens: usize, rate: Rate, now: Timestamp) {
        let micro = i64::try_from(tokens)
            .unwrap_or(i64::MAX)
            .saturating_mul(TOKEN);
        self.micro = self.level(rate, now).saturating_sub(micro);
        self.at = now;
    }

    /// When it is full again.
    pub(crate) fn full_at(&self, rate: Rate) -> Timestamp {
        let missing = rate.micro_max.saturating_sub(self.micro).max(0) as u128;
        let per_sec = rate.micro_per_sec.max(1) as u128;
        let millis = (missing * 1000).div_ceil(per_sec);
        self.at + Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    fn level(&self, rate: Rate, now: Timestamp) -> i64 {
        let millis = now.since(self.at).as_millis();
        let gained = i64::try_from(millis * rate.micro_per_sec as u128 / 1000);
        self.micro
            .saturating_add(gained.unwrap_or(i64::MAX))
            .min(rate.micro_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn fills_steadily_and_no_further_than_full() {
        let rate = Rate::new(2, 1, 3);
        let mut bucket = Bucket::full(rate, at(0));
        for _ in 0..3 {
            assert!(bucket.has_token(rate, at(0)));
            bucket.pay(1, rate, at(0));
        }
        assert!(!bucket.has_token(rate, at(499)));
        assert!(bucket.has_token(rate, at(500)));
        assert_eq!(bucket.full_at(rate), at(1500));
        bucket.pay(3, rate, at(1_000_000));
        assert!(!bucket.has_token(rate, at(1_000_000)));
    }

    #[test]
    fn a_debt_is_paid_before_there_is_a_token_again() {
        let rate = Rate::new(1, 1, 1);
        let mut bucket = Bucket::full(rate, at(0));
        bucket.pay(64, rate, at(0));
        assert!(!bucket.has_token(rate, at(63_999)));
        assert!(bucket.has_token(rate, at(64_000)));
        assert_eq!(bucket.full_at(rate), at(64_000));
    }

    #[test]
    fn extremes_neither_overflow_nor_divide_by_nothing() {
        let rate = Rate::new(u64::MAX, 0, u64::MAX);
        let mut bucket = Bucket::full(rate, Timestamp::EPOCH);
        bucket.pay(usize::MAX, rate, Timestamp::EPOCH);
        bucket.pay(usize::MAX, rate, Timestamp::MAX);
        let _ = bucket.has_token(rate, Timestamp::MAX);
        let never = Rate::new(0, 1, 0);
        let mut bucket = Bucket::full(never, Timestamp::EPOCH);
        bucket.pay(1, never, Timestamp::EPOCH);
        assert!(!bucket.has_token(never, Timestamp::from_secs(1 << 40)));
        assert!(bucket.full_at(never) > Timestamp::from_secs(900_000));
    }
}

//! Chance for jitter and for the order of dials, where nothing hangs on how good it is.
//!
//! Keys and nonces are made elsewhere and never from this.

use std::hash::{BuildHasher, RandomState};

/// A source of chance, seeded by the system.
#[derive(Debug, Default)]
pub(super) struct Chance {
    seed: RandomState,
    drawn: u64,
}

impl Chance {
    fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        self.seed.hash_one(self.drawn)
    }

    /// A number below the bound, or 0 if that is 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = bound.max(1) as u64;
        usize::try_from(self.draw() % bound).unwrap_or(0)
    }

    /// From a half to one and a half, to stretch a pause by.
    pub(super) fn jitter(&mut self) -> f64 {
        0.5 + f64::from(u32::try_from(self.draw() >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_within_its_bounds() {
        let mut chance = Chance::default();
        assert_eq!(chance.below(0), 0);
        for _ in 0..1000 {
            assert!(chance.below(7) < 7);
            assert!((0.5..=1.5).contains(&chance.jitter()));
        }
    }
}

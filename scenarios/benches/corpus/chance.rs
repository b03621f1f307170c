//! Seeded chance, in whole numbers only, so that a seed means the same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A seeded source of chance.
#[derive(Debug)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The source that belongs to a seed and a purpose.
    pub fn new(seed: u64, purpose: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(purpose);
        Chance(rng)
    }

    /// A whole number below `bound`, which is not 0. The bias of the remainder is below 2^-32 for our bounds.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    /// A whole number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in `percent` of all cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// True once in `n` cases.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of the items.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// A pause with the given mean, between nothing and twice the mean.
    pub fn pause(&mut self, mean: u64) -> u64 {
        self.between(0, 2 * mean)
    }

    /// The value, up to a tenth more or less.
    pub fn about(&mut self, value: u64) -> u64 {
        value - value / 10 + self.below(value / 5 + 1)
    }

    /// Letters and digits.
    pub fn word(&mut self, letters: usize) -> String {
        const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        (0..letters)
            .map(|_| char::from(*self.pick(ALPHABET)))
            .collect()
    }

    /// What a key's fingerprint looks like.
    pub fn fingerprint(&mut self) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        (0..43).map(|_| char::from(*self.pick(ALPHABET))).collect()
    }
}

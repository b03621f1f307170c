//! Numbers that nobody outside can guess, for delays and choices: SHA-256 of a seed and a counter.
//!
//! Secrets are not made here: 64 bits of seed are too few. They come with the request that needs them.

use sha2::{Digest, Sha256};

#[derive(Debug)]
pub(super) struct Rng {
    seed: u64,
    counter: u64,
}

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Rng { seed, counter: 0 }
    }

    pub(super) fn bytes(&mut self) -> [u8; 16] {
        self.counter += 1;
        let hash = Sha256::new_with_prefix(b"lymph rng\0")
            .chain_update(self.seed.to_le_bytes())
            .chain_update(self.counter.to_le_bytes())
            .finalize();
        std::array::from_fn(|i| hash[i])
    }

    /// A number below `bound`, which is over 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let bytes = self.bytes();
        let mut number = [0; 8];
        number.copy_from_slice(&bytes[..8]);
        // Off by less than 1 in 2^32 for the small bounds used here.
        u64::from_le_bytes(number) % bound.max(1)
    }
}

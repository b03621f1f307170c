//! The number of a line: the same whenever the line is read again, and practically never another line's.
//!
//! For a file it is a hash of four things: the path that is followed (not the name that the file has after a
//! rotation), the file's first line, the offset of the line and the line itself. So it survives a rename, the
//! copy that a `copytruncate` makes, a restored backup and a move to another disk, none of which keep the
//! inode; and the next generation of the same path has other ids even where it is written to the same offset.
//! For the journal it is a hash of the cursor, for the standard input one of the line and its number.
//!
//! The hash is fixed here and may not change: ids are kept in records. It is a folded multiplication over
//! 32 bytes at a time, and its key follows by SHA-256 from path and first line, so whoever can write into a
//! log without reading it cannot choose lines whose ids collide.

use sha2::{Digest, Sha256};

/// Any odd number with its bits well spread will do: the golden ratio, and the square root of two.
const SPREAD: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0x6a09_e667_f3bc_c909];

/// What all ids of one generation of a file have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Seed([u64; 2]);

impl Seed {
    /// The key for lines of `name` whose file begins with the bytes `first`.
    pub(in crate::daemon) fn new(name: &[u8], first: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"lymph line id 1");
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update(first);
        let digest = hash.finalize();
        Seed([word(&digest[..8]), word(&digest[8..16])])
    }

    /// The id of the line with this text at this offset (or with this number).
    pub(in crate::daemon) fn line_id(self, offset: u64, text: &[u8]) -> u64 {
        mix(self.0, offset, text)
    }
}

/// A hash of some bytes of a file, to know them again. Nobody attacks it: who can rewrite a log needs no collision.
pub(in crate::daemon) fn print(bytes: &[u8]) -> u64 {
    mix(SPREAD, 0, bytes)
}

fn mix(key: [u64; 2], offset: u64, text: &[u8]) -> u64 {
    let mut a = fold(key[0] ^ offset, SPREAD[0]);
    let mut b = key[1] ^ (text.len() as u64);
    let mut blocks = text.chunks_exact(32);
    for block in &mut blocks {
        a = fold(word(&block[..8]) ^ key[0], word(&block[8..16]) ^ a);
        b = fold(word(&block[16..24]) ^ key[1], word(&block[24..]) ^ b);
    }
    let mut last = [0; 32];
    let rest = blocks.remainder();
    last[..rest.len()].copy_from_slice(rest);
    a = fold(word(&last[..8]) ^ key[0], word(&last[8..16]) ^ a);
    b = fold(word(&last[16..24]) ^ key[1], word(&last[24..]) ^ b);
    fold(a ^ SPREAD[1], b ^ SPREAD[0]).wrapping_add(a)
}

/// Both halves of the product, added without carry.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

fn word(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn stays_as_it_is() {
        let seed = Seed::new(b"/var/log/auth.log", b"first line\n");
        assert_eq!(seed.line_id(0, b"first line"), 3_834_091_325_585_732_701);
        assert_eq!(print(b""), 2_333_190_358_646_965_926);
    }

    #[test]
    fn differs_by_name_generation_offset_and_text() {
        let mut ids = BTreeSet::new();
        let mut made = 0;
        for name in ["/var/log/a", "/var/log/b"] {
            for first in ["one\n", "two\n"] {
                let seed = Seed::new(name.as_bytes(), first.as_bytes());
                for offset in 0..500 {
                    for text in [
                        "",
                        "\0",
                        "same",
                        "same\0",
                        "a text longer than one block of thirty-two bytes",
                    ] {
                        ids.insert(seed.line_id(offset, text.as_bytes()));
                        made += 1;
                    }
                }
            }
        }
        assert_eq!(ids.len(), made);
    }
}

//! A fleet's secret, and what it seals: XChaCha20-Poly1305 under a key derived from it.
//!
//! The nonce is a hash of the secret and the plain text (as in SIV, RFC 5297): two machines that seal need not agree on
//! counters, no source of randomness can fail them, and equal texts, which only re-sending makes, give equal bytes.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::audience::FleetId;

const NONCE: usize = 24;

/// What the machines of one operator share, and nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct FleetSecret(Zeroizing<[u8; 32]>);

impl FleetSecret {
    /// The secret that these bytes are.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        FleetSecret(Zeroizing::new(bytes))
    }

    /// Its bytes, to keep them in a file or hand them to a new sibling.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The name of the fleet, from which the secret does not follow.
    #[must_use]
    pub fn fleet(&self) -> FleetId {
        FleetId(*self.derive(b"lymph/1 fleet id\0", &[]))
    }

    /// Only a sibling can read it, or make such bytes. Adds [`crate::limits::SEAL_BYTES`].
    #[must_use]
    pub fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let hash = self.derive(b"lymph/1 fleet nonce\0", plain);
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&hash[..NONCE]);
        // It fails for texts of 256 GB and more, which nobody passes; nothing can open the empty text that is left then.
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), plain)
            .unwrap_or_default();
        [nonce.as_slice(), &sealed].concat()
    }

    /// What a sibling sealed; `None` for anything else.
    #[must_use]
    pub fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
        self.cipher().decrypt(&XNonce::from(*nonce), rest).ok()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        let key = self.derive(b"lymph/1 fleet seal\0", &[]);
        XChaCha20Poly1305::new(&(*key).into())
    }

    fn derive(&self, purpose: &[u8], text: &[u8]) -> Zeroizing<[u8; 32]> {
        let hash = Sha256::new_with_prefix(purpose)
            .chain_update(*self.0)
            .chain_update(text);
        Zeroizing::new(hash.finalize().into())
    }
}

impl fmt::Debug for FleetSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FleetSecret({:?})", self.fleet())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_secret_reads() {
        let (ours, theirs) = (
            FleetSecret::from_bytes([1; 32]),
            FleetSecret::from_bytes([2; 32]),
        );
        let sealed = ours.seal(b"word");
        assert_eq!(sealed.len(), 4 + crate::limits::SEAL_BYTES);
        assert_eq!(ours.open(&sealed).as_deref(), Some(b"word".as_slice()));
        assert_eq!(theirs.open(&sealed), None);
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert_eq!(ours.open(&bent), None, "byte {at}");
            assert_eq!(ours.open(&sealed[..at]), None, "cut at {at}");
        }
        assert_ne!(ours.fleet(), theirs.fleet());
        assert!(!format!("{ours:?}").contains("0101"));
        assert_ne!(ours.seal(b"word")[..NONCE], ours.seal(b"ward")[..NONCE]);
    }
}

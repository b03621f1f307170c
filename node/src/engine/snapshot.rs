//! What the engine knows beside its records: the detector's buckets. Saved together with the positions in the
//! logs as one checkpoint, so that each line is in a bucket exactly if it is behind its position.
//!
//! Decisions, alerts and the ladder are records instead: they are saved when they change, and a detection
//! that is made again from lines read again has the same id and adds nothing.

use lymph_protocol::codec::{self, CodecError};
use lymph_scenarios::DetectorSnapshot;

/// What the engine knows beside its records.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The detector's buckets.
    pub buckets: DetectorSnapshot,
}

/// Version byte of the encoded form.
const VERSION: u8 = 1;
/// Longest encoded form that is read or written. The detector's own bound on memory is lower; see its limits.
const BYTES_MAX: usize = 256 * 1024 * 1024;

impl Snapshot {
    /// As bytes, for the checkpoint.
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        codec::encode::<_, BYTES_MAX>(VERSION, &self.buckets)
    }

    /// From the bytes of a checkpoint.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode::<_, BYTES_MAX>(VERSION, bytes).map(|buckets| Snapshot { buckets })
    }
}

//! Every bound of the protocol in one table. A number here is part of the wire version: what one node refuses for its
//! size, every node of that version refuses.

use std::time::Duration;

/// Bytes of the largest object that travels by gossip, envelope and signature included. A full batch has 2.3 kB, a
/// contact with eight long addresses 1.2 kB.
pub const OBJECT_BYTES_MAX: usize = 4 * 1024;
/// Bytes of the largest object that is handed over when asked for: a digest.
pub const DIGEST_BYTES_MAX: usize = 80 * 1024;
/// Bytes that sealing adds: nonce and tag.
pub const SEAL_BYTES: usize = 24 + 16;
/// Bytes of one question or answer between two peers.
pub const ASK_BYTES_MAX: usize = 512 * 1024;
/// Reports under one signature.
pub const BATCH_MAX: usize = 64;
/// Reports in a digest.
pub const DIGEST_MAX: usize = 2_000;
/// Ids that may be asked for at once.
pub const FETCH_MAX: usize = 1_000;
/// Addresses in a contact or a ticket.
pub const ADDRESSES_MAX: usize = 8;
/// Bytes of one of them.
pub const ADDRESS_BYTES_MAX: usize = 160;
/// Bytes of a reason or a comment that one sibling tells another.
pub const WORDS_BYTES_MAX: usize = 256;
/// Bytes of a ticket as a text.
pub const TICKET_TEXT_MAX: usize = 4 * 1024;

/// Times in reports are rounded down to this, so that they do not tell when exactly a target was hit.
pub const SLOT: Duration = Duration::from_secs(5 * 60);
/// What a report lives if nothing is said.
pub const TTL_HOURS: u8 = 24;
/// What a report lives at most: a week.
pub const TTL_HOURS_MAX: u8 = 7 * 24;
/// What comes from further ahead than this waits: clocks differ, and that is no guilt.
pub const AHEAD_MAX: Duration = Duration::from_secs(2 * 60);
/// What was signed further ahead of the first reader's clock than this is not taken at all.
pub const SIGNED_AHEAD_MAX: Duration = Duration::from_secs(15 * 60);
/// What a vouch lives at most.
pub const VOUCH_LIFE_MAX: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Live vouches of one issuer; tombstones are counted apart, as many again.
pub const VOUCHES_PER_ISSUER: usize = 256;
/// What a contact lives at most.
pub const CONTACT_LIFE_MAX: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// What a word to the fleet lives: a sibling that was away for longer asks for the lists as they are.
pub const WORD_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Siblings in a fleet, this node included.
pub const FLEET_MAX: usize = 64;

/// Objects that a peer may hand over by gossip, a second, and at once.
pub const PEER_RATE: u32 = 50;
/// See [`PEER_RATE`].
pub const PEER_BURST: u32 = 200;

/// Bytes of one frame of reconciliation: an answer with it stays under what most links send in a tenth of a second.
pub const SYNC_FRAME_MAX: usize = 60_000;
/// Questions of one session of reconciliation. 100,000 objects with 100 differences take about six.
pub const SYNC_ROUNDS_MAX: u32 = 40;
/// Bytes of one session, both ways: the ids of some 75,000 objects, when one side has nothing.
pub const SYNC_BYTES_MAX: usize = 3 * 1024 * 1024;

//! What lymph nodes say to each other, and the few nouns that every crate shares.
//!
//! Pure: no clock, no file, no socket, no random source. `now` is always an argument.
//!
//! * [`Timestamp`], [`Ttl`]: wall-clock milliseconds that saturate instead of overflowing.
//! * [`Subject`]: the address a report speaks of, in one canonical spelling.
//! * [`NodeId`]: a node's ed25519 public key.
//! * [`codec`]: bytes in and out, always with a size limit.
//!
//! The next step of the path is `scenarios`, which turns log lines into detections about subjects.
#![warn(missing_docs, clippy::wildcard_enum_match_arm)]

pub mod codec;
mod id;
mod subject;
mod time;

pub use id::{NodeId, ParseNodeIdError};
pub use subject::{ParseSubjectError, Subject, canonical_address};
pub use time::{Timestamp, Ttl};

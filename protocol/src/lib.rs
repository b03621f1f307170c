//! What lymph nodes say to each other, and the few nouns that every crate shares.
//!
//! Pure: no clock, no file, no socket, no random source. `now` is always an argument.
//!
//! * [`Timestamp`], [`Ttl`]: wall-clock milliseconds that saturate instead of overflowing.
//! * [`Subject`]: the address a report speaks of, in one canonical spelling.
//! * [`NodeId`]: a node's ed25519 public key; [`TransportId`] that of its connections.
//! * [`codec`]: bytes in and out, always with a size limit.
//! * [`report`], [`vouch`], [`contact`], [`word`], [`digest`]: what is said. [`audience`]: to whom. [`family`]: the
//!   vocabulary of behaviour.
//! * [`signed`]: the envelope round all of them; bytes become [`Signed`](signed::Signed) by parsing and
//!   [`Verified`](signed::Verified) by checking the signature, and by nothing else. [`seal`]: a fleet's secret.
//! * [`admission`]: what of all that is heard is let in. [`sync`]: how two nodes find out what each lacks.
//! * [`ask`]: what two peers ask each other directly. [`ticket`]: an invitation as a text.
//! * [`limits`]: every bound in one table.
//!
//! The next step of the path is `scenarios`, which turns log lines into detections about subjects.
#![warn(missing_docs, clippy::wildcard_enum_match_arm)]

pub mod admission;
pub mod ask;
pub mod audience;
pub mod codec;
pub mod contact;
pub mod digest;
pub mod family;
mod id;
mod ledger;
pub mod limits;
mod rate;
pub mod report;
pub mod seal;
pub mod signed;
mod subject;
pub mod sync;
pub mod ticket;
mod time;
pub mod vouch;
pub mod word;

pub use id::{NodeId, ObjectId, ParseNodeIdError, TransportId};
pub use subject::{ParseSubjectError, Subject, canonical_address};
pub use time::{Timestamp, Ttl};

#[cfg(test)]
mod tests;

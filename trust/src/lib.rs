//! Whom a node believes, and how much. Pure: time comes in, nothing is global.
//!
//! A node believes nobody until it hears from others, and there is no way to hear from others yet: this
//! crate holds the identity that beliefs will be about, and no rule of its own.
#![warn(missing_docs, clippy::wildcard_enum_match_arm)]

pub use lymph_protocol::NodeId;

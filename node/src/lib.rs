//! One machine's lymph: what it decides, and what carries lines in and decisions out.
//!
//! * [`engine`]: the whole behaviour of a node, pure. It asks no clock, reads no file and opens no socket, so
//!   that the simulator drives the same code in virtual time.
//! * `daemon`, `config`, `cli`: everything that touches the world, behind the feature `daemon`.
//!
//! The next step of the path is `engine`, or from outside `main.rs`.

#[cfg(feature = "daemon")]
mod capped;
#[cfg(feature = "daemon")]
pub mod cli;
#[cfg(feature = "daemon")]
pub mod config;
#[cfg(feature = "daemon")]
pub mod daemon;
pub mod engine;
#[cfg(feature = "daemon")]
mod text;

//! The built product from outside: what it prints, what it refuses, what it remembers.
//!
//! One module a subject; whatever they share is in `support`, and in `lab` what needs root.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "these are tests, helpers included"
)]

mod cli;
mod daemon;
mod firewall;
mod identity;
mod lab;
mod mesh;
mod operator;
mod replay;
mod services;
mod support;
mod versions;

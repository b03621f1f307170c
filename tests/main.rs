//! The built product from outside: what it prints, what it refuses, what it remembers.
//!
//! One module a subject; whatever they share is in `support`, and in `lab` what needs root.

mod cli;
mod daemon;
mod lab;
mod replay;
mod services;
mod support;

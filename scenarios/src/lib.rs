//! What an attack looks like in a log. Pure: rules arrive as text, time as an argument; no clock, no file, no
//! thread, no random source.
//!
//! A line's way: [`line::Line`] → stages of parsers ([`Rules::parse`], head of `parser`) → [`event::Event`] →
//! filters of scenarios, found by an index → buckets ([`Detector`], head of `bucket`) → [`overflow::Overflow`].
//! Rules are in CrowdSec's YAML format; `document` is the format as written, `expr` its expression language,
//! `grok` its patterns, `date` its times.
//!
//! ```
//! use std::sync::Arc;
//! use lymph_protocol::Timestamp;
//! use lymph_scenarios::{Detector, Limits, bundled, line::{Line, Source}};
//!
//! let rules = Arc::new(bundled::rules()?);
//! let mut detector = Detector::new(rules, Limits::default(), 1);
//! let source = Arc::new(Source { log_time: true, ..Source::file("auth.log", "sshd") });
//! let now = Timestamp::from_secs(1_775_001_600);
//! let text = "Mar  1 10:00:00 host sshd[7]: Failed password for root from 203.0.113.9 port 4711 ssh2";
//! let overflows = detector.handle(&Line { text: text.as_bytes(), source: &source, id: 1, received_at: now }, now);
//! assert!(overflows.is_empty(), "one failure is no attack");
//! # Ok::<(), lymph_scenarios::LoadError>(())
//! ```
#![warn(missing_docs)]

mod attackers;
mod attempt;
mod bucket;
pub mod bundled;
pub mod cases;
pub mod data;
pub mod date;
mod detector;
mod document;
mod enrich;
pub mod event;
pub mod expr;
#[doc(hidden)]
pub mod fuzzing;
mod grok;
mod index;
mod kept;
pub mod line;
mod login;
mod objects;
pub mod overflow;
mod parser;
mod pattern;
mod proxy;
mod rules;
mod scenario;
mod skew;
mod snapshot;
mod stash;
mod statics;
#[cfg(test)]
mod tests;
mod trace;
mod whitelist;

pub use detector::{Counters, Detector, LATE, Limits, REPEATED_MAX};
pub use document::{LoadError, nearest};
pub use login::{LOGINS_MAX, Login};
pub use parser::Scratch;
pub use rules::{RuleFile, RuleInfo, Rules, RulesBuilder, SCENARIOS_MAX};
pub use scenario::{Kind as ScenarioKind, Scenario};
pub use skew::Skewed;
pub use snapshot::DetectorSnapshot;
pub use stash::Stash;
pub use trace::{Step, Trace};

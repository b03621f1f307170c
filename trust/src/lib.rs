//! Whom a node believes, and how much. Pure: time comes in, nothing is global.
#![warn(missing_docs, clippy::wildcard_enum_match_arm)]

pub mod bound;
pub mod fixed;
pub mod graph;
mod ledger;
mod paths;
pub mod policy;
pub mod record;
mod state;
pub mod verdict;
mod view;
mod walk;

pub use graph::{Graph, Statement};
pub use ledger::Voice;
pub use lymph_protocol::NodeId;
pub use policy::Parameters;
pub use record::Record;
pub use state::{Change, Standing, Trust, Vouchee};
pub use verdict::{Assessment, Level, Rule};
pub use view::{Branch, Kin};

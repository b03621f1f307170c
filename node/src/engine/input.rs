//! Everything that can happen to a node.

use std::net::IpAddr;
use std::sync::Arc;

use lymph_protocol::Timestamp;
use lymph_scenarios::line::Line;

use super::mesh;
use super::protected::Shield;
use super::record::Record;
use super::request::Request;
use super::snapshot::Snapshot;
use super::target::Target;

/// One thing that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A log has a new line.
    Line(Line<'a>),
    /// The deadline that the engine asked for has come.
    Tick,
    /// A record that was saved earlier. They come before the first line, those of the operator first of all: a
    /// decision about somebody who is protected by then is not taken back in.
    Restored(Record),
    /// What the detector knew when the last checkpoint was made. Comes before the first line.
    Resumed(Box<Snapshot>),
    /// The addresses round this machine that must never be blocked, all of them.
    Surroundings(Vec<Shield>),
    /// The operator asks for something; the last action is the answer.
    Asked(Request),
    /// A name of the allowlist was looked up.
    Resolved {
        /// The name.
        name: Arc<str>,
        /// What it stands for; none if nobody knows.
        addresses: Vec<IpAddr>,
    },
    /// The firewall has refused so many connections of these, since it was last read.
    Refused(Vec<(IpAddr, u64)>),
    /// The operator has everything about a target forgotten.
    Forget(Target),
    /// The network brings something.
    Mesh(mesh::Input),
    /// Everything is restored: the mesh takes up its connections.
    Started,
    /// Somebody set the wall clock: what was `before` is now `now`. The only input whose `now` may be
    /// smaller than the last one's.
    ClockStepped {
        /// What the time would be if nobody had.
        before: Timestamp,
    },
}

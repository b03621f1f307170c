//! Everything that can happen to a node.

use lymph_protocol::Timestamp;
use lymph_scenarios::line::Line;

use super::protected::Shield;
use super::record::Record;
use super::snapshot::Snapshot;
use super::target::Target;

/// One thing that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A log has a new line.
    Line(Line<'a>),
    /// The deadline that the engine asked for has come.
    Tick,
    /// A record that was saved earlier. They come before the first line.
    Restored(Record),
    /// What the detector knew when the last checkpoint was made. Comes before the first line.
    Resumed(Box<Snapshot>),
    /// The addresses round this machine that must never be blocked, all of them.
    Surroundings(Vec<Shield>),
    /// The operator lifts whatever stands about a target.
    Unban(Target),
    /// The operator has everything about a target forgotten.
    Forget(Target),
    /// Somebody set the wall clock: what was `before` is now `now`. The only input whose `now` may be
    /// smaller than the last one's.
    ClockStepped {
        /// What the time would be if nobody had.
        before: Timestamp,
    },
}

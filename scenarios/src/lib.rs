//! What an attack looks like in a log. Pure: rules arrive as text, time as an argument.
#![warn(missing_docs)]

pub mod event;
pub mod line;
pub mod overflow;

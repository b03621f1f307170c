//! Who is believed: a flow model over the production trust code, without time.
//!
//! All vouches are there, all reports are heard at once by everybody, and then a part of the nodes is asked what they would
//! do: `nets` makes the mesh, `scene` the attacker in it, `ask` asks one node, `run` goes through a plan (`plan`) and counts,
//! `grid` is a large plan, `policies` names what is compared. Chance is split by purpose from one seed; the same seed gives
//! the same answers, and their hash is printed.
//!
//! What it does not cover: time (nothing ages, ends or changes, and no threshold is held by hysteresis), gossip (what is said
//! is heard), experience (everybody is a newcomer of quality 0.52; strangers that earned a place are assumed), weights below 1,
//! kinds of evidence (all of it could block), siblings, muting, and what a host does below a block. One attacker reports
//! one address.

mod ask;
mod grid;
mod nets;
pub(crate) mod plan;
mod policies;
mod run;
mod scene;
mod tables;

pub(crate) use grid::Grid;
pub(crate) use plan::Plan;
pub(crate) use run::{Outcome, run};
pub(crate) use tables::{as_grid, as_json, as_table};

#[cfg(test)]
mod tests;

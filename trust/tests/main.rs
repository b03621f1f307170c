//! What the model promises, tried from outside.
//!
//! * `world`: a node in a mesh, in a few words; and what chance makes of it.
//! * `plan`: all that there is around a node, as plain data.
//! * `invariants`: what holds in every mesh.
//! * `reference`: the model again, slowly and as written.
//! * `decisions`: who can have an address blocked, and who cannot.
//! * `bounds`: what nobody can make a node do, whatever they send.
//! * `voices`: what counts of all that one author says, and where a level begins.

mod bounds;
mod decisions;
mod invariants;
mod plan;
mod reference;
mod voices;
#[allow(dead_code, reason = "not every test says everything")]
mod world;

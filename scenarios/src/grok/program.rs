//! Where the groups of a pattern lie in a text, in two passes over the text and without backtracking.
//!
//! The `regex` crate finds groups by trying (its backtracker) or by following every alternative at once (its
//! PikeVM); for patterns as large as groks are, that is most of what parsing a line costs. Here the text is read
//! **backwards** first, by an automaton that is made as it is needed (`program/states`): it tells, for every
//! position, which steps of the pattern can still lead to a match. Then the text is read **forwards**, and at
//! each position the first step in the pattern's own order that can still lead to a match is the one that the
//! pattern prefers: no step is ever taken back. The result is the same as the `regex` crate's (leftmost, then
//! first alternative first), and tests compare them.
//!
//! A program is [`None`] for patterns that are too large or ask for what is not known here; then, and whenever
//! a text makes the backward automaton too large, the caller uses the `regex` crate.

mod states;

use regex_automata::nfa::thompson::{self, NFA, State};
use regex_automata::util::primitives::StateID;
use regex_syntax::hir::{Hir, Look, LookSet};

pub(super) use states::States;

/// Steps that all closures of a program may hold together, at 16 bytes each.
const STEPS_MAX: usize = 200_000;
/// Bytes that the automaton of a program may take while it is made.
const NFA_BYTES_MAX: usize = 8 << 20;
/// Stands for the end of the pattern where a step names a consumer.
const MATCH: u32 = u32::MAX;
/// No position: a group that took no part.
const UNSET: u32 = u32::MAX;

/// A pattern, ready to be followed.
#[derive(Debug)]
pub(super) struct Program {
    consumers: Vec<Consumer>,
    /// Steps that may be taken, in the order in which the pattern prefers them.
    steps: Vec<Step>,
    /// Where in `steps` the steps of a closure lie.
    closures: Vec<(u32, u32)>,
    /// Slots that steps write their position to.
    saves: Vec<u16>,
    /// How many slots there are, two to a group.
    slots: usize,
    start_closure: u32,
    backward: Backward,
}

/// What reads one byte.
#[derive(Debug)]
enum Consumer {
    /// Any byte that it may read leads to the same closure.
    One(u32),
    /// Which closure depends on the byte: first, last, closure.
    Many(Box<[(u8, u8, u32)]>),
}

/// One way on from a position: past these looks, writing these slots, to what reads the next byte.
#[derive(Clone, Copy, Debug)]
struct Step {
    consumer: u32,
    looks: LookSet,
    saves: (u32, u16),
}

/// The automaton against its direction, as edges into each node.
#[derive(Debug)]
struct Backward {
    /// Edges into the node that read nothing: from where, and the look that must hold.
    empty: Vec<Vec<(u32, Option<Look>)>>,
    /// Edges into the node that read a byte: first, last, consumer.
    reading: Vec<Vec<(u8, u8, u32)>>,
    /// Node of each consumer.
    nodes: Vec<u32>,
    start: u32,
    matches: Vec<u32>,
    /// Class of each byte: bytes of a class are the same to every consumer and look.
    classes: Box<[u8; 256]>,
    /// One byte of each class.
    samples: Vec<u8>,
    looks: LookSet,
}

impl Program {
    /// The program of a pattern's syntax.
    pub(super) fn of(hir: &Hir) -> Option<Program> {
        let config = thompson::Config::new().utf8(false).nfa_size_limit(Some(NFA_BYTES_MAX));
        let nfa = thompson::Compiler::new().configure(config).build_from_hir(hir).ok()?;
        let known = LookSet::empty()
            .insert(Look::Start)
            .insert(Look::End)
            .insert(Look::StartLF)
            .insert(Look::EndLF)
            .insert(Look::WordAscii)
            .insert(Look::WordAsciiNegate);
        if !nfa.look_set_any().subtract(known_looks(known)).is_empty() || nfa.states().len() >= MATCH as usize {
            return None;
        }
        Maker::new(&nfa).make()
    }
}

/// The same set as the automaton's crate has it.
fn known_looks(looks: LookSet) -> regex_automata::util::look::LookSet {
    regex_automata::util::look::LookSet { bits: looks.bits }
}

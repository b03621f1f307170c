//! What a pattern's syntax tells before it is compiled: whether it is one, how large it gets, its groups, and
//! what every text that it matches must hold.

use regex_syntax::hir::{Hir, HirKind, Look};

use super::patterns::GrokError;
use crate::pattern;

/// States of its automaton that one pattern may take. The hub's largest takes about 12,000; with 16 bytes and
/// more a state this stays well inside of [`pattern::Limits::RULE`].
pub(crate) const STATES_MAX: u64 = 200_000;
/// A literal that is shorter turns too little away to be searched for.
const LITERAL_BYTES_MIN: usize = 3;
/// How deep groups may lie in groups: the limit of the compiler behind [`pattern::compile`].
const NEST_MAX: u32 = 250;

/// The syntax of a pattern whose names are replaced.
#[derive(Debug)]
pub(super) struct Shape(Hir);

/// Whether the pattern is one, and not too large.
pub(super) fn check(expanded: &str) -> Result<(), GrokError> {
    Shape::of(expanded).map(|_| ())
}

impl Shape {
    pub(super) fn of(expanded: &str) -> Result<Shape, GrokError> {
        let translated =
            pattern::translate(expanded).map_err(|error| GrokError::Pattern(error.to_string()))?;
        let hir = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .nest_limit(NEST_MAX)
            .build()
            .parse(&translated)
            .map_err(|error| GrokError::Pattern(last_line(&error.to_string())))?;
        if states(&hir) > STATES_MAX {
            return Err(GrokError::TooLarge);
        }
        Ok(Shape(hir))
    }

    /// The longest literal that no match can do without.
    pub(super) fn required_literal(&self) -> Option<Vec<u8>> {
        longest(&self.0).filter(|literal| literal.len() >= LITERAL_BYTES_MIN)
    }

    /// What a text must start with to be matched.
    pub(super) fn required_start(&self) -> Option<Vec<u8>> {
        let mut start = Vec::new();
        let mut anchored = false;
        leading(&self.0, &mut anchored, &mut start);
        Some(start).filter(|start| anchored && !start.is_empty())
    }

    /// The names of the capture groups, in order of their numbers from 1.
    pub(super) fn group_names(&self) -> Vec<Option<String>> {
        let mut names = Vec::new();
        collect_names(&self.0, &mut names);
        names
    }
}

/// The `regex` crate's messages show the pattern on several lines; what is wrong stands on the last one.
fn last_line(message: &str) -> String {
    let last = message.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// About how many states the automaton has.
fn states(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        // With Unicode on (`\p{…}`) a class is a small automaton of its own.
        HirKind::Class(class) => match class {
            regex_syntax::hir::Class::Bytes(_) => 1,
            regex_syntax::hir::Class::Unicode(class) => 4 * class.ranges().len() as u64 + 1,
        },
        HirKind::Repetition(repetition) => {
            let times = repetition
                .max
                .unwrap_or(repetition.min.saturating_add(1))
                .max(1);
            (states(&repetition.sub) + 1).saturating_mul(times.into())
        }
        HirKind::Capture(capture) => states(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts
            .iter()
            .fold(1, |sum: u64, part| sum.saturating_add(states(part))),
    }
}

fn longest(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(literal.0.to_vec()),
        HirKind::Capture(capture) => longest(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => longest(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(longest).max_by_key(Vec::len),
        HirKind::Empty
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Repetition(_)
        | HirKind::Alternation(_) => None,
    }
}

/// Collect the literal at the start; whether what is behind `hir` could go on with it.
fn leading(hir: &Hir, anchored: &mut bool, start: &mut Vec<u8>) -> bool {
    match hir.kind() {
        HirKind::Look(Look::Start) => {
            *anchored |= start.is_empty();
            true
        }
        HirKind::Empty => true,
        HirKind::Literal(literal) if *anchored => {
            start.extend_from_slice(&literal.0);
            true
        }
        HirKind::Capture(capture) => leading(&capture.sub, anchored, start),
        HirKind::Concat(parts) => parts.iter().all(|part| leading(part, anchored, start)),
        HirKind::Literal(_)
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Repetition(_)
        | HirKind::Alternation(_) => false,
    }
}

fn collect_names(hir: &Hir, names: &mut Vec<Option<String>>) {
    match hir.kind() {
        HirKind::Capture(capture) => {
            let index = capture.index as usize;
            if names.len() < index {
                names.resize(index, None);
            }
            names[index - 1] = capture.name.as_deref().map(str::to_owned);
            collect_names(&capture.sub, names);
        }
        HirKind::Repetition(repetition) => collect_names(&repetition.sub, names),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().for_each(|part| collect_names(part, names))
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {}
    }
}

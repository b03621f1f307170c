//! What every text that a pattern matches must hold, read off the pattern's syntax.

use regex_syntax::hir::{Hir, HirKind};

/// A literal that is shorter turns too little away to be searched for.
const LITERAL_BYTES_MIN: usize = 3;

/// The longest literal that no match can do without.
pub(super) fn required(hir: &Hir) -> Option<Vec<u8>> {
    longest(hir).filter(|literal| literal.len() >= LITERAL_BYTES_MIN)
}

fn longest(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(literal.0.to_vec()),
        HirKind::Capture(capture) => longest(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => longest(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(longest).max_by_key(Vec::len),
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) | HirKind::Alternation(_) => None,
    }
}

/// The names of the capture groups, in order of their numbers from 1.
pub(super) fn group_names(hir: &Hir) -> Vec<Option<String>> {
    let mut names = Vec::new();
    collect(hir, &mut names);
    names
}

fn collect(hir: &Hir, names: &mut Vec<Option<String>>) {
    match hir.kind() {
        HirKind::Capture(capture) => {
            let index = capture.index as usize;
            if names.len() < index {
                names.resize(index, None);
            }
            names[index - 1] = capture.name.as_deref().map(str::to_owned);
            collect(&capture.sub, names);
        }
        HirKind::Repetition(repetition) => collect(&repetition.sub, names),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().for_each(|part| collect(part, names)),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {}
    }
}

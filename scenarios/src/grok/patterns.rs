//! Named patterns and what they stand for: the library, and what rules define on top of it.
//!
//! Names are global and the first definition wins, as in CrowdSec. A name may only use names that are there
//! already, so nothing can stand for itself.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::library;
use crate::document::nearest;
use crate::event::TooManyKeys;

/// How deep patterns may lie in patterns. The hub's deepest is about 8.
pub(crate) const DEPTH_MAX: usize = 32;
/// Longest pattern once all names are replaced; the hub's longest is about 9 KB.
pub(crate) const EXPANDED_BYTES_MAX: usize = 128 * 1024;
/// Fields that one pattern may capture, those of the patterns in it included; the hub's largest has 40.
pub(crate) const FIELDS_MAX: usize = 256;
/// Patterns that all rules together may define; the hub defines 235.
pub(crate) const PATTERNS_MAX: usize = 20_000;
/// Remarks that are kept until someone takes them.
const REMARKS_MAX: usize = 100;

/// How the groups of fields are named in the regular expression; no rule's own group is named so.
pub(super) const GROUP: &str = "lymph_field_";

/// Why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GrokError {
    #[error("the pattern is empty")]
    Empty,
    #[error("unknown pattern %{{{name}}}{}{}", inside(.within), near.as_ref().map(|near| format!(", did you mean {near}?")).unwrap_or_default())]
    Unknown {
        name: String,
        within: Option<String>,
        near: Option<String>,
    },
    #[error("patterns lie deeper than {DEPTH_MAX} in each other: %{{{0}}}")]
    TooDeep(String),
    #[error("the pattern is longer than {EXPANDED_BYTES_MAX} bytes once its names are replaced; it grew beyond that{}", inside(.0))]
    TooLong(Option<String>),
    #[error("the pattern captures more than {FIELDS_MAX} fields")]
    TooManyFields,
    #[error(
        "the pattern repeats too much: it would take more than {} states",
        super::shape::STATES_MAX
    )]
    TooLarge,
    #[error("`%{{` at byte {at}{} is not closed", inside(.within))]
    NotClosed { at: usize, within: Option<String> },
    #[error("{0:?} is no name for a pattern: letters, digits and _")]
    BadName(String),
    #[error("more than {PATTERNS_MAX} patterns are defined")]
    TooMany,
    #[error("{0}")]
    Pattern(String),
    #[error("{0}")]
    Keys(#[from] TooManyKeys),
}

fn inside(name: &Option<String>) -> String {
    name.as_ref()
        .map(|name| format!(" in %{{{name}}}"))
        .unwrap_or_default()
}

/// What became of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defined {
    /// The name is new.
    New,
    /// It stood for the same already.
    Again,
    /// It stands for something else, and keeps it: worth a warning.
    Ignored,
}

/// The library and what rules add to it.
#[derive(Clone, Debug)]
pub(crate) struct Patterns {
    definitions: BTreeMap<String, String>,
    /// How many patterns were compiled: the number of the next one.
    compiled: Cell<usize>,
    remarks: RefCell<Vec<String>>,
}

impl Default for Patterns {
    fn default() -> Self {
        let library = library::all().map(|(name, pattern)| (name.to_owned(), pattern.to_owned()));
        Patterns {
            definitions: library.collect(),
            compiled: Cell::new(0),
            remarks: RefCell::default(),
        }
    }
}

impl Patterns {
    /// Define a name; one that is defined already keeps its meaning.
    pub(crate) fn define(&mut self, name: &str, pattern: &str) -> Result<Defined, GrokError> {
        if !is_word(name) {
            return Err(GrokError::BadName(name.to_owned()));
        }
        if let Some(known) = self.definitions.get(name) {
            if known == pattern {
                return Ok(Defined::Again);
            }
            self.remark(format!(
                "%{{{name}}} stands for something else already, and keeps it"
            ));
            return Ok(Defined::Ignored);
        }
        if self.definitions.len() >= PATTERNS_MAX {
            return Err(GrokError::TooMany);
        }
        // What it stands for must be there already.
        let expanded = self.expand(pattern)?;
        super::shape::check(&expanded.pattern)?;
        self.definitions.insert(name.to_owned(), pattern.to_owned());
        Ok(Defined::New)
    }

    /// The pattern with every name replaced: a named group where a field is captured, a plain group else.
    ///
    /// A field that a pattern captures hides the one of that name in every pattern that it uses.
    pub(crate) fn expand(&self, pattern: &str) -> Result<Expanded, GrokError> {
        if pattern.is_empty() {
            return Err(GrokError::Empty);
        }
        let mut expanded = Expanded::default();
        self.expand_into(pattern, None, &mut expanded, &mut Vec::new(), 0)?;
        Ok(expanded)
    }

    fn expand_into(
        &self,
        pattern: &str,
        within: Option<&str>,
        expanded: &mut Expanded,
        hidden: &mut Vec<String>,
        depth: usize,
    ) -> Result<(), GrokError> {
        let pieces = self.pieces(pattern, within)?;
        let hidden_outside = hidden.len();
        let fields = pieces.iter().filter_map(|piece| match piece {
            Piece::Name { field, .. } => *field,
            Piece::Text(_) => None,
        });
        hidden.extend(fields.map(str::to_owned));
        if hidden.len() > FIELDS_MAX {
            return Err(GrokError::TooManyFields);
        }
        for piece in pieces {
            let (name, field) = match piece {
                Piece::Text(text) => {
                    expanded.push(text, within)?;
                    continue;
                }
                Piece::Name { name, field } => (name, field),
            };
            if depth >= DEPTH_MAX {
                return Err(GrokError::TooDeep(name.to_owned()));
            }
            let definition = self
                .definitions
                .get(name)
                .ok_or_else(|| self.unknown(name, within))?;
            let field =
                field.filter(|field| !hidden[..hidden_outside].iter().any(|outer| outer == field));
            expanded.open(field, within)?;
            self.expand_into(definition, Some(name), expanded, hidden, depth + 1)?;
            expanded.push(")", within)?;
        }
        hidden.truncate(hidden_outside);
        Ok(())
    }

    fn unknown(&self, name: &str, within: Option<&str>) -> GrokError {
        let near = nearest(name, self.definitions.keys().map(String::as_str)).map(str::to_owned);
        GrokError::Unknown {
            name: name.to_owned(),
            within: within.map(str::to_owned),
            near,
        }
    }

    /// What is allowed and probably not meant, since the last time: worth a warning.
    pub(crate) fn take_remarks(&mut self) -> Vec<String> {
        self.remarks.take()
    }

    pub(super) fn remark(&self, remark: String) {
        let mut remarks = self.remarks.borrow_mut();
        if remarks.len() < REMARKS_MAX && !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }

    /// A number for one more pattern, not given before.
    pub(super) fn number(&self) -> usize {
        let number = self.compiled.get();
        self.compiled.set(number + 1);
        number
    }
}

/// A pattern without names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expanded {
    pub(crate) pattern: String,
    /// Fields, by the number in the name of their group.
    pub(super) fields: Vec<String>,
}

impl Expanded {
    fn open(&mut self, field: Option<&str>, within: Option<&str>) -> Result<(), GrokError> {
        let Some(field) = field else {
            return self.push("(?:", within);
        };
        if self.fields.len() >= FIELDS_MAX {
            return Err(GrokError::TooManyFields);
        }
        let group = format!("(?P<{GROUP}{}>", self.fields.len());
        self.fields.push(field.to_owned());
        self.push(&group, within)
    }

    fn push(&mut self, text: &str, within: Option<&str>) -> Result<(), GrokError> {
        if self.pattern.len() + text.len() > EXPANDED_BYTES_MAX {
            return Err(GrokError::TooLong(within.map(str::to_owned)));
        }
        self.pattern.push_str(text);
        Ok(())
    }
}

enum Piece<'p> {
    Text(&'p str),
    Name {
        name: &'p str,
        field: Option<&'p str>,
    },
}

impl Patterns {
    /// The pattern, cut at its names. What is no name and no field stands for itself, as in CrowdSec; a type
    /// behind the field (`%{INT:n:int}`, as logstash has it) says nothing here.
    fn pieces<'p>(
        &self,
        pattern: &'p str,
        within: Option<&str>,
    ) -> Result<Vec<Piece<'p>>, GrokError> {
        let mut pieces = Vec::new();
        let (mut text_start, mut at) = (0, 0);
        while let Some(found) = pattern[at..].find("%{") {
            let start = at + found;
            at = start + 2;
            if !pattern[at..].starts_with(|c: char| c == '_' || c.is_ascii_alphanumeric()) {
                continue;
            }
            let Some(length) = pattern[at..].find('}') else {
                return Err(GrokError::NotClosed {
                    at: start,
                    within: within.map(str::to_owned),
                });
            };
            let mut parts = pattern[at..at + length].splitn(3, ':');
            let (name, field) = (parts.next().unwrap_or_default(), parts.next());
            if !is_word(name) || field.is_some_and(|field| !is_word(field)) {
                let taken = &pattern[start..at + length + 1];
                self.remark(format!(
                    "{taken} stands for itself: names and fields are letters, digits and _"
                ));
                continue;
            }
            if text_start < start {
                pieces.push(Piece::Text(&pattern[text_start..start]));
            }
            pieces.push(Piece::Name { name, field });
            at += length + 1;
            text_start = at;
        }
        if text_start < pattern.len() {
            pieces.push(Piece::Text(&pattern[text_start..]));
        }
        Ok(pieces)
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

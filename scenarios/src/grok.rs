//! Grok: named patterns (`%{IP:source}`) over regular expressions.
//!
//! `%{NAME}` stands for a pattern of the library or of a rule's `pattern_syntax`, `%{NAME:field}` also captures
//! it. Captures become fields of `evt.Parsed`, as pieces of the text that they were found in. A pattern in which
//! nothing is captured counts as no match, as in CrowdSec. Names are global: the first definition wins.
//!
//! A pattern is checked when it is loaded and compiled when it is first used. Before it runs, the text is
//! searched for a literal that every match must hold (`literal`), which turns most lines away for next to nothing.

mod library;
mod literal;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use memchr::memmem;
use regex::bytes::{CaptureLocations, Regex};

use crate::document::nearest;
use crate::event::{Event, Keys, Namespace, Slot, Span, TooManyKeys};
use crate::pattern::{self, Limits};

/// How deep patterns may lie in patterns. The hub's deepest is about 8.
const DEPTH_MAX: usize = 32;
/// Longest pattern once all names are replaced; the hub's longest is about 9 KB.
const EXPANDED_BYTES_MAX: usize = 128 * 1024;
/// How the groups of fields are named in the regular expression; no rule's own group is named so.
const GROUP: &str = "lymph_field_";

/// Patterns that all rules together may define.
pub(crate) const PATTERNS_MAX: usize = 20_000;

/// Why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GrokError {
    #[error("unknown pattern %{{{name}}}{}", near.as_ref().map(|near| format!(", did you mean {near}?")).unwrap_or_default())]
    Unknown { name: String, near: Option<String> },
    #[error("patterns lie deeper than {DEPTH_MAX} in each other, or in themselves: %{{{0}}}")]
    TooDeep(String),
    #[error("the pattern is longer than {EXPANDED_BYTES_MAX} bytes once its names are replaced")]
    TooLong,
    #[error("`%{{` at byte {0} is not closed, or names no field that is a word")]
    Malformed(usize),
    #[error("more than {PATTERNS_MAX} patterns are defined")]
    TooMany,
    #[error("{0}")]
    Pattern(String),
    #[error("{0}")]
    Keys(#[from] TooManyKeys),
}

/// The library and what rules add to it.
#[derive(Clone, Debug)]
pub(crate) struct Patterns {
    definitions: BTreeMap<String, String>,
    /// How many patterns were compiled: the number of the next one.
    compiled: Cell<usize>,
}

impl Default for Patterns {
    fn default() -> Self {
        let library = library::PATTERNS.iter().map(|(name, pattern)| ((*name).to_owned(), (*pattern).to_owned()));
        Patterns { definitions: library.collect(), compiled: Cell::new(0) }
    }
}

impl Patterns {
    /// Define a name; one that is defined already keeps its meaning.
    pub(crate) fn define(&mut self, name: &str, pattern: &str) -> Result<(), GrokError> {
        if self.definitions.contains_key(name) {
            return Ok(());
        }
        if self.definitions.len() >= PATTERNS_MAX {
            return Err(GrokError::TooMany);
        }
        // What it stands for must be there already, and it must end.
        self.expand(pattern)?;
        self.definitions.insert(name.to_owned(), pattern.to_owned());
        Ok(())
    }

    /// The pattern with every name replaced: a named group where a field is given, a plain group else.
    ///
    /// A field that is captured outside is not captured again inside. One that occurs at several places (in
    /// alternatives) is what was captured at the last of them that took part.
    pub(crate) fn expand(&self, pattern: &str) -> Result<Expanded, GrokError> {
        let mut expanded = Expanded::default();
        let mut outer = Vec::new();
        self.expand_into(pattern, &mut expanded, &mut outer, 0)?;
        Ok(expanded)
    }

    fn expand_into(
        &self,
        pattern: &str,
        expanded: &mut Expanded,
        outer: &mut Vec<String>,
        depth: usize,
    ) -> Result<(), GrokError> {
        let mut rest = pattern;
        while let Some(start) = rest.find("%{") {
            // An escaped percent sign starts no name.
            expanded.push(&rest[..start])?;
            let place = pattern.len() - rest.len() + start;
            let end = rest[start..].find('}').ok_or(GrokError::Malformed(place))? + start;
            let inner = &rest[start + 2..end];
            let (name, field) = match inner.split_once(':') {
                Some((name, field)) => (name, Some(field.split_once(':').map_or(field, |(field, _)| field))),
                None => (inner, None),
            };
            let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !is_word(name) || field.is_some_and(|field| !is_word(field)) {
                return Err(GrokError::Malformed(place));
            }
            if depth >= DEPTH_MAX {
                return Err(GrokError::TooDeep(name.to_owned()));
            }
            let definition = self.definitions.get(name).ok_or_else(|| {
                let near = nearest(name, self.definitions.keys().map(String::as_str)).map(str::to_owned);
                GrokError::Unknown { name: name.to_owned(), near }
            })?;
            match field.filter(|field| !outer.iter().any(|open| open == field)) {
                Some(field) => {
                    let group = expanded.fields.len();
                    expanded.fields.push(field.to_owned());
                    expanded.push(&format!("(?P<{GROUP}{group}>"))?;
                    outer.push(field.to_owned());
                    self.expand_into(definition, expanded, outer, depth + 1)?;
                    outer.pop();
                }
                None => {
                    expanded.push("(?:")?;
                    self.expand_into(definition, expanded, outer, depth + 1)?;
                }
            }
            expanded.push(")")?;
            rest = &rest[end + 1..];
        }
        expanded.push(rest)
    }
}

/// A pattern without names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expanded {
    pub(crate) pattern: String,
    /// Fields, by the number of their group `fN`.
    fields: Vec<String>,
}

impl Expanded {
    fn push(&mut self, text: &str) -> Result<(), GrokError> {
        if self.pattern.len() + text.len() > EXPANDED_BYTES_MAX {
            return Err(GrokError::TooLong);
        }
        self.pattern.push_str(text);
        Ok(())
    }
}

/// A pattern that is ready to be used.
#[derive(Clone)]
pub(crate) struct Grok {
    /// Tells its captures from other patterns' in the cache.
    number: usize,
    written: Box<str>,
    expanded: Arc<str>,
    /// Slot of each capture group; `None` for groups that are no field.
    slots: Vec<Option<Slot>>,
    /// Some field is captured at several places.
    repeats: bool,
    literal: Option<(Box<[u8]>, memmem::Finder<'static>)>,
    regex: Arc<OnceLock<Option<Regex>>>,
}

impl fmt::Debug for Grok {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grok").field("pattern", &self.written).finish_non_exhaustive()
    }
}

/// Where matches are written, kept from line to line; by the pattern's number.
#[derive(Debug, Default)]
pub(crate) struct GrokCache {
    locations: Vec<Option<CaptureLocations>>,
}

impl Grok {
    pub(crate) fn compile(written: &str, patterns: &Patterns, keys: &mut Keys) -> Result<Grok, GrokError> {
        let expanded = patterns.expand(written)?;
        let translated =
            pattern::translate(&expanded.pattern).map_err(|error| GrokError::Pattern(error.to_string()))?;
        let hir = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .nest_limit(200)
            .build()
            .parse(&translated)
            .map_err(|error| GrokError::Pattern(error.to_string()))?;
        let names = literal::group_names(&hir);
        let mut slots = Vec::with_capacity(names.len());
        for name in &names {
            let field = match name {
                Some(name) => match name.strip_prefix(GROUP).and_then(|number| number.parse::<usize>().ok()) {
                    Some(number) if number < expanded.fields.len() => Some(expanded.fields[number].as_str()),
                    // A group that the rule itself named.
                    _ => Some(name.as_str()),
                },
                None => None,
            };
            slots.push(field.map(|field| keys.intern(Namespace::Parsed, field)).transpose()?);
        }
        let literal = literal::required(&hir).map(|bytes| {
            let finder = memmem::Finder::new(&bytes).into_owned();
            (bytes.into_boxed_slice(), finder)
        });
        let number = patterns.compiled.get();
        patterns.compiled.set(number + 1);
        let fields: Vec<Slot> = slots.iter().flatten().copied().collect();
        let repeats = (1..fields.len()).any(|index| fields[..index].contains(&fields[index]));
        Ok(Grok {
            number,
            repeats,
            written: written.into(),
            expanded: expanded.pattern.into(),
            slots,
            literal,
            regex: Arc::default(),
        })
    }

    /// As it was written.
    pub(crate) fn pattern(&self) -> &str {
        &self.written
    }

    /// Bytes that every text it matches holds.
    pub(crate) fn required_literal(&self) -> Option<&[u8]> {
        self.literal.as_ref().map(|(literal, _)| &**literal)
    }

    /// Match a piece of the event and set the fields. Whether it matched and captured anything.
    pub(crate) fn apply(&self, event: &mut Event, on: Span, cache: &mut GrokCache) -> bool {
        let text = event.text(on);
        if self.literal.as_ref().is_some_and(|(_, finder)| finder.find(text).is_none()) {
            return false;
        }
        // A pattern too large to compile was refused when the rules were loaded by the limits of its text;
        // what still fails here matches nothing.
        let compiled = self.regex.get_or_init(|| pattern::compile(&self.expanded, Limits::RULE).ok());
        let Some(regex) = compiled else { return false };
        if cache.locations.len() <= self.number {
            cache.locations.resize(self.number + 1, None);
        }
        let locations = cache.locations[self.number].get_or_insert_with(|| regex.capture_locations());
        if regex.captures_read(locations, text).is_none() {
            return false;
        }
        let mut captured = false;
        for (index, slot) in self.slots.iter().enumerate() {
            let Some(slot) = slot else { continue };
            captured = true;
            match locations.get(index + 1) {
                Some((start, end)) => event.set_piece(*slot, on, start, end),
                // A group that took no part is empty, unless its field was captured elsewhere.
                None if self.repeats && self.captured_elsewhere(*slot, locations) => {}
                None => event.set_piece(*slot, on, 0, 0),
            }
        }
        captured
    }

    fn captured_elsewhere(&self, slot: Slot, locations: &CaptureLocations) -> bool {
        let mut others = self.slots.iter().enumerate().filter(|(_, other)| **other == Some(slot));
        others.any(|(index, _)| locations.get(index + 1).is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc as Shared;

    use lymph_protocol::Timestamp;

    use super::*;
    use crate::line::{Line, Source};

    fn parsed(pattern: &str, text: &str) -> Option<String> {
        let mut keys = Keys::default();
        let grok = Grok::compile(pattern, &Patterns::default(), &mut keys).unwrap();
        let mut event = Event::new(Shared::new(keys));
        let source = Shared::new(Source::default());
        event.start(&Line { text: text.as_bytes(), source: &source, id: 1, received_at: Timestamp::EPOCH });
        let on = event.raw_span();
        grok.apply(&mut event, on, &mut GrokCache::default()).then(|| {
            let fields = event.map(Namespace::Parsed).into_iter();
            fields.map(|(key, value)| format!("{key}={}", String::from_utf8_lossy(value))).collect::<Vec<_>>().join(" ")
        })
    }

    fn check(pattern: &str, text: &str, expected: Option<&str>) {
        assert_eq!(parsed(pattern, text).as_deref(), expected, "{pattern} on {text:?}");
    }

    #[test]
    fn captures_become_fields() {
        check("user %{WORD:user} from %{IP:ip}", "user bob from 192.0.2.1 x", Some("ip=192.0.2.1 user=bob"));
        check("%{IP:ip}", "from 2001:db8::1 x", Some("ip=2001:db8::1"));
        check("%{IP:ip}", "::ffff:192.0.2.1", Some("ip=::ffff:192.0.2.1"));
        check("%{INT:n}|%{WORD:n}", "abc", Some("n=abc"));
        check("(?P<own>a+)", "caab", Some("own=aa"));
        check("a(?:%{WORD:w})?$", "a", Some("w="));
    }

    #[test]
    fn no_capture_is_no_match() {
        check("%{WORD}", "abc", None);
        check("abc", "abc", None);
        check("%{IP:ip}", "no address", None);
    }

    #[test]
    fn the_outer_name_hides_the_inner_one() {
        let mut patterns = Patterns::default();
        patterns.define("INNER", "%{INT:n}x").unwrap();
        let expanded = patterns.expand("%{INNER:n} %{INNER}").unwrap();
        assert_eq!(expanded.fields, ["n", "n"]);
        patterns.define("INNER", "other").unwrap();
        assert!(patterns.expand("%{INNER}").unwrap().pattern.contains('x'), "the first definition stays");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let patterns = Patterns::default();
        let error = |pattern: &str| Grok::compile(pattern, &patterns, &mut Keys::default()).unwrap_err().to_string();
        assert!(error("%{WORDS:x}").contains("did you mean WORD"), "{}", error("%{WORDS:x}"));
        assert!(error("%{WORD").contains("byte 0"));
        assert!(error("a %{WORD:a b}").contains("byte 2"));
        assert!(error("(%{WORD:x}").contains("pattern") || !error("(%{WORD:x}").is_empty());
        let mut patterns = Patterns::default();
        assert!(matches!(patterns.define("A", "%{A}"), Err(GrokError::Unknown { .. })));
        assert!(matches!(patterns.expand(&"a".repeat(EXPANDED_BYTES_MAX + 1)), Err(GrokError::TooLong)));
        let mut previous = "WORD".to_owned();
        for depth in 0..DEPTH_MAX - 1 {
            patterns.define(&format!("D{depth}"), &format!("%{{{previous}}}")).unwrap();
            previous = format!("D{depth}");
        }
        patterns.define("DEEP", &format!("%{{{previous}}}")).unwrap();
        assert!(matches!(patterns.expand("%{DEEP}"), Err(GrokError::TooDeep(_))));
    }

    #[test]
    fn every_pattern_of_the_library_compiles() {
        for (name, _) in library::PATTERNS {
            let grok = Grok::compile(&format!("%{{{name}:x}}"), &Patterns::default(), &mut Keys::default());
            let grok = grok.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(pattern::compile(&grok.expanded, Limits::RULE).is_ok(), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_literal_turns_nothing_away_that_matches(text in "(Failed|Accepted|for|from|root| |[0-9.]{1,4}){0,12}") {
            for pattern in ["^Failed (?P<a>\\S+) for", "(?P<a>from|for) (?:root)+", "(?i)(?P<a>FAILED)", "(?P<a>a{2}|root) from"] {
                let grok = Grok::compile(pattern, &Patterns::default(), &mut Keys::default()).unwrap();
                let regex = pattern::compile(&grok.expanded, Limits::RULE).unwrap();
                let turned_away = grok.literal.as_ref().is_some_and(|(_, finder)| finder.find(text.as_bytes()).is_none());
                proptest::prop_assert!(!(turned_away && regex.is_match(text.as_bytes())), "{}", pattern);
            }
        }
    }
}

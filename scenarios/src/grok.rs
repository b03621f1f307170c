//! Grok: named patterns (`%{IP:source}`) over regular expressions.
//!
//! `%{NAME}` stands for a pattern of the library or of a rule's `pattern_syntax`, `%{NAME:field}` also captures
//! it (`patterns`). Captures become fields of `evt.Parsed`, as pieces of the text that they were found in. A
//! pattern in which nothing is captured counts as no match, as in CrowdSec.
//!
//! Two things differ from CrowdSec. A field that a pattern captures at several places (in alternatives) is what
//! the last of them captured that took part, and not empty because another did not. A group that the rule
//! itself names is a field too.
//!
//! A pattern is checked when it is loaded (`shape`) and compiled when it is first used. Before it runs, the
//! text is asked for what every match must have: a start, or a literal somewhere. That turns most lines away
//! for next to nothing. Matching takes time linear in the text.

mod groups;
mod library;
mod patterns;
mod shape;

use std::fmt;
use std::sync::{Arc, OnceLock};

use memchr::memmem;
use regex::bytes::{CaptureLocations, Regex};

use crate::event::{Event, Keys, Namespace, Slot, Span};
use crate::pattern::{self, Limits};
use patterns::GROUP;
pub(crate) use patterns::{GrokError, Patterns};
use shape::Shape;

/// A pattern that is ready to be used.
#[derive(Clone)]
pub(crate) struct Grok {
    /// Tells its captures from other patterns' in the cache.
    number: usize,
    written: Box<str>,
    expanded: Arc<str>,
    fields: Box<[Field]>,
    start: Option<Box<[u8]>>,
    literal: Option<Literal>,
    regex: Arc<OnceLock<Option<Regex>>>,
}

/// A field and the groups that capture it, by number, in order.
#[derive(Clone, Debug)]
struct Field {
    slot: Slot,
    groups: Groups,
}

#[derive(Clone, Debug)]
enum Groups {
    One(u32),
    Many(Box<[u32]>),
}

#[derive(Clone, Debug)]
struct Literal {
    bytes: Box<[u8]>,
    finder: memmem::Finder<'static>,
}

impl fmt::Debug for Grok {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grok")
            .field("pattern", &self.written)
            .finish_non_exhaustive()
    }
}

/// Where matches are written, kept from line to line; by the pattern's number. For the patterns of one rule set.
#[derive(Debug, Default)]
pub(crate) struct GrokCache {
    locations: Vec<Option<CaptureLocations>>,
}

impl Grok {
    /// Read a pattern, and give its fields their slots.
    pub(crate) fn compile(
        written: &str,
        patterns: &Patterns,
        keys: &mut Keys,
    ) -> Result<Grok, GrokError> {
        let expanded = patterns.expand(written)?;
        let regex = groups::without_captures(&expanded.pattern);
        let shape = Shape::of(&regex)?;
        let mut fields: Vec<Field> = Vec::new();
        for (index, name) in shape.group_names().iter().enumerate() {
            let Some(name) = name else { continue };
            let number = name
                .strip_prefix(GROUP)
                .and_then(|number| number.parse::<usize>().ok());
            let name = number
                .and_then(|number| expanded.fields.get(number))
                .unwrap_or(name);
            let slot = keys.intern(Namespace::Parsed, name)?;
            let group = index as u32 + 1;
            match fields.iter_mut().find(|field| field.slot == slot) {
                Some(field) => field.groups.add(group),
                None => fields.push(Field {
                    slot,
                    groups: Groups::One(group),
                }),
            }
        }
        let literal = shape.required_literal().map(|bytes| Literal {
            finder: memmem::Finder::new(&bytes).into_owned(),
            bytes: bytes.into_boxed_slice(),
        });
        Ok(Grok {
            number: patterns.number(),
            written: written.into(),
            expanded: regex.into(),
            fields: fields.into(),
            start: shape.required_start().map(Vec::into_boxed_slice),
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
        self.literal.as_ref().map(|literal| &*literal.bytes)
    }

    /// Match a piece of the event and set the fields. Whether it matched and captured anything.
    pub(crate) fn apply(&self, event: &mut Event, on: Span, cache: &mut GrokCache) -> bool {
        let text = event.text(on);
        if self.fields.is_empty() || !self.may_match(text) {
            return false;
        }
        let Some(regex) = self.regex() else {
            return false;
        };
        let locations = cache.locations(self.number, regex);
        if regex.captures_read(locations, text).is_none() {
            return false;
        }
        for field in &self.fields {
            // A group that took no part captured nothing, and that is what the field is then.
            let (start, end) = field.groups.captured(locations).unwrap_or_default();
            event.set_piece(field.slot, on, start, end);
        }
        true
    }

    /// For the fuzzer: that a text which matches is not turned away.
    pub(crate) fn check(&self, text: &[u8]) {
        if let Some(regex) = self.regex() {
            assert!(
                self.may_match(text) || !regex.is_match(text),
                "a match was turned away"
            );
        }
    }

    /// Whether the text has what every match must have.
    fn may_match(&self, text: &[u8]) -> bool {
        match (&self.start, &self.literal) {
            (Some(start), _) if !text.starts_with(start) => false,
            (Some(start), Some(literal)) if start.len() >= literal.bytes.len() => true,
            (_, Some(literal)) => literal.finder.find(text).is_some(),
            (_, None) => true,
        }
    }

    /// The compiled expression. `shape` refuses what would not compile; should something pass, it matches nothing.
    fn regex(&self) -> Option<&Regex> {
        self.regex
            .get_or_init(|| pattern::compile(&self.expanded, Limits::RULE).ok())
            .as_ref()
    }
}

impl Groups {
    fn add(&mut self, group: u32) {
        let mut all = match self {
            Groups::One(first) => vec![*first],
            Groups::Many(groups) => groups.to_vec(),
        };
        all.push(group);
        *self = Groups::Many(all.into());
    }

    fn captured(&self, locations: &CaptureLocations) -> Option<(usize, usize)> {
        match self {
            Groups::One(group) => locations.get(*group as usize),
            Groups::Many(groups) => groups
                .iter()
                .rev()
                .find_map(|group| locations.get(*group as usize)),
        }
    }
}

impl GrokCache {
    fn locations(&mut self, number: usize, regex: &Regex) -> &mut CaptureLocations {
        if self.locations.len() <= number {
            self.locations.resize(number + 1, None);
        }
        self.locations[number].get_or_insert_with(|| regex.capture_locations())
    }
}

#[cfg(test)]
mod tests {
    use lymph_protocol::Timestamp;

    use super::patterns::{DEPTH_MAX, Defined, EXPANDED_BYTES_MAX, FIELDS_MAX, PATTERNS_MAX};
    use super::*;
    use crate::line::{Line, Source};

    fn parsed(pattern: &str, patterns: &Patterns, text: &[u8]) -> Option<String> {
        let mut keys = Keys::default();
        let grok = Grok::compile(pattern, patterns, &mut keys)
            .unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let mut event = Event::new(Arc::new(keys));
        let source = Arc::new(Source::default());
        event.start(&Line {
            text,
            source: &source,
            id: 1,
            received_at: Timestamp::EPOCH,
        });
        let on = event.raw_span();
        grok.apply(&mut event, on, &mut GrokCache::default())
            .then(|| {
                let fields = event.map(Namespace::Parsed).into_iter();
                fields
                    .map(|(key, value)| format!("{key}={}", String::from_utf8_lossy(value)))
                    .collect::<Vec<_>>()
                    .join(" ")
            })
    }

    fn check(pattern: &str, text: &str, expected: Option<&str>) {
        assert_eq!(
            parsed(pattern, &Patterns::default(), text.as_bytes()).as_deref(),
            expected,
            "{pattern} on {text:?}"
        );
    }

    #[test]
    fn captures_become_fields() {
        check(
            "user %{WORD:user} from %{IP:ip}",
            "user bob from 192.0.2.1 x",
            Some("ip=192.0.2.1 user=bob"),
        );
        check("%{INT:n}|%{WORD:n}", "abc", Some("n=abc"));
        check("%{INT:n}|%{WORD:n}", "12", Some("n=12"));
        check("%{INT:n} %{INT:n}", "12 13", Some("n=13"));
        check("(?P<own>a+)", "caab", Some("own=aa"));
        check("a(?:%{WORD:w})?$", "a", Some("w="));
        check("(x|(%{WORD:w}))+(y)", "xby", None);
        check("^(x|(%{WORD:w}))-(y)", "b-y", Some("w=b"));
        check("%{INT:n:int} %{WORD:w}", "5 a", Some("n=5 w=a"));
        check("%{-} %{INT:n}", "%{-} 7", Some("n=7"));
        check("%{WORD:a b} %{INT:n}", "%{WORD:a b} 7", Some("n=7"));
    }

    #[test]
    fn no_capture_is_no_match() {
        check("%{WORD}", "abc", None);
        check("abc", "abc", None);
        check("(a)bc", "abc", None);
        check("%{IP:ip}", "no address", None);
    }

    #[test]
    fn the_outer_name_hides_the_inner_one() {
        let mut patterns = Patterns::default();
        let mut define = |name: &str, pattern: &str| patterns.define(name, pattern);
        assert_eq!(define("INNER", "%{INT:n}x%{NOTSPACE:w}"), Ok(Defined::New));
        assert_eq!(define("MIDDLE", "%{INNER:i} %{INT:w}"), Ok(Defined::New));
        assert_eq!(
            define("INNER", "%{INT:n}x%{NOTSPACE:w}"),
            Ok(Defined::Again)
        );
        assert_eq!(define("INNER", "other"), Ok(Defined::Ignored));
        assert_eq!(
            parsed("%{INNER}", &patterns, b"1xa").as_deref(),
            Some("n=1 w=a")
        );
        assert_eq!(
            parsed("%{MIDDLE}", &patterns, b"1xa 2").as_deref(),
            Some("i=1xa n=1 w=2")
        );
        // Also where the outer one is captured elsewhere in the pattern.
        assert_eq!(
            parsed("%{MIDDLE} %{INT:n}", &patterns, b"1xa 2 3").as_deref(),
            Some("i=1xa n=3 w=2")
        );
        assert_eq!(
            parsed("%{MIDDLE:n}", &patterns, b"1xa 2").as_deref(),
            Some("i=1xa n=1xa 2 w=2")
        );
    }

    #[test]
    fn bytes_that_are_no_text_pass() {
        assert_eq!(
            parsed(
                "^%{NOTSPACE:a} %{INT:b}",
                &Patterns::default(),
                b"\xff\xfe 5"
            )
            .as_deref(),
            Some("a=\u{fffd}\u{fffd} b=5")
        );
    }

    fn error(pattern: &str) -> String {
        Grok::compile(pattern, &Patterns::default(), &mut Keys::default())
            .expect_err(pattern)
            .to_string()
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(
            error("%{WORDS:x}"),
            "unknown pattern %{WORDS}, did you mean WORD?"
        );
        assert_eq!(
            error("%{word:x}"),
            "unknown pattern %{word}, did you mean WORD?"
        );
        assert_eq!(error("%{FROBNICATE}"), "unknown pattern %{FROBNICATE}");
        assert_eq!(error("%{WORD"), "`%{` at byte 0 is not closed");
        assert_eq!(error(""), "the pattern is empty");
        assert_eq!(error("(%{WORD:x}"), "unclosed group");
        assert_eq!(
            error("%{WORD:x}(?=a)"),
            "look-around, including look-ahead and look-behind, is not supported"
        );
        let mut patterns = Patterns::default();
        assert!(matches!(
            patterns.define("A", "%{A}"),
            Err(GrokError::Unknown { .. })
        ));
        assert_eq!(
            patterns.define("A-B", "x"),
            Err(GrokError::BadName("A-B".to_owned()))
        );
        assert!(matches!(
            patterns.define("BAD", "(x"),
            Err(GrokError::Pattern(_))
        ));
    }

    #[test]
    fn every_bound_holds() {
        let mut patterns = Patterns::default();
        assert_eq!(
            patterns.expand(&"a".repeat(EXPANDED_BYTES_MAX + 1)).err(),
            Some(GrokError::TooLong(None))
        );
        assert!(patterns.expand(&"a".repeat(EXPANDED_BYTES_MAX)).is_ok());
        // Patterns that double: each is twice the one before.
        let mut previous = "WORD".to_owned();
        let grown = (0..DEPTH_MAX).find_map(|depth| {
            let name = format!("G{depth}");
            let result = patterns.define(&name, &format!("%{{{previous}}}%{{{previous}}}"));
            previous = name;
            result.err()
        });
        assert!(
            matches!(grown, Some(GrokError::TooLong(Some(_)))),
            "{grown:?}"
        );
        let mut previous = "WORD".to_owned();
        let deep = (0..DEPTH_MAX + 1).find_map(|depth| {
            let name = format!("D{depth}");
            let result = patterns.define(&name, &format!("%{{{previous}}}"));
            previous = name;
            result.err().map(|error| (depth, error))
        });
        assert_eq!(
            deep,
            Some((DEPTH_MAX, GrokError::TooDeep("WORD".to_owned())))
        );
        let fields: String = (0..=FIELDS_MAX)
            .map(|field| format!("%{{INT:f{field}}}"))
            .collect();
        assert_eq!(
            patterns.expand(&fields).err(),
            Some(GrokError::TooManyFields)
        );
        patterns
            .define("MANY", &"%{INT:f}".repeat(FIELDS_MAX / 2))
            .expect("half");
        assert_eq!(
            patterns.expand("%{MANY}%{MANY}%{MANY}").err(),
            Some(GrokError::TooManyFields)
        );
        assert!(matches!(
            patterns.define("LARGE", "((a{900}){900})x"),
            Err(GrokError::TooLarge)
        ));
        assert!(matches!(
            Grok::compile("(?P<a>(b{999}){999})", &patterns, &mut Keys::default()),
            Err(GrokError::TooLarge)
        ));
        assert!(matches!(
            Grok::compile(&"(".repeat(400), &patterns, &mut Keys::default()),
            Err(GrokError::Pattern(_))
        ));
        let mut patterns = Patterns::default();
        let full =
            (0..=PATTERNS_MAX).find_map(|number| patterns.define(&format!("N{number}"), "x").err());
        assert_eq!(full, Some(GrokError::TooMany));
    }

    #[test]
    fn what_passes_the_check_compiles() {
        let largest = [
            "(?P<a>[a-z0-9]{999})",
            "(?P<a>(\\w{1,60}\\.){1,60})",
            "(?P<a>\\pL{50}\\w{100})",
            "(?i)(?P<a>(abcdef|xyz){1,900})",
        ];
        for pattern in largest {
            let grok =
                Grok::compile(pattern, &Patterns::default(), &mut Keys::default()).expect(pattern);
            assert!(grok.regex().is_some(), "{pattern}");
        }
    }

    #[test]
    fn knows_what_every_match_must_have() {
        let seen = |pattern: &str| {
            let grok =
                Grok::compile(pattern, &Patterns::default(), &mut Keys::default()).expect(pattern);
            let text = |bytes: Option<&[u8]>| {
                bytes.map_or("-".to_owned(), |bytes| {
                    String::from_utf8_lossy(bytes).into_owned()
                })
            };
            (text(grok.start.as_deref()), text(grok.required_literal()))
        };
        let check = |pattern: &str, start: &str, literal: &str| {
            assert_eq!(
                seen(pattern),
                (start.to_owned(), literal.to_owned()),
                "{pattern}"
            );
        };
        check("^Failed %{WORD:m} for %{USER:u} from", "Failed ", "Failed ");
        check("Failed %{WORD:m} for %{USER:u} from", "-", "Failed ");
        check("^(?:Failed|Accepted) %{WORD:m} for", "-", " for");
        check("^(Fa(iled)) %{WORD:m}", "Failed ", "Failed ");
        check("(?i)failed %{WORD:m}", "-", "-");
        check("(?m)^failed %{WORD:m}", "-", "failed ");
        check("a|^failed %{WORD:m}", "-", "-");
        check("(?:abcd)?%{WORD:m}(?:efgh)+", "-", "efgh");
        check("^%{IP:ip}", "-", "-");
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_matches_is_turned_away(
            text in "(Failed|failed|Accepted|for|from|root|aa| |[0-9.]{1,4}|\n){0,12}",
            pattern in r"\^?((Failed|Accepted|for|from|root|aa| |\^|\$|%\{INT:n\}|%\{WORD:w\}|\(\?i\)|\(\?m\))(\*|\+|\?|\{2\})?|\(\?:(Failed|for) ?\|? ?(from|aa|root)\)[?+*]?){1,6}",
        ) {
            if let Ok(grok) = Grok::compile(&pattern, &Patterns::default(), &mut Keys::default()) {
                let matches = grok.regex().is_some_and(|regex| regex.is_match(text.as_bytes()));
                proptest::prop_assert!(!matches || grok.may_match(text.as_bytes()));
            }
        }

        #[test]
        fn no_pattern_and_no_text_panic(pattern in ".{0,40}|(%\\{[A-Z0-9]{1,8}(:[a-z]{1,3})?\\}|[ ()\\[\\]|*+?{}0-9,^$.-]){0,20}", text: Vec<u8>) {
            let mut keys = Keys::default();
            if let Ok(grok) = Grok::compile(&pattern, &Patterns::default(), &mut keys) {
                let mut event = Event::new(Arc::new(keys));
                let source = Arc::new(Source::default());
                event.start(&Line { text: &text, source: &source, id: 1, received_at: Timestamp::EPOCH });
                let on = event.raw_span();
                grok.apply(&mut event, on, &mut GrokCache::default());
            }
        }
    }
}

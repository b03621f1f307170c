//! Data files: lists that rules come with (`data:`), and that expressions ask by name (`File`, `RegexpInFile`,
//! `LookupFile`, `FileMap`).
//!
//! The files arrive here as text; nothing is read or downloaded. A file that nobody supplied is empty to those
//! who ask it.

use std::collections::BTreeMap;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::bytes::{Regex, RegexSet};

use crate::pattern::{self, Limits};

/// Largest data file, in bytes. The hub's largest has about 300 KiB.
pub const FILE_BYTES_MAX: usize = 64 << 20;

/// What the lines of a data file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DataKind {
    /// Texts.
    String,
    /// Patterns.
    Regexp,
    /// JSON objects with `pattern`, `tag` and `type` (`equals`, `contains`, `regex`).
    Map,
}

impl DataKind {
    /// The kind that `type:` names.
    #[must_use]
    pub fn named(name: &str) -> Option<DataKind> {
        match name {
            "string" => Some(DataKind::String),
            "regexp" | "regex" => Some(DataKind::Regexp),
            "map" => Some(DataKind::Map),
            _ => None,
        }
    }
}

/// A line of a data file that is not what its file's kind says. It is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct DataError {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// The lines of a file of texts; rules that ask it share them.
pub(crate) type Texts = Arc<[Box<[u8]>]>;

/// The data files that there are.
#[derive(Clone, Debug, Default)]
pub struct DataFiles {
    texts: BTreeMap<Box<str>, Texts>,
    patterns: BTreeMap<Box<str>, Arc<Patterns>>,
    maps: BTreeMap<Box<str>, Arc<Lookup>>,
}

impl DataFiles {
    /// Add a file, in place of the one with this name and kind; returns the lines that are left out.
    pub fn insert(&mut self, name: &str, kind: DataKind, text: &[u8]) -> Vec<DataError> {
        if text.len() > FILE_BYTES_MAX {
            return vec![error(
                name,
                0,
                format!("the file is larger than {FILE_BYTES_MAX} bytes"),
            )];
        }
        let mut errors = Vec::new();
        match kind {
            DataKind::String => {
                let lines = lines(text).map(|(_, line)| line.into()).collect();
                self.texts.insert(name.into(), lines);
            }
            DataKind::Regexp => {
                let patterns = Patterns::read(name, text, &mut errors);
                self.patterns.insert(name.into(), Arc::new(patterns));
            }
            DataKind::Map => {
                let lookup = Lookup::read(name, text, &mut errors);
                self.maps.insert(name.into(), Arc::new(lookup));
            }
        }
        errors
    }

    /// Whether there is a file of that name, of whatever kind.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.texts.contains_key(name)
            || self.patterns.contains_key(name)
            || self.maps.contains_key(name)
    }

    pub(crate) fn texts(&self, name: &str) -> Texts {
        self.texts.get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn patterns(&self, name: &str) -> Arc<Patterns> {
        self.patterns.get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn lookup(&self, name: &str) -> Arc<Lookup> {
        self.maps.get(name).cloned().unwrap_or_default()
    }
}

fn error(file: &str, line: usize, message: impl Into<String>) -> DataError {
    DataError {
        file: file.to_owned(),
        line,
        message: message.into(),
    }
}

/// The lines that count, with their numbers: no comments, no empty ones.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let all = text
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    all.enumerate()
        .map(|(i, line)| (i + 1, line))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
}

/// A file of patterns, of which any may match.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    /// All of them at once, unless they are too many for that.
    set: Option<RegexSet>,
    one_by_one: Vec<Regex>,
}

impl Patterns {
    fn read(file: &str, text: &[u8], errors: &mut Vec<DataError>) -> Patterns {
        let mut sound = Vec::new();
        for (number, line) in lines(text) {
            let Ok(line) = std::str::from_utf8(line) else {
                errors.push(error(file, number, "the pattern is not UTF-8"));
                continue;
            };
            match pattern::compile(line, Limits::RULE) {
                Ok(_) => sound.push(line),
                Err(bad) => errors.push(error(file, number, bad.to_string())),
            }
        }
        if let Ok(set) = pattern::compile_set(&sound, Limits::FILE) {
            return Patterns {
                set: Some(set),
                one_by_one: Vec::new(),
            };
        }
        let one_by_one = sound
            .iter()
            .filter_map(|line| pattern::compile(line, Limits::RULE).ok())
            .collect();
        Patterns {
            set: None,
            one_by_one,
        }
    }

    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        self.set.as_ref().is_some_and(|set| set.is_match(text))
            || self.one_by_one.iter().any(|pattern| pattern.is_match(text))
    }
}

/// A file of rows, of which the first whose pattern fits says the tag.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    pub(crate) rows: Vec<BTreeMap<String, String>>,
    equal: BTreeMap<String, usize>,
    contained: Option<(AhoCorasick, Vec<usize>)>,
    matched: Vec<(Regex, usize)>,
}

impl Lookup {
    fn read(file: &str, text: &[u8], errors: &mut Vec<DataError>) -> Lookup {
        let mut lookup = Lookup::default();
        let (mut needles, mut needle_rows) = (Vec::new(), Vec::new());
        for (number, line) in lines(text) {
            let row: BTreeMap<String, String> = match serde_json::from_slice(line) {
                Ok(row) => row,
                Err(bad) => {
                    errors.push(error(
                        file,
                        number,
                        format!("no JSON object of texts: {bad}"),
                    ));
                    continue;
                }
            };
            let field = |name: &str| row.get(name).filter(|value| !value.is_empty());
            let (Some(pattern), Some(_), Some(kind)) =
                (field("pattern"), field("tag"), field("type"))
            else {
                errors.push(error(file, number, "a row needs pattern, tag and type"));
                continue;
            };
            let place = lookup.rows.len();
            match kind.as_str() {
                "equals" => drop(lookup.equal.insert(pattern.clone(), place)),
                "contains" => {
                    needles.push(pattern.clone());
                    needle_rows.push(place);
                }
                "regex" => match pattern::compile(pattern, Limits::RULE) {
                    Ok(regex) => lookup.matched.push((regex, place)),
                    Err(bad) => errors.push(error(file, number, bad.to_string())),
                },
                other => {
                    errors.push(error(
                        file,
                        number,
                        format!("unknown type {other}: equals, contains or regex"),
                    ));
                    continue;
                }
            }
            lookup.rows.push(row);
        }
        match contained(&needles) {
            Ok(automaton) => lookup.contained = automaton.map(|automaton| (automaton, needle_rows)),
            Err(bad) => errors.push(error(file, 0, bad)),
        }
        lookup
    }

    /// The tag of the row that fits, or nothing: equal ones first, then contained ones, then patterns.
    pub(crate) fn tag(&self, text: &[u8]) -> &str {
        let row = std::str::from_utf8(text)
            .ok()
            .and_then(|text| self.equal.get(text))
            .copied();
        let row = row.or_else(|| {
            let (automaton, rows) = self.contained.as_ref()?;
            automaton
                .find(text)
                .map(|found| rows[found.pattern().as_usize()])
        });
        let row = row.or_else(|| {
            self.matched
                .iter()
                .find(|(regex, _)| regex.is_match(text))
                .map(|(_, row)| *row)
        });
        row.and_then(|row| self.rows[row].get("tag"))
            .map_or("", String::as_str)
    }
}

fn contained(needles: &[String]) -> Result<Option<AhoCorasick>, String> {
    if needles.is_empty() {
        return Ok(None);
    }
    let built = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostFirst)
        .build(needles);
    built.map(Some).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_lines_that_count() {
        let mut files = DataFiles::default();
        assert_eq!(
            files.insert("a.txt", DataKind::String, b"# no\n\none\r\n two \nthree"),
            []
        );
        let texts = files.texts("a.txt");
        let texts: Vec<&[u8]> = texts.iter().map(|text| &**text).collect();
        assert_eq!(texts, [&b"one"[..], b" two ", b"three"]);
        assert!(files.contains("a.txt") && !files.contains("b.txt"));
        assert!(files.texts("b.txt").is_empty());
    }

    #[test]
    fn patterns_that_are_none_are_left_out() {
        let mut files = DataFiles::default();
        let errors = files.insert("p.txt", DataKind::Regexp, b"^curl/\n(oops\n[bB]ot{\n\xff");
        assert_eq!(
            errors.iter().map(|error| error.line).collect::<Vec<_>>(),
            [2, 4]
        );
        let patterns = files.patterns("p.txt");
        assert!(patterns.is_match(b"curl/8.1"));
        assert!(patterns.is_match(b"a Bot{ here"));
        assert!(!patterns.is_match(b"Mozilla"));
        assert!(!files.patterns("none").is_match(b"Mozilla"));
    }

    #[test]
    fn a_lookup_prefers_equal_then_contained_then_matched() {
        let mut files = DataFiles::default();
        let rows = br#"{"pattern":"^/wp-","tag":"regex","type":"regex"}
{"pattern":"wp-login","tag":"contains","type":"contains"}
{"pattern":"/wp-login.php","tag":"equals","type":"equals"}
{"pattern":"","tag":"x","type":"equals"}
{"pattern":"x","tag":"x","type":"other"}
[1]"#;
        let errors = files.insert("m.json", DataKind::Map, rows);
        assert_eq!(
            errors.iter().map(|error| error.line).collect::<Vec<_>>(),
            [4, 5, 6]
        );
        let lookup = files.lookup("m.json");
        for (text, tag) in [
            ("/wp-login.php", "equals"),
            ("/a/wp-login", "contains"),
            ("/wp-admin", "regex"),
            ("/", ""),
        ] {
            assert_eq!(lookup.tag(text.as_bytes()), tag, "{text}");
        }
        assert_eq!(lookup.rows.len(), 3);
    }

    #[test]
    fn a_huge_file_is_refused() {
        let mut files = DataFiles::default();
        let text = vec![b'a'; FILE_BYTES_MAX + 1];
        assert_eq!(files.insert("a", DataKind::String, &text)[0].line, 0);
        assert!(!files.contains("a"));
    }
}

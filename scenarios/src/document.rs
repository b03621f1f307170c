//! Rule files as they are written: YAML text to plain structs, strictly; the only user of the YAML crate.
//!
//! Nothing is compiled here. Every text that will be (expressions, patterns, durations) keeps the line it
//! stands on, so that `parser` and `scenario` can say where a mistake is. Unknown and repeated keys are errors.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
pub(crate) use serde_saphyr::Spanned;

/// A mistake in a rule file: where it is and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct LoadError {
    /// The file, as it was named to the loader.
    pub file: String,
    /// Line in it, from 1; 0 where only the file is known.
    pub line: u64,
    /// The key that the mistake is about, such as `grok.pattern`; empty where there is none.
    pub key: String,
    /// What is wrong.
    pub message: String,
}

impl LoadError {
    pub(crate) fn new(file: &str, line: u64, key: &str, message: impl fmt::Display) -> Self {
        LoadError {
            file: file.to_owned(),
            line,
            key: key.to_owned(),
            message: message.to_string(),
        }
    }
}

/// `rules/ssh.yaml:12: filter: unknown function Uper, did you mean Upper?`
impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A text with the line it stands on.
pub(crate) type Text = Spanned<String>;

/// A node of a parser or a postoverflow.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NodeDocument {
    pub(crate) name: Option<String>,
    pub(crate) author: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) references: Vec<String>,
    pub(crate) debug: bool,
    pub(crate) profiling: bool,
    pub(crate) format: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) stage: Option<String>,
    pub(crate) filter: Option<Text>,
    pub(crate) onsuccess: Option<Text>,
    pub(crate) pattern_syntax: Ordered<Text>,
    pub(crate) grok: Option<GrokDocument>,
    pub(crate) statics: Vec<Spanned<StaticDocument>>,
    pub(crate) stash: Vec<Spanned<StashDocument>>,
    pub(crate) whitelist: Option<WhitelistDocument>,
    pub(crate) data: Vec<DataDocument>,
    pub(crate) nodes: Vec<NodeDocument>,
    pub(crate) labels: Option<BTreeMap<String, serde_json::Value>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GrokDocument {
    pub(crate) pattern: Option<Text>,
    pub(crate) name: Option<Text>,
    pub(crate) apply_on: Option<Text>,
    pub(crate) expression: Option<Text>,
    pub(crate) statics: Vec<Spanned<StaticDocument>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StaticDocument {
    pub(crate) parsed: Option<String>,
    pub(crate) meta: Option<String>,
    pub(crate) enriched: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) expression: Option<Text>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StashDocument {
    pub(crate) name: Option<String>,
    pub(crate) key: Option<Text>,
    pub(crate) value: Option<Text>,
    pub(crate) ttl: Option<Text>,
    pub(crate) size: Option<usize>,
    pub(crate) strategy: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WhitelistDocument {
    pub(crate) reason: Option<String>,
    pub(crate) ip: Vec<Text>,
    pub(crate) cidr: Vec<Text>,
    pub(crate) expression: Vec<Text>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DataDocument {
    pub(crate) source_url: Option<String>,
    pub(crate) dest_file: Option<Text>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) cache: Option<bool>,
    pub(crate) strategy: Option<String>,
    pub(crate) size: Option<usize>,
    pub(crate) ttl: Option<String>,
}

/// A scenario.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScenarioDocument {
    #[serde(rename = "type")]
    pub(crate) kind: Option<Text>,
    pub(crate) name: Option<Text>,
    pub(crate) author: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) references: Vec<String>,
    pub(crate) debug: bool,
    pub(crate) format: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) filter: Option<Text>,
    pub(crate) groupby: Option<Text>,
    pub(crate) distinct: Option<Text>,
    pub(crate) capacity: Option<Spanned<i64>>,
    pub(crate) leakspeed: Option<Text>,
    pub(crate) duration: Option<Text>,
    pub(crate) blackhole: Option<Text>,
    pub(crate) condition: Option<Text>,
    pub(crate) cancel_on: Option<Text>,
    pub(crate) overflow_filter: Option<Text>,
    pub(crate) cache_size: Option<Spanned<i64>>,
    pub(crate) reprocess: bool,
    pub(crate) scope: Option<Spanned<ScopeDocument>>,
    pub(crate) labels: BTreeMap<String, serde_json::Value>,
    pub(crate) data: Vec<DataDocument>,
    pub(crate) bayesian_prior: Option<f64>,
    pub(crate) bayesian_threshold: Option<f64>,
    pub(crate) bayesian_conditions: Vec<BayesianDocument>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScopeDocument {
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) expression: Option<Text>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BayesianDocument {
    pub(crate) condition: Text,
    pub(crate) prob_given_evil: f64,
    pub(crate) prob_given_benign: f64,
    #[serde(default)]
    pub(crate) guillotine: bool,
}

/// A map that keeps the order it was written in.
#[derive(Clone, Debug)]
pub(crate) struct Ordered<T>(pub(crate) Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Ordered(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<T> {
            type Value = Ordered<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Ordered::default())
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

/// Largest rule file, in bytes; the hub's largest is about 60 KB.
pub(crate) const RULE_FILE_BYTES_MAX: usize = 1024 * 1024;

/// Every document of a rule file.
pub(crate) fn read<T: serde::de::DeserializeOwned>(
    file: &str,
    text: &str,
) -> Result<Vec<T>, LoadError> {
    if text.len() > RULE_FILE_BYTES_MAX {
        let message = format!(
            "{} bytes, at most {RULE_FILE_BYTES_MAX} are read",
            text.len()
        );
        return Err(LoadError::new(file, 0, "", message));
    }
    serde_saphyr::from_multiple(text).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        yaml_error(file, line, error.without_snippet())
    })
}

fn yaml_error(file: &str, line: u64, error: &serde_saphyr::Error) -> LoadError {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an error type of another crate, with one case worth more words"
    )]
    match error {
        serde_saphyr::Error::SerdeUnknownField {
            field, expected, ..
        } => {
            let message = match nearest(field, expected.iter().copied()) {
                Some(near) => format!("unknown key, did you mean {near}?"),
                None => format!("unknown key; allowed here: {}", expected.join(", ")),
            };
            LoadError::new(file, line, field, message)
        }
        other => LoadError::new(file, line, "", first_line(&other.to_string())),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The candidate that is at most two edits (and less than half its length) away from what was written.
#[must_use]
pub fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let close = |candidate: &&str| {
        let distance = edit_distance(
            &written.to_ascii_lowercase(),
            &candidate.to_ascii_lowercase(),
        );
        (distance <= 2 && distance * 2 < candidate.len().max(2)).then_some(distance)
    };
    candidates
        .into_iter()
        .filter_map(|name| close(&name).map(|distance| (distance, name)))
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance, by characters, of texts that are short: anything past 64 bytes is far away.
fn edit_distance(a: &str, b: &str) -> usize {
    if a.len().max(b.len()) > 64 {
        return usize::MAX / 4;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Line of a text in its file.
pub(crate) fn line_of<T>(spanned: &Spanned<T>) -> u64 {
    spanned.defined.line()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, expected: &str) {
        let error = read::<ScenarioDocument>("x.yaml", yaml).expect_err(yaml);
        assert!(
            error.to_string().contains(expected),
            "{error} does not contain {expected:?}"
        );
    }

    #[test]
    fn mistakes_say_file_line_and_key() {
        check(
            "name: a\nfiltre: b\n",
            "x.yaml:2: filtre: unknown key, did you mean filter?",
        );
        check(
            "name: a\nbananas: b\n",
            "x.yaml:2: bananas: unknown key; allowed here: type, name",
        );
        check("name: a\nname: b\n", "x.yaml:2");
        check("name: a\ncapacity: many\n", "x.yaml:2");
        check(
            "name: a\n---\nname: b\nscope:\n  tipe: Ip\n",
            "x.yaml:5: tipe: unknown key, did you mean type?",
        );
        check("name: [\n", "x.yaml:");
        check(
            &format!("name: {}", "a".repeat(RULE_FILE_BYTES_MAX)),
            "at most",
        );
    }

    #[test]
    fn documents_keep_order_and_lines() {
        let yaml =
            "pattern_syntax:\n  B: 'x'\n  A: 'y'\n---\n---\nfilter: |\n  evt.Meta.a == 'b'\n";
        let nodes = read::<NodeDocument>("x.yaml", yaml).unwrap();
        let names: Vec<_> = nodes[0]
            .pattern_syntax
            .0
            .iter()
            .map(|(name, text)| (name.as_str(), line_of(text)))
            .collect();
        assert_eq!(names, [("B", 2), ("A", 3)]);
        let filter = nodes.last().unwrap().filter.as_ref().unwrap();
        assert_eq!(line_of(filter), 7, "where its text starts");
    }

    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(nearest("Uper", ["Lower", "Upper"]), Some("Upper"));
        assert_eq!(nearest("xyz", ["Lower", "Upper"]), None);
        assert_eq!(nearest("leakSpeed", ["leakspeed"]), Some("leakspeed"));
    }
}

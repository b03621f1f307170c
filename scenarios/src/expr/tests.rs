//! Tests of the expression language: tables of sources and what they are.

mod event;
mod guards;
mod helpers;
mod language;
mod lists;
mod oracle;
mod properties;
mod refusals;
mod texts;

use std::sync::Arc;

use lymph_protocol::Timestamp;

use super::access::Elements;
use super::*;
use crate::data::{DataFiles, DataKind};
use crate::event::{Event, Namespace};
use crate::line::{Line, Source};

/// 2026-03-01T10:00:00Z, a Sunday.
const NOW: Timestamp = Timestamp::from_secs(1_772_359_200);

/// Evaluate without anything in the event.
fn check(source: &str, expected: &str) {
    check_in(&Fixture::empty(), source, expected);
}

fn check_all(cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        check(source, expected);
    }
}

fn check_in(fixture: &Fixture, source: &str, expected: &str) {
    let shown = fixture
        .show(source)
        .unwrap_or_else(|error| format!("error: {error}"));
    assert_eq!(shown, expected, "{source}");
}

/// Evaluation fails, and the message has this in it.
fn check_fails(source: &str, part: &str) {
    let shown = Fixture::empty().show(source);
    let error = shown.expect_err(source);
    assert!(error.contains(part), "{source}: {error}");
}

/// What expressions of the tests are evaluated on.
struct Fixture {
    lines: Vec<(Namespace, &'static str, &'static str)>,
    data: Vec<(&'static str, &'static str)>,
    raw: &'static str,
    files: DataFiles,
}

impl Fixture {
    fn empty() -> Self {
        let mut files = DataFiles::default();
        files.insert(
            "paths.txt",
            DataKind::String,
            b"/.env\n/wp-login.php\n# no\n/.git/config\n",
        );
        files.insert("agents.txt", DataKind::Regexp, b"^sqlmap\n(?i)nikto\n");
        let rows = b"{\"pattern\":\"/wp-\",\"tag\":\"wordpress\",\"type\":\"contains\"}\n";
        files.insert("tags.json", DataKind::Map, rows);
        Fixture {
            lines: Vec::new(),
            data: Vec::new(),
            raw: "",
            files,
        }
    }

    fn event(&self, keys: Keys) -> Event {
        let mut event = Event::new(Arc::new(keys));
        let mut source = Source::file("/var/log/auth.log", "syslog");
        source.labels.insert("zone".into(), "dmz".into());
        let source = Arc::new(source);
        event.start(&Line {
            text: self.raw.as_bytes(),
            source: &source,
            id: 7,
            received_at: NOW,
        });
        for (namespace, name, text) in &self.lines {
            event.set_by_name(*namespace, name, text.as_bytes());
        }
        for (name, json) in &self.data {
            event.set_data(name, serde_json::from_str(json).unwrap());
        }
        event
    }

    /// The value as it would be written, or the error.
    fn show(&self, source: &str) -> Result<String, String> {
        let mut keys = Keys::default();
        let expr = compile(source, Globals::Parser, &mut keys, &self.files)
            .map_err(|error| error.to_string())?;
        let event = self.event(keys);
        let value = expr
            .eval(&Env::of(&event, NOW))
            .map_err(|error| error.to_string())?;
        if let Value::Bool(value) = value {
            assert_eq!(
                expr.eval_bool(&Env::of(&event, NOW)),
                Ok(value),
                "{source} both ways"
            );
        }
        Ok(show(&value))
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "kinds that cannot be written are shown as they are"
)]
fn show(value: &Value<'_>) -> String {
    if let Some(text) = value.as_bytes() {
        return format!("'{}'", String::from_utf8_lossy(text));
    }
    if let Some(elements) = Elements::of(value) {
        let shown: Vec<String> = elements.iter().map(|element| show(&element)).collect();
        return format!("[{}]", shown.join(", "));
    }
    if let Some(entries) = ops::entries(value) {
        let shown: Vec<String> = entries
            .iter()
            .map(|(key, value)| format!("{}: {}", show(&key.value()), show(value)))
            .collect();
        return format!("{{{}}}", shown.join(", "));
    }
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Time(time) => time.to_string(),
        Value::Duration(duration) => duration.to_string(),
        other => format!("{other:?}"),
    }
}

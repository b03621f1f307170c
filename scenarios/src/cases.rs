//! Sample logs beside rules, and whether the rules do with them what is expected.
//!
//! Beside `NAME.yaml` stand `NAME.log` and `NAME.expect`. The first line of the expectation names the type of
//! the log, `{"type":"sshd"}`. Then, for a parser, one object per line of the log with what was understood; for a
//! scenario one object per detection of that scenario. Lines that start with `#` are remarks. Times without a
//! year are of the year of [`CASE_TIME`].

use std::collections::BTreeMap;
use std::sync::Arc;

use lymph_protocol::Timestamp;
use serde_json::{Value, json};

use crate::detector::{Detector, Limits};
use crate::line::{Line, Source};
use crate::overflow::Overflow;
use crate::parser::Scratch;
use crate::rules::Rules;
use crate::stash::Stash;

/// When samples are read: 2026-04-01T00:00:00Z.
pub const CASE_TIME: Timestamp = Timestamp::from_secs(1_775_001_600);

/// A sample log and what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Path of the rule it is about, below the rules' folder.
    pub rule: String,
    /// The log.
    pub log: Vec<u8>,
    /// The expectation.
    pub expect: String,
}

/// A line of an expectation that did not come out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What was expected; empty if nothing was.
    pub expected: String,
    /// What came out; empty if nothing did.
    pub actual: String,
}

/// How a case came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseResult {
    /// Path of the rule.
    pub rule: String,
    /// Lines of the expectation that came out.
    pub passed: usize,
    /// Those that did not.
    pub mismatches: Vec<Mismatch>,
}

impl Case {
    /// The log's type.
    #[must_use]
    pub fn log_type(&self) -> String {
        let first: Option<Value> = self
            .expect
            .lines()
            .next()
            .and_then(|line| serde_json::from_str(line).ok());
        first
            .and_then(|first| first["type"].as_str().map(str::to_owned))
            .unwrap_or_else(|| "syslog".to_owned())
    }

    /// Put the log through the rules and compare.
    #[must_use]
    pub fn run(&self, rules: &Arc<Rules>) -> CaseResult {
        let lines = |text: &str| -> Vec<String> {
            let objects = text
                .lines()
                .skip(1)
                .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
            objects.map(str::to_owned).collect()
        };
        let (expected, actual) = (lines(&self.expect), lines(&self.actual(rules)));
        let mut result = CaseResult {
            rule: self.rule.clone(),
            passed: 0,
            mismatches: Vec::new(),
        };
        for index in 0..expected.len().max(actual.len()) {
            let expected = expected.get(index).cloned().unwrap_or_default();
            let actual = actual.get(index).cloned().unwrap_or_default();
            match parsed(&expected).is_some() && parsed(&expected) == parsed(&actual) {
                true => result.passed += 1,
                false => result.mismatches.push(Mismatch { expected, actual }),
            }
        }
        if result.passed == 0 && result.mismatches.is_empty() && !self.expect.contains("\"none\"") {
            let expected = "an expectation beside the log".to_owned();
            result.mismatches.push(Mismatch {
                expected,
                actual: String::new(),
            });
        }
        result
    }

    /// The expectation that would come out.
    #[must_use]
    pub fn actual(&self, rules: &Arc<Rules>) -> String {
        let log_type = self.log_type();
        let mut out = format!("{}\n", json!({ "type": log_type }));
        let source = Arc::new(Source {
            log_time: true,
            ..Source::file(&self.rule, &log_type)
        });
        let objects = match self.rule.starts_with("scenarios/") {
            true => self.detections(rules, &source),
            false => self.lines(rules, &source),
        };
        if objects.is_empty() {
            out = format!("{}\n", json!({ "type": log_type, "none": true }));
        }
        for object in objects {
            out.push_str(&object.to_string());
            out.push('\n');
        }
        out
    }

    fn log_lines<'a>(&'a self, source: &'a Arc<Source>) -> impl Iterator<Item = Line<'a>> {
        let text = self.log.strip_suffix(b"\n").unwrap_or(&self.log);
        let lines = text.split(|byte| *byte == b'\n').enumerate();
        lines.map(move |(index, text)| Line {
            text,
            source,
            id: index as u64 + 1,
            received_at: CASE_TIME,
        })
    }

    fn lines(&self, rules: &Arc<Rules>, source: &Arc<Source>) -> Vec<Value> {
        let (mut event, mut scratch, stash) =
            (rules.new_event(), Scratch::default(), Stash::default());
        let understood = |line: Line<'_>| {
            let parsed = rules.parse(&line, &mut event, &mut scratch, &stash);
            let time = event.log_time.map(|time| time.to_string());
            // What was gathered of a line that nobody understood in the end is worth nothing.
            let (time, meta) = match parsed {
                true => (time, event.meta_text()),
                false => (None, BTreeMap::new()),
            };
            json!({ "line": line.id, "parsed": parsed, "time": time, "meta": meta })
        };
        self.log_lines(source).map(understood).collect()
    }

    fn detections(&self, rules: &Arc<Rules>, source: &Arc<Source>) -> Vec<Value> {
        let mut detector = Detector::new(Arc::clone(rules), Limits::default(), 1);
        let mut overflows: Vec<Overflow> = self
            .log_lines(source)
            .flat_map(|line| detector.handle(&line, CASE_TIME))
            .collect();
        overflows.extend(detector.tick(Timestamp::MAX));
        let own = |overflow: &&Overflow| {
            rules
                .scenarios()
                .iter()
                .any(|scenario| scenario.name == overflow.scenario && *scenario.file == *self.rule)
        };
        overflows
            .iter()
            .filter(own)
            .flat_map(detection_objects)
            .collect()
    }
}

fn parsed(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}

/// One object per subject of a detection, as `replay --json` prints them.
#[must_use]
pub fn detection_objects(overflow: &Overflow) -> Vec<Value> {
    let object = |attacker: &crate::overflow::Attacker| {
        json!({
            "scenario": &*overflow.scenario,
            "subject": attacker.value,
            "first_seen": overflow.first_seen.to_string(),
            "last_seen": overflow.last_seen.to_string(),
            "events": overflow.events_count,
        })
    };
    overflow.attackers.iter().map(object).collect()
}

//! What the fuzz targets in `fuzz/` call, one function each: bytes in, and an assertion that fails or nothing.
//! The committed seeds go through the same functions in an ordinary test (`fuzz/replay.rs`).
//!
//! Each function also compares: a fast way with the slow one, a time with its own text, a pattern's screen with
//! the pattern. What they take apart first, they separate by the first empty line.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use lymph_protocol::Timestamp;

use crate::data::DataFiles;
use crate::date::{GoDuration, Layout, LogTime, Yearless, parse_date};
use crate::event::{Event, Keys, Namespace};
use crate::expr::{self, Effects, Env, Globals};
use crate::grok::{Grok, GrokCache, Patterns};
use crate::line::{Line, Source};
use crate::stash::Stash;
use crate::{Detector, Limits, RuleFile, Rules, RulesBuilder, Scratch, bundled};

/// The time at which everything happens: 2026-03-01T12:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_772_366_400);
/// Longer patterns take longer to compile than a fuzzer's patience.
const PATTERN_BYTES_MAX: usize = 256;
/// The types of log that the bundled rules know.
const LOG_TYPES: [&str; 8] = [
    "sshd", "nginx", "apache", "caddy", "traefik", "haproxy", "syslog", "journald",
];

/// `TYPE`, then lines of a log: through all bundled rules, into buckets.
pub fn line(data: &[u8]) {
    static RULES: LazyLock<Option<Arc<Rules>>> =
        LazyLock::new(|| bundled::rules().ok().map(Arc::new));
    let Some(rules) = &*RULES else { return };
    let (head, log) = split(data, b"\n");
    let known = LOG_TYPES.into_iter().find(|name| name.as_bytes() == head);
    let log_type = known
        .unwrap_or(LOG_TYPES[usize::from(head.first().copied().unwrap_or(0)) % LOG_TYPES.len()]);
    pour(rules, log_type, log);
}

fn pour(rules: &Arc<Rules>, log_type: &str, log: &[u8]) {
    let source = Arc::new(Source {
        log_time: true,
        ..Source::file("fuzz.log", log_type)
    });
    let mut detector = Detector::new(
        Arc::clone(rules),
        Limits {
            bucket_bytes_max: 1 << 16,
        },
        1,
    );
    let (mut again, mut scratch, stash) = (rules.new_event(), Scratch::default(), Stash::default());
    for (id, text) in log.split(|byte| *byte == b'\n').enumerate() {
        let line = Line {
            text,
            source: &source,
            id: id as u64,
            received_at: NOW,
        };
        let parsed = rules.parse(&line, &mut again, &mut scratch, &stash);
        let meta = again.meta_text();
        assert_eq!(
            rules.parse(&line, &mut again, &mut scratch, &stash),
            parsed,
            "parsed, then not"
        );
        assert_eq!(again.meta_text(), meta, "the same line means the same");
        for overflow in detector.handle(&line, NOW) {
            assert!(
                overflow.first_seen <= overflow.last_seen,
                "a detection ends before it begins"
            );
        }
    }
    detector.tick(Timestamp::MAX);
    let snapshot = detector.snapshot();
    detector.restore(snapshot);
}

/// Definitions (`NAME pattern`) and a pattern in lines of their own, an empty line, a text.
pub fn grok(data: &[u8]) {
    let (written, text) = split(data, b"\n\n");
    let Ok(written) = std::str::from_utf8(&written[..written.len().min(PATTERN_BYTES_MAX)]) else {
        return;
    };
    let mut patterns = Patterns::default();
    let mut lines: Vec<&str> = written.split('\n').collect();
    let pattern = lines.pop().unwrap_or_default();
    for (name, definition) in lines.into_iter().filter_map(|line| line.split_once(' ')) {
        // What is wrong with it is the rule's author's business.
        let _ = patterns.define(name, definition);
    }
    let mut keys = Keys::default();
    let Ok(grok) = Grok::compile(pattern, &patterns, &mut keys) else {
        return;
    };
    grok.check(text);
    let mut event = event_of(keys, text);
    let (on, mut cache) = (event.raw_span(), GrokCache::default());
    let first = grok.apply(&mut event, on, &mut cache);
    let fields = fields(&event);
    assert_eq!(
        grok.apply(&mut event, on, &mut cache),
        first,
        "matched, then not"
    );
    assert_eq!(
        self::fields(&event),
        fields,
        "a match captures the same again"
    );
}

/// An expression, an empty line, a text that is the event's line and, if it is JSON, its `Unmarshaled.x`.
pub fn expression(data: &[u8]) {
    let (source, text) = split(data, b"\n\n");
    let Ok(source) = std::str::from_utf8(source) else {
        return;
    };
    let mut keys = Keys::default();
    for globals in [
        Globals::Parser,
        Globals::Scenario,
        Globals::Queue,
        Globals::Tests,
    ] {
        let _ = expr::compile(source, globals, &mut keys.clone(), &DataFiles::default());
    }
    let Ok(expression) = expr::compile(source, Globals::Parser, &mut keys, &DataFiles::default())
    else {
        return;
    };
    let mut event = event_of(keys, text);
    let words = text.split(|byte| *byte == b' ').chain([text]);
    for (name, word) in ["message", "program", "a", "b"].into_iter().zip(words) {
        event.set_by_name(Namespace::Parsed, name, word);
        event.set_by_name(Namespace::Meta, name, word);
    }
    if let Ok(value) = serde_json::from_slice(text) {
        event.set_data("x", value);
    }
    let effects = Effects::default();
    let env = Env::of(&event, NOW);
    let value = expression
        .eval(&env.with_effects(&effects))
        .map(|value| format!("{value:?}"));
    let again = expression
        .eval(&env.with_effects(&effects))
        .map(|value| format!("{value:?}"));
    assert_eq!(value, again, "an expression means the same again");
    let _ = (
        expression.eval_bool(&env),
        expression.eval_text(&env),
        expression.guards(),
        expression.has_effects(),
    );
    effects.apply(&mut event);
}

/// A path (`parsers/s01-parse/x.yaml`), then the rule file that lies there.
pub fn yaml(data: &[u8]) {
    let (path, text) = split(data, b"\n");
    let (Ok(path), Ok(text)) = (std::str::from_utf8(path), std::str::from_utf8(text)) else {
        return;
    };
    let file = RuleFile {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let mut builder = RulesBuilder::new(BTreeMap::from([(
        "list.txt".to_owned(),
        b"one\ntwo\n".to_vec(),
    )]));
    if let Err(error) = builder.add(&file) {
        assert!(!error.message.is_empty(), "an error that says nothing");
        return;
    }
    if let Ok(rules) = builder.finish() {
        let _ = rules.warnings();
        pour(
            &Arc::new(rules),
            "syslog",
            b"Mar  1 10:00:00 host sshd[7]: Failed password for root from 192.0.2.1\n{}\n",
        );
    }
}

/// A layout, an empty line, a date.
pub fn date(data: &[u8]) {
    let (format, text) = split(data, b"\n\n");
    for yearless in [Yearless::Latest, Yearless::Current] {
        for time in [
            parse_date(text, format, NOW, yearless),
            parse_date(text, b"", NOW, yearless),
        ]
        .into_iter()
        .flatten()
        {
            reads_back(time);
        }
    }
    if let Ok(layout) = std::str::from_utf8(format) {
        let compiled = Layout::compile(layout);
        let time = compiled.parse(text);
        assert_eq!(
            time,
            Layout::parse_once(format, text),
            "a layout used once means the same"
        );
        let _ = compiled.format(time.unwrap_or_default());
    }
    if let Ok(text) = std::str::from_utf8(text)
        && let Ok(duration) = GoDuration::parse_with_days(text)
    {
        assert_eq!(
            GoDuration::parse(&duration.to_string()),
            Ok(duration),
            "a duration reads back"
        );
    }
}

fn reads_back(time: LogTime) {
    let text = time.to_string();
    // An offset of 24 hours and more has no text that reads back, nor has a year of five digits.
    if (1..=9999).contains(&time.year())
        && time.offset_secs().abs() < 86_400
        && time.offset_secs() % 60 == 0
    {
        let again = parse_date(text.as_bytes(), b"", NOW, Yearless::Latest);
        assert_eq!(
            again.map(|again| again.to_string()),
            Some(text),
            "a time reads back"
        );
    }
}

fn split<'d>(data: &'d [u8], separator: &[u8]) -> (&'d [u8], &'d [u8]) {
    match memchr::memmem::find(data, separator) {
        Some(at) => (&data[..at], &data[at + separator.len()..]),
        None => (data, b""),
    }
}

fn event_of(keys: Keys, text: &[u8]) -> Event {
    let mut event = Event::new(Arc::new(keys));
    let source = Arc::new(Source::file("fuzz.log", "syslog"));
    event.start(&Line {
        text,
        source: &source,
        id: 1,
        received_at: NOW,
    });
    event
}

fn fields(event: &Event) -> Vec<(String, Vec<u8>)> {
    let all = event.map(Namespace::Parsed).into_iter();
    all.map(|(name, text)| (name.to_owned(), text.to_vec()))
        .collect()
}

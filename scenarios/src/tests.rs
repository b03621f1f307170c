//! Scenarios from YAML to detections: one case a meaning, and leaky buckets against a plain model.
//!
//! Logs here are lines of `SECONDS ADDRESS USER KIND`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use lymph_protocol::Timestamp;
use proptest::prelude::*;

use crate::line::{Line, Source};
use crate::overflow::Overflow;
use crate::{Detector, Limits, LoadError, RuleFile, Rules, RulesBuilder};

const PARSER: &str = r#"
name: test/log
filter: "evt.Line.Labels.type == 'test'"
onsuccess: next_stage
grok:
  pattern: '^%{INT:time} %{NOTSPACE:ip} %{NOTSPACE:user} %{NOTSPACE:kind}$'
  apply_on: Line.Raw
statics:
  - meta: source_ip
    expression: evt.Parsed.ip
  - meta: user
    expression: evt.Parsed.user
  - meta: log_type
    expression: evt.Parsed.kind
  - target: evt.StrTime
    expression: evt.Parsed.time
  - method: ParseDate
    expression: evt.StrTime
  - target: MarshaledTime
    expression: evt.Enriched.MarshaledTime
"#;

const START: u64 = 1_700_000_000;

fn rules(scenarios: &str) -> Result<Arc<Rules>, LoadError> {
    with_files(&[
        ("parsers/s01-parse/test.yaml", PARSER),
        ("scenarios/test.yaml", scenarios),
    ])
}

fn with_files(files: &[(&str, &str)]) -> Result<Arc<Rules>, LoadError> {
    let mut builder = RulesBuilder::new(BTreeMap::new());
    for (path, text) in files {
        builder.add(&RuleFile {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        })?;
    }
    builder.finish().map(Arc::new)
}

fn source() -> Arc<Source> {
    Arc::new(Source {
        log_time: true,
        ..Source::file("test.log", "test")
    })
}

/// Feed lines whose first word is seconds after the start.
fn feed(detector: &mut Detector, source: &Arc<Source>, lines: &[String]) -> Vec<Overflow> {
    let mut overflows = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let (seconds, rest) = line.split_once(' ').unwrap();
        let at = START + seconds.parse::<u64>().unwrap();
        let text = format!("{at} {rest}");
        let now = Timestamp::from_secs(at);
        let line = Line {
            text: text.as_bytes(),
            source,
            id: index as u64 + 1,
            received_at: now,
        };
        overflows.extend(detector.handle(&line, now));
    }
    overflows
}

fn told(overflows: &[Overflow]) -> Vec<String> {
    let one = |overflow: &Overflow| {
        let who: Vec<_> = overflow
            .attackers
            .iter()
            .map(|attacker| attacker.value.clone())
            .collect();
        let at = overflow.last_seen.secs() - START;
        format!(
            "{}s {} {} x{}",
            at,
            overflow.scenario,
            who.join("+"),
            overflow.events_count
        )
    };
    overflows.iter().map(one).collect()
}

fn check(scenarios: &str, lines: &[&str], expected: &[&str]) {
    let mut detector = Detector::new(rules(scenarios).unwrap(), Limits::default(), 7);
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let mut overflows = feed(&mut detector, &source(), &lines);
    overflows.extend(detector.tick(Timestamp::MAX));
    assert_eq!(told(&overflows), expected, "{scenarios}\n{lines:#?}");
}

fn scenario(kind: &str, rest: &str) -> String {
    format!(
        "type: {kind}\nname: t/s\ndescription: a test\nfilter: \"evt.Meta.log_type == 'x'\"\ngroupby: evt.Meta.source_ip\n{rest}\n"
    )
}

const A: &str = "1.2.3.4 root x";

fn lines_of(who: &str, seconds: &[u64]) -> Vec<String> {
    seconds
        .iter()
        .map(|second| format!("{second} {who}"))
        .collect()
}

fn check_times(scenarios: &str, seconds: &[u64], expected: &[&str]) {
    let lines = lines_of(A, seconds);
    check(
        scenarios,
        &lines.iter().map(String::as_str).collect::<Vec<_>>(),
        expected,
    );
}

#[test]
fn a_leaky_bucket_runs_over_with_the_event_that_does_not_fit() {
    let leaky = scenario("leaky", "capacity: 2\nleakspeed: 10s");
    check_times(&leaky, &[0, 1, 2], &["2s t/s 1.2.3.4 x3"]);
    check_times(&leaky, &[0, 1], &[]);
    check_times(&leaky, &[0, 10, 20, 30, 40], &[]);
    check_times(&leaky, &[0, 1, 10], &[]);
    check_times(&leaky, &[0, 1, 9], &["9s t/s 1.2.3.4 x3"]);
    // It is gone afterwards, and a new one starts.
    check_times(
        &leaky,
        &[0, 0, 0, 1, 1, 1],
        &["0s t/s 1.2.3.4 x3", "1s t/s 1.2.3.4 x3"],
    );
    // After its life of 30 s the count starts again.
    check_times(&leaky, &[0, 1, 32, 33], &[]);
    check(
        &leaky,
        &[
            "0 1.2.3.4 a x",
            "0 5.6.7.8 a x",
            "0 1.2.3.4 a x",
            "0 5.6.7.8 a x",
        ],
        &[],
    );
    check(
        &leaky,
        &["0 1.2.3.4 a y", "0 1.2.3.4 a y", "0 1.2.3.4 a y"],
        &[],
    );
    check(
        &leaky,
        &["0 nobody a x", "0 nobody a x", "0 nobody a x"],
        &[],
    );
}

#[test]
fn silence_after_a_detection() {
    let leaky = scenario("leaky", "capacity: 1\nleakspeed: 10s\nblackhole: 60s");
    check_times(&leaky, &[0, 0, 1, 1, 59, 59], &["0s t/s 1.2.3.4 x2"]);
    check_times(
        &leaky,
        &[0, 0, 60, 60],
        &["0s t/s 1.2.3.4 x2", "60s t/s 1.2.3.4 x2"],
    );
}

#[test]
fn the_other_types() {
    let trigger = scenario("trigger", "");
    check_times(
        &trigger,
        &[0, 1],
        &["0s t/s 1.2.3.4 x1", "1s t/s 1.2.3.4 x1"],
    );
    check_times(
        &scenario("trigger", "blackhole: 1m"),
        &[0, 1],
        &["0s t/s 1.2.3.4 x1"],
    );

    let counter = scenario("counter", "capacity: -1\nduration: 10s");
    check_times(
        &counter,
        &[0, 1, 2, 30],
        &["2s t/s 1.2.3.4 x3", "30s t/s 1.2.3.4 x1"],
    );

    let conditional = scenario(
        "conditional",
        "capacity: -1\nleakspeed: 10s\ncondition: len(queue.Queue) >= 3",
    );
    check_times(&conditional, &[0, 5, 10], &["10s t/s 1.2.3.4 x3"]);
    check_times(&conditional, &[0, 5, 16], &[]);

    let bayesian = scenario(
        "bayesian",
        "capacity: -1\nleakspeed: 1m\nbayesian_prior: 0.5\nbayesian_threshold: 0.8\nbayesian_conditions:\n  - condition: evt.Meta.user == 'root'\n    prob_given_evil: 0.9\n    prob_given_benign: 0.1\n    guillotine: true\n  - condition: len(queue.Queue) > 1\n    prob_given_evil: 0.6\n    prob_given_benign: 0.5",
    );
    // 0.5 -> 0.9 by root, then 0.878 because the queue is short: above 0.8 at once.
    check(&bayesian, &["0 1.2.3.4 root x"], &["0s t/s 1.2.3.4 x1"]);
    check(&bayesian, &["0 1.2.3.4 bob x", "1 1.2.3.4 bob x"], &[]);
}

#[test]
fn what_a_bucket_lets_in() {
    let distinct = scenario(
        "leaky",
        "capacity: 2\nleakspeed: 10s\ndistinct: evt.Meta.user",
    );
    check(
        &distinct,
        &[
            "0 1.2.3.4 a x",
            "0 1.2.3.4 a x",
            "0 1.2.3.4 b x",
            "0 1.2.3.4 b x",
        ],
        &[],
    );
    check(
        &distinct,
        &["0 1.2.3.4 a x", "0 1.2.3.4 b x", "1 1.2.3.4 c x"],
        &["1s t/s 1.2.3.4 x3"],
    );

    let cancel = scenario(
        "leaky",
        "capacity: 1\nleakspeed: 10s\ncancel_on: evt.Meta.user == 'good'",
    );
    check(
        &cancel,
        &["0 1.2.3.4 a x", "0 1.2.3.4 good x", "0 1.2.3.4 a x"],
        &[],
    );
    check(
        &cancel,
        &["0 1.2.3.4 a x", "0 1.2.3.4 a x"],
        &["0s t/s 1.2.3.4 x2"],
    );

    let filtered = scenario(
        "leaky",
        "capacity: 1\nleakspeed: 10s\noverflow_filter: any(queue.Queue, {.Meta.user == 'root'})",
    );
    check(&filtered, &["0 1.2.3.4 a x", "0 1.2.3.4 a x"], &[]);
    check(
        &filtered,
        &["0 1.2.3.4 a x", "0 1.2.3.4 root x"],
        &["0s t/s 1.2.3.4 x2"],
    );
}

#[test]
fn whom_a_detection_names() {
    let by_user = "type: leaky\nname: t/s\ndescription: d\nfilter: evt.Meta.log_type == 'x'\ngroupby: evt.Meta.user\ndistinct: evt.Meta.source_ip\ncapacity: 2\nleakspeed: 1m\n";
    check(
        by_user,
        &["0 3.3.3.3 r x", "0 1.1.1.1 r x", "1 2.2.2.2 r x"],
        &["1s t/s 1.1.1.1+2.2.2.2+3.3.3.3 x3"],
    );

    let own = scenario(
        "trigger",
        "scope:\n  type: username\n  expression: evt.Meta.user",
    );
    check(&own, &["0 nobody bob x"], &["0s t/s bob x1"]);
    let range = scenario(
        "trigger",
        "scope:\n  type: Range\n  expression: evt.Meta.source_ip + '/24'",
    );
    check(&range, &["0 1.2.3.0 bob x"], &["0s t/s 1.2.3.0/24 x1"]);

    // IPv6 is spoken of, and counted, as its /64; an IPv4 address may be written as IPv6.
    let leaky = scenario("leaky", "capacity: 1\nleakspeed: 10s");
    check(
        &leaky,
        &["0 2a00:1:2:3::1 a x", "0 2a00:1:2:3:ffff::2 a x"],
        &["0s t/s 2a00:1:2:3::/64 x2"],
    );
    check(&leaky, &["0 2a00:1:2:3::1 a x", "0 2a00:1:2:4::1 a x"], &[]);
    check(
        &leaky,
        &["0 ::ffff:1.2.3.4 a x", "0 1.2.3.4 a x"],
        &["0s t/s 1.2.3.4 x2"],
    );
}

#[test]
fn a_detection_may_be_poured_again() {
    let again = "type: leaky\nname: t/first\ndescription: d\nfilter: evt.Meta.log_type == 'x'\ngroupby: evt.Meta.source_ip\ncapacity: 1\nleakspeed: 10s\nreprocess: true\n---\ntype: leaky\nname: t/second\ndescription: d\nfilter: evt.Overflow.Alert?.GetScenario() == 't/first'\ncapacity: 1\nleakspeed: 1h\n";
    check(
        again,
        &[
            "0 1.2.3.4 a x",
            "0 1.2.3.4 a x",
            "5 1.2.3.4 a x",
            "5 1.2.3.4 a x",
        ],
        &[
            "0s t/first 1.2.3.4 x2",
            "5s t/first 1.2.3.4 x2",
            "5s t/second 1.2.3.4 x2",
        ],
    );
}

#[test]
fn the_queue_keeps_what_it_may() {
    let kept = |rest: &str, events: u64| {
        let mut detector = Detector::new(
            rules(&scenario("leaky", rest)).unwrap(),
            Limits::default(),
            7,
        );
        let overflows = feed(
            &mut detector,
            &source(),
            &lines_of(A, &vec![0; events as usize]),
        );
        overflows
            .iter()
            .map(|overflow| (overflow.events.len(), overflow.events_count))
            .collect::<Vec<_>>()
    };
    assert_eq!(kept("capacity: 5\nleakspeed: 10s", 6), [(6, 6)]);
    assert_eq!(
        kept("capacity: 5\ncache_size: 2\nleakspeed: 10s", 6),
        [(3, 6)]
    );
    assert_eq!(
        kept("capacity: 2000\nleakspeed: 10s", 2001),
        [(crate::scenario::QUEUE_EVENTS_MAX, 2001)]
    );
}

#[test]
fn a_live_log_goes_by_the_time_of_reading_and_a_late_line_by_its_own() {
    let rules = rules(&scenario("leaky", "capacity: 2\nleakspeed: 10s")).unwrap();
    let live = Arc::new(Source::file("live.log", "test"));
    let read = |said: &[u64], read_at: &[u64]| {
        let mut detector = Detector::new(Arc::clone(&rules), Limits::default(), 7);
        let mut overflows = Vec::new();
        for (index, (said, read_at)) in said.iter().zip(read_at).enumerate() {
            let text = format!("{} {A}", START + said);
            let now = Timestamp::from_secs(START + read_at);
            let line = Line {
                text: text.as_bytes(),
                source: &live,
                id: index as u64,
                received_at: now,
            };
            overflows.extend(detector.handle(&line, now));
            overflows.extend(detector.tick(now));
        }
        told(&overflows)
    };
    assert_eq!(
        read(&[0, 0, 0], &[0, 5, 9]),
        ["9s t/s 1.2.3.4 x3"],
        "read within 10 s: what is young happens now"
    );
    assert_eq!(read(&[0, 9, 18], &[0, 9, 18]), Vec::<String>::new());
    // Written while nobody read: three in two seconds are three in two seconds, an hour later.
    assert_eq!(read(&[0, 1, 2], &[3600, 3600, 3601]), ["2s t/s 1.2.3.4 x3"]);
    assert_eq!(
        read(&[0, 20, 40], &[3600, 3600, 3600]),
        Vec::<String>::new()
    );
}

#[test]
fn a_proxy_is_never_blamed() {
    let parser = PARSER.replace(
        "  - meta: user\n",
        "  - meta: forwarded_for\n    expression: evt.Parsed.user\n  - meta: user\n",
    );
    let files = [
        ("parsers/s01-parse/test.yaml", parser.as_str()),
        ("scenarios/test.yaml", &scenario("trigger", "")),
    ];
    let rules = with_files(&files).unwrap();
    let source = Arc::new(Source {
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..(*source()).clone()
    });
    let mut detector = Detector::new(rules, Limits::default(), 7);
    let lines = [
        "0 10.0.0.1 203.0.113.9,10.0.0.2 x",
        "1 10.0.0.1 - x",
        "2 8.8.8.8 203.0.113.9 x",
    ]
    .map(str::to_owned);
    let overflows = feed(&mut detector, &source, &lines);
    assert_eq!(
        told(&overflows),
        ["0s t/s 203.0.113.9 x1", "2s t/s 8.8.8.8 x1"]
    );
    assert_eq!(detector.counters().proxy_unresolved, 1);
}

/// An allowlist of rules is about clients, not about the proxy that they came through.
#[test]
fn allowlists_judge_the_client_behind_a_trusted_proxy() {
    let parser = PARSER.replace(
        "  - meta: user\n",
        "  - meta: forwarded_for\n    expression: evt.Parsed.user\n  - meta: user\n",
    );
    let lists = [
        "whitelist:\n  reason: private\n  ip: [8.8.8.8]\n  cidr: [10.0.0.0/8, 192.168.0.0/16]\n",
        "whitelist:\n  reason: private\n  expression:\n    - evt.Meta.source_ip in ['8.8.8.8', '10.0.0.1', '192.168.0.7']\n",
    ];
    for list in lists {
        let list = format!("name: t/list\ndescription: d\nfilter: 'true'\n{list}");
        let files = [
            ("parsers/s01-parse/test.yaml", parser.as_str()),
            ("parsers/s02-enrich/list.yaml", list.as_str()),
            ("scenarios/test.yaml", &scenario("trigger", "")),
        ];
        let source = Arc::new(Source {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..(*source()).clone()
        });
        let mut detector = Detector::new(with_files(&files).unwrap(), Limits::default(), 7);
        let lines = [
            "0 10.0.0.1 203.0.113.9 x",
            "1 10.0.0.1 203.0.113.9,8.8.8.8 x",
            "2 10.0.0.1 8.8.8.8,203.0.113.10,10.0.0.2 x",
            "3 192.168.0.7 203.0.113.9 x",
            "4 10.0.0.1 192.168.0.7 x",
            "5 203.0.113.11 8.8.8.8 x",
        ];
        let overflows = feed(&mut detector, &source, &lines.map(str::to_owned));
        assert_eq!(
            told(&overflows),
            [
                "0s t/s 203.0.113.9 x1",
                "2s t/s 203.0.113.10 x1",
                "5s t/s 203.0.113.11 x1"
            ],
            "{list}"
        );
        assert_eq!(detector.counters().whitelisted, 3, "{list}");
    }
}

/// Lines that come out of order, as several log files read one after the other do: what counts is when they happened.
#[test]
fn lines_out_of_order_are_counted_when_they_happened() {
    let window = scenario(
        "conditional",
        "capacity: -1\nleakspeed: 10m\ncache_size: 3\ncondition: \"len(queue.Queue) >= 3 && queue.Queue[-1].Time - queue.Queue[-3].Time <= duration('10m')\"",
    );
    // Three within a quarter of an hour in any order are none within ten minutes.
    check_times(&window, &[0, 450, 900], &[]);
    check_times(&window, &[900, 450, 899, 0], &["900s t/s 1.2.3.4 x3"]);
    check_times(&window, &[900, 450, 290], &[]);
    check_times(&window, &[450, 0, 900], &[]);
    check_times(&window, &[400, 0, 500], &["500s t/s 1.2.3.4 x3"]);
    // What is older than the bucket's life does not belong into it.
    check_times(&window, &[1000, 1, 2, 3, 1001], &[]);

    let leaky = scenario("leaky", "capacity: 2\nleakspeed: 10s");
    // A backlog that never ran over in its own order does not in another one.
    check_times(&leaky, &[40, 20, 30], &[]);
    check_times(&leaky, &[20, 0, 10, 30, 40], &[]);
    check_times(&leaky, &[30, 20, 10, 40], &[]);
    // One that did still does.
    check_times(&leaky, &[20, 1, 0, 2], &["20s t/s 1.2.3.4 x4"]);
    check_times(&leaky, &[1, 0, 2], &["2s t/s 1.2.3.4 x3"]);
    check_times(&leaky, &[2, 0, 1], &["2s t/s 1.2.3.4 x3"]);
    // Seconds that are swapped in a burst hide nothing.
    let burst: Vec<u64> = (0..40).map(|n| [10, 9][n % 2] + n as u64 / 8).collect();
    let small = scenario("leaky", "capacity: 30\nleakspeed: 10s\ncache_size: 2");
    check_times(&small, &burst, &["13s t/s 1.2.3.4 x31"]);
    // Older than all that is remembered: each line costs at most what it would have cost alone.
    let old: Vec<u64> = (0..31)
        .map(|n| 320 + n / 8)
        .chain((0..30).map(|n| n * 10))
        .collect();
    check_times(
        &scenario("leaky", "capacity: 31\nleakspeed: 10s\ncache_size: 2"),
        &old,
        &[],
    );
}

const LISTED: &str = "name: t/list\ndescription: d\nfilter: 'true'\nwhitelist:\n  reason: ours\n  ip: [1.1.1.1, 3.3.3.3]\n";

#[test]
fn a_whitelisted_detection_is_not_poured_again() {
    let again = "type: leaky\nname: t/first\ndescription: d\nfilter: evt.Meta.log_type == 'x'\ngroupby: evt.Meta.source_ip\ncapacity: 1\nleakspeed: 10s\nreprocess: true\n---\ntype: trigger\nname: t/second\ndescription: d\nfilter: evt.Overflow.Alert?.GetScenario() == 't/first'\n";
    let files = [
        ("parsers/s01-parse/test.yaml", PARSER),
        ("scenarios/test.yaml", again),
        ("postoverflows/s01-whitelist/list.yaml", LISTED),
    ];
    let mut detector = Detector::new(with_files(&files).unwrap(), Limits::default(), 7);
    let lines = [
        "0 1.1.1.1 a x",
        "0 1.1.1.1 a x",
        "1 2.2.2.2 a x",
        "1 2.2.2.2 a x",
    ];
    let overflows = feed(&mut detector, &source(), &lines.map(str::to_owned));
    assert_eq!(
        told(&overflows),
        [
            "0s t/first 1.1.1.1 x2",
            "1s t/first 2.2.2.2 x2",
            "1s t/second 2.2.2.2 x1"
        ]
    );
    assert_eq!(overflows[0].whitelisted.as_deref(), Some("ours"));
}

#[test]
fn of_several_attackers_the_listed_ones_are_let_off() {
    let by_user = "type: leaky\nname: t/s\ndescription: d\nfilter: evt.Meta.log_type == 'x'\ngroupby: evt.Meta.user\ndistinct: evt.Meta.source_ip\ncapacity: 1\nleakspeed: 1m\n";
    let files = [
        ("parsers/s01-parse/test.yaml", PARSER),
        ("scenarios/test.yaml", by_user),
        ("postoverflows/s01-whitelist/list.yaml", LISTED),
    ];
    let cases = [
        (
            ["0 1.1.1.1 a x", "0 2.2.2.2 a x"],
            "0s t/s 2.2.2.2 x2",
            None,
        ),
        (
            ["0 5.5.5.5 a x", "0 2.2.2.2 a x"],
            "0s t/s 2.2.2.2+5.5.5.5 x2",
            None,
        ),
        (
            ["0 1.1.1.1 a x", "0 3.3.3.3 a x"],
            "0s t/s 1.1.1.1+3.3.3.3 x2",
            Some("ours"),
        ),
    ];
    for (lines, expected, whitelisted) in cases {
        let mut detector = Detector::new(with_files(&files).unwrap(), Limits::default(), 7);
        let overflows = feed(&mut detector, &source(), &lines.map(str::to_owned));
        assert_eq!(told(&overflows), [expected]);
        assert_eq!(
            overflows[0].whitelisted.as_deref(),
            whitelisted,
            "{lines:?}"
        );
    }
}

/// What a rule makes of a line, and detections that are poured again, are in the budget like all the rest.
#[test]
fn scopes_and_detections_that_are_kept_are_counted() {
    let long = "u".repeat(20_000);
    let scoped = scenario(
        "leaky",
        "capacity: 5\nleakspeed: 1h\nscope:\n  type: own\n  expression: evt.Meta.user + evt.Meta.user",
    );
    let mut detector = Detector::new(rules(&scoped).unwrap(), Limits::default(), 7);
    feed(&mut detector, &source(), &[format!("0 1.2.3.4 {long} x")]);
    let taken = detector.counters().bucket_bytes;
    assert!((8000..10_000).contains(&taken), "cut and counted: {taken}");

    let again = "type: leaky\nname: t/first\ndescription: d\nfilter: evt.Meta.log_type == 'x'\ngroupby: evt.Meta.source_ip\ncapacity: 19\nleakspeed: 10s\nreprocess: true\n---\ntype: leaky\nname: t/second\ndescription: d\nfilter: evt.Overflow.Alert?.GetScenario() == 't/first'\ncapacity: 5\nleakspeed: 1h\n";
    let mut detector = Detector::new(rules(again).unwrap(), Limits::default(), 7);
    let lines = vec![format!("0 1.2.3.4 {} x", &long[..2000]); 20];
    assert_eq!(feed(&mut detector, &source(), &lines).len(), 1);
    let taken = detector.counters().bucket_bytes;
    assert!(
        taken > 40_000,
        "the detection with its twenty lines: {taken}"
    );
}

/// Rules whose detections set off each other twofold come to an end.
#[test]
fn detections_that_multiply_come_to_an_end() {
    let double = |name: &str| {
        format!(
            "type: trigger\nname: {name}\ndescription: d\nfilter: evt.Meta.log_type == 'x' || evt.Overflow.Alert?.GetScenario() != ''\nreprocess: true\n"
        )
    };
    let four = ["t/a", "t/b", "t/c", "t/d"].map(double).join("---\n");
    let mut detector = Detector::new(rules(&four).unwrap(), Limits::default(), 7);
    let overflows = feed(&mut detector, &source(), &[format!("0 {A}")]);
    assert!(
        (100..1000).contains(&overflows.len()),
        "{}",
        overflows.len()
    );
}

/// A bucket whose scope cannot be told takes no room.
#[test]
fn a_scope_that_fails_leaves_no_bucket() {
    let failing = scenario(
        "leaky",
        "capacity: 5\nleakspeed: 1h\nscope:\n  type: own\n  expression: \"evt.Meta.user == 'bad' ? fromJSON(evt.Meta.user) : evt.Meta.user\"",
    );
    let mut detector = Detector::new(rules(&failing).unwrap(), Limits::default(), 7);
    feed(&mut detector, &source(), &["0 1.2.3.4 bad x".to_owned()]);
    let counters = detector.counters();
    assert_eq!((counters.buckets, counters.failures), (0, 1));
}

/// Who logs in is told, whatever the log says besides; and what a detection is about.
#[test]
fn logins_are_told_and_the_services_of_a_detection() {
    let bundled = Arc::new(crate::bundled::rules().unwrap());
    let log = [
        "Accepted password for alice from 198.51.100.7 port 40711 ssh2",
        "Accepted publickey for alice from 198.51.100.7 port 40712 ssh2: ED25519 SHA256:abc",
        "Accepted publickey for bob from ::ffff:192.0.2.8 port 40711 ssh2: ED25519 SHA256:abc",
        "Failed password for root from 203.0.113.9 port 1 ssh2",
    ];
    let told = |dated: bool, replay: bool| {
        let source = Arc::new(Source {
            log_time: replay,
            ..Source::file("auth.log", "sshd")
        });
        let mut detector = Detector::new(Arc::clone(&bundled), Limits::default(), 7);
        for (id, text) in log.iter().enumerate() {
            let head = if dated {
                "Mar  1 10:00:00 host sshd[7]: "
            } else {
                ""
            };
            let text = format!("{head}{text}");
            let line = Line {
                text: text.as_bytes(),
                source: &source,
                id: id as u64,
                received_at: Timestamp::from_secs(START),
            };
            detector.handle(&line, Timestamp::from_secs(START));
        }
        let logins = detector.take_logins();
        assert_eq!(detector.take_logins(), []);
        logins
    };
    let login = |address: &str| crate::Login {
        address: address.parse().unwrap(),
        service: "ssh".to_owned(),
    };
    for (dated, replay) in [(true, true), (true, false), (false, true), (false, false)] {
        assert_eq!(
            told(dated, replay),
            [login("198.51.100.7"), login("192.0.2.8")],
            "dated {dated}, replay {replay}"
        );
    }

    let parser = PARSER.replace(
        "  - meta: user\n",
        "  - meta: service\n    expression: evt.Parsed.user\n  - meta: user\n",
    );
    let list = "name: t/list\ndescription: d\nfilter: 'true'\nwhitelist:\n  reason: ours\n  ip: [1.1.1.1]\n";
    let files = [
        ("parsers/s01-parse/test.yaml", parser.as_str()),
        ("parsers/s02-enrich/list.yaml", list),
        (
            "scenarios/test.yaml",
            &scenario("leaky", "capacity: 2\nleakspeed: 10s"),
        ),
    ];
    let mut detector = Detector::new(with_files(&files).unwrap(), Limits::default(), 7);
    let lines = [
        "0 5.5.5.5 http x",
        "0 5.5.5.5 ssh x",
        "0 5.5.5.5 ssh x",
        "0 1.1.1.1 ssh auth_success",
        "0 2001:db8::7 web auth_success",
        "0 nobody web auth_success",
        "0 2.2.2.2 pbs pbs_success-auth",
    ];
    let overflows = feed(&mut detector, &source(), &lines.map(str::to_owned));
    assert_eq!(Vec::from_iter(overflows[0].services()), ["http", "ssh"]);
    let logins = detector.take_logins();
    let logins: Vec<_> = logins
        .iter()
        .map(|login| format!("{} {}", login.address, login.service))
        .collect();
    assert_eq!(logins, ["2001:db8::7 web", "2.2.2.2 pbs"]);
}

#[test]
fn buckets_keep_to_their_budget_and_a_flood_pays_for_itself() {
    let flood = scenario("leaky", "capacity: 2\nleakspeed: 1h");
    let other = "---\ntype: leaky\nname: t/other\ndescription: d\nfilter: evt.Meta.log_type == 'y'\ngroupby: evt.Meta.source_ip\ncapacity: 1\nleakspeed: 1h\n";
    let rules = rules(&format!("{flood}{other}")).unwrap();
    let limits = Limits {
        bucket_bytes_max: 100_000,
    };
    let mut detector = Detector::new(rules, limits, 7);
    let source = source();
    feed(&mut detector, &source, &["0 9.9.9.9 a y".to_owned()]);
    for number in 0..2000u32 {
        let line = format!(
            "1 {} a x",
            std::net::Ipv4Addr::from_bits(0x0100_0000 + number)
        );
        feed(&mut detector, &source, &[line]);
        assert!(detector.counters().bucket_bytes <= limits.bucket_bytes_max as u64);
    }
    assert!(detector.counters().evicted > 1000);
    let overflows = feed(&mut detector, &source, &["2 9.9.9.9 a y".to_owned()]);
    assert_eq!(
        told(&overflows),
        ["2s t/other 9.9.9.9 x2"],
        "the quiet scenario kept its bucket"
    );
}

#[test]
fn nothing_is_left_when_all_is_over() {
    let rules = rules(&scenario(
        "leaky",
        "capacity: 5\nleakspeed: 10s\ndistinct: evt.Meta.user",
    ))
    .unwrap();
    let mut detector = Detector::new(rules, Limits::default(), 7);
    let lines: Vec<String> = (0..300)
        .map(|n| format!("{n} 1.2.3.{} u{} x", n % 7, n % 5))
        .collect();
    feed(&mut detector, &source(), &lines);
    assert!(detector.next_deadline().is_some());
    detector.tick(Timestamp::MAX);
    let counters = detector.counters();
    assert_eq!(
        (
            counters.buckets,
            counters.bucket_bytes,
            detector.next_deadline()
        ),
        (0, 0, None)
    );
}

#[test]
fn mistakes_in_scenarios_are_said() {
    let wrong = |text: &str, expected: &str| {
        let error = rules(text).expect_err(text).to_string();
        assert!(
            error.contains(expected),
            "{error} does not say {expected:?}"
        );
    };
    wrong(
        &scenario("leaky", "leakspeed: 10s"),
        "capacity: a leaky bucket holds at least one",
    );
    wrong(
        &scenario("leaky", "capacity: 1"),
        "leakspeed: a leaky bucket needs one",
    );
    wrong(
        &scenario("leeky", "capacity: 1"),
        "scenarios/test.yaml:1: type: unknown type \"leeky\", did you mean leaky?",
    );
    wrong(
        &scenario("trigger", "capacity: 3"),
        "a trigger runs over at once",
    );
    wrong(
        &scenario("counter", "capacity: -1"),
        "duration: a counter needs one",
    );
    wrong(
        &scenario("conditional", "leakspeed: 1m"),
        "condition: a conditional bucket needs one",
    );
    wrong(
        &scenario("leaky", "capacity: 1\nleakspeed: soon"),
        "test.yaml:7: leakspeed",
    );
    wrong(
        &scenario("trigger", "scope:\n  type: user"),
        "scope.expression: a scope of one's own needs one",
    );
    wrong(
        &scenario("trigger", "blackhole: 1m\ndistinct: evt.Mata.user"),
        "distinct",
    );
    wrong(&scenario("trigger", "format: 9.0"), "format");
    wrong(
        "type: trigger\nname: a/b\ndescription: c\n",
        "filter: every scenario needs one",
    );
    let twice = scenario("trigger", "");
    wrong(
        &format!("{twice}---\n{twice}"),
        "a scenario t/s is loaded already",
    );
}

fn sequence() -> impl Strategy<Value = Vec<(u64, u8, u8)>> {
    prop::collection::vec((0u64..8, 0u8..3, 0u8..3), 1..120)
}

/// A leaky bucket as one would write it on paper: tokens as numbers, everything in maps, no expiry but the rule.
struct Plain {
    capacity: f64,
    leak: f64,
    life: f64,
    blackhole: f64,
    distinct: bool,
    buckets: HashMap<u8, (f64, f64, u32, HashSet<u8>)>,
    silent: HashMap<u8, f64>,
}

impl Plain {
    fn pour(&mut self, at: f64, who: u8, user: u8) -> Option<u32> {
        if self
            .buckets
            .get(&who)
            .is_some_and(|(_, last, _, _)| at > last + self.life)
        {
            self.buckets.remove(&who);
        }
        let (tokens, last, count, seen) =
            self.buckets
                .entry(who)
                .or_insert((self.capacity, at, 0, HashSet::new()));
        if self.distinct && !seen.insert(user) {
            return None;
        }
        *tokens = (*tokens + (at - *last) / self.leak).min(self.capacity);
        *last = at;
        *count += 1;
        if *tokens >= 1.0 - 1e-9 {
            *tokens -= 1.0;
            return None;
        }
        let count = *count;
        self.buckets.remove(&who);
        if self.silent.get(&who).is_some_and(|until| *until > at) {
            return None;
        }
        self.silent.insert(who, at + self.blackhole);
        Some(count)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn leaky_buckets_do_what_the_plain_model_does(
        events in sequence(), capacity in 1i64..5, leak in 1u64..12, blackhole in 0u64..20, distinct: bool,
    ) {
        let mut rest = format!("capacity: {capacity}\nleakspeed: {leak}s\nblackhole: {blackhole}s");
        if distinct {
            rest.push_str("\ndistinct: evt.Meta.user");
        }
        let mut detector = Detector::new(rules(&scenario("leaky", &rest)).unwrap(), Limits::default(), 7);
        let mut plain = Plain {
            capacity: capacity as f64, leak: leak as f64, life: (leak * (capacity as u64 + 1)) as f64,
            blackhole: blackhole as f64, distinct, buckets: HashMap::new(), silent: HashMap::new(),
        };
        let (mut at, mut lines, mut expected) = (0, Vec::new(), Vec::new());
        for (step, who, user) in events {
            at += step;
            lines.push(format!("{at} 9.9.9.{who} u{user} x"));
            if let Some(count) = plain.pour(at as f64, who, user) {
                expected.push(format!("{at}s t/s 9.9.9.{who} x{count}"));
            }
        }
        prop_assert_eq!(told(&feed(&mut detector, &source(), &lines)), expected);
    }

    /// In no order of its lines does a log give a detection that it does not give in order.
    #[test]
    fn no_order_of_the_lines_makes_a_detection(
        times in prop::collection::vec(0u64..300, 1..40).prop_shuffle(), capacity in 1i64..5, cache in 1i64..5,
    ) {
        let leaky = scenario("leaky", &format!("capacity: {capacity}\ncache_size: {cache}\nleakspeed: 10s"));
        let window = "type: conditional\nname: t/w\ndescription: d\nfilter: evt.Meta.log_type == 'x'\ngroupby: evt.Meta.source_ip\ncapacity: -1\nleakspeed: 40s\ncache_size: 4\ncondition: \"len(queue.Queue) >= 4 && queue.Queue[-1].Time - queue.Queue[-4].Time <= duration('40s')\"";
        let rules = rules(&format!("{leaky}---\n{window}\n")).unwrap();
        let found = |times: &[u64]| -> HashSet<String> {
            let mut detector = Detector::new(Arc::clone(&rules), Limits::default(), 7);
            let overflows = feed(&mut detector, &source(), &lines_of(A, times));
            overflows.iter().map(|overflow| overflow.scenario.to_string()).collect()
        };
        let mut sorted = times.clone();
        sorted.sort_unstable();
        prop_assert!(found(&times).is_subset(&found(&sorted)));
    }

    /// Saved and put back at any point, by way of bytes, the detector goes on as if nothing had been.
    #[test]
    fn a_snapshot_changes_nothing(events in sequence(), cut in 0usize..120) {
        let rest = "capacity: 2\nleakspeed: 5s\nblackhole: 9s\ndistinct: evt.Meta.user";
        let counter = scenario("counter", "capacity: -1\nduration: 7s").replace("t/s", "t/c");
        let rules = rules(&format!("{}---\n{counter}", scenario("leaky", rest))).unwrap();
        let mut at = 0;
        let mut line = |(step, who, user): &(u64, u8, u8)| {
            at += step;
            format!("{at} 9.9.9.{who} u{user} x")
        };
        let lines: Vec<String> = events.iter().map(&mut line).collect();
        let cut = cut.min(lines.len());
        let mut whole = Detector::new(Arc::clone(&rules), Limits::default(), 7);
        let mut first = Detector::new(Arc::clone(&rules), Limits::default(), 7);
        let mut expected = feed(&mut whole, &source(), &lines);
        expected.extend(whole.tick(Timestamp::MAX));

        let mut actual = feed(&mut first, &source(), &lines[..cut]);
        let bytes = lymph_protocol::codec::encode::<_, 1_000_000>(1, &first.snapshot()).unwrap();
        let snapshot = lymph_protocol::codec::decode::<_, 1_000_000>(1, &bytes).unwrap();
        let mut second = Detector::new(rules, Limits::default(), 99);
        second.restore(snapshot);
        actual.extend(feed(&mut second, &source(), &lines[cut..]));
        actual.extend(second.tick(Timestamp::MAX));
        prop_assert_eq!(told(&actual), told(&expected));
    }
}

fn rule(behavior: &str, capacity: i64, group_by: &str) -> String {
    format!(
        "type: leaky\nname: test/primed\ndescription: x\nfilter: \"true\"\ngroupby: {group_by}\n\
         capacity: {capacity}\nleakspeed: 10s\nlabels:\n  behavior: \"{behavior}\"\n  remediation: true\n"
    )
}

#[test]
fn whom_others_speak_of_is_caught_sooner() {
    // Seconds of one event each; when it runs over with the threshold lowered, and without.
    let check = |rule: &str, seconds: &[u64], primed: &[u64], plain: &[u64]| {
        for (is_primed, expected) in [(true, primed), (false, plain)] {
            let mut detector = Detector::new(rules(rule).unwrap(), Limits::default(), 1);
            let subject = lymph_protocol::Subject::of([192, 0, 2, 1].into());
            detector.prime(subject, is_primed);
            assert_eq!(detector.is_primed(subject), is_primed);
            let lines: Vec<_> = seconds
                .iter()
                .map(|at| format!("{at} 192.0.2.1 root bad"))
                .collect();
            let seen = feed(&mut detector, &source(), &lines);
            let times: Vec<_> = seen
                .iter()
                .map(|overflow| overflow.last_seen.secs() - START)
                .collect();
            assert_eq!(times, expected, "{rule} primed: {is_primed}");
            assert!(seen.iter().all(|overflow| overflow.is_primed == is_primed));
        }
    };
    let at_once = [0, 1, 2, 3, 4, 5, 6];
    let source_ip = "evt.Meta.source_ip";
    let brute = |capacity| rule("ssh:bruteforce", capacity, source_ip);
    // Two events in place of six; three in place of nine.
    check(&brute(5), &at_once, &[1, 3, 5], &[5]);
    check(&brute(8), &[0, 1, 2, 3, 4, 5, 6, 7, 8], &[2, 5, 8], &[8]);
    // An event that leaked out whole is forgotten as ever.
    check(&brute(5), &[0, 10, 20, 30], &[], &[]);
    check(&brute(5), &[0, 9], &[9], &[]);
    // Two events are needed at least, and a rule that needs no more is as it was.
    let exploit = rule("http:exploit", 2, "evt.Meta.source_ip + evt.Meta.user");
    check(&exploit, &at_once[..4], &[1, 3], &[2]);
    for (behavior, group_by) in [
        ("http:crawl", source_ip),
        ("http:scan", source_ip),
        ("ssh:bruteforce", "evt.Meta.user"),
    ] {
        let mut detector = Detector::new(
            rules(&rule(behavior, 5, group_by)).unwrap(),
            Limits::default(),
            1,
        );
        detector.prime(lymph_protocol::Subject::of([192, 0, 2, 1].into()), true);
        let lines = at_once.map(|at| format!("{at} 192.0.2.1 root bad"));
        let seen = feed(&mut detector, &source(), &lines);
        assert_eq!(seen.len(), 1, "{behavior} {group_by}");
        assert!(!seen[0].is_primed);
    }
    let mut one = Detector::new(rules(&brute(1)).unwrap(), Limits::default(), 1);
    one.prime(lymph_protocol::Subject::of([192, 0, 2, 1].into()), true);
    let lines = [
        "0 192.0.2.1 root bad".to_owned(),
        "1 192.0.2.1 root bad".to_owned(),
    ];
    assert!(!feed(&mut one, &source(), &lines)[0].is_primed);
    // Others are not caught sooner for it.
    let mut detector = Detector::new(rules(&brute(5)).unwrap(), Limits::default(), 1);
    detector.prime(lymph_protocol::Subject::of([192, 0, 2, 1].into()), true);
    let lines = at_once[..5]
        .iter()
        .map(|at| format!("{at} 192.0.2.2 root bad"));
    assert_eq!(
        feed(&mut detector, &source(), &lines.collect::<Vec<_>>()),
        []
    );
}

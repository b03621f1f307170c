//! Lists as they are found in the wild, and as they should not be.

use std::io::BufReader;

use proptest::prelude::*;

use super::write::{Row, write_csv, write_json, write_plain};
use super::*;

fn read_as(format: Option<Format>, text: &[u8]) -> Result<(Vec<Listed>, Report), ListError> {
    let options = Options {
        format,
        min_count: 3,
    };
    let mut all = Vec::new();
    let report = read(text, options, &mut |listed| all.push(listed))?;
    assert_eq!(report.entries, all.len() as u64);
    // However it comes in.
    let mut again = Vec::new();
    let dribble = BufReader::with_capacity(3, text);
    let same = read(dribble, options, &mut |listed| again.push(listed)).unwrap();
    assert_eq!((&all, &report), (&again, &same));
    Ok((all, report))
}

/// `target kind seconds reason` a line, `-` for what is not said.
fn printed(all: &[Listed]) -> Vec<String> {
    let print = |listed: &Listed| {
        let kind = listed.kind.map_or("-", Kind::name);
        let seconds = listed.duration.map(|length| length.as_secs().to_string());
        let seconds = seconds.unwrap_or_else(|| "-".to_owned());
        let reason = listed.reason.as_deref().unwrap_or("-");
        format!("{} {kind} {seconds} {reason}", listed.target)
    };
    all.iter().map(print).collect()
}

fn check(format: Format, text: &str, expected: &[&str], problems: &[(u64, &str)]) {
    let (all, report) = read_as(None, text.as_bytes()).expect(text);
    assert_eq!(report.format, format, "{text}");
    assert_eq!(printed(&all), expected, "{text}");
    let found = &report.problems;
    assert_eq!(found.len(), problems.len(), "{text}: {found:?}");
    assert_eq!(report.problem_count, problems.len() as u64);
    for (found, (line, what)) in found.iter().zip(problems) {
        assert!(
            found.line == *line && found.what.contains(what),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn plain_lists() {
    let check = |text, expected: &[&str], problems: &[(u64, &str)]| {
        let expected: Vec<_> = expected
            .iter()
            .map(|target| format!("{target} - - -"))
            .collect();
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        check(Format::Plain, text, &expected, problems);
    };
    check("", &[], &[]);
    check("\n# nothing\n; at all\n", &[], &[]);
    check("192.0.2.1", &["192.0.2.1"], &[]);
    check(
        "\u{feff}192.0.2.1\r\n\r\n2001:db8::1\r\n",
        &["192.0.2.1", "2001:db8::/64"],
        &[],
    );
    check(
        "; Spamhaus DROP List\n192.0.2.0/24 ; SBL123\n198.51.100.0/24;SBL4\n",
        &["192.0.2.0/24", "198.51.100.0/24"],
        &[],
    );
    check(
        "  192.0.2.1 # why\n192.0.2.2\tlast seen today, twice\n",
        &["192.0.2.1", "192.0.2.2"],
        &[],
    );
    check("192.0.2.1-192.0.2.3\n", &["192.0.2.1", "192.0.2.2/31"], &[]);
    check("192.0.2.0 - 192.0.2.255 bad people", &["192.0.2.0/24"], &[]);
    check("2001:db8::-2001:db8:0:1::", &["2001:db8::/63"], &[]);
    check("192.0.2.1,2026-01-01,ssh\n", &["192.0.2.1"], &[]);
    check(
        "192.0.2.1\n192.0.2\nexample.org\n192.0.2.9-192.0.2.1\n192.0.2.0/33\n192.0.2.0 192.0.2.255 24\n\x1b[2J\n192.0.2.2\n",
        &["192.0.2.1", "192.0.2.2"],
        &[
            (2, "\"192.0.2\" is neither"),
            (3, "\"example.org\" is neither"),
            (4, "\"192.0.2.9-192.0.2.1\" is no range"),
            (5, "192.0.2.0/33"),
            (6, "write a range as first-last"),
            (7, "\"[2J\" is neither"),
        ],
    );
    let long = format!("192.0.2.1 {}\n192.0.2.2\n", "x".repeat(LINE_BYTES_MAX));
    check(&long, &["192.0.2.2"], &[(1, "longer than 4096 bytes")]);
    let comment = format!("# {}\n192.0.2.2\n", "x".repeat(3 * LINE_BYTES_MAX));
    check(&comment, &["192.0.2.2"], &[]);
}

#[test]
fn ipsum_lists_by_their_counts() {
    let text = "# IPsum Threat Intelligence Feed\n#\n192.0.2.1\t11\n192.0.2.2\t3\n192.0.2.3\t2\nx\t9\n192.0.2.4\tmany\n";
    let problems = [(6, "\"x\" is neither"), (7, "no number")];
    check(
        Format::Ipsum,
        text,
        &["192.0.2.1 - - -", "192.0.2.2 - - -"],
        &problems,
    );
    let (_, report) = read_as(None, text.as_bytes()).unwrap();
    assert_eq!(report.below_min_count, 1);
    let (all, report) = read_as(None, b"192.0.2.1\t1\n").unwrap();
    assert!(all.is_empty() && report.below_min_count == 1);
    let (all, _) = read_as(Some(Format::Plain), text.as_bytes()).unwrap();
    assert_eq!(all.len(), 4, "overridden: the numbers mean nothing");
}

#[test]
fn crowdsec_json_as_it_is_imported() {
    let check = |text, expected: &[&str], problems: &[(u64, &str)]| {
        check(Format::CrowdsecJson, text, expected, problems);
    };
    check("[]", &[], &[]);
    check("null\n", &[], &[]);
    check(
        " \n[ {\"value\": \"192.0.2.1\"} ]",
        &["192.0.2.1 - - -"],
        &[],
    );
    check(
        r#"{"value": "192.0.2.1", "type": "ban"}"#,
        &["192.0.2.1 ban - -"],
        &[],
    );
    check(
        r#"[
{"duration": "4h0m0s", "reason": "by hand", "scope": "ip", "type": "ban", "value": "192.0.2.1", "origin": "x"},
{"Duration": "1d", "scenario": "a/b", "scope": "Range", "type": "Captcha", "value": "192.0.2.0/24", "more": {"x": [1]}},
{"value": "2001:db8::1", "scope": "", "type": "throttle", "duration": null, "reason": " "}
]"#,
        &[
            "192.0.2.1 ban 14400 by hand",
            "192.0.2.0/24 captcha 86400 a/b",
            "2001:db8::/64 throttle - -",
        ],
        &[],
    );
    check(
        r#"[
{"value": "root", "scope": "username"},
{"value": "FR", "scope": "Country"},
{"value": "64500", "scope": "AS"},
{"value": "192.0.2.1", "type": "mfa"},
{"value": "192.0.2.1", "duration": "-2m3s"},
{"value": "192.0.2.1", "duration": "soon"},
{"value": "192.0.2.1", "duration": 4},
{"value": ["192.0.2.1"]},
{"value": "192.0.2.1", "simulated": true},
{"type": "ban"},
"192.0.2.1", 7, null, [1, [2]],
{"value": "192.0.2.7"}]"#,
        &["192.0.2.7 - - -"],
        &[
            (2, "scope \"username\""),
            (3, "scope \"Country\""),
            (4, "scope \"AS\""),
            (5, "type \"mfa\""),
            (6, "already over"),
            (7, "invalid duration"),
            (8, "\"duration\" is no text"),
            (9, "\"value\" is no text"),
            (10, "simulated"),
            (11, "no value"),
            (12, "no object"),
            (12, "no object"),
            (12, "no object"),
            (12, "no object"),
        ],
    );
    check(
        "[{\"value\": \"192.0.2.1\"},\n{\"value\": \"192.0.2.2\", ",
        &["192.0.2.1 - - -"],
        &[(2, "broken JSON")],
    );
    check(
        "[{\"value\": \"192.0.2.1\"}] x",
        &["192.0.2.1 - - -"],
        &[(1, "broken JSON")],
    );
}

#[test]
fn crowdsec_json_as_it_is_listed() {
    let text = r#"[
 {
  "capacity": 0, "created_at": "2026-11-24T10:00:00Z",
  "decisions": [
   {"duration": "3h59m50.5s", "id": 2, "origin": "crowdsec", "scenario": "crowdsecurity/ssh-bf",
    "scope": "Ip", "simulated": false, "type": "ban", "uuid": "x", "value": "192.0.2.1"},
   {"duration": "1h", "id": 3, "origin": "CAPI", "scenario": "x", "scope": "Range", "simulated": true,
    "type": "ban", "value": "192.0.2.0/24"}
  ],
  "events": [{"meta": [{"key": "value", "value": "203.0.113.1"}], "timestamp": ""}],
  "events_count": 6, "scenario": "crowdsecurity/ssh-bf",
  "source": {"scope": "Ip", "value": "203.0.113.2", "cn": "FR"}
 },
 {"events_count": 1, "decisions": null, "scenario": "y", "source": {"value": "203.0.113.3"}},
 {"events_count": 1, "scenario": "z"}
]"#;
    let expected = ["192.0.2.1 ban 14390 crowdsecurity/ssh-bf"];
    check(Format::CrowdsecJson, text, &expected, &[(7, "simulated")]);
}

#[test]
fn crowdsec_csv() {
    let check = |text, expected: &[&str], problems: &[(u64, &str)]| {
        check(Format::CrowdsecCsv, text, expected, problems);
    };
    check("duration,reason,scope,type,value\n", &[], &[]);
    check("value\n192.0.2.1\n", &["192.0.2.1 - - -"], &[]);
    check(
        "\u{feff}duration,reason,scope,type,value\r\n4h,\"by hand, twice\",ip,ban,192.0.2.1\r\n24h,x,range,captcha,192.0.2.0/24\r\n",
        &[
            "192.0.2.1 ban 14400 by hand, twice",
            "192.0.2.0/24 captcha 86400 x",
        ],
        &[],
    );
    check(
        "# mine\n Value , Unknown, DURATION\n192.0.2.1,7,\n192.0.2.2\n\n192.0.2.3,,1h,more,and more\nnobody,,\n192.0.2.4,,never\n",
        &["192.0.2.1 - - -", "192.0.2.2 - - -", "192.0.2.3 - 3600 -"],
        &[(7, "\"nobody\" is neither"), (8, "invalid duration")],
    );
    check(
        "id,source,ip,reason,action,country,as,events_count,expiration,simulated,alert_id\n\
         1,crowdsec,Ip:192.0.2.1,crowdsecurity/ssh-bf,ban,FR,64500 Some AS,6,3h59m,false,4\n\
         2,cscli,Ip:2001:db8::1,x,ban,,,1,1h,false,5\n\
         3,cscli,Range:192.0.2.0/24,x,ban,,,1,1h,false,5\n\
         4,cscli,Country:FR,x,ban,,,1,1h,false,5\n\
         5,cscli,Ip:192.0.2.5,x,ban,,,1,1h,true,5\n\
         6,cscli,dead:beef::1,x,ban,,,1,1h,false,5\n",
        &[
            "192.0.2.1 ban 14340 crowdsecurity/ssh-bf",
            "2001:db8::/64 ban 3600 x",
            "192.0.2.0/24 ban 3600 x",
            "dead:beef::/64 ban 3600 x",
        ],
        &[(5, "scope \"Country\""), (6, "simulated")],
    );
    let open = format!(
        "value,reason\n192.0.2.1,x\n192.0.2.2,\"{}\n",
        "192.0.2.3,x\n".repeat(20_000)
    );
    check(&open, &["192.0.2.1 - - x"], &[(3, "left open")]);
}

#[test]
fn what_is_no_list_is_said_with_what_was_expected() {
    let check = |format: Option<Format>, text: &str, expected: &str| {
        let error = read_as(format, text.as_bytes())
            .expect_err(text)
            .to_string();
        assert!(
            error.contains("expected") && error.contains(expected),
            "{text}: {error}"
        );
    };
    check(None, "<html>\n<body>404</body>", "an address, a network");
    check(None, "\0\x01\x02", "an address");
    check(None, r#"{"error": "no such list"}"#, "a JSON array");
    check(None, "[1, 2, 3]", "a JSON array");
    check(None, "[", "broken JSON");
    check(Some(Format::CrowdsecJson), "192.0.2.1\n", "a JSON array");
    check(Some(Format::CrowdsecJson), "7", "a JSON array");
    check(
        Some(Format::CrowdsecCsv),
        "192.0.2.1\n192.0.2.2\n",
        "a header",
    );
    check(Some(Format::Ipsum), "192.0.2.1\n", "a tab and a number");
    check(None, &"[".repeat(100_000), "a JSON array");
}

#[test]
fn a_list_of_what_cannot_be_blocked_is_still_a_list() {
    let text = br#"[{"value": "root", "scope": "username"}]"#;
    let (all, report) = read_as(None, text).unwrap();
    assert!(all.is_empty() && report.problem_count == 1);
}

#[test]
fn problems_are_counted_and_the_first_are_kept() {
    let text = format!("192.0.2.1\n{}", "x\n".repeat(1000));
    let (all, report) = read_as(None, text.as_bytes()).unwrap();
    assert_eq!((all.len(), report.problem_count), (1, 1000));
    assert_eq!(report.problems.len(), PROBLEMS_MAX);
    assert_eq!(report.problems[19].line, 21);
}

#[test]
fn a_list_without_end_is_cut() {
    let text: String = (0..20).map(|n| format!("192.0.2.{n}\n")).collect();
    let csv = format!("value\n{text}");
    let items: String = (0..20).map(|_| "{\"value\":\"192.0.2.1\"},").collect();
    let json = format!("[{items} not even JSON");
    let alert = format!("[{{\"decisions\":[{items} not even JSON");
    for text in [text, csv, json, alert] {
        let mut count = 0;
        let each = &mut |_| count += 1;
        let report = read_up_to(10, text.as_bytes(), Options::default(), each).unwrap();
        assert_eq!(
            (report.entries, report.is_cut, report.problem_count),
            (10, true, 0)
        );
        assert_eq!(count, 10);
    }
    let ten = "192.0.2.0-192.0.2.0\n".repeat(10);
    let report = read_up_to(10, ten.as_bytes(), Options::default(), &mut |_| {}).unwrap();
    assert!(!report.is_cut, "not one too many");
}

#[test]
fn reasons_are_cleaned_and_cut_between_characters() {
    let check = |reason: &str, expected: &str| {
        assert_eq!(clean(reason, 10), expected, "{reason:?}");
    };
    check("", "");
    check("\x1b[31mred\x07\n\u{202e}x", "[31mredx");
    check("  a b  ", "a b");
    check("éééééééé", "ééééé");
    check("xéééééééé", "xéééé");
    check("123456789 x", "123456789");
    let json = format!(
        r#"[{{"value":"192.0.2.1","reason":"a\u0000b\n{}"}}]"#,
        "é".repeat(500)
    );
    let (all, _) = read_as(None, json.as_bytes()).unwrap();
    let reason = all[0].reason.as_deref().unwrap();
    assert!(reason.starts_with("abé") && reason.len() == REASON_BYTES_MAX);
}

/// The same two decisions as CrowdSec's importer is tested with, in both of its formats.
#[test]
fn crowdsecs_own_samples() {
    let expected = [
        "1.6.11.16 ban 3600 manual import from csv",
        "2.7.12.17 ban 3600 manual import from csv",
    ];
    let json = r#"[
    {
        "origin": "cscli",
        "scope": "ip",
        "value": "1.6.11.16",
        "reason": "manual import from csv",
        "type": "ban",
        "duration": "1h"
    },
    {
        "origin": "cscli",
        "scope": "ip",
        "value": "2.7.12.17",
        "reason": "manual import from csv",
        "type": "ban",
        "duration": "1h"
    }
]
"#;
    let csv = "origin,scope,value,reason,type,duration
cscli,ip,1.6.11.16,manual import from csv,ban,1h
cscli,ip,2.7.12.17,manual import from csv,ban,1h
";
    check(Format::CrowdsecJson, json, &expected, &[]);
    check(Format::CrowdsecCsv, csv, &expected, &[]);
}

/// A disk or network that breaks off in the middle.
struct Broken(usize);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let bytes = buffer.len().min(self.0);
        buffer[..bytes].fill(b' ');
        self.0 -= bytes;
        Ok(bytes)
    }
}

#[test]
fn a_reader_that_fails_is_an_error_and_no_short_list() {
    let formats = [
        Format::CrowdsecJson,
        Format::CrowdsecCsv,
        Format::Plain,
        Format::Ipsum,
    ];
    for format in formats {
        for bytes in [10, 40_000] {
            let options = Options {
                format: Some(format),
                min_count: 0,
            };
            let broken = io::Cursor::new(b"[").chain(BufReader::new(Broken(bytes)));
            let error = read(broken, options, &mut |_| {}).unwrap_err();
            assert!(matches!(error, ListError::Io(_)), "{format:?}: {error}");
        }
    }
}

type Kept = (Target, Kind, u64, String);

fn kept() -> impl Strategy<Value = Kept> {
    let target = prop_oneof![
        any::<u32>()
            .prop_map(|bits| Target::of_address(std::net::Ipv4Addr::from_bits(bits).into())),
        any::<u128>()
            .prop_map(|bits| Target::of_address(std::net::Ipv6Addr::from_bits(bits).into())),
        (any::<u32>(), 8u8..32).prop_map(|(bits, len)| {
            let address = std::net::Ipv4Addr::from_bits(bits);
            format!("{address}/{len}").parse().unwrap()
        }),
    ];
    let kind = prop::sample::select(Kind::ALL.to_vec());
    let reason = r#"[a-z0-9/,;"'#\\{}\[\] éß€=+-]{0,60}"#;
    (target, kind, 1u64..400_000_000, reason)
}

proptest! {
    #[test]
    fn what_is_exported_can_be_imported(kept in prop::collection::vec(kept(), 0..20)) {
        let subjects: Vec<String> = kept.iter().map(|kept| kept.0.to_string()).collect();
        let rows = || kept.iter().zip(&subjects).map(|((_, kind, seconds_left, reason), subject)| Row {
            subject,
            scope: if subject.contains('/') { "Range" } else { "Ip" },
            kind: kind.name(),
            seconds_left: *seconds_left,
            reason,
            origin: "operator",
        });
        let expected: Vec<Listed> = kept
            .iter()
            .map(|(target, kind, seconds_left, reason)| {
                let reason = reason.trim().to_owned();
                Listed {
                    target: *target,
                    kind: Some(*kind),
                    duration: Some(Duration::from_secs(*seconds_left)),
                    reason: (!reason.is_empty()).then_some(reason),
                }
            })
            .collect();
        let (mut json, mut csv, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        write_json(&mut json, rows()).unwrap();
        write_csv(&mut csv, rows()).unwrap();
        write_plain(&mut plain, rows()).unwrap();
        serde_json::from_slice::<Vec<serde_json::Value>>(&json).unwrap();
        for (text, format) in [(&json, Format::CrowdsecJson), (&csv, Format::CrowdsecCsv)] {
            let (all, report) = read_as(None, text).unwrap();
            prop_assert_eq!((report.format, report.problem_count), (format, 0));
            prop_assert_eq!(&all, &expected);
        }
        let (all, report) = read_as(None, &plain).unwrap();
        prop_assert_eq!(report.problem_count, 0);
        let targets: Vec<Target> = all.iter().map(|listed| listed.target).collect();
        prop_assert_eq!(targets, kept.iter().map(|kept| kept.0).collect::<Vec<_>>());
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        harmless(&bytes);
    }

    /// Most of what goes wrong is a good list with something wrong in it.
    #[test]
    fn nor_do_lists_that_were_tampered_with(
        which in 0usize..SAMPLES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = SAMPLES[which].as_bytes().to_vec();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.drain(at..bytes.len().min(at + usize::from(byte % 9)))),
            }
            if bytes.is_empty() {
                bytes.push(byte);
            }
        }
        harmless(&bytes);
        harmless(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn nor_do_texts_that_look_like_lists(text in r#"([\[\]{}:,"\n\t \\;#/.-]|192\.0\.2\.[0-9]|::1|value|ip|duration|decisions|null|true|1h|Ip:){0,60}"#) {
        harmless(text.as_bytes());
    }
}

const SAMPLES: [&str; 5] = [
    r#"[{"duration":"4h","reason":"a \"b\" \u00e9","scope":"ip","type":"ban","value":"192.0.2.1"},
{"value":"2001:db8::1","duration":"1h2m3.5s","simulated":false}]"#,
    r#"[{"decisions":[{"duration":"3h","scenario":"x","scope":"Range","type":"ban","value":"192.0.2.0/24"}],"events":[{"meta":[1,2.5e3,null]}],"source":{"cn":"FR"}},{"decisions":null}]"#,
    "id,source,ip,reason,action,country,as,events_count,expiration,simulated,alert_id\r\n1,crowdsec,Ip:192.0.2.1,\"a, \"\"b\"\"\",ban,FR,x,6,3h59m,false,4\r\n",
    "; DROP\n192.0.2.0/24 ; SBL1\n192.0.2.1-192.0.2.77 # x\n2001:db8:: - 2001:db8:9::\n::ffff:1.2.3.4/120\n",
    "# IPsum\n192.0.2.1\t11\n192.0.2.2\t1\n",
];

/// However they are read, they come to an end, and what is said can be shown.
fn harmless(bytes: &[u8]) {
    let formats = [
        Format::CrowdsecJson,
        Format::CrowdsecCsv,
        Format::Plain,
        Format::Ipsum,
    ];
    for format in formats.map(Some).into_iter().chain([None]) {
        if let Ok((all, report)) = read_as(format, bytes) {
            let reasons = all.iter().filter_map(|listed| listed.reason.as_ref());
            let texts = reasons.chain(report.problems.iter().map(|problem| &problem.what));
            for text in texts {
                assert!(!text.chars().any(steers) && text.len() < 500, "{text:?}");
            }
        }
    }
}

#[test]
fn a_written_list_looks_like_this() {
    let row = |subject, scope| Row {
        subject,
        scope,
        kind: "ban",
        seconds_left: 14_400,
        reason: "by hand,\n twice",
        origin: "operator",
    };
    let rows = [row("192.0.2.1", "Ip"), row("2001:db8::/64", "Range")];
    let (mut json, mut csv) = (Vec::new(), Vec::new());
    write_json(&mut json, rows.into_iter()).unwrap();
    assert_eq!(
        String::from_utf8(json).unwrap(),
        r#"[
{"duration":"4h0m0s","reason":"by hand, twice","scope":"Ip","type":"ban","value":"192.0.2.1","origin":"operator"},
{"duration":"4h0m0s","reason":"by hand, twice","scope":"Range","type":"ban","value":"2001:db8::/64","origin":"operator"}
]
"#
    );
    write_csv(&mut csv, rows.into_iter()).unwrap();
    assert_eq!(
        String::from_utf8(csv).unwrap(),
        "duration,reason,scope,type,value,origin\n4h0m0s,\"by hand, twice\",Ip,ban,192.0.2.1,operator\n4h0m0s,\"by hand, twice\",Range,ban,2001:db8::/64,operator\n"
    );
    let mut none = Vec::new();
    write_json(&mut none, std::iter::empty()).unwrap();
    assert_eq!(none, b"[]\n");
}

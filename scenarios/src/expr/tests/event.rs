//! What expressions see of an event, and how they change it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Effects, Env, Fixture, Globals, Keys, NOW, check_fails, check_in, compile, show};
use crate::data::DataFiles;
use crate::event::{Event, Namespace};
use crate::overflow::{Attacker, Overflow, Poured, Scope};

fn fixture() -> Fixture {
    Fixture {
        lines: vec![
            (Namespace::Parsed, "program", "sshd"),
            (Namespace::Parsed, "message", "Failed password for root"),
            (Namespace::Parsed, "kv", "a=1 b=\"x y\" c="),
            (Namespace::Meta, "log_type", "ssh_failed-auth"),
            (Namespace::Meta, "source_ip", "203.0.113.9"),
            (Namespace::Enriched, "IsoCode", "FR"),
        ],
        data: vec![(
            "j",
            r#"{"a":{"b":[1,"x",null]},"n":null,"s":"t","User-Agent":["curl"]}"#,
        )],
        raw: "Mar  1 10:00:00 host sshd[7]: Failed password for root",
        ..Fixture::empty()
    }
}

#[test]
fn members() {
    let fixture = fixture();
    for (source, expected) in [
        ("evt.Parsed.program", "'sshd'"),
        ("evt.Parsed['program']", "'sshd'"),
        ("evt.Parsed.missing", "''"),
        ("evt.Parsed['pro' + 'gram']", "'sshd'"),
        ("evt.Parsed['mis' + 'sing']", "''"),
        ("evt['Parsed'].program", "'sshd'"),
        ("$env.evt.Parsed.program", "'sshd'"),
        ("$env['evt'].Parsed.program", "'sshd'"),
        ("'evt' in $env", "true"),
        ("'queue' in $env", "false"),
        ("evt.Meta.log_type", "'ssh_failed-auth'"),
        ("evt.Enriched?.IsoCode", "'FR'"),
        (
            "evt.Meta",
            "{'log_type': 'ssh_failed-auth', 'source_ip': '203.0.113.9'}",
        ),
        ("len(evt.Meta)", "2"),
        ("'log_type' in evt.Meta", "true"),
        ("'other' in evt.Meta", "false"),
        ("KeyExists('program', evt.Parsed)", "true"),
        ("keys(evt.Enriched)", "['IsoCode']"),
        ("get(evt.Meta, 'other')", "nil"),
        ("get(evt.Meta, 'log_type')", "'ssh_failed-auth'"),
        ("evt.Line.Raw startsWith 'Mar  1'", "true"),
        ("evt.Line.Src", "'/var/log/auth.log'"),
        ("evt.Line.Module", "'file'"),
        ("evt.Line.Labels.type", "'syslog'"),
        ("evt.Line.Labels.none", "''"),
        ("evt.Line.Labels", "{'type': 'syslog', 'zone': 'dmz'}"),
        ("evt.Line.Time", "2026-03-01T10:00:00Z"),
        ("evt.Time.Hour()", "10"),
        ("evt.Time.Weekday().String() == 'Sunday'", "true"),
        ("evt.Unmarshaled.j.a.b[0]", "1.0"),
        ("evt.Unmarshaled.j.a.b[1]", "'x'"),
        ("evt.Unmarshaled.j.a.b[-1]", "nil"),
        ("evt.Unmarshaled.j.n", "nil"),
        ("evt.Unmarshaled.j.none", "nil"),
        ("evt.Unmarshaled.j.none?.deeper", "nil"),
        ("evt.Unmarshaled.none", "nil"),
        ("evt.Unmarshaled.none?.a.b", "nil"),
        ("evt.Unmarshaled.j['User-Agent'][0]", "'curl'"),
        ("get(evt.Unmarshaled.j, 'User-Agent') != nil", "true"),
        ("get(evt.Unmarshaled.j, 'nothing') != nil", "false"),
        (
            "any(get(evt.Unmarshaled.j, 'User-Agent'), {# startsWith 'cu'})",
            "true",
        ),
        ("'j' in evt.Unmarshaled", "true"),
        ("len(evt.Unmarshaled.j)", "4"),
        ("evt.Unmarshaled.j.s == 't'", "true"),
        ("evt.StrTime", "''"),
        ("evt.MarshaledTime", "''"),
        ("evt.Whitelisted", "false"),
        ("evt.WhitelistReason", "''"),
        ("evt.Type", "0"),
        ("evt.GetType()", "'log'"),
        ("evt.GetMeta('log_type')", "'ssh_failed-auth'"),
        ("evt.GetMeta('none')", "''"),
        ("evt.ParseIPSources()", "['203.0.113.9']"),
        ("evt.Overflow.Alert", "nil"),
        ("evt.Overflow.Alert?.Source.IP", "nil"),
        ("evt.Overflow.GetSources()", "[]"),
        ("evt.Appsec.HasInBandMatches", "false"),
        ("evt.Appsec.MatchedRules.GetName()", "''"),
        ("Sprintf('%+v', evt.Appsec.GetRuleIDs())", "'[]'"),
    ] {
        check_in(&fixture, source, expected);
    }
    check_fails("evt.Overflow.Alert.Source.IP", "nil has no Source");
    check_fails("evt.Unmarshaled.a.b", "nil has no b");
}

fn apply(source: &str) -> (String, Event) {
    let fixture = fixture();
    let mut keys = Keys::default();
    let expr = compile(source, Globals::Parser, &mut keys, &DataFiles::default()).unwrap();
    let mut event = fixture.event(keys);
    let effects = Effects::default();
    let shown = expr
        .eval(&Env::of(&event, NOW).with_effects(&effects))
        .map_or_else(|e| e.to_string(), |v| show(&v));
    assert!(expr.has_effects() || effects.is_empty());
    effects.apply(&mut event);
    assert!(effects.is_empty());
    (shown, event)
}

#[test]
fn setting_fields() {
    let (shown, event) = apply(
        "evt.SetMeta('cve', 'CVE-1') && evt.Meta.cve == 'CVE-1' && evt.Parsed.program == 'sshd'",
    );
    assert_eq!(
        (shown.as_str(), event.by_name(Namespace::Meta, "cve")),
        ("true", &b"CVE-1"[..])
    );
    let (shown, event) = apply("evt.SetParsed('program', 'x') ? evt.Parsed.program : 'no'");
    assert_eq!(
        (shown.as_str(), event.by_name(Namespace::Parsed, "program")),
        ("'x'", &b"x"[..])
    );
    let (shown, event) = apply("evt.SetMeta('a', 1)");
    assert!(shown.contains("not defined"), "{shown}");
    assert!(event.get_by_name(Namespace::Meta, "a").is_none());
}

#[test]
fn unfolding() {
    for (source, expected, data) in [
        (
            "UnmarshalJSON('{\"a\":1}', evt.Unmarshaled, 'k') in ['', nil] && evt.Unmarshaled.k.a == 1",
            "true",
            "{\"a\":1}",
        ),
        ("UnmarshalJSON('[1]', evt.Unmarshaled, 'k')", "nil", "[1]"),
        (
            "ParseKV(evt.Parsed.kv, evt.Unmarshaled, 'k')",
            "nil",
            r#"{"a":"1","b":"x y","c":""}"#,
        ),
        (
            "ParseKV('a=b=c k= v=\"q\\\\\"r\" =x', evt.Unmarshaled, 'k')",
            "nil",
            r#"{"a":"b","k":"","v":"q\\\"r"}"#,
        ),
        (
            "ParseKV('x', evt.Unmarshaled, 'k')",
            "ParseKV: there is no key=value pair",
            "null",
        ),
        (
            "ParseKV('a=1', evt.Unmarshaled, 'k') == ParseKV('b=2', evt.Unmarshaled, 'k')",
            "true",
            r#"{"a":"1","b":"2"}"#,
        ),
        (
            "ParseKVLax('msg=two words here b=\"x=1 y\" c=', evt.Unmarshaled, 'k')",
            "nil",
            r#"{"msg":"two words here","b":"x=1 y","c":""}"#,
        ),
        (
            "ParseKVLax('1', evt.Unmarshaled, 'k')",
            "ParseKVLax: there is no key=value pair",
            "null",
        ),
    ] {
        let (shown, event) = apply(source);
        assert_eq!(shown, expected, "{source}");
        let found = event
            .data("k")
            .map_or("null".to_owned(), ToString::to_string);
        assert_eq!(found, data, "{source}");
    }
    let (shown, _) = apply("ParseKV('a=1', evt.Unmarshaled, 'j')");
    assert!(shown.contains("something else"), "{shown}");
    let (shown, event) = apply("UnmarshalJSON('nonsense', evt.Unmarshaled, 'k') == nil");
    assert!(shown.starts_with("UnmarshalJSON:"), "{shown}");
    assert!(event.data("k").is_none());
}

fn overflow() -> Overflow {
    let poured = |exe: &str| Poured {
        at: NOW,
        line: 1,
        log_time: Some("2026-03-01T09:00:00Z".into()),
        meta: BTreeMap::from([("exe".to_owned(), exe.to_owned())]),
    };
    Overflow {
        scenario: "lymph/ssh-bf".into(),
        description: "many failures".into(),
        labels: Arc::default(),
        rule: [7; 8],
        remediation: true,
        attackers: vec![Attacker {
            scope: Scope::Ip,
            value: "203.0.113.9".into(),
            address: "203.0.113.9".parse().ok(),
            range: Some("203.0.113.0/24".into()),
        }],
        events_count: 6,
        events: vec![poured("/bin/sh"), poured("/bin/ls")],
        first_line: 1,
        first_seen: NOW,
        last_seen: NOW,
        capacity: 5,
        leakspeed_ms: 10_000,
        whitelisted: None,
        is_primed: false,
    }
}

#[test]
fn overflows() {
    let mut keys = Keys::default();
    let cases = [
        ("evt.GetType()", "'overflow'"),
        (
            "evt.Overflow.Alert.Remediation == true && evt.Overflow.Alert.GetScope() == 'Ip'",
            "true",
        ),
        ("evt.Overflow.Alert.GetScenario()", "'lymph/ssh-bf'"),
        ("evt.Overflow.Alert.GetEventsCount()", "6"),
        ("evt.Overflow.Alert.Source.IP", "'203.0.113.9'"),
        ("evt.Overflow.Alert.Source.Range", "'203.0.113.0/24'"),
        ("'203.0.113.9' in evt.Overflow.GetSources()", "true"),
        ("evt.Overflow.Sources['203.0.113.9'].GetScope()", "'Ip'"),
        ("'1.1.1.1' in evt.Overflow.Sources", "false"),
        ("len(evt.Overflow.Sources)", "1"),
        (
            "all(evt.Overflow.Alert.Events, {.GetMeta('exe') startsWith '/bin'})",
            "true",
        ),
        ("evt.Overflow.Alert.Events[1].GetMeta('exe')", "'/bin/ls'"),
        ("evt.Overflow.Alert.Events[0].Meta.none", "''"),
        (
            "map(evt.Overflow.Alert.Events, .MarshaledTime)[0][4:10]",
            "'-03-01'",
        ),
        ("evt.GetMeta('exe')", "'/bin/sh'"),
        ("evt.ParseIPSources()", "['203.0.113.9']"),
        (
            "IpToRange(evt.Overflow.Alert.Source.IP, '16')",
            "'203.0.0.0/16'",
        ),
    ];
    let compiled: Vec<_> = cases
        .iter()
        .map(|(source, _)| {
            compile(source, Globals::Parser, &mut keys, &DataFiles::default()).unwrap()
        })
        .collect();
    let mut event = Event::new(Arc::new(keys));
    event.start_overflow(Arc::new(overflow()), NOW);
    for ((source, expected), expr) in cases.iter().zip(&compiled) {
        let shown = expr
            .eval(&Env::of(&event, NOW))
            .map_or_else(|error| error.to_string(), |value| show(&value));
        assert_eq!(shown, *expected, "{source}");
    }
}

#[test]
fn queues() {
    let detection = overflow();
    for (source, expected) in [
        (
            "any(queue.Queue, {.Meta.exe in ['/bin/sh', '/bin/zsh']})",
            "true",
        ),
        ("count(queue.Queue, #.Meta.exe == '/bin/ls')", "1"),
        ("len(filter(queue.Queue, {#.GetMeta('exe') != ''}))", "2"),
        (
            "MedianInterval(map(queue.Queue[-4:], {#.Time})) >= duration('20m')",
            "false",
        ),
        ("queue.Queue[0].Meta.exe", "'/bin/sh'"),
        ("queue.Queue[0].Parsed.x", "''"),
        ("signal.GetScenario() == 'lymph/ssh-bf'", "true"),
    ] {
        let mut keys = Keys::default();
        let expr = compile(source, Globals::Overflow, &mut keys, &DataFiles::default()).unwrap();
        let env = Env::overflow(&detection.events, &detection, &detection, NOW);
        let shown = expr
            .eval(&env)
            .map_or_else(|error| error.to_string(), |value| show(&value));
        assert_eq!(shown, expected, "{source}");
    }
}

#[test]
fn statics() {
    let fixture = fixture();
    for (source, expected) in [
        ("'a'", Ok(Some("a"))),
        ("5", Ok(Some("5"))),
        ("1.5", Ok(Some("1.500000"))),
        ("nil", Ok(None)),
        ("evt.Parsed.program", Ok(Some("sshd"))),
        ("evt.Unmarshaled.j.a.b[0]", Ok(Some("1.000000"))),
        ("true", Err(())),
        ("['a']", Err(())),
    ] {
        let mut keys = Keys::default();
        let expr = compile(source, Globals::Parser, &mut keys, &fixture.files).unwrap();
        let event = fixture.event(keys);
        let env = Env::of(&event, NOW);
        let text = expr.eval_text(&env).map_err(drop);
        let text = text.map(|text| text.map(|text| String::from_utf8_lossy(&text).into_owned()));
        assert_eq!(
            text,
            expected.map(|text| text.map(str::to_owned)),
            "{source}"
        );
    }
}

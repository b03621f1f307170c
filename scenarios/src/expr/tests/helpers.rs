//! CrowdSec's helpers: addresses, URLs, XML, files, the stash.

use std::sync::Arc;

use super::{
    Env, Expr, Fixture, Globals, Keys, NOW, StashRead, check_all, check_fails, check_in, compile,
    show,
};

#[test]
fn addresses() {
    check_all(&[
        ("IsIP('1.2.3.4')", "true"),
        ("IsIP('2001:db8::1')", "true"),
        ("IsIP('1.2.3')", "false"),
        ("IsIP('1.2.3.4/24')", "false"),
        ("IsIP('')", "false"),
        ("IsIPV4('1.2.3.4')", "true"),
        ("IsIPV4('::ffff:1.2.3.4')", "true"),
        ("IsIPV4('::1')", "false"),
        ("IsIPV6('::1')", "true"),
        ("IsIPV6('1.2.3.4')", "false"),
        ("IsIPV6('::ffff:1.2.3.4')", "false"),
        ("IpInRange('1.2.3.4', '1.2.0.0/16')", "true"),
        ("IpInRange('1.3.3.4', '1.2.0.0/16')", "false"),
        ("IpInRange('1.2.3.4', '1.2.9.9/16')", "true"),
        ("IpInRange('::ffff:1.2.3.4', '1.2.0.0/16')", "true"),
        ("IpInRange('2001:db8::5', '2001:db8::/32')", "true"),
        ("IpInRange('x', '1.2.0.0/16')", "false"),
        ("IpInRange('1.2.3.4', 'x')", "false"),
        ("IpInRange('1.2.3.4', '1.2.3.4')", "false"),
        ("IpToRange('1.2.3.4', '16')", "'1.2.0.0/16'"),
        ("IpToRange('2001:db8::5', '/64')", "'2001:db8::/64'"),
        ("IpToRange('1.2.3.4', '33')", "''"),
        ("IpToRange('1.2.3.4', 'x')", "''"),
        ("IpToRange('x', '16')", "''"),
        (
            "round(Distance('51.45', '1.15', '41.54', '12.27'))",
            "1389.0",
        ),
        ("Distance('0', '0.0', '41.54', '12.27')", "0.0"),
    ]);
    check_fails("Distance('x', '0', '1', '1')", "is no number");
    check_fails("IsIP(nil)", "IsIP must be given a text");
}

#[test]
fn urls() {
    check_all(&[
        ("QueryEscape('a b&c/é')", "'a+b%26c%2F%C3%A9'"),
        ("QueryUnescape('a+b%26c')", "'a b&c'"),
        ("QueryUnescape('100%')", "'100%'"),
        ("QueryUnescape('%zz+')", "'%zz+'"),
        ("PathEscape('a b/c:d')", "'a%20b%2Fc:d'"),
        ("PathUnescape('a+b%2Fc')", "'a+b/c'"),
        ("PathUnescape('%2')", "'%2'"),
        (
            "ParseUri('/a?x=1&y=2&x=3')",
            "{'x': ['1', '3'], 'y': ['2']}",
        ),
        ("ParseUri('http://h/p?a=%20b#f')['a'][0]", "' b'"),
        ("ParseUri('/a?x=%zz')", "{}"),
        ("ParseUri('/a?x=1;y=2')", "{}"),
        ("ParseUri('/a')['x']", "[]"),
        (
            "ParseQuery('a=1;b&c=%zz&d')",
            "{'a': ['1;b'], 'c': ['%zz'], 'd': ['']}",
        ),
        ("ExtractQueryParam('/a?x=1&x=2', 'x')", "['1', '2']"),
        ("ExtractQueryParam('/a', 'x')", "[]"),
    ]);
}

#[test]
fn xml() {
    let event = "`<Event xmlns='urn:x'><System><EventID>4625</EventID><Provider Name='Sec'/></System>\
        <EventData><Data Name='IpAddress'>1.2.3.4</Data><Data Name='User'>bob <b>x</b> y</Data></EventData></Event>`";
    let cases = [
        ("XMLGetNodeValue(E, '/Event/System[1]/EventID')", "'4625'"),
        (
            "XMLGetNodeValue(E, \"/Event/EventData[1]/Data[@Name='IpAddress']\")",
            "'1.2.3.4'",
        ),
        (
            "XMLGetNodeValue(E, \"/Event/EventData[1]/Data[@Name='User']\")",
            "'bob '",
        ),
        (
            "XMLGetNodeValue(E, \"/Event/EventData[1]/Data[@Name='None']\")",
            "''",
        ),
        ("XMLGetNodeValue(E, '//Data[2]/b')", "'x'"),
        ("XMLGetNodeValue(E, '/Event/*/Data[-1]/b')", "'x'"),
        (
            "XMLGetNodeValue(E, \"//Data[text()='1.2.3.4']/../Data[b='x']\")",
            "'bob '",
        ),
        ("XMLGetNodeValue(E, 'Event/System/EventID')", "'4625'"),
        (
            "XMLGetNodeValue(E, '/Event[System]/./System/EventID')",
            "'4625'",
        ),
        ("XMLGetNodeValue(E, '/Event[2]/System')", "''"),
        ("XMLGetNodeValue(E, '/foo/bar[@')", "''"),
        ("XMLGetNodeValue(E, \"/Event/Data[@Name='x]\")", "''"),
        ("XMLGetNodeValue('<root><', '/root')", "''"),
        ("XMLGetNodeValue('', '/root')", "''"),
        (
            "XMLGetAttributeValue(E, '/Event/System/Provider', 'Name')",
            "'Sec'",
        ),
        (
            "XMLGetAttributeValue(E, '/Event/System/Provider', 'None')",
            "''",
        ),
        ("XMLGetAttributeValue(E, '/None', 'Name')", "''"),
    ];
    for (source, expected) in cases {
        super::check(&source.replace("(E", &format!("({event}")), expected);
    }
}

#[test]
fn files() {
    check_all(&[
        (
            "File('paths.txt')",
            "['/.env', '/wp-login.php', '/.git/config']",
        ),
        ("len(File('missing.txt'))", "0"),
        ("'/.env' in File('paths.txt')", "true"),
        ("any(File('paths.txt'), {'/x/.env' endsWith #})", "true"),
        ("any(File('paths.txt'), {'/x/.envy' endsWith #})", "false"),
        ("any(File('paths.txt'), {'/.envy' startsWith #})", "true"),
        (
            "any(File('paths.txt'), {'/a/wp-login.php?x' contains #})",
            "true",
        ),
        (
            "any(File('paths.txt'), {Upper('/a/wp-login.php?x') contains Upper(#)})",
            "true",
        ),
        (
            "any(File('paths.txt'), {'/A/WP-LOGIN.PHP?x' contains #})",
            "false",
        ),
        ("any(File('paths.txt'), {'/.env' == #})", "true"),
        ("any(File('paths.txt'), {nil contains #})", "false"),
        ("any(File('paths.txt'), {1 == #})", "false"),
        ("any(File('missing.txt'), {1 contains #})", "false"),
        (
            "any(File('paths.txt'), {len(#) > 0 && '/x/.env' endsWith #})",
            "true",
        ),
        ("RegexpInFile('sqlmap/1.0', 'agents.txt')", "true"),
        ("RegexpInFile('x Nikto', 'agents.txt')", "true"),
        ("RegexpInFile('Mozilla', 'agents.txt')", "false"),
        ("RegexpInFile('Mozilla', 'missing.txt')", "false"),
        ("LookupFile('/wp-admin', 'tags.json')", "'wordpress'"),
        ("LookupFile('/', 'tags.json')", "''"),
        ("LookupFile('/', 'missing.json')", "''"),
        ("FileMap('tags.json')[0].tag", "'wordpress'"),
        ("map(FileMap('tags.json'), .pattern)", "['/wp-']"),
    ]);
    check_fails(
        "any(File('paths.txt'), {1 contains #})",
        "contains is not defined",
    );
    check_fails("RegexpInFile(nil, 'agents.txt')", "must be a text");
    check_fails("LookupFile(nil, 'tags.json')", "must be a text");
}

#[derive(Debug)]
struct OneStash;

impl StashRead for OneStash {
    fn get(&self, stash: &str, key: &[u8]) -> Option<Arc<[u8]>> {
        (stash == "pids" && key == b"7").then(|| Arc::from(&b"sshd"[..]))
    }
}

#[test]
fn stash() {
    for (source, with, without) in [
        ("GetFromStash('pids', '7')", "'sshd'", "''"),
        ("GetFromStash('pids', '8') == ''", "true", "true"),
    ] {
        let fixture = Fixture::empty();
        check_in(&fixture, source, without);
        let mut keys = Keys::default();
        let expr: Expr = compile(source, Globals::Parser, &mut keys, &fixture.files).unwrap();
        let event = fixture.event(keys);
        let value = expr
            .eval(&Env::of(&event, NOW).with_stash(&OneStash))
            .unwrap();
        assert_eq!(show(&value), with, "{source}");
    }
}

/// Each takes milliseconds; a quadratic one would take minutes and a recursive one the stack.
#[test]
fn hostile_texts_are_answered() {
    for (_, text) in [
        ("deep XML", "<a>".repeat(20_000)),
        (
            "deep closed XML",
            format!("{}{}", "<a>".repeat(9_000), "</a>".repeat(9_000)),
        ),
        (
            "entities",
            "<!DOCTYPE a [<!ENTITY x \"xx\"><!ENTITY y \"&x;&x;\">]><a>&y;</a>".to_owned(),
        ),
        ("wide XML", format!("<a>{}</a>", "<b/>".repeat(15_000))),
        ("deep JSON", "[".repeat(60_000)),
        ("deep objects", "{\"a\":".repeat(10_000)),
        ("long escapes", format!("{{\"a\":\"{}", "\\".repeat(60_000))),
        ("quotes", "\"".repeat(60_000)),
        ("pairs", "a=\"".repeat(20_000)),
        ("equals", "=".repeat(60_000)),
        ("keys", "a.".repeat(30_000)),
        ("percent", "%".repeat(60_000)),
    ] {
        for source in [
            "XMLGetNodeValue(evt.Line.Raw, '//a//a//b')",
            "XMLGetNodeValue(evt.Line.Raw, \"//*[a]//*[@x='y']//*[-1]\")",
            "JsonExtract(evt.Line.Raw, 'a.a.a')",
            "JsonExtractObject(evt.Line.Raw, 'a')",
            "JsonExtractUnescape(evt.Line.Raw, 'a')",
            "UnmarshalJSON(evt.Line.Raw, evt.Unmarshaled, 'a')",
            "ParseKV(evt.Line.Raw, evt.Unmarshaled, 'a')",
            "ParseKVLax(evt.Line.Raw, evt.Unmarshaled, 'a')",
            "Sprintf(evt.Line.Raw, 1)",
            "Match('*a*b*c*d*e', evt.Line.Raw)",
            "ParseUri(evt.Line.Raw)",
            "len(Split(evt.Line.Raw, ''))",
            "any(Split(evt.Line.Raw, ''), {evt.Line.Raw contains (# + 'zz')})",
            "toJSON(Split(evt.Line.Raw, 'a'))",
            "Lower(evt.Line.Raw) matches evt.Line.Raw",
        ] {
            let mut keys = Keys::default();
            let expr: Expr =
                compile(source, Globals::Parser, &mut keys, &Fixture::empty().files).unwrap();
            let mut event = crate::event::Event::new(Arc::new(keys));
            let origin = Arc::default();
            let line = crate::line::Line {
                text: text.as_bytes(),
                source: &origin,
                id: 1,
                received_at: NOW,
            };
            event.start(&line);
            let _ = expr.eval(&Env::of(&event, NOW));
        }
    }
}

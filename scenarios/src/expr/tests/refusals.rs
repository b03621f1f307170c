//! What is refused when a rule is loaded, and what is said about it.

use super::{Globals, Keys, compile};
use crate::data::DataFiles;

/// Refused at this line and column, with this in the message.
fn check(source: &str, place: (usize, usize), part: &str) {
    check_for(Globals::Parser, source, place, part);
}

fn check_for(globals: Globals, source: &str, place: (usize, usize), part: &str) {
    let error =
        compile(source, globals, &mut Keys::default(), &DataFiles::default()).expect_err(source);
    assert!(error.message.contains(part), "{source}: {error}");
    assert_eq!((error.line, error.column), place, "{source}: {error}");
}

#[test]
fn syntax() {
    check("", (1, 1), "did not expect the end");
    check("1 +", (1, 4), "did not expect the end");
    check("(1", (1, 3), "`)` is missing before the end");
    check("1 2", (1, 3), "did not expect a number");
    check("a b", (1, 3), "did not expect `b`");
    check("'abc", (1, 1), "without its closing '");
    check("'a\nb'", (1, 1), "without its closing '");
    check("`abc", (1, 1), "without its closing `");
    check("'a\\qb'", (1, 3), "an escape that does not exist");
    check(r"'\400'", (1, 2), "an escape that does not exist");
    check(r"'\ud800'", (1, 2), "an escape that does not exist");
    check(r#"b"\u0041""#, (1, 3), "an escape that does not exist");
    check("/* a", (1, 1), "comment without its end");
    check("1 @ 2", (1, 3), "did not expect `@`");
    check("§", (1, 1), "means nothing here");
    check("12a", (1, 1), "runs into");
    check("0x", (1, 1), "is no number");
    check("9223372036854775808", (1, 1), "fits into 64 bits");
    check("evt.Parsed.\n  == 1", (2, 3), "name of a member");
    check("let x = 1", (1, 10), "`;` is missing");
    check("let = 1; 2", (1, 5), "a name is missing");
    check("if true { 1 }", (1, 14), "`else` is missing");
    check("{1 + 1: 2}", (1, 4), "`:` is missing");
    check("{[]: 2}", (1, 2), "a key of a map");
    check("any([1])", (1, 8), "any needs a closure");
    check("# > 1", (1, 1), "inside of a closure only");
    check("any([1], #foo)", (1, 11), "there is no `#foo`");
    check("'a' not == 'b'", (1, 5), "did not expect `not`");
    check("1 ?? 2 == 3", (1, 8), "need brackets");
    check("'x' matches '[a'", (1, 5), "bad pattern");
}

#[test]
fn names() {
    check(
        "Uper('a')",
        (1, 1),
        "unknown function Uper, did you mean Upper?",
    );
    check(
        "evt.Pasred.x == 'a'",
        (1, 5),
        "unknown member of evt: Pasred, did you mean Parsed?",
    );
    check(
        "evt.Line.Lables.type",
        (1, 10),
        "unknown member of evt.Line: Lables, did you mean Labels?",
    );
    check(
        "evt.GetMata('x')",
        (1, 5),
        "unknown method of evt: GetMata, did you mean GetMeta?",
    );
    check("ev.Parsed.x", (1, 1), "unknown name ev, did you mean evt?");
    check("queue.Queue", (1, 1), "unknown name queue");
    check(
        "let value = 1; valeu",
        (1, 16),
        "unknown name valeu, did you mean value?",
    );
    check("let len = 1; 2", (1, 5), "len is a function");
    check("let evt = 1; 2", (1, 5), "has a meaning already");
    check("let x = 1; let x = 2; x", (1, 16), "has a meaning already");
    check("Upper == 1", (1, 1), "write Upper(...)");
    check_for(
        Globals::Overflow,
        "evt.Parsed.x == ''",
        (1, 1),
        "unknown name evt",
    );
    check_for(Globals::Tests, "result[0]", (1, 1), "did you mean results?");
}

#[test]
fn arguments() {
    check("Upper()", (1, 1), "Upper takes 1 argument, not 0");
    check("split('a')", (1, 1), "split takes 2 to 3 arguments, not 1");
    check("max()", (1, 1), "max takes at least 1 argument");
    check("File(evt.Parsed.x)", (1, 17), "must be written out");
    check("File()", (1, 1), "takes the name of a file");
    check("RegexpInFile('a')", (1, 1), "takes a text and the name");
    check(
        "UnmarshalJSON('a', evt.Parsed, 'b')",
        (1, 24),
        "writes to evt.Unmarshaled only",
    );
    check(
        "ParseKV('a')",
        (1, 1),
        "ParseKV takes a text, evt.Unmarshaled and a key",
    );
    check("evt.SetMeta('a')", (1, 5), "takes a key and a value");
}

#[test]
fn what_is_not_here() {
    for name in [
        "LookupHost",
        "CrowdsecCTI",
        "GetDecisionsCount",
        "GetActiveDecisionsTimeLeft",
        "HTTPGet",
        "LibInjectionIsSQLI",
        "JA4H",
        "GeoIPEnrich",
        "SetInStash",
        "MatchKnownBot",
        "Hostname",
    ] {
        check(
            &format!("{name}('a') == nil"),
            (1, 1),
            &format!("{name} cannot be used here: "),
        );
    }
}

#[test]
fn size_and_depth() {
    let nested = |open: &str, close: &str, levels: usize| {
        format!("{}1{}", open.repeat(levels), close.repeat(levels))
    };
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("-", ""),
        ("not ", ""),
        ("{a:", "}"),
        ("abs(", ")"),
        ("any([1],{", "})"),
    ] {
        let source = nested(open, close, 5_000);
        let error = compile(
            &source,
            Globals::Parser,
            &mut Keys::default(),
            &DataFiles::default(),
        )
        .unwrap_err();
        assert!(
            error.message.contains("too") && error.message.contains("nested"),
            "{open}: {error}"
        );
    }
    for chain in [
        "+ 1", "| abs()", "** 1", "?? 1", "? 1 : 1", ".a", "[0]", "?.a", "< 1",
    ] {
        let source = format!("1 {}", chain.repeat(10_000));
        assert!(
            compile(
                &source,
                Globals::Parser,
                &mut Keys::default(),
                &DataFiles::default()
            )
            .is_err(),
            "{chain}"
        );
    }
    // Doubling in every step: the operand in the middle of a chain, what stands before `?:`.
    let doubled = (0..100).fold("1".to_owned(), |inner, _| format!("(1 < {inner} < 3)"));
    assert!(
        compile(
            &doubled,
            Globals::Parser,
            &mut Keys::default(),
            &DataFiles::default()
        )
        .is_err()
    );
    let doubled = (0..100).fold("true".to_owned(), |inner, _| format!("({inner} ?: true)"));
    assert!(
        compile(
            &doubled,
            Globals::Parser,
            &mut Keys::default(),
            &DataFiles::default()
        )
        .is_err()
    );
    let long = " ".repeat(super::super::lex::SOURCE_BYTES_MAX + 1);
    check(&long, (1, 1), "longer than");
    // A long chain of the same is flat.
    let flat = format!("false{}", " || false".repeat(5_000));
    assert!(
        compile(
            &flat,
            Globals::Parser,
            &mut Keys::default(),
            &DataFiles::default()
        )
        .is_ok()
    );
}

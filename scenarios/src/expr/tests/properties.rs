//! Whatever the text: no panic, and what is printed reads as the same again.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::parse::parse;
use super::{Effects, Env, Globals, Keys, NOW, compile};
use crate::data::DataFiles;
use crate::event::{Event, Namespace};
use crate::line::{Line, Source};

const TOKENS: [&str; 96] = [
    "evt",
    ".Parsed",
    ".Meta",
    ".x",
    ".Unmarshaled",
    ".j",
    ".Line",
    ".Raw",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ",",
    ";",
    ":",
    "?",
    "?.",
    "??",
    "|",
    "||",
    "&&",
    "!",
    "not ",
    " in ",
    " contains ",
    " matches ",
    " startsWith ",
    " endsWith ",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "**",
    "..",
    "#",
    "#acc",
    "#index",
    ".",
    "1",
    "0",
    "-1",
    "9223372036854775807",
    "1.5",
    "1e300",
    "'a'",
    "''",
    "'('",
    "'%s %d'",
    "nil",
    "true",
    "false",
    "let x = ",
    "x",
    "if ",
    " else ",
    "map(",
    "filter(",
    "any(",
    "all(",
    "reduce(",
    "sortBy(",
    "groupBy(",
    "sum(",
    "len(",
    "Lower(",
    "split(",
    "Sprintf(",
    "int(",
    "repeat(",
    "sort(",
    "JsonExtract(",
    "toJSON(",
    "fromJSON(",
    "string(",
    "duration(",
    "date(",
    "now()",
    "UnmarshalJSON(",
    "evt.Unmarshaled",
    "ParseKV(",
    "XMLGetNodeValue(",
    "evt.SetMeta(",
    "flatten(",
    "get(",
    "replace(",
    "Match(",
    "evt.Time",
];

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(TOKENS.to_vec()), 1..24)
        .prop_map(|tokens| tokens.concat())
}

/// An expression that is mostly sound.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "0",
        "-1",
        "2.5",
        "9223372036854775807",
        "'a'",
        "'{\"a\":[1]}'",
        "'a=1 b=2'",
        "''",
        "nil",
        "true",
        "false",
        "[]",
        "['a', 'b']",
        "[3, 1, 2]",
        "{a: 1}",
        "evt.Parsed.x",
        "evt.Meta.y",
        "evt.Unmarshaled.j",
        "evt.Line.Raw",
        "evt",
        "evt.Time",
        "evt.Parsed",
        "evt.Line.Labels",
        "now()",
        "duration('1h')",
        "1..5",
    ]);
    leaf.prop_map(str::to_owned)
        .prop_recursive(5, 40, 4, |inner| {
            let operators = vec![
                "+",
                "-",
                "*",
                "/",
                "%",
                "**",
                "..",
                "==",
                "!=",
                "<",
                ">=",
                "&&",
                "||",
                " in ",
                " not in ",
                " contains ",
                " startsWith ",
                " endsWith ",
                " matches ",
                " ?? ",
            ];
            let one = vec![
                "len",
                "Lower",
                "upper",
                "int",
                "float",
                "string",
                "abs",
                "round",
                "type",
                "sort",
                "uniq",
                "reverse",
                "flatten",
                "keys",
                "toJSON",
                "fromJSON",
                "first",
                "last",
                "max",
                "mean",
                "median",
                "TrimSpace",
                "Fields",
                "ToJsonString",
                "QueryUnescape",
                "ParseUri",
                "IsIP",
                "B64Decode",
                "toBase64",
                "duration",
                "date",
                "MedianInterval",
                "bitnot",
                "Distinct",
                "toPairs",
                "fromPairs",
                "ParseUnix",
                "ParseQuery",
                "basename",
                "sum",
                "count",
            ];
            let two = vec![
                "split",
                "join",
                "get",
                "take",
                "repeat",
                "indexOf",
                "Trim",
                "JsonExtract",
                "JsonExtractObject",
                "Match",
                "IpInRange",
                "IpToRange",
                "XMLGetNodeValue",
                "Sprintf",
                "concat",
                "bitshl",
                "min",
                "ExtractQueryParam",
                "KeyExists",
                "Get",
                "Index",
                "TrimLeft",
                "SplitAfter",
                "FloatApproxEqual",
            ];
            let closures = vec![
                "map",
                "filter",
                "any",
                "all",
                "none",
                "one",
                "find",
                "findLastIndex",
                "count",
                "sum",
                "groupBy",
                "sortBy",
                "reduce",
            ];
            prop_oneof![
                (
                    inner.clone(),
                    prop::sample::select(operators),
                    inner.clone()
                )
                    .prop_map(|(a, o, b)| format!("({a}){o}({b})")),
                (prop::sample::select(one), inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
                (prop::sample::select(two), inner.clone(), inner.clone())
                    .prop_map(|(f, a, b)| format!("{f}({a}, {b})")),
                (inner.clone(), inner.clone(), inner.clone())
                    .prop_map(|(a, b, c)| format!("replace({a}, {b}, {c})")),
                (prop::sample::select(closures), inner.clone(), inner.clone())
                    .prop_map(|(f, a, b)| format!("{f}({a}, {{let q = #; [q, {b}]; {b}}})")),
                (inner.clone(), inner.clone(), inner.clone())
                    .prop_map(|(a, b, c)| format!("(({a}) ? ({b}) : ({c}))")),
                (inner.clone(), inner.clone(), inner.clone())
                    .prop_map(|(a, b, c)| format!("({a})[({b}):({c})]")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
                (inner.clone(), "[a-c]").prop_map(|(a, name)| format!("({a})?.{name}.{name}")),
                inner.clone().prop_map(|a| format!("[{a}, {{k: {a}}}]")),
                inner.clone().prop_map(|a| format!("not ({a})")),
                (inner.clone(), inner)
                    .prop_map(|(a, b)| format!("UnmarshalJSON({a}, evt.Unmarshaled, {b})")),
            ]
        })
}

fn run(source: &str, raw: &[u8]) {
    let mut keys = Keys::default();
    let Ok(expr) = compile(source, Globals::Parser, &mut keys, &DataFiles::default()) else {
        return;
    };
    let mut event = Event::new(Arc::new(keys));
    let origin = Arc::new(Source::file("a.log", "syslog"));
    event.start(&Line {
        text: raw,
        source: &origin,
        id: 1,
        received_at: NOW,
    });
    event.set_by_name(Namespace::Parsed, "x", raw);
    event.set_data(
        "j",
        serde_json::json!({"a": [1, "b", null], "b": {"c": true}}),
    );
    let effects = Effects::default();
    {
        let env = Env::of(&event, NOW).with_effects(&effects);
        let _ = expr.eval(&env);
        let _ = expr.eval_bool(&env);
        let _ = expr.eval_text(&env);
        let _ = expr.guards();
    }
    effects.apply(&mut event);
}

/// Offsets do not count, shape and content do.
fn printed(source: &str) -> Option<String> {
    Some(parse(source).ok()?.to_string())
}

proptest! {
    #[test]
    fn any_text_is_survived(source in ".{0,60}") {
        run(&source, b"x");
    }

    #[test]
    fn token_soup_is_survived(source in soup(), raw in prop::collection::vec(any::<u8>(), 0..40)) {
        run(&source, &raw);
    }

    #[test]
    fn expressions_are_survived(source in expression(), raw in prop::collection::vec(any::<u8>(), 0..40)) {
        run(&source, &raw);
    }

    #[test]
    fn printing_reads_the_same(source in expression()) {
        if let Some(once) = printed(&source) {
            prop_assert_eq!(printed(&once), Some(once.clone()), "{}", once);
        }
    }

    #[test]
    fn printing_soup_reads_the_same(source in soup()) {
        if let Some(once) = printed(&source) {
            prop_assert_eq!(printed(&once), Some(once.clone()), "{}", once);
        }
    }
}

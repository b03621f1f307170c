//! Functions on lists and maps, and JSON.

use super::{check_all, check_fails};

#[test]
fn lists() {
    check_all(&[
        ("len([1, 2])", "2"),
        ("len({a: 1})", "1"),
        ("len('')", "0"),
        ("first([1, 2])", "1"),
        ("first([])", "nil"),
        ("first(1)", "nil"),
        ("last([1, 2])", "2"),
        ("last([])", "nil"),
        ("get([1, 2], 1)", "2"),
        ("get([1, 2], -1)", "2"),
        ("get([1, 2], 5)", "nil"),
        ("get({a: 1}, 'a')", "1"),
        ("get({a: 1}, 'b')", "nil"),
        ("get(nil, 'a')", "nil"),
        ("take([1, 2, 3], 2)", "[1, 2]"),
        ("take([1], 5)", "[1]"),
        ("reverse([1, 2, 3])", "[3, 2, 1]"),
        ("sort([3, 1, 2.5])", "[1, 2.5, 3]"),
        ("sort(['b', 'a'], 'desc')", "['b', 'a']"),
        ("sort([])", "[]"),
        (
            "sort([9007199254740993, 9007199254740992])",
            "[9007199254740992, 9007199254740993]",
        ),
        ("uniq([1, 2, 1, 'a', 'a', 1.0])", "[1, 2, 'a']"),
        ("uniq([[1], [1], [2]])", "[[1], [2]]"),
        ("Distinct(['a', 'b', 'a'])", "['a', 'b']"),
        ("Distinct([1, 1.0])", "[1, 1.0]"),
        ("Distinct('a')", "nil"),
        ("flatten([1, [2, [3]], []])", "[1, 2, 3]"),
        ("Flatten([1], 2, ['a', ['b']])", "[1, 2, 'a', 'b']"),
        ("FlattenDistinct([1, 2], [2, [1]])", "[1, 2]"),
        ("concat([1], ['a'], [])", "[1, 'a']"),
        ("keys({b: 1, a: 2})", "['a', 'b']"),
        ("values({b: 1, a: 2})", "[2, 1]"),
        ("toPairs({a: 1})", "[['a', 1]]"),
        ("fromPairs([['a', 1], ['b', 2]])", "{'a': 1, 'b': 2}"),
        ("fromPairs(toPairs({a: 1})) == {a: 1}", "true"),
        ("KeyExists('a', {a: nil})", "true"),
        ("KeyExists('b', {a: nil})", "false"),
        ("LogInfo('%s', 1)", "true"),
    ]);
    check_fails("len(1)", "len must be given");
    check_fails("len(nil)", "len must be given");
    check_fails("take([1], -1)", "less than nothing");
    check_fails("sort([1, 'a'])", "< is not defined");
    check_fails("sort([nil, nil])", "< is not defined");
    check_fails("sort(1)", "must be a list");
    check_fails("fromPairs([[1]])", "a pair is");
    check_fails("keys([1])", "must be given a map");
    check_fails("concat([1], 2)", "must be a list");
}

#[test]
fn sorting_what_has_no_total_order() {
    check_all(&[(
        "len(sort([float('NaN'), 1, float('NaN'), -1, 2, float('NaN')]))",
        "6",
    )]);
}

#[test]
fn json() {
    check_all(&[
        (
            "toJSON({b: [1, 2.5, nil, true], a: 'x'})",
            "'{\n  \"a\": \"x\",\n  \"b\": [\n    1,\n    2.5,\n    null,\n    true\n  ]\n}'",
        ),
        ("toJSON([])", "'[]'"),
        (
            "ToJsonString({a: ['x', 1e21, 1e-7, 3.0]})",
            r#"'{"a":["x",1e+21,1e-7,3]}'"#,
        ),
        (
            r#"ToJsonString('<&>"\\\n\x01é')"#,
            r#"'"\u003c\u0026\u003e\"\\\n\u0001é"'"#,
        ),
        (r#"ToJsonString(b"\xff")"#, "'\"\u{FFFD}\"'"),
        (
            r#"fromJSON('{"a": [1, "b", null, true]}')"#,
            "{'a': [1.0, 'b', nil, true]}",
        ),
        (r#"fromJSON('{"a": 1}').a == 1"#, "true"),
        (
            r#"fromJSON('[1756494783340876032]')[0]"#,
            "1.756494783340876e18",
        ),
        ("toBase64('Hello World')", "'SGVsbG8gV29ybGQ='"),
        ("fromBase64('SGVsbG8gV29ybGQ=')", "'Hello World'"),
        ("B64Decode('YQ==')", "'a'"),
        ("B64Decode('YWJj\\n')", "'abc'"),
    ]);
    check_fails("fromJSON('{')", "fromJSON");
    check_fails("toJSON(float('NaN'))", "JSON has no infinity");
    check_fails("toJSON(evt)", "toJSON");
    check_fails("B64Decode('*')", "B64Decode");
}

#[test]
fn pieces_of_json() {
    check_all(&[
        (r#"JsonExtract('{"test" : "1234"}', 'test')"#, "'1234'"),
        (r#"JsonExtract('{"test" : "1234"}', 'other')"#, "''"),
        (r#"JsonExtract('{"test" : {"a": "b"}}', 'test.a')"#, "'b'"),
        (r#"JsonExtract('{"a":{"b":1}}', 'a')"#, r#"'{"b":1}'"#),
        (r#"JsonExtract('{"a":[10,{"b":"c"}]}', 'a[1].b')"#, "'c'"),
        (r#"JsonExtract('{"a":[10,20]}', 'a[2]')"#, "''"),
        (r#"JsonExtract('[[1,2],[3]]', '[1].[0]')"#, "'3'"),
        (
            r#"JsonExtract('{"a":12.50,"b":true,"c":null}', 'a')"#,
            "'12.50'",
        ),
        (
            r#"JsonExtract('{"a":12.50,"b":true,"c":null}', 'b')"#,
            "'true'",
        ),
        (
            r#"JsonExtract('{"a":12.50,"b":true,"c":null}', 'c')"#,
            "'null'",
        ),
        (r#"JsonExtract('{"a":"x\\"y"}', 'a')"#, r#"'x\"y'"#),
        (
            r#"JsonExtractUnescape('{"a":"x\\"y\\u0041"}', 'a')"#,
            r#"'x"yA'"#,
        ),
        (r#"JsonExtractUnescape('{"a":1}', 'a')"#, "''"),
        (r#"JsonExtractUnescape('{"a":{"b":"c"}}', 'a', 'b')"#, "'c'"),
        (r#"JsonExtractLib('{"a":{"b.c":"d"}}', 'a', 'b.c')"#, "'d'"),
        (r#"JsonExtract('{"\\u0061":"x"}', 'a')"#, "'x'"),
        // What is cut off or stands around does not matter.
        (r#"JsonExtract('{"a":"b","c":', 'a')"#, "'b'"),
        (r#"JsonExtract('host app: {"a":"b"}', 'a')"#, "'b'"),
        (
            r#"JsonExtract('{"x":{"a":"no"},"s":"}{","a":"yes"}', 'a')"#,
            "'yes'",
        ),
        ("JsonExtract('', 'a')", "''"),
        ("JsonExtract('nonsense', 'a')", "''"),
        (r#"JsonExtract('{"a"', 'a')"#, "''"),
        (r#"JsonExtract('{"a":}', 'a')"#, "''"),
        (r#"JsonExtract('{"a":"b', 'a')"#, "''"),
        (
            r#"JsonExtractSlice('{"test": {"foo": [{"a":"b"}]}}', 'test.foo')"#,
            "[{'a': 'b'}]",
        ),
        (r#"JsonExtractSlice('{"test" : "1234"}', 'test')"#, "[]"),
        (
            r#"JsonExtractObject('{"test": {"foo": [{"a":"b"}]}}', 'test.foo[0]')"#,
            "{'a': 'b'}",
        ),
        (r#"JsonExtractObject('{"a":1}', 'a').b"#, "nil"),
        (
            r#"map(JsonExtractSlice('{"Records":[{"a":1},{"a":2}]}', "Records"), ToJsonString(#))"#,
            r#"['{"a":1}', '{"a":2}']"#,
        ),
    ]);
    check_fails("JsonExtract(nil, 'a')", "JsonExtract must be given a text");
}

//! Literals, operators, variables, closures.

use super::{check, check_all, check_fails};

#[test]
fn literals() {
    check_all(&[
        ("42", "42"),
        ("1_000", "1000"),
        ("0x2A", "42"),
        ("0o52", "42"),
        ("0b10_1010", "42"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("1.", "1.0"),
        ("1e3", "1000.0"),
        ("1.5E-1", "0.15"),
        ("9223372036854775807", "9223372036854775807"),
        ("true", "true"),
        ("nil", "nil"),
        ("'a'", "'a'"),
        (r#""a'b""#, "'a'b'"),
        (r"'a\'b'", "'a'b'"),
        (r"'\x41\u0042\U00000043\u{44}\105'", "'ABCDE'"),
        (r"'\a\b\f\n\r\t\v\\\?\`'", "'\x07\x08\x0C\n\r\t\x0B\\?`'"),
        ("`a\\n\nb`", "'a\\n\nb'"),
        ("`a``b`", "'a`b'"),
        (r#"b"a\x41""#, "'aA'"),
        ("'é'", "'é'"),
        ("[1, 'a', [], nil,]", "[1, 'a', [], nil]"),
        (
            "{a: 1, 'b c': 2, 3: 4, ('d' + 'e'): 5}",
            "{'3': 4, 'a': 1, 'b c': 2, 'de': 5}",
        ),
        ("1 // comment", "1"),
        ("/* a */ 1 /* b\n*/ + 2", "3"),
    ]);
}

#[test]
fn arithmetic() {
    check_all(&[
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("7 / 2", "3.5"),
        ("8 / 2", "4.0"),
        ("1 / 0", "inf"),
        ("7 % 3", "1"),
        ("-7 % 3", "-1"),
        ("2 ** 10", "1024.0"),
        ("2 ^ 3 ** 2", "512.0"),
        ("-2 ** 2", "-4.0"),
        ("2 ** -1", "0.5"),
        ("1 + 0.5", "1.5"),
        ("1 - -1", "2"),
        ("+1", "1"),
        ("--1", "1"),
        ("9223372036854775807 + 1", "-9223372036854775808"),
        ("'a' + 'b' + 'c'", "'abc'"),
        ("1..4", "[1, 2, 3, 4]"),
        ("3..1", "[]"),
        ("1 + 1..3", "[2, 3]"),
    ]);
    check_fails("1 % 0", "division by zero");
    check_fails("1 + 'a'", "+ is not defined between an int and a text");
    check_fails("'a' + nil", "+ is not defined");
    check_fails("1.5 % 2", "% is not defined");
    check_fails("-'a'", "must be a number");
    check_fails("+'a'", "must be a number");
}

#[test]
fn comparison() {
    check_all(&[
        ("1 == 1.0", "true"),
        ("1 != 2", "true"),
        ("'a' == 'a'", "true"),
        ("'1' == 1", "false"),
        ("nil == nil", "true"),
        ("nil == ''", "false"),
        ("nil == false", "false"),
        ("[1, 'a'] == [1.0, 'a']", "true"),
        ("[1] == [1, 2]", "false"),
        ("{a: [1]} == {a: [1]}", "true"),
        ("{a: 1} == {b: 1}", "false"),
        ("1 < 2", "true"),
        ("2 <= 1.5", "false"),
        ("'a' < 'b'", "true"),
        ("'b' >= 'ba'", "false"),
        ("1 < 2 < 3", "true"),
        ("1 < 3 < 2", "false"),
        ("1 < 2 <= 2 > 1", "true"),
        ("duration('1m') > duration('59s')", "true"),
        ("date('2026-01-02') > date('2026-01-01')", "true"),
        (
            "date('2026-01-02') == date('2026-01-02T01:00:00+01:00')",
            "true",
        ),
    ]);
    check_fails("1 < 'a'", "< is not defined");
    check_fails("nil < 1", "< is not defined");
    check_fails("duration('1m') > 5", "> is not defined");
}

#[test]
fn logic() {
    check_all(&[
        ("true and false", "false"),
        ("true && true && true", "true"),
        ("false or true", "true"),
        ("false || false", "false"),
        ("not true", "false"),
        ("!false", "true"),
        ("not not true", "true"),
        ("!(1 == 2)", "true"),
        ("true or 1 % 0 == 1", "true"),
        ("false and 1 % 0 == 1", "false"),
        ("true || false && false", "true"),
        ("true ? 1 : 2", "1"),
        ("false ? 1 : true ? 2 : 3", "2"),
        ("true ?: false", "true"),
        ("false ?: 2", "2"),
        ("if 1 < 2 { 'a' } else { 'b' }", "'a'"),
        ("if false { 1 } else if true { 2 } else { 3 }", "2"),
        ("nil ?? 1", "1"),
        ("nil ?? nil ?? 2", "2"),
        ("'' ?? 1", "''"),
        ("(nil ?? 1) + 1", "2"),
        ("1 == nil ?? 1", "true"),
        ("1; 2; 3;", "3"),
    ]);
    check_fails("1 and true", "must be a bool");
    check_fails("not 1", "must be a bool");
    check_fails("nil ? 1 : 2", "must be a bool");
    check_fails("nil ?? 1 + 2", "need brackets");
    // As in Go: `not` binds tighter than the comparison.
    check_fails("not 1 == 2", "must be a bool");
}

#[test]
fn tests_of_texts() {
    check_all(&[
        ("'abc' contains 'b'", "true"),
        ("'abc' contains ''", "true"),
        ("'abc' not contains 'b'", "false"),
        ("'abc' startsWith 'ab'", "true"),
        ("'abc' not startsWith 'x'", "true"),
        ("'abc' endsWith 'bc'", "true"),
        ("not ('abc' endsWith 'x')", "true"),
        ("'abc' matches '^a.c$'", "true"),
        ("'abc' not matches 'B'", "true"),
        ("'a{x' matches 'a{x'", "true"),
        ("'abc' matches 'a' + '.c'", "true"),
        (r"'a1' matches '\\d'", "true"),
        ("nil contains 'a'", "false"),
        ("nil matches 'a'", "false"),
        ("nil startsWith 'a'", "false"),
        ("nil endsWith nil", "false"),
        ("'abc' contains nil", "false"),
        ("'abc' startsWith Lower('AB')", "true"),
        ("'a' in ['a', 'b']", "true"),
        ("'c' not in ['a', 'b']", "true"),
        ("nil in ['', nil]", "true"),
        ("'' in ['', nil]", "true"),
        ("1 in [1.0]", "true"),
        ("1 in ['1']", "false"),
        ("'a' in {a: nil}", "true"),
        ("'b' in {a: 1}", "false"),
        ("1 in nil", "false"),
        ("2 in 1..3", "true"),
        ("'a' in []", "false"),
    ]);
    check_fails("1 contains 'a'", "contains is not defined");
    check_fails("'a' in 'abc'", "in is not defined");
    check_fails("'a' matches evt.Parsed.x + '('", "the pattern is none");
    check_fails("'a' matches '('", "bad pattern");
}

#[test]
fn access() {
    check_all(&[
        ("[1, 2, 3][0]", "1"),
        ("[1, 2, 3][-1]", "3"),
        ("{a: {b: 1}}.a.b", "1"),
        ("{a: 1}['a']", "1"),
        ("{a: 1}.b", "nil"),
        ("{a: 1}?.b?.c", "nil"),
        ("(nil)?.a.b.c", "nil"),
        ("(nil)?.a", "nil"),
        ("(nil)?.[0]", "nil"),
        ("{a: 1}.b?.c", "nil"),
        ("{'in': 1}.in", "1"),
        ("'abc'[1]", "98"),
        ("'abc'[1:]", "'bc'"),
        ("'abc'[:1]", "'a'"),
        ("'abc'[:-1]", "'ab'"),
        ("'abc'[-2:]", "'bc'"),
        ("'abc'[1:2]", "'b'"),
        ("'abc'[:]", "'abc'"),
        ("'abc'[2:1]", "''"),
        ("'abc'[5:9]", "''"),
        ("('a' + 'bc')[1:9]", "'bc'"),
        ("[1, 2, 3][1:]", "[2, 3]"),
        ("[1, 2, 3][-9:2]", "[1, 2]"),
        ("['a', 'b'][1:]", "['b']"),
        ("(1..3)[0]", "1"),
        ("{a: [1, {b: 2}]}.a[1].b", "2"),
    ]);
    check_fails("[1][1]", "has no element 1");
    check_fails("[1][-2]", "has no element -2");
    check_fails("(nil).a", "nil has no a");
    check_fails("{a: 1}.b.c", "nil has no c");
    check_fails("{a: 1}?.b.c", "nil has no c");
    check_fails("'a'.b", "a text has no b");
    check_fails("(nil)?.a[0]", "must be a list");
    check_fails("[1]['a']", "a list has no a");
    check_fails("1 in [1][nil:]", "must be a number");
}

#[test]
fn variables() {
    check_all(&[
        ("let x = 1; x + x", "2"),
        ("let x = 1; let y = x + 1; [x, y]", "[1, 2]"),
        ("(let x = 1; x) + 1", "2"),
        (
            "let a = 'x'; map([1, 2], {let b = #; string(b) + a})",
            "['1x', '2x']",
        ),
        ("map(1..3, {let x = # * 2; x + 1})", "[3, 5, 7]"),
        ("let _x1 = true; _x1", "true"),
    ]);
}

#[test]
fn pipes() {
    check_all(&[
        ("'A b' | lower() | split(' ')", "['a', 'b']"),
        ("1..4 | filter({# % 2 == 0}) | map(# * 10)", "[20, 40]"),
        ("1..4 | sum()", "10"),
        ("'a' | repeat(3)", "'aaa'"),
        ("'a,b' | split(',') | len() == 2", "true"),
    ]);
}

#[test]
fn closures() {
    check_all(&[
        ("all(1..3, {# > 0})", "true"),
        ("all([], {false})", "true"),
        ("any(1..3, {# > 2})", "true"),
        ("any([], true)", "false"),
        ("one(1..3, # == 2)", "true"),
        ("none(1..3, # > 5)", "true"),
        ("map(1..3, # * 2)", "[2, 4, 6]"),
        ("map(['a', 'b'], {# + string(#index)})", "['a0', 'b1']"),
        ("filter(1..5, {# % 2 == 1})", "[1, 3, 5]"),
        ("filter([{a: 1}, {a: 2}], .a > 1)", "[{'a': 2}]"),
        ("filter([{a: 1}, {a: 2}], {#.a > 1})[0].a", "2"),
        ("find(1..5, # > 2)", "3"),
        ("find(1..5, # > 9)", "nil"),
        ("findIndex(1..5, # > 2)", "2"),
        ("findIndex([], true)", "nil"),
        ("findLast(1..5, # < 4)", "3"),
        ("findLastIndex(1..5, # < 4)", "2"),
        ("count(1..5, # > 3)", "2"),
        ("count([true, false, true])", "2"),
        ("sum(1..4)", "10"),
        ("sum([{a: 1}, {a: 2.5}], .a)", "3.5"),
        ("sum([])", "0"),
        ("groupBy(1..4, # % 2)", "{0: [2, 4], 1: [1, 3]}"),
        ("groupBy(['a', 'bb', 'c'], len(#))[1]", "['a', 'c']"),
        ("groupBy([1], #)[5]", "[]"),
        ("sortBy([3, 1, 2], #)", "[1, 2, 3]"),
        (
            "sortBy([{a: 2}, {a: 1}], .a, 'desc')",
            "[{'a': 2}, {'a': 1}]",
        ),
        ("reduce(1..4, #acc + #)", "10"),
        ("reduce(1..4, #acc + #, 10)", "20"),
        ("reduce(1..3, {#acc * 10 + #index}, 0)", "12"),
        (
            "map(1..2, {let a = #; map(1..2, {a * #})})",
            "[[1, 2], [2, 4]]",
        ),
        ("all([[1], [2, 3]], {any(#, # > 0)})", "true"),
        ("map([[1, 2], [3]], {len(#)})", "[2, 1]"),
    ]);
    check_fails("any(1, true)", "must be a list");
    check_fails("any(nil, true)", "must be a list");
    check_fails("any({a: 1}, true)", "must be a list");
    check_fails("any([1], 1)", "must be a bool");
    check_fails("count([1])", "must be a bool");
    check_fails("sum(['a'])", "+ is not defined");
    check_fails("reduce([], #acc)", "empty list");
    check_fails("sortBy([1, 'a'], #)", "< is not defined");
    check_fails("sortBy([1], #, 'up')", "the order is");
    check_fails("groupBy([1], [#])", "must be a plain value");
}

#[test]
fn what_one_evaluation_may_cost_is_bounded() {
    for source in [
        "1..9223372036854775807",
        "-9223372036854775807..9223372036854775807",
        "1..10000000",
        "repeat('a', 9223372036854775807)",
        "repeat('aaaaaaaaaaaaaaaa', 1000000)",
        "map(1..100000, map(1..100000, #))",
        "all(1..100000, all(1..100000, true))",
        "reduce(1..100000, #acc + #acc, 'a')",
        "reduce(1..100000, [#acc])",
        "reduce(1..100000, {{a: #acc}})",
        "reduce(1..1000, concat(#acc, #acc), [1])",
        "reduce(1..1000, replace(#acc, 'a', 'aa'), 'a')",
        "reduce(1..1000, Sprintf('%s%s', #acc, #acc), 'a')",
        "reduce(1..1000, [#acc, #acc], 1) | flatten()",
        "join(map(1..10000, {repeat('a', 1000)}), '')",
    ] {
        check_fails(source, "too much");
    }
    check("Sprintf('%99999999d', 1) == Sprintf('%10000d', 1)", "true");
}

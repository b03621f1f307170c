//! Comparison with the crate `expr-lang`, another implementation of the same language.
//!
//! It differs from Go's, and so from ours, in these: members and elements that are not there are errors or nil
//! in other places, `/` of whole numbers stays whole, `**` and `round` of them too, `len` counts bytes, closures
//! know no `#acc`, there is no bytes literal. Such expressions are left out here; `language` has them.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "kinds that no case has are shown as they are"
)]

use ::expr::{Context, Value as Other, eval};

use super::Fixture;

fn shown(value: &Other) -> String {
    match value {
        Other::Nil => "nil".to_owned(),
        Other::Bool(value) => value.to_string(),
        Other::Integer(value) => value.to_string(),
        Other::Float(value) => format!("{value:?}"),
        Other::String(text) => format!("'{text}'"),
        Other::Array(elements) => format!(
            "[{}]",
            elements.iter().map(shown).collect::<Vec<_>>().join(", ")
        ),
        other => format!("{other:?}"),
    }
}

fn check(source: &str) {
    let other = eval(source, &Context::default())
        .map(|value| shown(&value))
        .map_err(|error| error.to_string());
    let ours = Fixture::empty().show(source);
    assert_eq!(
        ours.as_ref().ok(),
        other.as_ref().ok(),
        "{source}: {ours:?} here, {other:?} there"
    );
}

#[test]
fn the_same_values() {
    for source in [
        "1 + 2 * 3 - 4",
        "(1 + 2) * (3 - 4)",
        "2 * 3 % 4",
        "-(1 + 2)",
        "1.5 * 2.0",
        "1.5 + 1.5 == 3.0",
        "'a' + 'b'",
        "1 == 1 && 2 != 3",
        "1 < 2 and 2 <= 2 and 3 > 2 and 3 >= 4",
        "true or false and false",
        "not true or true",
        "!(1 == 2) && true",
        "true ? 1 : 2",
        "false ? 'a' : 'b' + 'c'",
        "nil ?? 'x'",
        "1 in [1, 2]",
        "3 not in [1, 2]",
        "'b' in ['a', 'b']",
        "'abc' contains 'bc'",
        "'abc' startsWith 'ab' && 'abc' endsWith 'c'",
        "'abc' matches '^[a-c]+$'",
        "[1, 2, 3][1]",
        "[1, 2, 3][-1]",
        "[1, 2, 3][1:]",
        "[1, 2, 3][:2]",
        "'hello'[1:3]",
        "{a: 1}.a",
        "let x = 2; x * x",
        "1..4",
        "all([1, 2], {# > 0})",
        "any([1, 2], {# > 1})",
        "one([1, 2, 3], {# > 2})",
        "none([1, 2], {# > 2})",
        "map([1, 2, 3], {# * 2})",
        "filter([1, 2, 3, 4], {# % 2 == 0})",
        "find([1, 2, 3], {# > 1})",
        "findIndex([1, 2, 3], {# > 1})",
        "findLast([1, 2, 3], {# < 3})",
        "findLastIndex([1, 2, 3], {# < 3})",
        "count([1, 2, 3], {# > 1})",
        "sum([1, 2, 3])",
        "trim('  a ')",
        "trimPrefix('abc', 'a')",
        "trimSuffix('abc', 'c')",
        "upper('abc') + lower('ABC')",
        "split('a,b,c', ',')",
        "join(['a', 'b'], '-')",
        "replace('aXb', 'X', '-')",
        "repeat('ab', 3)",
        "indexOf('abcabc', 'c')",
        "lastIndexOf('abcabc', 'c')",
        "hasPrefix('abc', 'ab')",
        "hasSuffix('abc', 'ab')",
        "len([1, 2, 3])",
        "len('abc')",
        "int('42') + 1",
        "float('1.5') + 1.0",
        "string(42)",
        "first([1, 2])",
        "last([1, 2])",
        "reverse([1, 2, 3])",
        "sort([3, 1, 2])",
        "uniq([1, 2, 1])",
        "flatten([1, [2, 3]])",
        "abs(-5)",
        "max([1, 3, 2])",
        "min([3, 1, 2])",
        "'a,b' | split(',') | join('-')",
    ] {
        check(source);
    }
}

//! Groups that only group.
//!
//! A rule writes `(a|b)` where it means `(?:a|b)`: only named groups become fields. Since each capture costs
//! time while matching, plain groups are made not to capture before a pattern is compiled.

/// The pattern with every plain group as one that does not capture. Groups, escapes and classes are told apart
/// as RE2 does; what is wrong in them is left to the compiler to say.
pub(super) fn without_captures(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + pattern.len() / 16);
    let mut rest = pattern;
    while let Some(at) = rest.find(['(', '[', '\\']) {
        let (before, special) = rest.split_at(at);
        out.push_str(before);
        let taken = match special.as_bytes()[0] {
            b'\\' => escape_bytes(special),
            b'[' => class_bytes(special),
            _ => 1,
        };
        out.push_str(&special[..taken]);
        rest = &special[taken..];
        if taken == 1 && special.starts_with('(') && !rest.starts_with('?') {
            out.push_str("?:");
        }
    }
    out.push_str(rest);
    out
}

/// Length of the escape that a text starts with: `\(`, or `\Q…\E`.
fn escape_bytes(text: &str) -> usize {
    if text.starts_with("\\Q") {
        return text.find("\\E").map_or(text.len(), |end| end + 2);
    }
    text.chars().take(2).map(char::len_utf8).sum()
}

/// Length of the class that a text starts with. A `]` that comes first stands for itself.
fn class_bytes(text: &str) -> usize {
    let mut at = 1;
    if text[at..].starts_with('^') {
        at += 1;
    }
    if text[at..].starts_with(']') {
        at += 1;
    }
    while let Some(c) = text[at..].chars().next() {
        at += match c {
            ']' => return at + 1,
            '\\' => escape_bytes(&text[at..]),
            '[' if text[at..].starts_with("[:") => text[at..].find(":]").map_or(1, |end| end + 2),
            c => c.len_utf8(),
        };
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::{self, Limits};

    #[test]
    fn only_plain_groups_change() {
        let cases = [
            ("a(b|c)d", "a(?:b|c)d"),
            ("((a)b)", "(?:(?:a)b)"),
            ("(?:a)(?P<n>b)(?i)(?<m>c)", "(?:a)(?P<n>b)(?i)(?<m>c)"),
            (r"\(a\)\\(b)", r"\(a\)\\(?:b)"),
            ("[(](a)[])(](b)[^](]", "[(](?:a)[])(](?:b)[^](]"),
            (r"[\](](a)[[:alpha:](](b)", r"[\](](?:a)[[:alpha:](](?:b)"),
            (r"\Q(a)\E(b)", r"\Q(a)\E(?:b)"),
            (r"\Q(a)", r"\Q(a)"),
            ("é(é)[é(]", "é(?:é)[é(]"),
            ("[(", "[("),
            ("(", "(?:"),
            ("\\", "\\"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(without_captures(pattern), expected, "{pattern}");
        }
    }

    proptest::proptest! {
        #[test]
        fn it_still_matches_the_same(pattern in r"([ab]|\(|\)|\[|\]|\||\*|\^|\\|\?|é|-|:|Q|E){0,14}", text in r"[ab()\[\]é|-]{0,8}") {
            let plain = pattern::compile(&pattern, Limits::DYNAMIC);
            let without = pattern::compile(&without_captures(&pattern), Limits::DYNAMIC);
            let find = |regex: regex::bytes::Regex| regex.find(text.as_bytes()).map(|found| found.range());
            proptest::prop_assert_eq!(plain.ok().map(find), without.ok().map(find));
        }
    }
}

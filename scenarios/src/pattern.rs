//! Regular expressions as rules mean them: the syntax of RE2 (Go's `regexp`), over bytes.
//!
//! Rules are written for RE2, whose classes are ASCII and which takes a `{` that repeats nothing, a `[` inside
//! a class or `\<` for the character itself. The pattern is rewritten to the `regex` crate's syntax with
//! Unicode off, piece by piece, so that both mean the same; where they could not, it is an error here and not
//! another meaning there. Used by `grok` and `expr`; nothing else names the `regex` crate's builder.
//!
//! Known difference: `.` and a negated class match one byte and not one code point, and `(?i)` folds ASCII
//! only.

use std::fmt::Write as _;

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// What one compiled pattern may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of the compiled program. The largest of the hub needs about 1 MiB with ASCII classes.
    pub(crate) program_bytes: usize,
    /// Bytes of one thread's cache of states while matching; beyond it the slower, still linear engine runs.
    pub(crate) cache_bytes: usize,
}

impl Limits {
    /// For patterns that stand in a rule.
    pub(crate) const RULE: Limits = Limits {
        program_bytes: 10 << 20,
        cache_bytes: 1 << 20,
    };
    /// For all patterns of a data file together.
    pub(crate) const FILE: Limits = Limits {
        program_bytes: 64 << 20,
        cache_bytes: 8 << 20,
    };
    /// For patterns that an expression puts together from a line.
    pub(crate) const DYNAMIC: Limits = Limits {
        program_bytes: 1 << 20,
        cache_bytes: 256 << 10,
    };
}

/// Longest pattern that is looked at, in bytes: the hub's longest, all groks put in, has 9,078.
pub(crate) const PATTERN_BYTES_MAX: usize = 256 << 10;

/// A pattern that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad pattern at byte {at}: {message}")]
pub(crate) struct PatternError {
    /// Where in the pattern as it was written, as near as is known.
    pub(crate) at: usize,
    /// What is wrong there.
    pub(crate) message: String,
}

/// Compile a pattern.
pub(crate) fn compile(pattern: &str, limits: Limits) -> Result<Regex, PatternError> {
    let translated = translate(pattern)?;
    RegexBuilder::new(&translated)
        .unicode(false)
        .size_limit(limits.program_bytes)
        .dfa_size_limit(limits.cache_bytes)
        .build()
        .map_err(|error| PatternError {
            at: 0,
            message: last_line(&error.to_string()),
        })
}

/// Compile patterns of which any may match. They must each compile alone.
pub(crate) fn compile_set(patterns: &[&str], limits: Limits) -> Result<RegexSet, PatternError> {
    let translated = patterns
        .iter()
        .map(|pattern| translate(pattern))
        .collect::<Result<Vec<_>, _>>()?;
    RegexSetBuilder::new(translated)
        .unicode(false)
        .size_limit(limits.program_bytes)
        .dfa_size_limit(limits.cache_bytes)
        .build()
        .map_err(|error| PatternError {
            at: 0,
            message: last_line(&error.to_string()),
        })
}

/// The `regex` crate's messages show the pattern on several lines; what is wrong stands on the last one.
fn last_line(message: &str) -> String {
    let last = message.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// The same pattern in the `regex` crate's syntax, to be compiled with Unicode off.
pub(crate) fn translate(pattern: &str) -> Result<String, PatternError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(PatternError {
            at: PATTERN_BYTES_MAX,
            message: "the pattern is too long".to_owned(),
        });
    }
    let mut translation = Translation {
        rest: Rest { pattern, at: 0 },
        out: String::with_capacity(pattern.len() + 16),
    };
    while let Some(c) = translation.rest.next() {
        translation.piece(c)?;
    }
    Ok(translation.out)
}

/// What of the pattern is still to be read.
struct Rest<'p> {
    pattern: &'p str,
    at: usize,
}

impl<'p> Rest<'p> {
    fn text(&self) -> &'p str {
        &self.pattern[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.text().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.text().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Take everything up to `end`, and `end` too.
    fn take_until(&mut self, end: &str) -> Option<&'p str> {
        let length = self.text().find(end)?;
        let taken = &self.text()[..length];
        self.at += length + end.len();
        Some(taken)
    }

    fn error<T>(&self, message: &str) -> Result<T, PatternError> {
        Err(PatternError {
            at: self.at,
            message: message.to_owned(),
        })
    }
}

/// What one escape means.
enum Escape {
    /// A character that stands for itself.
    Char(char),
    /// A class or an assertion in the `regex` crate's syntax, good inside and outside of brackets.
    Class(String, NeedsUnicode),
    /// Good outside of brackets only.
    Assertion(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum NeedsUnicode {
    Yes,
    No,
}

struct Translation<'p> {
    rest: Rest<'p>,
    out: String,
}

impl Translation<'_> {
    fn piece(&mut self, c: char) -> Result<(), PatternError> {
        match c {
            '\\' if self.rest.take("Q") => self.quoted(),
            '\\' => return self.escape(),
            '[' => return self.class(),
            '{' if !starts_repetition(self.rest.text()) => self.out.push_str("\\{"),
            c => self.out.push(c),
        }
        Ok(())
    }

    /// `\Q…\E`, the end of the pattern closes it too.
    fn quoted(&mut self) {
        let literal = self.rest.take_until("\\E").unwrap_or_else(|| {
            let all = self.rest.text();
            self.rest.at += all.len();
            all
        });
        for c in literal.chars() {
            push_char(&mut self.out, c);
        }
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        match escape(&mut self.rest)? {
            Escape::Char(c) => push_char(&mut self.out, c),
            Escape::Class(class, NeedsUnicode::No) => self.out.push_str(&class),
            Escape::Class(class, NeedsUnicode::Yes) => {
                // A write into a string does not fail.
                let _ = write!(self.out, "(?u:{class})");
            }
            Escape::Assertion(text) => self.out.push_str(text),
        }
        Ok(())
    }

    /// A class in brackets. Everything in it is written anew, so that none of the `regex` crate's set
    /// operators appears by accident.
    fn class(&mut self) -> Result<(), PatternError> {
        let start = self.rest.at;
        let mut class = String::from("[");
        let mut unicode = NeedsUnicode::No;
        if self.rest.take("^") {
            class.push('^');
        }
        let mut first = true;
        loop {
            if !first && self.rest.take("]") {
                break;
            }
            first = false;
            let Some(item) = class_item(&mut self.rest)? else {
                return Err(PatternError {
                    at: start,
                    message: "missing `]`".to_owned(),
                });
            };
            let low = match item {
                Item::Char(c) => c,
                Item::Class(text, needs) => {
                    class.push_str(&text);
                    if needs == NeedsUnicode::Yes {
                        unicode = NeedsUnicode::Yes;
                    }
                    continue;
                }
            };
            let high = self.range_end(low)?;
            if !high.is_ascii() {
                unicode = NeedsUnicode::Yes;
            }
            push_class_char(&mut class, low);
            if high != low {
                class.push('-');
                push_class_char(&mut class, high);
            }
        }
        class.push(']');
        match unicode {
            NeedsUnicode::No => self.out.push_str(&class),
            NeedsUnicode::Yes => {
                let _ = write!(self.out, "(?u:{class})");
            }
        }
        Ok(())
    }

    /// The upper end of the range that `low` begins, or `low` itself.
    fn range_end(&mut self, low: char) -> Result<char, PatternError> {
        let rest = self.rest.text();
        if !rest.starts_with('-') || rest.starts_with("-]") || rest.len() == 1 {
            return Ok(low);
        }
        self.rest.next();
        match class_item(&mut self.rest)? {
            Some(Item::Char(high)) if high >= low => Ok(high),
            Some(Item::Char(_) | Item::Class(..)) => self.rest.error("bad range in a class"),
            None => self.rest.error("missing `]`"),
        }
    }
}

enum Item {
    Char(char),
    Class(String, NeedsUnicode),
}

fn class_item(rest: &mut Rest<'_>) -> Result<Option<Item>, PatternError> {
    if rest.text().starts_with("[:")
        && let Some(length) = rest.text().find(":]")
        // In `[:]` the colon would be both ends.
        && length >= 2
    {
        let name = &rest.text()[..length + 2];
        if name[2..length]
            .trim_start_matches('^')
            .bytes()
            .all(|b| b.is_ascii_lowercase())
        {
            rest.at += name.len();
            return Ok(Some(Item::Class(name.to_owned(), NeedsUnicode::No)));
        }
    }
    match rest.next() {
        None => Ok(None),
        Some('\\') => match escape(rest)? {
            Escape::Char(c) => Ok(Some(Item::Char(c))),
            Escape::Class(class, needs) => Ok(Some(Item::Class(class, needs))),
            Escape::Assertion(_) => rest.error("an assertion inside a class"),
        },
        Some(c) => Ok(Some(Item::Char(c))),
    }
}

/// The escape behind a backslash.
fn escape(rest: &mut Rest<'_>) -> Result<Escape, PatternError> {
    let Some(c) = rest.next() else {
        return rest.error("a backslash at the end");
    };
    let class = |text: &str| Ok(Escape::Class(text.to_owned(), NeedsUnicode::No));
    match c {
        // RE2's `\s` has no vertical tab, the `regex` crate's has.
        's' => class(r"[\t\n\f\r ]"),
        'S' => class(r"[^\t\n\f\r ]"),
        'd' => class("[0-9]"),
        'D' => class("[^0-9]"),
        'w' => class("[0-9A-Za-z_]"),
        'W' => class("[^0-9A-Za-z_]"),
        'p' | 'P' => property(c, rest),
        'A' => Ok(Escape::Assertion(r"\A")),
        'z' => Ok(Escape::Assertion(r"\z")),
        'b' => Ok(Escape::Assertion(r"\b")),
        'B' => Ok(Escape::Assertion(r"\B")),
        'C' => Ok(Escape::Assertion("(?s-u:.)")),
        'a' => Ok(Escape::Char('\x07')),
        'f' => Ok(Escape::Char('\x0C')),
        't' => Ok(Escape::Char('\t')),
        'n' => Ok(Escape::Char('\n')),
        'r' => Ok(Escape::Char('\r')),
        'v' => Ok(Escape::Char('\x0B')),
        'x' => hexadecimal(rest),
        '0'..='7' => octal(c, rest),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(Escape::Char(c)),
        c => rest.error(&format!("unknown escape `\\{c}`")),
    }
}

fn property(kind: char, rest: &mut Rest<'_>) -> Result<Escape, PatternError> {
    let name = if rest.take("{") {
        rest.take_until("}").map(str::to_owned)
    } else {
        rest.next().map(String::from)
    };
    match name {
        Some(name) => Ok(Escape::Class(
            format!("\\{kind}{{{name}}}"),
            NeedsUnicode::Yes,
        )),
        None => rest.error("a class without a name"),
    }
}

fn hexadecimal(rest: &mut Rest<'_>) -> Result<Escape, PatternError> {
    let digits = if rest.take("{") {
        rest.take_until("}")
    } else {
        let digits = rest.text().get(..2);
        rest.at += digits.map_or(0, str::len);
        digits
    };
    let value = digits
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .and_then(char::from_u32);
    match value {
        Some(c) => Ok(Escape::Char(c)),
        None => rest.error("bad hexadecimal escape"),
    }
}

/// One to three octal digits; a single one that is not 0 would be a back reference.
fn octal(first: char, rest: &mut Rest<'_>) -> Result<Escape, PatternError> {
    let digits = rest
        .text()
        .bytes()
        .take(2)
        .take_while(|b| matches!(b, b'0'..=b'7'))
        .count();
    if first != '0' && digits == 0 {
        return rest.error("back references are not supported");
    }
    let mut value = first.to_digit(8).unwrap_or_default();
    for digit in rest.text()[..digits].bytes() {
        value = value * 8 + u32::from(digit - b'0');
    }
    rest.at += digits;
    match char::from_u32(value) {
        Some(c) => Ok(Escape::Char(c)),
        None => rest.error("bad octal escape"),
    }
}

/// Whether what follows a `{` makes it a repetition: `3}`, `3,}`, `3,5}`.
fn starts_repetition(rest: &str) -> bool {
    let Some(end) = rest.find('}') else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match rest[..end].split_once(',') {
        Some((low, high)) => is_number(low) && (high.is_empty() || is_number(high)),
        None => is_number(&rest[..end]),
    }
}

fn push_char(out: &mut String, c: char) {
    if regex_syntax::is_meta_character(c) {
        out.push('\\');
    }
    // A literal beyond ASCII is its UTF-8 bytes, with Unicode off as well.
    out.push(c);
}

fn push_class_char(out: &mut String, c: char) {
    if c.is_ascii() && !c.is_ascii_alphanumeric() {
        let _ = write!(out, "\\x{:02X}", c as u32);
    } else {
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(pattern: &str, text: &str, expected: Option<&str>) {
        let regex = compile(pattern, Limits::RULE).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        let found = regex
            .find(text.as_bytes())
            .map(|m| std::str::from_utf8(m.as_bytes()).unwrap());
        assert_eq!(
            found,
            expected,
            "{pattern} on {text}, as {}",
            translate(pattern).unwrap()
        );
    }

    fn check_error(pattern: &str, at: usize) {
        let error = compile(pattern, Limits::RULE).unwrap_err();
        assert_eq!(error.at, at, "{pattern}: {error}");
    }

    #[test]
    fn means_what_re2_means() {
        check("a{2}", "aaa", Some("aa"));
        check("a{2,}", "aaa", Some("aaa"));
        check("a{,2}", "aa{,2}", Some("a{,2}"));
        check(r#"{"a":"#, r#"x{"a":1}"#, Some(r#"{"a":"#));
        check("${jndi:", "${jndi:", None);
        check(r"\${jndi:", "x${jndi:", Some("${jndi:"));
        check("%{x}", "%{x}", Some("%{x}"));
        check("[[]", "a[", Some("["));
        check("[[:]+", "a[:b", Some("[:"));
        check("[:]", "a:", Some(":"));
        check("[]a]+", "x]a]", Some("]a]"));
        check("[^]a]+", "]ax]", Some("x"));
        check("[a&&b]+", "a&b", Some("a&b"));
        check(r"[\w-.]+", "a-b.c d", Some("a-b.c"));
        check("[+--]+", "a+,-b", Some("+,-"));
        check("[--a]+", "-@a", Some("-@a"));
        check("[a-]+", "-a-", Some("-a-"));
        check("[[:alpha:]-]+", "1a-b2", Some("a-b"));
        check("[[:^alpha:]]+", "a12b", Some("12"));
        check(r"\<a\>", "<a>", Some("<a>"));
        check(r"\_\-\/\:", "_-/:", Some("_-/:"));
        check(r"\Qa.b\E.", "a.bc", Some("a.bc"));
        check(r"\Qa[b", "a[b", Some("a[b"));
        check(r"\x41\x{42}\103", "ABC", Some("ABC"));
        check(r"\xe9", "é", Some("é"));
        check("[é-ü]+", "aéb", Some("é"));
        check(r"\pL+", "1äb2", Some("äb"));
        check(r"[\p{Greek}a]+", "xαaβ", Some("αaβ"));
        check(r"a\sb", "a\u{b}b", None);
        check(r"[^\s]+", " ab ", Some("ab"));
        check(r"[\S]+", " ab ", Some("ab"));
        check(r"\d+", "٣3", Some("3"));
        check("(?i)ABC", "xabc", Some("abc"));
        check("(?P<name>a)(?<other>b)", "ab", Some("ab"));
        check("(a|ab)(c|bcd)", "abcd", Some("abcd"));
        check("^a$", "a\n", None);
        check("(?m)^b$", "a\nb\n", Some("b"));
        check("(?U)a+", "aaa", Some("a"));
        check(r"\bfoo\b", "a foo.", Some("foo"));
        check("", "abc", Some(""));
    }

    #[test]
    fn says_where_it_is_wrong() {
        check_error("ab[c", 3);
        check_error(r"a\", 2);
        check_error(r"a\q", 3);
        check_error(r"(a)\1", 5);
        check_error("[z-a]", 4);
        check_error(r"\x{zz}", 6);
        check_error("(a", 0);
        check_error("*a", 0);
        check_error(&"a".repeat(PATTERN_BYTES_MAX + 1), PATTERN_BYTES_MAX);
    }

    #[test]
    fn refuses_what_is_too_large() {
        check_error("((a{1,1000}){1,1000}){1,1000}", 0);
        check_error(&"(".repeat(10_000), 0);
    }

    proptest! {
        #[test]
        fn never_panics(pattern in r"[\[\]\\{}()^$a-c&~,:?<>QEpx0-9é-]{0,24}") {
            let _ = compile(&pattern, Limits { program_bytes: 64 << 10, cache_bytes: 64 << 10 });
        }

        #[test]
        fn quotes_any_text(text in ".{0,12}") {
            prop_assume!(!text.contains('\\'));
            let regex = compile(&format!(r"\A\Q{text}\E\z"), Limits::RULE).unwrap();
            prop_assert!(regex.is_match(text.as_bytes()));
        }
    }
}

//! One value of a JSON text by its path, without reading the rest.
//!
//! As lenient as the library CrowdSec uses: what stands before the first bracket is skipped, and what comes
//! after the value is never looked at, so that a line that was cut off still gives what it has. No recursion.

use std::borrow::Cow;

/// What kind of JSON value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    List,
    Map,
    /// A number, `true`, `false` or `null`.
    Plain,
}

/// Where a value stands; a text's quotes do not belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) of: Type,
}

/// The keys of a path such as `a.b[0].c`.
pub(super) fn keys(path: &[u8]) -> Vec<Cow<'_, [u8]>> {
    if path.starts_with(b"[") || !path.contains(&b'[') {
        return path
            .split(|byte| *byte == b'.')
            .map(Cow::Borrowed)
            .collect();
    }
    let path = super::unfold::replace(path, b"[", b".[");
    path.split(|byte| *byte == b'.')
        .map(|key| Cow::Owned(key.to_vec()))
        .collect()
}

/// The value under these keys; a key `[n]` is an element of a list.
pub(super) fn find(text: &[u8], keys: &[Cow<'_, [u8]>]) -> Option<Found> {
    let mut at = text
        .iter()
        .position(|byte| matches!(byte, b'{' | b'[' | b'"'))?;
    for key in keys {
        at = match (text.get(at)?, element_number(key)) {
            (b'{', None) => member(text, at, key)?,
            (b'[', Some(number)) => element(text, at, number)?,
            _ => return None,
        };
    }
    value(text, at)
}

fn element_number(key: &[u8]) -> Option<usize> {
    let digits = key.strip_prefix(b"[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn skip_space(text: &[u8], at: usize) -> usize {
    at + text[at..]
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        .count()
}

/// Where the value of a member begins.
fn member(text: &[u8], object: usize, key: &[u8]) -> Option<usize> {
    let mut at = skip_space(text, object + 1);
    while text.get(at) == Some(&b'"') {
        let end = string_end(text, at)?;
        let name = &text[at + 1..end - 1];
        at = skip_space(text, end);
        if text.get(at) != Some(&b':') {
            return None;
        }
        at = skip_space(text, at + 1);
        if is_key(name, key) {
            return Some(at);
        }
        at = skip_space(text, value_end(text, at)?);
        if text.get(at) != Some(&b',') {
            return None;
        }
        at = skip_space(text, at + 1);
    }
    None
}

fn is_key(name: &[u8], key: &[u8]) -> bool {
    name == key
        || (name.contains(&b'\\') && unescape(name).is_some_and(|name| name.as_bytes() == key))
}

/// Where an element of a list begins.
fn element(text: &[u8], list: usize, number: usize) -> Option<usize> {
    let mut at = skip_space(text, list + 1);
    for _ in 0..number {
        at = skip_space(text, value_end(text, at)?);
        if text.get(at) != Some(&b',') {
            return None;
        }
        at = skip_space(text, at + 1);
    }
    (text.get(at) != Some(&b']')).then_some(at)
}

fn value(text: &[u8], at: usize) -> Option<Found> {
    let end = value_end(text, at)?;
    Some(match text[at] {
        b'"' => Found {
            start: at + 1,
            end: end - 1,
            of: Type::Text,
        },
        b'{' => Found {
            start: at,
            end,
            of: Type::Map,
        },
        b'[' => Found {
            start: at,
            end,
            of: Type::List,
        },
        _ => Found {
            start: at,
            end,
            of: Type::Plain,
        },
    })
}

/// The end of the value that begins here.
fn value_end(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => string_end(text, at),
        b'{' | b'[' => brackets_end(text, at),
        _ => {
            let is_end =
                |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            let length = text[at..]
                .iter()
                .position(is_end)
                .unwrap_or(text.len() - at);
            let plain = &text[at..at + length];
            let sound = matches!(plain, b"true" | b"false" | b"null")
                || plain
                    .first()
                    .is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-');
            sound.then_some(at + length)
        }
    }
}

/// Behind the closing quote.
fn string_end(text: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Behind the bracket that closes the one here.
fn brackets_end(text: &[u8], open: usize) -> Option<usize> {
    let (mut at, mut depth) = (open, 0_usize);
    loop {
        at += text
            .get(at..)?
            .iter()
            .position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']'))?;
        match text[at] {
            b'"' => {
                at = string_end(text, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            _ => depth -= 1,
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// What stands between the quotes of a JSON string.
pub(super) fn unescape(raw: &[u8]) -> Option<String> {
    let quoted = [b"\"", raw, b"\""].concat();
    serde_json::from_str(&String::from_utf8_lossy(&quoted)).ok()
}

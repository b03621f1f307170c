//! Texts into structured values: JSON, and `key=value` pairs strict and lax.

use super::error::EvalError;
use super::node::Unfold;
use crate::event::Data;

pub(super) fn name(unfold: Unfold) -> &'static str {
    match unfold {
        Unfold::Json => "UnmarshalJSON",
        Unfold::KeyValue => "ParseKV",
        Unfold::KeyValueLax => "ParseKVLax",
    }
}

/// What the text becomes; pairs are added to those that were there `before`.
pub(super) fn unfold(
    unfold: Unfold,
    text: &[u8],
    before: Option<&Data>,
) -> Result<Data, EvalError> {
    match unfold {
        Unfold::Json => {
            json(text).map_err(|error| EvalError::argument("UnmarshalJSON", error.to_string()))
        }
        Unfold::KeyValue => add(unfold, pairs(text), before),
        Unfold::KeyValueLax => add(unfold, lax_pairs(text), before),
    }
}

/// Read JSON as Go does: bytes that are not UTF-8 are replaced.
pub(super) fn json(text: &[u8]) -> Result<Data, serde_json::Error> {
    match std::str::from_utf8(text) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_str(&String::from_utf8_lossy(text)),
    }
}

fn add(
    unfold: Unfold,
    pairs: Vec<(&[u8], Vec<u8>)>,
    before: Option<&Data>,
) -> Result<Data, EvalError> {
    if pairs.is_empty() {
        return Err(EvalError::argument(
            name(unfold),
            "there is no key=value pair",
        ));
    }
    let mut members = match before {
        None => serde_json::Map::new(),
        Some(Data::Object(members)) if members.values().all(Data::is_string) => members.clone(),
        Some(_) => {
            return Err(EvalError::argument(
                name(unfold),
                "there is something else under this key",
            ));
        }
    };
    for (key, value) in pairs {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        members.insert(text(key), Data::String(text(&value)));
    }
    Ok(Data::Object(members))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | 0x0C | b'\r' | b' ')
}

/// `key=value`, `key="value"` and `key=`: a key is anything but spaces and `=`; a quoted value keeps its
/// backslashes; after `key=` without a value any spaces belong to the pair.
fn pairs(text: &[u8]) -> Vec<(&[u8], Vec<u8>)> {
    let mut pairs = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let key_length = text[at..]
            .iter()
            .take_while(|byte| **byte != b'=' && !is_space(**byte))
            .count();
        if key_length == 0 || text.get(at + key_length) != Some(&b'=') {
            at += key_length.max(1);
            continue;
        }
        let key = &text[at..at + key_length];
        let rest = &text[at + key_length + 1..];
        let (value, taken) = match quoted_length(rest) {
            Some(length) => (&rest[1..length - 1], length),
            None => {
                let length = rest
                    .iter()
                    .take_while(|byte| **byte != b'=' && !is_space(**byte))
                    .count();
                let spaces = if length == 0 {
                    rest.iter().take_while(|byte| is_space(**byte)).count()
                } else {
                    0
                };
                (&rest[..length], length + spaces)
            }
        };
        pairs.push((key, value.to_vec()));
        at += key_length + 1 + taken;
    }
    pairs
}

/// Length of the quoted text that begins here, with its quotes.
fn quoted_length(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            // A backslash takes any character with it but a line end.
            b'\\' if text.get(at + 1).is_some_and(|next| *next != b'\n') => at += 2,
            b'\\' => return None,
            _ => at += 1,
        }
    }
}

/// The same where values may be several words without quotes: a value ends where the next key begins.
fn lax_pairs(text: &[u8]) -> Vec<(&[u8], Vec<u8>)> {
    let keys = lax_keys(text);
    let mut pairs = Vec::with_capacity(keys.len());
    for (i, (start, equals)) in keys.iter().enumerate() {
        let end = keys.get(i + 1).map_or(text.len(), |(next, _)| *next);
        pairs.push((
            &text[*start..*equals],
            lax_value(text[equals + 1..end].trim_ascii()),
        ));
    }
    pairs
}

/// Where keys begin and their `=` stands, but for those within quotes.
fn lax_keys(text: &[u8]) -> Vec<(usize, usize)> {
    let mut keys = Vec::new();
    let (mut quoted, mut backslashes, mut at) = (false, 0, 0);
    let mut step = |byte: u8| {
        if byte == b'"' && backslashes % 2 == 0 {
            quoted = !quoted;
        }
        backslashes = if byte == b'\\' { backslashes + 1 } else { 0 };
        quoted
    };
    while at < text.len() {
        let is_start = text[at].is_ascii_alphabetic() || text[at] == b'_';
        let length = if is_start {
            text[at..]
                .iter()
                .take_while(|byte| is_lax_key(**byte))
                .count()
        } else {
            0
        };
        if length == 0 {
            step(text[at]);
            at += 1;
            continue;
        }
        // Nothing that a key is made of can be a quote.
        let within_quotes = step(text[at]);
        if text.get(at + length) == Some(&b'=') && !within_quotes {
            keys.push((at, at + length));
        }
        at += length;
    }
    keys
}

fn is_lax_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

fn lax_value(text: &[u8]) -> Vec<u8> {
    let Some(inner) = text.strip_prefix(b"\"") else {
        return text.to_vec();
    };
    match inner.strip_suffix(b"\"") {
        Some(body) => replace(&replace(body, b"\\\\", b"\\"), b"\\\"", b"\""),
        None => inner.to_vec(),
    }
}

/// Every `from` replaced by `to`.
pub(super) fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for found in memchr::memmem::find_iter(text, from) {
        out.extend_from_slice(&text[at..found]);
        out.extend_from_slice(to);
        at = found + from.len();
    }
    out.extend_from_slice(&text[at..]);
    out
}

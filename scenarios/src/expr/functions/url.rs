//! Escapes of URLs, queries, Base64.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Function, bytes, fixed};
use crate::expr::error::EvalError;
use crate::expr::eval::{Evaluated, Frame};
use crate::expr::value::{Key, Missing, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("QueryEscape", 1, |frame, a| {
        let escaped = escape(bytes("QueryEscape", &a[0])?, "", Plus::IsSpace);
        frame.text(escaped)
    }),
    fixed("PathEscape", 1, |frame, a| {
        let escaped = escape(bytes("PathEscape", &a[0])?, "$&+=:@", Plus::IsItself);
        frame.text(escaped)
    }),
    fixed("QueryUnescape", 1, |frame, a| {
        unescaped(frame, "QueryUnescape", &a[0], Plus::IsSpace)
    }),
    fixed("PathUnescape", 1, |frame, a| {
        unescaped(frame, "PathUnescape", &a[0], Plus::IsItself)
    }),
    fixed("ParseQuery", 1, |frame, a| {
        let query = parse_query(bytes("ParseQuery", &a[0])?);
        query_map(frame, query)
    }),
    fixed("ParseUri", 1, parse_uri),
    fixed("ExtractQueryParam", 2, extract_query_param),
    fixed("B64Decode", 1, |frame, a| decode(frame, "B64Decode", &a[0])),
    fixed("fromBase64", 1, |frame, a| {
        decode(frame, "fromBase64", &a[0])
    }),
    fixed("toBase64", 1, |frame, a| {
        let encoded = STANDARD.encode(bytes("toBase64", &a[0])?);
        frame.text(encoded.into_bytes())
    }),
];

/// What a `+` means, and how a space is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    IsSpace,
    IsItself,
}

fn escape(text: &[u8], kept: &str, plus: Plus) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if byte.is_ascii_alphanumeric()
            || b"-_.~".contains(&byte)
            || kept.as_bytes().contains(&byte)
        {
            out.push(byte);
        } else if byte == b' ' && plus == Plus::IsSpace {
            out.push(b'+');
        } else {
            out.extend([
                b'%',
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]);
        }
    }
    out
}

/// The escape `%41` that a text begins with.
fn escaped_byte(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

/// `None` where an escape is broken.
fn unescape(text: &[u8], plus: Plus) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte == b'%' {
            out.push(escaped_byte(&text[at..])?);
            at += 3;
            continue;
        }
        out.push(if byte == b'+' && plus == Plus::IsSpace {
            b' '
        } else {
            byte
        });
        at += 1;
    }
    Some(out)
}

/// A text with a broken escape stays as it is.
fn unescaped<'a>(
    frame: &mut Frame<'a, '_>,
    function: &'static str,
    of: &Value<'a>,
    plus: Plus,
) -> Evaluated<'a> {
    let text = bytes(function, of)?;
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return Ok(of.clone());
    }
    match unescape(text, plus) {
        Some(text) => frame.text(text),
        None => Ok(of.clone()),
    }
}

type Query = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

/// What a query asks; broken escapes stay as they are.
fn parse_query(query: &[u8]) -> Query {
    let mut parsed = Query::new();
    for pair in query
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
    {
        let (key, value) = cut(pair, b'=');
        parsed
            .entry(lax_unescape(key))
            .or_default()
            .push(lax_unescape(value.unwrap_or_default()));
    }
    parsed
}

fn cut(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(at, text) {
        Some(place) => (&text[..place], Some(&text[place + 1..])),
        None => (text, None),
    }
}

fn lax_unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match escaped_byte(&text[at..]) {
            Some(escaped) => {
                out.push(escaped);
                at += 3;
            }
            None => {
                out.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    out
}

fn query_map<'a>(frame: &mut Frame<'a, '_>, query: Query) -> Evaluated<'a> {
    let mut entries = BTreeMap::new();
    for (key, values) in query {
        let values = values
            .into_iter()
            .map(|value| frame.text(value))
            .collect::<Result<Vec<_>, _>>()?;
        let values = frame.list(values)?;
        entries.insert(Key::Text(key.into()), values);
    }
    frame.map(entries, Missing::List)
}

/// The query of a URI; nothing where the URI or an escape in it is broken.
fn parse_uri<'a>(frame: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let uri = bytes("ParseUri", &arguments[0])?;
    let (uri, fragment) = cut(uri, b'#');
    let (path, query) = cut(uri, b'?');
    let is_control = |byte: &u8| byte.is_ascii_control();
    let sound = !uri.iter().any(is_control)
        && !path.starts_with(b":")
        && unescape(path, Plus::IsItself).is_some()
        && unescape(fragment.unwrap_or_default(), Plus::IsItself).is_some();
    let mut parsed = Query::new();
    for pair in query
        .unwrap_or_default()
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
    {
        let (key, value) = cut(pair, b'=');
        let unescaped = (
            unescape(key, Plus::IsSpace),
            unescape(value.unwrap_or_default(), Plus::IsSpace),
        );
        let ((Some(key), Some(value)), true, false) = (unescaped, sound, pair.contains(&b';'))
        else {
            return frame.map(BTreeMap::new(), Missing::List);
        };
        parsed.entry(key).or_default().push(value);
    }
    query_map(frame, parsed)
}

fn extract_query_param<'a>(frame: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let (uri, name) = (
        bytes("ExtractQueryParam", &arguments[0])?,
        bytes("ExtractQueryParam", &arguments[1])?,
    );
    let mut query = parse_query(cut(uri, b'?').1.unwrap_or_default());
    let values = query.remove(name).unwrap_or_default();
    let values = values
        .into_iter()
        .map(|value| frame.text(value))
        .collect::<Result<Vec<_>, _>>()?;
    frame.list(values)
}

/// Line ends within Base64 are skipped, as Go does.
fn decode<'a>(frame: &mut Frame<'a, '_>, function: &'static str, of: &Value<'a>) -> Evaluated<'a> {
    let mut text = bytes(function, of)?.to_vec();
    text.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    match STANDARD.decode(&text) {
        Ok(decoded) => frame.text(decoded),
        Err(error) => Err(EvalError::argument(function, error.to_string())),
    }
}

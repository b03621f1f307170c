//! Texts: searching and replacing.

use super::text::{char_length, table};
use super::{Function, between, bytes, fixed, piece, size};
use crate::expr::error::EvalError;
use crate::expr::eval::{Evaluated, Frame, MADE_BYTES_MAX};
use crate::expr::ops;
use crate::expr::unfold;
use crate::expr::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("Replace", 4, |frame, a| replace(frame, "Replace", a)),
    fixed("ReplaceAll", 3, |frame, a| replace(frame, "ReplaceAll", a)),
    between("replace", 3, 4, |frame, a| replace(frame, "replace", a)),
    fixed("repeat", 2, repeat),
    fixed("Index", 2, |frame, a| {
        index(frame, "Index", a, memchr::memmem::find)
    }),
    fixed("indexOf", 2, |frame, a| {
        index(frame, "indexOf", a, memchr::memmem::find)
    }),
    fixed("lastIndexOf", 2, |frame, a| {
        index(frame, "lastIndexOf", a, memchr::memmem::rfind)
    }),
    fixed("IndexAny", 2, |frame, a| {
        index(frame, "IndexAny", a, find_any)
    }),
    fixed("hasPrefix", 2, |_, a| {
        Ok(Value::Bool(
            bytes("hasPrefix", &a[0])?.starts_with(bytes("hasPrefix", &a[1])?),
        ))
    }),
    fixed("hasSuffix", 2, |_, a| {
        Ok(Value::Bool(
            bytes("hasSuffix", &a[0])?.ends_with(bytes("hasSuffix", &a[1])?),
        ))
    }),
    fixed("Match", 2, glob),
    fixed("basename", 1, basename),
];

fn replace<'a>(
    frame: &mut Frame<'a, '_>,
    function: &'static str,
    arguments: &[Value<'a>],
) -> Evaluated<'a> {
    let (text, from, to) = (
        bytes(function, &arguments[0])?,
        bytes(function, &arguments[1])?,
        bytes(function, &arguments[2])?,
    );
    let most = match arguments.get(3) {
        None => usize::MAX,
        Some(most) => usize::try_from(ops::int(most, function)?).unwrap_or(usize::MAX),
    };
    let count = memchr::memmem::find_iter(text, from).take(most).count();
    if count == 0 {
        return Ok(arguments[0].clone());
    }
    frame.search(text.len())?;
    let length = text.len().saturating_add(count.saturating_mul(to.len()));
    if length > MADE_BYTES_MAX {
        return Err(EvalError::too_much());
    }
    if from.is_empty() {
        return frame.text(between_characters(text, to, most));
    }
    if most == usize::MAX {
        return frame.text(unfold::replace(text, from, to));
    }
    let mut out = Vec::with_capacity(length);
    let mut at = 0;
    for found in memchr::memmem::find_iter(text, from).take(most) {
        out.extend_from_slice(&text[at..found]);
        out.extend_from_slice(to);
        at = found + from.len();
    }
    out.extend_from_slice(&text[at..]);
    frame.text(out)
}

/// An empty text is found before each character and at the end.
fn between_characters(text: &[u8], to: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut at, mut count) = (0, 0);
    loop {
        if count < most {
            out.extend_from_slice(to);
            count += 1;
        }
        if at >= text.len() {
            return out;
        }
        let end = at + char_length(&text[at..]);
        out.extend_from_slice(&text[at..end]);
        at = end;
    }
}

fn repeat<'a>(frame: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let text = bytes("repeat", &arguments[0])?;
    let Ok(times) = usize::try_from(ops::int(&arguments[1], "repeat")?) else {
        return Err(EvalError::argument("repeat", "less than no times"));
    };
    // Before it is made.
    let length = text.len().saturating_mul(times);
    frame.pay(length)?;
    Ok(Value::text(text.repeat(if text.is_empty() {
        0
    } else {
        times
    })))
}

fn index<'a>(
    frame: &mut Frame<'a, '_>,
    function: &'static str,
    arguments: &[Value<'a>],
    find: impl Fn(&[u8], &[u8]) -> Option<usize>,
) -> Evaluated<'a> {
    let (text, part) = (
        bytes(function, &arguments[0])?,
        bytes(function, &arguments[1])?,
    );
    frame.search(text.len())?;
    Ok(Value::Int(find(text, part).map_or(-1, size)))
}

/// Where the first of these characters stands.
fn find_any(text: &[u8], any: &[u8]) -> Option<usize> {
    if any.is_ascii() {
        let table = table(any);
        return text.iter().position(|byte| table[usize::from(*byte)]);
    }
    let any: Vec<char> = String::from_utf8_lossy(any).chars().collect();
    std::str::from_utf8(text).ok()?.find(&any[..])
}

/// `*` stands for any text, `?` for any one byte.
fn glob<'a>(frame: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let (pattern, text) = (
        bytes("Match", &arguments[0])?,
        bytes("Match", &arguments[1])?,
    );
    // Go back to the last star only: the time is at most the product of the lengths.
    frame.work(1 + pattern.len().saturating_mul(text.len()) / 64)?;
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            Some(_) | None => {
                let Some((star_p, star_t)) = star else {
                    return Ok(Value::Bool(false));
                };
                star = Some((star_p, star_t + 1));
                p = star_p + 1;
                t = star_t + 1;
            }
        }
    }
    // CrowdSec's own: an empty rest of the text is matched by one star, not by two.
    let rest = &pattern[p..];
    Ok(Value::Bool(rest.is_empty() || rest == b"*"))
}

fn basename<'a>(frame: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let path = bytes("basename", &arguments[0])?;
    if path.is_empty() {
        return Ok(Value::from("."));
    }
    let end = path.len() - path.iter().rev().take_while(|byte| **byte == b'/').count();
    if end == 0 {
        return Ok(Value::from("/"));
    }
    let start = memchr::memrchr(b'/', &path[..end]).map_or(0, |slash| slash + 1);
    piece(frame, &arguments[0], start, end)
}

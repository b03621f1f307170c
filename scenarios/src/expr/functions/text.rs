//! Texts: case, trimming, splitting, joining.

use super::{Function, between, bytes, fixed, piece};
use crate::expr::access::Elements;
use crate::expr::error::EvalError;
use crate::expr::eval::{Evaluated, Frame};
use crate::expr::ops;
use crate::expr::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("Lower", 1, |frame, a| lower(frame, "Lower", &a[0])),
    fixed("lower", 1, |frame, a| lower(frame, "lower", &a[0])),
    fixed("Upper", 1, |frame, a| upper(frame, "Upper", &a[0])),
    fixed("upper", 1, |frame, a| upper(frame, "upper", &a[0])),
    fixed("TrimSpace", 1, |frame, a| {
        trim_space(frame, "TrimSpace", &a[0])
    }),
    fixed("Trim", 2, |frame, a| trim(frame, "Trim", a, Side::Both)),
    fixed("TrimLeft", 2, |frame, a| {
        trim(frame, "TrimLeft", a, Side::Left)
    }),
    fixed("TrimRight", 2, |frame, a| {
        trim(frame, "TrimRight", a, Side::Right)
    }),
    between("trim", 1, 2, |frame, a| match a {
        [text] => trim_space(frame, "trim", text),
        both => trim(frame, "trim", both, Side::Both),
    }),
    fixed("TrimPrefix", 2, |frame, a| {
        trim_prefix(frame, "TrimPrefix", a)
    }),
    between("trimPrefix", 1, 2, |frame, a| {
        trim_prefix(frame, "trimPrefix", a)
    }),
    fixed("TrimSuffix", 2, |frame, a| {
        trim_suffix(frame, "TrimSuffix", a)
    }),
    between("trimSuffix", 1, 2, |frame, a| {
        trim_suffix(frame, "trimSuffix", a)
    }),
    fixed("Split", 2, |frame, a| split(frame, "Split", a, 0)),
    fixed("SplitN", 3, |frame, a| split(frame, "SplitN", a, 0)),
    fixed("SplitAfter", 2, |frame, a| split(frame, "SplitAfter", a, 1)),
    fixed("SplitAfterN", 3, |frame, a| {
        split(frame, "SplitAfterN", a, 1)
    }),
    between("split", 2, 3, |frame, a| split(frame, "split", a, 0)),
    between("splitAfter", 2, 3, |frame, a| {
        split(frame, "splitAfter", a, 1)
    }),
    fixed("Fields", 1, fields),
    fixed("Join", 2, |frame, a| join(frame, "Join", a)),
    between("join", 1, 2, |frame, a| join(frame, "join", a)),
    fixed("Get", 2, get),
];

fn lower<'a>(frame: &mut Frame<'a, '_>, function: &'static str, text: &Value<'a>) -> Evaluated<'a> {
    let bytes = bytes(function, text)?;
    if !bytes
        .iter()
        .any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii())
    {
        return Ok(text.clone());
    }
    frame.search(bytes.len())?;
    if bytes.is_ascii() {
        return frame.text(bytes.to_ascii_lowercase());
    }
    // One character for one, as Go maps them.
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| c.to_lowercase().next().unwrap_or(c))
        .collect();
    frame.text(text.into_bytes())
}

fn upper<'a>(frame: &mut Frame<'a, '_>, function: &'static str, text: &Value<'a>) -> Evaluated<'a> {
    let bytes = bytes(function, text)?;
    if !bytes
        .iter()
        .any(|byte| byte.is_ascii_lowercase() || !byte.is_ascii())
    {
        return Ok(text.clone());
    }
    frame.search(bytes.len())?;
    if bytes.is_ascii() {
        return frame.text(bytes.to_ascii_uppercase());
    }
    let one = |c: char| {
        let mut upper = c.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(single), None) => single,
            _ => c,
        }
    };
    let text: String = String::from_utf8_lossy(bytes).chars().map(one).collect();
    frame.text(text.into_bytes())
}

fn trim_space<'a>(
    frame: &mut Frame<'a, '_>,
    function: &'static str,
    text: &Value<'a>,
) -> Evaluated<'a> {
    let all = bytes(function, text)?;
    let (start, end) = match std::str::from_utf8(all) {
        Ok(string) => {
            let start = string.len() - string.trim_start().len();
            (start, start + string.trim().len())
        }
        Err(_) => {
            let start = all.len() - all.trim_ascii_start().len();
            (start, start + all.trim_ascii().len())
        }
    };
    piece(frame, text, start, end)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Both,
}

fn trim<'a>(
    frame: &mut Frame<'a, '_>,
    function: &'static str,
    arguments: &[Value<'a>],
    side: Side,
) -> Evaluated<'a> {
    let (text, cut) = (
        bytes(function, &arguments[0])?,
        bytes(function, &arguments[1])?,
    );
    let (mut start, mut end) = (0, text.len());
    if cut.is_ascii() {
        let table = table(cut);
        let is_cut = |byte: &&u8| table[usize::from(**byte)];
        if side != Side::Right {
            start = text.iter().take_while(is_cut).count();
        }
        if side != Side::Left {
            end -= text[start..].iter().rev().take_while(is_cut).count();
        }
    } else if let (Ok(text), Ok(cut)) = (std::str::from_utf8(text), std::str::from_utf8(cut)) {
        let cut: Vec<char> = cut.chars().collect();
        if side != Side::Right {
            start = text.len() - text.trim_start_matches(&cut[..]).len();
        }
        if side != Side::Left {
            end = start + text[start..].trim_end_matches(&cut[..]).len();
        }
        frame.work(text.len().saturating_mul(cut.len()) / 64)?;
    }
    piece(frame, &arguments[0], start, end)
}

/// The bytes that are in a set, as a table.
pub(super) fn table(bytes: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    for byte in bytes {
        table[usize::from(*byte)] = true;
    }
    table
}

fn trim_prefix<'a>(
    frame: &mut Frame<'a, '_>,
    function: &'static str,
    arguments: &[Value<'a>],
) -> Evaluated<'a> {
    let text = bytes(function, &arguments[0])?;
    let prefix = arguments
        .get(1)
        .map_or(Ok(&b" "[..]), |prefix| bytes(function, prefix))?;
    let start = if text.starts_with(prefix) {
        prefix.len()
    } else {
        0
    };
    piece(frame, &arguments[0], start, text.len())
}

fn trim_suffix<'a>(
    frame: &mut Frame<'a, '_>,
    function: &'static str,
    arguments: &[Value<'a>],
) -> Evaluated<'a> {
    let text = bytes(function, &arguments[0])?;
    let suffix = arguments
        .get(1)
        .map_or(Ok(&b" "[..]), |suffix| bytes(function, suffix))?;
    let end = if text.ends_with(suffix) {
        text.len() - suffix.len()
    } else {
        text.len()
    };
    piece(frame, &arguments[0], 0, end)
}

/// Cut at a separator, of which each piece but the last keeps `kept` of its end: none or all.
fn split<'a>(
    frame: &mut Frame<'a, '_>,
    function: &'static str,
    arguments: &[Value<'a>],
    kept: usize,
) -> Evaluated<'a> {
    let (text, separator) = (
        bytes(function, &arguments[0])?,
        bytes(function, &arguments[1])?,
    );
    let most = match arguments.get(2) {
        None => usize::MAX,
        Some(most) => match ops::int(most, function)? {
            0 => return Ok(Value::Texts(&[])),
            most => usize::try_from(most).unwrap_or(usize::MAX),
        },
    };
    let mut pieces = Vec::new();
    let mut at = 0;
    if separator.is_empty() {
        while at < text.len() && pieces.len() + 1 < most {
            let end = at + char_length(&text[at..]);
            pieces.push((at, end));
            at = end;
        }
        if at < text.len() {
            pieces.push((at, text.len()));
        }
    } else {
        for found in memchr::memmem::find_iter(text, separator).take(most - 1) {
            pieces.push((at, found + kept * separator.len()));
            at = found + separator.len();
        }
        pieces.push((at, text.len()));
    }
    list_of_pieces(frame, &arguments[0], pieces)
}

fn list_of_pieces<'a>(
    frame: &mut Frame<'a, '_>,
    of: &Value<'a>,
    pieces: Vec<(usize, usize)>,
) -> Evaluated<'a> {
    frame.pay(pieces.len() * size_of::<Value<'_>>())?;
    let pieces = pieces
        .into_iter()
        .map(|(start, end)| piece(frame, of, start, end))
        .collect::<Result<Vec<_>, _>>()?;
    frame.list(pieces)
}

/// Length of the character that a text begins with; a byte that is none counts for one.
pub(super) fn char_length(text: &[u8]) -> usize {
    let chunk = &text[..text.len().min(4)];
    match std::str::from_utf8(chunk) {
        Ok(chars) => chars.chars().next().map_or(1, char::len_utf8),
        Err(error) if error.valid_up_to() > 0 => {
            let valid = &chunk[..error.valid_up_to()];
            std::str::from_utf8(valid)
                .ok()
                .and_then(|chars| chars.chars().next())
                .map_or(1, char::len_utf8)
        }
        Err(_) => 1,
    }
}

fn fields<'a>(frame: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let text = bytes("Fields", &arguments[0])?;
    let mut pieces = Vec::new();
    let mut at = 0;
    for word in text.split(|byte| byte.is_ascii_whitespace() || *byte == 0x0B) {
        if !word.is_empty() {
            pieces.push((at, at + word.len()));
        }
        at += word.len() + 1;
    }
    list_of_pieces(frame, &arguments[0], pieces)
}

fn join<'a>(
    frame: &mut Frame<'a, '_>,
    function: &'static str,
    arguments: &[Value<'a>],
) -> Evaluated<'a> {
    let elements = Elements::expect(&arguments[0], function)?;
    let glue = arguments
        .get(1)
        .map_or(Ok(&b""[..]), |glue| bytes(function, glue))?;
    let mut joined = Vec::new();
    for (i, element) in elements.iter().enumerate() {
        if i > 0 {
            joined.extend_from_slice(glue);
        }
        joined.extend_from_slice(bytes(function, &element)?);
        if joined.len() > crate::expr::eval::MADE_BYTES_MAX {
            return Err(EvalError::too_much());
        }
    }
    frame.text(joined)
}

/// An element of a list of texts, nothing beyond its end.
fn get<'a>(_: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let elements = Elements::expect(&arguments[0], "Get")?;
    let index = ops::int(&arguments[1], "Get")?;
    match usize::try_from(index) {
        Ok(index) if index < elements.len() => Ok(elements.get(index)),
        Ok(_) => Ok(Value::from("")),
        Err(_) => Err(EvalError::no_member("a list", format!("element {index}"))),
    }
}

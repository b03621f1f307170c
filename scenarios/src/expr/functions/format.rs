//! Values into text: `string`, and `Sprintf` with Go's verbs.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a verb names the kinds it is for; all others print as Go's complaint"
)]

use super::{Function, between, bytes, fixed};
use crate::expr::access::Elements;
use crate::expr::error::EvalError;
use crate::expr::eval::{Evaluated, Frame, MADE_BYTES_MAX};
use crate::expr::methods;
use crate::expr::ops::{self, Number};
use crate::expr::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("string", 1, |frame, a| {
        let mut out = Vec::new();
        plain(frame, &a[0], &mut out)?;
        frame.text(out)
    }),
    between("Sprintf", 1, usize::MAX, sprintf),
];

/// As `%v` prints it. Recursion ends at the nesting that values may have.
pub(in crate::expr) fn plain<'a>(
    frame: &mut Frame<'a, '_>,
    value: &Value<'a>,
    out: &mut Vec<u8>,
) -> Result<(), EvalError> {
    frame.work(1)?;
    if out.len() > MADE_BYTES_MAX {
        return Err(EvalError::too_much());
    }
    if let Some(text) = value.as_bytes() {
        out.extend_from_slice(text);
        return Ok(());
    }
    if let Some(elements) = Elements::of(value) {
        out.push(b'[');
        for (i, element) in elements.iter().enumerate() {
            if i > 0 {
                out.push(b' ');
            }
            plain(frame, &element, out)?;
        }
        out.push(b']');
        return Ok(());
    }
    if let Some(entries) = ops::entries(value) {
        out.extend_from_slice(b"map[");
        for (i, (key, value)) in entries.into_iter().enumerate() {
            if i > 0 {
                out.push(b' ');
            }
            plain(frame, &key.value(), out)?;
            out.push(b':');
            plain(frame, &value, out)?;
        }
        out.push(b']');
        return Ok(());
    }
    let text = match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => shortest(*value),
        Value::Time(time) => methods::time_string(*time),
        Value::Duration(duration) => duration.to_string(),
        Value::Weekday(day) => methods::weekday(*day).to_owned(),
        Value::Month(month) => methods::month_name(*month).to_owned(),
        Value::Nil => "<nil>".to_owned(),
        _ => {
            return Err(EvalError::kind(
                "what is printed",
                "a plain value",
                value.kind(),
            ));
        }
    };
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// A float as `%v` prints it: with an exponent below 1e-4 and from 1e6 on, whatever its digits.
fn shortest(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    match power(&scientific) {
        -4..=5 => value.to_string(),
        _ => exponent(&scientific),
    }
}

/// The power of ten of a number in scientific form.
fn power(scientific: &str) -> i32 {
    scientific
        .split_once('e')
        .and_then(|(_, power)| power.parse().ok())
        .unwrap_or(0)
}

/// Go writes an exponent with its sign and at least two digits.
fn exponent(text: &str) -> String {
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent
                .strip_prefix('-')
                .map_or(('+', exponent), |exponent| ('-', exponent));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text.to_owned(),
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// Widest field and most digits: Go stops at a million.
const WIDTH_MAX: usize = 10_000;

fn sprintf<'a>(frame: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let format = bytes("Sprintf", &arguments[0])?;
    let mut rest = arguments[1..].iter();
    let mut out = Vec::with_capacity(format.len());
    let mut at = 0;
    while let Some(percent) = memchr::memchr(b'%', &format[at..]) {
        out.extend_from_slice(&format[at..at + percent]);
        at += percent + 1;
        let (flags, taken) = flags(&format[at..]);
        at += taken;
        let Some(&verb) = format.get(at) else {
            out.extend_from_slice(b"%!(NOVERB)");
            break;
        };
        at += 1;
        if verb == b'%' {
            out.push(b'%');
            continue;
        }
        match rest.next() {
            Some(argument) => one(frame, argument, verb, flags, &mut out)?,
            None => out.extend_from_slice(format!("%!{}(MISSING)", char::from(verb)).as_bytes()),
        }
        if out.len() > MADE_BYTES_MAX {
            return Err(EvalError::too_much());
        }
    }
    out.extend_from_slice(format.get(at..).unwrap_or_default());
    extra(frame, rest.as_slice(), &mut out)?;
    frame.text(out)
}

/// Arguments that no verb asked for.
fn extra<'a>(
    frame: &mut Frame<'a, '_>,
    rest: &[Value<'a>],
    out: &mut Vec<u8>,
) -> Result<(), EvalError> {
    for (i, argument) in rest.iter().enumerate() {
        out.extend_from_slice(if i == 0 { b"%!(EXTRA " } else { b", " });
        if !argument.is_nil() {
            out.extend_from_slice(go_type(argument).as_bytes());
            out.push(b'=');
        }
        plain(frame, argument, out)?;
    }
    if !rest.is_empty() {
        out.push(b')');
    }
    Ok(())
}

fn flags(format: &[u8]) -> (Flags, usize) {
    let mut flags = Flags::default();
    let mut at = 0;
    while let Some(byte) = format.get(at) {
        match byte {
            b'+' => flags.plus = true,
            b'-' => flags.minus = true,
            b'#' => flags.sharp = true,
            b' ' => flags.space = true,
            b'0' => flags.zero = true,
            _ => break,
        }
        at += 1;
    }
    let number = |at: &mut usize| {
        let digits = format[*at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let text = String::from_utf8_lossy(&format[*at..*at + digits]);
        *at += digits;
        text.parse::<usize>().unwrap_or(0).min(WIDTH_MAX)
    };
    flags.width = number(&mut at);
    if format.get(at) == Some(&b'.') {
        at += 1;
        flags.precision = Some(number(&mut at));
    }
    (flags, at)
}

/// One argument by its verb. A verb that is not for it prints both, as in Go.
fn one<'a>(
    frame: &mut Frame<'a, '_>,
    value: &Value<'a>,
    verb: u8,
    flags: Flags,
    out: &mut Vec<u8>,
) -> Result<(), EvalError> {
    let mut body = Vec::new();
    let number = Number::of(value);
    match (verb, value, number) {
        (b'v', Value::Int(_), _) | (b'd', _, Some(Number::Int(_))) => {
            integer(number.map_or(0, Number::int), 10, flags, &mut body);
        }
        (b'd', Value::Duration(duration), _) => integer(duration.nanos(), 10, flags, &mut body),
        (b'v', Value::Float(number), _) => signed(&shortest(*number), flags, &mut body),
        (b'v', Value::Str(_) | Value::Text(_), _) if flags.sharp => quoted(value, &mut body),
        (b'v', _, _) => plain(frame, value, &mut body)?,
        (b's', _, _) if prints_as_text(value) => {
            plain(frame, value, &mut body)?;
            cut(&mut body, flags.precision);
        }
        (b'q', Value::Str(_) | Value::Text(_), _) => quoted(value, &mut body),
        (b't', Value::Bool(_), _) => plain(frame, value, &mut body)?,
        (b'x', _, Some(Number::Int(number))) => integer(number, 16, flags, &mut body),
        (b'o', _, Some(Number::Int(number))) => integer(number, 8, flags, &mut body),
        (b'b', _, Some(Number::Int(number))) => integer(number, 2, flags, &mut body),
        (b'X', _, Some(Number::Int(number))) => {
            integer(number, 16, flags, &mut body);
            body.make_ascii_uppercase();
        }
        (b'x' | b'X', Value::Str(_) | Value::Text(_), _) => {
            for byte in value.as_bytes().unwrap_or_default() {
                let hexadecimal = format!("{byte:02x}");
                body.extend_from_slice(hexadecimal.as_bytes());
            }
            if verb == b'X' {
                body.make_ascii_uppercase();
            }
        }
        (b'c', _, Some(Number::Int(number))) => {
            let c = u32::try_from(number)
                .ok()
                .and_then(char::from_u32)
                .unwrap_or(char::REPLACEMENT_CHARACTER);
            body.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        (b'f' | b'F' | b'e' | b'E' | b'g' | b'G', Value::Float(number), _) => {
            float(*number, verb, flags, &mut body)
        }
        _ => {
            body.extend_from_slice(format!("%!{}(", char::from(verb)).as_bytes());
            if !value.is_nil() {
                body.extend_from_slice(go_type(value).as_bytes());
                body.push(b'=');
            }
            plain(frame, value, &mut body)?;
            body.push(b')');
        }
    }
    pad(&body, flags, number.is_some(), out);
    Ok(())
}

fn prints_as_text(value: &Value<'_>) -> bool {
    Number::of(value).is_none_or(|_| matches!(value, Value::Weekday(_) | Value::Month(_)))
        && !matches!(value, Value::Bool(_) | Value::Nil)
}

fn cut(body: &mut Vec<u8>, precision: Option<usize>) {
    if let Some(precision) = precision {
        let end = String::from_utf8_lossy(body)
            .char_indices()
            .nth(precision)
            .map(|(end, _)| end);
        body.truncate(end.unwrap_or(body.len()));
    }
}

fn integer(value: i64, radix: u32, flags: Flags, out: &mut Vec<u8>) {
    let size = value.unsigned_abs();
    let digits = match radix {
        16 => format!("{size:x}"),
        8 => format!("{size:o}"),
        2 => format!("{size:b}"),
        _ => size.to_string(),
    };
    let prefix = match (radix, flags.sharp) {
        (16, true) => "0x",
        (8, true) => "0",
        (2, true) => "0b",
        _ => "",
    };
    let wide = flags.precision.unwrap_or(0).max(
        if flags.zero && !flags.minus && flags.precision.is_none() {
            flags
                .width
                .saturating_sub(prefix.len() + usize::from(value < 0 || flags.plus || flags.space))
        } else {
            0
        },
    );
    let sign = if value < 0 { "-" } else { "" };
    signed(&format!("{sign}{prefix}{digits:0>wide$}"), flags, out);
}

/// With the sign that the flags ask for.
fn signed(number: &str, flags: Flags, out: &mut Vec<u8>) {
    if !number.starts_with(['-', '+']) {
        if flags.plus {
            out.push(b'+');
        } else if flags.space {
            out.push(b' ');
        }
    }
    out.extend_from_slice(number.as_bytes());
}

fn float(value: f64, verb: u8, flags: Flags, out: &mut Vec<u8>) {
    let text = match (verb, flags.precision) {
        _ if !value.is_finite() => shortest(value),
        (b'f' | b'F', precision) => format!("{value:.*}", precision.unwrap_or(6)),
        (b'e' | b'E', precision) => exponent(&format!("{value:.*e}", precision.unwrap_or(6))),
        (_, None) => shortest(value),
        (_, Some(precision)) => significant(value, precision.max(1)),
    };
    let text = if matches!(verb, b'E' | b'G') {
        text.to_uppercase()
    } else {
        text
    };
    let wide = if flags.zero && !flags.minus {
        flags.width
    } else {
        0
    };
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or(("", &text[..]), |digits| ("-", digits));
    let signs = usize::from(!sign.is_empty() || flags.plus || flags.space);
    let wide = wide.saturating_sub(signs);
    signed(&format!("{sign}{digits:0>wide$}"), flags, out);
}

/// `%.3g`: so many significant digits, no zeros at the end.
fn significant(value: f64, digits: usize) -> String {
    let scientific = format!("{value:.*e}", digits - 1);
    let power: i32 = scientific
        .split_once('e')
        .and_then(|(_, power)| power.parse().ok())
        .unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let digits = i32::try_from(digits).unwrap_or(i32::MAX);
    if power < -4 || power >= digits {
        let (mantissa, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        return exponent(&format!("{}e{power}", trim(mantissa)));
    }
    trim(&format!(
        "{value:.*}",
        usize::try_from(digits - 1 - power).unwrap_or(0)
    ))
}

fn quoted(value: &Value<'_>, out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in value.as_bytes().unwrap_or_default().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                c if c.is_control() => {
                    out.extend_from_slice(format!("\\x{:02x}", u32::from(c)).as_bytes())
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
    out.push(b'"');
}

fn pad(body: &[u8], flags: Flags, is_number: bool, out: &mut Vec<u8>) {
    let missing = flags
        .width
        .saturating_sub(String::from_utf8_lossy(body).chars().count());
    let filler = if flags.zero && !flags.minus && !is_number {
        b'0'
    } else {
        b' '
    };
    if !flags.minus {
        out.extend(std::iter::repeat_n(filler, missing));
    }
    out.extend_from_slice(body);
    if flags.minus {
        out.extend(std::iter::repeat_n(b' ', missing));
    }
}

/// What Go calls the type of such a value.
fn go_type(value: &Value<'_>) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::Str(_) | Value::Text(_) => "string",
        Value::Texts(_) => "[]string",
        Value::Time(_) => "time.Time",
        Value::Duration(_) => "time.Duration",
        Value::Weekday(_) => "time.Weekday",
        Value::Month(_) => "time.Month",
        Value::Labels(_) | Value::Fields(..) => "map[string]string",
        _ if Elements::of(value).is_some() => "[]interface {}",
        _ => "map[string]interface {}",
    }
}

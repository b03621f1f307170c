//! Numbers, and what kind of thing a value is.

use super::{Function, bytes, fixed, string};
use crate::event::Data;
use crate::expr::error::EvalError;
use crate::expr::eval::{Evaluated, Frame};
use crate::expr::ops::{self, Number};
use crate::expr::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("int", 1, int),
    fixed("float", 1, float),
    fixed("Atof", 1, |_, a| {
        Ok(Value::Float(
            parse_float(bytes("Atof", &a[0])?).unwrap_or(0.0),
        ))
    }),
    fixed("type", 1, |_, a| Ok(Value::from(type_name(&a[0])))),
    fixed("abs", 1, |_, a| match Number::of(&a[0]) {
        Some(Number::Int(value)) => Ok(Value::Int(value.wrapping_abs())),
        Some(Number::Float(value)) => Ok(Value::Float(value.abs())),
        None => Err(EvalError::kind("abs", "given a number", a[0].kind())),
    }),
    fixed("ceil", 1, |_, a| {
        Ok(Value::Float(ops::float(&a[0], "ceil")?.ceil()))
    }),
    fixed("floor", 1, |_, a| {
        Ok(Value::Float(ops::float(&a[0], "floor")?.floor()))
    }),
    fixed("round", 1, |_, a| {
        Ok(Value::Float(ops::float(&a[0], "round")?.round()))
    }),
    fixed("bitand", 2, |_, a| bits("bitand", a, |x, y| Some(x & y))),
    fixed("bitor", 2, |_, a| bits("bitor", a, |x, y| Some(x | y))),
    fixed("bitxor", 2, |_, a| bits("bitxor", a, |x, y| Some(x ^ y))),
    fixed("bitnand", 2, |_, a| bits("bitnand", a, |x, y| Some(x & !y))),
    fixed("bitnot", 1, |_, a| {
        whole("bitnot", &a[0]).map(|x| Value::Int(!x))
    }),
    fixed("bitshl", 2, |_, a| {
        bits("bitshl", a, |x, y| {
            shift(y).map(|by| x.checked_shl(by).unwrap_or(0))
        })
    }),
    fixed("bitshr", 2, |_, a| {
        bits("bitshr", a, |x, y| shift(y).map(|by| x >> by.min(63)))
    }),
    fixed("bitushr", 2, |_, a| {
        bits("bitushr", a, |x, y| {
            shift(y).map(|by| x.cast_unsigned().checked_shr(by).unwrap_or(0).cast_signed())
        })
    }),
    fixed("FloatApproxEqual", 2, |_, a| {
        let (left, right) = (
            ops::float(&a[0], "FloatApproxEqual")?,
            ops::float(&a[1], "FloatApproxEqual")?,
        );
        Ok(Value::Bool((left - right).abs() < 1e-6))
    }),
];

fn int<'a>(_: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let of = &arguments[0];
    if let Some(number) = Number::of(of) {
        return Ok(Value::Int(number.int()));
    }
    if let Value::Duration(duration) = of {
        return Ok(Value::Int(duration.nanos()));
    }
    let text = string("int", of)?;
    match text.parse() {
        Ok(value) => Ok(Value::Int(value)),
        Err(_) => Err(EvalError::argument(
            "int",
            format!("{text:?} is no whole number"),
        )),
    }
}

fn float<'a>(_: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let of = &arguments[0];
    if let Some(number) = Number::of(of) {
        return Ok(Value::Float(number.float()));
    }
    let text = bytes("float", of)?;
    match parse_float(text) {
        Some(value) => Ok(Value::Float(value)),
        None => Err(EvalError::argument(
            "float",
            format!("{:?} is no number", String::from_utf8_lossy(text)),
        )),
    }
}

/// As Go reads a number; one that is too large is none.
pub(super) fn parse_float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let value: f64 = text.parse().ok()?;
    let says_infinity = text.trim_start_matches(['+', '-']).starts_with(['i', 'I']);
    (value.is_finite() || value.is_nan() || says_infinity).then_some(value)
}

fn whole(function: &'static str, of: &Value<'_>) -> Result<i64, EvalError> {
    match Number::of(of) {
        Some(Number::Int(value)) => Ok(value),
        Some(Number::Float(_)) | None => {
            Err(EvalError::kind(function, "given a whole number", of.kind()))
        }
    }
}

fn bits<'a>(
    function: &'static str,
    arguments: &[Value<'_>],
    of: impl Fn(i64, i64) -> Option<i64>,
) -> Evaluated<'a> {
    let (left, right) = (
        whole(function, &arguments[0])?,
        whole(function, &arguments[1])?,
    );
    match of(left, right) {
        Some(value) => Ok(Value::Int(value)),
        None => Err(EvalError::argument(
            function,
            "a shift by less than nothing",
        )),
    }
}

fn shift(by: i64) -> Option<u32> {
    (by >= 0).then(|| u32::try_from(by).unwrap_or(u32::MAX))
}

fn type_name(of: &Value<'_>) -> &'static str {
    match of {
        Value::Nil => "nil",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::Str(_) | Value::Text(_) => "string",
        Value::List(_) | Value::Texts(_) | Value::Data(Data::Array(_)) => "array",
        Value::Map(_)
        | Value::Labels(_)
        | Value::Fields(..)
        | Value::Unmarshaled(_)
        | Value::Data(_) => "map",
        Value::Line(_) | Value::Event(_) | Value::Object(_) => "struct",
        Value::Time(_) => "time.Time",
        Value::Duration(_) => "time.Duration",
        Value::Weekday(_) => "time.Weekday",
        Value::Month(_) => "time.Month",
    }
}

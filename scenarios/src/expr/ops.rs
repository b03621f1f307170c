//! What operators do with values, as expr-lang's runtime has it.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an operation names the kinds it is for; all others are an error"
)]

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::access::Elements;
use super::ast::Binary;
use super::error::EvalError;
use super::value::{Key, Value};
use crate::date::GoDuration;
use crate::event::Data;

type Evaluated<'a> = Result<Value<'a>, EvalError>;

/// A number, whole or not.
#[derive(Clone, Copy)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    pub(super) fn of(value: &Value<'_>) -> Option<Number> {
        Some(match value {
            Value::Int(value) => Number::Int(*value),
            Value::Float(value) => Number::Float(*value),
            Value::Weekday(value) | Value::Month(value) => Number::Int((*value).into()),
            _ => return None,
        })
    }

    pub(super) fn float(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Float(value) => value,
        }
    }

    /// As Go converts: towards zero.
    pub(super) fn int(self) -> i64 {
        match self {
            Number::Int(value) => value,
            Number::Float(value) => value as i64,
        }
    }

    pub(super) fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
            (a, b) => a.float().partial_cmp(&b.float()),
        }
    }
}

pub(super) fn int(value: &Value<'_>, place: &'static str) -> Result<i64, EvalError> {
    Number::of(value)
        .map(Number::int)
        .ok_or_else(|| EvalError::kind(place, "a number", value.kind()))
}

pub(super) fn float(value: &Value<'_>, place: &'static str) -> Result<f64, EvalError> {
    Number::of(value)
        .map(Number::float)
        .ok_or_else(|| EvalError::kind(place, "a number", value.kind()))
}

/// Values of different kinds are not equal, numbers excepted.
pub(super) fn equal(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Time(a), Value::Time(b)) => a == b,
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (a, b) => {
            if let (Some(a), Some(b)) = (a.as_bytes(), b.as_bytes()) {
                a == b
            } else if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
                a.compare(b) == Some(Ordering::Equal)
            } else {
                equal_lists(a, b).unwrap_or_else(|| equal_maps(a, b))
            }
        }
    }
}

fn equal_lists(left: &Value<'_>, right: &Value<'_>) -> Option<bool> {
    let (left, right) = (Elements::of(left)?, Elements::of(right)?);
    Some(left.len() == right.len() && (0..left.len()).all(|i| equal(&left.get(i), &right.get(i))))
}

fn equal_maps(left: &Value<'_>, right: &Value<'_>) -> bool {
    let (Some(left), Some(right)) = (entries(left), entries(right)) else {
        return false;
    };
    left.len() == right.len()
        && left
            .iter()
            .zip(&right)
            .all(|((key, value), (other_key, other))| key == other_key && equal(value, other))
}

/// What a map holds, whatever kind of map it is.
pub(super) fn entries<'a>(value: &Value<'a>) -> Option<BTreeMap<Key, Value<'a>>> {
    let text = |key: &str| Key::Text(key.as_bytes().into());
    Some(match value {
        Value::Map(map) => map.entries.clone(),
        Value::Labels(labels) => labels
            .iter()
            .map(|(key, value)| (text(key), Value::from(&**value)))
            .collect(),
        Value::Fields(event, namespace) => event
            .map(*namespace)
            .into_iter()
            .map(|(key, value)| (text(key), Value::Str(value)))
            .collect(),
        Value::Unmarshaled(event) => event
            .unmarshaled
            .iter()
            .map(|(key, data)| (text(key), Value::of_data(data)))
            .collect(),
        Value::Data(Data::Object(members)) => members
            .iter()
            .map(|(key, data)| (text(key), Value::of_data(data)))
            .collect(),
        _ => return None,
    })
}

/// Whether the list holds the needle or the map has it as a key; nothing lies in nil.
pub(super) fn contained(needle: &Value<'_>, haystack: &Value<'_>) -> Result<bool, EvalError> {
    if let Value::Nil = haystack {
        return Ok(false);
    }
    if let Value::Texts(texts) = haystack {
        return Ok(needle
            .as_bytes()
            .is_some_and(|needle| texts.iter().any(|text| **text == *needle)));
    }
    if let Some(elements) = Elements::of(haystack) {
        return Ok((0..elements.len()).any(|i| equal(&elements.get(i), needle)));
    }
    let Some(key) = Key::of(needle) else {
        return Ok(false);
    };
    let name = needle
        .as_bytes()
        .and_then(|name| std::str::from_utf8(name).ok());
    match haystack {
        Value::Map(map) => Ok(map.entries.contains_key(&key)),
        Value::Labels(labels) => Ok(name.is_some_and(|name| labels.contains_key(name))),
        Value::Fields(event, namespace) => {
            Ok(name.is_some_and(|name| event.get_by_name(*namespace, name).is_some()))
        }
        Value::Unmarshaled(event) => Ok(name.is_some_and(|name| event.data(name).is_some())),
        Value::Data(Data::Object(members)) => {
            Ok(name.is_some_and(|name| members.contains_key(name)))
        }
        Value::Object(object) => Ok(name.is_some_and(|name| object.member(name).is_some())),
        other => Err(EvalError::operands("in", needle.kind(), other.kind())),
    }
}

/// How the values are ordered, for `<` and its kin.
pub(super) fn compare(
    operator: Binary,
    left: &Value<'_>,
    right: &Value<'_>,
) -> Result<Option<Ordering>, EvalError> {
    if let (Some(a), Some(b)) = (Number::of(left), Number::of(right)) {
        return Ok(a.compare(b));
    }
    if let (Some(a), Some(b)) = (left.as_bytes(), right.as_bytes()) {
        return Ok(Some(a.cmp(b)));
    }
    match (left, right) {
        (Value::Time(a), Value::Time(b)) => Ok(Some(a.cmp(b))),
        (Value::Duration(a), Value::Duration(b)) => Ok(Some(a.cmp(b))),
        (a, b) => Err(EvalError::operands(operator.sign(), a.kind(), b.kind())),
    }
}

/// Whether an ordering satisfies one of `< <= > >=`. Nothing is known of the order of NaN.
pub(super) fn holds(operator: Binary, ordering: Option<Ordering>) -> bool {
    match operator {
        Binary::Less => ordering == Some(Ordering::Less),
        Binary::LessOrEqual => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        Binary::Greater => ordering == Some(Ordering::Greater),
        Binary::GreaterOrEqual => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
        _ => false,
    }
}

/// `- * / % **`, and `+` but for texts.
pub(super) fn arithmetic<'a>(
    operator: Binary,
    left: &Value<'a>,
    right: &Value<'a>,
) -> Evaluated<'a> {
    match (Number::of(left), Number::of(right)) {
        (Some(a), Some(b)) => numbers(operator, a, b),
        (a, b) => times(operator, (left, a), (right, b)),
    }
}

fn numbers<'a>(operator: Binary, left: Number, right: Number) -> Evaluated<'a> {
    let float = |value: f64| Ok(Value::Float(value));
    match (operator, left, right) {
        (Binary::Add, Number::Int(a), Number::Int(b)) => Ok(Value::Int(a.wrapping_add(b))),
        (Binary::Subtract, Number::Int(a), Number::Int(b)) => Ok(Value::Int(a.wrapping_sub(b))),
        (Binary::Multiply, Number::Int(a), Number::Int(b)) => Ok(Value::Int(a.wrapping_mul(b))),
        (Binary::Modulo, Number::Int(_), Number::Int(0)) => {
            Err(EvalError::argument("%", "division by zero"))
        }
        (Binary::Modulo, Number::Int(a), Number::Int(b)) => Ok(Value::Int(a.wrapping_rem(b))),
        (Binary::Add, a, b) => float(a.float() + b.float()),
        (Binary::Subtract, a, b) => float(a.float() - b.float()),
        (Binary::Multiply, a, b) => float(a.float() * b.float()),
        (Binary::Divide, a, b) => float(a.float() / b.float()),
        (Binary::Power, a, b) => float(a.float().powf(b.float())),
        (operator, _, _) => Err(EvalError::operands(operator.sign(), "a float", "a number")),
    }
}

type Operand<'v, 'a> = (&'v Value<'a>, Option<Number>);

fn times<'a>(operator: Binary, left: Operand<'_, 'a>, right: Operand<'_, 'a>) -> Evaluated<'a> {
    let duration = |nanos: i64| Ok(Value::Duration(GoDuration::from_nanos(nanos)));
    let minus = |of: &GoDuration| GoDuration::from_nanos(of.nanos().saturating_neg());
    match (operator, left, right) {
        (Binary::Add, (Value::Time(time), _), (Value::Duration(by), _))
        | (Binary::Add, (Value::Duration(by), _), (Value::Time(time), _)) => {
            Ok(Value::Time(time.plus(*by)))
        }
        (Binary::Subtract, (Value::Time(time), _), (Value::Duration(by), _)) => {
            Ok(Value::Time(time.plus(minus(by))))
        }
        (Binary::Subtract, (Value::Time(a), _), (Value::Time(b), _)) => {
            Ok(Value::Duration(a.since(*b)))
        }
        (Binary::Add, (Value::Duration(a), _), (Value::Duration(b), _)) => {
            duration(a.nanos().wrapping_add(b.nanos()))
        }
        (Binary::Subtract, (Value::Duration(a), _), (Value::Duration(b), _)) => {
            duration(a.nanos().wrapping_sub(b.nanos()))
        }
        (Binary::Multiply, (Value::Duration(a), _), (_, Some(Number::Int(b))))
        | (Binary::Multiply, (_, Some(Number::Int(b))), (Value::Duration(a), _)) => {
            duration(a.nanos().wrapping_mul(b))
        }
        (Binary::Multiply, (Value::Duration(a), _), (_, Some(Number::Float(b))))
        | (Binary::Multiply, (_, Some(Number::Float(b))), (Value::Duration(a), _)) => {
            Ok(Value::Float(a.nanos() as f64 * b))
        }
        (operator, (a, _), (b, _)) => Err(EvalError::operands(operator.sign(), a.kind(), b.kind())),
    }
}

pub(super) fn negative<'a>(value: &Value<'a>) -> Evaluated<'a> {
    match value {
        Value::Int(value) => Ok(Value::Int(value.wrapping_neg())),
        Value::Float(value) => Ok(Value::Float(-value)),
        Value::Duration(value) => Ok(Value::Duration(GoDuration::from_nanos(
            value.nanos().wrapping_neg(),
        ))),
        other => Err(EvalError::kind(
            "what stands behind -",
            "a number",
            other.kind(),
        )),
    }
}

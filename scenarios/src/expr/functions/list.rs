//! Lists.

use std::collections::BTreeSet;

use super::{Function, asking, between, fixed, size};
use crate::event::Data;
use crate::expr::access::{self, Elements};
use crate::expr::error::EvalError;
use crate::expr::eval::{Evaluated, Frame};
use crate::expr::loops;
use crate::expr::ops::{self, Number};
use crate::expr::value::{Key, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("len", 1, length),
    fixed("first", 1, |_, a| {
        Ok(Elements::of(&a[0]).map_or(Value::Nil, |elements| elements.get(0)))
    }),
    fixed("last", 1, |_, a| {
        Ok(Elements::of(&a[0]).map_or(Value::Nil, |all| all.get(all.len().wrapping_sub(1))))
    }),
    fixed("get", 2, get),
    fixed("take", 2, take),
    fixed("reverse", 1, |frame, a| {
        let elements = Elements::expect(&a[0], "reverse")?;
        frame.list(elements.iter().rev().collect())
    }),
    between("sort", 1, 2, sort),
    fixed("uniq", 1, |frame, a| {
        let elements = Elements::expect(&a[0], "uniq")?;
        distinct(frame, &elements, equal_key)
    }),
    fixed("Distinct", 1, |frame, a| match Elements::of(&a[0]) {
        Some(elements) => distinct(frame, &elements, Key::of),
        None => Ok(Value::Nil),
    }),
    fixed("flatten", 1, |frame, a| {
        Elements::expect(&a[0], "flatten")?;
        flatten(frame, &a[..1])
    }),
    between("Flatten", 0, usize::MAX, flatten),
    between("FlattenDistinct", 0, usize::MAX, |frame, a| {
        let flat = flatten(frame, a)?;
        let elements = Elements::expect(&flat, "FlattenDistinct")?;
        distinct(frame, &elements, Key::of)
    }),
    between("concat", 1, usize::MAX, concat),
    between("max", 1, usize::MAX, |frame, a| {
        extreme(frame, "max", a, std::cmp::Ordering::Greater)
    }),
    between("min", 1, usize::MAX, |frame, a| {
        extreme(frame, "min", a, std::cmp::Ordering::Less)
    }),
    between("mean", 1, usize::MAX, |frame, a| {
        let numbers = numbers(frame, "mean", a)?;
        let sum: f64 = numbers.iter().map(|number| number.float()).sum();
        Ok(Value::Float(if numbers.is_empty() {
            0.0
        } else {
            sum / numbers.len() as f64
        }))
    }),
    between("median", 1, usize::MAX, median),
    asking("LogInfo", 1, usize::MAX, |_, _| Ok(Value::Bool(true))),
];

/// Texts are counted in characters, lists and maps in entries.
fn length<'a>(_: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let of = &arguments[0];
    let length = if let Some(text) = of.as_bytes() {
        characters(text)
    } else if let Some(elements) = Elements::of(of) {
        elements.len()
    } else if let Value::Object(object) = of {
        object
            .len()
            .ok_or_else(|| EvalError::kind("len", "given a list", of.kind()))?
    } else if let Value::Data(Data::Object(members)) = of {
        members.len()
    } else {
        let entries = ops::entries(of)
            .ok_or_else(|| EvalError::kind("len", "given a text, list or map", of.kind()))?;
        entries.len()
    };
    Ok(Value::Int(size(length)))
}

/// How many characters a text has; a byte that belongs to none counts for one.
fn characters(text: &[u8]) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    let chunk =
        |chunk: std::str::Utf8Chunk<'_>| chunk.valid().chars().count() + chunk.invalid().len();
    text.utf8_chunks().map(chunk).sum()
}

/// An element or member, nil where there is none.
fn get<'a>(_: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let (of, key) = (&arguments[0], &arguments[1]);
    if of.is_nil() {
        return Ok(Value::Nil);
    }
    if !matches!(of, Value::Object(_)) && Elements::of(of).is_none() && of.as_bytes().is_none() {
        return match ops::contained(key, of) {
            Ok(true) => access::index(of, key),
            Ok(false) => Ok(Value::Nil),
            Err(_) => Ok(access::index(of, key).unwrap_or_default()),
        };
    }
    if key.as_bytes().is_none() {
        ops::int(key, "an index")?;
    }
    Ok(access::index(of, key).unwrap_or_default())
}

fn take<'a>(frame: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let elements = Elements::expect(&arguments[0], "take")?;
    let Ok(count) = usize::try_from(ops::int(&arguments[1], "take")?) else {
        return Err(EvalError::argument("take", "less than nothing"));
    };
    frame.list(elements.iter().take(count).collect())
}

fn sort<'a>(frame: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let mut elements: Vec<_> = Elements::expect(&arguments[0], "sort")?.iter().collect();
    frame.work(elements.len())?;
    loops::sort(
        &mut elements,
        arguments.get(1).unwrap_or(&Value::Str(b"asc")),
        |element| element,
    )?;
    frame.list(elements)
}

/// The same key for values that are equal: 1 and 1.0.
fn equal_key(value: &Value<'_>) -> Option<Key> {
    if let Value::Float(number) = value
        && number.fract() == 0.0
        && number.abs() < 9e15
    {
        return Some(Key::Int(*number as i64));
    }
    Key::of(value)
}

fn distinct<'a>(
    frame: &mut Frame<'a, '_>,
    elements: &Elements<'a>,
    key: impl Fn(&Value<'a>) -> Option<Key>,
) -> Evaluated<'a> {
    let mut keys = BTreeSet::new();
    let mut kept: Vec<Value<'a>> = Vec::new();
    // Lists and maps are compared one by one; there are few of them.
    let mut compound: Vec<Value<'a>> = Vec::new();
    for element in elements.iter() {
        let is_new = match key(&element) {
            Some(key) => keys.insert(key),
            None => {
                frame.work(1 + 16 * compound.len())?;
                let is_new = !compound.iter().any(|other| ops::equal(other, &element));
                if is_new {
                    compound.push(element.clone());
                }
                is_new
            }
        };
        if is_new {
            kept.push(element);
        }
    }
    frame.list(kept)
}

fn flatten<'a>(frame: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let mut flat = Vec::new();
    for argument in arguments {
        flatten_into(frame, argument, &mut flat)?;
    }
    frame.list(flat)
}

/// Recursion ends at the nesting that values may have.
fn flatten_into<'a>(
    frame: &mut Frame<'a, '_>,
    value: &Value<'a>,
    flat: &mut Vec<Value<'a>>,
) -> Result<(), EvalError> {
    frame.work(1)?;
    match Elements::of(value) {
        Some(elements) => elements
            .iter()
            .try_for_each(|element| flatten_into(frame, &element, flat)),
        None => {
            flat.push(value.clone());
            Ok(())
        }
    }
}

fn concat<'a>(frame: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let mut all = Vec::new();
    for argument in arguments {
        let elements = Elements::expect(argument, "concat")?;
        frame.pay(elements.len() * size_of::<Value<'_>>())?;
        all.extend(elements.iter());
    }
    frame.list(all)
}

/// All numbers among the arguments, those in lists too.
fn numbers<'a>(
    frame: &mut Frame<'a, '_>,
    function: &'static str,
    arguments: &[Value<'a>],
) -> Result<Vec<Number>, EvalError> {
    let flat = flatten(frame, arguments)?;
    let elements = Elements::expect(&flat, function)?;
    let number = |value: Value<'a>| {
        Number::of(&value).ok_or_else(|| EvalError::kind(function, "given numbers", value.kind()))
    };
    elements.iter().map(number).collect()
}

fn extreme<'a>(
    frame: &mut Frame<'a, '_>,
    function: &'static str,
    arguments: &[Value<'a>],
    wanted: std::cmp::Ordering,
) -> Evaluated<'a> {
    let mut best: Option<Number> = None;
    for number in numbers(frame, function, arguments)? {
        if best.is_none_or(|best| number.compare(best) == Some(wanted)) {
            best = Some(number);
        }
    }
    Ok(match best {
        None => Value::Nil,
        Some(Number::Int(value)) => Value::Int(value),
        Some(Number::Float(value)) => Value::Float(value),
    })
}

fn median<'a>(frame: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let mut numbers: Vec<f64> = numbers(frame, "median", arguments)?
        .into_iter()
        .map(Number::float)
        .collect();
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    Ok(Value::Float(match numbers.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => numbers[middle],
        _ => f64::midpoint(numbers[middle - 1], numbers[middle]),
    }))
}

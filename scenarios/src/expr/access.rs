//! Members, elements and slices of values.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an operation names the kinds it is for; all others are an error"
)]

use std::sync::Arc;

use super::error::EvalError;
use super::members::{LineMember, Member};
use super::object::Object;
use super::ops;
use super::value::{Key, List, Value};
use crate::event::Data;

type Evaluated<'a> = Result<Value<'a>, EvalError>;

/// The elements of a list, whatever kind of list it is.
#[derive(Clone, Debug)]
pub(super) enum Elements<'a> {
    List(Arc<List<'a>>),
    Texts(&'a [Box<[u8]>]),
    Data(&'a [Data]),
    Object(&'a dyn Object, usize),
}

impl<'a> Elements<'a> {
    pub(super) fn of(value: &Value<'a>) -> Option<Self> {
        Some(match value {
            Value::List(list) => Elements::List(Arc::clone(list)),
            Value::Texts(texts) => Elements::Texts(texts),
            Value::Data(Data::Array(elements)) => Elements::Data(elements),
            Value::Object(object) => {
                let length = object.len()?;
                // A map has a length, but no first element.
                if length > 0 {
                    object.element(0)?;
                }
                Elements::Object(*object, length)
            }
            _ => return None,
        })
    }

    pub(super) fn expect(value: &Value<'a>, place: &'static str) -> Result<Self, EvalError> {
        Elements::of(value).ok_or_else(|| EvalError::kind(place, "a list", value.kind()))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Elements::List(list) => list.elements.len(),
            Elements::Texts(texts) => texts.len(),
            Elements::Data(elements) => elements.len(),
            Elements::Object(_, length) => *length,
        }
    }

    /// Nil beyond the end.
    pub(super) fn get(&self, index: usize) -> Value<'a> {
        match self {
            Elements::List(list) => list.elements.get(index).cloned().unwrap_or_default(),
            Elements::Texts(texts) => texts.get(index).map_or(Value::Nil, |text| Value::Str(text)),
            Elements::Data(elements) => elements.get(index).map_or(Value::Nil, Value::of_data),
            Elements::Object(object, _) => object.element(index).unwrap_or_default(),
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Value<'a>> {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// `of.name`.
pub(super) fn member<'a>(of: &Value<'a>, name: &str) -> Evaluated<'a> {
    let none = || EvalError::no_member(of.kind(), name);
    match of {
        Value::Data(Data::Object(members)) => {
            Ok(members.get(name).map_or(Value::Nil, Value::of_data))
        }
        Value::Map(map) => Ok(match map.entries.get(&Key::Text(name.as_bytes().into())) {
            Some(value) => value.clone(),
            None => map.missing.value(),
        }),
        Value::Labels(labels) => Ok(Value::from(labels.get(name).map_or("", |value| &**value))),
        Value::Fields(event, namespace) => Ok(Value::Str(event.by_name(*namespace, name))),
        Value::Unmarshaled(event) => Ok(event.data(name).map_or(Value::Nil, Value::of_data)),
        Value::Line(event) => LineMember::named(name)
            .map(|member| member.read(event))
            .ok_or_else(none),
        Value::Event(event) => Member::named(name)
            .map(|member| member.read(event))
            .ok_or_else(none),
        Value::Object(object) => object.member(name).ok_or_else(none),
        _ => Err(none()),
    }
}

/// `of[key]`.
pub(super) fn index<'a>(of: &Value<'a>, key: &Value<'a>) -> Evaluated<'a> {
    if let Value::Map(map) = of {
        let found = Key::of(key).and_then(|key| map.entries.get(&key).cloned());
        return Ok(found.unwrap_or_else(|| map.missing.value()));
    }
    if let Some(name) = key.as_bytes() {
        return match std::str::from_utf8(name) {
            Ok(name) => member(of, name),
            Err(_) => Err(EvalError::no_member(
                of.kind(),
                String::from_utf8_lossy(name),
            )),
        };
    }
    let out_of_range = |index: i64| EvalError::no_member(of.kind(), format!("element {index}"));
    if let Some(text) = of.as_bytes() {
        // A byte, as a number: what Go gives for an element of a string.
        let index = ops::int(key, "an index")?;
        let byte = position(index, text.len()).and_then(|at| text.get(at));
        return byte
            .map(|byte| Value::Int((*byte).into()))
            .ok_or_else(|| out_of_range(index));
    }
    let elements = Elements::expect(of, "what is indexed")?;
    let index = ops::int(key, "an index")?;
    position(index, elements.len())
        .map(|at| elements.get(at))
        .ok_or_else(|| out_of_range(index))
}

/// Where an index, counted from the end if it is negative, lies in a list of that length.
pub(super) fn position(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { length + index } else { index };
    (0..length).contains(&index).then_some(index as usize)
}

/// The piece of a list or text that `[from:to]` means: what lies outside is cut off.
pub(super) fn slice_bounds(from: Option<i64>, to: Option<i64>, length: usize) -> (usize, usize) {
    let clamp = |index: i64| {
        let index = if index < 0 {
            (length as i64).saturating_add(index)
        } else {
            index
        };
        index.clamp(0, length as i64) as usize
    };
    let to = to.map_or(length, clamp);
    (from.map_or(0, clamp).min(to), to)
}

/// `of[from:to]`, but for computed texts and lists, which `eval` copies within its bounds.
pub(super) fn borrowed_slice<'a>(
    of: &Value<'a>,
    from: Option<i64>,
    to: Option<i64>,
) -> Option<Value<'a>> {
    match of {
        Value::Str(text) => {
            let (from, to) = slice_bounds(from, to, text.len());
            Some(Value::Str(&text[from..to]))
        }
        Value::Texts(texts) => {
            let (from, to) = slice_bounds(from, to, texts.len());
            Some(Value::Texts(&texts[from..to]))
        }
        _ => None,
    }
}

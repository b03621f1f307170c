//! What an expression computes with.
//!
//! A text is bytes, as in Go, and is borrowed from the event or from the expression wherever it can be. What
//! lies in the event (its maps, its JSON) is never copied to be looked at.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an operation names the kinds it is for; all others are alike"
)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::object::Object;
use crate::date::{GoDuration, LogTime};
use crate::event::{Data, Event, Namespace};

/// A value.
#[derive(Clone, Debug, Default)]
pub enum Value<'a> {
    /// Nothing.
    #[default]
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text that lies somewhere else.
    Str(&'a [u8]),
    /// A text that was computed.
    Text(Arc<[u8]>),
    /// A list that was computed.
    List(Arc<List<'a>>),
    /// Lines of a data file, or another list of texts that lies somewhere else.
    Texts(&'a [Box<[u8]>]),
    /// A map that was computed.
    Map(Arc<Map<'a>>),
    /// A list or map of `evt.Unmarshaled`.
    Data(&'a Data),
    /// A map of texts: the labels of a source, the `Meta` of a queued event.
    Labels(&'a BTreeMap<String, String>),
    /// One of an event's string maps.
    Fields(&'a Event, Namespace),
    /// `evt.Unmarshaled`.
    Unmarshaled(&'a Event),
    /// `evt.Line`.
    Line(&'a Event),
    /// An event.
    Event(&'a Event),
    /// Something that the caller knows about: a queue, a bucket, a detection.
    Object(&'a dyn Object),
    /// An instant.
    Time(LogTime),
    /// A length of time.
    Duration(GoDuration),
    /// A day of the week, 0 for Sunday.
    Weekday(u8),
    /// A month, 1 to 12.
    Month(u8),
}

/// A key of a map.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Nothing.
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number, by its bits: 1.0 is another key than 1.
    Float(u64),
    /// A text.
    Text(Box<[u8]>),
}

/// A list that was computed.
#[derive(Clone, Debug, Default)]
pub struct List<'a> {
    pub(super) elements: Vec<Value<'a>>,
    nesting: u32,
}

/// A map that was computed.
#[derive(Clone, Debug, Default)]
pub struct Map<'a> {
    /// What it holds, in order of the keys.
    pub(super) entries: BTreeMap<Key, Value<'a>>,
    /// What a key that is not there reads as.
    pub(super) missing: Missing,
    nesting: u32,
}

/// How many lists and maps may lie in one another: what is deeper could not be freed without overflowing the
/// stack. JSON is refused beyond 128.
pub(super) const NESTING_MAX: u32 = 200;

/// What a key that a map does not hold reads as: in Go, the zero value of its elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// Nil.
    #[default]
    Nil,
    /// The empty text.
    Text,
    /// The empty list.
    List,
}

impl Missing {
    pub(super) fn value<'a>(self) -> Value<'a> {
        match self {
            Missing::Nil => Value::Nil,
            Missing::Text => Value::Str(b""),
            Missing::List => Value::Texts(&[]),
        }
    }
}

impl<'a> Value<'a> {
    /// A computed text.
    #[must_use]
    pub fn text(text: impl Into<Vec<u8>>) -> Self {
        Value::Text(Arc::from(text.into()))
    }

    /// A computed list.
    #[must_use]
    pub fn list(elements: Vec<Value<'a>>) -> Self {
        let nesting = 1 + elements.iter().map(Value::nesting).max().unwrap_or(0);
        Value::List(Arc::new(List { elements, nesting }))
    }

    /// A computed map.
    #[must_use]
    pub fn map(entries: BTreeMap<Key, Value<'a>>, missing: Missing) -> Self {
        let nesting = 1 + entries.values().map(Value::nesting).max().unwrap_or(0);
        Value::Map(Arc::new(Map {
            entries,
            missing,
            nesting,
        }))
    }

    /// How many lists and maps lie in one another.
    pub(super) fn nesting(&self) -> u32 {
        match self {
            Value::List(list) => list.nesting,
            Value::Map(map) => map.nesting,
            _ => 0,
        }
    }

    /// What a piece of JSON is: its numbers are floats, as in Go.
    #[must_use]
    pub fn of_data(data: &'a Data) -> Self {
        match data {
            Data::Null => Value::Nil,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(number) => Value::Float(number.as_f64().unwrap_or_default()),
            Data::String(text) => Value::Str(text.as_bytes()),
            Data::Array(_) | Data::Object(_) => Value::Data(data),
        }
    }

    /// The same, of JSON that does not live on.
    #[must_use]
    pub fn of_owned_data(data: Data) -> Self {
        match data {
            Data::Null => Value::Nil,
            Data::Bool(value) => Value::Bool(value),
            Data::Number(number) => Value::Float(number.as_f64().unwrap_or_default()),
            Data::String(text) => Value::text(text),
            Data::Array(elements) => {
                Value::list(elements.into_iter().map(Value::of_owned_data).collect())
            }
            Data::Object(members) => {
                let entry = |(key, data): (String, Data)| {
                    (
                        Key::Text(key.into_bytes().into()),
                        Value::of_owned_data(data),
                    )
                };
                Value::map(members.into_iter().map(entry).collect(), Missing::Nil)
            }
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Str(text) => Some(text),
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text, if it is one, without copying it where it lies somewhere else.
    #[must_use]
    pub fn into_text(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Value::Str(text) => Some(Cow::Borrowed(text)),
            Value::Text(text) => Some(Cow::Owned(text.to_vec())),
            _ => None,
        }
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// What kind of value it is, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Bool(_) => "a bool",
            Value::Int(_) => "an int",
            Value::Float(_) => "a float",
            Value::Str(_) | Value::Text(_) => "a text",
            Value::List(_) | Value::Texts(_) | Value::Data(Data::Array(_)) => "a list",
            Value::Map(_)
            | Value::Labels(_)
            | Value::Fields(..)
            | Value::Unmarshaled(_)
            | Value::Data(_) => "a map",
            Value::Line(_) => "evt.Line",
            Value::Event(_) => "an event",
            Value::Object(_) => "an object",
            Value::Time(_) => "a time",
            Value::Duration(_) => "a duration",
            Value::Weekday(_) => "a weekday",
            Value::Month(_) => "a month",
        }
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Str(text.as_bytes())
    }
}

impl Key {
    /// The key that a value is; lists, maps and the like are none.
    pub(super) fn of(value: &Value<'_>) -> Option<Key> {
        Some(match value {
            Value::Nil => Key::Nil,
            Value::Bool(value) => Key::Bool(*value),
            Value::Int(value) => Key::Int(*value),
            Value::Float(value) => Key::Float(value.to_bits()),
            Value::Weekday(number) | Value::Month(number) => Key::Int((*number).into()),
            Value::Duration(duration) => Key::Int(duration.nanos()),
            other => Key::Text(other.as_bytes()?.into()),
        })
    }

    pub(super) fn value<'a>(&self) -> Value<'a> {
        match self {
            Key::Nil => Value::Nil,
            Key::Bool(value) => Value::Bool(*value),
            Key::Int(value) => Value::Int(*value),
            Key::Float(bits) => Value::Float(f64::from_bits(*bits)),
            Key::Text(text) => Value::text(&**text),
        }
    }
}

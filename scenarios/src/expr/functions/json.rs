//! JSON: pieces cut out of a text, and values into text.

use std::borrow::Cow;

use super::{Function, between, bytes, fixed, piece};
use crate::expr::error::EvalError;
use crate::expr::eval::{Evaluated, Frame};
use crate::expr::json_path::{self, Found, Type};
use crate::expr::json_text::{self, Layout};
use crate::expr::unfold;
use crate::expr::value::{Missing, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("JsonExtract", 2, |frame, a| {
        let path = bytes("JsonExtract", &a[1])?;
        extract(frame, "JsonExtract", &a[0], &json_path::keys(path))
    }),
    between("JsonExtractLib", 2, usize::MAX, |frame, a| {
        let keys = path_arguments("JsonExtractLib", &a[1..])?;
        extract(frame, "JsonExtractLib", &a[0], &keys)
    }),
    between("JsonExtractUnescape", 2, usize::MAX, extract_unescaped),
    fixed("JsonExtractSlice", 2, |frame, a| {
        let found = extract_whole(frame, "JsonExtractSlice", a, Type::List)?;
        Ok(found.unwrap_or(Value::Texts(&[])))
    }),
    fixed("JsonExtractObject", 2, |frame, a| {
        match extract_whole(frame, "JsonExtractObject", a, Type::Map)? {
            Some(found) => Ok(found),
            None => frame.map(std::collections::BTreeMap::new(), Missing::Nil),
        }
    }),
    fixed("ToJsonString", 1, |frame, a| {
        let text = json_text::write(frame, &a[0], Layout::Compact)?;
        frame.text(text)
    }),
    fixed("toJSON", 1, |frame, a| {
        let text = json_text::write(frame, &a[0], Layout::Indented)?;
        frame.text(text)
    }),
    fixed("fromJSON", 1, |frame, a| {
        let text = bytes("fromJSON", &a[0])?;
        pay_for_json(frame, text)?;
        match unfold::json(text) {
            Ok(data) => Ok(Value::of_owned_data(data)),
            Err(error) => Err(EvalError::argument("fromJSON", error.to_string())),
        }
    }),
];

/// The densest JSON is `[1,1,1`: two bytes for a value.
fn pay_for_json(frame: &mut Frame<'_, '_>, text: &[u8]) -> Result<(), EvalError> {
    let values = text
        .iter()
        .filter(|byte| matches!(byte, b',' | b'[' | b'{'))
        .count();
    frame.pay(text.len() + values * 2 * size_of::<Value<'_>>())
}

fn path_arguments<'v>(
    function: &'static str,
    arguments: &'v [Value<'_>],
) -> Result<Vec<Cow<'v, [u8]>>, EvalError> {
    arguments
        .iter()
        .map(|key| bytes(function, key).map(Cow::Borrowed))
        .collect()
}

fn find<'a>(
    frame: &mut Frame<'a, '_>,
    function: &'static str,
    of: &Value<'a>,
    keys: &[Cow<'_, [u8]>],
) -> Result<Option<Found>, EvalError> {
    let text = bytes(function, of)?;
    frame.search(text.len())?;
    Ok(json_path::find(text, keys))
}

/// The value's text as it stands there, a string's without its quotes; nothing where there is none.
fn extract<'a>(
    frame: &mut Frame<'a, '_>,
    function: &'static str,
    of: &Value<'a>,
    keys: &[Cow<'_, [u8]>],
) -> Evaluated<'a> {
    match find(frame, function, of, keys)? {
        Some(found) => piece(frame, of, found.start, found.end),
        None => Ok(Value::from("")),
    }
}

fn extract_unescaped<'a>(frame: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let keys = path_arguments("JsonExtractUnescape", &arguments[1..])?;
    let Some(found) = find(frame, "JsonExtractUnescape", &arguments[0], &keys)? else {
        return Ok(Value::from(""));
    };
    if found.of != Type::Text {
        return Ok(Value::from(""));
    }
    let raw = &bytes("JsonExtractUnescape", &arguments[0])?[found.start..found.end];
    if memchr::memchr(b'\\', raw).is_none() {
        return piece(frame, &arguments[0], found.start, found.end);
    }
    match json_path::unescape(raw) {
        Some(text) => frame.text(text.into_bytes()),
        None => Ok(Value::from("")),
    }
}

/// A list or map; `None` where there is none, or something else.
fn extract_whole<'a>(
    frame: &mut Frame<'a, '_>,
    function: &'static str,
    arguments: &[Value<'a>],
    wanted: Type,
) -> Result<Option<Value<'a>>, EvalError> {
    let keys = json_path::keys(bytes(function, &arguments[1])?);
    let Some(found) =
        find(frame, function, &arguments[0], &keys)?.filter(|found| found.of == wanted)
    else {
        return Ok(None);
    };
    let raw = &bytes(function, &arguments[0])?[found.start..found.end];
    pay_for_json(frame, raw)?;
    Ok(unfold::json(raw).ok().map(Value::of_owned_data))
}

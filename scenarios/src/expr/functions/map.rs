//! Maps.

use std::collections::BTreeMap;

use super::{Function, bytes, fixed};
use crate::expr::access::Elements;
use crate::expr::error::EvalError;
use crate::expr::eval::{Evaluated, Frame};
use crate::expr::ops;
use crate::expr::value::{Key, Missing, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("keys", 1, |frame, a| {
        let keys = entries("keys", &a[0])?.keys().map(Key::value).collect();
        frame.list(keys)
    }),
    fixed("values", 1, |frame, a| {
        let values = entries("values", &a[0])?.into_values().collect();
        frame.list(values)
    }),
    fixed("toPairs", 1, |frame, a| {
        let pairs = entries("toPairs", &a[0])?;
        let pairs = pairs
            .into_iter()
            .map(|(key, value)| frame.list(vec![key.value(), value]));
        let pairs = pairs.collect::<Result<Vec<_>, _>>()?;
        frame.list(pairs)
    }),
    fixed("fromPairs", 1, from_pairs),
    fixed("KeyExists", 2, |_, a| {
        bytes("KeyExists", &a[0])?;
        entries("KeyExists", &a[1])?;
        ops::contained(&a[0], &a[1]).map(Value::Bool)
    }),
    fixed("ToString", 1, |_, a| {
        Ok(if a[0].as_bytes().is_some() {
            a[0].clone()
        } else {
            Value::from("")
        })
    }),
];

fn entries<'a>(
    function: &'static str,
    of: &Value<'a>,
) -> Result<BTreeMap<Key, Value<'a>>, EvalError> {
    ops::entries(of).ok_or_else(|| EvalError::kind(function, "given a map", of.kind()))
}

fn from_pairs<'a>(frame: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let mut map = BTreeMap::new();
    for pair in Elements::expect(&arguments[0], "fromPairs")?.iter() {
        let pair = Elements::expect(&pair, "a pair")?;
        let key = Key::of(&pair.get(0));
        let (Some(key), 2) = (key, pair.len()) else {
            return Err(EvalError::argument(
                "fromPairs",
                "a pair is a list of a key and a value",
            ));
        };
        map.insert(key, pair.get(1));
    }
    frame.map(map, Missing::Nil)
}

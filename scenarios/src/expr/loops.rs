//! The functions that take a closure.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a closure's answer of any other kind is an error"
)]

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::access::Elements;
use super::ast::{Binary, Looping};
use super::error::EvalError;
use super::eval::{Evaluated, Frame};
use super::node::Loop;
use super::ops::{self, Number};
use super::value::{Key, Missing, Value};

impl<'a> Frame<'a, '_> {
    pub(super) fn run_loop(&mut self, all: &'a Loop) -> Evaluated<'a> {
        let list = self.value(&all.list)?;
        let elements = Elements::expect(&list, "what a closure is asked about")?;
        match all.looping {
            Looping::All => Ok(Value::Bool(self.first(all, &elements, false)?.is_none())),
            Looping::Any => Ok(Value::Bool(self.first(all, &elements, true)?.is_some())),
            Looping::None => Ok(Value::Bool(self.first(all, &elements, true)?.is_none())),
            Looping::One => Ok(Value::Bool(self.count(all, &elements)? == 1)),
            Looping::Count => Ok(Value::Int(self.count(all, &elements)?)),
            Looping::Find => Ok(self
                .first(all, &elements, true)?
                .map_or(Value::Nil, |at| elements.get(at))),
            Looping::FindIndex => Ok(index(self.first(all, &elements, true)?)),
            Looping::FindLast => Ok(self
                .last(all, &elements)?
                .map_or(Value::Nil, |at| elements.get(at))),
            Looping::FindLastIndex => Ok(index(self.last(all, &elements)?)),
            Looping::Map => {
                let mut mapped = Vec::new();
                for at in 0..elements.len() {
                    mapped.push(self.asked(all, &elements, at)?);
                }
                self.list(mapped)
            }
            Looping::Filter => {
                let mut kept = Vec::new();
                for at in 0..elements.len() {
                    if self.passes(all, &elements, at)? {
                        kept.push(elements.get(at));
                    }
                }
                self.list(kept)
            }
            Looping::Sum => {
                let mut sum = Value::Int(0);
                for at in 0..elements.len() {
                    let value = self.asked(all, &elements, at)?;
                    sum = ops::arithmetic(Binary::Add, &value, &sum)?;
                }
                Ok(sum)
            }
            Looping::GroupBy => self.group_by(all, &elements),
            Looping::SortBy => self.sort_by(all, &elements),
            Looping::Reduce => self.reduce(all, &elements),
        }
    }

    /// Set the closure's locals to one element.
    fn enter(&mut self, all: &Loop, elements: &Elements<'a>, at: usize) -> Result<(), EvalError> {
        self.work(1)?;
        self.locals[all.element] = elements.get(at);
        self.locals[all.position] = index(Some(at));
        Ok(())
    }

    /// What the closure says of an element; without a closure, the element itself.
    fn asked(&mut self, all: &'a Loop, elements: &Elements<'a>, at: usize) -> Evaluated<'a> {
        self.enter(all, elements, at)?;
        match &all.closure {
            Some(closure) => self.value(closure),
            None => Ok(elements.get(at)),
        }
    }

    fn passes(
        &mut self,
        all: &'a Loop,
        elements: &Elements<'a>,
        at: usize,
    ) -> Result<bool, EvalError> {
        self.enter(all, elements, at)?;
        match &all.closure {
            Some(closure) => self.truth(closure),
            None => match elements.get(at) {
                Value::Bool(value) => Ok(value),
                other => Err(EvalError::kind("what is counted", "a bool", other.kind())),
            },
        }
    }

    fn first(
        &mut self,
        all: &'a Loop,
        elements: &Elements<'a>,
        wanted: bool,
    ) -> Result<Option<usize>, EvalError> {
        for at in 0..elements.len() {
            if self.passes(all, elements, at)? == wanted {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    fn last(&mut self, all: &'a Loop, elements: &Elements<'a>) -> Result<Option<usize>, EvalError> {
        for at in (0..elements.len()).rev() {
            if self.passes(all, elements, at)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    fn count(&mut self, all: &'a Loop, elements: &Elements<'a>) -> Result<i64, EvalError> {
        let mut count = 0;
        for at in 0..elements.len() {
            count += i64::from(self.passes(all, elements, at)?);
        }
        Ok(count)
    }

    fn group_by(&mut self, all: &'a Loop, elements: &Elements<'a>) -> Evaluated<'a> {
        let mut groups: BTreeMap<Key, Vec<Value<'a>>> = BTreeMap::new();
        for at in 0..elements.len() {
            let key = self.asked(all, elements, at)?;
            let key = Key::of(&key)
                .ok_or_else(|| EvalError::kind("a key of groupBy", "a plain value", key.kind()))?;
            groups.entry(key).or_default().push(elements.get(at));
        }
        let mut entries = BTreeMap::new();
        for (key, group) in groups {
            entries.insert(key, self.list(group)?);
        }
        self.map(entries, Missing::List)
    }

    fn sort_by(&mut self, all: &'a Loop, elements: &Elements<'a>) -> Evaluated<'a> {
        let order = match &all.third {
            Some(third) => self.value(third)?,
            None => Value::from("asc"),
        };
        let mut keyed = Vec::new();
        for at in 0..elements.len() {
            keyed.push((self.asked(all, elements, at)?, elements.get(at)));
        }
        self.pay(keyed.len() * size_of::<Value<'_>>())?;
        sort(&mut keyed, &order, |(key, _)| key)?;
        self.list(keyed.into_iter().map(|(_, element)| element).collect())
    }

    fn reduce(&mut self, all: &'a Loop, elements: &Elements<'a>) -> Evaluated<'a> {
        let (mut accumulated, start) = match &all.third {
            Some(third) => (self.value(third)?, 0),
            None if elements.len() == 0 => {
                return Err(EvalError::argument(
                    "reduce",
                    "an empty list without a first value",
                ));
            }
            None => (elements.get(0), 1),
        };
        for at in start..elements.len() {
            self.enter(all, elements, at)?;
            self.locals[all.accumulator] = accumulated;
            accumulated = match &all.closure {
                Some(closure) => self.value(closure)?,
                None => Value::Nil,
            };
        }
        Ok(accumulated)
    }
}

fn index<'a>(at: Option<usize>) -> Value<'a> {
    at.map_or(Value::Nil, |at| {
        Value::Int(i64::try_from(at).unwrap_or(i64::MAX))
    })
}

/// Sort by what `key` says; the order among equals is kept. Values that cannot be compared are an error.
pub(super) fn sort<'a, T>(
    elements: &mut [T],
    order: &Value<'_>,
    key: impl Fn(&T) -> &Value<'a>,
) -> Result<(), EvalError> {
    let descending = match order.as_bytes() {
        Some(b"asc") => false,
        Some(b"desc") => true,
        Some(_) | None => {
            return Err(EvalError::argument(
                "sort",
                "the order is \"asc\" or \"desc\"",
            ));
        }
    };
    // All of one kind: only then is there a total order, which sorting relies upon.
    if let Some((first, rest)) = elements.split_first() {
        for other in rest {
            ops::compare(Binary::Less, key(first), key(other))?;
        }
    }
    let whole = elements
        .iter()
        .all(|element| matches!(key(element), Value::Int(_)));
    elements.sort_by(|a, b| {
        let (a, b) = if descending {
            (key(b), key(a))
        } else {
            (key(a), key(b))
        };
        match (Number::of(a), Number::of(b)) {
            (Some(a), Some(b)) if whole => a.int().cmp(&b.int()),
            (Some(a), Some(b)) => a.float().total_cmp(&b.float()),
            _ => ops::compare(Binary::Less, a, b)
                .ok()
                .flatten()
                .unwrap_or(Ordering::Equal),
        }
    });
    Ok(())
}

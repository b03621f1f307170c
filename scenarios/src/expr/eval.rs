//! Evaluation of nodes.
//!
//! Two ways in: [`Frame::truth`] for what is a bool, without making a value of it, and [`Frame::value`]. What
//! one evaluation may make and look at is bounded, so that the time it takes is linear in its event.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each function names the nodes it is for and hands on the others"
)]

use std::collections::BTreeMap;

use super::access::{self, Elements};
use super::ast::{Access, Binary};
use super::effects::{Effect, pending_data, pending_field};
use super::env::Env;
use super::error::{EvalError, Reason};
use super::node::{AnyText, Node};
use super::ops;
use super::unfold;
use super::value::{Key, Missing, NESTING_MAX, Value};
use crate::event::{Event, Slot};

/// Bytes of texts, lists and maps that one evaluation may make: room to take a line of 64 KiB apart some
/// twenty times.
pub(super) const MADE_BYTES_MAX: usize = 4 << 20;

/// Steps of closures, and blocks of 64 bytes that texts are searched in, that one evaluation may take: some
/// 100 ms at worst.
pub(super) const WORK_MAX: usize = 4 << 20;

pub(super) type Evaluated<'a> = Result<Value<'a>, EvalError>;

/// One evaluation.
#[derive(Debug)]
pub(super) struct Frame<'a, 'e> {
    pub(super) env: &'e Env<'a>,
    pub(super) locals: Vec<Value<'a>>,
    /// Changes of the event, in order.
    pub(super) pending: Vec<Effect>,
    made_left: usize,
    work_left: usize,
}

impl<'a, 'e> Frame<'a, 'e> {
    #[inline]
    pub(super) fn new(env: &'e Env<'a>, locals: usize) -> Self {
        let locals = if locals == 0 {
            Vec::new()
        } else {
            vec![Value::Nil; locals]
        };
        Frame {
            env,
            locals,
            pending: Vec::new(),
            made_left: MADE_BYTES_MAX,
            work_left: WORK_MAX,
        }
    }

    /// Pay for something of that many bytes before making it.
    pub(super) fn pay(&mut self, bytes: usize) -> Result<(), EvalError> {
        self.made_left = self
            .made_left
            .checked_sub(bytes)
            .ok_or_else(EvalError::too_much)?;
        Ok(())
    }

    pub(super) fn work(&mut self, steps: usize) -> Result<(), EvalError> {
        self.work_left = self
            .work_left
            .checked_sub(steps)
            .ok_or_else(EvalError::too_much)?;
        Ok(())
    }

    /// Pay for looking through so many bytes.
    pub(super) fn search(&mut self, bytes: usize) -> Result<(), EvalError> {
        self.work(1 + bytes / 64)
    }

    /// A text that was made.
    pub(super) fn text(&mut self, text: Vec<u8>) -> Evaluated<'a> {
        self.pay(text.len())?;
        Ok(Value::text(text))
    }

    /// A list that was made.
    pub(super) fn list(&mut self, elements: Vec<Value<'a>>) -> Evaluated<'a> {
        self.pay(elements.len() * size_of::<Value<'_>>())?;
        self.not_too_deep(Value::list(elements))
    }

    /// A map that was made.
    pub(super) fn map(
        &mut self,
        entries: BTreeMap<Key, Value<'a>>,
        missing: Missing,
    ) -> Evaluated<'a> {
        self.pay(entries.len() * 2 * size_of::<Value<'_>>())?;
        self.not_too_deep(Value::map(entries, missing))
    }

    fn not_too_deep(&self, value: Value<'a>) -> Evaluated<'a> {
        if value.nesting() > NESTING_MAX {
            Err(EvalError::too_much())
        } else {
            Ok(value)
        }
    }

    fn event(&self) -> Result<&'a Event, EvalError> {
        self.env.event.ok_or_else(|| Reason::NoRoot("evt").into())
    }

    #[inline]
    fn field(&self, slot: Slot) -> &'a [u8] {
        match self.env.event {
            Some(event) => event.field(slot),
            None => b"",
        }
    }

    /// The node as a bool; anything else is an error.
    pub(super) fn truth(&mut self, node: &'a Node) -> Result<bool, EvalError> {
        match node {
            Node::FieldIs(slot, text) => Ok(*self.field(*slot) == **text),
            Node::FieldIn(slot, set) => Ok(set.contains(self.field(*slot))),
            Node::LabelIs(name, text) => Ok(self.event()?.source.label(name).as_bytes() == &**text),
            Node::And(terms) => {
                for term in terms {
                    if !self.truth(term)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Node::Or(terms) => {
                for term in terms {
                    if self.truth(term)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Node::Not(of) => self.truth(of).map(|value| !value),
            Node::Is(of, text) => Ok(self.value(of)?.as_bytes() == Some(text)),
            Node::IsNil(of) => Ok(self.value(of)?.is_nil()),
            Node::InTexts(of, set) => Ok(self
                .value(of)?
                .as_bytes()
                .is_some_and(|text| set.contains(text))),
            Node::Equal(operands) => {
                let (left, right) = (self.value(&operands[0])?, self.value(&operands[1])?);
                Ok(ops::equal(&left, &right))
            }
            Node::Order(operator, operands) => {
                let (left, right) = (self.value(&operands[0])?, self.value(&operands[1])?);
                Ok(ops::holds(
                    *operator,
                    ops::compare(*operator, &left, &right)?,
                ))
            }
            Node::In(operands) => self.contained(&operands[0], &operands[1]),
            Node::Contains(of, finder) => {
                self.tests_text(of, "contains", |text| finder.find(text).is_some())
            }
            Node::StartsWith(of, text) => {
                self.tests_text(of, "startsWith", |of| of.starts_with(text))
            }
            Node::EndsWith(of, text) => self.tests_text(of, "endsWith", |of| of.ends_with(text)),
            Node::TextTest(operator, operands) => self.text_test(*operator, operands),
            Node::AnyText(of, test) => match &**test {
                AnyText::Is(set) => Ok(self
                    .value(of)?
                    .as_bytes()
                    .is_some_and(|text| set.contains(text))),
                AnyText::Contains(_) => self.tests_text(of, "contains", |text| test.passes(text)),
                AnyText::StartsWith(_) => {
                    self.tests_text(of, "startsWith", |text| test.passes(text))
                }
                AnyText::EndsWith(_) => self.tests_text(of, "endsWith", |text| test.passes(text)),
            },
            Node::Matches(of, regex) => self.tests_text(of, "matches", |text| regex.is_match(text)),
            Node::MatchesComputed(operands, cache) => self.matches_computed(operands, cache),
            Node::MatchesFile(of, patterns) => {
                let text = self.value(of)?;
                match text.as_bytes() {
                    Some(text) => Ok(patterns.is_match(text)),
                    None => Err(EvalError::kind(
                        "what RegexpInFile is asked about",
                        "a text",
                        text.kind(),
                    )),
                }
            }
            Node::SetField(namespace, operands) => {
                let (key, value) = (self.value(&operands[0])?, self.value(&operands[1])?);
                let (Some(name), Some(text)) = (key.as_bytes(), value.as_bytes()) else {
                    return Err(EvalError::operands("SetMeta", key.kind(), value.kind()));
                };
                self.pay(name.len() + text.len())?;
                let name = String::from_utf8_lossy(name).into();
                self.pending
                    .push(Effect::Field(*namespace, name, text.into()));
                Ok(true)
            }
            Node::Conditional(parts) => {
                if self.truth(&parts[0])? {
                    self.truth(&parts[1])
                } else {
                    self.truth(&parts[2])
                }
            }
            other => match self.value(other)? {
                Value::Bool(value) => Ok(value),
                value => Err(EvalError::kind("what is tested", "a bool", value.kind())),
            },
        }
    }

    /// The node as a value.
    pub(super) fn value(&mut self, node: &'a Node) -> Evaluated<'a> {
        match node {
            Node::Field(slot) => Ok(Value::Str(self.field(*slot))),
            Node::Text(text) => Ok(Value::Str(text)),
            Node::Const(value) => Ok(value.clone()),
            Node::Texts(texts) => Ok(Value::Texts(texts)),
            Node::Local(local) => Ok(self.locals[*local].clone()),
            Node::Event => self.event().map(Value::Event),
            Node::Root(root) => self
                .env
                .root(*root)
                .map(Value::Object)
                .ok_or_else(|| Reason::NoRoot(root.name()).into()),
            Node::Member(member) => self.event().map(|event| member.read(event)),
            Node::LineMember(member) => self.event().map(|event| member.read(event)),
            Node::Label(name) => Ok(Value::from(self.event()?.source.label(name))),
            Node::PendingField(namespace, name, slot) => {
                let pending = pending_field(&self.pending, *namespace, name);
                Ok(pending.unwrap_or_else(|| Value::Str(self.field(*slot))))
            }
            Node::Unmarshaled(name) => {
                Ok(self.event()?.data(name).map_or(Value::Nil, Value::of_data))
            }
            Node::PendingUnmarshaled(name) => match pending_data(&self.pending, name).cloned() {
                Some(data) => Ok(Value::of_owned_data(data)),
                None => Ok(self.event()?.data(name).map_or(Value::Nil, Value::of_data)),
            },
            Node::Arithmetic(operator, operands) => self.arithmetic(*operator, operands),
            Node::Negative(of) => ops::negative(&self.value(of)?),
            Node::Plus(of) => {
                let value = self.value(of)?;
                ops::float(&value, "what stands behind +").map(|_| value)
            }
            Node::Range(operands) => self.range(operands),
            Node::Coalesce(operands) => match self.value(&operands[0])? {
                Value::Nil => self.value(&operands[1]),
                value => Ok(value),
            },
            Node::Conditional(parts) => {
                if self.truth(&parts[0])? {
                    self.value(&parts[1])
                } else {
                    self.value(&parts[2])
                }
            }
            Node::Let(local, parts) => {
                self.locals[*local] = self.value(&parts[0])?;
                self.value(&parts[1])
            }
            Node::Sequence(steps) => {
                let mut last = Value::Nil;
                for step in steps {
                    last = self.value(step)?;
                }
                Ok(last)
            }
            Node::Get(..) | Node::Index(..) | Node::Method(..) => {
                // Without a chain there is nobody to tell that `?.` met a nil; it was parsed with one.
                Ok(self.chain(node)?.unwrap_or_default())
            }
            Node::Chain(of) => Ok(self.chain(of)?.unwrap_or_default()),
            Node::Slice(of, from, to) => self.slice(of, from.as_deref(), to.as_deref()),
            Node::Call(function, arguments) => self.call(function, arguments),
            Node::Loop(all) => self.run_loop(all),
            Node::List(elements) => {
                let elements = elements
                    .iter()
                    .map(|element| self.value(element))
                    .collect::<Result<Vec<_>, _>>()?;
                self.list(elements)
            }
            Node::Map(entries) => self.map_literal(entries),
            Node::Tag(of, lookup) => match self.value(of)? {
                text if text.as_bytes().is_some() => {
                    Ok(Value::from(lookup.tag(text.as_bytes().unwrap_or_default())))
                }
                other => Err(EvalError::kind(
                    "what LookupFile is asked about",
                    "a text",
                    other.kind(),
                )),
            },
            Node::Rows(lookup) => self.list(lookup.rows.iter().map(Value::Labels).collect()),
            Node::Unfold(unfold, operands) => {
                let (text, key) = (self.value(&operands[0])?, self.value(&operands[1])?);
                let (Some(text_bytes), Some(name)) = (text.as_bytes(), key.as_bytes()) else {
                    return Err(EvalError::operands(
                        unfold::name(*unfold),
                        text.kind(),
                        key.kind(),
                    ));
                };
                self.pay(2 * text_bytes.len() + name.len())?;
                let name: Box<str> = String::from_utf8_lossy(name).into();
                let before =
                    pending_data(&self.pending, &name).or_else(|| self.env.event?.data(&name));
                let data = unfold::unfold(*unfold, text_bytes, before)?;
                self.pending.push(Effect::Data(name, data));
                Ok(Value::Nil)
            }
            boolean => self.truth(boolean).map(Value::Bool),
        }
    }

    /// A link of a chain; `None` if a `?.` of it met a nil.
    fn chain(&mut self, node: &'a Node) -> Result<Option<Value<'a>>, EvalError> {
        let (of, access) = match node {
            Node::Get(of, _, access) | Node::Method(of, _, _, access) => (&**of, *access),
            Node::Index(parts, access) => (&parts[0], *access),
            other => return self.value(other).map(Some),
        };
        let Some(of) = self.chain(of)? else {
            return Ok(None);
        };
        if of.is_nil() && access == Access::Optional {
            return Ok(None);
        }
        match node {
            Node::Get(_, name, _) => access::member(&of, name).map(Some),
            Node::Index(parts, _) => {
                let key = self.value(&parts[1])?;
                access::index(&of, &key).map(Some)
            }
            Node::Method(_, name, arguments, _) => {
                let arguments = arguments
                    .iter()
                    .map(|argument| self.value(argument))
                    .collect::<Result<Vec<_>, _>>()?;
                super::methods::call(self, &of, name, &arguments).map(Some)
            }
            _ => Ok(Some(of)),
        }
    }

    fn contained(&mut self, needle: &'a Node, haystack: &'a Node) -> Result<bool, EvalError> {
        let needle = self.value(needle)?;
        if let Node::Const(haystack) = haystack {
            return ops::contained(&needle, haystack);
        }
        let haystack = self.value(haystack)?;
        if let Some(elements) = Elements::of(&haystack) {
            self.work(elements.len())?;
        }
        ops::contained(&needle, &haystack)
    }

    fn arithmetic(&mut self, operator: Binary, operands: &'a [Node; 2]) -> Evaluated<'a> {
        let (left, right) = (self.value(&operands[0])?, self.value(&operands[1])?);
        if let (Binary::Add, Some(a), Some(b)) = (operator, left.as_bytes(), right.as_bytes()) {
            return self.text([a, b].concat());
        }
        ops::arithmetic(operator, &left, &right)
    }

    fn range(&mut self, operands: &'a [Node; 2]) -> Evaluated<'a> {
        let first = ops::int(&self.value(&operands[0])?, "the start of a range")?;
        let last = ops::int(&self.value(&operands[1])?, "the end of a range")?;
        let length = usize::try_from(i128::from(last) - i128::from(first) + 1).unwrap_or(0);
        // Before it is made: a range may be as long as numbers go.
        self.pay(length.saturating_mul(size_of::<Value<'_>>()))?;
        Ok(Value::list((first..=last).map(Value::Int).collect()))
    }

    fn slice(
        &mut self,
        of: &'a Node,
        from: Option<&'a Node>,
        to: Option<&'a Node>,
    ) -> Evaluated<'a> {
        let of = self.value(of)?;
        let mut bound = |node: Option<&'a Node>| match node {
            Some(node) => ops::int(&self.value(node)?, "a bound of a slice").map(Some),
            None => Ok(None),
        };
        let (from, to) = (bound(from)?, bound(to)?);
        if let Some(slice) = access::borrowed_slice(&of, from, to) {
            return Ok(slice);
        }
        if let Some(text) = of.as_bytes() {
            let (from, to) = access::slice_bounds(from, to, text.len());
            return self.text(text[from..to].to_vec());
        }
        let elements = Elements::expect(&of, "what is sliced")?;
        let (from, to) = access::slice_bounds(from, to, elements.len());
        self.list((from..to).map(|index| elements.get(index)).collect())
    }

    fn map_literal(&mut self, entries: &'a [(Node, Node)]) -> Evaluated<'a> {
        let mut map = BTreeMap::new();
        for (key, value) in entries {
            let key = self.value(key)?;
            let Some(Key::Text(key)) = Key::of(&key) else {
                return Err(EvalError::kind("a key of a map", "a text", key.kind()));
            };
            map.insert(Key::Text(key), self.value(value)?);
        }
        self.map(map, Missing::Nil)
    }

    fn call(
        &mut self,
        function: &'static super::functions::Function,
        nodes: &'a [Node],
    ) -> Evaluated<'a> {
        // Nearly all calls have up to four arguments.
        if nodes.len() <= 4 {
            let mut arguments: [Value<'a>; 4] = Default::default();
            for (argument, node) in arguments.iter_mut().zip(nodes) {
                *argument = self.value(node)?;
            }
            return (function.run)(self, &arguments[..nodes.len()]);
        }
        let arguments = nodes
            .iter()
            .map(|node| self.value(node))
            .collect::<Result<Vec<_>, _>>()?;
        (function.run)(self, &arguments)
    }
}

//! A compiled expression: names are slots, constants are ready, the common tests are nodes of their own.

use std::sync::{Arc, Mutex};

use aho_corasick::AhoCorasick;
use memchr::memmem::Finder;
use regex::bytes::Regex;

use super::ast::{Access, Binary, Looping};
use super::env::Root;
use super::functions::Function;
use super::members::{LineMember, Member};
use super::text_set::TextSet;
use super::value::Value;
use crate::data::{Lookup, Patterns};
use crate::event::{Namespace, Slot};

/// One node. Those that are always a bool are evaluated without making a value.
#[derive(Debug)]
pub(super) enum Node {
    Const(Value<'static>),
    Text(Box<[u8]>),
    /// A list of constant texts, or a data file's.
    Texts(Arc<[Box<[u8]>]>),
    /// A local variable: of `let`, or an element, a position, an accumulator of a closure.
    Local(usize),
    Root(Root),

    Event,
    Member(Member),
    LineMember(LineMember),
    Label(Box<str>),
    Field(Slot),
    /// A field of an expression that also changes fields.
    PendingField(Namespace, Box<str>, Slot),
    Unmarshaled(Box<str>),
    /// The same in an expression that also changes it.
    PendingUnmarshaled(Box<str>),

    And(Box<[Node]>),
    Or(Box<[Node]>),
    Not(Box<Node>),
    FieldIs(Slot, Box<[u8]>),
    FieldIn(Slot, TextSet),
    LabelIs(Box<str>, Box<[u8]>),
    Is(Box<Node>, Box<[u8]>),
    InTexts(Box<Node>, TextSet),
    IsNil(Box<Node>),
    Equal(Box<[Node; 2]>),
    Order(Binary, Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    Contains(Box<Node>, Box<Finder<'static>>),
    StartsWith(Box<Node>, Box<[u8]>),
    EndsWith(Box<Node>, Box<[u8]>),
    /// `contains`, `startsWith`, `endsWith` something that is computed.
    TextTest(Binary, Box<[Node; 2]>),
    /// `any` text of a constant list passes the test.
    AnyText(Box<Node>, Box<AnyText>),
    Matches(Box<Node>, Box<Regex>),
    MatchesComputed(Box<[Node; 2]>, PatternCache),
    MatchesFile(Box<Node>, Arc<Patterns>),

    Arithmetic(Binary, Box<[Node; 2]>),
    Negative(Box<Node>),
    Plus(Box<Node>),
    Range(Box<[Node; 2]>),
    Coalesce(Box<[Node; 2]>),
    Conditional(Box<[Node; 3]>),
    Let(usize, Box<[Node; 2]>),
    Sequence(Box<[Node]>),
    Get(Box<Node>, Box<str>, Access),
    Index(Box<[Node; 2]>, Access),
    Slice(Box<Node>, Option<Box<Node>>, Option<Box<Node>>),
    Chain(Box<Node>),
    Call(&'static Function, Box<[Node]>),
    Method(Box<Node>, Box<str>, Box<[Node]>, Access),
    Loop(Box<Loop>),
    List(Box<[Node]>),
    Map(Box<[(Node, Node)]>),
    Tag(Box<Node>, Arc<Lookup>),
    Rows(Arc<Lookup>),

    /// `evt.SetMeta(key, value)` and its like.
    SetField(Namespace, Box<[Node; 2]>),
    /// `UnmarshalJSON(text, evt.Unmarshaled, key)` and its like.
    Unfold(Unfold, Box<[Node; 2]>),
}

/// How a text becomes a part of `evt.Unmarshaled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfold {
    Json,
    KeyValue,
    KeyValueLax,
}

impl Unfold {
    pub(super) fn named(name: &str) -> Option<Unfold> {
        match name {
            "UnmarshalJSON" => Some(Unfold::Json),
            "ParseKV" => Some(Unfold::KeyValue),
            "ParseKVLax" => Some(Unfold::KeyValueLax),
            _ => None,
        }
    }
}

/// A function with a closure, and the locals that the closure reads.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) looping: Looping,
    pub(super) list: Node,
    pub(super) closure: Option<Node>,
    pub(super) third: Option<Node>,
    pub(super) element: usize,
    pub(super) position: usize,
    pub(super) accumulator: usize,
}

/// A test of one text against many at once.
#[derive(Debug)]
pub(super) enum AnyText {
    Contains(AhoCorasick),
    Is(TextSet),
    StartsWith(TextSet),
    EndsWith(TextSet),
}

impl AnyText {
    pub(super) fn passes(&self, text: &[u8]) -> bool {
        match self {
            AnyText::Contains(automaton) => automaton.is_match(text),
            AnyText::Is(set) => set.contains(text),
            AnyText::StartsWith(set) => set.has_prefix_of(text),
            AnyText::EndsWith(set) => set.has_suffix_of(text),
        }
    }
}

/// The last patterns that an expression put together.
#[derive(Debug, Default)]
pub(super) struct PatternCache(Mutex<Vec<(Box<str>, Regex)>>);

impl PatternCache {
    const PATTERNS_MAX: usize = 16;

    /// The compiled pattern, from the cache if nobody else is just using it.
    pub(super) fn get(
        &self,
        pattern: &str,
        compile: impl FnOnce() -> Option<Regex>,
    ) -> Option<Regex> {
        let Ok(mut cached) = self.0.try_lock() else {
            return compile();
        };
        if let Some(place) = cached.iter().position(|(known, _)| **known == *pattern) {
            return Some(cached[place].1.clone());
        }
        let regex = compile()?;
        if cached.len() >= Self::PATTERNS_MAX {
            cached.remove(0);
        }
        cached.push((pattern.into(), regex.clone()));
        Some(regex)
    }
}

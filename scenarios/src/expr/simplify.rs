//! Nodes that mean the same and cost less: constants are computed, common tests get nodes of their own.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a rewrite names the nodes it is for; all others stay as they are"
)]

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use lymph_protocol::Timestamp;

use super::ast::{Binary, Looping};
use super::env::Env;
use super::eval::Frame;
use super::functions::Function;
use super::node::{AnyText, Loop, Node};
use super::text_set::TextSet;
use super::value::Value;
use crate::event::Slot;

/// Compute the node now, if everything in it is constant and it has a value.
pub(super) fn fold(node: Node) -> Node {
    let foldable = match &node {
        Node::Negative(of) | Node::Plus(of) => is_constant(of),
        Node::Arithmetic(_, operands) | Node::Order(_, operands) => {
            operands.iter().all(is_constant)
        }
        Node::Call(function, arguments) => function.pure && arguments.iter().all(is_constant),
        _ => false,
    };
    if !foldable {
        return node;
    }
    match compute(&node) {
        Some(constant) => constant,
        None => node,
    }
}

fn is_constant(node: &Node) -> bool {
    matches!(node, Node::Const(_) | Node::Text(_) | Node::Texts(_))
}

/// The node's value as a node, if it can be computed without an event and is small.
fn compute(node: &Node) -> Option<Node> {
    const TEXT_BYTES_MAX: usize = 4096;
    let env = Env::nowhere(Timestamp::EPOCH);
    let value = Frame::new(&env, 0).value(node).ok()?;
    if let Some(text) = value.as_bytes() {
        return (text.len() <= TEXT_BYTES_MAX).then(|| Node::Text(text.into()));
    }
    let constant = match value {
        Value::Nil => Value::Nil,
        Value::Bool(value) => Value::Bool(value),
        Value::Int(value) => Value::Int(value),
        Value::Float(value) => Value::Float(value),
        Value::Duration(value) => Value::Duration(value),
        _ => return None,
    };
    Some(Node::Const(constant))
}

pub(super) fn not(node: Node) -> Node {
    match node {
        Node::Const(Value::Bool(value)) => Node::Const(Value::Bool(!value)),
        other => Node::Not(Box::new(other)),
    }
}

/// Several tests of one field are one.
pub(super) fn or(terms: Box<[Node]>) -> Node {
    let mut slots = terms.iter().map(tested_field);
    let Some(Some(slot)) = slots.next() else {
        return Node::Or(terms);
    };
    if slots.any(|other| other != Some(slot)) {
        return Node::Or(terms);
    }
    let texts = terms.into_iter().flat_map(|term| match term {
        Node::FieldIs(_, text) => vec![text],
        Node::FieldIn(_, set) => set.texts().to_vec(),
        _ => Vec::new(),
    });
    Node::FieldIn(slot, TextSet::new(texts))
}

fn tested_field(node: &Node) -> Option<Slot> {
    match node {
        Node::FieldIs(slot, _) | Node::FieldIn(slot, _) => Some(*slot),
        _ => None,
    }
}

pub(super) fn equal(left: Node, right: Node) -> Node {
    match (left, right) {
        (Node::Field(slot), Node::Text(text)) | (Node::Text(text), Node::Field(slot)) => {
            Node::FieldIs(slot, text)
        }
        (Node::Label(name), Node::Text(text)) | (Node::Text(text), Node::Label(name)) => {
            Node::LabelIs(name, text)
        }
        (of, Node::Text(text)) | (Node::Text(text), of) => Node::Is(Box::new(of), text),
        (of, Node::Const(Value::Nil)) | (Node::Const(Value::Nil), of) => Node::IsNil(Box::new(of)),
        (left, right) => Node::Equal(Box::new([left, right])),
    }
}

pub(super) fn contained(needle: Node, haystack: Node) -> Node {
    match (needle, haystack) {
        (Node::Field(slot), Node::Texts(texts)) => Node::FieldIn(slot, set_of(&texts)),
        (needle, Node::Texts(texts)) => Node::InTexts(Box::new(needle), set_of(&texts)),
        (needle, haystack) => Node::In(Box::new([needle, haystack])),
    }
}

fn set_of(texts: &[Box<[u8]>]) -> TextSet {
    TextSet::new(texts.iter().cloned())
}

/// A list of constants is made once.
pub(super) fn list(elements: Box<[Node]>) -> Node {
    if elements
        .iter()
        .all(|element| matches!(element, Node::Text(_)))
    {
        let texts = elements.into_iter().filter_map(|element| {
            if let Node::Text(text) = element {
                Some(text)
            } else {
                None
            }
        });
        return Node::Texts(texts.collect());
    }
    let constants = elements.iter().map(|element| match element {
        Node::Const(value) => Some(value.clone()),
        Node::Text(text) => Some(Value::text(&**text)),
        _ => None,
    });
    match constants.collect::<Option<Vec<_>>>() {
        Some(constants) => Node::Const(Value::list(constants)),
        None => Node::List(elements),
    }
}

/// `any(LIST, { TEXT contains # })` over a constant list is one search for all of them.
pub(super) fn any_text(all: Loop) -> Node {
    match try_any_text(&all) {
        Some(test) => {
            let closure = all.closure.map(tested);
            match closure.flatten() {
                Some(of) => Node::AnyText(Box::new(of), Box::new(test)),
                // Cannot be: there was one when the test was made.
                None => Node::Const(Value::Bool(false)),
            }
        }
        None => Node::Loop(Box::new(all)),
    }
}

fn try_any_text(all: &Loop) -> Option<AnyText> {
    let (Looping::Any, Node::Texts(texts), Some(closure)) = (all.looping, &all.list, &all.closure)
    else {
        return None;
    };
    let (operator, [of, needle]) = match closure {
        Node::TextTest(operator, operands) => (*operator, &**operands),
        Node::Equal(operands) => (Binary::Equal, &**operands),
        _ => return None,
    };
    let is_element = |node: &Node| matches!(node, Node::Local(local) if *local == all.element);
    let change: Option<&Function> = match needle {
        needle if is_element(needle) => None,
        Node::Call(function, arguments)
            if function.pure && arguments.len() == 1 && is_element(&arguments[0]) =>
        {
            Some(function)
        }
        _ => return None,
    };
    if texts.is_empty() || uses_locals(of) {
        return None;
    }
    let needles = changed(texts, change)?;
    Some(match operator {
        Binary::Contains => AnyText::Contains(AhoCorasick::new(&needles).ok()?),
        Binary::Equal => AnyText::Is(TextSet::new(needles)),
        Binary::StartsWith => AnyText::StartsWith(TextSet::new(needles)),
        Binary::EndsWith => AnyText::EndsWith(TextSet::new(needles)),
        _ => return None,
    })
}

/// The left side of the closure that [`try_any_text`] has looked at.
fn tested(closure: Node) -> Option<Node> {
    let (Node::TextTest(_, operands) | Node::Equal(operands)) = closure else {
        return None;
    };
    let [of, _] = *operands;
    Some(of)
}

fn changed(texts: &Arc<[Box<[u8]>]>, change: Option<&Function>) -> Option<Vec<Box<[u8]>>> {
    let Some(function) = change else {
        return Some(texts.to_vec());
    };
    let env = Env::nowhere(Timestamp::EPOCH);
    let one = |text: &[u8]| {
        let value = (function.run)(&mut Frame::new(&env, 0), &[Value::Str(text)]).ok()?;
        value.as_bytes().map(Box::from)
    };
    texts.iter().map(|text| one(text)).collect()
}

/// Whether a node that is a candidate for [`any_text`] may hang on a local variable. Only what surely does not
/// is told apart.
fn uses_locals(node: &Node) -> bool {
    match node {
        Node::Field(_)
        | Node::PendingField(..)
        | Node::LineMember(_)
        | Node::Label(_)
        | Node::Member(_)
        | Node::Unmarshaled(_)
        | Node::Text(_)
        | Node::Const(_) => false,
        Node::Call(_, arguments) => arguments.iter().any(uses_locals),
        _ => true,
    }
}

//! Tests of fields, without a frame: what nearly every filter begins with, and many are nothing else.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "it names the plain tests; all other nodes are left open"
)]

use super::node::Node;
use super::value::Value;
use crate::event::Event;

/// What plain tests tell of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    Known(bool),
    /// It takes a frame to tell.
    Open,
}

/// Whether the node is true, as far as its leading tests of fields tell. They can neither fail nor change
/// anything, so that nothing is lost when the node is evaluated anew.
#[inline]
pub(super) fn truth(node: &Node, event: &Event) -> Truth {
    match node {
        Node::FieldIs(slot, text) => Truth::Known(*event.field(*slot) == **text),
        Node::FieldIn(slot, set) => Truth::Known(set.contains(event.field(*slot))),
        Node::And(terms) => all(terms, event),
        Node::Or(terms) => any(terms, event),
        Node::Not(of) => not(of, event),
        Node::LabelIs(name, text) => Truth::Known(event.source.label(name).as_bytes() == &**text),
        Node::Const(Value::Bool(value)) => Truth::Known(*value),
        _ => Truth::Open,
    }
}

fn all(terms: &[Node], event: &Event) -> Truth {
    for term in terms {
        match truth(term, event) {
            Truth::Known(true) => {}
            decided => return decided,
        }
    }
    Truth::Known(true)
}

fn any(terms: &[Node], event: &Event) -> Truth {
    for term in terms {
        match truth(term, event) {
            Truth::Known(false) => {}
            decided => return decided,
        }
    }
    Truth::Known(false)
}

fn not(of: &Node, event: &Event) -> Truth {
    match truth(of, event) {
        Truth::Known(value) => Truth::Known(!value),
        Truth::Open => Truth::Open,
    }
}

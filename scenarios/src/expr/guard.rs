//! What must be so for an expression to be true, as far as it can be told without evaluating it.

use super::node::Node;
use crate::event::Slot;

/// A necessary condition: if the field holds none of the values, the expression is false or fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The field.
    pub field: GuardField,
    /// What it may hold, each once.
    pub values: Vec<Box<[u8]>>,
}

/// A field that a guard is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuardField {
    /// Of `evt.Parsed`, `evt.Meta` or `evt.Enriched`.
    Field(Slot),
    /// Of `evt.Line.Labels`.
    Label(Box<str>),
}

/// The guards of an expression, in the order in which it tests them.
pub(super) fn guards(node: &Node) -> Vec<Guard> {
    match terms(node) {
        Some(terms) => terms.iter().filter_map(guard).collect(),
        None => guard(node).into_iter().collect(),
    }
}

fn terms(node: &Node) -> Option<&[Node]> {
    if let Node::And(terms) = node {
        Some(terms)
    } else {
        None
    }
}

fn guard(node: &Node) -> Option<Guard> {
    if let Node::FieldIs(slot, text) = node {
        return Some(Guard {
            field: GuardField::Field(*slot),
            values: vec![text.clone()],
        });
    }
    if let Node::FieldIn(slot, set) = node {
        return Some(Guard {
            field: GuardField::Field(*slot),
            values: set.texts().to_vec(),
        });
    }
    if let Node::LabelIs(name, text) = node {
        return Some(Guard {
            field: GuardField::Label(name.clone()),
            values: vec![text.clone()],
        });
    }
    if let Node::InTexts(of, set) = node
        && let Node::Label(name) = &**of
    {
        return Some(Guard {
            field: GuardField::Label(name.clone()),
            values: set.texts().to_vec(),
        });
    }
    None
}

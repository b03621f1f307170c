//! What an expression changes about its event: `evt.SetMeta`, `UnmarshalJSON`, `ParseKV` and the like.
//!
//! An expression borrows the event, so its changes are kept until it is done and made then by whoever asked.
//! Within the expression they are seen at once.

use std::cell::RefCell;

use super::value::Value;
use crate::event::{Data, Event, Namespace};

/// Changes to be made to an event.
#[derive(Debug, Default)]
pub struct Effects(RefCell<Vec<Effect>>);

/// One change.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    Field(Namespace, Box<str>, Box<[u8]>),
    Data(Box<str>, Data),
}

impl Effects {
    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Make the changes.
    pub fn apply(&self, event: &mut Event) {
        for effect in self.0.borrow_mut().drain(..) {
            match effect {
                Effect::Field(namespace, name, text) => event.set_by_name(namespace, &name, &text),
                Effect::Data(name, data) => event.set_data(&name, data),
            }
        }
    }

    pub(super) fn extend(&self, effects: Vec<Effect>) {
        self.0.borrow_mut().extend(effects);
    }
}

/// The last change to a field.
pub(super) fn pending_field<'a>(
    pending: &[Effect],
    namespace: Namespace,
    name: &str,
) -> Option<Value<'a>> {
    pending.iter().rev().find_map(|effect| match effect {
        Effect::Field(of, key, text) if *of == namespace && **key == *name => {
            Some(Value::text(&**text))
        }
        Effect::Field(..) | Effect::Data(..) => None,
    })
}

/// The last change to a part of `evt.Unmarshaled`.
pub(super) fn pending_data<'p>(pending: &'p [Effect], name: &str) -> Option<&'p Data> {
    pending.iter().rev().find_map(|effect| match effect {
        Effect::Data(key, data) if **key == *name => Some(data),
        Effect::Field(..) | Effect::Data(..) => None,
    })
}

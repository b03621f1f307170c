//! Which nodes or scenarios an event can concern at all.
//!
//! Most filters begin with an equality on one field (`evt.Parsed.program == 'sshd'`). When rules are loaded each
//! is filed under the values it asks for, so that for an event one look-up per field finds the few whose filter
//! may hold, and the others are never evaluated. A guard is a necessary condition: what is left out could not
//! have held.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::event::Event;
use crate::expr::{Guard, GuardField};

/// An index over things that are numbered from 0 in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Those without a guard: always candidates.
    always: Vec<u32>,
    fields: Vec<FieldIndex>,
}

#[derive(Clone, Debug)]
struct FieldIndex {
    field: GuardField,
    by_value: HashMap<Box<[u8]>, Vec<u32>, FixedState>,
}

impl Index {
    /// File each thing under one of its guards: the field that most things are guarded by.
    pub(crate) fn over<'a>(guards: impl Iterator<Item = &'a [Guard]>) -> Index {
        let guards: Vec<&[Guard]> = guards.collect();
        let mut uses: Vec<(GuardField, usize)> = Vec::new();
        for guard in guards.iter().flat_map(|guards| guards.iter()) {
            match uses.iter_mut().find(|(field, _)| *field == guard.field) {
                Some((_, count)) => *count += 1,
                None => uses.push((guard.field.clone(), 1)),
            }
        }
        let popularity = |guard: &Guard| {
            uses.iter()
                .find(|(field, _)| *field == guard.field)
                .map_or(0, |(_, n)| *n)
        };
        let mut index = Index::default();
        for (number, guards) in guards.iter().enumerate() {
            // The first of the most popular, so that the result hangs on nothing but the rules.
            let best = guards.iter().reduce(|best, guard| {
                if popularity(guard) > popularity(best) {
                    guard
                } else {
                    best
                }
            });
            match best {
                Some(guard) => index.file(guard, number as u32),
                None => index.always.push(number as u32),
            }
        }
        index
    }

    fn file(&mut self, guard: &Guard, number: u32) {
        let place = self
            .fields
            .iter()
            .position(|known| known.field == guard.field)
            .unwrap_or_else(|| {
                self.fields.push(FieldIndex {
                    field: guard.field.clone(),
                    by_value: HashMap::with_hasher(FixedState::with_seed(0)),
                });
                self.fields.len() - 1
            });
        for value in &guard.values {
            self.fields[place]
                .by_value
                .entry(value.clone())
                .or_default()
                .push(number);
        }
    }

    /// The candidates for an event, in order.
    pub(crate) fn candidates(&self, event: &Event, found: &mut Vec<u32>) {
        found.clear();
        found.extend_from_slice(&self.always);
        for field in &self.fields {
            if let Some(numbers) = field.by_value.get(read(&field.field, event)) {
                found.extend_from_slice(numbers);
            }
        }
        found.sort_unstable();
        found.dedup();
    }
}

fn read<'a>(field: &GuardField, event: &'a Event) -> &'a [u8] {
    match field {
        GuardField::Field(slot) => event.field(*slot),
        GuardField::Label(name) => event.source.label(name).as_bytes(),
    }
}

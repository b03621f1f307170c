//! Stashes: small caches in which a node puts a value that a later line asks for (`GetFromStash`).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lymph_protocol::Timestamp;

use crate::data::DataFiles;
use crate::date::GoDuration;
use crate::document::{LoadError, Spanned, StashDocument, Text, line_of};
use crate::event::{Event, Keys};
use crate::expr::{Env, Expr, Globals, StashRead};
use crate::scenario::compile_expression;

/// Entries that one stash may have at most, whatever a rule asks for.
pub(crate) const STASH_ENTRIES_MAX: usize = 10_000;
/// Different stashes.
pub(crate) const STASHES_MAX: usize = 256;

/// What a node puts into a stash.
#[derive(Clone, Debug)]
pub(crate) struct StashRule {
    name: String,
    key: Expr,
    value: Expr,
    ttl: Duration,
    entries_max: usize,
}

impl StashRule {
    pub(crate) fn compile(
        file: &str,
        document: &Spanned<StashDocument>,
        keys: &mut Keys,
        data: &DataFiles,
    ) -> Result<StashRule, LoadError> {
        let line = line_of(document);
        let document = &document.value;
        fn required<'a, T>(
            part: &'a Option<T>,
            file: &str,
            line: u64,
            key: &str,
        ) -> Result<&'a T, LoadError> {
            part.as_ref()
                .ok_or_else(|| LoadError::new(file, line, key, "every stash needs one"))
        }
        let ttl: &Text = required(&document.ttl, file, line, "stash.ttl")?;
        let key = required(&document.key, file, line, "stash.key")?;
        let value = required(&document.value, file, line, "stash.value")?;
        Ok(StashRule {
            name: required(&document.name, file, line, "stash.name")?.clone(),
            key: compile_expression(file, key, "stash.key", Globals::Parser, keys, data)?,
            value: compile_expression(file, value, "stash.value", Globals::Parser, keys, data)?,
            ttl: GoDuration::parse(&ttl.value)
                .map_err(|error| LoadError::new(file, line_of(ttl), "stash.ttl", error))?
                .duration()
                .ok_or_else(|| {
                    LoadError::new(file, line_of(ttl), "stash.ttl", "is less than nothing")
                })?,
            entries_max: document.size.unwrap_or(100).clamp(1, STASH_ENTRIES_MAX),
        })
    }

    pub(crate) fn apply(&self, event: &Event, now: Timestamp, stash: &Stash) {
        let read = StashAt { stash, now };
        let env = Env::of(event, now).with_stash(&read);
        let text = |expression: &Expr| {
            expression
                .eval(&env)
                .ok()
                .and_then(|value| value.as_bytes().map(<[u8]>::to_vec))
        };
        if let (Some(key), Some(value)) = (text(&self.key), text(&self.value)) {
            stash.put(self, key, value, now);
        }
    }
}

#[derive(Debug, Default)]
struct Cache {
    entries: HashMap<Vec<u8>, (Vec<u8>, Timestamp)>,
    /// Keys, least recently put first.
    order: VecDeque<Vec<u8>>,
}

/// All stashes of a detector. Shared by the threads that parse for it.
#[derive(Debug, Default)]
pub struct Stash {
    caches: Mutex<BTreeMap<String, Cache>>,
}

impl Stash {
    fn put(&self, rule: &StashRule, key: Vec<u8>, value: Vec<u8>, now: Timestamp) {
        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        if caches.len() >= STASHES_MAX && !caches.contains_key(&rule.name) {
            return;
        }
        let cache = caches.entry(rule.name.clone()).or_default();
        if cache
            .entries
            .insert(key.clone(), (value, now + rule.ttl))
            .is_some()
        {
            cache.order.retain(|old| *old != key);
        }
        cache.order.push_back(key);
        while cache.order.len() > rule.entries_max {
            if let Some(oldest) = cache.order.pop_front() {
                cache.entries.remove(&oldest);
            }
        }
    }
}

/// What a rule reads back; it was put with a time until which it holds, which the reader's clock decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StashAt<'a> {
    pub(crate) stash: &'a Stash,
    pub(crate) now: Timestamp,
}

impl StashRead for StashAt<'_> {
    fn get(&self, stash: &str, key: &[u8]) -> Option<Arc<[u8]>> {
        let caches = self
            .stash
            .caches
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (value, until) = caches.get(stash)?.entries.get(key)?;
        (*until > self.now).then(|| Arc::from(value.as_slice()))
    }
}

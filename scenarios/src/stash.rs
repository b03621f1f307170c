//! Stashes: small caches in which a node puts a value that a later line asks for (`GetFromStash`).

use std::collections::{BTreeMap, HashMap, VecDeque, hash_map};
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
/// Bytes that all stashes may take, about. When that is spent, the one that takes most lets go of its oldest.
pub(crate) const STASH_BYTES_MAX: usize = 8 << 20;
/// What an entry costs beside its texts, about: its places in the table and in the order.
const ENTRY_BYTES: usize = 128;
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
            stash.put(self, &key, &value, now);
        }
    }
}

#[derive(Debug, Default)]
struct Cache {
    entries: HashMap<Arc<[u8]>, Entry>,
    /// Keys, least recently put first; one whose number is not its entry's is stale.
    order: VecDeque<(u64, Arc<[u8]>)>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    value: Arc<[u8]>,
    until: Timestamp,
    number: u64,
}

/// All stashes of a detector. Shared by the threads that parse for it.
#[derive(Debug, Default)]
pub struct Stash {
    caches: Mutex<Caches>,
}

#[derive(Debug, Default)]
struct Caches {
    by_name: BTreeMap<String, Cache>,
    bytes: usize,
    /// How often something was put.
    puts: u64,
}

impl Cache {
    fn put(&mut self, key: &[u8], entry: Entry) {
        let key: Arc<[u8]> = key.into();
        self.order.push_back((entry.number, Arc::clone(&key)));
        self.bytes += entry_bytes(&key, &entry);
        if let Some(old) = self.entries.insert(Arc::clone(&key), entry) {
            self.bytes -= entry_bytes(&key, &old);
        }
        // Once in as many puts as there are entries.
        if self.order.len() > 2 * self.entries.len() + 16 {
            let entries = &self.entries;
            self.order.retain(|(number, key)| {
                entries
                    .get(key)
                    .is_some_and(|entry| entry.number == *number)
            });
        }
    }

    /// Let go of what was put longest ago.
    fn drop_oldest(&mut self) {
        while let Some((number, key)) = self.order.pop_front() {
            if let hash_map::Entry::Occupied(entry) = self.entries.entry(key)
                && entry.get().number == number
            {
                let (key, entry) = entry.remove_entry();
                self.bytes -= entry_bytes(&key, &entry);
                return;
            }
        }
    }
}

/// What an entry costs, about.
fn entry_bytes(key: &[u8], entry: &Entry) -> usize {
    ENTRY_BYTES + key.len() + entry.value.len()
}

impl Stash {
    fn put(&self, rule: &StashRule, key: &[u8], value: &[u8], now: Timestamp) {
        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        let caches = &mut *caches;
        if caches.by_name.len() >= STASHES_MAX && !caches.by_name.contains_key(&rule.name) {
            return;
        }
        caches.puts += 1;
        let cache = caches.by_name.entry(rule.name.clone()).or_default();
        caches.bytes -= cache.bytes;
        let entry = Entry {
            value: value.into(),
            until: now + rule.ttl,
            number: caches.puts,
        };
        cache.put(key, entry);
        while cache.entries.len() > rule.entries_max {
            cache.drop_oldest();
        }
        caches.bytes += cache.bytes;
        while caches.bytes > STASH_BYTES_MAX
            && let Some(largest) = caches.by_name.values_mut().max_by_key(|cache| cache.bytes)
        {
            caches.bytes -= largest.bytes;
            largest.drop_oldest();
            caches.bytes += largest.bytes;
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
        let entry = caches.by_name.get(stash)?.entries.get(key)?;
        (entry.until > self.now).then(|| Arc::clone(&entry.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr;

    fn rule(name: &str, entries_max: usize) -> StashRule {
        let (mut keys, data) = (Keys::default(), DataFiles::default());
        let mut nothing = || expr::compile("''", Globals::Parser, &mut keys, &data).unwrap();
        StashRule {
            name: name.to_owned(),
            key: nothing(),
            value: nothing(),
            ttl: Duration::from_secs(60),
            entries_max,
        }
    }

    fn read(stash: &Stash, name: &str, key: &str, now: Timestamp) -> Option<String> {
        let value = StashAt { stash, now }.get(name, key.as_bytes())?;
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    #[test]
    fn the_latest_put_are_kept_until_their_time_is_over() {
        let (stash, rule, now) = (Stash::default(), rule("s", 2), Timestamp::from_secs(100));
        for (key, value) in [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")] {
            stash.put(&rule, key.as_bytes(), value.as_bytes(), now);
        }
        let all = |now| ["a", "b", "c"].map(|key| read(&stash, "s", key, now));
        assert_eq!(all(now), [Some("3".into()), None, Some("4".into())]);
        assert_eq!(all(now + Duration::from_secs(60)), [None, None, None]);
    }

    #[test]
    fn the_order_does_not_grow_when_one_key_is_put_again_and_again() {
        let (stash, rule) = (Stash::default(), rule("s", 10));
        for _ in 0..10_000 {
            stash.put(&rule, b"key", b"value", Timestamp::EPOCH);
        }
        assert!(stash.caches.lock().unwrap().by_name["s"].order.len() < 100);
    }

    #[test]
    fn stashes_keep_to_their_bytes_and_the_largest_pays() {
        let (stash, large, small) = (Stash::default(), rule("large", 10_000), rule("small", 10));
        stash.put(&small, b"key", b"value", Timestamp::EPOCH);
        for number in 0..1000u32 {
            stash.put(
                &large,
                &number.to_le_bytes(),
                &[0; 60_000],
                Timestamp::EPOCH,
            );
            let caches = stash.caches.lock().unwrap();
            let sum: usize = caches.by_name.values().map(|cache| cache.bytes).sum();
            assert!(caches.bytes <= STASH_BYTES_MAX && caches.bytes == sum);
        }
        assert!(read(&stash, "small", "key", Timestamp::EPOCH).is_some());
        assert!(
            StashAt {
                stash: &stash,
                now: Timestamp::EPOCH
            }
            .get("large", &999u32.to_le_bytes())
            .is_some()
        );
    }
}

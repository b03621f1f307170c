//! A detector's memory, to be saved and put back: buckets, silences, open attempts.
//!
//! What a scenario's buckets hold means something only to the same scenario, so they are kept under its name
//! and fingerprint; those of a scenario that was changed meanwhile are left out. Buckets that hold detections
//! poured again (`reprocess`) are not saved: the detections themselves are.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use lymph_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use crate::attempt::{Attempts, AttemptsRecord};
use crate::bucket::{Bucket, Buckets, Key};
use crate::event::{Keys, Namespace, Slot};
use crate::kept::{Kept, KeptRecord};
use crate::rules::Rules;

/// A detector's memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetectorSnapshot {
    pub(crate) seed: u64,
    pub(crate) clock: Timestamp,
    /// Names of `Meta` keys; events number them by their place here.
    meta_keys: Vec<String>,
    scenarios: Vec<ScenarioRecord>,
    pub(crate) attempts: AttemptsRecord,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ScenarioRecord {
    name: String,
    fingerprint: u64,
    buckets: Vec<BucketRecord>,
    blackhole: Vec<((u64, u64), Timestamp)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct BucketRecord {
    key: (u64, u64),
    first_seen: Timestamp,
    last_seen: Timestamp,
    first_line: u64,
    touched_at: Timestamp,
    total: u32,
    tokens: u64,
    guillotines: u64,
    queue: Vec<KeptRecord>,
    scoped: Vec<String>,
    distinct: Vec<u64>,
}

pub(crate) fn take(
    rules: &Rules,
    seed: u64,
    clock: Timestamp,
    buckets: &Buckets,
    attempts: &Attempts,
) -> DetectorSnapshot {
    let mut meta_keys = MetaKeys::default();
    let mut scenarios: Vec<ScenarioRecord> = rules
        .scenarios
        .iter()
        .zip(&buckets.blackholes)
        .map(|(scenario, blackhole)| ScenarioRecord {
            name: scenario.name.to_string(),
            fingerprint: scenario.fingerprint,
            buckets: Vec::new(),
            blackhole: blackhole
                .iter()
                .map(|(Key(a, b), until)| ((a, b), until))
                .collect(),
        })
        .collect();
    for bucket in buckets
        .iter()
        .filter(|bucket| bucket.queue.iter().all(|kept| kept.overflow.is_none()))
    {
        let record = record(bucket, &rules.keys, &mut meta_keys);
        scenarios[bucket.scenario as usize].buckets.push(record);
    }
    scenarios.retain(|scenario| !scenario.buckets.is_empty() || !scenario.blackhole.is_empty());
    DetectorSnapshot {
        seed,
        clock,
        meta_keys: meta_keys.names,
        scenarios,
        attempts: attempts.record(),
    }
}

#[derive(Default)]
struct MetaKeys {
    names: Vec<String>,
    numbers: HashMap<u16, u16>,
}

impl MetaKeys {
    fn number(&mut self, slot: u16, keys: &Keys) -> u16 {
        *self.numbers.entry(slot).or_insert_with(|| {
            self.names
                .push(keys.name(Slot::from_number(slot)).1.to_owned());
            (self.names.len() - 1) as u16
        })
    }
}

fn record(bucket: &Bucket, keys: &Keys, meta_keys: &mut MetaKeys) -> BucketRecord {
    let queue = bucket.queue.iter().map(|kept| {
        let mut record = kept.record();
        record.renumber(|slot| meta_keys.number(slot, keys));
        record
    });
    let queue = queue.collect();
    let mut distinct: Vec<u64> = bucket.distinct.clone().into_iter().collect();
    distinct.sort_unstable();
    BucketRecord {
        key: (bucket.key.0, bucket.key.1),
        first_seen: bucket.first_seen,
        last_seen: bucket.last_seen,
        first_line: bucket.first_line,
        touched_at: bucket.touched_at,
        total: bucket.total,
        tokens: bucket.tokens,
        guillotines: bucket.guillotines,
        queue,
        scoped: bucket.scoped.iter().map(ToString::to_string).collect(),
        distinct,
    }
}

pub(crate) fn put_back(
    snapshot: DetectorSnapshot,
    rules: &Rules,
    buckets: &mut Buckets,
    attempts: &mut Attempts,
) {
    let slots: Vec<Option<Slot>> = snapshot
        .meta_keys
        .iter()
        .map(|name| rules.keys.find(Namespace::Meta, name))
        .collect();
    let slot_of = |number: u16| slots.get(usize::from(number)).copied().flatten();
    for saved in snapshot.scenarios {
        let same = |scenario: &crate::scenario::Scenario| {
            *scenario.name == *saved.name && scenario.fingerprint == saved.fingerprint
        };
        let Some(index) = rules.scenarios.iter().position(|scenario| same(scenario)) else {
            continue;
        };
        for ((a, b), until) in saved.blackhole {
            buckets.blackholes[index].insert(Key(a, b), until);
        }
        for record in saved.buckets {
            let mut bucket = Bucket::restored(
                Key(record.key.0, record.key.1),
                index as u32,
                record.first_seen,
                record.last_seen,
                record.first_line,
                record.touched_at,
                record.total,
                record.tokens,
                record.guillotines,
            );
            let queue = record
                .queue
                .into_iter()
                .map(|kept| Arc::new(Kept::restore(kept, &slot_of)));
            bucket.queue = queue.collect::<VecDeque<_>>();
            bucket.scoped = record
                .scoped
                .into_iter()
                .map(String::into_boxed_str)
                .collect();
            bucket.distinct.extend(record.distinct);
            buckets.insert(&rules.scenarios[index], bucket);
        }
    }
    attempts.restore(snapshot.attempts);
}

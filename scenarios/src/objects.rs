//! What the expressions of a scenario see of its bucket: `queue`, `leaky`, `signal`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::bucket::Bucket;
use crate::date::LogTime;
use crate::event::{Keys, Namespace};
use crate::expr::{Object, Value};
use crate::kept::Kept;
use crate::scenario::Scenario;

static NOTHING: BTreeMap<String, String> = BTreeMap::new();

/// `queue`, and `queue.Queue`: the events that the bucket keeps.
#[derive(Debug)]
pub(crate) struct QueueView<'a>(Vec<KeptView<'a>>);

impl<'a> QueueView<'a> {
    pub(crate) fn of(queue: &'a VecDeque<Arc<Kept>>, keys: &'a Keys) -> Self {
        QueueView(
            queue
                .iter()
                .map(|kept| KeptView {
                    kept,
                    meta: MetaView { kept, keys },
                })
                .collect(),
        )
    }
}

impl Object for QueueView<'_> {
    fn member<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        match name {
            "Queue" => Some(Value::Object(self)),
            "L" => Some(Value::Int(self.0.len() as i64)),
            _ => None,
        }
    }

    fn call<'a>(&'a self, method: &str, _: &[Value<'_>]) -> Option<Value<'a>> {
        (method == "GetQueue").then_some(Value::Object(self))
    }

    fn len(&self) -> Option<usize> {
        Some(self.0.len())
    }

    fn element(&self, index: usize) -> Option<Value<'_>> {
        self.0.get(index).map(|kept| Value::Object(kept))
    }
}

/// An event of the queue: its `Meta` and its time are kept, its other fields read as empty.
#[derive(Debug)]
struct KeptView<'a> {
    kept: &'a Kept,
    meta: MetaView<'a>,
}

impl Object for KeptView<'_> {
    fn member<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        Some(match name {
            "Meta" => Value::Object(&self.meta),
            "Time" => Value::Time(LogTime::from(self.kept.at)),
            "MarshaledTime" => self
                .kept
                .log_time
                .map_or(Value::from(""), |time| Value::text(time.to_string())),
            "Parsed" | "Enriched" => Value::Labels(&NOTHING),
            "Type" => Value::Int(i64::from(self.kept.overflow.is_some())),
            "Overflow" => match &self.kept.overflow {
                Some(overflow) => Value::Object(&**overflow),
                None => Value::Nil,
            },
            "StrTime" | "StrTimeFormat" | "WhitelistReason" | "Stage" => Value::from(""),
            "Whitelisted" => Value::Bool(false),
            _ => return None,
        })
    }

    fn call<'a>(&'a self, method: &str, arguments: &[Value<'_>]) -> Option<Value<'a>> {
        match (method, arguments) {
            ("GetMeta", [key]) => self.meta.member(std::str::from_utf8(key.as_bytes()?).ok()?),
            ("GetType", _) => Some(Value::from(if self.kept.overflow.is_some() {
                "overflow"
            } else {
                "log"
            })),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct MetaView<'a> {
    kept: &'a Kept,
    keys: &'a Keys,
}

impl Object for MetaView<'_> {
    fn member<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        let slot = self.keys.find(Namespace::Meta, name);
        Some(Value::Str(
            slot.and_then(|slot| self.kept.meta_value(slot))
                .unwrap_or_default(),
        ))
    }

    fn len(&self) -> Option<usize> {
        Some(self.kept.meta().count())
    }
}

/// `leaky`: the bucket itself.
#[derive(Debug)]
pub(crate) struct LeakyView<'a> {
    bucket: &'a Bucket,
    scenario: &'a Scenario,
}

impl<'a> LeakyView<'a> {
    pub(crate) fn of(bucket: &'a Bucket, scenario: &'a Scenario) -> Self {
        LeakyView { bucket, scenario }
    }
}

impl Object for LeakyView<'_> {
    fn member<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        Some(match name {
            "Total_count" => Value::Int(self.bucket.total.into()),
            "First_ts" => Value::Time(LogTime::from(self.bucket.first_seen)),
            "Last_ts" | "Ovflw_ts" => Value::Time(LogTime::from(self.bucket.last_seen)),
            "Name" => Value::from(&*self.scenario.name),
            "Mapkey" => Value::text(format!(
                "{:016x}{:016x}",
                self.bucket.key.0, self.bucket.key.1
            )),
            _ => return None,
        })
    }
}

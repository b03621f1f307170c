//! A poured event as a bucket keeps it: its times, its address and its `Meta`, packed.
//!
//! One event may lie in several buckets; they share it. `Meta` is packed into one piece of memory, because an
//! attack from a million addresses is a million of these.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use lymph_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use crate::date::LogTime;
use crate::event::{Event, Keys, Kind, Namespace, Slot};
use crate::overflow::{Overflow, Poured};

/// A poured event.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// When it happened, by the bucket's clock.
    pub(crate) at: Timestamp,
    pub(crate) line: u64,
    pub(crate) log_time: Option<LogTime>,
    /// `Meta.source_ip`, if it is an address.
    pub(crate) address: Option<IpAddr>,
    /// The detection that was poured again, in place of a line.
    pub(crate) overflow: Option<Arc<Overflow>>,
    meta: Box<[u8]>,
}

/// Meta values are cut to this length when they are kept: what a person reads of a detection.
pub(crate) const META_VALUE_BYTES_MAX: usize = 4096;

impl Kept {
    pub(crate) fn of(event: &Event, at: Timestamp, address: Option<IpAddr>) -> Self {
        let overflow = match &event.kind {
            Kind::Log => None,
            Kind::Overflow(overflow) => Some(Arc::clone(overflow)),
        };
        Kept {
            at,
            line: event.line_id,
            log_time: event.log_time,
            address,
            overflow,
            meta: pack(event.set_slots(Namespace::Meta)),
        }
    }

    /// What it costs to keep it, about.
    pub(crate) fn bytes(&self) -> usize {
        let overflow = self
            .overflow
            .as_ref()
            .map_or(0, |overflow| overflow.bytes());
        size_of::<Kept>() + self.meta.len() + 32 + overflow
    }

    /// `Meta` by slot, in the order it was set.
    pub(crate) fn meta(&self) -> impl Iterator<Item = (Slot, &[u8])> {
        let mut rest = &self.meta[..];
        std::iter::from_fn(move || {
            let (head, tail) = rest.split_first_chunk::<4>()?;
            let slot = Slot::from_number(u16::from_le_bytes([head[0], head[1]]));
            let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
            let (value, tail) = tail.split_at_checked(length)?;
            rest = tail;
            Some((slot, value))
        })
    }

    /// The value of one key of `Meta`.
    pub(crate) fn meta_value(&self, slot: Slot) -> Option<&[u8]> {
        self.meta()
            .find(|(key, _)| *key == slot)
            .map(|(_, value)| value)
    }

    /// As it leaves with a detection.
    pub(crate) fn poured(&self, keys: &Keys) -> Poured {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let meta: BTreeMap<_, _> = self
            .meta()
            .map(|(slot, value)| (keys.name(slot).1.to_owned(), text(value)))
            .collect();
        Poured {
            at: self.at,
            line: self.line,
            log_time: self.log_time.map(|time| time.to_string()),
            meta,
        }
    }

    pub(crate) fn record(&self) -> KeptRecord {
        KeptRecord {
            at: self.at,
            line: self.line,
            log_time: self
                .log_time
                .map(|time| (time.unix_secs(), time.nanosecond(), time.offset_secs())),
            address: self.address,
            meta: self
                .meta()
                .map(|(slot, value)| (slot.number(), value.to_vec()))
                .collect(),
        }
    }

    pub(crate) fn restore(record: KeptRecord, slot_of: &dyn Fn(u16) -> Option<Slot>) -> Self {
        let meta: Vec<(Slot, Vec<u8>)> = record
            .meta
            .into_iter()
            .filter_map(|(number, value)| Some((slot_of(number)?, value)))
            .collect();
        Kept {
            at: record.at,
            line: record.line,
            log_time: record
                .log_time
                .map(|(secs, nanos, offset)| LogTime::from_unix(secs, nanos).in_offset(offset)),
            address: record.address,
            overflow: None,
            meta: pack(meta.iter().map(|(slot, value)| (*slot, value.as_slice()))),
        }
    }
}

fn pack<'a>(fields: impl Iterator<Item = (Slot, &'a [u8])>) -> Box<[u8]> {
    let mut packed = Vec::with_capacity(128);
    for (slot, value) in fields {
        let value = &value[..value.len().min(META_VALUE_BYTES_MAX)];
        packed.extend_from_slice(&slot.number().to_le_bytes());
        packed.extend_from_slice(&(value.len() as u16).to_le_bytes());
        packed.extend_from_slice(value);
    }
    packed.into_boxed_slice()
}

/// A poured event in a snapshot; keys are numbered by the snapshot's own table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptRecord {
    at: Timestamp,
    line: u64,
    log_time: Option<(i64, u32, i32)>,
    address: Option<IpAddr>,
    meta: Vec<(u16, Vec<u8>)>,
}

impl KeptRecord {
    /// Give the keys of `Meta` other numbers.
    pub(crate) fn renumber(&mut self, mut number: impl FnMut(u16) -> u16) {
        for (slot, _) in &mut self.meta {
            *slot = number(*slot);
        }
    }
}

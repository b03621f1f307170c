//! Enrichers: what a static's `method` looks up or unfolds.
//!
//! Those that would need a database or the network (GeoIP, reverse DNS) are known by name, so that rules that
//! use them load, and find nothing.

use lymph_protocol::Timestamp;

use crate::date::{LogTime, Yearless, parse_date};
use crate::event::{Data, Event, Slot};

/// A method of a static.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enricher {
    /// Reads the log's own time; into `Enriched.MarshaledTime` as well if some rule reads that.
    ParseDate(Option<Slot>),
    /// The line is JSON: all of it into `evt.Unmarshaled`.
    UnmarshalJson,
    /// `GeoIpCity`, `GeoIpASN`, `IpToRange`, `reverse_dns`: nobody to ask.
    Unavailable,
}

impl Enricher {
    pub(crate) const NAMES: [&str; 6] = [
        "ParseDate",
        "UnmarshalJSON",
        "GeoIpCity",
        "GeoIpASN",
        "IpToRange",
        "reverse_dns",
    ];

    pub(crate) fn named(name: &str) -> Option<Enricher> {
        match name {
            "ParseDate" => Some(Enricher::ParseDate(None)),
            "UnmarshalJSON" => Some(Enricher::UnmarshalJson),
            "GeoIpCity" | "GeoIpASN" | "IpToRange" | "reverse_dns" => Some(Enricher::Unavailable),
            _ => None,
        }
    }

    pub(crate) fn run(self, event: &mut Event, text: &[u8], now: Timestamp) {
        match self {
            Enricher::ParseDate(slot) => {
                let read = parse_date(text, event.str_time_format(), now, Yearless::Latest);
                // A time that nobody can read is the time of reading, as CrowdSec has it.
                let time = read.map_or_else(
                    || LogTime::from(now),
                    |date| event.source.zone.place(date, now),
                );
                event.log_time = Some(time);
                if let Some(slot) = slot {
                    event.set(slot, time.to_string().as_bytes());
                }
            }
            Enricher::UnmarshalJson => {
                if let Ok(Data::Object(members)) = serde_json::from_slice::<Data>(event.raw()) {
                    for (name, value) in members {
                        event.set_data(&name, value);
                    }
                }
            }
            Enricher::Unavailable => {}
        }
    }
}

//! What an expression sees of things that are no plain values: a queue, a bucket, a detection.

use std::collections::BTreeMap;
use std::fmt;

use super::value::{Missing, Value};
use crate::date::LogTime;
use crate::overflow::{Attacker, Overflow, Poured};

/// Something that has members, elements or methods. A map answers to `member`, a list to `len` and `element`.
pub trait Object: fmt::Debug + Sync {
    /// The member with that name; `None` if there is none.
    fn member<'a>(&'a self, name: &str) -> Option<Value<'a>>;

    /// What a method returns; `None` if there is none of that name that takes these arguments.
    fn call<'a>(&'a self, method: &str, arguments: &[Value<'_>]) -> Option<Value<'a>> {
        let _ = (method, arguments);
        None
    }

    /// How many elements it has, if it is a list or a map.
    fn len(&self) -> Option<usize> {
        None
    }

    /// Whether it is a list or map that holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// One of the elements of a list.
    fn element(&self, index: usize) -> Option<Value<'_>> {
        let _ = index;
        None
    }
}

/// A map that holds nothing.
pub(super) static NO_TEXTS: BTreeMap<String, String> = BTreeMap::new();

/// `evt.Overflow` of an event that is a line.
#[derive(Debug)]
pub(super) struct NoOverflow;

impl Object for NoOverflow {
    fn member(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "Alert" => Value::Nil,
            "Sources" => Value::Labels(&NO_TEXTS),
            "APIAlerts" => Value::Texts(&[]),
            "Mapkey" | "BucketId" => Value::from(""),
            "Whitelisted" | "Reprocess" => Value::Bool(false),
            _ => return None,
        })
    }

    fn call<'a>(&'a self, method: &str, _: &[Value<'_>]) -> Option<Value<'a>> {
        (method == "GetSources").then_some(Value::Texts(&[]))
    }
}

/// `evt.Appsec`: there is no web application firewall here, so nothing ever matched.
#[derive(Debug)]
pub(super) struct NoAppsec;

impl Object for NoAppsec {
    fn member(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "HasInBandMatches" | "HasOutBandMatches" => Value::Bool(false),
            "MatchedRules" => Value::Object(self),
            "Vars" => Value::Labels(&NO_TEXTS),
            _ => return None,
        })
    }

    fn call<'a>(&'a self, method: &str, _: &[Value<'_>]) -> Option<Value<'a>> {
        Some(match method {
            "GetName" | "GetVersion" | "GetHash" | "GetMethod" | "GetVar" | "GetURI" => {
                Value::from("")
            }
            "GetRuleIDs" | "GetMatchedZones" | "GetTags" | "Kinds" | "GetField" => {
                Value::Texts(&[])
            }
            "ByTag" | "ByTagRx" | "ByKind" | "ByID" | "BySeverity" | "ByAccuracy"
            | "ByDisruptiveness" => Value::Object(self),
            _ => return None,
        })
    }

    fn len(&self) -> Option<usize> {
        Some(0)
    }
}

/// Both `evt.Overflow` and the `.Alert` in it, whose members have no name in common but mean the same thing.
impl Object for Overflow {
    fn member<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        Some(match name {
            "Alert" => Value::Object(self),
            "APIAlerts" => Value::list(vec![Value::Object(self)]),
            "Sources" => Value::Object(&self.attackers),
            "Mapkey" | "BucketId" | "ScenarioVersion" | "ScenarioHash" | "Kind" => Value::from(""),
            "Whitelisted" => Value::Bool(self.whitelisted.is_some()),
            "Reprocess" | "Simulated" => Value::Bool(false),
            "Scenario" => Value::from(&*self.scenario),
            "Message" => Value::from(&*self.description),
            "Labels" => Value::Labels(&self.labels),
            "Remediation" => Value::Bool(self.remediation),
            "Source" => self
                .attackers
                .first()
                .map_or(Value::Nil, |attacker| Value::Object(attacker)),
            "Events" => Value::Object(&self.events),
            "EventsCount" => Value::Int(self.events_count.into()),
            "Capacity" => Value::Int(self.capacity),
            "Leakspeed" => Value::text(format!("{}ms", self.leakspeed_ms)),
            "StartAt" => Value::text(self.first_seen.to_string()),
            "StopAt" => Value::text(self.last_seen.to_string()),
            "Meta" | "Decisions" => Value::Texts(&[]),
            _ => return None,
        })
    }

    fn call<'a>(&'a self, method: &str, arguments: &[Value<'_>]) -> Option<Value<'a>> {
        let source = self.attackers.first();
        Some(match method {
            "GetSources" => Value::list(
                self.attackers
                    .iter()
                    .map(|attacker| Value::from(&*attacker.value))
                    .collect(),
            ),
            "GetScenario" => Value::from(&*self.scenario),
            "GetEventsCount" => Value::Int(self.events_count.into()),
            "GetScope" => source.map_or(Value::from(""), |source| Value::from(source.scope.name())),
            "GetValue" => source.map_or(Value::from(""), |source| Value::from(&*source.value)),
            // As for an event that is an overflow: the first event that has it.
            "GetMeta" => {
                let key = key_argument(arguments)?;
                let found = self
                    .events
                    .iter()
                    .find_map(|event| event.meta.get(key).filter(|value| !value.is_empty()));
                Value::from(found.map_or("", |value| &**value))
            }
            _ => return None,
        })
    }
}

/// `Overflow.Sources`: a map by the source's value.
impl Object for Vec<Attacker> {
    fn member<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        self.iter()
            .find(|attacker| attacker.value == name)
            .map(|attacker| Value::Object(attacker))
    }

    fn len(&self) -> Option<usize> {
        Some(Vec::len(self))
    }
}

impl Object for Attacker {
    fn member<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        Some(match name {
            "IP" => self
                .address
                .map_or(Value::from(""), |address| Value::text(address.to_string())),
            "Range" => Value::from(self.range.as_deref().unwrap_or_default()),
            "Scope" => Value::from(self.scope.name()),
            "Value" => Value::from(&*self.value),
            "AsNumber" | "AsName" | "Cn" => Value::from(""),
            "Latitude" | "Longitude" => Value::Float(0.0),
            _ => return None,
        })
    }

    fn call<'a>(&'a self, method: &str, _: &[Value<'_>]) -> Option<Value<'a>> {
        Some(match method {
            "GetScope" => Value::from(self.scope.name()),
            "GetValue" => Value::from(&*self.value),
            "GetAsNumberName" => Value::from(""),
            "String" => Value::text(format!(
                "{} {}",
                self.scope.name().to_lowercase(),
                self.value
            )),
            _ => return None,
        })
    }
}

/// A list of events; also the queue that holds it, so that both `queue.Queue` and `Alert.Events` are this.
impl Object for Vec<Poured> {
    fn member<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        match name {
            "Queue" => Some(Value::Object(self)),
            "L" => Some(Value::Int(
                i64::try_from(Vec::len(self)).unwrap_or(i64::MAX),
            )),
            _ => None,
        }
    }

    fn call<'a>(&'a self, method: &str, _: &[Value<'_>]) -> Option<Value<'a>> {
        (method == "GetQueue").then_some(Value::Object(self))
    }

    fn len(&self) -> Option<usize> {
        Some(Vec::len(self))
    }

    fn element(&self, index: usize) -> Option<Value<'_>> {
        self.get(index).map(|event| Value::Object(event))
    }
}

/// A queued event, of which `Meta` and the time are kept; and an event of an alert.
impl Object for Poured {
    fn member<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        Some(match name {
            "Meta" => Value::Labels(&self.meta),
            "Time" => Value::Time(LogTime::from(self.at)),
            "MarshaledTime" => Value::from(self.log_time.as_deref().unwrap_or_default()),
            "Timestamp" => Value::text(self.at.to_string()),
            "Parsed" | "Enriched" => Value::Labels(&NO_TEXTS),
            "Unmarshaled" => Value::map(BTreeMap::new(), Missing::Nil),
            "StrTime" | "StrTimeFormat" | "WhitelistReason" | "Stage" => Value::from(""),
            "Type" | "ExpectMode" => Value::Int(0),
            "Whitelisted" => Value::Bool(false),
            "Overflow" => Value::Object(&NoOverflow),
            "Appsec" => Value::Object(&NoAppsec),
            _ => return None,
        })
    }

    fn call<'a>(&'a self, method: &str, arguments: &[Value<'_>]) -> Option<Value<'a>> {
        match method {
            "GetMeta" => {
                let key = key_argument(arguments)?;
                Some(Value::from(self.meta.get(key).map_or("", |value| &**value)))
            }
            "GetType" => Some(Value::from("log")),
            _ => None,
        }
    }
}

/// The one argument, a text.
pub(super) fn key_argument<'a>(arguments: &'a [Value<'_>]) -> Option<&'a str> {
    match arguments {
        [key] => std::str::from_utf8(key.as_bytes()?).ok(),
        _ => None,
    }
}

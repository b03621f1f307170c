//! CrowdSec's JSON: the array that `cscli decisions import` reads, and the alerts with decisions in them that
//! `cscli decisions list -o json` prints. Read as it comes, an object at a time.

use std::fmt;
use std::io::{self, BufRead};

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::{Meter, Metered, Raw, Sink, shown_error};

/// Most that one object may take, nested ones not counted. An alert with a hundred events takes less than 1 MB.
const OBJECT_BYTES_MAX: u64 = 16 * 1024 * 1024;

pub(super) fn read(input: impl BufRead, sink: &mut Sink<'_>) -> io::Result<()> {
    let (input, meter) = Metered::new(input, OBJECT_BYTES_MAX);
    let mut json = serde_json::Deserializer::from_reader(input);
    let list = List {
        sink: &mut *sink,
        meter: &meter,
    };
    match list.deserialize(&mut json).and_then(|()| json.end()) {
        Ok(()) => Ok(()),
        Err(_) if sink.is_full() => Ok(()),
        Err(error) => {
            let kind = error.io_error_kind();
            match kind.filter(|kind| *kind != io::ErrorKind::Other) {
                Some(_) => Err(error.into()),
                None => {
                    let what = shown_error(&error.to_string());
                    sink.problem(
                        meter.line(),
                        format!("broken JSON ({what}): the rest is left out"),
                    );
                    Ok(())
                }
            }
        }
    }
}

/// An array of decisions and alerts, one such object alone, or `null`.
struct List<'s, 'a> {
    sink: &'s mut Sink<'a>,
    meter: &'s Meter,
}

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of decisions")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.sink.is_list = true;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let List { sink, meter } = self;
        Item { sink, meter }.visit_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        loop {
            self.meter.reset();
            let (sink, meter) = (&mut *self.sink, self.meter);
            if seq.next_element_seed(Item { sink, meter })?.is_none() {
                return Ok(());
            }
            if self.sink.is_full() {
                return Err(A::Error::custom("more entries than are read"));
            }
        }
    }
}

/// One of its elements, which should be an object.
struct Item<'s, 'a> {
    sink: &'s mut Sink<'a>,
    meter: &'s Meter,
}

impl Item<'_, '_> {
    fn refuse<E>(self) -> Result<(), E> {
        self.sink.problem(
            self.meter.line(),
            "no object where one should be".to_owned(),
        );
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Item<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decision")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Item { sink, meter } = self;
        let line = meter.line();
        let (mut raw, mut is_alert, mut wrong) = (Raw::default(), false, None);
        // Go reads keys in any case.
        while let Some(key) = map.next_key::<String>()? {
            let key = key.to_ascii_lowercase();
            let place = match key.as_str() {
                "value" => &mut raw.value,
                "scope" => &mut raw.scope,
                "type" => &mut raw.kind,
                "duration" => &mut raw.duration,
                "reason" | "scenario" => &mut raw.reason,
                "simulated" => {
                    raw.is_simulated = matches!(map.next_value()?, Scalar::True);
                    continue;
                }
                "decisions" => {
                    is_alert = true;
                    map.next_value_seed(List { sink, meter })?;
                    meter.reset();
                    continue;
                }
                "source" | "events_count" => {
                    is_alert = true;
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            match map.next_value()? {
                Scalar::Text(text) => *place = Some(text),
                Scalar::Nothing => {}
                Scalar::True | Scalar::Other => wrong = Some(format!("\"{key}\" is no text")),
            }
        }
        sink.is_list |= is_alert || raw.value.is_some();
        if is_alert {
            return Ok(());
        }
        match wrong.map_or_else(|| raw.listed(), Err) {
            Ok(listed) => sink.entry(listed),
            Err(what) => sink.problem(line, shown_error(&what)),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.refuse()
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.refuse()
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.refuse()
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.refuse()
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.refuse()
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.refuse()
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.refuse()
    }
}

/// The value of a key of interest. A wrong one costs its object, not the list.
enum Scalar {
    Nothing,
    True,
    Text(String),
    Other,
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Nothing)
    }

    fn visit_bool<E>(self, is_true: bool) -> Result<Scalar, E> {
        Ok(if is_true { Scalar::True } else { Scalar::Other })
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

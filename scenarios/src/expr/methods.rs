//! Methods of values: of times and lengths of time as in Go, of events and objects.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a method is for one kind of value; all others have none"
)]

use super::error::EvalError;
use super::eval::{Evaluated, Frame};
use super::members;
use super::object::key_argument;
use super::value::Value;
use crate::date::{Calendar, GoDuration, Layout, LogTime};
use crate::event::{Event, Kind, Namespace, parse_address};

/// `of.name(arguments)`.
pub(super) fn call<'a>(
    frame: &mut Frame<'a, '_>,
    of: &Value<'a>,
    name: &str,
    arguments: &[Value<'a>],
) -> Evaluated<'a> {
    let found = match of {
        Value::Event(event) => event_method(event, name, arguments),
        Value::Object(object) => object.call(name, arguments),
        Value::Time(time) => time_method(*time, name, arguments),
        Value::Duration(duration) => duration_method(*duration, name, arguments),
        Value::Weekday(day) if name == "String" => Some(Value::from(weekday(*day))),
        Value::Month(month) if name == "String" => Some(Value::from(month_name(*month))),
        _ => None,
    };
    let value = found.ok_or_else(|| {
        EvalError::no_member(
            of.kind(),
            format!("{name}() of {} arguments", arguments.len()),
        )
    })?;
    if let Value::Text(text) = &value {
        frame.pay(text.len())?;
    }
    Ok(value)
}

fn event_method<'a>(event: &'a Event, name: &str, arguments: &[Value<'a>]) -> Option<Value<'a>> {
    match name {
        "GetType" => Some(Value::from(members::type_name(event))),
        "GetMeta" => {
            let key = key_argument(arguments)?;
            match &event.kind {
                Kind::Log => Some(Value::Str(event.by_name(Namespace::Meta, key))),
                Kind::Overflow(overflow) => {
                    super::object::Object::call(&**overflow, "GetMeta", arguments)
                }
            }
        }
        "ParseIPSources" => {
            let source = match &event.kind {
                Kind::Log => parse_address(event.by_name(Namespace::Meta, "source_ip"))
                    .into_iter()
                    .collect(),
                Kind::Overflow(overflow) => overflow
                    .attackers
                    .iter()
                    .filter_map(|attacker| attacker.address)
                    .collect::<Vec<_>>(),
            };
            Some(Value::list(
                source
                    .iter()
                    .map(|address| Value::text(address.to_string()))
                    .collect(),
            ))
        }
        _ => None,
    }
}

/// The name of a day, 0 for Sunday.
pub(super) fn weekday(day: u8) -> &'static str {
    // 1970-01-04 was a Sunday.
    LogTime::from_unix((3 + i64::from(day)) * 86_400, 0).weekday_name()
}

/// The name of a month, 1 to 12.
pub(super) fn month_name(month: u8) -> &'static str {
    let first = Calendar {
        year: 1970,
        month,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
        nanos: 0,
    };
    LogTime::from_calendar(first, 0).month_name()
}

fn time_method<'a>(time: LogTime, name: &str, arguments: &[Value<'a>]) -> Option<Value<'a>> {
    let int = |value: i64| Some(Value::Int(value));
    match (name, arguments) {
        ("Year", []) => int(time.year().into()),
        ("Month", []) => Some(Value::Month(time.month())),
        ("Day", []) => int(time.day().into()),
        ("Hour", []) => int(time.hour().into()),
        ("Minute", []) => int(time.minute().into()),
        ("Second", []) => int(time.second().into()),
        ("Nanosecond", []) => int(time.nanosecond().into()),
        ("YearDay", []) => int(time.year_day().into()),
        ("Weekday", []) => Some(Value::Weekday(time.weekday())),
        ("Unix", []) => int(time.unix_secs()),
        ("UnixMilli", []) => {
            int(i64::try_from(time.unix_nanos().div_euclid(1_000_000)).unwrap_or(i64::MAX))
        }
        ("UnixMicro", []) => {
            int(i64::try_from(time.unix_nanos().div_euclid(1_000)).unwrap_or(i64::MAX))
        }
        ("UnixNano", []) => int(i64::try_from(time.unix_nanos()).unwrap_or(i64::MAX)),
        ("IsZero", []) => Some(Value::Bool(time == LogTime::GO_ZERO)),
        ("UTC", []) => Some(Value::Time(time.in_offset(0))),
        ("String", []) => Some(Value::text(time_string(time))),
        ("Format", [layout]) => {
            let layout = std::str::from_utf8(layout.as_bytes()?).ok()?;
            Some(Value::text(Layout::compile(layout).format(time)))
        }
        ("Sub", [Value::Time(other)]) => Some(Value::Duration(time.since(*other))),
        ("Add", [Value::Duration(by)]) => Some(Value::Time(time.plus(*by))),
        ("Before", [Value::Time(other)]) => Some(Value::Bool(time < *other)),
        ("After", [Value::Time(other)]) => Some(Value::Bool(time > *other)),
        ("Equal", [Value::Time(other)]) => Some(Value::Bool(time == *other)),
        _ => None,
    }
}

/// As Go prints a time.
pub(super) fn time_string(time: LogTime) -> String {
    let zone = if time.offset_secs() == 0 {
        "+0000 UTC"
    } else {
        "-0700 -0700"
    };
    Layout::compile(&format!("2006-01-02 15:04:05.999999999 {zone}")).format(time)
}

fn duration_method<'a>(
    duration: GoDuration,
    name: &str,
    arguments: &[Value<'a>],
) -> Option<Value<'a>> {
    let nanos = duration.nanos();
    match (name, arguments) {
        ("Hours", []) => Some(Value::Float(nanos as f64 / 3.6e12)),
        ("Minutes", []) => Some(Value::Float(nanos as f64 / 6e10)),
        ("Seconds", []) => Some(Value::Float(nanos as f64 / 1e9)),
        ("Milliseconds", []) => Some(Value::Int(nanos / 1_000_000)),
        ("Microseconds", []) => Some(Value::Int(nanos / 1_000)),
        ("Nanoseconds", []) => Some(Value::Int(nanos)),
        ("Abs", []) => Some(Value::Duration(GoDuration::from_nanos(
            nanos.saturating_abs(),
        ))),
        ("String", []) => Some(Value::text(duration.to_string())),
        _ => None,
    }
}

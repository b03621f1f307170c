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
        ("AddDate", [Value::Int(years), Value::Int(months), Value::Int(days)]) => {
            Some(Value::Time(add_date(time, *years, *months, *days)))
        }
        ("Round", [Value::Duration(to)]) => {
            let past = past_multiple(time, *to);
            let by = if past.saturating_mul(2) < to.nanos() {
                -past
            } else {
                to.nanos().max(0) - past
            };
            Some(Value::Time(time.plus(GoDuration::from_nanos(by))))
        }
        ("Truncate", [Value::Duration(to)]) => Some(Value::Time(
            time.plus(GoDuration::from_nanos(-past_multiple(time, *to))),
        )),
        ("Compare", [Value::Time(other)]) => int(time.cmp(other) as i64),
        ("Before", [Value::Time(other)]) => Some(Value::Bool(time < *other)),
        ("After", [Value::Time(other)]) => Some(Value::Bool(time > *other)),
        ("Equal", [Value::Time(other)]) => Some(Value::Bool(time == *other)),
        _ => None,
    }
}

/// Months may have other lengths: the 31st of a month of 30 days is the first of the next.
fn add_date(time: LogTime, years: i64, months: i64, days: i64) -> LogTime {
    const DAY_NANOS: i64 = 86_400_000_000_000;
    let shown = time.calendar();
    let month = i64::from(shown.year)
        .saturating_add(years)
        .saturating_mul(12)
        .saturating_add(i64::from(shown.month) - 1);
    let month = month.saturating_add(months);
    let first = Calendar {
        year: month.div_euclid(12).clamp(-1, 10_000) as i32,
        month: month.rem_euclid(12) as u8 + 1,
        day: 1,
        ..shown
    };
    let days = days.saturating_add(i64::from(shown.day) - 1);
    LogTime::from_calendar(first, time.offset_secs())
        .plus(GoDuration::from_nanos(days.saturating_mul(DAY_NANOS)))
}

/// How far a time is past a multiple of a length of time, counted from the year 1.
fn past_multiple(time: LogTime, of: GoDuration) -> i64 {
    if of <= GoDuration::ZERO {
        return 0;
    }
    let since_zero = time.unix_nanos() - LogTime::GO_ZERO.unix_nanos();
    // Less than the length of time, which fits.
    since_zero.rem_euclid(i128::from(of.nanos())) as i64
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
        ("Truncate", [Value::Duration(to)]) if to.nanos() > 0 => Some(Value::Duration(
            GoDuration::from_nanos(nanos - nanos % to.nanos()),
        )),
        ("Round", [Value::Duration(to)]) if to.nanos() > 0 => Some(Value::Duration(
            GoDuration::from_nanos(round(nanos, to.nanos())),
        )),
        ("Truncate" | "Round", [Value::Duration(_)]) => Some(Value::Duration(duration)),
        ("Abs", []) => Some(Value::Duration(GoDuration::from_nanos(
            nanos.saturating_abs(),
        ))),
        ("String", []) => Some(Value::text(duration.to_string())),
        _ => None,
    }
}

/// To the nearest multiple, halves away from zero.
fn round(nanos: i64, to: i64) -> i64 {
    let past = nanos % to;
    let down = nanos - past;
    if past.unsigned_abs().saturating_mul(2) < to.unsigned_abs() {
        return down;
    }
    down.saturating_add(if nanos < 0 { -to } else { to })
}

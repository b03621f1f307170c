//! Times and lengths of time, and what was put aside earlier.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "these functions are for times; all other kinds are an error"
)]

use super::{Function, asking, between, bytes, fixed, string};
use crate::date::{GoDuration, Layout, LogTime};
use crate::expr::access::Elements;
use crate::expr::error::EvalError;
use crate::expr::eval::{Evaluated, Frame};
use crate::expr::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    asking("now", 0, 0, |frame, _| {
        Ok(Value::Time(LogTime::from(frame.env.now)))
    }),
    asking("TimeNow", 0, 0, |frame, _| {
        let now = LogTime::from(frame.env.now);
        Ok(Value::text(
            LogTime::from_unix(now.unix_secs(), 0).to_string(),
        ))
    }),
    fixed("duration", 1, |_, a| {
        match GoDuration::parse(&string("duration", &a[0])?) {
            Ok(duration) => Ok(Value::Duration(duration)),
            Err(error) => Err(EvalError::argument("duration", error.to_string())),
        }
    }),
    between("date", 1, 3, date),
    fixed("ParseUnix", 1, |frame, a| {
        match unix(bytes("ParseUnix", &a[0])?) {
            Some(time) => frame.text(time.to_string().into_bytes()),
            None => Ok(Value::from("")),
        }
    }),
    fixed("AverageInterval", 1, |_, a| {
        let times = times("AverageInterval", &a[0])?;
        let (first, last) = (times[0], times[times.len() - 1]);
        let intervals = i64::try_from(times.len() - 1).unwrap_or(i64::MAX);
        Ok(Value::Duration(GoDuration::from_nanos(
            last.since(first).nanos() / intervals,
        )))
    }),
    fixed("MedianInterval", 1, |_, a| {
        let times = times("MedianInterval", &a[0])?;
        let mut intervals: Vec<i64> = times
            .windows(2)
            .map(|pair| pair[1].since(pair[0]).nanos())
            .collect();
        intervals.sort_unstable();
        let middle = intervals.len() / 2;
        let median = if intervals.len() % 2 == 1 {
            intervals[middle]
        } else {
            // Neither is negative.
            intervals[middle - 1].midpoint(intervals[middle])
        };
        Ok(Value::Duration(GoDuration::from_nanos(median)))
    }),
    asking("GetFromStash", 2, 2, |frame, a| {
        let (stash, key) = (
            string("GetFromStash", &a[0])?,
            bytes("GetFromStash", &a[1])?,
        );
        let found = frame.env.stash.and_then(|stashes| stashes.get(&stash, key));
        Ok(found.map_or(Value::from(""), Value::Text))
    }),
];

/// Texts that are dates, as expr-lang knows them.
const LAYOUTS: [&str; 7] = [
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    "2006-01-02T15:04:05Z07:00",
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
];

fn date<'a>(_: &mut Frame<'a, '_>, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let text = bytes("date", &arguments[0])?;
    if let Some(zone) = arguments.get(2)
        && !matches!(zone.as_bytes(), Some(b"UTC" | b""))
    {
        return Err(EvalError::argument(
            "date",
            "there is no database of time zones: only UTC",
        ));
    }
    let read = match arguments.get(1) {
        Some(layout) => Layout::parse_once(bytes("date", layout)?, text),
        None => LAYOUTS
            .iter()
            .find_map(|layout| Layout::parse_once(layout.as_bytes(), text)),
    };
    match read {
        Some(time) => Ok(Value::Time(time)),
        None => Err(EvalError::argument(
            "date",
            format!("{:?} is no date", String::from_utf8_lossy(text)),
        )),
    }
}

/// Seconds since the epoch, whatever stands behind a point.
fn unix(text: &[u8]) -> Option<LogTime> {
    let whole = text.split(|byte| *byte == b'.').next()?;
    let secs: i64 = std::str::from_utf8(whole).ok()?.parse().ok()?;
    (secs > 0).then(|| LogTime::from_unix(secs, 0))
}

/// Two or more times, in order.
fn times(function: &'static str, of: &Value<'_>) -> Result<Vec<LogTime>, EvalError> {
    let time = |element: Value<'_>| match element {
        Value::Time(time) => Ok(time),
        other => Err(EvalError::kind(function, "given times", other.kind())),
    };
    let mut times = Elements::expect(of, function)?
        .iter()
        .map(time)
        .collect::<Result<Vec<_>, _>>()?;
    if times.len() < 2 {
        return Err(EvalError::argument(function, "less than two times"));
    }
    times.sort_unstable();
    Ok(times)
}

//! Writing a date: what Go's `Time.Format` prints.

use std::fmt::Write;

use super::piece::{OffsetShape, Part, Piece};
use crate::date::LogTime;

/// The time in the layout that these parts make.
pub(super) fn write<'a>(parts: impl Iterator<Item = Part<'a>>, time: LogTime) -> String {
    let mut out = Vec::new();
    let mut digits = String::new();
    for part in parts {
        out.extend_from_slice(part.literal);
        if let Some(piece) = part.piece {
            digits.clear();
            // Writing to a string cannot fail.
            let _ = put(&mut digits, piece, time);
            out.extend_from_slice(digits.as_bytes());
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn put(out: &mut String, piece: Piece, time: LogTime) -> std::fmt::Result {
    let shown = time.calendar();
    let hour12 = if shown.hour.is_multiple_of(12) {
        12
    } else {
        shown.hour % 12
    };
    match piece {
        Piece::Year => write!(out, "{:04}", shown.year),
        Piece::ShortYear => write!(out, "{:02}", shown.year.rem_euclid(100)),
        Piece::LongMonth => out.write_str(time.month_name()),
        Piece::Month => out.write_str(&time.month_name()[..3]),
        Piece::NumericMonth { fixed } => number(out, shown.month, fixed),
        Piece::LongWeekday => out.write_str(time.weekday_name()),
        Piece::Weekday => out.write_str(&time.weekday_name()[..3]),
        Piece::Day => number(out, shown.day, false),
        Piece::PaddedDay => write!(out, "{:2}", shown.day),
        Piece::FixedDay => number(out, shown.day, true),
        Piece::YearDay { fixed: true } => write!(out, "{:03}", time.year_day()),
        Piece::YearDay { fixed: false } => write!(out, "{:3}", time.year_day()),
        Piece::Hour => number(out, shown.hour, true),
        Piece::Hour12 { fixed } => number(out, hour12, fixed),
        Piece::Minute { fixed } => number(out, shown.minute, fixed),
        Piece::Second { fixed, .. } => number(out, shown.second, fixed),
        Piece::HalfDay { upper } => out.write_str(match (upper, shown.hour >= 12) {
            (true, true) => "PM",
            (true, false) => "AM",
            (false, true) => "pm",
            (false, false) => "am",
        }),
        Piece::ZoneName if time.offset_secs() == 0 => out.write_str("UTC"),
        // The offset stands for a name that is not known.
        Piece::ZoneName => offset(out, OffsetShape::Minutes, time.offset_secs()),
        Piece::Offset {
            z_for_utc: true, ..
        } if time.offset_secs() == 0 => out.write_str("Z"),
        Piece::Offset { shape, .. } => offset(out, shape, time.offset_secs()),
        Piece::Fraction { digits, point } => {
            out.push(char::from(point));
            fraction(out, shown.nanos, digits)
        }
        Piece::OpenFraction { digits, point } => {
            let mut kept = String::new();
            fraction(&mut kept, shown.nanos, digits)?;
            let kept = kept.trim_end_matches('0');
            if kept.is_empty() {
                Ok(())
            } else {
                write!(out, "{}{kept}", char::from(point))
            }
        }
    }
}

fn number(out: &mut String, value: u8, fixed: bool) -> std::fmt::Result {
    if fixed {
        write!(out, "{value:02}")
    } else {
        write!(out, "{value}")
    }
}

/// The first digits of a fraction of a second; zeros where it has no more.
fn fraction(out: &mut String, nanos: u32, digits: usize) -> std::fmt::Result {
    for place in 0..digits {
        let digit = u32::try_from(place)
            .ok()
            .filter(|p| *p < 9)
            .map_or(0, |p| nanos / 10u32.pow(8 - p) % 10);
        write!(out, "{digit}")?;
    }
    Ok(())
}

fn offset(out: &mut String, shape: OffsetShape, offset_secs: i32) -> std::fmt::Result {
    let sign = if offset_secs < 0 { '-' } else { '+' };
    let secs = offset_secs.unsigned_abs();
    let (hours, minutes, seconds) = (secs / 3600, secs / 60 % 60, secs % 60);
    match shape {
        OffsetShape::Hours => write!(out, "{sign}{hours:02}"),
        OffsetShape::Minutes => write!(out, "{sign}{hours:02}{minutes:02}"),
        OffsetShape::ColonMinutes => write!(out, "{sign}{hours:02}:{minutes:02}"),
        OffsetShape::Seconds => write!(out, "{sign}{hours:02}{minutes:02}{seconds:02}"),
        OffsetShape::ColonSeconds => write!(out, "{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

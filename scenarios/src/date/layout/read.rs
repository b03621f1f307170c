//! Reading a date: what Go's `time.Parse` accepts.

use super::piece::{OffsetShape, Part, Piece};
use crate::date::calendar::{MONTHS, WEEKDAYS, days_in_month, is_leap};
use crate::date::{Calendar, LogTime};

/// What has been read of a date so far.
struct Draft {
    year: i32,
    month: Option<u8>,
    day: Option<u8>,
    year_day: Option<u16>,
    hour: u8,
    minute: u8,
    second: u8,
    nanos: u32,
    afternoon: Option<bool>,
    offset_secs: Option<i32>,
    utc: bool,
}

/// The time that `text` is, or `None` where it does not fit the layout or is no date.
pub(super) fn read<'a>(parts: impl Iterator<Item = Part<'a>>, text: &[u8]) -> Option<LogTime> {
    let mut draft = Draft {
        year: 0,
        month: None,
        day: None,
        year_day: None,
        hour: 0,
        minute: 0,
        second: 0,
        nanos: 0,
        afternoon: None,
        offset_secs: None,
        utc: false,
    };
    let mut rest = text;
    for part in parts {
        rest = skip_literal(rest, part.literal)?;
        match part.piece {
            Some(piece) => rest = draft.take(piece, rest)?,
            None if rest.is_empty() => {}
            None => return None,
        }
    }
    draft.finish()
}

/// A space stands for any number of them, also for none at the very end.
fn skip_literal<'a>(mut text: &'a [u8], mut literal: &[u8]) -> Option<&'a [u8]> {
    while let Some(&expected) = literal.first() {
        if expected == b' ' {
            if text.first().is_some_and(|byte| *byte != b' ') {
                return None;
            }
            literal = trim_spaces(literal);
            text = trim_spaces(text);
        } else {
            text = text.strip_prefix(&[expected])?;
            literal = &literal[1..];
        }
    }
    Some(text)
}

fn trim_spaces(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|byte| **byte == b' ').count()..]
}

impl Draft {
    fn take<'a>(&mut self, piece: Piece, text: &'a [u8]) -> Option<&'a [u8]> {
        match piece {
            Piece::Year => {
                let digits = text.get(..4)?;
                self.year = number(digits)? as i32;
                Some(&text[4..])
            }
            Piece::ShortYear => {
                let year = number(text.get(..2)?)? as i32;
                self.year = if year >= 69 { 1900 + year } else { 2000 + year };
                Some(&text[2..])
            }
            Piece::Month => self.take_month(text, 3),
            Piece::LongMonth => self.take_month(text, usize::MAX),
            Piece::NumericMonth { fixed } => {
                let (month, rest) = one_or_two_digits(text, fixed)?;
                self.month = Some(within(month, 1, 12)?);
                Some(rest)
            }
            Piece::Weekday => name(text, &WEEKDAYS, 3).map(|(_, rest)| rest),
            Piece::LongWeekday => name(text, &WEEKDAYS, usize::MAX).map(|(_, rest)| rest),
            Piece::Day => self.take_day(text, false),
            Piece::PaddedDay => self.take_day(text.strip_prefix(b" ").unwrap_or(text), false),
            Piece::FixedDay => self.take_day(text, true),
            Piece::YearDay { fixed } => {
                let padding = if fixed {
                    0
                } else {
                    text.iter()
                        .take(2)
                        .take_while(|byte| **byte == b' ')
                        .count()
                };
                let text = &text[padding..];
                let digits = text
                    .iter()
                    .take(3)
                    .take_while(|byte| byte.is_ascii_digit())
                    .count();
                if digits == 0 || (fixed && digits != 3) {
                    return None;
                }
                self.year_day = Some(number(&text[..digits])? as u16);
                Some(&text[digits..])
            }
            Piece::Hour => take_number(&mut self.hour, text, false, 0, 23),
            Piece::Hour12 { fixed } => take_number(&mut self.hour, text, fixed, 0, 12),
            Piece::Minute { fixed } => take_number(&mut self.minute, text, fixed, 0, 59),
            Piece::Second {
                fixed,
                then_fraction,
            } => {
                let rest = take_number(&mut self.second, text, fixed, 0, 59)?;
                if then_fraction {
                    Some(rest)
                } else {
                    self.take_open_fraction(rest)
                }
            }
            Piece::HalfDay { upper } => {
                let (am, pm): (&[u8], &[u8]) = if upper {
                    (b"AM", b"PM")
                } else {
                    (b"am", b"pm")
                };
                let half = text.get(..2)?;
                self.afternoon = Some(if half == pm {
                    true
                } else if half == am {
                    false
                } else {
                    return None;
                });
                Some(&text[2..])
            }
            Piece::ZoneName => self.take_zone_name(text),
            Piece::Offset { shape, z_for_utc } => {
                if let (true, Some((b'Z', rest))) = (z_for_utc, text.split_first()) {
                    self.utc = true;
                    return Some(rest);
                }
                let (offset, rest) = offset(text, shape)?;
                self.offset_secs = Some(offset);
                Some(rest)
            }
            Piece::Fraction { digits, .. } => {
                self.nanos = nanoseconds(text.get(..=digits)?)?;
                Some(&text[1 + digits..])
            }
            Piece::OpenFraction { .. } => self.take_open_fraction(text),
        }
    }

    fn take_month<'a>(&mut self, text: &'a [u8], letters: usize) -> Option<&'a [u8]> {
        let (index, rest) = name(text, &MONTHS, letters)?;
        self.month = Some(index as u8 + 1);
        Some(rest)
    }

    /// Any number of up to two digits is a day until the month is known.
    fn take_day<'a>(&mut self, text: &'a [u8], fixed: bool) -> Option<&'a [u8]> {
        let (day, rest) = one_or_two_digits(text, fixed)?;
        self.day = Some(day);
        Some(rest)
    }

    /// A fraction where there is one. Digits behind the ninth are read and forgotten.
    fn take_open_fraction<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        let digits = match text {
            [b'.' | b',', digits @ ..] => digits
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count(),
            _ => 0,
        };
        if digits == 0 {
            return Some(text);
        }
        self.nanos = nanoseconds(&text[..=digits])?;
        Some(&text[1 + digits..])
    }

    fn take_zone_name<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        if let Some(rest) = text.strip_prefix(b"UTC") {
            self.utc = true;
            return Some(rest);
        }
        let bytes = zone_name_bytes(text)?;
        if text[..bytes] == *b"GMT" {
            self.offset_secs = self.offset_secs.or(Some(0));
        }
        if bytes > 3 && text.starts_with(b"GMT") && self.offset_secs.is_none() {
            let hours = number(&text[4..bytes])? as i32;
            self.offset_secs = Some(if text[3] == b'-' { -hours } else { hours } * 3600);
        }
        Some(&text[bytes..])
    }

    fn finish(self) -> Option<LogTime> {
        let (month, day) = match self.year_day {
            Some(year_day) => {
                let (month, day) = date_of_year_day(self.year, year_day)?;
                if self.month.is_some_and(|m| m != month) || self.day.is_some_and(|d| d != day) {
                    return None;
                }
                (month, day)
            }
            None => (self.month.unwrap_or(1), self.day.unwrap_or(1)),
        };
        if day < 1 || day > days_in_month(month, self.year) {
            return None;
        }
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let shown = Calendar {
            year: self.year,
            month,
            day,
            hour,
            minute: self.minute,
            second: self.second,
            nanos: self.nanos,
        };
        let offset_secs = if self.utc { Some(0) } else { self.offset_secs };
        Some(match offset_secs {
            Some(offset_secs) => LogTime::from_calendar(shown, offset_secs),
            None => LogTime::from_calendar(shown, 0).local(),
        })
    }
}

fn take_number<'a>(
    into: &mut u8,
    text: &'a [u8],
    fixed: bool,
    min: u8,
    max: u8,
) -> Option<&'a [u8]> {
    let (value, rest) = one_or_two_digits(text, fixed)?;
    *into = within(value, min, max)?;
    Some(rest)
}

fn within(value: u8, min: u8, max: u8) -> Option<u8> {
    (min..=max).contains(&value).then_some(value)
}

fn one_or_two_digits(text: &[u8], fixed: bool) -> Option<(u8, &[u8])> {
    match text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', rest @ ..] => Some(((a - b'0') * 10 + b - b'0', rest)),
        [a @ b'0'..=b'9', rest @ ..] if !fixed => Some((a - b'0', rest)),
        _ => None,
    }
}

/// All of the text as a number of at most nine digits.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.iter().try_fold(0, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u32::from(byte - b'0'))
    })
}

/// A point or comma and digits.
fn nanoseconds(text: &[u8]) -> Option<u32> {
    let (b'.' | b',', digits) = text.split_first()? else {
        return None;
    };
    let kept = &digits[..digits.len().min(9)];
    Some(number(kept)? * 10u32.pow(9 - kept.len() as u32))
}

/// Which of the names the text starts with, cut to so many letters, in any case.
fn name<'a>(text: &'a [u8], names: &[&str], letters: usize) -> Option<(usize, &'a [u8])> {
    names.iter().enumerate().find_map(|(index, name)| {
        let name = &name.as_bytes()[..name.len().min(letters)];
        let start = text.get(..name.len())?;
        start
            .eq_ignore_ascii_case(name)
            .then(|| (index, &text[name.len()..]))
    })
}

fn offset(text: &[u8], shape: OffsetShape) -> Option<(i32, &[u8])> {
    let two = |at: usize| number(text.get(at..at + 2)?);
    let colon = |at: usize| (text.get(at) == Some(&b':')).then_some(());
    let (hours, minutes, seconds, bytes) = match shape {
        OffsetShape::Hours => (two(1)?, 0, 0, 3),
        OffsetShape::Minutes => (two(1)?, two(3)?, 0, 5),
        OffsetShape::ColonMinutes => {
            colon(3)?;
            (two(1)?, two(4)?, 0, 6)
        }
        OffsetShape::Seconds => (two(1)?, two(3)?, two(5)?, 7),
        OffsetShape::ColonSeconds => {
            colon(3)?;
            colon(6)?;
            (two(1)?, two(4)?, two(7)?, 9)
        }
    };
    // Go allows 24 hours and 60 minutes, since some people write that.
    if hours > 24 || minutes > 60 || seconds > 60 {
        return None;
    }
    let secs = (hours * 3600 + minutes * 60 + seconds) as i32;
    match text[0] {
        b'+' => Some((secs, &text[bytes..])),
        b'-' => Some((-secs, &text[bytes..])),
        _ => None,
    }
}

/// How many bytes of the text are the name of a time zone.
fn zone_name_bytes(text: &[u8]) -> Option<usize> {
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if let Some(after) = text.strip_prefix(b"GMT") {
        return Some(3 + signed_hours_bytes(after));
    }
    if text.len() >= 3 && matches!(text[0], b'+' | b'-') {
        return Some(signed_hours_bytes(text)).filter(|bytes| *bytes > 0);
    }
    let upper = text
        .iter()
        .take(6)
        .take_while(|byte| byte.is_ascii_uppercase())
        .count();
    match upper {
        3 => Some(3),
        4 if text[3] == b'T' || text.starts_with(b"WITA") => Some(4),
        5 if text[4] == b'T' => Some(5),
        _ => None,
    }
}

/// Bytes of `+3` or `-11`; 0 where there is no such thing.
fn signed_hours_bytes(text: &[u8]) -> usize {
    let [b'+' | b'-', digits @ ..] = text else {
        return 0;
    };
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    match number(&digits[..count]) {
        Some(0..=23) => 1 + count,
        _ => 0,
    }
}

fn date_of_year_day(year: i32, year_day: u16) -> Option<(u8, u8)> {
    if year_day < 1 || year_day > if is_leap(year) { 366 } else { 365 } {
        return None;
    }
    let mut day = year_day;
    for month in 1..=12 {
        let days = u16::from(days_in_month(month, year));
        if day <= days {
            return Some((month, day as u8));
        }
        day -= days;
    }
    None
}

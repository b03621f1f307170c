//! The three forms in which nearly every log writes its dates, read by hand.
//!
//! `None` means that `date/parse` has to ask the layouts: what is read here they read as the same time.

use super::calendar::days_in_month;
use super::{Calendar, LogTime};

/// The time that a text is, if it is in one of the three forms.
pub(super) fn short(text: &[u8]) -> Option<LogTime> {
    match text {
        // Jan _2 15:04:05
        [a, b, c, b' ', day @ .., h, hh, b':', m, mm, b':', s, ss] if text.len() == 15 => {
            let [d, dd, b' '] = *day else { return None };
            let day = if d == b' ' {
                two(b'0', dd)?
            } else {
                two(d, dd)?
            };
            let time = [two(*h, *hh)?, two(*m, *mm)?, two(*s, *ss)?];
            at(0, month([*a, *b, *c])?, day, time, 0, None)
        }
        // 02/Jan/2006:15:04:05 -0700
        [d, dd, b'/', a, b, c, b'/', y @ .., sign, oh, ohh, om, omm] if text.len() == 26 => {
            let [y1, y2, y3, y4, b':', h, hh, b':', m, mm, b':', s, ss, b' '] = *y else {
                return None;
            };
            let offset = offset(*sign, two(*oh, *ohh)?, two(*om, *omm)?)?;
            let time = [two(h, hh)?, two(m, mm)?, two(s, ss)?];
            at(
                year([y1, y2, y3, y4])?,
                month([*a, *b, *c])?,
                two(*d, *dd)?,
                time,
                0,
                Some(offset),
            )
        }
        // 2006-01-02T15:04:05, then a fraction, then an offset; or with a space and no offset
        [
            y1,
            y2,
            y3,
            y4,
            b'-',
            o,
            oo,
            b'-',
            d,
            dd,
            between @ (b'T' | b' '),
            h,
            hh,
            b':',
            m,
            mm,
            b':',
            s,
            ss,
            rest @ ..,
        ] => {
            let (nanos, rest) = fraction(rest);
            let offset = match *rest {
                [] => None,
                _ if *between == b' ' => return None,
                [b'Z'] => Some(0),
                [sign, h, hh, b':', m, mm] => Some(offset(sign, two(h, hh)?, two(m, mm)?)?),
                _ => return None,
            };
            let time = [two(*h, *hh)?, two(*m, *mm)?, two(*s, *ss)?];
            at(
                year([*y1, *y2, *y3, *y4])?,
                two(*o, *oo)?,
                two(*d, *dd)?,
                time,
                nanos,
                offset,
            )
        }
        _ => None,
    }
}

fn at(
    year: i32,
    month: u8,
    day: u8,
    [hour, minute, second]: [u8; 3],
    nanos: u32,
    offset: Option<i32>,
) -> Option<LogTime> {
    if !(1..=12).contains(&month) || day < 1 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if day > 28 && day > days_in_month(month, year) {
        return None;
    }
    let time = LogTime::from_calendar(
        Calendar {
            year,
            month,
            day,
            hour,
            minute,
            second,
            nanos,
        },
        offset.unwrap_or(0),
    );
    let time = if offset.is_none() { time.local() } else { time };
    (time != LogTime::GO_ZERO).then_some(time)
}

fn two(tens: u8, ones: u8) -> Option<u8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + (ones - b'0'))
}

fn year([a, b, c, d]: [u8; 4]) -> Option<i32> {
    Some(i32::from(two(a, b)?) * 100 + i32::from(two(c, d)?))
}

fn month(name: [u8; 3]) -> Option<u8> {
    Some(match &name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

fn offset(sign: u8, hours: u8, minutes: u8) -> Option<i32> {
    if hours > 24 || minutes > 60 {
        return None;
    }
    let secs = i32::from(hours) * 3600 + i32::from(minutes) * 60;
    match sign {
        b'+' => Some(secs),
        b'-' => Some(-secs),
        _ => None,
    }
}

/// A fraction of at most nine digits, and what is behind it; zero where there is none.
fn fraction(text: &[u8]) -> (u32, &[u8]) {
    let [b'.' | b',', digits @ ..] = text else {
        return (0, text);
    };
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if count == 0 || count > 9 {
        return (0, text);
    }
    let value = digits[..count]
        .iter()
        .fold(0, |sum, byte| sum * 10 + u32::from(byte - b'0'));
    (value * 10u32.pow(9 - count as u32), &digits[count..])
}

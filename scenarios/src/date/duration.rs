//! Lengths of time as Go writes them: `10s`, `0.5s`, `1h30m`, `100ms`.
//!
//! Rules give `leakspeed`, `duration`, `blackhole` and `ttl` in this form; profiles and allowlists may also
//! use `d` for days. Signed nanoseconds, as in Go, because expressions subtract and compare them.

use std::fmt;
use std::time::Duration;

/// A length of time as Go counts it: signed nanoseconds, about 292 years at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(i64);

/// Why a text is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing, or something that is not a number where one must be.
    #[error("invalid duration \"{0}\": write it like 10s, 1h30m or 100ms")]
    Invalid(String),
    /// A number without its unit.
    #[error("missing unit in duration \"{0}\": write it like 10s, 1h30m or 100ms")]
    MissingUnit(String),
    /// A unit that does not exist.
    #[error("unknown unit \"{unit}\" in duration \"{text}\": the units are {units}")]
    UnknownUnit {
        /// The whole text.
        text: String,
        /// The unit.
        unit: String,
        /// Those that there are.
        units: &'static str,
    },
    /// Longer than about 292 years.
    #[error("duration \"{0}\" is longer than 292 years")]
    TooLong(String),
}

const UNITS: &str = "h, m, s, ms, us, ns";
const UNITS_AND_DAYS: &str = "d, h, m, s, ms, us, ns";

impl GoDuration {
    /// No time at all.
    pub const ZERO: GoDuration = GoDuration(0);

    /// So many nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        GoDuration(nanos)
    }

    /// Its nanoseconds.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Its seconds.
    #[must_use]
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// As a duration of the standard library, if it is not negative.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        u64::try_from(self.0).ok().map(Duration::from_nanos)
    }

    /// Read a length of time with Go's units.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        parse(text, UNITS)
    }

    /// Read a length of time that may also count days.
    pub fn parse_with_days(text: &str) -> Result<Self, DurationError> {
        parse(text, UNITS_AND_DAYS)
    }
}

fn parse(text: &str, units: &'static str) -> Result<GoDuration, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let too_long = || DurationError::TooLong(text.to_owned());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(GoDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(invalid());
        }
        let (unit, after) = split(after, |c| !c.is_ascii_digit() && c != '.');
        if unit.is_empty() {
            return Err(DurationError::MissingUnit(text.to_owned()));
        }
        let Some(unit_nanos) = nanos_of(unit, units) else {
            return Err(DurationError::UnknownUnit {
                text: text.to_owned(),
                unit: unit.to_owned(),
                units,
            });
        };
        let whole: u64 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| too_long())?
        };
        let nanos = whole
            .checked_mul(unit_nanos)
            .and_then(|n| n.checked_add(share(fraction, unit_nanos)));
        total = nanos
            .and_then(|n| total.checked_add(n))
            .filter(|n| *n <= 1 << 63)
            .ok_or_else(too_long)?;
        rest = after;
    }
    match i64::try_from(total) {
        Ok(nanos) if negative => Ok(GoDuration(-nanos)),
        Ok(nanos) => Ok(GoDuration(nanos)),
        Err(_) if negative => Ok(GoDuration(i64::MIN)),
        Err(_) => Err(too_long()),
    }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

fn nanos_of(unit: &str, units: &'static str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" if units == UNITS_AND_DAYS => 86_400_000_000_000,
        _ => return None,
    })
}

/// The part of a unit that the digits after the point make. A day has 14 digits of nanoseconds: what is
/// behind the fifteenth changes nothing.
fn share(fraction: &str, unit_nanos: u64) -> u64 {
    let digits = &fraction.as_bytes()[..fraction.len().min(15)];
    let (value, scale) = digits.iter().fold((0u128, 1u128), |(v, s), d| {
        (v * 10 + u128::from(d - b'0'), s * 10)
    });
    (value * u128::from(unit_nanos) / scale) as u64
}

/// Go's way: `1h30m0s`, `1.5s`, `100ms`, `0s`.
impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        match nanos {
            0 => return f.write_str("0s"),
            1..1_000 => return write!(f, "{sign}{nanos}ns"),
            1_000..1_000_000 => return write!(f, "{sign}{}\u{b5}s", Fraction(nanos, 1_000)),
            1_000_000..1_000_000_000 => return write!(f, "{sign}{}ms", Fraction(nanos, 1_000_000)),
            _ => {}
        }
        let minute = 60_000_000_000;
        let minutes = nanos / minute;
        f.write_str(sign)?;
        if minutes >= 60 {
            write!(f, "{}h", minutes / 60)?;
        }
        if minutes > 0 {
            write!(f, "{}m", minutes % 60)?;
        }
        write!(f, "{}s", Fraction(nanos % minute, 1_000_000_000))
    }
}

/// So many of a unit, with a decimal fraction that has no trailing zeros.
struct Fraction(u64, u64);

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fraction(value, unit) = *self;
        write!(f, "{}", value / unit)?;
        let (mut rest, mut width) = (value % unit, unit.ilog10() as usize);
        if rest == 0 {
            return Ok(());
        }
        while rest % 10 == 0 {
            (rest, width) = (rest / 10, width - 1);
        }
        write!(f, ".{rest:0width$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_as_go_does() {
        let cases = [
            ("0", "0s"),
            ("10s", "10s"),
            ("0.5s", "500ms"),
            (".5s", "500ms"),
            ("1.s", "1s"),
            ("1h30m", "1h30m0s"),
            ("100ms", "100ms"),
            ("1m", "1m0s"),
            ("60m", "1h0m0s"),
            ("72h", "72h0m0s"),
            ("1h0.25s", "1h0m0.25s"),
            ("-1.5h", "-1h30m0s"),
            ("+5s", "5s"),
            ("1us", "1\u{b5}s"),
            ("1.5\u{b5}s", "1.5\u{b5}s"),
            ("2\u{3bc}s", "2\u{b5}s"),
            ("3ns", "3ns"),
            ("0.000000001s", "1ns"),
            ("0.0000000001s", "0s"),
            ("2562047h47m16.854775807s", "2562047h47m16.854775807s"),
            ("-2562047h47m16.854775808s", "-2562047h47m16.854775808s"),
        ];
        for (text, printed) in cases {
            assert_eq!(
                GoDuration::parse(text).expect(text).to_string(),
                printed,
                "{text}"
            );
        }
    }

    #[test]
    fn days_only_where_they_are_allowed() {
        assert_eq!(
            GoDuration::parse_with_days("7d").expect("7d").to_string(),
            "168h0m0s"
        );
        assert_eq!(
            GoDuration::parse_with_days("1d12h")
                .expect("1d12h")
                .to_string(),
            "36h0m0s"
        );
        let error = GoDuration::parse("7d").expect_err("no days");
        assert_eq!(
            error.to_string(),
            "unknown unit \"d\" in duration \"7d\": the units are h, m, s, ms, us, ns"
        );
    }

    #[test]
    fn says_what_is_wrong() {
        for text in [
            "", "+", "-", "s", ".", ".s", "1.2.3s", "- 5s", "five", " 10s",
        ] {
            assert_eq!(
                GoDuration::parse(text),
                Err(DurationError::Invalid(text.to_owned())),
                "{text}"
            );
        }
        assert_eq!(
            GoDuration::parse("10"),
            Err(DurationError::MissingUnit("10".to_owned()))
        );
        for text in ["10 s", "10S", "10s ", "3w"] {
            assert!(
                matches!(
                    GoDuration::parse(text),
                    Err(DurationError::UnknownUnit { .. })
                ),
                "{text}"
            );
        }
        for text in [
            "2562047h47m16.854775808s",
            "99999999999999999999s",
            "9223372036854775808ns",
        ] {
            assert_eq!(
                GoDuration::parse(text),
                Err(DurationError::TooLong(text.to_owned())),
                "{text}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_reads_back(nanos: i64) {
            let duration = GoDuration::from_nanos(nanos);
            proptest::prop_assert_eq!(GoDuration::parse(&duration.to_string()), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "[-+]?([0-9]{0,22}\\.?[0-9]{0,22}[smhd\u{b5}nu ]{0,3}){0,4}") {
            let _ = GoDuration::parse(&text);
            let _ = GoDuration::parse_with_days(&text);
        }
    }
}

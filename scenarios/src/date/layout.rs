//! A Go time layout: a date written as the reference time (`02/Jan/2006:15:04:05 -0700`) is to be written.
//!
//! `Layout::parse` reads what Go's `time.Parse` reads, with the same leniencies: a fraction after the seconds
//! that the layout does not have, any run of spaces for a space, names in any case, one digit where Go takes
//! one, `.` or `,` before a fraction. A zone's name gives no offset (`CET` means several things; Go with the
//! zone UTC gives 0 as well), except `GMT+3`. Nothing is allocated while reading.
//!
//! Pieces of a layout are in `layout/piece`.

mod piece;
mod read;
mod write;

use self::piece::{Part, Parts};
use super::LogTime;

/// A Go time layout, taken apart once.
#[derive(Clone, Debug)]
pub struct Layout {
    text: Box<[u8]>,
    /// End of each part's literal text and of the part, in `text`, and what it is.
    parts: Box<[(u32, u32, Option<piece::Piece>)]>,
}

impl Layout {
    /// Take a layout apart. Every text is a layout: what is no piece of the reference time stands for itself.
    #[must_use]
    pub fn compile(layout: &str) -> Self {
        let text: Box<[u8]> = layout.as_bytes().into();
        let mut parts = Vec::new();
        let mut at = 0;
        for part in Parts::of(&text) {
            let literal_end = at + part.literal.len();
            at = literal_end + part.piece_bytes;
            parts.push((literal_end as u32, at as u32, part.piece));
        }
        Layout {
            parts: parts.into(),
            text,
        }
    }

    /// The layout as it was written.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The time that a text is in this layout. A date without a year has the year 0.
    #[must_use]
    pub fn parse(&self, text: &[u8]) -> Option<LogTime> {
        read::read(self.parts(), text)
    }

    /// Read with a layout that is used once, without taking it apart first.
    #[must_use]
    pub fn parse_once(layout: &[u8], text: &[u8]) -> Option<LogTime> {
        read::read(Parts::of(layout), text)
    }

    /// Write a time in this layout.
    #[must_use]
    pub fn format(&self, time: LogTime) -> String {
        write::write(self.parts(), time)
    }

    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let mut at = 0;
        self.parts.iter().map(move |&(literal_end, end, piece)| {
            let literal = &self.text[at..literal_end as usize];
            at = end as usize;
            Part {
                literal,
                piece,
                piece_bytes: (end - literal_end) as usize,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(layout: &str, text: &str, expected: Option<&str>) {
        let read = Layout::compile(layout).parse(text.as_bytes());
        assert_eq!(
            read.map(|time| time.to_string()).as_deref(),
            expected,
            "{layout}: {text}"
        );
        let once = Layout::parse_once(layout.as_bytes(), text.as_bytes());
        assert_eq!(
            once.map(|time| time.to_string()).as_deref(),
            expected,
            "{layout}: {text}, once"
        );
    }

    #[test]
    fn reads_every_piece() {
        check(
            "Monday, 02-Jan-06 15:04:05 MST",
            "sunday, 03-JAN-26 9:05:07 UTC",
            Some("2026-01-03T09:05:07Z"),
        );
        check(
            "January _2, 2006 at 3:04pm (MST)",
            "March  4, 2026 at 9:05pm (CET)",
            Some("2026-03-04T21:05:00Z"),
        );
        check("3:04 PM", "12:30 AM", Some("0000-01-01T00:30:00Z"));
        check("3:04 PM", "12:30 PM", Some("0000-01-01T12:30:00Z"));
        check("3:04 PM", "12:30 pm", None);
        check("3 PM", "13 PM", None);
        check("06", "69", Some("1969-01-01T00:00:00Z"));
        check("06", "68", Some("2068-01-01T00:00:00Z"));
        check("2006-002", "2024-366", Some("2024-12-31T00:00:00Z"));
        check("2006-002", "2025-366", None);
        check("2006-002", "2024-060", Some("2024-02-29T00:00:00Z"));
        check("2006 __2", "2024   5", Some("2024-01-05T00:00:00Z"));
        check("2006-002 01", "2024-060 03", None);
        check("_2006", "_2024", Some("2024-01-01T00:00:00Z"));
        check(
            "15:04:05.000",
            "09:05:07.123",
            Some("0000-01-01T09:05:07.123Z"),
        );
        check("15:04:05.000", "09:05:07.12", None);
        check(
            "15:04:05.000",
            "09:05:07,123",
            Some("0000-01-01T09:05:07.123Z"),
        );
        check("15:04:05.999", "09:05:07", Some("0000-01-01T09:05:07Z"));
        check("15:04:05", "09:05:07.5", Some("0000-01-01T09:05:07.5Z"));
        check(
            "15:04:05 Z07",
            "09:05:07 +02",
            Some("0000-01-01T09:05:07+02:00"),
        );
        check("15:04:05 Z0700", "09:05:07 Z", Some("0000-01-01T09:05:07Z"));
        check(
            "15:04:05 -070000",
            "09:05:07 -013000",
            Some("0000-01-01T09:05:07-01:30"),
        );
        check(
            "15:04:05 -07:00:00",
            "09:05:07 +24:00:00",
            Some("0000-01-01T09:05:07+24:00"),
        );
        check(
            "15:04 MST",
            "09:05 GMT+3",
            Some("0000-01-01T09:05:00+03:00"),
        );
        check(
            "15:04 MST",
            "09:05 GMT-11",
            Some("0000-01-01T09:05:00-11:00"),
        );
        check("15:04 MST", "09:05 WITA", Some("0000-01-01T09:05:00Z"));
        check("15:04 MST", "09:05 ABCD", None);
        check("15:04 MST", "09:05 +03", Some("0000-01-01T09:05:00Z"));
    }

    #[test]
    fn what_only_looks_like_a_piece_stands_for_itself() {
        check("Janet 2", "Janet 5", Some("0000-01-05T00:00:00Z"));
        check(".05", ".07", Some("0000-01-01T00:00:07Z"));
        check(".0005", ".0007", Some("0000-01-01T00:00:07Z"));
        check("", "", Some("0000-01-01T00:00:00Z"));
        check("", " ", None);
        check("2 ", "5", Some("0000-01-05T00:00:00Z"));
        check("2006   01", "2026 04", Some("2026-04-01T00:00:00Z"));
    }

    #[test]
    fn prints_every_piece() {
        let time = LogTime::from_unix(1_767_434_707, 120_000_000).in_offset(-12_600);
        let cases = [
            (
                "Monday Mon January Jan 1 01",
                "Saturday Sat January Jan 1 01",
            ),
            ("2 _2 02 002 __2", "3  3 03 003   3"),
            ("15 3 03 4 04 5 05 PM pm", "06 6 06 35 35 7 07 AM am"),
            ("2006 06", "2026 26"),
            (".000 .999999 .0", ".120 .12 .1"),
            (
                "-07 -0700 -07:00 -070000 -07:00:00",
                "-03 -0330 -03:30 -033000 -03:30:00",
            ),
            ("Z07:00 Z0700 MST", "-03:30 -0330 -0330"),
        ];
        for (layout, expected) in cases {
            assert_eq!(Layout::compile(layout).format(time), expected, "{layout}");
        }
        assert_eq!(
            Layout::compile("Z07:00 MST -07").format(time.in_offset(0)),
            "Z UTC +00"
        );
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_reads_back(
            layout in proptest::sample::select(vec![
                "2006-01-02T15:04:05.999999999Z07:00",
                "Mon, 2 Jan 2006 15:04:05.000000000 -0700",
                "06-002 03:04:05.999999999 PM -07:00",
                "Monday, January _2 2006 3h4m5.000000000s pm Z0700",
                "2006 __2 15/04/05,000000000 -07:00:00",
            ]),
            secs in 0i64..3_000_000_000,
            nanos in 0u32..1_000_000_000,
            quarters in -56i32..=56,
        ) {
            let layout = Layout::compile(layout);
            let time = LogTime::from_unix(secs, nanos).in_offset(quarters * 900);
            let again = layout.parse(layout.format(time).as_bytes());
            proptest::prop_assert_eq!(again.map(|t| (t, t.offset_secs())), Some((time, time.offset_secs())));
        }

        #[test]
        fn no_bytes_panic(layout: String, text: Vec<u8>) {
            let layout = Layout::compile(&layout);
            let _ = layout.parse(&text).map(|time| layout.format(time));
        }
    }
}

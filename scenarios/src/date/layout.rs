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

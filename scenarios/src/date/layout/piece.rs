//! The pieces of the reference time `Mon Jan 2 15:04:05 MST 2006` that a Go layout is made of.

/// One piece of a layout that stands for a part of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// `January`.
    LongMonth,
    /// `Jan`.
    Month,
    /// `1`, or `01` where it is of two digits.
    NumericMonth { fixed: bool },
    /// `Monday`.
    LongWeekday,
    /// `Mon`.
    Weekday,
    /// `2`.
    Day,
    /// `_2`.
    PaddedDay,
    /// `02`.
    FixedDay,
    /// `__2`, or `002` where it is of three digits.
    YearDay { fixed: bool },
    /// `15`.
    Hour,
    /// `3`, or `03`.
    Hour12 { fixed: bool },
    /// `4`, or `04`.
    Minute { fixed: bool },
    /// `5`, or `05`; and whether the layout itself goes on with a fraction.
    Second { fixed: bool, then_fraction: bool },
    /// `2006`.
    Year,
    /// `06`.
    ShortYear,
    /// `PM`, or `pm`.
    HalfDay { upper: bool },
    /// `MST`.
    ZoneName,
    /// `-0700` and its kin.
    Offset { shape: OffsetShape, z_for_utc: bool },
    /// `.000`: exactly so many digits.
    Fraction { digits: usize, point: u8 },
    /// `.999`: any digits, or none; written with at most so many and without trailing zeros.
    OpenFraction { digits: usize, point: u8 },
}

/// How an offset is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OffsetShape {
    /// `-07`.
    Hours,
    /// `-0700`.
    Minutes,
    /// `-07:00`.
    ColonMinutes,
    /// `-070000`.
    Seconds,
    /// `-07:00:00`.
    ColonSeconds,
}

/// Text that stands for itself and the piece behind it; the last part of a layout has no piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    pub(super) literal: &'a [u8],
    pub(super) piece: Option<Piece>,
    /// Bytes of the layout that the piece takes.
    pub(super) piece_bytes: usize,
}

/// The parts of a layout, in order.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    layout: &'a [u8],
    done: bool,
}

impl<'a> Parts<'a> {
    pub(super) fn of(layout: &'a [u8]) -> Self {
        Parts {
            layout,
            done: false,
        }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        if self.done {
            return None;
        }
        let Some((start, piece, bytes)) = first_piece(self.layout) else {
            self.done = true;
            return Some(Part {
                literal: self.layout,
                piece: None,
                piece_bytes: 0,
            });
        };
        let literal = &self.layout[..start];
        self.layout = &self.layout[start + bytes..];
        let piece = if let Piece::Second { fixed, .. } = piece {
            let next = first_piece(self.layout).map(|(_, piece, _)| piece);
            let then_fraction = matches!(
                next,
                Some(Piece::Fraction { .. } | Piece::OpenFraction { .. })
            );
            Piece::Second {
                fixed,
                then_fraction,
            }
        } else {
            piece
        };
        Some(Part {
            literal,
            piece: Some(piece),
            piece_bytes: bytes,
        })
    }
}

/// Where the first piece of a layout starts, what it is, and how long it is.
fn first_piece(layout: &[u8]) -> Option<(usize, Piece, usize)> {
    (0..layout.len()).find_map(|at| {
        let (piece, bytes) = piece_at(&layout[at..])?;
        // `_2006` is an underscore and a year.
        let start = if layout[at] == b'_' && piece == Piece::Year {
            at + 1
        } else {
            at
        };
        Some((start, piece, bytes))
    })
}

fn piece_at(layout: &[u8]) -> Option<(Piece, usize)> {
    use OffsetShape::{ColonMinutes, ColonSeconds, Hours, Minutes, Seconds};
    let starts = |text: &str| layout.starts_with(text.as_bytes());
    let word_ends = |at: usize| !layout.get(at).is_some_and(u8::is_ascii_lowercase);
    let second = |fixed| Piece::Second {
        fixed,
        then_fraction: false,
    };
    let offset = |shape, z_for_utc| Piece::Offset { shape, z_for_utc };
    let found = match layout.first()? {
        b'J' if starts("January") => (Piece::LongMonth, 7),
        b'J' if starts("Jan") && word_ends(3) => (Piece::Month, 3),
        b'M' if starts("Monday") => (Piece::LongWeekday, 6),
        b'M' if starts("Mon") && word_ends(3) => (Piece::Weekday, 3),
        b'M' if starts("MST") => (Piece::ZoneName, 3),
        b'0' => match layout.get(1)? {
            b'1' => (Piece::NumericMonth { fixed: true }, 2),
            b'2' => (Piece::FixedDay, 2),
            b'3' => (Piece::Hour12 { fixed: true }, 2),
            b'4' => (Piece::Minute { fixed: true }, 2),
            b'5' => (second(true), 2),
            b'6' => (Piece::ShortYear, 2),
            b'0' if starts("002") => (Piece::YearDay { fixed: true }, 3),
            _ => return None,
        },
        b'1' if starts("15") => (Piece::Hour, 2),
        b'1' => (Piece::NumericMonth { fixed: false }, 1),
        b'2' if starts("2006") => (Piece::Year, 4),
        b'2' => (Piece::Day, 1),
        b'_' if starts("_2006") => (Piece::Year, 4),
        b'_' if starts("_2") => (Piece::PaddedDay, 2),
        b'_' if starts("__2") => (Piece::YearDay { fixed: false }, 3),
        b'3' => (Piece::Hour12 { fixed: false }, 1),
        b'4' => (Piece::Minute { fixed: false }, 1),
        b'5' => (second(false), 1),
        b'P' if starts("PM") => (Piece::HalfDay { upper: true }, 2),
        b'p' if starts("pm") => (Piece::HalfDay { upper: false }, 2),
        b'-' if starts("-070000") => (offset(Seconds, false), 7),
        b'-' if starts("-07:00:00") => (offset(ColonSeconds, false), 9),
        b'-' if starts("-0700") => (offset(Minutes, false), 5),
        b'-' if starts("-07:00") => (offset(ColonMinutes, false), 6),
        b'-' if starts("-07") => (offset(Hours, false), 3),
        b'Z' if starts("Z070000") => (offset(Seconds, true), 7),
        b'Z' if starts("Z07:00:00") => (offset(ColonSeconds, true), 9),
        b'Z' if starts("Z0700") => (offset(Minutes, true), 5),
        b'Z' if starts("Z07:00") => (offset(ColonMinutes, true), 6),
        b'Z' if starts("Z07") => (offset(Hours, true), 3),
        b'.' | b',' => return fraction_at(layout),
        _ => return None,
    };
    Some(found)
}

/// `.000` or `.999`, where no other digit follows.
fn fraction_at(layout: &[u8]) -> Option<(Piece, usize)> {
    let (point, digit) = (layout[0], *layout.get(1)?);
    let digits = layout[1..]
        .iter()
        .take_while(|byte| **byte == digit)
        .count();
    if layout.get(1 + digits).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    match digit {
        b'0' => Some((Piece::Fraction { digits, point }, 1 + digits)),
        b'9' => Some((Piece::OpenFraction { digits, point }, 1 + digits)),
        _ => None,
    }
}

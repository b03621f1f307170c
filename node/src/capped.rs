//! Lines of a reader that may be anything, in bounded memory: what is longer than the cap is read to its end
//! and handed out cut, marked as too long. Used for the operator's book and for imported lists.

use std::io::{self, BufRead};

/// Lines up to a cap.
#[derive(Debug)]
pub(crate) struct CappedLines<R> {
    reader: R,
    text: Vec<u8>,
    max: usize,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Its text without the end of the line, cut at the cap.
    pub(crate) text: &'a [u8],
    /// Whether it was longer than the cap.
    pub(crate) is_too_long: bool,
    /// Whether the end of the line was there; only the last one may lack it.
    pub(crate) is_ended: bool,
    /// How many bytes of the reader it took, its end included.
    pub(crate) bytes: u64,
}

impl<R: BufRead> CappedLines<R> {
    /// Lines of at most `max` bytes.
    pub(crate) fn new(reader: R, max: usize) -> Self {
        CappedLines {
            reader,
            text: Vec::new(),
            max,
        }
    }

    /// The next line; `None` at the end.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.text.clear();
        let (mut bytes, mut is_too_long, mut is_ended) = (0, false, false);
        while !is_ended {
            let some = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                some => some?,
            };
            if some.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', some);
            let (piece, taken) = match end {
                Some(end) => (&some[..end], end + 1),
                None => (some, some.len()),
            };
            let room = self.max - self.text.len();
            is_too_long |= piece.len() > room;
            self.text.extend_from_slice(&piece[..piece.len().min(room)]);
            is_ended = end.is_some();
            bytes += taken as u64;
            self.reader.consume(taken);
        }
        Ok((bytes > 0).then_some(Line {
            text: &self.text,
            is_too_long,
            is_ended,
            bytes,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn hands_out_lines_up_to_the_cap() {
        let check = |input: &str, expected: &[(&str, bool, bool, u64)]| {
            for at_once in [1, 2, 3, 100] {
                let reader = BufReader::with_capacity(at_once, input.as_bytes());
                let mut lines = CappedLines::new(reader, 4);
                let mut found = Vec::new();
                while let Some(line) = lines.next_line().unwrap() {
                    let text = String::from_utf8(line.text.to_vec()).unwrap();
                    found.push((text, line.is_too_long, line.is_ended, line.bytes));
                }
                let expected: Vec<_> = expected
                    .iter()
                    .map(|(text, long, ended, bytes)| ((*text).to_owned(), *long, *ended, *bytes))
                    .collect();
                assert_eq!(found, expected, "{input:?}");
            }
        };
        check("", &[]);
        check("\n", &[("", false, true, 1)]);
        check("a\nb", &[("a", false, true, 2), ("b", false, false, 1)]);
        check(
            "abcd\nabcde\nx\n",
            &[
                ("abcd", false, true, 5),
                ("abcd", true, true, 6),
                ("x", false, true, 2),
            ],
        );
        check("abcdefghi", &[("abcd", true, false, 9)]);
    }
}

//! From the bytes of a file to its lines: how far they are complete, and what of them is too long.

use lymph_scenarios::line::LINE_BYTES_MAX;
use memchr::memchr_iter;

use crate::daemon::sources::batch::Batch;
use crate::daemon::sources::line_id::Seed;

/// Some bytes of a file, and what is known about them.
#[derive(Clone, Copy, Debug)]
pub(in crate::daemon) struct Window {
    /// Where in the file its first byte is.
    pub(in crate::daemon) offset: u64,
    /// Whether the first bytes are the rest of a line that was cut.
    pub(in crate::daemon) skipping: bool,
    /// Whether no longer window can be read.
    pub(in crate::daemon) full: bool,
    /// Whether nothing will follow, so that a last line without its end is a line.
    pub(in crate::daemon) last: bool,
    /// The key of the ids.
    pub(in crate::daemon) seed: Seed,
}

/// How much of a window was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Consumed {
    /// How many bytes: up to the first line that is not complete.
    pub(in crate::daemon) bytes: usize,
    /// Whether they end within a line that was cut.
    pub(in crate::daemon) skipping: bool,
}

/// Adds the lines in `batch.text[from..to]` to the batch.
pub(in crate::daemon) fn split(
    batch: &mut Batch,
    from: usize,
    to: usize,
    window: Window,
) -> Consumed {
    let mut skipping = window.skipping;
    let mut begin = from;
    // The buffer is lent out for the search, because the batch is written to meanwhile.
    let text = std::mem::take(&mut batch.text);
    for newline in memchr_iter(b'\n', &text[from..to]).map(|at| from + at) {
        if std::mem::take(&mut skipping) {
            begin = newline + 1;
            continue;
        }
        let start = begin + leading_nuls(&text[begin..newline]);
        batch.push_from(
            &text,
            start..newline,
            window.seed,
            window.offset + (start - from) as u64,
        );
        begin = newline + 1;
        if batch.is_full() {
            batch.text = text;
            return Consumed {
                bytes: begin - from,
                skipping,
            };
        }
    }
    if skipping {
        begin = to;
    } else {
        begin += leading_nuls(&text[begin..to]);
        let too_long = to - begin > LINE_BYTES_MAX;
        if too_long || (window.last && begin < to) {
            batch.push_from(
                &text,
                begin..to,
                window.seed,
                window.offset + (begin - from) as u64,
            );
            skipping = too_long && !window.last;
            begin = to;
        }
    }
    batch.text = text;
    Consumed {
        bytes: begin - from,
        skipping,
    }
}

/// A writer that was not told of a truncation goes on at its old offset; what lies before is a hole that reads
/// as zeros. Some file systems leave zeros after a power cut as well. No line begins with one.
fn leading_nuls(bytes: &[u8]) -> usize {
    if bytes.first() != Some(&0) {
        return 0;
    }
    bytes
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use lymph_protocol::Timestamp;

    use super::*;

    fn check(text: &str, skipping: bool, last: bool, lines: &[&str], consumed: usize, skips: bool) {
        let mut batch = Batch {
            text: text.as_bytes().to_vec(),
            ..Batch::default()
        };
        let seed = Seed::new(b"", b"");
        let window = Window {
            offset: 7,
            skipping,
            full: false,
            last,
            seed,
        };
        let got = split(&mut batch, 0, text.len(), window);
        let texts: Vec<_> = batch
            .lines(Timestamp::EPOCH)
            .map(|line| String::from_utf8_lossy(line.text).into_owned())
            .collect();
        assert_eq!(texts, lines, "{text:?}");
        assert_eq!(
            got,
            Consumed {
                bytes: consumed,
                skipping: skips
            },
            "{text:?}"
        );
    }

    #[test]
    fn a_line_is_what_ends() {
        check("", false, false, &[], 0, false);
        check("a\nb\r\n\n\r\nc", false, false, &["a", "b"], 8, false);
        check("a\nb", false, true, &["a", "b"], 3, false);
        check("rest\na\n", true, false, &["a"], 7, false);
        check("rest", true, false, &[], 4, true);
        check(
            "\0\0\0a\n\0\0\nb\n\0\0",
            false,
            false,
            &["a", "b"],
            12,
            false,
        );
        check("\0\0a", false, false, &[], 2, false);
        check("a\0\n", false, false, &["a\0"], 3, false);
    }

    #[test]
    fn what_is_too_long_is_cut_once() {
        let long = "x".repeat(LINE_BYTES_MAX + 1);
        let most = &long[..LINE_BYTES_MAX];
        check(most, false, false, &[], 0, false);
        check(&long, false, false, &[most], LINE_BYTES_MAX + 1, true);
        check(&long, false, true, &[most], LINE_BYTES_MAX + 1, false);
        check(
            &format!("{long}\na\n"),
            false,
            false,
            &[most, "a"],
            LINE_BYTES_MAX + 4,
            false,
        );
        check(
            &format!("{most}\na"),
            false,
            false,
            &[most],
            LINE_BYTES_MAX + 1,
            false,
        );
    }

    #[test]
    fn offsets_are_the_files() {
        let mut batch = Batch {
            text: b"a\nbc\n\0d\n".to_vec(),
            ..Batch::default()
        };
        let seed = Seed::new(b"n", b"f");
        split(
            &mut batch,
            2,
            8,
            Window {
                offset: 100,
                skipping: false,
                full: false,
                last: false,
                seed,
            },
        );
        let ids: Vec<_> = batch.lines(Timestamp::EPOCH).map(|line| line.id).collect();
        assert_eq!(ids, [seed.line_id(100, b"bc"), seed.line_id(104, b"d")]);
    }

    #[test]
    fn a_batch_has_an_end() {
        let text = "a\n".repeat(crate::daemon::sources::batch::BATCH_LINES_MAX + 5);
        let mut batch = Batch {
            text: text.clone().into_bytes(),
            ..Batch::default()
        };
        let seed = Seed::new(b"", b"");
        let got = split(
            &mut batch,
            0,
            text.len(),
            Window {
                offset: 0,
                skipping: false,
                full: true,
                last: true,
                seed,
            },
        );
        assert_eq!(got.bytes, text.len() - 10);
    }
}

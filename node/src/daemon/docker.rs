//! The lines inside a log of Docker's `json-file` driver:
//! `{"log":"GET / …\n","stream":"stdout","time":"2026-03-01T10:00:00.1Z"}`.
//!
//! Docker cuts what a container writes into pieces of 16 KiB; a line is complete with the piece that ends in
//! a newline. Reading waits at the first piece of an incomplete line, so nothing is kept between two reads.
//! Where the other stream comes in between, the incomplete line is handed out as it is.

use std::borrow::Cow;

use lymph_scenarios::line::LINE_BYTES_MAX;
use memchr::memchr_iter;
use serde::Deserialize;

use super::sources::batch::Batch;
use super::tail::lines::{Consumed, Window};

/// Where that engine keeps its containers, each in a folder named by its id.
pub const CONTAINERS: &str = "/var/lib/docker/containers";

/// Where the engine of Debian's and of Docker's own packages keeps the logs of containers.
pub const CONTAINER_LOGS: &str = "/var/lib/docker/containers/*/*-json.log";

#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
}

/// A line whose end has not come yet.
struct Pending {
    /// Where its first piece begins in the window.
    begin: usize,
    /// Where its text begins in the batch.
    text: usize,
    stderr: bool,
}

/// Adds the lines that the records in `raw` hold to the batch.
pub(in crate::daemon) fn unwrap(batch: &mut Batch, raw: &[u8], window: Window) -> Consumed {
    batch.text.clear();
    let mut skipping = window.skipping;
    let mut begin = 0;
    let mut pending: Option<Pending> = None;
    for newline in memchr_iter(b'\n', raw) {
        let record = &raw[begin..newline];
        let next = newline + 1;
        let piece = serde_json::from_slice::<Piece<'_>>(record).ok();
        let (log, stderr) = match &piece {
            Some(piece) => (piece.log.as_bytes(), piece.stream == "stderr"),
            // Not written by Docker, or torn by a crash: handed out as it is, so that it is seen.
            None => (record, false),
        };
        let ends = piece.is_none() || log.ends_with(b"\n");
        if skipping {
            skipping = !ends;
            begin = next;
            continue;
        }
        if let Some(other) = pending.take_if(|pending| pending.stderr != stderr || piece.is_none())
        {
            finish(batch, &other, window);
        }
        let line = pending.get_or_insert(Pending {
            begin,
            text: batch.text.len(),
            stderr,
        });
        batch.text.extend_from_slice(log);
        let too_long = batch.text.len() - line.text > LINE_BYTES_MAX + 1;
        begin = next;
        if ends || too_long {
            skipping = !ends;
            if let Some(line) = pending.take() {
                finish(batch, &line, window);
            }
            if batch.is_full() {
                return Consumed {
                    bytes: begin,
                    skipping,
                };
            }
        }
    }
    let Some(line) = pending else {
        // A record that no window holds is none of Docker's.
        let hopeless = window.full && begin == 0;
        return Consumed {
            bytes: if hopeless { raw.len() } else { begin },
            skipping: skipping || hopeless,
        };
    };
    if window.last || (window.full && line.begin == 0) {
        finish(batch, &line, window);
        return Consumed {
            bytes: begin,
            skipping: !window.last,
        };
    }
    batch.text.truncate(line.text);
    Consumed {
        bytes: line.begin,
        skipping: false,
    }
}

fn finish(batch: &mut Batch, line: &Pending, window: Window) {
    let end = batch.text.len() - usize::from(batch.text.ends_with(b"\n"));
    batch.push(
        line.text..end.max(line.text),
        window.seed,
        window.offset + line.begin as u64,
    );
}

#[cfg(test)]
mod tests {
    use lymph_protocol::Timestamp;

    use super::*;
    use crate::daemon::sources::line_id::Seed;

    fn read(raw: &str, skipping: bool, full: bool, last: bool) -> (Vec<String>, Consumed) {
        let mut batch = Batch::default();
        let window = Window {
            offset: 0,
            skipping,
            full,
            last,
            seed: Seed::new(b"", b""),
        };
        let consumed = unwrap(&mut batch, raw.as_bytes(), window);
        let lines = batch
            .lines(Timestamp::EPOCH)
            .map(|line| String::from_utf8_lossy(line.text).into_owned());
        (lines.collect(), consumed)
    }

    fn record(log: &str, stream: &str) -> String {
        format!(
            "{}\n",
            serde_json::json!({"log": log, "stream": stream, "time": "2026-03-01T10:00:00.123456789Z"})
        )
    }

    #[test]
    fn unwraps_and_joins() {
        let raw = record("a \"b\" ü\n", "stdout")
            + &record("half ", "stderr")
            + &record("whole\n", "stderr")
            + &record("\n", "stdout");
        let (lines, consumed) = read(&raw, false, false, false);
        assert_eq!(lines, ["a \"b\" ü", "half whole"]);
        assert_eq!(
            consumed,
            Consumed {
                bytes: raw.len(),
                skipping: false
            }
        );
    }

    #[test]
    fn waits_at_the_first_piece() {
        let first = record("one\n", "stdout");
        let raw = first.clone()
            + &record("two, ", "stdout")
            + &record("still two, ", "stdout")
            + "{\"log\":\"and";
        let (lines, consumed) = read(&raw, false, false, false);
        assert_eq!(
            (lines.as_slice(), consumed.bytes),
            (&["one".to_owned()][..], first.len())
        );
        let whole = record("two, ", "stdout") + &record("still two, ", "stdout");
        assert_eq!(read(&whole, false, false, true).0, ["two, still two, "]);
    }

    #[test]
    fn the_other_stream_ends_a_line() {
        let raw =
            record("out ", "stdout") + &record("err\n", "stderr") + &record("more\n", "stdout");
        assert_eq!(read(&raw, false, false, false).0, ["out ", "err", "more"]);
    }

    #[test]
    fn what_is_too_long_is_cut_and_skipped() {
        let piece = record(&"x".repeat(16 * 1024), "stdout");
        let raw = piece.repeat(5) + &record("end\n", "stdout") + &record("next\n", "stdout");
        let (lines, consumed) = read(&raw, false, false, false);
        assert_eq!(lines, ["x".repeat(LINE_BYTES_MAX), "next".to_owned()]);
        assert_eq!(
            consumed,
            Consumed {
                bytes: raw.len(),
                skipping: false
            }
        );
        // Escapes make the pieces of one line longer than a window.
        let raw = record(&"\u{1}".repeat(16 * 1024), "stdout");
        let (lines, consumed) = read(&raw, false, true, false);
        assert_eq!(
            (lines.len(), consumed),
            (
                1,
                Consumed {
                    bytes: raw.len(),
                    skipping: true
                }
            )
        );
        assert_eq!(
            read(
                &(piece + &record("end\n", "stdout") + &record("a\n", "stdout")),
                true,
                false,
                false
            )
            .0,
            ["a"]
        );
    }

    #[test]
    fn what_is_no_record_is_seen_as_it_is() {
        let raw = "torn\n".to_owned() + &record("a\n", "stdout") + "{\"no\":\"log\"}\n";
        assert_eq!(
            read(&raw, false, false, false).0,
            ["torn", "a", "{\"no\":\"log\"}"]
        );
        let (lines, consumed) = read(&"x".repeat(1000), false, true, false);
        assert_eq!(
            (lines.len(), consumed),
            (
                0,
                Consumed {
                    bytes: 1000,
                    skipping: true
                }
            )
        );
    }
}

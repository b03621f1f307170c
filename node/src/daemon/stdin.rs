//! The standard input as a source: `some-server | lymph run -`.
//!
//! It cannot be read twice, so it has no position. The id of a line is made of its text and its offset.

use std::io::{self, Read};
use std::sync::Arc;

use lymph_scenarios::line::Source;
use tokio::sync::mpsc::Sender;

use super::sources::alive::Guard;
use super::sources::batch::{BATCH_BYTES_MAX, Batch};
use super::sources::line_id::Seed;
use super::sources::notice::{Notice, NoticeKind};
use super::tail::lines::{Window, split};

/// Reads the standard input in a thread of its own until it ends or nobody wants its lines.
///
/// Its end is nothing unusual; only what comes before that is for the guard.
pub(super) fn start(source: Arc<Source>, outbox: Sender<Batch>, guard: Guard) -> io::Result<()> {
    let put = move |batch| outbox.blocking_send(batch).is_ok();
    std::thread::Builder::new()
        .name("lymph-stdin".into())
        .spawn(move || {
            read(io::stdin().lock(), &source, put);
            guard.finish();
        })
        .map(drop)
}

fn read(mut input: impl Read, source: &Arc<Source>, mut put: impl FnMut(Batch) -> bool) {
    let seed = Seed::new(source.name.as_bytes(), b"");
    let mut window = Window {
        offset: 0,
        skipping: false,
        full: false,
        last: false,
        seed,
    };
    let mut begun: Vec<u8> = Vec::new();
    let mut cut_was_said = false;
    while !window.last {
        let mut batch = Batch {
            source: Arc::clone(source),
            ..Batch::default()
        };
        batch.text.append(&mut begun);
        let begun_bytes = batch.text.len();
        batch.text.resize(BATCH_BYTES_MAX, 0);
        let filled = match input.read(&mut batch.text[begun_bytes..]) {
            Ok(bytes) => {
                window.last = bytes == 0;
                begun_bytes + bytes
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => begun_bytes,
            Err(error) => {
                let message = format!("cannot be read any further: {error}");
                batch
                    .notices
                    .push(Notice::new(NoticeKind::Failed, &source.name, message));
                window.last = true;
                begun_bytes
            }
        };
        let mut from = 0;
        // More lines than a batch may hold are rare, so that they may cost a copy.
        loop {
            let consumed = split(&mut batch, from, filled, window);
            window.offset += consumed.bytes as u64;
            window.skipping = consumed.skipping;
            from += consumed.bytes;
            if !batch.is_full() {
                break;
            }
            let rest = batch.text[from..filled].to_vec();
            let full = std::mem::replace(
                &mut batch,
                Batch {
                    source: Arc::clone(source),
                    ..Batch::default()
                },
            );
            if !put(full) {
                return;
            }
            batch.text.resize(from, 0);
            batch.text.extend(rest);
        }
        begun.extend_from_slice(&batch.text[from..filled]);
        if batch.cut_lines > 0 && !std::mem::replace(&mut cut_was_said, true) {
            let message =
                "has lines of more than 64 KiB; the rest of them is skipped, and they are counted";
            batch
                .notices
                .push(Notice::new(NoticeKind::Cut, &source.name, message));
        }
        if window.last {
            batch.notices.push(Notice::new(
                NoticeKind::Ended,
                &source.name,
                "has come to its end",
            ));
        }
        if !batch.says_nothing() && !put(batch) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lymph_protocol::Timestamp;
    use lymph_scenarios::line::LINE_BYTES_MAX;

    use super::*;

    /// Gives so many bytes a time.
    struct Dripping<'a>(&'a [u8], usize);

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let (now, later) = self.0.split_at(self.1.min(self.0.len()).min(buffer.len()));
            buffer[..now.len()].copy_from_slice(now);
            self.0 = later;
            Ok(now.len())
        }
    }

    fn lines(input: &[u8], step: usize) -> (Vec<(Vec<u8>, u64)>, u64) {
        let (mut lines, mut cut) = (Vec::new(), 0);
        read(
            Dripping(input, step),
            &Arc::new(Source::file("stdin", "syslog")),
            |batch| {
                lines.extend(
                    batch
                        .lines(Timestamp::EPOCH)
                        .map(|line| (line.text.to_vec(), line.id)),
                );
                cut += batch.cut_lines;
                true
            },
        );
        (lines, cut)
    }

    #[test]
    fn lines_and_ids_do_not_hang_on_how_they_arrive() {
        let mut input = Vec::new();
        for number in 0..5000 {
            input.extend_from_slice(format!("{number}\n").as_bytes());
        }
        input.extend_from_slice(b"no end");
        let whole = lines(&input, usize::MAX).0;
        assert_eq!(whole.len(), 5001);
        assert_eq!(
            whole
                .iter()
                .map(|(_, id)| id)
                .collect::<BTreeSet<_>>()
                .len(),
            5001
        );
        for step in [7, 1000, 8191] {
            assert_eq!(lines(&input, step).0, whole);
        }
    }

    #[test]
    fn a_long_line_is_cut() {
        let input = [vec![b'x'; 3_000_000], b"\nshort\n".to_vec()].concat();
        let (lines, cut) = lines(&input, 10_000);
        assert_eq!((lines.len(), cut), (2, 1));
        assert_eq!(
            (lines[0].0.len(), lines[1].0.as_slice()),
            (LINE_BYTES_MAX, &b"short"[..])
        );
    }
}

//! Log files as whole lines, in big pieces: plain, gzipped, or the standard input.
//!
//! A piece is the unit of work: many lines in one buffer that is used again, so that a line costs a search
//! for its end and nothing else.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use flate2::read::MultiGzDecoder;
use lymph_protocol::Timestamp;
use lymph_scenarios::line::LINE_BYTES_MAX;

use crate::daemon::clock::wall_clock;

/// Bytes that are read at once: past this, fewer calls save nothing that can be measured.
const PIECE_BYTES: usize = 256 * 1024;

/// Where the lines come from, and how much of it is read.
pub(super) struct Input {
    source: Box<dyn Read>,
    buffer: Vec<u8>,
    /// Where the unfinished line at the end of the last piece begins.
    rest: usize,
    filled: usize,
    ended: bool,
    /// The rest of a line that is too long is passed over.
    skipping: bool,
    raw_bytes: Arc<AtomicU64>,
    /// When the file was last written to: dates without a year are before this.
    pub(super) modified: Timestamp,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("raw_bytes", &self.raw_bytes)
            .finish_non_exhaustive()
    }
}

struct Counted<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

impl Input {
    /// Open a file, or the standard input for `-`.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Input::new(Box::new(io::stdin().lock()), wall_clock())
                .context("cannot read the standard input");
        }
        let cannot = || format!("cannot read {}", path.display());
        let file = File::open(path).with_context(cannot)?;
        let metadata = file.metadata().with_context(cannot)?;
        if metadata.is_dir() {
            bail!("cannot read {}: it is a folder", path.display());
        }
        let modified = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let modified =
            modified.map_or_else(wall_clock, |since_epoch| Timestamp::EPOCH + since_epoch);
        Input::new(Box::new(file), modified).with_context(cannot)
    }

    fn new(raw: Box<dyn Read>, modified: Timestamp) -> anyhow::Result<Self> {
        let raw_bytes = Arc::new(AtomicU64::new(0));
        let mut raw = Counted {
            inner: raw,
            bytes: Arc::clone(&raw_bytes),
        };
        let mut magic = [0; 6];
        let bytes = read_fully(&mut raw, &mut magic)?;
        let whole = io::Cursor::new(magic[..bytes].to_vec()).chain(raw);
        let source: Box<dyn Read> = match magic {
            [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(
                PIECE_BYTES,
                whole,
            ))),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                bail!("it is compressed with zstd; pipe it in: zstd -dc FILE | lymph replay -")
            }
            [0xfd, b'7', b'z', b'X', b'Z', 0] => {
                bail!("it is compressed with xz; pipe it in: xz -dc FILE | lymph replay -")
            }
            [b'B', b'Z', b'h', ..] => {
                bail!("it is compressed with bzip2; pipe it in: bzip2 -dc FILE | lymph replay -")
            }
            _ => Box::new(whole),
        };
        let buffer = vec![0; PIECE_BYTES];
        Ok(Input {
            source,
            buffer,
            rest: 0,
            filled: 0,
            ended: false,
            skipping: false,
            raw_bytes,
            modified,
        })
    }

    /// How many bytes of the file are read, before decompression.
    #[must_use]
    pub(super) fn raw_bytes(&self) -> u64 {
        self.raw_bytes.load(Ordering::Relaxed)
    }

    /// The next piece: whole lines, the last one perhaps without its end.
    pub(super) fn next_piece(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            self.buffer.copy_within(self.rest..self.filled, 0);
            (self.filled, self.rest) = (self.filled - self.rest, 0);
            while self.filled < self.buffer.len() && !self.ended {
                let bytes = read_some(&mut self.source, &mut self.buffer[self.filled..])?;
                self.ended = bytes == 0;
                self.filled += bytes;
            }
            let start = match self.skipping {
                false => 0,
                true => match memchr::memchr(b'\n', &self.buffer[..self.filled]) {
                    Some(end) => end + 1,
                    None => self.filled,
                },
            };
            self.skipping &= start == self.filled && !self.ended;
            let lines = &self.buffer[start..self.filled];
            let end = match memchr::memrchr(b'\n', lines) {
                Some(end) => start + end + 1,
                None if self.ended => self.filled,
                // A line that fills the whole buffer: its beginning is handed out, its rest passed over.
                None if lines.len() > LINE_BYTES_MAX && self.filled == self.buffer.len() => {
                    self.skipping = true;
                    self.filled
                }
                None => start,
            };
            self.rest = if self.ended { self.filled } else { end };
            let end = if self.ended { self.filled } else { end };
            if start < end {
                return Ok(Some(&self.buffer[start..end]));
            }
            if self.ended {
                return Ok(None);
            }
        }
    }
}

/// The lines of a piece, without their ends.
pub(super) fn lines(piece: &[u8]) -> impl Iterator<Item = &[u8]> {
    let piece = piece.strip_suffix(b"\n").unwrap_or(piece);
    let mut rest = Some(piece);
    std::iter::from_fn(move || {
        let text = rest?;
        let line = match memchr::memchr(b'\n', text) {
            Some(end) => {
                rest = Some(&text[end + 1..]);
                &text[..end]
            }
            None => {
                rest = None;
                text
            }
        };
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

fn read_some(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn read_fully(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read_some(source, &mut buffer[filled..])? {
            0 => break,
            bytes => filled += bytes,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// Hands out a few bytes at a time.
    struct Dribble(io::Cursor<Vec<u8>>, usize);

    impl Read for Dribble {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = buffer.len().min(self.1);
            self.0.read(&mut buffer[..bytes])
        }
    }

    fn read_all(text: Vec<u8>, at_once: usize) -> Vec<Vec<u8>> {
        let mut input = Input::new(
            Box::new(Dribble(io::Cursor::new(text), at_once)),
            Timestamp::EPOCH,
        )
        .unwrap();
        let mut all = Vec::new();
        while let Some(piece) = input.next_piece().unwrap() {
            all.extend(lines(piece).map(<[u8]>::to_vec));
        }
        all
    }

    fn gzipped(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn hands_out_every_line_however_it_comes() {
        let expected: Vec<Vec<u8>> = (0..40_000)
            .map(|n| format!("line {n}{}", "x".repeat(n % 50)).into_bytes())
            .collect();
        let text = expected.join(&b'\n');
        for at_once in [7919, 1 << 20] {
            assert!(read_all(text.clone(), at_once) == expected);
            assert!(read_all([&text[..], b"\n"].concat(), at_once) == expected);
        }
        let (first, second) = text.split_at(text.len() / 2);
        assert!(
            read_all([gzipped(first), gzipped(second)].concat(), 1 << 20) == expected,
            "two members"
        );
    }

    #[test]
    fn small_things() {
        let check = |text: &[u8], expected: &[&[u8]]| {
            assert_eq!(read_all(text.to_vec(), 3), expected, "{text:?}")
        };
        check(b"", &[]);
        check(b"\n", &[b""]);
        check(b"a", &[b"a"]);
        check(b"a\r\nb\n\nc", &[b"a", b"b", b"", b"c"]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_next_is_whole() {
        let long = "y".repeat(10_000_000);
        let lines = read_all(format!("first\n{long}\nlast\n").into_bytes(), 1 << 20);
        assert_eq!(
            (lines.len(), &lines[0][..], &lines[2][..]),
            (3, &b"first"[..], &b"last"[..])
        );
        assert!(lines[1].len() > LINE_BYTES_MAX && lines[1].len() <= PIECE_BYTES);
        assert_eq!(read_all(long.into_bytes(), 1 << 20).len(), 1);
    }

    #[test]
    fn other_compressions_are_named() {
        let error =
            Input::new(Box::new(&b"\x28\xb5\x2f\xfdxyz"[..]), Timestamp::EPOCH).unwrap_err();
        assert!(error.to_string().contains("zstd"), "{error}");
    }
}

//! One opened file of a log: what was read of it, and whether it is still the file that was read.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use memchr::{memchr, memrchr};

use super::checkpoint::{FileId, FilePosition, PRINT_BYTES_MAX, Print, print_at, read_at};
use super::lines::{Window, split};
use crate::daemon::docker;
use crate::daemon::sources::batch::{BATCH_BYTES_MAX, Batch};
use crate::daemon::sources::line_id::Seed;

/// How lines lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As they are.
    Plain,
    /// In records of Docker's `json-file` driver.
    Docker,
}

/// What a look at a file has brought.
#[derive(Debug)]
pub(super) enum Look {
    /// Nothing new.
    Idle,
    /// The position has moved; there may be lines.
    Moved,
    /// What was read is no longer there. So many bytes were seen but not read.
    Truncated { unread: u64 },
    /// It was read to its end and nothing is expected any more.
    Finished,
    /// It cannot be read.
    Failed(io::Error),
}

#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    /// Where it was opened.
    pub(super) path: PathBuf,
    position: FilePosition,
    seed: Option<Seed>,
    /// Size and time of change at the last look.
    seen: (u64, i64, i64),
    /// Whether there is more to read than the last look has brought.
    more: bool,
    /// When it was last changed, if it has been empty whenever we looked.
    empty_since: Option<(i64, i64)>,
    /// For how many ticks nothing was written to it.
    pub(super) quiet_ticks: u32,
    /// Whether to be done with it once it was read to its end.
    finishing: bool,
}

/// Where reading begins in a file that was there before anybody followed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At its first byte.
    Beginning,
    /// With the line that is not complete yet.
    End,
}

impl OpenFile {
    /// Opens a file that was not read before. Never waits, even where the path is a pipe.
    pub(super) fn open(path: &Path, name: &str) -> io::Result<Self> {
        Self::at(path, name, open(path)?, FilePosition::default())
    }

    /// Opens a file of which `old_bytes` are none of ours; the line that they end in is, if it is not complete.
    pub(super) fn open_after(path: &Path, name: &str, old_bytes: u64) -> io::Result<Self> {
        let file = open(path)?;
        let (offset, skipping) = line_start(&file, old_bytes)?;
        let tail_len = offset.min(PRINT_BYTES_MAX as u64) as u16;
        let tail = print_at(&file, offset - u64::from(tail_len), tail_len)?;
        Self::at(
            path,
            name,
            file,
            FilePosition {
                offset,
                tail,
                skipping,
                ..FilePosition::default()
            },
        )
    }

    /// Goes on in a file at a position that fits it. `name` is the path that is followed, for the ids.
    pub(super) fn at(
        path: &Path,
        name: &str,
        file: File,
        position: FilePosition,
    ) -> io::Result<Self> {
        let meta = file.metadata()?;
        let modified = (meta.mtime(), meta.mtime_nsec());
        let is_new = position.modified == (0, 0);
        let empty_since = if is_new {
            (meta.len() == 0).then_some(modified)
        } else {
            Some(position.modified)
        };
        let mut opened = OpenFile {
            path: path.to_owned(),
            position: FilePosition {
                id: FileId {
                    dev: meta.dev(),
                    ino: meta.ino(),
                },
                modified: if is_new { modified } else { position.modified },
                drained: false,
                ..position
            },
            empty_since: empty_since.filter(|_| position.head.len == 0 && position.offset == 0),
            file,
            seed: None,
            seen: (0, 0, 0),
            more: true,
            quiet_ticks: 0,
            finishing: false,
        };
        opened.read_head(name)?;
        Ok(opened)
    }

    pub(super) fn id(&self) -> FileId {
        self.position.id
    }

    /// How far it was read. As long as it counts as empty, its first bytes are not taken note of.
    pub(super) fn position(&self) -> FilePosition {
        let head = if self.empty_since.is_some() {
            Print::default()
        } else {
            self.position.head
        };
        FilePosition {
            head,
            ..self.position
        }
    }

    pub(super) fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    pub(super) fn modified(&self) -> io::Result<(i64, i64)> {
        let meta = self.file.metadata()?;
        Ok((meta.mtime(), meta.mtime_nsec()))
    }

    /// Of a file that has been empty: when it was last changed before the change that we see now, if there is one.
    /// In between it may have been written to, copied and emptied again.
    pub(super) fn take_first_change(&mut self) -> Option<(i64, i64)> {
        let since = self.empty_since?;
        let meta = self.file.metadata().ok()?;
        let modified = (meta.mtime(), meta.mtime_nsec());
        if modified == since {
            return None;
        }
        self.empty_since = Some(modified);
        self.position.modified = modified;
        Some(since)
    }

    /// Whether no name leads to it any more.
    pub(super) fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.nlink() == 0)
    }

    /// Whether every byte of it was handed out.
    pub(super) fn is_read_to_its_end(&self) -> bool {
        self.size().is_ok_and(|size| size == self.position.offset)
    }

    /// Nothing is expected any more: what is left is read, and a last line without its end is a line.
    pub(super) fn finish(&mut self) {
        if !self.finishing {
            self.finishing = true;
            self.more = true;
        }
    }

    /// Goes back to the beginning, as a new generation of the same file.
    pub(super) fn restart(&mut self, name: &str) {
        let (size, modified) = self.file.metadata().map_or((1, (0, 0)), |meta| {
            (meta.len(), (meta.mtime(), meta.mtime_nsec()))
        });
        self.position = FilePosition {
            id: self.position.id,
            modified,
            ..FilePosition::default()
        };
        self.empty_since = (size == 0).then_some(modified);
        self.seed = None;
        self.seen = (0, 0, 0);
        self.more = true;
        self.quiet_ticks = 0;
        // So that the next truncation is noticed even before anything is read.
        let _ = self.read_head(name);
    }

    fn read_head(&mut self, name: &str) -> io::Result<()> {
        let mut head = [0; PRINT_BYTES_MAX];
        let read = read_at(&self.file, &mut head, 0)?;
        self.learn_head(&head[..read], name);
        Ok(())
    }

    /// Reads the next lines into the batch. `name` is the path that is followed, for the ids.
    pub(super) fn read(
        &mut self,
        batch: &mut Batch,
        raw: &mut Vec<u8>,
        framing: Framing,
        name: &str,
    ) -> Look {
        self.try_read(batch, raw, framing, name)
            .unwrap_or_else(Look::Failed)
    }

    fn try_read(
        &mut self,
        batch: &mut Batch,
        raw: &mut Vec<u8>,
        framing: Framing,
        name: &str,
    ) -> io::Result<Look> {
        let meta = self.file.metadata()?;
        let now = (meta.len(), meta.mtime(), meta.mtime_nsec());
        if now == self.seen && !self.more {
            return Ok(if self.finishing {
                Look::Finished
            } else {
                Look::Idle
            });
        }
        let tail_len = usize::from(self.position.tail.len);
        let start = self.position.offset.saturating_sub(tail_len as u64);
        let unread = self.seen.0.saturating_sub(self.position.offset);
        let buffer = match framing {
            Framing::Plain => &mut batch.text,
            Framing::Docker => &mut *raw,
        };
        buffer.resize(BATCH_BYTES_MAX, 0);
        let read = read_at(&self.file, buffer, start)?;
        let bytes = &buffer[..read];
        let same =
            self.position.tail.begins(bytes) && (start > 0 || self.position.head.begins(bytes));
        if meta.len() < self.position.offset || !same {
            return Ok(Look::Truncated { unread });
        }
        if read > 0 {
            self.empty_since = None;
        }
        if start == 0 && usize::from(self.position.head.len) < PRINT_BYTES_MAX {
            let head = bytes[..read.min(PRINT_BYTES_MAX)].to_vec();
            self.learn_head(&head, name);
        }
        let end = start + read as u64;
        let at_end = end >= meta.len();
        self.seen = (meta.len().max(end), now.1, now.2);
        self.position.modified = (now.1, now.2);
        self.quiet_ticks = 0;
        // Without a first line there is no complete line either, unless the file is done with.
        let seed = self.seed.unwrap_or_else(|| Seed::new(name.as_bytes(), b""));
        let window = Window {
            offset: self.position.offset,
            skipping: self.position.skipping,
            full: read == BATCH_BYTES_MAX,
            last: self.finishing && at_end,
            seed,
        };
        let consumed = match framing {
            Framing::Plain => split(batch, tail_len, read, window),
            Framing::Docker => docker::unwrap(batch, &raw[tail_len..read], window),
        };
        let buffer = match framing {
            Framing::Plain => &batch.text,
            Framing::Docker => &*raw,
        };
        let done = tail_len + consumed.bytes;
        let tail = &buffer[done.saturating_sub(PRINT_BYTES_MAX)..done];
        self.position.tail = Print::of(tail);
        self.position.offset += consumed.bytes as u64;
        self.position.skipping = consumed.skipping;
        self.more = !at_end || batch.is_full();
        if consumed.bytes > 0 {
            return Ok(Look::Moved);
        }
        Ok(if self.finishing && !self.more {
            Look::Finished
        } else {
            Look::Idle
        })
    }

    /// Takes note of the first bytes, as far as there are some. They only ever become more.
    fn learn_head(&mut self, head: &[u8], name: &str) {
        self.position.head = Print::of(head);
        let first = match memchr(b'\n', head) {
            Some(newline) => &head[..=newline],
            None if head.len() == PRINT_BYTES_MAX => head,
            None => return,
        };
        self.seed = Some(Seed::new(name.as_bytes(), first));
    }
}

/// Opens a regular file for reading. Never waits, even where the path is a pipe.
pub(in crate::daemon) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "not a regular file",
    ))
}

/// The position of one who has read all of a file.
pub(super) fn whole(path: &Path) -> io::Result<FilePosition> {
    let size = open(path)?.metadata()?.len();
    OpenFile::open_after(path, "", size).map(|file| file.position())
}

/// The beginning of the line that the first `size` bytes end in. If it lies too far back, then `size` itself,
/// within a line to be skipped.
fn line_start(file: &File, size: u64) -> io::Result<(u64, bool)> {
    let from = size.saturating_sub(BATCH_BYTES_MAX as u64);
    let mut bytes = vec![0; (size - from) as usize];
    let read = read_at(file, &mut bytes, from)?;
    Ok(match memrchr(b'\n', &bytes[..read]) {
        Some(newline) => (from + newline as u64 + 1, false),
        None if from == 0 => (0, false),
        None => (size, true),
    })
}

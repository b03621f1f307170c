//! Where reading stopped in a file, and how to know that file again.
//!
//! A path is no identity (rotation renames), an inode is not either (it is used again after a deletion, and
//! `copytruncate` keeps it). So a position also holds a hash of the file's first bytes and one of the bytes
//! right before the offset: only where both are still there does reading go on at the offset.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};

use crate::daemon::sources::line_id::print;

/// Most bytes at the beginning of a file, and before the offset, that are hashed. A log line with its time
/// fits in, and so does one read of the disk.
pub(super) const PRINT_BYTES_MAX: usize = 256;

/// The hash of a few bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    /// How many bytes.
    pub len: u16,
    /// Their hash.
    pub hash: u64,
}

impl Print {
    pub(super) fn of(bytes: &[u8]) -> Self {
        debug_assert!(bytes.len() <= PRINT_BYTES_MAX);
        if bytes.is_empty() {
            return Print::default();
        }
        Print {
            len: bytes.len() as u16,
            hash: print(bytes),
        }
    }

    /// Whether these bytes begin with the ones that were hashed.
    pub(super) fn begins(self, bytes: &[u8]) -> bool {
        let len = usize::from(self.len);
        len == 0
            || bytes
                .get(..len)
                .is_some_and(|bytes| print(bytes) == self.hash)
    }
}

/// Which file, as the kernel counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileId {
    /// Number of the device.
    pub dev: u64,
    /// Number of the inode on it.
    pub ino: u64,
}

/// How far one file was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePosition {
    /// Which file.
    pub id: FileId,
    /// Its first bytes.
    pub head: Print,
    /// The first byte that was not handed out.
    pub offset: u64,
    /// The bytes right before it.
    pub tail: Print,
    /// Whether the offset lies in a line that was cut, whose rest is skipped.
    pub skipping: bool,
    /// When it was last written to, as far as was seen: seconds and nanoseconds of the file's own clock.
    pub modified: (i64, i64),
    /// Whether it was an older file that had been read to its end.
    pub drained: bool,
}

/// How far a followed path was read: usually in one file, after a rotation in the old one as well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathPosition {
    /// Files being read, the oldest first.
    pub files: Vec<FilePosition>,
    /// Older files that are done with, so that none of them is taken for a new one.
    pub done: Vec<FilePosition>,
}

impl FilePosition {
    /// Whether the file holds, up to the offset, what was read from the one of this position.
    pub(super) fn fits(&self, file: &File) -> io::Result<bool> {
        if file.metadata()?.len() < self.offset {
            return Ok(false);
        }
        Ok(print_at(file, 0, self.head.len)? == self.head
            && print_at(
                file,
                self.offset.saturating_sub(self.tail.len.into()),
                self.tail.len,
            )? == self.tail)
    }
}

/// The hash of up to `len` bytes at an offset.
pub(super) fn print_at(file: &File, offset: u64, len: u16) -> io::Result<Print> {
    let mut bytes = [0; PRINT_BYTES_MAX];
    let bytes = &mut bytes[..usize::from(len).min(PRINT_BYTES_MAX)];
    let read = read_at(file, bytes, offset)?;
    Ok(Print::of(&bytes[..read]))
}

/// Reads until the buffer is full or the file ends.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

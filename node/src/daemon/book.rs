//! The operator's book: what must survive everything and cannot be made again, such as bans by hand, imported
//! lists and allowlist entries. What can be made again lies in `store`.
//!
//! A journal of text in the state folder: `CHECKSUM JSON` a line, the checksum being the first 8 hexadecimal
//! digits of the JSON's SHA-256. The first line says the version, each further one saves a record or removes
//! one; the last line about a key holds. What was appended is on disk when [`Book::append`] returns. Of an
//! append that a crash interrupts, the lines that are whole count and a torn one is cut off. Damage costs the
//! lines that it is in and no others; they are copied aside and it is said loudly. Lines that are whole but
//! that this version cannot read are kept where they are.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, BufReader, BufWriter, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use lymph_protocol::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::capped::CappedLines;
use crate::engine::record::{Record, RecordKey};

/// Version of the lines.
const VERSION: u32 = 1;
/// Longest line. A record is far shorter; what is longer is damage.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Most records. It bounds what the next start has to read; an append beyond it is refused.
const RECORDS_MAX: usize = 1_000_000;
/// How much of an append is gathered before it is written.
const PIECE_BYTES: usize = 256 * 1024;
/// A book with fewer lines than this is not worth writing anew.
const LINES_MIN: usize = 10_000;
/// Digits of a line's checksum. Eight miss one damaged line in four billion.
const SUM_DIGITS: usize = 8;

/// Why the book could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum BookError {
    /// No room on the disk.
    #[error("no space is left on the disk for {}: free some and try again; nothing was changed", .0.display())]
    DiskFull(PathBuf),
    /// Another refusal of the disk.
    #[error("cannot keep the operator's book {}: {error}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Something else has its name, perhaps to have another file written in its place.
    #[error("{} is not an ordinary file (a link is not followed): move it away", .0.display())]
    NotAFile(PathBuf),
    /// A later lymph wrote it.
    #[error("{} was written by a newer lymph (version {version} of the book, this one knows {VERSION}): update lymph, or move the file away; it is left as it is", .path.display())]
    Newer {
        /// Where.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// More than a line holds.
    #[error(
        "an entry of {0} bytes is more than the operator's book holds in a line ({LINE_BYTES_MAX}): shorten its reason"
    )]
    TooLong(usize),
    /// More than the book holds.
    #[error("the operator's book holds {RECORDS_MAX} entries and no more: remove some first")]
    Full,
    /// Something does not encode.
    #[error("an entry does not encode: {0}")]
    Encode(serde_json::Error),
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Keep this record, in place of the one with its key.
    Save(Record),
    /// Drop the record with this key.
    Remove(RecordKey),
}

/// A change as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Entry {
    Save(Record),
    Remove(RecordKey),
}

/// The same as it is written.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum EntryRef<'a> {
    Save(&'a Record),
    Remove(&'a RecordKey),
}

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    book: u32,
}

/// What lines are written to: a file, or one that fails for tests.
pub(super) trait Paper: Write {
    /// Have everything that was written on disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Cut off what is behind `len`; the next write goes there.
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

impl Paper for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        // It is opened for appending, so that writes follow the end.
        self.set_len(len)
    }
}

/// The operator's book.
#[derive(Debug)]
pub(super) struct Book<P = File> {
    path: PathBuf,
    paper: P,
    /// How long the file is up to its last whole line.
    good: u64,
    /// Whether an append failed and its rest could not be cut off yet.
    is_torn: bool,
    /// How many lines there are, the header not counted.
    lines: usize,
    /// How many of them are whole, but not ours to understand.
    unknown: usize,
    /// The keys of all records, at most [`RECORDS_MAX`].
    live: BTreeSet<RecordKey>,
}

/// A book, and what was found in it.
#[derive(Debug)]
pub(super) struct Opened {
    /// The book.
    pub(super) book: Book,
    /// Its records, by their keys.
    pub(super) records: Vec<Record>,
    /// What the operator should know.
    pub(super) said: Vec<String>,
}

impl Book {
    /// Open the book, or begin one. `now` names what is copied aside.
    ///
    /// Damage is no error: an error means that the disk or the permissions are at fault, or that a newer lymph
    /// wrote the book. Then nothing is changed.
    pub(super) fn open(path: PathBuf, now: Timestamp) -> Result<Opened, BookError> {
        let mut options = File::options();
        options.read(true).append(true).create(true).mode(0o600);
        // Whoever could put a link here would choose what root writes to.
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC);
        let file = options
            .open(&path)
            .map_err(|error| match error.raw_os_error() {
                Some(libc::ELOOP | libc::EISDIR | libc::ENXIO) => BookError::NotAFile(path.clone()),
                _ => of_disk(&path, error),
            })?;
        Book::open_file(&path, file, now).map_err(|trouble| trouble.at(&path))
    }

    fn open_file(path: &Path, mut file: File, now: Timestamp) -> Result<Opened, Trouble> {
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(BookError::NotAFile(path.to_owned()).into());
        }
        if meta.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        let mut found = Found::read(&mut file, path)?;
        let mut said = Vec::new();
        if found.damaged > 0 {
            said.push(mend(path, &mut file, &mut found, now)?);
        } else if found.torn > 0 {
            said.push(format!(
                "the end of {} was torn ({} bytes of a write that never ended) and is cut off; everything before it is there",
                path.display(),
                found.torn
            ));
        }
        if found.torn > 0 {
            file.set_len(found.good)?;
            file.sync_data()?;
        }
        if found.good == 0 {
            let mut header = Vec::new();
            line(&mut header, &Header { book: VERSION })?;
            file.write_all(&header)?;
            file.sync_all()?;
            sync_folder(path)?;
            found.good = header.len() as u64;
        }
        if found.unknown > 0 {
            said.push(format!(
                "{} entries of {} were written by another version of lymph: they are kept, but do nothing until that version runs again",
                found.unknown,
                path.display()
            ));
        }
        let book = Book {
            path: path.to_owned(),
            paper: file,
            good: found.good,
            is_torn: false,
            lines: found.lines,
            unknown: found.unknown,
            live: found.records.keys().cloned().collect(),
        };
        Ok(Opened {
            book,
            records: found.records.into_values().collect(),
            said,
        })
    }

    /// Write the book anew with these records alone, all or nothing.
    ///
    /// What another version wrote is carried over.
    pub(super) fn rewrite(
        &mut self,
        records: impl Iterator<Item = Record>,
    ) -> Result<(), BookError> {
        let path = self.path.clone();
        self.try_rewrite(records)
            .map_err(|trouble| trouble.at(&path))
    }

    fn try_rewrite(&mut self, records: impl Iterator<Item = Record>) -> Result<(), Trouble> {
        let (mut lines, mut live) = (self.unknown, BTreeSet::new());
        let source = (self.unknown > 0)
            .then(|| self.paper.try_clone())
            .transpose()?;
        let (file, good) = replace(&self.path, |out| {
            if let Some(mut source) = source {
                copy_lines(&mut source, out, |read| matches!(read, Reading::Unknown))?;
            }
            let mut buffer = Vec::new();
            for record in records {
                buffer.clear();
                line(&mut buffer, &EntryRef::Save(&record))?;
                out.write_all(&buffer)?;
                live.insert(record.key());
                lines += 1;
                if live.len() > RECORDS_MAX {
                    return Err(BookError::Full.into());
                }
            }
            Ok(())
        })?;
        // The new file has the name from here on, whatever the folder says.
        (self.paper, self.good, self.is_torn) = (file, good, false);
        (self.lines, self.live) = (lines, live);
        Ok(sync_folder(&self.path)?)
    }
}

impl<P: Paper> Book<P> {
    /// Write changes at the end of the book. They are on disk when this returns. After an error none of them
    /// counts: what was written of them is cut off, now or before the next append. Only if the disk refuses that
    /// as well and the process ends, the next start finds those that are whole.
    pub(super) fn append(&mut self, changes: &[Change]) -> Result<(), BookError> {
        if changes.is_empty() {
            return Ok(());
        }
        let is_new = |change: &&Change| match change {
            Change::Save(record) => !self.live.contains(&record.key()),
            Change::Remove(_) => false,
        };
        if self.live.len() + changes.iter().filter(is_new).count() > RECORDS_MAX {
            return Err(BookError::Full);
        }
        if self.is_torn {
            // A line that is glued to a torn one would be lost with it.
            let cut = self.paper.cut(self.good);
            cut.map_err(|error| of_disk(&self.path, error))?;
            self.is_torn = false;
        }
        match self.write(changes) {
            Ok(bytes) => self.good += bytes,
            Err(trouble) => {
                let cut = self.paper.cut(self.good).and_then(|()| self.paper.sync());
                self.is_torn = cut.is_err();
                return Err(trouble.at(&self.path));
            }
        }
        self.lines += changes.len();
        for change in changes {
            match change {
                Change::Save(record) => self.live.insert(record.key()),
                Change::Remove(key) => self.live.remove(key),
            };
        }
        Ok(())
    }

    fn write(&mut self, changes: &[Change]) -> Result<u64, Trouble> {
        let (mut buffer, mut bytes) = (Vec::new(), 0);
        for change in changes {
            let entry = match change {
                Change::Save(record) => EntryRef::Save(record),
                Change::Remove(key) => EntryRef::Remove(key),
            };
            line(&mut buffer, &entry)?;
            if buffer.len() >= PIECE_BYTES {
                self.paper.write_all(&buffer)?;
                bytes += buffer.len() as u64;
                buffer.clear();
            }
        }
        self.paper.write_all(&buffer)?;
        self.paper.sync()?;
        Ok(bytes + buffer.len() as u64)
    }

    /// Whether what no longer counts outweighs what does.
    #[must_use]
    pub(super) fn wants_rewrite(&self) -> bool {
        self.lines - self.unknown > 2 * self.live.len() + LINES_MIN
    }

    /// How many records there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// How long the file is.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        self.good
    }
}

/// An error that may not know yet where it happened.
#[derive(Debug)]
enum Trouble {
    Disk(io::Error),
    Book(BookError),
}

impl Trouble {
    fn at(self, path: &Path) -> BookError {
        match self {
            Trouble::Disk(error) => of_disk(path, error),
            Trouble::Book(error) => error,
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Disk(error)
    }
}

impl From<BookError> for Trouble {
    fn from(error: BookError) -> Self {
        Trouble::Book(error)
    }
}

fn of_disk(path: &Path, error: io::Error) -> BookError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            BookError::DiskFull(path.to_owned())
        }
        _ => BookError::Io {
            path: path.to_owned(),
            error,
        },
    }
}

/// The checksum of a line.
fn sum(json: &[u8]) -> [u8; SUM_DIGITS] {
    let digest = Sha256::digest(json);
    std::array::from_fn(|at| {
        let byte = digest[at / 2];
        let digit = if at % 2 == 0 { byte >> 4 } else { byte & 15 };
        b"0123456789abcdef"[usize::from(digit)]
    })
}

/// Write one line to the end of `out`.
fn line(out: &mut Vec<u8>, entry: &impl Serialize) -> Result<(), BookError> {
    let start = out.len();
    out.extend([b' '; SUM_DIGITS + 1]);
    serde_json::to_writer(&mut *out, entry).map_err(BookError::Encode)?;
    let bytes = out.len() - start;
    if bytes > LINE_BYTES_MAX {
        return Err(BookError::TooLong(bytes));
    }
    let sum = sum(&out[start + SUM_DIGITS + 1..]);
    out[start..start + SUM_DIGITS].copy_from_slice(&sum);
    out.push(b'\n');
    Ok(())
}

/// What one line turned out to be.
enum Reading {
    Header(u32),
    Entry(Box<Entry>),
    /// Its checksum is right, but this version does not know what it says.
    Unknown,
    Damaged,
}

fn read(text: &[u8]) -> Reading {
    let Some((found, rest)) = text.split_at_checked(SUM_DIGITS) else {
        return Reading::Damaged;
    };
    let Some(json) = rest.strip_prefix(b" ") else {
        return Reading::Damaged;
    };
    if found != sum(json) {
        return Reading::Damaged;
    }
    if let Ok(entry) = serde_json::from_slice(json) {
        return Reading::Entry(Box::new(entry));
    }
    match serde_json::from_slice(json) {
        Ok(Header { book }) => Reading::Header(book),
        Err(_) => Reading::Unknown,
    }
}

/// What a file holds.
#[derive(Default)]
struct Found {
    records: BTreeMap<RecordKey, Record>,
    lines: usize,
    unknown: usize,
    damaged: usize,
    /// Length up to the last whole line.
    good: u64,
    /// How many bytes there are behind it.
    torn: u64,
    /// Whether those are something else than the beginning of a line of ours.
    is_tail_foreign: bool,
}

impl Found {
    fn read(file: &mut File, path: &Path) -> Result<Found, Trouble> {
        let mut found = Found::default();
        let mut has_header = false;
        file.rewind()?;
        let mut lines = CappedLines::new(BufReader::new(file), LINE_BYTES_MAX);
        while let Some(line) = lines.next_line()? {
            if !line.is_ended {
                found.torn = line.bytes;
                // A write that broke off leaves the beginning of a line. Anything else is no work of ours.
                let is_ours = !line.is_too_long && (found.good > 0 || is_begun_header(line.text));
                found.is_tail_foreign = !is_ours;
                found.damaged += usize::from(!is_ours);
                break;
            }
            let is_first = found.good == 0;
            found.good += line.bytes;
            let read = if line.is_too_long {
                Reading::Damaged
            } else {
                read(line.text)
            };
            match read {
                Reading::Header(version) if version > VERSION => {
                    let path = path.to_owned();
                    return Err(BookError::Newer { path, version }.into());
                }
                Reading::Header(_) if is_first => {
                    has_header = true;
                    continue;
                }
                Reading::Entry(entry) => match *entry {
                    Entry::Save(record) => {
                        found.records.insert(record.key(), record);
                    }
                    Entry::Remove(key) => {
                        found.records.remove(&key);
                    }
                },
                Reading::Unknown => found.unknown += 1,
                Reading::Header(_) | Reading::Damaged => {
                    found.damaged += 1;
                    // The header is no entry, damaged or not.
                    has_header |= is_first;
                    continue;
                }
            }
            found.lines += 1;
        }
        // An entry where the header should be.
        found.damaged += usize::from(found.good > 0 && !has_header);
        Ok(found)
    }
}

fn is_begun_header(text: &[u8]) -> bool {
    let mut header = Vec::new();
    line(&mut header, &Header { book: VERSION }).is_ok() && header.starts_with(text)
}

/// Copy a damaged book aside and write it anew without the damaged lines. Returns what to say about it. If the
/// disk refuses, the book stays as it is: its damaged lines are passed over just as well. Only a tail that
/// would have to be cut off without a copy is an error.
fn mend(
    path: &Path,
    file: &mut File,
    found: &mut Found,
    now: Timestamp,
) -> Result<String, Trouble> {
    let (damaged, kept) = (found.damaged, found.records.len());
    let loud = format!(
        "THE OPERATOR'S BOOK {} WAS DAMAGED: {damaged} of its lines cannot be read and are lost; the other {} lines are kept ({kept} entries)",
        path.display(),
        found.lines
    );
    let aside = match copy_aside(path, file, now) {
        Ok(aside) => aside,
        Err(error) if found.is_tail_foreign => return Err(error.into()),
        Err(error) => {
            return Ok(format!(
                "{loud}; it could not be copied aside and is left as it is: {error}"
            ));
        }
    };
    let aside = format!("{loud}; as it was it lies in {}", aside.display());
    let mended = file.try_clone().map_err(Trouble::from).and_then(|mut old| {
        replace(path, |out| {
            copy_lines(&mut old, out, |read| {
                matches!(read, Reading::Entry(_) | Reading::Unknown)
            })
        })
    });
    let mended = mended.and_then(|(new, good)| {
        (*file, found.good, found.torn) = (new, good, 0);
        Ok(sync_folder(path)?)
    });
    Ok(match mended {
        Ok(()) => aside,
        Err(trouble) => format!("{aside}, and it could not be mended: {}", trouble.at(path)),
    })
}

/// A copy of the file as it is, under a name that is free.
fn copy_aside(path: &Path, file: &mut File, now: Timestamp) -> io::Result<PathBuf> {
    file.rewind()?;
    for n in 0..100 {
        let aside = match n {
            0 => beside(path, &format!("damaged-{}", now.secs())),
            n => beside(path, &format!("damaged-{}-{n}", now.secs())),
        };
        let mut options = File::options();
        // A new file, so that no link is followed.
        let mut copy = match options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside)
        {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            opened => opened?,
        };
        let copied = io::copy(file, &mut copy).and_then(|_| copy.sync_all());
        if copied.is_err() {
            // Half a copy would only take room where there is none.
            let _ = fs::remove_file(&aside);
        }
        return copied.map(|()| aside);
    }
    Err(io::Error::other(
        "a hundred copies lie there already: remove some",
    ))
}

/// Copy lines as they are, those that are wanted.
fn copy_lines(
    from: &mut File,
    out: &mut dyn Write,
    is_wanted: impl Fn(&Reading) -> bool,
) -> Result<(), Trouble> {
    from.rewind()?;
    let mut lines = CappedLines::new(BufReader::new(from), LINE_BYTES_MAX);
    while let Some(line) = lines.next_line()? {
        if line.is_ended && !line.is_too_long && is_wanted(&read(line.text)) {
            out.write_all(line.text)?;
            out.write_all(b"\n")?;
        }
    }
    Ok(())
}

/// Put a new file in place of the one at the path: a header, and what `fill` writes. Returns it and its length.
/// The folder is yet to be synced.
fn replace(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), Trouble>,
) -> Result<(File, u64), Trouble> {
    let temporary = beside(path, "new");
    // One that an earlier crash left, or a link that somebody put there.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut options = File::options();
    options.read(true).append(true).create_new(true).mode(0o600);
    let file = options.open(&temporary)?;
    let written = write_anew(&file, fill).and_then(|good| {
        fs::rename(&temporary, path)?;
        Ok(good)
    });
    match written {
        Ok(good) => Ok((file, good)),
        Err(trouble) => {
            let _ = fs::remove_file(&temporary);
            Err(trouble)
        }
    }
}

fn write_anew(
    file: &File,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), Trouble>,
) -> Result<u64, Trouble> {
    let mut out = BufWriter::with_capacity(PIECE_BYTES, file);
    let mut header = Vec::new();
    line(&mut header, &Header { book: VERSION })?;
    out.write_all(&header)?;
    fill(&mut out)?;
    out.flush()?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

/// The path with something more behind its name.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(what);
    PathBuf::from(name)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests;

//! Records on disk; the only user of sled.
//!
//! What lies here can be made again or learned again: decisions, detections, the ladder. It is flushed before
//! the checkpoint that covers its lines. A store that does not open is never in the way: what a killed
//! process left half made is removed once, then the store is moved aside and a new one begun, loudly. A
//! write that fails (a full disk) is a value: the engine goes on, and the store is filled anew once it opens
//! again. Each record starts with a version byte of its own.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::{fs, io};

use lymph_protocol::Timestamp;
use lymph_protocol::codec::{self, CodecError};

use crate::engine::record::{Record, RecordKey};

/// Version byte of records and their keys.
const VERSION: u8 = 1;
/// Largest record. An alert is cut to a third of this before it is made.
const RECORD_BYTES_MAX: usize = 64 * 1024;
/// What sled may keep in memory. Records are read once, at the start.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// How often sled writes by itself what was not flushed.
const FLUSH_EVERY_MS: u64 = 1000;

/// Why something was not stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the store refused.
    #[error("{0}")]
    Sled(#[from] sled::Error),
    /// The store broke off in the middle.
    #[error("the store broke off: {0}")]
    Panicked(String),
    /// A record does not encode.
    #[error("record: {0}")]
    Record(#[from] CodecError),
    /// The folder could not be worked on.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl StoreError {
    /// Whether the disk or the permissions are at fault, and not what lies in the store.
    fn is_of_the_disk(&self) -> bool {
        let kind = match self {
            StoreError::Sled(sled::Error::Io(error)) | StoreError::Io(error) => error.kind(),
            StoreError::Sled(_) | StoreError::Panicked(_) | StoreError::Record(_) => return false,
        };
        matches!(
            kind,
            io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::ReadOnlyFilesystem
                | io::ErrorKind::WouldBlock
        )
    }
}

/// Records on disk.
#[derive(Debug)]
pub struct Store {
    // The handle that keeps the database open.
    db: sled::Db,
}

/// A store and what was found in it.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// Its records.
    pub records: Vec<Record>,
    /// How many records were of no version that we read. They are left where they are.
    pub unknown: usize,
    /// The folder that the last store was moved to because it did not open, and why it did not.
    pub moved_aside: Option<(PathBuf, String)>,
}

/// Changes to be written at once, the last one for each key.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    by_key: BTreeMap<RecordKey, Option<Record>>,
}

impl Changes {
    /// Keep this record.
    pub fn save(&mut self, record: Record) {
        self.by_key.insert(record.key(), Some(record));
    }

    /// Drop the record with this key.
    pub fn remove(&mut self, key: RecordKey) {
        self.by_key.insert(key, None);
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

impl Store {
    /// Open the store in a folder, whatever state it is in, and read it. `now` names what is moved aside.
    ///
    /// An error means that the disk or the permissions are at fault: then nothing is moved.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Opened, StoreError> {
        let first = match Store::try_open(folder) {
            Ok(opened) => return Ok(opened),
            Err(error) if error.is_of_the_disk() => return Err(error),
            Err(error) => error,
        };
        if remove_half_made_snapshots(folder)
            && let Ok(opened) = Store::try_open(folder)
        {
            return Ok(opened);
        }
        let aside = free_name(folder, now);
        fs::rename(folder, &aside)?;
        let opened = Store::try_open(folder)?;
        Ok(Opened {
            moved_aside: Some((aside, first.to_string())),
            ..opened
        })
    }

    fn try_open(folder: &Path) -> Result<Opened, StoreError> {
        guarded(|| {
            let config = sled::Config::new()
                .path(folder)
                .cache_capacity(CACHE_BYTES)
                .mode(sled::Mode::LowSpace)
                .flush_every_ms(Some(FLUSH_EVERY_MS));
            let store = Store { db: config.open()? };
            let (mut records, mut unknown) = (Vec::new(), 0);
            for entry in store.db.iter() {
                match codec::decode::<Record, RECORD_BYTES_MAX>(VERSION, &entry?.1) {
                    Ok(record) => records.push(record),
                    Err(_) => unknown += 1,
                }
            }
            Ok(Opened {
                store,
                records,
                unknown,
                moved_aside: None,
            })
        })
    }

    /// Write changes, all or none of them. They are on disk once [`Store::flush`] has returned.
    pub fn write(&self, changes: &Changes) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, record) in &changes.by_key {
            let key = codec::encode::<_, RECORD_BYTES_MAX>(VERSION, key)?;
            match record {
                Some(record) => {
                    batch.insert(key, codec::encode::<_, RECORD_BYTES_MAX>(VERSION, record)?)
                }
                None => batch.remove(key),
            }
        }
        guarded(|| Ok(self.db.apply_batch(batch)?))
    }

    /// Have everything that was written on disk.
    pub fn flush(&self) -> Result<(), StoreError> {
        guarded(|| Ok(self.db.flush().map(drop)?))
    }

    /// A second handle on the same store, to flush it from another thread.
    #[must_use]
    pub fn handle(&self) -> Store {
        Store {
            db: self.db.clone(),
        }
    }
}

/// sled panics on some damage instead of returning an error.
fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or(panic.downcast_ref::<&str>().copied());
        Err(StoreError::Panicked(
            text.unwrap_or("for an unknown reason").to_owned(),
        ))
    })
}

/// A process that was killed while it wrote a snapshot leaves a file that keeps sled from opening.
fn remove_half_made_snapshots(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    let half_made = |path: &PathBuf| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        name.starts_with("snap.") && name.ends_with(".generating")
    };
    let paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(half_made)
        .collect();
    !paths.is_empty() && paths.iter().all(|path| fs::remove_file(path).is_ok())
}

fn free_name(folder: &Path, now: Timestamp) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let names = (0..).map(|n| match n {
        0 => format!("{name}.damaged-{}", now.secs()),
        n => format!("{name}.damaged-{}-{n}", now.secs()),
    });
    let mut paths = names.map(|name| folder.with_file_name(name));
    paths
        .find(|path| !path.exists())
        .expect("some number is free")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ladder::Rung;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn rung(n: u8) -> Record {
        let target = format!("192.0.2.{n}").parse().unwrap();
        Record::Rung(
            target,
            Rung {
                step: n,
                free_at: NOW,
                last_seen: NOW,
            },
        )
    }

    fn filled(folder: &Path) {
        let opened = Store::open(folder, NOW).unwrap();
        let mut changes = Changes::default();
        (1..=5).for_each(|n| changes.save(rung(n)));
        opened.store.write(&changes).unwrap();
        opened.store.flush().unwrap();
    }

    #[test]
    fn keeps_what_was_saved_and_drops_what_was_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        filled(&path);
        let opened = Store::open(&path, NOW).unwrap();
        assert_eq!((opened.records.len(), opened.unknown), (5, 0));
        let mut changes = Changes::default();
        changes.save(rung(7));
        changes.remove(rung(7).key());
        changes.remove(rung(1).key());
        changes.save(rung(6));
        opened.store.write(&changes).unwrap();
        drop(opened);
        let records = Store::open(&path, NOW).unwrap().records;
        assert_eq!(records, [2, 3, 4, 5, 6].map(rung));
    }

    #[test]
    fn a_record_of_another_version_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let opened = Store::open(&folder.path().join("store"), NOW).unwrap();
        opened.store.db.insert([9, 9], vec![9, 9, 9]).unwrap();
        drop(opened);
        let opened = Store::open(&folder.path().join("store"), NOW).unwrap();
        assert_eq!((opened.records.len(), opened.unknown), (0, 1));
        assert!(opened.moved_aside.is_none());
        assert!(opened.store.db.contains_key([9, 9]).unwrap());
    }

    #[test]
    fn a_damaged_store_is_moved_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        filled(&path);
        fs::write(path.join("conf"), b"nonsense").unwrap();
        let opened = Store::open(&path, NOW).unwrap();
        let (aside, _why) = opened.moved_aside.unwrap();
        assert!(aside.join("conf").exists() && opened.records.is_empty());
        assert_eq!(aside, folder.path().join("store.damaged-1800000000"));
    }

    #[test]
    fn a_half_made_snapshot_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        filled(&path);
        fs::write(path.join("snap.0000000000000F00.generating"), b"half").unwrap();
        let opened = Store::open(&path, NOW).unwrap();
        assert_eq!(
            (opened.records.len(), opened.moved_aside.is_none()),
            (5, true)
        );
    }

    /// Records as version 1 wrote them. A change of any of them is a new version, with a reader for this one.
    #[test]
    fn reads_what_version_1_wrote() {
        let golden = include_str!("store/records_v1.txt");
        for (line, expected) in golden.lines().zip(super::golden::records()) {
            let bytes: Vec<u8> = line
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect();
            assert_eq!(
                codec::decode::<Record, RECORD_BYTES_MAX>(1, &bytes),
                Ok(expected)
            );
        }
        assert_eq!(golden.lines().count(), super::golden::records().len());
    }
}

#[cfg(test)]
mod golden;

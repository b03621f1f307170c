//! Records on disk; the only user of sled.
//!
//! What lies here can be made again or learned again: decisions, detections, the ladder. It is flushed before
//! the checkpoint that covers its lines. A store that does not open is never in the way: what a killed
//! process left half made is removed once, then the store is moved aside and a new one begun, loudly, with
//! whatever could still be read. sled passes over some damage in silence, so each batch also writes a seal, the
//! number and the sum of all records, which must fit when the store is opened. A write that fails (a full disk) is a value: the engine goes on, and the store is filled anew once it opens
//! again. Each record starts with a version byte of its own.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::{fs, io};

use lymph_protocol::Timestamp;
use lymph_protocol::codec::{self, CodecError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
pub(super) enum StoreError {
    /// The store refused.
    #[error("{0}")]
    Sled(sled::Error),
    /// The store broke off in the middle.
    #[error("the store broke off: {0}")]
    Panicked(String),
    /// A record does not encode.
    #[error("record: {0}")]
    Record(#[from] CodecError),
    /// The disk refused.
    #[error("{}", describe(.0))]
    Io(#[from] io::Error),
}

/// What a full disk is called, in place of its number.
fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "no space is left on the disk".to_owned()
        }
        _ => error.to_string(),
    }
}

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => StoreError::Io(error),
            sled::Error::CollectionNotFound(_)
            | sled::Error::Unsupported(_)
            | sled::Error::ReportableBug(_)
            | sled::Error::Corruption { .. } => StoreError::Sled(error),
        }
    }
}

impl StoreError {
    /// Whether the disk or the permissions are at fault, and not what lies in the store.
    fn is_of_the_disk(&self) -> bool {
        let StoreError::Io(error) = self else {
            return false;
        };
        let is_refusal = matches!(
            error.kind(),
            io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::ReadOnlyFilesystem
        );
        // A flush that is still under way holds sled's own lock; its error has no kind of its own.
        is_refusal || error.to_string().contains("could not acquire lock")
    }
}

/// Records on disk.
#[derive(Debug)]
pub(super) struct Store {
    db: sled::Db,
    seal: Seal,
}

/// A second handle, to flush the store from another thread.
#[derive(Debug)]
pub(super) struct Flusher(sled::Db);

/// What all records together must come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seal {
    count: u64,
    /// Exclusive or of the records' hashes, so that their order does not matter.
    sum: u64,
    /// How often the store was written to. A checkpoint remembers it: a store that has been written to less
    /// often has lost whole batches, which the rest of the seal cannot show.
    generation: u64,
}

/// Where the seal lies. Keys of records start with their version byte.
const SEAL_KEY: [u8; 1] = [0];

impl Seal {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.count += 1;
        self.sum ^= hash(key, value);
    }

    fn take_off(&mut self, key: &[u8], value: &[u8]) {
        self.count = self.count.saturating_sub(1);
        self.sum ^= hash(key, value);
    }
}

fn hash(key: &[u8], value: &[u8]) -> u64 {
    let digest = Sha256::new()
        .chain_update((key.len() as u64).to_le_bytes())
        .chain_update(key)
        .chain_update(value)
        .finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// A store and what was found in it.
#[derive(Debug)]
pub(super) struct Opened {
    /// The store.
    pub(super) store: Store,
    /// Its records.
    pub(super) records: Vec<Record>,
    /// How many records were of no version that we read. They are left where they are.
    pub(super) unknown: usize,
    /// The folder that the last store was moved to because it was damaged, and what was wrong with it.
    pub(super) moved_aside: Option<(PathBuf, String)>,
}

/// Changes to be written at once, the last one for each key.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    by_key: BTreeMap<RecordKey, Option<Record>>,
}

impl Changes {
    /// Keep this record.
    pub(super) fn save(&mut self, record: Record) {
        self.by_key.insert(record.key(), Some(record));
    }

    /// Drop the record with this key.
    pub(super) fn remove(&mut self, key: RecordKey) {
        self.by_key.insert(key, None);
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

impl Store {
    /// Open the store in a folder, whatever state it is in, and read it. `now` names what is moved aside.
    ///
    /// An error means that the disk or the permissions are at fault: then nothing is moved.
    pub(super) fn open(folder: &Path, now: Timestamp) -> Result<Opened, StoreError> {
        let (salvaged, why) = match Store::open_mended(folder) {
            Ok((opened, None)) => return Ok(opened),
            Ok((opened, Some(damage))) => (opened.records, damage),
            Err(error) if error.is_of_the_disk() => return Err(error),
            Err(error) => (Vec::new(), error.to_string()),
        };
        let aside = free_name(folder, now);
        fs::rename(folder, &aside)?;
        let (mut opened, _) = Store::try_open(folder)?;
        let mut changes = Changes::default();
        salvaged
            .iter()
            .for_each(|record| changes.save(record.clone()));
        opened.store.write(&changes)?;
        Ok(Opened {
            records: salvaged,
            moved_aside: Some((aside, why)),
            ..opened
        })
    }

    /// Open the store; if it does not, once more without what a killed process may have left half made.
    fn open_mended(folder: &Path) -> Result<(Opened, Option<String>), StoreError> {
        match Store::try_open(folder) {
            Err(error) if remove_half_made_snapshots(folder) => {
                Store::try_open(folder).map_err(|_| error)
            }
            opened => opened,
        }
    }

    /// Open and read the store. Also says if not everything is there that was written.
    fn try_open(folder: &Path) -> Result<(Opened, Option<String>), StoreError> {
        guarded(|| {
            if !folder.exists() {
                create(folder)?;
            }
            let db = config(folder).open()?;
            let (mut records, mut unknown, mut found) = (Vec::new(), 0, Seal::default());
            for entry in db.iter() {
                let (key, value) = entry?;
                if *key == SEAL_KEY {
                    continue;
                }
                found.add(&key, &value);
                match codec::decode::<Record, RECORD_BYTES_MAX>(VERSION, &value) {
                    Ok(record) => records.push(record),
                    Err(_) => unknown += 1,
                }
            }
            let damage = match db.get(SEAL_KEY)? {
                None => Some("its seal is gone".to_owned()),
                Some(bytes) => match codec::decode::<Seal, RECORD_BYTES_MAX>(VERSION, &bytes) {
                    Ok(seal) => {
                        found.generation = seal.generation;
                        (seal != found).then(|| {
                            format!("{} of {} records can be read", found.count, seal.count)
                        })
                    }
                    Err(error) => Some(format!("its seal is broken: {error}")),
                },
            };
            let store = Store { db, seal: found };
            Ok((
                Opened {
                    store,
                    records,
                    unknown,
                    moved_aside: None,
                },
                damage,
            ))
        })
    }

    /// Write changes, all or none of them. They are on disk once [`Store::flush`] has returned.
    pub(super) fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let (mut batch, mut seal) = (sled::Batch::default(), self.seal);
        seal.generation += 1;
        for (key, record) in &changes.by_key {
            let key = codec::encode::<_, RECORD_BYTES_MAX>(VERSION, key)?;
            if let Some(old) = guarded(|| Ok(self.db.get(&key)?))? {
                seal.take_off(&key, &old);
            }
            match record {
                Some(record) => {
                    let record = codec::encode::<_, RECORD_BYTES_MAX>(VERSION, record)?;
                    seal.add(&key, &record);
                    batch.insert(key, record);
                }
                None => batch.remove(key),
            }
        }
        batch.insert(
            &SEAL_KEY,
            codec::encode::<_, RECORD_BYTES_MAX>(VERSION, &seal)?,
        );
        guarded(|| Ok(self.db.apply_batch(batch)?))?;
        self.seal = seal;
        Ok(())
    }

    /// Have everything that was written on disk.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.flusher().flush()
    }

    /// How often it was written to.
    #[must_use]
    pub(super) fn generation(&self) -> u64 {
        self.seal.generation
    }

    /// A second handle on the same store, to flush it from another thread.
    #[must_use]
    pub(super) fn flusher(&self) -> Flusher {
        Flusher(self.db.clone())
    }
}

impl Flusher {
    /// Have everything that was written on disk.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        guarded(|| Ok(self.0.flush().map(drop)?))
    }
}

fn config(folder: &Path) -> sled::Config {
    sled::Config::new()
        .path(folder)
        .cache_capacity(CACHE_BYTES)
        .mode(sled::Mode::LowSpace)
        .flush_every_ms(Some(FLUSH_EVERY_MS))
}

/// Make an empty store. It gets its name only when it is on disk, so that a store without a seal is damaged
/// and not just young.
fn create(folder: &Path) -> Result<(), StoreError> {
    let unready = folder.with_extension("new");
    if unready.exists() {
        fs::remove_dir_all(&unready)?;
    }
    let db = config(&unready).open()?;
    db.insert(
        SEAL_KEY,
        codec::encode::<_, RECORD_BYTES_MAX>(VERSION, &Seal::default())?,
    )?;
    db.flush()?;
    drop(db);
    Ok(fs::rename(&unready, folder)?)
}

thread_local! {
    /// Whether a panic on this thread is sled's way of saying that its files are damaged.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// sled panics on some damage instead of returning an error. That is said in our own words, once.
fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    static QUIETER: Once = Once::new();
    QUIETER.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                loud(panic);
            }
        }));
    });
    GUARDED.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(false);
    done.unwrap_or_else(|panic| {
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
        let mut opened = Store::open(folder, NOW).unwrap();
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
        let mut opened = Store::open(&path, NOW).unwrap();
        assert_eq!((opened.records.len(), opened.unknown), (5, 0));
        assert!(opened.moved_aside.is_none());
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
        let path = folder.path().join("store");
        let opened = Store::open(&path, NOW).unwrap();
        let mut seal = Seal::default();
        seal.add(&[9, 9], &[9, 9, 9]);
        let sealed = codec::encode::<_, RECORD_BYTES_MAX>(VERSION, &seal).unwrap();
        opened.store.db.insert([9, 9], vec![9, 9, 9]).unwrap();
        opened.store.db.insert(SEAL_KEY, sealed).unwrap();
        drop(opened);
        let opened = Store::open(&path, NOW).unwrap();
        assert_eq!((opened.records.len(), opened.unknown), (0, 1));
        assert!(opened.moved_aside.is_none());
        assert!(opened.store.db.contains_key([9, 9]).unwrap());
    }

    /// Most of a store is one file; whatever happens to it, the next one opens, and it is said.
    #[test]
    fn a_damaged_store_is_moved_aside_with_what_can_be_read_kept() {
        type Damage = fn(&mut Vec<u8>);
        let damages: [(&str, Damage); 5] = [
            ("emptied", |bytes| bytes.clear()),
            ("cut", |bytes| bytes.truncate(100)),
            ("zeroed", |bytes| bytes.fill(0)),
            ("overwritten", |bytes| bytes.fill(0x5a)),
            ("its beginning overwritten", |bytes| {
                bytes[100..600].fill(0x5a)
            }),
        ];
        for (name, damage) in damages {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store");
            filled(&path);
            let mut bytes = fs::read(path.join("db")).unwrap();
            damage(&mut bytes);
            fs::write(path.join("db"), bytes).unwrap();
            let mut opened = Store::open(&path, NOW).unwrap();
            let (aside, why) = opened.moved_aside.expect(name);
            assert_eq!(
                aside,
                folder.path().join("store.damaged-1800000000"),
                "{name}: {why}"
            );
            assert!(
                aside.join("db").exists() && opened.records.len() < 5,
                "{name}: {why}"
            );
            let mut changes = Changes::default();
            changes.save(rung(9));
            opened.store.write(&changes).unwrap();
            let kept = opened.records.len();
            drop(opened.store);
            let again = Store::open(&path, NOW).unwrap();
            assert!(
                again.moved_aside.is_none() && again.records.len() == kept + 1,
                "{name}"
            );
        }
    }

    /// sled drops a batch whose bytes are not as they were written, as if it had never been.
    #[test]
    fn a_batch_that_is_gone_shows_in_the_generation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        filled(&path);
        let mut bytes = fs::read(path.join("db")).unwrap();
        let is_it = |at: &usize| bytes[*at..].starts_with(&[192, 0, 2, 3]);
        let places: Vec<usize> = (0..bytes.len()).filter(is_it).collect();
        places.iter().for_each(|at| bytes[*at..at + 4].fill(0x5a));
        fs::write(path.join("db"), bytes).unwrap();
        let opened = Store::open(&path, NOW).unwrap();
        assert!(opened.moved_aside.is_none() && opened.records.is_empty());
        assert_eq!(opened.store.generation(), 0, "it was 1");
    }

    #[test]
    fn a_store_that_was_never_finished_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        fs::create_dir(folder.path().join("store.new")).unwrap();
        fs::write(folder.path().join("store.new/db"), b"half").unwrap();
        filled(&path);
        assert!(Store::open(&path, NOW).unwrap().moved_aside.is_none());
        assert!(!folder.path().join("store.new").exists());
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
pub(super) mod golden;

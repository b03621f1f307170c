//! Sees to it that what the engine wants kept is kept, whatever the disk does.
//!
//! What the operator said goes into the book (`book`), on disk at once; everything else into the store (`store`), which
//! can be made again. Each fails and is mended by itself.
//!
//! Changes are gathered and written at once after each batch of lines. When the store fails, that is said
//! once; the engine goes on, no checkpoint is made (so nothing read since is forgotten), and every ten seconds
//! the store is opened again and filled with all that the engine holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lymph_protocol::Timestamp;

use super::book::{self, Book, Change};
use super::clock::Stopwatch;
use super::store::{Changes, Flusher, Opened, Store, StoreError};
use crate::engine::record::{Record, RecordKey};

/// How long a failed store is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The store, or what became of it.
#[derive(Debug)]
pub(super) struct Keeper {
    shelf: Shelf,
    folder: PathBuf,
    store: Option<Store>,
    changes: Changes,
    /// Why there is no store, and since when. The wall clock may be set meanwhile and says nothing about that.
    failed: Option<(String, Stopwatch)>,
    /// Whether the engine knows what an earlier run left in the store.
    was_read: bool,
    /// Whether it is a new one in place of a damaged one.
    pub(super) is_replaced: bool,
}

/// The operator's book, or what became of it.
#[derive(Debug)]
struct Shelf {
    path: PathBuf,
    book: Option<Book>,
    changes: Vec<Change>,
    /// Why it does not hold what it should, and since when.
    failed: Option<(String, Stopwatch)>,
}

impl Shelf {
    fn open(path: PathBuf, now: Timestamp) -> (Self, Vec<Record>, Vec<String>) {
        let mut shelf = Shelf {
            path,
            book: None,
            changes: Vec::new(),
            failed: None,
        };
        match Book::open(shelf.path.clone(), now) {
            Ok(book::Opened {
                book,
                mut records,
                said,
            }) => {
                shelf.book = Some(book);
                // Who is allowed and who is forced is known before anything is decided about them.
                records.sort_by_key(|record| matches!(record, Record::Decision(_)));
                (shelf, records, said)
            }
            Err(error) => {
                let said = shelf.fail(&error.to_string());
                (shelf, Vec::new(), said.into_iter().collect())
            }
        }
    }

    fn change(&mut self, change: Change) {
        // A book that failed is written anew as a whole.
        if self.failed.is_none() {
            self.changes.push(change);
        }
    }

    fn write(&mut self) -> Option<String> {
        let changes = std::mem::take(&mut self.changes);
        let appended = self.book.as_mut()?.append(&changes);
        appended
            .err()
            .and_then(|error| self.fail(&error.to_string()))
    }

    /// Returns what the operator should know, the first time.
    fn fail(&mut self, why: &str) -> Option<String> {
        let is_first = self.failed.is_none();
        self.changes.clear();
        self.failed = Some((why.to_owned(), Stopwatch::start()));
        is_first.then(|| {
            format!(
                "WHAT THE OPERATOR SAYS IS NOT SAVED: {why}; it holds until the daemon stops, and saving is tried again every {} s",
                RETRY_AFTER.as_secs()
            )
        })
    }

    /// Write the book anew if it failed a while ago, or has grown too long.
    fn mend(&mut self, records: impl Iterator<Item = Record>, now: Timestamp) -> Option<Retried> {
        let is_due = match &self.failed {
            Some((_, since)) => since.elapsed() >= RETRY_AFTER,
            None => self.book.as_ref().is_some_and(Book::wants_rewrite),
        };
        if !is_due {
            return None;
        }
        let mut restored = Vec::new();
        if self.book.is_none() {
            // It was never read: what an earlier run left in it is not known yet.
            match Book::open(self.path.clone(), now) {
                Ok(opened) => (self.book, restored) = (Some(opened.book), opened.records),
                Err(error) => {
                    let said = self.fail(&error.to_string());
                    return Some(Retried { said, restored });
                }
            }
        }
        let records: BTreeMap<_, _> = restored
            .iter()
            .cloned()
            .chain(records)
            .map(|record| (record.key(), record))
            .collect();
        let written = self.book.as_mut()?.rewrite(records.into_values());
        let said = match written {
            Ok(()) => {
                let was_failed = self.failed.take().is_some();
                was_failed.then(|| "what the operator says is saved again".to_owned())
            }
            Err(error) => self.fail(&error.to_string()),
        };
        restored.sort_by_key(|record| matches!(record, Record::Decision(_)));
        Some(Retried { said, restored })
    }
}

impl Keeper {
    /// Open book and store in the state folder. Returns their records, the operator's first, and what the operator
    /// should know.
    pub(super) fn open(state: &Path, now: Timestamp) -> (Self, Vec<Record>, Vec<String>) {
        let (shelf, mut records, mut said) = Shelf::open(state.join("operator.book"), now);
        let (keeper, from_store, about_store) = Keeper::open_store(shelf, state.join("store"), now);
        records.extend(from_store);
        said.extend(about_store);
        (keeper, records, said)
    }

    fn open_store(
        shelf: Shelf,
        folder: PathBuf,
        now: Timestamp,
    ) -> (Self, Vec<Record>, Vec<String>) {
        let mut keeper = Keeper {
            shelf,
            folder,
            store: None,
            changes: Changes::default(),
            failed: None,
            was_read: false,
            is_replaced: false,
        };
        match Store::open(&keeper.folder, now) {
            Ok(Opened {
                store,
                records,
                unknown,
                moved_aside,
            }) => {
                (keeper.store, keeper.was_read) = (Some(store), true);
                keeper.is_replaced = moved_aside.is_some();
                let aside = moved_aside.map(|(aside, why)| {
                    format!(
                        "THE STORE WAS DAMAGED ({why}) and is moved to {}; what could be read of it is kept ({} records), the rest is forgotten",
                        aside.display(),
                        records.len()
                    )
                });
                let unknown = (unknown > 0).then(|| format!("{unknown} records in the store were written by another version and are left alone"));
                (keeper, records, aside.into_iter().chain(unknown).collect())
            }
            Err(error) => {
                let said = keeper.fail(&error);
                (keeper, Vec::new(), said.into_iter().collect())
            }
        }
    }

    /// Keep this record.
    pub(super) fn save(&mut self, record: Record) {
        if record.key().is_operators() {
            self.shelf.change(Change::Save(record));
        } else if self.store.is_some() {
            self.changes.save(record);
        }
    }

    /// Drop the record with this key.
    pub(super) fn remove(&mut self, key: RecordKey) {
        if key.is_operators() {
            self.shelf.change(Change::Remove(key));
        } else if self.store.is_some() {
            self.changes.remove(key);
        }
    }

    /// Write what was gathered. Returns what the operator should know if that fails.
    pub(super) fn write(&mut self) -> Option<String> {
        let about_book = match self.shelf.changes.is_empty() {
            true => None,
            false => self.shelf.write(),
        };
        about_book.or_else(|| self.write_store())
    }

    fn write_store(&mut self) -> Option<String> {
        if self.changes.is_empty() {
            return None;
        }
        let changes = std::mem::take(&mut self.changes);
        match self.store.as_mut()?.write(&changes) {
            Ok(()) => None,
            Err(error) => self.fail(&error),
        }
    }

    /// Something to flush the store with from another thread; `None` if there is no store.
    #[must_use]
    pub(super) fn flusher(&self) -> Option<Flusher> {
        self.store.as_ref().map(Store::flusher)
    }

    /// How often the store was written to; `None` if there is none.
    #[must_use]
    pub(super) fn generation(&self) -> Option<u64> {
        self.store.as_ref().map(Store::generation)
    }

    /// The store failed: leave it alone for a while. Returns what the operator should know the first time.
    pub(super) fn fail(&mut self, error: &StoreError) -> Option<String> {
        self.store = None;
        self.changes = Changes::default();
        let first = self.failed.is_none();
        self.failed = Some((error.to_string(), Stopwatch::start()));
        let folder = self.folder.display();
        first.then(|| {
            format!("decisions are no longer saved in {folder}: {error}; detection goes on, saving is tried again every {} s", RETRY_AFTER.as_secs())
        })
    }

    /// Why nothing is saved, if that is so.
    #[must_use]
    pub(super) fn failure(&self) -> Option<String> {
        let of_store = self.failed.as_ref().map(|(why, _)| why.clone());
        let of_book = self.shelf.failed.as_ref().map(|(why, _)| why.clone());
        of_book.or(of_store)
    }

    /// Write the operator's book anew, if it failed a while ago or has grown too long.
    pub(super) fn mend_book(
        &mut self,
        records: impl Iterator<Item = Record>,
        now: Timestamp,
    ) -> Option<Retried> {
        let operators = records.filter(|record| record.key().is_operators());
        self.shelf.mend(operators, now)
    }

    /// Open a failed store again if it is time, and fill it with all `records`.
    pub(super) fn retry(
        &mut self,
        records: impl Iterator<Item = Record>,
        now: Timestamp,
    ) -> Option<Retried> {
        self.failed
            .as_ref()
            .filter(|(_, since)| since.elapsed() >= RETRY_AFTER)?;
        match self.refill(records, now) {
            Ok(restored) => {
                self.failed = None;
                let said = Some(format!(
                    "decisions are saved again in {}",
                    self.folder.display()
                ));
                Some(Retried { said, restored })
            }
            Err(error) => {
                let said = self.fail(&error);
                Some(Retried {
                    said,
                    restored: Vec::new(),
                })
            }
        }
    }

    /// Bring the store up to date. What it holds and `records` does not is stale, unless the store was never
    /// read: then it is from an earlier run, and the engine has yet to hear of it.
    fn refill(
        &mut self,
        records: impl Iterator<Item = Record>,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        let mut opened = Store::open(&self.folder, now)?;
        let mut unknown: BTreeMap<RecordKey, Record> = opened
            .records
            .into_iter()
            .map(|record| (record.key(), record))
            .collect();
        let mut changes = Changes::default();
        for record in records.filter(|record| !record.key().is_operators()) {
            unknown.remove(&record.key());
            changes.save(record);
        }
        if self.was_read {
            unknown.keys().for_each(|key| changes.remove(key.clone()));
            unknown.clear();
        }
        opened.store.write(&changes)?;
        opened.store.flush()?;
        self.store = Some(opened.store);
        self.was_read = true;
        Ok(unknown.into_values().collect())
    }
}

/// What came of opening a failed store again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Retried {
    /// What the operator should know.
    pub(super) said: Option<String>,
    /// Records of an earlier run that the engine has yet to hear of.
    pub(super) restored: Vec<Record>,
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

    #[test]
    fn a_failure_is_said_once_and_mended_with_all_that_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let (mut keeper, records, said) = Keeper::open(&path, NOW);
        assert!(records.is_empty() && said.is_empty());
        (1..=3).for_each(|n| keeper.save(rung(n)));
        assert_eq!(keeper.write(), None);

        let full = || StoreError::Io(std::io::ErrorKind::StorageFull.into());
        assert!(keeper.fail(&full()).is_some());
        assert_eq!(keeper.fail(&full()), None, "said once");
        assert!(keeper.flusher().is_none() && keeper.failure().is_some());
        keeper.save(rung(4));
        assert_eq!(keeper.write(), None);
        let known = || [rung(2), rung(4)].into_iter();
        let wrong_time = NOW + RETRY_AFTER * 1000;
        assert_eq!(keeper.retry(known(), wrong_time), None, "too early");
        keeper.failed = keeper.failed.map(|(why, _)| (why, Stopwatch::long_ago()));
        let wrong_time = NOW - RETRY_AFTER * 1000;
        let retried = keeper.retry(known(), wrong_time).unwrap();
        assert!(retried.said.is_some() && retried.restored.is_empty());
        assert_eq!(keeper.failure(), None);
        drop(keeper);
        let (_, records, _) = Keeper::open(&path, NOW);
        assert_eq!(records, [2, 4].map(rung));
    }

    #[test]
    fn a_store_that_opens_late_is_restored_late() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let (mut keeper, ..) = Keeper::open(&path, NOW);
        (1..=2).for_each(|n| keeper.save(rung(n)));
        assert_eq!(keeper.write(), None);
        // Somebody still has it open.
        let (mut second, records, said) = Keeper::open(&path, NOW);
        assert!(records.is_empty() && said.len() == 1 && second.failure().is_some());
        drop(keeper);
        second.failed = second.failed.map(|(why, _)| (why, Stopwatch::long_ago()));
        let retried = second.retry([rung(7)].into_iter(), NOW).unwrap();
        assert_eq!(retried.restored, [1, 2].map(rung));
        drop(second);
        assert_eq!(Keeper::open(&path, NOW).1, [1, 2, 7].map(rung));
    }

    #[test]
    fn what_the_operator_says_is_kept_apart_and_mended_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let forced = |n: u8| Record::Forced(format!("192.0.2.{n}").parse().unwrap());
        let (mut keeper, ..) = Keeper::open(&path, NOW);
        (1..=3).for_each(|n| keeper.save(forced(n)));
        keeper.save(rung(9));
        assert_eq!(keeper.write(), None);
        keeper.remove(forced(2).key());
        assert_eq!(keeper.write(), None);
        drop(keeper);
        // The store is no help to the book, and the other way round.
        std::fs::remove_dir_all(path.join("store")).unwrap();
        let (mut keeper, records, _) = Keeper::open(&path, NOW);
        assert_eq!(records, [1, 3].map(forced));

        let said = keeper.shelf.fail("the disk is on fire").unwrap();
        assert!(said.contains("NOT SAVED: the disk is on fire"), "{said}");
        keeper.save(forced(4));
        assert_eq!(keeper.write(), None);
        assert_eq!(keeper.failure().as_deref(), Some("the disk is on fire"));
        let known = || [1, 3, 4].map(forced).into_iter();
        assert_eq!(keeper.mend_book(known(), NOW), None, "too early");
        keeper.shelf.failed = keeper
            .shelf
            .failed
            .map(|(why, _)| (why, Stopwatch::long_ago()));
        let mended = keeper.mend_book(known(), NOW).unwrap();
        assert!(mended.said.is_some() && mended.restored.is_empty());
        drop(keeper);
        assert_eq!(Keeper::open(&path, NOW).1, [1, 3, 4].map(forced));
    }

    #[test]
    fn a_book_that_opens_late_is_restored_late() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let forced = |n: u8| Record::Forced(format!("192.0.2.{n}").parse().unwrap());
        let (mut keeper, ..) = Keeper::open(&path, NOW);
        keeper.save(forced(1));
        assert_eq!(keeper.write(), None);
        drop(keeper);
        let (away, book) = (path.join("away"), path.join("operator.book"));
        std::fs::rename(&book, &away).unwrap();
        std::fs::create_dir(&book).unwrap();
        let (mut keeper, records, said) = Keeper::open(&path, NOW);
        assert!(records.is_empty() && said.len() == 1 && keeper.failure().is_some());
        std::fs::remove_dir(&book).unwrap();
        std::fs::rename(&away, &book).unwrap();
        keeper.save(forced(2));
        keeper.shelf.failed = keeper
            .shelf
            .failed
            .map(|(why, _)| (why, Stopwatch::long_ago()));
        let mended = keeper.mend_book([forced(2)].into_iter(), NOW).unwrap();
        assert_eq!(mended.restored, [forced(1)]);
        drop(keeper);
        assert_eq!(Keeper::open(&path, NOW).1, [1, 2].map(forced));
    }
}

//! What wakes the reader: the kernel's news about the directories of the logs. It is only a hint; whoever is
//! woken looks for himself, and looks once a second without any news. The only user of `notify`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::checkpoint::FileId;

/// Most directories that are watched; the ones beyond are looked at once a second all the same. A container host
/// has one for each container, and the kernel's own limit was 8,192 for long.
const DIRECTORIES_MAX: usize = 4096;

/// Rings a bell in the reader's thread.
#[derive(Clone, Debug)]
pub(super) struct Wake {
    bell: SyncSender<()>,
    news: Arc<News>,
}

/// Why the bell was rung.
#[derive(Debug, Default)]
pub(super) struct News {
    /// A second has passed.
    pub(super) tick: AtomicBool,
    /// A name has come, gone or changed.
    pub(super) names: AtomicBool,
    /// Nobody wants lines any more.
    pub(super) stop: AtomicBool,
    /// The rounds of the reader's thread.
    pub(super) rounds: Arc<Rounds>,
}

/// How often a reader's thread has gone round.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Rounds(AtomicU64);

impl Rounds {
    pub(in crate::daemon) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::daemon) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake {
    pub(super) fn new() -> (Self, Receiver<()>, Arc<News>) {
        let (bell, heard) = sync_channel(1);
        let news = Arc::new(News::default());
        (
            Wake {
                bell,
                news: Arc::clone(&news),
            },
            heard,
            news,
        )
    }

    pub(super) fn rounds(&self) -> Arc<Rounds> {
        Arc::clone(&self.news.rounds)
    }

    pub(super) fn tick(&self) {
        self.news.tick.store(true, Ordering::Release);
        self.ring();
    }

    pub(super) fn stop(&self) {
        self.news.stop.store(true, Ordering::Release);
        self.ring();
    }

    fn hear(&self, event: &Event) {
        match event.kind {
            // Among them our own opening and reading.
            EventKind::Access(_) => return,
            EventKind::Modify(ModifyKind::Data(_)) => {}
            EventKind::Any
            | EventKind::Create(_)
            | EventKind::Modify(_)
            | EventKind::Remove(_)
            | EventKind::Other => {
                self.news.names.store(true, Ordering::Release);
            }
        }
        self.ring();
    }

    /// A bell that rings already need not ring twice.
    fn ring(&self) {
        let _ = self.bell.try_send(());
    }
}

#[derive(Debug)]
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeMap<PathBuf, FileId>,
    failed: bool,
}

impl Watch {
    pub(super) fn new(wake: &Wake) -> Self {
        let wake = wake.clone();
        // An error here is one of reading events: the names may have changed, so look.
        let hear = move |event: notify::Result<Event>| {
            wake.hear(&event.unwrap_or(Event::new(EventKind::Other)))
        };
        let watcher = notify::recommended_watcher(hear);
        Watch {
            failed: watcher.is_err(),
            watcher: watcher.ok(),
            watched: BTreeMap::new(),
        }
    }

    /// Watches these directories and no others. Says once if that is not possible, and why.
    pub(super) fn keep<'a>(
        &mut self,
        directories: impl Iterator<Item = &'a Path>,
    ) -> Option<String> {
        let failed_before = std::mem::take(&mut self.failed);
        let Some(watcher) = &mut self.watcher else {
            return failed_before.then(|| "the kernel gives no file notification".to_owned());
        };
        let wanted: BTreeMap<PathBuf, FileId> = directories
            .take(DIRECTORIES_MAX)
            .filter_map(|path| {
                let meta = fs::metadata(path).ok()?;
                Some((
                    path.to_owned(),
                    FileId {
                        dev: meta.dev(),
                        ino: meta.ino(),
                    },
                ))
            })
            .collect();
        if wanted == self.watched {
            self.failed = failed_before;
            return None;
        }
        let mut trouble = None;
        for path in self
            .watched
            .iter()
            .filter(|(path, id)| wanted.get(*path) != Some(id))
            .map(|(path, _)| path)
        {
            let _ = watcher.unwatch(path);
        }
        for path in wanted
            .iter()
            .filter(|(path, id)| self.watched.get(*path) != Some(id))
            .map(|(path, _)| path)
        {
            if let Err(error) = watcher.watch(path, RecursiveMode::NonRecursive) {
                trouble = Some(format!("{}: {error}", path.display()));
            }
        }
        self.watched = wanted;
        self.failed = trouble.is_some() || failed_before;
        trouble.filter(|_| !failed_before)
    }
}

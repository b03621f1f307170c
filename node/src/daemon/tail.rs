//! Follows files: plain logs and those of Docker's `json-file` driver.
//!
//! News of the kernel only wake the reader. It decides by what it finds: each followed path holds its files
//! open, knows them by device, inode and the hash of their first bytes and of those before the offset, and is
//! compared with the disk at least once a second, so a missed event costs at most that. See `tail/path.rs` for
//! rotation, `tail/checkpoint.rs` for how a file is known again, `tail/lines.rs` for what a line is.
//!
//! Reading is pulled: one thread reads the next batch only when the last one has been asked for. The next step
//! of the path is `sources`, which hands the batches to the daemon's loop.

pub mod checkpoint;
mod container;
mod file;
pub(in crate::daemon) mod lines;
mod path;
mod pattern;
mod rotated;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use lymph_scenarios::line::Source;

pub use self::container::Container;
pub(in crate::daemon) use self::file::open;
pub use self::file::{Framing, Start};

use self::checkpoint::{FileId, FilePosition};
use self::path::FollowedPath;
use self::pattern::PathPattern;
pub(in crate::daemon) use self::watch::Rounds;
use self::watch::{News, Wake, Watch};
use super::sources::batch::Batch;
use super::sources::notice::{Notice, NoticeKind};
use super::sources::positions::{Positions, Update};

/// Most paths that are followed. Who is left out: of those that a wildcard matches, the ones written to longest
/// ago; a path that is followed already stays.
pub const PATHS_MAX: usize = 1000;

/// Least time between two rounds: a busy log then costs one wake-up for many lines.
const ROUND_PAUSE: Duration = Duration::from_millis(2);

/// Files to follow.
#[derive(Clone, Debug)]
pub struct FileSpec {
    /// A path, in which names may hold `*`, `?` and `[…]`; or only what the container is called.
    pub pattern: String,
    /// The container whose log it is, wherever that is.
    pub container: Option<Container>,
    /// How lines lie in them.
    pub framing: Framing,
    /// Where to begin in files that are there at the first start.
    pub start: Start,
    /// What all of them have in common; the name is set to each one's path.
    pub source: Source,
}

/// All files that are followed. Has no thread and no clock: whoever owns it calls it.
#[derive(Debug)]
pub struct Tail {
    specs: Vec<(FileSpec, Wanted, SpecState)>,
    paths: Vec<FollowedPath>,
    directories: BTreeSet<PathBuf>,
    restored: Positions,
    next: usize,
    raw: Vec<u8>,
    is_first_look: bool,
    /// The pattern of which it was said that it matches too many.
    too_many: Option<String>,
}

/// Which files a spec means.
#[derive(Debug)]
enum Wanted {
    Pattern(PathPattern),
    Container(Container),
}

/// What was said about a pattern.
#[derive(Debug, Default)]
struct SpecState {
    denied: Vec<PathBuf>,
    matches_nothing: bool,
}

impl Tail {
    /// Follows files from where the positions say. Nothing is opened before the first [`Tail::look`].
    #[must_use]
    pub fn new(specs: Vec<FileSpec>, restored: Positions) -> Self {
        let specs = specs.into_iter().map(|spec| {
            let wanted = match &spec.container {
                Some(container) => Wanted::Container(container.clone()),
                None => Wanted::Pattern(PathPattern::new(&spec.pattern)),
            };
            (spec, wanted, SpecState::default())
        });
        Tail {
            specs: specs.collect(),
            paths: Vec::new(),
            directories: BTreeSet::new(),
            restored,
            next: 0,
            raw: Vec::new(),
            is_first_look: true,
            too_many: None,
        }
    }

    /// Compares what is followed with what is on the disk.
    pub fn look(&mut self, out: &mut Batch) {
        self.find_paths(out);
        let mut order: Vec<usize> = (0..self.paths.len()).collect();
        // A file is read under its own name rather than under that of a link.
        order.sort_by_key(|index| {
            fs::symlink_metadata(&self.paths[*index].path).is_ok_and(|meta| meta.is_symlink())
        });
        let mut open: BTreeMap<FileId, usize> = BTreeMap::new();
        for (index, path) in self.paths.iter().enumerate() {
            open.extend(path.open_ids().map(|id| (id, index)));
        }
        let done: Vec<(usize, FilePosition)> = self
            .paths
            .iter()
            .enumerate()
            .flat_map(|(index, path)| path.done().map(move |position| (index, *position)))
            .collect();
        for index in order {
            let taken = |id: FileId, path: &Path| {
                open.get(&id).is_some_and(|owner| *owner != index)
                    || done.iter().any(|(owner, position)| {
                        *owner != index && position.id == id && fits(position, path)
                    })
            };
            self.paths[index].reconcile(taken, out);
            open.extend(self.paths[index].open_ids().map(|id| (id, index)));
        }
        self.forget_paths(out);
        self.add_updates(out);
        self.is_first_look = false;
    }

    /// One second has passed.
    pub fn tick(&mut self) {
        self.paths.iter_mut().for_each(FollowedPath::tick);
    }

    /// Fills the batch with the next lines of one file, each path in its turn. Whether there were any.
    pub fn read(&mut self, batch: &mut Batch) -> bool {
        for _ in 0..self.paths.len() {
            let turn = self.next % self.paths.len();
            self.next = turn + 1;
            let path = &mut self.paths[turn];
            if path.read(batch, &mut self.raw) {
                batch.source = Arc::clone(&path.source);
                batch.updates.extend(
                    path.take_moved()
                        .map(|position| Update::File(path.name.clone(), position)),
                );
                return true;
            }
        }
        self.add_updates(batch);
        false
    }

    /// The directories whose changes matter.
    fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.iter().map(PathBuf::as_path)
    }

    fn add_updates(&mut self, out: &mut Batch) {
        for path in &mut self.paths {
            out.updates.extend(
                path.take_moved()
                    .map(|position| Update::File(path.name.clone(), position)),
            );
        }
    }

    fn find_paths(&mut self, out: &mut Batch) {
        if self.is_first_look {
            self.resume_paths(out);
        }
        self.directories.clear();
        let followed: BTreeSet<PathBuf> = self.paths.iter().map(|path| path.path.clone()).collect();
        let mut new: Vec<(PathBuf, usize)> = Vec::new();
        for (index, (spec, pattern, state)) in self.specs.iter_mut().enumerate() {
            let found = pattern.matches(|path| followed.contains(path));
            state.say(spec, &found, out);
            self.directories.extend(found.directories);
            new.extend(
                found
                    .paths
                    .into_iter()
                    .filter(|path| !followed.contains(path))
                    .map(|path| (path, index)),
            );
        }
        let mut seen = BTreeSet::new();
        new.retain(|(path, _)| seen.insert(path.clone()));
        self.leave_out(&mut new, out);
        for (path, index) in new {
            let (spec, _, _) = &self.specs[index];
            // The log of a container that could not be looked for until now.
            if let Some(position) = self.restored.files.remove(&*path.to_string_lossy()) {
                let source = source_of(spec, &path);
                let resumed = FollowedPath::resume(&path, source, spec.framing, position);
                self.paths.push(resumed);
                continue;
            }
            let is_new_spec = !self.restored.patterns.contains(&spec.pattern);
            let start = if self.is_first_look && is_new_spec {
                spec.start
            } else {
                Start::Beginning
            };
            self.paths.push(FollowedPath::new(
                &path,
                source_of(spec, &path),
                spec.framing,
                start,
            ));
        }
        for (spec, _, _) in self.specs.iter().filter(|_| self.is_first_look) {
            out.updates.push(Update::Pattern(spec.pattern.clone()));
        }
        for path in &self.paths {
            self.directories
                .extend(path.path.parent().map(Path::to_owned));
            if let Ok(target) = fs::read_link(&path.path).and_then(|_| fs::canonicalize(&path.path))
            {
                self.directories.extend(target.parent().map(Path::to_owned));
            }
        }
    }

    /// Paths that were followed before the restart, also those where nothing is just now.
    fn resume_paths(&mut self, out: &mut Batch) {
        for (name, position) in std::mem::take(&mut self.restored.files) {
            let path = PathBuf::from(&name);
            if let Some((spec, _, _)) = self.specs.iter().find(|(_, wanted, _)| wanted.means(&path))
            {
                self.paths.push(FollowedPath::resume(
                    &path,
                    source_of(spec, &path),
                    spec.framing,
                    position,
                ));
            } else if self
                .specs
                .iter()
                .any(|(_, wanted, _)| wanted.was_removed(&path))
            {
                out.updates.push(Update::Forget(name));
            } else {
                self.restored.files.insert(name, position);
            }
        }
    }

    fn leave_out(&mut self, new: &mut Vec<(PathBuf, usize)>, out: &mut Batch) {
        let room = PATHS_MAX.saturating_sub(self.paths.len());
        if new.len() <= room {
            if new.is_empty()
                && self.paths.len() < PATHS_MAX
                && let Some(pattern) = self.too_many.take()
            {
                let message = "all files that match are followed";
                out.notices
                    .push(Notice::new(NoticeKind::Following, pattern, message));
            }
            return;
        }
        let age = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
        new.sort_by_cached_key(|(path, _)| (std::cmp::Reverse(age(path)), path.clone()));
        if self.too_many.is_none() {
            let (path, index) = &new[room];
            self.too_many = Some(self.specs[*index].0.pattern.clone());
            let message = format!(
                "{} of the files that match are left out, because at most {PATHS_MAX} are followed; {} is the first of them",
                new.len() - room,
                path.display()
            );
            out.notices.push(Notice::new(
                NoticeKind::LeftOut,
                &self.specs[*index].0.pattern,
                message,
            ));
        }
        new.truncate(room);
    }

    /// A path that only a wildcard had matched and that is gone needs no place any more.
    fn forget_paths(&mut self, out: &mut Batch) {
        let specs = &self.specs;
        self.paths.retain(|path| {
            let is_named = specs
                .iter()
                .any(|(_, pattern, _)| pattern.as_path() == Some(&path.path));
            let pattern = || {
                specs
                    .iter()
                    .find(|(_, pattern, _)| pattern.means(&path.path))
            };
            let base = || pattern().map(|(_, pattern, _)| pattern.base());
            let stays = is_named || !path.is_gone(base);
            if !stays {
                let message = "is gone for good";
                out.notices
                    .push(Notice::new(NoticeKind::Forgotten, &path.name, message));
                out.updates.push(Update::Forget(path.name.clone()));
            }
            stays
        });
    }
}

impl Wanted {
    /// The one path that it always means, if there is one.
    fn as_path(&self) -> Option<&Path> {
        match self {
            Wanted::Pattern(pattern) => pattern.as_path(),
            Wanted::Container(_) => None,
        }
    }

    /// The folder in which the first name is one that is not given.
    fn base(&self) -> PathBuf {
        match self {
            Wanted::Pattern(pattern) => pattern.base(),
            Wanted::Container(container) => container.folder().to_owned(),
        }
    }

    fn means(&self, path: &Path) -> bool {
        match self {
            Wanted::Pattern(pattern) => pattern.means(path),
            Wanted::Container(container) => container.matches().paths.contains(path),
        }
    }

    fn matches(&self, followed: impl Fn(&Path) -> bool) -> pattern::Matches {
        match self {
            Wanted::Pattern(pattern) => pattern.matches(followed),
            Wanted::Container(container) => container.matches(),
        }
    }

    fn was_removed(&self, path: &Path) -> bool {
        match self {
            Wanted::Pattern(_) => false,
            Wanted::Container(container) => container.was_removed(path),
        }
    }
}

impl SpecState {
    fn say(&mut self, spec: &FileSpec, found: &pattern::Matches, out: &mut Batch) {
        for (directory, kind) in &found.denied {
            if !self.denied.contains(directory) {
                let why = if *kind == io::ErrorKind::PermissionDenied {
                    super::discover::how_to_allow(directory)
                } else {
                    format!("cannot be listed: {kind}")
                };
                out.notices.push(Notice::new(
                    NoticeKind::Denied,
                    directory.display().to_string(),
                    why,
                ));
            }
        }
        let denied: Vec<_> = found
            .denied
            .iter()
            .map(|(directory, _)| directory.clone())
            .collect();
        for directory in self.denied.iter().filter(|path| !denied.contains(path)) {
            let name = directory.display().to_string();
            out.notices.push(Notice::new(
                NoticeKind::Following,
                name,
                "can be looked into now",
            ));
        }
        self.denied = denied;
        let nothing = found.paths.is_empty() && found.denied.is_empty();
        if nothing && !self.matches_nothing {
            let message = match &spec.container {
                Some(_) => "there is no such container; it is followed when there is one",
                None => "matches no file; those that appear are followed",
            };
            out.notices
                .push(Notice::new(NoticeKind::Missing, &spec.pattern, message));
        }
        if self.matches_nothing && !found.paths.is_empty() {
            let message = match &spec.container {
                Some(_) => "is there and followed",
                None => "matches a file, which is followed",
            };
            out.notices
                .push(Notice::new(NoticeKind::Following, &spec.pattern, message));
        }
        self.matches_nothing = nothing;
    }
}

/// The files that a pattern matches now, and the directories that may not be listed.
pub(in crate::daemon) fn files_that_match(pattern: &str) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let found = PathPattern::new(pattern).matches(|_| false);
    (
        found.paths.into_iter().collect(),
        found
            .denied
            .into_iter()
            .map(|(directory, _)| directory)
            .collect(),
    )
}

fn fits(position: &FilePosition, path: &Path) -> bool {
    position.head.len > 0
        && file::open(path)
            .and_then(|file| position.fits(&file))
            .unwrap_or(false)
}

fn source_of(spec: &FileSpec, path: &Path) -> Arc<Source> {
    Arc::new(Source {
        name: path.to_string_lossy().into_owned(),
        ..spec.source.clone()
    })
}

/// Where the reader's thread puts its batches, and gets buffers back.
pub(super) trait Outlet: Send + 'static {
    /// An empty batch.
    fn batch(&mut self) -> Batch;
    /// Waits until there is room. Whether anybody still wants it.
    fn put(&mut self, batch: Batch) -> bool;
}

/// Stops the reader's thread when it is dropped.
#[derive(Debug)]
pub(super) struct Reader {
    wake: Wake,
}

impl Reader {
    /// Starts a thread that follows the files until the reader is dropped.
    pub(super) fn start(tail: Tail, outlet: impl Outlet) -> io::Result<Self> {
        let (wake, bell, news) = Wake::new();
        let for_watch = wake.clone();
        std::thread::Builder::new()
            .name("lymph-tail".into())
            .spawn(move || follow(tail, outlet, Watch::new(&for_watch), &bell, &news))?;
        Ok(Reader { wake })
    }

    /// By which others see that it still reads.
    pub(super) fn rounds(&self) -> Arc<Rounds> {
        self.wake.rounds()
    }

    /// To be called once a second.
    pub(super) fn tick(&self) {
        self.wake.tick();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.wake.stop();
    }
}

fn follow(
    mut tail: Tail,
    mut outlet: impl Outlet,
    mut watch: Watch,
    bell: &Receiver<()>,
    news: &News,
) {
    let mut is_watched = false;
    let mut batch = outlet.batch();
    while !news.stop.load(Ordering::Acquire) {
        news.rounds.add();
        let tick = news.tick.swap(false, Ordering::AcqRel);
        if tick {
            tail.tick();
        }
        let names = news.names.swap(false, Ordering::AcqRel);
        if tick || names || !is_watched {
            tail.look(&mut batch);
            if let Some(why) = watch.keep(tail.directories()) {
                let message = format!(
                    "changes are only noticed once a second ({why}); raise fs.inotify.max_user_watches"
                );
                batch
                    .notices
                    .push(Notice::new(NoticeKind::Unwatched, "files", message));
            }
            is_watched = true;
        }
        let has_read = tail.read(&mut batch);
        if !batch.says_nothing() {
            if !outlet.put(batch) {
                return;
            }
            batch = outlet.batch();
        }
        if !has_read {
            if bell.recv().is_err() {
                return;
            }
            std::thread::sleep(ROUND_PAUSE);
        }
    }
}

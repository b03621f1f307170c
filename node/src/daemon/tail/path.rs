//! One path that is followed, over all the files that stand at it one after the other.
//!
//! Usually that is one file. After a rotation it is two: the old one, which its writer may still write to,
//! and the new one. The new file is opened at once, so that it cannot get lost in turn, but it is read only
//! where the old one has nothing more. The old one is let go once it was quiet for a while and the writer was
//! seen in the new one (or no name leads to the old one any more).

use std::collections::VecDeque;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lymph_scenarios::line::Source;

use super::checkpoint::{FileId, FilePosition, PathPosition};
use super::file::{Framing, Look, OpenFile, Start, whole};
use super::rotated::{find_by_id, find_copy, is_known, rotated};
use crate::daemon::sources::batch::Batch;
use crate::daemon::sources::notice::{Notice, NoticeKind};

/// For how many ticks (seconds) an old file must be quiet before it is let go: longer than any server that we
/// know takes to reopen its log after a rotation.
pub(super) const QUIET_TICKS: u32 = 60;

/// Most files that are open for one path. Who is left out: the oldest that was read to its end, else the oldest,
/// with a notice.
pub(super) const FILES_MAX: usize = 8;

/// Most older files that are remembered as done. Who is left out: the oldest, which by then a real rotation has
/// deleted or compressed.
pub(super) const DONE_MAX: usize = 16;

/// What keeps a path from being followed at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Trouble {
    Missing,
    Denied,
    LeftOut(String),
    Failed(String),
}

#[derive(Debug)]
pub(super) struct FollowedPath {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) source: Arc<Source>,
    framing: Framing,
    /// Files being read, the oldest first; the last one stands at the path, or did.
    files: VecDeque<OpenFile>,
    done: VecDeque<FilePosition>,
    /// Where reading stopped before the last restart, until the files were found again.
    saved: Option<PathPosition>,
    /// What was there when following began, and how much of it is old.
    old: Option<(FileId, u64)>,
    /// When a file was last written to that could not be found again: what came after it may still be there.
    lost_at: Option<(i64, i64)>,
    trouble: Option<Trouble>,
    /// What keeps an open file from being read.
    failure: Option<io::ErrorKind>,
    cut_was_said: bool,
    /// Whether the position has changed since it was last asked for.
    moved: bool,
}

impl FollowedPath {
    /// A path that was not followed before.
    ///
    /// What rotation left beside it until now is old and never read.
    pub(super) fn new(path: &Path, source: Arc<Source>, framing: Framing, start: Start) -> Self {
        let (siblings, _) = rotated(path);
        let newest = siblings.iter().rev().take(DONE_MAX).rev();
        let done = newest
            .filter_map(|sibling| whole(&sibling.path).ok())
            .collect();
        FollowedPath {
            done,
            ..Self::empty(path, source, framing, start)
        }
    }

    fn empty(path: &Path, source: Arc<Source>, framing: Framing, start: Start) -> Self {
        let old = match start {
            Start::Beginning => None,
            Start::End => fs::metadata(path)
                .ok()
                .map(|meta| (id_of(&meta), meta.len())),
        };
        FollowedPath {
            path: path.to_owned(),
            name: source.name.clone(),
            source,
            framing,
            files: VecDeque::new(),
            done: VecDeque::new(),
            saved: None,
            old,
            lost_at: None,
            trouble: None,
            failure: None,
            cut_was_said: false,
            moved: true,
        }
    }

    /// A path that was followed up to a position.
    pub(super) fn resume(
        path: &Path,
        source: Arc<Source>,
        framing: Framing,
        saved: PathPosition,
    ) -> Self {
        let done = saved.done.iter().copied().collect();
        FollowedPath {
            saved: Some(saved),
            done,
            ..Self::empty(path, source, framing, Start::Beginning)
        }
    }

    /// Whether nothing is left that could be read. `base` is the folder in which the names of the folders hang
    /// on a wildcard.
    pub(super) fn is_gone(&self, base: impl Fn() -> Option<PathBuf>) -> bool {
        let is_missing = self.files.is_empty() && matches!(self.trouble, Some(Trouble::Missing));
        // What was followed before the restart may be on a disk that is yet to be mounted. It was deleted if its
        // folder is gone from among others.
        is_missing
            && (self.saved.is_none()
                || (!parent(&self.path).exists() && base().is_some_and(|base| !is_empty(&base))))
    }

    pub(super) fn is_open(&self) -> bool {
        !self.files.is_empty()
    }

    pub(super) fn open_ids(&self) -> impl Iterator<Item = FileId> {
        self.files.iter().map(OpenFile::id)
    }

    pub(super) fn done(&self) -> impl Iterator<Item = &FilePosition> {
        self.done.iter()
    }

    pub(super) fn position(&self) -> PathPosition {
        if let Some(saved) = &self.saved {
            return saved.clone();
        }
        // The writer has left a file only if it has begun the next one.
        let last_begun = self
            .files
            .iter()
            .rposition(|file| file.position().head.len > 0)
            .unwrap_or(0);
        let files = self
            .files
            .iter()
            .enumerate()
            .map(|(index, file)| FilePosition {
                drained: index < last_begun && file.is_read_to_its_end(),
                ..file.position()
            });
        PathPosition {
            files: files.collect(),
            done: self.done.iter().copied().collect(),
        }
    }

    /// The position, if it is another than when this was last called.
    pub(super) fn take_moved(&mut self) -> Option<PathPosition> {
        std::mem::take(&mut self.moved).then(|| self.position())
    }

    /// Compares what is open with what stands at the path. `taken` are the files that other paths read.
    pub(super) fn reconcile(&mut self, taken: impl Fn(FileId, &Path) -> bool, out: &mut Batch) {
        if let Some(saved) = self.saved.take() {
            self.find_again(saved, out);
            if self.saved.is_some() {
                return;
            }
        }
        match fs::metadata(&self.path) {
            Ok(meta) if !meta.is_file() => {
                self.say(Trouble::LeftOut("it is no regular file".into()), out)
            }
            Ok(meta) => self.take_up(id_of(&meta), taken, out),
            Err(error) => self.say_error(&error, out),
        }
        self.let_go();
    }

    /// One second has passed.
    pub(super) fn tick(&mut self) {
        for file in &mut self.files {
            file.quiet_ticks = file.quiet_ticks.saturating_add(1);
        }
    }

    /// Reads some lines of the oldest file that has some. Whether anything was read.
    pub(super) fn read(&mut self, batch: &mut Batch, raw: &mut Vec<u8>) -> bool {
        let mut index = 0;
        while let Some(file) = self.files.get_mut(index) {
            if let since @ Some(_) = file.take_first_change() {
                let id = file.id();
                self.moved = true;
                let missed = self.missed(id, since, |_, _| false, batch);
                self.insert(index, missed, batch);
                continue;
            }
            match file.read(batch, raw, self.framing, &self.name) {
                Look::Idle => index += 1,
                Look::Moved => {
                    self.moved = true;
                    if self.failure.take().is_some() {
                        let message = "can be read again";
                        batch
                            .notices
                            .push(Notice::new(NoticeKind::Following, &self.name, message));
                    }
                    self.say_cut(batch);
                    return true;
                }
                Look::Truncated { unread } => self.truncated(index, unread, batch),
                Look::Finished => self.retire(index),
                Look::Failed(error) => {
                    if self.failure.replace(error.kind()) != Some(error.kind()) {
                        let message = format!("cannot be read: {error}");
                        batch
                            .notices
                            .push(Notice::new(NoticeKind::Failed, &self.name, message));
                    }
                    index += 1;
                }
            }
        }
        false
    }

    /// A file stands at the path: one that is open, or a new one.
    fn take_up(&mut self, id: FileId, taken: impl Fn(FileId, &Path) -> bool, out: &mut Batch) {
        if self.files.back().is_some_and(|file| file.id() == id) {
            self.trouble_is_over(out);
            return;
        }
        if let Some(index) = self.files.iter().position(|file| file.id() == id) {
            // A link that points back, or a name that was given back.
            let file = self.files.remove(index);
            self.files.extend(file);
            self.moved = true;
            self.trouble_is_over(out);
            return;
        }
        if taken(id, &self.path) {
            self.say(
                Trouble::LeftOut("the same file is read under another name already".into()),
                out,
            );
            return;
        }
        let last = self.files.back().and_then(|file| file.modified().ok());
        let since = last.max(self.lost_at.take());
        for file in self.missed(id, since, &taken, out) {
            self.push(file, out);
        }
        match self.open_at_path(id) {
            Ok(file) => {
                let is_rotation = self.is_open();
                self.push(file, out);
                self.trouble_is_over(out);
                if is_rotation {
                    let message =
                        "a new file has taken its place; the old one is read to its end first";
                    out.notices
                        .push(Notice::new(NoticeKind::Rotated, &self.name, message));
                }
            }
            Err(error) => self.say_error(&error, out),
        }
    }

    fn open_at_path(&mut self, id: FileId) -> io::Result<OpenFile> {
        if let Some(file) = self.reopen_done(id)? {
            return Ok(file);
        }
        match self.old.take() {
            Some((old_id, size)) if old_id == id => {
                let opened = OpenFile::open_after(&self.path, &self.name, size);
                self.old = opened.is_err().then_some((old_id, size));
                opened
            }
            _ => OpenFile::open(&self.path, &self.name),
        }
    }

    /// A file that was done with stands at the path again.
    fn reopen_done(&mut self, id: FileId) -> io::Result<Option<OpenFile>> {
        let Some(index) = self.done.iter().position(|position| position.id == id) else {
            return Ok(None);
        };
        let file = super::file::open(&self.path)?;
        if !self.done[index].fits(&file)? {
            return Ok(None);
        }
        let Some(position) = self.done.remove(index) else {
            return Ok(None);
        };
        OpenFile::at(&self.path, &self.name, file, position).map(Some)
    }

    /// Opens the files that were rotated away before we saw them, the oldest first: written to since, and unknown.
    fn missed(
        &self,
        at_path: FileId,
        since: Option<(i64, i64)>,
        taken: impl Fn(FileId, &Path) -> bool,
        out: &mut Batch,
    ) -> Vec<OpenFile> {
        let Some(since) = since else {
            return Vec::new();
        };
        let known: Vec<_> = self
            .files
            .iter()
            .map(OpenFile::position)
            .chain(self.done.iter().copied())
            .collect();
        let unknown = rotated(&self.path).0.into_iter().filter(|sibling| {
            let is_open = sibling.id == at_path || self.open_ids().any(|id| id == sibling.id);
            !is_open
                && sibling.modified >= since
                && !taken(sibling.id, &sibling.path)
                && !is_known(sibling, &known).unwrap_or(true)
        });
        let mut unknown: Vec<_> = unknown.collect();
        if unknown.len() > FILES_MAX {
            let left_out = unknown.len() - FILES_MAX;
            let message = format!("was rotated so often that {left_out} of its files are not read");
            self.gap(message, out);
            unknown.drain(..left_out);
        }
        let opened = unknown.iter().filter_map(|sibling| {
            let file = OpenFile::open(&sibling.path, &self.name).ok()?;
            let name = sibling.path.display();
            let message = format!("was rotated more than once; {name} is read as well");
            out.notices
                .push(Notice::new(NoticeKind::Rotated, &self.name, message));
            Some(file)
        });
        opened.collect()
    }

    fn push(&mut self, file: OpenFile, out: &mut Batch) {
        self.insert(self.files.len(), vec![file], out);
    }

    /// Takes the files up at this place in the order of reading.
    fn insert(&mut self, index: usize, files: Vec<OpenFile>, out: &mut Batch) {
        self.moved = true;
        for file in files.into_iter().rev() {
            self.files.insert(index, file);
        }
        while self.files.len() > FILES_MAX {
            self.leave_one_out(out);
        }
    }

    fn leave_one_out(&mut self, out: &mut Batch) {
        let mut old = self.files.iter().take(FILES_MAX - 1);
        let read = old.position(OpenFile::is_read_to_its_end);
        let Some(left) = self.files.remove(read.unwrap_or(0)) else {
            return;
        };
        if read.is_none() {
            let name = left.path.display();
            let message =
                format!("was rotated {FILES_MAX} times before {name} could be read to its end");
            self.gap(message, out);
        }
        self.remember(left.position());
    }

    /// After a restart: finds the files that were being read, whatever their names are now.
    fn find_again(&mut self, saved: PathPosition, out: &mut Batch) {
        if let Err(error) = can_look(&self.path) {
            // Not mounted yet, or not permitted today: nothing is lost until it can be looked for.
            self.saved = Some(saved);
            self.say_error(&error, out);
            return;
        }
        self.moved = true;
        let mut copied = Vec::new();
        for position in &saved.files {
            match self.find_file(position) {
                Some(file) => {
                    if file.id() != position.id && file.path != self.path {
                        copied.extend(file.modified().map(|modified| (file.id(), modified)));
                    }
                    self.push(file, out);
                }
                None => self.say_lost(position, out),
            }
        }
        // What was emptied after it was copied may have been written to again and rotated since.
        let at_path =
            fs::metadata(&self.path).map_or_else(|_| FileId::default(), |meta| id_of(&meta));
        for (copy, modified) in copied {
            let missed = self.missed(at_path, Some(modified), |_, _| false, out);
            let index = self.files.iter().position(|file| file.id() == copy);
            self.insert(
                index.map_or(self.files.len(), |index| index + 1),
                missed,
                out,
            );
        }
    }

    /// The file of a position: under any name, restored as another file, or as the copy of one that was emptied.
    fn find_file(&self, position: &FilePosition) -> Option<OpenFile> {
        let at = |(path, file): (PathBuf, fs::File)| {
            OpenFile::at(&path, &self.name, file, *position).ok()
        };
        if let Some(found) = find_by_id(&self.path, position) {
            return at(found);
        }
        if position.head.len == 0 {
            return None;
        }
        if let Ok(file) = super::file::open(&self.path)
            && position.fits(&file).unwrap_or(false)
        {
            return at((self.path.clone(), file));
        }
        let mut copy = at(find_copy(&self.path, position)?)?;
        copy.finish();
        Some(copy)
    }

    fn say_lost(&mut self, position: &FilePosition, out: &mut Batch) {
        self.lost_at = self.lost_at.max(Some(position.modified));
        if position.drained || (position.offset == 0 && position.head.len == 0) {
            return;
        }
        let (_, compressed) = rotated(&self.path);
        let message = if compressed {
            "the file that was being read has been rotated and compressed; what was written to it since lymph last ran \
             is not read: use `lymph replay` on the .gz, and `delaycompress` in logrotate to keep it readable"
        } else {
            "the file that was being read is gone or was emptied; what was written to it since lymph last ran is lost"
        };
        self.gap(message.to_owned(), out);
    }

    /// The file at this index was emptied or rewritten in place.
    fn truncated(&mut self, index: usize, unread: u64, out: &mut Batch) {
        self.moved = true;
        let position = self.files[index].position();
        let copy = find_copy(&self.path, &position)
            .and_then(|(path, file)| OpenFile::at(&path, &self.name, file, position).ok());
        let mut before = Vec::new();
        let mut since = position.modified;
        if let Some(mut copy) = copy {
            let message = format!(
                "was emptied in place; {} holds what was in it and is read to its end first",
                copy.path.display()
            );
            out.notices
                .push(Notice::new(NoticeKind::Truncated, &self.name, message));
            copy.finish();
            since = copy.modified().unwrap_or(since);
            before.push(copy);
        } else if unread > 0 {
            self.gap(format!("was emptied in place before its last {unread} bytes were read, and no copy is left"), out);
        } else {
            let message = "was emptied in place and no copy is left; lines of the last second before may be lost";
            out.notices
                .push(Notice::new(NoticeKind::Truncated, &self.name, message));
        }
        self.files[index].restart(&self.name);
        let id = self.files[index].id();
        // The copy is no unknown file.
        let is_copy = before.first().map(OpenFile::id);
        before.extend(self.missed(id, Some(since), |id, _| Some(id) == is_copy, out));
        self.insert(index, before, out);
    }

    /// Lets old files go that nobody writes to any more.
    fn let_go(&mut self) {
        let Some(last) = self.files.back() else {
            return;
        };
        let has_begun = last.size().is_ok_and(|size| size > 0);
        let count = self.files.len();
        let is_missing = matches!(self.trouble, Some(Trouble::Missing));
        for (index, file) in self.files.iter_mut().enumerate() {
            let is_old = index + 1 < count || is_missing;
            if !is_old || file.quiet_ticks < QUIET_TICKS {
                continue;
            }
            if file.is_deleted() || (index + 1 < count && has_begun) {
                file.finish();
            }
        }
    }

    fn retire(&mut self, index: usize) {
        self.moved = true;
        if let Some(file) = self.files.remove(index) {
            self.remember(file.position());
        }
    }

    fn remember(&mut self, position: FilePosition) {
        self.done.retain(|done| done.id != position.id);
        self.done.push_back(position);
        if self.done.len() > DONE_MAX {
            self.done.pop_front();
        }
    }

    fn gap(&self, message: String, out: &mut Batch) {
        out.gaps += 1;
        out.notices
            .push(Notice::new(NoticeKind::Gap, &self.name, message));
    }

    fn say_cut(&mut self, batch: &mut Batch) {
        if batch.cut_lines > 0 && !std::mem::replace(&mut self.cut_was_said, true) {
            let message =
                "has lines of more than 64 KiB; the rest of them is skipped, and they are counted";
            batch
                .notices
                .push(Notice::new(NoticeKind::Cut, &self.name, message));
        }
    }

    fn say_error(&mut self, error: &io::Error, out: &mut Batch) {
        let trouble = if error.raw_os_error() == Some(libc::EMFILE) {
            Trouble::Failed("too many open files: raise LimitNOFILE, or follow fewer logs".into())
        } else if matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        ) {
            Trouble::Missing
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            Trouble::Denied
        } else if error.kind() == io::ErrorKind::InvalidInput {
            Trouble::LeftOut("it is no regular file".into())
        } else {
            Trouble::Failed(format!("cannot be read: {error}"))
        };
        self.say(trouble, out);
    }

    fn say(&mut self, trouble: Trouble, out: &mut Batch) {
        if self.trouble.as_ref() == Some(&trouble) {
            return;
        }
        let (kind, message) = match &trouble {
            Trouble::Missing if self.is_open() => (
                NoticeKind::Missing,
                "is gone; a new one is followed when it appears".into(),
            ),
            Trouble::Missing => (
                NoticeKind::Missing,
                "does not exist; it is followed when it appears".into(),
            ),
            Trouble::Denied => (
                NoticeKind::Denied,
                crate::daemon::discover::how_to_allow(&self.path),
            ),
            Trouble::LeftOut(why) => (NoticeKind::LeftOut, format!("is left out: {why}")),
            Trouble::Failed(why) => (NoticeKind::Failed, why.clone()),
        };
        out.notices.push(Notice::new(kind, &self.name, message));
        self.trouble = Some(trouble);
    }

    fn trouble_is_over(&mut self, out: &mut Batch) {
        if self.trouble.take().is_some() {
            out.notices.push(Notice::new(
                NoticeKind::Following,
                &self.name,
                "is followed (again)",
            ));
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Whether there is nothing in the folder, or no telling what.
fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).map_or(true, |mut names| names.next().is_none())
}

/// Whether the directory can be searched and the file, if there is one, be opened.
fn can_look(path: &Path) -> io::Result<()> {
    // An empty folder may be the place where one is yet to be mounted.
    if fs::read_dir(parent(path))?.next().is_none() {
        return Err(io::ErrorKind::NotFound.into());
    }
    match super::file::open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn id_of(meta: &Metadata) -> FileId {
    FileId {
        dev: meta.dev(),
        ino: meta.ino(),
    }
}

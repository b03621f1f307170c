//! The other files beside a log: what rotation made of older ones, and which of them hold lines that were not read.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::checkpoint::{FileId, FilePosition};
use super::file::open;

/// Most names of a directory that are looked at, so that one with millions of files does not stop the reader.
/// Who is left out: the names that the directory lists last.
pub(super) const NAMES_MAX: usize = 10_000;

/// Ends of the names of compressed files, which are never read.
const COMPRESSED: [&str; 9] = [
    ".gz", ".xz", ".bz2", ".zst", ".lz4", ".lzma", ".Z", ".zip", ".7z",
];

/// Whether the name is that of a compressed file.
pub(super) fn is_compressed(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    COMPRESSED.iter().any(|end| name.ends_with(end.as_bytes()))
}

/// Whether `name` is what a rotation makes of the name `base`: `auth.log.1`, `auth.log-20260301`,
/// `access-2026-03-01.log`, `auth.log.old`, also compressed.
pub(super) fn is_rotated(base: &OsStr, name: &OsStr) -> bool {
    let (base, mut name) = (base.as_encoded_bytes(), name.as_encoded_bytes());
    for end in COMPRESSED {
        name = name.strip_suffix(end.as_bytes()).unwrap_or(name);
    }
    if name == base {
        return false;
    }
    let stem = base
        .iter()
        .rposition(|byte| *byte == b'.')
        .unwrap_or(base.len());
    let between = |start: &[u8], end: &[u8]| {
        name.strip_prefix(start)?
            .strip_suffix(end)
            .map(<[u8]>::to_vec)
    };
    let middles = [between(base, b""), between(&base[..stem], &base[stem..])];
    middles
        .iter()
        .flatten()
        .any(|middle| is_rotation_mark(middle))
}

fn is_rotation_mark(middle: &[u8]) -> bool {
    let Some((separator, mark)) = middle.split_first() else {
        return false;
    };
    if !b".-_".contains(separator) {
        return false;
    }
    matches!(mark, b"old" | b"prev" | b"bak")
        || (mark
            .iter()
            .all(|byte| byte.is_ascii_digit() || b".-_:TZ".contains(byte))
            && mark.iter().any(u8::is_ascii_digit))
}

/// A file beside a log.
#[derive(Clone, Debug)]
pub(super) struct Sibling {
    pub(super) path: PathBuf,
    pub(super) id: FileId,
    pub(super) modified: (i64, i64),
    pub(super) size: u64,
}

/// The regular, uncompressed files that rotation made of this one, the oldest first, and whether there are
/// compressed ones.
pub(super) fn rotated(path: &Path) -> (Vec<Sibling>, bool) {
    let (mut found, mut compressed) = (Vec::new(), false);
    for path in places(path) {
        let Some(base) = path.file_name() else {
            continue;
        };
        for entry in entries(&path).filter(|entry| is_rotated(base, &entry.file_name())) {
            if is_compressed(&entry.file_name()) {
                compressed = true;
                continue;
            }
            let Ok(meta) = entry.metadata() else { continue };
            let id = FileId {
                dev: meta.dev(),
                ino: meta.ino(),
            };
            if meta.is_file() && !found.iter().any(|sibling: &Sibling| sibling.id == id) {
                let modified = (meta.mtime(), meta.mtime_nsec());
                found.push(Sibling {
                    path: entry.path(),
                    id,
                    modified,
                    size: meta.len(),
                });
            }
        }
    }
    found.sort_by(|a, b| (a.modified, &b.path).cmp(&(b.modified, &a.path)));
    (found, compressed)
}

/// The file of this position under whatever name it has now, in the directory of the path.
pub(super) fn find_by_id(path: &Path, position: &FilePosition) -> Option<(PathBuf, File)> {
    places(path).iter().find_map(|path| {
        let base = path.file_name()?;
        // Of an empty file there is nothing to know it by but the number, which is used again.
        let may_be = |name: &OsStr| position.head.len > 0 || name == base || is_rotated(base, name);
        entries(path)
            .filter(|entry| entry.ino() == position.id.ino && may_be(&entry.file_name()))
            .find_map(|entry| {
                open_if(
                    &entry.path(),
                    |meta| meta.dev() == position.id.dev,
                    position,
                )
            })
    })
}

/// A copy of the file of this position among what rotation made of the path.
pub(super) fn find_copy(path: &Path, position: &FilePosition) -> Option<(PathBuf, File)> {
    // Without a byte to compare, any file would fit.
    if position.head.len == 0 {
        return None;
    }
    let (siblings, _) = rotated(path);
    siblings
        .iter()
        .rev()
        .find_map(|sibling| open_if(&sibling.path, |_| true, position))
}

fn open_if(
    path: &Path,
    meets: impl Fn(&fs::Metadata) -> bool,
    position: &FilePosition,
) -> Option<(PathBuf, File)> {
    let file = open(path).ok()?;
    let fits =
        file.metadata().is_ok_and(|meta| meets(&meta)) && position.fits(&file).unwrap_or(false);
    fits.then(|| (path.to_owned(), file))
}

/// Whether the file was read already, as far as one of these positions says.
pub(super) fn is_known(sibling: &Sibling, positions: &[FilePosition]) -> io::Result<bool> {
    if sibling.size == 0 {
        // Empty files are all alike, so number and time must do.
        return Ok(positions
            .iter()
            .any(|position| position.id == sibling.id && position.modified == sibling.modified));
    }
    let file = open(&sibling.path)?;
    for position in positions.iter().filter(|position| position.head.len > 0) {
        if position.fits(&file)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where rotation may leave older files: beside the path, and beside what it links to.
fn places(path: &Path) -> Vec<PathBuf> {
    let mut places = vec![path.to_owned()];
    if let Ok(target) = fs::canonicalize(path)
        && target.file_name().is_some()
        && target != path
    {
        places.push(target);
    }
    places
}

fn entries(path: &Path) -> impl Iterator<Item = fs::DirEntry> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::read_dir(parent)
        .into_iter()
        .flatten()
        .take(NAMES_MAX)
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str, name: &str, expected: bool) {
        assert_eq!(
            is_rotated(OsStr::new(base), OsStr::new(name)),
            expected,
            "{base} -> {name}"
        );
    }

    #[test]
    fn knows_what_rotation_makes_of_a_name() {
        check("auth.log", "auth.log.1", true);
        check("auth.log", "auth.log.12.gz", true);
        check("auth.log", "auth.log-20260301", true);
        check("auth.log", "auth.log-2026-03-01T10:00:00Z.zst", true);
        check("access.log", "access-20260301.log", true);
        check("access.log", "access.1.log", true);
        check("auth.log", "auth.log.old", true);
        check("messages", "messages-20260301", true);
        check("messages", "messages.0", true);
        check("auth.log", "auth.log", false);
        check("auth.log", "auth.log.gz", false);
        check("auth.log", "auth.log.save", false);
        check("auth.log", "auth2.log", false);
        check("access.log", "access-api.log", false);
        check("access.log", "error.log.1", false);
        check("access.log", "access.log.-", false);
        check("a", "b", false);
    }
}

//! Which files a path with wildcards means today. `*`, `?` and `[…]` stand for parts of one name, never for a `/`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::rotated::{NAMES_MAX, is_compressed, is_rotated};

/// A leading `*` does not mean hidden files, as in a shell.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Most directories that one pattern may lead through at a time.
const DIRECTORIES_MAX: usize = 4096;

/// A path, of which some names may hold wildcards.
#[derive(Clone, Debug)]
pub(super) struct PathPattern {
    pub(super) text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Name(PathBuf),
    Wild(Pattern),
}

/// What a pattern means at the moment.
#[derive(Debug, Default)]
pub(super) struct Matches {
    pub(super) paths: BTreeSet<PathBuf>,
    /// The directories whose change may change the matches.
    pub(super) directories: BTreeSet<PathBuf>,
    /// What could not be listed.
    pub(super) denied: Vec<(PathBuf, io::ErrorKind)>,
}

impl PathPattern {
    /// A text that is no valid pattern is taken as the name that it is.
    pub(super) fn new(text: &str) -> Self {
        let parts = Path::new(text)
            .components()
            .map(|component| match component {
                Component::Normal(name) => {
                    match name.to_str().filter(|name| is_wild(name)).map(Pattern::new) {
                        Some(Ok(pattern)) => Part::Wild(pattern),
                        Some(Err(_)) | None => Part::Name(name.into()),
                    }
                }
                Component::Prefix(_)
                | Component::RootDir
                | Component::CurDir
                | Component::ParentDir => Part::Name(component.as_os_str().into()),
            });
        PathPattern {
            text: text.to_owned(),
            parts: parts.collect(),
        }
    }

    /// The one path that it means, if it has no wildcard.
    pub(super) fn as_path(&self) -> Option<&Path> {
        let plain = self.parts.iter().all(|part| matches!(part, Part::Name(_)));
        plain.then(|| Path::new(&self.text))
    }

    /// The folder in which the first name is one that hangs on a wildcard.
    pub(super) fn base(&self) -> PathBuf {
        let names = self.parts.iter().map_while(|part| match part {
            Part::Name(name) => Some(name),
            Part::Wild(_) => None,
        });
        names.collect()
    }

    /// Whether the path is one that it may mean.
    pub(super) fn means(&self, path: &Path) -> bool {
        let mut parts = self.parts.iter();
        let all = path.components().all(|component| {
            match (parts.next(), component.as_os_str().to_str()) {
                (Some(Part::Name(name)), _) => name.as_os_str() == component.as_os_str(),
                (Some(Part::Wild(pattern)), Some(name)) => pattern.matches_with(name, OPTIONS),
                (Some(Part::Wild(_)) | None, _) => false,
            }
        });
        all && parts.next().is_none()
    }

    /// Compressed files are left out, and so is what rotation made of another match or of a path that is
    /// followed already (which may be missing just now, because it is being rotated).
    pub(super) fn matches(&self, followed: impl Fn(&Path) -> bool) -> Matches {
        let mut found = Matches::default();
        if let Some(path) = self.as_path() {
            found.paths.insert(path.to_owned());
            return found;
        }
        let mut bases = vec![PathBuf::new()];
        for (index, part) in self.parts.iter().enumerate() {
            let is_last = index + 1 == self.parts.len();
            bases = match part {
                Part::Name(name) => {
                    let joined = bases.into_iter().map(|base| base.join(name));
                    if is_last || index == 0 {
                        joined.collect()
                    } else {
                        joined.filter(|path| path.is_dir()).collect()
                    }
                }
                Part::Wild(pattern) => bases
                    .iter()
                    .flat_map(|base| list(base, pattern, is_last, &mut found))
                    .collect(),
            };
            bases.truncate(DIRECTORIES_MAX);
        }
        let exist = bases
            .into_iter()
            .filter(|path| fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_dir()));
        let paths: BTreeSet<PathBuf> = exist.collect();
        let is_base = |path: &Path| paths.contains(path) || followed(path);
        found.paths = paths
            .iter()
            .filter(|path| !is_made_of_another(path, is_base))
            .cloned()
            .collect();
        found
    }
}

fn is_wild(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

fn is_made_of_another(path: &Path, is_base: impl Fn(&Path) -> bool) -> bool {
    let Some(name) = path.file_name() else {
        return false;
    };
    // Only the names that can be its base: what is in front of a separator, with and without an extension.
    let text = name.to_string_lossy();
    let mut bases = text
        .char_indices()
        .filter(|(_, letter)| matches!(letter, '.' | '-' | '_'))
        .flat_map(|(at, _)| {
            let stem = &text[..at];
            let extension = text[at + 1..]
                .rfind('.')
                .map_or("", |dot| &text[at + 1 + dot..]);
            [stem.to_owned(), format!("{stem}{extension}")]
        });
    bases.any(|base| is_rotated(OsStr::new(&base), name) && is_base(&path.with_file_name(&base)))
}

fn list(base: &Path, pattern: &Pattern, is_last: bool, found: &mut Matches) -> Vec<PathBuf> {
    let directory = if base.as_os_str().is_empty() {
        Path::new(".")
    } else {
        base
    };
    found.directories.insert(directory.to_owned());
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            if !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) {
                found.denied.push((directory.to_owned(), error.kind()));
            }
            return Vec::new();
        }
    };
    let names = entries
        .take(NAMES_MAX)
        .flatten()
        .map(|entry| entry.file_name());
    let matching = names.filter(|name| {
        name.to_str()
            .is_some_and(|name| pattern.matches_with(name, OPTIONS))
    });
    let mut names: Vec<_> = matching
        .filter(|name| !(is_last && is_compressed(name)))
        .collect();
    names.sort();
    names.into_iter().map(|name| base.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[&str], pattern: &str, expected: &[&str]) {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let pattern = PathPattern::new(root.path().join(pattern).to_str().unwrap());
        let found = pattern.matches(|_| false).paths;
        assert!(found.iter().all(|path| pattern.means(path)));
        let found: Vec<_> = found
            .iter()
            .map(|path| path.strip_prefix(root.path()).unwrap().to_str().unwrap())
            .collect();
        assert_eq!(found, expected, "{}", pattern.text);
    }

    #[test]
    fn wildcards_stand_for_parts_of_names() {
        let files = [
            "nginx/access.log",
            "nginx/blog_access.log",
            "nginx/error.log",
            "nginx/.access.log",
            "nginx/sub/access.log",
        ];
        check(
            &files,
            "nginx/*access*.log",
            &["nginx/access.log", "nginx/blog_access.log"],
        );
        check(&files, "*/access.log", &["nginx/access.log"]);
        check(&files, "*/*/a??ess.log", &["nginx/sub/access.log"]);
        check(
            &files,
            "nginx/[be]*",
            &["nginx/blog_access.log", "nginx/error.log"],
        );
        check(&files, "nope/*", &[]);
        check(&files, "nginx/none.log", &["nginx/none.log"]);
        check(&["a[.log"], "a[.log", &["a[.log"]);
    }

    #[test]
    fn rotated_and_compressed_files_are_left_out() {
        let files = [
            "a.log",
            "a.log.1",
            "a.log.2.gz",
            "a-20260301.log",
            "b-20260301.log",
            "b-20260302.log",
            "a-b.log",
        ];
        check(
            &files,
            "*",
            &["a-b.log", "a.log", "b-20260301.log", "b-20260302.log"],
        );
    }

    #[test]
    fn a_path_that_is_away_for_a_moment_still_has_its_rotated_files() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.log.1"), "").unwrap();
        let pattern = PathPattern::new(root.path().join("*").to_str().unwrap());
        assert_eq!(pattern.matches(|_| false).paths.len(), 1);
        assert_eq!(
            pattern.matches(|path| path.ends_with("a.log")).paths.len(),
            0
        );
        assert!(
            pattern.means(&root.path().join("a.log"))
                && !pattern.means(&root.path().join("a/b.log"))
        );
    }

    #[test]
    fn says_what_it_may_not_list() {
        let found = PathPattern::new("/proc/self/environ/*").matches(|_| false);
        assert!(found.denied.is_empty() && found.paths.is_empty());
    }
}

//! Where a Docker container writes to now. It is known by its name, which stays, and not by its id, which is
//! another one after every `docker compose up`; so it is looked up each time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::pattern::Matches;

/// Most containers that are looked at. The ones beyond are not found.
const CONTAINERS_MAX: usize = 4096;

/// Largest description of a container that is read; they have some KiB.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Fewest digits of an id that stand for it. That is how Docker shows them.
const ID_DIGITS_MIN: usize = 12;

/// A container by its name, or the beginning of its id.
#[derive(Clone, Debug)]
pub struct Container {
    name: String,
    folder: PathBuf,
    /// The names of all containers, and which version of their description they were read from.
    known: RefCell<BTreeMap<PathBuf, (Version, Option<String>)>>,
}

/// Docker replaces a description when a container is renamed.
type Version = (u64, i64, i64, u64);

impl Container {
    /// The container of that name, in the folder where Docker keeps all of them.
    #[must_use]
    pub fn new(name: &str, folder: &Path) -> Self {
        Container {
            name: name.to_owned(),
            folder: folder.to_owned(),
            known: RefCell::default(),
        }
    }

    /// Where Docker keeps the containers.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its log. Before and after it there may be none, and while one takes the place of another there may be two.
    pub(super) fn matches(&self) -> Matches {
        let mut found = Matches::default();
        found.directories.insert(self.folder.clone());
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return found,
            Err(error) => {
                found.denied.push((self.folder.clone(), error.kind()));
                return found;
            }
        };
        let mut before = self.known.take();
        let mut known = BTreeMap::new();
        for folder in entries
            .take(CONTAINERS_MAX)
            .flatten()
            .map(|entry| entry.path())
        {
            let config = folder.join("config.v2.json");
            let Ok(version) = fs::metadata(&config).map(|meta| version(&meta)) else {
                continue;
            };
            let name = match before.remove(&folder) {
                Some((read, name)) if read == version => name,
                Some(_) | None => name_in(&config),
            };
            let id = folder.file_name().unwrap_or_default().to_string_lossy();
            let has_id = self.name.len() >= ID_DIGITS_MIN && id.starts_with(&self.name);
            if has_id || name.as_ref() == Some(&self.name) {
                found.paths.insert(folder.join(format!("{id}-json.log")));
            }
            known.insert(folder, (version, name));
        }
        self.known.replace(known);
        found
    }

    /// Whether the path was the log of a container that was removed since.
    pub(super) fn was_removed(&self, log: &Path) -> bool {
        let Some(folder) = log.parent() else {
            return false;
        };
        folder.parent() == Some(&self.folder) && self.folder.is_dir() && !folder.exists()
    }
}

fn version(meta: &Metadata) -> Version {
    (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.len())
}

/// The name without the `/` that Docker puts before it. A description that cannot be read has none yet.
fn name_in(config: &Path) -> Option<String> {
    let mut text = Vec::new();
    let file = File::open(config).ok()?;
    file.take(CONFIG_BYTES_MAX).read_to_end(&mut text).ok()?;
    let config: serde_json::Value = serde_json::from_slice(&text).ok()?;
    Some(config["Name"].as_str()?.trim_start_matches('/').to_owned())
}

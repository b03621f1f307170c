//! The record that lets a restart go on exactly where the daemon was: how far every log was read, together
//! with what the engine made of the lines up to there.
//!
//! Both lie in one file that is replaced as a whole (temporary file, fsync, rename, fsync of the directory).
//! So after a kill at any moment the next start finds positions and buckets of the same instant: lines behind
//! that instant are read again by a state that has not seen them, and none is counted twice or not at all.
//!
//! Format: `lymphckp`, SHA-256 of the rest, then the record in `protocol::codec` with its version byte.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use lymph_protocol::Timestamp;
use lymph_protocol::codec::{self, CodecError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::sources::Positions;

const MAGIC: &[u8; 8] = b"lymphckp";
const SUM_BYTES: usize = 32;

/// Version of [`Record`] as it is written. An older one is read as corrupt: it is only a position.
const VERSION: u8 = 1;

/// Largest record. A million buckets of some 300 bytes fit; more than that is no record of ours.
pub const RECORD_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Positions, and what the engine made of the lines before them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record<E> {
    /// When it was made.
    pub saved_at: Timestamp,
    /// How far the sources were read.
    pub positions: Positions,
    /// The engine's part.
    pub engine: E,
}

/// Why a record was not saved. The old one is still there.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// No room on the disk.
    #[error("no space left to save the checkpoint {}: free some; until then a restart goes on from the last one that was saved", .0.display())]
    DiskFull(PathBuf),
    /// Another refusal of the disk.
    #[error("cannot save the checkpoint {}: {error}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Too much to be a record.
    #[error("cannot encode the checkpoint: {0}")]
    Codec(CodecError),
}

/// What was found at the path of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Loaded<E> {
    /// A record that is whole.
    Record(Box<Record<E>>),
    /// None: a first start.
    Nothing,
    /// One that is damaged. It was moved aside, and we start anew.
    Corrupt {
        /// Where it is now, if it could be moved.
        moved_to: Option<PathBuf>,
        /// What is wrong with it.
        why: String,
    },
}

/// Replaces the record at the path, or leaves the old one as it is.
pub fn save<E: Serialize>(path: &Path, record: &Record<E>) -> Result<(), SaveError> {
    let body = codec::encode::<_, RECORD_BYTES_MAX>(VERSION, record).map_err(SaveError::Codec)?;
    let temporary = path.with_extension("new");
    replace(path, &temporary, &body).map_err(|error| {
        // A half-written one would only take room where there is none.
        let _ = fs::remove_file(&temporary);
        refused(path, error)
    })
}

fn refused(path: &Path, error: io::Error) -> SaveError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SaveError::DiskFull(path),
        _ => SaveError::Io { path, error },
    }
}

fn replace(path: &Path, temporary: &Path, body: &[u8]) -> io::Result<()> {
    // What a kill left behind. Whatever else stands there: it is a file of ours that is written, not one that a
    // link leads to.
    let _ = fs::remove_file(temporary);
    // Its owner's only: it names addresses and what they did.
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.custom_flags(libc::O_NOFOLLOW).open(temporary)?;
    fill(&mut file, body)?;
    fs::rename(temporary, path)?;
    sync_directory(path)
}

fn fill(file: &mut File, body: &[u8]) -> io::Result<()> {
    file.write_all(MAGIC)?;
    file.write_all(&Sha256::digest(body))?;
    file.write_all(body)?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

/// The record at the path. A damaged one is moved to `PATH.corrupt-<seconds>`, so that nobody trips over it again.
pub fn load<E: DeserializeOwned>(path: &Path, now: Timestamp) -> io::Result<Loaded<E>> {
    let bytes = match fs::metadata(path) {
        Ok(meta) if meta.len() > (RECORD_BYTES_MAX + MAGIC.len() + SUM_BYTES) as u64 => {
            return Ok(move_aside(path, now, format!("{} bytes long", meta.len())));
        }
        Ok(_) => fs::read(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::Nothing),
        Err(error) => return Err(error),
    };
    Ok(match read(&bytes) {
        Ok(record) => Loaded::Record(Box::new(record)),
        Err(why) => move_aside(path, now, why),
    })
}

fn read<E: DeserializeOwned>(bytes: &[u8]) -> Result<Record<E>, String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("it is no checkpoint")?;
    let (sum, body) = rest.split_at_checked(SUM_BYTES).ok_or("it is cut off")?;
    if Sha256::digest(body).as_slice() != sum {
        return Err("its checksum is wrong".to_owned());
    }
    codec::decode::<_, RECORD_BYTES_MAX>(VERSION, body).map_err(|error| error.to_string())
}

fn move_aside<E>(path: &Path, now: Timestamp, why: String) -> Loaded<E> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".corrupt-{}", now.secs()));
    let aside = PathBuf::from(aside);
    let moved_to = fs::rename(path, &aside).is_ok().then_some(aside);
    Loaded::Corrupt { moved_to, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn record(engine: &str) -> Record<String> {
        Record {
            saved_at: NOW,
            positions: Positions::default(),
            engine: engine.to_owned(),
        }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint");
        assert_eq!(load::<String>(&path, NOW).unwrap(), Loaded::Nothing);
        for engine in ["one", "two"] {
            save(&path, &record(engine)).unwrap();
            assert_eq!(
                load(&path, NOW).unwrap(),
                Loaded::Record(Box::new(record(engine)))
            );
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "its owner's only");
    }

    #[test]
    fn any_damage_is_noticed_and_moved_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint");
        save(&path, &record("some state of the engine")).unwrap();
        let whole = fs::read(&path).unwrap();
        let mut damaged: Vec<Vec<u8>> = (0..whole.len()).map(|end| whole[..end].to_vec()).collect();
        damaged.extend((0..whole.len()).map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            bytes
        }));
        damaged.push([whole.as_slice(), b"x"].concat());
        for bytes in damaged {
            fs::write(&path, bytes).unwrap();
            let aside = directory.path().join("checkpoint.corrupt-1700000000");
            match load::<String>(&path, NOW).unwrap() {
                Loaded::Corrupt { moved_to, .. } => assert_eq!(moved_to, Some(aside)),
                other @ (Loaded::Record(_) | Loaded::Nothing) => panic!("{other:?}"),
            }
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_record_of_another_version_is_no_record() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint");
        let body = codec::encode::<_, 1000>(VERSION + 1, &record("")).unwrap();
        fs::write(
            &path,
            [MAGIC.as_slice(), &Sha256::digest(&body), &body].concat(),
        )
        .unwrap();
        assert!(
            matches!(load::<String>(&path, NOW).unwrap(), Loaded::Corrupt { why, .. } if why.contains("version"))
        );
    }

    #[test]
    fn a_refusal_leaves_the_old_record() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint");
        save(&path, &record("old")).unwrap();
        // A directory in the way of the temporary file refuses as a full disk does.
        fs::create_dir(path.with_extension("new")).unwrap();
        assert!(matches!(
            save(&path, &record("new")),
            Err(SaveError::Io { .. })
        ));
        assert_eq!(
            load(&path, NOW).unwrap(),
            Loaded::Record(Box::new(record("old")))
        );
    }

    #[test]
    fn a_full_disk_is_told() {
        // Any write to it fails as on a full disk.
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let error = fill(&mut full, b"record").unwrap_err();
        let error = refused(Path::new("/state/checkpoint"), error);
        assert!(matches!(error, SaveError::DiskFull(_)), "{error}");
        assert!(error.to_string().contains("free some"));
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint");
        let elsewhere = directory.path().join("elsewhere");
        fs::write(&elsewhere, "precious").unwrap();
        std::os::unix::fs::symlink(&elsewhere, path.with_extension("new")).unwrap();
        save(&path, &record("new")).unwrap();
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "precious");
        assert_eq!(
            load(&path, NOW).unwrap(),
            Loaded::Record(Box::new(record("new")))
        );
    }
}

//! `lymph backup` and `restore`: a node in one file, and back. The only user of rpassword.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;
use zeroize::Zeroizing;

use super::args::{Backup, Global, Passphrase, Restore};
use super::out::{Out, Style};
use crate::config::{default_config, state_named_in};
use crate::daemon::backup::{self, BackupError, CONFIG, ExposeSecret as _, SecretString, Target};
use crate::daemon::clock::wall_clock;
use crate::daemon::{StateLock, prepare};

/// Longest passphrase that is read from a file.
const PASSPHRASE_BYTES_MAX: usize = 4096;

pub(super) fn backup(global: &Global, args: &Backup, out: &mut Out) -> Result<()> {
    let settings = super::settings(global, None)?;
    if !args.force && args.file.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(args.file.clone()).into());
    }
    let (id, contents) = backup::gather(&settings.state, settings.config.as_deref())?;
    let passphrase = args.passphrase.read(true)?;
    let archive = backup::pack(&contents, wall_clock());
    match &passphrase {
        Some(passphrase) => {
            backup::save(&args.file, &backup::seal(&archive, passphrase)?, args.force)?
        }
        None => backup::save(&args.file, &archive, args.force)?,
    }
    let names: Vec<_> = contents.keys().collect();
    if out.json {
        return Ok(out.json(&json!({
            "id": id.to_string(),
            "file": args.file.display().to_string(),
            "holds": names,
            "sealed": passphrase.is_some(),
        }))?);
    }
    out.line(format!("The node {id} is in {}:", args.file.display()))?;
    let names: Vec<_> = names.into_iter().copied().collect();
    out.line(names.join(", "))?;
    if passphrase.is_none() {
        out.styled(
            Style::Warning,
            "It is not sealed",
            ": whoever reads it can speak as this node. With --passphrase it is",
        )?;
    }
    out.line("Keep it on another machine; after `lymph id rotate` make a new one")?;
    Ok(())
}

pub(super) fn restore(global: &Global, args: &Restore, out: &mut Out) -> Result<()> {
    let file = backup::read_capped(&args.file, backup::ARCHIVE_BYTES_MAX)?;
    let Some(bytes) = file else {
        bail!("there is no file {}", args.file.display());
    };
    let passphrase = match args.passphrase.is_wanted() || !backup::is_sealed(&bytes) {
        true => args.passphrase.read(false)?,
        false if io::stdin().is_terminal() => Some(typed("Passphrase of the backup: ")?),
        false => None,
    };
    let opened = backup::open(&bytes, passphrase.as_ref())
        .with_context(|| format!("cannot restore {}", args.file.display()))?;
    drop(bytes);
    let config = global.config.clone().unwrap_or_else(default_config);
    let state = state_folder(global, &config, opened.contents.get(CONFIG), args.force);
    prepare(&state)?;
    let _lock = StateLock::take(&state)?;
    let target = Target {
        state: &state,
        config: &config,
        force: args.force,
        now: wall_clock(),
    };
    let installed = backup::install(&opened, target)?;
    let id = opened.id.to_string();
    if out.json {
        return Ok(out.json(&json!({
            "id": id,
            "state": state.display().to_string(),
            "config": installed.config,
            "moved": installed.moved,
            "sequence": installed.sequence,
        }))?);
    }
    out.line(format!("The node {id} is in {}", state.display()))?;
    if let Some(path) = &installed.config {
        out.line(format!("Its configuration is {}", path.display()))?;
        if *path != config {
            out.line(format!(
                "{} was there already and is not changed",
                config.display()
            ))?;
        }
    }
    for path in &installed.moved {
        out.line(format!("What was there before is {}", path.display()))?;
    }
    out.styled(
        Style::Warning,
        "Stop the other machine",
        ": two nodes with one key stop each other",
    )?;
    Ok(())
}

/// Where the daemon will look, once the configuration of the backup is in place; or would look now, if it is not to be.
fn state_folder(
    global: &Global,
    config: &Path,
    restored: Option<&Zeroizing<Vec<u8>>>,
    force: bool,
) -> PathBuf {
    let will_be_in_place = force || config.symlink_metadata().is_err();
    let named = restored
        .filter(|_| will_be_in_place && global.state.is_none())
        .and_then(|text| std::str::from_utf8(text).ok())
        .and_then(state_named_in);
    named.unwrap_or_else(|| super::settings_or_default(global))
}

impl Passphrase {
    fn is_wanted(&self) -> bool {
        self.passphrase || self.passphrase_file.is_some()
    }

    /// The passphrase, if there is to be one; a new one is typed twice.
    fn read(&self, is_new: bool) -> Result<Option<SecretString>> {
        if let Some(path) = &self.passphrase_file {
            return from_file(path).map(Some);
        }
        if !self.passphrase {
            return Ok(None);
        }
        let passphrase = typed("Passphrase of the backup: ")?;
        if is_new {
            let again = typed("The same again: ")?;
            if again.expose_secret() != passphrase.expose_secret() {
                bail!("the two passphrases are not the same; nothing was written: try again");
            }
        }
        Ok(Some(passphrase))
    }
}

fn typed(prompt: &str) -> Result<SecretString> {
    let typed = rpassword::prompt_password(prompt)
        .context("no terminal to type a passphrase on: say --passphrase-file FILE")?;
    not_empty(typed, "the passphrase is empty")
}

fn from_file(path: &Path) -> Result<SecretString> {
    let cannot = || format!("cannot read the passphrase from {}", path.display());
    let length = fs::metadata(path).with_context(cannot)?.len();
    if length > PASSPHRASE_BYTES_MAX as u64 {
        bail!(
            "{} has {length} bytes, a passphrase has {PASSPHRASE_BYTES_MAX} at most: is it another file?",
            path.display()
        );
    }
    let text = Zeroizing::new(fs::read_to_string(path).with_context(cannot)?);
    let line = text.lines().next().unwrap_or_default().to_owned();
    not_empty(
        line,
        &format!("the first line of {} is empty", path.display()),
    )
}

fn not_empty(text: String, what: &str) -> Result<SecretString> {
    match text.is_empty() {
        true => bail!("{what}: nothing would be sealed by it"),
        false => Ok(SecretString::from(text)),
    }
}

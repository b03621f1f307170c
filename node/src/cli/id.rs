//! `lymph id`: who this node is, and how its key ends. Works on the files of the state folder, the daemon dead.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use anyhow::{Result, bail};
use lymph_protocol::signed::Keypair;
use serde_json::json;

use super::args::{Global, Ids};
use super::out::{Out, Style, moment};
use crate::daemon::StateLock;
use crate::daemon::clock::wall_clock;
use crate::daemon::identity::{IDENTITY, Identity, IdentityError, KILL, SUCCESSOR, TRANSPORT};

pub(super) fn run(global: &Global, command: Option<&Ids>, out: &mut Out) -> Result<()> {
    let state = super::settings_or_default(global);
    match command {
        None => show(&state, out),
        Some(Ids::Rotate { yes }) => rotate(&state, *yes, out),
        Some(Ids::Kill { yes }) => kill(&state, *yes, out),
    }
}

fn show(state: &Path, out: &mut Out) -> Result<()> {
    let identity = Identity::read(state)?;
    let id = identity.keypair.id();
    let transport = Keypair::from_secret(&identity.transport).transport_id();
    let transport: String = transport
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let is_dead = Identity::death(state)?.is_some();
    let successor_file = state.join(SUCCESSOR.name);
    let is_successor_here = successor_file.exists();
    let made = identity.made().to_string();
    if out.json {
        return Ok(out.json(&json!({
            "id": id.to_string(),
            "transport": transport,
            "successor": identity.successor.to_string(),
            "made": made,
            "dead": is_dead,
            "state": state.display().to_string(),
            "successor_key_here": is_successor_here,
        }))?);
    }
    out.styled(Style::Bold, "Node", &format!("       {id}"))?;
    if is_dead {
        out.styled(
            Style::Warning,
            "DEAD",
            ": nobody believes this key any more; `lymph id rotate` goes on with the successor",
        )?;
    }
    out.line(format!("Transport  {transport}"))?;
    out.line(format!("Successor  {}", identity.successor))?;
    out.line(format!("Made       {}", moment(&made)))?;
    let key = |name: &str| state.join(name).display().to_string();
    out.line(format!(
        "Keys       {}, {}",
        key(IDENTITY.name),
        key(TRANSPORT.name)
    ))?;
    out.line("")?;
    let kill = key(KILL.name);
    out.text(&match is_successor_here {
        true => format!(
            "Keep two files somewhere else, offline: a copy of {kill} and {} itself.\n\
             With them you can end this key and go on with the next one, should this machine be taken from you.",
            successor_file.display()
        ),
        false => format!(
            "The successor's key is kept elsewhere, as it should be; keep a copy of {kill} with it."
        ),
    })?;
    Ok(())
}

fn rotate(state: &Path, yes: bool, out: &mut Out) -> Result<()> {
    let _lock = lock(state)?;
    confirm(
        yes,
        "The present key of this node ends for ever, and its successor takes over",
    )?;
    let rotated = Identity::rotate(state, wall_clock())?;
    if out.json {
        return Ok(out.json(&json!({
            "dead": rotated.dead.to_string(),
            "id": rotated.id.to_string(),
            "successor": rotated.successor.to_string(),
        }))?);
    }
    out.line(format!("The node is {} now", rotated.id))?;
    out.line(format!("Dead:       {}", rotated.dead))?;
    out.text(&format!(
        "\nWhat has to be done now:\n\
         1. Start the daemon: it tells everybody that the old key is dead.\n\
         2. Give your friends the new id. They must vouch for it: nobody believes it until they do.\n\
         3. Keep a copy of {} and {} itself somewhere else, offline; the ones that you kept before are used up.\n\
         4. Make a new backup; an old one would bring back the dead key.",
        state.join(KILL.name).display(),
        state.join(SUCCESSOR.name).display()
    ))?;
    Ok(())
}

fn kill(state: &Path, yes: bool, out: &mut Out) -> Result<()> {
    let _lock = lock(state)?;
    confirm(
        yes,
        "The key of this node ends for ever: nobody will believe it again",
    )?;
    Identity::kill(state, wall_clock())?;
    let identity = Identity::read(state)?;
    let id = identity.keypair.id();
    if out.json {
        let successor = identity.successor.to_string();
        return Ok(out.json(&json!({ "dead": id.to_string(), "successor": successor }))?);
    }
    out.styled(Style::Warning, "Dead", &format!(": {id}"))?;
    out.text(
        "\nWhat has to be done now:\n\
         1. Start the daemon: it tells everybody, and reports nothing any more. What it sees and blocks here goes on.\n\
         2. To go on with the successor: stop the daemon and say `lymph id rotate`. Your friends must then vouch for the new id.",
    )?;
    Ok(())
}

/// The lock of a folder with an identity in it; none is made for these commands.
fn lock(state: &Path) -> Result<StateLock> {
    if !state.join(IDENTITY.name).exists() {
        return Err(IdentityError::None(state.to_owned()).into());
    }
    StateLock::take(state)
}

/// What cannot be taken back needs a yes.
fn confirm(yes: bool, what: &str) -> Result<()> {
    if yes {
        return Ok(());
    }
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        bail!("{what}, and that cannot be taken back: say --yes if you mean it");
    }
    let mut stderr = io::stderr();
    write!(
        stderr,
        "{what}. That cannot be taken back. Type yes to go on: "
    )?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => bail!("nothing was changed"),
    }
}

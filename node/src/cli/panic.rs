//! `lymph panic`, `resume` and `firewall`: what must work without the daemon and whatever has become of the store.
//!
//! The flag is written first and then the table is taken out. A daemon that was just putting something in sees the
//! flag within a second and takes it out again; so the table is taken out once more after that.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::args::{Firewalls, Global, Reach};
use super::client;
use super::out::{Out, Style};
use crate::daemon::api::mesh_requests::EnforceRequest;
use crate::daemon::api::mesh_views::MeshDoneView;
use crate::daemon::api::views::StatusView;
use crate::daemon::firewall::drop_table;
use crate::daemon::{make_state_folder, panic_flag};

/// How long a daemon takes at most to see the flag.
const DAEMON_LOOKS: Duration = Duration::from_millis(1_500);

pub(super) fn panic(global: &Global, reach: Reach, out: &mut Out) -> Result<()> {
    let state = super::settings_or_default(global);
    let flag = panic_flag(&state);
    let flagged = raise(&state, &flag);
    let dropped = drop_table();
    let is_running = client::get::<StatusView>(global, "/status").is_ok();
    let told = tell_fleet(global, reach, false, is_running);
    if is_running {
        std::thread::sleep(DAEMON_LOOKS);
        // It may have been at it when the table was taken out.
        let _ = drop_table();
    }
    if out.json {
        let (flagged, dropped) = (flagged.is_ok(), dropped.is_ok());
        out.json(&json!({ "panic": flagged, "table_removed": dropped, "daemon": is_running }))?;
    } else {
        if flagged.is_ok() {
            out.styled(
                Style::Warning,
                "Panic",
                ": nothing is enforced until `lymph resume`, also after a reboot",
            )?;
        }
        if dropped.is_ok() {
            out.line("The table `inet lymph` is out of the firewall: nobody is blocked by lymph")?;
        }
    }
    if let Some(told) = told
        && !out.json
    {
        out.line(told)?;
    }
    out.flush()?;
    flagged?;
    match dropped {
        Ok(()) => Ok(()),
        Err(why) if is_running => {
            out.line(format!(
                "This command may not change the firewall ({why}); the daemon does within a second"
            ))?;
            Ok(())
        }
        Err(why) => {
            bail!("the table could not be taken out: {why}; as root: nft delete table inet lymph")
        }
    }
}

/// Have the other machines of the fleet do the same. Returns what there is to say about it.
fn tell_fleet(global: &Global, reach: Reach, on: bool, is_running: bool) -> Option<String> {
    if reach.here {
        return None;
    }
    let what = if on {
        "enforce again"
    } else {
        "enforce nothing either"
    };
    if !is_running {
        return reach.fleet.then(|| {
            "The other machines of the fleet do not know: no daemon runs here".to_owned()
        });
    }
    match client::post::<MeshDoneView>(global, "/mesh/enforce", &EnforceRequest { on }) {
        Ok(done) if done.done && done.connected == done.siblings => Some(format!(
            "The other machines of the fleet {what} (--here would have left them out)"
        )),
        Ok(done) if done.done => Some(format!(
            "Of the {} other machines of the fleet {} are connected and {what}; the others hear it when they are back",
            done.siblings, done.connected
        )),
        Ok(_) => reach
            .fleet
            .then(|| "This machine is in no fleet".to_owned()),
        Err(why) => Some(format!(
            "The other machines of the fleet are not told: {why}"
        )),
    }
}

/// The flag survives a power cut: it is on disk when this returns.
fn raise(state: &Path, flag: &Path) -> Result<()> {
    let what_to_do = || {
        format!(
            "cannot write {}; run this as the user who runs the daemon",
            flag.display()
        )
    };
    make_state_folder(state)?;
    let mut file = File::create(flag).with_context(what_to_do)?;
    file.write_all(b"`lymph panic` made this file; `lymph resume` takes it away\n")
        .with_context(what_to_do)?;
    file.sync_all().with_context(what_to_do)?;
    File::open(state)
        .and_then(|folder| folder.sync_all())
        .with_context(what_to_do)
}

pub(super) fn resume(global: &Global, reach: Reach, out: &mut Out) -> Result<()> {
    let flag = panic_flag(&super::settings_or_default(global));
    match fs::remove_file(&flag) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("there is no panic to end")
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot remove {}", flag.display()));
        }
    }
    let is_running = client::get::<StatusView>(global, "/status").is_ok();
    let told = tell_fleet(global, reach, true, is_running);
    if out.json {
        return Ok(out.json(&json!({ "panic": false, "daemon": is_running }))?);
    }
    out.line(match is_running {
        true => "The panic is over: within a second the daemon enforces again what is decided",
        false => "The panic is over; no daemon runs, so nothing is enforced until one is started",
    })?;
    if let Some(told) = told {
        out.line(told)?;
    }
    Ok(())
}

pub(super) fn firewall(global: &Global, command: &Firewalls, out: &mut Out) -> Result<()> {
    let Firewalls::Remove = command;
    if client::get::<StatusView>(global, "/status").is_ok() {
        bail!(
            "the daemon runs and would put the table back: stop it first, or open everything with `lymph panic`"
        );
    }
    if let Err(why) = drop_table() {
        bail!("the table could not be taken out: {why}");
    }
    if out.json {
        return Ok(out.json(&json!({ "table_removed": true }))?);
    }
    out.line("The table `inet lymph` is out of the firewall; the next `lymph run` makes it anew")?;
    Ok(())
}

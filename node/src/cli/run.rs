//! `lymph run`: the daemon, in the foreground.

use std::io::{self, IsTerminal};

use anyhow::Result;
use tracing_subscriber::EnvFilter;

use super::args::{Global, Run};
use crate::config::Settings;
use crate::config::settings::Flags;
use crate::daemon;

pub(super) fn run(global: &Global, args: Run) -> Result<()> {
    let settings = Settings::load(Flags {
        state: global.state.clone(),
        config: global.config.clone(),
        rules: args.rules.rules,
        no_bundled_rules: args.rules.no_bundled_rules,
        firewall: args.firewall,
        sources: args.sources,
        no_mesh: args.no_mesh,
        listen: args.listen,
    })?;
    start_log(global.json);
    // Two threads: one for the loop, one for whoever asks the API.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let done = runtime.block_on(daemon::run(settings, &mut io::stdout()));
    // A read of the standard input cannot be broken off; it must not keep the daemon from ending.
    runtime.shutdown_background();
    done
}

/// What is told unless `RUST_LOG` says otherwise. Peers can have libp2p warn of whatever they do; what of it matters is said
/// in our own words.
const QUIET: &str = "info,libp2p=error,hickory=error,yamux=error,quinn=error";

/// What happens goes to the standard error: with `RUST_LOG` as much of it as wanted.
fn start_log(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(QUIET));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false);
    match json {
        true => log.json().init(),
        // The journal knows the time of each line already.
        false if std::env::var_os("JOURNAL_STREAM").is_some() => {
            log.without_time().with_ansi(false).init()
        }
        false => log.with_ansi(io::stderr().is_terminal()).init(),
    }
}

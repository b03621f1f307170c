//! Looks up the names on the allowlist, again and again, so that a home connection with a changing address stays
//! allowed.
//!
//! One task asks for one name at a time through the system's resolver. A name that cannot be found keeps what it was
//! last found to be; the loop hears of each result and tells the engine.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::engine::allowlist::{ADDRESSES_MAX, NAMES_MAX};

/// How often each name is looked up. Dynamic names live for a minute to an hour.
const EVERY: Duration = Duration::from_secs(5 * 60);
/// How long a resolver may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a name was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The name.
    pub(super) name: Arc<str>,
    /// Its addresses, or why there are none.
    pub(super) addresses: Result<Vec<IpAddr>, String>,
}

/// The task and what it is to look up.
#[derive(Debug)]
pub(super) struct Names {
    wanted: watch::Sender<Vec<Arc<str>>>,
    found: mpsc::Receiver<Found>,
    task: JoinHandle<()>,
}

impl Names {
    /// Start looking up nothing yet.
    #[must_use]
    pub(super) fn start() -> Self {
        let (wanted, names) = watch::channel(Vec::new());
        // One name at a time is asked for, so nothing piles up.
        let (tell, found) = mpsc::channel(NAMES_MAX);
        let task = tokio::spawn(ask_for_ever(names, tell));
        Names {
            wanted,
            found,
            task,
        }
    }

    /// From now on look up these, the new ones at once.
    pub(super) fn want(&self, names: Vec<Arc<str>>) {
        self.wanted.send_if_modified(|wanted| {
            let is_new = *wanted != names;
            if is_new {
                *wanted = names;
            }
            is_new
        });
    }

    /// The next result.
    pub(super) async fn found(&mut self) -> Found {
        match self.found.recv().await {
            Some(found) => found,
            None => std::future::pending().await,
        }
    }

    /// Ask no more.
    pub(super) fn stop(self) {
        self.task.abort();
    }
}

async fn ask_for_ever(mut names: watch::Receiver<Vec<Arc<str>>>, tell: mpsc::Sender<Found>) {
    loop {
        let now = names.borrow_and_update().clone();
        for name in now {
            let addresses = ask(&name).await;
            if tell.send(Found { name, addresses }).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            changed = names.changed() => if changed.is_err() { return },
        }
    }
}

async fn ask(name: &str) -> Result<Vec<IpAddr>, String> {
    match tokio::time::timeout(PATIENCE, tokio::net::lookup_host((name, 0))).await {
        Ok(Ok(found)) => Ok(found
            .map(|address| address.ip())
            .take(ADDRESSES_MAX)
            .collect()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_are_looked_up_when_they_are_wanted() {
        let mut names = Names::start();
        names.want(vec!["localhost".into()]);
        let found = names.found().await;
        assert_eq!(&*found.name, "localhost");
        assert!(found.addresses.unwrap().iter().all(IpAddr::is_loopback));
        names.want(vec!["localhost".into(), "127.0.0.9".into()]);
        assert_eq!(&*names.found().await.name, "localhost");
        assert_eq!(
            names.found().await.addresses.unwrap(),
            ["127.0.0.9".parse::<IpAddr>().unwrap()]
        );
        names.stop();
    }
}

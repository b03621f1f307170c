//! The firewall's writer: a part of its own with a narrow message type, on a thread of its own.
//!
//! The loop sends [`Order`]s and hears [`Word`]s; both are plain data, so that the writer could be another process
//! that alone may change the firewall. What carries them out is a [`Backend`]: `nftables`, `command` (the operator's
//! own program) or `dry_run`. A back end decides nothing and remembers no decision: whatever goes wrong, the loop
//! sends everything anew.

mod child;
mod command;
mod dry_run;
mod netlink;
mod nftables;

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::clock::Stopwatch;
use crate::engine::target::Target;

pub use command::Command;
pub use dry_run::DryRun;
pub use nftables::{Nftables, drop_table};

/// Orders that may wait. The loop has one under way at a time; the others are look-ups.
const ORDERS_MAX: usize = 16;
/// Words that may wait for the loop.
const WORDS_MAX: usize = 64;
/// How often a back end looks whether everything is as it left it.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How often refused connections are read.
const HITS_EVERY: Duration = Duration::from_secs(10);

/// An entry with less time left is not looked for.
const NEARLY_OVER: Duration = Duration::from_secs(5);

/// What a firewall does about somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Few new connections.
    Throttle,
    /// No packets.
    Ban,
}

impl Measure {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Measure::Throttle => "throttle",
            Measure::Ban => "ban",
        }
    }
}

/// Something that is in force, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// About whom.
    pub target: Target,
    /// What.
    pub measure: Measure,
}

/// What the loop wants.
#[derive(Debug)]
pub enum Order {
    /// Enforce exactly these, each for so long from now.
    Replace(Vec<(Entry, Duration)>),
    /// Enforce these for so long from now, in place of what is enforced; `None` stops it.
    Change(Vec<(Entry, Option<Duration>)>),
    /// These should be in force: put back those that are not.
    Verify(Vec<(Entry, Duration)>),
    /// Which of these are in force?
    Look(Vec<Entry>, oneshot::Sender<Result<Vec<bool>, String>>),
    /// Take everything out, and do nothing until everything is to be enforced anew.
    Open,
}

/// What the writer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// The last [`Order::Replace`], [`Order::Change`] or [`Order::Open`] is carried out.
    Done,
    /// The last order was refused, and nothing of it is in force.
    Failed(String),
    /// The last [`Order::Verify`] had to put so many back.
    Mended(usize),
    /// What it made is gone or changed: everything is wanted anew.
    Lost(String),
    /// Somebody has changed something: entries should be verified.
    Doubtful,
    /// Connections that were refused since the last time, and packets since everything was made.
    Hits {
        /// By address; an IPv6 address stands for its /64.
        hits: Vec<Hit>,
        /// Packets of all of them.
        packets: u64,
    },
}

/// Refused connections of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// The address.
    pub address: IpAddr,
    /// How many.
    pub connections: u64,
}

/// How a back end finds what it made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// As it left it.
    Sound,
    /// Somebody has changed something, maybe nothing of ours.
    Doubtful,
    /// Gone or changed, in words.
    Lost(String),
}

/// What carries orders out. Every method may take as long as a program runs, and none for ever.
pub trait Backend: Send {
    /// See [`Order::Replace`].
    fn replace(&mut self, all: &[(Entry, Duration)]) -> Result<(), String>;
    /// See [`Order::Change`].
    fn change(&mut self, changes: &[(Entry, Option<Duration>)]) -> Result<(), String>;
    /// See [`Order::Look`].
    fn look(&mut self, entries: &[Entry]) -> Result<Vec<bool>, String>;
    /// See [`Order::Open`].
    fn open(&mut self) -> Result<(), String>;
    /// Once a second, and nearly free.
    fn check(&mut self) -> Health;
    /// See [`Word::Hits`]; `None` if nothing is counted.
    fn hits(&mut self) -> Result<Option<(Vec<Hit>, u64)>, String>;
}

/// The loop's end of the thread.
#[derive(Debug)]
pub struct Writer {
    orders: SyncSender<Order>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Start the thread.
    pub fn start(backend: Box<dyn Backend>) -> std::io::Result<(Self, mpsc::Receiver<Word>)> {
        let (orders, ordered) = sync_channel(ORDERS_MAX);
        let (tell, words) = mpsc::channel(WORDS_MAX);
        let thread = std::thread::Builder::new()
            .name("lymph-firewall".to_owned())
            .spawn(move || work(backend, &ordered, &tell))?;
        Ok((Writer { orders, thread }, words))
    }

    /// Send an order, unless too many wait already. Says whether it was sent.
    pub fn send(&self, order: Order) -> bool {
        self.orders.try_send(order).is_ok()
    }

    /// Have what was ordered carried out, and end. Words that nobody reads any more must not keep it.
    pub fn stop(self, words: mpsc::Receiver<Word>) {
        drop(words);
        drop(self.orders);
        if self.thread.join().is_err() {
            tracing::error!("the firewall's writer broke off");
        }
    }
}

/// Orders as they come; between them, the look whether everything is as it was left.
fn work(mut backend: Box<dyn Backend>, orders: &Receiver<Order>, tell: &mpsc::Sender<Word>) {
    let (mut is_kept, mut hits_read) = (false, Stopwatch::start());
    let mut checked = Stopwatch::start();
    loop {
        let wait = CHECK_EVERY.saturating_sub(checked.elapsed());
        let words = match orders.recv_timeout(wait) {
            Ok(order) => {
                match order {
                    Order::Replace(_) => is_kept = true,
                    Order::Open => is_kept = false,
                    Order::Change(_) | Order::Verify(_) | Order::Look(..) => {}
                }
                let word = carry_out(&mut *backend, order);
                if let Some(Word::Failed(_)) = word {
                    is_kept = false;
                }
                word.into_iter().collect()
            }
            Err(RecvTimeoutError::Timeout) => {
                checked = Stopwatch::start();
                let mut words = Vec::new();
                if is_kept {
                    match backend.check() {
                        Health::Sound => {}
                        Health::Doubtful => words.push(Word::Doubtful),
                        Health::Lost(why) => {
                            is_kept = false;
                            words.push(Word::Lost(why));
                        }
                    }
                }
                if is_kept && hits_read.elapsed() >= HITS_EVERY {
                    hits_read = Stopwatch::start();
                    match backend.hits() {
                        Ok(Some((hits, packets))) => words.push(Word::Hits { hits, packets }),
                        Ok(None) => {}
                        Err(error) => {
                            tracing::debug!("refused connections are not counted: {error}")
                        }
                    }
                }
                words
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        for word in words {
            // Once nobody listens, orders still come until the end.
            let _ = tell.blocking_send(word);
        }
    }
}

fn carry_out(backend: &mut dyn Backend, order: Order) -> Option<Word> {
    let done = match order {
        Order::Replace(all) => backend.replace(&all),
        Order::Change(changes) => backend.change(&changes),
        Order::Open => backend.open(),
        Order::Verify(entries) => {
            let mended = verify(backend, &entries);
            return Some(mended.map_or_else(Word::Failed, Word::Mended));
        }
        Order::Look(entries, tell) => {
            // Whoever asked may have gone away.
            let _ = tell.send(backend.look(&entries));
            return None;
        }
    };
    Some(done.map_or_else(Word::Failed, |()| Word::Done))
}

/// Put back what is missing. Says how many that were.
fn verify(backend: &mut dyn Backend, entries: &[(Entry, Duration)]) -> Result<usize, String> {
    // What is nearly over may end while it is looked for.
    let entries: Vec<_> = entries
        .iter()
        .filter(|(_, left)| *left > NEARLY_OVER)
        .collect();
    let asked: Vec<_> = entries.iter().map(|(entry, _)| *entry).collect();
    let found = backend.look(&asked)?;
    let missing = entries
        .iter()
        .zip(found)
        .filter_map(|((entry, left), found)| (!found).then_some((*entry, Some(*left))));
    let missing: Vec<_> = missing.collect();
    if !missing.is_empty() {
        backend.change(&missing)?;
    }
    Ok(missing.len())
}

//! All logs that the daemon reads, as one stream of batches.
//!
//! ```text
//! files, docker ── one thread (tail) ──┐
//! journal ──────── one task each ──────┼── channel, 2 batches ── next() ── engine ── taken() ── positions()
//! stdin ────────── one thread ─────────┘
//! ```
//!
//! Nothing is read ahead but what fits in the channel: a slow engine slows the readers. Positions move only in
//! [`Sources::taken`], so they never speak of a line that the engine has not seen; saved in one record with
//! what the engine made of the lines, they let a restart go on exactly there. The next step of the path is the
//! daemon's loop.

pub(in crate::daemon) mod alive;
pub(in crate::daemon) mod batch;
pub(in crate::daemon) mod line_id;
pub(in crate::daemon) mod notice;
pub(in crate::daemon) mod positions;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use ipnet::IpNet;
use lymph_scenarios::date::Zone;
use lymph_scenarios::line::Source;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

pub use self::alive::ReaderEnded;
use self::alive::{Guard, Pulse};
pub use self::batch::{BATCH_BYTES_MAX, BATCH_LINES_MAX, Batch};
pub use self::notice::{Notice, NoticeKind};
pub use self::positions::Positions;
use self::positions::Update;
use super::docker::CONTAINERS;
use super::journal::{self, JournalSpec};
use super::stdin;
use super::tail::{Container, FileSpec, Framing, Outlet, Reader, Start, Tail};

/// Most batches between the readers and the loop. With two the reader works while the engine does.
const CHANNEL_BATCHES: usize = 2;

/// A source as the configuration means it.
#[derive(Clone, Debug)]
pub struct SourceSpec {
    /// What is read.
    pub what: What,
    /// Facts that the rules see; `type` says which parsers may understand the lines.
    pub labels: BTreeMap<String, String>,
    /// Reverse proxies whose lines name the real client elsewhere.
    pub trusted_proxies: Vec<IpNet>,
    /// The zone of its dates without an offset.
    pub zone: Zone,
    /// Where to begin at the very first start.
    pub start: Start,
}

/// The kinds of sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A path, in which names may hold `*`, `?` and `[…]`.
    Files(String),
    /// The same for logs of Docker's `json-file` driver.
    Docker(String),
    /// The log of the Docker container with this name.
    Container(String),
    /// The systemd journal.
    Journal(JournalSpec),
    /// The standard input.
    Stdin,
}

/// As the operator would write it.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Files(pattern) => f.write_str(pattern),
            What::Docker(place) | What::Container(place) => write!(f, "docker:{place}"),
            What::Journal(journal) => f.write_str(&journal.name()),
            What::Stdin => f.write_str("stdin"),
        }
    }
}

impl SourceSpec {
    /// A source whose lines are of the given type, dated in UTC, read from its end on.
    #[must_use]
    pub fn new(what: What, log_type: &str) -> Self {
        let labels = BTreeMap::from([("type".to_owned(), log_type.to_owned())]);
        SourceSpec {
            what,
            labels,
            trusted_proxies: Vec::new(),
            zone: Zone::default(),
            start: Start::End,
        }
    }

    fn source(&self, name: String, module: &str) -> Source {
        Source {
            name,
            module: module.to_owned(),
            labels: self.labels.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            zone: self.zone.clone(),
            ..Source::default()
        }
    }
}

/// What was read of one source since the daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Lines that were handed out.
    pub lines: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Lines that were cut because they were too long.
    pub cut_lines: u64,
    /// Times that lines were lost.
    pub gaps: u64,
}

impl Counters {
    fn add(&mut self, batch: &Batch) {
        self.lines += batch.len() as u64;
        self.bytes += batch.bytes();
        self.cut_lines += batch.cut_lines;
        self.gaps += batch.gaps;
    }
}

/// All sources of the daemon. Dropping it stops the reading.
#[derive(Debug)]
pub struct Sources {
    inbox: mpsc::Receiver<Batch>,
    /// Used batches on their way back, so that their memory is used again.
    used: SyncSender<Batch>,
    positions: Positions,
    counters: BTreeMap<String, Counters>,
    tasks: Vec<JoinHandle<()>>,
    /// Who reads no more, and whether the thread that reads the files still goes round.
    ended: mpsc::Receiver<ReaderEnded>,
    pulse: Option<Pulse>,
}

impl Sources {
    /// Opens the sources, at their positions if there are some. Must be called within a tokio runtime.
    ///
    /// The notices say what is followed from where, what is not and why. Save [`Sources::positions`] right
    /// after, so that even a crash in the first second loses nothing.
    #[must_use]
    pub fn new(specs: Vec<SourceSpec>, restored: Option<Positions>) -> (Self, Vec<Notice>) {
        let (outbox, inbox) = mpsc::channel(CHANNEL_BATCHES);
        // Whoever is the first to end is enough to know.
        let (say_ended, ended) = mpsc::channel(1);
        let (used, again) = sync_channel(CHANNEL_BATCHES + 1);
        let positions = restored.unwrap_or_default();
        let mut sources = Sources {
            inbox,
            used,
            positions,
            counters: BTreeMap::new(),
            tasks: Vec::new(),
            ended,
            pulse: None,
        };
        let mut first = Batch::default();
        let mut files = Vec::new();
        for spec in specs {
            match &spec.what {
                What::Files(pattern) => {
                    files.push(file_spec(&spec, pattern, Framing::Plain, "file"))
                }
                What::Docker(pattern) => {
                    files.push(file_spec(&spec, pattern, Framing::Docker, "docker"))
                }
                What::Container(name) => {
                    let container = Container::new(name, Path::new(CONTAINERS));
                    let called = spec.what.to_string();
                    files.push(FileSpec {
                        container: Some(container),
                        ..file_spec(&spec, &called, Framing::Docker, "docker")
                    });
                }
                What::Journal(journal) => {
                    let cursor = sources.positions.journals.get(&journal.name()).cloned();
                    let source = Arc::new(spec.source(journal.name(), "journalctl"));
                    let following = journal::follow(
                        journal.clone(),
                        source,
                        cursor,
                        spec.start,
                        outbox.clone(),
                    );
                    let guard = Guard::new(&journal.name(), &say_ended);
                    sources.tasks.push(tokio::spawn(async move {
                        following.await;
                        drop(guard);
                    }));
                }
                What::Stdin => {
                    let source = Arc::new(spec.source("stdin".to_owned(), "stdin"));
                    if let Err(error) =
                        stdin::start(source, outbox.clone(), Guard::new("stdin", &say_ended))
                    {
                        first.notices.push(Notice::new(
                            NoticeKind::Failed,
                            "stdin",
                            format!("cannot be read: {error}"),
                        ));
                    }
                }
            }
        }
        if !files.is_empty() {
            let guard = Guard::new("the log files", &say_ended);
            let outlet = Outbox {
                outbox,
                again,
                _guard: guard,
            };
            sources.follow_files(files, outlet, &mut first);
        }
        let notices = std::mem::take(&mut first.notices);
        sources.taken(first);
        (sources, notices)
    }

    /// The next lines, or that a reader has ended that should not have. Nothing is lost when the future is
    /// dropped, so it may stand in a `select!`.
    pub async fn next(&mut self) -> Result<Batch, ReaderEnded> {
        tokio::select! {
            biased;
            Some(ended) = self.ended.recv() => Err(ended),
            Some(batch) = self.inbox.recv() => Ok(batch),
            // Every source has come to its end.
            else => std::future::pending().await,
        }
    }

    /// Whether the thread that reads the files, if there is one, went round lately.
    pub fn is_reading(&mut self) -> bool {
        self.pulse.as_mut().is_none_or(Pulse::beats)
    }

    /// The engine has taken the lines: positions move behind them. Batches must come back in their order, each one.
    pub fn taken(&mut self, mut batch: Batch) {
        if !batch.is_empty() || batch.gaps > 0 {
            match self.counters.get_mut(&batch.source.name) {
                Some(counters) => counters.add(&batch),
                None => self
                    .counters
                    .entry(batch.source.name.clone())
                    .or_default()
                    .add(&batch),
            }
        }
        for update in batch.updates.drain(..) {
            if let Update::Forget(path) = &update {
                self.add_to_gone(path);
            }
            self.positions.apply(update);
        }
        batch.clear();
        let _ = self.used.try_send(batch);
    }

    /// Where reading stands after the lines that were taken.
    #[must_use]
    pub fn positions(&self) -> &Positions {
        &self.positions
    }

    /// What was read, by the name of the source. What is gone is counted together under the name "".
    #[must_use]
    pub fn counters(&self) -> &BTreeMap<String, Counters> {
        &self.counters
    }

    fn add_to_gone(&mut self, path: &str) {
        let Some(counters) = self.counters.remove(path) else {
            return;
        };
        let gone = self.counters.entry(String::new()).or_default();
        gone.lines += counters.lines;
        gone.bytes += counters.bytes;
        gone.cut_lines += counters.cut_lines;
        gone.gaps += counters.gaps;
    }

    fn follow_files(&mut self, files: Vec<FileSpec>, outlet: Outbox, first: &mut Batch) {
        let restored = Positions {
            journals: BTreeMap::new(),
            ..self.positions.clone()
        };
        let mut tail = Tail::new(files, restored);
        tail.look(first);
        let reader = match Reader::start(tail, outlet) {
            Ok(reader) => reader,
            Err(error) => {
                first.notices.push(Notice::new(
                    NoticeKind::Failed,
                    "files",
                    format!("no thread for reading: {error}"),
                ));
                return;
            }
        };
        self.pulse = Some(Pulse::new(reader.rounds()));
        self.tasks.push(tokio::spawn(async move {
            let mut second = tokio::time::interval(Duration::from_secs(1));
            second.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                second.tick().await;
                reader.tick();
            }
        }));
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn file_spec(spec: &SourceSpec, pattern: &str, framing: Framing, module: &str) -> FileSpec {
    FileSpec {
        pattern: pattern.to_owned(),
        container: None,
        framing,
        start: spec.start,
        source: spec.source(String::new(), module),
    }
}

/// The way from the reader's thread to the loop, and back for the buffers.
struct Outbox {
    outbox: mpsc::Sender<Batch>,
    again: Receiver<Batch>,
    _guard: Guard,
}

impl Outlet for Outbox {
    fn batch(&mut self) -> Batch {
        self.again.try_recv().unwrap_or_default()
    }

    fn put(&mut self, batch: Batch) -> bool {
        self.outbox.blocking_send(batch).is_ok()
    }
}

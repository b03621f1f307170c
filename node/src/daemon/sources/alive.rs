//! Whether the readers still read. A daemon whose reader has ended looks healthy and sees nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::daemon::clock::Stopwatch;
use crate::daemon::tail::Rounds;

/// A reader of files makes a round a second. One that has made none for so long hangs, such as on a disk that does
/// not answer.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// A reader has ended that should not have: it panicked, or could not even be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the reader of {0} has ended by itself, so its lines are no longer seen: lymph saves what it knows and ends, to be started \
     again (by hand, or by the service manager if it restarts what fails)"
)]
pub struct ReaderEnded(String);

/// Held by a reader. Says so when it is dropped before the reader was done.
#[derive(Debug)]
pub(in crate::daemon) struct Guard {
    name: String,
    ended: Option<mpsc::Sender<ReaderEnded>>,
}

impl Guard {
    pub(in crate::daemon) fn new(name: &str, ended: &mpsc::Sender<ReaderEnded>) -> Self {
        Guard {
            name: name.to_owned(),
            ended: Some(ended.clone()),
        }
    }

    /// There is nothing more to read.
    pub(in crate::daemon) fn finish(mut self) {
        self.ended = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // One is enough, and when the daemon ends nobody listens.
        if let Some(ended) = self.ended.take() {
            let _ = ended.try_send(ReaderEnded(std::mem::take(&mut self.name)));
        }
    }
}

/// Looks from outside whether a reader's thread still makes its rounds.
#[derive(Debug)]
pub(in crate::daemon) struct Pulse {
    rounds: Arc<Rounds>,
    seen: u64,
    since: Stopwatch,
}

impl Pulse {
    pub(in crate::daemon) fn new(rounds: Arc<Rounds>) -> Self {
        Pulse {
            seen: rounds.count(),
            rounds,
            since: Stopwatch::start(),
        }
    }

    /// Whether there was a round lately.
    pub(in crate::daemon) fn beats(&mut self) -> bool {
        self.beats_within(STUCK_AFTER)
    }

    fn beats_within(&mut self, pause: Duration) -> bool {
        let count = self.rounds.count();
        if count != self.seen {
            (self.seen, self.since) = (count, Stopwatch::start());
        }
        self.since.elapsed() < pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::sources::{Batch, Positions};
    use crate::daemon::tail::{Outlet, Reader, Tail};

    /// Gives a few batches, then panics.
    struct Faulty {
        batches: u32,
        _guard: Guard,
    }

    impl Outlet for Faulty {
        fn batch(&mut self) -> Batch {
            self.batches -= 1;
            Batch {
                cut_lines: 1,
                ..Batch::default()
            }
        }

        fn put(&mut self, _: Batch) -> bool {
            assert!(self.batches > 0, "as if by a mistake in the reader");
            true
        }
    }

    #[tokio::test]
    async fn a_reader_that_panics_is_missed() {
        let directory = tempfile::tempdir().unwrap();
        let pattern = directory.path().join("*.log").display().to_string();
        let spec = crate::daemon::tail::FileSpec {
            pattern,
            container: None,
            framing: crate::daemon::tail::Framing::Plain,
            start: crate::daemon::tail::Start::End,
            source: Default::default(),
        };
        let (say, mut ended) = mpsc::channel(1);
        let tail = Tail::new(vec![spec], Positions::default());
        let outlet = Faulty {
            batches: 1,
            _guard: Guard::new("files", &say),
        };
        let reader = Reader::start(tail, outlet).unwrap();
        reader.tick();
        let said = ended.recv().await.unwrap().to_string();
        assert!(said.contains("the reader of files has ended"), "{said}");
    }

    #[tokio::test]
    async fn one_that_is_done_is_not() {
        let (say, mut ended) = mpsc::channel(1);
        Guard::new("stdin", &say).finish();
        drop(say);
        assert_eq!(ended.recv().await, None);
    }

    #[test]
    fn a_thread_without_rounds_is_noticed() {
        let rounds = Arc::new(Rounds::default());
        let mut pulse = Pulse::new(Arc::clone(&rounds));
        assert!(pulse.beats() && !pulse.beats_within(Duration::ZERO));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!pulse.beats_within(Duration::from_millis(10)));
        rounds.add();
        assert!(pulse.beats_within(Duration::from_millis(10)));
    }
}

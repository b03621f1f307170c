//! How far a long run is, on stderr: how fast, and how long it will take. Nothing of it enters a result, so it may ask the
//! system for the time.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// See the head of the file.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    said: Instant,
    pause: Duration,
    end: &'static str,
}

impl Progress {
    /// From now on. On a terminal one line changes four times a second, elsewhere there is a line every ten.
    #[expect(clippy::disallowed_methods, reason = "for people, of no result a part")]
    pub(crate) fn new() -> Progress {
        let now = Instant::now();
        let (pause, end) = match std::io::stderr().is_terminal() {
            true => (Duration::from_millis(250), "\r"),
            false => (Duration::from_secs(10), "\n"),
        };
        Progress {
            started: now,
            said: now,
            pause,
            end,
        }
    }

    /// So many of so many are done.
    #[expect(clippy::disallowed_methods, reason = "for people, of no result a part")]
    pub(crate) fn say(&mut self, done: u64, all: u64) {
        let now = Instant::now();
        if now - self.said < self.pause && done < all {
            return;
        }
        self.said = now;
        let passed = (now - self.started).as_secs_f64();
        let rate = done as f64 / passed.max(0.001);
        let left = all.saturating_sub(done) as f64 / rate.max(0.001);
        let (end, percent) = (self.end, done * 100 / all.max(1));
        // Whoever closed stderr wants to hear nothing.
        let _ = write!(
            std::io::stderr(),
            "{percent:3} %: {done} of {all} nodes asked, {rate:.0} a second, {left:.0} s left   {end}"
        );
        if done >= all && end == "\r" {
            let _ = writeln!(std::io::stderr());
        }
    }
}

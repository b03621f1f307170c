//! Who really did what: the answer against which detections are judged.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Write};

use super::clock::rfc3339;

/// Six tries within ten minutes are loud.
pub const LOUD_TRIES: usize = 6;
/// The ten minutes.
pub const LOUD_WINDOW_MS: u64 = 600_000;

/// What one client did, as far as it stands in the log.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its address, as the log shows it.
    pub address: String,
    /// What kind of client it is.
    pub class: &'static str,
    /// Whether it means no harm.
    pub benign: bool,
    /// How many hostile tries of it (or, of a benign client, honest failures) the log shows.
    pub tries: u64,
    /// How many lines the log has of it.
    pub lines: u64,
    /// When its first line was written, in milliseconds since the epoch.
    pub first_ms: u64,
    /// When its last line was written.
    pub last_ms: u64,
    /// Whether it is hostile and made enough tries in some ten minutes: six, or more for a class whose single
    /// tries are what every visitor does (see `Class::loud_tries`).
    pub loud: bool,
    loud_tries: usize,
    recent: VecDeque<u64>,
}

impl Record {
    /// A client of which nothing is known yet.
    pub fn new(address: String, class: &'static str, benign: bool, loud_tries: usize) -> Self {
        let recent = VecDeque::new();
        Record {
            address,
            class,
            benign,
            tries: 0,
            lines: 0,
            first_ms: 0,
            last_ms: 0,
            loud: false,
            loud_tries,
            recent,
        }
    }

    /// Takes note of a line of this client that stands for so many tries.
    pub fn note(&mut self, at_ms: u64, tries: u16) {
        if self.lines == 0 {
            self.first_ms = at_ms;
        }
        self.lines += 1;
        self.last_ms = at_ms;
        self.tries += u64::from(tries);
        if self.benign || self.loud {
            return;
        }
        for _ in 0..tries {
            self.recent.push_back(at_ms);
            if self.recent.len() > self.loud_tries {
                self.recent.pop_front();
            }
            let within = self
                .recent
                .front()
                .is_some_and(|first| at_ms - first <= LOUD_WINDOW_MS);
            self.loud |= self.recent.len() == self.loud_tries && within;
        }
        if self.loud {
            self.recent = VecDeque::new();
        }
    }
}

/// The ground truth of one log.
#[derive(Debug)]
pub struct Truth {
    /// `sshd` or `nginx`.
    pub service: &'static str,
    /// The seed the log was made from.
    pub seed: u64,
    /// How many lines the log has.
    pub lines: u64,
    /// How many of them hostile clients caused.
    pub hostile_lines: u64,
    /// Every client that stands in the log, in the order of appearance, and the addresses that attackers
    /// wrote into fields of theirs to put blame on others (class `framed`).
    pub actors: Vec<Record>,
}

impl Truth {
    /// Writes the truth as one JSON object, an actor a line.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let Truth {
            service,
            seed,
            lines,
            hostile_lines,
            actors,
        } = self;
        writeln!(
            out,
            r#"{{"service":"{service}","seed":{seed},"lines":{lines},"hostile_lines":{hostile_lines},"actors":["#
        )?;
        let mut row = String::new();
        for (index, actor) in actors.iter().enumerate() {
            let Record {
                address,
                class,
                benign,
                tries,
                lines,
                first_ms,
                last_ms,
                loud,
                ..
            } = actor;
            let (first, last) = (rfc3339(*first_ms), rfc3339(*last_ms));
            let comma = if index + 1 == actors.len() { "" } else { "," };
            row.clear();
            let written = write!(
                row,
                r#"{{"address":"{address}","class":"{class}","benign":{benign},"loud":{loud},"tries":{tries},"lines":{lines},"first":"{first}","last":"{last}"}}{comma}"#
            );
            written.map_err(io::Error::other)?;
            writeln!(out, "{row}")?;
        }
        writeln!(out, "]}}")
    }
}

//! The operator's own program: one JSON object a line on its standard input, in batches.
//!
//! It is started once and lives as long as the daemon. It is told `flush` (forget everything), `add`, `remove`, and
//! `commit` after each batch:
//!
//! ```json
//! {"op":"flush"}
//! {"op":"add","subject":"192.0.2.1","network":"192.0.2.1/32","family":"ipv4","measure":"ban","seconds":3600}
//! {"op":"remove","subject":"192.0.2.1","network":"192.0.2.1/32","family":"ipv4","measure":"ban"}
//! {"op":"commit"}
//! ```
//!
//! An `add` takes the place of an earlier one. The program ends nothing by itself: a `remove` comes when the time is
//! over. If it ends, or does not read, it is started again and told everything anew.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::child::complaint;
use super::{Backend, Entry, Health, Hit};

/// How long the program may leave a batch unread.
const PATIENCE: Duration = Duration::from_secs(30);
/// A moment for the last words of a program that has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How many lines of its complaints are kept.
const COMPLAINTS_MAX: usize = 5;
/// Longest complaint that is kept, in bytes.
const COMPLAINT_BYTES_MAX: u64 = 1_000;

/// The back end.
#[derive(Debug)]
pub struct Command {
    program: String,
    arguments: Vec<String>,
    patience: Duration,
    running: Option<Running>,
}

/// The program while it runs, and a thread that feeds it, so that one that does not read keeps nobody.
#[derive(Debug)]
struct Running {
    child: Child,
    batches: SyncSender<String>,
    taken: Receiver<std::io::Result<()>>,
    complaints: Complaints,
}

type Complaints = Arc<Mutex<VecDeque<String>>>;

impl Drop for Running {
    fn drop(&mut self) {
        // Whatever it does, its pipes close and the threads on them end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    measure: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
}

impl Command {
    /// The program is started with the first order.
    #[must_use]
    pub fn new(program: &str, arguments: &[String]) -> Self {
        Command {
            program: program.to_owned(),
            arguments: arguments.to_vec(),
            patience: PATIENCE,
            running: None,
        }
    }

    fn start(&self) -> Result<Running, String> {
        let mut child = std::process::Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A Ctrl-C is for the daemon, which ends this one in its own time.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", self.program))?;
        let (batches, to_feed) = sync_channel(1);
        let (tell, taken) = sync_channel(1);
        let complaints = Complaints::default();
        if let Some(stdin) = child.stdin.take() {
            thread::spawn(move || feed(stdin, &to_feed, &tell));
        }
        if let Some(stderr) = child.stderr.take() {
            let kept = Arc::clone(&complaints);
            thread::spawn(move || listen(stderr, &kept));
        }
        Ok(Running {
            child,
            batches,
            taken,
            complaints,
        })
    }

    /// Hand over a batch.
    fn tell(&mut self, text: String) -> Result<(), String> {
        let running = match self.running.take() {
            Some(running) => running,
            None => self.start()?,
        };
        let sent = running.batches.send(text);
        let taken = sent.map(|()| running.taken.recv_timeout(self.patience));
        match taken {
            Ok(Ok(Ok(()))) => {
                self.running = Some(running);
                Ok(())
            }
            Ok(Ok(Err(error))) => Err(self.ended(running, &format!("does not read: {error}"))),
            Ok(Err(_)) => Err(self.ended(
                running,
                &format!("has read nothing for {} s", self.patience.as_secs()),
            )),
            Err(_) => Err(self.ended(running, "has no input")),
        }
    }

    /// Give the program up, and say what it said.
    fn ended(&self, running: Running, what: &str) -> String {
        thread::sleep(LAST_WORDS);
        let kept = running
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let words: Vec<_> = kept.iter().map(String::as_str).collect();
        match words.is_empty() {
            true => format!("{} {what}", self.program),
            false => format!("{} {what}; it said: {}", self.program, words.join(" / ")),
        }
    }
}

/// Batch after batch, until nobody sends or the program is gone.
fn feed(mut stdin: ChildStdin, batches: &Receiver<String>, tell: &SyncSender<std::io::Result<()>>) {
    for batch in batches {
        let written = stdin
            .write_all(batch.as_bytes())
            .and_then(|()| stdin.flush());
        if tell.send(written).is_err() {
            return;
        }
    }
}

/// Keep the last lines that it complains with.
fn listen(stderr: ChildStderr, kept: &Mutex<VecDeque<String>>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut stderr)
            .take(COMPLAINT_BYTES_MAX)
            .read_until(b'\n', &mut line);
        if !matches!(read, Ok(1..)) {
            return;
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == COMPLAINTS_MAX {
            kept.pop_front();
        }
        kept.push_back(complaint(&line));
    }
}

impl Backend for Command {
    fn replace(&mut self, all: &[(Entry, Duration)]) -> Result<(), String> {
        let mut text = line("flush", None);
        for (entry, left) in all {
            text.push_str(&line("add", Some((*entry, Some(*left)))));
        }
        text.push_str(&line("commit", None));
        self.tell(text)
    }

    fn change(&mut self, changes: &[(Entry, Option<Duration>)]) -> Result<(), String> {
        let mut text = String::new();
        for (entry, left) in changes {
            let op = if left.is_some() { "add" } else { "remove" };
            text.push_str(&line(op, Some((*entry, *left))));
        }
        text.push_str(&line("commit", None));
        self.tell(text)
    }

    fn look(&mut self, entries: &[Entry]) -> Result<Vec<bool>, String> {
        // It cannot be asked; while it runs it has what it was told.
        Ok(vec![true; entries.len()])
    }

    fn open(&mut self) -> Result<(), String> {
        let text = line("flush", None) + &line("commit", None);
        self.tell(text)
    }

    fn check(&mut self) -> Health {
        let Some(mut running) = self.running.take() else {
            return Health::Lost(format!("{} does not run", self.program));
        };
        match running.child.try_wait() {
            Ok(None) => {
                self.running = Some(running);
                Health::Sound
            }
            ended => {
                let status = ended.map_or_else(
                    |error| error.to_string(),
                    |end| end.map(|end| end.to_string()).unwrap_or_default(),
                );
                Health::Lost(self.ended(running, &format!("has ended ({status})")))
            }
        }
    }

    fn hits(&mut self) -> Result<Option<(Vec<Hit>, u64)>, String> {
        Ok(None)
    }
}

fn line(op: &'static str, about: Option<(Entry, Option<Duration>)>) -> String {
    let subject = about.map(|(entry, _)| {
        let network = entry.target.network();
        match network.prefix_len() == network.max_prefix_len() {
            true => network.addr().to_string(),
            false => network.to_string(),
        }
    });
    let network = about.map(|(entry, _)| entry.target.network());
    let text = network.map(|network| network.to_string());
    let message = Message {
        op,
        subject: subject.as_deref(),
        network: text.as_deref(),
        family: network.map(|network| match network.addr().is_ipv4() {
            true => "ipv4",
            false => "ipv6",
        }),
        measure: about.map(|(entry, _)| entry.measure.name()),
        seconds: about
            .and_then(|(_, left)| left)
            .map(|left| left.as_secs() + u64::from(left.subsec_nanos() > 0)),
    };
    // These texts and numbers always have a form in JSON.
    let mut line = serde_json::to_string(&message).unwrap_or_default();
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::super::Measure;
    use super::*;

    fn entry(target: &str, measure: Measure) -> Entry {
        Entry {
            target: target.parse().unwrap(),
            measure,
        }
    }

    #[test]
    fn a_program_is_told_everything_and_what_changes() {
        let folder = tempfile::tempdir().unwrap();
        let heard = folder.path().join("heard");
        let script = format!("cat >> {}", heard.display());
        let mut command = Command::new("sh", &["-c".to_owned(), script]);
        let hour = Duration::from_secs(3600);
        command
            .replace(&[(entry("192.0.2.1", Measure::Ban), hour)])
            .unwrap();
        command
            .change(&[
                (
                    entry("2001:db8::1", Measure::Throttle),
                    Some(Duration::from_millis(1500)),
                ),
                (entry("198.51.100.0/24", Measure::Ban), None),
            ])
            .unwrap();
        assert_eq!(command.check(), Health::Sound);
        let expected = r#"{"op":"flush"}
{"op":"add","subject":"192.0.2.1","network":"192.0.2.1/32","family":"ipv4","measure":"ban","seconds":3600}
{"op":"commit"}
{"op":"add","subject":"2001:db8::/64","network":"2001:db8::/64","family":"ipv6","measure":"throttle","seconds":2}
{"op":"remove","subject":"198.51.100.0/24","network":"198.51.100.0/24","family":"ipv4","measure":"ban"}
{"op":"commit"}
"#;
        let read = || std::fs::read_to_string(&heard).unwrap_or_default();
        for _ in 0..100 {
            if read() == expected {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(read(), expected);
    }

    #[test]
    fn a_program_that_ends_is_missed_with_its_last_words() {
        let script = "read line; echo cannot reach the router >&2; exit 4".to_owned();
        let mut command = Command::new("sh", &["-c".to_owned(), script]);
        command.replace(&[]).unwrap();
        let lost = (0..100).find_map(|_| match command.check() {
            Health::Lost(why) => Some(why),
            Health::Sound | Health::Doubtful => {
                std::thread::sleep(Duration::from_millis(50));
                None
            }
        });
        let why = lost.expect("it is missed");
        assert!(
            why.contains("exit status: 4") && why.contains("cannot reach the router"),
            "{why}"
        );
        let mut deaf = Command::new("sleep", &["60".to_owned()]);
        deaf.patience = Duration::from_millis(100);
        let many: Vec<_> = (0..5_000u32)
            .map(|n| {
                let address = std::net::Ipv4Addr::from_bits(0xc612_0000 + n);
                (
                    entry(&address.to_string(), Measure::Ban),
                    Duration::from_secs(60),
                )
            })
            .collect();
        let why = deaf.replace(&many).unwrap_err();
        assert!(why.contains("has read nothing"), "{why}");
        let mut missing = Command::new("/no/such/program", &[]);
        assert!(
            missing
                .replace(&[])
                .unwrap_err()
                .contains("cannot be started")
        );
    }
}

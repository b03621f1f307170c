//! The systemd journal as a source: `journalctl` follows it as a child process and writes one JSON object a line.
//!
//! The cursor of an entry is the position. An entry becomes the line that a syslog daemon would write of it, so
//! that the same parsers understand it. A child that dies is started again behind the last entry, after a while.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use lymph_scenarios::line::{LINE_BYTES_MAX, Source};
use memchr::memchr;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{self, Sender};

use super::sources::batch::{BATCH_BYTES_MAX, Batch};
use super::sources::line_id::Seed;
use super::sources::notice::{Notice, NoticeKind};
use super::sources::positions::Update;
use super::tail::Start;

/// Longest JSON object that is looked at. The longest line as a list of numbers needs five times its bytes, and
/// the other fields some KiB; what is longer is counted as cut and skipped.
const ENTRY_BYTES_MAX: usize = 512 * 1024;

/// The shortest and the longest wait before the child is started again.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Runs without any entry, after which it is asked whether the cursor is one that the journal does not understand.
const CURSOR_TRIES: u32 = 3;

/// The fields that a line is made of. Without this list an entry has some thirty more.
const FIELDS: &str = "--output-fields=MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_COMM,_PID,_HOSTNAME";

/// Which journal, and what of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalSpec {
    /// Only entries of these units (`-u`); all if there are none.
    pub units: Vec<String>,
    /// One journal file in place of the machine's journal (`--file`).
    pub file: Option<PathBuf>,
    /// The program, if it is not `journalctl` from the PATH.
    pub program: Option<PathBuf>,
}

impl JournalSpec {
    /// What it is called in notices, in `evt.Line.Src` and among the positions.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = "journal".to_owned();
        if let Some(file) = &self.file {
            name = format!("{name}:{}", file.display());
        }
        if self.units.is_empty() {
            name
        } else {
            format!("{name}:{}", self.units.join(","))
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program.as_deref().unwrap_or("journalctl".as_ref()));
        // `--all`: without it a long or unprintable field is null.
        command.args(["--output=json", "--all", "--no-pager", FIELDS]);
        command.args(
            self.file
                .iter()
                .map(|file| format!("--file={}", file.display())),
        );
        command.args(self.units.iter().map(|unit| format!("--unit={unit}")));
        // The hints on the error output are looked for in English.
        command
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// Follows the journal until nobody wants its lines.
pub(super) async fn follow(
    spec: JournalSpec,
    source: Arc<Source>,
    cursor: Option<String>,
    start: Start,
    outbox: Sender<Batch>,
) {
    let mut journal = Journal {
        name: spec.name(),
        spec,
        source,
        cursor,
        outbox,
        state: State::Starting,
        failures: 0,
        cut_was_said: false,
    };
    // The error says that the daemon is about to stop.
    let _ = journal.run(start).await;
}

struct Journal {
    name: String,
    spec: JournalSpec,
    source: Arc<Source>,
    cursor: Option<String>,
    outbox: Sender<Batch>,
    state: State,
    /// Runs that ended without any entry since the last entry.
    failures: u32,
    cut_was_said: bool,
}

/// What was last said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Running,
    Down,
}

/// Nobody wants lines any more.
struct Closed;

/// What came of asking for one entry.
struct Probe {
    /// The entry's.
    cursor: Option<String>,
    /// Whether journalctl was content.
    succeeded: bool,
}

impl Journal {
    async fn run(&mut self, start: Start) -> Result<(), Closed> {
        let mut from_beginning = start == Start::Beginning;
        if let Some(cursor) = self.cursor.clone() {
            self.check_cursor(&cursor).await?;
        }
        let mut wait = BACK_OFF.0;
        loop {
            if self.cursor.is_none() && !from_beginning {
                from_beginning = self.find_end().await?;
            }
            let (kind, why) = match self.start_child(from_beginning) {
                Ok(child) => {
                    let why = self.read(child).await?;
                    self.failures += 1;
                    (NoticeKind::Failed, why)
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    let why = "there is no journalctl on this machine, so the journal is not read";
                    (NoticeKind::Missing, why.to_owned())
                }
                Err(error) => (
                    NoticeKind::Failed,
                    format!("journalctl does not start: {error}"),
                ),
            };
            if self.state == State::Running {
                wait = BACK_OFF.0;
            }
            if self.state != State::Down {
                self.state = State::Down;
                let why = if why.is_empty() {
                    "journalctl has ended".to_owned()
                } else {
                    why
                };
                let message = format!(
                    "{why}; it is started again, and what is written meanwhile is read then"
                );
                self.say(kind, &message).await?;
            }
            if self.failures >= CURSOR_TRIES && self.cursor_is_refused().await {
                self.cursor = None;
                self.gap("journalctl does not go on behind the last entry that was read; reading begins anew at the journal's end").await?;
                from_beginning = self.find_end().await?;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(BACK_OFF.1);
        }
    }

    /// Begin behind the entry that is the last one now. Without this, what comes before the first entry is read
    /// would be lost when the child dies. Whether there is none yet, so that all there will be is new.
    async fn find_end(&mut self) -> Result<bool, Closed> {
        let Some(end) = self.one_entry(&["--lines=1"]).await else {
            return Ok(false);
        };
        match end.cursor {
            Some(cursor) => self.put_cursor(cursor).await.map(|()| false),
            None => Ok(end.succeeded),
        }
    }

    /// Whether journalctl fails with the cursor and does not fail without it. Whatever else keeps it from
    /// running passes, and then the cursor is worth all that was written meanwhile.
    async fn cursor_is_refused(&self) -> bool {
        let Some(cursor) = &self.cursor else {
            return false;
        };
        let with = self
            .one_entry(&["--lines=1", &format!("--cursor={cursor}")])
            .await;
        let without = self.one_entry(&["--lines=1"]).await;
        with.is_some_and(|with| !with.succeeded) && without.is_some_and(|without| without.succeeded)
    }

    fn start_child(&self, from_beginning: bool) -> std::io::Result<Child> {
        let mut command = self.spec.command();
        command.arg("--follow");
        match &self.cursor {
            Some(cursor) => command
                .arg("--no-tail")
                .arg(format!("--after-cursor={cursor}")),
            None if from_beginning => command.arg("--no-tail"),
            None => command.arg("--lines=0"),
        };
        command.spawn()
    }

    /// Reads what the child writes until it ends. Returns what it said on its error output.
    async fn read(&mut self, mut child: Child) -> Result<String, Closed> {
        let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
            return Ok(String::new());
        };
        let (say, mut hints) = mpsc::channel(1);
        let listening = tokio::spawn(listen(errors, say));
        let mut output = BufReader::with_capacity(BATCH_BYTES_MAX, output);
        let mut entry = Partial::default();
        loop {
            tokio::select! {
                filled = output.fill_buf() => match filled {
                    Ok([]) | Err(_) => break,
                    Ok(bytes) => {
                        let read = bytes.len();
                        let batches = self.understand(bytes, &mut entry);
                        output.consume(read);
                        for batch in batches {
                            self.put(batch).await?;
                        }
                    }
                },
                Some(hint) = hints.recv() => self.say(NoticeKind::Denied, &hint).await?,
            }
        }
        let _ = child.kill().await;
        Ok(listening.await.unwrap_or_default())
    }

    fn understand(&mut self, mut bytes: &[u8], entry: &mut Partial) -> Vec<Batch> {
        let mut batches = Vec::new();
        let mut batch = self.batch();
        while let Some(end) = memchr(b'\n', bytes) {
            entry.add(&bytes[..end]);
            bytes = &bytes[end + 1..];
            self.add_entry(entry, &mut batch);
            entry.clear();
            if batch.is_full() || batch.text.len() >= BATCH_BYTES_MAX {
                let full = std::mem::replace(&mut batch, self.batch());
                batches.push(self.sealed(full));
            }
        }
        entry.add(bytes);
        if !batch.is_empty() || batch.cut_lines > 0 {
            batches.push(self.sealed(batch));
        }
        batches
    }

    fn batch(&self) -> Batch {
        Batch {
            source: Arc::clone(&self.source),
            ..Batch::default()
        }
    }

    /// The batch, with the position behind its last entry and what there is to say.
    fn sealed(&mut self, mut batch: Batch) -> Batch {
        self.failures = 0;
        if self.state != State::Running {
            let again = if self.state == State::Down {
                "is followed again"
            } else {
                "is followed"
            };
            batch
                .notices
                .push(Notice::new(NoticeKind::Following, &self.name, again));
            self.state = State::Running;
        }
        if batch.cut_lines > 0 && !std::mem::replace(&mut self.cut_was_said, true) {
            let message = "has messages of more than 64 KiB; the rest of them is skipped, and they are counted";
            batch
                .notices
                .push(Notice::new(NoticeKind::Cut, &self.name, message));
        }
        batch.updates.extend(
            self.cursor
                .iter()
                .map(|cursor| Update::Journal(self.name.clone(), cursor.clone())),
        );
        batch
    }

    fn add_entry(&mut self, partial: &Partial, batch: &mut Batch) {
        let entry = match serde_json::from_slice::<Entry>(&partial.bytes) {
            Ok(entry) if !partial.is_cut => entry,
            Ok(_) | Err(_) => {
                batch.cut_lines += u64::from(!partial.bytes.is_empty());
                if let Some(cursor) = cursor_of_cut(&partial.bytes) {
                    self.cursor = Some(cursor);
                }
                return;
            }
        };
        let mut text = Vec::with_capacity(256);
        entry.write_line(&mut text);
        batch.cut_lines += u64::from(text.len() > LINE_BYTES_MAX);
        let id = Seed::new(b"journal", b"").line_id(0, entry.cursor.as_bytes());
        batch.push_with_id(&text, id);
        self.cursor = Some(entry.cursor);
    }

    /// Whether the entry that was read last is still there. Where it is not, others went with it.
    async fn check_cursor(&mut self, cursor: &str) -> Result<(), Closed> {
        let found = self
            .one_entry(&["--lines=1", &format!("--cursor={cursor}")])
            .await
            .filter(|probe| probe.succeeded)
            .and_then(|probe| probe.cursor);
        if found.is_some_and(|found| found != cursor) {
            return self.gap("the entry that was read last is no longer in the journal; those that went with it are lost").await;
        }
        Ok(())
    }

    /// One entry, to learn about the journal; `None` if journalctl could not be run.
    async fn one_entry(&self, arguments: &[&str]) -> Option<Probe> {
        let mut command = self.spec.command();
        command.args(arguments);
        let output = command.output().await.ok()?;
        let first = output
            .stdout
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        Some(Probe {
            cursor: serde_json::from_slice::<Entry>(first)
                .ok()
                .map(|entry| entry.cursor),
            succeeded: output.status.success(),
        })
    }

    async fn put_cursor(&mut self, cursor: String) -> Result<(), Closed> {
        self.cursor = Some(cursor.clone());
        let updates = vec![Update::Journal(self.name.clone(), cursor)];
        self.put(Batch {
            updates,
            ..self.batch()
        })
        .await
    }

    async fn gap(&self, message: &str) -> Result<(), Closed> {
        let notices = vec![Notice::new(NoticeKind::Gap, &self.name, message)];
        self.put(Batch {
            notices,
            gaps: 1,
            ..self.batch()
        })
        .await
    }

    async fn say(&self, kind: NoticeKind, message: &str) -> Result<(), Closed> {
        self.put(Batch {
            notices: vec![Notice::new(kind, &self.name, message)],
            ..self.batch()
        })
        .await
    }

    async fn put(&self, batch: Batch) -> Result<(), Closed> {
        self.outbox.send(batch).await.map_err(|_| Closed)
    }
}

/// The bytes of an entry so far.
#[derive(Default)]
struct Partial {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Partial {
    fn add(&mut self, bytes: &[u8]) {
        let room = ENTRY_BYTES_MAX - self.bytes.len();
        self.is_cut |= bytes.len() > room;
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.is_cut = false;
    }
}

/// The cursor, if it is in the part that was kept. A quote within a message is escaped, so none is forged.
fn cursor_of_cut(bytes: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"\"__CURSOR\":\"";
    let begin = memchr::memmem::find(bytes, NAME)? + NAME.len();
    let end = memchr(b'"', &bytes[begin..])?;
    String::from_utf8(bytes[begin..begin + end].to_vec()).ok()
}

/// Passes the hint on that journalctl gives to users who may not read all, and returns the last it said.
async fn listen(errors: impl AsyncRead + Unpin, say: Sender<String>) -> String {
    let mut errors = BufReader::new(errors).take(64 * 1024);
    let mut last = String::new();
    let mut line = Vec::new();
    while errors
        .read_until(b'\n', &mut line)
        .await
        .is_ok_and(|bytes| bytes > 0)
    {
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        if text.contains("not seeing messages") {
            let message = "only shows messages of this user: add the user that lymph runs as to the group systemd-journal";
            let _ = say.try_send(message.to_owned());
        } else if text.contains("insufficient permissions") {
            last = "may not be read: add the user that lymph runs as to the group systemd-journal"
                .to_owned();
        } else if !text.is_empty() && last.is_empty() {
            last = format!(
                "journalctl has ended: {}",
                text.chars().take(300).collect::<String>()
            );
        }
        line.clear();
    }
    // Beyond the limit, so that the child is never stopped by a full pipe.
    let _ = tokio::io::copy(errors.get_mut(), &mut tokio::io::sink()).await;
    last
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "__CURSOR")]
    cursor: String,
    #[serde(rename = "__REALTIME_TIMESTAMP", default)]
    realtime: Value,
    #[serde(rename = "MESSAGE", default)]
    message: Value,
    #[serde(rename = "SYSLOG_IDENTIFIER", default)]
    identifier: Value,
    #[serde(rename = "SYSLOG_PID", default)]
    syslog_pid: Value,
    #[serde(rename = "_COMM", default)]
    command: Value,
    #[serde(rename = "_PID", default)]
    pid: Value,
    #[serde(rename = "_HOSTNAME", default)]
    host: Value,
}

impl Entry {
    /// `2026-03-01T10:00:00.123456+00:00 HOST IDENT[PID]: MESSAGE`, as a syslog daemon writes it.
    fn write_line(&self, line: &mut Vec<u8>) {
        write_time(first_text(&self.realtime).parse().unwrap_or_default(), line);
        line.push(b' ');
        write_word(&first_text(&self.host), "localhost", line);
        line.push(b' ');
        let identifier = first_text(&self.identifier);
        let identifier = if identifier.is_empty() {
            first_text(&self.command)
        } else {
            identifier
        };
        write_word(&identifier, "unknown", line);
        let pid = [&self.syslog_pid, &self.pid]
            .map(first_text)
            .into_iter()
            .find(|pid| !pid.is_empty());
        if let Some(pid) = pid {
            line.push(b'[');
            write_word(&pid, "0", line);
            line.push(b']');
        }
        line.extend_from_slice(b": ");
        write_message(&self.message, line);
    }
}

/// The text of a field. One that an entry has more than once is a list, of which the first counts.
fn first_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => match values.first() {
            Some(Value::String(text)) => text.clone(),
            _ => String::new(),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// A message is a text, or the list of its bytes where it is none, or a list of both where there are several.
fn write_message(value: &Value, line: &mut Vec<u8>) {
    match value {
        Value::String(text) => text
            .bytes()
            .take(LINE_BYTES_MAX)
            .for_each(|byte| write_byte(byte, line)),
        Value::Array(values) if values.iter().all(Value::is_u64) => {
            let bytes = values.iter().take(LINE_BYTES_MAX).filter_map(Value::as_u64);
            bytes.for_each(|byte| write_byte(byte as u8, line));
        }
        Value::Array(values) => values
            .iter()
            .take(1)
            .for_each(|value| write_message(value, line)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
    }
}

/// What would begin a new line is written as rsyslog does: three octal digits.
fn write_byte(byte: u8, line: &mut Vec<u8>) {
    match byte {
        b'\n' => line.extend_from_slice(b"#012"),
        b'\r' => line.extend_from_slice(b"#015"),
        0 => line.extend_from_slice(b"#000"),
        byte => line.push(byte),
    }
}

/// A name as one word, in which nothing can end the header of the line too early.
fn write_word(word: &str, otherwise: &str, line: &mut Vec<u8>) {
    let word = if word.is_empty() { otherwise } else { word };
    line.extend(word.bytes().take(128).map(|byte| match byte {
        b'[' | b']' | b':' | b'"' => b'_',
        b'!'..=b'~' => byte,
        _ => b'_',
    }));
}

/// RFC 3339 with microseconds, UTC.
fn write_time(micros: u64, line: &mut Vec<u8>) {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let text = format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}+00:00"
    );
    line.extend_from_slice(text.as_bytes());
}

/// The date of a day since 1970, by eras of 400 years that begin in March (Hinnant, `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests;

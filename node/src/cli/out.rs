//! How commands print: tables for people, JSON for machines, colours only on a terminal.
//!
//! Much of what is printed was written by attackers. Whatever could steer a terminal is escaped here: control
//! characters, and those that turn the direction of writing.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::text::{safe, steers};

/// Width of a table where there is no terminal to ask, in columns.
const WIDTH_UNKNOWN: u16 = 160;

/// The standard output, as a command uses it.
#[derive(Debug)]
pub(super) struct Out {
    stdout: BufWriter<Stdout>,
    /// Whether JSON is wanted.
    pub(super) json: bool,
    colours: bool,
}

/// How a word stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// A heading.
    Bold,
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Of less interest.
    Dim,
}

impl Out {
    /// For a command that prints JSON or not.
    #[must_use]
    pub(super) fn new(json: bool) -> Self {
        let stdout = io::stdout();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Out {
            colours: wanted && stdout.is_terminal(),
            stdout: BufWriter::with_capacity(64 * 1024, stdout),
            json,
        }
    }

    /// One JSON value on a line.
    pub(super) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value)?;
        self.stdout.write_all(json_safe(&text).as_bytes())?;
        self.stdout.write_all(b"\n")
    }

    /// A line of text, made safe.
    pub(super) fn line(&mut self, text: impl fmt::Display) -> io::Result<()> {
        writeln!(self.stdout, "{}", safe(&text.to_string()))
    }

    /// A text of several lines, each made safe.
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        text.lines().try_for_each(|line| self.line(line))
    }

    /// A styled word and the rest of a line.
    pub(super) fn styled(&mut self, style: Style, word: &str, rest: &str) -> io::Result<()> {
        let (word, rest) = (safe(word), safe(rest));
        if !self.colours {
            return writeln!(self.stdout, "{word}{rest}");
        }
        let code = match style {
            Style::Bold => "1",
            Style::Good => "32",
            Style::Warning => "33",
            Style::Dim => "2",
        };
        writeln!(self.stdout, "\x1b[{code}m{word}\x1b[0m{rest}")
    }

    /// A table; no lines round it, so that scripts can cut it.
    pub(super) fn table<const N: usize>(
        &mut self,
        header: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(terminal_width());
        table.set_header(header);
        for row in rows {
            table.add_row(row.map(|cell| safe(&cell).into_owned()));
        }
        for line in table.lines() {
            // Cells are padded on both sides; the first needs none on its left.
            writeln!(
                self.stdout,
                "{}",
                line.strip_prefix(' ').unwrap_or(&line).trim_end()
            )?;
        }
        Ok(())
    }

    /// Bytes as they are, such as a script for a shell.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stdout.write_all(bytes)
    }

    /// Have everything printed.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stdout.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

/// Columns of the terminal that the standard output is.
fn terminal_width() -> u16 {
    let told = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let asked = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0);
    told.or_else(asked).unwrap_or(WIDTH_UNKNOWN)
}

/// A text of several lines, each made safe.
#[must_use]
pub fn safe_lines(text: &str) -> String {
    text.lines().map(safe).collect::<Vec<_>>().join("\n")
}

/// JSON may hold the control characters past ASCII as they are; a terminal should not see them.
fn json_safe(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match steers(character) {
            true => safe.push_str(&format!("\\u{:04x}", u32::from(character))),
            false => safe.push(character),
        }
    }
    Cow::Owned(safe)
}

/// Seconds as people say them: `1h 2m`, `45s`.
#[must_use]
pub(super) fn duration(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
    let first = units
        .iter()
        .position(|(_, length)| seconds >= *length)
        .unwrap_or(3);
    let (unit, length) = units[first];
    let (whole, rest) = (seconds / length, seconds % length);
    match units.get(first + 1) {
        Some((smaller, smaller_length)) if rest >= *smaller_length => {
            format!("{whole}{unit} {}{smaller}", rest / smaller_length)
        }
        _ => format!("{whole}{unit}"),
    }
}

/// A time for people: without its milliseconds.
#[must_use]
pub(super) fn moment(time: &str) -> String {
    match time.rsplit_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}

/// So many of something.
#[must_use]
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        thousands(number),
        if number == 1 { one } else { many }
    )
}

/// A number with its thousands apart.
#[must_use]
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_attackers_wrote_does_not_steer_the_terminal() {
        assert_eq!(
            safe("root\x1b[2J\u{9b}31m\r\n\u{7f}"),
            "root\\u{1b}[2J\\u{9b}31m\\r\\n\\u{7f}"
        );
        assert_eq!(safe("admin\u{202e}txt"), "admin\\u{202e}txt");
        assert_eq!(safe("Jürgen 日本"), "Jürgen 日本");
        let text = serde_json::to_string("a\x1b\u{9b}\u{202e}é").unwrap();
        let safe = json_safe(&text);
        assert_eq!(safe, "\"a\\u001b\\u009b\\u202eé\"");
        assert_eq!(
            serde_json::from_str::<String>(&safe).unwrap(),
            "a\x1b\u{9b}\u{202e}é"
        );
    }

    #[test]
    fn says_durations_and_numbers_as_people_do() {
        let said = [0, 59, 60, 61, 3600, 3661, 86_400, 90_061, 604_800].map(duration);
        assert_eq!(
            said,
            [
                "0s", "59s", "1m", "1m 1s", "1h", "1h 1m", "1d", "1d 1h", "7d"
            ]
        );
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(thousands),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}

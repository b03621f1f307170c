//! Lists of decisions that others publish or keep, read and written: what `lymph decisions import` and `export`
//! understand.
//!
//! Pure: text in, entries out, one at a time, in bounded memory. A line that makes no sense is a [`Problem`]
//! and never the end of the list; only what is no list at all is an error. `json` and `csv` read what CrowdSec's
//! `cscli decisions import` reads and `cscli decisions list` prints; lists of plain addresses are read here.

mod csv;
mod json;
pub(super) mod write;

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use lymph_scenarios::date::GoDuration;

use crate::capped::CappedLines;
use crate::engine::decision::Kind;
use crate::engine::target::Target;
use crate::text::steers;

/// Most entries of one list. The largest public ones hold some hundred thousand.
pub(super) const ENTRIES_MAX: u64 = 1_000_000;
/// How many problems are kept in words; the others are counted.
pub(super) const PROBLEMS_MAX: usize = 20;
/// Longest reason, in bytes.
pub(super) const REASON_BYTES_MAX: usize = 200;
/// Longest line of a list of addresses.
const LINE_BYTES_MAX: usize = 4096;
/// How much of a problem's own text is shown, in bytes.
const SHOWN_BYTES_MAX: usize = 60;
/// How far the format is looked for. FireHOL's lists begin with 2 kB of comments.
const HEAD_BYTES: u64 = 16 * 1024;

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// CrowdSec's JSON: an array of decisions, or of alerts with decisions in them.
    CrowdsecJson,
    /// CrowdSec's CSV, with a header.
    CrowdsecCsv,
    /// An address, a network or a range a line; comments begin with `#` or `;`.
    Plain,
    /// An address and on how many lists it stands.
    Ipsum,
}

impl Format {
    /// What to expect of it, in words.
    #[must_use]
    pub(super) const fn expected(self) -> &'static str {
        match self {
            Format::CrowdsecJson => {
                r#"a JSON array of decisions such as {"value": "192.0.2.1", "type": "ban", "duration": "4h"}"#
            }
            Format::CrowdsecCsv => {
                "CSV with a header that names the column value (or ip), such as duration,reason,scope,type,value"
            }
            Format::Plain => {
                "an address, a network or a range a line, such as 192.0.2.1, 192.0.2.0/24 or 192.0.2.1-192.0.2.9"
            }
            Format::Ipsum => "an address, a tab and a number a line",
        }
    }
}

/// How to read a list.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    /// How it is written; `None` to look.
    pub(super) format: Option<Format>,
    /// On how many lists an address must stand ([`Format::Ipsum`] only).
    pub(super) min_count: u32,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// About whom.
    pub(super) target: Target,
    /// What, if the list says so.
    pub(super) kind: Option<Kind>,
    /// For how long from now on, if the list says so.
    pub(super) duration: Option<Duration>,
    /// Why, if the list says so: no control characters, at most [`REASON_BYTES_MAX`] bytes.
    pub(super) reason: Option<String>,
}

impl Listed {
    fn plain(target: Target) -> Self {
        Listed {
            target,
            kind: None,
            duration: None,
            reason: None,
        }
    }
}

/// Something in a list that makes no sense. Safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// In which line, from 1.
    pub(super) line: u64,
    /// What is wrong with it.
    pub(super) what: String,
}

/// What a list came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// How it was read.
    pub(super) format: Format,
    /// How many entries were handed out.
    pub(super) entries: u64,
    /// The first [`PROBLEMS_MAX`] problems.
    pub(super) problems: Vec<Problem>,
    /// How many problems there were.
    pub(super) problem_count: u64,
    /// How many addresses stood on too few lists ([`Format::Ipsum`] only).
    pub(super) below_min_count: u64,
    /// Whether there was more than [`ENTRIES_MAX`] entries, and the rest was left out.
    pub(super) is_cut: bool,
}

/// Why a text was not read as a list.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListError {
    /// It could not be read at all.
    #[error("cannot read the list: {0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("this is not such a list ({why}); expected {}", .format.expected())]
    NotAList {
        /// What it was taken for.
        format: Format,
        /// What speaks against it.
        why: String,
    },
}

/// Read a list and hand out its entries in their order.
pub(super) fn read(
    input: impl BufRead,
    options: Options,
    each: &mut dyn FnMut(Listed),
) -> Result<Report, ListError> {
    read_up_to(ENTRIES_MAX, input, options, each)
}

fn read_up_to(
    entries_max: u64,
    mut input: impl BufRead,
    options: Options,
    each: &mut dyn FnMut(Listed),
) -> Result<Report, ListError> {
    let mut head = Vec::new();
    input.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    if head.starts_with(b"\xef\xbb\xbf") {
        head.drain(..3);
    }
    let format = options.format.unwrap_or_else(|| detect(&head));
    let input = io::Cursor::new(head).chain(input);
    let mut sink = Sink::new(format, entries_max, each);
    match format {
        Format::CrowdsecJson => json::read(input, &mut sink)?,
        Format::CrowdsecCsv => csv::read(input, &mut sink)?,
        Format::Plain => lines(input, &mut sink, plain)?,
        Format::Ipsum => lines(input, &mut sink, |text, sink| {
            ipsum(text, options.min_count, sink)
        })?,
    }
    let report = sink.report;
    match report.problems.first() {
        Some(first) if !sink.is_list => Err(ListError::NotAList {
            format,
            why: format!("line {}: {}", first.line, first.what),
        }),
        _ => Ok(report),
    }
}

/// How a list that begins like this is written.
#[must_use]
pub(super) fn detect(head: &[u8]) -> Format {
    let text = String::from_utf8_lossy(head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head));
    let text = text.trim_start();
    if text.starts_with(['[', '{']) || text.trim_end() == "null" {
        return Format::CrowdsecJson;
    }
    let is_comment = |line: &&str| line.is_empty() || line.starts_with(['#', ';']);
    let first = text.lines().map(str::trim).find(|line| !is_comment(line));
    let Some(first) = first else {
        return Format::Plain;
    };
    if csv::is_header(first) {
        return Format::CrowdsecCsv;
    }
    let mut words = first.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(address), Some(count), None)
            if address.parse::<IpAddr>().is_ok() && count.parse::<u32>().is_ok() =>
        {
            Format::Ipsum
        }
        _ => Format::Plain,
    }
}

/// Where entries and problems go.
struct Sink<'a> {
    report: Report,
    /// Whether something was found that only a list of this format has.
    is_list: bool,
    entries_max: u64,
    each: &'a mut dyn FnMut(Listed),
}

impl<'a> Sink<'a> {
    fn new(format: Format, entries_max: u64, each: &'a mut dyn FnMut(Listed)) -> Self {
        let report = Report {
            format,
            entries: 0,
            problems: Vec::new(),
            problem_count: 0,
            below_min_count: 0,
            is_cut: false,
        };
        Sink {
            report,
            is_list: false,
            entries_max,
            each,
        }
    }

    fn entry(&mut self, listed: Listed) {
        self.is_list = true;
        if self.report.entries == self.entries_max {
            self.report.is_cut = true;
            return;
        }
        self.report.entries += 1;
        (self.each)(listed);
    }

    fn problem(&mut self, line: u64, what: String) {
        self.report.problem_count += 1;
        if self.report.problems.len() < PROBLEMS_MAX {
            self.report.problems.push(Problem { line, what });
        }
    }

    /// Whether reading on is of no use.
    fn is_full(&self) -> bool {
        self.report.is_cut
    }
}

/// Read line by line. What `line` refuses is a problem.
fn lines(
    input: impl BufRead,
    sink: &mut Sink<'_>,
    line: impl Fn(&str, &mut Sink<'_>) -> Result<(), String>,
) -> io::Result<()> {
    let mut lines = CappedLines::new(input, LINE_BYTES_MAX);
    let mut number = 0;
    while let Some(read) = lines.next_line()? {
        number += 1;
        let text = String::from_utf8_lossy(read.text);
        let text = text.trim();
        if text.is_empty() || text.starts_with(['#', ';']) {
            continue;
        }
        let done = match read.is_too_long {
            true => Err(format!("longer than {LINE_BYTES_MAX} bytes")),
            false => line(text, sink),
        };
        if let Err(what) = done {
            sink.problem(number, what);
        }
        if sink.is_full() {
            break;
        }
    }
    Ok(())
}

/// The first word of a line, and what comes after it.
fn first_word(text: &str) -> (&str, &str) {
    let is_end = |c: char| c.is_whitespace() || matches!(c, ';' | '#' | ',');
    let (word, rest) = text.split_at(text.find(is_end).unwrap_or(text.len()));
    (word, rest.trim_start())
}

/// A line with an address, a network or a range, and perhaps something behind it that is not ours.
fn plain(text: &str, sink: &mut Sink<'_>) -> Result<(), String> {
    let (word, rest) = first_word(text);
    if let Ok(target) = word.parse() {
        // `first last` in two columns would be read as its first address alone.
        if first_word(rest).0.parse::<IpAddr>().is_ok() {
            return Err(format!(
                "two addresses in a line (\"{}\"): write a range as first-last",
                shown(text)
            ));
        }
        if let Some(last) = rest.strip_prefix('-') {
            return range(word, first_word(last.trim_start()).0, sink);
        }
        sink.entry(Listed::plain(target));
        return Ok(());
    }
    match word.split_once('-') {
        Some((first, last)) => range(first, last, sink),
        None => Err(no_target(word)),
    }
}

fn range(first: &str, last: &str, sink: &mut Sink<'_>) -> Result<(), String> {
    let address = |text: &str| text.parse::<IpAddr>().ok();
    let ends = address(first).zip(address(last));
    let targets = ends.and_then(|(first, last)| Target::of_range(first, last));
    let no_range = || {
        format!(
            "\"{}-{}\" is no range of addresses: write it as first-last",
            shown(first),
            shown(last)
        )
    };
    let targets = targets.ok_or_else(no_range)?;
    targets.for_each(|target| sink.entry(Listed::plain(target)));
    Ok(())
}

/// A line with an address and on how many lists it stands.
fn ipsum(text: &str, min_count: u32, sink: &mut Sink<'_>) -> Result<(), String> {
    let mut words = text.split_whitespace();
    let (word, count) = (words.next().unwrap_or_default(), words.next());
    let target = word.parse().map_err(|_| no_target(word))?;
    let count = count.and_then(|count| count.parse::<u32>().ok());
    let count = count.ok_or_else(|| {
        format!(
            "no number behind the address (\"{}\"): on how many lists it stands",
            shown(text)
        )
    })?;
    sink.is_list = true;
    if count < min_count {
        sink.report.below_min_count += 1;
    } else {
        sink.entry(Listed::plain(target));
    }
    Ok(())
}

fn no_target(text: &str) -> String {
    format!(
        "\"{}\" is neither an address such as 192.0.2.1 nor a network such as 192.0.2.0/24",
        shown(text)
    )
}

/// A text without what could steer a terminal, cut to so many bytes.
fn clean(text: &str, bytes_max: usize) -> String {
    let mut cleaned = String::new();
    // Everything removed shortens the text, so that this much of it is always enough to look at.
    for character in text.trim().chars().filter(|c| !steers(*c)) {
        if cleaned.len() + character.len_utf8() > bytes_max {
            break;
        }
        cleaned.push(character);
    }
    cleaned.truncate(cleaned.trim_end().len());
    cleaned
}

/// The beginning of a text, for a problem.
fn shown(text: &str) -> String {
    clean(text, SHOWN_BYTES_MAX)
}

/// An entry of CrowdSec as it is written.
#[derive(Debug, Default)]
struct Raw {
    value: Option<String>,
    scope: Option<String>,
    kind: Option<String>,
    duration: Option<String>,
    reason: Option<String>,
    is_simulated: bool,
}

impl Raw {
    /// What it means to us.
    fn listed(self) -> Result<Listed, String> {
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let value = given(self.value).ok_or("no value: about whom is it?")?;
        if let Some(scope) = given(self.scope) {
            let scope = scope.trim();
            if !["ip", "range"]
                .iter()
                .any(|s| scope.eq_ignore_ascii_case(s))
            {
                return Err(format!(
                    "the scope \"{}\" of \"{}\" cannot be blocked: only Ip and Range can",
                    shown(scope),
                    shown(&value)
                ));
            }
        }
        let target = value.trim().parse().map_err(|_| no_target(&value))?;
        if self.is_simulated {
            return Err(format!(
                "the decision about {target} is only simulated: not taken over"
            ));
        }
        let kind = given(self.kind).map(|text| {
            let is_it = |kind: &Kind| text.trim().eq_ignore_ascii_case(kind.name());
            Kind::ALL.into_iter().find(is_it).ok_or_else(|| {
                format!(
                    "the type \"{}\" is not known: ban, captcha and throttle are",
                    shown(&text)
                )
            })
        });
        let duration = given(self.duration).map(|text| {
            let length = GoDuration::parse_with_days(text.trim())
                .map_err(|error| shown_error(&error.to_string()))?;
            let length = length.duration().filter(|length| !length.is_zero());
            length.ok_or_else(|| format!("the decision about {target} is already over"))
        });
        let reason = given(self.reason).map(|text| clean(&text, REASON_BYTES_MAX));
        Ok(Listed {
            target,
            kind: kind.transpose()?,
            duration: duration.transpose()?,
            reason: reason.filter(|text| !text.is_empty()),
        })
    }
}

/// Another's message, which may quote the list.
fn shown_error(text: &str) -> String {
    clean(text, 3 * SHOWN_BYTES_MAX)
}

/// A reader that counts lines, and that fails once one entry has taken too much: the parsers of JSON and CSV
/// hold an entry in memory, however long it is.
struct Metered<R> {
    reader: R,
    meter: Rc<Meter>,
}

struct Meter {
    max: u64,
    left: Cell<u64>,
    lines: Cell<u64>,
}

impl<R: Read> Metered<R> {
    fn new(reader: R, max: u64) -> (Self, Rc<Meter>) {
        let meter = Rc::new(Meter {
            max,
            left: Cell::new(max),
            lines: Cell::new(0),
        });
        let metered = Metered {
            reader,
            meter: Rc::clone(&meter),
        };
        (metered, meter)
    }
}

impl Meter {
    /// A new entry begins.
    fn reset(&self) {
        self.left.set(self.max);
    }

    /// The line that is being read, from 1.
    fn line(&self) -> u64 {
        self.lines.get() + 1
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (left, max) = (self.meter.left.get(), self.meter.max);
        let room = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        if room == 0 && !buffer.is_empty() {
            return Err(io::Error::other(format!(
                "one entry is longer than {max} bytes (is a quote left open?)"
            )));
        }
        let bytes = self.reader.read(&mut buffer[..room])?;
        let ends = memchr::memchr_iter(b'\n', &buffer[..bytes]).count();
        self.meter.left.set(left - bytes as u64);
        self.meter.lines.set(self.meter.lines.get() + ends as u64);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;

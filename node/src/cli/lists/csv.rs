//! CrowdSec's CSV: what `cscli decisions import` reads, and what `cscli decisions list -o raw` prints. The only
//! reader of CSV.

use std::io::{self, BufRead};

use ::csv::{ByteRecord, ReaderBuilder, Trim};

use super::{Metered, Raw, Sink, shown_error};
use crate::engine::target::Target;

/// Most that one row may take; the reader looks ahead by 8 kB.
const ROW_BYTES_MAX: u64 = 64 * 1024;

/// Names of a column. The first one that there is counts.
const VALUE: [&str; 2] = ["value", "ip"];
const SCOPE: [&str; 1] = ["scope"];
const KIND: [&str; 2] = ["type", "action"];
const DURATION: [&str; 2] = ["duration", "expiration"];
const REASON: [&str; 2] = ["reason", "scenario"];
const SIMULATED: [&str; 1] = ["simulated"];

/// Whether a line is the header of such a file.
pub(super) fn is_header(line: &str) -> bool {
    let names = line.split(',').map(|name| name.trim().trim_matches('"'));
    let names: Vec<String> = names.map(str::to_ascii_lowercase).collect();
    VALUE
        .iter()
        .any(|value| names.iter().any(|name| name == value))
}

pub(super) fn read(input: impl BufRead, sink: &mut Sink<'_>) -> io::Result<()> {
    let (input, meter) = Metered::new(input, ROW_BYTES_MAX);
    let mut reader = ReaderBuilder::new()
        .flexible(true)
        .trim(Trim::All)
        .comment(Some(b'#'))
        .has_headers(false)
        .from_reader(input);
    let mut row = ByteRecord::new();
    let mut columns: Option<Columns> = None;
    while !sink.is_full() {
        meter.reset();
        let start = reader.position().line();
        match reader.read_byte_record(&mut row) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return broken(error, start, sink),
        }
        let line = row.position().map_or(0, ::csv::Position::line);
        let Some(columns) = &columns else {
            columns = Columns::find(&row);
            if columns.is_none() {
                sink.problem(line, "its first line names no column value".to_owned());
                break;
            }
            sink.is_list = true;
            continue;
        };
        match columns.raw(&row).listed() {
            Ok(listed) => sink.entry(listed),
            Err(what) => sink.problem(line, what),
        }
    }
    Ok(())
}

/// What cannot be read is the end of the list, and an error only if the disk or the network is at fault.
fn broken(error: ::csv::Error, line: u64, sink: &mut Sink<'_>) -> io::Result<()> {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) if error.kind() != io::ErrorKind::Other => Err(error),
        ::csv::ErrorKind::Io(error) => {
            sink.problem(line, format!("{error}: the rest is left out"));
            Ok(())
        }
        error => {
            let what = shown_error(&format!("{error:?}"));
            sink.problem(line, format!("{what}: the rest is left out"));
            Ok(())
        }
    }
}

/// Where the columns are.
struct Columns {
    value: usize,
    scope: Option<usize>,
    kind: Option<usize>,
    duration: Option<usize>,
    reason: Option<usize>,
    simulated: Option<usize>,
}

impl Columns {
    fn find(header: &ByteRecord) -> Option<Self> {
        let column = |names: &[&str]| {
            let at = |name: &&str| {
                header
                    .iter()
                    .position(|found| found.eq_ignore_ascii_case(name.as_bytes()))
            };
            names.iter().find_map(at)
        };
        Some(Columns {
            value: column(&VALUE)?,
            scope: column(&SCOPE),
            kind: column(&KIND),
            duration: column(&DURATION),
            reason: column(&REASON),
            simulated: column(&SIMULATED),
        })
    }

    fn raw(&self, row: &ByteRecord) -> Raw {
        let text = |at: usize| {
            row.get(at)
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        };
        let optional = |at: Option<usize>| at.and_then(text);
        let mut raw = Raw {
            value: text(self.value),
            scope: optional(self.scope),
            kind: optional(self.kind),
            duration: optional(self.duration),
            reason: optional(self.reason),
            is_simulated: optional(self.simulated)
                .is_some_and(|text| text.eq_ignore_ascii_case("true")),
        };
        // `Ip:192.0.2.1`, but an IPv6 address has colons of its own.
        let value = raw.value.as_deref().unwrap_or_default();
        if raw.scope.is_none()
            && value.parse::<Target>().is_err()
            && let Some((scope, value)) = value.split_once(':')
        {
            (raw.scope, raw.value) = (Some(scope.to_owned()), Some(value.to_owned()));
        }
        raw
    }
}

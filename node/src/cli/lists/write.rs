//! Lists as others read them: `cscli decisions import` takes the JSON and the CSV, everybody takes the plain one.

use std::io::{self, Write};

use lymph_scenarios::date::GoDuration;
use serde::Serialize;

use super::{REASON_BYTES_MAX, clean};

/// One decision to write.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Row<'a> {
    /// An address or a network.
    pub(in crate::cli) subject: &'a str,
    /// `Ip` or `Range`. A network must be a `Range`, or CrowdSec refuses the list.
    pub(in crate::cli) scope: &'a str,
    /// `ban`, `captcha` or `throttle`.
    pub(in crate::cli) kind: &'a str,
    /// How long it still stands.
    pub(in crate::cli) seconds_left: u64,
    /// Why.
    pub(in crate::cli) reason: &'a str,
    /// Whose it is. CrowdSec passes over it.
    pub(in crate::cli) origin: &'a str,
}

/// The columns in CrowdSec's order. Its importer passes over those that it does not know.
#[derive(Serialize)]
struct Written<'a> {
    duration: String,
    reason: String,
    scope: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    value: &'a str,
    origin: &'a str,
}

const HEADER: [&str; 6] = ["duration", "reason", "scope", "type", "value", "origin"];

impl<'a> Written<'a> {
    fn of(row: &Row<'a>) -> Self {
        let nanos = i64::try_from(row.seconds_left)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000_000_000);
        Written {
            duration: GoDuration::from_nanos(nanos).to_string(),
            reason: clean(row.reason, REASON_BYTES_MAX),
            scope: row.scope,
            kind: row.kind,
            value: row.subject,
            origin: row.origin,
        }
    }
}

/// Write a JSON array, a decision a line.
pub(in crate::cli) fn write_json<'a>(
    out: &mut dyn Write,
    rows: impl Iterator<Item = Row<'a>>,
) -> io::Result<()> {
    let mut before = "[";
    for row in rows {
        writeln!(out, "{before}")?;
        serde_json::to_writer(&mut *out, &Written::of(&row))?;
        before = ",";
    }
    match before {
        "[" => writeln!(out, "[]"),
        _ => writeln!(out, "\n]"),
    }
}

/// Write CSV with a header.
pub(in crate::cli) fn write_csv<'a>(
    out: &mut dyn Write,
    rows: impl Iterator<Item = Row<'a>>,
) -> io::Result<()> {
    let mut csv = ::csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(out);
    csv.write_record(HEADER)?;
    for row in rows {
        csv.serialize(Written::of(&row))?;
    }
    csv.flush()
}

/// Write an address or a network a line.
pub(in crate::cli) fn write_plain<'a>(
    out: &mut dyn Write,
    rows: impl Iterator<Item = Row<'a>>,
) -> io::Result<()> {
    for row in rows {
        writeln!(out, "{}", row.subject)?;
    }
    Ok(())
}

//! What came of a run: found, missed, wronged, and how long it took.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::corpus::Record;

/// What one client met on one host.
#[derive(Debug)]
pub(crate) struct Visit {
    /// What it did there, as far as the log shows.
    pub(crate) record: Record,
    /// When its first try was written.
    pub(crate) first_try_ms: Option<u64>,
    /// When it was first banned there.
    pub(crate) banned_ms: Option<u64>,
    /// Lines that were not written because it was refused.
    pub(crate) refused: u64,
}

/// What came of all visits of one class.
#[derive(Debug, Default)]
struct Row {
    benign: bool,
    visits: u64,
    loud: u64,
    banned: u64,
    missed: u64,
    refused: u64,
    delays_ms: Vec<u64>,
}

/// The run's result.
#[derive(Debug)]
pub(crate) struct Measures {
    pub(crate) seed: u64,
    pub(crate) hosts: u64,
    pub(crate) hours: u64,
    pub(crate) lines: u64,
    pub(crate) actions: u64,
    /// SHA-256 of all actions in order.
    pub(crate) hash: String,
    rows: BTreeMap<&'static str, Row>,
}

impl Measures {
    pub(crate) fn new(
        (seed, hosts, hours): (u64, u64, u64),
        (lines, actions): (u64, u64),
        hash: String,
        visits: &[Visit],
    ) -> Self {
        let mut rows = BTreeMap::<_, Row>::new();
        for visit in visits.iter().filter(|visit| visit.record.lines > 0) {
            let row = rows.entry(visit.record.class).or_default();
            row.benign = visit.record.benign;
            row.visits += 1;
            row.loud += u64::from(visit.record.loud);
            row.banned += u64::from(visit.banned_ms.is_some());
            row.missed += u64::from(visit.record.loud && visit.banned_ms.is_none());
            row.refused += visit.refused;
            let delay = visit
                .first_try_ms
                .zip(visit.banned_ms)
                .map(|(first, banned)| banned.saturating_sub(first));
            row.delays_ms.extend(delay.filter(|_| !visit.record.benign));
        }
        for row in rows.values_mut() {
            row.delays_ms.sort_unstable();
        }
        Measures {
            seed,
            hosts,
            hours,
            lines,
            actions,
            hash,
            rows,
        }
    }

    fn sum(&self, benign: bool, of: fn(&Row) -> u64) -> u64 {
        self.rows
            .values()
            .filter(|row| row.benign == benign)
            .map(of)
            .sum()
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let Measures {
            seed,
            hosts,
            hours,
            lines,
            actions,
            hash,
            rows,
        } = self;
        let mut text =
            format!("{hosts} hosts, {hours} h, seed {seed}: {lines} lines, {actions} actions\n\n");
        let heads = [
            "class",
            "visits",
            "loud",
            "banned",
            "missed",
            "refused",
            "first try to ban: half",
            "nine in ten",
        ];
        let [class, visits, loud, banned, missed, refused, half, most] = heads;
        // The lines below write to a string, which takes every text.
        let mut row = |line: std::fmt::Arguments<'_>| {
            text.write_fmt(line).expect("a string takes every text")
        };
        row(format_args!(
            "{class:<18}{visits:>8}{loud:>7}{banned:>8}{missed:>8}{refused:>9}{half:>25}{most:>13}\n"
        ));
        for benign in [false, true] {
            for (class, at) in rows.iter().filter(|(_, row)| row.benign == benign) {
                let (half, most) = (seconds(&at.delays_ms, 50), seconds(&at.delays_ms, 90));
                let Row {
                    visits,
                    loud,
                    banned,
                    missed,
                    refused,
                    ..
                } = at;
                row(format_args!(
                    "{class:<18}{visits:>8}{loud:>7}{banned:>8}{missed:>8}{refused:>9}{half:>25}{most:>13}\n"
                ));
            }
            row(format_args!("\n"));
        }
        let (loud, missed, wronged) = (
            self.sum(false, |row| row.loud),
            self.sum(false, |row| row.missed),
            self.sum(true, |row| row.banned),
        );
        row(format_args!(
            "{missed} of {loud} loud attackers missed, {wronged} benign clients banned, nobody of the never-block list\n"
        ));
        row(format_args!("hash {hash}\n"));
        text
    }

    /// For machines.
    pub(crate) fn json(&self) -> String {
        let Measures {
            seed,
            hosts,
            hours,
            lines,
            actions,
            hash,
            rows,
        } = self;
        let classes = rows.iter().map(|(class, row)| {
            let Row { benign, visits, loud, banned, missed, refused, delays_ms } = row;
            let (half, most) = (at_percent(delays_ms, 50), at_percent(delays_ms, 90));
            let (half, most) = (or_null(half), or_null(most));
            format!(
                r#"{{"class":"{class}","benign":{benign},"visits":{visits},"loud":{loud},"banned":{banned},"missed":{missed},"refused":{refused},"delay_ms_p50":{half},"delay_ms_p90":{most}}}"#
            )
        });
        let classes = classes.collect::<Vec<_>>().join(",");
        format!(
            "{{\"seed\":{seed},\"hosts\":{hosts},\"hours\":{hours},\"lines\":{lines},\"actions\":{actions},\"hash\":\"{hash}\",\"classes\":[{classes}]}}\n"
        )
    }
}

fn at_percent(sorted: &[u64], percent: usize) -> Option<u64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get(last * percent / 100).copied()
}

fn or_null(value: Option<u64>) -> String {
    value.map_or("null".to_owned(), |value| value.to_string())
}

fn seconds(sorted: &[u64], percent: usize) -> String {
    at_percent(sorted, percent).map_or("-".to_owned(), |ms| {
        format!("{}.{} s", ms / 1000, ms / 100 % 10)
    })
}

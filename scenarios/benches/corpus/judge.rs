//! Detections against the truth: who was missed, who was wronged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};

use super::truth::{Record, Truth};

/// Scenarios that ask for a remedy and ran over, by the subject in lymph's spelling.
pub type Found = BTreeMap<String, BTreeSet<String>>;

/// What came of a comparison.
#[derive(Debug)]
pub struct Judgement {
    /// A row for each class.
    pub table: String,
    /// Loud attackers that nothing found.
    pub missed: Vec<String>,
    /// Benign clients, and what blames them.
    pub wronged: Vec<String>,
}

#[derive(Default)]
struct Row {
    clients: u32,
    loud: u32,
    found: u32,
    missed: u32,
}

/// Compares.
pub fn judge(truth: &Truth, found: &Found) -> Judgement {
    let mut rows = BTreeMap::<(bool, &str), Row>::new();
    let (mut missed, mut wronged) = (Vec::new(), Vec::new());
    for actor in &truth.actors {
        let Record {
            address,
            class,
            benign,
            loud,
            tries,
            first_ms,
            last_ms,
            ..
        } = actor;
        let row = rows.entry((*benign, class)).or_default();
        let scenarios = found.get(&subject(address));
        row.clients += 1;
        row.loud += u32::from(*loud);
        row.found += u32::from(scenarios.is_some());
        match (loud, benign, scenarios) {
            (true, _, None) => {
                row.missed += 1;
                let seconds = (last_ms - first_ms) / 1000;
                missed.push(format!("{address} {class}: {tries} tries in {seconds} s"));
            }
            (_, true, Some(scenarios)) => wronged.push(format!("{address} {class}: {scenarios:?}")),
            _ => {}
        }
    }
    Judgement {
        table: table(truth, &rows),
        missed,
        wronged,
    }
}

fn table(truth: &Truth, rows: &BTreeMap<(bool, &str), Row>) -> String {
    let Truth {
        service,
        seed,
        lines,
        hostile_lines,
        ..
    } = truth;
    let share = hostile_lines * 100 / lines.max(&1);
    let mut text = format!("{service}, seed {seed}: {lines} lines, {share} % of them hostile\n");
    let mut row =
        |line: std::fmt::Arguments<'_>| text.write_fmt(line).expect("a string takes every text");
    row(format_args!(
        "{:<18}{:>9}{:>7}{:>7}{:>8}\n",
        "class", "clients", "loud", "found", "missed"
    ));
    for (
        (benign, class),
        Row {
            clients,
            loud,
            found,
            missed,
        },
    ) in rows
    {
        let mark = if *benign { " (benign)" } else { "" };
        row(format_args!(
            "{class:<18}{clients:>9}{loud:>7}{found:>7}{missed:>8}{mark}\n"
        ));
    }
    text
}

/// How lymph spells an address: IPv6 by its /64.
pub fn subject(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(v6)) => format!("{}/64", Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        Ok(IpAddr::V4(_)) | Err(_) => address.to_owned(),
    }
}

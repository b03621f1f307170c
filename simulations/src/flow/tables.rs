//! What came of a plan, for people and for machines.

use std::collections::BTreeMap;

use serde_json::json;

use super::plan::Experiment;
use super::run::{Outcome, Row, part};

/// A line for each mesh, experiment and policy.
pub(crate) fn as_table(outcome: &Outcome) -> String {
    let mut text = format!(
        "{}\nseeds {}; percent of the nodes asked, and of the worst and the best seed\n",
        outcome.about,
        seeds(outcome)
    );
    let mut head = String::new();
    // Where all have reported themselves nobody is left to ask.
    for row in outcome.rows.iter().filter(|row| row.tally.asked > 0) {
        let title = format!(
            "{}, {} nodes: {}",
            row.net,
            row.nodes,
            row.experiment.name()
        );
        if title != head {
            text += &format!(
                "\n{title}\n  {:<40}{:>8}{:>9}{:>9}{:>9}{:>16}{:>9}{:>7}  target\n",
                "policy", "asked", "prime", "throttle", "block", "seeds", "weight", "heard"
            );
            head = title;
        }
        let [least, most] = band(row);
        let asked = row.tally.asked.max(1);
        let [weight, heard] = match row.policy.starts_with("ours") {
            true => [
                format!("{:.4}", row.tally.weight / asked as f64),
                (row.tally.heard / asked).to_string(),
            ],
            false => ["-".to_owned(), "-".to_owned()],
        };
        let target = match (row.experiment.target(), row.policy.starts_with("ours")) {
            (Some(target), true) => {
                let is_met = target.is_met(row.blocked());
                let word = if is_met { "met" } else { "MISSED" };
                format!("{} {word}", target.name())
            }
            (Some(_) | None, _) => String::new(),
        };
        text += &format!(
            "  {:<40}{:>8}{:>9}{:>9}{:>9}{:>16}{weight:>9}{heard:>7}  {target}\n",
            row.policy,
            row.tally.asked,
            percent(part(row.tally.primed, row.tally.asked)),
            percent(part(row.tally.throttled, row.tally.asked)),
            percent(row.blocked()),
            format!("{} - {}", percent(least), percent(most)),
        );
    }
    text + &format!("\nhash {}\n", outcome.hash)
}

/// A line for each mesh and policy, a column for each experiment: percent that block.
pub(crate) fn as_grid(outcome: &Outcome) -> String {
    let mut text = format!("{}\nseeds {}\n\n", outcome.about, seeds(outcome));
    let mut heads: Vec<&Experiment> = Vec::new();
    for row in &outcome.rows {
        if !heads.contains(&&row.experiment) {
            heads.push(&row.experiment);
        }
    }
    // By mesh in the order of the plan, then by policy in its order.
    let mut lines: Vec<(&str, &str)> = Vec::new();
    let mut cells: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for row in &outcome.rows {
        let key = (row.net.as_str(), row.policy.as_str());
        if !cells.contains_key(&key) {
            lines.push(key);
        }
        let line = cells.entry(key).or_default();
        line.push(percent(row.blocked()));
    }
    text += &format!("{:<34}{:<36}", "mesh", "policy");
    for head in heads {
        text += &format!("{:>26}", head.name());
    }
    text += "\n";
    for key in lines {
        text += &format!("{:<34}{:<36}", key.0, key.1);
        for cell in &cells[&key] {
            text += &format!("{cell:>26}");
        }
        text += "\n";
    }
    text + &format!("\nhash {}\n", outcome.hash)
}

/// One object.
pub(crate) fn as_json(outcome: &Outcome) -> String {
    let rows = outcome.rows.iter().map(|row| {
        let [least, most] = band(row);
        let tally = &row.tally;
        json!({
            "net": row.net,
            "nodes": row.nodes,
            "experiment": row.experiment.name(),
            "policy": row.policy,
            "asked": tally.asked,
            "primed": tally.primed,
            "throttled": tally.throttled,
            "blocked": tally.blocked,
            "blocked_part": row.blocked(),
            "blocked_part_least": least,
            "blocked_part_most": most,
            "heard_mean": tally.heard as f64 / tally.asked.max(1) as f64,
            "sybil_weight_mean": tally.weight / tally.asked.max(1) as f64,
            "target": row.experiment.target().map(|target| target.name()),
            "is_met": row.experiment.target().map(|target| target.is_met(row.blocked())),
        })
    });
    let object = json!({
        "about": outcome.about,
        "seeds": outcome.seeds,
        "hash": outcome.hash,
        "rows": rows.collect::<Vec<_>>(),
    });
    format!("{object}\n")
}

fn seeds(outcome: &Outcome) -> String {
    match outcome.seeds.as_slice() {
        [first, .., last] => format!("{first} to {last}"),
        [one] => one.to_string(),
        [] => "none".to_owned(),
    }
}

/// The least and the most part that blocks under one seed.
fn band(row: &Row) -> [f64; 2] {
    let seeds = || row.tally.by_seed.iter().copied();
    [seeds().fold(1.0, f64::min), seeds().fold(0.0, f64::max)]
}

fn percent(part: f64) -> String {
    format!("{:.1}", part * 100.0)
}

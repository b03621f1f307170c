//! `lymph trust what-if`: what a node would decide, worked out here and by nobody else. No daemon is asked and nothing is
//! kept; the decision is made by the code that the daemon runs on.

mod answer;
mod question;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};

use self::answer::{Answer, answer};
use self::question::Question;
use super::out::{Out, Style, count};
use crate::daemon::clock::wall_clock;

/// Longest FILE, in bytes: a million vouches with long names.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Reporters that are shown to people.
const SHOWN_MAX: usize = 40;

pub(super) fn run(path: &Path, out: &mut Out) -> Result<()> {
    let name = match path == Path::new("-") {
        true => "the standard input".to_owned(),
        false => path.display().to_string(),
    };
    let text = read(path).with_context(|| format!("cannot read {name}"))?;
    let now_s = wall_clock().millis() as f64 / 1000.0;
    let question = Question::parse(&text, now_s).context(name.clone())?;
    let answer = answer(question).context(name)?;
    match out.json {
        true => Ok(out.json(&answer)?),
        false => show(&answer, out),
    }
}

fn read(path: &Path) -> Result<String> {
    let mut file: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(path)?),
    };
    let mut bytes = Vec::new();
    let most = FILE_BYTES_MAX + 1;
    file.by_ref().take(most).read_to_end(&mut bytes)?;
    if bytes.len() as u64 >= most {
        bail!("it has more than {} MB", FILE_BYTES_MAX / 1024 / 1024);
    }
    String::from_utf8(bytes).context("it is no text")
}

fn show(answer: &Answer, out: &mut Out) -> Result<()> {
    let style = match answer.verdict {
        "clear" => Style::Good,
        _ => Style::Warning,
    };
    out.styled(style, answer.verdict, &format!(": {}", because(answer)))?;
    out.line(format!(
        "evidence E {:.4} = {:.2} kappa (kappa {:.4}), {} that share nobody; score {:.2}, confidence {:.2}",
        answer.evidence,
        in_kappa(answer.evidence, answer),
        answer.kappa,
        count(u64::from(answer.paths), "way", "ways"),
        answer.score,
        answer.confidence
    ))?;
    if answer.branches.is_empty() {
        out.line("")?;
        out.line("This node vouches for nobody, so nobody is heard.")?;
    } else {
        out.line("")?;
        let row = |branch: &answer::BranchAnswer| {
            let says = answer.evidence_by.get(&branch.id).copied().unwrap_or(0.0);
            [
                branch.id.clone(),
                match branch.sibling {
                    true => "sibling".to_owned(),
                    false if branch.id == question::STRANGERS => "strangers".to_owned(),
                    false => "friend".to_owned(),
                },
                format!("{:.4}", branch.weight),
                format!("{says:.4}"),
                format!("{:.2}", in_kappa(says, answer)),
                heard_through(answer, &branch.id),
            ]
        };
        out.table(
            [
                "BRANCH",
                "IS",
                "WEIGHT",
                "E_b",
                "IN KAPPA",
                "REPORTERS HEARD THROUGH IT",
            ],
            answer.branches.iter().map(row),
        )?;
    }
    if !answer.evidence_of.is_empty() {
        out.line("")?;
        let row = |(peer, evidence): (&String, &f64)| {
            let quality = answer.quality.get(peer).copied().unwrap_or(0.0);
            let through = answer
                .weights
                .values()
                .filter(|weights| weights.contains_key(peer))
                .count();
            [
                peer.clone(),
                format!("{quality:.3}"),
                format!("{evidence:.4}"),
                count(through as u64, "branch", "branches"),
            ]
        };
        out.table(
            ["REPORTER", "q", "e", "HEARD THROUGH"],
            answer.evidence_of.iter().take(SHOWN_MAX).map(row),
        )?;
        let more = answer.evidence_of.len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            out.line(format!("… and {more} more (--json shows all)"))?;
        }
    }
    for note in &answer.notes {
        out.styled(Style::Warning, "note: ", note)?;
    }
    Ok(())
}

fn in_kappa(evidence: f64, answer: &Answer) -> f64 {
    match answer.kappa > 0.0 {
        true => evidence / answer.kappa,
        false => 0.0,
    }
}

fn because(answer: &Answer) -> &'static str {
    match answer.rule {
        "evidence" => "one branch's word or so; own detectors look closer",
        "two-paths" => {
            "enough evidence by two ways that share nobody; new connections are slowed down"
        }
        "paths" => "enough evidence, by as many ways that share nobody as a block takes",
        "sibling" => "one of the operator's own machines reports it",
        _ => "not enough to do anything",
    }
}

/// The reporters of a branch, those that it gives most first.
fn heard_through(answer: &Answer, branch: &str) -> String {
    let weights = answer.weights.get(branch);
    let mut heard: Vec<_> = weights
        .into_iter()
        .flatten()
        .filter(|(peer, _)| {
            answer
                .evidence_of
                .get(*peer)
                .is_some_and(|evidence| *evidence > 0.0)
        })
        .collect();
    heard.sort_by(|one, other| other.1.total_cmp(one.1));
    let more = heard.len().saturating_sub(3);
    let mut words: Vec<_> = heard
        .iter()
        .take(3)
        .map(|(peer, weight)| format!("{peer} {weight:.4}"))
        .collect();
    if more > 0 {
        words.push(format!("{more} more"));
    }
    match words.is_empty() {
        true => "-".to_owned(),
        false => words.join(", "),
    }
}

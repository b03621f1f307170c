//! FILE of `lymph trust what-if`: its form, and what is wrong with it. What is unclear is an error that says where; what a node
//! would pass over is passed over and noted.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use lymph_protocol::family::Family;
use serde::Deserialize;

use lymph_trust::fixed::Fixed;
use lymph_trust::policy::{NODES_MAX, Parameters, REPORTS_MAX, VOUCHES_MAX, VOUCHES_PER_ISSUER};

/// The branch of strangers, as the answer names it: nobody else may be called so.
pub(super) const STRANGERS: &str = "★";
/// How long a report lives that does not say it: a day, in seconds.
const TTL_S: f64 = 24.0 * 60.0 * 60.0;
/// What is longer is as good as for ever, in seconds: about thirty years.
const LONGEST_S: f64 = 1e9;

/// FILE as it is written. Keys that nobody knows are passed over.
#[derive(Debug, Deserialize)]
struct Written {
    ego: String,
    now: Option<f64>,
    #[serde(default)]
    vouches: Vec<WrittenVouch>,
    #[serde(default)]
    siblings: Vec<String>,
    #[serde(default)]
    muted: Vec<String>,
    #[serde(default)]
    strangers: Vec<String>,
    #[serde(default)]
    experience: BTreeMap<String, Experience>,
    #[serde(default)]
    reports: Vec<WrittenReport>,
    #[serde(default)]
    params: WrittenParameters,
}

#[derive(Debug, Deserialize)]
struct WrittenVouch {
    from: String,
    to: String,
    weight: f64,
    seq: Option<u64>,
    expires: Option<f64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Experience {
    #[serde(default)]
    pub(super) a: f64,
    #[serde(default)]
    pub(super) b: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Evidence {
    Handshake,
    Spoofable,
}

#[derive(Debug, Deserialize)]
struct WrittenReport {
    by: String,
    #[serde(default)]
    age_s: f64,
    evidence: Option<Evidence>,
    rule_known: Option<bool>,
    ttl_s: Option<f64>,
    family: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct WrittenParameters {
    alpha: Option<f64>,
    #[serde(rename = "W0")]
    w0: Option<f64>,
    hops: Option<u32>,
    kappa: Option<f64>,
    k: Option<u32>,
    block_at: Option<f64>,
    gate_q: Option<f64>,
}

/// What somebody says of somebody else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Said {
    /// Ten-thousandths; 0 revokes.
    pub(super) weight: u16,
    pub(super) seq: u64,
    /// Whether its end is still to come.
    pub(super) is_alive: bool,
}

/// A report: when it was made, what of, and until when it lives, each in milliseconds from now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Report {
    pub(super) by: String,
    pub(super) age_ms: u64,
    pub(super) ttl_ms: u64,
    pub(super) is_spoofable: bool,
    pub(super) is_rule_known: bool,
    pub(super) family: Family,
}

/// FILE, checked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) ego: String,
    /// All that was ever said, by who says it of whom.
    pub(super) said: BTreeMap<(String, String), Vec<Said>>,
    pub(super) siblings: BTreeSet<String>,
    pub(super) muted: BTreeSet<String>,
    pub(super) strangers: BTreeSet<String>,
    pub(super) experience: BTreeMap<String, Experience>,
    pub(super) reports: Vec<Report>,
    pub(super) parameters: Parameters,
    /// What a node would pass over.
    pub(super) notes: Vec<String>,
}

impl Question {
    /// From JSON; what has an end is compared with `now_s`, seconds since the epoch, where FILE says no other time.
    pub(super) fn parse(text: &str, now_s: f64) -> Result<Self> {
        let written: Written = match serde_json::from_str(text) {
            Ok(written) => written,
            Err(error) => bail!("{error} (`lymph trust what-if --help` shows the form)"),
        };
        let now_s = written.now.unwrap_or(now_s);
        if !now_s.is_finite() {
            bail!("now: {now_s} is no time in seconds since 1970");
        }
        let mut question = Question {
            ego: written.ego,
            said: BTreeMap::new(),
            siblings: written.siblings.into_iter().collect(),
            muted: written.muted.into_iter().collect(),
            strangers: written.strangers.into_iter().collect(),
            experience: written.experience,
            reports: Vec::new(),
            parameters: parameters(&written.params)?,
            notes: Vec::new(),
        };
        question.take_vouches(&written.vouches, now_s)?;
        question.take_reports(written.reports)?;
        for (peer, counts) in &question.experience {
            let is_count = |count: f64| (0.0..=10_000.0).contains(&count);
            if !is_count(counts.a) || !is_count(counts.b) {
                bail!(
                    "experience of {peer:?}: `a` and `b` are confirmations and refutations, from 0 to 10,000"
                );
            }
        }
        if question.siblings.remove(&question.ego) {
            question.note("siblings: a node is no sibling of its own".to_owned());
        }
        if question.peers().contains(STRANGERS) {
            bail!(
                "{STRANGERS:?} is what the branch of strangers is called: give the peer another name"
            );
        }
        if question.peers().len() > NODES_MAX {
            bail!("more than {NODES_MAX} nodes: a node keeps no more");
        }
        Ok(question)
    }

    /// Everybody who is named anywhere, but for ego.
    pub(super) fn peers(&self) -> BTreeSet<&str> {
        let said = self.said.keys();
        let ends = said.flat_map(|(from, to)| [from.as_str(), to.as_str()]);
        let lists = [&self.siblings, &self.muted, &self.strangers];
        let mut peers: BTreeSet<&str> = lists.into_iter().flatten().map(String::as_str).collect();
        peers.extend(ends);
        peers.extend(self.experience.keys().map(String::as_str));
        peers.extend(self.reports.iter().map(|report| report.by.as_str()));
        peers.remove(self.ego.as_str());
        peers
    }

    fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    fn take_vouches(&mut self, vouches: &[WrittenVouch], now_s: f64) -> Result<()> {
        if vouches.len() > VOUCHES_MAX {
            bail!("more than {VOUCHES_MAX} vouches: a node keeps no more");
        }
        let mut rounded = 0;
        let mut has_seq: BTreeMap<(&str, &str), bool> = BTreeMap::new();
        for (place, vouch) in vouches.iter().enumerate() {
            let (from, to) = (vouch.from.as_str(), vouch.to.as_str());
            let at = format!("vouches[{place}], from {from:?} to {to:?}");
            if !(0.0..=1.0).contains(&vouch.weight) {
                bail!(
                    "{at}: a weight is over 0 and at most 1, or 0 to revoke; this one is {}",
                    vouch.weight
                );
            }
            if from == to {
                self.note(format!(
                    "{at}: nobody can vouch for themselves, so it counts for nothing"
                ));
                continue;
            }
            let is_numbered = vouch.seq.is_some();
            if *has_seq.entry((from, to)).or_insert(is_numbered) != is_numbered {
                bail!(
                    "{at}: the same is said twice, once with `seq` and once without: which is newer? Give each of them one, or none (then the later in FILE is)"
                );
            }
            let weight = ten_thousandths(vouch.weight);
            rounded += usize::from((f64::from(weight) - vouch.weight * 1e4).abs() > 1e-6);
            let said = Said {
                weight,
                seq: vouch.seq.unwrap_or(place as u64),
                is_alive: vouch.expires.is_none_or(|expires| expires > now_s),
            };
            let of_pair = self
                .said
                .entry((from.to_owned(), to.to_owned()))
                .or_default();
            if !of_pair.contains(&said) {
                of_pair.push(said);
            }
        }
        if rounded > 0 {
            self.note(format!(
                "weights are whole ten-thousandths: {rounded} of them are rounded"
            ));
        }
        self.count_vouches()
    }

    fn count_vouches(&mut self) -> Result<()> {
        let mut live: BTreeMap<&str, usize> = BTreeMap::new();
        for ((from, _), said) in &self.said {
            let last = said.iter().max_by_key(|said| said.seq);
            let is_live = last.is_some_and(|last| last.is_alive && last.weight > 0);
            *live.entry(from).or_default() += usize::from(is_live);
        }
        live.retain(|_, count| *count > VOUCHES_PER_ISSUER);
        if let Some(count) = live.remove(self.ego.as_str()) {
            bail!(
                "{:?} vouches for {count} nodes: a node vouches for {VOUCHES_PER_ISSUER} at most",
                self.ego
            );
        }
        let notes: Vec<_> = live
            .iter()
            .map(|(issuer, count)| {
                format!("{issuer:?} vouches for {count} nodes: the {VOUCHES_PER_ISSUER} vouches with the highest numbers count")
            })
            .collect();
        self.notes.extend(notes);
        Ok(())
    }

    fn take_reports(&mut self, reports: Vec<WrittenReport>) -> Result<()> {
        if reports.len() > REPORTS_MAX {
            bail!("more than {REPORTS_MAX} reports: a node keeps no more");
        }
        for (place, report) in reports.into_iter().enumerate() {
            let at = format!("reports[{place}], by {:?}", report.by);
            let ttl_s = report.ttl_s.unwrap_or(TTL_S);
            for (key, seconds) in [("age_s", report.age_s), ("ttl_s", ttl_s)] {
                if !seconds.is_finite() || seconds < 0.0 {
                    bail!("{at}: {key} is a number of seconds, 0 or more; this one is {seconds}");
                }
            }
            let family = match &report.family {
                None => Family::SSH_AUTH,
                Some(family) => match family.parse() {
                    Ok(family) => family,
                    Err(error) => bail!("{at}: family {family:?}: {error}"),
                },
            };
            self.reports.push(Report {
                by: report.by,
                age_ms: millis(report.age_s),
                ttl_ms: millis(ttl_s),
                is_spoofable: report.evidence == Some(Evidence::Spoofable),
                is_rule_known: report.rule_known.unwrap_or(true),
                family,
            });
        }
        Ok(())
    }
}

fn parameters(written: &WrittenParameters) -> Result<Parameters> {
    let mut parameters = Parameters::default();
    if let Some(alpha) = written.alpha {
        if !(0.0..=1.0).contains(&alpha) {
            bail!("params: alpha is from 0 to 1; this one is {alpha}");
        }
        parameters.alpha = (alpha * 1e6).round() as u32;
    }
    if let Some(w0) = written.w0 {
        if !(0.0001..=100_000.0).contains(&w0) {
            bail!("params: W0 is from 0.0001 to 100000; this one is {w0}");
        }
        parameters.w0 = (w0 * 1e4).round() as u32;
    }
    let number = |key: &str, value: f64| match (0.0..=10_000.0).contains(&value) {
        true => Ok(Fixed::of(value)),
        false => bail!("params: {key} is from 0 to 10000; this one is {value}"),
    };
    if let Some(kappa) = written.kappa {
        parameters.kappa = Some(number("kappa", kappa)?);
    }
    if let Some(block_at) = written.block_at {
        parameters.block_at = number("block_at", block_at)?;
    }
    if let Some(gate) = written.gate_q {
        parameters.gate_quality = number("gate_q", gate)?;
    }
    parameters.hops = written.hops.unwrap_or(parameters.hops);
    parameters.block_paths = written.k.unwrap_or(parameters.block_paths);
    Ok(parameters)
}

/// The nearest; what is over 0 stays so, since 0 would revoke.
fn ten_thousandths(weight: f64) -> u16 {
    let nearest = (weight * 1e4).round() as u16;
    nearest.max(u16::from(weight > 0.0))
}

fn millis(seconds: f64) -> u64 {
    (seconds.min(LONGEST_S) * 1000.0).round() as u64
}

//! What a node decides that knows what a [`Question`] says: everything is put into the trust model that the daemon runs on,
//! and read off from it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use lymph_protocol::vouch::Minute;
use lymph_protocol::{NodeId, Subject, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};

use lymph_trust::fixed::Fixed;
use lymph_trust::record::Counts;
use lymph_trust::{Branch, Kin, Statement, Trust, Voice, Vouchee};

use super::question::{Question, Report, STRANGERS, Said};

/// When it is asked. Only differences count, and 2100 is far enough from both ends of what can be said.
const NOW: Timestamp = Timestamp::from_secs(4_102_444_800);
/// Long after that, in minutes since the epoch.
const LATER: Minute = Minute(100_000_000);
/// Whom they speak of: it says nothing of itself.
const SUBJECT: Subject = Subject::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

/// One way by which the node hears of others.
#[derive(Debug, Serialize)]
pub(super) struct BranchAnswer {
    pub(super) id: String,
    pub(super) weight: f64,
    pub(super) sibling: bool,
}

/// What follows from a question. The names are those of the model; see `docs/trust.md`.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) branches: Vec<BranchAnswer>,
    #[serde(rename = "T")]
    pub(super) weights: BTreeMap<String, BTreeMap<String, f64>>,
    #[serde(rename = "q")]
    pub(super) quality: BTreeMap<String, f64>,
    #[serde(rename = "e")]
    pub(super) evidence_of: BTreeMap<String, f64>,
    #[serde(rename = "E_b")]
    pub(super) evidence_by: BTreeMap<String, f64>,
    #[serde(rename = "E")]
    pub(super) evidence: f64,
    #[serde(rename = "S")]
    pub(super) score: f64,
    #[serde(rename = "C")]
    pub(super) confidence: f64,
    pub(super) kappa: f64,
    pub(super) paths: u32,
    pub(super) verdict: &'static str,
    pub(super) rule: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
}

/// The same name is the same node, wherever it is asked.
fn id_of(name: &str) -> NodeId {
    NodeId::from_bytes(Sha256::digest(name.as_bytes()).into())
}

/// What the node decides.
pub(super) fn answer(mut question: Question) -> Result<Answer> {
    let mut trust = Trust::new(id_of(&question.ego), question.parameters);
    let lies = tell_vouches(&mut trust, &question)?;
    question.notes.extend(lies);
    tell_peers(&mut trust, &question);
    // The newest last, as they came; the order in FILE means nothing.
    question
        .reports
        .sort_by_key(|report| (std::cmp::Reverse(report.age_ms), report.clone()));
    let voices = (0..).zip(&question.reports);
    let voices: Vec<_> = voices.map(|(seq, report)| voice(report, seq)).collect();
    trust.assume_voices(SUBJECT, voices.into_iter(), NOW);
    Ok(read(&mut trust, question))
}

/// Put in who vouches for whom; who says two things under one number.
fn tell_vouches(trust: &mut Trust, question: &Question) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for ((from, to), said) in &question.said {
        let is_lie = is_equivocation(said);
        if *from == question.ego {
            if is_lie {
                bail!("{from:?} says two things about {to:?} under one seq: which of them holds?");
            }
            let last = said.iter().max_by_key(|said| said.seq);
            if let Some(last) = last.filter(|last| last.is_alive && last.weight > 0) {
                let kin = match question.siblings.contains(to) {
                    true => Kin::Sibling,
                    false => Kin::Friend,
                };
                let weight = last.weight;
                trust.vouch_for(id_of(to), Vouchee { kin, weight });
            }
            continue;
        }
        if is_lie {
            notes.push(format!(
                "{from:?} says two things about {to:?} under one seq: nobody believes who does that"
            ));
            trust.bar(id_of(from), Timestamp::MAX);
        }
        for said in said {
            let expires = match said.is_alive {
                true => LATER,
                false => Minute(0),
            };
            let statement = Statement {
                issuer: id_of(from),
                subject: id_of(to),
                weight: said.weight,
                seq: said.seq,
                expires,
                kept_until: LATER,
            };
            if !trust.hear_vouch(&statement, NOW) {
                bail!("too many nodes and vouches: a node keeps no more");
            }
        }
    }
    for sibling in &question.siblings {
        let pair = (question.ego.clone(), sibling.clone());
        if !question.said.contains_key(&pair) {
            let (kin, weight) = (Kin::Sibling, 10_000);
            trust.vouch_for(id_of(sibling), Vouchee { kin, weight });
        }
    }
    Ok(notes)
}

fn is_equivocation(said: &[Said]) -> bool {
    let mut numbers: Vec<_> = said.iter().map(|said| said.seq).collect();
    numbers.sort_unstable();
    numbers.windows(2).any(|pair| pair[0] == pair[1])
}

/// Put in what is known of them.
fn tell_peers(trust: &mut Trust, question: &Question) {
    for peer in &question.muted {
        trust.mute(id_of(peer), true);
    }
    for (peer, counts) in &question.experience {
        let (a, b) = (Fixed::of(counts.a), Fixed::of(counts.b));
        trust.assume(id_of(peer), Counts { a, b });
    }
    trust.assume_strangers(question.strangers.iter().map(|peer| id_of(peer)));
}

fn voice(report: &Report, seq: u64) -> Voice {
    let at = NOW - Duration::from_millis(report.age_ms);
    Voice {
        by: id_of(&report.by),
        family: report.family,
        heard_at: at,
        said_at: at,
        expires: at + Duration::from_millis(report.ttl_ms),
        is_spoofable: report.is_spoofable,
        is_rule_known: report.is_rule_known,
        seq,
        is_retracted: false,
    }
}

fn read(trust: &mut Trust, question: Question) -> Answer {
    let peers: BTreeMap<NodeId, String> = question
        .peers()
        .into_iter()
        .map(|peer| (id_of(peer), peer.to_owned()))
        .collect();
    let name = |branch: &Branch| match branch {
        Branch::Of(node) => peers.get(node).cloned().unwrap_or_default(),
        Branch::Members => "members".to_owned(),
        Branch::Strangers => STRANGERS.to_owned(),
    };
    let branches: Vec<_> = trust
        .branches()
        .iter()
        .map(|(branch, weight)| (name(branch), weight.to_f64()))
        .collect();
    let empty = |(branch, _): &(String, f64)| (branch.clone(), BTreeMap::new());
    let mut weights: BTreeMap<_, BTreeMap<_, _>> = branches.iter().map(empty).collect();
    let mut quality = BTreeMap::new();
    for (node, peer) in &peers {
        for (branch, weight) in &*trust.weights(*node) {
            let of_branch = weights.entry(name(branch)).or_default();
            of_branch.insert(peer.clone(), weight.to_f64());
        }
        quality.insert(peer.clone(), trust.quality(*node, NOW, NOW).to_f64());
    }
    let assessment = trust.assess(SUBJECT, NOW);
    let silent = |report: &Report| (report.by.clone(), 0.0);
    let mut evidence_of: BTreeMap<_, _> = question.reports.iter().map(silent).collect();
    for reporter in &assessment.reporters {
        if let Some(peer) = peers.get(&reporter.node) {
            evidence_of.insert(peer.clone(), reporter.evidence.to_f64());
        }
    }
    let mut evidence_by: BTreeMap<_, _> = branches
        .iter()
        .map(|(branch, _)| (branch.clone(), 0.0))
        .collect();
    for share in &assessment.branches {
        evidence_by.insert(name(&share.branch), share.evidence.to_f64());
    }
    let mut branches: Vec<_> = branches
        .into_iter()
        .map(|(id, weight)| BranchAnswer {
            sibling: question.siblings.contains(&id),
            id,
            weight,
        })
        .collect();
    branches.sort_by(|one, other| one.id.cmp(&other.id));
    Answer {
        branches,
        weights,
        quality,
        evidence_of,
        evidence_by,
        evidence: assessment.evidence.to_f64(),
        score: assessment.score(),
        confidence: assessment.confidence(),
        kappa: assessment.kappa.to_f64(),
        paths: assessment.paths,
        verdict: assessment.level.name(),
        rule: assessment.rule.map_or("none", |rule| rule.name()),
        notes: question.notes,
    }
}

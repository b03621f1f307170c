//! What the API says about whom this node believes, as JSON.

use lymph_protocol::{NodeId, Timestamp};
use lymph_trust::record::Counts;
use lymph_trust::{Branch, Level, Rule, Trust, policy as numbers};
use serde::{Deserialize, Serialize};

use super::mesh_requests::node;
use super::mesh_views::{PeerView, peers};
use crate::engine::Engine;
use crate::engine::explain::Weighed;
use crate::engine::mesh::Mesh;
use crate::engine::target::Target;
use crate::engine::trusting::Benefit;

/// Strangers that are proposed at once.
const SUGGESTED_MAX: usize = 50;
/// Vouchers of a node that are shown.
const VOUCHERS_SHOWN: usize = 50;
/// With so many branches nearly all attackers that many have seen are blocked.
const BRANCHES_ENOUGH: usize = 8;

/// Whom this node believes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrustView {
    /// Why it believes nobody, if it runs without the mesh.
    pub failure: Option<String>,
    /// Whom it vouches for.
    pub friends: Vec<FriendView>,
    /// Whom it believes nothing.
    pub muted: Vec<String>,
    /// Strangers whose reports have proved right: they have earned a vouch.
    pub suggested: Vec<SuggestedView>,
    /// How well it is protected.
    pub standing: StandingView,
}

/// What was seen of a node at first hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExperienceView {
    /// What its word is worth, from 0 to 1; a newcomer's is worth 0.52.
    pub quality: f64,
    /// Reports of it that proved right and are remembered.
    pub hits: usize,
    /// Those that proved wrong.
    pub refutations: usize,
    /// What is left of the first, since experience fades: half in 14 days.
    pub hits_left: f64,
    /// And of the others.
    pub refutations_left: f64,
}

/// Somebody this node vouches for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FriendView {
    /// Who.
    #[serde(flatten)]
    pub peer: PeerView,
    /// What was seen of it.
    #[serde(flatten)]
    pub experience: ExperienceView,
}

/// A stranger that has earned a vouch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SuggestedView {
    /// Which node.
    pub node: String,
    /// What was seen of it.
    #[serde(flatten)]
    pub experience: ExperienceView,
    /// Friends of ours through whom it is heard already.
    pub through: Vec<ThroughView>,
}

/// A branch by which a node is heard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ThroughView {
    /// The friend's name, `members` or `strangers`.
    pub name: String,
    /// The friend.
    pub node: Option<String>,
    /// How much weight it hands on, up to 1.
    pub weight: f64,
}

/// How well this node is protected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingView {
    /// Friends and siblings, and members together: each is one branch.
    pub branches: usize,
    /// Siblings among them.
    pub siblings: usize,
    /// Nodes whose word counts here.
    pub heard: usize,
    /// How many must be fooled, or corrupt, before somebody innocent can be blocked; none if only siblings can.
    pub must_be_fooled: Option<u32>,
    /// The same in a sentence.
    pub text: String,
    /// What would make it better, if anything.
    pub advice: Option<String>,
    /// What the mesh was worth in the last thirty days, measured on addresses that are left alone.
    pub benefit: Option<BenefitView>,
}

/// What the mesh was worth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenefitView {
    /// Attacks by addresses that others would have had shut out and that were left alone.
    pub seen: u64,
    /// How many were stopped, as far as that tells.
    pub stopped: u64,
    /// How far that may be off.
    pub give_or_take: u64,
    /// The same in a sentence.
    pub text: String,
}

/// What this node makes of another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerTrustView {
    /// Which node.
    pub node: String,
    /// What it is called here.
    pub name: String,
    /// `this-node`, `sibling`, `friend`, `member`, `muted`, `heard` (through others), `among-strangers` or `stranger`.
    pub standing: String,
    /// In a sentence.
    pub summary: String,
    /// How much this node vouches for it, if it does.
    pub weight: Option<f64>,
    /// What was seen of it.
    #[serde(flatten)]
    pub experience: ExperienceView,
    /// Addresses about which it was wrong, and the day.
    pub refuted: Vec<RefutedView>,
    /// The branches by which it is heard.
    pub through: Vec<ThroughView>,
    /// Who vouches for it, as far as is known here; so many at most are named.
    pub vouched_by: Vec<ThroughView>,
    /// How many do.
    pub vouched_by_count: usize,
    /// For how many it vouches.
    pub vouches_for: usize,
    /// Live reports of it.
    pub reports: usize,
}

/// A report that was wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefutedView {
    /// About whom.
    pub subject: String,
    /// When that was found out.
    pub day: String,
}

/// What this node makes of what others report about an address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WeighedView {
    /// `clear`, `prime`, `throttle` or `block`.
    pub level: String,
    /// `evidence`, `two-paths`, `paths`, `sibling` or `none`.
    pub rule: String,
    /// The same in a sentence.
    pub text: String,
    /// Since when it is at that level.
    pub since: Option<String>,
    /// Until when a block may last at most.
    pub until: Option<String>,
    /// Whether nothing is done whatever others say, to measure what they are worth.
    pub held_out: bool,
    /// From 0 to 1: how bad what is said is.
    pub score: f64,
    /// From 0 to 1: how many independent branches say so.
    pub confidence: f64,
    /// Evidence, all branches together.
    pub evidence: f64,
    /// That of it which can block: of what no page can make a browser do, and not by strangers.
    pub blocking: f64,
    /// What one branch can say at most.
    pub kappa: f64,
    /// How much a block takes.
    pub needed: f64,
    /// Ways to the reporters that share nobody.
    pub ways: u32,
    /// Those that can block.
    pub blocking_ways: u32,
    /// How many a block takes.
    pub ways_needed: u32,
    /// Who reports, the weightiest first.
    pub reporters: Vec<ReporterView>,
    /// What would undo it, in sentences.
    pub undo: Vec<String>,
}

/// What one reporter's word is worth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReporterView {
    /// Which node.
    pub node: String,
    /// What it is called here.
    pub name: String,
    /// What its word is worth, from 0 to 1.
    pub quality: f64,
    /// What this report is worth now: less for what is old or by an unknown rule, nothing for what anybody can have sent.
    pub evidence: f64,
    /// The branches by which it is heard.
    pub through: Vec<ThroughView>,
}

impl ExperienceView {
    fn new(trust: &Trust, node: NodeId, now: Timestamp) -> Self {
        let counts: Counts = trust.counts(node, now);
        let record = trust.record(node);
        ExperienceView {
            quality: counts.quality().to_f64(),
            hits: record.map_or(0, |record| record.credits().count()),
            refutations: record.map_or(0, |record| record.refutations().count()),
            hits_left: counts.a.to_f64(),
            refutations_left: counts.b.to_f64(),
        }
    }
}

impl ThroughView {
    fn new(
        branch: Branch,
        weight: lymph_trust::fixed::Fixed,
        name: impl Fn(NodeId) -> String,
    ) -> Self {
        let (name, node) = match branch {
            Branch::Of(node) => (name(node), Some(node.to_string())),
            Branch::Members => ("members".to_owned(), None),
            Branch::Strangers => ("strangers".to_owned(), None),
        };
        ThroughView {
            name,
            node,
            weight: weight.to_f64(),
        }
    }

    fn all(trust: &mut Trust, of: NodeId, mesh: &Mesh) -> Vec<Self> {
        let weights = trust.weights(of);
        let mut through: Vec<_> = weights
            .iter()
            .map(|(branch, weight)| ThroughView::new(*branch, *weight, |node| mesh.name_of(node)))
            .collect();
        through.sort_by(|one, other| other.weight.total_cmp(&one.weight));
        through
    }
}

impl TrustView {
    pub(in crate::daemon) fn new(engine: &Engine, now: Timestamp) -> Self {
        let (Some(mesh), Some(trust)) = (engine.mesh(), engine.trust()) else {
            return TrustView {
                failure: Some("this node runs without the mesh (--no-mesh)".to_owned()),
                ..TrustView::default()
            };
        };
        let friends = mesh.known().zip(peers(mesh, now));
        let friends = friends.map(|((node, _), peer)| FriendView {
            peer,
            experience: ExperienceView::new(trust, node, now),
        });
        let muted: Vec<_> = mesh.muted().collect();
        let mut glance = trust.glance(None);
        let is_known = |node: NodeId| mesh.known().any(|(known, _)| known == node);
        let earned: Vec<_> = trust.earned().iter().copied().collect();
        let mut suggested: Vec<_> = earned
            .into_iter()
            .filter(|node| *node != mesh.id() && !muted.contains(node) && !is_known(*node))
            .map(|node| SuggestedView {
                node: node.to_string(),
                experience: ExperienceView::new(trust, node, now),
                through: ThroughView::all(&mut glance, node, mesh),
            })
            .collect();
        let best = |one: &SuggestedView, other: &SuggestedView| {
            let by_quality = other.experience.quality.total_cmp(&one.experience.quality);
            by_quality.then(other.experience.hits.cmp(&one.experience.hits))
        };
        suggested.sort_by(best);
        suggested.truncate(SUGGESTED_MAX);
        TrustView {
            failure: None,
            friends: friends.collect(),
            muted: muted.iter().map(ToString::to_string).collect(),
            suggested,
            standing: StandingView::new(engine).unwrap_or_default(),
        }
    }
}

impl StandingView {
    /// How well this node is protected, if it hears others at all.
    pub(in crate::daemon) fn new(engine: &Engine) -> Option<Self> {
        let (mesh, trust) = (engine.mesh()?, engine.trust()?);
        let mut glance = trust.glance(None);
        let standing = glance.standing();
        let friends = standing.branches;
        let is_heard =
            mesh.public().consume || mesh.circles().any(|(_, circle)| circle.consent.consume);
        let heard = match standing.heard {
            1 => "1 node is heard".to_owned(),
            heard => format!("{heard} nodes are heard"),
        };
        let branches = match standing.branches {
            1 => "1 branch".to_owned(),
            branches => format!("{branches} branches"),
        };
        let text = match (standing.must_be_fooled, standing.siblings) {
            (Some(fooled), siblings) => format!(
                "{branches}, {heard}: {fooled} of them must be fooled, by ways that share nobody, before somebody innocent can be blocked{}",
                match siblings {
                    0 => "",
                    1 => ", or your other machine",
                    _ => ", or one of your other machines",
                }
            ),
            (None, 0) => format!(
                "{branches}: what others say blocks nobody here, it only sharpens own detectors"
            ),
            (None, _) => format!("{branches}: only your own machines' word blocks here"),
        };
        let missing = (trust.parameters().block_paths as usize).saturating_sub(standing.branches);
        let advice = match (missing, friends) {
            _ if friends > 0 && !is_heard => {
                Some("others' reports do not come in: `lymph share on`".to_owned())
            }
            (0, friends) if friends < BRANCHES_ENOUGH => Some(format!(
                "more friends (`lymph invite`), or circles of different people; {BRANCHES_ENOUGH} branches block nearly everybody whom many have seen"
            )),
            (0, _) => None,
            (missing, _) => Some(format!(
                "{missing} more friends (`lymph invite`), or circles to join: from {} branches on what several of them say blocks",
                standing.branches + missing
            )),
        };
        Some(StandingView {
            branches: standing.branches,
            siblings: standing.siblings,
            heard: standing.heard,
            must_be_fooled: standing.must_be_fooled,
            text,
            advice,
            benefit: engine.benefit().map(BenefitView::from),
        })
    }
}

impl From<Benefit> for BenefitView {
    fn from(benefit: Benefit) -> Self {
        let text = match benefit.seen {
            0 => "no attack in 30 days by an address that others knew and that was left alone (one in twenty is, to measure what the mesh is worth)".to_owned(),
            _ => format!(
                "the mesh stopped about {} attacks in 30 days (± {})",
                benefit.stopped, benefit.give_or_take
            ),
        };
        BenefitView {
            seen: benefit.seen,
            stopped: benefit.stopped,
            give_or_take: benefit.give_or_take,
            text,
        }
    }
}

impl PeerTrustView {
    /// What this node makes of another, which is named by its id, its name, or the beginning of its id.
    pub(in crate::daemon) fn new(
        engine: &Engine,
        text: &str,
        now: Timestamp,
    ) -> Result<Self, String> {
        let (Some(mesh), Some(trust)) = (engine.mesh(), engine.trust()) else {
            return Err("this node runs without the mesh: start it without --no-mesh".to_owned());
        };
        let id = node(text, mesh).or_else(|error| by_beginning(text, trust).ok_or(error))?;
        let mut glance = trust.glance(None);
        let through = ThroughView::all(&mut glance, id, mesh);
        let known = mesh.known().find(|(node, _)| *node == id);
        let is_muted = mesh.muted().any(|node| node == id);
        let is_stranger = through
            .iter()
            .any(|through| through.node.is_none() && through.name == "strangers");
        let name = mesh.name_of(id);
        let experience = ExperienceView::new(trust, id, now);
        let all: f64 = through.iter().map(|through| through.weight).sum();
        let (standing, summary) = match known {
            _ if id == mesh.id() => ("this-node", "This is this node itself.".to_owned()),
            _ if is_muted => (
                "muted",
                format!("Nothing that {name} says is believed: it is muted here."),
            ),
            Some(_) if through.is_empty() => (
                "barred",
                format!(
                    "{name} is vouched for here but not believed: its key is dead, or it said two things under one number."
                ),
            ),
            Some((_, known)) => (
                known.degree.name(),
                format!(
                    "{name} is a {} of this node, with weight {:.2}.",
                    known.degree.name(),
                    f64::from(known.weight.0) / 10_000.0
                ),
            ),
            None if is_stranger => (
                "among-strangers",
                format!(
                    "{name} is a stranger whose reports have proved right: it is heard among strangers, who block nobody. It has earned a vouch: lymph trust vouch {id}"
                ),
            ),
            None if !through.is_empty() => (
                "heard",
                format!(
                    "{name} is heard through {} of this node's branches, with weight {all:.3} in all.",
                    through.len()
                ),
            ),
            None => (
                "stranger",
                format!(
                    "{name} is a stranger: nobody within five vouches of this node vouches for it, so what it says counts for nothing."
                ),
            ),
        };
        let vouchers = || trust.graph().vouchers_of(id);
        let mut vouched_by: Vec<_> = vouchers()
            .map(|(voucher, weight)| ThroughView {
                name: mesh.name_of(voucher),
                node: Some(voucher.to_string()),
                weight: f64::from(weight) / 10_000.0,
            })
            .collect();
        let is_friend = |voucher: &ThroughView| {
            let mut known = mesh.known();
            !known.any(|(node, _)| Some(node.to_string()) == voucher.node)
        };
        vouched_by.sort_by_key(is_friend);
        vouched_by.truncate(VOUCHERS_SHOWN);
        let refutations = trust
            .record(id)
            .into_iter()
            .flat_map(|record| record.refutations().rev());
        Ok(PeerTrustView {
            node: id.to_string(),
            name,
            standing: standing.to_owned(),
            summary,
            weight: known.map(|(_, known)| f64::from(known.weight.0) / 10_000.0),
            experience,
            refuted: refutations
                .map(|refuted| RefutedView {
                    subject: refuted.subject.to_string(),
                    day: day(refuted.day),
                })
                .collect(),
            through,
            vouched_by,
            vouched_by_count: vouchers().count(),
            vouches_for: trust.graph().vouches_of(id).count(),
            reports: mesh.shelf().by(id).count(),
        })
    }
}

/// The only node of the graph whose id begins so.
fn by_beginning(text: &str, trust: &Trust) -> Option<NodeId> {
    let text = text.to_lowercase();
    let is_long_enough = text.len() >= 8;
    let mut found = trust
        .graph()
        .nodes()
        .filter(|node| is_long_enough && node.to_string().starts_with(&text));
    match (found.next(), found.next()) {
        (Some(node), None) => Some(node),
        _ => None,
    }
}

/// As `2026-11-24`.
fn day(days: u32) -> String {
    let time = Timestamp::from_secs(u64::from(days) * 24 * 60 * 60).to_string();
    time.split('T').next().unwrap_or_default().to_owned()
}

impl WeighedView {
    pub(super) fn new(target: Target, weighed: &Weighed) -> Self {
        let assessment = &weighed.assessment;
        let name = |node: NodeId| weighed.names.get(&node).cloned().unwrap_or_default();
        let mut reporters: Vec<_> = assessment
            .reporters
            .iter()
            .map(|reporter| ReporterView {
                node: reporter.node.to_string(),
                name: name(reporter.node),
                quality: reporter.quality.to_f64(),
                evidence: reporter.evidence.to_f64(),
                through: reporter
                    .weights
                    .iter()
                    .map(|(branch, weight)| ThroughView::new(*branch, *weight, name))
                    .collect(),
            })
            .collect();
        let worth = |reporter: &ReporterView| {
            let weights = reporter.through.iter().map(|through| through.weight);
            weights.sum::<f64>() * reporter.evidence
        };
        reporters.sort_by(|one, other| worth(other).total_cmp(&worth(one)));
        WeighedView {
            level: assessment.level.name().to_owned(),
            rule: assessment
                .rule
                .map_or("none", |rule| rule.name())
                .to_owned(),
            text: in_words(weighed, name),
            since: weighed.since.map(|since| since.to_string()),
            until: (assessment.level == Level::Block).then(|| assessment.until.to_string()),
            held_out: weighed.is_held_out && !weighed.sibling_says,
            score: assessment.score(),
            confidence: assessment.confidence(),
            evidence: assessment.evidence.to_f64(),
            blocking: assessment.strict.to_f64(),
            kappa: assessment.kappa.to_f64(),
            needed: weighed.evidence_needed.to_f64(),
            ways: assessment.paths,
            blocking_ways: assessment.strict_paths,
            ways_needed: weighed.ways_needed,
            undo: undo(target, weighed, &reporters),
            reporters,
        }
    }
}

fn in_words(weighed: &Weighed, name: impl Fn(NodeId) -> String) -> String {
    let assessment = &weighed.assessment;
    let words = |evidence: lymph_trust::fixed::Fixed| evidence.over(assessment.kappa).to_f64();
    let (all, blocking) = (words(assessment.evidence), words(assessment.strict));
    match assessment.rule {
        // While its report lives it holds, however old the evidence is.
        Some(Rule::Evidence | Rule::TwoPaths) | None if weighed.sibling_says => {
            "blocked, since one of your own machines has blocked it".to_owned()
        }
        None => format!(
            "too little to do anything: it weighs as much as {all:.2} friends' word, and from half a friend's word on own detectors look closer"
        ),
        Some(Rule::Evidence) => format!(
            "own detectors look closer ({} events of a kind are enough): it weighs as much as {all:.2} friends' word, by {}",
            numbers::PRIME_EVENTS_MIN,
            ways(assessment.paths)
        ),
        Some(Rule::TwoPaths) => format!(
            "new connections are slowed down to {} a minute: it weighs as much as {all:.2} friends' word, by {} that share nobody{}",
            numbers::THROTTLE_PER_MINUTE,
            ways(assessment.paths),
            match assessment.strict < assessment.evidence {
                true =>
                    "; part of it blocks nobody, since a page can make a browser do it or strangers say it",
                false => "",
            }
        ),
        Some(Rule::Paths) => format!(
            "enough to block it: it weighs as much as {blocking:.2} friends' word ({:.2} are needed), by {} that share nobody ({} are needed)",
            words(weighed.evidence_needed),
            ways(assessment.strict_paths),
            weighed.ways_needed
        ),
        Some(Rule::Sibling(sibling)) => format!(
            "blocked, since {} has blocked it, which is one of your own machines",
            name(sibling)
        ),
    }
}

fn ways(count: u32) -> String {
    match count {
        1 => "1 way".to_owned(),
        count => format!("{count} ways"),
    }
}

/// What would undo what others' word does.
fn undo(target: Target, weighed: &Weighed, reporters: &[ReporterView]) -> Vec<String> {
    let assessment = &weighed.assessment;
    if (weighed.is_held_out && !weighed.sibling_says) || assessment.level == Level::Clear {
        return Vec::new();
    }
    let mut undo = vec![format!(
        "lymph unban {target} --false-positive   if it is innocent: those who said so are believed less from then on"
    )];
    if let (Level::Block, Some(Rule::Paths)) = (assessment.level, assessment.rule) {
        let through = reporters
            .iter()
            .filter(|reporter| reporter.evidence > 0.0)
            .flat_map(|reporter| &reporter.through)
            .filter(|through| through.node.is_some());
        let mut names: Vec<_> = through.map(|through| through.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if assessment.strict_paths == weighed.ways_needed && names.len() <= 8 {
            undo.push(format!(
                "lymph trust mute NODE   of one of {}: it rests on {} ways and not one more",
                names.join(", "),
                assessment.strict_paths
            ));
        }
    }
    undo.push(format!(
        "lymph allow add {target}   and nobody's word blocks it here again"
    ));
    undo
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use lymph_protocol::Subject;
    use lymph_protocol::family::Family;
    use lymph_trust::{Kin, Parameters, Voice, Vouchee};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const SUBJECT: Subject = Subject::V4(std::net::Ipv4Addr::new(8, 8, 7, 7));

    fn id(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    fn voice(by: u8) -> Voice {
        Voice {
            by: id(by),
            family: Family::SSH_AUTH,
            heard_at: NOW,
            said_at: NOW,
            expires: NOW + Duration::from_secs(86_400),
            is_spoofable: false,
            is_rule_known: true,
            seq: 1,
            is_retracted: false,
        }
    }

    /// Friends 1 to 4 and sibling 9; 7 is nobody's.
    fn weighed(voices: impl IntoIterator<Item = Voice>) -> Weighed {
        let mut trust = Trust::new(id(0), Parameters::default());
        for node in [1, 2, 3, 4, 9] {
            let kin = match node {
                9 => Kin::Sibling,
                _ => Kin::Friend,
            };
            let weight = 10_000;
            trust.vouch_for(id(node), Vouchee { kin, weight });
        }
        for voice in voices {
            trust.hear(SUBJECT, voice, NOW);
        }
        let assessment = trust.assess(SUBJECT, NOW);
        let names = (0..10).map(|number| (id(number), format!("n{number}")));
        Weighed {
            since: trust.since(SUBJECT),
            is_held_out: false,
            sibling_says: trust.voices(SUBJECT).any(|voice| voice.by == id(9)),
            evidence_needed: assessment.kappa.times(trust.parameters().block_at),
            ways_needed: 3,
            names: names.collect::<BTreeMap<_, _>>(),
            assessment,
        }
    }

    fn view(weighed: &Weighed) -> WeighedView {
        WeighedView::new(Target::from(SUBJECT), weighed)
    }

    #[test]
    fn each_level_is_told_in_words() {
        let web = |by| Voice {
            family: Family::WEB_SCAN,
            ..voice(by)
        };
        let cases: [(Vec<Voice>, &str, &str, &[&str]); 7] = [
            (vec![voice(7)], "clear", "too little to do anything", &[]),
            (
                vec![voice(1)],
                "prime",
                "own detectors look closer (2 events of a kind are enough): it weighs as much as 1.00 friends' word, by 1 way",
                &["unban 8.8.7.7 --false-positive", "allow add 8.8.7.7"],
            ),
            (
                vec![voice(1), voice(3)],
                "throttle",
                "slowed down to 6 a minute: it weighs as much as 2.00 friends' word, by 2 ways that share nobody",
                &["--false-positive", "allow add"],
            ),
            (
                vec![web(1), web(2), web(3)],
                "throttle",
                "part of it blocks nobody",
                &["--false-positive", "allow add"],
            ),
            (
                vec![voice(1), voice(2), voice(3)],
                "block",
                "as much as 3.00 friends' word (2.50 are needed), by 3 ways that share nobody (3 are needed)",
                &[
                    "--false-positive",
                    "mute NODE   of one of n1, n2, n3",
                    "allow add",
                ],
            ),
            // One of four may go.
            (
                vec![voice(1), voice(2), voice(3), voice(4)],
                "block",
                "by 4 ways",
                &["--false-positive", "allow add"],
            ),
            (
                vec![voice(9)],
                "block",
                "since n9 has blocked it, which is one of your own machines",
                &["--false-positive", "allow add"],
            ),
        ];
        for (voices, level, text, undo) in cases {
            let view = view(&weighed(voices));
            assert_eq!(view.level, level, "{view:?}");
            assert!(view.text.contains(text), "{}", view.text);
            assert_eq!(view.undo.len(), undo.len(), "{:?}", view.undo);
            for (said, undo) in view.undo.iter().zip(undo) {
                assert!(said.contains(undo), "{said}");
            }
            assert_eq!(view.until.is_some(), level == "block");
        }
    }

    #[test]
    fn reporters_are_told_the_weightiest_first_and_with_their_branches() {
        let doubtful = Voice {
            is_rule_known: false,
            ..voice(2)
        };
        let view = view(&weighed([voice(7), doubtful, voice(1)]));
        let names: Vec<_> = view
            .reporters
            .iter()
            .map(|reporter| (reporter.name.as_str(), reporter.through.len()))
            .collect();
        assert_eq!(names, [("n1", 1), ("n2", 1), ("n7", 0)]);
        assert_eq!(view.reporters[0].through[0].weight, 1.0);
        assert!((view.reporters[1].evidence - 11.0 / 42.0).abs() < 1e-9);
    }

    #[test]
    fn who_is_left_alone_is_told_so_unless_a_sibling_speaks() {
        for (voices, is_left_alone, undo) in [
            (vec![voice(1), voice(2), voice(3)], true, 0),
            (vec![voice(9)], false, 2),
        ] {
            let weighed = Weighed {
                is_held_out: true,
                ..weighed(voices)
            };
            let view = view(&weighed);
            assert_eq!((view.held_out, view.undo.len()), (is_left_alone, undo));
        }
    }

    #[test]
    fn what_the_mesh_was_worth_is_said_with_its_error() {
        let benefit = Benefit {
            seen: 22,
            stopped: 418,
            give_or_take: 89,
        };
        assert_eq!(
            BenefitView::from(benefit).text,
            "the mesh stopped about 418 attacks in 30 days (± 89)"
        );
    }

    #[test]
    fn days_are_dates() {
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(20_781), "2026-11-24");
    }
}

//! From reports to a level: what each branch gives, how much that is in all, and what is done about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use lymph_protocol::NodeId;
use lymph_protocol::Timestamp;

use crate::fixed::{Fixed, decay};
use crate::ledger::Voice;
use crate::policy::{
    HYSTERESIS, KAPPA_BRANCHES, KAPPA_MAX, KAPPA_MIN, PRIME_AT, Parameters, THROTTLE_AT,
    THROTTLE_PATHS,
};
use crate::record::newcomer;
use crate::view::Branch;

/// What is done about an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing.
    #[default]
    Clear,
    /// Local detectors look closer.
    Prime,
    /// New connections are slowed down.
    Throttle,
    /// It is shut out.
    Block,
}

impl Level {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Level::Clear => "clear",
            Level::Prime => "prime",
            Level::Throttle => "throttle",
            Level::Block => "block",
        }
    }
}

/// Which rule decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Evidence of half of what a branch can say.
    Evidence,
    /// Enough evidence by two ways that share nobody.
    TwoPaths,
    /// Enough evidence that nobody can be made to give, by as many ways as a block takes.
    Paths,
    /// One of the operator's own machines shut it out.
    Sibling(NodeId),
}

impl Rule {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Rule::Evidence => "evidence",
            Rule::TwoPaths => "two-paths",
            Rule::Paths => "paths",
            Rule::Sibling(_) => "sibling",
        }
    }
}

/// What one reporter gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporter {
    /// Who.
    pub node: NodeId,
    /// What their word is worth: `q`.
    pub quality: Fixed,
    /// What their heaviest report is worth now: `e`.
    pub evidence: Fixed,
    /// The same, of what nobody can be made to do by a link or a page.
    pub strict: Fixed,
    /// What each branch gives them.
    pub weights: Arc<[(Branch, Fixed)]>,
    /// When the last of their reports is forgotten.
    pub expires: Timestamp,
}

/// What one branch gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which.
    pub branch: Branch,
    /// How much it is believed: `omega`.
    pub weight: Fixed,
    /// What it says, capped: `E_b`.
    pub evidence: Fixed,
    /// The same, of what nobody can be made to do.
    pub strict: Fixed,
}

/// All that there is about one address, and what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// Those whose word counts, and those whose word counts for nothing.
    pub reporters: Vec<Reporter>,
    /// Branches that say something.
    pub branches: Vec<Share>,
    /// What one branch can say at most.
    pub kappa: Fixed,
    /// `E`: all branches together.
    pub evidence: Fixed,
    /// `E'`: what friends and members say of what nobody can be made to do. What others say through a sibling does not block.
    pub strict: Fixed,
    /// Ways to the reporters that share nobody; counted up to what decides.
    pub paths: u32,
    /// The same, to reporters of what nobody can be made to do.
    pub strict_paths: u32,
    /// What follows.
    pub level: Level,
    /// By which rule.
    pub rule: Option<Rule>,
    /// Until when a block may last at most: when as many reports as it takes ways are still alive.
    pub until: Timestamp,
}

impl Assessment {
    /// For people: from 0 to 1, how bad what is said is.
    #[must_use]
    pub fn score(&self) -> f64 {
        let kappa = self.kappa.to_f64();
        match kappa > 0.0 {
            true => 1.0 - libm::exp(-self.evidence.to_f64() / (2.0 * kappa)),
            false => 0.0,
        }
    }

    /// What would follow from the same reports under other thresholds, had nothing been done so far. `alpha`, `w0`, `hops`
    /// and `gate_quality` stay those under which it was made, and so does a sibling's word; all ways have to be counted, as
    /// [`crate::Trust::assess`] does.
    #[must_use]
    pub fn level_under(
        &self,
        parameters: &Parameters,
        branches: &BTreeMap<Branch, Fixed>,
    ) -> Level {
        let kappa = kappa(parameters, branches);
        // Whoever had no say in a block has none under other thresholds.
        let blocks = |branch| {
            let had = |share: &Share| share.branch == branch && share.strict > Fixed::ZERO;
            self.branches.iter().any(had)
        };
        let shares = shares(&self.reporters, branches, kappa, blocks);
        let evidence = shares.iter().map(|share| share.evidence).sum();
        let strict = shares.iter().map(|share| share.strict).sum();
        let sibling = match self.rule {
            Some(Rule::Sibling(sibling)) => Some(sibling),
            Some(Rule::Evidence | Rule::TwoPaths | Rule::Paths) | None => None,
        };
        let paths = |is_strict, _| match is_strict {
            true => self.strict_paths,
            false => self.paths,
        };
        let sums = (evidence, strict);
        judge(parameters, kappa, sums, sibling, Level::Clear, paths).0
    }

    /// For people: from 0 to 1, how many independent branches say so. Half for two that say as much as each other.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        let square = |x: f64| x * x;
        let shares = || self.branches.iter().map(|share| share.evidence.to_f64());
        let squares: f64 = shares().map(square).sum();
        match squares > 0.0 {
            true => 1.0 - squares / square(shares().sum()),
            false => 0.0,
        }
    }
}

/// What one branch can say at most: it grows with the branches one has.
#[must_use]
pub fn kappa(parameters: &Parameters, branches: &BTreeMap<Branch, Fixed>) -> Fixed {
    parameters.kappa.unwrap_or_else(|| {
        let all: Fixed = branches.values().copied().sum();
        all.over(Fixed::ratio(KAPPA_BRANCHES, 1))
            .clamp(KAPPA_MIN, KAPPA_MAX)
    })
}

/// What a report is worth that is not taken back: `q * c * 2^(-age / h)`.
#[must_use]
pub fn evidence(voice: &Voice, quality: Fixed, parameters: &Parameters, now: Timestamp) -> Fixed {
    if voice.is_retracted || voice.is_spoofable || voice.expires <= now {
        return Fixed::ZERO;
    }
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let left = decay(millis(voice.age(now)), millis(parameters.half_life));
    let known = match voice.is_rule_known {
        true => Fixed::ONE,
        false => Fixed::ratio(1, 2),
    };
    quality.times(known).times(left)
}

/// What the branches say, capped each at what one can say; what is strict only of those that have a say in a block.
pub(crate) fn shares(
    reporters: &[Reporter],
    branches: &BTreeMap<Branch, Fixed>,
    kappa: Fixed,
    blocks: impl Fn(Branch) -> bool,
) -> Vec<Share> {
    #[derive(Clone, Copy, Default)]
    struct Sum {
        all: Fixed,
        best: Fixed,
        strict: Fixed,
        strict_best: Fixed,
    }
    let mut sums: BTreeMap<Branch, Sum> = BTreeMap::new();
    for reporter in reporters
        .iter()
        .filter(|reporter| reporter.evidence > Fixed::ZERO)
    {
        for (branch, weight) in &*reporter.weights {
            let sum = sums.entry(*branch).or_default();
            sum.all += weight.times(reporter.evidence);
            sum.best = sum.best.max(reporter.quality);
            if reporter.strict > Fixed::ZERO {
                sum.strict += weight.times(reporter.strict);
                sum.strict_best = sum.strict_best.max(reporter.quality);
            }
        }
    }
    let newcomer = newcomer();
    let cap = |weight: Fixed, best: Fixed| {
        // A bad record shrinks what can be said at most, not only what is said.
        kappa
            .times(weight)
            .times(best.over(newcomer).min(Fixed::ONE))
    };
    let share = |(branch, sum): (&Branch, &Sum)| {
        let weight = branches.get(branch).copied().unwrap_or_default();
        Share {
            branch: *branch,
            weight,
            evidence: sum.all.min(cap(weight, sum.best)),
            strict: match blocks(*branch) {
                true => sum.strict.min(cap(weight, sum.strict_best)),
                false => Fixed::ZERO,
            },
        }
    };
    sums.iter().map(share).collect()
}

/// From which evidence on a level holds: less, once it does. Evidence is a sum of what was rounded down: two friends whose
/// word counts half say as much as one.
fn bar(full: Fixed, is_held: bool) -> Fixed {
    match is_held {
        true => full.over(Fixed::ratio(HYSTERESIS, 1)),
        false => full,
    }
}

/// What sums of evidence are short of at most: three steps of 2^-48 for each of as many branches as there may be.
const ROUNDING: Fixed = Fixed::from_bits(1024);

/// From which evidence on an address is primed, slowed down and blocked.
pub(crate) fn bars(parameters: &Parameters, kappa: Fixed) -> [Fixed; 3] {
    let halves = |count: u64| kappa.times(Fixed::ratio(count, 2));
    [
        halves(PRIME_AT),
        halves(THROTTLE_AT),
        kappa.times(parameters.block_at),
    ]
    .map(|bar| bar.minus(ROUNDING))
}

/// What follows from evidence: `paths` and `strict_paths` are asked only where they decide.
pub(crate) fn judge(
    parameters: &Parameters,
    kappa: Fixed,
    (evidence, strict): (Fixed, Fixed),
    sibling: Option<NodeId>,
    was: Level,
    mut paths: impl FnMut(bool, u32) -> u32,
) -> (Level, Option<Rule>) {
    let [prime, throttle, block] = bars(parameters, kappa);
    if let Some(sibling) = sibling {
        return (Level::Block, Some(Rule::Sibling(sibling)));
    }
    let block = bar(block, was >= Level::Block);
    // Nobody is blocked by nothing, whatever the parameters are.
    if strict > Fixed::ZERO
        && strict >= block
        && paths(true, parameters.block_paths) >= parameters.block_paths
    {
        return (Level::Block, Some(Rule::Paths));
    }
    let throttle = bar(throttle, was >= Level::Throttle);
    if evidence > Fixed::ZERO
        && evidence >= throttle
        && paths(false, THROTTLE_PATHS) >= THROTTLE_PATHS
    {
        return (Level::Throttle, Some(Rule::TwoPaths));
    }
    if evidence > Fixed::ZERO && evidence >= bar(prime, was >= Level::Prime) {
        return (Level::Prime, Some(Rule::Evidence));
    }
    (Level::Clear, None)
}

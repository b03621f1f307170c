//! Every number of the model, with its unit and the reason for it.

use std::time::Duration;

use crate::fixed::Fixed;

/// Steps of a walk that leaves a friend: what is further than five vouches from here has no say. Longer walks carry less
/// than a tenth of the weight and open the door to whoever collects vouches.
pub const HOPS: u32 = 4;
/// Millionths of a walk that survive a step. 0.8: somebody's friend counts a little less than they do; much less, and the
/// friends of friends of a small mesh would not be heard at all.
pub const ALPHA: u32 = 800_000;
/// Ten-thousandths: no vouch carries more than `10,000 / W0` of its issuer's trust. 4: who was fooled once hands on a quarter
/// at most; with 3 two fooled friends do too much, with 10 small meshes hear too little.
pub const W0: u32 = 40_000;
/// One branch's evidence is capped at `kappa`: the weight of all branches over this. It grows with one's own branches, so that
/// in a large neighbourhood more of them must agree. In prototypes of 2,000 and 10,000 nodes, eight friends (0.04) block 80 in
/// 100 attackers that 2.5 in 100 nodes reported, and 0.1 in 100 innocents about whom 1 in 100 was fooled.
pub const KAPPA_BRANCHES: u64 = 200;
/// Smallest `kappa`, the one of up to four friends. A newcomer's fresh report (0.52) reaches it through a branch that gives
/// them 0.04, the most that two vouches beyond a friend are worth: 0.8 of a quarter, twice. With less, single nodes still
/// further away would fill a branch; with more, who has three or four friends would block next to nothing: with this, four
/// block 45 in 100 attackers that 2.5 in 100 nodes reported, three block 3 (wrongly: 0.2 and 0.1 in 100).
pub const KAPPA_MIN: Fixed = Fixed::from_bits(5_629_499_534_213);
/// Largest, the one of 16 branches and more: beyond, whoever has a hundred friends would need more
/// reports than an attacker causes.
pub const KAPPA_MAX: Fixed = Fixed::from_bits(22_517_998_136_852);
/// From here on local detectors look closer: half of what one branch can say, so one friend's word is enough for it.
/// In halves of `kappa`.
pub const PRIME_AT: u64 = 1;
/// From here on new connections are slowed down, in halves of `kappa`: what one branch can say at most.
pub const THROTTLE_AT: u64 = 2;
/// From here on an address is blocked, in hundredths of `kappa`. 250: three branches at least, and more than their word
/// alone when one of them is doubted. With 1 in 100 of all others fooled, two fooled friends of eight then block in 12 in 100
/// cases and one stolen key in 1; with 200, and branches that are not exclusive, it was 100 and 41.
pub const BLOCK_AT: u32 = 250;
/// Vertex-disjoint paths that a throttle takes. 2: it costs an innocent little, but one corrupt friend must not do it alone.
pub const THROTTLE_PATHS: u32 = 2;
/// Vertex-disjoint paths that a block takes: with fewer than three fooled nodes on the way nobody is blocked wrongly.
pub const BLOCK_PATHS: u32 = 3;
/// What is over falls below half of where it began: so a level lasts a half-life after the last report at least, and cannot
/// flap while evidence grows old.
pub const HYSTERESIS: u64 = 2;
/// Quality from which on a reporter is the end of a path: half of a newcomer's, and regained four weeks after one
/// refutation. 0.5 would bar a peer for 84 days after one refutation.
pub const GATE_QUALITY: Fixed = Fixed::from_bits(1 << 46);
/// A report loses half its weight in this time: an attacker's address changes hands within days.
pub const HALF_LIFE: Duration = Duration::from_secs(6 * 60 * 60);
/// So far apart clocks are believed to be: a report is as old as its receipt, or as what it says of itself less this.
pub const CLOCK_SLACK: Duration = Duration::from_secs(2 * 60);

/// First-hand experience loses half its weight in so many days: a machine that was taken over stands for its owner's good
/// name for two weeks, not for a year; less, and who reports rarely would always be a newcomer.
pub const EXPERIENCE_HALF_LIFE_DAYS: u32 = 14;
/// Experience older than this many days is forgotten: six half-lives.
pub const EXPERIENCE_DAYS: u32 = 84;
/// A newcomer starts as if 2 of 3 had been right: 0.67, quality 0.52. What a young mesh runs on.
pub const PRIOR_GOOD: u64 = 2;
/// See [`PRIOR_GOOD`].
pub const PRIOR_ALL: u64 = 3;
/// A refutation weighs five confirmations: being right is the normal case.
pub const REFUTED: u64 = 5;
/// Below this share of right reports, in tenths, a peer's word is worth nothing.
pub const QUALITY_FROM: u64 = 3;
/// A confirmation counts when our own detector fires within this time after we heard the report.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);
/// Confirmations of one peer from one /16 (or /32) in a day: whoever rents addresses rents them side by side, and a farm of
/// them earns little.
pub const CONFIRMS_PER_NETWORK: usize = 5;
/// Refutations of one peer in a day: one operator's bad day, or an attacker with a good history here, mutes nobody for months.
pub const REFUTES_A_DAY: u32 = 3;
/// Vertex-disjoint paths to those who take back what they said about an address, for it to count as refuted: as many as a
/// block takes, or whoever was fooled once could refute every honest reporter of an attacker.
pub const REFUTING_BRANCHES: u32 = 3;

/// Credits of a stranger that earns a place among the strangers that are heard: five attackers foretold, which costs whoever
/// farms them five addresses; the gain is one branch at most, shared by all strangers.
pub const STRANGER_CREDITS: usize = 5;
/// From how many networks these came: three providers, not one rented block.
pub const STRANGER_NETWORKS: usize = 3;
/// Over how many days: a name made today says nothing today.
pub const STRANGER_DAYS: u32 = 7;
/// And what share of their reports was right, in tenths: one refutation takes 22 credits to make good.
pub const STRANGER_RIGHT: u64 = 8;

/// One address in so many is not acted upon for what others say: what happens there measures what the mesh is worth.
pub const HOLDOUT: u32 = 20;

/// A primed bucket still takes this many events: somebody who mistypes once is nobody's attacker.
pub const PRIME_EVENTS_MIN: u32 = 2;
/// New connections a minute of an address that is slowed down: enough for a detector to see what it does.
pub const THROTTLE_PER_MINUTE: u32 = 6;

/// Live vouches of one issuer that are believed, those with the highest numbers.
pub const VOUCHES_PER_ISSUER: usize = lymph_protocol::limits::VOUCHES_PER_ISSUER;
/// Records of one issuer that are kept: as many again that were revoked.
pub const RECORDS_PER_ISSUER: usize = 2 * VOUCHES_PER_ISSUER;
/// Nodes in the graph: what a large public mesh has, in 80 MB.
pub const NODES_MAX: usize = 100_000;
/// Vouches in the graph: ten a node.
pub const VOUCHES_MAX: usize = 1_000_000;
/// First-hand records, of all who ever reported what was then seen here. A stranger's takes a kilobyte, 16 MB in all; that of
/// somebody who is heard up to 16 KB, if they are right several times a day and wrong three times a day for months.
pub const RECORDS_MAX: usize = 16_384;
/// Credits kept of one peer: a credit a day for the time that is remembered, and as many again.
pub const CREDITS_MAX: usize = 192;
/// The same of a stranger: more than it takes to be heard, and the worth of more cannot be told apart (quality 0.96).
pub const STRANGER_CREDITS_MAX: usize = 32;
/// Strangers that are credited for one attacker, those who spoke first: a crowd that reports everything fills no memory.
pub const STRANGERS_CREDITED: usize = 8;
/// Reports that are alive, as many as a node keeps objects.
pub const REPORTS_MAX: usize = 150_000;
/// Voices about one address. More say no more: branches are capped, and who weighs more takes the place of who weighs less.
pub const VOICES_MAX: usize = 512;

/// What of it an operator, or a question "what if", may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// See [`ALPHA`]: millionths, at most 1,000,000.
    pub alpha: u32,
    /// See [`W0`]: ten-thousandths, over 0.
    pub w0: u32,
    /// See [`HOPS`].
    pub hops: u32,
    /// In place of the formula.
    pub kappa: Option<Fixed>,
    /// See [`BLOCK_PATHS`].
    pub block_paths: u32,
    /// See [`BLOCK_AT`], as a number: 2.5.
    pub block_at: Fixed,
    /// See [`GATE_QUALITY`].
    pub gate_quality: Fixed,
    /// See [`HALF_LIFE`].
    pub half_life: Duration,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            alpha: ALPHA,
            w0: W0,
            hops: HOPS,
            kappa: None,
            block_paths: BLOCK_PATHS,
            block_at: Fixed::ratio(u64::from(BLOCK_AT), 100),
            gate_quality: GATE_QUALITY,
            half_life: HALF_LIFE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_bits_are_the_numbers_they_stand_for() {
        assert_eq!(KAPPA_MIN, Fixed::ratio(2, 100));
        assert_eq!(KAPPA_MAX, Fixed::ratio(8, 100));
        assert_eq!(GATE_QUALITY, Fixed::ratio(1, 4));
    }
}

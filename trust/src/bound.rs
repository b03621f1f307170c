//! How much a crowd of false nodes can weigh, whatever it does among itself.
//!
//! For any set `S` of nodes without ego, and the vouches from outside into it:
//!
//! ```text
//! sum over s in S of T_b(s)  <=  w_b / (1 - alpha)  *  sum over (u, s) of V_b(u) * alpha * share(u, s)
//! ```
//!
//! where `V_b(u)` is how often a walk that leaves `b` is expected at `u` before it first enters `S`. No term speaks of the
//! size of `S` or of its inner vouches (after MeritRank, Nasrulin et al. 2022). Each entry brings a walk into `S` once more,
//! and there it lives for `1 / (1 - alpha)` steps on average.

use std::collections::BTreeSet;

use lymph_protocol::NodeId;

use crate::fixed::Fixed;
use crate::state::Trust;
use crate::view::Branch;

/// The most that all of these together can be given by a branch.
///
/// Computed by walks that end where they enter the crowd; a friend who belongs to the crowd themselves is worth
/// `w_b / (1 - alpha)`, all that a walk ever is.
pub fn bound(trust: &mut Trust, branch: NodeId, crowd: &BTreeSet<NodeId>) -> Fixed {
    let weight = trust.branches().get(&Branch::Of(branch)).copied();
    let weight = weight.unwrap_or_default();
    let alpha = Fixed::ratio(trust.parameters().alpha.min(1_000_000).into(), 1_000_000);
    // Where no walk dies, the hops end it.
    let longest = Fixed::ratio(u64::from(trust.parameters().hops) + 1, 1);
    let life = match Fixed::ONE.minus(alpha) {
        Fixed::ZERO => longest,
        dies => Fixed::ONE.over(dies).min(longest),
    };
    let entries = match crowd.contains(&branch) {
        true => Fixed::ONE,
        false => trust.entries(branch, crowd),
    };
    weight.times(life).times(entries)
}

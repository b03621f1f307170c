//! Whom a node believes, and how much. Pure: time comes in, chance does not, and nothing is global.
//!
//! There is no score that all agree on: no such score withstands a crowd of false nodes (Cheng and Friedman 2005), and a list
//! of nodes that all must believe would be a centre. What a node believes follows from three things: whom its owner vouches
//! for, what it saw itself, and bounded walks over others' vouches.
//!
//! # The model on one page
//!
//! **Vouches** ([`graph`]). A vouch says how much of its issuer's trust somebody is given: `w(u,v)`, over 0 and at most 1. The
//! one with the highest number holds, a revocation is one of weight 0. The share of `u`'s trust that goes to `v` is
//!
//! ```text
//! s(u,v) = w(u,v) / max(4, sum of w(u,.))
//! ```
//!
//! so that nobody who was fooled once hands on more than a quarter, and what is not spent vanishes. Ego and whom it muted are
//! taken out before shares are made.
//!
//! **Branches** ([`Branch`]). Each friend and each sibling of ego's is one, all whom it merely curates are one together, and
//! so are all strangers that earned it. From a friend `b` a walk takes at most 4 steps, survives each with 0.8, follows the
//! shares and never enters another vouchee of ego:
//!
//! ```text
//! T_b(j) = w_b * P(the walk ever comes by j)
//! ```
//!
//! First passage makes what `j` says itself worthless to `j`: rings and mutual vouches gain nothing. Exclusive branches keep a
//! corrupt friend from speaking through the others. For any crowd `S`, with `V_b(u)` how often a walk is expected at `u` before
//! it enters the crowd ([`mod@bound`], after MeritRank, Nasrulin et al. 2022, and Bahmani et al. 2010 on personalised PageRank):
//!
//! ```text
//! sum over S of T_b  <=  w_b / (1 - 0.8) * sum over vouches (u,s) into S of V_b(u) * 0.8 * s(u,s)
//! ```
//!
//! which does not speak of the size of `S`: a million false nodes weigh at most five times what a single one does.
//!
//! **Experience** ([`record`]). With `a` reports of a peer that were seen to be right and `b` that were wrong, each halved every
//! 14 days (beta reputation, Jøsang and Ismail 2002; newcomers pay dues, Friedman and Resnick 2001):
//!
//! ```text
//! r = (2 + a) / (3 + a + 5 b)        q = max(0, (r - 0.3) / 0.7)
//! ```
//!
//! Only what was seen here counts, or a crowd would confirm itself; credits are capped by network and day, or cheap addresses
//! would buy a name; a lie weighs five truths, and a report counts with the lowest quality that its author had since, so that
//! no patience makes an old lie heavier.
//!
//! **Evidence** ([`verdict`]) about an address, with `c` 0 for what anybody can have sent, a half for a rule that is not known
//! here and 1 for the rest, and `q*` the best quality of those who speak through the branch:
//!
//! ```text
//! e_j = max over j's reports of  q * c * 2^(-age / 6 h)
//! E_b = min(kappa * w_b * min(1, q* / (11/21)),  sum over j of T_b(j) * e_j)
//! E   = sum over b of E_b            kappa = clamp(sum of w_b / 200, 0.02, 0.08)
//! ```
//!
//! The cap is what protects the innocent: slander enters through few bottlenecks near a node, what is true is seen all round.
//!
//! **Levels** ([`Level`]).
//!
//! | level | when | what it costs an attacker |
//! |---|---|---|
//! | prime | `E >= kappa / 2` | one friend's word; nobody is shut out |
//! | throttle | `E >= kappa` and 2 disjoint ways | two nodes fooled |
//! | block | `E' >= 2.5 kappa` and 3 disjoint ways | three, and no crowd helps |
//! | block | a sibling's own report | one of the operator's machines |
//!
//! `E'` and the ways to a block leave out strangers, who can be farmed, what others say through a sibling, and families that a
//! link or a page makes innocent visitors act out. A level that holds falls below half of what it took.
//!
//! **Ways.** They share no node but ego and lead to reporters whose quality is at least a quarter. If fewer than three nodes,
//! fooled and corrupt ones together, separate ego from all who lie about an address, no number of false nodes blocks it (Menger
//! 1927; flow limits against crowds after Advogato, Levien, and SybilLimit, Yu et al. 2008). It speaks of everybody within five
//! vouches, not of friends alone; and of liars, not of sensors that were deceived: those are what `c` and families are for.
//!
//! # What stops what
//!
//! | attack | what stops it |
//! |---|---|
//! | a crowd of false nodes, rings of vouches | shares, first passage, the bound |
//! | a friend's stolen key | exclusive branches, the cap, three ways, `bar` |
//! | honest for months, then a lie | five for one, the lowest quality since |
//! | own addresses that attack, own nodes that foretold it | caps on credits; strangers are no way to a block |
//! | lie, have it blocked, take it back | who contributed is remembered, and refuted |
//! | taking back the truth, to have its reporters refuted | as many disjoint ways as a block takes |
//! | one's own address reported under a thousand names, so that nobody else is heard | who weighs more takes the place of who weighs less |
//! | the graph or the records filled with rubbish | nobody takes the place of somebody nearer; who was wrong is forgotten last |
//! | an old vouch replayed | numbers, and revocations that are kept as long as what they revoke |
//!
//! # The path
//!
//! [`graph`] (what everybody says) → `view` (as one node sees it) → `walk` and `paths` (weights and ways) → [`record`] (what a
//! word is worth) → `ledger` (who says what) → [`verdict`] (what follows) → [`Trust`], which holds all of it and works out only
//! what changed. [`policy`] has every number with its reason. The numbers are sums and products of [`fixed`] point, so that
//! they are the same in every order and on every machine. The next step is the node's engine, which alone bans.
#![warn(missing_docs, clippy::wildcard_enum_match_arm)]

pub mod bound;
mod clock;
pub mod fixed;
pub mod graph;
mod ledger;
mod paths;
pub mod policy;
pub mod record;
mod state;
pub mod verdict;
mod view;
mod walk;

pub use graph::{Graph, Statement};
pub use ledger::Voice;
pub use lymph_protocol::NodeId;
pub use policy::Parameters;
pub use record::Record;
pub use state::{Change, Standing, Trust, Vouchee};
pub use verdict::{Assessment, Level, Rule};
pub use view::{Branch, Kin};

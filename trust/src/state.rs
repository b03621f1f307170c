//! All that one node believes, and what follows when it hears something new.
//!
//! Three things decide: whom its owner vouches for, what it saw itself, and bounded walks over others' vouches. Everything
//! here is a function of what was put in, not of the order, but for what hysteresis remembers. Weights are worked out when
//! somebody reports and kept until the graph changes where it matters.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::family::Family;
use lymph_protocol::{NodeId, Subject, Timestamp};

use crate::clock::{Step, Watch};
use crate::fixed::{Fixed, decay};
use crate::graph::{Changed, Graph, Index, Statement};
use crate::ledger::{About, Ledger, Voice, Ways, Weights};
use crate::policy::{
    CONFIRM_WITHIN, NODES_MAX, Parameters, RECORDS_MAX, REFUTING_BRANCHES, STRANGER_CREDITS_MAX,
    STRANGERS_CREDITED, THROTTLE_PATHS,
};
use crate::record::{Counts, Record, day_of};
use crate::verdict::{self, Assessment, Level, Reporter, Rule};
use crate::view::{Branch, FAR, Kin, Root, View};
use crate::{paths, walk};

/// How often an address about which something is done is looked at again while nothing new is heard.
const RECHECK: Duration = Duration::from_secs(5 * 60);
/// Addresses that are looked at again in one go after whom we believe has changed.
const RECHECKED_AT_ONCE: usize = 500;
/// And how long after the last go.
const BETWEEN_PASSES: Duration = Duration::from_millis(10);
/// What is due at once is due since then.
const AT_ONCE: Timestamp = Timestamp::from_millis(1);
/// The same, where most are of no concern.
const PASSED_AT_ONCE: usize = 5_000;
/// Nodes that are weighed anew one by one; if there are more, all are.
const MOVED_MAX: usize = 1_024;
/// Dropped records that are remembered until somebody asks: all that there can be, twice.
const FORGOTTEN_MAX: usize = 2 * RECORDS_MAX;
/// Issuers that are weighed, of those who are furthest, to find the ones with the least say.
const WEIGHED_AT_ONCE: usize = 4_096;
/// Contributors that are remembered of one address.
const CONTRIBUTORS_MAX: usize = 256;

/// An address is at another level than before, or is at one and has been spoken of again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which address.
    pub subject: Subject,
    /// Where it was.
    pub from: Level,
    /// Where it is.
    pub to: Level,
    /// Which rule says so.
    pub rule: Option<Rule>,
    /// Until when a block may last at most.
    pub until: Timestamp,
}

/// Whom this node vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vouchee {
    /// What they are to us.
    pub kin: Kin,
    /// Ten-thousandths.
    pub weight: u16,
}

/// Somebody who is not there for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hidden {
    is_muted: bool,
    /// They lie, until then; or their key is dead, for ever.
    barred_until: Timestamp,
}

/// What of the view has to be worked out anew.
#[derive(Clone, Debug)]
enum Stale {
    Nothing,
    /// What lies behind those whose vouches changed.
    Around(BTreeSet<NodeId>),
    All,
}

/// Who may be weighed otherwise when a node's vouches change.
enum Beyond {
    Nobody,
    These(BTreeSet<NodeId>),
    Many,
}

/// Whose words are weighed anew.
#[derive(Clone, Debug)]
enum Whose {
    Everybodys,
    These(BTreeSet<NodeId>),
}

/// A walk round all addresses, to look at those of which somebody speaks whose word is weighed anew.
#[derive(Clone, Debug)]
struct Round {
    whose: Whose,
    left: usize,
    at: Option<Subject>,
    /// The same for those about which something is done: they are looked at first.
    active_left: usize,
    active_at: Option<Subject>,
}

impl Default for Round {
    fn default() -> Self {
        Round {
            whose: Whose::These(BTreeSet::new()),
            left: 0,
            at: None,
            active_left: 0,
            active_at: None,
        }
    }
}

impl Round {
    /// How many addresses it passes in one go.
    const fn at_once(&self) -> usize {
        match self.whose {
            Whose::Everybodys => RECHECKED_AT_ONCE,
            Whose::These(_) => PASSED_AT_ONCE,
        }
    }
}

impl Whose {
    fn add(&mut self, other: Whose) {
        match (&mut *self, other) {
            (Whose::These(these), Whose::These(others))
                if these.len() + others.len() <= MOVED_MAX =>
            {
                these.extend(others);
            }
            _ => *self = Whose::Everybodys,
        }
    }

    fn concerns(&self, about: &About) -> bool {
        match self {
            Whose::Everybodys => true,
            Whose::These(these) => about.voices.iter().any(|voice| these.contains(&voice.by)),
        }
    }
}

/// How well a node is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Branches of its own that have a say in a block: friends, and members together.
    pub branches: usize,
    /// Siblings, whose own word blocks alone.
    pub siblings: usize,
    /// Nodes whose word counts here.
    pub heard: usize,
    /// How many must be fooled, or corrupt, before somebody innocent can be blocked; `None` if nobody but siblings can make
    /// this node block.
    pub must_be_fooled: Option<u32>,
}

/// See the head of the file.
#[derive(Clone, Debug)]
pub struct Trust {
    me: NodeId,
    parameters: Parameters,
    graph: Graph,
    vouchees: BTreeMap<NodeId, (Vouchee, Option<Index>)>,
    hidden: BTreeMap<NodeId, Hidden>,
    /// When who is barred, and not muted, is there again.
    shown_at: BTreeSet<(Timestamp, NodeId)>,
    my_place: Option<Index>,
    view: View,
    stale: Stale,
    branches: BTreeMap<Branch, Fixed>,
    /// Who is a branch but has no say in a block, other than by their own word.
    siblings: BTreeSet<NodeId>,
    kappa: Fixed,
    weights: BTreeMap<NodeId, Weights>,
    /// A glance at them shares them.
    records: Arc<BTreeMap<NodeId, Arc<Record>>>,
    /// Whose record was dropped, since somebody asked.
    forgotten: BTreeSet<NodeId>,
    qualities: BTreeMap<NodeId, (u32, [Fixed; 9])>,
    assumed: BTreeMap<NodeId, Counts>,
    earned: BTreeSet<NodeId>,
    strangers: BTreeSet<NodeId>,
    ledger: Ledger,
    due: BTreeSet<(Timestamp, Subject)>,
    due_at: BTreeMap<Subject, Timestamp>,
    round: Round,
    /// When the round goes on.
    goes_on_at: Timestamp,
    /// Counts up with every change of whom we believe.
    version: u64,
    day: u32,
    watch: Watch,
}

impl Trust {
    /// A node that believes nobody yet.
    #[must_use]
    pub fn new(me: NodeId, parameters: Parameters) -> Self {
        Trust::with_graph(me, parameters, Graph::new(&parameters))
    }

    /// The same, with others' vouches to begin with: many nodes of one process share them.
    #[must_use]
    pub fn with_graph(me: NodeId, parameters: Parameters, mut graph: Graph) -> Self {
        let my_place = graph.pin(me);
        Trust {
            me,
            parameters,
            graph,
            vouchees: BTreeMap::new(),
            hidden: BTreeMap::new(),
            shown_at: BTreeSet::new(),
            my_place,
            view: View::default(),
            stale: Stale::All,
            branches: BTreeMap::new(),
            siblings: BTreeSet::new(),
            kappa: Fixed::ZERO,
            weights: BTreeMap::new(),
            records: Arc::default(),
            forgotten: BTreeSet::new(),
            qualities: BTreeMap::new(),
            assumed: BTreeMap::new(),
            earned: BTreeSet::new(),
            strangers: BTreeSet::new(),
            ledger: Ledger::new(),
            due: BTreeSet::new(),
            due_at: BTreeMap::new(),
            round: Round::default(),
            goes_on_at: Timestamp::default(),
            version: 0,
            day: 0,
            watch: Watch::default(),
        }
    }

    /// Keep no more reports than that.
    pub fn set_room(&mut self, reports: usize) {
        self.ledger.set_room(reports);
    }

    /// The numbers it goes by.
    #[must_use]
    pub const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Everybody's vouches.
    #[must_use]
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// How many reports are alive.
    #[must_use]
    pub fn reports(&self) -> usize {
        self.ledger.len()
    }

    /// A copy to look at, without reports but those about one address. It costs little: what is large is shared.
    #[must_use]
    pub fn glance(&self, subject: Option<Subject>) -> Trust {
        Trust {
            parameters: self.parameters,
            graph: self.graph.clone(),
            vouchees: self.vouchees.clone(),
            hidden: self.hidden.clone(),
            shown_at: BTreeSet::new(),
            view: self.view.clone(),
            branches: self.branches.clone(),
            siblings: self.siblings.clone(),
            weights: BTreeMap::new(),
            records: Arc::clone(&self.records),
            forgotten: BTreeSet::new(),
            qualities: BTreeMap::new(),
            assumed: self.assumed.clone(),
            earned: self.earned.clone(),
            strangers: self.strangers.clone(),
            ledger: subject.map_or_else(Ledger::new, |subject| self.ledger.only(subject)),
            due: BTreeSet::new(),
            due_at: BTreeMap::new(),
            stale: self.stale.clone(),
            round: Round::default(),
            ..*self
        }
    }

    // Whom the owner believes.

    /// Vouch for a node. At most [`crate::policy::VOUCHES_PER_ISSUER`]; whether there was room.
    pub fn vouch_for(&mut self, node: NodeId, vouchee: Vouchee) -> bool {
        if node == self.me || vouchee.weight == 0 || vouchee.weight > 10_000 {
            return false;
        }
        let old = self.vouchees.get(&node).copied();
        if old.is_none() && self.vouchees.len() >= crate::policy::VOUCHES_PER_ISSUER {
            return false;
        }
        let place = match old {
            Some((_, place)) => place,
            None => self.pin(node),
        };
        if old.map(|(old, _)| old) != Some(vouchee) {
            self.vouchees.insert(node, (vouchee, place));
            self.outdate();
        }
        true
    }

    /// Vouch for a node no longer.
    pub fn revoke(&mut self, node: NodeId) {
        if let Some((_, place)) = self.vouchees.remove(&node) {
            if let Some(place) = place {
                self.graph.unpin(place);
            }
            self.ledger.demote(node);
            self.outdate();
        }
    }

    /// What a node is to us, if we vouch for it.
    #[must_use]
    pub fn vouchee(&self, node: NodeId) -> Option<Vouchee> {
        self.vouchees.get(&node).map(|(vouchee, _)| *vouchee)
    }

    /// Whom this node vouches for.
    pub fn vouchees(&self) -> impl Iterator<Item = (NodeId, Vouchee)> + '_ {
        self.vouchees
            .iter()
            .map(|(node, (vouchee, _))| (*node, *vouchee))
    }

    /// Hear a node no longer, or again.
    pub fn mute(&mut self, node: NodeId, is_muted: bool) {
        self.hide(node, |hidden| hidden.is_muted = is_muted);
    }

    /// A node's key is dead, or its owner said two things under one number: it is not heard until then.
    pub fn bar(&mut self, node: NodeId, until: Timestamp) {
        self.hide(node, |hidden| {
            hidden.barred_until = hidden.barred_until.max(until)
        });
    }

    fn hide(&mut self, node: NodeId, change: impl FnOnce(&mut Hidden)) {
        if node == self.me {
            return;
        }
        let before = self.hidden.get(&node).copied();
        let mut hidden = before.unwrap_or(Hidden {
            is_muted: false,
            barred_until: Timestamp::default(),
        });
        change(&mut hidden);
        if before != Some(hidden) {
            self.hidden.insert(node, hidden);
            if let Some(before) = before {
                self.shown_at.remove(&(before.barred_until, node));
            }
            if !hidden.is_muted {
                self.shown_at.insert((hidden.barred_until, node));
            }
            self.ledger.demote(node);
            self.outdate_if_heard(node);
        }
        self.show_again(node, Timestamp::default());
    }

    /// Forget that somebody was hidden, if nothing hides them at a time.
    fn show_again(&mut self, node: NodeId, now: Timestamp) {
        let hidden = self.hidden.get(&node).copied();
        if let Some(hidden) = hidden.filter(|it| !it.is_muted && it.barred_until <= now) {
            self.hidden.remove(&node);
            self.shown_at.remove(&(hidden.barred_until, node));
            self.outdate_if_heard(node);
        }
    }

    /// Whether somebody is there changes nothing, unless they are heard when they are: anybody can make as many keys as they
    /// like and have them barred.
    fn outdate_if_heard(&mut self, node: NodeId) {
        let is_heard = |place: Index| {
            let graph = &self.graph;
            let mut into = graph
                .into(place)
                .iter()
                .map(|edge| self.graph.id(edge.node));
            into.any(|issuer| self.steps_to(issuer) < self.view.hops())
        };
        if self.vouchees.contains_key(&node)
            || self.earned.contains(&node)
            || self.graph.index(node).is_some_and(is_heard)
        {
            self.outdate();
        }
    }

    /// Steps from the nearest root, at least, once the graph is looked at anew.
    fn steps_to(&self, node: NodeId) -> u8 {
        let place = self.graph.index(node);
        let steps = place.map_or(FAR, |place| self.view.distance(place));
        match &self.stale {
            Stale::Nothing => steps,
            Stale::Around(these) if !these.contains(&node) => steps,
            Stale::Around(_) => steps.min(1),
            Stale::All => 0,
        }
    }

    fn pin(&mut self, node: NodeId) -> Option<Index> {
        let place = self.graph.pin(node);
        if place.is_none() {
            self.make_room(0, Timestamp::default());
            return self.graph.pin(node);
        }
        place
    }

    // What others say of others.

    /// Somebody vouches for somebody, or no longer. Whether there was room for it.
    pub fn hear_vouch(&mut self, statement: &Statement, now: Timestamp) -> bool {
        // What this node says itself, it was told by its owner.
        if statement.issuer == self.me {
            return true;
        }
        let beyond = self.beyond(statement.issuer);
        let changed = self.graph.say(statement, now);
        if changed.is_full {
            let distance = self.distance(statement.issuer);
            if self.make_room(distance, now) == 0 {
                return false;
            }
            let changed = self.graph.say(statement, now);
            self.outdate_if_near(&changed);
            return !changed.is_full;
        }
        if !changed.issuers.is_empty() {
            self.outdate_beyond(statement.issuer, beyond);
        }
        true
    }

    /// Who may be weighed otherwise when a node's vouches change: whom it reaches before and after.
    fn beyond(&self, issuer: NodeId) -> Beyond {
        let steps = self.steps_to(issuer);
        let place = self.graph.index(issuer);
        let near = place.filter(|_| steps < self.view.hops());
        match (&self.stale, near) {
            (Stale::All, _) => Beyond::Many,
            (Stale::Nothing | Stale::Around(_), None) => Beyond::Nobody,
            (Stale::Nothing | Stale::Around(_), Some(place)) => {
                let these = self.view.beyond(&self.graph, place, steps, MOVED_MAX);
                these.map_or(Beyond::Many, |these| {
                    let ids = these.into_iter().map(|place| self.graph.id(place));
                    Beyond::These(ids.collect())
                })
            }
        }
    }

    fn outdate_beyond(&mut self, issuer: NodeId, before: Beyond) {
        let (mut these, others) = match (before, self.beyond(issuer)) {
            (Beyond::Nobody, Beyond::Nobody) => return,
            (Beyond::These(these), Beyond::These(others)) => (these, others),
            // Who was not there is nobody's; and who is there no longer.
            (Beyond::Nobody, Beyond::These(these)) | (Beyond::These(these), Beyond::Nobody) => {
                (these, BTreeSet::new())
            }
            (Beyond::Many, _) | (_, Beyond::Many) => return self.outdate(),
        };
        these.extend(others);
        match &mut self.stale {
            Stale::Nothing => self.stale = Stale::Around(these),
            Stale::Around(all) => {
                all.extend(these);
                if all.len() > 2 * MOVED_MAX {
                    self.outdate();
                }
            }
            Stale::All => {}
        }
    }

    /// Forget the statements of those who have the least say here, a sixteenth of all, but of nobody who is within so many
    /// steps: how many issuers that were.
    fn make_room(&mut self, within: u8, now: Timestamp) -> usize {
        self.refresh();
        let issuers = self.graph.nodes().filter(|node| *node != self.me);
        let issuers = issuers.filter(|node| self.graph.has_said(*node));
        let mut all: Vec<_> = issuers
            .map(|node| (Reverse(self.steps_to(node)), node))
            .collect();
        let count = (all.len() / 16).max(1).min(all.len());
        // Nobody takes the place of somebody nearer; vouchees of ours and what they say stay in any case.
        all.retain(|(distance, _)| distance.0 > within);
        all.sort_unstable();
        // Who is heard less goes first, and the further of two. Who is far is not heard at all, and to weigh all takes time.
        all.truncate(WEIGHED_AT_ONCE.max(count));
        let mut all: Vec<_> = all
            .into_iter()
            .map(|(distance, node)| {
                let weight: Fixed = match distance.0 {
                    FAR => Fixed::ZERO,
                    _ => self.weights(node).iter().map(|(_, weight)| *weight).sum(),
                };
                (weight, distance, node)
            })
            .collect();
        all.sort_unstable();
        all.truncate(count);
        for (_, _, node) in &all {
            let changed = self.graph.forget(*node, now);
            self.outdate_if_near(&changed);
        }
        all.len()
    }

    fn distance(&mut self, node: NodeId) -> u8 {
        self.refresh();
        let place = self.graph.index(node);
        place.map_or(FAR, |place| self.view.distance(place))
    }

    fn outdate_if_near(&mut self, changed: &Changed) {
        let is_near = |issuer: &Index| {
            self.view.distance(*issuer) < self.view.hops()
                || self.steps_to(self.graph.id(*issuer)) < self.view.hops()
        };
        if changed.issuers.iter().any(is_near) {
            self.outdate();
        }
    }

    fn outdate(&mut self) {
        self.stale = Stale::All;
    }

    /// Look at the graph anew, if something changed that matters here.
    fn refresh(&mut self) {
        let stale = std::mem::replace(&mut self.stale, Stale::Nothing);
        if matches!(stale, Stale::Nothing) {
            return;
        }
        // Who found no place in a full graph finds one later.
        if self.my_place.is_none() {
            self.my_place = self.graph.pin(self.me);
        }
        for (node, (_, place)) in &mut self.vouchees {
            if place.is_none() {
                *place = self.graph.pin(*node);
            }
        }
        let hidden = self.hidden.keys();
        let hidden = hidden.filter_map(|node| self.graph.index(*node));
        let roots = self.vouchees.iter().filter_map(|(id, (vouchee, place))| {
            Some(Root {
                index: (*place)?,
                id: *id,
                weight: vouchee.weight,
                kin: vouchee.kin,
            })
        });
        self.view = View::new(
            &self.graph,
            hidden.chain(self.my_place),
            roots,
            self.parameters.hops,
        );
        self.version += 1;
        let strangers = std::mem::take(&mut self.strangers);
        self.count_branches();
        let whose = match stale {
            Stale::Around(these) if self.strangers == strangers => {
                for node in &these {
                    self.weights.remove(node);
                }
                Whose::These(these)
            }
            Stale::Nothing | Stale::Around(_) | Stale::All => {
                self.weights.clear();
                Whose::Everybodys
            }
        };
        self.weigh_anew(whose);
    }

    /// Look at every address again of which these speak.
    fn weigh_anew(&mut self, whose: Whose) {
        match (self.round.left, self.round.active_left) {
            (0, 0) => self.round.whose = whose,
            _ => self.round.whose.add(whose),
        }
        self.round.left = self.ledger.count();
        self.round.active_left = self.due_at.len();
        self.goes_on_at = AT_ONCE;
    }

    fn count_branches(&mut self) {
        let is_stranger = |node: &&NodeId| {
            let place = self.graph.index(**node);
            **node != self.me
                && !self.hidden.contains_key(*node)
                && place.is_none_or(|place| self.view.distance(place) == FAR)
        };
        self.strangers = self.earned.iter().filter(is_stranger).copied().collect();
        self.branches.clear();
        let siblings = self.view.roots().iter();
        let siblings = siblings.filter(|root| root.kin == Kin::Sibling);
        self.siblings = siblings.map(|root| root.id).collect();
        let mut members = 0;
        for root in self.view.roots() {
            match root.kin {
                Kin::Friend | Kin::Sibling => {
                    let weight = Fixed::ratio(root.weight.into(), 10_000);
                    self.branches.insert(Branch::Of(root.id), weight);
                }
                Kin::Member => members += u64::from(root.weight),
            }
        }
        if members > 0 {
            let weight = Fixed::ratio(members.min(10_000), 10_000);
            self.branches.insert(Branch::Members, weight);
        }
        if !self.strangers.is_empty() {
            self.branches.insert(Branch::Strangers, Fixed::ONE);
        }
        self.kappa = verdict::kappa(&self.parameters, &self.branches);
    }

    /// Whether what is said through a branch has a say in a block.
    fn is_blocking(&self, branch: Branch) -> bool {
        match branch {
            Branch::Of(root) => !self.siblings.contains(&root),
            Branch::Members => true,
            Branch::Strangers => false,
        }
    }

    /// What each branch gives a node; looks at the graph anew first.
    pub fn weights(&mut self, node: NodeId) -> Arc<[(Branch, Fixed)]> {
        self.refresh();
        if let Some(weights) = self.weights.get(&node) {
            return Arc::clone(weights);
        }
        let weights: Arc<[_]> = match self.graph.index(node) {
            _ if self.strangers.contains(&node) => {
                let part = Fixed::ratio(1, self.strangers.len() as u64);
                Arc::from([(Branch::Strangers, part)])
            }
            Some(place) => walk::weights(&self.graph, &self.view, place).into(),
            None => Arc::from([]),
        };
        if self.weights.len() >= NODES_MAX {
            self.weights.clear();
        }
        self.weights.insert(node, Arc::clone(&weights));
        weights
    }

    /// How often a walk that leaves a friend is expected to enter a crowd, ended where it does.
    pub(crate) fn entries(&mut self, branch: NodeId, crowd: &BTreeSet<NodeId>) -> Fixed {
        self.refresh();
        let Some(root) = self.graph.index(branch) else {
            return Fixed::ZERO;
        };
        let crowd: BTreeSet<Index> = crowd
            .iter()
            .filter_map(|node| self.graph.index(*node))
            .collect();
        walk::entries(&self.graph, &self.view, root, &crowd)
    }

    /// The ways by which this node hears of others, and how much each is believed.
    pub fn branches(&mut self) -> &BTreeMap<Branch, Fixed> {
        self.refresh();
        &self.branches
    }

    /// Counts up whenever whom this node believes, or how much, may have changed.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Those whom this node hears through its friends, the nearest first and no more than so many, and how much they weigh
    /// in all: ten-thousandths, at least one.
    pub fn reach(&mut self, most: usize) -> Vec<(NodeId, u16)> {
        self.refresh();
        let places = (0..self.graph.bound()).filter_map(|place| Index::try_from(place).ok());
        let mut near: Vec<_> = places
            .map(|place| (self.view.distance(place), place))
            .filter(|(distance, _)| (1..FAR).contains(distance))
            .map(|(distance, place)| (distance, self.graph.id(place)))
            .collect();
        near.sort_unstable();
        near.truncate(most);
        let weigh = |(_, node): (u8, NodeId)| {
            let all: Fixed = self.weights(node).iter().map(|(_, weight)| *weight).sum();
            let parts = all.min(Fixed::ONE).times(Fixed::ratio(10_000, 1)).to_f64();
            (node, (parts as u16).max(1))
        };
        near.into_iter().map(weigh).collect()
    }

    /// What one branch can say at most.
    pub fn kappa(&mut self) -> Fixed {
        self.refresh();
        self.kappa
    }

    /// How well this node is protected.
    pub fn standing(&mut self) -> Standing {
        self.refresh();
        let roots = self.view.roots();
        let siblings = roots.iter().filter(|root| root.kin == Kin::Sibling).count();
        let branches = self.branches.keys();
        let own = branches.filter(|branch| self.is_blocking(**branch)).count();
        let needed = self.parameters.block_paths;
        let places = self.graph.bound();
        let heard = (0..places).filter_map(|place| Index::try_from(place).ok());
        Standing {
            branches: own,
            siblings,
            heard: heard
                .filter(|place| self.view.distance(*place) != FAR)
                .count(),
            must_be_fooled: (own >= needed as usize).then_some(needed),
        }
    }

    // What this node saw itself.

    /// What is known of a node at first hand.
    #[must_use]
    pub fn record(&self, node: NodeId) -> Option<&Record> {
        self.records.get(&node).map(|record| &**record)
    }

    /// All first-hand records.
    pub fn records(&self) -> impl Iterator<Item = (NodeId, &Record)> {
        self.records.iter().map(|(node, record)| (*node, &**record))
    }

    /// What was kept of a node from an earlier run.
    pub fn restore_record(&mut self, node: NodeId, record: Record, now: Timestamp) {
        self.make_place_for_record(node, now);
        self.forgotten.remove(&node);
        Arc::make_mut(&mut self.records).insert(node, Arc::new(record));
        self.learned(node, now);
    }

    /// A node's record, to write to it.
    fn record_mut(&mut self, node: NodeId, now: Timestamp) -> &mut Record {
        self.make_place_for_record(node, now);
        self.forgotten.remove(&node);
        let record = Arc::make_mut(&mut self.records).entry(node).or_default();
        Arc::make_mut(record)
    }

    fn forget_record(&mut self, node: NodeId, now: Timestamp) {
        let is_gone = Arc::make_mut(&mut self.records).remove(&node).is_some();
        if is_gone && self.forgotten.len() < FORGOTTEN_MAX {
            self.forgotten.insert(node);
        }
        self.learned(node, now);
    }

    /// Whose record was dropped, for lack of room or because it is old, since this was asked last: whoever keeps records
    /// elsewhere keeps these no longer.
    pub fn take_forgotten(&mut self) -> Vec<NodeId> {
        std::mem::take(&mut self.forgotten).into_iter().collect()
    }

    /// Go by these counts of a node, whatever was seen: for a question "what if".
    pub fn assume(&mut self, node: NodeId, counts: Counts) {
        self.assumed.insert(node, counts);
        self.weigh_anew(Whose::These(BTreeSet::from([node])));
    }

    /// Hear these among strangers, whatever they earned: for a question "what if".
    pub fn assume_strangers(&mut self, nodes: impl Iterator<Item = NodeId>) {
        self.earned = nodes.collect();
        self.outdate();
    }

    /// Hear all of these about an address at once, also more than are kept of one: for a question "what if".
    pub fn assume_voices(
        &mut self,
        subject: Subject,
        voices: impl Iterator<Item = Voice>,
        now: Timestamp,
    ) {
        self.ledger.lift_voices_max();
        for voice in voices.filter(|voice| voice.by != self.me) {
            self.ledger.hear(subject, voice, Fixed::ZERO, now);
        }
    }

    /// What a node's word is worth today, and the lowest it was since a day.
    pub fn quality(&mut self, node: NodeId, since: Timestamp, now: Timestamp) -> Fixed {
        if let Some(counts) = self.assumed.get(&node) {
            return counts.quality();
        }
        let Some(record) = self.records.get(&node) else {
            return Counts::default().quality();
        };
        let (from, today) = (day_of(since).min(day_of(now)), day_of(now));
        let days = ((today - from) as usize).min(8);
        match self.qualities.get(&node) {
            Some((day, lowest)) if *day == today => lowest[days],
            Some(_) | None => {
                // The lowest quality of the last days, by how many.
                let mut lowest = [Fixed::ZERO; 9];
                let mut least = Fixed::ONE;
                for (back, lowest) in (0..).zip(&mut lowest) {
                    let day: u32 = today.saturating_sub(back);
                    least = least.min(record.counts(day).quality());
                    *lowest = least;
                }
                self.qualities.insert(node, (today, lowest));
                lowest[days]
            }
        }
    }

    /// What is left of a node's confirmations and refutations.
    #[must_use]
    pub fn counts(&self, node: NodeId, now: Timestamp) -> Counts {
        if let Some(counts) = self.assumed.get(&node) {
            return *counts;
        }
        let record = self.records.get(&node);
        record.map_or_else(Counts::default, |record| record.counts(day_of(now)))
    }

    /// Strangers whose word has earned a vouch, or a place among those who are heard.
    #[must_use]
    pub fn earned(&self) -> &BTreeSet<NodeId> {
        &self.earned
    }

    fn learned(&mut self, node: NodeId, now: Timestamp) {
        self.qualities.remove(&node);
        let record = self.records.get(&node);
        let has_earned = record.is_some_and(|record| record.has_earned(day_of(now)));
        let is_new = match has_earned {
            true => self.earned.insert(node),
            false => self.earned.remove(&node),
        };
        if is_new {
            self.outdate();
        }
        self.weigh_anew(Whose::These(BTreeSet::from([node])));
    }

    /// Of whom nothing was heard for longest goes; whom we vouch for stays, and whoever was wrong goes last: to be forgotten
    /// would wash them clean.
    fn make_place_for_record(&mut self, node: NodeId, now: Timestamp) {
        if self.records.len() < RECORDS_MAX || self.records.contains_key(&node) {
            return;
        }
        let last = |record: &Record| {
            let credit = record.credits().next_back().map(|credit| credit.day);
            let refutation = record.refutations().next_back().map(|refuted| refuted.day);
            (refutation.is_some(), credit.max(refutation))
        };
        let mut others: Vec<_> = self
            .records
            .iter()
            .filter(|(node, _)| !self.vouchees.contains_key(node))
            .map(|(node, record)| (last(record), *node))
            .collect();
        others.sort_unstable();
        // Some at once: it takes a look at all of them.
        for (_, node) in others.iter().take(RECORDS_MAX / 32) {
            self.forget_record(*node, now);
        }
    }

    /// Our own detector, whose threshold nothing had lowered, saw what was reported: who is credited for it.
    pub fn confirm(&mut self, subject: Subject, now: Timestamp) -> Vec<NodeId> {
        let Some(about) = self.ledger.about(subject) else {
            return Vec::new();
        };
        // What could be anybody's word, or is taken back, proves nothing when it comes true.
        let is_fresh = |heard_at| heard_at <= now && now.since(heard_at) <= CONFIRM_WITHIN;
        let me = self.me;
        let proves = |voice: &&Voice| {
            is_fresh(voice.heard_at) && !voice.is_retracted && !voice.is_spoofable && voice.by != me
        };
        // When each author was first heard about it.
        let mut first: BTreeMap<NodeId, Timestamp> = BTreeMap::new();
        for voice in about.voices.iter().filter(proves) {
            let at = first.entry(voice.by).or_insert(voice.heard_at);
            *at = (*at).min(voice.heard_at);
        }
        let mut first: Vec<_> = first.into_iter().map(|(node, at)| (at, node)).collect();
        first.sort_unstable();
        let (mut credited, mut heard, mut strangers) = (Vec::new(), Vec::new(), 0);
        for (at, node) in first {
            let weights = self.weights(node);
            let is_heard = weights.iter().any(|(_, weight)| *weight > Fixed::ZERO);
            // A crowd takes nothing from those who are heard, and no more than a little of our memory.
            let earlier = heard.partition_point(|other| *other < at);
            match is_heard {
                true => heard.push(at),
                false if strangers < STRANGERS_CREDITED => strangers += 1,
                false => continue,
            }
            let is_by_vouches = |(branch, _): &(Branch, Fixed)| *branch != Branch::Strangers;
            let is_known = weights.iter().any(is_by_vouches);
            let record = self.record_mut(node, now);
            if record.confirm(subject, earlier, now) {
                if !is_known {
                    record.keep_credits(STRANGER_CREDITS_MAX);
                }
                credited.push(node);
                self.learned(node, now);
            }
        }
        credited.sort_unstable();
        credited
    }

    /// The operator says that an address is innocent, or many take back what they said: who is held to have been wrong, of
    /// those whose word counted. One's own machines are not: what misled them, misled their operator.
    pub fn refute(&mut self, subject: Subject, now: Timestamp) -> Vec<NodeId> {
        let Some(about) = self.ledger.about(subject) else {
            return Vec::new();
        };
        let mut refuted = Vec::new();
        for node in about.contributors.clone() {
            let vouchee = self.vouchees.get(&node);
            if vouchee.is_some_and(|(vouchee, _)| vouchee.kin == Kin::Sibling) {
                continue;
            }
            if self.record_mut(node, now).refute(subject, now) {
                refuted.push(node);
                self.learned(node, now);
            }
        }
        // Whatever else rests on their word is looked at again.
        self.weigh_anew(Whose::These(refuted.iter().copied().collect()));
        refuted
    }

    // Reports, and what follows.

    /// Somebody reports an address. What follows, if anything changes, or the address is at a level still and their word
    /// counts for something.
    pub fn hear(&mut self, subject: Subject, voice: Voice, now: Timestamp) -> Option<Change> {
        if voice.by == self.me {
            return None;
        }
        let weights = self.weights(voice.by);
        // Somebody's newer word takes the place of an older one, and may weigh less.
        let voices = self.ledger.about(subject).map(|about| &about.voices);
        let is_again = voices.is_some_and(|voices| {
            let of = |old: &Voice| (old.by, old.family);
            voices.binary_search_by_key(&of(&voice), of).is_ok()
        });
        let weight = weights.iter().map(|(_, weight)| *weight).sum();
        let (is_new, dropped) = self.ledger.hear(subject, voice, weight, now);
        if let Some(dropped) = dropped.filter(|dropped| *dropped != subject) {
            self.ledger.leave(dropped);
        }
        if !is_new {
            return None;
        }
        if !is_again && weights.is_empty() && self.is_weighed() {
            return None;
        }
        let quality = self.quality(voice.by, voice.heard_at, now);
        let evidence = verdict::evidence(&voice, quality, &self.parameters, now);
        let is_news = !weights.is_empty() && evidence > Fixed::ZERO;
        match !is_again && self.is_too_little(subject, &voice, &weights, now) {
            true => self.ledger.about(subject).and_then(|about| {
                let level = about.level;
                (is_news && level > Level::Clear).then_some(Change {
                    subject,
                    from: level,
                    to: level,
                    rule: about.rule,
                    until: about.until,
                })
            }),
            false => self.look(subject, now, is_news),
        }
    }

    /// Whether each address was looked at since whom we believe changed last.
    const fn is_weighed(&self) -> bool {
        matches!(self.stale, Stale::Nothing) && self.round.left == 0 && self.round.active_left == 0
    }

    /// Whether one voice more cannot lift an address to the next level, however the others are looked at: evidence falls by
    /// half in a half-life at least, and no cap lifts it.
    fn is_too_little(
        &mut self,
        subject: Subject,
        voice: &Voice,
        weights: &[(Branch, Fixed)],
        now: Timestamp,
    ) -> bool {
        let kin = self.vouchees.get(&voice.by).map(|(vouchee, _)| vouchee.kin);
        if !self.is_weighed() || kin == Some(Kin::Sibling) {
            return false;
        }
        let quality = self.quality(voice.by, voice.heard_at, now);
        let evidence = verdict::evidence(voice, quality, &self.parameters, now);
        let weight: Fixed = weights.iter().map(|(_, weight)| *weight).sum();
        let bars = verdict::bars(&self.parameters, self.kappa);
        let half_life = self.parameters.half_life;
        let Some(about) = self.ledger.about_mut(subject) else {
            return false;
        };
        let bar = match about.level {
            Level::Clear => bars[0].min(bars[1]).min(bars[2]),
            Level::Prime => bars[1].min(bars[2]),
            Level::Throttle => bars[2],
            Level::Block => return false,
        };
        let left = decay(millis(now.since(about.most_at)), millis(half_life));
        // Products are rounded down, sums of them by so little in all.
        let most = about.most.times(left) + weight.times(evidence) + Fixed::from_bits(1 << 8);
        if now < about.most_at || most >= bar {
            return false;
        }
        (about.most, about.most_at) = (most, now);
        let is_counted =
            about.level > Level::Clear && weight > Fixed::ZERO && evidence > Fixed::ZERO;
        if is_counted && about.contributors.len() < CONTRIBUTORS_MAX {
            about.contributors.insert(voice.by);
        }
        true
    }

    /// Somebody takes back what they said. What follows, and who is held to have been wrong.
    pub fn hear_retraction(
        &mut self,
        by: NodeId,
        subject: Subject,
        family: Family,
        seq: u64,
        now: Timestamp,
    ) -> (Option<Change>, Vec<NodeId>) {
        if !self.ledger.retract(by, subject, family, seq) {
            return (None, Vec::new());
        }
        let refuted = match self.is_taken_back(subject, now) {
            true => self.refute(subject, now),
            false => Vec::new(),
        };
        (self.look(subject, now, false), refuted)
    }

    /// Forget all that was said but this: what rests on the rest is looked at in the next tick.
    pub fn keep_voices(&mut self, keep: impl Fn(&Voice) -> bool) {
        for subject in self.ledger.keep(keep) {
            self.ledger.leave(subject);
            if let Some(due) = self.due_at.get_mut(&subject) {
                self.due.remove(&(*due, subject));
                self.due.insert((AT_ONCE, subject));
                *due = AT_ONCE;
            }
        }
    }

    /// Whether those who take back what they said of an address are as independent of each other as those must be who
    /// have it blocked: one reporter who is heard through many branches is one.
    fn is_taken_back(&mut self, subject: Subject, now: Timestamp) -> bool {
        let voices = self.ledger.about(subject).map(|about| &about.voices);
        let back: BTreeMap<NodeId, Timestamp> = voices
            .into_iter()
            .flatten()
            .filter(|voice| voice.is_retracted)
            .map(|voice| (voice.by, voice.heard_at))
            .collect();
        let mut places = Vec::new();
        for (node, heard_at) in back {
            let quality = self.quality(node, heard_at, now);
            let weights = self.weights(node);
            let is_blocking = |(branch, _): &(Branch, Fixed)| self.is_blocking(*branch);
            if quality >= self.parameters.gate_quality && weights.iter().any(is_blocking) {
                places.extend(self.graph.index(node));
            }
        }
        paths::disjoint(&self.graph, &self.view, &places, true, REFUTING_BRANCHES)
            >= REFUTING_BRANCHES
    }

    /// At which level an address is.
    #[must_use]
    pub fn level(&self, subject: Subject) -> Level {
        self.ledger
            .about(subject)
            .map_or(Level::Clear, |about| about.level)
    }

    /// Since when an address is at its level.
    #[must_use]
    pub fn since(&self, subject: Subject) -> Option<Timestamp> {
        self.ledger.about(subject).map(|about| about.since)
    }

    /// What is said about an address.
    pub fn voices(&self, subject: Subject) -> impl Iterator<Item = &Voice> {
        self.ledger
            .about(subject)
            .into_iter()
            .flat_map(|about| &about.voices)
    }

    /// Whose word counted for what is, or was lately, done about an address.
    pub fn contributors(&self, subject: Subject) -> impl Iterator<Item = NodeId> + '_ {
        let about = self.ledger.about(subject);
        about
            .into_iter()
            .flat_map(|about| about.contributors.iter().copied())
    }

    /// Addresses about which something is done.
    pub fn levels(&self) -> impl Iterator<Item = (Subject, Level)> + '_ {
        self.ledger
            .subjects()
            .map(|(subject, about)| (subject, about.level))
            .filter(|(_, level)| *level > Level::Clear)
    }

    /// All that there is about an address now, all ways counted.
    pub fn assess(&mut self, subject: Subject, now: Timestamp) -> Assessment {
        self.assessed(subject, now, u32::MAX)
    }

    fn assessed(&mut self, subject: Subject, now: Timestamp, most: u32) -> Assessment {
        self.refresh();
        let (voices, was, ways) = match self.ledger.about(subject) {
            Some(about) => (about.voices.clone(), about.level, about.ways.clone()),
            None => (Vec::new(), Level::Clear, None),
        };
        let mut reporters: Vec<Reporter> = Vec::new();
        for voices in voices.chunk_by(|one, other| one.by == other.by) {
            let by = voices[0].by;
            let weights = self.weights(by);
            let is_hidden = self.hidden.contains_key(&by);
            let mut reporter = Reporter {
                node: by,
                quality: Fixed::ZERO,
                evidence: Fixed::ZERO,
                strict: Fixed::ZERO,
                weights,
                expires: Timestamp::default(),
            };
            // What counts for nothing lends what counts neither its quality nor its life.
            let counts =
                |voice: &&Voice| !voice.is_retracted && !voice.is_spoofable && voice.expires > now;
            let any = voices.iter().any(|voice| counts(&voice));
            let counted = voices.iter().filter(|voice| !any || counts(voice));
            for voice in counted.filter(|_| !is_hidden) {
                let quality = self.quality(by, voice.heard_at, now);
                let evidence = verdict::evidence(voice, quality, &self.parameters, now);
                reporter.quality = reporter.quality.max(quality);
                reporter.evidence = reporter.evidence.max(evidence);
                if !voice.family.is_inducible() {
                    reporter.strict = reporter.strict.max(evidence);
                }
                reporter.expires = reporter.expires.max(voice.expires);
            }
            reporters.push(reporter);
        }
        let branches = verdict::shares(&reporters, &self.branches, self.kappa, |branch| {
            self.is_blocking(branch)
        });
        let evidence: Fixed = branches.iter().map(|share| share.evidence).sum();
        let strict: Fixed = branches.iter().map(|share| share.strict).sum();
        let gate = self.parameters.gate_quality;
        let is_end = |reporter: &Reporter, is_strict: bool| {
            let counts = |(branch, _): &(Branch, Fixed)| match is_strict {
                true => self.is_blocking(*branch),
                false => *branch != Branch::Strangers,
            };
            reporter.quality >= gate && reporter.weights.iter().any(counts)
        };
        let sibling = reporters.iter().find(|reporter| {
            let vouchee = self.vouchees.get(&reporter.node);
            vouchee.is_some_and(|(vouchee, _)| vouchee.kin == Kin::Sibling)
                && reporter.evidence >= self.kappa
                && reporter.quality >= gate
        });
        let sibling = sibling.map(|reporter| reporter.node);
        let (mut paths, mut strict_paths) = (0, 0);
        let mut counted = ways;
        let count = |is_strict: bool, needed: u32| {
            let ends = reporters.iter().filter(|reporter| {
                let worth = match is_strict {
                    true => reporter.strict,
                    false => reporter.evidence,
                };
                worth > Fixed::ZERO && is_end(reporter, is_strict)
            });
            let ends: Vec<_> = ends.collect();
            let count = self.ways(&ends, is_strict, needed.min(most), &mut counted);
            match is_strict {
                true => strict_paths = count,
                false => paths = count,
            }
            count
        };
        let mut count = count;
        let (level, rule) = verdict::judge(
            &self.parameters,
            self.kappa,
            (evidence, strict),
            sibling,
            was,
            &mut count,
        );
        if most == u32::MAX {
            // For people: all of them, also where they do not decide.
            count(true, u32::MAX);
            count(false, u32::MAX);
        }
        let mut ends: Vec<Timestamp> = reporters
            .iter()
            .filter(|reporter| match rule {
                Some(Rule::Sibling(sibling)) => reporter.node == sibling,
                Some(Rule::Paths) => reporter.strict > Fixed::ZERO && is_end(reporter, true),
                Some(Rule::TwoPaths | Rule::Evidence) | None => {
                    reporter.evidence > Fixed::ZERO && !reporter.weights.is_empty()
                }
            })
            .map(|reporter| reporter.expires)
            .collect();
        ends.sort_unstable_by_key(|end| Reverse(*end));
        let until = ends.get(self.parameters.block_paths.max(1) as usize - 1);
        let until = until.or(ends.last()).copied().unwrap_or(now);
        if let Some(about) = self.ledger.about_mut(subject) {
            about.ways = counted;
        }
        Assessment {
            reporters,
            branches,
            kappa: self.kappa,
            evidence,
            strict,
            paths,
            strict_paths,
            level,
            rule,
            until,
        }
    }

    /// How many ways lead to these that share nobody, at most so many.
    fn ways(
        &self,
        ends: &[&Reporter],
        is_strict: bool,
        most: u32,
        counted: &mut Option<Ways>,
    ) -> u32 {
        let counts = |branch: &Branch| !is_strict || self.is_blocking(*branch);
        let mut branches: BTreeSet<Branch> = BTreeSet::new();
        for reporter in ends {
            let all = reporter.weights.iter().map(|(branch, _)| *branch);
            branches.extend(all.filter(counts));
        }
        // A way begins with a branch and enters no other.
        let bound = u32::try_from(branches.len()).unwrap_or(u32::MAX).min(most);
        let own = |reporter: &&&Reporter| {
            let branch = Branch::Of(reporter.node);
            self.branches.contains_key(&branch) && counts(&branch)
        };
        let direct = u32::try_from(ends.iter().filter(own).count()).unwrap_or(u32::MAX);
        if bound == 0 || direct >= most {
            return bound.min(most);
        }
        let holds = |(node, weights): &(NodeId, Weights)| {
            let end = ends.binary_search_by_key(node, |end| end.node);
            end.is_ok_and(|end| Arc::ptr_eq(&ends[end].weights, weights))
        };
        if let Some(ways) = counted
            && ways.count >= most
            && (ways.is_strict || !is_strict)
            && ways.to.iter().all(holds)
        {
            return most;
        }
        let places: Vec<_> = ends
            .iter()
            .filter_map(|reporter| self.graph.index(reporter.node))
            .collect();
        if bound < most && most <= self.parameters.block_paths.max(THROTTLE_PATHS) {
            return bound;
        }
        let count = paths::disjoint(&self.graph, &self.view, &places, is_strict, bound);
        *counted = Some(Ways {
            to: ends
                .iter()
                .map(|reporter| (reporter.node, Arc::clone(&reporter.weights)))
                .collect(),
            count,
            is_strict: is_strict || self.siblings.is_empty(),
        });
        count
    }

    /// Look at an address again.
    fn look(&mut self, subject: Subject, now: Timestamp, is_news: bool) -> Option<Change> {
        let assessment = self.assessed(subject, now, self.parameters.block_paths);
        let about = self.ledger.about_mut(subject)?;
        let (from, to) = (about.level, assessment.level);
        let weight = |reporter: &Reporter| -> Fixed {
            reporter
                .weights
                .iter()
                .map(|(_, weight)| weight.times(reporter.evidence))
                .sum()
        };
        (about.most, about.most_at) = (assessment.reporters.iter().map(weight).sum(), now);
        (about.rule, about.until) = (assessment.rule, assessment.until);
        if from != to {
            (about.level, about.since) = (to, now);
        }
        if to > Level::Clear {
            remember_contributors(about, &assessment);
        }
        if let Some(due) = self.due_at.remove(&subject) {
            self.due.remove(&(due, subject));
        }
        if to > Level::Clear {
            self.due.insert((now + RECHECK, subject));
            self.due_at.insert(subject, now + RECHECK);
        } else {
            self.ledger.leave(subject);
        }
        (from != to || (is_news && to > Level::Clear)).then_some(Change {
            subject,
            from,
            to,
            rule: assessment.rule,
            until: assessment.until,
        })
    }

    /// The clock was set: what was noted down by it moves along.
    pub fn clock_stepped(&mut self, before: Timestamp, now: Timestamp) {
        let step = Step { before, now };
        self.ledger.step(step);
        self.shown_at.clear();
        for (node, hidden) in &mut self.hidden {
            hidden.barred_until = step.moved(hidden.barred_until);
            if !hidden.is_muted {
                self.shown_at.insert((hidden.barred_until, *node));
            }
        }
        let due = std::mem::take(&mut self.due_at).into_iter();
        self.due_at = due
            .map(|(subject, due)| (subject, step.moved(due)))
            .collect();
        let due = self.due_at.iter().map(|(subject, due)| (*due, *subject));
        self.due = due.collect();
        // What others say of when it was is older or younger now.
        self.qualities.clear();
        self.weigh_anew(Whose::Everybodys);
    }

    /// Time has passed, or whom we believe has changed: what follows.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Change> {
        if self.watch.look(now) {
            self.forget_before(now);
        }
        self.refresh();
        let mut subjects: BTreeSet<Subject> = self.ledger.forget_before(now, PASSED_AT_ONCE);
        for subject in &subjects {
            self.ledger.leave(*subject);
        }
        // That somebody says no more about whom nothing is done changes nothing.
        subjects.retain(|subject| self.due_at.contains_key(subject));
        // What rests on somebody who is believed no longer ends at once.
        subjects.extend(self.next_active());
        for _ in 0..RECHECKED_AT_ONCE {
            let Some((_, subject)) = self.due.first().filter(|(due, _)| *due <= now).copied()
            else {
                break;
            };
            self.due.pop_first();
            self.due_at.remove(&subject);
            subjects.insert(subject);
        }
        if self.round.left > 0 {
            subjects.extend(self.next_unlooked());
            self.goes_on_at = now + BETWEEN_PASSES;
        }
        let looks = subjects.into_iter();
        looks
            .filter_map(|subject| self.look(subject, now, false))
            .collect()
    }

    fn forget_before(&mut self, now: Timestamp) {
        let changed = self.graph.forget_before(now);
        self.outdate_if_near(&changed);
        while let Some((_, node)) = self.shown_at.first().filter(|(at, _)| *at <= now).copied() {
            self.show_again(node, now);
        }
        if day_of(now) != self.day {
            self.day = day_of(now);
            let nodes: Vec<_> = self.records.keys().copied().collect();
            for node in nodes {
                let is_old = |record: &Arc<Record>| record.is_over(day_of(now));
                if self.records.get(&node).is_some_and(is_old) {
                    self.forget_record(node, now);
                    continue;
                }
                let record = Arc::make_mut(&mut self.records).get_mut(&node);
                if let Some(record) = record.filter(|record| record.has_old(day_of(now))) {
                    Arc::make_mut(record).forget_before(day_of(now));
                }
                self.learned(node, now);
            }
        }
    }

    /// The next of those about which something is done. It goes round as well, and ends with the next tick, which is due at
    /// once.
    fn next_active(&mut self) -> Vec<Subject> {
        use std::ops::Bound::{Excluded, Unbounded};
        let most = self.round.active_left.min(self.round.at_once());
        let from = self.round.active_at.map_or(Unbounded, Excluded);
        let behind = self.due_at.range((from, Unbounded));
        let all = behind.chain(self.due_at.iter());
        let mut next: Vec<_> = all.map(|(subject, _)| *subject).take(most).collect();
        self.round.active_at = next.last().copied().or(self.round.active_at);
        self.round.active_left = match next.is_empty() {
            true => 0,
            false => self.round.active_left.saturating_sub(next.len()),
        };
        next.retain(|subject| self.is_of_concern(*subject));
        next
    }

    fn is_of_concern(&self, subject: Subject) -> bool {
        let about = self.ledger.about(subject);
        about.is_some_and(|about| self.round.whose.concerns(about))
    }

    /// The next of the addresses that are to be looked at again. It goes round, so that each has its turn however often whom
    /// we believe changes.
    fn next_unlooked(&mut self) -> Vec<Subject> {
        let most = self.round.left.min(self.round.at_once());
        let mut next = self.ledger.after(self.round.at, most);
        if next.len() < most {
            // Behind the last comes the first.
            next.extend(self.ledger.after(None, most - next.len()));
        }
        self.round.at = next.last().copied();
        self.round.left = match next.is_empty() {
            true => 0,
            false => self.round.left.saturating_sub(next.len()),
        };
        next.retain(|subject| self.is_of_concern(*subject));
        next
    }

    /// When [`Trust::tick`] is due next, or the past if it is now.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if !matches!(self.stale, Stale::Nothing) || self.round.active_left > 0 {
            return Some(AT_ONCE);
        }
        let by_clock = |due| self.watch.not_before(due);
        [
            self.graph.next_deadline().map(by_clock),
            self.ledger.next_deadline(),
            self.due.first().map(|(due, _)| *due),
            self.shown_at.first().map(|(at, _)| by_clock(*at)),
            Some(self.goes_on_at).filter(|_| self.round.left > 0),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn remember_contributors(about: &mut About, assessment: &Assessment) {
    let counted = assessment
        .reporters
        .iter()
        .filter(|reporter| !reporter.weights.is_empty() && reporter.evidence > Fixed::ZERO);
    about
        .contributors
        .extend(counted.map(|reporter| reporter.node));
    if about.contributors.len() > CONTRIBUTORS_MAX {
        // Who weighs least is forgotten first, or a crowd could hide a liar.
        let weight = |node: NodeId| -> Fixed {
            let reporters = &assessment.reporters;
            let place = reporters.binary_search_by_key(&node, |reporter| reporter.node);
            let weights = place.map_or(&[][..], |place| &*reporters[place].weights);
            weights.iter().map(|(_, weight)| *weight).sum()
        };
        let all = about.contributors.iter();
        let mut all: Vec<_> = all.map(|node| (Reverse(weight(*node)), *node)).collect();
        all.sort_unstable();
        all.truncate(CONTRIBUTORS_MAX);
        about.contributors = all.into_iter().map(|(_, node)| node).collect();
    }
}

#[cfg(test)]
mod tests {
    use lymph_protocol::vouch::Minute;

    use super::*;

    #[test]
    fn several_changes_are_looked_at_together() {
        let (now, end) = (Timestamp::from_secs(1_000_000), Minute(100_000));
        let node = |number: u8| NodeId::from_bytes([number; 32]);
        let mut trust = Trust::new(node(0), Parameters::default());
        for friend in 1..=3 {
            let (kin, weight) = (Kin::Friend, 10_000);
            assert!(trust.vouch_for(node(friend), Vouchee { kin, weight }));
        }
        trust.refresh();
        for seq in 0..9 {
            let (issuer, subject) = (1 + seq % 3, 10 + seq);
            let statement = Statement {
                issuer: node(issuer),
                subject: node(subject),
                weight: 10_000,
                seq: seq.into(),
                expires: end,
                kept_until: end,
            };
            assert!(trust.hear_vouch(&statement, now));
        }
        assert!(matches!(&trust.stale, Stale::Around(these) if these.len() == 9));
    }
}

//! Buckets: what counts events per scenario and group, runs over, leaks, expires.
//!
//! **Pour.** A trigger runs over with its first event. Else the event goes into the bucket of its group:
//! `distinct` lets only values pass that this bucket has not seen, `cancel_on` destroys the bucket, then a token
//! is taken. A leaky bucket holds `capacity` tokens, one comes back per `leakspeed`; an event without a token
//! makes it run over (capacity 5: the sixth at once). After the pour `condition` or the bayesian threshold may
//! do the same. A counter runs over when its `duration` ends. A bucket that ran over is gone, the next event
//! starts a new one.
//!
//! **Run over.** `overflow_filter` may drop the detection, then `blackhole`: for so long after a detection the
//! same group is silent.
//!
//! **Primed.** While others speak of a subject, leaky buckets of authentication and exploit rules that group by it hold a
//! quarter of their events; a detection that only that made says so.
//!
//! **Time.** `at` is when an event happened by the clock that counts for its log (see `detector`), `now` the time
//! it is handled. Tokens and `blackhole` go by `at`. A bucket whose life has passed by `at` is replaced; one
//! that nobody touches is given up when its life has passed by `now` as well, so that a log that is read late
//! still fills it.
//!
//! **Order.** Lines may come in another order than they happened: seconds swapped by a server's workers, several
//! files read one after the other. The kept events are in the order in which they happened, and the tokens are
//! those that this order leaves. An event that is older than the latest by more than the bucket's life does not
//! belong into it. One that is older than all that is kept costs what it would have cost alone, which is never
//! too much: a detection that the true order does not give is worse than one that comes an event later.
//!
//! **Bounds.** Buckets and what they keep, scopes and detections poured again with it, may take `bytes_max`. When that is spent, the scenario that takes most
//! gives up its bucket that was poured into least recently: a flood of sources in one scenario costs only that
//! scenario its memory. Groups in a blackhole are bounded likewise, the oldest is forgotten.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::FixedState;
use lymph_protocol::{Subject, Timestamp};

use crate::attackers::attackers;
use crate::event::{Event, Keys};
use crate::expr::Env;
use crate::kept::{Kept, META_VALUE_BYTES_MAX};
use crate::objects::{LeakyView, QueueView};
use crate::overflow::Overflow;
use crate::scenario::{Bayes, Kind, Partition, Scenario};

/// Distinct values that one bucket remembers; a value past that counts as seen.
pub(crate) const DISTINCT_VALUES_MAX: usize = 4096;
/// Groups of one scenario that are in its blackhole at a time.
pub(crate) const BLACKHOLE_GROUPS_MAX: usize = 16_384;
/// What a bucket costs beside the events it keeps, about, with its place in the table.
pub(crate) const BUCKET_BYTES: usize = 256;

/// What a remembered distinct value costs, about.
const DISTINCT_VALUE_BYTES: usize = 16;

const NOBODY: u32 = u32::MAX;

/// What became of one event in one scenario.
#[derive(Debug, Default)]
pub(crate) struct Poured {
    pub(crate) overflow: Option<Overflow>,
    /// An expression of the scenario failed on this event.
    pub(crate) failed: bool,
}

/// A bucket's group, hashed with a secret seed: which scenario, and which of its groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(pub(crate) u64, pub(crate) u64);

#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub(crate) key: Key,
    pub(crate) scenario: u32,
    previous: u32,
    next: u32,
    pub(crate) first_seen: Timestamp,
    pub(crate) last_seen: Timestamp,
    pub(crate) first_line: u64,
    /// When it was last touched (a counter: first), by the time of handling.
    pub(crate) touched_at: Timestamp,
    pub(crate) total: u32,
    /// Milliseconds' worth of tokens: `leakspeed_ms` each.
    pub(crate) tokens: u64,
    /// The same before the first kept event: after those that were let go, the latest of which happened `base_at`.
    base_tokens: u64,
    base_at: Timestamp,
    /// Bit i: the guillotine of the i-th bayesian condition has fallen.
    pub(crate) guillotines: u64,
    pub(crate) queue: VecDeque<Arc<Kept>>,
    /// What the scope's expression said, one for each in the queue; empty for scope Ip.
    pub(crate) scoped: VecDeque<Box<str>>,
    pub(crate) distinct: HashSet<u64, FixedState>,
    bytes: usize,
}

/// The buckets of one scenario: a list from least to most recently touched, which is the order of expiry.
#[derive(Clone, Copy, Debug)]
struct List {
    oldest: u32,
    newest: u32,
    buckets: usize,
    bytes: usize,
}

const EMPTY: List = List {
    oldest: NOBODY,
    newest: NOBODY,
    buckets: 0,
    bytes: 0,
};

/// Groups that are silent, oldest first, and until when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blackhole {
    pub(crate) until: HashMap<Key, Timestamp, FixedState>,
    order: VecDeque<(Timestamp, Key)>,
}

/// All buckets of a detector.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    seed: u64,
    table: HashMap<Key, u32, FixedState>,
    slab: Vec<Option<Bucket>>,
    free: Vec<u32>,
    lists: Vec<List>,
    pub(crate) blackholes: Vec<Blackhole>,
    bytes: usize,
    bytes_max: usize,
    pub(crate) evicted: u64,
    /// No bucket's life ends before this.
    next_expiry: Timestamp,
    /// Whose buckets run over sooner: others speak of them.
    pub(crate) primed: HashSet<Subject, FixedState>,
}

/// One event on its way into buckets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drop<'a> {
    pub(crate) event: &'a Event,
    pub(crate) kept: &'a Arc<Kept>,
    pub(crate) now: Timestamp,
}

impl Buckets {
    pub(crate) fn new(scenarios: usize, seed: u64, bytes_max: usize) -> Self {
        Buckets {
            seed,
            table: HashMap::with_hasher(FixedState::with_seed(seed)),
            slab: Vec::new(),
            free: Vec::new(),
            lists: vec![EMPTY; scenarios],
            blackholes: vec![Blackhole::default(); scenarios],
            bytes: 0,
            bytes_max,
            evicted: 0,
            next_expiry: Timestamp::MAX,
            primed: HashSet::with_hasher(FixedState::with_seed(seed)),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// What they take, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Every bucket, least recently touched first, scenario by scenario.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Bucket> {
        self.lists.iter().flat_map(move |list| {
            let mut next = list.oldest;
            std::iter::from_fn(move || {
                let bucket = self.slab.get(next as usize)?.as_ref()?;
                next = bucket.next;
                Some(bucket)
            })
        })
    }

    /// Put back a bucket of a snapshot, as the most recently touched of its scenario.
    pub(crate) fn insert(&mut self, scenario: &Scenario, mut bucket: Bucket) {
        self.next_expiry = self.next_expiry.min(bucket.over_at(scenario));
        bucket.bytes = BUCKET_BYTES
            + DISTINCT_VALUE_BYTES * bucket.distinct.len()
            + bucket.queue.iter().map(|kept| kept.bytes()).sum::<usize>()
            + bucket
                .scoped
                .iter()
                .map(|scoped| scoped_bytes(scoped))
                .sum::<usize>();
        bucket.guess_base(scenario);
        bucket.distinct = with_hasher(self.seed, bucket.distinct);
        self.link(bucket);
        self.keep_to_budget();
    }

    /// The key of a group. It hangs on the scenario's fingerprint, not on its place among the others, so that a
    /// snapshot outlives a change of other rules.
    fn key(&self, scenario: &Scenario, group: &[u8]) -> Key {
        let halves = [self.seed, self.seed ^ 0x9e37_79b9_7f4a_7c15];
        let hash = |seed| {
            foldhash::quality::FixedState::with_seed(seed).hash_one((scenario.fingerprint, group))
        };
        let [a, b] = halves.map(hash);
        Key(a, b)
    }

    /// The bucket's key for this event; `None` if the expression fails.
    fn key_of(&self, scenario: &Scenario, drop: &Drop<'_>) -> Option<Key> {
        match &scenario.partition {
            Partition::All => Some(self.key(scenario, &[])),
            Partition::Field(slot) => Some(self.key(scenario, drop.event.field(*slot))),
            Partition::Expression(expression) => {
                let value = expression.eval(&Env::of(drop.event, drop.now)).ok()?;
                Some(self.key(scenario, value.as_bytes()?))
            }
        }
    }

    /// Pour an event that the scenario's filter let through.
    pub(crate) fn pour(
        &mut self,
        scenario: &Scenario,
        index: u32,
        drop: &Drop<'_>,
        keys: &Keys,
    ) -> Poured {
        let failed = || Poured {
            overflow: None,
            failed: true,
        };
        let Some(key) = self.key_of(scenario, drop) else {
            return failed();
        };
        // Before there is a bucket, so that an event without a scope leaves none behind.
        let Some(scoped) = scope_value(scenario, drop) else {
            return failed();
        };
        let at = drop.kept.at;
        if scenario.kind == Kind::Trigger {
            let mut bucket = Bucket::new(key, index, scenario, drop, self.seed);
            bucket.total = 1;
            bucket.keep(scenario, drop.kept, scoped);
            return Poured {
                overflow: self.run_over(scenario, bucket, drop.now, keys, false),
                failed: false,
            };
        }

        let mut overflow = None;
        let mut place = self.table.get(&key).copied();
        if let Some(old) = place.and_then(|place| self.slab[place as usize].as_ref())
            && at + Duration::from_millis(scenario.life_ms) < old.last_seen
        {
            return Poured::default();
        }
        if let Some(old) = place.and_then(|place| self.slab[place as usize].as_ref())
            && at > old.ends(scenario)
        {
            let old = place.and_then(|place| self.unlink(place));
            place = None;
            if scenario.kind == Kind::Counter {
                overflow = old.and_then(|old| self.run_over(scenario, old, drop.now, keys, false));
            }
        }
        let place = match place {
            Some(place) => place,
            None => {
                let new = Bucket::new(key, index, scenario, drop, self.seed);
                self.next_expiry = self.next_expiry.min(new.over_at(scenario));
                self.link(new)
            }
        };
        match self.pour_into(place, scenario, drop, scoped) {
            Outcome::Holds => {}
            Outcome::Cancelled => {
                self.unlink(place);
            }
            outcome @ (Outcome::RunsOver | Outcome::RunsOverPrimed) => {
                let full = self.unlink(place);
                let is_primed = outcome == Outcome::RunsOverPrimed;
                overflow =
                    full.and_then(|full| self.run_over(scenario, full, drop.now, keys, is_primed));
            }
        }
        self.keep_to_budget();
        Poured {
            overflow,
            failed: false,
        }
    }

    fn pour_into(
        &mut self,
        place: u32,
        scenario: &Scenario,
        drop: &Drop<'_>,
        scoped: Option<Box<str>>,
    ) -> Outcome {
        let env = Env::of(drop.event, drop.now);
        let seed = self.seed;
        let Some(bucket) = self.slab[place as usize].as_mut() else {
            return Outcome::Holds;
        };

        if let Some(distinct) = &scenario.distinct
            && let Ok(value) = distinct.eval(&env)
            && let Some(value) = value.as_bytes()
        {
            let full = bucket.distinct.len() >= DISTINCT_VALUES_MAX;
            if full
                || !bucket
                    .distinct
                    .insert(FixedState::with_seed(seed).hash_one(value))
            {
                return Outcome::Holds;
            }
            bucket.bytes += DISTINCT_VALUE_BYTES;
            self.bytes += DISTINCT_VALUE_BYTES;
            self.lists[bucket.scenario as usize].bytes += DISTINCT_VALUE_BYTES;
        }
        if let Some(cancel_on) = &scenario.cancel_on
            && cancel_on.eval_bool(&env) == Ok(true)
        {
            return Outcome::Cancelled;
        }

        let before = bucket.bytes;
        let has_token = bucket.take_in(scenario, drop.kept, scoped);
        if scenario.kind != Kind::Counter || bucket.total == 1 {
            bucket.touched_at = bucket.touched_at.max(drop.now);
        }
        let (after, list) = (bucket.bytes, bucket.scenario as usize);
        self.bytes = self.bytes - before + after;
        self.lists[list].bytes = self.lists[list].bytes - before + after;
        if scenario.kind != Kind::Counter {
            self.move_to_newest(place);
        }
        if !has_token || self.condition_holds(place, scenario, &env) {
            Outcome::RunsOver
        } else if self.is_primed(place, scenario, drop) {
            Outcome::RunsOverPrimed
        } else {
            Outcome::Holds
        }
    }

    /// Whether the bucket has run over by the capacity that it has while others speak of its subject.
    fn is_primed(&self, place: u32, scenario: &Scenario, drop: &Drop<'_>) -> bool {
        if self.primed.is_empty() {
            return false;
        }
        let (Some(primed), Some(address)) = (scenario.primed_capacity, drop.kept.address) else {
            return false;
        };
        let bucket = self.slab[place as usize].as_ref();
        bucket.is_some_and(|bucket| scenario.held(bucket.tokens) > primed * scenario.leakspeed_ms)
            && self.primed.contains(&Subject::of(address))
    }

    fn condition_holds(&mut self, place: u32, scenario: &Scenario, env: &Env<'_>) -> bool {
        if scenario.condition.is_none() && scenario.bayes.is_none() {
            return false;
        }
        let Some(bucket) = self.slab[place as usize].as_mut() else {
            return false;
        };
        let (queue, leaky) = (
            QueueView::of(&bucket.queue, env.keys()),
            LeakyView::of(bucket, scenario),
        );
        let env = env.with_queue(&queue, &leaky);
        if let Some(condition) = &scenario.condition
            && condition.eval_bool(&env) == Ok(true)
        {
            return true;
        }
        let Some(bayes) = &scenario.bayes else {
            return false;
        };
        let (posterior, guillotines) = bayes.posterior(bucket.guillotines, &env);
        bucket.guillotines = guillotines;
        posterior > bayes.threshold
    }

    /// The detection of a bucket that has run over, unless it is dropped or silenced.
    fn run_over(
        &mut self,
        scenario: &Scenario,
        bucket: Bucket,
        now: Timestamp,
        keys: &Keys,
        is_primed: bool,
    ) -> Option<Overflow> {
        // A counter ends with its duration, the others with the event that did not fit.
        let over_at = if scenario.kind == Kind::Counter {
            bucket.ends(scenario)
        } else {
            bucket.last_seen
        };
        let attackers = attackers(scenario, &bucket, keys);
        if attackers.is_empty() {
            return None;
        }
        let overflow = Overflow {
            scenario: Arc::clone(&scenario.name),
            description: Arc::clone(&scenario.description),
            labels: Arc::clone(&scenario.labels),
            rule: scenario.hash,
            remediation: scenario.remediation,
            attackers,
            events_count: bucket.total,
            events: bucket.queue.iter().map(|kept| kept.poured(keys)).collect(),
            first_line: bucket.first_line,
            first_seen: bucket.first_seen,
            last_seen: bucket.last_seen,
            capacity: scenario.capacity,
            leakspeed_ms: scenario.leakspeed_ms,
            whitelisted: None,
            is_primed,
        };
        if let Some(filter) = &scenario.overflow_filter {
            let (queue, leaky) = (
                QueueView::of(&bucket.queue, keys),
                LeakyView::of(&bucket, scenario),
            );
            let env = Env::overflow(&queue, &leaky, &overflow, now);
            if filter.eval_bool(&env) != Ok(true) {
                return None;
            }
        }
        if let Some(blackhole_ms) = scenario.blackhole_ms {
            let blackhole = &mut self.blackholes[bucket.scenario as usize];
            if !blackhole.enter(bucket.key, over_at, Duration::from_millis(blackhole_ms)) {
                return None;
            }
        }
        Some(overflow)
    }

    /// Give up the buckets whose life has passed; counters run over.
    pub(crate) fn expire(
        &mut self,
        scenarios: &[Arc<Scenario>],
        now: Timestamp,
        keys: &Keys,
    ) -> Vec<Overflow> {
        let mut overflows = Vec::new();
        if now < self.next_expiry {
            return overflows;
        }
        for (index, scenario) in scenarios.iter().enumerate() {
            while let Some(oldest) = self
                .slab
                .get(self.lists[index].oldest as usize)
                .and_then(Option::as_ref)
            {
                if oldest.given_up_at(scenario) >= now {
                    break;
                }
                let place = self.lists[index].oldest;
                let Some(bucket) = self.unlink(place) else {
                    break;
                };
                if scenario.kind == Kind::Counter {
                    overflows.extend(self.run_over(scenario, bucket, now, keys, false));
                }
            }
        }
        self.next_expiry = self.first_end(scenarios).unwrap_or(Timestamp::MAX);
        overflows
    }

    /// When to look for buckets whose life has ended: not later than the first of them ends.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        (self.next_expiry < Timestamp::MAX).then_some(self.next_expiry)
    }

    fn first_end(&self, scenarios: &[Arc<Scenario>]) -> Option<Timestamp> {
        let oldest = |(list, scenario): (&List, &Arc<Scenario>)| {
            let bucket = self.slab.get(list.oldest as usize)?.as_ref()?;
            Some(bucket.over_at(scenario))
        };
        self.lists.iter().zip(scenarios).filter_map(oldest).min()
    }

    fn link(&mut self, mut bucket: Bucket) -> u32 {
        let (key, index, bytes) = (bucket.key, bucket.scenario as usize, bucket.bytes);
        if let Some(old) = self.table.get(&key).copied() {
            self.unlink(old);
        }
        bucket.previous = self.lists[index].newest;
        bucket.next = NOBODY;
        let previous = bucket.previous;
        let place = match self.free.pop() {
            Some(place) => {
                self.slab[place as usize] = Some(bucket);
                place
            }
            None => {
                self.slab.push(Some(bucket));
                (self.slab.len() - 1) as u32
            }
        };
        match self
            .slab
            .get_mut(previous as usize)
            .and_then(Option::as_mut)
        {
            Some(before) => before.next = place,
            None => self.lists[index].oldest = place,
        }
        let list = &mut self.lists[index];
        list.newest = place;
        list.buckets += 1;
        list.bytes += bytes;
        self.bytes += bytes;
        self.table.insert(key, place);
        place
    }

    fn unlink(&mut self, place: u32) -> Option<Bucket> {
        let bucket = self.slab.get_mut(place as usize)?.take()?;
        self.join(bucket.scenario, bucket.previous, bucket.next);
        let list = &mut self.lists[bucket.scenario as usize];
        list.buckets -= 1;
        list.bytes -= bucket.bytes;
        self.bytes -= bucket.bytes;
        self.table.remove(&bucket.key);
        self.free.push(place);
        Some(bucket)
    }

    fn move_to_newest(&mut self, place: u32) {
        let Some(bucket) = self.slab[place as usize].as_ref() else {
            return;
        };
        let (index, previous, next) = (bucket.scenario, bucket.previous, bucket.next);
        if next == NOBODY {
            return;
        }
        self.join(index, previous, next);
        let newest = self.lists[index as usize].newest;
        if let Some(last) = self.slab[newest as usize].as_mut() {
            last.next = place;
        }
        if let Some(bucket) = self.slab[place as usize].as_mut() {
            bucket.previous = newest;
            bucket.next = NOBODY;
        }
        self.lists[index as usize].newest = place;
    }

    /// Make two neighbours of what stood round a bucket.
    fn join(&mut self, index: u32, previous: u32, next: u32) {
        match self
            .slab
            .get_mut(previous as usize)
            .and_then(Option::as_mut)
        {
            Some(before) => before.next = next,
            None => self.lists[index as usize].oldest = next,
        }
        match self.slab.get_mut(next as usize).and_then(Option::as_mut) {
            Some(behind) => behind.previous = previous,
            None => self.lists[index as usize].newest = previous,
        }
    }

    fn keep_to_budget(&mut self) {
        while self.bytes > self.bytes_max {
            let Some(list) = self
                .lists
                .iter()
                .filter(|list| list.buckets > 0)
                .max_by_key(|list| list.bytes)
            else {
                return;
            };
            self.unlink(list.oldest);
            self.evicted += 1;
        }
    }
}

fn with_hasher(seed: u64, values: HashSet<u64, FixedState>) -> HashSet<u64, FixedState> {
    let mut hashed = HashSet::with_hasher(FixedState::with_seed(seed));
    hashed.extend(values);
    hashed
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Holds,
    Cancelled,
    RunsOver,
    /// It would hold, but for what others say of its subject.
    RunsOverPrimed,
}

/// What the scope's expression says of the event: nothing for scope Ip, `None` if it fails.
fn scope_value(scenario: &Scenario, drop: &Drop<'_>) -> Option<Option<Box<str>>> {
    let Some(expression) = &scenario.scope_expression else {
        return Some(None);
    };
    let value = expression.eval(&Env::of(drop.event, drop.now)).ok()?;
    // As CrowdSec has it: what is no text is the empty value.
    let bytes = value.as_bytes().unwrap_or_default();
    let bytes = &bytes[..bytes.len().min(META_VALUE_BYTES_MAX)];
    Some(Some(String::from_utf8_lossy(bytes).into()))
}

/// What it costs to keep what the scope's expression said, about.
fn scoped_bytes(scoped: &str) -> usize {
    size_of::<Box<str>>() + scoped.len()
}

impl Bucket {
    fn new(key: Key, index: u32, scenario: &Scenario, drop: &Drop<'_>, seed: u64) -> Self {
        let capacity = u64::try_from(scenario.capacity).unwrap_or(0);
        Bucket {
            key,
            scenario: index,
            previous: NOBODY,
            next: NOBODY,
            first_seen: drop.kept.at,
            last_seen: drop.kept.at,
            first_line: drop.kept.line,
            touched_at: drop.now,
            total: 0,
            tokens: capacity.saturating_mul(scenario.leakspeed_ms),
            base_tokens: capacity.saturating_mul(scenario.leakspeed_ms),
            base_at: Timestamp::EPOCH,
            guillotines: 0,
            queue: VecDeque::new(),
            scoped: VecDeque::new(),
            distinct: HashSet::with_hasher(FixedState::with_seed(seed)),
            bytes: BUCKET_BYTES,
        }
    }

    /// A bucket of a snapshot, still empty.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one number of the record"
    )]
    pub(crate) fn restored(
        key: Key,
        scenario: u32,
        first_seen: Timestamp,
        last_seen: Timestamp,
        first_line: u64,
        touched_at: Timestamp,
        total: u32,
        tokens: u64,
        guillotines: u64,
    ) -> Self {
        Bucket {
            key,
            scenario,
            previous: NOBODY,
            next: NOBODY,
            first_seen,
            last_seen,
            first_line,
            touched_at,
            total,
            tokens,
            base_tokens: tokens,
            base_at: Timestamp::EPOCH,
            guillotines,
            queue: VecDeque::new(),
            scoped: VecDeque::new(),
            distinct: HashSet::default(),
            bytes: BUCKET_BYTES,
        }
    }

    /// The end of its life by the clock of its events.
    fn ends(&self, scenario: &Scenario) -> Timestamp {
        let from = if scenario.kind == Kind::Counter {
            self.first_seen
        } else {
            self.last_seen
        };
        from + Duration::from_millis(scenario.life_ms)
    }

    /// The end of its life if nothing more comes.
    fn given_up_at(&self, scenario: &Scenario) -> Timestamp {
        self.touched_at + Duration::from_millis(scenario.life_ms)
    }

    /// The first moment at which it is over.
    fn over_at(&self, scenario: &Scenario) -> Timestamp {
        self.given_up_at(scenario) + Duration::from_millis(1)
    }

    /// Take in an event; false if there is no token for it. Buckets without a bound always have one.
    fn take_in(&mut self, scenario: &Scenario, kept: &Arc<Kept>, scoped: Option<Box<str>>) -> bool {
        let (at, before) = (kept.at, self.last_seen);
        self.last_seen = before.max(at);
        if scenario.kind != Kind::Counter {
            self.first_seen = self.first_seen.min(at);
        }
        self.total = self.total.saturating_add(1);
        let let_go = self.keep(scenario, kept, scoped);
        if scenario.kind != Kind::Leaky && scenario.capacity <= 0
            || scenario.kind == Kind::Conditional
        {
            return true;
        }
        let based = let_go.is_none_or(|oldest| self.move_base(scenario, oldest));
        let left = if at >= before {
            scenario.token_left(self.tokens, at.since(before))
        } else {
            self.tokens_in_order(scenario)
        };
        self.tokens = left.unwrap_or(self.tokens);
        based && left.is_some()
    }

    /// Put an event in its place among the others. When the oldest was let go for it.
    fn keep(
        &mut self,
        scenario: &Scenario,
        kept: &Arc<Kept>,
        scoped: Option<Box<str>>,
    ) -> Option<Timestamp> {
        let later = self.queue.iter().rev();
        let later = later.take_while(|other| other.at > kept.at).count();
        self.bytes += kept.bytes();
        if let Some(scoped) = scoped {
            self.bytes += scoped_bytes(&scoped);
            self.scoped
                .insert(self.scoped.len().saturating_sub(later), scoped);
        }
        if later == 0 {
            self.queue.push_back(Arc::clone(kept));
        } else {
            self.queue
                .insert(self.queue.len() - later, Arc::clone(kept));
        }
        if self.queue.len() <= scenario.queue_events_max {
            return None;
        }
        self.bytes -= self
            .scoped
            .pop_front()
            .map_or(0, |scoped| scoped_bytes(&scoped));
        let oldest = self.queue.pop_front()?;
        self.bytes -= oldest.bytes();
        Some(oldest.at)
    }

    /// An event that was let go took its token before all that are kept; false if there was none.
    fn move_base(&mut self, scenario: &Scenario, at: Timestamp) -> bool {
        let left = if at >= self.base_at {
            let left = scenario.token_left(self.base_tokens, at.since(self.base_at));
            self.base_at = at;
            left
        } else {
            let come_back = self.base_at.since(at).as_millis() as u64;
            let cost = scenario.leakspeed_ms.saturating_sub(come_back);
            self.base_tokens.checked_sub(cost)
        };
        self.base_tokens = left.unwrap_or(0);
        left.is_some()
    }

    /// The tokens left when all events took theirs in the order in which they happened; `None` if one found none.
    fn tokens_in_order(&self, scenario: &Scenario) -> Option<u64> {
        let (mut tokens, mut at) = (self.base_tokens, self.base_at);
        for kept in &self.queue {
            tokens = scenario.token_left(tokens, kept.at.since(at))?;
            at = kept.at;
        }
        Some(tokens)
    }

    /// A snapshot does not hold the base. What it must have been at least follows from the tokens and the events;
    /// where some were let go, it is taken to be that.
    fn guess_base(&mut self, scenario: &Scenario) {
        let full = scenario.full_tokens();
        (self.base_tokens, self.base_at) = (full, Timestamp::EPOCH);
        let (Some(first), Some(last)) = (self.queue.front(), self.queue.back()) else {
            return;
        };
        if self.total as usize > self.queue.len() {
            let taken = (self.queue.len() as u64).saturating_mul(scenario.leakspeed_ms);
            let back = last.at.since(first.at).as_millis() as u64;
            let before = self.tokens.saturating_add(taken).saturating_sub(back);
            (self.base_tokens, self.base_at) = (before.min(full), first.at);
        }
    }
}

impl Scenario {
    /// Milliseconds' worth of tokens in a full bucket.
    pub(crate) fn full_tokens(&self) -> u64 {
        self.capacity
            .unsigned_abs()
            .saturating_mul(self.leakspeed_ms)
    }

    /// What is left of these tokens when some have come back meanwhile and one is taken; `None` if there is none.
    fn token_left(&self, tokens: u64, meanwhile: Duration) -> Option<u64> {
        let come_back = meanwhile.as_millis() as u64;
        let tokens = tokens.saturating_add(come_back).min(self.full_tokens());
        tokens.checked_sub(self.leakspeed_ms)
    }
}

impl Blackhole {
    /// Whether a detection at `at` may be seen; if so, its group is silent from then on.
    pub(crate) fn enter(&mut self, key: Key, at: Timestamp, silence: Duration) -> bool {
        while let Some((until, oldest)) = self.order.front().copied()
            && (until <= at || self.order.len() > BLACKHOLE_GROUPS_MAX)
        {
            self.order.pop_front();
            if self.until.get(&oldest) == Some(&until) {
                self.until.remove(&oldest);
            }
        }
        if self.until.get(&key).is_some_and(|until| *until > at) {
            return false;
        }
        self.until.insert(key, at + silence);
        self.order.push_back((at + silence, key));
        true
    }

    /// Put back a silent group of a snapshot.
    pub(crate) fn insert(&mut self, key: Key, until: Timestamp) {
        self.until.insert(key, until);
        self.order.push_back((until, key));
    }

    /// The silent groups, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, Timestamp)> {
        self.order
            .iter()
            .filter(|(until, key)| self.until.get(key) == Some(until))
            .map(|(until, key)| (*key, *until))
    }
}

impl Bayes {
    /// How probable evil is after these conditions, starting from the prior, and which guillotines have fallen.
    fn posterior(&self, mut guillotines: u64, env: &Env<'_>) -> (f32, u64) {
        let mut evil = self.prior;
        for (index, evidence) in self.evidence.iter().enumerate() {
            let bit = 1u64 << index;
            let fallen = evidence.guillotine && guillotines & bit != 0;
            let holds = match fallen {
                true => true,
                false => match evidence.condition.eval_bool(env) {
                    Ok(holds) => holds,
                    Err(_) => continue,
                },
            };
            if holds {
                guillotines |= bit;
            }
            let (given_evil, given_benign) = match holds {
                true => (evidence.given_evil, evidence.given_benign),
                false => (1.0 - evidence.given_evil, 1.0 - evidence.given_benign),
            };
            let both = given_evil * evil;
            evil = both / (both + given_benign * (1.0 - evil));
        }
        (evil, guillotines)
    }
}

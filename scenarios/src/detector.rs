//! The detector: lines in, detections out. Everything that has state is here: buckets, attempts, stashes.
//!
//! **Which clock.** A line of a log that is followed happens when it is read, unless it says that it is more than
//! ten seconds old (it was written while nobody read): then its own time counts, and buckets fill as they would
//! have. In a replay the log's own time always counts; a line without one is parsed but not poured. Of an hour that
//! a log has twice because clocks were set back, a replay takes the first reading while it fits what came before.
//!
//! **Who did it.** `Meta.source_ip`, if it is an address; an event without one is not poured into scenarios about
//! addresses. IPv6 is grouped by its /64. If the address is a trusted proxy of the line's source, the client is
//! the one behind it (see `proxy`); if there is none, nobody is blamed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::{Subject, Timestamp};

use crate::attempt::Attempts;
use crate::bucket::{Buckets, Drop};
use crate::event::{Event, Kind, Namespace, parse_address};
use crate::expr::Env;
use crate::kept::Kept;
use crate::line::{LINE_BYTES_MAX, Line};
use crate::login::{Login, Logins, is_login};
use crate::overflow::{Overflow, Scope};
use crate::parser::Scratch;
use crate::rules::Rules;
use crate::skew::{Skew, Skewed};
use crate::snapshot::{self, DetectorSnapshot};
use crate::stash::{Stash, StashAt};

/// A line that is older than this when it is read happened when it says; a younger one happened now.
pub const LATE: Duration = Duration::from_secs(10);
/// How far the lines of a log may be out of order, where its clock was set back.
const DISORDER: Duration = Duration::from_secs(10 * 60);
/// How often one line may count (`Meta.repeated`): syslog's "message repeated 3000 times" is not believed.
pub const REPEATED_MAX: u32 = 100;
/// How often a detection may be poured again, and what comes of that again.
const REPROCESS_DEPTH_MAX: usize = 8;
/// How many detections may be poured again because of one line, so that rules that set off each other end.
const REPROCESSED_MAX: usize = 64;

/// What a detector may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes for buckets and the events they keep, about. See `bucket` for who is dropped.
    pub bucket_bytes_max: usize,
}

impl Default for Limits {
    /// 32 MiB: about 60,000 sources with one line each.
    fn default() -> Self {
        Limits {
            bucket_bytes_max: 32 * 1024 * 1024,
        }
    }
}

/// What happened to all lines so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Lines that came in.
    pub lines: u64,
    /// Lines that every stage understood.
    pub parsed: u64,
    /// Lines that an allowlist in the rules let pass.
    pub whitelisted: u64,
    /// Lines that were cut to the longest that is looked at.
    pub cut: u64,
    /// Parsed lines of a replay that had no time.
    pub undated: u64,
    /// Lines that belong to a login attempt that was counted already.
    pub joined: u64,
    /// Lines of a trusted proxy that did not name its client.
    pub proxy_unresolved: u64,
    /// Events that at least one scenario's filter let through.
    pub poured: u64,
    /// Detections.
    pub overflows: u64,
    /// Expressions that failed on a line.
    pub failures: u64,
    /// Buckets that there are now.
    pub buckets: u64,
    /// What they take, in bytes, about.
    pub bucket_bytes: u64,
    /// Buckets that were given up for want of room.
    pub evicted: u64,
}

/// Lines in, detections out.
#[derive(Debug)]
pub struct Detector {
    rules: Arc<Rules>,
    seed: u64,
    limits: Limits,
    buckets: Buckets,
    attempts: Attempts,
    logins: Logins,
    stash: Arc<Stash>,
    scratch: Scratch,
    /// The event that `handle` fills, again and again.
    event: Option<Event>,
    matching: Vec<u32>,
    skew: Skew,
    /// Detections that were poured again because of this line.
    reprocessed: usize,
    /// The latest time of handling.
    clock: Timestamp,
    counters: Counters,
}

impl Detector {
    /// A detector without memories. The seed keeps others from choosing which buckets collide.
    #[must_use]
    pub fn new(rules: Arc<Rules>, limits: Limits, seed: u64) -> Self {
        Detector {
            buckets: Buckets::new(rules.scenarios.len(), seed, limits.bucket_bytes_max),
            attempts: Attempts::new(seed),
            logins: Logins::default(),
            stash: Arc::default(),
            scratch: Scratch::default(),
            event: Some(rules.new_event()),
            matching: Vec::new(),
            skew: Skew::default(),
            reprocessed: 0,
            clock: Timestamp::EPOCH,
            counters: Counters::default(),
            rules,
            seed,
            limits,
        }
    }

    /// The rules it goes by.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// The stashes, for threads that parse for this detector.
    #[must_use]
    pub fn stash(&self) -> &Arc<Stash> {
        &self.stash
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            failures: self.counters.failures + self.scratch.failures,
            buckets: self.buckets.len() as u64,
            bucket_bytes: self.buckets.bytes() as u64,
            evicted: self.buckets.evicted,
            ..self.counters
        }
    }

    /// Understand a line and pour it.
    pub fn handle(&mut self, line: &Line<'_>, now: Timestamp) -> Vec<Overflow> {
        let mut event = self.event.take().unwrap_or_else(|| self.rules.new_event());
        let understood = self
            .rules
            .parse(line, &mut event, &mut self.scratch, &self.stash);
        let overflows = self.pour(&mut event, line.text.len(), understood, now);
        self.event = Some(event);
        overflows
    }

    /// Pour an event that was parsed elsewhere, of a line that had so many bytes.
    pub fn pour(
        &mut self,
        event: &mut Event,
        line_bytes: usize,
        understood: bool,
        now: Timestamp,
    ) -> Vec<Overflow> {
        self.counters.lines += 1;
        self.counters.cut += u64::from(line_bytes > LINE_BYTES_MAX);
        let replay = event.source.log_time;
        if !replay {
            self.clock = self.clock.max(now);
        }
        let mut overflows = if replay { Vec::new() } else { self.tick(now) };
        if !understood {
            return overflows;
        }
        self.counters.parsed += 1;
        let at = happened_at(event, self.clock);
        if !replay && let Some(said) = event.log_time {
            self.skew
                .see(&event.source, said.timestamp(), event.received_at);
        }
        if let Some(at) = at.filter(|_| replay) {
            self.clock = self.clock.max(at);
            overflows = self.tick(self.clock);
        }
        if event.whitelisted.is_some() {
            self.counters.whitelisted += 1;
            return overflows;
        }
        let Ok(address) = self.source(event) else {
            self.counters.proxy_unresolved += 1;
            return overflows;
        };
        if let Some(address) = address
            && is_login(event.field(self.rules.own.log_type))
        {
            self.logins
                .add(address, event.field(self.rules.own.service));
        }
        let Some(at) = at else {
            self.counters.undated += 1;
            return overflows;
        };
        let own = self.rules.own;
        let attempt = event.field(own.attempt);
        if !attempt.is_empty()
            && !self
                .attempts
                .starts(attempt, event.field(own.attempt_part), at)
        {
            self.counters.joined += 1;
            return overflows;
        }
        self.reprocessed = 0;
        self.pour_event(event, at, address, &mut overflows, 0);
        overflows
    }

    /// A followed source whose dates turned out to be off, or right again: once each.
    pub fn skewed(&mut self) -> Option<Skewed> {
        self.skew.news()
    }

    /// The successful logins since the last call, each once, oldest first; at most
    /// [`LOGINS_MAX`](crate::LOGINS_MAX). Every line counts that was understood and that no allowlist let pass, of a
    /// replay as well.
    pub fn take_logins(&mut self) -> Vec<Login> {
        self.logins.take()
    }

    /// Give up what is over: buckets that leaked empty, counters that are due.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Overflow> {
        let rules = Arc::clone(&self.rules);
        let due = self.buckets.expire(&rules.scenarios, now, &rules.keys);
        let mut overflows = Vec::new();
        for overflow in due {
            self.reprocessed = 0;
            self.finish(overflow, now, &mut overflows, 0);
        }
        overflows
    }

    /// When `tick` has something to do, and what.
    #[must_use]
    pub fn next_deadline(&self) -> Option<(Timestamp, &'static str)> {
        self.buckets
            .next_deadline()
            .map(|at| (at, "bucket expires"))
    }

    /// The client, canonical, if there is an address; `Err` if a proxy hides it.
    fn source(&self, event: &mut Event) -> Result<Option<IpAddr>, ProxyHidesClient> {
        let own = self.rules.own;
        let Some(address) = parse_address(event.field(own.source_ip)) else {
            return Ok(None);
        };
        // The rules put the client in its place as soon as they know both; a proxy that still stands here hides it.
        if event.source.trusts_proxy(address) {
            return Err(ProxyHidesClient);
        }
        if address.is_ipv4() && event.field(own.source_ip).contains(&b':') {
            event.set(own.source_ip, address.to_string().as_bytes());
        }
        Ok(Some(address))
    }

    fn pour_event(
        &mut self,
        event: &mut Event,
        at: Timestamp,
        address: Option<IpAddr>,
        overflows: &mut Vec<Overflow>,
        depth: usize,
    ) {
        let rules = Arc::clone(&self.rules);
        let now = self.clock;
        let mut matching = std::mem::take(&mut self.matching);
        rules.scenario_index.candidates(event, &mut matching);
        let is_line = matches!(event.kind, Kind::Log);
        matching.retain(|index| {
            let scenario = &rules.scenarios[*index as usize];
            if is_line && address.is_none() && matches!(scenario.scope, Scope::Ip | Scope::Range) {
                return false;
            }
            let stash = StashAt {
                stash: &self.stash,
                now,
            };
            let passes = scenario
                .filter
                .eval_bool(&Env::of(event, now).with_stash(&stash));
            self.counters.failures += u64::from(passes.is_err());
            passes == Ok(true)
        });
        if !matching.is_empty() {
            self.counters.poured += 1;
            let kept = Arc::new(Kept::of(event, at, address));
            let times = repeated(event.field(rules.own.repeated));
            if let Some(v6 @ IpAddr::V6(_)) = address {
                // An attacker owns its /64: what groups by the source groups by that.
                event.set(rules.own.source_ip, Subject::of(v6).to_string().as_bytes());
            }
            for index in matching.iter().copied() {
                let scenario = &rules.scenarios[index as usize];
                for _ in 0..times {
                    let poured = self.buckets.pour(
                        scenario,
                        index,
                        &Drop {
                            event,
                            kept: &kept,
                            now,
                        },
                        &rules.keys,
                    );
                    self.counters.failures += u64::from(poured.failed);
                    if let Some(overflow) = poured.overflow {
                        self.finish(overflow, now, overflows, depth);
                        break;
                    }
                }
            }
        }
        self.matching = matching;
    }

    /// Postoverflows, and once more into the buckets if the scenario says so and nobody let it off.
    fn finish(
        &mut self,
        mut overflow: Overflow,
        now: Timestamp,
        overflows: &mut Vec<Overflow>,
        depth: usize,
    ) {
        let rules = Arc::clone(&self.rules);
        self.counters.overflows += 1;
        if rules.has_postoverflows() {
            self.judge(&mut overflow, now);
        }
        let scenario = rules
            .scenarios
            .iter()
            .find(|scenario| scenario.name == overflow.scenario);
        let again = overflow.whitelisted.is_none()
            && depth < REPROCESS_DEPTH_MAX
            && self.reprocessed < REPROCESSED_MAX
            && scenario.is_some_and(|scenario| scenario.reprocess);
        if !again {
            overflows.push(overflow);
            return;
        }
        self.reprocessed += 1;
        let mut event = rules.new_event();
        event.start_overflow(Arc::new(overflow.clone()), now);
        overflows.push(overflow);
        let at = event.log_time.map_or(now, |time| time.timestamp());
        self.pour_event(&mut event, at, None, overflows, depth + 1);
    }

    /// Ask the postoverflows about each attacker by himself: who is listed is let off, and nobody else with him.
    /// The detection is whitelisted if nobody is left.
    fn judge(&mut self, overflow: &mut Overflow, now: Timestamp) {
        let rules = Arc::clone(&self.rules);
        let mut event = rules.new_event();
        let mut judged = Arc::new(overflow.clone());
        let (mut left, mut reason) = (Vec::new(), None);
        for attacker in &overflow.attackers {
            Arc::make_mut(&mut judged).attackers = vec![attacker.clone()];
            event.start_overflow(Arc::clone(&judged), now);
            rules.postprocess(&mut event, now, &mut self.scratch, &self.stash);
            match event.whitelisted.take() {
                Some(listed) => reason = Some(listed),
                None => left.push(attacker.clone()),
            }
            // Lets go of the detection, so that the next attacker is put into it without a copy.
            event.kind = Kind::Log;
        }
        if left.is_empty() {
            overflow.whitelisted = reason.map(|reason| reason.to_string());
        } else {
            overflow.attackers = left;
        }
    }

    /// Look closer at somebody of whom others speak, or no longer. Whoever calls it bounds how many these are.
    pub fn prime(&mut self, subject: Subject, is_primed: bool) {
        match is_primed {
            true => self.buckets.primed.insert(subject),
            false => self.buckets.primed.remove(&subject),
        };
    }

    /// Whether others speak of somebody.
    #[must_use]
    pub fn is_primed(&self, subject: Subject) -> bool {
        self.buckets.primed.contains(&subject)
    }

    /// Its memory, to be saved.
    #[must_use]
    pub fn snapshot(&self) -> DetectorSnapshot {
        snapshot::take(
            &self.rules,
            self.seed,
            self.clock,
            &self.buckets,
            &self.attempts,
        )
    }

    /// Put back a memory in place of its own.
    pub fn restore(&mut self, snapshot: DetectorSnapshot) {
        self.seed = snapshot.seed;
        self.clock = snapshot.clock;
        self.buckets = Buckets::new(
            self.rules.scenarios.len(),
            self.seed,
            self.limits.bucket_bytes_max,
        );
        self.attempts = Attempts::new(self.seed);
        snapshot::put_back(snapshot, &self.rules, &mut self.buckets, &mut self.attempts);
    }

    /// Scenarios whose filter lets the event through, for `explain`.
    #[must_use]
    pub fn matching(&self, event: &Event, now: Timestamp) -> Vec<Arc<str>> {
        let stash = StashAt {
            stash: &self.stash,
            now,
        };
        let env = Env::of(event, now).with_stash(&stash);
        let passes = |scenario: &&Arc<crate::scenario::Scenario>| {
            scenario.filter.eval_bool(&env) == Ok(true)
        };
        self.rules
            .scenarios
            .iter()
            .filter(passes)
            .map(|scenario| Arc::clone(&scenario.name))
            .collect()
    }
}

/// A trusted proxy did not say for whom it came.
#[derive(Clone, Copy, Debug)]
struct ProxyHidesClient;

/// When the event happened, by the clock that counts for it. `before` is when the one before it did.
fn happened_at(event: &mut Event, before: Timestamp) -> Option<Timestamp> {
    if event.source.log_time
        && let Some(earlier) = event
            .log_time
            .and_then(|time| event.source.zone.earlier(time))
        && earlier.timestamp() + DISORDER >= before
    {
        event.log_time = Some(earlier);
    }
    let said = event.log_time.map(|time| time.timestamp());
    match said {
        said if event.source.log_time => said,
        Some(said) if said + LATE < event.received_at => Some(said),
        _ => Some(event.received_at),
    }
}

fn repeated(text: &[u8]) -> u32 {
    let times = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<u32>().ok());
    times.unwrap_or(1).clamp(1, REPEATED_MAX)
}

impl Event {
    /// `Meta` as text, for people: what is not UTF-8 is replaced.
    #[must_use]
    pub fn meta_text(&self) -> std::collections::BTreeMap<String, String> {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        self.map(Namespace::Meta)
            .into_iter()
            .map(|(key, value)| (key.to_owned(), text(value)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_counts_as_often_as_it_says_within_reason() {
        for (text, times) in [
            ("", 1),
            ("0", 1),
            ("5", 5),
            ("3000", REPEATED_MAX),
            ("x", 1),
            ("-2", 1),
        ] {
            assert_eq!(repeated(text.as_bytes()), times, "{text}");
        }
    }
}

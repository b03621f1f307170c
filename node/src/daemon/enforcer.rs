//! What is decided becomes what the firewall does: gathers changes, sends them in batches, and sees to it that what
//! is shown is what is enforced.
//!
//! The engine's decisions are the only truth. Changes since the last order are gathered by target, so that a burst
//! costs one order; while an order is under way the next one grows. Whatever goes wrong (the firewall refuses, its
//! table is gone) ends in one remedy: everything anew, in one piece, after a pause that grows. The engine never
//! waits: as long as the firewall refuses, nobody is blocked, and that is said (fail open).
//!
//! The panic flag is a file in the state folder. While it is there, nothing is enforced, whoever made it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use lymph_protocol::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::clock::Stopwatch;
use super::firewall::{Entry, Hit, Measure, Order, Word, Writer};
use crate::engine::Lifted;
use crate::engine::decision::{Decision, Kind};
use crate::engine::decisions::Decisions;
use crate::engine::target::Target;

/// First pause after the firewall refused.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How many entries one look-up asks for.
const VERIFIED_AT_ONCE: usize = 2_000;
/// How often a part of the entries is looked up although nobody is known to have touched them.
const VERIFY_EVERY: Duration = Duration::from_secs(10);

/// How it stands with the firewall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Everything that is decided is enforced, or on its way.
    Sound,
    /// It refused, and why. It is tried again.
    Failing(String),
    /// The operator has broken the glass.
    Panic,
}

/// The loop's end of the firewall.
#[derive(Debug)]
pub(super) struct Enforcer {
    writer: Writer,
    words: mpsc::Receiver<Word>,
    /// `nftables`, `command` or `dry-run`.
    pub(super) name: &'static str,
    panic_flag: PathBuf,
    state: State,
    /// What has changed since the last order; `None` to stop it.
    pending: BTreeMap<Entry, Option<Timestamp>>,
    /// Whether the firewall must be given everything anew.
    needs_all: bool,
    /// Whether it must be told to let everybody in: that is not done with being sent.
    needs_open: bool,
    /// Whether an order is under way whose end will be told.
    under_way: bool,
    not_before: Stopwatch,
    pause: Duration,
    /// Where the look-up of all entries stands.
    verify_from: Option<Entry>,
    /// How many times all entries are still to be looked up as soon as possible: somebody else changed something.
    rounds: u8,
    last_verify: Stopwatch,
    /// Who waits for everything to be in force.
    waiting: Vec<oneshot::Sender<Settled>>,
    /// Entries that were put back.
    pub(super) mended: u64,
    /// Packets that were dropped since the table was made.
    pub(super) packets: u64,
}

/// What somebody who waited is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It is in force.
    InForce,
    /// It is not, and why.
    NotInForce(String),
}

/// What the firewall itself says about entries: whether it has them.
pub(super) type Looked = oneshot::Receiver<Result<Vec<bool>, String>>;

/// What came of a word of the firewall.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// What the operator should know.
    pub(super) warning: Option<String>,
    /// The same, if it is good news.
    pub(super) info: Option<String>,
    /// Refused connections.
    pub(super) hits: Vec<Hit>,
}

impl Enforcer {
    /// The loop's end of a writer. `panic_flag` is a file.
    #[must_use]
    pub(super) fn new(
        (writer, words): (Writer, mpsc::Receiver<Word>),
        name: &'static str,
        panic_flag: PathBuf,
    ) -> Self {
        let state = match panic_flag.exists() {
            true => State::Panic,
            false => State::Sound,
        };
        Enforcer {
            // An earlier run may have left something in it.
            needs_open: state == State::Panic,
            writer,
            words,
            name,
            panic_flag,
            state,
            pending: BTreeMap::new(),
            needs_all: true,
            under_way: false,
            not_before: Stopwatch::start(),
            pause: Duration::ZERO,
            verify_from: None,
            rounds: 0,
            last_verify: Stopwatch::start(),
            waiting: Vec::new(),
            mended: 0,
            packets: 0,
        }
    }

    /// How it stands.
    #[must_use]
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Whether decisions really block anybody.
    #[must_use]
    pub(super) fn is_enforcing(&self) -> bool {
        self.state == State::Sound && self.name != "dry-run"
    }

    /// Changes that are not in force yet.
    #[must_use]
    pub(super) fn behind(&self) -> usize {
        self.pending.len() + usize::from(self.needs_all || self.under_way)
    }

    /// Whether something is to be heard of before everything that is decided is in force.
    #[must_use]
    pub(super) fn is_busy(&self) -> bool {
        self.under_way
    }

    /// A decision is to be enforced.
    pub(super) fn ban(&mut self, decision: &Decision) {
        if let Some(entry) = entry(decision.target, decision.kind) {
            self.change(entry, Some(decision.until));
        }
    }

    /// A decision is no longer to be enforced.
    pub(super) fn unban(&mut self, target: Target, kind: Kind, why: Lifted) {
        // The kernel counts time down itself.
        let ends_by_itself = why == Lifted::Ended && self.name == "nftables";
        if let Some(entry) = entry(target, kind).filter(|_| !ends_by_itself) {
            self.change(entry, None);
        }
    }

    fn change(&mut self, entry: Entry, until: Option<Timestamp>) {
        // Whoever will be given everything needs no changes.
        if !self.needs_all {
            self.pending.insert(entry, until);
        }
    }

    /// Times in the firewall are no longer right: give it everything anew.
    pub(super) fn resync(&mut self) {
        self.needs_all = true;
        self.pending.clear();
    }

    /// Send what is to be sent, if the firewall is free for it.
    pub(super) fn flush(&mut self, decisions: &Decisions, now: Timestamp) {
        let rests = self.not_before.elapsed() < self.pause;
        if self.under_way || rests {
            return;
        }
        if self.state == State::Panic {
            if self.needs_open {
                self.send(Order::Open);
            }
            return;
        }
        let order = if self.needs_all {
            self.pending.clear();
            Order::Replace(in_force(decisions, now).collect())
        } else if !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending).into_iter();
            let left = |until: Timestamp| (until > now).then(|| until.since(now));
            Order::Change(
                pending
                    .map(|(entry, until)| (entry, until.and_then(left)))
                    .collect(),
            )
        } else {
            return self.verify(decisions, now);
        };
        self.send(order);
    }

    fn send(&mut self, order: Order) {
        let (is_all, opens) = (
            matches!(order, Order::Replace(_)),
            matches!(order, Order::Open),
        );
        if self.writer.send(order) {
            self.under_way = true;
            self.needs_all &= !is_all;
            self.needs_open &= !opens;
        } else {
            // Only look-ups can have filled the queue. What was to be sent is among everything.
            self.needs_all |= !opens;
            (self.pause, self.not_before) = (PAUSE_MIN, Stopwatch::start());
        }
    }

    /// Look up a part of what should be in force.
    fn verify(&mut self, decisions: &Decisions, now: Timestamp) {
        if self.rounds == 0 && self.last_verify.elapsed() < VERIFY_EVERY {
            return;
        }
        self.last_verify = Stopwatch::start();
        let from = self.verify_from;
        let rest = in_force(decisions, now).skip_while(|(entry, _)| Some(*entry) <= from);
        let part: Vec<_> = rest.take(VERIFIED_AT_ONCE).collect();
        match part.last().filter(|_| part.len() == VERIFIED_AT_ONCE) {
            Some((last, _)) => self.verify_from = Some(*last),
            None => (self.verify_from, self.rounds) = (None, self.rounds.saturating_sub(1)),
        }
        if !part.is_empty() {
            self.send(Order::Verify(part));
        }
    }

    /// The next word of the firewall.
    pub(super) async fn word(&mut self) -> Word {
        match self.words.recv().await {
            Some(word) => word,
            // The writer has ended; it is told once, by whoever stopped it.
            None => std::future::pending().await,
        }
    }

    /// The firewall has said something.
    pub(super) fn heard(&mut self, word: Word) -> Heard {
        let mut heard = Heard::default();
        match word {
            Word::Done => {
                self.under_way = false;
                self.pause = Duration::ZERO;
                if let State::Failing(_) = self.state {
                    self.state = State::Sound;
                    heard.info = Some("the firewall works again".to_owned());
                }
                self.tell_if_settled();
            }
            Word::Mended(count) => {
                self.under_way = false;
                self.tell_if_settled();
                self.mended += count as u64;
                let some = |count| match count {
                    1 => "one entry".to_owned(),
                    count => format!("{count} entries"),
                };
                heard.warning = (count > 0).then(|| {
                    format!(
                        "SOMEBODY TOOK {} OUT OF LYMPH'S FIREWALL TABLE; they are in force again",
                        some(count)
                    )
                });
            }
            Word::Failed(why) => {
                self.under_way = false;
                self.fail(&why, &mut heard);
            }
            Word::Lost(why) => {
                self.needs_all = true;
                self.pending.clear();
                heard.warning = Some(format!(
                    "THE FIREWALL WAS CHANGED BY SOMEBODY ELSE: {why}; everything is put back now"
                ));
            }
            // What was looked up before somebody changed something says nothing now: once more all of it.
            Word::Doubtful => self.rounds = if self.verify_from.is_some() { 2 } else { 1 },
            Word::Hits { hits, packets } => {
                self.packets = packets;
                heard.hits = hits;
            }
        }
        heard
    }

    fn fail(&mut self, why: &str, heard: &mut Heard) {
        self.needs_all = true;
        self.pending.clear();
        self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        self.not_before = Stopwatch::start();
        let is_news = !matches!(&self.state, State::Failing(known) if known == why);
        if self.state == State::Panic {
            self.needs_open = true;
            heard.warning = Some(format!(
                "PANIC, BUT THE FIREWALL DOES NOT OPEN: {why}; it is tried again"
            ));
        } else {
            self.state = State::Failing(why.to_owned());
            heard.warning = is_news.then(|| {
                format!(
                    "THE FIREWALL REFUSES: {why}; what is new is not enforced, decisions are kept, and it is tried again"
                )
            });
        }
        self.tell_waiting(&Settled::NotInForce(why.to_owned()));
    }

    /// Once a second: has somebody broken the glass, or mended it? Says what the operator should know.
    pub(super) fn look_after(&mut self) -> Option<&'static str> {
        match (self.panic_flag.exists(), self.state == State::Panic) {
            (true, false) => {
                self.state = State::Panic;
                self.pending.clear();
                self.needs_all = true;
                self.tell_waiting(&Settled::NotInForce("panic".to_owned()));
                (self.needs_open, self.pause) = (true, Duration::ZERO);
                Some("PANIC: nothing is enforced until `lymph resume`")
            }
            (false, true) => {
                self.state = State::Sound;
                (self.needs_all, self.needs_open) = (true, false);
                Some("the panic is over: decisions are enforced again")
            }
            (true, true) | (false, false) => None,
        }
    }

    /// Told once everything that is decided by now is in force, or cannot be.
    pub(super) fn settled(&mut self) -> oneshot::Receiver<Settled> {
        let (tell, told) = oneshot::channel();
        match &self.state {
            State::Sound if self.name == "dry-run" => {
                drop(tell.send(Settled::NotInForce("dry run".to_owned())));
            }
            State::Sound if self.behind() > 0 => self.waiting.push(tell),
            State::Sound => drop(tell.send(Settled::InForce)),
            State::Failing(why) => drop(tell.send(Settled::NotInForce(why.clone()))),
            State::Panic => drop(tell.send(Settled::NotInForce("panic".to_owned()))),
        }
        told
    }

    fn tell_if_settled(&mut self) {
        if self.state == State::Sound && self.pending.is_empty() && !self.needs_all {
            self.tell_waiting(&Settled::InForce);
        }
    }

    fn tell_waiting(&mut self, settled: &Settled) {
        for tell in self.waiting.drain(..) {
            // Whoever has gone away needs no answer.
            let _ = tell.send(settled.clone());
        }
    }

    /// Ask the firewall itself whether a target is in force.
    pub(super) fn look(&mut self, target: Target, kind: Kind) -> Option<Looked> {
        let entry = entry(target, kind).filter(|_| self.is_enforcing())?;
        let (tell, told) = oneshot::channel();
        self.writer
            .send(Order::Look(vec![entry], tell))
            .then_some(told)
    }

    /// Nothing more comes.
    pub(super) fn stop(self) {
        self.writer.stop(self.words);
    }
}

fn in_force(decisions: &Decisions, now: Timestamp) -> impl Iterator<Item = (Entry, Duration)> + '_ {
    decisions
        .enforced()
        .filter_map(move |(target, kind, until)| {
            let entry = entry(target, kind)?;
            (until > now).then(|| (entry, until.since(now)))
        })
}

/// What a firewall does about a decision; riddles are for web servers.
fn entry(target: Target, kind: Kind) -> Option<Entry> {
    let measure = match kind {
        Kind::Ban => Measure::Ban,
        Kind::Throttle => Measure::Throttle,
        Kind::Captcha => return None,
    };
    Some(Entry { target, measure })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::firewall::{Backend, Health};
    use super::*;
    use crate::engine::decision::{DetectionId, Origin};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    /// What a firewall was asked for, and whether it refuses.
    #[derive(Debug, Default)]
    struct Heard {
        orders: Vec<String>,
        refuses: bool,
    }

    #[derive(Clone, Debug, Default)]
    struct Fake(Arc<Mutex<Heard>>);

    impl Fake {
        fn hear(&self, order: String) -> Result<(), String> {
            let mut heard = self.0.lock().unwrap();
            if heard.refuses {
                return Err("no".to_owned());
            }
            heard.orders.push(order);
            Ok(())
        }

        fn refuse(&self, refuses: bool) {
            self.0.lock().unwrap().refuses = refuses;
        }

        fn orders(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap().orders)
        }
    }

    impl Backend for Fake {
        fn replace(&mut self, all: &[(Entry, Duration)]) -> Result<(), String> {
            self.hear(format!("replace {}", all.len()))
        }

        fn change(&mut self, changes: &[(Entry, Option<Duration>)]) -> Result<(), String> {
            let more = changes.iter().filter(|(_, left)| left.is_some()).count();
            self.hear(format!("+{more} -{}", changes.len() - more))
        }

        fn look(&mut self, entries: &[Entry]) -> Result<Vec<bool>, String> {
            Ok(vec![true; entries.len()])
        }

        fn open(&mut self) -> Result<(), String> {
            self.hear("open".to_owned())
        }

        fn check(&mut self) -> Health {
            Health::Sound
        }

        fn hits(&mut self) -> Result<Option<(Vec<Hit>, u64)>, String> {
            Ok(None)
        }
    }

    struct Bench {
        fake: Fake,
        enforcer: Enforcer,
        decisions: Decisions,
        dir: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Bench {
            let (fake, dir) = (Fake::default(), tempfile::tempdir().unwrap());
            let writer = Writer::start(Box::new(fake.clone())).unwrap();
            let enforcer = Enforcer::new(writer, "nftables", dir.path().join("panic"));
            let decisions = Decisions::new(1000);
            Bench {
                fake,
                enforcer,
                decisions,
                dir,
            }
        }

        fn ban(&mut self, last: u8) {
            let target = Target::of_address([192, 0, 2, last].into());
            let (kind, origin) = (Kind::Ban, Origin::Lymph);
            let decision = Decision {
                id: DetectionId(1),
                target,
                kind,
                origin,
                reason: "a/b".into(),
                since: NOW,
                until: NOW + Duration::from_secs(3600),
                step: 1,
            };
            self.decisions.apply(decision.clone());
            self.enforcer.ban(&decision);
        }

        fn flush(&mut self) {
            self.enforcer.flush(&self.decisions, NOW);
        }

        async fn settle(&mut self) -> Vec<String> {
            self.flush();
            while self.enforcer.is_busy() {
                let word = self.enforcer.word().await;
                self.enforcer.heard(word);
                self.flush();
            }
            self.fake.orders()
        }
    }

    #[tokio::test]
    async fn a_burst_is_one_order_and_the_next_one_grows_meanwhile() {
        let mut bench = Bench::new();
        (1..=3).for_each(|last| bench.ban(last));
        bench.flush();
        // Under way already; what comes now is the next order, and what cancels out costs nothing more.
        (4..=6).for_each(|last| bench.ban(last));
        let gone = Target::of_address([192, 0, 2, 6].into());
        bench.enforcer.unban(gone, Kind::Ban, Lifted::ByOperator);
        let told = bench.enforcer.settled();
        assert_eq!(bench.settle().await, ["replace 3", "+2 -1"]);
        assert_eq!(told.await, Ok(Settled::InForce));
        bench.enforcer.unban(gone, Kind::Ban, Lifted::Ended);
        bench
            .enforcer
            .unban(gone, Kind::Captcha, Lifted::ByOperator);
        assert!(
            bench.settle().await.is_empty(),
            "the kernel does that itself"
        );
        assert!(bench.enforcer.is_enforcing());
    }

    #[tokio::test]
    async fn who_refuses_is_given_everything_anew() {
        let mut bench = Bench::new();
        bench.settle().await;
        bench.ban(1);
        bench.fake.refuse(true);
        bench.flush();
        let told = bench.enforcer.settled();
        let word = bench.enforcer.word().await;
        assert!(bench.enforcer.heard(word).warning.is_some());
        assert_eq!(told.await, Ok(Settled::NotInForce("no".to_owned())));
        assert_eq!(bench.enforcer.state(), &State::Failing("no".to_owned()));
        bench.ban(2);
        bench.fake.refuse(false);
        bench.flush();
        assert!(!bench.enforcer.is_busy(), "it rests for a while");
        bench.enforcer.not_before = Stopwatch::long_ago();
        bench.fake.orders();
        assert_eq!(bench.settle().await, ["replace 2"]);
        assert!(bench.enforcer.is_enforcing());
    }

    #[tokio::test]
    async fn panic_is_tried_until_the_firewall_opens() {
        let mut bench = Bench::new();
        bench.ban(1);
        bench.settle().await;
        std::fs::write(bench.dir.path().join("panic"), "").unwrap();
        assert!(bench.enforcer.look_after().is_some());
        bench.fake.refuse(true);
        bench.flush();
        let word = bench.enforcer.word().await;
        let said = bench.enforcer.heard(word).warning.unwrap();
        assert!(said.contains("DOES NOT OPEN"), "{said}");
        bench.fake.refuse(false);
        bench.enforcer.not_before = Stopwatch::long_ago();
        bench.ban(2);
        assert_eq!(bench.settle().await, ["open"]);
        assert!(bench.settle().await.is_empty() && !bench.enforcer.is_enforcing());

        // A daemon that starts in a panic opens too, and a panic that ends enforces everything.
        let writer = Writer::start(Box::new(bench.fake.clone())).unwrap();
        bench.enforcer = Enforcer::new(writer, "nftables", bench.dir.path().join("panic"));
        assert_eq!(bench.settle().await, ["open"]);
        std::fs::remove_file(bench.dir.path().join("panic")).unwrap();
        assert!(bench.enforcer.look_after().is_some());
        assert_eq!(bench.settle().await, ["replace 2"]);
    }

    #[tokio::test]
    async fn who_waits_during_a_look_up_is_told_when_it_is_done() {
        let mut bench = Bench::new();
        bench.ban(1);
        bench.settle().await;
        bench.enforcer.last_verify = Stopwatch::long_ago();
        bench.flush();
        assert!(bench.enforcer.is_busy());
        let told = bench.enforcer.settled();
        bench.settle().await;
        assert_eq!(told.await, Ok(Settled::InForce));
        // Somebody else changed something in the middle of it: once to its end, and once more from the beginning.
        bench.enforcer.verify_from = Some(Entry {
            target: Target::of_address([192, 0, 2, 9].into()),
            measure: Measure::Ban,
        });
        bench.enforcer.heard(Word::Doubtful);
        assert_eq!(bench.enforcer.rounds, 2);
        bench.settle().await;
        bench.settle().await;
        assert_eq!(
            (bench.enforcer.rounds, bench.enforcer.verify_from),
            (0, None)
        );
    }
}

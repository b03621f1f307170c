//! Everything that touches the world, and the one loop that carries it to the engine and back.
//!
//! `start` gathers what is needed and says in plain words what will be done; `node` holds the engine and does
//! what it asks for; the loop here waits for whatever comes first: the end, a checkpoint that is on disk, a
//! deadline, a question of the API, lines. Deciding is the engine's, never done here.
//!
//! What must survive lies in the state folder: `lock` (one daemon a folder), `store` (records, see `store`),
//! `checkpoint` (positions and buckets of one moment, see `checkpoint`), `lymph.sock` (see `api`). A checkpoint
//! is made every few seconds while lines come in, after the records of those lines are on disk; after a crash
//! the lines since are read again, and a detection that is made again has the same id and adds nothing.

pub mod api;
pub mod backup;
mod book;
pub mod checkpoint;
pub mod clock;
pub mod discover;
pub mod docker;
mod enforcer;
pub mod firewall;
pub mod identity;
pub mod journal;
mod keeper;
mod lock;
mod mesh;
mod mesh_words;
mod names;
pub mod net;
mod node;
mod sessions;
pub mod sources;
mod start;
mod state;
mod stdin;
mod store;
mod surroundings;
pub mod tail;

pub(crate) use lock::StateLock;
pub(crate) use start::panic_flag;
pub(crate) use state::{make_state_folder, prepare};

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::FutureExt;
use lymph_protocol::Timestamp;
use lymph_protocol::signed::Keypair;
use sd_notify::NotifyState;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use crate::config::Settings;
use crate::config::rules::RuleSet;
use crate::config::zone;
use crate::engine::mesh::MeshLimits;
use crate::engine::request::{MeshRequest, Request};
use crate::engine::{Engine, Input, Snapshot};
use api::Api;
use checkpoint::{Loaded, Record};
use clock::{Clock, Stopwatch};
use enforcer::Enforcer;
use identity::{HighWater, Identity};
use keeper::Keeper;
use mesh::Network;
use names::{Found, Names};
use node::{Facts, Node};
use sources::{ReaderEnded, Sources};
use store::StoreError;

/// How often the daemon looks after itself: clock, store, checkpoint, watchdog.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// Shortest time between two checkpoints: what is read again after a crash.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(2);
/// A checkpoint that took long is made less often, so that it never takes more than this share of the time.
const CHECKPOINT_SHARE: u32 = 20;
/// Least time between two deadlines: many that are close together then cost one wake-up.
const TICK_PAUSE: Duration = Duration::from_millis(20);
/// How often the surroundings of the machine are looked at: who has just logged in should not wait.
const SURROUNDINGS_EVERY: Duration = Duration::from_secs(5);
/// One of so many turns of the loop looks at the network first.
const MESH_TURN: u32 = 4;
/// How long the start waits for the firewall.
const SETTLE: Duration = Duration::from_secs(60);

/// Run until a signal says otherwise. `out` is for the first words to whoever started it.
pub async fn run(settings: Settings, out: &mut (dyn Write + Send)) -> Result<()> {
    let mut end = End::new()?;
    let enforcing = start::firewall(&settings)?;
    let rules = RuleSet {
        bundled: settings.bundled_rules,
        folder: settings.rules.clone(),
    };
    let rules = Arc::new(rules.load()?);
    let (zone, unknown_zone) = zone::of_this_machine();
    let watched = start::sources(&settings, &zone)?;
    state::keep_to_ourselves();
    if let Some(changed) = state::prepare(&settings.state)? {
        tracing::warn!("{changed}");
    }
    let lock = StateLock::take(&settings.state)?;
    start::introduce(out, &settings, &watched, &enforcing)?;
    for warning in rules.warnings() {
        tracing::warn!("{warning}");
    }
    for warning in start::unknown_scenarios(&settings, &rules) {
        tracing::warn!("{warning}");
    }
    if let Some(warning) = unknown_zone {
        tracing::warn!("{warning}");
    }

    let clock = Clock::start();
    let now = clock.now();
    let (mut place, mut wire) = (None, None);
    if settings.mesh.enabled {
        let identity = Identity::open(&settings.state, now)?;
        let high_water = HighWater::open(&settings.state)?;
        if identity.made_now {
            tracing::info!(
                "this node is {}; its keys are made and lie in {}",
                identity.keypair.id(),
                settings.state.display()
            );
        }
        let as_others_see_it = crate::engine::mesh::Identity {
            transport: Keypair::from_secret(&identity.transport).transport_id(),
            keypair: identity.keypair,
            name: settings.mesh.name.clone(),
            host: mesh::host_name(),
            sequence: high_water.value(),
        };
        place = Some((as_others_see_it, high_water));
        wire = Some((identity.transport, Identity::deaths(&settings.state)?));
    }
    let (mut node, positions) = restore(&settings, rules, enforcing, place, now)?;
    settle(&mut node, &clock).await;
    let mut network = None;
    if let Some((key, deaths)) = wire {
        let is_public = node
            .engine
            .mesh()
            .is_some_and(|mesh| mesh.public().is_any());
        network = Some(Network::start(
            settings.mesh.clone(),
            &settings.state,
            key,
            is_public,
        ));
        node.take(Input::Started, clock.now());
        for certificate in deaths {
            let kill = Request::Mesh(MeshRequest::Kill(certificate));
            node.take(Input::Asked(kill), clock.now());
        }
    }
    let (sources, notices) = Sources::new(watched.specs, positions);
    notices.into_iter().for_each(|notice| node.note(notice));
    let api = Api::start(&settings.state)?;
    let checkpoint = Checkpoint::new(settings.state.join("checkpoint"));
    let mut daemon = Daemon {
        node,
        clock,
        sources,
        api,
        checkpoint,
        last_surroundings: now,
        was_stuck: false,
        names: Names::start(),
        network,
        was_public: None,
        _lock: lock,
    };
    daemon.want_names();
    daemon.checkpoint.is_due = true;
    daemon.save_checkpoint().await;
    // Without a service manager there is nobody to tell.
    let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status("watching")]);
    let ended = daemon.work(&mut end).await;
    daemon.stop().await;
    Ok(ended?)
}

/// An engine that knows what its last run knew, and where that run stopped reading.
fn restore(
    settings: &Settings,
    rules: Arc<lymph_scenarios::Rules>,
    enforcing: start::Enforcing,
    place: Option<(crate::engine::mesh::Identity, HighWater)>,
    now: Timestamp,
) -> Result<(Node, Option<sources::Positions>)> {
    let (keeper, records, said) = Keeper::open(&settings.state, now);
    said.iter().for_each(|said| tracing::warn!("{said}"));
    let mut engine = Engine::new(rules, settings.engine.clone(), seed());
    let high_water = place.map(|(identity, high_water)| {
        engine.enter_mesh(identity, MeshLimits::default(), now);
        high_water
    });
    let facts = Facts {
        state: settings.state.clone(),
        config: settings.config.clone(),
        firewall: enforcing.text,
        started_at: now,
    };
    let writer = firewall::Writer::start(enforcing.backend)
        .context("the firewall's writer cannot be started")?;
    let enforcer = Enforcer::new(writer, enforcing.name, start::panic_flag(&settings.state));
    let mut node = Node::new(engine, keeper, enforcer, high_water, facts);
    node.take(Input::Surroundings(surroundings::look()), now);
    let records_count = records.len();
    for record in records {
        node.take(Input::Restored(record), now);
    }
    if records_count > 0 {
        let (decisions, alerts) = (node.engine.decisions().len(), node.engine.alerts().len());
        tracing::info!("{decisions} decisions and {alerts} detections are restored");
    }
    let path = settings.state.join("checkpoint");
    let positions = match checkpoint::load::<EnginePart>(&path, now)
        .with_context(|| format!("cannot read {}", path.display()))?
    {
        Loaded::Record(record) => {
            match Snapshot::decode(&record.engine.snapshot) {
                Ok(snapshot) => node.take(Input::Resumed(Box::new(snapshot)), now),
                Err(error) => {
                    tracing::warn!("half-full buckets of the last run are given up: {error}")
                }
            }
            let has_lost = node
                .keeper
                .generation()
                .is_some_and(|found| found < record.engine.store_generation);
            if has_lost && !node.keeper.is_replaced {
                tracing::warn!(
                    "THE STORE HAS LOST what was last written to it; some decisions and detections are forgotten"
                );
            }
            Some(record.positions)
        }
        Loaded::Nothing => None,
        Loaded::Corrupt { moved_to, why } => {
            let aside = moved_to
                .map(|path| format!(" and is moved to {}", path.display()))
                .unwrap_or_default();
            tracing::warn!(
                "THE CHECKPOINT WAS DAMAGED ({why}){aside}; lines that were written while lymph was down are not read"
            );
            None
        }
    };
    node.write();
    Ok((node, positions))
}

/// What was decided before is in force before the first line is read; a firewall that refuses keeps nobody waiting.
async fn settle(node: &mut Node, clock: &Clock) {
    node.enforce(clock.now());
    let patience = tokio::time::sleep(SETTLE);
    tokio::pin!(patience);
    while node.enforcer.is_busy() {
        tokio::select! {
            () = &mut patience => {
                return tracing::warn!("the firewall takes long; lines are read meanwhile");
            }
            word = node.enforcer.word() => node.heard(word, clock.now()),
        }
    }
}

/// A number that nobody outside can guess, from the system's own source of them.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// What a checkpoint holds beside the positions.
#[derive(Debug, Serialize, Deserialize)]
struct EnginePart {
    /// The engine's snapshot, in its own encoding.
    snapshot: Vec<u8>,
    /// How often the store was written to by then. Whatever that was is on disk before the checkpoint.
    store_generation: u64,
}

/// Whoever wants the daemon to end says so with a signal, from its first moment on.
struct End {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl End {
    fn new() -> Result<Self> {
        Ok(End {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn come(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                Some(()) = self.hangup.recv() => tracing::info!(
                    "asked to reload (SIGHUP): logs that are rotated or new are found without that, and for another \
                     configuration or other rules restart lymph"
                ),
            }
        }
    }
}

/// Everything that the loop holds.
struct Daemon {
    node: Node,
    clock: Clock,
    sources: Sources,
    api: Api,
    checkpoint: Checkpoint,
    last_surroundings: Timestamp,
    /// Whether the reader of the files was seen not to go on.
    was_stuck: bool,
    names: Names,
    /// This machine's end of the mesh.
    network: Option<Network>,
    /// Whether the wire was last opened for the public mesh.
    was_public: Option<bool>,
    _lock: StateLock,
}

/// When checkpoints are made, and the one that is on its way to the disk.
struct Checkpoint {
    path: PathBuf,
    /// Whether anything has changed since the last one.
    is_due: bool,
    not_before: Stopwatch,
    pause: Duration,
    writing: Option<JoinHandle<Written>>,
}

impl Checkpoint {
    fn new(path: PathBuf) -> Self {
        Checkpoint {
            path,
            is_due: false,
            not_before: Stopwatch::start(),
            pause: Duration::ZERO,
            writing: None,
        }
    }
}

impl Daemon {
    /// Until somebody wants it to end, or a reader has ended: better no daemon than one that looks healthy and
    /// sees nothing.
    async fn work(&mut self, end: &mut End) -> Result<(), ReaderEnded> {
        let mut look_after = tokio::time::interval(LOOK_AFTER);
        look_after.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut not_before = tokio::time::Instant::now();
        let mut turn = 0;
        loop {
            self.carry().await;
            // Local lines go first, but a flood of them does not make this node deaf to its siblings.
            turn = (turn + 1) % MESH_TURN;
            if turn == 0
                && let Some(event) = mesh::event(&mut self.network).now_or_never()
            {
                self.take_mesh(event);
                self.carry().await;
            }
            let deadline = self.node.engine.next_deadline();
            let due = deadline.map(|(at, _)| self.clock.instant_of(at).into());
            let due = due.map(|due: tokio::time::Instant| due.max(not_before));
            tokio::select! {
                biased;
                () = end.come() => return Ok(()),
                Some(written) = written(&mut self.checkpoint.writing) => self.checkpoint_written(written),
                () = sleep_until(due) => {
                    tracing::trace!(why = deadline.map(|(_, why)| why), "woke up");
                    let now = self.clock.now();
                    self.node.take(Input::Tick, now);
                    self.node.enforce(now);
                    self.node.write();
                    not_before = tokio::time::Instant::now() + TICK_PAUSE;
                }
                word = self.node.enforcer.word() => self.node.heard(word, self.clock.now()),
                _ = look_after.tick() => self.look_after(),
                found = self.names.found() => self.found(found),
                Some(question) = self.api.questions.recv() => {
                    self.node.answer(question, &self.sources, self.network.as_ref(), self.clock.now());
                    self.want_names();
                }
                batch = self.sources.next() => {
                    let batch = batch?;
                    self.node.take_lines(&batch, self.clock.now());
                    self.sources.taken(batch);
                    self.checkpoint.is_due = true;
                }
                event = mesh::event(&mut self.network) => self.take_mesh(event),
            }
        }
    }

    /// The network brings something.
    fn take_mesh(&mut self, event: Option<crate::engine::mesh::Input>) {
        let Some(input) = event else { return };
        let now = self.clock.now();
        self.node.take(Input::Mesh(input), now);
        self.node.enforce(now);
        self.node.write();
    }

    /// Have the network do what the engine wants, and nothing of it before what it rests on is on disk.
    async fn carry(&mut self) {
        let Some(network) = &mut self.network else {
            self.node.outgoing.clear();
            return;
        };
        let is_public = self
            .node
            .engine
            .mesh()
            .is_some_and(|mesh| mesh.public().is_any());
        if self
            .was_public
            .replace(is_public)
            .is_some_and(|was| was != is_public)
        {
            tracing::info!(
                "the mesh begins anew, {} the public one",
                if is_public { "with" } else { "without" }
            );
            let gone = network.reopen(is_public).await;
            let now = self.clock.now();
            self.node.outgoing.clear();
            for input in gone {
                self.node.take(Input::Mesh(input), now);
            }
            self.node.take(Input::Started, now);
        }
        if !self.node.outgoing.is_empty() {
            self.node.write();
            network.carry(std::mem::take(&mut self.node.outgoing).into_iter());
        }
    }

    /// Have the names on the allowlist looked up.
    fn want_names(&mut self) {
        let wanted: Vec<_> = self.node.engine.allowlist().names().cloned().collect();
        self.node.unresolved.retain(|name, _| wanted.contains(name));
        self.names.want(wanted);
    }

    /// A name was looked up, or not.
    fn found(&mut self, found: Found) {
        let now = self.clock.now();
        let Found { name, addresses } = found;
        match addresses {
            Ok(addresses) => {
                self.node.unresolved.remove(&name);
                self.node.take(Input::Resolved { name, addresses }, now);
                self.node.enforce(now);
                self.node.write();
            }
            Err(why) => {
                if self
                    .node
                    .unresolved
                    .insert(name.clone(), why.clone())
                    .is_none()
                {
                    tracing::warn!(
                        "{name} on the allowlist cannot be looked up: {why}; what it was before stays allowed"
                    );
                }
            }
        }
    }

    /// Once a second: everything that needs no haste.
    fn look_after(&mut self) {
        if let Some(network) = &mut self.network {
            network.look_after();
        }
        if let Some(said) = self.node.enforcer.look_after() {
            tracing::warn!("{said}");
        }
        if let Some(before) = self.clock.check() {
            let now = self.clock.now();
            self.node.take(Input::ClockStepped { before }, now);
            self.node.enforcer.resync();
            self.last_surroundings = now;
        }
        if self.clock.take_sleep() {
            self.node.enforcer.resync();
        }
        let now = self.clock.now();
        if now.since(self.last_surroundings) >= SURROUNDINGS_EVERY {
            self.last_surroundings = now;
            self.node
                .take(Input::Surroundings(surroundings::look()), now);
        }
        self.node.enforce(now);
        self.node.mend_store(now);
        self.node.write();
        self.start_checkpoint(now);
        if self.sources.is_reading() {
            self.was_stuck = false;
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        } else if !std::mem::replace(&mut self.was_stuck, true) {
            tracing::error!(
                "no log file has been looked at for half a minute: does one lie on a disk that does not answer?"
            );
        }
    }

    /// Send a checkpoint on its way, if there is something new in it and the last one is through.
    fn start_checkpoint(&mut self, now: Timestamp) {
        let checkpoint = &mut self.checkpoint;
        if !checkpoint.is_due
            || checkpoint.writing.is_some()
            || checkpoint.not_before.elapsed() < checkpoint.pause
        {
            return;
        }
        // Without a store there is none: whatever was read since the last one will be read again.
        let Some(store) = self.node.keeper.flusher() else {
            return;
        };
        let started = Stopwatch::start();
        let snapshot = match self.node.engine.snapshot().encode() {
            Ok(snapshot) => snapshot,
            Err(error) => return tracing::warn!("no checkpoint can be made: {error}"),
        };
        let store_generation = self.node.keeper.generation().unwrap_or_default();
        let engine = EnginePart {
            snapshot,
            store_generation,
        };
        let record = Record {
            saved_at: now,
            positions: self.sources.positions().clone(),
            engine,
        };
        let path = checkpoint.path.clone();
        checkpoint.is_due = false;
        checkpoint.writing = Some(tokio::task::spawn_blocking(move || {
            // First what came of the lines, then that they are done.
            let flushed = store.flush();
            let saved = if flushed.is_ok() {
                checkpoint::save(&path, &record)
            } else {
                Ok(())
            };
            (flushed, saved, started.elapsed())
        }));
    }

    fn checkpoint_written(&mut self, written: Written) {
        let (flushed, saved, took) = written;
        let checkpoint = &mut self.checkpoint;
        (checkpoint.writing, checkpoint.not_before) = (None, Stopwatch::start());
        checkpoint.pause = CHECKPOINT_EVERY.max(took * CHECKPOINT_SHARE);
        if let Err(error) = flushed {
            checkpoint.is_due = true;
            if let Some(failure) = self.node.keeper.fail(&error) {
                tracing::warn!("{failure}");
            }
        }
        let failure = saved.err().map(|error| error.to_string());
        match (&failure, &self.node.checkpoint_failure) {
            (Some(error), None) => tracing::warn!("{error}"),
            (None, Some(_)) => tracing::info!("checkpoints are saved again"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        checkpoint.is_due |= failure.is_some();
        self.node.checkpoint_failure = failure;
    }

    /// Make a checkpoint and wait until it is on disk.
    async fn save_checkpoint(&mut self) {
        if let Some(written) = written(&mut self.checkpoint.writing).await {
            self.checkpoint_written(written);
        }
        self.checkpoint.pause = Duration::ZERO;
        self.start_checkpoint(self.clock.now());
        if let Some(written) = written(&mut self.checkpoint.writing).await {
            self.checkpoint_written(written);
        }
    }

    async fn stop(mut self) {
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        tracing::info!("stopping");
        self.node.write();
        self.save_checkpoint().await;
        self.api.stop();
        self.names.stop();
        if self.node.enforcer.is_enforcing() {
            tracing::info!(
                "bans stay in the firewall until they end; `lymph panic` takes them out"
            );
        }
        self.node.enforcer.stop();
        if let Some(network) = self.network.take() {
            network.stop().await;
        }
    }
}

type Written = (
    Result<(), StoreError>,
    Result<(), checkpoint::SaveError>,
    Duration,
);

/// The checkpoint that is on its way, once it is on disk; `None` if there is none.
async fn written(writing: &mut Option<JoinHandle<Written>>) -> Option<Written> {
    match writing.as_mut()?.await {
        Ok(written) => Some(written),
        Err(error) => {
            *writing = None;
            tracing::error!("a checkpoint broke off: {error}");
            None
        }
    }
}

async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

//! What the swarm counts, for `status` and the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was counted up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Connections that stand.
    pub connections: u64,
    /// Peers that are connected.
    pub peers: u64,
    /// Messages that came in and were new.
    pub messages_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Messages of ours that went out.
    pub messages_out: u64,
    /// Their bytes, each message counted once.
    pub bytes_out: u64,
    /// Messages ignored at once, because nobody took them or their sender brought too many.
    pub messages_dropped: u64,
    /// Other words that were dropped because nobody took them.
    pub words_dropped: u64,
    /// Messages that wait to be judged.
    pub judgements_pending: u64,
    /// Messages that were given up before anybody judged them.
    pub judgements_given_up: u64,
    /// Questions of others that wait for our answer.
    pub asks_pending: u64,
    /// Questions of others that were refused.
    pub asks_refused: u64,
    /// Dials that failed.
    pub dials_failed: u64,
    /// Incoming connections that failed or were denied.
    pub incoming_failed: u64,
    /// Messages of ours that wait since no peer could take them.
    pub unsent: u64,
    /// How often one of them was tried again.
    pub retried: u64,
    /// Messages of ours that were given up since too many waited.
    pub lost: u64,
    /// How often a peer could not follow.
    pub slow: u64,
    /// Peers that are connected and are not listened to for what they did.
    pub graylisted: u64,
    /// Peers that were disconnected because they brought far too much.
    pub flooders: u64,
}

/// The same, while it changes.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: AtomicU64,
    pub(super) peers: AtomicU64,
    pub(super) messages_in: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) messages_out: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    pub(super) messages_dropped: AtomicU64,
    pub(super) words_dropped: AtomicU64,
    pub(super) judgements_pending: AtomicU64,
    pub(super) judgements_given_up: AtomicU64,
    pub(super) asks_pending: AtomicU64,
    pub(super) asks_refused: AtomicU64,
    pub(super) dials_failed: AtomicU64,
    pub(super) incoming_failed: AtomicU64,
    pub(super) unsent: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) slow: AtomicU64,
    pub(super) graylisted: AtomicU64,
    pub(super) flooders: AtomicU64,
}

impl Counters {
    /// Count.
    pub(super) fn add(counter: &AtomicU64, more: usize) {
        counter.fetch_add(more as u64, Ordering::Relaxed);
    }

    /// Set what is a level.
    pub(super) fn set(counter: &AtomicU64, now: usize) {
        counter.store(now as u64, Ordering::Relaxed);
    }

    /// Read all.
    pub(super) fn figures(&self) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            connections: read(&self.connections),
            peers: read(&self.peers),
            messages_in: read(&self.messages_in),
            bytes_in: read(&self.bytes_in),
            messages_out: read(&self.messages_out),
            bytes_out: read(&self.bytes_out),
            messages_dropped: read(&self.messages_dropped),
            words_dropped: read(&self.words_dropped),
            judgements_pending: read(&self.judgements_pending),
            judgements_given_up: read(&self.judgements_given_up),
            asks_pending: read(&self.asks_pending),
            asks_refused: read(&self.asks_refused),
            dials_failed: read(&self.dials_failed),
            incoming_failed: read(&self.incoming_failed),
            unsent: read(&self.unsent),
            retried: read(&self.retried),
            lost: read(&self.lost),
            slow: read(&self.slow),
            graylisted: read(&self.graylisted),
            flooders: read(&self.flooders),
        }
    }
}

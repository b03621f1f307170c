//! Words on their way out of the swarm: never waited for, never without bound.
//!
//! There is a queue to whoever listens, and a small one before it for when that is full. Messages use the first alone
//! and only while it has room to spare, for gossip is redundant; a part of that room is for messages that friends bring,
//! so that strangers cannot keep them from being heard. Of the rest, what merely informs is dropped when the
//! second is full too; what the listener counts on (who is connected, answers, questions) is kept, and when even that
//! is too much the swarm pauses until somebody listens again.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc::{self, error::TrySendError};

use super::Word;
use super::figures::Counters;

/// How many words may wait for the listener.
pub(super) const WORDS_MAX: usize = 4096;
/// How many of those places messages leave to other words.
const SPARE: usize = 512;
/// How many more those of strangers leave to those of friends.
const FOR_FRIENDS: usize = 1024;
/// Beyond so many waiting words, what merely informs is dropped.
const INFORM_MAX: usize = 1024;
/// Beyond so many, the swarm pauses.
pub(super) const PAUSE_AT: usize = 4096;

/// The two queues.
#[derive(Debug)]
pub(super) struct Outbox {
    sender: mpsc::Sender<Word>,
    waiting: VecDeque<Word>,
    counters: Arc<Counters>,
}

impl Outbox {
    /// An empty one.
    pub(super) fn new(counters: Arc<Counters>) -> (Self, mpsc::Receiver<Word>) {
        let (sender, receiver) = mpsc::channel(WORDS_MAX);
        let outbox = Outbox {
            sender,
            waiting: VecDeque::new(),
            counters,
        };
        (outbox, receiver)
    }

    /// Whether a message would get through that a friend brings, or somebody else.
    pub(super) fn has_room(&self, is_friends: bool) -> bool {
        let spare = if is_friends {
            SPARE
        } else {
            SPARE + FOR_FRIENDS
        };
        self.waiting.is_empty() && self.sender.capacity() > spare
    }

    /// Say something that is not a message, or a message after `has_room` said yes.
    pub(super) fn say(&mut self, word: Word) {
        let word = if self.waiting.is_empty() {
            match self.sender.try_send(word) {
                Ok(()) => return,
                Err(TrySendError::Full(word)) => word,
                // Nobody listens any more: the end is near.
                Err(TrySendError::Closed(_)) => return,
            }
        } else {
            word
        };
        if self.waiting.len() >= INFORM_MAX && merely_informs(&word) {
            Counters::add(&self.counters.words_dropped, 1);
            return;
        }
        self.waiting.push_back(word);
    }

    /// Whether words wait behind a full queue.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether the swarm has to pause.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= PAUSE_AT
    }

    /// The queue, to wait for room in it.
    pub(super) fn queue(&self) -> mpsc::Sender<Word> {
        self.sender.clone()
    }

    /// There is room again.
    pub(super) fn move_up(&mut self) {
        while let Some(word) = self.waiting.pop_front() {
            match self.sender.try_send(word) {
                Ok(()) => {}
                Err(TrySendError::Full(word)) => {
                    self.waiting.push_front(word);
                    return;
                }
                Err(TrySendError::Closed(_)) => {
                    self.waiting.clear();
                    return;
                }
            }
        }
    }
}

fn merely_informs(word: &Word) -> bool {
    match word {
        Word::Listening { .. }
        | Word::NotListening { .. }
        | Word::External { .. }
        | Word::Slow { .. }
        | Word::NotPublished { .. }
        | Word::Found { .. } => true,
        Word::Reachable { .. }
        | Word::Connected { .. }
        | Word::Disconnected { .. }
        | Word::Message { .. }
        | Word::Asked { .. }
        | Word::Answered { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_that_counts_is_lost_and_nothing_grows_for_ever() {
        let counters = Arc::new(Counters::default());
        let (mut outbox, mut words) = Outbox::new(counters.clone());
        let informs = || Word::Found {
            address: "/ip4/1.2.3.4/tcp/5".to_owned(),
            how: "test",
        };
        let counts = |id| Word::Answered {
            id,
            from: super::super::TransportId::from_bytes([0; 32]),
            answer: Err("no".to_owned()),
        };
        assert!(outbox.has_room(false));
        for _ in 0..WORDS_MAX - SPARE - FOR_FRIENDS {
            outbox.say(informs());
        }
        assert!(!outbox.has_room(false) && outbox.has_room(true));
        for _ in 0..FOR_FRIENDS {
            outbox.say(informs());
        }
        assert!(!outbox.has_room(true), "messages leave room for the rest");
        assert!(!outbox.is_waiting());
        for _ in 0..SPARE + 10 * INFORM_MAX {
            outbox.say(informs());
        }
        assert_eq!(outbox.waiting.len(), INFORM_MAX);
        assert_eq!(counters.figures().words_dropped, 9 * INFORM_MAX as u64);
        let mut said = 0;
        while !outbox.is_full() {
            outbox.say(counts(said));
            said += 1;
        }
        assert_eq!(outbox.waiting.len(), PAUSE_AT);

        let mut heard = 0;
        while let Ok(word) = words.try_recv() {
            outbox.move_up();
            if let Word::Answered { id, .. } = word {
                assert_eq!(id, heard, "in their order");
                heard += 1;
            }
        }
        assert_eq!(heard, said);
        assert!(outbox.has_room(false));
    }
}

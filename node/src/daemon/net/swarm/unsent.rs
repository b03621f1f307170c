//! Messages of ours that no peer took, since all queues to them were full: kept in their order and tried again.
//!
//! While one waits, those that come after it wait behind it, so that we say less as long as others cannot follow. The
//! pauses double. Full, the oldest goes and is said to be lost; whoever missed it hears it by catching up.
//!
//! gossipsub takes a message once, whether or not a peer took it: what failed is known by its id from then on, and is
//! handed on once more as if it had been judged good, until another message shows that there is room again.

use std::collections::VecDeque;
use std::time::Duration;

use libp2p::gossipsub::MessageId;
use tokio::time::Instant;

/// How many may wait.
pub(super) const UNSENT_MAX: usize = 4096;
/// How many bytes they may have together.
pub(super) const UNSENT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The first pause.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest one.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How many that failed are handed on again.
const FAILED_MAX: usize = 16;

/// A message: topic and bytes.
pub(super) type Message = (String, Vec<u8>);

/// Those that wait.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    waiting: VecDeque<Message>,
    bytes: usize,
    failed: VecDeque<MessageId>,
    failures: u32,
    next: Option<Instant>,
}

impl Unsent {
    /// Whether a new message has to wait.
    pub(super) fn is_busy(&self, now: Instant) -> bool {
        !self.waiting.is_empty() || self.next.is_some_and(|next| now < next)
    }

    /// One more, behind the others. Those that have to go for it come back.
    pub(super) fn push(&mut self, message: Message) -> Vec<Message> {
        self.bytes += message.1.len();
        self.waiting.push_back(message);
        let mut lost = Vec::new();
        while self.waiting.len() > UNSENT_MAX || self.bytes > UNSENT_BYTES_MAX {
            lost.extend(self.pop());
        }
        lost
    }

    /// The first one, to be tried; none while it is too early.
    pub(super) fn due(&mut self, now: Instant) -> Option<Message> {
        match self.next {
            Some(next) if now < next => None,
            Some(_) | None => self.pop(),
        }
    }

    fn pop(&mut self) -> Option<Message> {
        let message = self.waiting.pop_front()?;
        self.bytes -= message.1.len();
        Some(message)
    }

    /// A message was taken: there is room.
    pub(super) fn worked(&mut self) {
        self.failed.clear();
        (self.failures, self.next) = (0, None);
    }

    /// A message was not: a pause. How many had to go for it.
    pub(super) fn failed(&mut self, message: MessageId, now: Instant) -> usize {
        self.failed.push_back(message);
        let surplus = self.failed.len().saturating_sub(FAILED_MAX);
        self.failed.drain(..surplus);
        let pause = PAUSE_MIN * 2_u32.pow(self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        self.next = Some(now + pause.min(PAUSE_MAX));
        surplus
    }

    /// Those that failed, to be handed on once more; none while it is too early.
    pub(super) fn again(&mut self, now: Instant) -> Vec<MessageId> {
        if self.next.is_some_and(|next| now < next) {
            return Vec::new();
        }
        // Until it is known that there is room they are kept; with nothing else to say it is never known.
        match self.waiting.is_empty() {
            true => std::mem::take(&mut self.failed).into(),
            false => self.failed.iter().cloned().collect(),
        }
    }

    /// A friend cannot follow: a short pause, if there is none yet.
    pub(super) fn slow_down(&mut self, now: Instant) {
        self.next.get_or_insert(now + PAUSE_MIN);
    }

    /// When to try next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.next
            .filter(|_| !self.waiting.is_empty() || !self.failed.is_empty())
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.failed.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: usize, bytes: usize) -> Message {
        (n.to_string(), vec![0; bytes])
    }

    #[test]
    fn they_wait_in_their_order_and_longer_and_longer() {
        let mut now = tokio::time::Instant::now();
        let mut unsent = Unsent::default();
        assert!(!unsent.is_busy(now));
        for n in 0..3 {
            assert!(unsent.push(message(n, 10)).is_empty());
        }
        let mut pauses = Vec::new();
        for n in 0..10 {
            assert_eq!(unsent.failed(MessageId::from(n.to_string()), now), 0);
            assert!(unsent.again(now).is_empty());
            assert!(unsent.is_busy(now) && unsent.due(now).is_none());
            let next = unsent.next_due().unwrap();
            pauses.push(next - now);
            now = next;
        }
        assert!(pauses.is_sorted() && pauses[1] == 2 * pauses[0]);
        assert_eq!(pauses[9], PAUSE_MAX);
        assert_eq!((unsent.again(now).len(), unsent.len()), (10, 13));
        for n in 0..3 {
            assert_eq!(unsent.due(now).unwrap().0, n.to_string());
            unsent.worked();
        }
        assert!(!unsent.is_busy(now) && unsent.bytes == 0 && unsent.len() == 0);
        // With nothing behind them they are handed on once.
        for n in 0..2 * FAILED_MAX {
            let surplus = unsent.failed(MessageId::from(n.to_string()), now);
            assert_eq!(surplus, usize::from(n >= FAILED_MAX));
        }
        let now = unsent.next_due().unwrap();
        assert_eq!(unsent.again(now).len(), FAILED_MAX);
        assert_eq!((unsent.len(), unsent.next_due()), (0, None));
        unsent.worked();
        unsent.slow_down(now);
        assert!(unsent.is_busy(now) && !unsent.is_busy(now + PAUSE_MIN));
    }

    #[test]
    fn full_the_oldest_goes() {
        let mut unsent = Unsent::default();
        for n in 0..UNSENT_MAX {
            assert!(unsent.push(message(n, 10)).is_empty());
        }
        assert_eq!(unsent.push(message(9, 10)), [message(0, 10)]);
        assert_eq!(unsent.len(), UNSENT_MAX);
        let mut unsent = Unsent::default();
        for n in 0..4 {
            assert!(unsent.push(message(n, UNSENT_BYTES_MAX / 4)).is_empty());
        }
        assert_eq!(unsent.push(message(9, 1)).len(), 1);
        assert!(unsent.bytes <= UNSENT_BYTES_MAX);
    }
}

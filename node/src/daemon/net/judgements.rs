//! Messages that somebody has still to judge: which one a handle stands for.
//!
//! Bounded in number and in bytes; when it is full the oldest is given up and counts as ignored, since gossip brings
//! what matters again.

use std::collections::BTreeMap;

use libp2p::PeerId;
use libp2p::gossipsub::MessageId;

use super::MessageHandle;

/// How many messages may wait.
pub(super) const WAITING_MAX: usize = 65_536;
/// How many bytes they may have together: gossip keeps each until it is judged.
pub(super) const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// What gossip calls it.
    pub(super) message: MessageId,
    /// Who brought it.
    pub(super) from: PeerId,
    bytes: usize,
}

/// All messages that wait.
#[derive(Debug, Default)]
pub(super) struct Judgements {
    waiting: BTreeMap<u64, Waiting>,
    bytes: usize,
    next: u64,
}

impl Judgements {
    /// Let a message wait. Whoever has to go for it comes back.
    pub(super) fn wait(
        &mut self,
        message: MessageId,
        from: PeerId,
        bytes: usize,
    ) -> (MessageHandle, Option<Waiting>) {
        let handle = self.next;
        self.next += 1;
        self.bytes += bytes;
        self.waiting.insert(
            handle,
            Waiting {
                message,
                from,
                bytes,
            },
        );
        let full = self.waiting.len() > WAITING_MAX || self.bytes > WAITING_BYTES_MAX;
        let oldest = self.waiting.first_key_value().map(|(oldest, _)| *oldest);
        // The message itself has 16 KiB at most, so one has to go for it, or none.
        let given_up = oldest
            .filter(|_| full)
            .and_then(|oldest| self.remove(oldest));
        (MessageHandle(handle), given_up)
    }

    /// The message of a handle, which is judged now. None if that was done before or it was given up.
    pub(super) fn take(&mut self, handle: MessageHandle) -> Option<Waiting> {
        self.remove(handle.0)
    }

    fn remove(&mut self, handle: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&handle)?;
        self.bytes -= waiting.bytes;
        Some(waiting)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_judged_once() {
        let mut table = Judgements::default();
        let from = PeerId::random();
        let (handle, given_up) = table.wait(MessageId::from("a"), from, 10);
        assert_eq!(given_up, None);
        assert_eq!(table.take(handle).unwrap().from, from);
        assert_eq!(table.take(handle), None);
        assert_eq!(table.take(MessageHandle(u64::MAX)), None);
        assert_eq!((table.len(), table.bytes), (0, 0));
    }

    #[test]
    fn the_oldest_goes_when_it_is_full() {
        let from = PeerId::random();
        let mut table = Judgements::default();
        for n in 0..WAITING_MAX {
            let (_, given_up) = table.wait(MessageId::from(n.to_string()), from, 10);
            assert_eq!(given_up, None);
        }
        let (_, given_up) = table.wait(MessageId::from("new"), from, 10);
        assert_eq!(given_up.unwrap().message, MessageId::from("0"));
        assert_eq!(table.len(), WAITING_MAX);

        let mut table = Judgements::default();
        for n in 0..4 {
            let (_, given_up) =
                table.wait(MessageId::from(n.to_string()), from, WAITING_BYTES_MAX / 4);
            assert_eq!(given_up, None);
        }
        let (_, given_up) = table.wait(MessageId::from("new"), from, 16 * 1024);
        assert_eq!(given_up.unwrap().message, MessageId::from("0"));
    }
}

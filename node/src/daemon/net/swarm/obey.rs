//! Orders, carried out one by one.
//!
//! What cannot be done is said by a word if somebody waits for it, and logged otherwise. The next step of the path is
//! libp2p, or `ways` for whatever is dialled.

use libp2p::PeerId;
use libp2p::gossipsub::{IdentTopic, MessageAcceptance, MessageId, PublishError, TopicHash};

use super::super::ask::{ASK_BYTES_MAX, Answer};
use super::super::convert::{self, to_peer};
use super::super::figures::Counters;
use super::super::gossip::{self, MESSAGE_BYTES_MAX, TOPIC_BYTES_MAX, TOPICS_MAX};
use super::super::peers::Source;
use super::super::{Acceptance, Order, TransportId, Word};
use super::{Asking, Task};

/// How many questions of ours may wait. More are answered with an error at once.
pub(in super::super) const ASKING_MAX: usize = 256;
/// How many scores are remembered. When full, the one nearest to nothing goes.
const SCORES_MAX: usize = 4096;
/// How many peers are blocked. When full, the first is forgotten.
const BLOCKED_MAX: usize = 16_384;
/// How many addresses of one order are read.
const ADDRESSES_MAX: usize = 64;
/// The least and the most that may be thought of a peer.
const SCORE: std::ops::RangeInclusive<f64> = -1000.0..=50.0;

impl Task {
    pub(super) fn obey(&mut self, order: Order) {
        match order {
            Order::Join { topic, flood } => self.join(topic, flood),
            Order::Leave { topic } => self.leave(&topic),
            Order::Publish { topic, bytes } => self.publish(topic, bytes),
            Order::Judge { message, verdict } => {
                let Some(waiting) = self.judgements.take(message) else {
                    return;
                };
                Counters::set(&self.counters.judgements_pending, self.judgements.len());
                let verdict = match verdict {
                    Acceptance::Accept => MessageAcceptance::Accept,
                    Acceptance::Ignore => MessageAcceptance::Ignore,
                    Acceptance::Reject => MessageAcceptance::Reject,
                };
                self.judge(&waiting.message, &waiting.from, verdict);
            }
            Order::Befriend {
                peer,
                addresses,
                explicit,
            } => self.befriend(to_peer(peer), &addresses, explicit),
            Order::Unfriend { peer } => self.unfriend(&to_peer(peer)),
            Order::Score { peer, score } => self.score(to_peer(peer), score),
            Order::Block { peer } => self.block(to_peer(peer)),
            Order::Unblock { peer } => self.unblock(&to_peer(peer)),
            Order::Ask {
                id,
                peer,
                addresses,
                bytes,
            } => self.ask(id, peer, &addresses, bytes),
            Order::Reply { channel, bytes } if bytes.len() <= ASK_BYTES_MAX => {
                self.reply(channel, Answer::Bytes(bytes));
            }
            Order::Reply { channel, .. } => {
                tracing::debug!("an answer that is too long is refused");
                self.reply(channel, Answer::Refused);
            }
            Order::Refuse { channel } => self.reply(channel, Answer::Refused),
            Order::AddPeers { peers } => {
                for peer in peers.iter().take(ADDRESSES_MAX) {
                    self.found_text(peer, Source::Ticket);
                }
                self.dial_places(tokio::time::Instant::now());
            }
        }
    }

    fn join(&mut self, topic: String, flood: bool) {
        let is_new = !self.topics.contains(&topic);
        if topic.len() > TOPIC_BYTES_MAX || (is_new && self.topics.len() >= TOPICS_MAX) {
            tracing::warn!(topic, "too many topics, or too long a name: not joined");
            return;
        }
        if flood {
            self.floods.insert(topic.clone());
        } else {
            self.floods.remove(&topic);
        }
        let named = IdentTopic::new(topic.clone());
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        gossip::score_topic(gossip, &named);
        match gossip.subscribe(&named) {
            Ok(_) => {
                self.topics.insert(topic);
            }
            Err(error) => tracing::warn!(topic, %error, "not joined"),
        }
    }

    fn leave(&mut self, topic: &str) {
        self.floods.remove(topic);
        if self.topics.remove(topic) {
            let gossip = &mut self.swarm.behaviour_mut().gossip;
            gossip.unsubscribe(&IdentTopic::new(topic));
        }
    }

    fn publish(&mut self, topic: String, bytes: Vec<u8>) {
        if bytes.len() > MESSAGE_BYTES_MAX || topic.len() > TOPIC_BYTES_MAX {
            let why = "too long".to_owned();
            return self.outbox.say(Word::NotPublished { topic, why });
        }
        let now = tokio::time::Instant::now();
        if self.unsent.is_busy(now) {
            return self.keep_unsent(topic, bytes);
        }
        if let Some(id) = self.try_to_publish(topic, bytes) {
            self.not_taken(id, now);
        }
    }

    /// Try again what nobody could take, as far as somebody takes it now.
    pub(super) fn publish_unsent(&mut self) {
        let now = tokio::time::Instant::now();
        let me = *self.swarm.local_peer_id();
        for id in self.unsent.again(now) {
            Counters::add(&self.counters.retried, 1);
            self.judge(&id, &me, MessageAcceptance::Accept);
        }
        while let Some((topic, bytes)) = self.unsent.due(now) {
            match self.try_to_publish(topic, bytes) {
                None => self.unsent.worked(),
                Some(id) => self.not_taken(id, now),
            }
        }
        self.count_unsent();
    }

    fn not_taken(&mut self, id: MessageId, now: tokio::time::Instant) {
        let lost = self.unsent.failed(id, now);
        Counters::add(&self.counters.lost, lost);
        self.count_unsent();
    }

    fn keep_unsent(&mut self, topic: String, bytes: Vec<u8>) {
        for (topic, _) in self.unsent.push((topic, bytes)) {
            Counters::add(&self.counters.lost, 1);
            let why = "too many wait".to_owned();
            self.outbox.say(Word::NotPublished { topic, why });
        }
        self.count_unsent();
    }

    fn count_unsent(&self) {
        Counters::set(&self.counters.unsent, self.unsent.len());
    }

    /// Publish a message. Its id comes back if all who should hear it have too much to read already.
    fn try_to_publish(&mut self, topic: String, bytes: Vec<u8>) -> Option<MessageId> {
        let (id, length) = (gossip::id_of(&topic, &bytes), bytes.len());
        let hash = TopicHash::from_raw(&topic);
        let raised = self.raise_to_flood(&topic, &hash);
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        let published = gossip.publish(hash, bytes);
        for peer in raised {
            gossip.remove_explicit_peer(&peer);
        }
        match published {
            Ok(_) | Err(PublishError::AllQueuesFull(_)) => {
                Counters::add(&self.counters.messages_out, 1);
                Counters::add(&self.counters.bytes_out, length);
                published.is_err().then_some(id)
            }
            Err(error) => {
                let why = error.to_string();
                self.outbox.say(Word::NotPublished { topic, why });
                None
            }
        }
    }

    /// gossipsub floods all topics or none. Explicit peers get every message, so on a topic that floods everybody is
    /// one while a message of ours goes out; they are connected, so nothing else comes of it.
    fn raise_to_flood(&mut self, topic: &str, hash: &TopicHash) -> Vec<PeerId> {
        if !self.floods.contains(topic) {
            return Vec::new();
        }
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        let raised: Vec<PeerId> = gossip
            .all_peers()
            .filter(|(_, topics)| topics.contains(&hash))
            .map(|(peer, _)| *peer)
            .filter(|peer| !self.explicit.contains(peer))
            .filter(|peer| {
                let score = gossip.peer_score(peer);
                score.is_none_or(|score| score >= gossip::PUBLISH_THRESHOLD)
            })
            .collect();
        for peer in &raised {
            gossip.add_explicit_peer(peer);
        }
        raised
    }

    fn befriend(&mut self, peer: PeerId, addresses: &[String], explicit: bool) {
        if peer == *self.swarm.local_peer_id() {
            return;
        }
        let now = tokio::time::Instant::now();
        let was_friend = self.friends.contains(&peer);
        if !self.friends.add(peer, read_addresses(addresses), now) {
            tracing::warn!(%peer, "too many friends: not befriended");
            return;
        }
        let behaviour = self.swarm.behaviour_mut();
        behaviour.gate.befriend(peer);
        behaviour.limits.bypass_peer_id(&peer);
        // First our dial, with addresses; gossip's own has none and gives way.
        self.dial_friends(now);
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if explicit && self.explicit.insert(peer) {
            gossip.add_explicit_peer(&peer);
        } else if !explicit && self.explicit.remove(&peer) {
            gossip.remove_explicit_peer(&peer);
        }
        if !was_friend {
            self.leave_crowds(&peer);
        }
        self.apply_score(&peer);
    }

    fn unfriend(&mut self, peer: &PeerId) {
        if !self.friends.contains(peer) {
            return;
        }
        self.friends.remove(peer);
        self.explicit.remove(peer);
        let behaviour = self.swarm.behaviour_mut();
        behaviour.gate.unfriend(peer);
        behaviour.limits.remove_peer_id(peer);
        behaviour.gossip.remove_explicit_peer(peer);
        self.enter_crowds(peer);
    }

    fn leave_crowds(&mut self, peer: &PeerId) {
        for place in self.places_of(peer) {
            for other in self.crowds.leave(place, peer) {
                self.apply_score(&other);
            }
        }
    }

    fn enter_crowds(&mut self, peer: &PeerId) {
        for place in self.places_of(peer) {
            for other in self.crowds.enter(place, *peer) {
                self.apply_score(&other);
            }
        }
    }

    fn places_of(&self, peer: &PeerId) -> Vec<std::net::IpAddr> {
        let link = self.links.get(peer);
        link.map(|link| link.connections.values().filter_map(|c| c.place).collect())
            .unwrap_or_default()
    }

    fn score(&mut self, peer: PeerId, score: f64) {
        let score = if score.is_nan() {
            0.0
        } else {
            score.clamp(*SCORE.start(), *SCORE.end())
        };
        if score == 0.0 {
            self.scores.remove(&peer);
        } else {
            self.scores.insert(peer, score);
        }
        if self.scores.len() > SCORES_MAX {
            let least = self
                .scores
                .iter()
                .min_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()))
                .map(|(peer, _)| *peer);
            if let Some(least) = least {
                self.scores.remove(&least);
            }
        }
        self.apply_score(&peer);
    }

    fn block(&mut self, peer: PeerId) {
        if !self.swarm.behaviour_mut().blocked.block_peer(peer) {
            return;
        }
        self.blocked.push_back(peer);
        if self.blocked.len() > BLOCKED_MAX
            && let Some(first) = self.blocked.pop_front()
        {
            self.swarm.behaviour_mut().blocked.unblock_peer(first);
        }
    }

    fn unblock(&mut self, peer: &PeerId) {
        self.swarm.behaviour_mut().blocked.unblock_peer(*peer);
        self.blocked.retain(|blocked| blocked != peer);
    }

    fn ask(&mut self, id: u64, to: TransportId, addresses: &[String], bytes: Vec<u8>) {
        let peer = to_peer(to);
        let why = if bytes.len() > ASK_BYTES_MAX {
            "the question is too long"
        } else if self.asking.len() >= ASKING_MAX {
            "too many questions wait"
        } else if peer == *self.swarm.local_peer_id() {
            "that is ourselves"
        } else {
            let ask = &mut self.swarm.behaviour_mut().ask;
            let request = ask.send_request_with_addresses(&peer, bytes, read_addresses(addresses));
            // A dial comes before the question's own time.
            let until = tokio::time::Instant::now() + self.ask_timeout * 2;
            self.asking.insert(request, Asking { id, to, until });
            return;
        };
        self.outbox.say(Word::Answered {
            id,
            from: to,
            answer: Err(why.to_owned()),
        });
    }

    fn reply(&mut self, channel: u64, answer: Answer) {
        if let Some(asked) = self.take_asked(channel) {
            if answer == Answer::Refused {
                Counters::add(&self.counters.asks_refused, 1);
            }
            // Fails if the other side has given up.
            let ask = &mut self.swarm.behaviour_mut().ask;
            let _late = ask.send_response(asked.channel, answer);
        }
    }
}

fn read_addresses(addresses: &[String]) -> Vec<libp2p::Multiaddr> {
    let read = addresses.iter().take(ADDRESSES_MAX);
    read.filter_map(|address| convert::address(address))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::figures::Counters;
    use super::super::super::peers::FRIENDS_MAX;
    use super::super::super::{Figures, NetConfig};
    use super::super::Way;
    use super::*;
    use std::sync::Arc;
    use tokio::sync::mpsc;
    use zeroize::Zeroizing;

    fn task() -> Task {
        let config = NetConfig::new(Zeroizing::new([1; 32]));
        let (_orders, taken) = mpsc::channel(1);
        let counters = Arc::new(Counters::default());
        let (task, ..) = Task::new(&config, Way::Memory, taken, counters).unwrap();
        task
    }

    fn peer(n: u32) -> TransportId {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        TransportId::from_bytes(bytes)
    }

    #[tokio::test]
    async fn what_orders_fill_is_bounded() {
        let mut task = task();
        for n in 0..5000 {
            let score = -f64::from(n) - 1.0;
            let peer = peer(n);
            task.obey(Order::Score { peer, score });
        }
        assert_eq!(task.scores.len(), SCORES_MAX);
        assert!(
            !task.scores.contains_key(&to_peer(peer(0))),
            "the least goes"
        );
        assert_eq!(task.scores[&to_peer(peer(4999))], -1000.0);

        for n in 0..17_000 {
            task.obey(Order::Block { peer: peer(n) });
        }
        let blocked = task.swarm.behaviour().blocked.blocked_peers();
        assert_eq!(
            (blocked.len(), task.blocked.len()),
            (BLOCKED_MAX, BLOCKED_MAX)
        );
        assert!(!blocked.contains(&to_peer(peer(0))), "the first goes");
        task.obey(Order::Unblock { peer: peer(16_999) });
        assert_eq!(task.blocked.len(), BLOCKED_MAX - 1);

        for n in 0..300 {
            task.obey(Order::Befriend {
                explicit: true,
                peer: peer(n),
                addresses: vec!["nonsense".to_owned(); 100],
            });
            task.obey(Order::Join {
                topic: format!("topic {n}"),
                flood: true,
            });
        }
        assert!(
            task.friends
                .contains(&to_peer(peer(FRIENDS_MAX as u32 - 1)))
        );
        assert!(!task.friends.contains(&to_peer(peer(FRIENDS_MAX as u32))));
        assert_eq!(
            (task.topics.len(), task.floods.len()),
            (TOPICS_MAX, TOPICS_MAX)
        );
        task.obey(Order::Leave {
            topic: "topic 0".to_owned(),
        });
        task.obey(Order::Join {
            topic: "x".repeat(TOPIC_BYTES_MAX + 1),
            flood: true,
        });
        assert_eq!(
            (task.topics.len(), task.floods.len()),
            (TOPICS_MAX - 1, TOPICS_MAX - 1)
        );

        for n in 0..300 {
            task.obey(Order::Ask {
                id: n,
                peer: peer(1),
                addresses: Vec::new(),
                bytes: Vec::new(),
            });
        }
        assert_eq!(task.asking.len(), ASKING_MAX);
        assert_eq!(task.counters.figures(), Figures::default());
    }

    #[tokio::test]
    async fn a_score_that_is_no_number_is_none() {
        let mut task = task();
        for (score, kept) in [
            (f64::NAN, None),
            (f64::INFINITY, Some(50.0)),
            (-0.0, None),
            (-5e9, Some(-1000.0)),
        ] {
            task.obey(Order::Score {
                peer: peer(1),
                score,
            });
            assert_eq!(task.scores.get(&to_peer(peer(1))).copied(), kept);
        }
    }
}

//! How gossip is set: who hears what, how long ids are remembered, and what a peer's behaviour does to its score.
//!
//! Objects carry their own signatures, so gossip's messages are anonymous and a message's id is a hash of what it
//! says. Nothing is passed on before it has been judged. The next step of the path is `behaviour`.

use std::time::Duration;

use libp2p::gossipsub::{
    AllowAllSubscriptionFilter, Behaviour, Config, ConfigBuilder, IdentTopic, IdentityTransform,
    MaxCountSubscriptionFilter, Message, MessageAuthenticity, MessageId, PeerScoreParams,
    PeerScoreThresholds, TopicScoreParams, ValidationMode, score_parameter_decay,
};
use sha2::{Digest, Sha256};

use super::NetError;

/// The longest message.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// What gossip puts round a message: topic, lengths.
const ROUND_BYTES: usize = 1024;
/// How many topics we can join, and how many a peer can.
pub(super) const TOPICS_MAX: usize = 64;
/// The longest topic.
pub(super) const TOPIC_BYTES_MAX: usize = 256;
/// How many bytes of SHA-256 name a message.
const ID_BYTES: usize = 20;

/// Below this a peer gets no gossip.
const GOSSIP_THRESHOLD: f64 = -40.0;
/// Below this it gets none of our own messages.
pub(super) const PUBLISH_THRESHOLD: f64 = -80.0;
/// Below this it is not listened to.
pub(super) const GRAYLIST_THRESHOLD: f64 = -160.0;
/// The most that good conduct on all topics adds: 10 for time in the mesh, 40 for being first.
const CONDUCT_MAX: f64 = 50.0;

/// A gossip behaviour that has joined nothing yet.
pub(super) fn behaviour() -> Result<Behaviour, NetError> {
    let filter = MaxCountSubscriptionFilter {
        filter: AllowAllSubscriptionFilter {},
        max_subscribed_topics: TOPICS_MAX,
        max_subscriptions_per_request: TOPICS_MAX,
    };
    let mut gossip = Behaviour::new_with_subscription_filter_and_transform(
        MessageAuthenticity::Anonymous,
        config()?,
        filter,
        IdentityTransform,
    )
    .map_err(|error| NetError::Gossip(error.to_owned()))?;
    gossip
        .with_peer_score(peer_score(), thresholds())
        .map_err(NetError::Gossip)?;
    Ok(gossip)
}

fn config() -> Result<Config, NetError> {
    ConfigBuilder::default()
        .protocol_id_prefix("/lymph/mesh")
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        .max_transmit_size(MESSAGE_BYTES_MAX + ROUND_BYTES)
        // Signatures wait for a worker: a message must still be there when its judgement comes.
        .history_length(30)
        .history_gossip(3)
        .duplicate_cache_time(Duration::from_secs(5 * 60))
        .connection_handler_queue_len(256)
        .mesh_n(6)
        .mesh_n_low(5)
        .mesh_n_high(10)
        .mesh_outbound_min(2)
        // An author on a public topic must not tell everybody at once. `swarm` floods the topics of fleets and circles.
        .flood_publish(false)
        .build()
        .map_err(|error| NetError::Gossip(error.to_string()))
}

/// What a message is called: a hash of its topic and its bytes.
fn message_id(message: &Message) -> MessageId {
    id_of(message.topic.as_str(), &message.data)
}

/// What a message on a topic is called.
pub(super) fn id_of(topic: &str, bytes: &[u8]) -> MessageId {
    let hash = Sha256::new()
        .chain_update((topic.len() as u64).to_be_bytes())
        .chain_update(topic)
        .chain_update(bytes)
        .finalize();
    MessageId::new(&hash[..ID_BYTES])
}

/// Start to score conduct on a topic.
pub(super) fn score_topic(gossip: &mut Behaviour, topic: &IdentTopic) {
    if let Err(error) = gossip.set_topic_params(topic.clone(), topic_score()) {
        tracing::debug!(%topic, error, "a topic without scores");
    }
}

/// P1 to 4 of GossipSub 1.1. P3 is off: reports are too rare to blame anybody for bringing none.
fn topic_score() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 1.0,
        time_in_mesh_quantum: Duration::from_secs(6 * 60),
        time_in_mesh_cap: 10.0,
        first_message_deliveries_weight: 1.0,
        first_message_deliveries_decay: score_parameter_decay(Duration::from_secs(3600)),
        first_message_deliveries_cap: 40.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -100.0,
        invalid_message_deliveries_decay: score_parameter_decay(Duration::from_secs(12 * 3600)),
        ..TopicScoreParams::default()
    }
}

/// P5 to 7. P6 is off here and done in `places`, which can exempt a peer and sees whole IPv6 networks.
fn peer_score() -> PeerScoreParams {
    PeerScoreParams {
        topic_score_cap: CONDUCT_MAX,
        app_specific_weight: 1.0,
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: score_parameter_decay(Duration::from_secs(10 * 60)),
        // Longer would let whoever makes up keys fill the memory with their scores.
        retain_score: Duration::from_secs(3600),
        ..PeerScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: GOSSIP_THRESHOLD,
        publish_threshold: PUBLISH_THRESHOLD,
        graylist_threshold: GRAYLIST_THRESHOLD,
        // Peer exchange is off: what it brings is unsigned.
        accept_px_threshold: 1000.0,
        opportunistic_graft_threshold: 5.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::gossipsub::TopicHash;

    #[test]
    fn the_settings_are_accepted() {
        assert!(behaviour().is_ok());
    }

    #[test]
    fn an_id_hangs_on_topic_and_bytes_alone() {
        let id = |topic: &str, data: &[u8], sequence_number| {
            message_id(&Message {
                source: None,
                data: data.to_vec(),
                sequence_number,
                topic: TopicHash::from_raw(topic),
            })
        };
        assert_eq!(id("a", b"bc", None), id("a", b"bc", Some(1)));
        assert_ne!(id("a", b"bc", None), id("ab", b"c", None));
        assert_ne!(id("a", b"bc", None), id("a", b"bd", None));
    }
}

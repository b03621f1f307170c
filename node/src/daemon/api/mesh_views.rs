//! What the API says about the mesh, as JSON.

use std::collections::BTreeMap;

use lymph_protocol::Timestamp;
use lymph_protocol::audience::Audience;
use lymph_protocol::ticket::Token;
use lymph_protocol::vouch::Degree;
use serde::{Deserialize, Serialize};

use super::Asked;
use crate::daemon::mesh::Network;
use crate::daemon::net::peer_text;
use crate::engine::Engine;
use crate::engine::mesh::pairing::Progress;
use crate::engine::mesh::{Consent, Mesh, Silenced};
use crate::engine::request::{Answer, MeshAnswer};

/// This node among others, in one line of `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshLine {
    /// Whether there is a mesh.
    pub on: bool,
    /// This node.
    pub id: String,
    /// Peers that are connected.
    pub connections: usize,
    /// Machines of the same fleet, this one not counted.
    pub siblings: usize,
    /// Nodes that it vouches for beside them.
    pub friends: usize,
    /// Live reports of others and its own.
    pub reports: usize,
    /// Own reports go out to the public.
    pub publish: bool,
    /// The public's come in.
    pub consume: bool,
}

/// Everything about this node among others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeshView {
    /// Whether there is a mesh.
    pub on: bool,
    /// Why not, or what is wrong with it.
    pub failure: Option<String>,
    /// This node.
    pub id: String,
    /// Its transport, as libp2p prints it.
    pub peer_id: String,
    /// Where it listens.
    pub listening: Vec<String>,
    /// Where others reach it.
    pub addresses: Vec<String>,
    /// Whether somebody outside could reach it; nothing while nobody has tried.
    pub reachable: Option<bool>,
    /// Peers that are connected.
    pub connections: usize,
    /// The public mesh.
    pub public: ConsentView,
    /// The fleet, as `fleet-…`.
    pub fleet: Option<String>,
    /// Circles.
    pub circles: Vec<CircleView>,
    /// Nodes that it knows.
    pub peers: Vec<PeerView>,
    /// Nodes that it believes nothing.
    pub muted: Vec<String>,
    /// Invitations that are open.
    pub invitations: Vec<InvitationView>,
    /// The last pairings since the start, the newest last.
    pub paired: Vec<PairingView>,
    /// How many there were in all.
    #[serde(default)]
    pub paired_count: usize,
    /// Reports of its own that wait for their time.
    pub waiting: Vec<ReportView>,
    /// Objects that it holds for itself and others.
    pub objects: usize,
    /// Live reports.
    pub reports: usize,
    /// Objects that were heard since the start.
    pub heard: u64,
    /// Messages that came too fast to be looked at, since the start.
    pub dropped: u64,
    /// Messages of its own that wait since no peer can take them at the moment.
    #[serde(default)]
    pub unsent: u64,
    /// Messages that were looked at and not let in since the start, by reason.
    #[serde(default)]
    pub refused: BTreeMap<String, u64>,
    /// Peers that are connected and not listened to for what they did.
    #[serde(default)]
    pub graylisted: u64,
}

/// What goes out and comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentView {
    /// Own reports go out.
    pub publish: bool,
    /// Others' come in.
    pub consume: bool,
}

impl From<Consent> for ConsentView {
    fn from(consent: Consent) -> Self {
        ConsentView {
            publish: consent.publish,
            consume: consent.consume,
        }
    }
}

/// A circle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircleView {
    /// As `circle-…`.
    pub name: String,
    /// Its curator.
    pub founder: String,
    /// Whether this node curates it.
    pub curated: bool,
    /// What goes out and comes in.
    pub consent: ConsentView,
}

/// A node that is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerView {
    /// Its id.
    pub node: String,
    /// Its name; may be empty.
    pub name: String,
    /// `sibling`, `friend` or `member`.
    pub degree: String,
    /// How much it is believed, up to 1.
    pub weight: f64,
    /// Whether others hear that this node vouches for it.
    pub listed: bool,
    /// Whether it is connected.
    pub connected: bool,
    /// Whether nothing it says is believed.
    pub muted: bool,
    /// Where it may be reached.
    pub addresses: Vec<String>,
    /// Since when it is known.
    pub since: String,
    /// Until when it vouches for this node, if it does.
    pub vouches_until: Option<String>,
    /// Live reports of it.
    pub reports: usize,
}

/// An invitation that is open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationView {
    /// `friend`, `fleet` or `circle`.
    pub relation: String,
    /// Until when.
    pub expires: String,
    /// How often it can still be used.
    pub uses_left: u16,
}

/// A report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportView {
    /// About whom.
    pub subject: String,
    /// What kind of thing.
    pub family: String,
    /// To whom it is said.
    pub audience: String,
    /// When it will be said.
    pub at: String,
    /// The whole text of it, as it will be said but for number and signature.
    pub fields: String,
}

/// How a pairing stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingView {
    /// `asking`, `done`, `failed` or `unknown`.
    pub state: String,
    /// Why it failed.
    pub why: Option<String>,
    /// The other node.
    pub node: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// What it is now.
    pub degree: Option<String>,
    /// The words that both sides show.
    pub words: Option<String>,
}

/// A ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitedView {
    /// To be handed over.
    pub ticket: String,
    /// What to ask for how it goes on.
    pub token: String,
}

/// A join that goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoiningView {
    /// What to ask for how it goes on.
    pub token: String,
    /// Who invites.
    pub issuer: String,
    /// `friend`, `fleet` or `circle`.
    pub relation: String,
}

/// Whether anything came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshDoneView {
    /// Whether.
    pub done: bool,
    /// Why it would be forgotten if the machine stopped now, if it would.
    pub not_saved: Option<String>,
    /// How many machines of the fleet there are beside this one, where they were told something.
    #[serde(default)]
    pub siblings: usize,
    /// How many of them are connected and hear it now.
    #[serde(default)]
    pub connected: usize,
}

impl MeshLine {
    pub(in crate::daemon) fn new(engine: &Engine, network: Option<&Network>) -> Self {
        let (Some(mesh), Some(network)) = (engine.mesh(), network) else {
            return MeshLine::default();
        };
        let count = |is_sibling: bool| {
            mesh.known()
                .filter(|(_, known)| (known.degree == Degree::Sibling) == is_sibling)
                .count()
        };
        MeshLine {
            on: network.is_on(),
            id: mesh.id().to_string(),
            connections: mesh.connections(),
            siblings: count(true),
            friends: count(false),
            reports: mesh.shelf().reports(),
            publish: mesh.public().publish,
            consume: mesh.public().consume,
        }
    }
}

impl MeshView {
    pub(in crate::daemon) fn new(
        engine: &Engine,
        network: Option<&Network>,
        now: Timestamp,
    ) -> Self {
        let (Some(mesh), Some(network)) = (engine.mesh(), network) else {
            return MeshView {
                failure: Some("this node runs without the mesh (--no-mesh)".to_owned()),
                ..MeshView::default()
            };
        };
        let silenced = mesh.silenced().map(|why| silenced(why).to_owned());
        let muted: Vec<_> = mesh.muted().collect();
        let circles = mesh.circles().map(|(id, circle)| CircleView {
            name: Audience::Circle(id).to_string(),
            founder: circle.founder.to_string(),
            curated: circle.founder == mesh.id(),
            consent: circle.consent.into(),
        });
        let invitations = mesh.pairing().open().map(|(_, invitation)| InvitationView {
            relation: invitation.offer.name().to_owned(),
            expires: invitation.expires.to_string(),
            uses_left: invitation.uses_left,
        });
        let waiting = mesh.waiting().map(|(at, audience, report)| ReportView {
            subject: report.subject.to_string(),
            family: report.family.to_string(),
            audience: audience.to_string(),
            at: at.to_string(),
            fields: format!(
                "subject={} family={} rule={} evidence={} count=2^{} time={} ttl={}h",
                report.subject,
                report.family,
                report.rule,
                format!("{:?}", report.evidence).to_lowercase(),
                report.count_log2,
                report.time(),
                report.ttl_hours
            ),
        });
        let figures = network.figures().unwrap_or_default();
        let refused = mesh.refused();
        let refused = refused.map(|(why, count)| (why.to_string(), count));
        MeshView {
            on: network.is_on(),
            failure: network.failure.clone().or(silenced),
            id: mesh.id().to_string(),
            peer_id: peer_text(mesh.transport()),
            listening: network.listening().cloned().collect(),
            addresses: mesh.addresses().to_vec(),
            reachable: network.reachable(),
            connections: mesh.connections(),
            public: mesh.public().into(),
            fleet: mesh.fleet().map(|fleet| fleet.to_string()),
            circles: circles.collect(),
            peers: peers(mesh, now).collect(),
            muted: muted.iter().map(ToString::to_string).collect(),
            invitations: invitations.collect(),
            paired: mesh
                .pairing()
                .done()
                .map(|done| PairingView::of(engine, &Progress::Done(done.clone())))
                .collect(),
            paired_count: mesh.pairing().done_count(),
            waiting: waiting.collect(),
            objects: mesh.shelf().len(),
            reports: mesh.shelf().reports(),
            heard: mesh.heard_count(),
            dropped: figures.messages_dropped + figures.lost + network.lost_orders,
            unsent: figures.unsent,
            refused: refused.collect(),
            graylisted: figures.graylisted,
        }
    }
}

/// Everybody whom a node knows.
pub(super) fn peers(mesh: &Mesh, now: Timestamp) -> impl Iterator<Item = PeerView> {
    let muted: Vec<_> = mesh.muted().collect();
    mesh.known().map(move |(node, known)| PeerView {
        node: node.to_string(),
        name: known.name.clone(),
        degree: known.degree.name().to_owned(),
        weight: f64::from(known.weight.0) / 10_000.0,
        listed: known.is_listed,
        connected: known
            .transport
            .is_some_and(|transport| mesh.is_connected(transport)),
        muted: muted.contains(&node),
        addresses: known.addresses.clone(),
        since: known.since.to_string(),
        vouches_until: known
            .vouches_until
            .filter(|until| until.start() > now)
            .map(|until| until.start().to_string()),
        reports: mesh.shelf().by(node).count(),
    })
}

impl PairingView {
    pub(crate) fn new(engine: &Engine, token: Token) -> Self {
        let progress = engine
            .mesh()
            .map_or(Progress::Unknown, |mesh| mesh.pairing().progress(token));
        PairingView::of(engine, &progress)
    }

    fn of(engine: &Engine, progress: &Progress) -> Self {
        let state = |state: &str| PairingView {
            state: state.to_owned(),
            ..PairingView::default()
        };
        match progress {
            Progress::Asking => state("asking"),
            Progress::Unknown => state("unknown"),
            Progress::Failed(why) => PairingView {
                why: Some(why.clone()),
                ..state("failed")
            },
            Progress::Done(done) => PairingView {
                node: Some(done.node.to_string()),
                name: engine.mesh().map(|mesh| mesh.name_of(done.node)),
                degree: Some(done.degree.name().to_owned()),
                words: Some(words(done.words)),
                ..state("done")
            },
        }
    }
}

impl InvitedView {
    pub(crate) fn new(asked: Asked) -> Result<Self, String> {
        match asked.answer {
            Some(Answer::Mesh(MeshAnswer::Invited(ticket, token))) => Ok(InvitedView {
                ticket,
                token: token_text(token),
            }),
            other => Err(no(other)),
        }
    }
}

impl JoiningView {
    pub(crate) fn new(asked: Asked) -> Result<Self, String> {
        match asked.answer {
            Some(Answer::Mesh(MeshAnswer::Joining(token, issuer, relation))) => Ok(JoiningView {
                token: token_text(token),
                issuer: issuer.to_string(),
                relation: relation.name().to_owned(),
            }),
            other => Err(no(other)),
        }
    }
}

impl MeshDoneView {
    pub(crate) fn new(asked: Asked) -> Result<Self, String> {
        match asked.answer {
            Some(Answer::Mesh(MeshAnswer::Done(done))) => Ok(MeshDoneView {
                done,
                not_saved: asked.not_saved,
                ..MeshDoneView::default()
            }),
            Some(Answer::Mesh(MeshAnswer::Told {
                siblings,
                connected,
            })) => Ok(MeshDoneView {
                done: true,
                not_saved: asked.not_saved,
                siblings,
                connected,
            }),
            other => Err(no(other)),
        }
    }
}

fn no(answer: Option<Answer>) -> String {
    match answer {
        Some(Answer::Mesh(MeshAnswer::No(why))) => why,
        _ => "the daemon gave an answer to something else: is it of another version?".to_owned(),
    }
}

/// Why this node says nothing any more, and what to do.
pub(crate) const fn silenced(why: Silenced) -> &'static str {
    match why {
        Silenced::Cloned => {
            "ANOTHER MACHINE SPEAKS WITH THIS NODE'S KEY, so this one says nothing any more: stop one of the two, or give one a key of its own (stop it, `lymph id rotate`)"
        }
        Silenced::Dead => {
            "THIS NODE'S KEY IS DEAD, so it says nothing any more: stop it and give it a new one with `lymph id rotate`"
        }
    }
}

/// 11 bits each, as words that can be told apart when read out (BIP-39's English list).
pub(crate) fn words(numbers: [u16; 4]) -> String {
    let list = bip39::Language::English.word_list();
    numbers
        .map(|number| list[usize::from(number) % list.len()])
        .join(" ")
}

fn token_text(token: Token) -> String {
    token.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what [`token_text`] wrote.
pub(crate) fn parse_token(text: &str) -> Option<Token> {
    let bytes: Option<Vec<u8>> = (0..16)
        .map(|i| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok())
        .collect();
    let bytes: [u8; 16] = bytes?.try_into().ok()?;
    (text.len() == 32).then_some(Token(bytes))
}

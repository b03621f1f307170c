//! The API: HTTP and JSON on a Unix socket in the state folder, whose file mode is the permission.
//!
//! Handlers ask the loop through a bounded queue and wait; the loop answers between two batches of lines, so
//! that the engine has one owner. `routes` are the paths, `requests` and `views` the JSON.

pub mod mesh_requests;
pub mod mesh_views;
pub mod requests;
mod routes;
pub mod trust_views;
pub mod views;

use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use lymph_protocol::Timestamp;
use lymph_protocol::ticket::Token;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::engine::decision::{Decision, DetectionId};
use crate::engine::mesh::Mesh;
use crate::engine::request::{Answer, Request};
use crate::engine::target::Target;
use mesh_views::{MeshView, PairingView};
use trust_views::{PeerTrustView, TrustView};
use views::{AlertView, AllowedView, DecisionView, HeldView, RuleView, StatusView, WhyView};

/// Questions that may wait for the loop. More askers wait for a place.
const QUESTIONS_WAITING_MAX: usize = 32;
/// Longest path of a Unix socket, in bytes: the kernel's `sun_path` without its end.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Finds out what a request means.
pub type Meaning = Box<dyn FnOnce(&Mesh) -> Result<Request, String> + Send>;

/// What can be asked of the daemon, with where the answer goes.
pub enum Question {
    /// How it is.
    Status(oneshot::Sender<StatusView>),
    /// What stands.
    Decisions(oneshot::Sender<Vec<DecisionView>>),
    /// What was seen: so many, the newest first.
    Alerts(usize, oneshot::Sender<Vec<AlertView>>),
    /// One detection.
    Alert(DetectionId, oneshot::Sender<Option<AlertView>>),
    /// Why somebody is where they are.
    Why(Target, oneshot::Sender<WhyView>),
    /// The rules.
    Rules(oneshot::Sender<Vec<RuleView>>),
    /// What is allowed.
    Allowlist(oneshot::Sender<Vec<AllowedView>>),
    /// What is held back.
    Held(oneshot::Sender<Vec<HeldView>>),
    /// Who this node is among others, and whom it knows.
    Mesh(oneshot::Sender<MeshView>),
    /// Whom this node believes, and how far that protects it.
    Trust(oneshot::Sender<TrustView>),
    /// What it makes of one node.
    Peer(String, oneshot::Sender<Result<PeerTrustView, String>>),
    /// What is meant by a request that names nodes, by whom this node knows.
    Meant(Meaning, oneshot::Sender<Result<Request, String>>),
    /// How a pairing goes on.
    Pairing(Token, oneshot::Sender<PairingView>),
    /// The operator asks for something.
    Ask(Request, oneshot::Sender<Asked>),
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Question")
    }
}

/// What came of a request.
#[derive(Debug)]
pub struct Asked {
    /// When.
    pub at: Timestamp,
    /// What the engine answered.
    pub answer: Option<Answer>,
    /// Why it would be forgotten if the machine stopped now, if it would.
    pub not_saved: Option<String>,
    /// Why the firewall does not do it yet, if it does not.
    pub not_enforced: Option<String>,
    /// Wider decisions that the target still falls under.
    pub remaining: Vec<Decision>,
}

type Asker = mpsc::Sender<Question>;

/// Where the socket of a state folder is.
#[must_use]
pub fn socket_path(state: &Path) -> PathBuf {
    state.join("lymph.sock")
}

/// The running server.
#[derive(Debug)]
pub struct Api {
    /// What it is asked.
    pub questions: mpsc::Receiver<Question>,
    server: JoinHandle<()>,
    socket: PathBuf,
}

impl Api {
    /// Serve the socket of a state folder. The folder's lock must be held: an old socket is replaced.
    pub fn start(state: &Path) -> anyhow::Result<Self> {
        let socket = socket_path(state);
        // It is made under another name, so that nobody can connect before its mode is set.
        let unready = state.join("lymph.sock.new");
        let bytes = unready.as_os_str().len();
        ensure!(
            bytes <= SOCKET_PATH_BYTES_MAX,
            "the path of the state folder is too long for a socket in it ({bytes} bytes, at most {SOCKET_PATH_BYTES_MAX}): {}; choose a shorter one with --state DIR",
            state.display()
        );
        let _ = fs::remove_file(&unready);
        let listener = UnixListener::bind(&unready)
            .with_context(|| format!("cannot make the socket {}", socket.display()))?;
        fs::set_permissions(&unready, Permissions::from_mode(0o600))?;
        fs::rename(&unready, &socket)?;
        let (asker, questions) = mpsc::channel(QUESTIONS_WAITING_MAX);
        let router = routes::router(asker);
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the API has stopped");
            }
        });
        Ok(Api {
            questions,
            server,
            socket,
        })
    }

    /// Stop serving.
    pub fn stop(self) {
        self.server.abort();
        let _ = fs::remove_file(&self.socket);
    }
}

//! Paths of the API and what they ask the loop. No handler decides anything or holds any state.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::mesh_requests::{
    EnforceRequest, InviteRequest, JoinRequest, LeaveRequest, NodeRequest, ShareRequest,
    VouchRequest, node,
};
use super::mesh_views::{InvitedView, JoiningView, MeshDoneView, parse_token};
use super::requests::{AllowRequest, BanRequest, HeldRequest, LiftRequest, UndoRequest};
use super::views::{AllowedDoneView, BannedView, ErrorView, HeldDoneView, LiftedView};
use super::{Asked, Asker, Question};
use crate::daemon::clock::wall_clock;
use crate::daemon::mesh;
use crate::engine::decision::DetectionId;
use crate::engine::mesh::Mesh;
use crate::engine::request::{MeshRequest, Request};
use crate::engine::target::Target;

/// Every path there is.
pub(super) fn router(asker: Asker) -> Router {
    Router::new()
        .route(
            "/status",
            get(async |State(asker): State<Arc<Asker>>| ask(&asker, Question::Status).await),
        )
        .route(
            "/decisions",
            get(async |State(asker): State<Arc<Asker>>| ask(&asker, Question::Decisions).await),
        )
        .route("/alerts", get(alerts))
        .route("/alerts/{id}", get(alert))
        .route("/why/{*address}", get(why))
        .route(
            "/rules",
            get(async |State(asker): State<Arc<Asker>>| ask(&asker, Question::Rules).await),
        )
        .route("/decisions/add", post(ban))
        .route("/decisions/lift", post(lift))
        .route("/decisions/undo", post(undo))
        .route(
            "/allow",
            get(async |State(asker): State<Arc<Asker>>| ask(&asker, Question::Allowlist).await),
        )
        .route("/allow/add", post(allow))
        .route("/allow/remove", post(disallow))
        .route(
            "/held",
            get(async |State(asker): State<Arc<Asker>>| ask(&asker, Question::Held).await),
        )
        .route("/held/release", post(release))
        .route("/held/drop", post(drop_held))
        .route(
            "/mesh",
            get(async |State(asker): State<Arc<Asker>>| ask(&asker, Question::Mesh).await),
        )
        .route(
            "/trust",
            get(async |State(asker): State<Arc<Asker>>| ask(&asker, Question::Trust).await),
        )
        .route("/trust/{node}", get(peer))
        .route("/mesh/pairing/{token}", get(pairing))
        .route("/mesh/invite", post(invite))
        .route("/mesh/join", post(join))
        .route("/mesh/share", post(share))
        .route("/mesh/vouch", post(vouch))
        .route("/mesh/revoke", post(revoke))
        .route("/mesh/mute", post(mute))
        .route("/mesh/expel", post(expel))
        .route("/mesh/leave", post(leave))
        .route("/mesh/enforce", post(enforce))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .fallback(async || refused(StatusCode::NOT_FOUND, "no such path"))
        .with_state(Arc::new(asker))
}

/// Largest body of a request: as many decisions as one may make, with long reasons.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Newest detections that are listed unless a request asks for more or fewer.
const ALERTS_LISTED: usize = 1000;

#[derive(Debug, Deserialize)]
struct Page {
    limit: Option<usize>,
}

async fn alerts(State(asker): State<Arc<Asker>>, Query(page): Query<Page>) -> Response {
    let limit = page.limit.unwrap_or(ALERTS_LISTED);
    ask(&asker, |reply| Question::Alerts(limit, reply)).await
}

async fn alert(State(asker): State<Arc<Asker>>, Path(id): Path<String>) -> Response {
    let id: DetectionId = match id.parse() {
        Ok(id) => id,
        Err(error) => return refused(StatusCode::BAD_REQUEST, &format!("{error}")),
    };
    match answer(&asker, |reply| Question::Alert(id, reply)).await {
        Ok(Some(alert)) => Json(alert).into_response(),
        Ok(None) => refused(
            StatusCode::NOT_FOUND,
            &format!("no detection {id} is remembered; lymph alerts list shows those that are"),
        ),
        Err(refusal) => refusal,
    }
}

async fn why(State(asker): State<Arc<Asker>>, Path(address): Path<String>) -> Response {
    match address.parse::<Target>() {
        Ok(target) => ask(&asker, |reply| Question::Why(target, reply)).await,
        Err(error) => refused(StatusCode::BAD_REQUEST, &format!("{error}")),
    }
}

async fn ban(State(asker): State<Arc<Asker>>, Json(body): Json<BanRequest>) -> Response {
    let (request, id) = match body.meant(wall_clock()) {
        Ok(meant) => meant,
        Err(error) => return refused(StatusCode::BAD_REQUEST, &error),
    };
    have_done(&asker, Ok(request), |asked| BannedView::new(asked, id)).await
}

async fn lift(State(asker): State<Arc<Asker>>, Json(body): Json<LiftRequest>) -> Response {
    have_done(&asker, body.meant(), LiftedView::new).await
}

async fn undo(State(asker): State<Arc<Asker>>, Json(body): Json<UndoRequest>) -> Response {
    have_done(&asker, body.meant(), LiftedView::new).await
}

async fn allow(State(asker): State<Arc<Asker>>, Json(body): Json<AllowRequest>) -> Response {
    have_done(&asker, body.allow(wall_clock()), AllowedDoneView::new).await
}

async fn disallow(State(asker): State<Arc<Asker>>, Json(body): Json<AllowRequest>) -> Response {
    have_done(&asker, body.disallow(), AllowedDoneView::new).await
}

async fn release(State(asker): State<Arc<Asker>>, Json(body): Json<HeldRequest>) -> Response {
    have_done(
        &asker,
        body.meant().map(Request::Release),
        HeldDoneView::new,
    )
    .await
}

async fn drop_held(State(asker): State<Arc<Asker>>, Json(body): Json<HeldRequest>) -> Response {
    have_done(&asker, body.meant().map(Request::Drop), HeldDoneView::new).await
}

async fn peer(State(asker): State<Arc<Asker>>, Path(node): Path<String>) -> Response {
    match answer(&asker, |reply| Question::Peer(node, reply)).await {
        Ok(Ok(peer)) => Json(peer).into_response(),
        Ok(Err(why)) => refused(StatusCode::NOT_FOUND, &why),
        Err(refusal) => refusal,
    }
}

async fn pairing(State(asker): State<Arc<Asker>>, Path(token): Path<String>) -> Response {
    match parse_token(&token) {
        Some(token) => ask(&asker, |reply| Question::Pairing(token, reply)).await,
        None => refused(StatusCode::BAD_REQUEST, "a token is 32 hexadecimal digits"),
    }
}

async fn invite(State(asker): State<Arc<Asker>>, Json(body): Json<InviteRequest>) -> Response {
    let request = match (mesh::fresh(), mesh::fresh()) {
        (Ok(token), Ok(secret)) => body.meant(token, secret),
        (Err(error), _) | (_, Err(error)) => Err(format!("no random numbers: {error}")),
    };
    have_done(&asker, request, InvitedView::new).await
}

async fn join(State(asker): State<Arc<Asker>>, Json(body): Json<JoinRequest>) -> Response {
    have_done(
        &asker,
        Ok(Request::Mesh(MeshRequest::Join(body.ticket))),
        JoiningView::new,
    )
    .await
}

async fn share(State(asker): State<Arc<Asker>>, Json(body): Json<ShareRequest>) -> Response {
    have_meant(&asker, move |mesh| body.meant(mesh)).await
}

async fn vouch(State(asker): State<Arc<Asker>>, Json(body): Json<VouchRequest>) -> Response {
    have_meant(&asker, move |mesh| body.meant(mesh)).await
}

async fn revoke(State(asker): State<Arc<Asker>>, Json(body): Json<NodeRequest>) -> Response {
    have_meant(&asker, move |mesh| {
        Ok(Request::Mesh(MeshRequest::Revoke(node(&body.node, mesh)?)))
    })
    .await
}

async fn mute(State(asker): State<Arc<Asker>>, Json(body): Json<NodeRequest>) -> Response {
    have_meant(&asker, move |mesh| {
        Ok(Request::Mesh(MeshRequest::Mute(
            node(&body.node, mesh)?,
            !body.undo,
        )))
    })
    .await
}

async fn expel(State(asker): State<Arc<Asker>>, Json(body): Json<NodeRequest>) -> Response {
    let secret = match mesh::fresh() {
        Ok(secret) => secret,
        Err(error) => {
            return refused(
                StatusCode::INTERNAL_SERVER_ERROR,
                &format!("no random numbers: {error}"),
            );
        }
    };
    have_meant(&asker, move |mesh| {
        Ok(Request::Mesh(MeshRequest::Expel(
            body.expelled(mesh)?,
            secret,
        )))
    })
    .await
}

async fn leave(State(asker): State<Arc<Asker>>, Json(body): Json<LeaveRequest>) -> Response {
    have_meant(&asker, move |mesh| body.meant(mesh)).await
}

async fn enforce(State(asker): State<Arc<Asker>>, Json(body): Json<EnforceRequest>) -> Response {
    have_done(
        &asker,
        Ok(Request::Mesh(MeshRequest::Enforce(body.on))),
        MeshDoneView::new,
    )
    .await
}

/// Have the engine asked for something that depends on whom this node knows.
async fn have_meant(
    asker: &Asker,
    meant: impl FnOnce(&Mesh) -> Result<Request, String> + Send + 'static,
) -> Response {
    match answer(asker, |reply| Question::Meant(Box::new(meant), reply)).await {
        Ok(Ok(request)) => have_done(asker, Ok(request), MeshDoneView::new).await,
        Ok(Err(error)) => refused(StatusCode::BAD_REQUEST, &error),
        Err(refusal) => refusal,
    }
}

/// Have the engine asked for something, and show what came of it.
async fn have_done<V: Serialize>(
    asker: &Asker,
    request: Result<Request, String>,
    view: impl FnOnce(Asked) -> Result<V, String>,
) -> Response {
    let request = match request {
        Ok(request) => request,
        Err(error) => return refused(StatusCode::BAD_REQUEST, &error),
    };
    match answer(asker, |reply| Question::Ask(request, reply)).await {
        Ok(asked) => match view(asked) {
            Ok(view) => Json(view).into_response(),
            Err(error) => refused(StatusCode::CONFLICT, &error),
        },
        Err(refusal) => refusal,
    }
}

async fn ask<T: Serialize>(
    asker: &Asker,
    question: impl FnOnce(oneshot::Sender<T>) -> Question,
) -> Response {
    match answer(asker, question).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => refusal,
    }
}

async fn answer<T>(
    asker: &Asker,
    question: impl FnOnce(oneshot::Sender<T>) -> Question,
) -> Result<T, Response> {
    let (reply, answer) = oneshot::channel();
    let stopping = || refused(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping");
    asker.send(question(reply)).await.map_err(|_| stopping())?;
    answer.await.map_err(|_| stopping())
}

fn refused(status: StatusCode, error: &str) -> Response {
    (
        status,
        Json(ErrorView {
            error: error.to_owned(),
        }),
    )
        .into_response()
}

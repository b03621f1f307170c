//! Paths of the API and what they ask the loop. No handler decides anything or holds any state.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::views::ErrorView;
use super::{Asker, Question};
use crate::engine::decision::DetectionId;
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
        .route("/unban", post(unban))
        .fallback(async || refused(StatusCode::NOT_FOUND, "no such path"))
        .with_state(Arc::new(asker))
}

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

#[derive(Debug, Deserialize)]
struct Unban {
    subject: String,
}

async fn unban(State(asker): State<Arc<Asker>>, Json(body): Json<Unban>) -> Response {
    match body.subject.parse::<Target>() {
        Ok(target) => ask(&asker, |reply| Question::Unban(target, reply)).await,
        Err(error) => refused(StatusCode::BAD_REQUEST, &format!("{error}")),
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

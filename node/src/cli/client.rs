//! Asks the daemon over its socket; the only user of hyper.

use std::path::Path;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::args::Global;
use crate::daemon::api::socket_path;
use crate::daemon::api::views::ErrorView;

/// Ask for something.
pub(super) fn get<T: DeserializeOwned>(global: &Global, path: &str) -> Result<T> {
    ask(global, Method::GET, path, None)
}

/// Have something done.
pub(super) fn post<T: DeserializeOwned>(
    global: &Global,
    path: &str,
    body: &impl Serialize,
) -> Result<T> {
    ask(
        global,
        Method::POST,
        path,
        Some(serde_json::to_string(body)?),
    )
}

fn ask<T: DeserializeOwned>(
    global: &Global,
    method: Method,
    path: &str,
    body: Option<String>,
) -> Result<T> {
    let state = super::settings(global, None)?.state;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (is_success, answer) = runtime.block_on(exchange(&state, method, path, body))?;
    if !is_success {
        let error = serde_json::from_slice::<ErrorView>(&answer).map(|view| view.error);
        bail!(
            "{}",
            error.unwrap_or_else(|_| format!("the daemon refused {path}"))
        );
    }
    serde_json::from_slice(&answer)
        .context("the daemon's answer is not understood; is it of another version?")
}

async fn exchange(
    state: &Path,
    method: Method,
    path: &str,
    body: Option<String>,
) -> Result<(bool, Bytes)> {
    let socket = socket_path(state);
    let stream = UnixStream::connect(&socket)
        .await
        .map_err(|error| no_daemon(state, &error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let body = body.unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "lymph");
    let request = request
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let response = sender
        .send_request(request)
        .await
        .context("the daemon did not answer")?;
    let is_success = response.status().is_success();
    Ok((is_success, response.into_body().collect().await?.to_bytes()))
}

fn no_daemon(state: &Path, error: &std::io::Error) -> anyhow::Error {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            anyhow::anyhow!(
                "may not talk to the daemon of {}: run this as the user who runs it",
                state.display()
            )
        }
        _ => anyhow::anyhow!(
            "no daemon runs on {}: start one with `lymph run`, or name its folder with --state DIR",
            state.display()
        ),
    }
}

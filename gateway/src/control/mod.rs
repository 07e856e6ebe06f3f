//! The control plane: HTTP for people, dashboards and scripts.
//!
//! It runs on tokio, apart from the hot path, and reaches it in two ways only: it reads counters, and it asks feeds
//! through their doors.
//! - `page`: the page and its files. `rest`: `/api/v1`. `metrics`: what Prometheus reads.

mod metrics;
mod page;
mod rest;

use crate::feed::FeedCounters;
use crate::reactor::ReactorCounters;
use crate::rooms::Registry;
use crate::venue::Venue;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use engine_core::counters::{MatcherCounters, SequencerCounters};
use serde_json::json;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What HTTP can see.
pub struct Control {
    pub venue: Arc<Venue>,
    pub registry: Arc<Registry>,
    pub reactors: Vec<Arc<ReactorCounters>>,
    pub feeds: Vec<Arc<FeedCounters>>,
    pub sequencers: Vec<Arc<SequencerCounters>>,
    pub matchers: Vec<Arc<MatcherCounters>>,
    pub ready: Arc<AtomicBool>,
    pub info: Info,
    pub started: Instant,
}

/// What a page must know first.
pub struct Info {
    pub ws_url: String,
    pub mode: &'static str,
    pub demo: bool,
    pub version: &'static str,
}

/// All of it.
pub fn router(control: Arc<Control>) -> Router {
    Router::new()
        .merge(page::routes())
        .nest("/api/v1", rest::routes())
        .route("/health", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics::all))
        .fallback(rest::not_found)
        .with_state(control)
}

/// Serves until `stop` completes and the last answer is out.
pub async fn serve(
    listener: tokio::net::TcpListener,
    control: Arc<Control>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(control)).with_graceful_shutdown(stop).await
}

async fn ready(State(control): State<Arc<Control>>) -> Response {
    if control.ready.load(Ordering::Relaxed) {
        Json(json!({"status": "ready"})).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "stopping"}))).into_response()
    }
}

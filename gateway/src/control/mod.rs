//! The control plane: HTTP for people, dashboards and scripts.
//!
//! It runs on tokio, apart from the hot path, and reaches it in three ways only: it reads counters, it asks feeds through
//! their doors, and it has a port to the engine like everyone who sends commands. HTTP has a thread, and the exchange's own clocks
//! another.
//! - `page`: the page and its files. `metrics`: what Prometheus reads.
//! - `rest`: `/api/v1`. `query`: what its queries and refusals have in common.
//! - `history`: what accounts were told. `local`: whom loopback is for.
//! - [`serve`]: the sockets of all this, and their bounds.
//! - [`beat`]: what timed rooms are told at. [`operator`]: the port, and the clock that ticks in a quiet market. `admin`: what may be asked of it by HTTP.

mod admin;
pub mod beat;
mod history;
mod local;
mod metrics;
pub mod operator;
mod page;
mod query;
mod rest;
pub mod serve;

use crate::accounts::Accounts;
use crate::config::PrivateReads;
use crate::feed::FeedCounters;
use crate::history::reader::Reader;
use crate::keeper::KeeperCounters;
use crate::reactor::ReactorCounters;
use crate::rooms::Registry;
use crate::venue::Venue;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use engine_core::counters::{MatcherCounters, SequencerCounters};
use engine_core::journal::{Condition, Watch};
use engine_core::limits::FEE_TIERS;
use engine_core::message::Fees;
use engine_core::units::SymbolId;
use operator::Operator;
use serde_json::json;
use serve::{HttpCounters, Routers};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What HTTP can see.
pub struct Control {
    pub venue: Arc<Venue>,
    pub registry: Arc<Registry>,
    pub reactors: Vec<Arc<ReactorCounters>>,
    pub feeds: Vec<Arc<FeedCounters>>,
    pub sequencers: Vec<Arc<SequencerCounters>>,
    pub matchers: Vec<Arc<MatcherCounters>>,
    /// Nothing if the logs are in memory.
    pub journal: Option<Watch>,
    pub keeper: Option<Arc<KeeperCounters>>,
    /// Cleared when it stops.
    pub ready: AtomicBool,
    pub info: Info,
    pub started: Instant,
    pub accounts: Arc<Accounts>,
    pub operator: Operator,
    pub http: Arc<HttpCounters>,
    /// Whether `/api/v1/admin` is there.
    pub admin: bool,
    /// What accounts were told, if that is kept, and who may read it.
    pub history: Option<Reader>,
    pub private: PrivateReads,
    /// By symbol and tier: as listed, and as set since.
    pub fees: Mutex<Vec<[Fees; FEE_TIERS]>>,
}

impl Control {
    fn fees_of(&self, symbol: SymbolId) -> [Fees; FEE_TIERS] {
        self.fees.lock().expect("no holder of this lock can panic")[symbol.0 as usize]
    }

    fn set_fees(&self, symbol: SymbolId, tier: u8, fees: Fees) {
        let mut all = self.fees.lock().expect("no holder of this lock can panic");
        all[symbol.0 as usize][tier as usize] = fees;
    }
}

/// What a page must know first.
pub struct Info {
    pub ws_url: String,
    pub mode: &'static str,
    pub demo: bool,
    pub version: &'static str,
}

/// All of it, and what is for operators and for probes.
pub fn routers(control: Arc<Control>) -> Routers {
    let admin = if control.admin { admin::routes() } else { Router::new() };
    let always = Router::new()
        .nest("/api/v1/admin", admin)
        .route("/health", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics::all))
        .method_not_allowed_fallback(rest::method_not_allowed);
    let all = Router::new()
        .merge(page::routes())
        .nest("/api/v1", rest::routes().merge(history::routes(&control)))
        .merge(always.clone())
        .fallback(rest::not_found)
        .method_not_allowed_fallback(rest::method_not_allowed);
    Routers { all: all.with_state(control.clone()), always: always.with_state(control) }
}

async fn ready(State(control): State<Arc<Control>>) -> Response {
    let condition = control.journal.as_ref().map_or(Condition::Good, Watch::condition);
    let (status, message) = match condition {
        _ if !control.ready.load(Ordering::Relaxed) => ("stopping", "the exchange is stopping"),
        Condition::Good => return Json(json!({"status": "ready"})).into_response(),
        Condition::Full => {
            ("disk_full", "the disk is full: cancels are taken, nothing new is until there is space")
        }
        Condition::NoFiles => {
            ("no_files", "no more files can be opened: cancels are taken, nothing new is until they can")
        }
        Condition::Failed => ("disk_failed", "the disk has failed: the exchange stops"),
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": status, "message": message}))).into_response()
}

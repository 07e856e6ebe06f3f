//! `/api/v1/executions` and `/api/v1/orders`: what an account was told, from the history.
//!
//! Nobody proves here who he is, so this is open where logging in by name is ([`PrivateReads`]). Answers are a moment behind the
//! engine and say how far they are: `history_seq` is the account's last entry that they know of.

use super::Control;
use super::local::is_loopback;
use super::query::{Keys, Refused, bad};
use super::rest::rows;
use crate::config::PrivateReads;
use crate::history::reader::{Order, Orders, Reader};
use crate::wire::code::ErrorCode;
use crate::wire::encode::private;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use engine_core::units::AccountId;
use serde_json::json;
use std::sync::Arc;

/// Entries or orders that one answer may hold: half a megabyte.
const ROWS_MAX: usize = 1000;

pub fn routes(control: &Arc<Control>) -> Router<Arc<Control>> {
    Router::new()
        .route("/executions", get(executions))
        .route("/orders", get(orders))
        .layer(from_fn_with_state(control.clone(), only_who_may_read))
}

async fn executions(State(control): State<Arc<Control>>, keys: Keys) -> Result<Response, NoAnswer> {
    let (name, account) = account(&control, &keys)?;
    let from = whole("from_seq", keys.get("from_seq"))?.unwrap_or(1);
    let count_max = rows("limit", keys.get("limit"), ROWS_MAX)? as u32;
    let reader = reader(&control)?;
    let last = reader.last(account).await?;
    // Not beyond `last`, though there may be more by now: the two belong together.
    let entries = reader.entries(account, (from, last), count_max).await?;
    let mut body = head(name, last, "executions");
    for (place, entry) in entries.iter().enumerate() {
        body.extend_from_slice(if place > 0 { b"," } else { b"" });
        private::entry(&mut body, entry.kind, &entry.data);
    }
    Ok(answer(body))
}

async fn orders(State(control): State<Arc<Control>>, keys: Keys) -> Result<Response, NoAnswer> {
    let (name, account) = account(&control, &keys)?;
    let only_open = match keys.get("status").unwrap_or("open") {
        "open" => true,
        "all" => false,
        _ => return Err(bad("status", "status must be one of: open, all").into()),
    };
    let before = whole("before_seq", keys.get("before_seq"))?.unwrap_or(u64::MAX);
    let count_max = rows("limit", keys.get("limit"), ROWS_MAX)? as u32;
    let reader = reader(&control)?;
    let last = reader.last(account).await?;
    let orders = reader.orders(account, Orders { only_open, before, count_max }).await?;
    let mut body = head(name, last, "orders");
    for (place, order) in orders.iter().enumerate() {
        let Order { created_seq, created_ts, status, data, .. } = order;
        let comma = if place > 0 { "," } else { "" };
        let status = json!(status);
        let row = format!(
            r#"{comma}{{"created_seq":{created_seq},"created_ts":{created_ts},"status":{status},"last_report":{data}}}"#
        );
        body.extend_from_slice(row.as_bytes());
    }
    Ok(answer(body))
}

/// The account that is asked about, and its name.
fn account<'a>(control: &Control, keys: &'a Keys) -> Result<(&'a str, AccountId), Refused> {
    let missing = || Refused::of_field(ErrorCode::MissingField, "account", "account is missing");
    let name = keys.get("account").ok_or_else(missing)?;
    let account = control.accounts.find(name).ok_or_else(|| bad("account", "account is not known"))?;
    Ok((name, account))
}

fn whole(field: &'static str, text: Option<&str>) -> Result<Option<u64>, Refused> {
    let parse = |text: &str| text.parse().map_err(|_| bad(field, format!("{field} must be a whole number")));
    text.map(parse).transpose()
}

fn reader(control: &Control) -> Result<&Reader, NoAnswer> {
    control.history.as_ref().ok_or(NoAnswer::NoHistory)
}

fn head(account: &str, last: u64, list: &str) -> Vec<u8> {
    format!(r#"{{"account":{},"history_seq":{last},"{list}":["#, json!(account)).into_bytes()
}

fn answer(mut body: Vec<u8>) -> Response {
    body.extend_from_slice(b"]}");
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// Why there is none.
enum NoAnswer {
    Refused(Refused),
    NoHistory,
    Database(sqlx::Error),
}

impl From<Refused> for NoAnswer {
    fn from(refused: Refused) -> Self {
        NoAnswer::Refused(refused)
    }
}

impl From<sqlx::Error> for NoAnswer {
    fn from(error: sqlx::Error) -> Self {
        NoAnswer::Database(error)
    }
}

impl IntoResponse for NoAnswer {
    fn into_response(self) -> Response {
        match self {
            NoAnswer::Refused(refused) => refused.into_response(),
            NoAnswer::NoHistory => {
                let message = "no history is kept here: it takes a data_dir, and history that is not off";
                let body = json!({"type": "error", "code": "NOT_FOUND", "message": message});
                (StatusCode::NOT_FOUND, Json(body)).into_response()
            }
            NoAnswer::Database(error) => {
                tracing::warn!(%error, "the history cannot be read");
                let message = "the history cannot be read now, try again";
                Refused::new(ErrorCode::Overloaded, None, message).into_response()
            }
        }
    }
}

async fn only_who_may_read(State(control): State<Arc<Control>>, request: Request, next: Next) -> Response {
    let forbidden = |code, message: &'static str| Refused::new(code, None, message).into_response();
    match control.private {
        PrivateReads::Anybody => {}
        PrivateReads::Nobody => {
            let message = "what belongs to accounts is not read here: open login is off";
            return forbidden(ErrorCode::Permission, message);
        }
        PrivateReads::Loopback => {
            let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
            if !host.is_some_and(is_loopback) {
                return forbidden(ErrorCode::Permission, "Host must be a name of loopback");
            }
        }
    }
    next.run(request).await
}

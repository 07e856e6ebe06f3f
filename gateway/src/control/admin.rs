//! `/api/v1/admin`: what the operator changes while the exchange runs. Off unless the configuration says `admin = true`,
//! and then only where HTTP listens on loopback.
//!
//! Loopback alone does not keep a browser's pages out: any page may send a form to a local address, and a name that
//! its owner points here makes a page "ours". So a request must be JSON, which a page cannot send elsewhere without asking
//! first, and must have been sent to a name of loopback.

use super::Control;
use super::local::is_loopback;
use super::operator::Trouble;
use super::query::{Refused, bad};
use super::rest::{fees_row, listed};
use crate::reports::refusal;
use crate::wire::code::ErrorCode;
use crate::wire::name::Name;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use engine_core::limits::FEE_TIERS;
use engine_core::message::{AccountState, Command, Fees, SymbolState};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The longest body: a few short keys.
const BODY_BYTES_MAX: usize = 4096;

pub fn routes() -> Router<Arc<Control>> {
    Router::new()
        .route("/symbols/{symbol}/state", post(set_symbol))
        .route("/accounts/{account}/state", post(set_account))
        .route("/fees", post(set_fees))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(only_from_here))
}

async fn set_symbol(
    State(control): State<Arc<Control>>,
    Path(symbol): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let instrument = listed(&control, Some(&symbol))?;
    let body = Body::read(&body, &["state"])?;
    let state: SymbolState = body.required("state", Body::word)?;
    carry_out(&control, Command::SetSymbol { symbol: instrument.id, state }).await?;
    tracing::info!(symbol, state = state.text(), "symbol state set");
    Ok(Json(json!({"symbol": symbol, "state": state.text()})))
}

/// What is not said stays as it is.
async fn set_account(
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let body = Body::read(&body, &["state", "tier"])?;
    let (state, tier) = (body.word("state")?, body.tier()?);
    if state.is_none() && tier.is_none() {
        return Err(Refused::of_field(ErrorCode::MissingField, "state", "state is missing, and so is tier"));
    }
    let account = control.accounts.find(&name).ok_or_else(|| bad("account", "account is not known"))?;
    let now = control.operator.look(account).await.map_err(trouble)?;
    let (state, tier): (AccountState, u8) = (state.unwrap_or(now.state), tier.unwrap_or(now.tier));
    carry_out(&control, Command::SetAccount { account, state, tier }).await?;
    tracing::info!(account = name, state = state.text(), tier, "account state set");
    Ok(Json(json!({"account": name, "state": state.text(), "tier": tier})))
}

async fn set_fees(State(control): State<Arc<Control>>, body: Bytes) -> Result<Json<Value>, Refused> {
    let body = Body::read(&body, &["symbol", "tier", "maker_bps", "taker_bps"])?;
    let name = body.required("symbol", Body::text)?;
    let symbol = listed(&control, Some(name))?.id;
    let tier = body.required("tier", |body, _| body.tier())?;
    let fees = Fees {
        maker: body.required("maker_bps", Body::basis_points)?,
        taker: body.required("taker_bps", Body::basis_points)?,
    };
    carry_out(&control, Command::SetFees { symbol, tier, fees }).await?;
    control.set_fees(symbol, tier, fees);
    tracing::info!(
        symbol = name,
        tier,
        maker = fees.maker,
        taker = fees.taker,
        "fees set, in tenths of a basis point"
    );
    let mut row = fees_row(tier, fees);
    row["symbol"] = name.into();
    Ok(Json(row))
}

async fn carry_out(control: &Control, command: Command) -> Result<(), Refused> {
    control.operator.carry_out(command).await.map_err(trouble)
}

fn trouble(trouble: Trouble) -> Refused {
    match trouble {
        Trouble::Refused(reason) => refusal(reason).into(),
        Trouble::Overloaded(why) => Refused::new(ErrorCode::Overloaded, None, why.to_string()),
        Trouble::Unknown => Refused::new(ErrorCode::Timeout, None, "the engine did not answer in time"),
    }
}

/// The keys of a JSON object.
struct Body(Map<String, Value>);

impl Body {
    fn read(bytes: &[u8], keys: &[&str]) -> Result<Body, Refused> {
        let Ok(Value::Object(map)) = serde_json::from_slice(bytes) else {
            return Err(Refused::new(ErrorCode::InvalidJson, None, "the body is one JSON object"));
        };
        // An operator's slip of the pen must not be half a command.
        if let Some(key) = map.keys().find(|key| !keys.contains(&key.as_str())) {
            let message = format!("{key} is not one of: {}", keys.join(", "));
            return Err(Refused::new(ErrorCode::BadValue, Some(key.clone().into()), message));
        }
        Ok(Body(map))
    }

    fn required<'a, T>(
        &'a self,
        key: &'static str,
        read: impl FnOnce(&'a Self, &'static str) -> Result<Option<T>, Refused>,
    ) -> Result<T, Refused> {
        let missing = || Refused::of_field(ErrorCode::MissingField, key, format!("{key} is missing"));
        read(self, key)?.ok_or_else(missing)
    }

    fn text(&self, key: &'static str) -> Result<Option<&str>, Refused> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(bad(key, format!("{key} must be a string"))),
        }
    }

    fn word<T: Name>(&self, key: &'static str) -> Result<Option<T>, Refused> {
        let word =
            |text| T::from_text(text).ok_or_else(|| bad(key, format!("{key} must be one of: {}", T::list())));
        self.text(key)?.map(word).transpose()
    }

    fn tier(&self) -> Result<Option<u8>, Refused> {
        let tier = |value: &Value| {
            let tier = value.as_u64().filter(|tier| *tier < FEE_TIERS as u64);
            let rule = || bad("tier", format!("tier must be a whole number from 0 to {}", FEE_TIERS - 1));
            tier.map(|tier| tier as u8).ok_or_else(rule)
        };
        self.0.get("tier").map(tier).transpose()
    }

    fn basis_points(&self, key: &'static str) -> Result<Option<i16>, Refused> {
        let points =
            |text| crate::config::basis_points(text).map_err(|rule| bad(key, format!("{key} {rule}")));
        self.text(key)?.map(points).transpose()
    }
}

async fn only_from_here(request: Request, next: Next) -> Response {
    match check_origin(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

fn check_origin(headers: &HeaderMap) -> Result<(), Refused> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let forbidden = |what: &'static str| Err(Refused::new(ErrorCode::Permission, None, what));
    if !header(HOST).is_some_and(is_loopback) {
        return forbidden("Host must be a name of loopback");
    }
    if headers.contains_key(ORIGIN)
        && !header(ORIGIN)
            .and_then(|origin| origin.split_once("://"))
            .is_some_and(|(_, host)| is_loopback(host))
    {
        return forbidden("Origin must be a page of loopback");
    }
    let media_type = header(CONTENT_TYPE).and_then(|of| of.split(';').next()).unwrap_or_default();
    if media_type.trim() != "application/json" {
        let message = "Content-Type must be application/json";
        return Err(Refused::of_field(ErrorCode::BadValue, "Content-Type", message));
    }
    Ok(())
}

//! `/api/v1`: what is listed, depth, trades and what they come to, time.

use super::Control;
use super::query::{Keys, Refused, bad};
use crate::config::basis_points_text;
use crate::feed::candles::CANDLES_KEPT;
use crate::feed::{Depth, FeedRequest};
use crate::reactor::clock;
use crate::wire::code::ErrorCode;
use crate::wire::encode::SymbolFormat;
use crate::wire::encode::market::{self, Kline, Ticker};
use crate::wire::name::{KlineInterval, Name};
use crate::wire::number::NumberFormat;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use engine_core::decimal::scaled_to_string;
use engine_core::instrument::{Instrument, Step};
use engine_core::matcher::TradePrint;
use engine_core::message::Fees;
use engine_core::units::{Price, Quantity, TradeId};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Levels a side, and trades, that one answer may hold.
const LEVELS_MAX: usize = 5000;
const TRADES_MAX: usize = 1000;
const ROWS_DEFAULT: usize = 100;

/// How long a feed may take to answer.
const FEED_TIMEOUT: Duration = Duration::from_secs(2);

pub fn routes() -> Router<Arc<Control>> {
    Router::new()
        .route("/info", get(info))
        .route("/time", get(|| async { Json(json!({"ts": clock().0})) }))
        .route("/symbols", get(symbols))
        .route("/depth", get(depth))
        .route("/trades", get(trades))
        .route("/ticker", get(ticker))
        .route("/klines", get(klines))
}

pub async fn not_found() -> Response {
    let body = json!({"type": "error", "code": "NOT_FOUND", "message": "nothing at this path"});
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

pub async fn method_not_allowed() -> Response {
    let body = json!({"type": "error", "code": "METHOD_NOT_ALLOWED", "message": "not with this method"});
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}

async fn info(State(control): State<Arc<Control>>) -> Json<Value> {
    let info = &control.info;
    Json(json!({"ws_url": info.ws_url, "mode": info.mode, "demo": info.demo, "version": info.version}))
}

async fn symbols(State(control): State<Arc<Control>>) -> Json<Value> {
    let listed = &control.venue.market;
    let row = |instrument: &Instrument| {
        let format = control.venue.format(instrument.id);
        let quote = &listed.assets[instrument.quote.0 as usize];
        json!({
            "symbol": instrument.symbol,
            "base": listed.assets[instrument.base.0 as usize].name,
            "quote": quote.name,
            "tick": step(instrument.tick),
            "lot": step(instrument.lot),
            "min_notional": scaled_to_string(instrument.min_notional.0, quote.decimals),
            "price_max": text(format.price, instrument.price_max.0),
            "quantity_max": text(format.quantity, instrument.quantity_max.0),
            "band_bps": instrument.band,
            "state": control.venue.state(instrument.id).text(),
            "fees": control.fees_of(instrument.id).iter().zip(0..).map(|(fees, tier)| fees_row(tier, *fees)).collect::<Vec<_>>(),
        })
    };
    Json(json!({"symbols": listed.instruments.iter().map(row).collect::<Vec<_>>()}))
}

async fn depth(State(control): State<Arc<Control>>, keys: Keys) -> Result<Json<Value>, Refused> {
    let instrument = listed(&control, keys.get("symbol"))?;
    let levels_max = rows("limit", keys.get("limit"), LEVELS_MAX)?;
    let symbol = instrument.id;
    let depth: Depth =
        ask(&control, instrument, |answer| FeedRequest::Depth { symbol, levels_max, answer }).await?;
    let format = control.venue.format(symbol);
    Ok(Json(json!({
        "symbol": instrument.symbol,
        "seq": depth.sequence.0,
        "ts": depth.at.0,
        "bids": levels(&format, &depth.bids),
        "asks": levels(&format, &depth.asks),
    })))
}

async fn trades(State(control): State<Arc<Control>>, keys: Keys) -> Result<Json<Value>, Refused> {
    let instrument = listed(&control, keys.get("symbol"))?;
    let trades_max = rows("limit", keys.get("limit"), TRADES_MAX)?;
    let from = match keys.get("from_id") {
        Some(text) => {
            let id = text.parse().map_err(|_| bad("from_id", "from_id must be a whole number"))?;
            Some(TradeId(id))
        }
        None => None,
    };
    let symbol = instrument.id;
    let trades: Vec<TradePrint> =
        ask(&control, instrument, |answer| FeedRequest::Trades { symbol, from, trades_max, answer }).await?;
    let format = control.venue.format(symbol);
    let row = |trade: &TradePrint| {
        json!({
            "trade_id": trade.trade.0,
            "seq": trade.sequence.0,
            "price": text(format.price, trade.price.0),
            "quantity": text(format.quantity, trade.quantity.0),
            "side": trade.taker_side.text(),
            "ts": trade.at.0,
        })
    };
    Ok(Json(json!({"symbol": instrument.symbol, "trades": trades.iter().map(row).collect::<Vec<_>>()})))
}

async fn ticker(State(control): State<Arc<Control>>, keys: Keys) -> Result<Response, Refused> {
    let instrument = listed(&control, keys.get("symbol"))?;
    let symbol = instrument.id;
    let ticker: Ticker = ask(&control, instrument, |answer| FeedRequest::Ticker { symbol, answer }).await?;
    let mut data = Vec::new();
    market::ticker_data(&mut data, &control.venue.format(symbol), &ticker);
    let mut body = format!(r#"{{"symbol":{},"#, json!(instrument.symbol)).into_bytes();
    body.extend_from_slice(&data[1..]); // the same object goes on
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

async fn klines(State(control): State<Arc<Control>>, keys: Keys) -> Result<Response, Refused> {
    let instrument = listed(&control, keys.get("symbol"))?;
    let klines_max = rows("limit", keys.get("limit"), CANDLES_KEPT)?;
    let interval = keys.get("interval");
    let interval = interval
        .ok_or_else(|| Refused::of_field(ErrorCode::MissingField, "interval", "interval is missing"))?;
    let interval = KlineInterval::from_text(interval)
        .ok_or_else(|| bad("interval", format!("interval must be one of: {}", KlineInterval::list())))?;
    let symbol = instrument.id;
    let request = |answer| FeedRequest::Klines { symbol, interval, klines_max, answer };
    let klines: Vec<Kline> = ask(&control, instrument, request).await?;
    let (format, symbol) = (control.venue.format(symbol), json!(instrument.symbol));
    let interval = interval.text();
    let mut body = format!(r#"{{"symbol":{symbol},"interval":"{interval}","klines":["#).into_bytes();
    for (place, kline) in klines.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        market::kline_data(&mut body, &format, kline);
    }
    body.extend_from_slice(b"]}");
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// Has the symbol's feed answer.
async fn ask<T>(
    control: &Control,
    instrument: &Instrument,
    request: impl FnOnce(oneshot::Sender<T>) -> FeedRequest,
) -> Result<T, Refused> {
    let (answer, answered) = oneshot::channel();
    if !control.registry.door(instrument.id).send(request(answer)) {
        return Err(Refused::new(ErrorCode::Overloaded, None, "the feed has too much to do, try again"));
    }
    match tokio::time::timeout(FEED_TIMEOUT, answered).await {
        Ok(Ok(answer)) => Ok(answer),
        _ => Err(Refused::new(ErrorCode::Timeout, None, "the feed did not answer in time")),
    }
}

/// The instrument of that name.
pub fn listed<'a>(control: &'a Control, symbol: Option<&str>) -> Result<&'a Instrument, Refused> {
    let refused = |code, message| Refused::of_field(code, "symbol", message);
    let symbol = symbol.ok_or_else(|| refused(ErrorCode::MissingField, "symbol is missing"))?;
    let found = control.venue.instrument(symbol);
    found.ok_or_else(|| refused(ErrorCode::UnknownSymbol, "symbol is not listed"))
}

/// How many rows an answer may have.
pub fn rows(field: &'static str, text: Option<&str>, most: usize) -> Result<usize, Refused> {
    let Some(text) = text else { return Ok(ROWS_DEFAULT) };
    let rows = text.parse().ok().filter(|rows| (1..=most).contains(rows));
    rows.ok_or_else(|| bad(field, format!("{field} must be a whole number from 1 to {most}")))
}

/// What a tier pays, in basis points.
pub fn fees_row(tier: u8, fees: Fees) -> Value {
    let [maker, taker] = [fees.maker, fees.taker].map(basis_points_text);
    json!({"tier": tier, "maker_bps": maker, "taker_bps": taker})
}

fn step(step: Step) -> String {
    scaled_to_string(step.size as u128, step.decimals)
}

fn text(format: NumberFormat, steps: u64) -> String {
    let mut out = Vec::new();
    format.write(&mut out, steps);
    String::from_utf8(out).expect("numbers are ASCII")
}

fn levels(format: &SymbolFormat<'_>, levels: &[(Price, Quantity)]) -> Vec<[String; 2]> {
    levels
        .iter()
        .map(|(price, total)| [text(format.price, price.0), text(format.quantity, total.0)])
        .collect()
}

//! The operator halts a symbol, lets orders only leave, holds an auction, suspends an account, changes fees. Clients are
//! told, orders are refused by name, and nobody else than the operator can do it.

use crate::client::{Client, order};
use crate::exchange::Exchange;
use crate::http::{get, post, request};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn start() -> (Exchange, Client, Client) {
    let exchange = Exchange::start_with_keys("admin = true");
    let [alice, bob] = ["alice", "bob"].map(|name| Client::log_in(&exchange.ws, name));
    (exchange, alice, bob)
}

#[track_caller]
fn set_state(exchange: &Exchange, state: &str) {
    let path = "/api/v1/admin/symbols/BTC-USDT/state";
    let (status, body) = post(&exchange.http, path, &format!(r#"{{"state":"{state}"}}"#));
    assert_eq!((status, body), (200, json!({"symbol": "BTC-USDT", "state": state})));
}

fn state(exchange: &Exchange) -> Value {
    get(&exchange.http, "/api/v1/symbols").1["symbols"][0]["state"].clone()
}

fn subscribe(exchange: &Exchange, channel: &str) -> Client {
    let mut watcher = Client::connect(&exchange.ws);
    assert_eq!(
        watcher.ask(&format!(r#"{{"action":"subscribe","channel":"{channel}"}}"#))["type"],
        "subscription_ack"
    );
    watcher
}

/// Keeps the book of a subscription that begins, until it has these levels.
fn follow_until(watcher: &mut Client, wanted: &[(&str, &str)]) {
    let wanted: BTreeMap<String, String> =
        wanted.iter().map(|(level, total)| (level.to_string(), total.to_string())).collect();
    let mut book = BTreeMap::new();
    while book != wanted {
        let message = watcher.next();
        for side in ["bids", "asks"] {
            for level in message["data"][side].as_array().into_iter().flatten() {
                let [price, total] = [&level[0], &level[1]].map(|text| text.as_str().unwrap());
                book.insert(format!("{side} {price}"), total.to_owned());
            }
        }
        book.retain(|_, total| total != "0");
    }
}

const BID: &str = r#""side":"buy","price":"30000","quantity":"1""#;

fn cancel(name: &str) -> String {
    format!(r#"{{"action":"cancel_order","symbol":"BTC-USDT","order_id":"{name}"}}"#)
}

#[test]
fn a_halted_symbol_stands_still_and_says_so() {
    let (exchange, mut alice, _bob) = start();
    let mut watchers =
        ["BTC-USDT", "BTC-USDT@trade", "BTC-USDT@bbo"].map(|channel| subscribe(&exchange, channel));
    watchers[0].until("depth_snapshot");
    alice.order(&format!(r#""order_id":"a",{BID}"#));

    set_state(&exchange, "halted");
    for watcher in &mut watchers {
        let status = watcher.until("status");
        assert_eq!((&status["channel"], &status["data"]["state"]), (&"BTC-USDT".into(), &"halted".into()));
        assert!(status["data"]["ts"].is_u64(), "{status}");
    }
    assert_eq!(state(&exchange), "halted");
    assert_eq!(alice.ask(&order(&format!(r#""order_id":"b",{BID}"#)))["code"], "MARKET_CLOSED");
    assert_eq!(alice.ask(&cancel("a"))["code"], "MARKET_CLOSED");
    // Who comes now is told, too.
    let mut late = subscribe(&exchange, "BTC-USDT");
    assert_eq!(late.next()["type"], "depth_snapshot");
    assert_eq!(late.until("status")["data"]["state"], "halted");

    set_state(&exchange, "cancel_only");
    assert_eq!(late.until("status")["data"]["state"], "cancel_only");
    assert_eq!(alice.ask(&order(&format!(r#""order_id":"c",{BID}"#)))["code"], "CANCEL_ONLY");
    let amend = |quantity: &str| {
        format!(r#"{{"action":"amend_order","symbol":"BTC-USDT","order_id":"a","quantity":"{quantity}"}}"#)
    };
    assert_eq!(alice.ask(&amend("2"))["code"], "CANCEL_ONLY");
    assert_eq!(alice.ask(&amend("0.5"))["type"], "amend_ack");
    assert_eq!(alice.ask(&cancel("a"))["type"], "cancel_ack");

    set_state(&exchange, "trading");
    assert_eq!(late.until("status")["data"]["state"], "trading");
    alice.order(&format!(r#""order_id":"d",{BID}"#));
}

#[test]
fn an_auction_gathers_orders_and_trades_them_at_one_price() {
    let (exchange, mut alice, mut bob) = start();
    let mut watcher = subscribe(&exchange, "BTC-USDT");
    watcher.until("depth_snapshot");
    set_state(&exchange, "auction");
    assert_eq!(watcher.until("status")["data"]["state"], "auction");
    alice.order(r#""order_id":"ask-1","side":"sell","price":"29000","quantity":"1""#);
    alice.order(r#""order_id":"ask-2","side":"sell","price":"29500","quantity":"1""#);
    bob.order(r#""order_id":"bid-1","side":"buy","price":"30000","quantity":"1.5""#);
    let ioc = r#""order_id":"i","side":"buy","price":"30000","quantity":"1","tif":"ioc""#;
    assert_eq!(bob.ask(&order(ioc))["code"], "MARKET_CLOSED", "an auction takes what can rest");
    // The book is crossed and everybody sees it, those who come now as well.
    while watcher.until("depth_update")["data"]["bids"] != json!([["30000", "1.5"]]) {}
    let mut late = subscribe(&exchange, "BTC-USDT");
    let crossed = [("asks 29000", "1"), ("asks 29500", "1"), ("bids 30000", "1.5")];
    follow_until(&mut late, &crossed);
    let (status, depth) = get(&exchange.http, "/api/v1/depth?symbol=BTC-USDT");
    assert_eq!((status, &depth["bids"][0][0]), (200, &"30000".into()));

    set_state(&exchange, "trading");
    let trades = [watcher.until("trade"), watcher.until("trade")];
    let price = &trades[0]["data"]["price"];
    assert_eq!(&trades[1]["data"]["price"], price, "one price for all");
    assert_eq!(watcher.until("status")["data"]["state"], "trading", "after what the auction traded");
    let report = bob.report("bid-1", "trade");
    assert_eq!((&report["liquidity"], &report["last_price"]), (&"auction".into(), price));
    assert_eq!(alice.report("ask-1", "trade")["status"], "filled");
    assert_eq!(alice.report("ask-2", "trade")["status"], "partially_filled");
    assert_eq!(state(&exchange), "trading");
}

#[test]
fn a_delisted_symbol_gives_every_order_back_and_never_returns() {
    let (exchange, mut alice, _bob) = start();
    alice.order(&format!(r#""order_id":"a",{BID}"#));
    set_state(&exchange, "delisted");
    assert_eq!(alice.report("a", "canceled")["reason"], "delisted");
    let path = "/api/v1/admin/symbols/BTC-USDT/state";
    let (status, body) = post(&exchange.http, path, r#"{"state":"trading"}"#);
    assert_eq!((status, &body["code"], &body["field"]), (400, &"BAD_VALUE".into(), &"state".into()));
    assert_eq!(state(&exchange), "delisted");
}

#[test]
fn a_suspended_account_can_only_cancel() {
    let (exchange, mut alice, mut bob) = start();
    alice.order(&format!(r#""order_id":"a",{BID}"#));
    bob.order(&format!(r#""order_id":"b",{BID}"#));
    let path = "/api/v1/admin/accounts/alice/state";
    let (status, body) = post(&exchange.http, path, r#"{"tier":3}"#);
    assert_eq!((status, body), (200, json!({"account": "alice", "state": "active", "tier": 3})));
    let (status, body) = post(&exchange.http, path, r#"{"state":"suspended"}"#);
    assert_eq!(
        (status, body),
        (200, json!({"account": "alice", "state": "suspended", "tier": 3})),
        "its tier stays"
    );
    alice.report("a", "canceled");
    assert_eq!(alice.ask(&order(&format!(r#""order_id":"c",{BID}"#)))["code"], "ACCOUNT_SUSPENDED");
    assert_eq!(bob.open_orders(), ["b"]);
    post(&exchange.http, path, r#"{"state":"active"}"#);
    alice.order(&format!(r#""order_id":"d",{BID}"#));
}

#[test]
fn fees_change_for_orders_that_come_after() {
    let (exchange, mut alice, mut bob) = start();
    alice.order(r#""order_id":"old","side":"sell","price":"30000","quantity":"0.1""#);
    for tier in [0, 1] {
        let fees = format!(r#"{{"symbol":"BTC-USDT","tier":{tier},"maker_bps":"{tier}","taker_bps":"2.5"}}"#);
        let (status, body) = post(&exchange.http, "/api/v1/admin/fees", &fees);
        assert_eq!((status, &body["taker_bps"]), (200, &"2.5".into()), "{body}");
    }
    let symbols = get(&exchange.http, "/api/v1/symbols").1;
    assert_eq!(symbols["symbols"][0]["fees"][1], json!({"tier": 1, "maker_bps": "1", "taker_bps": "2.5"}));
    bob.order(r#""order_id":"bid","side":"buy","price":"30000","quantity":"0.1""#);
    assert_eq!(bob.report("bid", "trade")["fee"], "0.75");
    assert_eq!(alice.report("old", "trade")["fee"], "0");
    // An account of another tier pays what that tier pays.
    post(&exchange.http, "/api/v1/admin/accounts/alice/state", r#"{"tier":1}"#);
    alice.order(r#""order_id":"new","side":"sell","price":"30000","quantity":"0.1""#);
    bob.order(r#""order_id":"bid-2","side":"buy","price":"30000","quantity":"0.1""#);
    assert_eq!(alice.report("new", "trade")["fee"], "0.3");
}

#[test]
fn is_the_operators_alone() {
    let (exchange, _alice, _bob) = start();
    let (symbol, account, fees) =
        ("/api/v1/admin/symbols/BTC-USDT/state", "/api/v1/admin/accounts/alice/state", "/api/v1/admin/fees");
    for (path, body, status, code, field) in [
        (symbol, "", 400, "INVALID_JSON", None),
        (symbol, "[]", 400, "INVALID_JSON", None),
        (symbol, "{}", 400, "MISSING_FIELD", Some("state")),
        (symbol, r#"{"state":"closed"}"#, 400, "BAD_VALUE", Some("state")),
        (symbol, r#"{"state":1}"#, 400, "BAD_VALUE", Some("state")),
        (symbol, r#"{"state":"halted","for":1}"#, 400, "BAD_VALUE", Some("for")),
        ("/api/v1/admin/symbols/NO-NO/state", r#"{"state":"halted"}"#, 404, "UNKNOWN_SYMBOL", Some("symbol")),
        (account, "{}", 400, "MISSING_FIELD", Some("state")),
        (account, r#"{"state":"gone"}"#, 400, "BAD_VALUE", Some("state")),
        (account, r#"{"tier":8}"#, 400, "BAD_VALUE", Some("tier")),
        ("/api/v1/admin/accounts/nobody/state", r#"{"tier":1}"#, 400, "BAD_VALUE", Some("account")),
        (fees, r#"{"symbol":"BTC-USDT","tier":0,"maker_bps":"1"}"#, 400, "MISSING_FIELD", Some("taker_bps")),
        (
            fees,
            r#"{"symbol":"BTC-USDT","tier":0,"maker_bps":"1","taker_bps":"0.05"}"#,
            400,
            "BAD_VALUE",
            Some("taker_bps"),
        ),
        (
            fees,
            r#"{"symbol":"BTC-USDT","maker_bps":"1","taker_bps":"1"}"#,
            400,
            "MISSING_FIELD",
            Some("tier"),
        ),
    ] {
        let (answered, answer) = post(&exchange.http, path, body);
        assert_eq!((answered, &answer["code"]), (status, &code.into()), "{path} {body}: {answer}");
        assert_eq!(answer["field"].as_str(), field, "{path} {body}: {answer}");
    }
    // A page of the web that a browser on this machine shows.
    let halt = r#"{"state":"halted"}"#;
    let json = "Content-Type: application/json\r\n";
    for headers in [
        "Content-Type: text/plain\r\n".to_owned(),
        String::new(),
        format!("{json}Origin: https://evil.example\r\n"),
        format!("{json}Origin: null\r\n"),
        format!("{json}Host: evil.example\r\n"),
    ] {
        let (status, answer) = request(&exchange.http, "POST", symbol, &headers, halt);
        assert!(matches!(status, 400 | 403), "{headers}: {answer}");
        assert_eq!(answer["type"], "error");
    }
    assert_eq!(state(&exchange), "trading", "nothing of this was done");
    let closed = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let (status, answer) = post(&closed.http, symbol, halt);
    assert_eq!((status, &answer["code"]), (404, &"NOT_FOUND".into()));
}

//! One subscription for every symbol whose name matches: one ack, one name to end it by, and no stream of a symbol twice.

use crate::client::Client;
use crate::exchange::Exchange;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const SYMBOLS: [&str; 3] = ["BTC-USDT", "ETH-USDT", "SOL-USDT"];

fn subscribe(client: &mut Client, channel: &str) -> Value {
    client.ask(&json!({"action": "subscribe", "channel": channel}).to_string())
}

/// The symbols of the next messages, until all of these have come.
fn until_all(client: &mut Client, kind: &str, symbols: &[&str]) {
    let mut missing: BTreeSet<&str> = symbols.iter().copied().collect();
    while !missing.is_empty() {
        let message = client.next();
        assert_eq!(message["type"], kind);
        let symbol = message["channel"].as_str().expect("a symbol");
        assert!(symbols.contains(&symbol), "{symbol} does not match");
        missing.remove(symbol);
    }
}

fn bid(client: &mut Client, symbol: &str, order_id: &str) {
    let order =
        json!({"order_id": order_id, "symbol": symbol, "side": "buy", "price": "10", "quantity": "1"});
    assert_eq!(client.ask(&order.to_string())["type"], "order_ack");
}

#[test]
fn every_symbol_that_matches_comes() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut client = Client::connect(&exchange.ws);
    assert_eq!(
        subscribe(&mut client, "*@ticker"),
        json!({"type": "subscription_ack", "channel": "*@ticker"})
    );
    until_all(&mut client, "ticker", &SYMBOLS);
    let mut trader = Client::log_in(&exchange.ws, "trader");
    SYMBOLS.iter().for_each(|symbol| bid(&mut trader, symbol, symbol));
    until_all(&mut client, "ticker", &SYMBOLS);
    client.send(r#"{"action":"resync","channel":"*@ticker"}"#);
    until_all(&mut client, "ticker", &SYMBOLS);
    assert_eq!(client.ask(r#"{"action":"list_subscriptions"}"#)["channels"], json!(["*@ticker"]));
    client.send(r#"{"action":"unsubscribe","channel":"*@ticker","id":1}"#);
    assert_eq!(client.until("unsubscription_ack")["channel"], "*@ticker");
    // It has left every room: the next that it hears of is what it joins.
    SYMBOLS.iter().for_each(|symbol| bid(&mut trader, symbol, &format!("again.{symbol}")));
    assert_eq!(subscribe(&mut client, "*L-USDT@bbo")["type"], "subscription_ack");
    until_all(&mut client, "bbo", &["SOL-USDT"]);

    let mut other = Client::connect(&exchange.ws);
    let request =
        json!({"action": "subscribe", "channel": "*-USDT", "streams": ["depth"], "interval_ms": 100});
    assert_eq!(other.ask(&request.to_string())["type"], "subscription_ack");
    until_all(&mut other, "depth_snapshot", &SYMBOLS);
    bid(&mut trader, "ETH-USDT", "third");
    until_all(&mut other, "depth_update", &["ETH-USDT"]);
}

#[test]
fn no_stream_of_a_symbol_comes_twice() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut client = Client::connect(&exchange.ws);
    for channel in ["BTC-*@trade", "ETH-USDT@trade", "X*@trade", "*@kline_1m"] {
        assert_eq!(subscribe(&mut client, channel)["type"], "subscription_ack", "{channel}");
    }
    for channel in [
        "BTC-USDT@trade",
        "BTC-USDT",
        "*@trade",
        "*-USDT@trade",
        "XRP-*@trade",
        "ETH-*",
        "BTC-*@trade",
        "*A@kline_1m",
    ] {
        assert_eq!(subscribe(&mut client, channel)["code"], "ALREADY_SUBSCRIBED", "{channel}");
    }
    for (channel, code) in
        [("*-*@trade", "BAD_VALUE"), ("**@trade", "BAD_VALUE"), ("*@nothing", "UNKNOWN_CHANNEL")]
    {
        assert_eq!(subscribe(&mut client, channel)["code"], code, "{channel}");
    }
    client.ask(r#"{"action":"unsubscribe","channel":"BTC-*@trade"}"#);
    assert_eq!(subscribe(&mut client, "BTC-USDT@trade")["type"], "subscription_ack");
    let names = ["*@kline_1m", "BTC-USDT@trade", "ETH-USDT@trade", "X*@trade"];
    let listed = client.ask(r#"{"action":"list_subscriptions"}"#)["channels"].clone();
    let listed: BTreeSet<String> = serde_json::from_value(listed).expect("names");
    assert!(listed.iter().eq(names), "{listed:?}");
}

#[test]
fn a_pattern_is_one_channel_and_as_many_rooms_as_it_has_symbols() {
    let exchange = Exchange::start_with_keys("[limits]\nchannels_max = 2\nrooms_max_per_connection = 4\n");
    let mut client = Client::connect(&exchange.ws);
    assert_eq!(subscribe(&mut client, "*@trade")["type"], "subscription_ack");
    let refused = subscribe(&mut client, "*@heartbeat");
    assert_eq!(refused["code"], "TOO_MANY_SUBSCRIPTIONS");
    assert!(refused["message"].as_str().unwrap().contains("4 rooms"), "{refused}");
    assert_eq!(subscribe(&mut client, "BTC-USDT@depth")["type"], "subscription_ack");
    client.until("depth_snapshot");
    assert_eq!(subscribe(&mut client, "Y*@bbo")["code"], "TOO_MANY_SUBSCRIPTIONS", "two channels");
    client.ask(r#"{"action":"unsubscribe","channel":"*@trade"}"#);
    assert_eq!(subscribe(&mut client, "*@trade")["type"], "subscription_ack", "its rooms are free again");
}

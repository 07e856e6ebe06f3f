//! A client that has lost the last messages before a quiet time cannot know, unless it is told where the symbol stands.

use crate::client::Client;
use crate::exchange::Exchange;

#[test]
fn tells_in_a_quiet_market_where_it_stands() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut client = Client::connect(&exchange.ws);
    let ack = client.ask(r#"{"action":"subscribe","channel":"BTC-USDT","streams":["heartbeat"],"id":1}"#);
    assert_eq!(
        (&ack["type"], &ack["streams"]),
        (&"subscription_ack".into(), &serde_json::json!(["heartbeat"]))
    );
    let first = client.next();
    assert_eq!((&first["type"], &first["channel"]), (&"heartbeat".into(), &"BTC-USDT".into()));
    assert_eq!((&first["data"]["seq"], &first["data"]["trade_id"]), (&0.into(), &0.into()));
    let mut trader = Client::log_in(&exchange.ws, "trader");
    trader.order(r#""order_id":"a","side":"sell","price":"100","quantity":"1""#);
    trader.order(r#""order_id":"b","side":"buy","price":"100","quantity":"1""#);
    // Nothing else is subscribed, and it learns what it has not got.
    let last = loop {
        let heartbeat = client.next();
        assert_eq!(heartbeat["type"], "heartbeat");
        if heartbeat["data"]["trade_id"] == 1 {
            break heartbeat["data"].clone();
        }
    };
    assert_eq!(last["seq"], 2);
    let next = client.next()["data"].clone();
    assert_eq!((&next["seq"], &next["trade_id"]), (&2.into(), &1.into()));
    assert!(next["ts"].as_u64() > last["ts"].as_u64());
    assert!(next["lag_ms"].is_u64() && next["conflated"].is_u64());
    let mut other = Client::connect(&exchange.ws);
    other.ask(r#"{"action":"subscribe","channel":"BTC-USDT@heartbeat"}"#);
    assert_eq!(other.next()["type"], "heartbeat");
    let twice = client.ask(r#"{"action":"subscribe","channel":"BTC-USDT@heartbeat"}"#);
    assert_eq!(twice["code"], "ALREADY_SUBSCRIBED");
}

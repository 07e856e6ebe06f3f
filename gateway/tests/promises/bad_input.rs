//! Whatever a client sends that is wrong is answered with a code and a sentence that names the field, the connection
//! is kept, and nothing is half applied: afterwards the account has what it had.

use crate::client::Client;
use crate::exchange::Exchange;

/// What is sent, the code it gets, and a word its message must have.
const WRONG: &[(&str, &str, &str)] = &[
    ("{bad", "INVALID_JSON", "JSON"),
    ("[1,2]", "INVALID_JSON", "object"),
    (r#"{"action":"dance"}"#, "UNKNOWN_ACTION", "action"),
    (r#"{"action":"subscribe"}"#, "MISSING_FIELD", "channel"),
    (r#"{"action":"subscribe","channel":7}"#, "BAD_VALUE", "channel"),
    (r#"{"action":"subscribe","channel":"XXX"}"#, "UNKNOWN_CHANNEL", "XXX"),
    (r#"{"action":"subscribe","channel":"BTC-USDT@nothing"}"#, "UNKNOWN_CHANNEL", "nothing"),
    (r#"{"action":"unsubscribe","channel":"BTC-USDT"}"#, "NOT_SUBSCRIBED", "BTC-USDT"),
    (r#"{"action":"resync","channel":"BTC-USDT"}"#, "NOT_SUBSCRIBED", "BTC-USDT"),
    (r#"{"order_id":"a","symbol":"BTC-USDT","side":"buy","price":"30000"}"#, "MISSING_FIELD", "quantity"),
    (
        r#"{"order_id":"a","symbol":"BTC-USDT","side":"up","price":"30000","quantity":"1"}"#,
        "BAD_VALUE",
        "side",
    ),
    (
        r#"{"order_id":"a","symbol":"BTC-USDT","side":"buy","price":30000,"quantity":"1"}"#,
        "BAD_VALUE",
        "price",
    ),
    (
        r#"{"order_id":"a","symbol":"BTC-USDT","side":"buy","price":"3e4","quantity":"1"}"#,
        "BAD_VALUE",
        "price",
    ),
    (
        r#"{"order_id":"a","symbol":"BTC-USDT","side":"buy","price":"-1","quantity":"1"}"#,
        "BAD_VALUE",
        "price",
    ),
    (
        r#"{"order_id":"a","symbol":"BTC-USDT","side":"buy","price":"1.123","quantity":"10"}"#,
        "BAD_PRECISION",
        "price",
    ),
    (r#"{"order_id":"a","symbol":"BTC-USDT","side":"buy","price":"0","quantity":"1"}"#, "BAD_VALUE", "price"),
    (
        r#"{"order_id":"a","symbol":"BTC-USDT","side":"buy","price":"30000","quantity":"0"}"#,
        "BAD_VALUE",
        "quantity",
    ),
    (
        r#"{"order_id":"a","symbol":"BTC-USDT","side":"buy","price":"30000","quantity":"0.000001"}"#,
        "BAD_PRECISION",
        "quantity",
    ),
    (
        r#"{"order_id":"a","symbol":"BTC-USDT","side":"buy","price":"99999999999999999999999","quantity":"1"}"#,
        "BAD_VALUE",
        "price",
    ),
    (
        r#"{"order_id":"a","symbol":"BTC-USDT","side":"buy","price":"2000000000","quantity":"1"}"#,
        "BAD_VALUE",
        "price",
    ),
    (
        r#"{"order_id":"small","symbol":"BTC-USDT","side":"buy","price":"1","quantity":"0.01"}"#,
        "MIN_NOTIONAL",
        "notional",
    ),
    (
        r#"{"order_id":"a","symbol":"NO-NO","side":"buy","price":"1","quantity":"1"}"#,
        "UNKNOWN_SYMBOL",
        "NO-NO",
    ),
    (
        r#"{"order_id":"","symbol":"BTC-USDT","side":"buy","price":"1","quantity":"10"}"#,
        "BAD_VALUE",
        "order_id",
    ),
    (
        r#"{"order_id":"a b","symbol":"BTC-USDT","side":"buy","price":"1","quantity":"10"}"#,
        "BAD_VALUE",
        "order_id",
    ),
    (
        r#"{"order_id":"0123456789012345678901234567890123456","symbol":"BTC-USDT","side":"buy","price":"1","quantity":"10"}"#,
        "BAD_VALUE",
        "order_id",
    ),
    (
        r#"{"order_id":"rich","symbol":"BTC-USDT","side":"buy","price":"30000","quantity":"1000"}"#,
        "INSUFFICIENT_BALANCE",
        "available",
    ),
    (
        r#"{"order_id":"coins","symbol":"BTC-USDT","side":"sell","price":"30000","quantity":"1000"}"#,
        "INSUFFICIENT_BALANCE",
        "available",
    ),
    (
        r#"{"action":"submit_order","order_id":"m","symbol":"ETH-USDT","side":"buy","quantity":"1","order_type":"market"}"#,
        "PRICE_BAND",
        "other side",
    ),
    (r#"{"action":"cancel_order","symbol":"BTC-USDT","order_id":"never"}"#, "UNKNOWN_ORDER", "order_id"),
    (r#"{"action":"cancel_order","symbol":"BTC-USDT","order_id":"others"}"#, "UNKNOWN_ORDER", "order_id"),
];

#[test]
fn is_answered_by_name_and_changes_nothing() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut other = Client::log_in(&exchange.ws, "other");
    let others = r#"{"order_id":"others","symbol":"BTC-USDT","side":"buy","price":"100","quantity":"1"}"#;
    assert_eq!(other.ask(others)["type"], "order_ack");

    let mut client = Client::log_in(&exchange.ws, "clumsy");
    for (text, code, word) in WRONG {
        let answer = client.ask(text);
        assert_eq!(answer["code"], *code, "{text}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(word), "{text}: {answer}");
        assert_eq!(client.ask(r#"{"action":"ping","id":1}"#)["type"], "pong", "after {text}");
    }
    assert_eq!(client.ask(r#"{"action":"subscribe","channel":"user"}"#)["type"], "subscription_ack");
    let account = client.until("account_snapshot");
    for balance in account["data"]["balances"].as_array().unwrap() {
        assert_eq!(balance["locked"], "0", "{account}");
    }
    assert_eq!(account["data"]["balances"][0]["free"], "1000000", "{account}");
    assert_eq!(account["data"]["orders"], serde_json::json!([]), "{account}");
}

#[test]
fn twice_the_same_is_refused_or_repeated() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut client = Client::log_in(&exchange.ws, "alice");
    let order = r#"{"order_id":"a1","symbol":"BTC-USDT","side":"buy","price":"30000","quantity":"0.5"}"#;
    let first = client.ask(order);
    let again = client.ask(order);
    assert_eq!((&first["duplicate"], &again["duplicate"]), (&false.into(), &true.into()));
    assert_eq!(first["exchange_order_id"], again["exchange_order_id"]);
    let another = r#"{"order_id":"a1","symbol":"BTC-USDT","side":"buy","price":"30001","quantity":"0.5"}"#;
    assert_eq!(client.ask(another)["code"], "DUPLICATE_ORDER_ID");
    let taking = r#"{"action":"submit_order","order_id":"p","symbol":"BTC-USDT","side":"sell","price":"30000","quantity":"1","post_only":true}"#;
    assert_eq!(client.ask(taking)["code"], "POST_ONLY_WOULD_TAKE");

    assert_eq!(client.ask(r#"{"action":"subscribe","channel":"BTC-USDT"}"#)["type"], "subscription_ack");
    assert_eq!(client.next()["type"], "depth_snapshot");
    for overlapping in ["BTC-USDT", "BTC-USDT@trade"] {
        let answer = client.ask(&format!(r#"{{"action":"subscribe","channel":"{overlapping}"}}"#));
        assert_eq!(answer["code"], "ALREADY_SUBSCRIBED", "{answer}");
    }
}

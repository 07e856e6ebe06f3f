//! An order or a change with anything wrong in it is refused by a code and by the name of the field, and nothing is half
//! applied: no order, no hold, no other answer.

use crate::client::{Client, order, time_in_ms};
use crate::exchange::Exchange;
use serde_json::json;

/// Steps that are no powers of ten, a band, and a largest order. The instrument is BTC-USDT of the sample otherwise.
const KEYS: &str = r#"
[[symbols]]
symbol = "BTC-USDT"
base = "BTC"
quote = "USDT"
tick = "0.05"
lot = "0.0025"
min_notional = "5"
band_bps = 1000
max_quantity = "20"
"#;

/// The keys of the order beside symbol and order_id, its code, and a word its message must have.
const WRONG: &[(&str, &str, &str)] = &[
    // numbers
    (
        r#""side":"buy","price":"30000.01","quantity":"1""#,
        "PRICE_TICK",
        "price 30000.01 is not a multiple of the tick 0.05",
    ),
    (r#""side":"buy","price":"30000.051","quantity":"1""#, "BAD_PRECISION", "price"),
    (
        r#""side":"buy","price":"30000","quantity":"0.001""#,
        "LOT_SIZE",
        "quantity 0.001 is not a multiple of the lot 0.0025",
    ),
    (r#""side":"buy","price":"30000","quantity":"0.00251""#, "BAD_PRECISION", "quantity"),
    (r#""side":"buy","price":"30000","quantity":"20.0025""#, "BAD_VALUE", "quantity"),
    (r#""side":"buy","price":"0.05","quantity":"0.0025""#, "MIN_NOTIONAL", "notional"),
    // the band is 10 % around the last trade, which was at 30,000
    (r#""side":"buy","price":"33000.05","quantity":"1""#, "PRICE_BAND", "price"),
    (r#""side":"buy","price":"26999.95","quantity":"1""#, "PRICE_BAND", "price"),
    // stops
    (r#""side":"buy","order_type":"stop","quantity":"1""#, "MISSING_FIELD", "stop_price"),
    (
        r#""side":"buy","order_type":"stop","stop_price":"30000.01","quantity":"1""#,
        "PRICE_TICK",
        "stop_price",
    ),
    (r#""side":"buy","order_type":"stop","stop_price":"0","quantity":"1""#, "BAD_VALUE", "stop_price"),
    (
        r#""side":"buy","order_type":"stop","stop_price":"99999999999","quantity":"1""#,
        "BAD_VALUE",
        "stop_price",
    ),
    (
        r#""side":"buy","order_type":"stop","stop_price":"31000","price":"31000","quantity":"1""#,
        "BAD_VALUE",
        "price",
    ),
    (
        r#""side":"buy","order_type":"stop","stop_price":"31000","quantity":"1","tif":"gtc""#,
        "BAD_VALUE",
        "tif",
    ),
    (
        r#""side":"buy","order_type":"stop_limit","stop_price":"31000","quantity":"1""#,
        "MISSING_FIELD",
        "price",
    ),
    (r#""side":"buy","price":"30000","stop_price":"31000","quantity":"1""#, "BAD_VALUE", "stop_price"),
    (r#""side":"buy","order_type":"trailing_stop","quantity":"1""#, "MISSING_FIELD", "trail"),
    (r#""side":"buy","order_type":"trailing_stop","trail":"0.01","quantity":"1""#, "PRICE_TICK", "trail"),
    (r#""side":"buy","order_type":"trailing_stop","trail":"0","quantity":"1""#, "BAD_VALUE", "trail"),
    (r#""side":"buy","order_type":"trailing_stop","trail":"-5","quantity":"1""#, "BAD_VALUE", "trail"),
    // two ways out
    (r#""side":"sell","order_type":"oco","price":"31000","quantity":"1""#, "MISSING_FIELD", "stop_price"),
    (r#""side":"sell","order_type":"oco","stop_price":"29000","quantity":"1""#, "MISSING_FIELD", "price"),
    (
        r#""side":"sell","order_type":"oco","price":"29000","stop_price":"31000","quantity":"1""#,
        "BAD_VALUE",
        "stop_price",
    ),
    (
        r#""side":"buy","order_type":"oco","price":"31000","stop_price":"31000","quantity":"1""#,
        "BAD_VALUE",
        "stop_price",
    ),
    (
        r#""side":"sell","order_type":"oco","price":"31000","stop_price":"29000","stop_limit_price":"x","quantity":"1""#,
        "BAD_VALUE",
        "stop_limit_price",
    ),
    (
        r#""side":"sell","order_type":"oco","price":"31000","stop_price":"29000","quantity":"1","tif":"ioc""#,
        "BAD_VALUE",
        "tif",
    ),
    // icebergs
    (
        r#""side":"buy","price":"30000","quantity":"1","display_quantity":"1""#,
        "BAD_VALUE",
        "display_quantity",
    ),
    (
        r#""side":"buy","price":"30000","quantity":"1","display_quantity":"0.001""#,
        "LOT_SIZE",
        "display_quantity",
    ),
    (
        r#""side":"buy","price":"30000","quantity":"1","display_quantity":"0""#,
        "BAD_VALUE",
        "display_quantity",
    ),
    (
        r#""side":"buy","price":"30000","quantity":"1","display_quantity":0.5"#,
        "BAD_VALUE",
        "display_quantity",
    ),
    (
        r#""side":"buy","price":"30000","quantity":"1","display_quantity":"0.5","tif":"fok""#,
        "BAD_VALUE",
        "display_quantity",
    ),
    // market orders
    (
        r#""side":"buy","order_type":"market","quote_quantity":"99999999999999999999999""#,
        "BAD_VALUE",
        "quote_quantity",
    ),
    (r#""side":"buy","order_type":"market""#, "MISSING_FIELD", "quantity"),
    (r#""side":"buy","order_type":"market","price":"1","quantity":"1""#, "BAD_VALUE", "price"),
    (
        r#""side":"buy","order_type":"market","quantity":"1","quote_quantity":"1""#,
        "BAD_VALUE",
        "quote_quantity",
    ),
    (r#""side":"buy","order_type":"market","quote_quantity":"0""#, "BAD_VALUE", "quote_quantity"),
    (
        r#""side":"buy","order_type":"market","quote_quantity":"1.123456789""#,
        "BAD_PRECISION",
        "quote_quantity",
    ),
    (r#""side":"buy","order_type":"market","quote_quantity":"100","tif":"fok""#, "BAD_VALUE", "tif"),
    (r#""side":"buy","order_type":"market","quote_quantity":"4""#, "MIN_NOTIONAL", "quote_quantity"),
    (r#""side":"buy","order_type":"market","quantity":"1","tif":"gtd","expire_ts":1"#, "BAD_VALUE", "tif"),
    (r#""side":"buy","price":"30000","quote_quantity":"100""#, "BAD_VALUE", "quote_quantity"),
    // how long
    (r#""side":"buy","price":"30000","quantity":"1","tif":"day""#, "BAD_VALUE", "tif"),
    (r#""side":"buy","price":"30000","quantity":"1","tif":"gtd""#, "MISSING_FIELD", "expire_ts"),
    (
        r#""side":"buy","price":"30000","quantity":"1","tif":"gtd","expire_ts":"soon""#,
        "BAD_VALUE",
        "expire_ts",
    ),
    (r#""side":"buy","price":"30000","quantity":"1","tif":"gtd","expire_ts":1"#, "BAD_TERMS", "expire_ts"),
    (r#""side":"buy","price":"30000","quantity":"1","expire_ts":1760000000000000"#, "BAD_VALUE", "expire_ts"),
    (r#""side":"buy","price":"30000","quantity":"1","tif":"ioc","post_only":true"#, "BAD_VALUE", "tif"),
    (
        r#""side":"buy","price":"30000","quantity":"1","order_type":"limit_maker","tif":"fok""#,
        "BAD_VALUE",
        "tif",
    ),
    // the rest
    (r#""side":"buy","price":"30000","quantity":"1","order_type":"fancy""#, "BAD_VALUE", "order_type"),
    (r#""side":"buy","price":"30000","quantity":"1","stp":"cancel_all""#, "BAD_VALUE", "stp"),
    (r#""side":"buy","price":"30000","quantity":"1","post_only":"yes""#, "BAD_VALUE", "post_only"),
    (r#""side":"buy","price":"30000","quantity":"1","price":"30000""#, "BAD_VALUE", "price"),
    (r#""side":"sell","price":"30000","quantity":"19""#, "INSUFFICIENT_BALANCE", "available"),
];

/// The keys of an amend beside symbol and order_id.
const WRONG_AMENDS: &[(&str, &str, &str)] = &[
    ("", "MISSING_FIELD", "quantity"),
    (r#","quantity":"0""#, "BAD_VALUE", "quantity"),
    (r#","quantity":0.5"#, "BAD_VALUE", "quantity"),
    (r#","quantity":"0.001""#, "LOT_SIZE", "quantity"),
    (r#","quantity":"21""#, "BAD_VALUE", "quantity"),
    (r#","price":"28000.01""#, "PRICE_TICK", "price"),
    (r#","price":"0""#, "BAD_VALUE", "price"),
    (r#","price":"33000.05""#, "PRICE_BAND", "price"),
    (r#","price":"0.05","quantity":"0.0025""#, "MIN_NOTIONAL", "notional"),
];

/// Alice's account after a trade at 30,000 with one order open.
fn start() -> (Exchange, Client) {
    let exchange = Exchange::start_with_keys(KEYS);
    let mut bob = Client::log_in(&exchange.ws, "bob");
    let mut alice = Client::log_in(&exchange.ws, "alice");
    bob.order(r#""order_id":"ask","side":"sell","price":"30000","quantity":"0.5""#);
    alice.order(r#""order_id":"bid","side":"buy","price":"30000","quantity":"0.5""#);
    alice.report("bid", "trade");
    alice.order(r#""order_id":"open","side":"buy","price":"28000","quantity":"0.5""#);
    // Most of the coins are put away, so that an order of a size that the symbol takes can be too dear.
    alice.order(r#""order_id":"coins","side":"sell","price":"32000","quantity":"20""#);
    alice.order(r#""order_id":"more-coins","side":"sell","price":"32000","quantity":"20""#);
    (exchange, alice)
}

fn account(client: &mut Client) -> serde_json::Value {
    client.send(r#"{"action":"subscribe","channel":"user"}"#);
    let mut account = client.until("account_snapshot");
    client.send(r#"{"action":"unsubscribe","channel":"user"}"#);
    client.until("unsubscription_ack");
    account["data"]["ts"] = json!(null);
    account
}

#[test]
fn are_refused_by_name_and_change_nothing() {
    let (_exchange, mut client) = start();
    let before = account(&mut client);
    for (number, (keys, code, word)) in WRONG.iter().enumerate() {
        let answer = client.ask(&order(&format!(r#""id":7,"order_id":"wrong-{number}",{keys}"#)));
        assert_eq!((&answer["type"], &answer["id"]), (&"order_reject".into(), &7.into()), "{keys}: {answer}");
        assert_eq!(answer["code"], *code, "{keys}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(word), "{keys}: {answer}");
    }
    assert_eq!(account(&mut client), before);
}

#[test]
fn as_are_changes() {
    let (_exchange, mut client) = start();
    let before = account(&mut client);
    for (keys, code, word) in WRONG_AMENDS {
        let text =
            format!(r#"{{"action":"amend_order","id":8,"symbol":"BTC-USDT","order_id":"open"{keys}}}"#);
        let answer = client.ask(&text);
        assert_eq!((&answer["type"], &answer["id"]), (&"amend_reject".into(), &8.into()), "{keys}: {answer}");
        assert_eq!(
            (&answer["code"], &answer["order_id"]),
            (&(*code).into(), &"open".into()),
            "{keys}: {answer}"
        );
        assert!(answer["message"].as_str().unwrap().contains(word), "{keys}: {answer}");
    }
    let mut after = account(&mut client);
    // An amend that the book refuses had its money held for a moment, and the history says so.
    after["data"]["exec_seq"] = before["data"]["exec_seq"].clone();
    assert_eq!(after, before);
}

#[test]
fn that_can_never_be_changed_say_so() {
    let (_exchange, mut client) = start();
    client.order(r#""order_id":"oco","side":"buy","order_type":"oco","price":"28000","stop_price":"31000","quantity":"0.5""#);
    let amend = r#"{"action":"amend_order","symbol":"BTC-USDT","order_id":"oco","quantity":"0.25"}"#;
    let answer = client.ask(amend);
    assert_eq!((&answer["type"], &answer["code"]), (&"amend_reject".into(), &"NOT_AMENDABLE".into()));
}

#[test]
fn a_repeat_of_an_order_whose_time_is_over_gets_its_first_answer() {
    let (_exchange, mut client) = start();
    let end = time_in_ms(200);
    let keys = format!(
        r#""order_id":"g","side":"buy","price":"28000","quantity":"0.5","tif":"gtd","expire_ts":{end}"#
    );
    let first = client.order(&keys);
    client.report("g", "expired");
    let again = client.order(&keys);
    assert_eq!(
        (&again["duplicate"], &again["exchange_order_id"]),
        (&true.into(), &first["exchange_order_id"])
    );
}

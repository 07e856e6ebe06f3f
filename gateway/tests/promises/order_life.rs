//! Two traders meet. What each is told adds up to the atom: the maker's price, the improvement that goes back to the
//! taker, the rest of a cancelled order. Each account's history is numbered without a gap.

use crate::client::Client;
use crate::exchange::Exchange;
use serde_json::Value;

/// Reads the account's news up to and including `last`, and checks that their numbers are gapless.
fn news(client: &mut Client, from: &mut u64, last: u64) -> Vec<Value> {
    let mut all = Vec::new();
    while *from < last {
        let message = client.next();
        if let Some(number) = message["data"]["exec_seq"].as_u64() {
            assert_eq!(number, *from + 1, "the history has no gap: {message}");
            *from = number;
            all.push(message);
        }
    }
    all
}

fn balance(client: &mut Client, asset: &str) -> (String, String) {
    client.send(r#"{"action":"resync","channel":"user"}"#);
    let account = client.until("account_snapshot");
    let balances = account["data"]["balances"].as_array().unwrap();
    let of = balances.iter().find(|balance| balance["asset"] == asset).expect("the account has it");
    (of["free"].as_str().unwrap().into(), of["locked"].as_str().unwrap().into())
}

#[test]
fn is_told_to_the_atom() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut maker = Client::log_in(&exchange.ws, "maker");
    let mut taker = Client::log_in(&exchange.ws, "taker");
    for client in [&mut maker, &mut taker] {
        client.ask(r#"{"action":"subscribe","channel":"user"}"#);
        client.until("account_snapshot");
    }
    let sell = r#"{"order_id":"s","symbol":"BTC-USDT","side":"sell","price":"30000","quantity":"0.5"}"#;
    assert_eq!(maker.ask(sell)["status"], "new");

    // Ready to pay 30,100, pays 30,000: the hold of 15,050 for half a coin comes back but for 15,000.
    let mut seen = 4; // four deposits
    taker.send(r#"{"order_id":"b","symbol":"BTC-USDT","side":"buy","price":"30100","quantity":"0.75"}"#);
    let told = news(&mut taker, &mut seen, 8);
    let kinds: Vec<&str> = told.iter().map(|news| news["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["execution_report", "balance_update", "execution_report", "balance_update"]);
    let fill = &told[2]["data"];
    assert_eq!((&fill["exec_type"], &fill["status"]), (&"trade".into(), &"partially_filled".into()));
    assert_eq!((&fill["last_price"], &fill["last_quantity"]), (&"30000".into(), &"0.5".into()));
    assert_eq!((&fill["cum_quote"], &fill["leaves_quantity"]), (&"15000".into(), &"0.25".into()));
    assert_eq!(balance(&mut taker, "USDT"), ("977475".into(), "7525".into()), "0.25 × 30,100 is still held");
    assert_eq!(balance(&mut taker, "BTC"), ("50.5".into(), "0".into()));
    assert_eq!(balance(&mut maker, "USDT"), ("1015000".into(), "0".into()));
    assert_eq!(balance(&mut maker, "BTC"), ("49.5".into(), "0".into()));

    let cancelled = taker.ask(r#"{"action":"cancel_order","id":"c","symbol":"BTC-USDT","order_id":"b"}"#);
    assert_eq!((&cancelled["type"], &cancelled["id"]), (&"cancel_ack".into(), &"c".into()));
    assert_eq!(balance(&mut taker, "USDT"), ("985000".into(), "0".into()));
    let late = taker.ask(r#"{"action":"cancel_order","symbol":"BTC-USDT","order_id":"b"}"#);
    assert_eq!(late["code"], "TOO_LATE");

    // An IOC against an empty book trades nothing and holds nothing.
    taker.send(r#"{"action":"submit_order","order_id":"i","symbol":"BTC-USDT","side":"buy","price":"30000","quantity":"1","tif":"ioc"}"#);
    let expired = loop {
        let report = taker.until("execution_report");
        if report["data"]["exec_type"] == "expired" {
            break report;
        }
    };
    assert_eq!(expired["data"]["leaves_quantity"], "0");
    assert_eq!(balance(&mut taker, "USDT"), ("985000".into(), "0".into()));

    for (order_id, price) in [("q1", "29000"), ("q2", "29100")] {
        let order = format!(
            r#"{{"order_id":"{order_id}","symbol":"BTC-USDT","side":"buy","price":"{price}","quantity":"0.1"}}"#
        );
        assert_eq!(taker.ask(&order)["type"], "order_ack");
    }
    assert_eq!(taker.ask(r#"{"action":"cancel_all","id":9}"#)["count"], 2);
    while balance(&mut taker, "USDT").1 != "0" {}
}

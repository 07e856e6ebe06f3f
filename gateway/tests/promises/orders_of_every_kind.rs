//! Every kind of order does what its name says, seen by the two who trade and by those who watch.

use crate::client::{Client, order, time_in_ms};
use crate::exchange::Exchange;
use serde_json::Value;

/// A market without other traders, and two who are logged in.
fn two_traders() -> (Exchange, Client, Client) {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let [alice, bob] = ["alice", "bob"].map(|name| Client::log_in(&exchange.ws, name));
    (exchange, alice, bob)
}

/// A stranger who sees the book.
fn watcher(exchange: &Exchange) -> Client {
    let mut watcher = Client::connect(&exchange.ws);
    watcher.ask(r#"{"action":"subscribe","channel":"BTC-USDT"}"#);
    watcher.until("depth_snapshot");
    watcher
}

/// Waits until the level on that side has that total, as everybody sees it.
fn wait_for_level(watcher: &mut Client, side: &str, price: &str, quantity: &str) {
    let level = serde_json::json!([price, quantity]);
    while !watcher.until("depth_update")["data"][side].as_array().unwrap().contains(&level) {}
}

/// What happened to an order in its reports up to the first of that kind, the `new` left out.
fn kinds_until(client: &mut Client, order_id: &str, last: &str) -> Vec<String> {
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != last) {
        let report = client.until("execution_report");
        if report["data"]["order_id"] == order_id && report["data"]["exec_type"] != "new" {
            kinds.push(report["data"]["exec_type"].as_str().unwrap().to_owned());
        }
    }
    kinds
}

/// A trade of a hundredth between the two at this price, with nothing else of that price or better in the book.
fn trade_at(price: &str, number: &mut u32, [alice, bob]: [&mut Client; 2]) {
    *number += 1;
    let [ask, bid] = [format!("ask-{number}"), format!("bid-{number}")];
    alice.order(&format!(r#""order_id":"{ask}","side":"sell","price":"{price}","quantity":"0.01""#));
    bob.order(&format!(r#""order_id":"{bid}","side":"buy","price":"{price}","quantity":"0.01""#));
    assert_eq!(bob.report(&bid, "trade")["last_price"], price);
}

#[test]
fn fill_or_kill_trades_whole_or_not_at_all() {
    let (_exchange, mut alice, mut bob) = two_traders();
    alice.order(r#""order_id":"ask","side":"sell","price":"30000","quantity":"1""#);
    bob.order(r#""order_id":"too-much","side":"buy","price":"30000","quantity":"1.5","tif":"fok""#);
    let killed = bob.report("too-much", "expired");
    assert_eq!((&killed["cum_quantity"], &killed["reason"]), (&"0".into(), &"unfilled".into()));
    bob.order(r#""order_id":"enough","side":"buy","price":"30000","quantity":"1","tif":"fok""#);
    assert_eq!(bob.report("enough", "trade")["status"], "filled");
    assert_eq!(alice.report("ask", "trade")["status"], "filled");
}

#[test]
fn a_market_order_takes_what_there_is_within_the_band() {
    let (exchange, mut alice, mut bob) = two_traders();
    let mut watcher = watcher(&exchange);
    alice.order(r#""order_id":"near","side":"sell","price":"30000","quantity":"1""#);
    alice.order(r#""order_id":"far","side":"sell","price":"31501","quantity":"1""#);
    wait_for_level(&mut watcher, "asks", "31501", "1");
    bob.order(r#""order_id":"m","side":"buy","quantity":"1.5","order_type":"market""#);
    let trade = bob.report("m", "trade");
    assert_eq!((&trade["last_price"], &trade["price"]), (&"30000".into(), &Value::Null));
    let rest = bob.report("m", "expired");
    assert_eq!((&rest["cum_quantity"], &rest["leaves_quantity"]), (&"1".into(), &"0".into()), "beyond 5 %");
}

#[test]
fn a_repeated_market_order_gets_its_first_answer_whatever_the_book_is_now() {
    let (exchange, mut alice, mut bob) = two_traders();
    let mut watcher = watcher(&exchange);
    alice.order(r#""order_id":"ask","side":"sell","price":"30000","quantity":"1""#);
    wait_for_level(&mut watcher, "asks", "30000", "1");
    let market = |name: &str| {
        order(&format!(r#""order_id":"{name}","side":"buy","quantity":"1","order_type":"market""#))
    };
    let first = bob.ask(&market("m"));
    assert_eq!((&first["type"], &first["duplicate"]), (&"order_ack".into(), &false.into()));
    // It has emptied the other side, so there is no price to tell a protection from.
    wait_for_level(&mut watcher, "asks", "30000", "0");
    let again = bob.ask(&market("m"));
    assert_eq!((&again["type"], &again["duplicate"]), (&"order_ack".into(), &true.into()), "{again}");
    assert_eq!(again["exchange_order_id"], first["exchange_order_id"]);
    let another = bob.ask(&market("n"));
    assert_eq!((&another["type"], &another["code"]), (&"order_reject".into(), &"PRICE_BAND".into()));
}

#[test]
fn a_quote_quantity_is_spent_and_never_passed() {
    let (exchange, mut alice, mut bob) = two_traders();
    let mut watcher = watcher(&exchange);
    alice.order(r#""order_id":"a1","side":"sell","price":"30000","quantity":"1""#);
    alice.order(r#""order_id":"a2","side":"sell","price":"30100","quantity":"1""#);
    wait_for_level(&mut watcher, "asks", "30100", "1");
    bob.order(r#""order_id":"q","side":"buy","quote_quantity":"45000","order_type":"market""#);
    assert_eq!(bob.report("q", "trade")["last_quantity"], "1");
    let second = bob.report("q", "trade");
    // 15,000 are left for coins at 30,100, in lots of 0.00001.
    assert_eq!((&second["last_quantity"], &second["cum_quote"]), (&"0.49833".into(), &"44999.733".into()));
    let done = bob.report("q", "expired");
    assert_eq!((&done["quantity"], &done["leaves_quantity"]), (&"1.49833".into(), &"0".into()));
    assert_eq!(bob.open_orders(), [""; 0]);
}

#[test]
fn a_stop_waits_for_a_trade_at_its_price() {
    let (_exchange, mut alice, mut bob) = two_traders();
    let mut trades = 0;
    alice.order(r#""order_id":"liquidity","side":"sell","price":"30200","quantity":"1""#);
    bob.order(r#""order_id":"s","side":"buy","order_type":"stop","stop_price":"30100","quantity":"0.1""#);
    bob.order(r#""order_id":"sl","side":"buy","order_type":"stop_limit","stop_price":"30100","price":"30150","quantity":"0.1""#);
    assert_eq!(bob.open_orders(), ["s", "sl"]);
    trade_at("30000", &mut trades, [&mut alice, &mut bob]);
    trade_at("30099.99", &mut trades, [&mut alice, &mut bob]);
    assert_eq!(bob.open_orders(), ["s", "sl"], "not reached");
    trade_at("30100", &mut trades, [&mut alice, &mut bob]);
    assert_eq!(kinds_until(&mut bob, "s", "trade"), ["triggered", "trade"]);
    bob.report("sl", "triggered");
    assert_eq!(bob.open_orders(), ["sl"], "it rests at its limit now");
    alice.order(r#""order_id":"to-it","side":"sell","price":"30150","quantity":"0.1""#);
    assert_eq!(bob.report("sl", "trade")["last_price"], "30150");
}

#[test]
fn a_trailing_stop_follows_the_market() {
    let (exchange, mut alice, mut bob) = two_traders();
    let mut watcher = watcher(&exchange);
    let mut trades = 0;
    trade_at("30000", &mut trades, [&mut alice, &mut bob]);
    alice.order(r#""order_id":"liquidity","side":"buy","price":"29000","quantity":"1""#);
    wait_for_level(&mut watcher, "bids", "29000", "1");
    let trailing =
        r#""order_id":"t","side":"sell","order_type":"trailing_stop","trail":"100","quantity":"0.1""#;
    let first = bob.order(trailing);
    assert_eq!(
        bob.ask(&order(trailing))["exchange_order_id"],
        first["exchange_order_id"],
        "a repeat is the same order"
    );
    trade_at("29900.01", &mut trades, [&mut alice, &mut bob]);
    trade_at("30500", &mut trades, [&mut alice, &mut bob]);
    trade_at("30400.01", &mut trades, [&mut alice, &mut bob]);
    assert_eq!(bob.open_orders(), ["t"], "the market rose, and so did its price: to 30,400");
    trade_at("30400", &mut trades, [&mut alice, &mut bob]);
    assert_eq!(kinds_until(&mut bob, "t", "trade"), ["triggered", "trade"]);
}

#[test]
fn of_an_oco_one_way_ends_the_other() {
    let (_exchange, mut alice, mut bob) = two_traders();
    let mut trades = 0;
    let oco = |name: &str, more: &str| {
        format!(
            r#""order_id":"{name}","side":"sell","order_type":"oco","price":"31000","stop_price":"29000","quantity":"0.1"{more}"#
        )
    };
    bob.order(&oco("up", ""));
    alice.order(r#""order_id":"take","side":"buy","price":"31000","quantity":"0.1""#);
    assert_eq!(bob.report("up", "trade")["status"], "filled");

    bob.order(&oco("down", r#","stop_limit_price":"28900""#));
    trade_at("29000", &mut trades, [&mut alice, &mut bob]);
    bob.report("down", "triggered");
    alice.order(r#""order_id":"high","side":"buy","price":"28900","quantity":"0.1""#);
    let sold = bob.report("down", "trade");
    assert_eq!((&sold["last_price"], &sold["status"]), (&"28900".into(), &"filled".into()));
    assert_eq!(bob.open_orders(), [""; 0]);
}

#[test]
fn an_iceberg_shows_only_its_tip() {
    let (exchange, mut alice, mut bob) = two_traders();
    let mut watcher = watcher(&exchange);
    alice.order(r#""order_id":"i","side":"sell","price":"30000","quantity":"1","display_quantity":"0.1""#);
    wait_for_level(&mut watcher, "asks", "30000", "0.1");
    bob.order(r#""order_id":"b","side":"buy","price":"30000","quantity":"0.25""#);
    wait_for_level(&mut watcher, "asks", "30000", "0.05");
    bob.order(r#""order_id":"c","side":"buy","price":"30000","quantity":"0.75""#);
    wait_for_level(&mut watcher, "asks", "30000", "0");
    while bob.report("c", "trade")["status"] != "filled" {}
}

#[test]
fn a_good_till_date_order_ends_at_its_time_in_a_quiet_market() {
    let (_exchange, mut alice, _bob) = two_traders();
    let end = time_in_ms(300);
    alice.order(&format!(
        r#""order_id":"g","side":"buy","price":"20000","quantity":"1","tif":"gtd","expire_ts":{end}"#
    ));
    let expired = alice.report("g", "expired");
    assert_eq!((&expired["status"], &expired["reason"]), (&"expired".into(), &"timed_out".into()));
    assert!(expired["ts"].as_u64().unwrap() >= end, "not before: {expired}");
}

#[test]
fn an_amend_keeps_its_place_only_where_it_gets_smaller() {
    let (_exchange, mut alice, mut bob) = two_traders();
    let mut taker_orders = 0;
    let mut sell_half = |who: &mut Client| {
        taker_orders += 1;
        let name = format!("t{taker_orders}");
        who.order(&format!(r#""order_id":"{name}","side":"sell","price":"30000","quantity":"0.5""#));
    };
    let bid = |name: &str| format!(r#""order_id":"{name}","side":"buy","price":"30000","quantity":"1""#);
    let amend = |name: &str, keys: &str| {
        format!(r#"{{"action":"amend_order","id":"x","symbol":"BTC-USDT","order_id":"{name}",{keys}}}"#)
    };
    alice.order(&bid("first"));
    bob.order(&bid("second"));
    let ack = alice.ask(&amend("first", r#""quantity":"0.5""#));
    assert_eq!(
        (&ack["type"], &ack["id"], &ack["symbol"], &ack["leaves_quantity"]),
        (&"amend_ack".into(), &"x".into(), &"BTC-USDT".into(), &"0.5".into())
    );
    assert_eq!(alice.report("first", "replaced")["quantity"], "0.5");
    sell_half(&mut bob);
    assert_eq!(alice.report("first", "trade")["status"], "filled", "it has kept its place");

    alice.order(&bid("third"));
    assert_eq!(bob.ask(&amend("second", r#""quantity":"1.5""#))["leaves_quantity"], "1.5");
    sell_half(&mut bob);
    assert_eq!(alice.report("third", "trade")["cum_quantity"], "0.5", "the larger one went behind it");

    // A new price may trade at once.
    bob.order(r#""order_id":"ask","side":"sell","price":"30500","quantity":"0.1""#);
    assert_eq!(alice.ask(&amend("third", r#""price":"30500""#))["type"], "amend_ack");
    let trade = alice.report("third", "trade");
    assert_eq!((&trade["last_price"], &trade["liquidity"]), (&"30500".into(), &"taker".into()));

    let late = alice.ask(&amend("first", r#""price":"30500""#));
    assert_eq!(
        (&late["type"], &late["code"], &late["id"]),
        (&"amend_reject".into(), &"TOO_LATE".into(), &"x".into())
    );
    let never = alice.ask(&amend("never", r#""price":"30500""#));
    assert_eq!(
        (&never["type"], &never["order_id"], &never["code"]),
        (&"amend_reject".into(), &"never".into(), &"UNKNOWN_ORDER".into())
    );
}

#[test]
fn self_trades_are_prevented_as_asked() {
    let (_exchange, mut alice, mut bob) = two_traders();
    let ask = |name: &str| format!(r#""order_id":"{name}","side":"sell","price":"30000","quantity":"1""#);
    let bid = |name: &str, quantity: &str, stp: &str| {
        format!(r#""order_id":"{name}","side":"buy","price":"30000","quantity":"{quantity}","stp":"{stp}""#)
    };
    let prevented = |report: Value, status: &str| {
        assert_eq!(
            (&report["status"], &report["reason"]),
            (&status.into(), &"self_trade".into()),
            "{report}"
        );
    };
    alice.order(&ask("a1"));
    alice.order(&bid("b1", "1", "cancel_newest"));
    prevented(alice.report("b1", "stp"), "canceled");
    assert_eq!(alice.open_orders(), ["a1"]);
    alice.order(&bid("b2", "1", "cancel_oldest"));
    prevented(alice.report("a1", "stp"), "canceled");
    assert_eq!(alice.open_orders(), ["b2"]);
    alice.ask(r#"{"action":"cancel_all"}"#);
    alice.report("b2", "canceled");

    alice.order(&ask("a3"));
    alice.order(&bid("b3", "1", "cancel_both"));
    prevented(alice.report("a3", "stp"), "canceled");
    prevented(alice.report("b3", "stp"), "canceled");
    alice.order(&ask("a4"));
    alice.order(&bid("b4", "0.25", "decrement"));
    let smaller = alice.report("a4", "stp");
    assert_eq!(smaller["leaves_quantity"], "0.75");
    prevented(smaller, "new");
    prevented(alice.report("b4", "stp"), "canceled");
    assert_eq!(alice.open_orders(), ["a4"]);
    // It is a matter of one account; and without a wish, they trade.
    bob.order(&bid("b5", "0.25", "cancel_both"));
    assert_eq!(bob.report("b5", "trade")["status"], "filled");
    alice.order(&bid("b6", "0.25", "none"));
    assert_eq!(alice.report("b6", "trade")["status"], "filled");
}

/// A tier-0 maker is paid a tenth of a basis point, a taker pays two and a half.
const FEES: &str = r#"
[[symbols]]
symbol = "BTC-USDT"
base = "BTC"
quote = "USDT"
tick = "0.01"
lot = "0.00001"
min_notional = "5"
maker_bps = "-0.1"
taker_bps = "2.5"
"#;

#[test]
fn fees_and_rebates_are_told_and_paid() {
    let exchange = Exchange::start_with_keys(FEES);
    let [mut alice, mut bob] = ["alice", "bob"].map(|name| Client::log_in(&exchange.ws, name));
    alice.order(r#""order_id":"ask","side":"sell","price":"30000","quantity":"1""#);
    bob.order(r#""order_id":"bid","side":"buy","price":"30000","quantity":"1""#);
    let made = alice.report("ask", "trade");
    assert_eq!(
        (&made["fee"], &made["fee_asset"], &made["liquidity"]),
        (&"-0.3".into(), &"USDT".into(), &"maker".into())
    );
    let took = bob.report("bid", "trade");
    assert_eq!((&took["fee"], &took["liquidity"]), (&"7.5".into(), &"taker".into()));
    let free = |client: &mut Client| {
        let balances = client.until("balance_update");
        let balances = balances["data"]["balances"].as_array().unwrap().clone();
        balances.iter().find(|balance| balance["asset"] == "USDT").expect("it changed")["free"].clone()
    };
    assert_eq!((free(&mut alice), free(&mut bob)), ("1030000.3".into(), "969992.5".into()));
}

//! A client that is gone leaves no orders behind, if it asked for that when it logged in: those of its connection or all
//! of its account, at once or after a grace in which it may come back. A crash of the exchange ends every connection, too.

use crate::client::{Client, time_in_ms};
use crate::exchange::{Exchange, Lasting};

const BID: &str = r#""side":"buy","price":"20000","quantity":"0.1""#;

/// Logged in to alice's account with that wish.
fn guarded(exchange: &Exchange, scope: &str, grace_ms: u64) -> Client {
    guarded_account(exchange, "alice", scope, grace_ms)
}

fn guarded_account(exchange: &Exchange, account: &str, scope: &str, grace_ms: u64) -> Client {
    let mut client = Client::connect(&exchange.ws);
    let wish = format!(r#"{{"scope":"{scope}","grace_ms":{grace_ms}}}"#);
    let auth = format!(r#"{{"action":"auth","account":"{account}","cancel_on_disconnect":{wish}}}"#);
    assert_eq!(client.ask(&auth)["type"], "auth_ack");
    client
}

/// Waits until so many milliseconds have passed for the engine: an order ends then.
fn let_pass(client: &mut Client, milliseconds: u64) {
    let end = time_in_ms(milliseconds);
    client.order(&format!(r#""order_id":"clock-{end}",{BID},"tif":"gtd","expire_ts":{end}"#));
    client.report(&format!("clock-{end}"), "expired");
}

#[test]
fn takes_the_orders_of_the_connection_and_no_others() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut other = Client::log_in(&exchange.ws, "alice");
    other.order(&format!(r#""order_id":"other",{BID}"#));
    for (name, grace_ms) in [("reset", 0), ("closed", 0), ("after-a-while", 100)] {
        let mut client = guarded(&exchange, "connection", grace_ms);
        client.order(&format!(r#""order_id":"{name}-1",{BID}"#));
        client.order(&format!(r#""order_id":"{name}-2",{BID}"#));
        match name {
            "closed" => {
                client.socket.close(None).unwrap();
                client.until_closed();
            }
            _ => client.break_off(),
        }
        other.report(&format!("{name}-1"), "canceled");
        other.report(&format!("{name}-2"), "canceled");
        assert_eq!(other.open_orders(), ["other"]);
    }
}

#[test]
fn is_not_called_off_for_the_orders_of_a_connection() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut client = guarded(&exchange, "connection", 200);
    client.order(&format!(r#""order_id":"a",{BID}"#));
    client.break_off();
    let mut back = guarded(&exchange, "connection", 200);
    back.order(&format!(r#""order_id":"b",{BID}"#));
    back.report("a", "canceled");
    assert_eq!(back.open_orders(), ["b"]);
}

#[test]
fn takes_all_orders_of_the_account() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut other = Client::log_in(&exchange.ws, "alice");
    other.order(&format!(r#""order_id":"other",{BID}"#));
    let mut client = guarded(&exchange, "account", 100);
    client.order(&format!(r#""order_id":"own",{BID}"#));
    let mut stranger = Client::log_in(&exchange.ws, "bob");
    stranger.order(&format!(r#""order_id":"bobs",{BID}"#));
    client.break_off();
    other.report("other", "canceled");
    other.report("own", "canceled");
    assert_eq!(stranger.open_orders(), ["bobs"]);
}

#[test]
fn is_called_off_by_coming_back_in_time() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut client = guarded(&exchange, "account", 700);
    client.order(&format!(r#""order_id":"a",{BID}"#));
    client.break_off();
    let mut back = guarded(&exchange, "account", 0);
    let_pass(&mut back, 1500);
    assert_eq!(back.open_orders(), ["a"]);
    // The one who came back looks after them now.
    let mut other = Client::log_in(&exchange.ws, "alice");
    back.break_off();
    other.report("a", "canceled");
}

#[test]
fn is_left_to_a_later_login_that_asked_for_the_same() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut early = guarded(&exchange, "account", 0);
    early.order(&format!(r#""order_id":"a",{BID}"#));
    // The server may not have noticed that the first connection is dead when its client is back.
    let mut late = guarded(&exchange, "account", 0);
    early.break_off();
    let_pass(&mut late, 300);
    assert_eq!(late.open_orders(), ["a"]);
}

#[test]
fn is_nobodys_without_the_wish() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut client = Client::log_in(&exchange.ws, "alice");
    client.order(&format!(r#""order_id":"a",{BID}"#));
    client.break_off();
    let mut back = Client::log_in(&exchange.ws, "alice");
    let_pass(&mut back, 300);
    assert_eq!(back.open_orders(), ["a"]);
}

// ---- when the exchange crashes ------------------------------------------------------------------------------------------

#[test]
fn outlives_a_crash_for_all_orders_of_the_account() {
    let mut life = Lasting::start();
    let mut client = guarded(&life.exchange, "account", 0);
    let money = client.balances();
    client.order(&format!(r#""order_id":"own",{BID}"#));
    Client::log_in(&life.exchange.ws, "alice").order(&format!(r#""order_id":"other",{BID}"#));
    let mut stranger = Client::log_in(&life.exchange.ws, "bob");
    stranger.order(&format!(r#""order_id":"bobs",{BID}"#));
    let strangers_money = stranger.balances();
    life.crash();
    let mut back = Client::log_in(&life.exchange.ws, "alice");
    assert_eq!(back.open_orders(), [] as [&str; 0]);
    assert_eq!(back.balances(), money, "what the orders held is free again");
    let mut stranger = Client::log_in(&life.exchange.ws, "bob");
    assert_eq!((stranger.open_orders(), stranger.balances()), (vec!["bobs".to_owned()], strangers_money));
    // It ended with that: the next crash cancels nothing.
    back.order(&format!(r#""order_id":"later",{BID}"#));
    life.crash();
    assert_eq!(Client::log_in(&life.exchange.ws, "alice").open_orders(), ["later"]);
}

#[test]
fn outlives_a_crash_for_the_orders_of_the_connection() {
    let mut life = Lasting::start();
    let mut client = guarded(&life.exchange, "connection", 0);
    client.order(&format!(r#""order_id":"own",{BID}"#));
    Client::log_in(&life.exchange.ws, "alice").order(&format!(r#""order_id":"other",{BID}"#));
    life.crash();
    assert_eq!(Client::log_in(&life.exchange.ws, "alice").open_orders(), ["other"]);
}

/// A market maker with a grace has that long after the crash to come back, too.
#[test]
fn begins_its_grace_when_the_exchange_is_back() {
    let mut life = Lasting::start();
    let mut clients = Vec::new();
    for (account, scope, price) in
        [("alice", "account", 20_001), ("bob", "account", 20_002), ("carol", "connection", 20_003)]
    {
        let mut client = guarded_account(&life.exchange, account, scope, 2_000);
        client.order(&format!(r#""order_id":"a","side":"buy","price":"{price}","quantity":"0.1""#));
        clients.push(client);
    }
    life.crash();
    let mut alice = Client::log_in(&life.exchange.ws, "alice");
    let mut carol = Client::log_in(&life.exchange.ws, "carol");
    assert_eq!((alice.open_orders(), carol.open_orders()), (vec!["a".to_owned()], vec!["a".to_owned()]));
    let mut market = Client::connect(&life.exchange.ws);
    market.send(r#"{"action":"subscribe","channel":"BTC-USDT@depth"}"#);
    let book = market.until("depth_snapshot");
    assert_eq!(book["data"]["bids"].as_array().expect("a list").len(), 3, "nobody's grace is over: {book}");
    carol.report("a", "canceled"); // coming back does not help the orders of a connection
    let mut gone = Vec::new();
    while gone.len() < 2 {
        let update = market.until("depth_update");
        let bids = update["data"]["bids"].as_array().expect("a list").iter();
        gone.extend(bids.map(|level| level[0].as_str().expect("a price").to_owned()));
    }
    gone.sort();
    assert_eq!(gone, ["20002", "20003"], "those who did not come back");
    assert_eq!(alice.open_orders(), ["a"]);
}

/// What ended before the crash is not found after it.
#[test]
fn has_ended_for_good_when_it_has_ended() {
    let mut life = Lasting::start();
    let mut other = Client::log_in(&life.exchange.ws, "alice");
    for scope in ["connection", "account"] {
        let mut client = guarded(&life.exchange, scope, 0);
        client.order(&format!(r#""order_id":"{scope}",{BID}"#));
        client.break_off();
        other.report(scope, "canceled");
    }
    other.order(&format!(r#""order_id":"later",{BID}"#));
    life.crash();
    assert_eq!(Client::log_in(&life.exchange.ws, "alice").open_orders(), ["later"]);
}

/// Who has come back and was told so is back, also for the next life of the exchange.
#[test]
fn is_called_off_for_good_by_who_came_back_before_a_crash() {
    for after_a_crash in [false, true] {
        let mut life = Lasting::start_with(&["--reactors", "2"]);
        let mut client = guarded(&life.exchange, "account", 2_000);
        client.order(&format!(r#""order_id":"a",{BID}"#));
        if after_a_crash {
            life.crash();
        } else {
            client.socket.close(None).unwrap();
            client.until_closed();
        }
        drop(Client::log_in(&life.exchange.ws, "alice"));
        life.crash();
        let mut bob = Client::log_in(&life.exchange.ws, "bob");
        let_pass(&mut bob, 3_000);
        assert_eq!(Client::log_in(&life.exchange.ws, "alice").open_orders(), ["a"], "{after_a_crash}");
    }
}

/// A stop is an end of the connection like any other; a grace goes on when clients can come back.
#[test]
fn keeps_its_grace_when_the_exchange_stops() {
    let mut life = Lasting::start();
    let mut clients = Vec::new();
    for (account, scope, grace_ms) in
        [("alice", "account", 60_000), ("bob", "connection", 3_000), ("carol", "account", 0)]
    {
        let mut client = guarded_account(&life.exchange, account, scope, grace_ms);
        client.order(&format!(r#""order_id":"a",{BID}"#));
        clients.push(client);
    }
    // One whose grace has begun when the stop comes, and one that was called off by then.
    for account in ["dave", "erin"] {
        let mut client = guarded_account(&life.exchange, account, "account", 60_000);
        client.order(&format!(r#""order_id":"a",{BID}"#));
        client.socket.close(None).unwrap();
        client.until_closed();
    }
    clients.push(Client::log_in(&life.exchange.ws, "erin"));
    life.exchange.terminate();
    for client in &mut clients {
        assert_eq!(client.until_closed(), Some(1001));
    }
    assert!(life.exchange.wait().success());
    life.begin_again();
    let mut bob = Client::log_in(&life.exchange.ws, "bob");
    assert_eq!(bob.open_orders(), ["a"], "his grace has only begun");
    let log = life.exchange.log();
    assert!(log.contains("in_grace=3"), "those of alice, bob and dave: {log}");
    for (account, open) in [("alice", 1), ("carol", 0), ("dave", 1), ("erin", 1)] {
        let orders = Client::log_in(&life.exchange.ws, account).open_orders();
        assert_eq!(orders.len(), open, "{account}");
    }
    bob.report("a", "canceled");
}

#[test]
fn takes_the_orders_when_the_exchange_stops() {
    let mut life = Lasting::start();
    let mut clients = Vec::new();
    for (account, scope, grace_ms) in
        [("alice", "account", 0), ("bob", "connection", 0), ("carol", "connection", 0)]
    {
        let mut client = guarded_account(&life.exchange, account, scope, grace_ms);
        client.order(&format!(r#""order_id":"a",{BID}"#));
        clients.push(client);
    }
    life.exchange.terminate();
    for client in &mut clients {
        assert_eq!(client.until_closed(), Some(1001));
    }
    assert!(life.exchange.wait().success());
    life.begin_again();
    for account in ["alice", "bob", "carol"] {
        assert_eq!(Client::log_in(&life.exchange.ws, account).open_orders(), [] as [&str; 0], "{account}");
    }
}

#[test]
fn a_wrong_wish_is_refused_and_logs_nobody_in() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut client = Client::connect(&exchange.ws);
    for (wish, field) in [
        ("true", "cancel_on_disconnect"),
        (r#"{"scope":"world"}"#, "scope"),
        (r#"{"scope":"account","grace_ms":60001}"#, "grace_ms"),
        (r#"{"scope":"account","grace_ms":-1}"#, "grace_ms"),
        (r#"{"grace_ms":1,"grace_ms":2}"#, "grace_ms"),
    ] {
        let auth = format!(r#"{{"action":"auth","account":"alice","cancel_on_disconnect":{wish}}}"#);
        let answer = client.ask(&auth);
        assert_eq!(answer["code"], "BAD_VALUE", "{wish}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(field), "{wish}: {answer}");
    }
    // A login on the same connection would be refused if there had been one.
    assert_eq!(client.ask(r#"{"action":"auth","account":"alice"}"#)["type"], "auth_ack");
}

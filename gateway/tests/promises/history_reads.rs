//! What REST says of an account's past is what its clients heard, byte for byte: also after the process was killed, after the
//! history was lost and made again from the journal, and whichever database it is in.

use crate::client::Client;
use crate::exchange::{Exchange, fresh_directory};
use crate::http::{get, get_text};
use crate::postgres;
use serde_json::Value;
use sqlx::{Connection, SqliteConnection};
use std::fs;
use tungstenite::Message;

/// Reads until the account's entry with that number, and returns all entries on the way as they came.
fn hear(client: &mut Client, until: u64) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        let Message::Text(text) = client.socket.read().expect("the exchange speaks") else { continue };
        let message: Value = serde_json::from_str(&text).expect("JSON");
        if let Some(exec_seq) = message["data"]["exec_seq"].as_u64() {
            heard.push(text.to_string());
            if exec_seq == until {
                return heard;
            }
        }
    }
}

/// All entries, from the second page on by `from_seq`, once the history has got so far.
fn read(http: &str, account: &str, until: u64) -> String {
    while get(http, &format!("/api/v1/executions?account={account}&limit=1")).1["history_seq"] != until {
        std::thread::yield_now();
    }
    let (mut all, mut from) = (Vec::new(), 1);
    while from <= until {
        let path = format!("/api/v1/executions?account={account}&from_seq={from}&limit=7");
        let (status, text) = get_text(http, &path);
        assert_eq!(status, 200, "{text}");
        let head = format!(r#"{{"account":"{account}","history_seq":{until},"executions":["#);
        let list = text.strip_prefix(&head).and_then(|rest| rest.strip_suffix("]}"));
        all.push(list.unwrap_or_else(|| panic!("{path}: {text}")).to_owned());
        from += 7;
    }
    all.join(",")
}

/// Some orders of two accounts. Returns what the first heard from its first entry on.
fn trade(exchange: &Exchange) -> Vec<String> {
    let mut alice = Client::connect(&exchange.ws);
    alice.send(r#"{"action":"auth","account":"alice","resume_from":0}"#);
    let mut bob = Client::log_in(&exchange.ws, "bob");
    let mut hand = Client::log_in(&exchange.ws, "alice");
    for number in 0..5 {
        hand.order(&format!(
            r#""order_id":"a{number}","side":"buy","price":"3000{number}","quantity":"0.5""#
        ));
    }
    bob.order(r#""order_id":"b0","side":"sell","price":"30002","quantity":"1.2""#);
    bob.report("b0", "trade");
    hand.ask(r#"{"action":"cancel_order","symbol":"BTC-USDT","order_id":"a1"}"#);
    hand.ask(r#"{"action":"amend_order","symbol":"BTC-USDT","order_id":"a0","quantity":"0.3"}"#);
    bob.order(r#""order_id":"b1","side":"sell","price":"30000","quantity":"0.1""#);
    bob.report("b1", "trade");
    // A look at the account comes in line with its entries, and there are none on the way after it.
    let known = snapshot(&mut hand);
    hear(&mut alice, known)
}

fn snapshot(client: &mut Client) -> u64 {
    client.send(r#"{"action":"subscribe","channel":"user"}"#);
    client.until("account_snapshot")["data"]["exec_seq"].as_u64().expect("a number")
}

fn check(history: Option<&str>) {
    let directory = fresh_directory("reads");
    let data = directory.to_str().expect("our own path");
    let mut arguments = vec!["serve", "--no-demo-flow", "--data-dir", data];
    arguments.extend(history.iter().flat_map(|url| ["--history", url]));
    let mut exchange = Exchange::start_with(&arguments);
    let heard = trade(&exchange);
    let last: Value = serde_json::from_str(heard.last().expect("something happened")).expect("JSON");
    let last = last["data"]["exec_seq"].as_u64().expect("a number");
    assert_eq!(heard.len() as u64, last, "alice heard everything once");
    let heard = heard.join(",");
    assert!(heard == read(&exchange.http, "alice", last), "REST and WebSocket differ");
    let (_, orders) = get(&exchange.http, "/api/v1/orders?account=alice&status=all");
    check_orders(&orders);
    let (_, open) = get(&exchange.http, "/api/v1/orders?account=alice");
    let mut client = Client::log_in(&exchange.ws, "alice");
    let mut ids: Vec<_> = ids_of(&open);
    ids.reverse();
    assert_eq!(ids, client.open_orders(), "open orders, oldest first");
    exchange.kill();
    let exchange = Exchange::start_with(&arguments);
    assert!(heard == read(&exchange.http, "alice", last), "it is the same after a crash");
    if history.is_none() {
        drop(exchange);
        for file in ["history.sqlite", "history.sqlite-wal", "history.sqlite-shm"] {
            let _ = fs::remove_file(directory.join(file));
        }
        let exchange = Exchange::start_with(&arguments);
        assert!(heard == read(&exchange.http, "alice", last), "it is the same when it was made again");
        check_orders(&get(&exchange.http, "/api/v1/orders?account=alice&status=all").1);
    }
    let _ = fs::remove_dir_all(directory);
}

fn ids_of(orders: &Value) -> Vec<String> {
    let rows = orders["orders"].as_array().expect("a list").iter();
    rows.map(|row| row["last_report"]["order_id"].as_str().expect("a name").to_owned()).collect()
}

fn check_orders(orders: &Value) {
    assert_eq!(ids_of(orders), ["a4", "a3", "a2", "a1", "a0"], "newest first");
    let row = |at: usize, key: &str| orders["orders"][at]["last_report"][key].clone();
    assert_eq!((row(0, "status"), row(0, "cum_quantity")), ("filled".into(), "0.5".into()));
    assert_eq!((row(2, "status"), row(2, "leaves_quantity")), ("partially_filled".into(), "0.2".into()));
    assert_eq!(
        (&orders["orders"][3]["status"], row(3, "exec_type")),
        (&"canceled".into(), "canceled".into())
    );
    assert_eq!(row(4, "quantity"), "0.3", "it was amended");
}

#[test]
fn what_rest_says_is_what_clients_heard() {
    check(None);
}

#[test]
fn and_the_same_from_a_server() {
    if let Some(server) = postgres::start() {
        check(Some(&server.database()));
    }
}

#[test]
fn wrong_questions_are_answered_by_the_name_of_the_field() {
    let directory = fresh_directory("reads");
    let exchange = Exchange::start_with(&[
        "serve",
        "--no-demo-flow",
        "--data-dir",
        directory.to_str().expect("our own path"),
    ]);
    Client::log_in(&exchange.ws, "alice");
    for (query, status, code, field) in [
        ("executions", 400, "MISSING_FIELD", "account"),
        ("executions?account=nobody", 400, "BAD_VALUE", "account"),
        ("executions?account=alice&from_seq=x", 400, "BAD_VALUE", "from_seq"),
        ("executions?account=alice&limit=0", 400, "BAD_VALUE", "limit"),
        ("executions?account=alice&limit=1001", 400, "BAD_VALUE", "limit"),
        ("orders", 400, "MISSING_FIELD", "account"),
        ("orders?account=alice&status=gone", 400, "BAD_VALUE", "status"),
        ("orders?account=alice&before_seq=-1", 400, "BAD_VALUE", "before_seq"),
    ] {
        let (answered, body) = get(&exchange.http, &format!("/api/v1/{query}"));
        let found = (answered, body["code"].as_str(), body["field"].as_str());
        assert_eq!(found, (status, Some(code), Some(field)), "{query}: {body}");
    }
    let beyond = get(&exchange.http, "/api/v1/executions?account=alice&from_seq=18446744073709551615").1;
    assert_eq!(beyond["executions"], serde_json::json!([]));
    drop(exchange);
    let _ = fs::remove_dir_all(directory);
}

#[test]
fn strangers_read_nothing_and_no_history_says_so() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    Client::log_in(&exchange.ws, "alice");
    let (status, body) = get(&exchange.http, "/api/v1/executions?account=alice");
    assert_eq!(status, 404);
    assert!(body["message"].as_str().expect("text").contains("data_dir"), "{body}");
    // A page whose name was made to point here.
    let path = "/api/v1/orders?account=alice";
    let (status, body) = crate::http::request(&exchange.http, "GET", path, "Host: evil.example\r\n", "");
    assert_eq!((status, &body["code"]), (403, &"PERMISSION".into()));
    let closed = Exchange::start_with(&["serve", "--no-demo-flow", "--open-login", "no"]);
    assert_eq!(get(&closed.http, path).1["code"], "PERMISSION");
}

#[test]
fn accounts_that_nobody_can_ask_for_take_no_place_in_it() {
    let directory = fresh_directory("reads");
    let exchange = Exchange::start_with(&["serve", "--data-dir", directory.to_str().expect("our own path")]);
    // The demo flow has traded with itself before alice comes.
    let mut watcher = Client::connect(&exchange.ws);
    watcher.send(r#"{"action":"subscribe","channel":"BTC-USDT"}"#);
    watcher.until("trade");
    let last = snapshot(&mut Client::log_in(&exchange.ws, "alice"));
    read(&exchange.http, "alice", last);
    let file = directory.join("history.sqlite");
    let count = |rows: &'static str| {
        let count = async {
            let mut connection = SqliteConnection::connect(file.to_str().expect("our own path")).await?;
            sqlx::query_scalar::<_, i64>(rows).fetch_one(&mut connection).await
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(count).expect("it can be read")
    };
    assert_eq!(count("SELECT COUNT(*) FROM events"), last as i64, "what alice was told, and nothing else");
    assert_eq!(count("SELECT COUNT(*) FROM orders WHERE account NOT IN (SELECT account FROM accounts)"), 0);
    drop(exchange);
    let _ = fs::remove_dir_all(directory);
}

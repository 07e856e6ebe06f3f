//! A client that comes back gets what it missed: every entry of its account after the one it names, once, in order, and then
//! what happens now. Where the history has a hole it is told so, and gets the account as it stands.

use crate::client::{Client, order};
use crate::exchange::{Exchange, fresh_directory};
use crate::http::{get, get_text};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use sqlx::{Connection, SqliteConnection};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tungstenite::Message;

struct Kept {
    exchange: Exchange,
    directory: PathBuf,
}

impl Kept {
    fn start(more: &[&str]) -> Self {
        let directory = fresh_directory("resume");
        let data = directory.to_str().expect("our own path");
        let arguments = [&["serve", "--no-demo-flow", "--data-dir", data], more].concat();
        Self { exchange: Exchange::start_with(&arguments), directory }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn come_back(ws: &str, account: &str, after: u64) -> Client {
    let mut client = Client::connect(ws);
    client.send(&format!(r#"{{"action":"auth","id":1,"account":"{account}","resume_from":{after}}}"#));
    let ack = client.next();
    assert_eq!(ack["type"], "auth_ack", "{ack}");
    client
}

/// The next entry as it came, and its number.
fn next_entry(client: &mut Client) -> (u64, String) {
    loop {
        let Message::Text(text) = client.socket.read().expect("the exchange speaks") else { continue };
        let message: Value = serde_json::from_str(&text).expect("JSON");
        assert_ne!(message["type"], "error", "{message}");
        if let Some(exec_seq) = message["data"]["exec_seq"].as_u64() {
            return (exec_seq, text.to_string());
        }
    }
}

/// Two accounts that trade with each other until told to stop.
fn trade(ws: &str, stop: &AtomicBool) {
    let mut clients = ["alice", "bob"].map(|name| Client::log_in(ws, name));
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        for (client, side) in clients.iter_mut().zip(["buy", "sell"]) {
            number += 1;
            let keys =
                format!(r#""order_id":"o{number}","side":"{side}","price":"30000","quantity":"0.001""#);
            client.order(&keys);
        }
    }
}

#[test]
fn no_entry_is_missing_and_none_comes_twice_however_often_the_connection_breaks() {
    let kept = Kept::start(&[]);
    let (ws, seed) = (&kept.exchange.ws, 1);
    println!("seed {seed}");
    let stop = AtomicBool::new(false);
    let mut heard = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| trade(ws, &stop));
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        for cut in 0..40 {
            // At times it comes back before it has heard anything, at times after a long while.
            let mut client = come_back(ws, "alice", heard.len() as u64);
            for _ in 0..random.random_range(0..if cut % 4 == 0 { 600 } else { 60 }) {
                let (exec_seq, text) = next_entry(&mut client);
                assert_eq!(exec_seq, heard.len() as u64 + 1, "after cut {cut}");
                heard.push(text);
            }
            if random.random() {
                client.break_off();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    // One that has heard nothing yet hears all of it, the same bytes; and so does REST.
    let mut client = come_back(ws, "alice", 0);
    let again: Vec<String> = heard.iter().map(|_| next_entry(&mut client).1).collect();
    assert!(again == heard, "the second time it is something else");
    let (mut read, mut from) = (Vec::new(), 1);
    while from <= heard.len() {
        let path = format!("/api/v1/executions?account=alice&from_seq={from}&limit=1000");
        let text = get_text(&kept.exchange.http, &path).1;
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        let count = answer["executions"].as_array().expect("a list").len();
        from += count;
        let list = text.split_once(r#""executions":["#).and_then(|(_, rest)| rest.strip_suffix("]}"));
        read.push(list.expect("a list").to_owned());
    }
    assert!(read.join(",").starts_with(&heard.join(",")), "REST says something else");
    println!("{} entries heard over 40 connections", heard.len());
}

#[test]
fn one_who_reads_slowly_and_missed_much_gets_all_of_it_within_the_outbox() {
    // An outbox that the whole past does not fit into many times over.
    let directory = fresh_directory("slow");
    let file = directory.join("ringside.toml");
    fs::write(&file, "[limits]\noutbox_bytes_max = 65536\nsend_buffer_bytes = 16384\n")
        .expect("it can be written");
    let kept = Kept::start(&["--config", file.to_str().expect("our own path")]);
    let ws = &kept.exchange.ws;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| trade(ws, &stop));
        let mut watcher = come_back(ws, "alice", 0);
        while next_entry(&mut watcher).0 < 4000 {}
        stop.store(true, Ordering::Relaxed);
    });
    let mut client = Client::connect(ws);
    let socket = socket2::SockRef::from(client.socket.get_ref());
    socket.set_recv_buffer_size(4096).expect("a socket option");
    client.send(r#"{"action":"auth","account":"alice","resume_from":0}"#);
    // The account goes on while it reads.
    let mut hand = Client::log_in(ws, "alice");
    for wanted in 1..=4000 {
        assert_eq!(next_entry(&mut client).0, wanted);
        if wanted % 20 == 0 {
            hand.order(&format!(r#""order_id":"later{wanted}","side":"buy","price":"100","quantity":"0.1""#));
        }
    }
    hand.send(r#"{"action":"subscribe","channel":"user"}"#);
    let last = hand.until("account_snapshot")["data"]["exec_seq"].as_u64().expect("a number");
    assert!(last >= 4400);
    for wanted in 4001..=last {
        assert_eq!(next_entry(&mut client).0, wanted);
    }
    let _ = fs::remove_dir_all(directory);
}

#[test]
fn one_who_comes_back_and_watches_the_market_hears_whole_messages_of_both() {
    let directory = fresh_directory("both");
    let file = directory.join("ringside.toml");
    // A socket that takes at once what a turn writes, and is full then.
    fs::write(&file, "[limits]\nsend_buffer_bytes = 212992\n").expect("it can be written");
    let kept = Kept::start(&["--config", file.to_str().expect("our own path")]);
    let ws = &kept.exchange.ws;
    let mut hands = ["alice", "bob"].map(|name| Client::log_in(ws, name));
    let mut number = 0;
    // Returns the account's last entry, if it is to be looked at.
    let mut trade = |times, look| {
        for _ in 0..times {
            number += 1;
            for (hand, side) in hands.iter_mut().zip(["buy", "sell"]) {
                hand.order(&format!(
                    r#""order_id":"o{number}","side":"{side}","price":"30000","quantity":"0.001""#
                ));
            }
        }
        if look { hands[0].account()["exec_seq"].as_u64().expect("a number") } else { u64::MAX }
    };
    let mut known = 0;
    for round in 1..=2 {
        trade(200, false);
        let mut client = Client::connect(ws);
        client.send(r#"{"action":"subscribe","channel":"BTC-USDT"}"#);
        client.until("depth_snapshot");
        client.send(&format!(r#"{{"action":"auth","account":"alice","resume_from":{known}}}"#));
        // Much happens while it does not read, in the market and to the account, and more while it does.
        let mut newest = trade(400, true);
        let (mut heard, mut read, mut trades) = (known, 0, 0);
        while heard < newest {
            let message = client.next();
            assert_ne!(message["type"], "error", "{message}");
            if let Some(exec_seq) = message["data"]["exec_seq"].as_u64() {
                assert_eq!(exec_seq, heard + 1, "in round {round}");
                heard = exec_seq;
            }
            trades += u64::from(message["type"] == "trade");
            read += 1;
            if read % 20 == 0 && read <= 1000 {
                newest = trade(1, read == 1000);
            }
        }
        if trades == 0 {
            client.until("trade"); // the account's entries come first
        }
        known = heard - 200;
    }
    let _ = fs::remove_dir_all(directory);
}

#[test]
fn what_cannot_be_resumed_is_said_and_a_snapshot_follows() {
    // No history at all.
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    expect_snapshot(&mut come_back(&exchange.ws, "alice", 0));
    // One with a hole.
    let kept = Kept::start(&[]);
    let ws = &kept.exchange.ws;
    let mut alice = Client::log_in(ws, "alice");
    alice.order(r#""order_id":"o1","side":"buy","price":"30000","quantity":"0.1""#);
    alice.report("o1", "new");
    let last = loop {
        let read = get(&kept.exchange.http, "/api/v1/executions?account=alice&from_seq=6").1;
        if let Some(last) = read["executions"].as_array().and_then(|list| list.last()) {
            break last["data"]["exec_seq"].as_u64().expect("a number");
        }
    };
    let file = kept.directory.join("history.sqlite");
    let hole = async {
        let mut connection = SqliteConnection::connect(file.to_str().expect("our own path")).await?;
        sqlx::query("DELETE FROM events WHERE exec_seq = 3").execute(&mut connection).await
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(hole)
        .expect("a hole");
    // What is before it is told.
    let mut returning = come_back(ws, "alice", 1);
    assert_eq!(next_entry(&mut returning).0, 2);
    let snapshot = expect_snapshot(&mut returning);
    assert_eq!(snapshot["data"]["orders"][0]["order_id"], "o1");
    // And it goes on from the snapshot.
    alice.order(r#""order_id":"o2","side":"buy","price":"30000","quantity":"0.1""#);
    assert_eq!(next_entry(&mut returning).0, snapshot["data"]["exec_seq"].as_u64().expect("a number") + 1);
    // Behind the hole nothing is missing.
    let mut later = come_back(ws, "alice", 3);
    assert_eq!(next_entry(&mut later).0, 4);
    assert!(last > 4);
}

fn expect_snapshot(client: &mut Client) -> Value {
    let error = client.next();
    let said = [&error["type"], &error["code"], &error["action"]].map(|word| word.as_str());
    assert_eq!(said, [Some("error"), Some("RESUME_TOO_OLD"), Some("auth")], "{error}");
    assert_eq!(error["id"], 1, "{error}");
    let snapshot = client.next();
    assert_eq!(snapshot["type"], "account_snapshot", "{snapshot}");
    snapshot
}

#[test]
fn a_number_ahead_of_the_account_is_a_bad_value_and_logs_nobody_in() {
    let kept = Kept::start(&[]);
    let mut client = Client::connect(&kept.exchange.ws);
    let answer = client.ask(r#"{"action":"auth","id":7,"account":"alice","resume_from":1000}"#);
    assert_eq!((&answer["code"], &answer["id"]), (&"BAD_VALUE".into(), &7.into()), "{answer}");
    assert!(answer["message"].as_str().expect("text").contains("resume_from must be at most"), "{answer}");
    // What it says is the last entry is accepted, and there is nothing to tell then.
    let ack = client.ask(r#"{"action":"auth","id":8,"account":"alice"}"#);
    let last = ack["exec_seq"].as_u64().unwrap_or_else(|| panic!("{ack}"));
    let mut other = come_back(&kept.exchange.ws, "alice", last);
    other.send(&order(r#""order_id":"o1","side":"buy","price":"30000","quantity":"0.1""#));
    assert_eq!(next_entry(&mut other).0, last + 1);
}

/// The private channel was the anonymous account's, which the login left; refused, it left the connection without any.
#[test]
fn a_login_that_is_refused_ends_nothing_but_itself() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut client = Client::connect(&exchange.ws);
    client.send(r#"{"action":"subscribe","channel":"user"}"#);
    client.until("account_snapshot");
    client.send(r#"{"action":"auth","account":"ann","resume_from":1000000000}"#);
    assert_eq!(client.until("error")["code"], "BAD_VALUE");
    client.send(r#"{"action":"resync","channel":"user"}"#);
    client.until("account_snapshot");
    client.send(r#"{"action":"ping"}"#);
    client.until("pong");
}

//! The process is killed in the middle of trading, again and again, and what it had said stays true.
//!
//! Two accounts trade with each other as fast as they are answered, somebody watches the market, and at a chance moment
//! comes SIGKILL. In the next life every order that was acknowledged is known and acknowledged again as the same order,
//! one that nobody heard of is there once or not at all, no number is used twice, every line of numbers goes on, all money is
//! there, and each account is told every entry of its history that it has not heard. Lives begin with snapshots of earlier ones, which are cut all the time.
//!
//! `KILLS=50 cargo test --release -p gateway --test promises killed -- --nocapture` kills fifty times and prints how long
//! each life took to begin.

use crate::client::{Client, atoms};
use crate::exchange::{Exchange, fresh_directory};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};
use tungstenite::Message;

/// Journal between two snapshots: some in every life.
const SNAPSHOT_BYTES: &str = "16384";

/// Orders a trader has on the way at a time.
const WINDOW: usize = 16;

#[test]
fn what_was_said_stays_true() {
    let lives: u64 = std::env::var("KILLS").map_or(8, |kills| kills.parse().expect("a number of kills"));
    let seed = 1;
    println!("seed {seed}, {lives} kills");
    let directory = fresh_directory("killed");
    let data = directory.to_str().expect("our own path");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut traders = ["ann", "bob"].map(Trader::new);
    let mut market = Market::default();
    let (mut begins, mut given) = (Vec::new(), None);
    for life in 0..=lives {
        let begun = Instant::now();
        let mut exchange = Exchange::start_with(&[
            "serve",
            "--no-demo-flow",
            "--data-dir",
            data,
            "--snapshot-bytes",
            SNAPSHOT_BYTES,
        ]);
        begins.push(begun.elapsed());
        let mut sessions = traders.each_mut().map(|trader| trader.begin(&exchange.ws));
        market.begin(&exchange.ws);
        check_money(&mut traders, &mut sessions, &mut given);
        if life == lives {
            break; // it lives
        }
        let (acks, enough) = (AtomicU64::new(0), random.random_range(1..400));
        thread::scope(|scope| {
            for ((trader, session), seed) in traders.iter_mut().zip(sessions).zip(2 * life..) {
                let acks = &acks;
                scope.spawn(move || trader.trade(session, acks, seed));
            }
            scope.spawn(|| market.watch());
            while acks.load(Ordering::Relaxed) < enough {
                thread::yield_now();
            }
            exchange.kill();
        });
    }
    let heard: Vec<usize> = traders.iter().map(|trader| trader.acked.len()).collect();
    println!("acknowledged orders {heard:?}, last trade {}", market.last_trade);
    println!("ready after {:?}", begins.iter().map(Duration::as_millis).collect::<Vec<_>>());
    let _ = fs::remove_dir_all(directory);
}

/// An account's owner, who writes down what he is told.
struct Trader {
    name: &'static str,
    orders: u64,
    /// Bodies of orders that were sent, by id; those of the last life are asked about in the next.
    sent: HashMap<String, String>,
    /// What they were acknowledged as.
    acked: HashMap<String, String>,
    exec_seq: u64,
    trades: HashSet<u64>,
}

impl Trader {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            orders: 0,
            sent: HashMap::new(),
            acked: HashMap::new(),
            exec_seq: 0,
            trades: HashSet::new(),
        }
    }

    /// Logs in, and looks whether all is as it was left.
    fn begin(&mut self, ws: &str) -> Client {
        let mut client = Client::connect(ws);
        let (name, known) = (self.name, self.exec_seq);
        client.send(&format!(r#"{{"action":"auth","account":"{name}","resume_from":{known}}}"#));
        let ack = client.next();
        let exec_seq = ack["exec_seq"].as_u64().unwrap_or_else(|| panic!("{name} after {known}: {ack}"));
        assert!(exec_seq >= known, "{name}: {exec_seq} after {known}");
        // Every entry that there is now and that was not heard is told, and in order.
        while self.exec_seq < exec_seq {
            let message = client.next();
            assert_ne!(message["type"], "error", "{name} after {known} of {exec_seq}: {message}");
            self.note(&message);
        }
        let subscribe = r#"{"action":"subscribe","channel":"user"}"#;
        let account =
            self.hear_until(&mut client, subscribe, |message| message["type"] == "account_snapshot");
        assert_eq!(account["data"]["exec_seq"], self.exec_seq, "{name} has heard all of it");
        for (id, body) in std::mem::take(&mut self.sent) {
            let answer = self.submit(&mut client, &body);
            let as_what = answer["exchange_order_id"].as_str().expect("an ack names it").to_owned();
            if let Some(before) = self.acked.get(&id) {
                assert_eq!((before, &answer["duplicate"]), (&as_what, &true.into()), "{answer}");
            }
            // Asked once more it is the same, whether it was new a moment ago or not.
            let again = self.submit(&mut client, &body);
            assert_eq!(
                (&again["exchange_order_id"], &again["duplicate"]),
                (&as_what.clone().into(), &true.into())
            );
            self.acked.insert(id, as_what);
        }
        let names: HashSet<&String> = self.acked.values().collect();
        assert_eq!(names.len(), self.acked.len(), "no two orders have one number");
        client
    }

    /// Submits an order that was submitted before, as slowly as the exchange wants it. Returns the acknowledgement.
    fn submit(&mut self, client: &mut Client, body: &str) -> Value {
        loop {
            let answer = self.hear_until(client, body, |message| {
                matches!(message["type"].as_str(), Some("order_ack" | "order_reject"))
            });
            if answer["code"] != "RATE_LIMITED" {
                assert_eq!(answer["type"], "order_ack", "{body}: {answer}");
                return answer;
            }
        }
    }

    /// Sends, and takes note of all news until the answer.
    fn hear_until(&mut self, client: &mut Client, body: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        client.send(body);
        loop {
            let message = client.next();
            self.note(&message);
            if is_it(&message) {
                return message;
            }
        }
    }

    /// Trades until the connection breaks.
    fn trade(&mut self, mut client: Client, acks: &AtomicU64, seed: u64) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut waiting = 0;
        loop {
            while waiting < WINDOW {
                let (id, body) = self.order(&mut random);
                self.sent.insert(id, body.clone());
                if client.socket.send(Message::text(body)).is_err() {
                    return;
                }
                waiting += 1;
            }
            let Ok(Message::Text(text)) = client.socket.read() else { return };
            let message: Value = serde_json::from_str(&text).expect("the server speaks JSON");
            self.note(&message);
            match message["type"].as_str() {
                Some("order_ack") => {
                    let text = |key| message[key].as_str().expect("a text").to_owned();
                    let other = self.acked.insert(text("order_id"), text("exchange_order_id"));
                    assert_eq!(other, None, "it is acknowledged once: {message}");
                    acks.fetch_add(1, Ordering::Relaxed);
                    waiting -= 1;
                }
                Some("execution_report" | "balance_update") => {}
                _ => panic!("not asked for: {message}"),
            }
        }
    }

    fn order(&mut self, random: &mut ChaCha8Rng) -> (String, String) {
        self.orders += 1;
        let id = format!("{}-{}", self.name, self.orders);
        let side = if random.random() { "buy" } else { "sell" };
        let (price, quantity) = (random.random_range(29_990..30_010), random.random_range(1..9));
        let tif = if random.random_bool(0.3) { "ioc" } else { "gtc" };
        let body = format!(
            r#"{{"action":"submit_order","order_id":"{id}","symbol":"BTC-USDT","side":"{side}","price":"{price}","#
        ) + &format!(r#""quantity":"0.00{quantity}","tif":"{tif}"}}"#);
        (id, body)
    }

    /// The account's history has no gap and tells every trade once.
    fn note(&mut self, message: &Value) {
        let data = &message["data"];
        if !matches!(message["type"].as_str(), Some("execution_report" | "balance_update")) {
            return;
        }
        let exec_seq = data["exec_seq"].as_u64().expect("the history is numbered");
        assert_eq!(exec_seq, self.exec_seq + 1, "{}: {message}", self.name);
        self.exec_seq = exec_seq;
        if let Some(trade) = data["trade_id"].as_u64() {
            // The two meet themselves at times, as maker and as taker.
            let liquidity = if data["liquidity"] == "maker" { 1 << 63 } else { 0 };
            assert!(self.trades.insert(trade | liquidity), "told twice: {message}");
        }
    }
}

/// What the market says.
#[derive(Default)]
struct Market {
    client: Option<Client>,
    seq: u64,
    last_trade: u64,
}

impl Market {
    fn begin(&mut self, ws: &str) {
        let mut client = Client::connect(ws);
        client.send(r#"{"action":"subscribe","channel":"BTC-USDT"}"#);
        let snapshot = client.until("depth_snapshot");
        let seq = snapshot["data"]["seq"].as_u64().expect("a sequence");
        assert!(seq >= self.seq, "the market's sequence is {seq} after {}", self.seq);
        self.seq = seq;
        self.client = Some(client);
    }

    /// Reads until the connection breaks.
    fn watch(&mut self) {
        let mut client = self.client.take().expect("it has begun");
        while let Ok(Message::Text(text)) = client.socket.read() {
            let message: Value = serde_json::from_str(&text).expect("the server speaks JSON");
            let data = &message["data"];
            match message["type"].as_str() {
                Some("depth_update") => {
                    assert_eq!(data["prev_seq"].as_u64(), Some(self.seq), "{message}");
                    self.seq = data["seq"].as_u64().expect("a sequence");
                }
                Some("trade") => {
                    let trade = data["trade_id"].as_u64().expect("a trade has a number");
                    assert!(trade > self.last_trade, "{message}");
                    self.last_trade = trade;
                }
                _ => {}
            }
        }
    }
}

/// Without fees, what the two have between them never changes.
fn check_money(
    traders: &mut [Trader; 2],
    clients: &mut [Client; 2],
    given: &mut Option<HashMap<String, u128>>,
) {
    // One account may be looked at before a trade of both has reached it, but not again and again.
    for _ in 0..100 {
        let sums = sums(traders, clients);
        if *given.get_or_insert_with(|| sums.clone()) == sums {
            return;
        }
    }
    panic!("money is lost or made: {given:?}, now {:?}", sums(traders, clients));
}

fn sums(traders: &mut [Trader; 2], clients: &mut [Client; 2]) -> HashMap<String, u128> {
    let mut sums: HashMap<String, u128> = HashMap::new();
    for (trader, client) in traders.iter_mut().zip(clients) {
        let resync = r#"{"action":"resync","channel":"user"}"#;
        let account = trader.hear_until(client, resync, |message| message["type"] == "account_snapshot");
        for balance in account["data"]["balances"].as_array().expect("a list") {
            let asset = balance["asset"].as_str().expect("a name").to_owned();
            for place in ["free", "locked"] {
                *sums.entry(asset.clone()).or_default() += atoms(balance[place].as_str().expect("a number"));
            }
        }
    }
    assert!(sums.contains_key("BTC") && sums.contains_key("USDT"));
    sums
}

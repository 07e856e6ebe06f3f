//! One connection may be in many rooms. Whatever it shares them with, joins and leaves meanwhile, and however slowly it reads:
//! each room's stream comes to it whole and in order, or what is missing is announced, and its books are right at the end.

use crate::client::Client;
use crate::exchange::Exchange;
use crate::http::get;
use loadtest::check::Follower;
use std::collections::HashMap;
use std::time::Duration;

const SYMBOLS: [&str; 3] = ["BTC-USDT", "ETH-USDT", "SOL-USDT"];
const ROUNDS: u32 = 60;

/// A connection, and who judges each symbol's stream.
struct Subscriber {
    client: Client,
    followers: HashMap<&'static str, Follower>,
}

impl Subscriber {
    fn of(exchange: &Exchange, symbols: &[&'static str]) -> Self {
        let mut subscriber = Self { client: Client::connect(&exchange.ws), followers: HashMap::new() };
        for symbol in symbols {
            subscriber.subscribe(symbol);
        }
        subscriber
    }

    fn subscribe(&mut self, symbol: &'static str) {
        self.followers.insert(symbol, Follower::new(symbol));
        self.client.send(&format!(r#"{{"action":"subscribe","channel":"{symbol}"}}"#));
        while !self.followers[symbol].is_live() {
            self.read();
        }
    }

    fn unsubscribe(&mut self, symbol: &'static str) {
        self.client.send(&format!(r#"{{"action":"unsubscribe","channel":"{symbol}"}}"#));
        while self.read()["type"] != "unsubscription_ack" {}
        self.followers.remove(symbol);
    }

    fn read(&mut self) -> serde_json::Value {
        let message = self.client.next();
        if message["type"] != "unsubscription_ack"
            && let Some(follower) =
                message["channel"].as_str().and_then(|channel| self.followers.get_mut(channel))
        {
            follower.apply(&message.to_string());
        }
        message
    }

    /// Reads until it has seen all that there is, and judges it.
    fn finish(mut self, exchange: &Exchange, who: &str) -> u64 {
        let symbols: Vec<&'static str> = self.followers.keys().copied().collect();
        for symbol in symbols {
            let (_, depth) = get(&exchange.http, &format!("/api/v1/depth?symbol={symbol}"));
            let seq = depth["seq"].as_u64().expect("a number");
            let mut fresh = Subscriber::of(exchange, &[symbol]);
            for subscriber in [&mut self, &mut fresh] {
                while subscriber.followers[symbol].seq() < seq {
                    subscriber.read();
                }
            }
            let fresh = fresh.followers.remove(symbol).expect("it was just subscribed");
            let follower = self.followers.get_mut(symbol).expect("one of them");
            follower.compare(&fresh);
            assert_eq!(follower.violations(), [], "{who}, {symbol}");
        }
        self.followers.values().map(Follower::laps).sum()
    }
}

/// A few changes of every book, sent together, so that one turn has news of all rooms; some of them are trades.
fn trade(maker: &mut Client, taker: &mut Client, round: u32) {
    for (client, who, side) in [(maker, "maker", "buy"), (taker, "taker", "sell")] {
        for symbol in SYMBOLS {
            for n in 0..4 {
                let price = 100 - (n + round) % 7;
                client.send(&format!(
                    r#"{{"action":"submit_order","symbol":"{symbol}","order_id":"{who}-{symbol}-{round}-{n}","side":"{side}","type":"limit","price":"{price}","quantity":"0.1","tif":"gtc"}}"#
                ));
            }
        }
        (0..4 * SYMBOLS.len()).for_each(|_| drop(client.until("order_ack")));
    }
}

#[test]
fn each_of_them_comes_whole_and_in_order() {
    let small = ["--window-bytes", "4096", "--send-buffer-bytes", "4096"];
    let unlimited = ["--control-per-second", "100000", "--control-burst", "100000"];
    let exchange = Exchange::start_with(&[&["serve", "--no-demo-flow"], &small[..], &unlimited].concat());
    let mut maker = Client::log_in(&exchange.ws, "maker");
    let mut taker = Client::log_in(&exchange.ws, "taker");
    let mut all = Subscriber::of(&exchange, &SYMBOLS);
    let mut two = Subscriber::of(&exchange, &SYMBOLS[..2]);
    let mut same_two = Subscriber::of(&exchange, &[SYMBOLS[1], SYMBOLS[0]]);
    let mut restless = Subscriber::of(&exchange, &SYMBOLS);
    let stalled = Subscriber::of(&exchange, &SYMBOLS);
    socket2::SockRef::from(stalled.client.socket.get_ref()).set_recv_buffer_size(4096).expect("an option");
    for round in 0..ROUNDS {
        trade(&mut maker, &mut taker, round);
        let symbol = SYMBOLS[round as usize % 3];
        restless.unsubscribe(symbol);
        for subscriber in [&mut all, &mut two, &mut same_two, &mut restless] {
            subscriber.client.send(r#"{"action":"ping"}"#);
            while subscriber.read()["type"] != "pong" {}
        }
        restless.subscribe(symbol);
    }
    assert_eq!(all.finish(&exchange, "in all rooms"), 0);
    assert_eq!(two.finish(&exchange, "in two rooms"), 0);
    assert_eq!(same_two.finish(&exchange, "in the same two"), 0);
    assert_eq!(restless.finish(&exchange, "who comes and goes"), 0);
    assert!(stalled.finish(&exchange, "who did not read") > 0, "the window was outrun");
}

#[test]
fn who_breaks_off_without_having_read_its_answers_leaves_nothing_behind() {
    let exchange =
        Exchange::start_with(&["serve", "--no-demo-flow", "--reactors", "1", "--send-buffer-bytes", "4096"]);
    let mut client = Client::connect(&exchange.ws);
    let stream = client.socket.get_ref();
    stream.set_write_timeout(Some(Duration::from_secs(1))).expect("a positive timeout");
    socket2::SockRef::from(stream).set_recv_buffer_size(4096).expect("an option");
    // Until the exchange does not read on either.
    let ping = tungstenite::Message::Ping(vec![7; 125].into());
    while client.socket.send(ping.clone()).is_ok() {}
    let has = |line: &str| exchange.metrics().lines().any(|other| other == line);
    assert!(has(r#"ringside_connections{reactor="0"} 1"#), "it is there");
    client.break_off();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !has(r#"ringside_connections{reactor="0"} 0"#) {
        assert!(std::time::Instant::now() < deadline, "its connection is still there");
    }
}

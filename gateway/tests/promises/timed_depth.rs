//! Who cannot use every change gets the book ten times a second: what has changed in between in one update, or the best levels anew.
//! The chain holds, whenever one joins, and the last change before a quiet time does not wait for the next.

use crate::client::{Client, order};
use crate::exchange::Exchange;
use loadtest::check::Follower;
use serde_json::json;

/// A resting order. Returns the sequence of its symbol with it.
fn rest(client: &mut Client, order_id: &str, side: &str, price: u32) -> u64 {
    let keys = format!(r#""order_id":"{order_id}","side":"{side}","price":"{price}","quantity":"10""#);
    client.order(&keys)["seq"].as_u64().expect("a number")
}

#[test]
fn changes_come_together_and_the_last_one_comes_by_itself() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut maker = Client::log_in(&exchange.ws, "maker");
    rest(&mut maker, "b0", "buy", 100);
    for (round, request, channel) in [
        (1, json!({"action": "subscribe", "channel": "BTC-USDT@depth@100ms"}), "BTC-USDT@depth@100ms"),
        (
            2,
            json!({"action": "subscribe", "channel": "BTC-USDT", "streams": ["depth"], "interval_ms": 100}),
            "BTC-USDT",
        ),
    ] {
        let mut client = Client::connect(&exchange.ws);
        let ack = client.ask(&request.to_string());
        assert_eq!((&ack["type"], &ack["channel"]), (&"subscription_ack".into(), &channel.into()));
        assert_eq!(ack.get("interval_ms"), request.get("interval_ms"));
        let snapshot = client.next();
        assert_eq!(snapshot["type"], "depth_snapshot");
        let mut seq = snapshot["data"]["seq"].as_u64().expect("a number");
        // Nobody does anything after this, and it comes.
        let orders = (1..=20).map(|price| rest(&mut maker, &format!("{round}.{price}"), "buy", price));
        let last = orders.max().expect("there are some");
        let mut messages = 0;
        while seq < last {
            let update = client.next();
            assert_eq!((&update["type"], &update["data"]["prev_seq"]), (&"depth_update".into(), &seq.into()));
            assert_eq!(update["channel"], "BTC-USDT");
            seq = update["data"]["seq"].as_u64().expect("a number");
            messages += 1;
        }
        assert!(messages <= 20, "twenty orders in {messages} updates");
        client.send(&json!({"action": "resync", "channel": channel}).to_string());
        assert_eq!(client.until("depth_snapshot")["data"]["seq"], seq);
        let ack = client.ask(&json!({"action": "unsubscribe", "channel": channel, "id": 3}).to_string());
        assert_eq!((&ack["type"], &ack["id"]), (&"unsubscription_ack".into(), &3.into()));
    }
}

#[test]
fn the_best_levels_come_when_they_have_changed() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut maker = Client::log_in(&exchange.ws, "maker");
    for price in 1..=7 {
        rest(&mut maker, &format!("b{price}"), "buy", price);
    }
    let mut client = Client::connect(&exchange.ws);
    let ack =
        client.ask(r#"{"action":"subscribe","channel":"BTC-USDT","streams":["depth","trade"],"depth":5}"#);
    let expected =
        json!({"type": "subscription_ack", "channel": "BTC-USDT", "streams": ["depth", "trade"], "depth": 5});
    assert_eq!(ack, expected);
    let best = |prices: [u32; 5]| json!(prices.map(|price| [price.to_string(), "10".into()]));
    let snapshot = client.next();
    assert_eq!((&snapshot["type"], &snapshot["data"]["depth"]), (&"depth_snapshot".into(), &5.into()));
    assert_eq!(snapshot["data"]["bids"], best([7, 6, 5, 4, 3]));
    // Below the best five nothing is told; the next message is of the change that is among them.
    maker.ask(r#"{"action":"cancel_order","symbol":"BTC-USDT","order_id":"b1"}"#);
    rest(&mut maker, "b8", "buy", 8);
    let changed = client.next();
    assert_eq!((&changed["type"], &changed["data"]["depth"]), (&"depth_snapshot".into(), &5.into()));
    assert_eq!(changed["data"]["bids"], best([8, 7, 6, 5, 4]));
    // The same room under another name. It may be told what was before first.
    let mut other = Client::connect(&exchange.ws);
    other.ask(r#"{"action":"subscribe","channel":"BTC-USDT@depth5@100ms"}"#);
    while other.next() != changed {}
    // Trades come as they happen.
    let mut taker = Client::log_in(&exchange.ws, "taker");
    taker.order(r#""order_id":"s","side":"sell","price":"8","quantity":"10""#);
    assert_eq!(client.until("trade")["data"]["price"], "8");
}

#[test]
fn a_busy_market_is_followed_to_its_end() {
    let exchange = Exchange::start();
    let channels = ["BTC-USDT@depth@100ms", "BTC-USDT@depth20@100ms", "BTC-USDT@depth"];
    for channel in channels {
        let mut client = Client::connect(&exchange.ws);
        let mut follower = Follower::new(channel);
        client.send(&json!({"action": "subscribe", "channel": channel}).to_string());
        for _ in 0..15 {
            follower.apply(&client.next().to_string());
        }
        assert_eq!(follower.violations(), [], "{channel}");
    }
}

#[test]
fn what_there_is_not_is_refused_by_name() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut client = Client::connect(&exchange.ws);
    for (keys, code, field, word) in [
        (json!({"depth": 7}), "BAD_VALUE", "depth", "5, 10, 20"),
        (json!({"interval_ms": 250}), "BAD_VALUE", "interval_ms", "100"),
        (json!({"streams": ["trade"], "depth": 5}), "BAD_VALUE", "depth", "streams"),
        (json!({"channel": "BTC-USDT@depth7@100ms"}), "BAD_VALUE", "channel", "5, 10 or 20"),
        (json!({"channel": "BTC-USDT@depth@250ms"}), "BAD_VALUE", "channel", "100ms"),
        (json!({"channel": "BTC-USDT@depth", "interval_ms": 100}), "BAD_VALUE", "interval_ms", "name"),
        (json!({"channel": "BTC-USDT@trade@100ms"}), "BAD_VALUE", "channel", "only depth"),
        (json!({"checksum": true}), "BAD_VALUE", "checksum", "not available"),
        (json!({"channel": "user", "streams": ["depth"]}), "BAD_VALUE", "streams", "user"),
        (json!({"channel": "user", "depth": 5}), "BAD_VALUE", "depth", "user"),
        (json!({"channel": "user", "interval_ms": 100}), "BAD_VALUE", "interval_ms", "user"),
        (json!({"channel": "user", "on_slow": "gap"}), "BAD_VALUE", "on_slow", "user"),
    ] {
        let mut request = json!({"action": "subscribe", "channel": "BTC-USDT"});
        request.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        let answer = client.ask(&request.to_string());
        assert_eq!(
            (&answer["type"], &answer["code"]),
            (&"error".into(), &code.into()),
            "{request}: {answer}"
        );
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains(field) && message.contains(word), "{request}: {answer}");
    }
    assert_eq!(
        client.ask(r#"{"action":"subscribe","channel":"BTC-USDT@depth@100ms"}"#)["type"],
        "subscription_ack"
    );
    client.until("depth_snapshot");
    // All views of depth are the same stream.
    for channel in ["BTC-USDT", "BTC-USDT@depth", "BTC-USDT@depth20"] {
        let answer = client.ask(&json!({"action": "subscribe", "channel": channel}).to_string());
        assert_eq!(answer["code"], "ALREADY_SUBSCRIBED", "{channel}: {answer}");
    }
}

/// Reads until the book is at this sequence.
fn follow(client: &mut Client, follower: &mut Follower, seq: u64) {
    while follower.seq() < seq {
        follower.apply(&client.next().to_string());
    }
}

#[test]
fn who_is_lapped_goes_on_from_a_snapshot() {
    let small = ["serve", "--no-demo-flow", "--window-bytes", "4096", "--send-buffer-bytes", "4096"];
    let exchange = Exchange::start_with(&small);
    let channel = "BTC-USDT@depth@100ms";
    let subscribe = || {
        let mut client = Client::connect(&exchange.ws);
        let mut follower = Follower::new(channel);
        client.send(&json!({"action": "subscribe", "channel": channel}).to_string());
        while !follower.is_live() {
            follower.apply(&client.next().to_string());
        }
        (client, follower)
    };
    let (mut reading, mut read) = subscribe();
    let (mut stalled, mut missed) = subscribe();
    socket2::SockRef::from(stalled.socket.get_ref()).set_recv_buffer_size(4096).expect("an option");
    let mut maker = Client::log_in(&exchange.ws, "maker");
    let mut seq = 0;
    for round in 0..30 {
        let numbers = round * 400..(round + 1) * 400;
        for number in numbers.clone() {
            let (units, hundredths) = (50 + number / 100, number % 100);
            maker.send(&order(&format!(
                r#""order_id":"o{number}","side":"buy","price":"{units}.{hundredths:02}","quantity":"0.12345""#
            )));
        }
        numbers.for_each(|_| seq = maker.until("order_ack")["seq"].as_u64().expect("a number"));
        follow(&mut reading, &mut read, seq);
    }
    follow(&mut stalled, &mut missed, seq);
    missed.compare(&read);
    assert_eq!((read.violations(), read.laps()), (&[][..], 0));
    assert_eq!(missed.violations(), []);
    assert!(missed.laps() > 0, "the window was outrun");
    assert_eq!(read.book().level_count(), 12_000);
}

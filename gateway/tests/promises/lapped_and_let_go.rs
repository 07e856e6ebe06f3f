//! A program that is of no use with a hole in its data says so when it subscribes: it is disconnected, with a code, where others
//! are told of the gap and go on. What else it was subscribed to ends with it, and nobody else notices.

use crate::client::Client;
use crate::exchange::Exchange;
use tungstenite::Message;

const SUBSCRIBE: &str = r#"{"action":"subscribe","channel":"BTC-USDT"#;

#[test]
fn who_would_rather_leave_is_let_go_and_others_are_told() {
    let small = ["--window-bytes", "32768", "--send-buffer-bytes", "8192"];
    let exchange = Exchange::start_with(&[&["serve", "--no-demo-flow"][..], &small].concat());
    let mut leaves = Client::connect(&exchange.ws);
    let mut stays = Client::connect(&exchange.ws);
    for (client, wish) in [(&mut leaves, "disconnect"), (&mut stays, "gap")] {
        client.send(&format!(r#"{SUBSCRIBE}","on_slow":"{wish}"}}"#));
        assert_eq!(client.until("subscription_ack")["on_slow"], wish);
        client.until("depth_snapshot");
    }
    // Rooms of their own: nobody is left there when they have gone.
    let mut breaks_off = Client::connect(&exchange.ws);
    for (client, channels) in
        [(&mut leaves, &["ETH-USDT@depth"][..]), (&mut breaks_off, &["BTC-USDT@depth", "ETH-USDT@trade"])]
    {
        for channel in channels {
            client.send(&format!(r#"{{"action":"subscribe","channel":"{channel}"}}"#));
            client.until("subscription_ack");
        }
    }

    // Nobody reads from here on.
    let mut trader = Client::log_in(&exchange.ws, "ann");
    let count = |name: &str| -> u64 {
        let metrics = exchange.metrics();
        let line = metrics.lines().find(|line| line.starts_with(name)).expect("a metric");
        line.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number")
    };
    let mut orders = 0;
    while count("ringside_lapped_total") < 2 || count("ringside_closed_slow_total") < 1 {
        for _ in 0..200 {
            let side = if orders % 2 == 0 { "sell" } else { "buy" };
            let keys =
                format!(r#""order_id":"o{orders}","side":"{side}","price":"30000","quantity":"0.001""#);
            trader.order(&keys);
            orders += 1;
        }
        assert!(orders < 200_000, "a window of 32 KiB and two sockets' buffers are passed long before");
    }
    breaks_off.break_off();
    assert_eq!(leaves.until_closed(), Some(4001));
    let gap = stays.until("gap")["data"].clone();
    assert_eq!((gap["stream"].as_str(), gap["reason"].as_str()), (Some("trade"), Some("slow_consumer")));
    stays.until("depth_snapshot");
    assert_eq!(trader.ask(r#"{"action":"ping"}"#)["type"], "pong");
}

#[test]
fn snapshots_asked_for_again_and_again_come_as_often_as_they_are_taken() {
    const ASKED: usize = 40;
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut client = Client::connect(&exchange.ws);
    client.ask(r#"{"action":"subscribe","channel":"*@depth"}"#);
    for _symbol in 0..3 {
        client.until("depth_snapshot");
    }
    // All of them in one write, so that the server reads them together.
    let texts = [r#"{"action":"resync","channel":"*@depth"}"#; ASKED].into_iter();
    for text in texts.chain([r#"{"action":"ping","id":1}"#]) {
        client.socket.write(Message::text(text)).expect("the connection is open");
    }
    client.socket.flush().expect("the connection is open");
    let mut snapshots = 0;
    let (mut pongs, mut is_asked_again) = (0, false);
    while pongs < 2 {
        let message = client.next();
        match message["type"].as_str() {
            Some("depth_snapshot") => snapshots += 1,
            Some("pong") => pongs += 1,
            other => panic!("{other:?} was not asked for"),
        }
        if pongs == 1 && snapshots >= 3 && !std::mem::replace(&mut is_asked_again, true) {
            client.send(r#"{"action":"ping","id":2}"#);
        }
    }
    assert!((3..3 * ASKED / 4).contains(&snapshots), "{snapshots} snapshots of three symbols");
}

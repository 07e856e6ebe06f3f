//! A program that is of no use with a hole in its data says so when it subscribes: it is disconnected, with a code, where others
//! are told of the gap and go on. What else it was subscribed to ends with it, and nobody else notices.

use crate::client::Client;
use crate::exchange::Exchange;

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
fn asking_for_snapshots_again_and_again_costs_what_is_taken() {
    let exchange = Exchange::start_with(&["serve"]);
    let mut client = Client::connect(&exchange.ws);
    client.ask(r#"{"action":"subscribe","channel":"*@depth"}"#);
    for _symbol in 0..3 {
        client.until("depth_snapshot");
    }
    for _ in 0..40 {
        client.send(r#"{"action":"resync","channel":"*@depth"}"#);
    }
    client.send(r#"{"action":"ping","id":"last"}"#);
    let (mut snapshots, mut updates_after) = (0, 0);
    let mut is_answered = false;
    // A snapshot of each symbol at least, and no more than were asked for; updates go on.
    while !is_answered || snapshots < 3 || updates_after < 20 {
        let message = client.next();
        match message["type"].as_str() {
            Some("pong") => is_answered = true,
            Some("depth_snapshot") => snapshots += 1,
            Some("depth_update") => updates_after += 1,
            other => panic!("{other:?} was not asked for"),
        }
    }
    assert!(snapshots <= 3 * 40, "{snapshots} snapshots");
}

//! What trades come to is told as it changes and can be asked for: a ticker of the last day, and candles that are closed when their
//! time is over, whether anybody trades then or not.

use crate::client::{Client, atoms};
use crate::exchange::Exchange;
use crate::http::get;
use serde_json::{Value, json};

/// Two who trade these quantities at these prices.
fn trade(exchange: &Exchange, trades: &[(&str, &str)]) {
    let mut maker = Client::log_in(&exchange.ws, "maker");
    let mut taker = Client::log_in(&exchange.ws, "taker");
    for (number, (price, quantity)) in trades.iter().enumerate() {
        for (client, side) in [(&mut maker, "sell"), (&mut taker, "buy")] {
            client.order(&format!(
                r#""order_id":"{side}{number}","side":"{side}","price":"{price}","quantity":"{quantity}""#
            ));
        }
        taker.report(&format!("buy{number}"), "trade");
    }
}

fn subscribe(exchange: &Exchange, channel: &str) -> Client {
    let mut client = Client::connect(&exchange.ws);
    let ack = client.ask(&json!({"action": "subscribe", "channel": channel}).to_string());
    assert_eq!(ack, json!({"type": "subscription_ack", "channel": channel}));
    client
}

/// Without what depends on when the test runs.
fn timeless(data: &Value) -> Value {
    let mut data = data.clone();
    data.as_object_mut().expect("an object").retain(|key, _| !key.ends_with("_ts") && key != "symbol");
    data
}

const TRADES: [(&str, &str); 3] = [("100", "2"), ("110", "1"), ("95", "0.5")];

#[test]
fn the_ticker_is_what_the_day_comes_to() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut client = subscribe(&exchange, "BTC-USDT@ticker");
    let nothing = json!({"last": null, "open": null, "high": null, "low": null, "volume": "0", "quote_volume": "0",
        "change": null, "change_pct": null, "bid": null, "ask": null, "trades": 0});
    let first = client.next();
    assert_eq!((&first["type"], &first["channel"]), (&"ticker".into(), &"BTC-USDT".into()));
    assert_eq!(timeless(&first["data"]), nothing);
    trade(&exchange, &TRADES);
    let expected = json!({"last": "95", "open": "100", "high": "110", "low": "95", "volume": "3.5", "quote_volume": "357.5",
        "change": "-5", "change_pct": "-5", "bid": null, "ask": null, "trades": 3});
    while timeless(&client.next()["data"]) != expected {}
    let (status, asked) = get(&exchange.http, "/api/v1/ticker?symbol=BTC-USDT");
    assert_eq!((status, &asked["symbol"], timeless(&asked)), (200, &"BTC-USDT".into(), expected.clone()));
    let day = asked["close_ts"].as_u64().unwrap() - asked["open_ts"].as_u64().unwrap();
    assert!((86_340_000_000..=86_400_000_000).contains(&day), "a day of whole minutes and the open one");
    // The same on demand, and for whoever comes later.
    client.send(r#"{"action":"resync","channel":"BTC-USDT@ticker"}"#);
    assert_eq!(timeless(&client.next()["data"]), expected);
    let mut other = subscribe(&exchange, "BTC-USDT@ticker");
    while timeless(&other.next()["data"]) != expected {}
    assert_eq!(
        client.ask(r#"{"action":"unsubscribe","channel":"BTC-USDT@ticker"}"#)["type"],
        "unsubscription_ack"
    );
}

#[test]
fn a_candle_closes_by_itself() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut seconds = subscribe(&exchange, "BTC-USDT@kline_1s");
    let mut client = Client::connect(&exchange.ws);
    let request = r#"{"action":"subscribe","channel":"BTC-USDT","streams":["kline_1m","kline_1d"],"id":1}"#;
    let expected = json!({"type": "subscription_ack", "channel": "BTC-USDT", "id": 1, "streams": ["kline_1m", "kline_1d"]});
    assert_eq!(client.ask(request), expected);
    trade(&exchange, &TRADES);
    // Nobody trades any more.
    let (mut volume, mut value, mut trades) = (0, 0, 0);
    while trades < 3 {
        let kline = seconds.next();
        let data = &kline["data"];
        assert_eq!((&kline["type"], &data["interval"]), (&"kline".into(), &"1s".into()));
        let (open_ts, close_ts) = (data["open_ts"].as_u64().unwrap(), data["close_ts"].as_u64().unwrap());
        assert_eq!((open_ts % 1_000_000, close_ts - open_ts), (0, 999_999));
        if data["closed"] == true {
            volume += atoms(data["volume"].as_str().unwrap());
            value += atoms(data["quote_volume"].as_str().unwrap());
            trades += data["trades"].as_u64().unwrap();
        }
    }
    assert_eq!((volume, value), (atoms("3.5"), atoms("357.5")));
    // A day that begins meanwhile has what is left, and a minute too.
    let mut intervals = [("1m", 0), ("1d", 0)];
    while intervals.iter().any(|(_, trades)| *trades == 0) {
        let data = client.next()["data"].clone();
        let known =
            intervals.iter_mut().find(|(interval, _)| data["interval"] == *interval).expect("asked for");
        known.1 = data["trades"].as_u64().unwrap();
    }
    for interval in ["1s", "1m", "5m", "15m", "1h", "4h", "1d"] {
        let path = format!("/api/v1/klines?symbol=BTC-USDT&interval={interval}&limit=1000");
        let (status, asked) = get(&exchange.http, &path);
        assert_eq!(
            (status, &asked["symbol"], &asked["interval"]),
            (200, &"BTC-USDT".into(), &interval.into())
        );
        let klines = asked["klines"].as_array().expect("a list");
        let sum = |key: &str| klines.iter().map(|kline| atoms(kline[key].as_str().unwrap())).sum::<u128>();
        assert_eq!((sum("volume"), sum("quote_volume")), (atoms("3.5"), atoms("357.5")), "{asked}");
        assert!(klines.is_sorted_by_key(|kline| kline["open_ts"].as_u64()));
        let (_, one) =
            get(&exchange.http, &format!("/api/v1/klines?symbol=BTC-USDT&interval={interval}&limit=1"));
        assert_eq!(one["klines"].as_array().map(Vec::len), Some(1), "the newest");
    }
    let (_, none) = get(&exchange.http, "/api/v1/klines?symbol=ETH-USDT&interval=1m");
    assert_eq!(none, json!({"symbol": "ETH-USDT", "interval": "1m", "klines": []}));
}

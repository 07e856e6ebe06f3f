//! Whatever is asked of REST in a wrong way is answered in JSON, by the name of the field; never by a stack's own text.

use crate::exchange::Exchange;
use crate::http::{get, request};

/// Path and query, status, code, field, and a word its message must have.
const WRONG: &[(&str, u16, &str, Option<&str>, &str)] = &[
    ("/api/v1/depth", 400, "MISSING_FIELD", Some("symbol"), "symbol"),
    ("/api/v1/depth?limit=5", 400, "MISSING_FIELD", Some("symbol"), "symbol"),
    ("/api/v1/depth?symbol=NO-NO", 404, "UNKNOWN_SYMBOL", Some("symbol"), "symbol"),
    ("/api/v1/depth?symbol=", 404, "UNKNOWN_SYMBOL", Some("symbol"), "symbol"),
    ("/api/v1/depth?symbol=btc-usdt", 404, "UNKNOWN_SYMBOL", Some("symbol"), "symbol"),
    ("/api/v1/depth?symbol=%ff%00", 404, "UNKNOWN_SYMBOL", Some("symbol"), "symbol"),
    ("/api/v1/depth?symbol=BTC-USDT&limit=0", 400, "BAD_VALUE", Some("limit"), "from 1 to 5000"),
    ("/api/v1/depth?symbol=BTC-USDT&limit=5001", 400, "BAD_VALUE", Some("limit"), "from 1 to 5000"),
    ("/api/v1/depth?symbol=BTC-USDT&limit=-1", 400, "BAD_VALUE", Some("limit"), "limit"),
    ("/api/v1/depth?symbol=BTC-USDT&limit=ten", 400, "BAD_VALUE", Some("limit"), "limit"),
    ("/api/v1/depth?symbol=BTC-USDT&limit=", 400, "BAD_VALUE", Some("limit"), "limit"),
    ("/api/v1/depth?symbol=BTC-USDT&symbol=BTC-USDT", 400, "BAD_VALUE", Some("symbol"), "twice"),
    ("/api/v1/depth?symbol=BTC-USDT&limit=5&limit=6", 400, "BAD_VALUE", Some("limit"), "twice"),
    ("/api/v1/depth?symbol=BTC-USDT&x=1&x=2", 400, "BAD_VALUE", Some("x"), "twice"),
    ("/api/v1/trades?symbol=BTC-USDT&limit=1001", 400, "BAD_VALUE", Some("limit"), "from 1 to 1000"),
    ("/api/v1/trades?symbol=BTC-USDT&from_id=x", 400, "BAD_VALUE", Some("from_id"), "from_id"),
    ("/api/v1/trades?symbol=BTC-USDT&from_id=1&from_id=1", 400, "BAD_VALUE", Some("from_id"), "twice"),
    ("/api/v1/ticker", 400, "MISSING_FIELD", Some("symbol"), "symbol"),
    ("/api/v1/ticker?symbol=NO-NO", 404, "UNKNOWN_SYMBOL", Some("symbol"), "symbol"),
    ("/api/v1/klines?symbol=BTC-USDT", 400, "MISSING_FIELD", Some("interval"), "interval"),
    ("/api/v1/klines?symbol=BTC-USDT&interval=2m", 400, "BAD_VALUE", Some("interval"), "1s, 1m, 5m"),
    (
        "/api/v1/klines?symbol=BTC-USDT&interval=1m&limit=1001",
        400,
        "BAD_VALUE",
        Some("limit"),
        "from 1 to 1000",
    ),
    ("/api/v1/nothing", 404, "NOT_FOUND", None, "path"),
    ("/nothing?a=b&a=b", 404, "NOT_FOUND", None, "path"),
    ("/api/v1/admin/fees", 404, "NOT_FOUND", None, "path"),
];

#[test]
fn are_answered_in_json_by_the_name_of_the_field() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    for (path, status, code, field, word) in WRONG {
        let (answered, body) = get(&exchange.http, path);
        assert_eq!((answered, &body["code"]), (*status, &(*code).into()), "{path}: {body}");
        assert_eq!(body["field"].as_str(), *field, "{path}: {body}");
        assert!(body["message"].as_str().unwrap().contains(word), "{path}: {body}");
        assert_eq!(body["type"], "error", "{path}: {body}");
    }
    let (status, body) = request(&exchange.http, "POST", "/api/v1/depth?symbol=BTC-USDT", "", "");
    assert_eq!((status, &body["code"]), (405, &"METHOD_NOT_ALLOWED".into()));
}

#[test]
fn and_what_is_right_is_answered() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let (status, depth) = get(&exchange.http, "/api/v1/depth?symbol=BTC-USDT&limit=5&unknown=ignored");
    assert_eq!((status, &depth["bids"]), (200, &serde_json::json!([])));
    let (status, symbols) = get(&exchange.http, "/api/v1/symbols");
    assert_eq!(status, 200);
    let first = &symbols["symbols"][0];
    assert_eq!(
        (&first["state"], &first["band_bps"], &first["min_notional"]),
        (&"trading".into(), &0.into(), &"5".into())
    );
    assert_eq!(first["fees"][7], serde_json::json!({"tier": 7, "maker_bps": "0", "taker_bps": "0"}));
}

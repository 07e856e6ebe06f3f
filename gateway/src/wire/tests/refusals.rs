//! What is refused, by which code, and because of which field.

use std::time::{Duration, Instant};

use super::decoded;
use crate::wire::code::ErrorCode::{self, *};
use crate::wire::encode::request_error;
use crate::wire::id::RequestId;
use crate::wire::request::{NAME_BYTES_MAX, Reply};

/// A good order; `check_order` replaces or removes one key of it.
const ORDER: [(&str, &str); 9] = [
    ("action", r#""submit_order""#),
    ("order_id", r#""abc123""#),
    ("symbol", r#""BTC-USDT""#),
    ("side", r#""buy""#),
    ("price", r#""30000""#),
    ("quantity", r#""0.5""#),
    ("order_type", r#""limit""#),
    ("tif", r#""gtc""#),
    ("post_only", "false"),
];

#[track_caller]
fn check(text: &str, code: ErrorCode, field: impl Into<Option<&'static str>>) {
    decoded(text, |request| {
        let error = request.expect_err(text);
        assert_eq!((error.refusal.code, error.refusal.field), (code, field.into()), "{text}\n{error:?}");
        if let Some(field) = error.refusal.field {
            assert!(error.refusal.message.contains(field), "{} does not name {field}", error.refusal.message);
        }
        let mut answer = Vec::new();
        request_error(&mut answer, &error, None);
        serde_json::from_slice::<serde_json::Value>(&answer).unwrap();
    });
}

/// The order with `changes`: a key and its new value, none to leave the key out.
fn order(changes: &[(&str, Option<&str>)]) -> String {
    let added = changes.iter().filter(|(key, _)| !ORDER.iter().any(|(known, _)| known == key));
    let kept = ORDER.iter().filter_map(|(key, value)| {
        let change = changes.iter().find(|(changed, _)| changed == key);
        Some((*key, change.map_or(Some(*value), |(_, value)| *value)?))
    });
    let keys: Vec<String> = kept
        .chain(added.filter_map(|(key, value)| Some((*key, (*value)?))))
        .map(|(key, value)| format!("\"{key}\":{value}"))
        .collect();
    format!("{{{}}}", keys.join(","))
}

#[test]
fn what_is_not_json() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "{]",
        "hello",
        "{\"action\":\"ping\"",
        "{\"action\":\"ping\"}}",
        "{\"action\":\"ping\",}",
        "{action:\"ping\"}",
        "{'action':'ping'}",
        "{\"action\":ping}",
        "{\"action\" \"ping\"}",
        "{\"action\":\"ping\"} {\"action\":\"ping\"}",
        "{\"action\":\"pi\nng\"}",
        "{\"action\":\"\\x70ing\"}",
        "{\"action\":\"\\ud800\"}",
        "{\"action\":\"\\u12\"}",
        "{\"id\":01}",
        "{\"id\":+1}",
        "{\"id\":1.}",
        "{\"id\":.5}",
        "{\"id\":0x10}",
        "{\"id\":NaN}",
        "{\"id\":tru}",
        "\u{feff}{\"action\":\"ping\"}",
        "{\"action\":\"ping\"}\0",
        "{\"id\":-}",
        "{1:2}",
        "{null:1}",
        "/**/{}",
    ] {
        check(text, InvalidJson, None);
    }
}

#[test]
fn what_is_not_an_object() {
    for text in ["[]", "[{\"action\":\"ping\"}]", "1", "-1.5e3", "\"ping\"", "null", "true", "false"] {
        check(text, InvalidJson, None);
    }
}

#[test]
fn bytes_that_are_not_utf8() {
    let mut text = b"{\"action\":\"ping\",\"x\":\"\xff\"}".to_vec();
    let mut buffers = crate::wire::request::Buffers::default();
    let error = crate::wire::request::decode(&mut text, &mut buffers).unwrap_err();
    assert_eq!(error.refusal.code, InvalidJson);
}

#[test]
fn deep_nesting_is_cut_short() {
    let deep = |open: &str, close: &str, depth: usize| {
        format!(r#"{{"action":"ping","x":{}1{}}}"#, open.repeat(depth), close.repeat(depth))
    };
    decoded(&deep("[", "]", 15), |request| assert!(request.is_ok()));
    decoded(&deep(r#"{"a":"#, "}", 15), |request| assert!(request.is_ok()));
    check(&deep("[", "]", 16), InvalidJson, None);
    check(&deep(r#"{"a":"#, "}", 16), InvalidJson, None);
    let start = Instant::now();
    for text in
        ["[".repeat(64 << 10), "{\"a\":".repeat(13_000), deep("[", "]", 32_000), deep("{\"a\":", "}", 10_000)]
    {
        check(&text, InvalidJson, None);
    }
    assert!(start.elapsed() < Duration::from_secs(1), "far more than it needs, even unoptimised");
}

#[test]
fn actions() {
    check("{}", MissingField, "action");
    check(r#"{"id":1}"#, MissingField, "action");
    check(r#"{"symbol":"BTC-USDT"}"#, MissingField, "action");
    for action in ["null", "1", "[]", "{}", "true"] {
        check(&format!(r#"{{"action":{action}}}"#), BadValue, "action");
    }
    for action in ["", "Ping", "PING", "ping ", "subscribe\\u0000", "order.place"] {
        check(&format!(r#"{{"action":"{action}"}}"#), UnknownAction, "action");
    }
}

#[test]
fn missing_fields() {
    for key in ["order_id", "symbol", "side", "price", "quantity"] {
        check(&order(&[(key, None)]), MissingField, key);
        check(&order(&[(key, None), ("action", None)]), MissingField, key); // the bare form
        check(&order(&[(key, Some("null"))]), BadValue, key); // is another thing
    }
    check(r#"{"action":"submit_order"}"#, MissingField, "order_id");
    check(r#"{"side":"buy"}"#, MissingField, "order_id");
    check(r#"{"action":"cancel_order","symbol":"BTC-USDT"}"#, MissingField, "order_id");
    check(r#"{"action":"cancel_order","order_id":"a"}"#, MissingField, "symbol");
    check(r#"{"action":"amend_order","symbol":"BTC-USDT","order_id":"a"}"#, MissingField, "quantity");
    check(r#"{"action":"amend_order","symbol":"BTC-USDT","price":"1"}"#, MissingField, "order_id");
    check(r#"{"action":"amend_order","order_id":"a","price":"1"}"#, MissingField, "symbol");
    check(r#"{"action":"cancel_all_after"}"#, MissingField, "timeout_ms");
    for action in ["subscribe", "unsubscribe", "resync"] {
        check(&format!(r#"{{"action":"{action}"}}"#), MissingField, "channel");
    }
    check(r#"{"action":"auth"}"#, MissingField, "key");
    check(r#"{"action":"auth","key":"K"}"#, MissingField, "ts");
    check(r#"{"action":"auth","key":"K","ts":1}"#, MissingField, "sig");
}

#[test]
fn wrong_types() {
    let values =
        ["null", "true", "1", "1.5", "-1", "\"?\"", "[]", "{}", "[\"depth\"]", "18446744073709551616"];
    let check_all = |rest: &str, key: &'static str, but: &[&str]| {
        for value in values.iter().filter(|value| !but.contains(value)) {
            check(&format!("{{{rest},\"{key}\":{value}}}"), BadValue, key);
        }
    };
    for key in ["order_id", "side", "order_type", "tif", "stp"] {
        for value in values {
            check(&order(&[(key, Some(value))]), BadValue, key);
        }
    }
    for key in ["symbol", "price", "quantity"] {
        for value in values.iter().filter(|value| **value != "\"?\"") {
            check(&order(&[(key, Some(value))]), BadValue, key);
        }
    }
    for value in values.iter().filter(|value| **value != "true") {
        check(&order(&[("post_only", Some(value))]), BadValue, "post_only");
    }
    check_all(r#""action":"ping""#, "id", &["1", "-1", "\"?\""]);
    check_all(r#""action":"cancel_all""#, "symbol", &["\"?\""]);
    let subscribe = r#""action":"subscribe","channel":"BTC-USDT""#;
    check_all(r#""action":"subscribe""#, "channel", &["\"?\""]);
    check_all(subscribe, "streams", &["[\"depth\"]"]);
    check_all(subscribe, "depth", &[]);
    check_all(subscribe, "interval_ms", &[]);
    check_all(subscribe, "on_slow", &[]);
    check_all(subscribe, "checksum", &["true"]);
    check_all(r#""action":"auth""#, "account", &[]);
    check_all(r#""action":"auth""#, "key", &["\"?\""]);
    let auth = r#""action":"auth","key":"K","sig":"S""#;
    check_all(auth, "ts", &["1"]);
    let auth = r#""action":"auth","key":"K","sig":"S","ts":1"#;
    check_all(auth, "recv_window_ms", &["1"]);
    check_all(auth, "alg", &[]);
    check_all(auth, "cancel_on_disconnect", &["{}"]);
    check_all(auth, "resume_from", &["1"]);
    check(&format!(r#"{{{auth},"cancel_on_disconnect":{{"scope":"planet"}}}}"#), BadValue, "scope");
    for grace in ["-1", "60001", "1.5", "\"1\""] {
        let guard = format!(r#"{{{auth},"cancel_on_disconnect":{{"grace_ms":{grace}}}}}"#);
        check(&guard, BadValue, "grace_ms");
    }
    check_all(r#""action":"cancel_all_after""#, "timeout_ms", &["1"]);
    check(r#"{"action":"cancel_all_after","timeout_ms":86400001}"#, BadValue, "timeout_ms");
    let amend = r#""action":"amend_order","symbol":"BTC-USDT","order_id":"a""#;
    check_all(amend, "price", &["\"?\""]);
    check_all(amend, "quantity", &["\"?\""]);
}

#[test]
fn values_out_of_bounds() {
    let long = |length: usize| format!("\"{}\"", "x".repeat(length));
    for id in
        ["\"\"", "\"a b\"", "\"a/b\"", "\"é\"", "\"a\\u0000\"", &long(NAME_BYTES_MAX + 1), &long(60_000)]
    {
        check(&order(&[("order_id", Some(id))]), BadValue, "order_id");
        check(&format!(r#"{{"action":"auth","account":{id}}}"#), BadValue, "account");
    }
    decoded(&order(&[("order_id", Some(&long(NAME_BYTES_MAX)))]), |request| assert!(request.is_ok()));
    decoded(&order(&[("order_id", Some("\"aZ0.9_:-\""))]), |request| assert!(request.is_ok()));
    for symbol in ["\"\"", &long(65)] {
        check(&order(&[("symbol", Some(symbol))]), BadValue, "symbol");
        check(&format!(r#"{{"action":"resync","channel":{symbol}}}"#), BadValue, "channel");
    }
    check(&format!(r#"{{"action":"ping","id":{}}}"#, long(37)), BadValue, "id");
    check(r#"{"action":"ping","id":1.0}"#, BadValue, "id");
    check(r#"{"action":"ping","id":-0}"#, BadValue, "id");
    check(r#"{"action":"ping","id":1e3}"#, BadValue, "id");
    check(r#"{"action":"ping","id":-9223372036854775809}"#, BadValue, "id");
    let subscribe = r#""action":"subscribe","channel":"BTC-USDT""#;
    for streams in
        ["[]", "[1]", "[\"depth\",null]", "[[\"depth\"]]", "[\"Depth\"]", "[\"kline_2m\"]", "[\"kline\"]"]
    {
        check(&format!(r#"{{{subscribe},"streams":{streams}}}"#), BadValue, "streams");
    }
    for depth in [0, 4, 6, 100, 5000] {
        check(&format!(r#"{{{subscribe},"depth":{depth}}}"#), BadValue, "depth");
    }
    for interval in [0, 99, 250, 1000] {
        check(&format!(r#"{{{subscribe},"interval_ms":{interval}}}"#), BadValue, "interval_ms");
    }
    let auth = r#""action":"auth","ts":1"#;
    check(&format!(r#"{{{auth},"key":"K","sig":"S","recv_window_ms":60001}}"#), BadValue, "recv_window_ms");
    check(&format!(r#"{{{auth},"key":"K","sig":{}}}"#, long(129)), BadValue, "sig");
    check(&format!(r#"{{{auth},"key":"K","sig":"S","account":"alice"}}"#), BadValue, "account");
}

#[test]
fn options_that_contradict() {
    let market = ("order_type", Some("\"market\""));
    check(&order(&[market]), BadValue, "price");
    check(&order(&[market, ("price", None)]), BadValue, "tif"); // gtc
    check(
        &order(&[market, ("price", None), ("tif", None), ("post_only", Some("true"))]),
        BadValue,
        "post_only",
    );
    check(&order(&[("post_only", Some("true")), ("tif", Some("\"ioc\""))]), BadValue, "tif");
    check(&order(&[("order_type", Some("\"limit_maker\"")), ("tif", Some("\"fok\""))]), BadValue, "tif");
}

#[test]
fn keys_that_the_kind_of_order_lacks_or_does_not_have() {
    let kind = |kind: &str, changes: &[(&str, Option<&str>)]| {
        let kind = format!("\"{kind}\"");
        let plain = [("order_type", Some(kind.as_str())), ("tif", None), ("post_only", None)];
        order(&[changes, &plain].concat())
    };
    let one = Some("\"1\"");
    let (no_price, stop_price) = (("price", None), ("stop_price", one));
    for lacking in ["stop", "stop_limit", "oco"] {
        let changes: &[_] = if lacking == "stop" { &[no_price] } else { &[] };
        check(&kind(lacking, changes), MissingField, "stop_price");
    }
    check(&kind("stop_limit", &[stop_price, no_price]), MissingField, "price");
    check(&kind("oco", &[stop_price, no_price]), MissingField, "price");
    check(&kind("trailing_stop", &[no_price]), MissingField, "trail");
    check(&kind("market", &[no_price, ("quantity", None)]), MissingField, "quantity");
    check(&kind("stop", &[stop_price]), BadValue, "price");
    check(&kind("trailing_stop", &[("trail", one)]), BadValue, "price");
    for (of, key) in [
        ("limit", "stop_price"),
        ("limit", "stop_limit_price"),
        ("limit", "trail"),
        ("limit", "quote_quantity"),
        ("limit_maker", "stop_price"),
    ] {
        check(&kind(of, &[(key, one)]), BadValue, key);
    }
    for key in ["stop_price", "trail", "display_quantity"] {
        check(&kind("market", &[no_price, (key, one)]), BadValue, key);
    }
    for key in ["trail", "display_quantity", "quote_quantity", "stop_limit_price"] {
        check(&kind("stop", &[no_price, stop_price, (key, one)]), BadValue, key);
        check(&kind("stop_limit", &[stop_price, (key, one)]), BadValue, key);
    }
    for key in ["trail", "display_quantity", "quote_quantity"] {
        check(&kind("oco", &[stop_price, (key, one)]), BadValue, key);
    }
    check(&kind("market", &[no_price, ("quote_quantity", one)]), BadValue, "quote_quantity");
    let by_quote = [no_price, ("quantity", None), ("quote_quantity", one), ("tif", Some("\"fok\""))];
    check(&kind("market", &by_quote), BadValue, "tif");
}

#[test]
fn times_in_force_that_the_kind_of_order_does_not_have() {
    let tif =
        |keys: &str| format!(r#"{{"order_id":"a","symbol":"BTC-USDT","side":"buy","quantity":"1",{keys}}}"#);
    let end = r#""expire_ts":1760000000000000"#;
    check(&tif(r#""price":"1","tif":"gtd""#), MissingField, "expire_ts");
    check(&tif(&format!(r#""price":"1",{end}"#)), BadValue, "expire_ts");
    check(&tif(&format!(r#""price":"1","tif":"gtc",{end}"#)), BadValue, "expire_ts");
    for bad in ["0", "-1", "1.5", "\"1\"", "9007199254740992"] {
        check(&tif(&format!(r#""price":"1","tif":"gtd","expire_ts":{bad}"#)), BadValue, "expire_ts");
    }
    let kinds = [
        r#""order_type":"market""#,
        r#""order_type":"stop","stop_price":"1""#,
        r#""order_type":"trailing_stop","trail":"1""#,
    ];
    for kind in kinds {
        check(&tif(&format!(r#"{kind},"tif":"gtc""#)), BadValue, "tif");
        check(&tif(&format!(r#"{kind},"tif":"gtd",{end}"#)), BadValue, "tif");
        check(&tif(&format!(r#"{kind},"post_only":true"#)), BadValue, "post_only");
    }
    let oco = r#""order_type":"oco","price":"1","stop_price":"2""#;
    check(&tif(&format!(r#"{oco},"tif":"ioc""#)), BadValue, "tif");
    check(&tif(&format!(r#"{oco},"tif":"fok""#)), BadValue, "tif");
    check(&tif(r#""price":"1","tif":"ioc","display_quantity":"0.5""#), BadValue, "display_quantity");
}

#[test]
fn repeated_keys() {
    check(r#"{"action":"ping","action":"ping"}"#, BadValue, "action");
    check(r#"{"action":"ping","id":1,"id":2}"#, BadValue, "id");
    check(r#"{"action":"ping","id":1,"i\u0064":1}"#, BadValue, "id");
    let twice = order(&[]).replace(r#""price":"30000""#, r#""price":"30000","price":"30001""#);
    check(&twice, BadValue, "price");
    let inner = r#"{"action":"auth","account":"a","cancel_on_disconnect":{"grace_ms":1,"grace_ms":2}}"#;
    check(inner, BadValue, "grace_ms");
}

#[test]
fn numbers_too_large_for_any_reader() {
    // Not even a float can hold it; JSON readers differ in what they make of it, ours refuses the text.
    check(r#"{"action":"ping","x":1e999}"#, InvalidJson, None);
}

#[test]
fn the_answer_fits_the_request() {
    let check = |text: &str, expected: &str| {
        decoded(text, |request| {
            let mut answer = Vec::new();
            request_error(&mut answer, &request.expect_err(text), None);
            assert_eq!(std::str::from_utf8(&answer).unwrap(), expected);
        });
    };
    check(
        r#"{"side":"buyy","order_id":"abc123","symbol":"BTC-USDT","id":"x"}"#,
        r#"{"type":"order_reject","id":"x","order_id":"abc123","code":"BAD_VALUE","num":1102,"message":"side must be one of: buy, sell"}"#,
    );
    check(
        r#"{"action":"submit_order","order_id":"a b","symbol":"BTC-USDT","id":-7}"#,
        r#"{"type":"order_reject","id":-7,"code":"BAD_VALUE","num":1102,"message":"order_id must have 1 to 36 characters of A-Z a-z 0-9 . _ : -"}"#,
    );
    check(
        r#"{"action":"cancel_order","order_id":"abc123"}"#,
        r#"{"type":"cancel_reject","order_id":"abc123","code":"MISSING_FIELD","num":1102,"message":"symbol is missing"}"#,
    );
    check(
        r#"{"action":"subscribe","channel":"XXX","id":1,"depth":"all"}"#,
        r#"{"type":"error","id":1,"action":"subscribe","channel":"XXX","code":"BAD_VALUE","num":1102,"message":"depth must be one of: 5, 10, 20"}"#,
    );
    check(
        r#"{"action":"dance","id":[]}"#,
        r#"{"type":"error","action":"dance","code":"BAD_VALUE","num":1102,"message":"id must be a 64-bit integer or a string of at most 36 bytes"}"#,
    );
    check(
        r#"{"action":"cancel_all_after","id":11}"#,
        r#"{"type":"error","id":11,"action":"cancel_all_after","code":"MISSING_FIELD","num":1102,"message":"timeout_ms is missing"}"#,
    );
    check(
        r#"{"action":"amend_order","order_id":"abc123","symbol":"BTC-USDT"}"#,
        r#"{"type":"amend_reject","order_id":"abc123","code":"MISSING_FIELD","num":1102,"message":"quantity is missing: amend_order needs quantity, price or both"}"#,
    );
    check(
        "[1,2]",
        r#"{"type":"error","code":"INVALID_JSON","num":1135,"message":"a message is one JSON object"}"#,
    );
}

#[test]
fn what_could_be_read_is_known() {
    decoded(r#"{"price":1,"id":5,"order_id":"abc123","channel":"c","action":"submit_order"}"#, |request| {
        let error = request.unwrap_err();
        assert_eq!(error.reply, Reply::OrderReject);
        assert_eq!(error.id, Some(RequestId::Unsigned(5)));
        assert_eq!(
            (error.order_id, error.channel, error.action),
            (Some("abc123"), Some("c"), Some("submit_order"))
        );
    });
}

//! Every request of the protocol page, and the spellings that JSON allows for them.

use engine_core::units::{SelfTrade, Side, TimeInForce, Timestamp};

use super::decoded;
use crate::wire::id::RequestId;
use crate::wire::name::{CancelScope, OnSlow, SignatureAlgorithm, Stream, TopLevels};
use crate::wire::request::{
    Action, AmendOrder, Auth, Buffers, CancelOnDisconnect, CancelOrder, Credentials, OrderTerms, Request,
    Size, Streams, SubmitOrder, Subscribe, decode,
};

#[track_caller]
fn check(text: &str, id: Option<RequestId>, action: Action<'_>) {
    decoded(text, |request| assert_eq!(request, Ok(Request { id, action })));
}

/// An order of the page with the given options added.
#[track_caller]
fn order_with(options: &str) -> (Option<String>, TimeInForce) {
    let price = if options.contains("market") { "" } else { r#""price":"30000","# };
    let text = format!(
        r#"{{"order_id":"abc123","symbol":"BTC-USDT","side":"buy",{price}"quantity":"0.5",{options},"action":"submit_order"}}"#
    );
    decoded(&text, |request| match request.unwrap().action {
        Action::SubmitOrder(order) => (order.price.map(str::to_owned), order.time_in_force),
        other => panic!("{other:?}"),
    })
}

const fn number(id: u64) -> Option<RequestId> {
    Some(RequestId::Unsigned(id))
}

const ORDER: SubmitOrder<'static> = SubmitOrder {
    order_id: "abc123",
    symbol: "BTC-USDT",
    side: Side::Buy,
    price: Some("30000"),
    size: Size::Quantity("0.5"),
    time_in_force: TimeInForce::Gtc,
    self_trade: SelfTrade::Allow,
    terms: OrderTerms::Plain,
    expires: Timestamp(0),
};

#[test]
fn subscriptions() {
    check(
        r#"{"action":"subscribe","channel":"BTC-USDT"}"#,
        None,
        Action::Subscribe(Subscribe::bare("BTC-USDT")),
    );
    check(
        r#"{"action":"subscribe","channel":"BTC-USDT","id":1,"streams":["depth","trade","bbo"],
 "depth":20,"interval_ms":100,"on_slow":"conflate","checksum":true}"#,
        number(1),
        Action::Subscribe(Subscribe {
            channel: "BTC-USDT",
            streams: Some(Streams::DEFAULT.with(Stream::Bbo)),
            depth: Some(TopLevels::Twenty),
            interval_ms: Some(100),
            on_slow: Some(OnSlow::Conflate),
            checksum: Some(true),
        }),
    );
    let prices = [Stream::Ticker, Stream::Kline1s, Stream::Kline1d, Stream::Heartbeat];
    check(
        r#"{"action":"subscribe","channel":"*-USDT","streams":["heartbeat","kline_1d","ticker","kline_1s"],"depth":5}"#,
        None,
        Action::Subscribe(Subscribe {
            streams: Some(prices.into_iter().fold(Streams::NONE, Streams::with)),
            depth: Some(TopLevels::Five),
            ..Subscribe::bare("*-USDT")
        }),
    );
    let channel = "BTC-USDT";
    check(
        r#"{"action":"unsubscribe","channel":"BTC-USDT","id":2}"#,
        number(2),
        Action::Unsubscribe { channel },
    );
    check(r#"{"action":"list_subscriptions","id":3}"#, number(3), Action::ListSubscriptions);
    check(r#"{"action":"resync","channel":"BTC-USDT","id":4}"#, number(4), Action::Resync { channel });
    check(r#"{"action":"ping","id":5}"#, number(5), Action::Ping);
}

#[test]
fn logins() {
    check(
        r#"{"action":"auth","account":"alice"}"#,
        None,
        Action::Auth(Auth {
            credentials: Credentials::Open { account: "alice" },
            cancel_on_disconnect: None,
            resume_from: None,
        }),
    );
    check(
        r#"{"action":"auth","account":"alice","cancel_on_disconnect":{"scope":"account"}}"#,
        None,
        Action::Auth(Auth {
            credentials: Credentials::Open { account: "alice" },
            cancel_on_disconnect: Some(CancelOnDisconnect { scope: CancelScope::Account, grace_ms: 0 }),
            resume_from: None,
        }),
    );
    check(
        r#"{"action":"auth","id":6,"key":"K","ts":1760000000000000,"recv_window_ms":5000,"alg":"ed25519","sig":"base64",
 "cancel_on_disconnect":{"scope":"connection","grace_ms":5000},"resume_from":812}"#,
        number(6),
        Action::Auth(Auth {
            credentials: Credentials::Signed {
                key: "K",
                ts: 1760000000000000,
                recv_window_ms: 5000,
                algorithm: SignatureAlgorithm::Ed25519,
                signature: "base64",
            },
            cancel_on_disconnect: Some(CancelOnDisconnect { scope: CancelScope::Connection, grace_ms: 5000 }),
            resume_from: Some(812),
        }),
    );
}

#[test]
fn orders() {
    check(
        r#"{"order_id":"abc123","symbol":"BTC-USDT","side":"buy","price":"30000","quantity":"0.5"}"#,
        None,
        Action::SubmitOrder(ORDER),
    );
    check(
        r#"{"action":"submit_order","id":7,"order_id":"abc123","symbol":"BTC-USDT","side":"buy","price":"30000","quantity":"0.5",
 "order_type":"limit","tif":"gtc","post_only":false,"stp":"none"}"#,
        number(7),
        Action::SubmitOrder(ORDER),
    );
    check(
        r#"{"action":"cancel_order","id":8,"symbol":"BTC-USDT","order_id":"abc123"}"#,
        number(8),
        Action::CancelOrder(CancelOrder { symbol: "BTC-USDT", order_id: "abc123" }),
    );
    check(
        r#"{"action":"cancel_all","id":9,"symbol":"BTC-USDT"}"#,
        number(9),
        Action::CancelAll { symbol: Some("BTC-USDT") },
    );
    check(r#"{"action":"cancel_all"}"#, None, Action::CancelAll { symbol: None });
    check(
        r#"{"action":"amend_order","id":10,"symbol":"BTC-USDT","order_id":"abc123","quantity":"0.3"}"#,
        number(10),
        Action::AmendOrder(AmendOrder {
            symbol: "BTC-USDT",
            order_id: "abc123",
            price: None,
            quantity: Some("0.3"),
        }),
    );
    check(
        r#"{"action":"cancel_all_after","id":11,"timeout_ms":60000}"#,
        number(11),
        Action::CancelAllAfter { timeout_ms: 60_000 },
    );
}

#[test]
fn orders_of_every_kind() {
    /// The order with these keys instead of price, quantity and what follows.
    #[track_caller]
    fn check_kind(keys: &str, expected: SubmitOrder<'_>) {
        let text = format!(r#"{{"order_id":"abc123","symbol":"BTC-USDT","side":"buy",{keys}}}"#);
        check(&text, None, Action::SubmitOrder(expected));
    }
    let market = SubmitOrder { price: None, time_in_force: TimeInForce::Ioc, ..ORDER };
    check_kind(
        r#""order_type":"market","quote_quantity":"1000""#,
        SubmitOrder { size: Size::Quote("1000"), ..market },
    );
    check_kind(
        r#""order_type":"stop","stop_price":"31000","quantity":"0.5""#,
        SubmitOrder { terms: OrderTerms::Stop { stop_price: "31000" }, ..market },
    );
    check_kind(
        r#""order_type":"stop_limit","stop_price":"31000","price":"30000","quantity":"0.5","stp":"decrement""#,
        SubmitOrder {
            terms: OrderTerms::Stop { stop_price: "31000" },
            self_trade: SelfTrade::Decrement,
            ..ORDER
        },
    );
    check_kind(
        r#""order_type":"trailing_stop","trail":"100","quantity":"0.5","tif":"fok""#,
        SubmitOrder {
            terms: OrderTerms::TrailingStop { stop_price: None, trail: "100" },
            time_in_force: TimeInForce::Fok,
            ..market
        },
    );
    check_kind(
        r#""order_type":"oco","stop_price":"31000","price":"30000","quantity":"0.5","stop_limit_price":"31010""#,
        SubmitOrder {
            terms: OrderTerms::Oco { stop_price: "31000", stop_limit_price: Some("31010") },
            ..ORDER
        },
    );
    check_kind(
        r#""price":"30000","quantity":"0.5","display_quantity":"0.1","tif":"gtd","expire_ts":1760000000000000"#,
        SubmitOrder {
            terms: OrderTerms::Iceberg { display_quantity: "0.1" },
            expires: Timestamp(1_760_000_000_000_000),
            ..ORDER
        },
    );
}

#[test]
fn options_of_an_order_become_one_time_in_force() {
    use TimeInForce::*;
    for (options, expected) in [
        (r#""tif":"gtc""#, Gtc),
        (r#""tif":"ioc""#, Ioc),
        (r#""tif":"fok","order_type":"limit""#, Fok),
        (r#""post_only":true"#, PostOnly),
        (r#""post_only":true,"tif":"gtc""#, PostOnly),
        (r#""order_type":"limit_maker""#, PostOnly),
        (r#""order_type":"limit_maker","post_only":false"#, PostOnly),
    ] {
        assert_eq!(order_with(options), (Some("30000".to_owned()), expected), "{options}");
    }
    for (options, expected) in [
        (r#""order_type":"market""#, Ioc),
        (r#""order_type":"market","tif":"ioc","post_only":false"#, Ioc),
        (r#""order_type":"market","tif":"fok""#, Fok),
    ] {
        assert_eq!(order_with(options), (None, expected), "{options}");
    }
}

#[test]
fn json_may_be_spelled_in_many_ways() {
    check(
        " \r\n\t{ \"side\" : \"\\u0062uy\" , \"qu\\u0061ntity\":\"0\\u002e5\",\n\"price\":\"30000\",\
         \"symbol\":\"BTC\\u002dUSDT\",\"order_id\":\"abc123\" } \n",
        None,
        Action::SubmitOrder(ORDER),
    );
}

#[test]
fn ids_keep_their_type() {
    for (text, id) in [
        ("0", RequestId::Unsigned(0)),
        ("18446744073709551615", RequestId::Unsigned(u64::MAX)),
        ("-9223372036854775808", RequestId::Negative(i64::MIN)),
        (r#""5""#, RequestId::from_text("5").unwrap()),
        (r#""""#, RequestId::from_text("").unwrap()),
        (r#""0b5c7b52-6f2c-4a53-9f0e-6d2f3f5f1c11""#, {
            RequestId::from_text("0b5c7b52-6f2c-4a53-9f0e-6d2f3f5f1c11").unwrap()
        }),
        (r#""\u00e9\n\"""#, RequestId::from_text("é\n\"").unwrap()),
    ] {
        check(&format!(r#"{{"action":"ping","id":{text}}}"#), Some(id), Action::Ping);
    }
}

#[test]
fn unknown_keys_are_ignored() {
    check(
        r#"{"x":{"action":"auth","y":[1,{"id":[[]]}]},"action":"ping","depth":"deep","z":[],"z":{},"n":1e300,
            "i":123456789012345678901234567890,"price":null}"#,
        None,
        Action::Ping,
    );
}

#[test]
fn buffers_are_reused() {
    let mut buffers = Buffers::default();
    for round in 0..1000 {
        let mut text =
            format!(r#"{{"action":"ping","id":{round},"pad":"{}"}}"#, "x".repeat(round)).into_bytes();
        assert_eq!(decode(&mut text, &mut buffers).unwrap().id, number(round as u64));
        let mut text = b"[".repeat(round);
        assert!(decode(&mut text, &mut buffers).is_err());
    }
}

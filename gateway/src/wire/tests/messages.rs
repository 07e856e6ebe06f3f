//! Every message of the protocol page, byte for byte. `T` stands for a time, as on the page.

use engine_core::message::SymbolState;
use engine_core::units::{Amount, Price, Quantity, Sequence, Side, Timestamp, TradeId};

use super::BTC_USDT;
use crate::wire::code::{ErrorCode, Refusal};
use crate::wire::encode::control::{self, AuthAck, ErrorReply};
use crate::wire::encode::market::{
    self, Bbo, Candle, DepthSnapshot, DepthUpdate, Gap, Heartbeat, Kline, Ticker, Trade,
};
use crate::wire::encode::private::{
    self, Balance, CancelAck, CancelAllAck, ChangeReject, ExecutionReport, Fill,
};
use crate::wire::encode::private::{OpenOrder, OrderAck, OrderReject};
use crate::wire::encode::{Level, SymbolFormat};
use crate::wire::id::RequestId;
use crate::wire::name::{
    EndReason, ExecType, GapReason, KlineInterval, Liquidity, OnSlow, OrderStatus, OrderType, Stream, Tif,
    TopLevels,
};
use crate::wire::number::NumberFormat;
use crate::wire::request::{Streams, Subscribe};

const T: Timestamp = Timestamp(1_760_000_000_000_000);
const NO_LEVELS: [(u64, u64); 0] = [];

/// Runs an encoder and compares its bytes; serde_json, as an independent reader, must accept them too.
#[track_caller]
fn check(encode: impl FnOnce(&mut Vec<u8>), expected: &str) {
    let mut out = b"kept".to_vec();
    encode(&mut out);
    let text = std::str::from_utf8(&out).unwrap().strip_prefix("kept").expect("encoders append");
    let expected = expected.replace("\n", "").replace(":T", ":1760000000000000");
    assert_eq!(text, expected);
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    assert!(value["type"].is_string());
}

const fn id(number: u64) -> Option<&'static RequestId> {
    const IDS: [RequestId; 10] = {
        let mut ids = [RequestId::Unsigned(0); 10];
        let mut i = 0;
        while i < 10 {
            ids[i] = RequestId::Unsigned(i as u64);
            i += 1;
        }
        ids
    };
    Some(&IDS[number as usize])
}

#[test]
fn ticker() {
    let price = |price: u64| Price(price * 100);
    let day = Candle {
        open_ts: T,
        open: price(29500),
        high: price(30100),
        low: price(29400),
        close: price(30000),
        trades: 981,
        volume: 1_250_000_000,
        quote_volume: 3_730_000_000_000_000,
    };
    let at = Ticker {
        last: Some(price(30000)),
        day: Some(day),
        bid: Some(price(30000)),
        ask: Some(price(30001)),
        open_ts: T,
        close_ts: T,
    };
    check(
        |out| market::ticker(out, &BTC_USDT, &at),
        r#"{"channel":"BTC-USDT","type":"ticker","data":{"last":"30000","open":"29500","high":"30100","low":"29400","volume":"12.5","quote_volume":"373000","change":"500","change_pct":"1.69","bid":"30000","ask":"30001","trades":981,"open_ts":T,"close_ts":T}}"#,
    );
    let fallen = Candle { close: price(29499), ..day };
    let percent = |day| {
        let mut out = Vec::new();
        market::ticker_data(&mut out, &BTC_USDT, &Ticker { day: Some(day), ..at });
        let data: serde_json::Value = serde_json::from_slice(&out).unwrap();
        (data["change"].as_str().unwrap().to_owned(), data["change_pct"].as_str().unwrap().to_owned())
    };
    assert_eq!(percent(fallen), ("-1".into(), "0".into()), "a third of a hundredth of a percent");
    assert_eq!(
        percent(Candle { open: Price(40_000), close: Price(39_998), ..day }),
        ("-0.02".into(), "-0.01".into())
    );
    assert_eq!(percent(Candle { open: Price(3), close: Price(9), ..day }), ("0.06".into(), "200".into()));
    check(
        |out| market::ticker(out, &BTC_USDT, &Ticker { last: None, day: None, bid: None, ask: None, ..at }),
        r#"{"channel":"BTC-USDT","type":"ticker","data":{"last":null,"open":null,"high":null,"low":null,"volume":"0","quote_volume":"0","change":null,"change_pct":null,"bid":null,"ask":null,"trades":0,"open_ts":T,"close_ts":T}}"#,
    );
}

#[test]
fn kline() {
    let candle = Candle {
        open_ts: Timestamp(1_759_999_980_000_000),
        open: Price(100),
        high: Price(100),
        low: Price(100),
        close: Price(100),
        trades: 3,
        volume: 100_000_000,
        quote_volume: 10_000_000_000,
    };
    let at = Kline { interval: KlineInterval::Minute, candle, closed: false };
    check(
        |out| market::kline(out, &BTC_USDT, &at),
        r#"{"channel":"BTC-USDT","type":"kline","data":{"interval":"1m","open_ts":1759999980000000,"close_ts":1760000039999999,"open":"1","high":"1","low":"1","close":"1","volume":"1","quote_volume":"1","trades":3,"closed":false}}"#,
    );
}

#[test]
fn heartbeat() {
    let at = Heartbeat { seq: Sequence(1041), trade_id: TradeId(981), ts: T, lag_ms: 0, conflated: 0 };
    check(
        |out| market::heartbeat(out, &BTC_USDT, &at),
        r#"{"channel":"BTC-USDT","type":"heartbeat","data":{"seq":1041,"trade_id":981,"ts":T,"lag_ms":0,"conflated":0}}"#,
    );
}

#[test]
fn depth_snapshot() {
    let at = DepthSnapshot { seq: Sequence(1040), ts: T, depth: Some(20), checksum: Some(123) };
    check(
        |out| market::depth_snapshot(out, &BTC_USDT, at, [(3000000, 50000000)], [(3000100, 100000000)]),
        r#"{"channel":"BTC-USDT","type":"depth_snapshot","data":{"seq":1040,"ts":T,"bids":[["30000","0.5"]],"asks":[["30001","1"]],"depth":20,"checksum":123}}"#,
    );
    let at = DepthSnapshot { seq: Sequence(0), ts: T, depth: None, checksum: None };
    check(
        |out| market::depth_snapshot(out, &BTC_USDT, at, NO_LEVELS, [(1, 1), (2, 2)]),
        r#"{"channel":"BTC-USDT","type":"depth_snapshot","data":{"seq":0,"ts":T,"bids":[],"asks":[["0.01","0.00000001"],["0.02","0.00000002"]]}}"#,
    );
}

#[test]
fn depth_update() {
    let span = DepthUpdate { prev_seq: Sequence(1040), seq: Sequence(1041), ts: T };
    check(
        |out| market::depth_update(out, &BTC_USDT, span, [(3000000, 0)], NO_LEVELS),
        r#"{"channel":"BTC-USDT","type":"depth_update","data":{"prev_seq":1040,"seq":1041,"ts":T,"bids":[["30000","0"]],"asks":[]}}"#,
    );
    let typed = [(Price(3000050), Quantity(10))];
    check(
        |out| market::depth_update(out, &BTC_USDT, span, NO_LEVELS, typed),
        r#"{"channel":"BTC-USDT","type":"depth_update","data":{"prev_seq":1040,"seq":1041,"ts":T,"bids":[],"asks":[["30000.5","0.0000001"]]}}"#,
    );
}

#[test]
fn trade() {
    let trade = Trade {
        trade_id: TradeId(981),
        seq: Sequence(1041),
        price: Price(3000000),
        quantity: Quantity(10000000),
        side: Side::Buy,
        ts: T,
    };
    check(
        |out| market::trade(out, &BTC_USDT, trade),
        r#"{"channel":"BTC-USDT","type":"trade","data":{"trade_id":981,"seq":1041,"price":"30000","quantity":"0.1","side":"buy","ts":T}}"#,
    );
}

#[test]
fn bbo() {
    let level = |ticks, lots| Some(Level::from((ticks, lots)));
    let bbo =
        Bbo { seq: Sequence(1041), bid: level(3000000, 40000000), ask: level(3000100, 100000000), ts: T };
    check(
        |out| market::bbo(out, &BTC_USDT, bbo),
        r#"{"channel":"BTC-USDT","type":"bbo","data":{"seq":1041,"bid":["30000","0.4"],"ask":["30001","1"],"ts":T}}"#,
    );
    check(
        |out| market::bbo(out, &BTC_USDT, Bbo { bid: None, ..bbo }),
        r#"{"channel":"BTC-USDT","type":"bbo","data":{"seq":1041,"bid":null,"ask":["30001","1"],"ts":T}}"#,
    );
}

#[test]
fn gap() {
    check(
        |out| {
            let gap = Gap { stream: Stream::Trade, from: 975, to: 980, reason: GapReason::SlowConsumer };
            market::gap(out, "BTC-USDT", gap);
        },
        r#"{"channel":"BTC-USDT","type":"gap","data":{"stream":"trade","from":975,"to":980,"reason":"slow_consumer"}}"#,
    );
}

#[test]
fn subscription_ack_repeats_the_request() {
    check(
        |out| control::subscription_ack(out, None, &Subscribe::bare("BTC-USDT")),
        r#"{"type":"subscription_ack","channel":"BTC-USDT"}"#,
    );
    let subscribe = Subscribe { streams: Some(Streams::DEFAULT), ..Subscribe::bare("BTC-USDT") };
    check(
        |out| control::subscription_ack(out, id(1), &subscribe),
        r#"{"type":"subscription_ack","channel":"BTC-USDT","id":1,"streams":["depth","trade"]}"#,
    );
    let subscribe = Subscribe {
        channel: "BTC-USDT",
        streams: Some(Streams::NONE.with(Stream::Bbo)),
        depth: Some(TopLevels::Twenty),
        interval_ms: Some(100),
        on_slow: Some(OnSlow::Conflate),
        checksum: Some(true),
    };
    check(
        |out| control::subscription_ack(out, None, &subscribe),
        r#"{"type":"subscription_ack","channel":"BTC-USDT","streams":["bbo"],"depth":20,"interval_ms":100,"on_slow":"conflate","checksum":true}"#,
    );
}

#[test]
fn other_answers() {
    check(
        |out| control::unsubscription_ack(out, id(2), "BTC-USDT"),
        r#"{"type":"unsubscription_ack","channel":"BTC-USDT","id":2}"#,
    );
    check(
        |out| control::unsubscription_ack(out, None, "BTC-USDT"),
        r#"{"type":"unsubscription_ack","channel":"BTC-USDT"}"#,
    );
    check(
        |out| control::subscriptions(out, id(3), ["BTC-USDT"]),
        r#"{"type":"subscriptions","id":3,"channels":["BTC-USDT"]}"#,
    );
    check(|out| control::subscriptions(out, None, []), r#"{"type":"subscriptions","channels":[]}"#);
    check(|out| control::pong(out, id(5), T), r#"{"type":"pong","id":5,"ts":T}"#);
    check(
        |out| control::auth_ack(out, &AuthAck { id: id(6), account: "A", exec_seq: 812, open_orders: 3 }),
        r#"{"type":"auth_ack","id":6,"account":"A","exec_seq":812,"open_orders":3}"#,
    );
    check(
        |out| control::server_shutdown(out, T, 500),
        r#"{"type":"server_shutdown","ts":T,"reconnect_after_ms":500}"#,
    );
}

#[test]
fn ids_keep_their_type() {
    let text = RequestId::from_text("a\"b\\c\u{1}\n\té").unwrap();
    check(|out| control::pong(out, Some(&text), T), r#"{"type":"pong","id":"a\"b\\c\u0001\n\té","ts":T}"#);
    let text = RequestId::from_text("5").unwrap();
    check(|out| control::pong(out, Some(&text), T), r#"{"type":"pong","id":"5","ts":T}"#);
    check(
        |out| control::pong(out, Some(&RequestId::Negative(i64::MIN)), T),
        r#"{"type":"pong","id":-9223372036854775808,"ts":T}"#,
    );
    check(
        |out| control::pong(out, Some(&RequestId::Unsigned(u64::MAX)), T),
        r#"{"type":"pong","id":18446744073709551615,"ts":T}"#,
    );
}

#[test]
fn order_ack() {
    let ack = OrderAck {
        id: id(7),
        order_id: "abc123",
        exchange_order_id: 5001,
        symbol: "BTC-USDT",
        status: OrderStatus::New,
        seq: Sequence(1042),
        ts_in: T,
        ts_out: T,
        duplicate: false,
    };
    check(
        |out| private::order_ack(out, &ack),
        r#"{"type":"order_ack","id":7,"order_id":"abc123","exchange_order_id":"5001","symbol":"BTC-USDT","status":"new","seq":1042,"ts_in":T,"ts_out":T,"duplicate":false}"#,
    );
}

#[test]
fn refusals() {
    let broke = Refusal::new(ErrorCode::InsufficientBalance, "...");
    check(
        |out| {
            let (id, order_id, refusal, retry_after_ms) = (id(7), Some("abc123"), &broke, None);
            private::order_reject(out, &OrderReject { id, order_id, refusal, retry_after_ms });
        },
        r#"{"type":"order_reject","id":7,"order_id":"abc123","code":"INSUFFICIENT_BALANCE","num":2010,"message":"..."}"#,
    );
    let unknown = Refusal::new(ErrorCode::UnknownOrder, "...");
    let reject = ChangeReject {
        id: id(8),
        order_id: Some("abc123"),
        exchange_order_id: None,
        refusal: &unknown,
        retry_after_ms: None,
    };
    check(
        |out| private::cancel_reject(out, &reject),
        r#"{"type":"cancel_reject","id":8,"order_id":"abc123","code":"UNKNOWN_ORDER","num":2013,"message":"..."}"#,
    );
    check(
        |out| private::cancel_reject(out, &ChangeReject { exchange_order_id: Some(5001), ..reject }),
        r#"{"type":"cancel_reject","id":8,"order_id":"abc123","exchange_order_id":"5001","code":"UNKNOWN_ORDER","num":2013,"message":"..."}"#,
    );
    let unknown = Refusal::new(ErrorCode::UnknownChannel, "...");
    let error = ErrorReply {
        id: id(1),
        action: Some("subscribe"),
        channel: Some("XXX"),
        refusal: &unknown,
        retry_after_ms: None,
    };
    check(
        |out| control::error(out, &error),
        r#"{"type":"error","id":1,"action":"subscribe","channel":"XXX","code":"UNKNOWN_CHANNEL","num":1121,"message":"..."}"#,
    );
    let limited = Refusal::new(ErrorCode::RateLimited, "say \"please\"");
    let error =
        ErrorReply { id: None, action: None, channel: None, refusal: &limited, retry_after_ms: Some(20) };
    check(
        |out| control::error(out, &error),
        r#"{"type":"error","code":"RATE_LIMITED","num":1003,"message":"say \"please\"","retry_after_ms":20}"#,
    );
}

#[test]
fn cancel_acks() {
    let ack =
        CancelAck { id: id(8), order_id: "abc123", exchange_order_id: 5001, leaves_quantity: Quantity(0) };
    check(
        |out| private::cancel_ack(out, &BTC_USDT, &ack),
        r#"{"type":"cancel_ack","id":8,"order_id":"abc123","exchange_order_id":"5001","leaves_quantity":"0"}"#,
    );
    check(
        |out| private::cancel_all_ack(out, &CancelAllAck { id: id(9), symbol: Some("BTC-USDT"), count: 3 }),
        r#"{"type":"cancel_all_ack","id":9,"symbol":"BTC-USDT","count":3}"#,
    );
    check(
        |out| private::cancel_all_ack(out, &CancelAllAck { id: None, symbol: None, count: 0 }),
        r#"{"type":"cancel_all_ack","count":0}"#,
    );
}

#[test]
fn execution_report() {
    let report = ExecutionReport {
        exec_seq: 813,
        exec_id: 9001,
        order_id: "abc123",
        exchange_order_id: 5001,
        side: Side::Buy,
        exec_type: ExecType::Trade,
        status: OrderStatus::PartiallyFilled,
        price: Some(Price(3000000)),
        quantity: Quantity(50000000),
        fill: Some(Fill {
            trade_id: TradeId(981),
            price: Price(3000000),
            quantity: Quantity(10000000),
            liquidity: Liquidity::Maker,
            fee: 0,
            fee_asset: "USDT",
            fee_decimals: 6,
        }),
        cum_quantity: Quantity(10000000),
        cum_quote: Amount(3_000_000_000),
        leaves_quantity: Quantity(40000000),
        reason: None,
        ts: T,
    };
    check(
        |out| private::execution_report(out, &BTC_USDT, &report),
        r#"{"type":"execution_report","data":{"exec_seq":813,"exec_id":"9001","order_id":"abc123","exchange_order_id":"5001","symbol":"BTC-USDT","side":"buy",
"exec_type":"trade","status":"partially_filled","price":"30000","quantity":"0.5","last_price":"30000","last_quantity":"0.1","cum_quantity":"0.1",
"cum_quote":"3000","leaves_quantity":"0.4","liquidity":"maker","fee":"0","fee_asset":"USDT","trade_id":981,"reason":null,"ts":T}}"#,
    );
    let cancelled = ExecutionReport {
        exec_type: ExecType::Canceled,
        status: OrderStatus::Canceled,
        price: None,
        fill: None,
        leaves_quantity: Quantity(0),
        reason: Some(EndReason::Unfilled),
        ..report
    };
    check(
        |out| private::execution_report(out, &BTC_USDT, &cancelled),
        r#"{"type":"execution_report","data":{"exec_seq":813,"exec_id":"9001","order_id":"abc123","exchange_order_id":"5001","symbol":"BTC-USDT","side":"buy",
"exec_type":"canceled","status":"canceled","price":null,"quantity":"0.5","last_price":null,"last_quantity":null,"cum_quantity":"0.1",
"cum_quote":"3000","leaves_quantity":"0","liquidity":null,"fee":null,"fee_asset":null,"trade_id":null,"reason":"unfilled","ts":T}}"#,
    );
}

#[test]
fn a_fee_may_be_a_rebate() {
    let fill = |fee| Fill {
        trade_id: TradeId(1),
        price: Price(1),
        quantity: Quantity(1),
        liquidity: Liquidity::Auction,
        fee,
        fee_asset: "USDT",
        fee_decimals: 6,
    };
    for (fee, text) in [(1_500_000, "1.5"), (-1_500_000, "-1.5"), (-1, "-0.000001"), (0, "0")] {
        let report = ExecutionReport {
            exec_seq: 1,
            exec_id: 1,
            order_id: "a",
            exchange_order_id: 1,
            side: Side::Sell,
            exec_type: ExecType::Trade,
            status: OrderStatus::Filled,
            price: None,
            quantity: Quantity(1),
            fill: Some(fill(fee)),
            cum_quantity: Quantity(1),
            cum_quote: Amount(1),
            leaves_quantity: Quantity(0),
            reason: None,
            ts: T,
        };
        let mut out = Vec::new();
        private::execution_report(&mut out, &BTC_USDT, &report);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&value["data"]["fee"], &value["data"]["liquidity"]), (&text.into(), &"auction".into()));
    }
}

#[test]
fn amends_and_the_dead_man_timer() {
    let ack = private::AmendAck {
        id: id(9),
        order_id: "abc123",
        exchange_order_id: 5001,
        seq: Sequence(1043),
        leaves_quantity: Quantity(30000000),
    };
    check(
        |out| private::amend_ack(out, &BTC_USDT, &ack),
        r#"{"type":"amend_ack","id":9,"order_id":"abc123","exchange_order_id":"5001","symbol":"BTC-USDT","seq":1043,"leaves_quantity":"0.3"}"#,
    );
    let pending = Refusal::new(ErrorCode::AmendPending, "...");
    let reject = ChangeReject {
        id: id(9),
        order_id: Some("abc123"),
        exchange_order_id: None,
        refusal: &pending,
        retry_after_ms: None,
    };
    check(
        |out| private::amend_reject(out, &reject),
        r#"{"type":"amend_reject","id":9,"order_id":"abc123","code":"AMEND_PENDING","num":2038,"message":"..."}"#,
    );
    check(
        |out| private::cancel_all_after_ack(out, id(1), Some(T)),
        r#"{"type":"cancel_all_after_ack","id":1,"until_ts":T}"#,
    );
    check(
        |out| private::cancel_all_after_ack(out, None, None),
        r#"{"type":"cancel_all_after_ack","until_ts":null}"#,
    );
}

#[test]
fn status() {
    let status = market::Status { state: SymbolState::CancelOnly, ts: T };
    check(
        |out| market::status(out, &BTC_USDT, status),
        r#"{"channel":"BTC-USDT","type":"status","data":{"state":"cancel_only","ts":T}}"#,
    );
}

#[test]
fn balances_and_snapshot() {
    let usdt =
        Balance { asset: "USDT", decimals: 6, free: Amount(85_000_000_000), locked: Amount(12_000_000_000) };
    check(
        |out| private::balance_update(out, 814, [usdt], T),
        r#"{"type":"balance_update","data":{"exec_seq":814,"balances":[{"asset":"USDT","free":"85000","locked":"12000"}],"ts":T}}"#,
    );
    let order = OpenOrder {
        format: SymbolFormat { symbol: "ETH-USDT", quantity: NumberFormat::new(4, 1000), ..BTC_USDT },
        order_id: "abc123",
        exchange_order_id: 5001,
        side: Side::Sell,
        price: Some(Price(200050)),
        quantity: Quantity(5),
        cum_quantity: Quantity(1),
        leaves_quantity: Quantity(4),
        status: OrderStatus::PartiallyFilled,
        order_type: OrderType::Oco,
        tif: Tif::Gtd,
        stop_price: Some(Price(190000)),
        stop_limit_price: Some(Price(189000)),
        trail: None,
        display_quantity: None,
        expire_ts: Some(T),
    };
    let wei = Balance { asset: "ETH", decimals: 18, free: Amount(u128::MAX), locked: Amount(1) };
    check(
        |out| private::account_snapshot(out, id(6), 814, [usdt, wei], [order], T),
        r#"{"type":"account_snapshot","id":6,"data":{"exec_seq":814,
"balances":[{"asset":"USDT","free":"85000","locked":"12000"},{"asset":"ETH","free":"340282366920938463463.374607431768211455","locked":"0.000000000000000001"}],
"orders":[{"order_id":"abc123","exchange_order_id":"5001","symbol":"ETH-USDT","side":"sell","price":"2000.5","quantity":"0.5","cum_quantity":"0.1","leaves_quantity":"0.4","status":"partially_filled",
"order_type":"oco","tif":"gtd","stop_price":"1900","stop_limit_price":"1890","expire_ts":T}],"ts":T}}"#,
    );
    check(
        |out| private::account_snapshot(out, None, 0, [], [], T),
        r#"{"type":"account_snapshot","data":{"exec_seq":0,"balances":[],"orders":[],"ts":T}}"#,
    );
}

#[test]
fn error_codes_are_those_of_the_page() {
    // As the table of the page has them: slashes join codes that share a number and a status.
    let page = "
        INTERNAL 1000 INTERNAL | UNKNOWN_CHANNEL/UNKNOWN_SYMBOL 1121 NOT_FOUND
        UNAUTHORIZED 1002 UNAUTHENTICATED | INVALID_JSON 1135 INVALID_ARGUMENT
        RATE_LIMITED 1003 RESOURCE_EXHAUSTED | TOO_MANY_SUBSCRIPTIONS 1191 RESOURCE_EXHAUSTED
        TIMEOUT 1007 DEADLINE_EXCEEDED | INSUFFICIENT_BALANCE 2010 FAILED_PRECONDITION
        OVERLOADED 1008 UNAVAILABLE | DUPLICATE_ORDER_ID 2010 ALREADY_EXISTS
        PRICE_TICK/LOT_SIZE/MIN_NOTIONAL/PRICE_BAND 1013 INVALID_ARGUMENT | POST_ONLY_WOULD_TAKE 2010 FAILED_PRECONDITION
        TOO_MANY_ORDERS 1015 RESOURCE_EXHAUSTED | MARKET_CLOSED/CANCEL_ONLY 2010 FAILED_PRECONDITION
        SHUTTING_DOWN 1016 UNAVAILABLE | CANCEL_REJECTED/TOO_LATE 2011 FAILED_PRECONDITION
        STALE_TIMESTAMP 1021 UNAUTHENTICATED | UNKNOWN_ORDER 2013 NOT_FOUND
        BAD_SIGNATURE 1022 UNAUTHENTICATED | BAD_API_KEY/PERMISSION 2015 PERMISSION_DENIED
        TOO_MANY_CONNECTIONS 1034 RESOURCE_EXHAUSTED | NOT_SUBSCRIBED 2036 FAILED_PRECONDITION
        ALREADY_SUBSCRIBED 2035 FAILED_PRECONDITION | RESUME_TOO_OLD 4101 OUT_OF_RANGE
        MISSING_FIELD/BAD_VALUE 1102 INVALID_ARGUMENT | UNKNOWN_ACTION 1020 UNIMPLEMENTED
        BAD_PRECISION 1111 INVALID_ARGUMENT | BAD_TERMS 1128 INVALID_ARGUMENT
        ACCOUNT_SUSPENDED 2010 PERMISSION_DENIED | AMEND_PENDING/NOT_AMENDABLE 2038 FAILED_PRECONDITION";
    let mut listed = 0;
    for cell in page.split(['|', '\n']).map(str::trim).filter(|cell| !cell.is_empty()) {
        let [names, num, grpc] = cell.split(' ').collect::<Vec<_>>()[..] else { panic!("{cell}") };
        for name in names.split('/') {
            let code = ErrorCode::ALL.iter().find(|code| code.text() == name).expect(name);
            assert_eq!((code.num().to_string().as_str(), code.grpc_status()), (num, grpc), "{name}");
            listed += 1;
        }
    }
    assert_eq!(listed, ErrorCode::ALL.len());
}

//! Candles and tickers against the trades themselves, counted anew each time.

use super::*;
use crate::wire::encode::market::{self, Candle, Kline, Ticker};
use crate::wire::name::{KlineInterval, Name};
use proptest::prelude::*;

/// A Tuesday's noon.
const NOON: u64 = 1_760_443_200_000_000;
const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3600 * SECOND;

fn trade(id: u64, at: u64, price: u64, quantity: u64) -> TradePrint {
    TradePrint {
        trade: TradeId(id),
        sequence: Sequence(id),
        at: Timestamp(at),
        price: Price(price),
        quantity: Quantity(quantity),
        taker_side: Side::Buy,
    }
}

/// What trades come to; there is at least one.
fn candle(open_ts: u64, trades: &[TradePrint]) -> Candle {
    let prices = trades.iter().map(|trade| trade.price);
    Candle {
        open_ts: Timestamp(open_ts),
        open: trades[0].price,
        high: prices.clone().max().unwrap(),
        low: prices.min().unwrap(),
        close: trades[trades.len() - 1].price,
        trades: trades.len() as u64,
        volume: trades.iter().map(|trade| u128::from(trade.quantity.0)).sum(),
        quote_volume: trades.iter().map(|trade| u128::from(trade.price.0 * trade.quantity.0)).sum(),
    }
}

fn candles(interval: KlineInterval, trades: &[TradePrint]) -> Vec<Candle> {
    let start = |trade: &TradePrint| trade.at.0 / interval.us() * interval.us();
    trades
        .chunk_by(|one, next| start(one) == start(next))
        .map(|chunk| candle(start(&chunk[0]), chunk))
        .collect()
}

fn day(trades: &[TradePrint], best: Option<u64>, now: u64) -> Ticker {
    let open_ts = now / (60 * SECOND) * 60 * SECOND - (24 * HOUR - 60 * SECOND);
    let first = trades.partition_point(|trade| trade.at.0 < open_ts);
    Ticker {
        last: trades.last().map(|trade| trade.price),
        day: (first < trades.len()).then(|| Candle {
            open_ts: Timestamp(trades[first].at.0 / (60 * SECOND) * 60 * SECOND),
            ..candle(0, &trades[first..])
        }),
        bid: best.map(Price),
        ask: None,
        open_ts: Timestamp(open_ts),
        close_ts: Timestamp(now),
    }
}

/// As a message has it.
fn data(write: impl FnOnce(&mut Vec<u8>, &crate::wire::encode::SymbolFormat<'_>), desk: &Desk) -> Value {
    let mut out = Vec::new();
    write(&mut out, &desk.feed.venue.format(SYMBOL));
    serde_json::from_slice(&out).expect("it is JSON")
}

#[derive(Clone, Debug)]
enum Step {
    /// After so long.
    Trades(u64, Vec<(u64, u64)>),
    Beat(u64),
    Bid(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wait = prop_oneof![
        6 => 0..SECOND / 5,
        6 => 0..5 * SECOND,
        3 => 0..HOUR / 5,
        2 => 0..10 * HOUR,
        1 => 20 * HOUR..40 * HOUR,
    ];
    let trades = prop::collection::vec((1u64..50, 1u64..1000), 1..4);
    let step = prop_oneof![
        4 => (wait.clone(), trades).prop_map(|(wait, trades)| Step::Trades(wait, trades)),
        4 => wait.prop_map(Step::Beat),
        1 => (1u64..5).prop_map(Step::Bid),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn they_are_what_the_trades_come_to(steps in steps()) {
        let mut desk = Desk::new();
        for interval in KlineInterval::ALL {
            desk.open(View::Kline(*interval));
        }
        desk.open(View::Ticker);
        let (mut trades, mut now, mut best) = (Vec::new(), NOON, None);
        let mut closed: HashMap<KlineInterval, Vec<Value>> = HashMap::new();
        let mut newest = HashMap::new();
        for step in steps {
            match step {
                Step::Trades(wait, some) => {
                    now += wait;
                    let first = trades.len();
                    trades.extend(some.iter().zip(first as u64 + 1..).map(|((price, quantity), id)| trade(id, now, *price, *quantity)));
                    desk.command(Timestamp(now), &trades[first..], &[]);
                    desk.feed.publish();
                }
                Step::Bid(price) => {
                    // The one before is gone.
                    let changes = best.map(|old| (Side::Buy, old, 0)).into_iter().chain([(Side::Buy, price, 1)]);
                    let changes: Vec<_> = changes.collect();
                    best = Some(price);
                    desk.command(Timestamp(now), &[], &changes);
                    desk.feed.publish();
                }
                Step::Beat(wait) => {
                    now += wait;
                    desk.beat(Timestamp(now));
                }
            }
            for interval in KlineInterval::ALL {
                for message in desk.told(View::Kline(*interval)) {
                    prop_assert_eq!((&message["type"], &message["data"]["interval"]), (&"kline".into(), &interval.text().into()));
                    newest.insert(*interval, message["data"].clone());
                    if message["data"]["closed"] == true {
                        closed.entry(*interval).or_default().push(message["data"].clone());
                    }
                }
            }
        }
        // Whatever has ended has been told so when this has passed, and what is open as it is.
        for _ in 0..30 {
            desk.beat(Timestamp(now));
        }
        for interval in KlineInterval::ALL {
            let expected = candles(*interval, &trades);
            let told = desk.told(View::Kline(*interval));
            let listed = desk.feed.symbols.get_mut(&SYMBOL).map_or(Vec::new(), |symbol| symbol.klines(*interval, 1000, Timestamp(now)));
            prop_assert_eq!(listed.iter().map(|kline| kline.candle).collect::<Vec<_>>(), expected.clone());
            prop_assert!(listed.iter().rev().skip(1).all(|kline| kline.closed), "only the newest may be open");
            closed.entry(*interval).or_default().extend(told.iter().map(|message| message["data"].clone()).filter(|data| data["closed"] == true));
            let over: Vec<Value> = listed.iter().filter(|kline| kline.closed).map(|kline| data(|out, format| market::kline_data(out, format, kline), &desk)).collect();
            prop_assert_eq!(&closed[interval], &over, "each candle is told to be over once");
            let last = told.last().map(|message| message["data"].clone()).or(newest.remove(interval));
            let newest = listed.last().map(|kline| data(|out, format| market::kline_data(out, format, kline), &desk));
            prop_assert_eq!(&last, &newest, "the newest is told as it is");
            let snapshot = desk.snapshot(View::Kline(*interval));
            prop_assert_eq!(snapshot.first().map(|message| message["data"].clone()), newest);
        }
        let expected = day(&trades, best, now);
        let known = desk.feed.symbols.entry(SYMBOL).or_default().ticker(Timestamp(now));
        prop_assert_eq!(known, expected);
        let strip = |mut data: Value| {
            data.as_object_mut().unwrap().retain(|key, _| !key.ends_with("_ts"));
            data
        };
        let snapshot = strip(desk.snapshot(View::Ticker)[0]["data"].clone());
        prop_assert_eq!(&snapshot, &strip(data(|out, format| market::ticker_data(out, format, &expected), &desk)));
        if let Some(told) = desk.told(View::Ticker).pop() {
            prop_assert_eq!(strip(told["data"].clone()), snapshot, "the last message says it");
        }
    }
}

/// Of the room of a minute: what came, in short.
fn minutes(desk: &mut Desk) -> Vec<(u64, u64, bool)> {
    let told = desk.told(View::Kline(KlineInterval::Minute));
    let short = |message: Value| {
        let data = &message["data"];
        let since_noon = data["open_ts"].as_u64().unwrap() - NOON;
        (since_noon / (60 * SECOND), data["trades"].as_u64().unwrap(), data["closed"].as_bool().unwrap())
    };
    told.into_iter().map(short).collect()
}

fn beats(desk: &mut Desk, from: u64, count: u64) {
    for beat in 0..count {
        desk.beat(Timestamp(from + beat * SECOND / 10));
    }
}

#[test]
fn a_candle_is_over_when_its_time_is_also_in_a_quiet_market() {
    let mut desk = Desk::new();
    desk.open(View::Kline(KlineInterval::Minute));
    desk.command(Timestamp(NOON + SECOND), &[trade(1, NOON + SECOND, 100, 5)], &[]);
    desk.feed.publish();
    assert_eq!(minutes(&mut desk), [], "it waits for its turn");
    beats(&mut desk, NOON + SECOND, 30);
    assert_eq!(minutes(&mut desk), [(0, 1, false)], "once, while it does not change");
    desk.beat(Timestamp(NOON + 60 * SECOND));
    assert_eq!(minutes(&mut desk), [], "a trade of it may still be on its way");
    beats(&mut desk, NOON + 61 * SECOND, 30);
    assert_eq!(minutes(&mut desk), [(0, 1, true)]);
}

#[test]
fn a_candle_is_over_when_a_later_trade_comes() {
    let mut desk = Desk::new();
    desk.open(View::Kline(KlineInterval::Minute));
    let [first, second] = [NOON + SECOND, NOON + 200 * SECOND];
    desk.command(Timestamp(second), &[trade(1, first, 100, 5), trade(2, second, 100, 5)], &[]);
    desk.feed.publish();
    assert_eq!(minutes(&mut desk), [(0, 1, true)], "at once, and nothing for minutes without trades");
    beats(&mut desk, second, 30);
    assert_eq!(minutes(&mut desk), [(3, 1, false)]);
}

#[test]
fn a_trade_that_comes_too_late_changes_nothing_that_was_told_as_closed() {
    let mut desk = Desk::new();
    desk.open(View::Kline(KlineInterval::Minute));
    desk.command(Timestamp(NOON), &[trade(1, NOON, 100, 5)], &[]);
    beats(&mut desk, NOON + 61 * SECOND, 3);
    desk.command(Timestamp(NOON), &[trade(2, NOON + 59 * SECOND, 100, 5)], &[]);
    beats(&mut desk, NOON + 62 * SECOND, 30);
    assert_eq!(minutes(&mut desk), [(0, 1, true), (1, 1, false)]);
    let ticker = desk.feed.symbols.get_mut(&SYMBOL).unwrap().ticker(Timestamp(NOON + 70 * SECOND));
    assert_eq!(ticker.day.map(|day| (day.trades, day.volume)), Some((2, 10)), "no trade is lost");
}

#[test]
fn a_ticker_is_told_once_a_second_and_only_if_it_has_changed() {
    let mut desk = Desk::new();
    desk.open(View::Ticker);
    desk.command(Timestamp(NOON), &[trade(1, NOON, 100, 5)], &[(Side::Buy, 99, 5)]);
    beats(&mut desk, NOON, 10);
    assert_eq!(desk.told(View::Ticker).len(), 1);
    beats(&mut desk, NOON + SECOND, 1000);
    assert_eq!(desk.told(View::Ticker).len(), 0, "time alone is no change");
    // A day later the trade is not in it any more, and the last price still is.
    beats(&mut desk, NOON + 24 * HOUR, 10);
    let told = desk.told(View::Ticker);
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["data"]["last"], &told[0]["data"]["volume"]), (&"1".into(), &"0".into()));
    let listed: Vec<Kline> = desk.feed.symbols.get_mut(&SYMBOL).unwrap().klines(
        KlineInterval::Day,
        5,
        Timestamp(NOON + 24 * HOUR),
    );
    assert_eq!(listed.len(), 1);
}

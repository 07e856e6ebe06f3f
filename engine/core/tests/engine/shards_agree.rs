//! The number of shards and the way they are run change nothing: same events per symbol, same balances.
//!
//! A seeded flow of orders and cancels over several symbols and accounts goes through 1×1, 2×2 and 4×3 shards, in
//! one thread and on threads. Then every shard is built again from the logs alone.

use engine_core::bell::{Bell, ThreadBell};
use engine_core::executor::AtRest;
use engine_core::instrument::{InstrumentSpec, Market};
use engine_core::message::*;
use engine_core::pipeline::{self, Shape};
use engine_core::units::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

const ACCOUNTS: u32 = 37;

pub fn market() -> Arc<Market> {
    let mut market = Market::default();
    market.add_asset("BTC", 8).unwrap();
    market.add_asset("ETH", 18).unwrap();
    market.add_asset("USDT", 6).unwrap();
    for (symbol, base, tick, lot) in [
        ("BTC-USDT", "BTC", "0.01", "0.0001"),
        ("ETH-USDT", "ETH", "0.01", "0.0001"),
        ("ETH-BTC", "ETH", "0.00001", "0.001"),
    ] {
        let quote = symbol.split_once('-').unwrap().1;
        market.add_instrument(&InstrumentSpec { symbol, base, quote, tick, lot, min_notional: "0" }).unwrap();
    }
    Arc::new(market)
}

/// A flow in which most orders meet: few prices, many cancels, some repeats. Money is plenty, so that what a
/// sequencer accepts does not depend on which settlement it saw first.
pub fn flow(seed: u64, orders: usize) -> Vec<Input> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut inputs = Vec::new();
    let mut tickets = [0; 3];
    let mut at = 0;
    let mut push = |command| {
        at += 10;
        let symbol = match command {
            Command::Submit(Submit { symbol, .. }) | Command::Cancel { symbol, .. } => {
                Some(symbol.0 as usize)
            }
            _ => None,
        };
        let ticket = symbol.map_or(0, |symbol| {
            tickets[symbol] += 1;
            tickets[symbol]
        });
        inputs.push(Input { origin: Origin::default(), at: Timestamp(at), ticket, command });
    };
    for account in (0..ACCOUNTS).map(AccountId) {
        push(Command::Open { account, name: None });
        for asset in 0..3 {
            push(Command::Deposit { account, asset: AssetId(asset), amount: Amount(10u128.pow(30)) });
        }
    }
    for _ in 0..orders {
        let account = AccountId(random.random_range(0..ACCOUNTS));
        let symbol = SymbolId(random.random_range(0..3));
        let order_id = ClientOrderId::new(&format!("o{}", random.random_range(0..orders / 3))).unwrap();
        push(match random.random_range(0..10) {
            0..3 => Command::Cancel { account, symbol, order_id },
            _ => Command::Submit(Submit {
                time_in_force: [
                    TimeInForce::Gtc,
                    TimeInForce::Gtc,
                    TimeInForce::Ioc,
                    TimeInForce::Fok,
                    TimeInForce::PostOnly,
                ][random.random_range(0..5)],
                ..Submit::limit(
                    account,
                    symbol,
                    order_id,
                    if random.random() { Side::Buy } else { Side::Sell },
                    Price(1000 + random.random_range(0..12)),
                    Quantity(random.random_range(1..50)),
                )
            }),
        });
    }
    inputs
}

fn shape(sequencers: usize, matchers: usize) -> Shape {
    Shape { sequencers, matchers, log_entries_max: usize::MAX }
}

fn inline(inputs: &[Input], shape: Shape) -> AtRest {
    let mut engine = pipeline::run_inline(pipeline::build(shape, &market()));
    for input in inputs {
        engine.apply(input, &mut |_: &Report| {}, &mut ());
    }
    engine.into_rest()
}

fn threads(inputs: &[Input], shape: Shape) -> AtRest {
    let bell = Arc::new(ThreadBell::default());
    bell.attach();
    let markets = (0..shape.matchers).map(|_| Box::new(()) as _).collect();
    let bells = vec![bell.clone() as Arc<dyn Bell>];
    let (engine, mut ports) =
        pipeline::run_threads(pipeline::build(shape, &market()), bells, markets, Default::default());
    let mut port = ports.pop().unwrap();
    for input in inputs {
        while port.submit(*input).is_err() {
            port.flush();
            if port.take_reports(usize::MAX, |_| {}) == 0 {
                std::thread::yield_now();
            }
        }
    }
    port.flush();
    drop(port);
    engine.join()
}

/// Everything two runs must agree on, by symbol and by account.
fn summary(shards: &AtRest) -> impl PartialEq + std::fmt::Debug + use<> {
    shards.check();
    let mut counters: Vec<_> = shards.matchers.iter().flat_map(|shard| shard.machine.counters()).collect();
    counters.sort_by_key(|(symbol, _)| *symbol);
    assert!(counters.iter().all(|(_, counters)| counters.trade.0 > 100), "the flow trades: {counters:?}");
    (counters, shards.balances())
}

#[test]
fn whatever_their_number_and_executor() {
    for seed in [1, 2, 3] {
        let inputs = flow(seed, 6_000);
        let expected = summary(&inline(&inputs, shape(1, 1)));
        for (sequencers, matchers) in [(2, 2), (4, 3), (8, 1), (1, 8)] {
            let shape = shape(sequencers, matchers);
            assert_eq!(summary(&inline(&inputs, shape)), expected, "inline {shape:?} seed {seed}");
            assert_eq!(summary(&threads(&inputs, shape)), expected, "threads {shape:?} seed {seed}");
        }
        assert_eq!(summary(&threads(&inputs, shape(1, 1))), expected, "threads 1×1 seed {seed}");
    }
}

#[test]
fn and_the_logs_alone_give_the_state_back() {
    for seed in [4, 5] {
        // Without tickets: the order in which threads happened to merge is in the logs and nowhere else.
        let inputs: Vec<Input> =
            flow(seed, 6_000).into_iter().map(|input| Input { ticket: 0, ..input }).collect();
        for (sequencers, matchers) in [(1, 1), (2, 2), (4, 3)] {
            let logged = threads(&inputs, shape(sequencers, matchers));
            let fresh = pipeline::build(shape(sequencers, matchers), &market());
            let rebuilt = pipeline::rebuild(&logged, fresh);
            assert_eq!(summary(&rebuilt), summary(&logged), "{sequencers}×{matchers} seed {seed}");
        }
    }
}

//! Real order flow gives what really happened: the very trades of Bitstamp, the very best prices of Binance; and the
//! same again whatever the number of shards and however they run.
//!
//! The recordings are not part of the repository. Where they are absent the tests say so and pass.

use engine_core::bell::{Bell, ThreadBell};
use engine_core::pipeline::{self, Shape};
use flate2::{Compression, write::GzEncoder};
use gateway::replay::{Clock, Executor, Outcome, ReplayArgs, Speed, feed, load, run};
use indicatif::ProgressBar;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

const BITSTAMP: &str = "bitstamp-l3-btcusd-20260502";
const SPOT: &str = "binance-spot-btcusdt-20240808";
const FUTURES: &str = "binance-usdm-btcusdt-20240808";

pub fn recording(name: &str) -> Option<PathBuf> {
    let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")).join(name);
    if !dir.is_dir() {
        eprintln!("skipped: no recording {name} beside the repository");
        return None;
    }
    Some(dir)
}

fn args(dir: PathBuf, executor: Executor, sequencers: usize, matchers: usize) -> ReplayArgs {
    ReplayArgs { dir, speed: Speed::Max, serve: false, sequencers, matchers, executor, json: false }
}

/// Replays through every shape and checks that all runs agree; returns one.
fn replay(name: &str) -> Option<Outcome> {
    let dir = recording(name)?;
    let outcome = run(&args(dir.clone(), Executor::Inline, 1, 1)).unwrap();
    for executor in [Executor::Threads, Executor::Inline] {
        for (sequencers, matchers) in [(1, 1), (2, 2), (4, 3)] {
            let other = run(&args(dir.clone(), executor, sequencers, matchers)).unwrap();
            let shape = &other.engine;
            assert_eq!(other.event_hashes, outcome.event_hashes, "{shape}");
            assert_eq!(other.balances_hash, outcome.balances_hash, "{shape}");
            assert_eq!(other.counts, outcome.counts, "{shape}");
            assert_eq!(
                (other.trades_matched, other.tops_equal),
                (outcome.trades_matched, outcome.tops_equal),
                "{shape}"
            );
            assert_eq!(other.exit_code(), 0, "{other}");
        }
    }
    println!("{outcome}");
    assert!(outcome.conserved);
    Some(outcome)
}

#[test]
fn every_order_of_bitstamp_gives_the_trades_that_were_made() {
    let Some(outcome) = replay(BITSTAMP) else { return };
    assert_eq!((outcome.trades_matched, outcome.trades_made, outcome.recorded), (Some(282), 282, 284));
    assert_eq!((outcome.given.len(), outcome.missing.len()), (2, 0), "{outcome}");
    assert_eq!(outcome.counts["rejected_PostOnlyWouldTake"], 100_518);
    // The one that differs is the satoshi a market buy by quote amount had left.
    assert_eq!((outcome.counts["remainders_equal"], outcome.counts["remainders_told"]), (568, 569));
}

#[test]
fn the_levels_of_binance_spot_give_its_best_prices() {
    let Some(outcome) = replay(SPOT) else { return };
    assert_eq!(outcome.tops, Some(6_493));
    assert!(outcome.tops_equal >= Some(6_491), "{outcome}");
}

#[test]
fn the_levels_of_binance_futures_give_its_best_prices() {
    let Some(outcome) = replay(FUTURES) else { return };
    assert_eq!((outcome.tops_equal, outcome.tops), (Some(6_547), Some(6_547)));
}

#[test]
fn a_wrong_folder_is_refused_with_the_rule() {
    let error = load(concat!(env!("CARGO_MANIFEST_DIR"), "/src").as_ref()).err().expect("it is no recording");
    assert!(error.to_string().contains("a folder holds either orders.csv.gz and trades.csv"), "{error}");
}

/// A recording made by hand: an ask, a bid that takes half of it, and the trade as told.
fn small(name: &str, amount: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("ringside-replay-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let orders = "id,exchange_timestamp,price,volume,action,direction\n\
                  1,1000,100,2,created,ask\n2,1500,101,1,created,bid\n1,1600,100,1,deleted,ask\n";
    let trades = format!("price,amount,buy_order_id,sell_order_id\n100,{amount},2,1\n");
    let packed = File::create(dir.join("orders.csv.gz")).unwrap();
    let mut packed = GzEncoder::new(packed, Compression::fast());
    packed.write_all(orders.as_bytes()).unwrap();
    packed.finish().unwrap();
    std::fs::write(dir.join("trades.csv"), trades).unwrap();
    dir
}

#[test]
fn a_trade_that_differs_by_a_satoshi_is_noticed() {
    for (name, amount, matched, exit_code) in [("same", "1", 1, 0), ("differs", "1.00000001", 0, 1)] {
        let dir = small(name, amount);
        let outcome = run(&args(dir.clone(), Executor::Threads, 1, 1)).unwrap();
        std::fs::remove_dir_all(dir).unwrap();
        assert_eq!((outcome.trades_made, outcome.trades_matched), (1, Some(matched)), "{outcome}");
        assert_eq!(outcome.exit_code(), exit_code, "{outcome}");
    }
}

#[test]
fn a_feed_keeps_the_recorded_pace_and_stops_when_told() {
    let dir = small("pace", "1");
    let (flow, _) = load(&dir).unwrap();
    std::fs::remove_dir_all(dir).unwrap();
    let shape = Shape { sequencers: 1, matchers: 1, log_entries_max: 0 };
    // 600 recorded milliseconds, ten times as fast; then stopped before it begins.
    for (stopped, time_min_ms, orders) in [(false, 60, 2), (true, 0, 0)] {
        let shards = pipeline::build(shape, &flow.market);
        let bell = Arc::new(ThreadBell::default()) as Arc<dyn Bell>;
        let (engine, mut ports) =
            pipeline::run_threads(shards, vec![bell], vec![Box::new(())], Default::default());
        let mut port = ports.pop().unwrap();
        let start = Instant::now();
        let (stop, progress) = (AtomicBool::new(stopped), ProgressBar::hidden());
        feed(&mut port, &flow, Speed::Times(10), Clock::Wall, &stop, &progress, |_| {});
        assert!(start.elapsed() >= Duration::from_millis(time_min_ms));
        drop(port);
        let rest = engine.join();
        let (_, counters) = rest.matchers[0].machine.counters().next().unwrap();
        assert_eq!(counters.exchange_order_id, orders);
    }
}

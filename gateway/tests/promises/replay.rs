//! Real order flow gives what really happened: the very trades of Bitstamp, the very best prices of Binance; and the
//! same again whatever the number of shards and however they run.
//!
//! The recordings are not part of the repository. Where they are absent the tests say so and pass.

use gateway::replay::{Executor, Outcome, ReplayArgs, Speed, load, run};
use std::path::PathBuf;

const BITSTAMP: &str = "bitstamp-l3-btcusd-20260502";
const SPOT: &str = "binance-spot-btcusdt-20240808";
const FUTURES: &str = "binance-usdm-btcusdt-20240808";

fn recording(name: &str) -> Option<PathBuf> {
    let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")).join(name);
    if !dir.is_dir() {
        println!("skipped: no recording {name} beside the repository");
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

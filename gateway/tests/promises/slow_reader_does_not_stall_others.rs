//! A thousand subscribers of one symbol; one stops reading for ten seconds.
//!
//! The others lose nothing and are not lapped. The one that stalled is told what it missed: its trades' gap is named,
//! it gets a fresh snapshot, and its final book is right. The server's memory stays where it was.

use crate::exchange::Exchange;
use indicatif::ProgressBar;
use loadtest::market::Market;
use loadtest::scenario::fleet::Plan;
use loadtest::scenario::flow::{self, Load};
use loadtest::scenario::slow;
use loadtest::target::Target;
use std::time::Duration;

/// What a kilobyte of window for each of a few rooms, a thousand sockets and one laggard may add to the server.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

#[test]
fn and_is_told_what_it_missed() {
    // Small buffers, so that ten seconds of a modest flow are enough to fall out of the window.
    let exchange = Exchange::start_with(&[
        "serve",
        "--no-demo-flow",
        "--window-bytes",
        "32768",
        "--send-buffer-bytes",
        "8192",
    ]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let before = exchange.resident_bytes();
    let outcome = runtime.block_on(async {
        let target = Target::websocket(&exchange.ws).expect("it is on loopback");
        let http = Target::http(&exchange.http).expect("it is on loopback");
        let market = Market::fetch(&http, "BTC-USDT").await.unwrap();
        let options = slow::Options {
            plan: Plan {
                target: target.clone(),
                channel: "BTC-USDT".into(),
                subscribers: 999,
                full_every: 1,
            },
            stalled: 1,
            warm_up: Duration::ZERO,
            baseline: Duration::from_secs(2),
            stall: Duration::from_secs(10),
            recovery: Duration::from_secs(3),
            stall_frames: 1500,
            rounds: 1,
            record_bytes_max: 64 << 20,
            expect_lap: true,
            load: Some(Load::Steps(flow::Options {
                target,
                market,
                commands_per_second: 400,
                seed: 1,
                run: 1,
            })),
        };
        slow::run(&options, &ProgressBar::hidden()).await.unwrap()
    });
    let results = outcome.results;
    eprintln!("during the stall {:?}, before it {:?}", results.latency_during_stall, results.latency_before);
    assert_eq!(outcome.verdict.violations, [""; 0]);
    assert_eq!(results.reading_laps, 0, "nobody else was lapped");
    assert_eq!((results.lapped, results.closed), (1, 0), "the stalled one was lapped and kept");
    assert!(results.stalled_gaps >= 1 && results.trades_announced_missing > 0, "its gap was announced");
    let grown = exchange.resident_bytes().saturating_sub(before);
    eprintln!("the server grew by {grown} bytes");
    assert!(grown < GROWTH_BYTES_MAX, "the server grew by {grown} bytes");
}

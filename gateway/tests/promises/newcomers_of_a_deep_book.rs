//! A crowd comes at once and wants a book of thousands of levels.
//!
//! Each of it gets its book, those who were there before lose nothing, and the server keeps the snapshot once and not once for each.

use crate::exchange::Exchange;
use indicatif::ProgressBar;
use loadtest::market::Market;
use loadtest::scenario::fleet::{Clients, Plan};
use loadtest::scenario::flow::{self, Load};
use loadtest::scenario::rush::{self, Crowd, Options};
use loadtest::target::Target;
use std::time::Duration;

const NEWCOMERS: usize = 300;
/// A snapshot of these is some 200 kB: a copy for each of the crowd would be 60 MB.
const LEVELS: u32 = 4000;
/// What is kept of a few hundred sockets, the rooms and the newest snapshots.
const GROWTH_BYTES_MAX: u64 = 30 << 20;

#[test]
fn get_it_and_cost_nobody_anything() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        let target = Target::websocket(&exchange.ws).expect("it is on loopback");
        let http = Target::http(&exchange.http).expect("it is on loopback");
        let market = Market::fetch(&http, "BTC-USDT").await.unwrap();
        let flow = flow::Options {
            target: target.clone(),
            market: market.clone(),
            commands_per_second: 200,
            seed: 1,
            run: 1,
        };
        let options = Options {
            plan: Plan { target, channel: "BTC-USDT".into(), subscribers: 20, full_every: 1 },
            clients: Clients { pid: Some(exchange.id()), ..Clients::default() },
            newcomers: NEWCOMERS,
            market,
            levels: LEVELS,
            warm_up: Duration::ZERO,
            before: Duration::from_secs(1),
            after: Duration::ZERO,
            rounds: 1,
            load: Some(Load::Steps(flow)),
            run: 2,
        };
        rush::run(&options, &ProgressBar::hidden()).await.unwrap()
    });
    eprintln!("{}", outcome.results);
    assert_eq!(outcome.verdict.violations, [""; 0]);
    assert_eq!((outcome.results.laps, outcome.results.gaps), (0, 0), "those who were there lost nothing");
    for Crowd { live, memory_before_bytes, memory_peak_bytes, .. } in &outcome.results.crowds {
        assert_eq!(*live, NEWCOMERS);
        let (Some(before), Some(peak)) = (memory_before_bytes, memory_peak_bytes) else { panic!("it runs") };
        assert!(
            peak.saturating_sub(*before) < GROWTH_BYTES_MAX,
            "the server grew from {before} to {peak} bytes"
        );
    }
}

//! `curve` has a row for each point of its grid, and one for twice the rate of the best.

use crate::gateway::Gateway;
use indicatif::ProgressBar;
use loadtest::market::Market;
use loadtest::report::Outcome;
use loadtest::scenario::curve::{self, Options};
use loadtest::scenario::fanout;
use loadtest::scenario::fleet::{Clients, Plan};
use loadtest::scenario::flow::heavy;
use std::time::Duration;

#[tokio::test]
async fn two_by_two_points_at_a_real_gateway() {
    let Some(gateway) = Gateway::start() else { return };
    let market = Market::fetch(&gateway.http, "BTC-USDT").await.unwrap();
    let target = gateway.ws.clone();
    let point = fanout::Options {
        plan: Plan { target: target.clone(), channel: "BTC-USDT".into(), subscribers: 1, full_every: 1 },
        clients: Clients {
            checked: Some(1),
            record_bytes_max: Some(1 << 24),
            pid: Some(gateway.pid()),
            ..Clients::default()
        },
        spread: None,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(300),
        load: None,
        counters: Some(gateway.http.clone()),
        against: None,
    };
    let load = heavy::Options { target, market, sweeps_per_second: 1, trades_per_sweep: 5, seed: 1, run: 1 };
    let options = Options { point, load, subscribers: vec![5, 10], orders_per_second: vec![50, 100] };
    let Outcome { results, verdict } = curve::run(&options, &ProgressBar::hidden()).await.unwrap();
    assert_eq!(verdict.violations, [""; 0]);
    let points: Vec<_> = results.rows.iter().map(|row| (row.subscribers, row.orders_per_second)).collect();
    assert_eq!(points, [(5, 50), (5, 100), (10, 50), (10, 100)]);
    assert!(
        results.rows.iter().all(|row| row.frames_per_second > 0.0 && row.server_cores.is_some()),
        "{results}"
    );
    let cliff = results.cliff.as_ref().unwrap();
    let best = results.rows.iter().map(|row| row.frames_per_second).fold(0.0, f64::max);
    assert_eq!(cliff.best_frames_per_second, best);
    assert!(results.markdown().lines().count() > 2 + 5);
}

//! `curve` has a row for each point of its grid, and one for twice the rate of the best.

use crate::gateway::Gateway;
use crate::orders_are_answered_once;
use crate::scripted::{Scripted, ack, end, snapshot};
use indicatif::ProgressBar;
use loadtest::market::Market;
use loadtest::report::Outcome;
use loadtest::scenario::curve::{self, Options};
use loadtest::scenario::fanout;
use loadtest::scenario::fleet::{Clients, Plan};
use loadtest::scenario::flow::heavy;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An exchange that has no place for the first account that wants to trade.
#[tokio::test]
async fn no_order_id_is_said_twice_where_a_point_has_failed() {
    let (logins, names) = (Mutex::new(0), Arc::new(Mutex::new(HashSet::new())));
    let seen = names.clone();
    let server = Scripted::start(move |request| match request.action() {
        "subscribe" => vec![ack(request.text("channel")), snapshot(1, 1)],
        "auth" => {
            let mut logins = logins.lock().unwrap();
            *logins += 1;
            if *logins == 1 { vec![end(None)] } else { orders_are_answered_once::answer(request) }
        }
        "submit_order" => {
            let name = request.text("order_id").to_owned();
            assert!(seen.lock().unwrap().insert(name), "{} again", request.message);
            orders_are_answered_once::answer(request)
        }
        _ => orders_are_answered_once::answer(request),
    })
    .await;
    let target = server.target;
    let point = fanout::Options {
        plan: Plan { target: target.clone(), channel: "BTC-USDT".into(), subscribers: 1, full_every: 1 },
        clients: Clients::default(),
        spread: None,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(100),
        load: None,
        counters: None,
        against: None,
    };
    let market = orders_are_answered_once::market();
    let load = heavy::Options { target, market, sweeps_per_second: 1, trades_per_sweep: 1, seed: 1, run: 1 };
    let options = Options { point, load, subscribers: vec![1], orders_per_second: vec![50, 100] };
    let Outcome { results, verdict } = curve::run(&options, &ProgressBar::hidden()).await.unwrap();
    let [violation] = &verdict.violations[..] else { panic!("{:?}", verdict.violations) };
    assert!(violation.starts_with("1 subscribers, 50 orders/s: closed during the login"), "{violation}");
    assert!(results.rows.len() == 1 && results.cliff.is_some(), "{results}");
    assert!(!names.lock().unwrap().is_empty());
}

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

//! Subscribers divided among processes are the same subscribers: counted, checked and compared as in one.

use crate::gateway::Gateway;
use crate::scripted::{Scripted, ack, right_feed, snapshot, update};
use indicatif::ProgressBar;
use loadtest::market::Market;
use loadtest::report::Outcome;
use loadtest::scenario::audience::Spread;
use loadtest::scenario::fanout::{self, Options, Results};
use loadtest::scenario::fleet::{Clients, Plan};
use loadtest::scenario::flow::{Load, heavy};
use loadtest::target::Target;
use std::time::Duration;

fn options(target: Target, subscribers: usize, program: &str) -> Options {
    Options {
        plan: Plan { target, channel: "BTC-USDT".into(), subscribers, full_every: 1 },
        clients: Clients { checked: Some(1), record_bytes_max: Some(1 << 24), ..Clients::default() },
        spread: Some(Spread { program: program.into(), processes: 2 }),
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(500),
        load: None,
        counters: None,
        against: None,
    }
}

async fn fanout(options: &Options) -> Outcome<Results> {
    fanout::run(options, &ProgressBar::hidden()).await.unwrap()
}

const THIS: &str = env!("CARGO_BIN_EXE_loadtest");

#[tokio::test]
async fn a_right_feed_passes_in_two_processes() {
    let server = Scripted::feed(7, right_feed(300), vec![snapshot(300, 300)]).await;
    let Outcome { results, verdict } = fanout(&options(server.target, 7, THIS)).await;
    assert_eq!(verdict.violations, [""; 0]);
    assert_eq!((results.processes, results.live, results.checked, results.lean), (2, 7, 2, 5));
    assert_eq!((results.spans.compared, results.books_compared), (7, 2));
    assert_eq!((results.distinct_frames, results.frames_checked), (399, 2 * 399));
}

#[tokio::test]
async fn what_is_wrong_in_a_process_is_told_with_its_name() {
    let server = Scripted::start(|request| {
        let mut feed = if request.subscription < 6 { right_feed(50) } else { vec![snapshot(50, 50)] };
        feed.retain(|message| request.subscription >= 6 || *message != update(20, 21, 21));
        feed.insert(0, ack("BTC-USDT"));
        feed
    })
    .await;
    let Outcome { verdict, .. } = fanout(&options(server.target, 6, THIS)).await;
    for who in ["process 1 of 2: ", "process 2 of 2: "] {
        assert!(
            verdict.violations.iter().any(|it| it.starts_with(who) && it.contains("got an update 21 -> 22"))
        );
    }
}

#[tokio::test]
async fn a_process_that_fails_is_named() {
    let server = Scripted::feed(0, vec![], vec![]).await;
    let failed = fanout::run(&options(server.target, 6, "/bin/false"), &ProgressBar::hidden()).await;
    let error = failed.err().unwrap().to_string();
    assert_eq!(error, "process 1 of 2 ended: exit status: 1");
}

#[tokio::test]
async fn two_processes_of_two_hundred_at_a_real_gateway() {
    let Some(gateway) = Gateway::start() else { return };
    let market = Market::fetch(&gateway.http, "BTC-USDT").await.unwrap();
    let target = gateway.ws.clone();
    let load =
        heavy::Options { target, market, sweeps_per_second: 100, trades_per_sweep: 20, seed: 1, run: 1 };
    let options = Options {
        load: Some(Load::Sweeps(load)),
        counters: Some(gateway.http.clone()),
        ..options(gateway.ws.clone(), 400, THIS)
    };
    let Outcome { results, verdict } = fanout(&options).await;
    assert_eq!(verdict.violations, [""; 0]);
    assert_eq!((results.live, results.checked, results.lean), (400, 2, 398));
    assert!(results.frames > 0 && results.latency_lean.count > 0, "{results}");
    assert_eq!((results.books_compared, results.spans.compared), (2, 400));
}

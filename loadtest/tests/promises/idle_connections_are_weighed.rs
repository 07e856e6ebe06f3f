//! `idle` opens what it was asked for and reads the server's memory before and after.

use crate::scripted::{Scripted, snapshot};
use indicatif::ProgressBar;
use loadtest::report::Outcome;
use loadtest::scenario::fleet::Plan;
use loadtest::scenario::idle::{self, Options};
use std::time::Duration;

#[tokio::test]
async fn twenty_idle_connections() {
    let server = Scripted::feed(20, vec![snapshot(1, 1)], vec![snapshot(1, 1)]).await;
    let plan = Plan { target: server.target, channel: "BTC-USDT".into(), subscribers: 20, full_every: 20 };
    let options = Options { plan, spread: None, pid: std::process::id(), settle: Duration::from_millis(10) };
    let Outcome { results, verdict } = idle::run(&options, &ProgressBar::hidden()).await.unwrap();
    assert_eq!(verdict.violations, [""; 0]);
    assert_eq!(results.connections, 20);
    assert!(results.after.server_anonymous_bytes > 0);
}

//! `fanout` checks every message of some subscribers and counts those of the others: both must agree.

use crate::scripted::{Scripted, ack, right_feed, snapshot, update};
use indicatif::ProgressBar;
use loadtest::report::Outcome;
use loadtest::scenario::fanout::{self, Options, Results};
use loadtest::scenario::fleet::Plan;
use loadtest::scenario::flow;
use std::time::Duration;

async fn fanout(server: Scripted, full_every: usize) -> Outcome<Results> {
    let plan = Plan { target: server.target, channel: "BTC-USDT".into(), subscribers: 5, full_every };
    let options = Options { plan, duration: Duration::from_millis(100), flow: None };
    fanout::run(&options, &ProgressBar::hidden()).await.unwrap()
}

#[tokio::test]
async fn five_checked_subscribers_of_a_right_feed_pass() {
    let server = Scripted::feed(5, right_feed(300), vec![snapshot(300, 300)]).await;
    let Outcome { results, verdict } = fanout(server, 1).await;
    assert_eq!(verdict.violations, [""; 0]);
    assert_eq!((results.live, results.checked, results.lean), (5, 5, 0));
    assert_eq!((results.books_compared, results.spans.compared), (5, 5));
    assert_eq!(results.distinct_frames, 299 + 100);
}

#[tokio::test]
async fn lean_subscribers_count_what_checked_ones_see() {
    let server = Scripted::feed(5, right_feed(300), vec![snapshot(300, 300)]).await;
    let Outcome { results, verdict } = fanout(server, 3).await;
    assert_eq!(verdict.violations, [""; 0]);
    assert_eq!((results.checked, results.lean), (2, 3));
    assert_eq!((results.books_compared, results.spans.compared), (2, 5));
}

#[tokio::test]
async fn a_frame_one_lean_subscriber_did_not_get_is_missed() {
    let server = Scripted::start(|request| {
        let mut feed = if request.subscription < 5 { right_feed(50) } else { vec![snapshot(50, 50)] };
        if request.subscription == 4 {
            feed.retain(|message| *message != update(20, 21, 21));
        }
        feed.insert(0, ack("BTC-USDT"));
        feed
    })
    .await;
    let Outcome { verdict, .. } = fanout(server, 3).await;
    let [violation] = &verdict.violations[..] else { panic!("{:?}", verdict.violations) };
    assert!(violation.starts_with("a lean subscriber counted 64 frames"), "{violation}");
    assert!(violation.ends_with("not 65"), "{violation}");
}

#[tokio::test]
async fn our_own_flow_is_acknowledged() {
    let server = Scripted::start(|request| match request.action() {
        "subscribe" => vec![ack(request.text("channel")), snapshot(1, 1)],
        _ => crate::orders_are_answered_once::answer(request),
    })
    .await;
    let target = server.target;
    let plan = Plan { target: target.clone(), channel: "BTC-USDT".into(), subscribers: 5, full_every: 1 };
    let market = crate::orders_are_answered_once::market();
    let flow = flow::Options { target, market, commands_per_second: 1000, seed: 1, run: 1 };
    let options = Options { plan, duration: Duration::from_millis(100), flow: Some(flow) };
    let Outcome { results, verdict } = fanout::run(&options, &ProgressBar::hidden()).await.unwrap();
    assert_eq!(verdict.violations, [""; 0]);
    let flow = results.flow.unwrap();
    assert!(flow.acks > 0);
    assert_eq!(flow.commands, flow.acks + flow.cancel_acks);
}

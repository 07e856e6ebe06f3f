//! `follow` believes a right feed and names what is wrong with any other.

use crate::scripted::{Scripted, right_feed, snapshot, trade, update};
use loadtest::client::Following;
use loadtest::report::Outcome;
use loadtest::scenario::follow::{self, Options, Results};
use std::time::Duration;
use tokio::time::Instant;

async fn follow(feed: Vec<String>, fresh: Vec<String>) -> Outcome<Results> {
    let server = Scripted::feed(1, feed, fresh).await;
    let options = Options {
        target: server.target,
        channel: "BTC-USDT".into(),
        until_idle: Duration::from_millis(100),
        limit: Duration::from_secs(30),
    };
    follow::run(&options).await.unwrap()
}

#[track_caller]
fn assert_violations(outcome: &Outcome<Results>, expected: &[&str]) {
    assert_eq!(outcome.verdict.violations, expected);
}

#[tokio::test]
async fn a_right_feed_passes() {
    let outcome = follow(right_feed(100), vec![snapshot(100, 100)]).await;
    assert_violations(&outcome, &[]);
    let Results { seq, trade_id_last, idle, counts, .. } = outcome.results;
    assert_eq!((seq, trade_id_last, idle), (100, Some(33), true));
    assert_eq!((counts.snapshots, counts.updates, counts.trades), (1, 99, 33));
}

#[tokio::test]
async fn a_lost_update_fails() {
    let mut feed = right_feed(10);
    let lost = feed.iter().position(|message| *message == update(4, 5, 5)).unwrap();
    feed.remove(lost);
    let outcome = follow(feed, vec![snapshot(10, 10)]).await;
    assert_violations(&outcome, &["BTC-USDT: at seq 4, got an update 5 -> 6"]);
}

#[tokio::test]
async fn a_lost_trade_fails() {
    let mut feed = right_feed(10);
    feed.retain(|message| *message != trade(2, 6));
    let outcome = follow(feed, vec![snapshot(10, 10)]).await;
    assert_violations(&outcome, &["BTC-USDT: after trade 1 came 3 without a gap message"]);
}

#[tokio::test]
async fn a_wrong_book_fails() {
    let outcome = follow(right_feed(10), vec![snapshot(10, 11)]).await;
    let expected =
        "BTC-USDT: book differs from a fresh snapshot at seq 10: bid rebuilt 10 @ 99, snapshot 11 @ 99";
    assert_violations(&outcome, &[expected]);
}

#[tokio::test]
async fn a_fresh_subscriber_behind_reads_on_until_the_sequences_meet() {
    let fresh = vec![snapshot(8, 8), update(8, 9, 9), update(9, 10, 10)];
    assert_violations(&follow(right_feed(10), fresh).await, &[]);
}

#[tokio::test]
async fn a_follower_behind_reads_on_until_the_sequences_meet() {
    let server = Scripted::feed(1, right_feed(10), vec![snapshot(10, 10)]).await;
    let mut following = Following::subscribe(&server.target, "BTC-USDT").await.unwrap();
    following.until_seq(4, Instant::now() + Duration::from_secs(30)).await.unwrap();
    following.compare_with_fresh(&server.target, Duration::from_secs(30)).await.unwrap();
    assert_eq!(following.follower.seq(), 10);
    assert_eq!(following.follower.violations(), []);
}

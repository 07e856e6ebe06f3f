//! `slow` tells a reader that was lapped with an announcement from one that silently lost something.

use crate::scripted::{Scripted, ack, end, right_feed, snapshot, trade, update};
use indicatif::ProgressBar;
use loadtest::report::Outcome;
use loadtest::scenario::fleet::Plan;
use loadtest::scenario::slow::{self, Options, Results};
use std::time::Duration;

/// What a run plays to each. Whoever comes after them gets a fresh book.
struct Script {
    reading: [Vec<String>; 2],
    stalled: Vec<String>,
    /// To the stalled one's pings, by their numbers.
    answer: Box<dyn Fn(u64) -> Vec<String> + Send + Sync>,
    expect_lap: bool,
}

impl Default for Script {
    fn default() -> Self {
        let answer = Box::new(|ping| vec![pong(ping)]);
        let reading = [right_feed(60), right_feed(60)];
        Script { reading, stalled: right_feed(60), answer, expect_lap: false }
    }
}

impl Script {
    /// Two that read on, then one that stalls, twice.
    async fn run(self) -> Outcome<Results> {
        let Script { reading, stalled, answer, expect_lap } = self;
        let server = Scripted::start(move |request| {
            if request.action() == "ping" {
                return answer(request.message["id"].as_u64().unwrap());
            }
            let mut feed = match request.subscription {
                number @ (0 | 1) => reading[number].clone(),
                2 => stalled.clone(),
                _ => vec![snapshot(60, 60)],
            };
            feed.insert(0, ack(request.text("channel")));
            feed
        })
        .await;
        let plan = Plan { target: server.target, channel: "BTC-USDT".into(), subscribers: 2, full_every: 1 };
        let moment = Duration::from_millis(50);
        let options = Options {
            plan,
            stalled: 1,
            warm_up: Duration::ZERO,
            baseline: moment,
            stall: moment,
            recovery: moment,
            stall_frames: 0,
            rounds: 2,
            record_bytes_max: 1 << 20,
            expect_lap,
            load: None,
        };
        slow::run(&options, &ProgressBar::hidden()).await.unwrap()
    }
}

async fn slow(stalled: Vec<String>) -> Outcome<Results> {
    Script { stalled, ..Script::default() }.run().await
}

async fn slow_answering(answer: impl Fn(u64) -> Vec<String> + Send + Sync + 'static) -> Outcome<Results> {
    Script { answer: Box::new(answer), ..Script::default() }.run().await
}

fn pong(id: u64) -> String {
    format!(r#"{{"type":"pong","id":{id},"ts":1}}"#)
}

fn gap(from: u64, to: u64) -> String {
    format!(
        r#"{{"channel":"BTC-USDT","type":"gap","data":{{"stream":"trade","from":{from},"to":{to},"reason":"slow_consumer"}}}}"#
    )
}

/// All it lacks is announced.
fn lapped_feed() -> Vec<String> {
    let mut feed = right_feed(9);
    feed.extend([gap(4, 19), snapshot(58, 58), update(58, 59, 59), update(59, 60, 60), trade(20, 60)]);
    feed
}

#[tokio::test]
async fn a_lap_of_one_that_reads_is_a_violation() {
    for reading in [[lapped_feed(), right_feed(60)], [right_feed(60), lapped_feed()]] {
        let Outcome { verdict, .. } = Script { reading, ..Script::default() }.run().await;
        let [violation] = &verdict.violations[..] else { panic!("{:?}", verdict.violations) };
        assert!(violation.starts_with("those that read had 1 laps and 1 gaps"), "{violation}");
    }
}

#[tokio::test]
async fn nothing_lost_is_caught_up() {
    let Outcome { results, verdict } = slow(right_feed(60)).await;
    assert_eq!(verdict.violations, [""; 0]);
    assert_eq!((results.reading, results.caught_up, results.lapped, results.closed), (2, 1, 0, 0));
    assert_eq!((results.reading_spans.compared, results.stalled_books_compared), (2, 1));
    let kinds: Vec<_> = results.windows.iter().map(|window| window.kind).collect();
    assert_eq!(kinds, ["all read", "some stalled", "after it", "all read", "some stalled", "after it"]);
}

#[tokio::test]
async fn a_stall_that_tested_nothing_is_said() {
    let Outcome { verdict, .. } = Script { expect_lap: true, ..Script::default() }.run().await;
    assert_eq!(verdict.violations, ["2 of 2 stalls, 2 of each reader, lost nothing: stall longer or faster"]);
}

/// The stalled one is lapped after so many of its two stalls.
async fn lapped_after(stalls: usize) -> Outcome<Results> {
    // Two pings a stall; with the second it reads on.
    let answer = move |ping| {
        let mut answer = vec![pong(ping)];
        match ping % 4 {
            1 => answer.extend([gap(4, 19), snapshot(60, 60), trade(20, 60)]),
            3 if stalls == 2 => answer.push(snapshot(60, 60)),
            _ => {}
        }
        answer
    };
    let script = Script { stalled: right_feed(9), answer: Box::new(answer), ..Script::default() };
    Script { expect_lap: true, ..script }.run().await
}

#[tokio::test]
async fn each_stall_must_have_its_lap() {
    let Outcome { results, verdict } = lapped_after(2).await;
    assert_eq!(verdict.violations, [""; 0]);
    assert_eq!((results.lapped, results.stalls, results.stalls_with_lap), (1, 2, 2));
    let Outcome { results, verdict } = lapped_after(1).await;
    assert_eq!(verdict.violations, ["1 of 2 stalls, 2 of each reader, lost nothing: stall longer or faster"]);
    assert_eq!((results.lapped, results.stalls, results.stalls_with_lap), (1, 2, 1));
}

#[tokio::test]
async fn an_announced_lap_is_right() {
    let Outcome { results, verdict } = slow(lapped_feed()).await;
    assert_eq!(verdict.violations, [""; 0]);
    assert_eq!((results.caught_up, results.lapped, results.trades_announced_missing), (0, 1, 16));
}

#[tokio::test]
async fn a_lap_that_hides_lost_trades_is_a_violation() {
    let mut feed = right_feed(9);
    feed.extend([snapshot(60, 60), trade(20, 60)]);
    let Outcome { verdict, .. } = slow(feed).await;
    assert_eq!(verdict.violations, ["stalled reader 0: after trade 3 came 20 without a gap message"]);
}

#[tokio::test]
async fn trades_that_are_missing_at_the_end_are_a_violation() {
    let mut feed = right_feed(60);
    assert_eq!(feed.pop(), Some(trade(20, 60)));
    let Outcome { verdict, .. } = slow(feed).await;
    let [violation] = &verdict.violations[..] else { panic!("{:?}", verdict.violations) };
    assert!(violation.contains("a trade at the end neither came nor was announced"), "{violation}");
}

#[tokio::test]
async fn a_wrong_book_after_a_lap_is_a_violation() {
    let mut feed = right_feed(9);
    feed.extend([gap(4, 20), snapshot(60, 59)]);
    let Outcome { results, verdict } = slow(feed).await;
    assert_eq!(results.lapped, 1);
    let [violation] = &verdict.violations[..] else { panic!("{:?}", verdict.violations) };
    assert!(violation.contains("book differs"), "{violation}");
}

#[tokio::test]
async fn the_answer_to_another_s_ping_is_a_violation() {
    let Outcome { verdict, .. } = slow_answering(|ping| vec![pong(ping + 1_000_000)]).await;
    let [violation] = &verdict.violations[..] else { panic!("{:?}", verdict.violations) };
    assert!(
        violation.contains("answers to its pings were [2000000, 2000001, 2000002, 2000003]"),
        "{violation}"
    );
}

/// The stalled one's connection ends with that code, or without any, when it is stalled.
async fn ended(code: Option<u16>) -> Outcome<Results> {
    slow_answering(move |_| vec![end(code)]).await
}

#[tokio::test]
async fn a_close_that_says_too_slow_is_right() {
    let Outcome { results, verdict } = ended(Some(4001)).await;
    assert_eq!(verdict.violations, [""; 0]);
    assert_eq!((results.closed, results.broken), (1, 0));
    assert_eq!(results.closed_reasons, ["4001 as the script says"]);
}

#[tokio::test]
async fn any_other_end_is_a_violation() {
    for code in [None, Some(1002), Some(1011)] {
        let Outcome { results, verdict } = ended(code).await;
        let [violation] = &verdict.violations[..] else { panic!("{code:?}: {:?}", verdict.violations) };
        assert!(violation.starts_with("stalled reader 0: connection closed: "), "{violation}");
        assert_eq!((results.closed, results.broken), (0, 1));
    }
}

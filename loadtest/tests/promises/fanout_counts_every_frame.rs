//! `fanout` checks every message of some subscribers and counts those of the others: both must agree.

use crate::scripted::{Scripted, ack, right_feed, snapshot, update};
use indicatif::ProgressBar;
use loadtest::lean::Opening;
use loadtest::market::Market;
use loadtest::report::Outcome;
use loadtest::scenario::bare::{self, sender::Method};
use loadtest::scenario::fanout::{self, Options, Results};
use loadtest::scenario::fleet::{Clients, Plan};
use loadtest::scenario::flow::{self, Load, heavy};
use loadtest::target::Target;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn fanout(server: Scripted, full_every: usize) -> Outcome<Results> {
    fanout_by(server, full_every, Clients::default()).await
}

async fn fanout_by(server: Scripted, full_every: usize, clients: Clients) -> Outcome<Results> {
    let plan = Plan { target: server.target, channel: "BTC-USDT".into(), subscribers: 5, full_every };
    run(plan, clients, None).await
}

async fn run(plan: Plan, clients: Clients, load: Option<Load>) -> Outcome<Results> {
    let duration = Duration::from_millis(100);
    let options = Options {
        plan,
        clients,
        spread: None,
        warm_up: Duration::ZERO,
        duration,
        load,
        counters: None,
        against: None,
    };
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

/// Five, of which the first is checked and the last gets `feed`.
async fn last_gets(feed: fn() -> Vec<String>, record_bytes_max: Option<usize>) -> Outcome<Results> {
    let server = Scripted::start(move |request| {
        let mut feed = match request.subscription {
            4 => feed(),
            0..4 => right_feed(50),
            _ => vec![snapshot(50, 50)],
        };
        feed.insert(0, ack("BTC-USDT"));
        feed
    })
    .await;
    fanout_by(server, 1, Clients { checked: Some(1), record_bytes_max, ..Clients::default() }).await
}

#[tokio::test]
async fn a_lean_subscriber_that_gets_no_more_is_missed() {
    for record_bytes_max in [None, Some(1 << 20)] {
        let Outcome { verdict, .. } = last_gets(|| right_feed(30), record_bytes_max).await;
        let [violation] = &verdict.violations[..] else { panic!("{:?}", verdict.violations) };
        assert!(
            violation.starts_with("a lean subscriber got nothing after Trade { trade_id: 10 }"),
            "{violation}"
        );
    }
}

#[tokio::test]
async fn a_lean_subscriber_that_never_gets_anything_is_missed() {
    for record_bytes_max in [None, Some(1 << 20)] {
        let Outcome { verdict, .. } = last_gets(|| vec![snapshot(1, 1)], record_bytes_max).await;
        let [violation] = &verdict.violations[..] else { panic!("{:?}", verdict.violations) };
        assert!(
            violation.starts_with("a lean subscriber got nothing, and the reference all up to"),
            "{violation}"
        );
    }
}

/// Two are recorded, three are lean; two threads read them.
fn recorded(record_bytes_max: usize) -> Clients {
    Clients {
        reader_threads: 2,
        checked: Some(2),
        record_bytes_max: Some(record_bytes_max),
        ..Clients::default()
    }
}

#[tokio::test]
async fn what_was_recorded_is_checked_when_the_run_is_over() {
    let server = Scripted::feed(5, right_feed(300), vec![snapshot(300, 300)]).await;
    let Outcome { results, verdict } = fanout_by(server, 1, recorded(1 << 20)).await;
    assert_eq!(verdict.violations, [""; 0]);
    assert_eq!((results.checked, results.lean, results.bytes_unchecked), (2, 3, 0));
    assert_eq!((results.books_compared, results.spans.compared), (2, 5));
    assert_eq!((results.distinct_frames, results.frames_checked), (399, 2 * 399));
}

#[tokio::test]
async fn a_fault_in_a_recording_is_found() {
    let mut feed = right_feed(50);
    feed.retain(|message| *message != update(20, 21, 21));
    let server = Scripted::feed(5, feed, vec![snapshot(50, 50)]).await;
    let Outcome { verdict, .. } = fanout_by(server, 1, recorded(1 << 20)).await;
    let expected = "at seq 20, got an update 21 -> 22";
    assert!(
        verdict.violations.iter().all(|violation| violation.ends_with(expected)),
        "{:?}",
        verdict.violations
    );
    assert_eq!(verdict.violation_count, 2);
}

#[tokio::test]
async fn a_recording_without_room_says_what_it_did_not_check() {
    let server = Scripted::feed(5, right_feed(300), vec![snapshot(300, 300)]).await;
    let Outcome { results, verdict } = fanout_by(server, 1, recorded(1000)).await;
    assert_eq!(verdict.violations, [""; 0]);
    assert!(results.bytes_unchecked > 0 && results.frames_checked < 2 * 399, "{results}");
    assert_eq!(results.books_compared, 0);
}

/// Five that are told numbers up to 20 by a server of another kind.
async fn foreign(skip: u64, repeat: u64) -> Outcome<Results> {
    let server = Scripted::start(move |request| {
        assert_eq!(request.message["op"], "listen");
        let numbers = (1..=20).filter(|number| *number != skip);
        let numbers = numbers.flat_map(|number| vec![number; if number == repeat { 2 } else { 1 }]);
        let mut messages = vec![r#"{"result":"welcome"}"#.to_owned()];
        messages.extend(numbers.map(|number| format!(r#"{{"E":1760000000000,"n":{number}}}"#)));
        messages
    })
    .await;
    let opening = Opening::foreign(r#"{"op":"listen"}"#, Some("E"), Some("n"));
    fanout_by(server, 1, Clients { opening: Some(opening), ..Clients::default() }).await
}

#[tokio::test]
async fn another_kind_of_server_is_judged_by_its_numbers() {
    let Outcome { results, verdict } = foreign(0, 0).await;
    assert_eq!(verdict.violations, [""; 0]);
    assert_eq!((results.lean, results.checked, results.sequences_missing), (5, 0, 0));
    assert!(results.latency_lean.count > 0);
    let Outcome { results, verdict } = foreign(7, 9).await;
    assert_eq!(verdict.violations, ["a sequence went back 1 times"; 5]);
    assert_eq!(results.sequences_missing, 5);
}

/// Answers orders, and gives whoever subscribes a book that stands still.
async fn exchange() -> Scripted {
    Scripted::start(|request| match request.action() {
        "subscribe" => vec![ack(request.text("channel")), snapshot(1, 1)],
        _ => crate::orders_are_answered_once::answer(request),
    })
    .await
}

async fn fanout_under(load: impl FnOnce(Target, Market) -> Load) -> Results {
    let target = exchange().await.target;
    let plan = Plan { target: target.clone(), channel: "BTC-USDT".into(), subscribers: 5, full_every: 1 };
    let load = load(target, crate::orders_are_answered_once::market());
    let Outcome { results, verdict } = run(plan, Clients::default(), Some(load)).await;
    assert_eq!(verdict.violations, [""; 0]);
    results
}

#[tokio::test]
async fn our_own_flow_is_acknowledged() {
    let results = fanout_under(|target, market| {
        Load::Steps(flow::Options { target, market, commands_per_second: 1000, seed: 1, run: 1 })
    })
    .await;
    let flow = results.flow.unwrap();
    assert!(flow.acks > 0);
    assert_eq!(flow.commands, flow.acks + flow.cancel_acks);
}

#[tokio::test]
async fn a_flow_of_sweeps_is_acknowledged_and_leaves_nothing_in_the_book() {
    let results = fanout_under(|target, market| {
        let (sweeps_per_second, trades_per_sweep) = (1000, 250);
        Load::Sweeps(heavy::Options { target, market, sweeps_per_second, trades_per_sweep, seed: 1, run: 1 })
    })
    .await;
    let (flow, offered) = (results.flow.unwrap(), results.offered.unwrap());
    assert!(flow.acks > 0 && flow.commands == flow.acks);
    assert_eq!(flow.cancel_all_acks, heavy::PAIRS as u64, "every maker takes back what is left");
    assert!(offered.sent > 0 && offered.sent <= flow.commands, "{offered}");
}

#[tokio::test]
async fn a_rate_that_nobody_could_send_is_not_called_offered() {
    let commands_per_second = 1_000_000_000;
    let results = fanout_under(|target, market| {
        Load::Steps(flow::Options { target, market, commands_per_second, seed: 1, run: 1 })
    })
    .await;
    let offered = results.offered.unwrap();
    assert!(offered.sent > 0 && !offered.is_enough(), "{offered}");
    assert!(results.to_string().contains("the rate was not offered"));
}

/// A server's `/metrics`, where each look finds a thousand more sends than the last.
async fn counters() -> Target {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::http(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        for look in 1u64.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            let counts = [
                ("sends", 1),
                ("frames_out", 10),
                ("bytes_out", 1500),
                ("trades", 1),
                ("fell_behind", 0),
                ("lapped", 0),
            ];
            let lines = counts.map(|(name, each)| {
                format!("ringside_{name}_total{{reactor=\"0\"}} {}\n", look * 1000 * each)
            });
            let answer = format!("HTTP/1.0 200 OK\r\n\r\n{}", lines.concat());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    target
}

#[tokio::test]
async fn a_bare_loop_sends_the_same_between_the_server_s_windows() {
    let server = Scripted::feed(5, right_feed(300), vec![snapshot(300, 300)]).await;
    let plan = Plan { target: server.target, channel: "BTC-USDT".into(), subscribers: 5, full_every: 1 };
    let child = bare::Child {
        program: env!("CARGO_BIN_EXE_loadtest").into(),
        method: Method::Send,
        reader_threads: 1,
    };
    let options = Options {
        plan,
        clients: Clients::default(),
        spread: None,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(100),
        load: None,
        counters: Some(counters().await),
        against: Some((child, 2)),
    };
    let Outcome { results, verdict } = fanout::run(&options, &ProgressBar::hidden()).await.unwrap();
    assert_eq!(verdict.violations, [""; 0]);
    assert_eq!(results.server.unwrap().sends, 2000);
    let against = results.against.unwrap();
    assert_eq!(against.windows.len(), 2);
    assert!(against.windows.iter().all(|window| window.bytes_per_send == 1500 && window.sends > 0));
    assert!(against.ratio_of_sends.unwrap() > 0.0);
}

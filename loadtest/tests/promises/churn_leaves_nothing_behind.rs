//! `churn` checks everybody while they are there, and looks at what the server still holds when they are gone.

use crate::scripted::{Scripted, ack, right_feed};
use indicatif::ProgressBar;
use loadtest::report::Outcome;
use loadtest::scenario::churn::{self, Options, Results};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A process that holds the same all the time, in place of the server's: the script runs in ours, beside other tests.
struct Still(Child);

impl Still {
    /// Once it answers it has closed what it had of ours.
    fn start() -> Self {
        let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        cat.stdin.as_mut().unwrap().write_all(b"ready?").unwrap();
        cat.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        Still(cat)
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

async fn churn(server: Scripted) -> Outcome<Results> {
    let still = Still::start();
    let options = Options {
        target: server.target,
        channels: vec!["BTC-USDT".into(), "BTC-USDT@depth".into()],
        stayers: 2,
        connects_per_second: 200,
        stay: Duration::from_millis(20),
        warm_up: Duration::from_millis(100),
        duration: Duration::from_millis(500),
        pid: still.0.id(),
        http: None,
        growth_bytes_max: 1 << 20,
        flows: Vec::new(),
        seed: 1,
    };
    churn::run(&options, &ProgressBar::hidden()).await.unwrap()
}

/// The feed of a channel, to its `last` update.
fn feed(channel: &str, last: u64) -> Vec<String> {
    let mut feed = vec![ack(channel)];
    feed.extend(
        right_feed(last)
            .into_iter()
            .filter(|message| !channel.ends_with("@depth") || !message.contains("trade_id")),
    );
    feed
}

#[tokio::test]
async fn visitors_are_checked_and_counted_by_how_they_leave() {
    let server = Scripted::start(|request| feed(request.text("channel"), 20)).await;
    let Outcome { results, verdict } = churn(server).await;
    assert_eq!(verdict.violations, [""; 0]);
    let churn::Endings { closed, ended, reset, reset_in_a_frame, reset_unread, reset_in_the_handshake } =
        results.endings;
    assert_eq!(results.connects, 120);
    assert_eq!(results.connects, results.live + reset_in_the_handshake);
    assert_eq!(results.live, closed + ended + reset + reset_in_a_frame + reset_unread);
    assert!(
        [closed, ended, reset, reset_in_a_frame, reset_unread].iter().all(|count| *count > 0),
        "{results}"
    );
    assert_eq!((results.descriptors_before, results.books_compared), (results.descriptors_after, 2));
}

#[tokio::test]
async fn a_frame_meant_for_another_is_found() {
    let server = Scripted::start(|request| {
        let mut feed = feed(request.text("channel"), 20);
        if request.subscription == 30 {
            let status = r#"{"channel":"ETH-USDT","type":"status","data":{"state":"trading","ts":1}}"#;
            feed.insert(1, status.to_owned()); // before the snapshot, which every visitor waits for
        }
        feed
    })
    .await;
    let Outcome { verdict, .. } = churn(server).await;
    assert_eq!(verdict.violations, ["a visitor: message of another channel: ETH-USDT"]);
}

//! `bare` sends as fast as it can and counts what was taken; its readers get whole frames.

use indicatif::ProgressBar;
use loadtest::report::Outcome;
use loadtest::scenario::bare::{self, Options, Results, sender::Method};
use std::time::Duration;

async fn bare(method: Method, frames_per_second: Option<u64>) -> Results {
    let options = Options {
        program: env!("CARGO_BIN_EXE_loadtest").into(),
        subscribers: 20,
        bytes: 2000,
        frame_bytes: 150,
        method,
        frames_per_second,
        duration: Duration::from_millis(200),
        reader_threads: 1,
    };
    let Outcome { results, verdict } = bare::run(&options, &ProgressBar::hidden()).await.unwrap();
    assert_eq!(verdict.violations, [""; 0]);
    results
}

#[tokio::test]
async fn by_send() {
    let results = bare(Method::Send, None).await;
    assert_eq!((results.method, results.bytes_per_send), (Method::Send, 13 * 150));
    assert!(results.sends >= 20 && results.frames > 0, "{results}");
}

/// Where io_uring is forbidden this is `by_send` again, and says so.
#[tokio::test]
async fn by_io_uring() {
    let results = bare(Method::Uring, None).await;
    assert_eq!(results.bytes_per_send, 13 * 150);
    assert!(results.sends >= 20 && results.frames > 0, "{results}");
}

#[tokio::test]
async fn by_a_schedule_each_gets_what_is_due_and_when_that_was() {
    let results = bare(Method::Uring, Some(10_000)).await;
    // 13 frames are due at once: 769 times a second, the first at once.
    let most = 20 * 13 * ((769.0 * results.seconds) as u64 + 1);
    assert!((1..=most).contains(&results.frames), "{results}");
    assert!(results.latency.is_some_and(|latency| latency.count > 0), "{results}");
}

//! `bare` sends as fast as it can and counts what was taken; its readers get whole frames.

use indicatif::ProgressBar;
use loadtest::report::Outcome;
use loadtest::scenario::bare::{self, Options, Results, sender::Method};
use std::time::Duration;

async fn bare(method: Method) -> Results {
    let options = Options {
        program: env!("CARGO_BIN_EXE_loadtest").into(),
        subscribers: 20,
        bytes: 2000,
        frame_bytes: 150,
        method,
        duration: Duration::from_millis(200),
        reader_threads: 1,
    };
    let Outcome { results, verdict } = bare::run(&options, &ProgressBar::hidden()).await.unwrap();
    assert_eq!(verdict.violations, [""; 0]);
    results
}

#[tokio::test]
async fn by_send() {
    let results = bare(Method::Send).await;
    assert_eq!((results.method, results.bytes_per_send), (Method::Send, 13 * 150));
    assert!(results.sends >= 20 && results.frames > 0, "{results}");
}

/// Where io_uring is forbidden this is `by_send` again, and says so.
#[tokio::test]
async fn by_io_uring() {
    let results = bare(Method::Uring).await;
    assert_eq!(results.bytes_per_send, 13 * 150);
    assert!(results.sends >= 20 && results.frames > 0, "{results}");
}

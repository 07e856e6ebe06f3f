//! clients/follow.py is a second opinion, in another language and on another WebSocket library.
//!
//! It needs Debian's python3-websockets; without it there is no second opinion to ask and the test says so.

use crate::scripted::{Scripted, right_feed, snapshot, update};
use std::path::Path;
use std::process::{Command, Output};

const PYTHON: &str = "/usr/bin/python3";

fn has_websockets() -> bool {
    let imported = Command::new(PYTHON).args(["-c", "import websockets"]).output();
    let found = imported.is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: {PYTHON} has no websockets (apt-get install python3-websockets)");
    }
    found
}

async fn follow(feed: Vec<String>, fresh: Vec<String>) -> (bool, serde_json::Value) {
    let server = Scripted::feed(1, feed, fresh).await;
    let mut command = Command::new(PYTHON);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/follow.py"));
    command.args(["--url", &server.target.url(), "--until-idle-ms", "200"]);
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let summary = serde_json::from_slice(&stdout);
    (
        status.success(),
        summary.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&stderr))),
    )
}

#[tokio::test]
async fn a_right_feed_passes() {
    if has_websockets() {
        let (success, summary) = follow(right_feed(50), vec![snapshot(48, 48), update(48, 50, 50)]).await;
        assert!(success, "{summary}");
        assert_eq!((&summary["seq"], &summary["trades"]), (&50.into(), &16.into()));
    }
}

#[tokio::test]
async fn planted_faults_fail() {
    if has_websockets() {
        let mut feed = right_feed(50);
        feed.retain(|message| *message != update(6, 7, 7));
        let (success, summary) = follow(feed, vec![snapshot(50, 51)]).await;
        assert!(!success);
        let violations = summary["violations"].as_array().unwrap();
        assert_eq!(violations.len(), 2, "{summary}");
        assert_eq!(violations[0], "at seq 6, got an update 7 -> 8");
        assert!(violations[1].as_str().unwrap().starts_with("book differs"), "{summary}");
    }
}

//! The binary's exit code: 0 kept, 1 violated or failed, 2 asked wrongly.

use crate::scripted::{Scripted, right_feed, snapshot};
use std::process::Stdio;

/// Runs the binary on a thread of its own, so that the scripted server goes on serving.
async fn loadtest(arguments: &[&str]) -> (i32, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(arguments).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

async fn follow(fresh_quantity: u64, arguments: &[&str]) -> (i32, String) {
    let server = Scripted::feed(1, right_feed(10), vec![snapshot(10, fresh_quantity)]).await;
    let url = server.target.url();
    loadtest(&[&["follow", "--url", &url, "--until-idle-ms", "100"], arguments].concat()).await
}

#[tokio::test]
async fn a_right_feed_is_zero_and_a_wrong_book_is_one() {
    let (code, text) = follow(10, &[]).await;
    assert_eq!(code, 0, "{text}");
    let (code, text) = follow(11, &[]).await;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("book differs"), "{text}");
}

#[tokio::test]
async fn a_report_names_machine_scenario_and_verdict() {
    let file = std::env::temp_dir().join(format!("loadtest-report-{}.json", std::process::id()));
    let (code, text) = follow(10, &["--json", file.to_str().unwrap(), "--seed", "7"]).await;
    assert_eq!(code, 0, "{text}");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(report["scenario"], "follow");
    assert_eq!(report["ok"], true);
    assert_eq!(report["seed"], 7);
    assert_eq!(report["violation_count"], 0);
    assert_eq!(report["results"]["seq"], 10);
    assert!(report["machine"]["cores"].as_u64().unwrap() > 0);
    assert!(!report["machine"]["kernel"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn a_page_shows_the_run_and_needs_nothing_beside_it() {
    let server = Scripted::feed(3, right_feed(10), vec![snapshot(10, 10)]).await;
    let file = std::env::temp_dir().join(format!("loadtest-page-{}.html", std::process::id()));
    let (url, path) = (server.target.url(), file.to_str().unwrap());
    let (code, text) =
        loadtest(&["fanout", "--url", &url, "--subscribers", "3", "--seconds", "1", "--html", path]).await;
    assert_eq!(code, 0, "{text}");
    let page = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(
        page.contains("<svg") && page.contains("no violations") && page.contains("<td>frames_per_second")
    );
    assert!(!page.contains("src=") && !page.contains("href="));
}

#[tokio::test]
async fn another_machine_is_refused() {
    for arguments in [
        ["follow", "--url", "ws://192.0.2.1:9001/ws"],
        ["fanout", "--url", "ws://example.com/ws"],
        ["orders", "--http", "http://192.0.2.1:8080"],
    ] {
        let (code, text) = loadtest(&arguments).await;
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("only loopback targets are allowed"), "{text}");
    }
}

#[tokio::test]
async fn too_many_connections_are_refused() {
    let (code, text) = loadtest(&["fanout", "--subscribers", "20000"]).await;
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("at most 19900"), "{text}");
}

#[tokio::test]
async fn nobody_listening_is_a_failure() {
    // Bound and not listening: the port is taken, and connections to it are refused.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let (code, text) = loadtest(&["follow", "--url", &format!("ws://127.0.0.1:{port}/ws")]).await;
    assert_eq!(code, 1, "{text}");
}

#[tokio::test]
async fn wrong_numbers_are_told_with_their_flag_and_the_rule() {
    let cases: [(&[&str], &str, &str); 9] = [
        (&["plan", "--connections", "many"], "--connections", "such as 500, 20k"),
        (&["plan", "--rate", "0"], "--rate", "whole number above 0"),
        (&["plan", "--ram-gb", "0"], "--ram-gb", "above 0"),
        (&["plan", "--cpu-percent", "120"], "--cpu-percent", "at most 100"),
        (&["plan", "--server", "/nowhere"], "--server", "no file"),
        (&["plan", "--url", "ws://127.0.0.1:1/ws"], "--pid", "required"),
        (&["slow", "--stalled", "100%"], "--stalled", "less than 100%"),
        (&["fanout", "--processes", "3", "--subscribers", "2"], "--processes", "more processes than"),
        (&["curve", "--subscribers", "10,x"], "--subscribers", "invalid digit"),
    ];
    for (arguments, flag, rule) in cases {
        let (code, text) = loadtest(arguments).await;
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(flag) && text.contains(rule), "{arguments:?}: {text}");
    }
}

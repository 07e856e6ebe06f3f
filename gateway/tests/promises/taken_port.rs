//! Somebody else has the port already: the start ends with the address in its text, and nothing has been begun.

use crate::client::Client;
use crate::exchange::{Exchange, fresh_directory};
use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

#[test]
fn is_named_and_leaves_the_data_as_it_was() {
    let directory = fresh_directory("taken-port");
    let data = directory.to_str().expect("our own path");
    let mut exchange = Exchange::start_with(&["serve", "--no-demo-flow", "--data-dir", data]);
    let mut ann = Client::log_in(&exchange.ws, "ann");
    let order = r#"{"order_id":"a","symbol":"BTC-USDT","side":"buy","price":"20000","quantity":"0.001"}"#;
    assert_eq!(ann.ask(order)["type"], "order_ack");
    exchange.kill();

    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = other.local_addr().expect("it is bound").to_string();
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let shared = exchange.ws.split('/').nth(2).expect("ws://address/ws").to_owned();
    for (ws, http, named) in [
        (taken.as_str(), "127.0.0.1:0", format!("ws_listen {taken}")),
        ("127.0.0.1:0", taken.as_str(), format!("http_listen {taken}")),
        // Another exchange's reactors would share it with ours.
        (shared.as_str(), "127.0.0.1:0", format!("ws_listen {shared}")),
    ] {
        let Output { status, stderr, stdout } = start(data, ws, http);
        let said = String::from_utf8_lossy(&stderr);
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains(&named) && said.contains("in use"), "{said}");
        assert!(stdout.is_empty(), "it was never ready");
    }
    drop(exchange);

    let exchange = Exchange::start_with(&["serve", "--no-demo-flow", "--data-dir", data]);
    let mut ann = Client::log_in(&exchange.ws, "ann");
    assert_eq!(ann.ask(order)["duplicate"], true, "the order is there");
    drop(exchange);
    let _ = fs::remove_dir_all(directory);
}

fn start(data: &str, ws: &str, http: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringside"))
        .args(["serve", "--no-demo-flow", "--data-dir", data, "--ws-listen", ws, "--http-listen", http])
        .stdin(Stdio::null())
        .output()
        .expect("cargo built the binary")
}

//! Who asks for more than the limits allow is refused with a reason; everybody else goes on.

use crate::client::Client;
use crate::exchange::Exchange;
use crate::http::get;
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Command, Stdio};

fn authority(ws: &str) -> &str {
    ws.strip_prefix("ws://").unwrap().split('/').next().unwrap()
}

/// Sends an upgrade request with more headers; returns all that comes until the server ends the connection.
fn refused(ws: &str, path: &str, headers: &str) -> String {
    let authority = authority(ws);
    let mut stream = TcpStream::connect(authority).unwrap();
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).expect("even who is refused may finish its request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer and an orderly end, no reset");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn of_connections_and_channels() {
    let exchange = Exchange::start_with(&[
        "serve",
        "--no-demo-flow",
        "--max-connections-per-address",
        "2",
        "--max-channels",
        "1",
    ]);
    let mut first = Client::connect(&exchange.ws);
    let _second = Client::connect(&exchange.ws);
    for _ in 0..50 {
        let third = refused(&exchange.ws, "/ws", "");
        assert!(third.starts_with("HTTP/1.1 429 "), "{third}");
        assert!(third.contains("this address has as many connections"), "{third}");
    }
    // The answer comes before the request is out, and what is sent after it meets no closed door: to that the kernel
    // would answer with a reset, which can take the answer away again.
    let mut slow = TcpStream::connect(authority(&exchange.ws)).unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 429");
    for line in ["GET /ws HTTP/1.1\r\n", "Host: x\r\n", "Upgrade: websocket\r\n", "\r\n"] {
        slow.write_all(line.as_bytes()).expect("there is still somebody who reads");
    }
    slow.shutdown(Shutdown::Write).expect("the connection is whole");
    slow.read_to_end(&mut Vec::new()).expect("the rest of the answer and an orderly end");
    first.ask(r#"{"action":"subscribe","channel":"BTC-USDT"}"#);
    first.until("depth_snapshot");
    let more = first.ask(r#"{"action":"subscribe","channel":"ETH-USDT"}"#);
    assert_eq!(more["code"], "TOO_MANY_SUBSCRIPTIONS");
}

#[test]
fn of_who_may_come_and_where() {
    let exchange = Exchange::start_with(&[
        "serve",
        "--no-demo-flow",
        "--open-login",
        "no",
        "--handshake-timeout-s",
        "1",
    ]);
    let foreign = refused(&exchange.ws, "/ws", "Origin: https://evil.example\r\n");
    assert!(foreign.starts_with("HTTP/1.1 403 "), "{foreign}");
    let elsewhere = refused(&exchange.ws, "/elsewhere", "");
    assert!(elsewhere.starts_with("HTTP/1.1 404 "), "{elsewhere}");
    let old = refused(&exchange.ws, "/ws", "Sec-WebSocket-Version: 8\r\n");
    assert!(old.starts_with("HTTP/1.1 4"), "{old}");

    let mut client = Client::connect(&exchange.ws);
    assert_eq!(client.ask(r#"{"action":"auth","account":"alice"}"#)["code"], "UNAUTHORIZED");
    let order = r#"{"order_id":"a","symbol":"BTC-USDT","side":"buy","price":"30000","quantity":"1"}"#;
    assert_eq!(client.ask(order)["code"], "UNAUTHORIZED");

    // Half a handshake is ended; the read returns when it is.
    let mut half = TcpStream::connect(authority(&exchange.ws)).unwrap();
    half.write_all(b"GET /ws HTTP/1.1\r\nHost: x").unwrap();
    let _ = half.read_to_end(&mut Vec::new());
}

#[test]
fn of_messages() {
    let exchange = Exchange::start_with(&[
        "serve",
        "--no-demo-flow",
        "--control-per-second",
        "1",
        "--control-burst",
        "3",
    ]);
    let mut client = Client::connect(&exchange.ws);
    let answers: Vec<_> = (0..10).map(|_| client.ask(r#"{"action":"ping","id":1}"#)).collect();
    assert_eq!(answers[0]["type"], "pong");
    let limited =
        answers.iter().find(|answer| answer["code"] == "RATE_LIMITED").expect("ten at once are too many");
    assert!(limited["retry_after_ms"].as_u64().unwrap() > 0, "{limited}");
    assert_eq!(limited["id"], 1);
    // What cannot be read is refused in its own form, too.
    let broken = r#"{"action":"submit_order","id":2,"order_id":"a"}"#;
    let mut answers = (0..10).map(|_| client.ask(broken));
    let limited = answers.find(|answer| answer["code"] == "RATE_LIMITED").expect("ten at once are too many");
    assert_eq!((&limited["type"], &limited["order_id"]), (&"order_reject".into(), &"a".into()), "{limited}");
    assert!(limited["id"] == 2 && limited["retry_after_ms"].as_u64().unwrap() > 0, "{limited}");
}

/// What may wait for a client is what it is told alone, and no larger book than that is needed to fill it.
#[test]
fn of_unsent_bytes_and_a_book_that_is_larger() {
    let arguments = ["serve", "--no-demo-flow", "--max-outbox-bytes", "4096", "--send-buffer-bytes", "4096"];
    let exchange = Exchange::start_with(&arguments);
    let mut trader = Client::log_in(&exchange.ws, "trader");
    const LEVELS: usize = 1000;
    for level in 0..LEVELS {
        let price = 20_000 + level;
        trader.order(&format!(r#""order_id":"{level}","side":"buy","price":"{price}","quantity":"0.001""#));
    }
    // The sockets have no room for it either.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address: SocketAddr = authority(&exchange.ws).parse().unwrap();
    socket.connect(&address.into()).unwrap();
    let (socket, _) = tungstenite::client(&exchange.ws, socket.into()).unwrap();
    let mut newcomer = Client { socket };
    newcomer.send(r#"{"action":"subscribe","channel":"BTC-USDT@depth"}"#);
    let snapshot = newcomer.until("depth_snapshot");
    assert_eq!(snapshot["data"]["bids"].as_array().map(Vec::len), Some(LEVELS));
}

#[test]
fn a_stopping_server_says_so() {
    let mut exchange = Exchange::start();
    let mut client = Client::connect(&exchange.ws);
    client.ask(r#"{"action":"subscribe","channel":"BTC-USDT"}"#);
    exchange.terminate();
    client.until("server_shutdown");
    // Who does not take its end is waited for, and HTTP goes on for as long.
    let ready = get(&exchange.http, "/ready");
    assert_eq!((ready.0, &ready.1["status"]), (503, &"stopping".into()));
    assert_eq!(client.until_closed(), Some(1001));
    assert!(exchange.wait().success(), "everything accepted took effect and the money is right");
}

#[test]
fn a_wrong_configuration_is_named() {
    for (arguments, name) in [
        (vec!["serve", "--reactors", "1000"], "reactors"),
        (vec!["serve", "--max-channels", "0"], "channels_max"),
        (vec!["serve", "--config", "nowhere.toml"], "nowhere.toml"),
        (vec!["replay", "nowhere"], "nowhere"),
        (vec!["serve", "--nonsense"], "--nonsense"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_ringside"))
            .args(&arguments)
            .stdin(Stdio::null())
            .output()
            .expect("cargo built the binary");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(name), "{arguments:?}: {said}");
    }
}

//! Strangers connect to the page's port, and ask for nothing, or never to the end.
//!
//! They take the places that there are for them, and not for long. Who comes then is told, also how the exchange is; who trades
//! does not notice, and the exchange keeps the files that its journal needs.

use crate::client::{Client, order};
use crate::exchange::{Exchange, fresh_directory, wait_until};
use crate::http::{get, get_text};
use socket2::{Domain, Socket, Type};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

/// The beginning of a request.
const HALF: &[u8] = b"GET /health HTTP/1.1\r\nX: ";
const WHOLE: &[u8] = b"GET /api/v1/time HTTP/1.1\r\nHost: here\r\n\r\n";

#[test]
fn who_finds_no_place_is_told_so() {
    let exchange = Exchange::start_with_keys(
        "[limits]\nhttp_connections_max = 5\nhttp_connections_max_per_address = 3\nhandshake_timeout_s = 3600\n",
    );
    let mut trader = Client::log_in(&exchange.ws, "ann");
    let strangers: Vec<_> = (0..3).map(|_| stranger(&exchange, 2, HALF)).collect();
    let refused = answer(stranger(&exchange, 2, WHOLE));
    assert!(
        refused.starts_with("HTTP/1.1 429 ") && refused.contains("this address has as many"),
        "{refused}"
    );
    assert_eq!(get(&exchange.http, "/health").0, 200, "others are served");
    let _others: Vec<_> = (0..2).map(|_| stranger(&exchange, 3, HALF)).collect();
    let refused = answer(stranger(&exchange, 4, WHOLE));
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("the server has as many"), "{refused}");
    assert!(
        refused.contains("retry-after: 1\r\n") && refused.contains(r#""code":"OVERLOADED""#),
        "{refused}"
    );
    assert_eq!(trader.ask(&resting("a"))["type"], "order_ack");

    drop(strangers);
    wait_until(|| {
        let (status, metrics) = get_text(&exchange.http, "/metrics");
        status == 200 && metrics.contains("\nringside_http_connections 3\n") // two strangers and who asks
    });
}

#[test]
fn who_asks_nothing_or_half_a_thing_loses_its_place() {
    let exchange = Exchange::start_with_keys("[limits]\nhandshake_timeout_s = 1\n");
    assert_eq!(answer(stranger(&exchange, 1, b"")), "");
    assert_eq!(answer(stranger(&exchange, 1, HALF)), "");
    let served = answer(stranger(&exchange, 1, WHOLE));
    assert!(
        served.starts_with("HTTP/1.1 200 ") && served.contains(r#"{"ts":"#),
        "and ended after that: {served}"
    );
}

#[test]
fn who_finds_no_place_is_told_how_the_exchange_is() {
    let exchange = Exchange::start_with_keys(
        "[limits]\nhttp_connections_max = 1\nhttp_connections_max_per_address = 1\nhandshake_timeout_s = 3600\n",
    );
    let _stranger = stranger(&exchange, 2, HALF);
    assert_eq!(get(&exchange.http, "/api/v1/time").0, 503);
    assert_eq!(get(&exchange.http, "/health").0, 200);
    assert_eq!(get(&exchange.http, "/ready").0, 200);
    assert!(exchange.metrics().contains("\nringside_http_connections 1\n"));
}

#[test]
fn a_crowd_leaves_the_journal_the_files_that_it_needs() {
    const FILES: u32 = 400;
    let data = fresh_directory("crowd");
    let text = data.to_str().expect("our own path");
    for reactors in ["1", "2"] {
        let arguments = ["serve", "--no-demo-flow", "--data-dir", text, "--reactors", reactors];
        let exchange = Exchange::start_with_files(FILES, &arguments);
        assert!(exchange.log().contains("raise `ulimit -n`"), "{}", exchange.log());
        let mut trader = Client::log_in(&exchange.ws, "ann");
        let ws = exchange.ws.trim_start_matches("ws://").trim_end_matches("/ws");
        let mut open_max = 0;
        let mut crowd = Vec::new();
        for _ in 0..FILES {
            crowd.push(connect(ws, 2, HALF));
            crowd.push(stranger(&exchange, 3, HALF));
            open_max = open_max.max(open_files(&exchange));
        }
        // The last ones come in when all others have.
        for refused in crowd.drain(crowd.len() - 2..) {
            answer(refused);
            open_max = open_max.max(open_files(&exchange));
        }
        println!("{reactors} reactors: at most {open_max} of {FILES}");
        assert!(open_max <= FILES - 32, "{open_max} of {FILES} were open");
        assert_eq!(trader.ask(&resting(reactors))["type"], "order_ack");
        assert_eq!(get(&exchange.http, "/ready").1["status"], "ready");
        assert!(!exchange.log().contains("accept failed"), "{}", exchange.log());
    }
    fs::remove_dir_all(data).expect("it is ours");
}

#[test]
fn too_few_files_are_said_before_anything_begins() {
    let arguments = "--ws-listen 127.0.0.1:0 --http-listen 127.0.0.1:0 --reactors 1";
    let limited = format!("ulimit -n 200 && exec timeout 30 \"$0\" serve {arguments}");
    let too_few = Command::new("sh")
        .args(["-c", &limited, env!("CARGO_BIN_EXE_ringside")])
        .output()
        .expect("there is a shell");
    let said = String::from_utf8_lossy(&too_few.stderr);
    assert!(too_few.status.code() == Some(1) && said.contains("ulimit -n"), "{said}");
    assert!(said.contains("are needed"), "{said}");
}

fn resting(id: &str) -> String {
    order(&format!(r#""order_id":"{id}","side":"buy","price":"20000","quantity":"0.001""#))
}

fn stranger(exchange: &Exchange, host: u8, says: &[u8]) -> TcpStream {
    connect(exchange.http.trim_start_matches("http://").trim_end_matches('/'), host, says)
}

/// From 127.0.0.`host`.
fn connect(authority: &str, host: u8, says: &[u8]) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).unwrap();
    let to: SocketAddr = authority.parse().unwrap();
    socket.connect(&to.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    // Who is refused at once may have been closed to.
    let _ = stream.write_all(says);
    stream
}

/// All that comes until the server ends the connection.
fn answer(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => String::from_utf8(answer).expect("text"),
    }
}

fn open_files(exchange: &Exchange) -> u32 {
    fs::read_dir(format!("/proc/{}/fd", exchange.id())).expect("it runs").count() as u32
}

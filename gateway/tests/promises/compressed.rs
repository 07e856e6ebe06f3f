//! Whoever offers permessage-deflate gets market data compressed, and the same as everybody else.
//!
//! Three foreign clients inflate what we compress: the load test's reader (which follows with tungstenite above it), Python's
//! websockets, and Chromium. Each follows a symbol that trades and ends with the book of a subscriber that has negotiated
//! nothing. What they say compressed is understood, and a message that would inflate without end costs one connection.

use crate::browser::driver::{Screen, with_page_of};
use crate::client::Client;
use crate::exchange::Exchange;
use crate::followed::{PYTHON, follow_in_python, has_websockets};
use crate::http;
use flate2::{Compress, Compression, FlushCompress};
use indicatif::ProgressBar;
use loadtest::market::Market;
use loadtest::scenario::fanout;
use loadtest::scenario::fleet::{Clients, Plan};
use loadtest::scenario::flow;
use loadtest::scenario::flow::Load;
use loadtest::target::Target;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const OFFER: &str = "permessage-deflate; client_max_window_bits";
const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// A socket with whatever extensions the answer to `offer` names.
fn open(exchange: &Exchange, path: &str, offer: &str) -> (TcpStream, Option<String>) {
    let authority = exchange.ws.trim_start_matches("ws://").trim_end_matches("/ws");
    let mut stream = TcpStream::connect(authority).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: {offer}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let (mut head, mut byte) = (String::new(), [0]);
    while !head.ends_with("\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0] as char);
    }
    let extensions = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    (stream, extensions.map(str::to_owned))
}

/// A masked frame of a compressed text; the mask is zero.
fn compressed(text: &str) -> Vec<u8> {
    let mut payload = Vec::with_capacity(text.len() + 100);
    Compress::new(Compression::best(), false)
        .compress_vec(text.as_bytes(), &mut payload, FlushCompress::Sync)
        .unwrap();
    payload.truncate(payload.len() - 4);
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let header = match payload.len() {
        short @ 0..126 => vec![0xc1, 0x80 | short as u8],
        _ => vec![0xc1, 0x80 | 126, length[0], length[1]],
    };
    [header, vec![0; 4], payload].concat()
}

/// The next frame: its first byte and its payload.
fn next_frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut header = [0; 2];
    stream.read_exact(&mut header).unwrap();
    let mut length = header[1] as usize;
    if length == 126 {
        let mut long = [0; 2];
        stream.read_exact(&mut long).unwrap();
        length = u16::from_be_bytes(long) as usize;
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).unwrap();
    (header[0], payload)
}

fn counter(http: &str, name: &str) -> u64 {
    let metrics = http::get_text(http, "/metrics").1;
    let lines = metrics.lines().filter(|line| line.starts_with(name) && !line.starts_with('#'));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn a_reader_of_compressed_frames_ends_with_the_book_of_a_plain_one() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        let target = Target::websocket(&exchange.ws).expect("it is on loopback");
        let http = Target::http(&exchange.http).expect("it is on loopback");
        let market = Market::fetch(&http, "BTC-USDT").await.unwrap();
        let flow =
            flow::Options { target: target.clone(), market, commands_per_second: 2000, seed: 1, run: 1 };
        let options = fanout::Options {
            plan: Plan { target, channel: "BTC-USDT".into(), subscribers: 12, full_every: 3 },
            clients: Clients { deflate: true, ..Clients::default() },
            spread: None,
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(2),
            load: Some(Load::Steps(flow)),
            counters: Some(http),
            against: None,
        };
        fanout::run(&options, &ProgressBar::hidden()).await.unwrap()
    });
    assert_eq!(outcome.verdict.violations, [""; 0]);
    let results = outcome.results;
    // The fresh subscribers that books are compared with are plain.
    assert_eq!((results.checked, results.books_compared, results.spans.compared), (4, 4, 12));
    let (before, after) = (
        counter(&exchange.http, "ringside_feed_deflate_bytes_in_total"),
        counter(&exchange.http, "ringside_feed_deflate_bytes_out_total"),
    );
    eprintln!("{before} bytes were compressed to {after}");
    // Each of them by an eighth at least, or it would not have been.
    assert!(before > 0 && after * 10 < before * 9, "{before} bytes were compressed to {after}");
    let deflated = counter(&exchange.http, "ringside_feed_deflated_total");
    let distinct = results.distinct_frames;
    assert!(
        deflated <= distinct + 100,
        "{deflated} compressions for {distinct} messages to twelve subscribers"
    );
    assert!(counter(&exchange.http, "ringside_feed_deflate_nanoseconds_total") > 0);
}

#[test]
fn python_ends_with_the_book_of_a_plain_client() {
    if !has_websockets() {
        return eprintln!("skipped: {PYTHON} has no websockets (apt-get install python3-websockets)");
    }
    let exchange = Exchange::start();
    let summary = follow_in_python(
        &exchange.ws,
        &["--channel", "BTC-USDT", "--until-idle-ms", "3000", "--seconds", "3"],
    );
    assert_eq!(summary["ok"], true, "{summary}");
    assert_eq!(summary["extensions"], json!(["permessage-deflate"]), "{summary}");
    assert!(summary["updates"].as_u64() > Some(5), "{summary}");
    assert!(counter(&exchange.http, "ringside_feed_deflated_total") > 5);
    assert!(counter(&exchange.http, "ringside_inflated_total") > 0, "it compresses what it says");
}

/// The market is the test's own, so that it is quiet when the books are compared.
#[test]
fn a_browser_ends_with_the_book_of_a_plain_client() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let (ws, http) = (exchange.ws.clone(), exchange.http.clone());
    with_page_of(exchange, Screen::Desk, |page| async move {
        page.script(&FOLLOW.replace("WS", &ws)).await;
        page.wait_until("the book is there", "return book.seq !== undefined").await;
        let seq = trade(&ws);
        page.wait_until("all is followed", format!("return book.seq >= {seq}")).await;
        assert_eq!(page.script("return book.faults").await, json!([]));
        let extension = page.script("return book.socket.extensions.split(';')[0]").await;
        assert_eq!(extension, "permessage-deflate", "it offers compression by itself");
        let followed = page.script("return [book.seq, levels('bids'), levels('asks')]").await;
        assert_eq!(followed, plain_book(&ws, seq), "followed, and as a plain subscriber is told it");
        assert!(page.script("return book.trades").await.as_u64() > Some(10));
        assert!(counter(&http, "ringside_feed_deflated_total") > 100, "that was compressed");
        page.assert_console_is_clean().await;
    });
}

/// Rebuilds the book as a page would, with what has come in between.
const FOLLOW: &str = r#"
    window.book = { bids: {}, asks: {}, trades: 0, faults: [] };
    book.socket = new WebSocket('WS');
    book.socket.onopen = () => book.socket.send('{"action":"subscribe","channel":"BTC-USDT"}');
    book.socket.onclose = (event) => book.faults.push(`closed with ${event.code}`);
    book.socket.onmessage = (event) => {
        const { type, data } = JSON.parse(event.data);
        if (type === 'trade') book.trades += 1;
        if (type !== 'depth_snapshot' && type !== 'depth_update') return;
        if (type === 'depth_update' && data.prev_seq !== book.seq) book.faults.push(`${data.prev_seq} after ${book.seq}`);
        for (const side of ['bids', 'asks']) {
            for (const [price, quantity] of data[side]) {
                if (quantity === '0') delete book[side][price]; else book[side][price] = quantity;
            }
        }
        book.seq = data.seq;
    };
    window.levels = (side) => Object.entries(book[side]).sort(([a], [b]) => (side === 'bids' ? b - a : a - b));
"#;

/// Orders that rest on both sides, and some that trade with them. Returns the sequence of the last, which rests.
fn trade(ws: &str) -> u64 {
    let mut ann = Client::log_in(ws, "ann");
    let mut seq = 0;
    for n in 0..200 {
        let (side, price) = match n % 5 {
            0 | 2 => ("buy", 29_990 - n % 37),
            4 if n < 195 => ("buy", 30_050),
            _ => ("sell", 30_010 + n % 31),
        };
        let ack = ann.order(&format!(
            r#""order_id":"n{n}","side":"{side}","price":"{price}","quantity":"0.00{}""#,
            1 + n % 9
        ));
        seq = ack["seq"].as_u64().expect("it is in the book");
    }
    seq
}

/// As a fresh subscriber is told it who offers no compression, once the feed is there.
fn plain_book(ws: &str, seq: u64) -> Value {
    loop {
        let mut client = Client::connect(ws);
        client.send(r#"{"action":"subscribe","channel":"BTC-USDT"}"#);
        let snapshot = &client.until("depth_snapshot")["data"];
        if snapshot["seq"].as_u64() >= Some(seq) {
            return json!([snapshot["seq"], snapshot["bids"], snapshot["asks"]]);
        }
    }
}

#[test]
fn what_a_client_compresses_is_understood() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow", "--echo"]);
    let (mut stream, extensions) = open(&exchange, "/echo", OFFER);
    assert_eq!(extensions.as_deref(), Some(ANSWER));
    for text in ["hello", "", &"a longer text, with ä and € ".repeat(1000)] {
        stream.write_all(&compressed(text)).unwrap();
        assert_eq!(next_frame(&mut stream), (0x81, text.as_bytes().to_vec()), "private messages are plain");
    }
    assert_eq!(counter(&exchange.http, "ringside_inflated_total"), 3);
}

#[test]
fn what_would_never_end_costs_one_connection() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let (mut witness, _) = open(&exchange, "/ws", OFFER);
    let before = exchange.resident_bytes();
    for _ in 0..20 {
        let (mut stream, _) = open(&exchange, "/ws", OFFER);
        stream.write_all(&compressed(&" ".repeat(32 << 20))).unwrap();
        let (first, payload) = next_frame(&mut stream);
        assert_eq!((first, &payload[..2]), (0x88, &1009u16.to_be_bytes()[..]));
    }
    let grown = exchange.resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "the server grew by {grown} bytes");
    witness.write_all(&compressed(r#"{"action":"ping"}"#)).unwrap();
    let (first, pong) = next_frame(&mut witness);
    assert!(first == 0x81 && pong.starts_with(br#"{"type":"pong""#));
}

#[test]
fn nothing_is_compressed_where_it_is_switched_off_or_not_offered() {
    let exchange = Exchange::start_with(&["serve", "--no-compression"]);
    let (mut stream, extensions) = open(&exchange, "/ws", OFFER);
    assert_eq!(extensions, None);
    stream.write_all(&compressed(r#"{"action":"ping"}"#)).unwrap();
    let (first, payload) = next_frame(&mut stream);
    assert_eq!((first, &payload[..2]), (0x88, &1002u16.to_be_bytes()[..]));
    let exchange = Exchange::start();
    let (_, extensions) = open(&exchange, "/ws", "x-webkit-deflate-frame, permessage-deflate; level=9");
    assert_eq!(extensions, None);
    let mut client = Client::connect(&exchange.ws);
    client.send(r#"{"action":"subscribe","channel":"BTC-USDT"}"#);
    client.until("depth_update");
    assert_eq!(counter(&exchange.http, "ringside_feed_deflated_total"), 0);
}

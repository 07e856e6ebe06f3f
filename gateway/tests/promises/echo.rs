//! `/echo` sends back what it gets, through the codec that all clients speak to, and ends a connection that breaks
//! RFC 6455 with the code the RFC gives. `tungstenite` is the independent far end; what it would never send goes out raw.

use crate::client::Client;
use crate::exchange::Exchange;
use std::io::{Read, Write};
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

fn start() -> (Exchange, String) {
    let exchange =
        Exchange::start_with(&["serve", "--no-demo-flow", "--echo", "--max-message-bytes", "1048576"]);
    let echo = exchange.ws.replace("/ws", "/echo");
    (exchange, echo)
}

#[test]
fn repeats_every_size_and_kind() {
    let (_exchange, url) = start();
    let mut client = Client::connect(&url);
    for size in [0, 1, 125, 126, 127, 65_535, 65_536, 300_000, 1_048_576] {
        for message in [Message::text("x".repeat(size)), Message::binary(vec![0xab; size])] {
            client.socket.send(message.clone()).unwrap();
            assert!(client.socket.read().unwrap() == message, "{size} bytes");
        }
    }
    client.socket.send(Message::Ping(b"are you there".as_slice().into())).unwrap();
    assert_eq!(client.socket.read().unwrap(), Message::Pong(b"are you there".as_slice().into()));
}

#[test]
fn repeats_the_close_code() {
    let (_exchange, url) = start();
    for code in [1000, 1001, 1007, 1011, 3000, 4999] {
        let mut client = Client::connect(&url);
        let frame = CloseFrame { code: CloseCode::from(code), reason: "done".into() };
        client.socket.close(Some(frame)).unwrap();
        assert_eq!(client.until_closed(), Some(code));
    }
}

/// A masked client frame; the mask is zero, so the payload stands as it is.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        long => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(long).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

#[test]
fn ends_a_violation_with_the_code_of_the_rfc() {
    let (_exchange, url) = start();
    let mut too_big = vec![0x82, 0x80 | 127];
    too_big.extend(1_048_577u64.to_be_bytes());
    too_big.extend([0; 4]);
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("an unmasked frame", vec![0x81, 0x01, b'x'], 1002),
        ("a reserved bit", frame(0xc1, b"x"), 1002),
        ("a reserved opcode", frame(0x83, b"x"), 1002),
        ("a reserved control opcode", frame(0x8b, b""), 1002),
        ("a fragmented ping", frame(0x09, b""), 1002),
        ("a ping of 126 bytes", frame(0x89, &[0; 126]), 1002),
        ("a continuation of nothing", frame(0x80, b"x"), 1002),
        ("a message within a message", [frame(0x01, b"a"), frame(0x81, b"b")].concat(), 1002),
        ("a close of one byte", frame(0x88, b"x"), 1002),
        ("a close with a reserved code", frame(0x88, &1005u16.to_be_bytes()), 1002),
        ("a close reason that is not UTF-8", frame(0x88, &[0x03, 0xe8, 0xff]), 1007),
        ("text that is not UTF-8", frame(0x81, &[0xc3, 0x28]), 1007),
        ("half a text that can never be UTF-8", frame(0x01, &[0xed, 0xa0, 0x80]), 1007),
        ("a message that is too big", too_big, 1009),
    ];
    for (what, bytes, code) in cases {
        let mut client = Client::connect(&url);
        let stream = client.socket.get_mut();
        stream.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(answer.first(), Some(&0x88), "{what}: a close frame");
        assert_eq!(u16::from_be_bytes([answer[2], answer[3]]), code, "{what}");
    }
}

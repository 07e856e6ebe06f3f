//! tungstenite, written by others, on the far end: what it says we hear, what we say it hears.

use super::{Heard, assert_heard, hear, random_pieces};
use crate::ws::frame::{append_frame, write_close, write_frame};
use crate::ws::handshake::{HEAD_BYTES_MAX, parse};
use crate::ws::{CloseCode, Limits, Opcode};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::rc::Rc;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::HandshakeError;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

/// A client's socket in memory: we hold the other end.
#[derive(Clone, Default)]
struct Wire {
    to_client: Rc<RefCell<VecDeque<u8>>>,
    from_client: Rc<RefCell<Vec<u8>>>,
}

impl Wire {
    fn client(&self) -> WebSocket<Wire> {
        WebSocket::from_raw_socket(self.clone(), Role::Client, Some(WebSocketConfig::default()))
    }
}

impl Read for Wire {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.to_client.borrow_mut().read(out)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.from_client.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn its_client_accepts_our_handshake() {
    let wire = Wire::default();
    let mut request = "ws://localhost:8080/ws?hello=1".into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "sbe, json".parse().unwrap());
    let Err(HandshakeError::Interrupted(waiting)) = tungstenite::client(request, wire.clone()) else {
        panic!("the client does not wait for our answer")
    };

    let head = wire.from_client.take();
    let request = parse(&head, HEAD_BYTES_MAX).unwrap().unwrap();
    assert_eq!((request.path, request.query, request.host), ("/ws", Some("hello=1"), "localhost:8080"));
    assert_eq!(request.consumed, head.len());
    let mut response = Vec::new();
    request.write_accepted(&mut response, request.select_protocol(&["json"]), None);
    wire.to_client.borrow_mut().extend(response);

    let (mut client, response) = waiting.handshake().expect("accepted");
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "json");
    client.send(Message::text("hello")).unwrap();
    assert_eq!(hear(&Limits::default(), [&wire.from_client.take()[..]]), [Heard::Text(b"hello".to_vec())]);
}

#[test]
fn what_it_says_we_hear() {
    for seed in 0..200 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let wire = Wire::default();
        let mut client = wire.client();
        let mut said = Vec::new();
        for _ in 0..random.random_range(1..20) {
            say_something(&mut client, &mut random, &mut said);
        }
        let reason = "bye".repeat(random.random_range(0..40));
        client.close(Some(CloseFrame { code: 1000.into(), reason: reason.clone().into() })).unwrap();
        said.push(Heard::Close(Some(1000), reason));

        let bytes = wire.from_client.take();
        assert_heard(&hear(&Limits::default(), [&bytes[..]]), &said, &format!("seed {seed}"), "whole");
        let pieces = random_pieces(&bytes, seed);
        assert_heard(&hear(&Limits::default(), pieces), &said, &format!("seed {seed}"), "in pieces");
    }
}

fn say_something(client: &mut WebSocket<Wire>, random: &mut ChaCha8Rng, said: &mut Vec<Heard>) {
    match random.random_range(0..5) {
        0 => {
            let text = random_text(random);
            client.send(Message::text(text.clone())).unwrap();
            said.push(Heard::Text(text.into_bytes()));
        }
        1 => {
            let bytes = random_bytes(random, 70);
            client.send(Message::binary(bytes.clone())).unwrap();
            said.push(Heard::Binary(bytes));
        }
        2 => {
            let payload = random_bytes(random, 125);
            client.send(Message::Pong(payload.clone().into())).unwrap();
            said.push(Heard::Pong(payload));
        }
        3 => ping(client, random, said),
        _ => say_in_fragments(client, random, said),
    }
}

fn ping(client: &mut WebSocket<Wire>, random: &mut ChaCha8Rng, said: &mut Vec<Heard>) {
    let payload = random_bytes(random, 125);
    client.send(Message::Ping(payload.clone().into())).unwrap();
    said.push(Heard::Ping(payload));
}

/// Cut between bytes, not characters, with pings between.
fn say_in_fragments(client: &mut WebSocket<Wire>, random: &mut ChaCha8Rng, said: &mut Vec<Heard>) {
    let text = random_text(random).into_bytes();
    let pieces = random_pieces(&text, random.next_u64());
    for (index, piece) in pieces.iter().enumerate() {
        let opcode = OpCode::Data(if index == 0 { Data::Text } else { Data::Continue });
        let frame = Frame::message(piece.to_vec(), opcode, index + 1 == pieces.len());
        client.send(Message::Frame(frame)).unwrap();
        if index + 1 < pieces.len() && random.random_bool(0.1) {
            ping(client, random, said);
        }
    }
    if !pieces.is_empty() {
        said.push(Heard::Text(text));
    }
}

fn random_text(random: &mut ChaCha8Rng) -> String {
    let len = [0, 10, 130, 3000][random.random_range(0..4)];
    (0..len).map(|_| ['a', 'ß', '€', '𤭢'][random.random_range(0..4)]).collect()
}

fn random_bytes(random: &mut ChaCha8Rng, len_max: usize) -> Vec<u8> {
    let mut bytes = vec![0; random.random_range(0..=len_max)];
    random.fill_bytes(&mut bytes);
    bytes
}

#[test]
fn what_we_say_it_hears() {
    let wire = Wire::default();
    let mut client = wire.client();
    for len in [0, 1, 125, 126, 65535, 65536, 200_000] {
        let text = "x".repeat(len);
        let mut out = Vec::new();
        write_frame(&mut out, Opcode::Text, text.as_bytes());
        append_frame(&mut out, Opcode::Binary, 500, |out| out.extend_from_slice(text.as_bytes()));
        wire.to_client.borrow_mut().extend(out);
        assert_eq!(client.read().unwrap(), Message::text(text.clone()));
        assert_eq!(client.read().unwrap(), Message::binary(text.into_bytes()));
    }
    let mut out = Vec::new();
    write_frame(&mut out, Opcode::Ping, b"are you there");
    write_frame(&mut out, Opcode::Pong, b"");
    write_close(&mut out, CloseCode::SLOW_CONSUMER, "too slow");
    wire.to_client.borrow_mut().extend(out);
    assert_eq!(client.read().unwrap(), Message::Ping(b"are you there"[..].into()));
    assert_eq!(client.read().unwrap(), Message::Pong(b""[..].into()));
    let close = CloseFrame { code: 4001.into(), reason: "too slow".into() };
    assert_eq!(client.read().unwrap(), Message::Close(Some(close)));
    client.flush().unwrap();
    // It answers by itself: our ping, then our close.
    assert_eq!(
        hear(&Limits::default(), [&wire.from_client.take()[..]]),
        [Heard::Pong(b"are you there".to_vec()), Heard::Close(Some(4001), "too slow".into())]
    );
}

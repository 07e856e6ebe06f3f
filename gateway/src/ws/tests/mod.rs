//! What the codec promises, told as frames.
//!
//! A case is what the client sends, one frame a line, and what we hear, separated by `|`:
//! ```text
//! check("text+ Hel
//!        ping  hi
//!        cont  lo     => ping hi | text Hello");
//! ```
//! `+` after an opcode: more fragments follow. `opN`: any opcode. `rsvN `: reserved bits. `close 1000 bye`: code and
//! reason. `a*200`: repeated. `\xNN`: a byte. Every case runs whole, byte by byte, and cut at random.

mod closing;
mod corpus;
mod deflate;
mod deflate_offers;
mod fragments;
mod frames_out;
mod framing;
mod handshake;
mod memory;
mod properties;
mod tungstenite;
mod utf8;

use crate::ws; // `properties` is also part of the fuzz targets, where the codec is called `gateway::ws`
use crate::ws::frame::unmask;
use crate::ws::{Decoder, Event, Limits, Reading};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// An [`Event`] or violation that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    Violation(u16),
}

fn check(case: &str) {
    check_within(&Limits::default(), case);
}

fn check_within(limits: &Limits, case: &str) {
    let (sent, expected) = case.split_once("=>").expect("a case has `=>`");
    let bytes: Vec<u8> = sent.trim().lines().flat_map(|line| client_frame(line.trim())).collect();
    let expected: Vec<Heard> =
        expected.split('|').map(str::trim).filter(|heard| !heard.is_empty()).map(parse_heard).collect();
    check_bytes(limits, &bytes, &expected, case);
}

fn check_bytes(limits: &Limits, bytes: &[u8], expected: &[Heard], story: &str) {
    check_cuts(bytes, expected, story, |pieces| hear(limits, pieces));
}

/// Whole, byte by byte, and cut at random places.
fn check_cuts(bytes: &[u8], expected: &[Heard], story: &str, hear: impl Fn(Vec<&[u8]>) -> Vec<Heard>) {
    assert_heard(&hear(vec![bytes]), expected, story, "whole");
    assert_heard(&hear(bytes.chunks(1).collect()), expected, story, "byte by byte");
    for seed in 0..20 {
        let pieces = random_pieces(bytes, seed);
        assert_heard(&hear(pieces), expected, story, &format!("cut with seed {seed}"));
    }
}

fn assert_heard(heard: &[Heard], expected: &[Heard], story: &str, cut: &str) {
    assert!(heard == expected, "{cut}: {story}\nheard    {}\nexpected {}", show(heard), show(expected));
}

fn show(heard: &[Heard]) -> String {
    let mut text = format!("{heard:?}");
    text.truncate(500);
    text
}

fn random_pieces(mut bytes: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let piece_bytes_max = [2, 5, 20, 1500][seed as usize % 4];
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(random.random_range(1..=piece_bytes_max).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

fn hear<'a>(limits: &Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Heard> {
    let mut decoder = Decoder::new();
    let mut heard = Vec::new();
    for piece in pieces {
        hear_piece(&mut decoder, limits, piece, &mut heard);
    }
    heard
}

fn hear_piece(decoder: &mut Decoder, limits: &Limits, piece: &[u8], heard: &mut Vec<Heard>) {
    let mut scratch = piece.to_vec();
    hear_all(decoder.read(&mut scratch, limits), heard);
}

fn hear_all(mut reading: Reading<'_>, heard: &mut Vec<Heard>) {
    loop {
        heard.push(match reading.next_event() {
            Ok(None) => return,
            Ok(Some(Event::Text(text))) => Heard::Text(text.to_vec()),
            Ok(Some(Event::Binary(bytes))) => Heard::Binary(bytes.to_vec()),
            Ok(Some(Event::Ping(payload))) => Heard::Ping(payload.to_vec()),
            Ok(Some(Event::Pong(payload))) => Heard::Pong(payload.to_vec()),
            Ok(Some(Event::Close { code, reason })) => {
                Heard::Close(code.map(|code| code.0), reason.to_string())
            }
            Err(violation) => Heard::Violation(violation.close_code().0),
        });
    }
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// One line of a case as the client's bytes.
fn client_frame(line: &str) -> Vec<u8> {
    let (reserved, line) = match line.strip_prefix("rsv") {
        Some(line) => (line[..1].parse::<u8>().unwrap(), line[1..].trim()),
        None => (0, line),
    };
    let (name, payload) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let (name, is_final) = name.strip_suffix('+').map_or((name, true), |name| (name, false));
    let opcode = match name {
        "cont" => 0,
        "text" => 1,
        "bin" => 2,
        "close" => 8,
        "ping" => 9,
        "pong" => 10,
        _ => name.strip_prefix("op").expect("an opcode").parse().unwrap(),
    };
    let payload = if name == "close" { close_payload(payload.trim()) } else { payload_bytes(payload.trim()) };
    masked_frame((is_final as u8) << 7 | reserved << 4 | opcode, &payload)
}

fn masked_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len @ 126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    let payload_at = frame.len();
    frame.extend(payload);
    unmask(&mut frame[payload_at..], MASK, 0);
    frame
}

fn close_payload(text: &str) -> Vec<u8> {
    if text.is_empty() {
        return Vec::new();
    }
    let (code, reason) = text.split_once(' ').unwrap_or((text, ""));
    let mut payload = code.parse::<u16>().unwrap().to_be_bytes().to_vec();
    payload.extend(payload_bytes(reason));
    payload
}

fn payload_bytes(text: &str) -> Vec<u8> {
    if let Some((unit, count)) = text.rsplit_once('*')
        && let Ok(count) = count.parse()
    {
        return payload_bytes(unit).repeat(count);
    }
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once("\\x") {
        bytes.extend(plain.as_bytes());
        bytes.push(u8::from_str_radix(&escaped[..2], 16).unwrap());
        rest = &escaped[2..];
    }
    bytes.extend(rest.as_bytes());
    bytes
}

fn parse_heard(text: &str) -> Heard {
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    match kind {
        "text" => Heard::Text(payload_bytes(rest)),
        "bin" => Heard::Binary(payload_bytes(rest)),
        "ping" => Heard::Ping(payload_bytes(rest)),
        "pong" => Heard::Pong(payload_bytes(rest)),
        "violation" => Heard::Violation(rest.parse().unwrap()),
        "close" => {
            let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            Heard::Close(code.parse().ok(), String::from_utf8(payload_bytes(reason)).unwrap())
        }
        _ => panic!("nothing is heard as {kind}"),
    }
}

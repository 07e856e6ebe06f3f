//! What holds for any bytes at all. The fuzz targets in `gateway/fuzz` include this file and run the same functions.

use super::ws::deflate::{Accepted, Inflater};
use super::ws::{Decoder, Event, Limits, handshake};
use std::cell::RefCell;

/// Small, so that random lengths land on both sides of it.
const LIMITS: Limits = Limits { message_bytes_max: 300 };
const HEAD_BYTES_MAX: usize = 600;

/// The same bytes say the same, however they are cut. The first byte of `data` chooses one of the cuts.
pub fn decoder_does_not_see_cuts(data: &[u8]) {
    does_not_see_cuts(data, |pieces| story(pieces, None));
}

/// The same of a connection that may compress. What is inflated is at most as long as a message may be.
pub fn inflating_decoder_does_not_see_cuts(data: &[u8]) {
    // One for all, as in a reactor: what one connection has said must not touch the next.
    let inflater = RefCell::new(Inflater::default());
    does_not_see_cuts(data, |pieces| story(pieces, Some(&mut inflater.borrow_mut())));
}

fn does_not_see_cuts(data: &[u8], story: impl Fn(Vec<&[u8]>) -> Vec<String>) {
    let Some((&seed, bytes)) = data.split_first() else { return };
    let whole = story(vec![bytes]);
    assert_eq!(story(bytes.chunks(1).collect()), whole, "byte by byte");
    let piece = 1 + seed as usize;
    assert_eq!(story(bytes.chunks(piece).collect()), whole, "in pieces of {piece}");
    let (head, tail) = bytes.split_at((seed as usize).min(bytes.len()));
    assert_eq!(story(vec![head, tail]), whole, "cut after {} bytes", head.len());
}

fn story(pieces: Vec<&[u8]>, mut inflater: Option<&mut Inflater>) -> Vec<String> {
    let mut decoder = Decoder::new();
    let mut story = Vec::new();
    for piece in pieces {
        let mut scratch = piece.to_vec();
        let mut reading = decoder.read(&mut scratch, &LIMITS);
        if let Some(inflater) = &mut inflater {
            reading = reading.inflating(inflater);
        }
        loop {
            match reading.next_event() {
                Ok(Some(event)) => {
                    if let Event::Text(payload) | Event::Binary(payload) = &event {
                        assert!(payload.len() <= LIMITS.message_bytes_max);
                    }
                    story.push(format!("{event:?}"));
                }
                Ok(None) => break,
                Err(violation) => story.push(violation.to_string()),
            }
        }
    }
    story
}

/// A head is undecided until some byte decides it, and no later byte changes that.
pub fn handshake_is_decided_once(bytes: &[u8]) {
    decided_once(bytes, HEAD_BYTES_MAX);
    decided_once(bytes, handshake::HEAD_BYTES_MAX);
}

fn decided_once(bytes: &[u8], head_bytes_max: usize) {
    let whole = handshake::parse(bytes, head_bytes_max);
    let mut decided = false;
    for end in 0..bytes.len() {
        let early = handshake::parse(&bytes[..end], head_bytes_max);
        decided |= early != Ok(None);
        assert_eq!(early, if decided { whole.clone() } else { Ok(None) }, "after {end} bytes");
    }
    if let Ok(Some(request)) = whole {
        assert!(request.consumed <= bytes.len().min(head_bytes_max));
        assert!(request.path.starts_with('/') && !request.host.is_empty());
        let mut response = Vec::new();
        let deflate = Accepted::first_of(&request.extensions);
        request.write_accepted(&mut response, request.protocols.first().copied(), deflate);
        assert!(response.ends_with(b"\r\n\r\n"));
    }
}

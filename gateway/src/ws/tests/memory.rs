//! What a connection costs while it says little, slowly.

use super::{Heard, client_frame, hear, hear_piece, masked_frame};
use crate::ws::{Decoder, Limits};

/// What the struct for torn things takes, apart from the bytes in it.
const FIXED_BYTES_MAX: usize = 160;

#[test]
fn whole_messages_never_touch_the_heap() {
    let mut decoder = Decoder::new();
    let mut scratch = [client_frame("text hello"), client_frame("bin x*4000"), client_frame("ping")].concat();
    let limits = Limits::default();
    let mut reading = decoder.read(&mut scratch, &limits);
    while reading.next_event().unwrap().is_some() {}
    assert_eq!(reading.frames(), 3);
    assert_eq!(decoder.heap_bytes(), 0);
}

#[test]
fn torn_message_returns_its_memory_when_it_is_whole() {
    for case in ["text hello", "ping hello", "bin x*60000", "text+ a\ncont+ b\nping\ncont c", "text"] {
        let bytes: Vec<u8> = case.lines().flat_map(client_frame).collect();
        let (last, before) = bytes.split_last().unwrap();
        let mut decoder = Decoder::new();
        let mut heard = Vec::new();
        hear_piece(&mut decoder, &Limits::default(), before, &mut heard);
        assert!(decoder.heap_bytes() > 0, "{case}");
        hear_piece(&mut decoder, &Limits::default(), &[*last], &mut heard);
        assert_eq!(decoder.heap_bytes(), 0, "{case}");
    }
}

#[test]
fn announced_bytes_are_not_allocated() {
    let bytes = client_frame("bin x*60000");
    let mut decoder = Decoder::new();
    let mut received = 0;
    for piece in bytes[..bytes.len() - 1].chunks(100) {
        hear_piece(&mut decoder, &Limits::default(), piece, &mut Vec::new());
        received += piece.len();
        let heap_bytes = decoder.heap_bytes();
        assert!(heap_bytes <= FIXED_BYTES_MAX + 2 * received, "{heap_bytes} held after {received} received");
    }
}

#[test]
fn close_and_violation_return_all_memory() {
    for last in ["close 1000", "text interrupting", "cont \\xff"] {
        let bytes = [client_frame("text+ x*1000"), client_frame(last)].concat();
        let mut decoder = Decoder::new();
        hear_piece(&mut decoder, &Limits::default(), &bytes, &mut Vec::new());
        assert!(decoder.is_ended(), "{last}");
        assert_eq!(decoder.heap_bytes(), 0, "{last}");
    }
}

#[test]
fn payload_that_follows_its_header_is_not_copied() {
    let bytes = client_frame("text hello");
    let mut decoder = Decoder::new();
    let limits = Limits::default();
    let mut heard = Vec::new();
    hear_piece(&mut decoder, &limits, &bytes[..6], &mut heard);
    assert_eq!(heard, []);
    let mut scratch = bytes[6..].to_vec();
    let scratch_at = scratch.as_ptr();
    let mut reading = decoder.read(&mut scratch, &limits);
    let Some(crate::ws::Event::Text(text)) = reading.next_event().unwrap() else { panic!("no text") };
    assert_eq!((&text[..], text.as_ptr()), (&b"hello"[..], scratch_at));
}

/// Quadratic work would be some 2^43 steps here: minutes, or hours.
#[test]
fn four_megabytes_in_tiny_pieces_cost_linear_work() {
    let limits = Limits { message_bytes_max: 4 << 20 };
    let text = "ä".repeat(2 << 20).into_bytes();
    let frame = masked_frame(0x81, &text);
    let expected = [Heard::Text(text)];
    assert_eq!(hear(&limits, frame.chunks(1)), expected);
    // Every piece ends inside a character.
    let (head, tail) = frame.split_at(frame.len() % 2 + 15);
    assert_eq!(hear(&limits, [head].into_iter().chain(tail.chunks(2))), expected);
}

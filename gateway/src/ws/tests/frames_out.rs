//! Frames of ours.

use crate::ws::frame::{
    SERVER_HEADER_BYTES_MAX, append_frame, frame_header, seal_frame, write_close, write_close_reply,
    write_frame,
};
use crate::ws::{CloseCode, Opcode};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

#[test]
fn header_takes_the_shortest_form() {
    assert_eq!(*frame_header(Opcode::Text, 0), *b"\x81\x00");
    assert_eq!(*frame_header(Opcode::Pong, 125), *b"\x8a\x7d");
    assert_eq!(*frame_header(Opcode::Binary, 126), *b"\x82\x7e\x00\x7e");
    assert_eq!(*frame_header(Opcode::Text, 65535), *b"\x81\x7e\xff\xff");
    assert_eq!(*frame_header(Opcode::Text, 65536), *b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00");
}

#[test]
fn close_carries_code_and_reason() {
    assert_eq!(written(|out| write_close(out, CloseCode::GOING_AWAY, "bye")), b"\x88\x05\x03\xe9bye");
    assert_eq!(written(|out| write_close_reply(out, Some(CloseCode::NORMAL))), b"\x88\x02\x03\xe8");
    assert_eq!(written(|out| write_close_reply(out, None)), b"\x88\x00");
}

#[test]
fn long_reason_is_cut_between_characters() {
    let frame = written(|out| write_close(out, CloseCode::POLICY, &"€".repeat(50)));
    assert_eq!(frame.len(), 2 + 2 + 123);
    let frame = written(|out| write_close(out, CloseCode::POLICY, &format!("x{}", "€".repeat(50))));
    assert_eq!(str::from_utf8(&frame[4..]), Ok(&*format!("x{}", "€".repeat(40))));
}

#[test]
#[should_panic(expected = "control frame of 126 bytes")]
fn oversized_ping_is_our_bug() {
    write_frame(&mut Vec::new(), Opcode::Ping, &[0; 126]);
}

#[test]
fn appended_and_sealed_frames_equal_written_ones() {
    for len in [0, 1, 125, 126, 1000, 65535, 65536] {
        let payload = vec![b'x'; len];
        let whole = written(|out| write_frame(out, Opcode::Text, &payload));
        for expected in [0, 126, 65536] {
            let frame = written(|out| {
                out.extend_from_slice(b"before");
                append_frame(out, Opcode::Text, expected, |out| out.extend_from_slice(&payload));
            });
            assert_eq!(frame, [b"before", &whole[..]].concat(), "{len} bytes, {expected} expected");
        }
        let mut memory = vec![0; SERVER_HEADER_BYTES_MAX + len];
        memory[SERVER_HEADER_BYTES_MAX..].copy_from_slice(&payload);
        let range = SERVER_HEADER_BYTES_MAX..memory.len();
        let frame_at = seal_frame(&mut memory, Opcode::Text, range);
        assert_eq!(memory[frame_at..], whole);
    }
}

//! Any bytes: drawn at random, drawn as frames, and the seeds of the fuzzers.

use super::masked_frame;
use super::properties::{
    decoder_does_not_see_cuts, handshake_is_decided_once, inflating_decoder_does_not_see_cuts,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

proptest! {
    #[test]
    fn any_bytes(data in vec(any::<u8>(), 0..600)) {
        decoder_does_not_see_cuts(&data);
        inflating_decoder_does_not_see_cuts(&data);
        handshake_is_decided_once(&data);
    }

    /// Mostly legal frames, so that the decoder gets past the first.
    #[test]
    fn any_frames(cut in any::<u8>(), frames in vec(frame(), 0..12)) {
        let data = [vec![cut], frames.concat()].concat();
        decoder_does_not_see_cuts(&data);
        inflating_decoder_does_not_see_cuts(&data);
    }

    /// A head made of lines that matter, in any order and number.
    #[test]
    fn any_head(lines in vec(prop::sample::select(HEAD_LINES), 0..14), tail in vec(any::<u8>(), 0..20)) {
        let head = ["GET /ws?x HTTP/1.1\r\n", &lines.concat(), "\r\n"].concat();
        handshake_is_decided_once(&[head.as_bytes(), &tail].concat());
    }
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        20 => prop::sample::select(vec![0x00, 0x80, 0x01, 0x81, 0x02, 0x82, 0x89, 0x8a]),
        4 => prop::sample::select(vec![0x41, 0xc1, 0xc2]),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        8 => "\\PC{0,20}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..6),
        1 => vec(Just(b'x'), 0..300),
    ];
    (first, payload).prop_map(|(first, payload)| masked_frame(first, &payload))
}

const HEAD_LINES: &[&str] = &[
    "Host: a\r\n",
    "Upgrade: websocket\r\n",
    "Connection: keep-alive, Upgrade\r\n",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "Sec-WebSocket-Version: 13\r\n",
    "Sec-WebSocket-Protocol: sbe, json\r\n",
    "Sec-WebSocket-Extensions: permessage-deflate\r\n",
    "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8, permessage-deflate; x\r\n",
    "Origin: null\r\n",
    "Cookie: \u{fc}\r\n",
    "X: y\n",
    "\n",
];

#[test]
fn seeds_of_the_fuzzers() {
    each_seed("ws_decoder", decoder_does_not_see_cuts);
    each_seed("ws_inflate", inflating_decoder_does_not_see_cuts);
    each_seed("ws_handshake", handshake_is_decided_once);
}

fn each_seed(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the seeds are in the repository") {
        check(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

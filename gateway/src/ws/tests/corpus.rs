//! Any bytes: drawn at random, drawn as frames.

use super::masked_frame;
use super::properties::{decoder_does_not_see_cuts, handshake_is_decided_once};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_bytes(data in vec(any::<u8>(), 0..600)) {
        decoder_does_not_see_cuts(&data);
        handshake_is_decided_once(&data);
    }

    /// Mostly legal frames, so that the decoder gets past the first.
    #[test]
    fn any_frames(cut in any::<u8>(), frames in vec(frame(), 0..12)) {
        decoder_does_not_see_cuts(&[vec![cut], frames.concat()].concat());
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
    "Origin: null\r\n",
    "Cookie: \u{fc}\r\n",
    "X: y\n",
    "\n",
];

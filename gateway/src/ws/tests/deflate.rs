//! Messages that come compressed, RFC 7692 section 7.2. The compressor here is zlib's, driven by hand; that other people's
//! clients agree with us is a promise of its own.

use super::{Heard, check_bytes, check_cuts, hear_all, masked_frame};
use crate::ws::deflate::{Deflater, Inflater};
use crate::ws::{Decoder, Limits};
use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

const FINAL: u8 = 0x80;
const DEFLATED: u8 = 0x40;
const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// The example of RFC 7692 section 7.2.3.1.
const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

fn hear(limits: &Limits, pieces: Vec<&[u8]>) -> Vec<Heard> {
    let (mut decoder, mut inflater, mut heard) = (Decoder::new(), Inflater::default(), Vec::new());
    for piece in pieces {
        let mut scratch = piece.to_vec();
        hear_all(decoder.read(&mut scratch, limits).inflating(&mut inflater), &mut heard);
        assert!(
            !decoder.is_ended() || decoder.heap_bytes() == 0,
            "a connection that has ended holds nothing"
        );
    }
    heard
}

/// However the bytes are cut.
fn check(limits: &Limits, frames: &[Vec<u8>], expected: &[Heard], story: &str) {
    check_cuts(&frames.concat(), expected, story, |pieces| hear(limits, pieces));
}

fn compress(message: &[u8], level: u32, window_bits: u8) -> Vec<u8> {
    let mut compress = Compress::new_with_window_bits(Compression::new(level), false, window_bits);
    let mut out = vec![0; 2 * message.len() + 1000];
    compress.compress(message, &mut out, FlushCompress::Sync).unwrap();
    out.truncate(compress.total_out() as usize);
    out.strip_suffix(&[0, 0, 0xff, 0xff]).expect("a flush ends so").to_vec()
}

fn text(text: &str) -> Heard {
    Heard::Text(text.as_bytes().to_vec())
}

#[test]
fn the_examples_of_the_rfc() {
    let whole: [(&str, &[u8]); 5] = [
        ("one block", HELLO),
        ("without compression", &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00]),
        ("a block that says it is the last", &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]),
        ("two blocks", &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00]),
        ("a last block without the empty one after it", &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
    ];
    for (story, payload) in whole {
        let frame = masked_frame(FINAL | DEFLATED | TEXT, payload);
        check(&Limits::default(), &[frame], &[text("Hello")], story);
    }
    let (head, tail) = HELLO.split_at(3);
    let frames = [masked_frame(DEFLATED | TEXT, head), masked_frame(FINAL, tail)];
    check(&Limits::default(), &frames, &[text("Hello")], "in two fragments");
    let empty = masked_frame(FINAL | DEFLATED | BINARY, &[0x00]);
    check(&Limits::default(), &[empty], &[Heard::Binary(Vec::new())], "nothing");
}

#[test]
fn each_message_chooses_and_control_frames_stand_between() {
    let long = "ringside ".repeat(5000);
    let compressed = compress(long.as_bytes(), 6, 15);
    let third = compressed.len() / 3;
    let frames = [
        masked_frame(FINAL | TEXT, b"plain"),
        masked_frame(DEFLATED | TEXT, &compressed[..third]),
        masked_frame(FINAL | 9, b"ping"),
        masked_frame(0, &compressed[third..2 * third]),
        masked_frame(0, b""),
        masked_frame(FINAL | 10, b"pong"),
        masked_frame(FINAL, &compressed[2 * third..]),
        masked_frame(TEXT, b"pla"),
        masked_frame(FINAL, b"in"),
        masked_frame(FINAL | DEFLATED | TEXT, HELLO),
        masked_frame(FINAL | 8, b""),
    ];
    let expected = [
        text("plain"),
        Heard::Ping(b"ping".to_vec()),
        Heard::Pong(b"pong".to_vec()),
        text(&long),
        text("plain"),
        text("Hello"),
        Heard::Close(None, String::new()),
    ];
    check(&Limits::default(), &frames, &expected, "fragments");
}

#[test]
fn the_bit_has_its_one_place() {
    let refused = [Heard::Violation(1002)];
    for first in [FINAL | 8, FINAL | 9, FINAL | 10, FINAL | 3] {
        check(&Limits::default(), &[masked_frame(first | DEFLATED, b"")], &refused, "not of a data frame");
    }
    for others in [0x10, 0x20, 0x30, 0x50, 0x60, 0x70] {
        check(&Limits::default(), &[masked_frame(FINAL | TEXT | others, HELLO)], &refused, "another bit");
    }
    for begun in [masked_frame(TEXT, b"a"), masked_frame(DEFLATED | TEXT, HELLO)] {
        for next in [FINAL | DEFLATED, DEFLATED, FINAL | DEFLATED | TEXT] {
            let frames = [begun.clone(), masked_frame(next, b"")];
            check(&Limits::default(), &frames, &refused, "within a message");
        }
    }
    let frame = masked_frame(FINAL | DEFLATED | TEXT, HELLO);
    check_bytes(&Limits::default(), &frame, &refused, "not negotiated");
}

#[test]
fn what_does_not_inflate_is_refused() {
    let fixed_without_end = &HELLO[..HELLO.len() - 2];
    let long = compress("a somewhat longer text ".repeat(20).as_bytes(), 6, 15);
    let cases: [(&str, &[u8]); 8] = [
        ("a kind of block that is none", &[0x07, 0xff]),
        ("no byte at all", b""),
        ("ends within a block", fixed_without_end),
        ("ends within a longer one", &long[..long.len() - 3]),
        ("ends within the length of one that is stored", &[0x00, 0x05]),
        ("a stored block whose length has no check", &[0x00, 0x05, 0x00, 0x05, 0x00, 0x48]),
        ("looks further back than there is anything", &[0x4b, 0x04, 0x72, 0x00]),
        ("plain text", b"{\"action\":\"ping\"}"),
    ];
    for (story, payload) in cases {
        let frames = [
            masked_frame(FINAL | TEXT, b"before"),
            masked_frame(FINAL | DEFLATED | TEXT, payload),
            masked_frame(FINAL | TEXT, b"after"),
        ];
        check(&Limits::default(), &frames, &[text("before"), Heard::Violation(1007)], story);
    }
}

#[test]
fn text_is_checked_when_it_is_inflated() {
    let torn = compress(b"caf\xc3", 6, 15);
    let frames = [masked_frame(FINAL | DEFLATED | TEXT, &torn)];
    check(&Limits::default(), &frames, &[Heard::Violation(1007)], "half a character");
    let frames = [masked_frame(FINAL | DEFLATED | BINARY, &torn)];
    check(&Limits::default(), &frames, &[Heard::Binary(b"caf\xc3".to_vec())], "bytes may be any");
}

#[test]
fn the_limit_is_of_what_comes_out_too() {
    let limits = Limits { message_bytes_max: 1000 };
    for (bytes, heard) in [(1000, Heard::Binary(vec![b'x'; 1000])), (1001, Heard::Violation(1009))] {
        let frame = masked_frame(FINAL | DEFLATED | BINARY, &compress(&vec![b'x'; bytes], 6, 15));
        check(&limits, &[frame], &[heard], "inflated");
    }
    let frame = masked_frame(FINAL | DEFLATED | BINARY, &[0x55; 1001]);
    check(&limits, &[frame], &[Heard::Violation(1009)], "as it came");
}

/// Sixty kilobytes that would become sixty megabytes, which is as much as the format can do. It costs as much as the largest
/// message that is allowed.
#[test]
fn a_bomb_is_put_out_at_the_limit() {
    let megabyte = compress(&vec![0; 1 << 20], 9, 15);
    let bomb: Vec<u8> = megabyte.repeat(60);
    assert!(bomb.len() < 65536, "{} bytes", bomb.len());
    let mut inflater = Inflater::default();
    let limits = Limits { message_bytes_max: 64 << 10 };
    let mut frame = masked_frame(FINAL | DEFLATED | BINARY, &bomb);
    let mut heard = Vec::new();
    hear_all(Decoder::new().read(&mut frame, &limits).inflating(&mut inflater), &mut heard);
    assert_eq!(heard, [Heard::Violation(1009)]);
    assert!(inflater.heap_bytes() <= limits.message_bytes_max + 1, "{} bytes", inflater.heap_bytes());
    // As many last blocks as there is room for, each empty: work without a result.
    let frame = masked_frame(FINAL | DEFLATED | BINARY, &[0x03, 0x00].repeat(30_000));
    let heard = hear(&Limits::default(), vec![&frame]);
    assert_eq!(heard, [Heard::Binary(Vec::new())]);
}

#[test]
fn memory_that_one_message_needed_is_not_kept_for_ever() {
    let limits = Limits { message_bytes_max: 4 << 20 };
    let (mut inflater, mut heard) = (Inflater::default(), Vec::new());
    for message in [vec![b'x'; 3 << 20], vec![b'y'; 10]] {
        let mut frame = masked_frame(FINAL | DEFLATED | BINARY, &compress(&message, 6, 15));
        hear_all(Decoder::new().read(&mut frame, &limits).inflating(&mut inflater), &mut heard);
    }
    assert!(inflater.heap_bytes() < 1 << 20, "{} bytes", inflater.heap_bytes());
    assert_eq!(inflater.counted(), (2, (3 << 20) + 10));
}

#[test]
fn what_we_compress_is_shorter_and_within_a_small_window() {
    let levels: String =
        (0..400).map(|level| format!("[\"{}\",\"0.{}\"],", 30_000 - level, level * 7919 % 100_000)).collect();
    let mut deflater = Deflater::default();
    let compressed = deflater.deflate(levels.as_bytes()).expect("it is worth it").to_vec();
    assert!(compressed.len() * 2 < levels.len(), "{} of {}", compressed.len(), levels.len());
    let mut small = flate2::Decompress::new_with_window_bits(false, 9);
    let mut out = Vec::with_capacity(levels.len() + 1);
    let whole = [&compressed[..], &[0, 0, 0xff, 0xff]].concat();
    // In small pieces, so that the window is all it has to look back into.
    for piece in whole.chunks(50) {
        let before = small.total_in();
        while small.total_in() - before < piece.len() as u64 {
            let rest = &piece[(small.total_in() - before) as usize..];
            let mut room = [0; 64];
            let made = small.total_out();
            small.decompress(rest, &mut room, flate2::FlushDecompress::None).unwrap();
            out.extend_from_slice(&room[..(small.total_out() - made) as usize]);
        }
    }
    assert!(out == levels.as_bytes(), "it comes out as it went in");
    assert_eq!(deflater.deflate(b"{\"type\":\"pong\"}"), None, "too short");
    assert_eq!(deflater.deflate(b""), None);
}

proptest! {
    /// Any message, by any compressor, in any fragments.
    #[test]
    fn comes_out_as_it_went_in(
        message in prop_oneof![
            "\\PC{0,300}".prop_map(String::into_bytes),
            prop::collection::vec(prop::sample::select(b"0123456789\",:[]{}".to_vec()), 0..3000),
        ],
        level in 0u32..10,
        window_bits in 9u8..16,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let compressed = compress(&message, level, window_bits);
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(compressed.len() + 1)).collect();
        ends.push(compressed.len());
        ends.sort_unstable();
        let (mut frames, mut from) = (Vec::new(), 0);
        for (n, &end) in ends.iter().enumerate() {
            let first = if n == 0 { DEFLATED | TEXT } else { 0 };
            let last = if n + 1 == ends.len() { FINAL } else { 0 };
            frames.push(masked_frame(first | last, &compressed[from..end]));
            from = end;
        }
        let heard = hear(&Limits::default(), vec![&frames.concat()]);
        prop_assert_eq!(heard, [Heard::Text(message)]);
    }

    /// What we compress, we inflate.
    #[test]
    fn we_understand_ourselves(message in prop::collection::vec(prop::sample::select(b"0123456789\",:[]{}".to_vec()), 0..5000)) {
        let mut deflater = Deflater::default();
        for _ in 0..2 {
            let Some(compressed) = deflater.deflate(&message) else { return Ok(()) };
            prop_assert!(compressed.len() < message.len());
            let frame = masked_frame(FINAL | DEFLATED | TEXT, compressed);
            prop_assert_eq!(hear(&Limits::default(), vec![&frame]), [Heard::Text(message.clone())]);
        }
    }
}

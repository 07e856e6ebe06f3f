//! Text is UTF-8: Autobahn family 6. The sequences are Markus Kuhn's decoder stress test, which that family uses.

use super::{Heard, check, check_bytes, client_frame, hear_piece, masked_frame};
use crate::ws::{Decoder, Limits};

/// "κόσμε", the valid text of the stress test.
const KOSME: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";

#[test]
fn valid_text_split_anywhere() {
    check("text+ Hello-\\xc2\\xb5@\\xc3\\x9f\\xc3\\xb6\ncont \\xc3\\xa4-UTF-8!! => text Hello-µ@ßöä-UTF-8!!");
    let bytes_alone: Vec<u8> =
        KOSME.iter().enumerate().flat_map(|(at, &byte)| fragment(at, KOSME.len(), &[byte])).collect();
    check_bytes(&Limits::default(), &bytes_alone, &[Heard::Text(KOSME.to_vec())], "one byte a fragment");
}

#[test]
fn control_frame_inside_a_character() {
    check("text+ \\xe2\\x82\nping \\xff\ncont \\xac => ping \\xff | text €");
}

#[test]
fn binary_is_not_checked() {
    check("bin \\xff\\xfe\\x80 => bin \\xff\\xfe\\x80");
    check("bin+ \\xf4\\x90\ncont \\x80 => bin \\xf4\\x90\\x80");
}

#[test]
fn valid_sequences() {
    let mut valid: Vec<&[u8]> = vec![
        b"hello\x24world",
        b"hello\xC2\xA2world",
        b"hello\xE2\x82\xACworld",
        b"hello\xF0\xA4\xAD\xA2world",
        KOSME,
        // The first and the last of each length, and around the surrogates and the end.
        b"\x00",
        b"\xc2\x80",
        b"\xe0\xa0\x80",
        b"\xf0\x90\x80\x80",
        b"\x7f",
        b"\xdf\xbf",
        b"\xef\xbf\xbf",
        b"\xf4\x8f\xbf\xbf",
        b"\xed\x9f\xbf",
        b"\xee\x80\x80",
        b"\xef\xbf\xbd",
        // Specials and non-characters.
        b"\xef\xbf\xb9",
        b"\xef\xbf\xba",
        b"\xef\xbf\xbb",
        b"\xef\xbf\xbc",
        b"\xef\xbf\xbe",
    ];
    let non_characters: Vec<[u8; 4]> = (0x1..=0x10)
        .flat_map(|plane: u32| [plane << 16 | 0xFFFE, plane << 16 | 0xFFFF])
        .map(|point| {
            let mut bytes = [0; 4];
            char::from_u32(point).unwrap().encode_utf8(&mut bytes);
            bytes
        })
        .collect();
    valid.extend(non_characters.iter().map(|bytes| &bytes[..]));
    for text in valid {
        check_text(text, true);
    }
}

#[test]
fn prefixes_of_a_valid_text() {
    for len in 1..=KOSME.len() {
        check_text(&KOSME[..len], [2, 5, 7, 9, 11].contains(&len));
    }
}

#[test]
fn invalid_sequences() {
    let invalid: &[&[u8]] = &[
        // Lengths of five and six, and points above U+10FFFF.
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xf7\xbf\xbf\xbf",
        b"\xfb\xbf\xbf\xbf\xbf",
        b"\xfd\xbf\xbf\xbf\xbf\xbf",
        b"\xf4\x90\x80\x80",
        // Continuation bytes without a beginning.
        b"\x80",
        b"\xbf",
        b"\x80\xbf",
        b"\x80\xbf\x80",
        b"\x80\xbf\x80\xbf",
        b"\x80\xbf\x80\xbf\x80",
        b"\x80\xbf\x80\xbf\x80\xbf",
        // Without their last byte.
        b"\xc0",
        b"\xe0\x80",
        b"\xf0\x80\x80",
        b"\xf8\x80\x80\x80",
        b"\xfc\x80\x80\x80\x80",
        b"\xdf",
        b"\xef\xbf",
        b"\xf7\xbf\xbf",
        b"\xfb\xbf\xbf\xbf",
        b"\xfd\xbf\xbf\xbf\xbf",
        b"\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xfc\x80\x80\x80\x80\xdf\xef\xbf\xf7\xbf\xbf\xfb\xbf\xbf\xbf",
        // Bytes that occur nowhere.
        b"\xfe",
        b"\xff",
        b"\xfe\xfe\xff\xff",
        // Longer than necessary: a slash, the largest, NUL.
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xf8\x80\x80\x80\xaf",
        b"\xfc\x80\x80\x80\x80\xaf",
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xf8\x87\xbf\xbf\xbf",
        b"\xfc\x83\xbf\xbf\xbf\xbf",
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xf0\x80\x80\x80",
        b"\xf8\x80\x80\x80\x80",
        b"\xfc\x80\x80\x80\x80\x80",
        // Surrogates, single and in pairs.
        b"\xed\xa0\x80",
        b"\xed\xad\xbf",
        b"\xed\xae\x80",
        b"\xed\xaf\xbf",
        b"\xed\xb0\x80",
        b"\xed\xbe\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\x80\xed\xb0\x80",
        b"\xed\xa0\x80\xed\xbf\xbf",
        b"\xed\xad\xbf\xed\xb0\x80",
        b"\xed\xad\xbf\xed\xbf\xbf",
        b"\xed\xae\x80\xed\xb0\x80",
        b"\xed\xae\x80\xed\xbf\xbf",
        b"\xed\xaf\xbf\xed\xb0\x80",
        b"\xed\xaf\xbf\xed\xbf\xbf",
    ];
    for text in invalid {
        check_text(text, false);
    }
    for lone_start in 0xc0..=0xfd {
        check_text(&[lone_start, b' '], false);
    }
    check_text(&(0x80..=0xbe).collect::<Vec<u8>>(), false);
}

/// Autobahn 6.4.1 to 6.4.4: the text cannot become valid any more from its thirteenth byte on, and that byte must be
/// the last one we wait for, in fragments as in one torn frame.
#[test]
fn hopeless_text_fails_at_its_first_hopeless_byte() {
    let text = [KOSME, b"\xf4\x90\x80\x80edited"].concat();
    let hopeless = KOSME.len() + 1;

    let mut frame = masked_frame(0x81, &text);
    let header_bytes = frame.len() - text.len();
    fails_exactly_at(&frame, header_bytes + hopeless);

    frame = [client_frame("text+"), masked_frame(0x80, &text)].concat();
    let header_bytes = frame.len() - text.len();
    fails_exactly_at(&frame, header_bytes + hopeless);

    let first = masked_frame(0x01, KOSME);
    frame = [&first[..], &masked_frame(0x00, &text[KOSME.len()..])].concat();
    fails_exactly_at(&frame, first.len() + 6 + 1);
}

fn fails_exactly_at(bytes: &[u8], last_needed: usize) {
    let mut decoder = Decoder::new();
    let mut heard = Vec::new();
    hear_piece(&mut decoder, &Limits::default(), &bytes[..last_needed], &mut heard);
    assert_eq!(heard, [], "before the byte");
    hear_piece(&mut decoder, &Limits::default(), &bytes[last_needed..=last_needed], &mut heard);
    assert_eq!(heard, [Heard::Violation(1007)], "at the byte");
}

/// As one frame, and with every byte in a fragment of its own.
fn check_text(text: &[u8], is_valid: bool) {
    let heard = if is_valid { Heard::Text(text.to_vec()) } else { Heard::Violation(1007) };
    let story = text.escape_ascii().to_string();
    check_bytes(&Limits::default(), &masked_frame(0x81, text), std::slice::from_ref(&heard), &story);
    let fragments: Vec<u8> =
        text.iter().enumerate().flat_map(|(at, &byte)| fragment(at, text.len(), &[byte])).collect();
    check_bytes(&Limits::default(), &fragments, &[heard], &story);
}

/// Fragment `at` of `count`.
fn fragment(at: usize, count: usize, payload: &[u8]) -> Vec<u8> {
    let opcode = if at == 0 { 0x01 } else { 0x00 };
    let fin = if at + 1 == count { 0x80 } else { 0x00 };
    masked_frame(fin | opcode, payload)
}

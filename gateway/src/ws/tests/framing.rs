//! Frames one by one: Autobahn families 1 (framing), 2 (pings), 3 (reserved bits), 4 (opcodes).

use super::{Heard, MASK, check, check_bytes, check_within};
use crate::ws::frame::unmask;
use crate::ws::{Limits, Violation};

#[test]
fn every_length_form() {
    for opcode in ["text", "bin"] {
        for len in [0, 1, 125, 126, 127, 128, 65535, 65536] {
            let byte = if opcode == "text" { "*" } else { "\\xfe" };
            check(&format!("{opcode} {byte}*{len} => {opcode} {byte}*{len}"));
        }
    }
}

#[test]
fn ping_is_heard_with_its_payload() {
    check("ping => ping");
    check("ping Hello, world! => ping Hello, world!");
    check("ping \\x00\\xff\\xfe\\xfd\\xfc\\xfb\\x00\\xff => ping \\x00\\xff\\xfe\\xfd\\xfc\\xfb\\x00\\xff");
    check("ping \\xfe*125 => ping \\xfe*125");
    check("ping \\xfe*126 => violation 1002");
    check("ping a\nping b\nping c => ping a | ping b | ping c");
}

#[test]
fn unasked_pong_is_heard_and_harmless() {
    check("pong => pong");
    check("pong unsolicited\nping hi => pong unsolicited | ping hi");
}

#[test]
fn reserved_bits_are_refused() {
    for bits in 1..=7 {
        for frame in ["text hi", "bin hi", "ping hi", "pong", "close 1000", "text+ hi"] {
            check(&format!("text before\nrsv{bits} {frame}\nping after => text before | violation 1002"));
        }
    }
}

#[test]
fn reserved_opcodes_are_refused() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        check(&format!("op{opcode} => violation 1002"));
        check(&format!("text before\nop{opcode} payload\nping after => text before | violation 1002"));
    }
}

#[test]
fn unmasked_frame_is_refused() {
    check_bytes(&Limits::default(), b"\x81\x02hi", &[Heard::Violation(1002)], "unmasked text");
    check_bytes(&Limits::default(), b"\x89\x00", &[Heard::Violation(1002)], "unmasked ping");
}

#[test]
fn length_must_be_in_its_shortest_form() {
    let refused: [&[u8]; 6] = [
        b"\x81\xfe\x00\x00",
        b"\x81\xfe\x00\x7d",
        b"\x82\xff\x00\x00\x00\x00\x00\x00\x00\x7d",
        b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff",
        b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00",
        b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ];
    for bytes in refused {
        check_bytes(&Limits::default(), bytes, &[Heard::Violation(1002)], "padded or negative length");
    }
}

#[test]
fn control_frame_with_a_long_length_is_refused_at_its_second_byte() {
    for second in [0xfe, 0xff] {
        for first in [0x88, 0x89, 0x8a] {
            check_bytes(
                &Limits::default(),
                &[first, second],
                &[Heard::Violation(1002)],
                "long control frame",
            );
        }
    }
}

#[test]
fn message_over_the_limit_is_refused_by_its_header() {
    // No byte of the payload is needed to say so.
    let header_only = [&b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x01"[..], &MASK].concat();
    check_bytes(&Limits::default(), &header_only, &[Heard::Violation(1009)], "65537 bytes announced");
    let huge = [&b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff"[..], &MASK].concat();
    check_bytes(&Limits::default(), &huge, &[Heard::Violation(1009)], "2^63 - 1 bytes announced");
}

#[test]
fn limit_counts_all_fragments_of_a_message_and_no_control_frame() {
    let limits = Limits { message_bytes_max: 10 };
    check_within(&limits, "text 0123456789 => text 0123456789");
    check_within(&limits, "text 0123456789a => violation 1009");
    check_within(
        &limits,
        "text+ 01234\nping 0123456789abcdef\ncont 56789 => ping 0123456789abcdef | text 0123456789",
    );
    check_within(&limits, "text+ 01234\ncont+ 56789\ncont => text 0123456789");
    check_within(&limits, "bin+ 01234\ncont+ 56789\ncont a => violation 1009");
    check_within(&limits, "text 01234\ntext 0123456789 => text 01234 | text 0123456789");
}

#[test]
fn violation_reasons_fit_a_close_frame() {
    let all = [
        Violation::ReservedBits,
        Violation::ReservedOpcode,
        Violation::FragmentedControl,
        Violation::OversizedControl,
        Violation::Unmasked,
        Violation::PaddedLength,
        Violation::NegativeLength,
        Violation::NothingToContinue,
        Violation::MessageInterrupted,
        Violation::MessageTooBig,
        Violation::InvalidUtf8,
        Violation::TruncatedCloseCode,
        Violation::InvalidCloseCode,
    ];
    assert!(all.iter().all(|violation| violation.reason().len() <= 123));
}

#[test]
fn unmask_agrees_with_the_definition_at_any_alignment_and_offset() {
    let plain: Vec<u8> = (0..100).collect();
    for start in 0..9 {
        for end in start..plain.len() {
            for offset in 0..9 {
                let mut fast = plain.clone();
                unmask(&mut fast[start..end], MASK, offset);
                let mut slow = plain.clone();
                for (index, byte) in slow[start..end].iter_mut().enumerate() {
                    *byte ^= MASK[(offset + index) % 4];
                }
                assert_eq!(fast, slow, "{start}..{end} at offset {offset}");
            }
        }
    }
}

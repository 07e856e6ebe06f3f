//! How a connection ends: Autobahn family 7.

use super::check;
use crate::ws::CloseCode;

#[test]
fn nothing_is_heard_after_close() {
    check("close 1000 => close 1000");
    check("text Hello World!\nclose 1000 => text Hello World! | close 1000");
    check("close 1000\nclose 1000 => close 1000");
    check("close 1000\nping after => close 1000");
    check("close 1000\ntext after\nrsv7 op15 garbage => close 1000");
}

#[test]
fn close_may_stand_between_fragments_and_abandons_them() {
    check("text+ fragment1\nclose 1000\ncont fragment2 => close 1000");
    check("text+ \\xce\nclose 1000 => close 1000");
}

#[test]
fn close_needs_neither_code_nor_reason() {
    check("close => close");
    check("op8 \\x03 => violation 1002");
    check("close 1000 => close 1000");
    check("close 1000 Hello World! => close 1000 Hello World!");
    check("close 1000 x*123 => close 1000 x*123");
    check("close 1000 x*124 => violation 1002");
}

#[test]
fn reason_is_utf8() {
    check("close 1000 \\xce\\xba\\xe1\\xbd\\xb9\\xcf\\x83 => close 1000 \\xce\\xba\\xe1\\xbd\\xb9\\xcf\\x83");
    check("close 1000 \\xce\\xba\\xed\\xa0\\x80edited => violation 1007");
    check("close 1000 \\xce => violation 1007");
}

#[test]
fn codes_that_may_be_sent() {
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        check(&format!("close {code} => close {code}"));
    }
    // Registered with IANA after the RFC: service restart, try again later, bad gateway.
    for code in [1012, 1013, 1014] {
        check(&format!("close {code} => close {code}"));
    }
}

#[test]
fn codes_that_may_not_be_sent() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        check(&format!("close {code} => violation 1002"));
    }
}

#[test]
fn codes_of_ours_may_be_sent() {
    let ours = [
        CloseCode::NORMAL,
        CloseCode::GOING_AWAY,
        CloseCode::PROTOCOL_ERROR,
        CloseCode::INVALID_PAYLOAD,
        CloseCode::POLICY,
        CloseCode::TOO_BIG,
        CloseCode::SLOW_CONSUMER,
        CloseCode::AUTH_FAILED,
        CloseCode::MESSAGE_RATE,
        CloseCode::IDLE,
    ];
    assert!(ours.iter().all(|code| code.is_valid_in_frame()));
}

//! What we say to offers of compression: RFC 7692 sections 5 and 7.1, its examples, and offers nobody should make.

use crate::ws::deflate::Accepted;
use crate::ws::handshake::{HEAD_BYTES_MAX, parse};

/// The answer to a request with this header, without what it always begins with; `None`: no extension is accepted.
fn answer(offers: &str) -> Option<String> {
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: {offers}\r\n\r\n"
    );
    let request = parse(head.as_bytes(), HEAD_BYTES_MAX).unwrap().unwrap();
    let mut response = Vec::new();
    request.write_accepted(&mut response, None, Accepted::first_of(&request.extensions));
    let response = String::from_utf8(response).unwrap();
    let extensions = response.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "))?;
    let always = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    Some(extensions.strip_prefix(always).expect("it is said whatever was offered").to_owned())
}

#[test]
fn what_can_be_taken_is_taken() {
    for (offers, more) in [
        ("permessage-deflate", ""),
        // What browsers offer, and Python's websockets.
        ("permessage-deflate; client_max_window_bits", ""),
        // The examples of RFC 7692 section 7.1.
        (
            "permessage-deflate; client_max_window_bits; server_max_window_bits=10",
            "; server_max_window_bits=10",
        ),
        ("permessage-deflate; server_no_context_takeover", ""),
        ("permessage-deflate; client_max_window_bits=10", ""),
        // Every parameter, and the smallest and the largest windows.
        ("permessage-deflate; client_no_context_takeover; server_no_context_takeover", ""),
        ("permessage-deflate; client_max_window_bits=8", ""),
        ("permessage-deflate; server_max_window_bits=9", "; server_max_window_bits=9"),
        ("permessage-deflate; server_max_window_bits=15", "; server_max_window_bits=15"),
        (
            "permessage-deflate;server_max_window_bits=\"11\" ;client_max_window_bits=\"12\"",
            "; server_max_window_bits=11",
        ),
        // The first that can be taken, not the first.
        ("permessage-bzip2, permessage-deflate", ""),
        (
            "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=12",
            "; server_max_window_bits=12",
        ),
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", "; server_max_window_bits=10"),
        ("permessage-deflate; nonsense, x-webkit-deflate-frame, permessage-deflate", ""),
    ] {
        assert_eq!(answer(offers).as_deref(), Some(more), "{offers}");
    }
}

#[test]
fn what_cannot_be_taken_is_passed_over() {
    for parameters in [
        // A window that this format's compressors do not have.
        "server_max_window_bits=8",
        // Not within 8 to 15.
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=265",
        "client_max_window_bits=0",
        "client_max_window_bits=16",
        // Not such a number.
        "server_max_window_bits=",
        "server_max_window_bits=+9",
        "server_max_window_bits=09",
        "server_max_window_bits=1e1",
        "server_max_window_bits=-9",
        "server_max_window_bits=\"10",
        "server_max_window_bits=99999999999999999999",
        "client_max_window_bits=010",
        "client_max_window_bits=\"\"",
        // A value that is missing, or that should be.
        "server_max_window_bits",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        // Twice.
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
        // Unknown, or nothing at all.
        "level=9",
        "Server_No_Context_Takeover",
        "",
        ";",
        "= ; =",
    ] {
        let offer = format!("permessage-deflate; {parameters}");
        assert_eq!(answer(&offer), None, "{offer}");
        assert_eq!(
            answer(&format!("{offer}, permessage-deflate")).as_deref(),
            Some(""),
            "{offer}, and a good one"
        );
    }
    for offer in [
        "permessage-deflates",
        "deflate",
        "permessage-deflate=1",
        "\"permessage-deflate\"",
        "x; permessage-deflate",
        ",,",
    ] {
        assert_eq!(answer(offer), None, "{offer}");
    }
}

#[test]
fn nothing_is_said_to_those_who_offer_nothing() {
    assert_eq!(Accepted::first_of(&[]), None);
}

//! The upgrade request, accepted and refused.

use super::properties::handshake_is_decided_once;
use crate::ws::handshake::{HEAD_BYTES_MAX, Refusal, Request, Status, accept_key, parse};

/// The request of RFC 6455 section 1.2, as it stands there.
const CHAT: &str = "GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

fn accepted(head: &str) -> Request<'_> {
    handshake_is_decided_once(head.as_bytes());
    parse(head.as_bytes(), HEAD_BYTES_MAX).expect("not refused").expect("complete")
}

/// `CHAT` with one line replaced, or removed, or (from empty) added.
fn chat_with(from: &str, to: &str) -> String {
    let from = if from.is_empty() { "\r\n\r\n" } else { from };
    let to = match (from, to) {
        ("\r\n\r\n", to) => format!("\r\n{to}\r\n\r\n"),
        (_, to) => to.to_string(),
    };
    assert!(CHAT.contains(from), "{from}");
    CHAT.replace(from, &to).replace("\r\n\r\nSec", "\r\nSec")
}

fn refused(head: &str) -> Refusal {
    handshake_is_decided_once(head.as_bytes());
    parse(head.as_bytes(), HEAD_BYTES_MAX).expect_err(head)
}

#[test]
fn the_rfc_example() {
    let request = accepted(CHAT);
    assert_eq!(
        request,
        Request {
            path: "/chat",
            query: None,
            host: "server.example.com",
            origin: Some("http://example.com"),
            protocols: vec!["chat", "superchat"],
            extensions: vec![],
            key: "dGhlIHNhbXBsZSBub25jZQ==",
            consumed: CHAT.len(),
        }
    );
    assert_eq!(request.select_protocol(&["superchat", "chat"]), Some("chat"));
    let mut response = Vec::new();
    request.write_accepted(&mut response, Some("chat"), None);
    assert_eq!(
        String::from_utf8(response).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    );
    assert_eq!(accept_key(request.key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn first_frame_may_follow_at_once() {
    let bytes = [CHAT.as_bytes(), b"\x81\x82\0\0\0\0hi"].concat();
    let request = parse(&bytes, HEAD_BYTES_MAX).unwrap().unwrap();
    assert_eq!(&bytes[request.consumed..], b"\x81\x82\0\0\0\0hi");
    handshake_is_decided_once(&bytes);
}

#[test]
fn names_and_tokens_have_no_case() {
    accepted(&chat_with("Connection: Upgrade", "CONNECTION: keep-alive, uPGRADE"));
    accepted(&chat_with("Connection: Upgrade", "connection: keep-alive\r\nConnection:Upgrade"));
    accepted(&chat_with("Upgrade: websocket", "upgrade:   WebSocket  "));
    accepted(&chat_with("Upgrade: websocket", "Upgrade: h2c, websocket"));
}

#[test]
fn offers_keep_their_order_across_headers() {
    let head = chat_with(
        "Origin: http://example.com",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-mux\r\n\
         sec-websocket-extensions: permessage-deflate\r\nSec-WebSocket-Protocol: sbe,, ",
    );
    let request = accepted(&head);
    assert_eq!(request.protocols, ["sbe", "chat", "superchat"]);
    assert_eq!(
        request.extensions,
        ["permessage-deflate; client_max_window_bits", "x-mux", "permessage-deflate"]
    );
    assert_eq!(request.select_protocol(&["other"]), None);
    assert_eq!(request.origin, None);
}

#[test]
fn target_in_all_its_forms() {
    let target = |target: &str| chat_with("/chat", target);
    let parts = |head: &str| {
        let request = accepted(head);
        (request.host.to_string(), request.path.to_string(), request.query.map(str::to_string))
    };
    let here = "server.example.com";
    let expect = |host: &str, path: &str, query: Option<&str>| {
        (host.to_string(), path.to_string(), query.map(str::to_string))
    };
    assert_eq!(parts(&target("/")), expect(here, "/", None));
    assert_eq!(parts(&target("/ws?hello=1&x=?")), expect(here, "/ws", Some("hello=1&x=?")));
    assert_eq!(parts(&target("/ws?")), expect(here, "/ws", Some("")));
    assert_eq!(parts(&target("/to?u=http://x/y")), expect(here, "/to", Some("u=http://x/y")));
    assert_eq!(parts(&target("http://other:80/ws?a")), expect("other:80", "/ws", Some("a")));
    assert_eq!(parts(&target("WS://other")), expect("other", "/", None));
    assert_eq!(parts(&target("ws://other?a")), expect("other", "/", Some("a")));
    for malformed in ["chat", "*", "http:///chat", "ftp://other/chat", "/chat#part", "?query"] {
        assert_eq!(refused(&target(malformed)).reason, "malformed request target", "{malformed}");
    }
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let version = "Sec-WebSocket-Version: 13";
    for (from, to, reason) in [
        ("GET", "POST", "method is not GET"),
        ("GET", "get", "method is not GET"),
        ("HTTP/1.1", "HTTP/1.0", "HTTP version is not 1.1"),
        ("HTTP/1.1", "HTTP/2.0", "malformed HTTP request"),
        ("Host: server.example.com\r\n", "", "missing Host"),
        ("Host: server.example.com", "Host: ", "missing Host"),
        ("", "host: again", "repeated Host"),
        ("", "Origin: again", "repeated Origin"),
        ("Upgrade: websocket\r\n", "", "missing Upgrade: websocket"),
        ("Upgrade: websocket", "Upgrade: websockets", "missing Upgrade: websocket"),
        ("Connection: Upgrade\r\n", "", "missing Connection: Upgrade"),
        ("Connection: Upgrade", "Connection: close", "missing Connection: Upgrade"),
        (key, "X: y", "missing Sec-WebSocket-Key"),
        ("", key, "repeated Sec-WebSocket-Key"),
        (version, "X: y", "missing Sec-WebSocket-Version"),
        ("", version, "repeated Sec-WebSocket-Version"),
        ("", "Content-Length: 5", "request has a body"),
        ("", "Transfer-Encoding: chunked", "request has a body"),
        ("", "Bad Header: x", "malformed HTTP request"),
        ("", " Folded: x", "malformed HTTP request"),
        ("Host: server.example.com\r\n", "Host: server.example.com\n\n", "line does not end with CRLF"),
    ] {
        let refusal = refused(&chat_with(from, to));
        assert_eq!((refusal.status, refusal.reason), (Status::BadRequest, reason), "{from:?} -> {to:?}");
    }
    accepted(&chat_with("", "Content-Length: 0"));
}

#[test]
fn key_is_sixteen_bytes_in_base64() {
    let with_key = |key: &str| chat_with("dGhlIHNhbXBsZSBub25jZQ==", key);
    for key in ["AAAAAAAAAAAAAAAAAAAAAA==", "zzzzzzzzzzzzzzzzzzzzzz==", "+/+/+/+/+/+/+/+/+/+/+w=="] {
        accepted(&with_key(key));
    }
    for key in [
        "",
        "short",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZXM=",
        "dGhlIHNhbXBsZSBub25jZXMh",
        "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub2_jZQ==",
        "dGhlIHNhbXBsZ SBub25jZQ==",
    ] {
        assert_eq!(refused(&with_key(key)).reason, "Sec-WebSocket-Key is not 16 bytes in base64", "{key}");
    }
}

#[test]
fn other_version_learns_ours() {
    for version in ["8", "14", "13, 8", "013", ""] {
        let head = chat_with("Sec-WebSocket-Version: 13", &format!("Sec-WebSocket-Version: {version}"));
        assert_eq!(refused(&head).status, Status::UpgradeRequired, "{version}");
    }
    let mut response = Vec::new();
    refused(&CHAT.replace("Version: 13", "Version: 8")).write_response(&mut response);
    assert_eq!(
        String::from_utf8(response).unwrap(),
        "HTTP/1.1 426 Upgrade Required\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 32\r\n\r\n\
         Sec-WebSocket-Version is not 13\n"
    );
}

#[test]
fn refusal_is_a_whole_response() {
    let mut response = Vec::new();
    Refusal::new(Status::NotFound, "no such endpoint").write_response(&mut response);
    assert_eq!(
        String::from_utf8(response).unwrap(),
        "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: 17\r\n\r\nno such endpoint\n"
    );
}

#[test]
fn head_may_fill_its_limit_and_not_more() {
    let padded = |head_bytes: usize| {
        let padding = "x".repeat(head_bytes - CHAT.len() - "Cookie: \r\n".len());
        chat_with("", &format!("Cookie: {padding}"))
    };
    assert_eq!(accepted(&padded(HEAD_BYTES_MAX)).consumed, HEAD_BYTES_MAX);
    let refusal = refused(&padded(HEAD_BYTES_MAX + 1));
    assert_eq!((refusal.status, refusal.reason), (Status::HeadTooLarge, "request head is too large"));
    assert_eq!(refused(&format!("GET /{}", "a".repeat(HEAD_BYTES_MAX))).status, Status::HeadTooLarge);
    let many = (0..100).map(|index| format!("X-{index}: y\r\n")).collect::<String>();
    let refusal = refused(&chat_with("", many.trim_end()));
    assert_eq!((refusal.status, refusal.reason), (Status::HeadTooLarge, "too many headers"));
}

#[test]
fn strangers_are_refused_at_their_first_bytes() {
    for stranger in [&b"\x16\x03\x01\x02\x00"[..], b"PRI * HTTP/2.0\r\n", b"\r\nGET /", b"GETX", b"SSH-2.0-"]
    {
        assert_eq!(
            parse(stranger, HEAD_BYTES_MAX),
            Err(Refusal::new(Status::BadRequest, "method is not GET"))
        );
    }
    assert_eq!(parse(b"", HEAD_BYTES_MAX), Ok(None));
    assert_eq!(parse(b"GE", HEAD_BYTES_MAX), Ok(None));
}

//! The opening handshake of RFC 6455, from the client's side, with one fixed key.

use crate::client::CONNECT_TIMEOUT;
use crate::target::Target;
use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// The nonce of RFC 6455's own example and its answer, so no SHA-1 is needed to check a server.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const HEAD_BYTES_MAX: usize = 8 << 10;

/// As browsers offer it.
const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

/// Makes a WebSocket of a connection, one whose messages may be compressed if `deflate`. Returns what came with the answer's head.
pub(crate) async fn shake_hands(stream: &mut TcpStream, target: &Target, deflate: bool) -> Result<Vec<u8>> {
    let offer = if deflate { OFFER } else { "" };
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{offer}\r\n",
        target.path, target.authority
    );
    stream.write_all(request.as_bytes()).await?;
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let mut head = Vec::new();
    let head_bytes = loop {
        if let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        ensure!(head.len() < HEAD_BYTES_MAX, "handshake answer without an end");
        let read =
            timeout_at(deadline, stream.read_buf(&mut head)).await.context("no handshake in time")??;
        ensure!(read > 0, "closed during the handshake");
    };
    check(&String::from_utf8_lossy(&head[..head_bytes]), deflate)?;
    Ok(head.split_off(head_bytes))
}

fn check(head: &str, deflate: bool) -> Result<()> {
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    ensure!(status.starts_with("HTTP/1.1 101"), "handshake answered {status:?}");
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    let value_of = |wanted: &str| {
        let header = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        header.map_or("", |(_, value)| value.trim())
    };
    let accept = value_of("sec-websocket-accept");
    ensure!(accept == ACCEPT, "wrong Sec-WebSocket-Accept {accept:?}");
    let mut extension = value_of("sec-websocket-extensions").split(';').map(str::trim);
    let accepted = extension.next() == Some("permessage-deflate");
    // Ours remembers no message, so the server may not either.
    let forgets = extension.any(|parameter| parameter == "server_no_context_takeover");
    match deflate {
        true => ensure!(accepted && forgets, "no permessage-deflate with server_no_context_takeover"),
        false => {
            ensure!(value_of("sec-websocket-extensions").is_empty(), "an extension that was not offered")
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_needs_the_right_answer() {
        let head =
            |accept| format!("HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: {accept}\r\n\r\n");
        assert!(check(&head(ACCEPT), false).is_ok());
        assert!(check(&head("another"), false).is_err());
        assert!(check("HTTP/1.1 404 Not Found\r\n\r\n", false).is_err());
    }

    #[test]
    fn compression_is_there_if_and_only_if_it_was_offered() {
        let head = |extensions| {
            format!(
                "HTTP/1.1 101 S\r\nSec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Extensions: {extensions}\r\n\r\n"
            )
        };
        let deflate = head("permessage-deflate; client_no_context_takeover; server_no_context_takeover");
        assert!(check(&deflate, true).is_ok());
        assert!(check(&deflate, false).is_err());
        assert!(check(&head("permessage-deflate"), true).is_err(), "it would have to be remembered");
        assert!(check(&head("x"), true).is_err());
    }
}

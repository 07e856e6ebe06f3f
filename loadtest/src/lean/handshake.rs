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

/// Makes a WebSocket of a connection. Returns what came with the answer's head.
pub(crate) async fn shake_hands(stream: &mut TcpStream, target: &Target) -> Result<Vec<u8>> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n",
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
    check(&String::from_utf8_lossy(&head[..head_bytes]))?;
    Ok(head.split_off(head_bytes))
}

fn check(head: &str) -> Result<()> {
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    ensure!(status.starts_with("HTTP/1.1 101"), "handshake answered {status:?}");
    let mut headers = lines.filter_map(|line| line.split_once(':'));
    let accept = headers.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-accept"));
    let accept = accept.map_or("", |(_, value)| value.trim());
    ensure!(accept == ACCEPT, "wrong Sec-WebSocket-Accept {accept:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_needs_the_right_answer() {
        let head =
            |accept| format!("HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: {accept}\r\n\r\n");
        assert!(check(&head(ACCEPT)).is_ok());
        assert!(check(&head("another")).is_err());
        assert!(check("HTTP/1.1 404 Not Found\r\n\r\n").is_err());
    }
}

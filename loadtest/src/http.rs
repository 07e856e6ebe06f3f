//! Three dozen lines of HTTP: a GET that reads JSON from this machine.
//!
//! HTTP/1.0 with `Connection: close` has neither chunks nor reuse, so the body is what follows the blank line.

use crate::target::Target;
use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A symbol list or a few levels of depth; more means we are talking to something else.
const BODY_BYTES_MAX: u64 = 4 << 20;
const TIMEOUT: Duration = Duration::from_secs(10);

pub async fn get_json<T: DeserializeOwned>(host: &Target, path: &str) -> Result<T> {
    let body = get(host, path).await?;
    serde_json::from_slice(&body).with_context(|| format!("reading http://{}{path}", host.authority))
}

pub async fn get(host: &Target, path: &str) -> Result<Vec<u8>> {
    let fetched =
        timeout(TIMEOUT, fetch(host, path)).await.map_err(|_| anyhow::anyhow!("no answer in {TIMEOUT:?}"));
    fetched.and_then(|body| body).with_context(|| format!("GET http://{}{path}", host.authority))
}

async fn fetch(host: &Target, path: &str) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(host.address).await?;
    let request = format!(
        "GET {path} HTTP/1.0\r\nHost: {}\r\nAccept: application/json\r\nConnection: close\r\n\r\n",
        host.authority
    );
    stream.write_all(request.as_bytes()).await?;
    let mut response = Vec::new();
    stream.take(BODY_BYTES_MAX).read_to_end(&mut response).await?;
    body(&response).map(<[u8]>::to_vec)
}

fn body(response: &[u8]) -> Result<&[u8]> {
    let Some(head_bytes) = response.windows(4).position(|window| window == b"\r\n\r\n") else {
        bail!("not an HTTP response");
    };
    let head = String::from_utf8_lossy(&response[..head_bytes]).to_ascii_lowercase();
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.split(' ').nth(1) == Some("200"), "answered {status:?}");
    ensure!(!head.contains("\r\ntransfer-encoding:"), "chunked body in answer to HTTP/1.0");
    Ok(&response[head_bytes + 4..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_follows_the_blank_line_of_a_good_answer() {
        assert_eq!(body(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap(), b"{}");
        assert!(body(b"HTTP/1.1 404 Not Found\r\n\r\n").is_err());
        assert!(body(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0").is_err());
        assert!(body(b"SSH-2.0").is_err());
    }
}

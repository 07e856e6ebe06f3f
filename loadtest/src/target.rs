//! Whom we may put under load: this machine and nobody else.
//!
//! A load generator pointed at a stranger is an attack, so only loopback addresses are accepted, and a name is never
//! looked up: `localhost` means 127.0.0.1 here.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Target {
    pub address: SocketAddr,
    /// As written, for the Host header.
    pub authority: String,
    pub path: String,
}

/// The command cannot be run as asked: exit code 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongUsage(pub String);

impl Target {
    /// `ws://127.0.0.1:9001/ws`
    pub fn websocket(url: &str) -> Result<Self, WrongUsage> {
        Self::parse(url, "ws://", 80)
    }

    /// `http://127.0.0.1:8080`
    pub fn http(url: &str) -> Result<Self, WrongUsage> {
        Self::parse(url, "http://", 80)
    }

    fn parse(url: &str, scheme: &str, port_default: u16) -> Result<Self, WrongUsage> {
        let wrong = |why: &str| WrongUsage(format!("{url:?}: {why}"));
        let rest =
            url.strip_prefix(scheme).ok_or_else(|| wrong(&format!("expected {scheme}HOST:PORT/PATH")))?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = split_port(authority).ok_or_else(|| wrong("the port is not a number"))?;
        let ip = loopback(host)
            .ok_or_else(|| wrong("only loopback targets are allowed (127.0.0.0/8, ::1, localhost)"))?;
        let path = if path.is_empty() { "/" } else { path }.to_owned();
        let address = SocketAddr::new(ip, port.unwrap_or(port_default));
        Ok(Target { address, authority: authority.to_owned(), path })
    }

    pub fn url(&self) -> String {
        format!("ws://{}{}", self.authority, self.path)
    }
}

fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let port_at =
        authority.rfind(':').filter(|colon| authority.rfind(']').is_none_or(|bracket| *colon > bracket));
    match port_at {
        None => Some((authority, None)),
        Some(colon) => Some((&authority[..colon], Some(authority[colon + 1..].parse().ok()?))),
    }
}

fn loopback(host: &str) -> Option<IpAddr> {
    if host == "localhost" {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok().filter(IpAddr::is_loopback)
}

impl fmt::Display for WrongUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongUsage {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_accepted() {
        let address = |url| Target::websocket(url).unwrap().address.to_string();
        assert_eq!(address("ws://127.0.0.1:9001/ws"), "127.0.0.1:9001");
        assert_eq!(address("ws://localhost:9001/ws"), "127.0.0.1:9001");
        assert_eq!(address("ws://127.8.9.10/ws"), "127.8.9.10:80");
        assert_eq!(address("ws://[::1]:9001/ws?encoding=sbe"), "[::1]:9001");
        assert_eq!(Target::websocket("ws://[::1]:1/ws?hello=1").unwrap().path, "/ws?hello=1");
        assert_eq!(Target::http("http://127.0.0.1:8080").unwrap().path, "/");
    }

    #[test]
    fn everyone_else_is_refused() {
        for url in [
            "ws://10.0.0.1:9001/ws",
            "ws://192.168.1.1/ws",
            "ws://example.com/ws",
            "ws://0.0.0.0:9001/ws",
            "ws://localhost.example.com/ws",
            "ws://127.0.0.1@example.com/ws",
            "ws://[::ffff:8.8.8.8]:1/ws",
            "ws://[fe80::1]/ws",
            "wss://127.0.0.1/ws",
            "127.0.0.1:9001",
            "ws://127.0.0.1:port/ws",
            "ws:///ws",
        ] {
            assert!(Target::websocket(url).is_err(), "{url} was accepted");
        }
    }
}

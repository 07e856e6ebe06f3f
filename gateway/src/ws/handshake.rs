//! The opening handshake, RFC 6455 section 4.2: a request head in, a 101 or a refusal out.
//!
//! [`parse`] checks what the protocol asks. Whether the path exists, the origin is welcome and there is room for one
//! more is the caller's to decide, with the [`Status`] for each ready here. After writing a refusal, shut the sending
//! side down and read to the end, or a reset may overtake the answer.

use super::deflate;
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use sha1::{Digest, Sha1};
use std::io::Write;

/// Request line and headers together, as a default for `head_bytes_max`. Browsers send about 600 bytes; the rest is
/// room for the cookies of others on the same host. Picked by eye.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Browsers send about 15, and proxies add a handful. Picked by eye.
const HEADERS_MAX: usize = 64;

/// RFC 6455 section 1.3: what the server appends to the key before hashing.
const ACCEPT_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The key need not be canonical: real clients draw 22 characters at random, and the last four bits say nothing.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);
const KEY_BYTES: usize = 16;

/// A request that may be answered with a 101. Borrows the bytes it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// As sent, percent signs and all; begins with `/`.
    pub path: &'a str,
    /// What follows the first `?`.
    pub query: Option<&'a str>,
    /// Host and port the client believes to talk to.
    pub host: &'a str,
    /// The page a browser acts for; programs rarely send one.
    pub origin: Option<&'a str>,
    /// Subprotocols offered, the client's favourite first.
    pub protocols: Vec<&'a str>,
    /// Extension offers, each with its parameters.
    pub extensions: Vec<&'a str>,
    /// `Sec-WebSocket-Key`, checked.
    pub key: &'a str,
    /// Bytes of the head. What follows them in the input is the client's first frame.
    pub consumed: usize,
}

/// Reads the upgrade request from all bytes received so far, or gives `None` if the head is not complete.
///
/// More bytes never change a refusal or a request that was once returned. A head that arrives byte by byte is scanned
/// again each time, but only for its end: 8 KiB in 8192 reads cost 0.8 ms in all (release build, shared 2-core VM).
pub fn parse(received: &[u8], head_bytes_max: usize) -> Result<Option<Request<'_>>, Refusal> {
    const METHOD: &[u8] = b"GET ";
    const HEAD_END: &[u8] = b"\r\n\r\n";

    // Before the head is complete, so that a TLS hello or a port scan need not wait for the handshake timeout.
    let method = &received[..received.len().min(METHOD.len())];
    if !METHOD.starts_with(method) {
        return Err(Refusal::bad_request("method is not GET"));
    }
    let window = &received[..received.len().min(head_bytes_max)];
    match memchr::memmem::find(window, HEAD_END) {
        Some(end) => parse_head(&window[..end + HEAD_END.len()]).map(Some),
        None if received.len() >= head_bytes_max => {
            Err(Refusal::new(Status::HeadTooLarge, "request head is too large"))
        }
        None => Ok(None),
    }
}

fn parse_head(head: &[u8]) -> Result<Request<'_>, Refusal> {
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut slots);
    match request.parse(head) {
        // Some take a bare line feed for a line end. A head that ends before its end is read in two ways.
        Ok(httparse::Status::Complete(consumed)) if consumed == head.len() => {}
        Ok(_) => return Err(Refusal::bad_request("line does not end with CRLF")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Refusal::new(Status::HeadTooLarge, "too many headers"));
        }
        Err(_) => return Err(Refusal::bad_request("malformed HTTP request")),
    }
    if request.version != Some(1) {
        return Err(Refusal::bad_request("HTTP version is not 1.1"));
    }

    let headers = Headers::collect(request.headers)?;
    headers.check_upgrade()?;
    let key = headers.key.ok_or(Refusal::bad_request("missing Sec-WebSocket-Key"))?;
    let mut nonce = [0; KEY_BYTES + 2]; // the decoder wants room for whole groups of three
    if KEY_BASE64.decode_slice(key, &mut nonce) != Ok(KEY_BYTES) {
        return Err(Refusal::bad_request("Sec-WebSocket-Key is not 16 bytes in base64"));
    }
    let (authority, path, query) = split_target(request.path.unwrap_or_default())?;
    let host = headers.host.filter(|host| !host.is_empty()).ok_or(Refusal::bad_request("missing Host"))?;
    Ok(Request {
        path,
        query,
        host: authority.unwrap_or(host),
        origin: headers.origin,
        protocols: headers.protocols,
        extensions: headers.extensions,
        key,
        consumed: head.len(),
    })
}

/// The headers we look at.
#[derive(Default)]
struct Headers<'a> {
    host: Option<&'a str>,
    origin: Option<&'a str>,
    key: Option<&'a str>,
    version: Option<&'a str>,
    upgrade_websocket: bool,
    connection_upgrade: bool,
    protocols: Vec<&'a str>,
    extensions: Vec<&'a str>,
}

impl<'a> Headers<'a> {
    fn collect(raw: &[httparse::Header<'a>]) -> Result<Headers<'a>, Refusal> {
        let mut headers = Headers::default();
        for header in raw {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("host") {
                set_once(&mut headers.host, header, "repeated Host")?;
            } else if is("origin") {
                set_once(&mut headers.origin, header, "repeated Origin")?;
            } else if is("upgrade") {
                headers.upgrade_websocket |= has_token(text(header)?, "websocket");
            } else if is("connection") {
                headers.connection_upgrade |= has_token(text(header)?, "upgrade");
            } else if is("sec-websocket-key") {
                set_once(&mut headers.key, header, "repeated Sec-WebSocket-Key")?;
            } else if is("sec-websocket-version") {
                set_once(&mut headers.version, header, "repeated Sec-WebSocket-Version")?;
            } else if is("sec-websocket-protocol") {
                headers.protocols.extend(list(text(header)?));
            } else if is("sec-websocket-extensions") {
                headers.extensions.extend(list(text(header)?));
            } else if is("transfer-encoding") || (is("content-length") && header.value != b"0") {
                // The body would be read as frames.
                return Err(Refusal::bad_request("request has a body"));
            }
        }
        Ok(headers)
    }

    fn check_upgrade(&self) -> Result<(), Refusal> {
        if !self.upgrade_websocket {
            return Err(Refusal::bad_request("missing Upgrade: websocket"));
        }
        if !self.connection_upgrade {
            return Err(Refusal::bad_request("missing Connection: Upgrade"));
        }
        match self.version {
            Some("13") => Ok(()),
            Some(_) => Err(Refusal::new(Status::UpgradeRequired, "Sec-WebSocket-Version is not 13")),
            None => Err(Refusal::bad_request("missing Sec-WebSocket-Version")),
        }
    }
}

fn set_once<'a>(
    slot: &mut Option<&'a str>,
    header: &httparse::Header<'a>,
    repeated: &'static str,
) -> Result<(), Refusal> {
    match slot.replace(text(header)?) {
        None => Ok(()),
        Some(_) => Err(Refusal::bad_request(repeated)),
    }
}

fn text<'a>(header: &httparse::Header<'a>) -> Result<&'a str, Refusal> {
    str::from_utf8(header.value).map(str::trim).map_err(|_| Refusal::bad_request("header value is not text"))
}

/// The elements of a comma-separated header; empty ones do not count (RFC 9110 section 5.6.1).
fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|element| !element.is_empty())
}

fn has_token(value: &str, token: &str) -> bool {
    list(value).any(|element| element.eq_ignore_ascii_case(token))
}

/// Authority (only of the absolute form, where it stands above the Host header), path and query.
fn split_target(target: &str) -> Result<(Option<&str>, &str, Option<&str>), Refusal> {
    const MALFORMED: Refusal = Refusal::bad_request("malformed request target");
    let (authority, rest) = match strip_scheme(target) {
        Some(rest) => {
            let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            if authority.is_empty() {
                return Err(MALFORMED);
            }
            (Some(authority), rest)
        }
        None => (None, target),
    };
    if rest.contains('#') {
        return Err(MALFORMED);
    }
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    match (path, authority) {
        ("", Some(_)) => Ok((authority, "/", query)),
        _ if path.starts_with('/') => Ok((authority, path, query)),
        _ => Err(MALFORMED),
    }
}

/// Proxies write `http://host/path`, and some clients `ws://host/path`.
fn strip_scheme(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_once("://")?;
    ["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some(rest)
}

impl<'a> Request<'a> {
    /// The first of the client's offers that is also one of ours.
    pub fn select_protocol(&self, supported: &[&str]) -> Option<&'a str> {
        self.protocols.iter().copied().find(|offer| supported.contains(offer))
    }

    /// Appends the 101. A client ends the connection if `protocol` is not one that it offered, or `deflate` no offer of its.
    pub fn write_accepted(
        &self,
        out: &mut Vec<u8>,
        protocol: Option<&str>,
        deflate: Option<deflate::Accepted>,
    ) {
        assert!(
            protocol.is_none_or(|protocol| self.protocols.contains(&protocol)),
            "subprotocol was not offered"
        );
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        );
        append(out, format_args!("Sec-WebSocket-Accept: {}\r\n", accept_key(self.key)));
        if let Some(protocol) = protocol {
            append(out, format_args!("Sec-WebSocket-Protocol: {protocol}\r\n"));
        }
        if let Some(deflate) = deflate {
            append(out, format_args!("Sec-WebSocket-Extensions: {deflate}\r\n"));
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`: proof that we read the request as a WebSocket request.
pub fn accept_key(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(ACCEPT_GUID).finalize())
}

/// An answer that is not a 101.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind, for the client's program.
    pub status: Status,
    /// One line for the person who reads the response. Names what is wrong, never a value the client sent.
    pub reason: &'static str,
}

/// Why there is no 101.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Status {
    /// Not an upgrade request, or not a correct one.
    BadRequest = 400,
    /// The origin or the address is not welcome.
    Forbidden = 403,
    /// No endpoint at this path.
    NotFound = 404,
    /// Another version of the protocol; the response names ours.
    UpgradeRequired = 426,
    /// This address connects too often or holds too many connections.
    TooManyRequests = 429,
    /// More header bytes, or more headers, than allowed.
    HeadTooLarge = 431,
    /// No room for another connection, or shutting down.
    Unavailable = 503,
}

impl Status {
    fn phrase(self) -> &'static str {
        match self {
            Status::BadRequest => "Bad Request",
            Status::Forbidden => "Forbidden",
            Status::NotFound => "Not Found",
            Status::UpgradeRequired => "Upgrade Required",
            Status::TooManyRequests => "Too Many Requests",
            Status::HeadTooLarge => "Request Header Fields Too Large",
            Status::Unavailable => "Service Unavailable",
        }
    }

    /// RFC 9110 section 15.5.22 wants the protocol named, RFC 6455 section 4.4 the version.
    fn extra_headers(self) -> &'static str {
        match self {
            Status::UpgradeRequired => {
                "Connection: close, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            }
            _ => "Connection: close\r\n",
        }
    }
}

impl Refusal {
    /// A refusal of any kind.
    pub const fn new(status: Status, reason: &'static str) -> Refusal {
        Refusal { status, reason }
    }

    const fn bad_request(reason: &'static str) -> Refusal {
        Refusal::new(Status::BadRequest, reason)
    }

    /// Appends the whole response, body included.
    pub fn write_response(&self, out: &mut Vec<u8>) {
        let Refusal { status, reason } = *self;
        append(
            out,
            format_args!("HTTP/1.1 {} {}\r\n{}", status as u16, status.phrase(), status.extra_headers()),
        );
        out.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\n");
        append(out, format_args!("Content-Length: {}\r\n\r\n{reason}\n", reason.len() + 1));
    }
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes every byte");
}

//! A subscriber cheap enough to have twenty thousand of.
//!
//! Parsing each frame in each client would cost more than the server spends on sending it, and the measurement would
//! be of ourselves. A lean subscriber walks frame headers, looks at one word of each payload to tell data from
//! snapshots and gaps, counts, and keeps the first and the last data message; with these two a fully checked
//! subscriber can say how many frames must have been between them (see [`Span`]). Readers share one buffer per
//! thread and hold no memory of their own while idle.

use crate::check::Mark;
use crate::client::{CONNECT_TIMEOUT, Dial, dial, now_us};
use crate::frames::{CLOSE, Frame, PING, PONG, TEXT, Walker, short_client_frame};
use crate::target::Target;
use anyhow::{Context, Result, bail, ensure};
use std::cell::RefCell;
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// The nonce of RFC 6455's own example and its answer, so no SHA-1 is needed to check a server.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Room for what a socket has gathered between two turns of ours.
const BUFFER_BYTES: usize = 256 << 10;
const HEAD_BYTES_MAX: usize = 8 << 10;

/// One read in this many has a latency taken from its first, that is oldest, data frame.
const READS_PER_LATENCY: u64 = 8;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER_BYTES]);
}

pub struct Lean {
    stream: TcpStream,
    walker: Walker,
    tally: Tally,
}

/// What a lean subscriber saw.
#[derive(Debug, Default)]
pub struct Tally {
    /// Updates and trades.
    pub frames: u64,
    /// All that was received, headers included.
    pub bytes: u64,
    pub snapshots: u64,
    pub gaps: u64,
    pub acks: u64,
    pub other: u64,
    pub reads: u64,
    /// The server's close frame or the end of the stream.
    pub closed: Option<String>,
    first: Vec<u8>,
    last: Vec<u8>,
    /// Where `"type":"` ended in the last message: the same place in the next, most likely.
    type_at: usize,
    pong_due: Option<Vec<u8>>,
}

/// One turn's gain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    pub frames: u64,
    pub bytes: u64,
    pub latency_us: Option<u64>,
}

/// A stretch of the channel by its first and last message, and the messages counted from one to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub first: Mark,
    pub last: Mark,
    pub frames: u64,
}

impl Lean {
    pub async fn subscribe(target: &Target, channel: &str, how: Dial) -> Result<Self> {
        let mut stream = dial(target, how).await?;
        let rest = shake_hands(&mut stream, target).await?;
        let mut lean = Lean { stream, walker: Walker::default(), tally: Tally::default() };
        let tally = &mut lean.tally;
        lean.walker.walk(&rest, |frame| _ = tally.frame(frame))?;
        let request = serde_json::json!({"action": "subscribe", "channel": channel}).to_string();
        lean.stream.write_all(&short_client_frame(TEXT, request.as_bytes())).await?;
        Ok(lean)
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Waits for the ack and, if the channel has one, the snapshot.
    pub async fn until_live(&mut self, has_book: bool, deadline: Instant) -> Result<()> {
        while self.tally.acks == 0 || (has_book && self.tally.snapshots == 0) {
            timeout_at(deadline, self.turn()).await.context("waited in vain for ack and snapshot")??;
            if let Some(reason) = &self.tally.closed {
                bail!("closed before ack and snapshot: {reason}");
            }
        }
        Ok(())
    }

    /// Waits until the socket is readable and takes what is there. Safe to drop while it waits.
    pub async fn turn(&mut self) -> Result<Turn> {
        self.stream.readable().await?;
        let turn = BUFFER.with_borrow_mut(|buffer| self.read(buffer))?;
        if let Some(pong) = self.tally.pong_due.take() {
            // A socket too full for a pong will fail by the server's own rule.
            let _ = self.stream.try_write(&pong);
        }
        Ok(turn)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<Turn> {
        let read = match self.stream.try_read(buffer) {
            Ok(0) => return Ok(self.tally.close("end of stream")),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Turn::default()),
            Err(error) => return Ok(self.tally.close(&error.to_string())),
        };
        let tally = &mut self.tally;
        let frames_before = tally.frames;
        tally.bytes += read as u64;
        tally.reads += 1;
        let mut wants_latency = tally.reads.is_multiple_of(READS_PER_LATENCY);
        let mut stamp_us = None;
        self.walker.walk(&buffer[..read], |frame| {
            if tally.frame(frame) && wants_latency {
                wants_latency = false;
                stamp_us = event_us(frame.payload);
            }
        })?;
        let latency_us = stamp_us.map(|stamp_us| now_us().saturating_sub(stamp_us));
        Ok(Turn { frames: tally.frames - frames_before, bytes: read as u64, latency_us })
    }
}

impl Tally {
    /// Takes one frame and says whether it was data.
    fn frame(&mut self, frame: Frame) -> bool {
        match frame.opcode {
            TEXT => return self.text(frame.payload),
            PING => self.pong_due = Some(short_client_frame(PONG, frame.payload)),
            CLOSE => _ = self.close(&close_reason(frame.payload)),
            _ => self.other += 1,
        }
        false
    }

    fn text(&mut self, payload: &[u8]) -> bool {
        let kind = self.kind(payload);
        if kind.starts_with(b"depth_update\"") || kind.starts_with(b"trade\"") {
            self.data(payload);
            return true;
        }
        if kind.starts_with(b"depth_snapshot\"") {
            self.snapshots += 1;
        } else if kind.starts_with(b"gap\"") {
            self.gaps += 1;
        } else if kind.starts_with(b"subscription_ack\"") {
            self.acks += 1;
        } else {
            self.other += 1;
        }
        false
    }

    fn data(&mut self, payload: &[u8]) {
        if self.frames == 0 {
            self.first.extend_from_slice(payload);
        }
        self.frames += 1;
        self.last.clear();
        self.last.extend_from_slice(payload);
    }

    /// The payload from its type on. Keys may come in any order, but a server hardly changes it between messages.
    fn kind<'a>(&mut self, payload: &'a [u8]) -> &'a [u8] {
        const KEY: &[u8] = b"\"type\":\"";
        let at = self.type_at;
        if at < KEY.len() || at > payload.len() || &payload[at - KEY.len()..at] != KEY {
            self.type_at = find(payload, KEY).map_or(0, |found| found + KEY.len());
        }
        if self.type_at == 0 { b"" } else { &payload[self.type_at..] }
    }

    fn close(&mut self, reason: &str) -> Turn {
        self.closed.get_or_insert_with(|| reason.to_owned());
        Turn::default()
    }

    /// Whether the server replaced the book or left out trades: then the frames between two marks are fewer.
    pub fn was_lapped(&self) -> bool {
        self.snapshots > 1 || self.gaps > 0
    }

    /// None if nothing came, or what came has no number.
    pub fn span(&self) -> Option<Span> {
        let mark = |bytes: &[u8]| {
            Some(Mark::of(std::str::from_utf8(bytes).ok()?)).filter(|mark| *mark != Mark::Other)
        };
        Some(Span { first: mark(&self.first)?, last: mark(&self.last)?, frames: self.frames })
    }
}

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
    check_handshake(&String::from_utf8_lossy(&head[..head_bytes]))?;
    Ok(head.split_off(head_bytes))
}

fn check_handshake(head: &str) -> Result<()> {
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    ensure!(status.starts_with("HTTP/1.1 101"), "handshake answered {status:?}");
    let mut headers = lines.filter_map(|line| line.split_once(':'));
    let accept = headers.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-accept"));
    let accept = accept.map_or("", |(_, value)| value.trim());
    ensure!(accept == ACCEPT, "wrong Sec-WebSocket-Accept {accept:?}");
    Ok(())
}

fn close_reason(payload: &[u8]) -> String {
    match payload {
        [high, low, reason @ ..] => {
            format!("{} {}", u16::from_be_bytes([*high, *low]), String::from_utf8_lossy(reason))
        }
        _ => "without a code".into(),
    }
}

/// The `ts` of an update or trade, read without parsing the rest.
fn event_us(payload: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"\"ts\":";
    let digits = &payload[find(payload, KEY)? + KEY.len()..];
    let digits = &digits[..digits.iter().position(|byte| !byte.is_ascii_digit())?];
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(messages: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for message in messages {
            tally.frame(Frame { opcode: TEXT, payload: message.as_bytes() });
        }
        tally
    }

    const UPDATE: &str = r#"{"channel":"A-B","type":"depth_update","data":{"prev_seq":1,"seq":2,"ts":77,"bids":[],"asks":[]}}"#;
    const TRADE: &str = r#"{"type":"trade","channel":"A-B","data":{"trade_id":9,"seq":2,"price":"1","quantity":"1","side":"buy","ts":78}}"#;

    #[test]
    fn messages_are_told_apart_whatever_the_order_of_keys() {
        let tally = tally(&[
            r#"{"type":"subscription_ack","channel":"A-B"}"#,
            r#"{"channel":"A-B","type":"depth_snapshot","data":{}}"#,
            UPDATE,
            TRADE,
            r#"{"channel":"A-B","type":"gap","data":{}}"#,
            r#"{"no":"kind"}"#,
            "",
        ]);
        assert_eq!((tally.acks, tally.snapshots, tally.frames, tally.gaps, tally.other), (1, 1, 2, 1, 2));
        let span = Span { first: Mark::Update { seq: 2 }, last: Mark::Trade { trade_id: 9 }, frames: 2 };
        assert_eq!(tally.span(), Some(span));
        assert!(tally.was_lapped());
    }

    #[test]
    fn the_stamp_of_an_event_is_read_in_place() {
        assert_eq!(event_us(UPDATE.as_bytes()), Some(77));
        assert_eq!(event_us(TRADE.as_bytes()), Some(78));
        assert_eq!(event_us(b"{}"), None);
    }

    #[test]
    fn a_ping_calls_for_a_pong_and_a_close_has_its_reason() {
        let mut tally = Tally::default();
        tally.frame(Frame { opcode: PING, payload: b"x" });
        assert_eq!(tally.pong_due, Some(short_client_frame(PONG, b"x")));
        tally.frame(Frame { opcode: CLOSE, payload: b"\x0f\xa1slow consumer" });
        assert_eq!(tally.closed.as_deref(), Some("4001 slow consumer"));
    }

    #[test]
    fn a_handshake_needs_the_right_answer() {
        let head =
            |accept| format!("HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: {accept}\r\n\r\n");
        assert!(check_handshake(&head(ACCEPT)).is_ok());
        assert!(check_handshake(&head("another")).is_err());
        assert!(check_handshake("HTTP/1.1 404 Not Found\r\n\r\n").is_err());
    }
}

//! Who sends orders of a flow.

use super::Counts;
use crate::frames::{CLOSE, Frame, PING, PONG, TEXT, Walker, put_client_frame};
use crate::lean::log_in;
use crate::target::Target;
use crate::trading::{Naming, Order};
use anyhow::{Context, Result, anyhow, ensure};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

/// One account on a socket that never makes us wait.
pub(in crate::scenario) struct Trader {
    stream: TcpStream,
    walker: Walker,
    naming: Naming,
    out: Vec<u8>,
    /// Where in `out` each order ends.
    ends: VecDeque<usize>,
    /// Orders that are out of `out`.
    sent: u64,
    pub counts: Counts,
    cancels_all: u64,
}

impl Trader {
    pub async fn open(target: &Target, account: &str, naming: Naming) -> Result<Self> {
        let (stream, walker) = log_in(target, account).await?;
        let (out, ends, sent) = Default::default();
        let (counts, cancels_all) = Default::default();
        Ok(Trader { stream: stream.into_std()?, walker, naming, out, ends, sent, counts, cancels_all })
    }

    pub fn submit(&mut self, order: Order) {
        self.counts.commands += 1;
        put_client_frame(&mut self.out, TEXT, self.naming.submit(&order).as_bytes());
        self.ends.push_back(self.out.len());
    }

    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes that have not left.
    pub fn unsent(&self) -> usize {
        self.out.len()
    }

    fn drain(&mut self, bytes: usize) {
        self.out.drain(..bytes);
        while self.ends.pop_front_if(|end| *end <= bytes).is_some() {
            self.sent += 1;
        }
        self.ends.iter_mut().for_each(|end| *end -= bytes);
    }

    /// What no sweep has taken is not left to the next run.
    pub fn cancel_all(&mut self) {
        self.cancels_all += 1;
        let request =
            serde_json::json!({"action": "cancel_all", "id": 1, "symbol": self.naming.symbol}).to_string();
        put_client_frame(&mut self.out, TEXT, request.as_bytes());
    }

    pub fn unanswered(&self) -> u64 {
        let Counts { commands, acks, cancel_all_acks, order_rejects, errors, .. } = self.counts;
        (commands + self.cancels_all).saturating_sub(acks + cancel_all_acks + order_rejects + errors)
    }

    /// Sends and reads what goes without waiting.
    pub fn pump(&mut self, buffer: &mut [u8]) -> Result<()> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(sent) => self.drain(sent),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("sending orders"),
            }
        }
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) => return Err(anyhow!("closed by the server")),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("reading answers"),
            };
            let Self { walker, counts, out, .. } = self;
            let mut closed = None;
            walker.walk(&buffer[..read], |frame| match frame.opcode {
                TEXT => heard(frame, counts),
                PING => put_client_frame(out, PONG, frame.payload),
                CLOSE => closed = Some(String::from_utf8_lossy(frame.payload).into_owned()),
                _ => {}
            })?;
            ensure!(closed.is_none(), "closed by the server: {}", closed.unwrap_or_default());
        }
    }
}

/// Reports are most of it, and begin like this; the few others are parsed.
fn heard(frame: Frame, counts: &mut Counts) {
    const REPORTS: [&[u8]; 2] = [br#"{"type":"execution_report""#, br#"{"type":"balance_update""#];
    if REPORTS.iter().any(|report| frame.payload.starts_with(report)) {
        return;
    }
    counts.count(&String::from_utf8_lossy(frame.payload));
}

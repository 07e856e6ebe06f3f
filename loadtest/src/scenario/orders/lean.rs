//! The closed loop on a bare socket: a client cheap enough for the server to be what is measured.
//!
//! All answers of one read are judged together, by the same judge as everybody's, and all requests that follow from them
//! leave in one write. Private reports are left unread; who wants to see them judged follows with fewer orders.

use super::{Measured, Quotes};
use crate::frames::{CLOSE, Frame, PING, PONG, TEXT, Walker, put_client_frame};
use crate::lean::log_in;
use crate::report::Verdict;
use crate::target::Target;
use crate::trading::{Answered, Answers, Naming};
use anyhow::{Context, Result};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

/// Room for what a socket has gathered between two reads.
const BUFFER_BYTES: usize = 256 << 10;

/// Messages that are no answers, as their first bytes are written today; any other spelling is parsed, and found to be
/// none there.
const REPORTS: [&[u8]; 2] = [br#"{"type":"execution_report""#, br#"{"type":"balance_update""#];

pub struct LeanTrader {
    stream: TcpStream,
    walker: Walker,
    chains: Chains,
    measured: Arc<Mutex<Measured>>,
}

/// The orders of one connection, and what is to be sent next.
struct Chains {
    naming: Naming,
    quotes: Quotes,
    answers: Answers,
    next: u64,
    end: Instant,
    out: Vec<u8>,
    closed: bool,
}

impl LeanTrader {
    pub async fn open(
        target: &Target,
        account: &str,
        (naming, quotes): (Naming, Quotes),
        measured: Arc<Mutex<Measured>>,
    ) -> Result<Self> {
        let (stream, walker) = log_in(target, account).await?;
        let chains = Chains {
            answers: Answers::new(naming.clone()),
            naming,
            quotes,
            next: 0,
            end: Instant::now(),
            out: Vec::new(),
            closed: false,
        };
        Ok(LeanTrader { stream, walker, chains, measured })
    }

    /// Each of `window` chains goes submit, ack, cancel, ack, and starts over until the time is up.
    pub async fn run(mut self, window: usize, end: Instant, deadline: Instant) -> Result<Verdict> {
        self.chains.end = end;
        let mut buffer = vec![0; BUFFER_BYTES];
        let begun = Instant::now();
        (0..window).for_each(|_| self.chains.submit(begun));
        while self.chains.answers.in_flight() > 0 && !self.chains.closed {
            self.send().await?;
            let Ok(read) = timeout_at(deadline.into(), self.stream.read(&mut buffer)).await else { break };
            let (read, received) = (read.context("reading answers")?, Instant::now());
            if read == 0 {
                self.chains.answers.verdict.violate("connection closed: end of stream");
                break;
            }
            let Self { walker, chains, measured, .. } = &mut self;
            let mut measured = measured.lock().expect("no holder panics");
            walker.walk(&buffer[..read], |frame| chains.frame(frame, received, &mut measured))?;
        }
        Ok(self.chains.answers.finish())
    }

    /// The server reads whatever it writes, so this waits for nothing that waits for us.
    async fn send(&mut self) -> Result<()> {
        self.stream.write_all(&self.chains.out).await.context("sending requests")?;
        self.chains.out.clear();
        Ok(())
    }
}

impl Chains {
    fn frame(&mut self, frame: Frame, received: Instant, measured: &mut Measured) {
        match frame.opcode {
            TEXT if REPORTS.iter().any(|report| frame.payload.starts_with(report)) => {}
            TEXT => self.text(frame.payload, received, measured),
            PING => put_client_frame(&mut self.out, PONG, frame.payload),
            CLOSE => {
                self.closed = true;
                let reason = String::from_utf8_lossy(frame.payload.get(2..).unwrap_or_default());
                self.answers.verdict.violate(format!("connection closed: {reason}"));
            }
            _ => {}
        }
    }

    fn text(&mut self, payload: &[u8], received: Instant, measured: &mut Measured) {
        let answered = self.answers.answer(&String::from_utf8_lossy(payload), received);
        measured.record(answered, received);
        match answered {
            Answered::Submitted { index, .. } => {
                self.answers.canceling(index, received);
                put_client_frame(&mut self.out, TEXT, self.naming.cancel(index).as_bytes());
            }
            Answered::Canceled { .. } | Answered::Failed if received < self.end => self.submit(received),
            _ => {}
        }
    }

    fn submit(&mut self, at: Instant) {
        let order = self.quotes.order(self.next);
        self.answers.submitting(self.next, at);
        self.next += 1;
        put_client_frame(&mut self.out, TEXT, self.naming.submit(&order).as_bytes());
    }
}

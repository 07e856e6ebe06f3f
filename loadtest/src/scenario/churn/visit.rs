//! One visitor: comes, is checked while it stays, and leaves in one of the ways that clients have.

use crate::client::{CONNECT_TIMEOUT, Dial, Following, Step, dial};
use crate::frames::{PING, TEXT, put_client_frame};
use crate::report::Verdict;
use crate::target::Target;
use anyhow::{Context, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Source addresses in turn: a port that was left rests for a minute.
const SOURCES: u64 = 8;

/// What visitors have in common.
pub(super) struct Stay {
    pub target: Target,
    pub channels: Vec<String>,
    pub longest: Duration,
}

/// How a visitor leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A close frame, and the answer to it.
    Close,
    /// The end of the stream, unannounced.
    End,
    /// A reset.
    Reset,
    /// A reset in the middle of a frame.
    HalfFrame,
    /// A reset after a while without reading.
    Unread,
    /// A reset before the handshake is over.
    Handshake,
}

/// Visitors by how they left.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Endings {
    pub closed: u64,
    pub ended: u64,
    pub reset: u64,
    pub reset_in_a_frame: u64,
    pub reset_unread: u64,
    pub reset_in_the_handshake: u64,
}

/// What came of a visit.
pub(super) struct Visit {
    pub ending: Ending,
    /// None if it was not to become live, or did not.
    pub connect_to_live: Option<Duration>,
    pub messages: u64,
    pub verdict: Verdict,
}

impl Ending {
    fn draw(random: &mut ChaCha8Rng) -> Self {
        match random.random_range(0..100) {
            0..35 => Ending::Close,
            35..50 => Ending::End,
            50..75 => Ending::Reset,
            75..85 => Ending::HalfFrame,
            85..95 => Ending::Unread,
            _ => Ending::Handshake,
        }
    }
}

impl Stay {
    /// The same seed makes the same visit.
    pub(super) async fn visit(self: Arc<Self>, index: u64, seed: u64) -> Visit {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut visit = Visit {
            ending: Ending::draw(&mut random),
            connect_to_live: None,
            messages: 0,
            verdict: Verdict::default(),
        };
        if let Err(error) = self.stay(index, &mut random, &mut visit).await {
            visit.verdict.violate(format!("a visitor: {error:#}"));
        }
        visit
    }

    async fn stay(&self, index: u64, random: &mut ChaCha8Rng, visit: &mut Visit) -> Result<()> {
        let source: IpAddr = Ipv4Addr::new(127, 0, 0, 1 + (index % SOURCES) as u8).into();
        let how = Dial { source: Some(source).filter(|_| self.target.address.is_ipv4()), ..Dial::default() };
        let channel = &self.channels[random.random_range(0..self.channels.len())];
        if visit.ending == Ending::Handshake {
            return self.abandon(how).await;
        }
        let came = Instant::now();
        let mut following = Following::subscribe_by(&self.target, channel, how).await?;
        following.until_live(came + CONNECT_TIMEOUT).await?;
        visit.connect_to_live = Some(came.elapsed());
        let until = Instant::now() + self.longest.mul_f64(random.random());
        while let Step::Applied { .. } = following.step(until).await? {
            if Instant::now() >= until {
                break;
            }
        }
        visit.messages = following.follower.counts().messages;
        visit.verdict.absorb("a visitor", &following.follower);
        if !following.is_closed() {
            self.leave(following, visit.ending).await?;
        }
        Ok(())
    }

    /// Half a request, and away.
    async fn abandon(&self, how: Dial) -> Result<()> {
        let mut stream = dial(&self.target, how).await?;
        let begun = format!("GET {} HTTP/1.1\r\nHost: {}\r\nUpgr", self.target.path, self.target.authority);
        stream.write_all(begun.as_bytes()).await?;
        reset_at_end(&stream)
    }

    async fn leave(&self, mut following: Following, ending: Ending) -> Result<()> {
        let socket = &mut following.connection.socket;
        match ending {
            Ending::Close => {
                socket.close(None).await.context("closing")?;
                let deadline = Instant::now() + CONNECT_TIMEOUT;
                // What was on the way comes before the answer.
                while matches!(following.step(deadline).await?, Step::Applied { .. }) {}
                return Ok(());
            }
            Ending::End => return Ok(()),
            Ending::HalfFrame => {
                let mut frame = Vec::new();
                put_client_frame(&mut frame, PING, b"never mind");
                put_client_frame(&mut frame, TEXT, br#"{"action":"list_subscriptions","id":1}"#);
                socket
                    .get_mut()
                    .write_all(&frame[..frame.len() - 7])
                    .await
                    .context("sending half a frame")?;
            }
            Ending::Unread => tokio::time::sleep(self.longest / 4).await,
            Ending::Reset | Ending::Handshake => {}
        }
        reset_at_end(socket.get_ref().stream())
    }
}

/// It says so itself when it is dropped.
fn reset_at_end(stream: &TcpStream) -> Result<()> {
    stream.set_zero_linger().context("asking for a reset")
}

impl Endings {
    pub(super) fn add(&mut self, ending: Ending) {
        *match ending {
            Ending::Close => &mut self.closed,
            Ending::End => &mut self.ended,
            Ending::Reset => &mut self.reset,
            Ending::HalfFrame => &mut self.reset_in_a_frame,
            Ending::Unread => &mut self.reset_unread,
            Ending::Handshake => &mut self.reset_in_the_handshake,
        } += 1;
    }
}

impl fmt::Display for Endings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Endings { closed, ended, reset, reset_in_a_frame, reset_unread, reset_in_the_handshake } = self;
        write!(f, "{closed} closed, {ended} ended, {reset} reset, {reset_in_a_frame} in a frame, ")?;
        write!(f, "{reset_unread} unread, {reset_in_the_handshake} in the handshake")
    }
}

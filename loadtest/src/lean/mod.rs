//! A subscriber cheap enough to have twenty thousand of, and to send millions of frames a second to.
//!
//! Parsing each frame in each client would cost more than the server spends on sending it, and the measurement would
//! be of ourselves. A lean subscriber walks frame headers, looks at one word of each payload to tell data from
//! snapshots and gaps, counts, and keeps the first and the last data message; with these two a fully checked
//! subscriber can say how many frames must have been between them (see [`Span`]). It has no task: once it is live, one
//! of the [`Readers`] reads it, with a buffer that all of a thread's sockets share.
//!
//! Compressed frames are inflated once for all of a thread's subscribers, see [`crate::inflate`].
//!
//! One that is to be checked later keeps the very bytes it got, see [`Recording`].

mod epoll;
mod handshake;
mod keys;
mod login;
mod reached;
mod readers;
mod recording;
mod tally;

pub use keys::Keys;
pub use reached::Reached;
pub use readers::{Drain, Readers};
pub use recording::{Heard, Recording};
pub use tally::{Order, Span, Tally};

pub(crate) use handshake::{ACCEPT, shake_hands};
pub(crate) use login::log_in;

use crate::client::{Dial, dial, now_us};
use crate::frames::{FrameFault, TEXT, Walker, put_client_frame};
use crate::meter::{Gain, Meter};
use crate::target::Target;
use anyhow::{Context, Result, bail, ensure};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

/// Room for what a socket has gathered between two turns of ours.
const BUFFER_BYTES: usize = 256 << 10;

/// One read in this many has its messages' latencies taken.
const READS_PER_LATENCY: u64 = 8;

pub struct Lean {
    stream: TcpStream,
    ear: Ear,
}

/// Takes bytes, wherever they come from.
pub struct Ear {
    walker: Walker,
    tally: Tally,
    recording: Option<Recording>,
    reached: Option<Reached>,
}

/// What to say on a new connection, and what then to expect.
#[derive(Clone, Debug)]
pub struct Opening {
    pub request: String,
    pub until: Until,
    /// Of another kind of server than Ringside.
    pub keys: Option<Arc<Keys>>,
}

/// What makes a subscriber live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    Ack,
    Snapshot,
    /// The request is sent: of a server whose answers we do not know.
    Sent,
}

impl Opening {
    /// The bare subscribe of Ringside.
    pub fn subscribe(channel: &str) -> Self {
        let request = serde_json::json!({"action": "subscribe", "channel": channel}).to_string();
        let has_book = crate::check::Follower::new(channel).has_book();
        Opening { request, until: if has_book { Until::Snapshot } else { Until::Ack }, keys: None }
    }

    /// Another server.
    pub fn foreign(request: &str, timestamp_key: Option<&str>, sequence_key: Option<&str>) -> Self {
        let keys = Keys::new(timestamp_key, sequence_key);
        Opening { request: request.to_owned(), until: Until::Sent, keys: Some(keys.into()) }
    }
}

impl Lean {
    /// Connects, subscribes, and waits for the ack and, if the channel has one, the snapshot.
    pub async fn subscribe(
        target: &Target,
        opening: &Opening,
        how: Dial,
        recording: Option<Recording>,
        deadline: Instant,
    ) -> Result<Self> {
        let mut stream = dial(target, how).await?;
        let rest = shake_hands(&mut stream, target, how.deflate).await?;
        let mut request = Vec::new();
        put_client_frame(&mut request, TEXT, opening.request.as_bytes());
        stream.write_all(&request).await?;
        let mut ear = Ear::new(opening.keys.clone(), recording);
        if how.deflate {
            ear.walker = Walker::inflating();
        }
        if !rest.is_empty() {
            ear.take(&rest)?;
        }
        let live = ear.until_live(&mut stream, opening.until);
        timeout_at(deadline, live).await.context("waited in vain for ack and snapshot")??;
        Ok(Lean { stream: stream.into_std()?, ear })
    }

    pub fn tally(&self) -> &Tally {
        &self.ear.tally
    }

    /// Tells from now on how far it has come.
    pub fn tell(&mut self) -> Reached {
        let reached = self.ear.reached.get_or_insert_default().clone();
        self.ear.tell();
        reached
    }

    /// Another end to write to, whoever reads.
    pub fn voice(&self) -> std::io::Result<TcpStream> {
        self.stream.try_clone()
    }

    /// Takes what is there, if anything is. Returns what it brought; the latencies of its messages, now and then, are the meter's.
    fn turn(&mut self, buffer: &mut [u8], meter: &Meter) -> Gain {
        let Lean { stream, ear } = self;
        let read = match stream.read(buffer) {
            Ok(0) => return ear.close("end of stream"),
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Default::default();
            }
            Err(error) => return ear.close(&error.to_string()),
        };
        let gained = ear.take(&buffer[..read]).unwrap_or_else(|fault| ear.close(&fault.to_string()));
        if !ear.tally.stamps.is_empty() {
            meter.late(now_us(), &ear.tally.stamps);
        }
        if let Some(pong) = ear.tally.pong_due.take() {
            // A socket too full for a pong will fail by the server's own rule.
            let _ = stream.write(&pong);
        }
        gained
    }

    /// Takes the recording out, if there is one, with the stream as it goes on from its end.
    pub fn into_recorded(self) -> Result<(Recording, TcpStream), Box<Lean>> {
        match self.ear.recording {
            Some(recording) => Ok((recording, self.stream)),
            None => Err(Box::new(self)),
        }
    }
}

impl Ear {
    pub fn new(keys: Option<Arc<Keys>>, recording: Option<Recording>) -> Self {
        Ear { walker: Walker::default(), tally: Tally::new(keys), recording, reached: None }
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    async fn until_live(&mut self, stream: &mut tokio::net::TcpStream, until: Until) -> Result<()> {
        let mut bytes = Vec::with_capacity(4096);
        while !self.tally.is_live(until) {
            bytes.clear();
            ensure!(stream.read_buf(&mut bytes).await? > 0, "closed before ack and snapshot");
            self.take(&bytes)?;
            if let Some(reason) = &self.tally.closed {
                bail!("closed before ack and snapshot: {reason}");
            }
        }
        Ok(())
    }

    /// What one read brought. Returns how much that was.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Gain, FrameFault> {
        if let Some(recording) = &mut self.recording {
            recording.keep(bytes, now_us());
        }
        let frames_before = self.tally.frames;
        let wants_stamps = self.tally.reads.is_multiple_of(READS_PER_LATENCY);
        self.tally.take(&mut self.walker, bytes, wants_stamps)?;
        self.tell();
        Ok(Gain { frames: self.tally.frames - frames_before, bytes: bytes.len() as u64, reads: 1 })
    }

    fn close<T: Default>(&mut self, reason: &str) -> T {
        self.tally.close(reason);
        self.tell();
        T::default()
    }

    fn tell(&self) {
        match &self.reached {
            Some(reached) if self.tally.closed.is_some() => reached.close(),
            Some(reached) => reached.set(self.tally.seq()),
            None => {}
        }
    }
}

//! One WebSocket connection by tokio-tungstenite, and one followed channel on it.
//!
//! [`Connection`] moves text. [`Following`] joins it to a [`Follower`] and knows how to wait for facts: the first
//! snapshot, a sequence, silence. Waiting always has a deadline.

use crate::check::{Applied, Follower, Violation};
use crate::lean::shake_hands;
use crate::report::Latencies;
use crate::target::Target;
use crate::wire::Wire;
use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// From the first SYN to the end of the handshake. With thousands connecting at once the last one waits a while.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Each way. tungstenite would take 128 KiB for each of thousands of connections; a burst of frames fits in this.
const BUFFER_BYTES: usize = 16 << 10;

pub type Socket = WebSocketStream<Wire>;

pub struct Connection {
    pub socket: Socket,
}

/// How to open a socket; the default leaves all to the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dial {
    /// One source address has some 28,000 ports towards one server; more connections need more addresses.
    pub source: Option<IpAddr>,
    /// A small receive buffer makes a stalled reader felt soon.
    pub receive_buffer_bytes: Option<u32>,
    /// Has the server compress.
    pub deflate: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    Text {
        text: Utf8Bytes,
        received_us: u64,
    },
    Closed {
        reason: String,
    },
    /// Nothing came before the deadline.
    Quiet,
}

pub async fn dial(target: &Target, dial: Dial) -> Result<TcpStream> {
    let socket = if target.address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(bytes) = dial.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(source) = dial.source {
        choose_port_at_connect(&socket)?;
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let connected = timeout(CONNECT_TIMEOUT, socket.connect(target.address)).await;
    let stream =
        connected.with_context(|| format!("no connection to {} in {CONNECT_TIMEOUT:?}", target.address))?;
    let stream = stream.with_context(|| format!("connecting to {}", target.address))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A port taken at bind is taken for all destinations; taken at connect it is unique towards one server only.
fn choose_port_at_connect(socket: &TcpSocket) -> io::Result<()> {
    let on: libc::c_int = 1;
    let (on_at, bytes) = (std::ptr::from_ref(&on).cast(), size_of_val(&on) as libc::socklen_t);
    let option = libc::IP_BIND_ADDRESS_NO_PORT;
    // SAFETY: the descriptor is open while `socket` is borrowed, and the pointer and length describe `on`.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, option, on_at, bytes) };
    if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

impl Connection {
    pub async fn open(target: &Target) -> Result<Self> {
        Self::open_by(target, Dial::default()).await
    }

    pub async fn open_by(target: &Target, how: Dial) -> Result<Self> {
        let mut stream = dial(target, how).await?;
        if how.deflate {
            let read = shake_hands(&mut stream, target, true).await?;
            return Ok(Self::resume(Wire::deflated(stream, &read), Vec::new()).await);
        }
        let stream = Wire::plain(stream);
        let config =
            WebSocketConfig::default().read_buffer_size(BUFFER_BYTES).write_buffer_size(BUFFER_BYTES);
        let shaken = tokio_tungstenite::client_async_with_config(target.url(), stream, Some(config));
        let shaken = timeout(CONNECT_TIMEOUT, shaken).await;
        let (socket, _) = shaken.context("no handshake in time")?.context("WebSocket handshake")?;
        Ok(Connection { socket })
    }

    /// Goes on with a connection that was read by hand until now; `read` is the beginning of a frame without its end.
    pub async fn resume(stream: Wire, read: Vec<u8>) -> Self {
        Connection { socket: WebSocketStream::from_partially_read(stream, read, Role::Client, None).await }
    }

    pub async fn send(&mut self, request: &Value) -> Result<()> {
        self.socket.send(Message::text(request.to_string())).await.context("sending a request")
    }

    pub async fn next(&mut self, deadline: Instant) -> Result<Incoming> {
        loop {
            let Ok(message) = timeout_at(deadline, self.socket.next()).await else {
                return Ok(Incoming::Quiet);
            };
            if let Some(incoming) = incoming(message)? {
                return Ok(incoming);
            }
        }
    }

    /// Logs in to a paper account of the open demo mode.
    pub async fn log_in(&mut self, account: &str) -> Result<()> {
        self.send(&json!({"action": "auth", "id": 1, "account": account})).await?;
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        match self.next(deadline).await? {
            Incoming::Text { text, .. } if is_auth_ack(&text) => Ok(()),
            other => bail!("expected auth_ack, got {other:?}"),
        }
    }
}

/// What tungstenite delivered, if it is for us: it answers pings itself.
pub(crate) fn incoming(
    message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
) -> Result<Option<Incoming>> {
    let closed = |reason: String| Ok(Some(Incoming::Closed { reason }));
    match message {
        None => closed("end of stream".into()),
        Some(Ok(Message::Text(text))) => Ok(Some(Incoming::Text { text, received_us: now_us() })),
        Some(Ok(Message::Close(None))) => closed("without a code".into()),
        Some(Ok(Message::Close(Some(frame)))) => {
            closed(format!("{} {}", u16::from(frame.code), frame.reason))
        }
        Some(Ok(Message::Binary(_))) => bail!("binary message on a JSON connection"),
        Some(Ok(_)) => Ok(None),
        Some(Err(error)) => closed(error.to_string()),
    }
}

fn is_auth_ack(text: &str) -> bool {
    let message: Value = serde_json::from_str(text).unwrap_or_default();
    message["type"] == "auth_ack" && message["id"] == 1
}

/// The clock that the server stamps events with, as both run on one machine.
pub fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

/// A subscribed channel and its judge.
pub struct Following {
    pub connection: Connection,
    pub follower: Follower,
    closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Applied { applied: Applied, received_us: u64 },
    Closed,
    Quiet,
}

impl Following {
    /// Sends the bare subscribe; the follower judges what comes back.
    pub async fn subscribe(target: &Target, channel: &str) -> Result<Self> {
        Self::subscribe_by(target, channel, Dial::default()).await
    }

    pub async fn subscribe_by(target: &Target, channel: &str, how: Dial) -> Result<Self> {
        let mut connection = Connection::open_by(target, how).await?;
        connection.send(&json!({"action": "subscribe", "channel": channel})).await?;
        Ok(Following { connection, follower: Follower::new(channel), closed: false })
    }

    /// Goes on where somebody else has followed to. `closed`: there is nothing more to come.
    pub fn resume(connection: Connection, follower: Follower, closed: bool) -> Self {
        Following { connection, follower, closed }
    }

    /// Takes one message. A connection closed by the server is a violation: nobody asked it to.
    pub async fn step(&mut self, deadline: Instant) -> Result<Step> {
        if self.closed {
            return Ok(Step::Closed);
        }
        let incoming = self.connection.next(deadline).await?;
        Ok(self.take(incoming))
    }

    fn take(&mut self, incoming: Incoming) -> Step {
        match incoming {
            Incoming::Text { text, received_us } => {
                Step::Applied { applied: self.follower.apply(&text), received_us }
            }
            Incoming::Quiet => Step::Quiet,
            Incoming::Closed { reason } => {
                self.closed = true;
                self.follower.violate(Violation::Closed { reason });
                Step::Closed
            }
        }
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Waits for the ack and, if the channel has one, the snapshot.
    pub async fn until_live(&mut self, deadline: Instant) -> Result<()> {
        self.until(deadline, "the first snapshot", |follower| follower.is_live()).await
    }

    pub async fn until_seq(&mut self, seq: u64, deadline: Instant) -> Result<()> {
        self.until(deadline, &format!("seq {seq}"), |follower| follower.seq() >= seq).await
    }

    /// Reads on until `fact` holds of the follower; not holding in time is an error that names the fact.
    pub async fn until(
        &mut self,
        deadline: Instant,
        name: &str,
        fact: impl Fn(&Follower) -> bool,
    ) -> Result<()> {
        while !fact(&self.follower) {
            match self.step(deadline).await? {
                Step::Applied { .. } => {}
                Step::Quiet => bail!("waited in vain for {name}, at seq {}", self.follower.seq()),
                Step::Closed => bail!("closed before {name}: {:?}", self.follower.violations()),
            }
        }
        Ok(())
    }

    /// Reads until nothing has come for `idle`, or the deadline. Returns whether silence came first.
    pub async fn until_idle(&mut self, idle: Duration, deadline: Instant) -> Result<bool> {
        self.until_idle_measuring(idle, deadline, &mut Latencies::default()).await
    }

    pub async fn until_idle_measuring(
        &mut self,
        idle: Duration,
        deadline: Instant,
        latencies: &mut Latencies,
    ) -> Result<bool> {
        while Instant::now() < deadline {
            let quiet_at = Instant::now() + idle;
            match self.step(quiet_at.min(deadline)).await? {
                Step::Applied { applied, received_us } => {
                    latencies.record_event(applied.event_us, received_us)
                }
                Step::Quiet => return Ok(quiet_at <= deadline),
                Step::Closed => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Compares the rebuilt book with a new subscriber's snapshot, reading on at the one behind until both are at
    /// the same sequence. Violations of either side are reported here.
    pub async fn compare_with_fresh(&mut self, target: &Target, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        let mut fresh = Following::subscribe(target, self.follower.channel()).await?;
        fresh.until_live(deadline).await?;
        self.compare_with(&mut fresh, deadline).await
    }

    pub async fn compare_with(&mut self, fresh: &mut Following, deadline: Instant) -> Result<()> {
        while self.follower.seq() != fresh.follower.seq() {
            let self_is_behind = self.follower.seq() < fresh.follower.seq();
            let behind = if self_is_behind { &mut *self } else { &mut *fresh };
            if !matches!(behind.step(deadline).await?, Step::Applied { .. }) {
                break;
            }
        }
        self.follower.compare(&fresh.follower);
        for violation in fresh.follower.violations() {
            self.follower.violate(violation.clone());
        }
        Ok(())
    }
}

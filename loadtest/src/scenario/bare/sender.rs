//! The bare loop itself: accepts so many sockets, then sends them all the same bytes as fast as they take them.
//!
//! Or by a schedule, see `paced.rs`. A socket that is full makes the loop wait for its reader, in the kernel: trying again would
//! only take the readers' time. So every send is whole, and what is counted is what was taken.

use super::paced;
use crate::frames::{TEXT, put_server_frame};
use crate::lean::ACCEPT;
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use io_uring::{IoUring, opcode, squeue, types};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

/// As Ringside's own default: what the kernel may hold for a socket.
const SEND_BUFFER_BYTES: libc::c_int = 131_072;

/// Sends in one submit call.
const BATCH: usize = 1024;

const HEAD_BYTES_MAX: usize = 8 << 10;

/// How a send is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// One send(2) each
    Send,
    /// Many in one call of io_uring, with completions for failures only
    Uring,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Send => "send",
            Method::Uring => "uring",
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Sent {
    /// As it was really done.
    pub method: Method,
    pub sends: u64,
    pub bytes: u64,
    pub seconds: f64,
    pub waited: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub subscribers: usize,
    pub bytes: usize,
    pub frame_bytes: usize,
    pub method: Method,
    /// To each socket; as fast as they take them if there is none.
    pub frames_per_second: Option<u64>,
}

/// How all are sent the same.
pub(super) struct Loop {
    ring: Option<IoUring>,
}

impl Loop {
    /// Where io_uring is forbidden there is always send(2), and the results say so.
    fn new(method: Method) -> Self {
        let ring = || IoUring::builder().setup_submit_all().build(BATCH as u32).ok();
        Self { ring: if method == Method::Uring { ring() } else { None } }
    }

    pub fn method(&self) -> Method {
        if self.ring.is_some() { Method::Uring } else { Method::Send }
    }

    /// Returns how many had to wait, if that is known.
    pub fn send(&mut self, sockets: &[RawFd], span: &[u8]) -> Result<u64> {
        let mut waited = 0;
        for sockets in sockets.chunks(BATCH) {
            waited += match &mut self.ring {
                Some(ring) => send_by_ring(ring, sockets, span)?,
                None => send_each(sockets, span)?,
            };
        }
        Ok(waited)
    }
}

/// Says its port, takes the sockets, and sends for so many seconds whenever a line of input says how many.
pub fn run(options: &Options) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    // More than the readers connect at once: a full backlog would cost them a second.
    // SAFETY: a listening socket may be told to listen again, with another backlog.
    ensure!(unsafe { libc::listen(listener.as_raw_fd(), 4096) } == 0, "{}", io::Error::last_os_error());
    println!("{}", listener.local_addr()?.port());
    let sockets = (0..options.subscribers).map(|_| accept(&listener)).collect::<Result<Vec<_>>>()?;
    drop(listener);
    let sockets_fds: Vec<RawFd> = sockets.iter().map(AsRawFd::as_raw_fd).collect();
    let Options { bytes, frame_bytes, .. } = *options;
    let (span, mut sends) = (span(bytes, frame_bytes), Loop::new(options.method));
    for line in io::stdin().lock().lines() {
        let seconds: f64 = line?.trim().parse().context("how many seconds?")?;
        let duration = Duration::from_secs_f64(seconds);
        let sent = match options.frames_per_second {
            None => send_for(duration, &sockets_fds, &span, &mut sends)?,
            Some(rate) => paced::send_for(duration, &sockets_fds, (bytes, frame_bytes, rate), &mut sends)?,
        };
        println!("{}", serde_json::to_string(&sent)?);
    }
    Ok(())
}

fn accept(listener: &TcpListener) -> Result<TcpStream> {
    let (mut socket, _) = listener.accept()?;
    socket.set_nodelay(true)?;
    let buffer_bytes = SEND_BUFFER_BYTES;
    let (bytes, size) = ((&raw const buffer_bytes).cast(), size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: the descriptor is open while `socket` lives, and the pointer and length describe `buffer_bytes`.
    unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, bytes, size) };
    let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = socket.read(&mut buffer)?;
        ensure!(read > 0 && head.len() < HEAD_BYTES_MAX, "a handshake without an end");
        head.extend_from_slice(&buffer[..read]);
    }
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    );
    socket.write_all(answer.as_bytes())?;
    Ok(socket)
}

/// Whole frames, about so many bytes; at least one frame.
fn span(bytes: usize, frame_bytes: usize) -> Vec<u8> {
    let frame = frame_of(frame_bytes, br#"{"channel":"BARE-SEND","type":"trade","data":""#, br#""}"#);
    frame.repeat((bytes / frame.len()).max(1))
}

/// Of a frame that has 126 bytes and less than 64 KiB to say.
pub(super) const HEADER_BYTES: usize = 4;

/// A frame that begins and ends like that, and has so many bytes if that is not too few.
pub(super) fn frame_of(frame_bytes: usize, begin: &[u8], end: &[u8]) -> Vec<u8> {
    let payload_bytes = frame_bytes.saturating_sub(HEADER_BYTES).max(126);
    let mut payload = begin.to_vec();
    payload.resize(payload_bytes - end.len(), b'x');
    payload.extend(end);
    let mut frame = Vec::with_capacity(frame_bytes);
    put_server_frame(&mut frame, TEXT, &payload);
    frame
}

fn send_for(duration: Duration, sockets: &[RawFd], span: &[u8], all: &mut Loop) -> Result<Sent> {
    let start = Instant::now();
    let (mut sends, mut waited) = (0, 0);
    while start.elapsed() < duration {
        waited += all.send(sockets, span)?;
        sends += sockets.len() as u64;
    }
    let bytes = sends * span.len() as u64;
    Ok(Sent { method: all.method(), sends, bytes, seconds: start.elapsed().as_secs_f64(), waited })
}

/// Returns how many had to wait; of these it is not known.
fn send_each(sockets: &[RawFd], span: &[u8]) -> Result<u64> {
    sockets.iter().try_for_each(|socket| send_all(*socket, span))?;
    Ok(0)
}

fn send_all(socket: RawFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the pointer and length are those of a slice.
        let sent = unsafe { libc::send(socket, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
        match usize::try_from(sent) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(_) => return Err(io::Error::last_os_error()).context("sending"),
        }
    }
    Ok(())
}

/// Each is tried once, inside the call; those that were full are then sent the rest, waiting.
fn send_by_ring(ring: &mut IoUring, sockets: &[RawFd], span: &[u8]) -> Result<u64> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
    for (at, socket) in sockets.iter().enumerate() {
        let send =
            opcode::Send::new(types::Fd(*socket), span.as_ptr(), span.len() as u32).flags(flags).build();
        let entry = send.flags(squeue::Flags::SKIP_SUCCESS).user_data(at as u64);
        // SAFETY: DONTWAIT sends end inside the submit below, before `span` can go away.
        unsafe { ring.submission().push(&entry) }.context("a batch fits the queue")?;
    }
    while !ring.submission().is_empty() {
        match ring.submit() {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(error).context("submitting");
            }
            _ => {}
        }
    }
    let mut short = Vec::new();
    for completion in ring.completion() {
        let sent = match completion.result() {
            sent if sent >= 0 => sent as usize,
            error if -error == libc::EAGAIN => 0,
            error => return Err(io::Error::from_raw_os_error(-error)).context("sending"),
        };
        short.push((completion.user_data() as usize, sent));
    }
    short.iter().try_for_each(|(at, sent)| send_all(sockets[*at], &span[*sent..]))?;
    Ok(short.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_whole_frames() {
        assert_eq!(span(1000, 150).len(), 900);
        assert_eq!(span(1, 150).len(), 150);
        assert_eq!(span(1, 130).len(), 130, "the shortest there may be");
        let mut frames = 0;
        let walked = crate::frames::Walker::default().walk(&span(16_000, 147), |frame| {
            assert_eq!(frame.payload.len(), 143);
            frames += 1;
        });
        assert_eq!((walked, frames), (Ok(()), 108));
    }
}

//! A connection that is refused at the door still gets its answer.
//!
//! Closing a socket that has unread bytes makes the kernel send a reset, and a reset may overtake the answer or throw it
//! out of the client's buffer. So we answer, say that we are done, and read on until the client is done, too: for a
//! bounded time, a bounded number of bytes and a bounded number of connections.

use super::blaster;
use super::{Reactor, Shell};
use crate::ws::handshake::Refusal;
use monoio::net::TcpStream;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// How long a refused client may take to end its side.
const PATIENCE: Duration = Duration::from_secs(2);

/// What it may send meanwhile: twice the longest request head that we would read.
const BYTES_MAX: usize = 2 * crate::ws::handshake::HEAD_BYTES_MAX;

/// Refused connections of a reactor that are waited for at a time: one for so many that it may have, and as many at most. The next
/// is answered and dropped: a flood gets no memory of ours, and no descriptor.
const WAITED_FOR_PART: usize = 16;
const WAITED_FOR_MAX: usize = 256;

/// How many are waited for by a reactor that may have so many connections.
pub fn waited_for_max(connections_max: usize) -> usize {
    (connections_max / WAITED_FOR_PART).min(WAITED_FOR_MAX)
}

/// Answers, and has the client's end waited for.
pub(super) fn refuse(shell: &Shell, reactor: &mut Reactor, stream: std::net::TcpStream, refusal: Refusal) {
    let mut response = Vec::new();
    refusal.write_response(&mut response);
    // A new socket's buffer has room for it.
    let _ = blaster::send(stream.as_raw_fd(), &response);
    blaster::shutdown(stream.as_raw_fd(), Shutdown::Write);
    if reactor.refused >= waited_for_max(reactor.shared.limits.connections_max_per_reactor) {
        return;
    }
    match TcpStream::from_std(stream) {
        Ok(stream) => {
            reactor.refused += 1;
            monoio::spawn(wait_for_end(shell.clone(), stream));
        }
        Err(error) => tracing::debug!(%error, "a refused connection cannot be waited for"),
    }
}

async fn wait_for_end(shell: Shell, stream: TcpStream) {
    let _ = monoio::time::timeout(PATIENCE, until_ended(&stream)).await;
    drop(stream);
    shell.borrow_mut().refused -= 1;
}

async fn until_ended(stream: &TcpStream) {
    let mut scratch = [0; 1024];
    let mut left = BYTES_MAX;
    while left > 0 && stream.readable(false).await.is_ok() {
        match blaster::receive(stream.as_raw_fd(), &mut scratch) {
            Ok(0) => return,
            Ok(n) => left = left.saturating_sub(n),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

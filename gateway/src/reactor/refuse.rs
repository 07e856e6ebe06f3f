//! A connection that is refused at the door still gets its answer.
//!
//! Closing a socket that has unread bytes makes the kernel send a reset, and a reset may overtake the answer or throw it
//! out of the client's buffer. So we answer, say that we are done, and read on until the client is done, too: for a
//! bounded time, a bounded number of bytes and a bounded number of connections.

use super::blaster;
use super::{Reactor, Shell};
use crate::ws::handshake::Refusal;
use std::io::ErrorKind;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// How long a refused client may take to end its side.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks whether it has.
const LOOK: Duration = Duration::from_millis(50);

/// What it may send meanwhile: twice the longest request head that we would read.
const BYTES_MAX: usize = 2 * crate::ws::handshake::HEAD_BYTES_MAX;

/// Refused connections that a reactor waits for at a time: a sixteenth of the connections that it may have, from 8 to 256. The
/// next is answered and dropped: a flood gets no memory of ours, and no descriptor.
pub fn waited_for_max(connections_max: usize) -> usize {
    (connections_max / 16).clamp(8, 256)
}

/// Answers, and has the client's end waited for.
pub(super) fn refuse(shell: &Shell, reactor: &mut Reactor, stream: TcpStream, refusal: Refusal) {
    let mut response = Vec::new();
    refusal.write_response(&mut response);
    // A new socket's buffer has room for it.
    let _ = blaster::send(stream.as_raw_fd(), &response);
    blaster::shutdown(stream.as_raw_fd(), Shutdown::Write);
    if reactor.refused < waited_for_max(reactor.shared.limits.connections_max_per_reactor) {
        reactor.refused += 1;
        monoio::spawn(wait_for_end(shell.clone(), stream));
    }
}

/// The socket is no runtime's: that would close it some time after it was dropped, and it is counted until it is closed.
async fn wait_for_end(shell: Shell, stream: TcpStream) {
    let mut bytes_left = BYTES_MAX;
    for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
        monoio::time::sleep(LOOK).await;
        if has_ended(&stream, &mut bytes_left) {
            break;
        }
    }
    drop(stream);
    shell.borrow_mut().refused -= 1;
}

/// Reads what there is. Whether the client is done, or has said too much.
fn has_ended(stream: &TcpStream, bytes_left: &mut usize) -> bool {
    let mut scratch = [0; 1024];
    while *bytes_left > 0 {
        match blaster::receive(stream.as_raw_fd(), &mut scratch) {
            Ok(0) => return true,
            Ok(n) => *bytes_left = bytes_left.saturating_sub(n),
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
    true
}

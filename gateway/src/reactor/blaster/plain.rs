//! A send(2) for each socket.

use super::{Behind, Blaster};
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::RawFd;

pub struct Plain;

impl Blaster for Plain {
    fn blast(&mut self, sockets: &[RawFd], pieces: &[IoSlice<'_>], behind: &mut Vec<Behind>) {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        for (index, socket) in sockets.iter().enumerate() {
            let sent = match pieces {
                [piece] => send(*socket, piece),
                pieces => send_pieces(*socket, pieces),
            };
            if sent != Ok(length) {
                behind.push(Behind { index, sent });
            }
        }
    }
}

/// Sends what fits without waiting: how much, or the error number of a broken connection.
pub fn send(socket: RawFd, bytes: &[u8]) -> Result<usize, i32> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the pointer and the length are those of a live slice; the kernel only reads it.
    without_waiting(|| unsafe { libc::send(socket, bytes.as_ptr().cast(), bytes.len(), flags) })
}

fn send_pieces(socket: RawFd, pieces: &[IoSlice<'_>]) -> Result<usize, i32> {
    let message = message(pieces);
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the message points at live slices; the kernel only reads them.
    without_waiting(|| unsafe { libc::sendmsg(socket, &message, flags) })
}

/// The header of a message of pieces. It points at them and lives no longer than they do: that is up to the caller.
pub(super) fn message(pieces: &[IoSlice<'_>]) -> libc::msghdr {
    // SAFETY: a header of zeros has no name, no pieces and no control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = pieces.as_ptr().cast_mut().cast(); // an `IoSlice` is an iovec, and sending does not write to it
    message.msg_iovlen = pieces.len();
    message
}

pub(super) fn without_waiting(mut attempt: impl FnMut() -> isize) -> Result<usize, i32> {
    loop {
        if let Ok(sent) = usize::try_from(attempt()) {
            return Ok(sent);
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EAGAIN) => return Ok(0),
            error => return Err(error.unwrap_or(libc::EIO)),
        }
    }
}

/// Takes what has come without waiting.
///
/// # Errors
/// If nothing has come, or the connection is broken.
pub fn receive(socket: RawFd, into: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the pointer and the length are those of a live, exclusive slice.
        let n = unsafe { libc::recv(socket, into.as_mut_ptr().cast(), into.len(), libc::MSG_DONTWAIT) };
        match usize::try_from(n) {
            Ok(n) => return Ok(n),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// Says that we are done. A socket that is broken already is no error.
pub fn shutdown(socket: RawFd, how: Shutdown) {
    let how = match how {
        Shutdown::Read => libc::SHUT_RD,
        Shutdown::Write => libc::SHUT_WR,
        Shutdown::Both => libc::SHUT_RDWR,
    };
    // SAFETY: shutdown takes no memory of ours; a stale descriptor cannot be here, whoever asks owns it.
    unsafe { libc::shutdown(socket, how) };
}

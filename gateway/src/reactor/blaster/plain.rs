//! A send(2) for each socket.

use super::{Behind, Blaster};
use std::io;
use std::os::fd::RawFd;

pub struct Plain;

impl Blaster for Plain {
    fn blast(&mut self, sockets: &[RawFd], span: &[u8], behind: &mut Vec<Behind>) {
        for (index, socket) in sockets.iter().enumerate() {
            match send(*socket, span) {
                Ok(sent) if sent == span.len() => {}
                sent => behind.push(Behind { index, sent }),
            }
        }
    }
}

/// Sends what fits without waiting: how much, or the error number of a broken connection.
pub fn send(socket: RawFd, bytes: &[u8]) -> Result<usize, i32> {
    loop {
        // SAFETY: the pointer and the length are those of a live slice; the kernel only reads it.
        let sent = unsafe {
            libc::send(socket, bytes.as_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
        };
        if let Ok(sent) = usize::try_from(sent) {
            return Ok(sent);
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EAGAIN) => return Ok(0),
            error => return Err(error.unwrap_or(libc::EIO)),
        }
    }
}

//! How other threads wake a reactor.
//!
//! While the reactor works, waking it costs a fence and a load. Only when it has said that it is about to sleep does
//! the waker write a byte to a socket the reactor waits on.

use super::sync::{AtomicBool, Ordering, fence};
use engine_core::bell::Bell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// The wakers' side, shared by all threads.
pub struct Wake {
    asleep: AtomicBool,
    signal: UnixStream,
}

/// The reactor's side.
pub struct Sleeper {
    socket: UnixStream,
}

/// A pair; both ends do not block.
pub fn wake() -> std::io::Result<(Wake, Sleeper)> {
    let (signal, socket) = UnixStream::pair()?;
    signal.set_nonblocking(true)?;
    socket.set_nonblocking(true)?;
    Ok((Wake { asleep: AtomicBool::new(false), signal }, Sleeper { socket }))
}

impl Wake {
    /// The reactor says that it is about to wait on its socket. It must look for work once more after this; a waker
    /// whose work it then does not see will write.
    pub fn falling_asleep(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The reactor says that it is awake.
    pub fn awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }
}

impl Bell for Wake {
    fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            // A full buffer means that bytes are waiting: the reactor will wake in any case.
            let _ = (&self.signal).write(&[1]);
        }
    }
}

impl Sleeper {
    /// The socket to wait on.
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Forgets the bytes that woke us.
    pub fn drain(&self) {
        let mut bytes = [0; 64];
        while (&self.socket).read(&mut bytes).is_ok_and(|n| n == bytes.len()) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeper_is_signalled_once_and_a_waking_one_not_at_all() {
        let (wake, sleeper) = wake().unwrap();
        let waiting = || {
            let mut socket = sleeper.socket();
            socket.read(&mut [0; 64]).unwrap_or(0)
        };
        wake.ring();
        assert_eq!(waiting(), 0);
        wake.falling_asleep();
        wake.ring();
        wake.ring();
        assert_eq!(waiting(), 1);
    }
}

//! The door: new connections, to this reactor or to another.

use super::admission::Arrival;
use super::drain::SHUTTING_DOWN;
use super::pump::watched;
use super::{Reactor, Shell, refuse};
use crate::listen::household;
use crate::ws::handshake::{Refusal, Status};
use engine_core::bell::Bell;
use monoio::net::UnixStream;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Connections that are taken in before the clients that are there are served again: after an outage all come at once.
const AT_ONCE: usize = 64;

/// A listener, and how it is waited for.
pub(super) struct Door {
    listener: TcpListener,
    watched: UnixStream,
}

impl Door {
    pub fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { watched: watched(listener.try_clone()?.into())?, listener })
    }

    /// Opens to some of those who knock.
    fn open(&self, shell: &Shell) -> io::Result<()> {
        for _ in 0..AT_ONCE {
            match self.listener.accept() {
                Ok((stream, address)) => open(shell, stream, address),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

pub(super) async fn accept(shell: Shell, door: Door) {
    loop {
        let opened = match door.watched.readable(false).await {
            Ok(()) => door.open(&shell),
            Err(error) => Err(error),
        };
        if let Err(error) = opened {
            // Out of descriptors, most likely: they come back when connections close.
            tracing::warn!(%error, "accept failed");
            monoio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn open(shell: &Shell, stream: std::net::TcpStream, address: SocketAddr) {
    let mut reactor = shell.borrow_mut();
    let address = household(address.ip());
    match reactor.place_for(address) {
        Ok(here) if here == reactor.index => reactor.take_in_place(stream.into_raw_fd(), address),
        Ok(there) => {
            reactor.counters.handed_over.add(1);
            reactor.shared.admission.send(there, Arrival { socket: stream.into(), address });
            reactor.shared.doors[there].wake.ring();
        }
        Err(refusal) => {
            reactor.counters.refused.add(1);
            refuse::refuse(shell, &mut reactor, stream, refusal);
        }
    }
}

impl Reactor {
    /// Where one from that address may come in, or why it may not.
    fn place_for(&self, address: IpAddr) -> Result<usize, Refusal> {
        if self.drain.is_some() || self.shared.stopping.load(Ordering::Relaxed) {
            return Err(Refusal::new(Status::Unavailable, SHUTTING_DOWN));
        }
        self.shared.admission.take_place(self.index, address, &self.shared.limits, self.net.now())
    }
}

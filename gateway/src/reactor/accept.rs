//! The door: new connections, to this reactor or to another.

use super::admission::Arrival;
use super::{Reactor, Shell, refuse};
use crate::ws::handshake::{Refusal, Status};
use engine_core::bell::Bell;
use monoio::net::{TcpListener, TcpStream};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(super) async fn accept(shell: Shell, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => open(&shell, stream, address),
            Err(error) => {
                // Out of descriptors, most likely: they come back when connections close.
                tracing::warn!(%error, "accept failed");
                monoio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn open(shell: &Shell, stream: TcpStream, address: SocketAddr) {
    let mut reactor = shell.borrow_mut();
    let address = address.ip();
    match reactor.place_for(address) {
        Ok(here) if here == reactor.index => reactor.take_in_place(stream.into_raw_fd(), address),
        Ok(there) => {
            // SAFETY: monoio has just given it up.
            let socket = unsafe { OwnedFd::from_raw_fd(stream.into_raw_fd()) };
            reactor.counters.handed_over.add(1);
            reactor.shared.admission.send(there, Arrival { socket, address });
            reactor.shared.doors[there].wake.ring();
        }
        Err(refusal) => {
            reactor.counters.refused.add(1);
            monoio::spawn(refuse::refuse(shell.clone(), stream, refusal));
        }
    }
}

impl Reactor {
    /// Where one from that address may come in, or why it may not.
    fn place_for(&self, address: IpAddr) -> Result<usize, Refusal> {
        if self.drain.is_some() || self.shared.stopping.load(Ordering::Relaxed) {
            return Err(Refusal::new(Status::Unavailable, "the server is shutting down"));
        }
        self.shared.admission.take_place(self.index, address, &self.shared.limits, self.net.now())
    }
}

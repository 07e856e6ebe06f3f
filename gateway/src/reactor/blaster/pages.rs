//! Sends of memory that sockets refer to: sendfile(2), one call for each.
//!
//! Nothing is copied before a reader copies it to itself, and the kernel needs no memory for what is on its way. io_uring has no such
//! send: its splice goes to a thread of its own, and its zero-copy send is a copy again where both ends are on one machine.

use super::plain::without_waiting;
use super::{Backend, Behind, expect, tcp_pair};
use crate::rooms::pages::{Extent, Pages};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// As [`super::Blaster::blast`], with pieces that are in a file. The sockets are set not to wait.
pub fn blast_pages(sockets: &[RawFd], extents: &[Extent], behind: &mut Vec<Behind>) {
    let bytes = extents.iter().map(|extent| extent.bytes).sum();
    for (index, socket) in sockets.iter().enumerate() {
        let sent = send_pages(*socket, extents);
        if sent != Ok(bytes) {
            behind.push(Behind { index, sent });
        }
    }
}

/// Sends what fits to one socket: how much, or the error number of a broken connection.
pub fn send_pages(socket: RawFd, extents: &[Extent]) -> Result<usize, i32> {
    let mut total = 0;
    for extent in extents {
        let sent = send_extent(socket, *extent)?;
        total += sent;
        if sent < extent.bytes {
            break;
        }
    }
    Ok(total)
}

/// More than one call, as the kernel takes no more than a pipe holds at once and may end before the socket is full.
fn send_extent(socket: RawFd, Extent { file, offset, bytes }: Extent) -> Result<usize, i32> {
    let (begin, mut at) = (offset as libc::off_t, offset as libc::off_t);
    loop {
        let left = bytes - (at - begin) as usize;
        // SAFETY: `at` is ours for the time of the call. A broken connection's signal is ignored, as Rust programs do.
        let sent = without_waiting(|| unsafe { libc::sendfile(socket, file, &mut at, left) })?;
        if sent == 0 || sent == left {
            return Ok((at - begin) as usize);
        }
    }
}

/// Memory that sockets can refer to, with the reason why there is or is none in a sentence.
pub fn pages(backend: Backend) -> (Option<Arc<Pages>>, String) {
    if backend == Backend::Plain {
        return (None, "market data is copied for each socket, as configured".into());
    }
    match Pages::new().and_then(|pages| self_test(&pages).map(|()| pages)) {
        Ok(pages) => {
            (Some(pages), "sockets refer to market data by sendfile(2): its self-test passed".into())
        }
        Err(error) => {
            (None, format!("market data is copied for each socket: sendfile(2) cannot be used: {error}"))
        }
    }
}

/// How long a send of the self-test waits if it is not true that it does not.
const WAIT: Duration = Duration::from_secs(2);

/// Proves on real sockets what is relied on: a send takes no more than fits and does not wait, and what a socket has taken stays
/// what it was when its memory is gone and there is other memory.
fn self_test(pages: &Arc<Pages>) -> io::Result<()> {
    const BYTES: usize = 64 << 10;
    let (socket, mut peer) = tcp_pair()?;
    socket2::SockRef::from(&socket).set_send_buffer_size(BYTES)?;
    // A send that waits in spite of it comes to an end, too.
    socket.set_write_timeout(Some(WAIT))?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    let (begun, mut sent, mut number) = (Instant::now(), Vec::new(), 0);
    loop {
        number += 1;
        let mut mapped = pages.map(BYTES).ok_or(io::ErrorKind::OutOfMemory)?;
        mapped.write(&[number; BYTES]);
        let taken = send_pages(socket.as_raw_fd(), &[mapped.extent(0, BYTES)]);
        let taken = taken.map_err(io::Error::from_raw_os_error)?;
        sent.resize(sent.len() + taken, number);
        if taken < BYTES {
            break;
        }
        expect("a socket is full some time", number < u8::MAX)?;
    }
    expect("a send does not wait", begun.elapsed() < WAIT)?;
    expect("a socket takes more than a page", sent.len() > 4096)?;
    let mut received = vec![0; sent.len()];
    peer.read_exact(&mut received)?;
    expect("what is sent arrives as it was", received == sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_self_test_holds() {
        self_test(&Pages::new().unwrap()).unwrap();
    }

    #[test]
    fn a_stream_goes_on_where_a_short_send_ended() {
        let pages = Pages::new().unwrap();
        let segments: Vec<_> = (0..100)
            .map(|number| {
                let mut mapped = pages.map(64 << 10).unwrap();
                let bytes: Vec<u8> = (0..64 << 10).map(|at: u32| (at / 7 + number) as u8).collect();
                mapped.write(&bytes);
                (mapped, bytes)
            })
            .collect();
        let stream: Vec<u8> = segments.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let (socket, mut peer) = tcp_pair().unwrap();
        rustix::io::ioctl_fionbio(&socket, true).unwrap();
        let (mut sent, mut received, mut buffer) = (0, Vec::new(), vec![0; 100_000]);
        while received.len() < stream.len() {
            let (first, within) = (sent >> 16, sent & 0xffff);
            let extents: Vec<Extent> = segments[first..]
                .iter()
                .take(3)
                .enumerate()
                .map(|(index, (mapped, _))| {
                    let from = if index == 0 { within } else { 0 };
                    mapped.extent(from, (64 << 10) - from)
                })
                .collect();
            sent += send_pages(socket.as_raw_fd(), &extents).unwrap();
            let n = peer.read(&mut buffer).unwrap();
            received.extend_from_slice(&buffer[..n]);
        }
        assert!(received == stream);
    }

    #[test]
    fn a_connection_that_is_gone_is_named_and_stops_nobody() {
        let pages = Pages::new().unwrap();
        let mut mapped = pages.map(4096).unwrap();
        mapped.write(&[7; 4096]);
        let ((gone, gone_peer), (good, mut good_peer)) = (tcp_pair().unwrap(), tcp_pair().unwrap());
        gone.shutdown(std::net::Shutdown::Write).unwrap();
        drop(gone_peer);
        let mut behind = Vec::new();
        blast_pages(&[gone.as_raw_fd(), good.as_raw_fd()], &[mapped.extent(0, 4096)], &mut behind);
        assert_eq!(behind, [Behind { index: 0, sent: Err(libc::EPIPE) }]);
        let mut bytes = [0; 4096];
        good_peer.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, [7; 4096]);
    }
}

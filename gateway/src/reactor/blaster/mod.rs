//! Sends the same bytes to many sockets.
//!
//! A send never waits and never leaves anything to be done: when [`Blaster::blast`] returns, every socket has taken all
//! of the bytes, or is named with how many it took. So the bytes need to live only that long, no laggard pins memory of ours,
//! and no torn frame goes unnoticed. The bytes may be in several pieces, which go out as one write.
//!
//! Bytes that lie in a file of memory need not be copied: sockets refer to their pages (`pages`), and what is there must stay as it
//! is for as long as they do.
//!
//! Two backends for all others: `uring` hands many sends to the kernel in one call and hears only of those that fell short;
//! `plain` calls send(2) for each. A self-test at start decides, and says why.

pub mod choice;
mod pages;
mod plain;
mod uring;

pub use pages::{blast_pages, pages, send_pages};
pub use plain::{receive, send, shutdown};

use std::io::{self, IoSlice};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

/// A socket that did not take all of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Its place in the list of sockets.
    pub index: usize,
    /// What it took, or the error number of a connection that is no more.
    pub sent: Result<usize, i32>,
}

/// See the module.
pub trait Blaster {
    /// Sends all `pieces`, one after the other, to every socket. Adds those that did not take all of it to `behind`, in no
    /// particular order.
    fn blast(&mut self, sockets: &[RawFd], pieces: &[IoSlice<'_>], behind: &mut Vec<Behind>);
}

/// Which backend to use.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// sendfile(2) for much of a busy room and io_uring for the rest, each if its self-test passes, else send(2).
    #[default]
    Auto,
    /// The same, or fail to start if io_uring cannot be used.
    Uring,
    /// send(2) for all.
    Plain,
}

/// The backend, with the reason for it in a sentence.
pub fn choose(backend: Backend) -> io::Result<(Box<dyn Blaster>, String)> {
    if backend == Backend::Plain {
        return Ok((Box::new(plain::Plain), "send(2), as configured".into()));
    }
    match uring::Uring::new().and_then(|mut uring| self_test(&mut uring).map(|()| uring)) {
        Ok(uring) => Ok((Box::new(uring), "io_uring: its self-test passed".into())),
        Err(error) if backend == Backend::Auto => {
            Ok((Box::new(plain::Plain), format!("send(2): io_uring cannot be used: {error}")))
        }
        Err(error) => Err(io::Error::new(error.kind(), format!("io_uring cannot be used: {error}"))),
    }
}

/// Proves on real sockets what the fan-out relies on: success is silent, a short send says how much went, a full
/// socket is named with nothing sent, and a bad descriptor does not stop the others.
fn self_test(blaster: &mut impl Blaster) -> io::Result<()> {
    let (full, full_peer) = tcp_pair()?;
    let (good, good_peer) = tcp_pair()?;
    let mut behind = Vec::new();
    let chunk = vec![7; 1 << 20];

    blaster.blast(&[good.as_raw_fd()], &[IoSlice::new(b"hello")], &mut behind);
    expect("a successful send is silent", behind.is_empty())?;

    // Larger than any socket buffer: the first is short, from then on nothing fits.
    let mut short = 0;
    let (first, second) = chunk.split_at(100_000);
    let pieces = [IoSlice::new(first), IoSlice::new(second)];
    for round in 0..128 {
        // Sent as one piece, and as two: these are two ways into the kernel.
        blaster.blast(&[full.as_raw_fd()], if round % 2 == 0 { &pieces } else { &pieces[..1] }, &mut behind);
        match behind.pop() {
            None => {}
            Some(Behind { sent: Ok(0), .. }) => break,
            Some(Behind { sent: Ok(_), .. }) => short += 1,
            Some(Behind { sent: Err(error), .. }) => return Err(io::Error::from_raw_os_error(error)),
        }
    }
    expect("a full socket is told short first, then as taking nothing", short >= 1)?;

    let again = [IoSlice::new(b" ag"), IoSlice::new(b"ain")];
    blaster.blast(&[full.as_raw_fd(), -1, good.as_raw_fd()], &again, &mut behind);
    behind.sort_by_key(|behind| behind.index);
    let expected = [Behind { index: 0, sent: Ok(0) }, Behind { index: 1, sent: Err(libc::EBADF) }];
    expect("a bad descriptor is named and stops nobody", behind == expected)?;

    let mut bytes = [0; 11];
    io::Read::read_exact(&mut &good_peer, &mut bytes)?;
    expect("the bytes arrive in order", &bytes == b"hello again")?;
    drop(full_peer);
    Ok(())
}

fn expect(what: &str, holds: bool) -> io::Result<()> {
    if holds { Ok(()) } else { Err(io::Error::other(format!("self-test: {what}: it is not so here"))) }
}

fn tcp_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let peer = TcpStream::connect(listener.local_addr()?)?;
    let (socket, _) = listener.accept()?;
    peer.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
    Ok((socket, peer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn backends() -> Vec<Box<dyn Blaster>> {
        let mut backends: Vec<Box<dyn Blaster>> = vec![Box::new(plain::Plain)];
        match uring::Uring::new() {
            Ok(uring) => backends.push(Box::new(uring)),
            Err(error) => println!("skipped: io_uring cannot be used here: {error}"),
        }
        backends
    }

    #[test]
    fn the_self_test_holds_for_both_backends() {
        self_test(&mut plain::Plain).unwrap();
        if let Ok(mut uring) = uring::Uring::new() {
            self_test(&mut uring).unwrap();
        }
    }

    #[test]
    fn many_sockets_all_get_everything_in_order() {
        for mut blaster in backends() {
            let pairs: Vec<_> = (0..1000).map(|_| tcp_pair().unwrap()).collect();
            let sockets: Vec<_> = pairs.iter().map(|(socket, _)| socket.as_raw_fd()).collect();
            let mut behind = Vec::new();
            for round in 0..5u8 {
                blaster.blast(&sockets, &[IoSlice::new(&[round; 200])], &mut behind);
            }
            assert_eq!(behind, []);
            let expected: Vec<u8> = (0..5).flat_map(|round| [round; 200]).collect();
            for (_, mut peer) in pairs {
                let mut bytes = vec![0; 1000];
                peer.read_exact(&mut bytes).unwrap();
                assert_eq!(bytes, expected);
            }
        }
    }

    #[test]
    fn a_stream_goes_on_where_a_short_send_ended() {
        for mut blaster in backends() {
            let (socket, mut peer) = tcp_pair().unwrap();
            let stream: Vec<u8> = (0..32 << 20).map(|i: u32| (i / 3) as u8).collect();
            let mut sent = 0;
            let mut received = Vec::new();
            let mut buffer = vec![0; 1 << 20];
            while received.len() < stream.len() {
                let mut behind = Vec::new();
                let pieces = stream[sent..].chunks(1_000_003).take(3).map(IoSlice::new).collect::<Vec<_>>();
                blaster.blast(&[socket.as_raw_fd()], &pieces, &mut behind);
                sent = match behind.first() {
                    None => sent + pieces.iter().map(|piece| piece.len()).sum::<usize>(),
                    Some(behind) => sent + behind.sent.unwrap(),
                };
                let n = peer.read(&mut buffer).unwrap();
                received.extend_from_slice(&buffer[..n]);
            }
            assert!(received == stream);
        }
    }

    #[test]
    fn a_connection_that_is_gone_is_named() {
        for mut blaster in backends() {
            let (socket, peer) = tcp_pair().unwrap();
            socket.shutdown(std::net::Shutdown::Write).unwrap();
            drop(peer);
            let mut behind = Vec::new();
            blaster.blast(&[socket.as_raw_fd()], &[IoSlice::new(b"anyone?")], &mut behind);
            assert_eq!(behind, [Behind { index: 0, sent: Err(libc::EPIPE) }]);
        }
    }
}

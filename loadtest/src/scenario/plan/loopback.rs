//! What a plain send over loopback costs its sender, and how much of that is not the way through the stack.
//!
//! On loopback the sender's send(2) also does the receiver's half: the packet is received, queued and its reader woken
//! before the call returns, in the sender's time. A corked socket takes the bytes and does none of it, nor the sender's
//! own half of the stack. So what a send to another machine costs lies between the two.

use anyhow::{Context, Result, ensure};
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

const SOCKETS: usize = 16;
/// In one round to each socket. All of them together stay below half a receive window, where the kernel would send
/// also what is corked.
const SENDS: usize = 8;
const ROUNDS: usize = 300;
/// Of a send: about twenty frames.
pub(super) const BYTES: usize = 3000;

/// Nanoseconds of a send: sent, and only queued.
pub(super) fn measure() -> Result<(f64, f64)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        let sender = TcpStream::connect(listener.local_addr()?)?;
        let (receiver, _) = listener.accept()?;
        // They end when the senders are dropped.
        std::thread::spawn(move || drain(receiver));
        sockets.push(sender);
    }
    let sent = rounds(&sockets, false)?;
    Ok((sent, rounds(&sockets, true)?))
}

fn drain(mut receiver: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while matches!(receiver.read(&mut buffer), Ok(read) if read > 0) {}
}

fn rounds(sockets: &[TcpStream], corked: bool) -> Result<f64> {
    let bytes = vec![b'x'; BYTES];
    let mut spent = Duration::ZERO;
    for _ in 0..ROUNDS {
        for socket in sockets {
            set(socket, libc::TCP_NODELAY, !corked)?;
            set(socket, libc::TCP_CORK, corked)?;
        }
        let before = thread_time()?;
        for _ in 0..SENDS {
            sockets.iter().try_for_each(|socket| send(socket, &bytes))?;
        }
        spent += thread_time()?.saturating_sub(before);
        // What was held back goes out, in nobody's account, and is read before the next round.
        sockets.iter().try_for_each(|socket| set(socket, libc::TCP_CORK, false))?;
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(spent.as_nanos() as f64 / (ROUNDS * SENDS * sockets.len()) as f64)
}

fn send(socket: &TcpStream, bytes: &[u8]) -> Result<()> {
    // SAFETY: the descriptor is open while borrowed, and pointer and length are those of a slice.
    let sent =
        unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
    ensure!(
        sent == bytes.len() as isize,
        "a send of {} bytes: {sent}, {}",
        bytes.len(),
        io::Error::last_os_error()
    );
    Ok(())
}

fn set(socket: &TcpStream, option: libc::c_int, on: bool) -> Result<()> {
    let on = libc::c_int::from(on);
    let (at, size) = ((&raw const on).cast(), size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: the descriptor is open while borrowed, and pointer and length describe `on`.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, option, at, size) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()).context("a socket option") }
}

/// Of this thread alone.
pub(super) fn thread_time() -> Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid to write to for the length of the call.
    let got = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    ensure!(got == 0, "the thread's clock: {}", io::Error::last_os_error());
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

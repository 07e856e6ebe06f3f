//! Many sends in one system call, and a completion only for those that fell short.
//!
//! MSG_DONTWAIT makes the kernel try each send once, inside the submit call. MSG_WAITALL makes a short send count as
//! a failure, so that skipping the completions of successes hides no torn frame. SUBMIT_ALL keeps one bad descriptor
//! from ending the batch. (fs/io_uring `net.c`; the self-test at start proves each of it.)

use super::plain::message;
use super::{Behind, Blaster};
use io_uring::{IoUring, opcode, squeue, types};
use std::io::{self, IoSlice};
use std::os::fd::RawFd;

/// Sends in one submit call. The completion queue is twice as long, so it holds them all even if all fail.
const BATCH: usize = 1024;

pub struct Uring {
    ring: IoUring,
}

impl Uring {
    /// A ring of its own, for the calling thread.
    pub fn new() -> io::Result<Self> {
        Ok(Self { ring: IoUring::builder().setup_submit_all().build(BATCH as u32)? })
    }

    /// Submits what is queued, whole, and calls `visit` with every completion.
    fn submit(&mut self, mut visit: impl FnMut(u64, i32)) {
        while !self.ring.submission().is_empty() {
            match self.ring.submit() {
                Ok(_) => {}
                Err(error)
                    if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)) => {}
                // Queued sends point at bytes that the caller is about to reuse: going on is not an option.
                Err(error) => panic!("io_uring_enter: {error}"),
            }
            for completion in self.ring.completion() {
                visit(completion.user_data(), completion.result());
            }
        }
    }
}

impl Blaster for Uring {
    fn blast(&mut self, sockets: &[RawFd], pieces: &[IoSlice<'_>], behind: &mut Vec<Behind>) {
        let flags = libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
        let message = message(pieces);
        let entry = |socket| match pieces {
            [piece] => {
                let length =
                    u32::try_from(piece.len()).expect("a piece is at most a segment or a test's buffer");
                opcode::Send::new(types::Fd(socket), piece.as_ptr(), length).flags(flags).build()
            }
            _ => opcode::SendMsg::new(types::Fd(socket), &message).flags(flags as u32).build(),
        };
        for (chunk, sockets) in sockets.chunks(BATCH).enumerate() {
            for (at, socket) in sockets.iter().enumerate() {
                let entry = entry(*socket).flags(squeue::Flags::SKIP_SUCCESS);
                let entry = entry.user_data((chunk * BATCH + at) as u64);
                // SAFETY: DONTWAIT sends end inside the submit below, before `pieces` and `message` can go away.
                unsafe { self.ring.submission().push(&entry) }.expect("a chunk fits the queue");
            }
            self.submit(|index, result| {
                let sent = match -result {
                    libc::EAGAIN | libc::EINTR => Ok(0),
                    error if error > 0 => Err(error),
                    _ => Ok(result as usize),
                };
                behind.push(Behind { index: index as usize, sent });
            });
        }
    }
}

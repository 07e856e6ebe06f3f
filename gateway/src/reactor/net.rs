//! The sockets of a reactor, as it sees them: numbers that it sends to, and that have something for it.
//!
//! Everything of a reactor beyond this is the same for real sockets and for simulated ones.

use super::blaster::choice::{Choice, Load, TOGETHER, Way};
use super::blaster::{self, Behind, Blaster};
use crate::rooms::pages::Extent;
use crate::rooms::wake::Sleeper;
use engine_core::units::Timestamp;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Instant;

/// Sockets that are told of at a time.
const READY_MAX: usize = 128;

/// What is told of the socket that wakes the reactor.
const WAKE: u64 = u64::MAX;

/// What a socket is waited for. That it is broken is told in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    pub read: bool,
    pub write: bool,
}

/// A socket that was waited for.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// As it was given with the socket.
    pub key: u64,
    /// There is something to read, or it has ended.
    pub read: bool,
    pub write: bool,
}

/// See the module. Nothing here waits.
pub trait Net {
    /// As [`Blaster::blast`]. `extents` are where the pieces are in a file, if all of them are, for those who would rather refer to
    /// them; else it is empty.
    fn blast(
        &mut self,
        sockets: &[RawFd],
        pieces: &[IoSlice<'_>],
        extents: &[Extent],
        behind: &mut Vec<Behind>,
    );

    /// Sends what fits to one socket: how much that is, or the error number of a broken connection. `extent` is where the bytes are
    /// in a file, if they are in one.
    fn send(&mut self, socket: RawFd, bytes: &[u8], extent: Option<Extent>) -> Result<usize, i32>;

    /// Takes what has come, as much as there is room for; zero bytes are the end.
    ///
    /// # Errors
    /// If nothing has come, or the connection is broken.
    fn receive(&mut self, socket: RawFd, into: &mut [u8]) -> io::Result<usize>;

    /// Says that we are done, one way or both. A socket that is broken already is no error.
    fn shutdown(&mut self, socket: RawFd, how: Shutdown);

    /// Waits for a new socket to be readable; it is told of by `key`.
    ///
    /// # Errors
    /// If the system refuses, or the connection has ended before it began.
    fn open(&mut self, socket: RawFd, key: u64) -> io::Result<()>;

    /// Waits for other things from now on.
    fn wait_for(&mut self, socket: RawFd, key: u64, interest: Interest);

    /// Tells of the sockets that are ready. True if there may be more.
    fn ready(&mut self, ready: &mut VecDeque<Ready>) -> bool;

    /// Forgets a socket.
    fn close(&mut self, socket: RawFd);

    /// What time it is.
    fn now(&self) -> Timestamp;
}

/// Real ones. A socket is owned from [`Net::open`] to [`Net::close`].
pub struct Sockets {
    blaster: Box<dyn Blaster>,
    choice: Choice,
    epoll: OwnedFd,
    sleeper: Sleeper,
    send_buffer_bytes: usize,
    events: Vec<epoll::Event>,
}

impl Sockets {
    /// Sends by `blaster`; what wakes the reactor makes them ready, too.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn new(blaster: Box<dyn Blaster>, sleeper: Sleeper, send_buffer_bytes: usize) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, sleeper.socket(), EventData::new_u64(WAKE), EventFlags::IN)?;
        Ok(Self {
            blaster,
            choice: Choice::default(),
            epoll,
            sleeper,
            send_buffer_bytes,
            events: Vec::with_capacity(READY_MAX),
        })
    }

    /// What is readable when [`Net::ready`] has something to tell.
    ///
    /// # Errors
    /// If the process has no more descriptors.
    pub fn signal(&self) -> io::Result<OwnedFd> {
        self.epoll.try_clone()
    }
}

impl Net for Sockets {
    fn blast(
        &mut self,
        sockets: &[RawFd],
        pieces: &[IoSlice<'_>],
        extents: &[Extent],
        behind: &mut Vec<Behind>,
    ) {
        if extents.is_empty() {
            return self.blaster.blast(sockets, pieces, behind);
        }
        let load = Load { bytes: extents.iter().map(|extent| extent.bytes).sum(), pieces: extents.len() };
        for (chunk, sockets) in sockets.chunks(TOGETHER).enumerate() {
            let (way, before, begun) = (self.choice.pick(load), behind.len(), Instant::now());
            match way {
                Way::Copy => self.blaster.blast(sockets, pieces, behind),
                Way::Refer => blaster::blast_pages(sockets, extents, behind),
            }
            if behind.len() == before {
                self.choice.took(way, load, sockets.len(), begun.elapsed());
            }
            behind[before..].iter_mut().for_each(|behind| behind.index += chunk * TOGETHER);
        }
    }

    fn send(&mut self, socket: RawFd, bytes: &[u8], extent: Option<Extent>) -> Result<usize, i32> {
        match extent {
            Some(extent) if self.choice.way(Load { bytes: extent.bytes, pieces: 1 }) == Way::Refer => {
                blaster::send_pages(socket, &[extent])
            }
            _ => blaster::send(socket, bytes),
        }
    }

    fn receive(&mut self, socket: RawFd, into: &mut [u8]) -> io::Result<usize> {
        blaster::receive(socket, into)
    }

    fn shutdown(&mut self, socket: RawFd, how: Shutdown) {
        blaster::shutdown(socket, how);
    }

    fn open(&mut self, socket: RawFd, key: u64) -> io::Result<()> {
        let socket = borrowed(socket);
        rustix::io::ioctl_fionbio(socket, true)?; // sendfile(2) has no other way to be told not to wait
        bound_unsent(socket, self.send_buffer_bytes)?;
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(key), EventFlags::IN)?)
    }

    fn wait_for(&mut self, socket: RawFd, key: u64, Interest { read, write }: Interest) {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, read);
        flags.set(EventFlags::OUT, write);
        let changed = epoll::modify(&self.epoll, borrowed(socket), EventData::new_u64(key), flags);
        debug_assert!(changed.is_ok(), "an open socket is in the set: {changed:?}");
    }

    fn ready(&mut self, ready: &mut VecDeque<Ready>) -> bool {
        self.events.clear();
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        // A signal may come between; then there is nothing to tell this time.
        let _ = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&at_once));
        for event in &self.events {
            let (key, flags) = (event.data.u64(), event.flags);
            if key == WAKE {
                self.sleeper.drain();
                continue;
            }
            let read = flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR);
            ready.push_back(Ready { key, read, write: flags.contains(EventFlags::OUT) });
        }
        self.events.len() == READY_MAX
    }

    fn close(&mut self, socket: RawFd) {
        // SAFETY: the caller gives up the socket that it gave to `open`, and the set forgets what is closed.
        drop(unsafe { OwnedFd::from_raw_fd(socket) });
    }

    fn now(&self) -> Timestamp {
        super::clock()
    }
}

fn borrowed<'a>(socket: RawFd) -> BorrowedFd<'a> {
    // SAFETY: it is between `open` and `close`, and nobody keeps what is borrowed.
    unsafe { BorrowedFd::borrow_raw(socket) }
}

/// Bounds how much unsent data the kernel takes from us for one connection, so that a slow reader is noticed early.
fn bound_unsent(socket: BorrowedFd<'_>, send_buffer_bytes: usize) -> io::Result<()> {
    let socket = socket2::SockRef::from(&socket);
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(send_buffer_bytes)?;
    socket.set_tcp_notsent_lowat(send_buffer_bytes as u32 / 2)
}

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

/// Sockets that are told of at a time. Whoever comes while thousands have something to say waits for a turn after each so many.
const READY_MAX: usize = 1024;

/// What is told of the socket that wakes the reactor, and of the set of those that were full.
const WAKE: u64 = u64::MAX;
const ROOM: u64 = u64::MAX - 1;

/// Sockets that something has become of, by the keys that they were given with.
#[derive(Default)]
pub struct Ready {
    /// There is something to read, or it has ended.
    pub to_read: VecDeque<u64>,
    /// They were full and have room, or have ended.
    pub to_write: VecDeque<u64>,
}

impl Ready {
    pub fn is_empty(&self) -> bool {
        self.to_read.is_empty() && self.to_write.is_empty()
    }
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

    /// Whether it is waited for to be readable from now on. That it is broken is told in any case.
    fn listen(&mut self, socket: RawFd, key: u64, is_on: bool);

    /// Whether it is waited for to have room from now on.
    fn want_room(&mut self, socket: RawFd, key: u64, is_on: bool);

    /// Tells of some of the sockets that are ready, of a kind of which none is left from the last time. True if there may be more.
    fn ready(&mut self, ready: &mut Ready) -> bool;

    /// Forgets a socket.
    fn close(&mut self, socket: RawFd);

    /// What time it is.
    fn now(&self) -> Timestamp;
}

/// Real ones. A socket is owned from [`Net::open`] to [`Net::close`].
pub struct Sockets {
    blaster: Box<dyn Blaster>,
    choice: Choice,
    /// All, and what wakes the reactor, and `room`.
    epoll: OwnedFd,
    /// Those that are full. They are not in one queue with who has something to say: thousands may have room at the same time.
    room: OwnedFd,
    has_room: bool,
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
        let room = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, sleeper.socket(), EventData::new_u64(WAKE), EventFlags::IN)?;
        epoll::add(&epoll, &room, EventData::new_u64(ROOM), EventFlags::IN)?;
        Ok(Self {
            blaster,
            choice: Choice::default(),
            epoll,
            room,
            has_room: false,
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

    fn listen(&mut self, socket: RawFd, key: u64, is_on: bool) {
        let flags = if is_on { EventFlags::IN } else { EventFlags::empty() };
        let changed = epoll::modify(&self.epoll, borrowed(socket), EventData::new_u64(key), flags);
        debug_assert!(changed.is_ok(), "an open socket is in the set: {changed:?}");
    }

    fn want_room(&mut self, socket: RawFd, key: u64, is_on: bool) {
        let socket = borrowed(socket);
        if !is_on {
            let _ = epoll::delete(&self.room, socket); // it is not there if it could not be added
        } else if let Err(error) = epoll::add(&self.room, socket, EventData::new_u64(key), EventFlags::OUT) {
            // Out of memory, most likely. It is swept when it was full for too long.
            tracing::warn!(%error, "a full socket cannot be waited for");
        }
    }

    fn ready(&mut self, ready: &mut Ready) -> bool {
        let mut may_be_more = false;
        if ready.to_read.is_empty() {
            may_be_more |= wait(&self.epoll, &mut self.events);
            for event in &self.events {
                match event.data.u64() {
                    WAKE => self.sleeper.drain(),
                    ROOM => self.has_room = true,
                    key => ready.to_read.push_back(key),
                }
            }
        }
        if ready.to_write.is_empty() && self.has_room {
            self.has_room = wait(&self.room, &mut self.events);
            ready.to_write.extend(self.events.iter().map(|event| event.data.u64()));
        }
        may_be_more || self.has_room
    }

    fn close(&mut self, socket: RawFd) {
        // SAFETY: the caller gives up the socket that it gave to `open`, and the set forgets what is closed.
        drop(unsafe { OwnedFd::from_raw_fd(socket) });
    }

    fn now(&self) -> Timestamp {
        super::clock()
    }
}

/// What a set has to tell now. True if there may be more.
fn wait(set: &OwnedFd, events: &mut Vec<epoll::Event>) -> bool {
    events.clear();
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    // A signal may come between; then there is nothing to tell this time.
    let _ = epoll::wait(set, rustix::buffer::spare_capacity(events), Some(&at_once));
    events.len() == READY_MAX
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

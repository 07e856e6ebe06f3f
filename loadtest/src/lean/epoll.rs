//! epoll and an eventfd, as far as the readers need them.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Sockets told of at once; by eye.
const EVENTS_MAX: usize = 512;

pub(super) struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked before use.
        let fd = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Epoll { fd, events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX] })
    }

    /// Says `token` whenever `fd` can be read.
    pub(super) fn add(&self, fd: &impl AsRawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        // SAFETY: both descriptors are open while borrowed, and the event outlives the call.
        done(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &mut event) })
    }

    pub(super) fn remove(&self, fd: &impl AsRawFd) -> io::Result<()> {
        let (no_event, fd) = (std::ptr::null_mut(), fd.as_raw_fd());
        // SAFETY: both descriptors are open while borrowed; removing takes no event.
        done(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, no_event) })
    }

    /// The tokens of what can be read, none if nothing can be in time.
    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<impl Iterator<Item = u64> + '_> {
        let (events, count) = (self.events.as_mut_ptr(), EVENTS_MAX as i32);
        let milliseconds = timeout.as_millis().min(i32::MAX as u128) as i32;
        // SAFETY: the array has room for `count` events.
        let ready = unsafe { libc::epoll_wait(self.fd.as_raw_fd(), events, count, milliseconds) };
        let ready = match ready {
            0.. => ready as usize,
            _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => 0,
            _ => return Err(io::Error::last_os_error()),
        };
        Ok(self.events[..ready].iter().map(|event| event.u64))
    }
}

/// Wakes a waiting epoll from another thread.
pub(super) struct Bell(OwnedFd);

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked before use.
        owned(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) }).map(Bell)
    }

    pub(super) fn ring(&self) {
        let one = 1u64;
        // SAFETY: eight bytes are read from `one`. A counter that is full rings as well.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }

    pub(super) fn silence(&self) {
        let mut count = 0u64;
        // SAFETY: eight bytes are written to `count`. Nothing to read is silence already.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

fn owned(fd: i32) -> io::Result<OwnedFd> {
    done(fd)?;
    // SAFETY: it was just made, is open, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn done(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

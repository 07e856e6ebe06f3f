//! Open-loop load: when each request ought to leave, whatever happened to those before it.
//!
//! Latency is counted from the intended time. A generator that waits for a slow answer before it sends the next
//! request leaves out exactly the requests that would have suffered ("coordinated omission"); here they are sent late
//! and their waiting counts. How late is reported too, so that our own tardiness is not blamed on the server.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;

/// Evenly spaced events.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    pub start: Instant,
    pub per_second: u64,
}

impl Schedule {
    pub fn new(start: Instant, per_second: u64) -> Self {
        assert!(per_second > 0, "a schedule without events");
        Schedule { start, per_second }
    }

    /// Computed from the start, not from the last event, so rounding does not add up.
    pub fn intended(&self, index: u64) -> Instant {
        let nanos = u128::from(index) * 1_000_000_000 / u128::from(self.per_second);
        self.start + Duration::from_nanos(nanos as u64)
    }
}

/// Waits for instants to some 50 microseconds. tokio's timer ticks in milliseconds, which at 10,000 requests a second
/// would send them ten at a time and add its own half millisecond to each latency.
pub struct Pacer {
    timer: AsyncFd<OwnedFd>,
}

impl Pacer {
    pub fn new() -> io::Result<Self> {
        // SAFETY: timerfd_create takes no pointers; the result is checked before use.
        let fd =
            unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: fd was just created, is open, and nobody else owns it.
        let owned = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: an OwnedFd keeps one descriptor open and names the same one until it is dropped.
        let timer = unsafe { AsyncFd::register(owned) }.map_err(io::Error::from)?;
        Ok(Pacer { timer })
    }

    /// Safe to drop half-way, as `select!` does: the next call arms the timer anew.
    pub async fn until(&self, instant: Instant) -> io::Result<()> {
        loop {
            let left = instant.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.arm(left)?;
            self.timer.readable().await?.clear_ready();
        }
    }

    /// Setting a timer also forgets its earlier expirations, so it need not be read.
    fn arm(&self, left: Duration) -> io::Result<()> {
        let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let value = libc::timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos() as _ };
        let spec = libc::itimerspec { it_interval: zero, it_value: value };
        // SAFETY: the descriptor is open while self lives, spec outlives the call, and no old value is asked for.
        let set = unsafe { libc::timerfd_settime(self.timer.as_raw_fd(), 0, &spec, std::ptr::null_mut()) };
        if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_millionth_event_is_where_arithmetic_says() {
        let schedule = Schedule::new(Instant::now(), 3);
        assert_eq!(schedule.intended(0), schedule.start);
        assert_eq!(schedule.intended(3_000_000) - schedule.start, Duration::from_secs(1_000_000));
        assert_eq!(schedule.intended(1) - schedule.start, Duration::from_nanos(333_333_333));
    }

    #[tokio::test]
    async fn the_pacer_never_wakes_early() {
        let pacer = Pacer::new().unwrap();
        for micros in [0, 50, 500, 1500] {
            let instant = Instant::now() + Duration::from_micros(micros);
            pacer.until(instant).await.unwrap();
            assert!(Instant::now() >= instant);
        }
    }
}

//! The pump runs the turns one after another, and sleeps when there is nothing to do.
//!
//! To monoio a task that wakes itself is the next one to run, before all others, and it looks at its timers only when no task can run. So a
//! reactor that always has more to do would take nobody in, and no grace would ever end. Therefore the pump lets [`Others`] go first
//! now and then, by a way that leads through the kernel.

use super::Shell;
use monoio::net::UnixStream;
use rustix::event::{EventfdFlags, eventfd};
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How long the other tasks may wait at most, beside the turn that is being run. Letting them go first takes some microseconds.
const OTHERS_EVERY: Duration = Duration::from_millis(1);

/// A stopping server that has nothing to do looks again after so long whether it is over.
const DRAIN_STEP: Duration = Duration::from_millis(5);

/// Runs the turns until the reactor has stopped. `ready` is readable when [`Reactor::serve_ready`](super::Reactor::serve_ready) has
/// something to do.
pub(super) async fn pump(shell: Shell, ready: OwnedFd) -> anyhow::Result<()> {
    let door = {
        let reactor = shell.borrow();
        reactor.shared.doors[reactor.index].clone()
    };
    let ready = Rc::new(watched(ready)?);
    let mut signal = signalled(&ready);
    let others = Others::new()?;
    let mut others_ran = Instant::now();
    loop {
        if others_ran.elapsed() >= OTHERS_EVERY {
            others.go_first().await;
            others_ran = Instant::now();
        }
        let (more, stop) = {
            let mut reactor = shell.borrow_mut();
            let more = reactor.serve_ready() | reactor.turn();
            reactor.spawn_farewells(&shell);
            (more, reactor.shared.stopping.load(Ordering::Relaxed))
        };
        if stop {
            if shell.borrow_mut().drains() {
                return Ok(());
            }
            if !more {
                monoio::time::sleep(DRAIN_STEP).await;
            }
            continue;
        }
        if more {
            continue;
        }
        door.wake.falling_asleep();
        if !shell.borrow_mut().has_work() {
            poll_fn(|context| {
                let mut reactor = shell.borrow_mut();
                if reactor.pump_wanted {
                    return Poll::Ready(());
                }
                reactor.pump = Some(context.waker().clone());
                drop(reactor);
                signal.as_mut().poll(context).map(|_| signal = signalled(&ready))
            })
            .await;
            others_ran = Instant::now();
        }
        door.wake.awake();
    }
}

/// Completes when a socket is ready, or another thread has rung.
fn signalled(ready: &Rc<UnixStream>) -> Pin<Box<dyn Future<Output = io::Result<()>>>> {
    let ready = ready.clone();
    Box::pin(async move { ready.readable(false).await })
}

/// A descriptor as something that monoio can wait for. That it is no socket is nothing to monoio, which does nothing else with it.
pub(super) fn watched(descriptor: OwnedFd) -> io::Result<UnixStream> {
    UnixStream::from_std(descriptor.into())
}

/// The other tasks of the thread, and its timers.
struct Others {
    event: OwnedFd,
    watched: UnixStream,
}

impl Others {
    fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { watched: watched(event.try_clone()?)?, event })
    }

    /// Waits for an event that happens once it is waited for: whatever else can run by then does.
    async fn go_first(&self) {
        let mut happened = pin!(self.watched.readable(false));
        let mut is_due = true;
        let waited = poll_fn(|context| {
            let polled = happened.as_mut().poll(context);
            if std::mem::take(&mut is_due) {
                let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes()); // it is at zero, so there is room
            }
            polled
        });
        let _ = waited.await; // at worst nobody goes first
        let _ = rustix::io::read(&self.event, &mut [0; 8]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};
    use std::cell::Cell;

    /// One that never rests, beside one that sleeps and one that waits for a connection.
    async fn others_run_beside_one_that_never_rests() {
        let done = Rc::new(Cell::new(0));
        let (sleeps, accepts) = (done.clone(), done.clone());
        let listener = monoio::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        monoio::spawn(async move {
            monoio::time::sleep(Duration::from_millis(1)).await;
            sleeps.set(sleeps.get() + 1);
        });
        monoio::spawn(async move {
            listener.accept().await.unwrap();
            accepts.set(accepts.get() + 1);
        });
        let _client = std::net::TcpStream::connect(address).unwrap();
        let never_rests = monoio::spawn(async move {
            let others = Others::new().unwrap();
            for _ in 0..1_000_000 {
                if done.get() == 2 {
                    return;
                }
                others.go_first().await;
            }
            panic!("{} of 2 were let in", done.get());
        });
        never_rests.await;
    }

    #[test]
    fn whoever_never_rests_lets_others_go_first() {
        let mut runtime = RuntimeBuilder::<LegacyDriver>::new().enable_timer().build().unwrap();
        runtime.block_on(others_run_beside_one_that_never_rests());
        match RuntimeBuilder::<IoUringDriver>::new().enable_timer().build() {
            Ok(mut runtime) => runtime.block_on(others_run_beside_one_that_never_rests()),
            Err(error) => println!("io_uring is not there: {error}"),
        }
    }
}

//! What the process says of itself, on standard error.
//!
//! That may be a file on a full disk, a pipe that nobody reads, or nothing at all. No order waits for a line, and no exchange
//! ends for one: lines go through a bounded queue to a thread that writes them, and what finds no room there, or cannot be
//! written, is dropped. The last words of a process come after what waits in the queue, and wait a second at most.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::panic::PanicHookInfo;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Lines that may wait to be written: more than a start or a bad minute says, and a megabyte or two. Picked by eye.
const LINES_MAX: usize = 8192;

/// How long the end of the process waits for what is unsaid: a bit longer than a [`WorkerGuard`] does, which may also have to
/// say, to who does not listen, that it could not.
const PATIENCE: Duration = Duration::from_millis(1200);

/// The way into the queue, and who has the rest of it written when he goes.
static QUEUE: Mutex<Option<(NonBlocking, WorkerGuard)>> = Mutex::new(None);

/// From now on `tracing` is written, as far as `RINGSIDE_LOG` wants it, and a panic comes after what was said before it.
pub fn start() {
    let filter = EnvFilter::try_from_env("RINGSIDE_LOG").unwrap_or_else(|_| "info".into());
    let queue = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_MAX).thread_name("log");
    let (lines, guard) = queue.finish(io::stderr());
    *QUEUE.lock().expect("nobody panics with it") = Some((lines.clone(), guard));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines).init();
    // Instead of the usual hook, which writes by itself: where nobody reads, that never ends.
    std::panic::set_hook(Box::new(|panic| say_last(&last_words(panic))));
}

/// Has what waits written. What is said from now on is not.
pub fn end() {
    // With the lock, so that nobody ends the process meanwhile.
    let mut queue = QUEUE.lock().expect("nobody panics with it");
    if let Some((_, guard)) = queue.take() {
        write_rest(guard);
    }
}

/// Says why the process ends, after all that was said before. Nothing, if its last words were said.
pub fn say_last(line: &str) {
    let mut queue = QUEUE.lock().expect("nobody panics with it");
    if let Some((mut lines, guard)) = queue.take() {
        // Dropped if it cannot be written, as every line.
        let _ = lines.write_all(format!("{line}\n").as_bytes());
        write_rest(guard);
    }
}

fn last_words(panic: &PanicHookInfo<'_>) -> String {
    let thread = thread::current();
    let words = format!("thread '{}' {panic}", thread.name().unwrap_or("without a name"));
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => format!("{words}\n{backtrace}"),
        _ => words,
    }
}

/// Waits until what is in the queue is written, but not for long. It is another thread that lets the guard go, because that may
/// block, or panic, where nobody reads: here it would be with the lock.
fn write_rest(guard: WorkerGuard) {
    let (done, rest) = channel();
    // Where there can be no other thread, it is not to go here either.
    let guard = ManuallyDrop::new(guard);
    let letting_go = move || {
        drop(ManuallyDrop::into_inner(guard));
        let _ = done.send(());
    };
    if thread::Builder::new().name("log end".into()).spawn(letting_go).is_ok() {
        let _ = rest.recv_timeout(PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::Receiver;

    /// Takes no line before it hears that it may.
    struct Unread(Receiver<()>);

    impl Write for Unread {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Clone, Default)]
    struct Read(Arc<Mutex<Vec<u8>>>);

    impl Write for Read {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_end_does_not_wait_for_a_queue_that_nobody_reads() {
        let (reads, unread) = channel();
        let (mut lines, guard) = NonBlockingBuilder::default().buffered_lines_limit(1).finish(Unread(unread));
        while lines.error_counter().dropped_lines() == 0 {
            lines.write_all(b"a line\n").unwrap();
        }
        write_rest(guard); // it comes back
        drop(reads);
    }

    #[test]
    fn what_waits_is_written_at_the_end() {
        let read = Read::default();
        let (mut lines, guard) = NonBlockingBuilder::default().finish(read.clone());
        for number in 0..100 {
            lines.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        write_rest(guard);
        let read = read.0.lock().unwrap();
        assert!(read.ends_with(b"98\n99\n"), "{}", String::from_utf8_lossy(&read));
    }
}

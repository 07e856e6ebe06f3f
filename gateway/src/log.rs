//! What the process says of itself, on standard error.
//!
//! That may be a file on a full disk, a pipe that nobody reads, or nothing at all. No order waits for a line, and no exchange
//! ends for one: lines go through a bounded queue to a thread that writes them, and what finds no room there, or cannot be
//! written, is dropped. The last words of a process come after what waits in the queue, and wait a second at most.

use std::io::{self, Write};
use std::sync::Mutex;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Lines that may wait to be written: more than a start or a bad minute says, and a megabyte or two. Picked by eye.
const LINES_MAX: usize = 8192;

/// The way into the queue, and who has the rest of it written when he goes.
static QUEUE: Mutex<Option<(NonBlocking, WorkerGuard)>> = Mutex::new(None);

/// From now on `tracing` is written, as far as `RINGSIDE_LOG` wants it, and a panic comes after what was said before it.
pub fn start() {
    let filter = EnvFilter::try_from_env("RINGSIDE_LOG").unwrap_or_else(|_| "info".into());
    let queue = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_MAX).thread_name("log");
    let (lines, guard) = queue.finish(io::stderr());
    *QUEUE.lock().expect("nobody panics with it") = Some((lines.clone(), guard));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines).init();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        end();
        usual(panic);
    }));
}

/// Has what waits written. What is said from now on is not.
pub fn end() {
    // With the lock, so that nobody ends the process meanwhile.
    let mut queue = QUEUE.lock().expect("nobody panics with it");
    drop(queue.take());
}

/// Says why the process ends, after all that was said before.
pub fn say_last(line: &str) {
    let mut queue = QUEUE.lock().expect("nobody panics with it");
    // Dropped if it cannot be written, as every line.
    let _ = match queue.take() {
        Some((mut lines, _guard)) => lines.write_all(format!("{line}\n").as_bytes()),
        None => writeln!(io::stderr(), "{line}"),
    };
}

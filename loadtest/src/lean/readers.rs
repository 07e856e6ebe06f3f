//! Threads that read lean subscribers: one epoll and one buffer each, whatever the number of sockets.
//!
//! ```text
//! connecting tasks ──Lean──▶ inbox of a thread ─▶ epoll ─▶ read, walk, count ─▶ meter
//!                                            drain, then silence ─▶ all of them come home
//! ```

use super::epoll::{Bell, Epoll};
use super::{BUFFER_BYTES, Lean};
use crate::meter::{Gain, Meter};
use anyhow::{Result, anyhow};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// When the run is over: read until silence of that length, or the time is up.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    pub idle: Duration,
    pub limit: Duration,
}

pub struct Readers {
    threads: Vec<Handle>,
    /// Whose turn it is to take the next subscriber.
    next: AtomicUsize,
}

struct Handle {
    door: Arc<Door>,
    thread: JoinHandle<Result<Vec<Lean>>>,
}

/// How others reach a thread.
struct Door {
    post: Mutex<Post>,
    /// Who was told to hold waits for this.
    changed: Condvar,
    bell: Bell,
}

#[derive(Default)]
struct Post {
    arrived: Vec<Lean>,
    drain: Option<Drain>,
    /// Nothing is read for the time being.
    held: bool,
}

/// The bell's token; sockets have those from zero.
const BELL: u64 = u64::MAX;

/// How long a thread with nothing to do sleeps; whoever wants it rings.
const NAP: Duration = Duration::from_secs(60);

impl Readers {
    pub fn start(threads: usize, meter: &Arc<Meter>) -> io::Result<Self> {
        let threads = (0..threads.max(1)).map(|index| {
            let door = Arc::new(Door { post: Mutex::default(), changed: Condvar::new(), bell: Bell::new()? });
            let reader = Reader::new(door.clone(), meter.clone())?;
            let name = format!("reader-{index}");
            Ok(Handle { door, thread: std::thread::Builder::new().name(name).spawn(|| reader.run())? })
        });
        Ok(Readers { threads: threads.collect::<io::Result<_>>()?, next: AtomicUsize::new(0) })
    }

    pub fn take(&self, lean: Lean) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.threads[turn % self.threads.len()].door.with(|post| post.arrived.push(lean));
    }

    /// Lets nobody read, until they may again.
    pub fn hold(&self, held: bool) {
        self.threads.iter().for_each(|handle| handle.door.with(|post| post.held = held));
    }

    /// Reads to silence and brings everyone home. Blocks.
    pub fn finish(self, drain: Drain) -> Result<Vec<Lean>> {
        self.threads.iter().for_each(|handle| handle.door.with(|post| post.drain = Some(drain)));
        let mut home = Vec::new();
        for handle in self.threads {
            home.extend(handle.thread.join().map_err(|_| anyhow!("a reading thread panicked"))??);
        }
        Ok(home)
    }
}

impl Door {
    fn with(&self, act: impl FnOnce(&mut Post)) {
        act(&mut self.post.lock().expect("no holder panics"));
        self.changed.notify_all();
        self.bell.ring();
    }

    /// What has come, as soon as it may be acted upon.
    fn open(&self) -> Post {
        let post = self.post.lock().expect("no holder panics");
        let mut post = self.changed.wait_while(post, |post| post.held).expect("no holder panics");
        std::mem::take(&mut *post)
    }
}

struct Reader {
    door: Arc<Door>,
    epoll: Epoll,
    meter: Arc<Meter>,
    leans: Vec<Lean>,
    buffer: Vec<u8>,
    drain: Option<(Drain, Instant)>,
}

impl Reader {
    fn new(door: Arc<Door>, meter: Arc<Meter>) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(&door.bell, BELL)?;
        Ok(Reader { door, epoll, meter, leans: Vec::new(), buffer: vec![0; BUFFER_BYTES], drain: None })
    }

    fn run(mut self) -> Result<Vec<Lean>> {
        while !self.turn()? {}
        Ok(self.leans)
    }

    /// True when all is read.
    fn turn(&mut self) -> Result<bool> {
        let Self { epoll, leans, buffer, meter, drain, .. } = self;
        let timeout = drain.map_or(NAP, |(drain, _)| drain.idle);
        let (mut gain, mut ready, mut rung) = (Gain::default(), 0, false);
        let mut gone = Vec::new();
        for token in epoll.wait(timeout)? {
            if token == BELL {
                rung = true;
                continue;
            }
            ready += 1;
            let lean = &mut leans[token as usize];
            gain += lean.turn(buffer, meter);
            if lean.tally().closed.is_some() {
                gone.push(token as usize);
            }
        }
        meter.received(gain);
        for lean in gone {
            epoll.remove(&leans[lean].stream)?;
        }
        if rung {
            self.door.bell.silence();
            self.collect()?;
        }
        let over = self.drain.is_some_and(|(drain, since)| since.elapsed() >= drain.limit);
        Ok(over || (self.drain.is_some() && ready == 0 && !rung))
    }

    fn collect(&mut self) -> io::Result<()> {
        let post = self.door.open();
        for lean in post.arrived {
            self.epoll.add(&lean.stream, self.leans.len() as u64)?;
            self.leans.push(lean);
        }
        if let Some(drain) = post.drain {
            self.drain = Some((drain, Instant::now()));
        }
        Ok(())
    }
}

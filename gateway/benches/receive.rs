//! How a reactor hears of what clients say: an epoll in batches and a read for each socket that is ready, as it is, against
//! receives that stay armed in an io_uring and take their buffers from a common ring, as it could be.
//!
//! `cargo bench -p gateway --bench receive`. Both ends are here, in one thread, and what an armed receive does is done whenever that
//! enters the kernel: so sending is timed with it, which costs the same for both. Memory is what the kernel's slabs grow by when the sockets are waited for, whatever they cost by themselves.

use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, cqueue, opcode};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;

const MESSAGE: [u8; 110] = [b'x'; 110];
const BUFFER_BYTES: usize = 4096;
const BUFFERS: u16 = 1024;
const GROUP: u16 = 1;

/// One way of hearing. Returns the bytes that came by now.
trait Ear {
    fn listen(&mut self, sockets: &[TcpStream]);
    fn hear(&mut self) -> usize;
}

/// As the reactor does it (`reactor/net.rs`).
struct Asking {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    scratch: Vec<u8>,
}

impl Asking {
    fn new() -> Self {
        let epoll = epoll::create(CreateFlags::CLOEXEC).expect("an epoll");
        Self { epoll, events: Vec::with_capacity(128), scratch: vec![0; 64 << 10] }
    }
}

impl Ear for Asking {
    fn listen(&mut self, sockets: &[TcpStream]) {
        for socket in sockets {
            let data = EventData::new_u64(socket.as_raw_fd() as u64);
            epoll::add(&self.epoll, socket, data, EventFlags::IN).expect("an open socket");
        }
    }

    fn hear(&mut self) -> usize {
        self.events.clear();
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let room = rustix::buffer::spare_capacity(&mut self.events);
        epoll::wait(&self.epoll, room, Some(&at_once)).expect("a moment");
        let mut bytes = 0;
        for event in &self.events {
            let socket = event.data.u64() as i32;
            bytes += gateway::reactor::blaster::receive(socket, &mut self.scratch).unwrap_or(0);
        }
        bytes
    }
}

/// Multishot receives with a ring of provided buffers.
struct Armed {
    ring: IoUring,
    entries: *mut BufRingEntry,
    buffers: Vec<u8>,
    tail: u16,
}

const ENTRIES_LAYOUT: Layout = match Layout::from_size_align(BUFFERS as usize * 16, 4096) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

impl Armed {
    fn new() -> std::io::Result<Self> {
        // The queues hold what a burst of all sockets brings.
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_coop_taskrun()
            .setup_cqsize(16 << 10)
            .build(4096)?;
        // SAFETY: the layout has a size.
        let entries = unsafe { alloc_zeroed(ENTRIES_LAYOUT) }.cast::<BufRingEntry>();
        // SAFETY: page-aligned, of that many entries, and freed after the ring is gone.
        unsafe { ring.submitter().register_buf_ring_with_flags(entries as u64, BUFFERS, GROUP, 0)? };
        let mut armed = Self { ring, entries, buffers: vec![0; BUFFERS as usize * BUFFER_BYTES], tail: 0 };
        (0..BUFFERS).for_each(|buffer| armed.give(buffer));
        Ok(armed)
    }

    /// The kernel may fill that buffer.
    fn give(&mut self, buffer: u16) {
        let at = (self.tail % BUFFERS) as usize;
        // SAFETY: within the entries, which the kernel reads only below the tail.
        let entry = unsafe { &mut *self.entries.add(at) };
        entry.set_addr(self.buffers[buffer as usize * BUFFER_BYTES..].as_ptr() as u64);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail is in the first entry, and shared with the kernel.
        let tail = unsafe { &*BufRingEntry::tail(self.entries).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }

    fn arm(&mut self, socket: i32) {
        let entry = opcode::RecvMulti::new(Fd(socket), GROUP).build().user_data(socket as u64);
        // SAFETY: the buffers live as long as the ring.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.ring.submit().expect("a submission");
        }
    }
}

impl Ear for Armed {
    fn listen(&mut self, sockets: &[TcpStream]) {
        sockets.iter().for_each(|socket| self.arm(socket.as_raw_fd()));
        self.ring.submit().expect("a submission");
    }

    fn hear(&mut self) -> usize {
        // What arrived is posted when the thread next enters the kernel.
        let enter = self.ring.submitter();
        // SAFETY: no memory is handed over.
        unsafe { enter.enter::<libc::sigset_t>(0, 0, 1, None) }.expect("a moment");
        let done: Vec<_> = self.ring.completion().collect();
        let mut bytes = 0;
        for completion in done {
            if let Some(buffer) = cqueue::buffer_select(completion.flags()) {
                let received = completion.result().max(0) as usize;
                std::hint::black_box(&self.buffers[buffer as usize * BUFFER_BYTES..][..received]);
                bytes += received;
                self.give(buffer);
            }
            if !cqueue::more(completion.flags()) {
                self.arm(completion.user_data() as i32); // it was out of buffers
            }
        }
        self.ring.submit().expect("a submission");
        bytes
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        let _ = self.ring.submitter().unregister_buf_ring(GROUP);
        // SAFETY: allocated with this layout, and the kernel has given it up.
        unsafe { dealloc(self.entries.cast(), ENTRIES_LAYOUT) };
    }
}

fn pairs(count: usize) -> (Vec<TcpStream>, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let pair = |_| {
        let peer = TcpStream::connect(address).expect("it listens");
        peer.set_nodelay(true).expect("a socket option");
        let (socket, _) = listener.accept().expect("it was connected");
        socket.set_nonblocking(true).expect("a socket option");
        (socket, peer)
    };
    (0..count).map(pair).unzip()
}

fn slab_bytes() -> i64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").expect("Linux says");
    let line = meminfo.lines().find(|line| line.starts_with("Slab:")).expect("Linux says");
    line.split_whitespace().nth(1).and_then(|number| number.parse::<i64>().ok()).expect("a number") * 1024
}

/// Nanoseconds for each message, sent and heard, when so many of the sockets have one.
fn time(ear: &mut dyn Ear, peers: &mut [TcpStream], talking: usize, rounds: usize) -> u64 {
    let begun = Instant::now();
    for round in 0..rounds {
        for n in 0..talking {
            let at = (round + n * 7) % peers.len();
            peers[at].write_all(&MESSAGE).expect("it is read");
        }
        let mut left = talking * MESSAGE.len();
        while left > 0 {
            left -= ear.hear();
        }
    }
    begun.elapsed().as_nanos() as u64 / (rounds * talking) as u64
}

fn main() {
    let is_tiny = std::env::var_os("RINGSIDE_BENCH").is_some_and(|it| it == "tiny");
    let (count, scale) = if is_tiny { (50, 50) } else { (5000, 1) };
    println!(
        "{count} sockets, messages of {} bytes; ns a message with so many of them at a time, best of 5",
        MESSAGE.len()
    );
    println!("{:8} {:>8} {:>8} {:>8} {:>22}", "", 1, 30, 1000.min(count), "slab, bytes a socket");
    type Make = fn() -> std::io::Result<Box<dyn Ear>>;
    let ways: [(&str, Make); 2] =
        [("asking", || Ok(Box::new(Asking::new()))), ("armed", || Ok(Box::new(Armed::new()?)))];
    for (name, make) in ways {
        let (sockets, mut peers) = pairs(count);
        let mut ear = match make() {
            Ok(ear) => ear,
            Err(error) => {
                println!("{name:8} cannot be used here: {error}");
                continue;
            }
        };
        let before = slab_bytes();
        ear.listen(&sockets);
        let grown = (slab_bytes() - before) / count as i64;
        let mut best = [(1, 20_000), (30, 2_000), (1000.min(count), 100)].map(|(talking, rounds)| {
            (0..5).map(|_| time(&mut *ear, &mut peers, talking, rounds / scale)).min()
        });
        let [one, some, many] = best.each_mut().map(|best| best.take().expect("five rounds"));
        println!("{name:8} {one:>8} {some:>8} {many:>8} {grown:>22}");
    }
}

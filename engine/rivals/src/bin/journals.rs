//! Is our journal worth having, beside `raft-engine`?
//!
//! `cargo run --release --bin journals -- --dir DIR`, with a directory on the disk that counts.
//!
//! Both get the calibrated stream of commands in the same encoding and in the same batches, from one thread, with every batch
//! synced before it counts. raft-engine syncs in the caller's thread, so it gets the writer thread that ours has: what gathers
//! during one sync is the next batch. It has its entries as raw bytes (no compression: at this speed it would be the
//! bottleneck) and files prepared beforehand, as ours.
//!
//! - `full speed`: as fast as it is let. `paced`: half a million commands a second, at their time. `one by one`: the next one
//!   when the one before is durable.
//! - `reopen`: from closed files to every command decoded; the checksum must be that of what went in.

#[path = "../../../core/benches/mix/mod.rs"]
mod mix;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::Parser;
use engine_core::journal::storage::Disk;
use engine_core::journal::{Journal, JournalLog, Options, Payload, Recovery, Shards};
use engine_core::log::{Entry, ShardLog};
use engine_core::message::Input;
use hdrhistogram::Histogram;
use mix::{Mix, draw};
use protobuf::well_known_types::BytesValue;
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize};

/// Commands in one append.
const BATCH: usize = 64;
/// Commands a second that come at their time.
const PACE: f64 = 500_000.0;
const SHARDS: Shards = Shards { sequencers: 1, matchers: 1 };
/// The group of raft-engine that has our entries.
const GROUP: u64 = 1;

#[derive(Parser)]
struct Arguments {
    /// Where the journals are made and taken away again.
    #[arg(long)]
    dir: PathBuf,
    /// Commands at full speed.
    #[arg(long, default_value_t = 4_000_000)]
    commands: usize,
    /// How often each takes its turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// A journal that is written.
trait Contestant {
    fn append(&mut self, batch: &[Entry<Input>]) -> u64;
    fn durable(&self) -> u64;
    /// Bytes on the disk, as far as it says.
    fn bytes(&self) -> u64;
}

fn main() {
    let Arguments { dir, commands, rounds } = Arguments::parse();
    let stream = draw(Mix { commands, accounts: 10_000, life: 2_000.0, tickets: false });
    let entries: Vec<Entry<Input>> = stream.into_iter().map(Entry::Input).collect();
    for _ in 0..rounds {
        let ours = dir.join("ringside");
        let (journal, log) = open_ours(&ours);
        drive("ringside", &mut Ours { journal: &journal, log }, &entries);
        journal.close().expect("everything is safe");
        reopen("ringside", &entries, |visit| read_ours(&ours, visit));
        std::fs::remove_dir_all(&ours).expect("what was made can be removed");

        let theirs = dir.join("raft-engine");
        let mut engine = Theirs::open(&theirs);
        drive("raft-engine", &mut engine, &entries);
        drop(engine);
        reopen("raft-engine", &entries, |visit| read_theirs(&theirs, visit));
        std::fs::remove_dir_all(&theirs).expect("what was made can be removed");
    }
}

// ---- what is measured

fn drive(name: &str, journal: &mut impl Contestant, entries: &[Entry<Input>]) {
    full_speed(name, journal, entries);
    paced(name, journal, &entries[..entries.len() / 2]);
    one_by_one(name, journal, &entries[..entries.len() / 400]);
}

fn full_speed(name: &str, journal: &mut impl Contestant, entries: &[Entry<Input>]) {
    let mut waiting = Waiting::default();
    let begun = Instant::now();
    for batch in entries.chunks(BATCH) {
        let at = Instant::now();
        waiting.add(journal.append(batch), at);
        waiting.settle(journal.durable());
    }
    waiting.finish(journal);
    let speed = entries.len() as f64 / begun.elapsed().as_secs_f64() / 1e6;
    let each = journal.bytes() as f64 / entries.len() as f64;
    println!(
        "{name:<12} full speed {speed:>6.2} M commands/s, {each:.1} bytes each, durable {}",
        waiting.times()
    );
}

fn paced(name: &str, journal: &mut impl Contestant, entries: &[Entry<Input>]) {
    let mut waiting = Waiting::default();
    let begun = Instant::now();
    let mut done = 0;
    while done < entries.len() {
        let due = (begun.elapsed().as_secs_f64() * PACE) as usize;
        let batch = &entries[done..due.clamp(done, entries.len().min(done + BATCH))];
        if !batch.is_empty() {
            waiting.add(journal.append(batch), begun + Duration::from_secs_f64(done as f64 / PACE));
            done += batch.len();
        }
        waiting.settle(journal.durable());
        std::thread::yield_now();
    }
    waiting.finish(journal);
    println!("{name:<12} paced      {:>6.2} M commands/s, durable {}", PACE / 1e6, waiting.times());
}

fn one_by_one(name: &str, journal: &mut impl Contestant, entries: &[Entry<Input>]) {
    let mut waiting = Waiting::default();
    for entry in entries {
        let at = Instant::now();
        waiting.add(journal.append(std::slice::from_ref(entry)), at);
        waiting.finish(journal);
    }
    println!("{name:<12} one by one durable {}", waiting.times());
}

/// Batches that are not durable yet, and the times of those that are.
#[derive(Default)]
struct Waiting {
    batches: VecDeque<(u64, Instant)>,
    times: Option<Histogram<u64>>,
}

impl Waiting {
    fn add(&mut self, position: u64, at: Instant) {
        self.batches.push_back((position, at));
    }

    fn settle(&mut self, durable: u64) {
        let times = self.times.get_or_insert_with(|| {
            Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds that fit")
        });
        while let Some((_, at)) = self.batches.pop_front_if(|(position, _)| *position <= durable) {
            times.saturating_record(at.elapsed().as_nanos() as u64);
        }
    }

    fn finish(&mut self, journal: &impl Contestant) {
        while !self.batches.is_empty() {
            self.settle(journal.durable());
            std::thread::yield_now();
        }
    }

    fn times(&self) -> String {
        let times = self.times.as_ref().expect("something was measured");
        let us = |quantile: f64| times.value_at_quantile(quantile) as f64 / 1e3;
        format!("p50 {:.0} µs, p99 {:.0} µs, p99.9 {:.0} µs", us(0.5), us(0.99), us(0.999))
    }
}

/// Reads all back and compares.
fn reopen(name: &str, entries: &[Entry<Input>], read: impl FnOnce(&mut dyn FnMut(Entry<Input>))) {
    let begun = Instant::now();
    let (mut count, mut sum) = (0, 0u64);
    read(&mut |entry| {
        count += 1;
        sum = sum.wrapping_add(checksum(&entry));
    });
    let speed = count as f64 / begun.elapsed().as_secs_f64() / 1e6;
    let parts = [entries.len(), entries.len() / 2, entries.len() / 400];
    let expected = parts.iter().flat_map(|count| &entries[..*count]).map(checksum).fold(0, u64::wrapping_add);
    assert_eq!((count, sum), (parts.iter().sum(), expected), "{name}: what came back is not what went in");
    println!("{name:<12} reopen     {speed:>6.2} M commands/s, checksum {sum:016x}");
}

fn checksum(entry: &Entry<Input>) -> u64 {
    let Entry::Input(input) = entry else { unreachable!("the stream has inputs only") };
    input.at.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(input.origin.request)
}

// ---- ours

struct Ours<'a> {
    journal: &'a Journal,
    log: JournalLog<Input>,
}

fn open_ours(directory: &Path) -> (Journal, JournalLog<Input>) {
    let disk = Disk::new(directory).expect("the directory can be made");
    let recovery = Recovery::open(Arc::new(disk), Options::new(SHARDS)).expect("a journal can be made");
    let journal = recovery.start(Box::new(|error| panic!("{error}"))).expect("it can be written");
    let log = journal.sequencer_log(0);
    (journal, log)
}

impl Contestant for Ours<'_> {
    fn append(&mut self, batch: &[Entry<Input>]) -> u64 {
        self.log.append(batch)
    }

    fn durable(&self) -> u64 {
        self.log.durable()
    }

    fn bytes(&self) -> u64 {
        self.journal.watch().counters().bytes.get()
    }
}

fn read_ours(directory: &Path, visit: &mut dyn FnMut(Entry<Input>)) {
    let disk = Disk::new(directory).expect("it is there");
    let mut recovery = Recovery::open(Arc::new(disk), Options::new(SHARDS)).expect("it is a journal");
    while let Some(record) = recovery.next_record().expect("it is whole") {
        record.entries().for_each(|logged| visit(logged.expect("it is one of ours").entry));
    }
}

// ---- raft-engine

/// A batch: its number, then its entries.
struct Batches;

impl MessageExt for Batches {
    type Entry = BytesValue;

    fn index(batch: &BytesValue) -> u64 {
        u64::from_le_bytes(batch.value[..8].try_into().expect("eight bytes"))
    }
}

struct Theirs {
    staging: Arc<Staging>,
    engine: Arc<Engine>,
    position: u64,
    batches: u64,
    buffer: Vec<u8>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Staging {
    /// What was appended: the position after it, and the batch. With no batch, the end.
    batches: Mutex<Vec<(u64, Option<BytesValue>)>>,
    work: Condvar,
    durable: AtomicU64,
}

fn open_engine(directory: &Path) -> Engine {
    let config = Config {
        dir: directory.display().to_string(),
        batch_compression_threshold: ReadableSize::kb(0),
        target_file_size: ReadableSize::mb(64),
        purge_threshold: ReadableSize::gb(1),
        enable_log_recycle: true,
        prefill_for_recycle: true,
        ..Default::default()
    };
    Engine::open(config).expect("raft-engine opens")
}

impl Theirs {
    fn open(directory: &Path) -> Self {
        let engine = Arc::new(open_engine(directory));
        let staging = Arc::new(Staging::default());
        let writer = std::thread::spawn({
            let (engine, staging) = (engine.clone(), staging.clone());
            move || write(&engine, &staging)
        });
        Self { staging, engine, position: 0, batches: 0, buffer: vec![0; 256 * BATCH], writer: Some(writer) }
    }

    fn stage(&self, position: u64, batch: Option<BytesValue>) {
        self.staging.batches.lock().expect("nobody panics").push((position, batch));
        self.staging.work.notify_one();
    }
}

/// Writes what has gathered, with one sync.
fn write(engine: &Engine, staging: &Staging) {
    loop {
        let mut waiting = staging.batches.lock().expect("nobody panics");
        while waiting.is_empty() {
            waiting = staging.work.wait(waiting).expect("nobody panics");
        }
        let taken = std::mem::take(&mut *waiting);
        drop(waiting);
        let last = taken.last().expect("something was taken").0;
        let closing = taken.iter().any(|(_, batch)| batch.is_none());
        let batches: Vec<BytesValue> = taken.into_iter().filter_map(|(_, batch)| batch).collect();
        let mut log = LogBatch::with_capacity(batches.len());
        log.add_entries::<Batches>(GROUP, &batches).expect("they fit");
        engine.write(&mut log, true).expect("the disk takes it");
        staging.durable.store(last, Ordering::Release);
        if closing {
            return;
        }
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        self.stage(self.position, None);
        self.writer.take().expect("it runs").join().expect("it ends");
    }
}

impl Contestant for Theirs {
    fn append(&mut self, batch: &[Entry<Input>]) -> u64 {
        let mut used = 8;
        self.buffer[..8].copy_from_slice(&self.batches.to_le_bytes());
        for entry in batch {
            used += Input::encode(entry, &mut self.buffer[used..]);
        }
        let mut value = BytesValue::new();
        value.set_value(self.buffer[..used].to_vec());
        self.batches += 1;
        self.position += batch.len() as u64;
        self.stage(self.position, Some(value));
        self.position
    }

    fn durable(&self) -> u64 {
        self.staging.durable.load(Ordering::Acquire)
    }

    fn bytes(&self) -> u64 {
        self.engine.get_used_size() as u64
    }
}

fn read_theirs(directory: &Path, visit: &mut dyn FnMut(Entry<Input>)) {
    let engine = open_engine(directory);
    let Some(last) = engine.last_index(GROUP) else { return };
    let mut batches: Vec<BytesValue> = Vec::new();
    for first in (0..=last).step_by(4096) {
        batches.clear();
        let end = (last + 1).min(first + 4096);
        engine.fetch_entries_to::<Batches>(GROUP, first, end, None, &mut batches).expect("they are there");
        for batch in &batches {
            let mut bytes = &batch.value[8..];
            while let Some(entry) = Input::decode(&mut bytes) {
                visit(entry);
            }
        }
    }
}

//! What does the journal take, and how long until an order is safe?
//!
//! `cargo bench -p engine-core --bench journal -- --dir DIR` measures on the disk that `DIR` is on; without it, below the
//! target directory. With `RINGSIDE_BENCH=tiny`, or without cargo's `--bench`, it runs in a blink, to show that it works.
//!
//! - `codec`: the calibrated stream (`mix`) encoded and decoded in memory.
//! - `disk`: what a sync costs without us: 4 KiB written into zeros that are there already, and fdatasync.
//! - `full speed`: one shard appends the stream in batches as a sequencer does, as fast as it is let. A batch is durable when
//!   the log says so; its time is from before `append` until then, as seen by a thread that the bell wakes.
//! - `paced`: half a million commands a second, each batch at its time whether or not the one before is durable. Times are from
//!   when the first command of a batch should have come.
//! - `one at a time`: the next command is appended when the one before is durable, as a single client sees it.
//! - `scan`: everything read back and decoded, its checksums compared. The files were written just before, so this is the
//!   speed of the processor and not of the disk.
//!
//! The checksum is over all entries as they came back, and must be that of what went in.

mod disk;
mod mix;

use disk::{histogram, percentiles};
use engine_core::bell::ThreadBell;
use engine_core::journal::storage::Disk;
use engine_core::journal::{Durability, Journal, JournalLog, Options, Payload, Positions, Recovery, Shards};
use engine_core::log::{Entry, ShardLog};
use engine_core::message::{Command, Input};
use hdrhistogram::Histogram;
use mix::{Mix, SEED, draw};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Commands in one append: what a sequencer takes in a turn when it is busy.
const BATCH: usize = 64;
/// Commands a second that come at their time.
const PACE: f64 = 500_000.0;
const SHARDS: Shards = Shards { sequencers: 1, matchers: 1 };

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench") && std::env::var_os("RINGSIDE_BENCH").is_none();
    let size = if full { 1 } else { 1000 };
    let directory = disk::directory("journal");
    let stream = draw(Mix {
        commands: 4_000_000 / size,
        accounts: 10_000 / size as u32,
        life: 2_000.0,
        tickets: false,
    });
    let entries: Vec<Entry<Input>> = stream.into_iter().map(Entry::Input).collect();
    let tiny = if full { "" } else { ", tiny" };
    println!("seed {SEED}, {} commands, {}{tiny}", entries.len(), directory.display());
    codec(&entries);
    disk::bare(&directory, 2_000 / size);
    for durability in [Durability::Fsync, Durability::Async { sync_every: Duration::from_millis(10) }] {
        run(&directory.join("journal"), durability, &entries, size);
    }
    std::fs::remove_dir_all(&directory).expect("what was made can be removed");
}

fn codec(entries: &[Entry<Input>]) {
    let mut bytes = vec![0; 256 * entries.len()];
    let mut used = 0;
    let begun = Instant::now();
    for entry in entries {
        used += Input::encode(entry, &mut bytes[used..]);
    }
    let encoding = begun.elapsed();
    let begun = Instant::now();
    let mut rest = &bytes[..used];
    let mut inputs = 0;
    while let Some(entry) = Input::decode(&mut rest) {
        inputs += usize::from(matches!(std::hint::black_box(entry), Entry::Input(_)));
    }
    let decoding = begun.elapsed();
    assert_eq!(inputs, entries.len());
    let submits = entries.iter().filter(|entry| matches!(entry, Entry::Input(input) if is_submit(input)));
    let mut buffer = [0; 256];
    let (count, length) =
        submits.fold((0, 0), |(n, sum), entry| (n + 1, sum + Input::encode(entry, &mut buffer)));
    println!(
        "codec           {:>6.1} bytes a command, {:.1} a submit; encode {:.1} M/s, decode {:.1} M/s",
        used as f64 / entries.len() as f64,
        length as f64 / count as f64,
        rate(entries.len(), encoding) / 1e6,
        rate(entries.len(), decoding) / 1e6,
    );
}

fn is_submit(input: &Input) -> bool {
    matches!(input.command, Command::Submit(_))
}

fn run(directory: &Path, durability: Durability, entries: &[Entry<Input>], size: usize) {
    let (journal, mut log) = open(directory, durability);
    let bell = Arc::new(ThreadBell::default());
    bell.attach();
    log.ring_when_durable(bell.clone());
    let name = if durability == Durability::Fsync { "fsync" } else { "async" };
    full_speed(name, &journal, &mut log, entries);
    paced(name, &mut log, &entries[..entries.len() / 2]);
    one_at_a_time(name, &mut log, &bell, &entries[..10_000 / size]);
    drop(log);
    journal.close().expect("everything is safe");
    scan(directory, entries, 10_000 / size);
    std::fs::remove_dir_all(directory).expect("what was made can be removed");
}

fn open(directory: &Path, durability: Durability) -> (Journal, JournalLog<Input>) {
    let disk = Disk::new(directory).expect("the directory can be made");
    let recovery = Recovery::open(Arc::new(disk), Options { durability, ..Options::new(SHARDS) });
    let journal = recovery.and_then(|recovery| recovery.start(Box::new(|error| panic!("{error}"))));
    let journal = journal.expect("a journal can be made");
    let log = journal.sequencer_log(0);
    (journal, log)
}

/// Appends as fast as it is let. The thread itself looks for what has become durable, between batches, so a time is too
/// long by at most one `append`.
fn full_speed(name: &str, journal: &Journal, log: &mut JournalLog<Input>, entries: &[Entry<Input>]) {
    let watch = journal.watch();
    let before = watch.counters();
    let (bytes, syncs) = (before.bytes.get(), before.syncs.get());
    let mut waiting = std::collections::VecDeque::new();
    let mut times = histogram();
    let mut appending = Duration::ZERO;
    let begun = Instant::now();
    for batch in entries.chunks(BATCH) {
        let at = Instant::now();
        let position = log.append(batch);
        appending += at.elapsed();
        waiting.push_back((position, at));
        settle(log, &mut waiting, &mut times);
    }
    while !waiting.is_empty() {
        settle(log, &mut waiting, &mut times);
        std::thread::yield_now();
    }
    let time = begun.elapsed();
    let bytes = watch.counters().bytes.get() - bytes;
    println!(
        "{name} full speed {:>7.3} M commands/s, {:.1} bytes a command, {:.0} MB/s, {:.0} syncs/s, append {:.0} ns a \
         command, durable {}",
        rate(entries.len(), time) / 1e6,
        bytes as f64 / entries.len() as f64,
        rate(bytes as usize, time) / 1e6,
        rate((watch.counters().syncs.get() - syncs) as usize, time),
        appending.as_nanos() as f64 / entries.len() as f64,
        percentiles(&times),
    );
}

/// A batch is what has come since the thread last looked, as in a sequencer's turn.
fn paced(name: &str, log: &mut JournalLog<Input>, entries: &[Entry<Input>]) {
    let mut waiting = std::collections::VecDeque::new();
    let mut times = histogram();
    let begun = Instant::now();
    let mut done = 0;
    while done < entries.len() || !waiting.is_empty() {
        let due = (begun.elapsed().as_secs_f64() * PACE) as usize;
        let batch = &entries[done..due.clamp(done, entries.len().min(done + BATCH))];
        if !batch.is_empty() {
            let at = begun + Duration::from_secs_f64(done as f64 / PACE);
            waiting.push_back((log.append(batch), at));
            done += batch.len();
        }
        settle(log, &mut waiting, &mut times);
        std::thread::yield_now();
    }
    println!("{name} paced      {:>7.3} M commands/s, durable {}", PACE / 1e6, percentiles(&times));
}

fn settle(
    log: &JournalLog<Input>,
    waiting: &mut std::collections::VecDeque<(u64, Instant)>,
    times: &mut Histogram<u64>,
) {
    let durable = log.durable();
    while let Some((_, at)) = waiting.pop_front_if(|(position, _)| *position <= durable) {
        times.saturating_record(at.elapsed().as_nanos() as u64);
    }
}

fn one_at_a_time(name: &str, log: &mut JournalLog<Input>, bell: &ThreadBell, entries: &[Entry<Input>]) {
    let mut times = histogram();
    let begun = Instant::now();
    for entry in entries {
        let at = Instant::now();
        let position = log.append(std::slice::from_ref(entry));
        while log.durable() < position {
            bell.wait(None, || log.durable() >= position);
        }
        times.saturating_record(at.elapsed().as_nanos() as u64);
    }
    let speed = rate(entries.len(), begun.elapsed());
    println!("{name} one by one {speed:>7.0} commands/s, durable {}", percentiles(&times));
}

/// Reads back what the three runs appended.
fn scan(directory: &Path, entries: &[Entry<Input>], one_by_one: usize) {
    let disk = Disk::new(directory).expect("it is there");
    let begun = Instant::now();
    let mut recovery = Recovery::open(Arc::new(disk), Options::new(SHARDS)).expect("it is a journal");
    let (mut count, mut sum) = (0, 0u64);
    while let Some(record) = recovery.next_record().expect("it is whole") {
        for logged in record.entries() {
            sum = sum.wrapping_add(checksum(&logged.expect("it is one of ours").entry));
            count += 1;
        }
    }
    let time = begun.elapsed();
    let (bytes, _) = recovery.progress();
    let parts = [entries.len(), entries.len() / 2, one_by_one];
    let expected = parts.iter().flat_map(|count| &entries[..*count]).map(checksum).fold(0, u64::wrapping_add);
    assert_eq!((count, sum), (parts.iter().sum(), expected), "what came back is not what was appended");
    assert_eq!(recovery.positions(), &Positions { sequencers: vec![count as u64], matchers: vec![0] });
    println!(
        "scan            {:>6.2} M commands/s, {:.2} GB/s, checksum {sum:016x}",
        rate(count, time) / 1e6,
        rate(bytes as usize, time) / 1e9
    );
}

/// Depends on every part of the stream that a journal could get wrong in order.
fn checksum(entry: &Entry<Input>) -> u64 {
    match entry {
        Entry::Input(input) => {
            input.at.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(input.origin.request)
        }
        Entry::Received { from, count } => u64::from(*from) << 32 | u64::from(*count),
    }
}

fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

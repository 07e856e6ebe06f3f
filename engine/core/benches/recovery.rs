//! How fast does an engine come back from its journal, and what does a snapshot cost and save?
//!
//! `cargo bench -p engine-core --bench recovery -- --dir DIR` measures on the disk that `DIR` is on; without it, below the
//! target directory. With `RINGSIDE_BENCH=tiny`, or without cargo's `--bench`, it runs in a blink, to show that it works.
//!
//! First the calibrated stream (`mix`) is run by an engine on threads, with fsync, as fast as it goes. What it leaves behind is
//! a journal of *records*: what one shard appended in one turn, with one header and one checksum. A record holds *entries*:
//! a sequencer's are commands in full, and "so many messages of that matcher", as all of a matcher's are. So there are
//! three rates; the one of commands is the one that a person waits for.
//!
//! - `read`: records read, their checksums and their order compared; nothing is decoded.
//! - `decode`: and every entry decoded.
//! - `recover`: what a start does: all that, and the shards do it again.
//! - `follow`: the shadow of a running engine does the first half of the journal, and writes its snapshot.
//! - `recover after`: the snapshot read, and the second half done again.
//!
//! The files were written just before, so this is the speed of the processor and not of the disk. All ways must end with
//! the same hash of the state.

mod disk;
mod journaled;
mod mix;
mod venue;

use engine_core::bell::{Bell, ThreadBell};
use engine_core::executor::AtRest;
use engine_core::executor::follower::{Beginning, Follower};
use engine_core::executor::shadow::Shadow;
use engine_core::executor::threads::{Manner, Port};
use engine_core::journal::storage::Disk;
use engine_core::journal::{Durability, Options, Recovery, Shards};
use engine_core::log::Entry;
use engine_core::message::{Command, Input};
use engine_core::pipeline::{self, Recovered, Shape};
use engine_core::sequencer::Sequencer;
use engine_core::state::StateHash;
use journaled::{Kept, Written};
use mix::{Mix, SEED};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use venue::{Stream, stream};

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench") && std::env::var_os("RINGSIDE_BENCH").is_none();
    let size = if full { 1 } else { 1000 };
    let directory = disk::directory("recovery");
    println!("seed {SEED}, {}{}", directory.display(), if full { "" } else { ", tiny" });
    disk::bare(&directory, 1_000 / size);
    for (sequencers, matchers, accounts, life) in
        [(1, 1, 10_000, 2_000.0), (1, 1, 100_000, 200_000.0), (2, 2, 10_000, 2_000.0)]
    {
        let mix =
            Mix { commands: 4_000_000 / size, accounts: accounts / size as u32 + 1, life, tickets: false };
        let case = Case { shape: Shape { sequencers, matchers, log_entries_max: 0 }, mix };
        case.measure(&directory, if full { 3 } else { 1 });
    }
    std::fs::remove_dir_all(&directory).expect("what was made can be removed");
}

struct Case {
    shape: Shape,
    mix: Mix,
}

/// What is in a journal.
#[derive(Clone, Copy, Default)]
struct Count {
    records: usize,
    entries: usize,
    commands: usize,
    bytes: u64,
}

impl Case {
    fn measure(&self, directory: &Path, rounds: usize) {
        let Case { shape: Shape { sequencers, matchers, .. }, mix } = self;
        let journal = self.record(&stream(*mix), directory);
        let count = self.count(&journal);
        let Count { records, entries, commands, bytes } = count;
        println!(
            "{sequencers}×{matchers}, {} accounts, rest {}: {commands} commands, {entries} entries, {records} records, {:.0} MB",
            mix.accounts,
            mix.life,
            bytes as f64 / 1e6
        );
        let mut hashes = Vec::new();
        for _ in 0..rounds {
            count.print("read", self.read(&journal, false));
            count.print("decode", self.read(&journal, true));
            let (time, hash) = self.recover(&journal);
            count.print("recover", time);
            hashes.push(hash);
        }
        self.snapshot(&journal, &count);
        let (time, hash) = self.recover(&journal);
        println!("  recover after  {:>7.0} ms in all", time.as_secs_f64() * 1e3);
        hashes.push(hash);
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "not the same state: {hashes:?}");
        println!("  hash of the state {}", hashes[0]);
        std::fs::remove_dir_all(&journal).expect("what was made can be removed");
    }

    /// Runs the stream. Returns where its journal is.
    fn record(&self, stream: &Stream, directory: &Path) -> PathBuf {
        let mut shards = pipeline::build(self.shape, &venue::market());
        let kept = Kept::new(&mut shards, directory, Durability::Fsync);
        let bell = Arc::new(ThreadBell::default());
        bell.attach();
        let markets = (0..self.shape.matchers).map(|_| Box::new(()) as _).collect();
        let (engine, mut ports) =
            pipeline::run_threads(shards, vec![bell.clone() as Arc<dyn Bell>], markets, Manner::default());
        let (port, watch) = (&mut ports[0], kept.watch());
        let before = Written::so_far(&watch);
        stream.opening.iter().chain(&stream.timed).for_each(|input| submit(port, &bell, *input));
        drop(ports);
        engine.join().check();
        let Written { records, syncs, .. } = Written::so_far(&watch).since(before);
        println!("recorded with fsync: {:.1} records a sync", records as f64 / syncs.max(1) as f64);
        kept.close()
    }

    fn count(&self, journal: &Path) -> Count {
        let mut recovery = self.open(journal);
        let mut count = Count::default();
        while let Some(record) = recovery.next_record().expect("it is whole") {
            count.records += 1;
            count.entries += record.count as usize;
            let entries = record.entries().map(|logged| logged.expect("it is one of ours").entry);
            count.commands += entries.filter(|entry| matches!(entry, Entry::Input(_))).count();
        }
        Count { bytes: recovery.progress().0, ..count }
    }

    fn read(&self, journal: &Path, decode: bool) -> Duration {
        let mut recovery = self.open(journal);
        let begun = Instant::now();
        while let Some(record) = recovery.next_record().expect("it is whole") {
            if decode {
                record
                    .entries()
                    .for_each(|logged| _ = std::hint::black_box(logged.expect("it is one of ours")));
            }
        }
        begun.elapsed()
    }

    fn recover(&self, journal: &Path) -> (Duration, StateHash) {
        let begun = Instant::now();
        let Recovered { shards, journal, .. } = self.recovered(journal);
        let time = begun.elapsed();
        let hash = shards.state_hash();
        journal.close().expect("everything is safe");
        (time, hash)
    }

    /// Follows the journal to its middle and has a snapshot made there.
    fn snapshot(&self, directory: &Path, count: &Count) {
        let Recovered { shards, journal, .. } = self.recovered(directory);
        drop(shards);
        let begun = Instant::now();
        let mut follower =
            Follower::begin(&journal.watch(), self.fresh(), None).expect("it has its beginning");
        let mut done = 0;
        while done < count.entries / 2 {
            let more = follower.follow(&mut |_: &_| {}, &mut ()).expect("it fits together");
            done += more.expect("there is the other half").entries as usize;
        }
        println!("  follow         {:>7.2} M entries/s", done as f64 / begun.elapsed().as_secs_f64() / 1e6);
        let begun = Instant::now();
        let snapshot = follower.snapshot(None).expect("it can be written");
        let (writing, megabytes) = (begun.elapsed(), snapshot.bytes as f64 / 1e6);
        let begun = Instant::now();
        let beginning =
            Beginning::find(&journal.watch().snapshots(), self.fresh(), None).expect("it is there");
        let reading = begun.elapsed();
        assert_eq!(beginning.snapshot.map(|found| found.hash), Some(snapshot.hash));
        journal.close().expect("everything is safe");
        println!(
            "  snapshot of {} orders, {} order ids, {} accounts: {megabytes:.1} MB, written in {:.0} ms, read in {:.0} ms",
            live_orders(&beginning.shadow),
            self.submits(directory, done),
            self.mix.accounts,
            writing.as_secs_f64() * 1e3,
            reading.as_secs_f64() * 1e3,
        );
    }

    /// Submits among the first `entries`: each order id is remembered.
    fn submits(&self, journal: &Path, entries: usize) -> usize {
        let mut recovery = self.open(journal);
        let (mut seen, mut submits) = (0, 0);
        while seen < entries {
            let record = recovery.next_record().expect("it is whole").expect("there are so many");
            seen += record.count as usize;
            let is_submit = |entry: Entry<Input>| matches!(entry, Entry::Input(input) if matches!(input.command, Command::Submit(_)));
            submits += record
                .entries()
                .filter(|logged| is_submit(logged.as_ref().expect("it is one of ours").entry))
                .count();
        }
        submits
    }

    fn recovered(&self, journal: &Path) -> Recovered {
        let stop = Box::new(|error: &_| panic!("{error}"));
        pipeline::recover(self.open(journal), self.fresh(), |_, _| {}, stop).expect("it can be recovered")
    }

    fn open(&self, journal: &Path) -> Recovery {
        let Shape { sequencers, matchers, .. } = self.shape;
        let disk = Disk::new(journal).expect("it is there");
        Recovery::open(Arc::new(disk), Options::new(Shards { sequencers, matchers }))
            .expect("it is a journal")
    }

    fn fresh(&self) -> AtRest {
        pipeline::build(self.shape, &venue::market())
    }
}

impl Count {
    fn print(&self, what: &str, time: Duration) {
        let each = |count: usize| count as f64 / time.as_secs_f64() / 1e6;
        println!(
            "  {what:<14} {:>7.2} M commands/s, {:.2} M entries/s, {:.2} M records/s, {:.0} MB/s",
            each(self.commands),
            each(self.entries),
            each(self.records),
            each(self.bytes as usize)
        );
    }
}

fn submit(port: &mut Port, bell: &ThreadBell, input: Input) {
    while port.submit(input).is_err() {
        port.flush();
        if port.take_reports(usize::MAX, |_| {}) == 0 {
            bell.wait(Some(Duration::from_micros(50)), || port.has_reports());
        }
    }
}

fn live_orders(shadow: &Shadow) -> usize {
    let of =
        |machine: &Sequencer| machine.accounts().map(|account| machine.open_orders(account)).sum::<usize>();
    shadow.sequencers().iter().map(of).sum()
}

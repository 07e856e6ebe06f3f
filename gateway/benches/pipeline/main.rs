//! How many orders a second does the whole engine take, from a port to the last report, with the feed behind it?
//!
//! `cargo bench -p gateway --bench pipeline` measures. With `RINGSIDE_BENCH=tiny`, or without cargo's `--bench`, it runs in
//! a blink, to show that it still works. `-- 2×` measures only the rows whose names contain that.
//!
//! One seeded stream (`engine/core/benches/mix`) of 100 accounts. Each command is checked, held, matched, settled and
//! reported; every account is watched, so executions and balances come out as well; behind each matcher the feed keeps
//! its levels and encodes depth and trades into an open room. Logs are in memory and keep nothing, or in a journal: rows
//! named `fsync` answer when what they tell of is on the disk, `async` when the system has it. No network.
//! On threads the port is driven by the bench's own thread, which submits as fast as it is let and reads between, so this
//! is throughput; shards and port share the machine's cores. The column `cpu` is what all threads together take of the
//! cores, and is disturbed least by what else the machine does.
//!
//! Then the same stream once more at half the best rate, each command at its time whether or not the one before has been
//! answered: latency is from the time a command should have been sent to its answer in the port's hands.
//!
//! The journal is below `--dir DIR`, or below the target directory. What that disk takes for 4 KiB and fdatasync without us
//! is measured first: no figure with a sync in it means anything without that.
//!
//! The checksum is over the books' event hashes and all balances. With one sequencer every run must have the same. Several
//! sequencers meet at the matcher as they come, unless the inputs have tickets, as in a replay: that row must have the
//! same checksum again, and shows what the order costs. The rows below it spread the same orders over more accounts, and
//! let them rest longer, so that books are deeper.

#[path = "../../../engine/core/benches/disk/mod.rs"]
mod disk;
mod drive;
#[path = "../../../engine/core/benches/journaled/mod.rs"]
mod journaled;
#[path = "../../../engine/core/benches/mix/mod.rs"]
mod mix;
#[path = "../../../engine/core/benches/venue/mod.rs"]
mod venue;

use drive::{Logs, Run, Sinks, across_snapshots, inline, on_threads, open_loop};
use engine_core::executor::AtRest;
use engine_core::journal::Durability;
use engine_core::pipeline::{self, Shape};
use journaled::Written;
use mix::{Mix, SEED};
use std::path::PathBuf;
use std::time::Duration;
use venue::{market, stream};

/// As the gateway does.
const ASYNC: Durability = Durability::Async { sync_every: Duration::from_millis(10) };

fn main() {
    let tiny = std::env::var("RINGSIDE_BENCH").is_ok_and(|size| size == "tiny");
    let full = !tiny && std::env::args().any(|arg| arg == "--bench");
    let rows = Rows {
        commands: if full { 1_000_000 } else { 2_000 },
        rounds: if full { 5 } else { 1 },
        wanted: wanted(),
        expected: None,
        directory: disk::directory("pipeline"),
    };
    println!("seed {SEED}, {} commands{}", rows.commands, if full { "" } else { ", tiny" });
    println!("run                  commands/s        ns/command     cpu  reports/command   live  checksum");
    println!("                   best   middle      best  middle    best");
    let (many, directory) = (|accounts: u32| if full { accounts } else { 1000 }, rows.directory.clone());
    disk::bare(&directory, if full { 2_000 } else { 2 });
    rows.measure(many);
    std::fs::remove_dir_all(directory).expect("what was made can be removed");
}

/// What is no option and no option's value.
fn wanted() -> String {
    let mut before = String::new();
    let is_name = |arg: &String| {
        let is_value = std::mem::replace(&mut before, arg.clone()) == "--dir";
        !is_value && !arg.starts_with('-')
    };
    std::env::args().skip(1).find(is_name).unwrap_or_default()
}

/// The table.
struct Rows {
    commands: usize,
    rounds: usize,
    /// Part of the names of the rows that are measured.
    wanted: String,
    /// The checksum of all rows that must agree.
    expected: Option<u64>,
    /// For journals.
    directory: PathBuf,
}

/// How a row runs.
#[derive(Clone, Copy)]
enum How {
    Inline,
    Threads(Sinks),
    /// With feeds, and the logs in a journal.
    Durable(Durability),
}

impl Rows {
    fn measure(mut self, many: impl Fn(u32) -> u32) {
        use How::{Durable, Inline, Threads};
        let (fed, bare) = (Threads(Sinks::Feeds), Threads(Sinks::None));
        let mix = Mix { commands: self.commands, accounts: 100, life: 2_000.0, tickets: false };
        self.row("inline, no feed", shape(1, 1), Inline, mix);
        self.row("1×1, no feed", shape(1, 1), bare, mix);
        for (sequencers, matchers) in [(1, 1), (2, 1), (1, 2), (2, 2)] {
            let (shape, name) = (shape(sequencers, matchers), format!("{sequencers}×{matchers}"));
            self.row_and_open_loop(&name, shape, fed, mix);
            self.row_and_open_loop(&format!("{name}, fsync"), shape, Durable(Durability::Fsync), mix);
            self.row_and_open_loop(&format!("{name}, async"), shape, Durable(ASYNC), mix);
        }
        self.across_snapshots(Mix { life: 50_000.0, accounts: 10_000, ..mix });
        self.row("2×1, in order", shape(2, 1), fed, Mix { tickets: true, ..mix });
        for accounts in [10_000, 100_000, 1_000_000].map(many) {
            let name = format!("1×1, {accounts} accounts");
            self.row(&name, shape(1, 1), fed, Mix { accounts, ..mix });
        }
        for life in [20_000.0, 200_000.0] {
            self.row(&format!("1×1, rest {life}"), shape(1, 1), fed, Mix { life, ..mix });
        }
        // Last: this thread keeps its core.
        self.row_and_open_loop("1×1, tied", shape(1, 1), Threads(Sinks::FeedsTied), mix);
    }

    fn row_and_open_loop(&mut self, name: &str, shape: Shape, how: How, mix: Mix) {
        let Some(best) = self.row(name, shape, how, mix) else { return };
        let (sinks, logs) = match how {
            How::Inline => return,
            How::Threads(sinks) => (sinks, Logs::Memory),
            How::Durable(durability) => (Sinks::Feeds, Logs::Disk(&self.directory, durability)),
        };
        open_loop(shape, sinks, logs, &stream(mix), 0.5e9 / best);
    }

    /// Does trading pause while a snapshot is written? Many orders rest, so that there is something to be written.
    fn across_snapshots(&self, mix: Mix) {
        let name = "1×1, snapshots";
        if !name.contains(&self.wanted) {
            return;
        }
        println!("{name}");
        let (rate, every) = (100_000.0, 64 * self.commands as u64 / 8);
        across_snapshots(shape(1, 1), &self.directory, &stream(mix), rate, every);
    }

    /// Measures and prints, if the row is wanted. Returns the nanoseconds a command takes at best.
    fn row(&mut self, name: &str, shape: Shape, how: How, mix: Mix) -> Option<f64> {
        if !name.contains(&self.wanted) {
            return None;
        }
        let stream = stream(mix);
        let (mut times, mut cpu) = (Vec::new(), Vec::new());
        let (mut reports, mut live, mut checksum, mut disk) = (0, 0, 0, String::new());
        let each = |time: Duration| time.as_nanos() as f64 / mix.commands as f64;
        for _ in 0..self.rounds {
            let shards = pipeline::build(shape, &market());
            let run: Run = match how {
                How::Inline => inline(shards, &stream),
                How::Threads(sinks) => on_threads(shards, &stream, sinks, Logs::Memory),
                How::Durable(durability) => {
                    on_threads(shards, &stream, Sinks::Feeds, Logs::Disk(&self.directory, durability))
                }
            };
            run.shards.check();
            (reports, live, checksum) = (run.reports, live_orders(&run.shards), checksum_of(&run.shards));
            disk = described(run.written, run.time, mix.commands);
            times.push(each(run.time));
            cpu.push(each(run.cpu));
        }
        if (mix.accounts, mix.life) == (100, 2_000.0) && (mix.tickets || shape.sequencers == 1) {
            assert_eq!(*self.expected.get_or_insert(checksum), checksum, "the runs differ");
        }
        times.sort_by(f64::total_cmp);
        cpu.sort_by(f64::total_cmp);
        let (best, middle, cpu) = (times[0], times[times.len() / 2], cpu[0]);
        println!(
            "{name:<17}{:>8.0} {:>8.0}   {best:>7.0} {middle:>7.0} {cpu:>7.0}    {:>9.2} {live:>9}  {checksum:016x}{disk}",
            1e9 / best,
            1e9 / middle,
            reports as f64 / mix.commands as f64
        );
        Some(best)
    }
}

/// What a run wrote, if anything.
fn described(written: Written, time: Duration, commands: usize) -> String {
    let Written { records, bytes, syncs } = written;
    if records == 0 {
        return String::new();
    }
    let (seconds, each_sync) = (time.as_secs_f64(), |count: u64| count as f64 / syncs.max(1) as f64);
    format!(
        "\n  the last round wrote {:.1} bytes a command; {:.0} syncs/s, of {:.1} records and {:.1} KB each",
        bytes as f64 / commands as f64,
        syncs as f64 / seconds,
        each_sync(records),
        each_sync(bytes) / 1e3,
    )
}

fn shape(sequencers: usize, matchers: usize) -> Shape {
    Shape { sequencers, matchers, log_entries_max: 0 }
}

fn live_orders(shards: &AtRest) -> usize {
    let machines = || shards.sequencers.iter().map(|shard| &shard.machine);
    machines()
        .map(|machine| machine.accounts().map(|account| machine.open_orders(account)).sum::<usize>())
        .sum()
}

fn checksum_of(shards: &AtRest) -> u64 {
    let mut counters: Vec<_> = shards.matchers.iter().flat_map(|shard| shard.machine.counters()).collect();
    counters.sort_by_key(|(symbol, _)| *symbol);
    let hashes = counters.iter().map(|(_, counters)| counters.event_hash);
    let balances = shards.balances();
    let amounts = balances.iter().flat_map(|(_, _, available, held)| [available.0 as u64, held.0 as u64]);
    hashes
        .chain(amounts)
        .fold(0, |sum: u64, word| (sum.rotate_left(5) ^ word).wrapping_mul(0x517C_C1B7_2722_0A95))
}

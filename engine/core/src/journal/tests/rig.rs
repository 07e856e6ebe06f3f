//! A journal whose threads' steps are taken by hand, and the truth about what it was given.

use super::super::positions::{Positions, ShardId, Shards};
use super::super::running::Parts;
use super::super::storage::SimulatedDisk;
use super::super::writer::Stuck;
use super::super::*;
use super::commands;
use crate::log::{Entry, ShardLog};
use crate::message::Input;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

pub const SHARDS: Shards = Shards { sequencers: 2, matchers: 1 };
/// Room for some twenty entries, so that a short run has several segments.
pub const SEGMENT_BYTES: u64 = 4096;

/// One entry as text: what is compared.
pub type Line = String;

/// Tiny segments, and room to stage a few records.
pub fn options() -> Options {
    Options { segment_bytes: SEGMENT_BYTES, staging_bytes: 1 << 16, ..Options::new(SHARDS) }
}

/// What was appended and what was reported, as a plain list.
#[derive(Clone)]
pub struct Truth {
    /// In order.
    pub lines: Vec<(ShardId, Line)>,
    /// The positions that were reported durable.
    pub durable: Positions,
    /// What `lines` had when the last batch was begun.
    pub before_last_batch: usize,
}

impl Truth {
    pub fn new() -> Self {
        Self { lines: Vec::new(), durable: Positions::zero(SHARDS), before_last_batch: 0 }
    }

    /// Checks what came back: a beginning of what was appended, with everything that was reported.
    pub fn check(&self, back: &[(ShardId, Line)]) {
        assert!(
            back.len() <= self.lines.len(),
            "{} entries came out of nothing",
            back.len() - self.lines.len()
        );
        for (at, (back, put)) in back.iter().zip(&self.lines).enumerate() {
            assert_eq!(back, put, "entry {at} is not what was appended");
        }
        for (shard, durable) in self.durable.iter() {
            let came = back.iter().filter(|(of, _)| *of == shard).count() as u64;
            assert!(came >= durable, "{shard}: {durable} entries were reported durable, {came} came back");
        }
    }
}

/// A journal that is stepped.
pub struct Rig {
    pub parts: Parts,
    pub truth: Truth,
    sequencers: Vec<JournalLog<Input>>,
    matcher: JournalLog<Infallible>,
    /// What the failure callback was told.
    pub failures: Arc<Mutex<Vec<String>>>,
}

impl Rig {
    /// Opens what is on the disk, and checks it against `truth`, which it then cuts to what came back.
    pub fn open(disk: &SimulatedDisk, mut truth: Truth) -> Result<Rig, JournalError> {
        let mut recovery = Recovery::open(Arc::new(disk.clone()), options())?;
        let back = read_all(&mut recovery)?;
        truth.check(&back);
        truth.lines.truncate(back.len());
        let failures = Arc::new(Mutex::new(Vec::new()));
        let heard = failures.clone();
        let parts = recovery.into_parts(Box::new(move |error: &JournalError| {
            heard.lock().unwrap().push(error.to_string())
        }))?;
        let watch =
            Watch { storage: parts.storage.clone(), journal: parts.journal, shared: parts.shared.clone() };
        let most = parts.record_bytes_max;
        // What came back counts as durable from now on.
        truth.durable = parts.shared.positions();
        let sequencers =
            (0..2).map(|i| JournalLog::new(watch.clone(), most, ShardId::Sequencer(i))).collect();
        let matcher = JournalLog::new(watch, most, ShardId::Matcher(0));
        Ok(Rig { parts, truth, sequencers, matcher, failures })
    }

    /// Appends a batch, of the shard of that place.
    pub fn append(&mut self, place: usize, batch: &[Entry<Input>]) {
        let shard = match place {
            0 | 1 => {
                self.sequencers[place].append(batch);
                ShardId::Sequencer(place as u16)
            }
            _ => {
                let entries: Vec<Entry<Infallible>> = batch.iter().map(as_matchers).collect();
                self.matcher.append(&entries);
                ShardId::Matcher(0)
            }
        };
        let lines = batch.iter().map(|entry| match shard {
            ShardId::Sequencer(_) => (shard, format!("{entry:?}")),
            ShardId::Matcher(_) => (shard, format!("{:?}", as_matchers(entry))),
        });
        self.truth.lines.extend(lines);
    }

    /// Appends a batch that is drawn.
    pub fn append_some(&mut self, random: &mut ChaCha8Rng) {
        let batch: Vec<_> = (0..random.random_range(1..8)).map(|_| commands::entry(random)).collect();
        self.append(random.random_range(0..3), &batch);
    }

    /// What the writer's thread does with one batch.
    pub fn step(&mut self) -> Result<(), Stuck> {
        let writer = &mut self.parts.writer;
        if writer.batch.is_empty() {
            self.parts.shared.take(&mut writer.batch, Some(Duration::ZERO));
        }
        let stepped = writer.step();
        let durable = self.parts.shared.positions();
        if durable != self.truth.durable {
            self.truth.durable = durable;
        }
        stepped
    }

    /// What the other thread does. Returns whether there was space.
    pub fn prepare(&mut self) -> Result<bool, JournalError> {
        match self.parts.writer.spares.needed() {
            Some(number) => self.parts.preparer.prepare(number),
            None => Ok(true),
        }
    }

    /// Appends drawn batches and writes them, until done or the disk is gone. Returns whether it was done.
    pub fn run(&mut self, random: &mut ChaCha8Rng, batches: usize) -> bool {
        for _ in 0..batches {
            self.truth.before_last_batch = self.truth.lines.len();
            for _ in 0..random.random_range(1..4) {
                self.append_some(random);
            }
            loop {
                if self.prepare().is_err() {
                    return false;
                }
                match self.step() {
                    Ok(()) => break,
                    Err(Stuck::NoSpare | Stuck::NoSpace) => {}
                    Err(Stuck::Failed(_)) => return false,
                }
            }
        }
        true
    }
}

fn as_matchers(entry: &Entry<Input>) -> Entry<Infallible> {
    match *entry {
        Entry::Input(_) => Entry::Received { from: 0, count: 1 },
        Entry::Received { from, count } => Entry::Received { from, count },
    }
}

/// Everything that is still to be read.
pub fn read_all(recovery: &mut Recovery) -> Result<Vec<(ShardId, Line)>, JournalError> {
    let mut back = Vec::new();
    let mut positions = recovery.positions().clone();
    while let Some(record) = recovery.next_record()? {
        for logged in record.entries() {
            let logged = logged?;
            assert_eq!(logged.position, positions.of(logged.shard), "positions are dense");
            *positions.of_mut(logged.shard) += 1;
            back.push((logged.shard, format!("{:?}", logged.entry)));
        }
    }
    Ok(back)
}

/// Reads a journal that must be good.
pub fn read_disk(disk: &SimulatedDisk) -> Vec<(ShardId, Line)> {
    let mut recovery = Recovery::open(Arc::new(disk.clone()), options()).unwrap();
    read_all(&mut recovery).unwrap()
}

/// A fresh disk, and a journal on it that has taken so many batches.
pub fn recorded(seed: u64, batches: usize) -> (SimulatedDisk, Truth) {
    let disk = SimulatedDisk::new(seed);
    let mut rig = Rig::open(&disk, Truth::new()).unwrap();
    assert!(rig.run(&mut ChaCha8Rng::seed_from_u64(seed), batches));
    let truth = rig.truth.clone();
    drop(rig);
    (disk, truth)
}

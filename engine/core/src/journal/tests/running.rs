//! The journal with its threads. Nothing here depends on time: every wait is for a fact.

use super::super::storage::{SimulatedDisk, Storage, Survival};
use super::super::*;
use super::commands;
use super::rig::*;
use crate::bell::Bell;
use crate::log::{Entry, Position, ShardLog};
use crate::message::Input;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

fn start(disk: &SimulatedDisk, options: Options) -> (Journal, Arc<Mutex<Vec<String>>>) {
    let failures = Arc::new(Mutex::new(Vec::new()));
    let heard = failures.clone();
    let recovery = Recovery::open(Arc::new(disk.clone()), options).unwrap();
    let on_failure = Box::new(move |error: &JournalError| heard.lock().unwrap().push(error.to_string()));
    (recovery.start(on_failure).unwrap(), failures)
}

/// A bell that is heard in another way than by waking.
struct Ringing(Mutex<Sender<()>>);

impl Bell for Ringing {
    fn ring(&self) {
        // Who has heard enough may be gone.
        let _ = self.0.lock().unwrap().send(());
    }
}

fn wait_until(mut fact: impl FnMut() -> bool) {
    while !fact() {
        std::thread::yield_now();
    }
}

fn entries(seed: u64, count: usize) -> Vec<Entry<Input>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| commands::entry(&mut random)).collect()
}

/// Of one shard, as text.
fn lines_of(all: &[(ShardId, Line)], shard: ShardId) -> Vec<&str> {
    all.iter().filter(|(of, _)| *of == shard).map(|(_, line)| line.as_str()).collect()
}

#[test]
fn three_shards_append_at_once_and_a_reader_follows() {
    for durability in [Durability::Fsync, Durability::Async { sync_every: Duration::from_millis(1) }] {
        let disk = SimulatedDisk::new(1);
        // A staging buffer of one record: shards wait for room.
        let (journal, _) = start(&disk, Options { durability, staging_bytes: 4096, ..options() });
        let mut reader = journal.watch().reader(&Positions::zero(SHARDS)).unwrap();
        let all: [Vec<Entry<Input>>; 2] = [entries(1, 3000), entries(2, 3000)];
        let (one, other, matcher) =
            (journal.sequencer_log(0), journal.sequencer_log(1), journal.matcher_log(0));
        let mut back = Vec::new();
        std::thread::scope(|scope| {
            for (mut log, entries) in [(one, &all[0]), (other, &all[1])] {
                scope.spawn(move || entries.chunks(7).for_each(|batch| _ = log.append(batch)));
            }
            let mut log = matcher;
            scope.spawn(move || {
                (0..1000).for_each(|count| _ = log.append(&[Entry::Received { from: 1, count }]));
            });
            while back.len() < 7000 {
                let durable = journal.watch().positions();
                while let Some(record) = reader.next_record().unwrap() {
                    back.extend(record.entries().map(|logged| {
                        let logged = logged.unwrap();
                        (logged.shard, format!("{:?}", logged.entry))
                    }));
                }
                assert!(durable.all_within(reader.positions()), "what is durable can be read");
                std::thread::yield_now();
            }
        });
        for (i, entries) in all.iter().enumerate() {
            let expected: Vec<_> = entries.iter().map(|entry| format!("{entry:?}")).collect();
            assert_eq!(lines_of(&back, ShardId::Sequencer(i as u16)), expected);
        }
        journal.close().unwrap();
        disk.restart(Survival::Nothing);
        assert_eq!(read_disk(&disk), back, "closing has synced everything");
    }
}

#[test]
fn a_shard_is_rung_when_its_position_moves() {
    let disk = SimulatedDisk::new(1);
    let (journal, _) = start(&disk, options());
    let (ring, rung) = channel();
    let mut log = journal.sequencer_log(1);
    log.ring_when_durable(Arc::new(Ringing(Mutex::new(ring))));
    for batch in entries(1, 100).chunks(10) {
        let position = log.append(batch);
        while log.durable() < position {
            rung.recv().expect("the bell is there as long as the log");
        }
    }
}

#[test]
fn a_log_reads_itself_and_forgets() {
    let disk = SimulatedDisk::new(1);
    let (journal, _) = start(&disk, options());
    let (mut one, mut other) = (journal.sequencer_log(0), journal.sequencer_log(1));
    let mut matcher = journal.matcher_log(0);
    let entries = entries(1, 400);
    for batch in entries.chunks(10) {
        one.append(batch);
        other.append(&batch[..1]);
    }
    wait_until(|| one.durable() == 400 && other.durable() == 40);
    let read = |log: &JournalLog<Input>, from: Position| {
        let mut lines = Vec::new();
        log.read(from, &mut |entry| lines.push(format!("{entry:?}"))).map(|()| lines)
    };
    let expected: Vec<_> = entries.iter().map(|entry| format!("{entry:?}")).collect();
    assert_eq!(read(&one, 0).unwrap(), expected);
    assert_eq!(read(&one, 395).unwrap(), expected[395..]);

    let before = disk.list().unwrap().len();
    one.truncate(400);
    assert_eq!(disk.list().unwrap().len(), before, "the others need it all");
    other.truncate(20);
    matcher.truncate(0);
    let first = journal.watch().first();
    assert!(first.sequencers[1] > 0 && first.sequencers[1] <= 20, "{first:?}");
    assert_eq!(read(&one, 0), Err(first.sequencers[0]));
    assert_eq!(read(&one, first.sequencers[0]).unwrap(), expected[first.sequencers[0] as usize..]);
    assert!(matches!(journal.watch().reader(&Positions::zero(SHARDS)), Err(JournalError::Truncated { .. })));

    journal.watch().truncate_before(&Positions { sequencers: vec![400, 40], matchers: vec![0] }).unwrap();
    assert_eq!(journal.watch().segments().len(), 1, "the one that is written stays");
    journal.close().unwrap();
    disk.restart(Survival::Some);
    let recovery = Recovery::open(Arc::new(disk), options()).unwrap();
    assert!(recovery.first().sequencers[0] > first.sequencers[0]);
}

#[test]
fn recovery_begins_where_a_snapshot_ends() {
    let (disk, truth) = recorded(9, 40);
    for step in 0..10 {
        let mut recovery = Recovery::open(Arc::new(disk.clone()), options()).unwrap();
        let from = Positions {
            sequencers: truth.durable.sequencers.iter().map(|position| position * step / 10).collect(),
            matchers: truth.durable.matchers.iter().map(|position| position * step / 10).collect(),
        };
        recovery.begin_at(&from).unwrap();
        let mut positions = from.clone();
        while let Some(record) = recovery.next_record().unwrap() {
            for logged in record.entries() {
                let logged = logged.unwrap();
                assert_eq!(logged.position, positions.of(logged.shard));
                *positions.of_mut(logged.shard) += 1;
                let shard = logged.shard;
                let expected = lines_of(&truth.lines, shard)[logged.position as usize];
                assert_eq!(format!("{:?}", logged.entry), expected);
            }
        }
        assert_eq!(positions, truth.durable);
        let (read, all) = recovery.progress();
        assert!(read <= all);
    }
}

#[test]
fn a_failed_sync_stops_the_journal() {
    let disk = SimulatedDisk::new(1);
    let (journal, failures) = start(&disk, options());
    let watch = journal.watch();
    let mut log = journal.sequencer_log(0);
    let entries = entries(1, 20);
    let first = log.append(&entries[..10]);
    wait_until(|| log.durable() == first);
    disk.fail_sync_at(0);
    log.append(&entries[10..]);
    wait_until(|| watch.condition() == Condition::Failed && !failures.lock().unwrap().is_empty());
    // The sync that failed may have been that of the next segment; then the second batch may be durable, or not.
    let last = log.durable();
    // The disk would take the next ones, but nothing is durable any more, and nobody waits for it.
    for _ in 0..100 {
        log.append(&entries);
    }
    assert_eq!(log.durable(), last);
    let _ = journal.close();
    assert_eq!(log.durable(), last);
    let failures = failures.lock().unwrap();
    assert_eq!(failures.len(), 1, "it is told once: {failures:?}");
    assert!(failures[0].starts_with("cannot sync"), "{failures:?}");
}

#[test]
fn appending_waits_for_space_and_goes_on() {
    let disk = SimulatedDisk::new(1);
    let options = Options { retry: Duration::from_micros(100), staging_bytes: 4096, ..options() };
    let (journal, failures) = start(&disk, options);
    let watch = journal.watch();
    wait_until(|| disk.list().unwrap().len() == 3); // the identity, a segment and a spare
    disk.set_capacity(disk.used());
    let entries = entries(1, 3000);
    let mut log = journal.sequencer_log(0);
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| {
            entries.chunks(5).for_each(|batch| _ = log.append(batch));
            log.durable()
        });
        wait_until(|| watch.condition() == Condition::Full);
        assert!(!appending.is_finished(), "it waits");
        disk.set_capacity(u64::MAX);
    });
    wait_until(|| log.durable() == 3000);
    assert_eq!(watch.condition(), Condition::Good);
    assert!(failures.lock().unwrap().is_empty());
    journal.close().unwrap();
    let expected: Vec<_> = entries.iter().map(|entry| format!("{entry:?}")).collect();
    assert_eq!(lines_of(&read_disk(&disk), ShardId::Sequencer(0)), expected);
}

#[test]
fn written_is_durable_without_a_sync_when_asked_for() {
    let disk = SimulatedDisk::new(1);
    let never = Durability::Async { sync_every: Duration::from_secs(3600) };
    let (journal, _) = start(&disk, Options { durability: never, ..options() });
    let mut log = journal.sequencer_log(0);
    let position = log.append(&entries(1, 5));
    wait_until(|| log.durable() == position);
    assert_eq!(journal.watch().counters().syncs.get(), 0);
    // The process is killed, the machine goes on.
    disk.crash();
    disk.restart(Survival::Everything);
    drop(journal);
    assert_eq!(read_disk(&disk).len(), 5);
}

//! Shards lose everything but their logs, and are built again.
//!
//! One shard alone is given its log and, from its peers, everything they ever sent it; what it puts out on the way
//! must be what the lost one had put out, number by number. Where all are lost nothing else is left, so they make
//! each other's messages again ([`pipeline::rebuild`]). In both cases the rebuilt state is the lost one, and since
//! nobody remembers how far links had been carried, they begin again somewhere before that.

use super::world::{Logged, World, empty_shards};
use engine_core::executor::shadow::Shadow;
use engine_core::executor::{AtRest, MatcherShard, SequencerLog, SequencerShard};
use engine_core::log::{Entry, MemoryLog, ShardLog};
use engine_core::message::{Input, Route};
use engine_core::pipeline;
use engine_core::state::{StateError, StateReader, StateWriter};
use rand::RngExt;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;

pub fn of_one_shard(world: &mut World) {
    let (n, m) = (world.plan.sequencers, world.plan.matchers);
    match world.random.random_range(0..n + m) {
        shard if shard < n => sequencer(world, shard),
        shard => matcher(world, shard - n),
    }
}

fn sequencer(world: &mut World, i: usize) {
    let (n, m) = (world.plan.sequencers, world.plan.matchers);
    let SequencerShard { mut machine, mut out, .. } = empty_shards(&world.plan).sequencers.swap_remove(i);
    let mut carried = vec![0; m];
    for entry in entries(&*world.shards.sequencers[i].log) {
        match entry {
            Entry::Input(input) => machine.input(&input, &mut out),
            Entry::Received { from, count } => {
                let from = from as usize;
                let sent = &world.settlements[from * n + i].sent()[carried[from]..];
                for message in &sent[..count as usize] {
                    machine.settle(from, message, &mut out).expect("the log fits the link");
                }
                carried[from] += count as usize;
            }
        }
    }
    for (to, link) in world.orders[i * m..][..m].iter_mut().enumerate() {
        let again: Vec<_> =
            out.to_matchers.iter().filter(|(at, _)| *at == to).map(|(_, again)| again).collect();
        same("messages of a rebuilt sequencer", again, link.sent());
    }
    same("reports of a rebuilt sequencer", &out.reports, &world.reports[i]);
    let before = world.shards.state_hash();
    world.shards.sequencers[i].machine = machine;
    assert_eq!(world.shards.state_hash(), before, "a rebuilt sequencer");
    rewind(world, |sequencer, _| sequencer == i);
}

fn matcher(world: &mut World, j: usize) {
    let (n, m) = (world.plan.sequencers, world.plan.matchers);
    let MatcherShard { mut machine, mut out, .. } = empty_shards(&world.plan).matchers.swap_remove(j);
    let mut carried = vec![0; n];
    for entry in entries(&*world.shards.matchers[j].log) {
        let Entry::Received { from, count } = entry;
        let from = from as usize;
        let sent = &world.orders[from * m + j].sent()[carried[from]..];
        for message in &sent[..count as usize] {
            machine.apply(from, message, &mut out).expect("the log fits the link");
        }
        carried[from] += count as usize;
    }
    for (to, link) in world.settlements[j * n..][..n].iter_mut().enumerate() {
        let again: Vec<_> =
            out.to_sequencers.iter().filter(|(at, _)| *at == to).map(|(_, again)| again).collect();
        same("messages of a rebuilt matcher", again, link.sent());
    }
    assert_eq!(out.market, world.market_events[j], "market events of a rebuilt matcher");
    let before = world.shards.state_hash();
    world.shards.matchers[j].machine = machine;
    assert_eq!(world.shards.state_hash(), before, "a rebuilt matcher");
    rewind(world, |_, matcher| matcher == j);
}

pub fn of_all(world: &mut World) {
    let rebuilt = pipeline::rebuild(&world.shards, empty_shards(&world.plan));
    let lost = std::mem::replace(&mut world.shards, rebuilt);
    assert_eq!(world.shards.state_hash(), lost.state_hash(), "what was rebuilt together");
    for (again, lost) in world.shards.sequencers.iter().zip(&lost.sequencers) {
        same("the log of a rebuilt sequencer", entries(&*again.log), entries(&*lost.log));
    }
    rewind(world, |_, _| true);
}

/// All shards are written down and read again, in the middle of everything, and go on as what was read: which is what a
/// restart does with a snapshot.
pub fn to_a_snapshot(world: &mut World) {
    let (n, m) = (world.plan.sequencers, world.plan.matchers);
    let lost = std::mem::replace(&mut world.shards, empty_shards(&world.plan));
    let hash = lost.state_hash();
    let (sequencers, sequencer_logs): (Vec<_>, Vec<_>) = lost.sequencers.into_iter().map(apart).unzip();
    let (matchers, matcher_logs): (Vec<_>, Vec<_>) = lost
        .matchers
        .into_iter()
        .map(|MatcherShard { machine, log, out }| {
            (MatcherShard { machine, log: Box::new(MemoryLog::new(0)), out }, log)
        })
        .unzip();
    let shadow = Shadow::new(AtRest { sequencers, matchers });
    let mut parts = VecDeque::new();
    let mut sink = |part: &[u8]| {
        parts.push_back(part.to_vec());
        Ok::<_, StateError>(())
    };
    assert_eq!(shadow.write(&mut StateWriter::new(&mut sink)), Ok(hash));
    let mut source =
        |part: &mut Vec<u8>| Ok::<_, StateError>(parts.pop_front().map(|next| *part = next).is_some());
    let (again, read) = Shadow::read((n, m), &mut StateReader::new(&mut source)).expect("it was written");
    assert_eq!((read, again.state_hash()), (hash, hash), "what is read is what was written");
    world.shards = again.into_shards((sequencer_logs, matcher_logs));
    rewind(world, |_, _| true);
}

fn apart(shard: SequencerShard) -> (SequencerShard, Box<SequencerLog>) {
    let SequencerShard { machine, log, out } = shard;
    (SequencerShard { machine, log: Box::new(MemoryLog::new(0)), out }, log)
}

/// The power fails, and of what all logs say together only some beginning is on the disk. Another world begins from
/// that: it does what is logged, carries what is on the way then, and must be as whole at rest as one to which nothing
/// happened.
///
/// A command for all sequencers may be cut in the middle. Nobody was told that it was done, so it is said again to
/// those that have not got it.
pub fn of_the_power(world: &mut World) {
    world.seen.power_losses += 1;
    let saved = world.random.random_range(0..=world.journal.len());
    let mut after = World::new(world.seed);
    after.close();
    after.replay(&world.journal[..saved]);
    let mut cut: BTreeMap<u32, (Input, Vec<usize>)> = BTreeMap::new();
    for logged in &world.journal[..saved] {
        if let Logged::Input { sequencer, input } = *logged
            && input.command.route(world.plan.sequencers) == Route::All
        {
            cut.entry(input.origin.request).or_insert((input, Vec::new())).1.push(sequencer);
        }
    }
    for (input, has) in cut.into_values() {
        for missing in (0..world.plan.sequencers).filter(|sequencer| !has.contains(sequencer)) {
            after.arrive_late(missing, input);
        }
    }
    after.come_to_rest();
}

/// The links of a shard that was lost send some of what they had carried, or all of it, once more.
fn rewind(world: &mut World, is_lost: impl Fn(usize, usize) -> bool) {
    let (n, m) = (world.plan.sequencers, world.plan.matchers);
    for (i, j) in (0..n).flat_map(|i| (0..m).map(move |j| (i, j))).filter(|(i, j)| is_lost(*i, *j)) {
        for _ in 0..2 {
            let all = world.random.random_bool(0.5);
            let count = if all { usize::MAX } else { world.random.random_range(0..10) };
            match world.random.random_bool(0.5) {
                true => world.orders[i * m + j].send_again(count),
                false => world.settlements[j * n + i].send_again(count),
            }
        }
    }
}

fn entries<I: Copy>(log: &dyn ShardLog<I>) -> Vec<Entry<I>> {
    let mut entries = Vec::new();
    log.read(0, &mut |entry| entries.push(*entry)).expect("nothing was truncated");
    entries
}

/// Most of what travels cannot be compared, but all of it can be written down.
fn same(what: &str, again: impl Debug, lost: impl Debug) {
    let (again, lost) = (format!("{again:?}"), format!("{lost:?}"));
    if again != lost {
        let at = again.bytes().zip(lost.bytes()).take_while(|(a, b)| a == b).count().saturating_sub(200);
        let from = |text: &str| text.chars().skip(at).take(400).collect::<String>();
        panic!("{what} differs from the lost one\nrebuilt: …{}\nlost:    …{}", from(&again), from(&lost));
    }
}

//! Snapshots of a real engine on a disk that crashes, tears and flips: what comes back is a state that the engine was in,
//! with everything that was durable, and the same as that of a twin to which nothing happened.

use super::super::storage::{SimulatedDisk, Storage, Survival};
use super::super::writer::Stuck;
use super::super::*;
use super::rig::SEGMENT_BYTES;
use crate::executor::AtRest;
use crate::executor::follower::{Follower, RecoveryError};
use crate::executor::inline::Inline;
use crate::executor::verify::verify;
use crate::instrument::{InstrumentSpec, Market};
use crate::message::*;
use crate::pipeline::{self, Recovered, Shape};
use crate::state::StateHash;
use crate::units::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// One matcher, so that what an input sets off reaches every sequencer in one order, also when it arrives in another life.
const SHAPE: Shape = Shape { sequencers: 2, matchers: 1, log_entries_max: 0 };
const SHARDS: Shards = Shards { sequencers: 2, matchers: 1 };
const ACCOUNTS: u32 = 4;
const INPUTS: usize = 60;
/// Inputs between two snapshots.
const SNAPSHOT_EVERY: usize = 12;
const SEEDS: std::ops::Range<u64> = 0..4;

fn options() -> Options {
    Options { segment_bytes: SEGMENT_BYTES, staging_bytes: 1 << 16, ..Options::new(SHARDS) }
}

fn fresh() -> AtRest {
    let mut market = Market::default();
    market.add_asset("BTC", 8).unwrap();
    market.add_asset("USDT", 6).unwrap();
    let (symbol, base, quote, tick, lot) = ("BTC-USDT", "BTC", "USDT", "0.01", "0.0001");
    market.add_instrument(&InstrumentSpec { symbol, base, quote, tick, lot, min_notional: "0" }).unwrap();
    pipeline::build(SHAPE, &Arc::new(market))
}

/// What is asked in a run: accounts with money, then orders that meet, rest, wait for a trigger, hide and leave.
fn inputs(seed: u64) -> Vec<Input> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let opened = (0..ACCOUNTS).map(AccountId).flat_map(|account| {
        let deposit =
            move |asset| Command::Deposit { account, asset: AssetId(asset), amount: Amount(1 << 60) };
        [Command::Open { account, name: None }, deposit(0), deposit(1)]
    });
    let mut commands: Vec<Command> = opened.collect();
    commands.extend((0..INPUTS).map(|_| command(&mut random)));
    let input = |(at, command)| Input { origin: Origin::default(), at: Timestamp(at), ticket: 0, command };
    with_timers((1..).zip(commands).map(input))
}

/// With the timers that run out as inputs of their own, which they are to the log.
fn with_timers(asked: impl Iterator<Item = Input>) -> Vec<Input> {
    let mut engine = Inline::new(fresh());
    let mut inputs = Vec::new();
    for input in asked {
        let due = |engine: &Inline| {
            engine.at_rest().sequencers.iter().find_map(|shard| shard.machine.overdue(input.at))
        };
        while let Some(due) = due(&engine) {
            engine.apply(&due, &mut |_: &Report| {}, &mut ());
            inputs.push(due);
        }
        engine.apply(&input, &mut |_: &Report| {}, &mut ());
        inputs.push(input);
    }
    inputs
}

fn command(random: &mut ChaCha8Rng) -> Command {
    let (account, symbol) = (AccountId(random.random_range(0..ACCOUNTS)), SymbolId(0));
    let order_id = ClientOrderId::new(&format!("o{}", random.random_range(0..INPUTS))).unwrap();
    let side = if random.random() { Side::Buy } else { Side::Sell };
    let price = Price(random.random_range(100..106));
    let plain = Submit::limit(account, symbol, order_id, side, price, Quantity(random.random_range(1..20)));
    match random.random_range(0..10) {
        0 => Command::Cancel { account, symbol, order_id },
        1 => Command::Submit(Submit { terms: Terms::Stop { trigger: Price(103) }, ..plain }),
        2 => Command::Submit(Submit {
            quantity: Quantity(20),
            terms: Terms::Iceberg { display: Quantity(3) },
            ..plain
        }),
        3 => Command::CancelAllAfter { account, timeout_us: random.random_range(0..20) },
        4 => {
            let fees = Fees { maker: random.random_range(-10..10), taker: 20 };
            Command::SetFees { symbol, tier: 0, fees }
        }
        _ => Command::Submit(plain),
    }
}

/// An engine in one thread whose logs are in a journal that is stepped by hand.
struct Run {
    engine: Inline,
    parts: running::Parts,
    follower: Follower,
}

impl Run {
    fn open(disk: &SimulatedDisk) -> Result<Run, JournalError> {
        let mut parts = Recovery::open(Arc::new(disk.clone()), options())?.into_parts(Box::new(|_| {}))?;
        let watch = parts.watch();
        let mut shards = fresh();
        for (i, shard) in shards.sequencers.iter_mut().enumerate() {
            let id = ShardId::Sequencer(i as u16);
            shard.log = Box::new(JournalLog::new(watch.clone(), parts.record_bytes_max, id));
        }
        shards.matchers[0].log =
            Box::new(JournalLog::new(watch.clone(), parts.record_bytes_max, ShardId::Matcher(0)));
        parts.writer.retry = std::time::Duration::ZERO;
        let follower = Follower::begin(&watch, fresh(), None)?;
        Ok(Run { engine: Inline::new(shards), parts, follower })
    }

    /// Applies an input and makes it durable. `None` when the disk is gone.
    fn apply(&mut self, input: &Input) -> Option<()> {
        self.engine.apply(input, &mut |_: &Report| {}, &mut ());
        let writer = &mut self.parts.writer;
        self.parts.shared.take(&mut writer.batch, Some(std::time::Duration::ZERO));
        loop {
            if let Some(number) = writer.spares.needed() {
                self.parts.preparer.prepare(number).ok()?;
            }
            match writer.step() {
                Ok(()) => return Some(()),
                Err(Stuck::NoSpare | Stuck::NoSpace) => {}
                Err(Stuck::Failed(_)) => return None,
            }
        }
    }

    fn snapshot(&mut self) -> Option<Snapshot> {
        while self.follower.follow(&mut |_: &Report| {}, &mut ()).ok()?.is_some() {}
        assert_eq!(self.follower.shadow().state_hash(), self.engine.at_rest().state_hash(), "its shadow");
        self.follower.snapshot(None).ok()
    }
}

/// What a run has come to: the inputs that were made durable, by number, and the snapshots.
#[derive(Default)]
struct Done {
    durable: usize,
    snapshots: Vec<Snapshot>,
}

fn run_until(disk: &SimulatedDisk, seed: u64, point: u64) -> Done {
    disk.crash_at(point);
    let mut done = Done::default();
    let Ok(mut run) = Run::open(disk) else { return done };
    for (number, input) in inputs(seed).iter().enumerate() {
        if run.apply(input).is_none() {
            break;
        }
        done.durable = number + 1;
        if done.durable % SNAPSHOT_EVERY == 0 {
            match run.snapshot() {
                Some(snapshot) => done.snapshots.push(snapshot),
                None => break,
            }
        }
    }
    done
}

/// The state after each number of inputs, of an engine to which nothing happens.
fn twin(seed: u64) -> Vec<StateHash> {
    let mut engine = Inline::new(fresh());
    let mut hashes = vec![engine.at_rest().state_hash()];
    for input in inputs(seed) {
        engine.apply(&input, &mut |_: &Report| {}, &mut ());
        hashes.push(engine.at_rest().state_hash());
    }
    hashes
}

fn recover(disk: &SimulatedDisk) -> Result<Recovered, RecoveryError> {
    let recovery = Recovery::open(Arc::new(disk.clone()), options())?;
    pipeline::recover(recovery, fresh(), |_, _| {}, Box::new(|error: &JournalError| panic!("{error}")))
}

fn state_of(disk: &SimulatedDisk) -> StateHash {
    let Recovered { shards, journal, .. } = recover(disk).expect("a crash leaves nothing that is refused");
    let hash = shards.state_hash();
    drop(shards);
    journal.close().expect("everything is safe");
    hash
}

#[test]
fn a_crash_at_any_point_of_a_run_with_snapshots_leaves_a_state_of_its_twin() {
    for seed in SEEDS {
        let twin = twin(seed);
        let whole = SimulatedDisk::new(seed);
        let done = run_until(&whole, seed, u64::MAX);
        let points = whole.points();
        let inputs = twin.len() - 1;
        assert_eq!((done.durable, done.snapshots.len()), (inputs, inputs / SNAPSHOT_EVERY));
        println!("seed {seed}: {points} points, {} snapshots", done.snapshots.len());
        for point in 1..=points {
            for survival in [Survival::Nothing, Survival::Everything, Survival::Some] {
                let disk = SimulatedDisk::new(seed ^ point << 8);
                let done = run_until(&disk, seed, point);
                disk.restart(survival);
                let state = state_of(&disk);
                // What was being written when it crashed is wholly there or wholly absent.
                let most = (done.durable + 1).min(inputs);
                assert!(
                    twin[done.durable..=most].contains(&state),
                    "seed {seed}, point {point}, {survival:?}: {} inputs were durable",
                    done.durable
                );
                assert_eq!(state_of(&disk), state, "another restart changes nothing");
            }
        }
    }
}

/// A disk with a whole run on it, and the run's last state.
fn recorded(seed: u64) -> (SimulatedDisk, Vec<Snapshot>, StateHash) {
    let disk = SimulatedDisk::new(seed);
    let done = run_until(&disk, seed, u64::MAX);
    (disk, done.snapshots, *twin(seed).last().unwrap())
}

#[test]
fn any_snapshot_and_what_was_logged_since_say_the_same() {
    for seed in SEEDS {
        let (disk, snapshots, last) = recorded(seed);
        let [.., older, newest] = &snapshots[..] else { panic!("there are two") };
        let kept = Recovery::open(Arc::new(disk.clone()), options()).unwrap().snapshots().numbers().unwrap();
        assert_eq!(kept, [newest.number, older.number], "two are kept");
        let Recovered { shards, snapshot, journal, unreadable, .. } = recover(&disk).unwrap();
        assert_eq!((shards.state_hash(), snapshot.unwrap().number), (last, newest.number));
        assert!(unreadable.is_empty());
        assert!(journal.watch().first().sequencers[0] > 0, "what is before the older one is forgotten");
        drop((shards, journal));
        disk.take(&name(newest.number));
        let Recovered { shards, snapshot, .. } = recover(&disk).unwrap();
        assert_eq!((shards.state_hash(), snapshot.unwrap().number), (last, older.number));
    }
}

/// Where the journal's beginning is gone, one snapshot has to be believed.
#[test]
fn a_snapshot_that_is_begun_with_is_not_one_that_was_reached() {
    let (disk, snapshots, last) = recorded(6);
    let [.., older, newest] = &snapshots[..] else { panic!("there are two") };
    let recovery = Recovery::open(Arc::new(disk), options()).unwrap();
    let verified = verify(recovery, fresh(), |_, _| {}).expect("it is whole");
    assert_eq!(verified.begun.expect("the beginning is gone").number, older.number);
    let reached = verified.reached.iter().map(|(snapshot, hash)| (snapshot.number, *hash));
    assert!(reached.eq([(newest.number, newest.hash)]), "{:?}", verified.reached);
    assert_eq!(verified.shards.state_hash(), last);
}

#[test]
fn a_spoilt_snapshot_is_replaced_by_the_older_one() {
    let (disk, snapshots, last) = recorded(0);
    let [.., older, newest] = &snapshots[..] else { panic!("there are two") };
    for at in 0..newest.bytes {
        let disk = disk.copy();
        disk.flip_bit(&name(newest.number), (8 * at + at % 8) as usize);
        let Recovered { shards, snapshot, unreadable, .. } = recover(&disk).unwrap();
        assert_eq!((shards.state_hash(), snapshot.unwrap().number), (last, older.number), "byte {at}");
        let [error] = &unreadable[..] else { panic!("one is spoilt: {unreadable:?}") };
        assert!(error.to_string().contains(&name(newest.number)), "{error}");
    }
}

/// The spoilt one is not one of the two that are kept: should the next one be spoilt, too, there is another.
#[test]
fn after_a_spoilt_snapshot_two_good_ones_are_kept() {
    let (disk, snapshots, last) = recorded(0);
    let [.., older, newest] = &snapshots[..] else { panic!("there are two") };
    disk.flip_bit(&name(newest.number), 4 * newest.bytes as usize);
    let Recovered { shards, journal, .. } = recover(&disk).unwrap();
    let watch = journal.watch();
    assert_eq!(watch.snapshots().numbers().unwrap(), [older.number], "the spoilt one has another name");
    let mut follower = Follower::begin(&watch, fresh(), None).unwrap();
    while follower.follow(&mut |_: &Report| {}, &mut ()).unwrap().is_some() {}
    let next = follower.snapshot(None).unwrap();
    assert_eq!((next.hash, watch.snapshots().numbers().unwrap()), (last, vec![next.number, older.number]));
    drop((shards, journal, follower));
    disk.flip_bit(&name(next.number), 4 * next.bytes as usize);
    let Recovered { shards, snapshot, .. } = recover(&disk).unwrap();
    assert_eq!((shards.state_hash(), snapshot.unwrap().number), (last, older.number));
}

/// Somebody has read the journal to some point and goes on from there some day: a copy of what was said, say.
#[test]
fn what_somebody_still_has_to_read_is_kept_and_found_near_where_he_was() {
    let seed = 5;
    let disk = SimulatedDisk::new(seed);
    let mut run = Run::open(&disk).expect("a good disk");
    let (watch, mut needed, mut snapshots) = (run.parts.watch(), None, Vec::new());
    for (number, input) in inputs(seed).iter().enumerate() {
        run.apply(input).expect("a good disk");
        if number % 5 == 0 {
            while run.follower.follow(&mut |_: &Report| {}, &mut ()).unwrap().is_some() {}
            // He is somewhere after the third snapshot when he stops.
            let at = needed.clone().unwrap_or_else(|| run.follower.positions().clone());
            snapshots.push(run.follower.snapshot(Some(&at)).unwrap());
        }
        if number == 5 * 2 + 3 {
            needed = Some(watch.positions());
        }
    }
    let needed = needed.expect("there are so many inputs");
    let kept: Vec<u64> = watch.snapshots().numbers().unwrap().into_iter().rev().collect();
    assert_eq!(kept, (2..=snapshots.len() as u64).collect::<Vec<_>>(), "from two that are not beyond him on");
    let mut begun =
        Follower::begin(&watch, fresh(), Some(&needed)).expect("the journal is there from his on");
    while begun.follow(&mut |_: &Report| {}, &mut ()).unwrap().is_some() {}
    assert_eq!(begun.shadow().state_hash(), run.engine.at_rest().state_hash());
    // He has come a bit further, and then does not come any more.
    watch.forget(Some(&snapshots[4].positions)).unwrap();
    assert_eq!(watch.snapshots().oldest().unwrap().as_ref(), Some(&snapshots[3].positions));
    let (kept_bytes, last) = (watch.disk_bytes(), snapshots.len() as u64);
    watch.forget(None).unwrap();
    assert_eq!(watch.snapshots().numbers().unwrap(), [last, last - 1]);
    assert!(watch.disk_bytes() < kept_bytes, "and the journal goes with them");
}

/// A follower that began before the newest snapshot writes none until it is beyond it.
#[test]
fn snapshots_do_not_go_backwards() {
    let (disk, snapshots, _) = recorded(2);
    let [.., older, newest] = &snapshots[..] else { panic!("there are two") };
    let Recovered { journal, .. } = recover(&disk).unwrap();
    let mut follower = Follower::begin(&journal.watch(), fresh(), Some(&older.positions)).unwrap();
    match follower.snapshot(None) {
        Err(JournalError::Backwards { newest: number }) => assert_eq!(number, newest.number),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_snapshot_that_is_cut_or_anothers_is_replaced_by_the_older_one() {
    let (disk, snapshots, last) = recorded(1);
    let (other, ..) = recorded(2);
    let [.., older, newest] = &snapshots[..] else { panic!("there are two") };
    let (newest_name, older_name) = (name(newest.number), name(older.number));
    let spoilt = |how: &dyn Fn(&SimulatedDisk)| {
        let disk = disk.copy();
        how(&disk);
        let Recovered { shards, snapshot, unreadable, .. } = recover(&disk).unwrap();
        assert_eq!((shards.state_hash(), snapshot.unwrap().number), (last, older.number));
        unreadable.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let resize = |disk: &SimulatedDisk, length: u64| {
        let mut bytes = disk.contents(&newest_name);
        bytes.resize(length as usize, 0);
        disk.put(&newest_name, bytes);
    };
    for length in [0, 1, 511, 512, newest.bytes / 2, newest.bytes - 1] {
        let said = spoilt(&|disk| resize(disk, length));
        assert!(said[0].contains(&newest_name), "{said:?}");
    }
    let said = spoilt(&|disk| resize(disk, newest.bytes + 1));
    assert!(said[0].contains("after its end"), "{said:?}");
    let said = spoilt(&|disk| disk.put(&newest_name, disk.contents(&older_name)));
    assert!(said[0].contains(&format!("snapshot {} of journal", older.number)), "{said:?}");
    let said = spoilt(&|disk| disk.put(&newest_name, other.contents(&newest_name)));
    assert!(said[0].contains("of journal"), "{said:?}");
}

#[test]
fn without_a_snapshot_that_can_be_read_a_cut_journal_is_refused() {
    let (disk, snapshots, _) = recorded(3);
    let [.., older, newest] = &snapshots[..] else { panic!("there are two") };
    disk.flip_bit(&name(newest.number), 4 * newest.bytes as usize);
    disk.flip_bit(&name(older.number), 4 * older.bytes as usize);
    let before = disk.copy();
    let error = recover(&disk).err().expect("half of the state is gone").to_string();
    assert!(error.contains(&name(newest.number)) && error.contains("damaged"), "{error}");
    for name in before.list().unwrap() {
        assert_eq!(disk.contents(&name), before.contents(&name), "nothing was changed in {name}");
    }
    disk.take(&name(newest.number));
    disk.take(&name(older.number));
    let error = recover(&disk).err().expect("half of the state is gone").to_string();
    assert!(error.contains("restore the segments before it or the snapshots"), "{error}");
}

#[test]
fn a_snapshot_of_a_later_version_is_refused() {
    let (disk, snapshots, _) = recorded(0);
    let newest = name(snapshots.last().unwrap().number);
    let mut bytes = disk.contents(&newest);
    bytes[8] += 1;
    let crc = crc32c::crc32c(&bytes[..508]);
    bytes[508..512].copy_from_slice(&crc.to_le_bytes());
    disk.put(&newest, bytes);
    let error = recover(&disk).err().expect("it cannot be read").to_string();
    assert!(error.contains("start the version that wrote it"), "{error}");
}

/// A journal whose end is lost does not go on from a snapshot that knew it.
#[test]
fn a_snapshot_ahead_of_its_journal_is_refused() {
    let (disk, ..) = recorded(1);
    let begun = |name: &String| name.starts_with("segment") && disk.contents(name)[0] != 0;
    let last = disk.list().unwrap().into_iter().filter(begun).max().expect("there are segments");
    let mut bytes = disk.contents(&last);
    // Only its header is left, as if nothing had come after it.
    bytes[512..].fill(0);
    disk.put(&last, bytes);
    let error = recover(&disk).err().expect("the end is lost").to_string();
    assert!(error.contains("its end is lost"), "{error}");
}

fn name(number: u64) -> String {
    format!("snapshot-{number:016}.state")
}

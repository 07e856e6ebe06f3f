//! An exchange whose logs are in a journal: the power fails, and everything that was durable is there again.
//!
//! The disk is simulated, and so is the power: what is on the disk's platter at some moment, with some of what was not synced,
//! is all that another exchange gets. What a client had been told by then must be there.

use crate::shards_agree::{flow, market};
use engine_core::bell::{Bell, ThreadBell};
use engine_core::executor::AtRest;
use engine_core::executor::follower::Follower;
use engine_core::executor::threads::Port;
use engine_core::journal::storage::{SimulatedDisk, Storage, Survival};
use engine_core::journal::{Journal, JournalError, Options, Recovery, Shards};
use engine_core::message::*;
use engine_core::pipeline::{self, Recovered, Shape};
use engine_core::units::*;
use std::collections::BTreeSet;
use std::sync::Arc;

const SHAPE: Shape = Shape { sequencers: 2, matchers: 2, log_entries_max: 0 };
const ACCOUNTS: u32 = 4;

#[test]
fn what_was_acknowledged_is_there_after_a_power_loss() {
    for seed in 0..8 {
        println!("seed {seed}");
        let disk = SimulatedDisk::new(seed);
        let (after, acked) = trade_until_the_power_fails(&disk, 50 * (seed as usize + 1));
        let (there, state) = known(&after);
        let lost: Vec<&String> = acked.difference(&there).collect();
        assert!(lost.is_empty(), "acknowledged and gone: {lost:?}");
        assert_eq!(known(&after), (there, state), "another restart changes nothing");
        // The exchange to which nothing happened has them all, too, once it has ended.
        assert!(acked.is_subset(&known(&disk).0));
    }
}

/// Trades that are on their way when the power fails arrive in the next life, whatever part of their way was logged.
#[test]
fn what_was_on_its_way_arrives() {
    for seed in 0..20 {
        println!("seed {seed}");
        let disk = SimulatedDisk::new(seed);
        let (mut port, end) = start(&disk);
        let mut heard = 0;
        for number in 0..400 {
            let side = if number % 2 == 0 { Side::Sell } else { Side::Buy };
            submit(&mut port, Command::Submit(Submit { side, price: Price(100), ..sell(number) }));
            port.flush();
            port.take_reports(usize::MAX, |_| heard += 1);
            if heard > 20 * seed {
                break;
            }
        }
        let after = disk.copy();
        after.restart(Survival::Some);
        let (_, state) = known(&after);
        assert_eq!(known(&after).1, state, "it has arrived once and for all");
        drop(port);
        end();
    }
}

/// What threads did, what a replay of all of it does, and what a snapshot and the rest of the journal give, is one state.
#[test]
fn live_by_replay_and_by_snapshot_with_its_tail_are_one_state() {
    for seed in 0..4 {
        println!("seed {seed}");
        let disk = SimulatedDisk::new(seed);
        let (mut shards, journal) = recover(&disk);
        let watch = journal.watch();
        let mut follower = Follower::begin(&watch, pipeline::build(SHAPE, &market()), None).unwrap();
        let bell = Arc::new(ThreadBell::default()) as Arc<dyn Bell>;
        let markets = (0..SHAPE.matchers).map(|_| Box::new(()) as Box<_>).collect();
        let (engine, mut ports) = pipeline::run_threads(shards, vec![bell], markets, Default::default());
        let mut port = ports.pop().unwrap();
        // Snapshots are cut while it trades, wherever the follower happens to be.
        for (number, input) in flow(seed, 3000).into_iter().enumerate() {
            submit(&mut port, input.command);
            if number % 500 == 499 {
                port.flush();
                while follower.follow(&mut |_: &Report| {}, &mut ()).unwrap().is_some() {}
                follower.snapshot(None).unwrap();
            }
        }
        drop(port);
        shards = engine.join();
        let live = shards.state_hash();
        drop(shards);
        journal.close().expect("everything is safe");
        let whole = disk.copy();
        let (again, journal) = recover(&disk);
        assert_eq!(again.state_hash(), live, "by snapshot and tail");
        drop((again, journal));
        // Without snapshots all of it is read: nothing was cut off yet, segments are as large as the journal.
        for name in whole.list().unwrap().into_iter().filter(|name| name.starts_with("snapshot")) {
            whole.take(&name);
        }
        let (again, _journal) = recover(&whole);
        assert_eq!(again.state_hash(), live, "by replay");
    }
}

/// Trades until so many orders are acknowledged. Returns what is left of the disk at that moment, and which they are.
fn trade_until_the_power_fails(disk: &SimulatedDisk, acks: usize) -> (SimulatedDisk, BTreeSet<String>) {
    let (mut port, end) = start(disk);
    let mut acked = BTreeSet::new();
    for number in 0.. {
        if acked.len() >= acks {
            break;
        }
        submit(&mut port, Command::Submit(sell(number)));
        port.flush();
        port.take_reports(usize::MAX, |report| {
            if let ReportBody::OrderAck { order_id, .. } = report.body {
                acked.insert(order_id.as_str().to_owned());
            }
        });
    }
    let after = disk.copy();
    after.restart(Survival::Some);
    drop(port);
    end();
    (after, acked)
}

/// A running exchange with funded accounts. Who drops the port may call the other to end it.
fn start(disk: &SimulatedDisk) -> (Port, impl FnOnce()) {
    let (shards, journal) = recover(disk);
    let port_bell = Arc::new(ThreadBell::default()) as Arc<dyn Bell>;
    let markets = (0..SHAPE.matchers).map(|_| Box::new(()) as Box<_>).collect();
    let (engine, mut ports) = pipeline::run_threads(shards, vec![port_bell], markets, Default::default());
    let mut port = ports.pop().unwrap();
    for account in (0..ACCOUNTS).map(AccountId) {
        submit(&mut port, Command::Open { account, name: None });
        for asset in [AssetId(0), AssetId(2)] {
            submit(&mut port, Command::Deposit { account, asset, amount: Amount(10u128.pow(30)) });
        }
    }
    let end = move || {
        engine.join();
        journal.close().expect("everything is safe");
    };
    (port, end)
}

/// Tries until there is room.
fn submit(port: &mut Port, command: Command) {
    let input = Input { origin: Origin::default(), at: Timestamp(1), ticket: 0, command };
    while port.submit(input).is_err() {
        port.flush();
        port.take_reports(usize::MAX, drop);
        std::thread::yield_now();
    }
}

/// An order that rests: nobody buys.
fn sell(number: u32) -> Submit {
    let id = ClientOrderId::new(&number.to_string()).unwrap();
    let account = AccountId(number % ACCOUNTS);
    Submit::limit(account, SymbolId(0), id, Side::Sell, Price(100 + u64::from(number % 50)), Quantity(1))
}

/// The exchange that the disk holds, and the journal that its logs are in.
fn recover(disk: &SimulatedDisk) -> (AtRest, Journal) {
    let shards = Shards { sequencers: SHAPE.sequencers, matchers: SHAPE.matchers };
    let options = Options { segment_bytes: 1 << 20, ..Options::new(shards) };
    let recovery = Recovery::open(Arc::new(disk.clone()), options).expect("no crash leaves what is refused");
    let fresh = pipeline::build(SHAPE, &market());
    let on_failure = Box::new(|error: &JournalError| panic!("{error}"));
    let recovered = pipeline::recover(recovery, fresh, |_, _| {}, on_failure);
    let Recovered { shards, journal, .. } = recovered.expect("what is there fits together");
    (shards, journal)
}

/// What the exchange on the disk knows: every order that was ever accepted, and all that can be compared.
fn known(disk: &SimulatedDisk) -> (BTreeSet<String>, String) {
    let (shards, journal) = recover(disk);
    shards.check();
    let mut orders = BTreeSet::new();
    for account in (0..ACCOUNTS).map(AccountId) {
        let machine = &shards.sequencers[account.0 as usize % SHAPE.sequencers].machine;
        let of_account = machine.view(account).map_or(Vec::new(), |view| view.orders);
        orders.extend(of_account.iter().map(|order| order.view.order_id.as_str().to_owned()));
    }
    let counters: Vec<_> = shards.matchers.iter().flat_map(|shard| shard.machine.counters()).collect();
    let state = format!("{counters:?} {:?}", shards.balances());
    drop(shards);
    journal.close().expect("everything is safe");
    (orders, state)
}

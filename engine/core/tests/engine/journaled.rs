//! An exchange whose logs are in a journal: the power fails, and everything that was durable is there again.
//!
//! The disk is simulated, and so is the power: what is on the disk's platter at some moment, with some of what was not synced,
//! is all that another exchange gets. What a client had been told by then must be there.

use crate::shards_agree::market;
use engine_core::bell::{Bell, ThreadBell};
use engine_core::executor::AtRest;
use engine_core::executor::threads::Port;
use engine_core::journal::storage::{SimulatedDisk, Survival};
use engine_core::journal::{Journal, Options, Recovery, Shards};
use engine_core::message::*;
use engine_core::pipeline::{self, Shape};
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
        let lost: Vec<String> = acked.difference(&live_orders(&after)).cloned().collect();
        assert!(lost.is_empty(), "acknowledged and gone: {lost:?}");
        // The exchange to which nothing happened has them all, too, once it has ended.
        assert!(acked.is_subset(&live_orders(&disk)));
    }
}

/// Trades until so many orders are acknowledged. Returns what is left of the disk at that moment, and which they are.
fn trade_until_the_power_fails(disk: &SimulatedDisk, acks: usize) -> (SimulatedDisk, BTreeSet<String>) {
    let journal = open(disk);
    let port_bell = Arc::new(ThreadBell::default()) as Arc<dyn Bell>;
    let markets = (0..SHAPE.matchers).map(|_| Box::new(()) as Box<_>).collect();
    let (engine, mut ports) =
        pipeline::run_threads(shards(&journal), vec![port_bell], markets, Default::default());
    let mut port = ports.pop().unwrap();
    for account in (0..ACCOUNTS).map(AccountId) {
        submit(&mut port, Command::Open { account, name: None });
        submit(&mut port, Command::Deposit { account, asset: AssetId(0), amount: Amount(10u128.pow(30)) });
    }
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
    engine.join();
    journal.close().expect("everything is safe");
    (after, acked)
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

fn open(disk: &SimulatedDisk) -> Journal {
    let shards = Shards { sequencers: SHAPE.sequencers, matchers: SHAPE.matchers };
    let options = Options { segment_bytes: 1 << 16, ..Options::new(shards) };
    let recovery = Recovery::open(Arc::new(disk.clone()), options).expect("no crash leaves what is refused");
    recovery.start(Box::new(|error| panic!("{error}"))).expect("the disk takes it")
}

/// Empty shards whose logs are in the journal.
fn shards(journal: &Journal) -> AtRest {
    let mut shards = pipeline::build(SHAPE, &market());
    for (i, shard) in shards.sequencers.iter_mut().enumerate() {
        shard.log = Box::new(journal.sequencer_log(i));
    }
    for (j, shard) in shards.matchers.iter_mut().enumerate() {
        shard.log = Box::new(journal.matcher_log(j));
    }
    shards
}

/// The orders of an exchange that is built from what is on the disk.
fn live_orders(disk: &SimulatedDisk) -> BTreeSet<String> {
    let journal = open(disk);
    let rebuilt = pipeline::rebuild(&shards(&journal), pipeline::build(SHAPE, &market()));
    rebuilt.sequencers.iter().for_each(|shard| shard.machine.check());
    rebuilt.matchers.iter().for_each(|shard| shard.machine.check());
    let view = |account: u32| {
        let machine = &rebuilt.sequencers[account as usize % SHAPE.sequencers].machine;
        machine.view(AccountId(account)).map_or(Vec::new(), |view| view.orders)
    };
    (0..ACCOUNTS).flat_map(view).map(|order| order.view.order_id.as_str().to_owned()).collect()
}

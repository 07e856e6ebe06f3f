//! The disk becomes full under a running exchange, or the process has as many files open as it may.
//!
//! While there is a reserve, what is new is refused with the reason and orders can be cancelled. When there is space again
//! everything goes on. Who stops in between comes to an end, and the next life knows all that was acknowledged, of orders and
//! of cancels, and no money is lost.

use crate::shards_agree::market;
use engine_core::bell::{Bell, ThreadBell};
use engine_core::executor::AtRest;
use engine_core::executor::threads::{Manner, Overloaded, Port, Threads};
use engine_core::journal::storage::SimulatedDisk;
use engine_core::journal::{Condition, Journal, JournalError, Options, Recovery, Shards};
use engine_core::message::*;
use engine_core::pipeline::{self, Recovered, Shape};
use engine_core::units::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const SHAPE: Shape = Shape { sequencers: 2, matchers: 1, log_entries_max: 0 };
const ACCOUNTS: u32 = 4;
/// Orders that are cancelled while the disk is full.
const CANCELS: usize = 100;
/// Small, so that a disk is soon full, and large enough for the answers to what is on its way then.
const SEGMENT_BYTES: u64 = 1 << 18;

#[test]
fn what_is_new_is_refused_and_cancels_are_taken_until_there_is_space() {
    new_things_are_refused_and_cancels_taken_in(Shortage::Space);
}

#[test]
fn the_same_until_the_next_file_can_be_opened() {
    new_things_are_refused_and_cancels_taken_in(Shortage::Files);
}

fn new_things_are_refused_and_cancels_taken_in(shortage: Shortage) {
    let disk = SimulatedDisk::new(1);
    let mut exchange = Exchange::start(&disk);
    exchange.trade_until(shortage);

    let (refusal, condition) = shortage.is_told_as();
    for command in new_things() {
        assert_eq!(exchange.try_submit(command), Err(refusal), "{command:?}");
    }
    let together = [Command::Open { account: AccountId(9), name: None }, deposit(AccountId(9))].map(input);
    assert_eq!(exchange.port.submit_together(AccountId(9), &together), Err(refusal));
    let live: Vec<u32> = exchange.heard.live().into_iter().collect();
    for number in &live[..CANCELS] {
        exchange.submit(cancel(*number));
    }
    exchange.hear_until(|heard| live[..CANCELS].iter().all(|number| heard.cancelled.contains(number)));
    for command in [Command::Tick, Command::Open { account: AccountId(0), name: None }] {
        exchange.submit(command);
    }
    assert_eq!(exchange.journal.watch().condition(), condition);

    shortage.end(&disk);
    let first = exchange.next;
    exchange.submit_order();
    exchange.hear_until(|heard| heard.acked.contains(&first));
    assert_eq!(exchange.journal.watch().condition(), Condition::Good);
    let heard = exchange.end().expect("everything is safe");
    assert_eq!(known(&disk), heard.live());
}

#[test]
fn who_stops_while_it_is_full_ends_and_loses_nothing_that_was_acknowledged() {
    // Shards wait for room in the journal, or for what is behind their gates.
    for staging_bytes in [1 << 18, 1 << 23] {
        println!("staging {staging_bytes}");
        let disk = SimulatedDisk::new(2);
        let options = Options { staging_bytes, ..options() };
        let mut exchange = Exchange::start_with(&disk, options);
        exchange.trade_until(Shortage::Space);
        // Cancels use the reserve up, until nobody is answered any more and the engine has enough.
        let live: Vec<u32> = exchange.heard.live().into_iter().collect();
        let watch = exchange.journal.watch();
        for number in live.iter().cycle() {
            let is_busy = exchange.try_submit(cancel(*number)) == Err(Overloaded::Busy);
            if is_busy && watch.waits_for_space() {
                break;
            }
        }
        let restarted = disk.clone();
        let Exchange { engine, mut port, journal, mut heard, .. } = exchange;
        port.flush();
        journal.stop_waiting_for_space();
        let ending = std::thread::spawn(move || engine.join());
        while !ending.is_finished() {
            hear(&mut port, &mut heard);
            port.close();
        }
        ending.join().expect("no shard panics").check();
        let Err(JournalError::NoSpace { entries }) = journal.close() else { panic!("not all was written") };
        assert!(entries > 0);

        // As full as it is, it cannot begin either if there is something to be written; nothing is lost by trying.
        if let Err(error) = try_recover(&restarted) {
            assert!(matches!(error, JournalError::NoSpace { .. }), "{error}");
        }
        restarted.set_capacity(u64::MAX);
        let known = known(&restarted);
        for number in &heard.acked {
            let must_live = !heard.asked_to_cancel.contains(number);
            assert!(!must_live || known.contains(number), "{number} was acknowledged and is gone");
        }
        let back: Vec<&u32> = heard.cancelled.intersection(&known).collect();
        assert!(back.is_empty(), "cancelled and there again: {back:?}");
    }
}

// ---- the stage ------------------------------------------------------------------------------------------------------

struct Exchange {
    engine: Threads,
    port: Port,
    journal: Journal,
    disk: SimulatedDisk,
    heard: Heard,
    /// The next order's number.
    next: u32,
}

/// What there is too little of.
#[derive(Clone, Copy)]
enum Shortage {
    Space,
    Files,
}

impl Shortage {
    fn begin(self, disk: &SimulatedDisk) {
        match self {
            Self::Space => disk.set_capacity(disk.used()),
            Self::Files => disk.set_opens(false),
        }
    }

    fn end(self, disk: &SimulatedDisk) {
        match self {
            Self::Space => disk.set_capacity(u64::MAX),
            Self::Files => disk.set_opens(true),
        }
    }

    fn is_told_as(self) -> (Overloaded, Condition) {
        match self {
            Self::Space => (Overloaded::DiskFull, Condition::Full),
            Self::Files => (Overloaded::NoFiles, Condition::NoFiles),
        }
    }
}

#[derive(Default)]
struct Heard {
    acked: BTreeSet<u32>,
    asked_to_cancel: BTreeSet<u32>,
    cancelled: BTreeSet<u32>,
}

impl Heard {
    fn live(&self) -> BTreeSet<u32> {
        self.acked.difference(&self.cancelled).copied().collect()
    }
}

impl Exchange {
    fn start(disk: &SimulatedDisk) -> Self {
        Self::start_with(disk, options())
    }

    /// With funded accounts.
    fn start_with(disk: &SimulatedDisk, options: Options) -> Self {
        let (shards, journal) = recover(disk, options);
        let bell = Arc::new(ThreadBell::default()) as Arc<dyn Bell>;
        let manner = Manner { journal: Some(journal.watch()), ..Manner::default() };
        let (engine, mut ports) = pipeline::run_threads(shards, vec![bell], vec![Box::new(())], manner);
        let port = ports.pop().expect("one bell, one port");
        let mut exchange =
            Self { engine, port, journal, disk: disk.clone(), heard: Heard::default(), next: 0 };
        for account in (0..ACCOUNTS).map(AccountId) {
            exchange.submit(Command::Open { account, name: None });
            exchange.submit(deposit(account));
        }
        exchange
    }

    /// Places some orders, and then more on a disk that takes no further segment, until one is refused for that.
    fn trade_until(&mut self, shortage: Shortage) {
        for _ in 0..2 * CANCELS {
            self.submit_order();
        }
        self.hear_until_acked(0);
        shortage.begin(&self.disk);
        loop {
            match self.try_submit(Command::Submit(sell(self.next))) {
                Ok(()) => self.next += 1,
                Err(Overloaded::DiskFull | Overloaded::NoFiles) => break,
                Err(Overloaded::Busy) => std::thread::yield_now(),
            }
            // Few are on their way at a time: the reserve is for cancels.
            self.hear_until_acked(64);
        }
        self.hear_until_acked(0);
    }

    /// Until no more than that many orders wait for an answer.
    fn hear_until_acked(&mut self, waiting: usize) {
        let next = self.next as usize;
        self.hear_until(|heard| next <= heard.acked.len() + waiting);
    }

    fn try_submit(&mut self, command: Command) -> Result<(), Overloaded> {
        let submitted = self.port.submit(input(command));
        if let (Ok(()), Command::Cancel { order_id, .. }) = (submitted, command) {
            self.heard.asked_to_cancel.insert(number_of(&order_id));
        }
        self.hear();
        submitted
    }

    /// Tries until it is taken.
    fn submit(&mut self, command: Command) {
        while self.try_submit(command).is_err() {
            std::thread::yield_now();
        }
    }

    fn submit_order(&mut self) {
        self.submit(Command::Submit(sell(self.next)));
        self.next += 1;
    }

    fn hear(&mut self) -> usize {
        hear(&mut self.port, &mut self.heard)
    }

    fn hear_until(&mut self, fact: impl Fn(&Heard) -> bool) {
        while !fact(&self.heard) {
            if self.hear() == 0 {
                std::thread::yield_now();
            }
        }
    }

    fn end(self) -> Result<Heard, JournalError> {
        drop(self.port);
        self.journal.stop_waiting_for_space();
        self.engine.join().check();
        self.journal.close().map(|()| self.heard)
    }
}

fn hear(port: &mut Port, heard: &mut Heard) -> usize {
    port.flush();
    port.take_reports(usize::MAX, |report| match report.body {
        ReportBody::OrderAck { order_id, .. } => drop(heard.acked.insert(number_of(&order_id))),
        ReportBody::CancelAck { order_id, .. } => drop(heard.cancelled.insert(number_of(&order_id))),
        _ => {}
    })
}

/// One of each command that is not taken.
fn new_things() -> Vec<Command> {
    let (account, asset, amount) = (AccountId(0), AssetId(0), Amount(1));
    let symbol = SymbolId(0);
    let order_id = sell(0).order_id;
    let fees = Fees::default();
    vec![
        Command::Submit(sell(u32::MAX)),
        Command::Amend(Amend { account, symbol, order_id, price: None, quantity: Some(Quantity(1)) }),
        deposit(account),
        Command::Withdraw { account, id: 1, asset, amount },
        Command::Transfer { account, id: 2, to: AccountId(1), asset, amount },
        Command::SetFees { symbol, tier: 0, fees },
    ]
}

fn deposit(account: AccountId) -> Command {
    Command::Deposit { account, asset: AssetId(0), amount: Amount(10u128.pow(30)) }
}

/// An order that rests: nobody buys.
fn sell(number: u32) -> Submit {
    let id = ClientOrderId::new(&number.to_string()).expect("a short name");
    let price = Price(100 + u64::from(number % 50));
    Submit::limit(AccountId(number % ACCOUNTS), SymbolId(0), id, Side::Sell, price, Quantity(1))
}

fn cancel(number: u32) -> Command {
    let Submit { account, symbol, order_id, .. } = sell(number);
    Command::Cancel { account, symbol, order_id }
}

fn number_of(order_id: &ClientOrderId) -> u32 {
    order_id.as_str().parse().expect("our own number")
}

fn input(command: Command) -> Input {
    Input { origin: Origin::default(), at: Timestamp(1), ticket: 0, command }
}

fn options() -> Options {
    let shards = Shards { sequencers: SHAPE.sequencers, matchers: SHAPE.matchers };
    let retry = Duration::from_millis(1);
    Options { segment_bytes: SEGMENT_BYTES, retry, ..Options::new(shards) }
}

/// The exchange that the disk holds, and the journal that its logs are in.
fn recover(disk: &SimulatedDisk, options: Options) -> (AtRest, Journal) {
    let recovery = Recovery::open(Arc::new(disk.clone()), options).expect("the disk is whole");
    let on_failure = Box::new(|error: &JournalError| panic!("a full disk is no failure: {error}"));
    let fresh = pipeline::build(SHAPE, &market());
    let recovered = pipeline::recover(recovery, fresh, |_, _| {}, on_failure);
    let Recovered { shards, journal, .. } = recovered.expect("what is there fits together");
    (shards, journal)
}

/// Whether an exchange could begin, which ends at once.
fn try_recover(disk: &SimulatedDisk) -> Result<(), JournalError> {
    let (_, journal) = recover(disk, options());
    journal.wait_until_durable()?;
    journal.close()
}

/// The live orders of the exchange on the disk.
fn known(disk: &SimulatedDisk) -> BTreeSet<u32> {
    let (shards, journal) = recover(disk, options());
    shards.check();
    journal.wait_until_durable().expect("there is space");
    let mut orders = BTreeSet::new();
    for account in (0..ACCOUNTS).map(AccountId) {
        let machine = &shards.sequencers[account.0 as usize % SHAPE.sequencers].machine;
        let view = machine.view(account).expect("it was opened");
        orders.extend(view.orders.iter().map(|order| number_of(&order.view.order_id)));
    }
    drop(shards);
    journal.close().expect("everything is safe");
    orders
}

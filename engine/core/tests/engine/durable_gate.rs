//! Nothing leaves the engine before its cause is durable, and everything leaves after.
//!
//! The logs of one sequencer and one matcher are moved by hand. While a log stands still its shard works on with the
//! other, but what it has to say to the outside stays behind its gate.

use crate::shards_agree::market;
use engine_core::bell::{Bell, ThreadBell};
use engine_core::executor::threads::{Port, Threads};
use engine_core::executor::{AtRest, MarketSink};
use engine_core::limits::GATE_REPORTS_MAX;
use engine_core::log::{Entry, Position, ShardLog};
use engine_core::matcher::MarketEvent;
use engine_core::message::*;
use engine_core::pipeline::{self, Shape};
use engine_core::units::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

const ANN: AccountId = AccountId(0);
/// Entries of the sequencer's log once ann is open and has money.
const FUNDED: Position = 3;
/// A sequencer logs an order and, in one entry, what the matcher answers to it.
const PER_ORDER: Position = 2;
/// Enough that some are taken in a turn of their own.
const LOOKS: u32 = 100;

#[test]
fn reports_leave_as_far_as_their_records_are_durable() {
    let mut stage = Stage::start();
    stage.matcher.release_all();
    for request in 1..=4u32 {
        stage.sell(request);
        stage.sequencer.wait_for(FUNDED + PER_ORDER * u64::from(request));
    }
    assert_eq!(stage.reports(), [""; 0], "all is done and nothing is said");

    stage.sequencer.release(FUNDED);
    assert_eq!(stage.hear(2), ["balance", "balance"]);
    for request in 1..=4u32 {
        let done = FUNDED + PER_ORDER * u64::from(request);
        stage.sequencer.release(done - 1);
        assert_eq!(stage.reports(), [""; 0], "the order is durable, its acceptance is not");
        stage.sequencer.release(done);
        assert_eq!(stage.hear(3), [&format!("ack {request}"), "execution", "balance"]);
    }
    stage.end();
}

#[test]
fn market_events_leave_as_far_as_their_records_are_durable() {
    let mut stage = Stage::start();
    stage.sequencer.release_all();
    stage.hear(2);
    for request in 1..=3 {
        stage.sell(request);
        assert_eq!(stage.hear(3)[0], format!("ack {request}"), "the sequencer's log is its own");
    }
    assert_eq!(stage.sequences(), [0; 0], "the market knows nothing yet");
    for sequence in 1..=3 {
        stage.matcher.release(sequence);
        stage.wait_until(|stage| stage.sequences().len() as u64 >= sequence);
        assert_eq!(stage.sequences(), (1..=sequence).collect::<Vec<_>>());
    }
    stage.end();
}

#[test]
fn a_look_does_not_show_what_is_not_durable() {
    let mut stage = Stage::start();
    stage.sequencer.release(FUNDED);
    stage.hear(2);
    // The matcher is held up, so that the order is in the sequencer's log and causes no report by itself.
    stage.matcher.stop(true);
    stage.sell(1);
    stage.sequencer.wait_for(FUNDED + 1);
    let asker = Origin { request: 9, ..Origin::default() };
    for more in 1..=LOOKS {
        stage.port.look(ANN, asker).unwrap();
        stage.port.flush();
        // Alone in its turn, if the thread wakes in time: the entry that shows has no news of its own to wait behind.
        for _ in 0..50 {
            std::thread::yield_now();
        }
        stage.sell(1 + more);
        // The look is surely behind us when the order after it is logged.
        stage.sequencer.wait_for(FUNDED + 1 + u64::from(more));
        assert_eq!(stage.reports(), [""; 0], "the account shows an order that a crash would undo");
    }
    stage.sequencer.release_all();
    let looks = stage.hear(LOOKS as usize);
    assert_eq!([looks[0].as_str(), looks[1].as_str()], ["account with 1 live", "account with 2 live"]);
    stage.matcher.stop(false);
    stage.hear(3 * (1 + LOOKS as usize));
    stage.end();
}

#[test]
fn the_engine_ends_when_all_it_had_to_say_is_said() {
    let mut stage = Stage::start();
    stage.sell(1);
    stage.sequencer.wait_for(FUNDED + PER_ORDER);
    let Stage { engine, port, sequencer, matcher, market, .. } = stage;
    drop(port);
    let ending = std::thread::spawn(move || engine.join());
    sequencer.release_all();
    assert!(market.lock().unwrap().is_empty() && !ending.is_finished(), "the market's part is not durable");
    matcher.release_all();
    ending.join().unwrap().check();
    assert_eq!(market.lock().unwrap().len(), 2, "a level and its sequence");
}

#[test]
fn a_log_that_stands_still_makes_the_engine_refuse() {
    let mut stage = Stage::start();
    stage.matcher.release_all();
    let (mut accepted, mut standing_still, mut appended) = (0u32, 0, 0);
    while standing_still < 10_000 {
        accepted += u32::from(stage.try_sell(accepted));
        assert!((accepted as usize) < 2 * GATE_REPORTS_MAX, "it takes orders without end");
        stage.port.flush();
        std::thread::yield_now();
        let before = std::mem::replace(&mut appended, stage.sequencer.appended());
        standing_still = if appended == before { standing_still + 1 } else { 0 };
    }
    assert!(!stage.try_sell(accepted), "the client is told");
    assert_eq!(stage.reports(), [""; 0]);
    stage.sequencer.release_all();
    let mut acks = 0;
    stage.wait_until(|stage| {
        acks +=
            stage.reports().iter().filter(|report| report.starts_with("ack") || *report == "reject").count();
        acks == accepted as usize
    });
    stage.end();
}

// ---- the stage ------------------------------------------------------------------------------------------------------

/// A log that keeps nothing and is as durable as the test says.
#[derive(Clone, Default)]
struct HandLog(Arc<Positions>);

#[derive(Default)]
struct Positions {
    appended: AtomicU64,
    durable: AtomicU64,
    /// Whether `append` waits.
    stopped: AtomicBool,
    /// Rung when more is durable.
    bell: OnceLock<Arc<dyn Bell>>,
}

impl HandLog {
    /// What was and is appended before `position` is durable.
    fn release(&self, position: Position) {
        self.0.durable.store(position, Ordering::SeqCst);
        self.0.bell.get().expect("it has been told").ring();
    }

    fn release_all(&self) {
        self.release(u64::MAX);
    }

    fn stop(&self, stopped: bool) {
        self.0.stopped.store(stopped, Ordering::SeqCst);
    }

    fn appended(&self) -> Position {
        self.0.appended.load(Ordering::SeqCst)
    }

    fn wait_for(&self, position: Position) {
        while self.appended() < position {
            std::thread::yield_now();
        }
        assert_eq!(self.appended(), position);
    }
}

impl<I> ShardLog<I> for HandLog {
    fn append(&mut self, entries: &[Entry<I>]) -> Position {
        while self.0.stopped.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        self.0.appended.fetch_add(entries.len() as u64, Ordering::SeqCst) + entries.len() as u64
    }

    fn durable(&self) -> Position {
        self.0.durable.load(Ordering::SeqCst)
    }

    fn read(&self, _: Position, _: &mut dyn FnMut(&Entry<I>)) -> Result<(), Position> {
        unreachable!("nothing is read back")
    }

    fn truncate(&mut self, _: Position) {}

    fn ring_when_durable(&mut self, bell: Arc<dyn Bell>) {
        self.0.bell.set(bell).ok().expect("once");
    }
}

struct Tape(Arc<Mutex<Vec<MarketEvent>>>);

impl MarketSink for Tape {
    fn event(&mut self, event: &MarketEvent) {
        self.0.lock().unwrap().push(*event);
    }

    fn publish(&mut self) {}
}

struct Stage {
    engine: Threads,
    port: Port,
    sequencer: HandLog,
    matcher: HandLog,
    market: Arc<Mutex<Vec<MarketEvent>>>,
}

impl Stage {
    /// One sequencer, one matcher, nothing durable, and ann with coins to sell.
    fn start() -> Self {
        let shape = Shape { sequencers: 1, matchers: 1, log_entries_max: 0 };
        let mut shards: AtRest = pipeline::build(shape, &market());
        let (sequencer, matcher) = (HandLog::default(), HandLog::default());
        shards.sequencers[0].log = Box::new(sequencer.clone());
        shards.matchers[0].log = Box::new(matcher.clone());
        let market = Arc::new(Mutex::new(Vec::new()));
        let bell = Arc::new(ThreadBell::default()) as Arc<dyn Bell>;
        let tape = Box::new(Tape(market.clone())) as Box<dyn MarketSink>;
        let (engine, mut ports) = pipeline::run_threads(shards, vec![bell], vec![tape], Default::default());
        let mut port = ports.pop().unwrap();
        port.watch(ANN, true).unwrap();
        let deposit = |asset| Command::Deposit { account: ANN, asset, amount: Amount(10u128.pow(30)) };
        for command in [Command::Open { account: ANN, name: None }, deposit(AssetId(0)), deposit(AssetId(2))]
        {
            port.submit(input(0, command)).unwrap();
        }
        port.flush();
        sequencer.wait_for(FUNDED);
        Self { engine, port, sequencer, matcher, market }
    }

    fn sell(&mut self, request: u32) {
        assert!(self.try_sell(request));
        self.port.flush();
    }

    fn try_sell(&mut self, request: u32) -> bool {
        let submit = Submit::limit(
            ANN,
            SymbolId(0),
            ClientOrderId::new(&request.to_string()).unwrap(),
            Side::Sell,
            Price(100),
            Quantity(1),
        );
        self.port.submit(input(request, Command::Submit(submit))).is_ok()
    }

    /// What has come out by now.
    fn reports(&mut self) -> Vec<String> {
        let mut reports = Vec::new();
        self.port.take_reports(usize::MAX, |report| {
            reports.push(match report.body {
                ReportBody::Done => return, // what the stage itself asked for
                ReportBody::OrderAck { order_id, .. } => format!("ack {}", order_id.as_str()),
                ReportBody::OrderReject { .. } => "reject".into(),
                ReportBody::Execution(_) => "execution".into(),
                ReportBody::Balance(_) => "balance".into(),
                ReportBody::Account(view) => format!("account with {} live", view.orders.len()),
                other => panic!("not asked for: {other:?}"),
            });
        });
        reports
    }

    /// Waits for so many reports, and sees that there are no more.
    fn hear(&mut self, count: usize) -> Vec<String> {
        let mut heard = Vec::new();
        while heard.len() < count {
            heard.append(&mut self.reports());
            std::thread::yield_now();
        }
        assert_eq!(heard.len(), count, "{heard:?}");
        heard
    }

    /// The sequences the market has been told of.
    fn sequences(&self) -> Vec<u64> {
        let events = self.market.lock().unwrap();
        let applied = events.iter().filter_map(|event| match event {
            MarketEvent::Applied(_, sequence, _) => Some(sequence.0),
            _ => None,
        });
        applied.collect()
    }

    fn wait_until(&mut self, mut fact: impl FnMut(&mut Self) -> bool) {
        while !fact(self) {
            std::thread::yield_now();
        }
    }

    fn end(self) {
        self.sequencer.release_all();
        self.matcher.release_all();
        drop(self.port);
        self.engine.join().check();
    }
}

fn input(request: u32, command: Command) -> Input {
    let origin = Origin { request, ..Origin::default() };
    Input { origin, at: Timestamp(1), ticket: 0, command }
}

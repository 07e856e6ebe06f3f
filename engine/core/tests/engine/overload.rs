//! A port that floods or does not read is told so, and nothing that was accepted is lost.
//!
//! Everything is bounded, so a port that keeps submitting without reading its reports must at some point hear
//! `Overloaded`. Once it reads again, every input that was accepted is answered exactly once; what was refused left no
//! trace; and whether the port reads at all or simply goes away, the engine ends whole.

use crate::shards_agree::market;
use engine_core::bell::{Bell, ThreadBell};
use engine_core::executor::AtRest;
use engine_core::executor::threads::{Port, Threads};
use engine_core::message::*;
use engine_core::pipeline::{self, Shape};
use engine_core::units::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const ACCOUNTS: u32 = 6;
/// More than all lanes of the engine hold.
const FLOOD: u32 = 200_000;

#[test]
fn a_port_that_does_not_read_is_told_and_loses_nothing() {
    for (sequencers, matchers) in [(1, 1), (2, 1), (3, 2)] {
        let (engine, mut ports) = start(sequencers, matchers, 1);
        let mut port = ports.pop().unwrap();
        open(&mut port);
        let mut asked = Asked::default();
        asked.flood(&mut port);
        assert!(asked.refused > 0, "it never heard Overloaded");
        // Time heals: what was accepted is answered, and then there is room again.
        while asked.waiting() > 0 {
            asked.hear(&mut port);
        }
        assert!(asked.submit(&mut port, FLOOD + 1));
        port.flush();
        while asked.waiting() > 0 {
            asked.hear(&mut port);
        }
        drop(port);
        ends_whole(engine, &asked);
    }
}

#[test]
fn a_port_that_never_reads_does_not_keep_the_engine_from_ending() {
    let (engine, mut ports) = start(2, 2, 1);
    let mut port = ports.pop().unwrap();
    open(&mut port);
    let mut asked = Asked::default();
    asked.flood(&mut port);
    assert!(asked.refused > 0);
    drop(port);
    ends_whole(engine, &asked);
}

#[test]
fn ports_that_flood_together_each_hear_their_own_answers() {
    let (engine, mut ports) = start(2, 1, 3);
    open(&mut ports[0]);
    let asked: Vec<Asked> = std::thread::scope(|scope| {
        let flooding = ports.into_iter().map(|mut port| {
            scope.spawn(move || {
                let mut asked = Asked::default();
                for request in 1..=20_000 {
                    while !asked.submit(&mut port, request) {
                        port.flush();
                        asked.hear(&mut port);
                    }
                }
                port.flush();
                while asked.waiting() > 0 {
                    asked.hear(&mut port);
                }
                asked
            })
        });
        flooding.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let accepted: usize = asked.iter().map(|asked| asked.answers.len()).sum();
    assert_eq!(accepted, 60_000);
    let inputs: u64 = engine.sequencer_counters.iter().map(|counters| counters.inputs.get()).sum();
    assert_eq!(inputs, 60_000 + opening().count() as u64);
    engine.join().check();
}

/// What a port asked, and how often each was answered.
#[derive(Default)]
struct Asked {
    answers: BTreeMap<u32, u32>,
    answered: usize,
    refused: u32,
}

impl Asked {
    /// Submits and never reads, until it has been refused for a while.
    fn flood(&mut self, port: &mut Port) {
        for request in 1..=FLOOD {
            if !self.submit(port, request) {
                self.refused += 1;
                std::thread::yield_now();
            }
            if request.is_multiple_of(64) {
                port.flush();
            }
        }
        port.flush();
    }

    fn submit(&mut self, port: &mut Port, request: u32) -> bool {
        let origin = Origin { port: port.index(), session: 7, request };
        let accepted = port.submit(input(origin, command(port.index(), request))).is_ok();
        if accepted {
            self.answers.insert(request, 0);
        }
        accepted
    }

    fn hear(&mut self, port: &mut Port) {
        let index = port.index();
        let taken = port.take_reports(usize::MAX, |report| match report.to {
            Recipient::Asker(_) if matches!(report.body, ReportBody::Done) => {} // an account was opened
            Recipient::Asker(origin) => {
                assert_eq!((origin.port, origin.session), (index, 7));
                let answers =
                    self.answers.get_mut(&origin.request).expect("only what was accepted is answered");
                *answers += 1;
                assert_eq!(*answers, 1, "request {} is answered once", origin.request);
                self.answered += 1;
            }
            Recipient::Watchers => panic!("nobody watches"),
        });
        if taken == 0 {
            std::thread::yield_now();
        }
    }

    fn waiting(&self) -> usize {
        self.answers.len() - self.answered
    }
}

/// Orders that meet each other, cancels that mostly come too late or too often; each is answered once.
fn command(port: u16, request: u32) -> Command {
    let account = AccountId(request % ACCOUNTS);
    let symbol = SymbolId(request % 3);
    if request.is_multiple_of(5) {
        let order_id = name(port, request.saturating_sub(30));
        return Command::Cancel { account, symbol, order_id };
    }
    Command::Submit(Submit {
        time_in_force: if request.is_multiple_of(3) { TimeInForce::Gtc } else { TimeInForce::Ioc },
        ..Submit::limit(
            account,
            symbol,
            name(port, request),
            if (request / 7).is_multiple_of(2) { Side::Buy } else { Side::Sell },
            Price(1000 + u64::from(request % 11)),
            Quantity(1 + u64::from(request % 9)),
        )
    })
}

fn name(port: u16, request: u32) -> ClientOrderId {
    ClientOrderId::new(&format!("p{port}-{request}")).unwrap()
}

fn input(origin: Origin, command: Command) -> Input {
    Input { origin, at: Timestamp(1), ticket: 0, command }
}

fn opening() -> impl Iterator<Item = Command> {
    (0..ACCOUNTS).map(AccountId).flat_map(|account| {
        let deposit = move |asset| Command::Deposit { account, asset, amount: Amount(10u128.pow(30)) };
        std::iter::once(Command::Open { account, name: None }).chain((0..3).map(AssetId).map(deposit))
    })
}

fn open(port: &mut Port) {
    for command in opening() {
        port.submit(input(Origin::default(), command)).expect("there is room at the start");
    }
    port.flush();
}

fn start(sequencers: usize, matchers: usize, ports: usize) -> (Threads, Vec<Port>) {
    let shape = Shape { sequencers, matchers, log_entries_max: 0 };
    let bells = (0..ports).map(|_| Arc::new(ThreadBell::default()) as Arc<dyn Bell>).collect();
    let markets = (0..matchers).map(|_| Box::new(()) as _).collect();
    pipeline::run_threads(pipeline::build(shape, &market()), bells, markets, Default::default())
}

fn ends_whole(engine: Threads, asked: &Asked) {
    let counters = engine.sequencer_counters.clone();
    let shards: AtRest = engine.join();
    shards.check();
    let inputs: u64 = counters.iter().map(|counters| counters.inputs.get()).sum();
    assert_eq!(inputs, (asked.answers.len() + opening().count()) as u64, "accepted, no more and no less");
}

//! Whatever a few poor accounts do on symbols that share assets: no atom appears or is lost, and every order adds up.
//!
//! After every single command the witness compares the whole engine with what it was told. A failing run shrinks to
//! a short one.

use crate::witness::{Tape, Witness};
use engine_core::executor::ReportSink;
use engine_core::executor::inline::Inline;
use engine_core::instrument::{InstrumentSpec, Market};
use engine_core::limits::ORDER_ID_WINDOW_US;
use engine_core::message::*;
use engine_core::pipeline::{self, Shape};
use engine_core::units::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const ACCOUNTS: u32 = 4;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn is_conserved_and_every_order_adds_up(
        sequencers in 1usize..=4,
        matchers in 1usize..=3,
        commands in prop::collection::vec(command(), 1..150),
    ) {
        let mut run = Run::new(sequencers, matchers);
        for account in (0..ACCOUNTS).map(AccountId) {
            run.apply(Command::Open { account }, 0);
        }
        for (command, passed) in commands {
            run.apply(command, passed);
        }
        run.close_everything();
    }
}

/// A command, and the log time that has passed since the one before.
fn command() -> impl Strategy<Value = (Command, u64)> {
    let command = prop_oneof![
        2 => (account(), 0u16..3, 0u128..400).prop_map(|(account, asset, amount)| {
            Command::Deposit { account, asset: AssetId(asset), amount: Amount(amount) }
        }),
        12 => submit().prop_map(Command::Submit),
        4 => (account(), symbol(), order_id())
            .prop_map(|(account, symbol, order_id)| Command::Cancel { account, symbol, order_id }),
        1 => (account(), prop::option::of(symbol()))
            .prop_map(|(account, symbol)| Command::CancelAll { account, symbol }),
    ];
    let passed = prop_oneof![30 => 0u64..10, 1 => Just(ORDER_ID_WINDOW_US)];
    (command, passed)
}

fn submit() -> impl Strategy<Value = Submit> {
    let time_in_force = prop_oneof![
        4 => Just(TimeInForce::Gtc),
        1 => Just(TimeInForce::Ioc),
        1 => Just(TimeInForce::Fok),
        1 => Just(TimeInForce::PostOnly),
    ];
    let kind = (time_in_force, prop::bool::weighted(0.1));
    let terms = (any::<bool>(), 0u64..8, 0u64..12);
    (account(), symbol(), order_id(), kind, terms).prop_map(
        |(account, symbol, order_id, (time_in_force, market), (buys, price, quantity))| Submit {
            account,
            symbol,
            order_id,
            side: if buys { Side::Buy } else { Side::Sell },
            kind: if market { OrderKind::Market } else { OrderKind::Limit },
            price: Price(price),
            quantity: Quantity(quantity),
            time_in_force: if market { TimeInForce::Ioc } else { time_in_force },
        },
    )
}

fn account() -> impl Strategy<Value = AccountId> {
    (0..ACCOUNTS).prop_map(AccountId)
}

/// One more than there are.
fn symbol() -> impl Strategy<Value = SymbolId> {
    (0u32..5).prop_map(SymbolId)
}

/// Few, so that they come again.
fn order_id() -> impl Strategy<Value = ClientOrderId> {
    (0u32..30).prop_map(|id| ClientOrderId::new(&format!("o{id}")).unwrap())
}

/// Every asset is base here and quote there; a lot and a tick are several atoms.
fn market() -> Arc<Market> {
    let mut market = Market::default();
    for (asset, decimals) in [("COIN", 1), ("GOLD", 2), ("USD", 1)] {
        market.add_asset(asset, decimals).unwrap();
    }
    for (base, quote, tick, lot) in [
        ("COIN", "USD", "0.5", "1"),
        ("GOLD", "USD", "1", "0.1"),
        ("COIN", "GOLD", "0.3", "0.1"),
        ("USD", "COIN", "1", "0.2"),
    ] {
        let symbol = &format!("{base}-{quote}");
        market.add_instrument(&InstrumentSpec { symbol, base, quote, tick, lot, min_notional: "0" }).unwrap();
    }
    Arc::new(market)
}

struct Run {
    engine: Inline,
    witness: Witness,
    tape: Tape,
    now: u64,
    deposits: BTreeMap<AssetId, u128>,
    /// By submit: lots asked for, and what became of them.
    tallies: Vec<Tally>,
    /// The submit behind each live order.
    live: BTreeMap<(AccountId, String), usize>,
}

#[derive(Debug)]
struct Tally {
    submit: Submit,
    traded: u64,
    /// Cancelled, expired, or refused.
    ended: u64,
    answers: u32,
}

impl Run {
    fn new(sequencers: usize, matchers: usize) -> Self {
        let market = market();
        let shape = Shape { sequencers, matchers, log_entries_max: 0 };
        Self {
            engine: pipeline::run_inline(pipeline::build(shape, &market)),
            witness: Witness::new(&market),
            tape: Tape::default(),
            now: 0,
            deposits: BTreeMap::new(),
            tallies: Vec::new(),
            live: BTreeMap::new(),
        }
    }

    fn apply(&mut self, command: Command, passed: u64) {
        self.now += passed;
        match command {
            Command::Submit(submit) => {
                self.tallies.push(Tally { submit, traded: 0, ended: 0, answers: 0 });
            }
            Command::Deposit { asset, amount, .. } => *self.deposits.entry(asset).or_default() += amount.0,
            _ => {}
        }
        let input = Input { origin: Origin::default(), at: Timestamp(self.now), ticket: 0, command };
        let mut reports = Vec::new();
        self.engine.apply(&input, &mut |report: &Report| reports.push(report.clone()), &mut self.tape);
        for report in &reports {
            self.witness.report(report);
            self.tally(report);
        }
        self.check();
    }

    fn tally(&mut self, report: &Report) {
        let last = self.tallies.len().wrapping_sub(1);
        match &report.body {
            ReportBody::OrderAck { duplicate: false, order_id, .. } => {
                self.live.insert((report.account, order_id.as_str().into()), last);
                self.tallies[last].answers += 1;
            }
            // The repeat asked for nothing; the order it names has its own tally.
            ReportBody::OrderAck { .. } | ReportBody::OrderReject { .. } => {
                let tally = &mut self.tallies[last];
                tally.answers += 1;
                tally.ended = tally.submit.quantity.0;
            }
            ReportBody::Execution(Execution { kind, order, .. }) => {
                let at = self.live[&(report.account, order.order_id.as_str().into())];
                let tally = &mut self.tallies[at];
                match kind {
                    ExecutionKind::New => {}
                    ExecutionKind::Trade { quantity, price, .. } => {
                        tally.traded += quantity.0;
                        match tally.submit.side {
                            Side::Buy => assert!(*price <= tally.submit.price),
                            Side::Sell => assert!(*price >= tally.submit.price),
                        }
                    }
                    ExecutionKind::Cancelled | ExecutionKind::Expired => {
                        tally.ended += order.quantity.0 - order.traded.0;
                    }
                }
                if !order.live {
                    self.live.remove(&(report.account, order.order_id.as_str().into()));
                }
            }
            _ => {}
        }
    }

    fn check(&self) {
        let shards = self.engine.at_rest();
        self.witness.agrees_with(shards);
        self.tape.agrees_with(shards);
        for (asset, [has, _]) in shards.money().into_iter().enumerate() {
            let deposited = self.deposits.get(&AssetId(asset as u16)).copied().unwrap_or(0);
            assert_eq!(has.0, deposited, "asset {asset}");
        }
        for (at, tally) in self.tallies.iter().enumerate() {
            assert_eq!(tally.answers, 1, "every submit is answered once: {tally:?}");
            let Tally { submit, traded, ended, .. } = tally;
            let resting = match self.resting(submit) {
                Some(left) if self.live.values().any(|live| *live == at) => left,
                _ => 0,
            };
            assert_eq!(submit.quantity.0, traded + resting + ended, "{tally:?}");
        }
    }

    /// What the engine says an order of that name has left.
    fn resting(&self, submit: &Submit) -> Option<u64> {
        let shards = &self.engine.at_rest().sequencers;
        let view = shards[submit.account.0 as usize % shards.len()].machine.view(submit.account)?;
        let order = view.orders.iter().find(|order| order.order_id == submit.order_id)?;
        Some(order.quantity.0 - order.traded.0)
    }

    /// When every order is cancelled, nothing is held and every book is empty.
    fn close_everything(&mut self) {
        for account in (0..ACCOUNTS).map(AccountId) {
            self.apply(Command::CancelAll { account, symbol: None }, 0);
        }
        assert!(self.live.is_empty());
        let held = self.engine.at_rest().balances().iter().map(|(.., held)| held.0).sum::<u128>();
        assert_eq!(held, 0);
    }
}

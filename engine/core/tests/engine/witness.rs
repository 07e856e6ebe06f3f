//! Watches a run from outside: it believes nothing but the reports and the market's events, and keeps its own books.
//!
//! - Every account's history is gapless, and each of its order entries is followed by the balances it changed.
//! - Balances computed from deposits and executions alone are the ones that are reported.
//! - Orders get dense public numbers, trades dense ids and prices within both limits; a symbol's sequence moves by one
//!   exactly when its book changes.
//! - At rest the engine has these balances, these live orders and these levels, and no others.

use engine_core::book::Book;
use engine_core::executor::{AtRest, MarketSink, ReportSink};
use engine_core::instrument::{Instrument, Market};
use engine_core::matcher::MarketEvent;
use engine_core::message::*;
use engine_core::units::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What accounts are told. Made for reports in the order in which one thread made them.
pub struct Witness {
    market: Arc<Market>,
    accounts: BTreeMap<AccountId, Watched>,
    exchange_order_ids: BTreeMap<SymbolId, u64>,
}

#[derive(Default)]
struct Watched {
    exec_sequence: u64,
    balances: BTreeMap<AssetId, Balance>,
    live: BTreeMap<String, Live>,
    /// Assets that the last entry changed and that the next one must tell.
    untold: Vec<AssetId>,
}

struct Live {
    ordered: u64,
    traded: u64,
    traded_quote: u128,
}

impl Witness {
    pub fn new(market: &Arc<Market>) -> Self {
        Self { market: market.clone(), accounts: BTreeMap::new(), exchange_order_ids: BTreeMap::new() }
    }

    /// Compares what was told with what is.
    #[track_caller]
    pub fn agrees_with(&self, shards: &AtRest) {
        shards.check();
        let told = self.accounts.iter().flat_map(|(account, watched)| {
            watched.balances.values().map(|b| (*account, b.asset, b.available, b.held))
        });
        let told: Vec<_> = told.filter(is_something).collect();
        let are: Vec<_> = shards.balances().into_iter().filter(is_something).collect();
        assert_eq!(told, are, "balances by the reports, and in the ledger");
        for (account, watched) in &self.accounts {
            let machine = &shards.sequencers[account.0 as usize % shards.sequencers.len()].machine;
            let view = machine.view(*account).expect("it was told something");
            assert!(watched.untold.is_empty(), "every entry's balances were told");
            assert_eq!(view.exec_sequence, watched.exec_sequence);
            let live = view.orders.iter().map(|order| {
                let Quantity(left) = order.quantity;
                (order.order_id.as_str().to_owned(), left - order.traded.0)
            });
            let live: BTreeMap<_, _> = live.collect();
            let told = watched.live.iter().map(|(id, live)| (id.clone(), live.ordered - live.traded));
            assert_eq!(told.collect::<BTreeMap<_, _>>(), live, "ordered = traded + resting");
        }
    }

    fn execution(&mut self, account: AccountId, execution: &Execution) {
        let Execution { exec_sequence, kind, order } = *execution;
        let instrument = &self.market.instruments[order.symbol.0 as usize];
        let watched = self.accounts.entry(account).or_default();
        watched.next(exec_sequence);
        assert!(watched.untold.is_empty(), "an entry's balances follow it");
        let id = order.order_id.as_str();
        let (held_asset, hold) = hold_of(instrument, &order, order.quantity.0);
        match kind {
            ExecutionKind::New => {
                watched.balance(held_asset).available.0 -= hold;
                watched.balance(held_asset).held.0 += hold;
                watched.untold = vec![held_asset];
                let live = Live { ordered: order.quantity.0, traded: 0, traded_quote: 0 };
                let before = watched.live.insert(id.into(), live);
                assert!(before.is_none(), "{id} is new while it lives");
            }
            ExecutionKind::Trade { price, quantity, .. } => {
                assert!(!quantity.is_zero());
                let notional = instrument.notional(price, quantity).0;
                let (_, held) = hold_of(instrument, &order, quantity.0);
                let (paid, bought, got) = match order.side {
                    Side::Buy => (notional, instrument.base, instrument.base_amount(quantity).0),
                    Side::Sell => (held, instrument.quote, notional),
                };
                match order.side {
                    Side::Buy => assert!(price <= order.price, "{id} pays more than its limit"),
                    Side::Sell => assert!(price >= order.price, "{id} gets less than its limit"),
                }
                watched.balance(held_asset).held.0 -= held;
                watched.balance(held_asset).available.0 += held - paid;
                watched.balance(bought).available.0 += got;
                watched.untold = vec![held_asset, bought];
                let live = watched.live.get_mut(id).expect("only live orders trade");
                live.traded += quantity.0;
                live.traded_quote += notional;
                let so_far = (live.ordered, live.traded, live.traded_quote);
                assert_eq!((order.quantity.0, order.traded.0, order.traded_quote.0), so_far);
                assert_eq!(order.live, live.traded < live.ordered);
                if !order.live {
                    watched.live.remove(id);
                }
            }
            ExecutionKind::Cancelled | ExecutionKind::Expired => {
                let live = watched.live.remove(id).expect("an order ends once");
                assert_eq!(
                    (order.quantity.0, order.traded.0, order.live),
                    (live.ordered, live.traded, false)
                );
                let (_, left) = hold_of(instrument, &order, live.ordered - live.traded);
                watched.balance(held_asset).held.0 -= left;
                watched.balance(held_asset).available.0 += left;
                watched.untold = vec![held_asset];
            }
        }
    }

    fn balance(&mut self, account: AccountId, change: &BalanceChange) {
        let watched = self.accounts.entry(account).or_default();
        watched.next(change.exec_sequence);
        let told: Vec<Balance> = change.balances.into_iter().flatten().collect();
        if watched.untold.is_empty() {
            let [told] = told[..] else { panic!("a deposit is of one asset") };
            let before = watched.balance(told.asset);
            assert!(told.held == before.held && told.available >= before.available, "a deposit only adds");
            *before = told;
            return;
        }
        let untold = std::mem::take(&mut watched.untold);
        let expected: Vec<Balance> = untold.into_iter().map(|asset| *watched.balance(asset)).collect();
        assert_eq!(told, expected, "balances after an entry");
    }
}

impl ReportSink for Witness {
    fn report(&mut self, report: &Report) {
        match &report.body {
            ReportBody::OrderAck { duplicate: false, symbol, exchange_order_id, .. } => {
                let last = self.exchange_order_ids.entry(*symbol).or_default();
                *last += 1;
                assert_eq!(exchange_order_id, last, "public numbers are dense");
            }
            ReportBody::Execution(execution) => self.execution(report.account, execution),
            ReportBody::Balance(change) => self.balance(report.account, change),
            _ => {}
        }
    }
}

impl Watched {
    fn next(&mut self, exec_sequence: u64) {
        self.exec_sequence += 1;
        assert_eq!(exec_sequence, self.exec_sequence, "an account's history has no gap");
    }

    fn balance(&mut self, asset: AssetId) -> &mut Balance {
        let none = Balance { asset, available: Amount(0), held: Amount(0) };
        self.balances.entry(asset).or_insert(none)
    }
}

/// The judge's own idea of what an order holds.
fn hold_of(instrument: &Instrument, order: &OrderView, lots: u64) -> (AssetId, u128) {
    match order.side {
        Side::Buy => (instrument.quote, instrument.notional(order.price, Quantity(lots)).0),
        Side::Sell => (instrument.base, instrument.base_amount(Quantity(lots)).0),
    }
}

fn is_something((_, _, available, held): &(AccountId, AssetId, Amount, Amount)) -> bool {
    available.0 + held.0 != 0
}

/// What the market is told.
#[derive(Default)]
pub struct Tape {
    symbols: BTreeMap<SymbolId, Told>,
}

#[derive(Default)]
struct Told {
    sequence: u64,
    trade: u64,
    /// Whether the command that is being told changed the book.
    changed: bool,
    levels: BTreeMap<(Side, Price), Quantity>,
}

impl Tape {
    pub fn sequence(&self, symbol: SymbolId) -> u64 {
        self.symbols.get(&symbol).map_or(0, |told| told.sequence)
    }

    #[track_caller]
    pub fn agrees_with(&self, shards: &AtRest) {
        for (symbol, told) in &self.symbols {
            let machine = &shards.matchers[symbol.0 as usize % shards.matchers.len()].machine;
            let counters = machine.counters().find(|(id, _)| id == symbol).expect("it was told of").1;
            assert_eq!((counters.sequence.0, counters.trade.0), (told.sequence, told.trade));
            assert!(!told.changed, "every change is told to be complete");
            let mut levels = BTreeMap::new();
            for side in [Side::Buy, Side::Sell] {
                machine.book(*symbol).levels(side, |price, total| {
                    levels.insert((side, price), total);
                    true
                });
            }
            assert_eq!(told.levels, levels, "levels by the events, and in the book");
        }
    }
}

impl MarketSink for Tape {
    fn event(&mut self, event: &MarketEvent) {
        match *event {
            MarketEvent::Trade(symbol, print) => {
                let told = self.symbols.entry(symbol).or_default();
                told.trade += 1;
                told.changed = true;
                assert_eq!((print.trade.0, print.sequence.0), (told.trade, told.sequence + 1));
            }
            MarketEvent::Level(symbol, side, price, total) => {
                let told = self.symbols.entry(symbol).or_default();
                told.changed = true;
                let before = match total {
                    Quantity::ZERO => told.levels.remove(&(side, price)),
                    total => told.levels.insert((side, price), total),
                };
                assert_ne!(before.unwrap_or_default(), total, "a level is told when it changes");
            }
            MarketEvent::Applied(symbol, sequence, _) => {
                let told = self.symbols.entry(symbol).or_default();
                told.sequence += 1;
                assert_eq!(sequence.0, told.sequence, "no sequence is skipped");
                assert!(std::mem::take(&mut told.changed), "the sequence moves only when the book changes");
            }
        }
    }

    fn publish(&mut self) {}
}

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
use engine_core::limits::FEE_TIERS;
use engine_core::matcher::MarketEvent;
use engine_core::message::*;
use engine_core::units::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What accounts are told. Made for reports in the order in which one thread made them.
pub struct Witness {
    market: Market,
    accounts: BTreeMap<AccountId, Watched>,
    exchange_order_ids: BTreeMap<SymbolId, u64>,
    /// The order whose change is what a balance told alone is about.
    changing: Option<(AccountId, String)>,
    /// The order that is being submitted and not told of yet.
    coming: Option<Submit>,
}

#[derive(Default)]
struct Watched {
    tier: u8,
    exec_sequence: u64,
    balances: BTreeMap<AssetId, Balance>,
    /// What was asked for under an id, as long as nobody was told that it is live.
    asked: BTreeMap<String, Submit>,
    live: BTreeMap<String, Live>,
    /// Held for withdrawals and transfers.
    aside: BTreeMap<AssetId, u128>,
    /// Assets that the last entry changed and that the next one must tell.
    untold: Vec<AssetId>,
}

struct Live {
    submit: Submit,
    fees: Fees,
    left: u64,
    traded: u64,
    traded_quote: u128,
    fee_parts: i128,
    decremented: u64,
    /// Held for a change that is on its way.
    aside: u128,
}

impl Witness {
    pub fn new(market: &Arc<Market>) -> Self {
        Self {
            market: Market::clone(market),
            accounts: BTreeMap::new(),
            exchange_order_ids: BTreeMap::new(),
            changing: None,
            coming: None,
        }
    }

    /// Hears a command before the engine does.
    pub fn sees(&mut self, command: &Command) {
        self.changing = None;
        self.coming = None;
        match *command {
            Command::Amend(Amend { account, order_id, .. }) => {
                self.changing = Some((account, order_id.as_str().into()));
            }
            Command::Submit(submit) => {
                self.coming = Some(submit);
                let watched = self.accounts.entry(submit.account).or_default();
                let id = submit.order_id.as_str();
                // Of several with one id, the engine takes the first that it does not refuse.
                if !watched.live.contains_key(id) {
                    watched.asked.insert(id.into(), submit);
                }
            }
            Command::SetAccount { account, tier, .. } if (tier as usize) < FEE_TIERS => {
                self.accounts.entry(account).or_default().tier = tier;
            }
            Command::SetFees { symbol, tier, fees } => {
                if let Some(instrument) = self.market.instruments.get_mut(symbol.0 as usize)
                    && let Some(known) = instrument.fees.get_mut(tier as usize)
                    && fees.are_valid()
                {
                    *known = fees;
                }
            }
            Command::List(listing) => drop(self.market.list(&listing)),
            Command::ListAsset(listing) => drop(self.market.list_asset(&listing)),
            _ => {}
        }
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
            let Some(view) = machine.view(*account) else { continue };
            assert!(watched.untold.is_empty(), "every entry's balances were told");
            assert_eq!(view.exec_sequence, watched.exec_sequence);
            let live =
                view.orders.iter().map(|order| (order.view.order_id.as_str().to_owned(), order.view.left.0));
            let live: BTreeMap<_, _> = live.collect();
            let told = watched.live.iter().map(|(id, live)| (id.clone(), live.left));
            assert_eq!(told.collect::<BTreeMap<_, _>>(), live, "ordered = traded + decremented + resting");
        }
    }

    fn execution(&mut self, account: AccountId, execution: &Execution) {
        let Execution { exec_sequence, kind, order } = *execution;
        let instrument = &self.market.instruments[order.symbol.0 as usize];
        let watched = self.accounts.entry(account).or_default();
        watched.next(exec_sequence);
        assert!(watched.untold.is_empty(), "an entry's balances follow it");
        let id = order.order_id.as_str();
        let asset = if order.side == Side::Buy { instrument.quote } else { instrument.base };
        watched.untold = vec![asset];
        let held_before = watched.live.get(id).map_or(0, |live| live.hold(instrument));
        let mut paid_out = 0;
        match kind {
            ExecutionKind::New => {
                self.coming = None;
                let submit = watched.asked.remove(id).expect("nobody has an order that was not asked for");
                let fees = instrument.fees[watched.tier as usize];
                let before = watched.live.insert(id.into(), Live::new(submit, fees, order.left.0));
                assert!(before.is_none(), "{id} is new while it lives");
            }
            ExecutionKind::Triggered => watched.live(id).trigger(),
            ExecutionKind::Replaced => {
                let live = watched.live(id);
                // An amend to no more than has traded leaves everything to the cancel that follows.
                if !order.left.is_zero() && (order.price, order.left.0) != (live.submit.price, live.left) {
                    (live.submit.price, live.left) = (order.price, order.left.0);
                }
                let aside = std::mem::take(&mut live.aside);
                watched.put_back(asset, aside);
            }
            ExecutionKind::Decremented { quantity } => {
                let live = watched.live(id);
                live.left -= quantity.0;
                live.decremented += quantity.0;
            }
            ExecutionKind::Trade { price, quantity, liquidity, fee, .. } => {
                assert!(!quantity.is_zero());
                let notional = instrument.notional(price, quantity).0;
                let live = watched.live(id);
                match order.side {
                    Side::Buy => assert!(price <= live.submit.price, "{id} pays more than its limit"),
                    Side::Sell => assert!(price >= live.submit.price, "{id} gets less than its limit"),
                }
                assert_eq!(fee, live.trade(quantity.0, notional, liquidity), "the fee of {id}");
                let (bought, got) = match order.side {
                    Side::Buy => (instrument.base, instrument.base_amount(quantity).0),
                    Side::Sell => (instrument.quote, (notional as i128 - fee) as u128),
                };
                let paid = match order.side {
                    Side::Buy => (notional as i128 + fee) as u128,
                    Side::Sell => instrument.base_amount(quantity).0,
                };
                paid_out = paid;
                watched.balance(bought).available.0 += got;
                watched.untold = vec![asset, bought];
            }
            ExecutionKind::Closed(_) => watched.live(id).left = 0,
        }
        let live = watched.live(id);
        if !matches!(live.submit.terms, Terms::Budget { .. }) && !matches!(kind, ExecutionKind::Closed(_)) {
            assert_eq!(order.quantity.0, live.left + live.traded + live.decremented, "{id} adds up");
        }
        assert_eq!((order.traded.0, order.traded_quote.0), (live.traded, live.traded_quote));
        if !matches!(kind, ExecutionKind::Replaced) || !order.left.is_zero() {
            assert_eq!(order.left.0, live.left, "what {id} has left");
        }
        assert_eq!(order.is_live(), live.left > 0);
        let held_after = live.hold(instrument);
        if live.left == 0 {
            let live = watched.live.remove(id).expect("it is there");
            watched.put_back(asset, live.aside); // a change on its way has nothing to change any more
        }
        let balance = watched.balance(asset);
        balance.available.0 = balance.available.0 + held_before - held_after - paid_out;
        balance.held.0 = balance.held.0 + held_after - held_before;
    }

    fn balance(&mut self, account: AccountId, change: &BalanceChange) {
        let watched = self.accounts.entry(account).or_default();
        watched.next(change.exec_sequence);
        let told: Vec<Balance> = change.balances.into_iter().flatten().collect();
        if watched.untold.is_empty() {
            let [told] = told[..] else { panic!("a deposit is of one asset") };
            let before = *watched.balance(told.asset);
            // Money comes, goes aside, comes back from there or is gone from there.
            let changing = self.changing.as_ref().filter(|(of, _)| *of == account);
            let aside = match changing.and_then(|(_, id)| watched.live.get_mut(id)) {
                Some(live) => &mut live.aside,
                None => watched.aside.entry(told.asset).or_default(),
            };
            *aside = (*aside + told.held.0)
                .checked_sub(before.held.0)
                .expect("only what was put aside comes back");
            *watched.balance(told.asset) = told;
            return;
        }
        let untold = std::mem::take(&mut watched.untold);
        let expected: Vec<Balance> = untold.into_iter().map(|asset| *watched.balance(asset)).collect();
        // An order that came with a timer's end holds already, and is told of after what the timer did.
        let coming = self.coming.filter(|coming| coming.account == account);
        let coming = coming.and_then(|coming| watched.hold_of_coming(&self.market, coming));
        let with_coming = expected.iter().map(|balance| match coming {
            Some((asset, hold)) if asset == balance.asset && balance.available.0 >= hold => Balance {
                asset,
                available: Amount(balance.available.0 - hold),
                held: Amount(balance.held.0 + hold),
            },
            _ => *balance,
        });
        if told != with_coming.collect::<Vec<_>>() {
            assert_eq!(told, expected, "balances after an entry");
        }
    }
}

impl Live {
    fn new(submit: Submit, fees: Fees, left: u64) -> Self {
        Self { submit, fees, left, traded: 0, traded_quote: 0, fee_parts: 0, decremented: 0, aside: 0 }
    }

    /// Returns what this trade costs in fees.
    fn trade(&mut self, quantity: u64, notional: u128, liquidity: Liquidity) -> i128 {
        let before = fee_of(self.fee_parts);
        let rate = if liquidity == Liquidity::Taker { self.fees.taker } else { self.fees.maker };
        self.fee_parts += notional as i128 * rate as i128;
        self.left -= quantity;
        self.traded += quantity;
        self.traded_quote += notional;
        if matches!(self.submit.terms, Terms::Oco { .. }) {
            self.submit.terms = Terms::Plain;
        }
        fee_of(self.fee_parts) - before
    }

    fn trigger(&mut self) {
        if let Terms::Oco { then, .. } = self.submit.terms {
            self.submit.price = then;
        }
        self.submit.terms = Terms::Plain;
    }

    /// The judge's own idea of what an order holds.
    fn hold(&self, instrument: &Instrument) -> u128 {
        let submit = &self.submit;
        if self.left == 0 {
            return 0;
        }
        if submit.side == Side::Sell {
            return instrument.base_amount(Quantity(self.left)).0;
        }
        if let Terms::Budget { quote } = submit.terms {
            return (quote.0 as i128 - self.traded_quote as i128 - fee_of(self.fee_parts)) as u128;
        }
        let price = match submit.terms {
            Terms::Oco { then, .. } => then.max(submit.price),
            _ => submit.price,
        };
        let notional = instrument.notional(price, Quantity(self.left)).0;
        let dearer = self.fees.maker.max(self.fees.taker).max(0) as i128;
        let fee = fee_of(self.fee_parts + notional as i128 * dearer) - fee_of(self.fee_parts);
        notional + fee as u128
    }
}

/// Tenths of basis points, rounded up.
fn fee_of(parts: i128) -> i128 {
    -(-parts).div_euclid(100_000)
}

impl ReportSink for Witness {
    fn report(&mut self, report: &Report) {
        match &report.body {
            ReportBody::OrderAck { duplicate: false, symbol, exchange_order_id, .. } => {
                let last = self.exchange_order_ids.entry(*symbol).or_default();
                *last += 1;
                assert_eq!(exchange_order_id, last, "public numbers are dense");
            }
            ReportBody::AmendReject { order_id, .. } => {
                self.changing = Some((report.account, order_id.as_str().into()));
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

    fn live(&mut self, id: &str) -> &mut Live {
        self.live.get_mut(id).unwrap_or_else(|| panic!("{id} is not live"))
    }

    /// What an order will hold once it is told of.
    fn hold_of_coming(&self, market: &Market, submit: Submit) -> Option<(AssetId, u128)> {
        let instrument = market.instruments.get(submit.symbol.0 as usize)?;
        let asset = if submit.side == Side::Buy { instrument.quote } else { instrument.base };
        let lots = match submit.terms {
            Terms::Budget { quote } if submit.side == Side::Sell => {
                quote.0 / instrument.notional(submit.price, Quantity(1)).0.max(1)
            }
            _ => submit.quantity.0 as u128,
        };
        let lots = lots.min(instrument.quantity_max.0 as u128) as u64;
        let is_budget = matches!(submit.terms, Terms::Budget { .. });
        let left = if is_budget { lots.max(1) } else { lots };
        let fees = instrument.fees[self.tier as usize];
        Some((asset, Live::new(submit, fees, left).hold(instrument)))
    }

    /// What was put aside for a change goes back.
    fn put_back(&mut self, asset: AssetId, aside: u128) {
        let balance = self.balance(asset);
        balance.available.0 += aside;
        balance.held.0 -= aside;
    }

    fn balance(&mut self, asset: AssetId) -> &mut Balance {
        let none = Balance { asset, available: Amount(0), held: Amount(0) };
        self.balances.entry(asset).or_insert(none)
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
            MarketEvent::State(..) => {}
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

//! What customers can know, kept by their own arithmetic: they believe the reports and check each against the rest.
//!
//! While things are on the way a customer cannot know what is held, because an order holds before it is answered. But
//! what an account has in all changes by deposits and trades alone, so every balance told must have that sum.

use engine_core::executor::AtRest;
use engine_core::instrument::{Instrument, Market};
use engine_core::message::*;
use engine_core::units::*;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub struct Clients {
    market: Arc<Market>,
    /// By request.
    asked: Vec<Asked>,
    accounts: BTreeMap<AccountId, Customer>,
    /// By reason, for seeing that a long run meets all of them.
    pub rejects: [u64; Reject::ALL.len()],
}

struct Asked {
    command: Command,
    answers: u32,
}

#[derive(Default)]
struct Customer {
    exec_sequence: u64,
    /// All there is of an asset: available and held.
    total: BTreeMap<AssetId, u128>,
    live: HashMap<ClientOrderId, Live>,
}

struct Live {
    submit: Submit,
    exchange_order_id: u64,
    traded: u64,
    traded_quote: u128,
}

impl Live {
    fn left(&self) -> u64 {
        self.submit.quantity.0 - self.traded
    }
}

impl Clients {
    pub fn new(market: &Arc<Market>) -> Clients {
        Clients {
            market: market.clone(),
            asked: Vec::new(),
            accounts: BTreeMap::new(),
            rejects: [0; Reject::ALL.len()],
        }
    }

    /// A command is made. Requests are numbered from 0.
    pub fn ask(&mut self, input: &Input) {
        assert_eq!(input.origin.request as usize, self.asked.len());
        self.asked.push(Asked { command: input.command, answers: 0 });
    }

    /// A command reaches the engine, which is when a deposit counts.
    pub fn enter(&mut self, input: &Input) {
        match input.command {
            Command::Open { account } => drop(self.accounts.entry(account).or_default()),
            Command::Deposit { account, asset, amount } if (asset.0 as usize) < self.market.assets.len() => {
                if let Some(customer) = self.accounts.get_mut(&account) {
                    *customer.total.entry(asset).or_default() += amount.0;
                }
            }
            _ => {}
        }
    }

    pub fn hear(&mut self, report: &Report) {
        if let Recipient::Asker(origin) = report.to {
            self.answer(origin.request as usize, report);
        }
        match &report.body {
            ReportBody::Execution(execution) => {
                self.next_entry(report.account, execution.exec_sequence);
                self.execution(report.account, execution);
            }
            ReportBody::Balance(change) => {
                self.next_entry(report.account, change.exec_sequence);
                let customer = &self.accounts[&report.account];
                for balance in change.balances.into_iter().flatten() {
                    let told = balance.available.0 + balance.held.0;
                    let has = customer.total.get(&balance.asset).copied().unwrap_or(0);
                    assert_eq!(told, has, "{balance:?} of account {}", report.account);
                }
            }
            _ => {}
        }
    }

    fn next_entry(&mut self, account: AccountId, exec_sequence: u64) {
        let customer =
            self.accounts.get_mut(&account).expect("only accounts that were opened have a history");
        customer.exec_sequence += 1;
        assert_eq!(exec_sequence, customer.exec_sequence, "the history of account {account} has no gap");
    }

    // ---- answers ------------------------------------------------------------------------------------------------

    /// Whether this answers what was asked; that it is the only answer.
    fn answer(&mut self, request: usize, report: &Report) {
        let asked = &mut self.asked[request];
        asked.answers += 1;
        let command = asked.command;
        assert_eq!(asked.answers, 1, "{command:?} has a second answer: {report:?}");
        assert_eq!(report.account, command.account(), "an answer to somebody else");
        match (command, &report.body) {
            (Command::Submit(submit), ReportBody::OrderAck { order_id, symbol, .. }) => {
                assert_eq!((submit.order_id, submit.symbol), (*order_id, *symbol));
                self.acknowledged(&submit, report);
            }
            (Command::Submit(submit), ReportBody::OrderReject { order_id, reason }) => {
                assert_eq!(submit.order_id, *order_id);
                self.rejects[*reason as usize] += 1;
                self.refused(&submit, *reason);
            }
            (
                Command::Cancel { order_id, symbol, .. },
                ReportBody::CancelAck { order_id: told, symbol: of, .. },
            ) => {
                assert_eq!((order_id, symbol), (*told, *of));
            }
            (Command::Cancel { order_id, .. }, ReportBody::CancelReject { order_id: told, reason }) => {
                assert_eq!(order_id, *told);
                self.rejects[*reason as usize] += 1;
            }
            (Command::CancelAll { symbol, .. }, ReportBody::CancelAllAck { symbol: told, .. }) => {
                assert_eq!(symbol, *told);
            }
            _ => panic!("{command:?} is answered by {report:?}"),
        }
    }

    fn acknowledged(&mut self, submit: &Submit, report: &Report) {
        let ReportBody::OrderAck { exchange_order_id, duplicate, .. } = report.body else { unreachable!() };
        assert_eq!(self.broken_rule(submit), None, "accepted against the rules: {submit:?}");
        let customer = self.accounts.get_mut(&submit.account).expect("no rule is broken");
        if duplicate {
            // The first may be gone by now.
            if let Some(live) = customer.live.get(&submit.order_id) {
                assert_eq!(live.exchange_order_id, exchange_order_id);
            }
            return;
        }
        let live = Live { submit: *submit, exchange_order_id, traded: 0, traded_quote: 0 };
        let before = customer.live.insert(submit.order_id, live);
        assert!(before.is_none(), "{submit:?} is new while it lives");
    }

    fn refused(&self, submit: &Submit, reason: Reject) {
        let broken = self.broken_rule(submit);
        match reason {
            Reject::DuplicateOrderId | Reject::Overloaded => {}
            Reject::InsufficientBalance => assert_eq!(broken, None),
            Reject::PostOnlyWouldTake => {
                assert_eq!((broken, submit.time_in_force), (None, TimeInForce::PostOnly));
            }
            _ => assert_eq!(broken, Some(reason), "{submit:?}"),
        }
    }

    /// The first rule that an order breaks whatever the account has and the book holds.
    fn broken_rule(&self, submit: &Submit) -> Option<Reject> {
        if !self.accounts.contains_key(&submit.account) {
            return Some(Reject::UnknownAccount);
        }
        let Some(instrument) = self.market.instruments.get(submit.symbol.0 as usize) else {
            return Some(Reject::UnknownSymbol);
        };
        if !(Price(1)..=instrument.price_max).contains(&submit.price) {
            return Some(Reject::PriceRange);
        }
        if !(Quantity(1)..=instrument.quantity_max).contains(&submit.quantity) {
            return Some(Reject::QuantityRange);
        }
        let notional = instrument.notional(submit.price, submit.quantity);
        (notional < instrument.min_notional).then_some(Reject::MinNotional)
    }

    // ---- executions ---------------------------------------------------------------------------------------------

    fn execution(&mut self, account: AccountId, execution: &Execution) {
        let Execution { kind, order, .. } = execution;
        let instrument = &self.market.instruments[order.symbol.0 as usize];
        let customer = self.accounts.get_mut(&account).expect("it has a history");
        let live = customer.live.get_mut(&order.order_id).expect("what happens happens to a live order");
        match *kind {
            ExecutionKind::New => assert!(order.live),
            ExecutionKind::Trade { price, quantity, .. } => {
                assert!(accepts(&live.submit, price), "a trade at {price} beyond {:?}", live.submit);
                assert!((1..=live.left()).contains(&quantity.0), "{quantity} lots of {}", live.left());
                let (quote, base) =
                    (instrument.notional(price, quantity).0, instrument.base_amount(quantity).0);
                live.traded += quantity.0;
                live.traded_quote += quote;
                assert_eq!(order.live, live.left() > 0);
                let (paid, got) = match order.side {
                    Side::Buy => ((instrument.quote, quote), (instrument.base, base)),
                    Side::Sell => ((instrument.base, base), (instrument.quote, quote)),
                };
                *customer.total.get_mut(&paid.0).expect("it was held") -= paid.1;
                *customer.total.entry(got.0).or_default() += got.1;
            }
            ExecutionKind::Cancelled => assert!(!order.live && live.left() > 0),
            ExecutionKind::Expired => {
                assert!(!order.live && live.left() > 0);
                let may_rest = matches!(live.submit.time_in_force, TimeInForce::Gtc | TimeInForce::PostOnly);
                assert!(!may_rest, "{:?} expired", live.submit);
            }
        }
        live.agrees_with(order);
        if !order.live {
            customer.live.remove(&order.order_id);
        }
    }

    // ---- at rest ------------------------------------------------------------------------------------------------

    /// Nothing is on the way: every request was answered and the engine has what it told, and nothing else.
    pub fn agree_with(&self, shards: &AtRest) {
        for Asked { command, answers } in &self.asked {
            let expected = !matches!(command, Command::Open { .. } | Command::Deposit { .. });
            assert_eq!(*answers, expected as u32, "answers to {command:?}");
        }
        for (account, customer) in &self.accounts {
            let shard = &shards.sequencers[account.0 as usize % shards.sequencers.len()];
            let view = shard.machine.view(*account).expect("it is open");
            assert_eq!(view.exec_sequence, customer.exec_sequence);
            assert_eq!(view.orders.len(), customer.live.len(), "live orders of account {account}");
            for order in &view.orders {
                customer.live[&order.order_id].agrees_with(order);
            }
            let has = view.balances.iter().map(|balance| {
                assert_eq!(balance.held.0, customer.held(balance.asset, &self.market), "held by {account}");
                (balance.asset, balance.available.0 + balance.held.0)
            });
            let has: BTreeMap<AssetId, u128> = has.collect();
            assert_eq!(has, customer.total, "what account {account} has");
        }
    }

    /// What a live order has left by the reports.
    pub fn left(&self, submit: &Submit) -> Option<u64> {
        let live = self.accounts.get(&submit.account)?.live.get(&submit.order_id)?;
        Some(live.left())
    }

    pub fn live_orders(&self) -> usize {
        self.accounts.values().map(|customer| customer.live.len()).sum()
    }
}

impl Customer {
    fn held(&self, asset: AssetId, market: &Market) -> u128 {
        let holds = self.live.values().map(|live| {
            let instrument = &market.instruments[live.submit.symbol.0 as usize];
            match hold_of(instrument, &live.submit, live.left()) {
                (held, amount) if held == asset => amount,
                _ => 0,
            }
        });
        holds.sum()
    }
}

impl Live {
    fn agrees_with(&self, order: &OrderView) {
        let Submit { side, kind, price, quantity, symbol, .. } = self.submit;
        assert_eq!(
            (order.side, order.kind, order.price, order.quantity, order.symbol, order.exchange_order_id),
            (side, kind, price, quantity, symbol, self.exchange_order_id),
        );
        assert_eq!((order.traded.0, order.traded_quote.0), (self.traded, self.traded_quote), "{order:?}");
    }
}

/// The customers' own idea of what an order holds.
fn hold_of(instrument: &Instrument, submit: &Submit, lots: u64) -> (AssetId, u128) {
    match submit.side {
        Side::Buy => (instrument.quote, instrument.notional(submit.price, Quantity(lots)).0),
        Side::Sell => (instrument.base, instrument.base_amount(Quantity(lots)).0),
    }
}

fn accepts(submit: &Submit, price: Price) -> bool {
    match submit.side {
        Side::Buy => price <= submit.price,
        Side::Sell => price >= submit.price,
    }
}

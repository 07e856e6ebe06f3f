//! A sequencer shard: the accounts with `account % sequencers == index`, their money and their live orders.
//!
//! It checks and funds what comes in, numbers it and sends it to the matcher of the symbol; what the matcher answers
//! it settles. So every order is funded before it can trade, and a hold ends exactly once: settled, released, or
//! refunded where the price was better.
//!
//! A pure state machine: [`Sequencer::input`] and [`Sequencer::settle`] are its only ways to change, and what they
//! put into the [`Outbox`] depends on nothing but the state and the record. A refusal changes nothing but the memory
//! of the order id it answers.
//!
//! - here: the state, and what goes where
//! - `admit`: a new order; `change`: cancels, amends and timers
//! - `guards`: what is to be cancelled should somebody be gone
//! - `news`: what the matcher says of an order
//! - `money`: deposits, withdrawals, transfers; `operate`: listings, fees, states
//! - `holds`: what orders hold and trades cost; `orders`: the slab of live orders; `order_ids`: the memory of ids
//! - `audit`: what always holds; `state`: it all as bytes

mod admit;
mod audit;
mod change;
mod guards;
mod holds;
mod money;
mod news;
mod operate;
mod order_ids;
pub(crate) mod orders;
mod state;

use crate::instrument::{Instrument, Market};
use crate::ledger::{Balances, Flows};
use crate::link::{Gap, Marks, Numbers};
use crate::message::*;
use crate::units::*;
use order_ids::OrderIds;
use orders::{List, Order, Orders, Slot};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What applying a record put out; the executor empties it.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Messages by matcher.
    pub to_matchers: Vec<(usize, Numbered<ToMatcher>)>,
    /// For the outside, once the records that caused them are durable.
    pub reports: Vec<Report>,
}

/// One sequencer shard.
#[derive(Clone, Debug)]
pub struct Sequencer {
    index: usize,
    sequencers: usize,
    matchers: usize,
    /// Shared by all shards until the first listing at run time.
    market: Arc<Market>,
    /// The greatest time of any input.
    now: Timestamp,
    /// By `account / sequencers`.
    accounts: Vec<Account>,
    orders: Orders,
    order_ids: OrderIds,
    /// Money that came in and went out of this shard's accounts other than by trades, and fees; by asset.
    flows: Flows,
    /// Money of withdrawals and transfers that have not ended, by account and the operator's number.
    parked: BTreeMap<(AccountId, u64), Parked>,
    /// Dead-man timers, by account and by time.
    deadlines: BTreeMap<AccountId, Timestamp>,
    timers: BTreeSet<(Timestamp, AccountId)>,
    /// Guards that stand, by account and number.
    guards: BTreeMap<(AccountId, u32), Guard>,
    marks: Marks,
    numbers: Numbers,
    /// Repeats of submits that the matcher has not answered yet, by the order they wait for.
    repeats_waiting: Vec<(Slot, Origin)>,
    audits: audit::Audits,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Account {
    open: bool,
    name: Option<Box<AccountName>>,
    state: AccountState,
    tier: u8,
    /// The number of the last entry of the account's history.
    exec_sequence: u64,
    balances: Balances,
    live: List,
}

/// Money that is held, but not by an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Parked {
    asset: AssetId,
    amount: Amount,
    /// Whether it is on its way to another account, and not waiting for the operator.
    is_transfer: bool,
}

impl Account {
    fn next_exec_sequence(&mut self) -> u64 {
        self.exec_sequence += 1;
        self.exec_sequence
    }
}

impl Sequencer {
    /// Shard `index` of `sequencers`, talking to `matchers`.
    pub fn new(index: usize, sequencers: usize, matchers: usize, market: Arc<Market>) -> Self {
        Self {
            index,
            sequencers,
            matchers,
            now: Timestamp(0),
            accounts: Vec::new(),
            orders: Orders::new(index),
            order_ids: OrderIds::default(),
            flows: Flows::new(market.assets.len()),
            parked: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            timers: BTreeSet::new(),
            guards: BTreeMap::new(),
            marks: Marks::new(matchers),
            numbers: Numbers::new(matchers),
            repeats_waiting: Vec::new(),
            audits: Default::default(),
            market,
        }
    }

    /// Applies an input from outside.
    ///
    /// # Panics
    /// If the command belongs to another sequencer.
    pub fn input(&mut self, input: &Input, out: &mut Outbox) {
        if let Route::One(shard) = input.command.route(self.sequencers) {
            assert_eq!(shard, self.index, "a command at a foreign shard");
        }
        self.now = self.now.max(input.at);
        if let Some(account) = input.command.account() {
            self.time_out(account, out); // what its owner asks for comes after what was due before
        }
        match input.command {
            Command::Submit(submit) => self.submit(input, submit, out),
            Command::Cancel { account, symbol, order_id } => {
                self.cancel(input, account, symbol, order_id, out)
            }
            Command::CancelAll { account, symbol, group, by } => {
                self.cancel_all(input, account, symbol, group, by, out)
            }
            Command::Amend(amend) => self.amend(input, amend, out),
            Command::CancelAllAfter { account, timeout_us } => {
                self.cancel_all_after(input.origin, account, timeout_us, out)
            }
            Command::TimeOut { .. } => {} // has been seen to
            Command::EndGuard { account, group, cancels } => self.end_guard(account, group, cancels, out),
            other => self.operate(input, other, out),
        }
        if let Some(account) = input.command.account() {
            self.audit(account);
        }
    }

    /// Applies a message of matcher `from`; a repeat changes nothing.
    pub fn settle(
        &mut self,
        from: usize,
        message: &Numbered<FromMatcher>,
        out: &mut Outbox,
    ) -> Result<(), Gap> {
        if !self.marks.advance(from, message.number)? {
            return Ok(());
        }
        match &message.message {
            FromMatcher::Order(news) => self.news(news, out),
            FromMatcher::Relayed(transfer) => self.relayed(*transfer, out),
            FromMatcher::State { asker, result } => self.answer_operator(*asker, *result, out),
        }
        Ok(())
    }

    /// Looks at what a coming input will need. Ids and orders are spread over more memory than a cache holds; looking
    /// for a whole batch first lets the machine wait for many lines at once instead of one after the other.
    pub fn warm(&self, input: &Input) {
        let (account, order_id) = match &input.command {
            Command::Submit(Submit { account, order_id, .. }) => (account, order_id),
            Command::Cancel { account, order_id, .. } => (account, order_id),
            Command::Amend(Amend { account, order_id, .. }) => (account, order_id),
            _ => return,
        };
        if let Some(number) = self.order_ids.find(*account, order_id) {
            self.warm_order(self.order_ids.get(number).slot);
        }
    }

    /// The same for a coming message.
    pub fn warm_for(&self, message: &FromMatcher) {
        if let FromMatcher::Order(news) = message {
            self.warm_order(Slot(news.key.0 as u32));
        }
    }

    fn warm_order(&self, slot: Slot) {
        if slot != Slot::NONE {
            let order = self.orders.get(slot);
            std::hint::black_box((order.left, self.order_ids.get(order.record).answer));
        }
    }

    /// The account's index, if it is open.
    fn find(&self, account: AccountId) -> Option<usize> {
        let at = account.0 as usize / self.sequencers;
        self.accounts.get(at).is_some_and(|account| account.open).then_some(at)
    }

    fn owner(&mut self, slot: Slot) -> &mut Account {
        let account = self.orders.get(slot).account;
        &mut self.accounts[account.0 as usize / self.sequencers]
    }

    fn instrument(&self, order: &Order) -> &Instrument {
        &self.market.instruments[order.symbol.0 as usize]
    }

    // ---- holds --------------------------------------------------------------------------------------------------

    /// What an order holds, and of what.
    fn hold(&self, slot: Slot) -> (AssetId, Amount) {
        let order = self.orders.get(slot);
        let instrument = self.instrument(order);
        let amount = holds::hold_of(instrument, order, self.orders.detail(order));
        (holds::held_asset(instrument, order.side), amount)
    }

    /// After a change to an order that held `before`: `paid` leaves the account, and what the order does not hold
    /// any more goes back.
    fn unhold(&mut self, slot: Slot, before: Amount, paid: Amount) -> Balance {
        let (asset, after) = self.hold(slot);
        let ended = before.0.checked_sub(after.0).expect("a hold only ends");
        self.owner(slot).balances.settle(asset, Amount(ended), paid)
    }

    // ---- sending ------------------------------------------------------------------------------------------------

    fn send(&mut self, symbol: SymbolId, ticket: u64, order: MatcherOrder, out: &mut Outbox) {
        self.send_to(symbol.0 as usize % self.matchers, symbol, ticket, order, out);
    }

    fn send_to(
        &mut self,
        matcher: usize,
        symbol: SymbolId,
        ticket: u64,
        order: MatcherOrder,
        out: &mut Outbox,
    ) {
        let message = ToMatcher { symbol, ticket, at: self.now, order };
        out.to_matchers.push((matcher, self.numbers.next(matcher, message)));
    }

    /// A ticketed input that never reaches the book must still let the next ticket pass.
    fn skip(&mut self, symbol: SymbolId, input: &Input, out: &mut Outbox) {
        if input.ticket != 0 && (symbol.0 as usize) < self.market.instruments.len() {
            self.send(symbol, input.ticket, MatcherOrder::Skip, out);
        }
    }

    // ---- looking in ---------------------------------------------------------------------------------------------

    /// An account as it stands now.
    pub fn view(&self, account: AccountId) -> Option<AccountView> {
        let owner = &self.accounts[self.find(account)?];
        let open_order = |(slot, order): (Slot, &Order)| {
            let detail = self.orders.detail(order);
            OpenOrder {
                view: self.view_of(slot),
                terms: detail.terms,
                expires: detail.expires,
                self_trade: order.self_trade,
            }
        };
        Some(AccountView {
            state: owner.state,
            tier: owner.tier,
            exec_sequence: owner.exec_sequence,
            balances: owner.balances.iter().collect(),
            orders: self.orders.of(&owner.live).map(open_order).collect(),
        })
    }

    /// How many live orders an account has.
    pub fn open_orders(&self, account: AccountId) -> usize {
        self.find(account).map_or(0, |at| self.accounts[at].live.count as usize)
    }

    /// What an account has, by asset; nothing if it is not open.
    pub fn balances(&self, account: AccountId) -> impl Iterator<Item = Balance> + '_ {
        self.find(account).into_iter().flat_map(|at| self.accounts[at].balances.iter())
    }

    /// What reports say of an order.
    fn view_of(&self, slot: Slot) -> OrderView {
        let order = self.orders.get(slot);
        let detail = self.orders.detail(order);
        let record = self.order_ids.get(order.record);
        let quantity = match detail.terms {
            Terms::Budget { .. } => detail.traded,
            _ => self.quantity(slot),
        };
        OrderView {
            order_id: record.order_id,
            side: order.side,
            kind: order.kind,
            time_in_force: order.time_in_force,
            state: order.state,
            symbol: order.symbol,
            exchange_order_id: record.exchange_order_id.get(),
            price: order.price,
            quantity,
            traded: detail.traded,
            left: if order.state == OrderState::Closed { Quantity::ZERO } else { order.left },
            traded_quote: detail.traded_quote,
        }
    }

    /// Lots ordered.
    fn quantity(&self, slot: Slot) -> Quantity {
        let order = self.orders.get(slot);
        let detail = self.orders.detail(order);
        Quantity(detail.traded.0 + detail.decremented.0 + order.left.0)
    }

    /// The engine's time here.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What is listed, as this shard knows it.
    pub fn market(&self) -> &Arc<Market> {
        &self.market
    }

    /// Open accounts of this shard, in order of their ids.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> + '_ {
        let open = self.accounts.iter().enumerate().filter(|(_, account)| account.open);
        open.map(|(at, _)| AccountId((at * self.sequencers + self.index) as u32))
    }

    /// What an account is called outside.
    pub fn name(&self, account: AccountId) -> Option<AccountName> {
        self.accounts[self.find(account)?].name.as_deref().copied()
    }

    /// Order ids that are remembered, and the bytes of memory that takes.
    pub fn order_ids(&self) -> (usize, usize) {
        (self.order_ids.len(), self.order_ids.bytes())
    }

    /// Money that came and went other than by trades, and fees, by asset.
    pub fn flows(&self) -> &Flows {
        &self.flows
    }
}

impl Outbox {
    fn answer(&mut self, account: AccountId, asker: Origin, at: Timestamp, body: ReportBody) {
        self.reports.push(Report { account, to: Recipient::Asker(asker), at, body });
    }

    fn execution(
        &mut self,
        account: AccountId,
        owner: &mut Account,
        at: Timestamp,
        kind: ExecutionKind,
        order: OrderView,
    ) {
        let body =
            ReportBody::Execution(Execution { exec_sequence: owner.next_exec_sequence(), kind, order });
        self.reports.push(Report { account, to: Recipient::Watchers, at, body });
    }

    fn balance(
        &mut self,
        account: AccountId,
        owner: &mut Account,
        at: Timestamp,
        balances: [Option<Balance>; 2],
    ) {
        let body = ReportBody::Balance(BalanceChange { exec_sequence: owner.next_exec_sequence(), balances });
        self.reports.push(Report { account, to: Recipient::Watchers, at, body });
    }
}

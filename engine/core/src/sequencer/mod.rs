//! A sequencer shard: the accounts with `account % sequencers == index`, their money and their live orders.
//!
//! It checks and funds what comes in, numbers it and sends it to the matcher of the symbol; what the matcher answers
//! it settles. So every order is funded before it can trade, and a hold ends exactly once: settled, released, or
//! refunded where the price was better.
//!
//! A pure state machine: [`Sequencer::input`] and [`Sequencer::settle`] are its only ways to change, and what they
//! put into the [`Outbox`] depends on nothing but the state and the record. A refusal changes nothing but the memory
//! of the order id it answers.

mod order_ids;
pub(crate) mod orders;

use crate::instrument::{Instrument, Market};
use crate::ledger::{Balances, Deposits};
use crate::limits::{ACCOUNTS_MAX, OPEN_ORDERS_PER_ACCOUNT_MAX, REPEATS_WAITING_MAX};
use crate::link::{Gap, Marks, Numbers};
use crate::message::*;
use crate::units::*;
use order_ids::{Answer, OrderIds, Record, RecordNumber, fingerprint};
use orders::{List, Order, Orders, Slot};
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
    market: Arc<Market>,
    /// The greatest time of any input.
    now: Timestamp,
    /// By `account / sequencers`.
    accounts: Vec<Account>,
    orders: Orders,
    order_ids: OrderIds,
    deposits: Deposits,
    marks: Marks,
    numbers: Numbers,
    /// Repeats of submits that the matcher has not answered yet, by the order they wait for.
    repeats_waiting: Vec<(Slot, Origin)>,
}

#[derive(Clone, Debug, Default)]
struct Account {
    open: bool,
    /// The number of the last entry of the account's history.
    exec_sequence: u64,
    balances: Balances,
    live: List,
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
            deposits: Deposits::new(market.assets.len()),
            marks: Marks::new(matchers),
            numbers: Numbers::new(matchers),
            repeats_waiting: Vec::new(),
            market,
        }
    }

    /// Applies an input from outside.
    pub fn input(&mut self, input: &Input, out: &mut Outbox) {
        self.now = self.now.max(input.at);
        match input.command {
            Command::Open { account } => self.open(account),
            Command::Deposit { account, asset, amount } => self.deposit(account, asset, amount, out),
            Command::Submit(submit) => self.submit(input, submit, out),
            Command::Cancel { account, symbol, order_id } => {
                self.cancel(input, account, symbol, order_id, out)
            }
            Command::CancelAll { account, symbol } => self.cancel_all(input, account, symbol, out),
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
        let answer = &message.message;
        let slot = self.orders.slot(answer.key);
        match answer.outcome {
            MatcherOutcome::Placed { exchange_order_id } => self.placed(slot, exchange_order_id, answer, out),
            MatcherOutcome::Refused(_) => self.refused(slot, Reject::PostOnlyWouldTake, out),
            MatcherOutcome::Filled { trade, price, quantity, liquidity } => {
                self.filled(slot, trade, price, quantity, liquidity, answer.at, out)
            }
            MatcherOutcome::Closed { left, reason, asker } => {
                self.closed(slot, left, reason, asker, answer.at, out)
            }
            MatcherOutcome::CancelMissed { asker } => self.cancel_missed(slot, asker, out),
        }
        Ok(())
    }

    // ---- accounts and money -------------------------------------------------------------------------------------

    fn open(&mut self, account: AccountId) {
        assert_eq!(account.0 as usize % self.sequencers, self.index, "an account at a foreign shard");
        let at = account.0 as usize / self.sequencers;
        if account.0 < ACCOUNTS_MAX {
            if self.accounts.len() <= at {
                self.accounts.resize_with(at + 1, Account::default);
            }
            self.accounts[at].open = true;
        }
    }

    fn deposit(&mut self, account: AccountId, asset: AssetId, amount: Amount, out: &mut Outbox) {
        let now = self.now;
        let Some(at) = self.find(account) else { return };
        if self.deposits.add(asset, amount).is_none() {
            return;
        }
        let owner = &mut self.accounts[at];
        let balance = owner.balances.credit(asset, amount);
        out.balance(account, owner, now, [Some(balance), None]);
    }

    /// The account's index, if it is open.
    fn find(&self, account: AccountId) -> Option<usize> {
        let at = account.0 as usize / self.sequencers;
        self.accounts.get(at).is_some_and(|account| account.open).then_some(at)
    }

    fn owner(&mut self, slot: Slot) -> &mut Account {
        let account = self.orders.get(slot).submit.account;
        &mut self.accounts[account.0 as usize / self.sequencers]
    }

    // ---- a new order --------------------------------------------------------------------------------------------

    fn submit(&mut self, input: &Input, submit: Submit, out: &mut Outbox) {
        let Self { order_ids, orders, .. } = self;
        order_ids.forget_old(self.now, |slot, number| orders.get_mut(slot).record = number);
        let answer = match self.order_ids.find(submit.account, &submit.order_id) {
            Some(record) => self.answer_repeat(input, record, &submit, out),
            None => self.admit(input, submit, out),
        };
        if let Err(reason) = answer {
            let body = ReportBody::OrderReject { order_id: submit.order_id, reason };
            out.answer(submit.account, input.origin, self.now, body);
            self.skip(submit.symbol, input, out);
        }
    }

    /// Funds the order and sends it to its matcher, or refuses it and remembers why.
    fn admit(&mut self, input: &Input, submit: Submit, out: &mut Outbox) -> Result<(), Reject> {
        let account = self.find(submit.account).ok_or(Reject::UnknownAccount)?;
        if self.order_ids.is_full() {
            return Err(Reject::Overloaded); // not remembered: trying again is what the client should do
        }
        let funded = self.fund(account, &submit);
        let record = self.order_ids.remember(Record {
            account: submit.account,
            order_id: submit.order_id,
            fingerprint: fingerprint(&submit),
            remembered_since: self.now,
            slot: None,
            answer: funded.map_or_else(Answer::Rejected, |_| Answer::Pending),
        });
        funded?;

        let owner = &mut self.accounts[account];
        let slot = self.orders.insert(
            &mut owner.live,
            Order {
                submit,
                asker: input.origin,
                received: self.now,
                record,
                exchange_order_id: 0,
                traded: Quantity::ZERO,
                traded_quote: Amount(0),
                live: true,
                cancels: 0,
            },
        );
        self.order_ids.get_mut(record).slot = Some(slot);
        let place = MatcherOrder::Place {
            key: self.orders.key(slot),
            account: submit.account,
            side: submit.side,
            time_in_force: submit.time_in_force,
            price: submit.price,
            quantity: submit.quantity,
        };
        self.send(submit.symbol, input.ticket, place, out);
        Ok(())
    }

    /// Checks an order against its instrument and holds what it can cost at most.
    fn fund(&mut self, account: usize, submit: &Submit) -> Result<(), Reject> {
        let instrument =
            self.market.instruments.get(submit.symbol.0 as usize).ok_or(Reject::UnknownSymbol)?;
        if submit.price.0 == 0 || submit.price > instrument.price_max {
            return Err(Reject::PriceRange);
        }
        if submit.quantity.is_zero() || submit.quantity > instrument.quantity_max {
            return Err(Reject::QuantityRange);
        }
        if instrument.notional(submit.price, submit.quantity) < instrument.min_notional {
            return Err(Reject::MinNotional);
        }
        let owner = &mut self.accounts[account];
        if owner.live.count >= OPEN_ORDERS_PER_ACCOUNT_MAX {
            return Err(Reject::TooManyOrders);
        }
        let (asset, amount) = hold_of(instrument, submit, submit.quantity);
        owner.balances.hold(asset, amount).map(|_| ()).map_err(|_| Reject::InsufficientBalance)
    }

    fn answer_repeat(
        &mut self,
        input: &Input,
        number: RecordNumber,
        submit: &Submit,
        out: &mut Outbox,
    ) -> Result<(), Reject> {
        let record = self.order_ids.get(number);
        if record.fingerprint != fingerprint(submit) {
            return Err(Reject::DuplicateOrderId);
        }
        match record.answer {
            Answer::Rejected(reason) => return Err(reason),
            Answer::Pending if self.repeats_waiting.len() >= REPEATS_WAITING_MAX => {
                return Err(Reject::Overloaded);
            }
            Answer::Pending => {
                let slot = record.slot.expect("an order without an answer is live");
                self.repeats_waiting.push((slot, input.origin));
            }
            Answer::Acked { exchange_order_id, sequence, received } => {
                let body = ReportBody::OrderAck {
                    order_id: submit.order_id,
                    exchange_order_id,
                    symbol: submit.symbol,
                    sequence,
                    received,
                    duplicate: true,
                };
                out.answer(submit.account, input.origin, self.now, body);
            }
        }
        self.skip(submit.symbol, input, out);
        Ok(())
    }

    // ---- cancels ------------------------------------------------------------------------------------------------

    fn cancel(
        &mut self,
        input: &Input,
        account: AccountId,
        symbol: SymbolId,
        order_id: ClientOrderId,
        out: &mut Outbox,
    ) {
        match self.find_live(account, symbol, &order_id) {
            Ok(slot) => self.send_cancel(slot, Some(input.origin), input.ticket, out),
            Err(reason) => {
                let body = ReportBody::CancelReject { order_id, reason };
                out.answer(account, input.origin, self.now, body);
                self.skip(symbol, input, out);
            }
        }
    }

    fn find_live(
        &self,
        account: AccountId,
        symbol: SymbolId,
        order_id: &ClientOrderId,
    ) -> Result<Slot, Reject> {
        self.find(account).ok_or(Reject::UnknownAccount)?;
        let record = self.order_ids.find(account, order_id).ok_or(Reject::UnknownOrder)?;
        let record = self.order_ids.get(record);
        let slot = match (record.slot, record.answer) {
            (Some(slot), _) => slot,
            (None, Answer::Rejected(_)) => return Err(Reject::UnknownOrder),
            (None, _) => return Err(Reject::TooLate),
        };
        let order = self.orders.get(slot);
        if order.submit.symbol != symbol {
            return Err(Reject::UnknownOrder);
        }
        if order.live { Ok(slot) } else { Err(Reject::TooLate) }
    }

    fn cancel_all(&mut self, input: &Input, account: AccountId, symbol: Option<SymbolId>, out: &mut Outbox) {
        let list = self.find(account).map(|at| self.accounts[at].live).unwrap_or_default();
        let of_symbol = |order: &Order| symbol.is_none_or(|symbol| order.submit.symbol == symbol);
        let slots: Vec<Slot> =
            self.orders.of(&list).filter(|(_, order)| of_symbol(order)).map(|(slot, _)| slot).collect();
        let body = ReportBody::CancelAllAck { symbol, count: slots.len() as u32 };
        out.answer(account, input.origin, self.now, body);
        for slot in slots {
            self.send_cancel(slot, None, 0, out);
        }
    }

    fn send_cancel(&mut self, slot: Slot, asker: Option<Origin>, ticket: u64, out: &mut Outbox) {
        let key = self.orders.key(slot);
        let order = self.orders.get_mut(slot);
        order.cancels += 1;
        let symbol = order.submit.symbol;
        self.send(symbol, ticket, MatcherOrder::Cancel { key, asker }, out);
    }

    // ---- what the matcher answers -------------------------------------------------------------------------------

    fn placed(&mut self, slot: Slot, exchange_order_id: u64, answer: &FromMatcher, out: &mut Outbox) {
        let order = self.orders.get_mut(slot);
        order.exchange_order_id = exchange_order_id;
        let (submit, asker, received, record, view) =
            (order.submit, order.asker, order.received, order.record, order.view());
        let sequence = answer.sequence;
        self.order_ids.get_mut(record).answer = Answer::Acked { exchange_order_id, sequence, received };
        let ack = |duplicate| ReportBody::OrderAck {
            order_id: submit.order_id,
            exchange_order_id,
            symbol: submit.symbol,
            sequence,
            received,
            duplicate,
        };
        out.answer(submit.account, asker, answer.at, ack(false));
        self.answer_waiting(slot, submit.account, || ack(true), out);
        // The hold is told with the order it is for, after the answer to the submit.
        let instrument = &self.market.instruments[submit.symbol.0 as usize];
        let (asset, _) = hold_of(instrument, &submit, submit.quantity);
        let owner = self.owner(slot);
        let balance = owner.balances.of(asset);
        out.execution(submit.account, owner, answer.at, ExecutionKind::New, view);
        out.balance(submit.account, owner, answer.at, [Some(balance), None]);
    }

    fn refused(&mut self, slot: Slot, reason: Reject, out: &mut Outbox) {
        let order = self.orders.get(slot);
        let (submit, asker, record) = (order.submit, order.asker, order.record);
        self.order_ids.get_mut(record).answer = Answer::Rejected(reason);
        let reject = || ReportBody::OrderReject { order_id: submit.order_id, reason };
        out.answer(submit.account, asker, self.now, reject());
        self.answer_waiting(slot, submit.account, reject, out);
        // Nobody was told of the hold, so nobody needs to be told of its end.
        self.release(slot, submit.quantity);
        self.retire(slot);
    }

    fn answer_waiting(
        &mut self,
        slot: Slot,
        account: AccountId,
        body: impl Fn() -> ReportBody,
        out: &mut Outbox,
    ) {
        let now = self.now;
        self.repeats_waiting.retain(|(waiting_for, asker)| {
            let answered = *waiting_for == slot;
            if answered {
                out.answer(account, *asker, now, body());
            }
            !answered
        });
    }

    #[allow(clippy::too_many_arguments)] // the fields of one fill, taken apart where the message is matched
    fn filled(
        &mut self,
        slot: Slot,
        trade: TradeId,
        price: Price,
        quantity: Quantity,
        liquidity: Liquidity,
        at: Timestamp,
        out: &mut Outbox,
    ) {
        let market = self.market.clone();
        let order = self.orders.get_mut(slot);
        let submit = order.submit;
        let instrument = &market.instruments[submit.symbol.0 as usize];
        let notional = instrument.notional(price, quantity);
        order.traded.0 += quantity.0;
        order.traded_quote.0 += notional.0;
        order.live = !order.left().is_zero();
        let (view, full) = (order.view(), !order.live);

        let (held_asset, held) = hold_of(instrument, &submit, quantity);
        let (paid, received_asset, received) = match submit.side {
            Side::Buy => (notional, instrument.base, instrument.base_amount(quantity)),
            Side::Sell => (held, instrument.quote, notional),
        };
        let owner = self.owner(slot);
        let paying = owner.balances.settle(held_asset, held, paid);
        let receiving = owner.balances.credit(received_asset, received);
        out.execution(
            submit.account,
            owner,
            at,
            ExecutionKind::Trade { trade, price, quantity, liquidity },
            view,
        );
        out.balance(submit.account, owner, at, [Some(paying), Some(receiving)]);
        if full {
            self.retire(slot);
        }
    }

    fn closed(
        &mut self,
        slot: Slot,
        left: Quantity,
        reason: CloseReason,
        asker: Option<Origin>,
        at: Timestamp,
        out: &mut Outbox,
    ) {
        let order = self.orders.get_mut(slot);
        assert_eq!(order.left(), left, "book and ledger disagree about what an order has left");
        order.live = false;
        order.cancels -= (reason == CloseReason::Cancelled) as u32;
        let (view, account) = (order.view(), order.submit.account);
        if let Some(asker) = asker {
            let body = ReportBody::CancelAck {
                order_id: view.order_id,
                exchange_order_id: view.exchange_order_id,
                symbol: view.symbol,
            };
            out.answer(account, asker, at, body);
        }
        let kind = match reason {
            CloseReason::Cancelled => ExecutionKind::Cancelled,
            CloseReason::Expired => ExecutionKind::Expired,
        };
        let balance = self.release(slot, left);
        let owner = self.owner(slot);
        out.execution(account, owner, at, kind, view);
        out.balance(account, owner, at, [Some(balance), None]);
        self.retire(slot);
    }

    fn cancel_missed(&mut self, slot: Slot, asker: Option<Origin>, out: &mut Outbox) {
        let order = self.orders.get_mut(slot);
        order.cancels -= 1;
        let (account, order_id) = (order.submit.account, order.submit.order_id);
        if let Some(asker) = asker {
            let body = ReportBody::CancelReject { order_id, reason: Reject::TooLate };
            out.answer(account, asker, self.now, body);
        }
        self.free_if_done(slot);
    }

    /// Gives back what `left` lots of the order still hold.
    fn release(&mut self, slot: Slot, left: Quantity) -> Balance {
        let submit = self.orders.get(slot).submit;
        let (asset, amount) = hold_of(&self.market.instruments[submit.symbol.0 as usize], &submit, left);
        self.owner(slot).balances.release(asset, amount)
    }

    /// The order is out of the book: it leaves its account's list, and the slab unless a cancel is on its way.
    fn retire(&mut self, slot: Slot) {
        let order = self.orders.get_mut(slot);
        order.live = false;
        let (account, record) = (order.submit.account, order.record);
        self.order_ids.get_mut(record).slot = None;
        self.orders.unlink(&mut self.accounts[account.0 as usize / self.sequencers].live, slot);
        self.free_if_done(slot);
    }

    fn free_if_done(&mut self, slot: Slot) {
        let order = self.orders.get(slot);
        if !order.live && order.cancels == 0 {
            self.orders.free(slot);
        }
    }

    // ---- sending ------------------------------------------------------------------------------------------------

    fn send(&mut self, symbol: SymbolId, ticket: u64, order: MatcherOrder, out: &mut Outbox) {
        let to = symbol.0 as usize % self.matchers;
        let message = ToMatcher { symbol, ticket, at: self.now, order };
        out.to_matchers.push((to, self.numbers.next(to, message)));
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
        Some(AccountView {
            exec_sequence: owner.exec_sequence,
            balances: owner.balances.iter().collect(),
            orders: self.orders.of(&owner.live).map(|(_, order)| order.view()).collect(),
        })
    }

    /// The engine's time here.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Open accounts of this shard, in order of their ids.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> + '_ {
        let open = self.accounts.iter().enumerate().filter(|(_, account)| account.open);
        open.map(|(at, _)| AccountId((at * self.sequencers + self.index) as u32))
    }

    /// Deposits so far, by asset.
    pub fn deposits(&self) -> &Deposits {
        &self.deposits
    }

    /// Checks what must always be true of a shard alone: per account and asset, held is the sum of the holds of its
    /// live orders. Costs a pass over all accounts.
    ///
    /// # Panics
    /// If it is not true.
    pub fn check(&self) {
        for account in self.accounts.iter() {
            for balance in account.balances.iter() {
                let holds = self.orders.of(&account.live).map(|(_, order)| {
                    let instrument = &self.market.instruments[order.submit.symbol.0 as usize];
                    let (asset, amount) = hold_of(instrument, &order.submit, order.left());
                    if asset == balance.asset { amount.0 } else { 0 }
                });
                assert_eq!(balance.held.0, holds.sum::<u128>(), "held is the sum of the live orders' holds");
            }
        }
    }
}

/// What `quantity` lots of an order hold: a buyer the quote at the order's price, a seller the base itself.
fn hold_of(instrument: &Instrument, submit: &Submit, quantity: Quantity) -> (AssetId, Amount) {
    match submit.side {
        Side::Buy => (instrument.quote, instrument.notional(submit.price, quantity)),
        Side::Sell => (instrument.base, instrument.base_amount(quantity)),
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

//! What the matcher says of an order, settled.

use super::holds::{charged, fee_parts};
use super::order_ids::{Answer, U48};
use super::orders::Slot;
use super::{Outbox, Sequencer};
use crate::message::*;
use crate::units::*;

/// One trade of an order.
struct Traded {
    trade: TradeId,
    price: Price,
    quantity: Quantity,
    liquidity: Liquidity,
}

impl Sequencer {
    pub(super) fn news(&mut self, news: &OrderNews, out: &mut Outbox) {
        let slot = self.orders.slot(news.key);
        let account = self.orders.get(slot).account;
        match news.outcome {
            MatcherOutcome::Placed { exchange_order_id, asker } => {
                self.placed(slot, exchange_order_id, asker, news, out)
            }
            MatcherOutcome::Refused { reason, asker } => self.refused(slot, reason, asker, out),
            MatcherOutcome::Triggered => self.triggered(slot, news.at, out),
            MatcherOutcome::Filled { trade, price, quantity, liquidity } => {
                self.filled(slot, Traded { trade, price, quantity, liquidity }, news.at, out)
            }
            MatcherOutcome::Decremented { quantity } => self.decremented(slot, quantity, news.at, out),
            MatcherOutcome::Amended { left, asker } => self.amended(slot, left, asker, news, out),
            MatcherOutcome::AmendRefused { reason, asker } => self.amend_refused(slot, reason, asker, out),
            MatcherOutcome::Closed { left, reason, cause } => {
                self.closed(slot, left, reason, cause, news.at, out)
            }
            MatcherOutcome::CancelRefused { reason, cause } => {
                self.orders.get_mut(slot).requests -= 1;
                self.refuse_cancel(slot, reason, cause, out);
                self.free_if_done(slot);
            }
        }
        self.audit(account);
    }

    fn placed(
        &mut self,
        slot: Slot,
        exchange_order_id: u64,
        asker: Origin,
        news: &OrderNews,
        out: &mut Outbox,
    ) {
        let order = self.orders.get(slot);
        let waits = self.orders.detail(order).terms.is_stop();
        let (account, symbol, number) = (order.account, order.symbol, order.record);
        self.orders.get_mut(slot).state = if waits { OrderState::Waiting } else { OrderState::Live };
        let record = self.order_ids.get_mut(number);
        record.answer = Answer::Acked;
        record.exchange_order_id = U48::new(exchange_order_id);
        record.sequence = U48::new(news.sequence.0);
        let (order_id, received, sequence) = (record.order_id, record.received, news.sequence);
        let ack = |duplicate| ReportBody::OrderAck {
            order_id,
            exchange_order_id,
            symbol,
            sequence,
            received,
            duplicate,
        };
        out.answer(account, asker, news.at, ack(false));
        self.answer_waiting(slot, account, || ack(true), out);
        // The hold is told with the order it is for, after the answer to the submit.
        let (asset, _) = self.hold(slot);
        let balance = self.owner(slot).balances.of(asset);
        self.tell(slot, ExecutionKind::New, [Some(balance), None], news.at, out);
    }

    fn refused(&mut self, slot: Slot, reason: Reject, asker: Origin, out: &mut Outbox) {
        let order = self.orders.get(slot);
        let (account, number) = (order.account, order.record);
        let record = self.order_ids.get_mut(number);
        record.answer = Answer::Rejected(reason);
        let order_id = record.order_id;
        let reject = || ReportBody::OrderReject { order_id, reason };
        out.answer(account, asker, self.now, reject());
        self.answer_waiting(slot, account, reject, out);
        // Nobody was told of the hold, so nobody needs to be told of its end.
        self.close(slot);
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

    /// The stop becomes the order it stands for.
    fn triggered(&mut self, slot: Slot, at: Timestamp, out: &mut Outbox) {
        let (_, before) = self.hold(slot);
        let terms = std::mem::take(&mut self.orders.detail_mut(slot).terms);
        let order = self.orders.get_mut(slot);
        order.state = OrderState::Live;
        if let Terms::Oco { then, kind, .. } = terms {
            (order.price, order.kind) = (then, kind);
            order.time_in_force = if kind == OrderKind::Market { TimeInForce::Ioc } else { TimeInForce::Gtc };
        }
        let balance = self.unhold(slot, before, Amount(0));
        self.tell(slot, ExecutionKind::Triggered, [Some(balance), None], at, out);
    }

    fn filled(&mut self, slot: Slot, traded: Traded, at: Timestamp, out: &mut Outbox) {
        let (held, before) = self.hold(slot);
        let Traded { trade, price, quantity, liquidity } = traded;
        let order = self.orders.get(slot);
        let instrument = self.instrument(order);
        let (base, quote) = (instrument.base, instrument.quote);
        let (notional, lots) = (instrument.notional(price, quantity), instrument.base_amount(quantity));
        let (side, fees) = (order.side, order.fees);
        let rate = match liquidity {
            Liquidity::Maker | Liquidity::Auction => fees.maker,
            Liquidity::Taker => fees.taker,
        };
        let detail = self.orders.detail_mut(slot);
        let charged_before = charged(detail.fee_parts);
        detail.fee_parts += fee_parts(rate, notional);
        let fee = charged(detail.fee_parts) - charged_before;
        detail.traded.0 += quantity.0;
        detail.traded_quote.0 += notional.0;
        if matches!(detail.terms, Terms::Oco { .. }) {
            detail.terms = Terms::Plain; // it has traded, so its other way out is gone
        }
        let order = self.orders.get_mut(slot);
        order.left.0 = order.left.0.checked_sub(quantity.0).expect("an order trades no more than it has");
        if order.left.is_zero() {
            order.state = OrderState::Closed;
        }

        self.flows.charge(quote, fee);
        let (paid, received_asset, received) = match side {
            Side::Buy => (plus_fee(notional, fee), base, lots),
            Side::Sell => (lots, quote, plus_fee(notional, -fee)),
        };
        debug_assert_eq!(held, if side == Side::Buy { quote } else { base });
        let paying = self.unhold(slot, before, paid);
        let receiving = self.owner(slot).balances.credit(received_asset, received);
        let kind = ExecutionKind::Trade { trade, price, quantity, liquidity, fee };
        self.tell(slot, kind, [Some(paying), Some(receiving)], at, out);
        self.retire_if_closed(slot);
    }

    fn decremented(&mut self, slot: Slot, quantity: Quantity, at: Timestamp, out: &mut Outbox) {
        let (_, before) = self.hold(slot);
        self.orders.detail_mut(slot).decremented.0 += quantity.0;
        let order = self.orders.get_mut(slot);
        order.left.0 = order.left.0.checked_sub(quantity.0).expect("an order loses no more than it has");
        if order.left.is_zero() {
            order.state = OrderState::Closed;
        }
        let balance = self.unhold(slot, before, Amount(0));
        self.tell(slot, ExecutionKind::Decremented { quantity }, [Some(balance), None], at, out);
        self.retire_if_closed(slot);
    }

    fn amended(&mut self, slot: Slot, left: Quantity, asker: Origin, news: &OrderNews, out: &mut Outbox) {
        let (_, before) = self.hold(slot);
        let amend =
            self.orders.detail_mut(slot).amend.take().expect("only a change that is on its way arrives");
        let order = self.orders.get_mut(slot);
        order.requests -= 1;
        if !left.is_zero() {
            (order.price, order.left) = (amend.price, left);
        }
        let (account, symbol, number) = (order.account, order.symbol, order.record);
        let record = self.order_ids.get(number);
        let (order_id, exchange_order_id) = (record.order_id, record.exchange_order_id.get());
        let sequence = news.sequence;
        let body = ReportBody::AmendAck { order_id, exchange_order_id, symbol, sequence, left };
        out.answer(account, asker, news.at, body);
        let balance = self.unhold(slot, before, Amount(0));
        self.tell(slot, ExecutionKind::Replaced, [Some(balance), None], news.at, out);
    }

    fn amend_refused(&mut self, slot: Slot, reason: Reject, asker: Origin, out: &mut Outbox) {
        let (_, before) = self.hold(slot);
        let amend = self.orders.detail_mut(slot).amend.take();
        let order = self.orders.get_mut(slot);
        order.requests -= 1;
        let (account, number) = (order.account, order.record);
        let order_id = self.order_ids.get(number).order_id;
        out.answer(account, asker, self.now, ReportBody::AmendReject { order_id, reason });
        if order_is_live(self.orders.get(slot).state) {
            let balance = self.unhold(slot, before, Amount(0));
            if amend.is_some_and(|amend| amend.extra.0 > 0) {
                self.tell_balance(slot, balance, out);
            }
        }
        self.free_if_done(slot);
    }

    fn closed(
        &mut self,
        slot: Slot,
        left: Quantity,
        reason: CloseReason,
        cause: Option<CancelCause>,
        at: Timestamp,
        out: &mut Outbox,
    ) {
        let order = self.orders.get_mut(slot);
        assert_eq!(order.left, left, "book and ledger disagree about what an order has left");
        order.requests -= cause.is_some() as u16;
        let (account, symbol, number) = (order.account, order.symbol, order.record);
        if let Some(CancelCause::Asked(asker)) = cause {
            let record = self.order_ids.get(number);
            let (order_id, exchange_order_id) = (record.order_id, record.exchange_order_id.get());
            out.answer(account, asker, at, ReportBody::CancelAck { order_id, exchange_order_id, symbol });
        }
        let balance = self.close(slot);
        self.tell(slot, ExecutionKind::Closed(reason), [Some(balance), None], at, out);
        self.retire(slot);
    }

    // ---- an order's end -----------------------------------------------------------------------------------------

    /// Gives back what the order still holds.
    fn close(&mut self, slot: Slot) -> Balance {
        let (_, before) = self.hold(slot);
        self.orders.get_mut(slot).state = OrderState::Closed;
        self.unhold(slot, before, Amount(0))
    }

    fn retire_if_closed(&mut self, slot: Slot) {
        if !order_is_live(self.orders.get(slot).state) {
            self.retire(slot);
        }
    }

    /// A closed order leaves its account's list, and the slab unless the matcher owes an answer about it.
    fn retire(&mut self, slot: Slot) {
        let account = self.orders.get(slot).account;
        self.orders.unlink(&mut self.accounts[account.0 as usize / self.sequencers].live, slot);
        self.free_if_done(slot);
    }

    fn free_if_done(&mut self, slot: Slot) {
        let order = self.orders.get(slot);
        if !order_is_live(order.state) && order.requests == 0 {
            self.order_ids.get_mut(order.record).slot = Slot::NONE;
            self.orders.free(slot);
        }
    }

    // ---- telling ------------------------------------------------------------------------------------------------

    /// An entry of the account's history about an order, and one about the balances it changed.
    fn tell(
        &mut self,
        slot: Slot,
        kind: ExecutionKind,
        balances: [Option<Balance>; 2],
        at: Timestamp,
        out: &mut Outbox,
    ) {
        let account = self.orders.get(slot).account;
        let view = self.view_of(slot);
        let owner = self.owner(slot);
        out.execution(account, owner, at, kind, view);
        out.balance(account, owner, at, balances);
    }

    /// An entry about a balance alone.
    pub(super) fn tell_balance(&mut self, slot: Slot, balance: Balance, out: &mut Outbox) {
        let (account, now) = (self.orders.get(slot).account, self.now);
        out.balance(account, self.owner(slot), now, [Some(balance), None]);
    }
}

fn order_is_live(state: OrderState) -> bool {
    state != OrderState::Closed
}

/// A notional with the fee on top; a fee never passes the notional it is charged on.
fn plus_fee(notional: Amount, fee: i128) -> Amount {
    Amount(notional.0.checked_add_signed(fee).expect("a fee is a part of its notional"))
}

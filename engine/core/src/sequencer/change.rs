//! Cancels, amends and the timers that cancel.

use super::holds::{extra_for, held_asset};
use super::order_ids::Answer;
use super::orders::{Amending, Order, Slot};
use super::{Outbox, Sequencer};
use crate::limits::{DEAD_MAN_US_MAX, REQUESTS_PER_ORDER_MAX};
use crate::message::*;
use crate::units::*;

impl Sequencer {
    pub(super) fn cancel(
        &mut self,
        input: &Input,
        account: AccountId,
        symbol: SymbolId,
        order_id: ClientOrderId,
        out: &mut Outbox,
    ) {
        let cause = CancelCause::Asked(input.origin);
        let sent = self
            .find_live(account, symbol, &order_id)
            .and_then(|slot| self.send_cancel(slot, cause, input.ticket, out));
        if let Err(reason) = sent {
            out.answer(account, input.origin, self.now, ReportBody::CancelReject { order_id, reason });
            self.skip(symbol, input, out);
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
        if record.slot == Slot::NONE {
            return Err(match record.answer {
                Answer::Rejected(_) => Reject::UnknownOrder,
                Answer::Pending | Answer::Acked => Reject::TooLate,
                Answer::Replaced => unreachable!("the table does not lead there"),
            });
        }
        let order = self.orders.get(record.slot);
        match order.symbol == symbol {
            true if order.state == OrderState::Closed => Err(Reject::TooLate),
            true => Ok(record.slot),
            false => Err(Reject::UnknownOrder),
        }
    }

    pub(super) fn cancel_all(
        &mut self,
        input: &Input,
        account: AccountId,
        symbol: Option<SymbolId>,
        group: Option<u32>,
        by: Canceller,
        out: &mut Outbox,
    ) {
        let listed = symbol.is_none_or(|symbol| (symbol.0 as usize) < self.market.instruments.len());
        let refusal = match self.find(account) {
            None => Some(Reject::UnknownAccount),
            Some(_) => (!listed).then_some(Reject::UnknownSymbol),
        };
        if let Some(reason) = refusal {
            return out.answer(account, input.origin, self.now, ReportBody::Refused { reason });
        }
        let wanted = |order: &Order| {
            symbol.is_none_or(|symbol| order.symbol == symbol)
                && group.is_none_or(|group| order.group == group)
        };
        if by == Canceller::Exchange {
            self.cancel_each(account, CancelCause::System, wanted, out);
            return;
        }
        let at = out.reports.len();
        let count = self.cancel_each(account, CancelCause::AskedAll(input.origin), wanted, out);
        // The answer counts what was sent, and stands before the refusals of those that could not be.
        let body = ReportBody::CancelAllAck { symbol, count };
        let to = Recipient::Asker(input.origin);
        out.reports.insert(at, Report { account, to, at: self.now, body });
    }

    /// Sends a cancel for each live order that is `wanted`. Returns for how many. Its owner may ask again and again, and
    /// an order whose cancel is on its way is not asked for twice: else one request could always cost as many messages
    /// as there are orders.
    pub(super) fn cancel_each(
        &mut self,
        account: AccountId,
        cause: CancelCause,
        wanted: impl Fn(&Order) -> bool,
        out: &mut Outbox,
    ) -> u32 {
        let list = self.find(account).map(|at| self.accounts[at].live).unwrap_or_default();
        let asked = matches!(cause, CancelCause::AskedAll(_));
        let live = self.orders.of(&list).filter(|(_, order)| wanted(order) && !(asked && order.leaving));
        let slots: Vec<Slot> = live.map(|(slot, _)| slot).collect();
        let mut count = 0;
        for slot in slots {
            self.orders.get_mut(slot).leaving |= asked;
            match self.send_cancel(slot, cause, 0, out) {
                Ok(()) => count += 1,
                Err(reason) => self.refuse_cancel(slot, reason, cause, out),
            }
        }
        count
    }

    fn send_cancel(
        &mut self,
        slot: Slot,
        cause: CancelCause,
        ticket: u64,
        out: &mut Outbox,
    ) -> Result<(), Reject> {
        let key = self.orders.key(slot);
        let order = self.orders.get_mut(slot);
        if cause != CancelCause::System && order.requests >= REQUESTS_PER_ORDER_MAX {
            return Err(Reject::Overloaded);
        }
        order.requests = order.requests.checked_add(1).expect("the exchange does not ask so often");
        let symbol = order.symbol;
        self.send(symbol, ticket, MatcherOrder::Cancel { key, cause }, out);
        Ok(())
    }

    /// Tells the one who asked that an order was not cancelled.
    pub(super) fn refuse_cancel(&self, slot: Slot, reason: Reject, cause: CancelCause, out: &mut Outbox) {
        let asker = match cause {
            CancelCause::Asked(asker) => asker,
            // That one of all orders was gone already is told by its own last report.
            CancelCause::AskedAll(asker) if reason != Reject::TooLate => asker,
            CancelCause::AskedAll(_) | CancelCause::System => return,
        };
        let order = self.orders.get(slot);
        let order_id = self.order_ids.get(order.record).order_id;
        out.answer(order.account, asker, self.now, ReportBody::CancelReject { order_id, reason });
    }

    // ---- amends -------------------------------------------------------------------------------------------------

    pub(super) fn amend(&mut self, input: &Input, amend: Amend, out: &mut Outbox) {
        let Amend { account, symbol, order_id, .. } = amend;
        let sent = self
            .find_live(account, symbol, &order_id)
            .and_then(|slot| self.send_amend(slot, input, &amend, out));
        if let Err(reason) = sent {
            out.answer(account, input.origin, self.now, ReportBody::AmendReject { order_id, reason });
            self.skip(symbol, input, out);
        }
    }

    /// Holds what the new terms can cost beyond the old ones and sends them to the matcher.
    fn send_amend(
        &mut self,
        slot: Slot,
        input: &Input,
        amend: &Amend,
        out: &mut Outbox,
    ) -> Result<(), Reject> {
        let order = self.orders.get(slot);
        let detail = self.orders.detail(order);
        let instrument = self.instrument(order);
        let rests = order.kind == OrderKind::Limit || order.state == OrderState::Waiting;
        if !rests || matches!(detail.terms, Terms::Oco { .. } | Terms::Budget { .. }) {
            return Err(Reject::NotAmendable);
        }
        if detail.amend.is_some() {
            return Err(Reject::AmendPending);
        }
        let price = amend.price.unwrap_or(order.price);
        let old_quantity = self.quantity(slot);
        let quantity = amend.quantity.unwrap_or(old_quantity);
        if !instrument.takes_price(price) {
            return Err(Reject::PriceRange);
        }
        if quantity.is_zero() || quantity > instrument.quantity_max {
            return Err(Reject::QuantityRange);
        }
        if instrument.notional(price, quantity) < instrument.min_notional {
            return Err(Reject::MinNotional);
        }
        if !detail.terms.shows_enough_of(quantity) {
            return Err(Reject::Terms);
        }
        let more = quantity.0 as i64 - old_quantity.0 as i64; // both are at most 2^53
        let extra = extra_for(instrument, order, detail, price, more);
        let asset = held_asset(instrument, order.side);
        if order.requests >= REQUESTS_PER_ORDER_MAX {
            return Err(Reject::Overloaded);
        }

        let balance =
            self.owner(slot).balances.hold(asset, extra).map_err(|_| Reject::InsufficientBalance)?;
        self.orders.get_mut(slot).requests += 1;
        self.orders.detail_mut(slot).amend = Some(Amending { price, extra });
        if extra.0 > 0 {
            self.tell_balance(slot, balance, out);
        }
        let order = self.orders.get(slot);
        let message = PlaceAmended {
            key: self.orders.key(slot),
            account: order.account,
            asker: input.origin,
            side: order.side,
            time_in_force: order.time_in_force,
            self_trade: order.self_trade,
            price,
            keeps_price: price == order.price,
            more,
        };
        self.send(order.symbol, input.ticket, MatcherOrder::Amend(message), out);
        Ok(())
    }

    // ---- timers -------------------------------------------------------------------------------------------------

    pub(super) fn cancel_all_after(
        &mut self,
        asker: Origin,
        account: AccountId,
        timeout_us: u64,
        out: &mut Outbox,
    ) {
        let body = match self.find(account) {
            None => ReportBody::Refused { reason: Reject::UnknownAccount },
            Some(_) if timeout_us > DEAD_MAN_US_MAX => ReportBody::Refused { reason: Reject::AmountRange },
            Some(_) => {
                let until = (timeout_us > 0).then(|| Timestamp(self.now.0.saturating_add(timeout_us)));
                self.set_timer(account, until);
                ReportBody::TimerAck { until }
            }
        };
        out.answer(account, asker, self.now, body);
    }

    fn set_timer(&mut self, account: AccountId, until: Option<Timestamp>) {
        if let Some(before) = self.deadlines.remove(&account) {
            self.timers.remove(&(before, account));
        }
        if let Some(until) = until {
            self.deadlines.insert(account, until);
            self.timers.insert((until, account));
        }
    }

    /// Cancels everything of the account if its timer has run out.
    pub(super) fn time_out(&mut self, account: AccountId, out: &mut Outbox) {
        if self.is_due(account, self.now) {
            self.set_timer(account, None);
            self.cancel_each(account, CancelCause::System, |_| true, out);
        }
    }

    fn is_due(&self, account: AccountId, now: Timestamp) -> bool {
        !self.deadlines.is_empty() && self.deadlines.get(&account).is_some_and(|until| *until <= now)
    }

    /// The input that sees to the first account whose timer has run out by `at`. Executors apply these, one after the
    /// other, before an input of that time.
    pub fn overdue(&self, at: Timestamp) -> Option<Input> {
        let at = at.max(self.now);
        let &(until, account) = self.timers.first()?;
        let command = Command::TimeOut { account };
        (until <= at).then_some(Input { origin: Origin::default(), at, ticket: 0, command })
    }

    /// How many orders an input may have cancelled, at most: what it may put on the links, and so what an executor weighs
    /// before it takes more. An order that is sent or changed counts as none.
    pub fn orders_reached(&self, input: &Input) -> usize {
        let Some(account) = input.command.account() else { return 0 };
        let all = match input.command {
            Command::CancelAll { .. } | Command::TimeOut { .. } => true,
            Command::EndGuard { cancels, .. } => cancels,
            Command::SetAccount { state, .. } => state == AccountState::Suspended,
            _ => self.is_due(account, self.now.max(input.at)),
        };
        if all { self.open_orders(account) } else { 0 }
    }
}

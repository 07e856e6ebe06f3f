//! A new order: checked, funded, sent to its matcher, or refused.

use super::holds::{budget_without_fee, held_asset, hold_of};
use super::order_ids::{Answer, Record, RecordNumber, U48, fingerprint};
use super::orders::{NewOrder, Slot};
use super::{Outbox, Sequencer};
use crate::instrument::Instrument;
use crate::limits::{OPEN_ORDERS_PER_ACCOUNT_MAX, REPEATS_WAITING_MAX};
use crate::message::*;
use crate::units::*;

impl Sequencer {
    pub(super) fn submit(&mut self, input: &Input, submit: Submit, out: &mut Outbox) {
        let Self { order_ids, orders, .. } = self;
        order_ids.forget_old(self.now, |slot, number| orders.get_mut(slot).record = number);
        let answer = match self.order_ids.find_taken(self.now, submit.account, &submit.order_id) {
            Some(record) => self.answer_repeat(input, record, &submit, out),
            None => self.admit(input, &submit, out),
        };
        if let Err(reason) = answer {
            let body = ReportBody::OrderReject { order_id: submit.order_id, reason };
            out.answer(submit.account, input.origin, self.now, body);
            self.skip(submit.symbol, input, out);
        }
    }

    /// Funds the order and sends it to its matcher, or refuses it and remembers why.
    fn admit(&mut self, input: &Input, submit: &Submit, out: &mut Outbox) -> Result<(), Reject> {
        let account = self.find(submit.account).ok_or(Reject::UnknownAccount)?;
        if self.order_ids.is_full() {
            return Err(Reject::Overloaded); // not remembered: trying again is what the client should do
        }
        let quantity = self.check_submit(account, submit);
        let record = self.order_ids.remember(
            self.now,
            Record {
                order_id: submit.order_id,
                answer: quantity.map_or_else(Answer::Rejected, |_| Answer::Pending),
                account: submit.account,
                slot: Slot::NONE,
                fingerprint: fingerprint(submit),
                received: self.now,
                exchange_order_id: U48::default(),
                sequence: U48::default(),
            },
        );
        let slot = self.fund(account, submit, quantity?, record).inspect_err(|reason| {
            self.order_ids.get_mut(record).answer = Answer::Rejected(*reason);
        })?;
        let place = self.place(slot, submit, input.origin);
        self.send(submit.symbol, input.ticket, MatcherOrder::Place(place), out);
        Ok(())
    }

    /// Checks an order against its instrument and its account. Returns its lots.
    fn check_submit(&self, account: usize, submit: &Submit) -> Result<Quantity, Reject> {
        let owner = &self.accounts[account];
        if owner.state != AccountState::Active {
            return Err(Reject::AccountSuspended);
        }
        let instrument =
            self.market.instruments.get(submit.symbol.0 as usize).ok_or(Reject::UnknownSymbol)?;
        if submit.kind == OrderKind::Market && submit.price.0 == 0 {
            return Err(Reject::PriceBand);
        }
        if !instrument.takes_price(submit.price) {
            return Err(Reject::PriceRange);
        }
        let quantity = match submit.terms {
            Terms::Budget { quote } => budget_lots(instrument, submit, quote)?,
            _ if submit.quantity.is_zero() || submit.quantity > instrument.quantity_max => {
                return Err(Reject::QuantityRange);
            }
            _ if instrument.notional(submit.price, submit.quantity) < instrument.min_notional => {
                return Err(Reject::MinNotional);
            }
            _ => submit.quantity,
        };
        check_terms(instrument, submit, self.now)?;
        if owner.live.count >= OPEN_ORDERS_PER_ACCOUNT_MAX {
            return Err(Reject::TooManyOrders);
        }
        Ok(quantity)
    }

    /// Stores the order and holds what it can cost at most, or leaves everything as it was.
    fn fund(
        &mut self,
        account: usize,
        submit: &Submit,
        quantity: Quantity,
        record: RecordNumber,
    ) -> Result<Slot, Reject> {
        let instrument = &self.market.instruments[submit.symbol.0 as usize];
        let owner = &mut self.accounts[account];
        let Submit { account, symbol, group, side, kind, time_in_force, self_trade, .. } = *submit;
        let fees = instrument.fees[owner.tier as usize];
        let (price, terms, expires) = (submit.price, submit.terms, submit.expires);
        #[rustfmt::skip]
        let slot = self.orders.insert(&mut owner.live, NewOrder {
            price, quantity, account, symbol, record, group, fees, side, kind, time_in_force, self_trade, terms, expires,
        });
        let order = self.orders.get(slot);
        let amount = hold_of(instrument, order, self.orders.detail(order));
        if owner.balances.hold(held_asset(instrument, side), amount).is_err() {
            self.orders.unlink(&mut owner.live, slot);
            self.orders.free(slot);
            return Err(Reject::InsufficientBalance);
        }
        self.order_ids.get_mut(record).slot = slot;
        Ok(slot)
    }

    /// The order as its matcher gets it.
    fn place(&self, slot: Slot, submit: &Submit, asker: Origin) -> Place {
        let order = self.orders.get(slot);
        let instrument = self.instrument(order);
        let terms = match submit.terms {
            Terms::Budget { quote } => {
                let spend = match submit.side {
                    Side::Buy => budget_without_fee(quote, order.fees.larger()),
                    Side::Sell => quote,
                };
                Terms::Budget { quote: Amount(spend.0 / instrument.quote_atoms_per_tick_lot) }
            }
            terms => terms,
        };
        Place {
            key: self.orders.key(slot),
            account: submit.account,
            asker,
            side: submit.side,
            kind: submit.kind,
            time_in_force: submit.time_in_force,
            self_trade: submit.self_trade,
            price: submit.price,
            quantity: order.left,
            terms,
            expires: submit.expires,
        }
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
            Answer::Pending => self.repeats_waiting.push((record.slot, input.origin)),
            Answer::Replaced => unreachable!("the table does not lead there"),
            Answer::Acked => {
                let body = ReportBody::OrderAck {
                    order_id: submit.order_id,
                    exchange_order_id: record.exchange_order_id.get(),
                    symbol: submit.symbol,
                    sequence: Sequence(record.sequence.get()),
                    received: record.received,
                    duplicate: true,
                };
                out.answer(submit.account, input.origin, self.now, body);
            }
        }
        self.skip(submit.symbol, input, out);
        Ok(())
    }
}

/// The most lots an order with a budget can trade: what the book is told, since it counts lots.
fn budget_lots(instrument: &Instrument, submit: &Submit, quote: Amount) -> Result<Quantity, Reject> {
    if submit.kind != OrderKind::Market || !submit.quantity.is_zero() {
        return Err(Reject::Terms);
    }
    if quote > instrument.notional(instrument.price_max, instrument.quantity_max) {
        return Err(Reject::AmountRange);
    }
    if quote < instrument.min_notional {
        return Err(Reject::MinNotional);
    }
    // A seller gets the protection price at least, so this many lots bring the budget.
    let lots = match submit.side {
        Side::Buy => instrument.quantity_max.0 as u128,
        Side::Sell => quote.0 / instrument.notional(submit.price, Quantity(1)).0,
    };
    match lots.min(instrument.quantity_max.0 as u128) {
        0 => Err(Reject::MinNotional),
        lots => Ok(Quantity(lots as u64)),
    }
}

/// Whether the order's kind, time in force, end and terms go together.
fn check_terms(instrument: &Instrument, submit: &Submit, now: Timestamp) -> Result<(), Reject> {
    let Submit { kind, time_in_force, price, .. } = *submit;
    let rests = kind == OrderKind::Limit && matches!(time_in_force, TimeInForce::Gtc | TimeInForce::PostOnly);
    let takes_price = |price| instrument.takes_price(price);
    let fits = match submit.terms {
        Terms::Plain => true,
        Terms::Iceberg { display } => {
            let hides = !display.is_zero() && display < submit.quantity;
            rests && hides && submit.terms.shows_enough_of(submit.quantity)
        }
        Terms::Budget { .. } => time_in_force == TimeInForce::Ioc,
        Terms::Stop { trigger } => takes_price(trigger),
        Terms::TrailingStop { trigger, distance } => takes_price(trigger) && takes_price(distance),
        Terms::Oco { trigger, then, .. } => {
            let away = match submit.side {
                Side::Buy => price < trigger,
                Side::Sell => price > trigger,
            };
            rests && takes_price(trigger) && takes_price(then) && away
        }
    };
    let may_not_rest = matches!(time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
    let in_force = kind == OrderKind::Limit || may_not_rest;
    let ends = submit.expires.0 == 0 || (!may_not_rest && submit.expires > now);
    if fits && in_force && ends { Ok(()) } else { Err(Reject::Terms) }
}

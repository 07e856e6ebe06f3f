//! What orders hold, and what trades cost.
//!
//! A buyer holds the quote for what is left at its price, and the larger of its two fees on that; a seller holds the
//! base, and pays its fee out of what it gets. Fees are charged in the quote asset. An order sums its fees exactly,
//! in parts of [`Fees::UNIT`], and is charged their sum rounded up, each trade the difference: so an order of a
//! thousand small trades pays at most one atom more than the exact fee, and a hold always covers what comes.
//!
//! That it does: a trade of `q` lots at `n` quote atoms takes `p × q >= n` off the notional that is held for, and adds
//! `rate × n` parts where `larger × p × q` were held for; `larger >= rate`, and rounding up is monotone.

use super::orders::{Detail, Order};
use crate::instrument::Instrument;
use crate::message::{Fees, OrderState, Terms};
use crate::units::*;

/// What is charged for so many fee parts: rounded up, for the house.
pub fn charged(parts: i128) -> i128 {
    // Dividing 64 bits is several times cheaper, and nearly all amounts fit.
    match i64::try_from(parts) {
        Ok(parts) => (parts / Fees::UNIT as i64 + (parts % Fees::UNIT as i64 > 0) as i64) as i128,
        Err(_) => parts / Fees::UNIT + (parts % Fees::UNIT > 0) as i128,
    }
}

/// The fee parts of a trade. Fits because of the instrument's largest notional.
pub fn fee_parts(rate: i16, notional: Amount) -> i128 {
    rate as i128 * notional.0 as i128
}

/// What a buyer must have for `left` lots at `price`, after trades that cost `parts` in fees.
pub fn quote_hold(
    instrument: &Instrument,
    price: Price,
    left: Quantity,
    larger_fee: i16,
    parts: i128,
) -> Amount {
    let notional = instrument.notional(price, left);
    if larger_fee == 0 {
        return notional;
    }
    let fee = charged(parts + fee_parts(larger_fee, notional)) - charged(parts);
    Amount(notional.0 + u128::try_from(fee).expect("more parts are never charged less"))
}

/// The asset an order pays with.
pub fn held_asset(instrument: &Instrument, side: Side) -> AssetId {
    match side {
        Side::Buy => instrument.quote,
        Side::Sell => instrument.base,
    }
}

/// What an order holds of [`held_asset`], a change that is on its way included.
pub fn hold_of(instrument: &Instrument, order: &Order, detail: &Detail) -> Amount {
    if order.state == OrderState::Closed {
        return Amount(0);
    }
    let as_it_is = match (order.side, detail.terms) {
        (Side::Sell, _) => instrument.base_amount(order.left),
        (Side::Buy, Terms::Budget { quote }) => {
            let spent = detail.traded_quote.0 as i128 + charged(detail.fee_parts);
            Amount(quote.0.checked_sub(spent as u128).expect("a budget is never passed"))
        }
        (Side::Buy, terms) => {
            let price = match terms {
                Terms::Oco { then, .. } => order.price.max(then),
                _ => order.price,
            };
            quote_hold(instrument, price, order.left, order.fees.larger(), detail.fee_parts)
        }
    };
    Amount(as_it_is.0 + detail.amend.map_or(0, |amend| amend.extra.0))
}

/// What a buyer with a budget may spend on trades, so that the fee on top is within the budget, too.
pub fn budget_without_fee(budget: Amount, larger_fee: i16) -> Amount {
    Amount(budget.0 * Fees::UNIT as u128 / (Fees::UNIT as u128 + larger_fee as u128))
}

/// What must be held beyond what an order holds as it is, so that it can change to `price` and `more` lots whatever
/// it trades before the change reaches the book.
///
/// With `l` lots left then, the new terms hold for `l + more` at the new price and the old ones held for `l` at the
/// old: the difference is linear in `l`, so its largest value is at one of the ends, `l` as it is now or none. Each of
/// the two roundings can add an atom.
pub fn extra_for(instrument: &Instrument, order: &Order, detail: &Detail, price: Price, more: i64) -> Amount {
    let plus = |left: Quantity| Quantity(left.0.saturating_add_signed(more));
    if order.side == Side::Sell {
        let grown = plus(order.left).0.saturating_sub(order.left.0);
        return instrument.base_amount(Quantity(grown));
    }
    let larger = order.fees.larger();
    let hold = |price, left| quote_hold(instrument, price, left, larger, detail.fee_parts).0;
    let now = hold(price, plus(order.left)).saturating_sub(hold(order.price, order.left));
    let at_the_end = hold(price, plus(Quantity::ZERO));
    let most = now.max(at_the_end);
    let roundings = if larger == 0 || most == 0 { 0 } else { 2 };
    Amount(most + roundings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_round_up_and_rebates_down() {
        for (parts, atoms) in [(0, 0), (1, 1), (99_999, 1), (100_000, 1), (100_001, 2)] {
            assert_eq!(charged(parts), atoms);
            assert_eq!(charged(parts + (i64::MAX as i128 + 1) * 100_000), atoms + i64::MAX as i128 + 1);
        }
        for (parts, atoms) in [(-1, 0), (-99_999, 0), (-100_000, -1), (-100_001, -1), (-200_000, -2)] {
            assert_eq!(charged(parts), atoms);
        }
    }

    #[test]
    fn a_budget_covers_its_fee() {
        for budget in (1..5_000u128).chain([1 << 109]) {
            for rate in [0, 1, 7, 100, 9_999, Fees::MAX] {
                let spend = budget_without_fee(Amount(budget), rate);
                let cost = |spend: Amount| spend.0 as i128 + charged(fee_parts(rate, spend));
                assert!(cost(spend) as u128 <= budget, "{budget} at {rate}");
                assert!(cost(Amount(spend.0 + 2)) as u128 > budget, "nearly all of it can be spent");
            }
        }
    }
}

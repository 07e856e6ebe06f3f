//! A book as parts of a state, and back: its orders as they would trade, side by side. Where they are in memory is nobody's
//! business, so a book that is read may keep them elsewhere.

use super::{Fast, Home, Iceberg, Level, Order, Slot};
use crate::state::{StateError, StateReader, StateWriter, unfit};
use crate::units::{AccountId, OrderKey, Price, Quantity, Side};
use serde::{Deserialize, Serialize};

/// A resting order.
#[derive(Serialize, Deserialize)]
struct Saved {
    key: OrderKey,
    account: AccountId,
    price: Price,
    shown: Quantity,
    /// What an iceberg hides, and what it shows at a time; nothing for an order that shows itself whole.
    iceberg: Option<(Quantity, Quantity)>,
}

const SIDES: [Side; 2] = [Side::Buy, Side::Sell];

impl Fast {
    pub(crate) fn write<E>(&self, out: &mut StateWriter<'_, E>) -> Result<(), E> {
        out.put(&self.crossed)?;
        for side in SIDES {
            out.put_chunks(self.saved(side).count(), self.saved(side))?;
        }
        Ok(())
    }

    pub(crate) fn read<E: From<StateError>>(from: &mut StateReader<'_, E>) -> Result<Fast, E> {
        let mut book = Fast { crossed: from.take()?, ..Fast::default() };
        for side in SIDES {
            from.take_chunks(|order| book.restore(side, order).map_err(E::from))?;
        }
        Ok(book)
    }

    /// The orders of a side in the order they would trade.
    fn saved(&self, side: Side) -> impl Iterator<Item = Saved> {
        self.ladders[side as usize].best_first().flat_map(move |level| {
            let Level { price, head, .. } = self.levels[level];
            let mut at = head;
            std::iter::from_fn(move || {
                let Order { key, shown, account, home, next, .. } = *self.orders.get(at)?;
                at = next;
                let iceberg = home.record().map(|record| &self.icebergs[record]);
                let iceberg = iceberg.map(|Iceberg { hidden, display, .. }| (*hidden, *display));
                Some(Saved { key, account, price, shown, iceberg })
            })
        })
    }

    /// Puts an order behind all others of its price.
    fn restore(&mut self, side: Side, order: Saved) -> Result<(), StateError> {
        let Saved { key, account, price, shown, iceberg } = order;
        if self.index.find(key, &self.orders).is_some() || shown.is_zero() || price.0 == 0 {
            return Err(unfit(format!("order {key} rests twice, or shows nothing, or has no price")));
        }
        let level = self.level_of(side, price);
        let home = match iceberg {
            None => Home::level(level),
            Some((hidden, display)) => {
                self.levels[level].hidden.add(hidden);
                Home::iceberg(self.icebergs.insert(Iceberg { hidden, display, level }))
            }
        };
        let previous = self.levels[level].tail;
        let slot = self.orders.insert(Order { key, shown, account, home, previous, next: Slot::NONE });
        self.index.insert(key, slot, &self.orders);
        self.append(slot, shown, level);
        Ok(())
    }
}

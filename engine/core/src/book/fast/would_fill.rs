//! Whether an order could trade whole, found without trading.

use super::{Fast, Level};
use crate::book::NewOrder;
use crate::units::SelfTrade;

impl Fast {
    /// Adds up levels, which know their sums. Only if these are enough and the taker must not trade with its own
    /// account does it look at single orders: hardly more of them than it would trade with.
    pub(super) fn fillable(&self, order: &NewOrder) -> bool {
        self.reaches(order, |level, _| Some(level.lots()))
            && (order.self_trade == SelfTrade::Allow
                || self.reaches(order, |level, wants| self.lots_of_others(level, wants, order)))
    }

    /// Whether `lots` of the levels add up to what the order wants. `None` ends the search.
    fn reaches(&self, order: &NewOrder, lots: impl Fn(&Level, u128) -> Option<u128>) -> bool {
        let mut wants = u128::from(order.quantity.0);
        for slot in self.ladders[order.side.opposite() as usize].within(order.price) {
            match lots(&self.levels[slot], wants) {
                Some(lots) if lots < wants => wants -= lots,
                Some(_) => return true,
                None => return false,
            }
        }
        false
    }

    /// Lots of a level that the taker may trade with; it stops counting where they are enough. `None` if the taker
    /// would meet its own account before and not go on.
    fn lots_of_others(&self, level: &Level, wants: u128, taker: &NewOrder) -> Option<u128> {
        let (mut shown, mut hidden) = (0, 0);
        let mut slot = level.head;
        while !slot.is_none() && shown < wants {
            let order = &self.orders[slot];
            if order.account != taker.account {
                shown += u128::from(order.shown.0);
                hidden += u128::from(order.hidden(&self.icebergs).0);
            } else if taker.self_trade != SelfTrade::CancelOldest {
                return None; // hidden lots would come to the end of the queue, behind this order
            }
            slot = order.next;
        }
        Some(shown + hidden)
    }
}

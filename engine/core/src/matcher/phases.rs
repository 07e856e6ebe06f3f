//! What a symbol does, and how it goes from one state to another.

use super::MarketEvent;
use super::symbol::Applying;
use crate::book::Book;
use crate::message::*;
use crate::units::*;

impl Applying<'_> {
    pub(super) fn set_state(&mut self, state: SymbolState, asker: Origin) {
        let from = self.told.desk.state;
        let result = if is_allowed(from, state) { Ok(()) } else { Err(Reject::SymbolState) };
        if result.is_ok() && from != state {
            match state {
                SymbolState::Trading if from == SymbolState::Auction => self.uncross(),
                SymbolState::Delisted => self.take_out_all(),
                _ => {}
            }
            let desk = &mut *self.told.desk;
            desk.state = state;
            self.told.hash([10, state as u64, 0, 0, 0, 0]);
            let event = MarketEvent::State(self.told.desk.id, state, self.told.desk.now());
            self.told.out.market.push(event);
        }
        self.told.answer(asker, result);
    }

    /// Trades all that can trade, at one price.
    fn uncross(&mut self) {
        if let Some((price, _)) = self.book.auction(self.told.desk.last) {
            let begun = self.told.begin();
            self.book.uncross(price, &mut self.told);
            self.told.finish(begun);
        }
    }

    fn take_out_all(&mut self) {
        let mut keys = Vec::with_capacity(self.book.len());
        for side in [Side::Buy, Side::Sell] {
            self.book.orders(side, |order| {
                keys.push(order.key);
                true
            });
        }
        keys.extend(self.told.desk.stops.keys());
        for key in keys {
            self.take_out(key, CloseReason::Delisted, None);
        }
    }
}

/// An auction may leave the book crossed, so it ends in trading or not at all; what is gone stays gone.
fn is_allowed(from: SymbolState, to: SymbolState) -> bool {
    match from {
        SymbolState::Delisted => false,
        SymbolState::Auction => {
            matches!(to, SymbolState::Auction | SymbolState::Trading | SymbolState::Delisted)
        }
        SymbolState::Trading | SymbolState::CancelOnly | SymbolState::Halted => true,
    }
}

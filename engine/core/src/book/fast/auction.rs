//! The end of an auction: the one price, and the trades at it.

use std::cmp::Ordering;

use super::slab::Slot;
use super::{Fast, Level, Order};
use crate::book::{Book, Cross, Sink, told};
use crate::units::{Price, Side};

impl Fast {
    /// Walks the prices at which bids and asks overlap, upwards and once. What buyers want falls along the way and
    /// what sellers offer rises, so two running sums are enough.
    pub(super) fn auction_price(&self, reference: Option<Price>) -> Option<(Price, u128)> {
        let (bid, ask) = (self.best(Side::Buy)?.0, self.best(Side::Sell)?.0);
        let mut bids = self.ladders[Side::Buy as usize].within(ask).rev().map(|slot| &self.levels[slot]);
        let mut asks = self.ladders[Side::Sell as usize].within(bid).map(|slot| &self.levels[slot]);
        let mut buyers: u128 = bids.clone().map(Level::lots).sum();
        let mut sellers = 0;

        let mut choice: Option<Choice> = None;
        let (mut next_bid, mut next_ask) = (bids.next(), asks.next());
        while let Some(price) = next_bid.into_iter().chain(next_ask).map(|level| level.price).min() {
            if let Some(ask) = next_ask.take_if(|level| level.price == price) {
                sellers += ask.lots();
                next_ask = asks.next();
            }
            let candidate = Candidate { price, buyers, sellers };
            match &mut choice {
                Some(choice) => choice.consider(candidate, reference),
                None => choice = Some(Choice::new(candidate)),
            }
            if let Some(bid) = next_bid.take_if(|level| level.price == price) {
                buyers -= bid.lots();
                next_bid = bids.next();
            }
        }
        choice.map(Choice::decide)
    }

    /// Trades the heads of both sides until one side has nothing more at `price`. Levels that are empty then stay
    /// until all trades are told.
    pub(super) fn cross_all(&mut self, price: Price, sink: &mut impl Sink) {
        let mut bids = Front { side: Side::Buy, passed: 0, before: self.shown_at(Side::Buy, 0) };
        let mut asks = Front { side: Side::Sell, passed: 0, before: self.shown_at(Side::Sell, 0) };
        while let Some(buy) = self.head(&mut bids, price)
            && let Some(sell) = self.head(&mut asks, price)
        {
            self.cross(buy, sell, price, sink);
        }
        self.tell_changed(bids, sink);
        self.tell_changed(asks, sink);
    }

    fn cross(&mut self, buy: Slot<Order>, sell: Slot<Order>, price: Price, sink: &mut impl Sink) {
        let Order { key: buy_key, account: buy_account, shown: buy_shown, .. } = self.orders[buy];
        let Order { key: sell_key, account: sell_account, shown: sell_shown, .. } = self.orders[sell];
        let quantity = buy_shown.min(sell_shown);
        let buy_left = self.lose(buy, quantity);
        let sell_left = self.lose(sell, quantity);
        sink.cross(Cross {
            buy: buy_key,
            buy_account,
            buy_left,
            sell: sell_key,
            sell_account,
            sell_left,
            price,
            quantity,
        });
    }

    /// The next order of a side that trades at `price`.
    fn head(&self, front: &mut Front, price: Price) -> Option<Slot<Order>> {
        if self.level_at(front.side, front.passed)?.head.is_none() {
            front.passed += 1;
            front.before = self.shown_at(front.side, front.passed);
        }
        let level = self.level_at(front.side, front.passed)?;
        let trades = match front.side {
            Side::Buy => level.price >= price,
            Side::Sell => level.price <= price,
        };
        trades.then_some(level.head)
    }

    /// The level behind so many better ones.
    fn level_at(&self, side: Side, better: usize) -> Option<&Level> {
        let slot = self.ladders[side as usize].best_first().nth(better)?;
        Some(&self.levels[slot])
    }

    fn shown_at(&self, side: Side, better: usize) -> u128 {
        self.level_at(side, better).map_or(0, |level| level.total)
    }

    /// Closes the emptied levels of a side, and tells them and the one that may have lost a part.
    fn tell_changed(&mut self, front: Front, sink: &mut impl Sink) {
        let mut closed = 0;
        while let Some(slot) = self.ladders[front.side as usize].best() {
            let Level { price, total, head, .. } = self.levels[slot];
            if !head.is_none() {
                if closed == front.passed && total != front.before {
                    sink.level(front.side, price, told(total));
                }
                return;
            }
            self.ladders[front.side as usize].remove_best();
            self.levels.release(slot);
            sink.level(front.side, price, told(0));
            closed += 1;
        }
    }
}

/// How far an auction's trades have come on a side.
struct Front {
    side: Side,
    /// Emptied levels it has gone past. The one behind them is where it trades.
    passed: usize,
    /// What that level showed at first.
    before: u128,
}

/// A price of resting orders, and the lots that would trade at it or better.
#[derive(Clone, Copy)]
struct Candidate {
    price: Price,
    buyers: u128,
    sellers: u128,
}

/// The best candidates so far: all of them trade as much and leave as much over. From price to price there are
/// fewer buyers and more sellers, so those where buyers are left over are below those where sellers are.
struct Choice {
    lowest: Candidate,
    highest: Candidate,
    nearest: Candidate,
}

impl Choice {
    fn new(candidate: Candidate) -> Choice {
        Choice { lowest: candidate, highest: candidate, nearest: candidate }
    }

    /// Candidates come in the order of their prices.
    fn consider(&mut self, candidate: Candidate, reference: Option<Price>) {
        let (old, new) = (&self.lowest, &candidate);
        match new.volume().cmp(&old.volume()).then(old.over().cmp(&new.over())) {
            Ordering::Less => {}
            Ordering::Greater => *self = Choice::new(candidate),
            Ordering::Equal => {
                self.highest = candidate;
                let distance = |candidate: &Candidate| {
                    reference.map_or(0, |reference| reference.0.abs_diff(candidate.price.0))
                };
                if distance(&candidate) < distance(&self.nearest) {
                    self.nearest = candidate;
                }
            }
        }
    }

    fn decide(self) -> (Price, u128) {
        let Choice { lowest, highest, nearest } = self;
        let candidate = if highest.buyers > highest.sellers {
            highest
        } else if lowest.buyers < lowest.sellers {
            lowest
        } else {
            nearest
        };
        (candidate.price, candidate.volume())
    }
}

impl Candidate {
    fn volume(&self) -> u128 {
        self.buyers.min(self.sellers)
    }

    fn over(&self) -> u128 {
        self.buyers.abs_diff(self.sellers)
    }
}

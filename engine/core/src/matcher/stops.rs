//! Orders that wait for a trade at their trigger.
//!
//! Each trade is shown to [`Stops::observe`], one by one: a sweep can reach a trigger that its last trade does not.
//! Reached stops come out wave by wave: all that one command's trades have reached, in the order in which they were
//! accepted, then those that these have reached, until nobody is left. So what is not out has not been reached.
//!
//! A trailing stop knows the best trade price since it came; a better one moves its trigger. Those that a price is
//! news to are found without looking at the others.

use crate::units::{OrderKey, Price, Side};
use std::collections::{BTreeMap, BTreeSet};

/// The waiting stops of a symbol.
#[derive(Clone, Debug, Default)]
pub struct Stops {
    waiting: BTreeMap<OrderKey, Waiting>,
    /// By side: a rank that a trade's rank must reach, then the number of the order.
    triggers: [BTreeSet<(u64, u64, OrderKey)>; 2],
    /// By side: trailing stops by the rank of the best trade since they came.
    trailing: [BTreeSet<(u64, OrderKey)>; 2],
    /// By wave, then by the number of the order.
    reached: BTreeMap<(u64, u64), OrderKey>,
    wave: u64,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    side: Side,
    /// The order's public number: who came first.
    number: u64,
    trigger: Price,
    /// 0 for a stop that does not trail.
    distance: Price,
    reached_in: Option<u64>,
}

impl Stops {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn trailing(&self) -> usize {
        self.trailing.iter().map(BTreeSet::len).sum()
    }

    /// Whether the order waits here and has not been taken out.
    pub fn contains(&self, key: OrderKey) -> bool {
        self.waiting.contains_key(&key)
    }

    /// Adds a stop; `distance` is 0 unless it trails. `last` is the newest trade's price: it may be reached already.
    pub fn insert(
        &mut self,
        key: OrderKey,
        side: Side,
        number: u64,
        trigger: Price,
        distance: Price,
        last: Option<Price>,
    ) {
        self.waiting.insert(key, Waiting { side, number, trigger, distance, reached_in: None });
        self.file(key);
        if let Some(last) = last {
            self.observe(last);
        }
    }

    pub fn remove(&mut self, key: OrderKey) -> bool {
        let Some(waiting) = self.waiting.get(&key).copied() else { return false };
        self.unfile(key, waiting);
        if let Some(wave) = waiting.reached_in {
            self.reached.remove(&(wave, waiting.number));
        }
        self.waiting.remove(&key);
        true
    }

    /// A trade happened at `price`.
    pub fn observe(&mut self, price: Price) {
        for side in [Side::Buy, Side::Sell] {
            self.trail(side, price);
            // A buyer's stop is reached at or above its trigger, a seller's at or below: with a seller's ranks turned
            // over, both are reached from below.
            let rank = rank(side, price);
            while let Some(&(trigger, number, key)) = self.triggers[side as usize].first()
                && trigger <= rank
            {
                let waiting = self.waiting[&key];
                self.unfile(key, waiting);
                let wave = self.wave + 1;
                self.reached.insert((wave, number), key);
                self.waiting.get_mut(&key).expect("just seen").reached_in = Some(wave);
            }
        }
    }

    /// The next stop that has been reached; it waits no more.
    pub fn next_reached(&mut self) -> Option<OrderKey> {
        let ((wave, _), key) = self.reached.pop_first()?;
        self.wave = wave;
        self.waiting.remove(&key);
        Some(key)
    }

    /// All keys, by the number of their order.
    pub fn keys(&self) -> Vec<OrderKey> {
        let mut all: Vec<_> = self.waiting.iter().map(|(key, waiting)| (waiting.number, *key)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, key)| key).collect()
    }

    /// Moves the triggers of the trailing stops that have not seen so good a price.
    fn trail(&mut self, side: Side, price: Price) {
        // The best price for a trailing buyer is the lowest: the turned rank of its side.
        let seen = rank(side.opposite(), price);
        while let Some(&(best, key)) = self.trailing[side as usize].first()
            && best < seen
        {
            let mut waiting = self.waiting[&key];
            self.unfile(key, waiting);
            waiting.trigger = match side {
                Side::Buy => Price(price.0.saturating_add(waiting.distance.0)),
                Side::Sell => Price(price.0.saturating_sub(waiting.distance.0)),
            };
            self.waiting.insert(key, waiting);
            self.file(key);
        }
    }

    fn file(&mut self, key: OrderKey) {
        let waiting = self.waiting[&key];
        self.triggers[waiting.side as usize].insert((waiting.rank(), waiting.number, key));
        if waiting.distance.0 > 0 {
            self.trailing[waiting.side as usize].insert((waiting.best_seen(), key));
        }
    }

    fn unfile(&mut self, key: OrderKey, waiting: Waiting) {
        self.triggers[waiting.side as usize].remove(&(waiting.rank(), waiting.number, key));
        self.trailing[waiting.side as usize].remove(&(waiting.best_seen(), key));
    }
}

impl Waiting {
    fn rank(&self) -> u64 {
        rank(self.side, self.trigger)
    }

    /// The rank of the price that its trigger follows.
    fn best_seen(&self) -> u64 {
        let price = match self.side {
            Side::Buy => self.trigger.0.saturating_sub(self.distance.0),
            Side::Sell => self.trigger.0.saturating_add(self.distance.0),
        };
        rank(self.side.opposite(), Price(price))
    }
}

/// The larger, the nearer to setting off the stops of a side.
fn rank(side: Side, price: Price) -> u64 {
    match side {
        Side::Buy => price.0,
        Side::Sell => !price.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(stops: &mut Stops, number: u64, side: Side, trigger: u64, distance: u64) {
        stops.insert(OrderKey(100 - number), side, number, Price(trigger), Price(distance), None);
    }

    fn reached(stops: &mut Stops) -> Vec<u64> {
        std::iter::from_fn(|| stops.next_reached()).map(|key| 100 - key.0).collect()
    }

    #[test]
    fn reached_at_the_trigger_and_not_before_in_order_of_arrival() {
        let mut stops = Stops::default();
        insert(&mut stops, 1, Side::Buy, 105, 0);
        insert(&mut stops, 2, Side::Buy, 103, 0);
        insert(&mut stops, 3, Side::Sell, 95, 0);
        insert(&mut stops, 4, Side::Sell, 97, 0);
        stops.observe(Price(102));
        stops.observe(Price(98));
        assert_eq!(reached(&mut stops), []);
        stops.observe(Price(105));
        assert_eq!(reached(&mut stops), [1, 2]);
        stops.observe(Price(97));
        assert_eq!(reached(&mut stops), [4]);
        assert_eq!(stops.len(), 1);
    }

    #[test]
    fn what_a_reached_stop_reaches_comes_after_its_wave() {
        let mut stops = Stops::default();
        insert(&mut stops, 1, Side::Sell, 90, 0);
        insert(&mut stops, 2, Side::Sell, 95, 0);
        insert(&mut stops, 3, Side::Sell, 95, 0);
        stops.observe(Price(95));
        assert_eq!(stops.next_reached(), Some(OrderKey(98)));
        stops.observe(Price(90));
        assert_eq!(reached(&mut stops), [3, 1]);
        assert!(stops.is_empty());
    }

    #[test]
    fn a_trailing_seller_follows_the_market_up_and_not_down() {
        let mut stops = Stops::default();
        insert(&mut stops, 1, Side::Sell, 95, 5);
        for price in [101, 110, 106] {
            stops.observe(Price(price));
        }
        assert_eq!(reached(&mut stops), []);
        stops.observe(Price(105));
        assert_eq!(reached(&mut stops), [1]);
        assert_eq!(stops.trailing(), 0);
    }

    #[test]
    fn a_trailing_buyer_follows_the_market_down_and_not_up() {
        let mut stops = Stops::default();
        insert(&mut stops, 1, Side::Buy, 105, 5);
        insert(&mut stops, 2, Side::Buy, 110, 0);
        for price in [99, 90, 94] {
            stops.observe(Price(price));
        }
        assert_eq!(reached(&mut stops), []);
        stops.observe(Price(95));
        assert_eq!(reached(&mut stops), [1]);
    }

    #[test]
    fn a_removed_stop_is_never_reached() {
        let mut stops = Stops::default();
        insert(&mut stops, 1, Side::Buy, 105, 5);
        insert(&mut stops, 2, Side::Buy, 105, 0);
        insert(&mut stops, 3, Side::Buy, 105, 0);
        assert!(stops.remove(OrderKey(99)));
        assert!(!stops.remove(OrderKey(99)));
        stops.observe(Price(105));
        assert!(stops.remove(OrderKey(98)), "reached, but not out yet");
        assert_eq!(reached(&mut stops), [3]);
        assert!(stops.is_empty() && stops.trailing() == 0);
    }

    #[test]
    fn a_stop_behind_the_market_is_reached_at_once() {
        let mut stops = Stops::default();
        stops.insert(OrderKey(1), Side::Buy, 1, Price(100), Price(0), Some(Price(100)));
        stops.insert(OrderKey(2), Side::Sell, 2, Price(90), Price(5), Some(Price(100)));
        assert_eq!(stops.next_reached(), Some(OrderKey(1)));
        stops.observe(Price(95));
        assert_eq!(stops.next_reached(), Some(OrderKey(2)), "its trigger had moved to 95 at once");
    }
}

//! Orders that wait for a trade at their trigger.
//!
//! Each trade is shown to [`Stops::observe`], one by one: a sweep can reach a trigger that its last trade does not.
//! Reached stops come out wave by wave: all that one command's trades have reached, in the order in which they were
//! accepted, then those that these have reached, until nobody is left. So what is not out has not been reached.
//!
//! A trailing stop knows the best trade price since it came. All that know the same price are a [`crowd`](Crowds), and a
//! better price moves the crowd, whatever its size.

mod crowd;

use crate::units::{OrderKey, Price, Side};
use crowd::{CrowdId, Crowds, best_before};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The waiting stops of a symbol.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stops {
    waiting: BTreeMap<OrderKey, Waiting>,
    /// By side, of those with a trigger of their own: a rank that a trade's rank must reach, then the number of the order.
    triggers: [BTreeSet<(u64, u64, OrderKey)>; 2],
    /// By side: those that trail.
    crowds: [Crowds; 2],
    /// By wave, then by the number of the order.
    reached: BTreeMap<(u64, u64), OrderKey>,
    wave: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Waiting {
    side: Side,
    /// The order's public number: who came first.
    number: u64,
    waits: Waits,
}

/// For what.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Waits {
    For(Price),
    /// Its distance, and where it follows the market.
    In(Price, CrowdId),
    /// Its turn, in this wave.
    Out(u64),
}

impl Stops {
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
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
        let waits = if distance.0 == 0 {
            self.triggers[side as usize].insert((rank(side, trigger), number, key));
            Waits::For(trigger)
        } else {
            let best = best_before(side, trigger, distance);
            Waits::In(distance, self.crowds[side as usize].join(side, best, (distance, number, key)))
        };
        self.waiting.insert(key, Waiting { side, number, waits });
        if let Some(last) = last {
            self.observe(last);
        }
    }

    pub fn remove(&mut self, key: OrderKey) -> bool {
        let Some(Waiting { side, number, waits }) = self.waiting.remove(&key) else { return false };
        match waits {
            Waits::For(trigger) => {
                self.triggers[side as usize].remove(&(rank(side, trigger), number, key));
            }
            Waits::In(distance, crowd) => {
                self.crowds[side as usize].leave(side, crowd, (distance, number, key));
            }
            Waits::Out(wave) => {
                self.reached.remove(&(wave, number));
            }
        }
        true
    }

    /// A trade happened at `price`.
    pub fn observe(&mut self, price: Price) {
        for side in [Side::Buy, Side::Sell] {
            let Self { waiting, crowds, .. } = self;
            crowds[side as usize].follow(side, price, |(distance, _, key), crowd| {
                waiting.get_mut(&key).expect("it waits in a crowd").waits = Waits::In(distance, crowd);
            });
            // A buyer's stop is reached at or above its trigger, a seller's at or below: with a seller's ranks turned
            // over, both are reached from below.
            let rank = rank(side, price);
            while let Some(&(trigger, _, key)) = self.triggers[side as usize].first()
                && trigger <= rank
            {
                self.triggers[side as usize].pop_first();
                self.reach(key);
            }
            while let Some((_, _, key)) = self.crowds[side as usize].pop_reached(side, price) {
                self.reach(key);
            }
        }
    }

    fn reach(&mut self, key: OrderKey) {
        let wave = self.wave + 1;
        let waiting = self.waiting.get_mut(&key).expect("only who waits is reached");
        waiting.waits = Waits::Out(wave);
        self.reached.insert((wave, waiting.number), key);
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
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

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
        assert_eq!(reached(&mut stops), [0; 0]);
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
        assert_eq!(reached(&mut stops), [0; 0]);
        stops.observe(Price(105));
        assert_eq!(reached(&mut stops), [1]);
        assert!(stops.is_empty());
    }

    #[test]
    fn a_trailing_buyer_follows_the_market_down_and_not_up() {
        let mut stops = Stops::default();
        insert(&mut stops, 1, Side::Buy, 105, 5);
        insert(&mut stops, 2, Side::Buy, 110, 0);
        for price in [99, 90, 94] {
            stops.observe(Price(price));
        }
        assert_eq!(reached(&mut stops), [0; 0]);
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
        assert!(stops.is_empty());
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

    fn away(side: Side, price: Price, distance: Price) -> Price {
        match side {
            Side::Buy => Price(price.0.saturating_add(distance.0)),
            Side::Sell => Price(price.0.saturating_sub(distance.0)),
        }
    }

    /// Many stops with chance distances on a chance walk, against stops that are looked at one by one.
    #[test]
    fn crowds_trail_as_each_of_them_would_alone() {
        for seed in 0..200 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let (mut stops, mut plain) = (Stops::default(), Vec::new());
            let mut price = 1000_u64;
            for number in 1..=60 {
                let side = if random.random_bool(0.5) { Side::Buy } else { Side::Sell };
                let distance = random.random_range(1..40);
                let trigger = away(side, Price(price), Price(random.random_range(1..60)));
                insert(&mut stops, number, side, trigger.0, distance);
                plain.push((number, side, trigger, distance));
                if random.random_bool(0.2) {
                    let (gone, ..) = plain.swap_remove(random.random_range(0..plain.len()));
                    assert!(stops.remove(OrderKey(100 - gone)));
                }
                price = price.saturating_add_signed(random.random_range(-12..=12)).max(1);
                stops.observe(Price(price));
                let mut due = Vec::new();
                plain.retain_mut(|(number, side, trigger, distance)| {
                    let follows = away(*side, Price(price), Price(*distance));
                    let (reached, better) = match side {
                        Side::Buy => (price >= trigger.0, follows < *trigger),
                        Side::Sell => (price <= trigger.0, follows > *trigger),
                    };
                    if better {
                        *trigger = follows;
                    }
                    if reached {
                        due.push(*number);
                    }
                    !reached
                });
                due.sort_unstable();
                assert_eq!(reached(&mut stops), due, "seed {seed}, price {price}");
            }
            assert_eq!(stops.len(), plain.len());
        }
    }
}

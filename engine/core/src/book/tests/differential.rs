//! The plain book judges the fast one on seeded random streams.
//!
//! Each seed first draws the kind of market: how few prices, how few keys, how large the quantities, how often one
//! cancels. Few of everything makes what is rare in life common here: a level emptied and opened again, a key used
//! again at once, a cancel that comes after the fill.
//!
//! - `BOOK_SEEDS=10000` runs more seeds than the quick default.
//! - `BOOK_SEED=42` runs that one alone, as a failure advises.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Command, Mirror, apply, levels};
use crate::book::{Book, Fast, NewOrder, Plain};
use crate::units::{AccountId, OrderKey, Price, Quantity, Side, TimeInForce};

const SEEDS_DEFAULT: u64 = 2000;
const COMMANDS_PER_SEED: usize = 1500;
/// Looking at the whole book costs more than a command.
const COMMANDS_PER_PROBE: usize = 50;

#[test]
fn fast_book_does_what_the_plain_book_does() {
    if let Some(seed) = variable("BOOK_SEED") {
        return compare(seed);
    }
    for seed in 0..variable("BOOK_SEEDS").unwrap_or(SEEDS_DEFAULT) {
        if std::panic::catch_unwind(|| compare(seed)).is_err() {
            panic!("the books differ; see above, and run again with BOOK_SEED={seed}");
        }
    }
}

fn compare(seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let market = Market::draw(&mut random);
    let (mut plain, mut fast, mut mirror) = (Plain::default(), Fast::default(), Mirror::default());
    for number in 0..COMMANDS_PER_SEED {
        let command = market.command(&plain, &mut random);
        let expected = apply(&mut plain, command);
        assert_eq!(apply(&mut fast, command), expected, "seed {seed}, command {number}: {command:?}");
        mirror.follow(&expected);
        if number % COMMANDS_PER_PROBE == 0 {
            fast.check_invariants();
            mirror.check(&fast);
            probe(&plain, &fast, &market);
        }
    }
}

fn probe(plain: &Plain, fast: &Fast, market: &Market) {
    for side in [Side::Buy, Side::Sell] {
        assert_eq!(levels(fast, side), levels(plain, side));
    }
    assert_eq!(fast.len(), plain.len());
    assert_eq!(fast.is_empty(), plain.is_empty());
    for key in (0..market.keys).map(|number| market.key(number)) {
        assert_eq!(fast.remaining(key), plain.remaining(key), "what is left of {key}");
    }
}

/// What kind of commands a seed consists of.
#[derive(Debug)]
struct Market {
    price_lowest: u64,
    prices: u64,
    quantity_largest: u64,
    keys: u64,
    /// Keys are multiples of this: dense ids, ids whose low bits are all alike, and ids whose hashes in the fast
    /// book's index are 0, 1, 2, ..., so that all of them want the same bucket.
    key_stride: u64,
    cancels_percent: u32,
    rests_percent: u32,
}

impl Market {
    fn draw(random: &mut impl Rng) -> Market {
        let prices = *pick(&[1, 2, 3, 5, 12, 100, 2000], random);
        Market {
            price_lowest: *pick(&[1, 1000, 48_000_000_000, u64::MAX - prices + 1], random),
            prices,
            quantity_largest: *pick(&[1, 3, 10, 1_000_000, u64::MAX], random),
            keys: *pick(&[4, 16, 100, 700], random),
            key_stride: *pick(&[1, 1, 1 << 20, 1 << 40, 0xF1DE_83E1_9937_733D], random),
            cancels_percent: *pick(&[5, 30, 60], random),
            rests_percent: *pick(&[30, 70, 95], random),
        }
    }

    fn command(&self, book: &impl Book, random: &mut impl Rng) -> Command {
        let mut any_key = || self.key(random.random_range(0..self.keys));
        let key = any_key();
        let free = (0..8).map(|_| any_key()).find(|key| book.remaining(*key).is_none());
        match free {
            Some(free) if random.random_range(0..100) >= self.cancels_percent => {
                Command::Submit(self.order(free, random))
            }
            _ => Command::Cancel(key), // live or not
        }
    }

    fn order(&self, key: OrderKey, random: &mut impl Rng) -> NewOrder {
        let time_in_force = match random.random_range(0..100) < self.rests_percent {
            true => TimeInForce::Gtc,
            false => *pick(&[TimeInForce::Ioc, TimeInForce::Fok, TimeInForce::PostOnly], random),
        };
        NewOrder::new(
            key,
            AccountId(random.random_range(0..5)),
            *pick(&[Side::Buy, Side::Sell], random),
            Price(self.price_lowest + random.random_range(0..self.prices)),
            Quantity(random.random_range(1..=self.quantity_largest)),
            time_in_force,
        )
    }

    fn key(&self, number: u64) -> OrderKey {
        OrderKey(number.wrapping_mul(self.key_stride))
    }
}

fn pick<'a, T>(choices: &'a [T], random: &mut impl Rng) -> &'a T {
    &choices[random.random_range(0..choices.len())]
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

//! The plain book judges the fast one on seeded random streams.
//!
//! Each seed first draws the kind of market: how few prices, accounts and keys, how large the quantities, how often
//! one cancels, hides or holds an auction. Few of everything makes what is rare in life common here: a level emptied
//! and opened again, a key used again at once, an account that meets itself, a cancel that comes after the fill.
//!
//! - `BOOK_SEEDS=10000` runs more seeds than the quick default.
//! - `BOOK_SEED=42` runs that one alone, as a failure advises.

use std::collections::VecDeque;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Command, Mirror, apply, levels, orders};
use crate::book::{Book, Fast, NewOrder, Plain};
use crate::units::{AccountId, OrderKey, Price, Quantity, SelfTrade, Side, TimeInForce};

const SEEDS_DEFAULT: u64 = 3000;
const COMMANDS_PER_SEED: usize = 1200;
/// Looking at the whole book costs more than a command.
const COMMANDS_PER_PROBE: usize = 40;
/// An iceberg shows itself in so many pieces at most: one taker then makes thousands of fills, but not billions.
const PIECES_MAX: u64 = 3000;

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
    let mut stream = Stream::draw(&mut random);
    let (mut plain, mut fast, mut mirror) = (Plain::default(), Fast::default(), Mirror::default());
    for number in 0..COMMANDS_PER_SEED {
        let command = stream.next(&plain, &mut random);
        let expected = apply(&mut plain, command);
        assert_eq!(apply(&mut fast, command), expected, "seed {seed}, command {number}: {command:?}");
        mirror.follow(&expected);
        if number % COMMANDS_PER_PROBE == 0 {
            fast.check_invariants();
            mirror.check(&fast);
            probe(&plain, &fast, &stream.market, &mut random);
        }
    }
}

/// All that one can ask without changing anything.
fn probe(plain: &Plain, fast: &Fast, market: &Market, random: &mut impl Rng) {
    for side in [Side::Buy, Side::Sell] {
        assert_eq!(levels(fast, side), levels(plain, side));
        assert_eq!(orders(fast, side), orders(plain, side));
    }
    assert_eq!(fast.len(), plain.len());
    assert_eq!(fast.is_empty(), plain.is_empty());
    for key in (0..market.keys).map(|number| market.key(number)) {
        assert_eq!(fast.remaining(key), plain.remaining(key), "what is left of {key}");
    }
    for _ in 0..3 {
        let order = market.order(market.key(0), random);
        assert_eq!(fast.would_fill(&order), plain.would_fill(&order), "whether it would fill: {order:?}");
        let reference = random.random_bool(0.7).then(|| market.price(random));
        assert_eq!(fast.auction(reference), plain.auction(reference), "the auction near {reference:?}");
    }
}

/// The commands of a seed.
struct Stream {
    market: Market,
    /// Commands that an auction still lasts; `None` outside of one.
    auction: Option<u32>,
    /// What must come next.
    queued: VecDeque<Command>,
}

impl Stream {
    fn draw(random: &mut impl Rng) -> Stream {
        Stream { market: Market::draw(random), auction: None, queued: VecDeque::new() }
    }

    fn next(&mut self, book: &impl Book, random: &mut impl Rng) -> Command {
        if let Some(command) = self.queued.pop_front() {
            return command;
        }
        match self.auction {
            None if random.random_range(0..1000) < self.market.auctions_permille => {
                self.auction = Some(random.random_range(0..80));
            }
            Some(0) => {
                self.auction = None;
                let reference = random.random_bool(0.5).then(|| self.market.price(random));
                if let Some((price, _)) = book.auction(reference) {
                    return Command::Uncross(price);
                }
            }
            Some(left) => self.auction = Some(left - 1),
            None => {}
        }
        self.command(book, random)
    }

    fn command(&mut self, book: &impl Book, random: &mut impl Rng) -> Command {
        let market = &self.market;
        let key = market.any_key(random);
        let kind = random.random_range(0..100);
        if kind < market.cancels_percent {
            return Command::Cancel(key); // live or not
        }
        if kind < market.cancels_percent + market.amends_percent {
            return self.amend(key, book, random);
        }
        match (0..8).map(|_| market.any_key(random)).find(|key| book.remaining(*key).is_none()) {
            Some(free) => self.place(market.order(free, random)),
            None => Command::Cancel(key),
        }
    }

    /// Less of an order keeps its place; any other change cancels it and places another under its key.
    fn amend(&mut self, key: OrderKey, book: &impl Book, random: &mut impl Rng) -> Command {
        let Some(left) = book.remaining(key) else { return Command::Reduce(key, Quantity(1)) };
        if random.random_bool(0.7) {
            return Command::Reduce(key, Quantity(random.random_range(1..=left.0)));
        }
        let order = self.place(self.market.order(key, random));
        self.queued.push_back(order);
        Command::Cancel(key)
    }

    fn place(&self, order: NewOrder) -> Command {
        match self.auction {
            Some(_) => Command::Rest(order),
            None => Command::Submit(order),
        }
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
    accounts: u32,
    cancels_percent: u32,
    amends_percent: u32,
    rests_percent: u32,
    preventions_percent: u32,
    icebergs_percent: u32,
    auctions_permille: u32,
}

impl Market {
    fn draw(random: &mut impl Rng) -> Market {
        let prices = *pick(&[1, 2, 3, 5, 12, 100, 2000], random);
        Market {
            price_lowest: *pick(&[1, 1000, 48_000_000_000, u64::MAX - prices + 1], random),
            prices,
            quantity_largest: *pick(&[1, 3, 10, 2000, 1_000_000, u64::MAX], random),
            keys: *pick(&[4, 16, 100, 700], random),
            key_stride: *pick(&[1, 1, 1 << 20, 1 << 40, 0xF1DE_83E1_9937_733D], random),
            accounts: *pick(&[1, 2, 3, 50], random),
            cancels_percent: *pick(&[2, 20, 45], random),
            amends_percent: *pick(&[0, 5, 25], random),
            rests_percent: *pick(&[30, 70, 95], random),
            preventions_percent: *pick(&[0, 20, 90], random),
            icebergs_percent: *pick(&[0, 10, 60], random),
            auctions_permille: *pick(&[0, 2, 20], random),
        }
    }

    fn order(&self, key: OrderKey, random: &mut impl Rng) -> NewOrder {
        let time_in_force = match chance(self.rests_percent, random) {
            true => TimeInForce::Gtc,
            false => *pick(&[TimeInForce::Ioc, TimeInForce::Fok, TimeInForce::PostOnly], random),
        };
        let quantity = Quantity(random.random_range(1..=self.quantity_largest));
        let mut order = NewOrder::new(
            key,
            AccountId(random.random_range(0..self.accounts)),
            *pick(&[Side::Buy, Side::Sell], random),
            self.price(random),
            quantity,
            time_in_force,
        );
        if chance(self.preventions_percent, random) {
            order.self_trade = *pick(&PREVENTIONS, random);
        }
        if chance(self.icebergs_percent, random) {
            order.display = self.display(quantity, random);
        }
        if time_in_force == TimeInForce::Ioc && chance(50, random) {
            order.budget = self.budget(&order, random);
        }
        order
    }

    fn display(&self, quantity: Quantity, random: &mut impl Rng) -> Quantity {
        let smallest = quantity.0.div_ceil(PIECES_MAX);
        Quantity(match random.random_range(0..4) {
            0 => smallest,
            1 => random.random_range(smallest..=quantity.0),
            2 => quantity.0.div_ceil(3),
            _ => quantity.0.saturating_add(random.random_range(0..2)), // shows itself whole
        })
    }

    /// Enough for some of its lots, give or take one tick.
    fn budget(&self, order: &NewOrder, random: &mut impl Rng) -> u128 {
        let lots = random.random_range(0..=order.quantity.0);
        let exact = u128::from(lots) * u128::from(self.price(random).0);
        (exact + random.random_range(0..3)).saturating_sub(1)
    }

    fn price(&self, random: &mut impl Rng) -> Price {
        Price(self.price_lowest + random.random_range(0..self.prices))
    }

    fn any_key(&self, random: &mut impl Rng) -> OrderKey {
        self.key(random.random_range(0..self.keys))
    }

    fn key(&self, number: u64) -> OrderKey {
        OrderKey(number.wrapping_mul(self.key_stride))
    }
}

const PREVENTIONS: [SelfTrade; 4] =
    [SelfTrade::CancelNewest, SelfTrade::CancelOldest, SelfTrade::CancelBoth, SelfTrade::Decrement];

fn chance(percent: u32, random: &mut impl Rng) -> bool {
    random.random_range(0..100) < percent
}

fn pick<'a, T>(choices: &'a [T], random: &mut impl Rng) -> &'a T {
    &choices[random.random_range(0..choices.len())]
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

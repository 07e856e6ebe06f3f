//! Drawn streams: five markets, each hard on a book in its own way.
//!
//! A stream is drawn against a real book, so that cancels find their order and takers a maker: on a correct engine no
//! command of a stream is void.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use engine_core::book::{Book, Fast, Fill, NewOrder, Outcome, Sink};
use engine_core::units::{AccountId, OrderKey, Price, Quantity, Side, TimeInForce};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::stream::{Command, Kind, Stream};

/// Far from both ends of what a price can be.
const MIDDLE: u64 = 24_000_000_000;

pub struct Market {
    pub name: &'static str,
    pub about: &'static str,
    /// How far from the middle passive orders come.
    reach: Reach,
    life: Life,
    /// Of the messages that are no cancel, how many amend; half of these only take lots away, half move the price.
    amend: f64,
    /// Of the new orders, how many are IOC, and how many of those reach a maker.
    ioc: f64,
    ioc_hits: f64,
    /// Most lots of a passive order, and of a taker.
    quantity: u64,
    taker: u64,
}

enum Reach {
    /// A distance twice as far is half as likely, in steps of so many ticks; the middle wanders.
    Touch { step: u64 },
    /// All prices of a side alike.
    Even { prices: u64 },
}

enum Life {
    /// Messages until an order is cancelled: log-normal, so half live shorter than the median and a few very long.
    LogNormal { median: f64, sigma: f64 },
    /// About so many orders are live: at more, a random one goes (or a taker comes), one of the `newest` if given.
    Hover { live: usize, newest: usize },
}

/// The markets, in the order of the report.
pub fn markets() -> [Market; 5] {
    [
        Market {
            name: "mix",
            about: "median order life 2,000 messages: 0.4 ms at 5 M messages/s",
            reach: Reach::Touch { step: 4 },
            life: Life::LogNormal { median: 2_000.0, sigma: 1.8 },
            amend: 0.32,
            ioc: 0.15,
            ioc_hits: 0.15,
            quantity: 100,
            taker: 80,
        },
        Market {
            name: "deep",
            about: "400,000 orders on 2,000 prices a side",
            reach: Reach::Even { prices: 2_000 },
            life: Life::Hover { live: 400_000, newest: 0 },
            amend: 0.0,
            ioc: 0.1,
            ioc_hits: 1.0,
            quantity: 10,
            taker: 15,
        },
        Market {
            name: "sweep",
            about: "about one order a price, and takers that go through 20 of them",
            reach: Reach::Even { prices: 3_000 },
            life: Life::Hover { live: 4_000, newest: 0 },
            amend: 0.0,
            ioc: 0.04,
            ioc_hits: 1.0,
            quantity: 10,
            taker: 220,
        },
        Market {
            name: "wide",
            about: "20,000 orders, every one on a price of its own, all alike in chance",
            reach: Reach::Even { prices: 10_000_000_000 },
            life: Life::Hover { live: 20_000, newest: 0 },
            amend: 0.0,
            ioc: 0.1,
            ioc_hits: 1.0,
            quantity: 10,
            taker: 15,
        },
        Market {
            name: "touch",
            about: "a thousand orders on a few prices, and nearly all messages place or cancel at the touch",
            reach: Reach::Touch { step: 1 },
            life: Life::Hover { live: 1_000, newest: 64 },
            amend: 0.0,
            ioc: 0.03,
            ioc_hits: 1.0,
            quantity: 10,
            taker: 15,
        },
    ]
}

impl Market {
    /// As many messages as the market needs to fill its book, and `messages` after that.
    pub fn draw(&self, messages: usize, seed: u64) -> Stream {
        let mut draw = Draw::new(self, seed);
        let filling = match self.life {
            Life::LogNormal { .. } => messages / 4,
            Life::Hover { live, .. } => live + live / 4,
        };
        for _ in 0..filling {
            draw.message();
        }
        draw.counts = Counts::default();
        for _ in 0..messages {
            draw.message();
        }
        Stream {
            name: self.name.into(),
            about: format!("{}; {}", self.about, draw.counts.text(&draw.book)),
            commands: draw.commands,
            timed_from: filling,
            live_max: draw.live_max,
            levels_max: draw.live_max,
        }
    }
}

struct Draw<'a> {
    market: &'a Market,
    random: ChaCha8Rng,
    book: Fast,
    commands: Vec<Command>,
    /// Orders that rested, oldest first but for the holes that were filled; some are gone.
    rested: Vec<Placed>,
    /// When which order is to be cancelled, in messages from the start.
    due: BinaryHeap<Reverse<(u64, u64)>>,
    middle: u64,
    keys: u64,
    live_max: usize,
    counts: Counts,
}

#[derive(Clone, Copy)]
struct Placed {
    key: u64,
    side: Side,
    price: u64,
}

#[derive(Default)]
struct Counts {
    orders: u64,
    ioc: u64,
    amends: u64,
    messages: u64,
    filled: u64,
    fills: u64,
}

impl Draw<'_> {
    fn new(market: &Market, seed: u64) -> Draw<'_> {
        Draw {
            market,
            random: ChaCha8Rng::seed_from_u64(seed),
            book: Fast::default(),
            commands: Vec::new(),
            rested: Vec::new(),
            due: BinaryHeap::new(),
            middle: MIDDLE,
            keys: 0,
            live_max: 0,
            counts: Counts::default(),
        }
    }

    fn message(&mut self) {
        self.counts.messages += 1;
        let command = self.next();
        self.apply(&command);
        self.commands.push(command);
        self.live_max = self.live_max.max(self.book.len());
    }

    fn next(&mut self) -> Command {
        if let Some(command) = self.due_cancel() {
            return command;
        }
        if self.random.random_bool(self.market.amend)
            && let Some(command) = self.amend()
        {
            return command;
        }
        if let Life::Hover { live, newest } = self.market.life {
            let full = self.book.len() >= live;
            if full
                && !self.random.random_bool(self.market.ioc)
                && let Some(at) = self.pick(newest)
            {
                let placed = self.rested.swap_remove(at);
                return Command {
                    kind: Kind::Cancel,
                    side: placed.side,
                    key: placed.key,
                    price: 0,
                    quantity: 0,
                };
            }
            return self.order(full);
        }
        let ioc = self.random.random_bool(self.market.ioc);
        self.order(ioc)
    }

    /// The order whose time has come, if it still rests.
    fn due_cancel(&mut self) -> Option<Command> {
        let now = self.commands.len() as u64;
        while let Some(Reverse((at, key))) = self.due.peek().copied()
            && at <= now
        {
            self.due.pop();
            if self.book.remaining(OrderKey(key)).is_some() {
                return Some(Command { kind: Kind::Cancel, side: Side::Buy, key, price: 0, quantity: 0 });
            }
        }
        None
    }

    fn amend(&mut self) -> Option<Command> {
        let at = self.pick(0)?;
        let Placed { key, side, mut price } = self.rested[at];
        let mut quantity = self.book.remaining(OrderKey(key))?.0;
        self.counts.amends += 1;
        if quantity > 1 && self.random.random_bool(0.5) {
            quantity = self.random.random_range(1..quantity);
            return Some(Command { kind: Kind::Reduce, side, key, price, quantity });
        }
        price = self.passive_price(side);
        self.rested[at].price = price;
        Some(Command { kind: Kind::Replace, side, key, price, quantity })
    }

    /// Where in `rested` a live order is, one of the newest if their number is given.
    fn pick(&mut self, newest: usize) -> Option<usize> {
        while !self.rested.is_empty() {
            let from = if newest == 0 { 0 } else { self.rested.len().saturating_sub(newest) };
            let at = self.random.random_range(from..self.rested.len());
            if self.book.remaining(OrderKey(self.rested[at].key)).is_some() {
                return Some(at);
            }
            self.rested.swap_remove(at);
        }
        None
    }

    fn order(&mut self, ioc: bool) -> Command {
        self.keys += 1;
        let side = if self.random.random_bool(0.5) { Side::Buy } else { Side::Sell };
        if matches!(self.market.reach, Reach::Touch { .. }) && self.random.random_bool(0.05) {
            self.middle = self.middle + self.random.random_range(0..=2) - 1;
        }
        let (kind, price, most) = match ioc {
            true => (Kind::Ioc, self.taker_price(side), self.market.taker),
            false => (Kind::Limit, self.passive_price(side), self.market.quantity),
        };
        Command { kind, side, key: self.keys, price, quantity: self.random.random_range(1..=most) }
    }

    /// A price that does not trade.
    fn passive_price(&mut self, side: Side) -> u64 {
        let away = self.market.reach.draw(&mut self.random);
        let best = self.book.best(side.opposite()).map(|best| best.0.0);
        match side {
            Side::Buy => (self.middle - away).min(best.map_or(u64::MAX, |ask| ask - 1)),
            Side::Sell => (self.middle + away).max(best.map_or(0, |bid| bid + 1)),
        }
    }

    /// A price that takes whatever there is, or one that just misses the best.
    fn taker_price(&mut self, side: Side) -> u64 {
        let hits = self.random.random_bool(self.market.ioc_hits);
        let best = self.book.best(side.opposite()).map_or(self.middle, |best| best.0.0);
        match (hits, side) {
            (true, Side::Buy) => 2 * MIDDLE,
            (true, Side::Sell) => 1,
            (false, Side::Buy) => best - 1,
            (false, Side::Sell) => best + 1,
        }
    }

    fn apply(&mut self, command: &Command) {
        let key = OrderKey(command.key);
        let time_in_force = match command.kind {
            Kind::Cancel => {
                self.book.cancel(key, &mut self.counts);
                return;
            }
            Kind::Reduce => {
                self.book.reduce(key, Quantity(command.quantity), &mut self.counts);
                return;
            }
            Kind::Replace => {
                self.book.cancel(key, &mut self.counts);
                TimeInForce::Gtc
            }
            Kind::Ioc => TimeInForce::Ioc,
            _ => TimeInForce::Gtc,
        };
        let (price, quantity) = (Price(command.price), Quantity(command.quantity));
        let order = NewOrder::new(key, AccountId(0), command.side, price, quantity, time_in_force);
        let outcome = self.book.submit(order, &mut self.counts);
        if command.kind == Kind::Replace {
            return;
        }
        self.counts.orders += 1;
        self.counts.ioc += u64::from(command.kind == Kind::Ioc);
        self.counts.filled += u64::from(outcome == Ok(Outcome::Filled));
        if let Ok(Outcome::Resting(_)) = outcome {
            self.rested.push(Placed { key: command.key, side: command.side, price: command.price });
            if let Life::LogNormal { median, sigma } = self.market.life {
                let life = median * (sigma * normal(&mut self.random)).exp();
                self.due.push(Reverse((self.commands.len() as u64 + 1 + life as u64, command.key)));
            }
        }
    }
}

impl Reach {
    fn draw(&self, random: &mut ChaCha8Rng) -> u64 {
        match self {
            Reach::Touch { step } => {
                1 + u64::from(random.random::<u64>().trailing_zeros()) * step + random.random_range(0..*step)
            }
            Reach::Even { prices } => random.random_range(1..=*prices),
        }
    }
}

impl Counts {
    fn text(&self, book: &Fast) -> String {
        let of = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
        let mut levels = 0;
        for side in [Side::Buy, Side::Sell] {
            book.levels(side, |_, _| {
                levels += 1;
                true
            });
        }
        format!(
            "{:.1} % of orders end cancelled, {:.1} % are IOC, {:.1} % of messages amend, {:.2} fills a message; \
             {} orders on {} prices at the end",
            100.0 - of(self.filled, self.orders),
            of(self.ioc, self.orders),
            of(self.amends, self.messages),
            self.fills as f64 / self.messages as f64,
            book.len(),
            levels,
        )
    }
}

impl Sink for Counts {
    fn fill(&mut self, fill: Fill) {
        self.fills += 1;
        self.filled += u64::from(fill.maker_left.is_zero());
    }

    fn level(&mut self, _: Side, _: Price, _: Quantity) {}
}

/// A standard normal deviate (Box and Muller).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (radius, angle): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

//! How many nanoseconds does a command cost, in the fast book and in the plain one?
//!
//! `cargo bench -p engine-core --bench book` measures. Without cargo's `--bench`, as under `cargo test --benches`,
//! or with `RINGSIDE_BENCH` set, it runs in a blink, to show that it still works.
//!
//! Each market is one seeded stream of commands, drawn beforehand. Both books take it in turns, round by round, so
//! that what else the machine does hits both; filling the book is not timed. A round's figure is its mean, the
//! fastest and the middle round are printed, and the checksum over all events must be the same for both.
//!
//! - `touch`: what most symbols look like. Half of the orders come within 16 ticks of the middle, few live at a time.
//! - `deep`: a large book, 2,000 prices a side with equal chances; hardly anything is in the cache.
//! - `wide`: every order has a price of its own, 20,000 of them: the sorted vectors at their worst.

use std::time::Instant;

use engine_core::book::{Book, Fast, Fill, NewOrder, Outcome, Plain, Sink};
use engine_core::units::{AccountId, OrderKey, Price, Quantity, Side, TimeInForce};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SEED: u64 = 1;

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench") && std::env::var_os("RINGSIDE_BENCH").is_none();
    let size = if full { 1 } else { 1000 };
    println!("seed {SEED}{}", if full { "" } else { ", tiny" });
    println!("market     live  levels   fast ns/command      plain ns/command     checksum");
    println!("                          fastest  middle      fastest  middle");
    for market in [
        Market { name: "touch", live: 5_000, reach: Reach::Touch },
        Market { name: "deep", live: 400_000, reach: Reach::Even { prices: 2_000 } },
        Market { name: "wide", live: 20_000, reach: Reach::Even { prices: 10_000_000_000 } },
    ] {
        market.scaled_down(size).run(1_000_000 / size, if full { 7 } else { 1 });
    }
}

struct Market {
    name: &'static str,
    /// Live orders it hovers around.
    live: usize,
    reach: Reach,
}

/// How far from the touch passive orders come.
enum Reach {
    /// A distance twice as far is half as likely, up to 1,024 ticks, and the middle wanders.
    Touch,
    /// All prices of a side alike.
    Even { prices: u64 },
}

enum Command {
    Submit(NewOrder),
    Cancel(OrderKey),
}

struct Stream {
    filling: Vec<Command>,
    timed: Vec<Command>,
    live: usize,
    levels: usize,
}

impl Market {
    fn scaled_down(self, size: usize) -> Market {
        Market { live: (self.live / size).max(10), ..self }
    }

    fn run(&self, commands: usize, rounds: usize) {
        let stream = self.draw(commands);
        let (mut fast, mut plain) = (Vec::new(), Vec::new());
        let mut checksum = None;
        for _ in 0..rounds {
            for (times, (nanoseconds, events)) in
                [(&mut fast, time::<Fast>(&stream)), (&mut plain, time::<Plain>(&stream))]
            {
                times.push(nanoseconds);
                assert_eq!(*checksum.get_or_insert(events), events, "the books differ");
            }
        }
        println!(
            "{:<7} {:>7} {:>7}   {}   {}     {:016x}",
            self.name,
            stream.live,
            stream.levels,
            figures(fast),
            figures(plain),
            checksum.unwrap_or_default()
        );
    }

    /// Draws the stream against a real book, so that cancels mostly find their order and takers a maker.
    fn draw(&self, commands: usize) -> Stream {
        let mut draw = Draw::new(self);
        let filling = (0..4 * self.live).map(|_| draw.command()).collect();
        let timed = (0..commands).map(|_| draw.command()).collect();
        let mut levels = 0;
        for side in [Side::Buy, Side::Sell] {
            draw.book.levels(side, |_, _| {
                levels += 1;
                true
            });
        }
        Stream { filling, timed, live: draw.book.len(), levels }
    }
}

struct Draw<'a> {
    market: &'a Market,
    random: ChaCha8Rng,
    book: Fast,
    rested: Vec<OrderKey>,
    keys: u64,
    middle: u64,
}

impl Draw<'_> {
    fn new(market: &Market) -> Draw<'_> {
        let middle = 24_000_000_000;
        let random = ChaCha8Rng::seed_from_u64(SEED);
        Draw { market, random, book: Fast::default(), rested: Vec::new(), keys: 0, middle }
    }

    /// About half are cancels, and 15 % of the orders take.
    fn command(&mut self) -> Command {
        let full = self.book.len() >= self.market.live;
        let cancels = if full { 0.6 } else { 0.3 };
        if self.random.random_bool(cancels)
            && let Some(key) = self.pick_live()
        {
            self.book.cancel(key, &mut Checksum(0));
            return Command::Cancel(key);
        }
        let order = self.order();
        if let Ok(Outcome::Resting(_)) = self.book.submit(order, &mut Checksum(0)) {
            self.rested.push(order.key);
        }
        Command::Submit(order)
    }

    fn pick_live(&mut self) -> Option<OrderKey> {
        while !self.rested.is_empty() {
            let at = self.random.random_range(0..self.rested.len());
            let key = self.rested.swap_remove(at);
            if self.book.remaining(key).is_some() {
                return Some(key);
            }
        }
        None
    }

    fn order(&mut self) -> NewOrder {
        self.keys += 1;
        let side = if self.random.random_bool(0.5) { Side::Buy } else { Side::Sell };
        let takes = self.random.random_bool(0.15);
        let away = self.market.reach.draw(&mut self.random);
        if matches!(self.market.reach, Reach::Touch) && self.random.random_bool(0.05) {
            self.middle = self.middle + self.random.random_range(0..=2) - 1;
        }
        let (price, quantity) = match (takes, side) {
            (true, Side::Buy) => (self.middle * 2, 15),
            (true, Side::Sell) => (1, 15),
            (false, Side::Buy) => (self.middle - away, 10),
            (false, Side::Sell) => (self.middle + away, 10),
        };
        NewOrder::new(
            OrderKey(self.keys),
            AccountId(self.random.random_range(0..1000)),
            side,
            Price(price),
            Quantity(self.random.random_range(1..=quantity)),
            if takes { TimeInForce::Ioc } else { TimeInForce::Gtc },
        )
    }
}

impl Reach {
    fn draw(&self, random: &mut impl Rng) -> u64 {
        match self {
            Reach::Touch => {
                1 + u64::from(random.random::<u64>().trailing_zeros()) * 4 + random.random_range(0..4)
            }
            Reach::Even { prices } => random.random_range(1..=*prices),
        }
    }
}

/// Nanoseconds per command and the checksum of everything it told.
fn time<B: Book + Default>(stream: &Stream) -> (f64, u64) {
    let mut book = B::default();
    let mut checksum = Checksum(0);
    run(&mut book, &stream.filling, &mut checksum);
    let start = Instant::now();
    run(&mut book, &stream.timed, &mut checksum);
    (start.elapsed().as_nanos() as f64 / stream.timed.len() as f64, checksum.0)
}

fn run(book: &mut impl Book, commands: &[Command], checksum: &mut Checksum) {
    for command in commands {
        let answer = match command {
            Command::Submit(order) => book.submit(*order, checksum).is_ok().into(),
            Command::Cancel(key) => book.cancel(*key, checksum).unwrap_or_default().0,
        };
        checksum.add(answer);
    }
}

fn figures(mut rounds: Vec<f64>) -> String {
    rounds.sort_by(f64::total_cmp);
    format!("{:>8.1} {:>8.1}   ", rounds[0], rounds[rounds.len() / 2])
}

/// The work, folded into a number that nobody can leave out.
struct Checksum(u64);

impl Checksum {
    fn add(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x517C_C1B7_2722_0A95);
    }
}

impl Sink for Checksum {
    fn fill(&mut self, fill: Fill) {
        self.add(fill.maker.0);
        self.add(fill.price.0);
        self.add(fill.quantity.0);
    }

    fn level(&mut self, _: Side, price: Price, total: Quantity) {
        self.add(price.0);
        self.add(total.0);
    }
}

//! A stream of commands as venues see it, drawn beforehand from a seed.
//!
//! 15 % of the orders are IOC, 20 % of the messages amend, an order rests for a number of messages that is given (2,000 are
//! 0.4 ms at 5 million a second) in the middle, and nearly all end cancelled; two symbols, prices near the touch.

use engine_core::message::*;
use engine_core::units::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub const SEED: u64 = 1;
/// The first command's time: one of today, which takes more bytes in a journal than a small one.
const BEGIN: u64 = 1_790_000_000_000_000;
const SYMBOLS: u32 = 2;
/// Inputs that open and fund an account; the stream is numbered after them.
pub const OPENING_EACH: u32 = 4;

/// What may differ.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    pub commands: usize,
    pub accounts: u32,
    /// Messages for which an order rests, in the middle.
    pub life: f64,
    /// Whether the inputs of a symbol are numbered, as in a replay.
    pub tickets: bool,
}

/// The commands. Whoever applies them opens and funds the accounts before, with [`OPENING_EACH`] inputs for each.
pub fn draw(mix: Mix) -> Vec<Input> {
    let Mix { commands, accounts, life, tickets: with_tickets } = mix;
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut tickets = [0; SYMBOLS as usize];
    let mut number = accounts * OPENING_EACH;
    let mut input = |command| {
        number += 1;
        let ticket = match command {
            Command::Submit(Submit { symbol, .. })
            | Command::Amend(Amend { symbol, .. })
            | Command::Cancel { symbol, .. }
                if with_tickets =>
            {
                let next = &mut tickets[symbol.0 as usize];
                *next += 1;
                *next
            }
            _ => 0,
        };
        Input { ticket, ..numbered(number, command) }
    };
    let mut resting = Resting::default();
    let mut timed = Vec::with_capacity(commands);
    for number in 0..commands {
        let command = match resting.due(number) {
            Some(Submit { account, symbol, order_id, .. }) => Command::Cancel { account, symbol, order_id },
            None => match random.random_bool(0.35).then(|| resting.any(&mut random)).flatten() {
                Some(order) => Command::Amend(amended(order, &mut random)),
                None => {
                    let order = order(&mut random, number, accounts);
                    resting.add(order, number, life, &mut random);
                    Command::Submit(order)
                }
            },
        };
        timed.push(input(command));
    }
    timed
}

/// The input of that number in the stream, counted from 1: its time and its request say which it is.
pub fn numbered(number: u32, command: Command) -> Input {
    let at = 2 * u64::from(number);
    let origin = Origin { port: 0, session: 1_000, request: at as u32 };
    Input { origin, at: Timestamp(BEGIN + at), ticket: 0, command }
}

/// Orders that may rest, and when each is to be cancelled.
#[derive(Default)]
struct Resting {
    orders: Vec<Submit>,
    amended: Vec<bool>,
    ends: BinaryHeap<Reverse<(usize, usize)>>,
}

impl Resting {
    fn add(&mut self, order: Submit, number: usize, life: f64, random: &mut ChaCha8Rng) {
        if order.time_in_force == TimeInForce::Gtc {
            // An exponential life with that median.
            let life = -(1.0 - random.random::<f64>()).log2() * life;
            self.ends.push(Reverse((number + 1 + life as usize, self.orders.len())));
            self.orders.push(order);
        }
    }

    /// The order whose time it is.
    fn due(&mut self, number: usize) -> Option<Submit> {
        let Reverse((_, at)) = self.ends.peek().filter(|Reverse((end, _))| *end <= number)?;
        let order = self.orders[*at];
        self.ends.pop();
        Some(order)
    }

    /// One of the newest that was not amended before: while an amend is on its way another is refused, which on threads
    /// is a matter of luck.
    fn any(&mut self, random: &mut ChaCha8Rng) -> Option<Submit> {
        let newest = self.orders.len().saturating_sub(1_000);
        let at = (self.orders.len() > newest).then(|| random.random_range(newest..self.orders.len()))?;
        self.amended.resize(self.orders.len(), false);
        let before = std::mem::replace(&mut self.amended[at], true);
        (!before).then(|| self.orders[at])
    }
}

/// Fewer lots, which keep their place, or another price.
fn amended(order: Submit, random: &mut ChaCha8Rng) -> Amend {
    let Submit { account, symbol, order_id, price, quantity, .. } = order;
    let shrinks = random.random_bool(0.5);
    Amend {
        account,
        symbol,
        order_id,
        price: (!shrinks).then(|| Price(price.0 + random.random_range(0..3) - 1)),
        quantity: shrinks.then(|| Quantity(1 + quantity.0 / 2)),
    }
}

/// Around 30,000.00; a distance twice as far is half as likely.
fn order(random: &mut ChaCha8Rng, number: usize, accounts: u32) -> Submit {
    let side = if random.random() { Side::Buy } else { Side::Sell };
    let takes = random.random_bool(0.15);
    let away = 1 + u64::from(random.random::<u64>().trailing_zeros()) * 4 + random.random_range(0..4);
    let price = match side {
        Side::Buy => 3_000_000 - away,
        Side::Sell => 3_000_000 + away,
    };
    let order = Submit::limit(
        AccountId(random.random_range(0..accounts)),
        SymbolId(random.random_range(0..SYMBOLS)),
        ClientOrderId::new(&format!("order-{number}")).expect("a short id"),
        side,
        // An IOC reaches for the touch; most find nobody there.
        Price(if takes && side == Side::Buy {
            price + 3
        } else if takes {
            price - 3
        } else {
            price
        }),
        Quantity(random.random_range(1..=100)),
    );
    Submit { time_in_force: if takes { TimeInForce::Ioc } else { TimeInForce::Gtc }, ..order }
}

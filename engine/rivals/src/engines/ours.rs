//! Ringside's books: `Fast`, which runs, and `Plain`, which judges.
//!
//! Both tell every fill and the fate of each order, as the rivals do, and every change of a level, which no rival does.

use engine_core::book::{Book, Fast, Fill, NewOrder, Outcome, Plain, Refusal, Sink};
use engine_core::units::{AccountId, OrderKey, Price, Quantity, Side, TimeInForce};

use super::{Engine, Tally};
use crate::stream::{Command, Kind, Stream};

impl Engine for Fast {
    const NAME: &'static str = "ringside";

    fn new(stream: &Stream) -> Fast {
        Fast::with_capacity(stream.live_max, stream.levels_max)
    }

    fn apply(&mut self, command: &Command, tally: &mut Tally) {
        apply(self, command, tally);
    }

    fn depth(&self, side: Side, levels: usize) -> Vec<(u64, u64)> {
        depth(self, side, levels)
    }
}

impl Engine for Plain {
    const NAME: &'static str = "ringside plain";

    fn new(_: &Stream) -> Plain {
        Plain::default()
    }

    fn apply(&mut self, command: &Command, tally: &mut Tally) {
        apply(self, command, tally);
    }

    fn depth(&self, side: Side, levels: usize) -> Vec<(u64, u64)> {
        depth(self, side, levels)
    }
}

impl Sink for Tally {
    fn fill(&mut self, fill: Fill) {
        Tally::fill(self, fill.price.0, fill.quantity.0);
        self.other(fill.maker.0);
    }

    /// The rivals tell no levels, so nobody listens to ours.
    fn level(&mut self, _: Side, _: Price, _: Quantity) {}
}

#[inline]
fn apply(book: &mut impl Book, command: &Command, tally: &mut Tally) {
    match command.kind {
        Kind::Limit => submit(book, command, TimeInForce::Gtc, tally),
        Kind::Ioc => submit(book, command, TimeInForce::Ioc, tally),
        Kind::PostOnly => submit(book, command, TimeInForce::PostOnly, tally),
        Kind::Cancel => cancel(book, command, tally),
        Kind::Reduce => {
            let before = book.reduce(OrderKey(command.key), Quantity(command.quantity), tally);
            tally.other(before.map_or(u64::MAX, |before| before.0));
        }
        Kind::Replace => {
            cancel(book, command, tally);
            submit(book, command, TimeInForce::Gtc, tally);
        }
    }
}

#[inline]
fn submit(book: &mut impl Book, command: &Command, time_in_force: TimeInForce, tally: &mut Tally) {
    let order = NewOrder::new(
        OrderKey(command.key),
        AccountId(command.key as u32),
        command.side,
        Price(command.price),
        Quantity(command.quantity),
        time_in_force,
    );
    let answer = match book.submit(order, tally) {
        Ok(Outcome::Filled) => 0,
        Ok(Outcome::Resting(left) | Outcome::Cancelled(left) | Outcome::Prevented(left)) => left.0,
        Err(Refusal::WouldTake | Refusal::WouldNotFill) => u64::MAX,
    };
    tally.other(answer);
}

#[inline]
fn cancel(book: &mut impl Book, command: &Command, tally: &mut Tally) {
    let left = book.cancel(OrderKey(command.key), tally);
    tally.other(left.map_or(u64::MAX, |left| left.0));
}

fn depth(book: &impl Book, side: Side, levels: usize) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    book.levels(side, |price, total| {
        found.push((price.0, total.0));
        found.len() < levels
    });
    found.truncate(levels);
    found
}

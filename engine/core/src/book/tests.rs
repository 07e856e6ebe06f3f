//! What the book promises, in three ways.
//!
//! - [`cases`]: what a user of an exchange may rely on, written as small tables of text; both books must do as told.
//! - [`differential`]: long seeded streams of nasty commands; the fast book must do what the plain one does.
//! - [`properties`]: the same on short sequences that shrink, so a difference arrives as a handful of commands.

mod cases;
mod differential;
mod properties;
mod script;

use std::collections::BTreeMap;

use super::{Book, Cross, Fill, NewOrder, Outcome, Prevented, Refusal, Resting, Sink};
use crate::units::{OrderKey, Price, Quantity, Side};

#[derive(Clone, Copy, Debug)]
enum Command {
    Submit(NewOrder),
    Cancel(OrderKey),
    Reduce(OrderKey, Quantity),
    Rest(NewOrder),
    Uncross(Price),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Submitted(Result<Outcome, Refusal>),
    Cancelled(Option<Quantity>),
    Reduced(Option<Quantity>),
    Rested,
    Uncrossed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Fill(Fill),
    Prevented(Prevented),
    Cross(Cross),
    Level { side: Side, price: Price, total: Quantity },
}

/// Everything a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Report {
    events: Vec<Event>,
    answer: Answer,
}

impl Sink for Vec<Event> {
    fn fill(&mut self, fill: Fill) {
        self.push(Event::Fill(fill));
    }

    fn level(&mut self, side: Side, price: Price, total: Quantity) {
        self.push(Event::Level { side, price, total });
    }

    fn prevented(&mut self, prevented: Prevented) {
        self.push(Event::Prevented(prevented));
    }

    fn cross(&mut self, cross: Cross) {
        self.push(Event::Cross(cross));
    }
}

fn apply(book: &mut impl Book, command: Command) -> Report {
    let mut events = Vec::new();
    let answer = match command {
        Command::Submit(order) => Answer::Submitted(book.submit(order, &mut events)),
        Command::Cancel(key) => Answer::Cancelled(book.cancel(key, &mut events)),
        Command::Reduce(key, left) => Answer::Reduced(book.reduce(key, left, &mut events)),
        Command::Rest(order) => {
            book.rest(order, &mut events);
            Answer::Rested
        }
        Command::Uncross(price) => {
            book.uncross(price, &mut events);
            Answer::Uncrossed
        }
    };
    Report { events, answer }
}

/// A reader of market data: knows the book only from its level events.
#[derive(Clone, Debug, Default)]
struct Mirror {
    bids: BTreeMap<Price, Quantity>,
    asks: BTreeMap<Price, Quantity>,
}

impl Mirror {
    /// Follows a command and checks the order of its events: what happened on a level comes before its one level
    /// event, and levels come best first.
    fn follow(&mut self, report: &Report) {
        let mut told: Vec<(Side, Price)> = Vec::new();
        for event in &report.events {
            match *event {
                Event::Fill(Fill { price, .. }) | Event::Prevented(Prevented { price, .. }) => {
                    assert!(!told.iter().any(|level| level.1 == price), "after its level: {report:?}");
                }
                Event::Cross(_) => assert!(told.is_empty(), "a cross after a level: {report:?}"),
                Event::Level { side, price, total } => {
                    for (_, better) in told.iter().filter(|level| level.0 == side) {
                        match side {
                            Side::Buy => assert!(*better > price, "not best first: {report:?}"),
                            Side::Sell => assert!(*better < price, "not best first: {report:?}"),
                        }
                    }
                    told.push((side, price));
                    self.change(side, price, total, report);
                }
            }
        }
        let after_sides = told.windows(2).all(|pair| pair[0].0 <= pair[1].0);
        assert!(report.answer != Answer::Uncrossed || after_sides, "an ask before a bid: {report:?}");
    }

    fn change(&mut self, side: Side, price: Price, total: Quantity, report: &Report) {
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        let before = match total.is_zero() {
            true => levels.remove(&price),
            false => levels.insert(price, total),
        };
        let changed = before.unwrap_or_default() != total || total.0 == u64::MAX;
        assert!(changed, "a level told that did not change: {report:?}");
    }

    /// The mirror and the book show the same.
    fn check(&self, book: &impl Book) {
        assert_eq!(levels(book, Side::Buy), self.bids.clone().into_iter().rev().collect::<Vec<_>>());
        assert_eq!(levels(book, Side::Sell), self.asks.clone().into_iter().collect::<Vec<_>>());
    }
}

fn levels(book: &impl Book, side: Side) -> Vec<(Price, Quantity)> {
    let mut levels = Vec::new();
    book.levels(side, |price, total| {
        levels.push((price, total));
        true
    });
    assert_eq!(book.best(side), levels.first().copied(), "the best is the first level");
    levels
}

fn orders(book: &impl Book, side: Side) -> Vec<Resting> {
    let mut orders = Vec::new();
    book.orders(side, |order| {
        orders.push(order);
        true
    });
    orders
}

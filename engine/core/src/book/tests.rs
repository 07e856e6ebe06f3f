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

use super::{Book, Fill, NewOrder, Outcome, Refusal, Sink};
use crate::units::{OrderKey, Price, Quantity, Side};

#[derive(Clone, Copy, Debug)]
enum Command {
    Submit(NewOrder),
    Cancel(OrderKey),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Submitted(Result<Outcome, Refusal>),
    Cancelled(Option<Quantity>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Fill(Fill),
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
}

fn apply(book: &mut impl Book, command: Command) -> Report {
    let mut events = Vec::new();
    let answer = match command {
        Command::Submit(order) => Answer::Submitted(book.submit(order, &mut events)),
        Command::Cancel(key) => Answer::Cancelled(book.cancel(key, &mut events)),
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
    /// Follows a command and checks the order of its events: fills of a level come before its one level event.
    fn follow(&mut self, report: &Report) {
        let mut told = Vec::new();
        for event in &report.events {
            match *event {
                Event::Fill(fill) => {
                    assert!(
                        !told.iter().any(|(_, price)| *price == fill.price),
                        "a fill after its level: {report:?}"
                    );
                }
                Event::Level { side, price, total } => {
                    assert!(!told.contains(&(side, price)), "a level told twice: {report:?}");
                    told.push((side, price));
                    let levels = match side {
                        Side::Buy => &mut self.bids,
                        Side::Sell => &mut self.asks,
                    };
                    match total.is_zero() {
                        true => assert!(levels.remove(&price).is_some(), "a level removed twice: {report:?}"),
                        false => drop(levels.insert(price, total)),
                    }
                }
            }
        }
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

//! The language of the cases.
//!
//! ```text
//! sell ann 10 @ 101                      an order named ann; it must rest whole and meet nobody
//! buy  cat 15 @ 101 => fill ann cat 10 @ 101 | rest cat 5 @ 101
//! buy  dan 15 @ 101 ioc => cancelled dan 15
//! cancel cat => gone cat 5               what it had left
//! cancel cat => nothing                  no such order is live
//! show => bids 99 x 5, 98 x 1 | asks -
//! ```
//!
//! After a time in force (`ioc`, `fok`, `post`) and an arrow come fills and what became of the order: `rest`,
//! `cancelled`, `refused`, or nothing more if it is filled. A fill that leaves its maker something says so
//! (`leaves 3`). Level events (`bid 99 -> 5`) are compared on lines that name one, and followed by a mirror on all.
//! Every line runs on both books. `max` is the largest number there is.

use std::collections::HashMap;

use super::{Answer, Command, Event, Mirror, Report, apply, levels};
use crate::book::{Book, Fast, NewOrder, Outcome, Plain, Refusal};
use crate::units::{AccountId, OrderKey, Price, Quantity, Side, TimeInForce};

/// Runs a script on both books.
#[track_caller]
pub fn check(script: &str) {
    Stage::new(Plain::default()).run(script);
    let fast = Stage::new(Fast::default()).run(script);
    fast.check_invariants();
}

struct Stage<B> {
    book: B,
    mirror: Mirror,
    names: Vec<String>,
    keys: HashMap<String, OrderKey>,
}

impl<B: Book> Stage<B> {
    fn new(book: B) -> Stage<B> {
        Stage { book, mirror: Mirror::default(), names: Vec::new(), keys: HashMap::new() }
    }

    #[track_caller]
    fn run(mut self, script: &str) -> B {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (command, expected) = match line.split_once("=>") {
                Some((command, expected)) => (command.trim(), Some(expected.trim())),
                None => (line, None),
            };
            let with_levels = expected.is_some_and(|text| text.contains("->"));
            let (told, quiet) = self.step(command, with_levels);
            let expected =
                expected.map_or(quiet, |text| text.split_whitespace().collect::<Vec<_>>().join(" "));
            assert_eq!(told, expected, "\n  in `{line}`\n  of {}\n", std::any::type_name::<B>());
        }
        self.book
    }

    /// What the command did, and what it would do if nothing were worth a word.
    fn step(&mut self, text: &str, with_levels: bool) -> (String, String) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (command, name, quiet) = match words[..] {
            ["show"] => return (self.show(), String::new()),
            ["cancel", name] => (Command::Cancel(self.key(name)), name, String::new()),
            [side, name, quantity, "@", price, ref rest @ ..] => {
                let order = self.order(side, name, quantity, price, rest);
                (Command::Submit(order), name, format!("rest {name} {quantity} @ {price}"))
            }
            _ => panic!("cannot read `{text}`"),
        };
        let report = apply(&mut self.book, command);
        self.mirror.follow(&report);
        self.mirror.check(&self.book);
        (self.tell(command, name, &report, with_levels), quiet)
    }

    fn order(&mut self, side: &str, name: &str, quantity: &str, price: &str, rest: &[&str]) -> NewOrder {
        let key = self.key(name);
        let side = match side {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            other => panic!("neither buy nor sell: {other}"),
        };
        let time_in_force = match rest {
            [] => TimeInForce::Gtc,
            ["ioc"] => TimeInForce::Ioc,
            ["fok"] => TimeInForce::Fok,
            ["post"] => TimeInForce::PostOnly,
            other => panic!("no such time in force: {other:?}"),
        };
        NewOrder::new(
            key,
            account_of(key),
            side,
            Price(number(price)),
            Quantity(number(quantity)),
            time_in_force,
        )
    }

    fn tell(&self, command: Command, name: &str, report: &Report, with_levels: bool) -> String {
        let limit = match command {
            Command::Submit(order) => shown(order.price.0),
            Command::Cancel(_) => String::new(),
        };
        let events = report.events.iter().filter(|event| with_levels || matches!(event, Event::Fill(_)));
        let mut told: Vec<String> = events.map(|event| self.tell_event(event, name)).collect();
        told.extend(match report.answer {
            Answer::Submitted(Ok(Outcome::Resting(left))) => {
                Some(format!("rest {name} {} @ {limit}", shown(left.0)))
            }
            Answer::Submitted(Ok(Outcome::Filled)) => None,
            Answer::Submitted(Ok(Outcome::Cancelled(left) | Outcome::Prevented(left))) => {
                Some(format!("cancelled {name} {}", shown(left.0)))
            }
            Answer::Submitted(Err(Refusal::WouldTake)) => Some("refused: would take".into()),
            Answer::Submitted(Err(Refusal::WouldNotFill)) => Some("refused: would not fill".into()),
            Answer::Cancelled(Some(left)) => Some(format!("gone {name} {}", shown(left.0))),
            Answer::Cancelled(None) => Some("nothing".into()),
        });
        told.join(" | ")
    }

    fn tell_event(&self, event: &Event, taker: &str) -> String {
        match event {
            Event::Fill(fill) => {
                assert_eq!(fill.maker_account, account_of(fill.maker), "a fill names the maker's account");
                let maker = &self.names[fill.maker.0 as usize];
                let (quantity, price) = (shown(fill.quantity.0), shown(fill.price.0));
                let leaves = match fill.maker_left {
                    Quantity::ZERO => String::new(),
                    left => format!(" leaves {}", shown(left.0)),
                };
                format!("fill {maker} {taker} {quantity} @ {price}{leaves}")
            }
            Event::Level { side, price, total } => {
                let side = match side {
                    Side::Buy => "bid",
                    Side::Sell => "ask",
                };
                format!("{side} {} -> {}", shown(price.0), shown(total.0))
            }
        }
    }

    fn show(&self) -> String {
        let side = |side| {
            let levels = levels(&self.book, side).into_iter();
            let shown: Vec<String> =
                levels.map(|(price, total)| format!("{} x {}", shown(price.0), shown(total.0))).collect();
            if shown.is_empty() { "-".into() } else { shown.join(", ") }
        };
        format!("bids {} | asks {}", side(Side::Buy), side(Side::Sell))
    }

    fn key(&mut self, name: &str) -> OrderKey {
        *self.keys.entry(name.into()).or_insert_with(|| {
            self.names.push(name.into());
            OrderKey(self.names.len() as u64 - 1)
        })
    }
}

/// Not the key itself, so that taking one for the other shows.
fn account_of(key: OrderKey) -> AccountId {
    AccountId(key.0 as u32 + 1000)
}

fn number(text: &str) -> u64 {
    match text {
        "max" => u64::MAX,
        digits => digits.parse().expect("a number or `max`"),
    }
}

fn shown(number: u64) -> String {
    match number {
        u64::MAX => "max".into(),
        number => number.to_string(),
    }
}

//! The language of the cases.
//!
//! ```text
//! sell ann 10 @ 101                      an order named ann; it must rest whole and meet nobody
//! buy  cat 15 @ 101 => fill ann cat 10 @ 101 | rest cat 5 @ 101
//! buy  dan 15 @ 101 ioc => cancelled dan 15
//! cancel cat => gone cat 5               what it had left
//! cancel cat => nothing                  no such order is live
//! reduce dan to 3 => was 10
//! show => bids 99 x 5, 98 x 1 | asks -
//! orders => bids eve 2+8 @ 99, fay 3 @ 99 | asks -      an iceberg shows 2 and hides 8
//!
//! auction sell gil 5 @ 98                rests without meeting anybody
//! indicate => 5 at 98                    what the auction would do; `indicate near 101` has a reference price
//! uncross => cross eve gil 5 @ 98 leaves eve 5          at the indicated price; buyers are named first
//! ```
//!
//! Behind an order's price stand a time in force (`ioc`, `fok`, `post`), `shows 2`, `budget 100`, whose it is
//! (`by alice`; an order of which this is not said has an account of its own), and what happens where it meets its
//! own account (`stp newest`, `oldest`, `both`, `decrement`).
//!
//! After an arrow come fills, what was prevented (`prevented ann cat 3 @ 101`) and what became of the order: `rest`,
//! `cancelled`, `stopped` (by its own account), `refused`, or nothing more if it is filled. A fill that leaves its
//! maker something says so (`leaves 3`). Level events (`bid 99 -> 5`) are compared on lines that name one, and
//! followed by a mirror on all. Every line runs on both books. `max` is the largest number there is.

use std::collections::HashMap;

use super::{Answer, Command, Event, Mirror, Report, apply, levels, orders};
use crate::book::{Book, Fast, NewOrder, Outcome, Plain, Refusal};
use crate::units::{AccountId, OrderKey, Price, Quantity, SelfTrade, Side, TimeInForce};

/// Runs a script on both books.
#[track_caller]
pub fn check(script: &str) {
    Stage::new(Plain::default(), |_| {}).run(script);
    Stage::new(Fast::default(), Fast::check_invariants).run(script);
}

struct Stage<B> {
    book: B,
    check_invariants: fn(&B),
    mirror: Mirror,
    names: Vec<String>,
    keys: HashMap<String, OrderKey>,
    accounts: HashMap<String, AccountId>,
    /// Whose order it was last.
    owners: HashMap<OrderKey, AccountId>,
}

impl<B: Book> Stage<B> {
    fn new(book: B, check_invariants: fn(&B)) -> Stage<B> {
        Stage {
            book,
            check_invariants,
            mirror: Mirror::default(),
            names: Vec::new(),
            keys: HashMap::new(),
            accounts: HashMap::new(),
            owners: HashMap::new(),
        }
    }

    #[track_caller]
    fn run(mut self, script: &str) {
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
            (self.check_invariants)(&self.book);
        }
    }

    /// What the command did, and what it would do if nothing were worth a word.
    fn step(&mut self, text: &str, with_levels: bool) -> (String, String) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (command, name, quiet) = match words[..] {
            ["show"] => return (self.show(), String::new()),
            ["orders"] => return (self.show_orders(), String::new()),
            ["indicate", ref rest @ ..] => return (self.indicate(rest), String::new()),
            ["uncross", ref rest @ ..] => match self.book.auction(reference(rest)) {
                Some((price, _)) => (Command::Uncross(price), "", String::new()),
                None => return ("nothing".into(), String::new()),
            },
            ["cancel", name] => (Command::Cancel(self.key(name)), name, String::new()),
            ["reduce", name, "to", left] => {
                (Command::Reduce(self.key(name), Quantity(number(left))), name, String::new())
            }
            ["auction", side, name, quantity, "@", price, ref rest @ ..] => {
                let order = self.order(side, name, quantity, price, rest);
                (Command::Rest(order), name, format!("rest {name} {quantity} @ {price}"))
            }
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
        let (price, quantity) = (Price(number(price)), Quantity(number(quantity)));
        let mut order = NewOrder::new(key, account_of(key), side, price, quantity, TimeInForce::Gtc);
        self.read_rest(&mut order, rest);
        if self.book.remaining(key).is_none() {
            self.owners.insert(key, order.account);
        }
        order
    }

    fn read_rest(&mut self, order: &mut NewOrder, mut words: &[&str]) {
        while !words.is_empty() {
            words = match words {
                ["ioc", rest @ ..] => {
                    order.time_in_force = TimeInForce::Ioc;
                    rest
                }
                ["fok", rest @ ..] => {
                    order.time_in_force = TimeInForce::Fok;
                    rest
                }
                ["post", rest @ ..] => {
                    order.time_in_force = TimeInForce::PostOnly;
                    rest
                }
                ["shows", lots, rest @ ..] => {
                    order.display = Quantity(number(lots));
                    rest
                }
                ["budget", budget, rest @ ..] => {
                    order.budget = budget.parse().expect("a budget is a number");
                    rest
                }
                ["by", account, rest @ ..] => {
                    order.account = self.account(account);
                    rest
                }
                ["stp", mode, rest @ ..] => {
                    order.self_trade = self_trade(mode);
                    rest
                }
                other => panic!("cannot read {other:?}"),
            }
        }
    }

    fn tell(&self, command: Command, name: &str, report: &Report, with_levels: bool) -> String {
        let limit = match command {
            Command::Submit(order) => shown(order.price.0),
            _ => String::new(),
        };
        let is_level = |event: &Event| matches!(event, Event::Level { .. });
        let events = report.events.iter().filter(|event| with_levels || !is_level(event));
        let mut told: Vec<String> = events.map(|event| self.tell_event(event, name)).collect();
        told.extend(match report.answer {
            Answer::Submitted(Ok(Outcome::Resting(left))) => {
                Some(format!("rest {name} {} @ {limit}", shown(left.0)))
            }
            Answer::Submitted(Ok(Outcome::Filled)) | Answer::Uncrossed => None,
            Answer::Submitted(Ok(Outcome::Cancelled(left))) => {
                Some(format!("cancelled {name} {}", shown(left.0)))
            }
            Answer::Submitted(Ok(Outcome::Prevented(left))) => {
                Some(format!("stopped {name} {}", shown(left.0)))
            }
            Answer::Submitted(Err(Refusal::WouldTake)) => Some("refused: would take".into()),
            Answer::Submitted(Err(Refusal::WouldNotFill)) => Some("refused: would not fill".into()),
            Answer::Cancelled(Some(left)) => Some(format!("gone {name} {}", shown(left.0))),
            Answer::Reduced(Some(before)) => Some(format!("was {}", shown(before.0))),
            Answer::Cancelled(None) | Answer::Reduced(None) => Some("nothing".into()),
            Answer::Rested => match command {
                Command::Rest(order) => {
                    Some(format!("rest {name} {} @ {}", shown(order.quantity.0), shown(order.price.0)))
                }
                _ => unreachable!("only a rest rests"),
            },
        });
        told.join(" | ")
    }

    fn tell_event(&self, event: &Event, taker: &str) -> String {
        match *event {
            Event::Fill(fill) => {
                assert_eq!(fill.maker_account, self.owners[&fill.maker], "a fill names the maker's account");
                let what = (fill.quantity, fill.price, fill.maker_left);
                format!("fill {}", self.tell_meeting(fill.maker, taker, what))
            }
            Event::Prevented(prevented) => {
                assert_eq!(prevented.account, self.owners[&prevented.maker], "both have one account");
                assert_eq!(prevented.account, self.owners[&self.keys[taker]], "both have one account");
                let what = (prevented.quantity, prevented.price, prevented.maker_left);
                format!("prevented {}", self.tell_meeting(prevented.maker, taker, what))
            }
            Event::Cross(cross) => {
                assert_eq!(cross.buy_account, self.owners[&cross.buy], "a cross names the buyer's account");
                assert_eq!(
                    cross.sell_account, self.owners[&cross.sell],
                    "a cross names the seller's account"
                );
                let (buy, sell) = (self.name(cross.buy), self.name(cross.sell));
                let lefts = [(buy, cross.buy_left), (sell, cross.sell_left)];
                let leaves: Vec<String> = lefts
                    .iter()
                    .filter(|(_, left)| !left.is_zero())
                    .map(|(name, left)| format!(" leaves {name} {}", shown(left.0)))
                    .collect();
                let (quantity, price) = (shown(cross.quantity.0), shown(cross.price.0));
                format!("cross {buy} {sell} {quantity} @ {price}{}", leaves.concat())
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

    fn tell_meeting(&self, maker: OrderKey, taker: &str, what: (Quantity, Price, Quantity)) -> String {
        let (quantity, price, left) = what;
        let leaves = match left {
            Quantity::ZERO => String::new(),
            left => format!(" leaves {}", shown(left.0)),
        };
        format!("{} {taker} {} @ {}{leaves}", self.name(maker), shown(quantity.0), shown(price.0))
    }

    fn show(&self) -> String {
        let side = |side| {
            let levels = levels(&self.book, side).into_iter();
            list(levels.map(|(price, total)| format!("{} x {}", shown(price.0), shown(total.0))))
        };
        format!("bids {} | asks {}", side(Side::Buy), side(Side::Sell))
    }

    fn show_orders(&self) -> String {
        let side = |side| {
            let orders = orders(&self.book, side).into_iter();
            list(orders.map(|order| {
                assert_eq!(order.account, self.owners[&order.key], "an order names its account");
                let hidden = match order.hidden {
                    Quantity::ZERO => String::new(),
                    hidden => format!("+{}", shown(hidden.0)),
                };
                format!(
                    "{} {}{hidden} @ {}",
                    self.name(order.key),
                    shown(order.shown.0),
                    shown(order.price.0)
                )
            }))
        };
        format!("bids {} | asks {}", side(Side::Buy), side(Side::Sell))
    }

    fn indicate(&self, words: &[&str]) -> String {
        match self.book.auction(reference(words)) {
            Some((price, lots)) => format!("{lots} at {}", shown(price.0)),
            None => "nothing".into(),
        }
    }

    fn name(&self, key: OrderKey) -> &str {
        &self.names[key.0 as usize]
    }

    fn key(&mut self, name: &str) -> OrderKey {
        *self.keys.entry(name.into()).or_insert_with(|| {
            self.names.push(name.into());
            OrderKey(self.names.len() as u64 - 1)
        })
    }

    fn account(&mut self, name: &str) -> AccountId {
        let next = AccountId(self.accounts.len() as u32 + 1);
        *self.accounts.entry(name.into()).or_insert(next)
    }
}

/// Not the key itself, so that taking one for the other shows.
fn account_of(key: OrderKey) -> AccountId {
    AccountId(key.0 as u32 + 1000)
}

fn self_trade(mode: &str) -> SelfTrade {
    match mode {
        "allow" => SelfTrade::Allow,
        "newest" => SelfTrade::CancelNewest,
        "oldest" => SelfTrade::CancelOldest,
        "both" => SelfTrade::CancelBoth,
        "decrement" => SelfTrade::Decrement,
        other => panic!("no such self-trade prevention: {other}"),
    }
}

fn reference(words: &[&str]) -> Option<Price> {
    match words {
        [] => None,
        ["near", price] => Some(Price(number(price))),
        other => panic!("cannot read {other:?}"),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { "-".into() } else { items.join(", ") }
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

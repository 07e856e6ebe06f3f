//! Judges a symbol's list of trades without matching anything.
//!
//! Price-time priority leaves no choice: for a list of commands there is exactly one right list of trades (Garg and
//! Sarswat, LPAR 2024). So it is enough to state what is true of the right list and to look whether it is true of
//! this one. Nothing here is shared with the books, and nothing is computed that a book computes: each command is
//! judged by what rested before it, what its trades took from that, and what is left.
//!
//! - A trade is between an order that came in and one that rested on the other side, at the resting one's price,
//!   within the limit of the other, and for no more lots than both have left.
//! - Who is before a maker in the queue has nothing left: better prices first, then earlier arrival.
//! - An order with lots left leaves nobody it could have traded with. So the book is never crossed at rest.
//! - What may not rest is gone, fill-or-kill trades whole or not at all, post-only never takes, and a refusal was due.

use engine_core::units::*;
use std::collections::{BTreeMap, BTreeSet};

/// What the book was asked, in its order.
#[derive(Clone, Copy, Debug)]
pub enum Command {
    /// An order that was accepted.
    Accepted(Order),
    /// An order that was refused because it would have traded (post-only).
    Refused(Order),
    /// A cancel, whether it found its order or not.
    Cancel(OrderKey),
    /// An order is left so many lots and keeps its place.
    Reduce(OrderKey, Quantity),
}

/// An order as its owner meant it.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Its name: no other order of the list has it.
    pub key: OrderKey,
    pub side: Side,
    /// The worst price it accepts.
    pub price: Price,
    pub quantity: Quantity,
    pub time_in_force: TimeInForce,
}

/// A trade as it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    pub maker: OrderKey,
    pub taker: OrderKey,
    pub price: Price,
    pub quantity: Quantity,
}

/// What is wrong with a list, and where: the place of a command or the name of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Two orders have this name.
    NameUsedTwice(OrderKey),
    /// A trade's taker is not the order that came in, or never came.
    OutOfTurn(Trade),
    /// The maker did not rest on the other side: unknown, gone, cancelled, or never allowed to rest.
    NotResting(Trade),
    /// Not the maker's price.
    WrongPrice(Trade),
    /// Worse than the taker accepts.
    BeyondLimit(Trade),
    /// No lots, or more than the maker or the taker has left.
    WrongQuantity(Trade),
    /// This order was before the trade's maker and still has lots.
    PassedOver { trade: Trade, order: OrderKey },
    /// This command's trades are not told in the order of the queue.
    Shuffled { command: usize },
    /// The command's order has lots left and so has this one, which it could have traded with.
    MissingTrade { command: usize, order: OrderKey },
    /// Fill-or-kill that traded in part, or was killed though all of it could have traded.
    WrongKill { command: usize },
    /// Post-only that took, or was refused though nobody was there to trade with.
    WrongPostOnly { command: usize },
    /// Not smaller, not there, or nothing left.
    WrongReduce { command: usize },
}

/// What a clean list came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub commands: usize,
    pub trades: usize,
    /// Orders that rest at the end.
    pub resting: usize,
}

/// Judges `trades` as the outcome of `commands`.
pub fn audit(commands: &[Command], trades: &[Trade]) -> Result<Summary, Finding> {
    let mut auditor = Auditor::default();
    let mut untold = trades;
    for (place, command) in commands.iter().enumerate() {
        let taker = match command {
            Command::Accepted(order) => Some(order.key),
            Command::Refused(_) | Command::Cancel(_) | Command::Reduce(..) => None,
        };
        let count = untold.iter().take_while(|trade| Some(trade.taker) == taker).count();
        let (told, later) = untold.split_at(count);
        auditor.judge(place, command, told)?;
        untold = later;
    }
    match untold.first() {
        Some(trade) => Err(Finding::OutOfTurn(*trade)),
        None => {
            Ok(Summary { commands: commands.len(), trades: trades.len(), resting: auditor.resting.len() })
        }
    }
}

#[derive(Default)]
struct Auditor {
    names: BTreeSet<OrderKey>,
    resting: BTreeMap<OrderKey, Resting>,
}

#[derive(Clone, Copy)]
struct Resting {
    order: Order,
    /// The place of the command that brought it.
    arrival: usize,
    left: u64,
}

impl Resting {
    /// Sorts a side's orders as they must trade: the smaller the sooner.
    fn priority(&self) -> (u64, usize) {
        let price = match self.order.side {
            Side::Buy => u64::MAX - self.order.price.0,
            Side::Sell => self.order.price.0,
        };
        (price, self.arrival)
    }
}

impl Auditor {
    fn judge(&mut self, place: usize, command: &Command, trades: &[Trade]) -> Result<(), Finding> {
        match command {
            Command::Cancel(key) => {
                self.resting.remove(key);
                Ok(())
            }
            Command::Reduce(key, left) => match self.resting.get_mut(key) {
                Some(order) if (1..=order.left).contains(&left.0) => {
                    order.left = left.0;
                    Ok(())
                }
                _ => Err(Finding::WrongReduce { command: place }),
            },
            Command::Refused(order) => match self.partners(order).is_empty() {
                false if order.time_in_force == TimeInForce::PostOnly => self.name(order),
                _ => Err(Finding::WrongPostOnly { command: place }),
            },
            Command::Accepted(order) => {
                self.name(order)?;
                self.judge_order(place, order, trades)
            }
        }
    }

    fn name(&mut self, order: &Order) -> Result<(), Finding> {
        match self.names.insert(order.key) {
            true => Ok(()),
            false => Err(Finding::NameUsedTwice(order.key)),
        }
    }

    /// Everything that rests and that `order` could trade with, in no order that matters.
    fn partners(&self, order: &Order) -> Vec<Resting> {
        let within = |resting: &&Resting| {
            let other = &resting.order;
            other.side != order.side && within_limit(order, other.price)
        };
        self.resting.values().filter(within).copied().collect()
    }

    fn judge_order(&mut self, place: usize, order: &Order, trades: &[Trade]) -> Result<(), Finding> {
        let partners = self.partners(order);
        let offered: u128 = partners.iter().map(|partner| u128::from(partner.left)).sum();
        let makers = trades.iter().map(|trade| self.take(order, trade)).collect::<Result<Vec<_>, _>>()?;
        let traded: u128 = trades.iter().map(|trade| u128::from(trade.quantity.0)).sum();
        let wanted = u128::from(order.quantity.0);
        if let Some(trade) = trades.last().filter(|_| traded > wanted) {
            return Err(Finding::WrongQuantity(*trade));
        }
        if !makers.is_sorted_by(|sooner, later| sooner.priority() < later.priority()) {
            return Err(Finding::Shuffled { command: place });
        }
        let has_left = |partner: &&Resting| self.resting.contains_key(&partner.order.key);
        let passed_over = |maker: &Resting| {
            let before = |partner: &&Resting| partner.priority() < maker.priority();
            partners.iter().filter(before).find(has_left)
        };
        for (trade, maker) in trades.iter().zip(&makers) {
            if let Some(passed) = passed_over(maker) {
                return Err(Finding::PassedOver { trade: *trade, order: passed.order.key });
            }
        }
        match order.time_in_force {
            TimeInForce::PostOnly if !partners.is_empty() => {
                return Err(Finding::WrongPostOnly { command: place });
            }
            // Killed or filled: the rule below, that lots left leave no partner, is not for it.
            TimeInForce::Fok => {
                let due = if offered >= wanted { wanted } else { 0 };
                return if traded == due { Ok(()) } else { Err(Finding::WrongKill { command: place }) };
            }
            _ => {}
        }
        if let Some(partner) = partners.iter().find(has_left).filter(|_| traded < wanted) {
            return Err(Finding::MissingTrade { command: place, order: partner.order.key });
        }
        if traded < wanted && order.time_in_force != TimeInForce::Ioc {
            let left = (wanted - traded) as u64;
            self.resting.insert(order.key, Resting { order: *order, arrival: place, left });
        }
        Ok(())
    }

    /// Takes a trade's lots from its maker, if it may have them. Returns the maker as it was.
    fn take(&mut self, taker: &Order, trade: &Trade) -> Result<Resting, Finding> {
        let maker = self.resting.get_mut(&trade.maker).ok_or(Finding::NotResting(*trade))?;
        let before = *maker;
        if before.order.side == taker.side {
            return Err(Finding::NotResting(*trade));
        }
        if trade.price != before.order.price {
            return Err(Finding::WrongPrice(*trade));
        }
        if !within_limit(taker, trade.price) {
            return Err(Finding::BeyondLimit(*trade));
        }
        let left = before.left.checked_sub(trade.quantity.0).filter(|_| !trade.quantity.is_zero());
        maker.left = left.ok_or(Finding::WrongQuantity(*trade))?;
        if maker.left == 0 {
            self.resting.remove(&trade.maker);
        }
        Ok(before)
    }
}

fn within_limit(order: &Order, price: Price) -> bool {
    match order.side {
        Side::Buy => price <= order.price,
        Side::Sell => price >= order.price,
    }
}

// ---- the auditor's own examination ----------------------------------------------------------------------------------

use Side::{Buy, Sell};
use TimeInForce::{Fok, Gtc, Ioc, PostOnly};

fn order(key: u64, side: Side, quantity: u64, price: u64, time_in_force: TimeInForce) -> Command {
    Command::Accepted(Order {
        key: OrderKey(key),
        side,
        price: Price(price),
        quantity: Quantity(quantity),
        time_in_force,
    })
}

fn refused(command: Command) -> Command {
    match command {
        Command::Accepted(order) => Command::Refused(order),
        other => other,
    }
}

fn trade(maker: u64, taker: u64, quantity: u64, price: u64) -> Trade {
    Trade {
        maker: OrderKey(maker),
        taker: OrderKey(taker),
        price: Price(price),
        quantity: Quantity(quantity),
    }
}

/// Three asks, two of them at one price.
fn asks() -> Vec<Command> {
    vec![order(1, Sell, 5, 101, Gtc), order(2, Sell, 5, 100, Gtc), order(3, Sell, 5, 100, Gtc)]
}

#[track_caller]
fn finds(commands: &[Command], trades: &[Trade], finding: Finding) {
    assert_eq!(audit(commands, trades), Err(finding));
}

#[test]
fn a_right_list_is_clean() {
    let mut commands = asks();
    commands.extend([order(4, Buy, 12, 101, Gtc), order(5, Buy, 9, 100, Gtc), order(6, Sell, 4, 99, Ioc)]);
    commands.extend([Command::Cancel(OrderKey(5)), order(7, Sell, 4, 99, Fok)]);
    let trades = [trade(2, 4, 5, 100), trade(3, 4, 5, 100), trade(1, 4, 2, 101), trade(5, 6, 4, 100)];
    assert_eq!(audit(&commands, &trades), Ok(Summary { commands: 8, trades: 4, resting: 1 }));
}

#[test]
fn a_wrong_place_in_the_queue_is_found() {
    let commands = [asks(), vec![order(4, Buy, 5, 101, Gtc)]].concat();
    let later_first = trade(3, 4, 5, 100);
    finds(&commands, &[later_first], Finding::PassedOver { trade: later_first, order: OrderKey(2) });
    let worse_price_first = trade(1, 4, 5, 101);
    finds(
        &commands,
        &[worse_price_first],
        Finding::PassedOver { trade: worse_price_first, order: OrderKey(2) },
    );
    let all = [asks(), vec![order(4, Buy, 10, 101, Gtc)]].concat();
    finds(&all, &[trade(3, 4, 5, 100), trade(2, 4, 5, 100)], Finding::Shuffled { command: 3 });
}

#[test]
fn a_wrong_price_is_found() {
    let commands = [asks(), vec![order(4, Buy, 5, 101, Gtc)]].concat();
    finds(&commands, &[trade(2, 4, 5, 101)], Finding::WrongPrice(trade(2, 4, 5, 101)));
    let too_poor = [asks(), vec![order(4, Buy, 5, 99, Gtc)]].concat();
    finds(&too_poor, &[trade(2, 4, 5, 100)], Finding::BeyondLimit(trade(2, 4, 5, 100)));
}

#[test]
fn a_missing_trade_is_found() {
    let commands = [asks(), vec![order(4, Buy, 10, 100, Gtc)]].concat();
    let missing = |order| Finding::MissingTrade { command: 3, order: OrderKey(order) };
    finds(&commands, &[], missing(2));
    finds(&commands, &[trade(2, 4, 5, 100)], missing(3));
    finds(&commands, &[trade(2, 4, 5, 100), trade(3, 4, 4, 100)], missing(3));
    finds(&[asks(), vec![order(4, Buy, 1, 100, Ioc)]].concat(), &[], missing(2));
}

#[test]
fn a_wrong_quantity_is_found() {
    let commands = [asks(), vec![order(4, Buy, 6, 100, Gtc)]].concat();
    finds(&commands, &[trade(2, 4, 6, 100)], Finding::WrongQuantity(trade(2, 4, 6, 100)));
    let overfilled = [trade(2, 4, 5, 100), trade(3, 4, 2, 100)];
    finds(&commands, &overfilled, Finding::WrongQuantity(overfilled[1]));
    let with_nothing = [trade(2, 4, 5, 100), trade(3, 4, 1, 100), trade(3, 4, 0, 100)];
    finds(&commands, &with_nothing, Finding::WrongQuantity(with_nothing[2]));
}

#[test]
fn a_trade_with_somebody_who_is_not_there_is_found() {
    let not_resting = |commands: &[Command], trade| finds(commands, &[trade], Finding::NotResting(trade));
    let mut cancelled = asks();
    cancelled.extend([Command::Cancel(OrderKey(2)), order(4, Buy, 5, 100, Gtc)]);
    not_resting(&cancelled, trade(2, 4, 5, 100));
    not_resting(&[asks(), vec![order(4, Sell, 5, 100, Gtc)]].concat(), trade(2, 4, 5, 100));
    not_resting(&[order(1, Sell, 5, 100, Ioc), order(2, Buy, 5, 100, Gtc)], trade(1, 2, 5, 100));
    finds(&asks(), &[trade(2, 9, 5, 100)], Finding::OutOfTurn(trade(2, 9, 5, 100)));
    finds(&[order(1, Buy, 1, 1, Gtc), order(1, Buy, 1, 1, Gtc)], &[], Finding::NameUsedTwice(OrderKey(1)));
}

#[test]
fn a_smaller_order_keeps_its_place_and_trades_no_more_than_it_has() {
    let mut commands = [asks(), vec![Command::Reduce(OrderKey(2), Quantity(3))]].concat();
    commands.push(order(4, Buy, 4, 100, Gtc));
    assert!(audit(&commands, &[trade(2, 4, 3, 100), trade(3, 4, 1, 100)]).is_ok());
    finds(&commands, &[trade(2, 4, 4, 100)], Finding::WrongQuantity(trade(2, 4, 4, 100)));
    let last_first = trade(3, 4, 4, 100);
    finds(&commands, &[last_first], Finding::PassedOver { trade: last_first, order: OrderKey(2) });
    for left in [0, 6] {
        let grown = [asks(), vec![Command::Reduce(OrderKey(2), Quantity(left))]].concat();
        finds(&grown, &[], Finding::WrongReduce { command: 3 });
    }
}

#[test]
fn a_broken_promise_about_time_in_force_is_found() {
    let with = |last: Command| [asks(), vec![last]].concat();
    let wrong_kill = Finding::WrongKill { command: 3 };
    finds(&with(order(4, Buy, 10, 100, Fok)), &[], wrong_kill);
    finds(&with(order(4, Buy, 10, 100, Fok)), &[trade(2, 4, 5, 100)], wrong_kill);
    finds(&with(order(4, Buy, 11, 100, Fok)), &[trade(2, 4, 5, 100), trade(3, 4, 5, 100)], wrong_kill);
    assert!(audit(&with(order(4, Buy, 11, 100, Fok)), &[]).is_ok());

    let wrong_post_only = Finding::WrongPostOnly { command: 3 };
    finds(&with(order(4, Buy, 5, 100, PostOnly)), &[trade(2, 4, 5, 100)], wrong_post_only);
    finds(&with(refused(order(4, Buy, 5, 99, PostOnly))), &[], wrong_post_only);
    finds(&with(refused(order(4, Buy, 5, 100, Gtc))), &[], wrong_post_only);
    assert!(audit(&with(refused(order(4, Buy, 5, 100, PostOnly))), &[]).is_ok());

    // What may not rest does not trade later.
    let late = [asks(), vec![order(4, Buy, 1, 99, Ioc), order(5, Sell, 1, 99, Gtc)]].concat();
    finds(&late, &[trade(4, 5, 1, 99)], Finding::NotResting(trade(4, 5, 1, 99)));
}

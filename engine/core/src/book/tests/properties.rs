//! Short sequences that shrink.

use proptest::prelude::*;

use super::{Answer, Command, Event, Mirror, Report, apply, orders};
use crate::book::{Book, Fast, NewOrder, Outcome, Plain, Refusal, Resting};
use crate::units::{AccountId, OrderKey, Price, Quantity, SelfTrade, Side, TimeInForce};

proptest! {
    #[test]
    fn any_sequence_does_the_same_in_both_books(moves in sequence()) {
        let (mut plain, mut fast, mut mirror) = (Plain::default(), Fast::default(), Mirror::default());
        let mut auction = false;
        for step in moves {
            let command = step.legal(&plain, &mut auction);
            let expected = apply(&mut plain, command);
            prop_assert_eq!(apply(&mut fast, command), expected.clone());
            mirror.follow(&expected);
            mirror.check(&fast);
            fast.check_invariants();
            for side in [Side::Buy, Side::Sell] {
                prop_assert_eq!(orders(&fast, side), orders(&plain, side));
            }
            for reference in [None, Some(Price(1)), Some(Price(4))] {
                prop_assert_eq!(fast.auction(reference), plain.auction(reference));
            }
        }
    }

    #[test]
    fn no_lot_appears_or_is_lost(moves in sequence()) {
        for_each_command(moves, |command, before, report, book| {
            check_lots(command, report, lots(before), lots(book));
        });
    }

    #[test]
    fn nobody_trades_beyond_a_limit(moves in sequence()) {
        for_each_command(moves, |command, before, report, _| {
            for event in &report.events {
                match (event, command) {
                    (Event::Fill(fill), Command::Submit(order)) => {
                        assert!(accepts(order.side, order.price, fill.price));
                        assert_eq!(limit(before, fill.maker), fill.price);
                    }
                    (Event::Cross(cross), Command::Uncross(price)) => {
                        assert_eq!(cross.price, price);
                        assert!(accepts(Side::Buy, limit(before, cross.buy), price));
                        assert!(accepts(Side::Sell, limit(before, cross.sell), price));
                    }
                    (Event::Fill(_) | Event::Cross(_), _) => panic!("{event:?} of {command:?}"),
                    _ => {}
                }
            }
        });
    }

    #[test]
    fn budget_is_never_exceeded_and_used_as_far_as_it_goes(moves in sequence()) {
        for_each_command(moves, |command, _, report, book| {
            let Command::Submit(order) = command else { return };
            let spent: u128 =
                fills(report).map(|fill| u128::from(fill.quantity.0) * u128::from(fill.price.0)).sum();
            assert!(spent <= order.budget);
            if let Answer::Submitted(Ok(Outcome::Cancelled(_))) = report.answer
                && let Some((next, _)) = book.best(order.side.opposite())
                && accepts(order.side, order.price, next)
            {
                assert!(order.budget - spent < u128::from(next.0), "it could have paid one lot more");
            }
        });
    }

    #[test]
    fn account_trades_with_itself_only_if_it_allows_to(moves in sequence()) {
        for_each_command(moves, |command, _, report, _| {
            for event in &report.events {
                match (event, command) {
                    (Event::Fill(fill), Command::Submit(order)) if fill.maker_account == order.account => {
                        assert_eq!(order.self_trade, SelfTrade::Allow);
                    }
                    (Event::Prevented(prevented), Command::Submit(order)) => {
                        assert_eq!(prevented.account, order.account);
                        assert!(!matches!(order.self_trade, SelfTrade::Allow | SelfTrade::CancelNewest));
                    }
                    _ => {}
                }
            }
        });
    }

    #[test]
    fn fill_or_kill_is_all_or_nothing(moves in sequence()) {
        for_each_command(moves, |command, before, report, _| {
            let Command::Submit(order) = command else { return };
            if order.time_in_force != TimeInForce::Fok {
                return;
            }
            let traded: u64 = fills(report).map(|fill| fill.quantity.0).sum();
            match report.answer {
                Answer::Submitted(Ok(outcome)) => {
                    assert_eq!((outcome, traded), (Outcome::Filled, order.quantity.0));
                }
                Answer::Submitted(Err(refusal)) => {
                    assert_eq!(refusal, Refusal::WouldNotFill);
                    assert!(report.events.is_empty());
                }
                answer => panic!("{answer:?} of {command:?}"),
            }
            assert_eq!(before.would_fill(&order), traded == order.quantity.0);
        });
    }

    #[test]
    fn auction_trades_what_it_says_and_leaves_the_book_uncrossed(moves in sequence()) {
        for_each_command(moves, |command, before, report, book| {
            let Command::Uncross(price) = command else { return };
            let traded: u128 = crosses(report).map(|cross| u128::from(cross.quantity.0)).sum();
            assert_eq!(before.auction(None).map(|auction| auction.1), Some(traded));
            assert_eq!(book.auction(Some(price)), None);
            if let (Some((bid, _)), Some((ask, _))) = (book.best(Side::Buy), book.best(Side::Sell)) {
                assert!(bid < ask);
            }
        });
    }
}

/// What a sequence is made of. Which command it is in the end depends on the book.
#[derive(Clone, Copy, Debug)]
enum Move {
    Place(NewOrder),
    Cancel(OrderKey),
    /// To so many percent.
    Reduce(OrderKey, u64),
    /// From here on orders rest, until the next move of this kind; then all that can trade does.
    Auction,
}

impl Move {
    /// The nearest command that the book allows.
    fn legal(self, book: &impl Book, auction: &mut bool) -> Command {
        match self {
            // A live key cannot be placed again.
            Move::Place(order) if book.remaining(order.key).is_some() => Command::Cancel(order.key),
            Move::Place(order) if *auction => Command::Rest(order),
            Move::Place(order) => Command::Submit(order),
            Move::Cancel(key) => Command::Cancel(key),
            Move::Reduce(key, percent) => {
                let left = book.remaining(key).map_or(1, |left| left.0);
                Command::Reduce(key, Quantity((left * percent / 100).max(1)))
            }
            Move::Auction => {
                *auction = !*auction;
                match book.auction(None) {
                    Some((price, _)) => Command::Uncross(price),
                    None => Command::Cancel(OrderKey(u64::MAX)),
                }
            }
        }
    }
}

/// Runs a sequence; after each command `check` sees it, the book before, what it did and the book after.
fn for_each_command(moves: Vec<Move>, check: impl Fn(Command, &Fast, &Report, &Fast)) {
    let mut book = Fast::default();
    let mut auction = false;
    for step in moves {
        let command = step.legal(&book, &mut auction);
        let before = book.clone();
        let report = apply(&mut book, command);
        check(command, &before, &report, &book);
    }
}

/// Submitted = traded + decremented + resting + cancelled, and what was resting before lost exactly what traded, was
/// prevented or was cancelled.
fn check_lots(command: Command, report: &Report, before: u128, after: u128) {
    let traded: u128 = fills(report).map(|fill| u128::from(fill.quantity.0)).sum();
    let crossed: u128 = crosses(report).map(|cross| u128::from(cross.quantity.0)).sum();
    let prevented: u128 = report.events.iter().map(prevented_lots).sum();
    match (report.answer, command) {
        (Answer::Submitted(Ok(outcome)), Command::Submit(order)) => {
            let (rested, cancelled) = match outcome {
                Outcome::Filled => (0, 0),
                Outcome::Resting(left) => (u128::from(left.0), 0),
                Outcome::Cancelled(left) | Outcome::Prevented(left) => (0, u128::from(left.0)),
            };
            let decremented = if order.self_trade == SelfTrade::Decrement { prevented } else { 0 };
            assert_eq!(u128::from(order.quantity.0), traded + decremented + rested + cancelled);
            assert_eq!(after, before - traded - prevented + rested);
        }
        (Answer::Submitted(Err(_)), _) => assert!(report.events.is_empty() && after == before),
        (Answer::Cancelled(left), _) => assert_eq!(after, before - left.map_or(0, |left| u128::from(left.0))),
        (Answer::Reduced(None), _) => assert_eq!(after, before),
        (Answer::Reduced(Some(had)), Command::Reduce(_, left)) => {
            assert_eq!(after, before - u128::from(had.0 - left.0));
        }
        (Answer::Rested, Command::Rest(order)) => assert_eq!(after, before + u128::from(order.quantity.0)),
        (Answer::Uncrossed, _) => assert_eq!(after, before - 2 * crossed),
        other => panic!("{other:?} is not an answer to its command"),
    }
}

fn prevented_lots(event: &Event) -> u128 {
    match event {
        Event::Prevented(prevented) => u128::from(prevented.quantity.0),
        _ => 0,
    }
}

fn fills(report: &Report) -> impl Iterator<Item = crate::book::Fill> {
    report.events.iter().filter_map(|event| match event {
        Event::Fill(fill) => Some(*fill),
        _ => None,
    })
}

fn crosses(report: &Report) -> impl Iterator<Item = crate::book::Cross> {
    report.events.iter().filter_map(|event| match event {
        Event::Cross(cross) => Some(*cross),
        _ => None,
    })
}

/// Whether an order may trade at `price`.
fn accepts(side: Side, limit: Price, price: Price) -> bool {
    match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    }
}

fn limit(book: &impl Book, key: OrderKey) -> Price {
    resting(book).find(|order| order.key == key).expect("it rested before it traded").price
}

/// Lots that rest in the whole book, hidden ones included.
fn lots(book: &impl Book) -> u128 {
    resting(book).map(|order| u128::from(order.shown.0) + u128::from(order.hidden.0)).sum()
}

fn resting(book: &impl Book) -> impl Iterator<Item = Resting> {
    [Side::Buy, Side::Sell].map(|side| orders(book, side)).into_iter().flatten()
}

fn sequence() -> impl Strategy<Value = Vec<Move>> {
    prop::collection::vec(
        prop_oneof![
            16 => order().prop_map(Move::Place),
            2 => key().prop_map(Move::Cancel),
            2 => (key(), 1..=100u64).prop_map(|(key, percent)| Move::Reduce(key, percent)),
            1 => Just(Move::Auction),
        ],
        0..60,
    )
}

fn order() -> impl Strategy<Value = NewOrder> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let time_in_force = prop_oneof![
        4 => Just(TimeInForce::Gtc),
        1 => Just(TimeInForce::Ioc),
        1 => Just(TimeInForce::Fok),
        1 => Just(TimeInForce::PostOnly),
    ];
    let self_trade = prop_oneof![
        3 => Just(SelfTrade::Allow),
        1 => Just(SelfTrade::CancelNewest),
        1 => Just(SelfTrade::CancelOldest),
        1 => Just(SelfTrade::CancelBoth),
        1 => Just(SelfTrade::Decrement),
    ];
    let display = prop_oneof![Just(u64::MAX), 1..5u64];
    let budget = prop_oneof![Just(NewOrder::UNLIMITED), 0..60u128];
    let body = (key(), 1..7u64, 1..12u64, side, time_in_force);
    (body, 0..3u32, self_trade, display, budget).prop_map(|(body, account, self_trade, display, budget)| {
        let (key, price, quantity, side, time_in_force) = body;
        let budget = if time_in_force == TimeInForce::Ioc { budget } else { NewOrder::UNLIMITED };
        let (price, quantity, account) = (Price(price), Quantity(quantity), AccountId(account));
        let order = NewOrder::new(key, account, side, price, quantity, time_in_force);
        NewOrder { self_trade, display: Quantity(display), budget, ..order }
    })
}

fn key() -> impl Strategy<Value = OrderKey> {
    (0..24u64).prop_map(OrderKey)
}

//! Short sequences that shrink.

use proptest::prelude::*;

use super::{Answer, Command, Event, Mirror, Report, apply};
use crate::book::{Book, Fast, NewOrder, Outcome, Plain};
use crate::units::{AccountId, OrderKey, Price, Quantity, Side, TimeInForce};

proptest! {
    #[test]
    fn any_sequence_does_the_same_in_both_books(commands in sequence()) {
        let (mut plain, mut fast, mut mirror) = (Plain::default(), Fast::default(), Mirror::default());
        for command in commands {
            let command = cancel_if_live(&plain, command);
            let expected = apply(&mut plain, command);
            prop_assert_eq!(apply(&mut fast, command), expected.clone());
            mirror.follow(&expected);
            mirror.check(&fast);
            fast.check_invariants();
        }
    }

    #[test]
    fn no_lot_appears_or_is_lost(commands in sequence()) {
        let mut book = Fast::default();
        for command in commands {
            let command = cancel_if_live(&book, command);
            let resting = lots(&book);
            let report = apply(&mut book, command);
            check_lots(command, &report, resting, lots(&book));
        }
    }

    #[test]
    fn nobody_trades_beyond_a_limit(commands in sequence()) {
        let mut book = Fast::default();
        for command in commands {
            let command = cancel_if_live(&book, command);
            let report = apply(&mut book, command);
            let Command::Submit(order) = command else { continue };
            for fill in fills(&report) {
                match order.side {
                    Side::Buy => prop_assert!(fill.price <= order.price),
                    Side::Sell => prop_assert!(fill.price >= order.price),
                }
            }
        }
    }
}

/// Submitted = traded + resting + cancelled, and what was resting before lost exactly what traded or was cancelled.
fn check_lots(command: Command, report: &Report, before: u128, after: u128) {
    let traded: u128 = fills(report).map(|fill| u128::from(fill.quantity.0)).sum();
    match report.answer {
        Answer::Submitted(Ok(outcome)) => {
            let Command::Submit(order) = command else { unreachable!("only a submit is submitted") };
            let (rested, cancelled) = match outcome {
                Outcome::Filled => (0, 0),
                Outcome::Resting(left) => (u128::from(left.0), 0),
                Outcome::Cancelled(left) | Outcome::Prevented(left) => (0, u128::from(left.0)),
            };
            assert_eq!(u128::from(order.quantity.0), traded + rested + cancelled);
            assert_eq!(after, before - traded + rested);
        }
        Answer::Submitted(Err(_)) => assert!(report.events.is_empty() && after == before),
        Answer::Cancelled(left) => assert_eq!(after, before - left.map_or(0, |left| u128::from(left.0))),
    }
}

fn fills(report: &Report) -> impl Iterator<Item = crate::book::Fill> {
    report.events.iter().filter_map(|event| match event {
        Event::Fill(fill) => Some(*fill),
        Event::Level { .. } => None,
    })
}

/// Lots that rest in the whole book.
fn lots(book: &impl Book) -> u128 {
    let mut sum = 0;
    for side in [Side::Buy, Side::Sell] {
        book.levels(side, |_, total| {
            sum += u128::from(total.0);
            true
        });
    }
    sum
}

/// A live key cannot be submitted again, so that becomes a cancel.
fn cancel_if_live(book: &impl Book, command: Command) -> Command {
    match command {
        Command::Submit(order) if book.remaining(order.key).is_some() => Command::Cancel(order.key),
        other => other,
    }
}

fn sequence() -> impl Strategy<Value = Vec<Command>> {
    prop::collection::vec(
        prop_oneof![4 => order().prop_map(Command::Submit), 1 => key().prop_map(Command::Cancel)],
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
    (key(), 1..7u64, 1..12u64, side, time_in_force).prop_map(|(key, price, quantity, side, time_in_force)| {
        NewOrder::new(key, AccountId(key.0 as u32 % 3), side, Price(price), Quantity(quantity), time_in_force)
    })
}

fn key() -> impl Strategy<Value = OrderKey> {
    (0..24u64).prop_map(OrderKey)
}

//! A message that comes again changes nothing, and one that is missing is an error.

use crate::by_hand::ByHand;
use crate::shards_agree::{flow, market};
use engine_core::link::Gap;
use engine_core::message::*;
use engine_core::units::*;

#[test]
fn a_message_that_comes_again_changes_nothing() {
    for (sequencers, matchers) in [(1, 1), (3, 2)] {
        let inputs = flow(6, 3_000);
        let once = play(&inputs, sequencers, matchers, 1);
        let thrice = play(&inputs, sequencers, matchers, 3);
        assert_eq!(thrice, once, "{sequencers}×{matchers}");
    }
}

#[test]
fn all_that_was_ever_said_can_be_said_again() {
    let mut hand = ByHand::new(2, 2, &market());
    let (mut orders, mut settlements) = (Vec::new(), Vec::new());
    for input in flow(7, 2_000) {
        hand.input(&input);
        loop {
            settlements.extend(hand.settlements.front().copied());
            if hand.carry_settlement(1) {
                continue;
            }
            orders.extend(hand.orders.front().copied());
            if !hand.carry_order(1) {
                break;
            }
        }
    }
    let (before, reports) = (state(&hand), hand.reports.len());
    hand.orders.extend(orders);
    hand.settlements.extend(settlements);
    hand.carry_all(1);
    assert_eq!(state(&hand), before);
    assert_eq!(hand.reports.len(), reports, "and nothing is reported");
}

#[test]
fn a_missing_message_is_an_error_and_changes_nothing() {
    let mut hand = ByHand::new(2, 1, &market());
    for input in flow(8, 1_000) {
        hand.input(&input);
    }
    let lost = hand.orders.pop_front().unwrap();
    let next = hand.orders.iter().position(|(from, ..)| *from == lost.0).unwrap();
    let (from, to, message) = hand.orders.remove(next).unwrap();
    let before = state(&hand);
    let gap = Gap { from, expected: 1, got: 2 };
    assert_eq!(hand.matchers[to].apply(from, &message, &mut Default::default()), Err(gap));
    assert_eq!(state(&hand), before);

    // The same towards a sequencer, once the matcher has everything in order.
    hand.orders.push_front((from, to, message));
    hand.orders.push_front(lost);
    while hand.carry_order(1) {}
    let lost = hand.settlements.pop_front().unwrap();
    let next = hand.settlements.iter().position(|(_, to, _)| *to == lost.1).unwrap();
    let (from, to, message) = hand.settlements.remove(next).unwrap();
    let before = state(&hand);
    assert_eq!(hand.sequencers[to].settle(from, &message, &mut Default::default()), Err(gap));
    assert_eq!(state(&hand), before);

    // Nothing is spoilt: with the missing one first, all goes on.
    hand.settlements.push_front((from, to, message));
    hand.settlements.push_front(lost);
    hand.carry_all(1);
    hand.sequencers.iter().for_each(|sequencer| sequencer.check());
}

fn play(
    inputs: &[Input],
    sequencers: usize,
    matchers: usize,
    times: usize,
) -> impl PartialEq + std::fmt::Debug {
    let mut hand = ByHand::new(sequencers, matchers, &market());
    for input in inputs {
        hand.input(input);
        hand.carry_all(times);
    }
    let reports: Vec<String> = hand.reports.iter().map(|report| format!("{report:?}")).collect();
    (state(&hand), reports)
}

/// The number lines and hashes of all symbols, and every account as it stands.
fn state(hand: &ByHand) -> impl PartialEq + std::fmt::Debug + use<> {
    let symbols: Vec<_> = hand.matchers.iter().flat_map(|matcher| matcher.counters()).collect();
    let accounts = hand.sequencers.iter().flat_map(|sequencer| {
        sequencer.check();
        sequencer.accounts().map(move |account| (account, format!("{:?}", sequencer.view(account))))
    });
    (symbols, accounts.collect::<Vec<(AccountId, String)>>())
}

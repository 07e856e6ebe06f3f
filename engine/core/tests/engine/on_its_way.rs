//! What is asked about an order while an earlier message about it is on its way: nothing overtakes, nothing is answered twice,
//! and what waits is bounded. The links are moved by hand.

use crate::by_hand::ByHand;
use crate::stage::{asking, market, tell};
use engine_core::limits::{ORDER_ID_WINDOW_US, REPEATS_WAITING_MAX, REQUESTS_PER_ORDER_MAX};
use engine_core::message::*;
use engine_core::units::*;

#[test]
fn a_repeat_that_overtakes_the_answer_waits_for_it() {
    let mut hand = funded_by_hand();
    hand.input(&submit_at(1, 5, "a"));
    hand.input(&submit_at(2, 6, "a"));
    assert!(hand.reports.is_empty(), "there is no answer yet");
    hand.carry_all(1);
    assert_eq!(acks(&hand), [(1, false), (2, true)]);
}

#[test]
fn a_repeat_waits_even_while_its_id_grows_old() {
    let mut hand = funded_by_hand();
    hand.input(&submit_at(1, 5, "a"));
    hand.input(&submit_at(2, 6, "a"));
    hand.input(&submit_at(3, 5 + ORDER_ID_WINDOW_US, "b"));
    hand.carry_all(1);
    assert_eq!(acks(&hand), [(1, false), (2, true), (3, false)]);
}

#[test]
fn no_more_repeats_wait_than_there_is_room_for() {
    let mut hand = funded_by_hand();
    let requests = REPEATS_WAITING_MAX as u32 + 2;
    for request in 1..=requests {
        hand.input(&submit_at(request, 5, "a"));
    }
    let [Report { body: ReportBody::OrderReject { reason, .. }, to, .. }] = &hand.reports[..] else {
        panic!("only the last is answered: {:?}", hand.reports)
    };
    assert_eq!((*reason, *to), (Reject::Overloaded, Recipient::Asker(asking(requests))));
    hand.carry_all(1);
    assert_eq!(acks(&hand).len(), requests as usize - 1);
}

#[test]
fn a_cancel_overtakes_nothing() {
    let mut hand = funded_by_hand();
    hand.input(&submit_at(1, 5, "a"));
    hand.input(&cancel("a"));
    hand.input(&cancel("a"));
    hand.carry_all(1);
    let answers = hand.reports.iter().filter(|report| report.to != Recipient::Watchers);
    let answers: Vec<_> = answers.map(|report| tell(&["ann".into()], report).unwrap()).collect();
    assert_eq!(answers, ["ann ack a #1", "ann cancel ack a", "ann cancel reject a TooLate"]);
    hand.sequencers[0].check();
}

#[test]
fn who_asks_too_often_is_refused_and_the_exchange_still_cancels() {
    let mut hand = funded_by_hand();
    hand.input(&submit_at(1, 5, "a"));
    (0..REQUESTS_PER_ORDER_MAX).for_each(|_| hand.input(&cancel("a")));
    assert!(hand.reports.is_empty(), "the matcher has not answered");
    hand.input(&cancel("a"));
    assert!(matches!(
        hand.reports[..],
        [Report { body: ReportBody::CancelReject { reason: Reject::Overloaded, .. }, .. }]
    ));
    let (account, state) = (AccountId(0), AccountState::Suspended);
    hand.input(&Input { command: Command::SetAccount { account, state, tier: 0 }, ..cancel("a") });
    hand.carry_all(1);
    assert!(hand.sequencers[0].view(account).unwrap().orders.is_empty());
    hand.sequencers[0].check();
}

#[test]
fn asking_again_to_cancel_all_costs_nothing_while_the_first_is_on_its_way() {
    let mut hand = funded_by_hand();
    for number in 0..10 {
        hand.input(&submit_at(number, 1, &format!("o{number}")));
    }
    hand.carry_all(1);
    let command =
        Command::CancelAll { account: AccountId(0), symbol: None, group: None, by: Canceller::Owner };
    for request in 0..5 {
        hand.input(&Input { origin: asking(request), at: Timestamp(2), ticket: 0, command });
        assert_eq!(hand.orders.len(), 10, "one cancel for each order");
    }
    hand.carry_all(1);
    assert!(hand.sequencers[0].view(AccountId(0)).expect("it is open").orders.is_empty());
}

fn funded_by_hand() -> ByHand {
    let mut hand = ByHand::new(1, 1, &market());
    for command in [
        Command::Open { account: AccountId(0), name: None },
        Command::Deposit { account: AccountId(0), asset: AssetId(2), amount: Amount(1000) },
    ] {
        hand.input(&Input { origin: Origin::default(), at: Timestamp(0), ticket: 0, command });
    }
    hand.reports.clear();
    hand
}

fn submit_at(request: u32, at: u64, order_id: &str) -> Input {
    let command = Command::Submit(Submit::limit(
        AccountId(0),
        SymbolId(0),
        ClientOrderId::new(order_id).unwrap(),
        Side::Buy,
        Price(5),
        Quantity(10),
    ));
    Input { origin: asking(request), at: Timestamp(at), ticket: 0, command }
}

fn cancel(order_id: &str) -> Input {
    let order_id = ClientOrderId::new(order_id).unwrap();
    let command = Command::Cancel { account: AccountId(0), symbol: SymbolId(0), order_id };
    Input { origin: asking(0), at: Timestamp(0), ticket: 0, command }
}

/// Who got an ack, and whether as a repeat.
fn acks(hand: &ByHand) -> Vec<(u32, bool)> {
    let acks = hand.reports.iter().filter_map(|report| match (report.to, &report.body) {
        (Recipient::Asker(origin), ReportBody::OrderAck { duplicate, .. }) => {
            Some((origin.request, *duplicate))
        }
        _ => None,
    });
    acks.collect()
}

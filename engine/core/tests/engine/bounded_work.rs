//! One command may set off very much. What it sets off at once, and what is kept for that, has bounds.

use crate::by_hand::ByHand;
use crate::shards_agree::market;
use engine_core::bell::{Bell, ThreadBell};
use engine_core::limits::*;
use engine_core::matcher::{MarketEvent, Matcher, Outbox, Relief};
use engine_core::message::*;
use engine_core::pipeline::{self, Shape};
use engine_core::units::*;
use std::sync::Arc;

/// Empties an outbox, and remembers how full it was.
#[derive(Default)]
struct Pieces {
    answers: Vec<String>,
    events: Vec<MarketEvent>,
    largest: usize,
    times: usize,
}

impl Relief for Pieces {
    fn relieve(&mut self, out: &mut Outbox) {
        self.largest = self.largest.max(out.to_sequencers.len() + out.market.len());
        self.times += 1;
        self.answers.extend(out.to_sequencers.drain(..).map(|told| format!("{told:?}")));
        self.events.append(&mut out.market);
    }
}

/// What a matcher is asked: one-lot asks at fifty prices, as many stops with the same triggers, and a buyer of all asks.
fn sweep(orders: u64) -> Vec<Numbered<ToMatcher>> {
    let mut hand = ByHand::new(1, 1, &market());
    let mut say =
        |command| hand.input(&Input { origin: Origin::default(), at: Timestamp(0), ticket: 0, command });
    for account in (0..100).map(AccountId) {
        say(Command::Open { account, name: None });
        for asset in [AssetId(0), AssetId(2)] {
            say(Command::Deposit { account, asset, amount: Amount(10u128.pow(30)) });
        }
    }
    let order = |number: u64, side, price, quantity| {
        let account = AccountId((number % 100) as u32);
        let order_id = ClientOrderId::new(&format!("o{number}")).unwrap();
        Submit::limit(account, SymbolId(0), order_id, side, Price(price), Quantity(quantity))
    };
    for n in 0..orders {
        say(Command::Submit(order(n, Side::Sell, 1000 + n % 50, 1)));
        let terms = Terms::Stop { trigger: Price(1000 + n % 50) };
        say(Command::Submit(Submit { terms, ..order(orders + n, Side::Buy, 900, 1) }));
    }
    say(Command::Submit(order(2 * orders, Side::Buy, 2000, orders)));
    hand.orders.into_iter().map(|(.., message)| message).collect()
}

#[test]
fn what_a_long_sweep_puts_out_is_handed_on_in_pieces_and_is_the_same() {
    let messages = sweep(30_000);
    let (mut whole, mut cut) = (Matcher::new(0, 1, 1, &market()), Matcher::new(0, 1, 1, &market()));
    let (mut all, mut pieces, mut out) = (Outbox::default(), Pieces::default(), Outbox::default());
    for message in &messages {
        whole.apply(0, message, &mut all).unwrap();
        cut.apply_with(0, message, &mut out, &mut pieces).unwrap();
    }
    pieces.relieve(&mut out);
    // Between two looks at how full it is, a fill says three things.
    assert!(pieces.largest < OUTBOX_MAX + 8, "{} in the outbox", pieces.largest);
    assert!(pieces.times > 10, "it was full {} times", pieces.times);
    assert_eq!(pieces.events, all.market);
    let answers: Vec<String> = all.to_sequencers.iter().map(|told| format!("{told:?}")).collect();
    assert_eq!(pieces.answers, answers);
    assert!(cut.counters().eq(whole.counters()));
}

#[test]
fn timers_that_run_out_together_are_seen_to_one_account_at_a_time() {
    const ACCOUNTS: u32 = 300;
    let shape = Shape { sequencers: 2, matchers: 1, log_entries_max: 0 };
    let bell = Arc::new(ThreadBell::default());
    let bells = vec![bell as Arc<dyn Bell>];
    let shards = pipeline::build(shape, &market());
    let (engine, mut ports) = pipeline::run_threads(shards, bells, vec![Box::new(())], Default::default());
    let mut port = ports.pop().unwrap();
    let mut say = |at, command| {
        let input = Input { origin: Origin::default(), at: Timestamp(at), ticket: 0, command };
        while port.submit(input).is_err() {
            port.flush();
            port.take_reports(usize::MAX, |_| {});
        }
    };
    for account in (0..ACCOUNTS).map(AccountId) {
        say(1, Command::Open { account, name: None });
        say(1, Command::Deposit { account, asset: AssetId(2), amount: Amount(10u128.pow(20)) });
        let order_id = ClientOrderId::new("a").unwrap();
        let order = Submit::limit(
            account,
            SymbolId(0),
            order_id,
            Side::Buy,
            Price(1 + u64::from(account.0)),
            Quantity(1),
        );
        say(1, Command::Submit(order));
        say(1, Command::CancelAllAfter { account, timeout_us: 10 });
    }
    say(20, Command::Tick);
    port.flush();
    drop(port);
    let inputs = engine.sequencer_counters.clone();
    let shards = engine.join();
    shards.check();
    assert_eq!(shards.matchers[0].machine.counters().map(|(_, c)| c.exchange_order_id).max(), Some(300));
    assert!(shards.balances().iter().all(|(.., held)| held.0 == 0), "every order is gone");
    let inputs: u64 = inputs.iter().map(|counters| counters.inputs.get()).sum();
    assert_eq!(inputs, u64::from(ACCOUNTS) * 5 + 2, "four commands of each, its timer, and a tick for both");
}

/// The answers to the submits of stops, by account and number.
fn stops_are_answered(hand: &mut ByHand, stops: impl Iterator<Item = (u32, u32)>) -> Vec<Option<Reject>> {
    let mut answers = Vec::new();
    for (account, number) in stops {
        let order_id = ClientOrderId::new(&format!("s{number}")).unwrap();
        let plain =
            Submit::limit(AccountId(account), SymbolId(0), order_id, Side::Buy, Price(1), Quantity(1));
        let command = Command::Submit(Submit { terms: Terms::Stop { trigger: Price(9) }, ..plain });
        hand.input(&Input { origin: Origin::default(), at: Timestamp(0), ticket: 0, command });
        hand.carry_all(1);
        answers.extend(hand.reports.drain(..).filter_map(|report| match report.body {
            ReportBody::OrderAck { .. } => Some(None),
            ReportBody::OrderReject { reason, .. } => Some(Some(reason)),
            _ => None,
        }));
    }
    answers
}

#[test]
fn the_places_for_stops_are_shared() {
    let mut hand = ByHand::new(1, 1, &market());
    let full = SPECIALS_PER_SYMBOL_MAX as u32 / SPECIALS_PER_ACCOUNT_MAX;
    for account in (0..=full).map(AccountId) {
        for command in [
            Command::Open { account, name: None },
            Command::Deposit { account, asset: AssetId(2), amount: Amount(10u128.pow(20)) },
        ] {
            hand.input(&Input { origin: Origin::default(), at: Timestamp(0), ticket: 0, command });
        }
    }
    let of = |account| (0..SPECIALS_PER_ACCOUNT_MAX).map(move |number| (account, number));
    assert!(stops_are_answered(&mut hand, (0..full).flat_map(of)).iter().all(Option::is_none));
    let more = |number| std::iter::once((0, number));
    let too_many = Some(Reject::TooManyOrders);
    assert_eq!(stops_are_answered(&mut hand, more(5000)), [too_many], "an account has its share");

    let rest = SPECIALS_PER_SYMBOL_MAX as u32 % SPECIALS_PER_ACCOUNT_MAX;
    assert!(stops_are_answered(&mut hand, of(full).take(rest as usize)).iter().all(Option::is_none));
    let one_more = (full, 5000);
    let overloaded = Some(Reject::Overloaded);
    assert_eq!(stops_are_answered(&mut hand, [one_more].into_iter()), [overloaded], "the symbol is full");

    let command = Command::Cancel {
        account: AccountId(0),
        symbol: SymbolId(0),
        order_id: ClientOrderId::new("s7").unwrap(),
    };
    hand.input(&Input { origin: Origin::default(), at: Timestamp(0), ticket: 0, command });
    hand.carry_all(1);
    hand.reports.clear();
    assert_eq!(stops_are_answered(&mut hand, [(full, 5001)].into_iter()), [None], "what is gone makes room");
    hand.matchers[0].check();
}

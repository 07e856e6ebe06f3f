//! What happens to orders and to the money behind them, case by case.
//!
//! A script is played to the whole engine; what it reports must be what stands behind the arrow. Nothing behind a
//! line without an arrow means that nothing is reported but money.
//!
//! ```text
//! fund ann 100 USD 5 COIN              opens the account and deposits
//! ann buy a 10 @ 5                     an order named a; also: ioc, fok, post, market; `on GOLD-USD`
//! ann cancel a | ann cancel all        also: `on GOLD-USD`
//! wait 3                               microseconds of log time
//! money ann => USD 50 held 50, COIN 5
//! sequence => 3                        of COIN-USD
//! ```
//! Answers: `ack a #1` (with the public number; `again` for a repeat), `reject a Reason`, `cancel ack a`,
//! `cancel reject a Reason`, `cancelling 2`. News: `trade a 5 @ 10 t1 maker`, `cancelled a 5`, `expired a 5` with what
//! had not traded. Every answer and every piece of news begins with the account.
//!
//! Every script runs on 1×1 and on 3×2 shards, under the eyes of a [`Witness`].

use crate::by_hand::ByHand;
use crate::witness::{Tape, Witness};
use engine_core::executor::inline::Inline;
use engine_core::instrument::{InstrumentSpec, Market};
use engine_core::limits::{OPEN_ORDERS_PER_ACCOUNT_MAX, ORDER_ID_WINDOW_US, REPEATS_WAITING_MAX};
use engine_core::message::*;
use engine_core::pipeline::{self, Shape};
use engine_core::units::*;
use std::sync::Arc;

// ---- holds and settlement -------------------------------------------------------------------------------------------

#[test]
fn a_buyer_holds_price_times_quantity() {
    check(
        "fund ann 100 USD
         ann buy a 10 @ 6   => ann ack a #1
         money ann          => USD 40 held 60",
    );
}

#[test]
fn a_seller_holds_what_it_sells() {
    check(
        "fund ann 10 COIN
         ann sell a 7 @ 6   => ann ack a #1
         money ann          => COIN 3 held 7",
    );
}

#[test]
fn a_trade_moves_money_both_ways() {
    check(
        "fund ann 10 COIN
         fund bob 100 USD
         ann sell a 10 @ 6  => ann ack a #1
         bob buy b 10 @ 6   => bob ack b #2 | ann trade a 10 @ 6 t1 maker | bob trade b 10 @ 6 t1 taker
         money ann          => COIN 0, USD 60
         money bob          => COIN 10, USD 40",
    );
}

#[test]
fn a_buyer_gets_a_better_price_back() {
    check(
        "fund ann 10 COIN
         fund bob 100 USD
         ann sell a 10 @ 6  => ann ack a #1
         bob buy b 10 @ 9   => bob ack b #2 | ann trade a 10 @ 6 t1 maker | bob trade b 10 @ 6 t1 taker
         money bob          => COIN 10, USD 40",
    );
}

#[test]
fn a_better_price_comes_back_while_the_rest_holds_on() {
    check(
        "fund ann 4 COIN
         fund bob 100 USD
         ann sell a 4 @ 6   => ann ack a #1
         bob buy b 10 @ 9   => bob ack b #2 | ann trade a 4 @ 6 t1 maker | bob trade b 4 @ 6 t1 taker
         money bob          => COIN 4, USD 22 held 54
         bob cancel b       => bob cancel ack b | bob cancelled b 6
         money bob          => COIN 4, USD 76",
    );
}

#[test]
fn a_seller_gets_the_better_price() {
    check(
        "fund ann 10 COIN
         fund bob 90 USD
         bob buy b 10 @ 9   => bob ack b #1
         ann sell a 10 @ 6  => ann ack a #2 | bob trade b 10 @ 9 t1 maker | ann trade a 10 @ 9 t1 taker
         money ann          => COIN 0, USD 90
         money bob          => COIN 10, USD 0",
    );
}

#[test]
fn partial_fills_settle_one_by_one() {
    check(
        "fund ann 10 COIN
         fund bob 100 USD
         ann sell a 10 @ 6  => ann ack a #1
         bob buy b 3 @ 6    => bob ack b #2 | ann trade a 3 @ 6 t1 maker | bob trade b 3 @ 6 t1 taker
         money ann          => COIN 0 held 7, USD 18
         bob buy c 2 @ 6    => bob ack c #3 | ann trade a 2 @ 6 t2 maker | bob trade c 2 @ 6 t2 taker
         money ann          => COIN 0 held 5, USD 30
         ann cancel a       => ann cancel ack a | ann cancelled a 5
         money ann          => COIN 5, USD 30",
    );
}

#[test]
fn a_sweep_pays_each_maker_its_price() {
    check(
        "fund ann 9 COIN
         fund bob 100 USD
         ann sell x 3 @ 5   => ann ack x #1
         ann sell y 3 @ 4   => ann ack y #2
         ann sell z 3 @ 6   => ann ack z #3
         bob buy b 8 @ 6    => bob ack b #4 \
            | ann trade y 3 @ 4 t1 maker | bob trade b 3 @ 4 t1 taker \
            | ann trade x 3 @ 5 t2 maker | bob trade b 3 @ 5 t2 taker \
            | ann trade z 2 @ 6 t3 maker | bob trade b 2 @ 6 t3 taker
         money ann          => COIN 0 held 1, USD 39
         money bob          => COIN 8, USD 61",
    );
}

#[test]
fn an_account_may_trade_with_itself_and_keeps_its_money() {
    check(
        "fund ann 10 COIN 100 USD
         ann sell a 10 @ 6  => ann ack a #1
         ann buy b 10 @ 7   => ann ack b #2 | ann trade a 10 @ 6 t1 maker | ann trade b 10 @ 6 t1 taker
         money ann          => COIN 10, USD 100",
    );
}

#[test]
fn what_was_just_bought_can_be_sold_elsewhere() {
    check(
        "fund ann 10 COIN
         fund bob 60 USD
         fund cat 5 GOLD
         ann sell a 10 @ 6  => ann ack a #1
         cat buy c 10 @ 1 on COIN-GOLD => cat reject c InsufficientBalance
         cat buy d 5 @ 1 on COIN-GOLD  => cat ack d #1
         bob buy b 10 @ 6   => bob ack b #2 | ann trade a 10 @ 6 t1 maker | bob trade b 10 @ 6 t1 taker
         bob sell e 5 @ 1 on COIN-GOLD \
                            => bob ack e #2 | cat trade d 5 @ 1 t1 maker | bob trade e 5 @ 1 t1 taker
         money bob          => COIN 5, GOLD 5, USD 0
         money cat          => COIN 5, GOLD 0",
    );
}

// ---- times in force -------------------------------------------------------------------------------------------------

#[test]
fn ioc_gives_back_what_does_not_trade_at_once() {
    check(
        "fund ann 4 COIN
         fund bob 100 USD
         ann sell a 4 @ 6     => ann ack a #1
         bob buy b 10 @ 7 ioc => bob ack b #2 | ann trade a 4 @ 6 t1 maker | bob trade b 4 @ 6 t1 taker \
            | bob expired b 6
         money bob            => COIN 4, USD 76
         sequence             => 2",
    );
}

#[test]
fn ioc_that_meets_nobody_expires_whole_and_moves_no_sequence() {
    check(
        "fund bob 100 USD
         bob buy b 10 @ 7 ioc => bob ack b #1 | bob expired b 10
         money bob            => USD 100
         sequence             => 0",
    );
}

#[test]
fn fok_trades_all_or_nothing() {
    check(
        "fund ann 10 COIN
         fund bob 100 USD
         ann sell a 4 @ 6     => ann ack a #1
         ann sell b 4 @ 7     => ann ack b #2
         bob buy c 8 @ 6 fok  => bob ack c #3 | bob expired c 8
         money bob            => USD 100
         bob buy d 9 @ 7 fok  => bob ack d #4 | bob expired d 9
         sequence             => 2
         bob buy e 8 @ 7 fok  => bob ack e #5 \
            | ann trade a 4 @ 6 t1 maker | bob trade e 4 @ 6 t1 taker \
            | ann trade b 4 @ 7 t2 maker | bob trade e 4 @ 7 t2 taker
         money bob            => COIN 8, USD 48
         sequence             => 3",
    );
}

#[test]
fn a_market_order_ends_at_its_protection_price() {
    check(
        "fund ann 10 COIN
         fund bob 100 USD
         ann sell a 4 @ 6        => ann ack a #1
         ann sell b 4 @ 9        => ann ack b #2
         bob buy c 8 @ 8 market  => bob ack c #3 | ann trade a 4 @ 6 t1 maker | bob trade c 4 @ 6 t1 taker \
            | bob expired c 4
         money bob               => COIN 4, USD 76",
    );
}

#[test]
fn a_market_sell_expires_what_no_bid_takes() {
    check(
        "fund ann 10 COIN
         fund bob 100 USD
         bob buy b 4 @ 6         => bob ack b #1
         ann sell a 10 @ 1 market => ann ack a #2 | bob trade b 4 @ 6 t1 maker | ann trade a 4 @ 6 t1 taker \
            | ann expired a 6
         money ann               => COIN 6, USD 24",
    );
}

#[test]
fn post_only_rests() {
    check(
        "fund ann 10 COIN
         fund bob 100 USD
         ann sell a 4 @ 6 post => ann ack a #1
         bob buy b 4 @ 5 post  => bob ack b #2
         money bob             => USD 80 held 20",
    );
}

#[test]
fn post_only_that_would_trade_is_refused_and_touches_no_balance() {
    check(
        "fund ann 10 COIN
         fund bob 100 USD
         ann sell a 4 @ 6      => ann ack a #1
         bob buy b 4 @ 6 post  => bob reject b PostOnlyWouldTake
         money bob             => USD 100
         sequence              => 1
         bob buy c 4 @ 5       => bob ack c #2",
    );
}

// ---- refusals -------------------------------------------------------------------------------------------------------

#[test]
fn an_unknown_symbol() {
    check("fund ann 10 USD\n ann buy a 1 @ 1 on NONE-USD => ann reject a UnknownSymbol");
}

#[test]
fn an_unknown_account() {
    check(
        "eve buy a 1 @ 1 => eve reject a UnknownAccount
         eve cancel a    => eve cancel reject a UnknownAccount
         eve cancel all  => eve cancelling 0",
    );
}

#[test]
fn more_than_there_is() {
    check(
        "fund ann 100 USD
         ann buy a 21 @ 5   => ann reject a InsufficientBalance
         ann buy b 20 @ 5   => ann ack b #1
         ann buy c 1 @ 1    => ann reject c InsufficientBalance
         ann sell d 1 @ 1   => ann reject d InsufficientBalance
         money ann          => USD 0 held 100",
    );
}

#[test]
fn money_in_one_asset_buys_nothing_in_another() {
    check(
        "fund ann 100 USD
         ann buy a 1 @ 1 on COIN-GOLD => ann reject a InsufficientBalance",
    );
}

#[test]
fn prices_out_of_range() {
    check(
        "fund ann 100 USD
         ann buy a 1 @ 0            => ann reject a PriceRange
         ann sell b 1 @ 1000000001  => ann reject b PriceRange
         ann sell c 1 @ 1000000000  => ann reject c InsufficientBalance",
    );
}

#[test]
fn quantities_out_of_range() {
    check(
        "fund ann 100 USD
         ann buy a 0 @ 1            => ann reject a QuantityRange
         ann buy b 1000000001 @ 1   => ann reject b QuantityRange",
    );
}

#[test]
fn too_small_to_trade() {
    check(
        "fund ann 100 USD
         ann buy a 3 @ 3 on GOLD-USD  => ann reject a MinNotional
         ann buy b 2 @ 5 on GOLD-USD  => ann ack b #1",
    );
}

#[test]
fn the_largest_order_of_all_is_refused_for_its_money_alone() {
    check(
        "fund ann 100 USD
         ann buy a 1000000000 @ 1000000000 => ann reject a InsufficientBalance",
    );
}

#[test]
fn as_many_live_orders_as_an_account_may_have() {
    let most = OPEN_ORDERS_PER_ACCOUNT_MAX;
    let mut script = "fund ann 1000000 COIN\n".to_string();
    for i in 1..=most {
        script += &format!("ann sell o{i} 1 @ 5 => ann ack o{i} #{i}\n");
    }
    script += &format!(
        "ann sell more 1 @ 5 => ann reject more TooManyOrders
         ann cancel o7       => ann cancel ack o7 | ann cancelled o7 1
         ann sell last 1 @ 5 => ann ack last #{}",
        most + 1
    );
    check(&script);
}

#[test]
fn a_refusal_does_not_hold() {
    check(
        "fund ann 100 USD
         ann buy a 0 @ 1  => ann reject a QuantityRange
         ann buy b 1 @ 0  => ann reject b PriceRange
         ann buy c 3 @ 3 on GOLD-USD  => ann reject c MinNotional
         money ann        => USD 100",
    );
}

// ---- order ids ------------------------------------------------------------------------------------------------------

#[test]
fn a_repeat_is_answered_again_and_changes_nothing() {
    check(
        "fund ann 100 USD
         ann buy a 10 @ 6   => ann ack a #1
         wait 5
         ann buy a 10 @ 6   => ann ack a #1 again
         money ann          => USD 40 held 60
         sequence           => 1",
    );
}

#[test]
fn a_repeat_is_answered_after_the_order_is_gone() {
    check(
        "fund ann 100 USD
         ann buy a 10 @ 6   => ann ack a #1
         ann cancel a       => ann cancel ack a | ann cancelled a 10
         ann buy a 10 @ 6   => ann ack a #1 again
         money ann          => USD 100",
    );
}

#[test]
fn a_refusal_is_repeated_even_when_money_has_come() {
    check(
        "fund ann 10 USD
         ann buy a 10 @ 6   => ann reject a InsufficientBalance
         fund ann 90 USD
         ann buy a 10 @ 6   => ann reject a InsufficientBalance
         ann buy b 10 @ 6   => ann ack b #1",
    );
}

#[test]
fn a_matchers_refusal_is_repeated_too() {
    check(
        "fund ann 4 COIN
         fund bob 100 USD
         ann sell a 4 @ 6      => ann ack a #1
         bob buy b 4 @ 6 post  => bob reject b PostOnlyWouldTake
         ann cancel a          => ann cancel ack a | ann cancelled a 4
         bob buy b 4 @ 6 post  => bob reject b PostOnlyWouldTake",
    );
}

#[test]
fn another_order_under_a_used_id_is_refused() {
    check(
        "fund ann 100 USD 10 COIN
         ann buy a 10 @ 6              => ann ack a #1
         ann buy a 11 @ 6              => ann reject a DuplicateOrderId
         ann buy a 10 @ 5              => ann reject a DuplicateOrderId
         ann sell a 10 @ 6             => ann reject a DuplicateOrderId
         ann buy a 10 @ 6 ioc          => ann reject a DuplicateOrderId
         ann buy a 10 @ 6 on GOLD-USD  => ann reject a DuplicateOrderId
         ann buy a 10 @ 6              => ann ack a #1 again
         money ann                     => COIN 10, USD 40 held 60",
    );
}

#[test]
fn a_market_orders_repeat_may_have_another_protection_price() {
    check(
        "fund ann 100 USD
         ann buy a 10 @ 6 market  => ann ack a #1 | ann expired a 10
         ann buy a 10 @ 7 market  => ann ack a #1 again
         ann buy a 10 @ 6 ioc     => ann reject a DuplicateOrderId",
    );
}

#[test]
fn two_accounts_may_use_the_same_id() {
    check(
        "fund ann 100 USD
         fund bob 100 USD
         ann buy a 10 @ 6   => ann ack a #1
         bob buy a 10 @ 6   => bob ack a #2
         bob cancel a       => bob cancel ack a | bob cancelled a 10
         money ann          => USD 40 held 60",
    );
}

#[test]
fn an_id_is_free_again_after_24_hours() {
    check(&format!(
        "fund ann 100 USD
         ann buy a 10 @ 6 ioc  => ann ack a #1 | ann expired a 10
         ann buy b 99 @ 99     => ann reject b InsufficientBalance
         wait {}
         ann buy a 10 @ 6 ioc  => ann ack a #1 again
         ann buy b 9 @ 9       => ann reject b DuplicateOrderId
         wait 1
         ann buy a 5 @ 6 ioc   => ann ack a #2 | ann expired a 5
         ann buy b 9 @ 9       => ann ack b #3",
        ORDER_ID_WINDOW_US - 1
    ));
}

#[test]
fn a_live_order_keeps_its_id_after_24_hours() {
    check(&format!(
        "fund ann 100 USD
         ann buy a 10 @ 6   => ann ack a #1
         wait {}
         ann buy a 10 @ 6   => ann ack a #1 again
         ann buy a 10 @ 5   => ann reject a DuplicateOrderId
         ann cancel a       => ann cancel ack a | ann cancelled a 10",
        2 * ORDER_ID_WINDOW_US
    ));
}

#[test]
fn a_clock_that_steps_back_does_no_harm() {
    check(
        "fund ann 100 USD
         wait 1000
         ann buy a 1 @ 6   => ann ack a #1
         wait -900
         ann buy b 1 @ 6   => ann ack b #2
         ann buy a 1 @ 6   => ann ack a #1 again",
    );
}

// ---- cancels --------------------------------------------------------------------------------------------------------

#[test]
fn a_cancel_gives_the_hold_back() {
    check(
        "fund ann 100 USD
         ann buy a 10 @ 6   => ann ack a #1
         ann cancel a       => ann cancel ack a | ann cancelled a 10
         money ann          => USD 100
         sequence           => 2",
    );
}

#[test]
fn an_order_is_cancelled_once() {
    check(
        "fund ann 100 USD
         ann buy a 10 @ 6   => ann ack a #1
         ann cancel a       => ann cancel ack a | ann cancelled a 10
         ann cancel a       => ann cancel reject a TooLate
         money ann          => USD 100
         sequence           => 2",
    );
}

#[test]
fn a_filled_order_is_too_late_to_cancel() {
    check(
        "fund ann 10 COIN
         fund bob 100 USD
         ann sell a 10 @ 6  => ann ack a #1
         bob buy b 10 @ 6   => bob ack b #2 | ann trade a 10 @ 6 t1 maker | bob trade b 10 @ 6 t1 taker
         ann cancel a       => ann cancel reject a TooLate
         bob cancel b       => bob cancel reject b TooLate",
    );
}

#[test]
fn what_never_lived_cannot_be_cancelled() {
    check(
        "fund ann 100 USD
         ann cancel a         => ann cancel reject a UnknownOrder
         ann buy a 10 @ 60    => ann reject a InsufficientBalance
         ann cancel a         => ann cancel reject a UnknownOrder",
    );
}

#[test]
fn nobody_cancels_another_ones_order() {
    check(
        "fund ann 100 USD
         fund bob 100 USD
         ann buy a 10 @ 6   => ann ack a #1
         bob cancel a       => bob cancel reject a UnknownOrder
         money ann          => USD 40 held 60",
    );
}

#[test]
fn an_order_is_found_under_its_own_symbol_only() {
    check(
        "fund ann 100 USD
         ann buy a 10 @ 6              => ann ack a #1
         ann cancel a on GOLD-USD      => ann cancel reject a UnknownOrder
         ann cancel a on NONE-USD      => ann cancel reject a UnknownOrder
         ann cancel a                  => ann cancel ack a | ann cancelled a 10",
    );
}

#[test]
fn cancel_all_takes_one_symbol_or_all() {
    check(
        "fund ann 1000 USD 10 COIN
         fund bob 100 USD
         bob buy z 1 @ 1               => bob ack z #1
         ann buy a 10 @ 6              => ann ack a #2
         ann buy b 10 @ 6 on GOLD-USD  => ann ack b #1
         ann buy c 10 @ 5              => ann ack c #3
         ann sell d 10 @ 9             => ann ack d #4
         ann cancel all on GOLD-USD    => ann cancelling 1 | ann cancelled b 10
         ann cancel all on COIN-GOLD   => ann cancelling 0
         ann cancel all                => ann cancelling 3 | ann cancelled a 10 | ann cancelled c 10 \
            | ann cancelled d 10
         ann cancel all                => ann cancelling 0
         money ann                     => COIN 10, USD 1000
         money bob                     => USD 99 held 1",
    );
}

#[test]
fn money_for_nobody_is_nobodys() {
    check(
        "deposit eve 100 USD
         fund eve 10 USD
         money eve => USD 10",
    );
}

// ---- while a message is on its way ----------------------------------------------------------------------------------

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
    let answers: Vec<_> = answers.map(|report| tell("ann", report).unwrap()).collect();
    assert_eq!(answers, ["ann ack a #1", "ann cancel ack a", "ann cancel reject a TooLate"]);
    hand.sequencers[0].check();
}

fn funded_by_hand() -> ByHand {
    let mut hand = ByHand::new(1, 1, &market());
    for command in [
        Command::Open { account: AccountId(0) },
        Command::Deposit { account: AccountId(0), asset: AssetId(2), amount: Amount(1000) },
    ] {
        hand.input(&Input { origin: Origin::default(), at: Timestamp(0), ticket: 0, command });
    }
    hand.reports.clear();
    hand
}

fn submit_at(request: u32, at: u64, order_id: &str) -> Input {
    let command = Command::Submit(Submit {
        account: AccountId(0),
        symbol: SymbolId(0),
        order_id: ClientOrderId::new(order_id).unwrap(),
        side: Side::Buy,
        kind: OrderKind::Limit,
        price: Price(5),
        quantity: Quantity(10),
        time_in_force: TimeInForce::Gtc,
    });
    Input { origin: asking(request), at: Timestamp(at), ticket: 0, command }
}

fn cancel(order_id: &str) -> Input {
    let order_id = ClientOrderId::new(order_id).unwrap();
    let command = Command::Cancel { account: AccountId(0), symbol: SymbolId(0), order_id };
    Input { origin: asking(0), at: Timestamp(0), ticket: 0, command }
}

fn asking(request: u32) -> Origin {
    Origin { request, ..Origin::default() }
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

// ---- the stage ------------------------------------------------------------------------------------------------------

#[track_caller]
fn check(script: &str) {
    for (sequencers, matchers) in [(1, 1), (3, 2)] {
        Stage::new(sequencers, matchers).run(script);
    }
}

/// Whole numbers throughout: a tick, a lot and an atom are all 1.
fn market() -> Arc<Market> {
    let mut market = Market::default();
    for asset in ["COIN", "GOLD", "USD"] {
        market.add_asset(asset, 0).unwrap();
    }
    for (base, quote, min_notional) in [("COIN", "USD", "0"), ("GOLD", "USD", "10"), ("COIN", "GOLD", "0")] {
        let symbol = &format!("{base}-{quote}");
        let spec = InstrumentSpec { symbol, base, quote, tick: "1", lot: "1", min_notional };
        market.add_instrument(&spec).unwrap();
    }
    Arc::new(market)
}

struct Stage {
    market: Arc<Market>,
    engine: Inline,
    witness: Witness,
    tape: Tape,
    /// Account *n* is called `names[n]`.
    names: Vec<String>,
    now: u64,
    requests: u32,
}

impl Stage {
    fn new(sequencers: usize, matchers: usize) -> Self {
        let market = market();
        let shape = Shape { sequencers, matchers, log_entries_max: 0 };
        Self {
            engine: pipeline::run_inline(pipeline::build(shape, &market)),
            witness: Witness::new(&market),
            tape: Tape::default(),
            names: Vec::new(),
            now: 0,
            requests: 0,
            market,
        }
    }

    #[track_caller]
    fn run(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (command, expected) = line.split_once("=>").unwrap_or((line, ""));
            let expected: Vec<&str> = expected.split_whitespace().collect();
            let told = self.step(&command.split_whitespace().collect::<Vec<_>>());
            assert_eq!(told, expected.join(" "), "\n  in `{line}`\n");
        }
        self.witness.agrees_with(self.engine.at_rest());
        self.tape.agrees_with(self.engine.at_rest());
    }

    fn step(&mut self, words: &[&str]) -> String {
        match *words {
            ["wait", time] => {
                self.now = self.now.strict_add_signed(time.parse().expect("microseconds"));
                String::new()
            }
            ["money", name] => self.money(name),
            ["sequence"] => self.tape.sequence(SymbolId(0)).to_string(),
            ["fund", name, ref amounts @ ..] => {
                let account = self.account(name);
                let opened = self.apply(Command::Open { account });
                opened + &self.deposit(account, amounts)
            }
            ["deposit", name, ref amounts @ ..] => {
                let account = self.account(name);
                self.deposit(account, amounts)
            }
            [name, "cancel", "all"] => {
                let account = self.account(name);
                self.apply(Command::CancelAll { account, symbol: None })
            }
            [name, "cancel", "all", "on", symbol] => {
                let (account, symbol) = (self.account(name), Some(self.symbol(symbol)));
                self.apply(Command::CancelAll { account, symbol })
            }
            [name, "cancel", id, ref rest @ ..] => {
                let (account, symbol) = (self.account(name), self.symbol_or_first(rest));
                let order_id = ClientOrderId::new(id).expect("an order id");
                self.apply(Command::Cancel { account, symbol, order_id })
            }
            [name, side, id, quantity, "@", price, ref rest @ ..] => {
                let (account, symbol) = (self.account(name), self.symbol_or_first(rest));
                self.apply(Command::Submit(Submit {
                    account,
                    symbol,
                    order_id: ClientOrderId::new(id).expect("an order id"),
                    side: if side == "buy" { Side::Buy } else { Side::Sell },
                    kind: if rest.contains(&"market") { OrderKind::Market } else { OrderKind::Limit },
                    price: Price(price.parse().expect("a price")),
                    quantity: Quantity(quantity.parse().expect("a quantity")),
                    time_in_force: match rest.first() {
                        Some(&"ioc" | &"market") => TimeInForce::Ioc,
                        Some(&"fok") => TimeInForce::Fok,
                        Some(&"post") => TimeInForce::PostOnly,
                        _ => TimeInForce::Gtc,
                    },
                }))
            }
            _ => panic!("cannot read {words:?}"),
        }
    }

    fn deposit(&mut self, account: AccountId, amounts: &[&str]) -> String {
        let mut told = String::new();
        for pair in amounts.chunks_exact(2) {
            let (amount, asset) = (pair[0].parse().expect("an amount"), self.market.asset(pair[1]));
            let asset = asset.expect("an asset").id;
            told += &self.apply(Command::Deposit { account, asset, amount: Amount(amount) });
        }
        told
    }

    fn apply(&mut self, command: Command) -> String {
        self.requests += 1;
        let origin = asking(self.requests);
        let input = Input { origin, at: Timestamp(self.now), ticket: 0, command };
        let mut reports = Vec::new();
        self.engine.apply(&input, &mut |report: &Report| reports.push(report.clone()), &mut self.tape);
        let mut told = Vec::new();
        for report in &reports {
            engine_core::executor::ReportSink::report(&mut self.witness, report);
            if let Recipient::Asker(asker) = report.to {
                assert_eq!(asker, origin, "an answer finds its asker");
            }
            told.extend(tell(&self.names[report.account.0 as usize], report));
        }
        told.join(" | ")
    }

    fn money(&mut self, name: &str) -> String {
        let AccountId(account) = self.account(name);
        let shards = &self.engine.at_rest().sequencers;
        let machine = &shards[account as usize % shards.len()].machine;
        let view = machine.view(AccountId(account)).expect("the account is open");
        let balances = view.balances.iter().map(|Balance { asset, available, held }| {
            let asset = &self.market.assets[asset.0 as usize].name;
            let held = if held.0 == 0 { String::new() } else { format!(" held {held}") };
            format!("{asset} {available}{held}")
        });
        balances.collect::<Vec<_>>().join(", ")
    }

    fn account(&mut self, name: &str) -> AccountId {
        let known = self.names.iter().position(|known| known == name);
        let at = known.unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        });
        AccountId(at as u32)
    }

    fn symbol_or_first(&self, words: &[&str]) -> SymbolId {
        match words {
            [.., "on", symbol] => self.symbol(symbol),
            _ => SymbolId(0),
        }
    }

    fn symbol(&self, symbol: &str) -> SymbolId {
        self.market.instrument(symbol).map_or(SymbolId(99), |instrument| instrument.id)
    }
}

/// A report as the scripts write it; balances and the news that repeats an ack are left to the witness.
fn tell(name: &str, report: &Report) -> Option<String> {
    let text = match &report.body {
        ReportBody::OrderAck { order_id, exchange_order_id, duplicate, .. } => {
            let again = if *duplicate { " again" } else { "" };
            format!("ack {} #{exchange_order_id}{again}", order_id.as_str())
        }
        ReportBody::OrderReject { order_id, reason } => format!("reject {} {reason:?}", order_id.as_str()),
        ReportBody::CancelAck { order_id, .. } => format!("cancel ack {}", order_id.as_str()),
        ReportBody::CancelReject { order_id, reason } => {
            format!("cancel reject {} {reason:?}", order_id.as_str())
        }
        ReportBody::CancelAllAck { count, .. } => format!("cancelling {count}"),
        ReportBody::Execution(Execution { kind, order, .. }) => {
            let (id, left) = (order.order_id.as_str(), order.quantity.0 - order.traded.0);
            match kind {
                ExecutionKind::New => return None,
                ExecutionKind::Trade { trade, price, quantity, liquidity } => {
                    let liquidity = format!("{liquidity:?}").to_lowercase();
                    format!("trade {id} {quantity} @ {price} t{trade} {liquidity}")
                }
                ExecutionKind::Cancelled => format!("cancelled {id} {left}"),
                ExecutionKind::Expired => format!("expired {id} {left}"),
            }
        }
        ReportBody::Balance(_) => return None,
        ReportBody::Account(_) => unreachable!("nobody looked"),
    };
    Some(format!("{name} {text}"))
}

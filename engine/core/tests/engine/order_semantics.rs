//! What happens to orders and to the money behind them, case by case.
//!
//! A script is played to the whole engine; what it reports must be what stands behind the arrow. Nothing behind a
//! line without an arrow means that nothing is reported but money.
//!
//! ```text
//! fund ann 100 USD 5 COIN              opens the account and deposits
//! ann buy a 10 @ 5                     an order named a; then ioc, fok, post or market; `shows 2`, `spend 100`,
//!                                      `stop 7`, `trail 3 stop 7`, `oco 7 then 8` (or `stopmarket`), `until 50`,
//!                                      `stp oldest`, `group 3`, `on GOLD-USD`
//! ann cancel a | ann cancel all        also: `on GOLD-USD`, `cancel group 3`
//! ann amend a to 5 at 7                one or both
//! ann guards 3                         orders of group 3; `ann guards 3 all` all orders; then `ann guard 3 leaves`,
//!                                      which cancels them, or `ann guard 3 ends`
//! ann timer 100                        the dead-man timer; 0 is off
//! ann withdraw 5 USD as 1              then `ann paid 1` or `ann keeps 1`; `ann gives bob 5 USD as 2`
//! wait 3 | tick                        microseconds of log time; the engine hears of them with the next command
//! halt | cancel-only | auction | trade | delist    the first symbol or the named one
//! fees COIN-USD tier 1 10 20           maker and taker, in tenths of a basis point; `ann tier 1`, `ann suspend`
//! money ann => USD 50 held 50, COIN 5
//! book => 5 @ 10, 3 @ 9 / -            levels of COIN-USD, best first
//! sequence => 3                        of COIN-USD
//! ```
//! Answers: `ack a #1` (with the public number; `again` for a repeat), `reject a Reason`, `cancel ack a`,
//! `cancel reject a Reason`, `cancelling 2`, `amend ack a 5` (with what is left), `timer until 100`, `done`, `refused
//! Reason`. News: `trade a 5 @ 10 t1 maker fee 2`, `triggered a`, `decremented a 3`, and with what had not traded
//! `cancelled a 5`, `expired`, `timed out`, `prevented`, `outside the band`, `delisted`. Every answer and every piece of
//! news about an account begins with its name.
//!
//! Every script runs on 1×1 and on 3×2 shards, under the eyes of a witness ([`crate::witness`]).

use crate::stage::check;
use engine_core::limits::OPEN_ORDERS_PER_ACCOUNT_MAX;

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
         eve cancel all  => refused UnknownAccount",
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
        "deposit eve 100 USD => refused UnknownAccount
         fund eve 10 USD
         money eve => USD 10",
    );
}

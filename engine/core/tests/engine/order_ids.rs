//! An order is placed once, however often it is sent: its owner's name for it finds the first answer again for 24 hours. The
//! language is that of [`crate::order_semantics`].

use crate::stage::check;
use engine_core::limits::ORDER_ID_WINDOW_US;

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

//! What happens where an order meets one of its own account. The incoming order's choice counts.

use super::super::script::check;

#[test]
fn allowed_self_trade_is_a_trade_like_any_other() {
    check(
        "
        sell ann 5 @ 101 by alice
        sell bob 5 @ 101
        buy  cat 8 @ 101 by alice => fill ann cat 5 @ 101 | fill bob cat 3 @ 101 leaves 2
        ",
    );
}

#[test]
fn only_the_incoming_order_is_asked() {
    check(
        "
        sell ann 5 @ 101 by alice stp newest
        buy  bob 5 @ 101 by alice => fill ann bob 5 @ 101
        sell cat 5 @ 101 by alice stp allow
        buy  dan 5 @ 101 by alice stp newest => stopped dan 5
        ",
    );
}

#[test]
fn strangers_trade_whatever_they_ask_for() {
    check(
        "
        sell ann 4 @ 101 by alice
        buy  bob 1 @ 101 stp newest    => fill ann bob 1 @ 101 leaves 3
        buy  cat 1 @ 101 stp oldest    => fill ann cat 1 @ 101 leaves 2
        buy  dan 1 @ 101 stp both      => fill ann dan 1 @ 101 leaves 1
        buy  eve 1 @ 101 stp decrement => fill ann eve 1 @ 101
        ",
    );
}

#[test]
fn own_order_beyond_the_limit_is_not_met() {
    check(
        "
        sell ann 5 @ 102 by alice
        buy  bob 5 @ 101 by alice stp both
        show => bids 101 x 5 | asks 102 x 5
        ",
    );
}

#[test]
fn own_order_behind_enough_others_is_not_met() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 101 by alice
        buy  cat 5 @ 101 by alice stp both => fill ann cat 5 @ 101
        show => bids - | asks 101 x 5
        ",
    );
}

// Cancel the newest: the maker is untouched.

#[test]
fn newest_stops_at_its_own_order_and_touches_nothing() {
    check(
        "
        sell ann 5 @ 101 by alice
        sell bob 5 @ 101
        buy  cat 8 @ 102 by alice stp newest => stopped cat 8
        orders => bids - | asks ann 5 @ 101, bob 5 @ 101
        ",
    );
}

#[test]
fn newest_trades_with_those_before_its_own_order() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 101 by alice
        sell cat 5 @ 101
        buy  dan 20 @ 101 by alice stp newest => fill ann dan 5 @ 101 | ask 101 -> 10 | stopped dan 15
        cancel dan => nothing
        ",
    );
}

#[test]
fn newest_trades_with_a_better_level_before_its_own_order() {
    check(
        "
        buy  ann 3 @ 101
        buy  bob 5 @ 100 by alice
        sell cat 9 @ 99 by alice stp newest => fill ann cat 3 @ 101 | bid 101 -> 0 | stopped cat 6
        show => bids 100 x 5 | asks -
        ",
    );
}

#[test]
fn newest_fill_or_kill_fills_only_from_those_before_its_own_order() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 101 by alice
        sell cat 5 @ 101
        buy  dan 6 @ 101 by alice stp newest fok => refused: would not fill
        buy  dan 5 @ 101 by alice stp newest fok => fill ann dan 5 @ 101
        buy  eve 1 @ 101 by alice stp newest fok => refused: would not fill
        ",
    );
}

#[test]
fn newest_immediate_or_cancel_says_that_it_was_stopped() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 101 by alice
        buy  cat 9 @ 101 by alice stp newest ioc => fill ann cat 5 @ 101 | stopped cat 4
        buy  dan 9 @ 100 by alice stp newest ioc => cancelled dan 9
        ",
    );
}

#[test]
fn newest_post_only_is_refused_by_a_crossing_price_of_its_own() {
    check(
        "
        sell ann 5 @ 101 by alice
        buy  bob 5 @ 101 by alice stp newest post => refused: would take
        buy  bob 5 @ 100 by alice stp newest post
        ",
    );
}

#[test]
fn newest_leaves_its_own_iceberg_whole() {
    check(
        "
        sell ann 9 @ 101 by alice shows 2
        buy  bob 5 @ 101 by alice stp newest => stopped bob 5
        orders => bids - | asks ann 2+7 @ 101
        ",
    );
}

// Cancel the oldest: the maker leaves whole and the taker goes on.

#[test]
fn oldest_pushes_its_own_order_aside() {
    check(
        "
        sell ann 5 @ 101 by alice
        sell bob 5 @ 101
        buy  cat 8 @ 101 by alice stp oldest => prevented ann cat 5 @ 101 | fill bob cat 5 @ 101 | ask 101 -> 0 | bid 101 -> 3 | rest cat 3 @ 101
        cancel ann => nothing
        ",
    );
}

#[test]
fn oldest_goes_on_behind_its_own_order() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 101 by alice
        sell cat 5 @ 101
        buy  dan 12 @ 101 by alice stp oldest => fill ann dan 5 @ 101 | prevented bob dan 5 @ 101 | fill cat dan 5 @ 101 | rest dan 2 @ 101
        ",
    );
}

#[test]
fn oldest_rests_where_its_own_orders_were() {
    check(
        "
        sell ann 5 @ 101 by alice
        sell bob 7 @ 102 by alice
        buy  cat 1 @ 103 by alice stp oldest => prevented ann cat 5 @ 101 | ask 101 -> 0 | prevented bob cat 7 @ 102 | ask 102 -> 0 | bid 103 -> 1 | rest cat 1 @ 103
        ",
    );
}

#[test]
fn oldest_cancels_a_partly_filled_order_with_what_it_has_left() {
    check(
        "
        sell ann 5 @ 101 by alice
        buy  bob 2 @ 101 => fill ann bob 2 @ 101 leaves 3
        buy  cat 1 @ 101 by alice stp oldest ioc => prevented ann cat 3 @ 101 | cancelled cat 1
        ",
    );
}

#[test]
fn oldest_fill_or_kill_counts_only_others() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 101 by alice
        sell cat 5 @ 102
        buy  dan 11 @ 102 by alice stp oldest fok => refused: would not fill
        buy  dan 6 @ 101 by alice stp oldest fok => refused: would not fill
        buy  dan 10 @ 102 by alice stp oldest fok => fill ann dan 5 @ 101 | prevented bob dan 5 @ 101 | fill cat dan 5 @ 102
        ",
    );
}

#[test]
fn oldest_fill_or_kill_that_is_full_before_leaves_its_own_order() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 101 by alice
        buy  cat 5 @ 101 by alice stp oldest fok => fill ann cat 5 @ 101
        show => bids - | asks 101 x 5
        ",
    );
}

#[test]
fn oldest_immediate_or_cancel_cancels_what_then_meets_nobody() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 101 by alice
        buy  cat 9 @ 101 by alice stp oldest ioc => fill ann cat 5 @ 101 | prevented bob cat 5 @ 101 | cancelled cat 4
        ",
    );
}

#[test]
fn oldest_post_only_does_not_push_anybody_aside() {
    check(
        "
        sell ann 5 @ 101 by alice
        buy  bob 5 @ 101 by alice stp oldest post => refused: would take
        show => bids - | asks 101 x 5
        ",
    );
}

#[test]
fn oldest_cancels_an_iceberg_with_its_hidden_lots() {
    check(
        "
        sell ann 9 @ 101 by alice shows 2
        sell bob 1 @ 101
        buy  cat 1 @ 101 by alice stp oldest => prevented ann cat 9 @ 101 | fill bob cat 1 @ 101 | ask 101 -> 0
        cancel ann => nothing
        ",
    );
}

// Cancel both.

#[test]
fn both_leave() {
    check(
        "
        sell ann 5 @ 101 by alice
        sell bob 5 @ 101
        buy  cat 8 @ 101 by alice stp both => prevented ann cat 5 @ 101 | ask 101 -> 5 | stopped cat 8
        cancel ann => nothing
        cancel cat => nothing
        ",
    );
}

#[test]
fn both_leave_after_trading_with_those_before() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 101 by alice
        sell cat 5 @ 101
        buy  dan 12 @ 101 by alice stp both => fill ann dan 5 @ 101 | prevented bob dan 5 @ 101 | stopped dan 7
        show => bids - | asks 101 x 5
        ",
    );
}

#[test]
fn both_leave_though_the_taker_wanted_less() {
    check(
        "
        buy  ann 2 @ 100
        buy  bob 50 @ 99 by alice
        sell cat 3 @ 99 by alice stp both => fill ann cat 2 @ 100 | bid 100 -> 0 | prevented bob cat 50 @ 99 | bid 99 -> 0 | stopped cat 1
        ",
    );
}

#[test]
fn both_fill_or_kill_fills_only_from_those_before_its_own_order() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 101 by alice
        sell cat 5 @ 101
        buy  dan 6 @ 101 by alice stp both fok => refused: would not fill
        buy  dan 5 @ 101 by alice stp both fok => fill ann dan 5 @ 101
        show => bids - | asks 101 x 10
        ",
    );
}

#[test]
fn both_immediate_or_cancel_says_that_it_was_stopped() {
    check(
        "
        sell ann 5 @ 101 by alice
        buy  bob 9 @ 101 by alice stp both ioc => prevented ann bob 5 @ 101 | stopped bob 9
        show => bids - | asks -
        ",
    );
}

#[test]
fn both_post_only_is_refused_and_nobody_leaves() {
    check(
        "
        sell ann 5 @ 101 by alice
        buy  bob 5 @ 101 by alice stp both post => refused: would take
        show => bids - | asks 101 x 5
        ",
    );
}

#[test]
fn both_cancels_an_iceberg_with_its_hidden_lots() {
    check(
        "
        sell ann 9 @ 101 by alice shows 2
        buy  bob 1 @ 101 => fill ann bob 1 @ 101 leaves 8
        buy  cat 1 @ 101 by alice stp both => prevented ann cat 8 @ 101 | ask 101 -> 0 | stopped cat 1
        ",
    );
}

// Decrement both.

#[test]
fn decrement_of_a_smaller_taker_leaves_the_maker_the_rest() {
    check(
        "
        sell ann 8 @ 101 by alice
        sell bob 5 @ 101
        buy  cat 5 @ 101 by alice stp decrement => prevented ann cat 5 @ 101 leaves 3 | ask 101 -> 8
        orders => bids - | asks ann 3 @ 101, bob 5 @ 101
        ",
    );
}

#[test]
fn decrement_of_a_larger_taker_takes_the_maker_and_goes_on() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 101 by alice
        sell cat 5 @ 101
        buy  dan 12 @ 101 by alice stp decrement => fill ann dan 5 @ 101 | prevented bob dan 5 @ 101 | fill cat dan 2 @ 101 leaves 3
        cancel bob => nothing
        ",
    );
}

#[test]
fn decrement_of_equals_leaves_nothing() {
    check(
        "
        buy  ann 5 @ 101 by alice
        sell bob 5 @ 100 by alice stp decrement => prevented ann bob 5 @ 101 | bid 101 -> 0
        show => bids - | asks -
        ",
    );
}

#[test]
fn decrement_after_a_partial_fill_takes_what_is_left() {
    check(
        "
        sell ann 8 @ 101 by alice
        buy  bob 3 @ 101 => fill ann bob 3 @ 101 leaves 5
        buy  cat 9 @ 101 by alice stp decrement => prevented ann cat 5 @ 101 | rest cat 4 @ 101
        ",
    );
}

#[test]
fn decrement_fill_or_kill_fills_only_from_those_before_its_own_order() {
    check(
        "
        sell ann 5 @ 101
        sell bob 1 @ 101 by alice
        sell cat 50 @ 101
        buy  dan 6 @ 101 by alice stp decrement fok => refused: would not fill
        buy  dan 5 @ 101 by alice stp decrement fok => fill ann dan 5 @ 101
        ",
    );
}

#[test]
fn decrement_immediate_or_cancel_cancels_the_rest() {
    check(
        "
        sell ann 5 @ 101 by alice
        buy  bob 9 @ 101 by alice stp decrement ioc => prevented ann bob 5 @ 101 | ask 101 -> 0 | cancelled bob 4
        ",
    );
}

#[test]
fn decrement_post_only_is_refused_and_nobody_loses() {
    check(
        "
        sell ann 5 @ 101 by alice
        buy  bob 5 @ 101 by alice stp decrement post => refused: would take
        show => bids - | asks 101 x 5
        ",
    );
}

#[test]
fn decremented_iceberg_refills_at_the_end_of_its_queue() {
    check(
        "
        sell ann 9 @ 101 by alice shows 2
        sell bob 3 @ 101
        buy  cat 6 @ 101 by alice stp decrement => prevented ann cat 2 @ 101 leaves 7 | fill bob cat 3 @ 101 | prevented ann cat 1 @ 101 leaves 6 | ask 101 -> 1
        orders => bids - | asks ann 1+5 @ 101
        ",
    );
}

#[test]
fn decrement_goes_through_the_refills_of_its_own_iceberg() {
    check(
        "
        sell ann 5 @ 101 by alice shows 2
        buy  bob 9 @ 101 by alice stp decrement => prevented ann bob 2 @ 101 leaves 3 | prevented ann bob 2 @ 101 leaves 1 | prevented ann bob 1 @ 101 | rest bob 4 @ 101
        ",
    );
}

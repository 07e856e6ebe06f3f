//! What a user may rely on. The language of the tables is explained in [`super::script`].

use super::script::check;

// Price, then time.

#[test]
fn order_that_meets_nobody_rests() {
    check(
        "
        buy  ann 5 @ 99   => bid 99 -> 5 | rest ann 5 @ 99
        sell bob 7 @ 101  => ask 101 -> 7 | rest bob 7 @ 101
        show              => bids 99 x 5 | asks 101 x 7
        ",
    );
}

#[test]
fn best_price_trades_first_whatever_the_order_of_arrival() {
    check(
        "
        sell ann 5 @ 103
        sell bob 5 @ 101
        sell cat 5 @ 102
        buy  dan 15 @ 103 => fill bob dan 5 @ 101 | fill cat dan 5 @ 102 | fill ann dan 5 @ 103
        buy  eve 5 @ 97
        buy  fay 5 @ 99
        buy  gil 5 @ 98
        sell hal 15 @ 97  => fill fay hal 5 @ 99 | fill gil hal 5 @ 98 | fill eve hal 5 @ 97
        show              => bids - | asks -
        ",
    );
}

#[test]
fn first_come_first_served_within_a_price() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 101
        sell cat 5 @ 101
        buy  dan 12 @ 101 => fill ann dan 5 @ 101 | fill bob dan 5 @ 101 | fill cat dan 2 @ 101 leaves 3
        ",
    );
}

#[test]
fn size_gives_no_priority() {
    check(
        "
        buy  ann 1 @ 99
        buy  bob 1000 @ 99
        sell cat 2 @ 99  => fill ann cat 1 @ 99 | fill bob cat 1 @ 99 leaves 999
        ",
    );
}

#[test]
fn partly_filled_maker_keeps_its_place() {
    check(
        "
        sell ann 10 @ 101
        sell bob 10 @ 101
        buy  cat 4 @ 101 => fill ann cat 4 @ 101 leaves 6
        buy  dan 4 @ 101 => fill ann dan 4 @ 101 leaves 2
        buy  eve 4 @ 101 => fill ann eve 2 @ 101 | fill bob eve 2 @ 101 leaves 8
        ",
    );
}

#[test]
fn what_rests_after_trading_goes_to_the_end_of_its_queue() {
    check(
        "
        buy  ann 5 @ 100
        sell bob 3 @ 100 => fill ann bob 3 @ 100 leaves 2
        buy  cat 5 @ 100
        sell dan 9 @ 100 => fill ann dan 2 @ 100 | fill cat dan 5 @ 100 | rest dan 2 @ 100
        sell eve 4 @ 100
        buy  fay 6 @ 100 => fill dan fay 2 @ 100 | fill eve fay 4 @ 100
        ",
    );
}

#[test]
fn order_at_a_new_best_price_is_next_in_line() {
    check(
        "
        buy  ann 5 @ 99
        buy  bob 5 @ 100
        sell cat 1 @ 99 => fill bob cat 1 @ 100 leaves 4
        buy  dan 5 @ 101
        sell eve 1 @ 99 => fill dan eve 1 @ 101 leaves 4
        ",
    );
}

// Whose price.

#[test]
fn buyer_gets_the_better_price_of_a_resting_seller() {
    check(
        "
        sell ann 10 @ 95
        buy  bob 10 @ 100 => fill ann bob 10 @ 95
        ",
    );
}

#[test]
fn seller_gets_the_better_price_of_a_resting_buyer() {
    check(
        "
        buy  ann 10 @ 105
        sell bob 10 @ 100 => fill ann bob 10 @ 105
        ",
    );
}

#[test]
fn equal_prices_trade() {
    check(
        "
        sell ann 10 @ 100
        buy  bob 10 @ 100 => fill ann bob 10 @ 100
        ",
    );
}

#[test]
fn nobody_trades_beyond_the_limit_in_the_middle_of_a_sweep() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 102
        sell cat 5 @ 103
        buy  dan 50 @ 102 => fill ann dan 5 @ 101 | fill bob dan 5 @ 102 | rest dan 40 @ 102
        show              => bids 102 x 40 | asks 103 x 5
        ",
    );
}

#[test]
fn one_tick_apart_does_not_trade() {
    check(
        "
        sell ann 10 @ 101
        buy  bob 10 @ 100
        show => bids 100 x 10 | asks 101 x 10
        ",
    );
}

// What market data is told.

#[test]
fn each_changed_level_is_told_once_with_its_final_total() {
    check(
        "
        sell ann 5 @ 101 => ask 101 -> 5 | rest ann 5 @ 101
        sell bob 5 @ 101 => ask 101 -> 10 | rest bob 5 @ 101
        sell cat 5 @ 102 => ask 102 -> 5 | rest cat 5 @ 102
        buy  dan 7 @ 102 => fill ann dan 5 @ 101 | fill bob dan 2 @ 101 leaves 3 | ask 101 -> 3
        ",
    );
}

#[test]
fn levels_of_a_sweep_are_told_after_their_fills_and_the_own_level_last() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 102
        buy  cat 12 @ 102 => fill ann cat 5 @ 101 | ask 101 -> 0 | fill bob cat 5 @ 102 | ask 102 -> 0 | bid 102 -> 2 | rest cat 2 @ 102
        ",
    );
}

#[test]
fn cancel_tells_the_level_what_remains() {
    check(
        "
        buy ann 5 @ 99
        buy bob 7 @ 99
        cancel ann => bid 99 -> 7 | gone ann 5
        cancel bob => bid 99 -> 0 | gone bob 7
        ",
    );
}

#[test]
fn refused_order_leaves_no_trace() {
    check(
        "
        sell ann 5 @ 101
        buy  bob 5 @ 101 post => refused: would take
        buy  cat 6 @ 101 fok  => refused: would not fill
        show                  => bids - | asks 101 x 5
        cancel bob            => nothing
        cancel cat            => nothing
        ",
    );
}

#[test]
fn no_phantom_level_after_the_last_order_leaves() {
    check(
        "
        buy  ann 5 @ 100
        buy  bob 5 @ 99
        cancel ann        => gone ann 5
        show              => bids 99 x 5 | asks -
        sell cat 5 @ 100
        show              => bids 99 x 5 | asks 100 x 5
        sell dan 5 @ 99   => fill bob dan 5 @ 99
        show              => bids - | asks 100 x 5
        ",
    );
}

#[test]
fn emptied_level_opens_again() {
    check(
        "
        buy  ann 5 @ 100
        sell bob 5 @ 100 => fill ann bob 5 @ 100
        buy  cat 6 @ 100 => bid 100 -> 6 | rest cat 6 @ 100
        cancel cat       => bid 100 -> 0 | gone cat 6
        sell dan 7 @ 100 => ask 100 -> 7 | rest dan 7 @ 100
        show             => bids - | asks 100 x 7
        ",
    );
}

// Cancels.

#[test]
fn cancelled_head_is_skipped_by_a_sweep() {
    check(
        "
        sell ann 1 @ 101
        sell bob 2 @ 101
        sell cat 3 @ 101
        cancel ann        => gone ann 1
        buy  dan 5 @ 101  => fill bob dan 2 @ 101 | fill cat dan 3 @ 101
        ",
    );
}

#[test]
fn cancelled_middle_is_skipped_by_a_sweep() {
    check(
        "
        sell ann 1 @ 101
        sell bob 2 @ 101
        sell cat 3 @ 101
        cancel bob        => gone bob 2
        buy  dan 4 @ 101  => fill ann dan 1 @ 101 | fill cat dan 3 @ 101
        ",
    );
}

#[test]
fn cancelled_tail_is_skipped_by_a_sweep_and_by_who_comes_after() {
    check(
        "
        sell ann 1 @ 101
        sell bob 2 @ 101
        sell cat 3 @ 101
        cancel cat        => gone cat 3
        sell dan 4 @ 101
        buy  eve 7 @ 101  => fill ann eve 1 @ 101 | fill bob eve 2 @ 101 | fill dan eve 4 @ 101
        ",
    );
}

#[test]
fn cancelling_all_but_one_leaves_that_one() {
    check(
        "
        buy  ann 1 @ 99
        buy  bob 2 @ 99
        buy  cat 3 @ 99
        cancel ann        => gone ann 1
        cancel cat        => gone cat 3
        sell dan 9 @ 99   => fill bob dan 2 @ 99 | rest dan 7 @ 99
        ",
    );
}

#[test]
fn cancel_returns_what_is_left_after_fills() {
    check(
        "
        sell ann 10 @ 101
        buy  bob 4 @ 101 => fill ann bob 4 @ 101 leaves 6
        cancel ann       => gone ann 6
        cancel ann       => nothing
        ",
    );
}

#[test]
fn cancel_after_the_fill_finds_nothing() {
    check(
        "
        sell ann 10 @ 101
        buy  bob 10 @ 101 => fill ann bob 10 @ 101
        cancel ann        => nothing
        cancel bob        => nothing
        ",
    );
}

#[test]
fn cancel_of_a_stranger_finds_nothing() {
    check(
        "
        cancel ann => nothing
        buy bob 5 @ 99
        cancel ann => nothing
        show       => bids 99 x 5 | asks -
        ",
    );
}

#[test]
fn cancel_in_the_depth_leaves_the_touch_alone() {
    check(
        "
        buy ann 1 @ 100
        buy bob 1 @ 99
        buy cat 1 @ 98
        buy dan 1 @ 1
        cancel bob => gone bob 1
        cancel dan => gone dan 1
        show       => bids 100 x 1, 98 x 1 | asks -
        ",
    );
}

// Keys.

#[test]
fn key_of_a_filled_order_may_be_used_again() {
    check(
        "
        sell ann 5 @ 101
        buy  bob 5 @ 101 => fill ann bob 5 @ 101
        sell ann 7 @ 102
        cancel ann       => gone ann 7
        ",
    );
}

#[test]
fn key_of_a_cancelled_order_may_be_used_again_on_the_other_side() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 101
        cancel ann       => gone ann 5
        buy  ann 3 @ 101 => fill bob ann 3 @ 101 leaves 2
        buy  ann 3 @ 100
        show             => bids 100 x 3 | asks 101 x 2
        ",
    );
}

#[test]
fn new_order_under_an_old_key_queues_at_the_end() {
    check(
        "
        buy  ann 1 @ 99
        buy  bob 1 @ 99
        cancel ann      => gone ann 1
        buy  ann 1 @ 99
        sell cat 2 @ 99 => fill bob cat 1 @ 99 | fill ann cat 1 @ 99
        ",
    );
}

#[test]
fn key_of_an_order_that_never_rested_is_free() {
    check(
        "
        buy ann 5 @ 99 ioc  => cancelled ann 5
        buy ann 5 @ 99 fok  => refused: would not fill
        buy ann 5 @ 99
        cancel ann          => gone ann 5
        ",
    );
}

#[test]
#[should_panic(expected = "order key 0 is live")]
fn live_key_is_the_callers_bug() {
    check(
        "
        buy ann 5 @ 99
        buy ann 5 @ 98
        ",
    );
}

#[test]
#[should_panic(expected = "a quantity is at least one lot")]
fn nothing_cannot_be_ordered() {
    check("buy ann 0 @ 99");
}

#[test]
#[should_panic(expected = "a price is at least one tick")]
fn nothing_is_free() {
    check("sell ann 5 @ 0");
}

// Immediate or cancel.

#[test]
fn immediate_or_cancel_trades_what_it_can_and_never_rests() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 103
        buy  cat 15 @ 102 ioc => fill ann cat 5 @ 101 | cancelled cat 10
        show                  => bids - | asks 103 x 5
        ",
    );
}

#[test]
fn immediate_or_cancel_that_meets_nobody_is_cancelled_whole() {
    check(
        "
        buy  ann 5 @ 99
        sell bob 5 @ 100 ioc => cancelled bob 5
        show                 => bids 99 x 5 | asks -
        ",
    );
}

#[test]
fn immediate_or_cancel_that_fills_leaves_nothing_to_cancel() {
    check(
        "
        buy  ann 5 @ 99
        sell bob 5 @ 99 ioc => fill ann bob 5 @ 99
        ",
    );
}

// Fill or kill.

#[test]
fn fill_or_kill_fills_when_the_book_holds_exactly_enough() {
    check(
        "
        sell ann 5 @ 101
        buy  bob 5 @ 101 fok => fill ann bob 5 @ 101
        ",
    );
}

#[test]
fn fill_or_kill_one_lot_short_touches_nothing() {
    check(
        "
        sell ann 5 @ 101
        buy  bob 6 @ 101 fok => refused: would not fill
        show                 => bids - | asks 101 x 5
        ",
    );
}

#[test]
fn fill_or_kill_counts_all_levels_within_its_limit() {
    check(
        "
        sell ann 5 @ 101
        sell bob 5 @ 102
        sell cat 5 @ 103
        buy  dan 11 @ 102 fok => refused: would not fill
        buy  dan 10 @ 102 fok => fill ann dan 5 @ 101 | fill bob dan 5 @ 102
        show                  => bids - | asks 103 x 5
        ",
    );
}

#[test]
fn fill_or_kill_seller_counts_bids_down_to_its_limit() {
    check(
        "
        buy  ann 5 @ 100
        buy  bob 5 @ 99
        buy  cat 5 @ 98
        sell dan 11 @ 99 fok => refused: would not fill
        sell dan 15 @ 98 fok => fill ann dan 5 @ 100 | fill bob dan 5 @ 99 | fill cat dan 5 @ 98
        ",
    );
}

#[test]
fn fill_or_kill_on_an_empty_book_is_refused() {
    check("buy ann 1 @ max fok => refused: would not fill");
}

// Post-only.

#[test]
fn post_only_at_the_opposite_price_is_refused() {
    check(
        "
        sell ann 5 @ 101
        buy  bob 5 @ 101 post => refused: would take
        buy  bob 5 @ 200 post => refused: would take
        buy  bob 5 @ 100 post => rest bob 5 @ 100
        sell cat 5 @ 100 post => refused: would take
        ",
    );
}

#[test]
fn post_only_may_set_a_new_best_or_join_a_queue() {
    check(
        "
        buy  ann 5 @ 99 post
        buy  bob 5 @ 100 post
        buy  cat 5 @ 100 post
        sell dan 6 @ 100 => fill bob dan 5 @ 100 | fill cat dan 1 @ 100 leaves 4
        ",
    );
}

// Far ends.

#[test]
fn prices_reach_from_one_tick_to_the_largest_number() {
    check(
        "
        buy  ann 1 @ 1
        sell bob 1 @ max
        buy  cat 1 @ 48000000000
        show               => bids 48000000000 x 1, 1 x 1 | asks max x 1
        buy  dan 1 @ max   => fill bob dan 1 @ max
        sell eve 2 @ 1     => fill cat eve 1 @ 48000000000 | fill ann eve 1 @ 1
        buy  fay 1 @ max
        sell gil 1 @ max   => fill fay gil 1 @ max
        sell hal 1 @ 1
        buy  ivy 1 @ 1     => fill hal ivy 1 @ 1
        ",
    );
}

#[test]
fn level_beyond_the_largest_quantity_is_told_as_that_and_loses_nothing() {
    check(
        "
        sell ann max @ 101 => ask 101 -> max | rest ann max @ 101
        sell bob max @ 101 => ask 101 -> max | rest bob max @ 101
        sell cat 3 @ 101   => ask 101 -> max | rest cat 3 @ 101
        buy  dan max @ 101 => fill ann dan max @ 101 | ask 101 -> max
        buy  eve max @ 101 => fill bob eve max @ 101 | ask 101 -> 3
        buy  fay 4 @ 101   => fill cat fay 3 @ 101 | ask 101 -> 0 | bid 101 -> 1 | rest fay 1 @ 101
        ",
    );
}

#[test]
fn fill_or_kill_counts_past_the_largest_quantity() {
    check(
        "
        sell ann 1 @ 100
        sell bob max @ 101
        sell cat max @ 102
        buy  dan max @ 101 fok => fill ann dan 1 @ 100 | fill bob dan 18446744073709551614 @ 101 leaves 1
        buy  eve max @ 101 fok => refused: would not fill
        ",
    );
}

#[test]
fn one_taker_may_fill_five_thousand_makers() {
    let makers = || (0..5000).map(|number| format!("maker{number}"));
    let mut script: String = makers().map(|maker| format!("sell {maker} 2 @ 101\n")).collect();
    let fills: Vec<String> = makers().map(|maker| format!("fill {maker} whale 2 @ 101")).collect();
    script += "cancel maker2500 => gone maker2500 2\nsell maker2500 2 @ 102\n";
    let fills =
        fills.iter().filter(|fill| !fill.contains("maker2500 ")).cloned().collect::<Vec<_>>().join(" | ");
    script += &format!("buy whale 9998 @ 102 => {fills}\nshow => bids - | asks 102 x 2\n");
    check(&script);
}

#[test]
fn one_taker_may_sweep_a_thousand_levels() {
    let makers: Vec<u64> = (1..=1000).collect();
    let mut script: String =
        makers.iter().rev().map(|price| format!("sell at{price} 1 @ {price}\n")).collect();
    let fills: Vec<String> = makers.iter().map(|price| format!("fill at{price} whale 1 @ {price}")).collect();
    script += &format!("buy whale 1001 @ 1000 => {} | rest whale 1 @ 1000\n", fills.join(" | "));
    script += "show => bids 1000 x 1 | asks -\n";
    check(&script);
}

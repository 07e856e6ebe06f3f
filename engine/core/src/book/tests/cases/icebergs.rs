//! Icebergs show a part of themselves at a time.

use super::super::script::check;

#[test]
fn iceberg_shows_its_display_and_hides_the_rest() {
    check(
        "
        sell ann 10 @ 101 shows 3 => ask 101 -> 3 | rest ann 10 @ 101
        orders => bids - | asks ann 3+7 @ 101
        show   => bids - | asks 101 x 3
        ",
    );
}

#[test]
fn refill_goes_to_the_end_of_the_queue() {
    check(
        "
        sell ann 10 @ 101 shows 3
        sell bob 5 @ 101
        buy  cat 3 @ 101 => fill ann cat 3 @ 101 leaves 7
        orders => bids - | asks bob 5 @ 101, ann 3+4 @ 101
        buy  dan 6 @ 101 => fill bob dan 5 @ 101 | fill ann dan 1 @ 101 leaves 6
        ",
    );
}

#[test]
fn iceberg_keeps_its_place_while_it_shows_lots() {
    check(
        "
        sell ann 10 @ 101 shows 3
        sell bob 5 @ 101
        buy  cat 2 @ 101 => fill ann cat 2 @ 101 leaves 8 | ask 101 -> 6
        orders => bids - | asks ann 1+7 @ 101, bob 5 @ 101
        ",
    );
}

#[test]
fn fill_that_only_makes_it_refill_changes_no_level() {
    check(
        "
        sell ann 9 @ 101 shows 3 => ask 101 -> 3 | rest ann 9 @ 101
        buy  bob 3 @ 101 => fill ann bob 3 @ 101 leaves 6
        buy  cat 6 @ 101 => fill ann cat 3 @ 101 leaves 3 | fill ann cat 3 @ 101 | ask 101 -> 0
        ",
    );
}

#[test]
fn last_refill_shows_what_there_is() {
    check(
        "
        sell ann 8 @ 101 shows 3
        buy  bob 6 @ 101 => fill ann bob 3 @ 101 leaves 5 | fill ann bob 3 @ 101 leaves 2 | ask 101 -> 2
        orders => bids - | asks ann 2 @ 101
        buy  cat 3 @ 101 => fill ann cat 2 @ 101 | rest cat 1 @ 101
        ",
    );
}

#[test]
fn sweep_meets_an_iceberg_again_after_each_refill() {
    check(
        "
        sell ann 7 @ 101 shows 2
        sell bob 4 @ 101
        sell cat 3 @ 101 shows 1
        buy  dan 14 @ 101 => fill ann dan 2 @ 101 leaves 5 | fill bob dan 4 @ 101 | fill cat dan 1 @ 101 leaves 2 | fill ann dan 2 @ 101 leaves 3 | fill cat dan 1 @ 101 leaves 1 | fill ann dan 2 @ 101 leaves 1 | fill cat dan 1 @ 101 | fill ann dan 1 @ 101
        show => bids - | asks -
        ",
    );
}

#[test]
fn sweep_takes_hidden_lots_before_the_next_level() {
    check(
        "
        sell ann 6 @ 101 shows 2
        sell bob 5 @ 102
        buy  cat 7 @ 102 => fill ann cat 2 @ 101 leaves 4 | fill ann cat 2 @ 101 leaves 2 | fill ann cat 2 @ 101 | ask 101 -> 0 | fill bob cat 1 @ 102 leaves 4 | ask 102 -> 4
        ",
    );
}

#[test]
fn sweep_that_ends_in_the_middle_of_a_refill_leaves_it_at_the_head() {
    check(
        "
        buy  ann 7 @ 99 shows 3
        buy  bob 1 @ 99
        sell cat 5 @ 99 => fill ann cat 3 @ 99 leaves 4 | fill bob cat 1 @ 99 | fill ann cat 1 @ 99 leaves 3 | bid 99 -> 2
        buy  dan 1 @ 99
        orders => bids ann 2+1 @ 99, dan 1 @ 99 | asks -
        ",
    );
}

#[test]
fn later_orders_queue_behind_a_refill() {
    check(
        "
        sell ann 4 @ 101 shows 2
        buy  bob 2 @ 101 => fill ann bob 2 @ 101 leaves 2
        sell cat 1 @ 101
        buy  dan 3 @ 101 => fill ann dan 2 @ 101 | fill cat dan 1 @ 101
        ",
    );
}

#[test]
fn cancel_returns_hidden_lots_too() {
    check(
        "
        sell ann 10 @ 101 shows 3
        sell bob 5 @ 101
        buy  cat 4 @ 101 => fill ann cat 3 @ 101 leaves 7 | fill bob cat 1 @ 101 leaves 4
        cancel ann => ask 101 -> 4 | gone ann 7
        buy  dan 9 @ 101 => fill bob dan 4 @ 101 | rest dan 5 @ 101
        ",
    );
}

#[test]
fn cancelled_iceberg_leaves_no_phantom_level() {
    check(
        "
        buy  ann 10 @ 99 shows 1
        cancel ann => bid 99 -> 0 | gone ann 10
        show => bids - | asks -
        sell bob 1 @ 99
        ",
    );
}

#[test]
fn display_not_below_the_quantity_shows_all() {
    check(
        "
        sell ann 5 @ 101 shows 5
        sell bob 5 @ 101 shows 9
        sell cat 5 @ 101 shows max
        orders => bids - | asks ann 5 @ 101, bob 5 @ 101, cat 5 @ 101
        ",
    );
}

#[test]
fn iceberg_takes_with_its_whole_quantity_and_hides_what_rests() {
    check(
        "
        sell ann 6 @ 101
        buy  bob 10 @ 101 shows 3 => fill ann bob 6 @ 101 | ask 101 -> 0 | bid 101 -> 3 | rest bob 4 @ 101
        orders => bids bob 3+1 @ 101 | asks -
        ",
    );
}

#[test]
fn iceberg_whose_rest_fits_its_display_rests_whole() {
    check(
        "
        sell ann 8 @ 101
        buy  bob 10 @ 101 shows 3 => fill ann bob 8 @ 101 | rest bob 2 @ 101
        orders => bids bob 2 @ 101 | asks -
        ",
    );
}

#[test]
fn display_does_not_bound_what_never_rests() {
    check(
        "
        sell ann 6 @ 101
        buy  bob 5 @ 101 shows 1 ioc => fill ann bob 5 @ 101 leaves 1
        buy  cat 3 @ 101 shows 1 ioc => fill ann cat 1 @ 101 | cancelled cat 2
        ",
    );
}

#[test]
fn icebergs_meet() {
    check(
        "
        sell ann 5 @ 101 shows 2
        buy  bob 9 @ 101 shows 3 => fill ann bob 2 @ 101 leaves 3 | fill ann bob 2 @ 101 leaves 1 | fill ann bob 1 @ 101 | rest bob 4 @ 101
        sell cat 4 @ 101 => fill bob cat 3 @ 101 leaves 1 | fill bob cat 1 @ 101
        ",
    );
}

#[test]
fn fill_or_kill_counts_hidden_lots() {
    check(
        "
        sell ann 10 @ 101 shows 1
        sell bob 1 @ 102
        buy  cat 12 @ 102 fok => refused: would not fill
        buy  dan 11 @ 101 fok => refused: would not fill
        buy  eve 3 @ 101 fok  => fill ann eve 1 @ 101 leaves 9 | fill ann eve 1 @ 101 leaves 8 | fill ann eve 1 @ 101 leaves 7
        buy  fay 8 @ 102 fok  => fill ann fay 1 @ 101 leaves 6 | fill ann fay 1 @ 101 leaves 5 | fill ann fay 1 @ 101 leaves 4 | fill ann fay 1 @ 101 leaves 3 | fill ann fay 1 @ 101 leaves 2 | fill ann fay 1 @ 101 leaves 1 | fill ann fay 1 @ 101 | fill bob fay 1 @ 102
        ",
    );
}

#[test]
fn hidden_lots_stand_behind_an_own_order() {
    check(
        "
        sell ann 9 @ 101 shows 2
        sell bob 1 @ 101 by alice
        buy  cat 3 @ 101 by alice stp newest fok => refused: would not fill
        buy  dan 3 @ 101 by alice stp oldest fok => fill ann dan 2 @ 101 leaves 7 | prevented bob dan 1 @ 101 | fill ann dan 1 @ 101 leaves 6
        sell eve 1 @ 102 by alice
        buy  fay 6 @ 102 by alice stp newest fok => fill ann fay 1 @ 101 leaves 5 | fill ann fay 2 @ 101 leaves 3 | fill ann fay 2 @ 101 leaves 1 | fill ann fay 1 @ 101
        ",
    );
}

#[test]
fn post_only_iceberg_rests_and_is_refused_like_any_other() {
    check(
        "
        sell ann 9 @ 101 shows 2 post
        buy  bob 9 @ 101 shows 2 post => refused: would take
        buy  bob 9 @ 100 shows 2 post
        show => bids 100 x 2 | asks 101 x 2
        ",
    );
}

#[test]
fn key_of_an_iceberg_may_be_used_again() {
    check(
        "
        sell ann 9 @ 101 shows 2
        cancel ann => gone ann 9
        sell ann 4 @ 101
        orders => bids - | asks ann 4 @ 101
        buy  bob 4 @ 101 => fill ann bob 4 @ 101
        buy  ann 9 @ 99 shows 4
        orders => bids ann 4+5 @ 99 | asks -
        ",
    );
}

#[test]
fn iceberg_of_the_largest_quantity_hides_nearly_all_of_it() {
    check(
        "
        sell ann max @ 101 shows 1
        sell bob max @ 101 shows 18446744073709551614
        sell cat max @ 101
        orders => bids - | asks ann 1+18446744073709551614 @ 101, bob 18446744073709551614+1 @ 101, cat max @ 101
        show => bids - | asks 101 x max
        buy  dan max @ 101 fok => fill ann dan 1 @ 101 leaves 18446744073709551614 | fill bob dan 18446744073709551614 @ 101 leaves 1
        orders => bids - | asks cat max @ 101, ann 1+18446744073709551613 @ 101, bob 1 @ 101
        cancel ann => gone ann 18446744073709551614
        buy  eve max @ 101 => fill cat eve max @ 101 | ask 101 -> 1
        ",
    );
}

#[test]
#[should_panic(expected = "an order shows at least one lot")]
fn iceberg_cannot_hide_all() {
    check("sell ann 5 @ 101 shows 0");
}

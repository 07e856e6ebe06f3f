//! An order that becomes smaller keeps its place.

use super::super::script::check;

#[test]
fn reduced_head_trades_first() {
    check(
        "
        sell ann 9 @ 101
        sell bob 5 @ 101
        reduce ann to 4 => ask 101 -> 9 | was 9
        buy  cat 6 @ 101 => fill ann cat 4 @ 101 | fill bob cat 2 @ 101 leaves 3
        ",
    );
}

#[test]
fn reduced_order_in_the_middle_keeps_its_place() {
    check(
        "
        sell ann 1 @ 101
        sell bob 5 @ 101
        sell cat 1 @ 101
        reduce bob to 2 => ask 101 -> 4 | was 5
        buy  dan 4 @ 101 => fill ann dan 1 @ 101 | fill bob dan 2 @ 101 | fill cat dan 1 @ 101
        ",
    );
}

#[test]
fn reduced_only_order_of_a_level() {
    check(
        "
        buy  ann 5 @ 99
        reduce ann to 1 => bid 99 -> 1 | was 5
        show => bids 99 x 1 | asks -
        sell bob 2 @ 99 => fill ann bob 1 @ 99 | rest bob 1 @ 99
        ",
    );
}

#[test]
fn reduce_to_the_same_changes_nothing() {
    check(
        "
        buy  ann 5 @ 99
        reduce ann to 5 => was 5
        show => bids 99 x 5 | asks -
        ",
    );
}

#[test]
fn reduce_after_a_fill_counts_from_what_is_left() {
    check(
        "
        sell ann 9 @ 101
        buy  bob 4 @ 101 => fill ann bob 4 @ 101 leaves 5
        reduce ann to 2 => was 5
        cancel ann      => gone ann 2
        ",
    );
}

#[test]
fn reduce_finds_no_order_that_is_gone() {
    check(
        "
        reduce ann to 1 => nothing
        sell ann 5 @ 101
        buy  bob 5 @ 101 => fill ann bob 5 @ 101
        reduce ann to 1 => nothing
        sell cat 5 @ 101
        cancel cat => gone cat 5
        reduce cat to 1 => nothing
        ",
    );
}

#[test]
fn reduced_iceberg_loses_hidden_lots_first() {
    check(
        "
        sell ann 10 @ 101 shows 3
        reduce ann to 4 => was 10
        orders => bids - | asks ann 3+1 @ 101
        show   => bids - | asks 101 x 3
        buy  bob 5 @ 101 => fill ann bob 3 @ 101 leaves 1 | fill ann bob 1 @ 101 | rest bob 1 @ 101
        ",
    );
}

#[test]
fn iceberg_reduced_to_its_display_hides_nothing_any_more() {
    check(
        "
        sell ann 10 @ 101 shows 3
        sell bob 1 @ 101
        reduce ann to 3 => was 10
        orders => bids - | asks ann 3 @ 101, bob 1 @ 101
        buy  cat 4 @ 101 => fill ann cat 3 @ 101 | fill bob cat 1 @ 101
        ",
    );
}

#[test]
fn iceberg_reduced_below_its_display_shows_less() {
    check(
        "
        sell ann 10 @ 101 shows 3
        sell bob 1 @ 101
        reduce ann to 2 => ask 101 -> 3 | was 10
        orders => bids - | asks ann 2 @ 101, bob 1 @ 101
        ",
    );
}

#[test]
fn partly_filled_iceberg_loses_hidden_lots_before_the_shown_ones() {
    check(
        "
        sell ann 10 @ 101 shows 3
        buy  bob 2 @ 101 => fill ann bob 2 @ 101 leaves 8
        orders => bids - | asks ann 1+7 @ 101
        reduce ann to 5 => was 8
        orders => bids - | asks ann 1+4 @ 101
        buy  cat 1 @ 101 => fill ann cat 1 @ 101 leaves 4 | ask 101 -> 3
        ",
    );
}

#[test]
fn iceberg_reduced_to_the_same_stays_one() {
    check(
        "
        sell ann 10 @ 101 shows 3
        reduce ann to 10 => was 10
        orders => bids - | asks ann 3+7 @ 101
        ",
    );
}

#[test]
fn largest_orders_may_be_reduced_to_one_lot() {
    check(
        "
        sell ann max @ max => ask max -> max | rest ann max @ max
        sell bob max @ max shows 5 => ask max -> max | rest bob max @ max
        reduce ann to 1 => ask max -> 6 | was max
        reduce bob to 1 => ask max -> 2 | was max
        ",
    );
}

#[test]
#[should_panic(expected = "order 0 has 5 lots and cannot be reduced to 6")]
fn reduce_does_not_make_larger() {
    check(
        "
        sell ann 5 @ 101
        reduce ann to 6
        ",
    );
}

#[test]
#[should_panic(expected = "an order is reduced to at least one lot")]
fn reduce_to_nothing_is_a_cancel() {
    check(
        "
        sell ann 5 @ 101
        reduce ann to 0
        ",
    );
}

//! Cancels, and the reuse of keys.

use super::super::script::check;

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

//! Immediate or cancel, fill or kill, post-only.

use super::super::script::check;

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

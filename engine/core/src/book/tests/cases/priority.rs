//! Who trades first, and at whose price.

use super::super::script::check;

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

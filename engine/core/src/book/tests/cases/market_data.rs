//! What market data is told.

use super::super::script::check;

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

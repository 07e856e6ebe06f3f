//! Orders that spend at most a budget: price × lots over all their trades.

use super::super::script::check;

#[test]
fn exact_budget_fills_whole() {
    check(
        "
        sell ann 5 @ 10
        buy  bob 5 @ 10 ioc budget 50 => fill ann bob 5 @ 10
        ",
    );
}

#[test]
fn budget_one_short_buys_one_lot_less() {
    check(
        "
        sell ann 5 @ 10
        buy  bob 5 @ 10 ioc budget 49 => fill ann bob 4 @ 10 leaves 1 | ask 10 -> 1 | cancelled bob 1
        ",
    );
}

#[test]
fn larger_budget_buys_no_more_than_the_quantity() {
    check(
        "
        sell ann 9 @ 10
        buy  bob 5 @ 10 ioc budget 1000 => fill ann bob 5 @ 10 leaves 4
        ",
    );
}

#[test]
fn budget_is_spent_over_several_levels() {
    check(
        "
        sell ann 2 @ 10
        sell bob 1 @ 11
        sell cat 5 @ 12
        buy  dan max @ 20 ioc budget 60 => fill ann dan 2 @ 10 | fill bob dan 1 @ 11 | fill cat dan 2 @ 12 leaves 3 | cancelled dan 18446744073709551610
        show => bids - | asks 12 x 3
        ",
    );
}

#[test]
fn budget_that_ends_with_a_level_leaves_the_next_alone() {
    check(
        "
        sell ann 2 @ 10
        sell bob 1 @ 11
        buy  cat 9 @ 20 ioc budget 30 => fill ann cat 2 @ 10 | ask 10 -> 0 | cancelled cat 7
        show => bids - | asks 11 x 1
        ",
    );
}

#[test]
fn budget_below_one_lot_buys_nothing() {
    check(
        "
        sell ann 5 @ 10
        buy  bob 5 @ 10 ioc budget 9 => cancelled bob 5
        buy  cat 5 @ 10 ioc budget 0 => cancelled cat 5
        show => bids - | asks 10 x 5
        ",
    );
}

#[test]
fn budget_is_not_looked_at_where_nobody_is_met() {
    check(
        "
        sell ann 5 @ 10
        buy  bob 5 @ 9 ioc budget 1 => cancelled bob 5
        ",
    );
}

#[test]
fn seller_receives_at_most_its_budget() {
    check(
        "
        buy  ann 2 @ 10
        buy  bob 9 @ 7
        sell cat 20 @ 1 ioc budget 40 => fill ann cat 2 @ 10 | fill bob cat 2 @ 7 leaves 7 | cancelled cat 16
        ",
    );
}

#[test]
fn seller_does_not_pass_by_a_buyer_who_offers_too_much() {
    check(
        "
        buy  ann 2 @ 10
        buy  bob 9 @ 3
        sell cat 20 @ 1 ioc budget 13 => fill ann cat 1 @ 10 leaves 1 | cancelled cat 19
        sell dan 20 @ 1 ioc budget 13 => fill ann dan 1 @ 10 | fill bob dan 1 @ 3 leaves 8 | cancelled dan 18
        ",
    );
}

#[test]
fn budget_pays_for_the_refills_of_an_iceberg() {
    check(
        "
        sell ann 9 @ 10 shows 2
        sell bob 1 @ 10
        buy  cat 9 @ 10 ioc budget 45 => fill ann cat 2 @ 10 leaves 7 | fill bob cat 1 @ 10 | fill ann cat 1 @ 10 leaves 6 | ask 10 -> 1 | cancelled cat 5
        ",
    );
}

#[test]
fn prevented_lots_cost_nothing() {
    check(
        "
        sell ann 5 @ 10 by alice
        sell bob 5 @ 10
        buy  cat 9 @ 10 by alice ioc budget 30 stp decrement => prevented ann cat 5 @ 10 | fill bob cat 3 @ 10 leaves 2 | cancelled cat 1
        sell dan 5 @ 9 by alice
        buy  eve 9 @ 10 by alice ioc budget 20 stp oldest => prevented dan eve 5 @ 9 | fill bob eve 2 @ 10 | cancelled eve 7
        ",
    );
}

#[test]
fn own_order_that_it_could_not_pay_is_not_met() {
    check(
        "
        sell ann 5 @ 10 by alice
        buy  bob 9 @ 10 by alice ioc budget 9 stp oldest => cancelled bob 9
        buy  cat 9 @ 10 by alice ioc budget 9 stp newest => cancelled cat 9
        buy  dan 9 @ 10 by alice ioc budget 10 stp newest => stopped dan 9
        show => bids - | asks 10 x 5
        ",
    );
}

#[test]
fn budget_reaches_beyond_the_largest_quantity_times_price() {
    check(
        "
        sell ann max @ max
        buy  bob max @ max ioc budget 340282366920938463426481119284349108225 => fill ann bob max @ max
        sell ann max @ max
        buy  bob max @ max ioc budget 340282366920938463426481119284349108224 => fill ann bob 18446744073709551614 @ max leaves 1 | cancelled bob 1
        ",
    );
}

#[test]
#[should_panic(expected = "only an order that cannot rest has a budget")]
fn order_that_may_rest_has_no_budget() {
    check("buy ann 5 @ 10 budget 50");
}

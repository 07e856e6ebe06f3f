//! Orders gather and then trade at one price.

use super::super::script::check;

#[test]
fn book_that_is_not_crossed_has_no_auction() {
    check(
        "
        indicate => nothing
        auction buy  ann 5 @ 99
        indicate => nothing
        auction sell bob 5 @ 100
        indicate near 100 => nothing
        uncross => nothing
        orders => bids ann 5 @ 99 | asks bob 5 @ 100
        ",
    );
}

#[test]
fn orders_rest_in_an_auction_though_they_cross() {
    check(
        "
        auction buy  ann 5 @ 101 => bid 101 -> 5 | rest ann 5 @ 101
        auction sell bob 7 @ 99  => ask 99 -> 7 | rest bob 7 @ 99
        auction buy  cat 1 @ 101 => bid 101 -> 6 | rest cat 1 @ 101
        show => bids 101 x 6 | asks 99 x 7
        ",
    );
}

#[test]
fn one_level_trades_at_its_price() {
    check(
        "
        auction buy  ann 5 @ 100
        auction sell bob 5 @ 100
        indicate => 5 at 100
        uncross  => cross ann bob 5 @ 100 | bid 100 -> 0 | ask 100 -> 0
        show     => bids - | asks -
        indicate => nothing
        ",
    );
}

#[test]
fn price_is_where_most_lots_trade() {
    check(
        "
        auction buy  ann 5 @ 103
        auction buy  bob 10 @ 101
        auction sell cat 5 @ 99
        auction sell dan 10 @ 101
        indicate near 99 => 15 at 101
        uncross => cross ann cat 5 @ 101 | cross bob dan 10 @ 101 | bid 103 -> 0 | bid 101 -> 0 | ask 99 -> 0 | ask 101 -> 0
        ",
    );
}

#[test]
fn price_may_be_between_those_who_trade() {
    check(
        "
        auction buy  ann 10 @ 105
        auction sell bob 10 @ 95
        auction buy  cat 1 @ 100
        indicate near 100 => 10 at 105
        auction sell dan 1 @ 100
        indicate near 95  => 11 at 100
        uncross => cross ann bob 10 @ 100 | cross cat dan 1 @ 100
        ",
    );
}

#[test]
fn surplus_of_buyers_brings_the_highest_price() {
    check(
        "
        auction buy  ann 15 @ 102
        auction sell bob 10 @ 98
        indicate near 98 => 10 at 102
        uncross near 98  => cross ann bob 10 @ 102 leaves ann 5 | bid 102 -> 5 | ask 98 -> 0
        ",
    );
}

#[test]
fn surplus_of_sellers_brings_the_lowest_price() {
    check(
        "
        auction buy  ann 10 @ 102
        auction sell bob 15 @ 98
        indicate near 102 => 10 at 98
        uncross near 102  => cross ann bob 10 @ 98 leaves bob 5 | bid 102 -> 0 | ask 98 -> 5
        ",
    );
}

#[test]
fn least_left_over_comes_before_the_reference() {
    check(
        "
        auction buy  ann 10 @ 102
        auction buy  bob 5 @ 100
        auction sell cat 10 @ 98
        indicate near 98 => 10 at 102
        indicate         => 10 at 102
        ",
    );
}

#[test]
fn without_surplus_the_reference_decides() {
    check(
        "
        auction buy  ann 10 @ 102
        auction sell bob 10 @ 98
        indicate near 1    => 10 at 98
        indicate near 99   => 10 at 98
        indicate near 101  => 10 at 102
        indicate near max  => 10 at 102
        ",
    );
}

#[test]
fn lower_of_two_as_near_to_the_reference() {
    check(
        "
        auction buy  ann 10 @ 102
        auction sell bob 10 @ 98
        indicate near 100 => 10 at 98
        ",
    );
}

#[test]
fn without_a_reference_the_lowest() {
    check(
        "
        auction buy  ann 10 @ 102
        auction sell bob 10 @ 98
        indicate => 10 at 98
        uncross  => cross ann bob 10 @ 98
        ",
    );
}

#[test]
fn surplus_now_of_buyers_now_of_sellers_leaves_it_to_the_reference() {
    check(
        "
        auction buy  ann 10 @ 102
        auction buy  bob 5 @ 100
        auction sell cat 10 @ 98
        auction sell dan 5 @ 102
        indicate          => 10 at 98
        indicate near 101 => 10 at 100
        indicate near 500 => 10 at 102
        uncross near 500  => cross ann cat 10 @ 102 | bid 102 -> 0 | ask 98 -> 0
        show              => bids 100 x 5 | asks 102 x 5
        ",
    );
}

#[test]
fn margin_is_shared_by_time() {
    check(
        "
        auction buy  ann 5 @ 100
        auction buy  bob 5 @ 100
        auction buy  cat 5 @ 100
        auction sell dan 7 @ 100
        uncross => cross ann dan 5 @ 100 leaves dan 2 | cross bob dan 2 @ 100 leaves bob 3 | bid 100 -> 8 | ask 100 -> 0
        orders  => bids bob 3 @ 100, cat 5 @ 100 | asks -
        ",
    );
}

#[test]
fn better_price_comes_before_earlier_time() {
    check(
        "
        auction buy  ann 5 @ 100
        auction buy  bob 5 @ 101
        auction sell cat 5 @ 100
        auction sell dan 2 @ 99
        uncross => cross bob dan 2 @ 100 leaves bob 3 | cross bob cat 3 @ 100 leaves cat 2 | cross ann cat 2 @ 100 leaves ann 3 | bid 101 -> 0 | bid 100 -> 3 | ask 99 -> 0 | ask 100 -> 0
        ",
    );
}

#[test]
fn orders_from_before_the_auction_are_first_in_their_queues() {
    check(
        "
        buy  ann 5 @ 100
        sell bob 5 @ 102
        auction buy  cat 5 @ 102
        auction sell dan 5 @ 100
        auction buy  eve 5 @ 100
        indicate => 5 at 102
        auction sell fay 5 @ 100
        uncross => cross cat dan 5 @ 100 | cross ann fay 5 @ 100
        show => bids 100 x 5 | asks 102 x 5
        ",
    );
}

#[test]
fn cancel_in_an_auction_changes_its_price() {
    check(
        "
        auction buy  ann 10 @ 103
        auction sell bob 10 @ 99
        auction buy  cat 10 @ 101
        auction sell dan 10 @ 101
        indicate => 20 at 101
        cancel ann => bid 103 -> 0 | gone ann 10
        indicate => 10 at 99
        cancel cat => gone cat 10
        indicate => nothing
        buy eve 1 @ 98
        ",
    );
}

#[test]
fn reduce_in_an_auction_keeps_the_place() {
    check(
        "
        auction buy  ann 10 @ 100
        auction buy  bob 10 @ 100
        auction sell cat 8 @ 100
        reduce ann to 3 => bid 100 -> 13 | was 10
        indicate => 8 at 100
        uncross  => cross ann cat 3 @ 100 leaves cat 5 | cross bob cat 5 @ 100 leaves bob 5
        ",
    );
}

#[test]
fn hidden_lots_count_for_the_price() {
    check(
        "
        auction buy  ann 10 @ 101 shows 1
        auction buy  bob 2 @ 102
        auction sell cat 12 @ 100
        show => bids 102 x 2, 101 x 1 | asks 100 x 12
        indicate near 102 => 12 at 101
        ",
    );
}

#[test]
fn iceberg_refills_at_the_end_of_its_queue_in_an_auction() {
    check(
        "
        auction buy  ann 7 @ 100 shows 3
        auction buy  bob 2 @ 100
        auction sell cat 8 @ 100
        uncross => cross ann cat 3 @ 100 leaves ann 4 leaves cat 5 | cross bob cat 2 @ 100 leaves cat 3 | cross ann cat 3 @ 100 leaves ann 1 | bid 100 -> 1 | ask 100 -> 0
        orders  => bids ann 1 @ 100 | asks -
        ",
    );
}

#[test]
fn icebergs_trade_with_icebergs() {
    check(
        "
        auction buy  ann 5 @ 100 shows 2
        auction sell bob 6 @ 100 shows 3
        uncross => cross ann bob 2 @ 100 leaves ann 3 leaves bob 4 | cross ann bob 1 @ 100 leaves ann 2 leaves bob 3 | cross ann bob 1 @ 100 leaves ann 1 leaves bob 2 | cross ann bob 1 @ 100 leaves bob 1 | bid 100 -> 0 | ask 100 -> 1
        ",
    );
}

#[test]
fn refill_that_leaves_a_level_as_it_was_is_not_told() {
    check(
        "
        auction buy  ann 6 @ 100 shows 2
        auction sell bob 2 @ 100
        uncross => cross ann bob 2 @ 100 leaves ann 4 | ask 100 -> 0
        show    => bids 100 x 2 | asks -
        ",
    );
}

#[test]
fn account_may_meet_itself_in_an_auction() {
    check(
        "
        auction buy  ann 5 @ 100 by alice stp newest
        auction sell bob 5 @ 100 by alice stp both
        uncross => cross ann bob 5 @ 100
        ",
    );
}

#[test]
fn time_in_force_and_budget_mean_nothing_in_an_auction() {
    check(
        "
        auction buy  ann 5 @ 100 ioc budget 3
        auction sell bob 5 @ 100 fok
        auction sell cat 5 @ 100 post
        uncross => cross ann bob 5 @ 100
        show    => bids - | asks 100 x 5
        ",
    );
}

#[test]
fn trading_goes_on_after_the_auction() {
    check(
        "
        auction buy  ann 5 @ 101
        auction sell bob 3 @ 99
        uncross => cross ann bob 3 @ 101 leaves ann 2
        sell cat 3 @ 101 => fill ann cat 2 @ 101 | rest cat 1 @ 101
        buy  bob 1 @ 101 => fill cat bob 1 @ 101
        ",
    );
}

#[test]
fn auction_counts_past_the_largest_quantity() {
    check(
        "
        auction buy  ann max @ max
        auction buy  bob max @ max
        auction buy  cat 3 @ max
        auction sell dan max @ 1
        auction sell eve max @ 1
        auction sell fay 2 @ max
        indicate         => 36893488147419103232 at max
        uncross near 1   => cross ann dan max @ max | cross bob eve max @ max | cross cat fay 2 @ max leaves cat 1 | bid max -> 1 | ask 1 -> 0 | ask max -> 0
        show             => bids max x 1 | asks -
        ",
    );
}

#[test]
fn auction_level_beyond_the_largest_quantity_is_told_as_that() {
    check(
        "
        auction buy  ann max @ 100
        auction buy  bob max @ 100
        auction sell cat 5 @ 100
        auction buy  dan 9 @ 100
        uncross => cross ann cat 5 @ 100 leaves ann 18446744073709551610 | bid 100 -> max | ask 100 -> 0
        ",
    );
}

#[test]
fn reference_at_either_end_of_all_prices() {
    check(
        "
        auction buy  ann 1 @ max
        auction sell bob 1 @ 1
        indicate near 1   => 1 at 1
        indicate near max => 1 at max
        indicate near 9223372036854775808 => 1 at 1
        uncross near max  => cross ann bob 1 @ max
        ",
    );
}

#[test]
fn one_seller_may_trade_with_five_thousand_buyers() {
    let buyers = || (0..5000).map(|number| format!("buyer{number}"));
    let mut script: String = buyers().map(|buyer| format!("auction buy {buyer} 2 @ 101\n")).collect();
    let crosses: Vec<String> = buyers()
        .enumerate()
        .map(|(number, buyer)| {
            format!("cross {buyer} whale 2 @ 101 leaves whale {}", 10_000 - 2 * number - 1)
        })
        .collect();
    script += "auction sell whale 10001 @ 100\nindicate => 10000 at 100\nauction buy late 1 @ 101\n";
    script += &format!("uncross near 101 => {} | cross late whale 1 @ 101\n", crosses.join(" | "));
    check(&script);
}

#[test]
fn two_sides_may_sweep_a_thousand_levels() {
    let steps = || 1..=1000u64;
    let mut script: String = steps()
        .map(|step| {
            format!("auction buy b{step} 1 @ {}\nauction sell s{step} 1 @ {}\n", 2000 + step, 2000 - step)
        })
        .collect();
    let crosses: Vec<String> = steps().rev().map(|step| format!("cross b{step} s{step} 1 @ 1999")).collect();
    script += &format!("indicate near 1 => 1000 at 1999\nuncross => {}\n", crosses.join(" | "));
    script += "show => bids - | asks -\n";
    check(&script);
}

#[test]
#[should_panic(expected = "the book is crossed: its auction has not ended")]
fn nobody_takes_during_an_auction() {
    check(
        "
        auction buy  ann 5 @ 101
        auction sell bob 5 @ 99
        buy cat 1 @ 50
        ",
    );
}

#[test]
#[should_panic(expected = "order key 0 is live")]
fn live_key_is_the_callers_bug_in_an_auction_too() {
    check(
        "
        auction buy ann 5 @ 101
        auction buy ann 5 @ 101
        ",
    );
}

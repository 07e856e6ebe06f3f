//! Orders that are more than a limit: stops, icebergs, budgets, ends, changes; and what keeps them apart. The language
//! is that of [`crate::order_semantics`].

use crate::stage::check;

// ---- stops ----------------------------------------------------------------------------------------------------------

#[test]
fn a_stop_waits_outside_the_book_and_holds_from_the_start() {
    check(
        "fund ann 100 USD
         ann buy a 5 @ 12 market stop 10 => ann ack a #1
         money ann                       => USD 40 held 60
         book                            => - / -
         sequence                        => 0
         ann cancel a                    => ann cancel ack a | ann cancelled a 5
         money ann                       => USD 100",
    );
}

#[test]
fn a_buyers_stop_is_set_off_by_a_trade_at_its_trigger() {
    check(
        "fund ann 100 USD
         fund bob 10 COIN 100 USD
         ann buy a 2 @ 12 market stop 10 => ann ack a #1
         bob sell x 1 @ 9                => bob ack x #2
         bob sell y 1 @ 10               => bob ack y #3
         bob sell z 4 @ 11               => bob ack z #4
         bob buy v 1 @ 9                 => bob ack v #5 | bob trade x 1 @ 9 t1 maker \
            | bob trade v 1 @ 9 t1 taker
         bob buy w 1 @ 10                => bob ack w #6 | bob trade y 1 @ 10 t2 maker \
            | bob trade w 1 @ 10 t2 taker | ann triggered a | bob trade z 2 @ 11 t3 maker \
            | ann trade a 2 @ 11 t3 taker
         money ann                       => COIN 2, USD 78",
    );
}

#[test]
fn a_sellers_stop_is_set_off_at_or_below_its_trigger() {
    check(
        "fund ann 5 COIN
         fund bob 100 USD 5 COIN
         ann sell a 2 @ 7 market stop 9  => ann ack a #1
         bob buy x 1 @ 8                 => bob ack x #2
         bob buy y 5 @ 7                 => bob ack y #3
         bob sell z 1 @ 8                => bob ack z #4 | bob trade x 1 @ 8 t1 maker \
            | bob trade z 1 @ 8 t1 taker | ann triggered a | bob trade y 2 @ 7 t2 maker \
            | ann trade a 2 @ 7 t2 taker
         money ann                       => COIN 3, USD 14",
    );
}

#[test]
fn a_stop_limit_rests_at_its_limit() {
    check(
        "fund ann 100 USD
         fund bob 10 COIN 100 USD
         ann buy a 3 @ 10 stop 10  => ann ack a #1
         bob sell x 1 @ 10         => bob ack x #2
         bob buy y 1 @ 10          => bob ack y #3 | bob trade x 1 @ 10 t1 maker \
            | bob trade y 1 @ 10 t1 taker | ann triggered a
         book                      => 3 @ 10 / -
         money ann                 => USD 70 held 30",
    );
}

#[test]
fn a_stop_behind_the_last_trade_is_set_off_at_once() {
    check(
        "fund ann 100 USD
         fund bob 10 COIN 100 USD
         bob sell x 5 @ 10         => bob ack x #1
         bob buy y 1 @ 10          => bob ack y #2 | bob trade x 1 @ 10 t1 maker | bob trade y 1 @ 10 t1 taker
         ann buy a 2 @ 10 stop 9   => ann ack a #3 | ann triggered a \
            | bob trade x 2 @ 10 t2 maker | ann trade a 2 @ 10 t2 taker",
    );
}

#[test]
fn stops_set_each_other_off_until_none_is_left() {
    check(
        "fund ann 100 COIN
         fund bob 1000 USD 10 COIN
         ann sell a 1 @ 1 market stop 9  => ann ack a #1
         ann sell b 1 @ 1 market stop 8  => ann ack b #2
         ann sell c 1 @ 1 market stop 5  => ann ack c #3
         bob buy v 1 @ 9                 => bob ack v #4
         bob buy w 1 @ 8                 => bob ack w #5
         bob buy x 1 @ 7                 => bob ack x #6
         bob sell y 1 @ 9                => bob ack y #7 | bob trade v 1 @ 9 t1 maker \
            | bob trade y 1 @ 9 t1 taker | ann triggered a | bob trade w 1 @ 8 t2 maker \
            | ann trade a 1 @ 8 t2 taker | ann triggered b | bob trade x 1 @ 7 t3 maker \
            | ann trade b 1 @ 7 t3 taker
         book                            => - / -",
    );
}

#[test]
fn of_stops_that_one_trade_reaches_the_first_to_come_is_the_first_to_go() {
    check(
        "fund ann 100 COIN
         fund bob 1000 USD 10 COIN
         ann sell late 1 @ 1 market stop 8   => ann ack late #1
         ann sell near 1 @ 1 market stop 9   => ann ack near #2
         bob buy v 1 @ 8                     => bob ack v #3
         bob buy w 1 @ 7                     => bob ack w #4
         bob sell y 1 @ 8                    => bob ack y #5 | bob trade v 1 @ 8 t1 maker \
            | bob trade y 1 @ 8 t1 taker | ann triggered late | bob trade w 1 @ 7 t2 maker \
            | ann trade late 1 @ 7 t2 taker | ann triggered near | ann expired near 1",
    );
}

#[test]
fn a_sweep_sets_off_what_it_passes_not_only_where_it_ends() {
    check(
        "fund ann 100 USD
         fund bob 10 COIN 1000 USD
         ann sell a 1 @ 5 stop 9         => ann reject a InsufficientBalance
         ann buy b 1 @ 20 stop 11        => ann ack b #1
         bob sell x 1 @ 11               => bob ack x #2
         bob sell y 1 @ 12               => bob ack y #3
         bob sell z 1 @ 13               => bob ack z #4
         bob buy s 2 @ 12                => bob ack s #5 | bob trade x 1 @ 11 t1 maker \
            | bob trade s 1 @ 11 t1 taker | bob trade y 1 @ 12 t2 maker | bob trade s 1 @ 12 t2 taker \
            | ann triggered b | bob trade z 1 @ 13 t3 maker | ann trade b 1 @ 13 t3 taker",
    );
}

#[test]
fn a_trailing_stop_follows_the_market_and_then_goes() {
    check(
        "fund ann 5 COIN
         fund bob 1000 USD 100 COIN
         ann sell a 1 @ 1 market trail 2 stop 8 => ann ack a #1
         bob sell w 1 @ 12   => bob ack w #2
         bob buy x 1 @ 12    => bob ack x #3 | bob trade w 1 @ 12 t1 maker | bob trade x 1 @ 12 t1 taker
         bob buy y 5 @ 11    => bob ack y #4
         bob sell z 1 @ 11   => bob ack z #5 | bob trade y 1 @ 11 t2 maker | bob trade z 1 @ 11 t2 taker
         bob cancel y        => bob cancel ack y | bob cancelled y 4
         bob buy u 5 @ 10    => bob ack u #6
         bob sell v 1 @ 10   => bob ack v #7 | bob trade u 1 @ 10 t3 maker | bob trade v 1 @ 10 t3 taker \
            | ann triggered a | bob trade u 1 @ 10 t4 maker | ann trade a 1 @ 10 t4 taker",
    );
}

#[test]
fn a_stop_that_cannot_be_is_refused() {
    check(
        "fund ann 100 USD
         ann buy a 1 @ 5 stop 0           => ann reject a Terms
         ann buy b 1 @ 5 trail 0 stop 5   => ann reject b Terms
         ann buy c 1 @ 5 stop 1000000001  => ann reject c Terms
         money ann                        => USD 100",
    );
}

#[test]
fn a_waiting_stop_is_cancelled_with_all_the_others() {
    check(
        "fund ann 100 USD
         ann buy a 1 @ 5 stop 7   => ann ack a #1
         ann buy b 1 @ 5          => ann ack b #2
         ann cancel all           => ann cancelling 2 | ann cancelled a 1 | ann cancelled b 1
         money ann                => USD 100",
    );
}

// ---- one cancels the other ------------------------------------------------------------------------------------------

#[test]
fn an_oco_that_trades_at_its_limit_has_no_stop_any_more() {
    check(
        "fund ann 10 COIN
         fund bob 1000 USD 10 COIN
         ann sell a 4 @ 12 oco 8 then 7  => ann ack a #1
         money ann                       => COIN 6 held 4
         bob buy x 1 @ 12                => bob ack x #2 | ann trade a 1 @ 12 t1 maker | bob trade x 1 @ 12 t1 taker
         bob buy y 1 @ 8                 => bob ack y #3
         bob sell z 1 @ 8                => bob ack z #4 | bob trade y 1 @ 8 t2 maker | bob trade z 1 @ 8 t2 taker
         book                            => - / 3 @ 12
         ann cancel a                    => ann cancel ack a | ann cancelled a 3
         money ann                       => COIN 9, USD 12",
    );
}

#[test]
fn an_oco_whose_trigger_is_reached_leaves_the_book_for_its_stop() {
    check(
        "fund ann 10 COIN
         fund bob 1000 USD 10 COIN
         ann sell a 4 @ 12 oco 8 then 7  => ann ack a #1
         bob buy y 1 @ 8                 => bob ack y #2
         bob sell z 1 @ 8                => bob ack z #3 | bob trade y 1 @ 8 t1 maker \
            | bob trade z 1 @ 8 t1 taker | ann triggered a
         book                            => - / 4 @ 7
         ann cancel a                    => ann cancel ack a | ann cancelled a 4",
    );
}

#[test]
fn an_oco_holds_once_for_the_dearer_way_out() {
    check(
        "fund ann 100 USD
         fund bob 1000 USD 10 COIN
         ann buy a 5 @ 8 oco 12 then 14 => ann ack a #1
         money ann                      => USD 30 held 70
         bob sell x 1 @ 8               => bob ack x #2 | ann trade a 1 @ 8 t1 maker | bob trade x 1 @ 8 t1 taker
         money ann                      => COIN 1, USD 60 held 32",
    );
}

#[test]
fn an_oco_market_stop_gives_back_what_finds_nobody() {
    check(
        "fund ann 100 USD
         fund bob 1000 USD 10 COIN
         ann buy a 5 @ 8 oco 12 then 14 stopmarket => ann ack a #1
         bob sell x 1 @ 12   => bob ack x #2
         bob sell y 2 @ 13   => bob ack y #3
         bob buy z 1 @ 12    => bob ack z #4 | bob trade x 1 @ 12 t1 maker | bob trade z 1 @ 12 t1 taker \
            | ann triggered a | bob trade y 2 @ 13 t2 maker | ann trade a 2 @ 13 t2 taker | ann expired a 3
         money ann           => COIN 2, USD 74",
    );
}

#[test]
fn an_oco_the_wrong_way_round_is_refused() {
    check(
        "fund ann 100 USD 10 COIN
         ann sell a 1 @ 8 oco 12 then 12  => ann reject a Terms
         ann buy b 1 @ 12 oco 8 then 8    => ann reject b Terms
         ann buy c 1 @ 8 ioc oco 12 then 12 => ann reject c Terms
         ann buy d 1 @ 8 oco 12 then 0    => ann reject d Terms",
    );
}

#[test]
fn an_oco_is_not_amended() {
    check(
        "fund ann 100 USD
         ann buy a 5 @ 8 oco 12 then 14 => ann ack a #1
         ann amend a to 2               => ann amend reject a NotAmendable",
    );
}

// ---- icebergs -------------------------------------------------------------------------------------------------------

#[test]
fn an_iceberg_shows_little_and_holds_for_all() {
    check(
        "fund ann 100 USD
         ann buy a 10 @ 5 shows 2 => ann ack a #1
         book                     => 2 @ 5 / -
         money ann                => USD 50 held 50
         ann cancel a             => ann cancel ack a | ann cancelled a 10
         money ann                => USD 100",
    );
}

#[test]
fn an_icebergs_refill_goes_to_the_back_of_the_queue() {
    check(
        "fund ann 100 USD
         fund bob 100 USD
         fund cat 100 COIN
         ann buy a 6 @ 5 shows 2  => ann ack a #1
         bob buy b 3 @ 5          => bob ack b #2
         cat sell c 4 @ 5         => cat ack c #3 | ann trade a 2 @ 5 t1 maker | cat trade c 2 @ 5 t1 taker \
            | bob trade b 2 @ 5 t2 maker | cat trade c 2 @ 5 t2 taker
         book                     => 3 @ 5 / -
         cat sell d 6 @ 5         => cat ack d #4 | bob trade b 1 @ 5 t3 maker | cat trade d 1 @ 5 t3 taker \
            | ann trade a 2 @ 5 t4 maker | cat trade d 2 @ 5 t4 taker | ann trade a 2 @ 5 t5 maker \
            | cat trade d 2 @ 5 t5 taker
         money ann                => COIN 6, USD 70",
    );
}

#[test]
fn a_fok_counts_what_an_iceberg_hides() {
    check(
        "fund ann 100 COIN
         fund bob 100 USD
         ann sell a 10 @ 5 shows 1 => ann ack a #1
         bob buy b 11 @ 5 fok      => bob ack b #2 | bob expired b 11
         bob buy c 3 @ 5 fok       => bob ack c #3 | ann trade a 1 @ 5 t1 maker | bob trade c 1 @ 5 t1 taker \
            | ann trade a 1 @ 5 t2 maker | bob trade c 1 @ 5 t2 taker | ann trade a 1 @ 5 t3 maker \
            | bob trade c 1 @ 5 t3 taker",
    );
}

#[test]
fn an_iceberg_that_would_not_rest_or_hides_nothing_is_refused() {
    check(
        "fund ann 100 USD
         ann buy a 5 @ 5 shows 5      => ann reject a Terms
         ann buy b 5 @ 5 shows 0      => ann reject b Terms
         ann buy c 5 @ 5 ioc shows 1  => ann reject c Terms
         ann buy d 5 @ 5 market shows 1 => ann reject d Terms",
    );
}

#[test]
fn an_iceberg_shows_at_least_a_thousandth() {
    check(
        "fund ann 100000 USD
         ann buy a 2001 @ 5 shows 2  => ann reject a Terms
         ann buy b 2000 @ 5 shows 2  => ann ack b #1
         ann amend b to 2001         => ann amend reject b Terms
         money ann                   => USD 90000 held 10000",
    );
}

// ---- budgets --------------------------------------------------------------------------------------------------------

#[test]
fn a_buyers_budget_is_held_and_never_passed() {
    check(
        "fund ann 100 USD
         fund bob 100 COIN
         bob sell x 3 @ 7                 => bob ack x #1
         bob sell y 9 @ 8                 => bob ack y #2
         ann buy a 0 @ 10 market spend 40 => ann ack a #3 | bob trade x 3 @ 7 t1 maker \
            | ann trade a 3 @ 7 t1 taker | bob trade y 2 @ 8 t2 maker | ann trade a 2 @ 8 t2 taker \
            | ann expired a 0
         money ann                        => COIN 5, USD 63",
    );
}

#[test]
fn a_budget_too_small_for_one_lot_comes_back() {
    check(
        "fund ann 100 USD
         fund bob 100 COIN
         bob sell x 3 @ 7                => bob ack x #1
         ann buy a 0 @ 10 market spend 6 => ann ack a #2 | ann expired a 0
         money ann                       => USD 100
         sequence                        => 1",
    );
}

#[test]
fn a_sellers_budget_is_what_it_wants_to_get() {
    check(
        "fund ann 100 COIN
         fund bob 100 USD
         bob buy x 3 @ 7                   => bob ack x #1
         bob buy y 3 @ 6                   => bob ack y #2
         ann sell a 0 @ 5 market spend 30  => ann ack a #3 | bob trade x 3 @ 7 t1 maker \
            | ann trade a 3 @ 7 t1 taker | bob trade y 1 @ 6 t2 maker | ann trade a 1 @ 6 t2 taker \
            | ann expired a 0
         money ann                         => COIN 96, USD 27",
    );
}

#[test]
fn a_budget_pays_its_fee_out_of_itself() {
    check(
        "fees COIN-USD 0 10000            => done
         fund ann 100 USD
         fund bob 100 COIN
         bob sell x 50 @ 1                => bob ack x #1
         ann buy a 0 @ 1 market spend 33  => ann ack a #2 | bob trade x 30 @ 1 t1 maker \
            | ann trade a 30 @ 1 t1 taker fee 3 | ann expired a 0
         money ann                        => COIN 30, USD 67
         fees taken                       => USD 3",
    );
}

#[test]
fn a_budget_of_a_limit_order_or_with_lots_is_refused() {
    check(
        "fund ann 100 USD
         ann buy a 0 @ 5 spend 10         => ann reject a Terms
         ann buy b 5 @ 5 market spend 10  => ann reject b Terms
         ann buy c 0 @ 5 market spend 0   => ann ack c #1 | ann expired c 0
         ann sell d 0 @ 5 market spend 4  => ann reject d MinNotional",
    );
}

#[test]
fn a_market_order_without_a_reference_is_refused_once_and_for_all() {
    check(
        "fund ann 100 USD
         ann buy a 5 @ 0 market => ann reject a PriceBand
         ann buy a 5 @ 9 market => ann reject a PriceBand",
    );
}

#[test]
fn a_repeated_market_order_gets_its_answer_even_without_a_reference() {
    check(
        "fund ann 100 USD
         fund bob 5 COIN
         bob sell x 5 @ 5       => bob ack x #1
         ann buy a 5 @ 9 market => ann ack a #2 | bob trade x 5 @ 5 t1 maker | ann trade a 5 @ 5 t1 taker
         ann buy a 5 @ 0 market => ann ack a #2 again",
    );
}

// ---- ends -----------------------------------------------------------------------------------------------------------

#[test]
fn an_order_ends_at_its_time_and_trades_no_more() {
    check(
        "fund ann 100 USD
         fund bob 10 COIN
         ann buy a 5 @ 5 until 10  => ann ack a #1
         wait 9
         bob sell x 1 @ 5          => bob ack x #2 | ann trade a 1 @ 5 t1 maker | bob trade x 1 @ 5 t1 taker
         wait 1
         bob sell y 1 @ 5          => ann timed out a 4 | bob ack y #3
         money ann                 => COIN 1, USD 95",
    );
}

#[test]
fn a_tick_ends_orders_of_a_quiet_market() {
    check(
        "fund ann 100 USD
         ann buy a 5 @ 5 until 10         => ann ack a #1
         ann buy b 5 @ 5 stop 7 until 11  => ann ack b #2
         wait 10
         tick                             => ann timed out a 5
         wait 1
         tick                             => ann timed out b 5
         book                             => - / -",
    );
}

#[test]
fn an_end_that_has_passed_or_of_an_order_that_does_not_rest_is_refused() {
    check(
        "fund ann 100 USD
         wait 10
         ann buy a 5 @ 5 until 10     => ann reject a Terms
         ann buy b 5 @ 5 ioc until 20 => ann reject b Terms",
    );
}

#[test]
fn a_dead_man_timer_cancels_everything_unless_it_is_set_again() {
    check(
        "fund ann 100 USD
         ann buy a 5 @ 5     => ann ack a #1
         ann buy b 5 @ 6 stop 9 => ann ack b #2
         ann timer 10        => ann timer until 10
         wait 9
         ann timer 10        => ann timer until 19
         wait 9
         tick
         wait 1
         tick                => ann cancelled a 5 | ann cancelled b 5
         ann buy c 5 @ 5     => ann ack c #3
         ann timer 10        => ann timer until 29
         ann timer 0         => ann timer off
         wait 100
         tick
         eve timer 5         => refused UnknownAccount
         ann timer 86400000001 => refused AmountRange",
    );
}

#[test]
fn a_group_is_cancelled_alone() {
    check(
        "fund ann 100 USD
         ann buy a 5 @ 5 group 1  => ann ack a #1
         ann buy b 5 @ 5 group 2  => ann ack b #2
         ann buy c 5 @ 5 stop 9 group 1 => ann ack c #3
         ann cancel group 1       => ann cancelling 2 | ann cancelled a 5 | ann cancelled c 5
         book                     => 5 @ 5 / -",
    );
}

// ---- changes --------------------------------------------------------------------------------------------------------

#[test]
fn fewer_lots_keep_their_place() {
    check(
        "fund ann 100 USD
         fund bob 100 USD
         fund cat 10 COIN
         ann buy a 5 @ 5   => ann ack a #1
         bob buy b 5 @ 5   => bob ack b #2
         ann amend a to 2  => ann amend ack a 2
         money ann         => USD 90 held 10
         cat sell c 3 @ 5  => cat ack c #3 | ann trade a 2 @ 5 t1 maker | cat trade c 2 @ 5 t1 taker \
            | bob trade b 1 @ 5 t2 maker | cat trade c 1 @ 5 t2 taker",
    );
}

#[test]
fn more_lots_go_to_the_back_of_the_queue() {
    check(
        "fund ann 100 USD
         fund bob 100 USD
         fund cat 10 COIN
         ann buy a 5 @ 5   => ann ack a #1
         bob buy b 5 @ 5   => bob ack b #2
         ann amend a to 6  => ann amend ack a 6
         money ann         => USD 70 held 30
         cat sell c 5 @ 5  => cat ack c #3 | bob trade b 5 @ 5 t1 maker | cat trade c 5 @ 5 t1 taker",
    );
}

#[test]
fn a_new_price_goes_to_the_back_of_its_queue_and_moves_the_hold() {
    check(
        "fund ann 100 USD
         fund bob 100 USD
         fund cat 10 COIN
         bob buy b 5 @ 6        => bob ack b #1
         ann buy a 5 @ 5        => ann ack a #2
         ann amend a at 6       => ann amend ack a 5
         money ann              => USD 70 held 30
         ann amend a to 10 at 4 => ann amend ack a 10
         money ann              => USD 60 held 40
         book                   => 5 @ 6, 10 @ 4 / -",
    );
}

#[test]
fn a_change_that_crosses_trades_at_once() {
    check(
        "fund ann 100 USD
         fund bob 10 COIN
         bob sell x 3 @ 7  => bob ack x #1
         ann buy a 5 @ 5   => ann ack a #2
         ann amend a at 8  => ann amend ack a 5 | bob trade x 3 @ 7 t1 maker | ann trade a 3 @ 7 t1 taker
         book              => 2 @ 8 / -
         money ann         => COIN 3, USD 63 held 16",
    );
}

#[test]
fn a_change_that_cannot_be_paid_leaves_the_order_as_it_was() {
    check(
        "fund ann 30 USD
         ann buy a 5 @ 5    => ann ack a #1
         ann amend a to 7   => ann amend reject a InsufficientBalance
         ann amend a at 7   => ann amend reject a InsufficientBalance
         ann amend a at 6   => ann amend ack a 5
         money ann          => USD 0 held 30
         book               => 5 @ 6 / -",
    );
}

#[test]
fn a_change_to_less_than_has_traded_cancels_the_rest() {
    check(
        "fund ann 100 USD
         fund bob 10 COIN
         ann buy a 5 @ 5   => ann ack a #1
         bob sell x 3 @ 5  => bob ack x #2 | ann trade a 3 @ 5 t1 maker | bob trade x 3 @ 5 t1 taker
         ann amend a to 4  => ann amend ack a 1
         ann amend a to 3  => ann amend ack a 0 | ann cancelled a 1
         money ann         => COIN 3, USD 85",
    );
}

#[test]
fn a_post_only_order_is_not_changed_into_a_taker() {
    check(
        "fund ann 100 USD
         fund bob 10 COIN
         bob sell x 3 @ 7       => bob ack x #1
         ann buy a 5 @ 5 post   => ann ack a #2
         ann amend a at 7       => ann amend reject a PostOnlyWouldTake
         book                   => 5 @ 5 / 3 @ 7
         money ann              => USD 75 held 25",
    );
}

#[test]
fn what_breaks_a_rule_is_not_changed() {
    check(
        "fund ann 100 USD 10 GOLD
         ann sell a 5 @ 5 on GOLD-USD         => ann ack a #1
         ann amend a to 1 on GOLD-USD         => ann amend reject a MinNotional
         ann amend a to 0 on GOLD-USD         => ann amend reject a QuantityRange
         ann amend a at 0 on GOLD-USD         => ann amend reject a PriceRange
         ann amend b to 1 on GOLD-USD         => ann amend reject b UnknownOrder
         ann amend a to 3                     => ann amend reject a UnknownOrder
         ann cancel a on GOLD-USD             => ann cancel ack a | ann cancelled a 5
         ann amend a to 3 on GOLD-USD         => ann amend reject a TooLate",
    );
}

#[test]
fn a_waiting_stop_can_be_changed() {
    check(
        "fund ann 100 USD
         fund bob 10 COIN 100 USD
         ann buy a 5 @ 5 stop 7  => ann ack a #1
         ann amend a to 3 at 8   => ann amend ack a 3
         money ann               => USD 76 held 24
         bob sell x 1 @ 7        => bob ack x #2
         bob buy y 1 @ 7         => bob ack y #3 | bob trade x 1 @ 7 t1 maker | bob trade y 1 @ 7 t1 taker \
            | ann triggered a
         book                    => 3 @ 8 / -",
    );
}

#[test]
fn an_iceberg_keeps_its_display_through_a_change() {
    check(
        "fund ann 100 USD
         ann buy a 10 @ 5 shows 2  => ann ack a #1
         ann amend a at 6          => ann amend ack a 10
         book                      => 2 @ 6 / -
         ann amend a to 1          => ann amend ack a 1
         book                      => 1 @ 6 / -",
    );
}

// ---- self-trade prevention ------------------------------------------------------------------------------------------

#[test]
fn prevention_cancels_the_newest() {
    check(
        "fund ann 100 USD 10 COIN
         ann sell a 3 @ 5            => ann ack a #1
         ann buy b 5 @ 5 stp newest  => ann ack b #2 | ann prevented b 5
         book                        => - / 3 @ 5
         money ann                   => COIN 7 held 3, USD 100",
    );
}

#[test]
fn prevention_cancels_the_oldest_and_goes_on() {
    check(
        "fund ann 100 USD 10 COIN
         fund bob 10 COIN
         ann sell a 3 @ 5            => ann ack a #1
         bob sell x 3 @ 5            => bob ack x #2
         ann buy b 5 @ 5 stp oldest  => ann ack b #3 | ann prevented a 3 | bob trade x 3 @ 5 t1 maker \
            | ann trade b 3 @ 5 t1 taker
         book                        => 2 @ 5 / -",
    );
}

#[test]
fn prevention_cancels_both() {
    check(
        "fund ann 100 USD 10 COIN
         ann sell a 3 @ 5          => ann ack a #1
         ann buy b 5 @ 5 stp both  => ann ack b #2 | ann prevented a 3 | ann prevented b 5
         book                      => - / -
         money ann                 => COIN 10, USD 100",
    );
}

#[test]
fn prevention_takes_as_much_from_both() {
    check(
        "fund ann 100 USD 10 COIN
         ann sell a 3 @ 5               => ann ack a #1
         ann buy b 5 @ 5 stp decrement  => ann ack b #2 | ann decremented a 3 | ann decremented b 3
         book                           => 2 @ 5 / -
         money ann                      => COIN 10, USD 90 held 10",
    );
}

#[test]
fn a_fok_does_not_count_what_prevention_keeps_from_it() {
    check(
        "fund ann 100 USD 10 COIN
         fund bob 10 COIN
         ann sell a 3 @ 5                => ann ack a #1
         bob sell x 3 @ 5                => bob ack x #2
         ann buy b 5 @ 5 fok stp oldest  => ann ack b #3 | ann expired b 5
         ann buy c 5 @ 5 fok stp newest  => ann ack c #4 | ann expired c 5
         book                            => - / 6 @ 5",
    );
}

#[test]
fn an_amend_that_meets_its_own_account_is_prevented_too() {
    check(
        "fund ann 100 USD 10 COIN
         ann sell a 3 @ 7            => ann ack a #1
         ann buy b 5 @ 5 stp newest  => ann ack b #2
         ann amend b at 7            => ann amend ack b 5 | ann prevented b 5
         money ann                   => COIN 7 held 3, USD 100",
    );
}

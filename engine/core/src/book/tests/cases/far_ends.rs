//! The largest numbers and the longest sweeps.

use super::super::script::check;

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

#[test]
fn one_taker_may_go_through_five_thousand_refills() {
    let icebergs = || (0..1000).map(|number| format!("iceberg{number}"));
    let mut script: String = icebergs().map(|name| format!("sell {name} 10 @ 101 shows 2\n")).collect();
    let fill = |name: String, left: u64| match left {
        0 => format!("fill {name} whale 2 @ 101"),
        left => format!("fill {name} whale 2 @ 101 leaves {left}"),
    };
    let fills: Vec<String> =
        [8, 6, 4, 2, 0].into_iter().flat_map(|left| icebergs().map(move |name| fill(name, left))).collect();
    script += &format!("buy whale 10001 @ 101 => {} | rest whale 1 @ 101\n", fills.join(" | "));
    script += "show => bids 101 x 1 | asks -\n";
    check(&script);
}

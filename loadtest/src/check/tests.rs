//! Each test plays a short feed, with one planted fault or none, and lists all that must be noticed.

use super::*;

/// Plays lines of a tiny feed language and compares the violations, as text, one a line.
///
/// ```text
/// ack            snap SEQ [bid ask]     up PREV SEQ [b|a PRICE QTY]...     trade ID SEQ     gap FROM TO     status STATE     raw JSON
/// ```
#[track_caller]
fn check(feed: &str, expected: &[&str]) {
    let follower = play(feed);
    let got: Vec<String> = follower.violations().iter().map(Violation::to_string).collect();
    assert_eq!(got, expected);
    assert_eq!(follower.counts().violations as usize, expected.len());
}

fn play(feed: &str) -> Follower {
    let mut follower = Follower::new("BTC-USDT");
    for line in feed.lines().map(str::trim).filter(|line| !line.is_empty()) {
        follower.apply(&message(line));
    }
    follower
}

fn message(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let broadcast =
        |kind: &str, data: String| format!(r#"{{"channel":"BTC-USDT","type":"{kind}","data":{{{data}}}}}"#);
    match words[..] {
        ["ack"] => r#"{"type":"subscription_ack","channel":"BTC-USDT"}"#.into(),
        ["snap", seq] => broadcast(
            "depth_snapshot",
            format!(r#""seq":{seq},"ts":1,"bids":[["99","1"]],"asks":[["101","1"]]"#),
        ),
        ["up", prev, seq, ref levels @ ..] => {
            let side = |name: &str| -> String {
                let mine = levels.chunks(3).filter(|level| level[0] == name);
                mine.map(|level| format!(r#"["{}","{}"]"#, level[1], level[2])).collect::<Vec<_>>().join(",")
            };
            let (bids, asks) = (side("b"), side("a"));
            broadcast(
                "depth_update",
                format!(r#""prev_seq":{prev},"seq":{seq},"ts":1,"bids":[{bids}],"asks":[{asks}]"#),
            )
        }
        ["status", state] => broadcast("status", format!(r#""state":"{state}","ts":1"#)),
        ["trade", id, seq] => broadcast(
            "trade",
            format!(r#""trade_id":{id},"seq":{seq},"price":"100","quantity":"0.1","side":"buy","ts":1"#),
        ),
        ["gap", from, to] => {
            broadcast("gap", format!(r#""stream":"trade","from":{from},"to":{to},"reason":"slow_consumer""#))
        }
        _ => line.strip_prefix("raw ").expect("a known line").to_owned(),
    }
}

#[test]
fn a_right_feed_is_quiet() {
    check(
        "ack \n snap 10 \n up 10 11 b 100 2 \n trade 5 12 \n up 11 15 b 100 0 a 101 0.5 \n trade 6 16 \n up 15 16",
        &[],
    );
}

#[test]
fn updates_build_the_book() {
    let follower = play("ack \n snap 10 \n up 10 11 b 100 2 a 101 0 a 100.5 3 \n up 11 12 b 99 0");
    assert_eq!(follower.seq(), 12);
    assert_eq!(follower.book().level_count(), 2);
    assert_eq!(follower.book().best_bid().unwrap().0.to_string(), "100");
    assert_eq!(follower.book().best_ask().unwrap().0.to_string(), "100.5");
}

#[test]
fn a_welcome_before_the_ack_is_noticed() {
    check(r#"raw {"type":"hello"}"#, &[r#"first message is not the ack: {"type":"hello"}"#]);
}

#[test]
fn an_ack_with_extra_keys_is_noticed() {
    let ack = r#"{"type":"subscription_ack","channel":"BTC-USDT","id":1}"#;
    check(&format!("raw {ack}\nsnap 1"), &[&format!("bare subscribe, but the ack is {ack}")]);
}

#[test]
fn a_second_ack_is_noticed() {
    check("ack \n snap 1 \n ack", &["subscription_ack was not asked for"]);
}

#[test]
fn data_before_the_snapshot_is_noticed() {
    check("ack \n trade 1 1 \n snap 1", &["trade before the snapshot"]);
}

#[test]
fn a_lost_update_is_noticed_once() {
    check("ack \n snap 10 \n up 10 11 \n up 12 13 \n up 13 14", &["at seq 11, got an update 12 -> 13"]);
}

#[test]
fn a_duplicate_update_is_noticed() {
    check("ack \n snap 10 \n up 10 11 \n up 10 11 \n up 11 12", &["at seq 11, got an update to 11 again"]);
}

#[test]
fn updates_out_of_order_are_noticed() {
    check(
        "ack \n snap 10 \n up 11 12 \n up 10 11",
        &["at seq 10, got an update 11 -> 12", "at seq 12, got an update to 11 again"],
    );
}

#[test]
fn an_update_overlapping_the_last_is_noticed() {
    check("ack \n snap 10 \n up 10 12 \n up 11 13", &["at seq 12, got an update 11 -> 13"]);
}

#[test]
fn a_lapped_reader_goes_on_from_the_fresh_snapshot() {
    let feed = "ack \n snap 10 \n trade 5 10 \n up 10 11 \n gap 6 9 \n snap 50 \n up 50 51 \n trade 10 52";
    check(feed, &[]);
    let follower = play(feed);
    assert_eq!(
        (follower.laps(), follower.counts().gaps, follower.counts().trades_announced_missing),
        (1, 1, 4)
    );
}

#[test]
fn a_lap_does_not_excuse_silent_loss_of_trades() {
    check(
        "ack \n snap 10 \n trade 5 10 \n snap 50 \n trade 10 52",
        &["after trade 5 came 10 without a gap message"],
    );
}

#[test]
fn a_snapshot_from_the_past_is_noticed() {
    check("ack \n snap 10 \n up 10 12 \n snap 11", &["at seq 12, got an older snapshot 11"]);
}

#[test]
fn a_repeated_trade_is_noticed() {
    check("ack \n snap 10 \n trade 5 10 \n trade 5 10", &["after trade 5 came 5 again"]);
}

#[test]
fn trades_whose_seq_runs_backward_are_noticed() {
    check("ack \n snap 10 \n trade 5 12 \n trade 6 11", &["trade seq went back from 12 to 11"]);
}

#[test]
fn a_gap_must_name_exactly_the_missing_trades() {
    check("ack \n snap 10 \n trade 5 10 \n gap 7 9", &["last trade 5, but the gap names 7..=9"]);
    check("ack \n snap 10 \n trade 5 10 \n gap 5 9", &["last trade 5, but the gap names 5..=9"]);
    check(
        "ack \n snap 10 \n trade 5 10 \n gap 6 8 \n trade 10 11",
        &["after trade 8 came 10 without a gap message"],
    );
}

#[test]
fn a_gap_before_any_trade_sets_the_next_id() {
    check("ack \n snap 10 \n gap 3 7 \n trade 9 10", &["after trade 7 came 9 without a gap message"]);
}

#[test]
fn a_crossed_book_is_noticed() {
    check("ack \n snap 10 \n up 10 11 b 101 1", &["book crossed at seq 11: bid 101, ask 101"]);
}

#[test]
fn an_auction_may_cross_the_book_until_it_ends() {
    check("ack \n snap 10 \n status auction \n up 10 11 b 101 1 \n up 11 12 b 101 0 \n status trading", &[]);
    check(
        "ack \n status auction \n snap 10 \n status trading \n up 10 11 b 101 1",
        &["book crossed at seq 11: bid 101, ask 101"],
    );
}

#[test]
fn another_symbol_in_the_channel_is_noticed() {
    check(
        r#"ack
           snap 10
           raw {"channel":"ETH-USDT","type":"depth_update","data":{"prev_seq":10,"seq":11,"ts":1,"bids":[],"asks":[]}}"#,
        &["message of another channel: ETH-USDT"],
    );
}

#[test]
fn a_stream_not_asked_for_is_noticed_and_an_unknown_type_is_not() {
    check(
        r#"ack
           snap 10
           raw {"channel":"BTC-USDT","type":"bbo","data":{}}
           raw {"type":"from_the_future","x":1}"#,
        &["bbo was not asked for"],
    );
}

#[test]
fn a_decimal_with_trailing_zeros_is_malformed() {
    let follower = play("ack \n snap 10 \n up 10 11 b 98.50 1");
    assert!(
        matches!(&follower.violations()[0], Violation::Malformed { error, .. } if error.contains("canonical"))
    );
}

#[test]
fn a_wrong_level_is_found_by_a_fresh_snapshot() {
    let mut follower = play("ack \n snap 10 \n up 10 11 b 99 2");
    follower.compare(&play("ack \n snap 11"));
    assert_eq!(
        follower.violations()[0].to_string(),
        "book differs from a fresh snapshot at seq 11: bid rebuilt 2 @ 99, snapshot 1 @ 99"
    );
}

#[test]
fn books_at_different_sequences_cannot_be_compared() {
    let mut follower = play("ack \n snap 10");
    follower.compare(&play("ack \n snap 11"));
    assert_eq!(follower.violations(), [Violation::NeverMet { local: 10, fresh: 11 }]);
}

#[test]
fn a_flood_of_violations_is_counted_and_the_first_are_kept() {
    let repeats = "up 9 10\n".repeat(VIOLATIONS_KEPT_MAX + 5);
    let follower = play(&format!("ack \n snap 10 \n {repeats}"));
    assert_eq!(follower.violations().len(), VIOLATIONS_KEPT_MAX);
    assert_eq!(follower.counts().violations as usize, VIOLATIONS_KEPT_MAX + 5);
}

#[test]
fn the_name_of_the_channel_says_what_comes() {
    assert_eq!(Wants::of("BTC-USDT"), Wants { depth: true, trade: true, snapshots_only: false });
    assert_eq!(Wants::of("BTC-USDT@depth@100ms"), Wants { depth: true, trade: false, snapshots_only: false });
    assert_eq!(
        Wants::of("BTC-USDT@depth20@100ms"),
        Wants { depth: true, trade: false, snapshots_only: true }
    );
    assert_eq!(Wants::of("BTC-USDT@trade"), Wants { depth: false, trade: true, snapshots_only: false });
}

#[test]
fn a_mark_names_a_message_by_its_number() {
    assert_eq!(Mark::of(&message("up 10 11")), Mark::Update { seq: 11 });
    assert_eq!(Mark::of(&message("trade 7 11")), Mark::Trade { trade_id: 7 });
    assert_eq!(Mark::of(&message("snap 3")), Mark::Snapshot { seq: 3 });
    assert_eq!(Mark::of("{}"), Mark::Other);
}

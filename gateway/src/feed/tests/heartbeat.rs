//! A symbol in which nothing happens says so.

use super::*;

fn beats(desk: &mut Desk, count: usize) -> Vec<Value> {
    for _ in 0..count {
        // Each waits for two and a half milliseconds.
        desk.feed.answer(FeedRequest::Beat(Timestamp(1_000_000)), Timestamp(1_002_500));
    }
    desk.told(View::Heartbeat)
}

#[test]
fn beats_do_not_gather_while_the_feed_is_held_up() {
    let mut desk = Desk::new();
    desk.open(View::TimedDepth);
    (1..=10_000).for_each(|beat| desk.registry.beat(Timestamp(beat)));
    desk.open(View::Heartbeat); // there is place for it
    assert_eq!(desk.feed.beats, 1);
    desk.beat(Timestamp(10_001));
    assert_eq!(desk.feed.beats, 2);
    assert!(!desk.feed.wants_publish());
}

#[test]
fn once_a_second_and_only_then() {
    let mut desk = Desk::new();
    desk.open(View::Heartbeat);
    assert_eq!(beats(&mut desk, 10).len(), 1);
    // Two changes of one level in a batch: the first is never told.
    desk.command(Timestamp(7), &[], &[(Side::Buy, 100, 5)]);
    desk.command(Timestamp(8), &[], &[(Side::Buy, 100, 6)]);
    desk.feed.publish();
    assert_eq!(beats(&mut desk, 10), [Value::Null; 0], "something has happened");
    let told = beats(&mut desk, 10);
    let expected = json!({"channel": "BTC-USDT", "type": "heartbeat", "data":
        {"seq": 2, "trade_id": 0, "ts": 1_000_000, "lag_ms": 2, "conflated": 1}});
    assert_eq!(Value::from(told), json!([expected]));
    assert_eq!(beats(&mut desk, 20), [expected.clone(), expected.clone()], "every second");
    assert_eq!(desk.snapshot(View::Heartbeat), [expected], "who joins is told at once");
}

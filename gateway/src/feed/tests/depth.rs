//! Who follows a timed view has, after each beat, the book that the plain levels have; whenever it joined.

use super::*;
use crate::wire::name::{KlineInterval, Name, TopLevels};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Prices and quantities as written, by side.
type Book = [BTreeMap<String, String>; 2];

const SIDES: [(&str, Side); 2] = [("bids", Side::Buy), ("asks", Side::Sell)];

/// A client of the conflated view.
struct Follower {
    sequence: u64,
    book: Book,
}

impl Follower {
    fn join(snapshot: &[Value]) -> Self {
        let [snapshot] = snapshot else { panic!("one snapshot, not {snapshot:?}") };
        assert_eq!(snapshot["type"], "depth_snapshot");
        assert_eq!(snapshot["data"]["depth"], Value::Null);
        let mut follower =
            Self { sequence: snapshot["data"]["seq"].as_u64().unwrap(), book: Book::default() };
        follower.take(&snapshot["data"]);
        follower
    }

    /// By the rule of the protocol.
    fn apply(&mut self, update: &Value) {
        let (prev, sequence) = (update["data"]["prev_seq"].as_u64(), update["data"]["seq"].as_u64().unwrap());
        assert_eq!((&update["type"], prev), (&"depth_update".into(), Some(self.sequence)), "the chain holds");
        assert!(sequence > self.sequence);
        self.sequence = sequence;
        self.take(&update["data"]);
    }

    fn take(&mut self, data: &Value) {
        for (of_side, (key, _)) in self.book.iter_mut().zip(SIDES) {
            for (price, total) in pairs(&data[key]) {
                match total.as_str() {
                    "0" => drop(of_side.remove(&price)),
                    _ => drop(of_side.insert(price, total)),
                }
            }
        }
    }
}

fn pairs(levels: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a decimal").to_owned();
    levels.as_array().expect("levels").iter().map(|level| (text(&level[0]), text(&level[1]))).collect()
}

/// The plain book, in the form in which messages have it, best first.
fn plain(levels: &BTreeMap<(u8, u64), u64>, side: Side) -> Vec<(String, String)> {
    let of_side = levels.iter().filter(|((of, _), total)| *of == side as u8 && **total > 0);
    let write = |steps: u64, decimals: usize| {
        let digits = format!("{steps:0>width$}", width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let text = format!("{whole}.{}", fraction.trim_end_matches('0'));
        text.trim_end_matches('.').to_owned()
    };
    let mut pairs: Vec<_> = of_side.map(|((_, price), total)| (write(*price, 2), write(*total, 5))).collect();
    if side == Side::Buy {
        pairs.reverse();
    }
    pairs
}

#[derive(Clone, Debug)]
enum Step {
    /// Commands of one batch.
    Batch(Vec<Vec<(bool, u64, u64)>>),
    Beat,
    Join,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let level = (any::<bool>(), 100u64..112, 0u64..4);
    let batch = prop::collection::vec(prop::collection::vec(level, 0..4), 1..4);
    let step = prop_oneof![4 => batch.prop_map(Step::Batch), 2 => Just(Step::Beat), 1 => Just(Step::Join)];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #[test]
    fn timed_views_are_the_plain_book_at_each_beat(steps in steps()) {
        let mut desk = Desk::new();
        desk.open(View::TimedDepth);
        TopLevels::ALL.iter().for_each(|levels| desk.open(View::Top(*levels)));
        let mut book = BTreeMap::new();
        let mut followers = vec![Follower::join(&desk.snapshot(View::TimedDepth))];
        let mut tops = BTreeMap::new();
        for step in steps.into_iter().chain([Step::Beat, Step::Beat]) {
            match step {
                Step::Batch(commands) => {
                    for command in commands {
                        let side = |is_buy| if is_buy { Side::Buy } else { Side::Sell };
                        let levels: Vec<_> = command.iter().map(|(is_buy, price, total)| (side(*is_buy), *price, *total)).collect();
                        book.extend(levels.iter().map(|(side, price, total)| ((*side as u8, *price), *total)));
                        desk.command(Timestamp(1), &[], &levels);
                    }
                    desk.feed.publish();
                    prop_assert_eq!(desk.told(View::TimedDepth).len(), 0, "nothing is told between two beats");
                }
                Step::Join => followers.push(Follower::join(&desk.snapshot(View::TimedDepth))),
                Step::Beat => {
                    let was_behind = followers[0].sequence != desk.sequence();
                    desk.beat(Timestamp(2));
                    let told = desk.told(View::TimedDepth);
                    prop_assert_eq!(told.len(), was_behind as usize, "one update, if there is any news");
                    for follower in &mut followers {
                        told.iter().for_each(|update| follower.apply(update));
                        prop_assert_eq!(follower.sequence, desk.sequence());
                        for (of_side, (_, side)) in follower.book.iter().zip(SIDES) {
                            prop_assert_eq!(of_side, &plain(&book, side).into_iter().collect());
                        }
                    }
                    for levels in TopLevels::ALL {
                        let top = SIDES.map(|(_, side)| plain(&book, side).into_iter().take(levels.count()).collect::<Vec<_>>());
                        let told = desk.told(View::Top(*levels));
                        let before = tops.insert(*levels, top.clone()).unwrap_or_default();
                        prop_assert_eq!(told.len(), (before != top) as usize, "told when it has changed");
                        for message in told.iter().chain(&desk.snapshot(View::Top(*levels))) {
                            let data = &message["data"];
                            prop_assert_eq!((&message["type"], &data["depth"]), (&"depth_snapshot".into(), &levels.count().into()));
                            prop_assert_eq!(&SIDES.map(|(key, _)| pairs(&data[key])), &top);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_change_that_is_taken_back_moves_the_sequence_and_nothing_else() {
    let mut desk = Desk::new();
    desk.open(View::TimedDepth);
    desk.open(View::Top(TopLevels::Five));
    desk.command(Timestamp(7), &[], &[(Side::Buy, 100, 5)]);
    desk.command(Timestamp(8), &[], &[(Side::Buy, 100, 0)]);
    desk.beat(Timestamp(9));
    let expected = json!([{"channel": "BTC-USDT", "type": "depth_update", "data":
        {"prev_seq": 0, "seq": 2, "ts": 8, "bids": [], "asks": []}}]);
    assert_eq!(Value::from(desk.told(View::TimedDepth)), expected);
    assert_eq!(desk.told(View::Top(TopLevels::Five)), [Value::Null; 0]);
}

#[test]
fn nothing_is_told_to_empty_rooms_and_who_comes_back_has_the_newest() {
    let mut desk = Desk::new();
    let views = [
        View::TimedDepth,
        View::Top(TopLevels::Five),
        View::Ticker,
        View::Kline(KlineInterval::Second),
        View::Heartbeat,
    ];
    views.iter().for_each(|view| desk.open(*view));
    let before: Vec<_> = views.iter().map(|view| desk.snapshot(*view)).collect();
    let rooms = views.map(|view| desk.readers[&view].0.clone());
    rooms.iter().for_each(|room| room.remove_reader(REACTOR));
    for round in 1..=30 {
        desk.command(Timestamp(round), &[], &[(Side::Buy, 100 + round, 5)]);
        desk.feed.publish();
        desk.beat(Timestamp(round));
    }
    for (view, room) in views.iter().zip(&rooms) {
        assert_eq!(desk.told(*view), [Value::Null; 0], "{view:?}");
        assert!(room.snapshot().is_none(), "{view:?}: an old one is for nobody");
        room.add_reader(REACTOR);
    }
    // Whatever the beat finds first, the snapshot or the reader.
    desk.beat(Timestamp(31));
    let after: Vec<_> = views.iter().map(|view| desk.snapshot(*view)).collect();
    for of_book in 0..2 {
        assert_eq!(
            (&before[of_book][0]["data"]["seq"], &after[of_book][0]["data"]["seq"]),
            (&0.into(), &30.into())
        );
        assert_eq!(after[of_book][0]["data"]["bids"][0], json!(["1.3", "0.00005"]));
    }
    assert_eq!((&after[2][0]["data"]["bid"], &after[4][0]["data"]["seq"]), (&"1.3".into(), &30.into()));
    desk.command(Timestamp(32), &[], &[(Side::Buy, 200, 5)]);
    desk.beat(Timestamp(33));
    let told = desk.told(View::TimedDepth);
    assert_eq!((&told[0]["data"]["prev_seq"], &told[0]["data"]["seq"]), (&30.into(), &31.into()));
    assert_eq!((told.len(), desk.told(View::Top(TopLevels::Five)).len()), (1, 1));
}

#[test]
fn a_view_goes_on_while_somebody_is_in_one_of_its_rooms() {
    let mut desk = Desk::new();
    desk.open(View::TimedDepth);
    let compressed = desk.registry.room(SYMBOL, View::TimedDepth, Packing::Deflate).expect("there is room");
    let mut follower = Follower::join(&desk.snapshot(View::TimedDepth));
    desk.command(Timestamp(1), &[], &[(Side::Buy, 100, 5)]);
    desk.beat(Timestamp(2)); // nobody is in the compressed room
    compressed.add_reader(REACTOR);
    assert!(desk.registry.want_snapshot(&compressed));
    desk.command(Timestamp(3), &[], &[(Side::Buy, 100, 0)]);
    desk.beat(Timestamp(4));
    assert!(compressed.snapshot().is_some());
    desk.told(View::TimedDepth).iter().for_each(|update| follower.apply(update));
    assert_eq!(follower.sequence, 2);
}

#[test]
fn what_was_before_a_change_of_state_is_told_before_it() {
    let mut desk = Desk::new();
    desk.open(View::TimedDepth);
    desk.command(Timestamp(7), &[], &[(Side::Buy, 100, 5)]);
    desk.feed.event(&MarketEvent::State(SYMBOL, SymbolState::Auction, Timestamp(8)));
    desk.command(Timestamp(9), &[], &[(Side::Sell, 90, 5)]);
    desk.feed.publish();
    desk.beat(Timestamp(10));
    let told = desk.told(View::TimedDepth);
    let types: Vec<_> = told.iter().map(|message| message["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["depth_update", "status", "depth_update"]);
    let snapshot = desk.snapshot(View::TimedDepth);
    assert_eq!((&snapshot[0]["type"], &snapshot[1]["data"]["seq"]), (&"status".into(), &2.into()));
}

#[test]
fn rooms_that_nobody_asked_for_get_no_beat() {
    let mut desk = Desk::new();
    desk.open(View::DepthTrade);
    desk.command(Timestamp(7), &[], &[(Side::Buy, 100, 5)]);
    desk.feed.publish();
    desk.registry.beat(Timestamp(8));
    assert!(!desk.feed.wants_publish(), "nothing was asked of the feed");
    assert!(desk.feed.symbols[&SYMBOL].timed.is_none());
}

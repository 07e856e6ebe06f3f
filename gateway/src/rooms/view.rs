//! Channel names and what they stand for.
//!
//! A room is a symbol and a view. Every spelling of a subscription leads to the same few rooms, so that all who want
//! the same bytes share them.

use crate::wire::name::{KlineInterval, Name, Stream, TopLevels};
use crate::wire::request::Streams;

/// What of a symbol a room tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum View {
    /// Depth and trades in one stream: what a bare subscription gets.
    DepthTrade,
    Depth,
    Trade,
    Bbo,
    /// Changes of levels, those between two beats together.
    TimedDepth,
    /// The best levels, if they have changed since the last beat.
    Top(TopLevels),
    /// What a day's trades come to.
    Ticker,
    /// The candle that is open, and its end.
    Kline(KlineInterval),
    /// Where the symbol stands, if nothing has happened for a second.
    Heartbeat,
}

impl View {
    pub const ALL: [View; 17] = [
        View::DepthTrade,
        View::Depth,
        View::Trade,
        View::Bbo,
        View::TimedDepth,
        View::Top(TopLevels::Five),
        View::Top(TopLevels::Ten),
        View::Top(TopLevels::Twenty),
        View::Ticker,
        View::Kline(KlineInterval::Second),
        View::Kline(KlineInterval::Minute),
        View::Kline(KlineInterval::Minutes5),
        View::Kline(KlineInterval::Minutes15),
        View::Kline(KlineInterval::Hour),
        View::Kline(KlineInterval::Hours4),
        View::Kline(KlineInterval::Day),
        View::Heartbeat,
    ];

    /// The view of a stream, where `depth` is that of depth.
    const fn of(stream: Stream, depth: View) -> View {
        match stream {
            Stream::Depth => depth,
            Stream::Trade => View::Trade,
            Stream::Bbo => View::Bbo,
            Stream::Ticker => View::Ticker,
            Stream::Kline1s => View::Kline(KlineInterval::Second),
            Stream::Kline1m => View::Kline(KlineInterval::Minute),
            Stream::Kline5m => View::Kline(KlineInterval::Minutes5),
            Stream::Kline15m => View::Kline(KlineInterval::Minutes15),
            Stream::Kline1h => View::Kline(KlineInterval::Hour),
            Stream::Kline4h => View::Kline(KlineInterval::Hours4),
            Stream::Kline1d => View::Kline(KlineInterval::Day),
            Stream::Heartbeat => View::Heartbeat,
        }
    }

    /// The streams that this is a view of.
    pub const fn streams(self) -> Streams {
        Streams::NONE.with(match self {
            View::DepthTrade => return Streams::DEFAULT,
            View::Depth | View::TimedDepth | View::Top(_) => Stream::Depth,
            View::Trade => Stream::Trade,
            View::Bbo => Stream::Bbo,
            View::Ticker => Stream::Ticker,
            View::Kline(KlineInterval::Second) => Stream::Kline1s,
            View::Kline(KlineInterval::Minute) => Stream::Kline1m,
            View::Kline(KlineInterval::Minutes5) => Stream::Kline5m,
            View::Kline(KlineInterval::Minutes15) => Stream::Kline15m,
            View::Kline(KlineInterval::Hour) => Stream::Kline1h,
            View::Kline(KlineInterval::Hours4) => Stream::Kline4h,
            View::Kline(KlineInterval::Day) => Stream::Kline1d,
            View::Heartbeat => Stream::Heartbeat,
        })
    }

    pub const fn has(self, stream: Stream) -> bool {
        self.streams().has(stream)
    }

    /// Whether a room of this view gets every frame of the other.
    pub const fn carries(self, other: View) -> bool {
        self.bits() & other.bits() == other.bits()
    }

    /// Whether it is told at beats instead of when something happens.
    pub const fn is_timed(self) -> bool {
        !matches!(self, View::DepthTrade | View::Depth | View::Trade | View::Bbo)
    }

    /// Whether each of its messages says all that there is, so that only the newest counts.
    pub const fn is_latest(self) -> bool {
        self.is_timed() && !matches!(self, View::TimedDepth)
    }

    /// The view of depth that a subscription asks for.
    pub const fn of_depth(levels: Option<TopLevels>, is_timed: bool) -> View {
        match levels {
            Some(levels) => View::Top(levels),
            None if is_timed => View::TimedDepth,
            None => View::Depth,
        }
    }

    /// Each view has a bit of its own, but for the one that is two together.
    const fn bits(self) -> u16 {
        match self {
            View::DepthTrade => View::Depth.bits() | View::Trade.bits(),
            View::Depth => 1,
            View::Trade => 1 << 1,
            View::Bbo => 1 << 2,
            View::TimedDepth => 1 << 3,
            View::Top(levels) => 1 << (4 + levels as usize),
            View::Ticker => 1 << 7,
            View::Kline(interval) => 1 << (8 + interval as usize),
            View::Heartbeat => 1 << 15,
        }
    }
}

/// A set of views that no stream is in twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Views(u16);

impl Views {
    /// The fewest views that together are of exactly `streams`; `depth` is the one of depth.
    pub fn covering(streams: Streams, depth: View) -> Views {
        Views(streams.iter().fold(0, |bits, stream| bits | View::of(stream, depth).bits()))
    }

    pub fn iter(self) -> impl Iterator<Item = View> {
        let has = move |view: View| self.0 & view.bits() == view.bits();
        let is_part = move |view| has(View::DepthTrade) && matches!(view, View::Depth | View::Trade);
        View::ALL.into_iter().filter(move |view| has(*view) && !is_part(*view))
    }

    /// The streams that these are views of.
    pub fn streams(self) -> Streams {
        self.iter().flat_map(|view| view.streams().iter()).fold(Streams::NONE, Streams::with)
    }
}

/// A channel name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel<'a> {
    /// The private channel of the account.
    User,
    /// Views of a symbol, or of all that match if there is a `*` in it; `None` for a bare one, whose streams the request may name.
    Market { symbol: &'a str, views: Option<Views> },
}

/// Why a name is not that of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoChannel {
    /// It is like none of them.
    Unknown,
    /// It is like one, but for a part of it.
    Wrong { rule: &'static str },
}

impl<'a> Channel<'a> {
    pub fn parse(name: &'a str) -> Result<Self, NoChannel> {
        if name == "user" {
            return Ok(Channel::User);
        }
        Ok(match name.split_once('@') {
            None => Channel::Market { symbol: name, views: None },
            Some((symbol, stream)) => Channel::Market { symbol, views: Some(views_of(stream)?) },
        })
    }
}

impl Channel<'_> {
    /// What stands before the first `@` of a channel name.
    pub fn symbol_of(name: &str) -> &str {
        name.split_once('@').map_or(name, |(symbol, _)| symbol)
    }
}

/// The one there is ([`INTERVAL_MS`](crate::wire::request::INTERVAL_MS)), as it is written in a channel name.
const INTERVAL: &str = "100ms";

/// What stands behind the first `@` of a channel name.
fn views_of(text: &str) -> Result<Views, NoChannel> {
    let (stream, interval) = match text.split_once('@') {
        Some((stream, interval)) => (stream, Some(interval)),
        None => (text, None),
    };
    if let Some(stream) = Stream::from_text(stream).filter(|stream| *stream != Stream::Depth) {
        return match interval {
            None => Ok(Views::covering(Streams::NONE.with(stream), View::Depth)),
            Some(_) => Err(wrong("channel: only depth has a time between two updates")),
        };
    }
    if stream.starts_with("kline") {
        return Err(wrong("channel: candles are kline_1s, _1m, _5m, _15m, _1h, _4h or _1d"));
    }
    let levels = match stream.strip_prefix("depth").ok_or(NoChannel::Unknown)? {
        "" => None,
        number => match TopLevels::from_text(number) {
            None => return Err(wrong("channel: depth has 5, 10 or 20 levels")),
            levels => levels,
        },
    };
    let is_timed = match interval {
        None => false,
        Some(INTERVAL) => true,
        Some(_) => return Err(wrong("channel: the time between two updates is 100ms")),
    };
    Ok(Views::covering(Streams::NONE.with(Stream::Depth), View::of_depth(levels, is_timed)))
}

fn wrong(rule: &'static str) -> NoChannel {
    NoChannel::Wrong { rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views(name: &str) -> Vec<View> {
        match Channel::parse(name) {
            Ok(Channel::Market { symbol: "BTC-USDT", views: Some(views) }) => views.iter().collect(),
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn every_spelling_leads_to_the_fewest_rooms() {
        let covering = |streams, depth| Views::covering(streams, depth).iter().collect::<Vec<_>>();
        assert_eq!(covering(Streams::DEFAULT, View::Depth), [View::DepthTrade]);
        let with_bbo = Streams::DEFAULT.with(Stream::Bbo);
        assert_eq!(covering(with_bbo, View::Depth), [View::DepthTrade, View::Bbo]);
        assert_eq!(covering(with_bbo, View::TimedDepth), [View::Trade, View::Bbo, View::TimedDepth]);
        assert_eq!(covering(Streams::NONE.with(Stream::Trade), View::Depth), [View::Trade]);
        assert_eq!(Channel::parse("user"), Ok(Channel::User));
        assert_eq!(views("BTC-USDT@depth"), [View::Depth]);
        assert_eq!(views("BTC-USDT@depth@100ms"), [View::TimedDepth]);
        assert_eq!(views("BTC-USDT@depth20@100ms"), [View::Top(TopLevels::Twenty)]);
        assert_eq!(views("BTC-USDT@depth5"), [View::Top(TopLevels::Five)]);
        assert_eq!(views("BTC-USDT@kline_15m"), [View::Kline(KlineInterval::Minutes15)]);
        for view in View::ALL {
            let depth = if view.has(Stream::Depth) && view != View::DepthTrade { view } else { View::Depth };
            assert_eq!(covering(view.streams(), depth), [view], "a view and its streams are the same thing");
        }
    }

    #[test]
    fn what_is_wrong_with_a_channel_is_told_from_no_channel_at_all() {
        for name in ["@nonsense", "@dept", "@", "@@100ms", "@trades"] {
            assert_eq!(Channel::parse(&format!("BTC-USDT{name}")), Err(NoChannel::Unknown), "{name}");
        }
        for (word, names) in [
            ("levels", &["@depth7", "@depth0@100ms", "@depthx", "@depth05"][..]),
            (
                "100ms",
                &[
                    "@depth@250ms",
                    "@depth20@1000ms",
                    "@depth@0ms",
                    "@depth@fast",
                    "@depth@100",
                    "@depth@",
                    "@depth@ms",
                    "@depth@+100ms",
                    "@depth@0100ms",
                ],
            ),
            ("only depth", &["@trade@100ms", "@kline_1m@100ms", "@bbo@"]),
            ("candles", &["@kline_2m", "@kline", "@kline_1m1", "@kline_2m@100ms"]),
        ] {
            for name in names {
                match Channel::parse(name) {
                    Err(NoChannel::Wrong { rule }) => assert!(rule.contains(word), "{name}: {rule}"),
                    other => panic!("{name}: {other:?}"),
                }
            }
        }
    }
}

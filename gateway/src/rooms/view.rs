//! Channel names and what they stand for.
//!
//! A room is a symbol and a view. Every spelling of a subscription leads to the same few rooms, so that all who want
//! the same bytes share them.

use crate::wire::name::Stream;
use crate::wire::request::Streams;

/// Which streams of a symbol a room carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum View {
    /// Depth and trades in one stream: what a bare subscription gets.
    DepthTrade,
    Depth,
    Trade,
    Bbo,
}

impl View {
    pub const ALL: [View; 4] = [View::DepthTrade, View::Depth, View::Trade, View::Bbo];

    pub fn has(self, stream: Stream) -> bool {
        match self {
            View::DepthTrade => matches!(stream, Stream::Depth | Stream::Trade),
            View::Depth => stream == Stream::Depth,
            View::Trade => stream == Stream::Trade,
            View::Bbo => stream == Stream::Bbo,
        }
    }

    /// The views that together carry exactly `streams`.
    pub fn covering(streams: Streams) -> impl Iterator<Item = View> {
        let both = streams.has(Stream::Depth) && streams.has(Stream::Trade);
        let wanted = move |view: &View| match view {
            View::DepthTrade => both,
            View::Depth => streams.has(Stream::Depth) && !both,
            View::Trade => streams.has(Stream::Trade) && !both,
            View::Bbo => streams.has(Stream::Bbo),
        };
        View::ALL.into_iter().filter(wanted)
    }
}

/// A channel name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel<'a> {
    /// The private channel of the account.
    User,
    /// Streams of a symbol; `None` for a bare symbol, whose streams the request may name.
    Market { symbol: &'a str, streams: Option<Streams> },
}

impl<'a> Channel<'a> {
    /// `None` if it is no channel this version knows.
    pub fn parse(name: &'a str) -> Option<Self> {
        if name == "user" {
            return Some(Channel::User);
        }
        let (symbol, stream) = match name.split_once('@') {
            None => return Some(Channel::Market { symbol: name, streams: None }),
            Some(parts) => parts,
        };
        let stream = match stream {
            "depth" => Stream::Depth,
            "trade" => Stream::Trade,
            "bbo" => Stream::Bbo,
            _ => return None,
        };
        Some(Channel::Market { symbol, streams: Some(Streams::NONE.with(stream)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_leads_to_the_fewest_rooms() {
        let covering = |streams| View::covering(streams).collect::<Vec<_>>();
        assert_eq!(covering(Streams::DEFAULT), [View::DepthTrade]);
        assert_eq!(covering(Streams::DEFAULT.with(Stream::Bbo)), [View::DepthTrade, View::Bbo]);
        assert_eq!(covering(Streams::NONE.with(Stream::Trade)), [View::Trade]);
        let depth = Channel::parse("BTC-USDT@depth").unwrap();
        assert_eq!(
            depth,
            Channel::Market { symbol: "BTC-USDT", streams: Some(Streams::NONE.with(Stream::Depth)) }
        );
        assert_eq!(Channel::parse("user"), Some(Channel::User));
        assert_eq!(Channel::parse("BTC-USDT@nonsense"), None);
    }
}

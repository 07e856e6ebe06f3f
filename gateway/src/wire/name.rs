//! The closed vocabularies of the protocol: words that stand for one of a few things.

use engine_core::message::{AccountState, SymbolState};
use engine_core::units::{SelfTrade, Side, Timestamp};

/// An enum whose values are words on the wire.
pub trait Name: Copy + Sized + 'static {
    /// Every value, in the order that messages list them.
    const ALL: &'static [Self];

    /// The word.
    fn text(self) -> &'static str;

    /// The value of a word. Lists are short, and their words differ early: a scan is as fast as it gets.
    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.text() == text)
    }

    /// All words, for a message that says what would have been right.
    fn list() -> String {
        Self::ALL.iter().map(|value| value.text()).collect::<Vec<_>>().join(", ")
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $text:literal)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl Name for $name {
            const ALL: &'static [Self] = &[$($name::$variant,)+];

            fn text(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }
    )+};
}

names! {
    /// A kind of market data that can be subscribed to on its own.
    Stream {
        /// Snapshot, then changes of levels.
        Depth "depth"
        /// Every trade.
        Trade "trade"
        /// The best bid and offer.
        Bbo "bbo"
        /// What a day's trades come to.
        Ticker "ticker"
        /// Candles of a second.
        Kline1s "kline_1s"
        /// Candles of a minute.
        Kline1m "kline_1m"
        /// Candles of five minutes.
        Kline5m "kline_5m"
        /// Candles of a quarter of an hour.
        Kline15m "kline_15m"
        /// Candles of an hour.
        Kline1h "kline_1h"
        /// Candles of four hours.
        Kline4h "kline_4h"
        /// Candles of a day.
        Kline1d "kline_1d"
        /// A word when nothing else is said.
        Heartbeat "heartbeat"
    }
    /// How long a candle is. Each is a whole number of the one before it.
    KlineInterval {
        /// A second.
        Second "1s"
        /// A minute.
        Minute "1m"
        /// Five minutes.
        Minutes5 "5m"
        /// A quarter of an hour.
        Minutes15 "15m"
        /// An hour.
        Hour "1h"
        /// Four hours.
        Hours4 "4h"
        /// A day, of UTC.
        Day "1d"
    }
    /// Levels a side that a view of the best levels may have.
    TopLevels {
        /// Five.
        Five "5"
        /// Ten.
        Ten "10"
        /// Twenty.
        Twenty "20"
    }
    /// What happens to a subscriber that reads too slowly.
    OnSlow {
        /// It gets newer data instead of all data, and is told what is missing.
        Conflate "conflate"
        /// The same: what is missing is announced in any case.
        Gap "gap"
        /// It is disconnected.
        Disconnect "disconnect"
    }
    /// The kinds of orders.
    OrderType {
        /// Trades at its price or better.
        Limit "limit"
        /// Trades at any price, never rests.
        Market "market"
        /// A post-only limit order.
        LimitMaker "limit_maker"
        /// A market order once a trade reaches its stop price.
        Stop "stop"
        /// A limit order once a trade reaches its stop price.
        StopLimit "stop_limit"
        /// A stop whose price follows the market.
        TrailingStop "trailing_stop"
        /// A limit order and a stop, one of which cancels the other.
        Oco "oco"
    }
    /// What happens to what does not trade at once, as requests say it.
    Tif {
        /// It rests.
        Gtc "gtc"
        /// It is cancelled.
        Ioc "ioc"
        /// Without a complete fill nothing trades.
        Fok "fok"
        /// It rests until a time.
        Gtd "gtd"
    }
    /// How a login is signed.
    SignatureAlgorithm {
        /// Ed25519, signature in base64.
        Ed25519 "ed25519"
        /// HMAC-SHA256, signature in hex.
        HmacSha256 "hmac-sha256"
    }
    /// Whose orders go when a connection does.
    CancelScope {
        /// The orders this connection sent.
        Connection "connection"
        /// All orders of its account.
        Account "account"
    }
    /// Where an order is in its life.
    OrderStatus {
        /// In the book, or about to be, nothing filled.
        New "new"
        /// Some of it filled, the rest is open.
        PartiallyFilled "partially_filled"
        /// All of it filled.
        Filled "filled"
        /// Ended by its owner, or by its own time in force.
        Canceled "canceled"
        /// Never accepted.
        Rejected "rejected"
        /// Ended by time.
        Expired "expired"
    }
    /// What an execution report reports.
    ExecType {
        /// The order was accepted.
        New "new"
        /// Its stop price was reached.
        Triggered "triggered"
        /// It traded.
        Trade "trade"
        /// It was cancelled.
        Canceled "canceled"
        /// It was amended.
        Replaced "replaced"
        /// It ended by time.
        Expired "expired"
        /// It was refused.
        Rejected "rejected"
        /// Self-trade prevention acted.
        Stp "stp"
    }
    /// What an entry of an account's history is, by the type of its message.
    EntryKind {
        /// Something happened to an order.
        Execution "execution_report"
        /// Balances changed.
        Balance "balance_update"
    }
    /// Which part an order played in a trade.
    Liquidity {
        /// It was resting.
        Maker "maker"
        /// It arrived.
        Taker "taker"
        /// It was resting, and so was the other: an auction brought them together.
        Auction "auction"
    }
    /// Why an order ended, where its end does not speak for itself.
    EndReason {
        /// It was to trade at once, and this part could not.
        Unfilled "unfilled"
        /// Its time was over.
        TimedOut "timed_out"
        /// It met an order of its own account.
        SelfTrade "self_trade"
        /// Its stop price was reached, and its limit was outside the price band.
        PriceBand "price_band"
        /// Its symbol is no longer listed.
        Delisted "delisted"
    }
    /// Why messages are missing from a stream.
    GapReason {
        /// The subscriber read too slowly.
        SlowConsumer "slow_consumer"
    }
}

impl TopLevels {
    /// The number.
    pub const fn count(self) -> usize {
        match self {
            TopLevels::Five => 5,
            TopLevels::Ten => 10,
            TopLevels::Twenty => 20,
        }
    }
}

impl KlineInterval {
    /// Its length in microseconds.
    pub const fn us(self) -> u64 {
        let seconds = match self {
            KlineInterval::Second => 1,
            KlineInterval::Minute => 60,
            KlineInterval::Minutes5 => 5 * 60,
            KlineInterval::Minutes15 => 15 * 60,
            KlineInterval::Hour => 60 * 60,
            KlineInterval::Hours4 => 4 * 60 * 60,
            KlineInterval::Day => 24 * 60 * 60,
        };
        seconds * 1_000_000
    }

    /// When the interval began that `at` is in.
    pub const fn start(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0 - at.0 % self.us())
    }
}

/// The engine's own enums that have words, too.
macro_rules! names_of {
    ($($name:ident { $($variant:ident $text:literal)+ })+) => {$(
        impl Name for $name {
            const ALL: &'static [Self] = &[$($name::$variant,)+];

            fn text(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }
    )+};
}

names_of! {
    Side { Buy "buy" Sell "sell" }
    SelfTrade {
        Allow "none"
        CancelNewest "cancel_newest"
        CancelOldest "cancel_oldest"
        CancelBoth "cancel_both"
        Decrement "decrement"
    }
    SymbolState {
        Trading "trading"
        CancelOnly "cancel_only"
        Halted "halted"
        Auction "auction"
        Delisted "delisted"
    }
    AccountState { Active "active" Suspended "suspended" }
}

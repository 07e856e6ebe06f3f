//! The closed vocabularies of the protocol: words that stand for one of a few things.

use engine_core::units::Side;

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
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    }
    /// What happens to a subscriber that reads too slowly.
    OnSlow {
        /// It gets newer data instead of all data, and is told what is missing.
        Conflate "conflate"
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
    }
    /// What happens to what does not trade at once, as requests say it.
    Tif {
        /// It rests.
        Gtc "gtc"
        /// It is cancelled.
        Ioc "ioc"
        /// Without a complete fill nothing trades.
        Fok "fok"
    }
    /// What happens when two orders of one account meet.
    SelfTradePrevention {
        /// They trade.
        None "none"
        /// The arriving order is cancelled.
        CancelNewest "cancel_newest"
        /// The resting order is cancelled.
        CancelOldest "cancel_oldest"
        /// Both are cancelled.
        CancelBoth "cancel_both"
        /// The smaller is cancelled, the larger reduced by it.
        Decrement "decrement"
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
    /// Which part an order played in a trade.
    Liquidity {
        /// It was resting.
        Maker "maker"
        /// It arrived.
        Taker "taker"
    }
    /// Why messages are missing from a stream.
    GapReason {
        /// The subscriber read too slowly.
        SlowConsumer "slow_consumer"
    }
}

impl Name for Side {
    const ALL: &'static [Self] = &[Side::Buy, Side::Sell];

    fn text(self) -> &'static str {
        match self {
            Side::Buy => "buy",
            Side::Sell => "sell",
        }
    }
}

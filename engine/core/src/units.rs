//! The numbers and names of the engine.
//!
//! A number that means something has a type: a [`Price`] counts ticks, a [`Quantity`] counts lots, an [`Amount`]
//! counts atoms of an asset. What a tick, a lot and an atom are worth is the business of
//! the instrument; inside the engine they are whole numbers and nothing is ever rounded.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($(#[$field:meta])* $inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        #[repr(transparent)]
        pub struct $name($(#[$field])* pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A price in ticks of its instrument. A resting order has a price of at least one tick.
    Price(u64)
}
number! {
    /// A quantity in lots of its instrument.
    Quantity(u64)
}
number! {
    /// An amount of money in atoms of one asset (an asset has at most 18 decimals).
    Amount(#[serde(with = "atoms")] u128)
}
number! {
    /// Microseconds since the Unix epoch. It comes in with a record; the engine never asks for it.
    Timestamp(u64)
}
number! {
    /// An account. Its sequencer shard is `account % sequencers`, so ids are handed out densely.
    AccountId(u32)
}
number! {
    /// A symbol (a tradable pair). Its matcher shard is `symbol % matchers`; ids are dense from 0.
    SymbolId(u32)
}
number! {
    /// An asset that accounts hold. Ids are dense from 0.
    AssetId(u16)
}
number! {
    /// Names a live order towards the book: unique among the live orders of a symbol, chosen by the caller, and
    /// free for reuse once the order is gone.
    OrderKey(u64)
}
number! {
    /// The engine sequence of a symbol: +1 for every command that changed its book, never reused.
    Sequence(u64)
}
number! {
    /// The number of a trade of a symbol: dense from 1.
    TradeId(u64)
}

impl Quantity {
    /// No lots.
    pub const ZERO: Quantity = Quantity(0);

    /// Whether there is nothing left.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// How an amount travels: as an integer, and as text where people read, because JSON's readers make doubles of numbers.
mod atoms {
    use super::*;

    pub fn serialize<S: Serializer>(atoms: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(atoms)
        } else {
            atoms.serialize(serializer)
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        if deserializer.is_human_readable() {
            deserialize_text(deserializer, "a whole number of atoms", |text| text.parse().ok())
        } else {
            u128::deserialize(deserializer)
        }
    }
}

/// Which side of the book an order is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Side {
    /// Bids: pays quote, receives base.
    Buy = 0,
    /// Asks: pays base, receives quote.
    Sell = 1,
}

impl Side {
    /// The side it trades against.
    pub fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }
}

/// What happens to the part of an order that does not trade at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum TimeInForce {
    /// Good till cancelled: it rests.
    Gtc = 0,
    /// Immediate or cancel: it is cancelled.
    Ioc = 1,
    /// Fill or kill: unless all of it trades at once, none does.
    Fok = 2,
    /// Post-only: it rests whole, and is refused if it would trade.
    PostOnly = 3,
}

/// What happens where an order meets one of its own account. The incoming order's choice counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum SelfTrade {
    /// They trade.
    #[default]
    Allow = 0,
    /// What is left of the incoming order is cancelled.
    CancelNewest = 1,
    /// The resting order is cancelled and the incoming one goes on.
    CancelOldest = 2,
    /// Both are cancelled.
    CancelBoth = 3,
    /// Both lose the lots they would have traded.
    Decrement = 4,
}

/// The client's own name for an order: 1 to 36 characters of `[A-Za-z0-9._:-]`, unique per account for 24 hours.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientOrderId {
    length: u8,
    bytes: [u8; ClientOrderId::LENGTH_MAX],
}

/// What an account is called outside, by the same rule.
pub type AccountName = ClientOrderId;

impl ClientOrderId {
    /// The longest id: a UUID with its dashes.
    pub const LENGTH_MAX: usize = 36;

    /// `None` if `text` is empty, too long or has other characters than `[A-Za-z0-9._:-]`.
    pub fn new(text: &str) -> Option<Self> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-');
        if text.is_empty() || text.len() > Self::LENGTH_MAX || !text.bytes().all(legal) {
            return None;
        }
        let mut bytes = [0; Self::LENGTH_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self { length: text.len() as u8, bytes })
    }

    /// The id as the client wrote it.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length as usize]).expect("built from ASCII")
    }
}

impl fmt::Debug for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl Serialize for ClientOrderId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ClientOrderId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "1 to 36 characters of [A-Za-z0-9._:-]", Self::new)
    }
}

/// Bytes that are known to be text.
pub(crate) fn text_of<S: Serializer>(bytes: &[u8]) -> Result<&str, S::Error> {
    std::str::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

/// Reads a text without a copy of it and makes something of it; `None` says that it is not `expected`.
pub(crate) fn deserialize_text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    make: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    struct Text<F>(&'static str, F);

    impl<T, F: FnOnce(&str) -> Option<T>> Visitor<'_> for Text<F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            (self.1)(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self.0))
        }
    }

    deserializer.deserialize_str(Text(expected, make))
}

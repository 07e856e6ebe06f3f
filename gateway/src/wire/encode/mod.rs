//! What we say: each function appends the payload of one message to a buffer. Framing is the caller's.
//!
//! - [`market`]: what every subscriber of a symbol gets. Encoded once, so these are the few that must be fast.
//! - [`private`]: what one account gets about its orders and balances.
//! - [`control`]: answers to everything else, and farewells.
//!
//! A message is written as it reads on the protocol page: literal pieces of JSON with values between them
//! (`put!` in `piece`). So the order of keys is visible in the source, and an encoder is a row of copies. Key order
//! is part of the contract: it is what the fixed messages of the protocol are compared by, byte for byte.
//!
//! A value that does not exist is `null` where the message has a fixed shape (market data, execution reports), and
//! a key that was not asked for is absent where the shape follows the request (`id` and the extras of an ack).

pub mod control;
pub mod market;
mod piece;
pub mod private;

use engine_core::units::{Amount, Price, Quantity};

pub use control::request_error;

use super::number::NumberFormat;

/// How the numbers of one instrument are written, and its name.
#[derive(Clone, Copy, Debug)]
pub struct SymbolFormat<'a> {
    /// The symbol, which is also the `channel` of its market data.
    pub symbol: &'a str,
    /// Prices: decimals and tick.
    pub price: NumberFormat,
    /// Quantities: decimals and lot.
    pub quantity: NumberFormat,
    /// Decimals of the quote asset, in which values are counted.
    pub quote_decimals: u8,
}

impl SymbolFormat<'_> {
    /// What so many ticks times lots are worth, in atoms of the quote asset. Exact: an instrument is accepted only if one
    /// tick times one lot is a whole number of them.
    pub fn value(&self, ticks_lots: u128) -> Amount {
        let unit = u128::from(self.price.step()) * u128::from(self.quantity.step());
        let (decimals, of_quote) = (self.price.decimals() + self.quantity.decimals(), self.quote_decimals);
        let scaled = ticks_lots.saturating_mul(unit);
        Amount(match of_quote.checked_sub(decimals) {
            Some(more) => scaled.saturating_mul(10u128.pow(more.into())),
            None => scaled / 10u128.pow((decimals - of_quote).into()),
        })
    }
}

/// A price level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Its price.
    pub price: Price,
    /// All that rests there. Zero says that the level is gone.
    pub quantity: Quantity,
}

impl From<(Price, Quantity)> for Level {
    fn from((price, quantity): (Price, Quantity)) -> Level {
        Level { price, quantity }
    }
}

/// Ticks and lots.
impl From<(u64, u64)> for Level {
    fn from((ticks, lots): (u64, u64)) -> Level {
        Level { price: Price(ticks), quantity: Quantity(lots) }
    }
}

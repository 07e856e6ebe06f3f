//! The server's messages as a stranger reads them: from PROTOCOL.md, not from the gateway's code.
//!
//! A message is read in two steps. [`Envelope`] takes `type` and `channel` and leaves `data` as text, then the
//! caller reads `data` into the struct its type calls for. Unknown keys are ignored, as the contract asks of
//! clients. What the contract fixes is enforced while reading: decimals in their one spelling, integers that a
//! browser can hold.

use rust_decimal::Decimal;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Integers on the wire stay below this, so that JavaScript reads them exactly.
pub const INTEGER_LIMIT: u64 = 1 << 53;

#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    #[serde(default)]
    pub channel: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub struct Snapshot {
    #[serde(deserialize_with = "integer")]
    pub seq: u64,
    #[serde(deserialize_with = "integer")]
    pub ts: u64,
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
    /// Levels a side, when the view is limited; the whole book otherwise.
    #[serde(default)]
    pub depth: Option<usize>,
}

#[derive(Debug, Deserialize)]
pub struct Update {
    #[serde(deserialize_with = "integer")]
    pub prev_seq: u64,
    #[serde(deserialize_with = "integer")]
    pub seq: u64,
    #[serde(deserialize_with = "integer")]
    pub ts: u64,
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
}

/// `["30000","0.5"]`; quantity zero removes the level.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Level(pub Exact, pub Exact);

#[derive(Debug, Deserialize)]
pub struct Trade {
    #[serde(deserialize_with = "integer")]
    pub trade_id: u64,
    #[serde(deserialize_with = "integer")]
    pub seq: u64,
    pub price: Exact,
    pub quantity: Exact,
    pub side: Side,
    #[serde(deserialize_with = "integer")]
    pub ts: u64,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Buy,
    Sell,
}

/// What the symbol does from now on.
#[derive(Debug, Deserialize)]
pub struct Status<'a> {
    #[serde(borrow)]
    pub state: Cow<'a, str>,
}

/// Messages the server says it did not deliver, `from` and `to` included.
#[derive(Debug, Deserialize)]
pub struct Gap<'a> {
    #[serde(borrow)]
    pub stream: Cow<'a, str>,
    #[serde(deserialize_with = "integer")]
    pub from: u64,
    #[serde(deserialize_with = "integer")]
    pub to: u64,
}

/// A price or quantity in its one allowed spelling: no sign, exponent, leading or trailing zeros.
/// One spelling lets two clients compare books as text and a cache compare frames as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact(pub Decimal);

impl FromStr for Exact {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !is_canonical(text) {
            return Err(format!("decimal not in canonical form: {text:?}"));
        }
        Decimal::from_str_exact(text).map(Exact).map_err(|e| format!("{e}: {text:?}"))
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.normalize().fmt(f)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Exact;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a decimal string")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Exact, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn is_canonical(text: &str) -> bool {
    let (whole, fraction) =
        text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let whole_fits = digits(whole) && (whole == "0" || !whole.starts_with('0'));
    whole_fits && fraction.is_none_or(|fraction| digits(fraction) && !fraction.ends_with('0'))
}

fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    if number >= INTEGER_LIMIT {
        return Err(de::Error::custom(format!("integer {number} does not fit a browser's 2^53")));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_has_one_spelling() {
        for good in ["0", "1", "30000", "0.5", "10.01"] {
            assert_eq!(good.parse::<Exact>().unwrap().to_string(), good);
        }
        for bad in ["", ".", "1.", ".5", "0.50", "00", "01", "1.0", "-1", "+1", "1e3", " 1", "1_000", "NaN"] {
            assert!(bad.parse::<Exact>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn an_integer_a_browser_cannot_hold_is_refused() {
        let text = |seq: u64| format!(r#"{{"seq":{seq},"ts":1,"bids":[],"asks":[]}}"#);
        assert!(serde_json::from_str::<Snapshot>(&text(INTEGER_LIMIT - 1)).is_ok());
        assert!(serde_json::from_str::<Snapshot>(&text(INTEGER_LIMIT)).is_err());
    }
}

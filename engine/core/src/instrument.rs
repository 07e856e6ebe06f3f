//! What may be traded, in which steps, and what a step is worth.
//!
//! An instrument is accepted only if one tick times one lot is a whole number of quote atoms and the largest order it
//! allows has a notional that fits. From then on every settlement is an exact product of integers.

use crate::decimal::{DECIMALS_MAX, DecimalError, parse_scaled, scaled_to_string};
use crate::limits::FEE_TIERS;
use crate::message::Fees;
use crate::units::{Amount, AssetId, Price, Quantity, SymbolId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Something accounts hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asset {
    /// Its place in [`Market::assets`].
    pub id: AssetId,
    /// "BTC".
    pub name: String,
    /// One unit is 10^decimals atoms; at most [`DECIMALS_MAX`].
    pub decimals: u8,
}

/// A symbol as a person writes it down. Decimal texts are in units of the asset.
#[derive(Clone, Debug)]
pub struct InstrumentSpec<'a> {
    /// "BTC-USDT".
    pub symbol: &'a str,
    /// The asset that is bought and sold.
    pub base: &'a str,
    /// The asset it is paid with.
    pub quote: &'a str,
    /// The step of prices, "0.01".
    pub tick: &'a str,
    /// The step of quantities, "0.00001".
    pub lot: &'a str,
    /// The least price × quantity of an order, in quote units; "0" for none.
    pub min_notional: &'a str,
}

/// A new asset, as a command carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetListing {
    /// The id it gets: the next one that is free.
    pub id: AssetId,
    /// 1 to 12 of A-Z and 0-9, filled up with zeros.
    #[serde(with = "padded_text")]
    pub name: [u8; ASSET_NAME_MAX],
    /// At most [`DECIMALS_MAX`].
    pub decimals: u8,
}

/// The longest name of an asset.
pub const ASSET_NAME_MAX: usize = 12;

impl AssetListing {
    /// `None` if `name` is longer than an asset's name may be.
    pub fn new(id: AssetId, name: &str, decimals: u8) -> Option<AssetListing> {
        let mut bytes = [0; ASSET_NAME_MAX];
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(AssetListing { id, name: bytes, decimals })
    }
}

/// How a name travels: as text, without what fills it up.
mod padded_text {
    use super::ASSET_NAME_MAX;
    use crate::units::{deserialize_text, text_of};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(name: &[u8; ASSET_NAME_MAX], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text_of::<S>(name)?.trim_end_matches('\0'))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; ASSET_NAME_MAX], D::Error> {
        deserialize_text(deserializer, "at most 12 characters", |text| {
            let mut bytes = [0; ASSET_NAME_MAX];
            bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
            Some(bytes)
        })
    }
}

/// A new symbol, as a command carries it. It is named after its assets, "BASE-QUOTE".
///
/// Packed, because an `Amount` would have it begin at a multiple of 16 bytes, and what that leaves empty would make every
/// input 16 bytes larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(Rust, packed(8))]
pub struct Listing {
    /// The id it gets: the next one that is free.
    pub id: SymbolId,
    /// The asset that is bought and sold.
    pub base: AssetId,
    /// The asset it is paid with.
    pub quote: AssetId,
    /// The step of prices.
    pub tick: Step,
    /// The step of quantities.
    pub lot: Step,
    /// The least notional of an order, in quote atoms.
    pub min_notional: Amount,
    /// The largest quantity of an order, in lots; 0 for as much as the instrument can take.
    pub quantity_max: Quantity,
    /// How far from the last trade a price may be, in basis points; 0 for any distance.
    pub band: u16,
    /// By tier, to begin with.
    pub fees: [Fees; FEE_TIERS],
}

/// Decimals and step of a price or a quantity: `count × step / 10^decimals` units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Decimals in which the step is written, at most [`DECIMALS_MAX`].
    pub decimals: u8,
    /// The step in units of 10^-decimals, at least 1.
    pub size: u64,
}

/// A tradable pair, checked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Instrument {
    /// Its place in [`Market::instruments`].
    pub id: SymbolId,
    /// "BTC-USDT".
    pub symbol: String,
    /// The asset that is bought and sold.
    pub base: AssetId,
    /// The asset it is paid with.
    pub quote: AssetId,
    /// The step of prices.
    pub tick: Step,
    /// The step of quantities.
    pub lot: Step,
    /// Atoms of the base asset in one lot.
    pub base_atoms_per_lot: u128,
    /// Atoms of the quote asset in one tick × one lot.
    pub quote_atoms_per_tick_lot: u128,
    /// The least notional of an order.
    pub min_notional: Amount,
    /// The highest price of an order.
    pub price_max: Price,
    /// The largest quantity of an order.
    pub quantity_max: Quantity,
    /// How far from the last trade a price may be, in basis points; 0 for any distance.
    pub band: u16,
    /// By tier.
    pub fees: [Fees; FEE_TIERS],
}

/// Prices and quantities go up to this many units of their asset (a billion), or as far as the integers allow: enough
/// for 483,980,000 USD asks that real books hold, small enough that price × quantity fits 18-decimal atoms.
const UNITS_MAX: u128 = 1_000_000_000;
/// Ticks and lots stay exact in a double and leave room for level totals.
const STEPS_MAX: u128 = 1 << 53;

/// Why an instrument or asset is not accepted. The text names the field and the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketError(String);

impl fmt::Display for MarketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for MarketError {}

/// All assets and instruments of an exchange.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Market {
    /// By [`AssetId`].
    pub assets: Vec<Asset>,
    /// By [`SymbolId`].
    pub instruments: Vec<Instrument>,
}

impl Market {
    /// Adds an asset of `decimals` (0 to 18).
    pub fn add_asset(&mut self, name: &str, decimals: u8) -> Result<AssetId, MarketError> {
        if !is_name(name) {
            return Err(MarketError(format!("asset {name:?}: a name is 1 to 12 of A-Z and 0-9")));
        }
        if decimals > DECIMALS_MAX {
            return Err(MarketError(format!("asset {name}: decimals {decimals} above {DECIMALS_MAX}")));
        }
        if self.asset(name).is_some() {
            return Err(MarketError(format!("asset {name}: listed twice")));
        }
        let id =
            AssetId(self.assets.len().try_into().map_err(|_| MarketError("more than 65,536 assets".into()))?);
        self.assets.push(Asset { id, name: name.into(), decimals });
        Ok(id)
    }

    /// Adds an instrument without band and fees, or says which rule of [`InstrumentSpec`] it breaks.
    pub fn add_instrument(&mut self, spec: &InstrumentSpec<'_>) -> Result<SymbolId, MarketError> {
        let listing =
            self.read(spec).map_err(|what| MarketError(format!("symbol {}: {what}", spec.symbol)))?;
        self.list(&listing)
    }

    /// The listing that a spec describes, to be listed next.
    fn read(&self, spec: &InstrumentSpec<'_>) -> Result<Listing, String> {
        if spec.symbol != format!("{}-{}", spec.base, spec.quote) {
            return Err(format!("is not the pair {}-{}", spec.base, spec.quote));
        }
        let base = self.asset(spec.base).ok_or_else(|| format!("base {} is not an asset", spec.base))?;
        let quote = self.asset(spec.quote).ok_or_else(|| format!("quote {} is not an asset", spec.quote))?;
        let min_notional = parse_scaled(spec.min_notional, quote.decimals)
            .map_err(|error| format!("min_notional {:?}: {error:?}", spec.min_notional))?;
        Ok(Listing {
            id: SymbolId(self.instruments.len() as u32),
            base: base.id,
            quote: quote.id,
            tick: step("tick", spec.tick)?,
            lot: step("lot", spec.lot)?,
            min_notional: Amount(min_notional),
            quantity_max: Quantity::ZERO,
            band: 0,
            fees: [Fees::default(); FEE_TIERS],
        })
    }

    /// Adds an asset, or says which rule it breaks.
    pub fn list_asset(&mut self, listing: &AssetListing) -> Result<AssetId, MarketError> {
        let name = std::str::from_utf8(&listing.name).unwrap_or_default().trim_end_matches('\0');
        if listing.id.0 as usize != self.assets.len() {
            return Err(MarketError(format!("asset {name}: its id is not {}", self.assets.len())));
        }
        self.add_asset(name, listing.decimals)
    }

    /// Adds an instrument, or says which rule it breaks.
    pub fn list(&mut self, listing: &Listing) -> Result<SymbolId, MarketError> {
        let [base, quote] = [listing.base, listing.quote].map(|id| self.assets.get(id.0 as usize));
        let (Some(base), Some(quote)) = (base, quote) else {
            return Err(MarketError(format!("symbol {}: one of its assets is not listed", listing.id)));
        };
        let symbol = format!("{}-{}", base.name, quote.name);
        let fail = |what: String| MarketError(format!("symbol {symbol}: {what}"));
        if listing.id.0 as usize != self.instruments.len() {
            return Err(fail(format!("its id is not {}", self.instruments.len())));
        }
        if base.id == quote.id {
            return Err(fail("is not a pair".into()));
        }
        if self.instrument(&symbol).is_some() {
            return Err(fail("listed twice".into()));
        }
        if !listing.fees.iter().all(|fees| fees.are_valid()) {
            return Err(fail("a fee is beyond 30 %".into()));
        }
        let instrument = instrument(listing, symbol.clone(), base, quote).map_err(fail)?;
        self.instruments.push(instrument);
        Ok(listing.id)
    }

    /// The asset of that name.
    pub fn asset(&self, name: &str) -> Option<&Asset> {
        self.assets.iter().find(|asset| asset.name == name)
    }

    /// The instrument of that symbol.
    pub fn instrument(&self, symbol: &str) -> Option<&Instrument> {
        self.instruments.iter().find(|instrument| instrument.symbol == symbol)
    }
}

impl Instrument {
    /// What `quantity` costs at `price`, in quote atoms. Exact for every order within the instrument's maxima.
    pub fn notional(&self, price: Price, quantity: Quantity) -> Amount {
        Amount(price.0 as u128 * quantity.0 as u128 * self.quote_atoms_per_tick_lot)
    }

    /// Whether an order may have this price.
    pub fn takes_price(&self, price: Price) -> bool {
        price.0 > 0 && price <= self.price_max
    }

    /// `quantity` in base atoms.
    pub fn base_amount(&self, quantity: Quantity) -> Amount {
        Amount(quantity.0 as u128 * self.base_atoms_per_lot)
    }
}

/// What follows from a listing, if every settlement is a whole number of atoms and the largest fits.
fn instrument(listing: &Listing, symbol: String, base: &Asset, quote: &Asset) -> Result<Instrument, String> {
    let Listing { tick, lot, .. } = *listing;
    for (field, step) in [("tick", tick), ("lot", lot)] {
        if step.size == 0 || step.decimals > DECIMALS_MAX {
            return Err(format!("{field} {} is zero or has more than {DECIMALS_MAX} decimals", step.text()));
        }
    }
    let base_atoms_per_lot = rescale(lot.size as u128, lot.decimals, base.decimals)
        .ok_or_else(|| format!("lot {} is not a whole number of atoms of {}", lot.text(), base.name))?;
    let quote_atoms_per_tick_lot =
        rescale(tick.size as u128 * lot.size as u128, tick.decimals + lot.decimals, quote.decimals)
            .ok_or_else(|| {
                let (tick, lot) = (tick.text(), lot.text());
                format!("tick {tick} × lot {lot} is not a whole number of atoms of {}", quote.name)
            })?;
    let price_max = steps_max(tick);
    let quantity_max = match listing.quantity_max.0 as u128 {
        0 => steps_max(lot),
        wanted => wanted.min(steps_max(lot)),
    };
    let largest = price_max.checked_mul(quantity_max).and_then(|n| n.checked_mul(quote_atoms_per_tick_lot));
    if largest.is_none_or(|largest| largest > NOTIONAL_MAX)
        || quantity_max.checked_mul(base_atoms_per_lot).is_none()
    {
        return Err("its largest notional, times its fee, does not fit 128 bits".into());
    }
    Ok(Instrument {
        id: listing.id,
        symbol,
        base: base.id,
        quote: quote.id,
        tick,
        lot,
        base_atoms_per_lot,
        quote_atoms_per_tick_lot,
        min_notional: listing.min_notional,
        price_max: Price(price_max as u64),
        quantity_max: Quantity(quantity_max as u64),
        band: listing.band,
        fees: listing.fees,
    })
}

/// The largest notional of an order, so that an order's fee parts fit an `i128` with room for a sum of two.
const NOTIONAL_MAX: u128 = (i128::MAX / 4 / Fees::MAX as i128) as u128;

impl Step {
    fn text(self) -> String {
        scaled_to_string(self.size as u128, self.decimals)
    }
}

fn is_name(name: &str) -> bool {
    (1..=12).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

fn step(field: &str, text: &str) -> Result<Step, String> {
    let decimals = text.split_once('.').map_or(0, |(_, fraction)| fraction.trim_end_matches('0').len());
    let decimals = u8::try_from(decimals).ok().filter(|d| *d <= DECIMALS_MAX);
    let decimals =
        decimals.ok_or_else(|| format!("{field} {text:?} has more than {DECIMALS_MAX} decimals"))?;
    match parse_scaled(text, decimals) {
        Ok(0) => Err(format!("{field} {text:?} is zero")),
        Ok(size) if size <= u64::MAX as u128 => Ok(Step { decimals, size: size as u64 }),
        Ok(_) | Err(DecimalError::TooLarge) => Err(format!("{field} {text:?} is too large")),
        Err(_) => Err(format!("{field} {text:?} is not a plain decimal")),
    }
}

/// `value` / 10^from in atoms of 10^-to, if whole.
fn rescale(value: u128, from: u8, to: u8) -> Option<u128> {
    if to >= from {
        return value.checked_mul(10u128.pow((to - from) as u32));
    }
    let divisor = 10u128.pow((from - to) as u32);
    value.is_multiple_of(divisor).then(|| value / divisor)
}

fn steps_max(step: Step) -> u128 {
    let units = UNITS_MAX.saturating_mul(10u128.pow(step.decimals as u32)) / step.size as u128;
    units.clamp(1, STEPS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn market() -> Market {
        let mut market = Market::default();
        market.add_asset("BTC", 8).unwrap();
        market.add_asset("USDT", 6).unwrap();
        market.add_asset("WEI", 18).unwrap();
        market
    }

    fn spec<'a>(
        base: &'a str,
        quote: &'a str,
        symbol: &'a str,
        tick: &'a str,
        lot: &'a str,
    ) -> InstrumentSpec<'a> {
        InstrumentSpec { symbol, base, quote, tick, lot, min_notional: "0" }
    }

    #[test]
    fn a_settlement_is_a_whole_number_of_atoms() {
        let mut market = market();
        let id = market.add_instrument(&spec("BTC", "USDT", "BTC-USDT", "0.01", "0.0001")).unwrap();
        let instrument = &market.instruments[id.0 as usize];
        assert_eq!(instrument.quote_atoms_per_tick_lot, 1);
        assert_eq!(instrument.base_atoms_per_lot, 10_000);
        // 30,000.00 USDT × 0.5 BTC = 15,000 USDT
        assert_eq!(instrument.notional(Price(3_000_000), Quantity(5_000)), Amount(15_000_000_000));
        assert_eq!(instrument.base_amount(Quantity(5_000)), Amount(50_000_000));
    }

    #[test]
    fn a_refused_instrument_is_told_why() {
        let mut market = market();
        for (spec, text) in [
            (
                spec("BTC", "USDT", "BTC-USDT", "0.01", "0.00001"),
                "tick 0.01 × lot 0.00001 is not a whole number of atoms",
            ),
            (
                spec("BTC", "USDT", "BTC-USDT", "0.01", "0.000000001"),
                "lot 0.000000001 is not a whole number of atoms",
            ),
            (spec("BTC", "USDT", "BTC-USDT", "0", "1"), "tick \"0\" is zero"),
            (spec("BTC", "USDT", "BTC-USDT", "1e2", "1"), "tick \"1e2\" is not a plain decimal"),
            (spec("BTC", "EUR", "BTC-EUR", "1", "1"), "quote EUR is not an asset"),
            (spec("BTC", "USDT", "BTCUSDT", "1", "1"), "is not the pair"),
        ] {
            let error = market.add_instrument(&spec).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        assert!(market.instruments.is_empty());
    }

    #[test]
    fn eighteen_decimals_on_both_sides_fit() {
        let mut market = market();
        market.add_asset("ETH", 18).unwrap();
        let id = market.add_instrument(&spec("ETH", "WEI", "ETH-WEI", "0.000000001", "0.000000001")).unwrap();
        let instrument = &market.instruments[id.0 as usize];
        assert_eq!(instrument.quote_atoms_per_tick_lot, 1);
        assert_eq!(instrument.notional(instrument.price_max, instrument.quantity_max).0, 1 << 106);
    }
}

//! The configured market beside the one that the journal knows.
//!
//! With a journal the market is in the log like everything else: what is configured and not listed yet is listed by commands,
//! as it would be at run time. So a symbol can be added by a restart, and none can silently become another. What is listed
//! already is the journal's: the operator may have changed its fees since the configuration was written, and orders were
//! accepted by its rules. Where the configuration says something else, it is told at every start, and how the two
//! can be made one.

use super::carry_out;
use crate::config::basis_points_text;
use anyhow::ensure;
use engine_core::decimal::scaled_to_string;
use engine_core::executor::inline::Inline;
use engine_core::instrument::{Asset, AssetListing, Instrument, Listing, Market, Step};
use engine_core::message::Command;

/// Lists what is configured and not listed yet, and tells what is and differs.
///
/// # Errors
/// If something is configured in the place of something else.
pub fn list(engine: &mut Inline, configured: &Market) -> anyhow::Result<()> {
    let listed = engine.at_rest().sequencers[0].machine.market().clone();
    check_places(configured, &listed)?;
    for Difference { symbol, field, configured, in_force, remedy } in differences(configured, &listed) {
        tracing::warn!(
            symbol,
            field,
            configured,
            in_force,
            "the configuration differs from the journal: {remedy}"
        );
    }
    let assets = configured.assets.iter().skip(listed.assets.len()).map(asset_listing);
    let instruments = configured.instruments.iter().skip(listed.instruments.len()).map(listing);
    assets.chain(instruments).try_for_each(|command| carry_out(engine, command))
}

fn check_places(configured: &Market, listed: &Market) -> anyhow::Result<()> {
    for (asset, known) in configured.assets.iter().zip(&listed.assets) {
        ensure!(
            same_asset(asset, known),
            "assets: {} with {} decimals is in the place of {} with {}, which the journal knows: keep their order, add at \
             the end",
            asset.name,
            asset.decimals,
            known.name,
            known.decimals
        );
    }
    for (instrument, known) in configured.instruments.iter().zip(&listed.instruments) {
        ensure!(
            same_symbol(instrument, known),
            "symbols: {} is in the place of {}, which the journal knows: keep their order and steps, add at the end",
            terms(instrument),
            terms(known)
        );
    }
    Ok(())
}

fn same_asset(asset: &Asset, known: &Asset) -> bool {
    (&asset.name, asset.decimals) == (&known.name, known.decimals)
}

fn same_symbol(instrument: &Instrument, known: &Instrument) -> bool {
    let terms = |of: &Instrument| (of.symbol.clone(), of.tick, of.lot);
    terms(instrument) == terms(known)
}

fn terms(of: &Instrument) -> String {
    let step = |step: Step| scaled_to_string(step.size.into(), step.decimals);
    format!("{} with tick {} and lot {}", of.symbol, step(of.tick), step(of.lot))
}

fn asset_listing(asset: &Asset) -> Command {
    let listing = AssetListing::new(asset.id, &asset.name, asset.decimals);
    Command::ListAsset(listing.expect("a name that was checked is short enough"))
}

fn listing(instrument: &Instrument) -> Command {
    let &Instrument { id, base, quote, tick, lot, min_notional, quantity_max, band, fees, .. } = instrument;
    Command::List(Listing { id, base, quote, tick, lot, min_notional, quantity_max, band, fees })
}

/// Something that is configured in vain.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    symbol: String,
    /// The key of the configuration.
    field: String,
    configured: String,
    in_force: String,
    remedy: &'static str,
}

const OF_FEES: &str =
    "fees change at run time by POST /api/v1/admin/fees; set them there or correct the configuration";
const OF_RULES: &str = "this is fixed once a symbol is listed; correct the configuration";
const OF_SYMBOLS: &str =
    "it stays listed; configure it, or delist it by POST /api/v1/admin/symbols/SYMBOL/state";

/// What symbols are said to be that are listed otherwise.
fn differences(configured: &Market, listed: &Market) -> Vec<Difference> {
    let mut all = Vec::new();
    for (instrument, known) in configured.instruments.iter().zip(&listed.instruments) {
        let mut differ = |field: String, [configured, in_force]: [String; 2], remedy| {
            if configured != in_force {
                let symbol = known.symbol.clone();
                all.push(Difference { symbol, field, configured, in_force, remedy });
            }
        };
        let both = [instrument, known];
        let quote_decimals = listed.assets[known.quote.0 as usize].decimals;
        let notional = |of: &Instrument| scaled_to_string(of.min_notional.0, quote_decimals);
        let quantity = |of: &Instrument| {
            scaled_to_string(of.quantity_max.0 as u128 * of.lot.size as u128, of.lot.decimals)
        };
        differ("min_notional".into(), both.map(notional), OF_RULES);
        differ("max_quantity".into(), both.map(quantity), OF_RULES);
        differ("band_bps".into(), both.map(|of| of.band.to_string()), OF_RULES);
        for tier in 0..known.fees.len() {
            let maker = both.map(|of| basis_points_text(of.fees[tier].maker));
            let taker = both.map(|of| basis_points_text(of.fees[tier].taker));
            differ(format!("maker_bps of tier {tier}"), maker, OF_FEES);
            differ(format!("taker_bps of tier {tier}"), taker, OF_FEES);
        }
    }
    all.extend(listed.instruments.iter().skip(configured.instruments.len()).map(|known| Difference {
        symbol: known.symbol.clone(),
        field: "symbol".into(),
        configured: "nothing".into(),
        in_force: known.symbol.clone(),
        remedy: OF_SYMBOLS,
    }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_core::instrument::InstrumentSpec;
    use engine_core::message::Fees;
    use engine_core::units::Amount;

    fn market(symbols: usize) -> Market {
        let mut market = Market::default();
        for (asset, decimals) in [("BTC", 8), ("USDT", 6), ("ETH", 8)] {
            market.add_asset(asset, decimals).expect("they are few");
        }
        for (symbol, base) in [("BTC-USDT", "BTC"), ("ETH-USDT", "ETH")].into_iter().take(symbols) {
            let (quote, tick, lot, min_notional) = ("USDT", "0.01", "0.0001", "5");
            let spec = InstrumentSpec { symbol, base, quote, tick, lot, min_notional };
            market.add_instrument(&spec).expect("it breaks no rule");
        }
        market
    }

    #[test]
    fn what_is_the_same_is_not_told() {
        assert_eq!(differences(&market(2), &market(2)), []);
        assert_eq!(differences(&market(2), &market(1)), [], "a new one will be listed");
    }

    #[test]
    fn each_difference_is_told_with_both_values() {
        let (mut configured, listed) = (market(1), market(2));
        let instrument = &mut configured.instruments[0];
        instrument.fees[3] = Fees { maker: -5, taker: 25 };
        instrument.band = 100;
        instrument.min_notional = Amount(7_500_000);
        instrument.quantity_max.0 = 20_000;
        let told = differences(&configured, &listed);
        let told: Vec<_> = told
            .iter()
            .map(|of| [&of.symbol, &of.field, &of.configured, &of.in_force].map(|text| &text[..]))
            .collect();
        let max = scaled_to_string(listed.instruments[0].quantity_max.0 as u128, 4);
        assert_eq!(
            told,
            [
                ["BTC-USDT", "min_notional", "7.5", "5"],
                ["BTC-USDT", "max_quantity", "2", &max],
                ["BTC-USDT", "band_bps", "100", "0"],
                ["BTC-USDT", "maker_bps of tier 3", "-0.5", "0"],
                ["BTC-USDT", "taker_bps of tier 3", "2.5", "0"],
                ["ETH-USDT", "symbol", "nothing", "ETH-USDT"],
            ]
        );
    }
}

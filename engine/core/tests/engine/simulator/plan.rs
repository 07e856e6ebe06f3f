//! What a seed decides before anything runs: the market, the shape of the engine, its customers and its bad luck.
//!
//! Each part is drawn from a few extremes and something between, so that seeds differ in kind and not only in detail.

use super::commands::Mix;
use engine_core::instrument::{Listing, Market, Step};
use engine_core::message::Fees;
use engine_core::units::*;
use rand::{Rng, RngExt};
use std::sync::Arc;

pub struct Plan {
    pub market: Arc<Market>,
    pub sequencers: usize,
    pub matchers: usize,
    /// Every link draws its own capacity up to this.
    pub lane_largest: usize,
    /// Inputs that may wait at a sequencer.
    pub ingress: usize,
    /// The most messages a shard takes from one link at a time, and notes in one entry of its log.
    pub batch_largest: u32,
    /// Commands of the customers, after accounts are open and funded.
    pub commands: usize,
    pub customers: Customers,
    pub mix: Mix,
    pub luck: Luck,
    /// Steps between two looks at everything.
    pub look_every: u64,
}

/// Who trades, and how much of what.
#[derive(Debug)]
pub struct Customers {
    pub accounts: u32,
    /// The lowest price in use, and how many there are.
    pub price_lowest: u64,
    pub prices: u64,
    pub quantity_largest: u64,
    /// What an account is given at most of each asset, in hundredths of the largest order.
    pub funding_percent: u128,
}

/// What goes wrong, and how often.
#[derive(Debug)]
pub struct Luck {
    /// Steps in a thousand after which something happens to the links.
    pub mishaps_permille: u32,
    /// The most messages that are sent again at once.
    pub again_largest: usize,
    /// The most steps a link sleeps.
    pub nap_longest: u64,
    /// Crashes of one shard, and of all at once, over the whole run.
    pub crashes: u32,
    pub blackouts: u32,
    /// Whether the end of what was logged is lost once.
    pub power_loss: bool,
}

impl Plan {
    pub fn draw(random: &mut impl Rng) -> Plan {
        let customers = Customers::draw(random);
        Plan {
            market: market(random),
            sequencers: random.random_range(1..=8),
            matchers: random.random_range(1..=8),
            lane_largest: pick(&[1, 2, 8, 64], random),
            ingress: pick(&[1, 4, 64], random),
            batch_largest: pick(&[1, 3, 64], random),
            commands: pick(&[50, 200, 1000, 2000], random),
            customers,
            mix: Mix::draw(random),
            luck: Luck::draw(random),
            look_every: pick(&[5, 50, 200], random),
        }
    }
}

impl Customers {
    fn draw(random: &mut impl Rng) -> Customers {
        Customers {
            accounts: random.random_range(2..=12),
            price_lowest: pick(&[1, 10, 1000, 900_000_000], random),
            prices: pick(&[1, 2, 4, 8], random),
            quantity_largest: pick(&[1, 3, 10, 1_000_000_000], random),
            funding_percent: pick(&[100, 400, 2_000, 100_000], random),
        }
    }
}

impl Luck {
    fn draw(random: &mut impl Rng) -> Luck {
        Luck {
            mishaps_permille: pick(&[0, 5, 50, 300], random),
            again_largest: pick(&[1, 5, 1000], random),
            nap_longest: pick(&[10, 300], random),
            crashes: pick(&[0, 1, 4], random),
            blackouts: pick(&[0, 0, 1], random),
            power_loss: random.random_bool(0.5),
        }
    }
}

/// Few assets that are base here and quote there, so that one account's symbols compete for its money. A tick and a
/// lot are several atoms, so that a mistake in scale shows.
fn market(random: &mut impl Rng) -> Arc<Market> {
    let mut market = Market::default();
    let names = ["COIN", "GOLD", "USD", "EUR"];
    let names = &names[..random.random_range(2..=names.len())];
    for name in names {
        market.add_asset(name, 2).expect("two decimals are few enough");
    }
    let assets = 0..names.len() as u16;
    let mut pairs: Vec<_> =
        assets.clone().flat_map(|base| assets.clone().map(move |quote| (base, quote))).collect();
    pairs.retain(|(base, quote)| base != quote);
    for _ in 0..pick(&[1, 1, 2, 4, 9], random).min(pairs.len()) {
        let (base, quote) = pairs.swap_remove(random.random_range(0..pairs.len()));
        market.list(&listing(&market, AssetId(base), AssetId(quote), random)).expect("it breaks no rule");
    }
    Arc::new(market)
}

/// The next symbol of a market, of two assets that have two decimals.
pub fn listing(market: &Market, base: AssetId, quote: AssetId, random: &mut impl Rng) -> Listing {
    let step = |size, decimals| Step { size, decimals };
    Listing {
        id: SymbolId(market.instruments.len() as u32),
        base,
        quote,
        tick: pick(&[step(1, 0), step(5, 1), step(3, 1)], random),
        lot: pick(&[step(1, 0), step(1, 1), step(2, 1)], random),
        min_notional: Amount(pick(&[0, 0, 200], random)),
        quantity_max: Quantity(0),
        band: pick(&[0, 0, 0, 0, 1_000, 5_000], random),
        fees: std::array::from_fn(|_| fees(random)),
    }
}

/// None, ordinary ones with a rebate, and the highest.
pub fn fees(random: &mut impl Rng) -> Fees {
    let (maker, taker) = pick(&[(0, 0), (0, 0), (-10, 25), (100, 200), (Fees::MAX, -Fees::MAX)], random);
    Fees { maker, taker }
}

impl Customers {
    /// What the largest order can cost in `asset`.
    pub fn largest_cost(&self, market: &Market, asset: AssetId) -> u128 {
        let (price, quantity) = (Price(self.price_lowest + self.prices), Quantity(self.quantity_largest));
        let costs = market.instruments.iter().map(|instrument| match asset {
            asset if asset == instrument.base => instrument.base_amount(quantity).0,
            asset if asset == instrument.quote => instrument.notional(price, quantity).0,
            _ => 0,
        });
        costs.max().unwrap_or(0)
    }
}

pub fn pick<T: Copy>(choices: &[T], random: &mut impl Rng) -> T {
    choices[random.random_range(0..choices.len())]
}

//! Configuration: raw values from file, environment and flags, then checked values, once.
//!
//! The sample file in `deploy/config` is the lowest layer, so its values are the defaults by construction.

use crate::control::serve::Bounds;
use crate::cores::Cores;
use crate::history::place::Wish;
use crate::reactor::Limits;
use crate::reactor::blaster::Backend;
use crate::session::SessionLimits;
use anyhow::{Context, anyhow, bail, ensure};
use engine_core::decimal::{parse_scaled, scaled_to_string};
use engine_core::instrument::{Instrument, InstrumentSpec, Market};
use engine_core::limits::FEE_TIERS;
use engine_core::message::Fees;
use engine_core::units::{Amount, AssetId, Price, SymbolId};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const DEFAULTS: &str = include_str!("../../deploy/config/ringside.toml");

/// A rate is kept as microseconds for each: more would be none at all.
const PER_SECOND_MAX: u32 = 1_000_000;

/// Who waits longer for a server to stop has forgotten it.
const DRAIN_S_MAX: u32 = 3600;

/// How long a connection of HTTP serves one request after the other, and how long its last answer may take: longer than
/// anybody's whose network works. Who wants more connects again.
const HTTP_AGE_MAX: Duration = Duration::from_secs(30);
const HTTP_GRACE: Duration = Duration::from_secs(15);

/// Variables of our tools that are no configuration: how long benches and tests run, where a picture goes.
const NOT_KEYS: [&str; 4] = ["bench", "seeds", "picture", "log"];

/// The keys as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub ws_listen: SocketAddr,
    pub http_listen: SocketAddr,
    pub reactors: usize,
    pub sequencers: usize,
    pub matchers: usize,
    pub spins: u32,
    pub cores: Vec<usize>,
    pub data_dir: PathBuf,
    pub durability: DurabilityKey,
    pub snapshot_bytes: u64,
    pub history: String,
    pub backend: Backend,
    pub demo_flow: bool,
    pub demo_seed: u64,
    pub open_login: OpenLogin,
    pub market_band_bps: u32,
    pub admin: bool,
    pub echo: bool,
    pub compression: bool,
    pub allowed_origins: Vec<String>,
    pub limits: LimitKeys,
    pub assets: Vec<AssetKeys>,
    pub symbols: Vec<SymbolKeys>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OpenLogin {
    Loopback,
    Yes,
    No,
}

/// Who may read what belongs to an account over HTTP, where nobody proves who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateReads {
    Anybody,
    /// Those on this machine; no pages of others in their browsers.
    Loopback,
    Nobody,
}

/// When an answer may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DurabilityKey {
    /// When what it tells of is on the disk.
    Fsync,
    /// When the operating system has it.
    Async,
    /// At once; nothing is kept.
    Off,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitKeys {
    pub message_bytes_max: usize,
    pub connections_max: usize,
    pub connections_max_per_address: u32,
    pub connects_per_second: u32,
    pub connects_burst: u32,
    pub http_connections_max: usize,
    pub http_connections_max_per_address: usize,
    pub memory_reserve_bytes: u64,
    pub channels_max: usize,
    pub rooms_max_per_connection: usize,
    pub rooms_max: u32,
    pub control_per_second: u32,
    pub control_burst: u32,
    pub orders_per_second: u32,
    pub orders_burst: u32,
    pub handshake_timeout_s: u32,
    pub ping_interval_s: u32,
    pub idle_timeout_s: u32,
    pub write_timeout_s: u32,
    pub outbox_bytes_max: usize,
    pub send_buffer_bytes: usize,
    pub window_bytes: u64,
    pub drain_s: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetKeys {
    pub name: String,
    pub decimals: u8,
    pub paper: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SymbolKeys {
    pub symbol: String,
    pub base: String,
    pub quote: String,
    pub tick: String,
    pub lot: String,
    pub min_notional: String,
    pub demo_price: Option<String>,
    #[serde(default)]
    pub band_bps: u16,
    pub max_quantity: Option<String>,
    pub maker_bps: Option<String>,
    pub taker_bps: Option<String>,
    #[serde(default)]
    pub tiers: Vec<TierKeys>,
}

/// Fees that differ from the symbol's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierKeys {
    pub tier: u8,
    pub maker_bps: String,
    pub taker_bps: String,
}

/// Threads of each kind, decided.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub reactors: usize,
    pub sequencers: usize,
    pub matchers: usize,
}

impl Config {
    /// Reads the layers: defaults, `file`, `RINGSIDE_*`, `flags`. The error names key, layer and rule.
    pub fn load(
        file: Option<&Path>,
        flags: &impl Serialize,
        shards: &impl Serialize,
    ) -> anyhow::Result<Config> {
        let mut figment = Figment::from(Toml::string(DEFAULTS));
        if let Some(file) = file {
            ensure!(file.is_file(), "config file {} does not exist", file.display());
            figment = figment.merge(Toml::file_exact(file));
        }
        let environment = Env::prefixed("RINGSIDE_").ignore(&NOT_KEYS).split("__");
        let flags = (Serialized::defaults(flags), Serialized::defaults(shards));
        let figment = figment.merge(environment).merge(flags.0).merge(flags.1);
        let config: Config = figment.extract().context("configuration")?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        let limits = &self.limits;
        let positive = [
            ("limits.message_bytes_max", limits.message_bytes_max as u64),
            ("limits.connections_max", limits.connections_max as u64),
            ("limits.connections_max_per_address", limits.connections_max_per_address as u64),
            ("limits.connects_per_second", limits.connects_per_second as u64),
            ("limits.connects_burst", limits.connects_burst as u64),
            ("limits.http_connections_max", limits.http_connections_max as u64),
            ("limits.http_connections_max_per_address", limits.http_connections_max_per_address as u64),
            ("limits.channels_max", limits.channels_max as u64),
            ("limits.rooms_max_per_connection", limits.rooms_max_per_connection as u64),
            ("limits.rooms_max", limits.rooms_max as u64),
            ("limits.control_per_second", limits.control_per_second as u64),
            ("limits.control_burst", limits.control_burst as u64),
            ("limits.orders_per_second", limits.orders_per_second as u64),
            ("limits.orders_burst", limits.orders_burst as u64),
            ("limits.handshake_timeout_s", limits.handshake_timeout_s as u64),
            ("limits.ping_interval_s", limits.ping_interval_s as u64),
            ("limits.write_timeout_s", limits.write_timeout_s as u64),
            ("limits.outbox_bytes_max", limits.outbox_bytes_max as u64),
            ("limits.send_buffer_bytes", limits.send_buffer_bytes as u64),
            ("limits.window_bytes", limits.window_bytes),
            ("limits.drain_s", limits.drain_s as u64),
        ];
        for (key, value) in positive {
            ensure!(value > 0, "{key} must be at least 1");
        }
        for (key, value, most) in [
            ("limits.connects_per_second", limits.connects_per_second, PER_SECOND_MAX),
            ("limits.control_per_second", limits.control_per_second, PER_SECOND_MAX),
            ("limits.orders_per_second", limits.orders_per_second, PER_SECOND_MAX),
            ("limits.drain_s", limits.drain_s, DRAIN_S_MAX),
        ] {
            ensure!(value <= most, "{key} must be at most {most}");
        }
        ensure!(
            limits.idle_timeout_s > limits.ping_interval_s,
            "limits.idle_timeout_s ({}) must be above limits.ping_interval_s ({})",
            limits.idle_timeout_s,
            limits.ping_interval_s
        );
        ensure!(
            self.snapshot_bytes >= 4096,
            "snapshot_bytes ({}) must be at least 4096",
            self.snapshot_bytes
        );
        ensure!(self.market_band_bps < 10_000, "market_band_bps must be below 10000");
        ensure!(
            !self.admin || self.http_listen.ip().is_loopback(),
            "admin = true needs http_listen ({}) on loopback: it asks for no password",
            self.http_listen
        );
        ensure!(!self.symbols.is_empty(), "symbols: at least one must be listed");
        for (key, value, most) in [
            ("reactors", self.reactors, 62),
            ("sequencers", self.sequencers, 64),
            ("matchers", self.matchers, 64),
        ] {
            ensure!(value <= most, "{key} must be at most {most}");
        }
        Cores::check(&self.cores).context("cores")?;
        let wish = self.history()?; // looked at whether it counts or not: it is no time to find it wrong when it does
        let is_kept = !self.data_dir.as_os_str().is_empty() && self.durability != DurabilityKey::Off;
        ensure!(
            is_kept || !matches!(wish, Wish::Postgres(_)),
            "history: it follows the journal, so a postgres:// URL needs a data_dir and a durability that is not off"
        );
        self.market().map(|_| ())
    }

    /// The listed assets and symbols.
    pub fn market(&self) -> anyhow::Result<Market> {
        let mut market = Market::default();
        for asset in &self.assets {
            market.add_asset(&asset.name, asset.decimals).context("assets")?;
        }
        for keys in &self.symbols {
            let SymbolKeys { symbol, base, quote, tick, lot, min_notional, .. } = keys;
            let spec = InstrumentSpec { symbol, base, quote, tick, lot, min_notional };
            let id = market.add_instrument(&spec).context("symbols")?;
            let instrument = &mut market.instruments[id.0 as usize];
            keys.complete(instrument).with_context(|| format!("symbol {symbol}"))?;
        }
        self.paper_funds()?;
        self.demo_prices(&market)?;
        Ok(market)
    }

    /// What a paper account is given; of some assets maybe nothing.
    pub fn paper_funds(&self) -> anyhow::Result<Vec<(AssetId, Amount)>> {
        let funds = self.assets.iter().enumerate().map(|(id, asset)| {
            match parse_scaled(&asset.paper, asset.decimals) {
                Ok(amount) => Ok((AssetId(id as u16), Amount(amount))),
                Err(error) => bail!("asset {}: paper {:?}: {error:?}", asset.name, asset.paper),
            }
        });
        let mut funds: Vec<_> = funds.collect::<anyhow::Result<_>>()?;
        funds.retain(|(_, amount)| amount.0 > 0); // the engine takes no deposit of nothing
        Ok(funds)
    }

    /// Where the demo flow begins, for the symbols it trades.
    pub fn demo_prices(&self, market: &Market) -> anyhow::Result<Vec<(SymbolId, Price)>> {
        let mut prices = Vec::new();
        for (keys, instrument) in self.symbols.iter().zip(&market.instruments) {
            let Some(text) = &keys.demo_price else { continue };
            let price =
                crate::venue::number_format(instrument.tick).parse_price(text).map_err(|refusal| {
                    anyhow::anyhow!("symbol {}: demo_price: {}", keys.symbol, refusal.message)
                })?;
            prices.push((instrument.id, price));
        }
        Ok(prices)
    }

    /// What is to be kept of what accounts were told.
    pub fn history(&self) -> anyhow::Result<Wish> {
        self.history.parse().context("history")
    }

    /// Who may read what belongs to an account over HTTP: as with logging in by name.
    pub fn private_reads(&self) -> PrivateReads {
        match self.open_login {
            OpenLogin::Yes => PrivateReads::Anybody,
            OpenLogin::Loopback if self.http_listen.ip().is_loopback() => PrivateReads::Loopback,
            OpenLogin::Loopback | OpenLogin::No => PrivateReads::Nobody,
        }
    }

    /// How many threads of each kind.
    pub fn shape(&self) -> Shape {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let or = |configured: usize, chosen: usize| if configured == 0 { chosen.max(1) } else { configured };
        Shape {
            reactors: or(self.reactors, (cores / 2).min(62)),
            sequencers: or(self.sequencers, cores / 8),
            matchers: or(self.matchers, cores / 8),
        }
    }

    /// Whether an account is opened for whoever names it.
    pub fn opens_login(&self) -> bool {
        match self.open_login {
            OpenLogin::Yes => true,
            OpenLogin::No => false,
            OpenLogin::Loopback => self.ws_listen.ip().is_loopback(),
        }
    }

    /// What HTTP is bound by.
    pub fn http_bounds(&self) -> Bounds {
        let keys = &self.limits;
        Bounds {
            connections_max: keys.http_connections_max,
            connections_max_per_address: keys.http_connections_max_per_address,
            head_timeout: Duration::from_secs(keys.handshake_timeout_s.into()),
            age_max: HTTP_AGE_MAX,
            grace: HTTP_GRACE,
        }
    }

    /// What the reactors are bound by.
    pub fn reactor_limits(&self, reactors: usize) -> Limits {
        let keys = &self.limits;
        Limits {
            session: SessionLimits {
                channels_max: keys.channels_max,
                rooms_max: keys.rooms_max_per_connection,
                open_login: self.opens_login(),
                control_per_second: keys.control_per_second,
                control_burst: keys.control_burst,
                orders_per_second: keys.orders_per_second,
                orders_burst: keys.orders_burst,
            },
            echo: self.echo,
            compression: self.compression,
            message_bytes_max: keys.message_bytes_max,
            connections_max_per_reactor: keys
                .connections_max
                .div_ceil(reactors)
                .min(crate::reactor::CONNECTIONS_MAX),
            connections_max_per_address: keys.connections_max_per_address,
            connects_per_second: keys.connects_per_second,
            connects_burst: keys.connects_burst,
            handshake_timeout_s: keys.handshake_timeout_s,
            ping_interval_s: keys.ping_interval_s,
            idle_timeout_s: keys.idle_timeout_s,
            write_timeout_s: keys.write_timeout_s,
            outbox_bytes_max: keys.outbox_bytes_max,
            send_buffer_bytes: keys.send_buffer_bytes,
            window_bytes: keys.window_bytes,
            drain_s: keys.drain_s,
            allowed_origins: self.allowed_origins.clone(),
        }
    }
}

impl SymbolKeys {
    /// What a spec does not say.
    fn complete(&self, instrument: &mut Instrument) -> anyhow::Result<()> {
        ensure!(self.band_bps <= 10_000, "band_bps must be at most 10000");
        instrument.band = self.band_bps;
        if let Some(text) = &self.max_quantity {
            let most = crate::venue::number_format(instrument.lot).parse_quantity_of("max_quantity", text);
            let most = most.map_err(|refusal| anyhow!("{}", refusal.message))?;
            instrument.quantity_max = instrument.quantity_max.min(most);
        }
        let own = fees(self.maker_bps.as_deref().unwrap_or("0"), self.taker_bps.as_deref().unwrap_or("0"))?;
        instrument.fees = [own; FEE_TIERS];
        for TierKeys { tier, maker_bps, taker_bps } in &self.tiers {
            let of_tier = instrument.fees.get_mut(*tier as usize);
            let of_tier = of_tier.with_context(|| format!("tiers: tier {tier} must be below {FEE_TIERS}"))?;
            *of_tier = fees(maker_bps, taker_bps).with_context(|| format!("tier {tier}"))?;
        }
        Ok(())
    }
}

fn fees(maker_bps: &str, taker_bps: &str) -> anyhow::Result<Fees> {
    let read = |key, text| basis_points(text).map_err(|rule| anyhow!("{key} {rule}"));
    Ok(Fees { maker: read("maker_bps", maker_bps)?, taker: read("taker_bps", taker_bps)? })
}

/// A fee as text, in tenths of a basis point; or the rule it breaks.
pub fn basis_points(text: &str) -> Result<i16, &'static str> {
    let (is_rebate, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let tenths = parse_scaled(digits, 1).ok().and_then(|tenths| i16::try_from(tenths).ok());
    match tenths.filter(|tenths| *tenths <= Fees::MAX) {
        Some(tenths) => Ok(if is_rebate { -tenths } else { tenths }),
        None => Err("must be basis points with at most one decimal, from -3000 to 3000, such as \"2.5\""),
    }
}

/// The same the other way round.
pub fn basis_points_text(tenths: i16) -> String {
    let sign = if tenths < 0 { "-" } else { "" };
    format!("{sign}{}", scaled_to_string(tenths.unsigned_abs() as u128, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(flags: serde_json::Value) -> String {
        format!("{:#}", Config::load(None, &flags, &json!({})).unwrap_err())
    }

    #[test]
    fn the_sample_file_is_a_working_configuration() {
        let config = Config::load(None, &json!({}), &json!({})).unwrap();
        assert_eq!(config.symbols.len(), 3);
        assert!(config.reactor_limits(1).session.open_login);
    }

    #[test]
    fn a_history_that_is_none_is_found_before_anything_begins() {
        for data_dir in ["", "data"] {
            let error = error(json!({"data_dir": data_dir, "history": "mongo"}));
            assert!(error.contains("history") && error.contains("sqlite"), "{error}");
        }
    }

    #[test]
    fn fees_are_tenths_of_a_basis_point() {
        for (text, tenths) in
            [("0", 0), ("2.5", 25), ("-0.5", -5), ("10", 100), ("3000", 30_000), ("-3000", -30_000)]
        {
            assert_eq!(basis_points(text), Ok(tenths));
        }
        for text in ["", "-", "2.55", "3000.1", "1e1", "--1", "+1", " 1", "x"] {
            assert!(basis_points(text).is_err(), "{text}");
        }
    }

    /// The sample's market with these keys on a symbol of its own.
    fn with_symbol(more: serde_json::Value) -> serde_json::Value {
        let mut symbol = json!({"symbol": "BTC-USDT", "base": "BTC", "quote": "USDT", "tick": "0.01", "lot": "0.00001",
            "min_notional": "5"});
        symbol.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"symbols": [symbol]})
    }

    #[test]
    fn a_symbol_may_have_fees_by_tier_a_band_and_a_largest_order() {
        let flags =
            with_symbol(json!({"band_bps": 500, "max_quantity": "100", "maker_bps": "1", "taker_bps": "2.5",
            "tiers": [{"tier": 2, "maker_bps": "-0.5", "taker_bps": "2"}]}));
        let market = Config::load(None, &flags, &json!({})).unwrap().market().unwrap();
        let instrument = &market.instruments[0];
        assert_eq!((instrument.band, instrument.quantity_max.0), (500, 10_000_000));
        assert_eq!(instrument.fees[0], Fees { maker: 10, taker: 25 });
        assert_eq!(instrument.fees[2], Fees { maker: -5, taker: 20 });
        assert_eq!(instrument.fees[7], instrument.fees[0]);
        for (more, word) in [
            (json!({"band_bps": 10_001}), "band_bps"),
            (json!({"max_quantity": "0.000001"}), "max_quantity"),
            (json!({"maker_bps": "0.05"}), "maker_bps"),
            (json!({"taker_bps": "4000"}), "taker_bps"),
            (json!({"tiers": [{"tier": 8, "maker_bps": "0", "taker_bps": "0"}]}), "tier 8"),
            (json!({"tiers": [{"tier": 1, "maker_bps": "x", "taker_bps": "0"}]}), "maker_bps"),
        ] {
            let error = error(with_symbol(more));
            assert!(error.contains("BTC-USDT") && error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_history_is_kept_beside_the_journal_or_on_a_server() {
        let refused = error(json!({"history": "mysql://here"}));
        assert!(refused.contains("history") && refused.contains("postgres://"), "{refused}");
        let no_journal = error(json!({"history": "postgres://ann:secret@here/db"}));
        assert!(no_journal.contains("data_dir") && !no_journal.contains("secret"), "{no_journal}");
        let kept = json!({"history": "postgres://ann:secret@here:7/db", "data_dir": "there"});
        let config = Config::load(None, &kept, &json!({})).unwrap();
        let place = config.history().unwrap().place(&config.data_dir).unwrap();
        assert_eq!(place.to_string(), "db of PostgreSQL at here:7");
    }

    #[test]
    fn administration_is_for_loopback() {
        let error = error(json!({"admin": true, "http_listen": "0.0.0.0:8080"}));
        assert!(error.contains("http_listen") && error.contains("admin"), "{error}");
    }

    #[test]
    fn a_wrong_value_is_named() {
        assert!(error(json!({"reactors": 100})).contains("reactors must be at most 62"));
        assert!(
            error(json!({"limits": {"channels_max": 0}})).contains("limits.channels_max must be at least 1")
        );
        for (key, value, rule) in [
            ("connects_per_second", 1_000_001, "at most 1000000"),
            ("orders_per_second", 1_000_001, "at most 1000000"),
            ("http_connections_max", 0, "at least 1"),
            ("drain_s", 3601, "at most 3600"),
            ("outbox_bytes_max", 0, "at least 1"),
        ] {
            let expected = format!("limits.{key} must be {rule}");
            assert!(error(json!({"limits": {key: value}})).contains(&expected), "{expected}");
        }
        assert!(error(json!({"nonsense": 1})).contains("nonsense"));
        assert!(error(json!({"cores": [0, 5000]})).contains("cores: this process may not run on core 5000"));
        assert!(error(json!({"ws_listen": "here"})).contains("ws_listen"));
        let asset = json!({"assets": [{"name": "USDT", "decimals": 2, "paper": "1"}]});
        assert!(error(asset).contains("symbol BTC-USDT"), "an asset that a symbol needs is missing");
    }
}

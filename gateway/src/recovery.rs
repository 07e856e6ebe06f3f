//! The engine a process begins with: a new one, or what its journal says.
//!
//! With a journal the market is in the log like everything else: what is configured and not listed yet is listed by commands,
//! as it would be at run time. So a symbol can be added by a restart, and none can silently become another.

use crate::config::{Config, DurabilityKey};
use crate::reactor;
use anyhow::{Context, bail, ensure};
use engine_core::executor::AtRest;
use engine_core::instrument::{Asset, AssetListing, Instrument, Listing, Market};
use engine_core::journal::storage::Disk;
use engine_core::journal::{Durability, Journal, JournalError, Options, Recovery, Shards};
use engine_core::limits::FEE_TIERS;
use engine_core::message::{Command, Input, Origin, Report, ReportBody};
use engine_core::pipeline::{self, Shape};
use indicatif::{ProgressBar, ProgressStyle};
use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long something may be written and not synced with `durability = "async"`.
const SYNC_EVERY: Duration = Duration::from_millis(10);

/// An engine at rest, and the journal that its logs are in, if there is one.
pub struct Recovered {
    pub shards: AtRest,
    pub journal: Option<Journal>,
}

/// A new engine in memory, or the one that the configured directory holds.
///
/// # Errors
/// If the directory cannot be used or is damaged, or was written for another market: the text says what can be done.
pub fn recover(config: &Config, shape: Shape, market: &Arc<Market>) -> anyhow::Result<Recovered> {
    let durability = match config.durability {
        DurabilityKey::Fsync => Durability::Fsync,
        DurabilityKey::Async => Durability::Async { sync_every: SYNC_EVERY },
        DurabilityKey::Off => return Ok(in_memory(shape, market, "durability is off")),
    };
    if config.data_dir.as_os_str().is_empty() {
        return Ok(in_memory(shape, market, "there is no data_dir"));
    }
    let started = Instant::now();
    let directory = config.data_dir.join("journal");
    let disk = Disk::new(&directory).with_context(|| format!("data_dir {}", directory.display()))?;
    let shards = Shards { sequencers: shape.sequencers, matchers: shape.matchers };
    let recovery = Recovery::open(Arc::new(disk), Options { durability, ..Options::new(shards) })?;
    let bar = bar();
    let fresh = pipeline::build(shape, &Arc::new(Market::default()));
    let progress = |read, all| {
        bar.set_length(all);
        bar.set_position(read);
    };
    let (shards, journal) = pipeline::recover(recovery, fresh, progress, Box::new(stop))?;
    bar.finish_and_clear();
    let shards = list(shards, market)?;
    // What arrived late and what was listed is as safe as the rest before anybody hears of it.
    journal.wait_until_durable()?;
    let accounts: usize = shards.sequencers.iter().map(|shard| shard.machine.accounts().count()).sum();
    tracing::info!(accounts, took = ?started.elapsed(), directory = %directory.display(), "recovered");
    Ok(Recovered { shards, journal: Some(journal) })
}

fn in_memory(shape: Shape, market: &Arc<Market>, why: &str) -> Recovered {
    tracing::info!("nothing outlives this process: {why}");
    Recovered { shards: pipeline::build(shape, market), journal: None }
}

/// What is on the disk is unknown after a failed sync, so nothing more may be promised: the process ends here and now, by an
/// abort, which runs no more code that could say something to somebody.
fn stop(error: &JournalError) {
    eprintln!("error: {}", farewell(error));
    std::process::abort();
}

fn farewell(error: &JournalError) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let causes: String = causes.map(|cause| format!(": {cause}")).collect();
    format!(
        "the journal cannot go on, and so cannot the exchange: {error}{causes}; look after the disk before the next start, \
         which keeps all that was acknowledged if the disk did"
    )
}

/// Lists what is configured and not listed yet.
fn list(shards: AtRest, configured: &Market) -> anyhow::Result<AtRest> {
    let listed = shards.sequencers[0].machine.market().clone();
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
            "symbols: {} is in the place of {}, which the journal knows, or has another tick or lot: keep their order and \
             steps, add at the end",
            instrument.symbol,
            known.symbol
        );
    }
    let assets = configured.assets.iter().skip(listed.assets.len()).map(asset_listing);
    let instruments = configured.instruments.iter().skip(listed.instruments.len()).flat_map(listing);
    let mut engine = pipeline::run_inline(shards);
    let mut refused = None;
    for command in assets.chain(instruments) {
        let input = Input { origin: Origin::default(), at: reactor::clock(), ticket: 0, command };
        let mut hear = |report: &Report| {
            if let ReportBody::Refused { reason } = report.body {
                refused = Some(reason);
            }
        };
        engine.apply(&input, &mut hear, &mut ());
        if let Some(reason) = refused {
            bail!("the engine does not take {command:?}: {reason:?}");
        }
    }
    Ok(engine.into_rest())
}

fn same_asset(asset: &Asset, known: &Asset) -> bool {
    (&asset.name, asset.decimals) == (&known.name, known.decimals)
}

fn same_symbol(instrument: &Instrument, known: &Instrument) -> bool {
    let terms = |of: &Instrument| (of.symbol.clone(), of.tick, of.lot);
    terms(instrument) == terms(known)
}

fn asset_listing(asset: &Asset) -> Command {
    let listing = AssetListing::new(asset.id, &asset.name, asset.decimals);
    Command::ListAsset(listing.expect("a name that was checked is short enough"))
}

/// The listing of an instrument, and the fees of the tiers that have their own.
fn listing(instrument: &Instrument) -> Vec<Command> {
    let Instrument { id, base, quote, tick, lot, min_notional, quantity_max, band, fees, .. } =
        instrument.clone();
    let all = fees[0];
    let mut commands = vec![Command::List(Listing {
        id,
        base,
        quote,
        tick,
        lot,
        min_notional,
        quantity_max,
        band,
        fees: all,
    })];
    let own = (0..FEE_TIERS).filter(|tier| fees[*tier] != all);
    commands.extend(own.map(|tier| Command::SetFees { symbol: id, tier: tier as u8, fees: fees[tier] }));
    commands
}

/// Shown on a terminal only.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("journal {bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    ProgressBar::new(0).with_style(style.expect("a template that works"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_failed_disk_is_named_with_file_and_cause() {
        let source = io::Error::from_raw_os_error(5);
        let error = JournalError::Io { doing: "sync", file: "segment-7.journal".into(), source };
        let text = farewell(&error);
        assert!(text.contains("cannot sync segment-7.journal: Input/output error"), "{text}");
    }
}

//! The engine a process begins with: a new one, or what its journal says.
//!
//! What survives a crash, if it was acknowledged (`durability` says what that means):
//! - accounts with their names, states, tiers, balances and histories; withdrawals and transfers under way
//! - orders, in the book and waiting, with their places, numbers and what has traded; ids of orders for 24 hours
//! - dead-man timers, which go on; guards (`cancel_on_disconnect`), which end, since a crash ends every connection
//! - the market: assets, symbols, their fees and states, last prices, numbers of trades and of market data
//!
//! What does not: connections, subscriptions and logins; who had come back to a guarded account; the accounts of
//! connections that did not log in stay, but nobody has their names; rings, candles and the trades of the past that REST tells;
//! counters. Answers that were on their way are not sent again: a client asks again, by the same order id.
//!
//! - here: the steps, and how the exchange speaks to its engine before anybody else does
//! - `market`: what is configured and not listed yet is listed; what differs is told
//! - `accounts`: money that a crash has kept from a new account; guards whose connections are gone

mod accounts;
mod market;

pub use accounts::Bereft;

use crate::config::{Config, DurabilityKey};
use crate::history::remains::remains;
use crate::log;
use crate::reactor;
use crate::start::Exchange;
use anyhow::{Context, bail};
use engine_core::executor::AtRest;
use engine_core::executor::inline::Inline;
use engine_core::instrument::Market;
use engine_core::journal::storage::Disk;
use engine_core::journal::{Cut, Durability, Journal, JournalError, Options, Positions, Recovery, Shards};
use engine_core::message::{Command, Input, Origin, Report, ReportBody};
use engine_core::pipeline::{self, Shape};
use indicatif::{ProgressBar, ProgressStyle};
use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long something may be written and not synced with `durability = "async"`.
const SYNC_EVERY: Duration = Duration::from_millis(10);

/// An engine at rest, and the journal that its logs are in, if there is one.
pub struct Recovered {
    pub shards: AtRest,
    pub journal: Option<Journal>,
    /// Of all shards, after the last entry that the journal had before this start added to it.
    pub end: Option<Positions>,
    /// Guards that have a grace, which begins when clients can come back.
    pub bereft: Vec<Bereft>,
}

/// A new engine in memory, or the one that the configured directory holds.
///
/// # Errors
/// If the directory cannot be used or is damaged, or was written for another market: the text says what can be done.
pub fn recover(config: &Config, shape: Shape, exchange: &Exchange) -> anyhow::Result<Recovered> {
    let market = &exchange.market;
    if config.data_dir.as_os_str().is_empty() {
        return Ok(in_memory(shape, market, "there is no data_dir"));
    }
    let directory = config.data_dir.join("journal");
    let Some(durability) = durability(config, &directory)? else {
        return Ok(in_memory(shape, market, "durability is off"));
    };
    let started = Instant::now();
    let disk = Disk::new(&directory).with_context(|| format!("data_dir {}", directory.display()))?;
    let shards = Shards { sequencers: shape.sequencers, matchers: shape.matchers };
    let recovery = Recovery::open(Arc::new(disk), Options { durability, ..Options::new(shards) })?;
    let bar = bar();
    let progress = |read, all| show(&bar, (read, all));
    let pipeline::Recovered { shards, journal, end, snapshot, unreadable } =
        pipeline::recover(recovery, fresh(shape), progress, Box::new(stop))?;
    bar.finish_and_clear();
    if let Some(Cut { file, offset, bytes }) = journal.cut() {
        tracing::info!(
            "cut {bytes} bytes at byte {offset} of {file}: a crash had left them, and nobody was told of them"
        );
    }
    for error in unreadable {
        let error = anyhow::Error::from(error);
        tracing::warn!(
            "a snapshot cannot be read, an older one and more of the journal replace it: {error:#}"
        );
    }
    let (snapshot, hash) = (snapshot.map(|snapshot| snapshot.number), shards.state_hash());
    tracing::info!(snapshot, %hash, took = ?started.elapsed(), "the journal has been followed to its end");
    let mut engine = pipeline::run_inline(shards);
    market::list(&mut engine, market)?;
    if config.opens_login() {
        accounts::fund(&mut engine, &exchange.paper_funds);
    }
    let bereft = accounts::end_guards(&mut engine);
    let shards = engine.into_rest();
    // What arrived late and what was listed is as safe as the rest before anybody hears of it.
    journal.wait_until_durable()?;
    let accounts: usize = shards.sequencers.iter().map(|shard| shard.machine.accounts().count()).sum();
    tracing::info!(accounts, took = ?started.elapsed(), directory = %directory.display(), "recovered");
    Ok(Recovered { shards, journal: Some(journal), end: Some(end), bereft })
}

/// When an answer may be given, if the journal in that directory is to be kept at all. What is in the data directory must not
/// speak against that: nobody loses an exchange by a wrong word, or by a directory that was not brought along.
fn durability(config: &Config, directory: &Path) -> anyhow::Result<Option<Durability>> {
    let journal_is_there = shards_in(directory)?.is_some();
    let durability = match config.durability {
        DurabilityKey::Fsync => Durability::Fsync,
        DurabilityKey::Async => Durability::Async { sync_every: SYNC_EVERY },
        DurabilityKey::Off if journal_is_there => bail!(
            "durability is off, and there is a journal in {}: leave durability away to go on with what it holds, or data_dir \
             to begin without",
            directory.display()
        ),
        DurabilityKey::Off => return Ok(None),
    };
    if !journal_is_there && let Some(history) = remains(&config.history()?, &config.data_dir)? {
        bail!(
            "there is no journal in {}, and {history} has the history of one: bring the journal back, from a copy or a \
             backup, or, if a new exchange is wanted, give it another data_dir and another place for its history; nothing \
             was changed",
            directory.display()
        );
    }
    Ok(Some(durability))
}

/// Where the configuration leaves the numbers of shards open, a journal that is there has them: the machine may be another.
///
/// # Errors
/// If the journal's identity cannot be read.
pub fn take_shards_of_journal(config: &mut Config) -> anyhow::Result<()> {
    if config.durability == DurabilityKey::Off || config.data_dir.as_os_str().is_empty() {
        return Ok(());
    }
    if let Some(shards) = shards_in(&config.data_dir.join("journal"))? {
        let or = |configured, found| if configured == 0 { found } else { configured };
        config.sequencers = or(config.sequencers, shards.sequencers);
        config.matchers = or(config.matchers, shards.matchers);
    }
    Ok(())
}

/// The shards of the journal in that directory, if there is one.
fn shards_in(directory: &Path) -> Result<Option<Shards>, JournalError> {
    if directory.is_dir() { Recovery::shards_in(&Disk::to_read(directory)) } else { Ok(None) }
}

fn in_memory(shape: Shape, market: &Arc<Market>, why: &str) -> Recovered {
    tracing::info!("nothing outlives this process: {why}");
    Recovered { shards: pipeline::build(shape, market), journal: None, end: None, bereft: Vec::new() }
}

/// The shards that a journal begins with: they do not even know a market.
pub fn fresh(shape: Shape) -> AtRest {
    pipeline::build(shape, &Arc::new(Market::default()))
}

/// Has the engine do what only the exchange itself asks for.
fn carry_out(engine: &mut Inline, command: Command) -> anyhow::Result<()> {
    let input = Input { origin: Origin::default(), at: reactor::clock(), ticket: 0, command };
    let mut refused = None;
    let mut hear = |report: &Report| {
        if let ReportBody::Refused { reason } = report.body {
            refused = Some(reason);
        }
    };
    engine.apply(&input, &mut hear, &mut ());
    match refused {
        None => Ok(()),
        Some(reason) => bail!("the engine does not take {command:?}: {reason:?}"),
    }
}

/// What is on the disk is unknown after a failed sync, so nothing more may be promised: the process ends here and now, by an
/// abort, which runs no more code that could say something to somebody.
fn stop(error: &JournalError) {
    log::say_last(&format!("error: {}", farewell(error)));
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

/// Ends the process at once: to go on would be to promise what cannot be kept.
pub fn give_up(why: &str) -> ! {
    log::say_last(&format!("error: the journal cannot go on, and so cannot the exchange: {why}"));
    std::process::abort();
}

/// Shows how many bytes of a journal have been read, and of how many.
pub fn show(bar: &ProgressBar, (read, all): (u64, u64)) {
    bar.set_length(all);
    bar.set_position(read);
}

/// Shown on a terminal only.
pub fn bar() -> ProgressBar {
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

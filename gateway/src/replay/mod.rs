//! `ringside replay DIR`: real, recorded order flow through the engine, with the venue's own record as the judge.
//!
//! A folder is one of two kinds, told apart by its files:
//! - [`bitstamp`]: every order and every trade of a market. The engine must make the very trades that were made.
//! - [`binance`]: price levels, trades and best prices. The book that the engine tells the feed must have the top that
//!   the venue's bookTicker had.
//!
//! In reading order: [`capture`] reads files and numbers; [`bitstamp`] and [`binance`] turn them into a [`Flow`] of
//! inputs; [`feed()`] hands it to an engine at a pace, [`drive`] to an engine of its own; [`tally`] and [`tops`] keep
//! what comes out; [`outcome`] says how it compares.
//!
//! Every input of a symbol has a ticket, so shards and executors change nothing: event hashes and balances of all
//! runs are equal.

pub mod binance;
pub mod bitstamp;
pub mod capture;
pub mod drive;
pub mod feed;
mod funding;
pub mod outcome;
pub mod tally;
pub mod tops;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use engine_core::instrument::Market;
use engine_core::limits::SHARDS_MAX;
use engine_core::message::Input;
use engine_core::pipeline::Shape;
use engine_core::units::{Amount, AssetId};
pub use feed::{Clock, Speed, feed};
use indicatif::{ProgressBar, ProgressStyle};
pub use outcome::Outcome;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Replays recorded order flow and compares the outcome with the record.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// The folder: orders.csv.gz and trades.csv, or *.gz of combined-stream frames.
    pub dir: PathBuf,
    /// With --serve: times the recorded pace, or max.
    #[arg(long, default_value = "1")]
    pub speed: Speed,
    /// Feeds a running exchange that clients can watch, instead of an engine of its own.
    #[arg(long)]
    pub serve: bool,
    /// Sequencer shards.
    #[arg(long, default_value_t = 1)]
    pub sequencers: usize,
    /// Matcher shards.
    #[arg(long, default_value_t = 1)]
    pub matchers: usize,
    /// How the shards run.
    #[arg(long, value_enum, default_value_t = Executor::Threads)]
    pub executor: Executor,
    /// Prints all figures as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// How the shards run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Executor {
    /// A thread for each shard, as the live exchange.
    Threads,
    /// All shards in one thread.
    Inline,
}

impl fmt::Display for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Executor::Threads => "threads",
            Executor::Inline => "inline",
        })
    }
}

/// A recording as inputs of the engine.
pub struct Flow {
    /// What it is.
    pub title: String,
    /// What is traded in it.
    pub market: Arc<Market>,
    /// Opens and funds the accounts; goes first.
    pub funding: Vec<Input>,
    /// Orders and cancels with the time they were recorded.
    pub inputs: Vec<Input>,
    /// How the recording was read, for the report.
    pub notes: Vec<String>,
}

/// What the recording says must come out.
pub enum Oracle {
    /// The trades.
    Trades(bitstamp::Recording),
    /// The best prices.
    Tops(binance::Recording),
}

/// Reads a folder.
pub fn load(folder: &Path) -> anyhow::Result<(Flow, Oracle)> {
    let mut packed = Vec::new();
    let entries = std::fs::read_dir(folder).with_context(|| format!("read folder {}", folder.display()))?;
    for entry in entries {
        let name = entry.with_context(|| format!("list folder {}", folder.display()))?.file_name();
        packed.extend(name.into_string().ok().filter(|name| name.ends_with(".gz")));
    }
    packed.sort(); // the names are dates
    let read = format!("read the recording in {}", folder.display());
    if folder.join(bitstamp::ORDERS).is_file() && folder.join(bitstamp::TRADES).is_file() {
        let (flow, recording) = bitstamp::load(folder).context(read)?;
        Ok((flow, Oracle::Trades(recording)))
    } else if !packed.is_empty() && !folder.join(bitstamp::ORDERS).is_file() {
        let (flow, recording) = binance::load(folder, &packed).context(read)?;
        Ok((flow, Oracle::Tops(recording)))
    } else {
        bail!(
            "{} is no recording: a folder holds either {} and {} (every order), or *.gz files of lines \
             \"<nanoseconds> <combined-stream frame>\" (price levels)",
            folder.display(),
            bitstamp::ORDERS,
            bitstamp::TRADES,
        );
    }
}

/// Replays flat out through an engine of its own and judges the outcome; `speed` and `serve` concern those who [`feed()`]
/// a running exchange. An error means nothing was judged: a wrong
/// folder or a malformed file.
pub fn run(args: &ReplayArgs) -> anyhow::Result<Outcome> {
    let bound = 1..=SHARDS_MAX;
    if !bound.contains(&args.sequencers) || !bound.contains(&args.matchers) {
        bail!("sequencers and matchers are 1 to {SHARDS_MAX}");
    }
    let (flow, oracle) = load(&args.dir)?;
    let shape = Shape { sequencers: args.sequencers, matchers: args.matchers, log_entries_max: 0 };
    let progress = bar(&flow);
    let (watch, moments) = match &oracle {
        Oracle::Trades(_) => (true, Vec::new()),
        Oracle::Tops(recording) => (false, recording.moments()),
    };
    let played = drive::play(&flow, args.executor, shape, watch, moments, &progress)?;
    progress.finish_and_clear();
    let outcome = Outcome::new(args, &flow, &played);
    Ok(match oracle {
        Oracle::Trades(recording) => outcome.judge_trades(&recording.judge(&played.tally.trades())),
        Oracle::Tops(recording) => recording.judge(outcome, &played.tops),
    })
}

/// A bar over the inputs of a flow; it draws itself on a terminal only.
pub fn bar(flow: &Flow) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} inputs {per_sec} {elapsed}");
    ProgressBar::new((flow.funding.len() + flow.inputs.len()) as u64)
        .with_style(style.expect("a valid template"))
}

/// What a paper account is given when a recording is served: a million units of each asset.
pub fn paper_funds(market: &Market) -> Vec<(AssetId, Amount)> {
    let units = |decimals: u8| Amount(1_000_000 * 10u128.pow(decimals as u32));
    market.assets.iter().map(|asset| (asset.id, units(asset.decimals))).collect()
}

//! Runs a whole recording through an engine of its own, in one thread or on threads, and keeps what came out.

use super::feed::{Clock, Speed, feed};
use super::tally::Tally;
use super::tops::{Top, TopWatch};
use super::{Executor, Flow};
use engine_core::bell::{Bell, ThreadBell};
use engine_core::executor::threads::{Port, Threads};
use engine_core::executor::{AtRest, MarketSink};
use engine_core::message::{Input, Report};
use engine_core::pipeline::{self, Shape};
use engine_core::units::Timestamp;
use indicatif::ProgressBar;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How often a shard's thread looks for work before it parks: replays share their cores with whatever else runs.
const SPINS: u32 = 0;
/// An engine that says nothing for this long while answers are due has lost them.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A replay that is over.
pub struct Played {
    pub rest: AtRest,
    pub tally: Tally,
    /// The feed's top of book at each moment asked for.
    pub tops: Vec<Top>,
    pub elapsed: Duration,
}

/// Plays `flow` flat out. `watch` asks for the reports of all accounts, which the trades are joined from; `moments`
/// are when the feed's top is wanted (one symbol).
pub fn play(
    flow: &Flow,
    executor: Executor,
    shape: Shape,
    watch: bool,
    moments: Vec<Timestamp>,
    progress: &ProgressBar,
) -> anyhow::Result<Played> {
    let (send, tops) = channel();
    let top_watch = TopWatch::new(moments, send);
    let played = match executor {
        Executor::Inline => inline(flow, shape, top_watch, tops, progress),
        Executor::Threads => threads(flow, shape, watch, top_watch, tops, progress)?,
    };
    if let Some(reason) = played.tally.refused {
        anyhow::bail!("the engine refused to open or fund an account: {reason:?}");
    }
    Ok(played)
}

fn inline(
    flow: &Flow,
    shape: Shape,
    mut market: TopWatch,
    tops: Receiver<Top>,
    progress: &ProgressBar,
) -> Played {
    let mut tally = Tally::default();
    let mut engine = pipeline::run_inline(pipeline::build(shape, &flow.market));
    let start = Instant::now();
    for input in progress.wrap_iter(flow.funding.iter().chain(&flow.inputs)) {
        engine.apply(input, &mut |report: &Report| tally.take(report), &mut market);
    }
    let elapsed = start.elapsed();
    drop(market);
    Played { rest: engine.into_rest(), tally, tops: tops.iter().collect(), elapsed }
}

fn threads(
    flow: &Flow,
    shape: Shape,
    watch: bool,
    market: TopWatch,
    tops: Receiver<Top>,
    progress: &ProgressBar,
) -> anyhow::Result<Played> {
    let bell = Arc::new(ThreadBell::default());
    bell.attach();
    // Symbol 0 is at matcher 0; recordings hold one symbol.
    let mut markets: Vec<Box<dyn MarketSink>> = vec![Box::new(market)];
    markets.resize_with(shape.matchers, || Box::new(()));
    let shards = pipeline::build(shape, &flow.market);
    let (engine, mut ports) =
        pipeline::run_threads(shards, vec![bell.clone() as Arc<dyn Bell>], markets, SPINS);
    let mut port = ports.pop().expect("one bell, one port");
    let mut tally = Tally::default();

    let start = Instant::now();
    if watch {
        watch_all(&mut port, &flow.funding);
    }
    feed(&mut port, flow, Speed::Max, Clock::Recorded, &AtomicBool::new(false), progress, |report| {
        tally.take(&report)
    });
    take_the_rest(&mut port, &bell, &engine, flow.inputs.len() as u64, watch, &mut tally)?;
    drop(port);
    let rest = engine.join();
    Ok(Played { rest, tally, tops: tops.iter().collect(), elapsed: start.elapsed() })
}

fn watch_all(port: &mut Port, funding: &[Input]) {
    let accounts: std::collections::BTreeSet<_> =
        funding.iter().filter_map(|input| input.command.account()).collect();
    for account in accounts {
        while port.watch(account, true).is_err() {
            port.flush();
            std::thread::yield_now();
        }
    }
}

/// Waits until everything asked is answered and both sides of every trade are reported.
fn take_the_rest(
    port: &mut Port,
    bell: &ThreadBell,
    engine: &Threads,
    asked: u64,
    watch: bool,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let mut heard = Instant::now();
    loop {
        if port.take_reports(usize::MAX, |report| tally.take(&report)) > 0 {
            heard = Instant::now();
        }
        // A matcher counts a batch's trades before it hands the answers on: once all are answered, the count is whole.
        let answered = tally.answers() == asked;
        let trades: u64 = engine.matcher_counters.iter().map(|counters| counters.trades.get()).sum();
        if answered && (!watch || tally.trade_reports() == 2 * trades) {
            return Ok(());
        }
        anyhow::ensure!(
            heard.elapsed() < SILENCE_MAX,
            "the engine answered {} of {asked} requests and reported {} sides of {trades} trades, then nothing more",
            tally.answers(),
            tally.trade_reports(),
        );
        bell.wait(Some(Duration::from_millis(10)), || port.has_reports());
    }
}

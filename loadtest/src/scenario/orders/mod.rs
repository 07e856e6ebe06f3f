//! `loadtest orders`: the way of an order from our socket to its ack and back.
//!
//! Post-only orders far from the touch are submitted and, once acknowledged, canceled, so the book and the balances
//! stay as they were. Open loop (a rate): submits leave by the schedule and their latency counts from it. Closed loop
//! (a window): the next order of a chain waits for the last, which measures the round trip without queueing; `lean` has a
//! cheaper client for it.

mod lean;
mod measured;

pub use measured::Results;

use crate::client::{Connection, Incoming, Socket, incoming};
use crate::market::Market;
use crate::message::Side;
use crate::monitor::Monitor;
use crate::report::{Outcome, Verdict};
use crate::schedule::{Pacer, Schedule};
use crate::target::Target;
use crate::trading::{Answered, Answers, Kind, Naming, Order};
use anyhow::{Context, Result};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use indicatif::ProgressBar;
use lean::LeanTrader;
use measured::Measured;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

/// Prices used on each side, so that the load is not one level; by eye.
const PRICE_LEVELS: u32 = 64;

/// Answers that come later than this after the last submit count as never.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub struct Options {
    pub target: Target,
    pub market: Market,
    pub connections: usize,
    pub load: Load,
    /// Closed loop by the cheaper client.
    pub lean: bool,
    pub duration: Duration,
    /// Distance from the middle of the book.
    pub distance_percent: u32,
    /// The server's process, to be looked at every second.
    pub pid: Option<u32>,
    pub seed: u64,
    /// Tells the order ids of this run from earlier ones.
    pub run: u64,
}

#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// Submits a second over all connections, whatever the answers do.
    Open { per_second: u64 },
    /// Orders in flight on each connection.
    Closed { window: usize },
}

pub async fn run(options: &Options, progress: &ProgressBar) -> Result<Outcome<Results>> {
    let measured = Arc::new(Mutex::new(Measured::default()));
    let mut running = JoinSet::new();
    let start = match options.load {
        Load::Closed { window } if options.lean => {
            spawn_lean(options, window, &measured, &mut running).await?
        }
        _ => spawn(options, &measured, &mut running).await?,
    };
    let mut verdict = Verdict::default();
    progress.set_length(options.connections as u64);
    let mut monitor = Monitor::new(options.pid);
    let mut second = tokio::time::interval_at(start.into(), SECOND);
    loop {
        tokio::select! {
            finished = running.join_next() => {
                let Some(finished) = finished else { break };
                verdict.merge(finished.context("a connection's task")??);
                progress.inc(1);
            }
            _ = second.tick() => {
                let sample = measured.lock().expect("no holder panics").sample(&mut monitor);
                progress.set_message(format!("{:.0} orders/s", sample.per_second));
            }
        }
    }
    let elapsed = start.elapsed();
    let measured = measured.lock().expect("no holder panics");
    Ok(Outcome { results: measured.results(elapsed, &monitor), verdict })
}

/// Starts when all are connected. Returns when that was.
async fn spawn(
    options: &Options,
    measured: &Arc<Mutex<Measured>>,
    running: &mut JoinSet<Result<Verdict>>,
) -> Result<Instant> {
    let mut traders = Vec::new();
    for connection in 0..options.connections {
        traders.push(Trader::open(options, connection, measured.clone()).await?);
    }
    let start = Instant::now();
    for trader in traders {
        match options.load {
            Load::Open { per_second } => {
                let schedule = Schedule::new(start, per_second);
                running.spawn(trader.open_loop(schedule, options.clone()))
            }
            Load::Closed { window } => running.spawn(trader.closed_loop(window, start + options.duration)),
        };
    }
    Ok(start)
}

/// The same for the cheaper clients.
async fn spawn_lean(
    options: &Options,
    window: usize,
    measured: &Arc<Mutex<Measured>>,
    running: &mut JoinSet<Result<Verdict>>,
) -> Result<Instant> {
    let mut traders = Vec::new();
    for number in 0..options.connections {
        let own = own(options, number);
        traders.push(LeanTrader::open(&options.target, &account(number), own, measured.clone()).await?);
    }
    let start = Instant::now();
    let end = start + options.duration;
    for trader in traders {
        running.spawn(trader.run(window, end, end + DRAIN_TIMEOUT));
    }
    Ok(start)
}

fn account(number: usize) -> String {
    format!("load-{number}")
}

/// What a connection calls its orders, and which they are.
fn own(options: &Options, number: usize) -> (Naming, Quotes) {
    let naming = Naming::new(&options.market.symbol, options.run, number);
    let seed = options.seed.wrapping_add(number as u64);
    (naming, Quotes::new(&options.market, options.distance_percent, seed))
}

/// One logged-in connection.
struct Trader {
    number: usize,
    connection: Connection,
    naming: Naming,
    quotes: Quotes,
    answers: Answers,
    measured: Arc<Mutex<Measured>>,
}

impl Trader {
    async fn open(options: &Options, number: usize, measured: Arc<Mutex<Measured>>) -> Result<Self> {
        let mut connection = Connection::open(&options.target).await?;
        connection.log_in(&account(number)).await?;
        let (naming, quotes) = own(options, number);
        Ok(Trader { number, connection, answers: Answers::new(naming.clone()), naming, quotes, measured })
    }

    /// Writing and reading are two tasks: a server slow to read us must not keep us from reading its answers.
    async fn open_loop(self, schedule: Schedule, options: Options) -> Result<Verdict> {
        let total = (schedule.per_second as f64 * options.duration.as_secs_f64()) as u64;
        let connections = options.connections as u64;
        let own = (self.number as u64..total).step_by(options.connections).count() as u64;
        let last = schedule.intended(own.saturating_sub(1) * connections + self.number as u64);
        let answers = Arc::new(Mutex::new(self.answers));
        // Unbounded in type, bounded by the orders of the run.
        let (acknowledged, to_cancel) = mpsc::unbounded_channel();
        let (sink, stream) = self.connection.socket.split();
        let writer = Writer {
            sink,
            to_cancel,
            answers: answers.clone(),
            measured: self.measured.clone(),
            naming: self.naming,
            quotes: self.quotes,
        };
        let intended = move |index| schedule.intended(index * connections + self.number as u64);
        let writing = tokio::spawn(writer.run(own, intended));
        let deadline = last + DRAIN_TIMEOUT;
        let reading = read(stream, acknowledged, answers.clone(), self.measured, own, deadline).await;
        writing.abort(); // it ends by itself, unless the server stopped reading
        let written = writing.await;
        reading?;
        if let Ok(written) = written {
            written?;
        }
        Ok(Arc::into_inner(answers).context("both halves have ended")?.into_inner()?.finish())
    }

    /// Each of `window` chains goes submit, ack, cancel, ack, and starts over until the time is up.
    async fn closed_loop(mut self, window: usize, end: Instant) -> Result<Verdict> {
        let mut index = 0;
        for _ in 0..window {
            self.submit(&mut index).await?;
        }
        while self.answers.in_flight() > 0 {
            match self.connection.next((end + DRAIN_TIMEOUT).into()).await? {
                Incoming::Text { text, .. } => {
                    let answered = self.answers.answer(&text, Instant::now());
                    self.measured.lock().expect("no holder panics").record(answered, Instant::now());
                    if let Answered::Submitted { index, .. } = answered {
                        self.answers.canceling(index, Instant::now());
                        self.connection.socket.send(Message::text(self.naming.cancel(index))).await?;
                    } else if answered != Answered::Other && Instant::now() < end {
                        self.submit(&mut index).await?;
                    }
                }
                Incoming::Quiet => break,
                Incoming::Closed { reason } => {
                    self.answers.verdict.violate(format!("connection closed: {reason}"));
                    break;
                }
            }
        }
        Ok(self.answers.finish())
    }

    async fn submit(&mut self, index: &mut u64) -> Result<()> {
        let text = self.naming.submit(&self.quotes.order(*index));
        self.answers.submitting(*index, Instant::now());
        *index += 1;
        Ok(self.connection.socket.send(Message::text(text)).await?)
    }
}

struct Writer {
    sink: SplitSink<Socket, Message>,
    to_cancel: mpsc::UnboundedReceiver<u64>,
    answers: Arc<Mutex<Answers>>,
    measured: Arc<Mutex<Measured>>,
    naming: Naming,
    quotes: Quotes,
}

impl Writer {
    /// Sends `total` submits by their intended times, and cancels as acks come in. Ends when the reader has ended.
    async fn run(mut self, total: u64, intended: impl Fn(u64) -> Instant) -> Result<()> {
        let pacer = Pacer::new()?;
        let mut index = 0;
        loop {
            tokio::select! {
                biased;
                cancel = self.to_cancel.recv() => match cancel {
                    Some(index) => self.cancel(index).await?,
                    None => return Ok(()),
                },
                due = pacer.until(intended(index)), if index < total => {
                    due?;
                    self.submit(index, intended(index)).await?;
                    index += 1;
                }
            }
            // What else is due goes into the same write.
            if index >= total || intended(index) > Instant::now() {
                self.sink.flush().await?;
            }
        }
    }

    async fn submit(&mut self, index: u64, intended: Instant) -> Result<()> {
        let text = self.naming.submit(&self.quotes.order(index));
        self.answers.lock().expect("no holder panics").submitting(index, intended);
        let lateness = intended.elapsed();
        self.measured.lock().expect("no holder panics").lateness.record(lateness);
        Ok(self.sink.feed(Message::text(text)).await?)
    }

    async fn cancel(&mut self, index: u64) -> Result<()> {
        self.answers.lock().expect("no holder panics").canceling(index, Instant::now());
        Ok(self.sink.feed(Message::text(self.naming.cancel(index))).await?)
    }
}

/// Reads until every order has run its course, or the deadline.
async fn read(
    mut stream: SplitStream<Socket>,
    acknowledged: mpsc::UnboundedSender<u64>,
    answers: Arc<Mutex<Answers>>,
    measured: Arc<Mutex<Measured>>,
    total: u64,
    deadline: Instant,
) -> Result<()> {
    let mut finished = 0;
    while finished < total {
        let Ok(message) = tokio::time::timeout_at(deadline.into(), stream.next()).await else {
            return Ok(());
        };
        match incoming(message)? {
            Some(Incoming::Text { text, .. }) => {
                let received = Instant::now();
                let answered = answers.lock().expect("no holder panics").answer(&text, received);
                measured.lock().expect("no holder panics").record(answered, received);
                match answered {
                    // A writer that has failed says so itself.
                    Answered::Submitted { index, .. } => _ = acknowledged.send(index),
                    Answered::Canceled { .. } | Answered::Failed => finished += 1,
                    Answered::Other => {}
                }
            }
            Some(Incoming::Closed { reason }) => {
                let closed = format!("connection closed: {reason}");
                answers.lock().expect("no holder panics").verdict.violate(closed);
                return Ok(());
            }
            Some(Incoming::Quiet) | None => {}
        }
    }
    Ok(())
}

/// The orders of one connection: both sides in turn, prices drawn from the seed.
struct Quotes {
    bid: Decimal,
    ask: Decimal,
    tick: Decimal,
    bid_quantity: Decimal,
    ask_quantity: Decimal,
    random: ChaCha8Rng,
}

impl Quotes {
    fn new(market: &Market, distance_percent: u32, seed: u64) -> Self {
        // The lowest bid of all, so that the quantity is enough at every price.
        let depth = Decimal::from(PRICE_LEVELS) * market.tick;
        let bid = (market.far_bid(distance_percent) - depth).max(market.tick);
        let ask = market.far_ask(distance_percent);
        Quotes {
            bid,
            ask,
            tick: market.tick,
            bid_quantity: market.quantity_min(bid),
            ask_quantity: market.quantity_min(ask),
            random: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    fn order(&mut self, index: u64) -> Order {
        let offset = Decimal::from(self.random.random_range(0..PRICE_LEVELS)) * self.tick;
        let (side, base, quantity) = match index % 2 {
            0 => (Side::Buy, self.bid, self.bid_quantity),
            _ => (Side::Sell, self.ask, self.ask_quantity),
        };
        Order { index, side, price: (base + offset).normalize(), quantity, kind: Kind::PostOnly }
    }
}

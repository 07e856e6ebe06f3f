//! Order flow of our own, so that a quiet server has something to publish.
//!
//! One account makes: it keeps some forty orders within fifty ticks of the middle and adds or cancels one at a time.
//! Another takes: an immediate-or-cancel order now and then, which trades with the first. Each command is one change
//! of the book, paced evenly, and the same seed makes the same commands. Refusals are counted, not judged: canceling
//! an order that has just traded is part of life. [`heavy`] makes many messages of few orders.

pub mod heavy;
mod load;
mod trader;

pub(crate) use load::Running;
pub use load::{Load, Offered};
pub(super) use trader::Trader;

use crate::client::{Connection, Incoming, Socket, incoming};
use crate::market::Market;
use crate::message::Side;
use crate::schedule::{Pacer, Schedule};
use crate::target::Target;
use crate::trading::{Answer, Kind, Naming, Order};
use anyhow::{Context, Result};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

/// Enough for a book with shape, few enough for any paper balance; by eye.
const RESTING_MAX: usize = 40;
const TICKS_FROM_MIDDLE_MAX: u32 = 50;
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Of a hundred commands.
const TAKES_PERCENT: u32 = 10;

#[derive(Clone, Debug)]
pub struct Options {
    pub target: Target,
    pub market: Market,
    pub commands_per_second: u64,
    pub seed: u64,
    pub run: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    pub commands: u64,
    pub acks: u64,
    pub cancel_acks: u64,
    pub cancel_all_acks: u64,
    pub order_rejects: u64,
    pub cancel_rejects: u64,
    pub errors: u64,
    /// The first answer that was a refusal of an order or an error.
    pub first_refusal: Option<String>,
}

/// Runs until stopped.
pub struct Flow {
    stop: watch::Sender<bool>,
    sent: Arc<AtomicU64>,
    writing: JoinHandle<Result<u64>>,
    reading: [JoinHandle<Counts>; 2],
}

impl Flow {
    pub async fn start(options: &Options) -> Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let (maker, maker_answers) = account(&options.target, "load-maker").await?;
        let (taker, taker_answers) = account(&options.target, "load-taker").await?;
        let commands = Commands::new(options);
        let sent = Arc::new(AtomicU64::new(0));
        let writer = Writer { maker, taker, commands, sent: sent.clone() };
        Ok(Flow {
            stop,
            sent,
            writing: tokio::spawn(writer.run(options.commands_per_second, stopped)),
            reading: [tokio::spawn(count(maker_answers)), tokio::spawn(count(taker_answers))],
        })
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The readers end when the writer has closed both connections and the server agrees.
    pub async fn stop(self) -> Result<Counts> {
        self.stop.send_replace(true);
        let mut counts = Counts { commands: self.writing.await.context("order flow")??, ..Counts::default() };
        for reading in self.reading {
            let read = timeout(CLOSE_TIMEOUT, reading).await.context("the server did not answer a close")?;
            counts.add(read.context("order flow")?);
        }
        Ok(counts)
    }
}

type Half = SplitSink<Socket, Message>;

async fn account(target: &Target, name: &str) -> Result<(Half, SplitStream<Socket>)> {
    let mut connection = Connection::open(target).await?;
    connection.log_in(name).await?;
    Ok(connection.socket.split())
}

struct Writer {
    maker: Half,
    taker: Half,
    commands: Commands,
    /// So many, for others to look at.
    sent: Arc<AtomicU64>,
}

impl Writer {
    async fn run(mut self, per_second: u64, mut stopped: watch::Receiver<bool>) -> Result<u64> {
        let schedule = Schedule::new(Instant::now(), per_second);
        let pacer = Pacer::new()?;
        let mut index = 0;
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => break,
                due = pacer.until(schedule.intended(index)) => due?,
            }
            let (by_maker, text) = self.commands.next(index);
            let half = if by_maker { &mut self.maker } else { &mut self.taker };
            half.send(Message::text(text)).await.context("sending order flow")?;
            index += 1;
            self.sent.store(index, Ordering::Relaxed);
        }
        // A server that closes first leaves nothing to close.
        let _ = (self.maker.close().await, self.taker.close().await);
        Ok(index)
    }
}

/// What to send next, and which orders rest.
struct Commands {
    maker: Naming,
    taker: Naming,
    middle: Decimal,
    tick: Decimal,
    quantity: Decimal,
    resting: VecDeque<u64>,
    random: ChaCha8Rng,
}

impl Commands {
    fn new(options: &Options) -> Self {
        let market = &options.market;
        let middle = market.middle().max(market.tick * Decimal::from(TICKS_FROM_MIDDLE_MAX + 2));
        let lowest = middle - market.tick * Decimal::from(TICKS_FROM_MIDDLE_MAX);
        Commands {
            maker: Naming::new(&market.symbol, options.run, 0),
            taker: Naming::new(&market.symbol, options.run, 1),
            middle,
            tick: market.tick,
            quantity: market.quantity_min(lowest),
            resting: VecDeque::new(),
            random: ChaCha8Rng::seed_from_u64(options.seed),
        }
    }

    /// Whether the maker sends it, and the text.
    fn next(&mut self, index: u64) -> (bool, String) {
        let side = if self.random.random_bool(0.5) { Side::Buy } else { Side::Sell };
        if self.random.random_range(0..100) < TAKES_PERCENT {
            let far = TICKS_FROM_MIDDLE_MAX;
            return (
                false,
                self.taker.submit(&self.order(index, opposite(side), far, Kind::ImmediateOrCancel)),
            );
        }
        let crowded = self.resting.len() >= RESTING_MAX || self.random.random_bool(0.4);
        if let Some(oldest) = self.resting.front().copied().filter(|_| crowded) {
            self.resting.pop_front();
            return (true, self.maker.cancel(oldest));
        }
        self.resting.push_back(index);
        let away = self.random.random_range(1..=TICKS_FROM_MIDDLE_MAX);
        (true, self.maker.submit(&self.order(index, side, away, Kind::Limit)))
    }

    /// On the maker's side of the middle: bids below, asks above; a taker passes the opposite side.
    fn order(&self, index: u64, side: Side, ticks: u32, kind: Kind) -> Order {
        let away = self.tick * Decimal::from(ticks);
        let takes = kind == Kind::ImmediateOrCancel;
        let below = (side == Side::Buy) != takes;
        let price = if below { self.middle - away } else { self.middle + away };
        Order { index, side, price: price.normalize(), quantity: self.quantity, kind }
    }
}

fn opposite(side: Side) -> Side {
    if side == Side::Buy { Side::Sell } else { Side::Buy }
}

async fn count(mut answers: SplitStream<Socket>) -> Counts {
    let mut counts = Counts::default();
    while let Ok(message) = incoming(answers.next().await) {
        match message {
            Some(Incoming::Text { text, .. }) => counts.count(&text),
            Some(Incoming::Closed { .. }) => break,
            Some(Incoming::Quiet) | None => {}
        }
    }
    counts
}

impl Counts {
    fn count(&mut self, text: &str) {
        let kind = serde_json::from_str::<Answer>(text)
            .map_or("error".to_owned(), |answer| answer.kind.into_owned());
        match kind.as_str() {
            "order_ack" => self.acks += 1,
            "cancel_ack" => self.cancel_acks += 1,
            "cancel_all_ack" => self.cancel_all_acks += 1,
            "cancel_reject" => self.cancel_rejects += 1,
            "order_reject" => self.order_rejects += 1,
            "error" => self.errors += 1,
            _ => {}
        }
        if self.first_refusal.is_none() && matches!(kind.as_str(), "order_reject" | "error") {
            self.first_refusal = Some(text.to_owned());
        }
    }

    pub(super) fn add(&mut self, other: Counts) {
        self.commands += other.commands;
        self.acks += other.acks;
        self.cancel_acks += other.cancel_acks;
        self.cancel_all_acks += other.cancel_all_acks;
        self.order_rejects += other.order_rejects;
        self.cancel_rejects += other.cancel_rejects;
        self.errors += other.errors;
        self.first_refusal = self.first_refusal.take().or(other.first_refusal);
    }

    /// A flow that nothing came of makes a measurement of silence.
    pub fn complaint(&self) -> Option<String> {
        let first = self.first_refusal.as_deref().unwrap_or("no answer at all");
        (self.commands > 0 && self.acks == 0).then(|| format!("no order of the flow was accepted: {first}"))
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { commands, acks, cancel_acks, order_rejects, cancel_rejects, errors, .. } = self;
        write!(f, "{commands} commands: {acks} acks, {cancel_acks} canceled, {order_rejects} rejected, ")?;
        write!(f, "{cancel_rejects} cancels too late, {errors} errors")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(seed: u64) -> Options {
        let market = Market {
            symbol: "BTC-USDT".into(),
            tick: "0.01".parse().unwrap(),
            lot: "0.001".parse().unwrap(),
            min_notional: "5".parse().unwrap(),
            best_bid: None,
            best_ask: None,
        };
        let target = Target::websocket("ws://127.0.0.1:1/ws").unwrap();
        Options { target, market, commands_per_second: 1, seed, run: 1 }
    }

    fn commands(seed: u64) -> Vec<(bool, String)> {
        let mut commands = Commands::new(&options(seed));
        (0..1000).map(|index| commands.next(index)).collect()
    }

    #[test]
    fn a_seed_is_a_flow() {
        assert!(commands(1) == commands(1));
        assert!(commands(1) != commands(2));
    }

    #[test]
    fn the_maker_never_crosses_itself_and_the_taker_always_crosses() {
        for (by_maker, text) in commands(3) {
            let order: serde_json::Value = serde_json::from_str(&text).unwrap();
            if order["action"] == "submit_order" {
                let price: Decimal = order["price"].as_str().unwrap().parse().unwrap();
                let below_middle = price < Decimal::from(1000);
                assert_eq!(below_middle, (order["side"] == "buy") == by_maker, "{text}");
                assert_eq!(order["tif"], if by_maker { "gtc" } else { "ioc" });
            }
        }
    }

    #[test]
    fn each_resting_order_is_canceled_at_most_once() {
        let cancels = commands(4).into_iter().filter(|(_, text)| text.contains("cancel_order"));
        let mut ids: Vec<String> = cancels.map(|(_, text)| text).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert!(count > 100 && ids.len() == count);
    }
}

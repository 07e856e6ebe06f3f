//! Order flow that makes many market messages of few orders: a taker sweeps what a maker shows in small parts.
//!
//! ```text
//! maker   iceberg of n parts, some ticks from the middle      taker   takes all of it: n trades and one change of depth
//! ```
//! Evenly spaced by a schedule that waits for nobody; both accounts are paid back by every second sweep, which goes the
//! other way. Several pairs of them take turns: each trade is a report to either side, and a single connection could not take
//! them all. The makers are some orders ahead of the takers, so it does not matter whose bytes the server reads first; a
//! sweep that finds another iceberg than its own takes that one. It runs on a thread of its own, so that no subscriber
//! stands in its way, and reads private reports only to throw them away.

use super::Counts;
use super::trader::Trader;
use crate::market::Market;
use crate::message::Side;
use crate::schedule::Schedule;
use crate::target::Target;
use crate::trading::{Kind, Naming, Order};
use anyhow::{Context, Result, anyhow, ensure};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Icebergs that rest before the first sweep. At a thousand sweeps a second the connections may be read 16 ms apart.
const LEAD: u64 = 16;

/// A maker and a taker each. At a thousand sweeps of fifty trades a second, each connection is told some ten megabytes a second.
pub const PAIRS: usize = 4;

/// An exchange shows at least a hundredth of an iceberg.
const PARTS_MAX: u32 = 100;

const TICKS_FROM_MIDDLE_MAX: u32 = 50;

/// Sweeps sent at once, when the schedule is behind.
const BURST_MAX: u64 = 64;

/// Unsent bytes beyond which the server is given time to read.
const UNSENT_BYTES_MAX: usize = 1 << 20;

/// How often reports are read, however slow the flow.
const TURN: Duration = Duration::from_millis(1);

const ANSWERS_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct Options {
    pub target: Target,
    pub market: Market,
    pub sweeps_per_second: u64,
    pub trades_per_sweep: u32,
    pub seed: u64,
    pub run: u64,
}

/// Runs until stopped.
pub struct Heavy {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: JoinHandle<Result<Counts>>,
}

impl Heavy {
    pub async fn start(options: &Options) -> Result<Self> {
        let mut pairs = Vec::new();
        for index in 0..PAIRS {
            let naming = |connection| Naming::new(&options.market.symbol, options.run, connection);
            let (maker, taker) = (format!("load-maker-{index}"), format!("load-taker-{index}"));
            pairs.push(Pair {
                maker: Trader::open(&options.target, &maker, naming(2 * index)).await?,
                taker: Trader::open(&options.target, &taker, naming(2 * index + 1)).await?,
            });
        }
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let traders = Traders { pairs, sweeps: Sweeps::new(options), stop: stop.clone(), sent: sent.clone() };
        let schedule = Schedule::new(Instant::now(), options.sweeps_per_second);
        let thread = std::thread::Builder::new().name("flow".into()).spawn(move || traders.run(schedule))?;
        Ok(Heavy { stop, sent, thread })
    }

    /// Sweeps that the kernel has taken whole.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits until every order has its answer.
    pub async fn stop(self) -> Result<Counts> {
        self.stop.store(true, Ordering::Relaxed);
        let joined = tokio::task::spawn_blocking(|| self.thread.join()).await?;
        joined.map_err(|_| anyhow!("the order flow panicked"))?
    }
}

struct Pair {
    maker: Trader,
    taker: Trader,
}

struct Traders {
    pairs: Vec<Pair>,
    sweeps: Sweeps,
    stop: Arc<AtomicBool>,
    /// Orders of the takers', for others to look at.
    sent: Arc<AtomicU64>,
}

impl Traders {
    fn run(mut self, schedule: Schedule) -> Result<Counts> {
        let mut buffer = vec![0; 256 << 10];
        (0..LEAD).for_each(|_| self.make());
        let mut swept = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            let mut burst = 0;
            while schedule.intended(swept) <= now && burst < BURST_MAX && self.may_send() {
                self.make();
                self.pairs[turn_of(swept)].taker.submit(self.sweeps.take(swept));
                (swept, burst) = (swept + 1, burst + 1);
            }
            self.pump(&mut buffer)?;
            if burst < BURST_MAX {
                let due = schedule.intended(swept).saturating_duration_since(Instant::now());
                std::thread::sleep(due.min(TURN));
            }
        }
        self.finish(&mut buffer)
    }

    /// The next sweep's other side.
    fn make(&mut self) {
        let Self { sweeps, pairs, .. } = self;
        let maker = &mut pairs[turn_of(sweeps.made)].maker;
        sweeps.make(|order| maker.submit(order));
    }

    fn may_send(&self) -> bool {
        self.pairs.iter().map(|pair| pair.maker.unsent() + pair.taker.unsent()).sum::<usize>()
            < UNSENT_BYTES_MAX
    }

    fn pump(&mut self, buffer: &mut [u8]) -> Result<()> {
        for Pair { maker, taker } in &mut self.pairs {
            maker.pump(buffer).context("a maker")?;
            taker.pump(buffer).context("a taker")?;
        }
        self.sent.store(self.pairs.iter().map(|pair| pair.taker.sent()).sum(), Ordering::Relaxed);
        Ok(())
    }

    fn finish(mut self, buffer: &mut [u8]) -> Result<Counts> {
        self.pairs.iter_mut().for_each(|pair| pair.maker.cancel_all());
        let deadline = Instant::now() + ANSWERS_TIMEOUT;
        while self.pairs.iter().any(|pair| pair.maker.unanswered() + pair.taker.unanswered() > 0) {
            ensure!(Instant::now() < deadline, "orders of the flow were never answered");
            self.pump(buffer)?;
            std::thread::sleep(TURN);
        }
        let mut counts = Counts::default();
        for Pair { maker, taker } in self.pairs {
            counts.add(maker.counts);
            counts.add(taker.counts);
        }
        Ok(counts)
    }
}

/// Which pair makes and takes a sweep. Two in a row go both ways, and leave it as it was.
fn turn_of(sweep: u64) -> usize {
    (sweep / 2) as usize % PAIRS
}

/// What to send, apart from who sends it.
struct Sweeps {
    middle: Decimal,
    tick: Decimal,
    /// Of each iceberg of a sweep: all, and what it shows.
    icebergs: Vec<(Decimal, Decimal)>,
    made: u64,
    icebergs_made: u64,
    first_side: Side,
    random: ChaCha8Rng,
}

impl Sweeps {
    fn new(options: &Options) -> Self {
        let Options { market, trades_per_sweep: trades, .. } = options;
        let middle = market.middle().max(market.tick * Decimal::from(TICKS_FROM_MIDDLE_MAX + 2));
        let lowest = middle - market.tick * Decimal::from(TICKS_FROM_MIDDLE_MAX);
        let count = trades.div_ceil(PARTS_MAX);
        let icebergs = (0..count).map(|index| {
            let parts = Decimal::from(trades / count + u32::from(index < trades % count));
            let shown = (market.quantity_min(lowest) / parts / market.lot).ceil() * market.lot;
            ((shown * parts).normalize(), shown.normalize())
        });
        Sweeps {
            middle,
            tick: market.tick,
            icebergs: icebergs.collect(),
            made: 0,
            icebergs_made: 0,
            first_side: Side::Buy,
            random: ChaCha8Rng::seed_from_u64(options.seed),
        }
    }

    /// The icebergs of the next sweep, all at one price.
    fn make(&mut self, mut submit: impl FnMut(Order)) {
        if self.made.is_multiple_of(2) {
            self.first_side = if self.random.random_bool(0.5) { Side::Buy } else { Side::Sell };
        }
        let side =
            if self.made.is_multiple_of(2) { self.first_side } else { super::opposite(self.first_side) };
        let away = self.random.random_range(1..=TICKS_FROM_MIDDLE_MAX);
        for (quantity, display) in &self.icebergs {
            let (quantity, display) = (*quantity, *display);
            let kind = if quantity == display { Kind::PostOnly } else { Kind::Iceberg { display } };
            submit(Order { index: self.icebergs_made, side, price: self.price(side, away), quantity, kind });
            self.icebergs_made += 1;
        }
        self.made += 1;
    }

    /// Takes what rests on one side, as much as one sweep's icebergs are. The sides go as those of the icebergs do on the
    /// whole; which of two comes first does not matter, as the maker is ahead on both.
    fn take(&self, index: u64) -> Order {
        let side = if index.is_multiple_of(2) { Side::Buy } else { Side::Sell };
        let quantity = self.icebergs.iter().map(|(quantity, _)| *quantity).sum::<Decimal>().normalize();
        let price = self.price(super::opposite(side), TICKS_FROM_MIDDLE_MAX);
        Order { index, side, price, quantity, kind: Kind::ImmediateOrCancel }
    }

    /// Bids below the middle, asks above.
    fn price(&self, side: Side, ticks: u32) -> Decimal {
        let away = self.tick * Decimal::from(ticks);
        let price = if side == Side::Buy { self.middle - away } else { self.middle + away };
        price.normalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweeps(seed: u64, trades_per_sweep: u32) -> Sweeps {
        let market = Market {
            symbol: "BTC-USDT".into(),
            tick: "0.01".parse().unwrap(),
            lot: "0.00001".parse().unwrap(),
            min_notional: "5".parse().unwrap(),
            best_bid: None,
            best_ask: None,
        };
        let target = Target::websocket("ws://127.0.0.1:1/ws").unwrap();
        Sweeps::new(&Options { target, market, sweeps_per_second: 1, trades_per_sweep, seed, run: 1 })
    }

    fn made(seed: u64, trades: u32) -> Vec<Order> {
        let (mut sweeps, mut orders) = (sweeps(seed, trades), Vec::new());
        (0..100).for_each(|_| sweeps.make(|order| orders.push(order)));
        orders
    }

    #[test]
    fn a_seed_is_a_flow() {
        let prices = |seed| made(seed, 3).iter().map(|order| (order.side, order.price)).collect::<Vec<_>>();
        assert!(prices(1) == prices(1));
        assert!(prices(1) != prices(2));
    }

    #[test]
    fn a_sweep_makes_as_many_trades_as_it_was_asked_to() {
        for trades in [1, 2, 99, 100, 101, 250, 1000] {
            let sweeps = sweeps(1, trades);
            let parts = sweeps.icebergs.iter().map(|(quantity, shown)| quantity / shown);
            assert_eq!(parts.sum::<Decimal>(), Decimal::from(trades));
            for (quantity, shown) in &sweeps.icebergs {
                assert!(shown * Decimal::from(PARTS_MAX) >= *quantity, "an iceberg shows a hundredth");
                assert!(
                    quantity * sweeps.price(Side::Buy, 50) >= Decimal::from(5),
                    "an order has a least value"
                );
                assert!((shown / Decimal::new(1, 5)).is_integer(), "whole lots");
            }
        }
    }

    #[test]
    fn makers_stay_on_their_side_and_takers_reach_them_all() {
        let sweeps = sweeps(3, 100);
        let reach = [sweeps.take(0), sweeps.take(1)];
        let (buys, sells): (Vec<Order>, _) =
            made(3, 100).into_iter().partition(|order| order.side == Side::Buy);
        assert_eq!((buys.len(), sells.len()), (50, 50), "so that nobody runs out of anything");
        assert!(buys.iter().all(|bid| bid.price < sweeps.middle && bid.price >= reach[1].price));
        assert!(sells.iter().all(|ask| ask.price > sweeps.middle && ask.price <= reach[0].price));
    }
}

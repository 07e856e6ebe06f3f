//! A deep book: orders that rest all the time, away from where others trade.

use crate::market::Market;
use crate::message::Side;
use crate::scenario::flow::Trader;
use crate::target::Target;
use crate::trading::{Kind, Naming, Order};
use anyhow::{Context, Result, anyhow, ensure};
use rust_decimal::Decimal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Behind those that the flows use.
const TICKS_FROM_MIDDLE_MIN: u32 = 60;

/// On each side, of one account: a paper account can pay for as many of the least orders, wherever the middle is.
const LEVELS_OF_AN_ACCOUNT: u32 = 4000;

const ANSWERS_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks at answers; and while nothing comes but pings, as who holds the book shares the machine with those it is measured for.
const PAUSE: Duration = Duration::from_millis(1);
const HOLDING_PAUSE: Duration = Duration::from_millis(100);

/// Orders that have no answer yet, of all accounts: an engine has room for some thousands, and others want some of it.
const UNANSWERED_MAX: usize = 1000;

/// Its owners, on a thread of their own: who does not answer a ping is taken for dead, and its orders stay.
pub struct Depth {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

struct Owner {
    trader: Trader,
    /// The last is the next.
    to_place: Vec<Order>,
}

impl Depth {
    /// So many levels on each side, one order each. Returns when all of them rest.
    pub async fn place(target: &Target, market: &Market, levels: u32, run: u64) -> Result<Self> {
        let mut owners = Vec::new();
        for (number, first) in (0..levels).step_by(LEVELS_OF_AN_ACCOUNT as usize).enumerate() {
            let naming = Naming::new(&market.symbol, run, number);
            let trader = Trader::open(target, &format!("load-depth-{number}"), naming).await?;
            let levels = first..levels.min(first + LEVELS_OF_AN_ACCOUNT);
            let both = levels.flat_map(|level| [Side::Buy, Side::Sell].map(|side| (side, level)));
            let to_place = both.map(|(side, level)| order(market, side, level));
            owners.push(Owner { trader, to_place: to_place.collect::<Result<_>>()? });
        }
        let (stop, (placed, is_placed)) = (Arc::<AtomicBool>::default(), oneshot::channel());
        let until = stop.clone();
        let thread = std::thread::Builder::new().name("depth".into()).spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            until_answered(&mut owners, &mut buffer)?;
            let _ = placed.send(());
            while !until.load(Ordering::Relaxed) {
                go_on(&mut owners, &mut buffer)?;
                std::thread::sleep(HOLDING_PAUSE);
            }
            owners.iter_mut().for_each(|owner| owner.trader.cancel_all());
            until_answered(&mut owners, &mut buffer)
        })?;
        let depth = Self { stop, thread };
        match is_placed.await {
            Ok(()) => Ok(depth),
            Err(_) => Err(depth.remove().await.expect_err("it ended before it was done")),
        }
    }

    /// Takes all of it away.
    pub async fn remove(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let joined = tokio::task::spawn_blocking(|| self.thread.join()).await?;
        joined.map_err(|_| anyhow!("who makes the book deep panicked"))?
    }
}

fn until_answered(owners: &mut [Owner], buffer: &mut [u8]) -> Result<()> {
    let deadline = Instant::now() + ANSWERS_TIMEOUT;
    while !owners.iter().all(Owner::is_done) {
        ensure!(Instant::now() < deadline, "orders of the deep book were never answered");
        go_on(owners, buffer)?;
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn go_on(owners: &mut [Owner], buffer: &mut [u8]) -> Result<()> {
    let unanswered_max = (UNANSWERED_MAX / owners.len()) as u64;
    for owner in owners {
        owner.go_on(unanswered_max, buffer).context("who makes the book deep")?;
    }
    Ok(())
}

impl Owner {
    fn go_on(&mut self, unanswered_max: u64, buffer: &mut [u8]) -> Result<()> {
        while self.trader.unanswered() < unanswered_max
            && let Some(order) = self.to_place.pop()
        {
            self.trader.submit(order);
        }
        self.trader.pump(buffer)?;
        match &self.trader.counts.first_refusal {
            Some(refusal) => Err(anyhow!("an order was refused: {refusal}")),
            None => Ok(()),
        }
    }

    fn is_done(&self) -> bool {
        self.to_place.is_empty() && self.trader.unanswered() == 0
    }
}

fn order(market: &Market, side: Side, level: u32) -> Result<Order> {
    let away = market.tick * Decimal::from(TICKS_FROM_MIDDLE_MIN + level);
    let price = if side == Side::Buy { market.middle() - away } else { market.middle() + away };
    ensure!(price > Decimal::ZERO, "{level} levels below {} leave nothing", market.middle());
    let index = 2 * u64::from(level) + u64::from(side == Side::Sell);
    let quantity = market.quantity_min(price);
    Ok(Order { index, side, price: price.normalize(), quantity, kind: Kind::PostOnly })
}

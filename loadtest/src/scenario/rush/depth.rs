//! A deep book: orders that rest all the time, away from where others trade.

use crate::market::Market;
use crate::message::Side;
use crate::scenario::flow::Trader;
use crate::target::Target;
use crate::trading::{Kind, Naming, Order};
use anyhow::{Context, Result, anyhow, ensure};
use rust_decimal::Decimal;
use std::time::{Duration, Instant};

/// Behind those that the flows use.
const TICKS_FROM_MIDDLE_MIN: u32 = 60;

/// On each side, of one account: a paper account can pay for as many of the least orders, wherever the middle is.
const LEVELS_OF_AN_ACCOUNT: u32 = 4000;

const ANSWERS_TIMEOUT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(1);

/// Orders of an account that have no answer yet: an engine has room for some thousands, and others want some of it.
const UNANSWERED_MAX: u64 = 1000;

/// Its owners.
pub struct Depth {
    owners: Vec<Owner>,
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
        Self { owners }.answered().await
    }

    /// Takes all of it away.
    pub async fn remove(mut self) -> Result<()> {
        self.owners.iter_mut().for_each(|owner| owner.trader.cancel_all());
        self.answered().await.map(drop)
    }

    async fn answered(mut self) -> Result<Self> {
        tokio::task::spawn_blocking(move || {
            let (deadline, mut buffer) = (Instant::now() + ANSWERS_TIMEOUT, vec![0; 256 << 10]);
            while !self.owners.iter().all(Owner::is_done) {
                ensure!(Instant::now() < deadline, "orders of the deep book were never answered");
                for owner in &mut self.owners {
                    owner.go_on(&mut buffer).context("who makes the book deep")?;
                }
                std::thread::sleep(PAUSE);
            }
            Ok(self)
        })
        .await?
    }
}

impl Owner {
    fn go_on(&mut self, buffer: &mut [u8]) -> Result<()> {
        while self.trader.unanswered() < UNANSWERED_MAX
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

//! The demo flow: seeded market makers and takers, so that a new exchange has something to show.
//!
//! They are ordinary clients of the engine: their orders are funded, sequenced and matched like everyone's. Per
//! symbol one maker keeps a ladder of quotes around a price that wanders, and a few takers cross the spread. Which
//! orders they send depends on the seed alone; when, on the clock.

use crate::reactor::clock;
use crate::start::Seat;
use crate::venue::Venue;
use engine_core::executor::threads::Port;
use engine_core::message::*;
use engine_core::units::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Between two steps; each symbol replaces a few quotes and may trade in each. Slow enough for eyes, and for the
/// memory of order ids that one day of it fills: about 100 orders a second.
const STEP: Duration = Duration::from_millis(100);
/// Quotes a side.
const QUOTES: usize = 24;
/// Quotes a side that a step replaces.
const REQUOTES: usize = 1;
/// Accounts of the flow: a maker and a taker for each symbol.
const ACCOUNTS_PER_SYMBOL: u32 = 2;

/// Accounts that are the flow's, from number 0 on, whether it runs or not: an exchange that is started with it later must
/// not find customers there.
pub const ACCOUNTS: u32 = 1024;
/// Symbols it trades at most.
pub const SYMBOLS_MAX: usize = (ACCOUNTS / ACCOUNTS_PER_SYMBOL) as usize;

/// Trades on `symbols`, each from its starting price, until `stopping`.
pub fn run(seat: Seat, symbols: Vec<(SymbolId, Price)>, seed: u64) {
    let Seat { mut port, bell, venue, stopping, .. } = seat;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut traders: Vec<Trader> = symbols
        .iter()
        .enumerate()
        .map(|(i, (symbol, price))| Trader::new(i as u32, *symbol, *price, &venue))
        .collect();
    for trader in &traders {
        trader.open(&mut port, &venue);
    }
    let mut next = Instant::now();
    while !stopping.load(Ordering::Relaxed) {
        // Answers are not needed: an order that was refused or overloaded is simply not there. Money is.
        while port.take_reports(1024, |report| warn_if_refused(&report)) > 0 {}
        let left = next.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            bell.wait(Some(left), || port.has_reports());
            continue;
        }
        next += STEP;
        for trader in &mut traders {
            trader.step(&mut port, &mut random);
        }
        port.flush();
    }
}

/// Maker and taker of one symbol.
struct Trader {
    symbol: SymbolId,
    maker: AccountId,
    taker: AccountId,
    /// Around which the maker quotes, in ticks.
    middle: f64,
    /// Half the spread and the distance of quotes, in ticks.
    spacing: f64,
    /// Lots of a typical order.
    size: f64,
    price_max: u64,
    /// Quotes in the book, oldest first, by side.
    quotes: [VecDeque<ClientOrderId>; 2],
    orders: u64,
    /// Makes order ids of different runs differ.
    run: u64,
}

impl Trader {
    fn new(index: u32, symbol: SymbolId, price: Price, venue: &Venue) -> Self {
        let instrument = venue.of(symbol);
        // About a thousandth of the price between quotes' outermost and innermost, and 2,000 quote units an order.
        let units = 10f64.powi(venue.market.assets[instrument.quote.0 as usize].decimals as i32);
        let lot_value = instrument.notional(price, Quantity(1)).0 as f64 / units;
        Self {
            symbol,
            maker: AccountId(index * ACCOUNTS_PER_SYMBOL),
            taker: AccountId(index * ACCOUNTS_PER_SYMBOL + 1),
            middle: price.0 as f64,
            spacing: (price.0 as f64 / 20_000.0).max(1.0),
            size: (2_000.0 / lot_value).max(1.0),
            price_max: instrument.price_max.0,
            quotes: Default::default(),
            orders: 0,
            run: clock().0,
        }
    }

    fn open(&self, port: &mut Port, venue: &Venue) {
        for account in [self.maker, self.taker] {
            send(port, Command::Open { account, name: None });
            // Quotes of an earlier run are nobody's.
            let by = Canceller::Exchange;
            send(port, Command::CancelAll { account, symbol: None, group: None, by });
            for asset in &venue.market.assets {
                // A billion units each: the flow never runs dry.
                let amount = Amount(10u128.pow(9 + asset.decimals as u32));
                send(port, Command::Deposit { account, asset: asset.id, amount });
            }
        }
    }

    fn step(&mut self, port: &mut Port, random: &mut ChaCha8Rng) {
        let drift = random.random_range(-1.0..1.0) * self.spacing;
        self.middle = (self.middle + drift).clamp(self.spacing * 100.0, self.price_max as f64 / 2.0);
        for side in [Side::Buy, Side::Sell] {
            for _ in 0..REQUOTES.max(QUOTES.saturating_sub(self.quotes[side as usize].len()).min(8)) {
                self.quote(side, port, random);
            }
        }
        if random.random_bool(0.35) {
            self.take(port, random);
        }
    }

    fn quote(&mut self, side: Side, port: &mut Port, random: &mut ChaCha8Rng) {
        let away = (1.0 + random.random_range(0.0..1.0f64).powi(2) * QUOTES as f64) * self.spacing;
        let price = match side {
            Side::Buy => self.middle - away,
            Side::Sell => self.middle + away,
        };
        let submitted = self.submit(self.maker, side, price, TimeInForce::PostOnly, port, random);
        let Some(order_id) = submitted else { return };
        let quotes = &mut self.quotes[side as usize];
        quotes.push_back(order_id);
        if quotes.len() > QUOTES {
            let order_id = quotes.pop_front().expect("it is not empty");
            send(port, Command::Cancel { account: self.maker, symbol: self.symbol, order_id });
        }
    }

    fn take(&mut self, port: &mut Port, random: &mut ChaCha8Rng) {
        let side = if random.random() { Side::Buy } else { Side::Sell };
        let reach = self.spacing * 6.0;
        let price = match side {
            Side::Buy => self.middle + reach,
            Side::Sell => self.middle - reach,
        };
        self.submit(self.taker, side, price, TimeInForce::Ioc, port, random);
    }

    fn submit(
        &mut self,
        account: AccountId,
        side: Side,
        price: f64,
        time_in_force: TimeInForce,
        port: &mut Port,
        random: &mut ChaCha8Rng,
    ) -> Option<ClientOrderId> {
        self.orders += 1;
        let order_id =
            ClientOrderId::new(&format!("demo-{:x}-{}", self.run, self.orders)).expect("it is short");
        let lots = self.size * random.random_range(0.2..2.0);
        let (price, quantity) = (Price(price.max(1.0) as u64), Quantity(lots.max(1.0) as u64));
        let limit = Submit::limit(account, self.symbol, order_id, side, price, quantity);
        send(port, Command::Submit(Submit { time_in_force, ..limit })).then_some(order_id)
    }
}

fn warn_if_refused(report: &Report) {
    if let ReportBody::Refused { reason } = report.body {
        tracing::warn!(?reason, "the demo flow's money was refused: it trades with less");
    }
}

/// Whether the engine takes it. If not, it has better things to do than our demo.
fn send(port: &mut Port, command: Command) -> bool {
    let origin = Origin { port: port.index(), session: 0, request: 0 };
    port.submit(Input { origin, at: clock(), ticket: 0, command }).is_ok()
}

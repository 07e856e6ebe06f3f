//! Binance, price levels: depth diffs, trades and best prices of one symbol as the venue streamed them.
//!
//! The recording says how much rests at a price, not whose orders. So each level is one order kept at the level's
//! size, and each recorded trade an IOC order of that side, price and size. A level whose size changes is cancelled
//! and placed again; so is every level within reach of the trades since the last diff, since they may have taken from
//! it. All cancels of a diff go before its placements, which are post-only: nothing of a diff can trade.
//!
//! Trades are not judged by number: diffs come up to 100 ms after the trades they include, so an IOC order can find its
//! level gone already and expire, or meet two levels where the venue had one price.
//!
//! After each diff the top of the book is compared with the bookTicker of the greatest `u` not above the diff's. The
//! top is the feed's: made of the engine's market events alone.

mod frames;

use super::Flow;
use super::capture::{CaptureError, Place};
use super::funding::{Fund, fund};
use super::outcome::Outcome;
use super::tops::Top;
use engine_core::instrument::{InstrumentSpec, Market};
use engine_core::message::{Command, Input, Origin, Submit};
use engine_core::units::*;
use frames::{Body, Change, Diff, Message, Trade, is_futures, read_frames};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Accounts that own the levels, by price, and as many that trade, by trade id: enough to give every shard work.
const ACCOUNTS: u32 = 16;

/// What the recording says must come out.
pub struct Recording {
    checks: Vec<Check>,
    trades: u64,
}

/// The top after the message of time `at`.
struct Check {
    at: Timestamp,
    ticker: Top,
    /// Whether the recorded diffs alone give the ticker's top.
    diffs_agree: bool,
}

impl Recording {
    /// When tops are compared.
    pub fn moments(&self) -> Vec<Timestamp> {
        self.checks.iter().map(|check| check.at).collect()
    }

    /// Adds how the feed's tops compare.
    pub(super) fn judge(&self, outcome: Outcome, tops: &[Top]) -> Outcome {
        let equal = self.checks.iter().zip(tops).filter(|(check, top)| check.ticker == **top).count();
        let expected = self.checks.iter().filter(|check| check.diffs_agree).count();
        outcome.judge_tops(self.trades, equal as u64, self.checks.len() as u64, expected as u64)
    }
}

/// Reads the folder's files in order.
pub fn load(folder: &Path, files: &[String]) -> Result<(Flow, Recording), CaptureError> {
    let futures = is_futures(folder, files)?;
    let market = market(futures);
    let instrument = &market.instruments[0];
    let frames = read_frames(folder, files, instrument)?;
    let mut build = Build::new(frames.tickers);
    let last = files.last().expect("a folder of such files has one");
    for (message, place) in frames.messages {
        let (file, line) = (&files[place.0], place.1);
        build.take(message).map_err(|(field, rule)| Place { file, line }.error(field, rule))?;
    }
    if build.recording.checks.is_empty() {
        let rule = "no depth diff follows a depth snapshot and a bookTicker: nothing to compare";
        return Err(Place { file: last, line: 0 }.error("stream", rule));
    }
    let start = build.inputs.first().map_or(Timestamp(0), |input| input.at);
    let funds = [Fund::new("BTC", 10u128.pow(10)), Fund::new("USDT", 10u128.pow(14))];
    let notes = vec![
        format!("{} diffs older than the snapshot dropped", build.older),
        format!("{} trades before the snapshot dropped", build.trades_before_snapshot),
        "one post-only order for each level, one IOC order for each trade".into(),
    ];
    let flow = Flow {
        title: format!("Binance {} BTC-USDT, price levels", if futures { "USD-M" } else { "spot" }),
        market: market.clone(),
        funding: fund(2 * ACCOUNTS, start, &market, &funds),
        inputs: build.inputs,
        notes,
    };
    Ok((flow, build.recording))
}

fn market(futures: bool) -> Arc<Market> {
    let (tick, lot) = if futures { ("0.1", "0.001") } else { ("0.01", "0.000001") };
    let mut market = Market::default();
    let listed = market.add_asset("BTC", 8).and_then(|_| market.add_asset("USDT", 8)).and_then(|_| {
        let (symbol, base, quote) = ("BTC-USDT", "BTC", "USDT");
        market.add_instrument(&InstrumentSpec { symbol, base, quote, tick, lot, min_notional: "0" })
    });
    listed.expect("a valid market");
    Arc::new(market)
}

// ---- from messages to inputs ----------------------------------------------------------------------------------------

/// The venue's levels, and the inputs that make the engine follow them.
struct Build {
    tickers: BTreeMap<u64, Top>,
    levels: BTreeMap<(Side, Price), Level>,
    /// The snapshot's or the last diff's `u`; before the snapshot there is none.
    last_update: Option<u64>,
    first_diff_taken: bool,
    waiting: Vec<(Timestamp, Diff)>,
    /// How far the trades since the last diff may have reached: the dearest buy, the cheapest sell.
    reach: [Option<Price>; 2],
    orders: u64,
    at: Timestamp,
    inputs: Vec<Input>,
    recording: Recording,
    older: u64,
    trades_before_snapshot: u64,
}

#[derive(Clone, Copy)]
struct Level {
    total: Quantity,
    /// The number in its order's id.
    order: u64,
}

type Broken = (&'static str, String);

impl Build {
    fn new(tickers: BTreeMap<u64, Top>) -> Self {
        Self {
            tickers,
            levels: BTreeMap::new(),
            last_update: None,
            first_diff_taken: false,
            waiting: Vec::new(),
            reach: [None, None],
            orders: 0,
            at: Timestamp(0),
            inputs: Vec::new(),
            recording: Recording { checks: Vec::new(), trades: 0 },
            older: 0,
            trades_before_snapshot: 0,
        }
    }

    fn take(&mut self, message: Message) -> Result<(), Broken> {
        // Each message gets a time of its own: that is how the feed knows where a diff ends.
        self.at = Timestamp(message.at.0.max(self.at.0 + 1));
        match message.body {
            Body::Snapshot { last_update, changes } if self.last_update.is_none() => {
                self.last_update = Some(last_update);
                self.change(changes);
                for (_, diff) in std::mem::take(&mut self.waiting) {
                    self.at.0 += 1;
                    self.diff(diff)?;
                }
            }
            Body::Snapshot { .. } => {} // the book is being kept already
            Body::Diff(diff) if self.last_update.is_none() => self.waiting.push((self.at, diff)),
            Body::Diff(diff) => self.diff(diff)?,
            Body::Trade(_) if self.last_update.is_none() => self.trades_before_snapshot += 1,
            Body::Trade(trade) => self.trade(trade),
        }
        Ok(())
    }

    fn diff(&mut self, diff: Diff) -> Result<(), Broken> {
        let last = self.last_update.expect("diffs wait for the snapshot");
        if !self.first_diff_taken && diff.last <= last {
            self.older += 1;
            return Ok(());
        }
        if self.first_diff_taken {
            let (field, found, expected) = match diff.previous {
                Some(previous) => ("pu", previous, last),
                None => ("U", diff.first, last + 1),
            };
            if found != expected {
                return Err((field, format!("a gap: {found} where {expected} follows")));
            }
        }
        self.first_diff_taken = true;
        self.last_update = Some(diff.last);
        self.change(diff.changes);
        if let Some((_, ticker)) = self.tickers.range(..=diff.last).next_back() {
            let (ticker, at) = (*ticker, self.at);
            self.recording.checks.push(Check { at, ticker, diffs_agree: self.top() == ticker });
        }
        Ok(())
    }

    /// Gives levels their new totals: first all that leave, then all that come.
    fn change(&mut self, changes: Vec<Change>) {
        let mut changed: BTreeMap<(Side, Price), Quantity> = BTreeMap::new();
        for key in self.within_reach() {
            changed.insert(key, self.levels[&key].total);
        }
        for Change { side, price, total } in changes {
            let key = (side, price);
            let is_news = self.levels.get(&key).map_or(Quantity::ZERO, |level| level.total) != total;
            if is_news || changed.contains_key(&key) {
                changed.insert(key, total);
            }
        }
        for key in changed.keys() {
            if let Some(level) = self.levels.remove(key) {
                let order_id = name('l', level.order);
                self.push(Command::Cancel { account: owner(key.1), symbol: SymbolId(0), order_id });
            }
        }
        for ((side, price), total) in changed.into_iter().filter(|(_, total)| !total.is_zero()) {
            self.orders += 1;
            self.levels.insert((side, price), Level { total, order: self.orders });
            let limit = Submit::limit(owner(price), SymbolId(0), name('l', self.orders), side, price, total);
            self.push(Command::Submit(Submit { time_in_force: TimeInForce::PostOnly, ..limit }));
        }
    }

    /// The levels that trades since the last diff may have taken from; forgets those trades.
    fn within_reach(&mut self) -> Vec<(Side, Price)> {
        let [dearest_buy, cheapest_sell] = std::mem::take(&mut self.reach);
        let asks = dearest_buy.map(|to| (Side::Sell, Price(0))..=(Side::Sell, to));
        let bids = cheapest_sell.map(|from| (Side::Buy, from)..=(Side::Buy, Price(u64::MAX)));
        let ranges = asks.into_iter().chain(bids);
        ranges.flat_map(|range| self.levels.range(range).map(|(key, _)| *key)).collect()
    }

    fn trade(&mut self, trade: Trade) {
        self.recording.trades += 1;
        let reach = &mut self.reach[trade.side as usize];
        let price = trade.price;
        *reach = Some(match (*reach, trade.side) {
            (None, _) => price,
            (Some(far), Side::Buy) => far.max(price),
            (Some(far), Side::Sell) => far.min(price),
        });
        let account = AccountId(ACCOUNTS + (trade.id % ACCOUNTS as u64) as u32);
        let order_id = name('t', trade.id);
        let limit = Submit::limit(account, SymbolId(0), order_id, trade.side, price, trade.quantity);
        self.push(Command::Submit(Submit { time_in_force: TimeInForce::Ioc, ..limit }));
    }

    fn push(&mut self, command: Command) {
        let ticket = self.inputs.len() as u64 + 1;
        self.inputs.push(Input { origin: Origin::default(), at: self.at, ticket, command });
    }

    /// The top the recorded diffs give.
    fn top(&self) -> Top {
        let mut bids = self.levels.range(..(Side::Sell, Price(0)));
        let mut asks = self.levels.range((Side::Sell, Price(0))..);
        let pair = |((_, price), level): (&(Side, Price), &Level)| (*price, level.total);
        Top { bid: bids.next_back().map(pair), ask: asks.next().map(pair) }
    }
}

/// A level's order goes and comes with one account, so its price chooses.
fn owner(price: Price) -> AccountId {
    AccountId((price.0 % ACCOUNTS as u64) as u32)
}

fn name(kind: char, number: u64) -> ClientOrderId {
    ClientOrderId::new(&format!("{kind}{number}")).expect("a letter and digits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    const SNAPSHOT: &str =
        r#"{"lastUpdateId":10,"bids":[["99.00","1.0"],["98.00","2.0"]],"asks":[["101.00","1.0"]]}"#;
    const TICKER: &str =
        r#"{"stream":"x@bookTicker","data":{"u":12,"s":"X","b":"99.00","B":"1.0","a":"101.00","A":"3.0"}}"#;
    const SALE: &str = r#"{"stream":"x@trade","data":{"e":"trade","t":7,"p":"98.00","q":"2.5","m":true}}"#;

    fn diff(first: u64, last: u64, bids: &str, asks: &str) -> String {
        format!(r#"{{"stream":"x@depth@100ms","data":{{"U":{first},"u":{last},"b":[{bids}],"a":[{asks}]}}}}"#)
    }

    /// Loads a recording of these frames, one microsecond apart.
    fn check<T>(
        name: &str,
        frames: &[&str],
        look: impl FnOnce(Result<(Flow, Recording), CaptureError>) -> T,
    ) -> T {
        let folder = std::env::temp_dir().join(format!("ringside-binance-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = std::fs::File::create(folder.join("a.gz")).unwrap();
        let mut file = GzEncoder::new(file, Compression::fast());
        for (at, frame) in frames.iter().enumerate() {
            writeln!(file, "{} {frame}", 1_000_000 + 1_000 * at).unwrap();
        }
        file.finish().unwrap();
        let looked = look(load(&folder, &["a.gz".into()]));
        std::fs::remove_dir_all(folder).unwrap();
        looked
    }

    fn texts(flow: &Flow) -> Vec<String> {
        let text = |input: &Input| match input.command {
            Command::Submit(s) => format!("{:?} {} @ {}", s.side, s.quantity, s.price),
            Command::Cancel { order_id, .. } => format!("cancel {}", order_id.as_str()),
            _ => "?".into(),
        };
        flow.inputs.iter().map(text).collect()
    }

    #[test]
    fn a_diff_resets_what_it_names_and_what_trades_may_have_taken() {
        let early = diff(9, 10, "", r#"["101.00","9.0"]"#);
        let late = diff(11, 12, "", r#"["101.00","3.0"]"#);
        check("reset", &[&early, SNAPSHOT, SALE, &late, TICKER], |loaded| {
            let (flow, recording) = loaded.unwrap();
            let expected = [
                "Buy 2000000 @ 9800",
                "Buy 1000000 @ 9900",
                "Sell 1000000 @ 10100",
                "Sell 2500000 @ 9800",
                "cancel l1",
                "cancel l2",
                "cancel l3",
                "Buy 2000000 @ 9800",
                "Buy 1000000 @ 9900",
                "Sell 3000000 @ 10100",
            ];
            assert_eq!(texts(&flow), expected);
            assert_eq!(recording.checks.len(), 1);
            assert!(recording.checks[0].diffs_agree);
        });
    }

    fn check_error(name: &str, frames: &[&str], expected: &str) {
        let error = check(name, frames, |loaded| loaded.err().expect("it is malformed").to_string());
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn a_malformed_frame_is_named() {
        let (one, gap) = (diff(11, 12, "", ""), diff(14, 15, "", ""));
        check_error(
            "gap",
            &[SNAPSHOT, &one, &gap, TICKER],
            "a.gz line 3 field U: a gap: 14 where 13 follows",
        );
        let bad = diff(11, 12, r#"["99.001","1"]"#, "");
        check_error(
            "tick",
            &[SNAPSHOT, &bad],
            "a.gz line 2 field b: \"99.001\" is not a whole number of steps",
        );
        check_error("json", &[SNAPSHOT, "{"], "a.gz line 2 field (frame): ");
        check_error("empty", &[SNAPSHOT], "a.gz line 0 field stream: no depth diff follows");
    }
}

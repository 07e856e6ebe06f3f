//! Bitstamp, order by order: every order of the market, and every trade with the ids of both orders.
//!
//! The recording does not say what type an order had. An order that was created and deleted whole within the same
//! millisecond was, nearly always, a post-only order the venue refused; it is replayed as post-only, and all others
//! as limit orders that rest. An ask at price 0 is a market sell. With that reading a plain price-time engine makes
//! the very trades that were made, which is what [`Recording::judge`] asks for.
//!
//! A market buy by quote amount is written with neither its price nor its size. Without it the makers it took from
//! would keep too much, so it is sent as a market buy of the size that the trade file says it took. What it trades
//! proves nothing then: those trades must be made, too, but are counted apart.

use super::Flow;
use super::capture::{CaptureError, Place, open};
use super::funding::{Fund, fund};
use super::tally::Trade;
use engine_core::instrument::{Instrument, InstrumentSpec, Market};
use engine_core::message::{Command, Input, OrderKind, Origin, Submit};
use engine_core::units::*;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

pub const ORDERS: &str = "orders.csv.gz";
pub const TRADES: &str = "trades.csv";

/// Accounts the orders are spread over, by a hash of the order's id: the recording does not say whose they are.
const ACCOUNTS: u32 = 1_000;
/// In the book snapshot the recording begins with, and touched by no event: they had left the book already.
const GHOSTS: [u64; 2] = [2002347646152704, 2002347642003458];
/// How a market buy by quote amount is written, in dollars, with volume 0.
const PRICE_OF_QUOTE_MARKET: u64 = 999_999_999;

/// A row of the order file.
#[derive(Clone, Copy, Debug)]
struct Row {
    id: u64,
    at: Timestamp,
    price: Price,
    volume: Quantity,
    action: Action,
    side: Side,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Created,
    Changed,
    Deleted,
}

/// What the recording says must come out.
pub struct Recording {
    trades: Vec<Trade>,
    /// Market buys by quote amount, sized by the trades they made.
    by_quote: HashMap<u64, Quantity>,
    remainders: Vec<Remainder>,
    created: HashMap<u64, Created>,
}

#[derive(Clone, Copy)]
struct Created {
    /// The input's ticket.
    ticket: u64,
    at: Timestamp,
    quantity: Quantity,
}

/// After a trade the venue said that so much of an order was left. Rows of one millisecond come in any order.
struct Remainder {
    at: Timestamp,
    order: u64,
    left: Quantity,
}

/// How the engine's trades compare.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Trades that were recorded.
    pub recorded: usize,
    /// Trades the engine made that were recorded: same buyer, seller, quantity and price.
    pub matched: usize,
    /// Trades of takers that were sized by these very trades; made as recorded, but no proof.
    pub given: Vec<Trade>,
    /// Recorded trades the engine did not make.
    pub missing: Vec<Trade>,
    /// Remainders the venue told after partial fills, and how many of them the engine shares.
    pub remainders: usize,
    pub remainders_equal: usize,
}

/// Reads the folder.
pub fn load(folder: &Path) -> Result<(Flow, Recording), CaptureError> {
    let market = market();
    let instrument = &market.instruments[0];
    let rows = read_orders(folder, instrument)?;
    let post_only = created_and_deleted_at_once(&rows);
    let trades = read_trades(folder, instrument)?;
    let mut recording = Recording {
        by_quote: sizes_by_quote(&rows, &trades, instrument),
        trades,
        remainders: Vec::new(),
        created: HashMap::new(),
    };
    let mut inputs = Vec::with_capacity(rows.len());
    for row in rows.iter().filter(|row| !GHOSTS.contains(&row.id)) {
        let ticket = inputs.len() as u64 + 1;
        recording.remember(row, ticket);
        let command = match row.action {
            Action::Created => match recording.by_quote.get(&row.id) {
                Some(size) => Command::Submit(market_order(row, row.price, *size)),
                None if is_market_sell(row) => Command::Submit(market_order(row, Price(1), row.volume)),
                None => Command::Submit(limit_order(row, post_only.contains(&row.id))),
            },
            Action::Deleted => {
                Command::Cancel { account: owner(row.id), symbol: SymbolId(0), order_id: name(row.id) }
            }
            Action::Changed => continue,
        };
        inputs.push(Input { origin: Origin::default(), at: row.at, ticket, command });
    }
    let zero = |side| {
        rows.iter().filter(|r| r.action == Action::Created && r.price.0 == 0 && r.side == side).count()
    };
    let notes = vec![
        format!(
            "{} orders created and deleted whole within a millisecond: fed as post-only",
            post_only.len()
        ),
        format!("{} asks at price 0: fed as market sells", zero(Side::Sell)),
        format!("{} bids at price 0: refused by the engine (PriceRange)", zero(Side::Buy)),
        format!(
            "{} market buys by quote amount, written without price and volume: fed with the size of their trades",
            recording.by_quote.len()
        ),
        format!("{} orders of the first snapshot left out: they had left the book already", GHOSTS.len()),
    ];
    let start = inputs.first().map_or(Timestamp(0), |input| input.at);
    let funding =
        fund(ACCOUNTS, start, &market, &[Fund::new("USD", 10u128.pow(12)), Fund::new("BTC", 10u128.pow(8))]);
    let flow = Flow {
        title: "Bitstamp BTC-USD, order by order".into(),
        market: market.clone(),
        funding,
        inputs,
        notes,
    };
    Ok((flow, recording))
}

fn market() -> Arc<Market> {
    let mut market = Market::default();
    let listed = market.add_asset("BTC", 8).and_then(|_| market.add_asset("USD", 12)).and_then(|_| {
        market.add_instrument(&InstrumentSpec {
            symbol: "BTC-USD",
            base: "BTC",
            quote: "USD",
            tick: "0.01",
            lot: "0.00000001",
            min_notional: "0",
        })
    });
    listed.expect("a valid market");
    Arc::new(market)
}

fn limit_order(row: &Row, post_only: bool) -> Submit {
    let time_in_force = if post_only { TimeInForce::PostOnly } else { TimeInForce::Gtc };
    let limit = Submit::limit(owner(row.id), SymbolId(0), name(row.id), row.side, row.price, row.volume);
    Submit { time_in_force, ..limit }
}

fn is_market_sell(row: &Row) -> bool {
    row.side == Side::Sell && row.price.0 == 0
}

fn market_order(row: &Row, protection: Price, quantity: Quantity) -> Submit {
    let (kind, time_in_force) = (OrderKind::Market, TimeInForce::Ioc);
    Submit { kind, price: protection, quantity, time_in_force, ..limit_order(row, false) }
}

fn owner(id: u64) -> AccountId {
    AccountId((xxhash_rust::xxh3::xxh3_64(&id.to_le_bytes()) % ACCOUNTS as u64) as u32)
}

fn name(id: u64) -> ClientOrderId {
    ClientOrderId::new(&id.to_string()).expect("digits")
}

/// The orders whose life is these two rows: created, deleted with the same volume in the same millisecond.
fn created_and_deleted_at_once(rows: &[Row]) -> HashSet<u64> {
    #[derive(Default)]
    struct Life {
        rows: u32,
        created: Option<(Timestamp, Quantity)>,
        at_once: bool,
    }
    let mut lives: HashMap<u64, Life> = HashMap::new();
    for row in rows {
        let life = lives.entry(row.id).or_default();
        life.rows += 1;
        let now = Some((row.at, row.volume));
        match row.action {
            Action::Created => life.created = now,
            Action::Deleted => life.at_once = life.created == now,
            Action::Changed => {}
        }
    }
    lives.into_iter().filter(|(_, life)| life.rows == 2 && life.at_once).map(|(id, _)| id).collect()
}

/// The market buys by quote amount, each with the sum of its trades.
fn sizes_by_quote(rows: &[Row], trades: &[Trade], instrument: &Instrument) -> HashMap<u64, Quantity> {
    let ticks_per_unit = 10u64.pow(instrument.tick.decimals as u32) / instrument.tick.size;
    let price = Price(PRICE_OF_QUOTE_MARKET * ticks_per_unit);
    let by_quote = rows.iter().filter(|row| {
        row.action == Action::Created && row.side == Side::Buy && row.price == price && row.volume.is_zero()
    });
    let size = |id| trades.iter().filter(|trade| trade.buyer == id).map(|trade| trade.quantity.0).sum();
    by_quote.map(|row| (row.id, Quantity(size(row.id)))).collect()
}

// ---- the oracle -----------------------------------------------------------------------------------------------------

impl Recording {
    fn remember(&mut self, row: &Row, ticket: u64) {
        let told = row.action == Action::Changed || row.action == Action::Deleted && row.volume.is_zero();
        if row.action == Action::Created {
            let quantity = self.by_quote.get(&row.id).copied().unwrap_or(row.volume);
            // The engine refuses a second order of the same id, so the first is the one that counts.
            self.created.entry(row.id).or_insert(Created { ticket, at: row.at, quantity });
        } else if told {
            self.remainders.push(Remainder { at: row.at, order: row.id, left: row.volume });
        }
    }

    /// Compares the trades the engine made, as multisets.
    pub fn judge(&self, made: &[Trade]) -> Judgement {
        let mut unmatched: HashMap<Trade, usize> = HashMap::new();
        for trade in made {
            *unmatched.entry(*trade).or_default() += 1;
        }
        let mut judgement = Judgement { recorded: self.trades.len(), ..Default::default() };
        for trade in &self.trades {
            match unmatched.get_mut(trade).filter(|count| **count > 0) {
                None => judgement.missing.push(*trade),
                Some(count) => {
                    *count -= 1;
                    if self.by_quote.contains_key(&trade.buyer) {
                        judgement.given.push(*trade);
                    } else {
                        judgement.matched += 1;
                    }
                }
            }
        }
        self.judge_remainders(made, &mut judgement);
        judgement
    }

    /// A trade happens when its taker comes in, so what was left of an order at a time follows from the trades alone,
    /// whatever the executor.
    fn judge_remainders(&self, made: &[Trade], judgement: &mut Judgement) {
        let mut fills: HashMap<u64, Vec<(Timestamp, Quantity)>> = HashMap::new();
        for trade in made {
            let orders = [trade.buyer, trade.seller];
            let taker = orders.iter().filter_map(|id| self.created.get(id)).max_by_key(|order| order.ticket);
            let at = taker.expect("made of replayed orders").at;
            orders.iter().for_each(|id| fills.entry(*id).or_default().push((at, trade.quantity)));
        }
        for told in &self.remainders {
            let Some(created) = self.created.get(&told.order) else { continue };
            // A taker that meets several makers has several remainders in its millisecond, and each may be told.
            let mut left = created.quantity.0;
            let after_each = fills.get(&told.order).into_iter().flatten().map(|(at, lots)| {
                left -= lots.0;
                (*at, left)
            });
            let equal = after_each.into_iter().any(|(at, left)| at <= told.at && left == told.left.0);
            judgement.remainders += 1;
            judgement.remainders_equal += equal as usize;
        }
    }
}

// ---- the files ------------------------------------------------------------------------------------------------------

fn read_orders(folder: &Path, instrument: &Instrument) -> Result<Vec<Row>, CaptureError> {
    let columns = ["id", "exchange_timestamp", "price", "volume", "action", "direction"];
    let mut rows: Vec<Row> = Vec::new();
    read_csv(folder, ORDERS, columns, |place, [id, at, price, volume, action, direction]| {
        rows.push(Row {
            id: place.integer("id", id)?,
            at: place.milliseconds("exchange_timestamp", at)?,
            price: Price(place.steps("price", price, instrument.tick)?),
            volume: Quantity(place.steps("volume", volume, instrument.lot)?),
            action: match action {
                "created" => Action::Created,
                "changed" => Action::Changed,
                "deleted" => Action::Deleted,
                _ => {
                    return Err(
                        place.error("action", format!("{action:?} is not created, changed or deleted"))
                    );
                }
            },
            side: match direction {
                "bid" => Side::Buy,
                "ask" => Side::Sell,
                _ => return Err(place.error("direction", format!("{direction:?} is not bid or ask"))),
            },
        });
        Ok(())
    })?;
    Ok(rows)
}

fn read_trades(folder: &Path, instrument: &Instrument) -> Result<Vec<Trade>, CaptureError> {
    let mut trades = Vec::new();
    let columns = ["price", "amount", "buy_order_id", "sell_order_id"];
    read_csv(folder, TRADES, columns, |place, [price, amount, buyer, seller]| {
        trades.push(Trade {
            buyer: place.integer("buy_order_id", buyer)?,
            seller: place.integer("sell_order_id", seller)?,
            quantity: Quantity(place.steps("amount", amount, instrument.lot)?),
            price: Price(place.steps("price", price, instrument.tick)?),
        });
        Ok(())
    })?;
    Ok(trades)
}

/// Visits each row's values of the named columns.
fn read_csv<const N: usize>(
    folder: &Path,
    file: &str,
    columns: [&str; N],
    mut visit: impl FnMut(Place<'_>, [&str; N]) -> Result<(), CaptureError>,
) -> Result<(), CaptureError> {
    let mut reader = csv::Reader::from_reader(open(folder, file)?);
    let place = Place { file, line: 1 };
    let headers = reader.headers().map_err(|error| place.error("(header)", error.to_string()))?.clone();
    let mut indices = [0; N];
    for (index, column) in indices.iter_mut().zip(columns) {
        let found = headers.iter().position(|header| header == column);
        *index = found.ok_or_else(|| place.error(column, "the file has no such column"))?;
    }
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        let place = Place { file, line };
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => return Err(place.error("(row)", error.to_string())),
        }
        let line = record.position().map_or(line, |position| position.line());
        visit(Place { file, line }, indices.map(|index| &record[index]))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    const HEAD: &str = "id,timestamp,exchange_timestamp,price,volume,action,direction\n";
    const TRADE_HEAD: &str =
        "trade_id,timestamp,exchange_timestamp,price,amount,buy_order_id,sell_order_id,side\n";

    fn folder(name: &str, orders: &str, trades: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("ringside-bitstamp-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut file =
            GzEncoder::new(std::fs::File::create(folder.join(ORDERS)).unwrap(), Compression::fast());
        file.write_all(format!("{HEAD}{orders}").as_bytes()).unwrap();
        file.finish().unwrap();
        std::fs::write(folder.join(TRADES), format!("{TRADE_HEAD}{trades}")).unwrap();
        folder
    }

    fn check_error(name: &str, orders: &str, trades: &str, expected: &str) {
        let folder = folder(name, orders, trades);
        let error = load(&folder).err().expect("it is malformed").to_string();
        std::fs::remove_dir_all(folder).unwrap();
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn a_malformed_row_is_named() {
        let good = "1,5,5,100.0,0.5,created,bid\n";
        check_error(
            "price",
            &format!("{good}2,5,5,abc,0.5,created,bid\n"),
            "",
            "orders.csv.gz line 3 field price: \"abc\"",
        );
        check_error(
            "tick",
            "2,5,5,0.001,0.5,created,bid\n",
            "",
            "orders.csv.gz line 2 field price: \"0.001\"",
        );
        check_error("action", "2,5,5,1,0.5,moved,bid\n", "", "orders.csv.gz line 2 field action: \"moved\"");
        check_error(
            "side",
            "2,5,5,1,0.5,created,left\n",
            "",
            "orders.csv.gz line 2 field direction: \"left\"",
        );
        check_error("short", "2,5,5\n", "", "orders.csv.gz line 2 field (row): ");
        check_error("amount", good, "1,5,5,100,-1,1,2,buy\n", "trades.csv line 2 field amount: \"-1\"");
    }

    #[test]
    fn an_order_refused_within_its_millisecond_is_post_only() {
        let orders = "1,5,5,100.0,0.5,created,bid\n2,5,6,99.0,0.5,created,ask\n2,5,6,99.0,0.5,deleted,ask\n\
                      3,5,7,0.0,6.38e-05,created,ask\n1,5,8,100.0,0.4999362,changed,bid\n";
        let folder = folder("kinds", orders, "1,7,7,100,6.38e-05,1,3,sell\n");
        let (flow, recording) = load(&folder).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        let kinds: Vec<_> = flow
            .inputs
            .iter()
            .filter_map(|input| match input.command {
                Command::Submit(submit) => Some((submit.kind, submit.time_in_force)),
                _ => None,
            })
            .collect();
        use OrderKind::*;
        use TimeInForce::*;
        assert_eq!(kinds, [(Limit, Gtc), (Limit, PostOnly), (Market, Ioc)]);
        let trade = Trade { buyer: 1, seller: 3, quantity: Quantity(6_380), price: Price(10_000) };
        let judgement = recording.judge(&[trade]);
        let all = Judgement {
            recorded: 1,
            matched: 1,
            given: vec![],
            missing: vec![],
            remainders: 1,
            remainders_equal: 1,
        };
        assert_eq!(judgement, all);
        assert_eq!(recording.judge(&[]).missing, [trade]);
    }
}

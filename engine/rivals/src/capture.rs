//! A recorded market, order by order, as book commands.
//!
//! The recording is Bitstamp's L3 feed: `id,timestamp,exchange_timestamp,price,volume,action,direction`, whole dollars
//! and eight decimals of a bitcoin. It does not say what type an order had, so, as in the gateway's replay: an order
//! created and deleted whole in one millisecond was a post-only order the venue refused, an ask at price 0 a market
//! sell, all others limit orders. Left out are bids at price 0, the two orders of the first snapshot that had left the
//! book already, and orders of no volume (market buys by quote amount). Deletions become cancels where the order did
//! not trade by itself; `changed` rows tell of trades, which the engines make themselves.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, bail};
use engine_core::units::Side;
use flate2::read::GzDecoder;

use crate::stream::{Command, Kind, Stream};

const GHOSTS: [u64; 2] = [2002347646152704, 2002347642003458];

struct Row {
    id: u64,
    at: u64,
    price: u64,
    volume: u64,
    action: Action,
    side: Side,
}

#[derive(PartialEq, Eq)]
enum Action {
    Created,
    Changed,
    Deleted,
}

/// Reads `orders.csv.gz`.
pub fn load(path: &Path) -> anyhow::Result<Stream> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    let rows: Vec<Row> = lines
        .skip(1)
        .enumerate()
        .map(|(at, line)| parse(&line?).with_context(|| format!("row {} of {}", at + 1, path.display())))
        .collect::<anyhow::Result<_>>()?;
    let commands = commands(&rows);
    let orders = commands.iter().filter(|command| command.kind != Kind::Cancel).count();
    Ok(Stream {
        name: "bitstamp".into(),
        about: format!(
            "a recorded half hour of BTC/USD, flat out: {orders} orders, {} commands",
            commands.len()
        ),
        timed_from: 0,
        live_max: 2 * orders / 10,
        levels_max: 2 * orders / 10,
        commands,
    })
}

fn parse(line: &str) -> anyhow::Result<Row> {
    let fields: Vec<&str> = line.split(',').collect();
    let [id, _, at, price, volume, action, direction] = fields[..] else { bail!("not seven fields") };
    Ok(Row {
        id: id.parse()?,
        at: at.parse()?,
        price: price.parse::<f64>()? as u64,
        volume: (volume.parse::<f64>()? * 1e8).round() as u64,
        action: match action {
            "created" => Action::Created,
            "changed" => Action::Changed,
            "deleted" => Action::Deleted,
            other => bail!("unknown action {other}"),
        },
        side: match direction {
            "bid" => Side::Buy,
            "ask" => Side::Sell,
            other => bail!("unknown direction {other}"),
        },
    })
}

fn commands(rows: &[Row]) -> Vec<Command> {
    let refused = created_and_deleted_at_once(rows);
    let mut placed = HashSet::new();
    let mut commands = Vec::new();
    for row in rows.iter().filter(|row| !GHOSTS.contains(&row.id)) {
        let (kind, price) = match row.action {
            Action::Created if row.volume == 0 || (row.price == 0 && row.side == Side::Buy) => continue,
            Action::Created if row.price == 0 => (Kind::Ioc, 1),
            Action::Created if refused.contains(&row.id) => (Kind::PostOnly, row.price),
            Action::Created => (Kind::Limit, row.price),
            Action::Deleted if row.volume > 0 && placed.remove(&row.id) => (Kind::Cancel, 0),
            Action::Deleted | Action::Changed => continue,
        };
        if row.action == Action::Created && !placed.insert(row.id) {
            continue;
        }
        commands.push(Command { kind, side: row.side, key: row.id, price, quantity: row.volume });
    }
    commands
}

/// The orders whose whole life is two rows of one millisecond, with the same volume.
fn created_and_deleted_at_once(rows: &[Row]) -> HashSet<u64> {
    let mut lives: HashMap<u64, Vec<&Row>> = HashMap::new();
    for row in rows {
        lives.entry(row.id).or_default().push(row);
    }
    let at_once = |life: &[&Row]| match life {
        [created, deleted] => {
            created.action == Action::Created
                && deleted.action == Action::Deleted
                && (created.at, created.volume) == (deleted.at, deleted.volume)
        }
        _ => false,
    };
    lives.into_iter().filter(|(_, life)| at_once(life)).map(|(id, _)| id).collect()
}

//! How fast is the history written? Entries of accounts a second, from the engine's reports to committed rows, by one thread:
//! what a burst may leave behind is caught up with at this rate. SQLite in a file in the temporary directory, synced as in
//! the exchange; PostgreSQL if a URL of an empty database is given, which costs a round trip a batch.
//!
//! `cargo bench -p gateway --bench history [-- postgres://…]`; with `RINGSIDE_BENCH=tiny`, or under `cargo test`, few entries.

use engine_core::journal::{Positions, Shards};
use engine_core::message::{Command, Input, Origin, Report, Submit};
use engine_core::pipeline::{self, Shape};
use engine_core::units::*;
use gateway::config::Config;
use gateway::history::place::{Place, Wish};
use gateway::history::writer::BATCH_ENTRIES;
use gateway::history::{self, Source};
use gateway::venue::Venue;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

const SEED: u64 = 1;
const ACCOUNTS: u32 = 1000;

fn main() {
    let tiny = std::env::var("RINGSIDE_BENCH").is_ok_and(|size| size == "tiny");
    let orders = if !tiny && std::env::args().any(|arg| arg == "--bench") { 300_000 } else { 2_000 };
    let (venue, reports) = trading(orders);
    let entries = reports.iter().filter(|report| report.body.exec_sequence().is_some()).count();
    println!(
        "seed {SEED}, {orders} orders of {ACCOUNTS} accounts, {entries} entries, batches of {BATCH_ENTRIES}"
    );
    let file = std::env::temp_dir().join(format!("ringside-bench-{}.sqlite", std::process::id()));
    measure("SQLite", &Place::Sqlite(file.clone()), &venue, &reports);
    let bytes = std::fs::metadata(&file).map_or(0, |file| file.len());
    println!("{} bytes an entry, orders and indexes included", bytes / entries as u64);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
    }
    if let Some(url) = std::env::args().find(|arg| arg.starts_with("postgres")) {
        let place = url.parse::<Wish>().expect("a URL").place(&file).expect("a server");
        measure("PostgreSQL", &place, &venue, &reports);
    }
}

/// Random limit orders around one price, of which about half trade.
fn trading(orders: u32) -> (Arc<Venue>, Vec<Report>) {
    let market = Config::load(None, &json!({}), &json!({})).and_then(|config| config.market());
    let market = Arc::new(market.expect("the sample works"));
    let venue = Arc::new(Venue::new(market.clone(), Vec::new(), 500));
    let shape = Shape { sequencers: 1, matchers: 1, log_entries_max: 0 };
    let mut engine = pipeline::run_inline(pipeline::build(shape, &market));
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut reports = Vec::new();
    let mut apply = |command, at: u32| {
        let input = Input { origin: Origin::default(), at: Timestamp(at.into()), ticket: 0, command };
        engine.apply(&input, &mut |report: &Report| reports.push(report.clone()), &mut ());
    };
    for account in (0..ACCOUNTS).map(AccountId) {
        apply(Command::Open { account, name: None }, 1);
        for asset in [0, 1].map(AssetId) {
            apply(Command::Deposit { account, asset, amount: Amount(1 << 80) }, 1);
        }
    }
    for number in 0..orders {
        let account = AccountId(random.random_range(0..ACCOUNTS));
        let order_id = ClientOrderId::new(&format!("order-{number}")).expect("a good name");
        let side = if random.random() { Side::Buy } else { Side::Sell };
        let price = Price(3_000_000 + random.random_range(0..100));
        let quantity = Quantity(random.random_range(1..50) * 1000);
        apply(Command::Submit(Submit::limit(account, SymbolId(0), order_id, side, price, quantity)), number);
    }
    (venue, reports)
}

fn measure(name: &str, place: &Place, venue: &Arc<Venue>, reports: &[Report]) {
    let mut positions = Positions::zero(Shards { sequencers: 1, matchers: 1 });
    let mut end = positions.clone();
    end.sequencers[0] = u64::MAX >> 1;
    let source = Source { journal: 1, end: &end, venue: venue.clone() };
    let (mut writer, reader) = history::open(place, source).expect("an empty store");
    let begun = Instant::now();
    for (report, place) in reports.iter().zip(1..) {
        writer.note(report);
        if writer.is_worth_saving() || place == reports.len() as u64 {
            positions.sequencers[0] = place;
            writer.commit(&positions).expect("it is there");
        }
    }
    let (took, written) = (begun.elapsed(), reader.counters().entries.get());
    println!("{name}: {:.0} entries/s ({written} in {took:.2?})", written as f64 / took.as_secs_f64());
}

//! `ringside journal`: looks at a journal that no exchange has open, and leaves it and its directory as they are.
//!
//! - `inspect`: what is there, from the files' own words.
//! - `verify`: everything is done again, and must be what the snapshots say; then money is counted.
//! - `export`: every entry as a line of JSON.

use crate::recovery;
use anyhow::{bail, ensure};
use clap::{Args, Subcommand};
use engine_core::decimal::scaled_to_string;
use engine_core::executor::verify::{Verified, verify};
use engine_core::journal::Recovery;
use engine_core::journal::storage::Disk;
use engine_core::pipeline::Shape;
use serde_json::{Value, json};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Say what a journal is and what its files hold.
    Inspect(JournalArgs),
    /// Do all of it again: checksums, snapshots, money. Changes nothing.
    Verify(JournalArgs),
    /// Write every entry as a line of JSON to standard output.
    Export {
        /// The data directory of an exchange that is not running, or a copy.
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct JournalArgs {
    /// The data directory of an exchange that is not running, or a copy.
    pub dir: PathBuf,
    /// One JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Does it, and writes what was found to `out`.
///
/// # Errors
/// If there is no journal, or it is in use or damaged, or its snapshots tell something else: the text says where.
pub fn run(command: &JournalCommand, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        JournalCommand::Inspect(args) => tell(&inspect(&args.dir)?, args.json, out),
        JournalCommand::Verify(args) => tell(&check(&args.dir)?, args.json, out),
        JournalCommand::Export { dir } => export(dir, out),
    }
}

fn open(dir: &Path) -> anyhow::Result<Recovery> {
    // Either the data directory or what is in it.
    let inner = dir.join("journal");
    let directory = if inner.is_dir() { inner } else { dir.to_owned() };
    ensure!(directory.is_dir(), "{} is no directory", directory.display());
    Ok(Recovery::open_existing(Arc::new(Disk::to_read(directory)))?)
}

fn inspect(dir: &Path) -> anyhow::Result<Value> {
    let mut journal = open(dir)?;
    let (segments, segment_bytes) = journal.segments();
    let (shards, snapshots) = (journal.shards(), journal.snapshots());
    let mut told = Vec::new();
    for number in snapshots.numbers()? {
        told.push(match snapshots.positions(number) {
            Ok(positions) => json!({"number": number, "entries": positions.total()}),
            Err(error) => json!({"number": number, "error": full(error)}),
        });
    }
    let first = journal.first().clone();
    let bar = recovery::bar();
    let mut records = 0u64;
    while journal.next_record()?.is_some() {
        records += 1;
        recovery::show(&bar, journal.progress());
    }
    bar.finish_and_clear();
    let (read, _) = journal.progress();
    Ok(json!({
        "id": format!("{:032x}", journal.id()),
        "sequencers": shards.sequencers,
        "matchers": shards.matchers,
        "segments": segments,
        "segment_bytes": segment_bytes,
        "bytes_used": read,
        "records": records,
        "first_entries": first.total(),
        "entries": journal.positions().total(),
        "snapshots": told,
    }))
}

fn check(dir: &Path) -> anyhow::Result<Value> {
    let journal = open(dir)?;
    let shards = journal.shards();
    let shape = Shape { sequencers: shards.sequencers, matchers: shards.matchers, log_entries_max: 0 };
    let bar = recovery::bar();
    let verified = verify(journal, recovery::fresh(shape), |read, all| recovery::show(&bar, (read, all)))?;
    bar.finish_and_clear();
    let Verified { shards, begun, reached, unreadable, beyond, records, entries } = verified;
    let mut wrong: Vec<String> = unreadable.into_iter().chain(beyond).map(full).collect();
    for (snapshot, hash) in reached.iter().filter(|(snapshot, hash)| snapshot.hash != *hash) {
        let (number, said) = (snapshot.number, snapshot.hash);
        wrong.push(format!("snapshot {number} has the state {said}, the journal leads to {hash}"));
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    // Stops the process with the account or the book that is wrong.
    shards.check();
    let market = shards.sequencers[0].machine.market().clone();
    let money = shards.money().into_iter().zip(&market.assets).map(|(money, asset)| {
        let units = |atoms: u128| scaled_to_string(atoms, asset.decimals);
        json!({
            "asset": asset.name,
            "deposited": units(money.deposited),
            "withdrawn": units(money.withdrawn),
            "of_accounts": units(money.of_accounts),
            "fee_atoms": money.fees.to_string(),
        })
    });
    let symbols =
        shards.matchers.iter().flat_map(|shard| shard.machine.counters()).map(|(symbol, counters)| {
            json!({
                "symbol": market.instruments[symbol.0 as usize].symbol,
                "sequence": counters.sequence,
                "trades": counters.trade,
                "event_hash": format!("{:016x}", counters.event_hash),
            })
        });
    Ok(json!({
        "records": records,
        "entries": entries,
        "begun_with_snapshot": begun.map(|snapshot| snapshot.number),
        "snapshots_reached": reached.iter().map(|(snapshot, _)| snapshot.number).collect::<Vec<_>>(),
        "state_hash": shards.state_hash().to_string(),
        "money": money.collect::<Vec<_>>(),
        "symbols": symbols.collect::<Vec<_>>(),
    }))
}

fn export(dir: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut journal = open(dir)?;
    let mut out = BufWriter::new(out);
    while let Some(record) = journal.next_record()? {
        for logged in record.entries() {
            serde_json::to_writer(&mut out, &logged?)?;
            out.write_all(b"\n")?;
        }
    }
    Ok(out.flush()?)
}

fn tell(found: &Value, json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    if json {
        return Ok(writeln!(out, "{found}")?);
    }
    let found = found.as_object().expect("what is found has names");
    found.iter().try_for_each(|(name, value)| tell_one(name, value, out))?;
    Ok(())
}

/// A list goes line by line.
fn tell_one(name: &str, value: &Value, out: &mut dyn Write) -> io::Result<()> {
    let line = |value: &Value| match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name} {}", plain(value)));
            fields.collect::<Vec<_>>().join("  ")
        }
        other => plain(other),
    };
    match value {
        Value::Array(values) => values.iter().try_for_each(|value| writeln!(out, "{name:22}{}", line(value))),
        value => writeln!(out, "{name:22}{}", line(value)),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn full(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

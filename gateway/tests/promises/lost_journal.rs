//! A part of the data directory is not there any more: moved, removed, or not copied. An exchange that would begin anew where one
//! was, or go on with less than it told its clients, does not start; it says what is missing and changes nothing.

use crate::client::Client;
use crate::exchange::{Exchange, fresh_directory};
use crate::postgres;
use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const FIRST_SEGMENT: &str = "segment-0000000000000001.journal";

#[test]
fn a_history_without_its_journal_is_not_the_beginning_of_another() {
    let data = traded("journal-gone");
    for part in ["journal", "journal/identity.journal"] {
        let away = data.with_extension("away");
        fs::rename(data.join(part), &away).expect("it was there");
        let (said, names) = refused_with(&["serve"], &data);
        assert!(said.contains("there is no journal in") && said.contains("history.sqlite"), "{said}");
        assert_eq!(names_in(&data), names, "nothing was made");
        fs::rename(away, data.join(part)).expect("it is back");
    }
    goes_on(&data);
}

/// The same where the history is on a server.
#[test]
fn a_history_on_a_server_is_not_that_of_a_journal_to_come() {
    let Some(server) = postgres::start() else { return };
    let (data, url) = (fresh_directory("journal-gone"), server.database());
    let text = data.to_str().expect("our own path");
    drop(Exchange::start_with(&["serve", "--no-demo-flow", "--data-dir", text, "--history", &url]));
    fs::remove_dir_all(data.join("journal")).expect("it was there");
    let (said, _) = refused_with(&["serve", "--history", &url], &data);
    assert!(said.contains("there is no journal in") && said.contains("history0 of PostgreSQL"), "{said}");
    assert_eq!(names_in(&data), [] as [PathBuf; 0], "nothing was made");
    let _ = fs::remove_dir_all(data);
}

#[test]
fn snapshots_without_a_journal_are_not_the_beginning_of_another() {
    let data = traded("snapshots-left");
    for file in names_in(&data) {
        if file.extension().is_none_or(|extension| extension != "state") && file.is_file() {
            fs::remove_file(file).expect("it was there");
        }
    }
    let (said, names) = refused_with(&["serve"], &data);
    assert!(said.contains("has no identity.journal, and snapshot-"), "{said}");
    assert_eq!(names_in(&data), names, "nothing was made");
    let _ = fs::remove_dir_all(data);
}

#[test]
fn a_journal_that_ends_before_its_snapshot_has_lost_its_end() {
    let data = traded("end-lost");
    let segment = data.join("journal").join(FIRST_SEGMENT);
    let bytes = fs::read(&segment).expect("the first segment");
    let kept = used(&bytes) / 4;
    let mut file = OpenOptions::new().write(true).open(&segment).expect("it is there");
    file.seek(SeekFrom::Start(kept as u64)).expect("it is longer");
    file.write_all(&vec![0; bytes.len() - kept]).expect("it can be written");
    for arguments in [&["journal", "verify"][..], &["serve"]] {
        let (said, names) = refused_with(arguments, &data);
        assert!(said.contains("snapshot-") && said.contains(".state goes on with entry"), "{said}");
        assert!(said.contains(&format!("in {FIRST_SEGMENT}: its end is lost")), "{said}");
        assert_eq!(names_in(&data), names, "nothing was made");
    }
    fs::write(&segment, bytes).expect("it can be written");
    goes_on(&data);
}

/// As a crash leaves it: nobody was told of what was torn, but it is no secret.
#[test]
fn a_torn_end_that_is_cut_is_told() {
    let data = traded("torn-end");
    let segment = data.join("journal").join(FIRST_SEGMENT);
    let bytes = fs::read(&segment).expect("the first segment");
    let end = used(&bytes).next_multiple_of(8);
    let mut file = OpenOptions::new().write(true).open(&segment).expect("it is there");
    file.seek(SeekFrom::Start(end as u64)).expect("it is longer");
    file.write_all(&[7; 24]).expect("it can be written");
    let log = goes_on(&data);
    assert!(log.contains(&format!("cut 24 bytes at byte {end} of {FIRST_SEGMENT}")), "{log}");
}

#[test]
fn an_exchange_that_keeps_nothing_does_not_begin_beside_a_journal() {
    let data = traded("durability-off");
    let (said, _) = refused_with(&["serve", "--durability", "off"], &data);
    assert!(said.contains("durability is off, and there is a journal in"), "{said}");
    goes_on(&data);
}

/// What is acknowledged would be in files that no start finds.
#[test]
fn a_directory_that_is_moved_away_ends_the_exchange() {
    let data = fresh_directory("moved");
    let mut exchange = start(&data);
    let mut ann = Client::log_in(&exchange.ws, "ann");
    ann.order(&order(0));
    let away = data.with_extension("away");
    fs::rename(&data, &away).expect("it was there");
    assert!(!exchange.wait().success());
    // Either who looks after it notices, or who makes the next segment.
    let log = exchange.log();
    assert!(log.contains("the journal cannot go on, and so cannot the exchange"), "{log}");
    let exchange = start(&away);
    assert_eq!(Client::log_in(&exchange.ws, "ann").open_orders(), ["a0"]);
    drop(exchange);
    let _ = fs::remove_dir_all(away);
}

fn order(number: u32) -> String {
    format!(r#""order_id":"a{number}","side":"buy","price":"20000","quantity":"0.001""#)
}

/// A data directory with fifty orders, a history and a snapshot.
fn traded(name: &str) -> PathBuf {
    let data = fresh_directory(name);
    let mut exchange = start(&data);
    let mut ann = Client::log_in(&exchange.ws, "ann");
    for number in 0..50 {
        ann.order(&order(number));
    }
    exchange.terminate();
    assert!(exchange.wait().success());
    assert!(data.join("history.sqlite").is_file() && data.join("journal").is_dir());
    data
}

fn start(data: &Path) -> Exchange {
    let data = data.to_str().expect("our own path");
    Exchange::start_with(&["serve", "--no-demo-flow", "--snapshot-bytes", "4096", "--data-dir", data])
}

/// All is there again. Returns what the start said.
fn goes_on(data: &Path) -> String {
    let exchange = start(data);
    assert_eq!(Client::log_in(&exchange.ws, "ann").open_orders().len(), 50);
    let log = exchange.log();
    drop(exchange);
    let _ = fs::remove_dir_all(data);
    log
}

/// What it says instead of doing it, and what is in the directory before.
fn refused_with(arguments: &[&str], data: &Path) -> (String, Vec<PathBuf>) {
    let names = names_in(data);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringside"));
    command.args(arguments);
    match arguments[0] {
        "serve" => command
            .args(["--no-demo-flow", "--ws-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(data),
        _ => command.arg(data),
    };
    let Output { status, stderr, .. } = command.output().expect("cargo built the binary");
    let said = String::from_utf8(stderr).expect("text");
    assert_eq!(status.code(), Some(1), "{said}");
    (said, names)
}

/// All there is below a directory.
fn names_in(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).expect("a directory").map(|file| file.expect("a file").path());
    let mut names: Vec<PathBuf> = files
        .flat_map(|path| {
            let below = if path.is_dir() { names_in(&path) } else { Vec::new() };
            below.into_iter().chain([path])
        })
        .collect();
    names.sort();
    names
}

/// Bytes up to the last that is not zero.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).expect("it was written") + 1
}

//! An operator looks at a journal: what is there, whether it is good, and all of it in plain text.
//!
//! Two accounts trade, the exchange stops, and `ringside journal` tells of exactly that; a spoilt byte is found and named,
//! and a journal that an exchange has open is left alone.

use crate::client::Client;
use crate::exchange::{Exchange, fresh_directory};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[test]
fn a_journal_is_shown_checked_and_exported() {
    let data = traded("journal-tool");
    let inspected = json(&ringside(&["inspect", "--json"], &data));
    assert_eq!((&inspected["sequencers"], &inspected["matchers"]), (&2.into(), &1.into()));
    let snapshots = inspected["snapshots"].as_array().expect("a list").len();
    assert!((1..=2).contains(&snapshots), "{inspected}");

    let verified = json(&ringside(&["verify", "--json"], &data));
    assert_eq!(verified["entries"], inspected["entries"], "the journal has its beginning");
    assert_eq!(verified["snapshots_reached"].as_array().expect("a list").len(), snapshots, "{verified}");
    assert_eq!(verified["symbols"][0]["symbol"], "BTC-USDT");
    assert_eq!(verified["symbols"][0]["trades"], 100);
    let usdt = &verified["money"][0];
    assert_eq!(
        (&usdt["asset"], &usdt["deposited"], &usdt["of_accounts"]),
        (&"USDT".into(), &"2000000".into(), &"2000000".into())
    );

    let exported = ringside(&["export"], &data);
    let lines = String::from_utf8(exported.stdout).expect("JSON is text");
    let entries: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    assert_eq!(entries.len() as u64, inspected["entries"].as_u64().unwrap());
    let submits = entries.iter().filter(|entry| entry["entry"]["input"]["command"]["submit"].is_object());
    assert_eq!(submits.count(), 200, "every order is there as it was asked for");

    // As text, for people.
    let text = String::from_utf8(ringside(&["verify"], &data).stdout).expect("text");
    assert!(text.contains(verified["state_hash"].as_str().unwrap()), "{text}");
    let _ = fs::remove_dir_all(data);
}

#[test]
fn what_is_spoilt_is_named() {
    let data = traded("journal-spoilt");
    let journal = data.join("journal");
    let segment = journal.join("segment-0000000000000001.journal");
    let mut bytes = fs::read(&segment).expect("the first segment");
    bytes[5000] ^= 1;
    fs::write(&segment, &bytes).expect("it can be written");
    for tool in ["inspect", "verify", "export"] {
        let said = refused(&ringside(&[tool], &data));
        assert!(said.contains("segment-0000000000000001.journal is damaged at byte"), "{tool}: {said}");
    }
    bytes[5000] ^= 1;
    fs::write(&segment, &bytes).expect("it can be written");

    let snapshot = fs::read_dir(&journal).expect("a directory").map(|file| file.expect("a file").path());
    let snapshot = snapshot.filter(|path| path.extension().is_some_and(|end| end == "state")).max();
    let snapshot = snapshot.expect("there is a snapshot");
    let mut bytes = fs::read(&snapshot).expect("a snapshot");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&snapshot, &bytes).expect("it can be written");
    let said = refused(&ringside(&["verify"], &data));
    let name = snapshot.file_name().and_then(|name| name.to_str()).expect("a name");
    assert!(said.contains(name) && said.contains("damaged"), "{said}");
    // The exchange itself does without it.
    let mut exchange = start(&data);
    let mut ann = Client::log_in(&exchange.ws, "ann");
    assert!(ann.balances().is_array());
    exchange.terminate();
    assert!(exchange.wait().success());
    let _ = fs::remove_dir_all(data);
}

#[test]
fn a_journal_in_use_or_none_at_all_is_refused() {
    let data = fresh_directory("journal-used");
    for tool in ["inspect", "verify", "export"] {
        let said = refused(&ringside(&[tool], &data));
        assert!(said.contains("there is no journal in"), "{said}");
        assert_eq!(files_in(&data), [] as [PathBuf; 0], "nothing was left");
    }
    let exchange = start(&data);
    let journal = data.join("journal");
    let files = files_in(&journal);
    for file in files.iter().filter(|file| file.extension().is_none()) {
        fs::remove_file(file).expect("whatever it is, it is no part of the journal");
    }
    let said = refused(&ringside(&["verify"], &data));
    assert!(said.contains("is in use by another process"), "{said}");
    let mut second = Command::new(env!("CARGO_BIN_EXE_ringside"));
    second
        .args(["serve", "--ws-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--data-dir"])
        .arg(&data);
    let said = refused(&second.output().expect("cargo built the binary"));
    assert!(said.contains("is in use by another process"), "{said}");
    drop(exchange);
    let files = files_in(&journal);
    for tool in ["inspect", "verify", "export"] {
        assert!(ringside(&[tool], &data).status.success());
        assert_eq!(files_in(&journal), files, "nothing was made by {tool}");
    }
    let _ = fs::remove_dir_all(data);
}

/// A data directory in which a hundred trades were made, and some snapshots.
fn traded(name: &str) -> PathBuf {
    let data = fresh_directory(name);
    let mut exchange = start(&data);
    let [mut ann, mut bob] = ["ann", "bob"].map(|name| Client::log_in(&exchange.ws, name));
    for number in 0..100 {
        ann.order(&format!(r#""order_id":"a{number}","side":"sell","price":"30000","quantity":"0.01""#));
        bob.order(&format!(r#""order_id":"b{number}","side":"buy","price":"30000","quantity":"0.01""#));
    }
    exchange.terminate();
    assert!(exchange.wait().success());
    data
}

fn start(data: &Path) -> Exchange {
    let data = data.to_str().expect("our own path");
    #[rustfmt::skip]
    let arguments = [
        "serve", "--no-demo-flow", "--sequencers", "2", "--matchers", "1", "--data-dir", data, "--snapshot-bytes", "8192",
        "--history", "off", // which would have more snapshots kept where it is slow
    ];
    Exchange::start_with(&arguments)
}

fn ringside(arguments: &[&str], data: &Path) -> Output {
    let ringside =
        Command::new(env!("CARGO_BIN_EXE_ringside")).arg("journal").args(arguments).arg(data).output();
    ringside.expect("cargo built the binary")
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).expect("a directory").map(|file| file.expect("a file").path());
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    files
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).expect("text")
}

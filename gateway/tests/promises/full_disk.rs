//! The file system of the journal becomes full while people trade.
//!
//! New orders are refused with a reason that people understand, cancels are taken, `/ready` and `/metrics` say what is wrong,
//! and when there is space again trading goes on by itself. Who stops the exchange in between gets it stopped, with what could
//! not be written on stderr. Nothing that was acknowledged is lost.
//!
//! The file system is a small tmpfs, which only root may mount: without that the tests are skipped, and say so.

use crate::client::{Client, order};
use crate::exchange::{Exchange, fresh_directory, wait_until};
use crate::http::get;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Room for the segment that is written and the one that is prepared, of 64 MiB each, and for little more.
const DISK: &str = "size=140m";
/// The journal looks for space once a second; beyond this it does not look.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn orders_are_refused_and_cancels_taken_until_there_is_space() {
    let Some(disk) = SmallDisk::mount("full-disk") else { return };
    let mut exchange = disk.exchange();
    let mut ann = Client::log_in(&exchange.ws, "ann");
    for id in ["a", "b", "c"] {
        assert_eq!(ann.ask(&resting(id))["type"], "order_ack");
    }
    exchange.terminate();
    assert!(exchange.wait().success());

    // The next life finds no space for the segment after the one that it writes.
    disk.remove_what_was_prepared();
    disk.fill();
    let exchange = disk.exchange();
    wait_for_status(&exchange, 503);
    assert_eq!(get(&exchange.http, "/ready").1["status"], "disk_full");
    assert!(exchange.metrics().contains("\nringside_journal_condition 1\n"));
    assert_eq!(get(&exchange.http, "/health").0, 200, "it lives");
    let mut ann = Client::log_in(&exchange.ws, "ann");
    let refused = ann.ask(&resting("d"));
    assert_eq!(refused["code"], "OVERLOADED", "{refused}");
    let message = refused["message"].as_str().expect("a text");
    assert!(message.contains("disk") && message.contains("cancels are taken"), "{message}");
    assert_eq!(
        ann.ask(r#"{"action":"cancel_order","order_id":"a","symbol":"BTC-USDT"}"#)["type"],
        "cancel_ack"
    );
    let mut new = Client::connect(&exchange.ws);
    assert_eq!(
        new.ask(r#"{"action":"auth","account":"new"}"#)["code"],
        "OVERLOADED",
        "no account without money"
    );

    disk.make_space();
    wait_for_status(&exchange, 200);
    assert!(exchange.metrics().contains("\nringside_journal_condition 0\n"));
    assert_eq!(ann.ask(&resting("d"))["type"], "order_ack");
    assert_eq!(new.ask(r#"{"action":"auth","account":"new"}"#)["type"], "auth_ack");
    let mut exchange = exchange;
    exchange.kill();
    let exchange = disk.exchange();
    assert_eq!(live_orders(&exchange), ["b", "c", "d"]);
}

/// `ulimit -f` says how large a file may be: what does not fit finds no space. Here the limit comes while people trade, and goes.
#[test]
fn a_limit_of_the_size_of_files_is_as_a_full_disk() {
    let data = fresh_directory("file-limit");
    let text = data.to_str().expect("our own path");
    let mut exchange = Exchange::start_with(&["serve", "--no-demo-flow", "--data-dir", text]);
    let mut ann = Client::log_in(&exchange.ws, "ann");
    assert_eq!(ann.ask(&resting("a"))["type"], "order_ack");
    let limit = |bytes: Option<u64>| {
        let pid = Pid::from_raw(exchange.id() as i32);
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("it is our child");
    };
    limit(Some(4096));
    ann.send(&resting("b"));
    wait_for_status(&exchange, 503);
    assert_eq!(get(&exchange.http, "/ready").1["status"], "disk_full");
    limit(None);
    assert_eq!(ann.until("order_ack")["order_id"], "b");
    wait_for_status(&exchange, 200);
    wait_until(|| exchange.log().contains("has space again"));
    assert!(exchange.log().contains("the journal's disk is full"), "{}", exchange.log());
    exchange.terminate();
    assert!(exchange.wait().success());
    let _ = fs::remove_dir_all(data);
}

#[test]
fn a_stop_while_it_is_full_ends_and_says_what_was_not_written() {
    let Some(disk) = SmallDisk::mount("stop-on-a-full-disk") else { return };
    let mut exchange = disk.exchange();
    let mut ann = Client::log_in(&exchange.ws, "ann");
    for id in ["a", "b"] {
        assert_eq!(ann.ask(&resting(id))["type"], "order_ack");
    }
    exchange.terminate();
    assert!(exchange.wait().success());

    // As on a file system that copies on write: even what the journal has reserved needs space.
    disk.remove_what_was_prepared();
    disk.make_sparse();
    disk.fill();
    let mut exchange = disk.exchange();
    wait_for_status(&exchange, 503);
    // Cancels fill the last page, and then nothing can be written any more.
    let begun = Instant::now();
    while !exchange.metrics().contains("\nringside_journal_waits_for_space 1\n") {
        assert!(begun.elapsed() < PATIENCE, "it goes on writing");
        let mut asker = Client::connect(&exchange.ws);
        asker.send(r#"{"action":"auth","account":"ann"}"#);
        asker.send(r#"{"action":"cancel_order","order_id":"never","symbol":"BTC-USDT"}"#);
    }
    exchange.terminate();
    let status = exchange.wait();
    let said = exchange.log();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("the disk is full") && said.contains("could not be written"), "{said}");

    disk.make_space();
    let exchange = disk.exchange();
    assert_eq!(live_orders(&exchange), ["a", "b"]);
}

#[test]
fn a_start_while_it_is_full_has_its_history_when_there_is_space() {
    let Some(disk) = SmallDisk::mount("history-on-a-full-disk") else { return };
    let mut exchange = disk.exchange_with("sqlite");
    let mut ann = Client::log_in(&exchange.ws, "ann");
    assert_eq!(ann.ask(&resting("a"))["type"], "order_ack");
    exchange.terminate();
    assert!(exchange.wait().success());

    disk.remove_what_was_prepared();
    // With these there may be room for what little comes. The journal has what is lost with them.
    for beside in ["history.sqlite-wal", "history.sqlite-shm"] {
        let _ = fs::remove_file(disk.directory.join(beside));
    }
    disk.fill();
    let exchange = disk.exchange_with("sqlite");
    wait_for_status(&exchange, 503);
    assert!(exchange.metrics().contains("\nringside_history_aside 1\n"), "{}", exchange.log());
    let mut ann = Client::log_in(&exchange.ws, "ann");
    let cancel = r#"{"action":"cancel_order","order_id":"a","symbol":"BTC-USDT"}"#;
    assert_eq!(ann.ask(cancel)["type"], "cancel_ack");

    disk.make_space();
    wait_for_status(&exchange, 200);
    assert_eq!(ann.ask(&resting("b"))["type"], "order_ack");
    let begun = Instant::now();
    let orders = loop {
        let (status, said) = get(&exchange.http, "/api/v1/orders?account=ann&status=all");
        if status == 200 && said["orders"].as_array().is_some_and(|orders| orders.len() == 2) {
            break said["orders"].clone();
        }
        assert!(begun.elapsed() < PATIENCE, "the history is never written: {said}");
        std::thread::yield_now();
    };
    let told = |at: usize| (orders[at]["status"].clone(), orders[at]["last_report"]["order_id"].clone());
    assert_eq!(told(0), ("new".into(), "b".into()));
    assert_eq!(told(1), ("canceled".into(), "a".into()), "what happened meanwhile is there, too");
    assert!(exchange.metrics().contains("\nringside_history_aside 0\n"));
}

/// Rests far from the market.
fn resting(id: &str) -> String {
    order(&format!(r#""order_id":"{id}","side":"buy","price":"20000","quantity":"0.001""#))
}

fn live_orders(exchange: &Exchange) -> Vec<String> {
    let mut ids = Client::log_in(&exchange.ws, "ann").open_orders();
    ids.sort();
    ids
}

fn wait_for_status(exchange: &Exchange, status: u16) {
    let begun = Instant::now();
    while get(&exchange.http, "/ready").0 != status {
        assert!(begun.elapsed() < PATIENCE, "/ready never says {status}");
        std::thread::yield_now();
    }
}

/// A file system of its own, with the journal of an exchange.
struct SmallDisk {
    directory: PathBuf,
}

impl SmallDisk {
    fn mount(name: &str) -> Option<Self> {
        let directory = fresh_directory(name);
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(&directory).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: no file system can be mounted here");
            return None;
        }
        Some(Self { directory })
    }

    fn exchange(&self) -> Exchange {
        self.exchange_with("off")
    }

    fn exchange_with(&self, history: &str) -> Exchange {
        let data = self.directory.to_str().expect("our own path");
        Exchange::start_with(&["serve", "--no-demo-flow", "--history", history, "--data-dir", data])
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let mut filler = File::create(self.directory.join("filler")).expect("the disk is there");
        let zeros = [0; 4096];
        loop {
            match filler.write_all(&zeros) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn make_space(&self) {
        fs::remove_file(self.directory.join("filler")).expect("it was filled");
    }

    /// The segments, oldest first.
    fn segments(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.directory.join("journal")).expect("there is a journal");
        let mut files: Vec<PathBuf> = files.map(|file| file.expect("it can be listed").path()).collect();
        files.retain(|file| {
            file.extension().is_some_and(|extension| extension == "journal") && is_segment(file)
        });
        files.sort();
        files
    }

    /// The second segment, not begun by so few orders; a start would take it away as well.
    fn remove_what_was_prepared(&self) {
        for prepared in &self.segments()[1..] {
            fs::remove_file(prepared).expect("nobody uses it");
        }
    }

    /// Gives the zeros at the end of the first segment back to the file system; they are still read as zeros.
    fn make_sparse(&self) {
        let first = &self.segments()[0];
        let mut bytes = Vec::new();
        File::open(first).and_then(|mut file| file.read_to_end(&mut bytes)).expect("it can be read");
        let end = 1 + bytes.iter().rposition(|byte| *byte != 0).expect("it was begun");
        let file = OpenOptions::new().write(true).open(first).expect("nobody uses it");
        file.set_len(end as u64).and_then(|()| file.set_len(bytes.len() as u64)).expect("it can be cut");
    }
}

fn is_segment(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("segment-"))
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.directory).status();
        let _ = fs::remove_dir(&self.directory);
    }
}

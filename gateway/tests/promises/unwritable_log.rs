//! What the exchange says cannot be written: the disk of its log is full, nobody listens any more, nobody reads. It trades all the
//! same, and stops when it is asked to.

use crate::client::Client;
use crate::exchange::{Exchange, fresh_directory};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

const SERVE: [&str; 2] = ["serve", "--no-demo-flow"];

#[test]
fn a_full_disk_ends_nothing() {
    trades(Exchange::start_saying_to(full(), &SERVE));
}

#[test]
fn a_reader_that_is_gone_ends_nothing() {
    let (ours, reader) = UnixStream::pair().expect("two sockets");
    drop(reader);
    trades(Exchange::start_saying_to(OwnedFd::from(ours), &SERVE));
}

#[test]
fn a_reader_that_does_not_read_holds_nothing_up() {
    let (mut ours, reader) = UnixStream::pair().expect("two sockets");
    ours.set_nonblocking(true).expect("a socket option");
    while match ours.write(&[b'.'; 4096]) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        written => written.expect("the reader is there") > 0,
    } {}
    ours.set_nonblocking(false).expect("a socket option");
    trades(Exchange::start_saying_to(OwnedFd::from(ours), &SERVE));
    drop(reader);
}

/// Nobody hears that it is ready, and it is.
#[test]
fn a_ready_line_that_cannot_be_written_is_told_in_the_log() {
    let directory = fresh_directory("unheard");
    let log = directory.join("stderr.log");
    let mut process = Command::new(env!("CARGO_BIN_EXE_ringside"))
        .args(SERVE)
        .args(["--ws-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"])
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(full())
        .stderr(File::create(&log).expect("the directory was just made"))
        .spawn()
        .expect("cargo built the binary");
    let said = || std::fs::read_to_string(&log).expect("it was just made");
    crate::exchange::wait_until(|| said().contains("standard output"));
    let said = said();
    let ws = said.split_once("ws=\"").and_then(|(_, rest)| rest.split_once('"')).expect("the ready line").0;
    Client::log_in(ws, "ann");
    let asked = Command::new("kill").args(["-TERM", &process.id().to_string()]).status();
    assert!(asked.expect("every system has kill").success());
    assert!(process.wait().expect("it is our child").success());
    let _ = std::fs::remove_dir_all(directory);
}

/// Where nothing can be written.
fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("every Linux has it")
}

fn trades(mut exchange: Exchange) {
    let mut ann = Client::log_in(&exchange.ws, "ann");
    ann.order(r#""order_id":"a","side":"buy","price":"20000","quantity":"0.001""#);
    exchange.terminate();
    assert!(exchange.wait().success());
}

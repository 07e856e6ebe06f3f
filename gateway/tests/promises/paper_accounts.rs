//! A paper account gets its money when it is opened. If it cannot, its client hears of it; and what one account does is
//! nobody else's news.

use crate::client::Client;
use crate::exchange::{Exchange, Lasting};
use engine_core::journal::storage::Disk;
use engine_core::journal::{Options, Recovery, Shards};
use engine_core::message::{Command, Input, Origin, Report};
use engine_core::pipeline::{self, Shape};
use engine_core::units::{AccountId, AccountName, Amount, AssetId, Timestamp};
use gateway::config::Config;
use gateway::recovery;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// Nothing of one asset, and of the other so much that two accounts are more than can be counted.
/// (2^120 atoms, 1.3 × 10^36, are.)
const TOO_MUCH: &str = r#"
sequencers = 1 # each counts its own accounts' money
symbols = [{ symbol = "COIN-CASH", base = "COIN", quote = "CASH", tick = "1", lot = "1", min_notional = "0" }]
assets = [
    { name = "CASH", decimals = 0, paper = "1000000000000000000000000000000000000" },
    { name = "COIN", decimals = 0, paper = "0" },
]
"#;

#[test]
fn money_that_cannot_be_given_is_told() {
    let exchange = Exchange::start_with_keys(TOO_MUCH);
    let mut first = Client::log_in(&exchange.ws, "first");
    first.ask(r#"{"action":"subscribe","channel":"user"}"#);
    let balances = first.until("account_snapshot")["data"]["balances"].clone();
    assert_eq!(balances.as_array().unwrap().len(), 1, "a deposit of nothing is not made: {balances}");
    let mut second = Client::connect(&exchange.ws);
    let answer = second.ask(r#"{"action":"auth","id":1,"account":"second"}"#);
    assert_eq!((&answer["type"], &answer["action"]), (&"error".into(), &"auth".into()), "{answer}");
    assert_eq!((&answer["id"], &answer["code"]), (&1.into(), &"BAD_VALUE".into()), "{answer}");
    assert_eq!(second.ask(r#"{"action":"ping","id":2}"#)["type"], "pong", "the connection goes on");
}

/// An account is opened by one command and funded by others, and a crash may come between.
#[test]
fn a_crash_before_all_money_has_come_makes_nobody_poorer() {
    let mut life = Lasting::start_with(&["--sequencers", "2", "--matchers", "1"]);
    let whole = Client::log_in(&life.exchange.ws, "whole").balances();
    life.exchange.kill();
    let funds = Config::load(None, &json!({}), &json!({})).unwrap().paper_funds().unwrap();
    let mut commands = Vec::new();
    let named = |account, name: &str| Command::Open { account, name: AccountName::new(name) };
    for came in 0..=funds.len() {
        let account = AccountId(100 + came as u32);
        commands.push(named(account, &format!("got-{came}")));
        let deposit = |&(asset, amount)| Command::Deposit { account, asset, amount };
        commands.extend(funds[..came].iter().map(deposit));
    }
    let other = AccountId(200); // whoever gave it that was not us
    commands.push(named(other, "other"));
    commands.push(Command::Deposit { account: other, asset: AssetId(0), amount: Amount(1) });
    carry_out(&life.data, &commands);
    for _ in 0..2 {
        life.begin_again();
        for came in 0..=funds.len() {
            let mut client = Client::log_in(&life.exchange.ws, &format!("got-{came}"));
            assert_eq!(client.balances(), whole, "{came} deposits had come");
        }
        let balances = Client::log_in(&life.exchange.ws, "other").balances();
        assert_eq!(balances.as_array().map(Vec::len), Some(1), "{balances}");
        life.exchange.kill();
    }
}

/// Adds to a journal what would be its end if a crash had come after these commands.
fn carry_out(data: &Path, commands: &[Command]) {
    let shape = Shape { sequencers: 2, matchers: 1, log_entries_max: 0 };
    let disk = Disk::new(data.join("journal")).expect("it is there");
    let options = Options::new(Shards { sequencers: shape.sequencers, matchers: shape.matchers });
    let recovery = Recovery::open(Arc::new(disk), options).expect("its owner is gone");
    let recovered = pipeline::recover(recovery, recovery::fresh(shape), |_, _| {}, Box::new(|_| {}));
    let pipeline::Recovered { shards, journal, .. } = recovered.expect("it can be read");
    let mut engine = pipeline::run_inline(shards);
    for command in commands {
        let input = Input { origin: Origin::default(), at: Timestamp(0), ticket: 0, command: *command };
        engine.apply(&input, &mut |_: &Report| {}, &mut ());
    }
    journal.close().expect("it can be written");
}

/// Numbers of connections can be guessed.
#[test]
fn the_account_of_a_connection_is_nobody_elses() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut anonymous = Client::connect(&exchange.ws);
    anonymous.order(r#""order_id":"a","side":"buy","price":"20000","quantity":"1""#);
    let mut other = Client::connect(&exchange.ws);
    for name in ["connection-0", "connection-99", "connection-"] {
        let answer = other.ask(&format!(r#"{{"action":"auth","id":1,"account":"{name}"}}"#));
        assert_eq!((&answer["action"], &answer["code"]), (&"auth".into(), &"BAD_VALUE".into()), "{answer}");
        let message = answer["message"].as_str().expect("a message");
        assert!(message.contains("account") && message.contains("connection-"), "{answer}");
    }
    assert_eq!(other.ask(r#"{"action":"auth","account":"connection"}"#)["type"], "auth_ack");
}

#[test]
fn news_of_an_account_that_was_left_do_not_come() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut client = Client::connect(&exchange.ws);
    client.order(r#""order_id":"anonymous","side":"buy","price":"30000","quantity":"1""#);
    client.report("anonymous", "new");
    assert_eq!(client.ask(r#"{"action":"auth","account":"alice"}"#)["type"], "auth_ack");
    let mut other = Client::log_in(&exchange.ws, "bob");
    other.order(r#""order_id":"s","side":"sell","price":"30000","quantity":"1""#);
    other.report("s", "trade");
    // The look at an account is answered in line with its reports.
    client.send(r#"{"action":"subscribe","channel":"user"}"#);
    loop {
        let message = client.next();
        assert_ne!(message["type"], "execution_report", "{message}");
        if message["type"] == "account_snapshot" {
            return;
        }
    }
}

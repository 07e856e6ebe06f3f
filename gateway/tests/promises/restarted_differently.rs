//! What an exchange is started with again differs from what its journal knows. What can be done is done, what cannot is
//! said or refused, and nothing changes in silence.

use crate::exchange::{Exchange, fresh_directory};
use crate::http::{get, post};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FIRST: &str = r#"symbol = "BTC-USDT", base = "BTC", quote = "USDT""#;

/// A directory with a configuration of these symbols, which are written without their braces.
fn configuration(directory: &Path, symbols: &[&str]) -> PathBuf {
    let symbols: Vec<_> = symbols.iter().map(|symbol| format!("{{ {symbol} }}")).collect();
    let file = directory.join("ringside.toml");
    fs::write(&file, format!("admin = true\nsymbols = [{}]\n", symbols.join(", ")))
        .expect("it was just made");
    file
}

fn arguments<'a>(file: &'a Path, data: &'a Path) -> [&'a str; 6] {
    let text = |path: &'a Path| path.to_str().expect("our own path");
    ["serve", "--no-demo-flow", "--config", text(file), "--data-dir", text(data)]
}

fn start(directory: &Path, symbols: &[&str]) -> Exchange {
    let file = configuration(directory, symbols);
    Exchange::start_with(&arguments(&file, &directory.join("data")))
}

fn symbols(exchange: &Exchange) -> Value {
    get(&exchange.http, "/api/v1/symbols").1["symbols"].clone()
}

#[test]
fn the_journal_counts_and_the_difference_is_told() {
    let directory = fresh_directory("differently");
    let steps = r#"tick = "0.01", lot = "0.00001""#;
    let before = format!(r#"{FIRST}, {steps}, min_notional = "5", maker_bps = "1", taker_bps = "2""#);
    let exchange = start(&directory, &[&before]);
    let fees = r#"{"symbol":"BTC-USDT","tier":1,"maker_bps":"-0.5","taker_bps":"1.5"}"#;
    assert_eq!(post(&exchange.http, "/api/v1/admin/fees", fees).0, 200);
    let in_force = symbols(&exchange);
    drop(exchange);

    let exchange = start(&directory, &[&before]);
    assert_eq!(symbols(&exchange), in_force, "what the operator set at run time stays");
    assert_told(
        &exchange,
        &["BTC-USDT", "taker_bps of tier 1", "configured=\"2\"", "in_force=\"1.5\"", "admin/fees"],
    );
    assert_eq!(exchange.log().matches("differs from the journal").count(), 2, "{}", exchange.log());
    drop(exchange);

    let other =
        r#"min_notional = "10", max_quantity = "3", band_bps = 700, maker_bps = "1", taker_bps = "9""#;
    let another = r#"symbol = "ETH-USDT", base = "ETH", quote = "USDT", tick = "0.01", lot = "0.0001", min_notional = "5""#;
    let exchange = start(&directory, &[&format!("{FIRST}, {steps}, {other}"), another]);
    let now = symbols(&exchange);
    assert_eq!(now[0], in_force[0]);
    assert_eq!(now[1]["symbol"], "ETH-USDT", "a new one is listed");
    for (field, configured) in [("min_notional", "10"), ("max_quantity", "3"), ("band_bps", "700")] {
        assert_told(&exchange, &["BTC-USDT", field, &format!("configured={configured:?}"), "fixed"]);
    }
    assert_told(&exchange, &["taker_bps of tier 0", "configured=\"9\"", "in_force=\"2\""]);
    drop(exchange);

    let exchange = start(&directory, &[&before]);
    assert_eq!(symbols(&exchange), now, "one that is not configured any more stays");
    assert_told(&exchange, &["ETH-USDT", "stays listed"]);
    drop(exchange);
    let _ = fs::remove_dir_all(directory);
}

/// On another machine, where as many shards as cores would be another number.
#[test]
fn a_journal_has_the_number_of_its_shards() {
    let data = fresh_directory("shards");
    let text = data.to_str().expect("our own path");
    let serve = |shards: &[&'static str]| [&["serve", "--no-demo-flow", "--data-dir", text], shards].concat();
    drop(Exchange::start_with(&serve(&["--sequencers", "3", "--matchers", "2"])));
    drop(Exchange::start_with(&serve(&[])));
    drop(Exchange::start_with(&serve(&["--matchers", "2"])));
    let ringside = Command::new(env!("CARGO_BIN_EXE_ringside")).args(serve(&["--sequencers", "2"])).output();
    let said = String::from_utf8(ringside.expect("cargo built the binary").stderr).expect("text");
    assert!(said.contains("the journal is for 3 sequencers and 2 matchers"), "{said}");
    let _ = fs::remove_dir_all(data);
}

#[test]
fn another_symbol_in_the_place_of_one_is_refused() {
    let directory = fresh_directory("differently");
    let steps = r#"tick = "0.01", lot = "0.00001", min_notional = "5""#;
    drop(start(&directory, &[&format!("{FIRST}, {steps}")]));
    let other_tick = format!(r#"{FIRST}, tick = "0.1", lot = "0.00001", min_notional = "5""#);
    let other_name = format!(r#"symbol = "ETH-USDT", base = "ETH", quote = "USDT", {steps}"#);
    for symbol in [other_tick, other_name] {
        let file = configuration(&directory, &[&symbol]);
        let ringside = Command::new(env!("CARGO_BIN_EXE_ringside"))
            .args(arguments(&file, &directory.join("data")))
            .args(["--ws-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"])
            .output()
            .expect("cargo built the binary");
        let said = String::from_utf8_lossy(&ringside.stderr);
        assert!(
            !ringside.status.success() && said.contains("in the place of BTC-USDT with tick 0.01"),
            "{said}"
        );
    }
    let _ = fs::remove_dir_all(directory);
}

/// One line of the log has all of that.
fn assert_told(exchange: &Exchange, words: &[&str]) {
    let log = exchange.log();
    let is_told = log.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(is_told, "{words:?} is not in one line of:\n{log}");
}

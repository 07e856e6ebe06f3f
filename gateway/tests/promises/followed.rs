//! Two foreign clients follow a symbol while real order flow is replayed at full speed.
//!
//! One is Rust on tokio-tungstenite, one Python on websockets; neither shares code with the gateway. Both must see an
//! unbroken `prev_seq` → `seq` chain, dense trade ids, and a rebuilt book equal to a fresh snapshot.

use crate::exchange::Exchange;
use crate::replay::recording;
use loadtest::scenario::follow;
use loadtest::target::Target;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub const PYTHON: &str = "/usr/bin/python3";

const FOLLOW: [&str; 6] = ["--channel", "BTC-USD", "--until-idle-ms", "3000", "--seconds", "120"];

#[test]
fn by_a_rust_and_a_python_client_at_full_speed() {
    let Some(folder) = recording("bitstamp-l3-btcusd-20260502") else { return };
    let python = has_websockets();
    let subscriptions = if python { "2" } else { "1" };
    let exchange = Exchange::start_with(&[
        "replay",
        folder.to_str().expect("our own path is text"),
        "--serve",
        "--speed",
        "max",
        "--wait-for-subscriptions",
        subscriptions,
    ]);
    let python = python.then(|| start_python(&exchange.ws, &FOLLOW));
    let options = follow::Options {
        target: Target::websocket(&exchange.ws).expect("it is on loopback"),
        channel: "BTC-USD".into(),
        until_idle: Duration::from_secs(3),
        limit: Duration::from_secs(120),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(follow::run(&options)).unwrap();
    assert_eq!(outcome.verdict.violations, [""; 0]);
    assert!(outcome.results.idle, "the recording came to its end");
    // 282 trades are provable, 2 more are sized by the record.
    assert_eq!(outcome.results.trade_id_last, Some(284), "every trade of the recording was followed");

    match python {
        Some(python) => {
            let output = python.wait_with_output().unwrap();
            let summary = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{summary}{}", String::from_utf8_lossy(&output.stderr));
            let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
            assert_eq!(summary["trade_id_last"], 284, "{summary}");
            assert_eq!(summary["seq"], outcome.results.seq, "both ended at the same sequence");
        }
        None => eprintln!("skipped: {PYTHON} has no websockets (apt-get install python3-websockets)"),
    }
}

pub fn has_websockets() -> bool {
    Command::new(PYTHON)
        .args(["-c", "import websockets"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Follows with these arguments to the end. Returns its summary.
pub fn follow_in_python(ws: &str, arguments: &[&str]) -> serde_json::Value {
    let output = start_python(ws, arguments).wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn start_python(ws: &str, arguments: &[&str]) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/clients/follow.py");
    let mut command = Command::new(PYTHON);
    command.arg(script).args(["--url", ws]).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it was there a moment ago")
}

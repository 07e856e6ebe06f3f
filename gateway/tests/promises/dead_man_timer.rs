//! A client that stops talking leaves no orders behind: unless it says `cancel_all_after` again in time, all orders of
//! its account are cancelled, in however quiet a market.

use crate::client::{Client, time_in_ms};
use crate::exchange::Exchange;

const BID: &str = r#""side":"buy","price":"20000","quantity":"0.1""#;

#[test]
fn cancels_what_its_owner_has_forgotten() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut client = Client::log_in(&exchange.ws, "alice");
    let before = time_in_ms(0);
    let armed = client.ask(r#"{"action":"cancel_all_after","id":1,"timeout_ms":200}"#);
    assert_eq!((&armed["type"], &armed["id"]), (&"cancel_all_after_ack".into(), &1.into()));
    let until = armed["until_ts"].as_u64().unwrap();
    assert!((before + 200_000..=time_in_ms(200)).contains(&until), "{armed}");
    client.order(&format!(r#""order_id":"a",{BID}"#));
    // Nobody says anything any more.
    let cancelled = client.report("a", "canceled");
    assert!(cancelled["ts"].as_u64().unwrap() >= until, "not before its time: {cancelled}");
    // It has run, and does not run again.
    client.order(&format!(r#""order_id":"b",{BID}"#));
    assert_eq!(client.open_orders(), ["b"]);
}

#[test]
fn runs_anew_each_time_and_can_be_disarmed() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut client = Client::log_in(&exchange.ws, "alice");
    client.order(&format!(r#""order_id":"a",{BID}"#));
    for (timeout_ms, runs) in [(100, true), (60_000, true), (100, true), (0, false)] {
        let text = format!(r#"{{"action":"cancel_all_after","timeout_ms":{timeout_ms}}}"#);
        let answer = client.ask(&text);
        assert_eq!((&answer["type"], answer["until_ts"].is_u64()), (&"cancel_all_after_ack".into(), runs));
    }
    // An order that ends well after the timers would have run tells the time.
    let end = time_in_ms(500);
    client.order(&format!(r#""order_id":"clock",{BID},"tif":"gtd","expire_ts":{end}"#));
    assert_eq!(client.report("clock", "expired")["reason"], "timed_out");
    assert_eq!(client.open_orders(), ["a"]);
}

#[test]
fn wrong_times_are_refused() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow"]);
    let mut client = Client::log_in(&exchange.ws, "alice");
    for (timeout, code) in [
        ("", "MISSING_FIELD"),
        (r#","timeout_ms":-1"#, "BAD_VALUE"),
        (r#","timeout_ms":"100""#, "BAD_VALUE"),
        (r#","timeout_ms":1.5"#, "BAD_VALUE"),
        (r#","timeout_ms":86400001"#, "BAD_VALUE"),
    ] {
        let answer = client.ask(&format!(r#"{{"action":"cancel_all_after","id":1{timeout}}}"#));
        assert_eq!((&answer["code"], &answer["id"]), (&code.into(), &1.into()), "{answer}");
        assert!(answer["message"].as_str().unwrap().contains("timeout_ms"), "{answer}");
    }
}

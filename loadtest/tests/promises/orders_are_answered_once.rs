//! `orders` wants each submit and each cancel answered once, with its own ids.

use crate::scripted::{Request, Scripted};
use indicatif::ProgressBar;
use loadtest::market::Market;
use loadtest::report::Outcome;
use loadtest::scenario::orders::{self, Load, Options, Results};
use serde_json::json;
use std::time::Duration;

pub fn market() -> Market {
    let decimal = |text: &str| text.parse().unwrap();
    Market {
        symbol: "BTC-USDT".into(),
        tick: decimal("0.01"),
        lot: decimal("0.001"),
        min_notional: decimal("5"),
        best_bid: Some(decimal("30000")),
        best_ask: Some(decimal("30001")),
    }
}

fn options(server: Scripted, load: Load) -> Options {
    Options {
        target: server.target,
        market: market(),
        connections: 2,
        load,
        lean: false,
        duration: Duration::from_millis(200),
        distance_percent: 10,
        pid: None,
        seed: 1,
        run: 1,
    }
}

async fn orders(server: Scripted, load: Load) -> Outcome<Results> {
    orders::run(&options(server, load), &ProgressBar::hidden()).await.unwrap()
}

/// What a right server without a book says.
pub fn answer(request: &Request) -> Vec<String> {
    let (id, order_id) = (&request.message["id"], &request.message["order_id"]);
    let answer = match request.action() {
        "auth" => json!({"type": "auth_ack", "id": id, "account": "a", "exec_seq": 0, "open_orders": 0}),
        "submit_order" => {
            json!({"type": "order_ack", "id": id, "order_id": order_id, "exchange_order_id": "1",
            "symbol": "BTC-USDT", "status": "new", "seq": 1, "ts_in": 1, "ts_out": 2, "duplicate": false})
        }
        "cancel_order" => {
            json!({"type": "cancel_ack", "id": id, "order_id": order_id, "exchange_order_id": "1",
            "leaves_quantity": "0"})
        }
        "cancel_all" => json!({"type": "cancel_all_ack", "id": id, "symbol": "BTC-USDT", "count": 0}),
        other => panic!("unexpected action {other:?}"),
    };
    vec![answer.to_string()]
}

#[tokio::test]
async fn open_loop_sends_all_it_planned() {
    let Outcome { results, verdict } =
        orders(Scripted::start(answer).await, Load::Open { per_second: 1000 }).await;
    assert_eq!(verdict.violations, [""; 0]);
    assert_eq!((results.submitted, results.canceled), (200, 200));
    assert_eq!(results.submit_to_ack.count, 200);
}

#[tokio::test]
async fn closed_loop_finishes_what_it_began() {
    let Outcome { results, verdict } =
        orders(Scripted::start(answer).await, Load::Closed { window: 3 }).await;
    assert_eq!(verdict.violations, [""; 0]);
    assert!(results.submitted >= 6);
    assert_eq!(results.submitted, results.canceled);
}

#[tokio::test]
async fn the_lean_client_finishes_what_it_began_and_judges_the_same() {
    let twice = |request: &Request| {
        let mut answers = vec![json!({"type": "balance_update", "data": {}}).to_string()];
        answers.extend(answer(request));
        if request.text("order_id") == "l1-0-5" && request.action() == "cancel_order" {
            answers.extend(answer(request));
        }
        answers
    };
    let server = Scripted::start(twice).await;
    let options = Options { lean: true, ..options(server, Load::Closed { window: 3 }) };
    let Outcome { results, verdict } = orders::run(&options, &ProgressBar::hidden()).await.unwrap();
    assert!(results.submitted >= 6);
    assert_eq!(results.submitted, results.canceled);
    assert_eq!(verdict.violation_count, 1, "{:?}", verdict.violations);
    assert!(verdict.violations[0].starts_with("answer to no cancel in flight"), "{:?}", verdict.violations);
}

#[tokio::test]
async fn a_second_ack_is_a_violation() {
    let twice = |request: &Request| {
        let mut answers = answer(request);
        if request.text("order_id") == "l1-0-5" && request.action() == "submit_order" {
            answers.extend(answer(request));
        }
        answers
    };
    let Outcome { verdict, .. } = orders(Scripted::start(twice).await, Load::Open { per_second: 1000 }).await;
    assert!(verdict.violations[0].starts_with("answer to no submit in flight"), "{:?}", verdict.violations);
}

#[tokio::test]
async fn a_refused_order_is_a_violation() {
    let refusing = |request: &Request| match (request.action(), request.text("order_id")) {
        ("submit_order", "l1-1-3") => vec![
            json!({"type": "order_reject", "id": request.message["id"], "order_id": "l1-1-3",
            "code": "PRICE_BAND", "num": 1013, "message": "too far"})
            .to_string(),
        ],
        _ => answer(request),
    };
    let Outcome { results, verdict } =
        orders(Scripted::start(refusing).await, Load::Open { per_second: 1000 }).await;
    assert_eq!((verdict.violation_count, results.submitted), (1, 199));
    assert!(verdict.violations[0].contains("PRICE_BAND"));
}

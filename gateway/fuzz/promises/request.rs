//! What `wire::request::decode` promises for any bytes. The fuzz target and the ordinary tests share this file.

use super::wire::encode::control::{pong, subscription_ack};
use super::wire::encode::request_error;
use super::wire::request::{Action, Buffers, DEPTH_MAX, OrderTerms, Size, decode};
use super::wire::{ErrorCode, NumberFormat};

/// Decodes `bytes` and asserts:
/// - we and serde_json agree on what is a JSON object, but for nesting that we cut short;
/// - what is refused has an answer, and the answer is JSON;
/// - what an accepted request makes us echo is JSON, and says what was said.
pub fn check(bytes: &[u8], buffers: &mut Buffers) {
    let reference = serde_json::from_slice::<serde_json::Value>(bytes);
    let mut text = bytes.to_vec();
    match decode(&mut text, buffers) {
        Ok(request) => {
            let reference = reference.expect("we took what serde_json refuses");
            let mut echo = Vec::new();
            pong(&mut echo, request.id.as_ref(), Default::default());
            let echo: serde_json::Value = serde_json::from_slice(&echo).expect("a pong is JSON");
            assert_eq!(echo.get("id"), reference.get("id"), "an id is echoed unchanged");
            match request.action {
                Action::Subscribe(subscribe) => {
                    let mut ack = Vec::new();
                    subscription_ack(&mut ack, None, &subscribe);
                    let ack: serde_json::Value = serde_json::from_slice(&ack).expect("an ack is JSON");
                    assert_eq!(ack["channel"], reference["channel"]);
                }
                Action::SubmitOrder(order) => {
                    let (key, text) = match order.size {
                        Size::Quantity(text) => ("quantity", text),
                        Size::Quote(text) => ("quote_quantity", text),
                    };
                    let _ = NumberFormat::new(8, 1).parse_quantity(text);
                    assert_eq!(reference[key], text);
                    assert_eq!(reference.get("expire_ts").is_some(), order.expires.0 > 0);
                    let stop_price = match order.terms {
                        OrderTerms::Stop { stop_price } | OrderTerms::Oco { stop_price, .. } => {
                            Some(stop_price)
                        }
                        OrderTerms::TrailingStop { stop_price, .. } => stop_price,
                        OrderTerms::Plain | OrderTerms::Iceberg { .. } => None,
                    };
                    assert_eq!(reference.get("stop_price").and_then(|text| text.as_str()), stop_price);
                }
                Action::AmendOrder(amend) => {
                    for (key, text) in [("price", amend.price), ("quantity", amend.quantity)] {
                        assert_eq!(reference.get(key).and_then(|text| text.as_str()), text);
                    }
                }
                _ => {}
            }
        }
        Err(error) => {
            let mut answer = Vec::new();
            request_error(&mut answer, &error, None);
            let answer: serde_json::Value = serde_json::from_slice(&answer).expect("a refusal is JSON");
            assert_eq!(answer["code"], error.refusal.code.text());
            if error.refusal.code == ErrorCode::InvalidJson {
                let allowed = |value: &serde_json::Value| !value.is_object() || nesting(value) > DEPTH_MAX;
                assert!(reference.as_ref().map_or(true, allowed), "we refused what serde_json takes");
            } else {
                assert!(reference.expect("it was JSON to us").is_object());
            }
        }
    }
}

fn nesting(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => 1 + items.iter().map(nesting).max().unwrap_or(0),
        serde_json::Value::Object(items) => 1 + items.values().map(nesting).max().unwrap_or(0),
        _ => 0,
    }
}

//! Orders as text, and the judge of their answers.
//!
//! Each order is known by `l<run>-<connection>-<index>`, unique for the server's memory of order ids because the run
//! is. [`Answers`] holds what is in flight on one connection: an answer takes its order out, so a second answer finds
//! nothing and is a violation, and so is what is left at the end.

use crate::message::Side;
use crate::report::Verdict;
use rust_decimal::Decimal;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Instant;

#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub index: u64,
    pub side: Side,
    pub price: Decimal,
    pub quantity: Decimal,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rests or is refused.
    PostOnly,
    Limit,
    /// Trades at once with what is there; the rest is dropped.
    ImmediateOrCancel,
    /// Rests or is refused, and shows so much at a time: each part is a trade of its own to who takes them all.
    Iceberg {
        display: Decimal,
    },
}

/// Names the orders of one connection.
#[derive(Clone, Debug)]
pub struct Naming {
    pub symbol: String,
    prefix: String,
}

impl Naming {
    /// `run` tells this run from earlier ones against the same server, whose ids are still remembered.
    pub fn new(symbol: &str, run: u64, connection: usize) -> Self {
        Naming { symbol: symbol.to_owned(), prefix: format!("l{run:x}-{connection}-") }
    }

    pub fn order_id(&self, index: u64) -> String {
        format!("{}{index}", self.prefix)
    }

    pub fn index(&self, order_id: &str) -> Option<u64> {
        order_id.strip_prefix(&self.prefix)?.parse().ok()
    }

    pub fn submit(&self, order: &Order) -> String {
        let Order { index, side, price, quantity, kind } = order;
        let (prefix, symbol, id) = (&self.prefix, &self.symbol, submit_id(*index));
        let side = if *side == Side::Buy { "buy" } else { "sell" };
        let (tif, post_only) = match kind {
            Kind::PostOnly | Kind::Iceberg { .. } => ("gtc", true),
            Kind::Limit => ("gtc", false),
            Kind::ImmediateOrCancel => ("ioc", false),
        };
        let display = match kind {
            Kind::Iceberg { display } => format!(r#","display_quantity":"{display}""#),
            _ => String::new(),
        };
        format!(
            r#"{{"action":"submit_order","id":{id},"order_id":"{prefix}{index}","symbol":"{symbol}","side":"{side}","price":"{price}","quantity":"{quantity}","order_type":"limit","tif":"{tif}","post_only":{post_only}{display}}}"#
        )
    }

    pub fn cancel(&self, index: u64) -> String {
        let (prefix, symbol, id) = (&self.prefix, &self.symbol, cancel_id(index));
        format!(r#"{{"action":"cancel_order","id":{id},"symbol":"{symbol}","order_id":"{prefix}{index}"}}"#)
    }
}

/// Request ids of an order's two requests, so that an answer to the wrong one shows.
fn submit_id(index: u64) -> u64 {
    index * 2
}

fn cancel_id(index: u64) -> u64 {
    index * 2 + 1
}

/// The fields of any answer to an order request.
#[derive(Debug, Deserialize)]
pub struct Answer<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    #[serde(default)]
    pub id: Option<u64>,
    #[serde(default)]
    pub order_id: Option<Cow<'a, str>>,
    #[serde(default)]
    pub exchange_order_id: Option<Cow<'a, str>>,
    #[serde(default)]
    pub symbol: Option<Cow<'a, str>>,
    #[serde(default)]
    pub status: Option<Cow<'a, str>>,
    #[serde(default)]
    pub code: Option<Cow<'a, str>>,
    #[serde(default)]
    pub duplicate: bool,
}

/// What is in flight on one connection, and what was wrong with its answers.
pub struct Answers {
    naming: Naming,
    submits: HashMap<u64, Instant>,
    cancels: HashMap<u64, Cancel>,
    pub verdict: Verdict,
}

struct Cancel {
    sent: Instant,
    exchange_order_id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The order rests; the time is when its submit was meant to leave.
    Submitted {
        index: u64,
        intended: Instant,
    },
    Canceled {
        sent: Instant,
    },
    /// Refused, or the answer was of no use: nothing more follows of this order.
    Failed,
    /// Not an answer to a request: private reports, pongs, messages of the future.
    Other,
}

impl Answers {
    pub fn new(naming: Naming) -> Self {
        Answers { naming, submits: HashMap::new(), cancels: HashMap::new(), verdict: Verdict::default() }
    }

    pub fn submitting(&mut self, index: u64, intended: Instant) {
        self.submits.insert(index, intended);
    }

    /// The cancel of an acknowledged order is on its way.
    pub fn canceling(&mut self, index: u64, sent: Instant) {
        if let Some(cancel) = self.cancels.get_mut(&index) {
            cancel.sent = sent;
        }
    }

    pub fn in_flight(&self) -> usize {
        self.submits.len() + self.cancels.len()
    }

    pub fn answer(&mut self, text: &str, received: Instant) -> Answered {
        match serde_json::from_str::<Answer>(text) {
            Err(error) => self.fail(format!("malformed answer ({error}): {text}")),
            Ok(answer) => match &*answer.kind {
                "order_ack" => self.order_ack(&answer, text, received),
                "cancel_ack" => self.cancel_ack(&answer, text),
                "order_reject" => self.reject(&answer, text, true),
                "cancel_reject" => self.reject(&answer, text, false),
                "error" => self.fail(format!("server error: {text}")),
                _ => Answered::Other,
            },
        }
    }

    fn order_ack(&mut self, answer: &Answer, text: &str, received: Instant) -> Answered {
        let Some((index, intended)) = self.take_submit(answer) else {
            return self.fail(format!("answer to no submit in flight: {text}"));
        };
        let exchange_order_id = answer.exchange_order_id.as_deref().unwrap_or_default().to_owned();
        let right = answer.id == Some(submit_id(index))
            && answer.symbol.as_deref() == Some(&self.naming.symbol)
            && answer.status.as_deref() == Some("new")
            && !answer.duplicate
            && !exchange_order_id.is_empty();
        self.verdict.expect(right, || format!("wrong order_ack: {text}"));
        self.cancels.insert(index, Cancel { sent: received, exchange_order_id });
        Answered::Submitted { index, intended }
    }

    fn cancel_ack(&mut self, answer: &Answer, text: &str) -> Answered {
        let index = self.index(answer);
        let Some((index, cancel)) = index.and_then(|index| Some((index, self.cancels.remove(&index)?)))
        else {
            return self.fail(format!("answer to no cancel in flight: {text}"));
        };
        let right = answer.id == Some(cancel_id(index))
            && answer.exchange_order_id.as_deref() == Some(&cancel.exchange_order_id);
        self.verdict.expect(right, || format!("wrong cancel_ack: {text}"));
        Answered::Canceled { sent: cancel.sent }
    }

    fn reject(&mut self, answer: &Answer, text: &str, of_submit: bool) -> Answered {
        let index = self.index(answer);
        let known = index.is_some_and(|index| match of_submit {
            true => self.submits.remove(&index).is_some(),
            false => self.cancels.remove(&index).is_some(),
        });
        self.fail(if known {
            format!("refused: {text}")
        } else {
            format!("refusal of nothing in flight: {text}")
        })
    }

    fn take_submit(&mut self, answer: &Answer) -> Option<(u64, Instant)> {
        let index = self.index(answer)?;
        Some((index, self.submits.remove(&index)?))
    }

    fn index(&self, answer: &Answer) -> Option<u64> {
        self.naming.index(answer.order_id.as_deref()?)
    }

    fn fail(&mut self, what: String) -> Answered {
        self.verdict.violate(what);
        Answered::Failed
    }

    /// Ends the connection's run: what is still in flight was never answered.
    pub fn finish(mut self) -> Verdict {
        let (submits, cancels) = (self.submits.len(), self.cancels.len());
        self.verdict.expect(submits == 0, || format!("{submits} submits were never answered"));
        self.verdict.expect(cancels == 0, || format!("{cancels} cancels were never answered"));
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_in_flight() -> Answers {
        let mut answers = Answers::new(Naming::new("BTC-USDT", 0xab, 2));
        answers.submitting(7, Instant::now());
        answers
    }

    fn ack(id: u64, order_id: &str) -> String {
        format!(
            r#"{{"type":"order_ack","id":{id},"order_id":"{order_id}","exchange_order_id":"51","symbol":"BTC-USDT","status":"new","duplicate":false}}"#
        )
    }

    fn cancel_ack(id: u64, exchange_order_id: &str) -> String {
        format!(
            r#"{{"type":"cancel_ack","id":{id},"order_id":"lab-2-7","exchange_order_id":"{exchange_order_id}","leaves_quantity":"0"}}"#
        )
    }

    #[track_caller]
    fn check(messages: &[String], expected: &[&str]) {
        let mut answers = one_in_flight();
        for message in messages {
            answers.answer(message, Instant::now());
        }
        let verdict = answers.finish();
        assert_eq!(verdict.violations.len(), expected.len(), "{:?}", verdict.violations);
        for (violation, start) in verdict.violations.iter().zip(expected) {
            assert!(violation.starts_with(start), "{violation}");
        }
    }

    #[test]
    fn ack_and_cancel_ack_are_all_that_is_asked() {
        let report = r#"{"type":"execution_report","data":{"exec_seq":1}}"#;
        check(&[ack(14, "lab-2-7"), report.into(), cancel_ack(15, "51")], &[]);
    }

    #[test]
    fn silence_is_noticed() {
        check(&[], &["1 submits were never answered"]);
        check(&[ack(14, "lab-2-7")], &["1 cancels were never answered"]);
    }

    #[test]
    fn a_second_answer_is_noticed() {
        check(
            &[ack(14, "lab-2-7"), ack(14, "lab-2-7"), cancel_ack(15, "51"), cancel_ack(15, "51")],
            &["answer to no submit", "answer to no cancel"],
        );
    }

    #[test]
    fn an_answer_to_another_order_is_noticed() {
        check(&[ack(14, "lab-3-7")], &["answer to no submit", "1 submits were never answered"]);
    }

    #[test]
    fn wrong_ids_are_noticed() {
        check(&[ack(99, "lab-2-7"), cancel_ack(15, "51")], &["wrong order_ack"]);
        check(&[ack(14, "lab-2-7"), cancel_ack(15, "52")], &["wrong cancel_ack"]);
    }

    #[test]
    fn a_refusal_is_an_answer_and_a_violation() {
        let reject = r#"{"type":"order_reject","id":14,"order_id":"lab-2-7","code":"OVERLOADED","num":1008}"#;
        check(&[reject.into()], &["refused: "]);
    }

    #[test]
    fn requests_are_the_documented_ones() {
        let naming = Naming::new("BTC-USDT", 0xab, 2);
        let (price, quantity) = ("29999.5".parse().unwrap(), "0.5".parse().unwrap());
        let order = Order { index: 7, side: Side::Sell, price, quantity, kind: Kind::PostOnly };
        let expected = serde_json::json!({
            "action": "submit_order", "id": 14, "order_id": "lab-2-7", "symbol": "BTC-USDT", "side": "sell",
            "price": "29999.5", "quantity": "0.5", "order_type": "limit", "tif": "gtc", "post_only": true
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&naming.submit(&order)).unwrap(), expected);
        let expected = serde_json::json!({
            "action": "cancel_order", "id": 15, "symbol": "BTC-USDT", "order_id": "lab-2-7"
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&naming.cancel(7)).unwrap(), expected);
    }
}

//! Answers that are neither market data nor about an order, and what is said at the end.

use engine_core::units::Timestamp;

use super::piece::{Extra, List, Piece, Text, Word, put};
use super::private::{ChangeReject, OrderReject, amend_reject, cancel_reject, order_reject};
use crate::wire::code::Refusal;
use crate::wire::id::RequestId;
use crate::wire::request::{Reply, RequestError, Subscribe};

/// A login that worked.
#[derive(Clone, Copy, Debug)]
pub struct AuthAck<'a> {
    /// The id of the request.
    pub id: Option<&'a RequestId>,
    /// The account.
    pub account: &'a str,
    /// The number of its last event.
    pub exec_seq: u64,
    /// How many orders it has open.
    pub open_orders: u64,
}

/// A refusal of something that is not an order.
#[derive(Clone, Copy, Debug)]
pub struct ErrorReply<'a> {
    /// The id of the request.
    pub id: Option<&'a RequestId>,
    /// Its action.
    pub action: Option<&'a str>,
    /// Its channel.
    pub channel: Option<&'a str>,
    /// Why.
    pub refusal: &'a Refusal,
    /// When to try again, if that helps.
    pub retry_after_ms: Option<u64>,
}

/// `subscription_ack`: repeats what the request said, so a bare request gets the bare answer.
pub fn subscription_ack(out: &mut Vec<u8>, id: Option<&RequestId>, subscribe: &Subscribe<'_>) {
    put! { out,
        r#"{"type":"subscription_ack","channel":"#, Text(subscribe.channel),
        Extra(r#","id":"#, id),
        Extra(r#","streams":"#, subscribe.streams.map(|streams| List(streams.iter().map(Word)))),
        Extra(r#","depth":"#, subscribe.depth.map(|levels| levels.count() as u64)),
        Extra(r#","interval_ms":"#, subscribe.interval_ms.map(u64::from)),
        Extra(r#","on_slow":"#, subscribe.on_slow.map(Word)),
        Extra(r#","checksum":"#, subscribe.checksum),
        "}",
    }
}

/// `unsubscription_ack`.
pub fn unsubscription_ack(out: &mut Vec<u8>, id: Option<&RequestId>, channel: &str) {
    put!(out, r#"{"type":"unsubscription_ack","channel":"#, Text(channel), Extra(r#","id":"#, id), "}");
}

/// `subscriptions`: the channels of the connection.
pub fn subscriptions<'a>(
    out: &mut Vec<u8>,
    id: Option<&RequestId>,
    channels: impl IntoIterator<Item = &'a str>,
) {
    put! { out,
        r#"{"type":"subscriptions""#,
        Extra(r#","id":"#, id),
        r#","channels":"#, List(channels.into_iter().map(Text)),
        "}",
    }
}

/// `pong`.
pub fn pong(out: &mut Vec<u8>, id: Option<&RequestId>, ts: Timestamp) {
    put!(out, r#"{"type":"pong""#, Extra(r#","id":"#, id), r#","ts":"#, ts, "}");
}

/// `auth_ack`.
pub fn auth_ack(out: &mut Vec<u8>, ack: &AuthAck<'_>) {
    put! { out,
        r#"{"type":"auth_ack""#,
        Extra(r#","id":"#, ack.id),
        r#","account":"#, Text(ack.account),
        r#","exec_seq":"#, ack.exec_seq,
        r#","open_orders":"#, ack.open_orders,
        "}",
    }
}

/// `error`.
pub fn error(out: &mut Vec<u8>, error: &ErrorReply<'_>) {
    put! { out,
        r#"{"type":"error""#,
        Extra(r#","id":"#, error.id),
        Extra(r#","action":"#, error.action.map(Text)),
        Extra(r#","channel":"#, error.channel.map(Text)),
        error.refusal,
        Extra(r#","retry_after_ms":"#, error.retry_after_ms),
        "}",
    }
}

/// The answer to a request that could not be read: `order_reject`, `cancel_reject`, `amend_reject` or `error`.
pub fn request_error(out: &mut Vec<u8>, error: &RequestError<'_>, retry_after_ms: Option<u64>) {
    let (id, order_id, refusal) = (error.id.as_ref(), error.order_id, &error.refusal);
    let (action, channel, exchange_order_id) = (error.action, error.channel, None);
    match error.reply {
        Reply::OrderReject => order_reject(out, &OrderReject { id, order_id, refusal, retry_after_ms }),
        Reply::CancelReject => {
            cancel_reject(out, &ChangeReject { id, order_id, exchange_order_id, refusal, retry_after_ms })
        }
        Reply::AmendReject => {
            amend_reject(out, &ChangeReject { id, order_id, exchange_order_id, refusal, retry_after_ms })
        }
        Reply::Error => self::error(out, &ErrorReply { id, action, channel, refusal, retry_after_ms }),
    }
}

/// `server_shutdown`: the last message before close code 1001.
pub fn server_shutdown(out: &mut Vec<u8>, ts: Timestamp, reconnect_after_ms: u64) {
    put!(out, r#"{"type":"server_shutdown","ts":"#, ts, r#","reconnect_after_ms":"#, reconnect_after_ms, "}");
}

/// The three keys that every refusal ends with.
impl Piece for &Refusal {
    fn put(self, out: &mut Vec<u8>) {
        put! { out,
            r#","code":"#, Text(self.code.text()),
            r#","num":"#, u64::from(self.code.num()),
            r#","message":"#, Text(&self.message),
        }
    }
}

//! Private messages: what one account is told about its orders and balances.

use engine_core::units::{Amount, Price, Quantity, Sequence, Side, Timestamp, TradeId};

use super::SymbolFormat;
use super::piece::{Extra, List, Money, OrNull, Piece, Quoted, SignedMoney, Steps, Text, Word, put};
use crate::wire::code::Refusal;
use crate::wire::id::RequestId;
use crate::wire::name::{EndReason, EntryKind, ExecType, Liquidity, OrderStatus, OrderType, Tif};

/// An order that is sequenced and journaled.
#[derive(Clone, Copy, Debug)]
pub struct OrderAck<'a> {
    /// The id of the request.
    pub id: Option<&'a RequestId>,
    /// The client's name for the order.
    pub order_id: &'a str,
    /// Our name for it.
    pub exchange_order_id: u64,
    /// The symbol.
    pub symbol: &'a str,
    /// Where it is.
    pub status: OrderStatus,
    /// The sequence at which it was taken.
    pub seq: Sequence,
    /// When its bytes came in.
    pub ts_in: Timestamp,
    /// When this answer went out.
    pub ts_out: Timestamp,
    /// Whether this is the answer of an earlier request with the same order.
    pub duplicate: bool,
}

/// An order that was refused.
#[derive(Clone, Copy, Debug)]
pub struct OrderReject<'a> {
    /// The id of the request.
    pub id: Option<&'a RequestId>,
    /// The client's name for the order, if it could be read.
    pub order_id: Option<&'a str>,
    /// Why.
    pub refusal: &'a Refusal,
    /// When to try again, if that helps.
    pub retry_after_ms: Option<u64>,
}

/// An order that has new terms.
#[derive(Clone, Copy, Debug)]
pub struct AmendAck<'a> {
    /// The id of the request.
    pub id: Option<&'a RequestId>,
    /// The client's name for the order.
    pub order_id: &'a str,
    /// Our name for it.
    pub exchange_order_id: u64,
    /// The sequence at which it was changed.
    pub seq: Sequence,
    /// What is open now.
    pub leaves_quantity: Quantity,
}

/// An order that was cancelled.
#[derive(Clone, Copy, Debug)]
pub struct CancelAck<'a> {
    /// The id of the request.
    pub id: Option<&'a RequestId>,
    /// The client's name for the order.
    pub order_id: &'a str,
    /// Our name for it.
    pub exchange_order_id: u64,
    /// What is still open.
    pub leaves_quantity: Quantity,
}

/// A cancel or a change that was refused; the order is as it was.
#[derive(Clone, Copy, Debug)]
pub struct ChangeReject<'a> {
    /// The id of the request.
    pub id: Option<&'a RequestId>,
    /// The client's name for the order, if it could be read.
    pub order_id: Option<&'a str>,
    /// Our name for it, if there is such an order.
    pub exchange_order_id: Option<u64>,
    /// Why.
    pub refusal: &'a Refusal,
    /// When to try again, if that helps.
    pub retry_after_ms: Option<u64>,
}

/// All orders, or those of a symbol, that were cancelled by one request.
#[derive(Clone, Copy, Debug)]
pub struct CancelAllAck<'a> {
    /// The id of the request.
    pub id: Option<&'a RequestId>,
    /// The symbol, if the request had one.
    pub symbol: Option<&'a str>,
    /// How many orders are being cancelled.
    pub count: u64,
}

/// Something that happened to an order.
#[derive(Clone, Copy, Debug)]
pub struct ExecutionReport<'a> {
    /// Gapless number of the event within the account.
    pub exec_seq: u64,
    /// Name of the event.
    pub exec_id: u64,
    /// The client's name for the order.
    pub order_id: &'a str,
    /// Our name for it.
    pub exchange_order_id: u64,
    /// Its side.
    pub side: Side,
    /// What happened.
    pub exec_type: ExecType,
    /// Where the order is now.
    pub status: OrderStatus,
    /// Its limit; none for a market order.
    pub price: Option<Price>,
    /// What was ordered; by a quote budget, what traded.
    pub quantity: Quantity,
    /// The trade, if it was one.
    pub fill: Option<Fill<'a>>,
    /// What traded so far.
    pub cum_quantity: Quantity,
    /// What that was worth, in atoms of the quote asset.
    pub cum_quote: Amount,
    /// What is still open.
    pub leaves_quantity: Quantity,
    /// Why it happened, if there is more to say than `exec_type` says.
    pub reason: Option<EndReason>,
    /// When.
    pub ts: Timestamp,
}

/// One fill of an order.
#[derive(Clone, Copy, Debug)]
pub struct Fill<'a> {
    /// The trade.
    pub trade_id: TradeId,
    /// Its price.
    pub price: Price,
    /// Its quantity.
    pub quantity: Quantity,
    /// Our part in it.
    pub liquidity: Liquidity,
    /// What it cost, in atoms of the fee asset; below zero is a rebate.
    pub fee: i128,
    /// What the fee was paid in.
    pub fee_asset: &'a str,
    /// Decimals of that asset.
    pub fee_decimals: u8,
}

/// What an account has of one asset.
#[derive(Clone, Copy, Debug)]
pub struct Balance<'a> {
    /// The asset.
    pub asset: &'a str,
    /// Its decimals.
    pub decimals: u8,
    /// What can be used.
    pub free: Amount,
    /// What open orders hold.
    pub locked: Amount,
}

/// An order in an account snapshot.
#[derive(Clone, Copy, Debug)]
pub struct OpenOrder<'a> {
    /// The instrument: orders of a snapshot are of several.
    pub format: SymbolFormat<'a>,
    /// The client's name for the order.
    pub order_id: &'a str,
    /// Our name for it.
    pub exchange_order_id: u64,
    /// Its side.
    pub side: Side,
    /// Its limit; none for a market order.
    pub price: Option<Price>,
    /// What was ordered.
    pub quantity: Quantity,
    /// What traded so far.
    pub cum_quantity: Quantity,
    /// What is still open.
    pub leaves_quantity: Quantity,
    /// Where it is.
    pub status: OrderStatus,
    /// Its kind as it is now: a stop that was triggered is what it became.
    pub order_type: OrderType,
    /// What happens to what does not trade at once.
    pub tif: Tif,
    /// What sets it off.
    pub stop_price: Option<Price>,
    /// The limit that the stop of an OCO becomes.
    pub stop_limit_price: Option<Price>,
    /// How far its stop price follows the market.
    pub trail: Option<Price>,
    /// What it shows at a time.
    pub display_quantity: Option<Quantity>,
    /// When it ends by itself.
    pub expire_ts: Option<Timestamp>,
}

/// `order_ack`.
pub fn order_ack(out: &mut Vec<u8>, ack: &OrderAck<'_>) {
    put! { out,
        r#"{"type":"order_ack""#,
        Extra(r#","id":"#, ack.id),
        r#","order_id":"#, Text(ack.order_id),
        r#","exchange_order_id":"#, Quoted(ack.exchange_order_id),
        r#","symbol":"#, Text(ack.symbol),
        r#","status":"#, Word(ack.status),
        r#","seq":"#, ack.seq,
        r#","ts_in":"#, ack.ts_in,
        r#","ts_out":"#, ack.ts_out,
        r#","duplicate":"#, ack.duplicate,
        "}",
    }
}

/// `order_reject`.
pub fn order_reject(out: &mut Vec<u8>, reject: &OrderReject<'_>) {
    put! { out,
        r#"{"type":"order_reject""#,
        Extra(r#","id":"#, reject.id),
        Extra(r#","order_id":"#, reject.order_id.map(Text)),
        reject.refusal,
        Extra(r#","retry_after_ms":"#, reject.retry_after_ms),
        "}",
    }
}

/// `amend_ack`.
pub fn amend_ack(out: &mut Vec<u8>, format: &SymbolFormat<'_>, ack: &AmendAck<'_>) {
    put! { out,
        r#"{"type":"amend_ack""#,
        Extra(r#","id":"#, ack.id),
        r#","order_id":"#, Text(ack.order_id),
        r#","exchange_order_id":"#, Quoted(ack.exchange_order_id),
        r#","symbol":"#, Text(format.symbol),
        r#","seq":"#, ack.seq,
        r#","leaves_quantity":"#, Steps(format.quantity, ack.leaves_quantity.0),
        "}",
    }
}

/// `cancel_ack`.
pub fn cancel_ack(out: &mut Vec<u8>, format: &SymbolFormat<'_>, ack: &CancelAck<'_>) {
    put! { out,
        r#"{"type":"cancel_ack""#,
        Extra(r#","id":"#, ack.id),
        r#","order_id":"#, Text(ack.order_id),
        r#","exchange_order_id":"#, Quoted(ack.exchange_order_id),
        r#","leaves_quantity":"#, Steps(format.quantity, ack.leaves_quantity.0),
        "}",
    }
}

/// `cancel_reject`.
pub fn cancel_reject(out: &mut Vec<u8>, reject: &ChangeReject<'_>) {
    put!(out, r#"{"type":"cancel_reject""#);
    reject_of_live_order(out, reject);
}

/// `amend_reject`.
pub fn amend_reject(out: &mut Vec<u8>, reject: &ChangeReject<'_>) {
    put!(out, r#"{"type":"amend_reject""#);
    reject_of_live_order(out, reject);
}

fn reject_of_live_order(out: &mut Vec<u8>, reject: &ChangeReject<'_>) {
    put! { out,
        Extra(r#","id":"#, reject.id),
        Extra(r#","order_id":"#, reject.order_id.map(Text)),
        Extra(r#","exchange_order_id":"#, reject.exchange_order_id.map(Quoted)),
        reject.refusal,
        Extra(r#","retry_after_ms":"#, reject.retry_after_ms),
        "}",
    }
}

/// `cancel_all_ack`.
pub fn cancel_all_ack(out: &mut Vec<u8>, ack: &CancelAllAck<'_>) {
    put! { out,
        r#"{"type":"cancel_all_ack""#,
        Extra(r#","id":"#, ack.id),
        Extra(r#","symbol":"#, ack.symbol.map(Text)),
        r#","count":"#, ack.count,
        "}",
    }
}

/// `cancel_all_after_ack`: the dead-man timer runs until then, or not at all.
pub fn cancel_all_after_ack(out: &mut Vec<u8>, id: Option<&RequestId>, until: Option<Timestamp>) {
    put! { out,
        r#"{"type":"cancel_all_after_ack""#,
        Extra(r#","id":"#, id),
        r#","until_ts":"#, OrNull(until),
        "}",
    }
}

/// `execution_report`. It always has all its keys; those of a fill are `null` without one.
pub fn execution_report(out: &mut Vec<u8>, format: &SymbolFormat<'_>, report: &ExecutionReport<'_>) {
    put!(out, HEAD_OF_EXECUTION);
    execution_data(out, format, report);
    put!(out, "}");
}

/// The `data` of an `execution_report` by itself.
pub fn execution_data(out: &mut Vec<u8>, format: &SymbolFormat<'_>, report: &ExecutionReport<'_>) {
    let fill = report.fill.as_ref();
    put! { out,
        r#"{"exec_seq":"#, report.exec_seq,
        r#","exec_id":"#, Quoted(report.exec_id),
        r#","order_id":"#, Text(report.order_id),
        r#","exchange_order_id":"#, Quoted(report.exchange_order_id),
        r#","symbol":"#, Text(format.symbol),
        r#","side":"#, report.side,
        r#","exec_type":"#, Word(report.exec_type),
        r#","status":"#, Word(report.status),
        r#","price":"#, OrNull(report.price.map(|price| Steps(format.price, price.0))),
        r#","quantity":"#, Steps(format.quantity, report.quantity.0),
        r#","last_price":"#, OrNull(fill.map(|fill| Steps(format.price, fill.price.0))),
        r#","last_quantity":"#, OrNull(fill.map(|fill| Steps(format.quantity, fill.quantity.0))),
        r#","cum_quantity":"#, Steps(format.quantity, report.cum_quantity.0),
        r#","cum_quote":"#, Money(report.cum_quote, format.quote_decimals),
        r#","leaves_quantity":"#, Steps(format.quantity, report.leaves_quantity.0),
        r#","liquidity":"#, OrNull(fill.map(|fill| Word(fill.liquidity))),
        r#","fee":"#, OrNull(fill.map(|fill| SignedMoney(fill.fee, fill.fee_decimals))),
        r#","fee_asset":"#, OrNull(fill.map(|fill| Text(fill.fee_asset))),
        r#","trade_id":"#, OrNull(fill.map(|fill| fill.trade_id)),
        r#","reason":"#, OrNull(report.reason.map(Word)),
        r#","ts":"#, report.ts,
        "}",
    }
}

/// `balance_update`: the balances that changed.
pub fn balance_update<'a>(
    out: &mut Vec<u8>,
    exec_seq: u64,
    balances: impl IntoIterator<Item = Balance<'a>>,
    ts: Timestamp,
) {
    put!(out, HEAD_OF_BALANCE);
    balance_data(out, exec_seq, balances, ts);
    put!(out, "}");
}

/// The `data` of a `balance_update` by itself.
pub fn balance_data<'a>(
    out: &mut Vec<u8>,
    exec_seq: u64,
    balances: impl IntoIterator<Item = Balance<'a>>,
    ts: Timestamp,
) {
    put! { out,
        r#"{"exec_seq":"#, exec_seq,
        r#","balances":"#, List(balances),
        r#","ts":"#, ts,
        "}",
    }
}

/// An entry of an account's history whose `data` was encoded before: the same bytes as [`execution_report`] or
/// [`balance_update`].
pub fn entry(out: &mut Vec<u8>, kind: EntryKind, data: &str) {
    let head = match kind {
        EntryKind::Execution => HEAD_OF_EXECUTION,
        EntryKind::Balance => HEAD_OF_BALANCE,
    };
    put!(out, head);
    out.extend_from_slice(data.as_bytes());
    put!(out, "}");
}

const HEAD_OF_EXECUTION: &str = r#"{"type":"execution_report","data":"#;
const HEAD_OF_BALANCE: &str = r#"{"type":"balance_update","data":"#;

/// `account_snapshot`: all balances and open orders, as of `exec_seq`.
pub fn account_snapshot<'a>(
    out: &mut Vec<u8>,
    id: Option<&RequestId>,
    exec_seq: u64,
    balances: impl IntoIterator<Item = Balance<'a>>,
    orders: impl IntoIterator<Item = OpenOrder<'a>>,
    ts: Timestamp,
) {
    put! { out,
        r#"{"type":"account_snapshot""#,
        Extra(r#","id":"#, id),
        r#","data":{"exec_seq":"#, exec_seq,
        r#","balances":"#, List(balances),
        r#","orders":"#, List(orders),
        r#","ts":"#, ts,
        "}}",
    }
}

impl Piece for Balance<'_> {
    fn put(self, out: &mut Vec<u8>) {
        put! { out,
            r#"{"asset":"#, Text(self.asset),
            r#","free":"#, Money(self.free, self.decimals),
            r#","locked":"#, Money(self.locked, self.decimals),
            "}",
        }
    }
}

impl Piece for OpenOrder<'_> {
    fn put(self, out: &mut Vec<u8>) {
        let format = self.format;
        put! { out,
            r#"{"order_id":"#, Text(self.order_id),
            r#","exchange_order_id":"#, Quoted(self.exchange_order_id),
            r#","symbol":"#, Text(format.symbol),
            r#","side":"#, self.side,
            r#","price":"#, OrNull(self.price.map(|price| Steps(format.price, price.0))),
            r#","quantity":"#, Steps(format.quantity, self.quantity.0),
            r#","cum_quantity":"#, Steps(format.quantity, self.cum_quantity.0),
            r#","leaves_quantity":"#, Steps(format.quantity, self.leaves_quantity.0),
            r#","status":"#, Word(self.status),
            r#","order_type":"#, Word(self.order_type),
            r#","tif":"#, Word(self.tif),
            Extra(r#","stop_price":"#, self.stop_price.map(|price| Steps(format.price, price.0))),
            Extra(r#","stop_limit_price":"#, self.stop_limit_price.map(|price| Steps(format.price, price.0))),
            Extra(r#","trail":"#, self.trail.map(|distance| Steps(format.price, distance.0))),
            Extra(r#","display_quantity":"#, self.display_quantity.map(|lots| Steps(format.quantity, lots.0))),
            Extra(r#","expire_ts":"#, self.expire_ts),
            "}",
        }
    }
}

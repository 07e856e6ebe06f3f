//! The engine's reports as messages of the protocol.

use crate::venue::Venue;
use crate::wire::code::{ErrorCode, Refusal};
use crate::wire::encode::private::{self, *};
use crate::wire::id::RequestId;
use crate::wire::name::{ExecType, Liquidity, OrderStatus};
use engine_core::message::{
    self, AccountView, ExecutionKind, OrderKind, OrderView, Reject, Report, ReportBody,
};
use engine_core::units::{Amount, Price, Quantity, Timestamp};

/// Appends the payload of a report. `id` is what the client called the request it answers, `now` the time of
/// writing. Account views are the session's to write.
pub fn write(out: &mut Vec<u8>, venue: &Venue, report: &Report, id: Option<&RequestId>, now: Timestamp) {
    match &report.body {
        ReportBody::OrderAck { order_id, exchange_order_id, symbol, sequence, received, duplicate } => {
            let ack = OrderAck {
                id,
                order_id: order_id.as_str(),
                exchange_order_id: *exchange_order_id,
                symbol: venue.format(*symbol).symbol,
                status: OrderStatus::New,
                seq: *sequence,
                ts_in: *received,
                ts_out: now,
                duplicate: *duplicate,
            };
            order_ack(out, &ack);
        }
        ReportBody::OrderReject { order_id, reason } => {
            let refusal = refusal(*reason);
            let order_id = Some(order_id.as_str());
            order_reject(out, &OrderReject { id, order_id, refusal: &refusal, retry_after_ms: None });
        }
        ReportBody::CancelAck { order_id, exchange_order_id, symbol } => {
            let ack = CancelAck {
                id,
                order_id: order_id.as_str(),
                exchange_order_id: *exchange_order_id,
                leaves_quantity: Quantity::ZERO,
            };
            cancel_ack(out, &venue.format(*symbol), &ack);
        }
        ReportBody::CancelReject { order_id, reason } => {
            let refusal = refusal(*reason);
            let order_id = Some(order_id.as_str());
            let reject = CancelReject {
                id,
                order_id,
                exchange_order_id: None,
                refusal: &refusal,
                retry_after_ms: None,
            };
            cancel_reject(out, &reject);
        }
        ReportBody::CancelAllAck { symbol, count } => {
            let symbol = symbol.map(|symbol| venue.format(symbol).symbol);
            cancel_all_ack(out, &CancelAllAck { id, symbol, count: *count as u64 });
        }
        ReportBody::Execution(execution) => write_execution(out, venue, execution, report.at),
        ReportBody::Balance(change) => {
            let balances = change.balances.iter().flatten().map(|balance| of_balance(venue, balance));
            balance_update(out, change.exec_sequence, balances, report.at);
        }
        ReportBody::Account(_) => unreachable!("written by the session"),
    }
}

/// `account_snapshot`.
pub fn account_snapshot(out: &mut Vec<u8>, venue: &Venue, view: &AccountView, now: Timestamp) {
    let balances = view.balances.iter().map(|balance| of_balance(venue, balance));
    let orders = view.orders.iter().map(|order| OpenOrder {
        format: venue.format(order.symbol),
        order_id: order.order_id.as_str(),
        exchange_order_id: order.exchange_order_id,
        side: order.side,
        price: limit_of(order),
        quantity: order.quantity,
        cum_quantity: order.traded,
        leaves_quantity: left(order),
        status: if order.traded.is_zero() { OrderStatus::New } else { OrderStatus::PartiallyFilled },
    });
    private::account_snapshot(out, None, view.exec_sequence, balances, orders, now);
}

fn write_execution(out: &mut Vec<u8>, venue: &Venue, execution: &message::Execution, at: Timestamp) {
    let order = &execution.order;
    let quote = &venue.market.assets[venue.of(order.symbol).quote.0 as usize];
    let (exec_type, status, fill) = match execution.kind {
        ExecutionKind::New => (ExecType::New, OrderStatus::New, None),
        ExecutionKind::Cancelled => (ExecType::Canceled, OrderStatus::Canceled, None),
        ExecutionKind::Expired => (ExecType::Expired, OrderStatus::Expired, None),
        ExecutionKind::Trade { trade, price, quantity, liquidity } => {
            let status =
                if left(order).is_zero() { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
            let fill = Fill {
                trade_id: trade,
                price,
                quantity,
                liquidity: match liquidity {
                    message::Liquidity::Maker => Liquidity::Maker,
                    message::Liquidity::Taker => Liquidity::Taker,
                },
                fee: Amount(0),
                fee_asset: &quote.name,
                fee_decimals: quote.decimals,
            };
            (ExecType::Trade, status, Some(fill))
        }
    };
    let report = ExecutionReport {
        exec_seq: execution.exec_sequence,
        exec_id: execution.exec_sequence,
        order_id: order.order_id.as_str(),
        exchange_order_id: order.exchange_order_id,
        side: order.side,
        exec_type,
        status,
        price: limit_of(order),
        quantity: order.quantity,
        fill,
        cum_quantity: order.traded,
        cum_quote: order.traded_quote,
        leaves_quantity: if order.live { left(order) } else { Quantity::ZERO },
        reason: None,
        ts: at,
    };
    execution_report(out, &venue.format(order.symbol), &report);
}

fn left(order: &OrderView) -> Quantity {
    Quantity(order.quantity.0 - order.traded.0)
}

/// A market order's protection price is not a limit the client gave.
fn limit_of(order: &OrderView) -> Option<Price> {
    (order.kind == OrderKind::Limit).then_some(order.price)
}

fn of_balance<'a>(venue: &'a Venue, balance: &message::Balance) -> Balance<'a> {
    let asset = &venue.market.assets[balance.asset.0 as usize];
    Balance { asset: &asset.name, decimals: asset.decimals, free: balance.available, locked: balance.held }
}

/// The engine's reason in the protocol's words.
pub fn refusal(reason: Reject) -> Refusal {
    let field = |code, field, message: &'static str| Refusal::of_field(code, field, message);
    let plain = |code, message: &'static str| Refusal::new(code, message);
    match reason {
        Reject::UnknownSymbol => field(ErrorCode::UnknownSymbol, "symbol", "symbol is not listed"),
        Reject::UnknownAccount => plain(ErrorCode::Unauthorized, "the account is not open"),
        Reject::InsufficientBalance => {
            plain(ErrorCode::InsufficientBalance, "the order can cost more than is available")
        }
        Reject::DuplicateOrderId => {
            field(ErrorCode::DuplicateOrderId, "order_id", "order_id was used for another order")
        }
        Reject::PriceRange => {
            field(ErrorCode::BadValue, "price", "price is zero or above the symbol's highest")
        }
        Reject::QuantityRange => {
            field(ErrorCode::BadValue, "quantity", "quantity is zero or above the symbol's largest")
        }
        Reject::MinNotional => {
            field(ErrorCode::MinNotional, "quantity", "price × quantity is below the symbol's least notional")
        }
        Reject::TooManyOrders => {
            plain(ErrorCode::TooManyOrders, "the account has as many open orders as it may")
        }
        Reject::PostOnlyWouldTake => {
            plain(ErrorCode::PostOnlyWouldTake, "a post-only order would have traded")
        }
        Reject::UnknownOrder => field(ErrorCode::UnknownOrder, "order_id", "no open order has this order_id"),
        Reject::TooLate => field(ErrorCode::TooLate, "order_id", "the order was filled or cancelled before"),
        Reject::Overloaded => plain(ErrorCode::Overloaded, "the engine has too much to do, try again"),
    }
}

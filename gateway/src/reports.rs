//! The engine's reports as messages of the protocol.

use crate::session::order::first_trigger;
use crate::venue::Venue;
use crate::wire::code::{ErrorCode, Refusal};
use crate::wire::encode::private::{self, *};
use crate::wire::id::RequestId;
use crate::wire::name::{EndReason, EntryKind, ExecType, Liquidity, OrderStatus, OrderType, Tif};
use engine_core::message::{
    self, AccountView, CloseReason, ExecutionKind, OrderKind, OrderView, Reject, Report, ReportBody, Terms,
};
use engine_core::units::{Price, Quantity, TimeInForce, Timestamp};

/// Appends the payload of a report. `id` is what the client called the request it answers, `now` the time of
/// writing. What the session must know of first (views, answers to its own commands) is its to write.
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
            let (refusal, order_id) = (&refusal(*reason), Some(order_id.as_str()));
            order_reject(out, &OrderReject { id, order_id, refusal, retry_after_ms: None });
        }
        ReportBody::CancelAck { order_id, exchange_order_id, symbol } => {
            let (order_id, exchange_order_id) = (order_id.as_str(), *exchange_order_id);
            let ack = CancelAck { id, order_id, exchange_order_id, leaves_quantity: Quantity::ZERO };
            cancel_ack(out, &venue.format(*symbol), &ack);
        }
        ReportBody::CancelReject { order_id, reason } => {
            cancel_reject(out, &change_reject(id, order_id.as_str(), &refusal(*reason)));
        }
        ReportBody::CancelAllAck { symbol, count } => {
            let symbol = symbol.map(|symbol| venue.format(symbol).symbol);
            cancel_all_ack(out, &CancelAllAck { id, symbol, count: *count as u64 });
        }
        ReportBody::AmendAck { order_id, exchange_order_id, symbol, sequence, left } => {
            let (order_id, exchange_order_id) = (order_id.as_str(), *exchange_order_id);
            let ack = AmendAck { id, order_id, exchange_order_id, seq: *sequence, leaves_quantity: *left };
            amend_ack(out, &venue.format(*symbol), &ack);
        }
        ReportBody::AmendReject { order_id, reason } => {
            amend_reject(out, &change_reject(id, order_id.as_str(), &refusal(*reason)));
        }
        ReportBody::TimerAck { until } => cancel_all_after_ack(out, id, *until),
        ReportBody::Execution(execution) => {
            let format = venue.format(execution.order.symbol);
            execution_report(out, &format, &of_execution(venue, execution, report.at));
        }
        ReportBody::Balance(change) => {
            balance_update(out, change.exec_sequence, changed(venue, change), report.at);
        }
        ReportBody::Account(_) | ReportBody::Done | ReportBody::Refused { .. } => {
            unreachable!("the session's to write")
        }
    }
}

/// Appends the `data` of an entry of an account's history, as it is in the entry's message. Returns nothing, and appends
/// nothing, if the report is none.
pub fn write_data(out: &mut Vec<u8>, venue: &Venue, report: &Report) -> Option<EntryKind> {
    match &report.body {
        ReportBody::Execution(execution) => {
            let format = venue.format(execution.order.symbol);
            execution_data(out, &format, &of_execution(venue, execution, report.at));
            Some(EntryKind::Execution)
        }
        ReportBody::Balance(change) => {
            balance_data(out, change.exec_sequence, changed(venue, change), report.at);
            Some(EntryKind::Balance)
        }
        _ => None,
    }
}

fn changed<'a>(
    venue: &'a Venue,
    change: &'a message::BalanceChange,
) -> impl Iterator<Item = Balance<'a>> + 'a {
    change.balances.iter().flatten().map(|balance| of_balance(venue, balance))
}

fn change_reject<'a>(id: Option<&'a RequestId>, order_id: &'a str, refusal: &'a Refusal) -> ChangeReject<'a> {
    let (order_id, exchange_order_id, retry_after_ms) = (Some(order_id), None, None);
    ChangeReject { id, order_id, exchange_order_id, refusal, retry_after_ms }
}

/// `account_snapshot`.
pub fn account_snapshot(out: &mut Vec<u8>, venue: &Venue, view: &AccountView, now: Timestamp) {
    let balances = view.balances.iter().map(|balance| of_balance(venue, balance));
    let orders = view.orders.iter().map(|order| of_order(venue, order));
    private::account_snapshot(out, None, view.exec_sequence, balances, orders, now);
}

fn of_order<'a>(venue: &'a Venue, order: &'a message::OpenOrder) -> OpenOrder<'a> {
    let message::OpenOrder { view, terms, expires, .. } = order;
    let (mut stop_price, mut stop_limit_price, mut trail, mut display_quantity) = (None, None, None, None);
    match *terms {
        Terms::Plain | Terms::Budget { .. } => {}
        Terms::Iceberg { display } => display_quantity = Some(display),
        Terms::Stop { trigger } => stop_price = Some(trigger),
        Terms::TrailingStop { trigger, distance } => {
            let is_given = trigger != first_trigger(venue.of(view.symbol), view.side);
            (stop_price, trail) = (is_given.then_some(trigger), Some(distance));
        }
        Terms::Oco { trigger, then, kind } => {
            stop_price = Some(trigger);
            stop_limit_price = (kind == OrderKind::Limit).then_some(then);
        }
    }
    OpenOrder {
        format: venue.format(view.symbol),
        order_id: view.order_id.as_str(),
        exchange_order_id: view.exchange_order_id,
        side: view.side,
        price: limit_of(view),
        quantity: view.quantity,
        cum_quantity: view.traded,
        leaves_quantity: leaves(view),
        status: status_of_open(view),
        order_type: order_type(view, terms),
        tif: tif(view, *expires),
        stop_price,
        stop_limit_price,
        trail,
        display_quantity,
        expire_ts: (expires.0 > 0).then_some(*expires),
    }
}

fn order_type(view: &OrderView, terms: &Terms) -> OrderType {
    match (terms, view.kind) {
        (Terms::Oco { .. }, _) => OrderType::Oco,
        (Terms::TrailingStop { .. }, _) => OrderType::TrailingStop,
        (Terms::Stop { .. }, OrderKind::Market) => OrderType::Stop,
        (Terms::Stop { .. }, OrderKind::Limit) => OrderType::StopLimit,
        (_, OrderKind::Market) => OrderType::Market,
        (_, OrderKind::Limit) if view.time_in_force == TimeInForce::PostOnly => OrderType::LimitMaker,
        (_, OrderKind::Limit) => OrderType::Limit,
    }
}

fn tif(view: &OrderView, expires: Timestamp) -> Tif {
    match view.time_in_force {
        TimeInForce::Gtc | TimeInForce::PostOnly if expires.0 > 0 => Tif::Gtd,
        TimeInForce::Gtc | TimeInForce::PostOnly => Tif::Gtc,
        TimeInForce::Ioc => Tif::Ioc,
        TimeInForce::Fok => Tif::Fok,
    }
}

/// An execution in the protocol's words.
pub fn of_execution<'a>(
    venue: &'a Venue,
    execution: &'a message::Execution,
    at: Timestamp,
) -> ExecutionReport<'a> {
    let order = &execution.order;
    let (exec_type, status, reason) = what_happened(execution);
    ExecutionReport {
        exec_seq: execution.exec_sequence,
        exec_id: execution.exec_sequence,
        order_id: order.order_id.as_str(),
        exchange_order_id: order.exchange_order_id,
        side: order.side,
        exec_type,
        status,
        price: limit_of(order),
        quantity: order.quantity,
        fill: fill(venue, execution),
        cum_quantity: order.traded,
        cum_quote: order.traded_quote,
        leaves_quantity: leaves(order),
        reason,
        ts: at,
    }
}

fn what_happened(execution: &message::Execution) -> (ExecType, OrderStatus, Option<EndReason>) {
    let order = &execution.order;
    match execution.kind {
        ExecutionKind::New => (ExecType::New, OrderStatus::New, None),
        ExecutionKind::Triggered => (ExecType::Triggered, status_of_open(order), None),
        ExecutionKind::Replaced => (ExecType::Replaced, status_of_open(order), None),
        ExecutionKind::Trade { .. } if order.left.is_zero() => (ExecType::Trade, OrderStatus::Filled, None),
        ExecutionKind::Trade { .. } => (ExecType::Trade, OrderStatus::PartiallyFilled, None),
        ExecutionKind::Decremented { .. } => {
            let status = if order.is_live() { status_of_open(order) } else { OrderStatus::Canceled };
            (ExecType::Stp, status, Some(EndReason::SelfTrade))
        }
        ExecutionKind::Closed(reason) => match reason {
            CloseReason::Cancelled => (ExecType::Canceled, OrderStatus::Canceled, None),
            CloseReason::Expired => (ExecType::Expired, OrderStatus::Expired, Some(EndReason::Unfilled)),
            CloseReason::TimedOut => (ExecType::Expired, OrderStatus::Expired, Some(EndReason::TimedOut)),
            CloseReason::PriceBand => (ExecType::Expired, OrderStatus::Expired, Some(EndReason::PriceBand)),
            CloseReason::SelfTrade => (ExecType::Stp, OrderStatus::Canceled, Some(EndReason::SelfTrade)),
            CloseReason::Delisted => (ExecType::Canceled, OrderStatus::Canceled, Some(EndReason::Delisted)),
        },
    }
}

fn fill<'a>(venue: &'a Venue, execution: &message::Execution) -> Option<Fill<'a>> {
    let ExecutionKind::Trade { trade, price, quantity, liquidity, fee } = execution.kind else { return None };
    let quote = &venue.market.assets[venue.of(execution.order.symbol).quote.0 as usize];
    Some(Fill {
        trade_id: trade,
        price,
        quantity,
        liquidity: match liquidity {
            message::Liquidity::Maker => Liquidity::Maker,
            message::Liquidity::Taker => Liquidity::Taker,
            message::Liquidity::Auction => Liquidity::Auction,
        },
        fee,
        fee_asset: &quote.name,
        fee_decimals: quote.decimals,
    })
}

fn status_of_open(order: &OrderView) -> OrderStatus {
    if order.traded.is_zero() { OrderStatus::New } else { OrderStatus::PartiallyFilled }
}

/// What is open. An order by quote budget is open for money, not for lots: its quantity is what it has traded.
fn leaves(order: &OrderView) -> Quantity {
    order.left.min(Quantity(order.quantity.0 - order.traded.0))
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
    use ErrorCode as Code;
    let (code, field, message) = match reason {
        Reject::UnknownSymbol => (Code::UnknownSymbol, Some("symbol"), "symbol is not listed"),
        Reject::UnknownAccount => (Code::Unauthorized, None, "the account is not open"),
        Reject::UnknownAsset => (Code::BadValue, Some("asset"), "asset is not listed"),
        Reject::InsufficientBalance => {
            (Code::InsufficientBalance, None, "the order can cost more than is available")
        }
        Reject::DuplicateOrderId => {
            (Code::DuplicateOrderId, Some("order_id"), "order_id was used for another order")
        }
        Reject::PriceRange => (Code::BadValue, Some("price"), "price is zero or above the symbol's highest"),
        Reject::QuantityRange => {
            (Code::BadValue, Some("quantity"), "quantity is zero or above the symbol's largest")
        }
        Reject::MinNotional => (
            Code::MinNotional,
            Some("quantity"),
            "price × quantity, or quote_quantity, is below the symbol's least notional",
        ),
        // What a request can say wrong without a look at the clock has been told before it came to the engine.
        Reject::Terms => (Code::BadTerms, Some("expire_ts"), "expire_ts must be in the future"),
        Reject::PriceBand => (
            Code::PriceBand,
            Some("price"),
            "price is too far from the last trade, or a market order finds no price on the other side",
        ),
        Reject::TooManyOrders => {
            (Code::TooManyOrders, None, "the account has as many open orders as it may, or the symbol stops")
        }
        Reject::PostOnlyWouldTake => (Code::PostOnlyWouldTake, None, "a post-only order would have traded"),
        Reject::MarketClosed => (
            Code::MarketClosed,
            Some("symbol"),
            "symbol does not take this now: it is halted, in an auction or gone",
        ),
        Reject::CancelOnly => {
            (Code::CancelOnly, Some("symbol"), "symbol only lets orders leave or get smaller")
        }
        Reject::AccountSuspended => {
            (Code::AccountSuspended, None, "the account is suspended: it can only cancel")
        }
        Reject::UnknownOrder => (Code::UnknownOrder, Some("order_id"), "no open order has this order_id"),
        Reject::TooLate => (Code::TooLate, Some("order_id"), "the order was filled or cancelled before"),
        Reject::AmendPending => {
            (Code::AmendPending, Some("order_id"), "another change of the order is on its way")
        }
        Reject::NotAmendable => {
            (Code::NotAmendable, Some("order_id"), "market and oco orders cannot be changed, only cancelled")
        }
        Reject::Overloaded => (Code::Overloaded, None, "the engine has too much to do, try again"),
        Reject::AmountRange => {
            (Code::BadValue, None, "the amount is zero, or all amounts together are more than can be counted")
        }
        Reject::TransferId => (Code::BadValue, Some("id"), "id is in use, or not in use"),
        Reject::SymbolState => {
            (Code::BadValue, Some("state"), "state cannot follow the symbol's present one")
        }
        Reject::Configuration => (Code::BadValue, None, "a fee or a tier is out of range"),
    };
    Refusal { code, field, message: message.into() }
}

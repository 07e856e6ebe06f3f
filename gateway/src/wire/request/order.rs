//! A new order: which keys its kind has, and which combinations make sense.
//!
//! | `order_type`    | needs                 | may have                                             |
//! |-----------------|-----------------------|------------------------------------------------------|
//! | `limit`         | `price`               | `tif`, `post_only`, `display_quantity`               |
//! | `limit_maker`   | `price`               | `tif` gtc or gtd, `display_quantity`                 |
//! | `market`        |                       | `tif` ioc or fok; `quote_quantity` for `quantity`    |
//! | `stop`          | `stop_price`          | `tif` ioc or fok                                     |
//! | `stop_limit`    | `stop_price`, `price` | `tif`, `post_only`                                   |
//! | `trailing_stop` | `trail`               | `tif` ioc or fok, `stop_price`                       |
//! | `oco`           | `stop_price`, `price` | `tif` gtc or gtd, `post_only`, `stop_limit_price`    |
//!
//! All need `quantity`; gtd needs `expire_ts`. Any other of these keys is refused: ignored, it would make another order
//! than the client meant.

use engine_core::units::{SelfTrade, TimeInForce, Timestamp};

use super::fields::{Field, Fields, bad_value, missing};
use super::{OrderTerms, Size, SubmitOrder};
use crate::wire::code::Refusal;
use crate::wire::name::{Name, OrderType, Tif};

/// The last time that fits a double exactly.
const EXPIRE_TS_MAX: u64 = (1 << 53) - 1;

/// The order that the fields of a message make.
pub(super) fn read_order<'a>(fields: &Fields<'a, '_>) -> Result<SubmitOrder<'a>, Refusal> {
    let order_id = fields.required(Field::OrderId, Fields::name)?;
    let symbol = fields.required(Field::Symbol, Fields::label)?;
    let side = fields.required(Field::Side, Fields::word)?;
    let order_type = fields.word(Field::OrderType)?.unwrap_or(OrderType::Limit);
    let price = read_price(order_type, fields)?;
    let size = read_size(order_type, fields)?;
    let tif = fields.word(Field::Tif)?;
    let post_only = fields.boolean(Field::PostOnly)?.unwrap_or(false);
    let time_in_force = time_in_force(order_type, tif, post_only)?;
    if matches!(size, Size::Quote(_)) && time_in_force != TimeInForce::Ioc {
        return Err(bad_value(Field::Tif, "tif of an order by quote_quantity must be ioc"));
    }
    let terms = read_terms(order_type, fields)?;
    if matches!(terms, OrderTerms::Iceberg { .. }) && !rests(time_in_force) {
        let message = "display_quantity must be left out of an order that never rests";
        return Err(bad_value(Field::DisplayQuantity, message));
    }
    let expires = read_end(tif, fields)?;
    let self_trade = fields.word(Field::Stp)?.unwrap_or(SelfTrade::Allow);
    Ok(SubmitOrder { order_id, symbol, side, price, size, time_in_force, self_trade, terms, expires })
}

fn read_price<'a>(order_type: OrderType, fields: &Fields<'a, '_>) -> Result<Option<&'a str>, Refusal> {
    if is_market(order_type) {
        refuse_key(Field::Price, order_type, fields)?;
        return Ok(None);
    }
    fields.required(Field::Price, Fields::decimal).map(Some)
}

fn read_size<'a>(order_type: OrderType, fields: &Fields<'a, '_>) -> Result<Size<'a>, Refusal> {
    if order_type != OrderType::Market {
        refuse_key(Field::QuoteQuantity, order_type, fields)?;
    }
    match fields.decimal(Field::QuoteQuantity)? {
        Some(_) if fields.has(Field::Quantity) => {
            let message = "quote_quantity and quantity must not come together";
            Err(bad_value(Field::QuoteQuantity, message))
        }
        Some(amount) => Ok(Size::Quote(amount)),
        None => fields.required(Field::Quantity, Fields::decimal).map(Size::Quantity),
    }
}

fn read_terms<'a>(order_type: OrderType, fields: &Fields<'a, '_>) -> Result<OrderTerms<'a>, Refusal> {
    let stop_price = |fields: &Fields<'a, '_>| fields.required(Field::StopPrice, Fields::decimal);
    let (terms, own): (_, &[Field]) = match order_type {
        OrderType::Limit | OrderType::LimitMaker => match fields.decimal(Field::DisplayQuantity)? {
            Some(display_quantity) => (OrderTerms::Iceberg { display_quantity }, &[Field::DisplayQuantity]),
            None => (OrderTerms::Plain, &[]),
        },
        OrderType::Market => (OrderTerms::Plain, &[]),
        OrderType::Stop | OrderType::StopLimit => {
            (OrderTerms::Stop { stop_price: stop_price(fields)? }, &[Field::StopPrice])
        }
        OrderType::TrailingStop => {
            let trail = fields.required(Field::Trail, Fields::decimal)?;
            let stop_price = fields.decimal(Field::StopPrice)?;
            (OrderTerms::TrailingStop { stop_price, trail }, &[Field::StopPrice, Field::Trail])
        }
        OrderType::Oco => {
            let stop_price = stop_price(fields)?;
            let stop_limit_price = fields.decimal(Field::StopLimitPrice)?;
            (OrderTerms::Oco { stop_price, stop_limit_price }, &[Field::StopPrice, Field::StopLimitPrice])
        }
    };
    for key in [Field::StopPrice, Field::StopLimitPrice, Field::Trail, Field::DisplayQuantity] {
        if !own.contains(&key) {
            refuse_key(key, order_type, fields)?;
        }
    }
    Ok(terms)
}

fn read_end(tif: Option<Tif>, fields: &Fields<'_, '_>) -> Result<Timestamp, Refusal> {
    match (fields.integer(Field::ExpireTs, 1..=EXPIRE_TS_MAX)?, tif) {
        (Some(end), Some(Tif::Gtd)) => Ok(Timestamp(end)),
        (None, Some(Tif::Gtd)) => Err(missing(Field::ExpireTs)),
        (Some(_), _) => Err(bad_value(Field::ExpireTs, "expire_ts must be left out unless tif is gtd")),
        (None, _) => Ok(Timestamp(0)),
    }
}

/// Three keys of the protocol say one thing to the engine; here the contradictions between them end.
fn time_in_force(order_type: OrderType, tif: Option<Tif>, post_only: bool) -> Result<TimeInForce, Refusal> {
    let post_only = post_only || order_type == OrderType::LimitMaker;
    let name = order_type.text();
    match (tif, is_market(order_type)) {
        (_, true) if post_only => {
            Err(bad_value(Field::PostOnly, format!("post_only must not be true for a {name} order")))
        }
        (None | Some(Tif::Ioc), true) => Ok(TimeInForce::Ioc),
        (Some(Tif::Fok), true) => Ok(TimeInForce::Fok),
        (Some(Tif::Gtc | Tif::Gtd), true) => {
            let rule = "must be ioc or fok, as it never rests in the book";
            Err(bad_value(Field::Tif, format!("tif of a {name} order {rule}")))
        }
        (None | Some(Tif::Gtc | Tif::Gtd), false) if post_only => Ok(TimeInForce::PostOnly),
        (None | Some(Tif::Gtc | Tif::Gtd), false) => Ok(TimeInForce::Gtc),
        (Some(_), false) if post_only => {
            Err(bad_value(Field::Tif, "tif of a post-only order must be gtc or gtd, as it only rests"))
        }
        (Some(_), false) if order_type == OrderType::Oco => Err(bad_value(
            Field::Tif,
            "tif of an oco order must be gtc or gtd, as one of its ways is to rest",
        )),
        (Some(Tif::Ioc), false) => Ok(TimeInForce::Ioc),
        (Some(Tif::Fok), false) => Ok(TimeInForce::Fok),
    }
}

fn rests(time_in_force: TimeInForce) -> bool {
    matches!(time_in_force, TimeInForce::Gtc | TimeInForce::PostOnly)
}

/// Whether it is a market order when it comes to the book.
fn is_market(order_type: OrderType) -> bool {
    matches!(order_type, OrderType::Market | OrderType::Stop | OrderType::TrailingStop)
}

fn refuse_key(key: Field, order_type: OrderType, fields: &Fields<'_, '_>) -> Result<(), Refusal> {
    match fields.has(key) {
        true => {
            Err(bad_value(key, format!("{} must be left out of a {} order", key.text(), order_type.text())))
        }
        false => Ok(()),
    }
}

//! A client's order in the engine's numbers.
//!
//! Everything that is wrong with an order for all time is told here, by the name of its field. What depends on the
//! moment (the clock, the book, the account) is the engine's to refuse: it answers a repeated order first, and a repeat
//! must get the answer that the order got, however the moment has changed.

use super::unknown_symbol;
use crate::venue::Venue;
use crate::wire::code::{ErrorCode, Refusal};
use crate::wire::encode::SymbolFormat;
use crate::wire::number::parse_amount;
use crate::wire::request::{AmendOrder, OrderTerms, Size, SubmitOrder};
use engine_core::instrument::Instrument;
use engine_core::message::{Amend, OrderKind, Submit, Terms};
use engine_core::units::*;

/// Whose a command is before the session says whose. No engine has so many accounts.
const NOBODY: AccountId = AccountId(u32::MAX);

/// The order as a command of nobody yet.
pub fn submit_of(order: &SubmitOrder<'_>, venue: &Venue) -> Result<Submit, Refusal> {
    let instrument = venue.instrument(order.symbol).ok_or_else(|| unknown_symbol(order.symbol))?;
    let read = Reader { instrument, format: venue.format(instrument.id), order };
    let price = order.price.map(|text| read.format.price.parse_price(text)).transpose()?;
    let quantity = match order.size {
        Size::Quantity(text) => read.format.quantity.parse_quantity(text)?,
        Size::Quote(_) => Quantity::ZERO,
    };
    let terms = read.terms(venue, price, quantity)?;
    let (kind, price) = match price {
        Some(price) => (OrderKind::Limit, price),
        None => (OrderKind::Market, protection(venue, instrument, order, &terms)),
    };
    Ok(Submit {
        account: NOBODY,
        symbol: instrument.id,
        order_id: order_id(order.order_id),
        side: order.side,
        kind,
        time_in_force: order.time_in_force,
        self_trade: order.self_trade,
        price,
        quantity,
        terms,
        expires: order.expires,
        group: 0,
    })
}

/// The change as a command of nobody yet.
pub fn amend_of(amend: &AmendOrder<'_>, venue: &Venue) -> Result<Amend, Refusal> {
    let instrument = venue.instrument(amend.symbol).ok_or_else(|| unknown_symbol(amend.symbol))?;
    let format = venue.format(instrument.id);
    Ok(Amend {
        account: NOBODY,
        symbol: instrument.id,
        order_id: order_id(amend.order_id),
        price: amend.price.map(|text| format.price.parse_price(text)).transpose()?,
        quantity: amend.quantity.map(|text| format.quantity.parse_quantity(text)).transpose()?,
    })
}

/// The client's id of an order.
pub fn order_id(text: &str) -> ClientOrderId {
    ClientOrderId::new(text).expect("the decoder lets only order ids pass")
}

struct Reader<'a> {
    instrument: &'a Instrument,
    format: SymbolFormat<'a>,
    order: &'a SubmitOrder<'a>,
}

impl Reader<'_> {
    fn terms(&self, venue: &Venue, price: Option<Price>, quantity: Quantity) -> Result<Terms, Refusal> {
        Ok(match (self.order.terms, self.order.size) {
            (OrderTerms::Plain, Size::Quote(text)) => self.budget(text)?,
            (OrderTerms::Plain, Size::Quantity(_)) => Terms::Plain,
            (OrderTerms::Iceberg { display_quantity }, _) => self.iceberg(display_quantity, quantity)?,
            (OrderTerms::Stop { stop_price }, _) => {
                Terms::Stop { trigger: self.price("stop_price", stop_price)? }
            }
            (OrderTerms::TrailingStop { stop_price, trail }, _) => Terms::TrailingStop {
                trigger: match stop_price {
                    Some(text) => self.price("stop_price", text)?,
                    None => first_trigger(self.instrument, self.order.side),
                },
                distance: self.price("trail", trail)?,
            },
            (OrderTerms::Oco { stop_price, stop_limit_price }, _) => {
                let price = price.expect("the decoder asks an oco order for its price");
                self.oco(venue, price, stop_price, stop_limit_price)?
            }
        })
    }

    fn budget(&self, quote_quantity: &str) -> Result<Terms, Refusal> {
        let field = "quote_quantity";
        let quote = parse_amount(field, quote_quantity, self.format.quote_decimals)?;
        let Instrument { price_max, quantity_max, .. } = *self.instrument;
        if quote > self.instrument.notional(price_max, quantity_max) {
            return Err(bad(field, "quote_quantity is more than the symbol can trade at once"));
        }
        Ok(Terms::Budget { quote })
    }

    fn iceberg(&self, display_quantity: &str, quantity: Quantity) -> Result<Terms, Refusal> {
        let field = "display_quantity";
        let display = self.format.quantity.parse_quantity_of(field, display_quantity)?;
        if display >= quantity {
            return Err(bad(field, "display_quantity must be less than quantity"));
        }
        Ok(Terms::Iceberg { display })
    }

    fn oco(
        &self,
        venue: &Venue,
        price: Price,
        stop_price: &str,
        stop_limit_price: Option<&str>,
    ) -> Result<Terms, Refusal> {
        let (side, trigger) = (self.order.side, self.price("stop_price", stop_price)?);
        match side {
            Side::Buy if trigger <= price => {
                Err(bad("stop_price", "stop_price of a buying oco order must be above its price"))
            }
            Side::Sell if trigger >= price => {
                Err(bad("stop_price", "stop_price of a selling oco order must be below its price"))
            }
            _ => Ok(match stop_limit_price {
                Some(text) => {
                    let then = self.price("stop_limit_price", text)?;
                    Terms::Oco { trigger, then, kind: OrderKind::Limit }
                }
                None => {
                    let then = venue.beyond(self.instrument, side, trigger);
                    Terms::Oco { trigger, then, kind: OrderKind::Market }
                }
            }),
        }
    }

    /// A price that the engine would not refuse by this name.
    fn price(&self, field: &'static str, text: &str) -> Result<Price, Refusal> {
        let price = self.format.price.parse_price_of(field, text)?;
        match self.instrument.takes_price(price) {
            true => Ok(price),
            false => Err(bad(field, format!("{field} is above the symbol's highest price"))),
        }
    }
}

/// Where a trailing stop's trigger begins if the client does not say: so far away that the last trade, or else the
/// first to come, moves it to its distance. A number of the market's would make a repeat of the order another order.
pub fn first_trigger(instrument: &Instrument, side: Side) -> Price {
    match side {
        Side::Buy => instrument.price_max,
        Side::Sell => Price(1),
    }
}

/// The worst price a market order may trade at; 0 if there is nothing to tell it from.
fn protection(venue: &Venue, instrument: &Instrument, order: &SubmitOrder<'_>, terms: &Terms) -> Price {
    let reference = match *terms {
        Terms::Stop { trigger } => Some(trigger),
        Terms::TrailingStop { trigger, distance } => {
            let is_given = matches!(order.terms, OrderTerms::TrailingStop { stop_price: Some(_), .. });
            let told =
                || venue.near(instrument.id, order.side).map(|price| behind(order.side, price, distance));
            if is_given { Some(trigger) } else { told() }
        }
        _ => venue.best_opposite(instrument.id, order.side),
    };
    reference.map_or(Price(0), |price| venue.beyond(instrument, order.side, price))
}

fn behind(side: Side, price: Price, distance: Price) -> Price {
    match side {
        Side::Buy => Price(price.0.saturating_add(distance.0)),
        Side::Sell => Price(price.0.saturating_sub(distance.0)),
    }
}

fn bad(field: &'static str, message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::of_field(ErrorCode::BadValue, field, message)
}

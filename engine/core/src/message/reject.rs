//! Why the engine refuses.

use serde::{Deserialize, Serialize};

/// Why the engine refused. A refused command changes nothing but the memory of its order id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Reject {
    /// No such symbol.
    UnknownSymbol,
    /// No such account.
    UnknownAccount,
    /// No such asset.
    UnknownAsset,
    /// The account has less available than it would take.
    InsufficientBalance,
    /// The id was used for another order within 24 hours.
    DuplicateOrderId,
    /// Price zero or above the instrument's highest.
    PriceRange,
    /// Quantity zero or above the instrument's largest.
    QuantityRange,
    /// Price × quantity below the instrument's least notional.
    MinNotional,
    /// A trigger, a distance, a display, a budget or an end that cannot be, or not with this kind of order.
    Terms,
    /// Too far from the last trade, or a market order without a reference price.
    PriceBand,
    /// The account has as many live orders as it may have, or the symbol as many waiting stops.
    TooManyOrders,
    /// Post-only, and it would have traded.
    PostOnlyWouldTake,
    /// The symbol is halted, delisted or in an auction that does not take such orders.
    MarketClosed,
    /// The symbol lets orders only leave or get smaller.
    CancelOnly,
    /// The account is suspended.
    AccountSuspended,
    /// No live order of that id: never placed, already filled or cancelled.
    UnknownOrder,
    /// The order was gone before the request reached the book.
    TooLate,
    /// Another change of the order is on its way.
    AmendPending,
    /// This kind of order cannot be changed.
    NotAmendable,
    /// A bound of the engine is reached; try again.
    Overloaded,
    /// An amount of zero, or one that would pass what a ledger can count.
    AmountRange,
    /// A withdrawal or transfer of that number has not ended, or there is none to end.
    TransferId,
    /// The symbol cannot go from its state to that one.
    SymbolState,
    /// A listing, a fee or a tier that breaks a rule.
    Configuration,
}

impl Reject {
    /// All of them, for counters by reason.
    pub const ALL: [Reject; 24] = [
        Reject::UnknownSymbol,
        Reject::UnknownAccount,
        Reject::UnknownAsset,
        Reject::InsufficientBalance,
        Reject::DuplicateOrderId,
        Reject::PriceRange,
        Reject::QuantityRange,
        Reject::MinNotional,
        Reject::Terms,
        Reject::PriceBand,
        Reject::TooManyOrders,
        Reject::PostOnlyWouldTake,
        Reject::MarketClosed,
        Reject::CancelOnly,
        Reject::AccountSuspended,
        Reject::UnknownOrder,
        Reject::TooLate,
        Reject::AmendPending,
        Reject::NotAmendable,
        Reject::Overloaded,
        Reject::AmountRange,
        Reject::TransferId,
        Reject::SymbolState,
        Reject::Configuration,
    ];
}

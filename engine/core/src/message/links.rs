//! What shards say to each other.

use super::*;

/// A numbered message on a link between two shards. Numbers are dense from 1.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Numbered<T> {
    /// Its place on the link.
    pub number: u64,
    /// What is said.
    pub message: T,
}

/// From a sequencer to a matcher.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ToMatcher {
    /// The symbol it is about; any for [`MatcherOrder::Tick`] and [`MatcherOrder::Relay`].
    pub symbol: SymbolId,
    /// See [`Input::ticket`].
    pub ticket: u64,
    /// The time of the command.
    pub at: Timestamp,
    /// What to do.
    pub order: MatcherOrder,
}

/// What a sequencer asks of a matcher. Every order in it is funded.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum MatcherOrder {
    /// Match a funded order.
    Place(Place),
    /// Take an order out.
    Cancel {
        /// The sequencer's record of it.
        key: OrderKey,
        /// Who wants it gone.
        cause: CancelCause,
    },
    /// Change an order, whose new terms are funded.
    Amend(PlaceAmended),
    /// Nothing: the sequencer answered this ticket itself.
    Skip,
    /// Look at the time, for all symbols.
    Tick,
    /// A new symbol.
    List {
        /// See [`Listing::band`].
        band: u16,
    },
    /// The symbol does something else from now on.
    SetState {
        /// What.
        state: SymbolState,
        /// The account and request that wait for the answer.
        asker: Origin,
    },
    /// Hand this to the sequencer of one of its accounts: matchers are how sequencers reach each other.
    Relay(Transfer),
}

/// A funded order on its way to the book.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Place {
    /// The sequencer's record of it.
    pub key: OrderKey,
    /// The owner.
    pub account: AccountId,
    /// Who gets the answer to the submit.
    pub asker: Origin,
    /// Buy or sell.
    pub side: Side,
    /// Limit or market.
    pub kind: OrderKind,
    /// What happens to the rest.
    pub time_in_force: TimeInForce,
    /// What happens where it meets its own account.
    pub self_trade: SelfTrade,
    /// The limit or protection price.
    pub price: Price,
    /// How many lots; with a budget, the most it can be.
    pub quantity: Quantity,
    /// The terms; a budget is without the fee, in ticks × lots.
    pub terms: Terms,
    /// When what rests is cancelled; 0 for never.
    pub expires: Timestamp,
}

/// A change on its way to the book.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PlaceAmended {
    /// The sequencer's record of the order.
    pub key: OrderKey,
    /// The owner.
    pub account: AccountId,
    /// Who gets the answer.
    pub asker: Origin,
    /// Buy or sell.
    pub side: Side,
    /// What happens to the rest.
    pub time_in_force: TimeInForce,
    /// What happens where it meets its own account.
    pub self_trade: SelfTrade,
    /// The new price.
    pub price: Price,
    /// Whether that is the old one, too.
    pub keeps_price: bool,
    /// The new quantity less the old one, in lots. Told as a difference because the order may have traded meanwhile.
    pub more: i64,
}

/// Who wants an order out of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CancelCause {
    /// Its owner, who waits for the answer.
    Asked(Origin),
    /// Its owner, with all the others; hears only of a refusal.
    AskedAll(Origin),
    /// The exchange, for a timer of the owner's or because the owner has left or is suspended.
    System,
}

/// Money on its way from one account to another.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Transfer {
    /// Who gives.
    pub from: AccountId,
    /// The giver's number for it.
    pub id: u64,
    /// Who gets.
    pub to: AccountId,
    /// Which asset.
    pub asset: AssetId,
    /// How many atoms.
    pub amount: Amount,
    /// How far it is.
    pub stage: TransferStage,
    /// Who waits for the answer.
    pub asker: Origin,
}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransferStage {
    /// On the way to the one who gets; held by the one who gives.
    Offered,
    /// On the way back: the other side has it.
    Accepted,
    /// On the way back: the other side cannot have it.
    Refused(Reject),
}

/// From a matcher to a sequencer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum FromMatcher {
    /// Something happened to an order.
    Order(OrderNews),
    /// Money, of which the matcher knows nothing.
    Relayed(Transfer),
    /// A symbol does what it was told to, or not.
    State {
        /// Who waits for the answer.
        asker: Origin,
        /// Whether it does.
        result: Result<(), Reject>,
    },
}

/// Something happened to an order in the book.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct OrderNews {
    /// The sequencer's record of the order.
    pub key: OrderKey,
    /// The symbol's sequence after the command.
    pub sequence: Sequence,
    /// The time of the command.
    pub at: Timestamp,
    /// What happened.
    pub outcome: MatcherOutcome,
}

/// What happened to an order in the book.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum MatcherOutcome {
    /// Accepted; fills and an end may follow in the same batch.
    Placed {
        /// The order's public number, dense per symbol from 1.
        exchange_order_id: u64,
        /// As in [`Place::asker`].
        asker: Origin,
    },
    /// Not accepted; the book is as it was.
    Refused {
        /// Why.
        reason: Reject,
        /// As in [`Place::asker`].
        asker: Origin,
    },
    /// Its trigger was reached: it enters the book now.
    Triggered,
    /// A trade.
    Filled {
        /// The trade's number.
        trade: TradeId,
        /// The price.
        price: Price,
        /// Lots.
        quantity: Quantity,
        /// Whether this order was resting.
        liquidity: Liquidity,
    },
    /// It lost lots because it met an order of its own account.
    Decremented {
        /// How many.
        quantity: Quantity,
    },
    /// It has its new terms; fills and an end may follow in the same batch.
    Amended {
        /// What it has left now.
        left: Quantity,
        /// As in [`PlaceAmended::asker`].
        asker: Origin,
    },
    /// It is as it was.
    AmendRefused {
        /// Why.
        reason: Reject,
        /// As in [`PlaceAmended::asker`].
        asker: Origin,
    },
    /// It is out with this much left.
    Closed {
        /// Lots that did not trade.
        left: Quantity,
        /// Why.
        reason: CloseReason,
        /// If a cancel did it, whose.
        cause: Option<CancelCause>,
    },
    /// A cancel did not find the order, or the symbol does not let it go.
    CancelRefused {
        /// Why.
        reason: Reject,
        /// Whose it was.
        cause: CancelCause,
    },
}

/// Which side of a trade an order was on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Liquidity {
    /// It was resting.
    Maker,
    /// It came in and traded.
    Taker,
    /// Both were resting, in an auction. Charged as a maker.
    Auction,
}

/// Why an order ended without trading whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CloseReason {
    /// Cancelled by its owner or for its owner (timer, disconnect, suspension).
    Cancelled,
    /// IOC, FOK or market: what did not trade at once.
    Expired,
    /// Its time was over.
    TimedOut,
    /// It met an order of its own account.
    SelfTrade,
    /// Its trigger was reached, and its limit was outside the price band.
    PriceBand,
    /// Its symbol is gone.
    Delisted,
}

//! Everything that travels: inputs from outside, messages between shards, reports to the outside.
//!
//! ```text
//! port ── Input ──▶ sequencer ── ToMatcher ──▶ matcher ── events ──▶ market sink
//!   ▲                 │   ▲                       │
//!   └──── Report ─────┘   └───── FromMatcher ─────┘
//! ```

use crate::book::Refusal;
use crate::units::*;

/// Who asked, so that the answer finds its way back. The engine carries it and never looks inside `session` and
/// `request`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The port the input came through.
    pub port: u16,
    /// The port's name for the client.
    pub session: u32,
    /// The client's name for the request.
    pub request: u32,
}

/// One external input to the sequencer of its account.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// Where answers go.
    pub origin: Origin,
    /// When it came in. A shard's time is the greatest it has seen, so clocks that step back do no harm.
    pub at: Timestamp,
    /// 0 for live input. A replay numbers the inputs of each symbol from 1; matchers that run on threads then take
    /// them in that order whatever sequencer they came through, so that every run has one result.
    pub ticket: u64,
    /// What is asked.
    pub command: Command,
}

/// What can be asked of the engine. All commands of an account go to one sequencer.
#[derive(Clone, Copy, Debug)]
pub enum Command {
    /// Makes the account known; repeating it changes nothing.
    Open {
        /// The account.
        account: AccountId,
    },
    /// Money comes in from outside.
    Deposit {
        /// Whose it is.
        account: AccountId,
        /// Which asset.
        asset: AssetId,
        /// How many atoms.
        amount: Amount,
    },
    /// A new order.
    Submit(Submit),
    /// Takes a resting order out of the book.
    Cancel {
        /// The owner.
        account: AccountId,
        /// The symbol it was placed on.
        symbol: SymbolId,
        /// The owner's name for it.
        order_id: ClientOrderId,
    },
    /// Takes all resting orders of an account out, of one symbol or of all.
    CancelAll {
        /// The owner.
        account: AccountId,
        /// Only these.
        symbol: Option<SymbolId>,
    },
}

impl Command {
    /// The account whose sequencer it goes to.
    pub fn account(&self) -> AccountId {
        match *self {
            Command::Open { account } | Command::Deposit { account, .. } => account,
            Command::Cancel { account, .. } | Command::CancelAll { account, .. } => account,
            Command::Submit(submit) => submit.account,
        }
    }
}

/// A new order, already in ticks and lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Submit {
    /// Who pays.
    pub account: AccountId,
    /// What is traded.
    pub symbol: SymbolId,
    /// The owner's name for the order.
    pub order_id: ClientOrderId,
    /// Buy or sell.
    pub side: Side,
    /// Limit or market.
    pub kind: OrderKind,
    /// The limit, or the protection price of a market order: the worst price it may trade at, and what a buyer's
    /// hold is computed from.
    pub price: Price,
    /// How many lots.
    pub quantity: Quantity,
    /// What happens to the part that does not trade at once.
    pub time_in_force: TimeInForce,
}

/// The kind of an order. The book knows limits only; this is what reports say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OrderKind {
    /// Trades at its price or better.
    Limit = 0,
    /// Trades at the best there is, within its protection price; never rests.
    Market = 1,
}

/// A numbered message on a link between two shards. Numbers are dense from 1.
#[derive(Clone, Copy, Debug)]
pub struct Numbered<T> {
    /// Its place on the link.
    pub number: u64,
    /// What is said.
    pub message: T,
}

/// From a sequencer to a matcher.
#[derive(Clone, Copy, Debug)]
pub struct ToMatcher {
    /// The symbol it is about.
    pub symbol: SymbolId,
    /// See [`Input::ticket`].
    pub ticket: u64,
    /// The time of the command.
    pub at: Timestamp,
    /// What to do.
    pub order: MatcherOrder,
}

/// What a sequencer asks of a matcher. Everything in it is funded.
#[derive(Clone, Copy, Debug)]
pub enum MatcherOrder {
    /// Match a funded order.
    Place {
        /// The sequencer's record of it.
        key: OrderKey,
        /// The owner.
        account: AccountId,
        /// Buy or sell.
        side: Side,
        /// What happens to the rest.
        time_in_force: TimeInForce,
        /// The limit or protection price.
        price: Price,
        /// How many lots.
        quantity: Quantity,
    },
    /// Take an order out.
    Cancel {
        /// The sequencer's record of it.
        key: OrderKey,
        /// Who asked for this cancel and waits for the answer.
        asker: Option<Origin>,
    },
    /// Nothing: the sequencer answered this ticket itself.
    Skip,
}

/// From a matcher to the sequencer of an order's account.
#[derive(Clone, Copy, Debug)]
pub struct FromMatcher {
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
#[derive(Clone, Copy, Debug)]
pub enum MatcherOutcome {
    /// Accepted; fills and an expiry may follow in the same batch.
    Placed {
        /// The order's public number, dense per symbol from 1.
        exchange_order_id: u64,
    },
    /// Not accepted; the book is as it was.
    Refused(Refusal),
    /// A trade.
    Filled {
        /// The trade's number.
        trade: TradeId,
        /// The maker's price.
        price: Price,
        /// Lots.
        quantity: Quantity,
        /// Whether this order was resting.
        liquidity: Liquidity,
    },
    /// It is out of the book with this much left.
    Closed {
        /// Lots that did not trade.
        left: Quantity,
        /// By its owner's cancel, or because it may not rest.
        reason: CloseReason,
        /// Who asked, if it was a cancel that somebody waits for.
        asker: Option<Origin>,
    },
    /// A cancel came after the order was gone.
    CancelMissed {
        /// Who asked for it.
        asker: Option<Origin>,
    },
}

/// Which side of a trade an order was on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liquidity {
    /// It was resting.
    Maker,
    /// It came in and traded.
    Taker,
}

/// Why an order left the book without trading whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Its owner cancelled it.
    Cancelled,
    /// IOC, FOK or market: what did not trade at once.
    Expired,
}

/// Why the engine refused. A refused command changes nothing but the memory of its order id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reject {
    /// No such symbol.
    UnknownSymbol,
    /// No such account.
    UnknownAccount,
    /// The account has less available than the order may cost.
    InsufficientBalance,
    /// The id was used for another order within 24 hours.
    DuplicateOrderId,
    /// Price zero or above the instrument's highest.
    PriceRange,
    /// Quantity zero or above the instrument's largest.
    QuantityRange,
    /// Price × quantity below the instrument's least notional.
    MinNotional,
    /// The account has as many live orders as it may have.
    TooManyOrders,
    /// Post-only, and it would have traded.
    PostOnlyWouldTake,
    /// No live order of that id: never placed, already filled or cancelled.
    UnknownOrder,
    /// The order was gone before the cancel reached the book.
    TooLate,
    /// A bound of the engine is reached; try again.
    Overloaded,
}

impl Reject {
    /// All of them, for counters by reason.
    pub const ALL: [Reject; 12] = [
        Reject::UnknownSymbol,
        Reject::UnknownAccount,
        Reject::InsufficientBalance,
        Reject::DuplicateOrderId,
        Reject::PriceRange,
        Reject::QuantityRange,
        Reject::MinNotional,
        Reject::TooManyOrders,
        Reject::PostOnlyWouldTake,
        Reject::UnknownOrder,
        Reject::TooLate,
        Reject::Overloaded,
    ];
}

/// Something the outside learns, once the input that caused it is durable.
#[derive(Clone, Debug)]
pub struct Report {
    /// The account it is about.
    pub account: AccountId,
    /// The answer to one request, or news to everyone who watches the account.
    pub to: Recipient,
    /// The engine's time of it.
    pub at: Timestamp,
    /// What is reported.
    pub body: ReportBody,
}

/// Where a report goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// To the one who asked.
    Asker(Origin),
    /// To every port that watches the account.
    Watchers,
}

/// What is reported.
#[derive(Clone, Debug)]
pub enum ReportBody {
    /// The order is sequenced.
    OrderAck {
        /// The client's id.
        order_id: ClientOrderId,
        /// The public number.
        exchange_order_id: u64,
        /// The symbol.
        symbol: SymbolId,
        /// The symbol's sequence when it had been placed.
        sequence: Sequence,
        /// When the command came in.
        received: Timestamp,
        /// Whether this repeats the answer to an earlier submit.
        duplicate: bool,
    },
    /// The order is refused.
    OrderReject {
        /// The client's id.
        order_id: ClientOrderId,
        /// Why.
        reason: Reject,
    },
    /// The order is out of the book.
    CancelAck {
        /// The client's id.
        order_id: ClientOrderId,
        /// The public number.
        exchange_order_id: u64,
        /// The symbol.
        symbol: SymbolId,
    },
    /// The cancel is refused.
    CancelReject {
        /// The client's id.
        order_id: ClientOrderId,
        /// Why.
        reason: Reject,
    },
    /// So many cancels are on their way.
    CancelAllAck {
        /// Of one symbol, or of all.
        symbol: Option<SymbolId>,
        /// Orders that are being cancelled; each has its own report.
        count: u32,
    },
    /// Something happened to an order.
    Execution(Execution),
    /// Balances changed.
    Balance(BalanceChange),
    /// The account as it stands, for one who asked.
    Account(Box<AccountView>),
}

impl ReportBody {
    /// The entry's number, if it is one of the account's history.
    pub fn exec_sequence(&self) -> Option<u64> {
        match self {
            ReportBody::Execution(execution) => Some(execution.exec_sequence),
            ReportBody::Balance(change) => Some(change.exec_sequence),
            _ => None,
        }
    }
}

/// One entry of an account's gapless history: an order's event.
#[derive(Clone, Copy, Debug)]
pub struct Execution {
    /// The entry's number in the account's history, shared with balance changes.
    pub exec_sequence: u64,
    /// What happened.
    pub kind: ExecutionKind,
    /// The order after it.
    pub order: OrderView,
}

/// What an execution report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionKind {
    /// Accepted.
    New,
    /// Traded.
    Trade {
        /// The trade's number.
        trade: TradeId,
        /// The trade's price.
        price: Price,
        /// The trade's lots.
        quantity: Quantity,
        /// Maker or taker.
        liquidity: Liquidity,
    },
    /// Cancelled by its owner.
    Cancelled,
    /// The part that may not rest is gone.
    Expired,
}

/// A live or just closed order.
#[derive(Clone, Copy, Debug)]
pub struct OrderView {
    /// The client's id.
    pub order_id: ClientOrderId,
    /// The public number; 0 while the matcher has not answered.
    pub exchange_order_id: u64,
    /// The symbol.
    pub symbol: SymbolId,
    /// Buy or sell.
    pub side: Side,
    /// Limit or market.
    pub kind: OrderKind,
    /// Limit or protection price.
    pub price: Price,
    /// Lots ordered.
    pub quantity: Quantity,
    /// Lots traded so far.
    pub traded: Quantity,
    /// Quote atoms paid or received so far.
    pub traded_quote: Amount,
    /// Whether it is in the book (or on its way there).
    pub live: bool,
}

/// One entry of an account's gapless history: balances after a change.
#[derive(Clone, Copy, Debug)]
pub struct BalanceChange {
    /// The entry's number in the account's history, shared with executions.
    pub exec_sequence: u64,
    /// The balances that changed; a trade changes two.
    pub balances: [Option<Balance>; 2],
}

/// What an account has of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The asset.
    pub asset: AssetId,
    /// Free to use.
    pub available: Amount,
    /// Held by live orders.
    pub held: Amount,
}

/// An account as it stands.
#[derive(Clone, Debug)]
pub struct AccountView {
    /// The number of the last entry of its history.
    pub exec_sequence: u64,
    /// All balances, by asset.
    pub balances: Vec<Balance>,
    /// All live orders, oldest first.
    pub orders: Vec<OrderView>,
}

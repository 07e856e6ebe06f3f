//! What the outside learns, once the input that caused it is durable.

use super::*;

/// Something the outside learns.
#[derive(Clone, Debug)]
pub struct Report {
    /// The account it is about; none for what concerns the whole exchange.
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
    /// The order is out.
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
    /// The order has its new terms.
    AmendAck {
        /// The client's id.
        order_id: ClientOrderId,
        /// The public number.
        exchange_order_id: u64,
        /// The symbol.
        symbol: SymbolId,
        /// The symbol's sequence when it had been amended.
        sequence: Sequence,
        /// What it had left then; 0 if the amend cancelled it.
        left: Quantity,
    },
    /// The order is as it was.
    AmendReject {
        /// The client's id.
        order_id: ClientOrderId,
        /// Why.
        reason: Reject,
    },
    /// The dead-man timer runs until then, or not at all.
    TimerAck {
        /// Log time.
        until: Option<Timestamp>,
    },
    /// Any other command has been carried out.
    Done,
    /// Any other command is refused.
    Refused {
        /// Why.
        reason: Reject,
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
    /// Its trigger was reached; it is now in the book, or trades.
    Triggered,
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
        /// Atoms of the quote asset it cost; negative is a rebate.
        fee: i128,
    },
    /// It has new terms.
    Replaced,
    /// It lost lots because it met an order of its own account.
    Decremented {
        /// How many.
        quantity: Quantity,
    },
    /// What was left of it is gone.
    Closed(CloseReason),
}

/// A live or just closed order.
#[derive(Clone, Copy, Debug)]
pub struct OrderView {
    /// The client's id.
    pub order_id: ClientOrderId,
    /// Buy or sell.
    pub side: Side,
    /// Limit or market.
    pub kind: OrderKind,
    /// What happens to what does not trade at once.
    pub time_in_force: TimeInForce,
    /// The state it is in.
    pub state: OrderState,
    /// The symbol.
    pub symbol: SymbolId,
    /// The public number; 0 while the matcher has not answered.
    pub exchange_order_id: u64,
    /// Limit or protection price.
    pub price: Price,
    /// Lots ordered; of an order with a budget, lots traded.
    pub quantity: Quantity,
    /// Lots traded so far.
    pub traded: Quantity,
    /// Lots that neither traded nor were cancelled or decremented.
    pub left: Quantity,
    /// Quote atoms paid or received so far, without fees.
    pub traded_quote: Amount,
}

impl OrderView {
    /// Whether it is in the book, waits for its trigger, or is on its way there.
    pub fn is_live(&self) -> bool {
        self.state != OrderState::Closed
    }
}

/// The state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum OrderState {
    /// On its way to the matcher.
    Sent = 0,
    /// Waits for its trigger.
    Waiting = 1,
    /// In the book.
    Live = 2,
    /// Out of it.
    Closed = 3,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// The asset.
    pub asset: AssetId,
    /// Free to use.
    pub available: Amount,
    /// Held by live orders, withdrawals and transfers that have not ended.
    pub held: Amount,
}

/// An account as it stands.
#[derive(Clone, Debug)]
pub struct AccountView {
    /// What it may do.
    pub state: AccountState,
    /// The fee tier of its next order.
    pub tier: u8,
    /// The number of the last entry of its history.
    pub exec_sequence: u64,
    /// All balances, by asset.
    pub balances: Vec<Balance>,
    /// All live orders, oldest first.
    pub orders: Vec<OpenOrder>,
}

/// A live order with all its terms.
#[derive(Clone, Copy, Debug)]
pub struct OpenOrder {
    /// What reports say of it.
    pub view: OrderView,
    /// What makes it more than a plain order.
    pub terms: Terms,
    /// When what rests of it is cancelled; 0 for never.
    pub expires: Timestamp,
    /// What happens where it meets its own account.
    pub self_trade: SelfTrade,
}

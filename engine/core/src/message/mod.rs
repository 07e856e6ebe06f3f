//! Everything that travels: inputs from outside, messages between shards, reports to the outside.
//!
//! ```text
//! port ── Input ──▶ sequencer ── ToMatcher ──▶ matcher ── events ──▶ market sink
//!   ▲                 │   ▲                       │
//!   └──── Report ─────┘   └───── FromMatcher ─────┘
//! ```
//! - here: inputs and commands
//! - `links`: what shards say to each other
//! - `report`: what the outside learns
//! - `reject`: why not

mod links;
mod reject;
mod report;

pub use links::*;
pub use reject::Reject;
pub use report::*;

use crate::instrument::{AssetListing, Listing};
use crate::limits::ICEBERG_REFILLS_MAX;
use crate::units::*;
use serde::{Deserialize, Serialize};

/// Who asked, so that the answer finds its way back. The engine carries it and never looks inside `session` and
/// `request`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The port the input came through.
    pub port: u16,
    /// The port's name for the client.
    pub session: u32,
    /// The client's name for the request.
    pub request: u32,
}

/// One external input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// What can be asked of the engine.
///
/// Commands of an account go to its sequencer. Those of the operator that every sequencer must know
/// ([`Command::Tick`], [`Command::ListAsset`], [`Command::List`], [`Command::SetFees`]) go to all of them; to keep
/// them in one order everywhere, they must come through one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Makes the account known; repeating it changes nothing.
    Open {
        /// The account.
        account: AccountId,
        /// What it is called outside, if anything. The first name it is opened with stays.
        name: Option<AccountName>,
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
    /// The first phase of a withdrawal: the money is held, until [`Command::EndWithdrawal`].
    Withdraw {
        /// Whose it is.
        account: AccountId,
        /// The operator's number for it, unique among the account's withdrawals and transfers that have not ended.
        id: u64,
        /// Which asset.
        asset: AssetId,
        /// How many atoms.
        amount: Amount,
    },
    /// The second phase: the money has left, or it stays.
    EndWithdrawal {
        /// Whose it is.
        account: AccountId,
        /// As given in [`Command::Withdraw`].
        id: u64,
        /// Whether it was paid out.
        paid: bool,
    },
    /// Moves money to another account, of whatever sequencer. It is held until the other side has it.
    Transfer {
        /// Who gives.
        account: AccountId,
        /// As in [`Command::Withdraw`].
        id: u64,
        /// Who gets.
        to: AccountId,
        /// Which asset.
        asset: AssetId,
        /// How many atoms.
        amount: Amount,
    },
    /// A new order.
    Submit(Submit),
    /// Takes a live order out.
    Cancel {
        /// The owner.
        account: AccountId,
        /// The symbol it was placed on.
        symbol: SymbolId,
        /// The owner's name for it.
        order_id: ClientOrderId,
    },
    /// Takes live orders of an account out.
    CancelAll {
        /// The owner.
        account: AccountId,
        /// Only those of this symbol.
        symbol: Option<SymbolId>,
        /// Only those with this [`Submit::group`].
        group: Option<u32>,
        /// Who wants it.
        by: Canceller,
    },
    /// Changes a live order.
    Amend(Amend),
    /// The dead-man timer: cancels all orders of the account unless this is said again in time.
    CancelAllAfter {
        /// The account.
        account: AccountId,
        /// How long from now; 0 disarms. At most [`crate::limits::DEAD_MAN_US_MAX`].
        timeout_us: u64,
    },
    /// The account's dead-man timer has run out. Executors say so ([`crate::sequencer::Sequencer::overdue`]), and nobody is
    /// answered; it is an input of its own so that no input sets off more than the orders of one account. Before its time it
    /// changes nothing.
    TimeOut {
        /// The account.
        account: AccountId,
    },
    /// From now on a guard stands over orders of the account, until it is ended. The engine remembers it, and that is all:
    /// whoever guards says when it ends, and one that a recovery finds has been forgotten by whoever it was.
    Guard {
        /// The account.
        account: AccountId,
        /// What is guarded; one with the same number stands in the place of the one before.
        guard: Guard,
    },
    /// A guard ends. One that does not stand changes nothing, and nobody is answered.
    EndGuard {
        /// The account.
        account: AccountId,
        /// As in [`Guard::group`].
        group: u32,
        /// Whether the exchange cancels what it guards ([`Canceller::Exchange`]).
        cancels: bool,
    },
    /// Suspends an account or lets it trade again.
    SetAccount {
        /// The account.
        account: AccountId,
        /// What it may do from now on.
        state: AccountState,
        /// The fee tier of its orders from now on, below [`crate::limits::FEE_TIERS`].
        tier: u8,
    },
    /// Says what a symbol does from now on.
    SetSymbol {
        /// The symbol.
        symbol: SymbolId,
        /// What it does.
        state: SymbolState,
    },
    /// Time has passed: orders and timers that end now, end.
    Tick,
    /// A new asset.
    ListAsset(AssetListing),
    /// A new symbol, trading at once.
    List(Listing),
    /// The fees of a symbol for a tier, for orders that come from now on.
    SetFees {
        /// The symbol.
        symbol: SymbolId,
        /// Below [`crate::limits::FEE_TIERS`].
        tier: u8,
        /// What is charged.
        fees: Fees,
    },
}

/// The shards a command goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// One sequencer.
    One(usize),
    /// All of them.
    All,
}

impl Command {
    /// Which of so many sequencers it goes to.
    pub fn route(&self, sequencers: usize) -> Route {
        match (self.account(), self) {
            (Some(account), _) => Route::One(account.0 as usize % sequencers),
            (None, Command::SetSymbol { symbol, .. }) => Route::One(home_of(*symbol, sequencers)),
            (None, _) => Route::All,
        }
    }

    /// Whether the one who asks hears of it, once.
    pub fn is_answered(&self) -> bool {
        let of_exchange = matches!(self, Command::CancelAll { by: Canceller::Exchange, .. });
        !of_exchange && !matches!(self, Command::Tick | Command::TimeOut { .. } | Command::EndGuard { .. })
    }

    /// Whether it is taken while there is no space on the disk for what it leads to.
    ///
    /// Refused is what makes the exchange owe more than before: orders and their changes, money in, money held to be paid out
    /// or moved, what can be traded, and fees, which can wait. Taken is what ends things or keeps them from beginning: cancels,
    /// the timers and guards that cancel, the end of a withdrawal whose money has left already, and states of symbols and accounts,
    /// which are how an operator calms things down. Their number is bounded by what is there, or they come from few hands.
    /// Opening an account is taken, too: it is said at every login, and who wants to cancel logs in. It gives nobody money.
    pub fn is_taken_without_space(&self) -> bool {
        match self {
            Command::Submit(_) | Command::Amend(_) => false,
            Command::Deposit { .. } | Command::Withdraw { .. } | Command::Transfer { .. } => false,
            Command::ListAsset(_) | Command::List(_) | Command::SetFees { .. } => false,
            Command::Cancel { .. } | Command::CancelAll { .. } | Command::CancelAllAfter { .. } => true,
            Command::Guard { .. } | Command::EndGuard { .. } => true,
            Command::Tick | Command::TimeOut { .. } | Command::EndWithdrawal { .. } => true,
            Command::SetSymbol { .. } | Command::SetAccount { .. } | Command::Open { .. } => true,
        }
    }

    /// The account whose command it is; none for what concerns the whole exchange.
    pub fn account(&self) -> Option<AccountId> {
        match *self {
            Command::Open { account, .. } | Command::Deposit { account, .. } => Some(account),
            Command::Withdraw { account, .. } | Command::EndWithdrawal { account, .. } => Some(account),
            Command::Transfer { account, .. } | Command::SetAccount { account, .. } => Some(account),
            Command::Cancel { account, .. } | Command::CancelAll { account, .. } => Some(account),
            Command::CancelAllAfter { account, .. } | Command::TimeOut { account } => Some(account),
            Command::Guard { account, .. } | Command::EndGuard { account, .. } => Some(account),
            Command::Submit(Submit { account, .. }) | Command::Amend(Amend { account, .. }) => Some(account),
            Command::SetSymbol { .. } | Command::Tick => None,
            Command::ListAsset(_) | Command::List(_) | Command::SetFees { .. } => None,
        }
    }
}

/// The sequencer that speaks to a symbol's matcher for the operator.
pub fn home_of(symbol: SymbolId, sequencers: usize) -> usize {
    symbol.0 as usize % sequencers
}

/// A new order, already in ticks and lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// What happens to the part that does not trade at once.
    pub time_in_force: TimeInForce,
    /// What happens where it meets an order of its own account.
    pub self_trade: SelfTrade,
    /// The limit, or the protection price of a market order: the worst price it may trade at, and what a buyer's
    /// hold is computed from. 0 for a market order for which there was no reference: a new one is refused, a repeat
    /// gets its answer.
    pub price: Price,
    /// How many lots; 0 with [`Terms::Budget`].
    pub quantity: Quantity,
    /// What makes it more than a plain order.
    pub terms: Terms,
    /// The log time at which what rests of it is cancelled; 0 for never.
    pub expires: Timestamp,
    /// Any number, for a later [`Command::CancelAll`] of these alone: a gateway gives each connection one.
    pub group: u32,
}

impl Submit {
    /// A plain limit order, good till cancelled.
    pub fn limit(
        account: AccountId,
        symbol: SymbolId,
        order_id: ClientOrderId,
        side: Side,
        price: Price,
        quantity: Quantity,
    ) -> Submit {
        Submit {
            account,
            symbol,
            order_id,
            side,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Gtc,
            self_trade: SelfTrade::Allow,
            price,
            quantity,
            terms: Terms::Plain,
            expires: Timestamp(0),
            group: 0,
        }
    }
}

/// The kind of an order. The book knows limits only; this is what reports say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum OrderKind {
    /// Trades at its price or better.
    Limit = 0,
    /// Trades at the best there is, within its protection price; never rests.
    Market = 1,
}

/// What makes an order more than a plain one.
///
/// A stop waits outside the book until a trade of its symbol reaches the trigger (at or above it for a buyer, at or
/// below for a seller), and then enters as the limit or market order that it also is. Its money is held from the
/// start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Terms {
    /// Nothing.
    #[default]
    Plain,
    /// An iceberg: shows so many lots at a time.
    Iceberg {
        /// At least one lot, less than the quantity, and at least a part of it of which there are
        /// [`crate::limits::ICEBERG_REFILLS_MAX`].
        display: Quantity,
    },
    /// A market order for so much money instead of so many lots: a buyer spends at most this, fee included; a seller
    /// sells until one more lot would bring more than this.
    Budget {
        /// In atoms of the quote asset.
        quote: Amount,
    },
    /// A stop or, with [`OrderKind::Limit`], a stop-limit order.
    Stop {
        /// The trade price that sets it off.
        trigger: Price,
    },
    /// A stop whose trigger follows the market: `distance` below the highest trade price since it came for a seller,
    /// above the lowest for a buyer, and never away from the market.
    TrailingStop {
        /// The trigger to begin with.
        trigger: Price,
        /// In ticks, at least one.
        distance: Price,
    },
    /// One cancels the other: a limit order that rests, and a stop for the same lots. The stop is gone once the limit
    /// order has traded; the limit order leaves the book when the trigger is reached. It is one order with two ways
    /// out, so it has one id and one hold, of what the dearer way can cost.
    Oco {
        /// The trade price that sets the stop off.
        trigger: Price,
        /// The stop's limit or protection price.
        then: Price,
        /// Whether the stop becomes a limit or a market order.
        kind: OrderKind,
    },
}

impl Terms {
    /// Whether an iceberg of so many lots would show enough of them; any other order does.
    pub fn shows_enough_of(&self, quantity: Quantity) -> bool {
        match self {
            Terms::Iceberg { display } => quantity.0 <= display.0.saturating_mul(ICEBERG_REFILLS_MAX),
            _ => true,
        }
    }

    /// What an order with these terms is once its trigger is reached, given what it was: its price, kind and time in force.
    pub fn triggered(
        self,
        price: Price,
        kind: OrderKind,
        time_in_force: TimeInForce,
    ) -> (Price, OrderKind, TimeInForce) {
        match self {
            Terms::Oco { then, kind: OrderKind::Market, .. } => (then, OrderKind::Market, TimeInForce::Ioc),
            Terms::Oco { then, kind: OrderKind::Limit, .. } => (then, OrderKind::Limit, TimeInForce::Gtc),
            _ => (price, kind, time_in_force),
        }
    }

    /// Whether the order waits outside the book for its trigger.
    pub fn is_stop(&self) -> bool {
        matches!(self, Terms::Stop { .. } | Terms::TrailingStop { .. })
    }
}

/// A change to a live order. Fewer lots at the same price keep its place in the queue; anything else loses it and may
/// trade at once. If as many lots as the new quantity have traded already, the rest is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amend {
    /// The owner.
    pub account: AccountId,
    /// The symbol it was placed on.
    pub symbol: SymbolId,
    /// The owner's name for it.
    pub order_id: ClientOrderId,
    /// The new limit; `None` leaves it.
    pub price: Option<Price>,
    /// The new total quantity, what has traded included; `None` leaves it.
    pub quantity: Option<Quantity>,
}

/// Who wants orders of an account cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Canceller {
    /// Its owner, who is answered.
    Owner = 0,
    /// The exchange for an owner who has left: also where the owner could not, in a halted symbol. Nobody is answered.
    Exchange = 1,
}

/// The wish that orders of an account are cancelled should whoever guards them be gone: `cancel_on_disconnect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// Its number among the account's guards, and that of the orders that came with it ([`Submit::group`]).
    pub group: u32,
    /// Which orders it is about.
    pub scope: GuardScope,
    /// How long whoever guards may be away first. The engine has it for the one who finds the guard after a crash.
    pub grace_us: u64,
}

/// Which orders of an account a guard is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum GuardScope {
    /// Those with the guard's number.
    Group = 0,
    /// All.
    Account = 1,
}

/// What an account may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum AccountState {
    /// Everything.
    #[default]
    Active = 0,
    /// Cancel, but neither order nor move money.
    Suspended = 1,
}

/// What a symbol does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum SymbolState {
    /// Orders come and trade.
    #[default]
    Trading = 0,
    /// Orders only leave or get smaller.
    CancelOnly = 1,
    /// Nothing moves but what the exchange itself cancels.
    Halted = 2,
    /// Limit orders gather without trading; going on to [`SymbolState::Trading`] trades all that can at one price.
    Auction = 3,
    /// It is gone: all its orders are cancelled and it never comes back.
    Delisted = 4,
}

/// Fees of one symbol and tier, in tenths of a basis point (10^-5) of the notional. Negative is a rebate. Both are
/// pinned in an order when it is accepted. At most ±[`Fees::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fees {
    /// Of an order that was resting.
    pub maker: i16,
    /// Of an order that came in and traded.
    pub taker: i16,
}

impl Fees {
    /// 30 %: more than anybody asks, and little enough that a seller's fee never passes what the trade brings.
    pub const MAX: i16 = 30_000;
    /// Fee parts in one.
    pub const UNIT: i128 = 100_000;

    /// What an order must be able to pay, whatever it trades as.
    pub fn larger(self) -> i16 {
        self.maker.max(self.taker).max(0)
    }

    /// Whether both are within [`Fees::MAX`].
    pub fn are_valid(self) -> bool {
        [self.maker, self.taker].iter().all(|fee| (-Fees::MAX..=Fees::MAX).contains(fee))
    }
}

const _: () = assert!(size_of::<Input>() <= 144);

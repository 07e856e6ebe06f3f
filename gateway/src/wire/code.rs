//! Every way we say no.
//!
//! A code is told in three ways: its text (`code`), the number that clients of the Binance dialect know without its
//! sign (`num`), and the gRPC status that carries the same meaning. The list is the one of the protocol page and
//! grows only together with it.

use std::borrow::Cow;

/// What we say when we say no: the code for programs, the sentence for people.
///
/// It is built where the rule is checked; who the answer goes to is added later
/// ([`request::RequestError`](super::request::RequestError), or the session).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub code: ErrorCode,
    /// The key of the request that broke the rule, if it is one key's fault.
    pub field: Option<&'static str>,
    /// Names the field and the rule. Lower case, no full stop.
    pub message: Cow<'static, str>,
}

impl Refusal {
    /// A refusal that no single field is to blame for.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { code, field: None, message: message.into() }
    }

    /// A refusal because of one field. The message should name it.
    pub fn of_field(code: ErrorCode, field: &'static str, message: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { code, field: Some(field), message: message.into() }
    }
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident $text:literal $num:literal $grpc:literal)+) => {
        /// An error code of the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)+ }

        impl ErrorCode {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)+];

            /// The name in messages, `INSUFFICIENT_BALANCE`.
            pub const fn text(self) -> &'static str {
                match self { $(ErrorCode::$variant => $text,)+ }
            }

            /// The number in messages: the Binance code without its sign (4101 is ours).
            pub const fn num(self) -> u16 {
                match self { $(ErrorCode::$variant => $num,)+ }
            }

            /// The name of the gRPC status.
            pub const fn grpc_status(self) -> &'static str {
                match self { $(ErrorCode::$variant => $grpc,)+ }
            }
        }
    };
}

error_codes! {
    /// Our fault. The outcome is unknown: resend with the same order id.
    Internal "INTERNAL" 1000 "INTERNAL"
    /// A login is needed, or this way to log in is not allowed here.
    Unauthorized "UNAUTHORIZED" 1002 "UNAUTHENTICATED"
    /// Too many messages; the answer says when to try again.
    RateLimited "RATE_LIMITED" 1003 "RESOURCE_EXHAUSTED"
    /// No answer in time. The outcome is unknown: resend with the same order id.
    Timeout "TIMEOUT" 1007 "DEADLINE_EXCEEDED"
    /// A queue is full; nothing was done.
    Overloaded "OVERLOADED" 1008 "UNAVAILABLE"
    /// The price is not a multiple of the tick.
    PriceTick "PRICE_TICK" 1013 "INVALID_ARGUMENT"
    /// The quantity is not a multiple of the lot, or outside its limits.
    LotSize "LOT_SIZE" 1013 "INVALID_ARGUMENT"
    /// Price times quantity is below the least of the instrument.
    MinNotional "MIN_NOTIONAL" 1013 "INVALID_ARGUMENT"
    /// The price is too far from the market.
    PriceBand "PRICE_BAND" 1013 "INVALID_ARGUMENT"
    /// The account has as many open orders as it may have.
    TooManyOrders "TOO_MANY_ORDERS" 1015 "RESOURCE_EXHAUSTED"
    /// The exchange is stopping and takes nothing new.
    ShuttingDown "SHUTTING_DOWN" 1016 "UNAVAILABLE"
    /// An action that does not exist, or not yet.
    UnknownAction "UNKNOWN_ACTION" 1020 "UNIMPLEMENTED"
    /// The signed time is too old or in the future.
    StaleTimestamp "STALE_TIMESTAMP" 1021 "UNAUTHENTICATED"
    /// The signature does not fit key and text.
    BadSignature "BAD_SIGNATURE" 1022 "UNAUTHENTICATED"
    /// The address has as many connections as it may have.
    TooManyConnections "TOO_MANY_CONNECTIONS" 1034 "RESOURCE_EXHAUSTED"
    /// A required key is not there.
    MissingField "MISSING_FIELD" 1102 "INVALID_ARGUMENT"
    /// A key is there, its value is not acceptable.
    BadValue "BAD_VALUE" 1102 "INVALID_ARGUMENT"
    /// More decimals than the instrument has.
    BadPrecision "BAD_PRECISION" 1111 "INVALID_ARGUMENT"
    /// Terms of an order that do not go together, or an end that has passed.
    BadTerms "BAD_TERMS" 1128 "INVALID_ARGUMENT"
    /// No such channel.
    UnknownChannel "UNKNOWN_CHANNEL" 1121 "NOT_FOUND"
    /// No such symbol.
    UnknownSymbol "UNKNOWN_SYMBOL" 1121 "NOT_FOUND"
    /// The text is not one JSON object.
    InvalidJson "INVALID_JSON" 1135 "INVALID_ARGUMENT"
    /// The connection has as many channels as it may have.
    TooManySubscriptions "TOO_MANY_SUBSCRIPTIONS" 1191 "RESOURCE_EXHAUSTED"
    /// The free balance does not cover the order.
    InsufficientBalance "INSUFFICIENT_BALANCE" 2010 "FAILED_PRECONDITION"
    /// The order id was used before with another body.
    DuplicateOrderId "DUPLICATE_ORDER_ID" 2010 "ALREADY_EXISTS"
    /// A post-only order would have traded at once.
    PostOnlyWouldTake "POST_ONLY_WOULD_TAKE" 2010 "FAILED_PRECONDITION"
    /// The instrument is not trading.
    MarketClosed "MARKET_CLOSED" 2010 "FAILED_PRECONDITION"
    /// The instrument takes cancels only.
    CancelOnly "CANCEL_ONLY" 2010 "FAILED_PRECONDITION"
    /// The account may cancel, but neither order nor move money.
    AccountSuspended "ACCOUNT_SUSPENDED" 2010 "PERMISSION_DENIED"
    /// The order cannot be cancelled.
    CancelRejected "CANCEL_REJECTED" 2011 "FAILED_PRECONDITION"
    /// The order was filled or cancelled already.
    TooLate "TOO_LATE" 2011 "FAILED_PRECONDITION"
    /// No such order.
    UnknownOrder "UNKNOWN_ORDER" 2013 "NOT_FOUND"
    /// No such key.
    BadApiKey "BAD_API_KEY" 2015 "PERMISSION_DENIED"
    /// The key may not do this.
    Permission "PERMISSION" 2015 "PERMISSION_DENIED"
    /// The connection has that subscription already.
    AlreadySubscribed "ALREADY_SUBSCRIBED" 2035 "FAILED_PRECONDITION"
    /// The connection has no such subscription.
    NotSubscribed "NOT_SUBSCRIBED" 2036 "FAILED_PRECONDITION"
    /// Another change of the order is on its way.
    AmendPending "AMEND_PENDING" 2038 "FAILED_PRECONDITION"
    /// This kind of order cannot be changed.
    NotAmendable "NOT_AMENDABLE" 2038 "FAILED_PRECONDITION"
    /// The events asked for are no longer kept; a snapshot follows.
    ResumeTooOld "RESUME_TOO_OLD" 4101 "OUT_OF_RANGE"
}

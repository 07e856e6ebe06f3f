//! One client of the native protocol: what it is subscribed to, who it is, what it waits for.
//!
//! Sans-IO: text of a message comes in, payloads of answers go out through [`Host::say`], and what the client wants
//! done is asked of the [`Host`]. The reactor is one host; anything that can keep these promises is another.
//!
//! - here: messages to what they ask for; `rate`: how much it may say
//! - `market`: what it is subscribed to
//! - `trader`: who it is, what it waits for; `resume`: what it missed while it was away
//! - `trading`: what it asks of its orders; [`order`]: an order in the engine's numbers

mod market;
pub mod order;
pub(crate) mod rate;
mod resume;
mod trader;
mod trading;

pub use trader::{Guarding, Login};

use crate::history::reader::Entry;
use crate::rooms::view::View;
use crate::venue::Venue;
use crate::wire::code::{ErrorCode, Refusal};
use crate::wire::encode::control::{self, ErrorReply};
use crate::wire::encode::private::{self, ChangeReject, OrderReject};
use crate::wire::id::RequestId;
use crate::wire::request::{self, Action, AmendOrder, Buffers, CancelOrder};
use engine_core::message::{AccountView, Command, Guard, Reject, Report};
use engine_core::units::*;
use market::Subscription;
use rate::Bucket;
use trader::Trader;

/// What a session needs from whoever runs it.
pub trait Host {
    fn venue(&self) -> &Venue;
    fn now(&self) -> Timestamp;
    /// Sends one text message to the client, its payload written by `write`.
    fn say(&mut self, write: impl FnOnce(&mut Vec<u8>, &Venue));
    /// Makes sure that a room can be joined.
    fn open(&mut self, symbol: SymbolId, view: View) -> Result<(), Refusal>;
    /// The rooms it is in.
    fn rooms(&self) -> usize;
    /// Joins an open room; what the client must know comes by itself.
    fn join(&mut self, symbol: SymbolId, view: View);
    fn leave(&mut self, symbol: SymbolId, view: View);
    /// Has a fresh snapshot sent.
    fn resync(&mut self, symbol: SymbolId, view: View) -> Result<(), Refusal>;
    /// Hands a command to the engine; its answer will carry `request`.
    fn submit(&mut self, command: Command, request: u32) -> Result<(), Refusal>;
    /// The account of that name, opened and funded if it is new; its news come to this session from now on, and
    /// an [`AccountView`] with `request`. By the time that comes `guard` stands, however the connection ends.
    fn login(&mut self, name: &str, request: u32, guard: Option<Guard>) -> Result<LoggedIn, Refusal>;
    /// The account's news do not come to this session any more, and its guard ends without a consequence.
    fn logout(&mut self, account: AccountId, guard: Option<Guard>);
    /// A number for the orders of this connection.
    fn new_group(&mut self) -> u32;
    /// Asks for an [`AccountView`] with `request`.
    fn look(&mut self, account: AccountId, request: u32) -> Result<(), Refusal>;
    /// Whether the client takes what it is told: it can be told more that is not urgent.
    fn has_room(&self) -> bool;
    /// Asks the history for entries of the account, the first and the last of them given; [`Session::history`] gets as many of
    /// the first as fit, with `request`. False if there is no history, or it has too much to do.
    fn ask_history(&mut self, account: AccountId, entries: (u64, u64), request: u32) -> bool;
    /// A name for the paper account of a connection that has not logged in.
    fn anonymous_name(&self) -> String;
}

/// A login that worked.
#[derive(Clone, Copy, Debug)]
pub struct LoggedIn {
    pub account: AccountId,
    /// How often a session has guarded the whole account, this one included.
    pub guards: u32,
}

/// Limits of one session, from the configuration.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    pub channels_max: usize,
    pub rooms_max: usize,
    pub open_login: bool,
    pub control_per_second: u32,
    pub control_burst: u32,
    pub orders_per_second: u32,
    pub orders_burst: u32,
}

/// Rate-limited messages a client may send before it is disconnected: it was told each time.
const RATE_STRIKES_MAX: u16 = 1000;

/// The state of one client. Most only listen: what it takes to trade comes with the first word about it.
#[derive(Default)]
pub struct Session {
    subscriptions: Vec<Subscription>,
    trader: Option<Box<Trader>>,
    control: Bucket,
    orders: Bucket,
    strikes: u16,
}

// Ten million of them are 560 MB.
const _: () = assert!(size_of::<Session>() == 56);

/// The client should be disconnected.
#[derive(Debug, PartialEq, Eq)]
pub struct TooFast;

impl Session {
    /// Handles one text message; every message is answered.
    pub fn message(
        &mut self,
        text: &mut [u8],
        buffers: &mut Buffers,
        limits: &SessionLimits,
        host: &mut impl Host,
    ) -> Result<(), TooFast> {
        match request::decode(text, buffers) {
            Ok(request) => {
                let id = request.id.as_ref();
                let is_order = matches!(
                    request.action,
                    Action::SubmitOrder(_)
                        | Action::CancelOrder(_)
                        | Action::AmendOrder(_)
                        | Action::CancelAll { .. }
                        | Action::CancelAllAfter { .. }
                );
                match self.take_token(is_order, limits, host.now()) {
                    None => self.act(&request.action, id, limits, host),
                    wait_ms => refuse(&request.action, id, &self.strike()?, wait_ms, host),
                }
            }
            Err(mut error) => {
                let wait_ms = self.take_token(false, limits, host.now());
                if wait_ms.is_some() {
                    error.refusal = self.strike()?;
                }
                host.say(|out, _| control::request_error(out, &error, wait_ms));
            }
        }
        Ok(())
    }

    fn act(
        &mut self,
        action: &Action<'_>,
        id: Option<&RequestId>,
        limits: &SessionLimits,
        host: &mut impl Host,
    ) {
        let done = match action {
            Action::Subscribe(subscribe) => self.subscribe(subscribe, id, limits, host),
            Action::Unsubscribe { channel } => self.unsubscribe(channel, id, host),
            Action::ListSubscriptions => {
                let channels = self.subscriptions.iter().map(|subscription| &*subscription.channel);
                host.say(|out, _| control::subscriptions(out, id, channels));
                Ok(())
            }
            Action::Resync { channel } => self.resync(channel, limits, host),
            Action::Ping => {
                let now = host.now();
                host.say(|out, _| control::pong(out, id, now));
                Ok(())
            }
            Action::Auth(auth) => self.trader().auth(auth, id, limits, host),
            Action::SubmitOrder(order) => self.trader().submit(order, id, limits, host),
            Action::CancelOrder(cancel) => self.trader().cancel(cancel, id, limits, host),
            Action::AmendOrder(amend) => self.trader().amend(amend, id, limits, host),
            Action::CancelAll { symbol } => self.trader().cancel_all(*symbol, id, host),
            Action::CancelAllAfter { timeout_ms } => {
                self.trader().cancel_all_after(*timeout_ms, id, limits, host)
            }
        };
        if let Err(refusal) = done {
            refuse(action, id, &refusal, None, host);
        }
    }

    // ---- what the engine and the history say ------------------------------------------------------------------------

    fn trader(&mut self) -> &mut Trader {
        self.trader.get_or_insert_default()
    }

    /// The account, once there is one.
    pub fn account(&self) -> Option<AccountId> {
        Some(self.trader.as_ref()?.account.as_ref()?.id)
    }

    /// What is to be done now that the connection has ended, and for whom.
    pub fn farewell(&self) -> Option<(Guarding, &Login)> {
        self.trader.as_ref()?.farewell()
    }

    /// Whether a report is news to this client now. To a client that is coming back it is news later.
    pub fn hears(&mut self, report: &Report) -> bool {
        self.trader.as_mut().is_some_and(|trader| trader.hears(report))
    }

    /// Takes the client's id of a request that the engine has answered.
    pub fn take_request(&mut self, request: u32) -> Option<RequestId> {
        self.trader.as_mut()?.take_request(request)
    }

    /// The engine refuses something that is not about an order: money for a new account, or the dead-man timer.
    pub fn refused(&mut self, request: u32, reason: Reject, host: &mut impl Host) {
        if let Some(trader) = &mut self.trader {
            trader.refused(request, reason, host);
        }
    }

    /// The engine's answer to a login or a look.
    pub fn account_view(
        &mut self,
        request: u32,
        account: AccountId,
        view: &AccountView,
        host: &mut impl Host,
    ) {
        if let Some(trader) = &mut self.trader {
            trader.account_view(request, account, view, host);
        }
    }

    /// The history's answer: the entries that were asked for, as many of them as are a page.
    pub fn history(&mut self, request: u32, page: Option<Vec<Entry>>, host: &mut impl Host) {
        if let Some(trader) = &mut self.trader {
            trader.history(request, page, host);
        }
    }

    /// Whether [`go_on`](Session::go_on) may have something to do.
    pub fn is_coming_back(&self) -> bool {
        self.trader.as_ref().is_some_and(|trader| trader.is_coming_back())
    }

    /// Tells a returning client more, if there is room for it. Called whenever there may be.
    pub fn go_on(&mut self, host: &mut impl Host) {
        if let Some(trader) = &mut self.trader {
            trader.go_on(host);
        }
    }

    // ---- rates --------------------------------------------------------------------------------------------------

    /// Takes a message off its allowance, or says after how many milliseconds there is one.
    fn take_token(&mut self, is_order: bool, limits: &SessionLimits, now: Timestamp) -> Option<u64> {
        if is_order {
            self.orders.take(limits.orders_per_second, limits.orders_burst, now)
        } else {
            self.control.take(limits.control_per_second, limits.control_burst, now)
        }
    }

    /// Notes that it has said too much, and how it is told so.
    fn strike(&mut self) -> Result<Refusal, TooFast> {
        self.strikes += 1;
        if self.strikes > RATE_STRIKES_MAX {
            return Err(TooFast);
        }
        Ok(Refusal::new(ErrorCode::RateLimited, "too many messages, wait retry_after_ms"))
    }
}

/// Answers a refused request in the form its kind has.
fn refuse(
    action: &Action<'_>,
    id: Option<&RequestId>,
    refusal: &Refusal,
    retry_after_ms: Option<u64>,
    host: &mut impl Host,
) {
    let (name, channel) = match action {
        Action::SubmitOrder(order) => {
            let order_id = Some(order.order_id);
            return host.say(|out, _| {
                private::order_reject(out, &OrderReject { id, order_id, refusal, retry_after_ms })
            });
        }
        Action::CancelOrder(CancelOrder { order_id, .. })
        | Action::AmendOrder(AmendOrder { order_id, .. }) => {
            let (order_id, exchange_order_id) = (Some(*order_id), None);
            let reject = ChangeReject { id, order_id, exchange_order_id, refusal, retry_after_ms };
            let is_amend = matches!(action, Action::AmendOrder(_));
            return host.say(|out, _| match is_amend {
                true => private::amend_reject(out, &reject),
                false => private::cancel_reject(out, &reject),
            });
        }
        Action::Subscribe(subscribe) => ("subscribe", Some(subscribe.channel)),
        Action::Unsubscribe { channel } => ("unsubscribe", Some(*channel)),
        Action::Resync { channel } => ("resync", Some(*channel)),
        Action::ListSubscriptions => ("list_subscriptions", None),
        Action::Ping => ("ping", None),
        Action::Auth(_) => ("auth", None),
        Action::CancelAll { .. } => ("cancel_all", None),
        Action::CancelAllAfter { .. } => ("cancel_all_after", None),
    };
    host.say(|out, _| {
        control::error(out, &ErrorReply { id, action: Some(name), channel, refusal, retry_after_ms })
    });
}

fn unknown_symbol(symbol: &str) -> Refusal {
    Refusal::of_field(ErrorCode::UnknownSymbol, "symbol", format!("symbol {symbol:?} is not listed"))
}

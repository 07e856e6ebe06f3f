//! One client of the native protocol: what it is subscribed to, who it is, what it waits for.
//!
//! Sans-IO: text of a message comes in, payloads of answers go out through [`Host::say`], and what the client wants
//! done is asked of the [`Host`]. The reactor is one host; anything that can keep these promises is another.
//!
//! - here: what it is subscribed to, who it is, what it waits for
//! - `trading`: what it asks of its orders; [`order`]: an order in the engine's numbers
//! - `resume`: what it missed while it was away; `rate`: how much it may say

pub mod order;
mod rate;
mod resume;
mod trading;

use crate::accounts::{ANONYMOUS, is_anonymous};
use crate::rooms::view::{Channel, View};
use crate::venue::Venue;
use crate::wire::code::{ErrorCode, Refusal};
use crate::wire::encode::control::{self, AuthAck, ErrorReply};
use crate::wire::encode::private::{self, ChangeReject, OrderReject};
use crate::wire::id::RequestId;
use crate::wire::name::{CancelScope, OnSlow};
use crate::wire::request::{
    self, Action, AmendOrder, Auth, Buffers, CancelOnDisconnect, CancelOrder, Credentials, Streams, Subscribe,
};
use engine_core::message::{AccountView, Command, Guard, GuardScope, Reject};
use engine_core::units::*;
use rate::Bucket;
use resume::Resume;
use std::collections::VecDeque;

/// What a session needs from whoever runs it.
pub trait Host {
    fn venue(&self) -> &Venue;
    fn now(&self) -> Timestamp;
    /// Sends one text message to the client, its payload written by `write`.
    fn say(&mut self, write: impl FnOnce(&mut Vec<u8>, &Venue));
    /// Makes sure that a room can be joined.
    fn open(&mut self, symbol: SymbolId, view: View) -> Result<(), Refusal>;
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
    pub open_login: bool,
    pub control_per_second: u32,
    pub control_burst: u32,
    pub orders_per_second: u32,
    pub orders_burst: u32,
}

/// Rate-limited messages a client may send before it is disconnected: it was told each time.
const RATE_STRIKES_MAX: u16 = 1000;

/// Answers a session may wait for. More are refused: a client with that many open requests does not read.
const PENDING_MAX: usize = 16_384;

/// The state of one client.
#[derive(Default)]
pub struct Session {
    account: Option<Login>,
    /// What it missed is on the way.
    resume: Option<Resume>,
    /// A look at the account could not be asked for, and must be.
    lacks_view: bool,
    /// What is to be done when the connection ends.
    guarding: Option<Guarding>,
    /// The number of this connection's orders and of its guard, once there are any.
    group: Option<u32>,
    subscriptions: Vec<Subscription>,
    /// Requests whose answer comes from the engine, by the number it will carry.
    pending: VecDeque<(u32, Pending)>,
    next_request: u32,
    control: Bucket,
    orders: Bucket,
    strikes: u16,
}

/// Who a session is.
pub struct Login {
    pub id: AccountId,
    /// The last entry of the account's history before this login; what came earlier is not news. None until the
    /// engine has said.
    since: Option<u64>,
    pub name: Box<str>,
    /// Whether the client named it; an anonymous account can still be left for a named one.
    named: bool,
}

/// What a session wants done when it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarding {
    pub guard: Guard,
    /// As in [`LoggedIn::guards`].
    pub number: u32,
}

struct Subscription {
    channel: Box<str>,
    /// None for the private channel.
    market: Option<(SymbolId, Streams)>,
}

enum Pending {
    /// An order or a cancel: the id to repeat.
    Request(RequestId),
    /// A login, and the last entry that the client has, if it wants the later ones.
    Auth(Option<RequestId>, Option<u64>),
    /// The dead-man timer.
    Timer(Option<RequestId>),
    User,
    /// The view that comes with an anonymous login interests nobody.
    Nobody,
}

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
                if let Some(wait_ms) = self.take_token(is_order, limits, host.now()) {
                    return self.rate_limited(&request.action, id, wait_ms, host);
                }
                self.act(&request.action, id, limits, host);
            }
            Err(error) => {
                if let Some(wait_ms) = self.take_token(false, limits, host.now()) {
                    return self.rate_limited(&Action::Ping, error.id.as_ref(), wait_ms, host);
                }
                host.say(|out, _| control::request_error(out, &error));
            }
        }
        Ok(())
    }

    /// The account, once there is one.
    pub fn account(&self) -> Option<AccountId> {
        self.account.as_ref().map(|login| login.id)
    }

    /// Takes the client's id of a request that the engine has answered.
    pub fn take_request(&mut self, request: u32) -> Option<RequestId> {
        match self.take_pending(request)? {
            Pending::Request(id) => Some(id),
            Pending::Timer(id) => id,
            _ => None,
        }
    }

    /// What is to be done now that the connection has ended, and for whom.
    pub fn farewell(&self) -> Option<(Guarding, &Login)> {
        Some((self.guarding?, self.account.as_ref()?))
    }

    /// The engine refuses something that is not about an order: money for a new account, or the dead-man timer.
    pub fn refused(&mut self, request: u32, reason: Reject, host: &mut impl Host) {
        let (action, id) = match self.take_pending(request) {
            Some(Pending::Timer(id)) => ("cancel_all_after", id),
            Some(Pending::Auth(id, _)) => ("auth", id),
            Some(Pending::Nobody) => ("auth", None),
            // An account's money comes in several commands, and the first refusal ended the login.
            Some(Pending::Request(_) | Pending::User) | None => return,
        };
        if action == "auth"
            && let Some(login) = &self.account
        {
            tracing::warn!(account = &*login.name, ?reason, "a new account was not opened or funded");
            self.log_out(host);
        }
        let refusal = &crate::reports::refusal(reason);
        let (id, action, channel, retry_after_ms) = (id.as_ref(), Some(action), None, None);
        host.say(|out, _| control::error(out, &ErrorReply { id, action, channel, refusal, retry_after_ms }));
    }

    fn log_out(&mut self, host: &mut impl Host) {
        (self.resume, self.lacks_view) = (None, false);
        if let Some(login) = self.account.take() {
            host.logout(login.id, self.guarding.take().map(|guarding| guarding.guard));
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
        // An anonymous account may have been left for a named one since.
        let Some(login) = self.account.as_mut().filter(|login| login.id == account) else {
            return self.forget(request);
        };
        login.since.get_or_insert(view.exec_sequence);
        match self.take_pending(request) {
            Some(Pending::Auth(id, resume_from)) => self.logged_in(id, resume_from, view, host),
            Some(Pending::User) => {
                let now = host.now();
                host.say(|out, venue| crate::reports::account_snapshot(out, venue, view, now))
            }
            _ => {}
        }
    }

    fn logged_in(
        &mut self,
        id: Option<RequestId>,
        resume_from: Option<u64>,
        view: &AccountView,
        host: &mut impl Host,
    ) {
        let Some(login) = &self.account else { return };
        let exec_seq = view.exec_sequence;
        if let Some(after) = resume_from
            && after > exec_seq
        {
            self.log_out(host);
            let message = format!("resume_from must be at most {exec_seq}, the account's last entry");
            let refusal = &Refusal::of_field(ErrorCode::BadValue, "resume_from", message);
            let (id, action, channel, retry_after_ms) = (id.as_ref(), Some("auth"), None, None);
            let error = ErrorReply { id, action, channel, refusal, retry_after_ms };
            return host.say(|out, _| control::error(out, &error));
        }
        let (account, open_orders) = (&*login.name, view.orders.len() as u64);
        host.say(|out, _| {
            control::auth_ack(out, &AuthAck { id: id.as_ref(), account, exec_seq, open_orders })
        });
        self.resume = resume_from.map(|after| Resume::new(id, after, exec_seq));
        self.go_on(host);
    }

    fn take_pending(&mut self, request: u32) -> Option<Pending> {
        // Answers come nearly in the order of the requests, so it is at the front or close to it.
        let at = self.pending.iter().position(|(number, _)| *number == request)?;
        self.pending.remove(at).map(|(_, pending)| pending)
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
            Action::Resync { channel } => self.resync(channel, host),
            Action::Ping => {
                let now = host.now();
                host.say(|out, _| control::pong(out, id, now));
                Ok(())
            }
            Action::Auth(auth) => self.auth(auth, id, limits, host),
            Action::SubmitOrder(order) => self.submit(order, id, limits, host),
            Action::CancelOrder(cancel) => self.cancel(cancel, id, limits, host),
            Action::AmendOrder(amend) => self.amend(amend, id, limits, host),
            Action::CancelAll { symbol } => self.cancel_all(*symbol, id, host),
            Action::CancelAllAfter { timeout_ms } => self.cancel_all_after(*timeout_ms, id, limits, host),
        };
        if let Err(refusal) = done {
            refuse(action, id, &refusal, None, host);
        }
    }

    // ---- market data --------------------------------------------------------------------------------------------

    fn subscribe(
        &mut self,
        subscribe: &Subscribe<'_>,
        id: Option<&RequestId>,
        limits: &SessionLimits,
        host: &mut impl Host,
    ) -> Result<(), Refusal> {
        not_yet("depth", subscribe.depth.is_some())?;
        not_yet("interval_ms", subscribe.interval_ms.is_some())?;
        not_yet("checksum", subscribe.checksum == Some(true))?;
        not_yet("on_slow", subscribe.on_slow == Some(OnSlow::Disconnect))?;
        if self.subscriptions.len() >= limits.channels_max {
            let message = format!("a connection may have {} channels", limits.channels_max);
            return Err(Refusal::new(ErrorCode::TooManySubscriptions, message));
        }
        if self.subscriptions.iter().any(|subscription| &*subscription.channel == subscribe.channel) {
            return Err(already(format!("channel {} is subscribed", subscribe.channel)));
        }
        let market = self.market_of(subscribe, host.venue())?;
        // Everything that can fail comes before the ack; the ack comes before what it promises.
        match market {
            Some((symbol, streams)) => {
                View::covering(streams).try_for_each(|view| host.open(symbol, view))?;
                host.say(|out, _| control::subscription_ack(out, id, subscribe));
                View::covering(streams).for_each(|view| host.join(symbol, view));
            }
            None => {
                let account = self.require_account(limits, host)?;
                let request = self.expect(Pending::User)?;
                host.look(account, request).inspect_err(|_| self.forget(request))?;
                host.say(|out, _| control::subscription_ack(out, id, subscribe));
            }
        }
        self.subscriptions.push(Subscription { channel: subscribe.channel.into(), market });
        Ok(())
    }

    /// What a channel name and the request's streams lead to. `None` is the private channel.
    fn market_of(
        &self,
        subscribe: &Subscribe<'_>,
        venue: &Venue,
    ) -> Result<Option<(SymbolId, Streams)>, Refusal> {
        let unknown = || {
            let message = format!("channel {:?} is not one of ours", subscribe.channel);
            Refusal::of_field(ErrorCode::UnknownChannel, "channel", message)
        };
        let (symbol, of_name) = match Channel::parse(subscribe.channel).ok_or_else(unknown)? {
            Channel::User => return Ok(None),
            Channel::Market { symbol, streams } => {
                (venue.instrument(symbol).ok_or_else(unknown)?.id, streams)
            }
        };
        if of_name.is_some() && subscribe.streams.is_some() {
            let message = "streams: the channel name says already which stream";
            return Err(Refusal::of_field(ErrorCode::BadValue, "streams", message));
        }
        let streams = of_name.or(subscribe.streams).unwrap_or(Streams::DEFAULT);
        for subscription in &self.subscriptions {
            // Two subscriptions that carry the same stream would deliver its messages twice.
            if let Some((of, has)) = subscription.market
                && of == symbol
                && has.iter().any(|stream| streams.has(stream))
            {
                return Err(already(format!(
                    "channel {} delivers this stream already",
                    subscription.channel
                )));
            }
        }
        Ok(Some((symbol, streams)))
    }

    fn unsubscribe(
        &mut self,
        channel: &str,
        id: Option<&RequestId>,
        host: &mut impl Host,
    ) -> Result<(), Refusal> {
        let at = self.find(channel)?;
        if let Some((symbol, streams)) = self.subscriptions.swap_remove(at).market {
            View::covering(streams).for_each(|view| host.leave(symbol, view));
        }
        host.say(|out, _| control::unsubscription_ack(out, id, channel));
        Ok(())
    }

    fn resync(&mut self, channel: &str, host: &mut impl Host) -> Result<(), Refusal> {
        let at = self.find(channel)?;
        match self.subscriptions[at].market {
            Some((symbol, streams)) => View::covering(streams).try_for_each(|view| host.resync(symbol, view)),
            None => {
                let account = self.account().expect("the private channel has an account");
                let request = self.expect(Pending::User)?;
                host.look(account, request).inspect_err(|_| self.forget(request))
            }
        }
    }

    fn find(&self, channel: &str) -> Result<usize, Refusal> {
        let at = self.subscriptions.iter().position(|subscription| &*subscription.channel == channel);
        at.ok_or_else(|| {
            let message = format!("channel {channel:?} is not subscribed");
            Refusal::of_field(ErrorCode::NotSubscribed, "channel", message)
        })
    }

    // ---- who it is ----------------------------------------------------------------------------------------------

    fn auth(
        &mut self,
        auth: &Auth<'_>,
        id: Option<&RequestId>,
        limits: &SessionLimits,
        host: &mut impl Host,
    ) -> Result<(), Refusal> {
        let name = match auth.credentials {
            Credentials::Open { account } => account,
            Credentials::Signed { .. } => {
                return Err(Refusal::of_field(
                    ErrorCode::BadApiKey,
                    "key",
                    "key: no API keys are configured here",
                ));
            }
        };
        require_open_login(limits)?;
        not_reserved(name)?;
        if let Some(login) = &self.account
            && login.named
        {
            let message = format!("account: this connection is logged in to {:?}", login.name);
            return Err(Refusal::of_field(ErrorCode::BadValue, "account", message));
        }
        let request = self.expect(Pending::Auth(id.copied(), auth.resume_from))?;
        let guard = auth.cancel_on_disconnect.map(|wish| self.guard(wish, host));
        let LoggedIn { account, guards } =
            host.login(name, request, guard).inspect_err(|_| self.forget(request))?;
        self.guarding = guard.map(|guard| Guarding { guard, number: guards });
        let login = Login { id: account, since: None, name: name.into(), named: true };
        if let Some(anonymous) = self.account.replace(login) {
            host.logout(anonymous.id, None);
        }
        Ok(())
    }

    /// A client's wish in the engine's words.
    fn guard(&mut self, wish: CancelOnDisconnect, host: &mut impl Host) -> Guard {
        let scope = match wish.scope {
            CancelScope::Connection => GuardScope::Group,
            CancelScope::Account => GuardScope::Account,
        };
        Guard { group: self.group(host), scope, grace_us: wish.grace_ms as u64 * 1000 }
    }

    fn group(&mut self, host: &mut impl Host) -> u32 {
        *self.group.get_or_insert_with(|| host.new_group())
    }

    /// The account of the session; without a login, a paper account of its own.
    fn require_account(
        &mut self,
        limits: &SessionLimits,
        host: &mut impl Host,
    ) -> Result<AccountId, Refusal> {
        if let Some(login) = &self.account {
            return Ok(login.id);
        }
        require_open_login(limits)?;
        let name = host.anonymous_name();
        let request = self.expect(Pending::Nobody)?;
        let LoggedIn { account, .. } =
            host.login(&name, request, None).inspect_err(|_| self.forget(request))?;
        self.account = Some(Login { id: account, since: None, name: name.into(), named: false });
        Ok(account)
    }

    // ---- what it waits for ------------------------------------------------------------------------------------------

    /// Numbers a request whose answer comes from the engine.
    fn expect(&mut self, pending: Pending) -> Result<u32, Refusal> {
        if self.pending.len() >= PENDING_MAX {
            return Err(Refusal::new(
                ErrorCode::Overloaded,
                "too many requests of this connection are unanswered",
            ));
        }
        let request = self.number();
        self.pending.push_back((request, pending));
        Ok(request)
    }

    /// 0 means that no id is to be repeated.
    fn number(&mut self) -> u32 {
        self.next_request = self.next_request.wrapping_add(1).max(1);
        self.next_request
    }

    fn forget(&mut self, request: u32) {
        self.pending.retain(|(number, _)| *number != request);
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

    fn rate_limited(
        &mut self,
        action: &Action<'_>,
        id: Option<&RequestId>,
        wait_ms: u64,
        host: &mut impl Host,
    ) -> Result<(), TooFast> {
        self.strikes += 1;
        if self.strikes > RATE_STRIKES_MAX {
            return Err(TooFast);
        }
        let refusal = Refusal::new(ErrorCode::RateLimited, "too many messages, wait retry_after_ms");
        refuse(action, id, &refusal, Some(wait_ms), host);
        Ok(())
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

fn not_yet(field: &'static str, asked: bool) -> Result<(), Refusal> {
    if !asked {
        return Ok(());
    }
    Err(Refusal::of_field(ErrorCode::BadValue, field, format!("{field}: not available in this version")))
}

fn already(message: String) -> Refusal {
    Refusal::of_field(ErrorCode::AlreadySubscribed, "channel", message)
}

fn unknown_symbol(symbol: &str) -> Refusal {
    Refusal::of_field(ErrorCode::UnknownSymbol, "symbol", format!("symbol {symbol:?} is not listed"))
}

/// What connections that do not log in are called is nobody's to log in to.
fn not_reserved(name: &str) -> Result<(), Refusal> {
    if !is_anonymous(name) {
        return Ok(());
    }
    let message = format!("account: names that begin with {ANONYMOUS} are given by the exchange");
    Err(Refusal::of_field(ErrorCode::BadValue, "account", message))
}

fn require_open_login(limits: &SessionLimits) -> Result<(), Refusal> {
    if limits.open_login {
        return Ok(());
    }
    Err(Refusal::new(ErrorCode::Unauthorized, "open login is off here: log in with an API key"))
}

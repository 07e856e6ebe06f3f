//! Who a client is and what it waits for: the part of a session that those who only listen do without.

use super::resume::Resume;
use super::{Host, LoggedIn, SessionLimits};
use crate::accounts::{ANONYMOUS, is_anonymous};
use crate::wire::code::{ErrorCode, Refusal};
use crate::wire::encode::control::{self, AuthAck, ErrorReply};
use crate::wire::id::RequestId;
use crate::wire::name::CancelScope;
use crate::wire::request::{Auth, CancelOnDisconnect, Credentials};
use engine_core::message::{AccountView, Guard, GuardScope, Reject};
use engine_core::units::AccountId;
use std::collections::VecDeque;

/// Answers a session may wait for. More are refused: a client with that many open requests does not read.
const PENDING_MAX: usize = 16_384;

/// A client that trades, or has asked for something of an account.
#[derive(Default)]
pub(super) struct Trader {
    pub account: Option<Login>,
    /// What it missed is on the way.
    pub resume: Option<Resume>,
    /// A look at the account could not be asked for, and must be.
    pub lacks_view: bool,
    /// What is to be done when the connection ends.
    guarding: Option<Guarding>,
    /// The number of this connection's orders and of its guard, once there are any.
    group: Option<u32>,
    /// Requests whose answer comes from the engine, by the number it will carry.
    pending: VecDeque<(u32, Pending)>,
    next_request: u32,
}

/// Who a session is.
pub struct Login {
    pub id: AccountId,
    /// The last entry of the account's history before this login; what came earlier is not news. None until the
    /// engine has said.
    pub(super) since: Option<u64>,
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

/// What an answer of the engine is for.
pub(super) enum Pending {
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

impl Trader {
    /// Takes the client's id of a request that the engine has answered.
    pub(super) fn take_request(&mut self, request: u32) -> Option<RequestId> {
        match self.take_pending(request)? {
            Pending::Request(id) => Some(id),
            Pending::Timer(id) => id,
            _ => None,
        }
    }

    /// What is to be done now that the connection has ended, and for whom.
    pub(super) fn farewell(&self) -> Option<(Guarding, &Login)> {
        Some((self.guarding?, self.account.as_ref()?))
    }

    /// The engine refuses something that is not about an order: money for a new account, or the dead-man timer.
    pub(super) fn refused(&mut self, request: u32, reason: Reject, host: &mut impl Host) {
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
        // The next login has a number of its own: that this one's guard ends may be said after the next has begun.
        (self.resume, self.lacks_view, self.group) = (None, false, None);
        if let Some(login) = self.account.take() {
            host.logout(login.id, self.guarding.take().map(|guarding| guarding.guard));
        }
    }

    /// The engine's answer to a login or a look.
    pub(super) fn account_view(
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

    pub(super) fn auth(
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

    pub(super) fn group(&mut self, host: &mut impl Host) -> u32 {
        *self.group.get_or_insert_with(|| host.new_group())
    }

    /// The account of the session; without a login, a paper account of its own.
    pub(super) fn require_account(
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

    /// Numbers a request whose answer comes from the engine.
    pub(super) fn expect(&mut self, pending: Pending) -> Result<u32, Refusal> {
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

    /// Has the account shown to the client.
    pub(super) fn look(&mut self, account: AccountId, host: &mut impl Host) -> Result<(), Refusal> {
        let request = self.expect(Pending::User)?;
        host.look(account, request).inspect_err(|_| self.forget(request))
    }

    /// 0 means that no id is to be repeated.
    pub(super) fn number(&mut self) -> u32 {
        self.next_request = self.next_request.wrapping_add(1).max(1);
        self.next_request
    }

    pub(super) fn forget(&mut self, request: u32) {
        self.pending.retain(|(number, _)| *number != request);
    }
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

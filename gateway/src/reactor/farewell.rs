//! `cancel_on_disconnect`: what is done for a client when its connection has ended, however it ended.
//!
//! A farewell waits for its grace and then has the engine cancel the orders of the connection or of the account. It
//! lives in the reactor of the connection that ended; that the account has come back, maybe at another reactor, is read
//! from [`Accounts`](crate::accounts::Accounts) when the grace is over. A farewell for the account is called off
//! - at the end of the connection, if a later login took the guard over: a client that lost its connection without either
//!   side noticing is back long before the server sees the old connection end;
//! - at the end of the grace, if anybody has logged in to the account since.
//!
//! One for the connection is never called off: its orders are the connection's, and it does not come back.

use super::{Reactor, Shell};
use crate::session::Session;
use crate::wire::code::{ErrorCode, Refusal};
use crate::wire::name::CancelScope;
use engine_core::message::{Command, Input, Origin};
use engine_core::units::AccountId;
use std::time::Duration;

/// Connections of a reactor that have asked for a farewell, or whose farewell waits. An entry is small; the bound is
/// there because connections come and go faster than a grace of a minute ends.
pub(super) const GUARDS_MAX: usize = 1 << 16;

/// How long a farewell waits that the engine has no room for.
const RETRY: Duration = Duration::from_millis(1);

/// The engine answers a farewell to nobody: no connection has this number.
const NOBODY: u32 = u32::MAX;

/// What is to be done.
pub(super) struct Farewell {
    account: AccountId,
    /// Only the orders with this number.
    group: Option<u32>,
    /// It is called off unless the account of that name has had so many logins still.
    unless_back: Option<(Box<str>, u32)>,
    grace: Duration,
}

impl Reactor {
    /// Whether one more connection can ask for a farewell.
    pub(super) fn check_guards(&self) -> Result<(), Refusal> {
        if self.guards < GUARDS_MAX {
            return Ok(());
        }
        let (field, rule) = ("cancel_on_disconnect", "too many connections ask for it now, try again");
        Err(Refusal::of_field(ErrorCode::Overloaded, field, format!("{field}: {rule}")))
    }

    /// A client's connection has ended: nothing comes to it any more, and its farewell begins.
    pub(super) fn end_session(&mut self, at: usize, session: &Session) {
        if let Some(account) = session.account() {
            self.unwatch(account, at);
        }
        let Some((guard, login, group)) = session.farewell() else { return };
        let grace = Duration::from_millis(guard.wish.grace_ms as u64);
        let (group, unless_back) = match guard.wish.scope {
            CancelScope::Connection => (group, None),
            CancelScope::Account => {
                let presence = self.shared.accounts.presence(&login.name);
                let is_taken_over = presence.guards != guard.number;
                (None, (!is_taken_over).then(|| (login.name.clone(), presence.logins)))
            }
        };
        if group.is_none() && unless_back.is_none() {
            self.guards -= 1; // it sent no orders, or somebody else looks after them
            return;
        }
        let key = self.farewells.insert(Farewell { account: login.id, group, unless_back, grace });
        self.new_farewells.push(key);
        self.want_turn();
    }

    /// Starts the clocks of the farewells that have begun since.
    pub(super) fn spawn_farewells(&mut self, shell: &Shell) {
        for key in self.new_farewells.drain(..) {
            monoio::spawn(farewell(shell.clone(), key, self.farewells[key].grace));
        }
    }

    /// Ends the grace of all of them: the server stops.
    pub(super) fn hurry_farewells(&mut self) {
        let keys: Vec<usize> = self.farewells.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.say_farewell(key);
        }
        self.port.flush();
    }

    /// Says it, unless it was called off. False if the engine had no room for it.
    fn say_farewell(&mut self, key: usize) -> bool {
        let Some(Farewell { account, group, unless_back, .. }) = self.farewells.get(key) else { return true };
        let is_back = unless_back
            .as_ref()
            .is_some_and(|(name, logins)| self.shared.accounts.presence(name).logins != *logins);
        if !is_back {
            let command = Command::CancelAll { account: *account, symbol: None, group: *group };
            let origin = Origin { port: self.port.index(), session: NOBODY, request: 0 };
            let input = Input { origin, at: super::clock(), ticket: 0, command };
            if self.port.submit(input).is_err() {
                return false;
            }
            self.want_turn(); // which flushes the port
        }
        self.farewells.remove(key);
        self.guards -= 1;
        true
    }
}

async fn farewell(shell: Shell, key: usize, grace: Duration) {
    monoio::time::sleep(grace).await;
    while !shell.borrow_mut().say_farewell(key) {
        monoio::time::sleep(RETRY).await;
    }
}

//! `cancel_on_disconnect`: what is done for a client when its connection has ended, however it ended.
//!
//! The wish is a guard in the engine's log from the login on ([`Command::Guard`]); a farewell is how it ends there. A
//! farewell waits for its grace and then has the engine end the guard, and cancel what it guards: the orders of the
//! connection or of the account. It lives in the reactor of the connection that ended; that the account has come back,
//! maybe at another reactor, is read from [`Accounts`](crate::accounts::Accounts) when the grace is over. Who came back has
//! ended the guard in the log by then, before the login was answered, so that no crash forgets it. A farewell for the
//! account is called off, which means that the guard ends and nothing else happens,
//! - at the end of the connection, if a later login took the guard over: a client that lost its connection without either
//!   side noticing is back long before the server sees the old connection end;
//! - at the end of the grace, if anybody has logged in to the account since.
//!
//! One for the connection is never called off: its orders are the connection's, and it does not come back.
//!
//! A crash ends every connection. The guards that a recovery finds get their farewells at the first reactor, whose grace
//! begins when clients can come back; those without a grace the recovery has ended itself. A stop leaves those whose grace is
//! not over in the log, so that the next start finds them as after a crash.

use super::{Reactor, Shell};
use crate::recovery::Bereft;
use crate::session::{Guarding, Session};
use crate::wire::code::{ErrorCode, Refusal};
use engine_core::message::{Command, Guard, GuardScope, Input, Origin};
use engine_core::units::AccountId;
use std::time::{Duration, Instant};

/// Connections of a reactor that have asked for a farewell, or whose farewell waits. An entry is small; the bound is
/// there because connections come and go faster than a grace of a minute ends.
pub(super) const GUARDS_MAX: usize = 1 << 16;

/// How long a farewell waits that the engine has no room for.
const RETRY: Duration = Duration::from_millis(1);

/// The engine answers a farewell to nobody: no connection has this number.
const NOBODY: u32 = u32::MAX;

/// How a guard ends.
pub(super) struct Farewell {
    account: AccountId,
    /// The guard's number.
    group: u32,
    grace: Duration,
    begun: Instant,
    end: End,
}

/// Whether what is guarded is cancelled.
enum End {
    Cancels,
    /// Unless the account of that name has had other than so many logins by then.
    CancelsUnlessBack(Box<str>, u32),
    CalledOff,
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
        let Some((Guarding { guard, number }, login)) = session.farewell() else { return };
        if guard.scope == GuardScope::Group {
            return self.begin(login.id, &guard, End::Cancels);
        }
        match self.shared.accounts.leave(&login.name, number, guard.group) {
            Some(logins) => self.begin(login.id, &guard, End::CancelsUnlessBack(login.name.clone(), logins)),
            None => self.call_off(login.id, &guard), // somebody else looks after them
        }
    }

    /// A guard ends without a consequence.
    pub(super) fn call_off(&mut self, account: AccountId, guard: &Guard) {
        self.begin(account, &Guard { grace_us: 0, ..*guard }, End::CalledOff);
    }

    /// A guard has outlived its connection, by a crash or a stop. Since then all logins are counted.
    pub(super) fn begin_bereft(&mut self, Bereft { account, name, guard }: Bereft) {
        self.guards += 1;
        let end = match (guard.scope, name) {
            (GuardScope::Account, Some(name)) => End::CancelsUnlessBack(name.as_str().into(), 0),
            _ => End::Cancels,
        };
        self.begin(account, &guard, end);
    }

    fn begin(&mut self, account: AccountId, guard: &Guard, end: End) {
        let grace = Duration::from_micros(guard.grace_us);
        let begun = Instant::now();
        let key = self.farewells.insert(Farewell { account, group: guard.group, grace, begun, end });
        self.new_farewells.push(key);
        self.want_turn();
    }

    /// Starts the clocks of the farewells that have begun since.
    pub(super) fn spawn_farewells(&mut self, shell: &Shell) {
        for key in self.new_farewells.drain(..) {
            // A server that stops may have said it already.
            if let Some(Farewell { grace, .. }) = self.farewells.get(key) {
                monoio::spawn(farewell(shell.clone(), key, *grace));
            }
        }
    }

    /// The server stops: says those farewells that need not wait. One whose grace is not over stays, and its guard in the
    /// engine's log. False if the engine had no room for all.
    pub(super) fn hurry_farewells(&mut self) -> bool {
        let waits = |farewell: &Farewell| farewell.begun.elapsed() < farewell.grace && self.cancels(farewell);
        let due = self.farewells.iter().filter(|(_, farewell)| !waits(farewell)).map(|(key, _)| key);
        let due: Vec<usize> = due.collect();
        let unsaid = due.into_iter().filter(|key| !self.say_farewell(*key)).count();
        self.port.flush();
        unsaid == 0
    }

    fn cancels(&self, farewell: &Farewell) -> bool {
        match &farewell.end {
            End::Cancels => true,
            End::CancelsUnlessBack(name, logins) => self.shared.accounts.presence(name).logins == *logins,
            End::CalledOff => false,
        }
    }

    /// Ends the guard, which takes its orders along unless it was called off. False if the engine had no room for it.
    fn say_farewell(&mut self, key: usize) -> bool {
        let Some(farewell) = self.farewells.get(key) else { return true };
        let cancels = self.cancels(farewell);
        let command = Command::EndGuard { account: farewell.account, group: farewell.group, cancels };
        let origin = Origin { port: self.port.index(), session: NOBODY, request: 0 };
        let input = Input { origin, at: super::clock(), ticket: 0, command };
        if self.port.submit(input).is_err() {
            return false;
        }
        self.want_turn(); // which flushes the port
        let Farewell { group, end, .. } = self.farewells.remove(key);
        if let End::CancelsUnlessBack(name, _) = end {
            self.shared.accounts.stop_waiting(&name, group);
        }
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

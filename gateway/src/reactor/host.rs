//! The reactor as a session sees it.

use super::Reactor;
use super::connection::PAUSE_BYTES;
use crate::accounts::{Entered, Login, anonymous_name};
use crate::history::desk::Question;
use crate::rooms::view::View;
use crate::rooms::{NoRoom, Room};
use crate::session::{Host, LoggedIn};
use crate::venue::Venue;
use crate::wire::code::{ErrorCode, Refusal};
use crate::ws::{self, Opcode};
use engine_core::executor::threads::Overloaded;
use engine_core::message::{Command, Guard, GuardScope, Input, Origin};
use engine_core::units::*;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// One connection with the reactor around it.
pub(super) struct Client<'a> {
    pub reactor: &'a mut Reactor,
    pub at: usize,
}

/// Bits of a session's number that are its place; the rest tell those that had the place one after another apart.
const PLACE_BITS: u32 = 20;

/// The connection's name towards the engine.
fn session_number(at: usize, generation: u16) -> u32 {
    at as u32 | (generation as u32) << PLACE_BITS
}

/// Connections of one reactor that a session number can tell apart. The last place stays free: a number with all bits
/// set is nobody's.
pub const CONNECTIONS_MAX: usize = (1 << PLACE_BITS) - 1;

impl Reactor {
    /// The connection an engine's answer is for, if it is still there.
    pub(super) fn connection_of(&self, session: u32) -> Option<usize> {
        let at = (session & ((1 << PLACE_BITS) - 1)) as usize;
        let connection = self.connections.get(at)?;
        (session_number(at, connection.generation) == session).then_some(at)
    }

    /// Bytes that a connection may have unsent because we told it more than it asked for in this moment.
    pub(super) fn unsent_bytes_max(&self) -> usize {
        PAUSE_BYTES.min(self.shared.limits.outbox_bytes_max)
    }

    pub(super) fn unwatch(&mut self, account: AccountId, at: usize) {
        if let Some(watchers) = self.watchers.get_mut(&account) {
            watchers.retain(|watcher| *watcher != at);
            if watchers.is_empty() {
                self.watchers.remove(&account);
                // Full lane: the engine goes on telling us of an account nobody here watches, which is harmless.
                let _ = self.port.watch(account, false);
            }
        }
    }
}

impl Client<'_> {
    /// The one of a view's rooms whose messages are packed as the connection has negotiated: sessions know nothing of that.
    fn room(&self, symbol: SymbolId, view: View) -> Result<Arc<Room>, NoRoom> {
        let packing = self.reactor.connections[self.at].packing;
        self.reactor.shared.registry.room(symbol, view, packing)
    }

    fn origin(&self, request: u32) -> Origin {
        let generation = self.reactor.connections[self.at].generation;
        Origin { port: self.reactor.port.index(), session: session_number(self.at, generation), request }
    }

    fn input(&self, command: Command, request: u32) -> Input {
        Input { origin: self.origin(request), at: self.reactor.now, ticket: 0, command }
    }

    /// What is refused of it carries the login's `request`, so that the client hears of it.
    fn open_paper_account(&mut self, name: &str, login: Login, request: u32) -> Result<(), Overloaded> {
        let account = login.account();
        // Said at every login: another reactor may have made the account a moment ago, and its word may come later.
        let name = AccountName::new(name);
        debug_assert!(name.is_some(), "sessions take no other names");
        let mut inputs = vec![self.input(Command::Open { account, name }, request)];
        if let Login::Created(account) = login {
            let funds = self.reactor.shared.venue.paper_funds.iter();
            let deposit = |&(asset, amount)| Command::Deposit { account, asset, amount };
            inputs.extend(funds.map(deposit).map(|command| self.input(command, request)));
        }
        self.reactor.port.submit_together(account, &inputs)
    }

    /// Opens the account, has its news come to this reactor, ends the guards that waited for somebody to come back, sets the
    /// new one, and asks for a look at it. The look is last: what it shows is told when all before it is durable.
    fn enter(
        &mut self,
        name: &str,
        login: Login,
        request: u32,
        guard: Option<Guard>,
        called_off: &[u32],
    ) -> Result<(), Overloaded> {
        // All of it or nothing: an account that is opened has its name and its money.
        let needed = self.reactor.shared.venue.paper_funds.len() + OPENING + called_off.len();
        if self.reactor.port.room(login.account()) < needed {
            return Err(Overloaded::Busy);
        }
        self.open_paper_account(name, login, request)?;
        let account = login.account();
        if !self.reactor.watchers.contains_key(&account) {
            // If the rest fails it stays watched by nobody here, which is harmless.
            self.reactor.port.watch(account, true)?;
        }
        for &group in called_off {
            let command = Command::EndGuard { account, group, cancels: false };
            self.reactor.port.submit(self.input(command, request))?;
        }
        if let Some(guard) = guard {
            self.reactor.port.submit(self.input(Command::Guard { account, guard }, request))?;
        }
        let asker = self.origin(request);
        self.reactor.port.look(account, asker)
    }
}

fn overloaded(why: Overloaded) -> Refusal {
    Refusal::new(ErrorCode::Overloaded, why.to_string())
}

impl Host for Client<'_> {
    fn venue(&self) -> &Venue {
        &self.reactor.shared.venue
    }

    fn now(&self) -> Timestamp {
        self.reactor.now
    }

    fn say(&mut self, write: impl FnOnce(&mut Vec<u8>, &Venue)) {
        let Reactor { connections, spare_outboxes, shared, .. } = &mut *self.reactor;
        let outbox = connections[self.at].outbox(spare_outboxes);
        ws::frame::append_frame(outbox, Opcode::Text, EXPECTED_BYTES, |out| write(out, &shared.venue));
        self.reactor.touch(self.at);
    }

    fn open(&mut self, symbol: SymbolId, view: View) -> Result<(), Refusal> {
        let room = self.room(symbol, view);
        room.map(|_| ()).map_err(|why| Refusal::new(ErrorCode::Overloaded, why.to_string()))
    }

    fn rooms(&self) -> usize {
        self.reactor.rooms_of(self.at)
    }

    fn join(&mut self, symbol: SymbolId, view: View) {
        let room = self.room(symbol, view).expect("an open room stays");
        self.reactor.join_room(self.at, room);
    }

    fn leave(&mut self, symbol: SymbolId, view: View) {
        if let Ok(room) = self.room(symbol, view) {
            self.reactor.leave_room(self.at, room.index);
        }
    }

    fn resync(&mut self, symbol: SymbolId, view: View) -> Result<(), Refusal> {
        if let Ok(room) = self.room(symbol, view) {
            self.reactor.resync_room(self.at, room.index);
        }
        Ok(())
    }

    fn submit(&mut self, command: Command, request: u32) -> Result<(), Refusal> {
        self.reactor.port.submit(self.input(command, request)).map_err(overloaded)
    }

    fn login(&mut self, name: &str, request: u32, guard: Option<Guard>) -> Result<LoggedIn, Refusal> {
        if guard.is_some() {
            self.reactor.check_guards()?;
        }
        let shared = self.reactor.shared.clone();
        let guards_account = guard.is_some_and(|guard| guard.scope == GuardScope::Account);
        let enter = |login, called_off: &[u32]| self.enter(name, login, request, guard, called_off);
        let Entered { account, guards } = match shared.accounts.login(name, guards_account, enter) {
            Some(entered) => entered.map_err(overloaded)?,
            None => return Err(Refusal::new(ErrorCode::Overloaded, "no more accounts can be opened")),
        };
        self.reactor.watchers.entry(account).or_default().push(self.at);
        self.reactor.guards += guard.is_some() as usize;
        Ok(LoggedIn { account, guards })
    }

    fn logout(&mut self, account: AccountId, guard: Option<Guard>) {
        self.reactor.unwatch(account, self.at);
        if let Some(guard) = guard {
            self.reactor.call_off(account, &guard);
        }
    }

    fn new_group(&mut self) -> u32 {
        self.reactor.shared.groups.fetch_add(1, Ordering::Relaxed)
    }

    fn look(&mut self, account: AccountId, request: u32) -> Result<(), Refusal> {
        let asker = self.origin(request);
        self.reactor.port.look(account, asker).map_err(overloaded)
    }

    fn has_room(&self) -> bool {
        self.reactor.connections[self.at].outbox.len() <= self.reactor.unsent_bytes_max() / 2
    }

    fn ask_history(&mut self, account: AccountId, (from, to): (u64, u64), request: u32) -> bool {
        let Some(desk) = &self.reactor.shared.history else { return false };
        // Together with what there was room beside it must fit where unsent bytes do.
        let entries_max = (self.reactor.unsent_bytes_max() / 2 / ENTRY_BYTES).max(1) as u64;
        let Origin { session, .. } = self.origin(request);
        let to = to.min(from.saturating_add(entries_max - 1));
        desk.ask(Question { reactor: self.reactor.index, session, request, account, from, to })
    }

    fn anonymous_name(&self) -> String {
        anonymous_name(self.reactor.shared.anonymous.fetch_add(1, Ordering::Relaxed))
    }
}

/// What entering an account pushes besides its money: that it is opened, a watch, a guard and a look.
const OPENING: usize = 4;

/// More than an entry of an account's history takes.
const ENTRY_BYTES: usize = 1024;

/// Payload bytes of a typical private message: what room is left for its header is guessed from this.
const EXPECTED_BYTES: usize = 200;

//! Names of accounts and the engine's numbers for them.

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use engine_core::executor::AtRest;
use engine_core::limits::ACCOUNTS_MAX;
use engine_core::message::GuardScope;
use engine_core::units::AccountId;
use std::sync::atomic::{AtomicU32, Ordering};

/// All accounts by name. Touched at login, never by an order.
#[derive(Default)]
pub struct Accounts {
    by_name: DashMap<Box<str>, Known>,
    next: AtomicU32,
}

struct Known {
    account: AccountId,
    presence: Presence,
    /// Numbers of the account's guards whose connections are gone and that a login calls off.
    waiting: Vec<u32>,
}

impl Known {
    fn new(account: AccountId, presence: Presence) -> Self {
        Self { account, presence, waiting: Vec::new() }
    }

    /// As [`Accounts::login`].
    fn login<E>(
        &mut self,
        guards: bool,
        enter: impl FnOnce(Login, &[u32]) -> Result<(), E>,
    ) -> Result<Entered, E> {
        let called_off = self.waiting.len().min(CALLED_OFF_MAX);
        enter(Login::Known(self.account), &self.waiting[..called_off])?;
        self.waiting.drain(..called_off);
        Ok(self.count(guards))
    }

    fn count(&mut self, guards: bool) -> Entered {
        self.presence.logins += 1;
        self.presence.guards += guards as u32;
        Entered { account: self.account, guards: self.presence.guards }
    }
}

/// Guards of connections that are gone which one login ends in the log. While the exchange runs, one waits for an account at
/// most; after a crash as many as connections guarded it. What is left is called off in memory, and ended by the next logins.
pub const CALLED_OFF_MAX: usize = 64;

/// Who has been at an account, ever: what `cancel_on_disconnect` is decided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    pub logins: u32,
    /// Logins that asked for the account's orders to be cancelled when they end.
    pub guards: u32,
}

/// Whose account it is that somebody logs in to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Nobody's before: it is new and has nothing yet.
    Created(AccountId),
    Known(AccountId),
}

impl Login {
    pub fn account(self) -> AccountId {
        match self {
            Login::Created(account) | Login::Known(account) => account,
        }
    }
}

/// A login that the engine has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entered {
    pub account: AccountId,
    /// Logins so far that guard the account, this one among them if it does.
    pub guards: u32,
}

/// How the names begin that [`anonymous_name`] gives. No client may log in by such a name: one who knew the number of a
/// connection would have its account.
pub const ANONYMOUS: &str = "connection-";

/// The name of the account of a connection that did not log in.
pub fn anonymous_name(number: u32) -> String {
    format!("{ANONYMOUS}{number}")
}

/// Whether a name is, or could be, that of a connection that did not log in.
pub fn is_anonymous(name: &str) -> bool {
    name.starts_with(ANONYMOUS)
}

impl Accounts {
    /// Starts numbering at `first`: a replay has accounts of its own below.
    pub fn starting_at(first: u32) -> Self {
        Self { by_name: DashMap::new(), next: AtomicU32::new(first) }
    }

    /// Knows the accounts that an engine has from before, and which of their guards wait for a login: those that stand, since
    /// nobody is there yet.
    pub fn restore(&self, shards: &AtRest) {
        for machine in shards.sequencers.iter().map(|shard| &shard.machine) {
            for account in machine.accounts() {
                if let Some(name) = machine.name(account) {
                    self.by_name.insert(name.as_str().into(), Known::new(account, Presence::default()));
                }
                self.next.fetch_max(account.0 + 1, Ordering::Relaxed);
            }
            for (account, guard) in machine.guards().filter(|(_, guard)| guard.scope == GuardScope::Account) {
                if let Some(name) = machine.name(account) {
                    self.wait(name.as_str(), &[guard.group]);
                }
            }
        }
    }

    /// The first number that no [`anonymous_name`] of an account has.
    pub fn anonymous(&self) -> u32 {
        let number = |name: &str| name.strip_prefix(ANONYMOUS)?.parse::<u32>().ok();
        let numbers = self.by_name.iter().filter_map(|known| number(known.key()));
        numbers.max().map_or(0, |last| last.saturating_add(1))
    }

    /// A login to the account of that name, made if there is none: `enter` has the engine take it, and is told which guards
    /// the login calls off. What is refused counts for nothing, and no other login to that name comes between. `None` when the
    /// engine can have no more accounts.
    pub fn login<E>(
        &self,
        name: &str,
        guards: bool,
        enter: impl FnOnce(Login, &[u32]) -> Result<(), E>,
    ) -> Option<Result<Entered, E>> {
        if let Some(mut known) = self.by_name.get_mut(name) {
            return Some(known.login(guards, enter));
        }
        match self.by_name.entry(name.into()) {
            Entry::Occupied(mut known) => Some(known.get_mut().login(guards, enter)),
            Entry::Vacant(vacant) => {
                let next = self.next.fetch_add(1, Ordering::Relaxed);
                if next >= ACCOUNTS_MAX {
                    self.next.store(ACCOUNTS_MAX, Ordering::Relaxed);
                    return None;
                }
                let mut known = Known::new(AccountId(next), Presence::default());
                let entered = enter(Login::Created(known.account), &[]);
                Some(entered.map(|()| {
                    let entered = known.count(guards);
                    vacant.insert(known);
                    entered
                }))
            }
        }
    }

    /// Who has been at the account of that name.
    pub fn presence(&self, name: &str) -> Presence {
        self.by_name.get(name).map_or(Presence::default(), |known| known.presence)
    }

    /// The connection of a login that guards the account, the one of that `number`, has ended. From now on its guard waits
    /// for a login; returns how many of these there have been, or `None` if a later one has taken the guard over.
    pub fn leave(&self, name: &str, number: u32, guard: u32) -> Option<u32> {
        let mut known = self.by_name.get_mut(name)?;
        let Known { presence, waiting, .. } = &mut *known;
        (presence.guards == number).then(|| {
            waiting.push(guard);
            presence.logins
        })
    }

    /// These guards wait for a login.
    pub fn wait(&self, name: &str, guards: &[u32]) {
        if let Some(mut known) = self.by_name.get_mut(name) {
            known.waiting.extend_from_slice(guards);
        }
    }

    /// That guard does not wait any more.
    pub fn stop_waiting(&self, name: &str, guard: u32) {
        if let Some(mut known) = self.by_name.get_mut(name) {
            known.waiting.retain(|waiting| *waiting != guard);
        }
    }

    /// The account of that name, if there is one.
    pub fn find(&self, name: &str) -> Option<AccountId> {
        self.by_name.get(name).map(|known| known.account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(accounts: &Accounts, name: &str, guards: bool) -> (Login, Entered) {
        let mut login = None;
        let entered = accounts.login(name, guards, |as_what, _| {
            login = Some(as_what);
            Ok::<_, ()>(())
        });
        (login.unwrap(), entered.unwrap().unwrap())
    }

    fn called_off(accounts: &Accounts, name: &str) -> Vec<u32> {
        let mut all = Vec::new();
        let entered = accounts.login(name, false, |_, called_off| {
            all.extend(called_off);
            Ok::<_, ()>(())
        });
        assert!(entered.unwrap().is_ok());
        all
    }

    fn refuse(accounts: &Accounts, name: &str) {
        assert_eq!(accounts.login(name, true, |_, _| Err("full")), Some(Err("full")));
    }

    #[test]
    fn a_name_has_one_account() {
        let accounts = Accounts::starting_at(7);
        assert_eq!(login(&accounts, "alice", false).0, Login::Created(AccountId(7)));
        assert_eq!(login(&accounts, "bob", false).0, Login::Created(AccountId(8)));
        assert_eq!(login(&accounts, "alice", false).0, Login::Known(AccountId(7)));
        assert_eq!((accounts.find("bob"), accounts.find("cat")), (Some(AccountId(8)), None));
    }

    #[test]
    fn logins_and_guards_are_counted() {
        let accounts = Accounts::default();
        assert_eq!(accounts.presence("alice"), Presence::default());
        login(&accounts, "alice", false);
        assert_eq!(login(&accounts, "alice", true).1, Entered { account: AccountId(0), guards: 1 });
        assert_eq!(accounts.presence("alice"), Presence { logins: 2, guards: 1 });
    }

    #[test]
    fn a_refused_login_counts_for_nothing() {
        let accounts = Accounts::default();
        refuse(&accounts, "alice");
        assert_eq!(accounts.find("alice"), None, "it was not opened");
        assert_eq!(login(&accounts, "alice", true).0, Login::Created(AccountId(1)));
        assert_eq!(accounts.leave("alice", 1, 71), Some(1));
        refuse(&accounts, "alice");
        assert_eq!(accounts.presence("alice"), Presence { logins: 1, guards: 1 });
        assert_eq!(called_off(&accounts, "alice"), [71], "it still waited");
    }

    #[test]
    fn guards_wait_for_a_login_unless_a_later_one_has_taken_them_over() {
        let accounts = Accounts::default();
        login(&accounts, "alice", true);
        login(&accounts, "alice", true);
        assert_eq!(accounts.leave("alice", 1, 71), None, "the second looks after the orders");
        assert_eq!(accounts.leave("alice", 2, 72), Some(2));
        accounts.wait("alice", &[73, 74]);
        accounts.stop_waiting("alice", 73);
        assert_eq!(called_off(&accounts, "alice"), [72, 74]);
        assert!(called_off(&accounts, "alice").is_empty());
    }

    #[test]
    fn no_login_calls_off_more_than_fit() {
        let accounts = Accounts::default();
        login(&accounts, "alice", false);
        let many: Vec<u32> = (0..CALLED_OFF_MAX as u32 + 1).collect();
        accounts.wait("alice", &many);
        assert_eq!(called_off(&accounts, "alice"), many[..CALLED_OFF_MAX]);
        assert_eq!(called_off(&accounts, "alice"), many[CALLED_OFF_MAX..]);
    }
}

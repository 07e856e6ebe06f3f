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
}

/// Who has been at an account, ever: what `cancel_on_disconnect` is decided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    pub logins: u32,
    /// Logins that asked for the account's orders to be cancelled when they end.
    pub guards: u32,
}

/// Who gave the name its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// This call: the account is new and has nothing yet.
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

    /// The account of that name, made if there is none. `None` when the engine can have no more accounts.
    pub fn login(&self, name: &str) -> Option<Login> {
        if let Some(mut known) = self.by_name.get_mut(name) {
            known.presence.logins += 1;
            return Some(Login::Known(known.account));
        }
        match self.by_name.entry(name.into()) {
            Entry::Occupied(mut known) => {
                known.get_mut().presence.logins += 1;
                Some(Login::Known(known.get().account))
            }
            Entry::Vacant(vacant) => {
                let next = self.next.fetch_add(1, Ordering::Relaxed);
                if next >= ACCOUNTS_MAX {
                    self.next.store(ACCOUNTS_MAX, Ordering::Relaxed);
                    return None;
                }
                let (account, presence) = (AccountId(next), Presence { logins: 1, guards: 0 });
                vacant.insert(Known::new(account, presence));
                Some(Login::Created(account))
            }
        }
    }

    /// Counts a login, already counted as such, that guards the account. Returns how many there have been.
    pub fn guard(&self, name: &str) -> u32 {
        let mut known = self.by_name.get_mut(name).expect("who guards has logged in");
        known.presence.guards += 1;
        known.presence.guards
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

    /// Takes guards that wait for a login, so many at most.
    pub fn take_waiting(&self, name: &str, most: usize) -> Vec<u32> {
        let Some(mut known) = self.by_name.get_mut(name) else { return Vec::new() };
        let most = most.min(known.waiting.len());
        known.waiting.drain(..most).collect()
    }

    /// The account of that name, if there is one.
    pub fn find(&self, name: &str) -> Option<AccountId> {
        self.by_name.get(name).map(|known| known.account)
    }

    /// Takes back a name that was just made: its account could not be opened, so the next login makes another.
    pub fn forget(&self, name: &str) {
        self.by_name.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_account() {
        let accounts = Accounts::starting_at(7);
        assert_eq!(accounts.login("alice"), Some(Login::Created(AccountId(7))));
        assert_eq!(accounts.login("bob"), Some(Login::Created(AccountId(8))));
        assert_eq!(accounts.login("alice"), Some(Login::Known(AccountId(7))));
        assert_eq!((accounts.find("bob"), accounts.find("cat")), (Some(AccountId(8)), None));
        accounts.forget("bob");
        assert_eq!(accounts.login("bob"), Some(Login::Created(AccountId(9))));
    }

    #[test]
    fn logins_and_guards_are_counted() {
        let accounts = Accounts::default();
        assert_eq!(accounts.presence("alice"), Presence::default());
        accounts.login("alice");
        accounts.login("alice");
        assert_eq!(accounts.guard("alice"), 1);
        assert_eq!(accounts.presence("alice"), Presence { logins: 2, guards: 1 });
    }

    #[test]
    fn guards_wait_for_a_login_unless_a_later_one_has_taken_them_over() {
        let accounts = Accounts::default();
        accounts.login("alice");
        accounts.guard("alice");
        accounts.login("alice");
        accounts.guard("alice");
        assert_eq!(accounts.leave("alice", 1, 71), None, "the second looks after the orders");
        assert_eq!(accounts.leave("alice", 2, 72), Some(2));
        accounts.wait("alice", &[73, 74]);
        accounts.stop_waiting("alice", 73);
        assert_eq!(accounts.take_waiting("alice", 1), [72]);
        assert_eq!(accounts.take_waiting("alice", 9), [74]);
        assert!(accounts.take_waiting("alice", 9).is_empty() && accounts.take_waiting("bob", 9).is_empty());
    }
}

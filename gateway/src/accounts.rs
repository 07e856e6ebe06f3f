//! Names of accounts and the engine's numbers for them.

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use engine_core::limits::ACCOUNTS_MAX;
use engine_core::units::AccountId;
use std::sync::atomic::{AtomicU32, Ordering};

/// All accounts by name. Touched at login, never by an order.
#[derive(Default)]
pub struct Accounts {
    by_name: DashMap<Box<str>, AccountId>,
    next: AtomicU32,
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

impl Accounts {
    /// Starts numbering at `first`: a replay has accounts of its own below.
    pub fn starting_at(first: u32) -> Self {
        Self { by_name: DashMap::new(), next: AtomicU32::new(first) }
    }

    /// The account of that name, made if there is none. `None` when the engine can have no more accounts.
    pub fn login(&self, name: &str) -> Option<Login> {
        if let Some(account) = self.by_name.get(name) {
            return Some(Login::Known(*account));
        }
        match self.by_name.entry(name.into()) {
            Entry::Occupied(known) => Some(Login::Known(*known.get())),
            Entry::Vacant(vacant) => {
                let next = self.next.fetch_add(1, Ordering::Relaxed);
                if next >= ACCOUNTS_MAX {
                    self.next.store(ACCOUNTS_MAX, Ordering::Relaxed);
                    return None;
                }
                vacant.insert(AccountId(next));
                Some(Login::Created(AccountId(next)))
            }
        }
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
    }
}

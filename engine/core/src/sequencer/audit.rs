//! What always holds in a shard, and when that is looked at.
//!
//! For each account and asset, what is held is the sum of what its live orders, withdrawals and transfers hold. A full
//! look costs a pass over an account's orders, so after a command there is one of that account if it can be paid:
//! every command and every message earns a little, and a look costs as many as the account has orders. Debug builds earn
//! enough to look at small accounts each time; release builds look at most once in a thousand times.

use super::{Account, Sequencer};
use crate::units::AccountId;

#[derive(Clone, Debug, Default)]
pub(super) struct Audits {
    /// What commands have earned and looks have not yet cost.
    credit: u64,
    /// Looks so far.
    count: u64,
}

/// What a command earns and what a look costs at least.
const EARNED: u64 = if cfg!(debug_assertions) { 256 } else { 1 };
const COST_MIN: u64 = if cfg!(debug_assertions) { 64 } else { 1024 };
/// An order is mostly a cache miss.
const COST_OF_ORDER: u64 = if cfg!(debug_assertions) { 1 } else { 16 };
/// Of two looks at the largest account: more is not saved up.
const CREDIT_MAX: u64 = 2 * (COST_MIN + COST_OF_ORDER * crate::limits::OPEN_ORDERS_PER_ACCOUNT_MAX as u64);

impl Sequencer {
    /// Looks at an account that something has just happened to, if a look can be paid.
    pub(super) fn audit(&mut self, account: AccountId) {
        self.audits.credit = (self.audits.credit + EARNED).min(CREDIT_MAX);
        let Some(at) = self.find(account) else { return };
        let cost = COST_MIN + COST_OF_ORDER * self.accounts[at].live.count as u64;
        if self.audits.credit >= cost {
            self.audits.credit -= cost;
            self.audits.count += 1;
            self.check_account(account, &self.accounts[at]);
        }
    }

    /// How often an account has been looked at.
    pub fn audits(&self) -> u64 {
        self.audits.count
    }

    /// Checks all accounts. Costs a pass over all orders.
    ///
    /// # Panics
    /// If what an account holds is not the sum of its holds.
    pub fn check(&self) {
        for account in self.accounts() {
            self.check_account(account, &self.accounts[account.0 as usize / self.sequencers]);
        }
    }

    /// Checks what must be true besides when nothing is on the way.
    ///
    /// # Panics
    /// If somebody waits for an answer that no message will bring.
    pub(crate) fn check_at_rest(&self) {
        self.check();
        assert!(self.repeats_waiting.is_empty(), "every repeat is answered: {:?}", self.repeats_waiting);
    }

    fn check_account(&self, account: AccountId, owner: &Account) {
        for balance in owner.balances.iter() {
            let orders = self.orders.of(&owner.live).map(|(slot, _)| self.hold(slot));
            let parked = self.parked_of(account).map(|parked| (parked.asset, parked.amount));
            let held: u128 = orders
                .chain(parked)
                .filter(|(asset, _)| *asset == balance.asset)
                .map(|(_, amount)| amount.0)
                .sum();
            assert_eq!(balance.held.0, held, "what account {account} holds is the sum of its holds");
        }
    }
}

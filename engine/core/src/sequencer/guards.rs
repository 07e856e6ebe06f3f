//! Guards over orders of an account: what is to be cancelled should somebody be gone.
//!
//! Who is gone is decided outside. The guards are part of the state so that a crash, which ends every connection, forgets
//! none: a recovery finds those that stand ([`Sequencer::guards`]).

use super::orders::Order;
use super::{Outbox, Sequencer};
use crate::limits::GUARDS_MAX;
use crate::message::*;
use crate::units::*;

impl Sequencer {
    pub(super) fn guard(&mut self, account: AccountId, guard: Guard) -> Result<(), Reject> {
        self.find(account).ok_or(Reject::UnknownAccount)?;
        let key = (account, guard.group);
        if self.guards.len() >= GUARDS_MAX && !self.guards.contains_key(&key) {
            return Err(Reject::Overloaded);
        }
        self.guards.insert(key, guard);
        Ok(())
    }

    pub(super) fn end_guard(&mut self, account: AccountId, group: u32, cancels: bool, out: &mut Outbox) {
        if let Some(guard) = self.guards.remove(&(account, group))
            && cancels
        {
            let wanted = |order: &Order| guard.scope == GuardScope::Account || order.group == group;
            self.cancel_each(account, CancelCause::System, wanted, out);
        }
    }

    /// The guards that stand, in order of accounts and numbers.
    pub fn guards(&self) -> impl Iterator<Item = (AccountId, Guard)> + '_ {
        self.guards.iter().map(|(&(account, _), &guard)| (account, guard))
    }

    /// The greatest number of a guard that stands or a group of a live order, if there is any: who hands numbers out goes
    /// on above. Costs a pass over all orders.
    pub fn last_group(&self) -> Option<u32> {
        let guards = self.guards.values().map(|guard| guard.group);
        let live = self.accounts.iter().flat_map(|account| self.orders.of(&account.live));
        guards.chain(live.map(|(_, order)| order.group)).max()
    }
}

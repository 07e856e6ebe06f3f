//! Money that moves other than by trades: deposits, withdrawals in two phases, transfers between accounts.
//!
//! A withdrawal holds the money first and ends when the operator says whether it was paid. A transfer holds it until
//! the other side, maybe at another sequencer, has said that it has it; so what is on its way is counted once by the
//! one who gives it, and for a moment by both, but never by nobody.

use super::{Outbox, Parked, Sequencer};
use crate::limits::PARKED_PER_ACCOUNT_MAX;
use crate::message::*;
use crate::units::*;

impl Sequencer {
    pub(super) fn deposit(
        &mut self,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
        out: &mut Outbox,
    ) -> Result<(), Reject> {
        let at = self.find(account).ok_or(Reject::UnknownAccount)?;
        self.check_amount(asset, amount)?;
        self.flows.deposit(asset, amount).ok_or(Reject::AmountRange)?;
        self.credit(account, at, asset, amount, out);
        Ok(())
    }

    pub(super) fn withdraw(
        &mut self,
        account: AccountId,
        id: u64,
        asset: AssetId,
        amount: Amount,
        out: &mut Outbox,
    ) -> Result<(), Reject> {
        self.park(account, id, Parked { asset, amount, is_transfer: false }, out)
    }

    pub(super) fn end_withdrawal(
        &mut self,
        account: AccountId,
        id: u64,
        paid: bool,
        out: &mut Outbox,
    ) -> Result<(), Reject> {
        let parked = self.parked.get(&(account, id)).filter(|parked| !parked.is_transfer);
        let parked = *parked.ok_or(Reject::TransferId)?;
        if paid {
            self.flows.withdraw(parked.asset, parked.amount);
        }
        self.unpark(account, id, paid, out);
        Ok(())
    }

    /// Holds the money and offers it to the other account's sequencer. The answer comes with the other side's.
    pub(super) fn transfer(
        &mut self,
        asker: Origin,
        [account, to]: [AccountId; 2],
        id: u64,
        asset: AssetId,
        amount: Amount,
        out: &mut Outbox,
    ) -> Result<(), Reject> {
        if account == to {
            return Err(Reject::TransferId);
        }
        self.park(account, id, Parked { asset, amount, is_transfer: true }, out)?;
        let stage = TransferStage::Offered;
        self.relay(to, Transfer { from: account, id, to, asset, amount, stage, asker }, out);
        Ok(())
    }

    pub(super) fn relayed(&mut self, transfer: Transfer, out: &mut Outbox) {
        let Transfer { from, id, to, asset, amount, stage, asker } = transfer;
        match stage {
            TransferStage::Offered => {
                let stage = match self.receive(to, asset, amount, out) {
                    Ok(()) => TransferStage::Accepted,
                    Err(reason) => TransferStage::Refused(reason),
                };
                self.relay(from, Transfer { stage, ..transfer }, out);
            }
            TransferStage::Accepted => {
                self.flows.transfer_out(asset, amount);
                self.unpark(from, id, true, out);
                out.answer(from, asker, self.now, ReportBody::Done);
            }
            TransferStage::Refused(reason) => {
                self.unpark(from, id, false, out);
                out.answer(from, asker, self.now, ReportBody::Refused { reason });
            }
        }
    }

    fn receive(
        &mut self,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
        out: &mut Outbox,
    ) -> Result<(), Reject> {
        let at = self.find(account).ok_or(Reject::UnknownAccount)?;
        if self.accounts[at].state != AccountState::Active {
            return Err(Reject::AccountSuspended);
        }
        // The asset may be so new that only the giver's sequencer has been told of it.
        self.check_amount(asset, amount)?;
        self.flows.transfer_in(asset, amount).ok_or(Reject::AmountRange)?;
        self.credit(account, at, asset, amount, out);
        Ok(())
    }

    /// By the matcher that has the receiver's number: any would do, and so each gets its share.
    fn relay(&mut self, receiver: AccountId, transfer: Transfer, out: &mut Outbox) {
        let matcher = receiver.0 as usize % self.matchers;
        self.send_to(matcher, SymbolId(0), 0, MatcherOrder::Relay(transfer), out);
    }

    fn check_amount(&self, asset: AssetId, amount: Amount) -> Result<(), Reject> {
        match (self.flows.knows(asset), amount.0) {
            (false, _) => Err(Reject::UnknownAsset),
            (true, 0) => Err(Reject::AmountRange),
            (true, _) => Ok(()),
        }
    }

    fn credit(&mut self, account: AccountId, at: usize, asset: AssetId, amount: Amount, out: &mut Outbox) {
        let owner = &mut self.accounts[at];
        let balance = owner.balances.credit(asset, amount);
        out.balance(account, owner, self.now, [Some(balance), None]);
    }

    fn park(&mut self, account: AccountId, id: u64, parked: Parked, out: &mut Outbox) -> Result<(), Reject> {
        let at = self.find(account).ok_or(Reject::UnknownAccount)?;
        if self.accounts[at].state != AccountState::Active {
            return Err(Reject::AccountSuspended);
        }
        self.check_amount(parked.asset, parked.amount)?;
        if self.parked.contains_key(&(account, id)) {
            return Err(Reject::TransferId);
        }
        if self.parked_of(account).count() >= PARKED_PER_ACCOUNT_MAX {
            return Err(Reject::Overloaded);
        }
        let owner = &mut self.accounts[at];
        let held = owner.balances.hold(parked.asset, parked.amount);
        let balance = held.map_err(|_| Reject::InsufficientBalance)?;
        self.parked.insert((account, id), parked);
        out.balance(account, owner, self.now, [Some(balance), None]);
        Ok(())
    }

    fn unpark(&mut self, account: AccountId, id: u64, gone: bool, out: &mut Outbox) {
        let parked = self.parked.remove(&(account, id)).expect("what is parked ends once");
        let at = self.find(account).expect("an account stays");
        let owner = &mut self.accounts[at];
        let paid = if gone { parked.amount } else { Amount(0) };
        let balance = owner.balances.settle(parked.asset, parked.amount, paid);
        out.balance(account, owner, self.now, [Some(balance), None]);
    }

    /// What an account has parked.
    pub(super) fn parked_of(&self, account: AccountId) -> impl Iterator<Item = &Parked> {
        self.parked.range((account, 0)..=(account, u64::MAX)).map(|(_, parked)| parked)
    }
}

//! What the operator asks for: accounts, money from and to the outside, listings, fees, states.

use super::{Account, Outbox, Sequencer};
use crate::instrument::{AssetListing, Listing};
use crate::limits::{ACCOUNT_GAP_MAX, ACCOUNTS_MAX, FEE_TIERS};
use crate::message::*;
use crate::units::*;
use std::sync::Arc;

impl Sequencer {
    /// Carries out a command that is not about orders, and answers it.
    pub(super) fn operate(&mut self, input: &Input, command: Command, out: &mut Outbox) {
        let asker = input.origin;
        // One sequencer answers what all of them are told.
        let first = self.index == 0;
        let result = match command {
            Command::Open { account, name } => self.open(account, name),
            Command::Deposit { account, asset, amount } => self.deposit(account, asset, amount, out),
            Command::Withdraw { account, id, asset, amount } => {
                self.withdraw(account, id, asset, amount, out)
            }
            Command::EndWithdrawal { account, id, paid } => self.end_withdrawal(account, id, paid, out),
            Command::Transfer { account, id, to, asset, amount } => {
                match self.transfer(asker, [account, to], id, asset, amount, out) {
                    Ok(()) => return, // answered when the other side has answered
                    refused => refused,
                }
            }
            Command::SetAccount { account, state, tier } => self.set_account(account, state, tier, out),
            Command::Guard { account, guard } => self.guard(account, guard),
            Command::SetSymbol { symbol, state } => {
                if (symbol.0 as usize) < self.market.instruments.len() {
                    return self.send(symbol, 0, MatcherOrder::SetState { state, asker }, out);
                }
                Err(Reject::UnknownSymbol)
            }
            Command::Tick => return self.tick(out),
            Command::ListAsset(listing) => self.list_asset(&listing),
            Command::List(listing) => self.list(&listing, out),
            Command::SetFees { symbol, tier, fees } => self.set_fees(symbol, tier, fees),
            Command::Submit(_)
            | Command::Cancel { .. }
            | Command::CancelAll { .. }
            | Command::Amend(_)
            | Command::CancelAllAfter { .. }
            | Command::TimeOut { .. }
            | Command::EndGuard { .. } => unreachable!("orders do not come here"),
        };
        if first || matches!(command.route(self.sequencers), Route::One(_)) {
            self.answer_operator(asker, result, out);
        }
    }

    pub(super) fn answer_operator(&self, asker: Origin, result: Result<(), Reject>, out: &mut Outbox) {
        let body = match result {
            Ok(()) => ReportBody::Done,
            Err(reason) => ReportBody::Refused { reason },
        };
        out.answer(AccountId(0), asker, self.now, body);
    }

    fn open(&mut self, account: AccountId, name: Option<AccountName>) -> Result<(), Reject> {
        if account.0 >= ACCOUNTS_MAX {
            return Err(Reject::UnknownAccount);
        }
        let at = account.0 as usize / self.sequencers;
        if at > self.accounts.len() + ACCOUNT_GAP_MAX {
            return Err(Reject::UnknownAccount);
        }
        if self.accounts.len() <= at {
            self.accounts.resize_with(at + 1, Account::default);
        }
        let owner = &mut self.accounts[at];
        owner.open = true;
        if owner.name.is_none() {
            owner.name = name.map(Box::new);
        }
        Ok(())
    }

    fn set_account(
        &mut self,
        account: AccountId,
        state: AccountState,
        tier: u8,
        out: &mut Outbox,
    ) -> Result<(), Reject> {
        let at = self.find(account).ok_or(Reject::UnknownAccount)?;
        if tier as usize >= FEE_TIERS {
            return Err(Reject::Configuration);
        }
        let owner = &mut self.accounts[at];
        (owner.state, owner.tier) = (state, tier);
        if state == AccountState::Suspended {
            self.cancel_each(account, CancelCause::System, |_| true, out);
        }
        Ok(())
    }

    /// The first sequencer tells the matchers what time it is.
    fn tick(&mut self, out: &mut Outbox) {
        if self.index == 0 {
            for matcher in 0..self.matchers {
                self.send_to(matcher, SymbolId(0), 0, MatcherOrder::Tick, out);
            }
        }
    }

    fn list_asset(&mut self, listing: &AssetListing) -> Result<(), Reject> {
        Arc::make_mut(&mut self.market).list_asset(listing).map_err(|_| Reject::Configuration)?;
        self.flows.add_asset();
        Ok(())
    }

    fn list(&mut self, listing: &Listing, out: &mut Outbox) -> Result<(), Reject> {
        Arc::make_mut(&mut self.market).list(listing).map_err(|_| Reject::Configuration)?;
        if home_of(listing.id, self.sequencers) == self.index {
            self.send(listing.id, 0, MatcherOrder::List { band: listing.band }, out);
        }
        Ok(())
    }

    fn set_fees(&mut self, symbol: SymbolId, tier: u8, fees: Fees) -> Result<(), Reject> {
        if symbol.0 as usize >= self.market.instruments.len() {
            return Err(Reject::UnknownSymbol);
        }
        if tier as usize >= FEE_TIERS || !fees.are_valid() {
            return Err(Reject::Configuration);
        }
        let market = Arc::make_mut(&mut self.market);
        market.instruments[symbol.0 as usize].fees[tier as usize] = fees;
        Ok(())
    }
}

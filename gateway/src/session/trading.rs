//! What a client asks of its orders, as commands of its account.

use super::order::{amend_of, order_id, submit_of};
use super::trader::{Pending, Trader};
use super::{Host, SessionLimits, unknown_symbol};
use crate::wire::code::Refusal;
use crate::wire::encode::private::{self, CancelAllAck};
use crate::wire::id::RequestId;
use crate::wire::request::{AmendOrder, CancelOrder, SubmitOrder};
use engine_core::message::{Amend, Canceller, Command, Submit};

impl Trader {
    pub(super) fn submit(
        &mut self,
        order: &SubmitOrder<'_>,
        id: Option<&RequestId>,
        limits: &SessionLimits,
        host: &mut impl Host,
    ) -> Result<(), Refusal> {
        // Who it is comes last: a wrong order opens no account.
        let submit = submit_of(order, host.venue())?;
        let account = self.require_account(limits, host)?;
        let group = self.group(host);
        self.send(Command::Submit(Submit { account, group, ..submit }), id, host)
    }

    pub(super) fn amend(
        &mut self,
        amend: &AmendOrder<'_>,
        id: Option<&RequestId>,
        limits: &SessionLimits,
        host: &mut impl Host,
    ) -> Result<(), Refusal> {
        let amend = amend_of(amend, host.venue())?;
        let account = self.require_account(limits, host)?;
        self.send(Command::Amend(Amend { account, ..amend }), id, host)
    }

    pub(super) fn cancel(
        &mut self,
        cancel: &CancelOrder<'_>,
        id: Option<&RequestId>,
        limits: &SessionLimits,
        host: &mut impl Host,
    ) -> Result<(), Refusal> {
        let instrument =
            host.venue().instrument(cancel.symbol).ok_or_else(|| unknown_symbol(cancel.symbol))?;
        let symbol = instrument.id;
        let account = self.require_account(limits, host)?;
        self.send(Command::Cancel { account, symbol, order_id: order_id(cancel.order_id) }, id, host)
    }

    pub(super) fn cancel_all(
        &mut self,
        symbol: Option<&str>,
        id: Option<&RequestId>,
        host: &mut impl Host,
    ) -> Result<(), Refusal> {
        let symbol_id = match symbol {
            Some(name) => Some(host.venue().instrument(name).ok_or_else(|| unknown_symbol(name))?.id),
            None => None,
        };
        match self.account.as_ref().map(|login| login.id) {
            Some(account) => self.send(
                Command::CancelAll { account, symbol: symbol_id, group: None, by: Canceller::Owner },
                id,
                host,
            ),
            None => {
                host.say(|out, _| private::cancel_all_ack(out, &CancelAllAck { id, symbol, count: 0 }));
                Ok(())
            }
        }
    }

    pub(super) fn cancel_all_after(
        &mut self,
        timeout_ms: u64,
        id: Option<&RequestId>,
        limits: &SessionLimits,
        host: &mut impl Host,
    ) -> Result<(), Refusal> {
        let account = self.require_account(limits, host)?;
        let request = self.expect(Pending::Timer(id.copied()))?;
        let command = Command::CancelAllAfter { account, timeout_us: timeout_ms * 1000 };
        host.submit(command, request).inspect_err(|_| self.forget(request))
    }

    fn send(
        &mut self,
        command: Command,
        id: Option<&RequestId>,
        host: &mut impl Host,
    ) -> Result<(), Refusal> {
        let request = match id {
            Some(id) => self.expect(Pending::Request(*id))?,
            None => 0,
        };
        host.submit(command, request).inspect_err(|_| self.forget(request))
    }
}

//! A sequencer as parts of a state, and back.
//!
//! Not in it: when an account was last looked at (`audit`), which decides nothing, and what follows from the rest.

use super::{Account, Sequencer, audit, orders::Orders};
use crate::instrument::Market;
use crate::sequencer::order_ids::OrderIds;
use crate::state::{StateError, StateReader, StateWriter, unfit};
use std::sync::Arc;

impl Sequencer {
    pub(crate) fn write<E>(&self, out: &mut StateWriter<'_, E>) -> Result<(), E> {
        out.put(&(self.index as u64, self.sequencers as u64, self.matchers as u64, self.now))?;
        out.put(&*self.market)?;
        out.put_chunks(self.accounts.len(), self.accounts.iter())?;
        self.orders.write(out)?;
        self.order_ids.write(out)?;
        out.put(&self.flows)?;
        out.put(&self.parked)?;
        out.put(&self.deadlines)?;
        out.put(&self.guards)?;
        out.put(&(&self.marks, &self.numbers))?;
        out.put(&self.repeats_waiting)
    }

    /// Shard `index` of `sequencers`, talking to `matchers`.
    pub(crate) fn read<E: From<StateError>>(
        (index, sequencers, matchers): (usize, usize, usize),
        from: &mut StateReader<'_, E>,
    ) -> Result<Self, E> {
        let (i, n, m, now) = from.take::<(u64, u64, u64, _)>()?;
        if (i, n, m) != (index as u64, sequencers as u64, matchers as u64) {
            return Err(unfit(format!("sequencer {i} of {n} with {m} matchers")).into());
        }
        let market: Market = from.take()?;
        let mut accounts: Vec<Account> = Vec::new();
        from.take_chunks(|account| {
            accounts.push(account);
            Ok(())
        })?;
        let (orders, order_ids) = (Orders::read(index, from)?, OrderIds::read(from)?);
        let (flows, parked) = (from.take()?, from.take()?);
        let deadlines: std::collections::BTreeMap<_, _> = from.take()?;
        let timers = deadlines.iter().map(|(account, at)| (*at, *account)).collect();
        let guards = from.take()?;
        let (marks, numbers) = from.take()?;
        Ok(Self {
            index,
            sequencers,
            matchers,
            market: Arc::new(market),
            now,
            accounts,
            orders,
            order_ids,
            flows,
            parked,
            deadlines,
            timers,
            guards,
            marks,
            numbers,
            repeats_waiting: from.take()?,
            audits: audit::Audits::default(),
        })
    }
}

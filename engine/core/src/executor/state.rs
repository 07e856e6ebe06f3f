//! All shards as parts of a state, and back.

use super::AtRest;
use super::shadow::Shadow;
use crate::matcher::Matcher;
use crate::sequencer::Sequencer;
use crate::state::{StateError, StateHash, StateReader, StateWriter, unfit};
use std::convert::Infallible;

impl AtRest {
    /// What two engines have in common that did the same: the hash of the shards' state. Costs a pass over it.
    pub fn state_hash(&self) -> StateHash {
        let sequencers = self.sequencers.iter().map(|shard| &shard.machine);
        hash_of(sequencers, self.matchers.iter().map(|shard| &shard.machine))
    }
}

impl Shadow {
    /// As [`AtRest::state_hash`]; what is on the way does not count.
    pub fn state_hash(&self) -> StateHash {
        hash_of(self.sequencers.iter(), self.matchers.iter())
    }

    /// Writes all there is. Returns the state's hash, which is that of the first parts.
    ///
    /// # Errors
    /// The writer's.
    pub fn write<E>(&self, out: &mut StateWriter<'_, E>) -> Result<StateHash, E> {
        write_shards(self.sequencers.iter(), self.matchers.iter(), out)?;
        let hash = out.hash();
        self.orders.iter().try_for_each(|link| out.put(link))?;
        self.settlements.iter().try_for_each(|link| out.put(link))?;
        out.put(&(&self.common, &self.common_got))?;
        Ok(hash)
    }

    /// What was written of so many sequencers and matchers, and the state's hash.
    ///
    /// # Errors
    /// The reader's, and if the parts are of another state.
    pub fn read<E: From<StateError>>(
        (n, m): (usize, usize),
        from: &mut StateReader<'_, E>,
    ) -> Result<(Self, StateHash), E> {
        if from.take::<(u64, u64)>()? != (n as u64, m as u64) {
            return Err(unfit(format!("not of {n} sequencers and {m} matchers")).into());
        }
        let sequencers: Result<_, E> = (0..n).map(|i| Sequencer::read((i, n, m), from)).collect();
        let sequencers = sequencers?;
        let matchers: Result<_, E> = (0..m).map(|_| Matcher::read((m, n), from)).collect();
        let matchers = matchers?;
        let hash = from.hash();
        let orders: Result<_, E> = (0..n * m).map(|_| from.take()).collect();
        let orders = orders?;
        let settlements: Result<_, E> = (0..n * m).map(|_| from.take()).collect();
        let settlements = settlements?;
        let (common, common_got) = from.take()?;
        Ok((Self { sequencers, matchers, orders, settlements, common, common_got, ..Self::default() }, hash))
    }
}

fn hash_of<'a>(
    sequencers: impl ExactSizeIterator<Item = &'a Sequencer>,
    matchers: impl ExactSizeIterator<Item = &'a Matcher>,
) -> StateHash {
    let mut nowhere = |_: &[u8]| Ok::<_, Infallible>(());
    let mut out = StateWriter::new(&mut nowhere);
    match write_shards(sequencers, matchers, &mut out) {
        Ok(()) => out.hash(),
        Err(never) => match never {},
    }
}

fn write_shards<'a, E>(
    mut sequencers: impl ExactSizeIterator<Item = &'a Sequencer>,
    mut matchers: impl ExactSizeIterator<Item = &'a Matcher>,
    out: &mut StateWriter<'_, E>,
) -> Result<(), E> {
    out.put(&(sequencers.len() as u64, matchers.len() as u64))?;
    sequencers.try_for_each(|sequencer| sequencer.write(out))?;
    matchers.try_for_each(|matcher| matcher.write(out))
}

//! A matcher as parts of a state, and back.

use super::Matcher;
use super::symbol::{Desk, Symbol};
use crate::book::Fast;
use crate::state::{StateError, StateReader, StateWriter, unfit};

impl Matcher {
    pub(crate) fn write<E>(&self, out: &mut StateWriter<'_, E>) -> Result<(), E> {
        out.put(&(self.matchers as u64, self.sequencers as u64, self.symbols.len() as u64))?;
        out.put(&(&self.marks, &self.numbers))?;
        for symbol in &self.symbols {
            let (desk, book) =
                (symbol.as_ref().map(|symbol| &symbol.desk), symbol.as_ref().map(|symbol| &symbol.book));
            out.put(&desk)?;
            book.map_or(Ok(()), |book| book.write(out))?;
        }
        Ok(())
    }

    /// A shard of `matchers`, fed by `sequencers`.
    pub(crate) fn read<E: From<StateError>>(
        (matchers, sequencers): (usize, usize),
        from: &mut StateReader<'_, E>,
    ) -> Result<Self, E> {
        let (m, n, count): (u64, u64, u64) = from.take()?;
        if (m, n) != (matchers as u64, sequencers as u64) {
            return Err(unfit(format!("a matcher of {m} with {n} sequencers")).into());
        }
        let (marks, numbers) = from.take()?;
        let mut symbols = Vec::new();
        for _ in 0..count {
            symbols.push(match from.take::<Option<Desk>>()? {
                Some(desk) => Some(Symbol { book: Fast::read(from)?, desk }),
                None => None,
            });
        }
        Ok(Self { matchers, sequencers, symbols, marks, numbers })
    }
}

//! The state of shards as bytes: what a snapshot holds, and what its hash is of.
//!
//! A state is a list of parts, each a value in postcard's bytes. Parts are small (a block of orders, a chunk of a book), so
//! nobody needs a second copy of a state to write or to read it. Two states that behave alike from here on have the same
//! parts: what is rebuilt (hash tables, the places of a book's slab) is not in them, and what names are made of (the
//! places of a sequencer's slab, which are in order keys) is.
//!
//! The bytes are a function of the order of fields and variants, as those of the journal: to change one is to change
//! [`STATE_FORMAT`].

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

/// The format of a state's parts.
pub const STATE_FORMAT: u32 = 1;

/// Values of a part where there may be millions.
pub const CHUNK: usize = 4096;

/// What tells two states apart: XXH3 over the parts, 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateHash(pub u128);

impl fmt::Display for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The hash of the parts that came by so far.
#[derive(Default)]
struct Hasher {
    parts: Xxh3,
}

impl Hasher {
    fn add(&mut self, part: &[u8]) {
        self.parts.update(&(part.len() as u64).to_le_bytes());
        self.parts.update(part);
    }

    fn hash(&self) -> StateHash {
        StateHash(self.parts.digest128())
    }
}

/// Takes parts one after the other.
pub struct StateWriter<'a, E> {
    sink: &'a mut dyn FnMut(&[u8]) -> Result<(), E>,
    part: Vec<u8>,
    hasher: Hasher,
}

impl<'a, E> StateWriter<'a, E> {
    /// Hands each part to `sink`.
    pub fn new(sink: &'a mut dyn FnMut(&[u8]) -> Result<(), E>) -> Self {
        Self { sink, part: Vec::new(), hasher: Hasher::default() }
    }

    /// The next part.
    ///
    /// # Errors
    /// The sink's.
    pub fn put(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), E> {
        let part = std::mem::take(&mut self.part);
        self.part = postcard::to_extend(value, part).expect("plain data can be written");
        self.hasher.add(&self.part);
        (self.sink)(&self.part)?;
        self.part.clear();
        Ok(())
    }

    /// Several parts of at most [`CHUNK`] values each, after one that says how many values there are.
    ///
    /// # Errors
    /// The sink's.
    pub fn put_chunks<T: Serialize>(
        &mut self,
        count: usize,
        values: impl Iterator<Item = T>,
    ) -> Result<(), E> {
        self.put(&(count as u64))?;
        let (mut values, mut put) = (values, 0);
        while put < count {
            let chunk: Vec<T> = values.by_ref().take(CHUNK).collect();
            assert!(!chunk.is_empty(), "there are as many values as was said");
            put += chunk.len();
            self.put(&chunk)?;
        }
        Ok(())
    }

    /// Of all parts so far.
    pub fn hash(&self) -> StateHash {
        self.hasher.hash()
    }
}

/// Why parts are no state. The text says what was expected where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StateError {
    /// The bytes of a part are not those of its type.
    #[error("part {part} is no {what}")]
    Part {
        /// How many came before.
        part: u64,
        /// What it should be.
        what: &'static str,
    },
    /// Parts end too early.
    #[error("it ends after {parts} parts")]
    Ends {
        /// How many there are.
        parts: u64,
    },
    /// It is of other shards, or two parts do not go together.
    #[error("{0}")]
    Unfit(String),
}

/// Gives parts back one after the other.
pub struct StateReader<'a, E> {
    source: &'a mut dyn FnMut(&mut Vec<u8>) -> Result<bool, E>,
    part: Vec<u8>,
    parts: u64,
    hasher: Hasher,
}

impl<'a, E: From<StateError>> StateReader<'a, E> {
    /// Asks `source` for each part; it says whether there is one.
    pub fn new(source: &'a mut dyn FnMut(&mut Vec<u8>) -> Result<bool, E>) -> Self {
        Self { source, part: Vec::new(), parts: 0, hasher: Hasher::default() }
    }

    /// The next part.
    ///
    /// # Errors
    /// The source's, and if there is none, or one of another type.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<T, E> {
        self.part.clear();
        if !(self.source)(&mut self.part)? {
            return Err(StateError::Ends { parts: self.parts }.into());
        }
        self.hasher.add(&self.part);
        let unfit = StateError::Part { part: self.parts, what: std::any::type_name::<T>() };
        let (value, rest) = postcard::take_from_bytes(&self.part).map_err(|_| unfit.clone())?;
        if !rest.is_empty() {
            return Err(unfit.into());
        }
        self.parts += 1;
        Ok(value)
    }

    /// What [`StateWriter::put_chunks`] wrote, value by value. Returns how many there were.
    ///
    /// # Errors
    /// As [`StateReader::take`], and the visitor's.
    pub fn take_chunks<T: DeserializeOwned>(
        &mut self,
        mut visit: impl FnMut(T) -> Result<(), E>,
    ) -> Result<usize, E> {
        let count: u64 = self.take()?;
        let mut taken = 0;
        while taken < count {
            let chunk: Vec<T> = self.take()?;
            taken += chunk.len() as u64;
            if chunk.is_empty() || taken > count {
                return Err(unfit(format!("{count} values are in chunks of another sum")).into());
            }
            chunk.into_iter().try_for_each(&mut visit)?;
        }
        Ok(count as usize)
    }

    /// Of all parts so far.
    pub fn hash(&self) -> StateHash {
        self.hasher.hash()
    }
}

/// A state whose parts do not go together.
pub fn unfit(what: impl Into<String>) -> StateError {
    StateError::Unfit(what.into())
}

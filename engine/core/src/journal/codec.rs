//! Entries as bytes: postcard, which writes fields in order, integers in as few bytes as they need and nothing else.
//!
//! The bytes are a function of the order of fields and variants of the types in [`crate::message`]: to change one of
//! these is to change [`FORMAT`].

use crate::log::Entry;
use crate::message::Input;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;

/// The format of everything the journal writes. A change of any byte needs another one.
pub const FORMAT: u32 = 2;

/// No entry is longer: an order with all that it can have takes 150 bytes.
pub(super) const ENTRY_BYTES_MAX: usize = 256;

/// What a shard's log holds, as bytes.
pub trait Payload: Copy + Send {
    /// Writes an entry to the beginning of `buffer`, which must be long enough. Returns its bytes.
    fn encode(entry: &Entry<Self>, buffer: &mut [u8]) -> usize;
    /// Takes an entry from the beginning of `bytes`; `None` if there is none.
    fn decode(bytes: &mut &[u8]) -> Option<Entry<Self>>;
}

impl Payload for Input {
    fn encode(entry: &Entry<Input>, buffer: &mut [u8]) -> usize {
        put(entry, buffer)
    }

    fn decode(bytes: &mut &[u8]) -> Option<Entry<Input>> {
        take(bytes)
    }
}

/// A matcher has no inputs of its own; serde wants a type of its own to say so.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Never {}

impl Payload for Infallible {
    fn encode(entry: &Entry<Infallible>, buffer: &mut [u8]) -> usize {
        match *entry {
            Entry::Input(nothing) => match nothing {},
            Entry::Received { from, count } => put(&Entry::<Never>::Received { from, count }, buffer),
        }
    }

    fn decode(bytes: &mut &[u8]) -> Option<Entry<Infallible>> {
        match take(bytes)? {
            Entry::<Never>::Input(nothing) => match nothing {},
            Entry::Received { from, count } => Some(Entry::Received { from, count }),
        }
    }
}

fn put<T: Serialize>(value: &T, buffer: &mut [u8]) -> usize {
    postcard::to_slice(value, buffer).expect("the buffer is longer than any entry").len()
}

fn take<'a, T: Deserialize<'a>>(bytes: &mut &'a [u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    *bytes = rest;
    Some(value)
}

//! The `id` of a request, which its answer repeats.

use std::fmt;

/// Longest text id in bytes. A UUID has 36.
pub const ID_BYTES_MAX: usize = 36;

const _: () = assert!(size_of::<RequestId>() == 40); // it is copied into pending orders: no heap, and small

/// A client's own name for its request: an integer or a short text, echoed with its JSON type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RequestId {
    /// A JSON integer of zero or more.
    Unsigned(u64),
    /// A JSON integer below zero.
    Negative(i64),
    /// A JSON string.
    Text(ShortText),
}

/// At most [`ID_BYTES_MAX`] bytes of text, inline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShortText {
    length: u8,
    bytes: [u8; ID_BYTES_MAX], // zero after `length`, so that equality is of the text
}

impl RequestId {
    /// A text id, or nothing if it is too long.
    pub fn from_text(text: &str) -> Option<RequestId> {
        let mut bytes = [0; ID_BYTES_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(RequestId::Text(ShortText { length: text.len() as u8, bytes }))
    }
}

impl ShortText {
    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length as usize]).expect("it was made of a str")
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestId::Unsigned(number) => number.fmt(f),
            RequestId::Negative(number) => number.fmt(f),
            RequestId::Text(text) => text.as_str().fmt(f),
        }
    }
}

impl fmt::Debug for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

//! The pieces that messages are made of.
//!
//! `put! { out, r#"{"seq":"#, sequence, r#","price":"#, Steps(format, ticks), "}" }` appends literals as they are and
//! values by their [`Piece`]. A bare `&str` is a literal of ours; text of others is wrapped in [`Text`], which
//! quotes and escapes it. (In braces, because rustfmt then leaves key and value on one line.)

use engine_core::units::{Amount, Price, Quantity, Sequence, Side, Timestamp, TradeId};

use super::{Level, SymbolFormat};
use crate::wire::id::RequestId;
use crate::wire::name::Name;
use crate::wire::number::{NumberFormat, write_amount};

/// Appends its pieces to `$out`.
macro_rules! put {
    ($out:expr, $($piece:expr),+ $(,)?) => {{ $($crate::wire::encode::piece::Piece::put($piece, $out);)+ }};
}
pub(super) use put;

/// Something that can be appended to a message.
pub(super) trait Piece {
    fn put(self, out: &mut Vec<u8>);
}

/// Any text, quoted and escaped.
pub(super) struct Text<'a>(pub &'a str);

/// A word of a vocabulary, quoted.
pub(super) struct Word<T>(pub T);

/// An integer as a string, for numbers that may pass 2^53 or that are names rather than numbers.
pub(super) struct Quoted(pub u64);

/// A number of steps as a decimal string.
pub(super) struct Steps(pub NumberFormat, pub u64);

/// An amount of an asset with these decimals, as a decimal string.
pub(super) struct Money(pub Amount, pub u8);

/// The same for an amount that may be below zero.
pub(super) struct SignedMoney(pub i128, pub u8);

/// `["price","quantity"]`.
pub(super) struct Pair<'a, 'b>(pub &'a SymbolFormat<'b>, pub Level);

/// A key (with its comma and colon) and a value, or nothing at all.
pub(super) struct Extra<T>(pub &'static str, pub Option<T>);

/// A value or `null`.
pub(super) struct OrNull<T>(pub Option<T>);

/// Items between brackets, with commas.
pub(super) struct List<I>(pub I);

impl Piece for &'static str {
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl Piece for u64 {
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(self).as_bytes());
    }
}

impl Piece for i64 {
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(self).as_bytes());
    }
}

impl Piece for bool {
    fn put(self, out: &mut Vec<u8>) {
        put!(out, if self { "true" } else { "false" });
    }
}

impl Piece for Sequence {
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        put!(out, self.0);
    }
}

impl Piece for TradeId {
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        put!(out, self.0);
    }
}

impl Piece for Timestamp {
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        put!(out, self.0);
    }
}

impl Piece for Text<'_> {
    fn put(self, out: &mut Vec<u8>) {
        out.push(b'"');
        match self.0.bytes().position(needs_escape) {
            None => out.extend_from_slice(self.0.as_bytes()),
            Some(_) => put_escaped(self.0, out),
        }
        out.push(b'"');
    }
}

impl<T: Name> Piece for Word<T> {
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(self.0.text().as_bytes());
        out.push(b'"');
    }
}

impl Piece for Side {
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        put!(out, Word(self));
    }
}

impl Piece for Quoted {
    fn put(self, out: &mut Vec<u8>) {
        put!(out, "\"", self.0, "\"");
    }
}

impl Piece for Steps {
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        out.push(b'"');
        self.0.write(out, self.1);
        out.push(b'"');
    }
}

impl Piece for Money {
    fn put(self, out: &mut Vec<u8>) {
        out.push(b'"');
        write_amount(out, self.0, self.1);
        out.push(b'"');
    }
}

impl Piece for SignedMoney {
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.0 < 0 { b"\"-" } else { b"\"" });
        write_amount(out, Amount(self.0.unsigned_abs()), self.1);
        out.push(b'"');
    }
}

impl Piece for Pair<'_, '_> {
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        let Pair(format, Level { price: Price(ticks), quantity: Quantity(lots) }) = self;
        out.extend_from_slice(b"[\"");
        format.price.write(out, ticks);
        out.extend_from_slice(b"\",\"");
        format.quantity.write(out, lots);
        out.extend_from_slice(b"\"]");
    }
}

impl Piece for &RequestId {
    fn put(self, out: &mut Vec<u8>) {
        match self {
            RequestId::Unsigned(number) => put!(out, *number),
            RequestId::Negative(number) => put!(out, *number),
            RequestId::Text(text) => put!(out, Text(text.as_str())),
        }
    }
}

impl<T: Piece> Piece for Extra<T> {
    fn put(self, out: &mut Vec<u8>) {
        if let Some(value) = self.1 {
            put!(out, self.0, value);
        }
    }
}

impl<T: Piece> Piece for OrNull<T> {
    fn put(self, out: &mut Vec<u8>) {
        match self.0 {
            Some(value) => put!(out, value),
            None => put!(out, "null"),
        }
    }
}

impl<I: IntoIterator<Item: Piece>> Piece for List<I> {
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (place, item) in self.0.into_iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            item.put(out);
        }
        out.push(b']');
    }
}

fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

#[cold]
fn put_escaped(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ if byte < b' ' => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
}

//! The native JSON protocol (`docs/PROTOCOL.md`, part 1): bytes of a text message in, a [`request::Request`] out;
//! plain values in, bytes of a payload out. No socket, no clock, no state. JSON exists in this module and nowhere
//! else: behind it there are integers and enums, before it there are frames.
//!
//! Read in this order:
//! - [`code`]: the closed list of error codes, and [`Refusal`], what we say when we say no.
//! - [`name`]: the closed vocabularies (`buy`, `partially_filled`, ...) as enums.
//! - [`number`]: decimal text to ticks, lots and atoms, and back, exactly.
//! - [`id`]: the `id` that a client puts on a request and gets back.
//! - [`request`]: decodes what a client says.
//! - [`encode`]: encodes what we say: market data, private events, control.
//!
//! What always holds:
//! - Any bytes at all decode to a request or to an error with a code; nothing panics, recurses or takes more than
//!   linear time.
//! - Decoding and encoding allocate nothing once their buffers have grown. Only a refusal builds its sentence.
//! - Key order and spelling of every message are those of the protocol page; `tests/` compares the text.
//!
//! It will not look up a symbol, an account or a limit: whether a well-formed request is acceptable is for the
//! session and the engine to say.

pub mod code;
pub mod encode;
pub mod id;
pub mod name;
pub mod number;
pub mod request;

pub use code::{ErrorCode, Refusal};
pub use id::RequestId;
pub use number::NumberFormat;

#[cfg(test)]
mod tests;

//! permessage-deflate, RFC 7692: messages that are compressed on their way, each by itself.
//!
//! ```text
//! Sec-WebSocket-Extensions of the request ─▶ offer::Accepted ─▶ that of the 101
//! a client's message with RSV1            ─▶ Inflater        ─▶ its text
//! text for many                           ─▶ Deflater        ─▶ a frame with RSV1, the same for all of them
//! ```
//!
//! Neither side remembers the last message when it (de)compresses the next: the 101 says `server_no_context_takeover` and
//! `client_no_context_takeover`. So a frame is compressed once for everybody in a room, and one inflater serves all
//! connections of a thread. A connection that may use all this has no memory more than one that may not.

pub mod deflater;
pub mod inflater;
pub mod offer;

pub use deflater::Deflater;
pub use inflater::Inflater;
pub use offer::Accepted;

/// What a compressed message ends with before it is sent without it (RFC 7692 section 7.2.1): the length of an empty block
/// that is stored, whose three bits of header are in the byte before.
const EMPTY_BLOCK_LENGTH: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

//! RFC 6455, the server's side, without a socket: bytes in, bytes or events out.
//!
//! We speak the protocol ourselves because of what stands around it. A quiet connection keeps sixteen bytes of codec
//! state and no buffer; a message that arrived whole is unmasked where `recv` put it and handed out from there; a
//! push is framed once and its bytes are shared by every subscriber of the room.
//!
//! ```text
//! handshake bytes ─▶ handshake::parse ─▶ Request ─▶ write_accepted  (101), or Refusal ─▶ write_response
//! frame bytes     ─▶ Decoder::read    ─▶ Event, Event, ...          or Violation ─▶ write_close
//! our messages    ─▶ frame::{write_frame, append_frame, frame_header} ─▶ bytes for the wire or the ring
//! ```
//!
//! In reading order:
//! - [`handshake`]: the upgrade request, the 101, and every answer that is not a 101.
//! - [`frame`]: one frame's header in both directions, and the mask. Pure functions.
//! - [`decoder`]: frames into messages, with everything that may be torn between two reads.
//! - [`deflate`]: messages that are compressed, if the client offers it.
//! - [`violation`]: what a peer can do wrong, and the close code each earns.
//!
//! What always holds:
//! - How the bytes were cut into reads changes nothing: the same bytes give the same events and the same violation.
//! - A violation is found with the first byte that proves it. Text that can no longer become valid UTF-8 fails while
//!   its frame or its message is still arriving; what is compressed is looked at when it is whole.
//! - Memory follows bytes that arrived, at most twice as many, and never a length that was only announced. What a
//!   compressed message becomes is the inflater's, of which a thread has one.
//! - Work is linear in the bytes, even when they come one at a time.
//! - After a close frame or a violation nothing more is delivered.
//!
//! What it will not do: read a clock (handshake, idle and close timeouts are the reactor's), answer by itself (a pong
//! is written by whoever sees the ping), count messages against a rate ([`decoder::Reading::frames`] says what to
//! count), or decode percent signs in the path.

pub mod decoder;
pub mod deflate;
pub mod frame;
pub mod handshake;
pub mod violation;

#[cfg(test)]
mod tests;

pub use decoder::{Decoder, Event, Limits, Reading};
pub use handshake::{Refusal, Request, Status};
pub use violation::Violation;

/// What a frame is, RFC 6455 section 5.2. The six that exist; the other ten values are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// The next fragment of a message that began as text or binary.
    Continuation = 0x0,
    /// A message, or its first fragment, of UTF-8.
    Text = 0x1,
    /// A message, or its first fragment, of any bytes.
    Binary = 0x2,
    /// The last frame its sender sends.
    Close = 0x8,
    /// Asks for a pong with the same payload.
    Ping = 0x9,
    /// Answers a ping, or is sent unasked.
    Pong = 0xA,
}

impl Opcode {
    /// The opcode of these four bits, if it is not a reserved one.
    pub const fn from_bits(bits: u8) -> Option<Opcode> {
        Some(match bits {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xA => Opcode::Pong,
            _ => return None,
        })
    }

    /// Control frames are short, whole, and may stand between the fragments of a message.
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// Why a connection ends, as the number in a close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The client is done, and so are we.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// We are shutting down; `server_shutdown` told the client when to come back.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// The bytes were not RFC 6455.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// Text was not UTF-8.
    pub const INVALID_PAYLOAD: CloseCode = CloseCode(1007);
    /// The client may not do what it did, and no narrower code says so.
    pub const POLICY: CloseCode = CloseCode(1008);
    /// A message was larger than [`Limits::message_bytes_max`].
    pub const TOO_BIG: CloseCode = CloseCode(1009);
    /// The client did not read for the whole write timeout.
    pub const SLOW_CONSUMER: CloseCode = CloseCode(4001);
    /// The login failed or did not come in time.
    pub const AUTH_FAILED: CloseCode = CloseCode(4002);
    /// More messages a second than allowed.
    pub const MESSAGE_RATE: CloseCode = CloseCode(4003);
    /// Neither a message nor a pong for the whole idle timeout.
    pub const IDLE: CloseCode = CloseCode(4004);

    /// Whether a peer may put this number into a close frame.
    ///
    /// The IANA registry decides below 3000: 1012 to 1014 were registered after the RFC and are in use, while 1004 is
    /// reserved and 1005, 1006 and 1015 only describe a close that had no frame. 3000 to 4999 belong to libraries and
    /// applications.
    pub const fn is_valid_in_frame(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

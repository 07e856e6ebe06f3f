//! What a peer can do wrong on an open connection.

use super::CloseCode;
use std::fmt;

/// The bytes broke RFC 6455 or a limit. The decoder is finished: send a close frame with [`Violation::close_code`] and
/// [`Violation::reason`], then end the connection without reading on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A bit is set that only a negotiated extension may use, or where that extension does not use it.
    ReservedBits,
    /// The opcode is one of the ten without a meaning.
    ReservedOpcode,
    /// A control frame without FIN.
    FragmentedControl,
    /// A control frame with more than 125 bytes.
    OversizedControl,
    /// A client's frame without a mask.
    Unmasked,
    /// A length written with more bytes than it needs.
    PaddedLength,
    /// A length with the highest of its 64 bits set.
    NegativeLength,
    /// A continuation, but no message has begun.
    NothingToContinue,
    /// A new message while the previous one still lacks fragments.
    MessageInterrupted,
    /// The message is, or will be, larger than allowed.
    MessageTooBig,
    /// Text, or the reason of a close, is not UTF-8.
    InvalidUtf8,
    /// A message that says it is compressed does not inflate, or ends within a block.
    InvalidDeflate,
    /// A close frame with half a code.
    TruncatedCloseCode,
    /// A close frame with a number that may not stand in one.
    InvalidCloseCode,
}

impl Violation {
    /// The code our close frame carries. RFC 7692 names none for what does not inflate. It is content that is not of the kind that
    /// its frame announced, as text that is not UTF-8: 1007.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Violation::InvalidUtf8 | Violation::InvalidDeflate => CloseCode::INVALID_PAYLOAD,
            Violation::MessageTooBig => CloseCode::TOO_BIG,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// The text our close frame carries: for the person who writes the client.
    pub const fn reason(self) -> &'static str {
        match self {
            Violation::ReservedBits => "reserved bit set where no extension uses it",
            Violation::ReservedOpcode => "reserved opcode",
            Violation::FragmentedControl => "control frame is fragmented",
            Violation::OversizedControl => "control frame is longer than 125 bytes",
            Violation::Unmasked => "client frame is not masked",
            Violation::PaddedLength => "payload length is not in its shortest form",
            Violation::NegativeLength => "payload length has its highest bit set",
            Violation::NothingToContinue => "continuation frame without a message to continue",
            Violation::MessageInterrupted => "new message before the last fragment of the previous one",
            Violation::MessageTooBig => "message is too big",
            Violation::InvalidUtf8 => "text is not valid UTF-8",
            Violation::InvalidDeflate => "compressed message does not inflate",
            Violation::TruncatedCloseCode => "close frame with a payload of one byte",
            Violation::InvalidCloseCode => "close code may not be sent",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.reason())
    }
}

impl std::error::Error for Violation {}

//! One frame: its header read and written, and the mask taken off. Pure functions over bytes.
//!
//! ```text
//! byte 0   FIN RSV1 RSV2 RSV3 opcode(4)
//! byte 1   MASK length(7)            0..=125 is the length; 126: 2 more bytes; 127: 8 more bytes, big endian
//! then     mask(4)                   from clients always, from us never
//! then     payload
//! ```

use super::{CloseCode, Opcode, Violation};
use std::ops::{Deref, Range};

/// The largest header a client sends: 2 bytes, 8 of length, 4 of mask.
pub const CLIENT_HEADER_BYTES_MAX: usize = 14;

/// The largest header we send: as a client's, without the mask.
pub const SERVER_HEADER_BYTES_MAX: usize = 10;

/// RFC 6455 section 5.5: what a ping, pong or close may carry.
pub const CONTROL_PAYLOAD_BYTES_MAX: usize = 125;

/// What remains of a control frame's payload after the close code.
pub const CLOSE_REASON_BYTES_MAX: usize = CONTROL_PAYLOAD_BYTES_MAX - 2;

const FIN: u8 = 0x80;
/// RSV1, as RFC 7692 uses it.
const DEFLATED: u8 = 0x40;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// A client's frame header, checked as far as one frame can be checked alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientHeader {
    /// Whether this frame ends its message.
    pub is_final: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// Whether it is the first, or only, frame of a message that is compressed.
    pub is_deflated: bool,
    /// What the payload is xored with, byte `i` with `mask[i % 4]`.
    pub mask: [u8; 4],
    /// As announced, not as received.
    pub payload_bytes: u64,
}

impl ClientHeader {
    /// Reads the header at the start of `bytes` and says how many bytes it took, or `None` if it is not there yet.
    ///
    /// Every check is made as soon as its byte is there, in the order of the bytes, so that a header fails alike
    /// whether it comes whole or in pieces. `may_deflate`: permessage-deflate was negotiated.
    pub fn parse(bytes: &[u8], may_deflate: bool) -> Result<Option<(ClientHeader, usize)>, Violation> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let is_deflated = first & RESERVED == DEFLATED && may_deflate;
        if first & RESERVED != 0 && !is_deflated {
            return Err(Violation::ReservedBits);
        }
        let opcode = Opcode::from_bits(first & 0x0F).ok_or(Violation::ReservedOpcode)?;
        if is_deflated && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(Violation::ReservedBits);
        }
        let is_final = first & FIN != 0;
        if opcode.is_control() && !is_final {
            return Err(Violation::FragmentedControl);
        }

        let Some(&second) = bytes.get(1) else { return Ok(None) };
        if second & MASKED == 0 {
            return Err(Violation::Unmasked);
        }
        let short_length = second & !MASKED;
        if opcode.is_control() && short_length as usize > CONTROL_PAYLOAD_BYTES_MAX {
            return Err(Violation::OversizedControl);
        }

        let Some((payload_bytes, mask_at)) = parse_length(short_length, bytes)? else { return Ok(None) };
        let Some(&mask) = bytes[mask_at..].first_chunk() else { return Ok(None) };
        Ok(Some((ClientHeader { is_final, opcode, is_deflated, mask, payload_bytes }, mask_at + mask.len())))
    }
}

/// The length and where the mask begins.
fn parse_length(short_length: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    let (length, length_end, shorter_max) = match short_length {
        126 => match bytes[2..].first_chunk() {
            Some(&length) => (u16::from_be_bytes(length) as u64, 4, 125),
            None => return Ok(None),
        },
        127 => match bytes[2..].first_chunk() {
            Some(&length) => (u64::from_be_bytes(length), 10, u16::MAX as u64),
            None => return Ok(None),
        },
        length => return Ok(Some((length as u64, 2))),
    };
    if length <= shorter_max {
        return Err(Violation::PaddedLength);
    }
    if length > i64::MAX as u64 {
        return Err(Violation::NegativeLength);
    }
    Ok(Some((length, length_end)))
}

/// Takes the mask off (or puts it on) in place. `offset` is where in the frame's payload `bytes` begins.
///
/// Words of eight bytes, from any address: the compiler turns the loop into vector instructions.
pub fn unmask(bytes: &mut [u8], mut mask: [u8; 4], offset: usize) {
    mask.rotate_left(offset % 4);
    let [a, b, c, d] = mask;
    let word_mask = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ word_mask).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// A header of ours, ready for the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHeader {
    bytes: [u8; SERVER_HEADER_BYTES_MAX],
    len: u8,
}

impl Deref for ServerHeader {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }
}

/// How long the header of a payload of this length is: 2, 4 or 10 bytes.
pub const fn server_header_bytes(payload_bytes: usize) -> usize {
    match payload_bytes {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    }
}

/// The header of one whole frame (FIN set, no mask).
pub fn frame_header(opcode: Opcode, payload_bytes: usize) -> ServerHeader {
    assert!(
        !opcode.is_control() || payload_bytes <= CONTROL_PAYLOAD_BYTES_MAX,
        "control frame of {payload_bytes} bytes"
    );
    let mut bytes = [0; SERVER_HEADER_BYTES_MAX];
    let len = server_header_bytes(payload_bytes);
    bytes[0] = FIN | opcode as u8;
    match len {
        2 => bytes[1] = payload_bytes as u8,
        4 => {
            bytes[1] = 126;
            bytes[2..4].copy_from_slice(&(payload_bytes as u16).to_be_bytes());
        }
        _ => {
            bytes[1] = 127;
            bytes[2..10].copy_from_slice(&(payload_bytes as u64).to_be_bytes());
        }
    }
    ServerHeader { bytes, len: len as u8 }
}

/// Appends the header of a frame whose payload the caller appends next.
pub fn write_frame_header(out: &mut Vec<u8>, opcode: Opcode, payload_bytes: usize) {
    out.extend_from_slice(&frame_header(opcode, payload_bytes));
}

/// The same for a message that is compressed (RFC 7692), to a client that has agreed to that.
pub fn write_deflated_frame_header(out: &mut Vec<u8>, opcode: Opcode, payload_bytes: usize) {
    let frame_at = out.len();
    write_frame_header(out, opcode, payload_bytes);
    out[frame_at] |= DEFLATED;
}

/// Appends a whole frame: text, binary, ping or pong.
pub fn write_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    write_frame_header(out, opcode, payload.len());
    out.extend_from_slice(payload);
}

/// Appends a close frame. A reason that is too long is cut between two characters.
pub fn write_close(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX)];
    write_frame_header(out, Opcode::Close, 2 + reason.len());
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

/// Appends the answer to a client's close frame: its own code back, or none if it gave none.
pub fn write_close_reply(out: &mut Vec<u8>, code: Option<CloseCode>) {
    match code {
        Some(code) => write_close(out, code, ""),
        None => write_frame_header(out, Opcode::Close, 0),
    }
}

/// Appends a frame whose payload `encode` appends, when its length is known only afterwards.
///
/// Room for the header is left as `payload_bytes_expected` needs it. Only if the payload falls on the other side of
/// 126 or 65536 bytes does it move, by a few bytes.
pub fn append_frame(
    out: &mut Vec<u8>,
    opcode: Opcode,
    payload_bytes_expected: usize,
    encode: impl FnOnce(&mut Vec<u8>),
) {
    let frame_at = out.len();
    let room = server_header_bytes(payload_bytes_expected);
    out.resize(frame_at + room, 0);
    encode(out);
    let header = frame_header(opcode, out.len() - frame_at - room);
    if header.len() == room {
        out[frame_at..frame_at + room].copy_from_slice(&header);
    } else {
        out.splice(frame_at..frame_at + room, header.iter().copied());
    }
}

/// Puts the header right before a payload that already stands in `memory`, and returns where the frame begins.
///
/// For memory whose frames need not touch each other: leave [`SERVER_HEADER_BYTES_MAX`] free, encode, seal, and nothing
/// ever moves.
pub fn seal_frame(memory: &mut [u8], opcode: Opcode, payload: Range<usize>) -> usize {
    let header = frame_header(opcode, payload.len());
    let frame_at = payload.start - header.len();
    memory[frame_at..payload.start].copy_from_slice(&header);
    frame_at
}

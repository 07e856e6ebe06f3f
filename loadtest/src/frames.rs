//! RFC 6455 frames from a server, walked in place: the least a client can do and still know what it got.
//!
//! ```text
//! byte 0: FIN RSV RSV RSV opcode(4)   byte 1: MASK length(7)   length 126: +2 bytes, 127: +8 bytes   payload
//! ```
//! Written for [`crate::lean`], and strict: a server frame that is masked or fragmented is a fault, and one that is
//! compressed where that was not negotiated.

use std::fmt;

/// The largest frame believed. A snapshot of a very deep book is some megabytes.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// Above this a finished carry gives its memory back; thousands of readers each got one large snapshot.
const CARRY_BYTES_KEPT: usize = 4096;

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub opcode: u8,
    pub payload: &'a [u8],
    /// Then [`crate::inflate`] tells what the payload says.
    pub is_deflated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFault {
    ReservedBits { first: u8 },
    Fragmented { first: u8 },
    Masked,
    Oversize { bytes: u64 },
}

/// Finds frames in a byte stream that arrives in pieces; only a frame cut by a piece's end is copied.
#[derive(Default)]
pub struct Walker {
    carry: Vec<u8>,
    may_deflate: bool,
}

struct Header {
    opcode: u8,
    is_deflated: bool,
    header_bytes: usize,
    frame_bytes: usize,
}

impl Walker {
    /// Of a connection that has negotiated permessage-deflate.
    pub fn inflating() -> Self {
        Walker { may_deflate: true, ..Walker::default() }
    }

    pub fn walk(&mut self, mut bytes: &[u8], mut each: impl FnMut(Frame)) -> Result<(), FrameFault> {
        if !self.carry.is_empty() {
            bytes = self.complete(bytes, &mut each)?;
        }
        while let Some(header) = header(bytes, self.may_deflate)? {
            if bytes.len() < header.frame_bytes {
                break;
            }
            let (frame, rest) = bytes.split_at(header.frame_bytes);
            each(header.frame(frame));
            bytes = rest;
        }
        self.carry.extend_from_slice(bytes);
        Ok(())
    }

    /// The beginning of a frame whose end has not come.
    pub fn into_carry(self) -> Vec<u8> {
        self.carry
    }

    /// Adds to the carried frame what it lacks, and returns what is left.
    fn complete<'a>(
        &mut self,
        mut bytes: &'a [u8],
        each: &mut impl FnMut(Frame),
    ) -> Result<&'a [u8], FrameFault> {
        loop {
            let header = header(&self.carry, self.may_deflate)?;
            let wanted = header.as_ref().map_or(self.carry.len() + 1, |header| header.frame_bytes);
            if let Some(header) = header.filter(|header| header.frame_bytes == self.carry.len()) {
                each(header.frame(&self.carry));
                self.carry.clear();
                self.carry.shrink_to(CARRY_BYTES_KEPT);
                return Ok(bytes);
            }
            if bytes.is_empty() {
                return Ok(bytes);
            }
            let (taken, rest) = bytes.split_at((wanted - self.carry.len()).min(bytes.len()));
            self.carry.extend_from_slice(taken);
            bytes = rest;
        }
    }
}

impl Header {
    fn frame<'a>(&self, bytes: &'a [u8]) -> Frame<'a> {
        let Header { opcode, is_deflated, header_bytes, .. } = *self;
        Frame { opcode, payload: &bytes[header_bytes..], is_deflated }
    }
}

/// None: more bytes are needed to know.
fn header(bytes: &[u8], may_deflate: bool) -> Result<Option<Header>, FrameFault> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let (first, length) = (*first, second & 0x7f);
    let is_deflated = may_deflate && first & 0x78 == 0x40;
    if first & 0x70 != 0 && !is_deflated {
        return Err(FrameFault::ReservedBits { first });
    }
    if first & 0x80 == 0 || first & 0x0f == 0 {
        return Err(FrameFault::Fragmented { first });
    }
    if second & 0x80 != 0 {
        return Err(FrameFault::Masked);
    }
    let (header_bytes, payload_bytes) = match (length, rest) {
        (126, [high, low, ..]) => (4, u64::from(u16::from_be_bytes([*high, *low]))),
        (127, [a, b, c, d, e, f, g, h, ..]) => (10, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])),
        (126 | 127, _) => return Ok(None),
        (short, _) => (2, u64::from(short)),
    };
    if payload_bytes > FRAME_BYTES_MAX as u64 {
        return Err(FrameFault::Oversize { bytes: payload_bytes });
    }
    Ok(Some(Header {
        opcode: first & 0x0f,
        is_deflated,
        header_bytes,
        frame_bytes: header_bytes + payload_bytes as usize,
    }))
}

/// The mask hides nothing on loopback, but the protocol demands one.
const MASK: [u8; 4] = [0x52, 0x69, 0x6e, 0x67];

/// A client's frame of at most 125 bytes.
pub fn short_client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() <= 125, "a short frame of {} bytes", payload.len());
    let mut frame = Vec::with_capacity(6 + payload.len());
    put_client_frame(&mut frame, opcode, payload);
    frame
}

/// Appends a client's frame of less than 64 KiB.
pub fn put_client_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match payload.len() {
        short @ 0..126 => out.push(0x80 | short as u8),
        medium => {
            out.push(0x80 | 126);
            out.extend(u16::try_from(medium).expect("a frame below 64 KiB").to_be_bytes());
        }
    }
    out.extend(MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// Appends a server's frame, plain.
pub fn put_server_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match payload.len() {
        short @ 0..126 => out.push(short as u8),
        medium @ 126..65536 => {
            out.push(126);
            out.extend((medium as u16).to_be_bytes());
        }
        long => {
            out.push(127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    out.extend(payload);
}

impl fmt::Display for FrameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameFault::ReservedBits { first } => write!(f, "reserved bits in first frame byte {first:#04x}"),
            FrameFault::Fragmented { first } => write!(f, "fragmented frame, first byte {first:#04x}"),
            FrameFault::Masked => f.write_str("masked frame from a server"),
            FrameFault::Oversize { bytes } => write!(f, "frame of {bytes} bytes"),
        }
    }
}

impl std::error::Error for FrameFault {}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        put_server_frame(&mut frame, TEXT, payload);
        frame
    }

    #[test]
    fn frames_come_out_whole_however_the_stream_is_cut() {
        let payloads: Vec<Vec<u8>> =
            [0, 1, 125, 126, 127, 300, 65535, 65536].map(|n| vec![n as u8; n]).into();
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| server_frame(payload)).collect();
        for piece_bytes in [1, 2, 3, 7, 127, 1000, 70_000, stream.len()] {
            let mut walker = Walker::default();
            let mut got = Vec::new();
            for piece in stream.chunks(piece_bytes) {
                walker.walk(piece, |frame| got.push(frame.payload.to_vec())).unwrap();
            }
            assert!(got == payloads, "cut into pieces of {piece_bytes} bytes");
        }
    }

    #[test]
    fn what_was_not_negotiated_is_a_fault() {
        let fault = |bytes: &[u8]| Walker::default().walk(bytes, |_| {}).unwrap_err();
        assert_eq!(fault(&[0xc1, 0]), FrameFault::ReservedBits { first: 0xc1 });
        assert_eq!(fault(&[0x01, 0]), FrameFault::Fragmented { first: 0x01 });
        assert_eq!(fault(&[0x80, 0]), FrameFault::Fragmented { first: 0x80 });
        assert_eq!(fault(&[0x81, 0x80]), FrameFault::Masked);
        let huge = [0x81, 127, 0, 0, 1, 0, 0, 0, 0, 0];
        assert_eq!(fault(&huge), FrameFault::Oversize { bytes: 1 << 40 });
    }

    #[test]
    fn a_compressed_frame_is_told_from_others() {
        let mut heard = Vec::new();
        let frames = [0xc1, 1, b'x', 0x81, 1, b'y'];
        Walker::inflating().walk(&frames, |frame| heard.push((frame.is_deflated, frame.payload[0]))).unwrap();
        assert_eq!(heard, [(true, b'x'), (false, b'y')]);
        let fault = |bytes: &[u8]| Walker::inflating().walk(bytes, |_| {}).unwrap_err();
        assert_eq!(fault(&[0xc9, 0]), FrameFault::ReservedBits { first: 0xc9 }, "not of a ping");
        assert_eq!(fault(&[0xd1, 0]), FrameFault::ReservedBits { first: 0xd1 }, "no other bit");
    }

    #[test]
    fn a_client_frame_is_masked() {
        let frame = short_client_frame(PONG, b"hi");
        assert_eq!(frame[..2], [0x8a, 0x82]);
        assert_eq!([frame[6] ^ frame[2], frame[7] ^ frame[3]], *b"hi");
        let mut longer = Vec::new();
        put_client_frame(&mut longer, TEXT, &[b'x'; 300]);
        assert_eq!(longer[..4], [0x81, 0x80 | 126, 1, 44]);
        assert_eq!((longer.len(), longer[307] ^ longer[7]), (308, b'x'));
    }
}

//! Frames into messages.
//!
//! ```text
//! scratch (shared by all connections of a reactor, filled by recv)
//! ├── whole frames ──────── unmasked in place ─▶ Event borrowed from scratch        no copy, no heap
//! └── torn tail, fragments ─ copied, unmasked ─▶ Partial (boxed) ─ completed later ─▶ Event borrowed from Reading
//! ```
//!
//! A message that is compressed (RFC 7692) takes the same ways, as it came, and is then inflated into the memory of the
//! thread's [`Inflater`]. Gathering it compressed is what lets all connections share one.
//!
//! Between two reads a connection with nothing torn is a null pointer and a flag. `Partial` comes with the first byte
//! that cannot be delivered yet and goes with the last.
//!
//! Fragments without bytes make no event and take no memory, but they cost a header each: a rate limit should charge
//! [`Reading::frames`], not events.

use super::deflate::Inflater;
use super::frame::{CLIENT_HEADER_BYTES_MAX, ClientHeader, unmask};
use super::{CloseCode, Opcode, Violation};
use std::ops::Range;

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Payload bytes of one message, all its fragments together: as it comes, and as it is when inflated.
    pub message_bytes_max: usize,
}

impl Default for Limits {
    /// The protocol's inbound limit: an order is 200 bytes, and the longest request lists 1024 channels.
    fn default() -> Limits {
        Limits { message_bytes_max: 64 * 1024 }
    }
}

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole text message. Valid UTF-8, yet mutable bytes, because the JSON parser unescapes in place.
    Text(&'a mut [u8]),
    /// A whole binary message.
    Binary(&'a mut [u8]),
    /// Wants a pong with this payload.
    Ping(&'a [u8]),
    /// The client lives.
    Pong(&'a [u8]),
    /// The client's last word; answer with [`write_close_reply`](super::frame::write_close_reply).
    Close {
        /// A valid code, or none given.
        code: Option<CloseCode>,
        /// For logs; often empty.
        reason: &'a str,
    },
}

/// The receiving half of one connection.
#[derive(Debug, Default)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
    /// A close frame or a violation was seen: whatever comes is ignored.
    ended: bool,
}

// Ten million quiet connections: 160 MB.
const _: () = assert!(size_of::<Decoder>() == 16);

impl Decoder {
    /// A connection right after its handshake.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Takes the bytes that arrived. Call [`Reading::next_event`] until it gives `None`: only then are all of them
    /// consumed and the scratch memory free for another connection.
    pub fn read<'a>(&'a mut self, bytes: &'a mut [u8], limits: &'a Limits) -> Reading<'a> {
        Reading { decoder: self, bytes, at: 0, limits, held: Vec::new(), inflater: None, frames: 0 }
    }

    /// Whether a close frame or a violation has been seen.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Heap memory held for what is torn; zero between whole messages.
    pub fn heap_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| {
            let message_bytes = partial.message.as_ref().map_or(0, |message| message.bytes.capacity());
            size_of::<Partial>() + partial.control.capacity() + message_bytes
        })
    }

    fn end(&mut self) {
        self.partial = None;
        self.ended = true;
    }
}

/// What is torn between two reads.
#[derive(Debug, Default)]
struct Partial {
    header: TornHeader,
    /// A frame whose header is known and whose payload is not all there.
    frame: Option<OpenFrame>,
    /// Payload so far of `frame`, if that is a control frame.
    control: Vec<u8>,
    /// The message that `frame`, or the next data frame, belongs to.
    message: Option<Message>,
}

impl Partial {
    fn is_empty(&self) -> bool {
        self.header.len == 0 && self.frame.is_none() && self.message.is_none()
    }
}

/// The first bytes of a header that is not complete.
#[derive(Clone, Copy, Debug, Default)]
struct TornHeader {
    bytes: [u8; CLIENT_HEADER_BYTES_MAX],
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct OpenFrame {
    header: ClientHeader,
    received: usize,
}

impl OpenFrame {
    fn missing(&self) -> usize {
        // The announced length was admitted against a limit that is a usize.
        self.header.payload_bytes as usize - self.received
    }
}

/// A message in assembly.
#[derive(Debug)]
struct Message {
    opcode: Opcode,
    is_deflated: bool,
    bytes: Vec<u8>,
    /// How many of `bytes` are whole, valid characters. At most three others follow, the head of a torn one. Not used of
    /// what is compressed.
    utf8_valid: usize,
}

impl Message {
    /// The message that begins with this frame.
    fn new(header: &ClientHeader) -> Message {
        let ClientHeader { opcode, is_deflated, .. } = *header;
        Message { opcode, is_deflated, bytes: Vec::new(), utf8_valid: 0 }
    }

    fn is_plain_text(&self) -> bool {
        self.opcode == Opcode::Text && !self.is_deflated
    }

    fn append(&mut self, masked: &[u8], mask: [u8; 4], offset: usize) -> Result<(), Violation> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(masked);
        unmask(&mut self.bytes[start..], mask, offset);
        if self.is_plain_text() { self.check_utf8() } else { Ok(()) }
    }

    /// Fails when no further bytes could make the text valid.
    fn check_utf8(&mut self) -> Result<(), Violation> {
        match str::from_utf8(&self.bytes[self.utf8_valid..]) {
            Ok(_) => self.utf8_valid = self.bytes.len(),
            Err(error) if error.error_len().is_none() => self.utf8_valid += error.valid_up_to(),
            Err(_) => return Err(Violation::InvalidUtf8),
        }
        Ok(())
    }

    fn finish(self) -> Result<Ready, Violation> {
        if self.is_plain_text() && self.utf8_valid != self.bytes.len() {
            return Err(Violation::InvalidUtf8);
        }
        Ok(Ready { opcode: self.opcode, payload: Payload::Assembled(self.bytes) })
    }
}

/// A frame or message that can be handed out.
struct Ready {
    opcode: Opcode,
    payload: Payload,
}

enum Payload {
    InPlace(Range<usize>),
    Assembled(Vec<u8>),
    /// In the inflater.
    Inflated,
}

/// The events of one read, in order. Dropping it early drops the bytes not yet looked at.
#[derive(Debug)]
pub struct Reading<'a> {
    decoder: &'a mut Decoder,
    bytes: &'a mut [u8],
    /// Where in `bytes` the next frame, or the rest of a torn one, begins.
    at: usize,
    limits: &'a Limits,
    /// What the last event borrows if it was assembled; goes with the next one.
    held: Vec<u8>,
    /// There is one if the connection has negotiated compression.
    inflater: Option<&'a mut Inflater>,
    frames: u32,
}

impl<'a> Reading<'a> {
    /// The client may compress. From then on each read of the connection must be told so.
    pub fn inflating(mut self, inflater: &'a mut Inflater) -> Reading<'a> {
        self.inflater = Some(inflater);
        self
    }

    /// The next thing the client said, or `None` when the bytes are used up or the connection has ended.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, Violation> {
        self.held = Vec::new();
        let Some(Ready { opcode, payload }) = self.next_ready().inspect_err(|_| self.decoder.end())? else {
            return Ok(None);
        };
        let payload = match payload {
            Payload::InPlace(range) => &mut self.bytes[range],
            Payload::Assembled(bytes) => {
                self.held = bytes;
                &mut self.held[..]
            }
            Payload::Inflated => self.inflater.as_mut().expect("it has inflated the message").message(),
        };
        Ok(Some(match opcode {
            Opcode::Text => Event::Text(payload),
            Opcode::Binary => Event::Binary(payload),
            Opcode::Ping => Event::Ping(payload),
            Opcode::Pong => Event::Pong(payload),
            Opcode::Close => {
                self.decoder.end();
                parse_close(payload)?
            }
            Opcode::Continuation => unreachable!("a message has the opcode of its first fragment"),
        }))
    }

    /// How many frames have begun so far in this read, of every kind.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    fn next_ready(&mut self) -> Result<Option<Ready>, Violation> {
        while self.at < self.bytes.len() && !self.decoder.ended {
            if let Some(ready) = self.advance()? {
                return Ok(Some(ready));
            }
        }
        Ok(None)
    }

    /// Consumes up to the end of one frame, or of the bytes.
    fn advance(&mut self) -> Result<Option<Ready>, Violation> {
        let torn = self.decoder.partial.as_mut().and_then(|partial| partial.frame.take());
        let frame = match torn {
            Some(frame) => frame,
            None => match self.take_header()? {
                Some(header) => OpenFrame { header, received: 0 },
                None => return Ok(None),
            },
        };
        let arrived = self.take_payload(frame.missing());
        let ready = if arrived.len() == frame.missing() && frame.received == 0 && stands_alone(&frame.header)
        {
            self.deliver_in_place(&frame.header, arrived).map(Some)
        } else {
            self.keep(frame, arrived)
        };
        if self.decoder.partial.as_ref().is_some_and(|partial| partial.is_empty()) {
            self.decoder.partial = None;
        }
        ready
    }

    /// The next header if it is complete; what is there of it is remembered otherwise.
    fn take_header(&mut self) -> Result<Option<ClientHeader>, Violation> {
        let may_deflate = self.inflater.is_some();
        let rest = &self.bytes[self.at..];
        let mut torn = self.decoder.partial.as_ref().map_or(TornHeader::default(), |partial| partial.header);
        let parsed = if torn.len == 0 {
            ClientHeader::parse(rest, may_deflate)?
        } else {
            let added = rest.len().min(CLIENT_HEADER_BYTES_MAX - torn.len);
            torn.bytes[torn.len..torn.len + added].copy_from_slice(&rest[..added]);
            ClientHeader::parse(&torn.bytes[..torn.len + added], may_deflate)?
        };
        let Some((header, header_bytes)) = parsed else {
            // An incomplete header is at most 13 bytes, so the rest fits.
            torn.bytes[torn.len..torn.len + rest.len()].copy_from_slice(rest);
            torn.len += rest.len();
            self.decoder.partial.get_or_insert_default().header = torn;
            self.at = self.bytes.len();
            return Ok(None);
        };
        self.at += header_bytes - torn.len;
        self.frames += 1;
        if let Some(partial) = &mut self.decoder.partial {
            partial.header.len = 0;
        }
        self.admit(&header)?;
        Ok(Some(header))
    }

    /// The checks that need to know what came before.
    fn admit(&self, header: &ClientHeader) -> Result<(), Violation> {
        let open = self.decoder.partial.as_ref().and_then(|partial| partial.message.as_ref());
        let message_bytes = match (header.opcode, open) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => return Ok(()),
            (Opcode::Continuation, None) => return Err(Violation::NothingToContinue),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(Violation::MessageInterrupted),
            (Opcode::Continuation, Some(message)) => message.bytes.len(),
            (Opcode::Text | Opcode::Binary, None) => 0,
        };
        // No overflow: both are below 2^63.
        if message_bytes as u64 + header.payload_bytes > self.limits.message_bytes_max as u64 {
            return Err(Violation::MessageTooBig);
        }
        Ok(())
    }

    fn take_payload(&mut self, missing: usize) -> Range<usize> {
        let start = self.at;
        self.at += missing.min(self.bytes.len() - start);
        start..self.at
    }

    fn deliver_in_place(&mut self, header: &ClientHeader, range: Range<usize>) -> Result<Ready, Violation> {
        let payload = &mut self.bytes[range.clone()];
        unmask(payload, header.mask, 0);
        if header.is_deflated {
            return inflate(&mut self.inflater, header.opcode, payload, self.limits);
        }
        if header.opcode == Opcode::Text && str::from_utf8(payload).is_err() {
            return Err(Violation::InvalidUtf8);
        }
        Ok(Ready { opcode: header.opcode, payload: Payload::InPlace(range) })
    }

    /// Moves a piece of a torn frame or fragmented message to the heap, and hands out what it completes.
    fn keep(&mut self, mut frame: OpenFrame, arrived: Range<usize>) -> Result<Option<Ready>, Violation> {
        let partial = self.decoder.partial.get_or_insert_default();
        if arrived.is_empty() && frame.missing() > 0 {
            // Only the header came: the payload may still arrive whole and be delivered in place.
            partial.frame = Some(frame);
            return Ok(None);
        }
        let piece = &self.bytes[arrived];
        let OpenFrame { header, received } = frame;
        if header.opcode.is_control() {
            let start = partial.control.len();
            partial.control.extend_from_slice(piece);
            unmask(&mut partial.control[start..], header.mask, received);
        } else {
            let message = partial.message.get_or_insert_with(|| Message::new(&header));
            message.append(piece, header.mask, received)?;
        }

        frame.received += piece.len();
        if frame.missing() > 0 {
            partial.frame = Some(frame);
            return Ok(None);
        }
        if header.opcode.is_control() {
            let payload = Payload::Assembled(std::mem::take(&mut partial.control));
            return Ok(Some(Ready { opcode: header.opcode, payload }));
        }
        match partial.message.take_if(|_| header.is_final) {
            Some(message) if message.is_deflated => {
                inflate(&mut self.inflater, message.opcode, &message.bytes, self.limits).map(Some)
            }
            Some(message) => message.finish().map(Some),
            None => Ok(None),
        }
    }
}

fn inflate(
    inflater: &mut Option<&mut Inflater>,
    opcode: Opcode,
    payload: &[u8],
    limits: &Limits,
) -> Result<Ready, Violation> {
    let inflater = inflater.as_mut().expect("without one no header says that its message is compressed");
    inflater.inflate(payload, limits.message_bytes_max)?;
    if opcode == Opcode::Text && str::from_utf8(inflater.message()).is_err() {
        return Err(Violation::InvalidUtf8);
    }
    Ok(Ready { opcode, payload: Payload::Inflated })
}

/// Whether the frame needs no other to become an event.
fn stands_alone(header: &ClientHeader) -> bool {
    header.is_final && header.opcode != Opcode::Continuation
}

fn parse_close(payload: &[u8]) -> Result<Event<'_>, Violation> {
    let Some((&code, reason)) = payload.split_first_chunk() else {
        return match payload.is_empty() {
            true => Ok(Event::Close { code: None, reason: "" }),
            false => Err(Violation::TruncatedCloseCode),
        };
    };
    let code = CloseCode(u16::from_be_bytes(code));
    if !code.is_valid_in_frame() {
        return Err(Violation::InvalidCloseCode);
    }
    let reason = str::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
    Ok(Event::Close { code: Some(code), reason })
}

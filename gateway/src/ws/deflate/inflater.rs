//! What clients sent compressed, as they meant it.

use super::EMPTY_BLOCK_LENGTH;
use crate::ws::Violation;
use flate2::{Decompress, FlushDecompress, Status};

/// Bytes kept for the next message. One that needed more, where messages may be that large, gives them back.
const KEPT_BYTES_MAX: usize = 128 << 10;

/// Bytes that a message is first given. JSON comes out two to four times as long as it went in; more is added as needed.
const FIRST_BYTES_MIN: usize = 1024;

/// What has been cut off every message, and after it an empty block that is the last one. The decompressor ends exactly with
/// this if the message ended with a block, and not within one.
const END: [u8; 9] = {
    let [a, b, c, d] = EMPTY_BLOCK_LENGTH;
    [a, b, c, d, 0x01, a, b, c, d]
};

/// One for all connections of a thread: between two messages it remembers nothing.
#[derive(Debug)]
pub struct Inflater {
    stream: Decompress,
    /// The message is in the first `length` bytes.
    out: Vec<u8>,
    length: usize,
    messages: u64,
    bytes: u64,
}

impl Default for Inflater {
    fn default() -> Inflater {
        // Of any window: what clients compress with is their choice.
        Inflater { stream: Decompress::new(false), out: Vec::new(), length: 0, messages: 0, bytes: 0 }
    }
}

impl Inflater {
    /// Inflates a whole message; it is in [`Inflater::message`] afterwards. One that is longer than `bytes_max` costs that
    /// much memory and time, however long it would become.
    pub fn inflate(&mut self, payload: &[u8], bytes_max: usize) -> Result<(), Violation> {
        self.length = 0;
        if self.out.len() > KEPT_BYTES_MAX {
            self.out = Vec::new();
        }
        self.blocks(payload, bytes_max)?;
        self.messages += 1;
        self.bytes += self.length as u64;
        Ok(())
    }

    /// The message that was last inflated.
    pub fn message(&mut self) -> &mut [u8] {
        &mut self.out[..self.length]
    }

    /// Messages inflated so far, and what they came to.
    pub fn counted(&self) -> (u64, u64) {
        (self.messages, self.bytes)
    }

    /// Memory for messages that is held, without the window.
    #[cfg(test)]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.out.capacity()
    }

    fn blocks(&mut self, mut payload: &[u8], bytes_max: usize) -> Result<(), Violation> {
        loop {
            self.stream.reset(false);
            if !self.run(&mut payload, bytes_max)? {
                break;
            }
            // A block said that it is the last. RFC 7692 section 7.2.3.4 allows that anywhere: others may follow at the
            // next byte. That none follows, where the RFC wants an empty one, is forgiven: what is meant is clear.
            if payload.is_empty() {
                return Ok(());
            }
        }
        let length = self.length;
        let mut end = &END[..];
        match self.run(&mut end, bytes_max)? && end.is_empty() && self.length == length {
            true => Ok(()),
            false => Err(Violation::InvalidDeflate),
        }
    }

    /// Inflates all of `input`, or up to the end of a block that says that it is the last. Returns whether there was one.
    fn run(&mut self, input: &mut &[u8], bytes_max: usize) -> Result<bool, Violation> {
        loop {
            if self.length > bytes_max {
                return Err(Violation::MessageTooBig);
            }
            if self.length == self.out.len() {
                let more = (2 * self.length).max(4 * input.len()).max(FIRST_BYTES_MIN);
                self.out.resize(more.min(bytes_max.saturating_add(1)), 0);
            }
            let before = (self.stream.total_in(), self.stream.total_out());
            let room = &mut self.out[self.length..];
            let status = self.stream.decompress(input, room, FlushDecompress::None);
            let status = status.map_err(|_| Violation::InvalidDeflate)?;
            let taken = (self.stream.total_in() - before.0) as usize;
            let made = (self.stream.total_out() - before.1) as usize;
            *input = &input[taken..];
            self.length += made;
            match status {
                Status::StreamEnd => return Ok(true),
                // With room left it has said all it can of what it was given.
                _ if self.length < self.out.len() => return Ok(false),
                _ => {}
            }
        }
    }
}

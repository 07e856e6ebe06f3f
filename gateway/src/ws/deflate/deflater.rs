//! What many are told, compressed once.

use super::EMPTY_BLOCK_LENGTH;
use flate2::{Compress, Compression, FlushCompress};

/// The level and the window that are best for what we send, of all levels from 1 to 6 and windows from 9 to 15 bits. Updates of
/// 180 to 200 bytes shrink to 74 % from level 2 on, whatever the level and the window, for 6 to 9 µs; level 1 leaves 84 % of
/// them, for 2 to 3 µs. A snapshot of 2000 levels, 46 KB, shrinks to 31 % in the smallest window and to 36 % in the largest
/// (324 and 190 µs at level 2): what repeats in a list of prices is near. The smallest window also suits every client that
/// limits it, but those who ask for 8 bits, which this format's compressors do not have.
const LEVEL: u32 = 2;
pub(super) const WINDOW_BITS: u8 = 9;

/// What compression must save, or a message goes out as it is: an eighth. Below that a client, who inflates each for some 2 µs,
/// gains nothing that it could notice. A message becomes shorter by its length, as it repeats itself: updates of 140 bytes
/// by an eighth, of 180 by a quarter, of 260 by two fifths; a list of klines or levels by more than half.
const SAVED_PART_MIN: usize = 8;

/// Shorter messages are not tried: few updates of less become shorter by an eighth.
const MESSAGE_BYTES_MIN: usize = 128;

/// Compresses messages, each by itself.
#[derive(Debug)]
pub struct Deflater {
    stream: Compress,
    out: Vec<u8>,
    /// How much of `out` is the last payload.
    length: usize,
}

impl Default for Deflater {
    fn default() -> Deflater {
        let stream = Compress::new_with_window_bits(Compression::new(LEVEL), false, WINDOW_BITS);
        Deflater { stream, out: Vec::new(), length: 0 }
    }
}

impl Deflater {
    /// The payload of a frame with RSV1, or `None` if it would not be shorter by enough.
    pub fn deflate(&mut self, message: &[u8]) -> Option<&[u8]> {
        if message.len() < MESSAGE_BYTES_MIN {
            return None;
        }
        // One byte more than there may be: a compressor that has filled all of its room may not be done.
        let bytes_max = message.len() - message.len() / SAVED_PART_MIN;
        self.out.resize(bytes_max + EMPTY_BLOCK_LENGTH.len() + 1, 0);
        self.stream.reset();
        self.stream.compress(message, &mut self.out, FlushCompress::Sync).ok()?;
        let written = self.stream.total_out() as usize;
        let is_done = self.stream.total_in() as usize == message.len() && written < self.out.len();
        self.length = self.out[..written].strip_suffix(&EMPTY_BLOCK_LENGTH).filter(|_| is_done)?.len();
        Some(self.deflated())
    }

    /// What the last message that was worth it became.
    pub fn deflated(&self) -> &[u8] {
        &self.out[..self.length]
    }
}

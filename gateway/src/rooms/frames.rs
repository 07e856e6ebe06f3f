//! Walking over server-to-client WebSocket frames.
//!
//! ```text
//! byte 0            byte 1             then
//! fin|rsv|opcode    0 | length 0..125  payload                      2-byte header
//!                   0 | 126            u16 length, payload          4-byte header
//!                   0 | 127            u64 length, payload          10-byte header
//! ```
//! A server never masks, so the header alone says where a frame ends. We walk only over bytes that we encoded
//! ourselves: a masked frame here is a bug of ours, not bad input.

/// The longest header of an unmasked frame.
pub const HEADER_BYTES_MAX: usize = 10;

/// The size of the frame at the start of `bytes`, header included; `None` if not even the header is whole.
pub fn frame_len(bytes: &[u8]) -> Option<usize> {
    let (_, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    assert!(length & 0x80 == 0, "a server frame is never masked");
    Some(match length {
        126 => 4 + u16::from_be_bytes(*rest.first_chunk()?) as usize,
        127 => 10 + u64::from_be_bytes(*rest.first_chunk()?) as usize,
        short => 2 + short as usize,
    })
}

/// The whole frames of `bytes`, which starts at a frame boundary. A torn frame at the end is not yielded.
pub fn frames(bytes: &[u8]) -> Frames<'_> {
    Frames { rest: bytes }
}

/// See [`frames`].
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    /// What has not been walked over yet: empty after the last frame, or the torn frame at the end.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (frame, rest) = self.rest.split_at_checked(frame_len(self.rest)?)?;
        self.rest = rest;
        Some(frame)
    }
}

/// Whether `bytes` is a row of complete frames with nothing left over.
pub fn is_whole(bytes: &[u8]) -> bool {
    let mut frames = frames(bytes);
    frames.by_ref().for_each(drop);
    frames.rest().is_empty()
}

/// The first frame boundary at or after byte `at` of `bytes`, which starts at a boundary. After a short send of
/// `at` bytes this is where the torn frame ends. `None` if the frame goes on beyond `bytes`.
pub fn frame_end_at_or_after(bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = 0;
    let mut frames = frames(bytes);
    while end < at {
        end += frames.next()?.len();
    }
    Some(end)
}

/// A frame of `payload` bytes, all `fill`: for tests that need something to send.
#[cfg(test)]
pub(crate) fn test_frame(payload: usize, fill: u8) -> Vec<u8> {
    let mut frame = vec![0x82];
    match payload {
        0..126 => frame.push(payload as u8),
        126..65536 => {
            frame.push(126);
            frame.extend((payload as u16).to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((payload as u64).to_be_bytes());
        }
    }
    frame.resize(frame.len() + payload, fill);
    frame
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_header_size_is_walked_over() {
        let sizes = [0, 1, 125, 126, 127, 65535, 65536, 70000];
        let stream: Vec<u8> = sizes.iter().flat_map(|&size| test_frame(size, 7)).collect();
        let walked: Vec<usize> = frames(&stream).map(<[u8]>::len).collect();
        assert_eq!(walked, [2, 3, 127, 130, 131, 65539, 65546, 70010]);
        assert!(is_whole(&stream));
        assert!(!is_whole(&stream[..stream.len() - 1]));
    }

    #[test]
    fn a_torn_frame_is_left_over() {
        let frame = test_frame(300, 7);
        for torn in 0..frame.len() {
            let mut walk = frames(&frame[..torn]);
            assert_eq!(walk.next(), None);
            assert_eq!(walk.rest(), &frame[..torn]);
        }
    }

    #[test]
    fn the_end_of_a_torn_frame_is_found() {
        let stream = [test_frame(3, 1), test_frame(200, 2), test_frame(0, 3)].concat();
        assert_eq!(
            (frame_end_at_or_after(&stream, 0), frame_end_at_or_after(&stream, 1)),
            (Some(0), Some(5))
        );
        assert_eq!(
            (frame_end_at_or_after(&stream, 5), frame_end_at_or_after(&stream, 6)),
            (Some(5), Some(209))
        );
        assert_eq!(
            (frame_end_at_or_after(&stream, 211), frame_end_at_or_after(&stream[..210], 210)),
            (Some(211), None)
        );
    }

    #[test]
    #[should_panic(expected = "never masked")]
    fn a_masked_frame_is_our_bug() {
        frame_len(&[0x81, 0x85, 1, 2, 3, 4]);
    }
}

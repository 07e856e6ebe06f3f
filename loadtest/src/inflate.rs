//! Messages that the server compressed, RFC 7692 with `server_no_context_takeover`.
//!
//! The server compresses a message once for all who take it. So a thread that reads for a thousand of them need not inflate it a
//! thousand times, which would cost more than the server's own work: it remembers the last few hundred, and finds one by
//! its very bytes.

use flate2::{Decompress, FlushDecompress, Status};
use std::cell::RefCell;

/// Messages that a thread remembers. Readers of one thread are at most some turns of the server apart.
const REMEMBERED: usize = 512;

/// What the sender cut off.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

thread_local! {
    static INFLATER: RefCell<Inflater> = RefCell::new(Inflater::new());
}

/// Lets `act` see what a compressed message says; `None` if it does not inflate. Not within another `act`.
pub fn with_message<R>(payload: &[u8], act: impl FnOnce(&[u8]) -> R) -> Option<R> {
    INFLATER.with_borrow_mut(|inflater| inflater.message(payload).map(act))
}

struct Inflater {
    stream: Decompress,
    remembered: Vec<Remembered>,
}

/// Empty before the first use.
#[derive(Clone, Default)]
struct Remembered {
    payload: Vec<u8>,
    message: Vec<u8>,
}

impl Inflater {
    fn new() -> Self {
        Inflater { stream: Decompress::new(false), remembered: vec![Remembered::default(); REMEMBERED] }
    }

    fn message(&mut self, payload: &[u8]) -> Option<&[u8]> {
        let Inflater { stream, remembered } = self;
        let place = &mut remembered[place_of(payload)];
        if place.payload != payload {
            place.payload.clear(); // should it not inflate
            inflate(stream, payload, &mut place.message)?;
            place.payload.extend_from_slice(payload);
        }
        Some(&place.message)
    }
}

/// The end of a compressed message is as good as random.
fn place_of(payload: &[u8]) -> usize {
    let end = payload.last_chunk::<8>().map_or(0, |end| u64::from_le_bytes(*end));
    (end.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % REMEMBERED
}

fn inflate(stream: &mut Decompress, payload: &[u8], message: &mut Vec<u8>) -> Option<()> {
    stream.reset(false);
    message.clear();
    for part in [payload, &TAIL] {
        let before = stream.total_in();
        loop {
            let rest = &part[(stream.total_in() - before) as usize..];
            message.reserve(4 * payload.len() + 64);
            let status = stream.decompress_vec(rest, message, FlushDecompress::Sync).ok()?;
            let has_room = message.len() < message.capacity();
            if status == Status::StreamEnd || (has_room && stream.total_in() - before == part.len() as u64) {
                break;
            }
            if message.len() > crate::frames::FRAME_BYTES_MAX {
                return None;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};

    fn compress(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len() + 100);
        let mut stream = Compress::new(Compression::new(6), false);
        stream.compress_vec(message, &mut out, FlushCompress::Sync).unwrap();
        out.strip_suffix(&TAIL).unwrap().to_vec()
    }

    #[test]
    fn messages_come_out_as_they_went_in_again_and_again() {
        let messages: Vec<Vec<u8>> =
            (0..2000).map(|n| format!("message {n} ").repeat(n % 70).into_bytes()).collect();
        let payloads: Vec<Vec<u8>> = messages.iter().map(|message| compress(message)).collect();
        for _ in 0..2 {
            for (message, payload) in messages.iter().zip(&payloads) {
                assert!(with_message(payload, |inflated| inflated == message).unwrap());
                assert!(with_message(payload, |inflated| inflated == message).unwrap(), "remembered");
            }
        }
    }

    #[test]
    fn what_does_not_inflate_is_no_message() {
        assert_eq!(with_message(&[0x07, 0xff], <[u8]>::len), None);
        assert_eq!(with_message(&[0x07, 0xff], <[u8]>::len), None, "and is not remembered as one");
    }
}

//! The very bytes a subscriber got and when, to be checked when nothing has to be fast any more.

use crate::frames::{CLOSE, FrameFault, TEXT, Walker};
use crate::inflate;

/// A subscriber at fifty thousand messages a second would need a core to check each as it comes, and then the machine
/// has one less to be measured with.
#[derive(Debug)]
pub struct Recording {
    bytes: Vec<u8>,
    bytes_max: usize,
    /// Of each read: where it ended, and when it came.
    reads: Vec<(usize, u64)>,
    /// What there was no room for.
    bytes_lost: u64,
}

/// A message of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    Text { text: &'a str, received_us: u64 },
    Close,
}

impl Heard<'_> {
    /// What is no text is no message: the checker will say so.
    fn text(payload: &[u8], received_us: u64) -> Heard<'_> {
        Heard::Text { text: std::str::from_utf8(payload).unwrap_or("\u{fffd}"), received_us }
    }
}

impl Recording {
    /// Room for all is taken at once: it costs nothing until it is written to, and growing would copy it all in the
    /// middle of the run.
    pub fn new(bytes_max: usize) -> Self {
        Recording { bytes: Vec::with_capacity(bytes_max), bytes_max, reads: Vec::new(), bytes_lost: 0 }
    }

    /// All of a read or none: once something is lost, what comes after it could not be understood.
    pub(super) fn keep(&mut self, bytes: &[u8], received_us: u64) {
        if self.bytes_lost > 0 || self.bytes.len() + bytes.len() > self.bytes_max {
            self.bytes_lost += bytes.len() as u64;
            return;
        }
        self.bytes.extend_from_slice(bytes);
        self.reads.push((self.bytes.len(), received_us));
    }

    pub fn bytes_lost(&self) -> u64 {
        self.bytes_lost
    }

    /// Plays it back through a walker for such a connection. Returns the beginning of a message that had not come to its end.
    pub fn play(&self, mut walker: Walker, mut each: impl FnMut(Heard)) -> Result<Vec<u8>, FrameFault> {
        let mut from = 0;
        for (to, received_us) in &self.reads {
            walker.walk(&self.bytes[from..*to], |frame| match frame.opcode {
                TEXT if frame.is_deflated => {
                    let hear = |text: &[u8]| each(Heard::text(text, *received_us));
                    if inflate::with_message(frame.payload, hear).is_none() {
                        each(Heard::text(b"\xff", *received_us));
                    }
                }
                TEXT => each(Heard::text(frame.payload, *received_us)),
                CLOSE => each(Heard::Close),
                _ => {}
            })?;
            from = *to;
        }
        Ok(walker.into_carry())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_is_heard_again_with_its_times() {
        let mut recording = Recording::new(100);
        recording.keep(b"\x81\x02{}\x81\x05he", 1);
        recording.keep(b"llo\x89\x00\x81", 2);
        let mut heard = Vec::new();
        let carry = recording.play(Walker::default(), |message| {
            let Heard::Text { text, received_us } = message else { panic!("nobody closed") };
            heard.push((text.to_owned(), received_us));
        });
        assert_eq!(heard, [("{}".to_owned(), 1), ("hello".to_owned(), 2)]);
        assert_eq!(carry.unwrap(), b"\x81");
    }

    #[test]
    fn a_full_recording_says_what_it_lacks() {
        let mut recording = Recording::new(5);
        recording.keep(b"\x81\x02{}", 1);
        recording.keep(b"\x81\x02{}", 2);
        recording.keep(b"\x81", 3);
        assert_eq!((recording.bytes.len(), recording.bytes_lost()), (4, 5));
    }
}

//! What one lean subscriber saw, from a look at one word of each message.

use super::Until;
use super::keys::{Keys, number_near};
use crate::check::Mark;
use crate::frames::{CLOSE, Frame, FrameFault, PING, PONG, TEXT, Walker, short_client_frame};
use crate::inflate;
use memchr::memmem;
use std::sync::Arc;

#[derive(Debug, Default)]
pub struct Tally {
    /// Updates and trades; of another kind of server, messages with its keys.
    pub frames: u64,
    /// All that was received, headers included.
    pub bytes: u64,
    pub snapshots: u64,
    pub gaps: u64,
    pub acks: u64,
    pub other: u64,
    pub reads: u64,
    /// The server's close frame or the end of the stream.
    pub closed: Option<String>,
    /// Of another kind of server, by its sequence.
    pub order: Order,
    /// None for Ringside.
    keys: Option<Arc<Keys>>,
    /// Of the newest snapshot.
    snapshot_seq: u64,
    first: Vec<u8>,
    last: Vec<u8>,
    last_is_deflated: bool,
    /// Where `"type":"` was in the last message: the same place in the next, most likely.
    type_at: usize,
    /// The same for the stamp, and for the sequence of another kind of server.
    stamp_at: usize,
    sequence_at: usize,
    pub(super) pong_due: Option<Vec<u8>>,
    /// Of the last read, if they were wanted: stamps, and how many messages in a row have them.
    pub(super) stamps: Vec<(u64, u64)>,
}

/// How the numbers of a foreign stream went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    pub last: Option<u64>,
    /// Times a number was not above the one before it.
    pub backward: u64,
    /// Numbers that were left out.
    pub missing: u64,
}

/// A stretch of the channel by its first and last message, and the messages counted from one to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub first: Mark,
    pub last: Mark,
    pub frames: u64,
}

impl Tally {
    pub fn new(keys: Option<Arc<Keys>>) -> Self {
        Tally { keys, ..Tally::default() }
    }

    /// Takes what one read brought, and the stamps of its data messages, if `wants_stamps`.
    pub(super) fn take(
        &mut self,
        walker: &mut Walker,
        bytes: &[u8],
        wants_stamps: bool,
    ) -> Result<(), FrameFault> {
        self.bytes += bytes.len() as u64;
        self.reads += 1;
        let begin = bytes.as_ptr() as usize;
        let mut last = None;
        self.stamps.clear();
        walker.walk(bytes, |frame| {
            if !self.frame(frame) {
                return;
            }
            if wants_stamps {
                let stamp_us = match frame.is_deflated {
                    true => inflate::with_message(frame.payload, |text| self.stamp_us(text)).flatten(),
                    false => self.stamp_us(frame.payload),
                };
                stamp_us.into_iter().for_each(|stamp_us| self.note_stamp(stamp_us));
            }
            // Copying each message for the sake of the last would cost more than all the rest.
            let at = (frame.payload.as_ptr() as usize).wrapping_sub(begin);
            match bytes.get(at..at.wrapping_add(frame.payload.len())) {
                Some(payload) => last = Some(Frame { payload, ..frame }),
                None => self.keep(frame), // it came in pieces and is in the walker's carry
            }
        })?;
        if let Some(frame) = last {
            self.keep(frame);
        }
        Ok(())
    }

    /// Takes one frame and says whether it was data.
    fn frame(&mut self, frame: Frame) -> bool {
        match frame.opcode {
            TEXT if frame.is_deflated => {
                return inflate::with_message(frame.payload, |text| self.text(text)).unwrap_or_else(|| {
                    self.close("a compressed message does not inflate");
                    false
                });
            }
            TEXT if self.keys.is_none() => return self.text(frame.payload),
            TEXT => return self.foreign(frame.payload),
            PING => self.pong_due = Some(short_client_frame(PONG, frame.payload)),
            CLOSE => self.close(&close_reason(frame.payload)),
            _ => self.other += 1,
        }
        false
    }

    fn text(&mut self, payload: &[u8]) -> bool {
        let kind = self.kind(payload);
        if kind.starts_with(b"trade\"") || kind.starts_with(b"depth_update\"") {
            return self.data(payload);
        }
        if kind.starts_with(b"depth_snapshot\"") {
            self.snapshots += 1;
            self.snapshot_seq = seq(payload).unwrap_or(0);
        } else if kind.starts_with(b"gap\"") {
            self.gaps += 1;
        } else if kind.starts_with(b"subscription_ack\"") {
            self.acks += 1;
        } else {
            self.other += 1;
        }
        false
    }

    fn data(&mut self, payload: &[u8]) -> bool {
        if self.frames == 0 {
            self.first.extend_from_slice(payload);
        }
        self.frames += 1;
        true
    }

    fn keep(&mut self, frame: Frame) {
        self.last.clear();
        self.last.extend_from_slice(frame.payload);
        self.last_is_deflated = frame.is_deflated;
    }

    /// The payload from its type on. Keys may come in any order, but a server hardly changes it between messages.
    fn kind<'a>(&mut self, payload: &'a [u8]) -> &'a [u8] {
        const KEY: &[u8] = b"\"type\":\"";
        if !payload.get(self.type_at..).is_some_and(|rest| rest.starts_with(KEY)) {
            self.type_at = memmem::find(payload, KEY).unwrap_or(payload.len());
        }
        payload[self.type_at..].strip_prefix(KEY).unwrap_or_default()
    }

    fn foreign(&mut self, payload: &[u8]) -> bool {
        let keys = self.keys.as_ref().expect("only of another kind of server");
        let Some(sequence_key) = &keys.sequence else {
            return if keys.has_timestamp(payload) { self.data(payload) } else { self.no_data() };
        };
        match number_near(payload, &sequence_key.0, &mut self.sequence_at) {
            Some(sequence) => {
                self.order.take(sequence);
                self.data(payload)
            }
            None => self.no_data(),
        }
    }

    fn no_data(&mut self) -> bool {
        self.other += 1;
        false
    }

    /// What one event brought has one stamp.
    fn note_stamp(&mut self, stamp_us: u64) {
        match self.stamps.last_mut() {
            Some((last_us, messages)) if *last_us == stamp_us => *messages += 1,
            _ => self.stamps.push((stamp_us, 1)),
        }
    }

    fn stamp_us(&mut self, payload: &[u8]) -> Option<u64> {
        match &self.keys {
            None => number_near(payload, b"\"ts\":", &mut self.stamp_at),
            Some(keys) => keys.stamp_us(payload, &mut self.stamp_at),
        }
    }

    pub(super) fn close(&mut self, reason: &str) {
        self.closed.get_or_insert_with(|| reason.to_owned());
    }

    pub(super) fn is_live(&self, until: Until) -> bool {
        match until {
            Until::Sent => true,
            Until::Ack => self.acks > 0,
            Until::Snapshot => self.acks > 0 && self.snapshots > 0,
        }
    }

    /// Whether the server replaced the book or left out trades: then the frames between two marks are fewer.
    pub fn was_lapped(&self) -> bool {
        self.snapshots > 1 || self.gaps > 0
    }

    /// Of the newest message that has one.
    pub(super) fn seq(&self) -> u64 {
        let last = match self.last_is_deflated {
            true => inflate::with_message(&self.last, seq).flatten(),
            false => seq(&self.last),
        };
        last.unwrap_or(0).max(self.snapshot_seq)
    }

    /// None if nothing came, or what came has no number.
    pub fn span(&self) -> Option<Span> {
        let mark = |bytes: &[u8]| {
            Some(Mark::of(std::str::from_utf8(bytes).ok()?)).filter(|mark| *mark != Mark::Other)
        };
        let last = match self.last_is_deflated {
            true => inflate::with_message(&self.last, mark)?,
            false => mark(&self.last),
        };
        Some(Span { first: mark(&self.first)?, last: last?, frames: self.frames })
    }
}

impl Order {
    fn take(&mut self, sequence: u64) {
        if let Some(last) = self.last {
            self.backward += u64::from(sequence <= last);
            self.missing += sequence.saturating_sub(last + 1);
        }
        self.last = Some(sequence);
    }
}

fn seq(payload: &[u8]) -> Option<u64> {
    super::keys::number_after(payload, b"\"seq\":")
}

fn close_reason(payload: &[u8]) -> String {
    match payload {
        [high, low, reason @ ..] => {
            format!("{} {}", u16::from_be_bytes([*high, *low]), String::from_utf8_lossy(reason))
        }
        _ => "without a code".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPDATE: &str = r#"{"channel":"A-B","type":"depth_update","data":{"prev_seq":1,"seq":2,"ts":77,"bids":[],"asks":[]}}"#;
    const TRADE: &str = r#"{"type":"trade","channel":"A-B","data":{"trade_id":9,"seq":2,"price":"1","quantity":"1","side":"buy","ts":78}}"#;

    fn stream(messages: &[&str]) -> Vec<u8> {
        let short = |message: &str| [&[0x80 | TEXT, message.len() as u8], message.as_bytes()].concat();
        messages.iter().flat_map(|message| short(message)).collect()
    }

    /// By pieces of so many bytes, as a socket might deliver them.
    fn tally_by(messages: &[&str], piece_bytes: usize, keys: Option<Arc<Keys>>) -> Tally {
        let (mut tally, mut walker) = (Tally::new(keys), Walker::default());
        for piece in stream(messages).chunks(piece_bytes) {
            tally.take(&mut walker, piece, false).unwrap();
        }
        tally
    }

    #[test]
    fn messages_are_told_apart_whatever_the_order_of_keys_and_however_they_come() {
        let messages = [
            r#"{"type":"subscription_ack","channel":"A-B"}"#,
            r#"{"channel":"A-B","type":"depth_snapshot","data":{}}"#,
            UPDATE,
            TRADE,
            r#"{"channel":"A-B","type":"gap","data":{}}"#,
            r#"{"no":"kind"}"#,
            "",
        ];
        for piece_bytes in [1, 7, 100, 1000] {
            let tally = tally_by(&messages, piece_bytes, None);
            let counts = (tally.acks, tally.snapshots, tally.frames, tally.gaps, tally.other);
            assert_eq!(counts, (1, 1, 2, 1, 2));
            let span = Span { first: Mark::Update { seq: 2 }, last: Mark::Trade { trade_id: 9 }, frames: 2 };
            assert_eq!(tally.span(), Some(span));
            assert!(tally.was_lapped());
            assert_eq!(tally.seq(), 2);
        }
    }

    #[test]
    fn the_stamps_of_events_are_read_in_place() {
        let mut tally = Tally::default();
        let bytes = stream(&["{}", UPDATE, TRADE, TRADE]);
        tally.take(&mut Walker::default(), &bytes, true).unwrap();
        assert_eq!(tally.stamps, [(77, 1), (78, 2)]);
        tally.take(&mut Walker::default(), &bytes, false).unwrap();
        assert_eq!(tally.stamps, []);
    }

    #[test]
    fn a_foreign_stream_is_judged_by_its_own_numbers() {
        let keys = Arc::new(Keys::new(Some("E"), Some("n")));
        let tally = tally_by(
            &[r#"{"ok":1}"#, r#"{"n":4,"E":1}"#, r#"{"n":5,"E":1}"#, r#"{"E":1,"n":9}"#, r#"{"n":9}"#],
            1000,
            Some(keys),
        );
        assert_eq!((tally.frames, tally.other), (4, 1));
        assert_eq!(tally.order, Order { last: Some(9), backward: 1, missing: 3 });
    }

    #[test]
    fn a_ping_calls_for_a_pong_and_a_close_has_its_reason() {
        let mut tally = Tally::default();
        tally.frame(Frame { opcode: PING, payload: b"x", is_deflated: false });
        assert_eq!(tally.pong_due, Some(short_client_frame(PONG, b"x")));
        tally.frame(Frame { opcode: CLOSE, payload: b"\x0f\xa1slow consumer", is_deflated: false });
        assert_eq!(tally.closed.as_deref(), Some("4001 slow consumer"));
    }
}

//! What a simulated client makes of the bytes that it gets, and what it says.
//!
//! It trusts nothing of the server's own accounts: it reads the messages, follows the chain of sequences, and counts.

use crate::rooms::frames::{frame_len, frames};
use memchr::memmem;

/// One client, in as little memory as a million of them allow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client {
    /// Of depth: where the first snapshot stood, where it stands, updates had, and sequences that a later snapshot skipped.
    pub base: u32,
    pub seq: u32,
    pub updates: u32,
    pub skipped: u32,
    /// The same of trades; `next_trade` is the one that is expected.
    pub trade_base: u32,
    pub next_trade: u32,
    pub trades: u32,
    pub trades_skipped: u32,
    pub symbol: u16,
    pub stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    #[default]
    Connecting,
    /// It waits for its snapshot.
    Subscribed,
    Live,
    /// It was told to go.
    Closed,
}

/// What a run of messages of one room says, so that a crowd of clients need not read it each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Updates, from the one after `after` to `seq`.
    pub updates: u32,
    pub after: u32,
    pub seq: u32,
    /// Trades, from `first_trade` on.
    pub trades: u32,
    pub first_trade: u32,
    /// Something else is in it, or it has a hole: each client has to read it.
    pub is_mixed: bool,
}

impl Run {
    /// Reads whole frames.
    pub fn of(bytes: &[u8]) -> Self {
        let mut run = Run::default();
        for frame in frames(bytes) {
            match Message::of(payload(frame)) {
                Message::Update { after, seq } => {
                    if run.updates == 0 {
                        run.after = after;
                    } else {
                        run.is_mixed |= after != run.seq;
                    }
                    (run.seq, run.updates) = (seq, run.updates + 1);
                }
                Message::Trade { id } => {
                    if run.trades == 0 {
                        run.first_trade = id;
                    }
                    run.is_mixed |= id != run.first_trade + run.trades;
                    run.trades += 1;
                }
                _ => run.is_mixed = true,
            }
        }
        run
    }
}

/// A message, as far as a client's accounts need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    Ack,
    Snapshot { seq: u32 },
    Update { after: u32, seq: u32 },
    Trade { id: u32 },
    Gap { to: u32 },
    Other,
}

impl Message {
    pub fn of(payload: &[u8]) -> Self {
        let kind = after(payload, br#""type":""#).unwrap_or_default();
        if kind.starts_with(b"depth_update") {
            match (number(payload, br#""prev_seq":"#), number(payload, br#""seq":"#)) {
                (Some(after), Some(seq)) => Message::Update { after, seq },
                _ => Message::Other,
            }
        } else if kind.starts_with(b"trade\"") {
            number(payload, br#""trade_id":"#).map_or(Message::Other, |id| Message::Trade { id })
        } else if kind.starts_with(b"depth_snapshot") {
            number(payload, br#""seq":"#).map_or(Message::Other, |seq| Message::Snapshot { seq })
        } else if kind.starts_with(b"gap\"") {
            number(payload, br#""to":"#).map_or(Message::Other, |to| Message::Gap { to })
        } else if kind.starts_with(b"subscription_ack") {
            Message::Ack
        } else {
            Message::Other
        }
    }
}

impl Client {
    /// Takes a run of its room. Returns the number of violations.
    pub fn take_run(&mut self, run: &Run) -> u64 {
        let in_chain = (run.updates == 0 || run.after == self.seq)
            && (run.trades == 0 || run.first_trade == self.next_trade);
        if run.updates > 0 {
            self.seq = run.seq;
        }
        if run.trades > 0 {
            self.next_trade = run.first_trade + run.trades;
        }
        self.updates += run.updates;
        self.trades += run.trades;
        (!in_chain || self.stage != Stage::Live) as u64
    }

    /// Takes one whole frame. `next_trade` knows the first trade of a symbol after a sequence. Returns the number of violations.
    pub fn take(&mut self, frame: &[u8], next_trade: impl Fn(u16, u32) -> u32) -> u64 {
        if frame[0] & 0x0f == 8 {
            self.stage = Stage::Closed;
            return 0;
        }
        match Message::of(payload(frame)) {
            Message::Ack => (self.stage != Stage::Subscribed) as u64,
            Message::Snapshot { seq } if self.stage == Stage::Live => {
                let is_back = seq < self.seq;
                self.skipped += seq.saturating_sub(self.seq);
                self.seq = seq;
                is_back as u64
            }
            Message::Snapshot { seq } => {
                // It says nothing of trades: those from there on follow.
                let next_trade = next_trade(self.symbol, seq);
                (self.base, self.seq) = (seq, seq);
                (self.trade_base, self.next_trade) = (next_trade, next_trade);
                self.stage = Stage::Live;
                0
            }
            Message::Update { after, seq } => {
                let in_chain = after == self.seq && self.stage == Stage::Live;
                (self.seq, self.updates) = (seq, self.updates + 1);
                !in_chain as u64
            }
            Message::Trade { id } => {
                let in_chain = id == self.next_trade && self.stage == Stage::Live;
                (self.next_trade, self.trades) = (id + 1, self.trades + 1);
                !in_chain as u64
            }
            Message::Gap { to } => {
                let is_back = to < self.next_trade;
                self.trades_skipped += (to + 1).saturating_sub(self.next_trade);
                self.next_trade = to + 1;
                is_back as u64
            }
            Message::Other => 0,
        }
    }

    /// Of all that it knows.
    pub fn checksum(&self) -> u64 {
        let parts = [
            self.base,
            self.seq,
            self.updates,
            self.skipped,
            self.next_trade,
            self.trades,
            self.trades_skipped,
        ];
        let parts = parts.into_iter().chain([self.trade_base, self.symbol as u32]);
        parts.fold(self.stage as u64, |sum, part| {
            (sum.rotate_left(7) ^ part as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    }

    /// Whether all that was published since it came is what it had and what it was told to have missed. Nothing waits for anybody
    /// any more, so who is not at the end was forgotten, and nobody may still wait to begin.
    pub fn adds_up(&self, head: u32, next_trade: u32) -> bool {
        let has_all = (self.seq, self.next_trade) == (head, next_trade)
            && head.wrapping_sub(self.base) == self.updates + self.skipped
            && next_trade.wrapping_sub(self.trade_base) == self.trades + self.trades_skipped;
        self.stage == Stage::Closed || (self.stage == Stage::Live && has_all)
    }
}

/// Bytes that came in pieces, until they are whole frames.
#[derive(Debug, Default)]
pub struct Torn(Vec<u8>);

impl Torn {
    /// Gives `take` all frames that are whole now.
    pub fn push(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8])) {
        let mut bytes = bytes;
        if !self.0.is_empty() {
            self.0.extend_from_slice(bytes);
            bytes = &[];
        }
        let held = std::mem::take(&mut self.0);
        let mut rest = if held.is_empty() { bytes } else { &held };
        while let Some(length) = frame_len(rest).filter(|length| *length <= rest.len()) {
            let (frame, after) = rest.split_at(length);
            take(frame);
            rest = after;
        }
        self.0 = rest.to_vec();
    }
}

fn payload(frame: &[u8]) -> &[u8] {
    let header = match frame.get(1) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    };
    frame.get(header..).unwrap_or_default()
}

fn after<'a>(bytes: &'a [u8], lead: &[u8]) -> Option<&'a [u8]> {
    Some(&bytes[memmem::find(bytes, lead)? + lead.len()..])
}

fn number(bytes: &[u8], lead: &[u8]) -> Option<u32> {
    let digits = after(bytes, lead)?.iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |value: u32, digit| value.wrapping_mul(10) + (digit - b'0') as u32))
}

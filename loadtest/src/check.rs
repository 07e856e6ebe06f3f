//! The judge of one subscription: text messages in, violations out. It knows no socket and no clock.
//!
//! A [`Follower`] is told each message of a channel in order of receipt and holds the stream to the contract:
//!
//! ```text
//! AwaitAck ── subscription_ack, exactly two keys ──▶ AwaitSnapshot ── depth_snapshot at S ──▶ Live
//! Live:  depth_update    prev_seq == local seq, seq ahead of it; the book never crossed but in an auction
//!        trade           ids one apart, or the missing ones announced by a gap message that names exactly them
//!        depth_snapshot  only forward: the server says "you were lapped, go on from here"
//! ```
//! After a violation the follower goes on from what the server said last, so one fault is reported once and does
//! not hide the next.

use crate::book::{Book, Difference};
use crate::message::{Envelope, Exact, Gap, Snapshot, Status, Trade, Update};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Violations kept as text; the others are counted. The first ones tell the story.
pub const VIOLATIONS_KEPT_MAX: usize = 20;

/// Bytes of an offending message shown in a report.
const EXCERPT_BYTES: usize = 200;

pub struct Follower {
    channel: String,
    symbol: String,
    wants: Wants,
    stage: Stage,
    book: Book,
    /// Levels a side of the view, if the snapshot said so.
    depth: Option<usize>,
    seq: u64,
    /// The symbol gathers orders without trading them, as its last `status` said.
    in_auction: bool,
    trade_last: Option<Tape>,
    counts: Counts,
    violations: Vec<Violation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    AwaitAck,
    AwaitSnapshot,
    Live,
}

/// The last print of the tape that was delivered or announced as missing.
#[derive(Clone, Copy)]
struct Tape {
    trade_id: u64,
    seq: u64,
}

/// What the channel's name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wants {
    depth: bool,
    trade: bool,
    /// `@depth20@100ms` sends snapshots only; there a second one is no lap.
    snapshots_only: bool,
}

/// What a message was, for those who measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    pub mark: Mark,
    /// When the engine made the event, microseconds since 1970. Only for updates and trades.
    pub event_us: Option<u64>,
}

/// A message's identity within its channel: equal for every subscriber that got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    Update { seq: u64 },
    Trade { trade_id: u64 },
    Snapshot { seq: u64 },
    Other,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct Counts {
    pub messages: u64,
    pub snapshots: u64,
    pub updates: u64,
    pub trades: u64,
    /// Gap messages, and the trades they named.
    pub gaps: u64,
    pub trades_announced_missing: u64,
    pub other: u64,
    pub violations: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The server spoke before it acknowledged the subscription.
    FirstNotAck {
        got: String,
    },
    /// A bare request is answered by `type` and `channel` alone.
    AckNotBare {
        got: String,
    },
    /// Data before the snapshot it continues from.
    BeforeSnapshot {
        kind: String,
    },
    WrongChannel {
        got: String,
    },
    /// A stream that was not asked for, or a second ack.
    NotAskedFor {
        kind: String,
    },
    ServerError {
        got: String,
    },
    Malformed {
        error: String,
        got: String,
    },
    /// An update that does not start where the last one ended.
    ChainBroken {
        local: u64,
        prev_seq: u64,
        seq: u64,
    },
    /// An update at or below what was already delivered.
    UpdateRepeated {
        local: u64,
        seq: u64,
    },
    SnapshotBackward {
        local: u64,
        seq: u64,
    },
    /// A snapshot with a zero quantity or one price twice.
    SnapshotLevels {
        seq: u64,
    },
    BookCrossed {
        seq: u64,
        bid: Exact,
        ask: Exact,
    },
    /// Trade ids jumped and no gap message said so.
    TradesMissing {
        last: u64,
        trade_id: u64,
    },
    TradeRepeated {
        last: u64,
        trade_id: u64,
    },
    /// Trade ids went forward and their sequence backward.
    TradeSeqBackward {
        last: u64,
        seq: u64,
    },
    /// A gap that does not name exactly the ids after the last delivered one.
    GapWrong {
        last: u64,
        from: u64,
        to: u64,
    },
    BookDiffers {
        seq: u64,
        difference: Difference,
    },
    /// The follower and a fresh subscriber were never at the same sequence.
    NeverMet {
        local: u64,
        fresh: u64,
    },
    Closed {
        reason: String,
    },
}

impl Follower {
    /// Follows `channel` as a bare `{"action":"subscribe","channel":...}` would deliver it.
    pub fn new(channel: &str) -> Self {
        let symbol = channel.split('@').next().unwrap_or_default().to_owned();
        Follower {
            channel: channel.to_owned(),
            symbol,
            wants: Wants::of(channel),
            stage: Stage::AwaitAck,
            book: Book::default(),
            depth: None,
            seq: 0,
            in_auction: false,
            trade_last: None,
            counts: Counts::default(),
            violations: Vec::new(),
        }
    }

    pub fn channel(&self) -> &str {
        &self.channel
    }

    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Sequence of the book as rebuilt so far.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    pub fn has_book(&self) -> bool {
        self.wants.depth
    }

    /// Whether the ack, and the snapshot if the channel has one, have come.
    pub fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }

    /// Times the server replaced the book because this reader had fallen out of the window.
    pub fn laps(&self) -> u64 {
        if self.wants.snapshots_only { 0 } else { self.counts.snapshots.saturating_sub(1) }
    }

    pub fn trade_id_last(&self) -> Option<u64> {
        self.trade_last.map(|tape| tape.trade_id)
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The first violations; `counts().violations` has their number.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    pub fn violate(&mut self, violation: Violation) {
        self.counts.violations += 1;
        if self.violations.len() < VIOLATIONS_KEPT_MAX {
            self.violations.push(violation);
        }
    }

    pub fn apply(&mut self, text: &str) -> Applied {
        self.counts.messages += 1;
        let applied = self.dispatch(text);
        applied.unwrap_or_else(|error| {
            self.violate(Violation::Malformed { error, got: excerpt(text) });
            Applied::other()
        })
    }

    fn dispatch(&mut self, text: &str) -> Result<Applied, String> {
        let envelope: Envelope = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let kind = &*envelope.kind;
        if self.stage == Stage::AwaitAck {
            self.first(kind, text);
            if kind == "subscription_ack" {
                return Ok(Applied::other());
            }
        }
        match kind {
            "depth_snapshot" | "depth_update" | "trade" | "gap" | "status" => self.expect_symbol(&envelope),
            _ => {}
        }
        match kind {
            "depth_snapshot" => self.snapshot(data(&envelope)?),
            "depth_update" => self.update(data(&envelope)?),
            "trade" => self.trade(data(&envelope)?),
            "gap" => self.gap(data(&envelope)?),
            "status" => self.status(data(&envelope)?),
            _ => self.other(kind, text),
        }
    }

    fn first(&mut self, kind: &str, text: &str) {
        self.stage = if self.wants.depth { Stage::AwaitSnapshot } else { Stage::Live };
        if kind != "subscription_ack" {
            return self.violate(Violation::FirstNotAck { got: excerpt(text) });
        }
        let ack: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        if ack != serde_json::json!({"type": "subscription_ack", "channel": self.channel}) {
            self.violate(Violation::AckNotBare { got: excerpt(text) });
        }
    }

    fn expect_symbol(&mut self, envelope: &Envelope) {
        if envelope.channel.as_deref() != Some(&self.symbol) {
            let got = envelope.channel.as_deref().unwrap_or("no channel").to_owned();
            self.violate(Violation::WrongChannel { got });
        }
    }

    fn snapshot(&mut self, snapshot: Snapshot) -> Result<Applied, String> {
        self.expect(self.wants.depth, "depth_snapshot");
        if self.stage == Stage::Live && snapshot.seq < self.seq {
            self.violate(Violation::SnapshotBackward { local: self.seq, seq: snapshot.seq });
        }
        self.stage = Stage::Live;
        self.counts.snapshots += 1;
        self.seq = snapshot.seq;
        self.depth = snapshot.depth;
        self.book = Book::default();
        self.book.apply(&snapshot.bids, &snapshot.asks);
        if self.book.level_count() != snapshot.bids.len() + snapshot.asks.len() {
            self.violate(Violation::SnapshotLevels { seq: snapshot.seq });
        }
        self.expect_uncrossed();
        Ok(Applied { mark: Mark::Snapshot { seq: snapshot.seq }, event_us: None })
    }

    fn update(&mut self, update: Update) -> Result<Applied, String> {
        self.expect(self.wants.depth && !self.wants.snapshots_only, "depth_update");
        self.expect_live("depth_update");
        self.counts.updates += 1;
        let applied = Applied { mark: Mark::Update { seq: update.seq }, event_us: Some(update.ts) };
        if update.seq <= self.seq {
            self.violate(Violation::UpdateRepeated { local: self.seq, seq: update.seq });
            return Ok(applied);
        }
        if update.prev_seq != self.seq {
            let (local, prev_seq, seq) = (self.seq, update.prev_seq, update.seq);
            self.violate(Violation::ChainBroken { local, prev_seq, seq });
        }
        self.seq = update.seq;
        self.book.apply(&update.bids, &update.asks);
        self.expect_uncrossed();
        Ok(applied)
    }

    fn trade(&mut self, trade: Trade) -> Result<Applied, String> {
        self.expect(self.wants.trade, "trade");
        self.expect_live("trade");
        self.counts.trades += 1;
        let Trade { trade_id, seq, .. } = trade;
        if let Some(last) = self.trade_last {
            if trade_id <= last.trade_id {
                self.violate(Violation::TradeRepeated { last: last.trade_id, trade_id });
            } else if trade_id > last.trade_id + 1 {
                self.violate(Violation::TradesMissing { last: last.trade_id, trade_id });
            } else if seq < last.seq {
                self.violate(Violation::TradeSeqBackward { last: last.seq, seq });
            }
        }
        self.trade_last = Some(Tape { trade_id, seq });
        Ok(Applied { mark: Mark::Trade { trade_id }, event_us: Some(trade.ts) })
    }

    fn gap(&mut self, gap: Gap) -> Result<Applied, String> {
        if gap.stream != "trade" {
            return Err(format!("gap of a stream that has none: {}", gap.stream));
        }
        self.expect(self.wants.trade, "gap");
        self.counts.gaps += 1;
        let Gap { from, to, .. } = gap;
        let last = self.trade_last.unwrap_or(Tape { trade_id: from.saturating_sub(1), seq: 0 });
        if from != last.trade_id + 1 || to < from {
            self.violate(Violation::GapWrong { last: last.trade_id, from, to });
        }
        self.counts.trades_announced_missing += (to + 1).saturating_sub(from);
        self.trade_last = Some(Tape { trade_id: to, seq: last.seq });
        Ok(Applied::other())
    }

    fn other(&mut self, kind: &str, text: &str) -> Result<Applied, String> {
        self.counts.other += 1;
        match kind {
            "error" => self.violate(Violation::ServerError { got: excerpt(text) }),
            "subscription_ack" | "bbo" | "ticker" | "kline" | "heartbeat" => {
                self.expect(!self.is_plain(), kind)
            }
            _ => {} // unknown types are the future's; clients ignore them
        }
        Ok(Applied::other())
    }

    /// Whether only depth and trade were asked for, as a bare symbol does.
    fn is_plain(&self) -> bool {
        self.wants.depth || self.wants.trade
    }

    fn expect(&mut self, asked_for: bool, kind: &str) {
        if !asked_for {
            self.violate(Violation::NotAskedFor { kind: kind.to_owned() });
        }
    }

    fn expect_live(&mut self, kind: &str) {
        if self.stage != Stage::Live {
            self.stage = Stage::Live;
            self.violate(Violation::BeforeSnapshot { kind: kind.to_owned() });
        }
    }

    fn status(&mut self, status: Status) -> Result<Applied, String> {
        self.counts.other += 1;
        self.in_auction = status.state == "auction";
        Ok(Applied::other())
    }

    fn expect_uncrossed(&mut self) {
        if !self.in_auction
            && let Some((bid, ask)) = self.book.crossing()
        {
            self.violate(Violation::BookCrossed { seq: self.seq, bid, ask });
        }
    }

    /// Compares with a subscriber that has just taken its snapshot. Both must be at the same sequence.
    pub fn compare(&mut self, fresh: &Follower) {
        if self.seq != fresh.seq {
            return self.violate(Violation::NeverMet { local: self.seq, fresh: fresh.seq });
        }
        if let Some(difference) = self.book.first_difference(&fresh.book, fresh.depth.or(self.depth)) {
            self.violate(Violation::BookDiffers { seq: self.seq, difference });
        }
    }
}

impl Wants {
    fn of(channel: &str) -> Self {
        let view = channel.split_once('@').map(|(_, view)| view);
        let (depth, trade) = match view {
            None => (true, true),
            Some(view) => (view.starts_with("depth"), view == "trade"),
        };
        let levels = view.and_then(|view| view.strip_prefix("depth")).unwrap_or_default();
        Wants { depth, trade, snapshots_only: levels.starts_with(|first: char| first.is_ascii_digit()) }
    }
}

impl Applied {
    fn other() -> Self {
        Applied { mark: Mark::Other, event_us: None }
    }
}

impl Mark {
    /// The mark of a message that was kept as bytes, `Other` if it has none.
    pub fn of(text: &str) -> Mark {
        #[derive(Deserialize)]
        struct Numbers {
            seq: u64,
            #[serde(default)]
            trade_id: Option<u64>,
        }
        let Ok(envelope) = serde_json::from_str::<Envelope>(text) else { return Mark::Other };
        let Ok(Numbers { seq, trade_id }) = data(&envelope) else { return Mark::Other };
        match (&*envelope.kind, trade_id) {
            ("depth_update", _) => Mark::Update { seq },
            ("depth_snapshot", _) => Mark::Snapshot { seq },
            ("trade", Some(trade_id)) => Mark::Trade { trade_id },
            _ => Mark::Other,
        }
    }
}

fn data<'a, T: Deserialize<'a>>(envelope: &Envelope<'a>) -> Result<T, String> {
    let raw = envelope.data.ok_or("no data")?;
    serde_json::from_str(raw.get()).map_err(|e| e.to_string())
}

fn excerpt(text: &str) -> String {
    let end = (0..=EXCERPT_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[..end].to_owned()
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Violation::*;
        match self {
            FirstNotAck { got } => write!(f, "first message is not the ack: {got}"),
            AckNotBare { got } => write!(f, "bare subscribe, but the ack is {got}"),
            BeforeSnapshot { kind } => write!(f, "{kind} before the snapshot"),
            WrongChannel { got } => write!(f, "message of another channel: {got}"),
            NotAskedFor { kind } => write!(f, "{kind} was not asked for"),
            ServerError { got } => write!(f, "server error: {got}"),
            Malformed { error, got } => write!(f, "malformed ({error}): {got}"),
            ChainBroken { local, prev_seq, seq } => {
                write!(f, "at seq {local}, got an update {prev_seq} -> {seq}")
            }
            UpdateRepeated { local, seq } => write!(f, "at seq {local}, got an update to {seq} again"),
            SnapshotBackward { local, seq } => write!(f, "at seq {local}, got an older snapshot {seq}"),
            SnapshotLevels { seq } => write!(f, "snapshot {seq} has an empty level or a price twice"),
            BookCrossed { seq, bid, ask } => write!(f, "book crossed at seq {seq}: bid {bid}, ask {ask}"),
            TradesMissing { last, trade_id } => {
                write!(f, "after trade {last} came {trade_id} without a gap message")
            }
            TradeRepeated { last, trade_id } => write!(f, "after trade {last} came {trade_id} again"),
            TradeSeqBackward { last, seq } => write!(f, "trade seq went back from {last} to {seq}"),
            GapWrong { last, from, to } => write!(f, "last trade {last}, but the gap names {from}..={to}"),
            BookDiffers { seq, difference } => {
                write!(f, "book differs from a fresh snapshot at seq {seq}: {difference}")
            }
            NeverMet { local, fresh } => {
                write!(f, "follower at seq {local} and fresh subscriber at {fresh} never met")
            }
            Closed { reason } => write!(f, "connection closed: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests;

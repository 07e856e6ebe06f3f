//! How other threads reach a feed, and what can be asked of it.

use crate::rooms::Room;
use crate::rooms::ring::Writer;
use crate::wire::encode::market::{Kline, Ticker};
use crate::wire::name::KlineInterval;
use engine_core::bell::{Bell, ThreadBell};
use engine_core::matcher::TradePrint;
use engine_core::units::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::oneshot;

/// Requests a feed may have waiting. They come from subscribes and from HTTP, so this is a burst of joins on one
/// matcher's symbols, not load. Picked by eye.
const REQUESTS_MAX: usize = 4096;

/// What can be asked of a feed.
pub enum FeedRequest {
    /// A room has been made; from now on it is written to.
    Open(Arc<Room>, Writer),
    /// Cut a snapshot for the room of that index.
    Snapshot(u32),
    /// Tell timed rooms what has changed since the last beat. It is that time.
    Beat(Timestamp),
    /// The best levels of a symbol.
    Depth { symbol: SymbolId, levels_max: usize, answer: oneshot::Sender<Depth> },
    /// Remembered trades of a symbol from an id on, oldest first.
    Trades {
        symbol: SymbolId,
        from: Option<TradeId>,
        trades_max: usize,
        answer: oneshot::Sender<Vec<TradePrint>>,
    },
    /// What a symbol's last day comes to.
    Ticker { symbol: SymbolId, answer: oneshot::Sender<Ticker> },
    /// A symbol's newest candles of an interval, oldest first.
    Klines {
        symbol: SymbolId,
        interval: KlineInterval,
        klines_max: usize,
        answer: oneshot::Sender<Vec<Kline>>,
    },
}

/// The best levels of a symbol at a sequence.
pub struct Depth {
    pub sequence: Sequence,
    pub at: Timestamp,
    pub bids: Vec<(Price, Quantity)>,
    pub asks: Vec<(Price, Quantity)>,
}

/// How other threads reach a feed.
#[derive(Clone)]
pub struct FeedDoor {
    requests: SyncSender<FeedRequest>,
    /// Requests ever sent: the feed compares it with those it has answered before its thread rests.
    sent: Arc<AtomicU64>,
    /// The time of the beat that the feed has yet to take; 0 if there is none.
    beat: Arc<AtomicU64>,
    /// Whether a timed room was ever opened there. Until then nobody needs its beat.
    has_timed: Arc<AtomicBool>,
    matcher: Arc<ThreadBell>,
}

impl FeedDoor {
    /// False if the feed has too much to do.
    pub fn send(&self, request: FeedRequest) -> bool {
        if let FeedRequest::Open(room, _) = &request
            && room.view.is_timed()
        {
            self.has_timed.store(true, Ordering::Relaxed);
        }
        let sent = self.requests.try_send(request).is_ok();
        if sent {
            self.sent.fetch_add(1, Ordering::Release);
        }
        self.matcher.ring();
        sent
    }

    /// Has the feed tell its timed rooms what is new, if it has any. While it has not taken the beat before, that one is for both:
    /// a feed that was held up tells everything once, and how late.
    pub fn beat(&self, now: Timestamp) {
        if self.has_timed.load(Ordering::Relaxed) {
            let _ = self.beat.compare_exchange(0, now.0, Ordering::Release, Ordering::Relaxed);
            self.matcher.ring();
        }
    }
}

/// The feed's end of its door.
pub(super) struct Inbox {
    requests: Receiver<FeedRequest>,
    sent: Arc<AtomicU64>,
    answered: u64,
    beat: Arc<AtomicU64>,
}

impl Inbox {
    /// The next request; a beat does not wait for the others.
    pub fn take(&mut self) -> Option<FeedRequest> {
        if self.has_beat() {
            return Some(FeedRequest::Beat(Timestamp(self.beat.swap(0, Ordering::Acquire))));
        }
        let request = self.requests.try_recv().ok()?;
        self.answered += 1;
        Some(request)
    }

    /// Whether one has been sent that was not taken.
    pub fn has_more(&self) -> bool {
        self.has_beat() || self.sent.load(Ordering::Acquire) != self.answered
    }

    fn has_beat(&self) -> bool {
        self.beat.load(Ordering::Relaxed) != 0
    }
}

/// An inbox, and what it takes to build its door once the engine runs.
pub(super) fn door() -> (Inbox, impl FnOnce(Arc<ThreadBell>) -> FeedDoor) {
    let (sender, requests) = sync_channel(REQUESTS_MAX);
    let (sent, beat) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let inbox = Inbox { requests, sent: sent.clone(), answered: 0, beat: beat.clone() };
    (inbox, move |matcher| FeedDoor { requests: sender, sent, beat, has_timed: Arc::default(), matcher })
}

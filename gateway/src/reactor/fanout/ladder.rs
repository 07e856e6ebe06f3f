//! Those who are apart.
//!
//! The ladder of one that stays behind:
//! 1. inside the window: it catches up, nothing is lost;
//! 2. its position has left the window: it is lapped, gets a `gap` that names the trades it misses, and a fresh
//!    snapshot of the book; or it is closed with 4001, if it said so when it subscribed;
//! 3. its socket has taken nothing for the write timeout: it is closed with 4001.

use super::{Place, Standing, local_mut, place_of, trade_after};
use crate::reactor::Reactor;
use crate::rooms::{Snapshot, frames};
use crate::wire::encode::market;
use crate::wire::name::{GapReason, Stream};
use crate::ws::{self, CloseCode, Opcode};

/// A snapshot this far behind the head is still handed out: catching up from it costs less than cutting another. It is more than a
/// busy room moves on while a snapshot is cut, or nobody would ever get one.
const SNAPSHOT_REUSE_BYTES: u64 = 512 << 10;

impl Reactor {
    /// The connection's socket is full: it stands by itself until it has caught up.
    pub(in crate::reactor) fn fall_behind(&mut self, at: usize) {
        self.step_out(at);
        let connection = &mut self.connections[at];
        if connection.full_since.is_none() {
            connection.full_since = Some(self.now);
            self.wait_for(at);
            self.counters.fell_behind.add(1);
            self.counters.behind.set(self.counters.behind.get() + 1);
        }
    }

    /// The socket of a connection that was full has room again.
    pub(in crate::reactor) fn on_writable(&mut self, at: usize) {
        if self.connections[at].full_since.is_some() {
            self.now = self.net.now();
            self.bring_up_to_date(at);
        }
    }

    /// Sends a connection all it has coming: private messages, then for each room what it has missed.
    pub(in crate::reactor) fn bring_up_to_date(&mut self, at: usize) {
        let mut is_sent = self.flush_outbox(at);
        self.go_on(at);
        if is_sent && !self.connections[at].outbox.is_empty() {
            is_sent = self.flush_outbox(at); // what one who comes back is told next
        }
        if !is_sent || !self.catch_up(at) {
            return self.fall_behind(at);
        }
        self.is_full_no_more(at);
        self.step_in(at);
    }

    pub(super) fn is_full_no_more(&mut self, at: usize) {
        if self.connections[at].full_since.take().is_some() {
            self.wait_for(at);
            self.counters.behind.set(self.counters.behind.get() - 1);
        }
    }

    /// Sends what its rooms have from its positions on, up to where the crowd is that it can join. Returns whether the socket took
    /// all of it.
    fn catch_up(&mut self, at: usize) -> bool {
        let Standing::Apart(memberships) = &self.connections[at].standing else { return true };
        let rooms: Vec<u32> = memberships.iter().map(|membership| membership.room).collect();
        let crowd = self.crowds.open_to(&rooms);
        let crowd: Option<Vec<u64>> =
            crowd.map(|crowd| crowd.stands.iter().map(|stand| stand.cursor).collect());
        for (m, room) in rooms.iter().enumerate() {
            let to = match &crowd {
                Some(cursors) => cursors[m],
                None => local_mut(&mut self.rooms, *room).reader.refresh(),
            };
            // It has no rooms any more if its connection was found to be broken.
            let Standing::Apart(memberships) = &self.connections[at].standing else { break };
            let Some(membership) = memberships.get(m) else { break };
            if let Place::At(position) = membership.place
                && !self.catch_up_with(at, m, (position, to))
            {
                return false;
            }
        }
        true
    }

    fn catch_up_with(&mut self, at: usize, m: usize, (mut position, to): (u64, u64)) -> bool {
        let Self { rooms, connections, counters, net, now, .. } = self;
        let connection = &mut connections[at];
        debug_assert!(!connection.torn, "the caller has sent the rest of a torn frame");
        let Standing::Apart(memberships) = &mut connection.standing else {
            unreachable!("the caller has looked")
        };
        let membership = &mut memberships[m];
        let local = local_mut(rooms, membership.room);
        if position < local.reader.oldest() {
            counters.lapped.add(1);
            let room = membership.room;
            if self.would_rather_leave(at, room) {
                self.counters.closed_slow.add(1);
                self.close(at, Some(CloseCode::SLOW_CONSUMER), "lapped");
                return true;
            }
            self.wait_for_snapshot(at, m, Some(position));
            self.serve_waiting(room);
            // Whether a snapshot was at hand or comes later: what follows is in the outbox or not our turn yet.
            return true;
        }
        while position < to {
            let span = local.reader.span(position, to);
            let sent = match net.send(connection.socket, span) {
                Ok(sent) => sent,
                Err(_) => {
                    self.drop_connection(at);
                    return true;
                }
            };
            counters.sends.add(1);
            if sent > 0 && connection.full_since.is_some() {
                connection.full_since = Some(*now);
            }
            let boundary = frames::frame_end_at_or_after(span, sent).expect("a span is whole frames");
            counters.frames_out.add(frames::frames(&span[..boundary]).count() as u64);
            counters.bytes_out.add(boundary as u64);
            if local.has_trades() {
                membership.next_trade = trade_after(&span[..boundary]).or(membership.next_trade);
            }
            position += boundary as u64;
            membership.place = Place::At(position);
            local.account.delivers(boundary as u64);
            if sent < span.len() {
                connection.put_first(&span[sent..boundary]);
                return false;
            }
        }
        true
    }

    fn would_rather_leave(&mut self, at: usize, room: u32) -> bool {
        let shared = self.shared.clone();
        let room = &self.rooms[&room].room;
        let room = (room.symbol, room.view);
        self.session_mut(at).is_some_and(|session| session.leaves_if_lapped(room, &shared.venue))
    }

    // ---- snapshots ----------------------------------------------------------------------------------------------

    pub(super) fn wait_for_snapshot(&mut self, at: usize, m: usize, from: Option<u64>) {
        let membership = &mut self.step_out(at)[m];
        membership.place = Place::Waiting { from };
        let room = membership.room;
        local_mut(&mut self.rooms, room).waiting.push(at);
    }

    /// Gives the room's newest snapshot to those who wait for one, or has a newer one cut.
    pub(super) fn serve_waiting(&mut self, room: u32) {
        let Some(local) = self.rooms.get_mut(&room).filter(|local| !local.waiting.is_empty()) else { return };
        if let Some(snapshot) = local.room.snapshot() {
            local.reader.refresh(); // it may be newer than what we have seen of the room
            for at in std::mem::take(&mut local.waiting) {
                self.offer_snapshot(at, room, &snapshot);
            }
        }
        let local = &self.rooms[&room];
        if !local.waiting.is_empty() && !self.shared.registry.want_snapshot(&local.room) {
            self.shared.doors[self.index].dirty.mark(room); // the feed is busy: ask again next turn
        }
    }

    /// Puts the snapshot into the member's outbox if it may start from it, else lets it wait for the next.
    fn offer_snapshot(&mut self, at: usize, room: u32, snapshot: &Snapshot) {
        let Self { rooms, connections, counters, shared, .. } = self;
        let local = local_mut(rooms, room);
        let connection = &mut connections[at];
        let Standing::Apart(memberships) = &mut connection.standing else {
            unreachable!("who waits is apart")
        };
        let m = place_of(memberships, room).expect("who waits is a member");
        let membership = &mut memberships[m];
        let Place::Waiting { from } = membership.place else { return };
        let since = local.reader.head() - snapshot.position.min(local.reader.head());
        let fresh = match local.room.view.is_latest() {
            true => since <= 2 * snapshot.frames.len() as u64, // older messages are of no use to anybody
            false => since <= SNAPSHOT_REUSE_BYTES,
        };
        let in_window = snapshot.position >= local.reader.oldest();
        // One that has a place in the stream already must not be taken back in it.
        let ahead = from.is_none_or(|from| snapshot.position >= from);
        if !(fresh && in_window && ahead) {
            local.waiting.push(at);
            return;
        }
        let next_trade = snapshot.next_trade.0;
        match from {
            Some(from) if from >= local.reader.oldest() => local.account.delivers(snapshot.position - from),
            Some(from) => {
                counters.skipped_bytes.add(snapshot.position - from);
                local.account.skips(snapshot.position - from);
            }
            None => local.account.begins(snapshot.position),
        }
        if let Some(from) = from {
            if from >= local.reader.oldest() {
                let mut position = from;
                while position < snapshot.position {
                    let span = local.reader.span(position, snapshot.position);
                    connection.outbox.extend_from_slice(span);
                    position += span.len() as u64;
                }
            } else if let Some(expected) = membership.next_trade
                && expected < next_trade
            {
                counters.gaps.add(1);
                let symbol = shared.venue.format(local.room.symbol).symbol;
                let gap = market::Gap {
                    stream: Stream::Trade,
                    from: expected,
                    to: next_trade - 1,
                    reason: GapReason::SlowConsumer,
                };
                ws::frame::append_frame(&mut connection.outbox, Opcode::Text, 150, |out| {
                    market::gap(out, symbol, gap)
                });
            }
        }
        connection.outbox.extend_from_slice(&snapshot.frames);
        membership.next_trade = local.has_trades().then_some(next_trade);
        membership.place = Place::At(snapshot.position);
        self.touch(at);
    }
}

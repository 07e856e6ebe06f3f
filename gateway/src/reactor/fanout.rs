//! Market data to the subscribers of this reactor.
//!
//! Most subscribers of a room are in sync: they stand at the room's cursor, in a dense array of sockets, and all get
//! the same span in one blast. A subscriber whose socket did not take all of it leaves the array of every room it is
//! in and keeps a position of its own; when its socket has room again it catches up from the ring and rejoins. The
//! rest of a torn frame goes to the front of its outbox, so a position is always a frame boundary, and whatever else is in
//! the outbox comes after it. Who has a torn frame gets nothing from a room until the rest of it is sent.
//!
//! The ladder of one that stays behind:
//! 1. inside the window: it catches up, nothing is lost;
//! 2. its position has left the window: it is lapped, gets a `gap` that names the trades it misses, and a fresh
//!    snapshot of the book;
//! 3. its socket has taken nothing for the write timeout: it is closed with 4001.

use super::Reactor;
use super::blaster;
use crate::rooms::frames;
use crate::rooms::ring::Reader;
use crate::rooms::{Room, Snapshot};
use crate::wire::encode::market;
use crate::wire::name::{GapReason, Stream};
use crate::ws::{self, Opcode};
use memchr::memmem;
use std::os::fd::RawFd;
use std::sync::Arc;

/// A snapshot this far behind the head is still handed out: catching up from it costs less than cutting another.
const SNAPSHOT_REUSE_BYTES: u64 = 64 << 10;

/// A connection's place in one room.
pub(super) struct Membership {
    /// The room's index.
    pub room: u32,
    pub place: Place,
    /// The next trade the client expects. Known while it has a place in a stream with trades; for one in sync the
    /// room knows it.
    pub next_trade: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// At the room's cursor, at this index of its arrays.
    InSync { index: u32 },
    /// At a position of its own, a frame boundary.
    Behind { position: u64 },
    /// A snapshot must come first; `from` is where it stood, if it has a place in the stream already.
    Waiting { from: Option<u64> },
}

/// This reactor's part of a room.
pub(super) struct LocalRoom {
    room: Arc<Room>,
    reader: Reader,
    /// Where all members in sync stand.
    cursor: u64,
    /// The next trade at the cursor, while there are members in sync.
    next_trade: Option<u64>,
    /// Members in sync: connections, and in the same order their sockets.
    members: Vec<usize>,
    sockets: Vec<RawFd>,
    /// Members that wait for a snapshot.
    waiting: Vec<usize>,
    /// All members.
    count: usize,
}

impl Reactor {
    // ---- coming and going ---------------------------------------------------------------------------------------

    /// The connection, which has a waiting membership of the room, is shown in.
    pub(super) fn join_room(&mut self, at: usize, room: Arc<Room>) {
        let index = room.index;
        let window_bytes = self.shared.limits.window_bytes;
        let reactor = self.index;
        let local = self.rooms.entry(index).or_insert_with(|| {
            room.add_reader(reactor);
            let reader = Reader::join(&room.ring, window_bytes);
            let cursor = reader.head();
            LocalRoom {
                room,
                reader,
                cursor,
                next_trade: None,
                members: Vec::new(),
                sockets: Vec::new(),
                waiting: Vec::new(),
                count: 0,
            }
        });
        local.count += 1;
        self.counters.memberships.add(1);
        local.waiting.push(at);
        self.serve_waiting(index);
    }

    /// Has a snapshot sent to a member that may have lost the thread.
    pub(super) fn resync_room(&mut self, at: usize, room: u32) {
        let Some(m) = self.find_membership(at, room) else { return };
        let from = match self.connections[at].memberships[m].place {
            Place::InSync { .. } => {
                self.leave_array(at, m);
                match self.connections[at].memberships[m].place {
                    Place::Behind { position } => position,
                    _ => unreachable!("who leaves the array is behind"),
                }
            }
            Place::Behind { position } => position,
            Place::Waiting { .. } => return,
        };
        self.wait_for_snapshot(at, m, Some(from));
        self.serve_waiting(room);
    }

    pub(super) fn leave_room(&mut self, at: usize, room: u32) {
        let Some(m) = self.find_membership(at, room) else { return };
        if let Place::InSync { .. } = self.connections[at].memberships[m].place {
            self.leave_array(at, m);
        }
        self.connections[at].memberships.swap_remove(m);
        let local = self.rooms.get_mut(&room).expect("a member's room is here");
        local.waiting.retain(|waiting| *waiting != at);
        local.count -= 1;
        self.counters.memberships.set(self.counters.memberships.get() - 1);
        if local.count == 0 {
            local.room.remove_reader(self.index);
            self.rooms.remove(&room);
        }
    }

    pub(super) fn leave_all_rooms(&mut self, at: usize) {
        while let Some(membership) = self.connections[at].memberships.last() {
            let room = membership.room;
            self.leave_room(at, room);
        }
        if self.connections[at].full_since.take().is_some() {
            self.counters.behind.set(self.counters.behind.get() - 1);
        }
    }

    fn find_membership(&self, at: usize, room: u32) -> Option<usize> {
        self.connections[at].memberships.iter().position(|membership| membership.room == room)
    }

    // ---- pushing ------------------------------------------------------------------------------------------------

    /// Sends every room's news to its members in sync, then serves those that wait for a snapshot.
    pub(super) fn fan_out(&mut self) {
        let door = self.shared.doors[self.index].clone();
        door.dirty.take(|room| {
            if self.rooms.contains_key(&room) {
                self.advance(room);
                self.serve_waiting(room);
            }
        });
    }

    /// Sends [cursor, head) of the room to its members in sync.
    fn advance(&mut self, room: u32) {
        let Self { rooms, connections, blaster, behind, counters, .. } = self;
        let local = rooms.get_mut(&room).expect("the caller has looked");
        let head = local.reader.refresh();
        let has_trades = local.room.view.has(Stream::Trade);
        let mut fallen = Vec::new();
        let mut broken = Vec::new();
        while local.cursor < head {
            if local.members.is_empty() {
                local.cursor = head;
                break;
            }
            let span = local.reader.span(local.cursor, head);
            behind.clear();
            blaster.blast(&local.sockets, span, behind);
            let sent_to = (local.sockets.len() - behind.len()) as u64;
            counters.sends.add(local.sockets.len() as u64);
            counters.frames_out.add(sent_to * frames::frames(span).count() as u64);
            counters.bytes_out.add(sent_to * span.len() as u64);
            // From the back, so that taking one out of the arrays moves only members that are looked at already.
            behind.sort_unstable_by_key(|behind| std::cmp::Reverse(behind.index));
            for behind in behind.iter() {
                let at = local.members[behind.index];
                let connection = &mut connections[at];
                debug_assert!(!connection.torn, "who has a torn frame is not in sync");
                let m = connection.memberships.iter().position(|membership| membership.room == room);
                let m = m.expect("members of the array are members");
                match behind.sent {
                    Ok(sent) => {
                        let boundary =
                            frames::frame_end_at_or_after(span, sent).expect("a span is whole frames");
                        connection.put_first(&span[sent..boundary]);
                        counters.bytes_out.add(boundary as u64);
                        let membership = &mut connection.memberships[m];
                        membership.place = Place::Behind { position: local.cursor + boundary as u64 };
                        membership.next_trade = next_trade(local.next_trade, &span[..boundary], has_trades);
                        fallen.push(at);
                    }
                    Err(_) => {
                        connection.memberships[m].place = Place::Behind { position: local.cursor };
                        broken.push(at);
                    }
                }
                local.members.swap_remove(behind.index);
                local.sockets.swap_remove(behind.index);
                if let Some(moved) = local.members.get(behind.index) {
                    let moved = &mut connections[*moved];
                    let its = moved.memberships.iter_mut().find(|membership| membership.room == room);
                    its.expect("members of the array are members").place =
                        Place::InSync { index: behind.index as u32 };
                }
            }
            local.next_trade = next_trade(local.next_trade, span, has_trades);
            local.cursor += span.len() as u64;
        }
        for at in fallen {
            self.fall_behind(at);
        }
        for at in broken {
            // Its reading task will see the end of the stream and remove it.
            self.leave_all_rooms(at);
        }
    }

    /// The connection's socket is full: it leaves the arrays of all its rooms until it has caught up.
    fn fall_behind(&mut self, at: usize) {
        for m in 0..self.connections[at].memberships.len() {
            if let Place::InSync { .. } = self.connections[at].memberships[m].place {
                self.leave_array(at, m);
            }
        }
        let connection = &mut self.connections[at];
        if connection.full_since.is_none() {
            connection.full_since = Some(self.now);
            self.newly_full.push(at);
            self.counters.fell_behind.add(1);
            self.counters.behind.set(self.counters.behind.get() + 1);
        }
    }

    fn leave_array(&mut self, at: usize, m: usize) {
        let Self { rooms, connections, .. } = self;
        let membership = &mut connections[at].memberships[m];
        let Place::InSync { index } = membership.place else { unreachable!("the caller has looked") };
        let room = membership.room;
        let local = rooms.get_mut(&room).expect("a member's room is here");
        membership.place = Place::Behind { position: local.cursor };
        membership.next_trade = local.next_trade;
        local.members.swap_remove(index as usize);
        local.sockets.swap_remove(index as usize);
        if let Some(moved) = local.members.get(index as usize) {
            let its = connections[*moved].memberships.iter_mut().find(|membership| membership.room == room);
            its.expect("members of the array are members").place = Place::InSync { index };
        }
    }

    // ---- catching up --------------------------------------------------------------------------------------------

    /// The socket of a connection that was full has room again. Returns whether it must be waited for again.
    pub(super) fn on_writable(&mut self, at: usize, generation: u16) -> bool {
        let there = self.connections.get(at).is_some_and(|connection| connection.generation == generation);
        if !there || self.connections[at].full_since.is_none() {
            return false;
        }
        self.now = super::clock();
        self.bring_up_to_date(at);
        self.connections.get(at).is_some_and(|connection| connection.full_since.is_some())
    }

    /// Sends a connection all it has coming: private messages, then for each room what it has missed.
    pub(super) fn bring_up_to_date(&mut self, at: usize) {
        let mut is_sent = self.flush_outbox(at);
        self.go_on(at);
        if is_sent && !self.connections[at].outbox.is_empty() {
            is_sent = self.flush_outbox(at); // what one who comes back is told next
        }
        if !is_sent {
            return self.fall_behind(at);
        }
        for m in 0..self.connections[at].memberships.len() {
            if let Place::Behind { position } = self.connections[at].memberships[m].place
                && !self.catch_up(at, m, position)
            {
                return self.fall_behind(at);
            }
        }
        if self.connections[at].full_since.take().is_some() {
            self.counters.behind.set(self.counters.behind.get() - 1);
        }
    }

    /// Sends a member what the room has from its position on. Returns whether the socket took all of it.
    fn catch_up(&mut self, at: usize, m: usize, mut position: u64) -> bool {
        let Self { rooms, connections, counters, now, .. } = self;
        let connection = &mut connections[at];
        debug_assert!(!connection.torn, "the caller has sent the rest of a torn frame");
        let room = connection.memberships[m].room;
        let local = rooms.get_mut(&room).expect("a member's room is here");
        let has_trades = local.room.view.has(Stream::Trade);
        if position < local.reader.oldest() {
            counters.lapped.add(1);
            self.wait_for_snapshot(at, m, Some(position));
            self.serve_waiting(room);
            // Whether a snapshot was at hand or comes later: what follows is in the outbox or not our turn yet.
            return true;
        }
        while position < local.cursor {
            let span = local.reader.span(position, local.cursor);
            let sent = match blaster::send(connection.socket, span) {
                Ok(sent) => sent,
                Err(_) => return true, // broken; its reading task removes it
            };
            counters.sends.add(1);
            if sent > 0 && connection.full_since.is_some() {
                connection.full_since = Some(*now);
            }
            let boundary = frames::frame_end_at_or_after(span, sent).expect("a span is whole frames");
            connection.put_first(&span[sent..boundary]);
            counters.frames_out.add(frames::frames(&span[..boundary]).count() as u64);
            counters.bytes_out.add(boundary as u64);
            let membership = &mut connection.memberships[m];
            membership.next_trade = next_trade(membership.next_trade, &span[..boundary], has_trades);
            position += boundary as u64;
            membership.place = Place::Behind { position };
            if sent < span.len() {
                return false;
            }
        }
        debug_assert!(!connection.torn, "all of every span was sent");
        let membership = &mut connection.memberships[m];
        membership.place = Place::InSync { index: local.members.len() as u32 };
        local.next_trade = membership.next_trade;
        local.members.push(at);
        local.sockets.push(connection.socket);
        true
    }

    // ---- snapshots ----------------------------------------------------------------------------------------------

    fn wait_for_snapshot(&mut self, at: usize, m: usize, from: Option<u64>) {
        let membership = &mut self.connections[at].memberships[m];
        membership.place = Place::Waiting { from };
        self.rooms.get_mut(&membership.room).expect("a member's room is here").waiting.push(at);
    }

    /// Gives the room's newest snapshot to those who wait for one, or has a newer one cut.
    fn serve_waiting(&mut self, room: u32) {
        if self.rooms[&room].waiting.is_empty() {
            return;
        }
        let snapshot = self.rooms[&room].room.snapshot();
        if let Some(snapshot) = snapshot {
            // The room's cursor must not be before the snapshot: members rejoin at the cursor.
            self.advance(room);
            let local = self.rooms.get_mut(&room).expect("the caller has looked");
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
        let Some(m) = self.find_membership(at, room) else { return };
        let Self { rooms, connections, counters, shared, .. } = self;
        let local = rooms.get_mut(&room).expect("a member's room is here");
        let connection = &mut connections[at];
        let membership = &mut connection.memberships[m];
        let Place::Waiting { from } = membership.place else { return };
        let fresh = local.reader.head() - snapshot.position.min(local.reader.head()) <= SNAPSHOT_REUSE_BYTES;
        let in_window = snapshot.position >= local.reader.oldest();
        // One that has a place in the stream already must not be taken back in it.
        let ahead = from.is_none_or(|from| snapshot.position >= from);
        if !(fresh && in_window && ahead) {
            local.waiting.push(at);
            return;
        }
        let next_trade = snapshot.next_trade.0;
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
        membership.next_trade = local.room.view.has(Stream::Trade).then_some(next_trade);
        membership.place = Place::Behind { position: snapshot.position };
        self.touch(at);
    }
}

/// The next trade after `span`, given the one before it.
fn next_trade(before: Option<u64>, span: &[u8], has_trades: bool) -> Option<u64> {
    const LEAD: &[u8] = br#""type":"trade","data":{"trade_id":"#;
    if !has_trades {
        return None;
    }
    let Some(at) = memmem::rfind(span, LEAD) else { return before };
    let digits = span[at + LEAD.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |id, digit| id * 10 + (digit - b'0') as u64) + 1)
}

#[cfg(test)]
mod tests;

//! Market data to the subscribers of this reactor.
//!
//! Most connections are in step: they stand where their rooms are, in the [`crowd`] of those who are in the same rooms, and all
//! of a crowd get the same bytes in one blast ([`push`](self::push)). A connection whose socket did not take all of it is apart:
//! it has a position of its own in each room, catches up from the rings when its socket has room again, and steps in again
//! ([`ladder`](self::ladder)). The rest of a torn frame goes to the front of its outbox, so a position is always a frame
//! boundary, and whatever else is in the outbox comes after it. Who has a torn frame gets nothing from a room until the rest of
//! it is sent.

mod crowd;
mod ladder;
mod push;
#[cfg(test)]
mod tests;

pub(super) use crowd::Crowds;
pub(super) use push::Piece;

use crowd::Spot;

use super::Reactor;
use crate::rooms::Room;
use crate::rooms::frames;
use crate::rooms::ring::Reader;
use crate::wire::name::Stream;
use memchr::memmem;
use std::sync::Arc;

/// Where a connection is in its rooms.
pub(super) enum Standing {
    /// Where they are.
    InStep(Spot),
    /// At places of its own; in no room if there are none.
    Apart(Vec<Membership>),
}

/// A connection's place in one room.
pub(super) struct Membership {
    /// The room's index.
    room: u32,
    place: Place,
    /// The next trade the client expects. Known while it has a place in a stream with trades.
    next_trade: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// At a frame boundary.
    At(u64),
    /// A snapshot must come first; `from` is where it stood, if it has a place in the stream already.
    Waiting { from: Option<u64> },
}

/// This reactor's part of a room.
pub(super) struct LocalRoom {
    room: Arc<Room>,
    reader: Reader,
    /// Where all that are in step stand.
    cursor: u64,
    /// The next trade at the cursor, while anybody is in step.
    next_trade: Option<u64>,
    /// What there is beyond the cursor.
    news: News,
    /// Members that wait for a snapshot.
    waiting: Vec<usize>,
    /// All members.
    count: usize,
}

/// What a room has beyond its cursor.
#[derive(Clone, Copy, Default)]
struct News {
    /// Where they end.
    head: u64,
    frames: u64,
    /// The next trade after them, if they have any.
    next_trade: Option<u64>,
}

impl LocalRoom {
    fn join(room: Arc<Room>, window_bytes: u64) -> Self {
        let reader = Reader::join(&room.ring, window_bytes);
        let cursor = reader.head();
        let news = News { head: cursor, ..News::default() };
        Self { room, reader, cursor, next_trade: None, news, waiting: Vec::new(), count: 0 }
    }

    fn has_trades(&self) -> bool {
        self.room.view.has(Stream::Trade)
    }

    /// Looks for news. True if there are and there were none.
    fn look(&mut self) -> bool {
        let (before, head) = (self.news.head, self.reader.refresh());
        let mut at = before;
        while at < head {
            let span = self.reader.span(at, head);
            self.news.frames += frames::frames(span).count() as u64;
            if self.has_trades() {
                self.news.next_trade = trade_after(span).or(self.news.next_trade);
            }
            at += span.len() as u64;
        }
        self.news.head = head;
        before == self.cursor && head > before
    }

    /// All that were in step have the news, or are in step no more.
    fn move_on(&mut self) {
        let News { head, next_trade, .. } = self.news;
        self.cursor = head;
        self.next_trade = next_trade.or(self.next_trade);
        self.news = News { head, ..News::default() };
        self.reader.forget_before(head);
    }
}

impl Reactor {
    /// The connection is shown into the room; what it must know comes by itself.
    pub(super) fn join_room(&mut self, at: usize, room: Arc<Room>) {
        let index = room.index;
        let window_bytes = self.shared.limits.window_bytes;
        let local = self.rooms.entry(index).or_insert_with(|| {
            room.add_reader(self.index);
            LocalRoom::join(room, window_bytes)
        });
        local.count += 1;
        self.counters.memberships.add(1);
        let place = Place::Waiting { from: None };
        self.step_out(at).push(Membership { room: index, place, next_trade: None });
        local_mut(&mut self.rooms, index).waiting.push(at);
        self.unsettled.push(at);
        self.serve_waiting(index);
    }

    /// Has a snapshot sent to a member that may have lost the thread.
    pub(super) fn resync_room(&mut self, at: usize, room: u32) {
        let memberships = self.step_out(at);
        let Some(m) = memberships.iter().position(|membership| membership.room == room) else { return };
        if let Place::At(position) = memberships[m].place {
            self.unsettled.push(at);
            self.wait_for_snapshot(at, m, Some(position));
            self.serve_waiting(room);
        }
    }

    pub(super) fn leave_room(&mut self, at: usize, room: u32) {
        let memberships = self.step_out(at);
        let Some(m) = memberships.iter().position(|membership| membership.room == room) else { return };
        memberships.swap_remove(m);
        self.unsettled.push(at);
        self.forget_member(at, room);
    }

    pub(super) fn leave_all_rooms(&mut self, at: usize) {
        for membership in std::mem::take(self.step_out(at)) {
            self.forget_member(at, membership.room);
        }
        self.is_full_no_more(at);
    }

    fn forget_member(&mut self, at: usize, room: u32) {
        let local = local_mut(&mut self.rooms, room);
        local.waiting.retain(|waiting| *waiting != at);
        local.count -= 1;
        self.counters.memberships.set(self.counters.memberships.get() - 1);
        if local.count == 0 {
            local.room.remove_reader(self.index);
            self.rooms.remove(&room);
        }
    }

    /// The connection stands by itself from now on. Returns its places.
    fn step_out(&mut self, at: usize) -> &mut Vec<Membership> {
        let Self { rooms, crowds, connections, .. } = self;
        if let Standing::InStep(spot) = connections[at].standing {
            let crowd = crowds.get(spot.crowd).expect("who is in step is in a crowd");
            let membership = |room: &u32| {
                let LocalRoom { cursor, next_trade, .. } = rooms[room];
                Membership { room: *room, place: Place::At(cursor), next_trade }
            };
            let memberships = crowd.rooms.iter().map(membership).collect();
            if let Some(moved) = crowds.leave(spot) {
                connections[moved as usize].standing = Standing::InStep(spot);
            }
            connections[at].standing = Standing::Apart(memberships);
        }
        match &mut connections[at].standing {
            Standing::Apart(memberships) => memberships,
            Standing::InStep(_) => unreachable!("it has just stepped out"),
        }
    }

    /// If it is where its rooms are, the connection joins the crowd of those who are there, too; else it is looked after in each
    /// turn.
    fn step_in(&mut self, at: usize) {
        let Self { rooms, crowds, connections, unsettled, .. } = self;
        let connection = &mut connections[at];
        let Standing::Apart(memberships) = &mut connection.standing else { return };
        let is_there = |membership: &Membership| matches!(membership.place, Place::At(position) if position == rooms[&membership.room].cursor);
        if memberships.is_empty() {
            return;
        }
        // What is in the outbox comes first: it may be the snapshot that the news go on from.
        if !connection.outbox.is_empty() || !memberships.iter().all(is_there) {
            return unsettled.push(at);
        }
        debug_assert!(!connection.torn, "who has a torn frame has the rest of it to send");
        memberships.sort_unstable_by_key(|membership| membership.room);
        for membership in memberships.iter().filter(|membership| membership.next_trade.is_some()) {
            local_mut(rooms, membership.room).next_trade = membership.next_trade;
        }
        let list: Vec<u32> = memberships.iter().map(|membership| membership.room).collect();
        connection.standing = Standing::InStep(crowds.enter(&list, at as u32, connection.socket));
    }
}

fn local_mut(rooms: &mut std::collections::HashMap<u32, LocalRoom>, room: u32) -> &mut LocalRoom {
    rooms.get_mut(&room).expect("a member's room is here")
}

/// The number after that of the last trade in `span`.
fn trade_after(span: &[u8]) -> Option<u64> {
    const LEAD: &[u8] = br#""type":"trade","data":{"trade_id":"#;
    let at = memmem::rfind(span, LEAD)? + LEAD.len();
    let digits = span[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |id, digit| id * 10 + (digit - b'0') as u64) + 1)
}

//! Market data to the subscribers of this reactor.
//!
//! Most connections are in step: they stand in a [`crowd`] of those who are at the same places in the same rooms, and all of a
//! crowd get the same bytes in one blast ([`push`](self::push)). A connection whose socket did not take all of it is apart:
//! it has a position of its own in each room, catches up from the rings when its socket has room again, and steps in again
//! ([`ladder`](self::ladder)). The rest of a torn frame goes to the front of its outbox, so a position is always a frame
//! boundary, and whatever else is in the outbox comes after it. Who has a torn frame gets nothing from a room until the rest of
//! it is sent.

mod account;
mod crowd;
mod ladder;
mod push;
mod snapshots;
#[cfg(test)]
mod tests;

pub(super) use crowd::Crowds;
pub(super) use push::Piece;

use account::Account;
use crowd::{Spot, Stand};

use super::Reactor;
use crate::rooms::Room;
use crate::rooms::ring::Reader;
use crate::wire::name::Stream;
use memchr::memmem;
use std::sync::Arc;

/// Where a connection is in its rooms.
pub(super) enum Standing {
    /// Where its crowd is.
    InStep(Spot),
    /// At places of its own, in order of the rooms; in no room if there are none.
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
    /// The same, but its client must take first what it has been told.
    Held { from: Option<u64> },
}

/// This reactor's part of a room.
pub(super) struct LocalRoom {
    room: Arc<Room>,
    reader: Reader,
    /// Where its news ended when a round began: nobody who is in step is before that when the round is over.
    looked: u64,
    /// Members that wait for a snapshot.
    waiting: Vec<usize>,
    /// All members.
    count: usize,
    account: Account,
}

impl LocalRoom {
    fn join(room: Arc<Room>, window_bytes: u64) -> Self {
        let reader = Reader::join(&room.ring, window_bytes);
        Self {
            room,
            looked: reader.head(),
            reader,
            waiting: Vec::new(),
            count: 0,
            account: Account::default(),
        }
    }

    fn has_trades(&self) -> bool {
        self.room.view.has(Stream::Trade)
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
        let membership = Membership { room: index, place: Place::Waiting { from: None }, next_trade: None };
        let memberships = self.step_out(at);
        let after = memberships.partition_point(|membership| membership.room < index);
        memberships.insert(after, membership);
        local_mut(&mut self.rooms, index).waiting.push(at);
        self.unsettled.push(at);
        self.serve_first(index);
    }

    /// How many rooms a connection is in.
    pub(super) fn rooms_of(&self, at: usize) -> usize {
        match &self.connections[at].standing {
            Standing::Apart(memberships) => memberships.len(),
            Standing::InStep(spot) => {
                self.crowds.get(spot.crowd).expect("who is in step is in a crowd").stands.len()
            }
        }
    }

    /// Has a snapshot sent to a member that may have lost the thread.
    pub(super) fn resync_room(&mut self, at: usize, room: u32) {
        self.unsettled.push(at);
        let memberships = self.step_out(at);
        let Some(m) = place_of(memberships, room) else { return };
        if let Place::At(position) = memberships[m].place {
            self.wait_for_snapshot(at, m, Some(position));
            // With the next round, so that asking often costs little.
            self.shared.doors[self.index].dirty.mark(room);
            self.want_turn();
        }
    }

    pub(super) fn leave_room(&mut self, at: usize, room: u32) {
        self.unsettled.push(at);
        let memberships = self.step_out(at);
        let Some(m) = place_of(memberships, room) else { return };
        let membership = memberships.remove(m);
        self.forget_member(at, &membership);
    }

    pub(super) fn leave_all_rooms(&mut self, at: usize) {
        for membership in std::mem::take(self.step_out(at)) {
            self.forget_member(at, &membership);
        }
        self.is_full_no_more(at);
    }

    fn forget_member(&mut self, at: usize, membership: &Membership) {
        let room = membership.room;
        let local = local_mut(&mut self.rooms, room);
        if let Some(position) = membership.place.position() {
            local.account.leaves(position);
        }
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
        let Self { crowds, connections, .. } = self;
        if let Standing::InStep(spot) = connections[at].standing {
            let crowd = crowds.get(spot.crowd).expect("who is in step is in a crowd");
            let membership = |&Stand { room, cursor, next_trade }: &Stand| Membership {
                room,
                place: Place::At(cursor),
                next_trade,
            };
            let memberships = crowd.stands.iter().map(membership).collect();
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

    /// If it is where a crowd in its rooms is, or where its rooms are if there is none, the connection is in step from now on;
    /// else it is looked after in each turn.
    fn step_in(&mut self, at: usize) {
        let Self { rooms: local, crowds, connections, unsettled, pump_wanted, .. } = self;
        let connection = &mut connections[at];
        let Standing::Apart(memberships) = &mut connection.standing else { return };
        if memberships.is_empty() {
            return;
        }
        let stands: Option<Vec<Stand>> = memberships.iter().map(Membership::stand).collect();
        // What is in the outbox comes first: it may be the snapshot that the news go on from.
        let Some(stands) = stands.filter(|_| connection.outbox.is_empty()) else { return unsettled.push(at) };
        let rooms: Vec<u32> = stands.iter().map(|stand| stand.room).collect();
        let is_there = match crowds.open_to(&rooms) {
            Some(crowd) => crowd.stands.iter().zip(&stands).all(|(its, ours)| its.cursor == ours.cursor),
            None => stands.iter().all(|ours| local[&ours.room].reader.head() == ours.cursor),
        };
        if !is_there {
            *pump_wanted = true; // nothing else may happen for a while
            return unsettled.push(at);
        }
        debug_assert!(!connection.outbox.is_torn(), "who has a torn frame has the rest of it to send");
        connection.standing = Standing::InStep(crowds.enter(stands, at as u32, connection.socket));
    }
}

impl Membership {
    /// Where it stands, unless it waits for a snapshot.
    fn stand(&self) -> Option<Stand> {
        let Place::At(cursor) = self.place else { return None };
        Some(Stand { room: self.room, cursor, next_trade: self.next_trade })
    }
}

/// Where a room is among the places of one who is apart, which are in order of the rooms.
fn place_of(memberships: &[Membership], room: u32) -> Option<usize> {
    memberships.binary_search_by_key(&room, |membership| membership.room).ok()
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

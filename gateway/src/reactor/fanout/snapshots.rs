//! Those who wait for a snapshot: newcomers, who asked for one, and who was lapped.
//!
//! A snapshot is put into the member's outbox, as a reference to the room's own copy, and there is a bound to what is there for
//! the public's sake: a member of a hundred rooms gets the next snapshot when it has taken the last.

use super::{Place, Standing, local_mut, place_of};
use crate::reactor::Reactor;
use crate::rooms::Snapshot;
use crate::wire::encode::market;
use crate::wire::name::{GapReason, Stream};
use crate::ws::{self, Opcode};

/// A snapshot this far behind the head is still handed out: catching up from it costs less than cutting another. It is more than a
/// busy room moves on while a snapshot is cut, or nobody would ever get one.
const SNAPSHOT_REUSE_BYTES: u64 = 512 << 10;

/// What came of an offer.
enum Offer {
    Taken,
    /// It cannot go on from this one.
    TooOld,
    /// It has enough to take, and asks again.
    NoRoom,
    /// It is lapped, and would rather leave.
    Leaves,
}

impl Reactor {
    pub(super) fn wait_for_snapshot(&mut self, at: usize, m: usize, from: Option<u64>) {
        let membership = &mut self.step_out(at)[m];
        membership.place = Place::Waiting { from };
        let room = membership.room;
        local_mut(&mut self.rooms, room).waiting.push(at);
    }

    /// One has just begun to wait. Where others do already, a snapshot has been asked for, which comes with a round and is for all of them:
    /// a crowd that comes at once must not be looked through again with each newcomer.
    pub(super) fn serve_first(&mut self, room: u32) {
        if local_mut(&mut self.rooms, room).waiting.len() == 1 {
            self.serve_waiting(room);
        }
    }

    /// Gives the room's newest snapshot to those who wait for one, or has a newer one cut.
    pub(super) fn serve_waiting(&mut self, room: u32) {
        let Some(local) = self.rooms.get_mut(&room).filter(|local| !local.waiting.is_empty()) else { return };
        if let Some(snapshot) = local.room.snapshot() {
            local.reader.refresh(); // it may be newer than what we have seen of the room
            let mut leaving = Vec::new();
            for at in std::mem::take(&mut local.waiting) {
                match self.offer_snapshot(at, room, &snapshot) {
                    Offer::Taken | Offer::NoRoom => {}
                    Offer::TooOld => local_mut(&mut self.rooms, room).waiting.push(at),
                    Offer::Leaves => leaving.push(at),
                }
            }
            leaving.into_iter().for_each(|at| self.let_go(at));
        }
        let Some(local) = self.rooms.get(&room).filter(|local| !local.waiting.is_empty()) else { return };
        if !self.shared.registry.want_snapshot(&local.room) {
            self.shared.doors[self.index].dirty.mark(room); // the feed is busy: ask again next round
        }
    }

    /// One that has taken what it had to take goes on with the snapshots that there was no room for.
    pub(super) fn ask_again(&mut self, at: usize) {
        let bytes_max = self.unsent_bytes_max();
        loop {
            let Standing::Apart(memberships) = &self.connections[at].standing else { return };
            let held = |place| if let Place::Held { from } = place { Some(from) } else { None };
            let next = memberships.iter().enumerate().find_map(|(m, it)| Some((m, it.room, held(it.place)?)));
            let Some((m, room, from)) = next.filter(|_| self.connections[at].outbox.len() <= bytes_max)
            else {
                return;
            };
            self.wait_for_snapshot(at, m, from);
            self.serve_first(room);
        }
    }

    /// Puts the snapshot into the member's outbox if it may start from it.
    fn offer_snapshot(&mut self, at: usize, room: u32, snapshot: &Snapshot) -> Offer {
        let bytes_max = self.unsent_bytes_max();
        let Self { rooms, connections, .. } = self;
        let local = local_mut(rooms, room);
        let connection = &mut connections[at];
        let Standing::Apart(memberships) = &mut connection.standing else {
            unreachable!("who waits is apart")
        };
        let m = place_of(memberships, room).expect("who waits is a member");
        let membership = &mut memberships[m];
        let Place::Waiting { from } = membership.place else { return Offer::Taken };
        if connection.outbox.len() > bytes_max {
            membership.place = Place::Held { from };
            return Offer::NoRoom;
        }
        let since = local.reader.head() - snapshot.position.min(local.reader.head());
        let fresh = match local.room.view.is_latest() {
            true => since <= 2 * snapshot.frames.len() as u64, // older messages are of no use to anybody
            false => since <= SNAPSHOT_REUSE_BYTES,
        };
        let in_window = snapshot.position >= local.reader.oldest();
        // One that has a place in the stream already must not be taken back in it.
        let ahead = from.is_none_or(|from| snapshot.position >= from);
        if !(fresh && in_window && ahead) {
            return Offer::TooOld;
        }
        let next_trade = snapshot.next_trade.0;
        match from {
            None => local.account.begins(snapshot.position),
            Some(mut position) if position >= local.reader.oldest() => {
                local.account.delivers(snapshot.position - position);
                while position < snapshot.position {
                    let span = local.reader.span(position, snapshot.position);
                    connection.outbox.end().extend_from_slice(span);
                    position += span.len() as u64;
                }
            }
            Some(position) => {
                if self.would_rather_leave(at, room) {
                    return Offer::Leaves;
                }
                self.tell_gap(at, m, (position, snapshot));
            }
        }
        let connection = &mut self.connections[at];
        connection.outbox.share(snapshot.frames.clone());
        let Standing::Apart(memberships) = &mut connection.standing else { unreachable!("it has just been") };
        let membership = &mut memberships[m];
        membership.next_trade = self.rooms[&room].has_trades().then_some(next_trade);
        membership.place = Place::At(snapshot.position);
        self.touch(at);
        Offer::Taken
    }

    /// A lapped member hears which trades it will never get.
    fn tell_gap(&mut self, at: usize, m: usize, (from, snapshot): (u64, &Snapshot)) {
        let Self { rooms, connections, counters, shared, .. } = self;
        let connection = &mut connections[at];
        let Standing::Apart(memberships) = &connection.standing else { unreachable!("who waits is apart") };
        let local = local_mut(rooms, memberships[m].room);
        counters.skipped_bytes.add(snapshot.position - from);
        local.account.skips(snapshot.position - from);
        let Some(expected) = memberships[m].next_trade.filter(|next| *next < snapshot.next_trade.0) else {
            return;
        };
        counters.gaps.add(1);
        let symbol = shared.venue.format(local.room.symbol).symbol;
        let gap = market::Gap {
            stream: Stream::Trade,
            from: expected,
            to: snapshot.next_trade.0 - 1,
            reason: GapReason::SlowConsumer,
        };
        ws::frame::append_frame(connection.outbox.end(), Opcode::Text, 150, |out| {
            market::gap(out, symbol, gap)
        });
    }
}

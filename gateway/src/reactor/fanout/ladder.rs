//! Those who are apart.
//!
//! The ladder of one that stays behind:
//! 1. inside the window: it catches up, nothing is lost;
//! 2. its position has left the window: it is lapped, gets a `gap` that names the trades it misses, and a fresh
//!    snapshot of the book; or it is closed with 4001, if it said so when it subscribed;
//! 3. its socket has taken nothing for the write timeout: it is closed with 4001.

use super::{Place, Standing, local_mut, trade_after};
use crate::reactor::Reactor;
use crate::rooms::frames;
use crate::ws::CloseCode;

/// What one who catches up was told of a room.
enum Told {
    All,
    /// Its socket is full.
    Part,
    /// Nothing more: it is in no room any more.
    Gone,
}

impl Reactor {
    /// The connection's socket is full: it stands by itself until it has caught up.
    pub(in crate::reactor) fn fall_behind(&mut self, at: usize) {
        self.step_out(at);
        let connection = &mut self.connections[at];
        if connection.full_since.is_none() {
            connection.full_since = Some(self.now);
            self.want_room(at, true);
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
        if is_sent {
            self.ask_again(at);
        }
        if is_sent && !self.connections[at].outbox.is_empty() {
            is_sent = self.flush_outbox(at); // what one who comes back is told next, or waited for
        }
        if !is_sent || !self.catch_up(at) {
            return self.fall_behind(at);
        }
        self.is_full_no_more(at);
        self.step_in(at);
    }

    pub(super) fn is_full_no_more(&mut self, at: usize) {
        if self.connections[at].full_since.take().is_some() {
            self.want_room(at, false);
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
            let Standing::Apart(memberships) = &self.connections[at].standing else { break };
            let Place::At(position) = memberships[m].place else { continue };
            let to = match &crowd {
                Some(cursors) => cursors[m],
                None => local_mut(&mut self.rooms, *room).reader.refresh(),
            };
            match self.catch_up_with(at, m, (position, to)) {
                Told::All => {}
                Told::Part => return false,
                Told::Gone => break,
            }
        }
        true
    }

    fn catch_up_with(&mut self, at: usize, m: usize, (mut position, to): (u64, u64)) -> Told {
        let Self { rooms, connections, counters, net, now, .. } = self;
        let connection = &mut connections[at];
        debug_assert!(!connection.outbox.is_torn(), "the caller has sent the rest of a torn frame");
        let Standing::Apart(memberships) = &mut connection.standing else {
            unreachable!("the caller has looked")
        };
        let membership = &mut memberships[m];
        let local = local_mut(rooms, membership.room);
        if position < local.reader.oldest() {
            counters.lapped.add(1);
            let room = membership.room;
            if self.would_rather_leave(at, room) {
                self.let_go(at);
                return Told::Gone;
            }
            self.wait_for_snapshot(at, m, Some(position));
            self.serve_first(room);
            // Whether a snapshot was at hand or comes later: what follows is in the outbox or not our turn yet.
            return Told::All;
        }
        while position < to {
            let span = local.reader.span(position, to);
            let sent = match net.send(connection.socket, span, local.reader.extent(position, to)) {
                Ok(sent) => sent,
                Err(_) => {
                    self.drop_connection(at);
                    return Told::Gone;
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
                connection.outbox.put_first(&span[sent..boundary]);
                return Told::Part;
            }
        }
        Told::All
    }

    /// Whether it said when it subscribed that it would rather leave than be lapped.
    pub(super) fn would_rather_leave(&mut self, at: usize, room: u32) -> bool {
        let shared = self.shared.clone();
        let room = &self.rooms[&room].room;
        let room = (room.symbol, room.view);
        self.session_mut(at).is_some_and(|session| session.leaves_if_lapped(room, &shared.venue))
    }

    /// Closes one that would rather leave.
    pub(super) fn let_go(&mut self, at: usize) {
        self.counters.closed_slow.add(1);
        self.close(at, Some(CloseCode::SLOW_CONSUMER), "lapped");
    }
}

//! What the members of a room were given, by double entry: in bytes of the room's stream, which is all that the room has.
//!
//! ```text
//! where members began + delivered + skipped  =  where those are who are there + where those were who have left
//! ```
//! The left side is kept while things are sent, the right side is counted from the places of the members. So
//! for each member, and for all of them together, what was published since it began is what was delivered to it, what it skipped because
//! it was lapped, and what waits for it. A connection that was forgotten in a list, or moved on without being sent
//! something, or sent something twice, makes the two sides differ.

use super::{Place, Standing};
use crate::reactor::Reactor;

/// The books of one room at one reactor. Sums of positions may go around; their differences do not mind.
#[derive(Default)]
pub(super) struct Account {
    begun: u64,
    delivered: u64,
    skipped: u64,
    left: u64,
    /// Counted in an audit: members, how many of them have a place, and the sum of the places.
    members: usize,
    placed: u64,
    places: u64,
}

impl Account {
    /// A member begins there.
    pub fn begins(&mut self, position: u64) {
        self.begun = self.begun.wrapping_add(position);
    }

    /// Members were handed that many bytes, all together.
    pub fn delivers(&mut self, bytes: u64) {
        self.delivered = self.delivered.wrapping_add(bytes);
    }

    /// A member goes on after bytes that it will never get.
    pub fn skips(&mut self, bytes: u64) {
        self.skipped = self.skipped.wrapping_add(bytes);
    }

    /// A member that was there is gone.
    pub fn leaves(&mut self, position: u64) {
        self.left = self.left.wrapping_add(position);
    }

    fn finds(&mut self, members: u64, position: u64) {
        self.members += members as usize;
        self.placed += members;
        self.places = self.places.wrapping_add(members.wrapping_mul(position));
    }

    fn adds_up(&self, count: usize) -> bool {
        let given = self.begun.wrapping_add(self.delivered).wrapping_add(self.skipped);
        self.members == count && given == self.places.wrapping_add(self.left)
    }
}

impl Place {
    /// Where it stands in the stream, if it has begun.
    pub(super) fn position(self) -> Option<u64> {
        match self {
            Place::At(position) => Some(position),
            Place::Waiting { from } | Place::Held { from } => from,
        }
    }
}

impl Reactor {
    /// Compares what members were given with where they are, in every room. Once a second, with the sweep.
    pub(in crate::reactor) fn audit(&mut self) {
        let Self { rooms, crowds, connections, counters, .. } = self;
        for local in rooms.values_mut() {
            (local.account.members, local.account.placed, local.account.places) = (0, 0, 0);
        }
        for crowd in crowds.iter() {
            for stand in &crowd.stands {
                let local = super::local_mut(rooms, stand.room);
                local.account.finds(crowd.members.len() as u64, stand.cursor);
            }
        }
        for (_, connection) in connections.iter() {
            let Standing::Apart(memberships) = &connection.standing else { continue };
            for membership in memberships {
                let account = &mut super::local_mut(rooms, membership.room).account;
                match membership.place.position() {
                    Some(position) => account.finds(1, position),
                    None => account.members += 1,
                }
            }
        }
        let (mut waiting, mut held) = (0u64, 0);
        for local in rooms.values() {
            let account = &local.account;
            held += local.reader.head() - local.reader.oldest();
            waiting = waiting
                .wrapping_add(local.reader.head().wrapping_mul(account.placed).wrapping_sub(account.places));
            if account.adds_up(local.count) {
                continue;
            }
            if counters.accounts_wrong.get() == 0 {
                let (room, view) = (local.room.symbol.0, local.room.view);
                tracing::error!(room, ?view, "what members were given does not add up; counted from now on");
            }
            counters.accounts_wrong.add(1);
        }
        counters.waiting_bytes.set(waiting);
        counters.held_bytes.set(held);
    }
}

//! Crowds: connections that are in the same rooms and stand at the same places there.
//!
//! All of a crowd get the same bytes at the same time, so a crowd has one dense array of sockets, and a connection in step
//! is nothing but a spot in it. What several rooms of a crowd have new goes out together: one write for each connection.
//!
//! A crowd is no larger than [`MEMBERS_MAX`]; more connections in the same rooms are more crowds, which take their turns one after
//! the other, each with what there is when its turn comes. So the last of a thousand does not wait for all that the first
//! was sent, and then for all that came meanwhile.

use slab::Slab;
use std::collections::{HashMap, VecDeque};
use std::os::fd::RawFd;
use std::rc::Rc;

/// Sends take some 5 µs each, so a crowd takes about a millisecond.
const MEMBERS_MAX: usize = 256;

/// A connection's place in a crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    pub crowd: u32,
    pub index: u32,
}

/// Where a crowd is in one of its rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    pub room: u32,
    pub cursor: u64,
    /// The next trade from there on, if the room has trades and it is known.
    pub next_trade: Option<u64>,
}

/// Connections in step.
pub struct Crowd {
    /// In order of the rooms.
    pub stands: Vec<Stand>,
    /// For each of them, where the room's list of crowds has this one.
    seats: Vec<u32>,
    rooms: Rc<[u32]>,
    /// Connections, and in the same order their sockets.
    pub members: Vec<u32>,
    pub sockets: Vec<RawFd>,
    /// Those of its rooms that have news.
    news: Vec<u32>,
}

/// All crowds of a reactor.
#[derive(Default)]
pub struct Crowds {
    crowds: Slab<Crowd>,
    /// By their rooms, in order: the crowds that can take somebody in.
    open: HashMap<Rc<[u32]>, Vec<u32>>,
    /// By room: the crowds that are in it.
    of_room: HashMap<u32, Vec<u32>>,
    /// Crowds with news.
    with_news: VecDeque<u32>,
}

impl Crowd {
    pub fn stand_mut(&mut self, room: u32) -> &mut Stand {
        let at = self.stands.binary_search_by_key(&room, |stand| stand.room);
        &mut self.stands[at.expect("a crowd is asked of its own rooms")]
    }
}

impl Crowds {
    /// A crowd in these rooms, which are in order, that can take one more in.
    pub fn open_to(&self, rooms: &[u32]) -> Option<&Crowd> {
        let key = self.open.get(rooms)?.last()?;
        Some(&self.crowds[*key as usize])
    }

    /// Takes a connection into the crowd that [`Crowds::open_to`] found, or into a new one that stands where it does.
    pub fn enter(&mut self, stands: Vec<Stand>, member: u32, socket: RawFd) -> Spot {
        let rooms: Rc<[u32]> = stands.iter().map(|stand| stand.room).collect();
        debug_assert!(rooms.is_sorted() && !rooms.is_empty(), "a crowd is known by its rooms in order");
        let key = match self.open.get(&rooms).and_then(|open| open.last()) {
            Some(key) => *key,
            None => self.make(stands, rooms.clone()),
        };
        let crowd = &mut self.crowds[key as usize];
        crowd.members.push(member);
        crowd.sockets.push(socket);
        let spot = Spot { crowd: key, index: crowd.members.len() as u32 - 1 };
        if crowd.members.len() == MEMBERS_MAX {
            self.close(key);
        }
        spot
    }

    /// Takes a connection out. The crowd's last member takes its spot, and is returned.
    pub fn leave(&mut self, spot: Spot) -> Option<u32> {
        let crowd = &mut self.crowds[spot.crowd as usize];
        let was_full = crowd.members.len() == MEMBERS_MAX;
        crowd.members.swap_remove(spot.index as usize);
        crowd.sockets.swap_remove(spot.index as usize);
        let moved = crowd.members.get(spot.index as usize).copied();
        if crowd.members.is_empty() {
            self.end(spot.crowd);
        } else if was_full {
            let rooms = crowd.rooms.clone();
            self.open.entry(rooms).or_default().push(spot.crowd);
        }
        moved
    }

    pub fn iter(&self) -> impl Iterator<Item = &Crowd> {
        self.crowds.iter().map(|(_, crowd)| crowd)
    }

    pub fn get(&self, crowd: u32) -> Option<&Crowd> {
        self.crowds.get(crowd as usize)
    }

    pub fn get_mut(&mut self, crowd: u32) -> Option<&mut Crowd> {
        self.crowds.get_mut(crowd as usize)
    }

    /// Notes that a room has news. Once for all that it has, until they are taken.
    pub fn has_news(&mut self, room: u32) {
        for key in self.of_room.get(&room).into_iter().flatten() {
            let news = &mut self.crowds[*key as usize].news;
            if news.is_empty() {
                self.with_news.push_back(*key);
            }
            news.push(room);
        }
    }

    /// Puts back what was taken with a crowd and not sent; the others come first.
    pub fn put_back(&mut self, crowd: u32, rooms: &[u32]) {
        if !rooms.is_empty() {
            self.crowds[crowd as usize].news.extend_from_slice(rooms);
            self.with_news.push_back(crowd);
        }
    }

    /// Whether there may be a crowd whose news were not taken yet.
    pub fn have_news(&self) -> bool {
        !self.with_news.is_empty()
    }

    /// Takes the next crowd with news, and puts the rooms that have them into `rooms`.
    pub fn take_news(&mut self, rooms: &mut Vec<u32>) -> Option<u32> {
        rooms.clear();
        loop {
            let key = self.with_news.pop_front()?;
            // It may have ended since, and its key may be another's, which is noted itself if it has news.
            if let Some(crowd) = self.crowds.get_mut(key as usize)
                && !crowd.news.is_empty()
            {
                rooms.append(&mut crowd.news);
                return Some(key);
            }
        }
    }

    fn make(&mut self, stands: Vec<Stand>, rooms: Rc<[u32]>) -> u32 {
        let entry = self.crowds.vacant_entry();
        let key = entry.key() as u32;
        let mut seats = Vec::with_capacity(rooms.len());
        for room in rooms.iter() {
            let crowds = self.of_room.entry(*room).or_default();
            seats.push(crowds.len() as u32);
            crowds.push(key);
        }
        let (members, sockets) = (Vec::new(), Vec::new());
        entry.insert(Crowd { stands, seats, rooms: rooms.clone(), members, sockets, news: Vec::new() });
        self.open.entry(rooms).or_default().push(key);
        key
    }

    /// It takes nobody in any more.
    fn close(&mut self, key: u32) {
        let rooms = &self.crowds[key as usize].rooms;
        let Some(open) = self.open.get_mut(rooms) else { return };
        open.retain(|other| *other != key);
        if open.is_empty() {
            self.open.remove(rooms);
        }
    }

    fn end(&mut self, key: u32) {
        self.close(key);
        let Crowd { rooms, seats, .. } = self.crowds.remove(key as usize);
        for (room, seat) in rooms.iter().zip(seats) {
            let crowds = self.of_room.get_mut(room).expect("a crowd is in the lists of its rooms");
            crowds.swap_remove(seat as usize);
            match crowds.get(seat as usize) {
                Some(moved) => {
                    let moved = &mut self.crowds[*moved as usize];
                    let at = moved.rooms.binary_search(room);
                    moved.seats[at.expect("it is in the room's list")] = seat;
                }
                None if crowds.is_empty() => drop(self.of_room.remove(room)),
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Against a plain list of who is where: every room's news reach each of its members once, whoever came and went.
        #[test]
        fn news_of_a_room_reach_each_of_its_members_once(
            steps in prop::collection::vec((0u32..700, prop::collection::btree_set(0u32..4, 0..3), 0u32..4), 1..1200),
        ) {
            let mut crowds = Crowds::default();
            let mut plain: HashMap<u32, (BTreeSet<u32>, Spot)> = HashMap::new();
            for (step, (member, rooms, room)) in steps.into_iter().enumerate() {
                if let Some((_, spot)) = plain.remove(&member)
                    && let Some(moved) = crowds.leave(spot)
                {
                    plain.get_mut(&moved).unwrap().1 = spot;
                }
                if !rooms.is_empty() {
                    let stand = |room: &u32| Stand { room: *room, cursor: 7, next_trade: None };
                    let spot = crowds.enter(rooms.iter().map(stand).collect(), member, member as RawFd);
                    plain.insert(member, (rooms, spot));
                }
                if !step.is_multiple_of(16) {
                    continue;
                }
                crowds.has_news(room);
                let (mut reached, mut news, mut put_back) = (Vec::new(), Vec::new(), Vec::new());
                while let Some(key) = crowds.take_news(&mut news) {
                    let crowd = crowds.get(key).unwrap();
                    // Every third crowd has more news than go at once.
                    if key % 3 == 0 && !put_back.contains(&key) {
                        put_back.push(key);
                        crowds.put_back(key, &news);
                        continue;
                    }
                    prop_assert_eq!(&news, &[room]);
                    prop_assert!(crowd.members.len() <= MEMBERS_MAX);
                    for (index, member) in crowd.members.iter().enumerate() {
                        prop_assert_eq!(crowd.sockets[index], *member as RawFd);
                        prop_assert_eq!(plain[member].1, Spot { crowd: key, index: index as u32 });
                        reached.push(*member);
                    }
                }
                reached.sort_unstable();
                let mut wanted: Vec<u32> = plain
                    .iter()
                    .filter(|(_, (rooms, _))| rooms.contains(&room))
                    .map(|(member, _)| *member)
                    .collect();
                wanted.sort_unstable();
                prop_assert_eq!(reached, wanted);
            }
        }
    }
}

//! Crowds: connections that are in the same rooms and stand where those rooms are.
//!
//! All of a crowd get the same bytes at the same time, so a crowd has one dense array of sockets, and a connection in step
//! is nothing but a place in it. What several rooms of a crowd have new goes out together: one write for each connection.

use slab::Slab;
use std::collections::HashMap;
use std::os::fd::RawFd;
use std::rc::Rc;

/// A connection's place in a crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    pub crowd: u32,
    pub index: u32,
}

/// Connections in step.
pub struct Crowd {
    /// Its rooms, in order.
    pub rooms: Rc<[u32]>,
    /// For each of them, where the room's list of crowds has this one.
    seats: Vec<u32>,
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
    /// By their rooms, in order.
    by_rooms: HashMap<Rc<[u32]>, u32>,
    /// By room: the crowds that are in it.
    of_room: HashMap<u32, Vec<u32>>,
    /// Crowds with news.
    with_news: Vec<u32>,
}

impl Crowds {
    /// Takes a connection into the crowd of these rooms, which are in order.
    pub fn enter(&mut self, rooms: &[u32], member: u32, socket: RawFd) -> Spot {
        debug_assert!(rooms.is_sorted() && !rooms.is_empty(), "a crowd is known by its rooms in order");
        let key = match self.by_rooms.get(rooms) {
            Some(key) => *key,
            None => self.make(rooms.into()),
        };
        let crowd = &mut self.crowds[key as usize];
        crowd.members.push(member);
        crowd.sockets.push(socket);
        Spot { crowd: key, index: crowd.members.len() as u32 - 1 }
    }

    /// Takes a connection out. The crowd's last member takes its spot, and is returned.
    pub fn leave(&mut self, spot: Spot) -> Option<u32> {
        let crowd = &mut self.crowds[spot.crowd as usize];
        crowd.members.swap_remove(spot.index as usize);
        crowd.sockets.swap_remove(spot.index as usize);
        let moved = crowd.members.get(spot.index as usize).copied();
        if crowd.members.is_empty() {
            self.end(spot.crowd);
        }
        moved
    }

    pub fn get(&self, crowd: u32) -> Option<&Crowd> {
        self.crowds.get(crowd as usize)
    }

    /// Notes that a room has news. Once for all that it has, until they are taken.
    pub fn has_news(&mut self, room: u32) {
        for key in self.of_room.get(&room).into_iter().flatten() {
            let news = &mut self.crowds[*key as usize].news;
            if news.is_empty() {
                self.with_news.push(*key);
            }
            news.push(room);
        }
    }

    /// Takes the next crowd with news, and puts the rooms that have them into `rooms`.
    pub fn take_news(&mut self, rooms: &mut Vec<u32>) -> Option<u32> {
        rooms.clear();
        loop {
            let key = self.with_news.pop()?;
            // It may have ended since, and its key may be another's, which is noted itself if it has news.
            if let Some(crowd) = self.crowds.get_mut(key as usize)
                && !crowd.news.is_empty()
            {
                rooms.append(&mut crowd.news);
                return Some(key);
            }
        }
    }

    fn make(&mut self, rooms: Rc<[u32]>) -> u32 {
        let entry = self.crowds.vacant_entry();
        let key = entry.key() as u32;
        let mut seats = Vec::with_capacity(rooms.len());
        for room in rooms.iter() {
            let crowds = self.of_room.entry(*room).or_default();
            seats.push(crowds.len() as u32);
            crowds.push(key);
        }
        let (members, sockets) = (Vec::new(), Vec::new());
        entry.insert(Crowd { rooms: rooms.clone(), seats, members, sockets, news: Vec::new() });
        self.by_rooms.insert(rooms, key);
        key
    }

    fn end(&mut self, key: u32) {
        let Crowd { rooms, seats, .. } = self.crowds.remove(key as usize);
        self.by_rooms.remove(&rooms);
        for (room, seat) in rooms.iter().zip(seats) {
            let crowds = self.of_room.get_mut(room).expect("a crowd is in the lists of its rooms");
            crowds.swap_remove(seat as usize);
            match crowds.get(seat as usize) {
                Some(moved) => {
                    let moved = &mut self.crowds[*moved as usize];
                    let at = moved.rooms.iter().position(|its| its == room);
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
            steps in prop::collection::vec((0u32..20, prop::collection::btree_set(0u32..6, 0..4), 0u32..6), 1..200),
        ) {
            let mut crowds = Crowds::default();
            let mut plain: HashMap<u32, (BTreeSet<u32>, Spot)> = HashMap::new();
            for (member, rooms, room) in steps {
                if let Some((_, spot)) = plain.remove(&member)
                    && let Some(moved) = crowds.leave(spot)
                {
                    plain.get_mut(&moved).unwrap().1 = spot;
                }
                if !rooms.is_empty() {
                    let list: Vec<u32> = rooms.iter().copied().collect();
                    let spot = crowds.enter(&list, member, member as RawFd);
                    plain.insert(member, (rooms, spot));
                }
                crowds.has_news(room);
                let (mut reached, mut news) = (Vec::new(), Vec::new());
                while let Some(key) = crowds.take_news(&mut news) {
                    let crowd = crowds.get(key).unwrap();
                    prop_assert_eq!(&news, &[room]);
                    for (index, member) in crowd.members.iter().enumerate() {
                        prop_assert_eq!(crowd.sockets[index], *member as RawFd);
                        prop_assert_eq!(plain[member].1, Spot { crowd: key, index: index as u32 });
                        reached.push(*member);
                    }
                }
                reached.sort_unstable();
                let mut wanted: Vec<u32> =
                    plain.iter().filter(|(_, (rooms, _))| rooms.contains(&room)).map(|(member, _)| *member).collect();
                wanted.sort_unstable();
                prop_assert_eq!(reached, wanted);
            }
        }
    }
}

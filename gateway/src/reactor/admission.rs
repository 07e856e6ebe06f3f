//! Who may come in, and which reactor takes it.
//!
//! The kernel deals new connections out among the listeners without knowing who has how many. A reactor that clearly has
//! more than another hands what it accepted over, by that reactor's mail.

use super::{Limits, Mail};
use crate::session::rate::Bucket;
use crate::ws::handshake::{Refusal, Status};
use dashmap::DashMap;
use engine_core::units::Timestamp;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

/// Connections that a reactor may have more than another before it hands one over; and, in a large crowd, one in so many. A
/// hand-over costs a wake-up, and a few connections more or less cost nothing. Picked by eye.
const LEAD_MAX: usize = 16;
const LEAD_PART: usize = 32;

/// What all reactors know of who is here.
pub struct Admission {
    addresses: DashMap<IpAddr, Address>,
    /// By reactor.
    seats: Vec<Seat>,
    /// Set from outside: nobody else may come in.
    pub memory_is_short: AtomicBool,
}

#[derive(Default)]
struct Address {
    connections: u32,
    rate: Bucket,
}

struct Seat {
    mail: mpsc::Sender<Mail>,
    /// Connections, those on their way to it included.
    taken: AtomicUsize,
}

/// A connection on its way to its reactor. Its place is taken.
#[derive(Debug)]
pub struct Arrival {
    pub socket: OwnedFd,
    pub address: IpAddr,
}

impl Admission {
    /// For reactors with these mailboxes.
    pub fn new(mail: Vec<mpsc::Sender<Mail>>) -> Self {
        let seats = mail.into_iter().map(|mail| Seat { mail, taken: AtomicUsize::new(0) }).collect();
        Self { addresses: DashMap::new(), seats, memory_is_short: AtomicBool::new(false) }
    }

    /// A place for one that reactor `here` has accepted, at the reactor that is to have it; or why there is none.
    pub fn take_place(
        &self,
        here: usize,
        address: IpAddr,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<usize, Refusal> {
        let to = self.fittest(here, limits.connections_max_per_reactor);
        let taken = &self.seats[to].taken;
        // Taken, and given back if that was one too many: other reactors take places at the same time.
        let entered = match taken.fetch_add(1, Ordering::Relaxed) < limits.connections_max_per_reactor {
            true => self.enter(address, limits, now),
            false => {
                let reason = "the server has as many connections as it may have";
                Err(Refusal::new(Status::Unavailable, reason))
            }
        };
        if entered.is_err() {
            taken.fetch_sub(1, Ordering::Relaxed);
        }
        entered.map(|()| to)
    }

    /// Counts one more connection of the address, if it may have one.
    fn enter(&self, address: IpAddr, limits: &Limits, now: Timestamp) -> Result<(), Refusal> {
        if self.memory_is_short.load(Ordering::Relaxed) {
            return Err(Refusal::new(Status::Unavailable, "the server has no memory for more connections"));
        }
        let mut of_address = self.addresses.entry(address).or_default();
        if of_address.connections >= limits.connections_max_per_address {
            let reason = "this address has as many connections as it may have";
            return Err(Refusal::new(Status::TooManyRequests, reason));
        }
        if of_address.rate.take(limits.connects_per_second, limits.connects_burst, now).is_some() {
            return Err(Refusal::new(Status::TooManyRequests, "this address connects too often"));
        }
        of_address.connections += 1;
        Ok(())
    }

    /// As [`Admission::take_place`], of one that is in whatever the limits are.
    pub fn note(&self, reactor: usize, address: IpAddr) {
        self.addresses.entry(address).or_default().connections += 1;
        self.seats[reactor].taken.fetch_add(1, Ordering::Relaxed);
    }

    /// One of the reactor's connections is gone.
    pub fn give_back(&self, reactor: usize, address: IpAddr) {
        self.seats[reactor].taken.fetch_sub(1, Ordering::Relaxed);
        if let Some(mut of_address) = self.addresses.get_mut(&address) {
            of_address.connections -= 1;
        }
    }

    /// Hands a connection over. It is closed if the reactor has ended.
    pub fn send(&self, reactor: usize, arrival: Arrival) {
        let _ = self.seats[reactor].mail.send(Mail::Arrival(arrival));
    }

    /// Forgets addresses that have no connection and have made none for long enough. Now and then.
    pub fn forget_quiet_addresses(&self, limits: &Limits, now: Timestamp) {
        self.addresses.retain(|_, address| {
            let is_fresh = address.rate.is_full(limits.connects_per_second, limits.connects_burst, now);
            address.connections > 0 || !is_fresh
        });
    }

    /// The reactor with the fewest connections; or `here`, if that has hardly more and is not full.
    fn fittest(&self, here: usize, most: usize) -> usize {
        let taken = |reactor: usize| self.seats[reactor].taken.load(Ordering::Relaxed);
        let least = (0..self.seats.len()).min_by_key(|reactor| taken(*reactor)).unwrap_or(here);
        let lead = taken(here).saturating_sub(taken(least));
        let is_worse = lead > LEAD_MAX.max(taken(least) / LEAD_PART) || taken(here) >= most;
        if is_worse { least } else { here }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use serde_json::json;
    use std::net::Ipv4Addr;

    fn limits(keys: serde_json::Value) -> Limits {
        Config::load(None, &json!({"limits": keys}), &json!({})).expect("these are allowed").reactor_limits(4)
    }

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(127, 0, 0, last).into()
    }

    /// All are accepted by the first of four.
    fn admission() -> (Admission, Vec<mpsc::Receiver<Mail>>) {
        let (senders, receivers) = (0..4).map(|_| mpsc::channel()).unzip();
        (Admission::new(senders), receivers)
    }

    #[test]
    fn connections_are_spread_whoever_accepts_them() {
        let (admission, _mail) = admission();
        let limits = limits(json!({}));
        let mut taken = [0usize; 4];
        for _ in 0..4000 {
            taken
                [admission.take_place(0, address(1), &limits, Timestamp(1 << 50)).expect("there is room")] +=
                1;
        }
        let (least, most) = (taken.iter().min().unwrap(), taken.iter().max().unwrap());
        assert!(most - least <= 33, "{taken:?}");
        // Where one has lost all of its own, newcomers go there.
        (0..taken[2]).for_each(|_| admission.give_back(2, address(1)));
        assert_eq!(admission.take_place(0, address(1), &limits, Timestamp(1 << 50)), Ok(2));
    }

    #[test]
    fn there_are_no_more_than_there_may_be() {
        let (admission, _mail) = admission();
        let now = Timestamp(1 << 50);
        let limits = limits(json!({"connections_max": 40, "connections_max_per_address": 25}));
        let enter =
            |last| admission.take_place(0, address(last), &limits, now).map_err(|refusal| refusal.status);
        assert!((0..25).all(|_| enter(1).is_ok()));
        assert_eq!(enter(1), Err(Status::TooManyRequests));
        while enter(2).is_ok() {}
        assert_eq!(enter(3), Err(Status::Unavailable));
        admission.give_back(0, address(1));
        assert!(admission.take_place(0, address(3), &limits, now).is_ok());
    }

    #[test]
    fn no_two_take_the_last_place() {
        let (admission, _mail) = admission();
        let limits = limits(json!({"connections_max": 40}));
        let enter =
            |here| admission.take_place(here, address(here as u8), &limits, Timestamp(1 << 50)).is_ok();
        let entered: usize = std::thread::scope(|scope| {
            let many = move |here| (0..1000).filter(|_| enter(here)).count();
            let doors: Vec<_> = (0..4).map(|here| scope.spawn(move || many(here))).collect();
            doors.into_iter().map(|door| door.join().expect("it does not panic")).sum()
        });
        let taken: Vec<_> = admission.seats.iter().map(|seat| seat.taken.load(Ordering::Relaxed)).collect();
        assert_eq!((taken.iter().sum::<usize>(), taken.iter().max()), (entered, Some(&10)), "{taken:?}");
    }

    #[test]
    fn an_address_that_connects_too_often_waits() {
        let (admission, _mail) = admission();
        let limits = limits(json!({"connects_per_second": 10, "connects_burst": 3}));
        let start = 1 << 50;
        let mut enter = |after_ms: u64| {
            let place = admission.take_place(0, address(1), &limits, Timestamp(start + after_ms * 1000));
            place.inspect(|reactor| admission.give_back(*reactor, address(1))).is_ok()
        };
        assert_eq!([0, 0, 0, 0, 99, 100, 100].map(&mut enter), [true, true, true, false, false, true, false]);
        admission.forget_quiet_addresses(&limits, Timestamp(start + 200_000));
        assert_eq!(admission.addresses.len(), 1, "it would come back with a full allowance");
        admission.forget_quiet_addresses(&limits, Timestamp(start + 500_000));
        assert_eq!(admission.addresses.len(), 0);
    }

    #[test]
    fn without_memory_nobody_comes_in() {
        let (admission, _mail) = admission();
        admission.memory_is_short.store(true, Ordering::Relaxed);
        let refused = admission.take_place(0, address(1), &limits(json!({})), Timestamp(1 << 50));
        assert_eq!(refused.map_err(|refusal| refusal.status), Err(Status::Unavailable));
        assert_eq!(admission.addresses.len(), 0);
    }
}

//! Trailing stops of one side that have seen the same best price.
//!
//! A better price makes one crowd of all that had not seen it: the smaller ones move into the largest, so a stop moves
//! log n times in its life at most, however often the market makes a new extreme. In a crowd the stop with the smallest
//! distance is the first to be reached.

use crate::units::{OrderKey, Price, Side};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A crowd's name, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CrowdId(u64);

/// A stop in a crowd: its distance, the number and the key of its order.
pub type Member = (Price, u64, OrderKey);

/// The best price a stop has seen. What it begins with need be no price: a buyer's trigger may be below its distance.
pub type Best = i128;

/// The crowds of one side. Who asks says always the same side.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Crowds {
    crowds: BTreeMap<CrowdId, Crowd>,
    /// By the rank of the best price seen: the larger, the better for those who follow.
    by_best: BTreeSet<(i128, CrowdId)>,
    /// By the rank of the nearest trigger.
    by_trigger: BTreeSet<(i128, CrowdId)>,
    next: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Crowd {
    best: Best,
    members: BTreeSet<Member>,
}

impl Crowds {
    /// Adds a stop that has seen `best`.
    pub fn join(&mut self, side: Side, best: Best, member: Member) -> CrowdId {
        let seen = rank(side.opposite(), best);
        let same = self.by_best.range((seen, CrowdId(0))..).next();
        let id = match same.filter(|(best, _)| *best == seen) {
            Some((_, id)) => *id,
            None => self.open(),
        };
        let mut crowd = self.take(side, id).unwrap_or(Crowd { best, members: BTreeSet::new() });
        crowd.members.insert(member);
        self.put(side, id, crowd);
        id
    }

    pub fn leave(&mut self, side: Side, id: CrowdId, member: Member) {
        let mut crowd = self.take(side, id).expect("a member's crowd is there");
        assert!(crowd.members.remove(&member), "{member:?} is in its crowd");
        self.put(side, id, crowd);
    }

    /// Makes one crowd of those that have not seen so good a price. `moved` hears who is in another crowd now.
    pub fn follow(&mut self, side: Side, price: Price, mut moved: impl FnMut(Member, CrowdId)) {
        let seen = rank(side.opposite(), price.0.into());
        let mut followers: Option<(CrowdId, Crowd)> = None;
        while let Some(&(best, id)) = self.by_best.first()
            && best < seen
        {
            let mut one = (id, self.take(side, id).expect("it has a place among the best"));
            if let Some(mut other) = followers.take() {
                if one.1.members.len() < other.1.members.len() {
                    std::mem::swap(&mut one, &mut other);
                }
                other.1.members.iter().for_each(|member| moved(*member, one.0));
                one.1.members.extend(other.1.members);
            }
            followers = Some(one);
        }
        if let Some((id, crowd)) = followers {
            self.put(side, id, Crowd { best: price.0.into(), ..crowd });
        }
    }

    /// Takes out a stop whose trigger a trade at `price` reaches.
    pub fn pop_reached(&mut self, side: Side, price: Price) -> Option<Member> {
        let &(_, id) =
            self.by_trigger.first().filter(|(trigger, _)| *trigger <= rank(side, price.0.into()))?;
        let mut crowd = self.take(side, id)?;
        let member = crowd.members.pop_first();
        self.put(side, id, crowd);
        member
    }

    fn open(&mut self) -> CrowdId {
        self.next += 1;
        CrowdId(self.next)
    }

    fn take(&mut self, side: Side, id: CrowdId) -> Option<Crowd> {
        let crowd = self.crowds.remove(&id)?;
        self.by_best.remove(&(rank(side.opposite(), crowd.best), id));
        self.by_trigger.remove(&(crowd.trigger(side), id));
        Some(crowd)
    }

    fn put(&mut self, side: Side, id: CrowdId, crowd: Crowd) {
        if !crowd.members.is_empty() {
            self.by_best.insert((rank(side.opposite(), crowd.best), id));
            self.by_trigger.insert((crowd.trigger(side), id));
            self.crowds.insert(id, crowd);
        }
    }
}

impl Crowd {
    /// The rank that a trade must have to reach the nearest of them.
    fn trigger(&self, side: Side) -> i128 {
        let (distance, ..) = *self.members.first().expect("a crowd that is kept has members");
        rank(side, self.best) + i128::from(distance.0)
    }
}

/// What a stop has seen when it comes.
pub fn best_before(side: Side, trigger: Price, distance: Price) -> Best {
    match side {
        Side::Buy => i128::from(trigger.0) - i128::from(distance.0),
        Side::Sell => i128::from(trigger.0) + i128::from(distance.0),
    }
}

/// Prices of a side so that larger is nearer to setting off its stops.
fn rank(side: Side, price: i128) -> i128 {
    match side {
        Side::Buy => price,
        Side::Sell => -price,
    }
}

//! What icebergs do not show.
//!
//! An order of 32 bytes has no room for hidden lots, and hardly any order has some. So those that do have a record
//! beside the book, and the field in which other orders name their level names the record, which knows the level. A
//! record lives as long as there is something hidden: an iceberg that shows its last lots is an order like any other.

use super::slab::{Node, Slab, Slot};
use super::{Level, Order};
use crate::units::Quantity;

/// The hidden part of an order.
#[derive(Clone, Copy, Debug)]
pub struct Iceberg {
    /// Never zero.
    pub hidden: Quantity,
    /// Lots it shows at a time.
    pub display: Quantity,
    /// Where the order rests; in a vacant slot, the next vacant one.
    pub level: Slot<Level>,
}

/// All records; one for each order with hidden lots.
pub type Icebergs = Slab<Iceberg>;

/// Names an order's level, or, with the highest bit set, its iceberg's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home(u32);

/// A book has fewer levels than this on both sides together, and fewer icebergs.
pub const ICEBERG: u32 = 1 << 31;

impl Home {
    /// The book opens no level whose number has the highest bit.
    pub fn level(level: Slot<Level>) -> Home {
        debug_assert!(level.number < ICEBERG);
        Home(level.number)
    }

    pub fn iceberg(iceberg: Slot<Iceberg>) -> Home {
        assert!(iceberg.number < ICEBERG, "a book has at most 2^31 icebergs");
        Home(iceberg.number | ICEBERG)
    }

    pub fn is_iceberg(self) -> bool {
        self.0 >= ICEBERG
    }

    /// The record, if the order hides something.
    pub fn record(self) -> Option<Slot<Iceberg>> {
        self.is_iceberg().then(|| Slot::new(self.0 & !ICEBERG))
    }
}

impl Order {
    /// The level it rests on.
    pub fn level(&self, icebergs: &Icebergs) -> Slot<Level> {
        match self.home.record() {
            None => Slot::new(self.home.0),
            Some(record) => icebergs[record].level,
        }
    }

    /// Lots it does not show.
    pub fn hidden(&self, icebergs: &Icebergs) -> Quantity {
        match self.home.record() {
            None => Quantity::ZERO,
            Some(record) => icebergs[record].hidden,
        }
    }

    /// All it has.
    pub fn left(&self, icebergs: &Icebergs) -> Quantity {
        Quantity(self.shown.0 + self.hidden(icebergs).0)
    }

    /// What an iceberg shows next.
    pub fn next_shown(&self, icebergs: &Icebergs) -> Quantity {
        match self.home.record() {
            None => Quantity::ZERO,
            Some(record) => icebergs[record].display.min(icebergs[record].hidden),
        }
    }

    /// Takes `lots` away from what an iceberg hides.
    pub fn unhide(&mut self, lots: Quantity, icebergs: &mut Icebergs) {
        let Some(record) = self.home.record() else { return };
        icebergs[record].hidden.0 -= lots.0;
        if icebergs[record].hidden.is_zero() {
            self.home = Home::level(icebergs.release(record).level);
        }
    }
}

/// A sum of hidden lots. It stays below 2^96 and takes twelve bytes: sixteen would make a level larger than it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hidden([u32; 3]);

impl Hidden {
    pub fn lots(self) -> u128 {
        let [low, middle, high] = self.0.map(u128::from);
        low | middle << 32 | high << 64
    }

    pub fn add(&mut self, lots: Quantity) {
        self.set(self.lots() + u128::from(lots.0));
    }

    pub fn subtract(&mut self, lots: Quantity) {
        self.set(self.lots() - u128::from(lots.0));
    }

    fn set(&mut self, lots: u128) {
        self.0 = [lots as u32, (lots >> 32) as u32, (lots >> 64) as u32];
    }
}

impl Node for Iceberg {
    fn vacant_link(&mut self) -> &mut u32 {
        &mut self.level.number
    }
}

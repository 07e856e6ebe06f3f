//! The bugs that [`crate::planted`] plants: small, plausible, and each of a kind that would cost somebody money.

/// A change of the source. `old` must be there exactly once: a plant that no longer fits is to be planted anew, not
/// forgotten.
pub struct Plant {
    pub name: &'static str,
    /// Below `engine/core/src`.
    pub file: &'static str,
    pub old: &'static str,
    pub new: &'static str,
}

pub const PLANTS: [Plant; 5] = [
    // A buyer pays its limit even where the seller asked for less.
    Plant {
        name: "lost refund",
        file: "sequencer/mod.rs",
        old: "Side::Buy => (notional, instrument.base, instrument.base_amount(quantity)),",
        new: "Side::Buy => (held, instrument.base, instrument.base_amount(quantity)),",
    },
    // What a trade brings in is booked twice.
    Plant {
        name: "double settle",
        file: "sequencer/mod.rs",
        old: "let receiving = owner.balances.credit(received_asset, received);",
        new: "owner.balances.credit(received_asset, received);
        let receiving = owner.balances.credit(received_asset, received);",
    },
    // Who comes last trades first. Every link is right, so the book finds nothing wrong with itself.
    Plant {
        name: "wrong queue place",
        file: "book/fast.rs",
        old: "            previous: tail,
            next: Slot::NONE,
        });
        self.index.insert(order.key, slot);

        let level = &mut self.levels[level];
        level.total += u128::from(left.0);
        level.tail = slot;
        match tail.is_none() {
            true => level.head = slot,
            false => self.orders[tail].next = slot,
        }",
        new: "            previous: Slot::NONE,
            next: self.levels[level].head,
        });
        self.index.insert(order.key, slot);

        let level = &mut self.levels[level];
        level.total += u128::from(left.0);
        let head = std::mem::replace(&mut level.head, slot);
        match tail.is_none() {
            true => level.tail = slot,
            false => self.orders[head].previous = slot,
        }",
    },
    // A level stays in the book when its last order is cancelled.
    Plant {
        name: "phantom level",
        file: "book/fast.rs",
        old: "            self.ladders[side as usize].remove(price);
            self.levels.release(order.level);",
        new: "",
    },
    // A message that comes again is applied again.
    Plant {
        name: "link duplicate applied",
        file: "link.rs",
        old: "if number <= *mark {
            return Ok(false);",
        new: "if number <= *mark {
            return Ok(true);",
    },
];

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
    // A buyer pays all that was held for a trade, even where the seller asked for less.
    Plant {
        name: "lost refund",
        file: "sequencer/news.rs",
        old: "let paying = self.unhold(slot, before, paid);",
        new: "let (_, after) = self.hold(slot);
        let held = Amount(before.0 - after.0);
        let paying = self.unhold(slot, before, if side == Side::Buy { held } else { paid });",
    },
    // What a trade brings in is booked twice.
    Plant {
        name: "double settle",
        file: "sequencer/news.rs",
        old: "let receiving = self.owner(slot).balances.credit(received_asset, received);",
        new: "self.owner(slot).balances.credit(received_asset, received);
        let receiving = self.owner(slot).balances.credit(received_asset, received);",
    },
    // An order that gets smaller goes to the end of its queue. Nothing is wrong with the book or with money.
    Plant {
        name: "wrong queue place on amend",
        file: "matcher/symbol.rs",
        old: "} else if amend.keeps_price && amend.more <= 0 {",
        new: "} else if amend.keeps_price && amend.more == 0 {",
    },
    // A level stays in the book when its last order is cancelled.
    Plant {
        name: "phantom level",
        file: "book/fast.rs",
        old: "            self.ladders[side as usize].remove(price);
            self.levels.release(level_slot);",
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

//! The engines, each behind the same small interface.
//!
//! Each is driven by the fastest interface it publishes that tells its caller every fill; the head of its module says
//! which one and what is done for it beforehand.

pub mod lobster;
pub mod matchcore;
pub mod nanobook;
pub mod orderbook_rs;
pub mod ours;

use crate::stream::{Command, Stream};
use engine_core::units::Side;

pub trait Engine {
    /// As it is named on crates.io.
    const NAME: &'static str;

    /// An empty book. An engine that can reserve room may look at how large the stream makes it.
    fn new(stream: &Stream) -> Self;

    /// The commands with the ids the engine will give the orders, if it gives them itself.
    fn rename(commands: &[Command]) -> Vec<Command> {
        commands.to_vec()
    }

    fn apply(&mut self, command: &Command, tally: &mut Tally);

    /// Price and lots of the best levels of a side, best first.
    fn depth(&self, side: Side, levels: usize) -> Vec<(u64, u64)>;
}

/// What an engine told. Folded into a checksum, so that nobody can leave it out and all can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub fills: u64,
    pub lots: u64,
    /// Over price and lots of each fill, in order.
    pub fill_checksum: u64,
    /// Over what else it told. Only ours tells levels.
    pub other_checksum: u64,
}

impl Tally {
    #[inline]
    pub fn fill(&mut self, price: u64, lots: u64) {
        self.fills += 1;
        self.lots += lots;
        self.fill_checksum = fold(fold(self.fill_checksum, price), lots);
    }

    #[inline]
    pub fn other(&mut self, value: u64) {
        self.other_checksum = fold(self.other_checksum, value);
    }
}

#[inline]
fn fold(sum: u64, value: u64) -> u64 {
    (sum.rotate_left(5) ^ value).wrapping_mul(0x517C_C1B7_2722_0A95)
}

//! What all engines are driven with: one list of commands, made before anything is measured.

use engine_core::units::Side;

/// What a client asks. 32 bytes: two to a cache line, so reading the list costs each engine the same little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    pub kind: Kind,
    pub side: Side,
    /// Our order key, or whatever the engine calls that order (see `Engine::rename`).
    pub key: u64,
    /// Ticks.
    pub price: u64,
    /// Lots.
    pub quantity: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A limit order whose rest stays.
    Limit,
    /// A limit order whose rest is cancelled.
    Ioc,
    /// A limit order that is refused if it would trade.
    PostOnly,
    /// Takes out the order of this key.
    Cancel,
    /// Leaves the order of this key only so many lots, in its place in the queue. An engine that cannot do that takes
    /// it out and places a new one, which is then the last of its price.
    Reduce,
    /// Takes out the order of this key and places a limit order of the same key, at the end of the queue of its
    /// price: it moves. One message, two commands for most engines.
    Replace,
}

const _: () = assert!(size_of::<Command>() == 32);

/// A market's day.
pub struct Stream {
    pub name: String,
    /// One line on what is in it, with the shares that came out.
    pub about: String,
    pub commands: Vec<Command>,
    /// Commands before this one fill the book and are not timed.
    pub timed_from: usize,
    /// The most orders that were live at once, and the most prices on one side: for engines that reserve room.
    pub live_max: usize,
    pub levels_max: usize,
}

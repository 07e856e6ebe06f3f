//! Whether sockets are given copies of bytes, or references to them.
//!
//! Which costs less is not known beforehand: a copy of some kilobytes is cheap while the kernel has memory at hand that was used a moment ago,
//! and costs several times as much when it has to find other pages, as on a virtual machine whose host has taken them away; a reference
//! costs the same on good days and bad. So both are timed as they are used, for each size by itself: the better one is
//! taken, and now and then the other is tried, the more rarely the more often that was in vain.

use std::time::Duration;

/// How bytes get to sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Copy,
    Refer,
}

/// What a socket gets in one send: so many bytes, which can be referred to in so many pieces.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub bytes: usize,
    pub pieces: usize,
}

/// Sockets that are sent to in one way before it is decided again.
pub const TOGETHER: usize = 32;

/// Below a page a reference never pays.
const REFERRED_BYTES_MIN: usize = 4096;

/// From 4 KiB up, each twice the one before; the last is all that is larger.
const SIZES: usize = 5;

/// Times of one way between two trials of the other.
const TRIAL_AFTER_MIN: u32 = 64;
const TRIAL_AFTER_MAX: u32 = 1024;

/// How much better the other way must be, and how much a single time may count: somebody else may have had the processor meanwhile.
const BETTER: f32 = 0.9;
const OUTLIER: f32 = 4.0;

/// For a reactor's sends.
#[derive(Default)]
pub struct Choice {
    sizes: [Size; SIZES],
}

struct Size {
    way: Way,
    /// Nanoseconds for each byte, of the way that is taken and of the other.
    cost: f32,
    other_cost: f32,
    trial_in: u32,
    trial_after: u32,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            way: Way::Refer,
            cost: f32::INFINITY,
            other_cost: f32::INFINITY,
            trial_in: TRIAL_AFTER_MIN,
            trial_after: TRIAL_AFTER_MIN,
        }
    }
}

impl Choice {
    /// How to send that to the next sockets.
    pub fn pick(&mut self, load: Load) -> Way {
        let Some(size) = self.size(load) else { return Way::Copy };
        size.trial_in -= 1;
        if size.trial_in > 0 {
            return size.way;
        }
        size.trial_in = size.trial_after;
        size.way.other()
    }

    /// The way that is taken now.
    pub fn way(&mut self, load: Load) -> Way {
        self.size(load).map_or(Way::Copy, |size| size.way)
    }

    /// It took so long to send that to each of so many sockets.
    pub fn took(&mut self, way: Way, load: Load, sockets: usize, time: Duration) {
        let Some(size) = self.size(load) else { return };
        let cost = time.as_nanos() as f32 / (load.bytes * sockets) as f32;
        if way == size.way {
            size.cost = if size.cost.is_finite() {
                size.cost + (cost.min(size.cost * OUTLIER) - size.cost) / 4.0
            } else {
                cost
            };
        } else {
            size.other_cost = cost;
            size.trial_after = (size.trial_after * 2).min(TRIAL_AFTER_MAX);
        }
        if size.other_cost < size.cost * BETTER {
            (size.way, size.cost, size.other_cost) = (size.way.other(), size.other_cost, size.cost);
            (size.trial_in, size.trial_after) = (TRIAL_AFTER_MIN, TRIAL_AFTER_MIN);
        }
    }

    fn size(&mut self, load: Load) -> Option<&mut Size> {
        let pages = load.bytes / REFERRED_BYTES_MIN;
        if pages < load.pieces.max(1) {
            return None;
        }
        self.sizes.get_mut((pages.ilog2() as usize).min(SIZES - 1))
    }
}

impl Way {
    fn other(self) -> Self {
        match self {
            Way::Copy => Way::Refer,
            Way::Refer => Way::Copy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load { bytes: 10_000, pieces: 1 };

    /// Sends for so many times, at those costs. Returns how often it was a copy.
    fn send(choice: &mut Choice, times: usize, copy_us: u64, refer_us: u64) -> usize {
        let mut copies = 0;
        for _ in 0..times {
            let way = choice.pick(LOAD);
            let us = if way == Way::Copy { copy_us } else { refer_us };
            copies += usize::from(way == Way::Copy);
            choice.took(way, LOAD, TOGETHER, Duration::from_micros(us * TOGETHER as u64));
        }
        copies
    }

    #[test]
    fn the_cheaper_way_is_found_and_left_when_it_is_no_more() {
        let mut choice = Choice::default();
        assert!(send(&mut choice, 1000, 6, 8) > 900, "copies are cheaper");
        assert!(send(&mut choice, 100, 50, 8) <= 3, "and suddenly dear");
        assert!(send(&mut choice, 10_000, 50, 8) < 30, "which is looked at again, ever more rarely");
        assert!(send(&mut choice, 10_000, 6, 8) > 8000, "until they are cheap again");
    }

    #[test]
    fn what_is_small_is_copied_and_pieces_pay_by_themselves() {
        let mut choice = Choice::default();
        let mut pick = |bytes, pieces| choice.pick(Load { bytes, pieces });
        assert_eq!(pick(4095, 1), Way::Copy);
        assert_eq!(pick(4096, 1), Way::Refer);
        assert_eq!(pick(8191, 2), Way::Copy);
        assert_eq!(pick(1 << 20, 16), Way::Refer);
        assert_eq!(pick(0, 0), Way::Copy);
    }
}

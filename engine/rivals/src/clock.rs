//! A clock for single commands: the processor's time stamp counter where there is one.
//!
//! Reading it takes time of its own, which is in every figure; `floor` says how much.

use std::time::{Duration, Instant};

pub struct Clock {
    start: Instant,
    nanoseconds_per_tick: f64,
}

impl Clock {
    /// Takes a twentieth of a second to compare the counter with the system's clock.
    pub fn new() -> Clock {
        let mut clock = Clock { start: Instant::now(), nanoseconds_per_tick: 1.0 };
        let (ticks, start) = (clock.now(), Instant::now());
        std::thread::sleep(Duration::from_millis(50));
        let elapsed = start.elapsed();
        clock.nanoseconds_per_tick = elapsed.as_nanos() as f64 / (clock.now() - ticks) as f64;
        clock
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub fn now(&self) -> u64 {
        use std::arch::x86_64::{__rdtscp, _mm_lfence};
        let _ = self.start;
        let mut core = 0;
        // SAFETY: both instructions are part of every x86-64 that has a time stamp counter a program may read, which
        // Linux grants. The first waits for earlier work, the fence keeps later work from starting before it.
        unsafe {
            let ticks = __rdtscp(&mut core);
            _mm_lfence();
            ticks
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    pub fn nanoseconds(&self, ticks: u64) -> u64 {
        (ticks as f64 * self.nanoseconds_per_tick) as u64
    }

    /// What it measures when nothing is done: the middle of many readings.
    pub fn floor(&self) -> u64 {
        let mut readings: Vec<u64> = (0..100_001)
            .map(|_| {
                let start = self.now();
                self.now() - start
            })
            .collect();
        readings.sort_unstable();
        self.nanoseconds(readings[readings.len() / 2])
    }
}

//! Looks once a second how much memory there is left, so that new connections are refused before the machine suffers.
//!
//! A connection costs some 300 bytes of ours and ten kilobytes of the kernel's, which no limit of ours bounds and which counts
//! in the memory of the machine and of our cgroup. What counts here is the scarcer of the two.

use crate::reactor::admission::Admission;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Between two looks: as many connections as come in that time need some ten megabytes.
const PERIOD: Duration = Duration::from_secs(1);

/// What is kept free if nobody says how much: one part of so many.
const RESERVE_PART: u64 = 16;

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Memory {
    total: u64,
    available: u64,
}

/// Looks again and again. `reserve` is the bytes that are kept free; 0 for a sixteenth of all there is.
pub async fn run(reserve: u64, admission: Arc<Admission>) -> Infallible {
    loop {
        // Where the system does not say, nobody is refused for it.
        let is_short = scarcest().is_some_and(|memory| memory.is_short(reserve));
        match (admission.memory_is_short.swap(is_short, Ordering::Relaxed), is_short) {
            (false, true) => tracing::warn!("memory is short: new connections are refused"),
            (true, false) => tracing::info!("there is memory again: new connections are taken"),
            _ => {}
        }
        tokio::time::sleep(PERIOD).await;
    }
}

impl Memory {
    fn is_short(self, reserve: u64) -> bool {
        self.available < if reserve == 0 { self.total / RESERVE_PART } else { reserve }
    }
}

/// Of the machine and of every cgroup we are in, the one that has least left.
fn scarcest() -> Option<Memory> {
    let machine = of_machine(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    // Version 2 alone: one line, which begins with "0::".
    let group = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let groups = Path::new(group).ancestors().filter_map(|group| {
        let group = Path::new("/sys/fs/cgroup").join(group);
        let read = |name| fs::read_to_string(group.join(name)).ok();
        of_group(&read("memory.max")?, &read("memory.current")?, &read("memory.stat")?)
    });
    groups.chain([machine]).min_by_key(|memory| memory.available)
}

fn of_machine(meminfo: &str) -> Option<Memory> {
    let kilobytes = |name| number_after(meminfo, name).map(|number| number * 1024);
    Some(Memory { total: kilobytes("MemTotal:")?, available: kilobytes("MemAvailable:")? })
}

/// None if the group has no limit. Files that nobody has looked at for a while are given up when memory is wanted.
fn of_group(max: &str, current: &str, stat: &str) -> Option<Memory> {
    let total: u64 = max.trim().parse().ok()?;
    let used: u64 = current.trim().parse().ok()?;
    let used = used.saturating_sub(number_after(stat, "inactive_file").unwrap_or(0));
    Some(Memory { total, available: total.saturating_sub(used) })
}

fn number_after(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_understood() {
        let meminfo = "MemTotal:       16000 kB\nMemFree:          10 kB\nMemAvailable:    900 kB\n";
        let machine = of_machine(meminfo).unwrap();
        assert_eq!(machine, Memory { total: 16000 * 1024, available: 900 * 1024 });
        assert!(machine.is_short(0), "900 are less than a sixteenth of 16000");
        assert!(!machine.is_short(900 * 1024));
        assert!(machine.is_short(900 * 1024 + 1));

        let stat = "anon 5\nfile 100\ninactive_file 40\n";
        let group = of_group("1000\n", "990\n", stat);
        assert_eq!(group, Some(Memory { total: 1000, available: 50 }));
        assert_eq!(of_group("max\n", "990\n", stat), None);
    }

    #[test]
    fn there_is_memory_here() {
        let memory = scarcest().expect("Linux says");
        assert!(memory.available > 0 && memory.available <= memory.total, "{memory:?}");
    }
}

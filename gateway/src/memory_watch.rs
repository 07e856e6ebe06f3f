//! Looks once a second how much memory there is left, so that new connections are refused before the machine suffers.
//!
//! A connection costs some 300 bytes of ours and ten kilobytes of the kernel's, which no limit of ours bounds and which counts
//! in the memory of the machine and of our cgroups. It is short if any of these has too little left.

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
        let is_short = is_any_short(&ours(), reserve);
        match (admission.memory_is_short.swap(is_short, Ordering::Relaxed), is_short) {
            (false, true) => tracing::warn!("memory is short: new connections are refused"),
            (true, false) => tracing::info!("there is memory again: new connections are taken"),
            _ => {}
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Each by its own measure: a group with less left than the machine may still have enough while the machine has not.
fn is_any_short(memories: &[Memory], reserve: u64) -> bool {
    memories.iter().any(|memory| memory.is_short(reserve))
}

impl Memory {
    fn is_short(self, reserve: u64) -> bool {
        self.available < if reserve == 0 { self.total / RESERVE_PART } else { reserve }
    }
}

/// That of the machine, and of every cgroup we are in that has a limit.
fn ours() -> Vec<Memory> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|meminfo| of_machine(&meminfo));
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    // Version 2 alone: one line, which begins with "0::".
    let group = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let groups = Path::new(group).ancestors().filter_map(|group| {
        let group = Path::new("/sys/fs/cgroup").join(group);
        let read = |name| fs::read_to_string(group.join(name)).ok();
        of_group(&read("memory.max")?, &read("memory.current")?, &read("memory.stat")?)
    });
    groups.chain(machine).collect()
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
    fn the_one_with_more_left_may_be_the_one_that_is_short() {
        let machine = Memory { total: 64_000, available: 3_000 };
        let group = Memory { total: 2_000, available: 1_000 };
        assert!(is_any_short(&[group, machine], 0), "3000 are less than a sixteenth of 64000");
        assert!(!is_any_short(&[group], 0) && !is_any_short(&[], 0));
        assert!(is_any_short(&[machine, group], 1_001) && !is_any_short(&[machine, group], 1_000));
    }

    #[test]
    fn there_is_memory_here() {
        let memories = ours();
        assert!(!memories.is_empty(), "Linux says");
        for memory in memories {
            assert!(memory.available > 0 && memory.available <= memory.total, "{memory:?}");
        }
    }
}

//! Which core runs which thread, and how soon.
//!
//! A thread that always finds its data in the caches of its core answers sooner, and never waits behind another of ours.
//! That holds where there is a core for each; with fewer, a thread that is tied to a busy core waits while another is idle.
//!
//! Where all cores are busy, the kernel lets a thread that wakes wait until the one that runs has had its slice, some 3 ms.
//! A shard works for microseconds at a time, and everybody waits for it, while a reactor sends for milliseconds. So shards ask
//! for short slices: who wants less at a time may come first.

use anyhow::{Context, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::time::Duration;

/// The cores of an exchange's threads; none to leave it to the system.
#[derive(Clone, Debug)]
pub struct Cores(Vec<usize>);

impl Cores {
    /// Cores that [`Cores::check`] has found good.
    pub fn new(cores: &[usize]) -> Self {
        Self(cores.to_vec())
    }

    /// Names the first core that this process may not use.
    pub fn check(cores: &[usize]) -> anyhow::Result<()> {
        let ours = sched_getaffinity(None).context("asking for the cores of this process")?;
        for core in cores {
            let is_ours = *core < CpuSet::MAX_CPU && ours.is_set(*core);
            ensure!(is_ours, "this process may not run on core {core}");
        }
        Ok(())
    }

    /// Ties the calling thread to its core: `thread` counts all of them, from 0.
    pub fn take(&self, thread: usize) {
        if self.0.is_empty() {
            return;
        }
        let core = self.0[thread % self.0.len()];
        let mut set = CpuSet::new();
        set.set(core);
        if let Err(error) = sched_setaffinity(None, &set) {
            // It was allowed when it was checked; the exchange works as well without.
            tracing::warn!(thread, core, %error, "not tied to its core");
        }
    }
}

/// What a shard asks for: the least that the kernel grants, more than a turn takes under a usual load.
const SHORT_SLICE: Duration = Duration::from_micros(100);

/// Has the calling thread run in short slices from now on: it gets no more of a core, but what it gets it gets sooner.
///
/// `sched_runtime` of sched_setattr(2) is the slice of a usual thread since Linux 6.12; older kernels accept it and do nothing.
/// The rest stays what it is.
pub fn take_short_turns() {
    let mut attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    let attributes = &raw mut attributes;
    // SAFETY: both calls get a struct of the size that they are told, which outlives them; thread 0 is the calling one.
    let done = unsafe {
        let asked = libc::syscall(libc::SYS_sched_getattr, 0, attributes, (*attributes).size, 0);
        (*attributes).sched_runtime = SHORT_SLICE.as_nanos() as u64;
        asked == 0 && libc::syscall(libc::SYS_sched_setattr, 0, attributes, 0) == 0
    };
    if !done {
        // Some sandboxes forbid it; the exchange works as well without.
        tracing::debug!(error = %std::io::Error::last_os_error(), "no short slices");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_turns_leave_the_rest_of_a_thread_as_it_is() {
        let nice = |thread: libc::pid_t| {
            // SAFETY: no pointers.
            unsafe { libc::getpriority(libc::PRIO_PROCESS, thread as u32) }
        };
        let asked = std::thread::spawn(move || {
            // SAFETY: no pointers.
            let before = unsafe { libc::nice(3) };
            take_short_turns();
            (before, nice(0))
        });
        let (before, after) = asked.join().unwrap();
        assert_eq!(before, after);
    }

    #[test]
    fn threads_take_cores_in_turn() {
        let ours = sched_getaffinity(None).unwrap();
        let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| ours.is_set(*core)).collect();
        let cores = Cores::new(&all);
        for thread in 0..2 * all.len() {
            let cores = cores.clone();
            let core = std::thread::spawn(move || {
                cores.take(thread);
                let mine = sched_getaffinity(None).unwrap();
                (mine.count(), (0..CpuSet::MAX_CPU).find(|core| mine.is_set(*core)))
            });
            assert_eq!(core.join().unwrap(), (1, Some(all[thread % all.len()])));
        }
    }
}

//! Which core runs which thread.
//!
//! A thread that always finds its data in the caches of its core answers sooner, and never waits behind another of ours.
//! That holds where there is a core for each; with fewer, a thread that is tied to a busy core waits while another is idle.

use anyhow::{Context, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

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

#[cfg(test)]
mod tests {
    use super::*;

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

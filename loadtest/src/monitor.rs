//! What a run looked like from second to second: rate, latency, and what the server's process took meanwhile.

use crate::report::Latencies;
use serde::Serialize;
use std::fs::read_to_string;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// Since the first subscriber was there.
    pub at_seconds: f64,
    /// Frames, or orders, or connections: what the scenario counts.
    pub per_second: f64,
    /// Of this second; none if nothing was measured.
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub p999_us: Option<f64>,
    pub max_us: Option<f64>,
    /// Of one core; two busy threads are 200.
    pub server_cpu_percent: Option<f64>,
    pub server_resident_mib: Option<f64>,
    pub client_cpu_percent: Option<f64>,
}

/// A process's time on the cores since it began, and its memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    pub cpu: Duration,
    pub resident_bytes: u64,
}

pub struct Monitor {
    server: Option<u32>,
    /// Those that read, this one among them.
    clients: Vec<u32>,
    began: Instant,
    last: Reading,
    samples: Vec<Sample>,
}

struct Reading {
    at: Instant,
    count: u64,
    server: Option<Usage>,
    /// Processor time of all of them.
    client: Option<Duration>,
}

impl Usage {
    /// None if there is no such process, or it is not ours to look at.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let pages: u64 =
            read_to_string(format!("/proc/{pid}/statm")).ok()?.split(' ').nth(1)?.parse().ok()?;
        Some(Usage { cpu: cpu(&stat)?, resident_bytes: pages * system(libc::_SC_PAGESIZE) })
    }
}

/// The fields after the name, which is in brackets and may have spaces: the 12th and 13th are the ticks of user and system.
fn cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_nanos(ticks * (1_000_000_000 / system(libc::_SC_CLK_TCK))))
}

fn system(name: libc::c_int) -> u64 {
    // SAFETY: sysconf takes no pointers.
    unsafe { libc::sysconf(name) as u64 }
}

impl Monitor {
    pub fn new(server: Option<u32>) -> Self {
        Self::of_all(server, Vec::new())
    }

    /// With the other processes that read for this one.
    pub fn of_all(server: Option<u32>, mut clients: Vec<u32>) -> Self {
        clients.push(std::process::id());
        let last = Reading::now(server, &clients, 0);
        Monitor { server, clients, began: Instant::now(), last, samples: Vec::new() }
    }

    /// Adds a sample of the time since the last one. `count` is the count so far.
    pub fn tick(&mut self, count: u64, latencies: &Latencies) -> Sample {
        let last = std::mem::replace(&mut self.last, Reading::now(self.server, &self.clients, count));
        let seconds = (self.last.at - last.at).as_secs_f64().max(1e-9);
        let percentiles = latencies.percentiles();
        let measured = |us| (percentiles.count > 0).then_some(us);
        let cpu = |now: Option<Duration>, then: Option<Duration>| {
            Some(now?.saturating_sub(then?).as_secs_f64() / seconds * 100.0)
        };
        let server = |reading: &Reading| reading.server.map(|usage| usage.cpu);
        let sample = Sample {
            at_seconds: (self.last.at - self.began).as_secs_f64(),
            per_second: count.saturating_sub(last.count) as f64 / seconds,
            p50_us: measured(percentiles.p50_us),
            p99_us: measured(percentiles.p99_us),
            p999_us: measured(percentiles.p999_us),
            max_us: measured(percentiles.max_us),
            server_cpu_percent: cpu(server(&self.last), server(&last)),
            server_resident_mib: self.last.server.map(|usage| usage.resident_bytes as f64 / 1_048_576.0),
            client_cpu_percent: cpu(self.last.client, last.client),
        };
        self.samples.push(sample);
        sample
    }

    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }
}

impl Reading {
    fn now(server: Option<u32>, clients: &[u32], count: u64) -> Self {
        let client = clients.iter().map(|pid| Usage::of(*pid).map(|usage| usage.cpu)).sum();
        Reading { at: Instant::now(), count, server: server.and_then(Usage::of), client }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_s_time_is_found_behind_any_name() {
        let stat = "7 (a) b c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 4 0 100 1000 300";
        assert_eq!(cpu(stat), Some(Duration::from_nanos(300 * (1_000_000_000 / system(libc::_SC_CLK_TCK)))));
        assert!(Usage::of(std::process::id()).unwrap().resident_bytes > 0);
        assert_eq!(Usage::of(u32::MAX), None);
    }

    #[test]
    fn samples_count_from_one_to_the_next() {
        let mut monitor = Monitor::new(None);
        let quiet = monitor.tick(0, &Latencies::default());
        assert_eq!((quiet.per_second, quiet.p99_us, quiet.server_cpu_percent), (0.0, None, None));
        let mut latencies = Latencies::default();
        latencies.record_us(5);
        let busy = monitor.tick(10, &latencies);
        assert!(busy.per_second > 0.0 && busy.p99_us.is_some() && busy.client_cpu_percent.is_some());
        assert_eq!(monitor.samples().len(), 2);
    }
}

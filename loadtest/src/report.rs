//! What a run found: percentiles, a verdict, and the machine it ran on, for people and for programs.

use crate::check::Follower;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// Latencies in nanoseconds; three digits are kept, from 1 ns to two minutes.
///
/// As text they are pairs of a value and how often it was met: read again, they are the same histogram.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Latencies(Histogram<u64>);

const LATENCY_NS_MAX: u64 = 120_000_000_000;

impl Default for Latencies {
    fn default() -> Self {
        Latencies(Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("constant bounds are valid"))
    }
}

impl From<Vec<(u64, u64)>> for Latencies {
    fn from(pairs: Vec<(u64, u64)>) -> Self {
        let mut latencies = Latencies::default();
        for (ns, count) in pairs {
            latencies.0.saturating_record_n(ns, count);
        }
        latencies
    }
}

impl From<Latencies> for Vec<(u64, u64)> {
    fn from(latencies: Latencies) -> Self {
        latencies.0.iter_recorded().map(|met| (met.value_iterated_to(), met.count_at_value())).collect()
    }
}

impl Latencies {
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record((latency.as_nanos() as u64).max(1));
    }

    pub fn record_us(&mut self, latency_us: u64) {
        self.record_many_us(latency_us, 1);
    }

    pub fn record_many_us(&mut self, latency_us: u64, count: u64) {
        self.0.saturating_record_n((latency_us * 1000).max(1), count);
    }

    /// From the stamp of an event, if it has one, to its receipt; both clocks are this machine's.
    pub fn record_event(&mut self, event_us: Option<u64>, received_us: u64) {
        if let Some(event_us) = event_us {
            self.record_us(received_us.saturating_sub(event_us));
        }
    }

    pub fn add(&mut self, other: &Latencies) {
        self.0.add(&other.0).expect("same bounds");
    }

    /// Those that were added to `earlier` since.
    pub fn since(mut self, earlier: &Latencies) -> Self {
        self.0.subtract(&earlier.0).expect("same bounds, and all of the earlier ones are here");
        self
    }

    pub fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1000.0;
        Percentiles {
            count: self.0.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: self.0.max() as f64 / 1000.0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Percentiles {
    pub count: u64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return f.write_str("none measured");
        }
        let Percentiles { count, p50_us, p90_us: _, p99_us, p999_us, max_us } = self;
        write!(
            f,
            "p50 {p50_us:.0} us, p99 {p99_us:.0} us, p99.9 {p999_us:.0} us, max {max_us:.0} us of {count}"
        )
    }
}

/// Every violation counted, the first ones told.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Verdict {
    pub violation_count: u64,
    pub violations: Vec<String>,
}

impl Verdict {
    pub fn ok(&self) -> bool {
        self.violation_count == 0
    }

    pub fn violate(&mut self, what: impl Into<String>) {
        self.count(1, std::iter::once(what.into()));
    }

    pub fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.violate(otherwise());
        }
    }

    pub fn absorb(&mut self, who: &str, follower: &Follower) {
        let texts = follower.violations().iter().map(|violation| format!("{who}: {violation}"));
        self.count(follower.counts().violations, texts);
    }

    /// Says of each violation where it was found.
    pub fn named(mut self, who: &str) -> Self {
        for violation in &mut self.violations {
            *violation = format!("{who}: {violation}");
        }
        self
    }

    pub fn merge(&mut self, other: Verdict) {
        self.count(other.violation_count, other.violations.into_iter());
    }

    fn count(&mut self, count: u64, texts: impl Iterator<Item = String>) {
        self.violation_count += count;
        let room = crate::check::VIOLATIONS_KEPT_MAX.saturating_sub(self.violations.len());
        self.violations.extend(texts.take(room));
    }
}

/// What every scenario returns.
pub struct Outcome<R> {
    pub results: R,
    pub verdict: Verdict,
}

/// The machine report, `--json FILE`.
#[derive(Serialize)]
pub struct Report<'a, R> {
    pub tool: &'static str,
    pub version: &'static str,
    pub scenario: &'a str,
    pub ok: bool,
    /// Of the working directory; null outside a repository.
    pub commit: Option<String>,
    pub machine: Machine,
    pub seed: u64,
    pub started_us: u64,
    pub elapsed_seconds: f64,
    pub arguments: Value,
    pub results: &'a R,
    #[serde(flatten)]
    pub verdict: &'a Verdict,
}

#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub cores: usize,
    pub cpu_model: String,
    pub kernel: String,
    pub memory_kib: u64,
}

impl Machine {
    pub fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let (cpuinfo, meminfo) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        Machine {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cpu_model: field(&cpuinfo, "model name").unwrap_or("unknown").to_owned(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory_kib: field(&meminfo, "MemTotal").and_then(kib).unwrap_or(0),
        }
    }
}

/// The value of `name: value` in a /proc file.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

pub(crate) fn kib(value: &str) -> Option<u64> {
    value.strip_suffix("kB")?.trim().parse().ok()
}

pub fn commit() -> Option<String> {
    let output = std::process::Command::new("git").args(["rev-parse", "HEAD"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_microseconds() {
        let mut latencies = Latencies::default();
        (1..=1000).for_each(|us| latencies.record_us(us));
        let percentiles = latencies.percentiles();
        assert_eq!(percentiles.count, 1000);
        assert!((percentiles.p50_us - 500.0).abs() <= 1.0);
        assert!((percentiles.p99_us - 990.0).abs() <= 1.0);
        assert!((percentiles.max_us - 1000.0).abs() <= 1.0);
    }

    #[test]
    fn a_verdict_counts_all_and_keeps_the_first() {
        let mut verdict = Verdict::default();
        (0..30).for_each(|n| verdict.violate(format!("fault {n}")));
        assert_eq!((verdict.violation_count, verdict.violations.len()), (30, 20));
        assert_eq!(verdict.violations[0], "fault 0");
        assert!(!verdict.ok());
    }

    #[test]
    fn proc_fields_are_read_by_name() {
        let text = "MemTotal:       16 kB\nmodel name\t: Some CPU\n";
        assert_eq!(field(text, "MemTotal").and_then(kib), Some(16));
        assert_eq!(field(text, "model name"), Some("Some CPU"));
        assert_eq!(field(text, "Slab"), None);
    }
}

//! What a Ringside server says of its own sending, at `/metrics`. It is believed only beside what its clients counted.

use crate::http;
use crate::target::Target;
use anyhow::{Context, Result};
use serde::Serialize;

/// All reactors together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Counters {
    /// Of a span to a socket.
    pub sends: u64,
    pub frames_out: u64,
    pub bytes_out: u64,
    pub trades: u64,
    pub fell_behind: u64,
    pub lapped: u64,
}

impl Counters {
    pub async fn fetch(host: &Target) -> Result<Self> {
        let text = http::get(host, "/metrics").await?;
        Self::read(std::str::from_utf8(&text)?).context("no counters of Ringside at /metrics")
    }

    fn read(text: &str) -> Option<Self> {
        Some(Counters {
            sends: sum(text, "ringside_sends_total")?,
            frames_out: sum(text, "ringside_frames_out_total")?,
            bytes_out: sum(text, "ringside_bytes_out_total")?,
            trades: sum(text, "ringside_trades_total")?,
            fell_behind: sum(text, "ringside_fell_behind_total")?,
            lapped: sum(text, "ringside_lapped_total")?,
        })
    }

    pub fn since(&self, earlier: &Counters) -> Counters {
        Counters {
            sends: self.sends.saturating_sub(earlier.sends),
            frames_out: self.frames_out.saturating_sub(earlier.frames_out),
            bytes_out: self.bytes_out.saturating_sub(earlier.bytes_out),
            trades: self.trades.saturating_sub(earlier.trades),
            fell_behind: self.fell_behind.saturating_sub(earlier.fell_behind),
            lapped: self.lapped.saturating_sub(earlier.lapped),
        }
    }
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Counters) {
        self.sends += other.sends;
        self.frames_out += other.frames_out;
        self.bytes_out += other.bytes_out;
        self.trades += other.trades;
        self.fell_behind += other.fell_behind;
        self.lapped += other.lapped;
    }
}

/// Over all labels. None if there is no such line.
fn sum(text: &str, name: &str) -> Option<u64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
        rest.rsplit_once(' ')?.1.parse::<u64>().ok()
    });
    values.fold(None, |sum, value| Some(sum.unwrap_or(0) + value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_over_their_labels() {
        let text = "# TYPE a_total counter\na_total{reactor=\"0\"} 3\na_total{reactor=\"1\"} 4\na_total_more 9\nb 5\n";
        assert_eq!((sum(text, "a_total"), sum(text, "b"), sum(text, "c")), (Some(7), Some(5), None));
    }
}

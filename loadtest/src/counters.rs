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

/// Bytes of memory in which a server keeps what the flow of orders leaves behind, whoever is connected: their ids for a day, and of each room
/// a window for those who fall behind. None are counted where nobody says so.
///
/// # Errors
/// If the server does not answer.
pub async fn flow_bytes(host: &Target) -> Result<u64> {
    let text = http::get(host, "/metrics").await?;
    let text = std::str::from_utf8(&text)?;
    let ids = ["ringside_order_id_bytes", "ringside_keeper_order_id_bytes"];
    let ids = ids.into_iter().filter_map(|name| sum(text, name)).sum::<u64>();
    Ok(ids + values(text, "ringside_held_bytes").max().unwrap_or(0))
}

/// Over all labels. None if there is no such line.
fn sum(text: &str, name: &str) -> Option<u64> {
    values(text, name).fold(None, |sum, value| Some(sum.unwrap_or(0) + value))
}

fn values(text: &str, name: &str) -> impl Iterator<Item = u64> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
        rest.rsplit_once(' ')?.1.parse::<u64>().ok()
    })
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

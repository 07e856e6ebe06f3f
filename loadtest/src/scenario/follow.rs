//! `loadtest follow`: one subscriber from ack to silence, then its book against a fresh snapshot.

use crate::check::Counts;
use crate::client::Following;
use crate::report::{Latencies, Outcome, Percentiles, Verdict};
use crate::target::Target;
use anyhow::Result;
use serde::Serialize;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// Time for a fresh subscriber and the follower to reach the same sequence.
const MEETING_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct Options {
    pub target: Target,
    pub channel: String,
    /// Silence that ends the run.
    pub until_idle: Duration,
    /// The run ends after this time even if the feed never pauses.
    pub limit: Duration,
}

#[derive(Debug, Serialize)]
pub struct Results {
    pub channel: String,
    pub counts: Counts,
    pub seq: u64,
    pub trade_id_last: Option<u64>,
    pub laps: u64,
    pub level_count: usize,
    /// Whether the feed fell silent before the time was over.
    pub idle: bool,
    pub latency: Percentiles,
}

pub async fn run(options: &Options) -> Result<Outcome<Results>> {
    let deadline = Instant::now() + options.limit;
    let mut following = Following::subscribe(&options.target, &options.channel).await?;
    let mut latencies = Latencies::default();
    let idle = following.until_idle_measuring(options.until_idle, deadline, &mut latencies).await?;
    if !following.is_closed() && following.follower.has_book() {
        following.compare_with_fresh(&options.target, MEETING_TIMEOUT).await?;
    }
    let follower = &following.follower;
    let mut verdict = Verdict::default();
    verdict.absorb(&options.channel, follower);
    verdict.expect(follower.is_live(), || "the subscription never became live".into());
    let results = Results {
        channel: options.channel.clone(),
        counts: follower.counts(),
        seq: follower.seq(),
        trade_id_last: follower.trade_id_last(),
        laps: follower.laps(),
        level_count: follower.book().level_count(),
        idle,
        latency: latencies.percentiles(),
    };
    Ok(Outcome { results, verdict })
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { messages, snapshots, updates, trades, gaps, .. } = self.counts;
        writeln!(
            f,
            "{}: {messages} messages, at seq {}, {} levels",
            self.channel, self.seq, self.level_count
        )?;
        writeln!(f, "  {snapshots} snapshots, {updates} updates, {trades} trades, {gaps} gaps")?;
        writeln!(f, "  ended {}", if self.idle { "idle" } else { "by the time limit" })?;
        write!(f, "  event to receipt: {}", self.latency)
    }
}

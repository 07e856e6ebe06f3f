//! What `orders` measures while it runs, and what it found.

use crate::monitor::{Monitor, Sample};
use crate::report::{Latencies, Percentiles};
use crate::trading::Answered;
use serde::Serialize;
use std::fmt;
use std::time::{Duration, Instant};

#[derive(Debug, Serialize)]
pub struct Results {
    pub submitted: u64,
    pub canceled: u64,
    pub submits_per_second: f64,
    /// Open loop: from the intended send time. Closed loop: from the send.
    pub submit_to_ack: Percentiles,
    /// From the send.
    pub cancel_to_ack: Percentiles,
    /// How late the harness itself was; part of submit_to_ack in open loop.
    pub send_lateness: Percentiles,
    /// Orders acknowledged, and how late, second by second.
    pub samples: Vec<Sample>,
}

#[derive(Default)]
pub(super) struct Measured {
    submit: Latencies,
    /// Of those, the ones since the last sample.
    fresh: Latencies,
    cancel: Latencies,
    pub(super) lateness: Latencies,
}

impl Measured {
    pub(super) fn record(&mut self, answered: Answered, received: Instant) {
        match answered {
            Answered::Submitted { intended, .. } => {
                let latency = received.saturating_duration_since(intended);
                self.submit.record(latency);
                self.fresh.record(latency);
            }
            Answered::Canceled { sent } => self.cancel.record(received.saturating_duration_since(sent)),
            Answered::Failed | Answered::Other => {}
        }
    }

    pub(super) fn sample(&mut self, monitor: &mut Monitor) -> Sample {
        monitor.tick(self.submit.percentiles().count, &std::mem::take(&mut self.fresh))
    }

    pub(super) fn results(&self, elapsed: Duration, monitor: &Monitor) -> Results {
        let (submit, cancel) = (self.submit.percentiles(), self.cancel.percentiles());
        Results {
            submitted: submit.count,
            canceled: cancel.count,
            submits_per_second: submit.count as f64 / elapsed.as_secs_f64(),
            submit_to_ack: submit,
            cancel_to_ack: cancel,
            send_lateness: self.lateness.percentiles(),
            samples: monitor.samples().to_vec(),
        }
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Results {
            submitted,
            canceled,
            submits_per_second,
            submit_to_ack,
            cancel_to_ack,
            send_lateness,
            ..
        } = self;
        writeln!(
            f,
            "{submitted} orders acknowledged ({submits_per_second:.0} a second), {canceled} canceled"
        )?;
        writeln!(f, "  submit to ack: {submit_to_ack}")?;
        writeln!(f, "  cancel to ack: {cancel_to_ack}")?;
        write!(f, "  sent late by:  {send_lateness}")
    }
}

//! `loadtest simulate`: the gateway's own sessions, rooms, rings and fan-out with more connections than there are sockets.
//!
//! No black box: it runs the gateway's code in this process, over sockets that are simulated. The
//! clients behind them are not the gateway's; they read every message and keep their own accounts.

use crate::report::{Outcome, Verdict};
use anyhow::Result;
use gateway::simulate::{self, Options};
use indicatif::ProgressBar;
use serde::Serialize;
use std::fmt;

#[derive(Debug, Serialize)]
pub struct Results {
    #[serde(flatten)]
    simulated: simulate::Results,
}

/// # Errors
/// If the system refuses a thread or a socket pair.
pub fn run(options: &Options, progress: &ProgressBar) -> Result<Outcome<Results>> {
    let simulated = simulate::run(options, |what, done, of| {
        progress.set_length(of);
        progress.set_position(done);
        progress.set_message(what.to_owned());
    })?;
    let mut verdict = Verdict::default();
    verdict.expect(simulated.violations == 0, || format!("{} messages out of order", simulated.violations));
    verdict.expect(simulated.accounts_wrong == 0, || {
        format!("the accounts of {} connections do not add up", simulated.accounts_wrong)
    });
    verdict.expect(simulated.frames_lost_with_their_clients >= 0, || "more arrived than was sent".into());
    Ok(Outcome { results: Results { simulated }, verdict })
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = &self.simulated;
        writeln!(f, "{} simulated connections at {} reactors", of.connections, of.reactors)?;
        writeln!(
            f,
            "  connected and subscribed in {:.1} s; {} bytes each, and {} of the simulation",
            of.connect_seconds,
            of.bytes_per_connection.saturating_sub(of.simulated_bytes_per_connection),
            of.simulated_bytes_per_connection
        )?;
        writeln!(f, "  at most {:.2} GiB resident", of.resident_peak_bytes as f64 / (1u64 << 30) as f64)?;
        let rate = of.pushes_per_second / 1e6;
        writeln!(
            f,
            "  {} frames in {} writes, {:.1} s: {rate:.1} M a second",
            of.frames, of.writes, of.ticks_seconds
        )?;
        let [middle, p99, longest] = of.turn_us.map(|us| us as f64 / 1000.0);
        writeln!(f, "  a reactor's turn: p50 {middle:.1} ms, p99 {p99:.1} ms, longest {longest:.1} ms")?;
        writeln!(
            f,
            "  fell behind {}, lapped {}, told of a gap {}, closed as slow {}, reset {}",
            of.fell_behind, of.lapped, of.gaps, of.closed_slow, of.resets
        )?;
        writeln!(
            f,
            "  accounts of {} live connections add up; {} frames were lost with their clients",
            of.live_at_the_end, of.frames_lost_with_their_clients
        )?;
        write!(f, "  checksum {:016x}", of.checksum)
    }
}

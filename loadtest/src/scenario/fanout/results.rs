//! What `fanout` found.

use super::{Measured, Options};
use crate::counters::Counters;
use crate::monitor::Sample;
use crate::report::{Latencies, Percentiles, Verdict};
use crate::scenario::bare;
use crate::scenario::fleet::{Harvest, Spans};
use crate::scenario::flow;
use serde::Serialize;
use std::fmt;

#[derive(Debug, Serialize)]
pub struct Results {
    pub subscribers: usize,
    pub processes: usize,
    pub live: usize,
    pub checked: usize,
    pub lean: usize,
    pub window_seconds: f64,
    /// Data messages, delivered to all subscribers together within the windows.
    pub frames: u64,
    pub frames_per_second: f64,
    /// Not of the subscribers that are checked as they read: those see messages, not bytes.
    pub lean_bytes_per_second: f64,
    /// What the server says of the same time.
    pub server: Option<Counters>,
    pub sends_per_second: Option<f64>,
    /// Processor time; the kernel's work for a socket is its owner's, that of delivering on loopback the sender's.
    pub server_cpu_seconds: Option<f64>,
    pub server_cpu_ns_per_frame: Option<f64>,
    pub client_cpu_seconds: Option<f64>,
    /// Messages of the whole run as the reference counted them.
    pub distinct_frames: u64,
    /// Messages of the windows as a reference got them, times the subscribers; none if it could not tell.
    pub frames_for_all: Option<u64>,
    /// Messages whose every field was checked, of all checked subscribers together.
    pub frames_checked: u64,
    /// What recordings had no room for: received and counted, not checked.
    pub bytes_unchecked: u64,
    /// Every message of the checked subscribers in the window.
    pub latency: Percentiles,
    /// Of the lean ones, every message of every eighth read.
    pub latency_lean: Percentiles,
    pub laps: u64,
    pub gaps: u64,
    /// Numbers that a foreign server left out.
    pub sequences_missing: u64,
    pub books_compared: usize,
    pub spans: Spans,
    pub flow: Option<flow::Counts>,
    /// Of our own flow in the windows.
    pub offered: Option<flow::Offered>,
    pub against: Option<Against>,
    pub samples: Vec<Sample>,
}

/// The bare loop's windows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Against {
    pub windows: Vec<bare::Results>,
    pub sends_per_second: f64,
    pub frames_per_second: f64,
    /// Ours as a part of its.
    pub ratio_of_sends: Option<f64>,
    pub ratio_of_frames: Option<f64>,
}

impl Results {
    pub(super) fn new(options: &Options, live: usize) -> Self {
        let none = Latencies::default().percentiles();
        Results {
            subscribers: options.plan.subscribers,
            processes: options.spread.as_ref().map_or(1, |spread| spread.processes),
            live,
            checked: 0,
            lean: 0,
            window_seconds: 0.0,
            frames: 0,
            frames_per_second: 0.0,
            lean_bytes_per_second: 0.0,
            server: None,
            sends_per_second: None,
            server_cpu_seconds: None,
            server_cpu_ns_per_frame: None,
            client_cpu_seconds: None,
            distinct_frames: 0,
            frames_for_all: None,
            frames_checked: 0,
            bytes_unchecked: 0,
            latency: none,
            latency_lean: none,
            laps: 0,
            gaps: 0,
            sequences_missing: 0,
            books_compared: 0,
            spans: Spans::default(),
            flow: None,
            offered: None,
            against: None,
            samples: Vec::new(),
        }
    }

    /// One more window.
    pub(super) fn add(&mut self, measured: Measured) {
        let seconds = self.window_seconds + measured.seconds;
        let bytes = self.lean_bytes_per_second * self.window_seconds + measured.bytes as f64;
        (self.window_seconds, self.lean_bytes_per_second) = (seconds, bytes / seconds);
        self.frames += measured.frames;
        self.frames_per_second = self.frames as f64 / seconds;
        if let Some(offered) = measured.offered {
            let all = self.offered.get_or_insert_default();
            all.intended += offered.intended;
            all.sent += offered.sent;
        }
        if let Some(counters) = measured.counters {
            let server = self.server.get_or_insert_default();
            *server += counters;
            self.sends_per_second = Some(server.sends as f64 / seconds);
        }
        if let Some(cpu) = measured.server_cpu {
            let spent = self.server_cpu_seconds.get_or_insert_default();
            *spent += cpu.as_secs_f64();
            self.server_cpu_ns_per_frame = (self.frames > 0).then(|| *spent * 1e9 / self.frames as f64);
        }
        if let Some(cpu) = measured.client_cpu {
            *self.client_cpu_seconds.get_or_insert_default() += cpu.as_secs_f64();
        }
    }

    pub(super) fn flowed(&mut self, counts: flow::Counts) {
        self.flow.get_or_insert_default().add(counts);
    }

    /// In the mean; a bare loop is to send the same.
    pub(super) fn send_and_frame_bytes(&self) -> Option<(u64, u64)> {
        let server = self.server.filter(|server| server.sends > 0 && server.frames_out > 0)?;
        Some((server.bytes_out / server.sends, server.bytes_out / server.frames_out))
    }

    pub(super) fn take(&mut self, harvest: Harvest) -> Verdict {
        self.checked = harvest.checked;
        self.lean = harvest.lean;
        self.distinct_frames = harvest.distinct_frames;
        self.frames_for_all = harvest.frames_for_all;
        self.frames_checked = harvest.frames_checked;
        self.bytes_unchecked = harvest.bytes_unchecked;
        self.laps = harvest.laps;
        self.gaps = harvest.gaps;
        self.sequences_missing = harvest.sequences_missing;
        self.spans = harvest.spans;
        self.books_compared = harvest.books_compared;
        (self.latency, self.latency_lean) =
            (harvest.latency.percentiles(), harvest.latency_lean.percentiles());
        let (frames_per_second, sends_per_second) = (self.frames_per_second, self.sends_per_second);
        if let Some(against) = &mut self.against {
            against.ratio_of_sends = sends_per_second.map(|ours| ours / against.sends_per_second);
            against.ratio_of_frames = Some(frames_per_second / against.frames_per_second);
        }
        harvest.verdict
    }
}

impl Against {
    pub(super) fn add(&mut self, window: bare::Results) {
        self.windows.push(window);
        let seconds: f64 = self.windows.iter().map(|window| window.seconds).sum();
        let per_second =
            |count: fn(&bare::Results) -> u64| self.windows.iter().map(count).sum::<u64>() as f64 / seconds;
        self.sends_per_second = per_second(|window| window.sends);
        self.frames_per_second = per_second(|window| window.frames);
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} subscribers ({} checked, {} lean)", self.live, self.checked, self.lean)?;
        match self.processes {
            1 => writeln!(f)?,
            processes => writeln!(f, " in {processes} processes")?,
        }
        let Results { frames, window_seconds, frames_per_second, distinct_frames, .. } = self;
        writeln!(f, "  {frames} frames in {window_seconds:.1} s: {frames_per_second:.0} a second")?;
        if let (Some(server), Some(sends)) = (&self.server, self.sends_per_second) {
            let frames_per_send = server.frames_out as f64 / server.sends.max(1) as f64;
            let bytes_per_send = server.bytes_out / server.sends.max(1);
            let bytes_per_frame = server.bytes_out as f64 / server.frames_out.max(1) as f64;
            writeln!(
                f,
                "  server: {sends:.0} sends/s of {frames_per_send:.1} frames, {bytes_per_send} bytes; {bytes_per_frame:.1} bytes a frame"
            )?;
        }
        if let (Some(cpu), Some(each)) = (self.server_cpu_seconds, self.server_cpu_ns_per_frame) {
            let cores = cpu / window_seconds;
            writeln!(f, "  server: {cores:.2} cores, {each:.0} ns of processor time a frame")?;
        }
        writeln!(f, "  {distinct_frames} distinct messages, {} laps, {} gaps", self.laps, self.gaps)?;
        if self.sequences_missing > 0 {
            writeln!(f, "  {} sequence numbers left out", self.sequences_missing)?;
        }
        write!(f, "  {} messages checked in full", self.frames_checked)?;
        match self.bytes_unchecked {
            0 => writeln!(f)?,
            bytes => writeln!(f, "; {bytes} bytes beyond the recordings were counted, not checked")?,
        }
        writeln!(f, "  event to receipt, checked: {}", self.latency)?;
        writeln!(f, "  event to receipt, lean:    {}", self.latency_lean)?;
        if let Some(flow) = &self.flow {
            writeln!(f, "  flow: {flow}")?;
        }
        if let Some(offered) = &self.offered {
            writeln!(f, "  offered: {offered}")?;
        }
        if let Some(against) = &self.against {
            writeln!(f, "  {against}")?;
        }
        let Spans { compared, skipped } = self.spans;
        write!(f, "  {} books compared; counts of {compared} compared, {skipped} not", self.books_compared)
    }
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Against { windows, sends_per_second, frames_per_second, .. } = self;
        write!(
            f,
            "bare loop, {} windows: {sends_per_second:.0} sends/s, {frames_per_second:.0} frames/s;",
            windows.len()
        )?;
        let percent =
            |ratio: Option<f64>| ratio.map_or("?".into(), |ratio| format!("{:.1} %", ratio * 100.0));
        write!(
            f,
            " ours is {} of its sends, {} of its frames",
            percent(self.ratio_of_sends),
            percent(self.ratio_of_frames)
        )
    }
}

//! `loadtest bare`: how many sends a second this machine can do, with nothing behind them.
//!
//! A sender that has no engine, no rooms and no protocol sends the same bytes to all its sockets, again and again; the
//! readers are those of `fanout`. It is a process of its own, as a server is: that doubles what one may hold open.
//!
//! ```text
//! this process: the fleet ◀── sockets ── loadtest bare-sender
//!        └── "go SECONDS" on its input ──▶ └──▶ what it sent, as a line of JSON
//! ```

mod paced;
pub mod sender;

use super::fleet::{Clients, Fleet, Phase, Plan};
use crate::lean::{Opening, Until};
use crate::report::{Outcome, Percentiles, Verdict};
use crate::target::Target;
use anyhow::{Context, Result, ensure};
use indicatif::ProgressBar;
use sender::{Method, Sent};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Options {
    /// This program.
    pub program: PathBuf,
    pub subscribers: usize,
    /// Of one send, made of whole frames.
    pub bytes: usize,
    pub frame_bytes: usize,
    pub method: Method,
    /// To each socket, and a send's bytes are what is due at once; as fast as they are taken if there is none.
    pub frames_per_second: Option<u64>,
    pub duration: Duration,
    pub reader_threads: usize,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Results {
    pub method: Method,
    pub subscribers: usize,
    pub bytes_per_send: usize,
    pub seconds: f64,
    pub sends: u64,
    pub sends_per_second: f64,
    pub bytes_per_second: f64,
    /// Read in the same time.
    pub frames: u64,
    pub frames_per_second: f64,
    /// Sends that a full socket made wait.
    pub waited: u64,
    /// From when a frame was due to its receipt, if the loop had a schedule.
    pub latency: Option<Percentiles>,
}

pub async fn run(options: &Options, progress: &ProgressBar) -> Result<Outcome<Results>> {
    let mut sender = Sender::spawn(options)?;
    let plan = Plan {
        target: Target::websocket(&format!("ws://127.0.0.1:{}/bare", sender.port()?))?,
        channel: "bare".into(),
        subscribers: options.subscribers,
        full_every: 1,
    };
    // The sender answers nothing, but its frames look like trades: they cost their readers what Ringside's do.
    let opening = Opening { until: Until::Sent, ..Opening::subscribe("bare") };
    let clients =
        Clients { reader_threads: options.reader_threads, opening: Some(opening), ..Clients::default() };
    let fleet = Fleet::launch_as(&plan, &clients, progress).await?;
    let mut verdict = Verdict::default();
    let (live, wanted) = (fleet.live, options.subscribers);
    verdict.expect(live == wanted, || format!("{live} of {wanted} subscribers became live"));
    fleet.enter(Phase::Steady);
    let before = fleet.frames();
    sender.go(options.duration)?;
    fleet.pass(options.duration, progress).await;
    let sent = tokio::task::spawn_blocking(move || sender.sent()).await??;
    let mut results = Results::new(options, &sent, fleet.frames() - before);
    results.latency = options.frames_per_second.map(|_| fleet.latencies(Phase::Steady).percentiles());
    Ok(Outcome { results, verdict })
}

impl Results {
    fn new(options: &Options, sent: &Sent, frames: u64) -> Self {
        let Sent { method, sends, bytes, seconds, waited } = *sent;
        Results {
            method,
            subscribers: options.subscribers,
            bytes_per_send: (bytes / sends.max(1)) as usize,
            seconds,
            sends,
            sends_per_second: sends as f64 / seconds,
            bytes_per_second: bytes as f64 / seconds,
            frames,
            frames_per_second: frames as f64 / seconds,
            waited,
            latency: None,
        }
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Results { method, subscribers, bytes_per_send, seconds, sends_per_second, .. } = self;
        writeln!(
            f,
            "bare loop by {method:?} to {subscribers} sockets, {bytes_per_send} bytes a send, {seconds:.1} s"
        )?;
        let Results { bytes_per_second, frames_per_second, waited, .. } = self;
        write!(
            f,
            "  {sends_per_second:.0} sends/s, {bytes_per_second:.0} bytes/s, {frames_per_second:.0} frames/s, {waited} sends waited"
        )?;
        self.latency.iter().try_for_each(|latency| write!(f, "\n  due to receipt: {latency}"))
    }
}

/// The sending process. It ends with us, as its input does.
struct Sender {
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Sender {
    fn spawn(options: &Options) -> Result<Self> {
        let mut command = Command::new(&options.program);
        command.arg("bare-sender");
        command.args(["--subscribers", &options.subscribers.to_string()]);
        command.args(["--bytes", &options.bytes.to_string()]);
        command.args(["--frame-bytes", &options.frame_bytes.to_string()]);
        command.args(["--method", options.method.name()]);
        options.frames_per_second.map(|rate| command.args(["--frames-per-second", &rate.to_string()]));
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("starting the sender")?;
        let input = process.stdin.take().context("it has an input")?;
        let output = BufReader::new(process.stdout.take().context("it has an output")?);
        Ok(Sender { process, input, output })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line)? > 0, "the sender ended");
        Ok(line)
    }

    fn port(&mut self) -> Result<u16> {
        self.line()?.trim().parse().context("the sender's port")
    }

    fn go(&mut self, duration: Duration) -> Result<()> {
        writeln!(self.input, "{}", duration.as_secs_f64()).context("telling the sender to go")
    }

    fn sent(mut self) -> Result<Sent> {
        let sent = serde_json::from_str(&self.line()?).context("what the sender sent")?;
        drop(self.input);
        self.process.wait()?;
        Ok(sent)
    }
}

/// How `fanout` has a bare loop run beside it: in a process of its own.
#[derive(Clone, Debug)]
pub struct Child {
    pub program: PathBuf,
    pub method: Method,
    pub reader_threads: usize,
}

impl Child {
    pub async fn run(
        &self,
        plan: &Plan,
        (bytes, frame_bytes): (u64, u64),
        duration: Duration,
    ) -> Result<Results> {
        let file = std::env::temp_dir().join(format!("loadtest-bare-{}.json", std::process::id()));
        let mut command = Command::new(&self.program);
        command.args(["bare", "--method", self.method.name()]);
        command.args(["--subscribers", &plan.subscribers.to_string()]);
        command.args(["--bytes", &bytes.to_string(), "--frame-bytes", &frame_bytes.to_string()]);
        command.args(["--seconds", &duration.as_secs().max(1).to_string()]);
        command.args(["--threads", &self.reader_threads.to_string()]).arg("--json").arg(&file);
        let status = tokio::task::spawn_blocking(move || command.stdout(Stdio::null()).status()).await?;
        ensure!(status.context("starting the bare loop")?.success(), "the bare loop failed");
        let text = std::fs::read(&file).context("reading what the bare loop found")?;
        std::fs::remove_file(&file)?;
        #[derive(Deserialize)]
        struct Report {
            results: Results,
        }
        Ok(serde_json::from_slice::<Report>(&text)?.results)
    }
}

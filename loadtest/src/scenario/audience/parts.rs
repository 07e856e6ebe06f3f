//! The parent's side: starts the processes, tells all of them the same, and adds up what they answer.

use super::Seen;
use super::part::{Answer, Order};
use crate::monitor::{Monitor, Sample};
use crate::report::Latencies;
use crate::scenario::fleet::{Clients, Harvest, Phase, Place, Plan};
use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// For an answer: long enough for twenty thousand handshakes, or for the check of some gigabytes of recordings.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// How subscribers are divided among processes.
#[derive(Clone, Debug)]
pub struct Spread {
    /// This program.
    pub program: PathBuf,
    pub processes: usize,
}

pub struct Parts {
    parts: Vec<Part>,
    monitor: Monitor,
    /// Heard in between two samples; the next one's.
    kept: Latencies,
    pub(super) live: usize,
}

struct Part {
    /// For people: "process 2 of 3".
    name: String,
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Parts {
    pub(super) async fn launch(
        plan: &Plan,
        clients: &Clients,
        spread: &Spread,
        progress: &ProgressBar,
    ) -> Result<Self> {
        progress.set_length(plan.subscribers as u64);
        let parts: Vec<Part> =
            (0..spread.processes).map(|index| Part::start(spread, index)).collect::<Result<_>>()?;
        let pids = parts.iter().filter_map(|part| part.process.id()).collect();
        let monitor = Monitor::of_all(clients.pid, pids);
        let mut all = Parts { parts, monitor, kept: Latencies::default(), live: 0 };
        let mut first = 0;
        for (index, part) in all.parts.iter_mut().enumerate() {
            let subscribers = share(plan.subscribers, spread.processes, index);
            let plan_of_part = Plan { subscribers, ..plan.clone() };
            // Each looks at its own subscribers only; the server is watched from here.
            let place = Some(Place { first, of: plan.subscribers });
            let clients = Clients { place, pid: None, ..clients.clone() };
            part.say(&Order::Launch(Box::new((plan_of_part, clients)))).await?;
            first += subscribers;
        }
        for part in &mut all.parts {
            match part.hear().await? {
                Answer::Live(live) => {
                    all.live += live;
                    progress.inc(live as u64);
                }
                other => bail!("{}: answered {other:?} to the launch", part.name),
            }
        }
        Ok(all)
    }

    pub(super) fn processes(&self) -> Vec<u32> {
        self.parts.iter().filter_map(|part| part.process.id()).collect()
    }

    pub(super) fn samples(&self) -> Vec<Sample> {
        self.monitor.samples().to_vec()
    }

    pub(super) async fn enter(&mut self, phase: Phase) -> Result<()> {
        for answer in self.ask(&Order::Enter(phase)).await? {
            let Answer::Entered = answer else { bail!("answered {answer:?} to a phase") };
        }
        Ok(())
    }

    pub(super) async fn count(&mut self) -> Result<(u64, u64)> {
        let seen = self.seen().await?;
        self.kept.add(&seen.latencies);
        Ok((seen.frames, seen.lean_bytes))
    }

    pub(super) async fn look(&mut self) -> Result<(Seen, Sample)> {
        let mut seen = self.seen().await?;
        seen.latencies.add(&std::mem::take(&mut self.kept));
        let sample = self.monitor.tick(seen.frames, &seen.latencies);
        Ok((seen, sample))
    }

    async fn seen(&mut self) -> Result<Seen> {
        let mut all = Seen::default();
        for answer in self.ask(&Order::Look).await? {
            let Answer::Seen(seen) = answer else { bail!("answered {answer:?} to a look") };
            all.frames += seen.frames;
            all.lean_bytes += seen.lean_bytes;
            all.latencies.add(&seen.latencies);
        }
        Ok(all)
    }

    pub(super) async fn gather(mut self) -> Result<Harvest> {
        let answers = self.ask(&Order::Land).await?;
        let mut all = Harvest::default();
        for (part, answer) in self.parts.iter_mut().zip(answers) {
            let Answer::Home(mut harvest) = answer else { bail!("{}: answered {answer:?}", part.name) };
            harvest.verdict = harvest.verdict.named(&part.name);
            all.add(*harvest);
            part.process.wait().await.with_context(|| part.name.clone())?;
        }
        Ok(all)
    }

    /// Everybody hears it before anybody's answer is waited for.
    async fn ask(&mut self, order: &Order) -> Result<Vec<Answer>> {
        for part in &mut self.parts {
            part.say(order).await?;
        }
        let mut answers = Vec::new();
        for part in &mut self.parts {
            answers.push(part.hear().await?);
        }
        Ok(answers)
    }
}

/// As even as whole subscribers go.
fn share(all: usize, processes: usize, index: usize) -> usize {
    all / processes + usize::from(index < all % processes)
}

impl Part {
    fn start(spread: &Spread, index: usize) -> Result<Self> {
        let name = format!("process {} of {}", index + 1, spread.processes);
        let mut command = Command::new(&spread.program);
        command.arg("part").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().with_context(|| format!("starting {name}"))?;
        let input = process.stdin.take().context("it has an input")?;
        let output = BufReader::new(process.stdout.take().context("it has an output")?);
        Ok(Part { name, process, input, output })
    }

    async fn say(&mut self, order: &Order) -> Result<()> {
        let line = serde_json::to_string(order)? + "\n";
        match self.input.write_all(line.as_bytes()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.ended().await),
        }
    }

    async fn hear(&mut self) -> Result<Answer> {
        let mut line = String::new();
        let read = timeout(ANSWER_TIMEOUT, self.output.read_line(&mut line)).await;
        let read = read.with_context(|| format!("{}: no answer in {ANSWER_TIMEOUT:?}", self.name))??;
        if read == 0 {
            return Err(self.ended().await);
        }
        match serde_json::from_str(&line).with_context(|| format!("{}: {line:?}", self.name))? {
            Answer::Failed(why) => bail!("{}: {why}", self.name),
            answer => Ok(answer),
        }
    }

    async fn ended(&mut self) -> anyhow::Error {
        match self.process.wait().await {
            Ok(status) => anyhow::anyhow!("{} ended: {status}", self.name),
            Err(error) => anyhow::anyhow!("{} ended: {error}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_process_and_no_process_many_more_than_another() {
        for (all, processes) in [(400, 2), (7, 3), (30_000, 4), (2, 2)] {
            let shares: Vec<usize> = (0..processes).map(|index| share(all, processes, index)).collect();
            assert_eq!(shares.iter().sum::<usize>(), all);
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }

    #[tokio::test]
    async fn a_process_that_ends_is_named() {
        let spread = Spread { program: "true".into(), processes: 2 };
        let mut part = Part::start(&spread, 1).unwrap();
        let error = part.hear().await.unwrap_err();
        assert_eq!(error.to_string(), "process 2 of 2 ended: exit status: 0");
    }
}

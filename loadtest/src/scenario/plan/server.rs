//! The server that is measured: one that runs already, or one of our own that ends with us.

use crate::target::Target;
use anyhow::{Context, Result, anyhow, ensure};
use serde::Deserialize;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

#[derive(Clone, Debug)]
pub enum Place {
    Running {
        ws: Target,
        http: Target,
        pid: u32,
    },
    /// This program of the gateway's is started, without data and without limits on orders.
    Started {
        program: PathBuf,
    },
}

pub(super) struct Server {
    pub(super) ws: Target,
    pub(super) http: Target,
    pub(super) pid: u32,
    process: Option<Child>,
}

#[derive(Deserialize)]
struct Ready {
    ws: String,
    http: String,
}

impl Server {
    pub(super) fn reach(place: &Place) -> Result<Self> {
        match place {
            Place::Running { ws, http, pid } => {
                Ok(Server { ws: ws.clone(), http: http.clone(), pid: *pid, process: None })
            }
            Place::Started { program } => {
                Self::start(program).with_context(|| format!("starting {}", program.display()))
            }
        }
    }

    fn start(program: &PathBuf) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["--json", "--no-demo-flow"]);
        command.args(["--ws-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]);
        command.args(["--orders-per-second", "1000000", "--orders-burst", "1000000"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let output = process.stdout.take().context("it has an output")?;
        let complaints = Complaints::of(process.stderr.take().context("it has an error output")?);
        let pid = process.id();
        // Ours from here on: whatever fails now, it ends.
        let mut server = Server { ws: nowhere(), http: nowhere(), pid, process: Some(process) };
        match ready(output) {
            Ok(at) => (server.ws, server.http) = at,
            Err(error) => {
                drop(server);
                return Err(anyhow!("{error:#}{}", complaints.last()));
            }
        }
        Ok(server)
    }

    /// Whether nobody else uses it, and no limits are in the way.
    pub(super) fn is_ours(&self) -> bool {
        self.process.is_some()
    }
}

/// Waits until it says where it is.
fn ready(output: ChildStdout) -> Result<(Target, Target)> {
    let mut line = String::new();
    ensure!(BufReader::new(output).read_line(&mut line)? > 0, "it ended before it was ready");
    let ready: Ready = serde_json::from_str(&line).context("what it said when it was ready")?;
    Ok((Target::websocket(&ready.ws)?, Target::http(&ready.http)?))
}

/// What a server says on its error output: read all the time, so that it is never full, and kept in part.
struct Complaints {
    lines: Arc<Mutex<VecDeque<String>>>,
    /// Ends with the process.
    reading: JoinHandle<()>,
}

/// Enough to see why it did not start.
const COMPLAINTS_MAX: usize = 5;

impl Complaints {
    fn of(output: ChildStderr) -> Self {
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let kept = lines.clone();
        let reading = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut kept = kept.lock().expect("no holder panics");
                kept.push_back(line);
                if kept.len() > COMPLAINTS_MAX {
                    kept.pop_front();
                }
            }
        });
        Complaints { lines, reading }
    }

    /// Of a process that is gone: its last lines, each on a line of its own.
    fn last(self) -> String {
        let _ = self.reading.join();
        let lines = self.lines.lock().expect("no holder panics");
        lines.iter().map(|line| format!("\n  {line}")).collect()
    }
}

/// Until the server has said where it is.
fn nowhere() -> Target {
    Target::websocket("ws://127.0.0.1:1/").expect("it is on loopback")
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = (process.kill(), process.wait());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_start_is_heard() {
        let place = Place::Started { program: "/bin/ls".into() };
        let error = format!("{:#}", Server::reach(&place).err().expect("it is no server"));
        assert!(error.starts_with("starting /bin/ls: it ended before it was ready\n  "), "{error}");
        assert!(error.contains("--json"), "{error}");
    }
}

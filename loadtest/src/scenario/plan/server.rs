//! The server that is measured: one that runs already, or one of our own that ends with us.

use crate::target::Target;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

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
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let output = process.stdout.take().context("it has an output")?;
        let pid = process.id();
        // Ours from here on: whatever fails now, it ends.
        let mut server = Server { ws: nowhere(), http: nowhere(), pid, process: Some(process) };
        let mut line = String::new();
        ensure!(BufReader::new(output).read_line(&mut line)? > 0, "it ended before it was ready");
        let ready: Ready = serde_json::from_str(&line).context("what it said when it was ready")?;
        (server.ws, server.http) = (Target::websocket(&ready.ws)?, Target::http(&ready.http)?);
        Ok(server)
    }

    /// Whether nobody else uses it, and no limits are in the way.
    pub(super) fn is_ours(&self) -> bool {
        self.process.is_some()
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

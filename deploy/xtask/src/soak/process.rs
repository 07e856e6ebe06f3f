//! The exchange as a process, and what it has.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::samples::Sample;

pub struct Exchange {
    process: Child,
    journal: PathBuf,
    pub ws: String,
    pub http: String,
}

impl Exchange {
    /// On free ports, with its data and what it says in `folder`. Returns when it is ready.
    pub fn start(program: &Path, folder: &Path, snapshot_bytes: u64) -> Result<Self> {
        let data = folder.join("data");
        let mut command = Command::new(program);
        command.args(["--ws-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--json", "--data-dir"]);
        command.arg(&data).args(["--sequencers", "1", "--matchers", "1"]);
        command.env("RINGSIDE_SNAPSHOT_BYTES", snapshot_bytes.to_string());
        println!("{command:?}");
        let said = File::create(folder.join("stderr.log"))?;
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(said)
            .spawn()
            .context("starting it")?;
        let mut lines = BufReader::new(process.stdout.take().context("stdout is piped")?).lines();
        // From here on it ends with us.
        let (ws, http) = (String::new(), String::new());
        let mut exchange = Self { process, journal: data.join("journal"), ws, http };
        let ready = loop {
            let line = lines.next().context("it ended before it was ready")??;
            if line.contains(r#""event":"ready""#) {
                break line;
            }
        };
        exchange.ws = field(&ready, "ws").context("the ready line names the socket")?;
        exchange.http = field(&ready, "http").context("the ready line names the page")?;
        Ok(exchange)
    }

    /// Waits until the demo flow quotes both sides of every symbol.
    pub fn wait_for_prices(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !all_above_zero(&self.metrics()?, "ringside_best_price_ticks") {
            ensure!(Instant::now() < deadline, "the demo flow does not quote");
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    pub fn sample(&self, at: Duration) -> Result<Sample> {
        let of_process = format!("/proc/{}", self.process.id());
        let descriptors = fs::read_dir(format!("{of_process}/fd")).context("it does not run")?.count();
        let status = fs::read_to_string(format!("{of_process}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let resident_kb: u64 = resident.trim().trim_end_matches(" kB").parse().context("VmRSS")?;
        let metrics = self.metrics()?;
        let (mut journal_bytes, mut snapshot_bytes, mut snapshots) = (0, 0, 0);
        for entry in fs::read_dir(&self.journal)? {
            // Files come and go meanwhile.
            let entry = entry?;
            let bytes = entry.metadata().map_or(0, |of| of.len());
            if entry.file_name().to_string_lossy().ends_with(".state") {
                (snapshot_bytes, snapshots) = (snapshot_bytes + bytes, snapshots + 1);
            } else {
                journal_bytes += bytes;
            }
        }
        Ok(Sample {
            at,
            resident_bytes: 1024 * resident_kb,
            descriptors: descriptors as u64,
            journal_bytes,
            snapshots,
            snapshot_bytes,
            // An id is remembered whatever the answer was.
            order_ids: sum_of(&metrics, "ringside_orders_acked_total")
                + sum_of(&metrics, "ringside_rejects_total"),
        })
    }

    /// Asks it to stop, as an operator would, and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        let asked = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status()?;
        ensure!(asked.success(), "it cannot be asked to stop");
        let ended = self.process.wait()?;
        ensure!(ended.success(), "it did not end well: {ended}");
        Ok(())
    }

    fn metrics(&self) -> Result<String> {
        let address = self.http.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(address).context("asking for metrics")?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if !answer.starts_with("HTTP/1.1 200") {
            bail!("metrics: {}", answer.lines().next().unwrap_or_default());
        }
        Ok(answer)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A text field of a flat JSON object.
fn field(json: &str, name: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!(r#""{name}":""#))?;
    Some(rest.split_once('"')?.0.to_owned())
}

/// Whether there are any, and none is zero.
fn all_above_zero(metrics: &str, name: &str) -> bool {
    values(metrics, name).next().is_some() && values(metrics, name).all(|value| value > 0)
}

/// Over all labels.
fn sum_of(metrics: &str, name: &str) -> u64 {
    values(metrics, name).sum()
}

fn values<'a>(metrics: &'a str, name: &'a str) -> impl Iterator<Item = u64> + 'a {
    let lines = metrics.lines().filter(move |line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_and_the_metrics_are_read() {
        let ready = r#"{"event":"ready","http":"http://127.0.0.1:4/","ws":"ws://127.0.0.1:5/ws"}"#;
        assert_eq!(field(ready, "ws").as_deref(), Some("ws://127.0.0.1:5/ws"));
        assert_eq!(field(ready, "none"), None);
        let metrics = "# TYPE a_total counter\na_total{of=\"0\"} 3\na_total{of=\"1\"} 4\nb_total 9\n";
        assert_eq!(sum_of(metrics, "a_total"), 7);
        assert!(all_above_zero(metrics, "a_total"));
        assert!(!all_above_zero(metrics, "c_total"));
        assert!(!all_above_zero("a_total{of=\"0\"} 3\na_total{of=\"1\"} 0\n", "a_total"));
    }
}

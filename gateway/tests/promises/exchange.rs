//! The `ringside` binary, started for one test on ports of its own and ended with it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio, id};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::http;
use serde_json::Value;

/// A cold start on a busy machine takes about a second; beyond this it hangs.
const START_PATIENCE: Duration = Duration::from_secs(30);

const RINGSIDE: &str = env!("CARGO_BIN_EXE_ringside");

pub struct Exchange {
    process: Child,
    directory: PathBuf,
    /// Where to read the page and REST, ends with a slash.
    pub http: String,
    /// Where WebSocket clients connect, ends with `/ws`.
    pub ws: String,
}

impl Exchange {
    /// The exchange with its demo flow. Returns when the process says that it is ready.
    pub fn start() -> Self {
        Self::start_with(&["serve"])
    }

    /// Without a demo flow, so that only the test trades, and with these keys of the configuration.
    pub fn start_with_keys(keys: &str) -> Self {
        let directory = fresh_directory("config");
        let file = directory.join("ringside.toml");
        fs::write(&file, keys).expect("the directory was just made");
        let exchange =
            Self::start_with(&["serve", "--no-demo-flow", "--config", file.to_str().expect("our own path")]);
        let _ = fs::remove_dir_all(directory);
        exchange
    }

    /// The binary with these arguments, on free ports.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_as(&mut Command::new(RINGSIDE), arguments)
    }

    /// The same, as a process that may have so many files open.
    pub fn start_with_files(files_max: u32, arguments: &[&str]) -> Self {
        let limited = format!("ulimit -n {files_max} && exec \"$0\" \"$@\"");
        Self::start_as(Command::new("sh").args(["-c", &limited, RINGSIDE]), arguments)
    }

    fn start_as(command: &mut Command, arguments: &[&str]) -> Self {
        let directory = fresh_directory("exchange");
        let stderr = File::create(directory.join("stderr.log")).expect("the directory was just made");
        let exchange = Self::begin(command, arguments, directory, stderr.into());
        // What was said before is in the log with it.
        wait_until(|| exchange.log().contains(" ready "));
        exchange
    }

    /// With another place for what it says than [`Exchange::log`].
    pub fn start_saying_to(stderr: impl Into<Stdio>, arguments: &[&str]) -> Self {
        Self::begin(&mut Command::new(RINGSIDE), arguments, fresh_directory("exchange"), stderr.into())
    }

    fn begin(command: &mut Command, arguments: &[&str], directory: PathBuf, stderr: Stdio) -> Self {
        let mut process = command
            .args(arguments)
            .args(["--ws-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--json"])
            .env("NO_COLOR", "1") // so that tests can read what it says
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("cargo built the binary");
        let lines = lines_of(process.stdout.take().expect("stdout is piped"));
        // From here on a panic ends the process too.
        let mut exchange = Self { process, directory, http: String::new(), ws: String::new() };
        let ready = exchange.wait_until_ready(&lines);
        exchange.http = ready["http"].as_str().expect("the ready line names the page").to_owned();
        exchange.ws = ready["ws"].as_str().expect("the ready line names the socket").to_owned();
        exchange
    }

    /// Asks the process to stop, as an operator would.
    pub fn terminate(&self) {
        let asked = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        assert!(asked.expect("every system has kill").success());
    }

    /// Ends the process as a crash does.
    pub fn kill(&mut self) {
        self.process.kill().expect("it is our child");
        self.wait();
    }

    /// What it has said on standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("stderr.log")).unwrap_or_default()
    }

    /// Waits until it has.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.process.wait().expect("it is our child")
    }

    /// What Prometheus would read.
    pub fn metrics(&self) -> String {
        http::get_text(&self.http, "/metrics").1
    }

    /// The process, for the system.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Memory of the process in RAM.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kilobytes");
        kilobytes * 1024
    }

    fn wait_until_ready(&self, lines: &Receiver<String>) -> Value {
        loop {
            let line = lines.recv_timeout(START_PATIENCE).unwrap_or_else(|error| self.never_ready(error));
            match serde_json::from_str::<Value>(&line) {
                Ok(event) if event["event"] == "ready" => return event,
                _ => {}
            }
        }
    }

    fn never_ready(&self, error: RecvTimeoutError) -> ! {
        panic!("the exchange did not get ready ({error}); it said:\n{}", self.log());
    }
}

/// An exchange that keeps what it has in a directory, without a demo flow. It ends with the test, and the directory, too.
pub struct Lasting {
    pub exchange: Exchange,
    pub data: PathBuf,
    more: Vec<String>,
}

impl Lasting {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more arguments.
    pub fn start_with(more: &[&str]) -> Self {
        let data = fresh_directory("lasting");
        let more: Vec<String> = more.iter().map(ToString::to_string).collect();
        Self { exchange: Self::begin(&data, &more), data, more }
    }

    fn begin(data: &Path, more: &[String]) -> Exchange {
        let mut arguments =
            vec!["serve", "--no-demo-flow", "--data-dir", data.to_str().expect("our own path")];
        arguments.extend(more.iter().map(String::as_str));
        Exchange::start_with(&arguments)
    }

    /// Begins the next life; the last one has ended.
    pub fn begin_again(&mut self) {
        self.exchange = Self::begin(&self.data, &self.more);
    }

    pub fn crash(&mut self) {
        self.exchange.kill();
        self.begin_again();
    }
}

impl Drop for Lasting {
    fn drop(&mut self) {
        self.exchange.kill();
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.data);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// Waits for something that comes by itself, within the time of a cold start.
pub fn wait_until(mut has_come: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !has_come() {
        assert!(begun.elapsed() < START_PATIENCE, "it never comes");
        thread::yield_now();
    }
}

/// Reads on until the process ends, so that it never meets a closed or full pipe.
pub fn lines_of(output: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

/// An empty directory below cargo's own place for the files of tests.
pub fn fresh_directory(name: &str) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{number}", id()));
    fs::create_dir_all(&directory).expect("cargo's temporary directory can be written");
    directory
}

//! A real gateway, the one beside the binary under test: `cargo build -p gateway` makes it.

use loadtest::target::Target;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub struct Gateway {
    process: Child,
    pub ws: Target,
    pub http: Target,
}

impl Gateway {
    /// None if nobody has built it, which is said.
    pub fn start() -> Option<Self> {
        let program = Path::new(env!("CARGO_BIN_EXE_loadtest")).with_file_name("ringside");
        if !program.is_file() {
            eprintln!("skipped: no {}; cargo build -p gateway makes it", program.display());
            return None;
        }
        let arguments =
            ["--json", "--no-demo-flow", "--ws-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
        let mut process = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        let target = |key: &str| ready[key].as_str().unwrap().to_owned();
        let ws = Target::websocket(&target("ws")).unwrap();
        let http = Target::http(&target("http")).unwrap();
        Some(Gateway { process, ws, http })
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = (self.process.kill(), self.process.wait());
    }
}
